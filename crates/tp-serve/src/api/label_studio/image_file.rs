//! The image of a task: in a data: URL, or a file of Label Studio's.

use std::{
    fs::File,
    io::Read,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use axum::body::Bytes;
use percent_encoding::percent_decode_str;

use super::Task;
use crate::{
    app::{App, blocking},
    memory::Reserved,
    problem::{Problem, ProblemKind},
    upload::decode_file,
};

/// The path of files that Label Studio serves from its storage; the file is in the query.
const LOCAL_FILES: &str = "/data/local-files/?d=";
/// The path of files that were uploaded.
const UPLOADS: &str = "/data/";

/// The bytes of a task's image.
///
/// # Errors
///
/// A problem if there is none, or it is not in the folder.
pub(super) async fn read(
    app: &Arc<App>,
    task: &Task,
    field: &str,
) -> Result<(Bytes, Reserved), Problem> {
    let address = task.data.get(field).and_then(|value| value.as_str()).map(str::to_owned);
    let address = address.ok_or_else(|| {
        Problem::unusable(format!("the data of the task has no text `{field}` with its image"))
    })?;
    let mut memory = app.memory.reserve();
    let (folder, limit) = (app.config.label_studio_files.clone(), app.config.max_body_bytes);
    blocking(move || {
        if address.starts_with("data:") {
            return Ok((decode_file(&address, &mut memory)?, memory));
        }
        let folder = folder.ok_or_else(|| {
            Problem::unusable(
                "the image must be a data: URL, unless the server is started with --label-studio-files DIR",
            )
        })?;
        let path = inner_path(&address).ok_or_else(|| {
            Problem::unusable(
                "the image must be a data: URL or a file of Label Studio, /data/upload/… or /data/local-files/?d=…",
            )
        })?;
        let bytes = read_inside(&folder, &path, limit, &mut memory)?;
        Ok((bytes, memory))
    })
    .await?
}

/// The path of a file below the folder, without any way out of it.
fn inner_path(address: &str) -> Option<PathBuf> {
    let relative = address.strip_prefix(LOCAL_FILES).or_else(|| address.strip_prefix(UPLOADS))?;
    let relative = percent_decode_str(relative).decode_utf8().ok()?;
    let path = Path::new(&*relative);
    let mut parts = path.components().peekable();
    let is_inner = parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)));
    (is_inner && !relative.contains(['\0', '\\'])).then(|| path.to_owned())
}

/// The bytes of a file in a folder; symbolic links may not lead out of it.
fn read_inside(
    folder: &Path,
    path: &Path,
    limit: usize,
    memory: &mut Reserved,
) -> Result<Bytes, Problem> {
    // Whether a file outside exists is nobody's business.
    let missing = || {
        let detail =
            format!("there is no file {} in the folder of Label Studio's files", path.display());
        Problem::new(ProblemKind::NotAnImage, detail)
    };
    let folder = folder.canonicalize().map_err(|_| missing())?;
    let whole = folder.join(path).canonicalize().map_err(|_| missing())?;
    if !whole.starts_with(&folder) || !whole.is_file() {
        return Err(missing());
    }
    let file = File::open(&whole).map_err(|_| missing())?;
    let mut bytes = Vec::new();
    file.take((limit as u64).saturating_add(1)).read_to_end(&mut bytes).map_err(|_| missing())?;
    if bytes.len() > limit {
        let detail = format!("{} has more than {limit} bytes", path.display());
        return Err(Problem::new(ProblemKind::TooLarge, detail));
    }
    memory.grow(bytes.len())?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        for (address, path) in [
            ("/data/upload/1/a%20b.jpg", Some("upload/1/a b.jpg")),
            ("/data/local-files/?d=photos/a.jpg", Some("photos/a.jpg")),
            ("/data/local-files/?d=../a.jpg", None),
            ("/data/local-files/?d=%2e%2e/a.jpg", None),
            ("/data/local-files/?d=/etc/passwd", None),
            ("/data/../a.jpg", None),
            ("/data/a%00.jpg", None),
            ("/data/..%5ca.jpg", None),
            ("/data/", None),
            ("/etc/passwd", None),
            ("http://localhost/data/upload/a.jpg", None),
            ("file:///data/a.jpg", None),
        ] {
            assert_eq!(inner_path(address), path.map(PathBuf::from), "{address}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_do_not_lead_out() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.jpg"), "abc").unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
        let memory = crate::memory::RequestMemory::new(1_000);
        let read = |path: &str, limit| {
            read_inside(folder.path(), Path::new(path), limit, &mut memory.reserve())
        };
        assert_eq!(read("a.jpg", 3).unwrap(), "abc");
        assert_eq!(read("a.jpg", 2).unwrap_err().kind, ProblemKind::TooLarge);
        for missing in ["link/secret", "b.jpg", "link"] {
            assert_eq!(read(missing, 10).unwrap_err().kind, ProblemKind::NotAnImage, "{missing}");
        }
    }
}
