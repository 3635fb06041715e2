//! Every route gives what the library gives.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use talking_points::{
    RoundTrip,
    core::{DescribeOptions, PixelXy, RgbImage, UnitXy},
    data::{DecodeOptions, decode_bytes},
    vision::EncodedImage,
};

use super::harness::{MODELS, TestServer, photograph, points};

const PIXELS: [(f64, f64); 3] = [(300.0, 130.0), (20.5, 340.0), (600.0, 8.0)];

fn horse() -> (RgbImage, EncodedImage) {
    let image = decode_bytes("horse", &photograph("horse.jpg"), &DecodeOptions::default()).unwrap();
    let encoded = MODELS.encode(&image).unwrap();
    (image, encoded)
}

fn units(image: &RgbImage) -> Vec<UnitXy> {
    let unit = |&(x, y)| image.size().unit_from_pixel(PixelXy { x, y }).unwrap();
    PIXELS.iter().map(unit).collect()
}

fn is_near(json: &Value, expected: f64) -> bool {
    json.as_f64().is_some_and(|number| (number - expected).abs() < 1e-4 * expected.abs().max(1.0))
}

#[test]
fn descriptions_are_those_of_the_library_however_the_image_is_sent() {
    let server = TestServer::start();
    let (image, encoded) = horse();
    let expected = MODELS.describe(&encoded, &units(&image), &DescribeOptions::default()).unwrap();
    let (file, asked) = (photograph("horse.jpg"), points(&PIXELS));
    let form = [("points", asked.to_string())];
    let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
    let replies = [
        server.post_form("/v1/describe", &file, &form),
        server.post_json(
            "/v1/describe",
            &json!({"image": STANDARD.encode(&file), "points": asked, "model": "tiny"}),
        ),
        server.post_json(
            "/v1/describe",
            &json!({"image": format!("data:image/jpeg;base64,{}", STANDARD.encode(&file)), "points": asked}),
        ),
    ];
    let hash = replies[0].ok()["image"]["hash"].clone();
    let by_hash = json!({"image_hash": hash, "points": asked, "seed": 7.0});
    for reply in replies.into_iter().chain([server.post_json("/v1/describe", &by_hash)]) {
        let json = reply.ok();
        assert_eq!((&json["image"]["width"], &json["image"]["height"]), (&640.into(), &360.into()));
        assert_eq!((&json["model"], &json["image"]["hash"]), (&"tiny".into(), &hash));
        let described = json["points"].as_array().unwrap();
        assert_eq!(described.len(), expected.len());
        for ((found, expected), (x, y)) in described.iter().zip(&expected).zip(PIXELS) {
            assert_eq!((&found["x"], &found["y"]), (&x.into(), &y.into()));
            assert_eq!(found["description"], expected.text);
            assert!(is_near(&found["log_prob"], expected.log_prob), "{found}");
            let name = expected.name.as_ref().unwrap();
            assert_eq!(found["name"]["object"], json!(name.object));
            assert!(
                is_near(&found["name"]["object_probability"], f64::from(name.object_probability)),
                "{found}"
            );
            assert_eq!(found["name"]["colour"], json!(name.colour));
        }
        assert!(json["seconds"]["describe"].as_f64().unwrap() > 0.0);
    }
    assert_eq!((server.metric("cache_misses_total"), server.metric("cache_hits_total")), (1, 3));
}

#[test]
fn texts_are_located_as_by_the_library_with_their_heat_maps() {
    let server = TestServer::start();
    let (image, encoded) = horse();
    let texts = ["the horse's ear", "the grass in the lower left", "a red bus"];
    let expected = MODELS.locate(&encoded, &texts).unwrap();
    let heatmaps = MODELS.localizer.heatmaps(&encoded, &texts).unwrap();
    let fields = json!(texts).to_string();
    let file = photograph("horse.jpg");
    let with = server.post_form("/v1/locate", &file, &[("texts", &fields), ("heatmap", "true")]);
    let without = server.post_form("/v1/locate", &file, &[("texts", &fields), ("heatmap", "null")]);
    for (reply, has_heatmap) in [(with, true), (without, false)] {
        let json = reply.ok();
        let results = json["results"].as_array().unwrap();
        assert_eq!(results.len(), texts.len());
        for (at, result) in results.iter().enumerate() {
            assert_eq!(result["text"], texts[at]);
            match expected[at] {
                None => assert_eq!(
                    (&result["located"], &result["confidence"]),
                    (&Value::Null, &Value::Null)
                ),
                Some(located) => {
                    let PixelXy { x, y } = image.size().pixel_from_unit(located.point);
                    assert!(
                        is_near(&result["located"]["x"], x) && is_near(&result["located"]["y"], y)
                    );
                    let confidence = located.confidence.map(f64::from).unwrap();
                    assert!(is_near(&result["confidence"], confidence));
                }
            }
            if !has_heatmap {
                assert!(result.get("heatmap").is_none());
                continue;
            }
            let ([height, width], cells) = heatmaps[at].over_image(&encoded.letterbox, 64);
            let grid = &result["heatmap"];
            assert_eq!((&grid["width"], &grid["height"]), (&width.into(), &height.into()));
            let values = grid["values"].as_array().unwrap();
            assert!(values.len() == width * height && width == 64 && height == 36);
            assert!(
                values.iter().zip(&cells).all(|(value, &cell)| is_near(value, f64::from(cell)))
            );
            let total: f64 = values.iter().filter_map(Value::as_f64).sum();
            assert!(total > 0.0 && total <= 1.0 + 1e-5, "{total}");
        }
    }
}

#[test]
fn round_trips_are_those_of_the_library() {
    let server = TestServer::start();
    let (image, _) = horse();
    let asked = points(&PIXELS).to_string();
    let reply =
        server.post_form("/v1/round-trip", &photograph("horse.jpg"), &[("points", &asked)]).ok();
    for ((x, y), found) in PIXELS.into_iter().zip(reply["points"].as_array().unwrap()) {
        let expected =
            RoundTrip::run(&MODELS, &image, PixelXy { x, y }, &DescribeOptions::default()).unwrap();
        assert_eq!(found["point"], json!({"x": x, "y": y}));
        assert_eq!(found["description"], expected.description);
        match (expected.located, expected.error_px, expected.error_unit) {
            (Some(point), Some(error_px), Some(error_unit)) => {
                assert!(is_near(&found["located"]["x"], point.x), "{found}");
                assert!(is_near(&found["located"]["y"], point.y), "{found}");
                assert!(is_near(&found["error_px"], error_px), "{found}");
                assert!(is_near(&found["error_unit"], error_unit), "{found}");
            }
            _ => assert_eq!(found["located"], Value::Null),
        }
    }
    assert!(reply["seconds"]["locate"].as_f64().unwrap() > 0.0);
}

#[test]
fn models_health_and_metrics_are_told() {
    let server = TestServer::start();
    let models = server.get("/v1/models").ok();
    let run = &MODELS.run;
    assert_eq!(
        models["models"],
        json!([{"name": "tiny", "fingerprint": run.model, "device": "flex", "default": true}])
    );
    assert_eq!((&models["object"], &models["data"][0]["id"]), (&"list".into(), &"tiny".into()));
    assert_eq!(server.get("/health").ok(), json!({"status": "ok", "model": "tiny", "queue": 0}));
    let metrics = server.get("/metrics");
    assert!(metrics.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    let line = "talking_points_requests_total{route=\"/health\",status=\"200\"} 1";
    assert!(metrics.text.lines().any(|found| found == line), "{}", metrics.text);
}

#[test]
fn page_is_complete_and_loads_nothing_from_elsewhere() {
    let server = TestServer::start();
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
    ] {
        let reply = server.get(path);
        assert_eq!(
            (reply.status, reply.headers["content-type"].to_str().unwrap()),
            (200, content_type)
        );
        let policy = reply.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'self'") && policy.contains("script-src 'self'"));
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
        assert_eq!(reply.headers["referrer-policy"], "no-referrer");
        assert!(!reply.headers.contains_key("access-control-allow-origin"));
        for elsewhere in ["src=\"http", "href=\"//", "url(http", "@import", "import(\"http"] {
            assert!(!reply.text.contains(elsewhere), "{path} has {elsewhere}");
        }
    }
    let page = server.get("/").text;
    for local in
        page.split(['"', '\'']).filter(|text| text.ends_with(".js") || text.ends_with(".css"))
    {
        let path = format!("/{}", local.trim_start_matches('/'));
        assert_eq!(server.get(&path).status, 200, "{path}");
    }
}
