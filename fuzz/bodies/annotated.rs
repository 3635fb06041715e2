//! What must hold of every record that a reader gives, however odd its file is.

use tp_data::{
    AnnotatedImage, BoxXywh, DataError, Dataset, DatasetFormat, ImageFiles, Mask, ReadOptions,
    Strictness,
};

/// Opens a data set strictly and leniently and goes through its records. What is accepted strictly
/// is all there leniently.
pub(crate) fn check(format: DatasetFormat, root: &std::path::Path, load: bool) {
    let [strict, lenient] = [Strictness::Strict, Strictness::Lenient].map(|strictness| {
        let set = format.open(root, ReadOptions { strictness, images: ImageFiles::NotNeeded })?;
        if load { records(set.as_ref()) } else { Ok((set.len(), 0)) }
    });
    if let Ok(strict) = strict {
        assert_eq!(lenient.expect("lenient accepts what strict accepts"), strict);
    }
}

/// How many images, and how many objects, parts and keypoints in them.
fn records(set: &dyn Dataset) -> Result<(usize, usize), DataError> {
    set.labels();
    set.checks();
    let (mut n_images, mut n_annotations) = (0, 0);
    for index in 0..set.len() {
        let loaded = set.load(index)?;
        let Some(image) = loaded.image else { continue };
        n_images += 1;
        for object in &image.objects {
            n_annotations += 1 + object.parts.len() + object.keypoints.len();
            check_area(&image, &object.bbox, object.mask.as_ref());
            for part in &object.parts {
                check_area(&image, &part.bbox, part.mask.as_ref());
            }
            for keypoint in &object.keypoints {
                image.size.unit_from_pixel(keypoint.point).expect("a keypoint lies in its image");
                assert!(keypoint.part.is_none_or(|part| part < object.parts.len()));
            }
        }
    }
    Ok((n_images, n_annotations))
}

fn check_area(image: &AnnotatedImage, bbox: &BoxXywh, mask: Option<&Mask>) {
    let BoxXywh { x, y, width, height } = *bbox;
    let (image_height, image_width) =
        (f64::from(image.size.height()), f64::from(image.size.width()));
    assert!(x >= 0.0 && y >= 0.0 && width > 0.0 && height > 0.0, "{bbox:?}");
    // An edge may be rounded once.
    assert!(
        x + width <= image_width * (1.0 + 1e-12) && y + height <= image_height * (1.0 + 1e-12),
        "{bbox:?}"
    );
    if let Some(mask) = mask {
        assert_eq!(
            mask.pixels().dim(),
            (image.size.height() as usize, image.size.width() as usize)
        );
        assert!(mask.area() > 0);
    }
}
