//! Scores two answers.

use std::error::Error;

use tp_core::{ImageHw, Seed, UnitXy};
use tp_metrics::{Bootstrap, EvalReport, PointRow, Prediction, Protocol};

fn main() -> Result<(), Box<dyn Error>> {
    let (size, truth) = (ImageHw::new(480, 640)?, UnitXy::new(0.5, 0.5)?);
    let rows = [
        PointRow::new("1", "a.jpg", size, truth, Prediction::Found(UnitXy::new(0.52, 0.5)?)),
        PointRow::new("2", "b.jpg", size, truth, Prediction::NotFound),
    ];
    let mut report = EvalReport::new("two photographs", Protocol::paper(), Bootstrap::new(Seed(1)));
    report.add("mine", &rows)?;
    println!("{}", report.to_text());
    assert_eq!(report.row("mine")?.summary.pck_at(0.1).and_then(|pck| pck.percent), Some(50.0));
    Ok(())
}
