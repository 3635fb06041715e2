//! Facts about a point, and their way out of vectors and into them.
//!
//! Linear read-outs of facts: used in training alone, so that a vector holds what matters before
//! anything has to use it (`docs/training.md`). The keypoint feature learns what stands at the
//! point and where; the state of `[SEG]` learns what the text said.

use std::collections::HashSet;

use burn::{
    config::Config,
    module::Module,
    nn::{Embedding, EmbeddingConfig, Initializer, Linear, LinearConfig},
    tensor::{Device, Int, Tensor, TensorData},
};

/// The class of a fact that is not asked for.
const UNASKED: u32 = u32::MAX;

/// The facts of some points or texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// For each fact its class in every row.
    classes: Vec<Vec<u32>>,
}

impl Facts {
    /// No rows of `n` facts.
    #[must_use]
    pub fn new(n: usize) -> Self {
        Self { classes: vec![Vec::new(); n] }
    }

    /// Adds one row; `None` teaches nothing.
    ///
    /// # Panics
    ///
    /// If it has not as many facts as the other rows.
    pub fn push(&mut self, row: &[Option<u32>]) {
        assert_eq!(row.len(), self.classes.len(), "every row has the same facts");
        for (classes, class) in self.classes.iter_mut().zip(row) {
            classes.push(class.unwrap_or(UNASKED));
        }
    }

    /// Adds all rows of others.
    ///
    /// # Panics
    ///
    /// If they are of another number of facts.
    pub fn append(&mut self, others: &Self) {
        assert_eq!(others.classes.len(), self.classes.len(), "every row has the same facts");
        for (classes, others) in self.classes.iter_mut().zip(&others.classes) {
            classes.extend(others);
        }
    }
}

/// Shape of [`FactTables`].
#[derive(Config, Debug)]
pub struct FactTablesConfig {
    /// Width of the vectors.
    pub d_output: usize,
    /// The number of values of every fact.
    pub classes: Vec<usize>,
}

impl FactTablesConfig {
    /// Tables to be trained.
    #[must_use]
    pub fn init(&self, device: &Device) -> FactTables {
        // Vectors that add up to about unit length, whatever their number.
        let std = 1.0 / ((self.classes.len() * self.d_output) as f64).sqrt();
        let table = |&n: &usize| {
            EmbeddingConfig::new(n + 1, self.d_output)
                .with_initializer(Initializer::Normal { mean: 0.0, std })
                .init(device)
        };
        FactTables { facts: self.classes.iter().map(table).collect() }
    }
}

/// One vector for every value of every fact: what a point's token would say if all of it were
/// known. The language model learns from them to write about its point before there are eyes to
/// tell it anything.
#[derive(Module, Debug)]
pub struct FactTables {
    facts: Vec<Embedding>,
}

impl FactTables {
    /// The sum of the facts' vectors, `[row, d_output]`; a fact that is not asked for has a vector
    /// of its own.
    ///
    /// # Panics
    ///
    /// If there are other facts than tables, or a class that its fact does not have.
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

    /// The tables whose sums come closest to given vectors, by least squares: those that another
    /// model's points have.
    ///
    /// Backfitting (Hastie and Tibshirani, Generalized Additive Models): each table in turn takes
    /// the class means of what the others leave, a class with few rows less of it. A class without
    /// rows, and the fact that is not asked for, have the mean of all.
    ///
    /// - `vectors`: `[row, d_output]`
    ///
    /// # Panics
    ///
    /// If there is not one class for every row and fact, or a class that its fact does not have.
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
        // What the tables do not yet explain of each row.
        let mut left: Vec<f32> = vectors.clone().into_data().iter::<f32>().collect();
        let n_classes: Vec<usize> = self.facts.iter().map(|table| table.weight.dims()[0]).collect();
        let mut tables: Vec<Vec<f32>> = n_classes.iter().map(|&n| vec![0.0; n * width]).collect();
        let mut means = vec![vec![0.0; width]; n_facts];
        for _ in 0..SWEEPS {
            for ((table, classes), mean) in tables.iter_mut().zip(&facts.classes).zip(&mut means) {
                let mut change = vec![0.0; table.len()];
                let mut n_of_class = vec![1.0; table.len() / width]; // one row that asks for no change
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

/// Which facts are read out, and how many values each has.
#[derive(Config, Debug)]
pub struct FactReadoutConfig {
    /// Width of the vector that is read.
    pub d_input: usize,
    /// The number of values of every fact, e.g. 9 for a cell.
    pub classes: Vec<usize>,
}

impl FactReadoutConfig {
    /// Read-outs to be trained.
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

/// The loss of the read-outs, and how often each was right.
#[derive(Debug)]
pub struct ReadoutLoss {
    /// Cross-entropy, its mean over the rows that ask for a fact, summed over facts.
    pub loss: Tensor<1>,
    /// The share of rows whose fact was read right, fact by fact; NaN where none asks for it.
    pub accuracy: Vec<f64>,
}

impl FactReadout {
    /// Compares what is read with the facts.
    ///
    /// # Shapes
    ///
    /// - `vectors`: `[row, d_input]`
    ///
    /// # Panics
    ///
    /// If there is not one class for every row and fact, or a class that its fact does not have.
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
        // 40 rows of each pair; nobody has the third class of the first fact.
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
        // The first fact is the sign of the first component; the second is undecided.
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
