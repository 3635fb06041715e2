//! The scaling of rotary positions.

use serde_json::{Map, Value};

use super::keys::shortened;
use crate::RopeScaling;

/// The scaling that a file asks for.
pub(super) fn rope_scaling(
    rope: &Map<String, Value>,
    original: Option<usize>,
    trained_on: usize,
) -> Result<Option<RopeScaling>, String> {
    let text = |key: &str| rope.get(key).and_then(Value::as_str);
    let kind = text("rope_type").or_else(|| text("type")).unwrap_or("default");
    let optional = |key: &str| match rope.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_f64()
            .map(Some)
            .ok_or_else(|| format!("{key} of rope_scaling {kind} is {}", shortened(value))),
    };
    let number =
        |key: &str| optional(key)?.ok_or_else(|| format!("rope_scaling {kind} lacks {key}"));
    let original = || {
        Ok::<usize, String>(match original {
            Some(given) => given,
            None => optional("original_max_position_embeddings")?
                .map_or(trained_on, |length| length as usize),
        })
    };
    let (scaling, keys): (_, &[&str]) = match kind {
        "default" => (None, &["factor"]),
        // It begins beyond the length that the model was trained on, which no prompt here may
        // exceed.
        "dynamic" => (None, &["factor", "original_max_position_embeddings"]),
        "linear" => (
            Some(RopeScaling::Linear { factor: number("factor")? }),
            &["factor", "original_max_position_embeddings"],
        ),
        "llama3" => (
            Some(RopeScaling::Llama3 {
                factor: number("factor")?,
                low_freq_factor: number("low_freq_factor")?,
                high_freq_factor: number("high_freq_factor")?,
                original_max_position_embeddings: original()?,
            }),
            &["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"],
        ),
        "yarn" => (
            Some(yarn(&optional, original()?, trained_on, rope.get("truncate"))?),
            &[
                "factor",
                "original_max_position_embeddings",
                "attention_factor",
                "beta_fast",
                "beta_slow",
                "mscale",
                "mscale_all_dim",
                "truncate",
            ],
        ),
        other => {
            return Err(format!(
                "rope_scaling {other} is not among default, dynamic, linear, llama3, yarn"
            ));
        }
    };
    let always = ["rope_type", "type", "rope_theta"];
    for (key, value) in rope {
        let is_neutral =
            value.is_null() || (key == "partial_rotary_factor" && value.as_f64() == Some(1.0));
        if !is_neutral && !keys.contains(&key.as_str()) && !always.contains(&key.as_str()) {
            return Err(format!("the key {key} of rope_scaling {kind} is not understood"));
        }
    }
    Ok(scaling)
}

fn yarn(
    optional: &impl Fn(&str) -> Result<Option<f64>, String>,
    original_max_position_embeddings: usize,
    trained_on: usize,
    truncate: Option<&Value>,
) -> Result<RopeScaling, String> {
    let own = trained_on as f64 / original_max_position_embeddings.max(1) as f64;
    let factor = optional("factor")?.unwrap_or(own);
    let growth = |scale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 };
    let is_set = |value: &f64| *value != 0.0;
    let scales = [optional("mscale")?.filter(is_set), optional("mscale_all_dim")?.filter(is_set)];
    let attention_factor = match (optional("attention_factor")?, scales) {
        (Some(given), _) => given,
        (None, [Some(scale), Some(scale_all)]) => growth(scale) / growth(scale_all),
        (None, _) => growth(1.0),
    };
    Ok(RopeScaling::Yarn {
        factor,
        original_max_position_embeddings,
        beta_fast: optional("beta_fast")?.filter(is_set).unwrap_or(32.0),
        beta_slow: optional("beta_slow")?.filter(is_set).unwrap_or(1.0),
        truncate: truncate.and_then(Value::as_bool).unwrap_or(true),
        attention_factor,
    })
}
