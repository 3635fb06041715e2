//! Converts the predictions of the learned queries to objects with disjoint cells.
//!
//! Source: the merging of overlapping masks in Kirillov et al., "Panoptic Segmentation" (arXiv
//! 1801.00868).

use crate::QueryOutput;

/// A query that retains a smaller share of its mask is assumed to repeat an object of a more
/// confident query.
const LEAST_LEFT: f64 = 0.5;

/// An object found by a query.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FoundObject {
    /// The index of the query.
    pub query: usize,
    /// Its class.
    pub class: usize,
    /// The probability of that class, among all classes and void.
    pub score: f32,
    /// Its cells, row-major at stride 4.
    pub cells: Vec<bool>,
}

impl QueryOutput {
    /// The objects of one image of the batch, in order of decreasing confidence.
    ///
    /// A query counts if its most likely class is not void and has at least the probability
    /// `least_score`. The most confident query takes all cells of its mask, the next ones what
    /// remains of theirs; queries that retain little are dropped.
    ///
    /// # Panics
    ///
    /// If the index of the image is out of range.
    #[must_use]
    pub fn objects(&self, image: usize, least_score: f32) -> Vec<FoundObject> {
        let [_, n_queries, n_classes] = self.class_logits.dims();
        let classes = tp_kernels::softmax(self.class_logits.clone().narrow(0, image, 1));
        let classes: Vec<f32> = classes.into_data().iter::<f32>().collect();
        let masks: Vec<f32> =
            self.mask_logits.clone().narrow(0, image, 1).into_data().iter::<f32>().collect();
        let n_cells = masks.len() / n_queries;
        let mut found: Vec<FoundObject> = classes
            .chunks_exact(n_classes)
            .enumerate()
            .map(|(query, scores)| likeliest(query, scores))
            .collect();
        found.retain(|object| object.class + 1 < n_classes && object.score >= least_score);
        found.sort_by(|a, b| b.score.total_cmp(&a.score));

        let mut taken = vec![false; n_cells];
        found.retain_mut(|object| {
            let mask =
                || masks[object.query * n_cells..][..n_cells].iter().map(|&logit| logit > 0.0);
            object.cells = mask().zip(&taken).map(|(inside, &taken)| inside && !taken).collect();
            let [left, all] = [object.n_cells(), mask().filter(|&inside| inside).count()];
            let kept = left > 0 && left as f64 >= LEAST_LEFT * all as f64;
            if kept {
                taken.iter_mut().zip(&object.cells).for_each(|(taken, &own)| *taken |= own);
            }
            kept
        });
        found
    }
}

impl FoundObject {
    /// The number of its cells.
    #[must_use]
    pub fn n_cells(&self) -> usize {
        self.cells.iter().filter(|&&own| own).count()
    }

    /// The share of the model's square input that its cells cover.
    #[must_use]
    pub fn area_share(&self) -> f64 {
        self.n_cells() as f64 / self.cells.len() as f64
    }
}

/// The best class of a query, with its cells not yet determined.
fn likeliest(query: usize, scores: &[f32]) -> FoundObject {
    let class = (1..scores.len())
        .fold(0, |best, class| if scores[class] > scores[best] { class } else { best });
    FoundObject { query, class, score: scores[class], cells: Vec::new() }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};

    use super::*;

    /// Queries over four cells, two classes and void.
    fn queries(classes: &[[f32; 3]], masks: &[[f32; 4]]) -> QueryOutput {
        let (n, device) = (classes.len(), Device::flex());
        QueryOutput {
            query_features: Tensor::zeros([1, n, 1], &device),
            query_positions: Tensor::zeros([n, 1], &device),
            class_logits: Tensor::from_data(TensorData::new(classes.concat(), [1, n, 3]), &device),
            mask_logits: Tensor::from_data(TensorData::new(masks.concat(), [1, n, 2, 2]), &device),
            aux: Vec::new(),
        }
    }

    #[test]
    fn surer_query_takes_the_shared_cells_and_void_takes_none() {
        let (sure, likely, void) = ([9.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 5.0]);
        let (left, all_but_one, right) =
            ([6.0, -6.0, 6.0, -6.0], [6.0, 6.0, 6.0, -6.0], [-6.0, 6.0, -6.0, 6.0]);
        let found = queries(&[likely, sure, void, likely], &[all_but_one, left, right, right])
            .objects(0, 0.5);
        // The first query retains one of its three cells and is dropped; the last one then has both
        // of its own.
        assert_eq!(
            found.iter().map(|object| (object.query, object.class)).collect::<Vec<_>>(),
            [(1, 0), (3, 1)]
        );
        assert_eq!(found[0].cells, [true, false, true, false]);
        assert_eq!(found[1].cells, [false, true, false, true]);
    }

    #[test]
    fn objects_side_by_side_are_both_found_surest_first() {
        let found = queries(
            &[[0.0, 3.0, 0.0], [5.0, 0.0, 0.0]],
            &[[6.0, -6.0, 6.0, -6.0], [-6.0, 6.0, -6.0, 6.0]],
        )
        .objects(0, 0.5);
        assert_eq!(
            found.iter().map(|object| (object.query, object.class)).collect::<Vec<_>>(),
            [(1, 0), (0, 1)]
        );
        assert!(found[0].score > found[1].score);
    }

    #[test]
    fn empty_masks_and_unsure_classes_are_no_objects() {
        let outputs = queries(&[[5.0, 0.0, 0.0], [0.4, 0.0, 0.0]], &[[-6.0; 4], [6.0; 4]]);
        assert!(outputs.objects(0, 0.5).is_empty());
        assert_eq!(outputs.objects(0, 0.0)[0].query, 1);
    }
}
