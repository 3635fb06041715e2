//! Reading the outputs with common engines: Hugging Face's `datasets`, `pyarrow`, Ray Data and
//! Spark. Skipped if Python or an engine is not installed.

use std::{path::Path, process::Command};

use tp_builder::BuildConfig;

use super::scenes_on_disk::{Run, ScenesOnDisk};

#[test]
fn datasets_and_pyarrow_read_the_rows() {
    read_by("read_dataset.py", &[], "datasets, pyarrow, PIL");
}

#[test]
fn datasets_reads_the_shards_in_two_processes() {
    read_by("read_with_engines.py", &["datasets"], "datasets, PIL");
}

#[test]
fn ray_reads_the_shards_in_parallel_blocks() {
    read_by("read_with_engines.py", &["ray"], "ray.data, PIL");
}

#[test]
fn spark_reads_the_shards_in_parallel_partitions() {
    read_by("read_with_engines.py", &["spark"], "pyspark, PIL");
}

/// Runs a script that reads a data set of several shards with several row groups each; it fails if
/// a row differs.
fn read_by(script: &str, arguments: &[&str], packages: &str) {
    let python = std::env::var("TP_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_all = Command::new(&python)
        .args(["-c", &format!("import {packages}")])
        .output()
        .is_ok_and(|output| output.status.success());
    if !has_all {
        println!("skipped: {python} cannot import {packages}; TP_PYTHON may name another");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 20);
    let out = folder.path().join("out");
    let mut run = Run::new(&dataset, &out);
    run.recipe = BuildConfig { rows_per_group: 20, rows_per_file: 60, ..BuildConfig::default() };
    run.finished();
    let output = Command::new(&python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/builder").join(script))
        .arg(&out)
        .args(arguments)
        .env("HF_HOME", folder.path().join("cache"))
        .env("HF_HUB_OFFLINE", "1")
        .env("RAY_USAGE_STATS_ENABLED", "0")
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
