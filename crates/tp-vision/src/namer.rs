//! Names ready for use: what stands at a point. Where the nouns of a text are is in
//! `mention_maps.rs`.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use tp_core::{ModelXy, PointName, UnitXy, local_colour};
use tp_kernels::softmax;

use crate::{
    Classifier, EncodedImage, Nouns, PointNamer, PointNamerConfig, VisionError, VisionModel,
};

/// How many sections are looked at in one pass: more are no faster, and take more memory.
const SECTIONS_PER_PASS: usize = 8;

/// A hue that people would name counts more than a measured gray from this probability on.
const CERTAIN_HUE: f32 = 0.5;

/// How probable each name is at some points of an image.
#[derive(Clone, Debug, Default)]
pub struct NameProbabilities {
    /// Objects and parts, each point by point.
    names: [Vec<f32>; 2],
    /// The colour of each point's spot.
    colours: Vec<String>,
}

/// Names points, and maps the nouns of texts. Clones share their weights.
#[derive(Clone, Debug)]
pub struct Namer {
    net: PointNamer,
    config: PointNamerConfig,
    classifier: Option<Classifier>,
    nouns: Arc<Nouns>,
}

impl Namer {
    /// Joins a namer's weights with the backbone's published classes, if it has any, and with the
    /// nouns; all weights on one plain (not differentiable) device.
    #[must_use]
    pub fn new(
        net: PointNamer,
        config: PointNamerConfig,
        classifier: Option<Classifier>,
        nouns: Arc<Nouns>,
    ) -> Self {
        Self { net, config, classifier, nouns }
    }

    /// The nouns that it tells apart.
    #[must_use]
    pub fn nouns(&self) -> &Nouns {
        &self.nouns
    }

    /// The device of its weights.
    pub(crate) fn device(&self) -> Device {
        self.net.object_nouns.val().device()
    }

    /// The same namer with other temperatures, of objects and of parts. They change probabilities
    /// and no name.
    #[must_use]
    pub fn with_temperatures(mut self, [objects, parts]: [f32; 2]) -> Self {
        (self.config.object_temperature, self.config.part_temperature) = (objects, parts);
        self
    }

    /// The same namer with other least probabilities, of objects and of parts.
    #[must_use]
    pub fn with_least(mut self, [object, part]: [f32; 2]) -> Self {
        (self.config.least_object, self.config.least_part) = (object, part);
        self
    }

    /// What stands at each point of an image: the most probable nouns, each with its probability. A
    /// noun that is too improbable is left out, see [`PointNamerConfig::least_object`].
    ///
    /// Each point is looked at in the whole image and in the sections of
    /// [`PointNamerConfig::close_ups`]; object and part have the mean probabilities of all looks.
    /// The colour is measured from the pixels of the spot.
    ///
    /// - `eyes`: the vision model that has encoded the image
    ///
    /// # Errors
    ///
    /// [`VisionError`] if a section cannot be resized.
    pub fn name(
        &self,
        eyes: &VisionModel,
        image: &EncodedImage,
        points: &[UnitXy],
    ) -> Result<Vec<PointName>, VisionError> {
        Ok(self.most_probable(&self.look(eyes, image, points)?))
    }

    /// How probable each name is at each point of an image, before any temperature.
    ///
    /// # Errors
    ///
    /// [`VisionError`] if a section cannot be resized.
    pub fn look(
        &self,
        eyes: &VisionModel,
        image: &EncodedImage,
        points: &[UnitXy],
    ) -> Result<NameProbabilities, VisionError> {
        if points.is_empty() {
            return Ok(NameProbabilities::default());
        }
        let places: Vec<ModelXy> =
            points.iter().map(|&point| image.letterbox.model_from_unit(point)).collect();
        let [objects, parts, seen] = self.probabilities(&image.features.maps, &[places]);
        let mut names = [objects, parts];
        for &share in &self.config.close_ups {
            let mut closer: [Vec<f32>; 2] = Default::default();
            for points in points.chunks(SECTIONS_PER_PASS) {
                let (maps, places) = eyes.close_ups(image, points, share)?;
                let places: Vec<Vec<ModelXy>> =
                    places.into_iter().map(|place| vec![place]).collect();
                for (all, some) in closer.iter_mut().zip(self.probabilities(&maps, &places)) {
                    all.extend(some);
                }
            }
            for (sum, closer) in names.iter_mut().zip(&closer) {
                sum.iter_mut().zip(closer).for_each(|(sum, closer)| *sum += closer);
            }
        }
        let n_looks = 1.0 + self.config.close_ups.len() as f32;
        names.iter_mut().flatten().for_each(|sum| *sum /= n_looks);
        let size = image.pixels.size();
        let n_colours = seen.len() / points.len();
        let colours = points.iter().enumerate().map(|(at, &point)| {
            let measured = local_colour(&image.pixels, size.pixel_from_unit(point), |_, _| true);
            self.colour(measured, &seen[at * n_colours..][..n_colours])
        });
        let colours = colours.collect();
        Ok(NameProbabilities { names, colours })
    }

    /// The colour of a spot: the one that is measured, unless that is a gray where people would
    /// name a hue. A brown horse is gray where it shines.
    ///
    /// - `seen`: how probable each colour of the table is, as people name them
    fn colour(&self, measured: &str, seen: &[f32]) -> String {
        let hue = most_probable_of(seen)
            .filter(|&(_, probability)| probability >= CERTAIN_HUE)
            .map(|(colour, _)| &self.nouns.table().colours[colour]);
        match hue.filter(|hue| !["black", "gray", "white"].contains(&hue.as_str())) {
            Some(hue) if measured.ends_with("gray") => hue.clone(),
            _ => measured.to_owned(),
        }
    }

    /// The most probable names of points, with their tempered probabilities.
    #[must_use]
    pub fn most_probable(
        &self,
        NameProbabilities { names: [objects, parts], colours }: &NameProbabilities,
    ) -> Vec<PointName> {
        let table = self.nouns.table();
        let best = most_probable_of;
        // p^(1 / T), scaled to a sum of 1: the softmax of the logarithms divided by T.
        let tempered = |best: Option<(usize, f32)>, probabilities: &[f32], temperature: f32| {
            let (at, highest) = best?;
            let sum: f32 = probabilities
                .iter()
                .map(|probability| (probability / highest).powf(1.0 / temperature))
                .sum();
            Some((at, 1.0 / sum))
        };
        let (n_objects, n_parts) = (table.objects.len(), table.parts.len());
        (0..colours.len())
            .map(|point| {
                let (objects, parts) = (
                    &objects[point * n_objects..][..n_objects],
                    &parts[point * n_parts..][..n_parts],
                );
                let object = tempered(best(objects), objects, self.config.object_temperature);
                let part = tempered(best(parts), parts, self.config.part_temperature);
                PointName {
                    object: object
                        .filter(|best| best.1 >= self.config.least_object)
                        .map(|best| table.objects[best.0].name.clone()),
                    object_probability: object.map_or(0.0, |best| best.1),
                    part: part
                        .filter(|best| best.1 >= self.config.least_part)
                        .map(|best| table.parts[best.0].name.clone()),
                    part_probability: part.map_or(0.0, |best| best.1),
                    colour: Some(colours[point].clone()),
                }
            })
            .collect()
    }

    /// The probabilities of all names at all points: objects, parts, colours, each row by row.
    pub(crate) fn probabilities(
        &self,
        maps: &[Tensor<4>; 4],
        points: &[Vec<ModelXy>],
    ) -> [Vec<f32>; 3] {
        let published = self
            .classifier
            .as_ref()
            .map(|classifier| (classifier, &self.nouns.table().noun_of_class[..]));
        let names = self.net.forward(maps, published, points);
        let of = |probabilities: Tensor<3>| probabilities.into_data().iter::<f32>().collect();
        let mut objects = softmax(names.objects);
        if let Some(published) = names.published {
            let share = self.config.published_share;
            objects = objects * (1.0 - share) + softmax(published) * share;
        }
        let colours = names.colours.map(|colours| of(softmax(colours)));
        [of(objects), of(softmax(names.parts)), colours.unwrap_or_default()]
    }
}

/// The index of the greatest probability, and that probability; `None` of none.
fn most_probable_of(probabilities: &[f32]) -> Option<(usize, f32)> {
    probabilities.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
pub(crate) mod tests {
    use burn::tensor::Distribution;
    use tp_core::{ImageHw, RgbImage};

    use super::*;
    use crate::{
        Backbone, ClassifierConfig, EfficientNetLite, EfficientNetLiteConfig, NamedNoun, NounTable,
        VisionConfig,
    };

    fn noun(name: &str, kind: Option<usize>) -> NamedNoun {
        NamedNoun { name: name.to_owned(), words: Vec::new(), kind }
    }

    fn small() -> EfficientNetLiteConfig {
        EfficientNetLiteConfig {
            stem_channels: 4,
            stage_channels: [4, 4, 5, 6, 7, 8, 9],
            stage_depths: [1; 7],
            classifier: Some(ClassifierConfig { channels: 12, classes: 5 }),
        }
    }

    /// Untrained: it knows what the published classes know, and nothing of parts.
    pub(crate) fn namer(least_object: f32) -> (EfficientNetLite, Namer) {
        let device = Device::flex();
        let network = EfficientNetLite::init(&small(), &device);
        let table = NounTable {
            objects: vec![
                noun("animal", None),
                noun("dog", Some(0)),
                noun("cat", Some(0)),
                noun("cup", None),
            ],
            parts: vec![noun("tail", None), noun("handle", None)],
            noun_of_class: vec![1, 1, 2, 3, 3],
            colours: vec!["red".to_owned(), "blue".to_owned()],
            usual_log_peaks: None,
        };
        let shape = PointNamerConfig::new([5, 7, 9], 4, 2)
            .with_n_colours(2)
            .with_d_hidden(8)
            .with_d_noun(8)
            .with_least_object(least_object)
            .with_least_part(0.6);
        let nouns = Arc::new(Nouns::new(table).unwrap());
        let namer = Namer::new(shape.init(&device), shape, network.classifier().cloned(), nouns);
        (network, namer)
    }

    pub(crate) fn maps(network: &EfficientNetLite, n: usize) -> [Tensor<4>; 4] {
        network.forward(Tensor::random(
            [n, 3, 64, 64],
            Distribution::Normal(0.0, 1.0),
            &Device::flex(),
        ))
    }

    #[test]
    fn improbable_nouns_are_not_said() {
        let (network, sure) = namer(0.0);
        let maps = maps(&network, 1);
        let points = [ModelXy { x: 0.3, y: 0.6 }, ModelXy { x: 0.9, y: 0.1 }];
        let names = |namer: &Namer| {
            let [objects, parts, _] = namer.probabilities(&maps, &[points.to_vec()]);
            namer.most_probable(&NameProbabilities {
                names: [objects, parts],
                colours: ["red", "dark brown"].map(str::to_owned).to_vec(),
            })
        };
        let unsure = Namer { config: sure.config.clone().with_least_object(1.1), ..sure.clone() };
        assert!(
            names(&unsure)
                .iter()
                .all(|name| name.object.is_none() && name.object_probability > 0.0)
        );
        let names = names(&sure);
        assert_eq!(names.len(), 2);
        assert_eq!(
            names.iter().map(|name| name.colour.as_deref().unwrap()).collect::<Vec<_>>(),
            ["red", "dark brown"]
        );
        for name in &names {
            assert!(["dog", "cat", "cup"].contains(&name.object.as_deref().unwrap()), "{name:?}");
            assert!((0.25..=1.0).contains(&name.object_probability));
            // Two parts of which nothing is known are equally probable, and that is below 0.6.
            assert_eq!(name.part, None);
            assert!((name.part_probability - 0.5).abs() < 1e-6);
        }
    }

    #[test]
    fn a_gray_that_people_would_call_by_its_hue_is_called_so() {
        let (_, namer) = namer(0.0); // its colours are red and blue
        assert_eq!(namer.colour("light gray", &[0.2, 0.8]), "blue");
        assert_eq!(namer.colour("gray", &[0.4, 0.45]), "gray");
        assert_eq!(namer.colour("green", &[0.0, 1.0]), "green");
        assert_eq!(namer.colour("dark gray", &[]), "dark gray");
    }

    #[test]
    fn names_have_the_mean_probability_of_all_looks() {
        let (network, namer) = namer(0.0);
        let mut eyes = VisionConfig::lite(small(), 64).init(&Device::flex());
        eyes.encoder.backbone = Backbone::EfficientNetLite(network);
        let bytes = (0..48 * 60 * 3).map(|at| (at * 37 % 251) as u8).collect();
        let image = RgbImage::from_bytes(ImageHw::new(48, 60).unwrap(), bytes).unwrap();
        let encoded = eyes.encode(&image, 64).unwrap();
        let points = [UnitXy::new(0.3, 0.6).unwrap(), UnitXy::new(0.9, 0.1).unwrap()];
        let named = |close_ups: Vec<f64>| {
            let namer =
                Namer { config: namer.config.clone().with_close_ups(close_ups), ..namer.clone() };
            namer.name(&eyes, &encoded, &points).unwrap()
        };
        let (once, again, closer) = (named(Vec::new()), named(vec![1.0, 1.0]), named(vec![0.4]));
        for (once, again) in once.iter().zip(&again) {
            // The whole image, again and again.
            assert_eq!((&once.object, &once.part), (&again.object, &again.part));
            assert!((once.object_probability - again.object_probability).abs() < 1e-5);
        }
        assert!(once.iter().zip(&closer).all(|(once, closer)| {
            (once.object_probability - closer.object_probability).abs() > 1e-6
        }));
        assert!(namer.name(&eyes, &encoded, &[]).unwrap().is_empty());
    }
}
