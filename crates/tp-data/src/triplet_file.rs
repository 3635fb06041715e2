//! Files of triplets: one JSON object per line.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use tp_core::{Triplet, is_lfs_pointer, write_atomically};

use crate::{DataError, inner_path::is_inner_path};

/// The maximum length of a line in bytes; a description consists of a few sentences.
const MAX_TRIPLET_LINE_BYTES: u64 = 1 << 20;

/// Writes triplets, one per line, atomically.
///
/// # Errors
///
/// [`DataError::Write`].
pub fn write_triplets<'a>(
    path: &Path,
    triplets: impl IntoIterator<Item = &'a Triplet>,
) -> Result<(), DataError> {
    write_atomically(path, |file| {
        for triplet in triplets {
            serde_json::to_writer(&mut *file, triplet)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    })
    .map_err(|source| DataError::Write { path: path.to_owned(), source })
}

/// Reads all triplets of a file.
///
/// # Errors
///
/// As [`TripletFile`]; the first invalid line ends reading.
pub fn read_triplets(path: &Path) -> Result<Vec<Triplet>, DataError> {
    TripletFile::open(path)?.collect()
}

/// Iterates over the triplets of a file, with one line in memory.
///
/// The error of a line is [`DataError::TripletLine`] if it is too long, not a triplet, or refers to
/// an image outside the image folder; [`DataError::Read`] if reading fails. Blank lines are
/// skipped. The iteration ends after an error.
#[derive(Debug)]
pub struct TripletFile {
    path: PathBuf,
    lines: BufReader<File>,
    line: usize,
    /// Bytes from the start of the file to the next line.
    offset: u64,
    failed: bool,
}

impl TripletFile {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`] if it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let file =
            File::open(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
        Ok(Self {
            path: path.to_owned(),
            lines: BufReader::new(file),
            line: 0,
            offset: 0,
            failed: false,
        })
    }

    /// The position of the next line in bytes, for [`seek`](Self::seek).
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The number of lines before the next one, for [`seek`](Self::seek).
    #[must_use]
    pub fn line_number(&self) -> usize {
        self.line
    }

    /// Continues at the start of a line, given as its offset and its number, counted from 0.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`].
    pub fn seek(&mut self, offset: u64, line: usize) -> Result<(), DataError> {
        self.lines
            .seek(SeekFrom::Start(offset))
            .map_err(|source| DataError::Read { path: self.path.clone(), source })?;
        (self.offset, self.line, self.failed) = (offset, line, false);
        Ok(())
    }

    fn read_next(&mut self) -> Result<Option<Triplet>, DataError> {
        loop {
            let mut bytes = Vec::new();
            // One byte more than the limit, so that a line of exactly the maximum length passes.
            self.lines
                .by_ref()
                .take(MAX_TRIPLET_LINE_BYTES + 1)
                .read_until(b'\n', &mut bytes)
                .map_err(|source| DataError::Read { path: self.path.clone(), source })?;
            if bytes.is_empty() {
                return Ok(None);
            }
            self.line += 1;
            self.offset += bytes.len() as u64;
            let refuse = |problem| DataError::TripletLine {
                path: self.path.clone(),
                line: self.line,
                problem,
            };
            if bytes.len() as u64 > MAX_TRIPLET_LINE_BYTES {
                return Err(refuse(format!("longer than {MAX_TRIPLET_LINE_BYTES} bytes")));
            }
            if self.line == 1 && is_lfs_pointer(&bytes) {
                return Err(DataError::LfsPointer { path: self.path.clone() });
            }
            if !bytes.trim_ascii().is_empty() {
                let triplet: Triplet = serde_json::from_slice(&bytes).map_err(|error| {
                    // The parser saw a single line, so its own line number would be misleading.
                    let text = error.to_string();
                    let text =
                        text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
                    refuse(format!("{text}, column {}", error.column()))
                })?;
                if !is_inner_path(&triplet.image) {
                    return Err(refuse(format!(
                        "its image `{}` is not a relative path inside the image folder",
                        triplet.image
                    )));
                }
                return Ok(Some(triplet));
            }
        }
    }
}

impl Iterator for TripletFile {
    type Item = Result<Triplet, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.read_next().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

#[cfg(test)]
mod tests {
    use tp_core::{Cell, Extent, ImageHw, ObjectSize, PointRecord, Style, UnitXy};

    use super::*;

    fn triplet(image: &str) -> Triplet {
        let cell = Cell::of(0.1, 0.5);
        Triplet {
            image: image.to_owned(),
            size: ImageHw::new(20, 30).unwrap(),
            point: UnitXy::new(0.25, 0.75).unwrap(),
            description: "the tip of the left ear,\nas \"seen\" from here – où?".to_owned(),
            style: Style::Terse,
            record: PointRecord {
                category: "horse".to_owned(),
                family: None,
                object_cell: cell,
                object_size: ObjectSize::Large,
                part: Some("ear".to_owned()),
                part_cell: Some(cell),
                point_cell: cell,
                colour: "brown".to_owned(),
                texture: "smooth".to_owned(),
                shape: "a bright corner".to_owned(),
                extent: Extent::Mask,
                keypoint: None,
            },
            source: "test".to_owned(),
            group: image.to_owned(),
        }
    }

    #[test]
    fn triplets_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("triplets.jsonl");
        let triplets = [triplet("a.jpg"), triplet("b.jpg")];
        write_triplets(&path, &triplets).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
        assert_eq!(read_triplets(&path).unwrap(), triplets);
    }

    #[test]
    fn bad_line_is_named_with_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("triplets.jsonl");
        let good = serde_json::to_string(&triplet("a.jpg")).unwrap();
        for bad in [
            "{}".to_owned(),
            good[..good.len() / 2].to_owned(),
            good.replace("0.75", "7.5"),
            "\u{0}".to_owned(),
            "[".repeat(100_000),
        ] {
            std::fs::write(&path, format!("{good}\n\n{bad}\n{good}\n")).unwrap();
            let read: Vec<_> = TripletFile::open(&path).unwrap().collect();
            assert_eq!(read.len(), 2, "{bad}");
            let message = read[1].as_ref().unwrap_err().to_string();
            assert!(
                message.contains("triplets.jsonl, line 3: ") && !message.contains("at line"),
                "{message}"
            );
        }
    }

    #[test]
    fn any_line_is_found_again_by_its_offset() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("triplets.jsonl");
        let line = |image: &str| serde_json::to_string(&triplet(image)).unwrap();
        std::fs::write(&path, format!("{}\n\n{}\nnone", line("a.jpg"), line("longer name.jpg")))
            .unwrap();
        let mut file = TripletFile::open(&path).unwrap();
        assert_eq!(file.next().unwrap().unwrap().image, "a.jpg");
        let second = file.offset();
        file.next().unwrap().unwrap();
        assert!(file.next().unwrap().is_err());
        file.seek(second, 1).unwrap();
        assert_eq!(file.next().unwrap().unwrap().image, "longer name.jpg");
        assert!(file.next().unwrap().unwrap_err().to_string().contains("line 4"));
        file.seek(0, 0).unwrap();
        assert_eq!(file.next().unwrap().unwrap().image, "a.jpg");
    }

    #[test]
    fn image_outside_of_the_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("triplets.jsonl");
        let read = |image: &str| {
            std::fs::write(&path, serde_json::to_string(&triplet(image)).unwrap()).unwrap();
            read_triplets(&path)
        };
        for image in ["../a.jpg", "/etc/passwd", "a/../../b.jpg", "", ".."] {
            let message = read(image).unwrap_err().to_string();
            assert!(message.contains("triplets.jsonl, line 1: its image `"), "{message}");
            assert!(message.contains("not a relative path inside the image folder"), "{message}");
        }
        for image in ["a.jpg", "images/a.jpg", "a..b/..c.jpg"] {
            assert_eq!(read(image).unwrap()[0].image, image);
        }
    }

    #[test]
    fn git_lfs_pointer_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("triplets.jsonl");
        std::fs::write(
            &path,
            "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        )
        .unwrap();
        let message = read_triplets(&path).unwrap_err().to_string();
        assert!(
            message
                .ends_with("triplets.jsonl is a Git LFS pointer, not the file: run `git lfs pull`"),
            "{message}"
        );
    }

    #[test]
    fn endless_line_is_refused_before_it_fills_the_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("triplets.jsonl");
        std::fs::write(&path, vec![b' '; MAX_TRIPLET_LINE_BYTES as usize * 3]).unwrap();
        let message = read_triplets(&path).unwrap_err().to_string();
        assert!(message.contains("line 1: longer than 1048576 bytes"), "{message}");
    }
}
