//! Finds the EXIF orientation of an image file, and resets it without decoding pixels.
//!
//! JPEG stores EXIF in an APP1 segment, PNG in `eXIf`, WebP in `EXIF`. Some viewers also use
//! `tiff:Orientation` in XMP (Pillow), and EXIF in a text chunk of a PNG (Pillow, ImageMagick), so
//! these are reset as well.

use std::{borrow::Cow, ops::Range};

use image::metadata::Orientation;

/// The number of the tag; the field types of TIFF follow.
const ORIENTATION: u16 = 0x0112;
const BYTE: u16 = 1;
const SHORT: u16 = 3;
const LONG: u16 = 4;

/// The transformation to the upright image; the identity for files without a valid tag.
pub(crate) fn orientation(file: &[u8]) -> Orientation {
    let tag = blocks(file)
        .into_iter()
        .filter(|block| block.kind == Kind::Exif)
        .find_map(|block| Tag::find(&file[block.data]));
    tag.and_then(|tag| Orientation::from_exif(tag.value)).unwrap_or(Orientation::NoTransforms)
}

/// Whether the upright image has swapped sides.
pub(crate) fn swaps_sides(orientation: Orientation) -> bool {
    match orientation {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => true,
        Orientation::NoTransforms
        | Orientation::Rotate180
        | Orientation::FlipHorizontal
        | Orientation::FlipVertical => false,
    }
}

/// The file with its orientation reset, so that every program shows the stored image. Pixels, sizes
/// and all other metadata are unchanged.
pub(crate) fn as_stored(file: &[u8]) -> Cow<'_, [u8]> {
    let mut changed = Cow::Borrowed(file);
    // From the end, so that removals do not shift blocks that are still to be processed.
    for Block { kind, data, whole } in blocks(file).into_iter().rev() {
        match kind {
            Kind::Exif => {
                let Some(tag) = Tag::find(&file[data.clone()]) else { continue };
                changed.to_mut()[data.start + tag.at..][..tag.upright.len()]
                    .copy_from_slice(&tag.upright);
            }
            Kind::Xmp => {
                for at in xmp_digits(&file[data.clone()]) {
                    changed.to_mut()[data.start + at] = b'1';
                }
            }
            Kind::Packed => {
                changed.to_mut().drain(whole);
                continue;
            }
        }
        if is_png(file) {
            // A chunk ends with the CRC of its name and data.
            let mut crc = flate2::Crc::new();
            crc.update(&changed[whole.start + 4..whole.end - 4]);
            changed.to_mut()[whole.end - 4..whole.end].copy_from_slice(&crc.sum().to_be_bytes());
        }
    }
    changed
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A TIFF file with tags.
    Exif,
    /// XML text.
    Xmp,
    /// EXIF or XMP in a form that cannot be changed in place; it contains nothing needed for
    /// decoding.
    Packed,
}

/// A block that may contain an orientation.
struct Block {
    kind: Kind,
    data: Range<usize>,
    /// The segment or chunk that contains the data.
    whole: Range<usize>,
}

fn is_png(file: &[u8]) -> bool {
    file.starts_with(b"\x89PNG\r\n\x1a\n")
}

fn blocks(file: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    if file.starts_with(b"\xff\xd8") {
        of_jpeg(file, &mut blocks);
    } else if is_png(file) {
        of_png(file, &mut blocks);
    } else if file.starts_with(b"RIFF") && file.get(8..12) == Some(b"WEBP") {
        of_webp(file, &mut blocks);
    }
    blocks
}

fn of_jpeg(file: &[u8], blocks: &mut Vec<Block>) {
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = file.get(at..at + 4) {
        if marker == 0xff {
            at += 1;
            continue;
        }
        let end = at + 2 + usize::from(u16::from_be_bytes([high, low]));
        // Metadata of the whole image precedes its first scan.
        let Some(segment) = file.get(at + 4..end).filter(|_| marker != 0xda) else { break };
        let mut add = |kind, skipped: usize| {
            blocks.push(Block { kind, data: at + 4 + skipped..end, whole: at..end })
        };
        match marker {
            0xe1 if segment.starts_with(b"Exif\0") && segment.len() > 6 => add(Kind::Exif, 6),
            0xe1 if segment.starts_with(b"http://ns.adobe.com/x") => add(Kind::Xmp, 0),
            _ => {}
        }
        at = end;
    }
}

fn of_png(file: &[u8], blocks: &mut Vec<Block>) {
    let mut at = 8;
    while let Some(&[a, b, c, d, ref name @ ..]) = file.get(at..at + 8) {
        let start = at + 8;
        let Some(end) = start
            .checked_add(u32::from_be_bytes([a, b, c, d]) as usize)
            .filter(|end| end + 4 <= file.len())
        else {
            break;
        };
        let data = &file[start..end];
        let mut add = |kind, skipped: usize| {
            blocks.push(Block { kind, data: start + skipped..end, whole: at..end + 4 })
        };
        match name {
            b"eXIf" => add(Kind::Exif, exif_prefix(data)),
            b"iTXt" if data.starts_with(b"XML:com.adobe.xmp\0\0") => add(Kind::Xmp, 0),
            b"iTXt" if data.starts_with(b"XML:com.adobe.xmp\0") => add(Kind::Packed, 0),
            b"tEXt" | b"zTXt" | b"iTXt" if data.starts_with(b"Raw profile type ") => {
                add(Kind::Packed, 0)
            }
            _ => {}
        }
        at = end + 4;
    }
}

fn of_webp(file: &[u8], blocks: &mut Vec<Block>) {
    let mut at = 12;
    while let Some(&[ref name @ .., a, b, c, d]) = file.get(at..at + 8) {
        let start = at + 8;
        let Some(end) = start
            .checked_add(u32::from_le_bytes([a, b, c, d]) as usize)
            .filter(|end| *end <= file.len())
        else {
            break;
        };
        let mut add = |kind, skipped: usize| {
            blocks.push(Block { kind, data: start + skipped..end, whole: at..end })
        };
        match name {
            b"EXIF" => add(Kind::Exif, exif_prefix(&file[start..end])),
            b"XMP " => add(Kind::Xmp, 0),
            _ => {}
        }
        at = end + end % 2;
    }
}

/// Some writers put a JPEG's prefix before the tags in other formats as well.
fn exif_prefix(data: &[u8]) -> usize {
    if data.starts_with(b"Exif\0\0") { 6 } else { 0 }
}

/// An orientation among the tags of a TIFF block.
struct Tag {
    value: u8,
    /// The position of type, count and value of its entry, and the bytes for "upright".
    at: usize,
    upright: [u8; 10],
}

impl Tag {
    fn find(tiff: &[u8]) -> Option<Self> {
        let is_big = match tiff.get(..2)? {
            b"II" => false,
            b"MM" => true,
            _ => return None,
        };
        let short = |at: usize| -> Option<u16> {
            let bytes = [*tiff.get(at)?, *tiff.get(at + 1)?];
            Some(if is_big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
        };
        let long = |at: usize| -> Option<u32> {
            let (first, second) = (u32::from(short(at)?), u32::from(short(at + 2)?));
            Some(if is_big { first << 16 | second } else { second << 16 | first })
        };
        let start = long(4)? as usize;
        let n = usize::from(short(start)?);
        let entry = (0..n)
            .map(|index| start + 2 + 12 * index)
            .find(|&entry| short(entry) == Some(ORIENTATION))?;
        let value = match short(entry + 2)? {
            BYTE => u32::from(*tiff.get(entry + 8)?),
            SHORT => u32::from(short(entry + 8)?),
            LONG => long(entry + 8)?,
            _ => 0,
        };
        tiff.get(entry..entry + 12)?;
        let upright = if is_big {
            [0, SHORT as u8, 0, 0, 0, 1, 0, 1, 0, 0]
        } else {
            [SHORT as u8, 0, 1, 0, 0, 0, 1, 0, 0, 0]
        };
        Some(Self { value: u8::try_from(value).unwrap_or(0), at: entry + 2, upright })
    }
}

/// The positions of XMP orientations other than 1, as an attribute or as an element.
fn xmp_digits(xmp: &[u8]) -> Vec<usize> {
    const NAME: &[u8] = b"tiff:Orientation";
    let mut digits = Vec::new();
    for (at, _) in xmp.windows(NAME.len()).enumerate().filter(|(_, window)| *window == NAME) {
        let rest = &xmp[at + NAME.len()..];
        let skipped = rest
            .iter()
            .take_while(|byte| {
                matches!(byte, b'=' | b'"' | b'\'' | b'>' | b' ' | b'\t' | b'\r' | b'\n')
            })
            .count();
        if skipped > 0 && rest.get(skipped).is_some_and(|digit| (b'2'..=b'9').contains(digit)) {
            digits.push(at + NAME.len() + skipped);
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};

    use super::*;

    /// TIFF tags with a camera maker before the orientation.
    fn tiff(is_big: bool, field: u16, value: u8) -> Vec<u8> {
        let short = |v: u16| if is_big { v.to_be_bytes() } else { v.to_le_bytes() };
        let long = |v: u32| if is_big { v.to_be_bytes() } else { v.to_le_bytes() };
        let mut tiff = if is_big { b"MM\0\x2a".to_vec() } else { b"II\x2a\0".to_vec() };
        tiff.extend([long(8).as_slice(), &short(2)].concat());
        tiff.extend([short(0x010f).as_slice(), &short(2), &long(4), b"abc\0"].concat());
        let inline = match field {
            BYTE => [value, 0, 0, 0],
            SHORT => [short(value.into()), [0, 0]].concat().try_into().unwrap(),
            _ => long(value.into()),
        };
        tiff.extend(
            [short(ORIENTATION).as_slice(), &short(field), &long(1), &inline, &long(0)].concat(),
        );
        tiff
    }

    fn plain(format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        DynamicImage::from(RgbImage::from_fn(6, 4, |x, y| {
            image::Rgb([x as u8 * 40, y as u8 * 60, 90])
        }))
        .write_to(&mut file, format)
        .unwrap();
        file.into_inner()
    }

    fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let body = [name.as_slice(), data].concat();
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        [(data.len() as u32).to_be_bytes().as_slice(), &body, &crc.sum().to_be_bytes()].concat()
    }

    fn jpeg(segments: &[&[u8]]) -> Vec<u8> {
        let mut file = plain(ImageFormat::Jpeg);
        let segments: Vec<u8> = segments
            .iter()
            .flat_map(|data| {
                [b"\xff\xe1".as_slice(), &(data.len() as u16 + 2).to_be_bytes(), data].concat()
            })
            .collect();
        file.splice(2..2, segments);
        file
    }

    fn png(chunks: &[Vec<u8>]) -> Vec<u8> {
        let mut file = plain(ImageFormat::Png);
        file.splice(33..33, chunks.concat());
        file
    }

    /// The extended form: a header that announces EXIF and XMP, the image, then EXIF and XMP.
    fn webp(exif: &[u8], xmp: &[u8]) -> Vec<u8> {
        let picture = plain(ImageFormat::WebP).split_off(12);
        let chunk = |name: &[u8], data: &[u8]| {
            [name, &(data.len() as u32).to_le_bytes(), data, &vec![0; data.len() % 2]].concat()
        };
        let body = [
            b"WEBP".as_slice(),
            &chunk(b"VP8X", &[0b0000_1100, 0, 0, 0, 5, 0, 0, 3, 0, 0]),
            &picture,
            &chunk(b"EXIF", exif),
            &chunk(b"XMP ", xmp),
        ]
        .concat();
        [b"RIFF".as_slice(), &(body.len() as u32).to_le_bytes(), &body].concat()
    }

    const XMP: &[u8] =
        b"<x tiff:Orientation=\"6\"/><tiff:Orientation>8</tiff:Orientation><tiff:OrientationX>7";

    #[test]
    fn every_format_is_found_and_reset_in_place() {
        for value in 1..=8 {
            for is_big in [false, true] {
                let tags = tiff(is_big, SHORT, value);
                let prefixed = [b"Exif\0\0".as_slice(), &tags].concat();
                let of_jpeg =
                    jpeg(&[&[b"http://ns.adobe.com/xap/1.0/\0", XMP].concat(), &prefixed]);
                let itxt =
                    chunk(b"iTXt", &[b"XML:com.adobe.xmp\0\0\0\0\0".as_slice(), XMP].concat());
                let files = [
                    of_jpeg,
                    png(&[itxt, chunk(b"eXIf", &tags)]),
                    webp(&tags, XMP),
                    webp(&prefixed, XMP),
                ];
                for file in files {
                    // The decoder of `image` serves as an independent implementation.
                    let by_image = |file: &[u8]| {
                        let mut decoder = ImageReader::new(Cursor::new(file.to_vec()))
                            .with_guessed_format()
                            .unwrap()
                            .into_decoder()
                            .unwrap();
                        (
                            decoder.orientation().unwrap(),
                            DynamicImage::from_decoder(decoder).unwrap(),
                        )
                    };
                    let (seen, pixels) = by_image(&file);
                    assert_eq!(orientation(&file), Orientation::from_exif(value).unwrap());
                    if !file.windows(6).any(|window| window == b"Exif\0\0")
                        || file.starts_with(b"\xff\xd8")
                    {
                        assert_eq!(seen, orientation(&file));
                    }
                    let reset = as_stored(&file);
                    assert_eq!(reset.len(), file.len());
                    assert_eq!(by_image(&reset), (Orientation::NoTransforms, pixels));
                    assert_eq!(orientation(&reset), Orientation::NoTransforms);
                    let text = String::from_utf8_lossy(&reset).into_owned();
                    assert!(
                        text.contains("tiff:Orientation=\"1\"/><tiff:Orientation>1<")
                            && text.contains("OrientationX>7")
                    );
                    assert!(text.contains("abc"), "other tags stay");
                    assert!(matches!(as_stored(&plain(ImageFormat::Jpeg)), Cow::Borrowed(_)));
                }
            }
        }
    }

    #[test]
    fn field_of_another_type_is_believed_and_becomes_a_short() {
        for field in [BYTE, LONG] {
            for is_big in [false, true] {
                let file = jpeg(&[&[b"Exif\0\0".as_slice(), &tiff(is_big, field, 6)].concat()]);
                assert_eq!(orientation(&file), Orientation::Rotate90);
                let mut wanted =
                    jpeg(&[&[b"Exif\0\0".as_slice(), &tiff(is_big, SHORT, 1)].concat()]);
                assert_eq!(as_stored(&file), wanted);
                wanted.truncate(40);
                assert_eq!(orientation(&wanted), Orientation::NoTransforms);
            }
        }
    }

    #[test]
    fn packed_metadata_of_a_png_is_cut_out() {
        let tags = tiff(true, SHORT, 6);
        let raw = chunk(b"zTXt", b"Raw profile type exif\0\0...");
        let packed = chunk(b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0...");
        let title = chunk(b"tEXt", b"Title\0tiff:Orientation=\"6\"");
        let file = png(&[raw, chunk(b"eXIf", &tags), packed, title.clone()]);
        assert_eq!(as_stored(&file), png(&[chunk(b"eXIf", &tiff(true, SHORT, 1)), title]));
    }

    #[test]
    fn damaged_blocks_change_nothing_and_never_panic() {
        let good = jpeg(&[&[b"Exif\0\0".as_slice(), &tiff(true, SHORT, 6)].concat()]);
        for file in
            [good, png(&[chunk(b"eXIf", &tiff(false, SHORT, 6))]), webp(&tiff(true, LONG, 6), XMP)]
        {
            for at in 0..file.len() {
                for value in [0, 0x7f, 0xff] {
                    let mut damaged = file.clone();
                    damaged[at] = value;
                    assert_eq!(as_stored(&damaged).len(), damaged.len());
                    as_stored(&damaged[..at]);
                }
            }
        }
        let no_tag = jpeg(&[b"Exif\0\0II\x2a\0\xff\xff\xff\xff"]);
        assert!(matches!(as_stored(&no_tag), Cow::Borrowed(_)));
    }
}
