use std::collections::BTreeSet;

use tp_core::ImageHw;

use super::*;
use crate::{PartAnnotation, PointKind, mirrored, says};

/// Two mugs of which the left one is red and has a handle, and a box to the right of both:
///
/// ```text
///   mug at 20..60    mug at 90..130    box at 150..190    all at heights 60..100
/// ```
fn shelf() -> (RgbImage, AnnotatedImage) {
    let size = ImageHw::new(160, 200).unwrap();
    let mut image = RgbImage::filled(size, [230, 230, 230]);
    let thing = |id: u64, category: &str, x: f64| ObjectAnnotation {
        id,
        category: category.to_owned(),
        also: Vec::new(),
        family: None,
        bbox: BoxXywh { x, y: 60.0, width: 40.0, height: 40.0 },
        mask: None,
        parts: Vec::new(),
        keypoints: Vec::new(),
        derived: None,
    };
    let mut objects = vec![thing(1, "mug", 20.0), thing(2, "mug", 90.0), thing(3, "box", 150.0)];
    for (object, colour) in objects.iter().zip([[210, 30, 30], [30, 60, 200], [120, 75, 40]]) {
        let left = object.bbox.x as usize;
        (60..100).for_each(|row| {
            (left..left + 40).for_each(|column| image.set_pixel(row, column, colour))
        });
    }
    let part = |id, name: &str, x, y| PartAnnotation {
        id,
        name: name.to_owned(),
        also: Vec::new(),
        bbox: BoxXywh { x, y, width: 10.0, height: 20.0 },
        mask: None,
        derived: None,
    };
    objects[0].parts = vec![
        part(1, "handle", 20.0, 70.0),
        part(2, "stripe", 30.0, 60.0),
        part(3, "stripe", 48.0, 60.0),
    ];
    let annotation = AnnotatedImage {
        name: "shelf.png".to_owned(),
        size,
        objects,
        split: None,
        group: "shelf".to_owned(),
        source: "test".to_owned(),
        licence: None,
        described: Vec::new(),
    };
    (image, annotation)
}

fn target(object: usize, part: Option<usize>, x: f64, y: f64) -> PointTarget {
    PointTarget {
        point: PixelXy { x, y },
        object,
        part,
        keypoint: None,
        kind: PointKind::Annotated,
    }
}

/// The texts for a target under many seeds, in lower case.
fn said(
    image: &RgbImage,
    annotation: &AnnotatedImage,
    target: &PointTarget,
    n: u64,
) -> Vec<String> {
    (0..n)
        .filter_map(|seed| {
            RulesTeacher.triplet(image, annotation, target, Style::Spoken, Seed(7).nth(seed)).ok()
        })
        .map(|triplet| triplet.description)
        .collect()
}

fn has(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.to_lowercase().contains(word))
}

#[test]
fn what_is_said_of_the_left_mug_fits_no_other() {
    let (image, annotation) = shelf();
    let texts = said(&image, &annotation, &target(0, None, 40.0, 80.0), 400);
    assert_eq!(texts.len(), 400);
    for text in &texts {
        // The only properties that do not also apply to the other mug are its side and its color:
        // both are left of the box.
        assert!(has(text, &["left", "lfet", "red", "lef"]), "{text}");
        assert!(!has(text, &["right", "blue", "next to", "beside", "brown"]), "{text}");
    }
}

#[test]
fn what_is_said_of_the_box_is_true() {
    let (image, annotation) = shelf();
    let texts = said(&image, &annotation, &target(2, None, 170.0, 80.0), 400);
    for text in &texts {
        assert!(
            !has(text, &["left", "above", "under", "between", "in front", "blue", "red"]),
            "{text}"
        );
    }
    // The only box needs no modifiers, but may have some: its side of the picture and its color. It
    // has no relation to "the mug", of which there are two.
    let all: BTreeSet<&str> = texts.iter().map(String::as_str).collect();
    assert!(
        all.contains("the box")
            && texts.iter().any(|text| has(text, &["brown"]))
            && texts.iter().any(|text| has(text, &["on the right"]))
    );
    assert!(texts.iter().all(|text| !has(text, &["mug", "cup"])), "{all:?}");
}

#[test]
fn parts_are_spoken_of_in_all_the_ways_of_people() {
    let (image, annotation) = shelf();
    let texts = said(&image, &annotation, &target(0, Some(0), 24.0, 80.0), 1500);
    for (way, words) in [
        ("part alone", "the handle"),
        ("possessive", "mug's handle"),
        ("synonym of the object", "cup's handle"),
        ("synonym of the part", "grip"),
        ("of", "handle of the left mug"),
        ("colour first", "the red mug's handle"),
        ("command with the part", "by its handle"),
        ("command", "point at the"),
        ("without article", "handle of the mug on the left"),
        ("question", "where is the"),
        ("place in the part", " of the handle"),
    ] {
        assert!(texts.iter().any(|text| has(text, &[words])), "{way}");
    }
    assert!(texts.iter().all(|text| !has(text, &["right", "blue"])));
    let share = |holds: &dyn Fn(&&String) -> bool| {
        texts.iter().filter(holds).count() as f64 / texts.len() as f64
    };
    let questions =
        share(&|text| text.ends_with('?') || has(text, &["can you", "where is", "do you"]));
    assert!((0.02..0.09).contains(&questions), "{questions}");
}

#[test]
fn a_few_texts_have_a_slip_in_one_word() {
    let (image, annotation) = shelf();
    let known: BTreeSet<String> = said(&image, &annotation, &target(0, Some(0), 24.0, 80.0), 1200)
        .iter()
        .flat_map(|text| crate::lexicon::normal_words(text))
        .fold(std::collections::BTreeMap::<String, usize>::new(), |mut counts, word| {
            *counts.entry(word).or_default() += 1;
            counts
        })
        .into_iter()
        .filter_map(|(word, n)| (n >= 10).then_some(word))
        .collect();
    let texts = said(&image, &annotation, &target(0, Some(0), 24.0, 80.0), 1200);
    let slipped = texts
        .iter()
        .filter(|text| crate::lexicon::normal_words(text).iter().any(|word| !known.contains(word)))
        .count();
    let share = slipped as f64 / texts.len() as f64;
    assert!((0.01..0.08).contains(&share), "{share}");
}

#[test]
fn two_parts_of_a_name_are_told_apart() {
    let (image, annotation) = shelf();
    let texts = said(&image, &annotation, &target(0, Some(2), 52.0, 70.0), 300);
    assert!(!texts.is_empty());
    for text in texts.iter().filter(|text| says(text, &["stripe"])) {
        assert!(has(text, &["right"]), "{text}");
    }
}

#[test]
fn what_nothing_tells_apart_is_not_described() {
    let (image, mut annotation) = shelf();
    annotation.objects.truncate(2);
    annotation.objects[0].parts.clear();
    annotation.objects[1].bbox = annotation.objects[0].bbox;
    let twins = RulesTeacher.triplet(
        &image,
        &annotation,
        &target(0, None, 40.0, 80.0),
        Style::Spoken,
        Seed(0),
    );
    assert_eq!(twins, Err(Rejected::Ambiguous));
}

#[test]
fn a_keypoint_is_spoken_of_as_the_place_that_it_is() {
    let (image, mut annotation) = shelf();
    annotation.objects[0].keypoints = vec![crate::Keypoint {
        name: "l_corner".to_owned(),
        point: PixelXy { x: 24.0, y: 80.0 },
        visibility: crate::KeypointVisibility::Visible,
        part: Some(0),
    }];
    let keypoint = PointTarget { keypoint: Some(0), ..target(0, Some(0), 24.0, 80.0) };
    let texts = said(&image, &annotation, &keypoint, 400);
    let named: Vec<&String> = texts.iter().filter(|text| says(text, &["left corner"])).collect();
    assert!(named.len() > 200);
    // A third of the handle's box is not a part of a corner.
    for text in named {
        assert!(
            !has(text, &["middle of", "center of", "part of the left corner", "top of", "end of"])
                || has(text, &["red"]),
            "{text}"
        );
    }
}

#[test]
fn a_car_is_not_below_the_house_behind_it() {
    let (image, mut annotation) = shelf();
    annotation.objects.truncate(2);
    annotation.objects[0] = ObjectAnnotation {
        category: "facade".to_owned(),
        bbox: BoxXywh { x: 0.0, y: 0.0, width: 200.0, height: 60.0 },
        parts: Vec::new(),
        ..annotation.objects[0].clone()
    };
    annotation.objects[1].category = "car".to_owned();
    let texts = said(&image, &annotation, &target(1, None, 110.0, 80.0), 300);
    assert!(
        texts.len() == 300
            && texts.iter().all(|text| !has(text, &["below", "under", "facade", "house"]))
    );
}

#[test]
fn the_mirror_image_is_spoken_of_as_it_looks() {
    let (image, annotation) = shelf();
    let (image, annotation) = mirrored(&image, &annotation);
    // Columns 40 of 200 have gone to 159.
    let texts = said(&image, &annotation, &target(0, None, 159.0, 80.0), 200);
    assert!(texts.iter().all(|text| !has(text, &["left"])));
    assert!(texts.iter().any(|text| has(text, &["right"])));
}

#[test]
fn data_sets_words_become_everyday_words() {
    let (image, mut annotation) = shelf();
    annotation.objects.truncate(1);
    annotation.objects[0].category = "cattle".to_owned();
    annotation.objects[0].parts.truncate(1);
    annotation.objects[0].parts[0].name = "left hindleg".to_owned();
    let texts = said(&image, &annotation, &target(0, Some(0), 24.0, 80.0), 300);
    assert!(texts.iter().all(|text| !has(text, &["cattle", "right"])));
    assert!(texts.iter().any(|text| has(text, &["cow's left hindleg"])));
    // Without the pixels no whole thing has a colour, and the same seed says the same.
    let record = RulesTeacher.record(&image, &annotation, &target(0, Some(0), 24.0, 80.0)).unwrap();
    let write = || {
        RulesTeacher.write(
            &annotation,
            &target(0, Some(0), 24.0, 80.0),
            &record,
            Style::Spoken,
            Seed(3),
        )
    };
    assert_eq!(write(), write());
}
