//! Reads JSON lines: an invalid line does not affect the others, and line lengths are limited.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use serde::de::DeserializeOwned;
use tp_core::is_lfs_pointer;

use super::{Entry, Refusal, Strictness, refusal::Gate};
use crate::DataError;

/// The maximum file size, in bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// The maximum length of a line, in bytes.
const MAX_LINE_BYTES: u64 = 1 << 18;

/// Passes on every line that parses, with its number from 1; blank lines are skipped.
///
/// # Errors
///
/// [`DataError::Read`], [`DataError::FileTooLong`] and [`DataError::LfsPointer`] for the file,
/// [`DataError::JsonLine`] for a line that is too long and, under [`Strictness::Strict`], for one
/// that does not parse; otherwise the gate counts it.
pub(crate) fn for_each_line<Row: DeserializeOwned>(
    path: &Path,
    gate: &mut Gate,
    mut with: impl FnMut(&mut Gate, u64, Row) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let unreadable = |source| DataError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.len() > MAX_FILE_BYTES {
        return Err(DataError::FileTooLong { path: path.to_owned(), max: MAX_FILE_BYTES });
    }
    // The file may grow while it is read, so the limit is enforced here as well.
    let mut lines = BufReader::new(file.take(MAX_FILE_BYTES));
    if is_lfs_pointer(lines.fill_buf().map_err(unreadable)?) {
        return Err(DataError::LfsPointer { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        // One byte more than the limit, so that a line of exactly the maximum length passes.
        let read = lines
            .by_ref()
            .take(MAX_LINE_BYTES + 1)
            .read_until(b'\n', &mut bytes)
            .map_err(unreadable)?;
        if read == 0 {
            break;
        }
        let refused = |problem| DataError::JsonLine { path: path.to_owned(), line, problem };
        if bytes.len() as u64 > MAX_LINE_BYTES {
            return Err(refused(format!("longer than {MAX_LINE_BYTES} bytes")));
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(&bytes) {
            Ok(row) => with(gate, line, row)?,
            Err(_) if gate.strictness() == Strictness::Lenient => {
                let _ = gate.pass::<()>(Entry::Line, line, Err(Refusal::UnreadableLine))?;
            }
            Err(error) => {
                // The parser saw a single line, so its own line number would be misleading.
                let text = error.to_string();
                let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
                return Err(refused(format!("{text}, column {}", error.column())));
            }
        }
    }
    Ok(())
}
