//! `train` and `reinforce`.

use std::{fs, path::Path};

use crate::program::{coco_folder, in_folder, one_line, photograph, printed, refused};

#[test]
fn families_that_do_not_exist_and_models_that_are_none_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = in_folder(&folder, "run");
    let arguments =
        ["--train-family", "Felidae", "--test-family", "Canidae", "--quick", "--out", &out];
    let line = one_line("reinforce", &arguments);
    assert!(line.contains("Felidae") && line.contains("Bovidae"), "{line}");
    assert!(!Path::new(&out).exists());
    assert!(one_line("reinforce doctor", &["--model", "no/such/model"]).contains("no/such/model"));
    assert!(refused("reinforce doctor", &["--steps", "1"]).contains("4..=1000"));
    let weight = [&arguments[..], &["--names", "-1"]].concat();
    assert!(one_line("reinforce", &weight).contains("--names -1"));
}

#[test]
fn photographs_of_another_family_are_refused_before_anything_is_learned() {
    let (root, folder) = (coco_folder(), tempfile::tempdir().unwrap());
    let (root, out) = (root.path().display().to_string(), in_folder(&folder, "run"));
    let families =
        ["--train-family", "Bovidae", "--test-family", "Equidae", "--quick", "--out", &out];
    let line = one_line(
        "reinforce",
        &[&families[..], &["--format", "coco-parts", "--root", &root]].concat(),
    );
    assert!(line.contains("no object of the family `Bovidae`"), "{line}");
    assert!(!Path::new(&out).exists());
    assert!(
        refused("reinforce", &[&families[..], &["--root", &root]].concat()).contains("--format")
    );
}

#[test]
fn trainings_that_cannot_begin_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let out = in_folder(&folder, "run");
    let refusal = |args: &[&str]| one_line("train", &[&["--out", &out], args].concat());
    let scenes = ["--recipe", "scenes-quick"];
    assert!(refusal(&["--data", ".", "--steps", "1.5"]).contains("1.5"));
    // The alias is that of earlier versions.
    for flag in ["--vision", "--eyes"] {
        let line = refusal(&[&scenes[..], &[flag, "no/such/model"]].concat());
        assert!(line.contains("no/such/model"), "{line}");
    }
    let coco = coco_folder();
    let data = coco.path().display().to_string();
    assert!(refusal(&["--data", &data, "--base", "no/such/base"]).contains("no/such/base"));
    assert!(refusal(&[]).contains("--data data=PATH"));
    assert!(refusal(&["--recipe", "fast"]).contains("quick, own-words, small"));
    assert!(refusal(&["--data", "no/such/data"]).contains("no/such/data"));
    let empty = in_folder(&folder, "empty");
    fs::create_dir(&empty).unwrap();
    assert!(refusal(&["--data", &empty]).contains("FORMAT:PATH"));
    assert!(refusal(&[&scenes[..], &["--data", &empty]].concat()).contains("sources are scenes"));
    assert!(refusal(&[&scenes[..], &["--phase", "7"]].concat()).contains("0-eyes"));
    assert!(refusal(&["--recipe", "small"]).contains("--backbone"));
    assert!(refusal(&[&scenes[..], &["--weights", "q8_0"]].concat()).contains("--weights"));
    let recipe = in_folder(&folder, "mine.toml");
    fs::write(&recipe, "about = 'x'\nnetwork = 'base'\nphase = []\n").unwrap();
    let line = refusal(&["--recipe", &recipe]);
    assert!(line.contains("mine.toml") && line.contains("`phase`"), "{line}");
}

#[test]
fn a_model_is_adapted_to_own_data_and_says_what_it_was_made_from() {
    let (root, folder) = (coco_folder(), tempfile::tempdir().unwrap());
    let out = in_folder(&folder, "run");
    let data = format!("coco-parts:{}", root.path().display());
    // As shipped, but compared on one image instead of 75.
    let quick = fs::read_to_string(crate::program::root().join("recipes/quick.toml")).unwrap();
    let shorter = in_folder(&folder, "shorter.toml");
    fs::write(&shorter, quick.replace("evaluate_on", "evaluate_points = 4\nevaluate_on")).unwrap();
    let phase = ["--phase", "0-names", "--steps", "0.004"];
    let arguments = [&["--recipe", &shorter, "--out", &out, "--data", &data], &phase[..]].concat();
    let plan = printed("train", &[&arguments[..], &["--plan", "--json"]].concat());
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["phases"][0]["steps"], 1);
    assert!(plan["phases"][0]["trained"].as_u64() > Some(1_000_000) && !Path::new(&out).exists());
    let report = printed("train", &[&arguments[..], &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["stages"][0]["steps"], 1);
    assert!(report["before"]["mpck"].is_number() && report["mpck"].is_number());
    let read = |name: &str| fs::read_to_string(Path::new(&out).join(name)).unwrap();
    assert!(read("recipe.toml").contains(&root.path().display().to_string()));
    assert!(read("model/README.md").contains("0-names"));
    let record: serde_json::Value = serde_json::from_str(&read("run.json")).unwrap();
    assert_eq!(record["data"][0]["source"], "data");
    // The written recipe is a recipe, and the model a model.
    let again = in_folder(&folder, "again");
    let recipe = Path::new(&out).join("recipe.toml").display().to_string();
    printed("train", &["--recipe", &recipe, "--out", &again, "--steps", "0.004"]);
    let model = Path::new(&again).join("model").display().to_string();
    printed("describe", &["--model", &model, "--image", &photograph(), "--point", "300,130"]);
}
