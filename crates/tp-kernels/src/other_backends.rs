//! Backends without fast paths of ours, which use the reference of every operator.

use crate::ops::*;

macro_rules! every_operator_is_its_reference {
    ($backend:ty) => {
        impl ActivationOps for $backend {}
        impl BlockProductOps for $backend {}
        impl CachedAttentionOps for $backend {}
        impl CausalAttentionOps for $backend {}
        impl Conv3x3Ops for $backend {}
        impl CrossEntropyOps for $backend {}
        impl DeformableAttentionOps for $backend {}
        impl DepthwiseConvOps for $backend {}
        impl ImagePatchesOps for $backend {}
        impl InvertedBottleneckOps for $backend {}
        impl NormalizationOps for $backend {}
        impl ProductOps for $backend {}
        impl ProjectedCrossEntropyOps for $backend {}
        impl WindowedAttentionOps for $backend {}
    };
}

#[cfg(feature = "libtorch")]
every_operator_is_its_reference!(burn::backend::LibTorch);
#[cfg(feature = "cuda")]
every_operator_is_its_reference!(burn::backend::Cube);
