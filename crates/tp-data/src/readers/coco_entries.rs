//! The entries of a COCO-style file as written in JSON. A field with an unexpected value is
//! recorded in its entry and does not end parsing; whether the entry is usable is decided later,
//! when it is validated.

use std::path::Path;

use serde::{Deserialize, Deserializer, de::MapAccess};
use tp_core::ImageHw;

use super::{
    Refusal, checked,
    json_values::{AnyList, AnyNumber, Fields, NO_ID, Scalar},
    keypoints::RawKeypoints,
    segmentation::RawSegmentation,
};
use crate::image_size;

/// The field names of an entry, as an enum that serde parses without keeping the text.
macro_rules! field_names {
    ($name:ident: $($field:ident),*) => {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        pub(super) enum $name {
            $($field,)*
            #[serde(other)]
            Other,
        }
    };
}

pub(super) use field_names;

/// Skips the value of a field.
pub(super) fn pass_over<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<serde::de::IgnoredAny>().map(|_| ())
}

fn id<'de, A: MapAccess<'de>>(map: &mut A) -> Result<u64, A::Error> {
    map.next_value::<Scalar>().map(Scalar::id)
}

fn number<'de, A: MapAccess<'de>>(map: &mut A) -> Result<f64, A::Error> {
    map.next_value::<Scalar>().map(Scalar::number)
}

pub(super) fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<String>, A::Error> {
    map.next_value::<Scalar>().map(Scalar::text)
}

fn short_text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Box<str>>, A::Error> {
    text(map).map(|text| text.map(String::into_boxed_str))
}

fn is_set<'de, A: MapAccess<'de>>(map: &mut A) -> Result<bool, A::Error> {
    map.next_value::<Scalar>().map(Scalar::says_yes)
}

#[derive(Default)]
pub(super) struct RawInfo {
    pub(super) name: Option<String>,
    pub(super) licence: Option<String>,
    pub(super) licence_url: Option<String>,
    pub(super) attribution: Option<String>,
}

field_names!(InfoField: Name, Licence, LicenceUrl, Attribution);

impl Fields for RawInfo {
    type Name = InfoField;

    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        name: InfoField,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match name {
            InfoField::Name => self.name = text(map)?,
            InfoField::Licence => self.licence = text(map)?,
            InfoField::LicenceUrl => self.licence_url = text(map)?,
            InfoField::Attribution => self.attribution = text(map)?,
            InfoField::Other => pass_over(map)?,
        }
        Ok(())
    }
}

pub(super) struct RawLicence {
    pub(super) id: u64,
    pub(super) name: Option<String>,
    pub(super) url: Option<String>,
}

impl Default for RawLicence {
    fn default() -> Self {
        Self { id: NO_ID, name: None, url: None }
    }
}

field_names!(LicenceField: Id, Name, Url);

impl Fields for RawLicence {
    type Name = LicenceField;

    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        name: LicenceField,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match name {
            LicenceField::Id => self.id = id(map)?,
            LicenceField::Name => self.name = text(map)?,
            LicenceField::Url => self.url = text(map)?,
            LicenceField::Other => pass_over(map)?,
        }
        Ok(())
    }
}

pub(super) struct RawImage {
    pub(super) id: u64,
    /// Empty if it is not a string.
    pub(super) file_name: String,
    /// NaN if it is not a number.
    width: f64,
    height: f64,
    pub(super) split: Option<String>,
    pub(super) group: Option<String>,
    pub(super) license: Option<u64>,
}

impl Default for RawImage {
    fn default() -> Self {
        Self {
            id: NO_ID,
            file_name: String::new(),
            width: f64::NAN,
            height: f64::NAN,
            split: None,
            group: None,
            license: None,
        }
    }
}

field_names!(ImageField: Id, FileName, CocoUrl, Width, Height, Split, Group, License);

impl Fields for RawImage {
    type Name = ImageField;

    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        name: ImageField,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match name {
            ImageField::Id => self.id = id(map)?,
            ImageField::FileName => name_file(&mut self.file_name, text(map)?),
            ImageField::CocoUrl => name_by_address(&mut self.file_name, text(map)?),
            ImageField::Width => self.width = number(map)?,
            ImageField::Height => self.height = number(map)?,
            ImageField::Split => self.split = text(map)?,
            ImageField::Group => self.group = text(map)?,
            ImageField::License => self.license = Some(id(map)?).filter(|&id| id != NO_ID),
            ImageField::Other => pass_over(map)?,
        }
        Ok(())
    }
}

/// Stores a file name, if it is a string.
pub(super) fn name_file(file_name: &mut String, name: Option<String>) {
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        *file_name = name;
    }
}

/// Uses the path of a URL as the file name if there is none; LVIS has only URLs.
pub(super) fn name_by_address(file_name: &mut String, address: Option<String>) {
    let path = address.as_deref().and_then(|address| address.split_once("://")?.1.split_once('/'));
    if let Some((_, path)) = path.filter(|_| file_name.is_empty()) {
        path.clone_into(file_name);
    }
}

/// The size of an image, with its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SizeOf {
    /// From the annotation file.
    File(ImageHw),
    /// From the image file, because the annotation file does not state it.
    Picture(ImageHw),
}

impl RawImage {
    /// The stated size, or that of the image file if none is stated. A missing value, `null`, a
    /// string that is not a number, negative numbers and 0 by 0 count as not stated.
    pub(super) fn size(&self, picture: Option<&Path>) -> Result<SizeOf, Refusal> {
        let stated = |side: f64| (side >= 0.0).then_some(side);
        let (height, width) = if self.height == 0.0 && self.width == 0.0 {
            (None, None)
        } else {
            (stated(self.height), stated(self.width))
        };
        if let (Some(height), Some(width)) = (height, width) {
            return checked_size(height, width).map(SizeOf::File);
        }
        let size =
            image_size(picture.ok_or(Refusal::BadSize)?).map_err(|_| Refusal::UnreadableImage)?;
        let other = |stated: Option<f64>, found: u32| {
            stated.is_some_and(|stated| stated != f64::from(found))
        };
        if other(height, size.height()) || other(width, size.width()) {
            Err(Refusal::WrongSize)
        } else {
            Ok(SizeOf::Picture(size))
        }
    }
}

fn checked_size(height: f64, width: f64) -> Result<ImageHw, Refusal> {
    let whole = |side: f64| {
        (side.fract() == 0.0 && side <= f64::from(u32::MAX))
            .then_some(side as u32)
            .ok_or(Refusal::BadSize)
    };
    checked::size(whole(width)?, whole(height)?)
}

#[derive(Debug)]
pub(super) struct RawCategory {
    pub(super) id: u64,
    /// Empty if it is not a string.
    pub(super) name: String,
    pub(super) supercategory: Option<String>,
    pub(super) keypoints: Vec<String>,
}

impl Default for RawCategory {
    fn default() -> Self {
        Self { id: NO_ID, name: String::new(), supercategory: None, keypoints: Vec::new() }
    }
}

field_names!(CategoryField: Id, Name, Supercategory, Keypoints);

impl Fields for RawCategory {
    type Name = CategoryField;

    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        name: CategoryField,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match name {
            CategoryField::Id => self.id = id(map)?,
            CategoryField::Name => self.name = text(map)?.unwrap_or_default(),
            CategoryField::Supercategory => self.supercategory = text(map)?,
            CategoryField::Keypoints => {
                let AnyList(names) = map.next_value::<AnyList<Scalar>>()?;
                self.keypoints =
                    names.into_iter().map(|name| name.text().unwrap_or_default()).collect();
            }
            CategoryField::Other => pass_over(map)?,
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct RawPartCategory {
    pub(super) id: u64,
    /// Empty if it is not a string.
    pub(super) name: String,
    pub(super) keypoint_indices: Vec<usize>,
}

impl Default for RawPartCategory {
    fn default() -> Self {
        Self { id: NO_ID, name: String::new(), keypoint_indices: Vec::new() }
    }
}

field_names!(PartCategoryField: Id, Name, KeypointIndices);

impl Fields for RawPartCategory {
    type Name = PartCategoryField;

    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        name: PartCategoryField,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match name {
            PartCategoryField::Id => self.id = id(map)?,
            PartCategoryField::Name => self.name = text(map)?.unwrap_or_default(),
            PartCategoryField::KeypointIndices => {
                let AnyList(indices) = map.next_value::<AnyList<AnyNumber>>()?;
                self.keypoint_indices =
                    indices.into_iter().filter_map(|AnyNumber(index)| whole(index)).collect();
            }
            PartCategoryField::Other => pass_over(map)?,
        }
        Ok(())
    }
}

/// The number as an index, if it is a small integer.
fn whole(number: f64) -> Option<usize> {
    (number.fract() == 0.0 && (0.0..f64::from(u32::MAX)).contains(&number))
        .then_some(number as usize)
}

/// A box as written in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum RawBox {
    /// No box: missing, `null`, or an empty list.
    #[default]
    Absent,
    /// x, y, width and height; NaN for values that are not numbers.
    Xywh([f64; 4]),
    /// Any other value.
    Other,
}

impl<'de> Deserialize<'de> for RawBox {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = RawKeypoints::deserialize(deserializer)?;
        let RawKeypoints::Flat(numbers) = value else { return Ok(Self::Other) };
        Ok(match numbers.to_vec()[..] {
            [] => Self::Absent,
            [x, y, width, height] => Self::Xywh([x, y, width, height]),
            _ => Self::Other,
        })
    }
}

/// The annotation to which another one belongs, by the field that states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Links {
    /// `parent_id`.
    pub(super) parent: u64,
    /// `obj_ann_id`, as in PACO, where objects refer to themselves.
    pub(super) object_annotation: u64,
    /// `object_id`: the object's annotation in some programs, a track number in others.
    pub(super) object: u64,
}

impl Default for Links {
    fn default() -> Self {
        Self { parent: NO_ID, object_annotation: NO_ID, object: NO_ID }
    }
}

pub(super) struct RawObject {
    /// Never [`NO_ID`] after reading: entries without an id are given one.
    pub(super) id: u64,
    pub(super) image_id: u64,
    pub(super) category_id: u64,
    pub(super) bbox: RawBox,
    pub(super) segmentation: RawSegmentation,
    pub(super) iscrowd: bool,
    pub(super) keypoints: RawKeypoints,
    pub(super) derived: Option<Box<str>>,
    /// The object of which this may be a part, in files with parts among the objects.
    pub(super) links: Links,
    /// The parts that the object may have (ADE20KPart234).
    pub(super) part_category_id: Option<Box<[u16]>>,
}

impl Default for RawObject {
    fn default() -> Self {
        Self {
            id: NO_ID,
            image_id: NO_ID,
            category_id: NO_ID,
            bbox: RawBox::Absent,
            segmentation: RawSegmentation::Absent,
            iscrowd: false,
            keypoints: RawKeypoints::default(),
            derived: None,
            links: Links::default(),
            part_category_id: None,
        }
    }
}

field_names!(ObjectField: Id, ImageId, CategoryId, Bbox, Segmentation, Iscrowd, Keypoints, Derived, ParentId, ObjAnnId, ObjectId, PartCategoryId);

impl Fields for RawObject {
    type Name = ObjectField;

    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        name: ObjectField,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match name {
            ObjectField::Id => self.id = id(map)?,
            ObjectField::ImageId => self.image_id = id(map)?,
            ObjectField::CategoryId => self.category_id = id(map)?,
            ObjectField::Bbox => self.bbox = map.next_value()?,
            ObjectField::Segmentation => self.segmentation = map.next_value()?,
            ObjectField::Iscrowd => self.iscrowd = is_set(map)?,
            ObjectField::Keypoints => self.keypoints = map.next_value()?,
            ObjectField::Derived => self.derived = short_text(map)?,
            ObjectField::ParentId => self.links.parent = id(map)?,
            ObjectField::ObjAnnId => self.links.object_annotation = id(map)?,
            ObjectField::ObjectId => self.links.object = id(map)?,
            ObjectField::PartCategoryId => {
                let AnyList(numbers) = map.next_value::<AnyList<AnyNumber>>()?;
                let parts = numbers
                    .into_iter()
                    .map(|AnyNumber(part)| whole(part).and_then(|part| u16::try_from(part).ok()));
                self.part_category_id =
                    parts.collect::<Option<Box<[u16]>>>().filter(|parts| !parts.is_empty());
            }
            ObjectField::Other => pass_over(map)?,
        }
        Ok(())
    }
}

pub(super) struct RawPart {
    /// Never [`NO_ID`] after reading: entries without an id are given one.
    pub(super) id: u64,
    pub(super) image_id: u64,
    pub(super) parent_id: u64,
    pub(super) category_id: u64,
    pub(super) bbox: RawBox,
    pub(super) segmentation: RawSegmentation,
    pub(super) iscrowd: bool,
    pub(super) derived: Option<Box<str>>,
}

impl Default for RawPart {
    fn default() -> Self {
        Self {
            id: NO_ID,
            image_id: NO_ID,
            parent_id: NO_ID,
            category_id: NO_ID,
            bbox: RawBox::Absent,
            segmentation: RawSegmentation::Absent,
            iscrowd: false,
            derived: None,
        }
    }
}

field_names!(PartField: Id, ImageId, ParentId, CategoryId, Bbox, Segmentation, Iscrowd, Derived);

impl Fields for RawPart {
    type Name = PartField;

    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        name: PartField,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match name {
            PartField::Id => self.id = id(map)?,
            PartField::ImageId => self.image_id = id(map)?,
            PartField::ParentId => self.parent_id = id(map)?,
            PartField::CategoryId => self.category_id = id(map)?,
            PartField::Bbox => self.bbox = map.next_value()?,
            PartField::Segmentation => self.segmentation = map.next_value()?,
            PartField::Iscrowd => self.iscrowd = is_set(map)?,
            PartField::Derived => self.derived = short_text(map)?,
            PartField::Other => pass_over(map)?,
        }
        Ok(())
    }
}
