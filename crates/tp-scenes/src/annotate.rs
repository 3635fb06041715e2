//! Annotations of scenes: masks, boxes and names from the layers of a picture.

use ndarray::Array2;
use tp_core::ImageHw;

use super::{geometry::v, layout::Thing, render::Rendered};
use tp_data::{AnnotatedImage, BoxXywh, Mask, ObjectAnnotation, PartAnnotation};

/// The minimum number of visible pixels of an annotated part at 128×128; it scales with the
/// picture.
const MIN_PART_PIXELS: f64 = 12.0;
/// The minimum number of visible pixels of an annotated object at 128×128.
const MIN_OBJECT_PIXELS: f64 = 80.0;
/// The minimum visible share of an annotated object.
const MIN_VISIBLE_SHARE: f64 = 0.15;

/// How much of an object is visible.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct VisibleShare {
    /// The share inside the picture, estimated on a coarse grid.
    pub within_border: f64,
    /// The share of that which is not occluded.
    pub unobstructed: f64,
}

impl VisibleShare {
    /// The visible share, in [0, 1].
    #[must_use]
    pub fn visible(&self) -> f64 {
        self.within_border * self.unobstructed
    }
}

/// The visible pixels of one part or object.
#[derive(Clone)]
struct Visible {
    area: usize,
    /// First and last row and column.
    rows: [usize; 2],
    columns: [usize; 2],
}

impl Visible {
    const NOTHING: Self = Self { area: 0, rows: [usize::MAX, 0], columns: [usize::MAX, 0] };

    /// Adds the pixels `start..end` of a row.
    fn add(&mut self, row: usize, start: usize, end: usize) {
        self.area += end - start;
        self.rows = [self.rows[0].min(row), self.rows[1].max(row)];
        self.columns = [self.columns[0].min(start), self.columns[1].max(end - 1)];
    }

    fn bbox(&self) -> BoxXywh {
        let [[top, bottom], [left, right]] = [self.rows, self.columns];
        BoxXywh {
            x: left as f64,
            y: top as f64,
            width: (right + 1 - left) as f64,
            height: (bottom + 1 - top) as f64,
        }
    }
}

/// The annotation of a scene with its objects front to back, and the visible share of each.
pub(super) fn annotate(
    name: String,
    size: ImageHw,
    things: &[Thing],
    rendered: &Rendered,
) -> (AnnotatedImage, Vec<VisibleShare>) {
    let width = size.width() as usize;
    let mut objects: Vec<Visible> = vec![Visible::NOTHING; things.len()];
    let mut parts: Vec<Vec<Visible>> =
        things.iter().map(|thing| vec![Visible::NOTHING; thing.figure.parts.len()]).collect();
    let part_of_surface: Vec<_> = rendered.surfaces.iter().map(|surface| surface.part).collect();
    for (row, ids) in rendered.surface_of_pixel.chunks_exact(width).enumerate() {
        let mut start = 0;
        for run in ids.chunk_by(|a, b| a == b) {
            let end = start + run.len();
            if let Some((thing, part)) = part_of_surface[run[0] as usize] {
                objects[thing].add(row, start, end);
                parts[thing][part].add(row, start, end);
            }
            start = end;
        }
    }

    let growth = size.n_pixels() as f64 / (128.0 * 128.0);
    let min_part = (MIN_PART_PIXELS * growth).clamp(6.0, 96.0) as usize;
    let min_object = (MIN_OBJECT_PIXELS * growth).clamp(30.0, 640.0) as usize;
    let (mut annotations, mut shares) = (Vec::new(), Vec::new());
    for (index, thing) in things.iter().enumerate().rev() {
        let Some(category) = thing.category else { continue };
        let share = VisibleShare {
            within_border: share_in_frame(thing, size),
            unobstructed: objects[index].area as f64 / rendered.covered[index].max(1) as f64,
        };
        let masked = |visible: &Visible, holds: &dyn Fn(usize) -> bool| {
            mask(size, visible, rendered, &part_of_surface, index, holds)
        };
        let kept: Vec<_> = (0..thing.figure.parts.len())
            .filter(|&part| parts[index][part].area >= min_part)
            .collect();
        if objects[index].area < min_object
            || share.visible() < MIN_VISIBLE_SHARE
            || kept.is_empty()
        {
            continue;
        }
        let part = |(id, &part): (usize, &usize)| PartAnnotation {
            id: id as u64 + 1,
            name: thing.figure.parts[part].to_owned(),
            also: Vec::new(),
            bbox: parts[index][part].bbox(),
            mask: Some(masked(&parts[index][part], &|other| other == part)),
            derived: None,
        };
        annotations.push(ObjectAnnotation {
            id: annotations.len() as u64 + 1,
            category: category.info.name.to_owned(),
            also: Vec::new(),
            family: Some(category.info.family.to_owned()),
            bbox: objects[index].bbox(),
            mask: Some(masked(&objects[index], &|_| true)),
            parts: kept.iter().enumerate().map(part).collect(),
            keypoints: Vec::new(),
            derived: None,
        });
        shares.push(share);
    }
    let annotation = AnnotatedImage {
        group: name.clone(),
        name,
        size,
        objects: annotations,
        split: None,
        source: "scenes".to_owned(),
        licence: None,
        described: Vec::new(),
    };
    (annotation, shares)
}

fn mask(
    size: ImageHw,
    visible: &Visible,
    rendered: &Rendered,
    part_of_surface: &[Option<(usize, usize)>],
    thing: usize,
    holds: &dyn Fn(usize) -> bool,
) -> Mask {
    let (height, width) = (size.height() as usize, size.width() as usize);
    let inside_of_surface: Vec<bool> = part_of_surface
        .iter()
        .map(|owner| owner.is_some_and(|(other, part)| other == thing && holds(part)))
        .collect();
    let mut inside = vec![false; height * width];
    let [left, right] = visible.columns;
    for row in visible.rows[0]..=visible.rows[1] {
        let span = row * width + left..row * width + right + 1;
        for (inside, &id) in inside[span.clone()].iter_mut().zip(&rendered.surface_of_pixel[span]) {
            *inside = inside_of_surface[id as usize];
        }
    }
    Mask::new(Array2::from_shape_vec((height, width), inside).expect("one flag per pixel"))
}

/// The share of an object inside the picture, estimated on a coarse grid over its box.
fn share_in_frame(thing: &Thing, size: ImageHw) -> f64 {
    const CELLS: usize = 28;
    let [right, bottom] = [size.width() as f32 - 0.5, size.height() as f32 - 0.5];
    let bounds = thing.bounds;
    if bounds.low.x >= -0.5
        && bounds.low.y >= -0.5
        && bounds.high.x <= right
        && bounds.high.y <= bottom
    {
        return 1.0;
    }
    let figure_from_pixel = thing.pixel_from_figure.inverse();
    let (mut all, mut inside) = (0, 0);
    for i in 0..CELLS * CELLS {
        let share = v((i % CELLS) as f32 + 0.5, (i / CELLS) as f32 + 0.5) * (1.0 / CELLS as f32);
        let p = v(
            bounds.low.x + share.x * bounds.extent().x,
            bounds.low.y + share.y * bounds.extent().y,
        );
        let place = figure_from_pixel.place(p);
        // Later shapes are in front and mostly smaller, so the large ones are tested first.
        if thing.figure.shapes.iter().any(|shape| shape.outline.holds(place)) {
            all += 1;
            inside += usize::from((-0.5..=right).contains(&p.x) && (-0.5..=bottom).contains(&p.y));
        }
    }
    if all == 0 { 1.0 } else { f64::from(inside as u32) / f64::from(all) }
}
