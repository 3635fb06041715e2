//! Many clients at once, some of them hostile: failures, times and memory of the server, and the
//! library called in a loop for comparison.
//!
//! ```sh
//! cargo run -p tp-serve --example serve_load -- 10000 32     # requests, clients
//! ```

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{
    error::Error,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use talking_points::{
    DeviceName, ModelDir, Models,
    core::{DescribeOptions, PixelXy, Seed},
    data::{DecodeOptions, decode_bytes},
};
use tp_serve::{ServeConfig, ServedModel, Server, listen};

const PHOTOGRAPHS: [&str; 3] = ["cat.jpg", "coffee.jpg", "horse.jpg"];
/// One request in so many is hostile.
const HOSTILE: usize = 20;
/// Descriptions of the library for comparison.
const IN_A_LOOP: usize = 200;
/// The server's memory is taken after so many requests, and at the end.
const WARM: usize = 500;

type AnyError = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), AnyError> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let n_requests = numbers.next().transpose()?.unwrap_or(10_000);
    let n_clients = numbers.next().transpose()?.unwrap_or(32);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let models = ModelDir::open(root.join("../../models/tiny"))?.load(&DeviceName::Flex.open()?)?;
    let photographs = PHOTOGRAPHS
        .iter()
        .map(|name| std::fs::read(root.join("page/examples").join(name)))
        .collect::<Result<Vec<_>, _>>()?;
    println!("library in a loop: {:.1} ms a description", library_ms(&models, &photographs)?);

    let model = ServedModel { name: "tiny".to_owned(), models };
    let server = Server::new(listen("127.0.0.1:0")?, vec![model], ServeConfig::default())?;
    let (address, handle) = (server.address(), server.handle());
    let running = std::thread::spawn(move || server.run());

    let (next, times, faults) = (AtomicUsize::new(0), Mutex::default(), Mutex::default());
    let warm = Mutex::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..n_clients {
            scope.spawn(|| {
                let agent = agent();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= n_requests {
                        break;
                    }
                    if n == WARM {
                        *locked(&warm) = resident_kib();
                    }
                    let before = Instant::now();
                    let fault = if is_hostile(n) {
                        hostile(&agent, address, &photographs[0], n)
                    } else {
                        let fault = ask(&agent, address, &photographs, n);
                        locked::<Vec<Duration>>(&times).push(before.elapsed());
                        fault
                    };
                    locked::<Vec<String>>(&faults)
                        .extend(fault.err().map(|error| error.to_string()));
                }
            });
        }
    });
    let seconds = begun.elapsed().as_secs_f64();
    let mut times = times.into_inner().unwrap_or_default();
    times.sort();
    let at = |share: f64| {
        times.get((share * (times.len() as f64 - 1.0)) as usize).map_or(0.0, Duration::as_secs_f64)
    };
    let faults = faults.into_inner().unwrap_or_default();
    println!(
        "{n_requests} requests from {n_clients} clients in {seconds:.1} s: {:.1} answers a second, p50 {:.0} ms, p99 {:.0} ms, {} failures",
        times.len() as f64 / seconds,
        1e3 * at(0.5),
        1e3 * at(0.99),
        faults.len()
    );
    println!(
        "resident memory of server and clients: {} MiB after {WARM} requests, {} MiB at the end",
        *locked(&warm) / 1024,
        resident_kib() / 1024
    );
    println!(
        "{}",
        agent().get(format!("http://{address}/metrics")).call()?.into_body().read_to_string()?
    );
    handle.stop();
    running.join().map_err(|_| "the server panicked")??;
    match faults.first() {
        None => Ok(()),
        Some(first) => {
            Err(format!("{} requests failed; one of them: {first}", faults.len()).into())
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().new_agent()
}

/// The mean time of a description by the library, of images that are encoded.
fn library_ms(models: &Models, photographs: &[Vec<u8>]) -> Result<f64, AnyError> {
    let images = photographs
        .iter()
        .map(|file| {
            let image = decode_bytes("photograph", file, &DecodeOptions::default())?;
            Ok((image.size(), models.encode(&image)?))
        })
        .collect::<Result<Vec<_>, AnyError>>()?;
    let begun = Instant::now();
    for n in 0..IN_A_LOOP {
        let (size, encoded) = &images[n % images.len()];
        let (x, y) = place(n);
        let point = size.unit_from_pixel(PixelXy { x, y })?;
        models.describe(encoded, &[point], &DescribeOptions::default())?;
    }
    Ok(1e3 * begun.elapsed().as_secs_f64() / IN_A_LOOP as f64)
}

/// A place in every photograph.
fn place(n: usize) -> (f64, f64) {
    let draw = Seed(n as u64).nth(1).0;
    ((draw % 400) as f64, (draw / 400 % 280) as f64)
}

/// Sends the request with this number; an error if the reply is not what it should be.
fn ask(
    agent: &ureq::Agent,
    address: SocketAddr,
    photographs: &[Vec<u8>],
    n: usize,
) -> Result<(), AnyError> {
    let photograph = &photographs[n % photographs.len()];
    let (x, y) = place(n);
    let points = json!([{"x": x, "y": y}]);
    let (path, field, value) = match n % 10 {
        0 => ("/v1/round-trip", "points", points),
        1..=3 => ("/v1/locate", "texts", json!(["the ear of the animal on the left"])),
        _ => ("/v1/describe", "points", points),
    };
    let stream = path == "/v1/describe" && n % 10 == 9;
    let body = form(photograph, field, &value.to_string(), stream);
    let url = format!("http://{address}{path}");
    let reply = agent
        .post(url)
        .header("content-type", "multipart/form-data; boundary=b-o-u-n-d")
        .send(&body[..])?;
    let status = reply.status().as_u16();
    let text = reply.into_body().read_to_string()?;
    let is_right = match stream {
        true => text.contains("event: done"),
        false => serde_json::from_str::<Value>(&text).is_ok_and(|json| json["model"] == "tiny"),
    };
    if status == 200 && is_right { Ok(()) } else { Err(format!("{path}: {status} {text}").into()) }
}

fn form(image: &[u8], field: &str, value: &str, stream: bool) -> Vec<u8> {
    let part = |name: &str, value: &str| {
        format!("--b-o-u-n-d\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let head = [
        part(field, value),
        if stream { part("stream", "true") } else { String::new() },
        "--b-o-u-n-d\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\n"
            .to_owned(),
    ];
    [head.concat().as_bytes(), image, b"\r\n--b-o-u-n-d--\r\n"].concat()
}

/// Whether the request with this number is hostile.
fn is_hostile(n: usize) -> bool {
    n % HOSTILE == HOSTILE - 1
}

/// Sends what must be refused, or gives a connection up; an error if the server does anything else.
fn hostile(
    agent: &ureq::Agent,
    address: SocketAddr,
    photograph: &[u8],
    n: usize,
) -> Result<(), AnyError> {
    let refuse =
        |image: &[u8], points: &str| refused(agent, address, &form(image, "points", points, false));
    let a_point = "[{\"x\":1,\"y\":1}]";
    match n / HOSTILE % 11 {
        0 => refuse(&photograph[..photograph.len() / 3], a_point),
        1 => refuse(b"%PDF-1.7 is not a photograph", a_point),
        2 => refuse(&bomb(), a_point),
        3 => refuse(photograph, "[{\"x\":1e9,\"y\":1}]"),
        4 => refuse(photograph, "[{\"x\":NaN,\"y\":1}]"),
        5 => refuse(photograph, &format!("[{}]", vec!["{\"x\":1,\"y\":1}"; 10_000].join(","))),
        6 => raw(address, b"GET /../../../etc/passwd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        7 => raw(address, &[0x16, 3, 1, 0, 200, 1, 0, 0, b'\r', b'\n', b'\r', b'\n']),
        8 => endless_head(address),
        9 => slow_head(address),
        // A client that goes away in the middle of its request.
        _ => Ok(TcpStream::connect(address)?.write_all(b"POST /v1/describe HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{\"image\"")?),
    }
}

/// A form that must be answered by a problem of the request.
fn refused(agent: &ureq::Agent, address: SocketAddr, body: &[u8]) -> Result<(), AnyError> {
    let reply = agent
        .post(format!("http://{address}/v1/describe"))
        .header("content-type", "multipart/form-data; boundary=b-o-u-n-d")
        .send(body)?;
    let status = reply.status().as_u16();
    reply.into_body().read_to_string()?;
    match status {
        400..500 if status != 429 => Ok(()),
        _ => Err(format!("a hostile request got {status}").into()),
    }
}

/// A PNG file of a few bytes that says it has 3.6 billion pixels.
fn bomb() -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xea\x60\0\0\xea\x60\x08\x02\0\0\0".to_vec();
    file.extend([0x0f, 0xb0, 0xe2, 0x15]);
    file
}

/// Bytes that must be answered by an error, or by closing the connection.
fn raw(address: SocketAddr, bytes: &[u8]) -> Result<(), AnyError> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    // The connection may be reset, since bytes remain that nobody reads.
    let _ = stream.read_to_end(&mut answer);
    if answer.is_empty() || answer.starts_with(b"HTTP/1.1 4") {
        Ok(())
    } else {
        Err(format!("hostile bytes got {}", String::from_utf8_lossy(&answer)).into())
    }
}

/// A header of a gigabyte, which must not be read to its end.
fn endless_head(address: SocketAddr) -> Result<(), AnyError> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET / HTTP/1.1\r\nX: ")?;
    for _ in 0..1 << 14 {
        if stream.write_all(&[b'a'; 1 << 16]).is_err() {
            return Ok(());
        }
    }
    Err("a header of a gigabyte was read".into())
}

/// A head of which a byte comes every second (slow loris): it must be cut off.
fn slow_head(address: SocketAddr) -> Result<(), AnyError> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET / HTTP/1.1\r\nX: ")?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    for _ in 0..30 {
        let is_closed = match stream.read(&mut [0; 512]) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        if is_closed || stream.write_all(b"a").is_err() {
            return Ok(());
        }
    }
    Err("a head that takes 30 seconds was not cut off".into())
}

/// The resident memory of this process in KiB; 0 where the system does not tell.
fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
