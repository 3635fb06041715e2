//! Evaluates a model on a few scenes, with reference descriptions and with its own.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::path::Path;

use talking_points::{
    core::{Seed, Style},
    evaluation::{EvalSet, RowName, evaluate_rows, point_rows},
    metrics::{Bootstrap, EvalReport, Protocol},
    prelude::*,
    recipe::Scenes,
};

fn main() -> Result<(), Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let models = ModelDir::open(root.join("models/tiny"))?.load(&DeviceName::Flex.open()?)?;

    // Any set of described points can be used: `EvalSet::from_triplets` reads a file of them.
    let set = EvalSet::drawn("scenes", &Scenes::default(), 6, 4, Style::CoarseToFine, Seed(1));
    let rows = [RowName::Reference, RowName::Ours, RowName::Centre];
    let answers =
        evaluate_rows(&models, &set, &rows, None, &DescribeOptions::default(), |_| {})?.answers;

    let mut report = EvalReport::new(set.name.clone(), Protocol::paper(), Bootstrap::new(Seed(0)));
    for (row, answers) in &answers {
        report.add(row.to_string(), &point_rows(&set, answers))?;
    }
    println!("{}", report.to_text());
    Ok(())
}
