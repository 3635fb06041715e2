//! The Point Localizer: what it learns, and how it finds a point.

use std::sync::Arc;

use burn::{
    config::Config,
    module::Module,
    tensor::{Device, Int, Tensor, TensorData},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tp_core::{LocalizePoint, Located, ModelXy};
use tp_kernels::in_pool;
use tp_language::{
    Context, Decoder, DecoderConfig, LoraAdapter, LoraConfig, Tokenizer, visual_context,
};
use tp_vision::{CellNames, DerivedKey, EncodedImage, Namer, PromptMask, Section, VisionModel};

use crate::{
    AbsenceWeights, Decoding, Evidence, Heatmap, HeatmapHead, HeatmapHeadConfig,
    LocalizeConversation, LocalizerError, RegressionHead, RegressionHeadConfig, TextProjector,
    TextProjectorConfig,
};

/// How many texts are read in one batch: bounds the memory of one call.
const TEXTS_PER_BATCH: usize = 64;

/// Which head answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocalizerHead {
    /// The paper's: two numbers.
    Regress,
    /// Ours: a distribution over cells, with confidence and "nowhere".
    #[default]
    Heatmap,
    /// The published base's: the mask that its query decoder draws for `[SEG]`, asked for in the
    /// base's own words. Needs nothing that Talking Points adds.
    Mask,
}

/// Everything that makes a Localizer out of a vision model and a language model.
#[derive(Config, Debug)]
pub struct LocalizerConfig {
    /// From the language model to the vision model.
    pub projector: TextProjectorConfig,
    /// The paper's head.
    pub regression: RegressionHeadConfig,
    /// Ours.
    pub heatmap: HeatmapHeadConfig,
    /// The adapter on the language model.
    pub lora: LoraConfig,
    /// The head that answers.
    #[config(default = "LocalizerHead::Heatmap")]
    pub head: LocalizerHead,
    /// How a heat-map becomes a point.
    #[config(default = "Decoding::Mass")]
    pub decoding: Decoding,
    /// Each text is looked for once more in a section around its first answer, whose longer side is
    /// this share of the image's; the heat-map is then the mean of both. Costs an encoding for each
    /// text.
    pub closer_look: Option<f64>,
    /// Slope and offset of the logistic function that turns the mass near an answer into its
    /// confidence; fitted on validation images. Absent, the confidence is the mass itself.
    pub confidence: Option<[f32; 2]>,
    /// Weights that turn the heat-map's "nowhere" and the prominence of the mentioned nouns into the
    /// probability that the text is about nothing in the image; fitted on validation images.
    /// Absent, that is the heat-map's own.
    pub absence: Option<AbsenceWeights>,
    /// Divides the logarithms of the heat-map: below 1 it is sharper.
    #[config(default = 1.0)]
    pub temperature: f32,
    /// A text is answered with `None` from this probability of "nowhere" on.
    #[config(default = 0.5)]
    pub nowhere_limit: f32,
    /// The most tokens that a text may have, with the request before it.
    #[config(default = 512)]
    pub max_text_tokens: usize,
}

impl LocalizerConfig {
    /// Weights to be trained on top of a base.
    #[must_use]
    pub fn init(&self, decoder: &DecoderConfig, device: &Device) -> LocalizerNet {
        LocalizerNet {
            adapter: self.lora.init(decoder, device),
            projector: self.projector.init(device),
            regression: self.regression.init(device),
            heatmap: self.heatmap.init(device),
        }
    }
}

/// The Localizer's own weights; vision and language model belong to the base.
#[derive(Module, Debug)]
pub struct LocalizerNet {
    /// The adapter on the language model.
    pub adapter: LoraAdapter,
    /// From the language model to the vision model.
    pub projector: TextProjector,
    /// The paper's head.
    pub regression: RegressionHead,
    /// Ours.
    pub heatmap: HeatmapHead,
}

impl LocalizerNet {
    /// The language model's states of rows, right-padded, `[row, token, hidden]`.
    ///
    /// Rows are what [`LocalizeConversation::row`] gives; they are grouped by image as the context
    /// is. Without a context nothing is seen and the text alone is read.
    #[must_use]
    pub fn read(
        &self,
        decoder: &Decoder,
        adapter: Option<&LoraAdapter>,
        context: Option<&Context>,
        rows: &[Vec<u32>],
    ) -> Tensor<3> {
        decoder.forward(decoder.embed_rows(rows), context, adapter)
    }

    /// The projected state of each row's `[SEG]`, `[row, text2vision_dim]`, from the states of
    /// [`read`](Self::read).
    #[must_use]
    pub fn seg_states(&self, hidden: Tensor<3>, rows: &[Vec<u32>]) -> Tensor<2> {
        let [n_rows, length, width] = hidden.dims();
        // `[SEG]` is the last token of its row; its own state is read, not the one that predicts
        // it.
        let at: Vec<i64> = rows
            .iter()
            .enumerate()
            .map(|(row, ids)| (row * length + ids.len() - 1) as i64)
            .collect();
        let at = Tensor::<1, Int>::from_data(TensorData::new(at, [rows.len()]), &hidden.device());
        self.projector.forward(hidden.reshape([n_rows * length, width]).select(0, at))
    }
}

/// A Localizer ready for use. Clones share their weights.
#[derive(Clone, Debug)]
pub struct PointLocalizer {
    decoder: Decoder,
    net: LocalizerNet,
    config: LocalizerConfig,
    namer: Option<Namer>,
    eyes: Option<VisionModel>,
    conversation: LocalizeConversation,
    contexts: DerivedKey,
    cell_names: DerivedKey,
}

impl PointLocalizer {
    /// Joins the Localizer's own weights with its base; all on one plain (not differentiable)
    /// device.
    #[must_use]
    pub fn new(
        decoder: Decoder,
        net: LocalizerNet,
        config: LocalizerConfig,
        tokenizer: Arc<Tokenizer>,
    ) -> Self {
        let conversation = LocalizeConversation::new(tokenizer);
        Self {
            decoder,
            net,
            config,
            namer: None,
            eyes: None,
            conversation,
            contexts: DerivedKey::unique(),
            cell_names: DerivedKey::unique(),
        }
    }

    /// The same Localizer, whose heat-map is told where a namer sees the nouns of a text.
    #[must_use]
    pub fn with_namer(mut self, namer: Option<Namer>) -> Self {
        self.namer = namer;
        self
    }

    /// The same Localizer with the vision model that encodes its images, so that it can take
    /// [`LocalizerConfig::closer_look`] and draw masks.
    #[must_use]
    pub fn with_vision_model(mut self, eyes: VisionModel) -> Self {
        self.eyes = Some(eyes);
        self
    }

    /// The same Localizer, which looks once: for training and for rewards, where many texts are
    /// asked about one image.
    #[must_use]
    pub fn without_closer_look(mut self) -> Self {
        self.config.closer_look = None;
        self
    }

    /// The same Localizer, which takes the heat-map's own "nowhere" as it is.
    #[must_use]
    pub fn without_absence(mut self) -> Self {
        self.config.absence = None;
        self
    }

    /// The same Localizer with another head.
    #[must_use]
    pub fn with_head(mut self, head: LocalizerHead) -> Self {
        self.config.head = head;
        self
    }

    /// The point of a heat-map as [`LocalizePoint::locate`] gives it.
    #[must_use]
    pub fn read_heatmap(&self, heatmap: &Heatmap, image: &EncodedImage) -> Option<Located> {
        let Located { point, confidence } =
            heatmap.locate(&image.letterbox, self.config.decoding, self.config.nowhere_limit)?;
        let calibrated = |mass| match self.config.confidence {
            Some(logistic) => crate::calibrated(mass, logistic),
            None => mass,
        };
        Some(Located { point, confidence: confidence.map(calibrated) })
    }

    /// Whether the texts can be located, without looking at an image.
    ///
    /// # Errors
    ///
    /// [`LocalizerError`] as [`LocalizePoint::locate`] gives it for a text that is empty or too
    /// long.
    pub fn check(&self, texts: &[&str]) -> Result<(), LocalizerError> {
        self.rows(texts).map(drop)
    }

    /// The head that answers.
    #[must_use]
    pub fn head(&self) -> LocalizerHead {
        self.config.head
    }

    /// The heat-map of each text, of the mask where that head answers and of the heat-map's head
    /// else: that of a closer look, too, where the configuration has one.
    ///
    /// # Errors
    ///
    /// As [`LocalizePoint::locate`].
    pub fn heatmaps(
        &self,
        image: &EncodedImage,
        texts: &[&str],
    ) -> Result<Vec<Heatmap>, LocalizerError> {
        let heatmaps = in_pool(|| self.all_looks(image, texts))?;
        let heatmaps =
            heatmaps.into_iter().map(|heatmap| heatmap.tempered(self.config.temperature));
        let (Some(weights), Some(names)) = (self.config.absence, self.cell_names(image)) else {
            return Ok(heatmaps.collect());
        };
        let (nouns, log_peaks) = (names.0.nouns(), names.1.log_peaks(0));
        Ok(heatmaps
            .zip(texts)
            .map(|(heatmap, text)| {
                let prominence = nouns.prominence(&log_peaks, text);
                let evidence = Evidence { nowhere: heatmap.nowhere(), prominence };
                heatmap.with_nowhere(evidence.absence(weights))
            })
            .collect())
    }

    /// The heat-maps of all looks at an image, at a temperature of 1.
    fn all_looks(
        &self,
        image: &EncodedImage,
        texts: &[&str],
    ) -> Result<Vec<Heatmap>, LocalizerError> {
        let mut heatmaps = self.first_heatmaps(image, texts)?;
        if let (Some(eyes), Some(share)) = (&self.eyes, self.config.closer_look) {
            // More encodings at a time than threads would be no faster, and each has its memory.
            let at_once = rayon::current_num_threads();
            for (heatmaps, texts) in heatmaps.chunks_mut(at_once).zip(texts.chunks(at_once)) {
                heatmaps.par_iter_mut().zip(texts).try_for_each(|(heatmap, text)| {
                    self.look_closer(eyes, image, share, heatmap, text)
                })?;
            }
        }
        Ok(heatmaps)
    }

    /// Joins a heat-map with that of a section around its point.
    fn look_closer(
        &self,
        eyes: &VisionModel,
        image: &EncodedImage,
        share: f64,
        heatmap: &mut Heatmap,
        text: &str,
    ) -> Result<(), LocalizerError> {
        let first = heatmap.locate(&image.letterbox, self.config.decoding, f32::INFINITY);
        let Some(first) = first else {
            return Ok(());
        };
        let section = Section::around(first.point, image.pixels.size(), share);
        let near = eyes.encode_section(image, &section)?;
        let closer = &self.first_heatmaps(&near, &[text])?[0];
        let finer = (1.0 / share).ceil() as usize;
        *heatmap = heatmap.joined(&image.letterbox, closer, &section, &near.letterbox, finer);
        Ok(())
    }

    /// The namer, and what it makes of every cell of an image, computed once for an image.
    fn cell_names(&self, image: &EncodedImage) -> Option<(&Namer, Arc<CellNames>)> {
        let namer = self.namer.as_ref()?;
        let compute = || namer.cell_names(&image.features.maps);
        Some((namer, image.derived(self.cell_names, compute, CellNames::n_bytes)))
    }

    /// The heat-maps of one look at an image, at a temperature of 1.
    fn first_heatmaps(
        &self,
        image: &EncodedImage,
        texts: &[&str],
    ) -> Result<Vec<Heatmap>, LocalizerError> {
        let rows = self.rows(texts)?;
        if let (LocalizerHead::Mask, Some(eyes)) = (self.config.head, &self.eyes) {
            return Ok(self
                .states(image, &rows)
                .flat_map(|states| mask_heatmaps(eyes, image, states))
                .collect());
        }
        let mask_features = &image.features.mask_features;
        let [_, height, width, _] = mask_features.dims();
        let names = self.cell_names(image);
        let mut heatmaps = Vec::with_capacity(texts.len());
        for (states, texts) in self.states(image, &rows).zip(texts.chunks(TEXTS_PER_BATCH)) {
            let mentions = names
                .as_ref()
                .map(|(namer, names)| namer.mention_maps(names, [height, width], texts));
            let logits =
                self.net.heatmap.forward(states.unsqueeze(), mask_features.clone(), mentions);
            let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
            heatmaps.extend(
                logits
                    .chunks_exact(height * width + 1)
                    .map(|logits| Heatmap::from_logits(logits, [height, width])),
            );
        }
        Ok(heatmaps)
    }

    fn regressed(
        &self,
        image: &EncodedImage,
        texts: &[&str],
    ) -> Result<Vec<Option<Located>>, LocalizerError> {
        let rows = self.rows(texts)?;
        let mut located = Vec::with_capacity(texts.len());
        for states in self.states(image, &rows) {
            let points: Vec<f32> =
                self.net.regression.forward(states).into_data().iter::<f32>().collect();
            located.extend(points.chunks_exact(2).map(|xy| {
                let point = image
                    .letterbox
                    .unit_from_model(ModelXy { x: f64::from(xy[0]), y: f64::from(xy[1]) });
                Some(Located { point, confidence: None })
            }));
        }
        Ok(located)
    }

    /// The rows of all texts, checked.
    fn rows(&self, texts: &[&str]) -> Result<Vec<Vec<u32>>, LocalizerError> {
        texts
            .iter()
            .enumerate()
            .map(|(index, text)| {
                if text.trim().is_empty() {
                    return Err(LocalizerError::EmptyText { index });
                }
                let row = match self.config.head {
                    LocalizerHead::Mask => self.conversation.base_row(text),
                    LocalizerHead::Regress | LocalizerHead::Heatmap => self.conversation.row(text),
                };
                let (tokens, limit) = (
                    row.len().saturating_sub(self.conversation.n_after_text()),
                    self.config.max_text_tokens,
                );
                if tokens > limit {
                    return Err(LocalizerError::TextTooLong { index, tokens, limit });
                }
                Ok(row)
            })
            .collect()
    }

    /// The projected `[SEG]` states, batch by batch.
    fn states<'a>(
        &'a self,
        image: &'a EncodedImage,
        rows: &'a [Vec<u32>],
    ) -> impl Iterator<Item = Tensor<2>> + 'a {
        let adapter = Some(&self.net.adapter);
        let tokens = &image.features.tokens;
        let read = || {
            visual_context(
                &self.decoder,
                self.conversation.head(),
                tokens.embeddings.clone(),
                &tokens.lengths,
                adapter,
            )
        };
        let context = image.derived(self.contexts, read, Context::n_bytes);
        rows.chunks(TEXTS_PER_BATCH).map(move |rows| {
            let hidden = self.net.read(&self.decoder, adapter, Some(&*context), rows);
            self.net.seg_states(hidden, rows)
        })
    }
}

/// The queries of the base's query decoder for projected states of `[SEG]`, `[text, 2 ·
/// feat_channels]`, whose halves are the content and the position of a query: `[1, text,
/// feat_channels]`.
///
/// Source: OMG-LLaVA's `forward_llm_seg`.
#[must_use]
pub fn seg_queries(eyes: &VisionModel, image: &EncodedImage, states: Tensor<2>) -> Tensor<3> {
    let features = &image.features;
    let mut halves = states.unsqueeze::<3>().chunk(2, 2);
    let (position, content) = (halves.remove(1), halves.remove(0));
    eyes.encoder.query_decoder().forward_prompts(
        &features.attended,
        &features.mask_features,
        content,
        position,
        &PromptMask::Predicted,
    )
}

/// The masks of [`seg_queries`] as heat-maps, one for each text.
fn mask_heatmaps(eyes: &VisionModel, image: &EncodedImage, states: Tensor<2>) -> Vec<Heatmap> {
    let queries = seg_queries(eyes, image, states);
    let logits = eyes.encoder.query_decoder().mask_logits(queries, &image.features.mask_features);
    let [_, _, height, width] = logits.dims();
    let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
    logits
        .chunks_exact(height * width)
        .map(|logits| Heatmap::from_mask(logits, [height, width]))
        .collect()
}

impl LocalizePoint for PointLocalizer {
    type Image = EncodedImage;
    type Error = LocalizerError;

    fn locate(
        &self,
        image: &EncodedImage,
        texts: &[&str],
    ) -> Result<Vec<Option<Located>>, LocalizerError> {
        match self.config.head {
            LocalizerHead::Regress => in_pool(|| self.regressed(image, texts)),
            LocalizerHead::Heatmap | LocalizerHead::Mask => Ok(self
                .heatmaps(image, texts)?
                .iter()
                .map(|heatmap| self.read_heatmap(heatmap, image))
                .collect()),
        }
    }
}
