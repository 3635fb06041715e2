//! AdamW with parameter groups: which parameters are decayed, slowed down or frozen.

use std::collections::BTreeMap;

use burn::{
    lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrSchedulerConfig},
    module::{Flag, Module, ModuleVisitor, Param, ParamGroup, ParamId},
    optim::{AdamWConfig, ModuleOptimizer},
    tensor::Tensor,
};

use crate::{LrGroup, TrainConfig, TrainError};

/// AdamW without weight decay on vectors and embeddings.
///
/// The groups refer to parameters by id, so a checkpoint has to be loaded before the optimizer is
/// made.
#[must_use]
pub fn adamw<M: Module>(model: &M, config: &TrainConfig) -> ModuleOptimizer {
    let adam = AdamWConfig::new()
        .with_beta_1(config.beta_1)
        .with_beta_2(config.beta_2)
        .with_epsilon(config.epsilon)
        .with_weight_decay(config.weight_decay);
    let undecayed = parameters(model)
        .into_iter()
        .filter(|parameter| parameter.rank <= 1 || parameter.path.contains("embed"));
    let undecayed = ParamGroup::from_ids(undecayed.map(|parameter| parameter.id).collect());
    adam.init().with_group(undecayed, adam.clone().with_weight_decay(0.0).build(), None)
}

/// The learning rate of every parameter, relative to the schedule's.
#[derive(Debug)]
pub(crate) struct LearningRates {
    /// Parameters by factor; those with factor 1 are omitted.
    slowed: Vec<(f64, ParamGroup)>,
    frozen: ParamGroup,
}

impl LearningRates {
    /// # Errors
    ///
    /// [`TrainError::Group`] if a group matches no parameter, because a misspelt path would
    /// silently train what was meant to be frozen.
    pub(crate) fn of<M: Module>(model: &M, groups: &[LrGroup]) -> Result<Self, TrainError> {
        let parameters = parameters(model);
        for group in groups {
            if !parameters.iter().any(|parameter| holds(&parameter.path, &group.path)) {
                let examples =
                    parameters.iter().take(3).map(|parameter| parameter.path.clone()).collect();
                return Err(TrainError::Group { path: group.path.clone(), examples });
            }
        }
        // Factors are non-negative, so their bit patterns sort like the numbers.
        let mut by_factor: BTreeMap<u64, Vec<ParamId>> = BTreeMap::new();
        for parameter in &parameters {
            if let Some(group) = groups.iter().rfind(|group| holds(&parameter.path, &group.path)) {
                by_factor.entry(group.factor.abs().to_bits()).or_default().push(parameter.id);
            }
        }
        let frozen = ParamGroup::from_ids(by_factor.remove(&0).unwrap_or_default());
        let slowed = by_factor
            .into_iter()
            .map(|(bits, ids)| (f64::from_bits(bits), ParamGroup::from_ids(ids)))
            .collect();
        Ok(Self { slowed, frozen })
    }

    /// The model with gradients disabled for the groups with factor 0.
    pub(crate) fn freeze<M: Module>(&self, model: M) -> M {
        model.freeze_group(self.frozen.clone())
    }

    /// The learning rates of a step at which the schedule's rate is `rate`.
    pub(crate) fn at(&self, rate: f64) -> ModuleLearningRate {
        self.slowed
            .iter()
            .fold(ModuleLrSchedulerConfig::new(rate.into()), |rates, (factor, group)| {
                rates.with_group(group.clone(), rate * factor)
            })
            .init()
            .expect("a constant learning rate has nothing to be wrong about")
            .step()
    }
}

/// The model with gradients for the parameters that one of the paths matches, and for no others.
///
/// A path is one or more consecutive components of a parameter's path, as in [`LrGroup::path`].
///
/// # Errors
///
/// [`TrainError::Group`] if a path matches no parameter.
pub fn train_only<M: Module>(model: M, paths: &[String]) -> Result<M, TrainError> {
    let model = model.unfreeze();
    let groups = |path: &String| LrGroup { path: path.clone(), factor: 1.0 };
    LearningRates::of(&model, &paths.iter().map(groups).collect::<Vec<_>>())?;
    let others = parameters(&model)
        .into_iter()
        .filter(|parameter| !paths.iter().any(|path| holds(&parameter.path, path)))
        .map(|parameter| parameter.id)
        .collect();
    Ok(model.freeze_group(ParamGroup::from_ids(others)))
}

/// Whether the components of `names` are consecutive components of `path`.
fn holds(path: &str, names: &str) -> bool {
    format!(".{path}.").contains(&format!(".{names}."))
}

#[derive(Debug)]
struct Parameter {
    id: ParamId,
    path: String,
    rank: usize,
}

/// Every parameter of a model, and every flag, because freezing has to reach those as well.
fn parameters<M: Module>(model: &M) -> Vec<Parameter> {
    #[derive(Default)]
    struct Listing {
        path: Vec<String>,
        found: Vec<Parameter>,
    }
    impl Listing {
        fn add(&mut self, id: ParamId, rank: usize) {
            self.found.push(Parameter { id, path: self.path.join("."), rank });
        }
    }
    impl ModuleVisitor for Listing {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.add(param.id, D);
        }
        fn visit_flag(&mut self, flag: &Param<Flag>) {
            self.add(flag.id, 0);
        }
    }
    let mut listing = Listing::default();
    model.visit(&mut listing);
    listing.found
}

#[cfg(test)]
mod tests {
    use burn::{
        nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig},
        optim::GradientsParams,
        tensor::Device,
    };

    use super::*;
    use crate::Schedule;

    #[derive(Module, Debug)]
    struct Pair {
        eyes: Linear,
        mouth: Linear,
        norm: LayerNorm,
        embed_tokens: Embedding,
    }

    fn pair() -> Pair {
        let device = Device::flex().autodiff();
        Pair {
            eyes: LinearConfig::new(2, 2).init(&device),
            mouth: LinearConfig::new(2, 2).init(&device),
            norm: LayerNormConfig::new(2).init(&device),
            embed_tokens: EmbeddingConfig::new(3, 2).init(&device),
        }
    }

    fn group(path: &str, factor: f64) -> LrGroup {
        LrGroup { path: path.into(), factor }
    }

    #[test]
    fn last_matching_group_decides_the_rate() {
        let pair = pair();
        let rates = LearningRates::of(
            &pair,
            &[group("eyes", 0.1), group("eyes.bias", 0.0), group("norm", 1.0)],
        )
        .unwrap();
        let at = rates.at(2.0);
        let rate = |id| at.lr_from_param(id, None);
        assert_eq!(rate(pair.eyes.weight.id), 0.2);
        assert_eq!(rate(pair.mouth.weight.id), 2.0);
        assert_eq!(rate(pair.norm.gamma.id), 2.0);
        let frozen = rates.freeze(pair);
        assert!(frozen.eyes.weight.is_require_grad());
        assert!(!frozen.eyes.bias.unwrap().is_require_grad());
    }

    #[test]
    fn only_what_is_named_is_trained() {
        let paths = |paths: &[&str]| paths.iter().map(|&path| path.into()).collect::<Vec<_>>();
        let trained = train_only(pair().freeze(), &paths(&["mouth", "norm.gamma"])).unwrap();
        assert!(trained.mouth.weight.is_require_grad());
        assert!(trained.mouth.bias.unwrap().is_require_grad());
        assert!(trained.norm.gamma.is_require_grad());
        assert!(!trained.norm.beta.unwrap().is_require_grad());
        assert!(!trained.eyes.weight.is_require_grad());
        assert!(train_only(pair(), &paths(&["mouth", "ear"])).is_err());
    }

    #[test]
    fn group_that_matches_nothing_is_refused() {
        // Components match as a whole: `eye` does not match `eyes`.
        let error = LearningRates::of(&pair(), &[group("eye", 0.1)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no parameter has `eye` in its path; paths look like eyes.weight, eyes.bias, mouth.weight"
        );
    }

    #[test]
    fn vectors_and_embeddings_are_not_decayed() {
        let pair = pair();
        // With a zero gradient, only weight decay changes a parameter: w ← (1 − 1 · 0.5) w.
        let config = TrainConfig {
            weight_decay: 0.5,
            ..TrainConfig::new(
                "x",
                Schedule { peak: 1.0, warmup: 0, steps: 1, floor: 1.0 },
                Default::default(),
            )
        };
        let mut gradients = GradientsParams::new();
        gradients.register(pair.eyes.weight.id, Tensor::<2>::zeros([2, 2], &Device::flex()));
        gradients.register(pair.norm.gamma.id, Tensor::<1>::zeros([2], &Device::flex()));
        gradients
            .register(pair.embed_tokens.weight.id, Tensor::<2>::zeros([3, 2], &Device::flex()));
        let after = adamw(&pair, &config).step(1.0, pair.clone(), gradients);
        let values = |tensor: Tensor<2>| tensor.into_data().iter::<f32>().collect::<Vec<_>>();
        let halved: Vec<f32> =
            values(pair.eyes.weight.val()).iter().map(|value| value / 2.0).collect();
        assert_eq!(values(after.eyes.weight.val()), halved);
        assert_eq!(values(after.embed_tokens.weight.val()), values(pair.embed_tokens.weight.val()));
        assert_eq!(after.norm.gamma.val().into_data(), pair.norm.gamma.val().into_data());
    }
}
