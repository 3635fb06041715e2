//! `--json`.

use std::fs;

use crate::program::{coco_folder, in_folder, photograph, refused, root, run};

/// Every subcommand that needs no training says with `--json` what its help says, and logs
/// elsewhere.
#[test]
fn json_is_one_document_of_every_subcommand() {
    let (data, folder) = (coco_folder(), tempfile::tempdir().unwrap());
    let (image, out) = (photograph(), in_folder(&folder, "out.png"));
    let root_name = data.path().display().to_string();
    let coco = data.path().join("annotations.json").display().to_string();
    let rows = in_folder(&folder, "rows.jsonl");
    fs::write(&rows, r#"{"point":"1","image":"i","size":{"height":4,"width":4},"truth":{"x":0.5,"y":0.5},"predicted":"not_found"}"#)
        .unwrap();
    let model = root().join("models/tiny").display().to_string();
    let fixture = root().join("tests/fixtures/parity/projector").display().to_string();
    let (converted, judged) = (in_folder(&folder, "converted"), in_folder(&folder, "judged"));
    let calls: Vec<(&str, Vec<&str>)> = vec![
        ("describe", vec!["--image", &image, "--point", "300,130", "--point", "10,10"]),
        ("locate", vec!["--image", &image, "--text", "a hoof", "--text", "no such thing"]),
        ("show mask", vec!["--image", &image, "--point", "300,130", "--out", &out]),
        ("show predictions", vec!["--out", &out]),
        ("data scene", vec!["--out", &out, "--points"]),
        ("data scene", vec!["--statistics", "2"]),
        ("data sift", vec!["--image", &image, "--limit", "2"]),
        ("data inspect", vec!["--format", "coco-parts", "--root", &root_name]),
        ("compare", vec!["--a", &rows, "--b", &rows]),
        (
            "generate",
            vec![
                "--random",
                "tiny",
                "--prompt",
                "a hoof",
                "--max-new-tokens",
                "2",
                "--answers",
                "2",
            ],
        ),
        ("convert", vec!["--from", &model, "--out", &converted]),
        ("verify", vec!["--fixture", &fixture]),
        ("verify", vec!["--fixture", &fixture, &fixture]),
        ("evaluate", vec!["--points", "4", "--rows", "reference,ours,centre", "--out", &judged]),
        ("data build", vec!["--format", "coco-parts", "--root", &root_name, "--out", &converted]),
    ];
    for (command, arguments) in calls {
        let output = run(command, &[&arguments[..], &["--json"]].concat());
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{command}: {error}: {text}"));
        assert!(
            document.is_object() && text.ends_with('\n') && text.lines().count() == 1,
            "{command}: {text}"
        );
    }
    // One line per triplet, as its help says.
    let output = run("data describe", &["--coco", &coco, "--images", &root_name, "--json"]);
    let lines = String::from_utf8(output.stdout).unwrap();
    assert!(
        lines.lines().count() > 1
            && lines
                .lines()
                .all(|line| serde_json::from_str::<serde_json::Value>(line).unwrap().is_object())
    );
    let help = String::from_utf8(run("data describe", &["--help"]).stdout).unwrap();
    assert!(help.contains("one triplet per line"), "{help}");
    // A configuration is TOML.
    assert!(refused("data build", &["--paper-teachers", "--json"]).contains("--paper-teachers"));
}

#[test]
fn json_is_one_object_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let out = in_folder(&folder, "trip.png");
    let output = run(
        "round-trip",
        &["--image", &photograph(), "--point", "300,130", "--json", "--out", &out],
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let trip: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in [
        "image",
        "width",
        "height",
        "point",
        "description",
        "located",
        "confidence",
        "error_px",
        "error_unit",
        "device",
        "model",
        "seconds",
    ] {
        assert!(trip.get(key).is_some(), "{key}");
    }
    assert!(fs::read(&out).unwrap().starts_with(b"\x89PNG"));
}
