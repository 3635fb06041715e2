//! The published model from its files to its numbers: conversion, loading, image, points, words and
//! `[SEG]`.
//!
//! Such a folder holds `published/`, the files as they are published, and needs no `stage` in its
//! `config.json`: `vision` and `language` give the sizes.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::de::DeserializeOwned;
use serde_json::Value;
use talking_points::{
    ConversionOptions, ModelDir, Network, NetworkConfig, PublishedFiles, save_settings,
};
use tp_core::{ImageHw, RgbImage, UnitXy};
use tp_descriptor::{GaussianMask, MaskRule};
use tp_language::{DecoderConfig, LoraConfig};
use tp_localizer::seg_queries;
use tp_vision::{EncodedImage, VisionConfig};
use tp_weights::Checkpoint;

use crate::{
    ParityError,
    fixture::{ANY, Fixture},
    report::Outcome,
};

/// Where the published files are.
const PUBLISHED: &str = "published";
/// A picture of a fixture is small.
const LONGEST_SIDE: usize = 1 << 12;

/// Published files and an image → everything that the original computes of them.
pub(crate) fn end_to_end(fixture: &Fixture, device: &Device) -> Result<Outcome, ParityError> {
    let config = network_config(fixture)?;
    let network = converted(fixture, &config, device)?;
    let picture = picture(fixture)?;
    let size = config.vision.image_size;
    let pixels = network.eyes.input(&picture, size);
    let encoded = network.eyes.encode(&picture, size)?;
    let visual = {
        let tokens = &encoded.features.tokens;
        let all: Tensor<2> = tokens.embeddings.clone().squeeze_dim(0);
        all.narrow(0, 0, tokens.lengths[0]) // [visual token, hidden]
    };
    let points = point_tokens(fixture, &network, &encoded)?; // [point, hidden]
    let row = row_of(fixture, &network, visual.clone(), points.clone())?; // [1, token, hidden]
    let hidden = network.decoder.forward(row.clone(), None, None);
    let logits = network.decoder.logits(hidden.clone(), None);
    let outcome = Outcome::default()
        .with("pixel_values", pixels)
        .with("visual_tokens", visual)
        .with("point_tokens", points)
        .with::<2>("inputs_embeds", row.squeeze_dim(0))
        .with::<2>("hidden", hidden.clone().squeeze_dim(0))
        .with::<2>("logits", logits.squeeze_dim(0));
    if !fixture.expected_names().any(|name| name == "seg_at") {
        return Ok(outcome);
    }

    let tokens = hidden.dims()[1];
    let places: Vec<i64> = fixture.expected("seg_at")?.iter::<i64>().collect();
    if places.iter().any(|place| !(0..tokens as i64).contains(place)) {
        return Err(fixture.unusable("`seg_at` names a token that is not there"));
    }
    let n_places = places.len();
    let at = Tensor::<1, Int>::from_data(TensorData::new(places, [n_places]), device);
    let states = network.localizer.projector.forward(hidden.squeeze_dim::<2>(0).select(0, at));
    let queries = seg_queries(&network.eyes, &encoded, states.clone());
    let decoder = network.eyes.encoder.query_decoder();
    let masks = decoder.mask_logits(queries.clone(), &encoded.features.mask_features);
    Ok(outcome
        .with("seg_vector", states)
        .with::<2>("seg_query", queries.squeeze_dim(0))
        .with::<3>("seg_masks", masks.squeeze_dim(0)))
}

/// The folder's sizes, everything else as the published model has it.
fn network_config(fixture: &Fixture) -> Result<NetworkConfig, ParityError> {
    let published = NetworkConfig::omg_llava_7b();
    let vision: VisionConfig = fitted(fixture, "vision", &published.vision)?;
    let language: DecoderConfig = fitted(fixture, "language", &published.language)?;
    vision.validate()?;
    language.validate()?;
    if vision.hidden_size != language.hidden_size {
        return Err(fixture.unusable("`vision` and `language` have different `hidden_size`s"));
    }
    // Nothing that is added to the base is asked for.
    let mut config = NetworkConfig::of(vision, language, LoraConfig::new(1, 1.0), 1);
    if let Some(radius) = fixture.setting::<Option<f64>>("prompt_radius_px")? {
        config.descriptor.prompt.prompt_radius = radius / config.vision.image_size as f64;
    }
    Ok(config)
}

/// One section of the configuration over that of the published model.
fn fitted<T: serde::Serialize + DeserializeOwned>(
    fixture: &Fixture,
    section: &str,
    published: &T,
) -> Result<T, ParityError> {
    let unusable = |error: serde_json::Error| fixture.unusable(&format!("`{section}`: {error}"));
    let mut settings = serde_json::to_value(published).map_err(unusable)?;
    let given: Value = fixture.setting(section)?;
    let (Value::Object(settings_of), Value::Object(given)) = (&mut settings, given) else {
        return Err(fixture.unusable(&format!("`{section}` must be an object of settings")));
    };
    settings_of.extend(given);
    serde_json::from_value(settings).map_err(unusable)
}

/// The published files, converted into a model folder and loaded from there.
fn converted(
    fixture: &Fixture,
    config: &NetworkConfig,
    device: &Device,
) -> Result<Network, ParityError> {
    let sources = sources(&fixture.folder().join(PUBLISHED))?;
    let folder = tempfile::tempdir()
        .map_err(|error| fixture.unusable(&format!("no temporary folder can be made: {error}")))?;
    let options = ConversionOptions {
        lora_alpha: fixture.setting::<Option<f64>>("lora_alpha")?.unwrap_or(256.0),
        ..ConversionOptions::default()
    };
    PublishedFiles::open(&sources)?.write(folder.path(), options)?;
    save_settings(folder.path(), config, None)?;
    Ok(ModelDir::open(folder.path())?.load_base(device)?)
}

/// The files and folders of weights, in the order in which the later one counts: what tunes others
/// last. Of two files that differ in their ending alone one is enough.
fn sources(published: &Path) -> Result<Vec<PathBuf>, ParityError> {
    let unreadable = |error: std::io::Error| ParityError::Config {
        path: published.to_owned(),
        reason: error.to_string(),
    };
    let mut found: Vec<PathBuf> = std::fs::read_dir(published)
        .map_err(unreadable)?
        .map(|item| Ok(item?.path()))
        .collect::<Result<_, std::io::Error>>()
        .map_err(unreadable)?;
    let is_weights = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        path.is_dir()
            || ending == Some("safetensors")
            || (ending.is_some_and(|ending| ["pth", "pt", "bin"].contains(&ending))
                && !(cfg!(not(feature = "pytorch")) && path.with_extension("safetensors").exists()))
    };
    found.retain(is_weights);
    found.sort();
    found.dedup_by(|second, first| {
        !second.is_dir() && second.with_extension("") == first.with_extension("")
    });
    let tunes = |source: &PathBuf| {
        let checkpoint = Checkpoint::open(source)?;
        let tunes = checkpoint.entries().any(|entry| entry.name.starts_with("llm."));
        Ok::<_, ParityError>(tunes)
    };
    let mut ordered = Vec::with_capacity(found.len());
    for source in found {
        ordered.push((tunes(&source)?, source));
    }
    ordered.sort();
    Ok(ordered.into_iter().map(|(_, source)| source).collect())
}

fn picture(fixture: &Fixture) -> Result<RgbImage, ParityError> {
    let shape = fixture.input_shape("picture")?;
    let bytes = fixture.integers("picture", &[ANY, ANY, 3])?;
    let unusable =
        || fixture.unusable("`picture` is no image of bytes and of at most 4096 pixels a side");
    if shape[0].max(shape[1]) > LONGEST_SIDE {
        return Err(unusable());
    }
    let bytes: Vec<u8> = bytes
        .iter()
        .map(|&byte| u8::try_from(byte))
        .collect::<Result<_, _>>()
        .map_err(|_| unusable())?;
    let size = ImageHw::new(shape[0] as u32, shape[1] as u32).map_err(|_| unusable())?;
    RgbImage::from_bytes(size, bytes).map_err(|_| unusable())
}

/// What the language model is told of each point.
fn point_tokens(
    fixture: &Fixture,
    network: &Network,
    image: &EncodedImage,
) -> Result<Tensor<2>, ParityError> {
    let points = fixture.numbers("points_unit", [ANY, 2])?;
    let points = points
        .values
        .chunks_exact(2)
        .map(|xy| {
            let point = UnitXy::new(xy[0], xy[1])
                .map_err(|error| fixture.unusable(&format!("`points_unit`: {error}")))?;
            Ok(image.letterbox.model_from_unit(point))
        })
        .collect::<Result<Vec<_>, ParityError>>()?;
    let features = network.descriptor.prompt.forward(
        network.eyes.encoder.query_decoder(),
        &image.features.attended,
        &image.features.mask_features,
        &[points],
        &GaussianMask::new().with_rule(MaskRule::Object),
    );
    Ok(network.eyes.projector.object_tokens(features).squeeze_dim(0))
}

/// The embeddings of a conversation, `[1, token, hidden]`: where `image_id` stands the visual
/// tokens, where `mark_id` stands the next point.
fn row_of(
    fixture: &Fixture,
    network: &Network,
    visual: Tensor<2>,
    points: Tensor<2>,
) -> Result<Tensor<3>, ParityError> {
    let ids = fixture.integers("input_ids", &[ANY])?;
    let (image_id, mark_id): (i64, i64) =
        (fixture.named_id("image_id")?, fixture.named_id("mark_id")?);
    let rows = network.decoder.config().vocab_size as i64;
    let n_marks = ids.iter().filter(|&&id| id == mark_id).count();
    if n_marks != points.dims()[0] {
        return Err(fixture.unusable("`input_ids` has not one mark for each of `points_unit`"));
    }
    let mut parts = Vec::new();
    let mut next_point = 0;
    for run in ids.chunk_by(|a, b| ![*a, *b].iter().any(|id| [image_id, mark_id].contains(id))) {
        parts.push(if run[0] == image_id {
            visual.clone()
        } else if run[0] == mark_id {
            next_point += 1;
            points.clone().narrow(0, next_point - 1, 1)
        } else if run.iter().all(|id| (0..rows).contains(id)) {
            let run = TensorData::new(run.to_vec(), [1, run.len()]);
            let run = Tensor::<2, Int>::from_data(run, &points.device());
            network.decoder.embed(run).squeeze_dim(0)
        } else {
            return Err(fixture.unusable("`input_ids` holds an id that is not in the vocabulary"));
        });
    }
    Ok(Tensor::cat(parts, 0).unsqueeze())
}
