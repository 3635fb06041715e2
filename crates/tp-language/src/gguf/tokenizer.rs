//! The tokenizer of a GGUF file, said in the words of a `tokenizer.json`, and what belongs to it:
//! the chat template and the tokens that end an answer.
//!
//! Two kinds are read: `gpt2`, byte-level BPE, and `llama`, SentencePiece's BPE with a score for
//! each token. How a text is cut into words before BPE has a name, `tokenizer.ggml.pre`; the
//! expressions are those of the publishers' own `tokenizer.json`.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tp_weights::{GgufFile, GgufValue};

/// What a file says of its tokenizer.
pub(super) struct GgufTokenizer {
    /// A `tokenizer.json`.
    pub(super) json: Value,
    pub(super) chat_template: Option<String>,
    /// The texts of the tokens that begin and end a sequence; empty if there is none.
    pub(super) bos: String,
    pub(super) eos: String,
    pub(super) end_tokens: Vec<u32>,
}

/// Tokens by which models end a turn whatever their settings say, as llama.cpp has them.
const ENDS: [&str; 10] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<eos>",
    "<｜end▁of▁sentence｜>",
];

/// Longest token of a SentencePiece vocabulary: its merges are found by trying every cut.
const MAX_PIECE_BYTES: usize = 256;

/// Kinds of tokens.
const UNKNOWN: u64 = 2;
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;

/// Between words in a SentencePiece vocabulary.
const SPACE: &str = "\u{2581}";

pub(super) fn of(file: &GgufFile) -> Result<GgufTokenizer, String> {
    let vocabulary = Vocabulary::of(file)?;
    let model = vocabulary.needed("model", GgufValue::as_str)?;
    let (parts, adds_bos) = match model {
        "gpt2" => vocabulary.byte_level()?,
        "llama" => vocabulary.sentence_piece()?,
        other => {
            return Err(format!("its tokenizer.ggml.model {other:.80} is not among gpt2, llama"));
        }
    };
    let adds_bos = vocabulary.get("add_bos_token", GgufValue::as_bool)?.unwrap_or(adds_bos);
    let [bos, eos, eot, eom] =
        ["bos", "eos", "eot", "eom"].map(|name| vocabulary.special(&format!("{name}_token_id")));
    let (bos, eos) = (bos?, eos?);
    let opening = match bos.filter(|_| adds_bos) {
        Some(bos) => vocabulary.opening(bos),
        None => Value::Null,
    };
    let mut ends: Vec<u32> = [eos, eot?, eom?].into_iter().flatten().collect();
    ends.extend(ENDS.iter().filter_map(|&end| vocabulary.ids.get(end)));
    ends.sort_unstable();
    ends.dedup();
    let text = |id: Option<u32>| {
        id.map_or_else(String::new, |id| vocabulary.tokens[id as usize].to_owned())
    };
    let template = file.setting("tokenizer.chat_template");
    let chat_template = template
        .map(|value| {
            value.as_str().map(str::to_owned).ok_or("its tokenizer.chat_template is no text")
        })
        .transpose()?;
    let Parts { normalizer, pre_tokenizer, decoder, model } = parts;
    Ok(GgufTokenizer {
        json: json!({
            "version": "1.0",
            "added_tokens": vocabulary.added(),
            "normalizer": normalizer,
            "pre_tokenizer": pre_tokenizer,
            "post_processor": opening,
            "decoder": decoder,
            "model": model,
        }),
        chat_template,
        bos: text(bos),
        eos: text(eos),
        end_tokens: ends,
    })
}

/// The parts of a `tokenizer.json` that the two kinds differ in.
struct Parts {
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    model: Value,
}

struct Vocabulary<'a> {
    file: &'a GgufFile,
    tokens: Vec<&'a str>,
    ids: HashMap<&'a str, u32>,
    /// Of every token.
    kinds: Vec<u64>,
}

impl<'a> Vocabulary<'a> {
    fn of(file: &'a GgufFile) -> Result<Self, String> {
        let mut vocabulary = Self { file, tokens: Vec::new(), ids: HashMap::new(), kinds: vec![] };
        vocabulary.tokens = vocabulary
            .list("tokens", GgufValue::as_str)?
            .ok_or("it lacks the setting tokenizer.ggml.tokens")?;
        for (id, &token) in vocabulary.tokens.iter().enumerate() {
            let id = u32::try_from(id).map_err(|_| "its vocabulary is too large")?;
            if let Some(first) = vocabulary.ids.insert(token, id) {
                return Err(format!("its tokens {first} and {id} are the same: {token:.80}"));
            }
        }
        vocabulary.kinds = vocabulary
            .list("token_type", GgufValue::as_u64)?
            .unwrap_or_else(|| vec![1; vocabulary.tokens.len()]);
        vocabulary.is_as_long("token_type", vocabulary.kinds.len())?;
        Ok(vocabulary)
    }

    fn get<T>(
        &self,
        key: &str,
        read: impl FnOnce(&'a GgufValue) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let key = format!("tokenizer.ggml.{key}");
        let Some(value) = self.file.setting(&key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| format!("its setting {key} has another type"))
    }

    fn needed<T>(
        &self,
        key: &str,
        read: impl FnOnce(&'a GgufValue) -> Option<T>,
    ) -> Result<T, String> {
        self.get(key, read)?.ok_or_else(|| format!("it lacks the setting tokenizer.ggml.{key}"))
    }

    fn list<T>(
        &self,
        key: &str,
        read: impl Fn(&'a GgufValue) -> Option<T>,
    ) -> Result<Option<Vec<T>>, String> {
        self.get(key, |value| value.as_list()?.iter().map(read).collect())
    }

    fn is_as_long(&self, key: &str, length: usize) -> Result<(), String> {
        let tokens = self.tokens.len();
        if length == tokens {
            return Ok(());
        }
        Err(format!("its tokenizer.ggml.{key} has {length} elements, its vocabulary {tokens}"))
    }

    /// A token that a setting names.
    fn special(&self, key: &str) -> Result<Option<u32>, String> {
        let Some(id) = self.get(key, GgufValue::as_u64)? else { return Ok(None) };
        match u32::try_from(id) {
            Ok(id) if (id as usize) < self.tokens.len() => Ok(Some(id)),
            _ => Err(format!(
                "its tokenizer.ggml.{key} is {id}, its vocabulary has {} tokens",
                self.tokens.len()
            )),
        }
    }

    /// Tokens that are no pieces of text.
    fn added(&self) -> Vec<Value> {
        let is_added =
            |&(id, _): &(usize, &&str)| [UNKNOWN, CONTROL, USER_DEFINED].contains(&self.kinds[id]);
        let added = self.tokens.iter().enumerate().filter(is_added);
        added
            .map(|(id, token)| {
                json!({
                    "id": id, "content": token, "special": self.kinds[id] != USER_DEFINED,
                    "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                })
            })
            .collect()
    }

    /// Puts a token before a text.
    fn opening(&self, bos: u32) -> Value {
        let name = self.tokens[bos as usize];
        let token = json!({ "SpecialToken": { "id": name, "type_id": 0 } });
        let text = |id: &str| json!({ "Sequence": { "id": id, "type_id": 0 } });
        let mut tokens = Map::new();
        tokens.insert(name.to_owned(), json!({ "id": name, "ids": [bos], "tokens": [name] }));
        json!({
            "type": "TemplateProcessing",
            "single": [token, text("A")],
            "pair": [token, text("A"), text("B")],
            "special_tokens": tokens,
        })
    }

    /// Byte-level BPE, and whether its texts begin with a token by themselves.
    fn byte_level(&self) -> Result<(Parts, bool), String> {
        let name = self.needed("pre", GgufValue::as_str)?;
        let Words { pre_tokenizer, normalizer, whole_words_first, adds_bos } = Words::of(name)
            .ok_or_else(|| {
                format!(
                    "its tokenizer.ggml.pre {name:.80} is not among {}",
                    Words::NAMES.join(", ")
                )
            })?;
        let merges = self
            .list("merges", GgufValue::as_str)?
            .ok_or("it lacks the setting tokenizer.ggml.merges")?;
        let pair = |merge: &str| {
            // A token may hold no space, so the first one after a character is between two.
            let at = merge.char_indices().skip(1).find(|&(_, c)| c == ' ').map(|(at, _)| at);
            at.map(|at| [merge[..at].to_owned(), merge[at + 1..].to_owned()]).ok_or_else(|| {
                format!("its tokenizer.ggml.merges holds {merge:.80}, which is no pair")
            })
        };
        let merges = merges.into_iter().map(pair).collect::<Result<Vec<_>, _>>()?;
        let parts = Parts {
            normalizer,
            pre_tokenizer,
            decoder: json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false }),
            model: self.bpe(&merges, Value::Null, whole_words_first),
        };
        Ok((parts, adds_bos))
    }

    /// SentencePiece's BPE: of two neighbours those are merged first whose whole has the highest
    /// score.
    fn sentence_piece(&self) -> Result<(Parts, bool), String> {
        if self.get("remove_extra_whitespaces", GgufValue::as_bool)? == Some(true) {
            return Err("its tokenizer.ggml.remove_extra_whitespaces is not supported".to_owned());
        }
        let scores = self
            .list("scores", GgufValue::as_f64)?
            .ok_or("it lacks the setting tokenizer.ggml.scores")?;
        self.is_as_long("scores", scores.len())?;
        if let Some(id) = self.tokens.iter().position(|token| token.len() > MAX_PIECE_BYTES) {
            return Err(format!("its token {id} has more than {MAX_PIECE_BYTES} bytes"));
        }
        let unknown = self.special("unknown_token_id")?.unwrap_or(0);
        let prefix = self.get("add_space_prefix", GgufValue::as_bool)?.unwrap_or(true);
        let space = json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE });
        let normalizer = if prefix {
            json!({ "type": "Sequence", "normalizers": [{ "type": "Prepend", "prepend": SPACE }, space] })
        } else {
            space
        };
        let mut decoders = vec![
            json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " }),
            json!({ "type": "ByteFallback" }),
            json!({ "type": "Fuse" }),
        ];
        if prefix {
            decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
        }
        let unknown = self.tokens.get(unknown as usize).copied().unwrap_or_default();
        let parts = Parts {
            normalizer,
            pre_tokenizer: Value::Null,
            decoder: json!({ "type": "Sequence", "decoders": decoders }),
            model: self.bpe(&self.merges_by_score(&scores), json!(unknown), false),
        };
        Ok((parts, true))
    }

    /// Every pair of tokens that makes a third, the highest score of the third first.
    fn merges_by_score(&self, scores: &[f64]) -> Vec<[String; 2]> {
        let mut pairs: Vec<(usize, &str, &str)> = Vec::new();
        for (id, token) in self.tokens.iter().enumerate() {
            if [CONTROL, UNKNOWN].contains(&self.kinds[id]) {
                continue;
            }
            for (at, _) in token.char_indices().skip(1) {
                let (left, right) = token.split_at(at);
                if self.ids.contains_key(left) && self.ids.contains_key(right) {
                    pairs.push((id, left, right));
                }
            }
        }
        pairs.sort_by(|a, b| {
            scores[b.0].total_cmp(&scores[a.0]).then_with(|| b.1.len().cmp(&a.1.len()))
        });
        pairs.into_iter().map(|(_, left, right)| [left, right].map(str::to_owned)).collect()
    }

    fn bpe(&self, merges: &[[String; 2]], unknown: Value, whole_words_first: bool) -> Value {
        let has_unknown = !unknown.is_null();
        json!({
            "type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": has_unknown, "byte_fallback": has_unknown,
            "ignore_merges": whole_words_first, "vocab": self.ids, "merges": merges,
        })
    }
}

/// How a text is cut into words before byte-level BPE.
struct Words {
    pre_tokenizer: Value,
    normalizer: Value,
    /// Whether a word that is a token stays whole, whatever the merges say.
    whole_words_first: bool,
    /// Whether a text begins with a token by itself, if the file does not say.
    adds_bos: bool,
}

impl Words {
    const NAMES: [&str; 9] = [
        "gpt-2",
        "smollm",
        "starcoder",
        "refact",
        "command-r",
        "llama-bpe",
        "llama3",
        "qwen2",
        "deepseek-r1-qwen",
    ];

    fn of(name: &str) -> Option<Self> {
        let plain = |pre_tokenizer| Self {
            pre_tokenizer,
            normalizer: Value::Null,
            whole_words_first: false,
            adds_bos: false,
        };
        let gpt2 = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
        Some(match name {
            "gpt-2" => plain(gpt2),
            "smollm" | "starcoder" | "refact" | "command-r" => plain(json!({
                "type": "Sequence",
                "pretokenizers": [{ "type": "Digits", "individual_digits": true }, gpt2],
            })),
            "llama-bpe" | "llama3" | "llama-v3" => {
                let words = plain(cut_by(r"\p{N}{1,3}"));
                Self { whole_words_first: true, adds_bos: true, ..words }
            }
            "qwen2" | "deepseek-r1-qwen" => {
                Self { normalizer: json!({ "type": "NFC" }), ..plain(cut_by(r"\p{N}")) }
            }
            _ => return None,
        })
    }
}

/// The expression of Llama 3 and Qwen2, which differ in how many digits stand together.
fn cut_by(digits: &str) -> Value {
    let expression = format!(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    );
    json!({
        "type": "Sequence",
        "pretokenizers": [
            { "type": "Split", "pattern": { "Regex": expression }, "behavior": "Isolated", "invert": false },
            { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false },
        ],
    })
}
