//! Label Studio's regions: keypoints and texts that are asked about, and those that answer.
//!
//! Label Studio's coordinates are percent of the image's width and height.

use serde_json::{Value, json};
use talking_points::core::{ImageHw, Located};

use super::{Labeled, Task, label_config::LabelConfig};
use crate::problem::Problem;

/// The width of a keypoint that is drawn, in percent of the image's.
const KEYPOINT_WIDTH: f64 = 0.5;

/// What a task asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Asked {
    /// Descriptions of keypoints.
    Descriptions(Vec<Keypoint>),
    /// The points of texts.
    Points(Vec<String>),
    /// Nothing: the task has neither.
    Nothing,
}

/// A keypoint of an annotator.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Keypoint {
    /// The name of the region.
    id: String,
    /// In percent of the image's width.
    pub(super) x: f64,
    /// In percent of the image's height.
    pub(super) y: f64,
}

impl LabelConfig {
    /// What a task asks for: what the annotator has just done, if that is known, and else what is in
    /// its annotations and its data. A keypoint asks for its description, a text for its point.
    ///
    /// # Errors
    ///
    /// A problem if the configuration has no place for the answer.
    pub(super) fn asked(&self, task: &Task, context: Option<&Labeled>) -> Result<Asked, Problem> {
        let labeled = context.or(task.annotations.last());
        let regions = labeled.map(|labeled| labeled.result.as_slice()).unwrap_or_default();
        let keypoints: Vec<Keypoint> = regions.iter().filter_map(keypoint).collect();
        if !keypoints.is_empty() {
            if self.text_area.is_none() {
                return Err(Problem::unusable(
                    "the labeling configuration has no <TextArea> for the image, in which a description could stand",
                ));
            }
            return Ok(Asked::Descriptions(keypoints));
        }
        let mut texts: Vec<String> = regions.iter().flat_map(texts).collect();
        if texts.is_empty() {
            let of_data = self.text_field.as_ref().and_then(|field| task.data.get(field)?.as_str());
            texts.extend(of_data.map(str::to_owned));
        }
        texts.retain(|text| !text.trim().is_empty());
        if texts.is_empty() {
            return Ok(Asked::Nothing);
        }
        if self.keypoint.is_none() {
            return Err(Problem::unusable(
                "the labeling configuration has no <KeyPoint> for the image, which could mark what a text means",
            ));
        }
        Ok(Asked::Points(texts))
    }

    /// The description of a keypoint.
    pub(super) fn text_region(&self, keypoint: &Keypoint, text: String, size: ImageHw) -> Value {
        let (name, is_per_region) = self
            .text_area
            .as_ref()
            .map(|area| (area.name.as_str(), area.is_per_region))
            .unwrap_or_default();
        let mut value = json!({"text": [text]});
        let mut id = format!("{}-description", keypoint.id);
        if is_per_region {
            // The text belongs to the region, and repeats its place.
            value["x"] = keypoint.x.into();
            value["y"] = keypoint.y.into();
            value["width"] = KEYPOINT_WIDTH.into();
            id.clone_from(&keypoint.id);
        }
        self.region(&id, name, "textarea", value, size)
    }

    /// The keypoint of a text.
    pub(super) fn keypoint_region(
        &self,
        task: &Task,
        n: usize,
        located: Located,
        size: ImageHw,
    ) -> Value {
        let control = self.keypoint.as_ref();
        let mut value = json!({
            "x": 100.0 * located.point.x(),
            "y": 100.0 * located.point.y(),
            "width": KEYPOINT_WIDTH,
        });
        let mut kind = "keypoint";
        if let Some(label) = control.and_then(|control| control.label.as_ref()) {
            kind = "keypointlabels";
            value["keypointlabels"] = json!([label]);
        }
        let id = format!("point-{}-{n}", task.id.to_string().trim_matches('"'));
        let name = control.map(|control| control.name.as_str()).unwrap_or_default();
        let mut region = self.region(&id, name, kind, value, size);
        if let Some(confidence) = located.confidence {
            region["score"] = confidence.into();
        }
        region
    }

    fn region(&self, id: &str, from: &str, kind: &str, value: Value, size: ImageHw) -> Value {
        json!({
            "id": id,
            "from_name": from,
            "to_name": self.image,
            "type": kind,
            "value": value,
            "original_width": size.width(),
            "original_height": size.height(),
            "image_rotation": 0,
        })
    }
}

fn keypoint(region: &Value) -> Option<Keypoint> {
    let kind = region["type"].as_str()?;
    let is_keypoint = matches!(kind, "keypoint" | "keypointlabels");
    let number = |name: &str| region["value"][name].as_f64();
    is_keypoint.then_some(())?;
    let id = region["id"].as_str().unwrap_or("point").to_owned();
    Some(Keypoint { id, x: number("x")?, y: number("y")? })
}

fn texts(region: &Value) -> Vec<String> {
    if region["type"] != "textarea" {
        return Vec::new();
    }
    match &region["value"]["text"] {
        Value::String(text) => vec![text.clone()],
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}
