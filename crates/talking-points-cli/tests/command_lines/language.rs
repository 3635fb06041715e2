//! Language models: folders, GGUF files, blocks.

use std::{fs, path::Path, process::Output};

use crate::program::{in_folder, json, one_line, photograph, refused, root, run};

#[test]
fn language_model_of_a_gguf_file_writes_on_in_its_blocks() {
    let file = root().join("crates/tp-language/tests/fixtures/gguf/llama.gguf");
    let model = file.display().to_string();
    let asked = ["--model", &model, "--prompt", "the horse", "--max-new-tokens", "6"];
    let answer = json("generate", &asked);
    let text = &answer["answers"][0]["text"];
    assert!(text.is_string() && answer["answers"][0]["tokens"].as_u64().unwrap() <= 6, "{answer}");
    // The chat template of the file stands around the prompt, unless it is left out.
    let plain = json("generate", &[&asked[..], &["--plain"]].concat());
    assert!(plain["prompt_tokens"].as_u64() < answer["prompt_tokens"].as_u64(), "{plain}");
    // All of its matrices have eight bits or fewer, and keep their format.
    let again = json("generate", &[&asked[..], &["--weights", "q4_0"]].concat());
    assert_eq!(again["answers"][0]["text"], *text);
    let wide = one_line("generate", &[&asked[..], &["--weights", "f32"]].concat());
    assert!(wide.contains("omit --weights f32"), "{wide}");

    let folder = tempfile::tempdir().unwrap();
    let cut = in_folder(&folder, "cut.gguf");
    let bytes = fs::read(&file).unwrap();
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    assert!(one_line("generate", &["--model", &cut, "--prompt", "a"]).contains("cut.gguf"));
    let none = in_folder(&folder, "none.gguf");
    assert!(one_line("generate", &["--model", &none, "--prompt", "a"]).contains("none.gguf"));
}

#[test]
fn language_model_of_a_folder_is_read_into_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let model = in_folder(&folder, "model");
    let asked = ["--model", &model, "--prompt", "what is a hoof?", "--max-new-tokens", "8"];
    let text = |arguments: &[&str]| {
        let answer = json("generate", &[&asked[..], arguments].concat());
        answer["answers"][0].clone()
    };
    let wide = text(&["--random", "tiny"]);
    let eight = text(&["--weights", "q8_0"]);
    assert_eq!(text(&["--int8"]), eight);
    // The same model, with other numbers in it.
    let log_prob = |answer: &serde_json::Value| answer["mean_log_prob"].as_f64().unwrap();
    let off = (log_prob(&eight) - log_prob(&wide)).abs();
    assert!(off > 0.0 && off < 0.2, "{eight} {wide}");
    assert_ne!(text(&["--weights", "q4_0"]), eight);
    let other = refused("generate", &[&asked[..], &["--weights", "q5_0"]].concat());
    assert!(other.contains("q8_0") && other.contains("q4_0"), "{other}");
    refused("generate", &[&asked[..], &["--int8", "--weights", "q4_0"]].concat());
}

#[test]
fn points_are_described_and_located_with_a_language_model_in_blocks() {
    let image = photograph();
    for weights in ["f32", "q8_0", "q4_0"] {
        let asked = ["--image", &image, "--weights", weights];
        let described = json("describe", &[&asked[..], &["--point", "200,150"]].concat());
        assert!(!described["points"][0]["description"].as_str().unwrap().is_empty());
        let located = json("locate", &[&asked[..], &["--text", "the ear of the horse"]].concat());
        assert!(located.is_object(), "{located}");
    }
    // What learns needs numbers that can change.
    assert!(refused("reinforce", &["--weights", "q8_0"]).contains("--weights"));
}

#[test]
fn language_model_writes_on_and_refuses_what_it_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let model = in_folder(&folder, "random");
    let asked = ["--model", &model, "--prompt", "a hoof", "--max-new-tokens", "5", "--json"];
    // Without a folder the random model is left nowhere, and is the same one.
    let passing = run("generate", &[&asked[2..], &["--random", "tiny"]].concat());
    assert!(passing.status.success(), "{}", String::from_utf8_lossy(&passing.stderr));
    assert!(!Path::new(&model).exists());
    assert!(refused("generate", &["--prompt", "x"]).contains("--model"));
    let first = run("generate", &[&asked[..], &["--random", "tiny"]].concat());
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let answer =
        |output: &Output| serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
    assert_eq!(answer(&first)["answers"][0]["tokens"], 5);
    assert_eq!(answer(&first)["answers"], answer(&passing)["answers"]);
    let again = answer(&run("generate", &[&asked[..], &["--answers", "3"]].concat()));
    // Without a temperature there is one answer, however often it is written.
    for row in 0..3 {
        assert_eq!(again["answers"][row]["text"], answer(&first)["answers"][0]["text"]);
    }

    // A model that is there is never written over.
    assert!(
        one_line("generate", &[&asked[..], &["--random", "tiny"]].concat())
            .contains("already contains a model")
    );
    assert!(one_line("generate", &["--model", &model, "--prompt", " "]).contains("empty"));
    let endless = "hoof ".repeat(3000);
    assert!(
        one_line("generate", &["--model", &model, "--prompt", &endless]).contains("2048 places")
    );
    assert!(one_line("generate", &["--model", "no/such", "--prompt", "x"]).contains("no/such"));
    let weights = Path::new(&model).join("model.safetensors");
    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    assert!(one_line("generate", &asked).contains("model.safetensors"));
}
