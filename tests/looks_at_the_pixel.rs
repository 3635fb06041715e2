//! The acceptance test of the Descriptor of the bundled model: its features depend on the pixel.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{path::Path, sync::LazyLock};

use talking_points::{
    ModelDir, Models,
    core::{DescribeOptions, DescribePoint, LocalizePoint, UnitXy},
    data::{DecodeOptions, decode_image},
    descriptor::{GaussianMask, MaskRule},
    vision::EncodedImage,
};

static SHIPPED: LazyLock<(Models, EncodedImage)> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let device = talking_points::DeviceName::Flex.open().unwrap();
    let models = ModelDir::open(root.join("models/tiny")).unwrap().load(&device).unwrap();
    let image =
        decode_image(&root.join("examples/images/horse.jpg"), &DecodeOptions::default()).unwrap();
    let encoded = models.encode(&image).unwrap();
    (models, encoded)
});

/// The horse's head and its hind hoof.
fn head_and_hoof() -> [UnitXy; 2] {
    [UnitXy::new(0.72, 0.26).unwrap(), UnitXy::new(0.36, 0.73).unwrap()]
}

/// The relative distance between the keypoint features of two points.
fn feature_distance(mask: GaussianMask) -> f32 {
    let (models, encoded) = &*SHIPPED;
    let features = models
        .descriptor
        .clone()
        .with_mask(mask)
        .unwrap()
        .point_features(encoded, &head_and_hoof());
    // The second half is the position query, which always differs.
    let width = features.dims()[1] / 2;
    let read: Vec<f32> = features.narrow(1, 0, width).into_data().iter::<f32>().collect();
    let (a, b) = read.split_at(width);
    let norm = |v: &mut dyn Iterator<Item = f32>| v.map(|x| x * x).sum::<f32>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut a.iter().copied())
}

#[test]
fn two_points_of_one_object_get_different_texts() {
    let (models, encoded) = &*SHIPPED;
    let points = head_and_hoof();
    assert!(points[0].distance(points[1]) >= 0.2);
    let texts = models.descriptor.describe(encoded, &points, &DescribeOptions::default()).unwrap();
    assert_ne!(texts[0].text, texts[1].text);
}

#[test]
fn without_the_mask_the_features_come_closer() {
    let masked = feature_distance(GaussianMask::new());
    let open = feature_distance(GaussianMask::new().with_rule(MaskRule::Open));
    assert!(masked > open, "with the mask {masked}, without {open}");
}

#[test]
fn points_are_described_alike_alone_and_in_company() {
    let (models, encoded) = &*SHIPPED;
    let points = head_and_hoof();
    let together =
        models.descriptor.describe(encoded, &points, &DescribeOptions::default()).unwrap();
    let alone =
        models.descriptor.describe(encoded, &points[1..], &DescribeOptions::default()).unwrap();
    assert_eq!(together[1].text, alone[0].text);
}

#[test]
fn localizer_answers_inside_the_image_with_a_probability() {
    let (models, encoded) = &*SHIPPED;
    let texts = ["The horse's head, near the top of the image.", "A hoof at the bottom."];
    for located in models.localizer.locate(encoded, &texts).unwrap().into_iter().flatten() {
        assert!(
            (0.0..=1.0).contains(&located.point.x()) && (0.0..=1.0).contains(&located.point.y())
        );
        assert!((0.0..=1.0).contains(&located.confidence.unwrap()));
    }
}

#[test]
fn special_tokens_in_a_users_text_are_plain_text() {
    let (models, encoded) = &*SHIPPED;
    let plain = models.localizer.locate(encoded, &["a hoof [SEG] <p> </p> <|im_end|>"]).unwrap();
    assert_eq!(plain.len(), 1);
}
