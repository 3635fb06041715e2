//! A safetensors file that is read tensor by tensor.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use crate::{
    WeightsError,
    safetensors_header::{MAX_HEADER_BYTES, Placed, parse_header},
};

/// An open file whose header is valid.
#[derive(Clone, Debug)]
pub(crate) struct SafetensorsFile {
    path: PathBuf,
    /// Where the data begins.
    data: u64,
    pub(crate) tensors: Vec<Placed>,
}

impl SafetensorsFile {
    pub(crate) fn open(path: &Path) -> Result<Self, WeightsError> {
        let read = |source| WeightsError::Read { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(read)?;
        let size = file.metadata().map_err(read)?.len();
        let (data, tensors) =
            header_of(&mut file, size).map_err(read)?.map_err(|reason| unsound(path, reason))?;
        Ok(Self { path: path.to_owned(), data, tensors })
    }

    /// The bytes of one tensor, little-endian.
    pub(crate) fn read(&self, tensor: &Placed) -> Result<Vec<u8>, WeightsError> {
        let mut bytes = vec![0; tensor.n_bytes];
        File::open(&self.path)
            .and_then(|mut file| {
                file.seek(SeekFrom::Start(self.data + tensor.start))?;
                file.read_exact(&mut bytes)
            })
            .map_err(|source| WeightsError::Read { path: self.path.clone(), source })?;
        Ok(bytes)
    }
}

/// Where the data begins, and the tensors in it; the inner error says what is unsound.
pub(crate) fn header_of(
    file: &mut impl Read,
    size: u64,
) -> io::Result<Result<(u64, Vec<Placed>), String>> {
    let mut length = [0; 8];
    if size < length.len() as u64 {
        return Ok(Err(format!("it has {size} bytes, too few for the length of a header")));
    }
    file.read_exact(&mut length)?;
    let n_header = u64::from_le_bytes(length);
    let rest = size - length.len() as u64;
    if n_header > rest {
        return Ok(Err(format!("its header claims {n_header} of {rest} bytes")));
    }
    if n_header > MAX_HEADER_BYTES {
        return Ok(Err(format!(
            "its header has {n_header} bytes, at most {MAX_HEADER_BYTES} are accepted"
        )));
    }
    let mut header = vec![0; n_header as usize];
    file.read_exact(&mut header)?;
    Ok(parse_header(&header, rest - n_header)
        .map(|tensors| (length.len() as u64 + n_header, tensors)))
}

fn unsound(path: &Path, reason: String) -> WeightsError {
    WeightsError::Unsound { path: path.to_owned(), reason }
}
