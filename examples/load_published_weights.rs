//! Loads a language model from a Hugging Face folder, and predicts the next tokens of a text.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::path::Path;

use talking_points::{
    core::Sampling,
    language::{GenerateOptions, Prompts, generate, load_hugging_face},
    prelude::*,
    weights::TensorFloat,
};

fn main() -> Result<(), Error> {
    // A Llama with random weights in the published layout; replace it by the folder of a real one.
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/language-llama/model");
    let decoder = load_hugging_face(&folder, TensorFloat::F32, &DeviceName::Flex.open()?)?;

    let prompt = vec![3, 1, 4, 1, 5];
    let prompts = Prompts::of_ids(&decoder, std::slice::from_ref(&prompt));
    let options =
        GenerateOptions { max_new_tokens: 8, sampling: Sampling::default(), stop: Vec::new() };
    let written = generate(&decoder, None, prompts, None, &options, &[0])?;
    println!("{prompt:?} → {:?}", written[0].ids);
    Ok(())
}
