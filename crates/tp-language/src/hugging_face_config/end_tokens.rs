//! The tokens that end an answer.

use std::path::Path;

use serde_json::Value;

use crate::{LanguageError, config_file::read_config};

/// The tokens that end an answer, as a Hugging Face folder names them: `eos_token_id` of
/// `generation_config.json`, or else of `config.json`; none if neither does.
///
/// # Errors
///
/// [`LanguageError`] if a file cannot be read, or is no JSON.
pub fn end_tokens(folder: &Path) -> Result<Vec<u32>, LanguageError> {
    for path in ["generation_config.json", "config.json"].map(|name| folder.join(name)) {
        if !path.exists() {
            continue;
        }
        let config: Value = serde_json::from_slice(&read_config(&path)?).map_err(|error| {
            LanguageError::UnusableConfig { path: path.clone(), reason: error.to_string() }
        })?;
        let ids: Vec<u32> = match &config["eos_token_id"] {
            Value::Array(several) => several.iter().filter_map(as_id).collect(),
            one => as_id(one).into_iter().collect(),
        };
        if !ids.is_empty() {
            return Ok(ids);
        }
    }
    Ok(Vec::new())
}

fn as_id(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn end_tokens_are_read_from_either_file() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, value: Value| {
            std::fs::write(folder.path().join(name), value.to_string()).unwrap()
        };
        assert_eq!(end_tokens(folder.path()).unwrap(), [0_u32; 0]);
        write("config.json", json!({ "eos_token_id": 2 }));
        assert_eq!(end_tokens(folder.path()).unwrap(), [2]);
        write("generation_config.json", json!({ "eos_token_id": [7, 9, -1] }));
        assert_eq!(end_tokens(folder.path()).unwrap(), [7, 9]);
        std::fs::write(folder.path().join("generation_config.json"), "{").unwrap();
        assert!(
            end_tokens(folder.path()).unwrap_err().to_string().contains("generation_config.json")
        );
    }
}
