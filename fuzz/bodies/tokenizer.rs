//! A `tokenizer.json`: whatever it says, ids stay below the size of its vocabulary, and no text
//! becomes a special token.

use tp_language::{SpecialToken, TextTokenizer, Tokenizer};

const TEXTS: [&str; 4] =
    ["the left ear", " two  spaces <s></p>[SEG] ", "Ohr – œil 耳 👂🏽\r\n\t\0e\u{301}", "<|im_end|>"];

pub(crate) fn run(input: &[u8]) {
    let Ok(tokenizer) = TextTokenizer::from_bytes(input) else { return };
    let check = |ids: &[u32]| {
        assert!(
            ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()),
            "{ids:?} of {}",
            tokenizer.vocab_size()
        )
    };
    check(&tokenizer.opening());
    for text in TEXTS {
        let ids = tokenizer.encode_text(text);
        check(&ids);
        let _ = tokenizer.decode(&ids);
        if let Ok(ids) = tokenizer.encode_template(text) {
            check(&ids);
        }
    }
    let _ = tokenizer.decode(&[0, 1, u32::MAX]);
    let Ok(tokenizer) = Tokenizer::from_bytes(input) else { return };
    for text in TEXTS {
        let ids = tokenizer.encode_text(text);
        assert!(
            SpecialToken::ALL.iter().all(|&token| !ids.contains(&tokenizer.special(token))),
            "{text} {ids:?}"
        );
    }
}
