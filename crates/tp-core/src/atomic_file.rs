//! Atomic file writes: a file is either written completely or not at all.
//!
//! Only regular files are replaced. Symbolic links are followed, so that the link stays and its
//! target is replaced. Devices and pipes are written directly, because a rename would replace them
//! by a regular file.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
};

use tempfile::{Builder, NamedTempFile};

/// The maximum number of links that are followed, as on Linux.
const MAX_LINKS: usize = 40;

/// Writes a file through a temporary name in the same folder, syncs it, renames it, and syncs the
/// folder.
///
/// At any time `path` holds either its previous content or everything that `write` wrote. A
/// symbolic link is followed: its target is replaced, or created if it does not exist. A new file
/// gets the mode that the umask leaves. A replaced file keeps its mode, and its owner where the
/// system allows it.
///
/// A pipe, a terminal, a character device or an open descriptor (`/dev/stdout`) cannot be replaced
/// and is written directly, so output before a failure is not undone.
///
/// # Errors
///
/// Any error of `write` or of the file system; the temporary file is then removed. A folder, a
/// socket, a block device, a cycle of links and a read-only file are rejected before `write` is
/// called.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> io::Result<()> {
    match Target::of(path)? {
        Target::File { path, old } => replace(&path, old.as_ref(), write),
        Target::Stream(mut stream) => buffered(&mut stream, write),
    }
}

/// The target of a path.
enum Target {
    /// A regular file after following all links, or a path at which no file exists yet.
    File { path: PathBuf, old: Option<Metadata> },
    /// Something that can be written but not replaced, open for writing.
    Stream(File),
}

impl Target {
    fn of(path: &Path) -> io::Result<Self> {
        let mut path = path.to_owned();
        for _ in 0..=MAX_LINKS {
            if let Some(stream) = open_descriptor(&path)? {
                return Ok(Self::Stream(stream));
            }
            let about = match fs::symlink_metadata(&path) {
                Ok(about) => about,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Ok(Self::File { path, old: None });
                }
                Err(error) => return Err(error),
            };
            if !about.is_symlink() {
                return Self::at_end(path, about);
            }
            // A relative target is resolved against the folder of its link; an absolute one
            // replaces it.
            path = folder_of(&path).join(fs::read_link(&path)?);
        }
        Err(io::Error::new(
            ErrorKind::InvalidInput,
            "its symbolic links lead in a circle, or there are more than 40 of them",
        ))
    }

    fn at_end(path: PathBuf, about: Metadata) -> io::Result<Self> {
        if about.is_file() {
            // A rename does not check whether the old file is writable.
            OpenOptions::new().write(true).open(&path)?;
            return Ok(Self::File { path, old: Some(about) });
        }
        match refusal(&about) {
            Some((kind, reason)) => Err(io::Error::new(kind, reason)),
            None => OpenOptions::new().write(true).open(&path).map(Self::Stream),
        }
    }
}

/// Why a file that is not regular is rejected; `None` for pipes, terminals and character devices.
fn refusal(about: &Metadata) -> Option<(ErrorKind, &'static str)> {
    if about.is_dir() {
        return Some((ErrorKind::IsADirectory, "it is a folder; name a file"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if about.file_type().is_socket() {
            return Some((ErrorKind::InvalidInput, "it is a socket; name a file or a pipe"));
        }
        if about.file_type().is_block_device() {
            return Some((
                ErrorKind::InvalidInput,
                "it is a block device, whose content would be lost; name a file",
            ));
        }
    }
    None
}

/// An open file descriptor of this process, as `/dev/stdout` names it. The file behind it must not
/// be replaced: the shell may append to it (`>>`), and whoever opened it would not see the new
/// file.
#[cfg(unix)]
fn open_descriptor(path: &Path) -> io::Result<Option<File>> {
    use std::os::fd::AsFd;
    let Some(number) = path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()) else {
        return Ok(None);
    };
    let Ok(folder) = fs::canonicalize(folder_of(path)) else { return Ok(None) };
    let is_ours = folder == Path::new("/dev/fd")
        || folder == Path::new(&format!("/proc/{}/fd", std::process::id()));
    let is_of_others = folder.starts_with("/proc") && folder.ends_with("fd");
    if !is_ours && !is_of_others {
        return Ok(None);
    }
    // A duplicated descriptor shares its position with other output of the process.
    let duplicate = match number {
        1 if is_ours => {
            io::stdout().flush()?;
            Some(io::stdout().as_fd().try_clone_to_owned()?)
        }
        2 if is_ours => Some(io::stderr().as_fd().try_clone_to_owned()?),
        _ => None,
    };
    match duplicate {
        Some(descriptor) => Ok(Some(File::from(descriptor))),
        None => OpenOptions::new().append(true).open(path).map(Some),
    }
}

#[cfg(not(unix))]
fn open_descriptor(_: &Path) -> io::Result<Option<File>> {
    Ok(None)
}

fn replace(
    path: &Path,
    old: Option<&Metadata>,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> io::Result<()> {
    let folder = folder_of(path);
    let mut file = temporary(folder, old)?;
    buffered(file.as_file_mut(), write)?;
    file.as_file().sync_all()?;
    if let Some(old) = old {
        look_like(file.as_file(), old)?;
    }
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

fn buffered(
    file: &mut File,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffered = BufWriter::new(file);
    write(&mut buffered)?;
    buffered.flush()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A new file gets the mode of the umask. A file that replaces another one is private until it has
/// the mode of that file.
#[cfg(unix)]
fn temporary(folder: &Path, old: Option<&Metadata>) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    let mode = if old.is_some() { 0o600 } else { 0o666 };
    Builder::new().permissions(fs::Permissions::from_mode(mode)).tempfile_in(folder)
}

#[cfg(not(unix))]
fn temporary(folder: &Path, _: Option<&Metadata>) -> io::Result<NamedTempFile> {
    Builder::new().tempfile_in(folder)
}

/// Copies mode and owner of the replaced file.
#[cfg(unix)]
fn look_like(file: &File, old: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    // Only root can change the owner, and failing to do so is not a reason not to write. The mode
    // is set last, because a change of owner may clear some of its bits.
    let _ = fchown(file, Some(old.uid()), Some(old.gid()));
    file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o777))
}

#[cfg(not(unix))]
fn look_like(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Syncs the folder, so that the rename itself is on disk.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        write_atomically(&path, |file| file.write_all(b"old")).unwrap();
        let failed = write_atomically(&path, |file| {
            file.write_all(b"half of the ne")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn folder_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        std::fs::create_dir(&path).unwrap();
        let error = write_atomically(&path, |_| panic!("nothing is written")).unwrap_err();
        assert_eq!(error.to_string(), "it is a folder; name a file");
        assert!(path.is_dir());
    }
}
