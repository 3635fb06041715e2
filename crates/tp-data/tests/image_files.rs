//! Image files of every accepted kind are decoded, and all other files are rejected with a message
//! and not a panic.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::{fs, io::Cursor};

use image::{
    DynamicImage, GrayAlphaImage, GrayImage, ImageBuffer, ImageFormat, Luma, Rgba, RgbaImage,
};
use rand::RngExt;
use tp_core::{RgbImage, Seed};
use tp_data::{DataError, DecodeOptions, ImageProblem, decode_bytes, decode_image, image_size};

fn decoded(bytes: &[u8]) -> Result<RgbImage, DataError> {
    decode_bytes("photograph.png", bytes, &DecodeOptions::default())
}

fn problem(bytes: &[u8]) -> ImageProblem {
    match decoded(bytes) {
        Err(DataError::Image { name, problem }) => {
            assert_eq!(name, "photograph.png");
            problem
        }
        other => panic!("{other:?}"),
    }
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn photograph(format: ImageFormat) -> Vec<u8> {
    let pixel =
        |x: u32, y: u32| image::Rgb([(x * 9 + y) as u8, (y * 11) as u8, ((x * y) % 251) as u8]);
    encoded(image::RgbImage::from_fn(40, 28, pixel), format)
}

/// A PNG built by hand, with stored (uncompressed) scan lines, for variants that the encoder does
/// not write.
fn png(
    width: u32,
    height: u32,
    depth_and_colour: [u8; 2],
    palette: &[u8],
    lines: &[u8],
) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([depth_and_colour[0], depth_and_colour[1], 0, 0, 0]);
    let mut packed = vec![0x78, 0x01, 1];
    let length = lines.len() as u16;
    packed.extend(length.to_le_bytes());
    packed.extend((!length).to_le_bytes());
    packed.extend(lines);
    let (a, b) = lines.iter().fold((1u32, 0u32), |(a, b), &byte| {
        ((a + u32::from(byte)) % 65521, (a + u32::from(byte) + b) % 65521)
    });
    packed.extend((b << 16 | a).to_be_bytes());
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in
        [(b"IHDR", header.as_slice()), (b"PLTE", palette), (b"IDAT", &packed), (b"IEND", &[])]
    {
        if name != b"PLTE" || !data.is_empty() {
            let body = [name.as_slice(), data].concat();
            file.extend((data.len() as u32).to_be_bytes());
            file.extend(&body);
            file.extend(crc32(&body).to_be_bytes());
        }
    }
    file
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[test]
fn all_kinds_of_pixels_become_rgb() {
    let grey = GrayImage::from_pixel(2, 3, Luma([90]));
    assert_eq!(decoded(&encoded(grey.clone(), ImageFormat::Png)).unwrap().pixel(2, 1), [90; 3]);
    assert_eq!(decoded(&encoded(grey, ImageFormat::Jpeg)).unwrap().pixel(2, 1), [90; 3]);
    let deep: ImageBuffer<Luma<u16>, Vec<u16>> = ImageBuffer::from_pixel(2, 3, Luma([0x8080]));
    assert_eq!(decoded(&encoded(deep, ImageFormat::Png)).unwrap().pixel(0, 0), [0x80; 3]);
    let deep: ImageBuffer<Rgba<u16>, Vec<u16>> =
        ImageBuffer::from_pixel(2, 3, Rgba([0xffff, 0, 0x4040, 7]));
    assert_eq!(decoded(&encoded(deep, ImageFormat::Png)).unwrap().pixel(0, 0), [255, 0, 0x40]);
    let webp = encoded(image::RgbImage::from_pixel(2, 3, image::Rgb([1, 2, 3])), ImageFormat::WebP);
    assert_eq!(decoded(&webp).unwrap().pixel(2, 1), [1, 2, 3]);
}

#[test]
fn transparency_is_dropped_not_blended() {
    let clear = RgbaImage::from_pixel(2, 2, Rgba([10, 20, 30, 0]));
    assert_eq!(
        decoded(&encoded(clear.clone(), ImageFormat::Png)).unwrap().pixel(1, 1),
        [10, 20, 30]
    );
    assert_eq!(decoded(&encoded(clear, ImageFormat::WebP)).unwrap().size().height(), 2);
    let clear = GrayAlphaImage::from_pixel(2, 2, image::LumaA([70, 1]));
    assert_eq!(decoded(&encoded(clear, ImageFormat::Png)).unwrap().pixel(0, 1), [70; 3]);
}

#[test]
fn palette_and_single_bits_become_colours() {
    let palette = png(2, 2, [8, 3], &[1, 2, 3, 200, 100, 50], &[0, 0, 1, 0, 1, 0]);
    let image = decoded(&palette).unwrap();
    assert_eq!(
        [image.pixel(0, 0), image.pixel(0, 1), image.pixel(1, 0)],
        [[1, 2, 3], [200, 100, 50], [200, 100, 50]]
    );
    let bits = decoded(&png(3, 1, [1, 0], &[], &[0, 0b1010_0000])).unwrap();
    assert_eq!(
        [bits.pixel(0, 0), bits.pixel(0, 1), bits.pixel(0, 2)],
        [[255; 3], [0; 3], [255; 3]]
    );
}

#[test]
fn image_that_claims_to_be_huge_is_refused_by_its_header() {
    let bomb = png(60_000, 60_000, [8, 2], &[], &[0; 100]);
    assert!(matches!(problem(&bomb), ImageProblem::TooLarge { width: 60_000, height: 60_000, .. }));
    let many = png(16_000, 16_000, [8, 2], &[], &[0; 100]); // every side passes, the product does not
    assert!(matches!(problem(&many), ImageProblem::TooLarge { .. }));
    let options = DecodeOptions { max_alloc: 1000, ..DecodeOptions::default() };
    let error = decode_bytes("a", &png(100, 100, [8, 2], &[], &[0; 100]), &options).unwrap_err();
    assert!(
        matches!(
            error,
            DataError::Image {
                problem: ImageProblem::TooMuchMemory { bytes: 30_000, max: 1000 },
                ..
            }
        ),
        "{error}"
    );
    assert!(matches!(
        problem(&png(9_000, 9_000, [8, 2], &[], &[0; 100])),
        ImageProblem::Damaged { .. }
    ));
    assert!(matches!(problem(&png(0, 5, [8, 2], &[], &[0; 100])), ImageProblem::Damaged { .. }));
}

#[test]
fn what_is_no_image_is_refused_with_what_would_be() {
    assert_eq!(problem(b""), ImageProblem::Empty);
    for (bytes, found) in [
        (b"Dear reader,\nthis is a letter.".as_slice(), "not an image"),
        (b"GIF89a\x01\0\x01\0\0\0\0", "Gif"),
        (b"\0\0\0\0", "not an image"),
    ] {
        let message = decoded(bytes).unwrap_err().to_string();
        assert!(
            message.contains(found)
                && message.contains("png, jpeg and webp are accepted")
                && message.lines().count() == 1,
            "{message}"
        );
    }
}

#[test]
fn missing_files_folders_and_long_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = DecodeOptions::default();
    assert!(matches!(
        decode_image(&folder.path().join("none.png"), &options),
        Err(DataError::Read { .. })
    ));
    let error = decode_image(folder.path(), &options).unwrap_err();
    assert!(matches!(error, DataError::Image { problem: ImageProblem::NotAFile, .. }), "{error}");
    let path = folder.path().join("a.txt"); // the name does not matter
    fs::write(&path, photograph(ImageFormat::Png)).unwrap();
    assert!(decode_image(&path, &options).is_ok());
    let error = decode_image(&path, &DecodeOptions { max_bytes: 100, ..options }).unwrap_err();
    assert!(
        matches!(
            error,
            DataError::Image { problem: ImageProblem::TooManyBytes { max: 100, .. }, .. }
        ),
        "{error}"
    );
}

#[test]
fn jpeg_that_decodes_has_a_size_whichever_decoder_takes_it() {
    // Four components and a Huffman table that the common decoder rejects in the header; the
    // general one decodes it.
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/huffman_table.jpg");
    let image = decode_image(&path, &DecodeOptions::default()).unwrap();
    assert_eq!(image_size(&path).unwrap(), image.size());
    assert_eq!((image.size().height(), image.size().width()), (9, 13));
}

#[test]
fn cut_off_files_are_refused_wherever_they_end() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        let whole = photograph(format);
        assert!(decoded(&whole).is_ok());
        for tenth in 0..10 {
            let error = decoded(&whole[..whole.len() * tenth / 10]);
            assert!(
                matches!(error, Err(DataError::Image { .. })),
                "{format:?}, {tenth} tenths: {error:?}"
            );
        }
    }
}

#[test]
fn two_thousand_damaged_files_do_not_panic() {
    let originals = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP].map(photograph);
    let options = DecodeOptions { max_pixels: 1 << 18, ..DecodeOptions::default() };
    let mut n_refused = 0;
    for case in 0..2000 {
        let mut rng = Seed(11).nth(case).rng();
        let mut file = originals[case as usize % 3].clone();
        for _ in 0..rng.random_range(1..8) {
            let at = rng.random_range(0..file.len());
            match rng.random_range(0..4) {
                0 => file[at] = rng.random(),
                1 => file[at] ^= 1 << rng.random_range(0..8),
                2 => {
                    drop(file.drain(at..(at + rng.random_range(1..20)).min(file.len() - 1).max(at)))
                }
                _ => file.insert(at, rng.random()),
            }
        }
        match decode_bytes("damaged", &file, &options) {
            Ok(image) => assert!(image.size().n_pixels() <= 1 << 18),
            Err(error) => {
                n_refused += 1;
                assert!(
                    error.to_string().starts_with("damaged: ") && !error.to_string().contains('\n'),
                    "{error}"
                );
            }
        }
    }
    assert!(n_refused > 500, "{n_refused}");
}
