//! The categories of the scenes, with their families, parts and typical colors.

mod building;
mod household;
mod mammals;
mod quadruped;
mod vehicle;
mod wildlife;

use std::{collections::BTreeSet, sync::LazyLock};

use quadruped::Quadruped;

use super::{
    draw::Draw,
    figure::Figure,
    palette::Coat,
    texture::Pattern::{self, Bricks, Gradient, Grain, Patches, Plain, Speckle, Spots, Stripes},
};

/// A category of the scenes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CategoryInfo {
    /// E.g. `horse`.
    pub name: &'static str,
    /// E.g. `Equidae`.
    pub family: &'static str,
    /// The names of its parts. An instance may have several parts of one name (four legs of a
    /// chair) and may lack some.
    pub parts: &'static [&'static str],
}

/// How instances of a category are drawn.
pub(super) struct Category {
    pub(super) info: CategoryInfo,
    pub(super) coats: &'static [Coat],
    plan: Plan,
}

enum Plan {
    Quadruped(&'static Quadruped),
    Own(fn(&mut Figure, &mut Draw)),
}

impl Category {
    /// A random instance, facing right.
    pub(super) fn build(&self, draw: &mut Draw) -> Figure {
        let mut figure = Figure::new();
        match self.plan {
            Plan::Quadruped(plan) => plan.build(&mut figure, draw),
            Plan::Own(build) => build(&mut figure, draw),
        }
        figure
    }
}

/// All categories, grouped by family.
#[must_use]
pub fn categories() -> &'static [CategoryInfo] {
    static INFOS: LazyLock<Vec<CategoryInfo>> =
        LazyLock::new(|| CATEGORIES.iter().map(|category| category.info).collect());
    &INFOS
}

/// All part names, sorted and without duplicates.
#[must_use]
pub fn part_names() -> Vec<&'static str> {
    categories()
        .iter()
        .flat_map(|info| info.parts)
        .copied()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

const fn category(
    family: &'static str,
    name: &'static str,
    parts: &'static [&'static str],
    coats: &'static [Coat],
    plan: Plan,
) -> Category {
    Category { info: CategoryInfo { name, family, parts }, coats, plan }
}

const fn coat(main: u32, second: u32, accent: u32, detail: u32, pattern: Pattern) -> Coat {
    Coat { main, second, accent, detail, pattern }
}

const BOVIDAE: &[&str] =
    &["body", "head", "muzzle", "ear", "horn", "front leg", "hind leg", "tail"];
const EQUIDAE: &[&str] = &["body", "neck", "head", "ear", "mane", "front leg", "hind leg", "tail"];
const CANIDAE: &[&str] =
    &["body", "neck", "head", "muzzle", "ear", "front leg", "hind leg", "tail"];

pub(super) static CATEGORIES: [Category; 29] = [
    category(
        "Bovidae",
        "cow",
        BOVIDAE,
        &[
            coat(0xece6dc, 0x33292a, 0x2a2424, 0xd9c9a0, Patches),
            coat(0x8a5434, 0xe2c6b4, 0x4a2c1c, 0xd9c9a0, Grain),
            coat(0xe8ddd0, 0x8e4a2c, 0x6e3a24, 0xcdbb92, Patches),
        ],
        Plan::Quadruped(&mammals::COW),
    ),
    category(
        "Bovidae",
        "sheep",
        BOVIDAE,
        &[
            coat(0xeee8da, 0x34302e, 0x3a3432, 0x8a7a60, Speckle),
            coat(0xe4dac4, 0xc9b49a, 0xb8a48a, 0x9a8a70, Grain),
        ],
        Plan::Quadruped(&mammals::SHEEP),
    ),
    category(
        "Bovidae",
        "goat",
        BOVIDAE,
        &[
            coat(0xcfc4b2, 0x5a4434, 0xefe8dc, 0x6a5c4a, Gradient),
            coat(0x8c6a4a, 0x2e2620, 0x3c3028, 0x544838, Grain),
        ],
        Plan::Quadruped(&mammals::GOAT),
    ),
    category(
        "Bovidae",
        "bison",
        BOVIDAE,
        &[
            coat(0x6e4a2e, 0x2c2018, 0x3e2a1c, 0xb8a684, Grain),
            coat(0x7c5636, 0x30241c, 0x49301e, 0xc4b492, Speckle),
        ],
        Plan::Quadruped(&mammals::BISON),
    ),
    category(
        "Equidae",
        "horse",
        EQUIDAE,
        &[
            coat(0x8a4a26, 0x5a3220, 0x241a18, 0x2a2220, Plain),
            coat(0x5c3824, 0x3a261c, 0xd8c090, 0x2a2220, Grain),
            coat(0xb06a34, 0xe8d8c4, 0xe6d2a4, 0x2a2220, Plain),
        ],
        Plan::Quadruped(&mammals::HORSE),
    ),
    category(
        "Equidae",
        "zebra",
        EQUIDAE,
        &[coat(0xf0ece4, 0x1e1c1e, 0x262224, 0x262224, Stripes)],
        Plan::Quadruped(&mammals::ZEBRA),
    ),
    category(
        "Equidae",
        "donkey",
        EQUIDAE,
        &[
            coat(0x8c8884, 0xe6e0d8, 0x464240, 0x383432, Gradient),
            coat(0x9a8a7c, 0xeee6da, 0x52463e, 0x383432, Grain),
        ],
        Plan::Quadruped(&mammals::DONKEY),
    ),
    category(
        "Canidae",
        "dog",
        CANIDAE,
        &[
            coat(0xd8a45c, 0xe8c898, 0xa86c34, 0x342a26, Plain),
            coat(0xe8e2d8, 0x4a3428, 0x4a3428, 0x342a26, Spots),
            coat(0x3a302c, 0xb87c48, 0x2a2220, 0x342a26, Plain),
        ],
        Plan::Quadruped(&mammals::DOG),
    ),
    category(
        "Canidae",
        "wolf",
        CANIDAE,
        &[
            coat(0x74787e, 0xd8d8d4, 0x54565c, 0x303234, Gradient),
            coat(0x8c8a88, 0xdcd6cc, 0x5c5854, 0x303234, Grain),
        ],
        Plan::Quadruped(&mammals::WOLF),
    ),
    category(
        "Canidae",
        "fox",
        CANIDAE,
        &[
            coat(0xd8662a, 0xf0e8dc, 0x2a211e, 0x2a211e, Plain),
            coat(0xc4561e, 0xf2ece2, 0x2a211e, 0x2a211e, Grain),
        ],
        Plan::Quadruped(&mammals::FOX),
    ),
    category(
        "vehicle",
        "car",
        &["body", "roof", "window", "door", "wheel", "headlight", "bumper"],
        &[
            coat(0xc8282c, 0x9c2024, 0x46484c, 0xf2e8b0, Plain),
            coat(0x2c5cb4, 0x24488c, 0x46484c, 0xf2e8b0, Plain),
            coat(0xb8bcc2, 0x8c9096, 0x4a4c50, 0xf2e8b0, Plain),
        ],
        Plan::Own(vehicle::car),
    ),
    category(
        "vehicle",
        "bus",
        &["body", "stripe", "window", "door", "windshield", "headlight", "wheel"],
        &[
            coat(0xf0b428, 0xc88c1c, 0x2e2c2a, 0xfaf2c4, Plain),
            coat(0xd83c34, 0xa82c28, 0xf2ece4, 0xfaf2c4, Plain),
        ],
        Plan::Own(vehicle::bus),
    ),
    category(
        "vehicle",
        "truck",
        &["cab", "cargo box", "window", "headlight", "bumper", "wheel"],
        &[
            coat(0x2c7c4c, 0xe4e2dc, 0x4c4e52, 0xf6ecb4, Plain),
            coat(0xe07c28, 0xcfd4d8, 0x4c4e52, 0xf6ecb4, Plain),
        ],
        Plan::Own(vehicle::truck),
    ),
    category(
        "vehicle",
        "bicycle",
        &["wheel", "frame", "pedal", "saddle", "handlebar"],
        &[
            coat(0x1f9c8c, 0x9aa0a6, 0x5a3a26, 0x9aa0a6, Plain),
            coat(0xd02c58, 0x9aa0a6, 0x3a2a22, 0x9aa0a6, Plain),
        ],
        Plan::Own(vehicle::bicycle),
    ),
    category(
        "bird",
        "duck",
        &["body", "wing", "tail", "neck", "head", "beak", "leg"],
        &[
            coat(0xb4a894, 0x6c5c4c, 0x1f6c44, 0xe8a02c, Grain),
            coat(0xf2efe8, 0xdedad0, 0xf0ece4, 0xf0942a, Plain),
        ],
        Plan::Own(wildlife::duck),
    ),
    category(
        "bird",
        "flamingo",
        &["body", "wing", "tail", "neck", "head", "beak", "leg"],
        &[
            coat(0xf294a4, 0xe05c78, 0xd84a68, 0xf0c8bc, Plain),
            coat(0xf0785c, 0xd84c48, 0xc83c44, 0xf0d0c0, Plain),
        ],
        Plan::Own(wildlife::flamingo),
    ),
    category(
        "bird",
        "parrot",
        &["body", "wing", "tail", "head", "beak", "leg"],
        &[
            coat(0x3cac3c, 0x2860c8, 0xd83430, 0x3a3634, Plain),
            coat(0xd8302c, 0x2c6cd0, 0xf0c02c, 0xe0d4c0, Plain),
        ],
        Plan::Own(wildlife::parrot),
    ),
    category(
        "fish",
        "goldfish",
        &["body", "head", "tail", "dorsal fin", "belly fin", "side fin"],
        &[
            coat(0xf08424, 0xf6b45c, 0xe85c1c, 0xe85c1c, Speckle),
            coat(0xf2e8dc, 0xe8702c, 0xf0a070, 0xe8702c, Patches),
        ],
        Plan::Own(wildlife::goldfish),
    ),
    category(
        "fish",
        "shark",
        &["body", "head", "tail", "dorsal fin", "belly fin", "side fin"],
        &[
            coat(0x5c6c7c, 0xdce2e6, 0x4c5a68, 0x4c5a68, Plain),
            coat(0x4a5868, 0xd4dade, 0x3c4856, 0x3c4856, Grain),
        ],
        Plan::Own(wildlife::shark),
    ),
    category(
        "furniture",
        "chair",
        &["seat", "back", "leg", "armrest"],
        &[
            coat(0x9c6434, 0x8a5428, 0xb4412c, 0x5a3a20, Grain),
            coat(0x4c6474, 0x3a3634, 0x5c8090, 0x3a3634, Plain),
        ],
        Plan::Own(household::chair),
    ),
    category(
        "furniture",
        "table",
        &["top", "leg", "drawer", "shelf"],
        &[
            coat(0xb47c44, 0x8c5c30, 0xa06c3a, 0xd8a868, Grain),
            coat(0x7a4a2a, 0x5c361e, 0x6a4024, 0xb07c4a, Stripes),
        ],
        Plan::Own(household::table),
    ),
    category(
        "furniture",
        "lamp",
        &["shade", "rim", "bulb", "pole", "base"],
        &[
            coat(0xf0d898, 0xb08c3c, 0xc8a050, 0x8c6c2c, Gradient),
            coat(0x3c8c84, 0x6a6c70, 0xe8e0d0, 0x54565a, Plain),
        ],
        Plan::Own(household::lamp),
    ),
    category(
        "tableware",
        "mug",
        &["body", "rim", "handle", "band", "base"],
        &[
            coat(0x3468b0, 0x2c5898, 0xf0ece0, 0x5a3420, Plain),
            coat(0xf0ece4, 0xd8d2c8, 0xc83430, 0x5a3420, Spots),
        ],
        Plan::Own(household::mug),
    ),
    category(
        "tableware",
        "bottle",
        &["cap", "neck", "body", "label", "base"],
        &[
            coat(0x2c6c3c, 0xece4cc, 0xa83028, 0xc8a23c, Plain),
            coat(0x7a4420, 0xf0e0b0, 0x2c3c6c, 0xd8d4cc, Gradient),
        ],
        Plan::Own(household::bottle),
    ),
    category(
        "tableware",
        "teapot",
        &["body", "lid", "knob", "spout", "handle", "base"],
        &[
            coat(0xe4e6ee, 0x3c58a8, 0x4a68b8, 0xd8b04c, Spots),
            coat(0xb8602c, 0x6a3418, 0x8c4820, 0x3a2418, Plain),
        ],
        Plan::Own(household::teapot),
    ),
    category(
        "plant",
        "potted plant",
        &["pot", "rim", "stem", "leaf", "flower"],
        &[
            coat(0xb85c34, 0xc8703f, 0x3c8c34, 0xe84c7c, Plain),
            coat(0xd8d4cc, 0xb8b4ac, 0x2c7c44, 0xf0c82c, Plain),
        ],
        Plan::Own(household::potted_plant),
    ),
    category(
        "plant",
        "cactus",
        &["pot", "rim", "trunk", "arm", "flower"],
        &[
            coat(0xc06c3c, 0xa8582c, 0x4c8448, 0xe8549c, Stripes),
            coat(0x8c6ca8, 0x745890, 0x5c944c, 0xf0d040, Plain),
        ],
        Plan::Own(household::cactus),
    ),
    category(
        "building",
        "house",
        &["wall", "roof", "door", "window", "chimney", "step"],
        &[
            coat(0xe8d8b4, 0xb0402c, 0x6a4024, 0xf2ece0, Plain),
            coat(0xb0583c, 0x4c4a50, 0x2c5c3c, 0xe8e0d0, Bricks),
        ],
        Plan::Own(building::house),
    ),
    category(
        "building",
        "tower",
        &["wall", "battlement", "roof", "window", "door", "flag"],
        &[
            coat(0xa8a49c, 0x5c4c8c, 0xd83c3c, 0x5c3c24, Bricks),
            coat(0xc4b08c, 0xa8442c, 0x2c64b4, 0x4c3420, Bricks),
        ],
        Plan::Own(building::tower),
    ),
];

#[cfg(test)]
mod tests {
    use tp_core::Seed;

    use super::*;

    #[test]
    fn figures_keep_to_their_vocabulary_and_use_all_of_it() {
        for category in &CATEGORIES {
            let mut seen = BTreeSet::new();
            for index in 0..40 {
                let figure = category.build(&mut Draw::new(Seed(index)));
                assert!(figure.shapes.iter().all(|shape| shape.part < figure.parts.len()));
                assert!(figure.bounds().extent().length().is_finite());
                seen.extend(figure.parts);
            }
            assert_eq!(
                seen,
                category.info.parts.iter().copied().collect(),
                "{}",
                category.info.name
            );
        }
    }

    #[test]
    fn world_has_many_categories_in_several_families_with_shared_parts() {
        let families: BTreeSet<_> = categories().iter().map(|info| info.family).collect();
        assert!(categories().len() >= 20 && families.len() >= 5);
        assert!(categories().iter().all(|info| (4..=8).contains(&info.parts.len())));
        let shared =
            BOVIDAE.iter().filter(|part| EQUIDAE.contains(part) && CANIDAE.contains(part)).count();
        assert!(shared >= 6, "{shared}");
        assert!(part_names().is_sorted());
    }
}
