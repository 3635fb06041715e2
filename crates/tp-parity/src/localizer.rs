//! The Localizer's way from `[SEG]` to a point.

use burn::tensor::Device;
use tp_core::ModelXy;
use tp_localizer::{
    RegressionHeadConfig, TextProjectorConfig, point_loss, regression_head_keys,
    text_projector_keys,
};
use tp_weights::{LoadReport, TensorFloat, load_module};

use crate::{
    ParityError,
    fixture::{ANY, Fixture},
    report::Outcome,
};

/// Hidden state → query vector → point, with loss and gradient.
pub(crate) fn localizer(fixture: &Fixture, device: &Device) -> Result<Outcome, ParityError> {
    let (hidden_size, d_state): (usize, usize) =
        (fixture.setting("hidden_size")?, fixture.setting("text2vision_dim")?);
    let activation: String = fixture.setting("point_activation")?;
    let bounded = match activation.as_str() {
        "sigmoid" => true,
        "linear" => false,
        _ => {
            return Err(fixture.unusable(&format!(
                "`point_activation`: `{activation}` is neither `sigmoid` nor `linear`"
            )));
        }
    };
    let head = RegressionHeadConfig::new(d_state, fixture.setting("point_hidden_size")?)
        .with_bounded(bounded);
    let device = device.clone().autodiff();
    let mut projector = TextProjectorConfig::new(hidden_size, d_state).init(&device);
    let mut head = head.init(&device);

    let weights = fixture.weights()?;
    let unread = |report: LoadReport| {
        let fits = report.missing.is_empty() && report.unusable.is_empty();
        if fits {
            Ok(report.unused)
        } else {
            Err(ParityError::Mismatch {
                folder: fixture.folder().to_owned(),
                report: Box::new(report),
            })
        }
    };
    let mut unused =
        unread(load_module(&mut projector, &weights, &text_projector_keys(), TensorFloat::F32))?;
    let by_head =
        unread(load_module(&mut head, &weights, &regression_head_keys(), TensorFloat::F32))?;
    unused.retain(|name| by_head.contains(name));

    let hidden = fixture.input("hidden", [ANY, hidden_size], &device)?.require_grad();
    let n = hidden.dims()[0];
    let targets: Vec<f64> =
        fixture.input("target", [n, 2], &device)?.into_data().iter::<f64>().collect();
    let targets: Vec<ModelXy> =
        targets.chunks_exact(2).map(|xy| ModelXy { x: xy[0], y: xy[1] }).collect();
    let vector = projector.forward(hidden.clone());
    let point = head.forward(vector.clone());
    let loss = point_loss(point.clone(), &targets);
    let gradients = loss.backward();
    let gradient =
        hidden.grad(&gradients).ok_or_else(|| fixture.unusable("no gradient reached `hidden`"))?;
    Ok(Outcome::default()
        .with("seg_vector", vector)
        .with("point", point)
        .with("loss", loss)
        .with("grad_hidden", gradient)
        .without(unused))
}
