#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod annotation;
mod appearance;
mod augment;
mod balance;
mod box_intersection;
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
mod orientation_tag;
mod pixel_grid;
mod point_list;
mod points;
mod polygon;
mod position_words;
mod readers;
mod region;
mod rle;
mod rules_teacher;
mod sift;
mod split;
mod spoken_record;
mod toml_file;
mod triplet_file;

pub use annotation::{
    AnnotatedImage, BoxXywh, Keypoint, KeypointVisibility, Licence, ObjectAnnotation,
    PartAnnotation, Split,
};
pub use augment::{cropped, mirrored, mirrored_text, photometric, resized};
pub use balance::balanced;
pub use capped_file::{read_capped, refuse_pointer};
#[doc(hidden)]
pub use corner_map::CornerMap;
pub use cutouts::{ComposeOptions, CutOuts, photographs_in};
pub use decode::{
    DecodeOptions, ImageProblem, Orientation, decode_bytes, decode_image, image_size,
};
pub use described_point::{DescribedPoint, PointText, TextKind};
pub use encode::{write_jpeg, write_png};
pub use error::DataError;
pub use grey::GreyImage;
#[doc(hidden)]
pub use grey::grey_plane;
pub use lexicon::{
    FoundNoun, Lexicon, LexiconProblem, N_CLASSES, ObjectNoun, PartNoun, plural, says,
};
pub use mask::Mask;
pub use pixel_grid::{PixelGrid, decode_annotated, decode_annotated_bytes, file_as_annotated};
pub use point_list::read_points;
pub use points::{
    ChosenPoints, NoPoint, PointKind, PointOptions, PointTarget, choose_points, points_of_image,
};
pub use polygon::mask_of_polygons;
pub use position_words::{in_image, size_word, within};
pub use readers::{
    Ade20kFull, Ade20kPart234, Check, CocoFolder, CocoParts, Dataset, DatasetFormat,
    DatasetSummary, DescribedPoints, Entry, ImageFiles, Interpreted, Labels, Loaded, PascalPart116,
    PascalPartMat, ReadOptions, Refusal, Skipped, Strictness, manifest,
};
#[doc(hidden)]
pub use region::Region;
pub use rle::{Overlap, Rle, RleProblem};
pub use rules_teacher::{Rejected, RejectedCounts, RulesTeacher};
pub use sift::{SiftKeypoint, SiftOptions, Upscale, sift_keypoints};
pub use split::SplitFractions;
pub use spoken_record::{SpokenRecord, read_record};
pub use toml_file::parse_toml;
pub use triplet_file::{TripletFile, read_triplets, write_triplets};
