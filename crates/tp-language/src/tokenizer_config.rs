//! What stands beside a `tokenizer.json`: which tokens are special, which were added, and the chat
//! template, each in one of several files, as transformers looks for them.
//!
//! Source: `PreTrainedTokenizerBase._from_pretrained` and `TokenizersBackend.__init__` of
//! transformers 5.24.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Map, Value};
use tokenizers::AddedToken;
use tp_core::is_lfs_pointer;

use crate::{LanguageError, tokenizer_class::TokenizerClass};

/// Lists of added tokens make some of these files long.
const MAX_BYTES: u64 = 32 << 20;
/// No publisher names more templates.
const MAX_TEMPLATES: usize = 256;

/// Roles that a token may have by name.
const ROLES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// A token as these files write it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
struct Token {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
}

impl Token {
    fn special(content: &str) -> Self {
        Self {
            content: content.to_owned(),
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: None,
            special: true,
        }
    }

    /// A token is written as text, or as an object that holds it.
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::String(content) => Some(Self::special(content)),
            Value::Object(_) => {
                Deserialize::deserialize(value).ok().map(|token| Self { special: true, ..token })
            }
            _ => None,
        }
    }

    fn added(&self) -> AddedToken {
        AddedToken::from(self.content.clone(), self.special)
            .single_word(self.single_word)
            .lstrip(self.lstrip)
            .rstrip(self.rstrip)
            .normalized(self.normalized.unwrap_or(!self.special))
    }
}

/// The templates of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Templates {
    None,
    One(String),
    Named { names: Vec<String>, default: Option<String> },
}

/// What the files of a folder say about its tokenizer.
#[derive(Clone, Debug)]
pub(crate) struct TokenizerConfig {
    folder: PathBuf,
    /// More than the file says, if transformers reads it so.
    class: Option<TokenizerClass>,
    templates: Templates,
    /// Tokens by their role: `bos_token`, `eos_token` and others.
    named: Vec<(String, Token)>,
    /// Special tokens without a role.
    extra: Vec<Token>,
    /// Tokens beside the vocabulary, in the order of their ids.
    added: Vec<Token>,
}

impl TokenizerConfig {
    /// Reads `tokenizer_config.json`, `special_tokens_map.json`, `added_tokens.json`,
    /// `chat_template.jinja` and `additional_chat_templates/`; each may be absent.
    ///
    /// # Errors
    ///
    /// [`LanguageError`] if a file cannot be read or is not what its name says.
    pub(crate) fn from_folder(folder: &Path) -> Result<Self, LanguageError> {
        let path = folder.join("tokenizer_config.json");
        let mut config = object(&path)?;
        let class = TokenizerClass::of(&object(&folder.join("config.json"))?, &config);
        // The list of added tokens is the newer form; with it the older files are not looked at.
        let mut added = BTreeMap::new();
        if let Some(decoder) = config.get("added_tokens_decoder") {
            let decoder: BTreeMap<u32, Token> = Deserialize::deserialize(decoder)
                .map_err(|error| unusable(&path, format!("added_tokens_decoder: {error}")))?;
            added = decoder;
        } else {
            config.extend(object(&folder.join("special_tokens_map.json"))?);
            let named: Vec<String> = ROLES
                .iter()
                .filter_map(|role| Some(Token::read(config.get(*role)?)?.content))
                .collect();
            for (content, id) in object(&folder.join("added_tokens.json"))? {
                let Some(id) = id.as_u64().and_then(|id| u32::try_from(id).ok()) else { continue };
                let special = named.contains(&content);
                added.insert(id, Token { special, ..Token::special(&content) });
            }
        }
        let mut named: Vec<(String, Token)> = ROLES
            .iter()
            .filter_map(|role| Some(((*role).to_owned(), Token::read(config.get(*role)?)?)))
            .collect();
        let mut extra = Vec::new();
        for key in ["extra_special_tokens", "additional_special_tokens"] {
            match config.get(key) {
                Some(Value::Array(tokens)) => extra.extend(tokens.iter().filter_map(Token::read)),
                Some(Value::Object(tokens)) => named.extend(
                    tokens
                        .iter()
                        .filter_map(|(role, token)| Some((role.clone(), Token::read(token)?))),
                ),
                _ => {}
            }
        }
        for (key, value) in &config {
            let is_other = key.ends_with("_token") && !ROLES.contains(&key.as_str());
            if let Some(token) = value.as_str().filter(|_| is_other) {
                named.push((key.clone(), Token::special(token)));
            }
        }
        for (role, token) in class.into_iter().flat_map(TokenizerClass::default_roles) {
            if !config.contains_key(*role) {
                named.push(((*role).to_owned(), Token::special(token)));
            }
        }
        let templates = templates(folder, config.get("chat_template"))?;
        let added = added.into_values().collect();
        Ok(Self { folder: folder.to_owned(), class, templates, named, extra, added })
    }

    /// The template for plain conversations, if the folder has templates.
    ///
    /// # Errors
    ///
    /// [`LanguageError::UnusableConfig`] if it has named ones alone, none of which is the default.
    pub(crate) fn chat_template(&self) -> Result<Option<String>, LanguageError> {
        match &self.templates {
            Templates::None => Ok(None),
            Templates::One(template) => Ok(Some(template.clone())),
            Templates::Named { default: Some(template), .. } => Ok(Some(template.clone())),
            Templates::Named { names, default: None } => Err(unusable(
                &self.folder,
                format!("its chat templates are {}: one must be named default", names.join(", ")),
            )),
        }
    }

    /// What templates may write by name: `bos_token` and others.
    pub(crate) fn roles(&self) -> Vec<(String, String)> {
        self.named.iter().map(|(role, token)| (role.clone(), token.content.clone())).collect()
    }

    /// The content of a `tokenizer.json` as the tokenizer's class has it; `None` if that is the file
    /// as it is.
    pub(crate) fn of_class(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let class = self.class?;
        let mut file: Value = serde_json::from_slice(bytes).ok()?;
        let is_known = file.get("model").is_some_and(Value::is_object);
        (is_known && class.applied(&mut file)).then(|| file.to_string().into_bytes())
    }

    /// Tokens of these files that a tokenizer lacks, or has otherwise.
    pub(crate) fn missing_in(&self, tokenizer: &tokenizers::Tokenizer) -> Vec<AddedToken> {
        let known = tokenizer.get_added_tokens_decoder();
        let is_known = |token: &AddedToken| {
            known.values().any(|known| {
                let flags = |token: &AddedToken| {
                    [token.single_word, token.lstrip, token.rstrip, token.normalized, token.special]
                };
                known.content == token.content && flags(known) == flags(token)
            })
        };
        let mut missing: Vec<AddedToken> = Vec::new();
        for token in &self.added {
            let has_role = self.named.iter().any(|(_, named)| named.content == token.content);
            let token = token.added();
            if !is_known(&token) {
                missing.push(if has_role { token.special(true) } else { token });
            }
        }
        for token in self.named.iter().map(|(_, token)| token).chain(&self.extra) {
            let contains = |content: &str| content == token.content;
            if !known.values().any(|known| contains(&known.content))
                && !missing.iter().any(|added| contains(&added.content))
            {
                missing.push(token.added());
            }
        }
        missing
    }
}

/// The templates of a folder; files of their own count before those in the configuration.
fn templates(folder: &Path, in_config: Option<&Value>) -> Result<Templates, LanguageError> {
    let mut files = Vec::new();
    if let Some(template) = read(&folder.join("chat_template.jinja"))? {
        files.push(("default".to_owned(), template));
    }
    if let Ok(entries) = fs::read_dir(folder.join("additional_chat_templates")) {
        let mut paths: Vec<PathBuf> = entries
            .take(MAX_TEMPLATES)
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "jinja"))
            .collect();
        paths.sort();
        for path in paths {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            files.extend(read(&path)?.map(|template| (name, template)));
        }
    }
    let of_named = |named: Vec<(String, String)>| Templates::Named {
        default: named.iter().find(|(name, _)| name == "default").map(|(_, text)| text.clone()),
        names: named.into_iter().map(|(name, _)| name).collect(),
    };
    if !files.is_empty() {
        return Ok(of_named(files));
    }
    Ok(match in_config {
        Some(Value::String(template)) => Templates::One(template.clone()),
        Some(Value::Array(named)) if !named.is_empty() => {
            let text = |entry: &Value, key: &str| entry[key].as_str().map(str::to_owned);
            of_named(
                named
                    .iter()
                    .filter_map(|entry| Some((text(entry, "name")?, text(entry, "template")?)))
                    .collect(),
            )
        }
        Some(Value::Object(named)) if !named.is_empty() => of_named(
            named
                .iter()
                .filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())))
                .collect(),
        ),
        _ => Templates::None,
    })
}

/// The object in a JSON file; empty if there is no such file.
fn object(path: &Path) -> Result<Map<String, Value>, LanguageError> {
    let Some(text) = read(path)? else { return Ok(Map::new()) };
    serde_json::from_str(&text).map_err(|error| unusable(path, error.to_string()))
}

/// The text of a file, if there is one.
fn read(path: &Path) -> Result<Option<String>, LanguageError> {
    if !path.exists() {
        return Ok(None);
    }
    let failed = |source| LanguageError::ReadConfig { path: path.to_owned(), source };
    let mut text = String::new();
    fs::File::open(path)
        .map_err(failed)?
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if is_lfs_pointer(text.as_bytes()) {
        return Err(LanguageError::LfsPointer { path: path.to_owned() });
    }
    if text.len() as u64 > MAX_BYTES {
        return Err(unusable(path, format!("it has more than {MAX_BYTES} bytes")));
    }
    Ok(Some(text))
}

fn unusable(path: &Path, reason: String) -> LanguageError {
    LanguageError::UnusableConfig { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(files: &[(&str, String)]) -> Result<TokenizerConfig, LanguageError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        TokenizerConfig::from_folder(folder.path())
    }

    fn role(config: &TokenizerConfig, role: &str) -> Option<String> {
        config.roles().into_iter().find(|(name, _)| name == role).map(|(_, token)| token)
    }

    #[test]
    fn older_files_count_where_the_newer_list_is_absent() {
        let map =
            ("special_tokens_map.json", json!({ "bos_token": { "content": "<a>" } }).to_string());
        let file = |value: Value| ("tokenizer_config.json", value.to_string());
        let old = config(&[map.clone(), file(json!({ "bos_token": "<b>", "image_token": "<i>" }))])
            .unwrap();
        assert_eq!(role(&old, "bos_token").as_deref(), Some("<a>"));
        assert_eq!(role(&old, "image_token").as_deref(), Some("<i>"));
        assert_eq!(role(&old, "eos_token"), None);
        let new =
            json!({ "bos_token": "<b>", "added_tokens_decoder": { "3": { "content": "<b>" } } });
        assert_eq!(role(&config(&[map, file(new)]).unwrap(), "bos_token").as_deref(), Some("<b>"));
    }

    #[test]
    fn files_of_templates_count_before_the_configuration() {
        let file = ("tokenizer_config.json", json!({ "chat_template": "in config" }).to_string());
        let jinja = ("chat_template.jinja", "of its own".to_owned());
        let tools = ("additional_chat_templates/tool_use.jinja", "with tools".to_owned());
        let template = |files: &[(&str, String)]| config(files).unwrap().chat_template();
        assert_eq!(template(&[]).unwrap(), None);
        assert_eq!(template(std::slice::from_ref(&file)).unwrap().as_deref(), Some("in config"));
        assert_eq!(
            template(&[file.clone(), jinja.clone()]).unwrap().as_deref(),
            Some("of its own")
        );
        assert_eq!(template(&[jinja, tools.clone()]).unwrap().as_deref(), Some("of its own"));
        let message = template(&[file, tools]).unwrap_err().to_string();
        assert!(message.contains("tool_use") && message.contains("default"), "{message}");
        let named = json!({ "chat_template": [{ "name": "rag", "template": "x" }, { "name": "default", "template": "y" }] });
        let named = ("tokenizer_config.json", named.to_string());
        assert_eq!(template(&[named]).unwrap().as_deref(), Some("y"));
    }
}
