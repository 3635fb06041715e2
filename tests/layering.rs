//! Which crates may depend on which, and which packages the default build must not contain.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::Value;

/// Every crate with the crates of this workspace on which it may depend, in the order of
/// `docs/ARCHITECTURE.md`.
const MAY_USE: [(&str, &[&str]); 17] = [
    ("tp-core", &[]),
    ("tp-metrics", &["tp-core"]),
    ("tp-data", &["tp-core"]),
    ("tp-scenes", &["tp-core", "tp-data"]),
    ("tp-builder", &["tp-core", "tp-data", "tp-scenes"]),
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
            "tp-scenes",
            "tp-builder",
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
    (
        "tp-parity",
        &[
            "talking-points",
            "tp-core",
            "tp-weights",
            "tp-kernels",
            "tp-vision",
            "tp-language",
            "tp-descriptor",
            "tp-localizer",
            "tp-rl",
        ],
    ),
    // Its tests let the builder's teachers ask the server.
    ("tp-serve", &["talking-points", "tp-builder"]),
    ("talking-points-cli", &["talking-points", "tp-builder", "tp-parity", "tp-serve"]),
];

/// These crates compile in seconds and are tested without a device.
const WITHOUT_BURN: [&str; 5] = ["tp-core", "tp-metrics", "tp-data", "tp-scenes", "tp-builder"];

/// Packages that compile C or assembly, or link a system library.
const NATIVE: [&str; 8] =
    ["aws-lc-sys", "bindgen", "cc", "cmake", "nasm-rs", "pkg-config", "ring", "vcpkg"];

/// Part of every resolution but compiled for Haiku only: a lock file lists the dependencies of all
/// platforms.
const FOR_HAIKU: &str = "iana-time-zone-haiku";

fn cargo(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--offline")
        .current_dir(folder)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

/// The packages in the normal and build dependency tree of a crate with default features. They are
/// all downloaded, because the tests of the workspace are built from them.
fn tree(package: &str) -> BTreeSet<String> {
    let arguments = [
        "tree",
        "--locked",
        "--package",
        package,
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    cargo(Path::new(env!("CARGO_MANIFEST_DIR")), &arguments)
        .lines()
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect()
}

/// The packages to which a crate is resolved with these features, with their dependents.
///
/// `cargo tree` would need the manifests of all packages, and those of optional features may not be
/// downloaded. Resolving a package that depends on the crate needs only their index entries, which
/// cargo caches from the first build. The versions are those of our lock file; dependencies of
/// other platforms are included.
fn resolved(package: &str, features: &[&str]) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Inside the target folder, so that cargo uses the same configuration as for the workspace.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = serde_json::to_string(&root.join("crates").join(package)).unwrap(); // quoted as TOML quotes
    let manifest = format!(
        "[package]\nname = \"asks\"\nedition = \"2024\"\n[workspace]\n[dependencies.{package}]\npath = {path}\nfeatures = {features:?}\n"
    );
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("src/lib.rs"), "").unwrap();
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    fs::copy(root.join("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
    cargo(folder.path(), &["update", "--workspace", "--quiet"]);

    let (ours, resolved) = (locked(root), locked(folder.path()));
    let mut users = BTreeMap::new();
    let mut open = vec![package.to_owned()];
    while let Some(user) = open.pop() {
        for (used, version) in
            resolved.iter().filter(|((name, _), _)| *name == user).flat_map(|(_, used)| used)
        {
            assert!(
                ours.contains_key(&(used.clone(), version.clone())),
                "{used} {version} is not in Cargo.lock"
            );
            if used != FOR_HAIKU && !users.contains_key(used) {
                users.insert(used.clone(), user.clone());
                open.push(used.clone());
            }
        }
    }
    users
}

/// The name and the version of a package.
type NameAndVersion = (String, String);

/// The content of a folder's `Cargo.lock`: every package with its dependencies.
fn locked(folder: &Path) -> BTreeMap<NameAndVersion, Vec<NameAndVersion>> {
    let text = fs::read_to_string(folder.join("Cargo.lock")).unwrap();
    let quoted = |line: &str| line.split('"').nth(1).unwrap_or_default().to_owned();
    let field = |package: &str, name: &str| {
        package.lines().find(|line| line.starts_with(name)).map(quoted).unwrap_or_default()
    };
    let packages: Vec<&str> = text.split("[[package]]").skip(1).collect();
    let versions: BTreeSet<NameAndVersion> = packages
        .iter()
        .map(|package| (field(package, "name"), field(package, "version")))
        .collect();
    // The version of a dependency is omitted if only one version is in the file.
    let whole = |dependency: String| match dependency.split_once(' ') {
        Some((name, version)) => {
            (name.to_owned(), version.split(' ').next().unwrap_or_default().to_owned())
        }
        None => versions
            .iter()
            .find(|(name, _)| *name == dependency)
            .cloned()
            .expect("a lock file holds what it names"),
    };
    let dependencies = |package: &str| {
        package
            .lines()
            .filter(|line| line.starts_with(" \""))
            .map(|line| whole(quoted(line)))
            .collect()
    };
    packages
        .iter()
        .map(|package| ((field(package, "name"), field(package, "version")), dependencies(package)))
        .collect()
}

#[test]
fn arrows_between_crates_point_downwards() {
    let metadata: Value = serde_json::from_str(&cargo(
        Path::new(env!("CARGO_MANIFEST_DIR")),
        &["metadata", "--locked", "--format-version", "1", "--no-deps"],
    ))
    .unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let is_ours = |name: &str| name.starts_with("talking-points") || name.starts_with("tp-");
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
            assert!(
                ["tp-benches", "tp-features"].contains(&name),
                "a new crate needs an entry in MAY_USE and in docs/ARCHITECTURE.md: {name}"
            );
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            assert!(
                !is_ours(used) || used == "tp-features" || allowed.contains(&used),
                "{name} may not use {used}"
            );
        }
    }
}

#[test]
fn burn_stays_out_of_what_knows_no_model() {
    for package in WITHOUT_BURN {
        let burn: Vec<_> =
            tree(package).into_iter().filter(|name| name.starts_with("burn")).collect();
        assert!(burn.is_empty(), "{package} pulls {burn:?}");
    }
}

#[test]
fn default_build_compiles_no_c() {
    // The command's default build is these two and the builder, which has a test of its own.
    for package in ["talking-points", "tp-serve"] {
        let native: Vec<_> =
            tree(package).into_iter().filter(|name| NATIVE.contains(&name.as_str())).collect();
        assert!(native.is_empty(), "{package}: {native:?}");
    }
}

#[test]
fn builder_and_buckets_compile_no_c() {
    for (features, expected) in [(&[][..], "parquet"), (&["bucket"], "object_store")] {
        let users = resolved("tp-builder", features);
        let native: Vec<_> =
            users.iter().filter(|(name, _)| NATIVE.contains(&name.as_str())).collect();
        assert!(
            users.contains_key(expected) && native.is_empty(),
            "{features:?} brings (package, for) {native:?}"
        );
    }
    // The same function finds existing dependencies.
    let users = resolved("tp-builder", &["https"]);
    assert!(users.contains_key("ring") && users.contains_key("cc"), "{:?}", users.keys());
}

#[test]
fn unsafe_code_is_forbidden_outside_the_kernels() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (package, _) in MAY_USE {
        let folder = if package == "talking-points" {
            root.to_owned()
        } else {
            root.join("crates").join(package)
        };
        let file = ["src/lib.rs", "src/main.rs"]
            .map(|file| folder.join(file))
            .into_iter()
            .find(|file| file.is_file())
            .unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            text.contains("#![forbid(unsafe_code)]"),
            package != "tp-kernels",
            "{}",
            file.display()
        );
    }
}

/// The Rust files below a folder.
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
    // The default device depends on the features of the build and on an environment variable.
    let asked = concat!("Device::", "default()");
    let mut files = Vec::new();
    for folder in ["src", "examples", "tests", "benches", "crates"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    assert!(files.len() > 100, "{} files", files.len());
    let asking: Vec<_> = files
        .iter()
        .filter(|file| std::fs::read_to_string(file).unwrap().contains(asked))
        .collect();
    assert!(asking.is_empty(), "{asking:?}");
}
