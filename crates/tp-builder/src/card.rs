//! The data-set card: content, origin and format of the data set. Hugging Face reads its front
//! matter.

use std::{collections::BTreeMap, fmt::Write};

use crate::{BuildConfig, Images, Statistics};

/// The maximum number of categories, parts and licenses that are listed.
const MAX_LISTED: usize = 40;

/// The text of `README.md`.
pub(crate) fn card(
    statistics: &Statistics,
    recipe: &BuildConfig,
    teachers: &BTreeMap<&'static str, String>,
) -> String {
    let mut text = head(statistics);
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    line("# Points and their descriptions\n");
    line(
        "Every row is a triplet: an image, a point in it, and a text that leads a reader to that point, from coarse to fine.",
    );
    line(
        "Made by the builder of `talking-points`, after the recipe of LlamaPointInPart (Talking Points, arXiv 2510.14583).\n",
    );
    line(&format!("{} triplets on {} images.\n", statistics.triplets, statistics.images));
    line(&table("side", &statistics.sides));
    line(&table("source", &statistics.sources));
    line(&table("licence of the images", &statistics.licences));
    line(
        "The licence of every image stands in its row; attribution, where it is asked for, too.\n",
    );
    line("## How it was made\n");
    for (role, name) in teachers {
        line(&format!("- {role}: `{name}`"));
    }
    line(&format!(
        "- seed {}, {}\n",
        recipe.seed,
        if recipe.balanced { "balanced over objects and parts" } else { "all points" }
    ));
    line(&format!(
        "Descriptions have {} to {} words, {:.1} on average. `report.json` has all counts: objects, parts, lengths, what was rejected and why, pictures that look alike, contradictions between teachers and annotation.\n",
        statistics.lengths.min, statistics.lengths.max, statistics.lengths.mean
    ));
    if let Some(found) = &statistics.localizability {
        line(&format!(
            "The Localizer `{}` was led to within {} of the point by {:.1} % of {} texts.\n",
            found.localizer,
            found.within,
            found.share * 100.0,
            found.judged
        ));
    }
    line(&table("object", &statistics.objects));
    line("## How it is read\n");
    line("```python\nfrom datasets import load_dataset\nrows = load_dataset(\"PATH\")\n```\n");
    line(
        "`x` and `y` lie in the unit square of the image: multiply by `width` and `height`. Boxes are in pixels. `json` is the whole row as it stands in `triplets/*.jsonl`.",
    );
    line("Points lie on the pixels as they are stored in `image`: no EXIF orientation turns them.");
    if recipe.images == Images::Named {
        line(
            "The images are not part of the set: `image_path` is relative to the folder of the original data set.",
        );
    }
    text
}

fn head(statistics: &Statistics) -> String {
    let mut head = "---\n".to_owned();
    // Only a single license for all images can be declared.
    let names: Vec<&String> = statistics.licences.keys().collect();
    let licence = match names[..] {
        [name] if name.to_uppercase().starts_with("CC BY 4.0") => "cc-by-4.0",
        [name] if name.to_uppercase().starts_with("CC0") => "cc0-1.0",
        _ => "other",
    };
    let size = match statistics.triplets {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        _ => "n>1M",
    };
    let _ = write!(
        head,
        "license: {licence}\nlanguage:\n- en\nsize_categories:\n- {size}\ntags:\n- keypoints\n- visual-grounding\n"
    );
    head.push_str("configs:\n- config_name: default\n  data_files:\n");
    for side in statistics.sides.keys() {
        let _ = writeln!(head, "  - split: {side}\n    path: data/{side}-*.parquet");
    }
    head.push_str("---\n\n");
    head
}

/// The most frequent values, as a table.
fn table(name: &str, counts: &BTreeMap<String, usize>) -> String {
    let mut rows: Vec<(&String, &usize)> = counts.iter().collect();
    rows.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let mut table = format!("| {name} | triplets |\n|---|---|\n");
    for (name, n) in rows.iter().take(MAX_LISTED) {
        let _ = writeln!(table, "| {} | {n} |", name.replace(['|', '\n'], " "));
    }
    if rows.len() > MAX_LISTED {
        let rest: usize = rows[MAX_LISTED..].iter().map(|(_, n)| **n).sum();
        let _ = writeln!(table, "| {} more | {rest} |", rows.len() - MAX_LISTED);
    }
    table
}
