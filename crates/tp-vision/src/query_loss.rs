//! The training loss of the learned queries: every object is assigned to the query that fits it
//! best, which is trained on its class and mask.
//!
//! Source: Mask2Former's set prediction loss. Masks are compared at the resolution of the finest
//! features.

use burn::tensor::{
    Int, Tensor, TensorData,
    activation::{relu, sigmoid},
};

use crate::{QueryOutput, QueryPrediction, assignment::cheapest_assignment};

/// Weight of the class, in the matching cost and in the loss.
const CLASS_WEIGHT: f64 = 2.0;
/// Weight of each of the mask losses, cross-entropy and dice.
const MASK_WEIGHT: f64 = 5.0;
/// Weight of queries without an object in the class loss, relative to those with one.
const VOID_WEIGHT: f32 = 0.1;

/// One object of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryTarget {
    /// Its category.
    pub class: u32,
    /// Its cells at stride 4, row-major.
    pub mask: Vec<bool>,
}

/// The objects of one image; `None` if not all of them are annotated, which excludes the image from
/// the loss.
pub type QueryTargets = Option<Vec<QueryTarget>>;

/// The loss of the queries of a batch, averaged over the last prediction and those of
/// [`QueryOutput::aux`].
///
/// Objects are matched to queries separately for each prediction.
///
/// # Panics
///
/// If the number of lists differs from the number of images, the length of a mask from the number
/// of cells, or a class is out of range.
#[must_use]
pub fn query_loss(output: &QueryOutput, targets: &[QueryTargets]) -> Tensor<1> {
    let targets = Targets::new(output.mask_logits.clone(), targets);
    let last = targets.loss(output.class_logits.clone(), output.mask_logits.clone());
    let n = 1 + output.aux.len();
    let sum = output.aux.iter().fold(last, |sum, QueryPrediction { class_logits, mask_logits }| {
        sum + targets.loss(class_logits.clone(), mask_logits.clone())
    });
    sum.div_scalar(n as f64)
}

/// The objects of a batch, padded to the same number for each image.
struct Targets {
    /// The classes of each image's objects; `None` excludes the image.
    classes: Vec<Option<Vec<usize>>>,
    /// `[image, object, cell]`, 1 inside; zeros for padding objects.
    masks: Tensor<3>,
}

impl Targets {
    fn new(mask_logits: Tensor<4>, targets: &[QueryTargets]) -> Self {
        let [images, _, height, width] = mask_logits.dims();
        let cells = height * width;
        assert_eq!(targets.len(), images, "one list of objects per image");
        let most = targets.iter().flatten().map(Vec::len).max().unwrap_or(0).max(1);
        let mut masks = vec![0.0; images * most * cells];
        for (image, objects) in targets.iter().enumerate() {
            for (at, object) in objects.iter().flatten().enumerate() {
                assert_eq!(object.mask.len(), cells, "one entry per cell");
                let start = (image * most + at) * cells;
                for (value, &inside) in masks[start..start + cells].iter_mut().zip(&object.mask) {
                    *value = f32::from(u8::from(inside));
                }
            }
        }
        let classes = |objects: &QueryTargets| {
            objects
                .as_ref()
                .map(|objects| objects.iter().map(|object| object.class as usize).collect())
        };
        Self {
            classes: targets.iter().map(classes).collect(),
            masks: Tensor::from_data(
                TensorData::new(masks, [images, most, cells]),
                &mask_logits.device(),
            ),
        }
    }

    fn loss(&self, class_logits: Tensor<3>, mask_logits: Tensor<4>) -> Tensor<1> {
        let [images, queries, with_void] = class_logits.dims();
        let [_, most, cells] = self.masks.dims();
        let device = class_logits.device();
        let masks = mask_logits.reshape([images, queries, cells]);
        let pairs = self.pairs(class_logits.clone().detach(), masks.clone().detach());

        let mut classes = vec![with_void as i64 - 1; images * queries];
        let mut weights: Vec<f32> = self
            .classes
            .iter()
            .flat_map(|known| {
                std::iter::repeat_n(if known.is_some() { VOID_WEIGHT } else { 0.0 }, queries)
            })
            .collect();
        for pair in &pairs {
            let at = pair.image * queries + pair.query;
            classes[at] = pair.class as i64;
            weights[at] = 1.0;
        }
        let total = weights.iter().sum::<f32>().max(VOID_WEIGHT);
        let weights = Tensor::<1>::from_data(TensorData::new(weights, [images * queries]), &device)
            .div_scalar(total);
        let classes =
            Tensor::<1, Int>::from_data(TensorData::new(classes, [images * queries]), &device);
        let named = tp_kernels::token_cross_entropy(
            class_logits.reshape([images * queries, with_void]),
            classes,
        );
        let class_loss = (named * weights).sum().mul_scalar(CLASS_WEIGHT);
        if pairs.is_empty() {
            return class_loss;
        }

        let rows = |of: &dyn Fn(&Pair) -> usize| {
            let rows: Vec<i64> = pairs.iter().map(|pair| of(pair) as i64).collect();
            Tensor::<1, Int>::from_data(TensorData::new(rows, [pairs.len()]), &device)
        };
        let logits = masks
            .reshape([images * queries, cells])
            .select(0, rows(&|pair| pair.image * queries + pair.query)); // [pair, cell]
        let inside = self
            .masks
            .clone()
            .reshape([images * most, cells])
            .select(0, rows(&|pair| pair.image * most + pair.object));
        let cross_entropy = (softplus(logits.clone()) - logits.clone() * inside.clone()).mean();
        let probs = sigmoid(logits);
        let overlap = (probs.clone() * inside.clone()).sum_dim(1).mul_scalar(2.0).add_scalar(1.0);
        let dice = (overlap / (probs.sum_dim(1) + inside.sum_dim(1)).add_scalar(1.0))
            .mean()
            .neg()
            .add_scalar(1.0);
        class_loss + (cross_entropy + dice).mul_scalar(MASK_WEIGHT)
    }

    /// Matches objects to queries, image by image. Costs are computed on the device, the assignment
    /// on the host.
    fn pairs(&self, class_logits: Tensor<3>, masks: Tensor<3>) -> Vec<Pair> {
        let [_, queries, with_void] = class_logits.dims();
        let [_, most, cells] = self.masks.dims();
        let inside = self.masks.clone().swap_dims(1, 2); // [image, cell, object]
        let probs = sigmoid(masks.clone());
        let area = inside.clone().sum_dim(1); // [image, 1, object]
        let cross_entropy = (softplus(masks.clone()).sum_dim(2) - masks.matmul(inside.clone()))
            .div_scalar(cells as f64);
        let overlap = probs.clone().matmul(inside).mul_scalar(2.0).add_scalar(1.0);
        let dice = overlap / (probs.sum_dim(2) + area).add_scalar(1.0);
        let mask_costs: Vec<f32> = (cross_entropy - dice).into_data().iter::<f32>().collect(); // [image, query, object]
        let class_probs: Vec<f32> =
            tp_kernels::softmax(class_logits).into_data().iter::<f32>().collect();

        let mut pairs = Vec::new();
        for (image, classes) in self.classes.iter().enumerate() {
            let classes = classes.as_deref().unwrap_or(&[]);
            let cost = |object: usize, query: usize| {
                let class = classes[object];
                assert!(
                    class < with_void - 1,
                    "class {class} is unknown to the network, which has {}",
                    with_void - 1
                );
                let likely = class_probs[(image * queries + query) * with_void + class];
                MASK_WEIGHT * f64::from(mask_costs[(image * queries + query) * most + object])
                    - CLASS_WEIGHT * f64::from(likely)
            };
            let costs: Vec<Vec<f64>> = (0..classes.len())
                .map(|object| (0..queries).map(|query| cost(object, query)).collect())
                .collect();
            let assigned = cheapest_assignment(&costs).into_iter().enumerate();
            pairs.extend(assigned.filter_map(|(object, query)| {
                Some(Pair { image, object, query: query?, class: classes[object] })
            }));
        }
        pairs
    }
}

/// An object with its query.
struct Pair {
    image: usize,
    object: usize,
    query: usize,
    class: usize,
}

/// `ln(1 + eˣ)` without overflow.
fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    relu(x.clone()) + x.abs().neg().exp().log1p()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    /// One image of 1×4 cells, two queries, two classes and void.
    fn output(
        class_logits: [[f32; 3]; 2],
        mask_logits: [[f32; 4]; 2],
        device: &Device,
    ) -> QueryOutput {
        QueryOutput {
            query_features: Tensor::zeros([1, 2, 4], device),
            query_positions: Tensor::zeros([2, 4], device),
            class_logits: Tensor::from_data([class_logits], device),
            mask_logits: Tensor::from_data([[[mask_logits[0]], [mask_logits[1]]]], device),
            aux: Vec::new(),
        }
    }

    fn loss(output: &QueryOutput, targets: QueryTargets) -> f32 {
        query_loss(output, &[targets]).into_scalar()
    }

    const LEFT: [bool; 4] = [true, true, false, false];

    fn left_object() -> QueryTargets {
        Some(vec![QueryTarget { class: 1, mask: LEFT.to_vec() }])
    }

    #[test]
    fn perfect_queries_cost_nothing() {
        let perfect = output(
            [[0.0, 0.0, 30.0], [0.0, 30.0, 0.0]],
            [[-30.0; 4], [30.0, 30.0, -30.0, -30.0]],
            &Device::flex(),
        );
        assert!(loss(&perfect, left_object()).abs() < 1e-4);
    }

    #[test]
    fn order_of_queries_means_nothing() {
        let device = Device::flex();
        let (a, b) = ([0.3, -1.0, 0.0], [2.0, 1.0, 0.0]);
        let (m, n) = ([0.1, 0.5, -0.7, 2.0], [-1.0, 1.5, 0.2, 0.0]);
        let one = loss(&output([a, b], [m, n], &device), left_object());
        let other = loss(&output([b, a], [n, m], &device), left_object());
        assert!((one - other).abs() < 1e-5);
    }

    #[test]
    fn loss_of_undecided_queries_is_known() {
        // All logits 0: class ln 3 (weights 1 and 0.1 normalized), mask ln 2, dice 1 - (2·1 + 1)/(2
        // + 2 + 1).
        let undecided = output([[0.0; 3]; 2], [[0.0; 4]; 2], &Device::flex());
        let expected = 2.0 * 3.0_f32.ln() + 5.0 * (2.0_f32.ln() + 0.4);
        assert!((loss(&undecided, left_object()) - expected).abs() < 1e-5);
    }

    #[test]
    fn image_without_known_objects_teaches_nothing_and_an_empty_one_teaches_void() {
        let undecided = output([[0.0; 3]; 2], [[0.0; 4]; 2], &Device::flex());
        assert_eq!(loss(&undecided, None), 0.0);
        assert!((loss(&undecided, Some(Vec::new())) - 2.0 * 3.0_f32.ln()).abs() < 1e-5);
    }

    #[test]
    fn more_objects_than_queries_is_no_failure() {
        let undecided = output([[0.0; 3]; 2], [[0.0; 4]; 2], &Device::flex());
        let objects = (0..5).map(|_| QueryTarget { class: 0, mask: LEFT.to_vec() }).collect();
        assert!(loss(&undecided, Some(objects)).is_finite());
    }

    #[test]
    fn earlier_layers_count_as_the_last_one() {
        let device = Device::flex();
        let mut with_aux = output([[0.5, 0.1, 0.0]; 2], [[0.3; 4]; 2], &device);
        let alone = loss(&with_aux, left_object());
        with_aux.aux = vec![QueryPrediction {
            class_logits: with_aux.class_logits.clone(),
            mask_logits: with_aux.mask_logits.clone(),
        }];
        assert!((loss(&with_aux, left_object()) - alone).abs() < 1e-6);
    }
}
