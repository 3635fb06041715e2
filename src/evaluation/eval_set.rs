//! The images and points on which a model is evaluated.

use std::{collections::HashMap, path::Path};

use rayon::prelude::*;
use tp_core::{ImageHw, PointRecord, RgbImage, Seed, Style, Triplet, UnitXy};
use tp_data::{
    AnnotatedImage, DataError, Dataset, DatasetFormat, DescribedPoint, DescribedPoints, PixelGrid,
    PointKind, PointTarget, ReadOptions, RulesTeacher, Split, TextKind, decode_annotated,
    read_triplets,
};

#[cfg(feature = "builder")]
use crate::recipe::built_files;
use crate::recipe::{
    AnnotatedFormat, DataPath, Draw, RecipeError, SampleSettings, SampleSource, Scenes,
};

/// The longer side to which annotated images are scaled, in pixels.
const ANNOTATED_SIDE: u32 = 1024;

/// A set of images with described points.
#[derive(Clone, Debug)]
pub struct EvalSet {
    /// The name of the set in reports.
    pub name: String,
    /// Its images.
    pub images: Vec<EvalImage>,
    /// The number of images whose annotations refer to the orientation given by EXIF and not to the
    /// stored one.
    pub upright_images: usize,
}

/// One image of a set.
#[derive(Clone, Debug)]
pub struct EvalImage {
    /// The image's name in its set: a path, or `scene-…`.
    pub name: String,
    /// The resampling group of the image: points of one group are resampled together.
    pub group: String,
    /// The pixels.
    pub image: RgbImage,
    /// The points of the image.
    pub points: Vec<EvalPoint>,
}

/// An evaluation point.
#[derive(Clone, Debug)]
pub struct EvalPoint {
    /// Where it is.
    pub point: UnitXy,
    /// The reference description.
    pub description: String,
    /// The known attributes of the point.
    pub record: PointRecord,
    /// Further correct names of its object and of its part.
    pub also: [Vec<String>; 2],
    /// A text of people or of another model about the point, if one was given
    /// ([`EvalSet::read_texts`]).
    pub text: Option<String>,
}

impl EvalSet {
    /// Draws a set from a source. `seed` must not be used in training.
    #[must_use]
    pub fn drawn(
        name: &str,
        source: &(impl SampleSource + ?Sized),
        n_images: u64,
        points_per_image: usize,
        style: Style,
        seed: Seed,
    ) -> Self {
        let mut style_weights = [0.0; Style::ALL.len()];
        style_weights[style as usize] = 1.0;
        let options =
            SampleSettings { n_points: points_per_image, style_weights, ..Default::default() };
        let run = seed.split("evaluation");
        let images = (0..n_images)
            .into_par_iter()
            .filter_map(|number| source.sample(Draw { run, number }, &options))
            .map(|sample| EvalImage {
                name: sample.annotation.name,
                group: sample.annotation.group,
                image: sample.image,
                points: sample.triplets.into_iter().map(EvalPoint::from).collect(),
            })
            .collect();
        Self { name: name.to_owned(), images, upright_images: 0 }
    }

    /// Procedural scenes that no training uses with the same seed: four points on each, `n_points`
    /// of them, with descriptions in the style from coarse to fine.
    #[must_use]
    pub fn test_scenes(n_points: u64, seed: Seed) -> Self {
        let seed = seed.split("test scenes");
        Self::drawn("scenes", &Scenes::default(), n_points / 4, 4, Style::CoarseToFine, seed)
    }

    /// Loads a set from a path:
    ///
    /// - a file of triplets beside its images ([`EvalSet::from_triplets`])
    /// - a folder of points that people have described, with the everyday texts of the split
    ///   ([`EvalSet::described`])
    /// - a data set that the builder has made ([`EvalSet::from_built`]), of which `None` means the
    ///   held-out rows
    /// - a folder of annotated images with `annotations.json`: up to four points on each image of
    ///   the split, chosen and described by the rules; `None` means the held-out images
    ///
    /// # Errors
    ///
    /// [`RecipeError`] if the path is something else, or cannot be read.
    pub fn open(path: &Path, split: Option<Split>) -> Result<Self, RecipeError> {
        if path.is_file() {
            let folder = path.parent().unwrap_or(Path::new("."));
            return Ok(Self::from_triplets(path, folder)?);
        }
        match DataPath::recognize(path, None)? {
            DataPath::Annotated(_, AnnotatedFormat::Format(DatasetFormat::DescribedPoints)) => {
                let points = DescribedPoints::open(path, ReadOptions::default())?;
                Ok(Self::described(&points, split, TextKind::Spoken)?)
            }
            annotated @ DataPath::Annotated(..) => {
                let split = split.unwrap_or(Split::Val);
                let source = annotated.source(split, ANNOTATED_SIDE, &[])?;
                let n_images = source.draws_per_epoch(1).unwrap_or(0);
                let (name, style) = (path.display().to_string(), Style::CoarseToFine);
                let set = Self::drawn(&name, source.as_ref(), n_images, 4, style, Seed(0));
                if set.images.is_empty() {
                    return Err(DataError::NoTriplets { path: path.to_owned() }.into());
                }
                Ok(set)
            }
            #[cfg(feature = "builder")]
            DataPath::Built(folder) => Self::from_built(&folder, split.unwrap_or(Split::Val)),
            other => Err(RecipeError::Unrecognized {
                path: other.path().to_owned(),
                problem: "it cannot be evaluated without the feature `builder`".to_owned(),
            }),
        }
    }

    /// Loads a set from a file of triplets, with the images in `folder`. Each image is decoded on
    /// the pixel grid to which its triplets refer: see [`PixelGrid`].
    ///
    /// # Errors
    ///
    /// [`DataError`] if the file or an image cannot be read, the file contains no triplet, or the
    /// size of an image differs from the one in its triplets.
    pub fn from_triplets(file: &Path, folder: &Path) -> Result<Self, DataError> {
        let mut set =
            Self { name: file.display().to_string(), images: Vec::new(), upright_images: 0 };
        // The key includes the size, because two triplets of one file may refer to different grids
        // of the same image.
        let mut known: HashMap<(String, ImageHw), usize> = HashMap::new();
        for triplet in read_triplets(file)? {
            let key = (triplet.image.clone(), triplet.size);
            let at = match known.get(&key) {
                Some(&at) => at,
                None => {
                    let (image, grid) =
                        decode_annotated(&folder.join(&triplet.image), triplet.size)?;
                    set.upright_images += usize::from(grid == PixelGrid::Upright);
                    set.images.push(EvalImage {
                        name: triplet.image.clone(),
                        group: triplet.group.clone(),
                        image,
                        points: Vec::new(),
                    });
                    known.insert(key, set.images.len() - 1);
                    set.images.len() - 1
                }
            };
            set.images[at].points.push(EvalPoint::from(triplet));
        }
        if set.images.is_empty() {
            return Err(DataError::NoTriplets { path: file.to_owned() });
        }
        Ok(set)
    }

    /// The rows of one split of a data set that the builder has made, with its embedded images; all
    /// of them are in memory. Of a set without validation rows, [`Split::Val`] means the test rows.
    ///
    /// # Errors
    ///
    /// [`RecipeError`] if a file or an image cannot be read, a row has no image, or there is no row.
    #[cfg(feature = "builder")]
    pub fn from_built(folder: &Path, split: Split) -> Result<Self, RecipeError> {
        let built = |error: tp_builder::BuildError| RecipeError::Built { source: error.into() };
        let mut set =
            Self { name: folder.display().to_string(), images: Vec::new(), upright_images: 0 };
        let mut known: HashMap<(String, ImageHw), usize> = HashMap::new();
        for file in built_files(folder, split)? {
            for row in tp_builder::ParquetRows::open(&file).map_err(built)? {
                let (row, bytes) = row.map_err(built)?;
                let key = (row.triplet.image.clone(), row.triplet.size);
                let at = match known.get(&key) {
                    Some(&at) => at,
                    None => {
                        let bytes = bytes.ok_or_else(|| RecipeError::NoImages {
                            path: file.clone(),
                            image: key.0.clone(),
                        })?;
                        let name = format!("{} of {}", key.0, file.display());
                        let (image, _) = tp_data::decode_annotated_bytes(&name, &bytes, key.1)?;
                        let (name, group) = (key.0.clone(), row.triplet.group.clone());
                        set.images.push(EvalImage { name, group, image, points: Vec::new() });
                        known.insert(key, set.images.len() - 1);
                        set.images.len() - 1
                    }
                };
                set.images[at].points.push(EvalPoint::from(row.triplet));
            }
        }
        if set.images.is_empty() {
            return Err(DataError::NoTriplets { path: folder.join("data") }.into());
        }
        Ok(set)
    }

    /// The human-described points of one split, with the first text of a kind as their reference.
    /// Points without such a text are skipped.
    ///
    /// # Errors
    ///
    /// [`DataError`] if an image cannot be read, or the split contains no such point.
    pub fn described(
        points: &DescribedPoints,
        split: Option<Split>,
        kind: TextKind,
    ) -> Result<Self, DataError> {
        let mut set =
            Self { name: points.name().to_owned(), images: Vec::new(), upright_images: 0 };
        for index in 0..points.len() {
            let Some(annotation) =
                points.load(index)?.image.filter(|image| split.is_none() || image.split == split)
            else {
                continue;
            };
            let image = points.decode(&annotation)?;
            let of_point =
                |described: &DescribedPoint| eval_point(described, kind, &image, &annotation);
            let points: Vec<EvalPoint> = annotation.described.iter().filter_map(of_point).collect();
            if !points.is_empty() {
                let (name, group) = (annotation.name.clone(), annotation.group.clone());
                set.images.push(EvalImage { name, group, image, points });
            }
        }
        if set.images.is_empty() {
            return Err(DataError::NoTriplets { path: points.root().to_owned() });
        }
        Ok(set)
    }

    /// The total number of points.
    #[must_use]
    pub fn n_points(&self) -> usize {
        self.images.iter().map(|image| image.points.len()).sum()
    }

    /// Every point with the index of its image, ordered by image.
    pub fn points(&self) -> impl Iterator<Item = (usize, &EvalPoint)> {
        self.images
            .iter()
            .enumerate()
            .flat_map(|(index, image)| image.points.iter().map(move |point| (index, point)))
    }
}

/// A described point with the human texts about it.
fn eval_point(
    described: &DescribedPoint,
    kind: TextKind,
    image: &RgbImage,
    annotation: &AnnotatedImage,
) -> Option<EvalPoint> {
    let (object, part) = (described.object, described.part);
    let target = PointTarget {
        point: described.point,
        object,
        part,
        keypoint: None,
        kind: PointKind::Annotated,
    };
    let mut record = RulesTeacher.record(image, annotation, &target).ok()?;
    if let Some(colour) = &described.colour {
        record.colour.clone_from(colour);
    }
    let object = annotation.objects.get(object)?;
    let also_part = part
        .and_then(|part| object.parts.get(part))
        .map(|part| part.also.clone())
        .unwrap_or_default();
    Some(EvalPoint {
        point: annotation.size.unit_from_pixel(described.point).ok()?,
        description: described.texts_of(kind).next()?.to_owned(),
        record,
        also: [object.also.clone(), also_part],
        text: None,
    })
}

impl From<Triplet> for EvalPoint {
    fn from(triplet: Triplet) -> Self {
        Self {
            point: triplet.point,
            description: triplet.description,
            record: triplet.record,
            also: [Vec::new(), Vec::new()],
            text: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tp_core::{Cell, Extent, ObjectSize, PixelXy};
    use tp_data::{write_png, write_triplets};

    use super::*;

    /// A black picture, 3 pixels wide and 2 high as stored, with a white pixel at the top right and
    /// an EXIF orientation.
    fn write_photograph(path: &Path, orientation: u8) {
        let mut image = RgbImage::filled(ImageHw::new(2, 3).unwrap(), [0; 3]);
        image.set_pixel(0, 2, [255; 3]);
        write_png(path, &image).unwrap();
        let exif = [
            b"eXIfII\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".as_slice(),
            &[orientation, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        let crc = !exif.iter().fold(!0_u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        });
        let mut png = std::fs::read(path).unwrap();
        // After the PNG signature and the header chunk.
        png.splice(
            33..33,
            [(exif.len() as u32 - 4).to_be_bytes().as_slice(), &exif, &crc.to_be_bytes()].concat(),
        );
        std::fs::write(path, png).unwrap();
    }

    fn triplet(image: &str, [height, width]: [u32; 2], (x, y): (f64, f64)) -> Triplet {
        let size = ImageHw::new(height, width).unwrap();
        let cell = Cell::of(0.5, 0.5);
        Triplet {
            image: image.to_owned(),
            size,
            point: size.unit_from_pixel(PixelXy { x, y }).unwrap(),
            description: "the light".to_owned(),
            style: Style::Terse,
            record: PointRecord {
                category: "lamp".to_owned(),
                family: None,
                object_cell: cell,
                object_size: ObjectSize::Tiny,
                part: None,
                part_cell: None,
                point_cell: cell,
                colour: "white".to_owned(),
                texture: "smooth".to_owned(),
                shape: "a bright spot".to_owned(),
                extent: Extent::Box,
                keypoint: None,
            },
            source: "test".to_owned(),
            group: image.to_owned(),
        }
    }

    #[test]
    fn images_are_decoded_on_the_grid_of_their_triplets() {
        let folder = tempfile::tempdir().unwrap();
        let mut triplets = Vec::new();
        // The position of the stored pixel (2, 0) for the orientations that swap the sides.
        let upright = [(5, (0.0, 2.0)), (6, (1.0, 2.0)), (7, (1.0, 0.0)), (8, (0.0, 0.0))];
        for orientation in 1..=8 {
            let name = format!("{orientation}.png");
            write_photograph(&folder.path().join(&name), orientation);
            triplets.push(triplet(&name, [2, 3], (2.0, 0.0)));
            triplets.extend(
                upright
                    .iter()
                    .filter(|(of, _)| *of == orientation)
                    .map(|(_, point)| triplet(&name, [3, 2], *point)),
            );
        }
        let file = folder.path().join("test.jsonl");
        write_triplets(&file, &triplets).unwrap();
        let set = EvalSet::from_triplets(&file, folder.path()).unwrap();
        assert_eq!((set.images.len(), set.n_points(), set.upright_images), (12, 12, 4));
        for (index, EvalPoint { point, .. }) in set.points() {
            let image = &set.images[index].image;
            let [row, column] = image.size().cell_from_unit(*point);
            assert_eq!(image.pixel(row, column), [255; 3], "{}", set.images[index].group);
        }
    }

    #[test]
    fn triplet_of_another_size_is_an_error_that_names_exif_where_that_is_the_cause() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("test.jsonl");
        for (orientation, size, names_exif) in
            [(6, [4, 4], true), (1, [3, 2], true), (1, [4, 4], false)]
        {
            write_photograph(&folder.path().join("a.png"), orientation);
            write_triplets(&file, &[triplet("a.png", size, (0.0, 0.0))]).unwrap();
            let message = EvalSet::from_triplets(&file, folder.path()).unwrap_err().to_string();
            assert!(
                message.contains("a.png") && message.contains("EXIF") == names_exif,
                "{message}"
            );
        }
    }
}
