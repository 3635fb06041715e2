//! Our SIFT detector finds the same keypoints as OpenCV's. The reference is written by
//! `tests/oracles/sift_keypoints.py`.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::path::{Path, PathBuf};

use ndarray::Array2;
use serde::Deserialize;
use tp_data::{
    DecodeOptions, GreyImage, Mask, SiftKeypoint, SiftOptions, decode_image, sift_keypoints,
};

/// A keypoint matches if one lies within half a pixel and differs by at most 5 % in size.
const PLACE_TOLERANCE_PX: f32 = 0.5;
const SIZE_TOLERANCE: f32 = 0.05;
/// Keypoints at a threshold depend on rounding: OpenCV's own builds differ by about 0.1 %.
const MIN_SHARE: f64 = 0.97;

#[derive(Deserialize)]
struct Reference {
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    file: String,
    /// `[x, y, size, response]`.
    keypoints: Vec<[f32; 4]>,
    masks: Vec<Rectangle>,
}

#[derive(Deserialize)]
struct Rectangle {
    #[serde(rename = "box")]
    xywh: [usize; 4],
    strongest: Option<[f32; 4]>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sift")
}

fn found_in(image: &Image) -> (GreyImage, Vec<SiftKeypoint>) {
    let grey = GreyImage::from_rgb(
        &decode_image(&fixtures().join(&image.file), &DecodeOptions::default()).unwrap(),
    );
    let keypoints = sift_keypoints(&grey, &SiftOptions::default()).unwrap();
    (grey, keypoints)
}

fn same([x, y, size, _]: [f32; 4], [other_x, other_y, other_size, _]: [f32; 4]) -> bool {
    (x - other_x).hypot(y - other_y) <= PLACE_TOLERANCE_PX
        && (size / other_size - 1.0).abs() <= SIZE_TOLERANCE
}

fn numbers(keypoint: &SiftKeypoint) -> [f32; 4] {
    [keypoint.x, keypoint.y, keypoint.size, keypoint.response]
}

/// The share of `these` that is also among `those`.
fn share(these: &[[f32; 4]], those: &[[f32; 4]]) -> f64 {
    these.iter().filter(|this| those.iter().any(|that| same(**this, *that))).count() as f64
        / these.len() as f64
}

#[test]
fn keypoints_are_those_of_opencv_and_the_other_way_round() {
    let reference: Reference =
        serde_json::from_slice(&std::fs::read(fixtures().join("keypoints.json")).unwrap()).unwrap();
    let (mut n_masks, mut n_same) = (0, 0);
    for image in &reference.images {
        let (grey, found) = found_in(image);
        let ours: Vec<_> = found.iter().map(numbers).collect();
        let (theirs_found, ours_confirmed) =
            (share(&image.keypoints, &ours), share(&ours, &image.keypoints));
        println!(
            "{}: {theirs_found:.4} of OpenCV's found, {ours_confirmed:.4} of ours confirmed",
            image.file
        );
        assert!(
            theirs_found >= MIN_SHARE && ours_confirmed >= MIN_SHARE,
            "{}: {theirs_found} {ours_confirmed}",
            image.file
        );

        let (height, width) = (grey.size().height() as usize, grey.size().width() as usize);
        for Rectangle { xywh: [x, y, w, h], strongest } in &image.masks {
            let inside = |(row, column): (usize, usize)| {
                (*y..y + h).contains(&row) && (*x..x + w).contains(&column)
            };
            let mask = Mask::new(Array2::from_shape_fn((height, width), inside));
            let first = found.iter().find(|keypoint| keypoint.is_in(&mask)).map(numbers);
            n_masks += 1;
            n_same += usize::from(match (first, strongest) {
                (Some(ours), Some(theirs)) => same(ours, *theirs),
                (ours, theirs) => ours.is_none() && theirs.is_none(),
            });
        }
    }
    println!("strongest in the mask: {n_same} of {n_masks}");
    assert!(
        f64::from(n_same as u32) >= MIN_SHARE * f64::from(n_masks as u32),
        "{n_same} of {n_masks}"
    );
}
