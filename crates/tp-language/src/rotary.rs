//! Rotary positions: queries and keys are turned by an angle that grows with their place, so that
//! their product depends on the distance alone.
//!
//! Source: RoFormer (arXiv 2104.09864), in the half-split form of Llama and InternLM2: component
//! `j` is paired with component `j + d_head / 2`.

use burn::tensor::{DType, Device, Tensor, TensorData};
use tp_kernels::RotaryAngles;

use crate::{DecoderConfig, RopeScaling};

/// Angles for queries and keys at given places.
#[derive(Clone, Debug)]
pub(crate) struct Rotary {
    angles: RotaryAngles,
    /// `1 / √d_head`
    query_scale: f64,
}

impl Rotary {
    /// For `tokens` places in a row, of which the first is `starts[..]`, one for each group or row.
    pub(crate) fn new(
        config: &DecoderConfig,
        starts: &[usize],
        tokens: usize,
        device: &Device,
        dtype: DType,
    ) -> Self {
        let starts =
            if starts.iter().all(|start| *start == starts[0]) { &starts[..1] } else { starts };
        let half = config.d_head() / 2;
        // The published code computes frequencies and angles in f32; far from the start the
        // rounding shows.
        let frequency = |j: usize| config.rope_theta.powf(-(j as f64) / half as f64);
        let scaled = |j: usize| match config.rope_scaling {
            Some(scaling) => scaling.scaled(frequency(j), j, half, config.rope_theta),
            None => frequency(j),
        };
        let frequencies: Vec<f32> = (0..half).map(|j| scaled(j) as f32).collect();
        let length = config.rope_scaling.map_or(1.0, RopeScaling::attention_factor);
        let angles: Vec<f64> = starts
            .iter()
            .flat_map(|&start| start..start + tokens)
            .flat_map(|place| {
                frequencies.iter().map(move |frequency| f64::from(place as f32 * frequency))
            })
            .collect();
        let upload = |of: fn(f64) -> f64| {
            let values: Vec<f32> =
                angles.iter().map(|&angle| (length * of(angle)) as f32).collect();
            Tensor::from_data(
                TensorData::new(values, [starts.len(), tokens, half]).convert_dtype(dtype),
                (device, dtype),
            )
        };
        Self {
            angles: RotaryAngles { cos: upload(f64::cos), sin: upload(f64::sin) },
            query_scale: 1.0 / (config.d_head() as f64).sqrt(),
        }
    }

    /// Cosines and sines, `[starts or 1, tokens, d_head / 2]`.
    pub(crate) fn angles(&self) -> RotaryAngles {
        self.angles.clone()
    }

    /// Turns queries, `[rows, heads, tokens, d_head]`, and divides them by `√d_head`.
    pub(crate) fn turn_queries(&self, x: Tensor<4>) -> Tensor<4> {
        self.turn_keys(x) * self.query_scale
    }

    /// Turns keys, `[rows, heads, tokens, d_head]`.
    pub(crate) fn turn_keys(&self, x: Tensor<4>) -> Tensor<4> {
        let half = x.dims()[3] / 2;
        let first = x.clone().narrow(3, 0, half);
        let second = x.narrow(3, half, half);
        let [cos, sin] =
            [&self.angles.cos, &self.angles.sin].map(|angle| angle.clone().unsqueeze_dim::<4>(1));
        let turned_first = first.clone() * cos.clone() - second.clone() * sin.clone();
        let turned_second = second * cos + first * sin;
        Tensor::cat(vec![turned_first, turned_second], 3)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    fn score(config: &DecoderConfig, x: &Tensor<4>, query_at: usize, key_at: usize) -> f32 {
        let rotary = |place| Rotary::new(config, &[place], 1, &Device::flex(), DType::F32);
        (rotary(query_at).turn_queries(x.clone()) * rotary(key_at).turn_keys(x.clone()))
            .sum()
            .into_scalar::<f32>()
    }

    #[test]
    fn scores_depend_on_the_distance_alone() {
        let config = DecoderConfig::new(8, 16, 8, 1, 1, 1);
        let x = Tensor::random([1, 1, 1, 16], Distribution::Normal(0.0, 1.0), &Device::flex());
        for (query_at, key_at) in [(3, 0), (7, 5), (40, 11)] {
            let (near, far) = (
                score(&config, &x, query_at, key_at),
                score(&config, &x, query_at + 17, key_at + 17),
            );
            assert!((near - far).abs() < 1e-5, "{near} {far}");
        }
        assert!((score(&config, &x, 3, 0) - score(&config, &x, 4, 0)).abs() > 1e-4);
    }

    #[test]
    fn rotation_pairs_the_halves() {
        // d_head 4, theta 10000: frequencies 1 and 0.01. At place 1, (a, b, c, d) becomes
        // (a cos 1 - c sin 1, b cos 0.01 - d sin 0.01, c cos 1 + a sin 1, d cos 0.01 + b sin 0.01).
        let config = DecoderConfig::new(8, 4, 8, 1, 1, 1);
        let rotary = Rotary::new(&config, &[1], 1, &Device::flex(), DType::F32);
        let x =
            Tensor::<1>::from_floats([1.0, 2.0, 3.0, 4.0], &Device::flex()).reshape([1, 1, 1, 4]);
        let key: Vec<f32> = rotary.turn_keys(x.clone()).into_data().iter::<f32>().collect();
        let query: Vec<f32> = rotary.turn_queries(x).into_data().iter::<f32>().collect();
        let (c, s) = ([1.0_f32.cos(), 0.01_f32.cos()], [1.0_f32.sin(), 0.01_f32.sin()]);
        let expected = [
            c[0] - 3.0 * s[0],
            2.0 * c[1] - 4.0 * s[1],
            3.0 * c[0] + s[0],
            4.0 * c[1] + 2.0 * s[1],
        ];
        for (i, expected) in expected.into_iter().enumerate() {
            assert!((key[i] - expected).abs() < 1e-6);
            assert!((query[i] - expected / 2.0).abs() < 1e-6); // times 1 / √4
        }
    }
}
