//! Laws of points: they may lie anywhere in any image, and each is seen as if it were alone.

use std::sync::LazyLock;

use burn::tensor::{Device, Distribution, Tensor, Tolerance};
use proptest::{prelude::*, sample::select};
use tp_core::{ImageHw, ModelXy, RgbImage, UnitXy};
use tp_descriptor::{GaussianMask, MaskRule, PointPrompt, PointPromptConfig};
use tp_vision::{VisionConfig, VisionFeatures, VisionModel};

const SIDE: usize = 64;
/// Single precision, summed in other orders through a few layers.
const ROUNDING: f32 = 2e-4;

/// Every kind of layer, few numbers.
static MODEL: LazyLock<(VisionModel, PointPrompt)> = LazyLock::new(|| {
    let config = VisionConfig {
        image_size: SIDE,
        backbone_dims: [8, 12, 16, 24],
        backbone_depths: [1; 4],
        feat_channels: 16,
        gn_groups: 4,
        encoder_ffn: 24,
        num_queries: 5,
        decoder_ffn: 24,
        hidden_size: 10,
        ..VisionConfig::tiny()
    };
    (
        config.init(&Device::flex()),
        PointPromptConfig::new(config.feat_channels).init(&Device::flex()),
    )
});

fn features(seen: &VisionFeatures, points: &[Vec<ModelXy>], mask: &GaussianMask) -> Tensor<3> {
    let (eyes, prompt) = &*MODEL;
    prompt.forward(eyes.encoder.query_decoder(), &seen.attended, &seen.mask_features, points, mask)
}

fn assert_equal(actual: Tensor<3>, expected: Tensor<3>) {
    actual
        .into_data()
        .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(ROUNDING));
}

/// Inside or on a border; two of them may be a corner.
fn place() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..=1.0, Just(0.0), Just(1.0)]
}

fn point() -> impl Strategy<Value = ModelXy> {
    (place(), place()).prop_map(|(x, y)| ModelXy { x, y })
}

/// Every rule but the predicted mask, whose cells are open or closed by the sign of a logit; from
/// less than a cell to half of the image.
fn fixed_mask() -> impl Strategy<Value = GaussianMask> {
    let rules = vec![MaskRule::Threshold(0.135), MaskRule::LogBias { floor: 1e-3 }, MaskRule::Open];
    (select(rules), 1e-6..0.5_f64)
        .prop_map(|(rule, sigma)| GaussianMask::new().with_rule(rule).with_sigma(sigma))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_point_of_any_image_has_a_feature(
        height in prop_oneof![Just(1_u32), 1_u32..90], width in prop_oneof![Just(1_u32), 1_u32..90],
        x in place(), y in place(),
        mask in prop_oneof![fixed_mask(), Just(GaussianMask::new().with_rule(MaskRule::Object))],
    ) {
        let image = RgbImage::filled(ImageHw::new(height, width).unwrap(), [200, 30, 90]);
        let seen = MODEL.0.encode(&image, SIDE).unwrap();
        let point = seen.letterbox.model_from_unit(UnitXy::new(x, y).unwrap());
        let feature = features(&seen.features, &[vec![point]], &mask);
        prop_assert!(feature.into_data().iter::<f32>().all(f32::is_finite));
    }

    #[test]
    fn points_keep_their_features_in_any_order_and_company(
        (points, order) in prop::collection::vec(point(), 1..7).prop_flat_map(|points| {
            let order: Vec<usize> = (0..points.len()).collect();
            (Just(points), Just(order).prop_shuffle())
        }),
        mask in fixed_mask(),
    ) {
        let seen = MODEL.0.forward(Tensor::random([1, 3, SIDE, SIDE], Distribution::Normal(0.0, 1.0), &Device::flex()));
        let together = features(&seen, std::slice::from_ref(&points), &mask);
        let shuffled = features(&seen, &[order.iter().map(|&at| points[at]).collect()], &mask);
        for (now, &before) in order.iter().enumerate() {
            let expected = together.clone().narrow(1, before, 1);
            assert_equal(shuffled.clone().narrow(1, now, 1), expected.clone());
            assert_equal(features(&seen, &[vec![points[before]]], &mask), expected);
        }
    }

    #[test]
    fn points_of_a_batch_see_their_own_image(points in prop::collection::vec([point(), point()], 1..4), mask in fixed_mask()) {
        let images = Tensor::<4>::random([2, 3, SIDE, SIDE], Distribution::Normal(0.0, 1.0), &Device::flex());
        let of_image = [0, 1].map(|image| points.iter().map(|pair| pair[image]).collect::<Vec<_>>());
        let together = features(&MODEL.0.forward(images.clone()), &of_image, &mask);
        for (image, points) in of_image.into_iter().enumerate() {
            let alone = MODEL.0.forward(images.clone().narrow(0, image, 1));
            assert_equal(features(&alone, &[points], &mask), together.clone().narrow(0, image, 1));
        }
    }
}
