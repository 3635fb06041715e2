//! The language model: embeddings in, hidden states and logits out.

use burn::{
    module::{Module, Param},
    nn::{Embedding, EmbeddingConfig, Initializer, RmsNorm, RmsNormConfig},
    tensor::{Device, Int, Tensor, TensorData},
};
use tp_kernels::{AttentionPrefix, BlockMatrix, QuantizedFormat, affine, block_product};

use crate::{
    Attention, Context, DecoderConfig, FeedForward, LoraAdapter, LoraLayer, LoraPair,
    context::KeysValues, kv_cache::KvCache, projection::Projection, rotary::Rotary,
};

/// A decoder-only language model: blocks of RMS norm, grouped-query attention with rotary
/// positions, and a gated feed-forward network.
#[derive(Module, Debug)]
pub struct Decoder {
    /// One row for every token.
    pub embed_tokens: Embedding,
    /// The blocks, first to last.
    pub layers: Vec<DecoderLayer>,
    /// The norm after the last block.
    pub norm: RmsNorm,
    /// The output layer, `[hidden, vocab]`; absent if the embedding table does its work.
    pub output: Option<Projection>,
    /// The embedding table in blocks; the parameter is empty then.
    #[module(skip)]
    pub(crate) table: Option<BlockMatrix>,
    #[module(skip)]
    config: DecoderConfig,
}

/// One block of a [`Decoder`].
#[derive(Module, Debug)]
pub struct DecoderLayer {
    /// Before the attention.
    pub attention_norm: RmsNorm,
    /// Reads other tokens.
    pub attention: Attention,
    /// Before the feed-forward network.
    pub ffn_norm: RmsNorm,
    /// Works on each token alone.
    pub feed_forward: FeedForward,
}

impl DecoderConfig {
    /// A decoder with random weights.
    ///
    /// # Panics
    ///
    /// If [`DecoderConfig::validate`] refuses this configuration.
    #[must_use]
    pub fn init(&self, device: &Device) -> Decoder {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let norm =
            || RmsNormConfig::new(self.hidden_size).with_epsilon(self.rms_norm_eps).init(device);
        let layer = |index| DecoderLayer {
            attention_norm: norm(),
            attention: Attention::new(self, index, device),
            ffn_norm: norm(),
            feed_forward: FeedForward::new(self, device),
        };
        Decoder {
            embed_tokens: EmbeddingConfig::new(self.vocab_size, self.hidden_size)
                .with_initializer(Initializer::Normal {
                    mean: 0.0,
                    std: 1.0 / (self.hidden_size as f64).sqrt(),
                })
                .init(device),
            layers: (0..self.num_hidden_layers).map(layer).collect(),
            norm: norm(),
            output: (!self.tie_word_embeddings)
                .then(|| Projection::new(self.hidden_size, self.vocab_size, device)),
            table: None,
            config: self.clone(),
        }
    }
}

/// What all layers of one pass share.
struct Pass<'a> {
    rotary: Rotary,
    context: Option<&'a Context>,
    adapter: Option<&'a LoraAdapter>,
}

impl Pass<'_> {
    fn lora(&self, layer: usize) -> Option<&LoraLayer> {
        self.adapter.and_then(|adapter| adapter.layers.get(layer))
    }

    fn prefix(&self, layer: usize) -> Option<AttentionPrefix<'_>> {
        self.context.map(|context| {
            let KeysValues { keys, values } = context.layers[layer].clone();
            AttentionPrefix { keys, values, lengths: context.lengths() }
        })
    }
}

impl Decoder {
    /// The shape of this decoder.
    #[must_use]
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    pub(crate) fn set_vocab_size(&mut self, vocab_size: usize) {
        self.config.vocab_size = vocab_size;
    }

    /// The embeddings of tokens: `[batch, tokens]` → `[batch, tokens, hidden]`.
    ///
    /// # Panics
    ///
    /// If an id has no row in the table.
    #[must_use]
    pub fn embed(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let Some(table) = &self.table else { return self.embed_tokens.forward(ids) };
        let ([rows, tokens], device) = (ids.dims(), ids.device());
        let ids: Vec<usize> = ids.into_data().iter::<i64>().map(|id| id as usize).collect();
        table.rows(&ids, &device).reshape([rows, tokens, table.n_inputs()])
    }

    /// The embeddings of rows of different lengths, `[row, tokens of the longest, hidden]`,
    /// right-padded.
    ///
    /// # Panics
    ///
    /// If an id has no row in the table.
    #[must_use]
    pub fn embed_rows(&self, rows: &[impl AsRef<[u32]>]) -> Tensor<3> {
        let length = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
        let padded = |row: &[u32]| {
            row.iter()
                .map(|&id| i64::from(id))
                .chain(std::iter::repeat(0))
                .take(length)
                .collect::<Vec<_>>()
        };
        let ids: Vec<i64> = rows.iter().flat_map(|row| padded(row.as_ref())).collect();
        self.embed(Tensor::from_data(
            TensorData::new(ids, [rows.len(), length]),
            &self.embed_tokens.weight.device(),
        ))
    }

    /// Reads the prefixes that groups of rows will share.
    ///
    /// # Shapes
    ///
    /// - `embeddings`: `[groups, prefix, hidden]`, right-padded
    /// - `lengths`: the true length of every prefix
    ///
    /// # Panics
    ///
    /// If there is not one length for every group, or one is larger than `prefix`.
    #[must_use]
    pub fn prefill(
        &self,
        embeddings: Tensor<3>,
        lengths: &[usize],
        adapter: Option<&LoraAdapter>,
    ) -> Context {
        let [groups, prefix, _] = embeddings.dims();
        assert!(
            lengths.len() == groups && lengths.iter().all(|&length| length <= prefix),
            "{groups} prefixes of {prefix} tokens, lengths {lengths:?}"
        );
        let mut kept = Vec::with_capacity(self.layers.len());
        // Padding stands at the end: what came before cannot read it.
        self.run(embeddings, None, groups, adapter, Recording::Prefix(&mut kept));
        Context { layers: kept, lengths: lengths.to_vec() }
    }

    /// Hidden states after the final norm, for the rows' own tokens.
    ///
    /// Row `i` of the batch belongs to group `i / (batch / groups)` and continues that group's
    /// prefix: its first token takes the place after it. Padding at the end of a row needs no mask;
    /// its outputs mean nothing.
    ///
    /// # Shapes
    ///
    /// - `embeddings`, output: `[batch, tokens, hidden]`
    ///
    /// # Panics
    ///
    /// If the batch is not a multiple of the context's groups.
    #[must_use]
    pub fn forward(
        &self,
        embeddings: Tensor<3>,
        context: Option<&Context>,
        adapter: Option<&LoraAdapter>,
    ) -> Tensor<3> {
        let groups = context.map_or(1, Context::groups);
        let hidden = self.run(embeddings, context, groups, adapter, Recording::Nothing);
        self.normalized(&self.norm, hidden)
    }

    /// Reads on: tokens that follow those in the cache, to which they are added. Gives the state of
    /// each row's last token, `[rows, 1, hidden]`, after the final norm.
    ///
    /// - `embeddings`: `[rows, tokens, hidden]`, right-padded
    /// - `lengths`: the true number of tokens of every row, at least 1
    pub(crate) fn read_on(
        &self,
        embeddings: Tensor<3>,
        lengths: &[usize],
        context: Option<&Context>,
        cache: &mut KvCache,
        adapter: Option<&LoraAdapter>,
    ) -> Tensor<3> {
        let [rows, tokens, _] = embeddings.dims();
        let hidden = self.run(embeddings, context, 1, adapter, Recording::Cache(cache));
        cache.advance(lengths);
        let width = hidden.dims()[2];
        let last: Vec<i64> = lengths
            .iter()
            .enumerate()
            .map(|(row, length)| (row * tokens + length - 1) as i64)
            .collect();
        let last = Tensor::<1, Int>::from_data(TensorData::new(last, [rows]), &hidden.device());
        // Only the last token is asked for what comes next.
        self.normalized(
            &self.norm,
            hidden.reshape([rows * tokens, width]).select(0, last).reshape([rows, 1, width]),
        )
    }

    /// Logits of the next token: `[.., hidden]` → `[.., vocab]`.
    #[must_use]
    pub fn logits<const D: usize>(
        &self,
        hidden: Tensor<D>,
        adapter: Option<&LoraAdapter>,
    ) -> Tensor<D> {
        let lora = adapter.and_then(|adapter| adapter.output.as_ref());
        let logits = match (&self.output, &self.table) {
            (Some(output), _) => return output.forward(hidden, lora),
            (None, Some(table)) => block_product(hidden.clone(), table),
            (None, None) => affine(hidden.clone(), self.output_weight(), None),
        };
        match lora {
            Some(pair) => logits + pair.forward(hidden),
            None => logits,
        }
    }

    /// The matrix from states to logits, `[hidden, vocab]`, unless it is in blocks.
    pub(crate) fn output_weight(&self) -> Tensor<2> {
        self.output.as_ref().map_or_else(
            || self.embed_tokens.weight.val().transpose(),
            |output| output.weight.val(),
        )
    }

    /// Whether the matrix from states to logits is in blocks, and its parameter empty.
    pub(crate) fn output_is_in_blocks(&self) -> bool {
        self.output.as_ref().map_or(self.table.is_some(), Projection::is_in_blocks)
    }

    /// Bytes of all matrices, in the format that each has: what a new token reads. The embedding
    /// table counts where it is the output layer.
    #[must_use]
    pub fn matrix_bytes(&self) -> usize {
        let tied_output = match (&self.output, &self.table) {
            (Some(_), _) => 0,
            (None, Some(table)) => table.n_bytes(),
            (None, None) => 4 * self.config.vocab_size * self.config.hidden_size,
        };
        let matrices = self.named_projections().map(|(_, projection)| projection.n_bytes());
        tied_output + matrices.sum::<usize>()
    }

    /// Whether a matrix or the embedding table is in blocks: adapters on such a decoder can learn,
    /// but not the decoder itself, and no adapter can be merged into it.
    #[must_use]
    pub fn is_in_blocks(&self) -> bool {
        let mut projections = self.named_projections();
        self.table.is_some() || projections.any(|(_, projection)| projection.is_in_blocks())
    }

    /// Replaces the embedding table by blocks.
    pub(crate) fn keep_table_in_blocks(&mut self, table: BlockMatrix, device: &Device) {
        self.embed_tokens.weight = Param::from_tensor(Tensor::zeros([0, 0], device));
        self.table = Some(table);
    }

    /// The same decoder with its matrices and its embedding table in blocks of eight or four bits:
    /// about a quarter or an eighth of the memory, for inference and for training adapters. A matrix
    /// whose inputs are no multiple of 32 stays as it is, and one that is in blocks already.
    ///
    /// Low-rank updates still apply. `benches/language.rs` measures what is lost.
    #[must_use]
    pub fn quantized(&self, format: QuantizedFormat) -> Self {
        let mut quantized = self.clone();
        for (_, projection) in quantized.named_projections_mut() {
            *projection = projection.quantized(format);
        }
        let table = match &self.table {
            None => BlockMatrix::nearest(&self.embed_tokens.weight.val().transpose(), format),
            Some(table) => table.quantized(format),
        };
        if let Some(table) = table {
            quantized.keep_table_in_blocks(table, &self.embed_tokens.weight.device());
        }
        quantized
    }

    /// Every matrix with its path, the output layer's first: it is the largest.
    pub(crate) fn named_projections(&self) -> impl Iterator<Item = (String, &Projection)> {
        let layers = self.layers.iter().enumerate().flat_map(|(index, layer)| {
            let Attention { wqkv, wo, .. } = &layer.attention;
            let FeedForward { w1, w2, w3 } = &layer.feed_forward;
            named_in_layer(index, [wqkv, wo, w1, w2, w3])
        });
        self.output.iter().map(|output| ("output".to_owned(), output)).chain(layers)
    }

    /// As [`named_projections`](Self::named_projections), to be changed.
    pub(crate) fn named_projections_mut(
        &mut self,
    ) -> impl Iterator<Item = (String, &mut Projection)> {
        let layers = self.layers.iter_mut().enumerate().flat_map(|(index, layer)| {
            let Attention { wqkv, wo, .. } = &mut layer.attention;
            let FeedForward { w1, w2, w3 } = &mut layer.feed_forward;
            named_in_layer(index, [wqkv, wo, w1, w2, w3])
        });
        self.output.iter_mut().map(|output| ("output".to_owned(), output)).chain(layers)
    }

    /// The same decoder with an adapter added into its matrices: the same answers, one product a
    /// layer.
    ///
    /// # Panics
    ///
    /// If the adapter changes a tied output layer, or the decoder is in blocks.
    #[must_use]
    pub fn merged(&self, adapter: &LoraAdapter) -> Self {
        self.clone().into_merged(adapter)
    }

    /// As [`merged`](Self::merged), matrix by matrix: there are never two of the whole decoder.
    ///
    /// # Panics
    ///
    /// As [`merged`](Self::merged).
    #[must_use]
    pub fn into_merged(self, adapter: &LoraAdapter) -> Self {
        let mut merged = self;
        let merge = |projection: &mut Projection, lora: &Option<LoraPair>| {
            if let Some(pair) = lora {
                *projection = projection.merged(pair);
            }
        };
        for (layer, lora) in merged.layers.iter_mut().zip(&adapter.layers) {
            merge(&mut layer.attention.wqkv, &lora.wqkv);
            merge(&mut layer.attention.wo, &lora.wo);
            merge(&mut layer.feed_forward.w1, &lora.w1);
            merge(&mut layer.feed_forward.w2, &lora.w2);
            merge(&mut layer.feed_forward.w3, &lora.w3);
        }
        match (&mut merged.output, &adapter.output) {
            (Some(output), lora) => merge(output, lora),
            (None, lora) => assert!(
                lora.is_none(),
                "an update of the output layer cannot be merged into the embedding table"
            ),
        }
        merged
    }

    /// The blocks, first to last.
    fn run(
        &self,
        mut x: Tensor<3>,
        context: Option<&Context>,
        groups: usize,
        adapter: Option<&LoraAdapter>,
        mut recording: Recording<'_>,
    ) -> Tensor<3> {
        let [batch, tokens, _] = x.dims();
        assert!(
            groups > 0 && batch.is_multiple_of(groups),
            "{batch} rows cannot be shared among {groups} groups"
        );
        let context = context.filter(|context| context.layers[0].keys.dims()[1] > 0);
        let prefix_of = |group: usize| context.map_or(0, |context| context.lengths()[group]);
        let starts: Vec<usize> = match &recording {
            Recording::Cache(cache) => {
                cache.rows().iter().map(|row| prefix_of(row.group) + row.past).collect()
            }
            Recording::Nothing | Recording::Prefix(_) => {
                (0..context.map_or(1, Context::groups)).map(prefix_of).collect()
            }
        };
        let (device, dtype) = (x.device(), x.dtype());
        let pass = Pass {
            rotary: Rotary::new(&self.config, &starts, tokens, &device, dtype),
            context,
            adapter,
        };
        for (index, layer) in self.layers.iter().enumerate() {
            let lora = pass.lora(index);
            let qkv = layer.attention.qkv(self.normalized(&layer.attention_norm, x.clone()), lora);
            let read = match &mut recording {
                Recording::Nothing => {
                    layer.attention.attend(qkv, &pass.rotary, pass.prefix(index), lora)
                }
                Recording::Prefix(kept) => {
                    kept.push(layer.attention.keys_values(qkv.clone(), &pass.rotary));
                    if index + 1 == self.layers.len() {
                        return x; // nobody reads what the last block would say
                    }
                    layer.attention.attend(qkv, &pass.rotary, None, lora)
                }
                Recording::Cache(cache) => layer.attention.attend_cached(
                    qkv,
                    &pass.rotary,
                    pass.prefix(index),
                    cache.layer(index),
                    lora,
                ),
            };
            x = x + read;
            let normed = self.normalized(&layer.ffn_norm, x.clone());
            x = x + layer.feed_forward.forward(normed, lora);
        }
        x
    }

    fn normalized(&self, norm: &RmsNorm, x: Tensor<3>) -> Tensor<3> {
        tp_kernels::rms_norm(x, norm.gamma.val(), self.config.rms_norm_eps)
    }
}

/// The matrices of a layer with their paths.
fn named_in_layer<P>(index: usize, projections: [P; 5]) -> impl Iterator<Item = (String, P)> {
    ["attention.wqkv", "attention.wo", "feed_forward.w1", "feed_forward.w2", "feed_forward.w3"]
        .into_iter()
        .zip(projections)
        .map(move |(name, projection)| (format!("layers.{index}.{name}"), projection))
}

/// Where the keys and values of a pass go.
enum Recording<'a> {
    Nothing,
    Prefix(&'a mut Vec<KeysValues>),
    Cache(&'a mut KvCache),
}
