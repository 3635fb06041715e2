//! Text ↔ token ids of our conversations. What stands for no text is a [`SpecialToken`]; plain text
//! can never become one.

use std::{collections::HashSet, fmt, path::Path};

use serde::{Deserialize, Serialize};
use tokenizers::{
    AddedToken,
    models::{
        TrainerWrapper,
        bpe::{BPE, BpeTrainer},
    },
    pre_tokenizers::byte_level::ByteLevel,
};

use crate::{LanguageError, TextTokenizer, text_tokenizer::guarded};

/// The alphabet of bytes and the special tokens must fit; ids of a trained vocabulary fit into 16
/// bits.
const TRAINED_VOCAB: std::ops::RangeInclusive<usize> = 256 + SpecialToken::ALL.len()..=65_536;

/// A token that stands for no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpecialToken {
    /// Fills rows up; a tokenizer without it fills them with `Eos`, as InternLM2's does.
    Pad,
    /// Begins a conversation.
    Bos,
    /// Ends a text.
    Eos,
    /// Begins a turn.
    ImStart,
    /// Ends a turn.
    ImEnd,
    /// Its hidden state becomes a point or a mask.
    Seg,
    /// Begins a phrase that `[SEG]` belongs to.
    PhraseOpen,
    /// Ends it.
    PhraseClose,
    /// Gives its place to a region's embedding.
    Region,
    /// Gives its place to a point's embedding.
    Mark,
}

impl SpecialToken {
    /// Every special token, in the order of the ids that [`train_bpe`] gives: `Pad` is the first.
    pub const ALL: [Self; 10] = [
        Self::Pad,
        Self::Bos,
        Self::Eos,
        Self::ImStart,
        Self::ImEnd,
        Self::Seg,
        Self::PhraseOpen,
        Self::PhraseClose,
        Self::Region,
        Self::Mark,
    ];

    /// What OMG-LLaVA adds to InternLM2's tokenizer, in this order. The embedding table grows before
    /// the last one is added.
    pub const OF_OMG_LLAVA: [Self; 5] =
        [Self::Seg, Self::PhraseOpen, Self::PhraseClose, Self::Region, Self::Mark];

    /// How it is written in a tokenizer file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pad => "<pad>",
            Self::Bos => "<s>",
            Self::Eos => "</s>",
            Self::ImStart => "<|im_start|>",
            Self::ImEnd => "<|im_end|>",
            Self::Seg => "[SEG]",
            Self::PhraseOpen => "<p>",
            Self::PhraseClose => "</p>",
            Self::Region => "<region>",
            Self::Mark => "<mark>",
        }
    }
}

/// Text ↔ token ids, with one id for every [`SpecialToken`].
#[derive(Clone)]
pub struct Tokenizer {
    text: TextTokenizer,
    specials: [u32; SpecialToken::ALL.len()],
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, has more than 32 MiB, is no tokenizer, or lacks a single id for
    /// a [`SpecialToken`] other than [`SpecialToken::Pad`].
    pub fn from_file(path: &Path) -> Result<Self, LanguageError> {
        Self::new(TextTokenizer::from_file(path)?).map_err(|error| error.in_tokenizer(path))
    }

    /// Reads the `tokenizer.json` of a chat model and adds what OMG-LLaVA adds to it, in the same
    /// order and so under the same ids; tokens that are there keep theirs.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::from_file`], for the tokens that a chat model has itself.
    pub fn from_chat_model(path: &Path) -> Result<Self, LanguageError> {
        TextTokenizer::from_file(path)?
            .with_special_tokens(SpecialToken::OF_OMG_LLAVA.map(SpecialToken::name))
            .and_then(Self::new)
            .map_err(|error| error.in_tokenizer(path))
    }

    /// As [`Tokenizer::from_file`], from the file's content.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::from_file`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LanguageError> {
        Self::new(TextTokenizer::from_bytes(bytes)?)
    }

    pub(crate) fn new(mut text: TextTokenizer) -> Result<Self, LanguageError> {
        let single = |token: SpecialToken| text.single_id(token.name());
        let lacks = |token: SpecialToken| LanguageError::SpecialToken { token: token.name() };
        // Absent, padding is done with the token that ends a text, and the two share an id.
        let pad = single(SpecialToken::Pad).or_else(|| single(SpecialToken::Eos));
        let mut specials = [pad.ok_or_else(|| lacks(SpecialToken::Pad))?; SpecialToken::ALL.len()];
        let mut used: HashSet<u32> = single(SpecialToken::Pad).into_iter().collect();
        for (id, token) in specials.iter_mut().zip(SpecialToken::ALL).skip(1) {
            *id = single(token).filter(|&id| used.insert(id)).ok_or_else(|| lacks(token))?;
        }
        text.are_no_text(specials);
        Ok(Self { text, specials })
    }

    /// Writes a `tokenizer.json`: whole, or not at all.
    ///
    /// # Errors
    ///
    /// [`LanguageError::WriteTokenizer`] if the file system refuses.
    pub fn save(&self, path: &Path) -> Result<(), LanguageError> {
        self.text.save(path)
    }

    /// The same without the special tokens' meaning.
    #[must_use]
    pub fn text(&self) -> &TextTokenizer {
        &self.text
    }

    /// One more than the largest id: the rows that an embedding table needs.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.text.vocab_size()
    }

    /// The id of a special token.
    #[must_use]
    pub fn special(&self, token: SpecialToken) -> u32 {
        let at = SpecialToken::ALL.iter().position(|&other| other == token);
        self.specials[at.expect("ALL holds every special token")]
    }

    /// The ids of a text in which special tokens are written by name, as in `<s><|im_start|>user`.
    /// For texts of the program's own; for those of others there is [`Tokenizer::encode_text`].
    #[must_use]
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut rest = text;
        while let Some((at, token)) = first_special(rest) {
            ids.extend(self.encode_text(&rest[..at]));
            ids.push(self.special(token));
            rest = &rest[at + token.name().len()..];
        }
        ids.extend(self.encode_text(rest));
        ids
    }

    /// The ids of plain text. Whatever it says, no id of a special token is among them: `[SEG]` is
    /// five characters.
    #[must_use]
    pub fn encode_text(&self, text: &str) -> Vec<u32> {
        self.text.encode_text(text)
    }

    /// The text of ids; special tokens and ids without a token are left out.
    #[must_use]
    pub fn decode(&self, ids: &[u32]) -> String {
        self.text.decode(ids)
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer").field("vocab_size", &self.vocab_size()).finish_non_exhaustive()
    }
}

/// Trains a byte-level BPE: every byte is a token, so any text survives encoding and decoding. The
/// special tokens take the first ids. The same texts give the same tokenizer, in whatever order
/// they come.
///
/// The vocabulary stays smaller than `vocab_size` if the texts hold fewer pairs that occur twice.
///
/// # Errors
///
/// [`LanguageError::VocabularySize`] below 266 or above 65,536 tokens;
/// [`LanguageError::TrainTokenizer`] if the trainer fails.
pub fn train_bpe<S: AsRef<str> + Send>(
    texts: impl IntoIterator<Item = S, IntoIter: Send>,
    vocab_size: usize,
) -> Result<Tokenizer, LanguageError> {
    if !TRAINED_VOCAB.contains(&vocab_size) {
        return Err(LanguageError::VocabularySize {
            size: vocab_size,
            min: *TRAINED_VOCAB.start(),
            max: *TRAINED_VOCAB.end(),
        });
    }
    let mut trainer = TrainerWrapper::from(
        BpeTrainer::builder()
            .show_progress(false)
            .vocab_size(vocab_size)
            .min_frequency(2)
            .special_tokens(
                SpecialToken::ALL.map(|token| AddedToken::from(token.name(), true)).to_vec(),
            )
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build(),
    );
    let mut inner = tokenizers::Tokenizer::new(BPE::default());
    inner.with_pre_tokenizer(Some(ByteLevel::default().add_prefix_space(false)));
    inner.with_decoder(Some(ByteLevel::default()));
    guarded(|| inner.train(&mut trainer, texts.into_iter()).map(|_| ()))
        .map_err(|reason| LanguageError::TrainTokenizer { reason })?;
    Tokenizer::new(TextTokenizer::new(inner)?)
}

/// The first special token in a text, and where it begins.
fn first_special(text: &str) -> Option<(usize, SpecialToken)> {
    let found = SpecialToken::ALL
        .into_iter()
        .filter_map(|token| text.find(token.name()).map(|at| (at, token)));
    found.min_by_key(|(at, _)| *at) // no name begins with another
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MAX_FILE_BYTES: u64 = 32 << 20;
    const TEXTS: [&str; 3] =
        ["the left ear of the horse", "the right ear of the horse", "[SEG] [SEG] <p> <p> the ear"];

    fn tokenizer() -> Tokenizer {
        train_bpe(TEXTS, 300).unwrap()
    }

    #[test]
    fn any_text_survives() {
        let tokenizer = tokenizer();
        for text in
            ["the ear", " two  spaces ", "Ohr – œil – 耳 – 👂🏽\r\n\t\0", "e\u{301}", "[SEG]<s></p>"]
        {
            assert_eq!(tokenizer.decode(&tokenizer.encode_text(text)), text);
        }
        assert!(tokenizer.encode_text("").is_empty());
    }

    #[test]
    fn typed_special_tokens_stay_text() {
        let tokenizer = tokenizer();
        for token in SpecialToken::ALL {
            let ids = tokenizer.encode_text(&format!("a{}b {}", token.name(), token.name()));
            assert!(
                SpecialToken::ALL.iter().all(|&token| !ids.contains(&tokenizer.special(token))),
                "{token:?}"
            );
            assert_eq!(tokenizer.encode(token.name()), [tokenizer.special(token)]);
            assert_eq!(tokenizer.decode(&[tokenizer.special(token)]), "");
        }
    }

    #[test]
    fn typed_special_tokens_stay_text_even_if_pieces_spell_them() {
        // A vocabulary whose merges lead to "<p>" from "<" + "p" + ">".
        let mut json: serde_json::Value =
            serde_json::from_str(&tokenizer().text.to_json()).unwrap();
        json["pre_tokenizer"]["use_regex"] = false.into();
        json["model"]["vocab"]["<p"] = 5000.into();
        json["model"]["merges"] = serde_json::json!([["<", "p"], ["<p", ">"]]);
        let tokenizer = Tokenizer::from_bytes(json.to_string().as_bytes()).unwrap();
        assert_eq!(
            tokenizer.text.encode_raw("<p>").unwrap(),
            [tokenizer.special(SpecialToken::PhraseOpen)]
        ); // the danger
        let ids = tokenizer.encode_text("a <p> b");
        assert!(!ids.contains(&tokenizer.special(SpecialToken::PhraseOpen)));
        assert_eq!(tokenizer.decode(&ids), "a <p> b");
        assert_eq!(tokenizer.vocab_size(), 5001);
    }

    #[test]
    fn post_processor_may_not_put_an_id_before_a_text_that_no_vocabulary_has() {
        let vocab_size = tokenizer().vocab_size();
        for (id, is_accepted) in
            [(1, true), (vocab_size - 1, true), (vocab_size, false), (4_000_000_000, false)]
        {
            let mut json: serde_json::Value =
                serde_json::from_str(&tokenizer().text.to_json()).unwrap();
            json["post_processor"] = serde_json::json!({
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [id], "tokens": ["<s>"]}}
            });
            match TextTokenizer::from_bytes(json.to_string().as_bytes()) {
                Ok(tokenizer) => assert!(is_accepted && tokenizer.opening() == [id as u32], "{id}"),
                Err(error) => assert!(
                    !is_accepted
                        && error.to_string().contains(&format!("the id {id} before a text")),
                    "{id}: {error}"
                ),
            }
        }
    }

    #[test]
    fn training_does_not_depend_on_the_order_of_texts() {
        let mut reversed = TEXTS;
        reversed.reverse();
        let json = |texts| train_bpe(texts, 290).unwrap().text.to_json();
        assert_eq!(json(TEXTS), json(reversed));
        assert_eq!(tokenizer().special(SpecialToken::Pad), 0);
        assert!(train_bpe(TEXTS, 100).is_err() && train_bpe(TEXTS, 1 << 20).is_err());
    }

    #[test]
    fn saved_tokenizer_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        let tokenizer = tokenizer();
        tokenizer.save(&path).unwrap();
        let again = Tokenizer::from_file(&path).unwrap();
        assert_eq!(again.encode("<s>the ear [SEG]"), tokenizer.encode("<s>the ear [SEG]"));
        assert_eq!(again.vocab_size(), tokenizer.vocab_size());
        assert!(tokenizer.save(&folder.path().join("no/such/folder.json")).is_err());
    }

    #[test]
    fn files_that_are_no_tokenizer_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        assert!(matches!(Tokenizer::from_file(&path), Err(LanguageError::ReadTokenizer { .. })));
        let of_folder = TextTokenizer::from_folder(folder.path());
        assert!(matches!(of_folder, Err(LanguageError::ReadTokenizer { .. }))); // named once
        for content in ["", "{}", "[1, 2]", "{\"version\":\"1.0\",\"model\":{\"type\":\"BPE\"}}"] {
            fs::write(&path, content).unwrap();
            let error = Tokenizer::from_file(&path).unwrap_err();
            assert!(error.to_string().contains("tokenizer.json"), "{error}");
            let LanguageError::UseTokenizer { source, .. } = error else { panic!("{error}") };
            assert!(matches!(*source, LanguageError::InvalidTokenizer { .. }), "{content}");
        }
        fs::write(
            &path,
            "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        )
        .unwrap();
        let message = Tokenizer::from_file(&path).unwrap_err().to_string();
        assert!(
            message
                .ends_with("tokenizer.json is a Git LFS pointer, not the file: run `git lfs pull`"),
            "{message}"
        );
        fs::File::create(&path).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
        assert!(matches!(
            Tokenizer::from_file(&path),
            Err(LanguageError::TokenizerTooLarge { .. })
        ));
    }

    #[test]
    fn tokenizer_without_a_special_token_is_refused_by_name() {
        for (name, other) in [("[SEG]", "[XEG]"), ("</s>", "</x>")] {
            let json = tokenizer().text.to_json().replace(name, other);
            let message = Tokenizer::from_bytes(json.as_bytes()).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    fn without_a_token_of_its_own_padding_is_the_end_of_a_text() {
        let json = tokenizer().text.to_json().replace("<pad>", "<unused>");
        let tokenizer = Tokenizer::from_bytes(json.as_bytes()).unwrap();
        assert_eq!(tokenizer.special(SpecialToken::Pad), tokenizer.special(SpecialToken::Eos));
    }

    #[test]
    fn chat_model_gets_the_tokens_of_omg_llava_behind_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        let mut json: serde_json::Value =
            serde_json::from_str(&tokenizer().text.to_json()).unwrap();
        let of_chat_model = |token: &serde_json::Value| {
            ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]
                .contains(&token["content"].as_str().unwrap())
        };
        json["added_tokens"].as_array_mut().unwrap().retain(of_chat_model);
        // Their ids stay, as those of pieces of text: the vocabulary has no gaps.
        let vocab = json["model"]["vocab"].as_object_mut().unwrap();
        for token in SpecialToken::OF_OMG_LLAVA.iter().chain([&SpecialToken::Pad]) {
            let id = vocab.remove(token.name()).unwrap();
            vocab.insert(format!("piece{id}"), id);
        }
        fs::write(&path, json.to_string()).unwrap();
        assert!(Tokenizer::from_file(&path).unwrap_err().to_string().contains("tokenizer.json"));
        let plain = TextTokenizer::from_file(&path).unwrap();
        let extended = Tokenizer::from_chat_model(&path).unwrap();
        let ids = SpecialToken::OF_OMG_LLAVA.map(|token| extended.special(token) as usize);
        let first = ids[0];
        assert_eq!(first, plain.vocab_size());
        assert_eq!(ids, std::array::from_fn(|place| first + place));
        assert_eq!(extended.encode_text("the ear"), plain.encode_text("the ear"));
        extended.save(&path).unwrap();
        let again = Tokenizer::from_chat_model(&path).unwrap();
        assert_eq!(again.special(SpecialToken::Mark), extended.special(SpecialToken::Mark));
    }
}
