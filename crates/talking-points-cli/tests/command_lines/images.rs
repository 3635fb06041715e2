//! Images, points and texts that cannot be used.

use std::{fs, path::Path};

use crate::program::{in_folder, one_line, photograph, refused};

/// A PNG that claims 60,000 by 60,000 pixels in 60 bytes.
fn bomb() -> Vec<u8> {
    let mut png = vec![0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13];
    let mut header = b"IHDR".to_vec();
    header.extend(60_000_u32.to_be_bytes());
    header.extend(60_000_u32.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    png.extend(&header);
    png.extend(crc32(&header).to_be_bytes());
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

#[test]
fn missing_image_is_named() {
    for (command, rest) in [
        ("round-trip", vec!["--point", "1,1"]),
        ("describe", vec!["--point", "1,1"]),
        ("locate", vec!["--text", "a hoof"]),
        ("show predictions", vec!["--out", "never.png"]),
    ] {
        let mut arguments = vec!["--image", "no/such.jpg"];
        arguments.extend(rest);
        assert!(one_line(command, &arguments).contains("no/such.jpg"), "{command}");
    }
}

#[test]
fn broken_images_and_bombs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(photograph()).unwrap();
    for (name, bytes) in [
        ("cut.jpg", &whole[..whole.len() / 2]),
        ("text.png", b"hello, world".as_slice()),
        ("empty.png", &[]),
        ("bomb.png", &bomb()),
    ] {
        let path = in_folder(&folder, name);
        fs::write(&path, bytes).unwrap();
        assert!(
            one_line("describe", &["--image", &path, "--point", "1,1"]).contains(name),
            "{name}"
        );
    }
}

#[test]
fn points_outside_the_image_are_refused_with_its_size() {
    for point in ["640,10", "-1,10", "nan,10", "10,inf", "1e3,5", "-1, 5", " -.6,-0"] {
        for arguments in
            [vec![format!("--point={point}")], vec!["--point".to_owned(), point.to_owned()]]
        {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let line =
                one_line("describe", &[&["--image", &photograph()], &arguments[..]].concat());
            assert!(line.contains("640 pixels wide and 360 high"), "{line}");
        }
    }
    // The others that take a point, and numbers that have a range of their own.
    let (folder, photograph) = (tempfile::tempdir().unwrap(), photograph());
    let out = in_folder(&folder, "out.png");
    for command in ["round-trip", "show mask"] {
        assert!(
            one_line(command, &["--image", &photograph, "--point", "-1,5", "--out", &out])
                .contains("point (-1, 5) is not in the image")
        );
    }
    assert!(
        one_line(
            "show mask",
            &["--image", &photograph, "--point", "1,5", "--out", &out, "--sigma", "-1"]
        )
        .contains("sigma > 0")
    );
    assert!(
        one_line("data sift", &["--image", &photograph, "--contrast", "-1"]).contains("contrast")
    );
    assert!(refused("data scene", &["--statistics", "-3"]).contains("'-3'"));
    assert!(!Path::new(&out).exists());
}

#[test]
fn point_that_is_no_point_is_refused() {
    for point in ["middle", "1 5", "1;5", "1,2,3", "-1", "1,", "--json"] {
        let text = refused("describe", &["--image", &photograph(), "--point", point]);
        assert!(
            text.contains(&format!("`{point}` is not a point")) && text.contains("as in 120,85"),
            "{text}"
        );
    }
}

#[test]
fn empty_and_endless_texts_are_refused() {
    assert!(one_line("locate", &["--image", &photograph(), "--text", "  "]).contains("empty"));
    let endless = "horse ".repeat(10_000);
    assert!(
        one_line("locate", &["--image", &photograph(), "--text", &endless]).contains("shorten it")
    );
}

#[test]
fn texts_may_begin_with_a_hyphen_and_swallow_no_flag() {
    let line = one_line(
        "locate",
        &["--image", "no/such.jpg", "--text", "- the nose", "--text", "-5 degrees"],
    );
    assert!(line.contains("no/such.jpg"), "{line}");
    assert!(
        refused("locate", &["--image", &photograph(), "--text", "--json"])
            .contains("`--json` is a flag")
    );
    assert!(
        refused("generate", &["--random", "tiny", "--prompt", "--json"])
            .contains("`--json` is a flag")
    );
}

#[test]
fn unwritable_picture_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let out = in_folder(&folder, "no/such/folder/mask.png");
    assert!(
        one_line("show mask", &["--image", &photograph(), "--point", "1,1", "--out", &out])
            .contains("mask.png")
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn mask_without_a_region_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = in_folder(&folder, "mask.png");
    for sigma in ["0", "-1", "nan"] {
        let line = one_line(
            "show mask",
            &[
                "--image",
                &photograph(),
                "--point",
                "1,1",
                "--out",
                &out,
                &format!("--sigma={sigma}"),
            ],
        );
        assert!(line.contains("sigma > 0"), "{line}");
    }
    assert!(!Path::new(&out).exists());
}
