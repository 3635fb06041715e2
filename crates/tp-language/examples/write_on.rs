//! Answers each line of the standard input with a language model of a GGUF file or a Hugging Face
//! folder, and says in JSON what it wrote and how long that took.
//!
//! ```sh
//! echo "What is a hoof?" | cargo run -p tp-language --example write_on -- MODEL [TOKENS [q8_0|q4_0]]
//! ```

use std::{error::Error, io, ops::ControlFlow, path::Path, time::Instant};

use burn::tensor::Device;
use tp_core::Sampling;
use tp_language::{
    Decoder, GenerateOptions, NextAction, Prompts, PublishedChat, QuantizedFormat, Speaker,
    TextTokenizer, Turn, end_tokens, generate_watched, is_gguf, load_gguf, load_hugging_face,
    load_hugging_face_quantized,
};
use tp_weights::TensorFloat;

struct Model {
    decoder: Decoder,
    tokenizer: TextTokenizer,
    chat: Option<PublishedChat>,
    end_tokens: Vec<u32>,
}

fn loaded(path: &Path, format: Option<QuantizedFormat>) -> Result<Model, Box<dyn Error>> {
    let device = Device::flex();
    if is_gguf(path) {
        let model = load_gguf(path, &device)?;
        let decoder = format.map(|format| model.decoder.quantized(format));
        return Ok(Model {
            decoder: decoder.unwrap_or(model.decoder),
            tokenizer: model.tokenizer,
            chat: model.chat,
            end_tokens: model.end_tokens,
        });
    }
    Ok(Model {
        decoder: match format {
            Some(format) => load_hugging_face_quantized(path, format, &device)?,
            None => load_hugging_face(path, TensorFloat::F32, &device)?,
        },
        tokenizer: TextTokenizer::from_file(&path.join("tokenizer.json"))?,
        chat: PublishedChat::from_folder(path)?,
        end_tokens: end_tokens(path)?,
    })
}

#[expect(clippy::print_stdout, reason = "its result")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().ok_or("a model is needed: write_on MODEL [TOKENS [FORMAT]]")?;
    let max_new_tokens = arguments.get(1).map_or(Ok(48), |text| text.parse())?;
    let format = match arguments.get(2).map(String::as_str) {
        Some("q8_0") => Some(QuantizedFormat::Q8_0),
        Some("q4_0") => Some(QuantizedFormat::Q4_0),
        Some(other) => return Err(format!("{other} is not among q8_0, q4_0").into()),
        None => None,
    };
    let Model { decoder, tokenizer, chat, end_tokens } = loaded(Path::new(path), format)?;
    let options = GenerateOptions {
        max_new_tokens,
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        stop: end_tokens,
    };
    for line in io::stdin().lines() {
        let line = line?;
        let ids = match &chat {
            Some(chat) => {
                let turn = Turn { speaker: Speaker::User, text: line };
                chat.prompt(&tokenizer, &[turn])?
            }
            None => [tokenizer.opening(), tokenizer.encode_text(&line)].concat(),
        };
        let prompt_tokens = ids.len();
        let (began, mut first) = (Instant::now(), None);
        let prompts = Prompts::of_ids(&decoder, &[ids]);
        let watch = |_, _| {
            first.get_or_insert_with(|| began.elapsed().as_secs_f64());
            ControlFlow::Continue(NextAction::GoOn)
        };
        let answer =
            generate_watched(&decoder, None, prompts, None, &options, &[0], watch)?.remove(0);
        println!(
            "{}",
            serde_json::json!({
                "text": tokenizer.decode(&answer.ids), "tokens": answer.ids.len(),
                "prompt_tokens": prompt_tokens, "seconds_to_first_token": first,
                "seconds": began.elapsed().as_secs_f64(),
            })
        );
    }
    Ok(())
}
