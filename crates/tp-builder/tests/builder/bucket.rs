//! Distributed builds through a bucket: the shards together equal a single run, and a lost disk
//! loses little.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tp_builder::{
    Bucket, Budget, Build, BuildError, BuildOutcome, BuildStage, Report, RunLimits, Shard,
    StopReason, TeachersConfig,
};

use super::{
    chat_server::{ChatServer, Deed, say_well},
    scenes_on_disk::{Run, ScenesOnDisk, assert_same_files, files_of},
};

const N_SCENES: u64 = 6;

/// A data set, a server and a bucket.
struct Place {
    folder: tempfile::TempDir,
    dataset: ScenesOnDisk,
    server: ChatServer,
    url: String,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dataset = ScenesOnDisk::draw(folder.path(), N_SCENES);
        let url = format!("file://{}", folder.path().join("bucket").display());
        Self { folder, dataset, server: ChatServer::start(say_well), url }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A run in a folder of its own.
    fn run(&self, name: &str) -> Run<'_> {
        let mut run = Run::new(&self.dataset, &self.path(name));
        run.teachers = self.server.config("").teachers().unwrap();
        run.options.n_questions = 4;
        run
    }

    fn in_bucket(&self, name: &str) -> Run<'_> {
        let mut run = self.run(name);
        run.options.bucket = Some(Bucket::open(&self.url).unwrap());
        run
    }

    fn shard(&self, name: &str, i: u32, n: u32) -> Run<'_> {
        let mut run = self.in_bucket(name);
        run.options.shard = Some(Shard::new(i, n).unwrap());
        run
    }

    fn merge(&self, name: &str) -> Run<'_> {
        let mut run = self.in_bucket(name);
        run.options.merge = true;
        run
    }
}

fn done(run: &Run<'_>) {
    assert!(matches!(run.build().run().unwrap(), BuildOutcome::Shard(_)));
}

/// The files in a folder of the bucket, by name.
fn objects(place: &Place, folder: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(place.path("bucket").join(folder)) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The number of answers in the bucket.
fn n_answers(place: &Place) -> usize {
    let text = |path: &PathBuf| fs::read_to_string(path).unwrap_or_default();
    // An object that is being written lies beside the one that it replaces, as `NAME#1`.
    objects(place, "work/answers")
        .iter()
        .filter(|path| !path.to_string_lossy().contains('#'))
        .map(|path| text(path).matches("\"done\":").count())
        .sum()
}

#[test]
fn shards_in_folders_of_their_own_and_a_merge_equal_one_run() {
    let place = Place::new();
    place.run("whole").finished();
    let one_pass = place.server.n_requests();
    for i in 1..=3 {
        if i > 1 {
            let error = place.merge("merged").build().run().unwrap_err().to_string();
            assert!(error.contains("3/3"), "{error}");
        }
        done(&place.shard(&format!("part-{i}"), i, 3));
    }
    place.merge("merged").finished();
    assert_eq!(place.server.n_requests(), 2 * one_pass);
    assert_same_files(&place.path("whole"), &place.path("merged"));
    assert_same_files(&place.path("whole"), &place.path("bucket"));
}

#[test]
fn shards_at_the_same_time_do_not_disturb_each_other_in_a_bucket() {
    let place = Place::new();
    place.run("whole").finished();
    std::thread::scope(|scope| {
        for i in 1..=3 {
            let place = &place;
            scope.spawn(move || done(&place.shard(&format!("part-{i}"), i, 3)));
        }
    });
    place.merge("merged").finished();
    assert_same_files(&place.path("whole"), &place.path("bucket"));
}

#[test]
fn whole_build_whose_folder_is_lost_goes_on_from_the_bucket() {
    let place = Place::new();
    place.run("whole").finished();
    let one_pass = place.server.n_requests();
    let mut run = place.in_bucket("lost");
    run.limits = RunLimits::new(Budget { max_calls: Some(7), ..Budget::default() }, Arc::default());
    assert!(matches!(
        run.build().run().unwrap(),
        BuildOutcome::Stopped { reason: StopReason::MaxCalls, .. }
    ));
    fs::remove_dir_all(place.path("lost")).unwrap();
    run.limits = RunLimits::default();
    run.options.resume = false;
    assert!(matches!(run.build().run(), Err(BuildError::Begun { .. })));
    run.options.resume = true;
    run.finished();
    assert_eq!(place.server.n_requests(), 2 * one_pass);
    assert_same_files(&place.path("whole"), &place.path("bucket"));
}

/// A shard in a separate process: this very test, started by the test below.
#[test]
#[ignore = "it is started, and killed, by the test below"]
fn child() {
    let Some(folder) = std::env::var_os("TP_TEST_FOLDER").map(PathBuf::from) else { return };
    let dataset = ScenesOnDisk::draw(&folder, N_SCENES);
    let mut run = Run::new(&dataset, &folder.join("killed"));
    run.teachers = TeachersConfig::parse(&std::env::var("TP_TEST_CONFIG").unwrap())
        .unwrap()
        .teachers()
        .unwrap();
    run.options.shard = Some(Shard::WHOLE);
    let bucket = Bucket::open(&format!("file://{}", folder.join("bucket").display())).unwrap();
    run.options.bucket = Some(bucket.upload_every(Duration::from_millis(1)));
    run.build().run().unwrap();
}

/// Starts the child, whose server falls silent after a few answers, and kills it when the bucket
/// contains some of them.
fn kill_at_work(place: &Place) {
    let n_asked = AtomicUsize::new(0);
    let silent = ChatServer::start(move |asked| {
        if n_asked.fetch_add(1, Ordering::SeqCst) < 20 { say_well(asked) } else { Deed::Stall }
    });
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "bucket::child", "--ignored"])
        .env("TP_TEST_FOLDER", place.folder.path())
        .env("TP_TEST_CONFIG", silent.toml("answer_timeout_secs = 600"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while n_answers(place) < 5 {
        assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Makes the lease of a killed process expire.
fn let_hold_run_out(place: &Place) {
    for path in objects(place, "work/leases") {
        let mut hold: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        hold["until"] = 1.into();
        fs::write(&path, hold.to_string()).unwrap();
    }
}

#[test]
fn killed_shard_whose_folder_is_lost_asks_nothing_twice_that_it_had_uploaded() {
    let place = Place::new();
    place.run("whole").finished();
    let one_pass = place.server.n_requests();
    kill_at_work(&place);
    fs::remove_dir_all(place.path("killed")).unwrap();
    let uploaded = n_answers(&place);
    assert!((5..one_pass).contains(&uploaded), "{uploaded} of {one_pass}");

    let error = place.shard("other", 1, 1).build().run().unwrap_err();
    let BuildError::Held { for_secs, .. } = &error else { panic!("{error:?}") };
    assert!(
        (1..=300).contains(for_secs) && error.to_string().contains("shard 0001-of-0001 is held"),
        "{error}"
    );
    assert!(matches!(place.merge("merged").build().run(), Err(BuildError::Held { .. })));

    let_hold_run_out(&place);
    done(&place.shard("other", 1, 1));
    assert_eq!(place.server.n_requests(), one_pass + one_pass - uploaded);
    place.merge("merged").finished();
    assert_same_files(&place.path("whole"), &place.path("bucket"));
}

#[test]
fn torn_segment_costs_the_answer_that_it_cut_off_and_no_more() {
    let place = Place::new();
    place.run("whole").finished();
    done(&place.shard("part", 1, 1));
    let before = place.server.n_requests();
    let segment = objects(&place, "work/answers").remove(0);
    let bytes = fs::read(&segment).unwrap();
    fs::write(&segment, &bytes[..bytes.len() - 3]).unwrap();
    fs::remove_dir_all(place.path("part")).unwrap();
    let error = place.merge("merged").build().run().unwrap_err().to_string();
    assert!(error.contains("points have not been asked about"), "{error}");
    done(&place.shard("part", 1, 1));
    assert_eq!(place.server.n_requests(), before + 1);
    place.merge("merged").finished();
    assert_same_files(&place.path("whole"), &place.path("bucket"));
}

#[test]
fn second_process_and_merge_are_refused_while_a_shard_is_at_work() {
    let place = Place::new();
    let tried = AtomicBool::new(false);
    let listener = |report: &Report| {
        if report.stage != BuildStage::Ask || tried.swap(true, Ordering::SeqCst) {
            return;
        }
        for run in [place.shard("second", 1, 2), place.merge("merged")] {
            let error = run.build().run().unwrap_err();
            let text = error.to_string();
            assert!(
                matches!(error, BuildError::Held { .. })
                    && text.contains("shard 0001-of-0002 is held by another process"),
                "{text}"
            );
        }
        // The other shard is free; its folder must be another one.
        assert!(matches!(place.shard("first", 2, 2).build().run(), Err(BuildError::InUse { .. })));
        done(&place.shard("other", 2, 2));
    };
    let first = place.shard("first", 1, 2);
    Build { listener: &listener, ..first.build() }.run().unwrap();
    assert!(tried.into_inner());
    place.merge("merged").finished();
}

#[test]
fn run_ends_when_the_bucket_is_away_and_keeps_what_it_has() {
    let place = Place::new();
    place.run("whole").finished();
    let one_pass = place.server.n_requests();
    let mut shard = place.shard("part", 1, 1);
    shard.options.bucket =
        shard.options.bucket.map(|bucket| bucket.upload_every(Duration::from_millis(1)));
    // No answer can be written where a file is in the way.
    let in_the_way = place.path("bucket/work/answers");
    let listener = |report: &Report| {
        if report.stage == BuildStage::Ask && report.done == 0 {
            fs::write(&in_the_way, "").unwrap();
        }
    };
    let error = Build { listener: &listener, ..shard.build() }.run().unwrap_err();
    assert!(
        matches!(&error, BuildError::Bucket { url, .. } if url.ends_with("0001-of-0001.00000000.jsonl")),
        "{error:?}"
    );
    assert!(objects(&place, "work/shards").is_empty());
    fs::remove_file(&in_the_way).unwrap();
    done(&place.shard("part", 1, 1));
    assert_eq!(place.server.n_requests(), 2 * one_pass);
    place.merge("merged").finished();
    assert_same_files(&place.path("whole"), &place.path("bucket"));
}

#[test]
fn upload_that_was_stopped_has_no_manifest_and_the_next_one_leaves_nothing_old() {
    let place = Place::new();
    let run = place.run("whole");
    run.finished();
    done(&place.shard("part", 1, 1));
    place.merge("merged").finished();
    fs::write(place.path("bucket/data/train-00099.parquet"), "old").unwrap();
    let interrupted = Arc::new(AtomicBool::new(false));
    let mut merge = place.merge("merged");
    merge.limits = RunLimits::new(Budget::default(), interrupted.clone());
    // With the last row the files are written but not yet uploaded.
    let listener = |report: &Report| {
        if report.stage == BuildStage::Write && report.done == report.of {
            interrupted.store(true, Ordering::SeqCst);
        }
    };
    let outcome = Build { listener: &listener, ..merge.build() }.run().unwrap();
    assert!(
        matches!(outcome, BuildOutcome::Stopped { reason: StopReason::Interrupted, .. }),
        "{outcome:?}"
    );
    assert!(
        place.path("merged/manifest.json").exists() && !place.path("bucket/manifest.json").exists()
    );
    place.merge("merged").finished();
    assert_same_files(&place.path("whole"), &place.path("bucket"));
}

#[test]
fn keys_stand_in_no_error_and_no_object() {
    const KEYS: [&str; 2] = ["AKIADONOTTELL0123456", "do-not-tell-anybody-0123456789"];
    if std::env::var_os("TP_TEST_BUCKET_KEYS").is_some() {
        let place = Place { url: "s3://triplets/a".to_owned(), ..Place::new() };
        let run = place.shard("part", 1, 1);
        println!("{:?} {}", run.options, run.build().run().unwrap_err());
        return;
    }
    // A server that repeats the request in its error message.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(String::new()));
    let hearing = heard.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let n = stream.read(&mut head).unwrap_or(0);
            let said = String::from_utf8_lossy(&head[..n]).into_owned();
            let body =
                format!("<Error><Code>InvalidAccessKeyId</Code><Message>{said}</Message></Error>");
            let head = format!(
                "HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
            *hearing.lock().unwrap() = said;
        }
    });
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "bucket::keys_stand_in_no_error_and_no_object", "--nocapture"])
        .envs([
            ("TP_TEST_BUCKET_KEYS", "1"),
            ("AWS_ENDPOINT", &endpoint),
            ("AWS_ALLOW_HTTP", "true"),
        ])
        .envs([("AWS_ACCESS_KEY_ID", KEYS[0]), ("AWS_SECRET_ACCESS_KEY", KEYS[1])])
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("InvalidAccessKeyId"), "{said}");
    assert!(KEYS.iter().all(|key| !said.contains(key)), "a key is told");
    assert!(heard.lock().unwrap().contains(KEYS[0]), "the request had no credentials");
}

/// The same on an S3 server; `bucket_server.py` beside this file starts one and names it.
#[test]
fn shards_and_merge_equal_one_run_on_a_server() {
    let Ok(url) = std::env::var("TP_TEST_BUCKET") else {
        println!(
            "skipped: TP_TEST_BUCKET is not set; bucket_server.py starts a server and sets it"
        );
        return;
    };
    let place = Place { url, ..Place::new() };
    place.run("whole").finished();
    let one_pass = place.server.n_requests();
    let mut stopped = place.shard("part-1", 1, 2);
    stopped.limits =
        RunLimits::new(Budget { max_calls: Some(5), ..Budget::default() }, Arc::default());
    assert!(matches!(stopped.build().run().unwrap(), BuildOutcome::Stopped { .. }));
    fs::remove_dir_all(place.path("part-1")).unwrap();
    let tried = AtomicBool::new(false);
    let listener = |report: &Report| {
        if report.stage == BuildStage::Ask && !tried.swap(true, Ordering::SeqCst) {
            for run in [place.shard("second", 1, 2), place.merge("merged")] {
                let error = run.build().run().unwrap_err();
                println!("{error}");
                assert!(matches!(error, BuildError::Held { .. }));
            }
        }
    };
    Build { listener: &listener, ..place.shard("part-1", 1, 2).build() }.run().unwrap();
    let error = place.merge("merged").build().run().unwrap_err();
    println!("{error}");
    assert!(error.to_string().contains("not done: 2/2"), "{error}");
    done(&place.shard("part-2", 2, 2));
    place.merge("merged").finished();
    assert_eq!((place.server.n_requests(), tried.into_inner()), (2 * one_pass, true));
    assert_same_files(&place.path("whole"), &place.path("merged"));
    // Amazon's own client lists the objects.
    let (python, there) = (std::env::var_os("TP_PYTHON").unwrap(), place.path("there"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/builder/bucket_server.py");
    let output = Command::new(python).arg(script).arg("fetch").arg(&there).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_same_files(&place.path("whole"), &there);
    println!("{} files in the bucket, the same as those of one run", files_of(&there).len());
}
