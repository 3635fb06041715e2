//! Parts that stand among the objects of a COCO file: found and set apart, so that one reader serves every way of writing.
//!
//! Such a part has a category like `chair:back` (PACO, VLPart) or `dog's ear`, or names the annotation that it belongs to. A
//! part that names none belongs to the object of its category that covers most of it, at least half.

use std::collections::{HashMap, HashSet};

use super::coco_json::{RawFile, RawObject, RawPart, RawPartCategory};
use crate::BoxXywh;

/// The share of a part's box that its object's box must cover.
const MIN_COVERED: f64 = 0.5;
/// No annotation has this number: its part is refused, and named, like one whose object is missing.
const NO_PARENT: u64 = u64::MAX;

/// Moves the parts that stand in `annotations` to `part_annotations`.
pub(super) fn with_parts_apart(raw: &mut RawFile) {
    let ids: HashSet<u64> = raw.annotations.iter().map(|object| object.id).collect();
    let part_names: HashMap<u64, (String, String)> = raw
        .categories
        .iter()
        .filter_map(|category| Some((category.id, split_name(&category.name)?)))
        .map(|(id, (object, part))| (id, (object.to_owned(), part.to_owned())))
        .collect();
    let linked = |object: &RawObject| object.parent_id.is_some_and(|parent| parent != object.id && ids.contains(&parent));
    if part_names.is_empty() && !raw.annotations.iter().any(linked) {
        return;
    }
    let (parts, objects): (Vec<_>, Vec<_>) = std::mem::take(&mut raw.annotations)
        .into_iter()
        .partition(|annotation| linked(annotation) || part_names.contains_key(&annotation.category_id));
    raw.annotations = objects;
    let names: HashMap<u64, String> = raw.categories.iter().map(|category| (category.id, category.name.clone())).collect();
    let mut by_image: HashMap<u64, Vec<&RawObject>> = HashMap::new();
    for object in &raw.annotations {
        by_image.entry(object.image_id).or_default().push(object);
    }
    let mut part_categories = HashSet::new();
    for part in parts {
        let (object_name, part_name) = match part_names.get(&part.category_id) {
            Some((object, part)) => (Some(object), part.clone()),
            None => (None, names.get(&part.category_id).cloned().unwrap_or_default()),
        };
        if part_categories.insert(part.category_id) && names.contains_key(&part.category_id) {
            raw.part_categories.push(RawPartCategory { id: part.category_id, name: part_name, keypoint_indices: Vec::new() });
        }
        let parent = part.parent_id.filter(|&parent| parent != part.id).or_else(|| {
            let candidates = by_image.get(&part.image_id).into_iter().flatten();
            let of_kind = candidates.filter(|object| object_name.is_some() && names.get(&object.category_id) == object_name);
            let covered = |object: &RawObject| covered(&part.bbox, &object.bbox).filter(|&share| share >= MIN_COVERED);
            of_kind.filter_map(|object| Some((covered(object)?, object.id))).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, id)| id)
        });
        raw.part_annotations.push(RawPart {
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
    raw.categories.retain(|category| !part_names.contains_key(&category.id));
}

/// The object and the part of a name like `chair:back` or `dog's ear`.
pub(super) fn split_name(name: &str) -> Option<(&str, &str)> {
    name.split_once(':').or_else(|| name.split_once("'s ")).filter(|(object, part)| !object.is_empty() && !part.is_empty())
}

/// The share of a box that another one covers.
fn covered(part: &[f64], object: &[f64]) -> Option<f64> {
    let bbox = |numbers: &[f64]| match numbers {
        &[x, y, width, height] => Some(BoxXywh { x, y, width, height }),
        _ => None,
    };
    let (part, object) = (bbox(part)?, bbox(object)?);
    Some(part.intersection(&object)?.area() / part.area())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_among_objects_find_their_object_by_number_or_by_place() {
        let mut raw: RawFile = serde_json::from_value(json!({
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
        }))
        .unwrap();
        with_parts_apart(&mut raw);
        assert_eq!(raw.annotations.iter().map(|object| object.id).collect::<Vec<_>>(), [10, 13, 14]);
        // Dog 14 covers three quarters of the first ear, dog 13 half; the second ear lies on no dog.
        assert_eq!(
            raw.part_annotations.iter().map(|part| (part.id, part.parent_id)).collect::<Vec<_>>(),
            [(11, 10), (12, 14), (15, NO_PARENT)]
        );
        assert_eq!(raw.part_categories.iter().map(|category| category.name.as_str()).collect::<Vec<_>>(), ["back", "left ear"]);
        assert_eq!(raw.categories.len(), 2);
    }
}
