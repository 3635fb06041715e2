//! `adapter_config.json` of PEFT, as PEFT reads it: every key counts. One that is neither understood
//! nor known to change nothing is refused by name, unless it is switched off.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokenizers::utils::SysRegex;

use crate::{LanguageError, config_file::read_config, principal_part::PrincipalPart};

/// The name of the file.
pub(crate) const CONFIG: &str = "adapter_config.json";

/// Keys that change nothing of an adapter that is read, or that its tensors say already.
const HARMLESS: &[&str] = &[
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",
    "enable_lora",
    "ensure_weight_tying",
    "eva_config",
    "exclude_modules",
    "fan_in_fan_out",
    "inference_mode",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_ga_config",
    "megatron_core",
    "merge_weights",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
];

/// What PEFT writes.
#[derive(Serialize)]
pub(crate) struct WrittenConfig {
    pub(crate) peft_type: &'static str,
    pub(crate) r: usize,
    pub(crate) lora_alpha: f64,
    pub(crate) lora_dropout: f64,
    pub(crate) bias: &'static str,
    pub(crate) use_rslora: bool,
    pub(crate) use_dora: bool,
    pub(crate) target_modules: Vec<String>,
    pub(crate) task_type: &'static str,
}

/// The keys that are understood.
#[derive(Deserialize)]
struct Raw {
    peft_type: String,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    bias: Option<String>,
    use_rslora: Option<bool>,
    init_lora_weights: Option<Value>,
    rank_pattern: Option<Patterns>,
    alpha_pattern: Option<Patterns>,
    alora_invocation_tokens: Option<Vec<u32>>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Values for layers whose names match, in the order of the file: the first counts.
#[derive(Clone, Debug, Default)]
struct Patterns(Vec<(String, f64)>);

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Patterns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of names of layers and numbers")
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(
                self,
                mut map: M,
            ) -> Result<Patterns, M::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Patterns(all))
            }
        }
        source.deserialize_map(Visitor)
    }
}

/// How one layer's update is scaled, and of what rank it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LayerSettings {
    pub(crate) rank: usize,
    pub(crate) scale: f64,
}

/// The settings of an adapter.
#[derive(Debug)]
pub(crate) struct PeftConfig {
    rank: usize,
    alpha: f64,
    pub(crate) dropout: f64,
    is_rank_stabilized: bool,
    ranks: Vec<(SysRegex, f64)>,
    alphas: Vec<(SysRegex, f64)>,
    /// What the base loses when the adapter is read, and the setting's name.
    pub(crate) principal_part: Option<(PrincipalPart, String)>,
    /// The tokens from which on the adapter acts; from the first one if there are none.
    pub(crate) invocation: Option<Vec<u32>>,
}

impl PeftConfig {
    /// # Errors
    ///
    /// [`LanguageError::UnusableConfig`] names the first setting that is not computed.
    pub(crate) fn read(folder: &Path) -> Result<Self, LanguageError> {
        let path = folder.join(CONFIG);
        let unusable =
            |reason: String| LanguageError::UnusableConfig { path: path.clone(), reason };
        let raw: Raw = serde_json::from_slice(&read_config(&path)?)
            .map_err(|error| unusable(error.to_string()))?;
        raw.understood().map_err(unusable)
    }

    /// The settings of a layer, by its name in the model.
    ///
    /// # Errors
    ///
    /// A reason, if a pattern gives a rank that no matrix has.
    pub(crate) fn of_layer(&self, layer: &str) -> Result<LayerSettings, String> {
        let value = |patterns: &[(SysRegex, f64)]| {
            let matches = |regex: &SysRegex| {
                regex.find_iter(layer).next().is_some_and(|at| at == (0, layer.len()))
            };
            patterns.iter().find(|(regex, _)| matches(regex)).map(|(_, value)| *value)
        };
        let rank = match value(&self.ranks) {
            None => self.rank,
            Some(rank) => rank as usize,
        };
        let alpha = value(&self.alphas).unwrap_or(self.alpha);
        if !(1..=65_536).contains(&rank) || !alpha.is_finite() {
            return Err(format!("{layer} has the rank {rank} and the alpha {alpha}"));
        }
        let divisor = if self.is_rank_stabilized { (rank as f64).sqrt() } else { rank as f64 };
        Ok(LayerSettings { rank, scale: alpha / divisor })
    }
}

impl Raw {
    fn understood(self) -> Result<PeftConfig, String> {
        if self.peft_type != "LORA" {
            return Err(format!(
                "peft_type {} is not supported: plain LoRA is read",
                self.peft_type
            ));
        }
        if let Some(bias) = self.bias.as_ref().filter(|bias| *bias != "none") {
            return Err(format!("bias {bias} is not supported: an adapter without biases is read"));
        }
        for (key, value) in &self.others {
            let is_off = match value {
                Value::Null | Value::Bool(false) => true,
                Value::Array(list) => list.is_empty(),
                Value::Object(map) => map.is_empty(),
                Value::String(text) => text.is_empty(),
                Value::Number(_) | Value::Bool(true) => false,
            };
            if !is_off && !HARMLESS.contains(&key.as_str()) {
                return Err(format!("{key} is not supported: plain LoRA is read"));
            }
        }
        if !(1..=65_536).contains(&self.r)
            || !self.lora_alpha.is_finite()
            || !(0.0..1.0).contains(&self.lora_dropout)
        {
            return Err(
                "plain LoRA of a rank from 1 to 65536, of a finite alpha and of a dropout \
                        in [0, 1) is read"
                    .to_owned(),
            );
        }
        let compiled = |patterns: Option<Patterns>, key: &str| {
            patterns
                .unwrap_or_default()
                .0
                .into_iter()
                .map(|(pattern, value)| {
                    // As PEFT asks for it.
                    let regex = SysRegex::new(&format!(r"^(?:(.*\.)?({pattern}))$"))
                        .map_err(|error| format!("{key} {pattern}: {error}"))?;
                    Ok((regex, value))
                })
                .collect::<Result<Vec<_>, String>>()
        };
        Ok(PeftConfig {
            rank: self.r,
            alpha: self.lora_alpha,
            dropout: self.lora_dropout,
            is_rank_stabilized: self.use_rslora == Some(true),
            ranks: compiled(self.rank_pattern, "rank_pattern")?,
            alphas: compiled(self.alpha_pattern, "alpha_pattern")?,
            principal_part: principal_part(self.init_lora_weights.as_ref())?,
            invocation: self.alora_invocation_tokens.filter(|tokens| !tokens.is_empty()),
        })
    }
}

/// What the base loses under this initialization when PEFT reads an adapter again.
fn principal_part(init: Option<&Value>) -> Result<Option<(PrincipalPart, String)>, String> {
    let name = match init {
        None | Some(Value::Null | Value::Bool(_)) => return Ok(None),
        Some(Value::String(name)) => name,
        Some(other) => return Err(format!("init_lora_weights {other} is not understood")),
    };
    let setting = format!("init_lora_weights {name}");
    match name.to_lowercase().as_str() {
        // These only say where training began.
        "gaussian" | "eva" | "orthogonal" | "mica" => Ok(None),
        "olora" => Ok(Some((PrincipalPart::Orthonormal, setting))),
        "pissa" => Ok(Some((PrincipalPart::Singular, setting))),
        other if other.starts_with("pissa_niter_") => {
            tracing::warn!(
                "{setting}: PEFT takes a randomized approximation out of the base, here it is the exact part"
            );
            Ok(Some((PrincipalPart::Singular, setting)))
        }
        _ => Err(format!("{setting} is not supported")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(changes: &Value) -> Result<PeftConfig, LanguageError> {
        let mut config = json!({
            "peft_type": "LORA", "r": 4, "lora_alpha": 8, "lora_dropout": 0.1, "bias": "none",
            "target_modules": ["q_proj"], "task_type": "CAUSAL_LM", "megatron_core": "megatron.core",
            "use_dora": false, "layer_replication": null, "loftq_config": {}, "qalora_group_size": 16
        });
        config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(CONFIG), config.to_string()).unwrap();
        PeftConfig::read(folder.path())
    }

    #[test]
    fn patterns_are_regular_expressions_for_the_end_of_a_name() {
        let patterns = json!({
            "rank_pattern": { "layers\\.1\\..*q_proj": 2, "k_proj|v_proj": 16 },
            "alpha_pattern": { "proj": 1, "layers.0.self_attn.q_proj": 32 }
        });
        let settings = |config: &PeftConfig, layer: &str| {
            let LayerSettings { rank, scale } = config.of_layer(layer).unwrap();
            (rank, scale)
        };
        let config = read(&patterns).unwrap();
        assert_eq!(settings(&config, "model.layers.0.self_attn.q_proj"), (4, 8.0));
        assert_eq!(settings(&config, "model.layers.1.self_attn.q_proj"), (2, 4.0));
        assert_eq!(settings(&config, "model.layers.0.self_attn.v_proj"), (16, 0.5));
        assert_eq!(settings(&config, "model.layers.0.mlp.up_proj"), (4, 2.0));
        let stabilized = read(&json!({ "use_rslora": true })).unwrap();
        assert_eq!(settings(&stabilized, "model.layers.0.mlp.up_proj"), (4, 4.0));
    }

    #[test]
    fn what_is_not_computed_is_named() {
        for (changes, named) in [
            (json!({ "peft_type": "IA3" }), "IA3"),
            (json!({ "use_dora": true }), "use_dora"),
            (json!({ "bias": "all" }), "bias all"),
            (json!({ "lora_bias": true }), "lora_bias"),
            (json!({ "modules_to_save": ["lm_head"] }), "modules_to_save"),
            (json!({ "layer_replication": [[0, 1]] }), "layer_replication"),
            (json!({ "trainable_token_indices": [3] }), "trainable_token_indices"),
            (json!({ "init_lora_weights": "loftq" }), "init_lora_weights loftq"),
            (json!({ "init_lora_weights": "corda" }), "init_lora_weights corda"),
            (json!({ "a_key_of_tomorrow": 3 }), "a_key_of_tomorrow"),
            (json!({ "alpha_pattern": { "(": 1 } }), "alpha_pattern"),
            (json!({ "r": 0 }), "rank"),
        ] {
            let message = read(&changes).unwrap_err().to_string();
            assert!(message.contains(named), "{named}: {message}");
        }
        let pissa = read(&json!({ "init_lora_weights": "pissa" })).unwrap();
        assert_eq!(pissa.principal_part.unwrap().0, PrincipalPart::Singular);
        assert!(read(&json!({ "target_modules": ".*_proj" })).unwrap().principal_part.is_none());
    }
}
