//! The photographs of the lines, each with the points on it.

use std::{
    collections::{HashMap, HashSet, hash_map},
    path::Path,
    sync::Arc,
};

use super::{
    super::{FoundImage, ImageFiles, Interpreted, Refusal, checked},
    line::{Line, RawPoint},
};
use crate::{AnnotatedImage, Licence};

/// The folder of the photographs.
pub(super) const IMAGES: &str = "images";

/// The maximum number of described points of a photograph.
pub(super) const MAX_POINTS: usize = 1000;

/// The photographs of the lines read so far.
pub(super) struct Reading<'a> {
    pub(super) root: &'a Path,
    pub(super) images_needed: ImageFiles,
    pub(super) name: &'a str,
    pub(super) licences: HashMap<String, Arc<Licence>>,
    /// The photographs found, by the names in the file.
    pub(super) photographs: HashMap<String, Result<FoundImage, Refusal>>,
    pub(super) images: Vec<AnnotatedImage>,
    /// File name → index.
    pub(super) index_of: HashMap<String, usize>,
    pub(super) interpreted: Interpreted,
    /// Missing photographs.
    pub(super) missing: HashSet<String>,
}

impl Reading<'_> {
    /// Adds a line to its photograph, or rejects it without any change.
    pub(super) fn add(&mut self, raw: RawPoint) -> Result<(), Refusal> {
        let (image, renamed) = self.image(&raw)?;
        let line = Line::checked(raw, &image)?;
        let index = match self.index_of.entry(image.name.clone()) {
            hash_map::Entry::Occupied(known) => {
                let known = *known.get();
                let there = &self.images[known];
                if (there.size, there.split, &there.group)
                    != (image.size, image.split, &image.group)
                {
                    return Err(Refusal::OtherImageFacts);
                }
                if there.described.len() >= MAX_POINTS {
                    return Err(Refusal::TooManyPoints);
                }
                known
            }
            hash_map::Entry::Vacant(place) => {
                place.insert(self.images.len());
                self.images.push(image);
                self.interpreted.files_under_other_names += usize::from(renamed);
                self.images.len() - 1
            }
        };
        line.join(&mut self.images[index]);
        Ok(())
    }

    /// The photograph of a line, without objects, and whether its file has another name than
    /// stated.
    fn image(&mut self, raw: &RawPoint) -> Result<(AnnotatedImage, bool), Refusal> {
        let found = self.photographs.get(&raw.file).cloned().unwrap_or(Err(Refusal::MissingFile));
        if !found.as_ref().is_ok_and(|found| found.is_there) {
            let path =
                |found: &FoundImage| self.root.join(IMAGES).join(&found.name).display().to_string();
            self.missing.insert(found.as_ref().map_or_else(|_| raw.file.clone(), path));
        }
        let found = found?;
        if !found.is_there && self.images_needed == ImageFiles::Needed {
            return Err(Refusal::MissingFile);
        }
        let size = checked::size(raw.width, raw.height)?;
        let split = raw.split.as_deref().map(checked::split).transpose()?;
        let licence =
            self.licences.get(&raw.file).or_else(|| self.licences.get(&found.name)).cloned();
        let name = format!("{IMAGES}/{}", found.name);
        let said = |field: &Option<String>| field.as_deref().map_or(Ok(None), checked::text);
        let image = AnnotatedImage {
            size,
            objects: Vec::new(),
            split,
            group: said(&raw.group)?.unwrap_or_else(|| name.clone()),
            source: said(&raw.source)?.unwrap_or_else(|| self.name.to_owned()),
            licence,
            described: Vec::new(),
            name,
        };
        Ok((image, found.renamed))
    }
}
