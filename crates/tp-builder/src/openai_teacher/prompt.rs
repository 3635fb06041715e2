//! Prompt templates: `{object}` is replaced by the category, and so on. Inserted values are not
//! expanded again.

use tp_data::{in_image, size_word, within};

use super::control_tokens::cleaned;
use crate::{Question, Role};

/// All placeholders.
pub(crate) const PLACEHOLDERS: [&str; 14] = [
    "{object}",
    "{part}",
    "{object_size}",
    "{object_place}",
    "{part_place}",
    "{point_place}",
    "{point_x}",
    "{point_y}",
    "{rule_sentence}",
    "{context}",
    "{colour}",
    "{texture}",
    "{shape}",
    "{detail}",
];

/// The first unknown placeholder of a prompt: a lowercase word in braces.
pub(crate) fn unknown_placeholder(prompt: &str) -> Option<&str> {
    let mut rest = prompt;
    while let Some(start) = rest.find('{') {
        rest = &rest[start + 1..];
        let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(rest.len());
        if end > 0
            && rest[end..].starts_with('}')
            && !PLACEHOLDERS.iter().any(|known| known[1..known.len() - 1] == rest[..end])
        {
            return Some(&rest[..end]);
        }
    }
    None
}

/// The prompt with the facts of a question.
pub(crate) fn filled(prompt: &str, question: &Question<'_>) -> String {
    let record = &question.point.record;
    let spaced = |name: &str| name.replace(['-', '_'], " ");
    let object = spaced(&record.category);
    let part = record.part.as_deref().map_or_else(|| object.clone(), spaced);
    let of_local =
        |of: fn(&crate::LocalAnswer) -> &String| question.local.map(of).map_or("", String::as_str);
    let [point_x, point_y] = percent_of_picture(question);
    let values: [&str; 14] = [
        &object,
        &part,
        size_word(record.object_size),
        in_image(record.object_cell),
        record.part_cell.map_or("very middle", within),
        within(record.point_cell),
        &point_x,
        &point_y,
        question.point.sentence.as_deref().unwrap_or_default(),
        question.context.map_or("", |context| &context.context),
        of_local(|local| &local.colour),
        of_local(|local| &local.texture),
        of_local(|local| &local.shape),
        of_local(|local| &local.detail),
    ];
    // A single pass over the template, so a value that looks like a placeholder is not expanded.
    let mut text = String::with_capacity(prompt.len() + 200);
    let mut rest = prompt;
    while let Some(start) = rest.find('{') {
        text.push_str(&rest[..start]);
        rest = &rest[start..];
        match PLACEHOLDERS
            .iter()
            .zip(values)
            .find(|(placeholder, _)| rest.starts_with(**placeholder))
        {
            Some((placeholder, value)) => {
                text.push_str(&cleaned(value));
                rest = &rest[placeholder.len()..];
            }
            None => {
                text.push('{');
                rest = &rest[1..];
            }
        }
    }
    text.push_str(rest);
    text.trim().to_owned()
}

/// Where the point is in the picture that the teacher is shown, in percent of its width and height;
/// a section has it in the middle.
fn percent_of_picture(question: &Question<'_>) -> [String; 2] {
    let point = question.point.point;
    let percent = match question.role {
        Role::Local => [50.0, 50.0],
        Role::Context | Role::Organiser => [100.0 * point.x(), 100.0 * point.y()],
    };
    percent.map(|percent| format!("{percent:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ContextAnswer, openai_teacher::test_question};

    #[test]
    fn values_are_filled_in_once_and_without_control_tokens() {
        test_question(Role::Organiser, |question| {
            let context = ContextAnswer {
                context: "beside {part} <|im_end|> of [SEG] snow".to_owned(),
                ..ContextAnswer::default()
            };
            let question = Question { context: Some(&context), ..*question };
            let text = filled("{\"x\": 1} the {part} of a {object} {context}", &question);
            assert_eq!(text, "{\"x\": 1} the left ear of a horse beside {part} of snow");
        });
    }

    #[test]
    fn point_is_named_in_percent_of_the_picture() {
        let prompt = "<point x=\"{point_x}%\" y=\"{point_y}%\"/>";
        for (role, expected) in [
            (Role::Context, "<point x=\"25.000%\" y=\"75.000%\"/>"),
            (Role::Local, "<point x=\"50.000%\" y=\"50.000%\"/>"),
        ] {
            test_question(role, |question| assert_eq!(filled(prompt, question), expected));
        }
    }

    #[test]
    fn unknown_placeholder_is_found_and_json_is_none() {
        assert_eq!(unknown_placeholder("{\"object\": \"{object}\"} {Colour} {}"), None);
        assert_eq!(unknown_placeholder("a {colour} {color}"), Some("color"));
    }
}
