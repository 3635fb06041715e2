//! What a module's parameters are called, and their shapes in a published file.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::Tensor,
};

use crate::load::LAYERS;

/// A parameter, of which nothing but its shape was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterShape {
    /// As PyTorch lists it: matrices of layers are `[out, in]`.
    pub shape: Vec<usize>,
    /// Whether its numbers are in memory already.
    pub is_allocated: bool,
}

/// The float parameters of a module by path, without allocating those that are not yet.
#[must_use]
pub fn parameter_shapes(module: &impl Module) -> BTreeMap<String, ParameterShape> {
    let mut listing = Listing::default();
    module.visit(&mut listing);
    listing.found
}

#[derive(Default)]
struct Listing {
    path: Vec<String>,
    containers: Vec<String>,
    found: BTreeMap<String, ParameterShape>,
}

impl ModuleVisitor for Listing {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(name.to_owned());
        self.containers.push(container.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
        self.containers.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let mut shape = param.lazy_shape().to_vec();
        if D == 2 && self.containers.iter().any(|container| LAYERS.contains(&container.as_str())) {
            shape.reverse();
        }
        self.found.insert(
            self.path.join("."),
            ParameterShape { shape, is_allocated: param.is_initialized() },
        );
    }
}

#[cfg(test)]
mod tests {
    use burn::{nn::LinearConfig, tensor::Device};

    use super::*;

    #[test]
    fn matrix_of_a_layer_is_listed_as_published_and_not_allocated() {
        let layer = LinearConfig::new(3, 2).init(&Device::flex());
        let shapes = parameter_shapes(&layer);
        assert_eq!(shapes["weight"], ParameterShape { shape: vec![2, 3], is_allocated: false });
        assert_eq!(shapes["bias"].shape, [2]);
    }
}
