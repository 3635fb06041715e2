//! An adapter of PEFT for a base that is at hand: also those that change the base, and those that act
//! on a part of the tokens.

use std::path::Path;

use burn::tensor::Device;

use crate::{
    Context, Decoder, LanguageError, LoraAdapter, adapter_folder::read_adapter,
    peft_config::PeftConfig,
};

/// An adapter and where it acts.
#[derive(Clone, Debug)]
pub struct PeftAdapter {
    lora: LoraAdapter,
    invocation: Option<Vec<u32>>,
}

/// How a prompt is read under an adapter.
#[derive(Clone, Debug)]
pub struct AdaptedPrompt<'a> {
    /// What was read without the adapter.
    pub context: Option<Context>,
    /// The tokens that follow it.
    pub ids: Vec<u32>,
    /// What acts on these, and on all that is written; nothing if the adapter was not called.
    pub adapter: Option<&'a LoraAdapter>,
}

impl PeftAdapter {
    /// Reads an adapter for this decoder.
    ///
    /// Under an initialization that moved a part of the base into the adapter (PiSSA, OLoRA) the
    /// part is taken out of the base again, as PEFT does when it reads the folder: the update holds
    /// it with the opposite sign.
    ///
    /// # Errors
    ///
    /// [`LanguageError`] if a file is missing or unsound, asks for something that is not computed
    /// (the message names it), or a tensor does not fit the decoder.
    pub fn load(folder: &Path, decoder: &Decoder, device: &Device) -> Result<Self, LanguageError> {
        let config = PeftConfig::read(folder)?;
        let invocation = config.invocation.clone();
        Ok(Self { lora: read_adapter(folder, config, decoder, device)?, invocation })
    }

    /// The updates.
    #[must_use]
    pub fn lora(&self) -> &LoraAdapter {
        &self.lora
    }

    /// The first token of a prompt that the adapter acts on; `None` if it acts on none.
    ///
    /// An activated adapter (aLoRA, arXiv 2504.12397) acts from where its invocation stands last in
    /// the prompt, any other from the first token on.
    #[must_use]
    pub fn acts_from(&self, prompt: &[u32]) -> Option<usize> {
        match &self.invocation {
            None => Some(0),
            Some(tokens) => prompt.windows(tokens.len()).rposition(|window| window == tokens),
        }
    }

    /// Reads what stands before the adapter's first token, without it.
    ///
    /// # Panics
    ///
    /// If an id has no row in the decoder's table.
    #[must_use]
    pub fn adapted(&self, decoder: &Decoder, prompt: &[u32]) -> AdaptedPrompt<'_> {
        let Some(start) = self.acts_from(prompt) else {
            return AdaptedPrompt { context: None, ids: prompt.to_vec(), adapter: None };
        };
        let context = (start > 0).then(|| {
            let before = decoder.embed_rows(&[&prompt[..start]]);
            decoder.prefill(before, &[start], None)
        });
        AdaptedPrompt { context, ids: prompt[start..].to_vec(), adapter: Some(&self.lora) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DecoderConfig, LoraConfig};

    #[test]
    fn adapter_acts_from_its_last_invocation_on() {
        let config = DecoderConfig::new(8, 8, 8, 1, 2, 2);
        let lora = LoraConfig::new(1, 1.0).init(&config, &Device::flex());
        let decoder = config.init(&Device::flex());
        let of = |invocation: Option<Vec<u32>>| PeftAdapter { lora: lora.clone(), invocation };
        let called = of(Some(vec![5, 6]));
        assert_eq!(called.acts_from(&[5, 6, 1, 5, 6, 2]), Some(3));
        assert_eq!(called.acts_from(&[6, 5]), None);
        assert_eq!(called.acts_from(&[5]), None);
        assert_eq!(of(None).acts_from(&[1]), Some(0));

        let prompt = called.adapted(&decoder, &[1, 2, 5, 6, 3]);
        assert_eq!(prompt.context.unwrap().lengths(), [2]);
        assert_eq!(prompt.ids, [5, 6, 3]);
        assert!(prompt.adapter.is_some());
        let prompt = called.adapted(&decoder, &[1, 2]);
        assert!(prompt.context.is_none() && prompt.adapter.is_none());
        assert_eq!(prompt.ids, [1, 2]);
    }
}
