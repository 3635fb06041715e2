//! Texts about the points of a set, in files: of people, of another model, or of a row.

use std::{collections::HashMap, path::Path};

use serde::{Deserialize, Serialize};
use tp_core::PixelXy;
use tp_data::read_capped;

use super::{EvalSet, EvaluationError};

/// Some hundred thousand texts; a longer file is a mistake.
const MAX_BYTES: u64 = 256 << 20;

/// A text belongs to the nearest point of its image, if that is nearer than this: pixel positions
/// may have been rounded.
const MOST_PIXELS: f64 = 1.0;

/// A line of such a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextLine {
    /// The image's name in the set.
    image: String,
    /// The point's column in pixels of the image.
    x: f64,
    /// The point's row.
    y: f64,
    text: String,
}

impl EvalSet {
    /// Reads a text for every point, for the row [`RowName::Texts`](super::RowName::Texts): JSON
    /// lines `{"image": …, "x": …, "y": …, "text": …}` in any order, with the image's name in the
    /// set and the point in pixels, as [`Judgement::save`](super::Judgement::save) writes them.
    ///
    /// # Errors
    ///
    /// [`EvaluationError`] if the file cannot be read, a line is not of this form, names no image or
    /// no point of the set, repeats a point or has an empty text, or a point has no text. The set
    /// is then unchanged.
    pub fn read_texts(&mut self, path: &Path) -> Result<(), EvaluationError> {
        let bytes = read_capped(path, MAX_BYTES)?;
        let mut images: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, image) in self.images.iter().enumerate() {
            images.entry(&image.name).or_default().push(index);
        }
        let mut texts: Vec<Vec<Option<String>>> =
            self.images.iter().map(|image| vec![None; image.points.len()]).collect();
        for (number, line) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let refuse = |problem: String| EvaluationError::TextLine {
                path: path.to_owned(),
                line: number,
                problem,
            };
            let line: TextLine = serde_json::from_slice(line).map_err(|error| {
                refuse(format!(
                    "not {{\"image\": …, \"x\": …, \"y\": …, \"text\": …}} with pixels as numbers: {error}"
                ))
            })?;
            let images = images.get(line.image.as_str()).map_or(&[][..], Vec::as_slice);
            let (image, point) = self.point_at(images, &line, &texts).map_err(refuse)?;
            if line.text.trim().is_empty() {
                return Err(refuse("the text is empty".to_owned()));
            }
            if texts[image][point].replace(line.text).is_some() {
                return Err(refuse(format!(
                    "a second text about the point ({}, {}) of {}",
                    line.x, line.y, line.image
                )));
            }
        }
        self.require_all(path, &texts)?;
        for (image, texts) in self.images.iter_mut().zip(texts) {
            image.points.iter_mut().zip(texts).for_each(|(point, text)| point.text = text);
        }
        Ok(())
    }

    /// The image and the point of a line, among the images of its name. Of points at one place, as
    /// sets have them that describe a point twice, the first without a text is meant.
    fn point_at(
        &self,
        images: &[usize],
        line: &TextLine,
        texts: &[Vec<Option<String>>],
    ) -> Result<(usize, usize), String> {
        if images.is_empty() {
            let some = self.images.first().map_or("", |image| image.name.as_str());
            return Err(format!(
                "{} contains no image `{}`; its names are like `{some}`",
                self.name, line.image
            ));
        }
        let points = images.iter().flat_map(|&image| {
            (0..self.images[image].points.len()).map(move |point| (image, point))
        });
        let distance = |&(image, point): &(usize, usize)| {
            let PixelXy { x, y } = self.pixel_of(image, point);
            (x - line.x).hypot(y - line.y)
        };
        points
            .min_by(|a, b| {
                let has_text = |&(image, point): &(usize, usize)| texts[image][point].is_some();
                distance(a).total_cmp(&distance(b)).then(has_text(a).cmp(&has_text(b)))
            })
            .filter(|at| distance(at) < MOST_PIXELS)
            .ok_or_else(|| format!("no point of `{}` is at ({}, {})", line.image, line.x, line.y))
    }

    fn require_all(
        &self,
        path: &Path,
        texts: &[Vec<Option<String>>],
    ) -> Result<(), EvaluationError> {
        let missing = texts.iter().enumerate().find_map(|(image, texts)| {
            texts.iter().position(Option::is_none).map(|point| (image, point))
        });
        let Some((image, point)) = missing else { return Ok(()) };
        let PixelXy { x, y } = self.pixel_of(image, point);
        Err(EvaluationError::MissingTexts {
            path: path.to_owned(),
            set: self.name.clone(),
            given: texts.iter().flatten().flatten().count(),
            n_points: self.n_points(),
            missing: format!("({x:.1}, {y:.1}) of `{}`", self.images[image].name),
        })
    }

    fn pixel_of(&self, image: usize, point: usize) -> PixelXy {
        let image = &self.images[image];
        image.image.size().pixel_from_unit(image.points[point].point)
    }

    /// Texts about every point, in the order of the points, as [`read_texts`](Self::read_texts)
    /// reads them.
    pub(super) fn text_lines<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> String {
        let of_image =
            |index: usize| (0..self.images[index].points.len()).map(move |at| (index, at));
        let places = (0..self.images.len()).flat_map(of_image);
        let mut lines = String::new();
        for ((image, point), text) in places.zip(texts) {
            let PixelXy { x, y } = self.pixel_of(image, point);
            let image = self.images[image].name.clone();
            let line = TextLine { image, x, y, text: text.to_owned() };
            lines += &serde_json::to_string(&line).expect("text and finite numbers have a form");
            lines.push('\n');
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use tp_core::{Seed, Style};

    use super::*;
    use crate::recipe::Scenes;

    fn set() -> EvalSet {
        EvalSet::drawn("scenes", &Scenes::default(), 2, 2, Style::Terse, Seed(5))
    }

    #[test]
    fn what_is_written_is_read_back_in_any_order() {
        let mut set = set();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.jsonl");
        let texts: Vec<String> = (0..set.n_points()).map(|n| format!("text \"{n}\"")).collect();
        let lines = set.text_lines(texts.iter().map(String::as_str));
        let reversed: Vec<&str> = lines.lines().rev().collect();
        std::fs::write(&path, format!("\n{}\n\n", reversed.join("\n"))).unwrap();
        set.read_texts(&path).unwrap();
        let read: Vec<&str> = set.points().filter_map(|(_, point)| point.text.as_deref()).collect();
        assert_eq!(read, texts);
    }

    #[test]
    fn wrong_lines_are_named() {
        let mut set = set();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.jsonl");
        let lines = set.text_lines(vec!["a"; set.n_points()]);
        let first = lines.lines().next().unwrap();
        let name = set.images[0].name.clone();
        for (text, problem) in [
            ("{}".to_owned(), "line 1: not {\"image\""),
            (format!("{lines}[1]"), "line 5: not {\"image\""),
            (first.replace("\"a\"", "3"), "line 1: not {\"image\""),
            (first.replace(&name, "other.jpg"), "contains no image `other.jpg`"),
            (first.replace("\"x\":", "\"x\":1e9,\"z\":"), "line 1: not {\"image\""),
            (first.replace("\"x\":", "\"x\":1"), "no point of"),
            (first.replace("\"a\"", "\" \""), "line 1: the text is empty"),
            (format!("{first}\n{first}"), "line 2: a second text"),
            (first.to_owned(), "has texts for 1 of the 4 points"),
            (String::new(), "has texts for 0 of the 4 points"),
        ] {
            std::fs::write(&path, &text).unwrap();
            let error = set.read_texts(&path).unwrap_err().to_string();
            assert!(error.contains("texts.jsonl") && error.contains(problem), "{text}: {error}");
            assert!(!error.contains('\n'), "{error}");
            assert!(set.points().all(|(_, point)| point.text.is_none()));
        }
    }
}
