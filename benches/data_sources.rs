//! Drawing training samples from a built data set in Parquet, from a file of triplets beside its
//! images, and from the same samples in memory: samples a second, and the memory that is held.
//!
//! ```sh
//! cargo bench --profile dev --package tp-benches --bench data_sources -- SET [IMAGES]
//! ```
//!
//! `SET` is a folder that `talking-points data build` has made, `IMAGES` the folder of its images,
//! without which the file of triplets is left out.

use std::{path::PathBuf, time::Instant};

use talking_points::{
    core::Seed,
    recipe::{Draw, ParquetSet, SampleSettings, SampleSource, TrainingSample, TripletSet},
};
use tp_benches::peak_bytes;

/// Draws per source, and how often the memory is printed.
const DRAWS: u64 = 20_000;
const STRETCH: u64 = 4_000;
/// Samples in memory.
const IN_MEMORY: u64 = 2_000;
/// The longer side of the images in pixels, and the points on each.
const SIDE: u32 = 128;
const POINTS: usize = 1;

/// Samples that are copied from memory.
struct InMemory(Vec<TrainingSample>);

impl SampleSource for InMemory {
    fn sample(&self, draw: Draw, _: &SampleSettings) -> Option<TrainingSample> {
        Some(self.0[(draw.number % self.0.len() as u64) as usize].clone())
    }
}

#[expect(clippy::print_stdout, reason = "its result")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let Some(set) = arguments.next().map(PathBuf::from) else {
        println!("no data set is given: see the head of this file");
        return Ok(());
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(set.join("data"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().contains("train-"))
        .collect();
    files.sort_unstable();
    let parquet = ParquetSet::open(&files, SIDE)?;
    println!("{} rows in {} files", parquet.n_rows(), files.len());
    measure("parquet", &parquet);
    if let Some(images) = arguments.next() {
        let file = set.join("triplets/train.jsonl");
        let began = Instant::now();
        let lines = TripletSet::open(&file, images.as_ref(), None, SIDE)?;
        println!("triplets: opened in {:.1} s", began.elapsed().as_secs_f64());
        measure("triplets", &lines);
    }
    let settings = settings();
    let samples = (0..IN_MEMORY)
        .filter_map(|number| parquet.sample(Draw { run: Seed(1), number }, &settings))
        .collect();
    measure("memory", &InMemory(samples));
    Ok(())
}

fn settings() -> SampleSettings {
    SampleSettings { n_points: POINTS, ..Default::default() }
}

#[expect(clippy::print_stdout, reason = "its result")]
fn measure(name: &str, source: &dyn SampleSource) {
    let settings = settings();
    for stretch in 0..DRAWS / STRETCH {
        let began = Instant::now();
        let found = (stretch * STRETCH..(stretch + 1) * STRETCH)
            .filter(|&number| source.sample(Draw { run: Seed(0), number }, &settings).is_some())
            .count();
        println!(
            "{name}: {:.0} samples a second on one thread; {:.0} MB at the peak so far",
            found as f64 / began.elapsed().as_secs_f64(),
            peak_bytes() as f64 / 1e6
        );
    }
}
