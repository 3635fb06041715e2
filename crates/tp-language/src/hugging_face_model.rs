//! A decoder straight from a Hugging Face model folder: `config.json` and safetensors, sharded or
//! not.

use std::{fmt, path::Path};

use burn::tensor::Device;
use tp_core::available_memory;
use tp_kernels::{BlockFormat, QuantizedFormat};
use tp_weights::{Checkpoint, TensorEntry, TensorFloat, TensorSlice, WeightsError, load_module};

use crate::{BlockReader, Decoder, DecoderConfig, LanguageError, decoder_keys};

/// What a model will take, before any of it is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Number of parameters.
    pub parameters: u64,
    /// Bytes of all parameters in the number format that was asked for.
    pub weight_bytes: u64,
    /// Bytes of the largest tensor, which stands in memory a second time while it is read.
    pub largest_tensor_bytes: u64,
    /// Bytes that one token takes in the cache.
    pub cache_bytes_per_token: u64,
}

impl MemoryPlan {
    /// The plan for a shape and a number format.
    #[must_use]
    pub fn of(config: &DecoderConfig, float: TensorFloat) -> Self {
        let size = float.dtype().size() as u64;
        let (hidden, ffn) = (config.hidden_size as u64, config.intermediate_size as u64);
        let largest =
            [hidden * config.vocab_size as u64, hidden * ffn, hidden * config.d_qkv() as u64]
                .into_iter()
                .max()
                .unwrap_or(0);
        Self {
            parameters: config.n_parameters(),
            weight_bytes: size * config.n_parameters(),
            // The file's own format may be wider: single precision at most.
            largest_tensor_bytes: 4 * largest,
            cache_bytes_per_token: config.cache_bytes_per_token() / 4 * size,
        }
    }

    /// The plan for a shape whose matrices are kept in blocks.
    #[must_use]
    pub fn in_blocks(config: &DecoderConfig, format: QuantizedFormat) -> Self {
        let (numbers, bytes) = BlockFormat::from(format).block();
        let wide = Self::of(config, TensorFloat::F32);
        Self {
            weight_bytes: wide.parameters * bytes as u64 / numbers as u64,
            // As it stands in the file, once.
            largest_tensor_bytes: wide.largest_tensor_bytes / 2,
            ..wide
        }
    }

    /// Bytes needed while the model is loaded, without any token in the cache.
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        self.weight_bytes + 2 * self.largest_tensor_bytes
    }

    /// Whether this machine has the memory for the model in a folder, where the system says.
    ///
    /// # Errors
    ///
    /// [`LanguageError::OutOfMemory`] if it has not.
    pub fn check(&self, folder: &Path) -> Result<(), LanguageError> {
        match available_memory().filter(|&available| available < self.peak_bytes()) {
            None => Ok(()),
            Some(available) => Err(LanguageError::OutOfMemory {
                path: folder.to_owned(),
                plan: self.to_string(),
                available_mib: available >> 20,
            }),
        }
    }
}

impl fmt::Display for MemoryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        write!(
            f,
            "{:.1} M parameters need {} MiB, {} MiB while they are read, and {} KiB a token in the cache",
            self.parameters as f64 / 1e6,
            mib(self.weight_bytes),
            mib(self.peak_bytes()),
            self.cache_bytes_per_token.div_ceil(1024)
        )
    }
}

/// Loads a decoder from a Hugging Face folder onto a plain device.
///
/// Tensors are read one at a time. Query, key and value matrices of Llama-like models are joined on
/// the way.
///
/// # Errors
///
/// [`LanguageError`] if a file is missing or unsound, the configuration asks for something that the
/// decoder lacks, the weights do not fit it (every fault is in the report), or this machine has not
/// the memory.
pub fn load_hugging_face(
    folder: &Path,
    float: TensorFloat,
    device: &Device,
) -> Result<Decoder, LanguageError> {
    load(folder, Numbers::Float(float), device)
}

/// As [`load_hugging_face`], with the matrices and the embedding table in blocks of eight or four
/// bits; everything else is in single precision.
///
/// Each matrix is brought into blocks as it is read: the model does not stand in memory twice. One
/// whose inputs are no multiple of 32 stays in single precision.
///
/// # Errors
///
/// As [`load_hugging_face`].
pub fn load_hugging_face_quantized(
    folder: &Path,
    format: QuantizedFormat,
    device: &Device,
) -> Result<Decoder, LanguageError> {
    load(folder, Numbers::Blocks(format), device)
}

/// How the numbers of matrices are kept.
#[derive(Clone, Copy)]
enum Numbers {
    Float(TensorFloat),
    Blocks(QuantizedFormat),
}

fn load(folder: &Path, numbers: Numbers, device: &Device) -> Result<Decoder, LanguageError> {
    let mut config = DecoderConfig::from_hugging_face(&folder.join("config.json"))?;
    let checkpoint = open_weights(folder, &mut config)?;
    let plan = match numbers {
        Numbers::Float(float) => MemoryPlan::of(&config, float),
        Numbers::Blocks(format) => MemoryPlan::in_blocks(&config, format),
    };
    tracing::info!("{}: {plan}", folder.display());
    plan.check(folder)?;
    let checkpoint = with_joined_qkv(checkpoint, &config)?;
    let mut decoder = config.init(device);
    let keys = decoder_keys();
    let mut report = match numbers {
        Numbers::Float(float) => load_module(&mut decoder, &checkpoint, &keys, float),
        Numbers::Blocks(format) => {
            let mut blocks = BlockReader::new(&checkpoint, &keys, "", format, device);
            blocks.read(&mut decoder)?;
            blocks.load_rest(&mut decoder, |_, _| TensorFloat::F32)
        }
    };
    // Rotary tables are computed here, and a tied output layer is the embedding table; some files
    // hold them all the same.
    let is_copy = |name: &str| {
        name.ends_with(".rotary_emb.inv_freq")
            || (config.tie_word_embeddings && name == "lm_head.weight")
    };
    report.unused.retain(|name| !is_copy(name));
    if report.is_complete() {
        return Ok(decoder);
    }
    Err(LanguageError::Mismatch { path: folder.to_owned(), report: Box::new(report) })
}

/// Opens the weights of a folder, and corrects the configuration by them.
///
/// An output layer that differs from the embedding table is not tied to it, whatever the
/// configuration says, and of two tied ones a file needs one: transformers decides so, too. What PEFT
/// calls `base_layer` in a model that
/// was saved under an adapter is the layer.
fn open_weights(folder: &Path, config: &mut DecoderConfig) -> Result<Checkpoint, LanguageError> {
    let mut checkpoint = Checkpoint::open(folder)?;
    let entries: Vec<TensorEntry> = checkpoint.entries().cloned().collect();
    if let Some(entry) = entries.iter().find(|entry| entry.name.contains(".lora_")) {
        let reason = format!(
            "{} belongs to an adapter that was not merged: save the base and the adapter apart, or merge them",
            entry.name
        );
        return Err(WeightsError::Unsound { path: folder.to_owned(), reason }.into());
    }
    for entry in entries {
        let name = entry.name.replace(".base_layer.", ".");
        if name != entry.name {
            let bytes = 0..entry.n_bytes().unwrap_or(0);
            let whole = vec![TensorSlice { tensor: entry.name.clone(), bytes }];
            checkpoint = checkpoint.joined(TensorEntry { name, ..entry }, whole)?;
        }
    }
    let tables = ["model.embed_tokens.weight", "lm_head.weight"];
    if config.tie_word_embeddings
        && !checkpoint.contains(tables[0])
        && let Ok(head) = checkpoint.entry(tables[1]).cloned()
    {
        let whole =
            vec![TensorSlice { tensor: head.name.clone(), bytes: 0..head.n_bytes().unwrap_or(0) }];
        checkpoint =
            checkpoint.joined(TensorEntry { name: tables[0].to_owned(), ..head }, whole)?;
        return Ok(checkpoint);
    }
    if config.tie_word_embeddings
        && tables.iter().all(|table| checkpoint.contains(table))
        && checkpoint.read(tables[0])? != checkpoint.read(tables[1])?
    {
        tracing::warn!(
            "{}: tie_word_embeddings is true, and lm_head.weight is another matrix than the embedding table: it is used",
            folder.display()
        );
        config.tie_word_embeddings = false;
    }
    Ok(checkpoint)
}

/// Joins the three matrices of every layer as InternLM2 has them: for each key head its queries,
/// then its key, then its value.
///
/// # Errors
///
/// [`WeightsError`] if one of the three is missing or has not the shape that the configuration
/// says.
pub fn with_joined_qkv(
    mut checkpoint: Checkpoint,
    config: &DecoderConfig,
) -> Result<Checkpoint, WeightsError> {
    for layer in 0..config.num_hidden_layers {
        for (kind, width) in [("weight", config.hidden_size), ("bias", 1)] {
            let name = |part: &str| format!("model.layers.{layer}.self_attn.{part}_proj.{kind}");
            if !checkpoint.contains(&name("q")) {
                continue;
            }
            let dtype = checkpoint.entry(&name("q"))?.dtype;
            // Bytes of the rows of one head.
            let head = config.d_head() * width * dtype.size();
            let mut pieces = Vec::new();
            for kv_head in 0..config.num_key_value_heads {
                let mut piece = |part: &str, first: usize, n: usize| {
                    pieces.push(TensorSlice {
                        tensor: name(part),
                        bytes: first * head..(first + n) * head,
                    })
                };
                piece("q", kv_head * config.queries_per_key(), config.queries_per_key());
                piece("k", kv_head, 1);
                piece("v", kv_head, 1);
            }
            for (part, heads) in [
                ("q", config.num_attention_heads),
                ("k", config.num_key_value_heads),
                ("v", config.num_key_value_heads),
            ] {
                let entry = checkpoint.entry(&name(part))?;
                if entry.dtype != dtype || entry.n_bytes() != Some(heads * head) {
                    let reason = format!(
                        "{} has the shape {:?} where the configuration says {heads} heads",
                        name(part),
                        entry.shape
                    );
                    return Err(WeightsError::Unsound {
                        path: checkpoint.path().to_owned(),
                        reason,
                    });
                }
            }
            let shape = if kind == "weight" {
                vec![config.d_qkv(), config.hidden_size]
            } else {
                vec![config.d_qkv()]
            };
            let entry = TensorEntry {
                name: format!("model.layers.{layer}.attention.wqkv.{kind}"),
                dtype,
                shape,
            };
            checkpoint = checkpoint.joined(entry, pieces)?;
        }
    }
    Ok(checkpoint)
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;
    use tp_weights::write_safetensors;

    use super::*;

    #[test]
    fn plan_of_the_published_model_is_known() {
        // 7.7 G parameters of two bytes; 131,072 bytes of cache a token.
        let plan = MemoryPlan::of(&DecoderConfig::internlm2_7b(), TensorFloat::BF16);
        assert_eq!(
            (plan.weight_bytes, plan.cache_bytes_per_token),
            (2 * (7_737_708_544 + 32_768), 131_072)
        );
        assert!(plan.to_string().contains("128 KiB a token"), "{plan}");
    }

    #[test]
    fn rows_are_joined_head_by_head() {
        // One key head with two queries; heads of two rows; a matrix of width 1, so a row is one
        // number.
        let config = DecoderConfig { head_dim: Some(2), ..DecoderConfig::new(4, 1, 1, 1, 4, 2) };
        let folder = tempfile::tempdir().unwrap();
        let entry = |part: &str, rows| TensorEntry {
            name: format!("model.layers.0.self_attn.{part}_proj.weight"),
            dtype: DType::U8,
            shape: vec![rows, 1],
        };
        let entries = [entry("q", 8), entry("k", 4), entry("v", 4)];
        let numbers = |entry: &TensorEntry| {
            let start = if entry.name.contains("q_") {
                0
            } else if entry.name.contains("k_") {
                10
            } else {
                20
            };
            Ok((start..start + entry.shape[0] as u8).collect())
        };
        write_safetensors(folder.path(), &entries, u64::MAX, numbers).unwrap();
        let joined = with_joined_qkv(Checkpoint::open(folder.path()).unwrap(), &config).unwrap();
        let bytes = joined.read("model.layers.0.attention.wqkv.weight").unwrap();
        assert_eq!(bytes, [0, 1, 2, 3, 10, 11, 20, 21, 4, 5, 6, 7, 12, 13, 22, 23]);

        let other = DecoderConfig { num_key_value_heads: 4, ..config };
        let message = with_joined_qkv(Checkpoint::open(folder.path()).unwrap(), &other)
            .unwrap_err()
            .to_string();
        assert!(message.contains("k_proj") || message.contains("no bytes"), "{message}");
    }
}
