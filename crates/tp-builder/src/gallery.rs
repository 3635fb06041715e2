//! An HTML page with photographs, boxes, points and descriptions.

use std::{collections::BTreeSet, io::Write};

use super::{
    rows::{ImageFile, Rows},
    selection::Chosen,
    work_folder::{WorkFolder, write_text},
};
use crate::{BuildError, ContentKey, Row};
use tp_core::escaped_html;
use tp_data::BoxXywh;

/// The maximum number of points drawn on one image.
const MAX_POINTS: usize = 8;

const HEAD: &str = r#"<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Triplets</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1100px; padding: 0 1rem; color: #222; background: #faf9f6 }
figure { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 6fr); gap: 1.2rem; margin: 0 0 2rem; border-top: 1px solid #ccc; padding-top: 1rem }
.picture { position: relative; align-self: start } .picture img { width: 100%; display: block }
svg { position: absolute; inset: 0; width: 100%; height: 100% }
rect { fill: none; stroke-width: 2px; vector-effect: non-scaling-stroke } .object { stroke: #ffd400 } .part { stroke: #00c2ff; stroke-dasharray: 5 4 }
circle { fill: none; stroke: #28dc5a; stroke-width: 3px; vector-effect: non-scaling-stroke } .found { stroke: #ff46be }
line { stroke: #ff46be; stroke-width: 2px; vector-effect: non-scaling-stroke } text { fill: #fff; stroke: #000; stroke-width: 3px; paint-order: stroke; font-weight: 700 }
figcaption { overflow-wrap: anywhere } ol { padding-left: 1.4rem; margin: .4rem 0 } small { color: #666 } em { color: #b00020; font-style: normal }
</style>
<h1>Triplets</h1>
<p>Yellow: the object. Blue: the part. Green: the point. Pink: where the Localizer points, if one was asked.</p>
"#;

/// Some points of some images, spread over the data set.
pub(crate) fn shown(chosen: &[Chosen], n_images: usize) -> Vec<Chosen> {
    let images: Vec<&[Chosen]> = chosen.chunk_by(|a, b| a.image == b.image).collect();
    let n = n_images.min(images.len());
    (0..n).flat_map(|at| images[at * images.len() / n].iter().take(MAX_POINTS).copied()).collect()
}

/// Writes the page and copies its images. Returns the file names relative to the data set.
pub(crate) fn write_gallery(
    mut rows: Rows<'_>,
    folder: &WorkFolder,
) -> Result<Vec<String>, BuildError> {
    let mut figures: Vec<(Vec<Row>, ImageFile)> = Vec::new();
    while let Some((row, file)) = rows.next()? {
        match figures.last_mut().filter(|(_, last)| last.name == file.name) {
            Some((rows, _)) => rows.push(row),
            None => figures.push((vec![row], file)),
        }
    }
    let names: Vec<String> = figures.iter().map(|(_, file)| image_name(file)).collect();
    let kept: BTreeSet<&String> = names.iter().collect();
    folder
        .sweep("gallery", &|name| name == "index.html" || kept.iter().any(|kept| *kept == name))?;
    for ((_, file), name) in figures.iter().zip(&names) {
        write_text(&folder.path(&format!("gallery/{name}")), |to| to.write_all(file.bytes.data()))?;
    }
    write_text(&folder.path("gallery/index.html"), |page| {
        page.write_all(HEAD.as_bytes())?;
        figures.iter().zip(&names).try_for_each(|((rows, _), name)| figure(page, rows, name))
    })?;
    let mut files: BTreeSet<String> = names.iter().map(|name| format!("gallery/{name}")).collect();
    files.insert("gallery/index.html".to_owned());
    Ok(files.into_iter().collect())
}

/// A name without characters that are special in HTML or in file systems.
fn image_name(file: &ImageFile) -> String {
    let bytes = file.bytes.data();
    let ending = match bytes {
        [0x89, b'P', ..] => "png",
        [b'R', b'I', b'F', b'F', ..] => "webp",
        _ => "jpg",
    };
    format!("{}.{ending}", &ContentKey::of_bytes(bytes).to_string()[..16])
}

fn figure(page: &mut dyn Write, rows: &[Row], name: &str) -> std::io::Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let (width, height) =
        (f64::from(first.triplet.size.width()), f64::from(first.triplet.size.height()));
    let radius = width.max(height) / 45.0;
    writeln!(
        page,
        "<figure><div class=\"picture\"><img src=\"{name}\" alt=\"\" loading=\"lazy\"><svg viewBox=\"0 0 {width} {height}\">"
    )?;
    for (at, row) in rows.iter().enumerate() {
        let boxes = [("object", Some(row.object_box)), ("part", row.part_box)];
        for (class, bbox) in boxes {
            if let Some(BoxXywh { x, y, width, height }) = bbox {
                write!(
                    page,
                    "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
                )?;
            }
        }
        let (x, y) = (row.triplet.point.x() * width, row.triplet.point.y() * height);
        if let Some(found) = row.localized.and_then(|localized| localized.point) {
            let (found_x, found_y) = (found.x() * width, found.y() * height);
            write!(
                page,
                "<line x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{found_x:.1}\" y2=\"{found_y:.1}\"/>"
            )?;
            write!(
                page,
                "<circle class=\"found\" cx=\"{found_x:.1}\" cy=\"{found_y:.1}\" r=\"{:.1}\"/>",
                radius * 0.7
            )?;
        }
        write!(page, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"/>")?;
        writeln!(
            page,
            "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"{:.1}\">{}</text>",
            x + radius * 1.2,
            y,
            radius * 2.2,
            at + 1
        )?;
    }
    writeln!(
        page,
        "</svg></div><figcaption><small>{}</small><ol>",
        escaped_html(&first.triplet.image)
    )?;
    for row in rows {
        let part =
            row.triplet.record.part.as_ref().map(|part| format!("’s {part}")).unwrap_or_default();
        let label = escaped_html(&format!("{}{part}", row.triplet.record.category));
        let error = row
            .localized
            .and_then(|found| found.error)
            .map(|error| format!(" · found {error:.3} away"))
            .unwrap_or_default();
        let flags: Vec<String> = row.contradictions.iter().map(|kind| kind.name()).collect();
        let flags = if flags.is_empty() {
            String::new()
        } else {
            format!(" <em>{}</em>", flags.join(", "))
        };
        writeln!(
            page,
            "<li>{} <small>{label}{error}</small>{flags}</li>",
            escaped_html(&row.triplet.description)
        )?;
    }
    writeln!(page, "</ol></figcaption></figure>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tp_data::Split;

    #[test]
    fn shown_images_are_spread_over_the_data_set() {
        let chosen: Vec<Chosen> = (0..100)
            .map(|at| Chosen { image: at / 10, point: at % 10, side: Split::Train })
            .collect();
        let shown = shown(&chosen, 3);
        let mut images: Vec<u32> = shown.iter().map(|chosen| chosen.image).collect();
        images.dedup();
        assert_eq!((images, shown.len()), (vec![0, 3, 6], 3 * MAX_POINTS));
        assert!(super::shown(&[], 3).is_empty());
    }
}
