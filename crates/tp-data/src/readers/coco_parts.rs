//! COCO-style files with parts: objects in `annotations` as COCO has them, parts in `part_annotations`, each with the
//! `parent_id` of its object. A plain COCO file of instances or keypoints, without parts, is read too.
//!
//! Coordinates in the file count from the outer edge of the first pixel, boxes and keypoints alike; keypoints are brought
//! to the pixel frame, whose centres lie at integers, by subtracting ½. Files whose keypoints are numbers of pixels say so
//! with [`KeypointFrame`].

use std::{
    collections::{HashMap, hash_map},
    path::{Path, PathBuf},
    sync::Arc,
};

use tp_core::{ImageHw, RgbImage};

use super::{
    Check, Dataset, ImageFiles, Labels, Loaded, Skipped, checked,
    coco_dialect::with_parts_apart,
    coco_json::{self, RawCategory, RawFile, RawImage, RawInfo, RawLicence, RawObject, RawPart, RawPartCategory},
    coco_listed::{KeypointFrame, ListedImage, ListedObject, ListedPart, labelled_keypoints},
    dataset::decode_as_annotated,
    numbers::Numbers,
    refusal::{Entry, Gate, Refusal, Strictness},
    segmentation::Segmentation,
};
use crate::{AnnotatedImage, BoxXywh, DataError, Licence, Split};

/// The most mask pixels that one image may have, all its objects and parts together; a pixel takes a byte.
pub(super) const MAX_MASK_PIXELS: usize = 4 << 30;

/// An annotation file, checked, with its images. Names are put in and masks drawn when an image is loaded, so that memory stays
/// small.
#[derive(Clone, Debug)]
pub struct CocoParts {
    name: String,
    images_dir: PathBuf,
    keypoints: KeypointFrame,
    images: Vec<ListedImage>,
    skipped: Skipped,
    labels: Labels,
    image_check: Check,
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
            images: Vec::new(),
            index_of: HashMap::new(),
            objects: HashMap::new(),
            missing: Vec::new(),
        };
        building.add_all(raw)?;
        let Building { gate, images, missing, options, .. } = building;
        let about = format!("image files of {}", annotations.file_name().unwrap_or_default().display());
        let image_check = Check::new(about, &images_dir.join(&options.prefix), n_images, missing);
        let (images_dir, keypoints) = (images_dir.to_owned(), options.keypoints);
        Ok(Self { name, images_dir, keypoints, images, skipped: gate.skipped, labels, image_check })
    }

    /// The data set's name: `info.name`, or the name of the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many images there are, those without annotations included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Which images the data set puts on one side of its split.
    pub fn indices_of(&self, split: Split) -> impl Iterator<Item = usize> + '_ {
        self.images.iter().enumerate().filter(move |(_, image)| image.split == Some(split)).map(|(index, _)| index)
    }

    /// The record of one image, in file order, with its masks.
    ///
    /// # Panics
    ///
    /// If there is no such image.
    #[must_use]
    pub fn load(&self, index: usize) -> AnnotatedImage {
        self.images[index].record(&self.name, self.keypoints)
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
    images: Vec<ListedImage>,
    /// Image number → index.
    index_of: HashMap<u64, usize>,
    /// Object number → image index and object index; `None` if it was left out.
    objects: HashMap<u64, Option<(usize, usize)>>,
    /// Image files that are not there.
    missing: Vec<String>,
}

impl Building {
    fn add_all(&mut self, raw: RawFile) -> Result<(), DataError> {
        if self.options.keypoints == KeypointFrame::PixelsIfWhole {
            let whole = raw.annotations.iter().flat_map(|object| object.keypoints.to_vec()).all(|v| v.fract() == 0.0);
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
            let (id, found) = (image.id, self.image(image, licence));
            if let Some(image) = self.gate.pass(Entry::Image, id, found)? {
                self.index_of.insert(id, self.images.len());
                self.images.push(image);
            }
        }

        for object in raw.annotations {
            let (id, found) = (object.id, self.object(object, &categories));
            let duplicate = found.as_ref().is_err_and(|&refusal| refusal == Refusal::DuplicateId);
            let kept = self.gate.pass(Entry::Object, id, found)?.map(|(image, object)| {
                let objects = &mut self.images[image].objects;
                objects.push(object);
                (image, objects.len() - 1)
            });
            if !duplicate {
                self.objects.insert(id, kept);
            }
        }

        let mut seen = HashMap::new();
        for part in raw.part_annotations {
            let id = part.id;
            let found = if seen.insert(id, ()).is_some() { Err(Refusal::DuplicateId) } else { self.part(part, &part_categories) };
            if let Some((image, object, part)) = self.gate.pass(Entry::Part, id, found)? {
                self.images[image].objects[object].parts.push(part);
            }
        }
        for image in &mut self.images {
            image.objects.shrink_to_fit();
            image.objects.iter_mut().for_each(|object| object.parts.shrink_to_fit());
        }
        self.drop_images_with_too_many_masks()
    }

    /// Categories by number.
    fn by_id<T>(&mut self, entry: Entry, list: Vec<T>, id_of: impl Fn(&T) -> u64) -> Result<HashMap<u64, Arc<T>>, DataError> {
        let mut found = HashMap::new();
        for category in list {
            let id = id_of(&category);
            match found.entry(id) {
                hash_map::Entry::Vacant(place) => {
                    place.insert(Arc::new(category));
                }
                hash_map::Entry::Occupied(_) => {
                    self.gate.pass::<()>(entry, id, Err(Refusal::DuplicateId))?;
                }
            }
        }
        Ok(found)
    }

    fn image(&mut self, raw: RawImage, licence: Option<Arc<Licence>>) -> Result<ListedImage, Refusal> {
        if self.index_of.contains_key(&raw.id) {
            return Err(Refusal::DuplicateId);
        }
        checked::file_name(&raw.file_name)?;
        let size = checked::size(raw.width, raw.height)?;
        let split = raw.split.as_deref().map(checked::split).transpose()?.or(self.options.split);
        let name = self.options.name_of(&raw.file_name);
        let path = self.images_dir.join(&name);
        if !path.is_file() {
            self.missing.push(path.display().to_string());
            if self.options.images == ImageFiles::Needed {
                return Err(Refusal::MissingFile);
            }
        }
        Ok(ListedImage { name, size, split, group: raw.group, licence, objects: Vec::new() })
    }

    /// The object, after the index of its image.
    fn object(&self, raw: RawObject, categories: &HashMap<u64, Arc<RawCategory>>) -> Result<(usize, ListedObject), Refusal> {
        if self.objects.contains_key(&raw.id) {
            return Err(Refusal::DuplicateId);
        }
        let &image = self.index_of.get(&raw.image_id).ok_or(Refusal::UnknownImage)?;
        let size = self.images[image].size;
        let category = categories.get(&raw.category_id).ok_or(Refusal::UnknownCategory)?;
        if raw.iscrowd != 0 {
            return Err(Refusal::Crowd);
        }
        let bbox = checked_box(&raw.bbox, size)?;
        let segmentation = Segmentation::checked(raw.segmentation, size)?;
        let (labelled, _) = labelled_keypoints(&raw.keypoints.to_vec(), category, size, self.options.keypoints)?;
        let keypoints = if labelled.is_empty() { Numbers::default() } else { raw.keypoints };
        let derived = raw.derived.map(String::into_boxed_str);
        let object = ListedObject { id: raw.id, category: category.clone(), bbox, segmentation, keypoints, parts: Vec::new(), derived };
        Ok((image, object))
    }

    /// The part, after the indices of its image and object.
    fn part(&self, raw: RawPart, categories: &HashMap<u64, Arc<RawPartCategory>>) -> Result<(usize, usize, ListedPart), Refusal> {
        let &image = self.index_of.get(&raw.image_id).ok_or(Refusal::UnknownImage)?;
        let parent = self.objects.get(&raw.parent_id).copied().flatten().filter(|parent| parent.0 == image);
        let (_, object) = parent.ok_or(Refusal::UnknownParent)?;
        let category = categories.get(&raw.category_id).ok_or(Refusal::UnknownCategory)?;
        if raw.iscrowd != 0 {
            return Err(Refusal::Crowd);
        }
        let listed = &self.images[image];
        let bbox = checked_box(&raw.bbox, listed.size)?;
        if listed.objects[object].bbox.intersection(&bbox).is_none() {
            return Err(Refusal::PartOutsideObject);
        }
        let segmentation = Segmentation::checked(raw.segmentation, listed.size)?;
        let derived = raw.derived.map(String::into_boxed_str);
        Ok((image, object, ListedPart { id: raw.id, category: category.clone(), bbox, segmentation, derived }))
    }

    fn drop_images_with_too_many_masks(&mut self) -> Result<(), DataError> {
        let id_of_image: HashMap<usize, u64> = self.index_of.iter().map(|(&id, &index)| (index, id)).collect();
        let mut kept = Vec::with_capacity(self.images.len());
        for (index, image) in std::mem::take(&mut self.images).into_iter().enumerate() {
            let n_masks = image.objects.iter().map(ListedObject::n_masks).sum::<usize>();
            let pixels = n_masks.saturating_mul(image.size.n_pixels());
            let found = if pixels > MAX_MASK_PIXELS { Err(Refusal::TooManyMaskPixels) } else { Ok(image) };
            kept.extend(self.gate.pass(Entry::Image, id_of_image[&index], found)?);
        }
        self.images = kept;
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
