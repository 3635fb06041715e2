//! What families of models differ in.

use super::keys::Raw;

/// What families differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Internlm2,
    Llama,
    Mistral,
    Qwen2,
    Qwen3,
}

impl Family {
    pub(super) const NAMES: [(&'static str, Self); 6] = [
        ("internlm2", Self::Internlm2),
        ("llama", Self::Llama),
        ("mistral", Self::Mistral),
        ("ministral", Self::Mistral),
        ("qwen2", Self::Qwen2),
        ("qwen3", Self::Qwen3),
    ];
}

impl Raw {
    /// Of queries, keys and values, of the attention's output, and of the feed-forward network.
    pub(super) fn biases(&self, family: Family) -> Result<[bool; 3], String> {
        let keys = [
            ("attention_bias", self.attention_bias, [Family::Llama, Family::Qwen3].as_slice()),
            ("mlp_bias", self.mlp_bias, &[Family::Llama]),
            ("bias", self.bias, &[Family::Internlm2]),
        ];
        for (key, value, families) in keys {
            if value == Some(true) && !families.contains(&family) {
                return Err(format!("{key}: {} models have no such bias", self.model_type));
            }
        }
        let attention = self.attention_bias == Some(true) || self.bias == Some(true);
        Ok([attention || family == Family::Qwen2, attention, self.mlp_bias == Some(true)])
    }

    /// The sliding window, and the layers that have it if not all do.
    pub(super) fn windows(
        &self,
        family: Family,
    ) -> Result<(Option<usize>, Option<Vec<usize>>), String> {
        let window = match family {
            Family::Mistral => self.sliding_window.unwrap_or(Some(4096)),
            Family::Qwen2 | Family::Qwen3 if self.use_sliding_window == Some(true) => {
                self.sliding_window.unwrap_or(Some(4096))
            }
            Family::Qwen2 | Family::Qwen3 => None,
            Family::Llama | Family::Internlm2 => {
                if let Some(Some(window)) = self.sliding_window {
                    return Err(format!(
                        "sliding_window {window}: {} models have none",
                        self.model_type
                    ));
                }
                if self.use_sliding_window == Some(true) {
                    return Err(format!(
                        "use_sliding_window: {} models have none",
                        self.model_type
                    ));
                }
                None
            }
        };
        let all = || 0..self.num_hidden_layers;
        let layers: Vec<usize> = match (&self.layer_types, family) {
            (Some(types), _) => {
                if types.len() != self.num_hidden_layers {
                    return Err(format!(
                        "layer_types names {} layers, there are {}",
                        types.len(),
                        self.num_hidden_layers
                    ));
                }
                let known = ["full_attention", "sliding_attention"];
                if let Some(other) = types.iter().find(|kind| !known.contains(&kind.as_str())) {
                    return Err(format!("layer_types: {other} is not among {}", known.join(", ")));
                }
                let layers: Vec<usize> =
                    all().filter(|&layer| types[layer] == "sliding_attention").collect();
                if window.is_none() && !layers.is_empty() {
                    return Err("layer_types asks for sliding_attention, and there is no \
                                sliding_window that is used"
                        .to_owned());
                }
                layers
            }
            (None, Family::Qwen2 | Family::Qwen3) => {
                let first = self.max_window_layers.unwrap_or(28);
                all().filter(|&layer| layer >= first).collect()
            }
            (None, _) => all().collect(),
        };
        let window = window.filter(|_| !layers.is_empty());
        let is_everywhere = window.is_none() || layers.len() == self.num_hidden_layers;
        Ok((window, (!is_everywhere).then_some(layers)))
    }
}
