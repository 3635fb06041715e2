//! Folders as publishers and PEFT write them: the same tokens, logits and words as transformers.
//!
//! `tests/oracles/hub_folders.py --small` made `fixtures/hub` with transformers 5.24 and PEFT 0.21.

use std::path::Path;

use burn::tensor::Device;
use serde::Deserialize;
use tp_core::Sampling;
use tp_language::{
    AdaptedPrompt, GenerateOptions, PeftAdapter, Prompts, PublishedChat, Speaker, TextTokenizer,
    Turn, end_tokens, generate, load_hugging_face,
};
use tp_weights::TensorFloat;

#[derive(Deserialize)]
struct Case {
    model: String,
    adapter_folder: Option<String>,
    /// The name of its chat template; none if the prompt is plain.
    chat: Option<String>,
    prompt: String,
    expected: Expected,
}

#[derive(Deserialize)]
struct Expected {
    prompt_ids: Vec<u32>,
    logits: Vec<f32>,
    text: String,
}

#[test]
fn folders_of_the_hub_are_read_as_transformers_reads_them() {
    let hub = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hub");
    let cases: Vec<Case> =
        serde_json::from_slice(&std::fs::read(hub.join("cases.json")).unwrap()).unwrap();
    assert!(!cases.is_empty());
    let device = Device::flex();
    for Case { model, adapter_folder, chat, prompt, expected } in cases {
        let folder = hub.join(&model);
        let tokenizer = TextTokenizer::from_folder(&folder).unwrap();
        let ids = match chat {
            None => tokenizer.encode_prompt(&prompt),
            Some(_) => PublishedChat::from_folder(&folder)
                .unwrap()
                .unwrap()
                .prompt(&tokenizer, &[Turn { speaker: Speaker::User, text: prompt }])
                .unwrap(),
        };
        assert_eq!(ids, expected.prompt_ids, "{model}");

        let decoder = load_hugging_face(&folder, TensorFloat::F32, &device).unwrap();
        let adapter = adapter_folder
            .map(|adapter| PeftAdapter::load(&hub.join(adapter), &decoder, &device).unwrap());
        let AdaptedPrompt { context, ids, adapter } = match &adapter {
            Some(adapter) => adapter.adapted(&decoder, &ids),
            None => AdaptedPrompt { context: None, ids, adapter: None },
        };
        let embeddings = decoder.embed_rows(std::slice::from_ref(&ids));
        let hidden = decoder.forward(embeddings, context.as_ref(), adapter);
        let logits = decoder.logits(hidden.narrow(1, ids.len() - 1, 1), adapter).into_data();
        let logits: Vec<f32> = logits.iter().collect();
        assert_eq!(logits.len(), expected.logits.len(), "{model}");
        for (logit, expected) in logits.iter().zip(&expected.logits) {
            assert!((logit - expected).abs() < 1e-4, "{model}: {logit} instead of {expected}");
        }

        let options = GenerateOptions {
            max_new_tokens: 16,
            sampling: Sampling { temperature: 0.0, ..Sampling::default() },
            stop: end_tokens(&folder).unwrap(),
        };
        let prompts = Prompts::of_ids(&decoder, std::slice::from_ref(&ids));
        let written =
            generate(&decoder, context.as_ref(), prompts, adapter, &options, &[0]).unwrap();
        assert_eq!(tokenizer.decode(&written[0].ids), expected.text, "{model}");
    }
}
