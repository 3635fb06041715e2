//! Text ↔ token ids by any `tokenizer.json`, guarded: a file is capped, a panic of the library
//! becomes an error, and what a user types can never become a special token.

use std::{
    collections::HashSet,
    fmt, fs,
    io::{Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use tp_core::is_lfs_pointer;

use crate::LanguageError;

/// No tokenizer of a published language model comes near.
const MAX_FILE_BYTES: u64 = 32 << 20;

/// Text ↔ token ids.
#[derive(Clone)]
pub struct TextTokenizer {
    inner: tokenizers::Tokenizer, // set to read special tokens in a text as text
    no_text: HashSet<u32>,
    vocab_size: usize,
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
        let invalid = |reason| LanguageError::InvalidTokenizer { reason };
        guarded(|| tokenizers::Tokenizer::from_bytes(bytes)).map_err(invalid).and_then(Self::new)
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
        let tokenizer = Self { inner, no_text, vocab_size };
        match tokenizer.opening().into_iter().find(|&id| id as usize >= vocab_size) {
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
    }

    /// The ids of plain text. Whatever it says, no id of a special token is among them.
    #[must_use]
    pub fn encode_text(&self, text: &str) -> Vec<u32> {
        if text.is_empty() {
            return Vec::new();
        }
        match self.encode_raw(text) {
            Ok(ids) if !ids.iter().any(|id| self.no_text.contains(id)) => ids,
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
        let encoded = |specials| {
            guarded(|| self.inner.encode_fast("a", specials))
                .map(|encoding| encoding.get_ids().to_vec())
        };
        let (Ok(with), Ok(without)) = (encoded(true), encoded(false)) else { return Vec::new() };
        let at = with.windows(without.len().max(1)).position(|window| window == without);
        with[..at.unwrap_or(0)].to_vec()
    }

    fn encode_with_specials(&self, text: &str) -> Result<Vec<u32>, String> {
        let mut inner = self.inner.clone();
        inner.set_encode_special_tokens(false);
        guarded(|| inner.encode_fast(text, false)).map(|encoding| encoding.get_ids().to_vec())
    }

    fn encode_by_character(&self, text: &str) -> Vec<u32> {
        let mut buffer = [0; 4];
        text.chars()
            .flat_map(|character| {
                self.encode_raw(character.encode_utf8(&mut buffer)).unwrap_or_default()
            })
            .filter(|id| !self.no_text.contains(id))
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

/// The tokenizer library panics on some inputs; its panics and errors both become a reason.
pub(crate) fn guarded<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the tokenizer library panicked".to_owned()),
    }
}
