//! Reader of COCO-style files with parts: objects are in `annotations` as in COCO, parts in
//! `part_annotations`, each with the `parent_id` of its object. Plain COCO files of instances or
//! keypoints, without parts, are also supported.
//!
//! Coordinates in the file are distances from the outer edge of the first pixel, for boxes and
//! keypoints alike. Keypoints are converted to the pixel frame, whose centers are at integers, by
//! subtracting ½. Files whose keypoints are pixel indices are read with another [`KeypointFrame`].

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use tp_core::{ImageHw, RgbImage};

use super::{
    Check, Dataset, ImageFiles, Interpreted, Labels, Loaded, Skipped, checked,
    coco_dialect::{NO_PARENT, with_parts_apart},
    coco_entries::{
        RawBox, RawCategory, RawImage, RawInfo, RawLicence, RawObject, RawPart, RawPartCategory,
        SizeOf,
    },
    coco_json::{self, RawFile},
    coco_listed::{ListedImage, ListedObject, ListedPart},
    dataset::decode_as_annotated,
    image_finder::{FoundImage, ImageFinder},
    json_values::NO_ID,
    keypoints::KeypointFrame,
    refusal::{Entry, Gate, Refusal, Strictness},
    segmentation::Segmentation,
};
use crate::{AnnotatedImage, BoxXywh, DataError, Licence, Split};

/// The maximum number of mask pixels of one image, over all objects and parts; a pixel takes one
/// byte.
pub(super) const MAX_MASK_PIXELS: usize = 4 << 30;
/// How a box was derived that is not in the file.
const FROM_OUTLINE: &str = "the box around the outline";

/// A validated annotation file with its images. Names are inserted and masks drawn when an image is
/// loaded, which keeps memory small.
#[derive(Clone, Debug)]
pub struct CocoParts {
    name: String,
    images_dir: PathBuf,
    keypoints: KeypointFrame,
    images: Vec<ListedImage>,
    skipped: Skipped,
    interpreted: Interpreted,
    labels: Labels,
    image_check: Check,
}

/// How a file is read.
#[derive(Debug, Default)]
pub(super) struct FileOptions {
    pub(super) strictness: Strictness,
    pub(super) images: ImageFiles,
    pub(super) keypoints: KeypointFrame,
    /// The split of images that state none.
    pub(super) split: Option<Split>,
    /// Where images are looked for; by default only in the folder to which file names are relative.
    pub(super) finder: ImageFinder,
    /// The name of the data set, if the file does not state it.
    pub(super) name: Option<String>,
}

impl CocoParts {
    /// Reads and validates an annotation file; the images are in `images_dir`, under the
    /// `file_name`s in the file.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`], [`DataError::FileTooLong`] or [`DataError::Json`] for the file as a
    /// whole. Under [`Strictness::Strict`] also [`DataError::Annotation`] for the first invalid
    /// entry; otherwise such entries are skipped and counted in [`skipped`](Self::skipped),
    /// together with the parts of a skipped object.
    pub fn open(
        annotations: &Path,
        images_dir: &Path,
        strictness: Strictness,
    ) -> Result<Self, DataError> {
        let finder = ImageFinder::new(images_dir, String::new());
        Self::open_as(
            annotations,
            images_dir,
            FileOptions { strictness, finder, ..FileOptions::default() },
        )
    }

    pub(super) fn open_as(
        annotations: &Path,
        images_dir: &Path,
        options: FileOptions,
    ) -> Result<Self, DataError> {
        let mut raw = coco_json::read(annotations)?;
        let interpreted = Interpreted {
            parts_among_objects: with_parts_apart(&mut raw),
            ..Interpreted::default()
        };
        let name = raw
            .info
            .name
            .clone()
            .or_else(|| options.name.clone())
            .unwrap_or_else(|| stem(annotations));
        let labels = Labels {
            objects: raw
                .categories
                .list
                .iter()
                .map(|category| category.name.clone())
                .filter(|name| !name.is_empty())
                .collect(),
            parts: raw
                .part_categories
                .list
                .iter()
                .map(|category| category.name.clone())
                .filter(|name| !name.is_empty())
                .collect(),
        };
        let n_images = raw.images.list.len() + raw.images.n_odd;
        let mut building = Building {
            gate: Gate::new(annotations.to_owned(), options.strictness),
            options,
            images_dir: images_dir.to_owned(),
            images: Vec::new(),
            index_of: HashMap::new(),
            objects: HashMap::new(),
            missing: Vec::new(),
            interpreted,
        };
        building
            .gate
            .pass_file(annotations, if raw.goes_on { Err(Refusal::GoesOn) } else { Ok(()) })?;
        building.add_all(raw)?;
        let Building { gate, images, missing, options, interpreted, .. } = building;
        let about =
            format!("image files of {}", annotations.file_name().unwrap_or_default().display());
        let image_check =
            Check::new(about, &images_dir.join(&options.finder.prefix), n_images, missing);
        let (images_dir, keypoints) = (images_dir.to_owned(), options.keypoints);
        Ok(Self {
            name,
            images_dir,
            keypoints,
            images,
            skipped: gate.skipped,
            interpreted,
            labels,
            image_check,
        })
    }

    /// The name of the data set: `info.name`, or the name of the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of images, including those without annotations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there are no images.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The indices of the images in a split.
    pub fn indices_of(&self, split: Split) -> impl Iterator<Item = usize> + '_ {
        self.images
            .iter()
            .enumerate()
            .filter(move |(_, image)| image.split == Some(split))
            .map(|(index, _)| index)
    }

    /// The record of an image with its masks, by index in file order.
    ///
    /// # Panics
    ///
    /// If the index is out of range.
    #[must_use]
    pub fn load(&self, index: usize) -> AnnotatedImage {
        self.images[index].record(&self.name, self.keypoints)
    }

    /// All records in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = AnnotatedImage> + '_ {
        (0..self.len()).map(|index| self.load(index))
    }

    /// The path of an image file.
    #[must_use]
    pub fn image_path(&self, image: &AnnotatedImage) -> PathBuf {
        self.images_dir.join(&image.name)
    }

    /// Decodes an image file on the pixel grid of its annotation.
    ///
    /// # Errors
    ///
    /// As [`decode_annotated`](crate::decode_annotated).
    pub fn decode(&self, image: &AnnotatedImage) -> Result<RgbImage, DataError> {
        decode_as_annotated(&self.image_path(image), image)
    }

    /// What was skipped, and why.
    #[must_use]
    pub fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    /// What was interpreted differently from how it is written.
    #[must_use]
    pub fn interpreted(&self) -> Interpreted {
        self.interpreted
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

    fn interpreted(&self) -> Interpreted {
        self.interpreted()
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

/// The state of reading: results so far, and the targets of ids.
struct Building {
    gate: Gate,
    options: FileOptions,
    images_dir: PathBuf,
    images: Vec<ListedImage>,
    /// Image id → index.
    index_of: HashMap<u64, usize>,
    /// Object id → image index and object index; `None` if it was skipped.
    objects: HashMap<u64, Option<(usize, usize)>>,
    /// Missing image files.
    missing: Vec<String>,
    interpreted: Interpreted,
}

impl Building {
    fn add_all(&mut self, raw: RawFile) -> Result<(), DataError> {
        if self.options.keypoints == KeypointFrame::PixelsIfWhole {
            let whole = raw.annotations.list.iter().all(|object| object.keypoints.are_whole());
            self.options.keypoints =
                if whole { KeypointFrame::Pixels } else { KeypointFrame::Edges };
        }
        let licences = licences(&raw.licenses, &raw.info);
        let only_licence = file_licence(&raw.info)
            .or_else(|| (licences.len() == 1).then(|| licences.values().next().cloned()).flatten());
        let categories = self.gate.entries(Entry::Category, raw.categories)?;
        let categories = self.by_id(Entry::Category, categories, |category| {
            (category.id, !category.name.is_empty())
        })?;
        let part_categories = self.gate.entries(Entry::PartCategory, raw.part_categories)?;
        let part_categories = self.by_id(Entry::PartCategory, part_categories, |category| {
            (category.id, !category.name.is_empty())
        })?;

        let images = self.gate.entries(Entry::Image, raw.images)?;
        let names: Vec<&str> = images.iter().map(|image| image.file_name.as_str()).collect();
        let found = self.options.finder.find_all(&names);
        for ((image, found), place) in images.into_iter().zip(found).zip(1..) {
            let licence = match image.license {
                Some(id) => licences.get(&id).cloned(),
                None => only_licence.clone(),
            };
            let (id, found) = (image.id, self.image(image, found, licence));
            let id = if id == NO_ID { place } else { id };
            if let Some(image) = self.gate.pass(Entry::Image, id, found)? {
                self.index_of.insert(id, self.images.len());
                self.images.push(image);
            }
        }

        for object in self.gate.entries(Entry::Object, raw.annotations)? {
            let (id, found) = (object.id, self.object(object, &categories));
            let duplicate = found.as_ref().is_err_and(|&refusal| refusal == Refusal::DuplicateId);
            let mut kept = None;
            if let Some((image, object, faults)) = self.gate.pass(Entry::Object, id, found)? {
                self.gate.leave_out(Entry::Object, id, faults)?;
                let objects = &mut self.images[image].objects;
                objects.push(object);
                kept = Some((image, objects.len() - 1));
            }
            if !duplicate {
                self.objects.insert(id, kept);
            }
        }

        let mut seen = HashSet::new();
        for part in self.gate.entries(Entry::Part, raw.part_annotations)? {
            let id = part.id;
            let found = if seen.insert(id) {
                self.part(part, &part_categories)
            } else {
                Err(Refusal::DuplicateId)
            };
            if let Some((image, object, part, faults)) = self.gate.pass(Entry::Part, id, found)? {
                self.gate.leave_out(Entry::Part, id, faults)?;
                self.images[image].objects[object].parts.push(part);
            }
        }
        for image in &mut self.images {
            image.objects.shrink_to_fit();
            image.objects.iter_mut().for_each(|object| object.parts.shrink_to_fit());
        }
        self.drop_images_with_too_many_masks()
    }

    /// Categories by id.
    fn by_id<T>(
        &mut self,
        entry: Entry,
        list: Vec<T>,
        about: impl Fn(&T) -> (u64, bool),
    ) -> Result<HashMap<u64, Arc<T>>, DataError> {
        let mut by_id = HashMap::new();
        for (category, place) in list.into_iter().zip(1..) {
            let (id, has_name) = about(&category);
            let found = match () {
                () if id == NO_ID => Err(Refusal::NoId),
                () if by_id.contains_key(&id) => Err(Refusal::DuplicateId),
                () if !has_name => Err(Refusal::NoName),
                () => Ok(category),
            };
            if let Some(category) =
                self.gate.pass(entry, if id == NO_ID { place } else { id }, found)?
            {
                by_id.insert(id, Arc::new(category));
            }
        }
        Ok(by_id)
    }

    fn image(
        &mut self,
        raw: RawImage,
        found: Result<FoundImage, Refusal>,
        licence: Option<Arc<Licence>>,
    ) -> Result<ListedImage, Refusal> {
        let missing = found.as_ref().map_or(true, |image| !image.is_there);
        if missing {
            let place =
                |image: &FoundImage| self.images_dir.join(&image.name).display().to_string();
            self.missing.push(found.as_ref().map_or_else(|_| raw.file_name.clone(), place));
        }
        if raw.id == NO_ID {
            return Err(Refusal::NoId);
        }
        if self.index_of.contains_key(&raw.id) {
            return Err(Refusal::DuplicateId);
        }
        let found = found?;
        if missing && self.options.images == ImageFiles::Needed {
            return Err(Refusal::MissingFile);
        }
        let path = self.images_dir.join(&found.name);
        let size = match raw.size((!missing).then_some(path.as_path()))? {
            SizeOf::File(size) => size,
            SizeOf::Picture(size) => {
                self.interpreted.sizes_from_pictures += 1;
                size
            }
        };
        let split = raw.split.as_deref().map(checked::split).transpose()?.or(self.options.split);
        self.interpreted.files_under_other_names += usize::from(found.renamed);
        Ok(ListedImage {
            name: found.name,
            size,
            split,
            group: raw.group,
            licence,
            objects: Vec::new(),
        })
    }

    /// The object with the index of its image, and the faults of its other fields.
    fn object(
        &mut self,
        raw: RawObject,
        categories: &HashMap<u64, Arc<RawCategory>>,
    ) -> Result<(usize, ListedObject, Vec<Refusal>), Refusal> {
        if self.objects.contains_key(&raw.id) {
            return Err(Refusal::DuplicateId);
        }
        let &image = self.index_of.get(&raw.image_id).ok_or(Refusal::UnknownImage)?;
        let size = self.images[image].size;
        let category = categories.get(&raw.category_id).ok_or(Refusal::UnknownCategory)?;
        if raw.iscrowd {
            return Err(Refusal::Crowd);
        }
        let (segmentation, mut faults) = Segmentation::read(raw.segmentation, size);
        let (bbox, made) =
            box_or_outline(raw.bbox, &segmentation, size, &mut faults, &mut self.interpreted)?;
        let (keypoints, of_keypoints) =
            raw.keypoints.usable(category.keypoints.len(), size, self.options.keypoints);
        faults.extend(of_keypoints);
        let (category, derived) = (category.clone(), raw.derived.or(made));
        let object = ListedObject {
            id: raw.id,
            category,
            bbox,
            segmentation,
            keypoints,
            parts: Vec::new(),
            derived,
        };
        Ok((image, object, faults))
    }

    /// The part with the indices of its image and object, and the faults of its other fields.
    fn part(
        &mut self,
        raw: RawPart,
        categories: &HashMap<u64, Arc<RawPartCategory>>,
    ) -> Result<(usize, usize, ListedPart, Vec<Refusal>), Refusal> {
        let &image = self.index_of.get(&raw.image_id).ok_or(Refusal::UnknownImage)?;
        if raw.parent_id == NO_PARENT && self.interpreted.parts_among_objects > 0 {
            return Err(Refusal::PartWithoutObject);
        }
        let parent =
            self.objects.get(&raw.parent_id).copied().flatten().filter(|parent| parent.0 == image);
        let (_, object) = parent.ok_or(Refusal::UnknownParent)?;
        let category = categories.get(&raw.category_id).ok_or(Refusal::UnknownCategory)?;
        if raw.iscrowd {
            return Err(Refusal::Crowd);
        }
        let size = self.images[image].size;
        let (segmentation, mut faults) = Segmentation::read(raw.segmentation, size);
        let (bbox, made) =
            box_or_outline(raw.bbox, &segmentation, size, &mut faults, &mut self.interpreted)?;
        if self.images[image].objects[object].bbox.intersection(&bbox).is_none() {
            return Err(Refusal::PartOutsideObject);
        }
        let part = ListedPart {
            id: raw.id,
            category: category.clone(),
            bbox,
            segmentation,
            derived: raw.derived.or(made),
        };
        Ok((image, object, part, faults))
    }

    fn drop_images_with_too_many_masks(&mut self) -> Result<(), DataError> {
        let id_of_image: HashMap<usize, u64> =
            self.index_of.iter().map(|(&id, &index)| (index, id)).collect();
        let mut kept = Vec::with_capacity(self.images.len());
        for (index, image) in std::mem::take(&mut self.images).into_iter().enumerate() {
            let n_masks = image.objects.iter().map(ListedObject::n_masks).sum::<usize>();
            let pixels = n_masks.saturating_mul(image.size.n_pixels());
            let found =
                if pixels > MAX_MASK_PIXELS { Err(Refusal::TooManyMaskPixels) } else { Ok(image) };
            kept.extend(self.gate.pass(Entry::Image, id_of_image[&index], found)?);
        }
        self.images = kept;
        Ok(())
    }
}

/// Licenses by id. A license without a name is named by its URL; one without either is ignored.
fn licences(list: &[RawLicence], info: &RawInfo) -> HashMap<u64, Arc<Licence>> {
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let licence = |raw: &RawLicence| {
        let name = text(&raw.name).or_else(|| text(&raw.url))?;
        Some((
            raw.id,
            Arc::new(Licence {
                name,
                url: raw.url.clone().unwrap_or_default(),
                attribution: info.attribution.clone(),
            }),
        ))
    };
    list.iter().filter_map(licence).collect()
}

/// The license of the whole file, for images that state none.
fn file_licence(info: &RawInfo) -> Option<Arc<Licence>> {
    let url = info.licence_url.clone().unwrap_or_default();
    info.licence
        .clone()
        .map(|name| Arc::new(Licence { name, url, attribution: info.attribution.clone() }))
}

/// The box in the file, clipped to the image. If it is missing or invalid, the bounding box of the
/// outline is used; an invalid box is a fault. Returned with how the box was derived, if it is not
/// in the file.
pub(super) fn box_or_outline(
    raw: RawBox,
    outline: &Segmentation,
    size: ImageHw,
    faults: &mut Vec<Refusal>,
    interpreted: &mut Interpreted,
) -> Result<(BoxXywh, Option<Box<str>>), Refusal> {
    if let RawBox::Xywh([x, y, width, height]) = raw
        && [x, y, width, height].iter().all(|v| v.is_finite())
        && width > 0.0
        && height > 0.0
    {
        let inside = BoxXywh { x, y, width, height }.intersection(&BoxXywh::of_image(size));
        return Ok((inside.ok_or(Refusal::BoxOutsideImage)?, None));
    }
    let around = outline.bounding_box(size);
    if raw != RawBox::Absent || (around.is_none() && faults.is_empty()) {
        faults.insert(0, Refusal::BadBox);
    }
    let bbox = around.ok_or_else(|| faults[0])?;
    interpreted.boxes_from_outlines += 1;
    Ok((bbox, Some(FROM_OUTLINE.into())))
}
