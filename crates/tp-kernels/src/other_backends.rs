//! Backends without a fast path of ours: every operator is its reference.

#[cfg(feature = "libtorch")]
mod libtorch {
    use burn::backend::LibTorch;

    use crate::*;

    impl ActivationOps for LibTorch {}
    impl CachedAttentionOps for LibTorch {}
    impl CausalAttentionOps for LibTorch {}
    impl Conv3x3Ops for LibTorch {}
    impl CrossEntropyOps for LibTorch {}
    impl DeformableAttentionOps for LibTorch {}
    impl DepthwiseConvOps for LibTorch {}
    impl Int8ProductOps for LibTorch {}
    impl NormalizationOps for LibTorch {}
    impl ProductOps for LibTorch {}
    impl ProjectedCrossEntropyOps for LibTorch {}
    impl WindowedAttentionOps for LibTorch {}
}
