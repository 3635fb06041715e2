//! Weights in PyTorch's files: nothing in them is run, and what opens has the bytes that it says.
//!
//! An input that is a pickle stands in an archive with two storages of its own; any other is a file
//! as it is.

use tp_weights::Checkpoint;

use crate::scratch;

/// The first bytes of files before PyTorch 1.6, which begin with a pickle, too.
const LEGACY: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

pub(crate) fn run(input: &[u8]) {
    let path = scratch::folder("pytorch", |_| ()).join("model.pth");
    let is_legacy = input.windows(LEGACY.len()).take(64).any(|window| window == LEGACY);
    if input.first() == Some(&0x80) && !is_legacy {
        scratch::put(
            &path,
            &archive(&[
                ("m/data.pkl", input),
                ("m/data/0", &[1; 64]),
                ("m/data/1", &[2; 16]),
                ("m/version", b"3\n"),
            ]),
        );
    } else {
        scratch::put(&path, input);
    }
    let Ok(checkpoint) = Checkpoint::open(&path) else { return };
    let n_in_file = std::fs::metadata(&path).expect("the file is there").len();
    for entry in checkpoint.entries() {
        let n_bytes = entry.n_bytes().expect("an open file's tensors have a size");
        assert!(n_bytes as u64 <= n_in_file, "{entry:?}");
        if let Ok(bytes) = checkpoint.read(&entry.name) {
            assert_eq!(bytes.len(), n_bytes);
        }
    }
}

/// A zip archive whose files are not compressed.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let start = archive.len() as u32;
        let mut about = vec![0; 6]; // no flags, no compression, no time
        about.extend([0; 4]);
        about.extend(crc32(bytes).to_le_bytes());
        about.extend((bytes.len() as u32).to_le_bytes().repeat(2));
        about.extend((name.len() as u16).to_le_bytes());
        about.extend([0; 2]);
        let about = &about[2..];
        archive.extend([b"PK\x03\x04\x14\0", about, name.as_bytes(), *bytes].concat());
        directory.extend(
            [b"PK\x01\x02\x14\0\x14\0", about, &[0; 10], &start.to_le_bytes(), name.as_bytes()]
                .concat(),
        );
    }
    let (n, start) = (files.len() as u16, archive.len() as u32);
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend(n.to_le_bytes().repeat(2));
    archive.extend((directory.len() as u32).to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0; 2]);
    archive
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, &byte: &u8| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    };
    !bytes.iter().fold(u32::MAX, step)
}
