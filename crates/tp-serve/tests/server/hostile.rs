//! Clients that mean no good: the server answers with a problem or closes, and serves the next one.

use std::{io::Write, time::Duration};

use tp_serve::ServeConfig;

use super::harness::{TestServer, form, json_head, photograph, points, read_all};

/// Whether the server still answers as it should.
fn assert_serves(server: &TestServer) {
    let asked = points(&[(100.0, 100.0)]).to_string();
    let reply = server.post_form("/v1/describe", &photograph("cat.jpg"), &[("points", &asked)]);
    assert!(!reply.ok()["points"][0]["description"].as_str().unwrap().is_empty());
}

/// A PNG that claims 60,000 by 60,000 pixels in 80 bytes.
fn bomb() -> Vec<u8> {
    let side = 60_000_u32.to_be_bytes();
    let size = [&side[..], &side, &[8, 2, 0, 0, 0]].concat();
    let pixels = [0x78, 0x9c, 0x63, 0, 0, 0, 1, 0, 1]; // a row's first byte
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let content = [&kind[..], data].concat();
        let length = (data.len() as u32).to_be_bytes();
        [&length[..], &content, &crc32(&content).to_be_bytes()].concat()
    };
    let signature = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];
    let chunks = [chunk(b"IHDR", &size), chunk(b"IDAT", &pixels), chunk(b"IEND", &[])];
    [&signature[..], &chunks.concat()].concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

#[test]
fn files_that_are_no_images_and_bombs_are_refused() {
    let server = TestServer::start();
    let whole = photograph("cat.jpg");
    let asked = points(&[(1.0, 1.0)]).to_string();
    for (image, status, kind) in [
        (bomb(), 413, "too-large"),
        (whole[..whole.len() / 2].to_vec(), 422, "not-an-image"),
        (b"hello, world".to_vec(), 422, "not-an-image"),
        (Vec::new(), 422, "not-an-image"),
        (b"GIF89a\x01\0\x01\0\0\0\0;".to_vec(), 422, "not-an-image"),
        (
            (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect(),
            422,
            "not-an-image",
        ),
    ] {
        let reply = server.post_form("/v1/describe", &image, &[("points", &asked)]);
        let (found, found_kind, detail) = reply.problem();
        assert_eq!((found, found_kind.as_str()), (status, kind), "{detail}");
    }
    assert_serves(&server);
}

#[test]
fn too_large_bodies_are_refused_whether_they_say_so_or_not() {
    let server =
        TestServer::with(ServeConfig { max_body_bytes: 100_000, ..ServeConfig::default() });
    // It says so.
    let reply = server.post("/v1/describe", "application/json", &vec![b' '; 100_001]);
    assert_eq!((reply.problem().0, reply.problem().1.as_str()), (413, "too-large"));
    let text = server.raw(json_head("/v1/describe", 1 << 40).as_bytes());
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
    // It does not, and never ends.
    let mut stream = server.connect();
    let head = "POST /v1/describe HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = [b"2000\r\n".as_slice(), &[b' '; 0x2000], b"\r\n"].concat();
    let writer = stream.try_clone().unwrap();
    let endless = std::thread::spawn(move || {
        let mut writer = writer;
        while writer.write_all(&chunk).is_ok() {}
    });
    let text = read_all(stream);
    endless.join().unwrap();
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 413"), "{text}");
    assert_serves(&server);
}

#[test]
fn bodies_that_are_cut_off_or_never_come_end_with_their_time() {
    let server = TestServer::with(ServeConfig {
        request_time: Duration::from_millis(500),
        ..ServeConfig::default()
    });
    // The client closes its side: there is nobody to answer.
    let mut stream = server.connect();
    stream.write_all(json_head("/v1/describe", 1_000).as_bytes()).unwrap();
    stream.write_all(b"{\"image\": ").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let text = read_all(stream);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 400"), "{text}");
    // The client waits.
    let text = server.raw(json_head("/v1/describe", 1_000).as_bytes());
    assert!(
        text.starts_with("HTTP/1.1 408") && text.contains("urn:talking-points:timeout"),
        "{text}"
    );
}

#[test]
fn heads_that_are_slow_large_or_broken_cost_their_connection() {
    let server = TestServer::with(ServeConfig {
        head_time: Duration::from_millis(100),
        max_head_bytes: 8_192,
        ..ServeConfig::default()
    });
    // Slow: the connection ends without an answer, or with one that says why.
    for head in ["", "G", "GET / HTTP/1.1\r\nHost: te"] {
        let text = server.raw(head.as_bytes());
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    }
    let large = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let text = server.raw(large.as_bytes());
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431"), "{text}");
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1_000));
    let text = server.raw(many.as_bytes());
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431"), "{text}");
    for broken in [
        "\0\0\0\0",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\u{16}\u{3}\u{1}",
        "GET / HTTP/1.1\r\nA\r\n\r\n",
    ] {
        let text = server.raw(broken.as_bytes());
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.1 5"),
            "{broken:?}: {text}"
        );
    }
    assert_serves(&server);
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let server = TestServer::start();
    let reply = server.post("/v1/locate", "application/json", b"{\"texts\": [\"\xff\xfe\"]}");
    assert_eq!(reply.problem().1, "bad-request");
    let (content_type, body) = form(&photograph("cat.jpg"), &[("texts", "[\"##\"]")]);
    let at = body.windows(2).position(|two| two == b"##").unwrap();
    let broken = [&body[..at], b"\xff\xfe", &body[at + 2..]].concat();
    let (_, kind, detail) = server.post("/v1/locate", &content_type, &broken).problem();
    assert_eq!((kind.as_str(), detail.as_str()), ("bad-request", "`texts` is not UTF-8"));
    // Nesting without end.
    let many = format!("{{\"points\": [{}]}}", vec!["0"; 1_000_000].join(","));
    let reply = server.post("/v1/describe", "application/json", many.as_bytes());
    assert_eq!(reply.problem().1, "too-large");
    let deep = "[".repeat(100_000);
    let reply = server.post("/v1/describe", "application/json", deep.as_bytes());
    assert_eq!(reply.problem().1, "bad-request");
    assert_serves(&server);
}

#[test]
fn forms_that_are_broken_or_repeat_themselves_are_refused() {
    let server = TestServer::start();
    let image = photograph("cat.jpg");
    let asked = points(&[(1.0, 1.0)]).to_string();
    let (content_type, body) = form(&image, &[("points", &asked)]);
    let cut = server.post("/v1/describe", &content_type, &body[..body.len() - 20]);
    assert_eq!(cut.problem().1, "bad-request");
    let other = content_type.replace("a-boundary", "another");
    assert_eq!(server.post("/v1/describe", &other, &body).problem().1, "bad-request");
    let twice = [("points", asked.as_str()), ("points", asked.as_str())];
    assert!(server.post_form("/v1/describe", &image, &twice).problem().2.contains("twice"));
    let names: Vec<String> = (0..100).map(|n| format!("f{n}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    assert_eq!(server.post_form("/v1/describe", &image, &many).problem().1, "bad-request");
}

#[test]
fn ten_thousand_points_are_too_many() {
    let server = TestServer::start();
    let asked = points(&vec![(1.0, 1.0); 10_000]).to_string();
    let reply = server.post_form("/v1/describe", &photograph("cat.jpg"), &[("points", &asked)]);
    assert_eq!((reply.problem().0, reply.problem().1.as_str()), (422, "too-many-points"));
}

#[test]
fn paths_lead_to_no_files() {
    let server = TestServer::start();
    for path in [
        "/../Cargo.toml",
        "/examples/../../Cargo.toml",
        "/examples/%2e%2e/%2e%2e/Cargo.toml",
        "/examples/..%2f..%2fCargo.toml",
        "/examples/cat.jpg%00.png",
        "//etc/passwd",
        "/examples/",
        "/examples/cat.jpg/",
    ] {
        let text = server.raw(
            format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        assert!(text.starts_with("HTTP/1.1 404"), "{path}: {text}");
        assert!(!text.contains("[package]") && !text.contains("root:"), "{path}: {text}");
    }
}

#[test]
fn memory_of_all_requests_is_bounded() {
    // Room for the file, and not for its pixels.
    let image = photograph("cat.jpg");
    let server = TestServer::with(ServeConfig {
        max_request_memory: image.len() + 10_000,
        ..ServeConfig::default()
    });
    let asked = points(&[(1.0, 1.0)]).to_string();
    for _ in 0..3 {
        let reply = server.post_form("/v1/describe", &image, &[("points", &asked)]);
        assert_eq!((reply.problem().0, reply.problem().1.as_str()), (429, "busy"));
        assert_eq!(reply.headers["retry-after"], "1");
    }
}
