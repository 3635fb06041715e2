//! Initializes a network from a trained one that has another backbone or another tokenizer.

use burn::tensor::{Tensor, TensorData};
use tp_core::Seed;
use tp_language::Tokenizer;
use tp_vision::normalise_batch;

use crate::{
    ModelDir, ModelError, Models, Network,
    recipe::{Batcher, FactTables, Facts, SampleSource},
};

/// The network with every weight of a model folder that has a counterpart of the same shape. The
/// embedding of a token is the mean of the old embeddings of its text.
///
/// # Errors
///
/// [`ModelError`] if the folder cannot be loaded.
pub fn warm_started(
    network: Network,
    tokenizer: &Tokenizer,
    from: &ModelDir,
) -> Result<Network, ModelError> {
    let mut network = from.fill(network)?;
    let device = network.decoder.embed_tokens.weight.device();
    let old = from.load(&device.clone().inner())?;
    let table = old.network.decoder.embed_tokens.weight.val(); // [old token, hidden]
    let hidden = table.dims()[1];
    let fresh = network.decoder.embed_tokens.weight.val().inner();
    let n_tokens = fresh.dims()[0] as u32;
    let is_same = old.tokenizer.vocab_size() == tokenizer.vocab_size()
        && (0..n_tokens).all(|token| old.tokenizer.decode(&[token]) == tokenizer.decode(&[token]));
    if is_same || fresh.dims()[1] != hidden {
        return Ok(network);
    }
    let rows: Vec<f32> = table.into_data().iter::<f32>().collect();
    let mut embeddings: Vec<f32> = fresh.into_data().iter::<f32>().collect();
    for (token, embedding) in embeddings.chunks_exact_mut(hidden).enumerate() {
        let Some(ids) = old_ids(token as u32, tokenizer, &old.tokenizer) else { continue };
        embedding.fill(0.0);
        for &id in &ids {
            let row = &rows[id as usize * hidden..][..hidden];
            embedding
                .iter_mut()
                .zip(row)
                .for_each(|(mean, value)| *mean += value / ids.len() as f32);
        }
    }
    let n_tokens = embeddings.len() / hidden;
    let embeddings = TensorData::new(embeddings, [n_tokens, hidden]);
    network.decoder.embed_tokens.weight =
        network.decoder.embed_tokens.weight.clone().map(|fresh| {
            let embedding = Tensor::from_data(embeddings.clone(), &device);
            if fresh.is_autodiff() { embedding.require_grad() } else { embedding }
        });
    Ok(network)
}

/// Recovers the embeddings by which another model's language model represents the facts of points.
///
/// They exist only during training. They are recovered as the tables whose sums are closest to that
/// model's tokens of points with known facts. A language model that starts from its weights then
/// understands its point tokens from the first step.
///
/// - `tables`: tables of the same width, whose values are replaced
/// - `batcher`: samples of the image size that the other model was trained on, in the vocabulary of
///   the tables
///
/// # Panics
///
/// If the widths differ.
#[must_use]
pub fn recovered_tables(
    tables: FactTables,
    from: &Models,
    batcher: &Batcher<impl SampleSource>,
    n_batches: u64,
    seed: Seed,
) -> FactTables {
    let Network { eyes, decoder, descriptor, .. } = &from.network;
    let device = decoder.embed_tokens.weight.device();
    let mut facts = Facts::new(batcher.vocabulary.fact_classes().len());
    let tokens: Vec<Tensor<2>> = (0..n_batches)
        .map(|index| {
            let batch = batcher.batch(index, seed);
            facts.append(&batch.facts);
            let features =
                eyes.forward(normalise_batch(&batch.images, &from.config.vision, &device));
            let (queries, mask) = (eyes.encoder.query_decoder(), &from.config.descriptor.mask);
            let points = descriptor.prompt.forward(
                queries,
                &features.attended,
                &features.mask_features,
                &batch.points,
                mask,
            );
            eyes.projector.object_tokens(points).flatten(0, 1) // [image · point, hidden]
        })
        .collect();
    tables.fitted(&facts, &Tensor::cat(tokens, 0))
}

/// The old tokens of a token: the special token of the same name, or the tokens of its text.
fn old_ids(token: u32, tokenizer: &Tokenizer, old: &Tokenizer) -> Option<Vec<u32>> {
    if let Some(special) = tp_language::SpecialToken::ALL
        .into_iter()
        .find(|&special| tokenizer.special(special) == token)
    {
        return Some(vec![old.special(special)]);
    }
    let ids = old.encode_text(&tokenizer.decode(&[token]));
    (!ids.is_empty()).then_some(ids)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tp_language::train_bpe;

    use super::*;
    use crate::{DeviceName, NetworkConfig};

    #[test]
    fn what_fits_is_kept_and_tokens_start_from_their_letters() {
        let from =
            ModelDir::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny")).unwrap();
        let device = DeviceName::Flex.open().unwrap();
        let old = from.load(&device).unwrap();
        let tokenizer = train_bpe(["a zyxophone, the zyxophone"; 20], 300).unwrap();
        let config = NetworkConfig {
            language: tp_language::DecoderConfig {
                vocab_size: tokenizer.vocab_size(),
                ..old.config.language.clone()
            },
            ..old.config.clone()
        };
        let network = warm_started(config.init(&device), &tokenizer, &from).unwrap();
        let read = |tensor: Tensor<2>| tensor.into_data().iter::<f32>().collect::<Vec<_>>();
        let row = |network: &Network, token: u32| {
            read(network.decoder.embed_tokens.weight.val().narrow(0, token as usize, 1))
        };
        let seg = tp_language::SpecialToken::Seg;
        assert_eq!(
            row(&network, tokenizer.special(seg)),
            row(&old.network, old.tokenizer.special(seg))
        );
        let [word] = tokenizer.encode_text(" zyxophone")[..] else {
            panic!("a word of the training text is one token")
        };
        let letters = old.tokenizer.encode_text(" zyxophone");
        assert!(letters.len() > 1);
        let mut mean = vec![0.0; row(&network, word).len()];
        for &letter in &letters {
            mean.iter_mut()
                .zip(row(&old.network, letter))
                .for_each(|(mean, value)| *mean += value / letters.len() as f32);
        }
        assert!(row(&network, word).iter().zip(&mean).all(|(a, b)| (a - b).abs() < 1e-6));
        // Everything else is copied.
        let content = |network: &Network| read(network.descriptor.prompt.content());
        assert_eq!(content(&network), content(&old.network));
    }
}
