//! A program needs no other error than `talking_points::Error`, and loses nothing by it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{error::Error as _, path::Path};

use talking_points::{
    Error, ModelError,
    core::{Seed, Style},
    evaluation::{EvalSet, EvaluationError, RowName, evaluate_rows, point_rows},
    metrics::{Bootstrap, EvalReport, Protocol},
    prelude::{
        DecodeOptions, DescribeOptions, DeviceName, ModelDir, RoundTrip, decode_image, write_png,
    },
    recipe::Scenes,
};

/// Opens, loads, encodes, describes, locates and evaluates; the only error type is ours.
fn program(model: &Path, image: &Path, pixel: &str, row: &str) -> Result<f64, Error> {
    let image = decode_image(image, &DecodeOptions::default())?;
    let point = image.size().unit_from_pixel(pixel.parse()?)?;
    let models = ModelDir::open(model)?.load(&DeviceName::Flex.open()?)?;
    let encoded = models.encode(&image)?;
    let how = DescribeOptions::default();
    let words = models.describe(&encoded, &[point], &how)?;
    models.locate(&encoded, &[&words[0].text])?;
    let trip = RoundTrip::run(&models, &image, pixel.parse()?, &how)?;
    let folder = tempfile::tempdir().unwrap();
    write_png(&folder.path().join("trip.png"), &trip.picture(&image))?;

    let set = EvalSet::drawn("scenes", &Scenes::default(), 1, 1, Style::Terse, Seed(1));
    let rows: [RowName; 1] = [row.parse()?];
    let answers = evaluate_rows(&models, &set, &rows, None, &how, |_| {})?.answers;
    let mut report = EvalReport::new("scenes", Protocol::paper(), Bootstrap::new(Seed(0)));
    for (row, answers) in &answers {
        report.add(row.to_string(), &point_rows(&set, answers))?;
    }
    Ok(answers.len() as f64)
}

#[test]
fn a_program_needs_one_error_type() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (model, image) = (root.join("models/tiny"), root.join("examples/images/horse.jpg"));
    let run =
        |model: &Path, image: &Path, pixel: &str, row: &str| program(model, image, pixel, row);
    assert_eq!(run(&model, &image, "300,130", "centre").unwrap(), 1.0);

    let fails = |model: &Path, image: &Path, pixel: &str, row: &str| {
        run(model, image, pixel, row).unwrap_err()
    };
    assert!(matches!(fails(&model, Path::new("no.png"), "1,1", "centre"), Error::Data(_)));
    assert!(matches!(fails(&model, &image, "9999,1", "centre"), Error::Point(_)));
    assert!(matches!(fails(&model, &image, "here", "centre"), Error::Point(_)));
    assert!(matches!(
        fails(&model, &image, "300,130", "top"),
        Error::Evaluation(EvaluationError::UnknownRow { .. })
    ));

    // The message and the cause are those of the error within.
    let error = fails(Path::new("nowhere"), &image, "300,130", "centre");
    let within = ModelDir::open("nowhere").unwrap_err();
    assert_eq!(error.to_string(), within.to_string());
    assert_eq!(error.source().unwrap().to_string(), within.source().unwrap().to_string());
    assert!(matches!(error, Error::Model(ModelError::Read { .. })));
}
