//! The prompt that asks for a description: image first, then one sentence with the point's token in
//! it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tp_core::{PointName, Style};
use tp_language::{SpecialToken, Tokenizer};

use crate::{
    told_names::{place_of, with_names, with_placeholders},
    written_text::WrittenText,
};

/// In whose words a point is asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wording {
    /// Those that the adapters of Talking Points learn from.
    #[default]
    TalkingPoints,
    /// The published base's for points, "There are some marks: Mark 1 `<mark>`." (OMG-LLaVA,
    /// `mdpv_points_process.py`): for the base without adapters of ours.
    BaseMark,
    /// The published base's for regions, "region1 `<region>`" (`region_caption_process.py`).
    BaseRegion,
}

impl Wording {
    /// What stands before and after the point's token when a style is asked for.
    ///
    /// The sentence that the paper used is not published; ours follow the base model's region
    /// prompts.
    fn request(self, style: Style) -> [&'static str; 2] {
        match (self, style) {
            (Self::TalkingPoints, Style::CoarseToFine) => ["\nDescribe ", " in detail."],
            (Self::TalkingPoints, Style::Terse) => ["\nDescribe ", " briefly."],
            (Self::TalkingPoints, Style::Colloquial) => ["\nTell me about ", "."],
            (Self::TalkingPoints, Style::Template) => ["\nName ", "."],
            (Self::TalkingPoints, Style::Spoken) => ["\nPoint out ", "."],
            (Self::BaseMark, Style::CoarseToFine) => [
                "\nThere are some marks: Mark 1 ",
                ".\nPlease give a detailed description of Mark 1.",
            ],
            (Self::BaseMark, _) => {
                ["\nThere are some marks: Mark 1 ", ".\nPlease give a brief description of Mark 1."]
            }
            (Self::BaseRegion, Style::CoarseToFine) => [
                "\nCould you describe the region shown as region1 ",
                " in the picture in great detail?",
            ],
            (Self::BaseRegion, _) => {
                ["\nWhat can you tell me about the region indicated by region1 ", " in the image?"]
            }
        }
    }

    /// The token that the point's embedding stands for.
    fn placeholder(self) -> SpecialToken {
        match self {
            Self::TalkingPoints | Self::BaseMark => SpecialToken::Mark,
            Self::BaseRegion => SpecialToken::Region,
        }
    }
}

/// The token ids of every piece of the conversation around image and point.
#[derive(Clone, Debug)]
pub struct DescribeConversation {
    tokenizer: Arc<Tokenizer>,
    wording: Wording,
    head: Vec<u32>,
    end: u32,
}

/// What follows the image.
#[derive(Clone, Debug)]
pub struct Request {
    /// Token ids, the placeholder of the point included.
    pub ids: Vec<u32>,
    /// Where in `ids` the point's token goes.
    pub mark: usize,
}

impl DescribeConversation {
    /// Tokenizes what stands before the image once.
    #[must_use]
    pub fn new(tokenizer: Arc<Tokenizer>) -> Self {
        let mut head =
            vec![tokenizer.special(SpecialToken::Bos), tokenizer.special(SpecialToken::ImStart)];
        head.extend(tokenizer.encode_text("user\n"));
        let end = tokenizer.special(SpecialToken::ImEnd);
        Self { wording: Wording::default(), head, end, tokenizer }
    }

    /// The same conversation in other words.
    #[must_use]
    pub fn with_wording(mut self, wording: Wording) -> Self {
        self.wording = wording;
        self
    }

    /// What stands before the image.
    #[must_use]
    pub fn head(&self) -> &[u32] {
        &self.head
    }

    /// What follows the image when a description in this style is asked for.
    ///
    /// A model that names before it writes is told which names there are, by placeholders:
    /// "Describe … on the ~ # of the @ in detail." Without names the request is the base model's.
    #[must_use]
    pub fn request(&self, style: Style, name: Option<&PointName>) -> Request {
        let special = |token| self.tokenizer.special(token);
        let [before, after] = self.wording.request(style);
        let mut ids = self.tokenizer.encode_text(before);
        let mark = ids.len();
        ids.push(special(self.wording.placeholder()));
        ids.extend(
            self.tokenizer
                .encode_text(&format!("{}{after}", name.map(place_of).unwrap_or_default())),
        );
        ids.push(special(SpecialToken::ImEnd));
        ids.extend(self.tokenizer.encode_text("\n"));
        ids.push(special(SpecialToken::ImStart));
        ids.extend(self.tokenizer.encode_text("assistant\n"));
        Request { ids, mark }
    }

    /// The token ids of a description, as the language model writes it: with placeholders for the
    /// names that are told.
    #[must_use]
    pub fn answer(&self, text: &str, name: Option<&PointName>) -> Vec<u32> {
        match name {
            Some(name) => self.tokenizer.encode_text(&with_placeholders(text, name)),
            None => self.tokenizer.encode_text(text),
        }
    }

    /// What was written, with the names that were told.
    #[must_use]
    pub fn text_of(&self, ids: &[u32], name: Option<&PointName>) -> String {
        let text = self.tokenizer.decode(ids);
        name.map_or_else(|| text.clone(), |name| with_names(&text, name))
    }

    /// What is being written, with the names that were told, piece by piece.
    pub(crate) fn written<'a>(&'a self, name: Option<&'a PointName>) -> WrittenText<'a> {
        WrittenText::new(self.tokenizer.text(), name)
    }

    /// The token that ends a description: what is taught.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.end
    }

    /// The tokens at which writing stops: the end of a turn and, as in the base model's own
    /// programs, the end of a text.
    #[must_use]
    pub fn stops(&self) -> [u32; 2] {
        [self.end, self.tokenizer.special(SpecialToken::Eos)]
    }
}

#[cfg(test)]
mod tests {
    use tp_language::train_bpe;

    use super::*;

    #[test]
    fn base_is_asked_as_it_was_trained() {
        let text = "\nThere are some marks: Mark 1 .\nPlease give a detailed description of Mark 1. user assistant";
        let tokenizer = Arc::new(train_bpe([text; 3], 400).unwrap());
        let special = |token| tokenizer.special(token);
        let [end, start] = [special(SpecialToken::ImEnd), special(SpecialToken::ImStart)];
        for (wording, before, placeholder, after) in [
            (
                Wording::BaseMark,
                "\nThere are some marks: Mark 1 ",
                SpecialToken::Mark,
                ".\nPlease give a detailed description of Mark 1.",
            ),
            (
                Wording::BaseRegion,
                "\nCould you describe the region shown as region1 ",
                SpecialToken::Region,
                " in the picture in great detail?",
            ),
        ] {
            let conversation = DescribeConversation::new(tokenizer.clone()).with_wording(wording);
            let request = conversation.request(Style::CoarseToFine, None);
            let expected = [
                &tokenizer.encode_text(before)[..],
                &[special(placeholder)],
                &tokenizer.encode_text(after),
                &[end],
                &tokenizer.encode_text("\n"),
                &[start],
                &tokenizer.encode_text("assistant\n"),
            ]
            .concat();
            assert_eq!(request.ids, expected);
            assert_eq!(request.ids[request.mark], special(placeholder));
            assert_eq!(conversation.stops(), [end, special(SpecialToken::Eos)]);
        }
    }

    #[test]
    fn names_pass_through_the_language_model_as_placeholders() {
        let texts = ["\nDescribe on the in detail. A large ; the point is on its"; 9];
        let conversation = DescribeConversation::new(Arc::new(train_bpe(texts, 400).unwrap()));
        let name = PointName {
            object: Some("mug".into()),
            object_probability: 0.9,
            part: Some("handle".into()),
            part_probability: 0.4,
            colour: None,
        };
        let asked = |name: Option<&PointName>| {
            let request = conversation.request(Style::CoarseToFine, name);
            assert_eq!(
                request.ids[request.mark],
                conversation.tokenizer.special(SpecialToken::Mark)
            );
            request.ids[request.mark + 1..].to_vec()
        };
        assert!(
            asked(Some(&name))
                .starts_with(&conversation.tokenizer.encode_text(" on the # of the @ in detail."))
        );
        assert!(asked(None).starts_with(&conversation.tokenizer.encode_text(" in detail.")));
        let text = "A large mug; the point is on its handle.";
        let ids = conversation.answer(text, Some(&name));
        assert_eq!(conversation.tokenizer.decode(&ids), "A large @; the point is on its #.");
        assert_eq!(conversation.text_of(&ids, Some(&name)), text);
        assert_eq!(conversation.text_of(&conversation.answer(text, None), None), text);
    }
}
