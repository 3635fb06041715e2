//! Every subcommand with input that cannot be used: one line on standard error, exit code not 0,
//! nothing left behind.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

/// The files of the shipped model that loading it reads.
const MODEL_FILES: [&str; 4] = ["config.json", "nouns.json", "tokenizer.json", "model.safetensors"];

/// The program with a subcommand, "data build" or the like.
fn program(command: &str) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_talking-points"));
    program.args(command.split(' '));
    program
}

fn run(command: &str, arguments: &[&str]) -> Output {
    program(command).args(arguments).output().unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// The folder of the workspace.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Runs a subcommand that must refuse its input, and gives the line that it says.
fn refused(command: &str, arguments: &[&str]) -> String {
    let output = run(command, arguments);
    assert!(!output.status.success(), "{command} {arguments:?} accepted its input");
    assert!(output.stdout.is_empty(), "{command} {arguments:?} printed a result");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("panicked"), "{command} {arguments:?}: {text}");
    text
}

/// The same, where clap does not speak first: exactly one line.
fn one_line(command: &str, arguments: &[&str]) -> String {
    let text = refused(command, arguments);
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(lines.len(), 1, "{command} {arguments:?}: {text}");
    lines[0].to_owned()
}

fn printed(command: &str, arguments: &[&str]) -> String {
    let output = run(command, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn photograph() -> String {
    root().join("examples/images/horse.jpg").display().to_string()
}

fn in_folder(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

/// A PNG that claims 60,000 by 60,000 pixels in 60 bytes.
fn bomb() -> Vec<u8> {
    let mut png = vec![0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13];
    let mut header = b"IHDR".to_vec();
    header.extend(60_000_u32.to_be_bytes());
    header.extend(60_000_u32.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    png.extend(&header);
    png.extend(crc32(&header).to_be_bytes());
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
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
fn missing_image_is_named() {
    for (command, rest) in [
        ("round-trip", vec!["--point", "1,1"]),
        ("describe", vec!["--point", "1,1"]),
        ("locate", vec!["--text", "a hoof"]),
        ("show predictions", vec!["--out", "never.png"]),
    ] {
        let mut arguments = vec!["--image", "no/such.jpg"];
        arguments.extend(rest);
        assert!(one_line(command, &arguments).contains("no/such.jpg"), "{command}");
    }
}

#[test]
fn broken_images_and_bombs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(photograph()).unwrap();
    for (name, bytes) in [
        ("cut.jpg", &whole[..whole.len() / 2]),
        ("text.png", b"hello, world".as_slice()),
        ("empty.png", &[]),
        ("bomb.png", &bomb()),
    ] {
        let path = in_folder(&folder, name);
        fs::write(&path, bytes).unwrap();
        assert!(
            one_line("describe", &["--image", &path, "--point", "1,1"]).contains(name),
            "{name}"
        );
    }
}

#[test]
fn points_outside_the_image_are_refused_with_its_size() {
    for point in ["640,10", "-1,10", "nan,10", "10,inf", "1e3,5", "-1, 5", " -.6,-0"] {
        for arguments in
            [vec![format!("--point={point}")], vec!["--point".to_owned(), point.to_owned()]]
        {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let line =
                one_line("describe", &[&["--image", &photograph()], &arguments[..]].concat());
            assert!(line.contains("640 pixels wide and 360 high"), "{line}");
        }
    }
    // The others that take a point, and numbers that have a range of their own.
    let (folder, photograph) = (tempfile::tempdir().unwrap(), photograph());
    let out = in_folder(&folder, "out.png");
    for command in ["round-trip", "show mask"] {
        assert!(
            one_line(command, &["--image", &photograph, "--point", "-1,5", "--out", &out])
                .contains("point (-1, 5) is not in the image")
        );
    }
    assert!(
        one_line(
            "show mask",
            &["--image", &photograph, "--point", "1,5", "--out", &out, "--sigma", "-1"]
        )
        .contains("sigma > 0")
    );
    assert!(
        one_line("data sift", &["--image", &photograph, "--contrast", "-1"]).contains("contrast")
    );
    assert!(refused("data scene", &["--statistics", "-3"]).contains("'-3'"));
    assert!(!Path::new(&out).exists());
}

#[test]
fn point_that_is_no_point_is_refused() {
    for point in ["middle", "1 5", "1;5", "1,2,3", "-1", "1,", "--json"] {
        let text = refused("describe", &["--image", &photograph(), "--point", point]);
        assert!(
            text.contains(&format!("`{point}` is not a point")) && text.contains("as in 120,85"),
            "{text}"
        );
    }
}

#[test]
fn empty_and_endless_texts_are_refused() {
    assert!(one_line("locate", &["--image", &photograph(), "--text", "  "]).contains("empty"));
    let endless = "horse ".repeat(10_000);
    assert!(
        one_line("locate", &["--image", &photograph(), "--text", &endless]).contains("shorten it")
    );
}

#[test]
fn texts_may_begin_with_a_hyphen_and_swallow_no_flag() {
    let line = one_line(
        "locate",
        &["--image", "no/such.jpg", "--text", "- the nose", "--text", "-5 degrees"],
    );
    assert!(line.contains("no/such.jpg"), "{line}");
    assert!(
        refused("locate", &["--image", &photograph(), "--text", "--json"])
            .contains("`--json` is a flag")
    );
    assert!(
        refused("generate", &["--random", "tiny", "--prompt", "--json"])
            .contains("`--json` is a flag")
    );
}

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
fn unwritable_picture_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let out = in_folder(&folder, "no/such/folder/mask.png");
    assert!(
        one_line("show mask", &["--image", &photograph(), "--point", "1,1", "--out", &out])
            .contains("mask.png")
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn mask_without_a_region_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = in_folder(&folder, "mask.png");
    for sigma in ["0", "-1", "nan"] {
        let line = one_line(
            "show mask",
            &[
                "--image",
                &photograph(),
                "--point",
                "1,1",
                "--out",
                &out,
                &format!("--sigma={sigma}"),
            ],
        );
        assert!(line.contains("sigma > 0"), "{line}");
    }
    assert!(!Path::new(&out).exists());
}

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

/// A COCO folder with one horse of two parts, of no family.
fn coco_folder() -> TempDir {
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

/// The JSON that a subcommand printed.
fn json(command: &str, arguments: &[&str]) -> serde_json::Value {
    let output = run(command, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn language_model_of_a_gguf_file_writes_on_in_its_blocks() {
    let file = root().join("crates/tp-language/tests/fixtures/gguf/llama.gguf");
    let model = file.display().to_string();
    let asked = ["--model", &model, "--prompt", "the horse", "--max-new-tokens", "6"];
    let answer = json("generate", &asked);
    let text = &answer["answers"][0]["text"];
    assert!(text.is_string() && answer["answers"][0]["tokens"].as_u64().unwrap() <= 6, "{answer}");
    // The chat template of the file stands around the prompt, unless it is left out.
    let plain = json("generate", &[&asked[..], &["--plain"]].concat());
    assert!(plain["prompt_tokens"].as_u64() < answer["prompt_tokens"].as_u64(), "{plain}");
    // All of its matrices have eight bits or fewer, and keep their format.
    let again = json("generate", &[&asked[..], &["--weights", "q4_0"]].concat());
    assert_eq!(again["answers"][0]["text"], *text);
    let wide = one_line("generate", &[&asked[..], &["--weights", "f32"]].concat());
    assert!(wide.contains("omit --weights f32"), "{wide}");

    let folder = tempfile::tempdir().unwrap();
    let cut = in_folder(&folder, "cut.gguf");
    let bytes = fs::read(&file).unwrap();
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    assert!(one_line("generate", &["--model", &cut, "--prompt", "a"]).contains("cut.gguf"));
    let none = in_folder(&folder, "none.gguf");
    assert!(one_line("generate", &["--model", &none, "--prompt", "a"]).contains("none.gguf"));
}

#[test]
fn language_model_of_a_folder_is_read_into_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let model = in_folder(&folder, "model");
    let asked = ["--model", &model, "--prompt", "what is a hoof?", "--max-new-tokens", "8"];
    let text = |arguments: &[&str]| {
        let answer = json("generate", &[&asked[..], arguments].concat());
        answer["answers"][0].clone()
    };
    let wide = text(&["--random", "tiny"]);
    let eight = text(&["--weights", "q8_0"]);
    assert_eq!(text(&["--int8"]), eight);
    // The same model, with other numbers in it.
    let log_prob = |answer: &serde_json::Value| answer["mean_log_prob"].as_f64().unwrap();
    let off = (log_prob(&eight) - log_prob(&wide)).abs();
    assert!(off > 0.0 && off < 0.2, "{eight} {wide}");
    assert_ne!(text(&["--weights", "q4_0"]), eight);
    let other = refused("generate", &[&asked[..], &["--weights", "q5_0"]].concat());
    assert!(other.contains("q8_0") && other.contains("q4_0"), "{other}");
    refused("generate", &[&asked[..], &["--int8", "--weights", "q4_0"]].concat());
}

#[test]
fn points_are_described_and_located_with_a_language_model_in_blocks() {
    let image = photograph();
    for weights in ["f32", "q8_0", "q4_0"] {
        let asked = ["--image", &image, "--weights", weights];
        let described = json("describe", &[&asked[..], &["--point", "200,150"]].concat());
        assert!(!described["points"][0]["description"].as_str().unwrap().is_empty());
        let located = json("locate", &[&asked[..], &["--text", "the ear of the horse"]].concat());
        assert!(located.is_object(), "{located}");
    }
    // What learns needs numbers that can change.
    assert!(refused("reinforce", &["--weights", "q8_0"]).contains("--weights"));
}

#[test]
fn language_model_writes_on_and_refuses_what_it_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let model = in_folder(&folder, "random");
    let asked = ["--model", &model, "--prompt", "a hoof", "--max-new-tokens", "5", "--json"];
    // Without a folder the random model is left nowhere, and is the same one.
    let passing = run("generate", &[&asked[2..], &["--random", "tiny"]].concat());
    assert!(passing.status.success(), "{}", String::from_utf8_lossy(&passing.stderr));
    assert!(!Path::new(&model).exists());
    assert!(refused("generate", &["--prompt", "x"]).contains("--model"));
    let first = run("generate", &[&asked[..], &["--random", "tiny"]].concat());
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let answer =
        |output: &Output| serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
    assert_eq!(answer(&first)["answers"][0]["tokens"], 5);
    assert_eq!(answer(&first)["answers"], answer(&passing)["answers"]);
    let again = answer(&run("generate", &[&asked[..], &["--answers", "3"]].concat()));
    // Without a temperature there is one answer, however often it is written.
    for row in 0..3 {
        assert_eq!(again["answers"][row]["text"], answer(&first)["answers"][0]["text"]);
    }

    // A model that is there is never written over.
    assert!(
        one_line("generate", &[&asked[..], &["--random", "tiny"]].concat())
            .contains("already contains a model")
    );
    assert!(one_line("generate", &["--model", &model, "--prompt", " "]).contains("empty"));
    let endless = "hoof ".repeat(3000);
    assert!(
        one_line("generate", &["--model", &model, "--prompt", &endless]).contains("2048 places")
    );
    assert!(one_line("generate", &["--model", "no/such", "--prompt", "x"]).contains("no/such"));
    let weights = Path::new(&model).join("model.safetensors");
    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    assert!(one_line("generate", &asked).contains("model.safetensors"));
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
    assert!(refusal(&["--recipe", "fast"]).contains("quick, small, paper"));
    assert!(refusal(&["--data", "no/such/data"]).contains("no/such/data"));
    let empty = in_folder(&folder, "empty");
    fs::create_dir(&empty).unwrap();
    assert!(refusal(&["--data", &empty]).contains("FORMAT:PATH"));
    assert!(refusal(&[&scenes[..], &["--data", &empty]].concat()).contains("sources are scenes"));
    assert!(refusal(&[&scenes[..], &["--phase", "7"]].concat()).contains("0-eyes"));
    assert!(refusal(&["--recipe", "small"]).contains("--backbone"));
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
    let quick = fs::read_to_string(crate::root().join("recipes/quick.toml")).unwrap();
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
