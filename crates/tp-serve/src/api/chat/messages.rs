//! The image and the point in the messages of a conversation.

use axum::body::Bytes;
use serde::Deserialize;
use utoipa::ToSchema;

use super::named_point::NamedPoint;
use crate::{memory::Reserved, problem::Problem, upload::decode_file};

/// A message.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Message {
    /// `user`, `assistant` or `system`; only users' are answered.
    #[schema(example = "user")]
    role: String,
    /// A text, or parts.
    #[serde(default)]
    content: Option<Content>,
}

/// What a message holds.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Content {
    /// A text.
    Text(String),
    /// Texts and images.
    Parts(Vec<Part>),
}

/// A part of a message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    /// A text.
    Text {
        /// The text.
        #[schema(example = "What is at <point x=\"300\" y=\"130\"/>?")]
        text: String,
    },
    /// An image.
    ImageUrl {
        /// Where it is.
        image_url: ImageUrl,
    },
}

/// Where an image is.
#[derive(Debug, Deserialize, ToSchema)]
struct ImageUrl {
    /// A data: URL; nothing is fetched from elsewhere.
    #[schema(example = "data:image/jpeg;base64,…")]
    url: String,
}

/// The last image of a user, and the point in the last text of a user that names one.
///
/// # Errors
///
/// A problem that says what is missing.
pub(super) fn image_and_point(
    messages: &[Message],
    memory: &mut Reserved,
) -> Result<(Bytes, NamedPoint), Problem> {
    let of_users = || messages.iter().rev().filter(|message| message.role == "user");
    let url = of_users().find_map(Message::image).ok_or_else(|| {
        Problem::unusable(
            "no user message has an image: add a part {\"type\": \"image_url\", \"image_url\": {\"url\": \"data:image/jpeg;base64,…\"}}",
        )
    })?;
    if !url.starts_with("data:") {
        return Err(Problem::unusable(
            "the image must be a data: URL: this server fetches nothing",
        ));
    }
    let point = of_users().find_map(|message| NamedPoint::in_text(&message.text()));
    let point = point.ok_or_else(|| {
        Problem::unusable(
            "no user message names a point: write <point x=\"120\" y=\"85\"/> in pixels, <point x=\"31.5%\" y=\"40%\"/>, or {\"x\": 120, \"y\": 85}",
        )
    })?;
    Ok((decode_file(url, memory)?, point))
}

impl Message {
    /// The last image.
    fn image(&self) -> Option<&str> {
        let Some(Content::Parts(parts)) = &self.content else { return None };
        parts.iter().rev().find_map(|part| match part {
            Part::ImageUrl { image_url } => Some(image_url.url.as_str()),
            Part::Text { .. } => None,
        })
    }

    /// All texts.
    fn text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => {
                let texts = parts.iter().filter_map(|part| match part {
                    Part::Text { text } => Some(text.as_str()),
                    Part::ImageUrl { .. } => None,
                });
                texts.collect::<Vec<_>>().join("\n")
            }
        }
    }
}
