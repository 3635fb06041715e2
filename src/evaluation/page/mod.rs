//! An evaluation as a page: `index.html`, with its pictures beside it. It needs no network and no
//! script.

mod certainty;
mod examples;
mod html;
mod tables;

use std::{io::Write, path::Path};

use tp_core::{escaped_html, write_atomically};

use self::html::HEAD;
use super::{EvalSet, EvaluationError, Judgement};
use crate::RunInfo;

/// The folder of the pictures.
const PICTURES: &str = "pictures";

/// Writes the page of an evaluation into its folder.
///
/// # Errors
///
/// [`EvaluationError`] if a file cannot be written.
pub(super) fn write_page(
    judged: &Judgement,
    set: &EvalSet,
    out: &Path,
) -> Result<(), EvaluationError> {
    let folder = out.join(PICTURES);
    std::fs::create_dir_all(&folder)
        .map_err(|source| EvaluationError::Write { path: folder.clone(), source })?;
    let page = [
        HEAD.to_owned(),
        introduction(judged, set),
        tables::rows(judged, set),
        tables::pairs(judged),
        certainty::section(judged, set, &folder)?,
        examples::section(judged, set, &folder)?,
        tables::groups(judged, set)?,
        "</html>\n".to_owned(),
    ]
    .concat();
    let path = out.join("index.html");
    write_atomically(&path, |file| file.write_all(page.as_bytes()))
        .map_err(|source| EvaluationError::Write { path, source })
}

/// What was evaluated, on what, and by which measures.
fn introduction(judged: &Judgement, set: &EvalSet) -> String {
    let RunInfo { device, dtype, threads, model } = &judged.run;
    let measures: String = judged
        .report
        .protocol()
        .identities()
        .iter()
        .map(|identity| format!("<li><code>{}</code>\n", escaped_html(&identity.to_string())))
        .collect();
    format!(
        "<h1>Evaluation on {}</h1>\n\
         <p>{} points of {} images. Model {}, on {} in {}, {threads} threads.</p>\n\
         <details><summary>Measures</summary><ul>\n{measures}<li>{}\n</ul></details>\n",
        escaped_html(&set.name),
        set.n_points(),
        set.images.len(),
        escaped_html(model),
        escaped_html(device),
        escaped_html(dtype),
        escaped_html(&judged.report.bootstrap().to_string()),
    )
}

#[cfg(test)]
mod tests {
    use tp_core::{
        Cell, Extent, ImageHw, Located, ObjectSize, PointRecord, RgbImage, Seed, UnitXy,
    };

    use super::*;
    use crate::evaluation::{EvalImage, EvalPoint, RowName, Rows};

    const HOSTILE: &str = "<script src=\"http://x\">&'";

    fn point(description: &str) -> EvalPoint {
        let cell = Cell::of(0.5, 0.5);
        EvalPoint {
            point: UnitXy::nearest(0.2, 0.5),
            description: description.to_owned(),
            record: PointRecord {
                category: format!("horse{HOSTILE}"),
                family: None,
                object_cell: cell,
                object_size: ObjectSize::Tiny,
                part: Some(format!("head{HOSTILE}")),
                part_cell: Some(cell),
                point_cell: cell,
                colour: "white".to_owned(),
                texture: "smooth".to_owned(),
                shape: "a bright spot".to_owned(),
                extent: Extent::Box,
                keypoint: None,
            },
            also: [Vec::new(), Vec::new()],
            text: None,
        }
    }

    /// Two images of two points; the third answer is the furthest, the last text leads nowhere.
    fn judged() -> (Judgement, EvalSet) {
        let image = |name: &str, texts: [&str; 2]| EvalImage {
            name: format!("{name}{HOSTILE}"),
            group: name.to_owned(),
            image: RgbImage::filled(ImageHw::new(40, 60).unwrap(), [90, 90, 90]),
            points: texts.map(point).into(),
        };
        let set = EvalSet {
            name: format!("set{HOSTILE}"),
            images: vec![
                image("a", ["reference 0", "reference 1"]),
                image("b", ["reference 2", HOSTILE]),
            ],
            upright_images: 0,
        };
        let at = |x: f64, confidence: f32| {
            Some(Located { point: UnitXy::nearest(x, 0.5), confidence: Some(confidence) })
        };
        let mut rows = Rows::default();
        rows.answers.insert(RowName::Ours, vec![at(0.25, 0.9), at(0.5, 0.7), at(0.9, 0.2), None]);
        let texts = (0..4).map(|n| format!("text {n} {HOSTILE}")).collect();
        rows.texts.insert(RowName::Ours, texts);
        rows.seconds.insert(RowName::Ours, 2.0);
        let run = RunInfo {
            device: "flex".to_owned(),
            dtype: "f32".to_owned(),
            threads: 1,
            model: "0123".to_owned(),
        };
        (Judgement::scored(&set, rows, false, run, Seed(0)).unwrap(), set)
    }

    #[test]
    fn page_holds_every_text_as_text_and_only_files_beside_it() {
        let (judged, set) = judged();
        let folder = tempfile::tempdir().unwrap();
        judged.save(&set, folder.path()).unwrap();
        let page = std::fs::read_to_string(folder.path().join("index.html")).unwrap();
        for text in ["set", "text 0 ", "text 3 ", "horse", "head", "a"] {
            let escaped = escaped_html(&format!("{text}{HOSTILE}"));
            assert!(page.contains(&escaped), "{escaped} is not in the page");
        }
        assert!(page.contains("reference 2") && page.contains(&escaped_html(HOSTILE)));
        assert!(!page.contains("<script") && !page.contains("<link"));
        // The only address is in a hostile text, where it is no attribute.
        let addresses = page.matches("//").count();
        assert_eq!(addresses, page.matches("src=&quot;http://x&quot;").count());
        let mut pictures = 0;
        for source in page.split("src=\"").skip(1) {
            let name = source.split('"').next().unwrap();
            assert!(name.starts_with("pictures/"), "{name}");
            assert!(folder.path().join(name).is_file(), "{name} is missing");
            pictures += 1;
        }
        // Three found points, one text without an answer, four points at random, two curves.
        assert_eq!(pictures, 3 + 1 + 4 + 2);
    }

    #[test]
    fn worst_points_come_first() {
        let (judged, set) = judged();
        let folder = tempfile::tempdir().unwrap();
        judged.save(&set, folder.path()).unwrap();
        let page = std::fs::read_to_string(folder.path().join("index.html")).unwrap();
        let worst = page.split("<h2").find(|part| part.contains("Furthest")).unwrap();
        let places: Vec<usize> = ["text 2 ", "text 1 ", "text 0 "]
            .iter()
            .map(|text| worst.find(text).unwrap())
            .collect();
        assert!(places.is_sorted(), "{places:?}");
        assert!(worst.contains("0.700") && worst.contains("0.300") && worst.contains("0.050"));
        assert!(!worst.contains("text 3 "), "a text without an answer has no distance");
    }

    #[test]
    fn table_has_the_seconds_of_a_point() {
        let (judged, set) = judged();
        assert!(tables::rows(&judged, &set).contains("<td>0.50</td>")); // 2 s for four points
    }
}
