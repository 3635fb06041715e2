//! The training data: folders of photographs and cut-outs, and procedural scenes.

use std::path::{Path, PathBuf};

use tp_core::ImageHw;
use tp_data::{
    CocoParts, ComposeOptions, CutOuts, DataError, Dataset, DescribedPoints, ReadOptions,
    RulesTeacher, Split, Strictness, photographs_in,
};
use tp_scenes::SceneOptions;

use super::{
    Compositions, ExperimentError, Mixture, Photographs, SampleSource, Scenes, plan::MixtureShares,
};

/// The share of human-described points among photographs of everyday objects; human descriptions
/// teach more than boxes.
const DESCRIBED_SHARE: f64 = 0.7;

/// The sources of training data.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// Folders with `annotations.json` and photographs, whose category and part names are dense
    /// targets.
    pub photographs: Vec<PathBuf>,
    /// Folders with human-described points, or with photographs and boxes, that use everyday nouns.
    pub everyday: Vec<PathBuf>,
    /// The labels of cut-outs, and the folder of their pictures. They are composed onto the
    /// photographs of `everyday`.
    pub cutouts: Option<(PathBuf, PathBuf)>,
    /// Families excluded from scenes and photographs. Their words stay in the vocabulary.
    pub without_families: Vec<String>,
}

impl Material {
    /// The data sets of [`photographs`](Self::photographs).
    ///
    /// # Errors
    ///
    /// [`DataError`] if a folder is not a data set.
    pub fn photograph_sets(&self) -> Result<Vec<Box<dyn Dataset>>, DataError> {
        self.photographs.iter().map(|folder| open(folder)).collect()
    }

    /// Scenes of 256 pixels, without the excluded families.
    ///
    /// # Errors
    ///
    /// [`ExperimentError::Scenes`] if there is no such family.
    pub fn scenes(&self) -> Result<Scenes, ExperimentError> {
        let options =
            SceneOptions { exclude_families: self.without_families.clone(), ..Default::default() };
        options.validate()?;
        Ok(Scenes { options, ..Default::default() })
    }

    /// A mixture with these shares of the sources that are available, with images whose longer side
    /// has `size` pixels.
    ///
    /// # Errors
    ///
    /// [`ExperimentError`] if a folder cannot be read.
    pub fn mixture(&self, shares: &MixtureShares, size: u32) -> Result<Mixture, ExperimentError> {
        let side = ImageHw::new(size, size)?;
        let photographs = |folders: &[PathBuf]| -> Result<Photographs, DataError> {
            let sets = folders.iter().map(|folder| open(folder)).collect::<Result<_, _>>()?;
            Ok(Photographs::new(sets, Split::Train, size).without_families(&self.without_families))
        };
        let scenes = self.scenes()?;
        let scenes =
            Scenes { options: SceneOptions { size: side, ..scenes.options }, ..Default::default() };
        let mut sources: Vec<(f64, Box<dyn SampleSource>)> =
            vec![(shares.scenes, Box::new(scenes))];
        if shares.photographs > 0.0 {
            sources.push((shares.photographs, Box::new(photographs(&self.photographs)?)));
        }
        if shares.everyday > 0.0 {
            let (described, boxed): (Vec<_>, Vec<_>) =
                self.everyday.iter().cloned().partition(|folder| is_described(folder));
            sources.push((shares.everyday * DESCRIBED_SHARE, Box::new(photographs(&described)?)));
            sources
                .push((shares.everyday * (1.0 - DESCRIBED_SHARE), Box::new(photographs(&boxed)?)));
        }
        if let (true, Some((labels, stamps))) = (shares.compositions > 0.0, &self.cutouts) {
            let compositions = Compositions {
                cutouts: CutOuts::open(labels, stamps, Strictness::Lenient)?,
                backgrounds: self
                    .everyday
                    .iter()
                    .map(|folder| photographs_in(folder))
                    .collect::<Result<Vec<_>, _>>()?
                    .concat(),
                options: ComposeOptions { size: side, ..Default::default() },
                teacher: RulesTeacher,
            };
            sources.push((shares.compositions, Box::new(compositions)));
        }
        Ok(Mixture::new(
            sources
                .into_iter()
                .filter(|(share, source)| *share > 0.0 && !source.is_empty())
                .collect(),
        ))
    }
}

fn is_described(folder: &Path) -> bool {
    folder.join("labels.jsonl").is_file()
}

/// Opens a data set in the format of its files.
fn open(folder: &Path) -> Result<Box<dyn Dataset>, DataError> {
    let options = ReadOptions { strictness: Strictness::Lenient, ..Default::default() };
    Ok(if is_described(folder) {
        Box::new(DescribedPoints::open(folder, options)?)
    } else {
        Box::new(CocoParts::open(&folder.join("annotations.json"), folder, options.strictness)?)
    })
}
