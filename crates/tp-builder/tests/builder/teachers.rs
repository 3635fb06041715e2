//! Teachers behind servers that delay, fail, return invalid answers, stall and disconnect.

use std::{
    collections::HashMap,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tp_builder::{
    Answered, Budget, Build, BuildConfig, BuildError, BuildOutcome, BuildStage, Question, Report,
    Role, Row, RunLimits, Sizes, StopReason, Teacher, TeacherError, Teachers, Usage,
};
use tp_data::RulesTeacher;

use super::{
    chat_server::{Asked, ChatServer, Deed, after, good_answer, prompt_of, role_of, say_well},
    scenes_on_disk::{Run, ScenesOnDisk, assert_same_files},
};

/// Six training points, described by servers.
fn run_of<'a>(
    dataset: &'a ScenesOnDisk,
    folder: &std::path::Path,
    name: &str,
    server: &ChatServer,
    more: &str,
) -> Run<'a> {
    let mut run = Run::new(dataset, &folder.join(name));
    let config = server.config(more);
    run.teachers = config.teachers().unwrap();
    run.options.n_questions = config.n_questions();
    run.options.max_failures_in_row = config.retry.max_failures_in_row;
    run.recipe = BuildConfig {
        sizes: Sizes { train: Some(6), val: None, test: Some(0) },
        ..BuildConfig::default()
    };
    run
}

fn rows(run: &Run<'_>) -> Vec<Row> {
    let text = fs::read_to_string(run.options.out.join("triplets/train.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn three_roles_make_one_text_and_a_second_run_asks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 4);
    let server = ChatServer::start(say_well);
    let mut run = run_of(&dataset, folder.path(), "out", &server, "");
    let summary = run.finished();
    assert_eq!((summary.statistics.triplets, server.n_requests()), (6, 18));
    assert_eq!(
        summary.spent,
        Usage { calls: 18, prompt_tokens: 18 * 50, completion_tokens: 18 * 10, cost: 0.0 }
    );
    for row in rows(&run) {
        assert!(row.triplet.description.starts_with("There is "), "{}", row.triplet.description);
        assert_eq!(row.layers.unwrap().part, "its part");
        assert!(row.context.ends_with(" words"));
    }
    run.limits = RunLimits::default();
    assert_eq!(run.finished().spent, Usage::default());
    assert_eq!(server.n_requests(), 18);
}

#[test]
fn pictures_go_to_those_who_look_and_schemas_to_all() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 4);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let heard = seen.clone();
    let server = ChatServer::start(move |asked| {
        heard.lock().unwrap().push(asked.body.clone());
        say_well(asked)
    });
    run_of(&dataset, folder.path(), "out", &server, "").finished();
    for body in seen.lock().unwrap().iter() {
        let url = body["messages"][1]["content"][1]["image_url"]["url"].as_str();
        assert_eq!(
            url.is_some_and(|url| url.starts_with("data:image/jpeg;base64,")),
            role_of(body) != "organiser"
        );
        assert_eq!(body["response_format"]["json_schema"]["schema"]["type"], "object");
        assert!(!prompt_of(body).contains('{'), "{}", prompt_of(body));
    }
}

#[test]
fn another_prompt_of_the_organiser_asks_the_organiser_alone() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 4);
    let server = ChatServer::start(say_well);
    let mut run = run_of(&dataset, folder.path(), "out", &server, "");
    run.finished();
    let text = server.toml("").replace(
        "model = \"organiser-model\"",
        "model = \"organiser-model\"\nsystem = \"Be brief.\"",
    );
    run.teachers = tp_builder::TeachersConfig::parse(&text).unwrap().teachers().unwrap();
    run.finished();
    assert_eq!(server.n_requests(), 18 + 6);
}

#[test]
fn server_that_fails_lies_stalls_and_hangs_up_is_asked_until_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 4);
    let good = ChatServer::start(say_well);
    let calm = run_of(&dataset, folder.path(), "calm", &good, "");
    calm.finished();
    // Every question encounters every fault before it is answered.
    let tries: Mutex<HashMap<String, usize>> = Mutex::default();
    let server = ChatServer::start(move |asked: &Asked| {
        let question = format!("{} {}", role_of(&asked.body), asked.body["messages"][1]);
        let mut tries = tries.lock().unwrap();
        let n = tries.entry(question).or_default();
        *n += 1;
        match *n {
            1 => Deed::Status(503, "", "{\"error\":{\"message\":\"loading\"}}".to_owned()),
            2 => Deed::Status(429, "Retry-After: 0\r\n", String::new()),
            3 => Deed::Drop,
            4 => Deed::DropMidBody,
            5 => Deed::Babble,
            6 => Deed::Status(200, "", "<html>a proxy's page</html>".to_owned()),
            7 => Deed::Stall,
            _ => {
                drop(tries);
                say_well(asked)
            }
        }
    });
    let stormy = run_of(
        &dataset,
        folder.path(),
        "stormy",
        &server,
        "max_tries = 60\nanswer_timeout_secs = 0.5",
    );
    stormy.finished();
    assert_same_files(&calm.options.out, &stormy.options.out);
}

#[test]
fn delays_do_not_change_the_data_set() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 4);
    let runs = [0, 3].map(|ms| {
        let server = ChatServer::start(after(Duration::from_millis(ms), say_well));
        let run = run_of(&dataset, folder.path(), &ms.to_string(), &server, "");
        run.finished();
        run.options.out
    });
    assert_same_files(&runs[0], &runs[1]);
}

#[test]
fn failures_are_recorded_counted_and_asked_again_but_never_served() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 4);
    let well = Arc::new(AtomicBool::new(false));
    let is_well = well.clone();
    let server = ChatServer::start(move |asked: &Asked| {
        if is_well.load(Ordering::SeqCst) || role_of(&asked.body) != "local" {
            return say_well(asked);
        }
        let choice = |message: serde_json::Value, reason: &str| {
            json!({"choices": [{"message": message, "finish_reason": reason}]}).to_string()
        };
        let body = match prompt_of(&asked.body).len() + asked.body["messages"][1].to_string().len()
        {
            n if n % 5 == 0 => {
                choice(json!({"content": null, "refusal": "I will not look"}), "stop")
            }
            n if n % 5 == 1 => choice(json!({"content": ""}), "stop"),
            n if n % 5 == 2 => choice(json!({"content": "{\"colour\": \"re"}), "length"),
            n if n % 5 == 3 => {
                return Deed::Status(400, "", "{\"error\":\"no images here\"}".to_owned());
            }
            _ => choice(json!({"content": "I'm sorry, but I cannot help with that."}), "stop"),
        };
        Deed::Status(200, "", body)
    });
    let run = run_of(&dataset, folder.path(), "out", &server, "");
    let bad = run.finished().statistics;
    assert_eq!(bad.triplets, 0);
    let kinds = ["local_refused", "local_empty", "local_cut_off", "local_turned_down"];
    assert_eq!(
        kinds.iter().filter_map(|kind| bad.rejected.get(*kind)).sum::<usize>(),
        6,
        "{:?}",
        bad.rejected
    );
    let journal = fs::read_to_string(run.options.out.join("work/answers/whole.jsonl")).unwrap();
    assert_eq!(journal.matches("\"failed\":").count(), 6);
    well.store(true, Ordering::SeqCst);
    assert_eq!(run.finished().statistics.triplets, 6);
}

#[test]
fn misshapen_answer_is_corrected_a_few_times_and_then_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 4);
    let server = ChatServer::start(|asked: &Asked| {
        let n_messages = asked.body["messages"].as_array().unwrap().len();
        match role_of(&asked.body).as_str() {
            // Valid at the second try.
            "context" if n_messages == 2 => Deed::Say("{\"object\": \"thing\"}".to_owned()),
            // Never valid.
            "organiser" => Deed::Say("{\"object\": 3}".to_owned()),
            _ => say_well(asked),
        }
    });
    let run = run_of(&dataset, folder.path(), "out", &server, "");
    let statistics = run.finished().statistics;
    assert_eq!(statistics.rejected["organiser_bad_answer"], 6);
    // Two for the context, one for the local role, and one and two repairs for the text; organizers
    // with equal inputs share a question.
    assert!(server.n_requests() <= 6 * (2 + 1 + 3), "{}", server.n_requests());
    let journal = fs::read_to_string(run.options.out.join("work/answers/whole.jsonl")).unwrap();
    assert!(
        journal.contains("no usable answer in 3 tries: \\\"object\\\" is not a string"),
        "{journal}"
    );
}

#[test]
fn control_tokens_of_a_teacher_reach_neither_the_next_teacher_nor_the_data_set() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 4);
    let server = ChatServer::start(|asked: &Asked| {
        assert!(
            !prompt_of(&asked.body).contains("[SEG]")
                && !prompt_of(&asked.body).contains("<|im_end|>")
        );
        let poisoned = good_answer(&asked.body)
            .replace("plain", "plain [SEG]<p>spot</p><|im_end|>")
            .replace("\"object\":\"\"", "\"object\":\"<s>thing\"");
        Deed::Say(poisoned)
    });
    let run = run_of(&dataset, folder.path(), "out", &server, "");
    run.finished();
    let rows = rows(&run);
    assert_eq!(rows.len(), 6);
    for row in rows {
        assert!(row.triplet.description.ends_with("plain spot."), "{}", row.triplet.description);
    }
    let text = fs::read_to_string(run.options.out.join("triplets/train.jsonl")).unwrap();
    assert!(!text.contains("SEG") && !text.contains("im_end") && !text.contains("<p>"));
}

#[test]
fn calls_end_at_their_limit_and_the_next_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 4);
    let server = ChatServer::start(say_well);
    let mut run = run_of(&dataset, folder.path(), "out", &server, "");
    run.limits = RunLimits::new(Budget { max_calls: Some(7), ..Budget::default() }, Arc::default());
    let outcome = run.build().run().unwrap();
    assert!(
        matches!(outcome, BuildOutcome::Stopped { reason: StopReason::MaxCalls, spent } if spent.calls == 7),
        "{outcome:?}"
    );
    assert_eq!(server.n_requests(), 7);
    assert!(!run.options.out.join("manifest.json").exists());
    run.limits = RunLimits::default();
    run.finished();
    assert_eq!(server.n_requests(), 18);
}

/// Another implementation of a teacher: it answers like the rules, at a cost of 0.25 per call.
struct PaidTeacher {
    n_calls: Arc<AtomicU64>,
}

impl Teacher for PaidTeacher {
    fn name(&self, _: Role) -> String {
        "paid".to_owned()
    }

    fn asked(&self, question: &Question<'_>) -> String {
        format!("paid {:?} {:?} {:?}", question.point.point, question.context, question.local)
    }

    fn ask(&self, question: &Question<'_>, limits: &RunLimits) -> Result<Answered, TeacherError> {
        let usage = Usage { calls: 1, cost: 0.25, ..Usage::default() };
        let reservation = limits.reserve(usage).ok_or(TeacherError::Stopped)?;
        self.n_calls.fetch_add(1, Ordering::SeqCst);
        let answered = RulesTeacher.ask(question, limits)?;
        reservation.settle(usage);
        Ok(Answered { usage, ..answered })
    }
}

#[test]
fn paid_teacher_of_somebody_else_keeps_within_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 4);
    let out = folder.path().join("out");
    let n_calls = Arc::new(AtomicU64::new(0));
    let mut run = Run::new(&dataset, &out);
    run.recipe = BuildConfig {
        sizes: Sizes { train: Some(6), val: None, test: Some(0) },
        ..BuildConfig::default()
    };
    run.teachers = Teachers::one(PaidTeacher { n_calls: n_calls.clone() });
    // Seven of the eighteen calls, then four more, because a fifth would cost 1.25.
    for (budget, reason, n) in [
        (Budget { max_calls: Some(7), ..Budget::default() }, StopReason::MaxCalls, 7),
        (Budget { max_cost: Some(1.1), ..Budget::default() }, StopReason::MaxCost, 4),
    ] {
        n_calls.store(0, Ordering::SeqCst);
        run.limits = RunLimits::new(budget, Arc::default());
        match run.build().run().unwrap() {
            BuildOutcome::Stopped { reason: stopped, spent } => {
                assert_eq!((stopped, spent.calls, spent.cost), (reason, n, n as f64 * 0.25))
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(n_calls.load(Ordering::SeqCst), n);
        assert!(!out.join("manifest.json").exists());
    }
    run.limits = RunLimits::default();
    assert_eq!(run.finished().spent.calls, 7);
}

#[test]
fn interrupted_run_says_so_and_the_next_one_ends_as_if_nothing_had_been() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 4);
    let server = ChatServer::start(say_well);
    let calm = run_of(&dataset, folder.path(), "calm", &server, "");
    calm.finished();
    let mut run = run_of(&dataset, folder.path(), "out", &server, "");
    for stage in [BuildStage::Survey, BuildStage::Ask, BuildStage::Write] {
        let interrupted = Arc::new(AtomicBool::new(false));
        run.limits = RunLimits::new(Budget::default(), interrupted.clone());
        let listener = |report: &Report| {
            interrupted.store(
                interrupted.load(Ordering::SeqCst) || (report.stage == stage && report.done == 2),
                Ordering::SeqCst,
            )
        };
        let outcome = Build { listener: &listener, ..run.build() }.run().unwrap();
        assert!(
            matches!(outcome, BuildOutcome::Stopped { reason: StopReason::Interrupted, .. }),
            "{stage:?} {outcome:?}"
        );
        assert!(!run.options.out.join("manifest.json").exists());
    }
    run.limits = RunLimits::default();
    run.finished();
    assert_same_files(&calm.options.out, &run.options.out);
    assert_eq!(server.n_requests(), 2 * 18);
}

#[test]
fn cost_never_passes_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 4);
    let server = ChatServer::start(say_well);
    let prices = "[prices.context-model]\ninput_per_million = 100.0\noutput_per_million = 1000.0";
    let mut run = run_of(&dataset, folder.path(), "out", &server, prices);
    // A call costs 50 · 100 / 10⁶ + 10 · 1000 / 10⁶ = 0.015, and could cost half a unit.
    run.limits =
        RunLimits::new(Budget { max_cost: Some(0.6), ..Budget::default() }, Arc::default());
    let outcome = run.build().run().unwrap();
    let spent = match outcome {
        BuildOutcome::Stopped { reason: StopReason::MaxCost, spent } => spent,
        BuildOutcome::Finished(summary) => summary.spent,
        other => panic!("{other:?}"),
    };
    assert!(spent.cost <= 0.6 && spent.cost > 0.0, "{spent:?}");
}

#[test]
fn plan_bounds_what_a_run_spends() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 4);
    let server = ChatServer::start(say_well);
    let prices = "[prices.organiser-model]\ninput_per_million = 1.0\noutput_per_million = 2.0";
    let run = run_of(&dataset, folder.path(), "out", &server, prices);
    let plan = run.build().plan().unwrap().unwrap();
    assert_eq!(server.n_requests(), 0);
    assert_eq!(plan.stages.iter().map(|stage| stage.questions).collect::<Vec<_>>(), [6, 6, 6]);
    let spent = run.finished().spent;
    assert!(plan.least.calls <= spent.calls && spent.calls <= plan.most.calls);
    assert!(
        plan.most.tokens() >= spent.tokens() && plan.most.cost >= spent.cost && spent.cost > 0.0
    );
    let after = run.build().plan().unwrap().unwrap();
    assert_eq!(
        (after.stages.iter().map(|stage| stage.known).sum::<usize>(), after.most),
        (18, Usage::default())
    );
}

#[test]
fn key_goes_into_the_header_and_nowhere_else() {
    const KEY: &str = "sk-do-not-tell-anybody-0123456789";
    // The variable can only be set when a process is started, so in this one only its absence is
    // tested.
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 3);
    let server = ChatServer::start(|asked: &Asked| {
        let told = asked.headers.lines().find_map(|line| {
            line.to_lowercase().starts_with("authorization:").then(|| line.to_owned())
        });
        Deed::Status(
            400,
            "",
            json!({"error": {"message": format!("you said {told:?}")}}).to_string(),
        )
    });
    let text = server.toml("").replace(
        "max_concurrent = 4",
        "max_concurrent = 4\napi_key_env = \"TP_TEST_KEY_THAT_IS_SET\"",
    );
    let config = tp_builder::TeachersConfig::parse(&text).unwrap();
    if std::env::var_os("TP_TEST_KEY_THAT_IS_SET").is_none() {
        let error = config.teachers().unwrap_err();
        let BuildError::Teacher { source } = &error else { panic!("{error:?}") };
        assert!(
            source.to_string().contains("set the environment variable TP_TEST_KEY_THAT_IS_SET")
        );
        // The same in a process that has the key.
        let this = std::env::current_exe().unwrap();
        let name = "teachers::key_goes_into_the_header_and_nowhere_else";
        let output = std::process::Command::new(this)
            .args(["--exact", name, "--nocapture"])
            .env("TP_TEST_KEY_THAT_IS_SET", KEY)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(
            output.status.success() && said.contains("1 passed") && !said.contains(KEY),
            "{}",
            said.replace(KEY, "KEY")
        );
        return;
    }
    let mut run = run_of(&dataset, folder.path(), "out", &server, "");
    run.teachers = config.teachers().unwrap();
    println!("{:?} {:?}", config, run.teachers);
    run.finished();
    let journal = fs::read_to_string(run.options.out.join("work/answers/whole.jsonl")).unwrap();
    assert!(journal.contains("Bearer [key]"), "{}", journal.replace(KEY, "KEY"));
    for (name, bytes) in super::scenes_on_disk::files_of(&run.options.out) {
        assert!(!bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes()), "{name}");
    }
    assert!(!journal.contains(KEY));
}

#[test]
fn wrong_key_and_absent_server_end_the_run_with_their_reason() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 4);
    let server = ChatServer::start(|_: &Asked| {
        Deed::Status(401, "", "{\"error\":\"who are you?\"}".to_owned())
    });
    let error = run_of(&dataset, folder.path(), "out", &server, "").build().run().unwrap_err();
    let BuildError::Teacher { source } = &error else { panic!("{error:?}") };
    assert!(
        source.to_string().contains("endpoint here does not accept the key (status 401)"),
        "{source}"
    );

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    // Waits of an hour, which must end when the run ends.
    let more = "max_tries = 1\nfirst_wait_ms = 3600000\nmax_wait_secs = 3600";
    let text = server
        .toml("")
        .replace("first_wait_ms = 1\nmax_wait_secs = 5\n", &format!("{more}\n"))
        .replace(&server.url, &format!("http://{address}/v1"));
    let mut run = run_of(&dataset, folder.path(), "away", &server, "");
    run.teachers = tp_builder::TeachersConfig::parse(&text).unwrap().teachers().unwrap();
    run.options.max_failures_in_row = 1;
    let error = run.build().run().unwrap_err();
    assert!(matches!(error, BuildError::TeachersDown { failures: 1, .. }), "{error:?}");
}

#[test]
fn wait_that_is_too_long_is_not_waited() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 4);
    let server = ChatServer::start(|asked: &Asked| match role_of(&asked.body).as_str() {
        "context" => Deed::Status(429, "Retry-After: 86400\r\n", String::new()),
        _ => say_well(asked),
    });
    let statistics = run_of(&dataset, folder.path(), "out", &server, "").finished().statistics;
    assert_eq!((statistics.rejected["context_unreachable"], server.n_requests()), (6, 6));
}

#[test]
fn second_endpoint_takes_over_from_one_that_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = ScenesOnDisk::draw(folder.path(), 4);
    let server = ChatServer::start(say_well);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let text = format!(
        "[endpoints.away]\nurl = \"http://{address}/v1\"\nmax_concurrent = 4\n{}",
        server.toml("")
    );
    let mut run = run_of(&dataset, folder.path(), "out", &server, "");
    run.teachers = tp_builder::TeachersConfig::parse(&text).unwrap().teachers().unwrap();
    assert_eq!(run.finished().statistics.triplets, 6);
}
