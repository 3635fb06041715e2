//! A builder that is killed twenty times writes the same data set as an uninterrupted one.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rand::RngExt;
use tp_builder::{Build, BuildConfig, TeachersConfig};
use tp_core::Seed;

use super::{
    chat_server::{ChatServer, say_well},
    scenes_on_disk::{Run, ScenesOnDisk, assert_same_files},
};

const N_SCENES: u64 = 8;
const N_KILLS: usize = 20;
/// What a listener prints for every step.
const STEP: &str = "step";

/// The builder in a separate process: this very test, started by the test below.
#[test]
#[ignore = "it is started, and killed, by the test below"]
fn child() {
    let Some(folder) = std::env::var_os("TP_TEST_FOLDER").map(PathBuf::from) else { return };
    let out = PathBuf::from(std::env::var_os("TP_TEST_OUT").unwrap());
    build(&folder, &out, &std::env::var("TP_TEST_CONFIG").unwrap(), true);
}

fn build(folder: &Path, out: &Path, config: &str, speak: bool) {
    let dataset = ScenesOnDisk::draw(folder, N_SCENES);
    let config = TeachersConfig::parse(config).unwrap();
    let mut run = Run::new(&dataset, out);
    run.teachers = config.teachers().unwrap();
    run.options.n_questions = config.n_questions();
    run.recipe = BuildConfig { rows_per_file: 20, rows_per_group: 7, ..BuildConfig::default() };
    let listener = |_: &tp_builder::Report| {
        if speak {
            println!("{STEP}");
        }
    };
    Build { listener: &listener, ..run.build() }.run().unwrap();
}

fn start(folder: &Path, out: &Path, config: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sigkill::child", "--ignored", "--nocapture"])
        .env("TP_TEST_FOLDER", folder)
        .env("TP_TEST_OUT", out)
        .env("TP_TEST_CONFIG", config)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Reads the child's steps, and kills it after `n` of them; returns their number.
fn kill_after(mut child: Child, n: usize) -> usize {
    let mut steps = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        steps += usize::from(line.unwrap().contains(STEP));
        if steps >= n {
            child.kill().unwrap();
            break;
        }
    }
    child.wait().unwrap();
    steps
}

#[test]
fn twenty_kills_lose_nothing_but_the_answers_in_flight() {
    let folder = tempfile::tempdir().unwrap();
    ScenesOnDisk::draw(folder.path(), N_SCENES);
    let (calm, killed) = (folder.path().join("calm"), folder.path().join("killed"));
    let calm_server = ChatServer::start(say_well);
    let n_steps = kill_after(start(folder.path(), &calm, &calm_server.toml("")), usize::MAX);
    let one_pass = calm_server.n_requests();
    assert!(n_steps > 150 && one_pass > 100, "{n_steps} steps, {one_pass} requests");

    let server = ChatServer::start(say_well);
    let mut rng = Seed(17).rng();
    let mut moments = Vec::new();
    for at in 0..N_KILLS {
        // The moments move on, so that the last kills occur while the data set is written.
        let n = rng.random_range(1..=n_steps * (at + 4) / N_KILLS);
        moments.push(kill_after(start(folder.path(), &killed, &server.toml("")), n));
    }
    build(folder.path(), &killed, &server.toml(""), false);
    assert_same_files(&calm, &killed);
    let in_flight = N_KILLS * server.config("").slots();
    assert!(
        server.n_requests() <= one_pass + in_flight,
        "{} requests, one pass has {one_pass}",
        server.n_requests()
    );
    println!(
        "{one_pass} requests in one pass, {} with kills after {moments:?} of {n_steps} steps",
        server.n_requests()
    );
}

#[test]
fn second_process_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), N_SCENES);
    let out = folder.path().join("out");
    let server = ChatServer::start(say_well);
    let mut child = start(folder.path(), &out, &server.toml(""));
    // It acquires the lock before its first step, and holds it until it is killed.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| line.unwrap().contains(STEP)));
    let refused = Run::new(&dataset, &out).build().run();
    let was_running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    if was_running {
        assert!(refused.unwrap_err().to_string().contains("another process is building in"));
    }
}
