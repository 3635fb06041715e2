//! A PyTorch file that is one tensor and nothing else, as `torch.save(tensor, path)` writes it: the
//! published phrases of classes are kept so. The reader of state dicts expects names.
//!
//! The file is a ZIP archive without compression: `data.pkl` says shape and layout, `data/0` holds
//! the numbers. Nothing in it is run: the few opcodes and constructors that a tensor needs are
//! known, and all others are refused.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use burn::tensor::DType;

use crate::{TensorEntry, WeightsError};

/// The end of an archive, with a comment of any length behind it.
const MAX_END: u64 = 22 + (1 << 16);
/// One tensor is a handful of entries, whose directory is a page.
const MAX_DIRECTORY: usize = 1 << 16;
/// What describes one tensor is a few hundred bytes.
const MAX_PICKLE: usize = 1 << 16;
/// `little` or `big`.
const MAX_ORDER: u64 = 16;
/// No tensor has more sides.
const MAX_RANK: usize = 8;
/// One tensor has no deeper structure.
const MAX_VALUES: usize = 1 << 10;

/// A tensor of its own file; its numbers are read when asked for.
#[derive(Clone, Debug)]
pub(crate) struct BareTensor {
    pub(crate) entry: TensorEntry,
    path: PathBuf,
    storage: ZipEntry,
    layout: Layout,
}

/// Where a tensor's numbers are in its storage.
#[derive(Clone, Debug, PartialEq)]
struct Layout {
    key: String,
    dtype: DType,
    /// In numbers.
    offset: usize,
    shape: Vec<usize>,
    /// In numbers.
    strides: Vec<usize>,
}

impl BareTensor {
    /// The tensor of a file; `None` if the file is something else than one tensor.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if the file cannot be read, or holds a tensor that is unsound.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, WeightsError> {
        let unsound = |reason| WeightsError::Unsound { path: path.to_owned(), reason };
        let read = |source| WeightsError::Read { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(read)?;
        let Some(entries) = entries_of(&mut file).map_err(read)? else { return Ok(None) };
        let find = |name: &str| {
            let is_it = |entry: &&ZipEntry| {
                entry.name.strip_suffix(name).is_some_and(|folder| folder.ends_with('/'))
            };
            entries.iter().find(is_it)
        };
        let Some(pickle) = find("data.pkl").filter(|pickle| pickle.size <= MAX_PICKLE as u64)
        else {
            return Ok(None);
        };
        let Some(layout) = tensor_of(&pickle.read(&mut file).map_err(read)?) else {
            return Ok(None);
        };
        if let Some(order) = find("byteorder").filter(|order| order.size <= MAX_ORDER)
            && order.read(&mut file).map_err(read)? != b"little"
        {
            return Err(unsound("its numbers are not little-endian".to_owned()));
        }
        let storage = find(&format!("data/{}", layout.key))
            .ok_or_else(|| unsound(format!("its numbers, data/{}, are missing", layout.key)))?;
        let entry =
            TensorEntry { name: String::new(), dtype: layout.dtype, shape: layout.shape.clone() };
        let n_numbers = storage.size as usize / layout.dtype.size();
        let fits = layout.end().is_some_and(|end| end <= n_numbers)
            && entry.n_bytes().is_some_and(|n_bytes| n_bytes as u64 <= storage.size);
        if !fits {
            return Err(unsound(format!(
                "a tensor of shape {:?} does not lie in a storage of {} bytes",
                layout.shape, storage.size
            )));
        }
        Ok(Some(Self { entry, path: path.to_owned(), storage: storage.clone(), layout }))
    }

    /// The bytes, row-major and little-endian.
    pub(crate) fn read(&self) -> Result<Vec<u8>, WeightsError> {
        let read = |source| WeightsError::Read { path: self.path.clone(), source };
        let mut file = File::open(&self.path).map_err(read)?;
        let storage = self.storage.read(&mut file).map_err(read)?;
        if crc32(&storage) != self.storage.crc32 {
            return Err(WeightsError::Unsound {
                path: self.path.clone(),
                reason: "its numbers do not match their checksum".to_owned(),
            });
        }
        Ok(self.layout.gathered(&storage))
    }
}

impl Layout {
    /// One more than the largest place in the storage; `None` if there is no such number.
    fn end(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        let sides = self.shape.iter().zip(&self.strides);
        sides
            .map(|(&side, &stride)| (side - 1).checked_mul(stride))
            .try_fold(self.offset, |sum, far| sum.checked_add(far?))?
            .checked_add(1)
    }

    /// The numbers in row-major order, whatever the strides are.
    fn gathered(&self, storage: &[u8]) -> Vec<u8> {
        let size = self.dtype.size();
        let n: usize = self.shape.iter().product();
        let mut bytes = Vec::with_capacity(n * size);
        let mut at = vec![0; self.shape.len()];
        for _ in 0..n {
            let place: usize = at.iter().zip(&self.strides).map(|(&i, &stride)| i * stride).sum();
            let start = (self.offset + place) * size;
            bytes.extend_from_slice(&storage[start..start + size]);
            for (i, &side) in at.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < side {
                    break;
                }
                *i = 0;
            }
        }
        bytes
    }
}

/// A file within an archive.
#[derive(Clone, Debug)]
struct ZipEntry {
    name: String,
    /// Where its local header is.
    header: u64,
    size: u64,
    crc32: u32,
}

impl ZipEntry {
    fn read(&self, file: &mut File) -> std::io::Result<Vec<u8>> {
        // Names and extra fields are of other lengths here than in the directory.
        let mut header = [0; 30];
        file.seek(SeekFrom::Start(self.header))?;
        file.read_exact(&mut header)?;
        let skipped = i64::from(u16_at(&header, 26)) + i64::from(u16_at(&header, 28));
        file.seek(SeekFrom::Current(skipped))?;
        let mut bytes = vec![0; self.size as usize];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// The entries of a small archive without compression; `None` if the file is none.
fn entries_of(file: &mut File) -> std::io::Result<Option<Vec<ZipEntry>>> {
    let length = file.metadata()?.len();
    let mut end = vec![0; length.min(MAX_END) as usize];
    file.seek(SeekFrom::Start(length - end.len() as u64))?;
    file.read_exact(&mut end)?;
    let Some(at) = end.windows(4).rposition(|window| window == b"PK\x05\x06") else {
        return Ok(None);
    };
    let end = &end[at..];
    if end.len() < 22 {
        return Ok(None);
    }
    let (size, start) = (u32_at(end, 12) as usize, u64::from(u32_at(end, 16)));
    if size > MAX_DIRECTORY || start + size as u64 > length {
        return Ok(None);
    }
    let mut directory = vec![0; size];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut directory)?;
    let mut entries = Vec::new();
    let mut rest = &directory[..];
    while rest.len() >= 46 && rest.starts_with(b"PK\x01\x02") {
        let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(rest, at)));
        let (Some(name_bytes), Some(next)) =
            (rest.get(46..46 + name), rest.get(46 + name + extra + comment..))
        else {
            return Ok(None);
        };
        let (method, size) = (u16_at(rest, 10), u64::from(u32_at(rest, 24)));
        let header = u64::from(u32_at(rest, 42));
        if method != 0 || size != u64::from(u32_at(rest, 20)) || header + size > length {
            return Ok(None);
        }
        let name = String::from_utf8_lossy(name_bytes).into_owned();
        entries.push(ZipEntry { name, header, size, crc32: u32_at(rest, 16) });
        rest = next;
    }
    Ok(Some(entries))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The checksum of ZIP archives (polynomial 0xEDB88320, reflected).
fn crc32(bytes: &[u8]) -> u32 {
    let table: [u32; 256] = std::array::from_fn(|byte| {
        (0..8).fold(
            byte as u32,
            |crc, _| {
                if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 }
            },
        )
    });
    !bytes
        .iter()
        .fold(!0, |crc: u32, &byte| (crc >> 8) ^ table[((crc ^ u32::from(byte)) & 0xFF) as usize])
}

/// What the pickle of a tensor is made of.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Mark,
    Integer(usize),
    Text(String),
    /// A module and a name in it.
    Global(String),
    Tuple(Vec<Value>),
    Storage {
        key: String,
        dtype: DType,
    },
    Tensor(Layout),
    /// A flag, or an empty dictionary of hooks.
    Other,
}

/// The tensor that a pickle describes; `None` if it describes anything else.
fn tensor_of(pickle: &[u8]) -> Option<Layout> {
    let mut bytes = pickle;
    let mut stack: Vec<Value> = Vec::new();
    let mut memo: Vec<Option<Value>> = Vec::new();
    loop {
        let opcode = take::<1>(&mut bytes)?[0];
        match opcode {
            0x80 => drop(take::<1>(&mut bytes)?), // PROTO
            b'.' => break,                        // STOP
            b'(' => stack.push(Value::Mark),
            b'N' | 0x88 | 0x89 | b'}' => stack.push(Value::Other), // None, True, False, {}
            b'K' => stack.push(Value::Integer(take::<1>(&mut bytes)?[0].into())),
            b'M' => stack.push(Value::Integer(u16::from_le_bytes(take(&mut bytes)?).into())),
            b'J' => {
                let number = i32::from_le_bytes(take(&mut bytes)?);
                stack.push(Value::Integer(usize::try_from(number).ok()?));
            }
            0x8a => {
                // LONG1: little-endian, two's complement.
                let n = usize::from(take::<1>(&mut bytes)?[0]);
                let long = bytes.get(..n)?;
                bytes = &bytes[n..];
                let is_negative = long.last().is_some_and(|&top| top >= 0x80);
                if is_negative || n > 8 {
                    return None;
                }
                let number = long.iter().rev().fold(0_u64, |sum, &b| (sum << 8) | u64::from(b));
                stack.push(Value::Integer(usize::try_from(number).ok()?));
            }
            b'X' => {
                let n = u32::from_le_bytes(take(&mut bytes)?) as usize;
                let text = std::str::from_utf8(bytes.get(..n)?).ok()?;
                stack.push(Value::Text(text.to_owned()));
                bytes = &bytes[n..];
            }
            b'c' => {
                let mut line = || {
                    let end = bytes.iter().position(|&byte| byte == b'\n')?;
                    let line = std::str::from_utf8(&bytes[..end]).ok()?;
                    bytes = &bytes[end + 1..];
                    Some(line)
                };
                stack.push(Value::Global(format!("{}.{}", line()?, line()?)));
            }
            b')' => stack.push(Value::Tuple(Vec::new())),
            b't' => {
                let start = stack.iter().rposition(|value| *value == Value::Mark)?;
                let parts = stack.split_off(start + 1);
                stack.pop();
                stack.push(Value::Tuple(parts));
            }
            0x85..=0x87 => {
                let parts = stack.split_off(stack.len().checked_sub(usize::from(opcode - 0x84))?);
                stack.push(Value::Tuple(parts));
            }
            b'q' | b'r' => {
                let at = match opcode {
                    b'q' => usize::from(take::<1>(&mut bytes)?[0]),
                    _ => u32::from_le_bytes(take(&mut bytes)?) as usize,
                };
                if at > MAX_VALUES {
                    return None;
                }
                memo.resize(memo.len().max(at + 1), None);
                memo[at] = Some(stack.last()?.clone());
            }
            b'h' => {
                // Tuples are never used twice; those of tuples that are would grow without end.
                let at = usize::from(take::<1>(&mut bytes)?[0]);
                let value = memo.get(at)?.clone()?;
                if matches!(value, Value::Tuple(_)) {
                    return None;
                }
                stack.push(value);
            }
            b'Q' => {
                let id = stack.pop()?;
                stack.push(storage_of(&id)?);
            }
            b'R' => {
                let (arguments, callable) = (stack.pop()?, stack.pop()?);
                stack.push(called(&callable, &arguments)?);
            }
            _ => return None,
        }
        if stack.len() > MAX_VALUES {
            return None;
        }
    }
    match &stack[..] {
        [Value::Tensor(layout)] => Some(layout.clone()),
        _ => None,
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

/// The storage of a persistent id: `("storage", type, key, device, numbers)`.
fn storage_of(id: &Value) -> Option<Value> {
    let Value::Tuple(id) = id else { return None };
    let [Value::Text(kind), Value::Global(of), Value::Text(key), Value::Text(_), _] = &id[..]
    else {
        return None;
    };
    if kind != "storage" {
        return None;
    }
    let dtype = match of.strip_prefix("torch.")?.strip_suffix("Storage")? {
        "Double" => DType::F64,
        "Float" => DType::F32,
        "Half" => DType::F16,
        "BFloat16" => DType::BF16,
        "Long" => DType::I64,
        "Int" => DType::I32,
        "Short" => DType::I16,
        "Char" => DType::I8,
        "Byte" => DType::U8,
        _ => return None,
    };
    Some(Value::Storage { key: key.clone(), dtype })
}

/// What one of the known constructors makes.
fn called(callable: &Value, arguments: &Value) -> Option<Value> {
    let (Value::Global(name), Value::Tuple(arguments)) = (callable, arguments) else {
        return None;
    };
    match (name.as_str(), &arguments[..]) {
        ("collections.OrderedDict", []) => Some(Value::Other),
        (
            "torch._utils._rebuild_tensor_v2",
            [Value::Storage { key, dtype }, Value::Integer(offset), shape, strides, ..],
        ) => {
            let (shape, strides) = (integers(shape)?, integers(strides)?);
            (shape.len() == strides.len() && shape.len() <= MAX_RANK).then(|| {
                Value::Tensor(Layout {
                    key: key.clone(),
                    dtype: *dtype,
                    offset: *offset,
                    shape,
                    strides,
                })
            })
        }
        ("torch._utils._rebuild_parameter", [Value::Tensor(layout), ..]) => {
            Some(Value::Tensor(layout.clone()))
        }
        _ => None,
    }
}

fn integers(tuple: &Value) -> Option<Vec<usize>> {
    let Value::Tuple(parts) = tuple else { return None };
    parts
        .iter()
        .map(|part| match part {
            Value::Integer(number) => Some(*number),
            _ => None,
        })
        .collect()
}
