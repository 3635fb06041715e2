//! One model writes, another reads: is a better score a better description, or a private code?

use tp_core::{DescribeOptions, DescribePoint, LocalizePoint, Located, UnitXy};
use tp_metrics::PointRow;

use crate::{
    Models,
    evaluation::{EvalSet, EvaluationError, point_rows},
};

/// The points of a set as `reader` finds them by the words of `writer`; each model looks at the images with its own eyes.
///
/// What is not found, and what was not said, is a miss.
///
/// # Errors
///
/// [`EvaluationError`] if an image, a point or a text is refused.
pub fn closed_loop(writer: &Models, reader: &Models, set: &EvalSet, how: &DescribeOptions) -> Result<Vec<PointRow>, EvaluationError> {
    let mut answers: Vec<Option<Located>> = Vec::with_capacity(set.n_points());
    for image in &set.images {
        let points: Vec<UnitXy> = image.points.iter().map(|point| point.point).collect();
        let described = writer.descriptor.describe(&writer.encode(&image.image)?, &points, how)?;
        let spoken: Vec<&str> =
            described.iter().map(|description| description.text.as_str()).filter(|text| !text.trim().is_empty()).collect();
        let mut found = reader.localizer.locate(&reader.encode(&image.image)?, &spoken)?.into_iter();
        answers.extend(described.iter().map(|description| if description.text.trim().is_empty() { None } else { found.next().flatten() }));
    }
    Ok(point_rows(set, &answers))
}
