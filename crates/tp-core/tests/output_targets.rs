//! Atomic writes to links, pipes and devices, and file modes.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
        net::UnixListener,
    },
    path::Path,
    process::{Command, Stdio},
};

use tp_core::write_atomically;

/// Set in the child processes that [`as_child`] starts: the path to write.
const CHILD_WRITES: &str = "TP_TEST_WRITES";

fn put(path: &Path, text: &str) -> io::Result<()> {
    write_atomically(path, |file| file.write_all(text.as_bytes()))
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Creates a pipe or a device; `false` if this machine does not permit it.
fn made(command: &str, path: &Path, arguments: &[&str]) -> bool {
    Command::new(command)
        .arg(path)
        .args(arguments)
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[test]
fn pipe_is_written_through_and_stays_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(made("mkfifo", &pipe, &[]), "mkfifo is part of every Unix");
    for target in [pipe.clone(), folder.path().join("link")] {
        if target != pipe {
            symlink("pipe", &target).unwrap();
        }
        // Open both ways, so that neither end waits for the other: a thread that reads could wait
        // forever if a process that another test is just starting has inherited an earlier reader.
        let mut reader = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
        put(&target, "through the pipe").unwrap();
        let mut received = [0; 16];
        reader.read_exact(&mut received).unwrap();
        assert_eq!(&received, b"through the pipe");
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
    }
    assert_eq!(names(folder.path()), ["link", "pipe"]);
}

#[test]
fn link_stays_and_its_target_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("far/away")).unwrap();
    let target = root.join("far/away/report.json");
    fs::write(&target, "old").unwrap();
    // Relative and absolute links, a link to a link, and a link whose target is reached through a
    // linked folder.
    symlink("far/away/report.json", root.join("relative")).unwrap();
    symlink(&target, root.join("absolute")).unwrap();
    symlink("relative", root.join("twice")).unwrap();
    symlink("far/away", root.join("folder")).unwrap();
    symlink("../away/report.json", root.join("far/away/inner")).unwrap();
    for link in ["relative", "absolute", "twice", "folder/report.json", "folder/inner"] {
        put(&root.join(link), link).unwrap();
        assert_eq!(text(&target), link);
    }
    for link in ["relative", "absolute", "twice", "folder", "far/away/inner"] {
        assert!(root.join(link).is_symlink(), "{link}");
    }
    assert_eq!(names(&root.join("far/away")), ["inner", "report.json"]);
}

#[test]
fn dangling_link_makes_its_target_and_a_circle_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    symlink("new.json", root.join("dangling")).unwrap();
    put(&root.join("dangling"), "new").unwrap();
    assert!(root.join("dangling").is_symlink() && !root.join("new.json").is_symlink());
    assert_eq!(text(&root.join("new.json")), "new");

    symlink("b", root.join("a")).unwrap();
    symlink("a", root.join("b")).unwrap();
    let error = put(&root.join("a"), "").unwrap_err().to_string();
    assert!(error.contains("in a circle"), "{error}");
    symlink("missing/new.json", root.join("nowhere")).unwrap();
    assert_eq!(put(&root.join("nowhere"), "").unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(names(root), ["a", "b", "dangling", "new.json", "nowhere"]);
}

#[test]
fn failure_in_the_middle_leaves_the_target_of_a_link_whole() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("far")).unwrap();
    fs::write(root.join("far/report"), "old").unwrap();
    symlink("far/report", root.join("link")).unwrap();
    let failed = write_atomically(&root.join("link"), |file| {
        file.write_all(&[b'x'; 100_000])?;
        Err(io::Error::other("disk full"))
    });
    assert_eq!(failed.unwrap_err().to_string(), "disk full");
    assert_eq!(text(&root.join("far/report")), "old");
    assert_eq!(
        (names(root), names(&root.join("far"))),
        (vec!["far".into(), "link".into()], vec!["report".into()])
    );
}

#[test]
fn socket_is_refused_and_stays_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    let error = put(&path, "").unwrap_err().to_string();
    assert!(error.contains("socket"), "{error}");
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
}

#[cfg(target_os = "linux")]
#[test]
fn devices_of_our_own_stay_devices() {
    let folder = tempfile::tempdir().unwrap();
    // The numbers of the null, the full and a loop device, created anew so that the machine's own
    // are not at risk.
    let device = |name: &str, numbers: [&str; 3]| {
        let path = folder.path().join(name);
        // A user namespace may allow creating a device that cannot be opened.
        (made("mknod", &path, &numbers)
            && (numbers[0] == "b" || OpenOptions::new().write(true).open(&path).is_ok()))
        .then_some(path)
    };
    let (null, full, disk) = (
        device("null", ["c", "1", "3"]),
        device("full", ["c", "1", "7"]),
        device("disk", ["b", "7", "250"]),
    );
    let (Some(null), Some(full), Some(disk)) = (null, full, disk) else {
        eprintln!("skipped: this user may not create device nodes");
        return;
    };
    put(&null, "swallowed").unwrap();
    // Writing to the full device fails, and the failure must be reported.
    assert_eq!(put(&full, "too much").unwrap_err().kind(), io::ErrorKind::StorageFull);
    let error = put(&disk, "").unwrap_err().to_string();
    assert!(error.contains("block device"), "{error}");
    let kind = |path: &Path| fs::symlink_metadata(path).unwrap().file_type();
    assert!(
        kind(&null).is_char_device()
            && kind(&full).is_char_device()
            && kind(&disk).is_block_device()
    );
    assert_eq!(names(folder.path()), ["disk", "full", "null"]);
}

#[test]
fn old_file_keeps_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report");
    for wanted in [0o600, 0o640, 0o664, 0o755] {
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(wanted)).unwrap();
        put(&path, "new").unwrap();
        assert_eq!((mode(&path), text(&path).as_str()), (wanted, "new"));
    }
}

#[test]
fn file_that_may_not_be_written_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
    if OpenOptions::new().write(true).open(&path).is_ok() {
        eprintln!("skipped: root may write every file");
        return;
    }
    assert_eq!(put(&path, "new").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    assert_eq!(text(&path), "old");
}

/// Runs [`child_writes`] in a separate process, started by a shell line in which `$0` is the
/// program.
fn as_child(line: &str, path: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]).arg(std::env::current_exe().unwrap()).env(CHILD_WRITES, path);
    command
}

const CHILD: &str = "\"$0\" --exact child_writes --quiet --nocapture";

#[test]
fn child_writes() {
    if let Some(path) = std::env::var_os(CHILD_WRITES) {
        put(Path::new(&path), "from the child\n").unwrap();
    }
}

#[test]
fn new_file_has_the_mode_that_the_umask_leaves() {
    let folder = tempfile::tempdir().unwrap();
    for (mask, wanted) in [("022", 0o644), ("002", 0o664), ("077", 0o600), ("000", 0o666)] {
        let path = folder.path().join(mask);
        let done = as_child(&format!("umask {mask}; {CHILD}"), &path)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(done.success());
        assert_eq!(mode(&path), wanted, "umask {mask}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn standard_output_is_written_whatever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let piped = as_child(CHILD, Path::new("/dev/stdout")).output().unwrap();
    assert!(String::from_utf8_lossy(&piped.stdout).contains("from the child\n"));

    // A file that the shell has opened is appended to; it is neither replaced nor truncated.
    let log = folder.path().join("log");
    fs::write(&log, "before\n").unwrap();
    let inode = fs::metadata(&log).unwrap().ino();
    for path in ["/dev/stdout", "/proc/self/fd/1", "/dev/fd/1"] {
        let to = OpenOptions::new().append(true).open(&log).unwrap();
        assert!(as_child(CHILD, Path::new(path)).stdout(to).status().unwrap().success());
    }
    assert!(
        as_child(&format!("{CHILD} 5>>\"$1\" >&2"), Path::new("/dev/fd/5"))
            .arg(&log)
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    );
    let written = text(&log);
    assert!(written.starts_with("before\n"), "{written}");
    assert_eq!(written.matches("from the child\n").count(), 4, "{written}");
    assert_eq!(fs::metadata(&log).unwrap().ino(), inode);
}
