//! Writing a model folder.

use std::{io::Write, path::Path};

use burn::{
    store::{FloatCastAdapter, ModuleSnapshot, burn_pack},
    tensor::{DType, Device},
};
use tp_core::write_atomically;
use tp_language::Tokenizer;
use tp_vision::NounTable;
use tp_weights::{TensorEntry, WeightsError, write_safetensors};

use super::{
    ModelError,
    files::{CONFIG, NOUNS, TOKENIZER, WEIGHTS},
};
use crate::{Network, NetworkConfig};

/// Writes a model folder: weights in half precision, configuration, tokenizer, and the nouns if it
/// names points; each file whole or not at all. Of matrices in blocks, the numbers are written for
/// which they stand: what has been trained beside them was trained with these.
///
/// # Errors
///
/// [`ModelError`] if a file cannot be written.
pub fn save_model_dir(
    folder: &Path,
    network: &Network,
    config: &NetworkConfig,
    tokenizer: &Tokenizer,
    nouns: Option<&NounTable>,
) -> Result<(), ModelError> {
    let write = |path: &Path, source| ModelError::Write { path: path.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(|source| write(folder, source))?;

    // Burn's own writer puts its metadata down in another order each time; equal networks make
    // equal files.
    let tensors = network.collect(None, Some(Box::new(FloatCastAdapter::to(DType::F16))), false);
    let blocks = network.decoder.block_parameters();
    let in_blocks = |name: &str| blocks.get(name.strip_prefix("decoder.")?);
    let entry = |tensor: &burn_pack::Tensor| TensorEntry {
        name: tensor.name.clone(),
        dtype: tensor.dtype,
        shape: match in_blocks(&tensor.name) {
            Some(blocks) => blocks.shape().to_vec(),
            None => tensor.shape.as_slice().to_vec(),
        },
    };
    let entries: Vec<TensorEntry> = tensors.iter().map(entry).collect();
    let mut tensors = tensors.into_iter();
    write_safetensors(folder, &entries, u64::MAX, |entry| {
        let unsound = |reason: String| WeightsError::Unsound {
            path: folder.join(WEIGHTS),
            reason: format!("{}: {reason}", entry.name),
        };
        let tensor = tensors.next().ok_or_else(|| unsound("it was asked for twice".to_owned()))?;
        if let Some(blocks) = in_blocks(&entry.name) {
            let numbers = blocks.widened(&Device::flex()).into_data().convert_dtype(entry.dtype);
            return Ok(numbers.as_bytes().to_vec());
        }
        tensor
            .into_bytes()
            .map(|bytes| bytes.to_vec())
            .map_err(|error| unsound(one_line(&error.to_string())))
    })?;

    tokenizer.save(&folder.join(TOKENIZER))?;

    save_settings(folder, config, nouns)
}

/// Writes the nouns, if there are any, and the configuration of a model folder: what is fitted after
/// training stands in them.
///
/// # Errors
///
/// [`ModelError`] if a file cannot be written.
pub fn save_settings(
    folder: &Path,
    config: &NetworkConfig,
    nouns: Option<&NounTable>,
) -> Result<(), ModelError> {
    let write = |name: &str, text: serde_json::Result<String>| {
        let path = folder.join(name);
        let text = text.map_err(|source| ModelError::Config { path: path.clone(), source })?;
        write_atomically(&path, |out| writeln!(out, "{text}"))
            .map_err(|source| ModelError::Write { path: path.clone(), source })
    };
    // The configuration last: it may ask for numbers of the nouns.
    if let Some(nouns) = nouns {
        write(NOUNS, serde_json::to_string(nouns))?;
    }
    write(CONFIG, serde_json::to_string_pretty(config))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use tp_vision::Nouns;

    use super::{
        super::{ModelDir, Models},
        *,
    };

    #[test]
    fn equal_networks_make_equal_files() {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny");
        let models = ModelDir::open(&shipped).unwrap().load(&Device::flex()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let saved = |name: &str| {
            let out = folder.path().join(name);
            save_model_dir(
                &out,
                &models.network,
                &models.config,
                &models.tokenizer,
                models.nouns.as_deref().map(Nouns::table),
            )
            .unwrap();
            [CONFIG, NOUNS, TOKENIZER, WEIGHTS].map(|file| std::fs::read(out.join(file)).unwrap())
        };
        // Of six orders of Burn's three entries of metadata, four runs had met the same one once in
        // 216 times.
        let first = saved("0");
        for again in ["1", "2", "3"] {
            assert!(saved(again) == first);
        }
        // What was read is in half precision: it comes back as it was.
        let again = ModelDir::open(folder.path().join("0")).unwrap().load(&Device::flex()).unwrap();
        let data = |models: &Models| {
            models
                .network
                .collect(None, None, false)
                .into_iter()
                .map(|tensor| (tensor.name.clone(), tensor.to_bytes().unwrap().to_vec()))
                .collect::<Vec<_>>()
        };
        assert!(data(&again) == data(&models));
    }
}
