//! The text of an answer: the description alone, or a JSON object with it and the names.

use serde_json::{Map, Value};
use talking_points::{core::Description, descriptor::UNKNOWN_OBJECT};

use crate::problem::Problem;

/// The members of an object that was asked for without a schema.
const DEFAULT_MEMBERS: [&str; 4] = ["object", "part", "colour", "description"];

/// The text of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ReplyFormat {
    /// The description.
    Text,
    /// A JSON object with strings of these names.
    Json(Vec<String>),
}

impl ReplyFormat {
    /// The format that a request's `response_format` asks for.
    ///
    /// # Errors
    ///
    /// A problem if it is not an object of strings.
    pub(super) fn of(response_format: Option<&Value>) -> Result<Self, Problem> {
        let Some(format) = response_format else { return Ok(Self::Text) };
        match format["type"].as_str() {
            Some("text") => Ok(Self::Text),
            Some("json_object") => Ok(Self::Json(DEFAULT_MEMBERS.map(str::to_owned).to_vec())),
            Some("json_schema") => {
                let properties = format["json_schema"]["schema"]["properties"].as_object();
                let properties = properties.filter(|properties| {
                    properties.values().all(|property| property["type"] == "string")
                });
                let names = properties.map(|properties| properties.keys().cloned().collect());
                names.map(Self::Json).ok_or_else(|| {
                    Problem::unusable(
                        "the schema of `response_format` must be an object whose properties are strings",
                    )
                })
            }
            _ => {
                Err(Problem::unusable("`response_format` must be text, json_object or json_schema"))
            }
        }
    }

    /// The text of an answer with this description.
    pub(super) fn written(&self, description: &Description) -> String {
        match self {
            Self::Text => description.text.clone(),
            Self::Json(names) => {
                let members = names
                    .iter()
                    .map(|name| (name.clone(), Value::String(member(name, description))));
                Value::Object(members.collect::<Map<_, _>>()).to_string()
            }
        }
    }
}

/// The string of a member: what the model takes the point for, or its description; empty for what it
/// does not know.
fn member(name: &str, description: &Description) -> String {
    let names = description.name.as_ref();
    match name {
        "object" => names
            .and_then(|names| names.object.clone())
            .unwrap_or_else(|| UNKNOWN_OBJECT.to_owned()),
        "part" => names.and_then(|names| names.part.clone()).unwrap_or_default(),
        "colour" | "color" => names.and_then(|names| names.colour.clone()).unwrap_or_default(),
        "description" | "context" | "detail" | "point" | "answer" => description.text.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use talking_points::core::PointName;

    use super::*;

    #[test]
    fn schema_is_filled_with_what_is_known() {
        let description = Description {
            text: "A horse.".to_owned(),
            tokens: 4,
            log_prob: -1.0,
            name: Some(PointName {
                object: Some("horse".to_owned()),
                object_probability: 0.9,
                part: None,
                part_probability: 0.1,
                colour: Some("brown".to_owned()),
            }),
        };
        let string = json!({"type": "string"});
        let format = json!({"type": "json_schema", "json_schema": {"schema": {
            "type": "object",
            "properties": {"object": string, "part": string, "context": string, "texture": string},
        }}});
        let written = ReplyFormat::of(Some(&format)).unwrap().written(&description);
        assert_eq!(
            serde_json::from_str::<Value>(&written).unwrap(),
            json!({"object": "horse", "part": "", "context": "A horse.", "texture": ""})
        );
        let written =
            ReplyFormat::of(Some(&json!({"type": "json_object"}))).unwrap().written(&description);
        assert!(written.contains("\"colour\":\"brown\""));
        assert_eq!(ReplyFormat::of(None).unwrap().written(&description), "A horse.");
        for wrong in [
            json!({"type": "xml"}),
            json!({"type": "json_schema"}),
            json!({"type": "json_schema", "json_schema": {"schema": {"properties": {"n": {"type": "number"}}}}}),
        ] {
            assert!(ReplyFormat::of(Some(&wrong)).is_err(), "{wrong}");
        }
    }
}
