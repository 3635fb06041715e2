//! Adapters in folders of their own, as the PEFT library keeps them: `adapter_config.json` and
//! `adapter_model.safetensors`.

use std::{io::Write, path::Path};

use burn::tensor::{DType, Device, Tensor, TensorData};
use tp_core::write_atomically;
use tp_weights::{Checkpoint, TensorEntry, WeightsError, write_safetensors_file};

use crate::{
    Decoder, DecoderConfig, LanguageError, LoraAdapter, LoraLayer, LoraPair,
    peft_config::{CONFIG, PeftConfig, WrittenConfig},
    principal_part::{PrincipalPart, Product},
    projection::Projection,
};

const WEIGHTS: &str = "adapter_model.safetensors";

/// Under which names an adapter's layers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdapterNames {
    /// `attention.wqkv`, `attention.wo`, `feed_forward.w1`, `w2`, `w3`.
    Internlm2,
    /// `self_attn.q_proj`, `k_proj`, `v_proj`, `o_proj`, `mlp.gate_proj`, `down_proj`, `up_proj`.
    Llama,
}

/// Reads an adapter for a decoder of this shape, under either kind of names.
///
/// Updates of separate queries, keys and values become one of the joined layer: their narrow
/// middles side by side.
///
/// # Errors
///
/// [`LanguageError`] if a file is missing or unsound, asks for something other than plain LoRA, or
/// a tensor does not fit the decoder. An adapter that changes its base, or that acts on a part of
/// the tokens, needs [`PeftAdapter::load`](crate::PeftAdapter::load).
pub fn load_adapter(
    folder: &Path,
    decoder: &DecoderConfig,
    device: &Device,
) -> Result<LoraAdapter, LanguageError> {
    let reader = AdapterReader::open(folder, decoder, device)?;
    reader.adapter(None)
}

/// The updates of a folder whose settings are known. What the settings take out of the base is part
/// of them: of rank twice as large, they give what PEFT's base without it gives.
pub(crate) fn read_adapter(
    folder: &Path,
    config: PeftConfig,
    base: &Decoder,
    device: &Device,
) -> Result<LoraAdapter, LanguageError> {
    AdapterReader::of(folder, config, base.config(), device)?.adapter(Some(base))
}

/// Writes an adapter; PEFT reads it.
///
/// # Errors
///
/// [`LanguageError`] if a file cannot be written.
///
/// # Panics
///
/// If the pairs have different ranks or scales, as an adapter of one configuration has not.
pub fn save_adapter(
    folder: &Path,
    adapter: &LoraAdapter,
    decoder: &DecoderConfig,
    names: AdapterNames,
) -> Result<(), LanguageError> {
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
    let mut targets = Vec::new();
    let mut shape: Option<(usize, f64, f64)> = None;
    let mut add = |name: String, pair: &LoraPair, rows: Option<Vec<usize>>| {
        let own = (pair.rank(), pair.scale(), pair.dropout_share());
        assert!(
            shape.is_none_or(|shape| shape == own),
            "every pair of an adapter has one rank and one scale"
        );
        shape = Some(own);
        let target = name.rsplit('.').next().unwrap_or_default().to_owned();
        if !targets.contains(&target) {
            targets.push(target);
        }
        // PEFT's A is [rank, in] and its B [out, rank]: ours turned.
        let [a, b] =
            [&pair.lora_a, &pair.lora_b].map(|layer| numbers(layer.weight.val().transpose()));
        let rank = pair.rank();
        let b = match rows {
            None => b,
            Some(rows) => {
                rows.into_iter().flat_map(|row| b[row * rank..(row + 1) * rank].to_vec()).collect()
            }
        };
        tensors.push((
            format!("base_model.model.{name}.lora_A.weight"),
            vec![rank, a.len() / rank],
            a,
        ));
        let n_rows = b.len() / rank;
        tensors.push((format!("base_model.model.{name}.lora_B.weight"), vec![n_rows, rank], b));
    };
    for (index, layer) in adapter.layers.iter().enumerate() {
        let at = |tail: &str| format!("model.layers.{index}.{tail}");
        let [wo, w1, w2, w3] = match names {
            AdapterNames::Internlm2 => {
                ["attention.wo", "feed_forward.w1", "feed_forward.w2", "feed_forward.w3"]
            }
            AdapterNames::Llama => {
                ["self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj", "mlp.up_proj"]
            }
        };
        if let Some(pair) = &layer.wqkv {
            match names {
                AdapterNames::Internlm2 => add(at("attention.wqkv"), pair, None),
                // The three share the narrow middle; each has its rows of the way out.
                AdapterNames::Llama => {
                    for (part, rows) in ["q", "k", "v"].into_iter().zip(rows_of_parts(decoder)) {
                        add(at(&format!("self_attn.{part}_proj")), pair, Some(rows));
                    }
                }
            }
        }
        for (name, pair) in [(wo, &layer.wo), (w1, &layer.w1), (w2, &layer.w2), (w3, &layer.w3)] {
            if let Some(pair) = pair {
                add(at(name), pair, None);
            }
        }
    }
    if let Some(pair) = &adapter.output {
        add(if names == AdapterNames::Llama { "lm_head" } else { "output" }.to_owned(), pair, None);
    }
    let (rank, scale, dropout) = shape.unwrap_or((1, 1.0, 0.0));
    let config = WrittenConfig {
        peft_type: "LORA",
        r: rank,
        lora_alpha: scale * rank as f64,
        lora_dropout: dropout,
        bias: "none",
        use_rslora: false,
        use_dora: false,
        target_modules: targets,
        task_type: "CAUSAL_LM",
    };

    let entries: Vec<TensorEntry> = tensors
        .iter()
        .map(|(name, shape, _)| TensorEntry {
            name: name.clone(),
            dtype: DType::F32,
            shape: shape.clone(),
        })
        .collect();
    let bytes = |entry: &TensorEntry| {
        let (.., values) = tensors
            .iter()
            .find(|(name, ..)| *name == entry.name)
            .expect("entries are made from the tensors");
        Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect())
    };
    // Under its own name from the start: the folder may be a model's, whose `model.safetensors`
    // must stay.
    write_safetensors_file(&folder.join(WEIGHTS), &entries, bytes)?;
    let path = folder.join(CONFIG);
    let text = serde_json::to_string_pretty(&config)
        .expect("a struct of numbers and strings has a JSON form");
    write_atomically(&path, |out| writeln!(out, "{text}"))
        .map_err(|source| WeightsError::Write { path, source })?;
    Ok(())
}

/// For queries, keys and values the rows of the joined matrix that are theirs, in the order of the
/// separate matrix.
fn rows_of_parts(decoder: &DecoderConfig) -> [Vec<usize>; 3] {
    let (d_head, queries) = (decoder.d_head(), decoder.queries_per_key());
    let rows = |first: usize, n: usize| {
        (0..decoder.num_key_value_heads)
            .flat_map(move |kv_head| {
                let start = (kv_head * (queries + 2) + first) * d_head;
                start..start + n * d_head
            })
            .collect()
    };
    [rows(0, queries), rows(queries, 1), rows(queries + 1, 1)]
}

/// Takes pairs out of an adapter's folder one at a time, and remembers which tensors were taken.
pub(crate) struct AdapterReader {
    checkpoint: Checkpoint,
    decoder: DecoderConfig,
    config: PeftConfig,
    device: Device,
    taken: std::cell::RefCell<std::collections::HashSet<String>>,
}

/// Numbers of a matrix, row by row.
struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

impl AdapterReader {
    /// Opens a folder of plain LoRA for a decoder of this shape; see [`load_adapter`].
    pub(crate) fn open(
        folder: &Path,
        decoder: &DecoderConfig,
        device: &Device,
    ) -> Result<Self, LanguageError> {
        let config = PeftConfig::read(folder)?;
        let setting = match (&config.principal_part, &config.invocation) {
            (Some((_, setting)), _) => setting,
            (None, Some(_)) => "alora_invocation_tokens",
            (None, None) => return Self::of(folder, config, decoder, device),
        };
        let reason = format!("{setting} asks for more than an update of every token");
        Err(LanguageError::UnusableConfig { path: folder.join(CONFIG), reason })
    }

    fn of(
        folder: &Path,
        config: PeftConfig,
        decoder: &DecoderConfig,
        device: &Device,
    ) -> Result<Self, LanguageError> {
        Ok(Self {
            checkpoint: Checkpoint::open(folder.join(WEIGHTS))?,
            decoder: decoder.clone(),
            config,
            device: device.clone(),
            taken: Default::default(),
        })
    }

    /// Every update of the folder.
    fn adapter(&self, base: Option<&Decoder>) -> Result<LoraAdapter, LanguageError> {
        let layers = (0..self.decoder.num_hidden_layers)
            .map(|index| {
                let of = |part: &str, base: Option<&Projection>| {
                    self.update_of(&format!("layers.{index}.{part}"), base)
                };
                let layer = base.map(|base| &base.layers[index]);
                let attention = layer.map(|layer| &layer.attention);
                let feed_forward = layer.map(|layer| &layer.feed_forward);
                Ok(LoraLayer {
                    wqkv: of("attention.wqkv", attention.map(|attention| &attention.wqkv))?,
                    wo: of("attention.wo", attention.map(|attention| &attention.wo))?,
                    w1: of("feed_forward.w1", feed_forward.map(|feed| &feed.w1))?,
                    w2: of("feed_forward.w2", feed_forward.map(|feed| &feed.w2))?,
                    w3: of("feed_forward.w3", feed_forward.map(|feed| &feed.w3))?,
                })
            })
            .collect::<Result<Vec<_>, LanguageError>>()?;
        let output = self.update_of("output", base.and_then(|base| base.output.as_ref()))?;
        self.take_copies_of_tables(base)?;
        self.everything_was_taken()?;
        Ok(LoraAdapter { layers, output })
    }

    /// The update of a matrix of the decoder by its path there, e.g. `layers.3.attention.wo`, if the
    /// folder has one; `base` is the matrix, where the settings may need it.
    pub(crate) fn update_of(
        &self,
        path: &str,
        base: Option<&Projection>,
    ) -> Result<Option<LoraPair>, LanguageError> {
        let (hidden, ffn) = (self.decoder.hidden_size, self.decoder.intermediate_size);
        let Some((index, part)) =
            path.strip_prefix("layers.").and_then(|rest| rest.split_once('.'))
        else {
            let names = ["output", "lm_head"].map(str::to_owned);
            return self.either(names, [hidden, self.decoder.vocab_size], base);
        };
        let at = |tail: &str| format!("model.layers.{index}.{tail}");
        let (llama, size) = match part {
            "attention.wqkv" => {
                return match self.pair(&at(part), [hidden, self.decoder.d_qkv()], base)? {
                    Some(joined) => Ok(Some(joined)),
                    None => self.joined_pair(&at("self_attn"), base),
                };
            }
            "attention.wo" => ("self_attn.o_proj", [self.decoder.d_queries(), hidden]),
            "feed_forward.w1" => ("mlp.gate_proj", [hidden, ffn]),
            "feed_forward.w2" => ("mlp.down_proj", [ffn, hidden]),
            "feed_forward.w3" => ("mlp.up_proj", [hidden, ffn]),
            _ => return Ok(None),
        };
        self.either([at(part), at(llama)], size, base)
    }

    fn either(
        &self,
        names: [String; 2],
        size: [usize; 2],
        base: Option<&Projection>,
    ) -> Result<Option<LoraPair>, LanguageError> {
        let [first, second] = names;
        match self.pair(&first, size, base)? {
            Some(pair) => Ok(Some(pair)),
            None => self.pair(&second, size, base),
        }
    }

    /// The pair of one layer of `[in, out]`, if the checkpoint has one.
    fn pair(
        &self,
        layer: &str,
        [width, out]: [usize; 2],
        base: Option<&Projection>,
    ) -> Result<Option<LoraPair>, LanguageError> {
        let parts = self.parts(layer, width, (0..out).collect(), base)?;
        Ok(joined(&parts, [width, out], self.config.dropout, &self.device))
    }

    /// One pair of the joined layer from those of queries, keys and values that there are.
    fn joined_pair(
        &self,
        attention: &str,
        base: Option<&Projection>,
    ) -> Result<Option<LoraPair>, LanguageError> {
        let (hidden, out) = (self.decoder.hidden_size, self.decoder.d_qkv());
        let mut parts = Vec::new();
        for (part, rows) in ["q", "k", "v"].into_iter().zip(rows_of_parts(&self.decoder)) {
            parts.extend(self.parts(&format!("{attention}.{part}_proj"), hidden, rows, base)?);
        }
        Ok(joined(&parts, [hidden, out], self.config.dropout, &self.device))
    }

    /// The update of one layer whose outputs are these of `base`, and what the settings take out of
    /// it; nothing if the checkpoint has no update.
    fn parts(
        &self,
        layer: &str,
        width: usize,
        rows: Vec<usize>,
        base: Option<&Projection>,
    ) -> Result<Vec<JoinedPart>, LanguageError> {
        let Some(([a, b], scale)) = self.matrices(layer, [width, rows.len()])? else {
            return Ok(Vec::new());
        };
        let rank = a.rows;
        let mut parts = Vec::new();
        if let Some((part, setting)) = &self.config.principal_part {
            let weight =
                base.map(|base| base.weight.val()).filter(|weight| weight.dims()[0] == width);
            let Some(weight) = weight else {
                let reason = format!(
                    "{setting} changes {layer} of the base: that needs a matrix of its own in single precision"
                );
                let path = self.checkpoint.path().with_file_name(CONFIG);
                return Err(LanguageError::UnusableConfig { path, reason });
            };
            let outputs = weight.dims()[1];
            let all = numbers(weight); // [in, out]
            let matrix: Vec<f32> = rows
                .iter()
                .flat_map(|&row| (0..width).map(move |column| (row, column)))
                .map(|(row, column)| all[column * outputs + row])
                .collect();
            let Product { left, right } = part.of(&matrix, [rows.len(), width], rank);
            let taken = left.len() / rows.len().max(1);
            let b = left.iter().map(|value| -value).collect();
            // PiSSA divides the part by the scale that its product is multiplied by; OLoRA does not.
            let scale = if *part == PrincipalPart::Orthonormal { scale } else { 1.0 };
            parts.push(JoinedPart { rank: taken, a: right, b, rows: rows.clone(), scale });
        }
        parts.push(JoinedPart { rank, a: a.values, b: b.values, rows, scale });
        Ok(parts)
    }

    /// `A`, `[rank, in]`, and `B`, `[out, rank]`, as PEFT has them, and what their product counts.
    fn matrices(
        &self,
        layer: &str,
        [width, out]: [usize; 2],
    ) -> Result<Option<([Matrix; 2], f64)>, LanguageError> {
        let (Some(a), Some(b)) = (self.matrix(layer, "lora_A")?, self.matrix(layer, "lora_B")?)
        else {
            return Ok(None);
        };
        let path = self.checkpoint.path().with_file_name(CONFIG);
        let settings = self
            .config
            .of_layer(layer)
            .map_err(|reason| LanguageError::UnusableConfig { path: path.clone(), reason })?;
        if a.rows == b.columns && a.rows != settings.rank {
            let reason =
                format!("it gives {layer} the rank {}, the tensors have {}", settings.rank, a.rows);
            return Err(LanguageError::UnusableConfig { path, reason });
        }
        if a.columns != width || b.rows != out || a.rows != b.columns {
            let reason = format!(
                "the update of {layer} is {}×{} and {}×{}, the layer is {out}×{width}",
                a.rows, a.columns, b.rows, b.columns
            );
            return Err(
                WeightsError::Unsound { path: self.checkpoint.path().to_owned(), reason }.into()
            );
        }
        Ok(Some(([a, b], settings.scale)))
    }

    fn matrix(&self, layer: &str, part: &str) -> Result<Option<Matrix>, LanguageError> {
        // The live model's names have `default` in them, those of files do not.
        let names = ["", ".default"]
            .map(|adapter| format!("base_model.model.{layer}.{part}{adapter}.weight"));
        let Some(name) = names.into_iter().find(|name| self.checkpoint.contains(name)) else {
            return Ok(None);
        };
        let entry = self.checkpoint.entry(&name)?;
        let &[rows, columns] = &entry.shape[..] else {
            let reason = format!("{name} has the shape {:?}, a matrix is needed", entry.shape);
            return Err(
                WeightsError::Unsound { path: self.checkpoint.path().to_owned(), reason }.into()
            );
        };
        let data =
            TensorData::from_bytes_vec(self.checkpoint.read(&name)?, [rows, columns], entry.dtype)
                .convert::<f32>();
        let values = data.as_slice::<f32>().expect("the data was converted to f32").to_vec();
        self.taken.borrow_mut().insert(name);
        Ok(Some(Matrix { rows, columns, values }))
    }

    /// PEFT writes the embedding table and the output layer beside an adapter that changes one of
    /// them, and reads them into the base: they must be the base's.
    fn take_copies_of_tables(&self, base: Option<&Decoder>) -> Result<(), LanguageError> {
        let names: Vec<String> =
            self.checkpoint.entries().map(|entry| entry.name.clone()).collect();
        for name in names {
            let table = name.replace("base_model.model.", "").replace(".base_layer.", ".");
            let own = match (table.as_str(), base) {
                ("model.embed_tokens.weight" | "model.tok_embeddings.weight", Some(base)) => {
                    base.embed_tokens.weight.val()
                }
                ("lm_head.weight" | "output.weight", Some(base)) => {
                    base.output_weight().transpose()
                }
                _ => continue, // without a base it is told that they have no place
            };
            let entry = self.checkpoint.entry(&name)?;
            let is_same = entry.shape == own.dims() && {
                let shape = own.dims();
                let rounded = TensorData::new(numbers(own), shape).convert_dtype(entry.dtype);
                let bytes = self.checkpoint.read(&name)?;
                let stored = TensorData::from_bytes_vec(bytes, shape, entry.dtype);
                stored.convert::<f32>().as_slice::<f32>().ok()
                    == rounded.convert::<f32>().as_slice::<f32>().ok()
            };
            if !is_same {
                let reason =
                    format!("{name} is another matrix than the base has: merge it into the base");
                let path = self.checkpoint.path().to_owned();
                return Err(WeightsError::Unsound { path, reason }.into());
            }
            self.taken.borrow_mut().insert(name);
        }
        Ok(())
    }

    /// Refuses a folder with updates of what the decoder has not.
    pub(crate) fn everything_was_taken(&self) -> Result<(), LanguageError> {
        let taken = self.taken.borrow();
        let left: Vec<&str> = self
            .checkpoint
            .entries()
            .map(|entry| entry.name.as_str())
            .filter(|name| !taken.contains(*name))
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        let reason = format!(
            "{} tensors have no place in this decoder, the first is {}",
            left.len(),
            left[0]
        );
        Err(WeightsError::Unsound { path: self.checkpoint.path().to_owned(), reason }.into())
    }
}

/// An update of a part of a joined layer's outputs.
struct JoinedPart {
    rank: usize,
    /// `[rank, in]`, row by row.
    a: Vec<f32>,
    /// `[outputs, rank]`, row by row.
    b: Vec<f32>,
    /// The layer's outputs that are the part's.
    rows: Vec<usize>,
    scale: f64,
}

/// One update of a layer of `[in, out]` from updates of parts of its outputs: their narrow middles
/// side by side. Scales that differ go into `B`.
fn joined(
    parts: &[JoinedPart],
    [width, out]: [usize; 2],
    dropout: f64,
    device: &Device,
) -> Option<LoraPair> {
    let first = parts.first()?;
    let scale = if parts.iter().all(|part| part.scale == first.scale) { first.scale } else { 1.0 };
    let rank: usize = parts.iter().map(|part| part.rank).sum();
    let (mut a, mut b, mut start) = (vec![0.0; width * rank], vec![0.0; rank * out], 0);
    for part in parts {
        let more = if part.scale == scale { 1.0 } else { part.scale as f32 };
        for middle in 0..part.rank {
            for column in 0..width {
                a[column * rank + start + middle] = part.a[middle * width + column];
            }
            for (own, &row) in part.rows.iter().enumerate() {
                b[(start + middle) * out + row] = more * part.b[own * part.rank + middle];
            }
        }
        start += part.rank;
    }
    let tensor = |values: Vec<f32>, size: [usize; 2]| {
        Tensor::<2>::from_data(TensorData::new(values, size), device)
    };
    Some(LoraPair::from_parts(tensor(a, [width, rank]), tensor(b, [rank, out]), scale, dropout))
}

fn numbers(x: Tensor<2>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::LoraConfig;

    /// An adapter that changes everything, on a decoder with grouped queries.
    fn adapter() -> (DecoderConfig, LoraAdapter) {
        let config = DecoderConfig::new(20, 16, 24, 2, 4, 2);
        let device = Device::flex();
        let mut adapter = LoraConfig::new(3, 6.0).init(&config, &device);
        for layer in &mut adapter.layers {
            let LoraLayer { wqkv, wo, w1, w2, w3 } = layer;
            for pair in [wqkv, wo, w1, w2, w3].into_iter().flatten() {
                pair.lora_b.weight = pair
                    .lora_b
                    .weight
                    .clone()
                    .map(|b| b.random_like(Distribution::Normal(0.0, 1.0)));
            }
        }
        (config, adapter)
    }

    fn updates(adapter: &LoraAdapter) -> Vec<Vec<f32>> {
        let of_layer = |layer: &LoraLayer| {
            [&layer.wqkv, &layer.wo, &layer.w1, &layer.w2, &layer.w3]
                .map(|pair| numbers(pair.as_ref().unwrap().update()))
        };
        adapter.layers.iter().flat_map(of_layer).collect()
    }

    #[test]
    fn adapter_survives_its_folder_under_both_kinds_of_names() {
        let (config, adapter) = adapter();
        for names in [AdapterNames::Internlm2, AdapterNames::Llama] {
            let folder = tempfile::tempdir().unwrap();
            // The folder may be a model's: that file is not touched.
            let model = folder.path().join("model.safetensors");
            std::fs::write(&model, "weights of a model").unwrap();
            save_adapter(folder.path(), &adapter, &config, names).unwrap();
            assert_eq!(std::fs::read(&model).unwrap(), b"weights of a model");
            let again = load_adapter(folder.path(), &config, &Device::flex()).unwrap();
            for (update, expected) in updates(&again).iter().zip(updates(&adapter)) {
                assert!(
                    update.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5),
                    "{names:?}"
                );
            }
        }
    }

    #[test]
    fn adapter_of_another_model_is_refused() {
        let (config, adapter) = adapter();
        let folder = tempfile::tempdir().unwrap();
        save_adapter(folder.path(), &adapter, &config, AdapterNames::Llama).unwrap();
        let load = |config: &DecoderConfig| {
            load_adapter(folder.path(), config, &Device::flex()).unwrap_err().to_string()
        };
        let narrower = DecoderConfig { intermediate_size: 12, ..config.clone() };
        assert!(load(&narrower).contains("gate_proj"), "{}", load(&narrower));
        let shorter = DecoderConfig { num_hidden_layers: 1, ..config };
        assert!(load(&shorter).contains("have no place"), "{}", load(&shorter));
        std::fs::write(
            folder.path().join(CONFIG),
            r#"{"peft_type":"IA3","r":1,"lora_alpha":1,"target_modules":[]}"#,
        )
        .unwrap();
        assert!(load(&shorter).contains("plain LoRA"));
    }
}
