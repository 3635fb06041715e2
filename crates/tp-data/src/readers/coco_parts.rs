//! COCO-style files with parts: objects in `annotations` as COCO has them, parts in `part_annotations`, each with the
//! `parent_id` of its object. A plain COCO file of instances or keypoints, without parts, is read too.
//!
//! Coordinates in the file count from the outer edge of the first pixel, boxes and keypoints alike; keypoints are brought
//! to the pixel frame, whose centres lie at integers, by subtracting ½.

use std::{
    collections::{BTreeMap, HashMap, hash_map},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use tp_core::{ImageHw, PixelXy, RgbImage};

use super::{
    coco_json::{self, RawCategory, RawFile, RawImage, RawInfo, RawLicence, RawObject, RawPart, RawPartCategory, RawSegmentation},
    refusal::{Entry, Gate, Refusal, Strictness},
};
use crate::{
    AnnotatedImage, BoxXywh, DataError, DecodeOptions, ImageProblem, Keypoint, Licence, ObjectAnnotation, Orientation, PartAnnotation,
    Split, Visibility, decode_image, mask_of_polygons, polygon::polygon_area,
};

/// The most mask pixels that one image may have, all its objects and parts together; a pixel takes a byte.
const MAX_MASK_PIXELS: usize = 4 << 30;

/// An annotation file, checked, with its images. Masks are drawn when an image is loaded, so that memory stays small.
#[derive(Clone, Debug)]
pub struct CocoParts {
    name: String,
    images_dir: PathBuf,
    outlines: Vec<Outline>,
    skipped: BTreeMap<Refusal, usize>,
}

/// An image whose masks are still polygons.
#[derive(Clone, Debug)]
struct Outline {
    /// Everything but the masks.
    image: AnnotatedImage,
    /// For every object its own polygons and those of its parts; an empty list is no mask.
    polygons: Vec<(Polygons, Vec<Polygons>)>,
}

type Polygons = Vec<Vec<f64>>;

impl CocoParts {
    /// Reads and checks an annotation file; the images lie in `images_dir`, under the `file_name`s of the file.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`], [`DataError::FileTooLong`] or [`DataError::Json`] for the file as a whole. Under
    /// [`Strictness::Strict`] also [`DataError::Annotation`] for the first bad entry; otherwise such entries are left out
    /// and counted in [`skipped`](Self::skipped), together with the parts of an object that is left out.
    pub fn open(annotations: &Path, images_dir: &Path, strictness: Strictness) -> Result<Self, DataError> {
        let raw = coco_json::read(annotations)?;
        let name = raw.info.name.clone().unwrap_or_else(|| stem(annotations));
        let mut building = Building {
            gate: Gate::new(annotations.to_owned(), strictness),
            outlines: Vec::new(),
            images: HashMap::new(),
            objects: HashMap::new(),
        };
        building.add_all(raw, &name, images_dir)?;
        let Building { gate, outlines, .. } = building;
        Ok(Self { name, images_dir: images_dir.to_owned(), outlines, skipped: gate.skipped })
    }

    /// The data set's name: `info.name`, or the name of the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many images there are, those without annotations included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.outlines.len()
    }

    /// Whether there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.outlines.is_empty()
    }

    /// Which images the data set puts on one side of its split.
    pub fn indices_of(&self, split: Split) -> impl Iterator<Item = usize> + '_ {
        self.outlines.iter().enumerate().filter(move |(_, outline)| outline.image.split == Some(split)).map(|(index, _)| index)
    }

    /// The record of one image, in file order, with its masks.
    ///
    /// # Panics
    ///
    /// If there is no such image.
    #[must_use]
    pub fn load(&self, index: usize) -> AnnotatedImage {
        let Outline { image, polygons } = &self.outlines[index];
        let mut image = image.clone();
        let mask = |polygons: &Polygons| (!polygons.is_empty()).then(|| mask_of_polygons(polygons, image.size));
        for (object, (own, of_parts)) in image.objects.iter_mut().zip(polygons) {
            object.mask = mask(own);
            for (part, polygons) in object.parts.iter_mut().zip(of_parts) {
                part.mask = mask(polygons);
            }
        }
        image
    }

    /// All records, one after another.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = AnnotatedImage> + '_ {
        (0..self.len()).map(|index| self.load(index))
    }

    /// Where the file of an image lies.
    #[must_use]
    pub fn image_path(&self, image: &AnnotatedImage) -> PathBuf {
        self.images_dir.join(&image.name)
    }

    /// Decodes the file of an image, on the stored pixel grid that the annotations refer to.
    ///
    /// # Errors
    ///
    /// As [`decode_image`], and [`DataError::Image`] if the file has another size than the annotations say.
    pub fn decode(&self, image: &AnnotatedImage) -> Result<RgbImage, DataError> {
        let path = self.image_path(image);
        let pixels = decode_image(&path, &DecodeOptions { orientation: Orientation::Keep, ..DecodeOptions::default() })?;
        if pixels.size() != image.size {
            let problem = ImageProblem::OtherSize { found: pixels.size(), expected: image.size };
            return Err(DataError::Image { name: path.display().to_string(), problem });
        }
        Ok(pixels)
    }

    /// How many entries were left out, by reason.
    #[must_use]
    pub fn skipped(&self) -> &BTreeMap<Refusal, usize> {
        &self.skipped
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "coco".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// The state of reading: what is kept so far, and where the numbers of the file point.
struct Building {
    gate: Gate,
    outlines: Vec<Outline>,
    /// Image number → index.
    images: HashMap<u64, usize>,
    /// Object number → image index and object index; `None` if it was left out.
    objects: HashMap<u64, Option<(usize, usize)>>,
}

impl Building {
    fn add_all(&mut self, raw: RawFile, name: &str, images_dir: &Path) -> Result<(), DataError> {
        let licences = licences(&raw.licenses, &raw.info);
        let only_licence = file_licence(&raw.info).or_else(|| (licences.len() == 1).then(|| licences.values().next().cloned()).flatten());
        let categories = self.by_id(Entry::Category, raw.categories, |category: &RawCategory| category.id)?;
        let part_categories = self.by_id(Entry::PartCategory, raw.part_categories, |category: &RawPartCategory| category.id)?;

        for image in raw.images {
            let licence = match image.license {
                Some(id) => licences.get(&id).cloned(),
                None => only_licence.clone(),
            };
            let (id, found) = (image.id, self.image(image, name, licence, images_dir));
            if let Some(image) = self.gate.pass(Entry::Image, id, found)? {
                self.images.insert(id, self.outlines.len());
                self.outlines.push(Outline { image, polygons: Vec::new() });
            }
        }

        // For every object the part category of each of its parts, and the slot of each of its keypoints in its category.
        let mut links: Vec<Vec<(Vec<u64>, Vec<usize>)>> = vec![Vec::new(); self.outlines.len()];
        for object in raw.annotations {
            let (id, found) = (object.id, self.object(object, &categories));
            let duplicate = found.as_ref().is_err_and(|&refusal| refusal == Refusal::DuplicateId);
            let kept = self.gate.pass(Entry::Object, id, found)?.map(|(image, object, polygons, slots)| {
                let outline = &mut self.outlines[image];
                outline.image.objects.push(object);
                outline.polygons.push((polygons, Vec::new()));
                links[image].push((Vec::new(), slots));
                (image, outline.image.objects.len() - 1)
            });
            if !duplicate {
                self.objects.insert(id, kept);
            }
        }

        let mut seen = HashMap::new();
        for part in raw.part_annotations {
            let (id, category) = (part.id, part.category_id);
            let found = if seen.insert(id, ()).is_some() { Err(Refusal::DuplicateId) } else { self.part(part, &part_categories) };
            if let Some((image, object, part, polygons)) = self.gate.pass(Entry::Part, id, found)? {
                let outline = &mut self.outlines[image];
                outline.image.objects[object].parts.push(part);
                outline.polygons[object].1.push(polygons);
                links[image][object].0.push(category);
            }
        }

        for (outline, links) in self.outlines.iter_mut().zip(links) {
            for (object, (parts, slots)) in outline.image.objects.iter_mut().zip(links) {
                for (keypoint, slot) in object.keypoints.iter_mut().zip(slots) {
                    keypoint.part = parts.iter().position(|part| part_categories[part].keypoint_indices.contains(&slot));
                }
            }
        }
        self.drop_images_with_too_many_masks()
    }

    /// Categories by number.
    fn by_id<T>(&mut self, entry: Entry, list: Vec<T>, id_of: impl Fn(&T) -> u64) -> Result<HashMap<u64, T>, DataError> {
        let mut found = HashMap::new();
        for category in list {
            let id = id_of(&category);
            match found.entry(id) {
                hash_map::Entry::Vacant(place) => {
                    place.insert(category);
                }
                hash_map::Entry::Occupied(_) => {
                    self.gate.pass::<()>(entry, id, Err(Refusal::DuplicateId))?;
                }
            }
        }
        Ok(found)
    }

    fn image(&self, raw: RawImage, source: &str, licence: Option<Arc<Licence>>, images_dir: &Path) -> Result<AnnotatedImage, Refusal> {
        let limits = DecodeOptions::default();
        if self.images.contains_key(&raw.id) {
            return Err(Refusal::DuplicateId);
        }
        // A file must not reach into the rest of the disk.
        let relative = Path::new(&raw.file_name);
        if raw.file_name.is_empty() || !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(Refusal::BadFileName);
        }
        let size = ImageHw::new(raw.height, raw.width).map_err(|_| Refusal::BadSize)?;
        if raw.width > limits.max_width || raw.height > limits.max_height || size.n_pixels() as u64 > limits.max_pixels {
            return Err(Refusal::BadSize);
        }
        let split = match raw.split.as_deref() {
            None => None,
            Some("train") => Some(Split::Train),
            Some("val") => Some(Split::Val),
            Some("test") => Some(Split::Test),
            Some(_) => return Err(Refusal::UnknownSplit),
        };
        if !images_dir.join(relative).is_file() {
            return Err(Refusal::MissingFile);
        }
        let group = raw.group.unwrap_or_else(|| raw.file_name.clone());
        Ok(AnnotatedImage { name: raw.file_name, size, objects: Vec::new(), split, group, source: source.to_owned(), licence })
    }

    /// The object, the index of its image, its polygons and the slots of its keypoints.
    fn object(
        &self,
        raw: RawObject,
        categories: &HashMap<u64, RawCategory>,
    ) -> Result<(usize, ObjectAnnotation, Polygons, Vec<usize>), Refusal> {
        if self.objects.contains_key(&raw.id) {
            return Err(Refusal::DuplicateId);
        }
        let &image = self.images.get(&raw.image_id).ok_or(Refusal::UnknownImage)?;
        let size = self.outlines[image].image.size;
        let category = categories.get(&raw.category_id).ok_or(Refusal::UnknownCategory)?;
        if raw.iscrowd != 0 {
            return Err(Refusal::Crowd);
        }
        let bbox = checked_box(&raw.bbox, size)?;
        let polygons = checked_polygons(raw.segmentation, size)?;
        let (keypoints, slots) = labelled_keypoints(&raw.keypoints, category, size)?;
        let object = ObjectAnnotation {
            id: raw.id,
            category: category.name.clone(),
            family: category.supercategory.clone().filter(|family| !family.is_empty()),
            bbox,
            mask: None,
            parts: Vec::new(),
            keypoints,
            derived: raw.derived,
        };
        Ok((image, object, polygons, slots))
    }

    /// The part, the indices of its image and object, and its polygons.
    fn part(&self, raw: RawPart, categories: &HashMap<u64, RawPartCategory>) -> Result<(usize, usize, PartAnnotation, Polygons), Refusal> {
        let &image = self.images.get(&raw.image_id).ok_or(Refusal::UnknownImage)?;
        let parent = self.objects.get(&raw.parent_id).copied().flatten().filter(|parent| parent.0 == image);
        let (_, object) = parent.ok_or(Refusal::UnknownParent)?;
        let category = categories.get(&raw.category_id).ok_or(Refusal::UnknownCategory)?;
        if raw.iscrowd != 0 {
            return Err(Refusal::Crowd);
        }
        let annotated = &self.outlines[image].image;
        let bbox = checked_box(&raw.bbox, annotated.size)?;
        if annotated.objects[object].bbox.intersection(&bbox).is_none() {
            return Err(Refusal::PartOutsideObject);
        }
        let polygons = checked_polygons(raw.segmentation, annotated.size)?;
        Ok((image, object, PartAnnotation { id: raw.id, name: category.name.clone(), bbox, mask: None, derived: raw.derived }, polygons))
    }

    fn drop_images_with_too_many_masks(&mut self) -> Result<(), DataError> {
        let id_of_image: HashMap<usize, u64> = self.images.iter().map(|(&id, &index)| (index, id)).collect();
        let mut kept = Vec::with_capacity(self.outlines.len());
        for (index, outline) in std::mem::take(&mut self.outlines).into_iter().enumerate() {
            let masks = outline.polygons.iter().flat_map(|(own, parts)| parts.iter().chain([own])).filter(|polygons| !polygons.is_empty());
            let pixels = masks.count().saturating_mul(outline.image.size.n_pixels());
            let found = if pixels > MAX_MASK_PIXELS { Err(Refusal::TooManyMaskPixels) } else { Ok(outline) };
            kept.extend(self.gate.pass(Entry::Image, id_of_image[&index], found)?);
        }
        self.outlines = kept;
        Ok(())
    }
}

fn licences(list: &[RawLicence], info: &RawInfo) -> HashMap<u64, Arc<Licence>> {
    let licence = |raw: &RawLicence| Licence { name: raw.name.clone(), url: raw.url.clone(), attribution: info.attribution.clone() };
    list.iter().map(|raw| (raw.id, Arc::new(licence(raw)))).collect()
}

/// The licence of the whole file, for images that name none of their own.
fn file_licence(info: &RawInfo) -> Option<Arc<Licence>> {
    let url = info.licence_url.clone().unwrap_or_default();
    info.licence.clone().map(|name| Arc::new(Licence { name, url, attribution: info.attribution.clone() }))
}

/// The box, cut off at the border of the image.
fn checked_box(bbox: &[f64], size: ImageHw) -> Result<BoxXywh, Refusal> {
    let &[x, y, width, height] = bbox else { return Err(Refusal::BadBox) };
    if !bbox.iter().all(|v| v.is_finite()) || width <= 0.0 || height <= 0.0 {
        return Err(Refusal::BadBox);
    }
    BoxXywh { x, y, width, height }.intersection(&BoxXywh::of_image(size)).ok_or(Refusal::BoxOutsideImage)
}

/// The polygons, if they are some and cover a pixel; none if there are none.
fn checked_polygons(raw: RawSegmentation, size: ImageHw) -> Result<Polygons, Refusal> {
    let polygons = match raw {
        RawSegmentation::Polygons(polygons) => polygons,
        RawSegmentation::Absent(()) => Vec::new(),
        RawSegmentation::Other(_) => return Err(Refusal::BadPolygon),
    };
    let reach = f64::from(size.width().max(size.height()));
    // Drawing time grows with the outline: what reaches far beyond the image is a mistake or an attack.
    let near = |v: &f64| (-reach..=2.0 * reach).contains(v);
    if !polygons.iter().all(|polygon| polygon.len() >= 6 && polygon.len() % 2 == 0 && polygon.iter().all(near)) {
        return Err(Refusal::BadPolygon);
    }
    if !polygons.is_empty() && polygons.iter().all(|polygon| polygon_area(polygon, size) == 0) {
        return Err(Refusal::EmptyMask);
    }
    Ok(polygons)
}

/// The labelled keypoints, and the slot of each in its category's list of names.
fn labelled_keypoints(raw: &[f64], category: &RawCategory, size: ImageHw) -> Result<(Vec<Keypoint>, Vec<usize>), Refusal> {
    if raw.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    if raw.len() != category.keypoints.len() * 3 {
        return Err(Refusal::BadKeypoints);
    }
    let (mut keypoints, mut slots) = (Vec::new(), Vec::new());
    for (slot, (name, xyv)) in category.keypoints.iter().zip(raw.chunks_exact(3)).enumerate() {
        let visibility = match xyv[2] {
            0.0 => continue,
            1.0 => Visibility::Hidden,
            2.0 => Visibility::Visible,
            _ => return Err(Refusal::BadKeypoints),
        };
        let point = PixelXy { x: xyv[0] - 0.5, y: xyv[1] - 0.5 };
        size.unit_from_pixel(point).map_err(|_| Refusal::KeypointOutsideImage)?;
        keypoints.push(Keypoint { name: name.clone(), point, visibility, part: None });
        slots.push(slot);
    }
    Ok((keypoints, slots))
}
