//! The vision model, part by part, and the prompts of points.

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde_json::Value;
use tp_core::ModelXy;
use tp_descriptor::{GaussianMask, MaskRule, PointPromptConfig, prompt_keys};
use tp_vision::{
    AuxPredictions, PerceptionPrior, QueryOutput, VisionConfig, VisionModel,
    efficientnet_lite_keys, encoder_keys, folded_efficientnet_lite, open_clip_keys, projector_keys,
};
use tp_weights::{LoadReport, TensorFloat, load_module};

use crate::{
    ParityError,
    fixture::{ANY, Fixture},
    report::Outcome,
};

/// The vision model of the configuration, filled as far as the folder's weights go; `needed` are the parts that
/// must be filled.
struct Loaded {
    config: VisionConfig,
    eyes: VisionModel,
    unused: Vec<String>,
}

impl Loaded {
    fn new(fixture: &Fixture, needed: &[&str], device: &Device) -> Result<Self, ParityError> {
        let config = vision_config(fixture)?;
        let mut eyes = config.init(device);
        let lite = efficientnet_lite_keys().under("", "encoder.backbone");
        let lite =
            lite.and(efficientnet_lite_keys().under("visual_encoder.backbone", "encoder.backbone"));
        let keys = encoder_keys()
            .and(open_clip_keys())
            .under("", "encoder")
            .and(projector_keys().under("", "projector"))
            .and(lite);
        let weights = folded_efficientnet_lite(fixture.weights()?)?;
        let mut report = load_module(&mut eyes, &weights, &keys, TensorFloat::F32);
        report.missing.retain(|path| needed.iter().any(|part| path.starts_with(part)));
        Ok(Self { config, eyes, unused: unread(fixture, report)? })
    }
}

/// The names that a module did not read.
fn unread(fixture: &Fixture, report: LoadReport) -> Result<Vec<String>, ParityError> {
    if report.missing.is_empty() && report.unusable.is_empty() {
        return Ok(report.unused);
    }
    Err(ParityError::Mismatch { folder: fixture.folder().to_owned(), report: Box::new(report) })
}

/// The folder's settings over those of the smallest vision model: what a stage does not name costs nothing.
fn vision_config(fixture: &Fixture) -> Result<VisionConfig, ParityError> {
    let smallest = VisionConfig {
        backbone_dims: [1; 4],
        backbone_depths: [1; 4],
        gn_groups: 1,
        encoder_layers: 1,
        encoder_heads: 1,
        encoder_ffn: 1,
        num_queries: 1,
        decoder_layers: 1,
        decoder_heads: 1,
        decoder_ffn: 1,
        num_classes: 1,
        class_embed_dim: 1,
        hidden_size: 1,
        feat_channels: 4,
        // Prompts alone ask for the size, and name it.
        image_size: 32 * fixture.setting::<Option<usize>>("unshuffle")?.unwrap_or(1),
        ..VisionConfig::tiny()
    };
    let unusable = |error: serde_json::Error| fixture.unusable(&error.to_string());
    let mut settings = serde_json::to_value(smallest).map_err(unusable)?;
    if let (Value::Object(settings), Value::Object(given)) = (&mut settings, fixture.config()) {
        for (key, value) in given {
            if let Some(setting) = settings.get_mut(key) {
                *setting = value.clone();
            }
        }
    }
    let config: VisionConfig = serde_json::from_value(settings).map_err(unusable)?;
    config.validate()?;
    Ok(config)
}

/// Channels first, as the peers have it.
fn published(map: Tensor<4>) -> Tensor<4> {
    map.permute([0, 3, 1, 2])
}

/// Image → C2 … C5.
pub(crate) fn convnext(fixture: &Fixture, device: &Device) -> Result<Outcome, ParityError> {
    let Loaded { eyes, unused, .. } = Loaded::new(fixture, &["encoder.backbone."], device)?;
    let image = fixture.input("image", [ANY, 3, ANY, ANY], device)?;
    let [_, _, height, width] = image.dims();
    if !height.is_multiple_of(32) || !width.is_multiple_of(32) {
        return Err(fixture.unusable("the sides of `image` must be multiples of 32"));
    }
    let [res2, res3, res4, res5] = eyes.encoder.backbone().forward(image).map(published);
    Ok(Outcome::default()
        .with("res2", res2)
        .with("res3", res3)
        .with("res4", res4)
        .with("res5", res5)
        .without(unused))
}

/// Image → C2 … C5 at some cells, and classes, of the whole image and of every cell.
pub(crate) fn efficientnet_lite(
    fixture: &Fixture,
    device: &Device,
) -> Result<Outcome, ParityError> {
    let Loaded { eyes, unused, .. } = Loaded::new(fixture, &["encoder.backbone."], device)?;
    // A picture of any size in few numbers.
    let (rows, columns) = (
        fixture.input("rows", [1, 3, ANY], device)?,
        fixture.input("columns", [1, 3, ANY], device)?,
    );
    let image: Tensor<4> = rows.unsqueeze_dim::<4>(3) * columns.unsqueeze_dim::<4>(2);
    let maps = eyes.encoder.backbone().forward(image);
    let classifier = eyes
        .encoder
        .backbone()
        .classifier()
        .ok_or_else(|| fixture.unusable("`classifier` is missing"))?;
    let (logits, dense) = (classifier.pooled(maps[3].clone()), classifier.dense(maps[3].clone()));
    let steps: [usize; 4] = fixture.setting("steps")?;
    if steps.contains(&0) {
        return Err(fixture.unusable("`steps` holds a 0"));
    }
    let [res2, res3, res4, res5] = maps;
    let some = |map: Tensor<4>, step: usize| {
        // From the last cell on: at the lower right padding is what it is.
        let every = |side: usize| Tensor::<1, Int>::arange_step(0..side as i64, step, device);
        let [_, height, width, _] = map.dims();
        published(map.flip([1, 2]).select(1, every(height)).select(2, every(width)))
    };
    Ok(Outcome::default()
        .with("res2", some(res2, steps[0]))
        .with("res3", some(res3, steps[1]))
        .with("res4", some(res4, steps[2]))
        .with("res5", some(res5, steps[3]))
        .with("logits", logits)
        .with("dense_logits", published(dense))
        .without(unused))
}

/// Deformable attention with its three gradients.
pub(crate) fn ms_deform_attn(fixture: &Fixture, device: &Device) -> Result<Outcome, ParityError> {
    let device = &device.clone().autodiff();
    let (levels, points) = (fixture.setting("encoder_levels")?, fixture.setting("encoder_points")?);
    let heads: usize = fixture.setting("encoder_heads")?;
    let shapes = fixture.integers("spatial_shapes", &[levels, 2])?;
    if shapes.iter().any(|&side| !(1..=1 << 16).contains(&side)) {
        return Err(fixture.unusable("a side in `spatial_shapes` is not from 1 to 65536"));
    }
    let shapes: Vec<[usize; 2]> =
        shapes.chunks_exact(2).map(|hw| [hw[0] as usize, hw[1] as usize]).collect();
    let cells = shapes.iter().map(|[height, width]| height * width).sum();
    let value = fixture.input("value", [ANY, cells, heads, ANY], device)?.require_grad();
    let [batch, _, _, d_head] = value.dims();
    let locations = fixture
        .input("sampling_locations", [batch, ANY, heads, levels, points, 2], device)?
        .require_grad();
    let queries = locations.dims()[1];
    let weights = fixture
        .input("attention_weights", [batch, queries, heads, levels, points], device)?
        .require_grad();
    let grad_output = fixture.input("grad_output", [batch, queries, heads * d_head], device)?;

    let output = tp_kernels::deformable_attention(
        value.clone(),
        &shapes,
        locations.clone(),
        weights.clone(),
    );
    let gradients = (output.clone() * grad_output).sum().backward();
    let lost = || fixture.unusable("no gradient reached an input");
    Ok(Outcome::default()
        .with("output", output)
        .with("grad_value", value.grad(&gradients).ok_or_else(lost)?)
        .with("grad_sampling_locations", locations.grad(&gradients).ok_or_else(lost)?)
        .with("grad_attention_weights", weights.grad(&gradients).ok_or_else(lost)?))
}

/// C2 … C5 → mask features and three levels.
pub(crate) fn pixel_decoder(fixture: &Fixture, device: &Device) -> Result<Outcome, ParityError> {
    let Loaded { config, eyes, unused } =
        Loaded::new(fixture, &["encoder.pixel_decoder."], device)?;
    let [c2, c3, c4, c5] = config.backbone_dims;
    let coarse = fixture.map("res5", c5, device)?;
    let [batch, height, width, _] = coarse.dims();
    let finer = |name: &str, channels: usize, times: usize| {
        let map = fixture.input(name, [batch, channels, height * times, width * times], device)?;
        Ok::<_, ParityError>(map.permute([0, 2, 3, 1]))
    };
    let maps = [finer("res2", c2, 8)?, finer("res3", c3, 4)?, finer("res4", c4, 2)?, coarse];
    let (mask_features, levels) = eyes.encoder.pixel_decoder().forward(maps);
    let [level0, level1, level2] = levels.map(published);
    Ok(Outcome::default()
        .with("mask_features", published(mask_features))
        .with("level0", level0)
        .with("level1", level1)
        .with("level2", level2)
        .without(unused))
}

/// What the query decoder reads.
struct Memories {
    mask_features: Tensor<4>,
    levels: [Tensor<4>; 3],
}

impl Memories {
    fn read(fixture: &Fixture, feat: usize, device: &Device) -> Result<Self, ParityError> {
        let mask_features = fixture.map("mask_features", feat, device)?;
        let batch = mask_features.dims()[0];
        let level = |name| {
            Ok::<_, ParityError>(
                fixture.input(name, [batch, feat, ANY, ANY], device)?.permute([0, 2, 3, 1]),
            )
        };
        Ok(Self { levels: [level("level0")?, level("level1")?, level("level2")?], mask_features })
    }
}

/// The learned queries over the memories.
pub(crate) fn mask_decoder(fixture: &Fixture, device: &Device) -> Result<Outcome, ParityError> {
    let Loaded { config, eyes, unused } =
        Loaded::new(fixture, &["encoder.query_decoder."], device)?;
    let Memories { mask_features, levels } = Memories::read(fixture, config.feat_channels, device)?;
    let decoder = eyes.encoder.query_decoder();
    let queries = decoder.forward(&decoder.attend(&levels), &mask_features, AuxPredictions::None);
    Ok(Outcome::default()
        .with("query_features", queries.query_features)
        .with("class_logits", queries.class_logits)
        .with("mask_logits", queries.mask_logits)
        .without(unused))
}

/// Points as queries of the decoder, through the Gaussian mask.
pub(crate) fn point_prompt(fixture: &Fixture, device: &Device) -> Result<Outcome, ParityError> {
    let Loaded { config, eyes, mut unused } =
        Loaded::new(fixture, &["encoder.query_decoder."], device)?;
    let radius: f64 = fixture.setting("prompt_radius_px")?;
    let mut prompt = PointPromptConfig::new(config.feat_channels)
        .with_prompt_radius(radius / config.image_size as f64)
        .init(device);
    let by_prompt = unread(
        fixture,
        load_module(&mut prompt, &fixture.weights()?, &prompt_keys(), TensorFloat::F32),
    )?;
    unused.retain(|name| by_prompt.contains(name));

    let mask = GaussianMask {
        sigma: fixture.setting("sigma")?,
        rule: fixture.setting::<MaskRule>("mask_rule")?,
    };
    mask.validate().map_err(|error| fixture.unusable(&error.to_string()))?;
    let Memories { mask_features, levels } = Memories::read(fixture, config.feat_channels, device)?;
    let batch = mask_features.dims()[0];
    let points = fixture.input::<2>("points", [ANY, 2], device)?;
    let images = fixture.integers("image_index", &[points.dims()[0]])?;
    let points: Vec<f64> = points.into_data().iter::<f64>().collect();
    // The points of each image, in the order of the file: all images have equally many.
    let mut of_image = vec![Vec::new(); batch];
    for (xy, &image) in points.chunks_exact(2).zip(&images) {
        let of_image = usize::try_from(image).ok().and_then(|image| of_image.get_mut(image));
        of_image
            .ok_or_else(|| fixture.unusable("`image_index` names an image that is not there"))?
            .push(ModelXy { x: xy[0], y: xy[1] });
    }
    if !images.is_sorted() || of_image.iter().any(|points| points.len() != of_image[0].len()) {
        return Err(
            fixture.unusable("`image_index` must be sorted and name every image equally often")
        );
    }

    let decoder = eyes.encoder.query_decoder();
    let features =
        prompt.forward(decoder, &decoder.attend(&levels), &mask_features, &of_image, &mask);
    Ok(Outcome::default()
        .with::<2>("point_features", features.flatten(0, 1))
        .with::<2>("position_query", prompt.position(&of_image).flatten(0, 1))
        .with::<1>("content_query", prompt.content().squeeze_dim(0))
        .without(unused))
}

/// Which query claims which cell.
pub(crate) fn perception_prior(fixture: &Fixture, device: &Device) -> Result<Outcome, ParityError> {
    let Loaded { config, .. } = Loaded::new(fixture, &[], device)?;
    let (queries, feat) = (config.num_queries, config.feat_channels);
    let mask_logits = fixture.input("mask_logits", [1, queries, ANY, ANY], device)?;
    let [_, _, height, width] = mask_logits.dims();
    // Masks have a stride of 4, cells one of 32 · unshuffle.
    let cell = 8 * config.unshuffle;
    if !height.is_multiple_of(cell) || !width.is_multiple_of(cell) {
        return Err(
            fixture.unusable(&format!("the sides of `mask_logits` must be multiples of {cell}"))
        );
    }
    let weights = fixture.weights()?;
    let name = "panoptic_head.query_embed.weight";
    let entry = weights.entry(name)?;
    if entry.shape != [queries, feat] {
        return Err(fixture.unusable(&format!("{name} must have the shape [{queries}, {feat}]")));
    }
    let positions =
        TensorData::from_bytes_vec(weights.read(name)?, entry.shape.clone(), entry.dtype)
            .convert::<f32>();
    let output = QueryOutput {
        query_features: fixture.input("query_features", [1, queries, feat], device)?,
        query_positions: Tensor::from_data(positions, device),
        class_logits: fixture.input(
            "class_logits",
            [1, queries, config.num_classes + 1],
            device,
        )?,
        mask_logits,
        aux: Vec::new(),
    };
    let prior = PerceptionPrior::new(&output, [height / cell, width / cell], config.prior_smooth);
    let owner: Tensor<2, Int> = prior.claims.clone().argmax(1).squeeze_dim(1);
    let kept: Vec<i64> =
        (0..queries).map(|query| i64::from(prior.kept[0].contains(&query))).collect();
    Ok(Outcome::default()
        .with::<2>("object_tokens", prior.kept_vectors().squeeze_dim(0))
        .with("prior", prior.mixture)
        .with("claims", prior.claims)
        .with_data("owner", owner.squeeze_dim::<1>(0).into_data())
        .with_data("kept", TensorData::new(kept, [queries])))
}

/// Features → tokens of the language model.
pub(crate) fn projector(fixture: &Fixture, device: &Device) -> Result<Outcome, ParityError> {
    let Loaded { config, eyes, unused } = Loaded::new(fixture, &["projector."], device)?;
    let coarse = fixture.map("res5", config.backbone_dims[3], device)?;
    let [batch, height, width, _] = coarse.dims();
    if batch != 1
        || !height.is_multiple_of(config.unshuffle)
        || !width.is_multiple_of(config.unshuffle)
    {
        return Err(fixture.unusable(
            "`res5` must be of one image, with sides that are multiples of `unshuffle`",
        ));
    }
    let cells = height * width / (config.unshuffle * config.unshuffle);
    let mixture = fixture.input("prior", [1, cells, config.prior_dim()], device)?;
    let vectors = fixture.input("query_vectors", [ANY, config.prior_dim()], device)?;
    let pixels = eyes.projector.pixel_tokens(coarse, mixture);
    let objects = eyes.projector.object_tokens(vectors);
    Ok(Outcome::default()
        .with("visual_tokens", eyes.projector.sequence(pixels.clone(), objects.clone().unsqueeze()))
        .with("pixel_tokens", pixels)
        .with("object_tokens", objects)
        .without(unused))
}
