//! What a point shows, in nouns: the maps of the backbone, pooled around the point through
//! Gaussians and read by small layers, and the backbone's own published classes under the nouns
//! that people use for them.
//!
//! The published classes know far more things than any set of described points: their share of the
//! logits is kept apart, so that nouns which no sample had are named all the same.

use burn::{
    config::Config,
    module::{Initializer, Module, Param},
    nn::{Dropout, DropoutConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig},
    tensor::{Device, Distribution, Int, Tensor, TensorData, activation::log_softmax},
};
use tp_core::ModelXy;
use tp_kernels::{linear, softmax, token_cross_entropy};

use crate::Classifier;

/// Spreads, as shares of the input's side, with which C3, C4 and C5 are pooled: each map close by,
/// the coarse ones around.
const SPREADS: [(usize, f64); 5] = [(0, 0.015), (1, 0.025), (1, 0.07), (2, 0.06), (2, 0.2)];

/// Spreads with which the published classes are pooled, and what each counts. Of the spreads that
/// were tried on photographs, 0.1 named most objects; the wider one knows what a small thing stands
/// among.
const CLASS_SPREADS: [(f64, f64); 2] = [(0.1, 0.7), (0.25, 0.3)];

/// Width of the hidden layer that reads colours.
const D_COLOUR: usize = 64;

/// What the true noun's share of the target is short of 1: the rest is spread over all nouns. Points
/// name one noun where several would be right.
///
/// Source: Szegedy et al. 2016, "Rethinking the Inception architecture", section 7.
const LABEL_SMOOTHING: f64 = 0.1;

/// Added to the probability of a noun before its logarithm is taken: nouns without a published
/// class have it alone.
const LEAST_PROBABILITY: f64 = 1e-4;

/// Shape of a [`PointNamer`].
#[derive(Config, Debug, PartialEq)]
pub struct PointNamerConfig {
    /// Channels of C3, C4 and C5.
    pub channels: [usize; 3],
    /// Number of nouns for objects.
    pub n_objects: usize,
    /// Number of nouns for parts.
    pub n_parts: usize,
    /// Number of words for colours; 0 to name none.
    #[config(default = 0)]
    pub n_colours: usize,
    /// Width of the hidden layer.
    #[config(default = 384)]
    pub d_hidden: usize,
    /// Width of the vector of a noun.
    #[config(default = 384)]
    pub d_noun: usize,
    /// The share of pooled and of hidden values that training hides: described points are few.
    #[config(default = 0.3)]
    pub dropout: f64,
    /// Divides the logits of objects; fitted on validation photographs so that probabilities are
    /// calibrated.
    #[config(default = 1.0)]
    pub object_temperature: f32,
    /// The same for parts.
    #[config(default = 1.0)]
    pub part_temperature: f32,
    /// The sections in which a point is looked at once more, larger: the longer side of each as a
    /// share of the image's. Object and part have the mean probabilities of all looks.
    #[config(default = "vec![0.5, 0.33]")]
    pub close_ups: Vec<f64>,
    /// What the published classes alone count in an object's probability: the learned layers forget
    /// nouns that no sample has.
    #[config(default = 0.0)]
    pub published_share: f32,
    /// An object that is less probable is not named.
    #[config(default = 0.0)]
    pub least_object: f32,
    /// A part that is less probable is not named.
    #[config(default = 0.0)]
    pub least_part: f32,
}

impl PointNamerConfig {
    /// A namer to be trained. Untrained, it knows what the published classes know.
    #[must_use]
    pub fn init(&self, device: &Device) -> PointNamer {
        let d_pooled = SPREADS.iter().map(|&(map, _)| self.channels[map]).sum();
        let nouns = |n: usize| {
            Initializer::Normal { mean: 0.0, std: 1.0 / (self.d_noun as f64).sqrt() }
                .init([n, self.d_noun], device)
        };
        let silent = |bias| {
            LinearConfig::new(self.d_hidden, self.d_noun)
                .with_bias(bias)
                .with_initializer(Initializer::Zeros)
        };
        PointNamer {
            norm: LayerNormConfig::new(d_pooled).init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
            hidden: LinearConfig::new(d_pooled, self.d_hidden).init(device),
            object: silent(true).init(device),
            part: silent(true).init(device),
            colour: (self.n_colours > 0).then(|| ColourReader {
                hidden: LinearConfig::new(d_pooled, D_COLOUR).init(device),
                output: LinearConfig::new(D_COLOUR, self.n_colours).init(device),
            }),
            part_of_object: LinearConfig::new(self.d_noun, self.d_noun)
                .with_bias(false)
                .with_initializer(Initializer::Zeros)
                .init(device),
            object_nouns: nouns(self.n_objects),
            part_nouns: nouns(self.n_parts),
            object_bias: Initializer::Zeros.init([self.n_objects], device),
            part_bias: Initializer::Zeros.init([self.n_parts], device),
            class_share: Initializer::Ones.init([1], device),
        }
    }
}

/// Names objects and parts at points.
#[derive(Module, Debug)]
pub struct PointNamer {
    norm: LayerNorm,
    dropout: Dropout,
    hidden: Linear,
    object: Linear,
    part: Linear,
    part_of_object: Linear,
    /// One vector for every noun of an object, `[object, d_noun]`; may start from vectors of a
    /// language model.
    pub object_nouns: Param<Tensor<2>>,
    /// One vector for every noun of a part, `[part, d_noun]`.
    pub part_nouns: Param<Tensor<2>>,
    object_bias: Param<Tensor<1>>,
    part_bias: Param<Tensor<1>>,
    class_share: Param<Tensor<1>>,
    colour: Option<ColourReader>,
}

/// Reads the colour of a spot, apart from the nouns: what one learns costs the other nothing.
#[derive(Module, Debug)]
struct ColourReader {
    hidden: Linear,
    output: Linear,
}

/// How likely each noun is at each point.
#[derive(Clone, Debug)]
pub struct PointNames {
    /// Logits over the nouns of objects, `[image, point, object]`.
    pub objects: Tensor<3>,
    /// Logits over the nouns of parts, `[image, point, part]`.
    pub parts: Tensor<3>,
    /// Logits over the words for colours, `[image, point, colour]`, if there are any.
    pub colours: Option<Tensor<3>>,
    /// The logarithms of what the published classes alone give each object's noun, `[image, point,
    /// object]`, if the backbone has any.
    pub published: Option<Tensor<3>>,
}

impl PointNamer {
    /// Names the points of each image of the batch, equally many for all.
    ///
    /// - `maps`: C2 … C5, each `[image, height / stride, width / stride, channels]`
    /// - `published`: the backbone's head of published classes, and for each class the index of the
    ///   noun that people use for it
    ///
    /// # Panics
    ///
    /// If the images have different numbers of points, there are as many lists as images are not,
    /// or there is not one noun for every class.
    #[must_use]
    pub fn forward(
        &self,
        maps: &[Tensor<4>; 4],
        published: Option<(&Classifier, &[usize])>,
        points: &[Vec<ModelXy>],
    ) -> PointNames {
        let pooled = SPREADS
            .iter()
            .map(|&(map, spread)| pooled(maps[map + 1].clone(), points, spread))
            .collect();
        let pooled = self.dropout.forward(self.norm.forward(Tensor::cat(pooled, 2)));
        let hidden = self.dropout.forward(linear(&self.hidden, pooled.clone()).clamp_min(0.0)); // [image, point, d_hidden]
        let colours = self
            .colour
            .as_ref()
            .map(|colour| linear(&colour.output, linear(&colour.hidden, pooled).clamp_min(0.0)));
        let scale = (self.object_nouns.dims()[1] as f64).sqrt();
        let logits = |vectors: Tensor<3>, nouns: &Param<Tensor<2>>, bias: &Param<Tensor<1>>| {
            vectors.matmul(nouns.val().transpose().unsqueeze()).div_scalar(scale)
                + bias.val().unsqueeze()
        };
        let mut objects =
            logits(linear(&self.object, hidden.clone()), &self.object_nouns, &self.object_bias);
        let published = published.map(|published| self.published(&maps[3], published, points));
        if let Some(published) = &published {
            objects = objects + published.clone() * self.class_share.val().unsqueeze();
        }
        // The expected noun of the object says which parts there can be.
        let expected = softmax(objects.clone()).matmul(self.object_nouns.val().unsqueeze()); // [image, point, d_noun]
        let parts = linear(&self.part, hidden) + linear(&self.part_of_object, expected);
        let parts = logits(parts, &self.part_nouns, &self.part_bias);
        PointNames { objects, parts, colours, published }
    }

    /// The namer with more nouns, appended to those it has. A new noun has a random vector and the
    /// smallest of the biases, so that it is improbable until it is trained.
    ///
    /// # Panics
    ///
    /// If there would be fewer nouns than before.
    #[must_use]
    pub fn extended(self, n_objects: usize, n_parts: usize, device: &Device) -> Self {
        Self {
            object_nouns: more_rows(&self.object_nouns, n_objects, device),
            part_nouns: more_rows(&self.part_nouns, n_parts, device),
            object_bias: more_biases(&self.object_bias, n_objects, device),
            part_bias: more_biases(&self.part_bias, n_parts, device),
            ..self
        }
    }

    /// The logarithms of what the published classes give each noun, `[image, point, object]`. They
    /// learn nothing.
    fn published(
        &self,
        coarse: &Tensor<4>,
        (classifier, noun_of_class): (&Classifier, &[usize]),
        points: &[Vec<ModelXy>],
    ) -> Tensor<3> {
        let device = coarse.device();
        let features = classifier.features(coarse.clone());
        let [n_images, n_points] = [points.len(), points[0].len()];
        let n_objects = self.object_bias.dims()[0];
        let mut nouns = vec![0.0_f64; n_images * n_points * n_objects];
        for (spread, share) in CLASS_SPREADS {
            let classes = softmax(classifier.logits(pooled(features.clone(), points, spread)));
            let n_classes = classes.dims()[2];
            assert_eq!(n_classes, noun_of_class.len(), "one noun for every published class");
            let classes: Vec<f32> = classes.into_data().iter::<f32>().collect();
            for (nouns, classes) in
                nouns.chunks_exact_mut(n_objects).zip(classes.chunks_exact(n_classes))
            {
                for (&noun, &probability) in noun_of_class.iter().zip(classes) {
                    nouns[noun] += share * f64::from(probability);
                }
            }
        }
        let logs: Vec<f32> = nouns
            .into_iter()
            .map(|probability| (probability + LEAST_PROBABILITY).ln() as f32)
            .collect();
        Tensor::from_data(TensorData::new(logs, [n_images, n_points, n_objects]), &device)
    }
}

/// A table `[noun, d_noun]` with random rows appended, as large as those of a fresh table.
fn more_rows(table: &Param<Tensor<2>>, n: usize, device: &Device) -> Param<Tensor<2>> {
    let [known, width] = table.dims();
    assert!(n >= known, "{n} nouns are fewer than {known}");
    if n == known {
        return table.clone();
    }
    let std = 1.0 / (width as f64).sqrt();
    let rows = Tensor::random([n - known, width], Distribution::Normal(0.0, std), device);
    Param::from_tensor(Tensor::cat(vec![table.val(), rows], 0))
}

/// Biases `[noun]` with copies of the smallest appended.
fn more_biases(biases: &Param<Tensor<1>>, n: usize, device: &Device) -> Param<Tensor<1>> {
    let [known] = biases.dims();
    if n == known {
        return biases.clone();
    }
    let least = biases.val().min().into_scalar::<f32>();
    let new = Tensor::full([n - known], least, device);
    Param::from_tensor(Tensor::cat(vec![biases.val(), new], 0))
}

/// The names that points are taught: for each point the index of the object's noun, of the part's,
/// and of the colour.
#[derive(Clone, Debug, Default)]
pub struct NameTargets {
    names: Vec<[Option<usize>; 3]>,
}

impl NameTargets {
    /// Adds a point; `None` teaches nothing.
    pub fn push(&mut self, names: [Option<usize>; 3]) {
        self.names.push(names);
    }
}

/// How well points were named.
#[derive(Clone, Debug)]
pub struct NameLoss {
    /// Cross-entropy with smoothed labels, the means of objects, parts and colours added up.
    pub loss: Tensor<1>,
    /// The share of objects that were named right; NaN if none was taught.
    pub object_accuracy: f64,
    /// The share of parts.
    pub part_accuracy: f64,
    /// The share of colours.
    pub colour_accuracy: f64,
}

impl PointNames {
    /// Compares the logits with the nouns that are true.
    ///
    /// # Panics
    ///
    /// If there are not names for every point, or a name that there are no logits for.
    #[must_use]
    pub fn loss(&self, targets: &NameTargets) -> NameLoss {
        let compared = |logits: &Tensor<3>, which: usize| {
            let [n_images, n_points, n_names] = logits.dims();
            assert_eq!(targets.names.len(), n_images * n_points, "names for every point");
            let names: Vec<Option<usize>> =
                targets.names.iter().map(|names| names[which]).collect();
            loss_of(logits.clone().reshape([n_images * n_points, n_names]), &names)
        };
        let ((objects, object_accuracy), (parts, part_accuracy)) =
            (compared(&self.objects, 0), compared(&self.parts, 1));
        let (mut loss, mut colour_accuracy) = (objects + parts, f64::NAN);
        if let Some(colours) = &self.colours {
            let (colours, accuracy) = compared(colours, 2);
            (loss, colour_accuracy) = (loss + colours, accuracy);
        }
        NameLoss { loss, object_accuracy, part_accuracy, colour_accuracy }
    }
}

/// The mean cross-entropy with smoothed labels over the rows with a target, and the share of them whose highest logit is
/// the target's.
fn loss_of(logits: Tensor<2>, targets: &[Option<usize>]) -> (Tensor<1>, f64) {
    let device = logits.device();
    let n = targets.iter().flatten().count();
    let highest: Vec<i64> = logits.clone().inner().argmax(1).into_data().iter::<i64>().collect();
    let right = highest
        .iter()
        .zip(targets)
        .filter(|&(&highest, target)| *target == Some(highest as usize))
        .count();
    let weights: Vec<f32> =
        targets.iter().map(|target| if target.is_some() { 1.0 / n as f32 } else { 0.0 }).collect();
    let classes: Vec<i64> = targets.iter().map(|target| target.unwrap_or(0) as i64).collect();
    let classes = Tensor::<1, Int>::from_data(TensorData::new(classes, [targets.len()]), &device);
    let weights = Tensor::<1>::from_data(TensorData::new(weights, [targets.len()]), &device);
    let truth = token_cross_entropy(logits.clone(), classes);
    let all = log_softmax(logits, 1).mean_dim(1).squeeze_dim::<1>(1).neg();
    let loss = truth * (1.0 - LABEL_SMOOTHING) + all * LABEL_SMOOTHING;
    ((loss * weights).sum(), right as f64 / n as f64)
}

/// The mean of a map around each point, weighted by a Gaussian whose spread is a share of the
/// input's side: `[image, height, width, channels]` → `[image, point, channels]`.
fn pooled(map: Tensor<4>, points: &[Vec<ModelXy>], spread: f64) -> Tensor<3> {
    let [n_images, height, width, channels] = map.dims();
    let n_points = points.first().map_or(0, Vec::len);
    assert!(
        points.len() == n_images && points.iter().all(|of_image| of_image.len() == n_points),
        "every image has equally many points"
    );
    let weights: Vec<f32> = points
        .iter()
        .flatten()
        .flat_map(|point| gaussian_weights(*point, [height, width], spread))
        .collect();
    let weights = Tensor::<3>::from_data(
        TensorData::new(weights, [n_images, n_points, height * width]),
        &map.device(),
    );
    weights.matmul(map.reshape([n_images, height * width, channels]))
}

/// The weights of the cells of a map, row-major; their sum is 1.
fn gaussian_weights(point: ModelXy, [height, width]: [usize; 2], spread: f64) -> Vec<f32> {
    let along = |n: usize, at: f64| -> Vec<f64> {
        let distances = (0..n).map(|cell| (cell as f64 + 0.5) / n as f64 - at);
        // Relative to the nearest cell: however far it is, it counts.
        let squares: Vec<f64> = distances.map(|distance| distance * distance).collect();
        let nearest = squares.iter().copied().fold(f64::INFINITY, f64::min);
        let weights: Vec<f64> = squares
            .iter()
            .map(|square| (-(square - nearest) / (2.0 * spread * spread)).exp())
            .collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / sum).collect()
    };
    let (rows, columns) = (along(height, point.y), along(width, point.x));
    rows.iter().flat_map(|row| columns.iter().map(move |column| (row * column) as f32)).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance};

    use super::*;
    use crate::{ClassifierConfig, EfficientNetLite, EfficientNetLiteConfig};

    const NOUN_OF_CLASS: [usize; 5] = [2, 0, 2, 1, 3];

    fn at(x: f64, y: f64) -> ModelXy {
        ModelXy { x, y }
    }

    fn lite() -> EfficientNetLiteConfig {
        EfficientNetLiteConfig {
            stem_channels: 4,
            stage_channels: [4, 4, 5, 6, 7, 8, 9],
            stage_depths: [1; 7],
            classifier: Some(ClassifierConfig { channels: 12, classes: 5 }),
        }
    }

    fn namer() -> PointNamerConfig {
        PointNamerConfig::new([5, 7, 9], 6, 4).with_d_hidden(8).with_d_noun(8)
    }

    #[test]
    fn weights_fall_with_the_distance_and_sum_to_one() {
        let weights = gaussian_weights(at(0.5, 0.25), [2, 3], 0.25);
        assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        // The centre of the middle cell of the first row; its neighbours are 1/3 and 1/2 away.
        let ratio = |distance: f64| (-(distance * distance) / (2.0 * 0.0625)).exp();
        assert!((f64::from(weights[0] / weights[1]) - ratio(1.0 / 3.0)).abs() < 1e-6);
        assert!((f64::from(weights[4] / weights[1]) - ratio(0.5)).abs() < 1e-6);
    }

    /// Cross-entropy as PyTorch computes it:
    /// `cross_entropy(tensor([[1., 2, 0], [0, 1, 3]])[:1], tensor([0]), label_smoothing=0.1)`.
    #[test]
    fn labels_are_smoothed_as_in_pytorch() {
        let logits = Tensor::from_data([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]], &Device::flex());
        let (loss, right) = loss_of(logits, &[Some(0), None]);
        assert!((loss.into_scalar::<f32>() - 1.407_606).abs() < 1e-5);
        assert_eq!(right, 0.0);
    }

    #[test]
    fn narrow_gaussian_reads_the_nearest_cell_alone() {
        let map = Tensor::<4>::from_data([[[[1.0], [2.0]], [[3.0], [4.0]]]], &Device::flex());
        let read = pooled(map, &[vec![at(0.9, 0.1), at(-5.0, 0.9)]], 1e-3);
        assert_eq!(read.into_data().iter::<f32>().collect::<Vec<_>>(), [2.0, 3.0]);
    }

    #[test]
    fn untrained_namer_says_what_the_published_classes_say() {
        let device = Device::flex();
        let network = EfficientNetLite::init(&lite(), &device);
        let maps = network.forward(Tensor::random(
            [1, 3, 64, 64],
            Distribution::Normal(0.0, 1.0),
            &device,
        ));
        let classifier = network.classifier().unwrap();
        let namer = namer().init(&device);
        let names = namer.forward(&maps, Some((classifier, &NOUN_OF_CLASS)), &[vec![at(0.3, 0.6)]]);
        assert_eq!((names.objects.dims(), names.parts.dims()), ([1, 1, 6], [1, 1, 4]));
        // Two spreads of the same head, added up by nouns.
        let mut expected = [0.0_f64; 6];
        for (spread, share) in CLASS_SPREADS {
            let classes = softmax(classifier.logits(pooled(
                classifier.features(maps[3].clone()),
                &[vec![at(0.3, 0.6)]],
                spread,
            )));
            for (class, noun) in NOUN_OF_CLASS.into_iter().enumerate() {
                let probability: f32 = classes.clone().narrow(2, class, 1).into_scalar();
                expected[noun] += share * f64::from(probability);
            }
        }
        let expected = expected.map(|probability| (probability + 1e-4).ln() as f32);
        let expected = Tensor::<3>::from_data([[expected]], &device);
        names
            .objects
            .into_data()
            .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn points_of_a_batch_are_named_apart() {
        let device = Device::flex();
        let network = EfficientNetLite::init(&lite(), &device);
        let maps = network.forward(Tensor::random(
            [2, 3, 64, 64],
            Distribution::Normal(0.0, 1.0),
            &device,
        ));
        let namer = namer().init(&device);
        let points = [vec![at(0.2, 0.3), at(0.9, 0.5)], vec![at(0.1, 0.1), at(0.6, 0.7)]];
        let all = namer.forward(
            &maps,
            network.classifier().map(|classifier| (classifier, &NOUN_OF_CLASS[..])),
            &points,
        );
        let second = maps.clone().map(|map| map.narrow(0, 1, 1));
        let alone = namer.forward(
            &second,
            network.classifier().map(|classifier| (classifier, &NOUN_OF_CLASS[..])),
            &[vec![points[1][0]]],
        );
        let same = all.objects.narrow(0, 1, 1).narrow(1, 0, 1);
        alone
            .objects
            .into_data()
            .assert_approx_eq::<f32>(&same.into_data(), Tolerance::absolute(1e-5));
    }
}
