//! The command `talking-points`.
//!
//! Exit codes: 0 done; 1 an error, in one line on standard error; 2 wrong flags. `data build` and
//! `train` have further ones, which their `--help` names.
#![forbid(unsafe_code)]

mod args;
mod command_line;
mod commands;
mod output;
mod version;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use command_line::{Command, CommandLine, Data, Reinforce, ReinforceCommand, Show};
#[cfg(feature = "serve")]
use commands::serve;
use commands::{
    annotation, build, calibrate, compare, convert, describe, doctor, evaluate, generate, inspect,
    join, locate, mask, predictions, reinforce, round_trip, scene, selftest, sift, train, verify,
};
use output::run;

fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Describe(args) => run(|| describe::run(&args)),
        Command::Locate(args) => run(|| locate::run(&args)),
        Command::RoundTrip(args) => run(|| round_trip::run(&args)),
        Command::Evaluate(args) => run(|| evaluate::run(&args)),
        Command::Compare(args) => run(|| compare::run(&args)),
        Command::Train(args) => run(|| train::run(&args)),
        Command::Calibrate(args) => run(|| calibrate::run(&args)),
        Command::Reinforce(reinforce) => match *reinforce {
            Reinforce { command: Some(ReinforceCommand::Doctor(args)), .. } => {
                run(|| doctor::run(&args))
            }
            Reinforce { command: None, args } => run(|| reinforce::run(&args)),
        },
        Command::Data(Data::Inspect(args)) => run(|| inspect::run(&args)),
        Command::Data(Data::Describe(args)) => run(|| annotation::run(&args)),
        Command::Data(Data::Build(args)) => run(|| build::run(&args)),
        Command::Data(Data::Scene(args)) => run(|| scene::run(&args)),
        Command::Data(Data::Sift(args)) => run(|| sift::run(&args)),
        #[cfg(feature = "serve")]
        Command::Serve(args) => run(|| serve::run(&args)),
        Command::Generate(args) => run(|| generate::run(&args)),
        Command::Convert(args) => run(|| convert::run(&args)),
        Command::Join(args) => run(|| join::run(&args)),
        Command::Verify(args) => run(|| verify::run(&args)),
        Command::Selftest(args) => run(|| selftest::run(&args)),
        Command::Show(Show::Mask(args)) => run(|| mask::run(&args)),
        Command::Show(Show::Predictions(args)) => run(|| predictions::run(&args)),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut CommandLine::command(),
                "talking-points",
                &mut std::io::stdout(),
            );
            ExitCode::SUCCESS
        }
    }
}
