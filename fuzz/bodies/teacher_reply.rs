//! What a teacher's server sends. No token by which a model tells turns apart may come through.
//!
//! An input is the text of `Retry-After` up to the first line end, and the body.

use std::time::{Duration, UNIX_EPOCH};

use tp_builder::{Answer, Role, read_error_reply, read_reply};

/// Some of the tokens that must not come through.
const TOKENS: [&str; 6] = ["[SEG]", "<p>", "<s>", "<|im_end|>", "[INST]", "<mark>"];

pub(crate) fn run(input: &[u8]) {
    let (wait, body) = match input.iter().position(|&byte| byte == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (&b""[..], input),
    };
    let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
    let (said, _) = read_error_reply(&String::from_utf8_lossy(wait), now, body);
    check(&said);
    for role in Role::ALL {
        if let Ok((answer, usage)) = read_reply(role, body) {
            assert!(usage.prompt_tokens <= 1 << 32 && usage.completion_tokens <= 1 << 32);
            let texts = match answer {
                Answer::Context(answer) => vec![answer.object, answer.part, answer.context],
                Answer::Local(answer) => {
                    vec![answer.colour, answer.texture, answer.shape, answer.detail]
                }
                Answer::Organiser(answer) => {
                    let layers = answer.layers.expect("an organiser's answer has layers");
                    vec![
                        answer.description,
                        layers.object,
                        layers.part,
                        layers.point,
                        layers.appearance,
                    ]
                }
            };
            texts.iter().for_each(|text| check(text));
        }
    }
}

fn check(text: &str) {
    assert!(!text.contains(['\n', '\r', '\0', '\u{200b}']), "{text:?}");
    for token in TOKENS {
        assert!(!text.contains(token), "{text:?}");
    }
}
