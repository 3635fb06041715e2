//! A hash of a module's weights.

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::Tensor,
};

/// FNV-1a over the bytes of every float parameter, in the order of the module.
#[must_use]
pub fn fingerprint<M: Module>(module: &M) -> u64 {
    struct Hash(u64);
    impl ModuleVisitor for Hash {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let data = param.val().into_data();
            // Hashed in whole words, because a byte at a time would dominate the step time of a
            // small model.
            let (words, rest) = data.as_bytes().as_chunks::<8>();
            for word in words {
                self.add(u64::from_le_bytes(*word));
            }
            rest.iter().for_each(|&byte| self.add(u64::from(byte)));
        }
    }
    impl Hash {
        fn add(&mut self, word: u64) {
            let mixed = (self.0 ^ word).wrapping_mul(0x0100_0000_01b3);
            // A product carries differences only upwards, so the high bits are folded back into the
            // low ones.
            self.0 = mixed ^ (mixed >> 29);
        }
    }
    let mut hash = Hash(0xcbf2_9ce4_8422_2325);
    module.visit(&mut hash);
    hash.0
}

/// The number of trainable float parameters of a module: those that require a gradient, on an
/// autodiff device.
#[must_use]
pub fn n_trainable<M: Module>(module: &M) -> usize {
    struct Count(usize);
    impl ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 += usize::from(param.is_require_grad() && param.val().is_autodiff());
        }
    }
    let mut count = Count(0);
    module.visit(&mut count);
    count.0
}

#[cfg(test)]
mod tests {
    use burn::{module::Module, nn::LinearConfig, tensor::Device};

    use super::*;

    #[test]
    fn smallest_change_of_one_weight_shows() {
        let linear = LinearConfig::new(3, 2).init(&Device::flex().autodiff());
        let before = fingerprint(&linear);
        assert_eq!(fingerprint(&linear.clone()), before);
        let mut changed = linear;
        changed.weight = changed.weight.map(|weight| {
            let mut values = weight.to_data().iter::<f32>().collect::<Vec<_>>();
            values[5] = f32::from_bits(values[5].to_bits() ^ 1);
            Tensor::from_data(burn::tensor::TensorData::new(values, [3, 2]), &weight.device())
        });
        assert_ne!(fingerprint(&changed), before);
    }

    #[test]
    fn frozen_parameters_are_not_trainable() {
        let linear = LinearConfig::new(3, 2).init(&Device::flex().autodiff());
        assert_eq!(n_trainable(&linear), 2);
        assert_eq!(n_trainable(&linear.valid()), 0);
        assert_eq!(n_trainable(&linear.freeze()), 0);
    }
}
