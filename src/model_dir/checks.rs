//! Whether a configuration holds numbers that a Localizer and a namer can have.

use tp_localizer::LocalizerConfig;
use tp_vision::{MENTION_CHANNELS, PointNamerConfig, VisionConfig};

/// A namer does not look at a point more often.
const MOST_CLOSE_UPS: usize = 8;
/// Closer looks have cells that are smaller by this share, so it bounds the memory of a heat-map.
const LEAST_CLOSER_LOOK: f64 = 0.125;
/// Nouns of a namer, and widths of its layers, are not more.
const MOST_NAMES: usize = 1 << 17;

/// Whether a Localizer has numbers that a Localizer can have.
pub(super) fn check_localizer(localizer: &LocalizerConfig) -> Result<(), String> {
    if localizer.heatmap.mention_channels.is_some_and(|channels| channels != MENTION_CHANNELS) {
        return Err(format!(
            "the heat-map's mention_channels must be {MENTION_CHANNELS}, or absent"
        ));
    }
    if !(localizer.temperature.is_finite() && localizer.temperature > 0.0) {
        return Err(format!(
            "the heat-map's temperature is {}, but must be a number above 0",
            localizer.temperature
        ));
    }
    if localizer
        .confidence
        .is_some_and(|logistic| logistic.iter().any(|number| !number.is_finite()))
    {
        return Err("the localizer's confidence is not two numbers".to_owned());
    }
    if localizer.absence.is_some_and(|weights| weights.iter().any(|number| !number.is_finite())) {
        return Err("the localizer's absence is not five numbers".to_owned());
    }
    if localizer.closer_look.is_some_and(|share| !(LEAST_CLOSER_LOOK..=1.0).contains(&share)) {
        return Err(format!("closer_look is a share from {LEAST_CLOSER_LOOK} to 1, or absent"));
    }
    Ok(())
}

/// Whether a namer fits its vision model, and has numbers that a namer can have.
pub(super) fn check_namer(namer: &PointNamerConfig, vision: &VisionConfig) -> Result<(), String> {
    let [_, maps @ ..] = vision.backbone_dims;
    if namer.channels != maps {
        return Err(format!(
            "the namer reads maps of {:?} channels, the backbone gives {maps:?}",
            namer.channels
        ));
    }
    let is_temperature = |value: f32| value.is_finite() && value > 0.0;
    if !is_temperature(namer.object_temperature) || !is_temperature(namer.part_temperature) {
        return Err("a temperature of the namer is not a number above 0".to_owned());
    }
    if namer.d_hidden.max(namer.d_noun).max(namer.n_objects).max(namer.n_parts).max(namer.n_colours)
        > MOST_NAMES
    {
        return Err(format!("a size of the namer is above {MOST_NAMES}"));
    }
    if namer.close_ups.len() > MOST_CLOSE_UPS
        || namer.close_ups.iter().any(|share| !(share.is_finite() && *share > 0.0 && *share <= 1.0))
    {
        return Err(format!("close_ups are at most {MOST_CLOSE_UPS} shares above 0 and up to 1"));
    }
    if !(0.0..=1.0).contains(&namer.published_share) {
        return Err("the namer's published_share is not a number from 0 to 1".to_owned());
    }
    if !(0.0..1.0).contains(&namer.dropout) {
        return Err(format!(
            "the namer's dropout is {}, but must be at least 0 and below 1",
            namer.dropout
        ));
    }
    Ok(())
}
