//! The command `talking-points`.
//!
//! Exit codes: 0 done; 1 an error, in one line on standard error; 2 wrong flags. `data build` and
//! `train` have further ones, which their `--help` names.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod version;

use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use commands::{
    annotation, build, calibrate, compare, convert, describe, doctor, evaluate, generate, inspect,
    join, locate, mask, predictions, reinforce, round_trip, scene, selftest, sift, train, verify,
};
use version::VERSION;

/// Pixel grounding: describes points of an image in words, and finds points from words.
///
/// Results go to standard output, with --json as one JSON object; logs and errors go to standard
/// error (RUST_LOG chooses which logs). Exit codes: 0 done; 1 an error, in one line; 2 wrong flags.
#[derive(Parser)]
#[command(name = "talking-points", version = VERSION.as_str(), propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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
struct Reinforce {
    #[command(subcommand)]
    command: Option<ReinforceCommand>,
    #[command(flatten)]
    args: reinforce::Args,
}

#[derive(Subcommand)]
enum ReinforceCommand {
    Doctor(doctor::Args),
}

#[derive(Subcommand)]
enum Data {
    Inspect(inspect::Args),
    Describe(annotation::Args),
    Build(Box<build::Args>),
    Scene(scene::Args),
    Sift(sift::Args),
}

#[derive(Subcommand)]
enum Show {
    Mask(mask::Args),
    Predictions(predictions::Args),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Describe(args) => cli::run(|| describe::run(&args)),
        Command::Locate(args) => cli::run(|| locate::run(&args)),
        Command::RoundTrip(args) => cli::run(|| round_trip::run(&args)),
        Command::Evaluate(args) => cli::run(|| evaluate::run(&args)),
        Command::Compare(args) => cli::run(|| compare::run(&args)),
        Command::Train(args) => cli::run(|| train::run(&args)),
        Command::Calibrate(args) => cli::run(|| calibrate::run(&args)),
        Command::Reinforce(reinforce) => match *reinforce {
            Reinforce { command: Some(ReinforceCommand::Doctor(args)), .. } => {
                cli::run(|| doctor::run(&args))
            }
            Reinforce { command: None, args } => cli::run(|| reinforce::run(&args)),
        },
        Command::Data(Data::Inspect(args)) => cli::run(|| inspect::run(&args)),
        Command::Data(Data::Describe(args)) => cli::run(|| annotation::run(&args)),
        Command::Data(Data::Build(args)) => cli::run(|| build::run(&args)),
        Command::Data(Data::Scene(args)) => cli::run(|| scene::run(&args)),
        Command::Data(Data::Sift(args)) => cli::run(|| sift::run(&args)),
        Command::Generate(args) => cli::run(|| generate::run(&args)),
        Command::Convert(args) => cli::run(|| convert::run(&args)),
        Command::Join(args) => cli::run(|| join::run(&args)),
        Command::Verify(args) => cli::run(|| verify::run(&args)),
        Command::Selftest(args) => cli::run(|| selftest::run(&args)),
        Command::Show(Show::Mask(args)) => cli::run(|| mask::run(&args)),
        Command::Show(Show::Predictions(args)) => cli::run(|| predictions::run(&args)),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Cli::command(),
                "talking-points",
                &mut std::io::stdout(),
            );
            ExitCode::SUCCESS
        }
    }
}
