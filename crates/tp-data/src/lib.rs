//! Images and annotations in, points and their descriptions out: guarded decoding, readers, SIFT keypoints, procedural
//! scenes, position words and the rule describer.
//!
//! Every source, real or procedural, gives the same record: [`AnnotatedImage`].
#![forbid(unsafe_code)]

mod annotation;
mod appearance;
mod augment;
mod balance;
mod box_intersection;
#[cfg(feature = "builder")]
mod builder;
mod capped_file;
mod corner_map;
mod cutouts;
mod decode;
mod described_point;
mod encode;
mod error;
mod grey;
mod inner_path;
mod jpeg_structure;
mod lexicon;
mod mask;
#[cfg(feature = "builder")]
mod openai_teacher;
mod orientation_tag;
mod pixel_grid;
mod points;
mod polygon;
mod position_words;
mod readers;
mod region;
mod rle;
#[cfg(feature = "builder")]
mod rules_in_roles;
mod rules_teacher;
mod scene;
mod sift;
mod split;
mod spoken_record;
#[cfg(feature = "builder")]
mod teacher;
mod toml_file;
mod triplet_file;

pub use annotation::{AnnotatedImage, BoxXywh, Keypoint, Licence, ObjectAnnotation, PartAnnotation, Split, Visibility};
pub use augment::{cropped, mirrored, mirrored_text, photometric, resized};
pub use balance::balanced;
#[cfg(feature = "bucket")]
pub use builder::Bucket;
#[cfg(feature = "builder")]
#[doc(hidden)]
pub use builder::read_journal;
#[cfg(feature = "builder")]
pub use builder::{
    Budget, Build, BuildOptions, BuildOutcome, ContentKey, Contradiction, Images, Judge, Lengths, Likeness, Listener, Localizability,
    Localized, LookHash, ParquetRows, Plan, Recipe, Report, Reservation, Row, RunLimits, Shard, ShardDone, Sides, Sizes, Stage, StagePlan,
    Statistics, StopReason, Summary, SurveyedImage, SurveyedPoint, Usage,
};
pub use corner_map::CornerMap;
pub use cutouts::{ComposeOptions, CutOuts, photographs_in};
pub use decode::{DecodeOptions, ImageProblem, Orientation, decode_bytes, decode_image, image_size};
pub use described_point::{DescribedPoint, PointText, TextKind};
pub use encode::write_png;
pub use error::DataError;
pub use grey::{GreyImage, grey_plane};
pub use lexicon::{FoundNoun, Lexicon, LexiconProblem, N_CLASSES, ObjectNoun, PartNoun, says};
pub use mask::Mask;
#[cfg(feature = "builder")]
pub use openai_teacher::{
    EndpointConfig, ImageConfig, OpenAiTeacher, PAPER_TEACHERS, Price, RetryConfig, RoleConfig, Structured, TeachersConfig,
};
#[cfg(feature = "builder")]
#[doc(hidden)]
pub use openai_teacher::{read_error_reply, read_reply};
pub use pixel_grid::{PixelGrid, decode_annotated, decode_annotated_bytes, file_as_annotated};
pub use points::{ChosenPoints, NoPoint, PointKind, PointOptions, PointTarget, choose_points, points_of_image};
pub use polygon::mask_of_polygons;
pub use readers::{
    Ade20kFull, Ade20kPart234, Check, CocoFolder, CocoParts, Dataset, DatasetFormat, DatasetSummary, DescribedPoints, Entry, ImageFiles,
    Interpreted, Labels, Loaded, PascalPart116, PascalPartMat, ReadOptions, Refusal, Skipped, Strictness, manifest,
};
pub use region::Region;
pub use rle::{Overlap, Rle, RleProblem};
pub use rules_teacher::{Rejected, RejectedCounts, RulesTeacher};
pub use scene::{CategoryInfo, Scene, SceneOptions, SceneStatistics, VisibleShare, categories, part_names};
pub use sift::{SiftKeypoint, SiftOptions, Upscale, sift_keypoints};
pub use split::SplitFractions;
pub use spoken_record::{SpokenRecord, read_record};
#[cfg(feature = "builder")]
pub use teacher::{
    Answer, Answered, ContextAnswer, Estimate, FailureKind, Layers, LocalAnswer, OrganiserAnswer, Question, Role, Teacher, TeacherError,
    Teachers,
};
pub use triplet_file::{MAX_TRIPLET_LINE_BYTES, TripletFile, read_triplets, write_triplets};
