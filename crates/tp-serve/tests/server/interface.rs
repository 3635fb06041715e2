//! The document of the interface: it has the routes that there are, and real replies are as it says.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::harness::{TestServer, photograph, points};

fn document(server: &TestServer) -> Value {
    let document = server.get("/openapi.json").ok();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{document}");
    document
}

/// The media type of an operation's request or reply.
fn media<'a>(document: &'a Value, path: &str, of: &str) -> &'a Value {
    let operation = &document["paths"][path];
    let (method, operation) = operation.as_object().unwrap().iter().next().unwrap();
    let found = match of {
        "request" => &operation["requestBody"]["content"]["application/json"],
        _ => &operation["responses"][of]["content"]["application/json"],
    };
    assert!(!found.is_null(), "{method} {path} {of}");
    found
}

/// Whether a value is as a schema says: types, members, references and alternatives.
fn faults(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        return faults(document, &document["components"]["schemas"][name], value, at);
    }
    for several in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[several].as_array() {
            let fits = choices.iter().any(|choice| faults(document, choice, value, at).is_empty());
            return if fits { Vec::new() } else { vec![format!("{at} fits nothing: {value}")] };
        }
    }
    if let Some(all) = schema["allOf"].as_array() {
        return all.iter().flat_map(|one| faults(document, one, value, at)).collect();
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return Vec::new(),
    };
    let is = |name: &&str| match *name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    if !types.iter().any(is) {
        return vec![format!("{at} is not {types:?}: {value}")];
    }
    let mut found = Vec::new();
    if let Some(members) = value.as_object() {
        let required = schema["required"].as_array().into_iter().flatten();
        found.extend(
            required
                .filter(|name| !members.contains_key(name.as_str().unwrap()))
                .map(|name| format!("{at} has no {name}")),
        );
        if let Some(properties) = schema["properties"].as_object() {
            for (name, member) in members {
                match properties.get(name) {
                    Some(schema) => {
                        found.extend(faults(document, schema, member, &format!("{at}.{name}")));
                    }
                    None => found.push(format!("{at}.{name} is not documented")),
                }
            }
        }
    }
    for item in value.as_array().into_iter().flatten() {
        found.extend(faults(document, &schema["items"], item, &format!("{at}[]")));
    }
    found
}

#[test]
fn document_has_the_routes_that_there_are() {
    let server = TestServer::start();
    let document = document(&server);
    let documented: BTreeSet<&str> =
        document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = BTreeSet::from([
        "/health",
        "/label-studio/health",
        "/label-studio/predict",
        "/label-studio/setup",
        "/label-studio/webhook",
        "/metrics",
        "/openapi.json",
        "/v1/chat/completions",
        "/v1/describe",
        "/v1/locate",
        "/v1/models",
        "/v1/round-trip",
    ]);
    assert_eq!(documented, expected);
    for path in documented {
        let operations = document["paths"][path].as_object().unwrap();
        for (method, operation) in operations {
            let reply = match method.as_str() {
                "get" => server.get(path),
                "post" => server.post(path, "text/plain", b""),
                other => panic!("{other}"),
            };
            assert!(![404, 405].contains(&reply.status), "{method} {path}: {}", reply.text);
            assert!(operation["summary"].is_string(), "{method} {path}");
        }
        // And no other methods than those.
        if !operations.contains_key("post") {
            assert_eq!(server.post(path, "text/plain", b"").status, 405, "{path}");
        }
    }
}

#[test]
fn documented_examples_are_answered_as_documented() {
    let server = TestServer::start();
    let document = document(&server);
    let asked = points(&[(1.0, 1.0)]).to_string();
    let horse = photograph("horse.jpg");
    let hash =
        server.post_form("/v1/describe", &horse, &[("points", &asked)]).ok()["image"]["hash"]
            .clone();
    for path in ["/v1/describe", "/v1/locate", "/v1/round-trip"] {
        let request = media(&document, path, "request");
        let mut example = request["example"].clone();
        assert_eq!(faults(&document, &request["schema"], &example, path), Vec::<String>::new());
        example["image_hash"] = hash.clone();
        let reply = server.post_json(path, &example).ok();
        let schema = &media(&document, path, "200")["schema"];
        assert_eq!(faults(&document, schema, &reply, path), Vec::<String>::new());
    }
    for path in ["/health", "/v1/models"] {
        let schema = &media(&document, path, "200")["schema"];
        let reply = server.get(path).ok();
        assert_eq!(faults(&document, schema, &reply, path), Vec::<String>::new());
    }
    let problem = server.post_json("/v1/describe", &json!({})).json();
    let schema = &document["components"]["schemas"]["ProblemBody"];
    assert_eq!(faults(&document, schema, &problem, "problem"), Vec::<String>::new());
    // The check finds faults.
    assert!(!faults(&document, schema, &json!({"status": "200", "x": 1}), "wrong").is_empty());
}
