//! Every example runs on bundled inputs, and prints the expected output.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{path::PathBuf, process::Command, sync::LazyLock};

/// The folder of the compiled examples; `cargo test` builds them beside the tests.
static EXAMPLES: LazyLock<PathBuf> = LazyLock::new(|| {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("examples")
});

/// The output of an example in a temporary working directory.
fn printed(example: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(EXAMPLES.join(example)).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
    if example == "round_trip" {
        assert!(
            std::fs::read(folder.path().join("round_trip.png")).unwrap().starts_with(b"\x89PNG")
        );
    }
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_first_command_shows_both_points() {
    let text = printed("round_trip");
    assert!(
        text.contains("green: asked (300, 130)") && text.contains("picture: round_trip.png"),
        "{text}"
    );
}

#[test]
fn points_are_described_and_texts_are_found() {
    assert!(printed("describe_points").starts_with("(320, 180)  "));
    assert_eq!(printed("find_texts").lines().count(), 3);
    assert!(printed("many_points").contains("16 points in "));
}

#[test]
fn a_model_is_judged() {
    let text = printed("judge_a_model");
    assert!(["reference", "ours", "centre"].iter().all(|row| text.contains(row)), "{text}");
}

#[test]
fn models_learn() {
    // Three phases, the scores before and after, and the nouns of the adapted model.
    assert_eq!(printed("train_on_annotations").lines().count(), 6);
    assert_eq!(printed("reinforce").lines().count(), 2);
}

#[test]
fn published_weights_write() {
    assert!(printed("load_published_weights").starts_with("[3, 1, 4, 1, 5] → ["));
}
