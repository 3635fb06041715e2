//! A decoder with more tokens than it was trained with.

use burn::{
    module::Param,
    tensor::{Device, Tensor},
};
use tp_kernels::BlockMatrix;

use crate::{
    Decoder, LanguageError, SpecialToken, TextTokenizer, Tokenizer, projection::Projection,
};

impl Tokenizer {
    /// The tokenizer of any language model with every [`SpecialToken`] that it lacks; tokens that are
    /// there keep their ids.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::from_file`].
    pub fn with_added_tokens(tokenizer: TextTokenizer) -> Result<Self, LanguageError> {
        let others = SpecialToken::ALL.into_iter().filter(|token| *token != SpecialToken::Pad);
        tokenizer.with_special_tokens(others.map(SpecialToken::name)).and_then(Self::new)
    }
}

impl Decoder {
    /// The decoder with rows for `vocab_size` tokens, in single precision. New rows of the embedding
    /// table, and of the output layer if it has its own, are the mean of those that are there.
    ///
    /// Source: Hewitt 2021, "Initializing new word embeddings for pretrained language models".
    ///
    /// # Panics
    ///
    /// If the decoder has more tokens.
    #[must_use]
    pub fn with_vocab_size(mut self, vocab_size: usize) -> Self {
        match &self.table {
            Some(table) => self.table = Some(blocks_with_mean_rows(table, vocab_size)),
            None => {
                let table = self.embed_tokens.weight.val(); // [token, hidden]
                self.embed_tokens.weight = Param::from_tensor(with_mean_rows(table, vocab_size));
            }
        }
        self.output = self.output.take().map(|output| output.with_n_outputs(vocab_size));
        self.set_vocab_size(vocab_size);
        self
    }
}

impl Projection {
    /// The output layer with rows for more tokens.
    fn with_n_outputs(mut self, n_outputs: usize) -> Self {
        if let Some(matrix) = self.blocks() {
            let device = self.weight.device();
            return Self::of_blocks(blocks_with_mean_rows(matrix, n_outputs), self.bias, &device);
        }
        let weight = self.weight.val().transpose(); // [token, hidden]
        self.weight = Param::from_tensor(with_mean_rows(weight, n_outputs).transpose());
        self
    }
}

/// As [`with_mean_rows`], of a matrix in blocks, which keeps them.
fn blocks_with_mean_rows(matrix: &BlockMatrix, n_rows: usize) -> BlockMatrix {
    let known = matrix.n_outputs();
    assert!(known > 0 && known <= n_rows, "{n_rows} tokens are fewer than {known}");
    let mean = matrix.to_weight(&Device::flex()).mean_dim(1); // [hidden, 1]
    let mean: Vec<f32> = mean.into_data().iter().collect();
    matrix.with_outputs(&mean.repeat(n_rows - known))
}

fn with_mean_rows(table: Tensor<2>, n_rows: usize) -> Tensor<2> {
    let [known, width] = table.dims();
    assert!(known > 0 && known <= n_rows, "{n_rows} tokens are fewer than {known}");
    if known == n_rows {
        return table;
    }
    let mean = table.clone().mean_dim(0).expand([n_rows - known, width]);
    Tensor::cat(vec![table, mean], 0)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{DecoderConfig, QuantizedFormat};

    #[test]
    fn known_tokens_keep_their_logits_and_new_ones_have_the_mean() {
        let device = Device::flex();
        for (tied, in_blocks) in [(false, false), (true, false), (false, true), (true, true)] {
            let config = DecoderConfig::new(5, 32, 32, 1, 2, 2).with_tie_word_embeddings(tied);
            let decoder = config.init(&device);
            let decoder =
                if in_blocks { decoder.quantized(QuantizedFormat::Q8_0) } else { decoder };
            let logits = |decoder: &Decoder| {
                let hidden = decoder.forward(decoder.embed_rows(&[vec![1, 3]]), None, None);
                decoder.logits(hidden, None).into_data().iter::<f32>().collect::<Vec<_>>()
            };
            let (before, after) = (logits(&decoder), logits(&decoder.clone().with_vocab_size(7)));
            for (before, after) in before.chunks(5).zip(after.chunks(7)) {
                let mean = before.iter().sum::<f32>() / 5.0;
                for (a, b) in before.iter().chain([&mean, &mean]).zip(after) {
                    assert!((a - b).abs() < 1e-5, "{before:?} {after:?}");
                }
            }
        }
    }
}
