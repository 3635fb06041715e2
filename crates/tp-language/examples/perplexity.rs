//! How well a model predicts a text, in each of the ways in which its matrices can be kept: what
//! quantising loses.
//!
//! ```sh
//! cargo run -p tp-language --example perplexity -- MODEL_FOLDER_OR_GGUF TEXT_FILE
//! ```

use std::{error::Error, path::Path, time::Instant};

use burn::tensor::Device;
use tp_language::{
    Decoder, QuantizedFormat, TextTokenizer, is_gguf, load_gguf, load_hugging_face, token_losses,
};
use tp_weights::TensorFloat;

/// Tokens that are read together; each text of so many is judged from its second token on.
const LENGTH: usize = 512;

#[expect(clippy::print_stdout, reason = "its result")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(model), Some(text)) = (arguments.next(), arguments.next()) else {
        return Err("a model and a text are needed: perplexity MODEL TEXT".into());
    };
    let (model, device) = (Path::new(&model), Device::flex());
    let (decoder, tokenizer) = if is_gguf(model) {
        let model = load_gguf(model, &device)?;
        (model.decoder, model.tokenizer)
    } else {
        let tokenizer = TextTokenizer::from_file(&model.join("tokenizer.json"))?;
        (load_hugging_face(model, TensorFloat::F32, &device)?, tokenizer)
    };
    let ids = tokenizer.encode_text(&std::fs::read_to_string(text)?);
    for (name, format) in [
        ("as loaded", None),
        ("q8_0", Some(QuantizedFormat::Q8_0)),
        ("q4_0", Some(QuantizedFormat::Q4_0)),
    ] {
        let decoder = format.map_or_else(|| decoder.clone(), |format| decoder.quantized(format));
        let began = Instant::now();
        let (perplexity, judged) = perplexity(&decoder, &ids);
        println!(
            "{name}: perplexity {perplexity:.4} of {judged} tokens, {:.1} s",
            began.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

fn perplexity(decoder: &Decoder, ids: &[u32]) -> (f64, usize) {
    let losses: Vec<f64> = ids
        .chunks(LENGTH)
        .flat_map(|row| {
            let states = decoder.forward(decoder.embed_rows(&[row]), None, None);
            let judged = 0..row.len() - 1;
            let losses = token_losses(decoder, states, &[row.to_vec()], &[judged], None);
            losses.into_data().iter::<f64>().collect::<Vec<_>>()
        })
        .collect();
    ((losses.iter().sum::<f64>() / losses.len().max(1) as f64).exp(), losses.len())
}
