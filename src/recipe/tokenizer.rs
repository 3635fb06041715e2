//! The training text of the tokenizer: generated descriptions and the fixed texts of the
//! conversations.

use rayon::prelude::*;
use tp_core::{Seed, Style};
use tp_language::{LanguageError, Tokenizer, train_bpe};
use tp_vision::NounTable;

use crate::recipe::{Draw, SampleSettings, SampleSource};

/// How often a noun that may occur in no sample is repeated.
const NOUN_WEIGHT: usize = 2;

/// Trains a byte-level BPE on the descriptions of `n_images` samples and on every word of `nouns`,
/// so that words outside the samples also become few tokens.
///
/// # Errors
///
/// [`LanguageError`] if the trainer fails.
pub fn train_tokenizer(
    source: &impl SampleSource,
    n_images: u64,
    nouns: Option<&NounTable>,
    vocab_size: usize,
    seed: Seed,
) -> Result<Tokenizer, LanguageError> {
    let options = SampleSettings { style_weights: [1.0; Style::ALL.len()], ..Default::default() };
    let seed = seed.split("tokenizer");
    let texts: Vec<String> = (0..n_images)
        .into_par_iter()
        .filter_map(|number| source.sample(Draw { run: seed, number }, &options))
        .flat_map_iter(|sample| sample.triplets.into_iter().map(|triplet| triplet.description))
        .collect();
    // The fixed sentences of both conversations, repeated often enough to become few tokens.
    let sentences = [
        "user\n",
        "assistant\n",
        "\nPlease segment region1: ",
        " keypoint ",
        "\nDescribe ",
        " in detail.",
        " briefly.",
        "\nTell me about ",
        "\nName ",
        "\nPoint out ",
    ];
    let fixed = sentences
        .iter()
        .map(|&text| text.to_owned())
        .cycle()
        .take(sentences.len() * (texts.len() / 8).max(50));
    let nouns = nouns
        .iter()
        .flat_map(|nouns| nouns.objects.iter().chain(&nouns.parts))
        .flat_map(|noun| &noun.words);
    let nouns = nouns
        .flat_map(|word| std::iter::repeat_n(format!("the {word} and the {word}."), NOUN_WEIGHT));
    train_bpe(texts.iter().cloned().chain(fixed).chain(nouns), vocab_size)
}
