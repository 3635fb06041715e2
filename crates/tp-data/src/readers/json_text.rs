//! Converts the JSON variants that programs write to standard JSON, as a stream.
//!
//! Accepted besides the standard: UTF-8 with a byte order mark (PowerShell, Excel), UTF-16, `NaN`
//! and `Infinity` (Python), exponents beyond the range of floats, invalid UTF-8 in strings,
//! unpaired surrogates, control characters in strings, and backslashes that escape nothing, as in
//! Windows paths. Non-finite numbers become `null`.

use std::io::{self, Read};

/// The number of bytes read at once.
const CHUNK_BYTES: usize = 1 << 16;
/// Larger decimal exponents are replaced by this one: still too large for any use, but without
/// overflow.
const MAX_EXPONENT: u32 = 280;
/// The longest sequence that is examined as a whole: the two escapes of a surrogate pair.
const PAIR_BYTES: usize = 12;
/// Longer runs of letters and digits are not known words and pass unchanged.
const MAX_TOKEN_BYTES: usize = 64;

/// A reader that returns standard JSON in UTF-8.
pub(super) struct JsonText<R> {
    file: R,
    encoding: Option<Encoding>,
    /// Read, but not yet decoded.
    raw: Vec<u8>,
    /// UTF-8, but not yet examined.
    input: Vec<u8>,
    /// Examined; returned up to `given`.
    output: Vec<u8>,
    given: usize,
    in_text: bool,
    at_end: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

impl<R: Read> JsonText<R> {
    pub(super) fn new(file: R) -> Self {
        let (raw, input, output) = (Vec::new(), Vec::new(), Vec::new());
        Self { file, encoding: None, raw, input, output, given: 0, in_text: false, at_end: false }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.output.clear();
        self.given = 0;
        while self.output.is_empty() && !self.at_end {
            let before = self.raw.len();
            self.raw.resize(before + CHUNK_BYTES, 0);
            let n = self.file.read(&mut self.raw[before..])?;
            self.raw.truncate(before + n);
            self.at_end = n == 0;
            self.decode();
            self.clean();
        }
        Ok(())
    }

    /// Moves what can be decoded from `raw` to `input`.
    fn decode(&mut self) {
        let encoding = match self.encoding {
            Some(encoding) => encoding,
            // A byte order mark has up to three bytes.
            None if self.raw.len() < 3 && !self.at_end => return,
            None => {
                let (encoding, mark) = match *self.raw.as_slice() {
                    [0xEF, 0xBB, 0xBF, ..] => (Encoding::Utf8, 3),
                    [0xFF, 0xFE, ..] => (Encoding::Utf16Le, 2),
                    [0xFE, 0xFF, ..] => (Encoding::Utf16Be, 2),
                    // JSON begins with an ASCII character.
                    [first, 0, ..] if first != 0 => (Encoding::Utf16Le, 0),
                    [0, second, ..] if second != 0 => (Encoding::Utf16Be, 0),
                    _ => (Encoding::Utf8, 0),
                };
                self.raw.drain(..mark);
                self.encoding = Some(encoding);
                encoding
            }
        };
        if encoding == Encoding::Utf8 {
            self.input.append(&mut self.raw);
            return;
        }
        let unit = |pair: &[u8]| match encoding {
            Encoding::Utf16Be => u16::from_be_bytes([pair[0], pair[1]]),
            _ => u16::from_le_bytes([pair[0], pair[1]]),
        };
        let mut units: Vec<u16> = self.raw.chunks_exact(2).map(unit).collect();
        let in_two = |unit: &u16| (0xD800..0xDC00).contains(unit);
        if !self.at_end && units.last().is_some_and(in_two) {
            units.pop();
        }
        let used = units.len() * 2;
        for character in char::decode_utf16(units) {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.input.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        self.raw.drain(..used);
    }

    /// Moves what can be examined from `input` to `output`.
    fn clean(&mut self) {
        let input = std::mem::take(&mut self.input);
        let mut at = 0;
        while at < input.len() {
            let rest = &input[at..];
            let used = if self.in_text { self.text_piece(rest) } else { self.other_piece(rest) };
            if used == 0 {
                break;
            }
            at += used;
        }
        self.input = input;
        self.input.drain(..at);
    }

    /// A piece outside of strings; 0 if more must be read first.
    fn other_piece(&mut self, rest: &[u8]) -> usize {
        let starts = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'-' || *byte == b'"';
        let plain = rest.iter().position(starts).unwrap_or(rest.len());
        if plain > 0 {
            self.output.extend_from_slice(&rest[..plain]);
            return plain;
        }
        if rest[0] == b'"' {
            self.in_text = true;
            self.output.push(b'"');
            return 1;
        }
        let in_token =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let end = rest.iter().take(MAX_TOKEN_BYTES).position(|byte| !in_token(byte));
        let end = match end {
            Some(end) => end,
            None if rest.len() < MAX_TOKEN_BYTES && !self.at_end => return 0,
            None => rest.len().min(MAX_TOKEN_BYTES),
        };
        self.output.extend_from_slice(&standard_token(&rest[..end]));
        end
    }

    /// A piece of a string; 0 if more must be read first.
    fn text_piece(&mut self, rest: &[u8]) -> usize {
        let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
        let plain = rest.iter().position(ends).unwrap_or(rest.len());
        if plain > 0 {
            let used = if plain == rest.len() && !self.at_end {
                plain - cut_off(&rest[..plain])
            } else {
                plain
            };
            match std::str::from_utf8(&rest[..used]) {
                Ok(_) => self.output.extend_from_slice(&rest[..used]),
                Err(_) => {
                    self.output.extend_from_slice(String::from_utf8_lossy(&rest[..used]).as_bytes())
                }
            }
            return used;
        }
        match rest[0] {
            b'"' => {
                self.in_text = false;
                self.output.push(b'"');
                1
            }
            b'\\' if rest.len() < PAIR_BYTES && !self.at_end => 0,
            b'\\' => self.escape(rest),
            _ => {
                self.output.push(b' ');
                1
            }
        }
    }

    fn escape(&mut self, rest: &[u8]) -> usize {
        match rest.get(1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.output.extend_from_slice(&rest[..2]);
                2
            }
            Some(b'u') if code_unit(rest).is_some() => {
                let used = match (code_unit(rest), code_unit(rest.get(6..).unwrap_or_default())) {
                    (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => PAIR_BYTES,
                    (Some(0xD800..0xE000), _) => {
                        self.output.extend_from_slice(b"\\ufffd");
                        return 6;
                    }
                    _ => 6,
                };
                self.output.extend_from_slice(&rest[..used]);
                used
            }
            _ => {
                self.output.extend_from_slice(b"\\\\");
                1
            }
        }
    }
}

impl<R: Read> Read for JsonText<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.given == self.output.len() {
            self.fill()?;
        }
        let n = bytes.len().min(self.output.len() - self.given);
        bytes[..n].copy_from_slice(&self.output[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

/// A word or a number in standard form.
fn standard_token(token: &[u8]) -> Vec<u8> {
    match token.strip_prefix(b"-").unwrap_or(token) {
        b"NaN" | b"nan" | b"NAN" | b"Infinity" | b"infinity" | b"inf" | b"Inf" | b"None"
        | b"undefined" => b"null".to_vec(),
        b"True" => b"true".to_vec(),
        b"False" => b"false".to_vec(),
        _ => small_exponent(token),
    }
}

/// The number with an exponent that does not overflow. Digits before the exponent may already have
/// been passed on.
fn small_exponent(token: &[u8]) -> Vec<u8> {
    let Some(mark) = token.iter().position(|byte| matches!(byte, b'e' | b'E')) else {
        return token.to_vec();
    };
    let digits = token[mark + 1..].strip_prefix(b"+").unwrap_or(&token[mark + 1..]);
    let is_number = !digits.is_empty()
        && digits.iter().all(u8::is_ascii_digit)
        && token[..mark].iter().all(|byte| !byte.is_ascii_alphabetic());
    let exponent = digits.iter().fold(0_u32, |sum, digit| {
        sum.saturating_mul(10).saturating_add(u32::from(digit.wrapping_sub(b'0')))
    });
    if is_number && exponent > MAX_EXPONENT {
        [&token[..mark], format!("e{MAX_EXPONENT}").as_bytes()].concat()
    } else {
        token.to_vec()
    }
}

/// The code unit of an escape `\uXXXX` at the beginning.
fn code_unit(rest: &[u8]) -> Option<u16> {
    let digits = rest.strip_prefix(b"\\u")?.get(..4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The number of bytes at the end that belong to an incomplete character.
fn cut_off(bytes: &[u8]) -> usize {
    let start = bytes.iter().rev().take(3).position(|byte| *byte >= 0xC0);
    let Some(after) = start else { return 0 };
    let length = match bytes[bytes.len() - 1 - after] {
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    };
    if after + 1 < length { after + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A reader that returns one byte at a time, so that every boundary is tested.
    struct Slowly<'a>(&'a [u8]);

    impl Read for Slowly<'_> {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            bytes[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    fn read(bytes: &[u8]) -> Value {
        let mut both = [String::new(), String::new()];
        JsonText::new(Slowly(bytes)).read_to_string(&mut both[0]).unwrap();
        JsonText::new(bytes).read_to_string(&mut both[1]).unwrap();
        assert_eq!(both[0], both[1]);
        serde_json::from_str(&both[0]).unwrap_or_else(|error| panic!("{}: {error}", both[0]))
    }

    #[test]
    fn standard_json_passes_unchanged() {
        let text = r#"{"a": [1, -2.5, 1e3, -1E-4, true, false, null], "é\n\"\\\/\u00e9\ud83d\ude00": "NaN, -Infinity, 1e999 \\x"}"#;
        let mut out = String::new();
        JsonText::new(Slowly(text.as_bytes())).read_to_string(&mut out).unwrap();
        assert_eq!(out, text);
    }

    #[test]
    fn what_python_writes_for_no_number_is_null() {
        assert_eq!(
            read(b"[NaN, Infinity, -Infinity, nan, None, True]"),
            json!([null, null, null, null, null, true])
        );
        assert_eq!(read(b"[1e999, -2E+400, 1e-999, 12e2]"), json!([1e280, -2e280, 0.0, 1200.0]));
    }

    #[test]
    fn encodings_are_told_by_their_mark_or_their_zeros() {
        let text = "{\"name\": \"caf\u{e9} \u{1f436}\"}";
        let expected = json!({"name": "caf\u{e9} \u{1f436}"});
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(read(&[b"\xEF\xBB\xBF", text.as_bytes()].concat()), expected);
        for (mark, bytes) in [(b"\xFF\xFE", &little), (b"\xFE\xFF", &big)] {
            assert_eq!(read(&[mark, &bytes[..]].concat()), expected);
            assert_eq!(read(bytes), expected);
        }
        assert_eq!(read(b"7"), json!(7));
    }

    #[test]
    fn texts_that_are_none_become_texts() {
        // Latin-1, unpaired surrogates, an unescaped line break, and paths whose backslashes escape
        // nothing.
        assert_eq!(read(b"[\"caf\xE9.png\"]"), json!(["caf\u{fffd}.png"]));
        assert_eq!(read(br#"["\udce9.png", "\ud800x"]"#), json!(["\u{fffd}.png", "\u{fffd}x"]));
        assert_eq!(read(b"[\"a\nb\"]"), json!(["a b"]));
        assert_eq!(
            read(br#"["C:\Users\me\a.png", "\users"]"#),
            json!(["C:\\Users\\me\\a.png", "\\users"])
        );
    }
}
