//! The zero padding before and after a side of a convolution's input.

/// TensorFlow's SAME padding: with a stride of `s`, `n` inputs give `⌈n / s⌉` outputs. If the
/// required padding is odd, the additional zero is at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SamePadding {
    /// The length of the input.
    pub(crate) input: usize,
    /// The length of the output.
    pub(crate) output: usize,
    /// Zeros before.
    pub(crate) before: usize,
    /// Zeros behind.
    pub(crate) behind: usize,
}

impl SamePadding {
    /// For a filter of length `k` over `input` elements.
    pub(crate) fn new(input: usize, k: usize, stride: usize) -> Self {
        let output = input.div_ceil(stride);
        let zeros = (output.saturating_sub(1) * stride + k).saturating_sub(input);
        Self { input, output, before: zeros / 2, behind: zeros - zeros / 2 }
    }

    /// For both sides of a map.
    pub(crate) fn of_map([height, width]: [usize; 2], k: usize, stride: usize) -> [Self; 2] {
        [Self::new(height, k, stride), Self::new(width, k, stride)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_zero_stands_behind() {
        // Worked by hand from the definition: `(output - 1) · stride + k - input` zeros.
        for (input, k, stride, output, before, behind) in [
            (224, 3, 2, 112, 0, 1),
            (193, 3, 2, 97, 1, 1),
            (112, 5, 2, 56, 1, 2),
            (97, 5, 2, 49, 2, 2),
            (9, 5, 1, 9, 2, 2),
            (8, 1, 2, 4, 0, 0),
            (1, 5, 2, 1, 2, 2),
        ] {
            assert_eq!(
                SamePadding::new(input, k, stride),
                SamePadding { input, output, before, behind },
                "{input}, {k}, {stride}"
            );
        }
    }
}
