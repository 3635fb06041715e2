//! The tree of subcommands.

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::{
    commands::{
        annotation, build, calibrate, compare, convert, describe, doctor, evaluate, generate,
        inspect, join, locate, mask, predictions, reinforce, round_trip, scene, selftest, sift,
        train, verify,
    },
    version::VERSION,
};

/// Pixel grounding: describes points of an image in words, and finds points from words.
///
/// Results go to standard output, with --json as one JSON object; logs and errors go to standard
/// error (RUST_LOG chooses which logs). Exit codes: 0 done; 1 an error, in one line; 2 wrong flags.
#[derive(Parser)]
#[command(name = "talking-points", version = VERSION.as_str(), propagate_version = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Describe(describe::Args),
    Locate(locate::Args),
    RoundTrip(round_trip::Args),
    Evaluate(evaluate::Args),
    Compare(compare::Args),
    Train(Box<train::Args>),
    Calibrate(calibrate::Args),
    Reinforce(Box<Reinforce>),
    /// Inspects, describes, builds and draws data sets.
    #[command(subcommand)]
    Data(Data),
    #[cfg(feature = "serve")]
    Serve(Box<crate::commands::serve::Args>),
    Generate(generate::Args),
    Convert(convert::Args),
    Join(join::Args),
    Verify(verify::Args),
    Selftest(selftest::Args),
    /// Draws what a model predicts or attends to.
    #[command(subcommand)]
    Show(Show),
    /// Prints the completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Reinforces the Descriptor with the Localizer's error as the reward.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Reinforce {
    #[command(subcommand)]
    pub(crate) command: Option<ReinforceCommand>,
    #[command(flatten)]
    pub(crate) args: reinforce::Args,
}

#[derive(Subcommand)]
pub(crate) enum ReinforceCommand {
    Doctor(doctor::Args),
}

#[derive(Subcommand)]
pub(crate) enum Data {
    Inspect(inspect::Args),
    Describe(annotation::Args),
    Build(Box<build::Args>),
    Scene(scene::Args),
    Sift(sift::Args),
}

#[derive(Subcommand)]
pub(crate) enum Show {
    Mask(mask::Args),
    Predictions(predictions::Args),
}
