//! The settings of a run, and which of them a resumed run may change.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tp_core::Seed;

use crate::{Schedule, TrainError};

/// The settings that a resumed run may change, because they do not affect what is learned.
const FREE: [&str; 5] = ["name", "evaluate_every", "checkpoint_every", "keep", "prefetch"];

/// The settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// The name of the run in logs and plots.
    pub name: String,
    /// Learning-rate schedule and number of steps.
    pub schedule: Schedule,
    /// AdamW's weight decay; not applied to vectors (biases, norms) and embeddings.
    pub weight_decay: f32,
    /// AdamW's first decay rate.
    #[serde(default = "usual_beta_1")]
    pub beta_1: f32,
    /// AdamW's second decay rate.
    pub beta_2: f32,
    /// Added to the root of AdamW's second moment. PyTorch's default is 1e-8; at ours a parameter
    /// whose gradient is far below 1e-5 hardly moves.
    #[serde(default = "usual_epsilon")]
    pub epsilon: f32,
    /// The global gradient norm is clipped to this value.
    pub clip_norm: f64,
    /// Micro-batches per step; their gradients are averaged.
    pub accumulate: u64,
    /// Parameter groups with a learning rate of their own; the last group that matches a parameter
    /// applies.
    #[serde(default)]
    pub groups: Vec<LrGroup>,
    /// Steps between two evaluations; 0 = only after the last step.
    pub evaluate_every: u64,
    /// Steps between two checkpoints; 0 = only after the last step.
    pub checkpoint_every: u64,
    /// The number of checkpoints kept besides the best.
    pub keep: usize,
    /// Micro-batches prepared ahead of the step that needs them.
    #[serde(default = "usual_prefetch")]
    pub prefetch: usize,
    /// Determines the data.
    pub seed: Seed,
}

/// A parameter group with its own learning rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LrGroup {
    /// One or more consecutive path components of a parameter: `decoder` and `network.decoder` both
    /// match `network.decoder.embed_tokens.weight`.
    pub path: String,
    /// Factor on the schedule's learning rate; 0 freezes the group.
    pub factor: f64,
}

fn usual_beta_1() -> f32 {
    0.9
}

fn usual_epsilon() -> f32 {
    1e-5
}

fn usual_prefetch() -> usize {
    2
}

impl TrainConfig {
    /// Default settings.
    #[must_use]
    pub fn new(name: &str, schedule: Schedule, seed: Seed) -> Self {
        Self {
            name: name.to_owned(),
            schedule,
            weight_decay: 0.03,
            beta_1: usual_beta_1(),
            beta_2: 0.98,
            epsilon: usual_epsilon(),
            clip_norm: 1.0,
            accumulate: 1,
            groups: Vec::new(),
            evaluate_every: 0,
            checkpoint_every: 100,
            keep: 2,
            prefetch: usual_prefetch(),
            seed,
        }
    }

    /// # Errors
    ///
    /// [`TrainError::Setting`] for the first invalid setting.
    pub(crate) fn validate(&self) -> Result<(), TrainError> {
        let share = 0.0..=1.0;
        let at_least_0 = |value: f64| value.is_finite() && value >= 0.0;
        let rules: [(&'static str, f64, bool, &'static str); 9] = [
            (
                "schedule.peak",
                self.schedule.peak,
                at_least_0(self.schedule.peak),
                "a finite number of at least 0",
            ),
            (
                "schedule.floor",
                self.schedule.floor,
                share.contains(&self.schedule.floor),
                "from 0 to 1",
            ),
            (
                "weight_decay",
                self.weight_decay.into(),
                at_least_0(self.weight_decay.into()),
                "a finite number of at least 0",
            ),
            ("beta_1", self.beta_1.into(), (0.0..1.0).contains(&self.beta_1), "from 0 to below 1"),
            ("beta_2", self.beta_2.into(), (0.0..1.0).contains(&self.beta_2), "from 0 to below 1"),
            (
                "epsilon",
                self.epsilon.into(),
                self.epsilon.is_finite() && self.epsilon > 0.0,
                "a finite number above 0",
            ),
            (
                "clip_norm",
                self.clip_norm,
                self.clip_norm.is_finite() && self.clip_norm > 0.0,
                "a finite number above 0",
            ),
            ("accumulate", self.accumulate as f64, self.accumulate > 0, "at least 1"),
            ("keep", self.keep as f64, self.keep > 0, "at least 1"),
        ];
        let factors = self.groups.iter().map(|group| {
            (
                "groups.factor",
                group.factor,
                at_least_0(group.factor),
                "a finite number of at least 0",
            )
        });
        match rules.into_iter().chain(factors).find(|(_, _, fine, _)| !fine) {
            Some((name, value, _, accepted)) => Err(TrainError::Setting { name, value, accepted }),
            None => Ok(()),
        }
    }

    /// The settings as text, as a checkpoint stores them.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a struct of numbers and strings has a JSON form")
    }

    /// The first setting that differs from those of a saved run, described in words, or `None`.
    ///
    /// A setting that is missing from the saved text has its default value.
    pub(crate) fn difference(&self, saved: &str) -> Option<String> {
        let Some(saved) = comparable(saved) else {
            return Some("its settings cannot be read".to_owned());
        };
        let current = comparable(&self.to_text())?;
        let changed: Vec<String> = current
            .as_object()?
            .iter()
            .filter(|(name, value)| {
                !FREE.contains(&name.as_str()) && saved.get(name) != Some(value)
            })
            .map(|(name, value)| {
                format!("{name} was {}, is {value}", saved.get(name).unwrap_or(&Value::Null))
            })
            .collect();
        (!changed.is_empty()).then(|| changed.join("; "))
    }
}

/// Both sides are parsed from text, because parsing may change the last digit of a number.
fn comparable(settings: &str) -> Option<Value> {
    serde_json::to_value(serde_json::from_str::<TrainConfig>(settings).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> TrainConfig {
        TrainConfig::new("run", Schedule { peak: 0.1, warmup: 2, steps: 9, floor: 0.1 }, Seed(7))
    }

    #[test]
    fn difference_names_what_changes_the_result_and_nothing_else() {
        let saved = config().to_text();
        assert_eq!(
            TrainConfig { name: "other".into(), keep: 9, evaluate_every: 5, ..config() }
                .difference(&saved),
            None
        );
        let other = TrainConfig { accumulate: 4, ..config() };
        assert_eq!(other.difference(&saved).unwrap(), "accumulate was 1, is 4");
    }

    #[test]
    fn settings_of_before_a_setting_existed_count_as_usual() {
        let mut old = serde_json::to_value(config()).unwrap();
        for name in ["beta_1", "epsilon", "groups", "prefetch"] {
            old.as_object_mut().unwrap().remove(name);
        }
        assert_eq!(config().difference(&old.to_string()), None);
        assert!(TrainConfig { beta_1: 0.8, ..config() }.difference(&old.to_string()).is_some());
    }

    #[test]
    fn senseless_settings_are_named() {
        let group = LrGroup { path: "eyes".into(), factor: f64::NAN };
        for (config, name) in [
            (TrainConfig { clip_norm: f64::INFINITY, ..config() }, "clip_norm"),
            (TrainConfig { accumulate: 0, ..config() }, "accumulate"),
            (TrainConfig { beta_2: 1.0, ..config() }, "beta_2"),
            (TrainConfig { epsilon: 0.0, ..config() }, "epsilon"),
            (TrainConfig { groups: vec![group], ..config() }, "groups.factor"),
        ] {
            assert!(config.validate().unwrap_err().to_string().contains(name));
        }
        config().validate().unwrap();
    }
}
