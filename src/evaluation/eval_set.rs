//! The images and points that a model is judged on.

use std::{collections::HashMap, path::Path};

use rayon::prelude::*;
use tp_core::{ImageHw, PointRecord, RgbImage, Seed, Style, Triplet, UnitXy};
use tp_data::{
    AnnotatedImage, DataError, Dataset, DescribedPoint, DescribedPoints, PixelGrid, PointKind,
    PointTarget, RulesTeacher, Split, TextKind, decode_annotated, read_triplets,
};

use crate::recipe::{SampleSettings, SampleSource};

/// A set of images with described points.
#[derive(Clone, Debug)]
pub struct EvalSet {
    /// What the set is called in reports.
    pub name: String,
    /// Its images.
    pub images: Vec<EvalImage>,
    /// How many of them were annotated as their EXIF orientation turns them, and not as they are
    /// stored.
    pub upright_images: usize,
}

/// One image of a set.
#[derive(Clone, Debug)]
pub struct EvalImage {
    /// Names the image; points of one group are resampled together.
    pub group: String,
    /// The pixels.
    pub image: RgbImage,
    /// The points that are asked about.
    pub points: Vec<EvalPoint>,
}

/// One point of a set.
#[derive(Clone, Debug)]
pub struct EvalPoint {
    /// Where it is.
    pub point: UnitXy,
    /// The reference description.
    pub description: String,
    /// What is known of it.
    pub record: PointRecord,
    /// Other right names of its object and of its part.
    pub also: [Vec<String>; 2],
}

impl EvalSet {
    /// A set drawn from a source; `seed` must be one that training never draws from.
    #[must_use]
    pub fn drawn(
        name: &str,
        source: &impl SampleSource,
        n_images: u64,
        points_per_image: usize,
        style: Style,
        seed: Seed,
    ) -> Self {
        let mut style_weights = [0.0; Style::ALL.len()];
        style_weights[style as usize] = 1.0;
        let options =
            SampleSettings { n_points: points_per_image, style_weights, ..Default::default() };
        let images = (0..n_images)
            .into_par_iter()
            .filter_map(|index| source.sample(seed.split("evaluation").nth(index), &options))
            .map(|sample| EvalImage {
                group: sample.annotation.group,
                image: sample.image,
                points: sample.triplets.into_iter().map(EvalPoint::from).collect(),
            })
            .collect();
        Self { name: name.to_owned(), images, upright_images: 0 }
    }

    /// A set from a file of triplets, whose images are found in `folder`. Each is decoded on the
    /// grid of pixels that its triplets are on: see [`PixelGrid`].
    ///
    /// # Errors
    ///
    /// [`DataError`] if the file or one of its images cannot be read, there is no triplet in it, or
    /// an image has not the size that a triplet says.
    pub fn from_triplets(file: &Path, folder: &Path) -> Result<Self, DataError> {
        let mut set =
            Self { name: file.display().to_string(), images: Vec::new(), upright_images: 0 };
        // The size belongs to the name: two triplets of one file may be on different grids of it.
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

    /// The points of one split that people have described, with the first text of a kind as their
    /// reference. Points without one are left out.
    ///
    /// # Errors
    ///
    /// [`DataError`] if an image cannot be read, or the split holds no such point.
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
                set.images.push(EvalImage { group: annotation.group.clone(), image, points });
            }
        }
        if set.images.is_empty() {
            return Err(DataError::NoTriplets { path: points.root().to_owned() });
        }
        Ok(set)
    }

    /// How many points there are in all.
    #[must_use]
    pub fn n_points(&self) -> usize {
        self.images.iter().map(|image| image.points.len()).sum()
    }

    /// Every point with its image's index, image by image.
    pub fn points(&self) -> impl Iterator<Item = (usize, &EvalPoint)> {
        self.images
            .iter()
            .enumerate()
            .flat_map(|(index, image)| image.points.iter().map(move |point| (index, point)))
    }
}

/// A described point with what people say of it.
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
    })
}

impl From<Triplet> for EvalPoint {
    fn from(triplet: Triplet) -> Self {
        Self {
            point: triplet.point,
            description: triplet.description,
            record: triplet.record,
            also: [Vec::new(), Vec::new()],
        }
    }
}

#[cfg(test)]
mod tests {
    use tp_core::{Cell, Extent, ObjectSize, PixelXy};
    use tp_data::{write_png, write_triplets};

    use super::*;

    /// A black picture, 3 pixels wide and 2 high as stored, with a white pixel at the top right,
    /// that asks to be turned.
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
        // After the signature and the header's chunk.
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
        // Where EXIF puts the pixel (2, 0) when the sides are swapped.
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
