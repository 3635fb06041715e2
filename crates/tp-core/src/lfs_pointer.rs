//! Detects Git LFS pointers, which take the place of large files if Git LFS is not installed.
//!
//! Source: the specification of Git LFS. A pointer is a few lines of text, the first of which is
//! `version` and a URL.

/// The error text for a pointer, to be put after the name of the file.
pub const IS_LFS_POINTER: &str = "is a Git LFS pointer, not the file: run `git lfs pull`";

/// The first bytes of a pointer, with the current URL and with the original one.
const BEGINNINGS: [&[u8]; 2] =
    [b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/"];

/// Whether the first bytes of a file (about fifty suffice) are those of a pointer.
#[must_use]
pub fn is_lfs_pointer(start: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| start.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_told_from_other_files() {
        let pointer =
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n";
        assert!(is_lfs_pointer(pointer));
        assert!(is_lfs_pointer(b"version https://hawser.github.com/spec/v1\n"));
        for other in [
            &b""[..],
            b"version",
            b"version https://example.org/spec/v1\n",
            b" version https://git-lfs.github.com/spec/v1",
            b"\x89PNG",
        ] {
            assert!(!is_lfs_pointer(other));
        }
    }
}
