//! A linear layer of a block, in single precision or in blocks, with its low-rank update if there is
//! one.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Device, Tensor},
};
use tp_kernels::{BlockMatrix, QuantizedFormat, affine, block_product};

use crate::LoraPair;

/// `x · weight + bias`.
///
/// The matrix can be kept in blocks ([`Decoder::quantized`](crate::Decoder::quantized), a GGUF
/// file); its parameter is empty then.
#[derive(Module, Debug)]
pub struct Projection {
    /// `[in, out]`
    pub weight: Param<Tensor<2>>,
    /// `[out]`
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    blocks: Option<BlockMatrix>,
}

impl Projection {
    /// Of a gain near 1 whatever its width.
    pub(crate) fn new(d_input: usize, d_output: usize, device: &Device) -> Self {
        Self::of_gain(d_input, d_output, 1.0, device)
    }

    /// One that writes into the residual stream: the more blocks there are, the less each adds at
    /// the start.
    pub(crate) fn residual(
        d_input: usize,
        d_output: usize,
        n_layers: usize,
        device: &Device,
    ) -> Self {
        Self::of_gain(d_input, d_output, 1.0 / (2.0 * n_layers as f64).sqrt(), device)
    }

    /// A fixed deviation (GPT-2's 0.02) suits one width; at 128 it starves every path that leads
    /// through several layers.
    fn of_gain(d_input: usize, d_output: usize, gain: f64, device: &Device) -> Self {
        let std = gain / (d_input as f64).sqrt();
        Self {
            weight: Initializer::Normal { mean: 0.0, std }.init([d_input, d_output], device),
            bias: None,
            blocks: None,
        }
    }

    pub(crate) fn with_bias(mut self, device: &Device) -> Self {
        let [_, d_output] = self.weight.lazy_shape().dims();
        self.bias = Some(Initializer::Zeros.init([d_output], device));
        self
    }

    /// `[.., in]` → `[.., out]`
    pub(crate) fn forward<const D: usize>(
        &self,
        x: Tensor<D>,
        lora: Option<&LoraPair>,
    ) -> Tensor<D> {
        let bias = self.bias.as_ref().map(|bias| bias.val());
        let y = match &self.blocks {
            None => affine(x.clone(), self.weight.val(), bias),
            Some(matrix) => match bias {
                None => block_product(x.clone(), matrix),
                Some(bias) => block_product(x.clone(), matrix) + bias.unsqueeze(),
            },
        };
        match lora {
            Some(pair) => y + pair.forward(x),
            None => y,
        }
    }

    /// The layer of a matrix in blocks.
    pub(crate) fn of_blocks(
        matrix: BlockMatrix,
        bias: Option<Param<Tensor<1>>>,
        device: &Device,
    ) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::zeros([0, 0], device)),
            bias,
            blocks: Some(matrix),
        }
    }

    /// Whether the matrix is in blocks, and its parameter empty.
    pub(crate) fn is_in_blocks(&self) -> bool {
        self.blocks.is_some()
    }

    /// The matrix in blocks, if it is.
    pub(crate) fn blocks(&self) -> Option<&BlockMatrix> {
        self.blocks.as_ref()
    }

    /// Bytes of the matrix.
    pub(crate) fn n_bytes(&self) -> usize {
        self.blocks.as_ref().map_or_else(
            || {
                let [d_input, d_output] = self.weight.lazy_shape().dims();
                d_input * d_output * self.weight.val().dtype().size()
            },
            BlockMatrix::n_bytes,
        )
    }

    /// The same in blocks of few bits, if it is not yet and its inputs are whole blocks; the
    /// parameter's memory is given back.
    pub(crate) fn quantized(&self, format: QuantizedFormat) -> Self {
        let weight = self.weight.val();
        let matrix = match &self.blocks {
            None => BlockMatrix::nearest(&weight, format),
            Some(matrix) => matrix.quantized(format),
        };
        let of = |matrix| Self::of_blocks(matrix, self.bias.clone(), &weight.device());
        matrix.map_or_else(|| self.clone(), of)
    }

    /// `weight + update`, `[in, out]`; of a matrix in single precision.
    pub(crate) fn merged(&self, lora: &LoraPair) -> Self {
        let weight = self.weight.val();
        let update = lora.update().cast(weight.dtype());
        Self {
            weight: self.weight.clone().map(|weight| weight + update),
            bias: self.bias.clone(),
            blocks: None,
        }
    }
}
