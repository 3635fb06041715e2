//! What the Localizer learns from: the squared error of the point (the paper's), and the
//! cross-entropy of the heat-map.

use burn::tensor::{Device, Tensor, TensorData, activation::log_softmax};
use tp_core::ModelXy;

/// Mean squared error over points and both coordinates.
///
/// # Shapes
///
/// - `predicted`: `[text, 2]` in the unit square of the model's input
#[must_use]
pub fn point_loss(predicted: Tensor<2>, targets: &[ModelXy]) -> Tensor<1> {
    let flat: Vec<f32> =
        targets.iter().flat_map(|target| [target.x as f32, target.y as f32]).collect();
    let targets =
        Tensor::<2>::from_data(TensorData::new(flat, [targets.len(), 2]), &predicted.device());
    (predicted - targets).square().mean()
}

/// Cross-entropy between the heat-map and a Gaussian around the target, or "nowhere" if there is
/// none; mean over texts.
///
/// # Shapes
///
/// - `logits`: `[image, text, height · width + 1]`, as [`HeatmapHead`](crate::HeatmapHead) gives
///   them
/// - `targets`: image by image, `image · text` of them
///
/// # Panics
///
/// Unless there is one target for every text.
#[must_use]
pub fn heatmap_loss(
    logits: Tensor<3>,
    targets: &[Option<ModelXy>],
    size: [usize; 2],
    sigma: f64,
) -> Tensor<1> {
    let [n_images, n_texts, n_classes] = logits.dims();
    assert_eq!(n_images * n_texts, targets.len(), "one target for every text");
    let wanted = target_distributions(targets, size, sigma, &logits.device())
        .reshape([n_images, n_texts, n_classes]);
    (log_softmax(logits, 2) * wanted).sum_dim(2).mean().neg()
}

/// `[text, height · width + 1]`, each row a distribution.
fn target_distributions(
    targets: &[Option<ModelXy>],
    [height, width]: [usize; 2],
    sigma: f64,
    device: &Device,
) -> Tensor<2> {
    let n_classes = height * width + 1;
    let mut wanted = vec![0.0_f32; targets.len() * n_classes];
    for (row, target) in wanted.chunks_exact_mut(n_classes).zip(targets) {
        let Some(target) = target else {
            row[n_classes - 1] = 1.0;
            continue;
        };
        // The Gaussian is separable: one exponential a row and a column.
        let along = |n: usize, at: f64| -> Vec<f32> {
            (0..n)
                .map(|i| {
                    (-(((i as f64 + 0.5) / n as f64 - at).powi(2)) / (2.0 * sigma * sigma)).exp()
                        as f32
                })
                .collect()
        };
        let (rows, columns) = (along(height, target.y), along(width, target.x));
        let total = rows.iter().sum::<f32>() * columns.iter().sum::<f32>();
        for (cell, wanted) in row[..height * width].iter_mut().enumerate() {
            *wanted = rows[cell / width] * columns[cell % width] / total;
        }
    }
    Tensor::from_data(TensorData::new(wanted, [targets.len(), n_classes]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_is_a_distribution_around_the_point() {
        let device = Device::flex();
        let targets = [Some(ModelXy { x: 0.3, y: 0.7 }), None];
        let wanted: Vec<f32> = target_distributions(&targets, [10, 10], 0.04, &device)
            .into_data()
            .iter::<f32>()
            .collect();
        for row in wanted.chunks_exact(101) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
        let peak = (0..100).max_by(|&a, &b| wanted[a].total_cmp(&wanted[b])).unwrap();
        // x = 0.3 lies between columns 2 and 3, y = 0.7 between rows 6 and 7.
        assert!([62, 63, 72, 73].contains(&peak), "{peak}");
        assert_eq!(wanted[201], 1.0);
    }

    #[test]
    fn loss_is_least_where_the_map_is_right() {
        let device = Device::flex();
        let at = |cell: usize| {
            let mut logits = vec![0.0_f32; 26];
            logits[cell] = 6.0;
            let logits = Tensor::<3>::from_data(TensorData::new(logits, [1, 1, 26]), &device);
            heatmap_loss(logits, &[Some(ModelXy { x: 0.5, y: 0.5 })], [5, 5], 0.05)
                .into_scalar::<f32>()
        };
        assert!(at(12) < at(13) && at(13) <= at(25));
    }

    #[test]
    fn point_loss_is_the_mean_over_both_coordinates() {
        let device = Device::flex();
        let predicted = Tensor::<2>::from_floats([[0.5, 0.5], [0.0, 1.0]], &device);
        let loss = point_loss(predicted, &[ModelXy { x: 0.5, y: 0.3 }, ModelXy { x: 0.0, y: 1.0 }]);
        assert!((loss.into_scalar::<f32>() - 0.01).abs() < 1e-7); // 0.2² / 4
    }
}
