//! Descriptions as they are written.

use std::collections::BTreeMap;

use serde_json::Value;

use super::harness::{TestServer, photograph, points};

/// The events of a stream: names with their data.
pub(crate) fn events(text: &str) -> Vec<(String, String)> {
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_default().to_owned()
    };
    text.split("\n\n")
        .filter(|block| !block.is_empty())
        .map(|block| (field(block, "event"), field(block, "data")))
        .collect()
}

#[test]
fn pieces_joined_are_the_descriptions() {
    let server = TestServer::start();
    // More points than a batch has.
    let many: Vec<(f64, f64)> = (0..40).map(|n| (f64::from(n) * 15.0, 180.0)).collect();
    let asked = points(&many).to_string();
    let image = photograph("horse.jpg");
    let whole = server.post_form("/v1/describe", &image, &[("points", &asked)]).ok();
    let fields = [("points", asked.as_str()), ("stream", "true")];
    let stream = server.post_form("/v1/describe", &image, &fields);
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    let events = events(&stream.text);
    let json = |data: &str| serde_json::from_str::<Value>(data).unwrap();

    let (first, last) = (events.first().unwrap(), events.last().unwrap());
    assert_eq!((first.0.as_str(), last.0.as_str()), ("image", "done"));
    let image = json(&first.1);
    assert_eq!((&image["width"], &image["hash"]), (&640.into(), &whole["image"]["hash"]));
    assert!(json(&last.1)["seconds"]["describe"].as_f64().unwrap() > 0.0);

    let mut written = BTreeMap::<u64, String>::new();
    let mut finished = Vec::new();
    let mut n_pieces = 0;
    for (name, data) in &events[1..events.len() - 1] {
        let data = json(data);
        let point = data["point"].as_u64().unwrap();
        match name.as_str() {
            "text" => {
                n_pieces += 1;
                written.entry(point).or_default().push_str(data["text"].as_str().unwrap());
            }
            "point" => {
                assert_eq!(data["description"], written[&point], "after its text");
                finished.push(data);
            }
            other => panic!("{other}"),
        }
    }
    assert!(n_pieces > 3 * many.len(), "{n_pieces} pieces");
    assert_eq!(finished.len(), many.len());
    for (at, (stream, whole)) in
        finished.iter().zip(whole["points"].as_array().unwrap()).enumerate()
    {
        assert_eq!(stream["point"], at);
        for member in ["x", "y", "description"] {
            assert_eq!(stream[member], whole[member]);
        }
    }
}

#[test]
fn problems_before_the_stream_have_their_status() {
    let server = TestServer::start();
    let fields = [("points", "[{\"x\": 1e6, \"y\": 1}]"), ("stream", "true")];
    let reply = server.post_form("/v1/describe", &photograph("cat.jpg"), &fields);
    assert_eq!((reply.problem().0, reply.problem().1.as_str()), (422, "point-outside"));
}
