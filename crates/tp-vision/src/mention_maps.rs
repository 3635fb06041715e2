//! Where the nouns of a text are in an image, and whether the image shows them at all.

use burn::tensor::{Tensor, TensorData};
use tp_core::ModelXy;

use crate::{Mentions, Namer, Nouns, resize::resized};

/// How many mentioned objects, parts and colours of a text have maps of their own.
const MAPPED: [usize; 3] = [3, 2, 2];

/// Maps of one text in [`Namer::mention_maps`]: first its objects, then its parts, then its
/// colours.
pub const MENTION_CHANNELS: usize = MAPPED[0] + MAPPED[1] + MAPPED[2];

/// Added to a probability before its logarithm is taken: one noun that is nowhere does not rule a
/// place out.
const LEAST_PROBABILITY: f32 = 1e-3;

/// How probable every name is in every cell of the backbone's map of stride 16.
#[derive(Clone, Debug)]
pub struct CellNames {
    n_images: usize,
    /// Rows and columns of cells.
    size: [usize; 2],
    /// Objects, parts and colours; each image by image, cell by cell (row-major), name by name.
    probabilities: [Vec<f32>; 3],
}

impl CellNames {
    /// The memory of the probabilities, in bytes.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.probabilities.iter().map(|kind| size_of_val(kind.as_slice())).sum()
    }

    /// For each object, part and colour the logarithm of its highest probability in any cell of one
    /// image.
    ///
    /// # Panics
    ///
    /// If there is no such image.
    #[must_use]
    pub fn log_peaks(&self, image: usize) -> [Vec<f32>; 3] {
        assert!(image < self.n_images, "image {image} of {}", self.n_images);
        let cells = self.size[0] * self.size[1];
        [0, 1, 2].map(|kind| {
            let of_images = &self.probabilities[kind];
            let n_names = of_images.len() / (self.n_images * cells);
            let mut peaks = vec![0.0_f32; n_names];
            for cell in
                of_images[image * cells * n_names..][..cells * n_names].chunks_exact(n_names.max(1))
            {
                peaks.iter_mut().zip(cell).for_each(|(peak, &now)| *peak = peak.max(now));
            }
            peaks.into_iter().map(|peak| (peak + LEAST_PROBABILITY).ln()).collect()
        })
    }
}

impl Namer {
    /// How probable every name is in every cell of some images.
    ///
    /// - `maps`: C2 … C5 of the images, each `[image, height / stride, width / stride, channels]`
    #[must_use]
    pub fn cell_names(&self, maps: &[Tensor<4>; 4]) -> CellNames {
        let [n_images, rows, columns, _] = maps[2].dims();
        let probabilities = self.probabilities(maps, &vec![grid(rows, columns); n_images]);
        CellNames { n_images, size: [rows, columns], probabilities }
    }

    /// Where the nouns and the colours of texts are: the logarithm of the probability that a cell
    /// shows what the text mentions; 0 everywhere for a mention that the text does not have.
    ///
    /// - `size`: rows and columns of the answer
    /// - `texts`: image by image, equally many for all
    /// - output: `[image, text, rows · columns, MENTION_CHANNELS]`
    ///
    /// # Panics
    ///
    /// If the images do not have equally many texts.
    #[must_use]
    pub fn mention_maps(&self, names: &CellNames, size: [usize; 2], texts: &[&str]) -> Tensor<4> {
        let CellNames { n_images, size: [rows, columns], probabilities } = names;
        assert!(texts.len().is_multiple_of(*n_images), "every image has equally many texts");
        let n_texts = texts.len() / n_images;
        let cells = rows * columns;
        let mut mapped = vec![0.0_f32; texts.len() * cells * MENTION_CHANNELS];
        for (text, mapped) in mapped.chunks_exact_mut(cells * MENTION_CHANNELS).enumerate() {
            let image = text / n_texts;
            let mut first = 0;
            for ((mentions, probabilities), n_mapped) in
                mentioned(self.nouns(), texts[text]).iter().zip(probabilities).zip(MAPPED)
            {
                let n_names = probabilities.len() / (n_images * cells);
                // A namer that reads no colours has no map of them.
                for (mention, names) in mentions.iter().enumerate().filter(|_| n_names > 0) {
                    for cell in 0..cells {
                        let of_cell = &probabilities[(image * cells + cell) * n_names..][..n_names];
                        let probability: f32 = names.iter().map(|&name| of_cell[name]).sum();
                        mapped[cell * MENTION_CHANNELS + first + mention] =
                            (probability + LEAST_PROBABILITY).ln();
                    }
                }
                first += n_mapped;
            }
        }
        let mapped = TensorData::new(mapped, [texts.len(), *rows, *columns, MENTION_CHANNELS]);
        let mapped = resized(Tensor::from_data(mapped, &self.device()), size);
        mapped.reshape([*n_images, n_texts, size[0] * size[1], MENTION_CHANNELS])
    }
}

impl Nouns {
    /// How much more probable an image shows what a text mentions than the average photograph does:
    /// for its objects, parts and colours the sum of the logarithms of their highest probabilities,
    /// each less its mean over photographs ([`NounTable::usual_log_peaks`](crate::NounTable)). 0
    /// where the text mentions none, or the table does not have the means.
    ///
    /// A noun that the namer never finds probable is improbable on every photograph, which says
    /// nothing about this one.
    ///
    /// - `log_peaks`: of [`CellNames::log_peaks`]
    #[must_use]
    pub fn prominence(&self, log_peaks: &[Vec<f32>; 3], text: &str) -> [f32; 3] {
        let Some(usual) = &self.table().usual_log_peaks else { return [0.0; 3] };
        let mentions = mentioned(self, text);
        [0, 1, 2].map(|kind| {
            // Of several nouns ("an animal") the sum of the probabilities counts.
            let log_sum = |logs: &[f32], names: &[usize]| {
                names
                    .iter()
                    .filter_map(|&name| logs.get(name))
                    .map(|log| log.exp())
                    .sum::<f32>()
                    .ln()
            };
            let of = |names: &Vec<usize>| {
                log_sum(&log_peaks[kind], names) - log_sum(&usual[kind], names)
            };
            mentions[kind].iter().map(of).filter(|surplus| surplus.is_finite()).sum()
        })
    }
}

/// What a text mentions, as far as it is mapped: its first objects, parts and colours, each a set of
/// names.
fn mentioned(nouns: &Nouns, text: &str) -> [Vec<Vec<usize>>; 3] {
    let Mentions { objects, parts, colours } = nouns.mentions(text);
    let colours = colours.into_iter().map(|colour| vec![colour]).collect();
    let mut mentions = [objects, parts, colours];
    mentions.iter_mut().zip(MAPPED).for_each(|(mentions, n)| mentions.truncate(n));
    mentions
}

/// The centres of the cells of a map, row-major.
fn grid(rows: usize, columns: usize) -> Vec<ModelXy> {
    let center = |at: usize, n: usize| (at as f64 + 0.5) / n as f64;
    (0..rows * columns)
        .map(|cell| ModelXy { x: center(cell % columns, columns), y: center(cell / columns, rows) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        NounTable,
        namer::tests::{maps, namer},
    };

    #[test]
    fn map_of_a_mention_is_what_the_namer_says_of_its_cells() {
        let (network, namer) = namer(0.0);
        let maps = maps(&network, 2);
        // At the size of C4 nothing is resized.
        let texts =
            ["the dog", "an animal beside a cup", "nothing that is known", "a blue cup's handle"];
        let mapped = namer.mention_maps(&namer.cell_names(&maps), [4, 4], &texts);
        assert_eq!(mapped.dims(), [2, 2, 16, MENTION_CHANNELS]);
        let of = |image: usize, text: usize, channel: usize| -> Vec<f32> {
            let map = mapped.clone().narrow(0, image, 1).narrow(1, text, 1).narrow(3, channel, 1);
            map.into_data().iter::<f32>().collect()
        };
        let [objects, _, colours] = namer.probabilities(&maps, &[grid(4, 4), grid(4, 4)]);
        for cell in 0..16 {
            let noun = |image: usize, noun: usize| objects[(image * 16 + cell) * 4 + noun];
            let close = |map: f32, probability: f32| {
                assert!((map - (probability + LEAST_PROBABILITY).ln()).abs() < 1e-5)
            };
            close(of(0, 0, 0)[cell], noun(0, 1));
            close(of(0, 1, 0)[cell], noun(0, 0) + noun(0, 1) + noun(0, 2));
            close(of(0, 1, 1)[cell], noun(0, 3));
            close(of(1, 1, 0)[cell], noun(1, 3));
            close(of(1, 1, MAPPED[0])[cell], 0.5);
            close(of(1, 1, MAPPED[0] + MAPPED[1])[cell], colours[(16 + cell) * 2 + 1]);
        }
        for (image, text, channel) in [(0, 0, 1), (0, 0, MAPPED[0]), (1, 0, 0), (1, 1, 1)] {
            assert!(of(image, text, channel).iter().all(|&value| value == 0.0));
        }
    }

    #[test]
    fn what_is_more_probable_here_than_elsewhere_is_prominent() {
        let (network, namer) = namer(0.0);
        let names = namer.cell_names(&maps(&network, 2));
        let peaks = names.log_peaks(1);
        assert_eq!(peaks.each_ref().map(Vec::len), [4, 2, 2]);
        let [objects, _, _] = &names.probabilities;
        let dog = (16..32).map(|cell| objects[cell * 4 + 1]).fold(0.0, f32::max);
        assert!((peaks[0][1] - (dog + LEAST_PROBABILITY).ln()).abs() < 1e-6);

        let usual =
            [peaks[0].iter().map(|peak| peak - 0.5).collect(), peaks[1].clone(), vec![0.0; 2]];
        let table = |usual| NounTable { usual_log_peaks: usual, ..namer.nouns().table().clone() };
        let nouns = Nouns::new(table(Some(usual))).unwrap();
        let close = |now: [f32; 3], expected: [f32; 3]| {
            assert!(
                now.iter().zip(expected).all(|(now, expected)| (now - expected).abs() < 1e-5),
                "{now:?}"
            );
        };
        // Two objects, of which one may be any animal; a part as prominent as usual; no color.
        close(nouns.prominence(&peaks, "an animal beside the cup's handle"), [1.0, 0.0, 0.0]);
        close(nouns.prominence(&peaks, "the blue one"), [0.0, 0.0, peaks[2][1]]);
        close(nouns.prominence(&peaks, "nothing that is known"), [0.0; 3]);
        let unknown = Nouns::new(table(None)).unwrap();
        close(unknown.prominence(&peaks, "the dog"), [0.0; 3]);
        assert!(Nouns::new(table(Some([vec![0.0; 4], vec![0.0; 2], vec![]]))).is_err());
    }
}
