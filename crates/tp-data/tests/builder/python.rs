//! Hugging Face's `datasets` and `pyarrow` read what is written; passed over where Python or they are absent.

use std::{path::Path, process::Command};

use super::scenes_on_disk::{Run, ScenesOnDisk};

#[test]
fn datasets_and_pyarrow_read_the_rows() {
    let python = std::env::var("TP_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_both = Command::new(&python).args(["-c", "import datasets, pyarrow, PIL"]).output().is_ok_and(|output| output.status.success());
    if !has_both {
        println!("passed over: {python} has no datasets, pyarrow and Pillow; TP_PYTHON may name another");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 10);
    let out = folder.path().join("out");
    Run::new(&dataset, &out).finished();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/builder/read_dataset.py");
    let output = Command::new(&python)
        .arg(script)
        .arg(&out)
        .env("HF_HOME", folder.path().join("cache"))
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
