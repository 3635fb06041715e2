//! Reads the rows of the builder's Parquet files, group by group, starting at any row.

use std::{
    collections::VecDeque,
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use parquet::{
    column::reader::get_typed_column_reader,
    data_type::{ByteArray, ByteArrayType},
    file::reader::{FileReader, RowGroupReader, SerializedFileReader},
};

use super::parquet_writer::{BYTES_COLUMN, JSON_COLUMN};
use crate::{BuildError, Row};
use tp_data::refuse_pointer;

/// The maximum number of rows of a group that is read.
const MAX_GROUP_ROWS: usize = 100_000;
/// The maximum size of such a group, in bytes.
const MAX_GROUP_BYTES: i64 = 1 << 30;

/// A row with the bytes of its image, if they are embedded.
pub type RowWithImage = (Row, Option<Vec<u8>>);

/// The rows of one file with the bytes of their images, if these are embedded. One group at a time
/// is in memory.
///
/// The iteration ends after the first error.
pub struct ParquetRows {
    path: PathBuf,
    reader: SerializedFileReader<File>,
    next_group: usize,
    waiting: VecDeque<RowWithImage>,
    failed: bool,
}

impl ParquetRows {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// [`BuildError::Read`] if it cannot be opened, [`BuildError::Parquet`] if it was not written
    /// by this crate.
    pub fn open(path: &Path) -> Result<Self, BuildError> {
        let file = File::open(path)
            .map_err(|source| BuildError::Read { path: path.to_owned(), source })?;
        refuse_pointer(path)?;
        let reader =
            guarded(path, || SerializedFileReader::new(file).map_err(|error| error.to_string()))?;
        let rows = Self {
            path: path.to_owned(),
            reader,
            next_group: 0,
            waiting: VecDeque::new(),
            failed: false,
        };
        match rows.column(JSON_COLUMN) {
            Some(_) => Ok(rows),
            None => Err(rows.refuse(format!(
                "it has no column `{JSON_COLUMN}`, so the builder did not write it"
            ))),
        }
    }

    /// The number of rows in the file.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        usize::try_from(self.reader.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Continues at a row, counted from 0. Earlier groups are not read.
    ///
    /// # Errors
    ///
    /// [`BuildError::Parquet`] if its group cannot be read.
    pub fn seek(&mut self, row: usize) -> Result<(), BuildError> {
        let mut left = row;
        self.waiting.clear();
        self.next_group = 0;
        for group in self.reader.metadata().row_groups() {
            let n = usize::try_from(group.num_rows()).unwrap_or(0);
            if left < n {
                break;
            }
            left -= n;
            self.next_group += 1;
        }
        if left > 0 && self.next_group < self.reader.num_row_groups() {
            self.read_group()?;
            self.waiting.drain(..left.min(self.waiting.len()));
        }
        Ok(())
    }

    /// The number of rows of each group.
    #[must_use]
    pub fn group_sizes(&self) -> Vec<usize> {
        let groups = self.reader.metadata().row_groups();
        groups.iter().map(|group| usize::try_from(group.num_rows()).unwrap_or(0)).collect()
    }

    /// The size of all groups in memory, in bytes.
    #[must_use]
    pub fn n_bytes(&self) -> u64 {
        let groups = self.reader.metadata().row_groups();
        groups.iter().map(|group| u64::try_from(group.total_byte_size()).unwrap_or(0)).sum()
    }

    /// The rows of one group. The iteration then continues behind it.
    ///
    /// # Errors
    ///
    /// [`BuildError::Parquet`] if it cannot be read.
    ///
    /// # Panics
    ///
    /// If there is no such group.
    pub fn read_group_at(&mut self, group: usize) -> Result<Vec<RowWithImage>, BuildError> {
        assert!(group < self.reader.num_row_groups(), "group {group} is not in the file");
        self.waiting.clear();
        self.next_group = group;
        self.read_group()?;
        Ok(self.waiting.drain(..).collect())
    }

    fn column(&self, name: &str) -> Option<usize> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        schema.columns().iter().position(|column| column.path().string() == name)
    }

    fn read_group(&mut self) -> Result<(), BuildError> {
        let (path, index) = (self.path.clone(), self.next_group);
        self.next_group += 1;
        let group = self.reader.metadata().row_group(index);
        let n = usize::try_from(group.num_rows()).unwrap_or(usize::MAX);
        if n > MAX_GROUP_ROWS || group.total_byte_size() > MAX_GROUP_BYTES {
            return Err(self.refuse(format!(
                "row group {index} is too large: at most {MAX_GROUP_ROWS} rows and {MAX_GROUP_BYTES} bytes are read at once"
            )));
        }
        let (json, bytes) = (self.column(JSON_COLUMN), self.column(BYTES_COLUMN));
        let (json, bytes) = guarded(&path, || {
            let group = self.reader.get_row_group(index).map_err(|error| error.to_string())?;
            let json = values(&*group, json.unwrap_or_default(), n)?;
            let bytes = bytes.map(|column| values(&*group, column, n)).transpose()?;
            Ok((json, bytes))
        })?;
        let mut bytes = bytes.map(Vec::into_iter);
        for json in json {
            let parsed = json.as_ref().map(|json| serde_json::from_slice::<Row>(json.data()));
            let row = match parsed {
                Some(Ok(row)) => row,
                Some(Err(error)) => return Err(self.refuse(format!("row group {index}: {error}"))),
                None => return Err(self.refuse(format!("row group {index} has an empty row"))),
            };
            let image = bytes.as_mut().and_then(Iterator::next).flatten();
            self.waiting.push_back((row, image.map(|image| image.data().to_vec())));
        }
        Ok(())
    }

    fn refuse(&self, problem: String) -> BuildError {
        BuildError::Parquet { path: self.path.clone(), problem }
    }
}

impl Iterator for ParquetRows {
    type Item = Result<RowWithImage, BuildError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.waiting.is_empty()
            && !self.failed
            && self.next_group < self.reader.num_row_groups()
        {
            if let Err(error) = self.read_group() {
                self.failed = true;
                self.waiting.clear();
                return Some(Err(error));
            }
        }
        self.waiting.pop_front().map(Ok)
    }
}

/// All values of a byte-array column.
fn values(
    group: &dyn RowGroupReader,
    column: usize,
    n: usize,
) -> Result<Vec<Option<ByteArray>>, String> {
    let reader = group.get_column_reader(column).map_err(|error| error.to_string())?;
    let full_level = group.metadata().column(column).column_descr().max_def_level();
    let mut reader = get_typed_column_reader::<ByteArrayType>(reader);
    let (mut levels, mut there) = (Vec::new(), Vec::new());
    while levels.len() < n {
        let (read, ..) = reader
            .read_records(n - levels.len(), Some(&mut levels), None, &mut there)
            .map_err(|error| error.to_string())?;
        if read == 0 {
            return Err(format!("a column ends after {} of {n} rows", levels.len()));
        }
    }
    let mut there = there.into_iter();
    Ok(levels.iter().map(|&level| if level == full_level { there.next() } else { None }).collect())
}

/// Converts a panic of the decoder into an error.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, String>) -> Result<T, BuildError> {
    let refuse = |problem: String| BuildError::Parquet {
        path: path.to_owned(),
        problem: problem.replace('\n', " "),
    };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(refuse),
        Err(_) => Err(refuse("the file is damaged".to_owned())),
    }
}
