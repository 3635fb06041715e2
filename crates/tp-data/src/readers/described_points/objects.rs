//! Lines that refer to one object or one part.

use super::line::Line;
use crate::{AnnotatedImage, BoxXywh, ObjectAnnotation, PartAnnotation};

/// The minimum intersection over union of two boxes that may belong to one object.
const SAME_BOX: f64 = 0.8;

impl Line {
    /// Adds the point to its photograph, with its object and part if they are new.
    pub(super) fn join(self, image: &mut AnnotatedImage) {
        let Self { mut object, part, mut point } = self;
        let same_object = |known: &ObjectAnnotation| {
            is_same(known.bbox, object.bbox)
                && may_be_same((&known.category, &known.also), (&object.category, &object.also))
        };
        point.object = match image.objects.iter().position(same_object) {
            Some(known) => {
                let there = &mut image.objects[known];
                learn_names((&there.category, &mut there.also), object.category, object.also);
                known
            }
            None => {
                object.id = image.objects.len() as u64 + 1;
                image.objects.push(object);
                image.objects.len() - 1
            }
        };
        point.part = part.map(|mut part| {
            let parts = &mut image.objects[point.object].parts;
            let same_part = |known: &PartAnnotation| {
                is_same(known.bbox, part.bbox)
                    && may_be_same((&known.name, &known.also), (&part.name, &part.also))
            };
            if let Some(known) = parts.iter().position(same_part) {
                let there = &mut parts[known];
                learn_names((&there.name, &mut there.also), part.name, part.also);
                return known;
            }
            part.id = parts.len() as u64 + 1;
            parts.push(part);
            parts.len() - 1
        });
        image.described.push(point);
    }
}

/// Whether two boxes are nearly equal.
fn is_same(a: BoxXywh, b: BoxXywh) -> bool {
    let shared = a.intersection(&b).map_or(0.0, |shared| shared.area());
    shared > SAME_BOX * (a.area() + b.area() - shared)
}

/// Whether two names, each with further correct names, can refer to one object: they are equal, or
/// one is a further name of the other.
fn may_be_same((name, also): (&str, &[String]), (other, other_also): (&str, &[String])) -> bool {
    let is = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    is(name, other)
        || also.iter().any(|name| is(name, other))
        || other_also.iter().any(|other| is(name, other))
}

/// Adds further names of an object.
fn learn_names((name, also): (&str, &mut Vec<String>), other: String, other_also: Vec<String>) {
    for new in std::iter::once(other).chain(other_also) {
        if !name.eq_ignore_ascii_case(&new)
            && !also.iter().any(|known| known.eq_ignore_ascii_case(&new))
        {
            also.push(new);
        }
    }
}
