//! From the flags of `data build` to what is built, by whom and how.

use std::{error::Error, path::Path};

use talking_points::data::Strictness;
use tp_builder::{Budget, BuildConfig, BuildOptions, Images, Teachers, TeachersConfig};

use super::args::{Args, TeacherKind};

/// The configuration that is named, with what other flags change.
pub(super) fn recipe(args: &Args) -> Result<BuildConfig, Box<dyn Error>> {
    let mut recipe = match BuildConfig::named(&args.recipe) {
        Some(recipe) => recipe,
        None if args.recipe.ends_with(".toml") => BuildConfig::from_toml(Path::new(&args.recipe))?,
        None => {
            return Err(format!(
                "unknown recipe `{}`; accepted are {} and a .toml file",
                args.recipe,
                BuildConfig::NAMES.join(", ")
            )
            .into());
        }
    };
    if args.common.seed != 0 {
        recipe.seed = args.common.seed;
    }
    if args.without_images {
        recipe.images = Images::Named;
    }
    Ok(recipe)
}

/// The teachers, and the configuration of those that are servers.
pub(super) fn teachers(args: &Args) -> Result<(Teachers, Option<TeachersConfig>), Box<dyn Error>> {
    match (args.teacher, &args.config) {
        (TeacherKind::Rules, None) => Ok((Teachers::rules(), None)),
        (TeacherKind::Rules, Some(path)) => {
            Err(format!("--config {} needs --teacher openai", path.display()).into())
        }
        (TeacherKind::Openai, path) => {
            let config = path.as_ref().map_or_else(
                || Ok(TeachersConfig::paper()),
                |path| TeachersConfig::from_toml(path),
            )?;
            Ok((config.teachers()?, Some(config)))
        }
    }
}

/// How the build runs.
pub(super) fn options(
    args: &Args,
    out: &Path,
    config: Option<&TeachersConfig>,
) -> Result<BuildOptions, Box<dyn Error>> {
    let mut options = BuildOptions {
        resume: args.resume || args.plan,
        shard: args.shard,
        merge: args.merge,
        strictness: strictness(args),
        ..BuildOptions::new(out)
    };
    if let Some(n_threads) = args.threads {
        options.n_threads = n_threads;
    }
    if let Some(config) = config {
        options.n_questions = config.n_questions();
        options.max_failures_in_row = config.retry.max_failures_in_row;
    }
    in_bucket(args, options)
}

/// Whether malformed entries are errors.
pub(super) fn strictness(args: &Args) -> Strictness {
    if args.lenient { Strictness::Lenient } else { Strictness::Strict }
}

/// What may be spent.
pub(super) fn budget(args: &Args) -> Result<Budget, String> {
    if let Some(cost) = args.max_cost.filter(|cost| cost.is_nan() || *cost < 0.0) {
        return Err(format!("--max-cost {cost} bounds nothing: name a number from 0"));
    }
    Ok(Budget { max_calls: args.max_calls, max_tokens: args.max_tokens, max_cost: args.max_cost })
}

#[cfg(feature = "bucket")]
fn in_bucket(args: &Args, mut options: BuildOptions) -> Result<BuildOptions, Box<dyn Error>> {
    options.bucket = args.bucket.as_deref().map(tp_builder::Bucket::open).transpose()?;
    Ok(options)
}

#[cfg(not(feature = "bucket"))]
fn in_bucket(args: &Args, options: BuildOptions) -> Result<BuildOptions, Box<dyn Error>> {
    if args.bucket.is_some() {
        Err("--bucket needs the cargo feature `bucket`".into())
    } else {
        Ok(options)
    }
}
