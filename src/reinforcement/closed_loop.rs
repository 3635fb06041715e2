//! Evaluation with one model describing and another localizing, to detect descriptions that only
//! the model itself understands.

use tp_core::{DescribeOptions, DescribePoint, Located, UnitXy};
use tp_metrics::PointRow;

use crate::{
    Models,
    evaluation::{EvalSet, EvaluationError, located_words, point_rows},
};

/// The descriptions that `writer` produces for every point of a set, in the order of the set.
///
/// # Errors
///
/// [`EvaluationError`] if an image or a point is refused.
pub fn descriptions(
    writer: &Models,
    set: &EvalSet,
    how: &DescribeOptions,
) -> Result<Vec<String>, EvaluationError> {
    let mut texts = Vec::with_capacity(set.n_points());
    for image in &set.images {
        let points: Vec<UnitXy> = image.points.iter().map(|point| point.point).collect();
        let described = writer.descriptor.describe(&writer.encode(&image.image)?, &points, how)?;
        texts.extend(described.into_iter().map(|description| description.text));
    }
    Ok(texts)
}

/// The points that `reader` locates from `texts`, one per point, in the order of the set. "Nowhere"
/// and empty texts are misses.
///
/// # Errors
///
/// [`EvaluationError`] if an image or a text is refused.
///
/// # Panics
///
/// If there are not as many texts as points.
pub fn points_by_words(
    reader: &Models,
    set: &EvalSet,
    texts: &[String],
) -> Result<Vec<PointRow>, EvaluationError> {
    assert_eq!(texts.len(), set.n_points(), "every point of the set has one text");
    let mut answers: Vec<Option<Located>> = Vec::with_capacity(texts.len());
    let mut rest = texts;
    for image in &set.images {
        let (of_image, others) = rest.split_at(image.points.len());
        rest = others;
        answers.extend(located_words(reader, &reader.encode(&image.image)?, of_image)?);
    }
    Ok(point_rows(set, &answers))
}

/// The points that `reader` locates from the descriptions of `writer`. Each model encodes the
/// images itself.
///
/// # Errors
///
/// As [`descriptions`] and [`points_by_words`].
pub fn closed_loop(
    writer: &Models,
    reader: &Models,
    set: &EvalSet,
    how: &DescribeOptions,
) -> Result<Vec<PointRow>, EvaluationError> {
    points_by_words(reader, set, &descriptions(writer, set, how)?)
}
