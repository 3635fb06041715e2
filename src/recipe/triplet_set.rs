//! A file of triplets as a source of training samples: lines and images are read as they are drawn.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use tp_core::{RgbImage, Seed, Triplet};
use tp_data::{
    AnnotatedImage, DataError, Split, TripletFile, decode_annotated, photometric, resized,
};

use super::{
    Draw, SampleSettings, SampleSource, TrainingSample, draw::shuffled, photographs::held_out_split,
};

/// The triplets of a JSON-lines file, whose images lie in a folder.
///
/// In memory are the position of every line and which lines have the same image: 24 bytes per
/// triplet. A draw reads one line, and further lines about the same image up to the number of points
/// per image.
#[derive(Debug)]
pub struct TripletSet {
    file: PathBuf,
    images: PathBuf,
    lines: Vec<Line>,
    longest_side: u32,
    is_augmented: bool,
}

/// Where a triplet is in the file.
#[derive(Clone, Copy, Debug)]
struct Line {
    offset: u64,
    number: u32,
    /// The next line about the same image, cyclically.
    next: u32,
}

impl TripletSet {
    /// The triplets of a file, with the longer side of images scaled to `longest_side` pixels. Every
    /// line is read once to validate it. Of a `split`, those whose group is assigned to it: a tenth
    /// of the groups is held out from training.
    ///
    /// # Errors
    ///
    /// [`DataError`] for the first invalid line, or if there is no triplet or too many.
    pub fn open(
        file: &Path,
        images: &Path,
        split: Option<Split>,
        longest_side: u32,
    ) -> Result<Self, DataError> {
        let mut lines: Vec<Line> = Vec::new();
        // The first and the latest line of every image, by the hash of its name and size.
        let mut of_image: HashMap<u64, (u32, u32)> = HashMap::new();
        let mut triplets = TripletFile::open(file)?;
        let mut n_triplets = 0_u64;
        loop {
            let (offset, number) = (triplets.offset(), triplets.line_number());
            let Some(triplet) = triplets.next() else { break };
            let triplet = triplet?;
            n_triplets += 1;
            if split.is_some_and(|split| held_out_split(&triplet.group) != split) {
                continue;
            }
            let too_many = || DataError::TripletLine {
                path: file.to_owned(),
                line: number,
                problem: "the file has more lines than the four billion that can be used".into(),
            };
            let index = u32::try_from(lines.len()).map_err(|_| too_many())?;
            let (first, latest) = of_image.entry(key_of(&triplet)).or_insert((index, index));
            let number = u32::try_from(number).map_err(|_| too_many())?;
            lines.push(Line { offset, number, next: *first });
            lines[*latest as usize].next = index;
            lines[index as usize].next = *first;
            *latest = index;
        }
        if n_triplets == 0 {
            return Err(DataError::NoTriplets { path: file.to_owned() });
        }
        lines.shrink_to_fit();
        Ok(Self {
            file: file.to_owned(),
            images: images.to_owned(),
            lines,
            longest_side,
            is_augmented: true,
        })
    }

    /// The same source with images as they are, for evaluation.
    #[must_use]
    pub fn without_augmentation(self) -> Self {
        Self { is_augmented: false, ..self }
    }

    /// The number of triplets.
    #[must_use]
    pub fn n_triplets(&self) -> usize {
        self.lines.len()
    }

    /// The triplet of a draw, and others about the same image.
    fn read(&self, first: usize, n_points: usize) -> Result<Vec<Triplet>, DataError> {
        let mut file = TripletFile::open(&self.file)?;
        let mut triplets = Vec::with_capacity(n_points);
        let mut at = first;
        while triplets.len() < n_points.max(1) {
            let Line { offset, number, next } = self.lines[at];
            file.seek(offset, number as usize)?;
            let changed = || DataError::TripletLine {
                path: self.file.clone(),
                line: number as usize + 1,
                problem: "the file has become shorter since it was opened".into(),
            };
            triplets.push(file.next().ok_or_else(changed)??);
            at = next as usize;
            if at == first {
                break;
            }
        }
        Ok(triplets)
    }
}

impl SampleSource for TripletSet {
    fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    fn sample(&self, draw: Draw, options: &SampleSettings) -> Option<TrainingSample> {
        if self.is_empty() {
            return None;
        }
        let first = shuffled(draw, self.lines.len() as u64) as usize;
        let sample = self.read(first, options.n_points).and_then(|triplets| {
            let size = triplets[0].size;
            let (image, _) = decode_annotated(&self.images.join(&triplets[0].image), size)?;
            Ok(sample_of(image, triplets, self.longest_side, options, |image| {
                if self.is_augmented { lit(&image, draw.seed()) } else { image }
            }))
        });
        sample.map_err(|error| tracing::warn!("skipped: {error}")).ok()
    }

    fn draws_per_epoch(&self, n_points: usize) -> Option<u64> {
        Some((self.lines.len() as u64).div_ceil(n_points.max(1) as u64))
    }
}

/// The image under other light; its texts stay true, as they would not if it were mirrored.
pub(crate) fn lit(image: &RgbImage, seed: Seed) -> RgbImage {
    photometric(image, &mut seed.split("light").rng())
}

/// The sample of an image and of triplets about it, of which there is at least one.
pub(crate) fn sample_of(
    image: RgbImage,
    triplets: Vec<Triplet>,
    longest_side: u32,
    options: &SampleSettings,
    seen: impl FnOnce(RgbImage) -> RgbImage,
) -> TrainingSample {
    let first = &triplets[0];
    // Triplets state facts about points, not where the objects of the image are.
    let annotation = AnnotatedImage {
        name: first.image.clone(),
        size: first.size,
        objects: Vec::new(),
        split: None,
        group: first.group.clone(),
        source: first.source.clone(),
        licence: None,
        described: Vec::new(),
    };
    let (image, annotation) = resized(&image, &annotation, longest_side);
    let n_distinct = triplets.len();
    let triplets: Vec<Triplet> =
        (0..options.n_points).map(|index| triplets[index % n_distinct].clone()).collect();
    let queries = triplets.clone();
    TrainingSample { image: seen(image), annotation, triplets, queries }
}

fn key_of(triplet: &Triplet) -> u64 {
    let mut hash = DefaultHasher::new();
    (&triplet.image, triplet.size.height(), triplet.size.width()).hash(&mut hash);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use tp_core::ImageHw;
    use tp_data::{write_png, write_triplets};
    use tp_scenes::SceneOptions;

    use super::*;
    use crate::recipe::Scenes;

    /// Twelve triplets on three images of different brightness, in mixed order.
    fn written(folder: &Path) -> Vec<Triplet> {
        let options = SampleSettings { n_points: 4, ..Default::default() };
        let size = ImageHw::new(64, 64).unwrap();
        let scenes =
            Scenes { options: SceneOptions { size, ..Default::default() }, ..Default::default() };
        let mut samples: Vec<TrainingSample> = (0..)
            .filter_map(|number| scenes.sample(Draw { run: Seed(9), number }, &options))
            .take(3)
            .collect();
        for (index, sample) in samples.iter_mut().enumerate() {
            let name = format!("{index}.png");
            write_png(&folder.join(&name), &sample.image).unwrap();
            sample.triplets.iter_mut().for_each(|triplet| triplet.image.clone_from(&name));
        }
        let triplets: Vec<Triplet> = (0..4)
            .flat_map(|row| samples.iter().map(move |sample| sample.triplets[row].clone()))
            .collect();
        write_triplets(&folder.join("train.jsonl"), &triplets).unwrap();
        triplets
    }

    #[test]
    fn every_triplet_is_drawn_once_in_an_epoch_with_its_own_image() {
        let folder = tempfile::tempdir().unwrap();
        let triplets = written(folder.path());
        let set =
            TripletSet::open(&folder.path().join("train.jsonl"), folder.path(), None, 32).unwrap();
        let one = SampleSettings { n_points: 1, ..Default::default() };
        assert_eq!(set.draws_per_epoch(1), Some(12));
        for epoch in 0..2 {
            let mut seen: BTreeMap<String, usize> = BTreeMap::new();
            for number in epoch * 12..(epoch + 1) * 12 {
                let sample = set.sample(Draw { run: Seed(1), number }, &one).unwrap();
                assert_eq!(sample.image.size().height().max(sample.image.size().width()), 32);
                let [triplet] = &sample.triplets[..] else { panic!("one triplet") };
                assert!(triplets.contains(triplet) && sample.queries[0] == *triplet);
                *seen.entry(format!("{triplet:?}")).or_default() += 1;
            }
            let distinct: BTreeSet<String> =
                triplets.iter().map(|triplet| format!("{triplet:?}")).collect();
            assert_eq!(seen.len(), distinct.len(), "{seen:?}");
        }
    }

    #[test]
    fn further_points_are_about_the_same_image() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path());
        let set =
            TripletSet::open(&folder.path().join("train.jsonl"), folder.path(), None, 64).unwrap();
        let six = SampleSettings { n_points: 6, ..Default::default() };
        for number in 0..6 {
            let sample = set.sample(Draw { run: Seed(2), number }, &six).unwrap();
            assert_eq!(sample.triplets.len(), 6);
            assert!(sample.triplets.iter().all(|other| other.image == sample.annotation.name));
            // Four are there; the first two come again.
            assert_eq!(sample.triplets[..2], sample.triplets[4..]);
            assert_ne!(sample.triplets[0].point, sample.triplets[1].point);
        }
    }

    #[test]
    fn a_missing_image_is_skipped_and_a_bad_line_refused() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path());
        let file = folder.path().join("train.jsonl");
        let set = TripletSet::open(&file, Path::new("nowhere"), None, 64).unwrap();
        assert!(set.sample(Draw { run: Seed(0), number: 0 }, &SampleSettings::default()).is_none());
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{text}{{}}\n")).unwrap();
        let error = TripletSet::open(&file, folder.path(), None, 64).unwrap_err().to_string();
        assert!(error.contains("line 13"), "{error}");
        std::fs::write(&file, "").unwrap();
        assert!(TripletSet::open(&file, folder.path(), None, 64).is_err());
    }
}
