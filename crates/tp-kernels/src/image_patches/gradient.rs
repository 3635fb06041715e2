//! Patches as a node of the autodiff graph.

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, unary},
};
use burn::backend::{Autodiff, tensor::FloatTensor};

use super::ImagePatchesOps;

impl<B: ImagePatchesOps, C: CheckpointStrategy> ImagePatchesOps for Autodiff<B, C> {
    fn image_patches(images: FloatTensor<Self>, side: usize, stride: usize) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Patches;
        impl<B: ImagePatchesOps> Backward<B, 1> for Patches {
            type State = (FloatTensor<B>, usize, usize);
            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let (images, side, stride) = ops.state;
                unary::<B, _>(ops.parents, ops.node, grads, |dy| {
                    B::image_patches_backward(images, dy, side, stride)
                });
            }
        }

        let node = images.node();
        let images = images.into_primitive();
        match Patches.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(op) => {
                op.finish((images.clone(), side, stride), B::image_patches(images, side, stride))
            }
            OpsKind::UnTracked(op) => op.finish(B::image_patches(images, side, stride)),
        }
    }
}
