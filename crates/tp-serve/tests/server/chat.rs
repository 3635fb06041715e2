//! Conversations in OpenAI's form.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    harness::{TestServer, photograph, points},
    streams::events,
};

fn data_url() -> String {
    format!("data:image/jpeg;base64,{}", STANDARD.encode(photograph("horse.jpg")))
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": [
        {"type": "text", "text": text},
        {"type": "image_url", "image_url": {"url": data_url(), "detail": "high"}},
    ]})
}

fn described(server: &TestServer, x: f64, y: f64) -> String {
    let asked = points(&[(x, y)]).to_string();
    let reply = server.post_form("/v1/describe", &photograph("horse.jpg"), &[("points", &asked)]);
    reply.ok()["points"][0]["description"].as_str().unwrap().to_owned()
}

#[test]
fn answer_is_the_description_of_the_point() {
    let server = TestServer::start();
    let expected = described(&server, 300.0, 130.0);
    for text in [
        "What is at <point x=\"300\" y=\"130\"/>?",
        "What is at {\"x\": 300, \"y\": 130}?",
        "<point x=\"46.953125%\" y=\"36.25%\"/>", // 300.5 of 640, 130.5 of 360
    ] {
        let request = json!({
            "model": "tiny",
            "messages": [{"role": "system", "content": "Be brief."}, user(text)],
            "max_tokens": 400, "temperature": 0.0, "stream": false, "top_p": 0.5,
        });
        let reply = server.post_json("/v1/chat/completions", &request).ok();
        assert_eq!(
            (&reply["object"], &reply["model"]),
            (&"chat.completion".into(), &"tiny".into())
        );
        let choice = &reply["choices"][0];
        assert_eq!(choice["message"], json!({"role": "assistant", "content": expected}));
        assert_eq!(choice["finish_reason"], "stop");
        let count = |name: &str| reply["usage"][name].as_u64().unwrap();
        assert!(count("completion_tokens") > 3 && count("prompt_tokens") > 10);
        assert_eq!(count("total_tokens"), count("prompt_tokens") + count("completion_tokens"));
    }
    let short =
        json!({"messages": [user("<point x=\"300\" y=\"130\"/>")], "max_completion_tokens": 3});
    let reply = server.post_json("/v1/chat/completions", &short).ok();
    assert_eq!(reply["choices"][0]["finish_reason"], "length");
    assert_eq!(reply["usage"]["completion_tokens"], 3);
}

#[test]
fn chunks_joined_are_the_answer() {
    let server = TestServer::start();
    let expected = described(&server, 300.0, 130.0);
    let request = json!({
        "messages": [user("<point x=\"300\" y=\"130\"/>")],
        "stream": true, "stream_options": {"include_usage": true},
    });
    let reply = server.post_json("/v1/chat/completions", &request);
    let events = events(&reply.text);
    assert_eq!(events.last().unwrap().1, "[DONE]");
    let chunks: Vec<Value> = events[..events.len() - 1]
        .iter()
        .map(|(_, data)| serde_json::from_str(data).unwrap())
        .collect();
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["object"] == "chat.completion.chunk"
                && chunk["id"] == chunks[0]["id"])
    );
    let texts = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str());
    assert_eq!(texts.collect::<String>(), expected);
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let (usage, last) = (&chunks[chunks.len() - 1], &chunks[chunks.len() - 2]);
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert!(usage["usage"]["total_tokens"].as_u64().unwrap() > 0 && usage["choices"] == json!([]));
}

#[test]
fn schema_of_strings_is_filled() {
    let server = TestServer::start();
    let string = json!({"type": "string"});
    let request = json!({
        "messages": [user("<point x=\"300\" y=\"130\"/>")],
        "response_format": {"type": "json_schema", "json_schema": {"name": "context", "strict": true, "schema": {
            "type": "object", "properties": {"object": string, "part": string, "context": string},
            "required": ["object", "part", "context"], "additionalProperties": false,
        }}},
    });
    let reply = server.post_json("/v1/chat/completions", &request).ok();
    let content = reply["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    let content: Value = serde_json::from_str(&content).unwrap();
    assert_eq!(content["context"], described(&server, 300.0, 130.0));
    assert!(!content["object"].as_str().unwrap().is_empty());
    assert_eq!(content.as_object().unwrap().len(), 3);
}

#[test]
fn what_cannot_be_answered_is_said_in_both_forms() {
    let server = TestServer::start();
    let text_alone = |text: &str| json!({"role": "user", "content": text});
    let elsewhere = json!({"role": "user", "content": [
        {"type": "text", "text": "<point x=\"1\" y=\"1\"/>"},
        {"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.jpg"}},
    ]});
    let point = "<point x=\"1\" y=\"1\"/>";
    for (fields, kind, part) in [
        (json!({"messages": []}), "unusable", "no user message has an image"),
        (json!({"messages": [text_alone(point)]}), "unusable", "no user message has an image"),
        (json!({"messages": [user("what is this?")]}), "unusable", "names a point"),
        (json!({"messages": [elsewhere]}), "unusable", "fetches nothing"),
        (
            json!({"messages": [user("<point x=\"900\" y=\"1\"/>")]}),
            "point-outside",
            "not in the image",
        ),
        (
            json!({"messages": [user("<point x=\"NaN\" y=\"1\"/>")]}),
            "point-outside",
            "not in the image",
        ),
        (json!({"messages": [user(point)], "model": "gpt"}), "unknown-model", "`gpt`"),
        (json!({"messages": [user(point)], "n": 2}), "bad-request", "`n` must be 1"),
        (json!({"messages": [user(point)], "temperature": -1}), "bad-request", "`temperature`"),
        (json!({"messages": [user(point)], "max_tokens": 0}), "bad-request", "`max_tokens`"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}),
            "bad-request",
            "the request is not as expected",
        ),
        (json!({"messages": "hello"}), "bad-request", "the request is not as expected"),
    ] {
        let reply = server.post_json("/v1/chat/completions", &fields);
        let (status, found, detail) = reply.problem();
        assert_eq!(found, kind, "{detail}");
        assert!(detail.contains(part), "{detail}");
        let error = &reply.json()["error"];
        assert_eq!((&error["message"], &error["code"]), (&detail.into(), &kind.into()));
        assert!(status < 500 && error["type"] == "invalid_request_error");
    }
}
