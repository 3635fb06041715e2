//! `evaluate` and `compare`.

use std::{fs, path::Path};

use crate::program::{coco_folder, in_folder, one_line, photograph, printed, refused, run};

#[test]
fn sets_without_a_point_are_not_judged() {
    let folder = tempfile::tempdir().unwrap();
    let (set, out) = (in_folder(&folder, "set.jsonl"), in_folder(&folder, "out"));
    for nothing in ["", "\n  \n"] {
        fs::write(&set, nothing).unwrap();
        assert!(
            one_line("evaluate", &["--set", &set, "--out", &out])
                .contains("set.jsonl contains no triplets")
        );
    }
    // Of one image no text can be another image's.
    for row in ["image-only", "wrong-image", "shuffled"] {
        let line = one_line(
            "evaluate",
            &["--points", "4", "--rows", &format!("centre,{row}"), "--out", &out],
        );
        assert!(line.contains(&format!("the row {row} needs")), "{line}");
    }
    assert!(!Path::new(&out).exists());
    let coco = serde_json::json!({"images": [], "categories": [], "annotations": []});
    let (path, images) =
        (in_folder(&folder, "annotations.json"), folder.path().display().to_string());
    fs::write(&path, coco.to_string()).unwrap();
    assert!(
        one_line("data describe", &["--coco", &path, "--images", &images])
            .contains("gives no triplet: 0 images")
    );
}

#[test]
fn evaluation_has_a_page_and_takes_texts_and_widths_of_the_mask() {
    let folder = tempfile::tempdir().unwrap();
    let (out, again) = (in_folder(&folder, "out"), in_folder(&folder, "again"));
    let four = ["--points", "4"];
    let widths = ["--rows", "reference,ours", "--sigma", "0.02", "--out", &out];
    printed("evaluate", &[&four[..], &widths].concat());
    let page = fs::read_to_string(Path::new(&out).join("index.html")).unwrap();
    assert!(page.contains("ours-sigma-0.02") && page.contains("pictures/random-01.jpg"), "{page}");

    // The references, given as texts of somebody else, lead where they led.
    let texts = Path::new(&out).join("texts-reference.jsonl").display().to_string();
    let given = ["--rows", "reference", "--texts", &texts, "--out", &again];
    printed("evaluate", &[&four[..], &given].concat());
    let points =
        |row: &str| fs::read(Path::new(&again).join(format!("points-{row}.jsonl"))).unwrap();
    assert_eq!(points("texts"), points("reference"));

    let other = in_folder(&folder, "other");
    let line =
        |rest: &[&str]| one_line("evaluate", &[&four[..], rest, &["--out", &other]].concat());
    assert!(line(&["--rows", "texts"]).contains("--texts"));
    assert!(line(&["--texts", &in_folder(&folder, "none.jsonl")]).contains("none.jsonl"));
    fs::write(&texts, "{\"image\": \"a.jpg\", \"x\": 1, \"y\": 2}\n").unwrap();
    assert!(line(&["--texts", &texts]).contains("texts-reference.jsonl, line 1: "));
    let arguments = ["--sigma", "0", "--out", &other];
    assert!(refused("evaluate", &arguments).contains("`0` is no width of the Gaussian mask"));
    assert!(!Path::new(&other).exists());
}

#[test]
fn triplets_that_reach_out_of_their_folder_are_refused() {
    let root = coco_folder();
    let coco = root.path().join("annotations.json").display().to_string();
    let described = run(
        "data describe",
        &["--coco", &coco, "--images", &root.path().display().to_string(), "--limit", "1"],
    );
    let line = String::from_utf8(described.stdout).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (set, out) = (in_folder(&folder, "set.jsonl"), in_folder(&folder, "out"));
    for image in ["../horse.jpg".to_owned(), photograph(), "a/../../horse.jpg".to_owned()] {
        fs::write(&set, line.replacen("horse.jpg", &image, 1)).unwrap();
        let line = one_line("evaluate", &["--set", &set, "--out", &out]);
        assert!(
            line.contains("set.jsonl, line 1")
                && line.contains("not a relative path inside the image folder"),
            "{line}"
        );
    }
}

#[test]
fn answers_that_cannot_be_compared_are_refused_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (in_folder(&folder, "a.jsonl"), in_folder(&folder, "b.jsonl"));
    let line = |point: &str| {
        format!(
            r#"{{"point":"{point}","image":"i","size":{{"height":4,"width":4}},"truth":{{"x":0.5,"y":0.5}},"predicted":"not_found"}}"#
        )
    };
    fs::write(&a, line("1")).unwrap();
    fs::write(&b, line("2")).unwrap();
    assert!(one_line("compare", &["--a", &a, "--b", &b]).contains("b.jsonl"));
    assert!(one_line("compare", &["--a", &a, &b, "--b", &b]).contains("one of each"));
    assert!(one_line("compare", &["--a", "no/such/file", "--b", &b]).contains("no/such/file"));
    fs::write(&b, "{").unwrap();
    assert!(one_line("compare", &["--a", &a, "--b", &b]).contains("b.jsonl, line 1"));
    // Nothing is compared with nothing.
    for nothing in ["", "\n \n"] {
        fs::write(&b, nothing).unwrap();
        assert!(one_line("compare", &["--a", &b, "--b", &b]).contains("b.jsonl holds no points"));
        assert!(one_line("compare", &["--a", &a, "--b", &b]).contains("b.jsonl holds no points"));
    }
}
