//! The outputs of the builder.

use std::{fs, sync::Arc};

use tp_builder::{
    BuildConfig, BuildError, BuildOptions, ContentKey, Images, ParquetRows, Row, Sizes,
    TextLocalizer,
};
use tp_core::{LocalizePoint, Located, RgbImage, UnitXy};
use tp_data::{
    DatasetFormat, ImageFiles, PointOptions, ReadOptions, Split, Strictness, TripletFile,
    read_triplets,
};

use super::scenes_on_disk::{Run, ScenesOnDisk, assert_same_files, files_of};

fn lines(path: &std::path::Path) -> Vec<Row> {
    fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn lines_and_parquet_hold_the_same_rows_and_the_images() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 10);
    let out = folder.path().join("out");
    let mut run = Run::new(&dataset, &out);
    run.recipe = BuildConfig { rows_per_group: 7, rows_per_file: 20, ..BuildConfig::default() };
    let summary = run.finished();
    let train = lines(&out.join("triplets/train.jsonl"));
    let test = lines(&out.join("triplets/test.jsonl"));
    assert_eq!(train.len() + test.len(), summary.statistics.triplets);
    assert!(train.len() > 40 && !test.is_empty());
    // The JSON of a row can be read as a triplet.
    assert_eq!(read_triplets(&out.join("triplets/train.jsonl")).unwrap().len(), train.len());
    let mut files: Vec<_> =
        fs::read_dir(out.join("data")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), train.len().div_ceil(20) + test.len().div_ceil(20));
    let mut rows = Vec::new();
    for path in files.iter().filter(|path| path.to_str().unwrap().contains("train-")) {
        for row in ParquetRows::open(path).unwrap() {
            let (row, image) = row.unwrap();
            let stored = fs::read(folder.path().join(&row.triplet.image)).unwrap();
            assert_eq!(ContentKey::of_bytes(&stored), row.image_sha256);
            assert!(image.unwrap() == stored);
            rows.push(row);
        }
    }
    assert_eq!(rows, train);
    assert!(rows.iter().all(|row| row.side == Split::Train && row.contradictions.is_empty()));
}

#[test]
fn build_without_a_point_is_an_error_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // The only image is missing, and is skipped.
    let file = r#"{"images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 6}], "categories": [{"id": 1, "name": "dog"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4]}]}"#;
    fs::create_dir(folder.path().join("set")).unwrap();
    fs::write(folder.path().join("set/annotations.json"), file).unwrap();
    let options = ReadOptions { strictness: Strictness::Lenient, images: ImageFiles::Needed };
    let dataset = DatasetFormat::CocoParts.open(&folder.path().join("set"), options).unwrap();
    let out = folder.path().join("out");
    let message = match Run::new(&*dataset, &out).build().run() {
        Err(error @ BuildError::NoTriplet { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(
        message.contains("no point can be described")
            && message.contains("image files of annotations.json: 0 of 1 in"),
        "{message}"
    );
    assert!(message.contains("annotations.json: image 1"), "{message}");
    assert_eq!(files_of(&out), []);
}

#[test]
fn parquet_reader_goes_on_at_any_row() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 4);
    let out = folder.path().join("out");
    let mut run = Run::new(&dataset, &out);
    run.recipe.rows_per_group = 7;
    run.finished();
    let path = out.join("data/train-00000.parquet");
    let all: Vec<Row> = ParquetRows::open(&path).unwrap().map(|row| row.unwrap().0).collect();
    let mut rows = ParquetRows::open(&path).unwrap();
    assert_eq!(rows.n_rows(), all.len());
    for start in [0, 1, 6, 7, 8, 14, all.len() - 1, all.len(), all.len() + 9] {
        rows.seek(start).unwrap();
        let rest: Vec<Row> = rows.by_ref().map(|row| row.unwrap().0).collect();
        assert_eq!(rest, all[start.min(all.len())..], "{start}");
    }
}

#[test]
fn damaged_parquet_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 2);
    let out = folder.path().join("out");
    let mut run = Run::new(&dataset, &out);
    run.recipe.images = Images::Named;
    run.finished();
    let good = fs::read(out.join("data/train-00000.parquet")).unwrap();
    let path = folder.path().join("bad.parquet");
    let mut refused = 0;
    for case in 0..400_usize {
        let mut bytes = good.clone();
        if case % 4 == 0 {
            bytes.truncate(case * good.len() / 400);
        } else {
            let at = case.wrapping_mul(7_919) % bytes.len();
            bytes[at] ^= 1 << (case % 8);
        }
        fs::write(&path, bytes).unwrap();
        let read = ParquetRows::open(&path).and_then(|rows| rows.collect::<Result<Vec<_>, _>>());
        if let Err(error) = read {
            assert!(
                error.to_string().contains("bad.parquet") && !error.to_string().contains('\n'),
                "{error}"
            );
            refused += 1;
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn one_thread_and_sixteen_write_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 12);
    for n_threads in [1, 16] {
        let mut run = Run::new(&dataset, &folder.path().join(n_threads.to_string()));
        run.options.n_threads = n_threads;
        run.options.n_questions = n_threads;
        run.recipe = BuildConfig {
            points: PointOptions { sift: true, ..PointOptions::default() },
            balanced: true,
            ..BuildConfig::default()
        };
        run.finished();
    }
    assert_same_files(&folder.path().join("1"), &folder.path().join("16"));
}

#[test]
fn sample_is_balanced_and_what_is_left_out_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 20);
    let mut run = Run::new(&dataset, &folder.path().join("all"));
    let all = run.finished().statistics;
    run.options.out = folder.path().join("some");
    run.recipe = BuildConfig {
        sizes: Sizes { train: Some(40), val: None, test: Some(5) },
        balanced: true,
        ..BuildConfig::default()
    };
    let some = run.finished().statistics;
    assert_eq!((some.sides["train"], some.sides["test"]), (40, 5));
    assert_eq!(some.rejected["not_sampled"], all.triplets - 45);
    let largest = some.objects.values().max().unwrap();
    assert!(
        some.objects.len() > 8 && *largest <= all.objects.values().max().unwrap() / 2,
        "{:?}",
        some.objects
    );
}

#[test]
fn manifest_has_the_hash_of_every_file_and_image() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 5);
    let out = folder.path().join("out");
    Run::new(&dataset, &out).finished();
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(out.join("manifest.json")).unwrap()).unwrap();
    let files = files_of(&out);
    assert_eq!(manifest["files"].as_array().unwrap().len(), files.len() - 1);
    for file in manifest["files"].as_array().unwrap() {
        let (_, bytes) = files.iter().find(|(name, _)| *name == file["path"]).unwrap();
        assert_eq!(file["sha256"], ContentKey::of_bytes(bytes).to_string());
    }
    let inputs = fs::read_to_string(out.join("inputs.jsonl")).unwrap();
    assert_eq!(inputs.lines().count(), 5);
    let first: serde_json::Value = serde_json::from_str(inputs.lines().next().unwrap()).unwrap();
    assert_eq!(
        first["sha256"],
        ContentKey::of_bytes(&fs::read(folder.path().join("scene-0.png")).unwrap()).to_string()
    );
}

#[test]
fn copies_across_the_sides_are_told_and_left_out_if_asked() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 10);
    // A test picture is, under another name, also a training picture.
    fs::copy(folder.path().join("scene-9.png"), folder.path().join("scene-0.png")).unwrap();
    let mut run = Run::new(&dataset, &folder.path().join("told"));
    let told = run.finished().statistics;
    assert_eq!((told.likeness.leaks_exact, told.likeness.dropped), (1, false));
    assert_eq!(told.likeness.first_leaks[0], ["scene-0.png", "scene-9.png"]);
    run.options.out = folder.path().join("dropped");
    run.recipe.drop_leaks = true;
    let dropped = run.finished().statistics;
    assert!(dropped.rejected["leak"] > 0 && dropped.sides["train"] < told.sides["train"]);
    assert_eq!(dropped.sides["test"], told.sides["test"]);
}

/// Locates every text at the same point.
struct Stubborn(UnitXy);

impl LocalizePoint for Stubborn {
    type Image = RgbImage;
    type Error = std::convert::Infallible;

    fn locate(&self, _: &RgbImage, texts: &[&str]) -> Result<Vec<Option<Located>>, Self::Error> {
        Ok(texts
            .iter()
            .map(|text| {
                (text.len() % 2 == 0).then_some(Located { point: self.0, confidence: Some(0.5) })
            })
            .collect())
    }
}

#[test]
fn localizer_is_asked_once_and_its_distance_stands_in_the_row() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 6);
    let out = folder.path().join("out");
    let middle = Stubborn(UnitXy::new(0.5, 0.5).unwrap());
    let encoded = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut run = Run::new(&dataset, &out);
    run.localizer = Some(TextLocalizer::new("middle", &middle, |image: &RgbImage| {
        encoded.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Ok::<_, std::convert::Infallible>(image.clone())
    }));
    let first = run.finished().statistics.localizability.unwrap();
    let rows = lines(&out.join("triplets/train.jsonl"));
    for row in &rows {
        let localized = row.localized.unwrap();
        assert_eq!(localized.point.is_some(), row.triplet.description.len() % 2 == 0);
        assert!(
            localized
                .error
                .is_none_or(|error| (error - middle.0.distance(row.triplet.point)).abs() < 1e-12)
        );
    }
    let all: Vec<Row> = rows.into_iter().chain(lines(&out.join("triplets/test.jsonl"))).collect();
    let near = all
        .iter()
        .filter(|row| row.localized.unwrap().error.is_some_and(|error| error <= 0.1))
        .count();
    assert_eq!((first.judged, first.share), (all.len(), near as f64 / all.len() as f64));
    assert_eq!(encoded.load(std::sync::atomic::Ordering::SeqCst), 6);
    assert_eq!(run.finished().statistics.localizability.unwrap(), first);
    assert_eq!(encoded.load(std::sync::atomic::Ordering::SeqCst), 6);
}

#[test]
fn folder_of_another_build_is_refused_unless_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 2);
    let mut run = Run::new(&dataset, &folder.path().join("out"));
    run.options = BuildOptions::new(folder.path().join("out"));
    assert!(run.build().plan().unwrap().unwrap().sides["train"] > 0);
    run.finished();
    let error = run.build().run().unwrap_err();
    assert!(
        matches!(&error, BuildError::Begun { .. }) && error.to_string().contains("--resume"),
        "{error}"
    );
    run.options.resume = true;
    run.finished();
}

#[test]
fn image_that_changes_after_the_survey_stops_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 3);
    let out = folder.path().join("out");
    let run = Run::new(&dataset, &out);
    let change = |report: &tp_builder::Report| {
        if report.stage == tp_builder::BuildStage::Write && report.done == 0 {
            fs::copy(folder.path().join("scene-0.png"), folder.path().join("scene-1.png")).unwrap();
        }
    };
    let error = tp_builder::Build { listener: &change, ..run.build() }.run().unwrap_err();
    assert!(error.to_string().contains("scene-1.png"), "{error}");
    assert!(
        !out.join("manifest.json").exists()
            && TripletFile::open(&out.join("triplets/train.jsonl")).is_err()
    );
}

#[test]
fn old_files_of_a_larger_build_do_not_stay() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 6);
    let out = folder.path().join("out");
    let mut run = Run::new(&dataset, &out);
    run.recipe.rows_per_file = 7;
    run.recipe.rows_per_group = 7;
    run.finished();
    fs::write(out.join("data/.tmpAbC"), "half a file").unwrap();
    run.recipe.sizes.train = Some(5);
    run.finished();
    let train: Vec<String> = files_of(&out)
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("data/") && !name.contains("test"))
        .collect();
    assert_eq!(train, ["data/train-00000.parquet"]);
}
