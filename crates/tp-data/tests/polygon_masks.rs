//! Polygons are filled exactly as by pycocotools.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use serde::Deserialize;
use tp_core::ImageHw;
use tp_data::{Mask, mask_of_polygons};

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    height: u32,
    width: u32,
    polygons: Vec<Vec<f64>>,
    area: usize,
    bbox: [f64; 4],
    sum_x: usize,
    sum_y: usize,
    counts: String,
}

#[test]
fn eighty_polygon_masks_equal_those_of_pycocotools() {
    let file: File = serde_json::from_str(include_str!("fixtures/polygon_masks.json")).unwrap();
    assert_eq!(file.cases.len(), 80);
    for (index, case) in file.cases.iter().enumerate() {
        let mask = mask_of_polygons(&case.polygons, ImageHw::new(case.height, case.width).unwrap());
        assert_eq!(mask.area(), case.area, "case {index}");
        let bbox = mask
            .bounding_box()
            .map_or([0.0; 4], |found| [found.x, found.y, found.width, found.height]);
        assert_eq!(bbox, case.bbox, "case {index}");
        let inside =
            || mask.pixels().indexed_iter().filter(|(_, inside)| **inside).map(|(place, _)| place);
        assert_eq!(inside().map(|(_, x)| x).sum::<usize>(), case.sum_x, "case {index}");
        assert_eq!(inside().map(|(y, _)| y).sum::<usize>(), case.sum_y, "case {index}");
        assert_eq!(compressed(&mask), case.counts, "case {index}");
    }
}

/// COCO's compressed run lengths: column-major, zeros first, each run from the third on as the
/// difference to the one two before, five bits per character.
fn compressed(mask: &Mask) -> String {
    let mut runs: Vec<i64> = vec![0];
    let mut value = false;
    for &inside in mask.pixels().t().iter() {
        if inside != value {
            runs.push(0);
            value = inside;
        }
        *runs.last_mut().unwrap() += 1;
    }
    let mut text = String::new();
    for (index, &run) in runs.iter().enumerate() {
        let mut rest = if index > 2 { run - runs[index - 2] } else { run };
        loop {
            let bits = (rest & 31) as u8;
            rest >>= 5;
            let more = if bits & 16 != 0 { rest != -1 } else { rest != 0 };
            text.push(char::from(bits + if more { 32 } else { 0 } + 48));
            if !more {
                break;
            }
        }
    }
    text
}
