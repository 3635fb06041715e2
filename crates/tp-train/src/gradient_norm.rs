//! The global gradient norm, and clipping by it. Burn's own clipping works per tensor.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{DType, Tensor},
};

/// The Euclidean norm over the gradients of all parameters.
#[must_use]
pub fn gradient_norm<M: Module>(model: &M, gradients: &GradientsParams) -> f64 {
    struct SumsOfSquares<'a> {
        gradients: &'a GradientsParams,
        sums: Vec<Tensor<1>>,
    }
    impl ModuleVisitor for SumsOfSquares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                self.sums.push(gradient.cast(DType::F32).square().sum());
            }
        }
    }
    let mut visitor = SumsOfSquares { gradients, sums: Vec::new() };
    model.visit(&mut visitor);
    if visitor.sums.is_empty() {
        return 0.0;
    }
    // A single transfer for all parameters, because on a GPU each transfer waits for the device.
    Tensor::cat(visitor.sums, 0).into_data().iter::<f64>().sum::<f64>().sqrt()
}

/// Scales the gradients to a norm of at most `limit`, given their norm.
#[must_use]
pub fn clip_gradients<M: Module>(
    model: &M,
    gradients: GradientsParams,
    norm: f64,
    limit: f64,
) -> GradientsParams {
    struct Scale {
        old: GradientsParams,
        new: GradientsParams,
        factor: f64,
    }
    impl ModuleVisitor for Scale {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.old.remove::<D>(param.id) {
                self.new.register(param.id, gradient.mul_scalar(self.factor));
            }
        }
    }
    if norm <= limit {
        return gradients;
    }
    let mut visitor = Scale { old: gradients, new: GradientsParams::new(), factor: limit / norm };
    model.visit(&mut visitor);
    visitor.new
}

#[cfg(test)]
mod tests {
    use burn::{
        nn::{Linear, LinearConfig},
        tensor::Device,
    };

    use super::*;

    fn gradients(model: &Linear) -> GradientsParams {
        let device = Device::flex();
        let mut gradients = GradientsParams::new();
        gradients.register(model.weight.id, Tensor::<2>::from_floats([[2.0], [4.0]], &device));
        gradients
            .register(model.bias.as_ref().unwrap().id, Tensor::<1>::from_floats([4.0], &device));
        gradients
    }

    #[test]
    fn norm_runs_over_all_parameters_together() {
        let model = LinearConfig::new(2, 1).init(&Device::flex().autodiff());
        assert_eq!(gradient_norm(&model, &gradients(&model)), 6.0); // √(4 + 16 + 16)
        assert_eq!(gradient_norm(&model, &GradientsParams::new()), 0.0);
    }

    #[test]
    fn clipping_keeps_the_direction() {
        let model = LinearConfig::new(2, 1).init(&Device::flex().autodiff());
        let read = |gradients: &GradientsParams| {
            let weight = gradients
                .get::<2>(model.weight.id)
                .unwrap()
                .into_data()
                .iter::<f32>()
                .collect::<Vec<_>>();
            (
                weight,
                gradients.get::<1>(model.bias.as_ref().unwrap().id).unwrap().into_scalar::<f32>(),
            )
        };
        assert_eq!(
            read(&clip_gradients(&model, gradients(&model), 6.0, 3.0)),
            (vec![1.0, 2.0], 2.0)
        );
        assert_eq!(
            read(&clip_gradients(&model, gradients(&model), 6.0, 6.0)),
            (vec![2.0, 4.0], 4.0)
        );
    }
}
