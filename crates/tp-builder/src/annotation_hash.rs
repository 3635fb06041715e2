//! A SHA-256 of the annotation of an image: boxes, masks and names, independent of the file from
//! which they were read.

use sha2::{Digest, Sha256};

use crate::ContentKey;
use tp_data::{AnnotatedImage, BoxXywh, DescribedPoint, Mask};

/// Hashes everything on which a point or a text can depend.
pub(crate) fn annotation_hash(image: &AnnotatedImage) -> ContentKey {
    let mut hash = Running(Sha256::new());
    let licence = image
        .licence
        .as_ref()
        .map(|licence| format!("{}\n{}\n{:?}", licence.name, licence.url, licence.attribution));
    hash.number(u64::from(image.size.height())).number(u64::from(image.size.width()));
    hash.text(&image.name)
        .text(&image.group)
        .text(&image.source)
        .text(&format!("{:?}", image.split))
        .text(&licence.unwrap_or_default());
    hash.number(image.objects.len() as u64);
    for object in &image.objects {
        hash.number(object.id)
            .text(&object.category)
            .text(object.family.as_deref().unwrap_or_default());
        hash.outline(object.bbox, object.mask.as_ref())
            .text(object.derived.as_deref().unwrap_or_default());
        hash.number(object.parts.len() as u64);
        for part in &object.parts {
            hash.number(part.id).text(&part.name).outline(part.bbox, part.mask.as_ref());
        }
        hash.number(object.keypoints.len() as u64);
        for keypoint in &object.keypoints {
            hash.text(&keypoint.name)
                .number(keypoint.point.x.to_bits())
                .number(keypoint.point.y.to_bits());
            hash.number(keypoint.visibility as u64)
                .number(keypoint.part.map_or(u64::MAX, |part| part as u64));
        }
    }
    // Images without names keep their previous hash, by which unfinished builds know them.
    let names = image.objects.iter().flat_map(|object| {
        std::iter::once(&object.also).chain(object.parts.iter().map(|part| &part.also))
    });
    for (at, also) in names.enumerate().filter(|(_, also)| !also.is_empty()) {
        hash.text("also").number(at as u64).number(also.len() as u64);
        for name in also {
            hash.text(name);
        }
    }
    for point in &image.described {
        hash.described(point);
    }
    ContentKey::of_hash(hash.0)
}

struct Running(Sha256);

impl Running {
    fn number(&mut self, number: u64) -> &mut Self {
        self.0.update(number.to_le_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as u64).0.update(text);
        self
    }

    fn described(&mut self, point: &DescribedPoint) -> &mut Self {
        self.text("described").number(point.point.x.to_bits()).number(point.point.y.to_bits());
        self.number(point.object as u64).number(point.part.map_or(u64::MAX, |part| part as u64));
        for said in [&point.colour, &point.material, &point.look] {
            self.text(said.as_deref().unwrap_or_default());
        }
        self.number(point.texts.len() as u64);
        for text in &point.texts {
            self.number(text.kind as u64).text(&text.text);
        }
        self
    }

    fn outline(&mut self, bbox: BoxXywh, mask: Option<&Mask>) -> &mut Self {
        for edge in [bbox.x, bbox.y, bbox.width, bbox.height] {
            self.number(edge.to_bits());
        }
        self.number(u64::from(mask.is_some()));
        if let Some(mask) = mask {
            // Most rows of most masks are empty, and the other rows have about a hundred times
            // fewer runs than pixels.
            for (index, row) in mask.pixels().rows().into_iter().enumerate() {
                if row.as_slice().is_none_or(|row| row.contains(&true)) {
                    self.number(index as u64);
                    self.runs(row.iter().copied());
                }
            }
            self.number(u64::MAX);
        }
        self
    }

    /// The lengths of alternating runs, outside first.
    fn runs(&mut self, row: impl Iterator<Item = bool>) {
        let (mut length, mut inside) = (0_u64, false);
        for pixel in row {
            if pixel != inside {
                self.number(length);
                (length, inside) = (0, pixel);
            }
            length += 1;
        }
        self.number(length).number(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tp_data::{PointText, TextKind};
    use tp_scenes::Scene;

    #[test]
    fn every_change_shows() {
        let scene = Scene::generate(tp_core::Seed(3), &tp_scenes::SceneOptions::default());
        let image = &mut scene.annotation().clone();
        let text = PointText { kind: TextKind::Spoken, text: "its head".to_owned() };
        let point = tp_core::PixelXy { x: 3.0, y: 4.0 };
        image.described = vec![DescribedPoint {
            point,
            object: 0,
            part: None,
            colour: None,
            material: None,
            look: None,
            texts: vec![text],
        }];
        let before = annotation_hash(image);
        assert_eq!(before, annotation_hash(&image.clone()));
        let changes: [fn(&mut AnnotatedImage); 11] = [
            |image| image.objects[0].also.push("x".to_owned()),
            |image| image.objects[0].parts[0].also.push("x".to_owned()),
            |image| image.described[0].point.x += 1e-9,
            |image| image.described[0].texts[0].kind = TextKind::Structured,
            |image| image.described.clear(),
            |image| image.name.push('x'),
            |image| image.objects[0].category.push('x'),
            |image| image.objects[0].bbox.width += 1e-9,
            |image| image.objects[0].parts[0].name.push('x'),
            |image| drop(image.objects[0].parts.pop()),
            |image| {
                let mask = image.objects[0].parts[0].mask.as_mut().unwrap();
                let pixel = mask.pixels_mut().first_mut().unwrap();
                *pixel = !*pixel;
            },
        ];
        for (at, change) in changes.into_iter().enumerate() {
            let mut changed = image.clone();
            change(&mut changed);
            assert_ne!(annotation_hash(&changed), before, "{at}");
        }
    }
}
