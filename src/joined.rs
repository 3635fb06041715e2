//! Joins the vision model of one model with the language model of another: a base to be trained.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use tp_language::{
    Decoder, DecoderConfig, GgufModel, LanguageError, LoraConfig, TextTokenizer, Tokenizer,
    is_gguf, load_gguf, load_hugging_face,
};
use tp_vision::{NounTable, VisionConfig};
use tp_weights::TensorFloat;

use crate::{ModelDir, ModelError, Network, NetworkConfig, save_model_dir};

/// Rank and alpha of the adapters on the language model, as the paper's.
const LORA: (usize, f64) = (16, 32.0);

/// A vision model and a language model, with everything between them untrained.
#[derive(Debug)]
#[non_exhaustive]
pub struct JoinedBase {
    /// All weights. Those of the vision model, its namer, and the heads of Descriptor and Localizer
    /// whose shape is independent of the language model are the vision folder's; the projections
    /// between vision and language and both adapters are fresh.
    pub network: Network,
    /// Its shape.
    pub config: NetworkConfig,
    /// The language model's tokenizer with the tokens of Talking Points.
    pub tokenizer: Tokenizer,
    /// The namer's nouns.
    pub nouns: Option<NounTable>,
}

/// Why two models cannot be joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The folder of the vision model cannot be used.
    #[error(transparent)]
    Vision(#[from] ModelError),
    /// The language model cannot be used.
    #[error("cannot use the language model {}", path.display())]
    Language {
        /// Its folder or file.
        path: PathBuf,
        /// Why.
        source: LanguageError,
    },
    /// The output folder has files of its own.
    #[error("{} exists and is not empty: use another folder", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
}

impl JoinedBase {
    /// Joins the vision model of a model folder with a language model in a Hugging Face folder or a
    /// GGUF file, on a plain device. Matrices of a GGUF file stay in their blocks, so that a large one
    /// fits into memory; what is [saved](Self::save) is the numbers for which they stand.
    ///
    /// The language model's tokenizer receives the special tokens that it lacks; their embeddings
    /// are the mean of all others. The configuration keeps no calibration: it has to be fitted to
    /// the trained model.
    ///
    /// # Errors
    ///
    /// [`JoinError`] if one of them cannot be loaded.
    pub fn new(vision: &Path, language: &Path, device: &Device) -> Result<Self, JoinError> {
        let of_language = |source| JoinError::Language { path: language.to_owned(), source };
        let from = ModelDir::open(vision)?;
        let known = from.load(device)?;
        let (decoder, tokenizer) = language_model(language, device).map_err(of_language)?;
        let vocab_size = tokenizer.vocab_size().max(decoder.config().vocab_size);
        let decoder = decoder.with_vocab_size(vocab_size);
        let config = joined_config(from.config(), decoder.config().clone());
        let mut network = from.fill(config.init(device))?;
        network.decoder = decoder;
        let nouns = known.nouns.as_deref().map(|nouns| nouns.table().clone());
        let nouns = nouns.map(|table| NounTable { usual_log_peaks: None, ..table });
        Ok(Self { network, config, tokenizer, nouns })
    }

    /// Writes a model folder, which `talking-points train --base` takes.
    ///
    /// # Errors
    ///
    /// [`JoinError`] if the folder has files of its own, or a file cannot be written.
    pub fn save(&self, out: &Path) -> Result<(), JoinError> {
        if std::fs::read_dir(out).is_ok_and(|mut files| files.next().is_some()) {
            return Err(JoinError::Exists { path: out.to_owned() });
        }
        let Self { network, config, tokenizer, nouns } = self;
        Ok(save_model_dir(out, network, config, tokenizer, nouns.as_ref())?)
    }
}

/// A language model's decoder, and its tokenizer with the tokens of Talking Points.
fn language_model(path: &Path, device: &Device) -> Result<(Decoder, Tokenizer), LanguageError> {
    if is_gguf(path) {
        let GgufModel { decoder, tokenizer, .. } = load_gguf(path, device)?;
        return Ok((decoder, Tokenizer::with_added_tokens(tokenizer)?));
    }
    let tokenizer = TextTokenizer::from_file(&path.join("tokenizer.json"))?;
    let decoder = load_hugging_face(path, TensorFloat::F32, device)?;
    Ok((decoder, Tokenizer::with_added_tokens(tokenizer)?))
}

/// The configuration of a vision model's folder with another language model.
fn joined_config(vision: &NetworkConfig, language: DecoderConfig) -> NetworkConfig {
    let projected = VisionConfig { hidden_size: language.hidden_size, ..vision.vision.clone() };
    let (rank, alpha) = LORA;
    let d_match = vision.localizer.heatmap.d_match;
    let mut config = NetworkConfig::of(projected, language, LoraConfig::new(rank, alpha), d_match);
    config.class_names.clone_from(&vision.class_names);
    config.namer.clone_from(&vision.namer);
    config.descriptor.mask = vision.descriptor.mask;
    config.descriptor.prompt = vision.descriptor.prompt.clone();
    config.localizer.heatmap = vision.localizer.heatmap.clone();
    config.localizer.closer_look = vision.localizer.closer_look;
    config
}

#[cfg(test)]
mod tests {
    use tp_language::SpecialToken;

    use super::*;

    #[test]
    fn gguf_file_is_joined_and_saved_as_the_numbers_of_its_blocks() {
        let (root, device) = (Path::new(env!("CARGO_MANIFEST_DIR")), Device::flex());
        let file = root.join("crates/tp-language/tests/fixtures/gguf/llama.gguf");
        let alone = load_gguf(&file, &device).unwrap();
        let joined = JoinedBase::new(&root.join("models/tiny"), &file, &device).unwrap();
        assert!(joined.network.decoder.is_in_blocks());
        let folder = tempfile::tempdir().unwrap();
        joined.save(folder.path()).unwrap();
        let saved = ModelDir::open(folder.path()).unwrap().load(&device).unwrap();
        assert!(saved.tokenizer.vocab_size() > alone.tokenizer.vocab_size());
        assert!(
            saved.tokenizer.special(SpecialToken::Seg) as usize >= alone.tokenizer.vocab_size()
        );
        let ids = [vec![3, 1, 4, 1, 5]];
        let logits = |decoder: &Decoder| -> Vec<f32> {
            let states = decoder.forward(decoder.embed_rows(&ids), None, None);
            let last = decoder.logits(states, None).into_data();
            last.iter().collect()
        };
        let (ours, expected) = (logits(&saved.network.decoder), logits(&alone.decoder));
        let rows = ours.chunks(saved.config.language.vocab_size);
        for (ours, expected) in rows.zip(expected.chunks(alone.decoder.config().vocab_size)) {
            for (ours, expected) in ours.iter().zip(expected) {
                // Half precision rounds each number by up to 5e-4 of it.
                assert!((ours - expected).abs() < 1e-2, "{ours} instead of {expected}");
            }
        }
    }
}
