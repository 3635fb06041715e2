//! `sources.jsonl`: the licenses of the photographs.

use std::{collections::HashMap, path::Path, sync::Arc};

use serde::Deserialize;

use super::super::{ReadOptions, json_lines, licence, refusal::Gate};
use crate::{DataError, Licence};

/// The licenses, one photograph per line.
pub(super) const SOURCES: &str = "sources.jsonl";

#[derive(Deserialize)]
struct RawSource {
    file: String,
    licence: Option<String>,
    licence_url: Option<String>,
    attribution: Option<String>,
}

/// The license of every photograph listed in `sources.jsonl`.
pub(super) fn licences(
    root: &Path,
    options: ReadOptions,
) -> Result<HashMap<String, Arc<Licence>>, DataError> {
    let path = root.join(SOURCES);
    let mut licences = HashMap::new();
    if !path.is_file() {
        return Ok(licences);
    }
    let mut of_terms: HashMap<(String, String, Option<String>), Arc<Licence>> = HashMap::new();
    let mut gate = Gate::new(path.clone(), options.strictness);
    json_lines::for_each_line(&path, &mut gate, |_, _, raw: RawSource| {
        if let Some(name) = raw.licence {
            let url = raw.licence_url.unwrap_or_else(|| licence::url_of(&name).to_owned());
            let terms = of_terms.entry((name, url, raw.attribution)).or_insert_with_key(
                |(name, url, attribution)| {
                    Arc::new(Licence {
                        name: name.clone(),
                        url: url.clone(),
                        attribution: attribution.clone(),
                    })
                },
            );
            licences.insert(raw.file, terms.clone());
        }
        Ok(())
    })?;
    Ok(licences)
}
