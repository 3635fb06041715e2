//! The rule-based describer on procedural scenes: its facts can be parsed back, and its texts
//! rarely repeat.

use std::collections::HashSet;

use tp_core::{ImageHw, Seed, Style, Triplet};
use tp_data::{
    Lexicon, PointOptions, Rejected, RejectedCounts, RulesTeacher, points_of_image, read_record,
};
use tp_scenes::{Scene, SceneOptions, categories, part_names};

/// Descriptions of every point of many scenes, in one style.
fn written(style: Style, n_scenes: u64) -> (Vec<Triplet>, RejectedCounts) {
    let options = SceneOptions {
        size: ImageHw::new(128, 128).expect("a scene has pixels"),
        ..Default::default()
    };
    let (mut triplets, mut rejected) = (Vec::new(), RejectedCounts::default());
    for index in 0..n_scenes {
        let seed = Seed(5).nth(index);
        let (image, annotation) = Scene::generate(seed, &options).into_parts();
        for (at, target) in
            points_of_image(&image, &annotation, &PointOptions::default(), seed).iter().enumerate()
        {
            match RulesTeacher.triplet(
                &image,
                &annotation,
                target,
                style,
                seed.split("words").nth(at as u64),
            ) {
                Ok(triplet) => triplets.push(triplet),
                Err(reason) => rejected.count(reason),
            }
        }
    }
    (triplets, rejected)
}

fn names(names: impl IntoIterator<Item = &'static str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn every_fact_that_is_said_can_be_read_back() {
    let (categories, parts) =
        (names(categories().iter().map(|category| category.name)), names(part_names()));
    for style in [Style::CoarseToFine, Style::Terse, Style::Colloquial] {
        for Triplet { description, record, .. } in written(style, 60).0 {
            let said = read_record(&description, &categories, &parts);
            assert_eq!(said.category.as_ref(), Some(&record.category), "{description}");
            assert_eq!(said.part, record.part, "{description}");
            assert_eq!(said.colour.as_ref(), Some(&record.colour), "{description}");
            assert_eq!(said.object_cell, Some(record.object_cell), "{description}");
            assert_eq!(said.object_size, Some(record.object_size), "{description}");
            assert_eq!(said.part_cell, record.part_cell, "{description}");
            assert_eq!(said.point_cell, Some(record.point_cell), "{description}");
        }
    }
}

#[test]
fn ten_thousand_descriptions_hold_few_duplicates() {
    let triplets: Vec<Triplet> = [Style::CoarseToFine, Style::Colloquial, Style::Terse]
        .into_iter()
        .flat_map(|style| written(style, 140).0)
        .collect();
    assert!(triplets.len() > 10_000, "{}", triplets.len());
    let distinct: HashSet<&str> =
        triplets.iter().map(|triplet| triplet.description.as_str()).collect();
    let duplicates = 1.0 - distinct.len() as f64 / triplets.len() as f64;
    assert!(duplicates < 0.02, "{duplicates}");
}

#[test]
fn ambiguous_points_are_dropped_and_counted() {
    let (written, rejected) = written(Style::Template, 60);
    assert!(rejected.of(Rejected::Ambiguous) > 0);
    assert!(
        written.iter().all(|triplet| triplet.description.split(' ').count() <= 10),
        "a bare name is short"
    );
}

#[test]
fn the_same_seed_writes_the_same_words() {
    assert_eq!(written(Style::CoarseToFine, 3).0, written(Style::CoarseToFine, 3).0);
}

#[test]
fn any_text_can_be_read() {
    let (categories, parts) =
        (names(categories().iter().map(|category| category.name)), names(part_names()));
    for text in ["", " ", "🦙", "of the of the of the", "upper left of the", &"cow ".repeat(5000)]
    {
        let _ = read_record(text, &categories, &parts);
    }
}

#[test]
fn lexicon_knows_every_name_of_the_scenes() {
    let lexicon = Lexicon::shipped();
    for category in categories() {
        assert!(lexicon.object(category.name).is_some(), "{}", category.name);
        for part in category.parts {
            assert!(lexicon.part(part, Some(category.name)).is_some(), "{part}");
        }
    }
}
