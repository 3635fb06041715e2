//! Facts about a point, with linear read-outs and embeddings for them.
//!
//! A linear read-out is an auxiliary loss that exists only in training: it makes a vector encode
//! the facts before another part of the network has learned to use it (`docs/training.md`). The
//! keypoint feature learns what is at the point and where; the state of `[SEG]` learns what the
//! text states.

use std::collections::HashSet;

use burn::{
    config::Config,
    module::Module,
    nn::{Embedding, EmbeddingConfig, Initializer, Linear, LinearConfig},
    tensor::{Device, Int, Tensor, TensorData},
};

/// The class that marks a fact as not asked for.
const UNASKED: u32 = u32::MAX;

/// The facts of some points or texts, as classes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// For each fact, its class in every row.
    classes: Vec<Vec<u32>>,
}

impl Facts {
    /// An empty table of `n` facts.
    #[must_use]
    pub fn new(n: usize) -> Self {
        Self { classes: vec![Vec::new(); n] }
    }

    /// Adds a row; `None` excludes the fact from the loss.
    ///
    /// # Panics
    ///
    /// If the row has a different number of facts.
    pub fn push(&mut self, row: &[Option<u32>]) {
        assert_eq!(row.len(), self.classes.len(), "every row has the same facts");
        for (classes, class) in self.classes.iter_mut().zip(row) {
            classes.push(class.unwrap_or(UNASKED));
        }
    }

    /// Appends all rows of another table.
    ///
    /// # Panics
    ///
    /// If the numbers of facts differ.
    pub fn append(&mut self, others: &Self) {
        assert_eq!(others.classes.len(), self.classes.len(), "every row has the same facts");
        for (classes, others) in self.classes.iter_mut().zip(&others.classes) {
            classes.extend(others);
        }
    }
}

/// Configuration of [`FactTables`].
#[derive(Config, Debug)]
pub struct FactTablesConfig {
    /// Width of the vectors.
    pub d_output: usize,
    /// The number of classes of every fact.
    pub classes: Vec<usize>,
}

impl FactTablesConfig {
    /// Initializes the tables for training.
    #[must_use]
    pub fn init(&self, device: &Device) -> FactTables {
        // Scaled so that a sum has about unit length for any number of facts.
        let std = 1.0 / ((self.classes.len() * self.d_output) as f64).sqrt();
        let table = |&n: &usize| {
            EmbeddingConfig::new(n + 1, self.d_output)
                .with_initializer(Initializer::Normal { mean: 0.0, std })
                .init(device)
        };
        FactTables { facts: self.classes.iter().map(table).collect() }
    }
}

/// Embeddings of known facts: one vector for every class of every fact. Their sum stands in for the
/// point token while the language model learns to write about a point before the vision encoder
/// provides any information.
#[derive(Module, Debug)]
pub struct FactTables {
    facts: Vec<Embedding>,
}

impl FactTables {
    /// The sum of the embeddings of each row's facts, `[row, d_output]`; a fact that is not asked
    /// for has an embedding of its own.
    ///
    /// # Panics
    ///
    /// If the number of facts or a class is out of range.
    #[must_use]
    pub fn forward(&self, facts: &Facts) -> Tensor<2> {
        assert_eq!(facts.classes.len(), self.facts.len(), "one list of classes for every fact");
        let vectors = self.facts.iter().zip(&facts.classes).map(|(table, classes)| {
            let unasked = table.weight.dims()[0] as u32 - 1;
            let rows: Vec<i64> =
                classes.iter().map(|&class| i64::from(class.min(unasked))).collect();
            let rows = Tensor::<2, Int>::from_data(
                TensorData::new(rows, [1, classes.len()]),
                &table.weight.device(),
            );
            table.forward(rows).squeeze_dim::<2>(0)
        });
        vectors.reduce(|sum, vector| sum + vector).expect("there are facts")
    }

    /// The tables whose sums approximate the given vectors best in the least-squares sense, for
    /// example the point tokens of another model.
    ///
    /// Backfitting (Hastie and Tibshirani, Generalized Additive Models): each table in turn is set
    /// to the class means of the residual of the others, shrunk for classes with few rows. A class
    /// without rows, and the fact that is not asked for, get the overall mean.
    ///
    /// - `vectors`: `[row, d_output]`
    ///
    /// # Panics
    ///
    /// If the number of rows differs, or a class is out of range.
    #[must_use]
    pub fn fitted(mut self, facts: &Facts, vectors: &Tensor<2>) -> Self {
        const SWEEPS: usize = 20;
        let [n_rows, width] = vectors.dims();
        let n_facts = self.facts.len();
        assert!(
            facts.classes.len() == n_facts
                && facts.classes.iter().all(|classes| classes.len() == n_rows),
            "one class for every row"
        );
        // The residual of each row.
        let mut left: Vec<f32> = vectors.clone().into_data().iter::<f32>().collect();
        let n_classes: Vec<usize> = self.facts.iter().map(|table| table.weight.dims()[0]).collect();
        let mut tables: Vec<Vec<f32>> = n_classes.iter().map(|&n| vec![0.0; n * width]).collect();
        let mut means = vec![vec![0.0; width]; n_facts];
        for _ in 0..SWEEPS {
            for ((table, classes), mean) in tables.iter_mut().zip(&facts.classes).zip(&mut means) {
                let mut change = vec![0.0; table.len()];
                let mut n_of_class = vec![1.0; table.len() / width]; // one pseudo-row with a zero residual
                for (&class, left) in classes.iter().zip(left.chunks_exact(width)) {
                    n_of_class[class as usize] += 1.0;
                    change[class as usize * width..][..width]
                        .iter_mut()
                        .zip(left)
                        .for_each(|(sum, left)| *sum += left);
                }
                for (change, n) in change.chunks_exact_mut(width).zip(&n_of_class) {
                    change.iter_mut().for_each(|sum| *sum /= n);
                }
                table.iter_mut().zip(&change).for_each(|(value, change)| *value += change);
                for (&class, left) in classes.iter().zip(left.chunks_exact_mut(width)) {
                    let change = &change[class as usize * width..][..width];
                    left.iter_mut().zip(change).for_each(|(left, change)| *left -= change);
                    mean.iter_mut()
                        .zip(change)
                        .for_each(|(mean, change)| *mean += change / n_rows as f32);
                }
            }
        }
        for (((table, classes), mean), n) in
            tables.iter_mut().zip(&facts.classes).zip(&means).zip(&n_classes)
        {
            let seen: HashSet<u32> = classes.iter().copied().collect();
            (0..*n)
                .filter(|&class| !seen.contains(&(class as u32)))
                .for_each(|class| table[class * width..][..width].copy_from_slice(mean));
        }
        for ((embedding, table), n) in self.facts.iter_mut().zip(tables).zip(n_classes) {
            embedding.weight = embedding.weight.clone().map(|old| {
                let new =
                    Tensor::from_data(TensorData::new(table.clone(), [n, width]), &old.device());
                if old.is_autodiff() { new.require_grad() } else { new }
            });
        }
        self
    }
}

/// Configuration of [`FactReadout`].
#[derive(Config, Debug)]
pub struct FactReadoutConfig {
    /// Width of the input vectors.
    pub d_input: usize,
    /// The number of classes of every fact, e.g. 9 for a grid cell.
    pub classes: Vec<usize>,
}

impl FactReadoutConfig {
    /// Initializes the read-outs for training.
    #[must_use]
    pub fn init(&self, device: &Device) -> FactReadout {
        FactReadout {
            facts: self
                .classes
                .iter()
                .map(|&n| LinearConfig::new(self.d_input, n).init(device))
                .collect(),
        }
    }
}

/// One linear classifier for each fact.
#[derive(Module, Debug)]
pub struct FactReadout {
    facts: Vec<Linear>,
}

/// The loss and the accuracy of the read-outs.
#[derive(Debug)]
#[non_exhaustive]
pub struct ReadoutLoss {
    /// Cross-entropy, averaged over the rows that ask for a fact and summed over facts.
    pub loss: Tensor<1>,
    /// Accuracy per fact; NaN if no row asks for it.
    pub accuracy: Vec<f64>,
}

impl FactReadout {
    /// Computes the loss of the read-outs against the facts.
    ///
    /// # Shapes
    ///
    /// - `vectors`: `[row, d_input]`
    ///
    /// # Panics
    ///
    /// If the number of rows differs, or a class is out of range.
    #[must_use]
    pub fn loss(&self, vectors: &Tensor<2>, facts: &Facts) -> ReadoutLoss {
        let device = vectors.device();
        let n_rows = vectors.dims()[0];
        assert_eq!(facts.classes.len(), self.facts.len(), "one list of classes for every fact");
        let mut loss = Tensor::zeros([1], &device);
        let mut accuracy = Vec::with_capacity(self.facts.len());
        for (fact, classes) in self.facts.iter().zip(&facts.classes) {
            assert_eq!(classes.len(), n_rows, "one class for every row");
            let n_asked = classes.iter().filter(|&&class| class != UNASKED).count();
            let logits = fact.forward(vectors.clone()); // [row, class]
            let wanted: Vec<i64> = classes
                .iter()
                .map(|&class| if class == UNASKED { 0 } else { i64::from(class) })
                .collect();
            let weights: Vec<f32> = classes
                .iter()
                .map(|&class| if class == UNASKED { 0.0 } else { 1.0 / n_asked as f32 })
                .collect();
            let read: Vec<i64> =
                logits.clone().inner().argmax(1).into_data().iter::<i64>().collect();
            let right = read
                .iter()
                .zip(classes)
                .filter(|&(&read, &class)| read == i64::from(class))
                .count();
            accuracy.push(right as f64 / n_asked as f64);
            let wanted = Tensor::<1, Int>::from_data(TensorData::new(wanted, [n_rows]), &device);
            let weights = Tensor::<1>::from_data(TensorData::new(weights, [n_rows]), &device);
            loss = loss + (tp_kernels::token_cross_entropy(logits, wanted) * weights).sum();
        }
        ReadoutLoss { loss, accuracy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_add_up() {
        let device = Device::flex();
        let tables = FactTablesConfig::new(3, vec![2, 4]).init(&device);
        let mut facts = Facts::new(2);
        facts.push(&[Some(1), Some(3)]);
        facts.push(&[Some(1), None]);
        let row = |fact: usize, at: usize| tables.facts[fact].weight.val().narrow(0, at, 1);
        let expected = Tensor::cat(vec![row(0, 1) + row(1, 3), row(0, 1) + row(1, 4)], 0);
        assert_eq!(tables.forward(&facts).into_data(), expected.into_data());
    }

    #[test]
    fn fitted_tables_add_up_to_the_vectors_of_known_rows_and_means_of_the_others() {
        let device = Device::flex();
        let mut facts = Facts::new(2);
        // 40 rows of each pair; the third class of the first fact does not occur.
        let mut vectors = Vec::new();
        for row in 0..240 {
            let [a, b] = [row % 2, row % 3];
            facts.push(&[Some(a), Some(b)]);
            vectors.extend([5.0 + 3.0 * a as f32, 2.0 * b as f32]);
        }
        let vectors = Tensor::<2>::from_data(TensorData::new(vectors, [240, 2]), &device);
        let tables = FactTablesConfig::new(2, vec![3, 3]).init(&device).fitted(&facts, &vectors);
        let of = |pair: [Option<u32>; 2]| {
            let mut facts = Facts::new(2);
            facts.push(&pair);
            tables.forward(&facts).into_data().iter::<f32>().collect::<Vec<_>>()
        };
        let is_close = |got: Vec<f32>, wanted: [f32; 2]| {
            assert!(
                got.iter().zip(wanted).all(|(got, wanted)| (got - wanted).abs() < 0.1),
                "{got:?} is not {wanted:?}"
            );
        };
        is_close(of([Some(1), Some(2)]), [8.0, 4.0]);
        is_close(of([Some(0), Some(0)]), [5.0, 0.0]);
        is_close(of([None, Some(2)]), [6.5, 4.0]);
        is_close(of([Some(2), None]), [6.5, 2.0]);
    }

    #[test]
    fn unasked_fact_neither_counts_nor_costs() {
        let device = Device::flex();
        let mut readout = FactReadoutConfig::new(2, vec![2, 3]).init(&device);
        // The first fact is the sign of the first component; the second cannot be predicted.
        readout.facts[0].weight = readout.facts[0]
            .weight
            .clone()
            .map(|_| Tensor::from_floats([[9.0, -9.0], [0.0, 0.0]], &device));
        readout.facts[0].bias = None;
        readout.facts[1].weight = readout.facts[1].weight.clone().map(|weight| weight.zeros_like());
        readout.facts[1].bias = None;
        let mut facts = Facts::new(2);
        facts.push(&[Some(0), None]);
        facts.push(&[Some(1), Some(2)]);
        facts.push(&[None, None]);
        let vectors = Tensor::<2>::from_floats([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]], &device);
        let read = readout.loss(&vectors, &facts);
        assert_eq!(read.accuracy, [1.0, 0.0]);
        let loss: f32 = read.loss.into_scalar();
        assert!((loss - 3.0_f32.ln()).abs() < 1e-5, "{loss}"); // 0 for the sign, ln 3 for three equal classes
    }
}
