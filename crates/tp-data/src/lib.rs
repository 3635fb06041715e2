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
mod corner_map;
mod decode;
mod encode;
mod error;
mod grey;
mod mask;
mod points;
mod polygon;
mod position_words;
mod readers;
mod region;
mod rle;
mod rules_teacher;
mod scene;
mod sift;
mod split;
mod spoken_record;
mod triplet_file;

pub use annotation::{AnnotatedImage, BoxXywh, Keypoint, Licence, ObjectAnnotation, PartAnnotation, Split, Visibility};
pub use appearance::COLOURS;
pub use augment::{cropped, mirrored, photometric, resized};
pub use balance::balanced;
pub use corner_map::CornerMap;
pub use decode::{DecodeOptions, ImageProblem, Orientation, decode_bytes, decode_image, image_size};
pub use encode::write_png;
pub use error::DataError;
pub use grey::{GreyImage, grey_plane};
pub use mask::Mask;
pub use points::{ChosenPoints, NoPoint, PointKind, PointOptions, PointTarget, choose_points, points_of_image};
pub use polygon::mask_of_polygons;
pub use readers::{
    Ade20kFull, Ade20kPart234, Check, CocoFolder, CocoParts, Dataset, DatasetFormat, DatasetSummary, Entry, ImageFiles, Labels, Loaded,
    PascalPart116, PascalPartMat, ReadOptions, Refusal, Skipped, Strictness, manifest,
};
pub use region::Region;
pub use rle::{Overlap, Rle, RleProblem};
pub use rules_teacher::{Rejected, RejectedCounts, RulesTeacher};
pub use scene::{CategoryInfo, Scene, SceneOptions, SceneStatistics, VisibleShare, categories, part_names};
pub use sift::{SiftKeypoint, SiftOptions, Upscale, sift_keypoints};
pub use split::SplitFractions;
pub use spoken_record::{SpokenRecord, read_record};
pub use triplet_file::{MAX_TRIPLET_LINE_BYTES, TripletFile, read_triplets, write_triplets};
