//! Detects parts among the objects of a COCO file and separates them, so that one reader supports
//! all conventions.
//!
//! Such a part has a category like `chair:back` (PACO, VLPart) or `dog's ear`, where `chair` and
//! `dog` are also categories of the file, or it refers to the annotation of its object. A part
//! without such a reference belongs to the object of its category that covers most of it, at least
//! half. In a file with `part_annotations` all parts are there, and none are among the objects.

use std::collections::{HashMap, HashSet};

use super::{
    coco_entries::{Links, RawBox, RawObject, RawPart, RawPartCategory},
    coco_json::RawFile,
    json_values::NO_ID,
};
use crate::BoxXywh;

/// The minimum share of a part's box that its object's box must cover.
const MIN_COVERED: f64 = 0.5;
/// No annotation has this id, so its part is rejected with a message about the missing object.
pub(super) const NO_PARENT: u64 = NO_ID;
/// The separators between object and part in the name of a category.
const SEPARATORS: [&str; 3] = [":", "'s ", "\u{2019}s "];

/// The annotations to which others refer.
struct Targets {
    by_id: HashMap<u64, Target>,
    /// The category named by the `supercategory` of another one.
    above: HashMap<u64, u64>,
}

#[derive(Clone, Copy)]
struct Target {
    image: u64,
    category: u64,
}

impl Targets {
    fn of(raw: &RawFile) -> Self {
        let annotations = &raw.annotations.list;
        let links_of = |annotation: &RawObject| {
            let (own, Links { parent, object_annotation, object }) =
                (annotation.id, annotation.links);
            [parent, object_annotation, object]
                .into_iter()
                .filter(move |&link| link != NO_ID && link != own)
        };
        let named: HashSet<u64> = annotations.iter().flat_map(links_of).collect();
        let target = |annotation: &RawObject| Target {
            image: annotation.image_id,
            category: annotation.category_id,
        };
        let targets = annotations.iter().filter(|annotation| named.contains(&annotation.id));
        let by_name: HashMap<&str, u64> = raw
            .categories
            .list
            .iter()
            .map(|category| (category.name.as_str(), category.id))
            .collect();
        let above = raw.categories.list.iter().filter_map(|category| {
            let &above = by_name.get(category.supercategory.as_deref()?)?;
            Some((category.id, above)).filter(|_| above != category.id)
        });
        Self {
            by_id: targets.map(|annotation| (annotation.id, target(annotation))).collect(),
            above: above.collect(),
        }
    }

    /// The target of a link, if it is another annotation in the same image.
    fn of_link(&self, annotation: &RawObject, link: u64) -> Option<Target> {
        self.by_id
            .get(&link)
            .copied()
            .filter(|target| link != annotation.id && target.image == annotation.image_id)
    }

    /// The annotation that an annotation states as its object, if it is in another category and in
    /// the same image. A number in `object_id` alone is not sufficient, because many programs use
    /// it for tracks: the category must agree.
    fn stated_parent(&self, annotation: &RawObject) -> Option<u64> {
        let Links { parent, object_annotation, object } = annotation.links;
        let category = annotation.category_id;
        let differs = |link: &u64| {
            self.of_link(annotation, *link).is_some_and(|target| target.category != category)
        };
        let above = |link: &u64| {
            self.of_link(annotation, *link)
                .is_some_and(|target| self.above.get(&category) == Some(&target.category))
        };
        [parent, object_annotation].into_iter().find(differs).or_else(|| Some(object).filter(above))
    }
}

/// A category whose name is that of a part.
struct PartName {
    /// The category of its object.
    object: u64,
    /// The name of the part.
    part: String,
}

/// Moves the parts in `annotations` to `part_annotations`; returns their number.
pub(super) fn with_parts_apart(raw: &mut RawFile) -> usize {
    let has_own_list =
        !raw.part_annotations.list.is_empty() || !raw.part_categories.list.is_empty();
    if has_own_list {
        return 0;
    }
    let by_name = parts_by_name(raw);
    let targets = Targets::of(raw);
    let by_link = parts_by_link(&raw.annotations.list, &targets, &by_name);
    if by_name.is_empty() && by_link.is_empty() {
        return 0;
    }
    let linked =
        raw.annotations.list.iter().filter(|annotation| by_link.contains(&annotation.category_id));
    let links = to_objects(
        &linked
            .filter_map(|annotation| Some((annotation.id, targets.stated_parent(annotation)?)))
            .collect(),
    );
    let (parts, objects): (Vec<_>, Vec<_>) =
        std::mem::take(&mut raw.annotations.list).into_iter().partition(|annotation| {
            by_name.contains_key(&annotation.category_id) || links.contains_key(&annotation.id)
        });
    raw.annotations.list = objects;
    let names: HashMap<u64, String> =
        raw.categories.list.iter().map(|category| (category.id, category.name.clone())).collect();
    let mut by_image: HashMap<u64, Vec<&RawObject>> = HashMap::new();
    for object in &raw.annotations.list {
        by_image.entry(object.image_id).or_default().push(object);
    }
    let n_parts = parts.len();
    let mut part_categories = HashSet::new();
    for part in parts {
        let named = by_name.get(&part.category_id);
        if part_categories.insert(part.category_id)
            && let Some(name) = named
                .map(|name| name.part.clone())
                .or_else(|| names.get(&part.category_id).cloned())
        {
            raw.part_categories.list.push(RawPartCategory {
                id: part.category_id,
                name,
                keypoint_indices: Vec::new(),
            });
        }
        let parent = match named {
            None => links.get(&part.id).copied(),
            Some(name) => parent_of_named(
                &part,
                name,
                &targets,
                by_image.get(&part.image_id).map_or(&[], Vec::as_slice),
            ),
        };
        raw.part_annotations.list.push(RawPart {
            id: part.id,
            image_id: part.image_id,
            parent_id: parent.unwrap_or(NO_PARENT),
            category_id: part.category_id,
            bbox: part.bbox,
            segmentation: part.segmentation,
            iscrowd: part.iscrowd,
            derived: part.derived,
        });
    }
    let still_used: HashSet<u64> =
        raw.annotations.list.iter().map(|object| object.category_id).collect();
    raw.categories.list.retain(|category| {
        let is_part = by_name.contains_key(&category.id)
            || (by_link.contains(&category.id) && part_categories.contains(&category.id));
        !is_part || still_used.contains(&category.id)
    });
    n_parts
}

/// The categories whose names consist of the name of another category and a part.
fn parts_by_name(raw: &RawFile) -> HashMap<u64, PartName> {
    let by_name: HashMap<&str, u64> =
        raw.categories.list.iter().map(|category| (category.name.trim(), category.id)).collect();
    let split = |name: &str| {
        let places = SEPARATORS.iter().flat_map(|separator| name.match_indices(separator));
        let mut splits =
            places.map(|(at, separator)| (name[..at].trim(), name[at + separator.len()..].trim()));
        splits.find_map(|(object, part)| {
            let &object = by_name.get(object)?;
            (!part.is_empty()).then(|| PartName { object, part: part.to_owned() })
        })
    };
    let named: HashMap<u64, PartName> = raw
        .categories
        .list
        .iter()
        .filter_map(|category| Some((category.id, split(&category.name)?)))
        .collect();
    // `dog:ear:tip` is a part of the dog, like `dog:ear`.
    let root = |mut object: u64| {
        for _ in 0..named.len() {
            match named.get(&object) {
                Some(name) if name.object != object => object = name.object,
                _ => break,
            }
        }
        object
    };
    let roots: HashMap<u64, u64> =
        named.iter().map(|(&id, name)| (id, root(name.object))).collect();
    named
        .into_iter()
        .filter(|(id, _)| roots[id] != *id)
        .map(|(id, name)| (id, PartName { object: roots[&id], ..name }))
        .collect()
}

/// The categories of parts that their names do not reveal: at least half of their annotations refer
/// to another annotation, and none of those refers back.
fn parts_by_link(
    annotations: &[RawObject],
    targets: &Targets,
    by_name: &HashMap<u64, PartName>,
) -> HashSet<u64> {
    let mut counts: HashMap<u64, (usize, usize)> = HashMap::new();
    let mut above: HashMap<u64, HashSet<u64>> = HashMap::new();
    for annotation in
        annotations.iter().filter(|annotation| !by_name.contains_key(&annotation.category_id))
    {
        let (all, linked) = counts.entry(annotation.category_id).or_default();
        *all += 1;
        if let Some(parent) = targets.stated_parent(annotation) {
            *linked += 1;
            above
                .entry(annotation.category_id)
                .or_default()
                .extend(targets.of_link(annotation, parent).map(|target| target.category));
        }
    }
    let mostly_linked =
        |category: &u64| counts.get(category).is_some_and(|&(all, linked)| linked * 2 >= all);
    // Follows links to categories that are linked themselves; a category in a cycle is not a part.
    let leads_back = |category: u64| {
        let (mut seen, mut open) = (HashSet::new(), vec![category]);
        while let Some(next) = open.pop() {
            for &parent in
                above.get(&next).into_iter().flatten().filter(|parent| mostly_linked(parent))
            {
                if parent == category {
                    return true;
                }
                if seen.insert(parent) {
                    open.push(parent);
                }
            }
        }
        false
    };
    above
        .keys()
        .copied()
        .filter(|category| mostly_linked(category) && !leads_back(*category))
        .collect()
}

/// Resolves links to objects: a part of a part is a part of the object.
fn to_objects(links: &HashMap<u64, u64>) -> HashMap<u64, u64> {
    let root = |parent: u64| {
        (0..links.len())
            .try_fold(parent, |at, _| links.get(&at).copied().ok_or(at))
            .unwrap_or_else(|at| at)
    };
    links.iter().map(|(&part, &parent)| (part, root(parent))).collect()
}

/// The object of a part recognized by name: the one to which it refers, or the one of its category
/// that covers most of it.
fn parent_of_named(
    part: &RawObject,
    name: &PartName,
    targets: &Targets,
    objects: &[&RawObject],
) -> Option<u64> {
    let links = part.links;
    let fits = |link: &u64| {
        targets.of_link(part, *link).is_some_and(|target| target.category == name.object)
    };
    if let Some(parent) =
        [links.parent, links.object_annotation, links.object].into_iter().find(fits)
    {
        return Some(parent);
    }
    // These two fields always refer to the object. If it does not exist, no other object is used.
    if let Some(missing) = [links.parent, links.object_annotation]
        .into_iter()
        .find(|&link| link != NO_ID && link != part.id)
    {
        return Some(missing);
    }
    let of_kind = objects.iter().filter(|object| object.category_id == name.object);
    let covered =
        |object: &RawObject| covered(part.bbox, object.bbox).filter(|&share| share >= MIN_COVERED);
    of_kind
        .filter_map(|object| Some((covered(object)?, object.id)))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, id)| id)
}

/// The share of a box that another one covers.
fn covered(part: RawBox, object: RawBox) -> Option<f64> {
    let bbox = |raw: RawBox| match raw {
        RawBox::Xywh([x, y, width, height]) => Some(BoxXywh { x, y, width, height }),
        _ => None,
    };
    let (part, object) = (bbox(part)?, bbox(object)?);
    Some(part.intersection(&object)?.area() / part.area())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn split(file: Value) -> (RawFile, usize) {
        let mut raw: RawFile = serde_json::from_value(file).unwrap();
        let n_parts = with_parts_apart(&mut raw);
        (raw, n_parts)
    }

    fn objects(raw: &RawFile) -> Vec<u64> {
        raw.annotations.list.iter().map(|object| object.id).collect()
    }

    fn parts(raw: &RawFile) -> Vec<(u64, u64)> {
        raw.part_annotations.list.iter().map(|part| (part.id, part.parent_id)).collect()
    }

    #[test]
    fn parts_among_objects_find_their_object_by_number_or_by_place() {
        let (raw, n_parts) = split(json!({
            "images": [],
            "categories": [{"id": 1, "name": "chair"}, {"id": 2, "name": "chair:back"}, {"id": 3, "name": "dog's left ear"}, {"id": 4, "name": "dog"}],
            "annotations": [
                {"id": 10, "image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10], "obj_ann_id": 10},
                {"id": 11, "image_id": 1, "category_id": 2, "bbox": [0, 0, 10, 5], "obj_ann_id": 10},
                {"id": 12, "image_id": 1, "category_id": 3, "bbox": [40, 0, 4, 4]},
                {"id": 13, "image_id": 1, "category_id": 4, "bbox": [30, 0, 12, 10]},
                {"id": 14, "image_id": 1, "category_id": 4, "bbox": [30, 0, 13, 10]},
                {"id": 15, "image_id": 1, "category_id": 3, "bbox": [90, 0, 4, 4]}
            ]
        }));
        assert_eq!((objects(&raw), n_parts), (vec![10, 13, 14], 3));
        // Dog 14 covers three quarters of the first ear, dog 13 half; the second ear lies on no
        // dog.
        assert_eq!(parts(&raw), [(11, 10), (12, 14), (15, NO_PARENT)]);
        assert_eq!(
            raw.part_categories
                .list
                .iter()
                .map(|category| category.name.as_str())
                .collect::<Vec<_>>(),
            ["back", "left ear"]
        );
        assert_eq!(raw.categories.list.len(), 2);
    }

    #[test]
    fn a_name_is_a_parts_only_if_its_object_is_a_category() {
        let names = [
            "person",
            "women's bag",
            "time: noon",
            "person: sitting",
            ":",
            "person:",
            "'s ear",
            "person\u{2019}s hat",
            "person:hat:brim",
        ];
        let categories: Vec<Value> =
            names.iter().zip(1..).map(|(name, id)| json!({"id": id, "name": name})).collect();
        let annotations: Vec<Value> = (1..=names.len())
            .map(|id| json!({"id": id, "image_id": 1, "category_id": id, "bbox": [0, 0, 10, 10]}))
            .collect();
        let (raw, n_parts) =
            split(json!({"images": [], "categories": categories, "annotations": annotations}));
        assert_eq!((objects(&raw), n_parts), (vec![1, 2, 3, 5, 6, 7], 3));
        assert_eq!(parts(&raw), [(4, 1), (8, 1), (9, 1)]);
        assert_eq!(
            raw.part_categories.list.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(),
            ["sitting", "hat", "hat:brim"]
        );
    }

    #[test]
    fn numbers_of_tracks_are_no_links() {
        // Every annotation has a track; some track numbers are by chance ids of other annotations
        // in the image.
        for field in ["object_id", "parent_id", "obj_ann_id"] {
            let annotation = |id: u64, image: u64, category: u64, track: u64| json!({"id": id, "image_id": image, "category_id": category, "bbox": [0, 0, 9, 9], field: track});
            let tracks = [
                (1, 1, 1, 2),
                (2, 1, 2, 1),
                (3, 1, 2, 3),
                (4, 2, 1, 2),
                (5, 2, 2, 1),
                (6, 2, 1, 6),
            ];
            let annotations: Vec<Value> = tracks
                .iter()
                .map(|&(id, image, category, track)| annotation(id, image, category, track))
                .collect();
            let (raw, n_parts) = split(
                json!({"images": [], "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}], "annotations": annotations}),
            );
            assert_eq!((objects(&raw).len(), n_parts), (6, 0), "{field}");
        }
        let file = |field: &str| {
            json!({"images": [], "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}], "annotations": [
                {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}, {"id": 2, "image_id": 1, "category_id": 2, "bbox": [0, 0, 9, 9], field: 1}
            ]})
        };
        assert_eq!(split(file("object_id")).1, 0);
        assert_eq!(split(file("parent_id")).1, 1);
    }

    #[test]
    fn links_count_where_the_file_is_built_so() {
        let file = |supercategory: &str, field: &str| {
            json!({"images": [], "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "ear", "supercategory": supercategory}, {"id": 3, "name": "tip", "supercategory": "ear"}],
            "annotations": [
                {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], field: null},
                {"id": 2, "image_id": 1, "category_id": 2, "bbox": [0, 0, 5, 5], field: "1"},
                {"id": 3, "image_id": 1, "category_id": 3, "bbox": [0, 0, 2, 2], field: 2.0},
                {"id": 4, "image_id": 2, "category_id": 2, "bbox": [0, 0, 2, 2], field: 1}
            ]})
        };
        // The tip of the ear is a part of the dog; ear 4 names a dog in another image and stays an
        // object.
        for (supercategory, field) in
            [("animal", "parent_id"), ("animal", "obj_ann_id"), ("dog", "object_id")]
        {
            let (raw, _) = split(file(supercategory, field));
            assert_eq!((parts(&raw), objects(&raw)), (vec![(2, 1), (3, 1)], vec![1, 4]), "{field}");
            assert_eq!(
                raw.categories.list.iter().map(|category| category.id).collect::<Vec<_>>(),
                [1, 2]
            );
        }
        assert_eq!(split(file("animal", "object_id")).1, 1);
    }
}
