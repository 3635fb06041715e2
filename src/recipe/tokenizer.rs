//! The tokenizer's training text: what the describer writes, and what the conversations say.

use rayon::prelude::*;
use tp_core::{Seed, Style};
use tp_language::{LanguageError, Tokenizer, train_bpe};

use crate::recipe::{LessonOptions, LessonSource};

/// Trains a byte-level BPE on the descriptions of `n_images` lessons.
///
/// # Errors
///
/// [`LanguageError`] if the trainer fails.
pub fn train_tokenizer(source: &impl LessonSource, n_images: u64, vocab_size: usize, seed: Seed) -> Result<Tokenizer, LanguageError> {
    let options = LessonOptions { style_weights: [1.0; Style::ALL.len()], ..Default::default() };
    let seed = seed.split("tokenizer");
    let texts: Vec<String> = (0..n_images)
        .into_par_iter()
        .filter_map(|index| source.lesson(seed.nth(index), &options))
        .flat_map_iter(|lesson| lesson.triplets.into_iter().map(|triplet| triplet.description))
        .collect();
    // The fixed sentences of both conversations, often enough to become few tokens.
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
    let fixed = sentences.iter().map(|&text| text.to_owned()).cycle().take(sentences.len() * (texts.len() / 8).max(50));
    train_bpe(texts.into_iter().chain(fixed), vocab_size)
}
