//! Prompts become completions, one token at a time for all rows at once.

use burn::{
    module::Module,
    tensor::{Int, Tensor, TensorData},
};
use rand_chacha::ChaCha8Rng;
use tp_core::{Sampling, Seed};

use crate::{Context, Decoder, LanguageError, LoraAdapter, kv_cache::KvCache, sample, validate_sampling};

/// The most tokens that can be asked for; beyond the places that published models were trained on.
const MAX_NEW_TOKENS: usize = 32_768;

/// The cache begins with room for so many new tokens, and doubles when they are used up.
const FIRST_ROOM: usize = 64;

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
    /// The log-probability of every token in nats, under the model at temperature 1; the stop token's is the last one
    /// if the completion has finished.
    pub log_probs: Vec<f32>,
    /// Whether a stop token came before the tokens ran out.
    pub finished: bool,
}

/// A row that is being written.
struct Row {
    rng: ChaCha8Rng,
    last: u32,
    completion: Completion,
}

/// Writes one completion for every prompt. Rows that have finished make room for the others.
///
/// Each row draws from a generator of its own, which `seeds` starts: its tokens do not depend on its company (up to the
/// rounding of the matrix products). No gradients are recorded, whatever device the model lives on.
///
/// # Shapes
///
/// - `prompt`: `[batch, tokens, hidden]`, all of one length; row `i` belongs to the context's group
///   `i / (batch / groups)`
/// - `seeds`: one for each row
///
/// # Errors
///
/// If options, prompts or seeds do not fit, or the model gives logits that are not numbers.
pub fn generate(
    decoder: &Decoder,
    context: Option<&Context>,
    prompt: Tensor<3>,
    adapter: Option<&LoraAdapter>,
    options: &GenerateOptions,
    seeds: &[u64],
) -> Result<Vec<Completion>, LanguageError> {
    let [batch, tokens, _] = prompt.dims();
    let groups = context.map_or(1, Context::groups);
    check(options, [batch, tokens, seeds.len(), groups])?;
    if batch == 0 || options.max_new_tokens == 0 {
        return Ok(vec![Completion::default(); batch]);
    }

    let plain_decoder = prompt_or_weights_are_tracked(decoder, &prompt).then(|| decoder.valid());
    let plain_adapter = adapter.map(Module::valid);
    let (decoder, adapter) = (plain_decoder.as_ref().unwrap_or(decoder), plain_adapter.as_ref());
    let mut context = context.map(Context::inner);
    let prompt = prompt.inner();
    let device = prompt.device();

    let mut rows: Vec<Row> = seeds.iter().map(|&seed| Row { rng: Seed(seed).rng(), last: 0, completion: Completion::default() }).collect();
    // The row that each line of the running batch writes, group by group.
    let mut lines: Vec<Vec<usize>> = (0..batch).collect::<Vec<_>>().chunks(batch / groups).map(<[usize]>::to_vec).collect();
    let room = tokens + options.max_new_tokens.min(FIRST_ROOM);
    let mut cache = KvCache::new(decoder.config(), groups, batch / groups, room, &device, prompt.dtype());
    let mut hidden = decoder.step(prompt, context.as_ref(), &mut cache, adapter); // [lines, 1, hidden]

    for step in 0..options.max_new_tokens {
        let logits = decoder.logits(hidden, adapter).into_data().convert::<f32>();
        let logits = logits.as_slice::<f32>().expect("the data was converted to f32");
        let vocab = decoder.config().vocab_size;
        for (&row, logits) in lines.iter().flatten().zip(logits.chunks_exact(vocab)) {
            if !rows[row].completion.finished {
                rows[row].take(logits, options).ok_or(LanguageError::NotFinite { row, tokens: step })?;
            }
        }
        let kept = unfinished(&lines, |row| !rows[row].completion.finished);
        if kept.is_empty() || step + 1 == options.max_new_tokens {
            break;
        }
        if kept.len() < lines.len() || kept[0].1.len() < lines[0].len() {
            cache.keep(&kept);
            context = context.map(|context| context.select(&kept.iter().map(|(group, _)| *group).collect::<Vec<_>>()));
            lines = kept.iter().map(|(group, at)| at.iter().map(|&line| lines[*group][line]).collect()).collect();
        }
        let last: Vec<i64> = lines.iter().flatten().map(|&row| i64::from(rows[row].last)).collect();
        let n_lines = last.len();
        let embeddings = decoder.embed(Tensor::<2, Int>::from_data(TensorData::new(last, [n_lines, 1]), &device));
        hidden = decoder.step(embeddings, context.as_ref(), &mut cache, adapter);
    }
    Ok(rows.into_iter().map(|row| row.completion).collect())
}

impl Row {
    /// Takes the next token; `None` if the logits are broken.
    fn take(&mut self, logits: &[f32], options: &GenerateOptions) -> Option<()> {
        let token = sample(logits, options.sampling, &mut self.rng)?;
        self.last = token.id;
        self.completion.log_probs.push(token.log_prob);
        if options.stop.contains(&token.id) {
            self.completion.finished = true;
        } else {
            self.completion.ids.push(token.id);
        }
        Some(())
    }
}

/// The groups that still write, and of each the same number of lines: those that write, filled up with finished ones.
fn unfinished(lines: &[Vec<usize>], writes: impl Fn(usize) -> bool) -> Vec<(usize, Vec<usize>)> {
    let n_writing = |group: &Vec<usize>| group.iter().filter(|&&row| writes(row)).count();
    let n_lines = lines.iter().map(n_writing).max().unwrap_or(0);
    let ordered = lines.iter().enumerate().filter(|(_, group)| n_writing(group) > 0).map(|(index, group)| {
        let (writing, finished): (Vec<usize>, Vec<usize>) = (0..group.len()).partition(|&line| writes(group[line]));
        (index, writing.into_iter().chain(finished).take(n_lines).collect())
    });
    ordered.collect()
}

/// A tape that nobody reads would grow with every token.
fn prompt_or_weights_are_tracked(decoder: &Decoder, prompt: &Tensor<3>) -> bool {
    prompt.is_autodiff() || decoder.embed_tokens.weight.val().is_autodiff()
}

fn check(options: &GenerateOptions, [rows, tokens, seeds, groups]: [usize; 4]) -> Result<(), LanguageError> {
    validate_sampling(options.sampling)?;
    if options.max_new_tokens > MAX_NEW_TOKENS {
        return Err(LanguageError::TooManyTokens { max_new_tokens: options.max_new_tokens, limit: MAX_NEW_TOKENS });
    }
    if seeds != rows || (tokens == 0 && rows > 0) || groups == 0 || !rows.is_multiple_of(groups) {
        return Err(LanguageError::PromptShape { rows, tokens, seeds, groups });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finished_rows_make_room_group_by_group() {
        let lines = vec![vec![0, 1, 2], vec![3, 4, 5], vec![6, 7, 8]];
        let writing = [false, true, false, false, false, false, true, false, true];
        assert_eq!(unfinished(&lines, |row| writing[row]), vec![(0, vec![1, 0]), (2, vec![0, 2])]);
        assert!(unfinished(&lines, |_| false).is_empty());
    }
}
