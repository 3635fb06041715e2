//! Opening a model folder: its configuration, its tokenizer and its nouns, each checked.

use std::path::PathBuf;

use tp_core::is_lfs_pointer;
use tp_language::{SpecialToken, Tokenizer};
use tp_vision::{BackboneConfig, NounTable, Nouns, PointNamerConfig};

use super::{
    ModelError,
    checks::{check_localizer, check_namer},
    files::{CONFIG, NOUNS, TOKENIZER},
};
use crate::NetworkConfig;

/// A configuration is a page of text; more is not one.
pub(super) const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// A model folder whose files are there.
#[derive(Clone, Debug)]
pub struct ModelDir {
    pub(super) path: PathBuf,
    pub(super) config: NetworkConfig,
}

impl ModelDir {
    /// Opens a folder and reads its configuration.
    ///
    /// # Errors
    ///
    /// [`ModelError`] if the configuration is missing, too large, or describes no network.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ModelError> {
        let path = path.into();
        let file = path.join(CONFIG);
        let read = |source| ModelError::Read { path: file.clone(), source };
        let bytes = std::fs::metadata(&file).map_err(read)?.len();
        if bytes > MAX_CONFIG_BYTES {
            return Err(ModelError::ConfigTooLarge { path: file, bytes });
        }
        let text = std::fs::read(&file).map_err(read)?;
        if is_lfs_pointer(&text) {
            return Err(ModelError::LfsPointer { path: file });
        }
        let config: NetworkConfig = serde_json::from_slice(&text)
            .map_err(|source| ModelError::Config { path: file.clone(), source })?;
        let shape = |source: Box<dyn std::error::Error + Send + Sync>| ModelError::Shape {
            path: file.clone(),
            source,
        };
        config.vision.validate().map_err(|error| shape(error.into()))?;
        config.language.validate().map_err(|error| shape(error.into()))?;
        config.descriptor.mask.validate().map_err(|error| shape(error.into()))?;
        check_localizer(&config.localizer).map_err(|problem| shape(problem.into()))?;
        if config.localizer.absence.is_some() && config.namer.is_none() {
            return Err(shape("the localizer's absence needs a namer, and there is none".into()));
        }
        if let Some(namer) = &config.namer {
            check_namer(namer, &config.vision).map_err(|problem| shape(problem.into()))?;
        }
        Ok(Self { path, config })
    }

    /// The shape of the model.
    #[must_use]
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// The tokenizer, every id of which has an embedding; `<mark>` alone needs none, because a
    /// point's token stands in its place.
    pub(super) fn tokenizer(&self) -> Result<Tokenizer, ModelError> {
        let path = self.path.join(TOKENIZER);
        let tokenizer = Tokenizer::from_file(&path)?;
        let (ids, rows) = (tokenizer.vocab_size(), self.config.language.vocab_size);
        let mark = tokenizer.special(SpecialToken::Mark) as usize;
        if ids > rows && !(ids == rows + 1 && mark == rows) {
            let reason = format!(
                "it has ids up to {}, the language model of {CONFIG} has embeddings for {rows}: it belongs to another model",
                ids - 1
            );
            return Err(ModelError::Shape { path, source: reason.into() });
        }
        Ok(tokenizer)
    }

    /// The table of nouns: as many as the namer tells apart, and one for every class of the
    /// backbone.
    pub(super) fn nouns(&self, namer: &PointNamerConfig) -> Result<Nouns, ModelError> {
        let path = self.path.join(NOUNS);
        let text = std::fs::read(&path)
            .map_err(|source| ModelError::Read { path: path.clone(), source })?;
        if is_lfs_pointer(&text) {
            return Err(ModelError::LfsPointer { path });
        }
        let table: NounTable = serde_json::from_slice(&text)
            .map_err(|source| ModelError::Config { path: path.clone(), source })?;
        let unfit = |source: Box<dyn std::error::Error + Send + Sync>| ModelError::Shape {
            path: path.clone(),
            source,
        };
        let n_names = [table.objects.len(), table.parts.len(), table.colours.len()];
        if n_names != [namer.n_objects, namer.n_parts, namer.n_colours] {
            let [objects, parts, colours] = n_names;
            let PointNamerConfig { n_objects, n_parts, n_colours, .. } = namer;
            return Err(unfit(
                format!("it has {objects} objects, {parts} parts and {colours} colours, {CONFIG} {n_objects}, {n_parts} and {n_colours}")
                    .into(),
            ));
        }
        if self.config.localizer.absence.is_some() && table.usual_log_peaks.is_none() {
            return Err(unfit(
                format!(
                    "it has no usual_log_peaks, which the localizer's absence in {CONFIG} needs: \
                     run `talking-points calibrate`"
                )
                .into(),
            ));
        }
        if table.objects.is_empty() || table.parts.is_empty() {
            return Err(unfit("it needs an object and a part at least".into()));
        }
        let n_classes = match &self.config.vision.backbone {
            BackboneConfig::ConvNext => 0,
            BackboneConfig::EfficientNetLite(lite) => {
                lite.classifier.as_ref().map_or(0, |classifier| classifier.classes)
            }
        };
        let n_named = table.noun_of_class.len();
        if n_named != n_classes {
            return Err(unfit(
                format!("it has nouns for {n_named} classes, the backbone has {n_classes}").into(),
            ));
        }
        Nouns::new(table).map_err(|error| unfit(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::save_settings, *};

    #[test]
    fn namers_and_nouns_that_do_not_fit_are_refused() {
        let noun = |name: &str| tp_vision::NamedNoun {
            name: name.to_owned(),
            words: Vec::new(),
            kind: None,
        };
        let fitting = NounTable {
            objects: vec![noun("mug")],
            parts: vec![noun("handle")],
            noun_of_class: vec![0; 1000],
            colours: vec!["red".to_owned()],
            usual_log_peaks: None,
        };
        let config = NetworkConfig::everyday(300, &fitting);
        let folder = tempfile::tempdir().unwrap();
        let refusal = |config: &NetworkConfig, nouns: &str| {
            save_settings(folder.path(), config, None).unwrap();
            std::fs::write(folder.path().join(NOUNS), nouns).unwrap();
            let nouns = ModelDir::open(folder.path())
                .and_then(|dir| dir.nouns(dir.config.namer.as_ref().unwrap()));
            nouns.err().map(|error| {
                format!(
                    "{error}: {}",
                    std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default()
                )
            })
        };
        let text = |table: &NounTable| serde_json::to_string(table).unwrap();
        assert_eq!(refusal(&config, &text(&fitting)), None);
        let changed = |change: &dyn Fn(&mut NounTable)| {
            let mut table = fitting.clone();
            change(&mut table);
            refusal(&config, &text(&table)).unwrap()
        };
        assert!(changed(&|table| table.objects.push(noun("cup"))).contains("2 objects"));
        assert!(
            changed(&|table| table.noun_of_class.truncate(7))
                .contains("nouns for 7 classes, the backbone has 1000")
        );
        assert!(changed(&|table| table.noun_of_class[3] = 9).contains("noun 9 of 1"));
        assert!(refusal(&config, "{").unwrap().contains(NOUNS));
        assert!(
            refusal(&config, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
                .unwrap()
                .contains(NOUNS)
        );
        let with = |change: &dyn Fn(&mut PointNamerConfig)| {
            let mut config = config.clone();
            change(config.namer.as_mut().unwrap());
            refusal(&config, &text(&fitting)).unwrap()
        };
        assert!(with(&|namer| namer.channels[1] = 3).contains("channels"));
        let mut maps = config.clone();
        maps.localizer.heatmap.mention_channels = Some(4);
        assert!(refusal(&maps, &text(&fitting)).unwrap().contains("mention_channels"));
        let mut hot = config.clone();
        hot.localizer.temperature = -1.0;
        assert!(refusal(&hot, &text(&fitting)).unwrap().contains("temperature"));
        let mut close = config.clone();
        close.localizer.closer_look = Some(0.0);
        assert!(refusal(&close, &text(&fitting)).unwrap().contains("closer_look"));
        // Whether a text is about nothing here is told by nouns, and by what is usual for them.
        let mut told = config.clone();
        told.localizer.absence = Some([1.0, -0.5, -0.5, -0.5, 0.0]);
        assert!(refusal(&told, &text(&fitting)).unwrap().contains("usual_log_peaks"));
        let usual = Some([vec![-2.0], vec![-3.0], vec![-1.0]]);
        let known = NounTable { usual_log_peaks: usual, ..fitting.clone() };
        assert_eq!(refusal(&told, &text(&known)), None);
        told.namer = None;
        assert!(refusal(&told, &text(&known)).unwrap().contains("needs a namer"));
        assert!(with(&|namer| namer.part_temperature = 0.0).contains("temperature"));
        assert!(with(&|namer| namer.published_share = 1.5).contains("published_share"));
        assert!(with(&|namer| namer.close_ups = vec![0.5, 0.0]).contains("close_ups"));
        assert!(with(&|namer| namer.n_objects = usize::MAX).contains("above"));
    }
}
