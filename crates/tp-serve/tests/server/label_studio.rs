//! The protocol of Label Studio's backends.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tp_serve::ServeConfig;

use super::harness::{MODELS, TestServer, photograph, points};

const CONFIG: &str = r#"<View>
    <Image name="image" value="$image"/>
    <Text name="caption" value="$caption"/>
    <KeyPointLabels name="point" toName="image" smart="true"><Label value="Point"/></KeyPointLabels>
    <TextArea name="description" toName="image" perRegion="true"/>
</View>"#;

fn data_url() -> String {
    format!("data:image/jpeg;base64,{}", STANDARD.encode(photograph("horse.jpg")))
}

fn predict(server: &TestServer, task: &Value, context: &Value) -> Value {
    let request = json!({
        "tasks": [task], "project": "1.1700000000", "label_config": CONFIG, "model_version": null,
        "params": {"login": null, "password": null, "context": context},
    });
    server.post_json("/label-studio/predict", &request).ok()
}

/// The keypoint of 300.5 of 640 columns and 130.5 of 360 rows.
fn keypoint() -> Value {
    json!({
        "id": "k1", "type": "keypointlabels", "from_name": "point", "to_name": "image",
        "original_width": 640, "original_height": 360,
        "value": {"x": 46.953125, "y": 36.25, "width": 0.4, "keypointlabels": ["Point"]},
    })
}

#[test]
fn backend_connects_and_takes_hooks() {
    let server = TestServer::start();
    assert_eq!(server.get("/label-studio/health").ok()["status"], "UP");
    let setup = json!({"project": "1", "schema": CONFIG, "hostname": "http://localhost", "access_token": "t"});
    let version = format!("tiny-{}", MODELS.run.model);
    assert_eq!(server.post_json("/label-studio/setup", &setup).ok()["model_version"], version);
    let hook = json!({"action": "ANNOTATION_CREATED", "project": {"id": 1}});
    assert_eq!(server.post_json("/label-studio/webhook", &hook).status, 201);
    // Each field of an empty array's struct has its default, so that it would say nothing.
    assert_eq!(server.post_json("/label-studio/setup", &json!([])).problem().1, "bad-request");
    let wrong = json!({"schema": "<View/>"});
    assert!(server.post_json("/label-studio/setup", &wrong).problem().2.contains("no <Image>"));
}

#[test]
fn keypoint_gets_its_description_and_text_its_keypoint() {
    let server = TestServer::start();
    let asked = points(&[(300.0, 130.0)]).to_string();
    let image = photograph("horse.jpg");
    let expected = server.post_form("/v1/describe", &image, &[("points", &asked)]).ok()["points"]
        [0]["description"]
        .clone();
    let task = json!({"id": 7, "data": {"image": data_url(), "caption": "the horse's ear"}});
    let reply = predict(&server, &task, &json!({"result": [keypoint()]}));
    let region = &reply["results"][0]["result"][0];
    assert_eq!((&region["id"], &region["type"]), (&"k1".into(), &"textarea".into()));
    assert_eq!(
        (&region["from_name"], &region["to_name"]),
        (&"description".into(), &"image".into())
    );
    assert_eq!(
        (&region["value"]["text"], &region["value"]["x"]),
        (&json!([expected]), &46.953125.into())
    );
    assert!((0.0..=1.0).contains(&reply["results"][0]["score"].as_f64().unwrap()));
    // The same from an annotation.
    let annotated =
        json!({"id": 7, "data": {"image": data_url()}, "annotations": [{"result": [keypoint()]}]});
    let again = predict(&server, &annotated, &Value::Null);
    assert_eq!(again["results"][0]["result"], reply["results"][0]["result"]);

    let found = server.post_form("/v1/locate", &image, &[("texts", "[\"the horse's ear\"]")]).ok();
    let reply = predict(&server, &task, &Value::Null);
    let region = &reply["results"][0]["result"][0];
    assert_eq!(
        (&region["type"], &region["from_name"]),
        (&"keypointlabels".into(), &"point".into())
    );
    assert_eq!(region["value"]["keypointlabels"], json!(["Point"]));
    let percent = |name: &str| region["value"][name].as_f64().unwrap();
    let pixel = |name: &str| found["results"][0]["located"][name].as_f64().unwrap();
    assert!((percent("x") / 100.0 * 640.0 - 0.5 - pixel("x")).abs() < 1e-3);
    assert!((percent("y") / 100.0 * 360.0 - 0.5 - pixel("y")).abs() < 1e-3);
    // A task that asks for nothing gets nothing.
    let nothing = predict(&server, &json!({"id": 8, "data": {"image": data_url()}}), &Value::Null);
    assert_eq!(nothing["results"][0]["result"], json!([]));
}

#[test]
fn files_come_from_one_folder_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("upload/1")).unwrap();
    std::fs::write(folder.path().join("upload/1/a b.jpg"), photograph("horse.jpg")).unwrap();
    let ask = |server: &TestServer, image: &str| {
        let task = json!({"id": 7, "data": {"image": image, "caption": "the horse's ear"}});
        let request = json!({"tasks": [task], "label_config": CONFIG});
        server.post_json("/label-studio/predict", &request)
    };
    let server = TestServer::with(ServeConfig {
        label_studio_files: Some(folder.path().to_owned()),
        ..ServeConfig::default()
    });
    for image in ["/data/upload/1/a%20b.jpg", "/data/local-files/?d=upload/1/a b.jpg"] {
        assert_eq!(ask(&server, image).ok()["results"][0]["result"].as_array().unwrap().len(), 1);
    }
    for (image, part) in [
        ("/data/upload/1/missing.jpg", "there is no file"),
        ("/data/../../etc/passwd", "must be a data: URL or a file"),
        ("/data/local-files/?d=/etc/passwd", "must be a data: URL or a file"),
        ("http://169.254.169.254/latest/meta-data", "must be a data: URL or a file"),
    ] {
        let (_, _, detail) = ask(&server, image).problem();
        assert!(detail.starts_with("task 7: ") && detail.contains(part), "{image}: {detail}");
    }
    let without = TestServer::start();
    assert!(ask(&without, "/data/upload/1/a%20b.jpg").problem().2.contains("--label-studio-files"));
}
