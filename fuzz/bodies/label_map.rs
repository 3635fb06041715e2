//! Label maps and the JSON beside them, in the four formats that have them.
//!
//! An input is four bytes (format, depth, width, length of the JSON in sixteens), the JSON, and the
//! pixels of the map. With another depth the rest is the map's file as it is.

use std::path::Path;

use png::{BitDepth, ColorType, Encoder};
use tp_core::{ImageHw, RgbImage};
use tp_data::{DatasetFormat, write_png};

use crate::{annotated, scratch};

/// The files of a format: its image, its maps, its JSON, and others with their content.
struct Layout {
    format: DatasetFormat,
    name: &'static str,
    image: &'static str,
    maps: &'static [&'static str],
    json: &'static str,
    others: &'static [(&'static str, &'static [u8])],
}

const LAYOUTS: [Layout; 4] = [
    Layout {
        format: DatasetFormat::PascalPart116,
        name: "pascal_part_116",
        image: "images/val/2008_000003.jpg",
        maps: &[
            "annotations_detectron2_part/val/2008_000003.png",
            "annotations_detectron2_obj/val/2008_000003.png",
        ],
        json: "unused.txt",
        others: &[],
    },
    Layout {
        format: DatasetFormat::Ade20kPart234,
        name: "ade20k_part_234",
        image: "images/validation/ADE_val_00000001.jpg",
        maps: &["annotations_detectron2_part/validation/ADE_val_00000001.png"],
        json: "ade20k_instance_val.json",
        others: &[],
    },
    Layout {
        format: DatasetFormat::PartImageNet,
        name: "part_imagenet",
        image: "images/train/n02129604_7.JPEG",
        maps: &["annotations/train/n02129604_7.png", "annotations/train_whole/n02129604_7.png"],
        json: "annotations/train/n02129604_7.json",
        others: &[("LOC_synset_mapping.txt", b"n02129604 tiger, Panthera tigris\n")],
    },
    Layout {
        format: DatasetFormat::Ade20kFull,
        name: "ade20k_full",
        image: "images/ADE/training/urban/street/ADE_train_00000001.jpg",
        maps: &[
            "images/ADE/training/urban/street/ADE_train_00000001_seg.png",
            "images/ADE/training/urban/street/ADE_train_00000001_parts_1.png",
        ],
        json: "images/ADE/training/urban/street/ADE_train_00000001.json",
        others: &[],
    },
];

pub(crate) fn run(input: &[u8]) {
    let Some((&[format, depth, width, n_json], rest)) = input.split_first_chunk() else { return };
    let layout = &LAYOUTS[usize::from(format) % LAYOUTS.len()];
    let (json, pixels) = rest.split_at((usize::from(n_json) * 16).min(rest.len()));
    let root = scratch::folder(layout.name, |root| fill(layout, root));
    scratch::put(&root.join(layout.json), json);
    // A format with two maps gets one half of the pixels for each.
    let half = pixels.len().div_ceil(layout.maps.len()).max(1);
    let mut halves = pixels.chunks(half);
    for map in layout.maps {
        let map_pixels = halves.next().unwrap_or_default();
        scratch::put(
            &root.join(map),
            &map_file(depth, width, map_pixels).unwrap_or_else(|| pixels.to_vec()),
        );
    }
    annotated::check(layout.format, &root, true);
}

fn fill(layout: &Layout, root: &Path) {
    let image = root.join(layout.image);
    scratch::put(&image, b"");
    write_png(&image, &RgbImage::filled(ImageHw::new(6, 8).expect("it has pixels"), [90, 120, 60]))
        .expect("it can be written");
    for (name, content) in layout.others {
        scratch::put(&root.join(name), content);
    }
}

/// A sound PNG around the pixels, of which as many are used as make up whole rows.
fn map_file(depth: u8, width: u8, pixels: &[u8]) -> Option<Vec<u8>> {
    let (color, bits, n_bytes) = match depth {
        0 => (ColorType::Grayscale, BitDepth::Eight, 1),
        1 => (ColorType::Grayscale, BitDepth::Sixteen, 2),
        2 => (ColorType::Rgb, BitDepth::Eight, 3),
        _ => return None,
    };
    let row = usize::from(width.clamp(1, 64)) * n_bytes;
    let height = pixels.len() / row;
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, u32::from(width.clamp(1, 64)), height as u32);
    encoder.set_color(color);
    encoder.set_depth(bits);
    encoder.write_header().ok()?.write_image_data(&pixels[..height * row]).ok()?;
    Some(file)
}
