//! Reads the header of a file front to back, and believes no length that the file cannot hold.

use std::io::{self, Read};

/// A page of settings and a vocabulary; more is not a header.
const MAX_HEADER_BYTES: u64 = 128 << 20;

/// Names are shown in messages; four times what ggml allows for a tensor.
const MAX_NAME_BYTES: usize = 256;

/// Why a header was not read on.
pub(super) enum Fault {
    /// The file system refused.
    Io(io::Error),
    /// The file says something that cannot be.
    Unsound(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Unsound(reason)
    }
}

/// A place in a header.
pub(super) struct Cursor<R> {
    file: R,
    at: u64,
    /// Bytes of the whole file.
    size: u64,
}

impl<R: Read> Cursor<R> {
    pub(super) fn new(file: R, size: u64) -> Self {
        Self { file, at: 0, size }
    }

    /// How many bytes were read.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Passes over `n` bytes of the file, if there are so many.
    fn claim(&mut self, n: u64, what: &str) -> Result<(), Fault> {
        let left = self.size - self.at;
        if n > left {
            return Err(
                format!("{what} claims {n} bytes at {}, where {left} are left", self.at).into()
            );
        }
        if self.at + n > MAX_HEADER_BYTES {
            return Err(format!(
                "its header goes beyond {MAX_HEADER_BYTES} bytes in {what}, which is not accepted"
            )
            .into());
        }
        self.at += n;
        Ok(())
    }

    pub(super) fn bytes<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Fault> {
        self.claim(N as u64, what)?;
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.bytes(what)?))
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.bytes(what)?))
    }

    /// A count of things that take at least `least` bytes each.
    pub(super) fn count(&mut self, least: u64, what: &str) -> Result<usize, Fault> {
        let count = self.u64(what)?;
        let left = self.size - self.at;
        if count > left / least {
            return Err(format!("{what} is {count}, for which {left} bytes are not enough").into());
        }
        // No more than the file has bytes.
        usize::try_from(count).map_err(|_| format!("{what} is {count}").into())
    }

    /// The name of a setting or a tensor.
    pub(super) fn name(&mut self, what: &str) -> Result<String, Fault> {
        let name = self.text(what)?;
        if name.len() > MAX_NAME_BYTES {
            return Err(format!("{what} has {} bytes", name.len()).into());
        }
        Ok(name)
    }

    pub(super) fn text(&mut self, what: &str) -> Result<String, Fault> {
        let n = self.u64(what)?;
        self.claim(n, what)?;
        let mut bytes = vec![0; n as usize];
        self.file.read_exact(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| format!("{what} is no UTF-8").into())
    }
}
