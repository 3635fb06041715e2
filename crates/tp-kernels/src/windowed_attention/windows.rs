//! The cells that each query may read.

use std::ops::Range;

/// The windows of many queries, one after the other: cells, and what is added to the logit of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    /// Where each window begins, and where the last one ends.
    starts: Vec<usize>,
    cells: Vec<u32>,
    bias: Vec<f32>,
}

impl Windows {
    /// Windows of cells, each with its bias.
    ///
    /// # Panics
    ///
    /// If a window is empty: a query that may read nothing has no answer.
    #[must_use]
    pub fn new(windows: impl IntoIterator<Item = Vec<(u32, f32)>>) -> Self {
        let (mut starts, mut cells, mut bias) = (vec![0], Vec::new(), Vec::new());
        for window in windows {
            assert!(!window.is_empty(), "window {} is empty", starts.len() - 1);
            cells.extend(window.iter().map(|&(cell, _)| cell));
            bias.extend(window.iter().map(|&(_, bias)| bias));
            starts.push(cells.len());
        }
        Self { starts, cells, bias }
    }

    /// How many windows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The cells of one window, and what is added to the logit of each.
    #[must_use]
    pub fn get(&self, index: usize) -> (&[u32], &[f32]) {
        let range = self.range(index);
        (&self.cells[range.clone()], &self.bias[range])
    }

    /// One more than the largest cell, 0 if there are no windows.
    #[must_use]
    pub fn n_cells(&self) -> usize {
        self.cells.iter().max().map_or(0, |&largest| largest as usize + 1)
    }

    /// The number of cells of the largest window.
    pub(super) fn largest(&self) -> usize {
        (0..self.len()).map(|index| self.range(index).len()).max().unwrap_or(0)
    }

    /// How many cells all windows hold.
    pub(super) fn n_entries(&self) -> usize {
        self.cells.len()
    }

    /// Cuts what belongs to the cells of all windows, `per_cell` elements each, into the parts of
    /// the windows.
    pub(super) fn split<'a, T>(&self, mut all: &'a mut [T], per_cell: usize) -> Vec<&'a mut [T]> {
        let part = |index| {
            all.split_off_mut(..self.range(index).len() * per_cell)
                .expect("an element for every cell")
        };
        (0..self.len()).map(part).collect()
    }

    /// Where a window's cells stand among those of all.
    pub(super) fn range(&self, index: usize) -> Range<usize> {
        self.starts[index]..self.starts[index + 1]
    }
}
