//! Text ↔ token ids by any `tokenizer.json`, guarded: a file is capped, a panic of the library
//! becomes an error, and what a user types can never become a special token.

use std::{
    collections::HashSet,
    fmt, fs,
    io::{Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, OnceLock},
};

use serde::Deserialize;
use tokenizers::AddedVocabulary;
use tp_core::is_lfs_pointer;

use crate::{LanguageError, tokenizer_config::TokenizerConfig};

/// No tokenizer of a published language model comes near.
const MAX_FILE_BYTES: u64 = 32 << 20;

/// Text ↔ token ids.
#[derive(Clone)]
pub struct TextTokenizer {
    inner: tokenizers::Tokenizer, // set to read special tokens in a text as text
    /// The same, set to read them as tokens; made when it is first asked for.
    parsing: OnceLock<Arc<tokenizers::Tokenizer>>,
    no_text: HashSet<u32>,
    /// What stands for a character that the vocabulary lacks.
    unknown: Option<u32>,
    vocab_size: usize,
}

/// The name or the number under which a tokenizer file says what stands for unknown characters.
#[derive(Deserialize)]
struct UnknownToken {
    model: UnknownTokenOfModel,
}

#[derive(Deserialize)]
struct UnknownTokenOfModel {
    unk_token: Option<String>,
    unk_id: Option<u32>,
}

impl TextTokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, has more than 32 MiB, or is no tokenizer.
    pub fn from_file(path: &Path) -> Result<Self, LanguageError> {
        Self::from_bytes(&Self::bytes_of(path)?).map_err(|error| error.in_tokenizer(path))
    }

    /// Reads the `tokenizer.json` of a Hugging Face folder, and adds the tokens that the files
    /// beside it name: `tokenizer_config.json`, `special_tokens_map.json`, `added_tokens.json`.
    ///
    /// # Errors
    ///
    /// As [`TextTokenizer::from_file`], and if one of the files beside it cannot be read.
    pub fn from_folder(folder: &Path) -> Result<Self, LanguageError> {
        let path = folder.join("tokenizer.json");
        let config = TokenizerConfig::from_folder(folder)?;
        let bytes = Self::bytes_of(&path)?;
        let read = || {
            let bytes = config.of_class(&bytes).unwrap_or(bytes);
            let mut inner = parsed(&bytes)?;
            let missing = config.missing_in(&inner);
            guarded(|| inner.add_tokens(missing))
                .map_err(|reason| LanguageError::InvalidTokenizer { reason })?;
            Self::with_unknown(inner, &bytes)
        };
        read().map_err(|error: LanguageError| error.in_tokenizer(&path))
    }

    /// The content of a tokenizer file.
    fn bytes_of(path: &Path) -> Result<Vec<u8>, LanguageError> {
        let read = |source| LanguageError::ReadTokenizer { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        // The limit holds for what is read, whatever size the file system reports.
        fs::File::open(path)
            .map_err(read)?
            .take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(read)?;
        match () {
            () if is_lfs_pointer(&bytes) => {
                Err(LanguageError::LfsPointer { path: path.to_owned() })
            }
            () if bytes.len() as u64 > MAX_FILE_BYTES => Err(LanguageError::TokenizerTooLarge {
                path: path.to_owned(),
                limit: MAX_FILE_BYTES,
            }),
            () => Ok(bytes),
        }
    }

    /// As [`TextTokenizer::from_file`], from the file's content.
    ///
    /// # Errors
    ///
    /// If it is no tokenizer.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LanguageError> {
        Self::with_unknown(parsed(bytes)?, bytes)
    }

    fn with_unknown(inner: tokenizers::Tokenizer, bytes: &[u8]) -> Result<Self, LanguageError> {
        let mut tokenizer = Self::new(inner)?;
        if let Ok(UnknownToken { model }) = serde_json::from_slice(bytes) {
            let named = model.unk_token.and_then(|name| tokenizer.token_id(&name));
            tokenizer.unknown = named.or(model.unk_id);
        }
        Ok(tokenizer)
    }

    /// As [`TextTokenizer::from_bytes`], from a value.
    pub(crate) fn from_json(json: &serde_json::Value) -> Result<Self, LanguageError> {
        Self::from_bytes(json.to_string().as_bytes())
    }

    pub(crate) fn new(mut inner: tokenizers::Tokenizer) -> Result<Self, LanguageError> {
        let invalid = |reason| LanguageError::InvalidTokenizer { reason };
        guarded(|| {
            inner.with_padding(None);
            inner.with_truncation(None).map(|_| ())
        })
        .map_err(invalid)?;
        let added = inner.get_added_tokens_decoder();
        let no_text = added.iter().filter(|(_, token)| token.special).map(|(&id, _)| id).collect();
        let vocab_size =
            inner.get_vocab(true).into_values().max().map_or(0, |largest| largest as usize + 1);
        inner.set_encode_special_tokens(true);
        let tokenizer =
            Self { inner, parsing: OnceLock::new(), no_text, unknown: None, vocab_size };
        match tokenizer.surroundings().concat().into_iter().find(|&id| id as usize >= vocab_size) {
            // No embedding has a row for it.
            Some(id) => Err(invalid(format!(
                "its post-processor puts the id {id} before a text, its vocabulary has {vocab_size}"
            ))),
            None => Ok(tokenizer),
        }
    }

    /// Writes a `tokenizer.json`: whole, or not at all.
    ///
    /// # Errors
    ///
    /// [`LanguageError::WriteTokenizer`] if the file system refuses.
    pub fn save(&self, path: &Path) -> Result<(), LanguageError> {
        let write = |source| LanguageError::WriteTokenizer { path: path.to_owned(), source };
        let json = guarded(|| self.inner.to_string(true))
            .map_err(|reason| write(std::io::Error::other(reason)))?;
        tp_core::write_atomically(path, |file| file.write_all(json.as_bytes())).map_err(write)
    }

    /// One more than the largest id: the rows that an embedding table needs.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The id of a token by its name, e.g. `<|im_end|>`.
    #[must_use]
    pub fn token_id(&self, name: &str) -> Option<u32> {
        self.inner.token_to_id(name)
    }

    /// The only id that a name is encoded as when it may be a special token; `None` if it is none
    /// or several.
    pub(crate) fn single_id(&self, name: &str) -> Option<u32> {
        let ids = self.encode_with_specials(name).ok()?;
        match (&ids[..], self.token_id(name)) {
            (&[only], Some(known)) if only == known => Some(only),
            _ => None,
        }
    }

    /// The same with more special tokens, whose ids follow the largest; names that it has keep
    /// theirs.
    pub(crate) fn with_special_tokens(
        mut self,
        names: impl IntoIterator<Item = &'static str>,
    ) -> Result<Self, LanguageError> {
        let invalid = |reason| LanguageError::InvalidTokenizer { reason };
        let names: Vec<_> = names.into_iter().collect();
        let new: Vec<_> =
            names.iter().filter(|name| self.inner.token_to_id(name).is_none()).collect();
        let tokens: Vec<_> =
            names.iter().map(|&name| tokenizers::AddedToken::from(name, true)).collect();
        guarded(|| self.inner.add_special_tokens(tokens)).map_err(invalid)?;
        let id = |name: &str| self.inner.token_to_id(name).map_or(0, |id| id as usize);
        // The library counts on where the vocabulary ends if it has no holes.
        match new.into_iter().find(|name| id(name) < self.vocab_size) {
            Some(name) => Err(invalid(format!(
                "its ids have gaps, and {name} would get {}, which is another token's",
                id(name)
            ))),
            None => Self::new(self.inner),
        }
    }

    /// Makes tokens stand for no text: they are left out of it, and no text becomes one.
    pub(crate) fn are_no_text(&mut self, ids: impl IntoIterator<Item = u32>) {
        self.no_text.extend(ids);
        self.unknown = None; // it may be one of them
    }

    /// The ids of plain text. Whatever it says, no id of a special token is among them, but the one
    /// that stands for characters that the vocabulary lacks.
    #[must_use]
    pub fn encode_text(&self, text: &str) -> Vec<u32> {
        if text.is_empty() {
            return Vec::new();
        }
        match self.encode_raw(text) {
            Ok(ids) if !ids.iter().any(|&id| self.is_special(id)) => ids,
            // A vocabulary can spell a special token out of ordinary pieces, or refuse a text as a
            // whole.
            Ok(_) => self.encode_by_character(text),
            Err(reason) => {
                tracing::warn!(%reason, "the tokenizer refuses a text: its characters are encoded one by one");
                self.encode_by_character(text)
            }
        }
    }

    /// The ids of a text in which special tokens are written by name. For texts of the program's
    /// own and for templates of a model's publisher, never for those of users.
    ///
    /// # Errors
    ///
    /// [`LanguageError::InvalidTokenizer`] if the tokenizer refuses it.
    pub fn encode_template(&self, text: &str) -> Result<Vec<u32>, LanguageError> {
        self.encode_with_specials(text).map_err(|reason| LanguageError::InvalidTokenizer { reason })
    }

    /// What the tokenizer puts before plain text by itself, e.g. one token that begins it.
    #[must_use]
    pub fn opening(&self) -> Vec<u32> {
        self.surroundings()[0].clone()
    }

    /// What the tokenizer puts before and behind plain text by itself.
    fn surroundings(&self) -> [Vec<u32>; 2] {
        let encoded = |specials| {
            guarded(|| self.inner.encode_fast("a", specials))
                .map(|encoding| encoding.get_ids().to_vec())
        };
        let (Ok(with), Ok(without)) = (encoded(true), encoded(false)) else {
            return [Vec::new(), Vec::new()];
        };
        let at = with.windows(without.len().max(1)).position(|window| window == without);
        at.map_or([Vec::new(), Vec::new()], |at| {
            [with[..at].to_vec(), with[at + without.len()..].to_vec()]
        })
    }

    /// The ids of a prompt without a template: plain text between what the tokenizer puts around
    /// it.
    #[must_use]
    pub fn encode_prompt(&self, text: &str) -> Vec<u32> {
        let [opening, closing] = self.surroundings();
        [opening, self.encode_text(text), closing].concat()
    }

    /// The special tokens by name, longest first.
    pub(crate) fn special_tokens(&self) -> Vec<String> {
        let added = self.inner.get_added_tokens_decoder().into_values();
        let mut tokens: Vec<String> = added
            .filter(|token| token.special && !token.content.is_empty())
            .map(|token| token.content)
            .collect();
        tokens.sort_by_key(|token| (std::cmp::Reverse(token.len()), token.clone()));
        tokens
    }

    /// Whether an id stands for no text, and not for an unknown character either.
    pub(crate) fn is_special(&self, id: u32) -> bool {
        self.no_text.contains(&id) && self.unknown != Some(id)
    }

    fn encode_with_specials(&self, text: &str) -> Result<Vec<u32>, String> {
        let parsing = self.parsing.get_or_init(|| {
            let mut parsing = self.inner.clone();
            parsing.set_encode_special_tokens(false);
            Arc::new(parsing)
        });
        guarded(|| parsing.encode_fast(text, false)).map(|encoding| encoding.get_ids().to_vec())
    }

    /// As [`encode_template`](Self::encode_template), for a text from the middle of a longer one:
    /// what SentencePiece puts before the first word of a text is not put here.
    pub(crate) fn encode_template_part(&self, text: &str) -> Result<Vec<u32>, LanguageError> {
        let invalid = |reason| LanguageError::InvalidTokenizer { reason };
        let encode = |text: &str| self.encode_with_specials(text).map_err(invalid);
        after_new_line(text, encode("\n")?, encode)
    }

    /// As [`encode_text`](Self::encode_text), for a text from the middle of a longer one that spells
    /// an added token.
    pub(crate) fn encode_text_part(&self, text: &str) -> Result<Vec<u32>, LanguageError> {
        let mut bare = self.inner.clone();
        bare.with_added_vocabulary(AddedVocabulary::new());
        let encode = |text: &str| {
            guarded(|| bare.encode_fast(text, false))
                .map(|encoding| encoding.get_ids().to_vec())
                .map_err(|reason| LanguageError::InvalidTokenizer { reason })
        };
        let new_line = self.encode_with_specials("\n");
        let new_line = new_line.map_err(|reason| LanguageError::InvalidTokenizer { reason })?;
        let ids = after_new_line(text, new_line, encode)?;
        let is_forged = |&id: &u32| self.is_special(id) || self.token_id(text) == Some(id);
        Ok(if ids.iter().any(is_forged) { self.encode_by_character(text) } else { ids })
    }

    fn encode_by_character(&self, text: &str) -> Vec<u32> {
        let mut buffer = [0; 4];
        text.chars()
            .flat_map(|character| {
                self.encode_raw(character.encode_utf8(&mut buffer)).unwrap_or_default()
            })
            .filter(|&id| !self.is_special(id))
            .collect()
    }

    pub(crate) fn encode_raw(&self, text: &str) -> Result<Vec<u32>, String> {
        guarded(|| self.inner.encode_fast(text, false)).map(|encoding| encoding.get_ids().to_vec())
    }

    /// The text of ids; special tokens and ids without a token are left out.
    #[must_use]
    pub fn decode(&self, ids: &[u32]) -> String {
        let ids: Vec<u32> = ids.iter().copied().filter(|id| !self.no_text.contains(id)).collect();
        guarded(|| self.inner.decode(&ids, true)).unwrap_or_else(|reason| {
            tracing::warn!(%reason, "the tokenizer cannot decode a sequence");
            String::new()
        })
    }

    #[cfg(test)]
    pub(crate) fn to_json(&self) -> String {
        self.inner.to_string(false).unwrap()
    }
}

impl fmt::Debug for TextTokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextTokenizer")
            .field("vocab_size", &self.vocab_size)
            .finish_non_exhaustive()
    }
}

/// The ids of a text as they are behind a line's end.
fn after_new_line(
    text: &str,
    new_line: Vec<u32>,
    encode: impl Fn(&str) -> Result<Vec<u32>, LanguageError>,
) -> Result<Vec<u32>, LanguageError> {
    let ids = encode(&format!("\n{text}"))?;
    match ids.strip_prefix(&new_line[..]) {
        Some(ids) => Ok(ids.to_vec()),
        None => encode(text),
    }
}

fn parsed(bytes: &[u8]) -> Result<tokenizers::Tokenizer, LanguageError> {
    guarded(|| tokenizers::Tokenizer::from_bytes(bytes))
        .map_err(|reason| LanguageError::InvalidTokenizer { reason })
}

/// The tokenizer library panics on some inputs; its panics and errors both become a reason.
pub(crate) fn guarded<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the tokenizer library panicked".to_owned()),
    }
}
