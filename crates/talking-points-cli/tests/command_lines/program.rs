//! Calls of the program, and what they are given.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

/// The program with a subcommand, "data build" or the like.
pub(crate) fn program(command: &str) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_talking-points"));
    program.args(command.split(' '));
    program
}

pub(crate) fn run(command: &str, arguments: &[&str]) -> Output {
    program(command).args(arguments).output().unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// The folder of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Runs a subcommand that must refuse its input, and gives the line that it says.
pub(crate) fn refused(command: &str, arguments: &[&str]) -> String {
    let output = run(command, arguments);
    assert!(!output.status.success(), "{command} {arguments:?} accepted its input");
    assert!(output.stdout.is_empty(), "{command} {arguments:?} printed a result");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("panicked"), "{command} {arguments:?}: {text}");
    text
}

/// The same, where clap does not speak first: exactly one line.
pub(crate) fn one_line(command: &str, arguments: &[&str]) -> String {
    let text = refused(command, arguments);
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(lines.len(), 1, "{command} {arguments:?}: {text}");
    lines[0].to_owned()
}

pub(crate) fn printed(command: &str, arguments: &[&str]) -> String {
    let output = run(command, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The JSON that a subcommand printed.
pub(crate) fn json(command: &str, arguments: &[&str]) -> serde_json::Value {
    let output = run(command, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(crate) fn photograph() -> String {
    root().join("examples/images/horse.jpg").display().to_string()
}

pub(crate) fn in_folder(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

/// A COCO folder with one horse of two parts, of no family.
pub(crate) fn coco_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(photograph(), folder.path().join("horse.jpg")).unwrap();
    let entry = |id: u32, bbox: [u32; 4]| serde_json::json!({"id": id, "image_id": 1, "category_id": id, "bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": 0, "segmentation": []});
    let part = |id: u32, bbox: [u32; 4]| {
        let mut part = entry(id, bbox);
        part["parent_id"] = serde_json::json!(1);
        part
    };
    let coco = serde_json::json!({
        "images": [{"id": 1, "file_name": "horse.jpg", "width": 640, "height": 360}],
        "categories": [{"id": 1, "name": "horse"}],
        "annotations": [entry(1, [200, 60, 300, 260])],
        "part_categories": [{"id": 1, "name": "head"}, {"id": 2, "name": "trunk"}],
        "part_annotations": [part(1, [420, 60, 80, 80]), part(2, [250, 120, 160, 100])],
    });
    fs::write(folder.path().join("annotations.json"), coco.to_string()).unwrap();
    folder
}
