//! Calibrates a trained model on validation images: its probabilities, and the limits below which it
//! gives no answer.
//!
//! ```sh
//! talking-points calibrate --model runs/everyday/model --set data/everyday_points
//! ```

use std::{error::Error, path::PathBuf};

use serde::Serialize;
use talking_points::{
    ModelDir,
    data::{DescribedPoints, ReadOptions, Split, TextKind},
    evaluation::{Asked, Certainty, EvalSet, Fitted},
    save_settings,
};

use crate::{
    args::{CommonArgs, DeviceArgs},
    output::print_result,
};

/// Calibrates the probabilities of a trained model on validation images.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A model folder; its configuration and its nouns are rewritten.
    #[arg(long)]
    model: PathBuf,
    /// A folder of points that people have described; its validation split is used.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/everyday_points"))]
    set: PathBuf,
    /// Print the fitted values without writing them.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Serialize)]
struct Calibrated {
    before: Certainty,
    confidence: [f32; 2],
    absence: Option<[f32; 5]>,
    nowhere_limit: f32,
    object_temperature: Option<f32>,
    part_temperature: Option<f32>,
    least_object: Option<f32>,
    least_part: Option<f32>,
    after: Certainty,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let device = args.device.open()?;
    let models = ModelDir::open(&args.model)?.load(&device)?;
    let points = DescribedPoints::open(&args.set, ReadOptions::default())?;
    let set = EvalSet::described(&points, Some(Split::Val), TextKind::Spoken)?;
    tracing::info!("{} points of {}", set.n_points(), set.name);
    let asked = Asked::ask(&models, &set)?;
    let was = Fitted::of(&models);
    let fitted = asked.fit(&was);
    let (before, after) = (asked.certainty(&was), asked.certainty(&fitted));
    if !args.dry_run {
        let mut config = models.config.clone();
        let mut nouns = models.nouns.as_ref().map(|nouns| nouns.table().clone());
        fitted.put_into(&mut config, nouns.as_mut());
        save_settings(&args.model, &config, nouns.as_ref())?;
    }
    let Fitted { confidence, absence, nowhere_limit, name_temperatures, least_names, .. } = fitted;
    let ([object, part], [least_object, least_part]) = (name_temperatures, least_names);
    let of_namer = |number: f32| models.config.namer.is_some().then_some(number);
    let calibrated = Calibrated {
        before,
        confidence,
        absence,
        nowhere_limit,
        object_temperature: of_namer(object),
        part_temperature: of_namer(part),
        least_object: of_namer(least_object),
        least_part: of_namer(least_part),
        after,
    };
    print_result(args.common.json, &calibrated, || {
        let said = |error: Option<f64>| {
            error.map_or_else(|| "–".to_owned(), |error| format!("{error:.3}"))
        };
        let line = |what: &str, of: &dyn Fn(&Certainty) -> Option<f64>| {
            format!("{what}: {} → {}", said(of(&before)), said(of(&after)))
        };
        [
            format!("confidence: slope {:.2}, offset {:.2}", confidence[0], confidence[1]),
            format!("temperatures: objects {object}, parts {part}"),
            format!("\"nowhere\" from a probability of {:.3}", nowhere_limit),
            format!("names from a probability of {least_object:.3} for objects, {least_part:.3} for parts"),
            line("calibration error of points", &|certainty| certainty.point_calibration_error),
            line("objects named right, %", &|certainty| certainty.object_named),
            line("parts named right, %", &|certainty| certainty.part_named),
            line("calibration error of objects", &|certainty| certainty.object_calibration_error),
            line("calibration error of parts", &|certainty| certainty.part_calibration_error),
            line("\"nowhere\" on texts about other photographs, AUROC", &|certainty| certainty.absent_auroc),
            line("texts about other photographs that are refused, %", &|certainty| certainty.absent_refused),
            line("texts about their own photograph that are refused, %", &|certainty| certainty.present_refused),
        ]
        .join("\n")
    })
}
