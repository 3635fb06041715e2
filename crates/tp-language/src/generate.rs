//! Prompts become completions, one token at a time for all rows at once.

use std::ops::ControlFlow;

use burn::{
    module::Module,
    tensor::{Int, Tensor, TensorData},
};
use rand_chacha::ChaCha8Rng;
use tp_core::{Sampling, Seed};
use tp_kernels::in_pool;

use crate::{
    Context, Decoder, LanguageError, LoraAdapter, SampledToken, kv_cache::KvCache, sample,
    validate_sampling,
};

/// The most tokens that can be asked for; beyond the places that published models were trained on.
const MAX_NEW_TOKENS: usize = 32_768;

/// The cache begins with room for so many new tokens, and doubles when they are used up.
const FIRST_ROOM: usize = 64;

/// What is to be continued.
#[derive(Clone, Debug)]
pub struct Prompts {
    /// `[prompt, tokens, hidden]`, right-padded.
    pub embeddings: Tensor<3>,
    /// The true number of tokens of each prompt, at least 1.
    pub lengths: Vec<usize>,
    /// Whose context each prompt continues; zeros if there is none.
    pub groups: Vec<usize>,
    /// Tokens that the repetition penalty counts beside those that are written; may be empty.
    pub history: Vec<Vec<u32>>,
}

impl Prompts {
    /// Prompts of tokens alone, of any lengths, without a context.
    #[must_use]
    pub fn of_ids(decoder: &Decoder, rows: &[Vec<u32>]) -> Self {
        Self {
            embeddings: decoder.embed_rows(rows),
            lengths: rows.iter().map(Vec::len).collect(),
            groups: vec![0; rows.len()],
            history: rows.to_vec(),
        }
    }

    /// Prompts of one length, `[groups · rows, tokens, hidden]`, group by group.
    #[must_use]
    pub fn level(embeddings: Tensor<3>, n_groups: usize) -> Self {
        let [rows, tokens, _] = embeddings.dims();
        let groups = (0..rows).map(|row| row * n_groups / rows.max(1)).collect();
        Self { embeddings, lengths: vec![tokens; rows], groups, history: Vec::new() }
    }
}

/// How completions are written.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateOptions {
    /// The most tokens of a completion, the stop token included.
    pub max_new_tokens: usize,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// Tokens that end a completion.
    pub stop: Vec<u32>,
}

/// What was written after one prompt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Completion {
    /// The tokens, without the stop token.
    pub ids: Vec<u32>,
    /// The log-probability of every token in nats, under the model at temperature 1; the stop
    /// token's is the last one if the completion has finished.
    pub log_probs: Vec<f32>,
    /// Whether it ended by itself before the tokens ran out.
    pub finished: bool,
}

/// What a watcher wants after a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NextAction {
    /// More of this row.
    #[default]
    GoOn,
    /// This row is complete.
    EndRow,
}

/// A row that is being written.
struct Row {
    rng: ChaCha8Rng,
    last: u32,
    history: Vec<u32>,
    completion: Completion,
    ended: bool,
}

/// Writes one completion for every prompt.
///
/// # Errors
///
/// As [`generate_watched`].
pub fn generate(
    decoder: &Decoder,
    context: Option<&Context>,
    prompts: Prompts,
    adapter: Option<&LoraAdapter>,
    options: &GenerateOptions,
    seeds: &[u64],
) -> Result<Vec<Completion>, LanguageError> {
    generate_watched(decoder, context, prompts, adapter, options, seeds, |_, _| {
        ControlFlow::Continue(NextAction::GoOn)
    })
}

/// Writes one completion for every prompt, and tells `watch` the row and each token as it comes.
/// Rows that have ended make room for the others; a break ends all of them and gives what was
/// written.
///
/// Each row draws from a generator of its own, which `seeds` starts: its tokens do not depend on
/// its company (up to the rounding of the matrix products). No gradients are recorded, whatever
/// device the model lives on.
///
/// # Errors
///
/// If options, prompts or seeds do not fit, a prompt leaves the model no places, or the model gives
/// logits that are not numbers.
pub fn generate_watched(
    decoder: &Decoder,
    context: Option<&Context>,
    prompts: Prompts,
    adapter: Option<&LoraAdapter>,
    options: &GenerateOptions,
    seeds: &[u64],
    mut watch: impl FnMut(usize, SampledToken) -> ControlFlow<(), NextAction>,
) -> Result<Vec<Completion>, LanguageError> {
    check(decoder, context, &prompts, options, seeds)?;
    let Prompts { embeddings, mut lengths, groups, mut history } = prompts;
    history.resize(groups.len(), Vec::new());
    if groups.is_empty() || options.max_new_tokens == 0 {
        return Ok(vec![Completion::default(); groups.len()]);
    }

    let plain_decoder = (embeddings.is_autodiff()
        || decoder.embed_tokens.weight.val().is_autodiff())
    .then(|| decoder.valid());
    let plain_adapter = adapter.map(Module::valid);
    let (decoder, adapter) = (plain_decoder.as_ref().unwrap_or(decoder), plain_adapter.as_ref());
    let context = context.map(Context::inner);
    let embeddings = if embeddings.is_autodiff() { embeddings.inner() } else { embeddings };
    let device = embeddings.device();

    let row = |(&seed, history)| Row {
        rng: Seed(seed).rng(),
        last: 0,
        history,
        completion: Completion::default(),
        ended: false,
    };
    let mut rows: Vec<Row> = seeds.iter().zip(history).map(row).collect();
    // The row that each line of the running batch writes.
    let mut lines: Vec<usize> = (0..rows.len()).collect();
    let room = embeddings.dims()[1] + options.max_new_tokens.min(FIRST_ROOM);
    let mut cache = KvCache::new(decoder.config(), &groups, room, &device, embeddings.dtype());
    let logits_after = |embeddings, lengths: &[usize], cache: &mut KvCache| {
        in_pool(|| {
            let hidden = decoder.read_on(embeddings, lengths, context.as_ref(), cache, adapter); // [lines, 1, hidden]
            decoder.logits(hidden, adapter).into_data().convert::<f32>()
        })
    };
    let mut next = logits_after(embeddings, &lengths, &mut cache);

    for step in 0..options.max_new_tokens {
        let logits = next.as_slice::<f32>().expect("the data was converted to f32");
        for (&row, logits) in lines.iter().zip(logits.chunks_exact(decoder.config().vocab_size)) {
            let token = rows[row]
                .take(logits, options)
                .ok_or(LanguageError::NotFinite { row, tokens: step })?;
            match watch(row, token) {
                ControlFlow::Continue(NextAction::GoOn) => {}
                ControlFlow::Continue(NextAction::EndRow) => rows[row].end(),
                ControlFlow::Break(()) => return Ok(completions(rows)),
            }
        }
        let writing: Vec<usize> =
            (0..lines.len()).filter(|&line| !rows[lines[line]].ended).collect();
        if writing.is_empty() || step + 1 == options.max_new_tokens {
            break;
        }
        if writing.len() < lines.len() {
            cache.keep(&writing);
            lines = writing.iter().map(|&line| lines[line]).collect();
        }
        lengths = vec![1; lines.len()];
        let last: Vec<i64> = lines.iter().map(|&row| i64::from(rows[row].last)).collect();
        let last = decoder
            .embed(Tensor::<2, Int>::from_data(TensorData::new(last, [lines.len(), 1]), &device));
        next = logits_after(last, &lengths, &mut cache);
    }
    Ok(completions(rows))
}

fn completions(rows: Vec<Row>) -> Vec<Completion> {
    rows.into_iter().map(|row| row.completion).collect()
}

impl Row {
    /// Takes the next token; `None` if the logits are broken.
    fn take(&mut self, logits: &[f32], options: &GenerateOptions) -> Option<SampledToken> {
        let token = sample(logits, options.sampling, &self.history, &mut self.rng)?;
        self.last = token.id;
        self.completion.log_probs.push(token.log_prob);
        if options.stop.contains(&token.id) {
            self.end();
        } else {
            self.completion.ids.push(token.id);
            self.history.push(token.id);
        }
        Some(token)
    }

    fn end(&mut self) {
        (self.ended, self.completion.finished) = (true, true);
    }
}

fn check(
    decoder: &Decoder,
    context: Option<&Context>,
    prompts: &Prompts,
    options: &GenerateOptions,
    seeds: &[u64],
) -> Result<(), LanguageError> {
    validate_sampling(options.sampling)?;
    if options.max_new_tokens > MAX_NEW_TOKENS {
        return Err(LanguageError::TooManyTokens {
            max_new_tokens: options.max_new_tokens,
            limit: MAX_NEW_TOKENS,
        });
    }
    let [rows, padded, _] = prompts.embeddings.dims();
    let groups = context.map_or(1, Context::groups);
    let fits = prompts.lengths.len() == rows
        && prompts.groups.len() == rows
        && seeds.len() == rows
        && prompts.groups.iter().all(|&group| group < groups)
        && prompts.lengths.iter().all(|&length| length <= padded);
    if !fits {
        return Err(LanguageError::PromptShape {
            rows,
            lengths: prompts.lengths.len(),
            seeds: seeds.len(),
            groups,
        });
    }
    let limit = decoder.config().max_position_embeddings;
    for (row, (&length, &group)) in prompts.lengths.iter().zip(&prompts.groups).enumerate() {
        if length == 0 {
            return Err(LanguageError::EmptyPrompt { row });
        }
        let tokens = length + context.map_or(0, |context| context.lengths()[group]);
        // The last token that is written is never read.
        if tokens + options.max_new_tokens.saturating_sub(1) > limit {
            return Err(LanguageError::ContextTooLong {
                row,
                tokens,
                new: options.max_new_tokens,
                limit,
            });
        }
    }
    Ok(())
}
