//! The product with blocks as a node of the autodiff graph. It keeps no tensor: the gradient needs
//! the blocks alone, and they exist anyway.

use std::sync::Arc;

use burn::backend::{
    Autodiff, AutodiffBackend,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind, unary},
    },
    tensor::FloatTensor,
};

use super::{BlockProductOps, Blocks};

impl<B: BlockProductOps, C: CheckpointStrategy> BlockProductOps for Autodiff<B, C> {
    fn fused_block_product(x: FloatTensor<Self>, blocks: Arc<Blocks>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct BlockProduct;
        impl<B: BlockProductOps> Backward<B, 1> for BlockProduct {
            type State = Arc<Blocks>;
            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                unary::<B, _>(ops.parents, ops.node, grads, |dy| {
                    B::fused_block_product_backward(dy, ops.state)
                });
            }
        }

        let node = x.node();
        let y = B::fused_block_product(x.into_primitive(), blocks.clone());
        match BlockProduct.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish(blocks, y),
            OpsKind::UnTracked(op) => op.finish(y),
        }
    }

    fn fused_block_product_backward(
        dy: FloatTensor<Self>,
        blocks: Arc<Blocks>,
    ) -> FloatTensor<Self> {
        Self::from_inner(B::fused_block_product_backward(dy.into_primitive(), blocks))
    }
}
