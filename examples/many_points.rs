//! Describes a grid of points in one call, and counts the objects.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{collections::BTreeMap, path::Path, time::Instant};

use talking_points::prelude::*;

fn main() -> Result<(), Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let models = ModelDir::open(root.join("models/tiny"))?.load(&DeviceName::Flex.open()?)?;
    let encoded = models.encode(&decode_image(
        &root.join("examples/images/horse.jpg"),
        &DecodeOptions::default(),
    )?)?;

    const PER_SIDE: usize = 4;
    let at = |step: usize| (step as f64 + 0.5) / PER_SIDE as f64;
    let grid =
        (0..PER_SIDE * PER_SIDE).map(|cell| UnitXy::new(at(cell % PER_SIDE), at(cell / PER_SIDE)));
    let grid = grid.collect::<Result<Vec<_>, _>>()?;

    let began = Instant::now();
    let said = models.describe(&encoded, &grid, &DescribeOptions::default())?;
    let seconds = began.elapsed().as_secs_f64();

    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for description in said {
        let name =
            description.name.and_then(|name| name.object).unwrap_or_else(|| "thing".to_owned());
        *counts.entry(name).or_default() += 1;
    }
    for (name, count) in counts {
        println!("{count:3}  {name}");
    }
    println!("{} points in {seconds:.2} s", grid.len());
    Ok(())
}
