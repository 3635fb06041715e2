//! Parser of MATLAB level 5 files, restricted to what annotations need: numbers, text, structures
//! and cells, compressed or not.
//!
//! Source: MathWorks, "MAT-File Format", level 5. A file consists of a header of 128 bytes and
//! elements, each a tag with type and length followed by data; a matrix is an element of elements.
//! Lengths are checked against the data and a budget before memory is allocated.

use std::io::{self, Read};

use flate2::read::ZlibDecoder;

/// The maximum number of bytes after decompression.
const MAX_UNPACKED: u64 = 512 << 20;
/// The maximum nesting depth of structures.
const MAX_DEPTH: usize = 16;
/// The maximum number of elements of a structure or cell, and of fields of a structure.
const MAX_ELEMENTS: usize = 100_000;
const MAX_FIELDS: usize = 1000;
/// The maximum length of a field name in bytes; MATLAB allows 63.
const MAX_NAME_BYTES: usize = 256;
/// The memory of a nested value that is charged to the budget in addition to its data, however few
/// bytes it takes in the file.
const BYTES_PER_VALUE: u64 = 256;

const INT8: u32 = 1;
const UINT16: u32 = 4;
const INT32: u32 = 5;
const UINT32: u32 = 6;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
const UTF16: u32 = 17;

/// A variable, or the value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Numbers or truth values of up to two dimensions, column-major.
    Numbers {
        height: usize,
        width: usize,
        bytes: Vec<u8>,
        bytes_per_number: usize,
    },
    Text(String),
    /// The elements in column-major order, each with its fields.
    Structures(Vec<Vec<(String, Value)>>),
    Cells(Vec<Value>),
    /// A type that is not needed.
    Other,
}

impl Value {
    /// A field of a structure with one element.
    pub(super) fn field(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Structures(elements) => field(elements.first()?, name),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// A field of one element of a structure.
pub(super) fn field<'a>(element: &'a [(String, Value)], name: &str) -> Option<&'a Value> {
    element.iter().find(|(field, _)| field == name).map(|(_, value)| value)
}

/// The variable with this name; `None` if the file is not a MATLAB file, is damaged, lacks the
/// variable, or exceeds the budget.
pub(super) fn read_variable(file: &[u8], name: &str) -> Option<Value> {
    let (header, mut rest) = file.split_at_checked(128)?;
    // Little-endian, as written by all current machines.
    if header[126..] != *b"IM" {
        return None;
    }
    let mut budget = MAX_UNPACKED;
    while rest.len() >= 8 {
        let (tag, data) = rest.split_at(8);
        let (kind, n) = (word(&tag[..4]), word(&tag[4..]) as usize);
        let data = data.get(..n)?;
        let padded = if kind == COMPRESSED { n } else { n.div_ceil(8) * 8 };
        let found = match kind {
            COMPRESSED => {
                let mut source = Source { reader: ZlibDecoder::new(data), budget, position: 0 };
                let variable = source.tagged_variable();
                budget = source.budget;
                variable.ok()?
            }
            MATRIX => Source { reader: data, budget, position: 0 }.variable(n as u64, 0).ok()?,
            _ => (String::new(), Value::Other),
        };
        if found.0 == name {
            return Some(found.1);
        }
        rest = rest.get((8 + padded).min(rest.len())..)?;
    }
    None
}

fn word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte))
}

fn damaged<T>() -> io::Result<T> {
    Err(io::ErrorKind::InvalidData.into())
}

/// Data that is read in pieces, with the remaining budget.
struct Source<R> {
    reader: R,
    budget: u64,
    position: u64,
}

impl<R: Read> Source<R> {
    fn bytes(&mut self, n: u64) -> io::Result<Vec<u8>> {
        if n > self.budget {
            return damaged();
        }
        let mut bytes = Vec::new();
        // Grows with the data that arrives, not with the stated length.
        (&mut self.reader).take(n).read_to_end(&mut bytes)?;
        self.budget -= bytes.len() as u64;
        self.position += bytes.len() as u64;
        if bytes.len() as u64 == n { Ok(bytes) } else { damaged() }
    }

    /// An element that is not a matrix: its type and its data.
    fn element(&mut self) -> io::Result<(u32, Vec<u8>)> {
        let tag = self.bytes(8)?;
        let first = word(&tag[..4]);
        if first >> 16 != 0 {
            // A small element has up to four bytes of data in the tag itself.
            let n = (first >> 16) as usize;
            return tag
                .get(4..4 + n)
                .map_or_else(damaged, |data| Ok((first & 0xffff, data.to_vec())));
        }
        let n = u64::from(word(&tag[4..]));
        let data = self.bytes(n)?;
        self.bytes((8 - n % 8) % 8)?;
        Ok((first, data))
    }

    /// A matrix with its tag.
    fn tagged_variable(&mut self) -> io::Result<(String, Value)> {
        let tag = self.bytes(8)?;
        if word(&tag[..4]) != MATRIX {
            return Ok((String::new(), Value::Other));
        }
        self.variable(u64::from(word(&tag[4..])), 0)
    }

    /// A matrix of `n` bytes: its name and value.
    fn variable(&mut self, n: u64, depth: usize) -> io::Result<(String, Value)> {
        if n == 0 {
            return Ok((String::new(), Value::Other)); // MATLAB's short form of an empty matrix
        }
        if depth > MAX_DEPTH {
            return damaged();
        }
        let end = self.position + n;
        let (UINT32, flags) = self.element()? else { return damaged() };
        let (INT32, dimensions) = self.element()? else { return damaged() };
        let (_, name) = self.element()?;
        let name = String::from_utf8_lossy(&name).into_owned();
        let Some(&class) = flags.first() else { return damaged() };
        let dimensions: Vec<usize> =
            dimensions.as_chunks::<4>().0.iter().map(|bytes| word(bytes) as usize).collect();
        let n_elements = dimensions.iter().try_fold(1_usize, |n, &side| n.checked_mul(side));
        let Some(n_elements) = n_elements.filter(|_| dimensions.len() >= 2) else {
            return damaged();
        };
        let value = match class {
            1 => Value::Cells(self.cells(n_elements, depth)?),
            2 => Value::Structures(self.structures(n_elements, depth)?),
            4 => Value::Text(self.text()?),
            6..=15 => self.numbers(&dimensions, n_elements)?,
            _ => Value::Other,
        };
        // The rest is an imaginary part, or of a type that is not needed.
        match end.checked_sub(self.position) {
            Some(rest) => self.bytes(rest)?,
            None => return damaged(),
        };
        Ok((name, value))
    }

    fn cells(&mut self, n_elements: usize, depth: usize) -> io::Result<Vec<Value>> {
        if n_elements > MAX_ELEMENTS {
            return damaged();
        }
        (0..n_elements).map(|_| self.inner(depth)).collect()
    }

    fn structures(
        &mut self,
        n_elements: usize,
        depth: usize,
    ) -> io::Result<Vec<Vec<(String, Value)>>> {
        let (INT32, length) = self.element()? else { return damaged() };
        let (INT8, names) = self.element()? else { return damaged() };
        let length = (word(length.get(..4).unwrap_or_default()) as usize).max(1);
        let n_fields = names.len().div_ceil(length);
        if n_elements > MAX_ELEMENTS
            || n_fields > MAX_FIELDS
            || length > MAX_NAME_BYTES
            || (n_fields == 0 && n_elements > 1)
        {
            return damaged();
        }
        let names: Vec<String> = names.chunks(length).map(until_zero).collect();
        let mut elements = Vec::new();
        for _ in 0..n_elements {
            let fields = names.iter().map(|name| Ok((name.clone(), self.inner(depth)?)));
            elements.push(fields.collect::<io::Result<Vec<_>>>()?);
        }
        Ok(elements)
    }

    /// A matrix nested in a matrix.
    fn inner(&mut self, depth: usize) -> io::Result<Value> {
        self.budget = match self.budget.checked_sub(BYTES_PER_VALUE) {
            Some(rest) => rest,
            None => return damaged(),
        };
        let tag = self.bytes(8)?;
        if word(&tag[..4]) != MATRIX {
            return damaged();
        }
        Ok(self.variable(u64::from(word(&tag[4..])), depth + 1)?.1)
    }

    fn text(&mut self) -> io::Result<String> {
        let (kind, data) = self.element()?;
        Ok(if kind == UINT16 || kind == UTF16 {
            let units: Vec<u16> =
                data.as_chunks::<2>().0.iter().map(|&pair| u16::from_le_bytes(pair)).collect();
            String::from_utf16_lossy(&units)
        } else {
            String::from_utf8_lossy(&data).into_owned()
        })
    }

    fn numbers(&mut self, dimensions: &[usize], n_elements: usize) -> io::Result<Value> {
        let (kind, bytes) = self.element()?;
        // Numbers may be stored in a smaller type than that of the array.
        let bytes_per_number = match kind {
            1 | 2 => 1,
            3 | 4 => 2,
            5..=7 => 4,
            9 | 12 | 13 => 8,
            _ => return damaged(),
        };
        if n_elements.checked_mul(bytes_per_number) != Some(bytes.len()) {
            return damaged();
        }
        let height = dimensions[0];
        Ok(Value::Numbers {
            height,
            width: n_elements.checked_div(height).unwrap_or(0),
            bytes,
            bytes_per_number,
        })
    }
}

fn until_zero(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Writes the files for tests.
#[cfg(test)]
pub(super) mod writer {
    use std::io::Write;

    use super::{COMPRESSED, INT8, INT32, MATRIX, UINT16, UINT32};

    pub(in crate::readers) fn element(kind: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().div_ceil(8) * 8, 0);
        bytes
    }

    fn matrix(class: u8, height: u32, width: u32, name: &str, rest: &[u8]) -> Vec<u8> {
        let mut data = element(UINT32, &[class, 0, 0, 0, 0, 0, 0, 0]);
        data.extend(element(INT32, &[height.to_le_bytes(), width.to_le_bytes()].concat()));
        data.extend(element(INT8, name.as_bytes()));
        data.extend(rest);
        element(MATRIX, &data)
    }

    pub(in crate::readers) fn text(text: &str) -> Vec<u8> {
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        matrix(4, 1, text.len() as u32, "", &element(UINT16, &units))
    }

    /// Bytes, column-major.
    pub(in crate::readers) fn bytes(height: u32, width: u32, values: &[u8]) -> Vec<u8> {
        matrix(9, height, width, "", &element(2, values))
    }

    /// A row of structures, given by the values of each.
    pub(in crate::readers) fn structures(
        name: &str,
        fields: &[&str],
        elements: &[Vec<Vec<u8>>],
    ) -> Vec<u8> {
        // A small element with the length of a name.
        let mut rest = ((4_u32 << 16) | INT32).to_le_bytes().to_vec();
        rest.extend(16_u32.to_le_bytes());
        let names = fields
            .iter()
            .flat_map(|field| (0..16).map(|at| field.as_bytes().get(at).copied().unwrap_or(0)));
        rest.extend(element(INT8, &names.collect::<Vec<_>>()));
        rest.extend(elements.iter().flatten().flatten());
        matrix(2, if elements.is_empty() { 0 } else { 1 }, elements.len() as u32, name, &rest)
    }

    pub(in crate::readers) fn file(variable: &[u8], compressed: bool) -> Vec<u8> {
        let mut file = vec![b' '; 124];
        file.extend([0, 1, b'I', b'M']);
        if compressed {
            let mut encoder =
                flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(variable).unwrap();
            let data = encoder.finish().unwrap();
            file.extend(COMPRESSED.to_le_bytes());
            file.extend((data.len() as u32).to_le_bytes());
            file.extend(data);
        } else {
            file.extend(variable);
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_text_and_numbers_are_read_compressed_or_not() {
        let variable = writer::structures(
            "anno",
            &["word", "mask"],
            &[vec![writer::text("head"), writer::bytes(2, 3, &[0, 1, 2, 3, 4, 5])]],
        );
        for compressed in [false, true] {
            let found = read_variable(&writer::file(&variable, compressed), "anno").unwrap();
            assert_eq!(found.field("word").and_then(Value::text), Some("head"));
            let expected = Value::Numbers {
                height: 2,
                width: 3,
                bytes: vec![0, 1, 2, 3, 4, 5],
                bytes_per_number: 1,
            };
            assert_eq!(found.field("mask"), Some(&expected));
            assert_eq!(read_variable(&writer::file(&variable, compressed), "other"), None);
        }
    }

    #[test]
    fn lies_about_length_are_found_out() {
        let mut file = writer::file(
            &writer::structures("anno", &["mask"], &[vec![writer::bytes(1, 1, &[7])]]),
            false,
        );
        assert!(read_variable(&file, "anno").is_some());
        // The outer matrix claims to be longer than the file.
        file[132..136].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(read_variable(&file, "anno"), None);
        assert_eq!(read_variable(&file[..100], "anno"), None);
    }

    #[test]
    fn values_without_data_and_their_names_are_paid_for() {
        let empty = vec![writer::element(MATRIX, b"")];
        let variable = writer::structures("anno", &["mask"], &vec![empty; 100]);
        let read = |budget| {
            Source { reader: &variable[..], budget, position: 0 }
                .tagged_variable()
                .map(|(_, value)| value)
        };
        let n_data = variable.len() as u64;
        let Value::Structures(elements) = read(n_data + 100 * BYTES_PER_VALUE).unwrap() else {
            panic!()
        };
        assert_eq!(elements.len(), 100);
        assert!(read(n_data + 99 * BYTES_PER_VALUE).is_err());
        // Every element has a copy of the field names, so none may be as long as the file.
        let mut variable = writer::structures("anno", &["mask"], &[]);
        let length = variable.windows(4).rposition(|bytes| bytes == 16_u32.to_le_bytes()).unwrap();
        let length =
            variable[..length].windows(4).rposition(|bytes| bytes == 16_u32.to_le_bytes()).unwrap();
        let read = |variable: &[u8]| {
            Source { reader: variable, budget: 1 << 20, position: 0 }.tagged_variable().is_ok()
        };
        for (n, is_read) in
            [(16, true), (MAX_NAME_BYTES as u32, true), (MAX_NAME_BYTES as u32 + 1, false)]
        {
            variable[length..length + 4].copy_from_slice(&n.to_le_bytes());
            assert_eq!(read(&variable), is_read, "{n}");
        }
    }

    #[test]
    fn bomb_stops_at_the_budget() {
        // A gigabyte of zeros, compressed to a megabyte.
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut head = MATRIX.to_le_bytes().to_vec();
        head.extend((1_u32 << 30).to_le_bytes());
        head.extend(writer::element(UINT32, &[0; 8]));
        head.extend(writer::element(INT32, &[1, 0, 0, 0, 1, 0, 0, 0]));
        head.extend(writer::element(INT8, b"anno"));
        std::io::Write::write_all(&mut encoder, &head).unwrap();
        for _ in 0..16 {
            std::io::Write::write_all(&mut encoder, &vec![0; 1 << 20]).unwrap();
        }
        let data = encoder.finish().unwrap();
        let mut file = vec![b' '; 124];
        file.extend([0, 1, b'I', b'M']);
        file.extend(COMPRESSED.to_le_bytes());
        file.extend((data.len() as u32).to_le_bytes());
        file.extend(data);
        assert_eq!(read_variable(&file, "anno"), None);
    }
}
