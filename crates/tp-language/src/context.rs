//! What a group of rows shares: the keys and values of a prefix, one for each image.

use burn::tensor::{Int, Tensor, TensorData};

use crate::{Decoder, LoraAdapter};

/// The prefixes of groups of rows, read once by [`Decoder::prefill`] and then by every row of the
/// group.
///
/// Gradients flow through it. Clones share their numbers.
#[derive(Clone, Debug)]
pub struct Context {
    pub(crate) layers: Vec<KeysValues>,
    pub(crate) lengths: Vec<usize>,
}

/// Keys (turned to their places) and values of one layer.
#[derive(Clone, Debug)]
pub(crate) struct KeysValues {
    pub(crate) keys: Tensor<3>, // [groups · kv_heads, prefix, d_head]
    pub(crate) values: Tensor<3>,
}

impl Context {
    /// How many prefixes there are.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.lengths.len()
    }

    /// The true length of every prefix, in tokens; own tokens take the places after it.
    #[must_use]
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// The memory of keys and values, in bytes.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        let bytes =
            |tensor: &Tensor<3>| tensor.dims().iter().product::<usize>() * tensor.dtype().size();
        self.layers.iter().map(|layer| bytes(&layer.keys) + bytes(&layer.values)).sum()
    }

    /// The same numbers without their history: no gradients flow through the result.
    #[must_use]
    pub fn inner(&self) -> Self {
        self.mapped(self.lengths.clone(), |tensor| tensor.clone().inner())
    }

    fn mapped(&self, lengths: Vec<usize>, map: impl Fn(&Tensor<3>) -> Tensor<3>) -> Self {
        let layers = self
            .layers
            .iter()
            .map(|layer| KeysValues { keys: map(&layer.keys), values: map(&layer.values) })
            .collect();
        Self { layers, lengths }
    }
}

/// The context of images: the same `head` of token ids before each, then the image's own tokens.
///
/// # Shapes
///
/// - `embeddings`: `[images, tokens, hidden]`, right-padded to the longest
/// - `lengths`: the true number of tokens of every image
///
/// # Panics
///
/// If the lengths do not fit the embeddings, or an id has no embedding.
#[must_use]
pub fn visual_context(
    decoder: &Decoder,
    head: &[u32],
    embeddings: Tensor<3>,
    lengths: &[usize],
    adapter: Option<&LoraAdapter>,
) -> Context {
    if head.is_empty() {
        return decoder.prefill(embeddings, lengths, adapter);
    }
    let [images, _, hidden] = embeddings.dims();
    let ids: Vec<i64> = head.iter().map(|&id| i64::from(id)).collect();
    let ids =
        Tensor::<2, Int>::from_data(TensorData::new(ids, [1, head.len()]), &embeddings.device());
    let head_embeddings = decoder.embed(ids).expand([images, head.len(), hidden]);
    let lengths: Vec<usize> = lengths.iter().map(|length| length + head.len()).collect();
    decoder.prefill(Tensor::cat(vec![head_embeddings, embeddings], 1), &lengths, adapter)
}
