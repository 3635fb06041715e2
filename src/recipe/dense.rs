//! Dense targets from annotations: the classes of every cell of an image.

use tp_core::{Fit, ImageHw, Letterbox, ModelXy};
use tp_data::{AnnotatedImage, ObjectAnnotation};
use tp_vision::{DenseTargets, QueryTarget, QueryTargets};

use crate::recipe::Vocabulary;

/// The targets of a square image of this side, one cell per 4×4 pixels.
///
/// Where masks overlap, the object in front counts. If an object has no mask, every cell of the
/// image is ignored.
#[must_use]
pub(crate) fn dense_targets(
    annotation: &AnnotatedImage,
    side: usize,
    vocabulary: &Vocabulary,
) -> DenseTargets {
    let cells = side / 4;
    if annotation.objects.iter().any(|object| object.mask.is_none()) {
        return DenseTargets::ignored(cells * cells);
    }
    let letterbox = Letterbox::new(annotation.size, Fit::PadToSquare);
    let mut targets = DenseTargets::background(
        cells * cells,
        vocabulary.categories.len() as u32,
        vocabulary.parts.len() as u32,
    );
    for cell in 0..cells * cells {
        let place = ModelXy {
            x: ((cell % cells) as f64 + 0.5) / cells as f64,
            y: ((cell / cells) as f64 + 0.5) / cells as f64,
        };
        if !is_on_image(place, &letterbox, annotation.size) {
            continue;
        }
        let point = letterbox.unit_from_model(place);
        let (pixel, [row, column]) =
            (annotation.size.pixel_from_unit(point), annotation.size.cell_from_unit(point));
        let holds = |object: &&ObjectAnnotation| {
            object.mask.as_ref().is_some_and(|mask| mask.contains(row, column))
        };
        let Some(object) = annotation.objects.iter().find(holds) else { continue };
        // A category outside the vocabulary is not background either.
        let Some(category) = vocabulary.category(&object.category) else {
            targets.category[cell] = DenseTargets::IGNORED;
            continue;
        };
        targets.category[cell] = category as u32;
        let (x, y) = object.bbox.place_of(pixel);
        let mut place = [
            x,
            y,
            0.5,
            0.5,
            share(object.bbox.width, annotation.size),
            share(object.bbox.height, annotation.size),
        ];
        let part = object
            .parts
            .iter()
            .find(|part| part.mask.as_ref().is_some_and(|mask| mask.contains(row, column)));
        if let Some((part, class)) =
            part.and_then(|part| Some((part, vocabulary.part(&part.name)?)))
        {
            targets.part[cell] = class as u32;
            (place[2], place[3]) = part.bbox.place_of(pixel);
        }
        targets.place[cell * 6..cell * 6 + 6]
            .copy_from_slice(&place.map(|v| v.clamp(0.0, 1.0) as f32));
    }
    targets
}

/// The objects of a square image of this side, as masks over cells of 4×4 pixels; `None` if one has
/// no mask or its category is not in the vocabulary.
#[must_use]
pub(crate) fn query_targets(
    annotation: &AnnotatedImage,
    side: usize,
    vocabulary: &Vocabulary,
) -> QueryTargets {
    let cells = side / 4;
    let letterbox = Letterbox::new(annotation.size, Fit::PadToSquare);
    let pixels: Vec<Option<[usize; 2]>> = (0..cells * cells)
        .map(|cell| {
            let place = ModelXy {
                x: ((cell % cells) as f64 + 0.5) / cells as f64,
                y: ((cell / cells) as f64 + 0.5) / cells as f64,
            };
            is_on_image(place, &letterbox, annotation.size)
                .then(|| annotation.size.cell_from_unit(letterbox.unit_from_model(place)))
        })
        .collect();
    annotation
        .objects
        .iter()
        .map(|object| {
            let (mask, class) = (object.mask.as_ref()?, vocabulary.category(&object.category)?);
            Some(QueryTarget {
                class: class as u32,
                mask: pixels
                    .iter()
                    .map(|pixel| pixel.is_some_and(|[row, column]| mask.contains(row, column)))
                    .collect(),
            })
        })
        .collect()
}

/// Whether a point of the model's square lies on the image and not on its padding.
fn is_on_image(place: ModelXy, letterbox: &Letterbox, size: ImageHw) -> bool {
    let ([height, width], [above, left]) = (letterbox.canvas(), letterbox.padding());
    let (row, column) = (
        place.y * f64::from(height) - f64::from(above),
        place.x * f64::from(width) - f64::from(left),
    );
    (0.0..f64::from(size.height())).contains(&row)
        && (0.0..f64::from(size.width())).contains(&column)
}

/// An extent relative to the image's longer side.
fn share(extent: f64, size: ImageHw) -> f64 {
    extent / f64::from(size.height().max(size.width()))
}

#[cfg(test)]
mod tests {
    use tp_data::{BoxXywh, Mask, PartAnnotation};

    use super::*;

    #[test]
    fn cells_know_their_object_part_and_place() {
        let size = ImageHw::new(32, 32).unwrap();
        let mask = Mask::new(ndarray::Array2::from_shape_fn((32, 32), |(row, column)| {
            row < 16 && column < 16
        }));
        let bbox = BoxXywh { x: 0.0, y: 0.0, width: 16.0, height: 16.0 };
        let part = PartAnnotation {
            id: 0,
            name: "head".into(),
            bbox,
            mask: Some(mask.clone()),
            derived: None,
            also: Vec::new(),
        };
        let object = ObjectAnnotation {
            id: 0,
            category: "cow".into(),
            also: Vec::new(),
            family: None,
            bbox,
            mask: Some(mask),
            parts: vec![part],
            keypoints: Vec::new(),
            derived: None,
        };
        let annotation = AnnotatedImage {
            name: "a".into(),
            size,
            objects: vec![object],
            split: None,
            group: "a".into(),
            source: "test".into(),
            licence: None,
            described: Vec::new(),
        };
        let names = |name: &str| vec![name.to_owned()];
        let vocabulary = Vocabulary::new(names("cow"), names("head"), names("red"));
        let targets = dense_targets(&annotation, 32, &vocabulary); // 8×8 cells, the first 4×4 hold the cow
        assert_eq!((targets.category[0], targets.part[0]), (0, 0));
        assert_eq!((targets.category[4], targets.part[63]), (1, 1));
        // Cell (0, 0) has its center 2 pixels from the edges of a 16-pixel box in a 32-pixel image.
        assert_eq!(targets.place[..6], [0.125, 0.125, 0.125, 0.125, 0.5, 0.5]);
    }
}
