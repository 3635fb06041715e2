//! The paper's reinforcement experiment: the Descriptor is trained on one family of objects and
//! evaluated on another.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use serde::Serialize;
use tp_core::{DescribeOptions, Seed, Style, write_atomically};
use tp_data::{Dataset, Split};
use tp_metrics::{Bootstrap, PairedMean, PointRow, Protocol, paired, rows_to_jsonl};
use tp_rl::{
    AdvantageConfig, Algorithm, GrpoConfig, GrpoParts, LossOptions, Reward, Scale, SpreadReport,
    StepReport, StyleMonitor, Trainer, read_steps, reinforce,
};
use tp_train::{RunOutcome, Schedule, TrainConfig};

use super::{
    DescriptorPolicy, LocalizerJudge, ReinforcementError, SeenPoints, descriptions,
    family_photographs, family_scenes, localizer_jitter, points_by_words, with_adapter, write_page,
};
use crate::{
    Models,
    evaluation::{EvalSet, NameAccuracy, name_accuracy},
    save_model_dir,
};

/// The number of images on which the jitter of the Localizer is measured.
const JITTER_IMAGES: usize = 8;
/// The number of groups sampled before training to measure the spread of rewards.
const SPREAD_GROUPS: usize = 12;

/// The training points, the held-out points of the same family, and the points of the other family.
#[derive(Clone, Debug)]
pub struct ExperimentSets {
    /// Training points, whose descriptions are rewarded.
    pub train: EvalSet,
    /// Held-out points of the same family.
    pub held_back: EvalSet,
    /// Points of the other family.
    pub test: EvalSet,
}

/// The numbers of images and points of an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExperimentSize {
    /// Training images.
    pub train_images: u64,
    /// Images in each of the two test sets.
    pub test_images: u64,
    /// Points per image.
    pub points_per_image: usize,
}

impl ExperimentSize {
    /// For results: hours on two cores.
    pub const FULL: Self = Self { train_images: 400, test_images: 150, points_per_image: 4 };
    /// For trials: ten minutes.
    pub const QUICK: Self = Self { train_images: 24, test_images: 20, points_per_image: 2 };
}

impl ExperimentSets {
    /// Scenes of `side` pixels, each showing objects of a single family.
    ///
    /// # Errors
    ///
    /// [`ReinforcementError::Scenes`] if there is no such family.
    pub fn scenes(
        [own, other]: [&str; 2],
        side: u32,
        size: ExperimentSize,
        seed: Seed,
    ) -> Result<Self, ReinforcementError> {
        let drawn = |family, purpose, n_images| {
            family_scenes(family, side, n_images, size.points_per_image, seed.split(purpose))
        };
        Ok(Self {
            train: drawn(own, "reinforcement", size.train_images)?,
            held_back: drawn(own, "reinforcement held back", size.test_images)?,
            test: drawn(other, "reinforcement test", size.test_images)?,
        })
    }

    /// Photographs of a data set: the training split of the training family to train on, its other
    /// splits held out, and all images of the other family.
    ///
    /// # Errors
    ///
    /// [`ReinforcementError::Data`] if one of the three would be empty, or an image cannot be read.
    pub fn photographs(
        dataset: &dyn Dataset,
        [own, other]: [&str; 2],
        points_per_image: usize,
        seed: Seed,
    ) -> Result<Self, ReinforcementError> {
        let shown = |family, sides: &[Split]| {
            family_photographs(dataset, family, sides, points_per_image, seed.split("points"))
        };
        Ok(Self {
            train: shown(own, &[Split::Train])?,
            held_back: shown(own, &[Split::Val, Split::Test])?,
            test: shown(other, &[Split::Train, Split::Val, Split::Test])?,
        })
    }

    /// Truncates the sets to this size.
    pub fn truncate(&mut self, size: ExperimentSize) {
        self.train.images.truncate(size.train_images as usize);
        [&mut self.held_back, &mut self.test]
            .into_iter()
            .for_each(|set| set.images.truncate(size.test_images as usize));
    }
}

/// The training method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// Group-relative policy optimization, the paper's method.
    #[default]
    Grpo,
    /// Supervised fine-tuning on the best sample of each group.
    BestOf,
    /// Direct preference optimization on the best and the worst sample of each group.
    Dpo,
}

/// The settings of the training.
#[derive(Clone, Debug, Default)]
pub struct ExperimentSettings {
    /// The number of updates.
    pub steps: u64,
    /// Use the paper's settings where it states them: three samples per point, beta 0.1, learning
    /// rate 5e-6, three epochs. The alternative are settings for a small model, which needs larger
    /// groups and larger steps than one with seven billion parameters (`docs/reinforcement.md`).
    pub paper: bool,
    /// The training method.
    pub method: Method,
    /// Overrides the learning rate of the settings.
    pub learning_rate: Option<f64>,
    /// Overrides the KL coefficient of the settings.
    pub beta: Option<f64>,
}

impl ExperimentSettings {
    /// The configuration of the training. Groups whose located points lie within `jitter` of one
    /// another give no gradient.
    #[must_use]
    pub fn config(&self, name: String, train_images: usize, jitter: f64, seed: Seed) -> GrpoConfig {
        let steps = self.steps;
        let mut config = GrpoConfig::paper(steps, seed.split("reinforcement run"));
        config.max_new_tokens = 64;
        config.training.name = name;
        if self.paper {
            config.training.schedule.steps = config.steps_of(3, train_images).min(steps);
        } else {
            config.group_size = 8;
            config.advantage = AdvantageConfig { spread_floor: jitter, ..Default::default() };
            config.loss = LossOptions { beta: 0.02, ..Default::default() };
            config.training = TrainConfig {
                schedule: Schedule { peak: 3e-4, warmup: 5, steps, floor: 0.1 },
                ..config.training
            };
        }
        match self.method {
            Method::Grpo => {}
            Method::BestOf => {
                config.advantage.scale = Scale::Best;
                config.loss.beta = 0.0;
            }
            Method::Dpo => {
                config.advantage.scale = Scale::Pair;
                config.algorithm = Algorithm::Dpo;
                config.loss.beta = 0.1;
            }
        }
        if let Some(rate) = self.learning_rate {
            config.training.schedule.peak = rate;
        }
        if let Some(beta) = self.beta {
            config.loss.beta = beta;
        }
        config
    }
}

/// A reinforcement run with its evaluation.
#[derive(Debug)]
pub struct Experiment<'a> {
    /// The models: the Descriptor is trained, the Localizer provides the reward.
    pub models: &'a Models,
    /// A second model whose Localizer reads the same texts but provides no reward, to detect reward
    /// hacking.
    pub referee: Option<&'a Models>,
    /// The training and test sets.
    pub sets: &'a ExperimentSets,
    /// The reward of a description.
    pub reward: &'a Reward,
    /// The settings of the training.
    pub settings: &'a ExperimentSettings,
    /// The title of the experiment in its HTML page and its logs.
    pub title: &'a str,
    /// The output folder for logs, checkpoints, texts, points, HTML page and model.
    pub out: &'a Path,
    /// Continue from the newest checkpoint in the folder.
    pub resume: bool,
    /// The seed of every random choice.
    pub seed: Seed,
}

/// The result of an experiment; shares are in percent.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names say it")]
pub struct ExperimentReport {
    pub steps: u64,
    /// The mean reward of the first fifth of the steps.
    pub reward_first: f64,
    /// The mean reward of the last fifth of the steps.
    pub reward_last: f64,
    pub mpck_before: Option<f64>,
    pub mpck_after: Option<f64>,
    /// The confidence interval of the difference.
    pub ci: Option<[f64; 2]>,
    pub smallest_detectable: Option<f64>,
    pub family_before: Option<f64>,
    pub family_after: Option<f64>,
    pub referee_before: Option<f64>,
    pub referee_after: Option<f64>,
    /// The names on the other family that agree with the annotation.
    pub names_before: NameAccuracy,
    pub names_after: NameAccuracy,
    /// The jitter of the Localizer, in the unit square, if it was measured.
    pub jitter: Option<f64>,
    pub spread: SpreadReport,
    pub samples_per_second: f64,
}

impl ExperimentReport {
    /// The report as people read it, with the names of the training family and of the test family.
    #[must_use]
    pub fn text(&self, [own, other]: [&str; 2]) -> String {
        let number =
            |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.1}"));
        let referee = match (self.referee_before, self.referee_after) {
            (None, None) => String::new(),
            (before, after) => {
                format!("\nthe same read by the referee: {} → {}", number(before), number(after))
            }
        };
        format!(
            "{} steps, reward {:.4} → {:.4} (first and last fifth), {:.1} samples/s\n\
             mPCK on {other}: {} → {}, difference {}, smallest detectable {}{referee}\n\
             mPCK on held-out {own}: {} → {}\n\
             names on {other}, in percent: {} → {}",
            self.steps,
            self.reward_first,
            self.reward_last,
            self.samples_per_second,
            number(self.mpck_before),
            number(self.mpck_after),
            self.ci.map_or("–".to_owned(), |[lo, hi]| format!("[{lo:.1}, {hi:.1}]")),
            number(self.smallest_detectable),
            number(self.family_before),
            number(self.family_after),
            self.names_before,
            self.names_after,
        )
    }
}

impl Experiment<'_> {
    /// Trains the policy, and compares its descriptions of both test sets before and after by where
    /// the Localizer finds them.
    ///
    /// # Errors
    ///
    /// [`ReinforcementError`]. After `stop` is set it is [`ReinforcementError::Stopped`], and all
    /// progress is on disk.
    pub fn run(&self, stop: &AtomicBool) -> Result<ExperimentReport, ReinforcementError> {
        let Self { models, sets, out, .. } = *self;
        let go_on =
            || if stop.load(Ordering::SeqCst) { Err(ReinforcementError::Stopped) } else { Ok(()) };
        std::fs::create_dir_all(out)
            .map_err(|source| ReinforcementError::Write { path: out.to_owned(), source })?;

        let jitter = localizer_jitter(models, &sets.train, JITTER_IMAGES)?;
        let (policy, judge, source) = (
            DescriptorPolicy::new(models, Style::CoarseToFine),
            LocalizerJudge::new(models),
            SeenPoints::new(models, &sets.train),
        );
        let style =
            StyleMonitor::of(sets.train.points().map(|(_, point)| point.description.as_str()));
        let config = self.settings.config(
            self.title.to_owned(),
            sets.train.images.len(),
            jitter.unwrap_or(0.0),
            self.seed,
        );
        let parts = GrpoParts {
            policy: &policy,
            judge: &judge,
            source: &source,
            reward: self.reward,
            style: &style,
        };
        let spread = Trainer::new(parts, config.clone(), DescriptorPolicy::weights(models))?
            .spread_report(SPREAD_GROUPS)?;
        log_spread(&spread, jitter);

        go_on()?;
        let trained =
            reinforce(parts, &config, DescriptorPolicy::weights(models), out, self.resume, stop)?;
        let steps = read_steps(out)?;
        write_page(out, self.title, &sets.train, &steps)
            .map_err(|source| ReinforcementError::Write { path: out.to_owned(), source })?;
        if trained.outcome == RunOutcome::Stopped {
            return Err(ReinforcementError::Stopped);
        }
        let after = with_adapter(models, &trained.weights);
        let nouns = after.nouns.as_ref().map(|nouns| nouns.table());
        save_model_dir(&out.join("model"), &after.network, &after.config, &after.tokenizer, nouns)?;

        let how = DescribeOptions { max_new_tokens: config.max_new_tokens, ..Default::default() };
        let describe =
            |set: &EvalSet, name: &str| -> Result<[Vec<String>; 2], ReinforcementError> {
                go_on()?;
                tracing::info!("describing {} points twice: {name}", set.n_points());
                let texts = [descriptions(&after, set, &how)?, descriptions(models, set, &how)?];
                save_texts(out, name, set, &texts)?;
                Ok(texts)
            };
        let compare =
            |reader: &Models, set: &EvalSet, [after, before]: &[Vec<String>; 2], name: &str| {
                go_on()?;
                let (after, before) =
                    (points_by_words(reader, set, after)?, points_by_words(reader, set, before)?);
                save_points(out, &format!("{name}-after"), &after)?;
                save_points(out, &format!("{name}-before"), &before)?;
                let bootstrap = Bootstrap::new(self.seed.split("bootstrap"));
                Ok::<PairedMean, ReinforcementError>(
                    paired(&after, &before, &Protocol::paper(), &bootstrap)?.mpck,
                )
            };
        let (texts_abroad, texts_at_home) =
            (describe(&sets.test, "other-family")?, describe(&sets.held_back, "held-back")?);
        let abroad = compare(models, &sets.test, &texts_abroad, "other-family")?;
        let at_home = compare(models, &sets.held_back, &texts_at_home, "held-back")?;
        let referee = self
            .referee
            .map(|referee| compare(referee, &sets.test, &texts_abroad, "other-family-referee"))
            .transpose()?;
        let [names_after, names_before] = texts_abroad.each_ref().map(|texts| {
            let points = sets.test.points().map(|(_, point)| point);
            name_accuracy(texts.iter().map(String::as_str).zip(points))
        });
        let share = (steps.len() / 5).max(1).min(steps.len());
        Ok(ExperimentReport {
            steps: trained.steps,
            reward_first: mean_reward(&steps[..share]),
            reward_last: mean_reward(&steps[steps.len() - share..]),
            mpck_before: abroad.b,
            mpck_after: abroad.a,
            ci: abroad.ci.map(|ci| [ci.lo, ci.hi]),
            smallest_detectable: abroad.smallest_detectable,
            family_before: at_home.b,
            family_after: at_home.a,
            referee_before: referee.as_ref().and_then(|pair| pair.b),
            referee_after: referee.as_ref().and_then(|pair| pair.a),
            names_before,
            names_after,
            jitter,
            spread,
            samples_per_second: trained.samples_per_second,
        })
    }
}

fn log_spread(spread: &SpreadReport, jitter: Option<f64>) {
    tracing::info!(
        "rewards before training: mean {:.4}, deviation {:.4}, within groups {:.4}; {:.0} % of the groups are idle; jitter {}",
        spread.mean,
        spread.std,
        spread.std_within,
        100.0 * spread.frac_zero_std.max(spread.frac_below_floor),
        jitter.map_or("unknown".to_owned(), |jitter| format!("{jitter:.3}")),
    );
    if let Some(objection) = spread.objection() {
        tracing::warn!("there is little to learn from: {objection}");
    }
}

/// Writes the texts of every point: the reference, and the descriptions before and after.
fn save_texts(
    folder: &Path,
    name: &str,
    set: &EvalSet,
    [after, before]: &[Vec<String>; 2],
) -> Result<(), ReinforcementError> {
    let lines = set.points().zip(before.iter().zip(after)).map(|((_, point), (before, after))| {
        let line =
            serde_json::json!({"reference": point.description, "before": before, "after": after});
        format!("{line}\n")
    });
    write(folder.join(format!("texts-{name}.jsonl")), &lines.collect::<String>())
}

/// Writes the located points.
fn save_points(folder: &Path, name: &str, rows: &[PointRow]) -> Result<(), ReinforcementError> {
    write(folder.join(format!("points-{name}.jsonl")), &rows_to_jsonl(rows, &Protocol::paper())?)
}

fn write(path: PathBuf, text: &str) -> Result<(), ReinforcementError> {
    write_atomically(&path, |file| file.write_all(text.as_bytes()))
        .map_err(|source| ReinforcementError::Write { path, source })
}

fn mean_reward(steps: &[StepReport]) -> f64 {
    steps.iter().map(|step| step.reward).sum::<f64>() / steps.len().max(1) as f64
}
