//! Reader of photographs with human-described points: one point per line in `labels.jsonl`, the
//! photographs in `images/`, and optionally their licenses in `sources.jsonl`.
//!
//! A line has `file`, `width`, `height`, the point `x`, `y` in pixels (columns and rows from 0),
//! `object` and `object_box` (`[x0, y0, x1, y1]`, edges in pixels), and, where known,
//! `object_also`, `part` with `part_box` and `part_also`, `colour`, `material`, `look`, the texts
//! `human`, `human2` and `structured`, `split`, `source`, `group` and `derived`. Lines with the
//! same object name and nearly the same box refer to one object, which gets the parts of all of
//! them.

use std::{
    collections::{HashMap, HashSet, hash_map},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;
use tp_core::PixelXy;

use super::{
    Check, Dataset, DatasetFormat, Entry, FoundImage, ImageFiles, ImageFinder, Interpreted, Labels,
    Loaded, ReadOptions, Refusal, Skipped, checked, folder, json_lines, licence, refusal::Gate,
};
use crate::{
    AnnotatedImage, BoxXywh, DataError, DescribedPoint, Licence, ObjectAnnotation, PartAnnotation,
    PointText, TextKind,
};

/// The points, one per line.
const LABELS: &str = "labels.jsonl";
/// The licenses, one photograph per line.
const SOURCES: &str = "sources.jsonl";
/// The folder of the photographs.
const IMAGES: &str = "images";
/// The minimum intersection over union of two boxes that may belong to one object.
const SAME_BOX: f64 = 0.8;
/// The maximum number of described points of a photograph.
const MAX_POINTS: usize = 1000;

/// A folder of described points. It has no masks and is held in memory.
#[derive(Clone, Debug)]
pub struct DescribedPoints {
    name: String,
    root: PathBuf,
    images: Vec<AnnotatedImage>,
    skipped: Skipped,
    interpreted: Interpreted,
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct RawPoint {
    file: String,
    width: u32,
    height: u32,
    x: f64,
    y: f64,
    object: String,
    object_box: Vec<f64>,
    #[serde(default)]
    object_also: Vec<String>,
    part: Option<String>,
    part_box: Option<Vec<f64>>,
    #[serde(default)]
    part_also: Vec<String>,
    colour: Option<String>,
    material: Option<String>,
    look: Option<String>,
    human: Option<String>,
    human2: Option<String>,
    structured: Option<String>,
    split: Option<String>,
    source: Option<String>,
    group: Option<String>,
    derived: Option<String>,
}

#[derive(Deserialize)]
struct RawSource {
    file: String,
    licence: Option<String>,
    licence_url: Option<String>,
    attribution: Option<String>,
}

impl DescribedPoints {
    /// Reads and validates the lines; photographs are decoded on demand.
    ///
    /// # Errors
    ///
    /// [`DataError::Layout`] if there is no `labels.jsonl`; [`DataError::Read`],
    /// [`DataError::FileTooLong`] or [`DataError::JsonLine`] for a file that cannot be read; under
    /// [`Strictness::Strict`](super::Strictness::Strict) also [`DataError::Annotation`] for the
    /// first invalid line, which is otherwise skipped and counted.
    pub fn open(root: &Path, options: ReadOptions) -> Result<Self, DataError> {
        let Some(found) = folder::root_where(root, |root| root.join(LABELS).is_file()) else {
            let expected = "labels.jsonl with one described point a line, and images/";
            return Err(DataError::Layout {
                root: root.to_owned(),
                format: DatasetFormat::DescribedPoints,
                expected,
            });
        };
        let name = found.canonicalize().map(|path| folder::file_name(&path)).unwrap_or_default();
        let name =
            if name.is_empty() { DatasetFormat::DescribedPoints.name().to_owned() } else { name };
        let licences = licences(&found, options)?;
        let labels = found.join(LABELS);
        let mut gate = Gate::new(labels.clone(), options.strictness);
        let mut lines: Vec<(u64, RawPoint)> = Vec::new();
        json_lines::for_each_line(&labels, &mut gate, |_, line, raw| {
            lines.push((line, raw));
            Ok(())
        })?;
        let photographs = ImageFinder::below_folder(&found.join(IMAGES))
            .find_each(lines.iter().map(|(_, raw)| raw.file.as_str()));
        let mut reading = Reading {
            root: &found,
            images_needed: options.images,
            name: &name,
            licences,
            photographs,
            images: Vec::new(),
            index_of: HashMap::new(),
            interpreted: Interpreted::default(),
            missing: HashSet::new(),
        };
        for (line, raw) in lines {
            let added = reading.add(raw);
            gate.pass(Entry::Line, line, added)?;
        }
        let Reading { images, missing, index_of, interpreted, .. } = reading;
        let mut missing: Vec<String> = missing.into_iter().collect();
        missing.sort();
        let n_listed =
            index_of.len() + if options.images == ImageFiles::Needed { missing.len() } else { 0 };
        let checks = vec![
            Check::new("annotation files", &found, 1, []),
            Check::new("photographs of labels.jsonl", &found.join(IMAGES), n_listed, missing),
        ];
        Ok(Self { name, root: found, images, skipped: gate.skipped, interpreted, checks })
    }
}

impl DescribedPoints {
    /// The folder that contains `labels.jsonl`.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Dataset for DescribedPoints {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.images.len()
    }

    fn load(&self, index: usize) -> Result<Loaded, DataError> {
        Ok(Loaded { image: Some(self.images[index].clone()), skipped: Skipped::default() })
    }

    fn image_path(&self, image: &AnnotatedImage) -> PathBuf {
        self.root.join(&image.name)
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    fn interpreted(&self) -> Interpreted {
        self.interpreted
    }

    fn checks(&self) -> Vec<Check> {
        self.checks.clone()
    }

    fn labels(&self) -> Labels {
        Labels::default()
    }
}

/// The license of every photograph listed in `sources.jsonl`.
fn licences(root: &Path, options: ReadOptions) -> Result<HashMap<String, Arc<Licence>>, DataError> {
    let path = root.join(SOURCES);
    let mut licences = HashMap::new();
    if !path.is_file() {
        return Ok(licences);
    }
    let mut of_terms: HashMap<(String, String, Option<String>), Arc<Licence>> = HashMap::new();
    let mut gate = Gate::new(path.clone(), options.strictness);
    json_lines::for_each_line(&path, &mut gate, |_, _, raw: RawSource| {
        if let Some(name) = raw.licence {
            let url = raw.licence_url.unwrap_or_else(|| licence::url_of(&name).to_owned());
            let terms = of_terms.entry((name, url, raw.attribution)).or_insert_with_key(
                |(name, url, attribution)| {
                    Arc::new(Licence {
                        name: name.clone(),
                        url: url.clone(),
                        attribution: attribution.clone(),
                    })
                },
            );
            licences.insert(raw.file, terms.clone());
        }
        Ok(())
    })?;
    Ok(licences)
}

/// The photographs of the lines read so far.
struct Reading<'a> {
    root: &'a Path,
    images_needed: ImageFiles,
    name: &'a str,
    licences: HashMap<String, Arc<Licence>>,
    /// The photographs found, by the names in the file.
    photographs: HashMap<String, Result<FoundImage, Refusal>>,
    images: Vec<AnnotatedImage>,
    /// File name → index.
    index_of: HashMap<String, usize>,
    interpreted: Interpreted,
    /// Missing photographs.
    missing: HashSet<String>,
}

/// A line with all fields validated.
struct Line {
    object: ObjectAnnotation,
    part: Option<PartAnnotation>,
    point: DescribedPoint,
}

impl Reading<'_> {
    /// Adds a line to its photograph, or rejects it without any change.
    fn add(&mut self, raw: RawPoint) -> Result<(), Refusal> {
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

impl Line {
    fn checked(raw: RawPoint, image: &AnnotatedImage) -> Result<Self, Refusal> {
        let said = |field: Option<String>| field.as_deref().map_or(Ok(None), checked::text);
        let point = PixelXy { x: raw.x, y: raw.y };
        image.size.unit_from_pixel(point).map_err(|_| Refusal::PointOutsideImage)?;
        let derived = said(raw.derived)?;
        let object = ObjectAnnotation {
            id: 0,
            category: checked::text(&raw.object)?.ok_or(Refusal::BadText)?,
            also: checked::names(&raw.object_also)?,
            family: None,
            bbox: checked::corners(&raw.object_box, image.size)?,
            mask: None,
            parts: Vec::new(),
            keypoints: Vec::new(),
            derived: derived.clone(),
        };
        let part = match (said(raw.part)?, raw.part_box) {
            (Some(name), Some(corners)) => {
                let bbox = checked::corners(&corners, image.size)?;
                object.bbox.intersection(&bbox).ok_or(Refusal::PartOutsideObject)?;
                Some(PartAnnotation {
                    id: 0,
                    name,
                    also: checked::names(&raw.part_also)?,
                    bbox,
                    mask: None,
                    derived,
                })
            }
            (None, None) => None,
            _ => return Err(Refusal::HalfAPart),
        };
        let mut texts = Vec::new();
        for (kind, field) in [
            (TextKind::Spoken, raw.human),
            (TextKind::Spoken, raw.human2),
            (TextKind::Structured, raw.structured),
        ] {
            texts.extend(said(field)?.map(|text| PointText { kind, text }));
        }
        let (colour, material, look) = (said(raw.colour)?, said(raw.material)?, said(raw.look)?);
        Ok(Self {
            object,
            part,
            point: DescribedPoint { point, object: 0, part: None, colour, material, look, texts },
        })
    }

    /// Adds the point to its photograph, with its object and part if they are new.
    fn join(self, image: &mut AnnotatedImage) {
        let Self { mut object, part, mut point } = self;
        let same_object = |known: &ObjectAnnotation| {
            is_same(known.bbox, object.bbox)
                && may_be_same((&known.category, &known.also), (&object.category, &object.also))
        };
        point.object = match image.objects.iter().position(same_object) {
            Some(known) => {
                let there = &mut image.objects[known];
                learn_names((&there.category, &mut there.also), object.category, object.also);
                known
            }
            None => {
                object.id = image.objects.len() as u64 + 1;
                image.objects.push(object);
                image.objects.len() - 1
            }
        };
        point.part = part.map(|mut part| {
            let parts = &mut image.objects[point.object].parts;
            let same_part = |known: &PartAnnotation| {
                is_same(known.bbox, part.bbox)
                    && may_be_same((&known.name, &known.also), (&part.name, &part.also))
            };
            if let Some(known) = parts.iter().position(same_part) {
                let there = &mut parts[known];
                learn_names((&there.name, &mut there.also), part.name, part.also);
                return known;
            }
            part.id = parts.len() as u64 + 1;
            parts.push(part);
            parts.len() - 1
        });
        image.described.push(point);
    }
}

/// Whether two boxes are nearly equal.
fn is_same(a: BoxXywh, b: BoxXywh) -> bool {
    let shared = a.intersection(&b).map_or(0.0, |shared| shared.area());
    shared > SAME_BOX * (a.area() + b.area() - shared)
}

/// Whether two names, each with further correct names, can refer to one object: they are equal, or
/// one is a further name of the other.
fn may_be_same((name, also): (&str, &[String]), (other, other_also): (&str, &[String])) -> bool {
    let is = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    is(name, other)
        || also.iter().any(|name| is(name, other))
        || other_also.iter().any(|other| is(name, other))
}

/// Adds further names of an object.
fn learn_names((name, also): (&str, &mut Vec<String>), other: String, other_also: Vec<String>) {
    for new in std::iter::once(other).chain(other_also) {
        if !name.eq_ignore_ascii_case(&new)
            && !also.iter().any(|known| known.eq_ignore_ascii_case(&new))
        {
            also.push(new);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};
    use tempfile::TempDir;
    use tp_core::{ImageHw, RgbImage};

    use super::*;
    use crate::{Split, Strictness, write_png};

    const SIZE: [u32; 2] = [40, 60];

    fn row(object: &str, object_box: [u32; 4], part: &str, part_box: [u32; 4]) -> Value {
        let [x, y] = [(part_box[0] + part_box[2]) / 2, (part_box[1] + part_box[3]) / 2];
        json!({
            "file": "a.png", "width": SIZE[1], "height": SIZE[0], "x": x, "y": y, "split": "val", "source": "shelf",
            "object": object, "object_also": ["vessel"], "object_box": object_box,
            "part": part, "part_also": ["grip"], "part_box": part_box,
            "colour": "white", "material": "ceramic", "look": "smooth curve",
            "human": format!("the {object}'s {part}"), "human2": "hold it here", "structured": "A mug stands on the left of the image."
        })
    }

    fn set(rows: &[Value]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(IMAGES)).unwrap();
        let image = RgbImage::filled(ImageHw::new(SIZE[0], SIZE[1]).unwrap(), [90, 120, 60]);
        write_png(&folder.path().join("images/a.png"), &image).unwrap();
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        fs::write(folder.path().join(LABELS), lines).unwrap();
        folder
    }

    fn open(folder: &TempDir, strictness: Strictness) -> Result<DescribedPoints, DataError> {
        DescribedPoints::open(folder.path(), ReadOptions { strictness, images: ImageFiles::Needed })
    }

    #[test]
    fn lines_about_one_thing_are_one_object_with_its_parts() {
        let mug = [4, 4, 24, 24];
        let folder = set(&[
            row("mug", mug, "handle", [18, 8, 24, 20]),
            // Two pixels of twenty less: an overlap of 0.9.
            row("mug", [4, 4, 22, 24], "rim", [4, 4, 22, 8]),
            // Another name for it in the same box, and its handle once more.
            row("cup", mug, "handle", [18, 8, 24, 20]),
            row("mug", [30, 4, 50, 24], "handle", [44, 8, 50, 20]),
        ]);
        let mut first = row("mug", mug, "handle", [18, 8, 24, 20]);
        first["object_also"] = json!(["cup", "Mug"]);
        let lines = fs::read_to_string(folder.path().join(LABELS)).unwrap();
        let rest = lines.split_once('\n').unwrap().1;
        fs::write(folder.path().join(LABELS), format!("{first}\n\n{rest}")).unwrap();
        fs::write(
            folder.path().join(SOURCES),
            r#"{"file": "a.png", "licence": "CC BY 4.0", "attribution": "A. Person"}"#,
        )
        .unwrap();

        let set = open(&folder, Strictness::Strict).unwrap();
        assert_eq!((set.len(), set.skipped().is_empty()), (1, true));
        let image = set.load(0).unwrap().image.unwrap();
        let names: Vec<_> = image
            .objects
            .iter()
            .map(|object| (object.id, object.category.as_str(), object.also.join(" ")))
            .collect();
        assert_eq!(
            names,
            [(1, "mug", "cup Mug vessel".to_owned()), (2, "mug", "vessel".to_owned())]
        );
        let parts: Vec<Vec<_>> = image
            .objects
            .iter()
            .map(|object| object.parts.iter().map(|part| part.name.as_str()).collect())
            .collect();
        assert_eq!(parts, [vec!["handle", "rim"], vec!["handle"]]);
        let places: Vec<_> =
            image.described.iter().map(|point| (point.object, point.part)).collect();
        assert_eq!(places, [(0, Some(0)), (0, Some(1)), (0, Some(0)), (1, Some(0))]);
        assert_eq!(image.objects[0].bbox, BoxXywh { x: 4.0, y: 4.0, width: 20.0, height: 20.0 });

        let point = &image.described[0];
        assert_eq!(point.point, PixelXy { x: 21.0, y: 14.0 });
        assert_eq!(
            point.texts_of(TextKind::Spoken).collect::<Vec<_>>(),
            ["the mug's handle", "hold it here"]
        );
        assert_eq!(point.texts_of(TextKind::Structured).count(), 1);
        assert_eq!(
            (point.colour.as_deref(), point.material.as_deref(), point.look.as_deref()),
            (Some("white"), Some("ceramic"), Some("smooth curve"))
        );
        assert_eq!(
            (image.split, image.source.as_str(), image.name.as_str()),
            (Some(Split::Val), "shelf", "images/a.png")
        );
        let licence = image.licence.as_ref().unwrap();
        assert_eq!(
            (licence.url.as_str(), licence.attribution.as_deref()),
            ("https://creativecommons.org/licenses/by/4.0/", Some("A. Person"))
        );
        assert_eq!(set.decode(&image).unwrap().size(), image.size);
    }

    #[test]
    fn line_of_the_object_alone_is_enough() {
        let row = json!({"file": "a.png", "width": SIZE[1], "height": SIZE[0], "x": 3.5, "y": 0, "object": "mug", "object_box": [0, 0, 9, 9], "human": " "});
        let image = open(&set(&[row]), Strictness::Strict).unwrap().load(0).unwrap().image.unwrap();
        let [point] = image.described.as_slice() else { panic!("{image:?}") };
        assert_eq!(
            (point.part, point.texts.len(), image.objects[0].parts.len(), image.licence),
            (None, 0, 0, None)
        );
    }

    #[test]
    fn photograph_is_found_under_names_of_other_programs() {
        let of = |file: &str| {
            let mut row = row("mug", [4, 4, 24, 24], "handle", [18, 8, 24, 20]);
            row["file"] = json!(file);
            row
        };
        for file in
            ["a.png", "./a.png", "images\\a.png", "..\\pictures\\a.png", "/home/somebody/A.PNG"]
        {
            let folder = set(&[of(file), of(file)]);
            fs::write(folder.path().join(SOURCES), r#"{"file": "a.png", "licence": "MIT"}"#)
                .unwrap();
            let set = open(&folder, Strictness::Strict).unwrap();
            let [image] = set.images.as_slice() else { panic!("{file}: {:?}", set.images) };
            assert_eq!(
                (image.name.as_str(), image.described.len(), image.licence.is_some()),
                ("images/a.png", 2, true),
                "{file}"
            );
            assert_eq!(
                set.interpreted().files_under_other_names,
                usize::from(!["a.png", "./a.png"].contains(&file)),
                "{file}"
            );
        }
        // It is unknown which of the two other names is correct.
        let folder = set(&[of("/home/a/a.png"), of("/home/b/a.png")]);
        assert_eq!(
            open(&folder, Strictness::Lenient).unwrap().skipped().n(Refusal::AmbiguousFileName),
            2
        );
    }

    #[test]
    fn bad_lines_are_named_or_counted() {
        let good = || row("mug", [4, 4, 24, 24], "handle", [18, 8, 24, 20]);
        let with = |field: &str, value: Value| {
            let mut row = good();
            row[field] = value;
            row
        };
        for (bad, refusal) in [
            (with("file", json!("../b.png")), Refusal::BadFileName),
            (with("file", json!("")), Refusal::BadFileName),
            (with("file", json!("elsewhere/../../a.jpg")), Refusal::BadFileName),
            (with("file", json!("b.png")), Refusal::MissingFile),
            (with("width", json!(0)), Refusal::BadSize),
            (with("width", json!(61)), Refusal::OtherImageFacts),
            (with("split", json!("dev")), Refusal::UnknownSplit),
            (with("split", json!("train")), Refusal::OtherImageFacts),
            (with("x", json!(60)), Refusal::PointOutsideImage),
            (with("y", json!(-1)), Refusal::PointOutsideImage),
            (with("object", json!("  ")), Refusal::BadText),
            (with("human", json!("two\nlines")), Refusal::BadText),
            (with("human", json!("x".repeat(5000))), Refusal::BadText),
            (with("object_also", json!(vec!["x"; 65])), Refusal::BadText),
            (with("object_box", json!([1, 2, 3])), Refusal::BadCorners),
            (with("object_box", json!([24, 4, 4, 24])), Refusal::BadCorners),
            (with("object_box", json!([70, 4, 80, 24])), Refusal::BoxOutsideImage),
            (with("part_box", json!([30, 30, 40, 40])), Refusal::PartOutsideObject),
            (with("part_box", Value::Null), Refusal::HalfAPart),
            (with("part", Value::Null), Refusal::HalfAPart),
        ] {
            let folder = set(&[good(), bad, good()]);
            let error = open(&folder, Strictness::Strict).unwrap_err();
            let DataError::Annotation { id: 2, refusal: found, .. } = &error else {
                panic!("{refusal}: {error}")
            };
            assert_eq!(*found, refusal);
            assert!(error.to_string().contains("labels.jsonl: line 2: "), "{error}");
            let lenient = open(&folder, Strictness::Lenient).unwrap();
            assert_eq!(
                (lenient.images[0].described.len(), lenient.skipped().n(refusal)),
                (2, 1),
                "{refusal}"
            );
        }
    }

    #[test]
    fn line_that_is_no_record_is_named_or_counted() {
        let good = row("mug", [4, 4, 24, 24], "handle", [18, 8, 24, 20]).to_string();
        for bad in [
            good[..good.len() / 2].to_owned(),
            "{}".to_owned(),
            "[1, 2]".to_owned(),
            "\u{0}".to_owned(),
        ] {
            let folder = set(&[]);
            fs::write(folder.path().join(LABELS), format!("{good}\n{bad}\n{good}\n")).unwrap();
            let message = open(&folder, Strictness::Strict).unwrap_err().to_string();
            assert!(
                message.contains("labels.jsonl, line 2: ") && !message.contains("at line"),
                "{message}"
            );
            let lenient = open(&folder, Strictness::Lenient).unwrap();
            assert_eq!(
                (lenient.images[0].described.len(), lenient.skipped().n(Refusal::UnreadableLine)),
                (2, 1)
            );
        }
        let folder = set(&[]);
        fs::write(folder.path().join(LABELS), vec![b' '; 1 << 20]).unwrap();
        let message = open(&folder, Strictness::Lenient).unwrap_err().to_string();
        assert!(message.contains("line 1: longer than 262144 bytes"), "{message}");
    }

    #[test]
    fn points_of_one_photograph_have_an_end() {
        let rows = vec![row("mug", [4, 4, 24, 24], "handle", [18, 8, 24, 20]); MAX_POINTS + 2];
        let set = open(&set(&rows), Strictness::Lenient).unwrap();
        assert_eq!(
            (set.images[0].described.len(), set.skipped().n(Refusal::TooManyPoints)),
            (MAX_POINTS, 2)
        );
    }
}
