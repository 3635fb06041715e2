//! A built data set in Parquet as a source of training samples: row groups are read as they are
//! drawn, and a few are in memory.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tp_builder::{BuildError, ParquetRows, Row};
use tp_core::Seed;
use tp_data::{DataError, decode_annotated_bytes};

use super::{
    Draw, SampleSettings, SampleSource, TrainingSample,
    draw::Permutation,
    triplet_set::{lit, sample_of},
};

/// The memory that the rows of a window may take, in bytes. Draws are shuffled within a window.
const WINDOW_BYTES: u64 = 64 << 20;
/// The maximum number of groups in a window.
const MOST_GROUPS: u64 = 64;

/// The rows of Parquet files with embedded images.
///
/// A random order over all rows would read a whole group for each row. So each epoch permutes the
/// groups, and shuffles the rows of a window of consecutive groups; memory is bounded by two windows.
pub struct ParquetSet {
    files: Vec<PathBuf>,
    groups: Vec<Group>,
    n_rows: u64,
    /// Groups per window.
    window: usize,
    longest_side: u32,
    is_augmented: bool,
    kept: Mutex<Kept>,
}

/// A row group.
#[derive(Clone, Copy)]
struct Group {
    file: usize,
    index: usize,
    n_rows: u64,
}

/// The order of the groups in one epoch.
struct Order {
    groups: Vec<u32>,
    /// The number of rows before each group, and in all.
    starts: Vec<u64>,
}

/// The rows of a group, with the bytes of their images.
type Rows = Arc<Vec<(Row, Option<Arc<[u8]>>)>>;

/// What is kept in memory, the latest last.
#[derive(Default)]
struct Kept {
    orders: Vec<(Seed, Arc<Order>)>,
    groups: Vec<(u32, Rows)>,
}

impl ParquetSet {
    /// The rows of some files, with the longer side of images scaled to `longest_side` pixels.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if a file cannot be opened, was not written by the builder, or there is no
    /// row.
    pub fn open(files: &[PathBuf], longest_side: u32) -> Result<Self, BuildError> {
        let (mut groups, mut n_bytes) = (Vec::new(), 0);
        for (file, path) in files.iter().enumerate() {
            let rows = ParquetRows::open(path)?;
            n_bytes += rows.n_bytes();
            groups.extend(
                rows.group_sizes()
                    .into_iter()
                    .enumerate()
                    .filter(|(_, n_rows)| *n_rows > 0)
                    .map(|(index, n_rows)| Group { file, index, n_rows: n_rows as u64 }),
            );
        }
        if groups.is_empty() {
            let path = files.first().map_or_else(PathBuf::new, Clone::clone);
            return Err(BuildError::Data(DataError::NoTriplets { path }));
        }
        let group_bytes = (n_bytes / groups.len() as u64).max(1);
        Ok(Self {
            files: files.to_vec(),
            n_rows: groups.iter().map(|group| group.n_rows).sum(),
            groups,
            window: (WINDOW_BYTES / group_bytes).clamp(1, MOST_GROUPS) as usize,
            longest_side,
            is_augmented: true,
            kept: Mutex::default(),
        })
    }

    /// The same source with images as they are, for evaluation.
    #[must_use]
    pub fn without_augmentation(self) -> Self {
        Self { is_augmented: false, ..self }
    }

    /// The number of rows.
    #[must_use]
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// The group of a draw, and the row in it.
    fn place(&self, draw: Draw) -> (u32, usize) {
        let epoch = draw.run.split("epoch").nth(draw.number / self.n_rows);
        let order = self.order(epoch);
        let position = draw.number % self.n_rows;
        let at = order.starts.partition_point(|&start| start <= position) - 1;
        let first = at / self.window * self.window;
        let last = (first + self.window).min(order.groups.len());
        let (start, end) = (order.starts[first], order.starts[last]);
        let shuffled = Permutation::new(end - start, epoch.split("window").nth(first as u64))
            .at(position - start)
            + start;
        let at = order.starts.partition_point(|&start| start <= shuffled) - 1;
        (order.groups[at], (shuffled - order.starts[at]) as usize)
    }

    fn order(&self, epoch: Seed) -> Arc<Order> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, order)) = kept.orders.iter().find(|(seed, _)| *seed == epoch) {
            return order.clone();
        }
        let permutation = Permutation::new(self.groups.len() as u64, epoch.split("groups"));
        let groups: Vec<u32> =
            (0..self.groups.len() as u64).map(|index| permutation.at(index) as u32).collect();
        let mut starts = vec![0];
        for &group in &groups {
            starts.push(starts[starts.len() - 1] + self.groups[group as usize].n_rows);
        }
        let order = Arc::new(Order { groups, starts });
        // Two, because batches are made ahead across the end of an epoch.
        if kept.orders.len() == 2 {
            kept.orders.remove(0);
        }
        kept.orders.push((epoch, order.clone()));
        order
    }

    fn rows(&self, group: u32) -> Result<Rows, BuildError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, rows)) = kept.groups.iter().find(|(known, _)| *known == group) {
            return Ok(rows.clone());
        }
        let Group { file, index, .. } = self.groups[group as usize];
        let mut files: HashMap<String, Arc<[u8]>> = HashMap::new();
        let rows = ParquetRows::open(&self.files[file])?.read_group_at(index)?;
        let rows: Rows = Arc::new(
            rows.into_iter()
                .map(|(row, bytes)| {
                    // Rows about one image share its bytes.
                    let bytes = bytes.map(|bytes| {
                        files
                            .entry(row.triplet.image.clone())
                            .or_insert_with(|| bytes.into())
                            .clone()
                    });
                    (row, bytes)
                })
                .collect(),
        );
        if kept.groups.len() >= 2 * self.window {
            kept.groups.remove(0);
        }
        kept.groups.push((group, rows.clone()));
        Ok(rows)
    }

    fn read(&self, draw: Draw, options: &SampleSettings) -> Result<TrainingSample, String> {
        let (group, row) = self.place(draw);
        let rows = self.rows(group).map_err(|error| crate::error_line(&error))?;
        let first = &rows[row].0.triplet;
        let file = &self.files[self.groups[group as usize].file];
        let bytes = rows[row]
            .1
            .as_ref()
            .ok_or_else(|| format!("{} of {} has no image", first.image, file.display()))?;
        let name = format!("{} of {}", first.image, Path::new(file).display());
        let (image, _) =
            decode_annotated_bytes(&name, bytes, first.size).map_err(|error| error.to_string())?;
        // The drawn row, then the others of the group about the same image.
        let triplets = rows[row..]
            .iter()
            .chain(&rows[..row])
            .map(|(other, _)| &other.triplet)
            .filter(|other| other.image == first.image && other.size == first.size)
            .take(options.n_points.max(1))
            .cloned()
            .collect();
        Ok(sample_of(image, triplets, self.longest_side, options, |image| {
            if self.is_augmented { lit(&image, draw.seed()) } else { image }
        }))
    }
}

impl SampleSource for ParquetSet {
    fn sample(&self, draw: Draw, options: &SampleSettings) -> Option<TrainingSample> {
        self.read(draw, options).map_err(|problem| tracing::warn!("skipped: {problem}")).ok()
    }

    fn draws_per_epoch(&self, n_points: usize) -> Option<u64> {
        Some(self.n_rows.div_ceil(n_points.max(1) as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use tp_builder::{Build, BuildConfig, BuildOptions, BuildOutcome, RunLimits, Teachers};
    use tp_core::{ImageHw, RgbImage};
    use tp_data::{CocoParts, Strictness, write_png};

    use super::*;

    /// A built data set of twelve images with two objects each, in groups of three rows.
    fn built(folder: &Path) -> PathBuf {
        let size = ImageHw::new(64, 64).unwrap();
        let (mut images, mut annotations) = (Vec::new(), Vec::new());
        for id in 1..=12_u64 {
            let mut image = RgbImage::filled(size, [0; 3]);
            for (index, byte) in image.bytes_mut().iter_mut().enumerate() {
                *byte = Seed(id).nth(index as u64 / 48).0 as u8;
            }
            write_png(&folder.join(format!("{id}.png")), &image).unwrap();
            images.push(format!(r#"{{"id":{id},"file_name":"{id}.png","width":64,"height":64}}"#));
            for (side, category) in [(2, 1), (34, 2)] {
                annotations.push(format!(
                    r#"{{"id":{},"image_id":{id},"category_id":{category},"bbox":[{side},8,28,48],"segmentation":[]}}"#,
                    annotations.len() + 1
                ));
            }
        }
        let text = format!(
            r#"{{"images":[{}],"categories":[{{"id":1,"name":"mug"}},{{"id":2,"name":"plate"}}],"annotations":[{}],"part_categories":[],"part_annotations":[]}}"#,
            images.join(","),
            annotations.join(",")
        );
        let file = folder.join("annotations.json");
        std::fs::write(&file, text).unwrap();
        let dataset = CocoParts::open(&file, folder, Strictness::Strict).unwrap();
        let out = folder.join("set");
        let build = Build {
            dataset: &dataset,
            recipe: &BuildConfig { rows_per_group: 3, rows_per_file: 7, ..Default::default() },
            teachers: &Teachers::rules(),
            localizer: None,
            options: &BuildOptions::new(&out),
            limits: &RunLimits::default(),
            listener: &|_| {},
        };
        assert!(matches!(build.run().unwrap(), BuildOutcome::Finished(_)));
        out
    }

    fn train_files(out: &Path) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(out.join("data"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().contains("train-"))
            .collect();
        files.sort_unstable();
        files
    }

    #[test]
    fn every_row_is_drawn_once_in_an_epoch_and_the_next_differs() {
        let folder = tempfile::tempdir().unwrap();
        let files = train_files(&built(folder.path()));
        let mut set = ParquetSet::open(&files, 48).unwrap();
        set.window = 2;
        let n = set.n_rows();
        assert!(n > 6, "{n} rows");
        let one = SampleSettings { n_points: 1, ..Default::default() };
        let epochs: Vec<Vec<String>> = [0, n]
            .map(|start| {
                (start..start + n)
                    .map(|number| {
                        let sample = set.sample(Draw { run: Seed(5), number }, &one).unwrap();
                        assert_eq!(sample.image.size(), ImageHw::new(48, 48).unwrap());
                        let triplet = &sample.triplets[0];
                        assert_eq!(triplet.image, sample.annotation.name);
                        format!("{} {:?}", triplet.image, triplet.point)
                    })
                    .collect()
            })
            .into();
        let distinct = |epoch: &Vec<String>| epoch.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(distinct(&epochs[0]).len() as u64, n);
        assert_eq!(distinct(&epochs[0]), distinct(&epochs[1]));
        assert_ne!(epochs[0], epochs[1]);
        // Memory is bounded: two windows of two groups.
        assert!(set.kept.lock().unwrap().groups.len() <= 4);
        // Another object opens the same rows in the same order.
        let again = ParquetSet { window: 2, ..ParquetSet::open(&files, 48).unwrap() };
        let place = |set: &ParquetSet| {
            (0..n).map(|number| set.place(Draw { run: Seed(5), number })).collect::<Vec<_>>()
        };
        assert_eq!(place(&again), place(&set));
    }

    #[test]
    fn draws_stay_near_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let set = ParquetSet::open(&train_files(&built(folder.path())), 48).unwrap();
        let set = ParquetSet { window: 1, ..set };
        let mut of_group: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for number in 0..set.n_rows() {
            let (group, _) = set.place(Draw { run: Seed(6), number });
            of_group.entry(group).or_default().push(number);
        }
        for numbers in of_group.values() {
            let spread = numbers[numbers.len() - 1] - numbers[0];
            assert_eq!(spread, numbers.len() as u64 - 1, "{numbers:?}");
        }
    }

    #[test]
    fn a_file_without_rows_of_ours_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("train-00000.parquet");
        std::fs::write(&file, "PAR1").unwrap();
        assert!(ParquetSet::open(&[file], 48).is_err());
        assert!(ParquetSet::open(&[], 48).is_err());
    }
}
