//! How a run is done, and which of it a resumed run may change.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tp_core::Seed;

use crate::{Schedule, TrainError};

/// What a resumed run may change: these decide what is kept and shown, not what is learned.
const FREE: [&str; 5] = ["name", "evaluate_every", "checkpoint_every", "keep", "prefetch"];

/// How a run is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// The name of the run, for logs and plots.
    pub name: String,
    /// Learning rate and number of steps.
    pub schedule: Schedule,
    /// AdamW's weight decay; vectors (biases, norms) and embeddings have none.
    pub weight_decay: f32,
    /// AdamW's first decay rate.
    #[serde(default = "usual_beta_1")]
    pub beta_1: f32,
    /// AdamW's second decay rate.
    pub beta_2: f32,
    /// The norm of all gradients together is clipped to this.
    pub clip_norm: f64,
    /// Micro-batches a step; their gradients are averaged.
    pub accumulate: u64,
    /// Parts of the model that learn slower, faster or not at all; the last group that matches a
    /// parameter counts.
    #[serde(default)]
    pub groups: Vec<LrGroup>,
    /// Judge the model every so many steps; 0 = only after the last.
    pub evaluate_every: u64,
    /// Write a checkpoint every so many steps; 0 = only after the last.
    pub checkpoint_every: u64,
    /// How many checkpoints are kept beside the best.
    pub keep: usize,
    /// Micro-batches that are made ahead of the step that needs them.
    #[serde(default = "usual_prefetch")]
    pub prefetch: usize,
    /// Decides the data.
    pub seed: Seed,
}

/// A part of a model with a learning rate of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LrGroup {
    /// One or more whole names in a row of a parameter's path: `eyes` and `network.eyes` match
    /// `network.eyes.stem.weight`.
    pub path: String,
    /// Times the schedule's learning rate; 0 freezes.
    pub factor: f64,
}

fn usual_beta_1() -> f32 {
    0.9
}

fn usual_prefetch() -> usize {
    2
}

impl TrainConfig {
    /// Common settings.
    #[must_use]
    pub fn new(name: &str, schedule: Schedule, seed: Seed) -> Self {
        Self {
            name: name.to_owned(),
            schedule,
            weight_decay: 0.03,
            beta_1: usual_beta_1(),
            beta_2: 0.98,
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
    /// [`TrainError::Setting`] for the first setting that makes no sense.
    pub(crate) fn validate(&self) -> Result<(), TrainError> {
        let share = 0.0..=1.0;
        let at_least_0 = |value: f64| value.is_finite() && value >= 0.0;
        let rules: [(&'static str, f64, bool, &'static str); 8] = [
            (
                "schedule.peak",
                self.schedule.peak,
                at_least_0(self.schedule.peak),
                "a number from 0",
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
                "a number from 0",
            ),
            ("beta_1", self.beta_1.into(), (0.0..1.0).contains(&self.beta_1), "from 0 to below 1"),
            ("beta_2", self.beta_2.into(), (0.0..1.0).contains(&self.beta_2), "from 0 to below 1"),
            (
                "clip_norm",
                self.clip_norm,
                self.clip_norm.is_finite() && self.clip_norm > 0.0,
                "a number above 0",
            ),
            ("accumulate", self.accumulate as f64, self.accumulate > 0, "at least 1"),
            ("keep", self.keep as f64, self.keep > 0, "at least 1"),
        ];
        let factors = self.groups.iter().map(|group| {
            ("groups.factor", group.factor, at_least_0(group.factor), "a number from 0")
        });
        match rules.into_iter().chain(factors).find(|(_, _, fine, _)| !fine) {
            Some((name, value, _, accepted)) => Err(TrainError::Setting { name, value, accepted }),
            None => Ok(()),
        }
    }

    /// The settings as a checkpoint keeps them.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a struct of numbers and strings has a JSON form")
    }

    /// What a run that was saved with these settings would do differently, or `None`.
    ///
    /// A setting that the saved text does not know has its usual value.
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

/// Both sides of a comparison are read from text, as reading may move the last digit of a number.
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
        for name in ["beta_1", "groups", "prefetch"] {
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
            (TrainConfig { groups: vec![group], ..config() }, "groups.factor"),
        ] {
            assert!(config.validate().unwrap_err().to_string().contains(name));
        }
        config().validate().unwrap();
    }
}
