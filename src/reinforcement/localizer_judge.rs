//! The frozen Localizer as the source of rewards.

use tp_core::{LocalizePoint, Located};
use tp_localizer::{LocalizerError, PointLocalizer};
use tp_rl::{Judge, fingerprint, n_trainable};

use super::SeenImage;
use crate::{Models, Network};

/// A Localizer on a plain device, without gradients.
#[derive(Clone, Debug)]
pub struct LocalizerJudge {
    localizer: PointLocalizer,
    weights: Network,
}

impl LocalizerJudge {
    /// The Localizer of these models without closer looks, because a reward needs many texts per
    /// image.
    #[must_use]
    pub fn new(models: &Models) -> Self {
        Self {
            localizer: models.localizer.clone().without_closer_look(),
            weights: models.network.clone(),
        }
    }
}

impl LocalizePoint for LocalizerJudge {
    type Image = SeenImage;
    type Error = LocalizerError;

    /// Locates all texts in one call. A text that the Localizer rejects (for example because it is
    /// too long) is "nowhere" and does not fail the others.
    fn locate(
        &self,
        image: &SeenImage,
        texts: &[&str],
    ) -> Result<Vec<Option<Located>>, LocalizerError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        if let Ok(located) = self.localizer.locate(&image.encoded, texts) {
            return Ok(located);
        }
        let one = |text: &&str| {
            self.localizer.locate(&image.encoded, &[text]).ok().and_then(|located| located[0])
        };
        Ok(texts.iter().map(one).collect())
    }
}

impl Judge for LocalizerJudge {
    fn n_trainable(&self) -> usize {
        n_trainable(&self.weights.localizer)
            + n_trainable(&self.weights.decoder)
            + n_trainable(&self.weights.eyes)
    }

    fn fingerprint(&self) -> u64 {
        fingerprint(&self.weights.localizer) ^ fingerprint(&self.weights.decoder).rotate_left(1)
    }
}
