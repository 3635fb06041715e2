//! Builds in shards: the shards together equal a single run.

use tp_builder::{BuildOutcome, Shard};

use super::{
    chat_server::{ChatServer, Deed, role_of, say_well},
    scenes_on_disk::{Run, ScenesOnDisk, assert_same_files},
};

#[test]
fn three_shards_and_a_merge_equal_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 9);
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    Run::new(&dataset, &whole).finished();
    let merge = || {
        let mut run = Run::new(&dataset, &parts);
        run.options.merge = true;
        run
    };
    for i in 1..=3 {
        if i > 1 {
            let error = merge().build().run().unwrap_err().to_string();
            assert!(error.contains("3/3"), "{error}");
        }
        let mut run = Run::new(&dataset, &parts);
        run.options.shard = Some(Shard::new(i, 3).unwrap());
        assert!(matches!(run.build().run().unwrap(), BuildOutcome::Shard(_)));
    }
    merge().finished();
    assert_same_files(&whole, &parts);
}

#[test]
fn shards_at_the_same_time_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 9);
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    Run::new(&dataset, &whole).finished();
    std::thread::scope(|scope| {
        for i in 1..=4 {
            let (dataset, parts) = (&dataset, &parts);
            scope.spawn(move || {
                let mut run = Run::new(dataset, parts);
                run.options.shard = Some(Shard::new(i, 4).unwrap());
                run.build().run().unwrap();
            });
        }
    });
    let mut run = Run::new(&dataset, &parts);
    run.options.merge = true;
    run.finished();
    assert_same_files(&whole, &parts);
}

#[test]
fn shards_share_the_questions_and_the_merge_asks_none() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 6);
    let server = ChatServer::start(say_well);
    let asking = |out: &str| {
        let mut run = Run::new(&dataset, &folder.path().join(out));
        run.teachers = server.config("").teachers().unwrap();
        run.options.n_questions = 4;
        run
    };
    let whole = asking("whole").finished().statistics;
    let one_pass = server.n_requests();
    let mut described = 0;
    for i in 1..=2 {
        let mut run = asking("parts");
        run.options.shard = Some(Shard::new(i, 2).unwrap());
        let BuildOutcome::Shard(done) = run.build().run().unwrap() else { panic!() };
        described += done.answered;
        assert_eq!(done.failed, 0);
    }
    assert_eq!((described, server.n_requests()), (whole.triplets, 2 * one_pass));
    let mut merge = asking("parts");
    merge.options.merge = true;
    merge.finished();
    assert_eq!(server.n_requests(), 2 * one_pass);
    assert_same_files(&folder.path().join("whole"), &folder.path().join("parts"));
}

#[test]
fn merge_counts_what_was_refused_and_stops_at_what_was_never_asked() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 3);
    let server = ChatServer::start(|asked| match role_of(&asked.body).as_str() {
        "local" => Deed::Status(400, "", "{\"error\":\"no\"}".to_owned()),
        _ => say_well(asked),
    });
    let asking = |more: &str| {
        let mut run = Run::new(&dataset, &folder.path().join("out"));
        let text = format!("{}{more}", server.toml(""));
        run.teachers = tp_builder::TeachersConfig::parse(&text).unwrap().teachers().unwrap();
        run.options.max_failures_in_row = usize::MAX;
        run
    };
    let mut shard = asking("");
    shard.options.shard = Some(Shard::new(1, 1).unwrap());
    shard.build().run().unwrap();
    let mut merge = asking("");
    merge.options.merge = true;
    let statistics = merge.finished().statistics;
    assert!(
        statistics.triplets == 0 && statistics.rejected["local_turned_down"] > 10,
        "{:?}",
        statistics.rejected
    );
    // A different prompt, which the shards were not built with.
    merge.teachers = {
        let text = server.toml("").replace(
            "model = \"local-model\"",
            "model = \"local-model\"\nprompt = \"What is there?\"",
        );
        tp_builder::TeachersConfig::parse(&text).unwrap().teachers().unwrap()
    };
    let error = merge.build().run().unwrap_err().to_string();
    assert!(error.contains("points have not been asked about"), "{error}");
}
