//! A small data set in every format, for tests: one picture of two objects with two parts each.

use std::{
    fs,
    path::{Path, PathBuf},
};

use png::{BitDepth, ColorType};
use serde_json::{Value, json};
use tp_core::{ImageHw, RgbImage};

use super::{
    DatasetFormat, mat_file::writer, part_labels::ADE20K_PART_234, part_labels::PASCAL_PART_116,
};
use crate::write_png;

pub(super) const WIDTH: usize = 8;
pub(super) const HEIGHT: usize = 6;

/// A rectangle `[x, y, width, height]`.
pub(super) type Rectangle = [usize; 4];

/// An object: name, rectangle, and its parts.
pub(super) type Drawn = (&'static str, Rectangle, [(&'static str, Rectangle); 2]);

/// The content of the picture, in the labels of the format.
pub(super) fn picture(format: DatasetFormat) -> Vec<Drawn> {
    let left = |name, parts: [&'static str; 2]| {
        (name, [1, 1, 3, 4], [(parts[0], [1, 1, 3, 2]), (parts[1], [3, 4, 1, 1])])
    };
    let right = |name, parts: [&'static str; 2]| {
        (name, [5, 0, 3, 6], [(parts[0], [5, 0, 3, 2]), (parts[1], [6, 2, 2, 3])])
    };
    match format {
        DatasetFormat::Ade20kPart234 => {
            vec![left("car", ["door", "wheel"]), right("person", ["head", "torso"])]
        }
        // One object per image.
        DatasetFormat::PartImageNet => vec![right("tiger", ["head", "body"])],
        _ => vec![left("dog", ["head", "tail"]), right("person", ["head", "torso"])],
    }
}

/// Writes the picture as a data set of that format.
pub(super) fn write(format: DatasetFormat, root: &Path) {
    let objects = picture(format);
    match format {
        DatasetFormat::PascalPart116 => pascal_part_116(root, &objects),
        DatasetFormat::Ade20kPart234 => ade20k_part_234(root, &objects),
        DatasetFormat::PartImageNet => part_imagenet_maps(root, &objects),
        DatasetFormat::Ap10k => {
            image(&root.join("data/000000000001.jpg"));
            json_file(
                &root.join("annotations/ap10k-train-split1.json"),
                &coco(&objects, "000000000001.jpg"),
            );
        }
        DatasetFormat::CocoKeypoints => {
            image(&root.join("val2017/000000000001.jpg"));
            json_file(
                &root.join("annotations/person_keypoints_val2017.json"),
                &coco(&objects, "000000000001.jpg"),
            );
        }
        DatasetFormat::CocoParts => {
            image(&root.join("images/a.png"));
            json_file(&root.join("annotations.json"), &coco_parts(&objects));
        }
        DatasetFormat::PascalPartMat => pascal_part_mat(root, &objects),
        DatasetFormat::Ade20kFull => ade20k_full(root, &objects),
        DatasetFormat::DescribedPoints => described_points(root, &objects),
    }
}

/// The first release of PartImageNet, which shares the name of the format.
pub(super) fn write_part_imagenet_coco(root: &Path) {
    let objects = picture(DatasetFormat::PartImageNet);
    image(&root.join("images/train/n02129604/n02129604_7.JPEG"));
    fs::write(root.join("LOC_synset_mapping.txt"), "n02129604 tiger, Panthera tigris\n").unwrap();
    let names = ["Quadruped Head", "Quadruped Body"];
    let pieces: Vec<Value> =
        (0..2).map(|at| annotation(at as u64 + 1, at as u64, objects[0].2[at].1)).collect();
    let categories: Vec<Value> = names
        .iter()
        .enumerate()
        .map(|(id, name)| json!({"id": id, "name": name, "supercategory": "Quadruped"}))
        .collect();
    json_file(
        &root.join("annotations/train/train.json"),
        &json!({"images": [listed("n02129604_7.JPEG")], "categories": categories, "annotations": pieces}),
    );
}

fn inside([x, y, width, height]: Rectangle, at: usize) -> bool {
    (x..x + width).contains(&(at % WIDTH)) && (y..y + height).contains(&(at / WIDTH))
}

fn map(background: u16, areas: &[(Rectangle, u16)]) -> Vec<u16> {
    let label = |at| {
        areas
            .iter()
            .rev()
            .find(|(area, _)| inside(*area, at))
            .map_or(background, |(_, label)| *label)
    };
    (0..WIDTH * HEIGHT).map(label).collect()
}

pub(super) fn image(path: &Path) {
    make_folder(path);
    write_png(
        path,
        &RgbImage::filled(ImageHw::new(HEIGHT as u32, WIDTH as u32).unwrap(), [90, 120, 60]),
    )
    .unwrap();
}

fn make_folder(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
}

pub(super) fn json_file(path: &Path, value: &Value) {
    make_folder(path);
    fs::write(path, serde_json::to_vec_pretty(value).unwrap()).unwrap();
}

/// Writes a PNG of any color type.
pub(super) fn png_file(path: &Path, width: u32, color: ColorType, bits: BitDepth, bytes: &[u8]) {
    make_folder(path);
    let per_pixel = if color == ColorType::Rgb { 3 } else { bits as usize / 8 };
    let height = bytes.len() / per_pixel / width as usize;
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), width, height as u32);
    encoder.set_color(color);
    encoder.set_depth(bits);
    encoder.write_header().unwrap().write_image_data(bytes).unwrap();
}

fn map_8(path: &Path, labels: &[u16]) {
    let bytes: Vec<u8> = labels.iter().map(|&label| label as u8).collect();
    png_file(path, WIDTH as u32, ColorType::Grayscale, BitDepth::Eight, &bytes);
}

fn pascal_part_116(root: &Path, objects: &[Drawn]) {
    image(&root.join("images/val/2008_000003.jpg"));
    let labels = PASCAL_PART_116;
    let number = |name: &str| labels.object_id(name).unwrap();
    let all = labels.parts();
    let part_number = |object: &str, part: &str| {
        all.iter().position(|known| *known == (number(object), part)).unwrap() as u16
    };
    let of_objects: Vec<_> =
        objects.iter().map(|(name, place, _)| (*place, number(name))).collect();
    let of_parts: Vec<_> = objects
        .iter()
        .flat_map(|(name, _, parts)| {
            parts.iter().map(|(part, place)| (*place, part_number(name, part)))
        })
        .collect();
    map_8(&root.join("annotations_detectron2_obj/val/2008_000003.png"), &map(255, &of_objects));
    map_8(&root.join("annotations_detectron2_part/val/2008_000003.png"), &map(255, &of_parts));
}

fn ade20k_part_234(root: &Path, objects: &[Drawn]) {
    image(&root.join("images/validation/ADE_val_00000001.jpg"));
    let labels = ADE20K_PART_234;
    let number = |name: &str| labels.object_id(name).unwrap();
    let all = labels.parts();
    let part_number = |object: &str, part: &str| {
        all.iter().position(|known| *known == (number(object), part)).unwrap() as u16
    };
    let of_parts: Vec<_> = objects
        .iter()
        .flat_map(|(name, _, parts)| {
            parts.iter().map(|(part, place)| (*place, part_number(name, part)))
        })
        .collect();
    let bytes: Vec<u8> = map(65535, &of_parts).into_iter().flat_map(u16::to_be_bytes).collect();
    let path = root.join("annotations_detectron2_part/validation/ADE_val_00000001.png");
    png_file(&path, WIDTH as u32, ColorType::Grayscale, BitDepth::Sixteen, &bytes);
    let instances: Vec<Value> = objects
        .iter()
        .zip(1..)
        .map(|((name, place, _), id)| annotation(id, u64::from(number(name)), *place))
        .collect();
    json_file(
        &root.join("ade20k_instance_val.json"),
        &json!({"images": [listed("ADE_val_00000001.jpg")], "categories": [], "annotations": instances}),
    );
}

fn part_imagenet_maps(root: &Path, objects: &[Drawn]) {
    let (_, place, parts) = objects[0];
    image(&root.join("images/train/n02129604_7.JPEG"));
    fs::write(root.join("LOC_synset_mapping.txt"), "n02129604 tiger, Panthera tigris\n").unwrap();
    map_8(
        &root.join("annotations/train/n02129604_7.png"),
        &map(40, &[(parts[0].1, 0), (parts[1].1, 1)]),
    );
    map_8(&root.join("annotations/train_whole/n02129604_7.png"), &map(158, &[(place, 33)]));
    json_file(
        &root.join("annotations/train/n02129604_7.json"),
        &json!({"imgHeight": HEIGHT, "imgWidth": WIDTH}),
    );
}

fn listed(file_name: &str) -> Value {
    json!({"id": 1, "file_name": file_name, "width": WIDTH, "height": HEIGHT})
}

fn outline([x, y, width, height]: Rectangle) -> Value {
    json!([[x, y, x + width, y, x + width, y + height, x, y + height]])
}

fn annotation(id: u64, category: u64, place: Rectangle) -> Value {
    json!({"id": id, "image_id": 1, "category_id": category, "bbox": place, "segmentation": outline(place), "iscrowd": 0})
}

/// Objects with two keypoints each.
fn coco(objects: &[Drawn], file_name: &str) -> Value {
    let categories: Vec<Value> = objects
        .iter()
        .zip(1..)
        .map(|((name, ..), id)| json!({"id": id, "name": name, "supercategory": "Canidae", "keypoints": ["nose", "neck"]}))
        .collect();
    let annotations: Vec<Value> = objects
        .iter()
        .zip(1..)
        .map(|((_, place, _), id)| {
            let mut object = annotation(id, id, *place);
            object["keypoints"] = json!([place[0], place[1], 2, 0, 0, 0]);
            object
        })
        .collect();
    json!({"images": [listed(file_name)], "categories": categories, "annotations": annotations})
}

fn coco_parts(objects: &[Drawn]) -> Value {
    let mut file = coco(objects, "images/a.png");
    let (mut categories, mut parts) = (Vec::new(), Vec::new());
    for (parent, (_, _, of_object)) in (1..).zip(objects) {
        for (name, place) in of_object {
            let id = parts.len() as u64 + 1;
            let mut part = annotation(id, id, *place);
            part["parent_id"] = json!(parent);
            categories.push(json!({"id": id, "name": name, "keypoint_indices": [0]}));
            parts.push(part);
        }
    }
    // One object as run lengths, column-major.
    let runs = crate::Rle::of_mask(&mask(objects[1].1));
    file["annotations"][1]["segmentation"] =
        json!({"size": [HEIGHT, WIDTH], "counts": runs.to_packed()});
    file["part_categories"] = json!(categories);
    file["part_annotations"] = json!(parts);
    file
}

fn mask(place: Rectangle) -> crate::Mask {
    crate::Mask::new(ndarray::Array2::from_shape_fn((HEIGHT, WIDTH), |(row, column)| {
        inside(place, row * WIDTH + column)
    }))
}

fn pascal_part_mat(root: &Path, objects: &[Drawn]) {
    image(&root.join("JPEGImages/2008_000003.jpg"));
    let column_major = |place: Rectangle| -> Vec<u8> {
        (0..WIDTH * HEIGHT)
            .map(|at| u8::from(inside(place, at % HEIGHT * WIDTH + at / HEIGHT)))
            .collect()
    };
    let stored = |place| writer::bytes(HEIGHT as u32, WIDTH as u32, &column_major(place));
    let of_objects: Vec<Vec<Vec<u8>>> = objects
        .iter()
        .map(|(name, place, parts)| {
            let parts: Vec<_> = parts
                .iter()
                .map(|(part, place)| vec![writer::text(part), stored(*place)])
                .collect();
            vec![
                writer::text(name),
                stored(*place),
                writer::structures("", &["part_name", "mask"], &parts),
            ]
        })
        .collect();
    let of_objects = writer::structures("", &["class", "mask", "parts"], &of_objects);
    let anno = writer::structures(
        "anno",
        &["imname", "objects"],
        &[vec![writer::text("2008_000003"), of_objects]],
    );
    let path = root.join("Annotations_Part/2008_000003.mat");
    make_folder(&path);
    // Not compressed, so that a test can damage its content.
    fs::write(path, writer::file(&anno, false)).unwrap();
}

fn ade20k_full(root: &Path, objects: &[Drawn]) {
    let folder = root.join("images/ADE/training/urban/street");
    image(&folder.join("ADE_train_00000001.jpg"));
    let class = |id: usize| 300 + id; // red 10, green 44 + id
    let (mut items, mut of_objects, mut of_parts) = (Vec::new(), Vec::new(), Vec::new());
    for (name, place, parts) in objects {
        let parent = items.len();
        items.push(item(parent, name, class(parent), json!([]), 0, *place));
        of_objects.push((*place, parent as u16));
        for (part, place) in parts {
            let id = items.len();
            items.push(item(id, part, class(id), json!(parent), 1, *place));
            of_parts.push((*place, id as u16));
        }
    }
    let triples = |areas: &[(Rectangle, u16)]| -> Vec<u8> {
        let colour = |id: u16| {
            if id == 99 {
                [0, 0, 0]
            } else {
                [
                    (class(usize::from(id)) / 256 * 10) as u8,
                    (class(usize::from(id)) % 256) as u8,
                    50,
                ]
            }
        };
        map(99, areas).into_iter().flat_map(colour).collect()
    };
    for (end, areas) in [("seg", &of_objects), ("parts_1", &of_parts)] {
        let path = folder.join(format!("ADE_train_00000001_{end}.png"));
        png_file(&path, WIDTH as u32, ColorType::Rgb, BitDepth::Eight, &triples(areas));
    }
    json_file(
        &folder.join("ADE_train_00000001.json"),
        &json!({"annotation": {"imsize": [HEIGHT, WIDTH, 3], "object": items}}),
    );
}

/// One point in the middle of every part.
fn described_points(root: &Path, objects: &[Drawn]) {
    image(&root.join("images/a.png"));
    let corners = |[x, y, width, height]: Rectangle| json!([x, y, x + width, y + height]);
    let lines = objects.iter().flat_map(|(object, place, parts)| {
        parts.iter().map(move |(part, [x, y, width, height])| {
            let row = json!({
                "file": "a.png", "width": WIDTH, "height": HEIGHT, "x": x + width / 2, "y": y + height / 2, "split": "train",
                "object": object, "object_box": corners(*place), "part": part, "part_box": corners([*x, *y, *width, *height]),
                "human": format!("the {object}'s {part}")
            });
            // A space before every value, which tests that replace numbers rely on, but one line
            // per row.
            format!("{}\n", serde_json::to_string_pretty(&row).unwrap().replace('\n', " "))
        })
    });
    fs::write(root.join("labels.jsonl"), lines.collect::<String>()).unwrap();
    let source = json!({"file": "a.png", "licence": "CC0 1.0"});
    fs::write(root.join("sources.jsonl"), source.to_string()).unwrap();
}

fn item(
    id: usize,
    name: &str,
    class: usize,
    parent: Value,
    level: usize,
    [x, y, width, height]: Rectangle,
) -> Value {
    json!({
        "id": id, "name": format!("{name}, synonym"), "name_ndx": class, "attributes": "walking", "occluded": [],
        "parts": {"hasparts": [], "ispartof": parent, "part_level": level},
        "instance_mask": format!("ADE_train_00000001/instance_{id:03}_ADE_train_00000001.png"),
        "polygon": {"x": [x, x + width - 1], "y": [y, y + height - 1], "click_date": []}
    })
}

/// All files of a folder and its subfolders, sorted by path.
pub(super) fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(all_files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
