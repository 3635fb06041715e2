//! COCO-style files with parts: objects in `annotations` as COCO has them, parts in `part_annotations`, each with the
//! `parent_id` of its object. A plain COCO file of instances or keypoints, without parts, is read too.
//!
//! Coordinates in the file count from the outer edge of the first pixel, boxes and keypoints alike; keypoints are brought
//! to the pixel frame, whose centres lie at integers, by subtracting ½. Files whose keypoints are numbers of pixels say so
//! with [`KeypointFrame`].

use std::{
    collections::{HashMap, hash_map},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use tp_core::{ImageHw, PixelXy, RgbImage};

use super::{
    Check, Dataset, ImageFiles, Labels, Loaded, Skipped,
    coco_dialect::with_parts_apart,
    coco_json::{self, RawCategory, RawFile, RawImage, RawInfo, RawLicence, RawObject, RawPart, RawPartCategory},
    dataset::decode_as_annotated,
    refusal::{Entry, Gate, Refusal, Strictness},
    segmentation::Segmentation,
};
use crate::{AnnotatedImage, BoxXywh, DataError, DecodeOptions, Keypoint, Licence, ObjectAnnotation, PartAnnotation, Split, Visibility};

/// The most mask pixels that one image may have, all its objects and parts together; a pixel takes a byte.
pub(super) const MAX_MASK_PIXELS: usize = 4 << 30;

/// An annotation file, checked, with its images. Masks are drawn when an image is loaded, so that memory stays small.
#[derive(Clone, Debug)]
pub struct CocoParts {
    name: String,
    images_dir: PathBuf,
    outlines: Vec<Outline>,
    skipped: Skipped,
    labels: Labels,
    image_check: Check,
}

/// What the coordinates of a file's keypoints count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum KeypointFrame {
    /// Distances from the outer edge of the first pixel, as those of boxes do.
    #[default]
    Edges,
    /// Pixels, from 0 on: COCO's own keypoints and AP-10K's.
    Pixels,
    /// Pixels if all are whole numbers, else edges.
    PixelsIfWhole,
}

/// How one file is read.
#[derive(Clone, Debug, Default)]
pub(super) struct FileOptions {
    pub(super) strictness: Strictness,
    pub(super) images: ImageFiles,
    pub(super) keypoints: KeypointFrame,
    /// The side of images that name none.
    pub(super) split: Option<Split>,
    /// The folder of the images, below the folder that names start from.
    pub(super) prefix: String,
    /// Whether the folders in a `file_name` are to be left out.
    pub(super) base_names: bool,
    /// The data set's name, if the file does not give it.
    pub(super) name: Option<String>,
}

/// An image whose masks are still polygons or runs.
#[derive(Clone, Debug)]
struct Outline {
    /// Everything but the masks.
    image: AnnotatedImage,
    /// For every object its own segmentation and those of its parts.
    outlines: Vec<(Segmentation, Vec<Segmentation>)>,
}

impl CocoParts {
    /// Reads and checks an annotation file; the images lie in `images_dir`, under the `file_name`s of the file.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`], [`DataError::FileTooLong`] or [`DataError::Json`] for the file as a whole. Under
    /// [`Strictness::Strict`] also [`DataError::Annotation`] for the first bad entry; otherwise such entries are left out
    /// and counted in [`skipped`](Self::skipped), together with the parts of an object that is left out.
    pub fn open(annotations: &Path, images_dir: &Path, strictness: Strictness) -> Result<Self, DataError> {
        Self::open_as(annotations, images_dir, FileOptions { strictness, ..FileOptions::default() })
    }

    pub(super) fn open_as(annotations: &Path, images_dir: &Path, options: FileOptions) -> Result<Self, DataError> {
        let mut raw = coco_json::read(annotations)?;
        with_parts_apart(&mut raw);
        let name = raw.info.name.clone().or_else(|| options.name.clone()).unwrap_or_else(|| stem(annotations));
        let labels = Labels {
            objects: raw.categories.iter().map(|category| category.name.clone()).collect(),
            parts: raw.part_categories.iter().map(|category| category.name.clone()).collect(),
        };
        let n_images = raw.images.len();
        let mut building = Building {
            gate: Gate::new(annotations.to_owned(), options.strictness),
            options,
            images_dir: images_dir.to_owned(),
            outlines: Vec::new(),
            images: HashMap::new(),
            objects: HashMap::new(),
            missing: Vec::new(),
        };
        building.add_all(raw, &name)?;
        let Building { gate, outlines, missing, options, .. } = building;
        let about = format!("image files of {}", annotations.file_name().unwrap_or_default().display());
        let image_check = Check::new(about, &images_dir.join(options.prefix), n_images, missing);
        Ok(Self { name, images_dir: images_dir.to_owned(), outlines, skipped: gate.skipped, labels, image_check })
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
        let Outline { image, outlines } = &self.outlines[index];
        let mut image = image.clone();
        for (object, (own, of_parts)) in image.objects.iter_mut().zip(outlines) {
            object.mask = own.mask(image.size);
            for (part, outline) in object.parts.iter_mut().zip(of_parts) {
                part.mask = outline.mask(image.size);
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
    /// As [`decode_image`](crate::decode_image), and [`DataError::Image`] if the file has another size than the annotations say.
    pub fn decode(&self, image: &AnnotatedImage) -> Result<RgbImage, DataError> {
        decode_as_annotated(&self.image_path(image), image)
    }

    /// What was left out, and why.
    #[must_use]
    pub fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}

impl Dataset for CocoParts {
    fn name(&self) -> &str {
        self.name()
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn load(&self, index: usize) -> Result<Loaded, DataError> {
        Ok(Loaded { image: Some(self.load(index)), skipped: Skipped::default() })
    }

    fn image_path(&self, image: &AnnotatedImage) -> PathBuf {
        self.image_path(image)
    }

    fn skipped(&self) -> &Skipped {
        self.skipped()
    }

    fn checks(&self) -> Vec<Check> {
        vec![self.image_check.clone()]
    }

    fn labels(&self) -> Labels {
        self.labels.clone()
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "coco".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// The state of reading: what is kept so far, and where the numbers of the file point.
struct Building {
    gate: Gate,
    options: FileOptions,
    images_dir: PathBuf,
    outlines: Vec<Outline>,
    /// Image number → index.
    images: HashMap<u64, usize>,
    /// Object number → image index and object index; `None` if it was left out.
    objects: HashMap<u64, Option<(usize, usize)>>,
    /// Image files that are not there.
    missing: Vec<String>,
}

impl Building {
    fn add_all(&mut self, raw: RawFile, name: &str) -> Result<(), DataError> {
        if self.options.keypoints == KeypointFrame::PixelsIfWhole {
            let whole = raw.annotations.iter().flat_map(|object| &object.keypoints).all(|v| v.fract() == 0.0);
            self.options.keypoints = if whole { KeypointFrame::Pixels } else { KeypointFrame::Edges };
        }
        let licences = licences(&raw.licenses, &raw.info);
        let only_licence = file_licence(&raw.info).or_else(|| (licences.len() == 1).then(|| licences.values().next().cloned()).flatten());
        let categories = self.by_id(Entry::Category, raw.categories, |category: &RawCategory| category.id)?;
        let part_categories = self.by_id(Entry::PartCategory, raw.part_categories, |category: &RawPartCategory| category.id)?;

        for image in raw.images {
            let licence = match image.license {
                Some(id) => licences.get(&id).cloned(),
                None => only_licence.clone(),
            };
            let (id, found) = (image.id, self.image(image, name, licence));
            if let Some(image) = self.gate.pass(Entry::Image, id, found)? {
                self.images.insert(id, self.outlines.len());
                self.outlines.push(Outline { image, outlines: Vec::new() });
            }
        }

        // For every object the part category of each of its parts, and the slot of each of its keypoints in its category.
        let mut links: Vec<Vec<(Vec<u64>, Vec<usize>)>> = vec![Vec::new(); self.outlines.len()];
        for object in raw.annotations {
            let (id, found) = (object.id, self.object(object, &categories));
            let duplicate = found.as_ref().is_err_and(|&refusal| refusal == Refusal::DuplicateId);
            let kept = self.gate.pass(Entry::Object, id, found)?.map(|(image, object, segmentation, slots)| {
                let outline = &mut self.outlines[image];
                outline.image.objects.push(object);
                outline.outlines.push((segmentation, Vec::new()));
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
            if let Some((image, object, part, segmentation)) = self.gate.pass(Entry::Part, id, found)? {
                let outline = &mut self.outlines[image];
                outline.image.objects[object].parts.push(part);
                outline.outlines[object].1.push(segmentation);
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

    fn image(&mut self, raw: RawImage, source: &str, licence: Option<Arc<Licence>>) -> Result<AnnotatedImage, Refusal> {
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
            None => self.options.split,
            Some("train") => Some(Split::Train),
            Some("val") => Some(Split::Val),
            Some("test") => Some(Split::Test),
            Some(_) => return Err(Refusal::UnknownSplit),
        };
        let name = self.options.name_of(&raw.file_name);
        let path = self.images_dir.join(&name);
        if !path.is_file() {
            self.missing.push(path.display().to_string());
            if self.options.images == ImageFiles::Needed {
                return Err(Refusal::MissingFile);
            }
        }
        let group = raw.group.unwrap_or_else(|| name.clone());
        Ok(AnnotatedImage { name, size, objects: Vec::new(), split, group, source: source.to_owned(), licence })
    }

    /// The object, the index of its image, its segmentation and the slots of its keypoints.
    fn object(
        &self,
        raw: RawObject,
        categories: &HashMap<u64, RawCategory>,
    ) -> Result<(usize, ObjectAnnotation, Segmentation, Vec<usize>), Refusal> {
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
        let segmentation = Segmentation::checked(raw.segmentation, size)?;
        let (keypoints, slots) = labelled_keypoints(&raw.keypoints, category, size, self.options.keypoints)?;
        let object = ObjectAnnotation {
            id: raw.id,
            category: category.name.clone(),
            family: category.supercategory.clone().filter(|family| !family.is_empty() && family != "none"),
            bbox,
            mask: None,
            parts: Vec::new(),
            keypoints,
            derived: raw.derived,
        };
        Ok((image, object, segmentation, slots))
    }

    /// The part, the indices of its image and object, and its segmentation.
    fn part(
        &self,
        raw: RawPart,
        categories: &HashMap<u64, RawPartCategory>,
    ) -> Result<(usize, usize, PartAnnotation, Segmentation), Refusal> {
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
        let segmentation = Segmentation::checked(raw.segmentation, annotated.size)?;
        let part = PartAnnotation { id: raw.id, name: category.name.clone(), bbox, mask: None, derived: raw.derived };
        Ok((image, object, part, segmentation))
    }

    fn drop_images_with_too_many_masks(&mut self) -> Result<(), DataError> {
        let id_of_image: HashMap<usize, u64> = self.images.iter().map(|(&id, &index)| (index, id)).collect();
        let mut kept = Vec::with_capacity(self.outlines.len());
        for (index, outline) in std::mem::take(&mut self.outlines).into_iter().enumerate() {
            let masks = outline.outlines.iter().flat_map(|(own, parts)| parts.iter().chain([own])).filter(|outline| !outline.is_absent());
            let pixels = masks.count().saturating_mul(outline.image.size.n_pixels());
            let found = if pixels > MAX_MASK_PIXELS { Err(Refusal::TooManyMaskPixels) } else { Ok(outline) };
            kept.extend(self.gate.pass(Entry::Image, id_of_image[&index], found)?);
        }
        self.outlines = kept;
        Ok(())
    }
}

impl FileOptions {
    /// The name of an image: where its file lies, from the data set's folder on.
    pub(super) fn name_of(&self, file_name: &str) -> String {
        let file_name = if self.base_names { file_name.rsplit('/').next().unwrap_or(file_name) } else { file_name };
        if self.prefix.is_empty() { file_name.to_owned() } else { format!("{}/{file_name}", self.prefix) }
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
pub(super) fn checked_box(bbox: &[f64], size: ImageHw) -> Result<BoxXywh, Refusal> {
    let &[x, y, width, height] = bbox else { return Err(Refusal::BadBox) };
    if !bbox.iter().all(|v| v.is_finite()) || width <= 0.0 || height <= 0.0 {
        return Err(Refusal::BadBox);
    }
    BoxXywh { x, y, width, height }.intersection(&BoxXywh::of_image(size)).ok_or(Refusal::BoxOutsideImage)
}

/// The labelled keypoints, and the slot of each in its category's list of names.
fn labelled_keypoints(
    raw: &[f64],
    category: &RawCategory,
    size: ImageHw,
    frame: KeypointFrame,
) -> Result<(Vec<Keypoint>, Vec<usize>), Refusal> {
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
        let edge = if frame == KeypointFrame::Pixels { 0.0 } else { 0.5 };
        let point = PixelXy { x: xyv[0] - edge, y: xyv[1] - edge };
        size.unit_from_pixel(point).map_err(|_| Refusal::KeypointOutsideImage)?;
        keypoints.push(Keypoint { name: name.clone(), point, visibility, part: None });
        slots.push(slot);
    }
    Ok((keypoints, slots))
}
