//! The settings of a GGUF file → the shape of a decoder.

use tp_weights::{GgufFile, GgufValue};

use crate::{DecoderConfig, RopeScaling};

/// What a file's settings say.
pub(super) struct Settings {
    pub(super) config: DecoderConfig,
    /// Whether the rows of query and key heads are stored in the order of interleaved rotation:
    /// (0, half), (1, half + 1), …
    pub(super) interleaved: bool,
}

/// Architectures, and whether their heads are interleaved.
const ARCHITECTURES: [(&str, bool); 4] =
    [("llama", true), ("internlm2", true), ("qwen2", false), ("qwen3", false)];

/// What the settings of an architecture may be, besides those that are read.
enum Meaning {
    /// It changes nothing here.
    Nothing,
    /// Any other value would change the model.
    Only(&'static [f64]),
}

/// Settings that are not read, behind the architecture's name and a dot.
const OTHERS: [(&str, Meaning); 9] = [
    ("vocab_size", Meaning::Nothing),
    ("tensor_data_layout", Meaning::Nothing),
    ("rope.scaling.finetuned", Meaning::Nothing),
    ("rope.scaling.original_context_length", Meaning::Nothing),
    ("attention.layer_norm_epsilon", Meaning::Nothing), // of norms that it does not have
    ("expert_count", Meaning::Only(&[0.0])),
    ("expert_used_count", Meaning::Only(&[0.0])),
    ("use_parallel_residual", Meaning::Only(&[0.0])),
    ("attention.causal", Meaning::Only(&[1.0])),
];

/// Settings that are read.
const READ: [&str; 16] = [
    "context_length",
    "embedding_length",
    "block_count",
    "feed_forward_length",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.layer_norm_rms_epsilon",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "rope.freq_base",
    "rope.dimension_count",
    "rope.scale_linear",
    "rope.scaling.type",
    "rope.scaling.factor",
];

/// Settings of one architecture.
struct Section<'a> {
    file: &'a GgufFile,
    name: &'a str,
}

impl Section<'_> {
    fn get<T>(
        &self,
        key: &str,
        read: impl FnOnce(&GgufValue) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let key = format!("{}.{key}", self.name);
        let Some(value) = self.file.setting(&key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| format!("{key} is {}", shown(value)))
    }

    /// A size; of a list, whose elements stand for the blocks, they must all be the same.
    fn size(&self, key: &str) -> Result<Option<usize>, String> {
        let number = |value: &GgufValue| value.as_u64()?.try_into().ok();
        self.get(key, |value| match value.as_list() {
            Some([first, rest @ ..]) if rest.iter().all(|other| other == first) => number(first),
            Some(_) => None,
            None => number(value),
        })
    }

    fn needed(&self, key: &str) -> Result<usize, String> {
        self.size(key)?.ok_or_else(|| format!("it lacks the setting {}.{key}", self.name))
    }

    fn number(&self, key: &str) -> Result<Option<f64>, String> {
        self.get(key, GgufValue::as_f64)
    }
}

/// A value, cut to a length that a message can hold.
fn shown(value: &GgufValue) -> String {
    match value {
        GgufValue::List(values) => format!("a list of {} values", values.len()),
        GgufValue::Text(text) => text.chars().take(80).collect(),
        GgufValue::Unsigned(number) => number.to_string(),
        GgufValue::Signed(number) => number.to_string(),
        GgufValue::Float(number) => number.to_string(),
        GgufValue::Bool(value) => value.to_string(),
    }
}

/// Reads the settings; what is not understood is refused by name.
pub(super) fn of(file: &GgufFile) -> Result<Settings, String> {
    let text = |key: &str| file.setting(key).and_then(GgufValue::as_str);
    let name = text("general.architecture").ok_or("it lacks the setting general.architecture")?;
    let known = ARCHITECTURES.iter().find(|(known, _)| *known == name);
    let Some(&(name, interleaved)) = known else {
        let names = ARCHITECTURES.map(|(name, _)| name).join(", ");
        return Err(format!("its architecture {name:.80} is not among {names}"));
    };
    if let Some(kind) = text("general.type").filter(|&kind| kind != "model") {
        return Err(format!("it holds no model: general.type is {kind:.80}"));
    }
    if let Some(parts) = file.setting("split.count").and_then(GgufValue::as_u64).filter(|&n| n > 1)
    {
        return Err(format!(
            "it is one of {parts} parts: put them together with llama-gguf-split --merge"
        ));
    }
    let section = Section { file, name };
    section.refuse_unknown()?;
    let config = section.config()?;
    config.validate().map_err(|error| error.to_string())?;
    for key in ["attention.value_length", "rope.dimension_count"] {
        if let Some(width) = section.size(key)?.filter(|&width| width != config.d_head()) {
            return Err(format!(
                "{name}.{key} is {width}, where heads have a width of {}: that is not supported",
                config.d_head()
            ));
        }
    }
    Ok(Settings { config, interleaved })
}

impl Section<'_> {
    fn refuse_unknown(&self) -> Result<(), String> {
        for (key, value) in self.file.settings() {
            let Some(short) = key.strip_prefix(self.name).and_then(|rest| rest.strip_prefix('.'))
            else {
                continue;
            };
            if READ.contains(&short) {
                continue;
            }
            let allowed = match OTHERS.iter().find(|(known, _)| *known == short) {
                Some((_, Meaning::Nothing)) => true,
                Some((_, Meaning::Only(values))) => {
                    let number = value
                        .as_f64()
                        .or_else(|| value.as_bool().map(|it| f64::from(u8::from(it))));
                    number.is_some_and(|number| values.contains(&number))
                }
                None => false,
            };
            if !allowed {
                return Err(format!("its setting {key} = {} is not supported", shown(value)));
            }
        }
        Ok(())
    }

    fn config(&self) -> Result<DecoderConfig, String> {
        let table = self.file.tensor("token_embd.weight").ok_or("it lacks token_embd.weight")?;
        let &[vocab_size, _] = &table.shape[..] else {
            return Err(format!("token_embd.weight has the shape {:?}", table.shape));
        };
        let heads = self.needed("attention.head_count")?;
        let shape = DecoderConfig::new(
            vocab_size,
            self.needed("embedding_length")?,
            self.needed("feed_forward_length")?,
            self.needed("block_count")?,
            heads,
            self.size("attention.head_count_kv")?.unwrap_or(heads),
        );
        let eps = self.number("attention.layer_norm_rms_epsilon")?.ok_or_else(|| {
            format!("it lacks the setting {}.attention.layer_norm_rms_epsilon", self.name)
        })?;
        let has = |name: &str| self.file.tensor(name).is_some();
        let (sliding_window, window_layers) = self.windows(shape.num_hidden_layers)?;
        Ok(DecoderConfig {
            // Files have these two in single precision, of numbers that were written in decimals.
            rope_theta: self.number("rope.freq_base")?.map_or(10_000.0, decimal),
            rms_norm_eps: decimal(eps),
            tie_word_embeddings: !has("output.weight"),
            head_dim: self.size("attention.key_length")?,
            qkv_bias: has("blk.0.attn_q.bias"),
            qk_norm: self.name == "qwen3",
            rope_scaling: self.scaling()?,
            max_position_embeddings: self.needed("context_length")?,
            sliding_window,
            window_layers,
            ..shape
        })
    }

    /// The sliding window, and the layers that have it if not all do.
    ///
    /// The pattern is a list with a value for each block. Without one every block of a `llama` has
    /// the window, because such a file is a Mistral's; which blocks of the others have it is not
    /// said then.
    fn windows(&self, blocks: usize) -> Result<(Option<usize>, Option<Vec<usize>>), String> {
        const WINDOW: &str = "attention.sliding_window";
        const PATTERN: &str = "attention.sliding_window_pattern";
        let window = self.size(WINDOW)?.filter(|&window| window > 0);
        let is_set = |value: &GgufValue| match value.as_u64() {
            Some(number @ (0 | 1)) => Some(number == 1),
            _ => value.as_bool(),
        };
        let pattern: Option<Vec<bool>> = self.get(PATTERN, |value| {
            let list = value.as_list().filter(|list| list.len() == blocks)?;
            list.iter().map(is_set).collect()
        })?;
        let name = self.name;
        match (window, pattern) {
            (None, Some(pattern)) if pattern.contains(&true) => {
                Err(format!("{name}.{PATTERN} names blocks, and {name}.{WINDOW} is 0 or missing"))
            }
            (None, _) => Ok((None, None)),
            (Some(_), None) if name == "llama" => Ok((window, None)),
            (Some(window), None) => Err(format!(
                "its setting {name}.{WINDOW} = {window} is not supported without {name}.{PATTERN}: \
                 which blocks have the window is not said"
            )),
            (Some(_), Some(pattern)) => {
                let layers: Vec<usize> = (0..blocks).filter(|&block| pattern[block]).collect();
                Ok(match layers.len() {
                    0 => (None, None),
                    n if n == blocks => (window, None),
                    _ => (window, Some(layers)),
                })
            }
        }
    }

    fn scaling(&self) -> Result<Option<RopeScaling>, String> {
        let older = self.number("rope.scale_linear")?.filter(|&factor| factor != 1.0);
        let kind = self.get("rope.scaling.type", |value| value.as_str().map(str::to_owned))?;
        let factor = self.number("rope.scaling.factor")?.or(older).unwrap_or(1.0);
        match kind.as_deref() {
            Some("none") => Ok(None),
            Some("linear") => Ok(Some(RopeScaling::Linear { factor })),
            None => Ok((factor != 1.0).then_some(RopeScaling::Linear { factor })),
            Some(other) => Err(format!(
                "{}.rope.scaling.type {other:.80} is not among none, linear",
                self.name
            )),
        }
    }
}

/// The number with the fewest decimals that is this one in single precision.
fn decimal(number: f64) -> f64 {
    (number as f32).to_string().parse().unwrap_or(number)
}
