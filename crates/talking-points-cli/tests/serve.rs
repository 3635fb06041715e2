//! The subcommand `serve`, as a process.
#![cfg(feature = "serve")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

fn program(arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_talking-points"));
    program.arg("serve").args(arguments);
    program
}

/// A server and its address; it is killed if a test fails.
struct Serving(Child, String);

impl Serving {
    fn start(arguments: &[&str]) -> Self {
        let mut child = program(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
        Self(child, address)
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.1).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

/// The line that a refused command says.
fn refused(arguments: &[&str]) -> String {
    let output = program(arguments).output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    lines[0].to_owned()
}

#[test]
fn address_that_is_taken_and_models_that_are_not_there_are_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let line = refused(&["--port", &port]);
    assert!(line.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{line}");
    assert!(
        refused(&["--port", "0", "--host", "no.such.host.invalid"]).contains("cannot listen on")
    );
    assert!(refused(&["--port", "0", "--model", "no/such/model"]).contains("no/such/model"));
    let tiny = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny");
    let twice = ["--port", "0", "--model", tiny, "--model", tiny];
    assert!(refused(&twice).contains("two models are called `tiny`"));
    assert!(refused(&["--model", "=x"]).contains("NAME=DIR"));
}

#[cfg(unix)]
#[test]
fn server_says_its_address_and_ends_in_order_when_it_is_told_to() {
    for signal in ["TERM", "INT"] {
        let mut server = Serving::start(&["--port", "0"]);
        let health = server.get("/health");
        assert!(health.starts_with("HTTP/1.1 200") && health.contains("\"tiny\""), "{health}");
        assert!(server.get("/").contains("<html"));
        let kill = Command::new("kill").args(["-s", signal, &server.0.id().to_string()]).status();
        assert!(kill.unwrap().success());
        assert!(server.0.wait().unwrap().success(), "{signal}");
    }
}
