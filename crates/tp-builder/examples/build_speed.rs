//! Measures the speed and the memory of the builder in a temporary folder; the data set of records
//! can be kept.
//!
//! ```sh
//! cargo run --example build_speed -- photographs coco-parts DIR   # images on disk to Parquet, by rules
//! cargo run --example build_speed -- records 100000 [OUT]        # memory over generated records
//! cargo run --example build_speed -- server 200 64 600           # milliseconds, slots, points
//! ```
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark program")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tp_builder::{
    Build, BuildConfig, BuildOptions, BuildOutcome, RunLimits, Sizes, Teachers, TeachersConfig,
};
use tp_core::{ImageHw, Seed};
use tp_data::{
    AnnotatedImage, Check, DataError, Dataset, DatasetFormat, Labels, Loaded, PointOptions,
    ReadOptions, Skipped, Strictness, write_png,
};
use tp_scenes::{Scene, SceneOptions};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["photographs", format, folder] => photographs(format.parse().unwrap(), Path::new(folder)),
        ["records", n] => {
            records(n.parse().unwrap(), &tempfile::tempdir().unwrap().path().join("out"))
        }
        ["records", n, out] => records(n.parse().unwrap(), Path::new(out)),
        ["server", ms, slots, points] => {
            server(ms.parse().unwrap(), slots.parse().unwrap(), points.parse().unwrap())
        }
        _ => println!("photographs FORMAT DIR | records N [OUT] | server MS SLOTS POINTS"),
    }
}

fn photographs(format: DatasetFormat, folder: &Path) {
    let options = ReadOptions { strictness: Strictness::Lenient, ..ReadOptions::default() };
    for (name, points) in [("corners", PointOptions::default()), ("sift", PointOptions::paper())] {
        let dataset = format.open(folder, options).unwrap();
        let (n, seconds) = built(
            &*dataset,
            &BuildConfig { points, ..BuildConfig::default() },
            &Teachers::rules(),
            1,
        );
        println!(
            "{name}: {} images, {n} rows in {seconds:.2} s: {:.1} images/s",
            dataset.len(),
            dataset.len() as f64 / seconds
        );
    }
}

fn records(n: usize, out: &Path) {
    // A scene of 128 pixels has about twenty points.
    let scenes = Scenes::draw(n / 18 + 10, 128);
    let recipe = BuildConfig {
        sizes: Sizes { train: Some(n), val: Some(0), test: Some(0) },
        balanced: true,
        ..BuildConfig::default()
    };
    let (rows, seconds) = built_in(out, &scenes, &recipe, &Teachers::rules(), 1);
    println!(
        "{rows} rows of {} images in {seconds:.1} s; at most {:.0} MB were resident",
        scenes.len(),
        peak_resident_mb()
    );
}

fn server(ms: u64, slots: usize, points: usize) {
    let scenes = Scenes::draw(points / 10 + 10, 256);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream, Duration::from_millis(ms)));
        }
    });
    let roles: String = ["context", "local", "organiser"]
        .map(|role| format!("[roles.{role}]\nmodel = \"{role}\"\n"))
        .concat();
    let toml = format!("[endpoints.here]\nurl = \"{url}\"\nmax_concurrent = {slots}\n{roles}");
    let config = TeachersConfig::parse(&toml).unwrap();
    let teachers = config.teachers().unwrap();
    let recipe = BuildConfig {
        sizes: Sizes { train: Some(points), val: Some(0), test: Some(0) },
        ..BuildConfig::default()
    };
    // The time before and after the questions is measured separately.
    let (_, without) = built(&scenes, &recipe, &Teachers::rules(), 1);
    let (n, with) = built(&scenes, &recipe, &teachers, config.n_questions());
    let calls = n as f64 * 3.0;
    let ideal = calls * ms as f64 / 1000.0 / slots as f64;
    println!(
        "{calls} calls in {:.2} s, ideal {ideal:.2} s: {:.1} %",
        with - without,
        ideal / (with - without) * 100.0
    );
}

/// The number of rows of a build in a temporary folder, and its seconds.
fn built(
    dataset: &dyn Dataset,
    recipe: &BuildConfig,
    teachers: &Teachers,
    n_questions: usize,
) -> (usize, f64) {
    let folder = tempfile::tempdir().unwrap();
    built_in(&folder.path().join("out"), dataset, recipe, teachers, n_questions)
}

fn built_in(
    out: &Path,
    dataset: &dyn Dataset,
    recipe: &BuildConfig,
    teachers: &Teachers,
    n_questions: usize,
) -> (usize, f64) {
    let mut options = BuildOptions::new(out);
    options.strictness = Strictness::Lenient;
    options.n_threads = 2;
    options.n_questions = n_questions;
    let limits = RunLimits::default();
    let began = Instant::now();
    let build = Build {
        dataset,
        recipe,
        teachers,
        localizer: None,
        options: &options,
        limits: &limits,
        listener: &|_| {},
    };
    let BuildOutcome::Finished(summary) = build.run().unwrap() else { return (0, 0.0) };
    (summary.statistics.triplets, began.elapsed().as_secs_f64())
}

/// The peak resident memory, as reported by Linux.
fn peak_resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0
}

/// Answers every request with the same valid answer, after a delay.
fn serve(mut stream: TcpStream, wait: Duration) {
    const ANSWER: &str = r#"{\"object\":\"a\",\"part\":\"b\",\"point\":\"c\",\"appearance\":\"d\",\"context\":\"e\",\"colour\":\"f\",\"texture\":\"g\",\"shape\":\"h\",\"detail\":\"\"}"#;
    let body =
        format!(r#"{{"choices":[{{"message":{{"content":"{ANSWER}"}},"finish_reason":"stop"}}]}}"#);
    let reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut reader = BufReader::with_capacity(1 << 17, stream.try_clone().unwrap());
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            match line.trim().to_lowercase() {
                line if line.is_empty() => break,
                line => {
                    length = line
                        .strip_prefix("content-length:")
                        .map_or(length, |n| n.trim().parse().unwrap())
                }
            }
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
        std::thread::sleep(wait);
        stream.write_all(reply.as_bytes()).unwrap();
    }
}

/// Scenes as files; their annotations are generated on demand.
struct Scenes {
    folder: tempfile::TempDir,
    options: SceneOptions,
    n: usize,
    skipped: Skipped,
}

impl Scenes {
    fn draw(n: usize, side: u32) -> Self {
        let options =
            SceneOptions { size: ImageHw::new(side, side).unwrap(), ..SceneOptions::default() };
        let scenes =
            Self { folder: tempfile::tempdir().unwrap(), options, n, skipped: Skipped::default() };
        for index in 0..n {
            write_png(
                &scenes.folder.path().join(format!("{index}.png")),
                scenes.scene(index).image(),
            )
            .unwrap();
        }
        scenes
    }

    fn scene(&self, index: usize) -> Scene {
        Scene::generate(Seed(index as u64), &self.options)
    }
}

impl Dataset for Scenes {
    fn name(&self) -> &str {
        "scenes"
    }

    fn len(&self) -> usize {
        self.n
    }

    fn load(&self, index: usize) -> Result<Loaded, DataError> {
        let name = format!("{index}.png");
        let image = AnnotatedImage {
            name: name.clone(),
            group: name,
            split: Some(tp_data::Split::Train),
            ..self.scene(index).into_parts().1
        };
        Ok(Loaded { image: Some(image), skipped: Skipped::default() })
    }

    fn image_path(&self, image: &AnnotatedImage) -> PathBuf {
        self.folder.path().join(&image.name)
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    fn checks(&self) -> Vec<Check> {
        Vec::new()
    }

    fn labels(&self) -> Labels {
        Labels::default()
    }
}
