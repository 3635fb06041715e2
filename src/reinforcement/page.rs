//! An HTML page of a run: the same points over time, with their descriptions and where these were
//! located.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::Path,
};

use tp_core::write_atomically;
use tp_data::write_png;
use tp_rl::{SampleRecord, StepReport};

use crate::{
    evaluation::EvalSet,
    overlay::{FOUND_POINT, Overlay, TRUE_POINT},
};

/// The number of points shown, and of steps per point.
const MAX_POINTS: usize = 8;
const MAX_MOMENTS: usize = 4;

/// Writes `index.html` and its pictures into the folder of a run: curves, and for a few points the
/// best-rewarded description of the group at several steps, drawn on the image (green: the true
/// point, pink: the located point).
///
/// `set` is the one from which the run drew its images.
///
/// # Errors
///
/// Any error of the file system or of encoding a picture.
pub fn write_page(
    folder: &Path,
    title: &str,
    set: &EvalSet,
    steps: &[StepReport],
) -> io::Result<()> {
    let mut page = format!(
        "<!doctype html><meta charset=\"utf-8\"><title>{title}</title>\
         <style>body{{font:16px sans-serif;margin:2em;max-width:70em}}figure{{display:inline-block;margin:.5em;width:15em;\
         vertical-align:top}}img{{max-width:100%}}figcaption{{font-size:.8em}}</style><h1>{title}</h1>\n",
        title = escaped(title)
    );
    if let (Some(first), Some(last)) = (steps.first(), steps.last()) {
        let _ = writeln!(
            page,
            "<p>{} steps. Reward {:.4} → {:.4}, distance {:.3} → {:.3}, divergence {:.4} nats a token, {:.1} → {:.1} tokens. \
             Word triples known to the judge {:.0} → {:.0} %, texts with digits {:.0} → {:.0} %, with coordinates {:.0} → {:.0} %.</p>",
            last.step,
            first.reward,
            last.reward,
            first.distance,
            last.distance,
            last.kl,
            first.mean_tokens,
            last.mean_tokens,
            100.0 * first.style.overlap,
            100.0 * last.style.overlap,
            100.0 * first.style.with_digits,
            100.0 * last.style.with_digits,
            100.0 * first.style.with_coordinates,
            100.0 * last.style.with_coordinates,
        );
    }
    for curve in ["reward", "distance", "kl", "tokens"] {
        if folder.join(format!("{curve}.png")).exists() {
            let _ = writeln!(page, "<img src=\"{curve}.png\" alt=\"{curve}\" width=\"450\">");
        }
    }
    let pictures = folder.join("pictures");
    std::fs::create_dir_all(&pictures)?;
    for (number, (_, moments)) in shown(&folder.join("samples.jsonl"))?.into_iter().enumerate() {
        let Some(image) = moments.first().and_then(|sample| image_of(set, sample)) else {
            continue;
        };
        let _ = writeln!(page, "<h2>{}</h2>", escaped(&moments[0].image));
        for sample in spread(&moments, MAX_MOMENTS) {
            let mut overlay = Overlay::new(image);
            if let Some(located) = sample.located {
                overlay.line(sample.point, located, FOUND_POINT);
                overlay.ring(located, FOUND_POINT);
            }
            overlay.ring(sample.point, TRUE_POINT);
            let name = format!("{number}-{}.png", sample.step);
            write_png(&pictures.join(&name), &overlay.finish())
                .map_err(|error| io::Error::other(error.to_string()))?;
            let reward = sample
                .reward
                .map_or("unscorable".to_owned(), |reward| format!("reward {reward:.4}"));
            let text = escaped(&sample.text);
            let _ = writeln!(
                page,
                "<figure><img src=\"pictures/{name}\" alt=\"{text}\"><figcaption>step {}, {reward}<br>{text}</figcaption></figure>",
                sample.step
            );
        }
    }
    write_atomically(&folder.join("index.html"), |out| out.write_all(page.as_bytes()))
}

/// The best sample of every group of a point, step by step, for a few points; those sampled most
/// often come first.
fn shown(samples: &Path) -> io::Result<Vec<(String, Vec<SampleRecord>)>> {
    let mut points: BTreeMap<String, Vec<SampleRecord>> = BTreeMap::new();
    for line in BufReader::new(File::open(samples)?).lines() {
        // A killed process leaves an incomplete last line.
        let Ok(sample) = serde_json::from_str::<SampleRecord>(&line?) else { continue };
        let moments = points.entry(format!("{} {:?}", sample.image, sample.point)).or_default();
        match moments.last_mut() {
            Some(best) if best.step == sample.step => {
                if sample.reward.unwrap_or(f64::NEG_INFINITY)
                    > best.reward.unwrap_or(f64::NEG_INFINITY)
                {
                    *best = sample;
                }
            }
            _ => moments.push(sample),
        }
    }
    let mut points: Vec<_> = points.into_iter().collect();
    // The sort is stable, so points with equal counts keep their order.
    points.sort_by_key(|(_, moments)| std::cmp::Reverse(moments.len()));
    points.truncate(MAX_POINTS);
    Ok(points)
}

/// At most `n` evenly spaced records, including the first and the last.
fn spread(moments: &[SampleRecord], n: usize) -> Vec<&SampleRecord> {
    if moments.len() <= n {
        return moments.iter().collect();
    }
    (0..n).map(|at| &moments[at * (moments.len() - 1) / (n - 1)]).collect()
}

fn image_of<'a>(set: &'a EvalSet, sample: &SampleRecord) -> Option<&'a tp_core::RgbImage> {
    let index: usize = sample.image.split(':').next()?.parse().ok()?;
    set.images.get(index).map(|image| &image.image)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
