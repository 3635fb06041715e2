//! The language model: embeddings in, hidden states and logits out.

use burn::{
    module::Module,
    nn::{Embedding, EmbeddingConfig, Initializer, Linear, RmsNorm, RmsNormConfig},
    tensor::{Device, Int, Tensor, TensorData},
};
use tp_kernels::{AttentionPrefix, affine};

use crate::{
    Attention, Context, DecoderConfig, FeedForward, LoraAdapter, LoraLayer,
    attention::linear,
    attention_bias::{Places, attention_bias},
    context::KeysValues,
    kv_cache::KvCache,
    lora::{project, updated},
    rotary::Rotary,
};

/// A decoder-only language model: blocks of RMS norm, grouped-query attention with rotary positions, and a gated
/// feed-forward network.
#[derive(Module, Debug)]
pub struct Decoder {
    /// One row for every token.
    pub embed_tokens: Embedding,
    /// The blocks, first to last.
    pub layers: Vec<DecoderLayer>,
    /// The norm after the last block.
    pub norm: RmsNorm,
    /// The output layer, `[hidden, vocab]`; absent if the embedding table does its work.
    pub output: Option<Linear>,
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
        let norm = || RmsNormConfig::new(self.hidden_size).with_epsilon(self.rms_norm_eps).init(device);
        let layer = |_| DecoderLayer {
            attention_norm: norm(),
            attention: Attention::new(self, device),
            ffn_norm: norm(),
            feed_forward: FeedForward::new(self, device),
        };
        Decoder {
            embed_tokens: EmbeddingConfig::new(self.vocab_size, self.hidden_size)
                .with_initializer(Initializer::Normal { mean: 0.0, std: 1.0 / (self.hidden_size as f64).sqrt() })
                .init(device),
            layers: (0..self.num_hidden_layers).map(layer).collect(),
            norm: norm(),
            output: (!self.tie_word_embeddings).then(|| linear(self.hidden_size, self.vocab_size, device)),
            config: self.clone(),
        }
    }
}

/// What all layers of one pass share.
struct Pass<'a> {
    groups: usize,
    rotary: Rotary,
    bias: Option<Tensor<4>>,
    context: Option<&'a Context>,
    adapter: Option<&'a LoraAdapter>,
}

impl Pass<'_> {
    fn lora(&self, layer: usize) -> Option<&LoraLayer> {
        self.adapter.and_then(|adapter| adapter.layers.get(layer))
    }

    fn prefix(&self, layer: usize) -> Option<&KeysValues> {
        self.context.map(|context| &context.layers[layer])
    }

    fn attention_prefix(&self, layer: usize) -> Option<AttentionPrefix<'_>> {
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

    /// The embeddings of tokens: `[batch, tokens]` → `[batch, tokens, hidden]`.
    ///
    /// # Panics
    ///
    /// If an id has no row in the table.
    #[must_use]
    pub fn embed(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        self.embed_tokens.forward(ids)
    }

    /// The embeddings of rows of different lengths, `[row, tokens of the longest, hidden]`, right-padded.
    ///
    /// # Panics
    ///
    /// If an id has no row in the table.
    #[must_use]
    pub fn embed_rows(&self, rows: &[impl AsRef<[u32]>]) -> Tensor<3> {
        let length = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
        let padded = |row: &[u32]| row.iter().map(|&id| i64::from(id)).chain(std::iter::repeat(0)).take(length).collect::<Vec<_>>();
        let ids: Vec<i64> = rows.iter().flat_map(|row| padded(row.as_ref())).collect();
        self.embed(Tensor::from_data(TensorData::new(ids, [rows.len(), length]), &self.embed_tokens.weight.device()))
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
    pub fn prefill(&self, embeddings: Tensor<3>, lengths: &[usize], adapter: Option<&LoraAdapter>) -> Context {
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
    /// Row `i` of the batch belongs to group `i / (batch / groups)` and continues that group's prefix: its first token
    /// takes the place after it. Padding at the end of a row needs no mask; its outputs mean nothing.
    ///
    /// # Shapes
    ///
    /// - `embeddings`, output: `[batch, tokens, hidden]`
    ///
    /// # Panics
    ///
    /// If the batch is not a multiple of the context's groups.
    #[must_use]
    pub fn forward(&self, embeddings: Tensor<3>, context: Option<&Context>, adapter: Option<&LoraAdapter>) -> Tensor<3> {
        let groups = context.map_or(1, Context::groups);
        let hidden = self.run(embeddings, context, groups, adapter, Recording::Nothing);
        self.normalized(&self.norm, hidden)
    }

    /// As [`Decoder::forward`], for tokens that follow those in the cache.
    pub(crate) fn step(
        &self,
        embeddings: Tensor<3>,
        context: Option<&Context>,
        cache: &mut KvCache,
        adapter: Option<&LoraAdapter>,
    ) -> Tensor<3> {
        let groups = context.map_or(1, Context::groups);
        let tokens = embeddings.dims()[1];
        let hidden = self.run(embeddings, context, groups, adapter, Recording::Cache(cache));
        // Only the last token is asked for what comes next.
        self.normalized(&self.norm, hidden.narrow(1, tokens - 1, 1))
    }

    /// Logits of the next token: `[.., hidden]` → `[.., vocab]`.
    #[must_use]
    pub fn logits<const D: usize>(&self, hidden: Tensor<D>, adapter: Option<&LoraAdapter>) -> Tensor<D> {
        let lora = adapter.and_then(|adapter| adapter.output.as_ref());
        match &self.output {
            Some(output) => project(output, hidden, lora),
            None => updated(affine(hidden.clone(), self.embed_tokens.weight.val().transpose(), None), hidden, lora),
        }
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
        assert!(groups > 0 && batch.is_multiple_of(groups), "{batch} rows cannot be shared among {groups} groups");
        let context = context.filter(|context| context.layers[0].keys.dims()[1] > 0);
        let past = if let Recording::Cache(cache) = &recording { cache.len() } else { 0 };
        let no_prefix = [0];
        let (prefix, lengths) = context.map_or((0, &no_prefix[..]), |context| (context.layers[0].keys.dims()[1], context.lengths()));
        let starts: Vec<usize> = lengths.iter().map(|length| length + past).collect();
        let (device, dtype) = (x.device(), x.dtype());
        let pass = Pass {
            groups,
            rotary: Rotary::new(&self.config, &starts, tokens, &device, dtype),
            // Only a pass with a cache composes its attention of single operators, and needs the bias.
            bias: matches!(recording, Recording::Cache(_))
                .then(|| attention_bias(&self.config, Places { prefix, lengths, past, tokens }, &device, dtype))
                .flatten(),
            context,
            adapter,
        };
        for (index, layer) in self.layers.iter().enumerate() {
            let lora = pass.lora(index);
            let qkv = layer.attention.qkv(self.normalized(&layer.attention_norm, x.clone()), lora);
            let read = match &mut recording {
                Recording::Nothing => layer.attention.attend(qkv, &pass.rotary, pass.attention_prefix(index), lora),
                Recording::Prefix(kept) => {
                    kept.push(layer.attention.keys_values(qkv.clone(), &pass.rotary));
                    if index + 1 == self.layers.len() {
                        return x; // nobody reads what the last block would say
                    }
                    layer.attention.attend(qkv, &pass.rotary, None, lora)
                }
                Recording::Cache(cache) => {
                    let projected = cache.append(index, layer.attention.project(qkv, groups, &pass.rotary));
                    layer.attention.mix(projected, pass.groups, pass.prefix(index), pass.bias.as_ref(), lora)
                }
            };
            x = x + read;
            let normed = self.normalized(&layer.ffn_norm, x.clone());
            x = x + layer.feed_forward.forward(normed, lora);
        }
        if let Recording::Cache(cache) = recording {
            cache.advance(tokens);
        }
        x
    }

    fn normalized(&self, norm: &RmsNorm, x: Tensor<3>) -> Tensor<3> {
        tp_kernels::rms_norm(x, norm.gamma.val(), self.config.rms_norm_eps)
    }
}

/// Where the keys and values of a pass go.
enum Recording<'a> {
    Nothing,
    Prefix(&'a mut Vec<KeysValues>),
    Cache(&'a mut KvCache),
}
