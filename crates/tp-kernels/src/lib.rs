#![doc = include_str!("../README.md")]
// `flex_buffer.rs` initializes memory piece by piece, `simd/` calls functions compiled for AVX2
// and AVX-512 after checking the processor, and `cuda_driver.rs` calls NVIDIA's library. None of
// these can be expressed in safe Rust; no other file uses unsafe code.
#![allow(unsafe_code)]
// Burn deprecates the type of its LibTorch backend, which the dispatch of every operator names.
#![cfg_attr(feature = "libtorch", allow(deprecated))]

mod activation;
mod bicubic;
mod block_product;
mod cached_attention;
mod causal_attention;
mod conv3x3;
mod cross_entropy;
#[cfg(feature = "cuda")]
mod cuda_driver;
mod deformable_attention;
mod depthwise_conv;
mod flex_buffer;
mod image_patches;
mod inverted_bottleneck;
mod linear;
mod matrix;
mod normalization;
#[cfg(any(feature = "libtorch", feature = "cuda"))]
mod other_backends;
mod packed_rows;
mod pool;
mod projected_cross_entropy;
mod same_padding;
mod simd;
#[cfg(test)]
mod testing;
mod vector_math;
mod windowed_attention;

pub use activation::{gelu, relu6, silu, silu_gate};
pub use bicubic::{Framed, resize_bicubic};
pub use block_product::{
    BlockFormat, BlockMatrix, BlockRows, Blocks, QuantizedFormat, block_product,
};
pub use cached_attention::{CachedRow, cached_attention};
pub use causal_attention::{AttentionHeads, AttentionPrefix, RotaryAngles, causal_attention};
pub use conv3x3::conv3x3;
pub use cross_entropy::token_cross_entropy;
#[cfg(feature = "cuda")]
pub use cuda_driver::{CudaRefusal, cuda_cards};
pub use deformable_attention::deformable_attention;
pub use depthwise_conv::{depthwise_conv2d, depthwise_conv2d_relu6, depthwise_conv2d_same};
pub use image_patches::image_patches;
pub use inverted_bottleneck::{BottleneckForm, BottleneckWeights, inverted_bottleneck};
pub use linear::{affine, affine_relu6, linear};
pub use normalization::{layer_norm, rms_norm, softmax};
pub use pool::in_pool;
pub use projected_cross_entropy::projected_cross_entropy;
pub use windowed_attention::{Windows, windowed_attention};

/// The backend traits behind the functions, for implementing further backends.
pub mod ops {
    pub use crate::{
        activation::ActivationOps, block_product::BlockProductOps,
        cached_attention::CachedAttentionOps, causal_attention::CausalAttentionOps,
        conv3x3::Conv3x3Ops, cross_entropy::CrossEntropyOps,
        deformable_attention::DeformableAttentionOps, depthwise_conv::DepthwiseConvOps,
        image_patches::ImagePatchesOps, inverted_bottleneck::InvertedBottleneckOps,
        linear::ProductOps, normalization::NormalizationOps,
        projected_cross_entropy::ProjectedCrossEntropyOps,
        windowed_attention::WindowedAttentionOps,
    };
}
