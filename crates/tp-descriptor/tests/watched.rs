//! Descriptions that are watched while they are written.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    ops::ControlFlow,
    sync::{Arc, LazyLock},
};

use burn::tensor::Device;
use tp_core::{DescribeOptions, DescribePoint, Description, ImageHw, RgbImage, Sampling, UnitXy};
use tp_descriptor::{DescriptorConfig, GaussianMask, PointDescriptor, PointPromptConfig};
use tp_language::{DecoderConfig, LoraConfig, NextAction, train_bpe};
use tp_vision::{EncodedImage, VisionConfig};

const SIDE: usize = 64;
/// More than one batch.
const N_POINTS: usize = 33;

/// A Descriptor of random weights, which writes random bytes, and an image.
static MODEL: LazyLock<(PointDescriptor, EncodedImage)> = LazyLock::new(|| {
    let device = Device::flex();
    device.seed(7);
    let vision = VisionConfig {
        image_size: SIDE,
        backbone_dims: [8, 12, 16, 24],
        backbone_depths: [1; 4],
        feat_channels: 16,
        gn_groups: 4,
        encoder_ffn: 24,
        num_queries: 5,
        decoder_ffn: 24,
        hidden_size: 16,
        ..VisionConfig::tiny()
    };
    let tokenizer = Arc::new(train_bpe(["describe a point é 👂"; 3], 300).unwrap());
    let language = DecoderConfig::new(tokenizer.vocab_size(), 16, 24, 1, 2, 1);
    let mask = GaussianMask::new();
    let config = DescriptorConfig::new(
        PointPromptConfig::new(vision.feat_channels),
        mask,
        LoraConfig::new(2, 2.0),
    );
    let eyes = vision.init(&device);
    let image = RgbImage::filled(ImageHw::new(40, 60).unwrap(), [200, 30, 90]);
    let encoded = eyes.encode(&image, SIDE).unwrap();
    let net = config.init(&language, &device);
    (PointDescriptor::new(eyes, language.init(&device), net, mask, tokenizer), encoded)
});

fn points() -> Vec<UnitXy> {
    (0..N_POINTS).map(|n| UnitXy::new(n as f64 / N_POINTS as f64, 0.5).unwrap()).collect()
}

fn how() -> DescribeOptions {
    DescribeOptions {
        max_new_tokens: 12,
        sampling: Sampling::at_temperature(1.0),
        seed: 3,
        ..Default::default()
    }
}

/// The descriptions, and the pieces of each, joined.
fn watched(
    descriptor: &PointDescriptor,
    image: &EncodedImage,
    mut next: impl FnMut(usize) -> ControlFlow<(), NextAction>,
) -> (Vec<Description>, Vec<String>) {
    let mut joined = vec![String::new(); N_POINTS];
    let descriptions = descriptor
        .describe_watched(image, &points(), &how(), |point, piece| {
            joined[point].push_str(piece);
            next(point)
        })
        .unwrap();
    (descriptions, joined)
}

#[test]
fn pieces_joined_are_the_description() {
    let (descriptor, image) = &*MODEL;
    let expected = descriptor.describe(image, &points(), &how()).unwrap();
    assert!(expected.iter().any(|description| !description.text.is_empty()));
    let (descriptions, joined) =
        watched(descriptor, image, |_| ControlFlow::Continue(NextAction::GoOn));
    assert_eq!(descriptions, expected);
    assert!(joined.iter().zip(&expected).all(|(joined, expected)| *joined == expected.text));
}

#[test]
fn one_description_ends_and_the_others_go_on() {
    let (descriptor, image) = &*MODEL;
    let expected = descriptor.describe(image, &points(), &how()).unwrap();
    let (descriptions, joined) = watched(descriptor, image, |point| {
        ControlFlow::Continue(if point == 1 { NextAction::EndRow } else { NextAction::GoOn })
    });
    assert!(expected[1].tokens > 2, "the seed writes more than one token");
    assert!(descriptions[1].tokens <= 2 && expected[1].text.starts_with(&joined[1]));
    for point in (0..N_POINTS).filter(|&point| point != 1) {
        assert_eq!(descriptions[point].text, expected[point].text, "{point}");
    }
}

#[test]
fn break_ends_everything() {
    let (descriptor, image) = &*MODEL;
    let mut calls = 0;
    let (descriptions, _) = watched(descriptor, image, |_| {
        calls += 1;
        if calls < 40 { ControlFlow::Continue(NextAction::GoOn) } else { ControlFlow::Break(()) }
    });
    // The second batch was not begun.
    assert_eq!(descriptions.len(), N_POINTS - 1);
    assert!(descriptions.iter().all(|description| description.tokens <= 3));
}
