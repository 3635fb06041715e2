//! Adapters in folders of their own, as the PEFT library keeps them: `adapter_config.json` and
//! `adapter_model.safetensors`.

mod joined_part;
mod reader;

use std::{io::Write, path::Path};

use burn::tensor::{DType, Device};
use tp_core::write_atomically;
use tp_weights::{TensorEntry, WeightsError, write_safetensors_file};

pub(crate) use self::reader::AdapterReader;
use self::{joined_part::rows_of_parts, reader::numbers};
use crate::{
    Decoder, DecoderConfig, LanguageError, LoraAdapter, LoraPair,
    peft_config::{CONFIG, PeftConfig, WrittenConfig},
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

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::{LoraConfig, LoraLayer};

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
