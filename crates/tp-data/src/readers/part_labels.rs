//! The label lists of PascalPart116 and ADE20KPart234, ordered by number (OV-PARTS).

/// Objects by number, and the part names of every object that has parts; part numbers continue
/// through the list.
pub(super) struct PartLabels {
    objects: &'static [&'static str],
    parts: &'static [(u16, &'static [&'static str])],
}

/// PascalPart116: the twenty objects of PASCAL VOC and 116 parts. Boats, chairs, tables and sofas
/// have no parts.
pub(super) const PASCAL_PART_116: PartLabels = PartLabels {
    objects: &[
        "aeroplane",
        "bicycle",
        "bird",
        "boat",
        "bottle",
        "bus",
        "car",
        "cat",
        "chair",
        "cow",
        "diningtable",
        "dog",
        "horse",
        "motorbike",
        "person",
        "pottedplant",
        "sheep",
        "sofa",
        "train",
        "tvmonitor",
    ],
    parts: &[
        (0, &["body", "stern", "wing", "tail", "engine", "wheel"]),
        (1, &["wheel", "saddle", "handlebar", "chainwheel", "headlight"]),
        (2, &["wing", "tail", "head", "eye", "beak", "torso", "neck", "leg", "foot"]),
        (4, &["body", "cap"]),
        (
            5,
            &[
                "wheel",
                "headlight",
                "front",
                "side",
                "back",
                "roof",
                "mirror",
                "license plate",
                "door",
                "window",
            ],
        ),
        (
            6,
            &[
                "wheel",
                "headlight",
                "front",
                "side",
                "back",
                "roof",
                "mirror",
                "license plate",
                "door",
                "window",
            ],
        ),
        (7, &["tail", "head", "eye", "torso", "neck", "leg", "nose", "paw", "ear"]),
        (9, &["tail", "head", "eye", "torso", "neck", "leg", "ear", "muzzle", "horn"]),
        (11, &["tail", "head", "eye", "torso", "neck", "leg", "nose", "paw", "ear", "muzzle"]),
        (12, &["tail", "head", "eye", "torso", "neck", "leg", "ear", "muzzle", "hoof"]),
        (13, &["wheel", "saddle", "handlebar", "headlight"]),
        (
            14,
            &[
                "head",
                "eye",
                "torso",
                "neck",
                "leg",
                "foot",
                "nose",
                "ear",
                "eyebrow",
                "mouth",
                "hair",
                "lower arm",
                "upper arm",
                "hand",
            ],
        ),
        (15, &["pot", "plant"]),
        (16, &["tail", "head", "eye", "torso", "neck", "leg", "ear", "muzzle", "horn"]),
        (18, &["headlight", "head", "front", "side", "back", "roof", "coach"]),
        (19, &["screen"]),
    ],
};

/// ADE20KPart234: 44 objects in alphabetical order, and 234 parts in a different order.
pub(super) const ADE20K_PART_234: PartLabels = PartLabels {
    objects: &[
        "airplane",
        "armchair",
        "bed",
        "bench",
        "bookcase",
        "bus",
        "cabinet",
        "car",
        "chair",
        "chandelier",
        "chest of drawers",
        "clock",
        "coffee table",
        "computer",
        "cooking stove",
        "desk",
        "dishwasher",
        "door",
        "fan",
        "glass",
        "kitchen island",
        "lamp",
        "light",
        "microwave",
        "minibike",
        "ottoman",
        "oven",
        "person",
        "pool table",
        "refrigerator",
        "sconce",
        "shelf",
        "sink",
        "sofa",
        "stool",
        "swivel chair",
        "table",
        "television receiver",
        "toilet",
        "traffic light",
        "truck",
        "van",
        "wardrobe",
        "washer",
    ],
    parts: &[
        (27, &["arm", "back", "foot", "gaze", "hand", "head", "leg", "neck", "torso"]),
        (17, &["door frame", "handle", "knob", "panel"]),
        (11, &["face", "frame"]),
        (38, &["bowl", "cistern", "lid"]),
        (6, &["door", "drawer", "front", "shelf", "side", "skirt", "top"]),
        (32, &["bowl", "faucet", "pedestal", "tap", "top"]),
        (
            21,
            &[
                "arm",
                "base",
                "canopy",
                "column",
                "cord",
                "highlight",
                "light source",
                "shade",
                "tube",
            ],
        ),
        (30, &["arm", "backplate", "highlight", "light source", "shade"]),
        (8, &["apron", "arm", "back", "base", "leg", "seat", "seat cushion", "skirt", "stretcher"]),
        (10, &["apron", "door", "drawer", "front", "leg"]),
        (9, &["arm", "bulb", "canopy", "chain", "cord", "highlight", "light source", "shade"]),
        (2, &["footboard", "headboard", "leg", "side rail"]),
        (36, &["apron", "drawer", "leg", "shelf", "top", "wheel"]),
        (1, &["apron", "arm", "back", "back pillow", "leg", "seat", "seat base", "seat cushion"]),
        (25, &["back", "leg", "seat"]),
        (31, &["door", "drawer", "front", "shelf"]),
        (35, &["back", "base", "seat", "wheel"]),
        (18, &["blade", "canopy", "tube"]),
        (12, &["leg", "top"]),
        (34, &["leg", "seat"]),
        (33, &["arm", "back", "back pillow", "leg", "seat base", "seat cushion", "skirt"]),
        (13, &["computer case", "keyboard", "monitor", "mouse"]),
        (15, &["apron", "door", "drawer", "leg", "shelf", "top"]),
        (42, &["door", "drawer", "front", "leg", "mirror", "top"]),
        (
            7,
            &[
                "bumper",
                "door",
                "headlight",
                "hood",
                "license plate",
                "logo",
                "mirror",
                "wheel",
                "window",
                "wiper",
            ],
        ),
        (
            5,
            &[
                "bumper",
                "door",
                "headlight",
                "license plate",
                "logo",
                "mirror",
                "wheel",
                "window",
                "wiper",
            ],
        ),
        (26, &["button panel", "door", "drawer", "top"]),
        (14, &["burner", "button panel", "door", "drawer", "oven", "stove"]),
        (23, &["button panel", "door", "front", "side", "top", "window"]),
        (29, &["button panel", "door", "drawer", "side"]),
        (20, &["door", "drawer", "front", "side", "top"]),
        (16, &["button panel", "handle", "skirt"]),
        (4, &["door", "drawer", "front", "side"]),
        (37, &["base", "buttons", "frame", "keys", "screen", "speaker"]),
        (19, &["base", "bowl", "opening", "stem"]),
        (28, &["bed", "leg", "pocket"]),
        (
            41,
            &[
                "bumper",
                "door",
                "headlight",
                "license plate",
                "logo",
                "mirror",
                "taillight",
                "wheel",
                "window",
                "wiper",
            ],
        ),
        (
            0,
            &[
                "door",
                "fuselage",
                "landing gear",
                "propeller",
                "stabilizer",
                "turbine engine",
                "wing",
            ],
        ),
        (
            40,
            &["bumper", "door", "headlight", "license plate", "logo", "mirror", "wheel", "window"],
        ),
        (24, &["license plate", "mirror", "seat", "wheel"]),
        (43, &["button panel", "door", "front", "side"]),
        (3, &["arm", "back", "leg", "seat"]),
        (39, &["housing", "pole"]),
        (22, &["aperture", "canopy", "diffusor", "highlight", "light source", "shade"]),
    ],
};

impl PartLabels {
    /// The name of an object.
    pub(super) fn object(&self, id: u16) -> Option<&'static str> {
        self.objects.get(usize::from(id)).copied()
    }

    /// The number of an object.
    pub(super) fn object_id(&self, name: &str) -> Option<u16> {
        self.objects.iter().position(|object| *object == name).map(|id| id as u16)
    }

    /// The object number and the name of every part, by part number.
    pub(super) fn parts(&self) -> Vec<(u16, &'static str)> {
        self.parts
            .iter()
            .flat_map(|&(object, parts)| parts.iter().map(move |&part| (object, part)))
            .collect()
    }

    /// The names as a data set lists them.
    pub(super) fn labels(&self) -> super::Labels {
        super::Labels {
            objects: self.objects.iter().map(|name| (*name).to_owned()).collect(),
            parts: self.parts().into_iter().map(|(_, part)| part.to_owned()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn lists_have_the_published_lengths() {
        for (labels, n_objects, n_parts, n_words) in
            [(PASCAL_PART_116, 20, 116, 42), (ADE20K_PART_234, 44, 234, 85)]
        {
            let parts = labels.parts();
            let words: BTreeSet<_> = parts.iter().map(|(_, part)| part).collect();
            assert_eq!(
                (labels.objects.len(), parts.len(), words.len()),
                (n_objects, n_parts, n_words)
            );
            assert!(parts.iter().all(|&(object, _)| labels.object(object).is_some()));
        }
        assert!(ADE20K_PART_234.objects.is_sorted());
    }

    #[test]
    fn numbers_of_parts_run_on_through_the_list() {
        assert_eq!(PASCAL_PART_116.parts()[115], (19, "screen"));
        assert_eq!(PASCAL_PART_116.parts()[83], (14, "head"));
        assert_eq!(ADE20K_PART_234.parts()[214], (24, "license plate"));
        assert_eq!(ADE20K_PART_234.parts()[233], (22, "shade"));
    }
}
