//! Lists the files of the page, which become part of the program.

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=page");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let mut files = Vec::new();
    list(&root.join("page"), "", &mut files)?;
    files.sort();

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("page_files.rs");
    let mut table = fs::File::create(out)?;
    writeln!(table, "[")?;
    for (address, path) in &files {
        writeln!(
            table,
            "({address:?}, include_bytes!({:?}).as_slice()),",
            path.display().to_string()
        )?;
    }
    writeln!(table, "]")
}

/// Every file below a folder with its address; what is written for people is left out.
fn list(folder: &Path, address: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for item in fs::read_dir(folder)? {
        let path = item?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let address = format!("{address}/{name}");
        if path.is_dir() {
            list(&path, &address, files)?;
        } else if !name.ends_with(".md") && !name.starts_with('.') {
            files.push((address, path));
        }
    }
    Ok(())
}
