//! Requests that wait: in batches, in a bounded queue, until the server ends.

use std::{
    io::Write,
    net::TcpStream,
    thread::{self, Scope, ScopedJoinHandle},
    time::Duration,
};

use serde_json::{Value, json};
use tp_serve::{ServeConfig, ServeError};

use super::harness::{Reply, TestServer, form, photograph, points, read_all, wait_until};

/// The hash of a photograph that is in the server's cache now.
fn cached(server: &TestServer) -> Value {
    let asked = points(&[(1.0, 1.0)]).to_string();
    let reply = server.post_form("/v1/describe", &photograph("cat.jpg"), &[("points", &asked)]);
    reply.ok()["image"]["hash"].clone()
}

/// Asks about a point on a thread of its own.
fn ask<'scope>(
    scope: &'scope Scope<'scope, '_>,
    server: &'scope TestServer,
    hash: &Value,
    x: f64,
) -> ScopedJoinHandle<'scope, Reply> {
    let body = json!({"image_hash": hash, "points": points(&[(x, 50.0)])});
    scope.spawn(move || server.post_json("/v1/describe", &body))
}

#[test]
fn requests_about_one_image_are_answered_together_and_as_if_alone() {
    let server = TestServer::start();
    let hash = cached(&server);
    let xs = [10.0, 150.0, 290.0];
    let alone: Vec<Value> = thread::scope(|scope| {
        xs.map(|x| ask(scope, &server, &hash, x).join().unwrap().ok()["points"].clone()).to_vec()
    });
    let before = server.metric("batches_total");
    server.handle.hold(true);
    thread::scope(|scope| {
        let together = xs.map(|x| ask(scope, &server, &hash, x));
        wait_until("three requests wait", || server.handle.queue_length() == 3);
        server.handle.hold(false);
        for (reply, alone) in together.into_iter().zip(&alone) {
            let points = reply.join().unwrap().ok()["points"].clone();
            assert_eq!(points[0]["description"], alone[0]["description"]);
            assert_eq!(points[0]["name"]["object"], alone[0]["name"]["object"]);
        }
    });
    assert_eq!(server.metric("batches_total"), before + 1);
    // Other options, and another kind of request, are other batches.
    server.handle.hold(true);
    thread::scope(|scope| {
        let asked = points(&[(1.0, 1.0)]);
        for (path, body) in [
            ("/v1/describe", json!({"image_hash": hash, "points": asked})),
            ("/v1/describe", json!({"image_hash": hash, "points": asked, "seed": 5})),
            ("/v1/locate", json!({"image_hash": hash, "texts": ["the cat"]})),
            ("/v1/locate", json!({"image_hash": hash, "texts": ["its nose"], "heatmap": true})),
        ] {
            let server = &server;
            scope.spawn(move || server.post_json(path, &body).ok());
        }
        wait_until("four requests wait", || server.handle.queue_length() == 4);
        server.handle.hold(false);
    });
    assert_eq!(server.metric("batches_total"), before + 4);
}

#[test]
fn full_queue_refuses_and_keeps_what_it_has() {
    let server = TestServer::with(ServeConfig { max_queue: 1, ..ServeConfig::default() });
    let hash = cached(&server);
    server.handle.hold(true);
    thread::scope(|scope| {
        let first = ask(scope, &server, &hash, 10.0);
        wait_until("a request waits", || server.handle.queue_length() == 1);
        assert_eq!(server.get("/health").ok()["queue"], 1);
        let refused = ask(scope, &server, &hash, 20.0).join().unwrap();
        assert_eq!((refused.problem().0, refused.problem().1.as_str()), (429, "busy"));
        assert_eq!(refused.headers["retry-after"], "1");
        server.handle.hold(false);
        first.join().unwrap().ok();
    });
    assert_eq!(server.metric("refused_total"), 1);
    ask_alone(&server, &hash).ok();
}

fn ask_alone(server: &TestServer, hash: &Value) -> Reply {
    server.post_json("/v1/describe", &json!({"image_hash": hash, "points": points(&[(5.0, 5.0)])}))
}

/// Sends a request, and leaves the connection to its owner.
fn begin(server: &TestServer, fields: &[(&str, &str)]) -> TcpStream {
    let (content_type, body) = form(&photograph("cat.jpg"), fields);
    let mut stream = server.connect();
    let head = format!(
        "POST /v1/describe HTTP/1.1\r\nHost: test\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    stream
}

#[test]
fn client_that_goes_away_leaves_the_queue() {
    let server = TestServer::with(ServeConfig { max_queue: 1, ..ServeConfig::default() });
    server.handle.hold(true);
    let stream = begin(&server, &[("points", "[{\"x\": 1, \"y\": 1}]")]);
    wait_until("a request waits", || server.handle.queue_length() == 1);
    drop(stream);
    wait_until("nobody waits", || server.handle.queue_length() == 0);
    // Its place is free.
    thread::scope(|scope| {
        let next = scope.spawn(|| {
            let asked = points(&[(1.0, 1.0)]).to_string();
            server.post_form("/v1/describe", &photograph("cat.jpg"), &[("points", &asked)])
        });
        wait_until("the next request waits", || server.handle.queue_length() == 1);
        server.handle.hold(false);
        next.join().unwrap().ok();
    });
    assert_eq!(server.metric("points_total"), 1);
}

#[test]
fn description_ends_when_its_client_goes_away() {
    let server = TestServer::start();
    // Many batches: far longer than a connection needs to be closed.
    let asked = points(&vec![(30.0, 40.0); 256]).to_string();
    let stream = begin(&server, &[("points", &asked), ("stream", "true")]);
    let mut first = [0; 1];
    std::io::Read::read_exact(&mut &stream, &mut first).unwrap();
    drop(stream);
    wait_until("the server has noticed", || server.metric("abandoned_total") == 1);
    assert_eq!(server.metric("points_total"), 0);
    let asked = points(&[(1.0, 1.0)]).to_string();
    server.post_form("/v1/describe", &photograph("cat.jpg"), &[("points", &asked)]).ok();
}

#[test]
fn server_that_ends_answers_what_it_has_accepted() {
    let server = TestServer::start();
    let hash = cached(&server);
    server.handle.hold(true);
    let handle = server.handle.clone();
    let address = server.address;
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..8).map(|x| ask(scope, &server, &hash, f64::from(x))).collect();
        wait_until("all requests wait", || handle.queue_length() == waiting.len());
        handle.stop();
        wait_until("nobody is let in any more", || TcpStream::connect(address).is_err());
        handle.hold(false);
        for reply in waiting {
            reply.join().unwrap().ok();
        }
    });
    server.stop().unwrap();
}

#[test]
fn server_that_ends_does_not_wait_for_ever() {
    let server = TestServer::with(ServeConfig {
        shutdown_time: Duration::from_millis(100),
        ..ServeConfig::default()
    });
    server.handle.hold(true);
    let stream = begin(&server, &[("points", "[{\"x\": 1, \"y\": 1}]")]);
    wait_until("a request waits", || server.handle.queue_length() == 1);
    assert!(matches!(server.stop(), Err(ServeError::CutOff { connections: 1 })));
    let text = read_all(stream);
    assert!(text.starts_with("HTTP/1.1 503") && text.contains("shutting-down"), "{text}");
}

#[test]
fn idle_connections_do_not_delay_the_end() {
    let server = TestServer::start();
    let _idle = server.connect();
    server.get("/health").ok(); // and one that is kept alive
    server.stop().unwrap();
}

#[test]
fn cache_is_bounded_and_hashes_are_forgotten() {
    let server = TestServer::with(ServeConfig { cache_bytes: 1, ..ServeConfig::default() });
    let hash = cached(&server);
    assert_eq!(ask_alone(&server, &hash).problem().1, "image-not-cached");
    assert_eq!((server.metric("cache_images"), server.metric("cache_bytes")), (0, 0));
    let server = TestServer::start();
    let hash = cached(&server);
    ask_alone(&server, &hash).ok();
    assert_eq!(server.metric("cache_images"), 1);
    assert!(server.metric("cache_bytes") > 1_000_000);
}
