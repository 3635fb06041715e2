//! The arrows between the rooms of the house, and what the default build may not contain.

use std::{collections::BTreeSet, path::Path, process::Command};

use serde_json::Value;

/// Every crate and the crates of this workspace that it may use, in the order of `docs/ARCHITECTURE.md`.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("tp-core", &[]),
    ("tp-metrics", &["tp-core"]),
    ("tp-data", &["tp-core"]),
    ("tp-weights", &["tp-core"]),
    ("tp-kernels", &[]),
    ("tp-vision", &["tp-core", "tp-weights", "tp-kernels"]),
    ("tp-language", &["tp-core", "tp-weights", "tp-kernels"]),
    ("tp-descriptor", &["tp-core", "tp-weights", "tp-kernels", "tp-vision", "tp-language"]),
    ("tp-localizer", &["tp-core", "tp-weights", "tp-kernels", "tp-vision", "tp-language"]),
    ("tp-train", &["tp-core"]),
    ("tp-rl", &["tp-core", "tp-train"]),
    (
        "talking-points",
        &[
            "tp-core",
            "tp-metrics",
            "tp-data",
            "tp-weights",
            "tp-kernels",
            "tp-vision",
            "tp-language",
            "tp-descriptor",
            "tp-localizer",
            "tp-train",
            "tp-rl",
        ],
    ),
];

/// These compile in seconds and test without a device.
const WITHOUT_BURN: [&str; 3] = ["tp-core", "tp-metrics", "tp-data"];

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

/// The packages in the normal and build tree of one crate.
fn tree(package: &str) -> BTreeSet<String> {
    cargo(&["tree", "--package", package, "--edges", "normal,build", "--prefix", "none", "--format", "{p}"])
        .lines()
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect()
}

#[test]
fn arrows_between_crates_point_downwards() {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--no-deps"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let is_ours = |name: &str| name == "talking-points" || name.starts_with("tp-");
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
            assert_eq!(name, "tp-benches", "a new crate needs its place in MAY_USE and in docs/ARCHITECTURE.md");
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            assert!(!is_ours(used) || allowed.contains(&used), "{name} may not use {used}");
        }
    }
}

#[test]
fn burn_stays_out_of_core_metrics_and_data() {
    for package in WITHOUT_BURN {
        let burn: Vec<_> = tree(package).into_iter().filter(|name| name.starts_with("burn")).collect();
        assert!(burn.is_empty(), "{package} pulls {burn:?}");
    }
}

#[test]
fn default_build_compiles_no_c() {
    let native: Vec<_> =
        tree("talking-points").into_iter().filter(|name| ["cc", "cmake", "bindgen", "pkg-config"].contains(&name.as_str())).collect();
    assert!(native.is_empty(), "{native:?}");
}

#[test]
fn builder_and_buckets_compile_no_c() {
    let arguments = ["tree", "--package", "tp-data", "--features", "bucket", "--edges", "normal,build", "--prefix", "none"];
    let tree = cargo(&[&arguments[..], &["--format", "{p}"]].concat());
    let native = tree.lines().any(|line| ["cc ", "cmake ", "bindgen ", "pkg-config ", "ring "].iter().any(|name| line.starts_with(name)));
    assert!(tree.contains("object_store ") && !native, "{tree}");
}

#[test]
fn unsafe_code_is_forbidden_outside_the_kernels() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (package, _) in MAY_USE {
        let file = if package == "talking-points" { root.join("src/lib.rs") } else { root.join("crates").join(package).join("src/lib.rs") };
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.contains("#![forbid(unsafe_code)]"), package != "tp-kernels", "{}", file.display());
    }
}

/// Rust files under a folder.
fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for item in std::fs::read_dir(folder).expect("a folder of the workspace") {
        let path = item.expect("an entry of a folder").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn nobody_asks_for_burns_default_device() {
    // It changes with the features of the build, and with a variable of the environment.
    let asked = concat!("Device::", "default()");
    let mut files = Vec::new();
    for folder in ["src", "examples", "tests", "benches", "crates"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    assert!(files.len() > 100, "{} files", files.len());
    let asking: Vec<_> = files.iter().filter(|file| std::fs::read_to_string(file).unwrap().contains(asked)).collect();
    assert!(asking.is_empty(), "{asking:?}");
}
