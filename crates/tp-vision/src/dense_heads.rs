//! Dense classification heads on the finest features, used in training only, which train the vision
//! encoder (`docs/training.md`).

use burn::{
    config::Config,
    module::Module,
    nn::{Linear, LinearConfig},
    tensor::{Device, Int, Tensor, TensorData},
};

/// The weight of object cells relative to background cells.
const FOREGROUND_WEIGHT: f32 = 3.0;
/// The weight of positions and sizes relative to class losses.
const PLACE_WEIGHT: f64 = 2.0;
/// Position in the object's box (x, y), position in the part's box (x, y), size of the object's box
/// (width, height).
const N_PLACES: usize = 6;

/// Configuration of the dense heads.
#[derive(Config, Debug)]
pub struct DenseHeadsConfig {
    /// Width of the finest features.
    pub feat_channels: usize,
    /// The number of categories.
    pub n_categories: usize,
    /// The number of part names.
    pub n_parts: usize,
}

impl DenseHeadsConfig {
    /// Initializes the heads for training.
    #[must_use]
    pub fn init(&self, device: &Device) -> DenseHeads {
        let linear = |n| LinearConfig::new(self.feat_channels, n).init(device);
        DenseHeads {
            category: linear(self.n_categories + 1),
            part: linear(self.n_parts + 1),
            place: linear(N_PLACES),
        }
    }
}

/// Linear classifiers of cells.
#[derive(Module, Debug)]
pub struct DenseHeads {
    category: Linear,
    part: Linear,
    place: Linear,
}

/// The outputs of the heads for every cell of a batch, ordered by image, then row-major.
#[derive(Clone, Debug)]
pub struct DenseOutput {
    /// `[cell, category + 1]`; the last one is the background.
    pub category_logits: Tensor<2>,
    /// `[cell, part + 1]`; the last one is "no part".
    pub part_logits: Tensor<2>,
    /// `[cell, 6]`, as [`DenseTargets::place`].
    pub place: Tensor<2>,
}

impl DenseHeads {
    /// Applies the heads to `mask_features`, `[image, height, width, feat]`.
    #[must_use]
    pub fn forward(&self, mask_features: Tensor<4>) -> DenseOutput {
        let [images, height, width, feat] = mask_features.dims();
        let cells = mask_features.reshape([images * height * width, feat]);
        DenseOutput {
            category_logits: self.category.forward(cells.clone()),
            part_logits: self.part.forward(cells.clone()),
            place: self.place.forward(cells),
        }
    }
}

/// The targets of every cell of an image, row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DenseTargets {
    /// The class of the object; the number of categories = background, [`IGNORED`](Self::IGNORED) =
    /// excluded from the loss.
    pub category: Vec<u32>,
    /// The class of the part; the number of part names = none.
    pub part: Vec<u32>,
    /// Position in the object's box, position in the part's box, size of the object's box relative
    /// to the image, `[cell, 6]`. Used where there is an object, the position in the part where
    /// there is a part.
    pub place: Vec<f32>,
}

impl DenseTargets {
    /// The category of a cell that is excluded from the loss.
    pub const IGNORED: u32 = u32::MAX;

    /// Targets of background only, given the numbers of cells, categories and part names.
    #[must_use]
    pub fn background(n_cells: usize, n_categories: u32, n_parts: u32) -> Self {
        Self {
            category: vec![n_categories; n_cells],
            part: vec![n_parts; n_cells],
            place: vec![0.0; n_cells * N_PLACES],
        }
    }

    /// Targets of an image that is excluded from the loss.
    #[must_use]
    pub fn ignored(n_cells: usize) -> Self {
        Self::background(n_cells, Self::IGNORED, 0)
    }
}

/// The dense loss, with accuracies.
#[derive(Debug)]
#[non_exhaustive]
pub struct DenseLoss {
    /// The value to minimize.
    pub loss: Tensor<1>,
    /// The accuracy of the category on object cells.
    pub category_accuracy: f64,
    /// The accuracy of the part on part cells.
    pub part_accuracy: f64,
    /// The share of background cells that are classified as an object.
    pub false_foreground: f64,
}

/// The kind of cell that a target describes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CellKind {
    Ignored,
    Background,
    Object,
    Part,
}

/// The loss of the outputs against the targets of each image: cross-entropy of category and part
/// with triple weight on object cells, plus twice the mean absolute error of positions and sizes
/// where they are defined.
///
/// # Panics
///
/// If the number of targets differs from the number of cells, or a class is out of range.
#[must_use]
pub fn dense_loss(output: DenseOutput, targets: &[DenseTargets]) -> DenseLoss {
    let [n_cells, categories] = output.category_logits.dims();
    let parts = output.part_logits.dims()[1];
    let (background, no_part) = (categories as u32 - 1, parts as u32 - 1);
    let device = output.place.device();
    let category: Vec<u32> =
        targets.iter().flat_map(|target| target.category.iter().copied()).collect();
    let part: Vec<u32> = targets.iter().flat_map(|target| target.part.iter().copied()).collect();
    let place: Vec<f32> = targets.iter().flat_map(|target| target.place.iter().copied()).collect();
    assert!(
        category.len() == n_cells && part.len() == n_cells && place.len() == n_cells * N_PLACES,
        "one target per cell"
    );
    let kinds: Vec<CellKind> = category
        .iter()
        .zip(&part)
        .map(|(&category, &part)| match category {
            DenseTargets::IGNORED => CellKind::Ignored,
            category if category == background => CellKind::Background,
            category => {
                assert!(
                    category < background && part <= no_part,
                    "category {category} or part {part} is unknown to the heads"
                );
                if part == no_part { CellKind::Object } else { CellKind::Part }
            }
        })
        .collect();

    let readings = (best(&output.category_logits), best(&output.part_logits));
    let weights = kinds.iter().map(|kind| match kind {
        CellKind::Ignored => 0.0,
        CellKind::Background => 1.0,
        CellKind::Object | CellKind::Part => FOREGROUND_WEIGHT,
    });
    let weights = normalised(weights.collect());
    let weights = Tensor::<1>::from_data(TensorData::new(weights, [n_cells]), &device);
    let named = |logits: Tensor<2>, classes: &[u32], last: u32| {
        let classes: Vec<i64> = classes.iter().map(|&class| i64::from(class.min(last))).collect();
        let classes = Tensor::<1, Int>::from_data(TensorData::new(classes, [n_cells]), &device);
        (tp_kernels::token_cross_entropy(logits, classes) * weights.clone()).sum()
    };
    let names = named(output.category_logits, &category, background)
        + named(output.part_logits, &part, no_part);

    let exists = kinds.iter().flat_map(|kind| match kind {
        CellKind::Ignored | CellKind::Background => [0.0; N_PLACES],
        CellKind::Object => [1.0, 1.0, 0.0, 0.0, 1.0, 1.0],
        CellKind::Part => [1.0; N_PLACES],
    });
    let exists = Tensor::<2>::from_data(
        TensorData::new(normalised(exists.collect()), [n_cells, N_PLACES]),
        &device,
    );
    let place = Tensor::<2>::from_data(TensorData::new(place, [n_cells, N_PLACES]), &device);
    let places = ((output.place - place).abs() * exists).sum();

    let share = |wanted: &[CellKind], right: &dyn Fn(usize) -> bool| {
        let (mut n, mut n_right) = (0_usize, 0_usize);
        for cell in (0..n_cells).filter(|&cell| wanted.contains(&kinds[cell])) {
            n += 1;
            n_right += usize::from(right(cell));
        }
        n_right as f64 / n.max(1) as f64
    };
    DenseLoss {
        loss: names + places.mul_scalar(PLACE_WEIGHT),
        category_accuracy: share(&[CellKind::Object, CellKind::Part], &|cell| {
            readings.0[cell] == category[cell]
        }),
        part_accuracy: share(&[CellKind::Part], &|cell| readings.1[cell] == part[cell]),
        false_foreground: share(&[CellKind::Background], &|cell| readings.0[cell] != background),
    }
}

/// Weights normalized to a sum of 1, or all zeros.
fn normalised(mut weights: Vec<f32>) -> Vec<f32> {
    let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    if total > 0.0 {
        weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) / total) as f32);
    }
    weights
}

/// The class with the highest logit, for every cell.
fn best(logits: &Tensor<2>) -> Vec<u32> {
    let classes = logits.dims()[1];
    let logits: Vec<f32> = logits.clone().into_data().iter::<f32>().collect();
    let best_of = |row: &[f32]| {
        (1..classes).fold(0, |best, class| if row[class] > row[best] { class } else { best })
    };
    logits.chunks_exact(classes).map(|row| best_of(row) as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two cells, two categories, one part; the logits favor category 0 and part 0 everywhere,
    /// positions are 0.5.
    fn output() -> DenseOutput {
        let device = Device::flex();
        DenseOutput {
            category_logits: Tensor::from_data([[9.0, 0.0, 0.0], [9.0, 0.0, 0.0]], &device),
            part_logits: Tensor::from_data([[9.0, 0.0], [9.0, 0.0]], &device),
            place: Tensor::full([2, 6], 0.5, &device),
        }
    }

    #[test]
    fn readings_count_objects_parts_and_background_apart() {
        let targets = DenseTargets {
            category: vec![0, 2],
            part: vec![0, 1],
            place: [vec![0.5; 6], vec![0.0; 6]].concat(),
        };
        let dense = dense_loss(output(), &[targets]);
        assert_eq!(
            (dense.category_accuracy, dense.part_accuracy, dense.false_foreground),
            (1.0, 1.0, 1.0)
        );
        // The object's cell is right: only the background's quarter of the weight contributes, 9 +
        // ln(1 + 2e^-9) and 9 + ln(1 + e^-9).
        let loss: f32 = dense.loss.into_scalar();
        assert!((loss - 4.5).abs() < 1e-2, "{loss}");
    }

    #[test]
    fn place_of_a_part_counts_only_where_there_is_one() {
        let mut targets = DenseTargets::background(2, 2, 1);
        targets.category[0] = 0;
        targets.place[..6].copy_from_slice(&[0.5, 0.5, 99.0, 99.0, 0.5, 0.5]);
        let without: f32 = dense_loss(output(), &[targets.clone()]).loss.into_scalar();
        targets.place[0] = 0.9;
        let off: f32 = dense_loss(output(), &[targets]).loss.into_scalar();
        assert!((off - without - 2.0 * 0.4 / 4.0).abs() < 1e-5, "{off} {without}");
    }

    #[test]
    fn ignored_image_teaches_nothing() {
        let dense = dense_loss(output(), &[DenseTargets::ignored(2)]);
        assert_eq!(dense.loss.into_scalar::<f32>(), 0.0);
        assert_eq!((dense.category_accuracy, dense.false_foreground), (0.0, 0.0));
    }
}
