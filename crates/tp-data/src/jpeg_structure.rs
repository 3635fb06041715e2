//! Parses the structure of a JPEG file before decoding, and selects the decoder.
//!
//! The decoder of `image` silently produces wrong pixels for sequential files with several scans,
//! and for unusual component sampling (zune-image, issues 341, 419, 422, 448, 449). Such files go
//! to `jpeg-decoder`, and files that neither supports are rejected: see
//! docs/decisions/0009-two-jpeg-decoders.md. Names follow ITU-T T.81.

use jpeg_decoder::ColorTransform;
use tp_core::ImageHw;

use crate::ImageProblem;

/// The decoder of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JpegDecoding {
    /// The decoder of `image`: single-scan or progressive files with the usual samplings.
    Common,
    /// The slower decoder that supports every order of scans and every sampling; it has to be told
    /// the color space.
    General(ColorTransform),
}

/// A JPEG file that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JpegPlan {
    pub(crate) size: ImageHw,
    pub(crate) decoding: JpegDecoding,
}

impl JpegPlan {
    /// Selects the decoder from the markers of a file.
    ///
    /// # Errors
    ///
    /// [`ImageProblem::Unsupported`] for kinds of JPEG that neither decoder supports,
    /// [`ImageProblem::Damaged`] for files that are truncated, inconsistent, or lack a component.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, ImageProblem> {
        let structure = Structure::read(bytes)?;
        structure.check()?;
        let size = ImageHw::new(structure.frame.height.into(), structure.frame.width.into())
            .map_err(|_| damaged("it has no pixels"))?;
        Ok(Self { size, decoding: structure.decoding() })
    }
}

fn damaged(detail: &str) -> ImageProblem {
    ImageProblem::Damaged { detail: detail.to_owned() }
}

fn unsupported(detail: &str) -> ImageProblem {
    ImageProblem::Unsupported { detail: detail.to_owned() }
}

/// A component of the frame.
#[derive(Clone, Copy, Debug)]
struct Component {
    id: u8,
    /// Horizontal and vertical samples in a minimum coded unit.
    sampling: [u8; 2],
}

/// The frame header.
#[derive(Clone, Debug, Default)]
struct Frame {
    /// The second byte of the marker: 0xc0 baseline, 0xc1 extended, 0xc2 progressive.
    process: u8,
    precision: u8,
    height: u16,
    width: u16,
    components: Vec<Component>,
}

/// The structure on which decoding depends.
#[derive(Debug, Default)]
struct Structure {
    frame: Frame,
    /// The components of every scan, as indices into the frame.
    scans: Vec<Vec<usize>>,
    has_jfif: bool,
    /// Adobe's color transform.
    adobe: Option<u8>,
}

impl Structure {
    fn read(bytes: &[u8]) -> Result<Self, ImageProblem> {
        let mut structure = Self::default();
        let markers = Markers { bytes, at: 2 };
        for (marker, segment) in markers {
            match marker {
                0xd9 => return Ok(structure),
                0xc3 | 0xc7 | 0xcb | 0xcf => return Err(unsupported("a lossless JPEG")),
                0xc9 | 0xca | 0xcc => return Err(unsupported("a JPEG with arithmetic coding")),
                0xc5 | 0xc6 | 0xcd | 0xce | 0xde => return Err(unsupported("a hierarchical JPEG")),
                0xc0..=0xc2 if structure.frame.process != 0 => {
                    return Err(damaged("it has two frame headers"));
                }
                0xc0..=0xc2 => {
                    structure.frame = Frame::read(marker, segment)
                        .ok_or_else(|| damaged("its frame header is cut off"))?
                }
                0xda => structure.scans.push(structure.frame.scan(segment)?),
                0xe0 => structure.has_jfif |= segment.starts_with(b"JFIF\0"),
                0xee if segment.starts_with(b"Adobe") => {
                    structure.adobe = segment.get(11).copied().or(structure.adobe)
                }
                _ => {}
            }
        }
        // The decoders silently fill missing data with gray, and gray pixels would be described as
        // if they were real.
        Err(damaged("the end-of-image marker is missing"))
    }

    fn check(&self) -> Result<(), ImageProblem> {
        let Frame { process, precision, height, components, .. } = &self.frame;
        if *process == 0 || self.scans.is_empty() {
            return Err(damaged("it has no frame or no scan"));
        }
        if *precision != 8 {
            return Err(unsupported(&format!("a JPEG of {precision} bits a sample")));
        }
        if *height == 0 {
            return Err(unsupported("a JPEG whose height is not in its header"));
        }
        if !matches!(components.len(), 1 | 3 | 4) {
            return Err(unsupported(&format!("a JPEG of {} components", components.len())));
        }
        if components
            .iter()
            .flat_map(|component| component.sampling)
            .any(|factor| !(1..=4).contains(&factor))
        {
            return Err(damaged("its sampling factors are not 1 to 4"));
        }
        let divides = |axis: usize| {
            let most =
                components.iter().map(|component| component.sampling[axis]).max().unwrap_or(1);
            components.iter().all(|component| most % component.sampling[axis] == 0)
        };
        if !divides(0) || !divides(1) {
            return Err(unsupported(
                "a JPEG whose components are sampled in fractions of one another",
            ));
        }
        match (0..components.len())
            .find(|place| !self.scans.iter().any(|scan| scan.contains(place)))
        {
            Some(place) => Err(damaged(&format!(
                "its component {} of {} is missing",
                place + 1,
                components.len()
            ))),
            None => Ok(()),
        }
    }

    fn decoding(&self) -> JpegDecoding {
        let components = &self.frame.components;
        let (colours, plain) = self.colours();
        let is_progressive = self.frame.process == 0xc2;
        let in_one_scan =
            self.scans.len() == 1 && self.scans[0].iter().copied().eq(0..components.len());
        // A single component is its own unit, regardless of its sampling factors.
        let is_common_sampling = components.len() == 1
            || components[0].sampling.iter().all(|&factor| factor <= 2)
                && components[1..].iter().all(|other| other.sampling == [1, 1]);
        if plain && (is_progressive || in_one_scan) && is_common_sampling {
            JpegDecoding::Common
        } else {
            JpegDecoding::General(colours)
        }
    }

    /// The color space by libjpeg's rules, and whether the file contains nothing that contradicts
    /// it.
    fn colours(&self) -> (ColorTransform, bool) {
        let ids: Vec<u8> = self.frame.components.iter().map(|component| component.id).collect();
        match (ids.len(), self.adobe) {
            (1, _) => (ColorTransform::Grayscale, true),
            (3, adobe) if self.has_jfif => {
                (ColorTransform::YCbCr, ids != *b"RGB" && matches!(adobe, None | Some(1)))
            }
            (3, Some(0)) => (ColorTransform::RGB, true),
            (3, Some(transform)) => (ColorTransform::YCbCr, transform == 1 && ids != *b"RGB"),
            (3, None) if ids == *b"RGB" => (ColorTransform::RGB, true),
            (3, None) => (ColorTransform::YCbCr, true),
            (_, None | Some(0)) => (ColorTransform::CMYK, true),
            (_, Some(transform)) => (ColorTransform::YCCK, transform == 2),
        }
    }
}

impl Frame {
    fn read(process: u8, segment: &[u8]) -> Option<Self> {
        let &[precision, height_high, height_low, width_high, width_low, n, ref rest @ ..] =
            segment
        else {
            return None;
        };
        let components = rest.get(..usize::from(n) * 3)?.chunks_exact(3);
        let component =
            |bytes: &[u8]| Component { id: bytes[0], sampling: [bytes[1] >> 4, bytes[1] & 15] };
        Some(Self {
            process,
            precision,
            height: u16::from_be_bytes([height_high, height_low]),
            width: u16::from_be_bytes([width_high, width_low]),
            components: components.map(component).collect(),
        })
    }

    /// The components of a scan, as indices into the frame.
    fn scan(&self, segment: &[u8]) -> Result<Vec<usize>, ImageProblem> {
        let chosen = segment.split_first().and_then(|(&n, rest)| rest.get(..usize::from(n) * 2));
        let chosen = chosen.ok_or_else(|| damaged("a scan header is cut off"))?;
        let place = |id: u8| self.components.iter().position(|component| component.id == id);
        chosen
            .chunks_exact(2)
            .map(|pair| {
                place(pair[0])
                    .ok_or_else(|| damaged("a scan names a component that the frame does not have"))
            })
            .collect()
    }
}

/// Iterates over the markers of a file with their segments, skipping entropy-coded data.
struct Markers<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Markers<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.at += self.bytes.get(self.at..)?.iter().position(|&byte| byte == 0xff)?;
            match *self.bytes.get(self.at + 1)? {
                // A fill byte: the next 0xff may begin the marker.
                0xff => self.at += 1,
                // A stuffed byte, a restart marker or a start of image is not followed by a
                // segment.
                0x00 | 0x01 | 0xd0..=0xd8 => self.at += 2,
                0xd9 => {
                    self.at += 2;
                    return Some((0xd9, &[]));
                }
                marker => {
                    let length = usize::from(u16::from_be_bytes([
                        *self.bytes.get(self.at + 2)?,
                        *self.bytes.get(self.at + 3)?,
                    ]));
                    let (start, end) = (self.at + 4, self.at + 2 + length.max(2));
                    self.at = end;
                    return Some((marker, self.bytes.get(start..end)?));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with markers but without pixels: a frame of components `[id, sampling]`, and the
    /// components of every scan.
    fn file(process: u8, components: &[[u8; 2]], scans: &[&[u8]], before: &[u8]) -> Vec<u8> {
        let mut file = b"\xff\xd8".to_vec();
        file.extend(before);
        file.extend([
            0xff,
            process,
            0,
            8 + 3 * components.len() as u8,
            8,
            0,
            20,
            0,
            30,
            components.len() as u8,
        ]);
        file.extend(components.iter().flat_map(|&[id, sampling]| [id, sampling, 0]));
        for scan in scans {
            file.extend([0xff, 0xda, 0, 6 + 2 * scan.len() as u8, scan.len() as u8]);
            file.extend(scan.iter().flat_map(|&id| [id, 0]));
            // A stuffed byte and a restart marker, neither of which ends the scan.
            file.extend(b"\0\x3f\0entropy\xff\0\xff\xd3coded");
        }
        file.extend(b"\xff\xd9");
        file
    }

    const YCC: [[u8; 2]; 3] = [[1, 0x22], [2, 0x11], [3, 0x11]];

    #[test]
    fn nearly_every_file_goes_to_the_common_decoder() {
        for components in [
            vec![[1, 0x22]],
            YCC.to_vec(),
            vec![[1, 0x21], [2, 0x11], [3, 0x11]],
            vec![[9, 0x11]; 1],
        ] {
            let ids: Vec<u8> = components.iter().map(|component| component[0]).collect();
            for process in [0xc0, 0xc1, 0xc2] {
                let plan = JpegPlan::of(&file(process, &components, &[&ids], b"")).unwrap();
                assert_eq!(
                    (plan.decoding, plan.size),
                    (JpegDecoding::Common, ImageHw::new(20, 30).unwrap())
                );
            }
        }
        let progressive = file(0xc2, &YCC, &[&[1, 2, 3], &[3], &[2], &[1]], b"");
        assert_eq!(JpegPlan::of(&progressive).unwrap().decoding, JpegDecoding::Common);
    }

    #[test]
    fn other_scans_and_samplings_go_to_the_general_decoder() {
        let general = JpegDecoding::General(ColorTransform::YCbCr);
        for scans in [
            &[&[1_u8][..], &[2], &[3]][..],
            &[&[1], &[2, 3]],
            &[&[1, 3, 2]],
            &[&[1, 2, 3], &[1, 2, 3]],
        ] {
            assert_eq!(
                JpegPlan::of(&file(0xc0, &YCC, scans, b"")).unwrap().decoding,
                general,
                "{scans:?}"
            );
        }
        for sampling in
            [[0x11, 0x22, 0x11], [0x22, 0x21, 0x21], [0x41, 0x11, 0x11], [0x22, 0x22, 0x22]]
        {
            let components: Vec<[u8; 2]> =
                (1..).zip(sampling).map(|(id, sampling)| [id, sampling]).collect();
            for process in [0xc0, 0xc2] {
                assert_eq!(
                    JpegPlan::of(&file(process, &components, &[&[1, 2, 3]], b"")).unwrap().decoding,
                    general,
                    "{sampling:?}"
                );
            }
        }
    }

    #[test]
    fn colours_are_libjpegs() {
        let jfif = b"\xff\xe0\0\x07JFIF\0";
        let adobe = |transform: u8| {
            [b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0".as_slice(), &[transform]].concat()
        };
        let rgb = [[b'R', 0x11], [b'G', 0x11], [b'B', 0x11]];
        let plan = |components: &[[u8; 2]], before: &[u8]| {
            let ids: Vec<u8> = components.iter().map(|component| component[0]).collect();
            JpegPlan::of(&file(0xc0, components, &[&ids], before)).unwrap().decoding
        };
        // A JFIF header takes precedence over component ids.
        assert_eq!(plan(&rgb, jfif), JpegDecoding::General(ColorTransform::YCbCr));
        assert_eq!(plan(&rgb, b""), JpegDecoding::Common);
        assert_eq!(plan(&YCC, &adobe(0)), JpegDecoding::Common);
        assert_eq!(plan(&YCC, &adobe(2)), JpegDecoding::General(ColorTransform::YCbCr));
        let four = [[1, 0x11], [2, 0x11], [3, 0x11], [4, 0x11]];
        assert_eq!([plan(&four, b""), plan(&four, &adobe(2))], [JpegDecoding::Common; 2]);
        assert_eq!(plan(&four, &adobe(1)), JpegDecoding::General(ColorTransform::YCCK));
    }

    #[test]
    fn what_nobody_decodes_is_refused_by_name() {
        let message = |file: &[u8]| JpegPlan::of(file).unwrap_err().to_string();
        for (process, name) in [
            (0xc3, "lossless"),
            (0xc5, "hierarchical"),
            (0xc9, "arithmetic"),
            (0xca, "arithmetic"),
            (0xcf, "lossless"),
        ] {
            let message = message(&file(process, &YCC, &[&[1, 2, 3]], b""));
            assert!(message.contains(name) && message.contains("save it as"), "{message}");
        }
        let mut deep = file(0xc1, &YCC, &[&[1, 2, 3]], b"");
        deep[6] = 12;
        assert!(message(&deep).contains("12 bits"));
        let mut tall = file(0xc0, &YCC, &[&[1, 2, 3]], b"");
        tall[7..9].fill(0);
        assert!(message(&tall).contains("height"));
        assert!(message(&file(0xc0, &YCC[..2], &[&[1, 2]], b"")).contains("2 components"));
        assert!(
            message(&file(0xc0, &[[1, 0x31], [2, 0x21], [3, 0x11]], &[&[1, 2, 3]], b""))
                .contains("fractions")
        );
        assert!(
            message(&file(0xc0, &[[1, 0x01], [2, 0x11], [3, 0x11]], &[&[1, 2, 3]], b""))
                .contains("sampling factors")
        );
        assert!(
            message(&file(0xc0, &YCC, &[&[1], &[2]], b"")).contains("component 3 of 3 is missing")
        );
        assert!(message(&file(0xc0, &YCC, &[&[1, 2, 7]], b"")).contains("does not have"));
        assert!(message(&file(0xc0, &YCC, &[], b"")).contains("no scan"));
    }

    #[test]
    fn end_marker_of_a_thumbnail_or_of_nothing_is_no_end() {
        let thumbnail = b"\xff\xe1\0\x08\xff\xd8\xff\xd9\0\0";
        let whole = file(0xc0, &YCC, &[&[1, 2, 3]], thumbnail);
        assert!(JpegPlan::of(&whole).is_ok());
        for n in 0..whole.len() {
            assert!(JpegPlan::of(&whole[..n]).is_err(), "{n}");
        }
        // Data after the end, such as the second picture of a stereo file, is ignored.
        assert!(JpegPlan::of(&[whole.as_slice(), &whole].concat()).is_ok());
    }
}
