//! Image captioning, one of the objectives that align the vision encoder with the language model.

use burn::tensor::Tensor;
use tp_language::{Context, Decoder, SpecialToken, Tokenizer, token_loss};

/// The prompt of the captioning task, and its loss.
pub(crate) struct CaptionConversation {
    request: Vec<u32>,
    end: u32,
}

impl CaptionConversation {
    pub(crate) fn new(tokenizer: &Tokenizer) -> Self {
        let mut request = tokenizer.encode_text("\nDescribe the image.");
        request.push(tokenizer.special(SpecialToken::ImEnd));
        request.extend(tokenizer.encode_text("\n"));
        request.push(tokenizer.special(SpecialToken::ImStart));
        request.extend(tokenizer.encode_text("assistant\n"));
        Self { request, end: tokenizer.special(SpecialToken::ImEnd) }
    }

    /// The mean cross-entropy of the caption tokens, one caption per image of the context.
    pub(crate) fn loss(
        &self,
        decoder: &Decoder,
        context: &Context,
        captions: &[Vec<u32>],
    ) -> Tensor<1> {
        let rows: Vec<Vec<u32>> = captions
            .iter()
            .map(|caption| [&self.request[..], caption, &[self.end]].concat())
            .collect();
        let hidden = decoder.forward(decoder.embed_rows(&rows), Some(context), None);
        let answers: Vec<_> =
            rows.iter().map(|row| self.request.len() - 1..row.len() - 1).collect();
        token_loss(decoder, hidden, &rows, &answers, None)
    }
}
