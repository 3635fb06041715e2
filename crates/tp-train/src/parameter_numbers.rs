//! Sequential parameter ids in place of Burn's random ones, so that equal runs write equal
//! checkpoints.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleMapper, Param, ParamId},
    tensor::{Bool, Int, Tensor},
};

/// The model with its parameters numbered from 1 in module order. Parameters that shared an id
/// still do.
///
/// A checkpoint refers to the optimizer's moments by these ids. Call this before the optimizer and
/// its groups are made, and before a checkpoint is loaded, which restores the ids of its run.
#[must_use]
pub(crate) fn with_numbered_parameters<M: Module>(model: M) -> M {
    model.map(&mut Numbering::default())
}

#[derive(Default)]
struct Numbering {
    numbers: BTreeMap<ParamId, u64>,
}

impl Numbering {
    fn of(&mut self, id: ParamId) -> ParamId {
        let next = self.numbers.len() as u64 + 1;
        ParamId::from(*self.numbers.entry(id).or_insert(next))
    }
}

impl ModuleMapper for Numbering {
    fn map_float<const D: usize>(&mut self, mut param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.id = self.of(param.id);
        param
    }

    fn map_int<const D: usize>(
        &mut self,
        mut param: Param<Tensor<D, Int>>,
    ) -> Param<Tensor<D, Int>> {
        param.id = self.of(param.id);
        param
    }

    fn map_bool<const D: usize>(
        &mut self,
        mut param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        param.id = self.of(param.id);
        param
    }
}

#[cfg(test)]
mod tests {
    use burn::{
        nn::{Linear, LinearConfig},
        tensor::Device,
    };

    use super::*;

    #[derive(Module, Debug)]
    struct Twice {
        first: Linear,
        second: Linear,
        again: Linear,
    }

    #[test]
    fn parameters_are_numbered_in_order_and_shared_ids_stay_shared() {
        let device = Device::flex();
        let first = LinearConfig::new(2, 2).init(&device);
        let model = Twice {
            again: first.clone(),
            first,
            second: LinearConfig::new(2, 2).with_bias(false).init(&device),
        };
        let model = with_numbered_parameters(model);
        let id = |layer: &Linear| layer.weight.id.val();
        assert_eq!([id(&model.first), id(&model.second), id(&model.again)], [1, 3, 1]);
        assert_eq!(model.first.bias.unwrap().id.val(), 2);
    }
}
