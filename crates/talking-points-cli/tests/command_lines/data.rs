//! Annotations, and data sets that are built of them.

use std::{fs, path::Path};

use crate::program::{coco_folder, in_folder, one_line, photograph, refused, run};

#[test]
fn annotation_file_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = in_folder(&folder, "annotations.json");
    for text in ["", "[]", "{\"images\": 3}"] {
        fs::write(&path, text).unwrap();
        let images = folder.path().display().to_string();
        assert!(
            one_line("data describe", &["--coco", &path, "--images", &images])
                .contains("annotations.json")
        );
    }
}

#[test]
fn side_without_an_image_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(photograph(), folder.path().join("horse.jpg")).unwrap();
    let path = in_folder(&folder, "annotations.json");
    let images = folder.path().display().to_string();
    let image = serde_json::json!({"id": 1, "file_name": "horse.jpg", "width": 640, "height": 360, "split": "val"});
    fs::write(
        &path,
        serde_json::json!({"images": [image], "categories": [], "annotations": []}).to_string(),
    )
    .unwrap();
    let line =
        one_line("data describe", &["--coco", &path, "--images", &images, "--split", "test"]);
    assert!(
        line.contains("annotations.json")
            && line.contains("0 are on train, 1 on validation, 0 on test and 0 on none"),
        "{line}"
    );
}

#[test]
fn data_set_that_cannot_be_made_is_refused_with_its_reason() {
    let (root, folder) = (coco_folder(), tempfile::tempdir().unwrap());
    let (root, out) = (root.path().display().to_string(), in_folder(&folder, "out"));
    let config = in_folder(&folder, "teachers.toml");
    let refused_with = |more: &[&str]| {
        let mut arguments = vec!["--format", "coco-parts", "--out", &out];
        arguments.extend(more);
        one_line("data build", &arguments)
    };
    assert!(refused_with(&["--root", "no/such"]).contains("no/such"));
    for cost in ["nan", "-1"] {
        assert!(refused_with(&["--root", &root, "--max-cost", cost]).contains("bounds nothing"));
    }
    assert!(
        refused_with(&["--root", &root, "--recipe", "cake"])
            .contains("accepted are default, paper")
    );
    assert!(refused_with(&["--root", &root, "--config", &config]).contains("--teacher openai"));
    let openai = ["--root", &root, "--teacher", "openai", "--config", &config];
    for (text, part) in [
        ("[endpoints.a]\nurl = 3\n", "teachers.toml: line 2"),
        (
            "[endpoints.a]\nurl = \"http://127.0.0.1:9/v1\"\napi_key_env = \"TP_NO_SUCH_KEY\"\n[roles.local]\nmodel = \"m\"\n",
            "TP_NO_SUCH_KEY",
        ),
    ] {
        fs::write(&config, text).unwrap();
        let line = refused_with(&openai);
        assert!(line.contains(part), "{line}");
    }
    assert!(!Path::new(&out).exists());
    assert!(
        refused(
            "data build",
            &["--format", "coco-parts", "--root", &root, "--out", &out, "--shard", "9/3"]
        )
        .contains("i/n")
    );
    fs::write(Path::new(&root).join("horse.jpg"), b"no image").unwrap();
    assert!(refused_with(&["--root", &root]).contains("horse.jpg"));
}

#[test]
fn data_set_is_made_planned_and_stopped_with_the_codes_that_the_help_names() {
    let (root, folder) = (coco_folder(), tempfile::tempdir().unwrap());
    let (root, out, config) = (
        root.path().display().to_string(),
        in_folder(&folder, "out"),
        in_folder(&folder, "teachers.toml"),
    );
    let arguments = ["--format", "coco-parts", "--root", &root, "--out", &out, "--json"];
    let output = run("data build", &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let sum = ["train", "validation", "test"]
        .iter()
        .map(|side| made[side].as_u64().unwrap())
        .sum::<u64>();
    assert!(made["triplets"].as_u64() == Some(sum) && sum == 4, "{made}");
    assert!(made["rejected"].is_object() && made["seconds"].is_f64());
    assert!(one_line("data build", &arguments[..6]).contains("--resume"));

    // Nobody is at that port, and nobody is asked.
    fs::write(
        &config,
        "[endpoints.a]\nurl = \"http://127.0.0.1:9/v1\"\n[roles.local]\nmodel = \"m\"\n",
    )
    .unwrap();
    let asking =
        [&arguments[..], &["--resume", "--teacher", "openai", "--config", &config]].concat();
    let output = run("data build", &[&asking[..], &["--plan"]].concat());
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (plan["stages"][1]["questions"].as_u64(), plan["stages"][2]["questions"].as_u64()),
        (Some(4), Some(0))
    );
    for (limit, code) in [("--max-calls", 3), ("--max-cost", 4), ("--max-tokens", 5)] {
        let text = fs::read_to_string(&config).unwrap();
        fs::write(
            &config,
            format!(
                "{}[prices.m]\ninput_per_million = 1.0\noutput_per_million = 1.0\n",
                text.split("[prices").next().unwrap()
            ),
        )
        .unwrap();
        let output = run("data build", &[&asking[..], &[limit, "0"]].concat());
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stderr).contains(limit));
    }
}
