//! The flags of `data build`.

use std::path::PathBuf;

use clap::ValueEnum;
use talking_points::data::DatasetFormat;
use tp_builder::Shard;

use crate::args::{CommonArgs, DeviceArgs};

/// Makes a data set of triplets: points on photographs, and texts that lead to them.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// One of pascal-part-116, ade20k-part-234, part-imagenet, ap10k, coco-keypoints, coco-parts,
    /// pascal-part-mat, ade20k-full, described-points.
    #[arg(long, required_unless_present = "paper_teachers")]
    pub(super) format: Option<DatasetFormat>,
    /// The data set's folder, or one above it.
    #[arg(long, required_unless_present = "paper_teachers")]
    pub(super) root: Option<PathBuf>,
    /// The folder that is made.
    #[arg(long, required_unless_present = "paper_teachers")]
    pub(super) out: Option<PathBuf>,
    /// Leave out and count images and entries that are wrong, instead of stopping at the first.
    #[arg(long)]
    pub(super) lenient: bool,
    /// Which points, how many, on which side: default, paper, or a TOML file. --seed, if it is not
    /// 0, replaces the recipe's.
    #[arg(long, default_value = "default")]
    pub(super) recipe: String,
    /// Leave the images where they are: rows hold their names alone, and no gallery is made.
    #[arg(long)]
    pub(super) without_images: bool,
    /// Who describes.
    #[arg(long, value_enum, default_value_t = TeacherKind::Rules)]
    pub(super) teacher: TeacherKind,
    /// The servers, models and prompts of --teacher openai; the paper's if it is not given.
    #[arg(long)]
    pub(super) config: Option<PathBuf>,
    /// Print the paper's teachers as a configuration to start from, and nothing else.
    #[arg(long, conflicts_with = "json")]
    pub(super) paper_teachers: bool,
    /// A model folder whose Localizer reads every text; the distance to the point is kept in the
    /// row.
    #[arg(long)]
    pub(super) localizer: Option<PathBuf>,
    /// Say what would be asked and what it could cost, and ask nothing.
    #[arg(long)]
    pub(super) plan: bool,
    /// Stop before more requests than this are sent.
    #[arg(long, allow_negative_numbers = true)]
    pub(super) max_calls: Option<u64>,
    /// Stop before more than this could be spent, in the currency of the price table.
    #[arg(long, allow_negative_numbers = true)]
    pub(super) max_cost: Option<f64>,
    /// Stop before more tokens than this could be needed, both ways.
    #[arg(long, allow_negative_numbers = true)]
    pub(super) max_tokens: Option<u64>,
    /// Go on in a folder in which a build was begun.
    #[arg(long)]
    pub(super) resume: bool,
    /// Do one of several parts of the job, written i/n, in a folder or a bucket that all parts
    /// share.
    #[arg(long, conflicts_with = "merge")]
    pub(super) shard: Option<Shard>,
    /// Put together what the parts did, and ask nothing.
    #[arg(long)]
    pub(super) merge: bool,
    /// Meet the other parts in s3://NAME/PREFIX, or in file:///FOLDER, and leave the data set
    /// there; --out is this part's own folder then. Credentials come from the environment:
    /// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT, AWS_REGION.
    #[arg(long)]
    pub(super) bucket: Option<String>,
    /// Threads that read and measure images; all cores if it is not given.
    #[arg(long, allow_negative_numbers = true)]
    pub(super) threads: Option<usize>,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TeacherKind {
    /// Sentences from annotation and pixels; nothing to install.
    Rules,
    /// Models behind servers that speak OpenAI's chat completions.
    Openai,
}
