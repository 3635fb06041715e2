//! Run-length masks, their unions, intersections and overlaps equal those of pycocotools 2.0.11.

use serde::Deserialize;
use tp_core::ImageHw;
use tp_data::{BoxXywh, Overlap, Rle};

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    height: u32,
    width: u32,
    #[serde(flatten)]
    task: Task,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Task {
    RleUncompressed { input: Vec<i64>, expect: Expected },
    RleCompressed { input: String, expect: Expected },
    MergeUnion { input: Vec<String>, expect: Expected },
    MergeIntersection { input: Vec<String>, expect: Expected },
    Iou { input: IouInput, expect: IouExpected },
}

#[derive(Deserialize)]
struct Expected {
    area: usize,
    bbox: [f64; 4],
    counts: String,
    sum_x: usize,
    sum_y: usize,
}

#[derive(Deserialize)]
struct IouInput {
    dt: Vec<String>,
    gt: Vec<String>,
    iscrowd: Vec<u8>,
}

#[derive(Deserialize)]
struct IouExpected {
    mask_iou: Vec<Vec<f64>>,
    bbox_iou: Vec<Vec<f64>>,
    dt_bbox: Vec<[f64; 4]>,
    gt_bbox: Vec<[f64; 4]>,
}

#[test]
fn all_cases_equal_those_of_pycocotools() {
    let file: File = serde_json::from_str(include_str!("fixtures/rle_masks.json")).unwrap();
    assert_eq!(file.cases.len(), 120);
    for (at, Case { height, width, task }) in file.cases.iter().enumerate() {
        let size = ImageHw::new(*height, *width).unwrap();
        let unpacked = |packed: &String| Rle::from_packed(size, packed.as_bytes()).unwrap();
        let merged = |input: &[String], merge: fn(&Rle, &Rle) -> Rle| {
            input.iter().map(unpacked).reduce(|one, other| merge(&one, &other)).unwrap()
        };
        match task {
            Task::RleUncompressed { input, expect } => {
                check(at, &Rle::from_counts(size, input).unwrap(), expect)
            }
            Task::RleCompressed { input, expect } => check(at, &unpacked(input), expect),
            Task::MergeUnion { input, expect } => check(at, &merged(input, Rle::union), expect),
            Task::MergeIntersection { input, expect } => {
                check(at, &merged(input, Rle::intersection), expect)
            }
            Task::Iou { input, expect } => check_iou(at, input, expect, unpacked),
        }
    }
}

fn check(at: usize, found: &Rle, expected: &Expected) {
    assert_eq!(found.to_packed(), expected.counts, "case {at}");
    assert_eq!(found.area(), expected.area, "case {at}");
    assert_eq!(numbers(found.bounding_box()), expected.bbox, "case {at}");
    let mask = found.to_mask();
    let inside =
        || mask.pixels().indexed_iter().filter(|(_, inside)| **inside).map(|(place, _)| place);
    assert_eq!(inside().map(|(_, x)| x).sum::<usize>(), expected.sum_x, "case {at}");
    assert_eq!(inside().map(|(y, _)| y).sum::<usize>(), expected.sum_y, "case {at}");
}

fn check_iou(
    at: usize,
    input: &IouInput,
    expected: &IouExpected,
    unpacked: impl Fn(&String) -> Rle,
) {
    for (row, detected) in input.dt.iter().map(&unpacked).enumerate() {
        let detected_box = detected.bounding_box();
        assert_eq!(numbers(detected_box), expected.dt_bbox[row], "case {at}");
        for (column, truth) in input.gt.iter().map(&unpacked).enumerate() {
            let overlap = if input.iscrowd[column] == 1 { Overlap::First } else { Overlap::Union };
            let truth_box = truth.bounding_box();
            assert_eq!(numbers(truth_box), expected.gt_bbox[column], "case {at}");
            // The fixture's numbers are read to within their last bit.
            assert!(
                (detected.iou(&truth, overlap) - expected.mask_iou[row][column]).abs()
                    <= f64::EPSILON,
                "case {at}"
            );
            let of_boxes = detected_box
                .zip(truth_box)
                .map_or(0.0, |(detected, truth)| detected.iou(&truth, overlap));
            assert!((of_boxes - expected.bbox_iou[row][column]).abs() < 1e-12, "case {at}");
        }
    }
}

fn numbers(bbox: Option<BoxXywh>) -> [f64; 4] {
    bbox.map_or([0.0; 4], |found| [found.x, found.y, found.width, found.height])
}
