//! A training sample: an image with its annotation and a few described points.

use std::collections::HashMap;

use rand::{Rng, RngExt, seq::IndexedRandom, seq::SliceRandom};
use tp_core::{COLOURS, RgbImage, Seed, Style, Triplet};
use tp_data::{
    AnnotatedImage, DescribedPoint, Lexicon, PointKind, PointOptions, PointTarget, Rejected,
    RulesTeacher, points_of_image,
};

/// How samples are made from images.
#[derive(Clone, Debug)]
pub struct SampleSettings {
    /// Described points per image, 0 to train the vision encoder alone. If an image has fewer
    /// describable points, some are repeated with different wording.
    pub n_points: usize,
    /// Weights of the description styles, in the order of [`Style::ALL`].
    pub style_weights: [f64; Style::ALL.len()],
    /// How points are chosen on images without human-described points.
    pub points: PointOptions,
    /// The share of samples whose objects are renamed with other nouns of the lexicon. Only for
    /// texts that are never compared with an image.
    pub foreign_nouns: f64,
    /// The share of described points that the Localizer receives in people's own words, whatever
    /// the style of the sample.
    pub own_words: f64,
}

impl Default for SampleSettings {
    fn default() -> Self {
        Self {
            n_points: 8,
            style_weights: [0.4, 0.3, 0.25, 0.05, 0.0],
            points: PointOptions::default(),
            foreign_nouns: 0.0,
            own_words: 0.0,
        }
    }
}

/// One training image with its described points.
#[derive(Clone, Debug)]
pub struct TrainingSample {
    /// The pixels.
    pub image: RgbImage,
    /// The annotation of the image.
    pub annotation: AnnotatedImage,
    /// Exactly [`SampleSettings::n_points`] described points.
    pub triplets: Vec<Triplet>,
    /// The same points with the texts for the Localizer, most of them the descriptions above.
    pub queries: Vec<Triplet>,
}

impl TrainingSample {
    /// Makes a sample, or `None` if no point of the image can be described without ambiguity.
    ///
    /// If people have described points on the image, only these are used, and [`Style::Spoken`]
    /// means their own words.
    #[must_use]
    pub fn new(
        image: RgbImage,
        annotation: AnnotatedImage,
        teacher: &RulesTeacher,
        options: &SampleSettings,
        seed: Seed,
    ) -> Option<Self> {
        if options.n_points == 0 {
            return Some(Self { image, annotation, triplets: Vec::new(), queries: Vec::new() });
        }
        let mut rng = seed.split("choice").rng();
        let annotation = if rng.random::<f64>() < options.foreign_nouns {
            renamed(annotation, &mut rng)
        } else {
            annotation
        };
        let mut targets: Vec<(PointTarget, Option<&DescribedPoint>)> =
            if annotation.described.is_empty() {
                let targets =
                    points_of_image(&image, &annotation, &options.points, seed.split("points"));
                targets.into_iter().map(|target| (target, None)).collect()
            } else {
                annotation
                    .described
                    .iter()
                    .map(|described| (target_of(described), Some(described)))
                    .collect()
            };
        targets.shuffle(&mut rng);
        let total: f64 = options.style_weights.iter().sum();
        let (mut triplets, mut queries) =
            (Vec::with_capacity(options.n_points), Vec::with_capacity(options.n_points));
        // A second round repeats points with different wording; a third would add nothing.
        for round in 0..2 {
            for (index, (target, described)) in targets.iter().enumerate() {
                if triplets.len() == options.n_points {
                    break;
                }
                let style = drawn_style(rng.random::<f64>() * total, &options.style_weights);
                let seed = seed.split("words").nth((round * targets.len() + index) as u64);
                let triplet = match described {
                    Some(described) => {
                        triplet_of(described, target, &image, &annotation, teacher, style, seed)
                    }
                    None => teacher.triplet(&image, &annotation, target, style, seed),
                };
                let Ok(triplet) = triplet else { continue };
                let own = described.and_then(|described| {
                    own_words(described, options.own_words, seed.split("own"))
                });
                queries.push(match own {
                    Some(description) => {
                        Triplet { description, style: Style::Spoken, ..triplet.clone() }
                    }
                    None => triplet.clone(),
                });
                triplets.push(triplet);
            }
        }
        if triplets.is_empty() {
            return None;
        }
        let n_distinct = triplets.len();
        while triplets.len() < options.n_points {
            let again = triplets.len() % n_distinct;
            triplets.push(triplets[again].clone());
            queries.push(queries[again].clone());
        }
        Some(Self { image, annotation, triplets, queries })
    }
}

fn target_of(described: &DescribedPoint) -> PointTarget {
    PointTarget {
        point: described.point,
        object: described.object,
        part: described.part,
        keypoint: None,
        kind: PointKind::Annotated,
    }
}

/// A human text about a point, with the given probability.
fn own_words(described: &DescribedPoint, share: f64, seed: Seed) -> Option<String> {
    let mut rng = seed.rng();
    (rng.random::<f64>() < share)
        .then(|| described.texts.choose(&mut rng).map(|text| text.text.clone()))
        .flatten()
}

/// A described point with its text: in people's own words where requested, otherwise by the rules
/// with the color that people named.
fn triplet_of(
    described: &DescribedPoint,
    target: &PointTarget,
    image: &RgbImage,
    annotation: &AnnotatedImage,
    teacher: &RulesTeacher,
    style: Style,
    seed: Seed,
) -> Result<Triplet, Rejected> {
    let mut record = teacher.record(image, annotation, target)?;
    if let Some(colour) =
        described.colour.as_ref().filter(|colour| COLOURS.contains(&colour.as_str()))
    {
        record.colour.clone_from(colour);
    }
    let description = match described.texts.choose(&mut seed.split("text").rng()) {
        Some(text) if style == Style::Spoken => text.text.clone(),
        _ => teacher.write(annotation, target, &record, style, seed)?,
    };
    Ok(Triplet {
        image: annotation.name.clone(),
        size: annotation.size,
        point: annotation.size.unit_from_pixel(target.point).map_err(|_| Rejected::OutsideImage)?,
        description,
        style,
        record,
        source: annotation.source.clone(),
        group: annotation.group.clone(),
    })
}

/// The annotation with other nouns: one of the lexicon for every category and for every part name.
fn renamed(mut annotation: AnnotatedImage, rng: &mut impl Rng) -> AnnotatedImage {
    let lexicon = Lexicon::shipped();
    let (mut objects, mut parts) = (HashMap::new(), HashMap::new());
    for object in &mut annotation.objects {
        let new = objects
            .entry(object.category.clone())
            .or_insert_with(|| lexicon.objects().choose(rng).map(|noun| noun.name.clone()));
        object.category = new.clone().unwrap_or_default();
        object.also.clear();
        for part in &mut object.parts {
            let new = parts
                .entry(part.name.clone())
                .or_insert_with(|| lexicon.parts().choose(rng).map(|noun| noun.name.clone()));
            part.name = new.clone().unwrap_or_default();
            part.also.clear();
        }
        object.keypoints.clear();
    }
    annotation.described.clear();
    annotation
}

impl SampleSettings {
    /// Settings in which a fifth of the samples is in the spoken style, and most human-described
    /// points are localized from people's own words.
    #[must_use]
    pub fn spoken() -> Self {
        Self { style_weights: [0.5, 0.15, 0.1, 0.05, 0.2], own_words: 0.6, ..Self::default() }
    }

    /// The same settings with a single style for all texts, drawn by the style weights.
    ///
    /// Texts of one style have similar lengths, so that a batch needs little padding.
    #[must_use]
    pub fn in_one_style(&self, seed: Seed) -> Self {
        let total: f64 = self.style_weights.iter().sum();
        let style = drawn_style(seed.rng().random::<f64>() * total, &self.style_weights);
        Self {
            style_weights: Style::ALL.map(|other| f64::from(u8::from(other == style))),
            ..self.clone()
        }
    }
}

fn drawn_style(mut at: f64, weights: &[f64]) -> Style {
    for (style, weight) in Style::ALL.into_iter().zip(weights) {
        if at < *weight {
            return style;
        }
        at -= weight;
    }
    Style::CoarseToFine
}

#[cfg(test)]
mod tests {
    use tp_core::{ImageHw, PixelXy};
    use tp_data::{BoxXywh, ObjectAnnotation, PartAnnotation, PointText, TextKind};
    use tp_scenes::{Scene, SceneOptions};

    use super::*;

    fn in_style(style: Style) -> SampleSettings {
        let style_weights = Style::ALL.map(|other| f64::from(u8::from(other == style)));
        SampleSettings { n_points: 4, style_weights, ..Default::default() }
    }

    /// A gray picture with a mug whose handle a person has described.
    fn described() -> (RgbImage, AnnotatedImage) {
        let size = ImageHw::new(40, 60).unwrap();
        let bbox = BoxXywh { x: 10.0, y: 10.0, width: 30.0, height: 20.0 };
        let handle = BoxXywh { x: 32.0, y: 14.0, width: 8.0, height: 10.0 };
        let part = PartAnnotation {
            id: 0,
            name: "handle".into(),
            also: Vec::new(),
            bbox: handle,
            mask: None,
            derived: None,
        };
        let object = ObjectAnnotation {
            id: 0,
            category: "mug".into(),
            also: Vec::new(),
            family: None,
            bbox,
            mask: None,
            parts: vec![part],
            keypoints: Vec::new(),
            derived: None,
        };
        let text = |kind, text: &str| PointText { kind, text: text.to_owned() };
        let point = DescribedPoint {
            point: PixelXy { x: 36.0, y: 19.0 },
            object: 0,
            part: Some(0),
            colour: Some("blue".into()),
            material: None,
            look: None,
            texts: vec![
                text(TextKind::Spoken, "grab the mug here"),
                text(TextKind::Structured, "A mug; the point is on its handle."),
            ],
        };
        let annotation = AnnotatedImage {
            name: "a.jpg".into(),
            size,
            objects: vec![object],
            split: None,
            group: "a".into(),
            source: "test".into(),
            licence: None,
            described: vec![point],
        };
        (RgbImage::filled(size, [128; 3]), annotation)
    }

    #[test]
    fn points_of_people_are_taken_with_their_words_and_colours() {
        let (image, annotation) = described();
        let sample = |style, seed| {
            TrainingSample::new(
                image.clone(),
                annotation.clone(),
                &RulesTeacher,
                &in_style(style),
                Seed(seed),
            )
            .unwrap()
            .triplets
        };
        let mut queries = std::collections::BTreeSet::new();
        for triplet in (0..8).flat_map(|seed| sample(Style::Spoken, seed)) {
            assert_eq!(
                annotation.size.pixel_from_unit(triplet.point),
                annotation.described[0].point
            );
            assert_eq!(
                (triplet.record.colour.as_str(), triplet.record.part.as_deref()),
                ("blue", Some("handle"))
            );
            queries.insert(triplet.description);
        }
        assert_eq!(
            queries.into_iter().collect::<Vec<_>>(),
            ["A mug; the point is on its handle.", "grab the mug here"]
        );
        // The rules use the color that people named; the pixels are gray.
        for triplet in sample(Style::CoarseToFine, 0) {
            assert!(
                triplet.description.contains("blue") && !triplet.description.contains("gray"),
                "{}",
                triplet.description
            );
        }
    }

    #[test]
    fn a_point_may_be_asked_for_in_other_words_than_those_that_describe_it() {
        let (image, annotation) = described();
        let options = SampleSettings { own_words: 0.5, ..in_style(Style::CoarseToFine) };
        let mut n_own = 0;
        for seed in 0..8 {
            let sample = TrainingSample::new(
                image.clone(),
                annotation.clone(),
                &RulesTeacher,
                &options,
                Seed(seed),
            )
            .unwrap();
            assert_eq!(sample.queries.len(), sample.triplets.len());
            for (query, triplet) in sample.queries.iter().zip(&sample.triplets) {
                assert_eq!(query.point, triplet.point);
                let is_own =
                    annotation.described[0].texts.iter().any(|text| text.text == query.description);
                assert!(is_own || query == triplet, "{}", query.description);
                n_own += usize::from(is_own);
            }
        }
        assert!((4..28).contains(&n_own), "{n_own} of 32");
    }

    #[test]
    fn foreign_nouns_stand_in_texts_and_records() {
        let lexicon = Lexicon::shipped();
        let options = SampleSettings { foreign_nouns: 1.0, ..in_style(Style::Terse) };
        let mut categories = std::collections::BTreeSet::new();
        for seed in 0..6 {
            let (image, annotation) =
                Scene::generate(Seed(seed), &SceneOptions::default()).into_parts();
            let Some(sample) =
                TrainingSample::new(image, annotation, &RulesTeacher, &options, Seed(seed))
            else {
                continue;
            };
            for triplet in sample.triplets {
                assert!(lexicon.objects().iter().any(|noun| noun.name == triplet.record.category));
                assert!(
                    triplet.description.contains(&triplet.record.category),
                    "{}",
                    triplet.description
                );
                categories.insert(triplet.record.category);
            }
        }
        assert!(categories.len() > 4);
    }
}
