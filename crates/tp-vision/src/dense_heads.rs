//! Training alone: what stands in every cell of the finest features. This is what opens the eyes (`docs/training.md`).

use burn::{
    config::Config,
    module::Module,
    nn::{Linear, LinearConfig},
    tensor::{Device, Int, Tensor, TensorData},
};

/// How much more a cell of an object counts than one of the background.
const FOREGROUND_WEIGHT: f32 = 3.0;
/// Weight of places and sizes beside names.
const PLACE_WEIGHT: f64 = 2.0;
/// Places in the object's box (x, y), in the part's box (x, y), size of the object's box (width, height).
const N_PLACES: usize = 6;

/// Shape of the dense heads.
#[derive(Config, Debug)]
pub struct DenseHeadsConfig {
    /// Width of the finest features.
    pub feat_channels: usize,
    /// Number of categories.
    pub n_categories: usize,
    /// Number of part names.
    pub n_parts: usize,
}

impl DenseHeadsConfig {
    /// Heads to be trained.
    #[must_use]
    pub fn init(&self, device: &Device) -> DenseHeads {
        let linear = |n| LinearConfig::new(self.feat_channels, n).init(device);
        DenseHeads { category: linear(self.n_categories + 1), part: linear(self.n_parts + 1), place: linear(N_PLACES) }
    }
}

/// Linear classifiers of cells; the last class is the background.
#[derive(Module, Debug)]
pub struct DenseHeads {
    category: Linear,
    part: Linear,
    place: Linear,
}

/// What stands in every cell of one image, row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DenseTargets {
    /// Class of the object; `n_categories` = background, [`IGNORED`](Self::IGNORED) = teaches nothing.
    pub category: Vec<u32>,
    /// Class of the part; `n_parts` = none.
    pub part: Vec<u32>,
    /// Place in the object's box, place in the part's box, size of the object's box in units of the image; zeros on the
    /// background. `[cell, 6]`.
    pub place: Vec<f32>,
}

impl DenseTargets {
    /// The category of a cell that teaches nothing.
    pub const IGNORED: u32 = u32::MAX;

    /// Background everywhere; the arguments are the numbers of cells, categories and part names.
    #[must_use]
    pub fn background(n_cells: usize, n_categories: u32, n_parts: u32) -> Self {
        Self { category: vec![n_categories; n_cells], part: vec![n_parts; n_cells], place: vec![0.0; n_cells * N_PLACES] }
    }

    /// Targets of an image that teaches nothing densely.
    #[must_use]
    pub fn ignored(n_cells: usize) -> Self {
        Self::background(n_cells, Self::IGNORED, 0)
    }
}

/// The dense loss, and how well cells are read.
#[derive(Debug)]
pub struct DenseLoss {
    /// To be minimised.
    pub loss: Tensor<1>,
    /// Share of object cells whose category is right.
    pub category_accuracy: f64,
    /// Share of part cells whose part is right.
    pub part_accuracy: f64,
    /// Share of background cells that are taken for an object.
    pub false_foreground: f64,
}

impl DenseHeads {
    /// Compares what the heads read in `mask_features`, `[image, height, width, feat]`, with the targets of each image.
    ///
    /// # Panics
    ///
    /// If a target has not one entry for every cell.
    #[must_use]
    pub fn loss(&self, mask_features: Tensor<4>, targets: &[DenseTargets]) -> DenseLoss {
        let [n_images, height, width, feat] = mask_features.dims();
        let n_cells = n_images * height * width;
        let device = mask_features.device();
        let cells = mask_features.reshape([n_cells, feat]);
        let category: Vec<u32> = targets.iter().flat_map(|target| target.category.iter().copied()).collect();
        let part: Vec<u32> = targets.iter().flat_map(|target| target.part.iter().copied()).collect();
        let place: Vec<f32> = targets.iter().flat_map(|target| target.place.iter().copied()).collect();
        assert!(category.len() == n_cells && part.len() == n_cells && place.len() == n_cells * N_PLACES, "one target for every cell");

        let (category_logits, part_logits) = (self.category.forward(cells.clone()), self.part.forward(cells.clone()));
        let background = category_logits.dims()[1] as u32 - 1;
        let no_part = part_logits.dims()[1] as u32 - 1;
        let is_object: Vec<f32> = category.iter().map(|&class| f32::from(u8::from(class < background))).collect();
        let n_objects = is_object.iter().sum::<f32>().max(1.0);
        let weight = |class: u32| match class {
            DenseTargets::IGNORED => 0.0,
            class if class == background => 1.0,
            _ => FOREGROUND_WEIGHT,
        };
        let weights: Vec<f32> = category.iter().map(|&class| weight(class)).collect();
        let total = weights.iter().sum::<f32>().max(1.0);
        let column = |values: Vec<f32>| Tensor::<1>::from_data(TensorData::new(values, [n_cells]), &device);
        let weights = column(weights).div_scalar(total);

        let (category_read, part_read) = (best(&category_logits), best(&part_logits));
        let names = |logits: Tensor<2>, classes: &[u32]| {
            let last = logits.dims()[1] as u32 - 1;
            let classes: Vec<i64> = classes.iter().map(|&class| i64::from(class.min(last))).collect();
            let classes = Tensor::<1, Int>::from_data(TensorData::new(classes, [n_cells]), &device);
            (tp_kernels::token_cross_entropy(logits, classes) * weights.clone()).sum()
        };
        let named = names(category_logits, &category) + names(part_logits, &part);
        let place = Tensor::<2>::from_data(TensorData::new(place, [n_cells, N_PLACES]), &device);
        let off = (self.place.forward(cells) - place).abs().mean_dim(1).reshape([n_cells]);
        let placed = (off * column(is_object)).sum().div_scalar(n_objects);

        let share = |wanted: &dyn Fn(usize) -> bool, right: &dyn Fn(usize) -> bool| {
            let chosen: Vec<usize> = (0..n_cells).filter(|&cell| wanted(cell)).collect();
            chosen.iter().filter(|&&cell| right(cell)).count() as f64 / chosen.len().max(1) as f64
        };
        DenseLoss {
            loss: named + placed.mul_scalar(PLACE_WEIGHT),
            category_accuracy: share(&|cell| category[cell] < background, &|cell| category_read[cell] == category[cell]),
            part_accuracy: share(&|cell| category[cell] < background && part[cell] < no_part, &|cell| part_read[cell] == part[cell]),
            false_foreground: share(&|cell| category[cell] == background, &|cell| category_read[cell] != background),
        }
    }
}

/// The class with the highest logit of every cell.
fn best(logits: &Tensor<2>) -> Vec<u32> {
    logits.clone().inner().argmax(1).into_data().iter::<i64>().map(|class| class as u32).collect()
}
