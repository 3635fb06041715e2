//! Reading an adapter's folder: which tensors are whose update, and whether all were understood.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use tp_weights::{Checkpoint, WeightsError};

use super::{
    WEIGHTS,
    joined_part::{JoinedPart, joined, rows_of_parts},
};
use crate::{
    Decoder, DecoderConfig, LanguageError, LoraAdapter, LoraLayer, LoraPair,
    peft_config::{CONFIG, PeftConfig},
    principal_part::{PrincipalPart, Product},
    projection::Projection,
};

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

    pub(super) fn of(
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
    pub(super) fn adapter(&self, base: Option<&Decoder>) -> Result<LoraAdapter, LanguageError> {
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

pub(super) fn numbers(x: Tensor<2>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}
