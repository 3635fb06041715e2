//! One folder, compared by the stage that it names.

use std::path::Path;

use burn::tensor::Device;

use crate::{
    ParityError, ParityReport, end_to_end, fixture::Fixture, grpo, language, localizer,
    report::Outcome, vision,
};

/// What a folder without a stage is.
const END_TO_END: &str = "end_to_end";

/// Computes what the folder expects, on a plain device, and compares.
///
/// # Errors
///
/// [`ParityError`] if the folder cannot be read, or does not fit together. Numbers that differ are
/// no error: the report says so.
pub fn verify(folder: &Path, device: &Device) -> Result<ParityReport, ParityError> {
    let fixture = Fixture::open(folder)?;
    let stage: Option<String> = fixture.setting("stage")?;
    // The files of a whole model are no stage of it.
    let stage = stage.unwrap_or_else(|| END_TO_END.to_owned());
    let outcome: Outcome = match stage.as_str() {
        "convnext" => vision::convnext(&fixture, device)?,
        "efficientnet_lite" => vision::efficientnet_lite(&fixture, device)?,
        "ms_deform_attn" => vision::ms_deform_attn(&fixture, device)?,
        "pixel_decoder" => vision::pixel_decoder(&fixture, device)?,
        "mask_decoder" => vision::mask_decoder(&fixture, device)?,
        "point_prompt" => vision::point_prompt(&fixture, device)?,
        "perception_prior" => vision::perception_prior(&fixture, device)?,
        "projector" => vision::projector(&fixture, device)?,
        "grpo_loss" => grpo::grpo_loss_stage(&fixture, device)?,
        "localizer" => localizer::localizer(&fixture, device)?,
        "language" => language::language(&fixture, device)?,
        END_TO_END => end_to_end::end_to_end(&fixture, device)?,
        _ => return Err(ParityError::UnknownStage { folder: folder.to_owned(), stage }),
    };
    outcome.compared(stage, &fixture)
}
