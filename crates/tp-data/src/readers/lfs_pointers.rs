//! Git LFS pointers in place of a data set's files are reported as such, for every format.

use std::fs;

use super::{
    DatasetFormat, DatasetSummary, ReadOptions, Strictness,
    small_sets::{all_files, write, write_part_imagenet_coco},
};

const POINTER: &str =
    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab\nsize 12345\n";

#[test]
fn pointers_are_named_in_every_format() {
    let kinds = DatasetFormat::ALL
        .into_iter()
        .map(|format| (format, false))
        .chain([(DatasetFormat::PartImageNet, true)]);
    for (format, as_coco) in kinds {
        let folder = tempfile::tempdir().unwrap();
        if as_coco {
            write_part_imagenet_coco(folder.path())
        } else {
            write(format, folder.path())
        }
        let read = |strictness| {
            let options = ReadOptions { strictness, ..ReadOptions::default() };
            format.open(folder.path(), options).and_then(|set| {
                let summary = DatasetSummary::of(set.as_ref())?;
                // Files that a summary does not read are read with the image.
                for index in 0..set.len() {
                    if let Some(image) = set.load(index)?.image {
                        set.decode(&image)?;
                    }
                }
                Ok(summary)
            })
        };
        let mut n_named = 0;
        let files: Vec<_> = all_files(folder.path())
            .into_iter()
            .map(|path| (fs::read(&path).unwrap(), path))
            .collect();
        for (original, path) in &files {
            fs::write(path, POINTER).unwrap();
            if let Err(error) = read(Strictness::Strict) {
                let message = error.to_string();
                assert!(
                    message.contains("is a Git LFS pointer, not the file: run `git lfs pull`"),
                    "{format}: {message}"
                );
                n_named += 1;
            }
            fs::write(path, original).unwrap();
        }
        // At least the image and its annotation.
        assert!(n_named >= 2, "{format}: {n_named} of {}", files.len());
        read(Strictness::Strict).unwrap();
    }
}
