//! Classes of transformers that take vocabulary, merges and post-processor from a `tokenizer.json`, and
//! the rest from themselves.
//!
//! Source: `AutoTokenizer.from_pretrained`, `LlamaTokenizer` and `Qwen2Tokenizer` of transformers
//! 5.24.

use serde_json::{Map, Value, json};

/// How Qwen2 cuts a text into words.
const QWEN2_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A class that is more than the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenizerClass {
    /// SentencePiece, with a space before the first word of a text, of each of its parts, or of none.
    Llama {
        /// `first`, `always` or `never`.
        prepend: &'static str,
    },
    /// Byte-level, with words of its own.
    Qwen2 {
        /// Whether a text gets a space before it.
        add_prefix_space: bool,
    },
}

impl TokenizerClass {
    /// The class for these files; `None` if the file is read as it is.
    pub(crate) fn of(model: &Map<String, Value>, tokenizer: &Map<String, Value>) -> Option<Self> {
        let text = |map: &Map<String, Value>, key: &str| {
            map.get(key)
                .and_then(Value::as_str)
                .map(|text| text.trim_end_matches("Fast").to_owned())
        };
        let named = text(tokenizer, "tokenizer_class").or_else(|| text(model, "tokenizer_class"));
        let family = text(model, "model_type").unwrap_or_default();
        let prefix = tokenizer.get("add_prefix_space").and_then(Value::as_bool);
        let qwen2 = Self::Qwen2 { add_prefix_space: prefix == Some(true) };
        let is_legacy = tokenizer.get("legacy").and_then(Value::as_bool) == Some(true);
        let llama = Self::Llama {
            prepend: match (prefix.unwrap_or(true), is_legacy) {
                (false, _) => "never",
                (true, false) => "first",
                (true, true) => "always",
            },
        };
        match (family.as_str(), named.as_deref()) {
            ("qwen2", _) | ("qwen3", None) => Some(qwen2),
            ("llama" | "qwen3", Some("Qwen2Tokenizer")) => Some(qwen2),
            ("llama" | "qwen3", Some("LlamaTokenizer")) => Some(llama),
            _ => None,
        }
    }

    /// Roles that the class fills where the files leave them open.
    pub(crate) fn default_roles(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Llama { .. } => {
                &[("unk_token", "<unk>"), ("bos_token", "<s>"), ("eos_token", "</s>")]
            }
            Self::Qwen2 { .. } => &[
                ("unk_token", "<|endoftext|>"),
                ("eos_token", "<|endoftext|>"),
                ("pad_token", "<|endoftext|>"),
            ],
        }
    }

    /// Puts the class's parts in place of the file's. A vocabulary of another kind stays, and so does
    /// a byte-level one that is called Llama's.
    pub(crate) fn applied(self, file: &mut Value) -> bool {
        let is_bpe = file["model"]["merges"].is_array();
        let is_byte_level = |key: &str| file[key].to_string().contains(r#""type":"ByteLevel""#);
        let is_llama = matches!(self, Self::Llama { .. });
        if !is_bpe || (is_llama && (is_byte_level("pre_tokenizer") || is_byte_level("decoder"))) {
            return false;
        }
        let model = match self {
            Self::Llama { prepend } => {
                file["normalizer"] = Value::Null;
                file["pre_tokenizer"] = json!({
                    "type": "Metaspace", "replacement": "▁", "prepend_scheme": prepend, "split": false
                });
                let mut decoders = vec![
                    json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }),
                    json!({ "type": "ByteFallback" }),
                    json!({ "type": "Fuse" }),
                ];
                if prepend != "never" {
                    decoders
                        .push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
                }
                file["decoder"] = json!({ "type": "Sequence", "decoders": decoders });
                json!({ "fuse_unk": true, "byte_fallback": true })
            }
            Self::Qwen2 { add_prefix_space } => {
                file["normalizer"] = json!({ "type": "NFC" });
                let byte_level = |add_prefix_space: bool, use_regex: bool| {
                    json!({
                        "type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": true,
                        "use_regex": use_regex
                    })
                };
                file["pre_tokenizer"] = json!({ "type": "Sequence", "pretokenizers": [
                    { "type": "Split", "pattern": { "Regex": QWEN2_WORDS }, "behavior": "Isolated", "invert": false },
                    byte_level(add_prefix_space, false)
                ] });
                file["decoder"] = byte_level(true, true);
                json!({
                    "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false,
                    "byte_fallback": false
                })
            }
        };
        for (key, value) in model.as_object().into_iter().flatten() {
            file["model"][key] = value.clone();
        }
        for key in ["dropout", "unk_token"] {
            file["model"][key] = Value::Null;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `AutoTokenizer` of transformers 5.24 chooses.
    #[test]
    fn class_follows_from_the_family_and_the_name() {
        let of = |model: Value, tokenizer: Value| {
            let map = |value: Value| value.as_object().unwrap().clone();
            TokenizerClass::of(&map(model), &map(tokenizer))
        };
        let llama = |prepend| Some(TokenizerClass::Llama { prepend });
        let qwen2 = Some(TokenizerClass::Qwen2 { add_prefix_space: false });
        for (family, tokenizer, expected) in [
            ("llama", json!({ "tokenizer_class": "LlamaTokenizerFast" }), llama("first")),
            (
                "llama",
                json!({ "tokenizer_class": "LlamaTokenizer", "legacy": true }),
                llama("always"),
            ),
            (
                "llama",
                json!({ "tokenizer_class": "LlamaTokenizer", "add_prefix_space": false }),
                llama("never"),
            ),
            ("llama", json!({ "tokenizer_class": "PreTrainedTokenizerFast" }), None),
            ("llama", json!({}), None),
            ("mistral", json!({ "tokenizer_class": "LlamaTokenizer" }), None),
            ("internlm2", json!({ "tokenizer_class": "LlamaTokenizer" }), None),
            ("qwen2", json!({ "tokenizer_class": "PreTrainedTokenizerFast" }), qwen2),
            ("qwen2", json!({ "tokenizer_class": "Qwen2Tokenizer" }), qwen2),
            ("qwen3", json!({}), qwen2),
            ("qwen3", json!({ "tokenizer_class": "PreTrainedTokenizerFast" }), None),
        ] {
            assert_eq!(
                of(json!({ "model_type": family }), tokenizer.clone()),
                expected,
                "{tokenizer}"
            );
        }
    }

    #[test]
    fn byte_level_file_is_not_made_sentencepiece() {
        let mut file = json!({
            "normalizer": null, "pre_tokenizer": { "type": "ByteLevel" }, "decoder": null,
            "model": { "type": "BPE", "merges": [], "vocab": {} }
        });
        let before = file.clone();
        assert!(!TokenizerClass::Llama { prepend: "first" }.applied(&mut file));
        assert_eq!(file, before);
        assert!(TokenizerClass::Qwen2 { add_prefix_space: false }.applied(&mut file));
        assert_eq!(file["normalizer"]["type"], "NFC");
    }
}
