//! Why a point could not be described.

use tp_core::PointError;

/// Why a point could not be described.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum DescriptorError {
    /// The mask settings describe no region.
    #[error(
        "the gaussian mask needs sigma > 0 and a threshold or floor in (0, 1), got sigma {sigma} and {cut}"
    )]
    InvalidMask { sigma: f64, cut: f64 },
    /// The point is unusable.
    #[error(transparent)]
    Point(#[from] PointError),
    /// The surroundings of the point could not be looked at.
    #[error(transparent)]
    Vision(#[from] tp_vision::VisionError),
    /// The language model refused.
    #[error(transparent)]
    Language(#[from] tp_language::LanguageError),
}
