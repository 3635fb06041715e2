//! The language model, with and without an adapter.

use burn::tensor::{Device, Int, Tensor, TensorData};
use tp_core::Sampling;
use tp_language::{
    Decoder, GenerateOptions, LoraAdapter, Prompts, generate, load_adapter, load_hugging_face,
};
use tp_weights::TensorFloat;

use crate::{
    ParityError,
    fixture::{ANY, Fixture},
    report::Outcome,
};

/// Logits, hidden states and greedy tokens of left-padded rows.
pub(crate) fn language(fixture: &Fixture, device: &Device) -> Result<Outcome, ParityError> {
    let model = fixture.folder().join(fixture.setting::<String>("model")?);
    let decoder = load_hugging_face(&model, TensorFloat::F32, device)?;
    let adapter = match fixture.setting::<Option<String>>("adapter")? {
        Some(adapter) => {
            Some(load_adapter(&fixture.folder().join(adapter), decoder.config(), device)?)
        }
        None => None,
    };
    let rows = Rows::read(fixture, &decoder, device)?;
    let hidden = decoder.forward(rows.embeddings.clone(), None, adapter.as_ref());
    let logits = decoder.logits(hidden.clone(), adapter.as_ref());
    let mut outcome = Outcome::default()
        .with("hidden", rows.as_published(hidden))
        .with("logits", rows.as_published(logits));
    if adapter.is_some() {
        let logits = decoder.logits(decoder.forward(rows.embeddings.clone(), None, None), None);
        outcome = outcome.with("logits_without_adapter", rows.as_published(logits));
    }
    if fixture.expected_names().any(|name| name == "greedy") {
        outcome = outcome.with_data("greedy", rows.greedy(fixture, &decoder, adapter.as_ref())?);
    }
    Ok(outcome)
}

/// The rows of a fixture: padded on the left there, on the right here, because our positions count
/// from a row's first token.
struct Rows {
    /// `[row, token, hidden]`, right-padded.
    embeddings: Tensor<3>,
    lengths: Vec<usize>,
    tokens: usize,
}

impl Rows {
    fn read(fixture: &Fixture, decoder: &Decoder, device: &Device) -> Result<Self, ParityError> {
        let mask_shape = fixture.input_shape("attention_mask")?;
        let mask = fixture.integers("attention_mask", &[ANY, ANY])?;
        let [n_rows, tokens] = [mask_shape[0], mask_shape[1]];
        let lengths: Vec<usize> = mask
            .chunks_exact(tokens)
            .map(|row| row.iter().filter(|&&counts| counts != 0).count())
            .collect();
        for (row, &length) in mask.chunks_exact(tokens).zip(&lengths) {
            if length == 0 || row[..tokens - length].iter().any(|&counts| counts != 0) {
                return Err(fixture.unusable(
                    "`attention_mask` must be 0 at the left and 1 at the right of every row",
                ));
            }
        }
        let config = decoder.config();
        let embeddings = if fixture.has_input("inputs_embeds") {
            fixture.input("inputs_embeds", [n_rows, tokens, config.hidden_size], device)?
        } else {
            let ids = fixture.integers("input_ids", &[n_rows, tokens])?;
            if ids.iter().any(|id| !(0..config.vocab_size as i64).contains(id)) {
                return Err(
                    fixture.unusable("`input_ids` holds an id that is not in the vocabulary")
                );
            }
            decoder
                .embed(Tensor::<2, Int>::from_data(TensorData::new(ids, [n_rows, tokens]), device))
        };
        let rows = Self { embeddings: embeddings.clone(), lengths, tokens };
        Ok(Self { embeddings: rows.shifted(embeddings, |length| tokens - length), ..rows })
    }

    /// Every row turned so that the token at `first(length)` comes first.
    fn shifted(&self, rows: Tensor<3>, first: impl Fn(usize) -> usize) -> Tensor<3> {
        let turned = self.lengths.iter().enumerate().map(|(row, &length)| {
            let (row, first) = (rows.clone().narrow(0, row, 1), first(length));
            if first == 0 {
                return row;
            }
            Tensor::cat(
                vec![row.clone().narrow(1, first, self.tokens - first), row.narrow(1, 0, first)],
                1,
            )
        });
        Tensor::cat(turned.collect(), 0)
    }

    /// Left-padded with zeros, as the peers' outputs are stored.
    fn as_published(&self, rows: Tensor<3>) -> Tensor<3> {
        let device = rows.device();
        let counts: Vec<f32> = self
            .lengths
            .iter()
            .flat_map(|&length| {
                (0..self.tokens).map(move |token| f32::from(u8::from(token < length)))
            })
            .collect();
        let counts = Tensor::<3>::from_data(
            TensorData::new(counts, [self.lengths.len(), self.tokens, 1]),
            &device,
        );
        self.shifted(rows * counts, |length| length % self.tokens)
    }

    /// The tokens that follow, `[row, token]`.
    fn greedy(
        &self,
        fixture: &Fixture,
        decoder: &Decoder,
        adapter: Option<&LoraAdapter>,
    ) -> Result<TensorData, ParityError> {
        let n_new = fixture.expected("greedy")?.shape()[1];
        let prompts = Prompts {
            embeddings: self.embeddings.clone(),
            lengths: self.lengths.clone(),
            groups: vec![0; self.lengths.len()],
            history: Vec::new(),
        };
        let options = GenerateOptions {
            max_new_tokens: n_new,
            sampling: Sampling::default(),
            stop: Vec::new(),
        };
        let seeds = vec![0; self.lengths.len()];
        let completions = generate(decoder, None, prompts, adapter, &options, &seeds)?;
        let ids: Vec<i64> = completions
            .iter()
            .flat_map(|completion| completion.ids.iter().map(|&id| i64::from(id)))
            .collect();
        Ok(TensorData::new(ids, [self.lengths.len(), n_new]))
    }
}
