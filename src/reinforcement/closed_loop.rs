//! One model writes, another reads: is a better score a better description, or a private code?

use tp_core::{DescribeOptions, DescribePoint, Located, UnitXy};
use tp_metrics::PointRow;

use crate::{
    Models,
    evaluation::{EvalSet, EvaluationError, located_words, point_rows},
};

/// What `writer` says of every point of a set, in the set's order.
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

/// The points of a set as `reader` finds them by `texts`, one for each point, in the set's order.
/// What is not found, and what was not said, is a miss.
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

/// The points of a set as `reader` finds them by the words of `writer`; each model looks at the
/// images with its own eyes.
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
