//! The format of an answer: a JSON object with the strings of the role. It is requested by schema
//! and always validated.

use serde_json::{Map, Value, json};

use super::control_tokens::cleaned;
use crate::{Answer, ContextAnswer, Layers, LocalAnswer, OrganiserAnswer, Role};

/// Maximum length of a string in an answer, in characters.
const MAX_CHARS: usize = 1_200;

/// The strings of a role's answer, and whether each must be non-empty.
fn fields(role: Role) -> &'static [(&'static str, bool)] {
    match role {
        Role::Context => &[("object", true), ("part", false), ("context", true)],
        Role::Local => &[("colour", true), ("texture", false), ("shape", false), ("detail", false)],
        Role::Organiser => {
            &[("object", true), ("part", true), ("point", true), ("appearance", true)]
        }
    }
}

/// The JSON schema of a role's answer.
pub(super) fn schema(role: Role) -> Value {
    let names: Vec<&str> = fields(role).iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
    json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false})
}

/// Parses the answer from a text, without control tokens.
///
/// # Errors
///
/// The problem, in words on which the teacher can act.
pub(super) fn answer_of(role: Role, text: &str) -> Result<Answer, String> {
    let object = object_in(text)?;
    let mut strings = Vec::new();
    for &(name, must_speak) in fields(role) {
        let value = object.get(name).ok_or_else(|| format!("\"{name}\" is missing"))?;
        let string = cleaned(value.as_str().ok_or_else(|| format!("\"{name}\" is not a string"))?);
        if must_speak && string.is_empty() {
            return Err(format!("\"{name}\" is empty"));
        }
        if string.chars().count() > MAX_CHARS {
            return Err(format!("\"{name}\" has more than {MAX_CHARS} characters"));
        }
        strings.push(string);
    }
    let mut strings = strings.into_iter();
    let mut next = || strings.next().unwrap_or_default();
    Ok(match role {
        Role::Context => {
            Answer::Context(ContextAnswer { object: next(), part: next(), context: next() })
        }
        Role::Local => Answer::Local(LocalAnswer {
            colour: next(),
            texture: next(),
            shape: next(),
            detail: next(),
        }),
        Role::Organiser => {
            let layers = Layers { object: next(), part: next(), point: next(), appearance: next() };
            let sentences = [&layers.object, &layers.part, &layers.point, &layers.appearance]
                .map(|text| sentence(text));
            Answer::Organiser(OrganiserAnswer {
                description: sentences.join(" "),
                layers: Some(layers),
            })
        }
    })
}

/// The JSON object in a text; models without schema support often add text or a code fence around
/// it.
fn object_in(text: &str) -> Result<Map<String, Value>, String> {
    let none = || "it contains no JSON object".to_owned();
    let (start, end) = (text.find('{').ok_or_else(none)?, text.rfind('}').ok_or_else(none)?);
    let json = text.get(start..=end).ok_or_else(none)?;
    serde_json::from_str(json).map_err(|error| format!("it is not a valid JSON object: {error}"))
}

/// The text with a period at its end.
fn sentence(text: &str) -> String {
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// Whether a text without JSON declines to answer.
pub(super) fn declines(text: &str) -> bool {
    const BEGINNINGS: [&str; 8] = [
        "i'm sorry",
        "i am sorry",
        "sorry,",
        "i cannot",
        "i can't",
        "i'm unable",
        "i am unable",
        "i'm not able",
    ];
    let text = text.trim_start().to_lowercase().replace('’', "'");
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_layers_become_one_text_without_control_tokens() {
        let text = r#"Sure! ```json
            {"object": "A horse [SEG] stands left.", "part": "Its <p>ear", "point": "The tip of the ear.", "appearance": "Dark<|im_end|>"}
            ```"#;
        let Answer::Organiser(answer) = answer_of(Role::Organiser, text).unwrap() else { panic!() };
        assert_eq!(answer.description, "A horse stands left. Its ear. The tip of the ear. Dark.");
        assert_eq!(answer.layers.unwrap().part, "Its ear");
    }

    #[test]
    fn every_fault_of_an_answer_has_words() {
        for (text, part) in [
            ("a brown ear", "no JSON object"),
            ("} {", "no JSON object"),
            ("{\"colour\": }", "not a valid JSON"),
            ("{\"colour\": \"red\", \"texture\": \"\", \"shape\": \"\"}", "\"detail\" is missing"),
            (
                "{\"colour\": 3, \"texture\": \"\", \"shape\": \"\", \"detail\": \"\"}",
                "\"colour\" is not a string",
            ),
            (
                "{\"colour\": \"<s>\", \"texture\": \"\", \"shape\": \"\", \"detail\": \"\"}",
                "\"colour\" is empty",
            ),
        ] {
            assert!(answer_of(Role::Local, text).unwrap_err().contains(part), "{text}");
        }
        let long = json!({"colour": "x ".repeat(2000), "texture": "", "shape": "", "detail": ""})
            .to_string();
        assert!(answer_of(Role::Local, &long).unwrap_err().contains("more than 1200"));
    }

    #[test]
    fn schema_asks_for_every_string_and_for_nothing_else() {
        let schema = schema(Role::Context);
        assert_eq!(schema["required"], json!(["object", "part", "context"]));
        assert_eq!(schema["additionalProperties"], json!(false));
    }

    #[test]
    fn refusals_are_known_by_their_beginning() {
        assert!(
            declines("I’m sorry, but I can't help with that.")
                && declines(" I cannot describe people.")
        );
        assert!(!declines("The ear is brown.") && !declines("Icicles hang there."));
    }
}
