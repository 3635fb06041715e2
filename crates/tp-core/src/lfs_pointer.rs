//! What lies in the place of a large file where Git's extension for large files was not at work.
//!
//! Source: the specification of Git LFS: a pointer is a few lines of text, the first of which is
//! `version` and an address.

/// What is said of a file that is a pointer, after its name.
pub const IS_LFS_POINTER: &str = "is a Git LFS pointer, not the file: run `git lfs pull`";

/// How a pointer begins, under the format's present address and under its first one.
const BEGINNINGS: [&[u8]; 2] =
    [b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/"];

/// Whether the first bytes of a file, some fifty, are those of a pointer.
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
