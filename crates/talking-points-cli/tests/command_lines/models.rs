//! Model folders, their files and devices.

use std::{fs, path::Path};

use crate::program::{coco_folder, in_folder, one_line, photograph, program, refused, root, run};

/// The files of the shipped model that loading it reads.
const MODEL_FILES: [&str; 4] = ["config.json", "nouns.json", "tokenizer.json", "model.safetensors"];

const LFS_POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

#[test]
fn git_lfs_pointers_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let named = |command: &str, arguments: &[&str], file: &str| {
        let line = one_line(command, arguments);
        assert!(
            line.contains(file)
                && line.contains("is a Git LFS pointer")
                && line.contains("git lfs pull"),
            "{line}"
        );
        assert_eq!(line.matches("LFS").count(), 1, "{line}");
    };
    let image = in_folder(&folder, "image.jpg");
    fs::write(&image, LFS_POINTER).unwrap();
    named("describe", &["--image", &image, "--point", "1,1"], "image.jpg");
    named("data sift", &["--image", &image], "image.jpg");
    let points = in_folder(&folder, "points.json");
    fs::write(&points, LFS_POINTER).unwrap();
    named("describe", &["--image", &photograph(), "--points", &points], "points.json");
    named("compare", &["--a", &points, "--b", &points], "points.json");
    named("evaluate", &["--set", &points, "--out", &in_folder(&folder, "out")], "points.json");
    named(
        "data describe",
        &["--coco", &points, "--images", &folder.path().display().to_string()],
        "points.json",
    );

    let shipped = root().join("models/tiny");
    for pointer in MODEL_FILES {
        let model = tempfile::tempdir().unwrap();
        for name in MODEL_FILES {
            fs::copy(shipped.join(name), model.path().join(name)).unwrap();
        }
        fs::write(model.path().join(pointer), LFS_POINTER).unwrap();
        named(
            "locate",
            &[
                "--image",
                &photograph(),
                "--text",
                "a hoof",
                "--model",
                &model.path().display().to_string(),
            ],
            pointer,
        );
    }
    let model = in_folder(&folder, "model");
    assert!(
        run(
            "generate",
            &["--random", "tiny", "--model", &model, "--prompt", "a", "--max-new-tokens", "1"]
        )
        .status
        .success()
    );
    for pointer in [
        "generation_config.json",
        "tokenizer_config.json",
        "model.safetensors",
        "config.json",
        "tokenizer.json",
    ] {
        // One at a time, whatever is read first.
        let file = Path::new(&model).join(pointer);
        let original = fs::read(&file).ok();
        fs::write(&file, LFS_POINTER).unwrap();
        named("generate", &["--model", &model, "--prompt", "a"], pointer);
        match original {
            Some(bytes) => fs::write(&file, bytes).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
    }
    fs::write(Path::new(&model).join("model.safetensors"), LFS_POINTER).unwrap();
    named(
        "convert",
        &["--from", &model, "--out", &in_folder(&folder, "converted")],
        "model.safetensors",
    );

    let root = coco_folder();
    fs::write(root.path().join("horse.jpg"), LFS_POINTER).unwrap();
    let root_name = root.path().display().to_string();
    let coco = root.path().join("annotations.json").display().to_string();
    named("data describe", &["--coco", &coco, "--images", &root_name], "horse.jpg");
    fs::write(&coco, LFS_POINTER).unwrap();
    named("data inspect", &["--format", "coco-parts", "--root", &root_name], "annotations.json");
}

#[test]
fn tokenizer_that_is_none_is_named_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let model = in_folder(&folder, "model");
    let asked = ["--model", &model, "--prompt", "a", "--max-new-tokens", "1"];
    assert!(run("generate", &[&asked[..], &["--random", "tiny"]].concat()).status.success());
    let tokenizer = in_folder(&folder, "model/tokenizer.json");
    for text in ["", "[1]", "{\"version\":\"1.0\",\"model\":{\"type\":\"BPE\"}}"] {
        fs::write(&tokenizer, text).unwrap();
        let line = one_line("generate", &asked);
        assert_eq!(line.matches(&tokenizer).count(), 1, "{line}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn paths_that_are_no_utf8_work() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&odd).unwrap();
    let image = odd.join(OsStr::from_bytes(b"im\xffage.jpg"));
    fs::copy(photograph(), &image).unwrap();
    let coco = coco_folder();
    for file in ["horse.jpg", "annotations.json"] {
        fs::copy(coco.path().join(file), odd.join(file)).unwrap();
    }
    let shipped = root().join("models/tiny");
    let model = odd.join("model");
    fs::create_dir(&model).unwrap();
    for name in MODEL_FILES {
        fs::copy(shipped.join(name), model.join(name)).unwrap();
    }
    let run = |command: &str, arguments: &[&OsStr]| -> serde_json::Value {
        let output = program(command).args(arguments).arg("--json").output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let (a, out) = (OsStr::new, odd.join("out.png"));
    let told = run(
        "describe",
        &[a("--image"), image.as_ref(), a("--point"), a("300,130"), a("--model"), model.as_ref()],
    );
    assert_eq!(told["image"], image.display().to_string());
    assert!(
        run(
            "locate",
            &[a("--image"), image.as_ref(), a("--text"), a("a hoof"), a("--model"), model.as_ref()]
        )["image"]
            .is_string()
    );
    run(
        "round-trip",
        &[a("--image"), image.as_ref(), a("--point"), a("300,130"), a("--out"), out.as_ref()],
    );
    assert!(fs::read(&out).unwrap().starts_with(b"\x89PNG"));
    let found = run("data inspect", &[a("--format"), a("coco-parts"), a("--root"), odd.as_ref()]);
    assert_eq!(found["images"], 1, "{found}");
    let random = odd.join("random");
    run(
        "generate",
        &[
            a("--random"),
            a("tiny"),
            a("--model"),
            random.as_ref(),
            a("--prompt"),
            a("a"),
            a("--max-new-tokens"),
            a("1"),
        ],
    );
    run("convert", &[a("--from"), random.as_ref(), a("--out"), odd.join("converted").as_ref()]);
}

#[test]
fn device_that_is_not_there_is_refused() {
    assert!(
        one_line("describe", &["--image", &photograph(), "--point", "1,1", "--device", "cuda"])
            .contains("cuda")
    );
    assert!(
        refused("describe", &["--image", &photograph(), "--point", "1,1", "--device", "abacus"])
            .contains("abacus")
    );
}

#[test]
fn selftest_names_every_device_and_fails_for_one_that_is_not_there() {
    let all = run("selftest", &["--json"]);
    assert!(all.status.success(), "{all:?}");
    let report: serde_json::Value = serde_json::from_slice(&all.stdout).unwrap();
    let devices = report["devices"].as_array().unwrap();
    assert_eq!(devices.len(), 3);
    assert_eq!((&devices[0]["device"], &devices[0]["works"]), (&"flex".into(), &true.into()));
    for device in devices.iter().filter(|device| device["works"] == false) {
        let name = device["device"].as_str().unwrap();
        let asked = run("selftest", &["--device", name]);
        let said = String::from_utf8(asked.stderr).unwrap();
        assert!(
            !asked.status.success() && said.contains(device["state"].as_str().unwrap()),
            "{said}"
        );
    }
}

#[test]
fn truncated_and_misshapen_weights_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let shipped = root().join("models/tiny");
    for name in MODEL_FILES {
        fs::copy(shipped.join(name), folder.path().join(name)).unwrap();
    }
    let model = folder.path().display().to_string();
    let arguments = ["--image", &photograph(), "--point", "1,1", "--model", &model];

    let weights = fs::read(shipped.join("model.safetensors")).unwrap();
    for bytes in [&weights[..weights.len() / 2], &weights[..20], b"not weights", &[]] {
        fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
        assert!(one_line("describe", &arguments).contains("model.safetensors"));
    }

    fs::write(folder.path().join("model.safetensors"), &weights).unwrap();
    let config = fs::read_to_string(shipped.join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["language"]["num_hidden_layers"] = 9.into();
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let line = one_line("describe", &arguments);
    assert!(line.contains("missing"), "{line}");

    fs::write(folder.path().join("config.json"), "{}").unwrap();
    assert!(one_line("describe", &arguments).contains("config.json"));
    fs::remove_file(folder.path().join("config.json")).unwrap();
    assert!(one_line("describe", &arguments).contains("config.json"));
}

#[test]
fn weights_are_converted_once_and_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let (source, out) = (root().join("models/tiny"), in_folder(&folder, "out"));
    let source = source.display().to_string();
    assert!(one_line("convert", &["--from", "no/such.pth", "--out", &out]).contains("no/such.pth"));
    assert!(
        one_line("convert", &["--from", &source, "--out", &out, "--max-shard-gib=nan"])
            .contains("above 0")
    );
    assert!(
        one_line("convert", &["--from", &source, "--out", &out, "--lora-alpha=nan"])
            .contains("above 0")
    );
    let for_base = ["--from", &source, "--out", &out, "--network", "omg-llava-7b"];
    assert!(one_line("convert", &for_base).contains("of the network's tensors"));
    assert!(!Path::new(&out).exists());
    assert!(run("convert", &["--from", &source, "--out", &out]).status.success());
    assert!(
        one_line("convert", &["--from", &source, "--out", &out])
            .contains("already contains weights")
    );
}
