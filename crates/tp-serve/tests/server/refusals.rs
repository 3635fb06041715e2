//! Requests that cannot be answered, each with its problem.

use serde_json::{Value, json};
use tp_serve::ServeConfig;

use super::harness::{TestServer, photograph, points};

/// The hash of an image that the server knows.
fn known_image(server: &TestServer) -> Value {
    let asked = points(&[(1.0, 1.0)]).to_string();
    let reply = server.post_form("/v1/describe", &photograph("cat.jpg"), &[("points", &asked)]);
    reply.ok()["image"]["hash"].clone()
}

#[test]
fn every_fault_of_a_request_has_its_problem() {
    let server = TestServer::with(ServeConfig {
        max_points: 4,
        max_texts: 2,
        max_text_chars: 3_000,
        ..ServeConfig::default()
    });
    let hash = known_image(&server);
    let describe = |fields: Value| {
        let mut body = json!({"image_hash": hash, "points": [{"x": 1.0, "y": 1.0}]});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        ("/v1/describe", body)
    };
    let locate = |texts: Value| ("/v1/locate", json!({"image_hash": hash, "texts": texts}));
    let unknown = "0".repeat(64);
    for ((path, body), status, kind, part) in [
        (
            describe(json!({"points": points(&[(900.0, 10.0)])})),
            422,
            "point-outside",
            "point (900, 10) is not in the image, which is",
        ),
        (
            describe(json!({"points": points(&[(0.0, -0.6)])})),
            422,
            "point-outside",
            "not in the image",
        ),
        (describe(json!({"points": []})), 400, "bad-request", "`points` is empty"),
        (
            describe(json!({"points": points(&[(1.0, 1.0); 5])})),
            422,
            "too-many-points",
            "5 points were sent, at most 4",
        ),
        (describe(json!({"points": [{"x": 1.0}]})), 400, "bad-request", "missing field `y`"),
        (describe(json!({"points": [{"x": "1", "y": 2}]})), 400, "bad-request", "invalid type"),
        (describe(json!({"points": [{"x": 1, "y": null}]})), 400, "bad-request", "invalid type"),
        (describe(json!({"colour": "red"})), 400, "bad-request", "unknown field `colour`"),
        (describe(json!({"seed": -1})), 400, "bad-request", "invalid value"),
        (
            describe(json!({"model": "huge"})),
            404,
            "unknown-model",
            "there is no model `huge`; there are: tiny",
        ),
        (describe(json!({"image_hash": unknown})), 404, "image-not-cached", "send the image again"),
        (describe(json!({"image_hash": "xyz"})), 400, "bad-request", "64 hexadecimal digits"),
        (describe(json!({"image_hash": null})), 422, "unusable", "the image is missing"),
        (describe(json!({"image": "aGVsbG8="})), 422, "unusable", "not both"),
        (
            describe(json!({"image": "aGVsbG8=", "image_hash": null})),
            422,
            "not-an-image",
            "png, jpeg and webp are accepted",
        ),
        (
            describe(json!({"image": "", "image_hash": null})),
            422,
            "not-an-image",
            "the file is empty",
        ),
        (
            describe(json!({"image": "%%%", "image_hash": null})),
            422,
            "unusable",
            "not valid base64",
        ),
        (
            describe(json!({"image": "data:image/png,abc", "image_hash": null})),
            422,
            "unusable",
            "data: URL",
        ),
        (describe(json!({"image": 7})), 400, "bad-request", "`image` must be"),
        (locate(json!([])), 400, "bad-request", "`texts` is empty"),
        (locate(json!(["a", "b", "c"])), 422, "too-many-texts", "3 texts were sent, at most 2"),
        (locate(json!(["a", " \n"])), 422, "empty-text", "text 1 is empty: say what to look for"),
        (locate(json!(["x".repeat(3_001)])), 422, "text-too-long", "3001 characters"),
        (
            locate(json!(["the horse's ear ".repeat(180)])),
            422,
            "text-too-long",
            "tokens, the localizer reads at most",
        ),
        (locate(json!("a text")), 400, "bad-request", "invalid type"),
        (
            ("/v1/round-trip", json!({"image_hash": hash, "points": points(&[(1e9, 1.0)])})),
            422,
            "point-outside",
            "not in the image",
        ),
        (("/v1/round-trip", json!([])), 400, "bad-request", "not the expected JSON"),
    ] {
        let reply = server.post_json(path, &body);
        let (found, found_kind, detail) = reply.problem();
        assert_eq!((found, found_kind.as_str()), (status, kind), "{body}: {detail}");
        assert!(detail.contains(part) && !detail.contains('\n'), "{body}: {detail}");
    }
}

#[test]
fn numbers_that_are_none_are_refused() {
    let server = TestServer::start();
    let hash = known_image(&server);
    for number in ["NaN", "Infinity", "1e999", "-1e999", "0x10", "1_000"] {
        let body =
            format!("{{\"image_hash\": {hash}, \"points\": [{{\"x\": {number}, \"y\": 1}}]}}");
        let reply = server.post("/v1/describe", "application/json", body.as_bytes());
        assert_eq!(reply.problem().1, "bad-request", "{number}");
        let field = format!("[{{\"x\": {number}, \"y\": 1}}]");
        let reply = server.post_form("/v1/describe", &photograph("cat.jpg"), &[("points", &field)]);
        let (_, kind, detail) = reply.problem();
        assert_eq!(kind, "unusable", "{number}");
        assert!(detail.contains("`points`"), "{detail}");
    }
    let large = format!("{{\"image_hash\": {hash}, \"points\": [{{\"x\": 1e300, \"y\": 1}}]}}");
    let reply = server.post("/v1/describe", "application/json", large.as_bytes());
    assert_eq!(reply.problem().1, "point-outside");
}

#[test]
fn paths_methods_and_types_of_bodies_are_named() {
    let server = TestServer::start();
    let body = b"{}".as_slice();
    for (path, content_type, status, kind) in [
        ("/v2/describe", "application/json", 404, "not-found"),
        ("/v1/describe/", "application/json", 404, "not-found"),
        ("/health", "application/json", 405, "method-not-allowed"),
        ("/v1/describe", "text/plain", 415, "unsupported-media-type"),
        ("/v1/describe", "", 415, "unsupported-media-type"),
        ("/v1/locate", "application/x-www-form-urlencoded", 415, "unsupported-media-type"),
        ("/v1/chat/completions", "multipart/form-data; boundary=x", 415, "unsupported-media-type"),
        ("/v1/describe", "multipart/form-data", 400, "bad-request"),
        ("/v1/describe", "application/json; charset=utf-8", 400, "bad-request"),
    ] {
        let (found, found_kind, _) = server.post(path, content_type, body).problem();
        assert_eq!((found, found_kind.as_str()), (status, kind), "{path} {content_type}");
    }
    let reply = server.get("/v1/describe");
    assert_eq!(reply.problem().1, "method-not-allowed");
    assert_eq!(reply.headers["allow"], "POST");
    let body = reply.json();
    assert_eq!(body["instance"], "/v1/describe");
}

#[test]
fn time_for_a_request_ends_its_wait() {
    let server = TestServer::with(ServeConfig {
        request_time: std::time::Duration::from_millis(200),
        ..ServeConfig::default()
    });
    server.handle.hold(true);
    let asked = points(&[(1.0, 1.0)]).to_string();
    let reply = server.post_form("/v1/describe", &photograph("cat.jpg"), &[("points", &asked)]);
    let (status, kind, _) = reply.problem();
    assert_eq!((status, kind.as_str()), (503, "timeout"));
    assert_eq!(reply.headers["retry-after"], "1");
    let texts = [("texts", "[\"the cat\"]")];
    let reply = server.post_form("/v1/locate", &photograph("cat.jpg"), &texts);
    assert_eq!(reply.problem().1, "timeout");
    // A stream ends with the problem.
    let fields = [("points", asked.as_str()), ("stream", "true")];
    let reply = server.post_form("/v1/describe", &photograph("cat.jpg"), &fields);
    assert!(
        reply.text.contains("event: error") && reply.text.contains("timeout"),
        "{}",
        reply.text
    );
}
