//! The header of a GGUF file: settings, and the names, types, shapes and places of tensors, each
//! checked against the file's size.

use std::{
    collections::{BTreeMap, HashSet},
    io::Read,
};

use super::{
    GgufTensor, GgufValue,
    cursor::{Cursor, Fault},
};

/// Where tensors begin, unless the file says otherwise: at multiples of so many bytes.
const ALIGNMENT: u64 = 32;
const MAX_ALIGNMENT: u64 = 1 << 16;
/// The format's own limit.
const MAX_DIMENSIONS: u32 = 4;

/// How a tensor's numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "ggml's names")]
pub enum GgufType {
    F32,
    F16,
    BF16,
    Q8_0,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q4K,
    Q5K,
    Q6K,
}

impl GgufType {
    /// All types that are read, with ggml's number and name.
    const ALL: [(u32, &'static str, Self); 11] = [
        (0, "F32", Self::F32),
        (1, "F16", Self::F16),
        (30, "BF16", Self::BF16),
        (8, "Q8_0", Self::Q8_0),
        (2, "Q4_0", Self::Q4_0),
        (3, "Q4_1", Self::Q4_1),
        (6, "Q5_0", Self::Q5_0),
        (7, "Q5_1", Self::Q5_1),
        (12, "Q4_K", Self::Q4K),
        (13, "Q5_K", Self::Q5K),
        (14, "Q6_K", Self::Q6K),
    ];

    /// ggml's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|&&(.., kind)| kind == self);
        found.map_or("", |&(_, name, _)| name)
    }

    /// Numbers that are stored together, and bytes that they take.
    #[must_use]
    pub fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::BF16 => (1, 2),
            Self::Q8_0 => (32, 34),
            Self::Q4_0 => (32, 18),
            Self::Q4_1 => (32, 20),
            Self::Q5_0 => (32, 22),
            Self::Q5_1 => (32, 24),
            Self::Q4K => (256, 144),
            Self::Q5K => (256, 176),
            Self::Q6K => (256, 210),
        }
    }

    fn of(number: u32) -> Result<Self, String> {
        if let Some(&(.., kind)) = Self::ALL.iter().find(|&&(known, ..)| known == number) {
            return Ok(kind);
        }
        let other = match number {
            9 => "Q8_1",
            10 => "Q2_K",
            11 => "Q3_K",
            15 => "Q8_K",
            16 => "IQ2_XXS",
            17 => "IQ2_XS",
            18 => "IQ3_XXS",
            19 => "IQ1_S",
            20 => "IQ4_NL",
            21 => "IQ3_S",
            22 => "IQ2_S",
            23 => "IQ4_XS",
            24 => "I8",
            25 => "I16",
            26 => "I32",
            27 => "I64",
            28 => "F64",
            29 => "IQ1_M",
            34 => "TQ1_0",
            35 => "TQ2_0",
            39 => "MXFP4",
            _ => return Err(format!("has the unknown type {number}")),
        };
        let names = Self::ALL.map(|(_, name, _)| name).join(", ");
        Err(format!("has the type {other}, which is not read: take a file of {names}"))
    }
}

/// What a header says.
pub(super) struct Header {
    pub(super) metadata: BTreeMap<String, GgufValue>,
    pub(super) tensors: Vec<GgufTensor>,
    /// Where the tensors' bytes begin.
    pub(super) data: u64,
}

/// Reads the header of a file of `size` bytes.
pub(super) fn read_header(file: impl Read, size: u64) -> Result<Header, Fault> {
    let mut cursor = Cursor::new(file, size);
    if cursor.bytes("its first word")? != *b"GGUF" {
        return Err("it does not begin with GGUF".to_owned().into());
    }
    match cursor.u32("its version")? {
        2 | 3 => {}
        other if other.swap_bytes() <= 3 => {
            return Err("it is big-endian: convert it to little-endian".to_owned().into());
        }
        other => {
            return Err(format!(
                "it has the version {other}, 2 and 3 are read: convert the model anew"
            )
            .into());
        }
    }
    // A name, a type and one byte; a name, no dimension, a type and an offset.
    let n_tensors = cursor.count(24, "its number of tensors")?;
    let n_settings = cursor.count(13, "its number of settings")?;

    let (mut metadata, mut elements) = (BTreeMap::new(), 0);
    for _ in 0..n_settings {
        let key = cursor.name("the name of a setting")?;
        let value = GgufValue::read(&mut cursor, &key, &mut elements)?;
        if metadata.insert(key.clone(), value).is_some() {
            return Err(format!("{key} stands in it twice").into());
        }
    }
    let alignment = alignment(metadata.get("general.alignment"))?;
    let raw = (0..n_tensors).map(|_| Raw::read(&mut cursor)).collect::<Result<Vec<_>, _>>()?;
    // The bytes begin at the next aligned place; a file without tensors need not reach it.
    let data = cursor.at().next_multiple_of(alignment);
    let tensors = placed(raw, size.saturating_sub(data), alignment)?;
    Ok(Header { metadata, tensors, data })
}

fn alignment(setting: Option<&GgufValue>) -> Result<u64, String> {
    let Some(value) = setting else { return Ok(ALIGNMENT) };
    value
        .as_u64()
        .filter(|alignment| alignment.is_power_of_two() && *alignment <= MAX_ALIGNMENT)
        .ok_or_else(|| {
            format!("general.alignment is {value:?}: a power of two up to {MAX_ALIGNMENT} is read")
        })
}

/// A tensor as the header has it.
struct Raw {
    name: String,
    /// The fastest dimension first.
    extents: Vec<u64>,
    kind: u32,
    offset: u64,
}

impl Raw {
    fn read(cursor: &mut Cursor<impl Read>) -> Result<Self, Fault> {
        let name = cursor.name("the name of a tensor")?;
        let n_dimensions = cursor.u32(&name)?;
        if n_dimensions > MAX_DIMENSIONS {
            return Err(format!("tensor {name} has {n_dimensions} dimensions").into());
        }
        let extents =
            (0..n_dimensions).map(|_| cursor.u64(&name)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { extents, kind: cursor.u32(&name)?, offset: cursor.u64(&name)?, name })
    }

    fn checked(self, n_data: u64, alignment: u64) -> Result<GgufTensor, String> {
        let Self { name, extents, kind, offset } = self;
        let refused = |fault: String| format!("tensor {name} {fault}");
        let kind = GgufType::of(kind).map_err(refused)?;
        let (numbers, bytes) = kind.block();
        let mut shape = extents
            .iter()
            .map(|&extent| usize::try_from(extent).ok().filter(|&extent| extent > 0))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| refused(format!("has the shape {extents:?}")))?;
        let width = shape.first().copied().unwrap_or(1);
        if !width.is_multiple_of(numbers) {
            return Err(refused(format!(
                "has rows of {width} numbers, which are no blocks of {numbers}"
            )));
        }
        let rows = shape.iter().skip(1).try_fold(1_usize, |rows, &n| rows.checked_mul(n));
        let n_bytes = rows
            .and_then(|rows| rows.checked_mul((width / numbers).checked_mul(bytes)?))
            .filter(|&n_bytes| n_bytes as u64 <= n_data)
            .ok_or_else(|| {
                refused(format!("of shape {extents:?} is larger than the file's {n_data} bytes"))
            })?;
        if !offset.is_multiple_of(alignment) {
            return Err(refused(format!("stands at {offset}, no multiple of {alignment}")));
        }
        if offset > n_data - n_bytes as u64 {
            return Err(refused(format!(
                "of {n_bytes} bytes stands at {offset} of {n_data} bytes: the file is cut off, or damaged"
            )));
        }
        shape.reverse();
        Ok(GgufTensor { name, kind, shape, offset, n_bytes })
    }
}

/// The tensors in the order of their places, which must follow each other.
fn placed(raw: Vec<Raw>, n_data: u64, alignment: u64) -> Result<Vec<GgufTensor>, String> {
    let mut names = HashSet::new();
    if let Some(twice) = raw.iter().find(|raw| !names.insert(raw.name.as_str())) {
        return Err(format!("tensor {} stands in it twice", twice.name));
    }
    let mut tensors =
        raw.into_iter().map(|raw| raw.checked(n_data, alignment)).collect::<Result<Vec<_>, _>>()?;
    tensors.sort_by(|a, b| (a.offset, &a.name).cmp(&(b.offset, &b.name)));
    let mut end = 0_u64;
    for tensor in &tensors {
        let expected = end.next_multiple_of(alignment);
        if tensor.offset != expected {
            let fault = if tensor.offset < expected {
                "overlaps with the one before it"
            } else {
                "leaves a gap before it"
            };
            return Err(format!("tensor {} {fault}", tensor.name));
        }
        end = tensor.offset + tensor.n_bytes as u64;
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Little-endian parts of a file, one after the other.
    #[derive(Default)]
    struct File(Vec<u8>);

    impl File {
        fn new(n_tensors: u64, n_settings: u64) -> Self {
            Self(b"GGUF".to_vec()).u32(3).u64(n_tensors).u64(n_settings)
        }

        fn u32(mut self, number: u32) -> Self {
            self.0.extend(number.to_le_bytes());
            self
        }

        fn u64(mut self, number: u64) -> Self {
            self.0.extend(number.to_le_bytes());
            self
        }

        fn text(self, text: &str) -> Self {
            let mut file = self.u64(text.len() as u64);
            file.0.extend(text.bytes());
            file
        }

        fn tensor(self, name: &str, extents: &[u64], kind: u32, offset: u64) -> Self {
            let file = self.text(name).u32(extents.len() as u32);
            extents.iter().fold(file, |file, &n| file.u64(n)).u32(kind).u64(offset)
        }

        fn data(mut self, n_bytes: usize) -> Self {
            self.0.resize(self.0.len().next_multiple_of(32) + n_bytes, 7);
            self
        }

        fn read(&self) -> Result<Header, String> {
            read_header(&self.0[..], self.0.len() as u64).map_err(|fault| match fault {
                Fault::Io(error) => error.to_string(),
                Fault::Unsound(reason) => reason,
            })
        }
    }

    #[test]
    fn settings_and_tensors_are_read() {
        let file = File::new(2, 3)
            .text("a.count")
            .u32(4)
            .u32(7)
            .text("a.words")
            .u32(9)
            .u32(8)
            .u64(2)
            .text("one")
            .text("")
            .text("a.truth")
            .u32(7);
        let mut file = file;
        file.0.push(1);
        let file =
            file.tensor("late", &[32, 2], 8, 32).tensor("first", &[3], 0, 0).data(32 + 2 * 34);
        let header = file.read().unwrap();
        let text = |text: &str| GgufValue::Text(text.to_owned());
        assert_eq!(header.metadata["a.count"], GgufValue::Unsigned(7));
        assert_eq!(header.metadata["a.words"], GgufValue::List(vec![text("one"), text("")]));
        assert_eq!(header.metadata["a.truth"], GgufValue::Bool(true));
        let [first, late] = &header.tensors[..] else { panic!("{}", header.tensors.len()) };
        assert_eq!((&first.shape[..], first.n_bytes), (&[3][..], 12));
        assert_eq!((&late.shape[..], late.n_bytes, late.kind), (&[2, 32][..], 68, GgufType::Q8_0));
        assert_eq!(header.data % 32, 0);
    }

    #[test]
    fn every_contradiction_is_named() {
        let one = |extents: &[u64], kind, offset| {
            File::new(1, 0).tensor("a", extents, kind, offset).data(64)
        };
        let two =
            |offset| File::new(2, 0).tensor("a", &[8], 0, 0).tensor("b", &[8], 0, offset).data(128);
        let setting = |kind: u32| File::new(0, 1).text("key").u32(kind);
        let cases = [
            (File(b"GGML....".to_vec()), "does not begin with GGUF"),
            (File(b"GGUF".to_vec()).u32(1).u64(0).u64(0), "version 1, 2 and 3 are read"),
            (File(b"GGUF".to_vec()).u32(3_u32.swap_bytes()).u64(0).u64(0), "big-endian"),
            (File::new(u64::MAX, 0), "number of tensors is 18446744073709551615"),
            (File::new(0, 1 << 40), "number of settings is 1099511627776"),
            (File::new(0, 1).u64(1 << 50).u64(0), "claims 1125899906842624 bytes"),
            (setting(13).u64(0), "key has the unknown type 13"),
            (setting(9).u32(9).u64(0), "key is a list of the type 9"),
            (setting(9).u32(0).u64(1 << 33), "key is 8589934592"),
            (setting(8).u64(1 << 33), "key claims 8589934592 bytes"),
            (
                File::new(0, 1).text("general.alignment").u32(4).u32(24),
                "general.alignment is Unsigned(24)",
            ),
            (one(&[8], 10, 0), "tensor a has the type Q2_K"),
            (one(&[8], 77, 0), "tensor a has the unknown type 77"),
            (one(&[33], 8, 0), "rows of 33 numbers"),
            (one(&[8, 0], 0, 0), "tensor a has the shape [8, 0]"),
            (one(&[1 << 62, 1 << 62], 0, 0), "is larger than the file's 64 bytes"),
            (one(&[8], 0, 8), "stands at 8, no multiple of 32"),
            (one(&[16], 0, 32), "cut off"),
            (one(&[1, 1, 1, 1, 1], 0, 0), "tensor a has 5 dimensions"),
            (two(0), "tensor b overlaps"),
            (two(64), "tensor b leaves a gap"),
            (
                File::new(2, 0).tensor("a", &[8], 0, 0).tensor("a", &[8], 0, 32).data(64),
                "tensor a stands in it twice",
            ),
        ];
        for (file, expected) in cases {
            let Err(message) = file.read() else { panic!("{expected}: was read") };
            assert!(message.contains(expected), "{expected}: {message}");
        }
    }
}
