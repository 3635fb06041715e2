//! The tensors of a GGUF file → a decoder.

use std::collections::HashSet;

use burn::{
    module::Param,
    tensor::{Device, Tensor},
};
use tp_core::available_memory;
use tp_kernels::{BlockFormat, BlockMatrix, BlockRows};
use tp_weights::{GgufFile, GgufTensor, GgufType};

use super::settings::Settings;
use crate::{Decoder, DecoderConfig, LanguageError, RopeScaling, projection::Projection};

/// Reads all tensors; one that has no place, or a place without one, is an error.
pub(super) fn decoder(
    file: &GgufFile,
    settings: &Settings,
    device: &Device,
) -> Result<Decoder, LanguageError> {
    let needed = file.tensors().map(|tensor| tensor.n_bytes as u64).sum::<u64>();
    if let Some(available) = available_memory().filter(|&available| available < needed) {
        return Err(LanguageError::OutOfMemory {
            path: file.path().to_owned(),
            plan: format!("its tensors need {} MiB", needed.div_ceil(1 << 20)),
            available_mib: available >> 20,
        });
    }
    let mut tensors = Tensors { file, taken: HashSet::new(), device };
    let mut config = settings.config.clone();
    if let Some(scaling) = tensors.scaling(&config)? {
        config.rope_scaling = Some(scaling);
    }
    let DecoderConfig { hidden_size, intermediate_size, vocab_size, .. } = config;
    let head_norm = config.qk_norm.then_some(config.d_head());

    // Not a million of blocks for a file that has two.
    let last = format!("blk.{}.attn_norm.weight", config.num_hidden_layers - 1);
    if file.tensor(&last).is_none() {
        return Err(tensors.unusable(format!("it lacks the tensor {last}")));
    }
    // No memory is taken for parameters that are replaced before they are used.
    let mut decoder = config.init(device);
    for (index, layer) in decoder.layers.iter_mut().enumerate() {
        let name = |part: &str| format!("blk.{index}.{part}");
        let bias = |part: &str| config.qkv_bias.then(|| name(&format!("{part}.bias")));
        let qkv = ["attn_q", "attn_k", "attn_v"];
        let matrix = tensors.joined(
            settings,
            qkv.map(|part| name(&format!("{part}.weight"))),
            hidden_size,
        )?;
        let bias = match qkv.map(bias) {
            [Some(q), Some(k), Some(v)] => Some(tensors.joined(settings, [q, k, v], 1)?),
            _ => None,
        };
        let bias =
            bias.map(|bias| Param::from_tensor(bias.to_weight(device).reshape([config.d_qkv()])));
        layer.attention.wqkv = Projection::of_blocks(matrix, bias, device);
        layer.attention.wo =
            tensors.projection(&name("attn_output.weight"), hidden_size, config.d_queries())?;
        layer.attention_norm.gamma = tensors.vector(&name("attn_norm.weight"), hidden_size)?;
        layer.ffn_norm.gamma = tensors.vector(&name("ffn_norm.weight"), hidden_size)?;
        if let (Some(width), Some(q), Some(k)) =
            (head_norm, &mut layer.attention.q_norm, &mut layer.attention.k_norm)
        {
            q.gamma = tensors.vector(&name("attn_q_norm.weight"), width)?;
            k.gamma = tensors.vector(&name("attn_k_norm.weight"), width)?;
        }
        let feed_forward = &mut layer.feed_forward;
        feed_forward.w1 =
            tensors.projection(&name("ffn_gate.weight"), intermediate_size, hidden_size)?;
        feed_forward.w3 =
            tensors.projection(&name("ffn_up.weight"), intermediate_size, hidden_size)?;
        feed_forward.w2 =
            tensors.projection(&name("ffn_down.weight"), hidden_size, intermediate_size)?;
    }
    decoder.norm.gamma = tensors.vector("output_norm.weight", hidden_size)?;
    let table = tensors.matrix("token_embd.weight", vocab_size, hidden_size)?;
    decoder.keep_table_in_blocks(table, device);
    if !config.tie_word_embeddings {
        decoder.output = Some(tensors.projection("output.weight", vocab_size, hidden_size)?);
    }
    if let Some(other) = file.tensors().find(|tensor| !tensors.taken.contains(&tensor.name)) {
        return Err(tensors.unusable(format!(
            "its tensor {} has no place in a decoder of this kind",
            other.name
        )));
    }
    Ok(decoder)
}

struct Tensors<'a> {
    file: &'a GgufFile,
    taken: HashSet<String>,
    device: &'a Device,
}

impl Tensors<'_> {
    fn unusable(&self, reason: String) -> LanguageError {
        LanguageError::UnusableConfig { path: self.file.path().to_owned(), reason }
    }

    /// The tensor of a name and the shape that the settings say.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<&GgufTensor, LanguageError> {
        let Some(tensor) = self.file.tensor(name) else {
            return Err(self.unusable(format!("it lacks the tensor {name}")));
        };
        if tensor.shape != shape {
            return Err(self.unusable(format!(
                "its tensor {name} has the shape {:?}, its settings say {shape:?}",
                tensor.shape
            )));
        }
        self.taken.insert(name.to_owned());
        Ok(tensor)
    }

    fn matrix(
        &mut self,
        name: &str,
        rows: usize,
        width: usize,
    ) -> Result<BlockMatrix, LanguageError> {
        let format = format_of(self.take(name, &[rows, width])?.kind);
        let bytes = self.file.read(name)?;
        Ok(BlockMatrix::new(width, vec![BlockRows { format, rows }], bytes))
    }

    fn projection(
        &mut self,
        name: &str,
        rows: usize,
        width: usize,
    ) -> Result<Projection, LanguageError> {
        let matrix = self.matrix(name, rows, width)?;
        Ok(Projection::of_blocks(matrix, None, self.device))
    }

    fn vector(&mut self, name: &str, width: usize) -> Result<Param<Tensor<1>>, LanguageError> {
        let format = format_of(self.take(name, &[width])?.kind);
        let row =
            BlockMatrix::new(width, vec![BlockRows { format, rows: 1 }], self.file.read(name)?);
        Ok(Param::from_tensor(row.rows(&[0], self.device).reshape([width])))
    }

    /// Queries, keys and values in one matrix, or one vector: for each key head its queries, then
    /// its key, then its value. Rows keep the format that their tensor has.
    fn joined(
        &mut self,
        settings: &Settings,
        names: [String; 3],
        width: usize,
    ) -> Result<BlockMatrix, LanguageError> {
        let config = &settings.config;
        let (d_head, groups) = (config.d_head(), config.num_key_value_heads);
        let heads = [config.queries_per_key(), 1, 1];
        let mut parts = Vec::new();
        for (name, heads) in names.iter().zip(heads) {
            let rows = groups * heads * d_head;
            let shape = if name.ends_with(".bias") { vec![rows] } else { vec![rows, width] };
            let kind = self.take(name, &shape)?.kind;
            // A vector of one number a row has no blocks.
            let Some(row_bytes) = format_of(kind).row_bytes(width) else {
                return Err(
                    self.unusable(format!("its tensor {name} has the type {}", kind.name()))
                );
            };
            parts.push((format_of(kind), row_bytes, self.file.read(name)?));
        }
        let row_of = |part: usize, row: usize| {
            // Values are not turned, so their rows stand in order everywhere.
            if settings.interleaved && part < 2 { interleaved(row, d_head) } else { row }
        };
        let mut bands: Vec<BlockRows> = Vec::new();
        let mut bytes = Vec::with_capacity(parts.iter().map(|(.., bytes)| bytes.len()).sum());
        for group in 0..groups {
            for (part, (format, row_bytes, from)) in parts.iter().enumerate() {
                let rows = heads[part] * d_head;
                for row in group * rows..(group + 1) * rows {
                    bytes.extend(&from[row_of(part, row) * row_bytes..][..*row_bytes]);
                }
                match bands.last_mut() {
                    Some(band) if band.format == *format => band.rows += rows,
                    _ => bands.push(BlockRows { format: *format, rows }),
                }
            }
        }
        Ok(BlockMatrix::new(width, bands, bytes))
    }

    /// Llama 3.1's scaling, which files hold as a table of what each angle is divided by.
    fn scaling(&mut self, config: &DecoderConfig) -> Result<Option<RopeScaling>, LanguageError> {
        const NAME: &str = "rope_freqs.weight";
        if self.file.tensor(NAME).is_none() {
            return Ok(None);
        }
        let half = config.d_head() / 2;
        let divisors: Vec<f64> = self.vector(NAME, half)?.val().into_data().iter::<f64>().collect();
        let is_near = |a: f64, b: f64| (a - b).abs() <= 1e-4 * b.abs();
        if divisors.iter().all(|&divisor| is_near(divisor, 1.0)) {
            return Ok(None);
        }
        // The rest of the formula is the same in all published models.
        let llama3 = RopeScaling::Llama3 {
            factor: divisors.iter().copied().fold(1.0, f64::max),
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8192,
        };
        let is_llama3 = config.rope_scaling.is_none()
            && divisors.iter().enumerate().all(|(j, &divisor)| {
                let frequency = config.rope_theta.powf(-(j as f64) / half as f64);
                let scaled = llama3.scaled(frequency, j, half, config.rope_theta);
                is_near(frequency / scaled, divisor)
            });
        if is_llama3 {
            Ok(Some(llama3))
        } else {
            Err(self.unusable(format!("its tensor {NAME} scales angles in an unknown way")))
        }
    }
}

/// Where a row of a head stands if its halves are interleaved.
fn interleaved(row: usize, d_head: usize) -> usize {
    let (head, at) = (row / d_head, row % d_head);
    let half = d_head / 2;
    head * d_head + 2 * (at % half) + at / half
}

fn format_of(kind: GgufType) -> BlockFormat {
    match kind {
        GgufType::F32 => BlockFormat::F32,
        GgufType::F16 => BlockFormat::F16,
        GgufType::BF16 => BlockFormat::BF16,
        GgufType::Q8_0 => BlockFormat::Q8_0,
        GgufType::Q4_0 => BlockFormat::Q4_0,
        GgufType::Q4_1 => BlockFormat::Q4_1,
        GgufType::Q5_0 => BlockFormat::Q5_0,
        GgufType::Q5_1 => BlockFormat::Q5_1,
        GgufType::Q4K => BlockFormat::Q4K,
        GgufType::Q5K => BlockFormat::Q5K,
        GgufType::Q6K => BlockFormat::Q6K,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_a_head_are_put_back_together() {
        // A head of six: 0 3 1 4 2 5 is how its rows are stored.
        let stored = [0, 3, 1, 4, 2, 5];
        let order: Vec<usize> = (0..6).map(|row| stored[interleaved(row, 6)]).collect();
        assert_eq!(order, [0, 1, 2, 3, 4, 5]);
        assert_eq!(interleaved(6 + 4, 6), 6 + 3);
    }

    #[test]
    fn formats_of_file_and_product_have_the_same_blocks() {
        for (number, format) in [
            (GgufType::F32, BlockFormat::F32),
            (GgufType::F16, BlockFormat::F16),
            (GgufType::BF16, BlockFormat::BF16),
            (GgufType::Q8_0, BlockFormat::Q8_0),
            (GgufType::Q4_0, BlockFormat::Q4_0),
            (GgufType::Q4_1, BlockFormat::Q4_1),
            (GgufType::Q5_0, BlockFormat::Q5_0),
            (GgufType::Q5_1, BlockFormat::Q5_1),
            (GgufType::Q4K, BlockFormat::Q4K),
            (GgufType::Q5K, BlockFormat::Q5K),
            (GgufType::Q6K, BlockFormat::Q6K),
        ] {
            assert_eq!((format_of(number), number.block()), (format, format.block()));
        }
    }
}
