//! The built `bench-peer` as the benchmarks use it: one process serves, another offers a load.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const PEER: &str = env!("CARGO_BIN_EXE_bench-peer");

struct Bare {
    process: Child,
    url: String,
}

impl Bare {
    fn start() -> Self {
        let mut process = Command::new(PEER)
            .arg("bare-ok")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the bare server starts");
        let mut line = String::new();
        let output = process.stdout.take().expect("its output");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("a first line");
        let said: Value = serde_json::from_str(&line).expect("one JSON object");
        Self {
            process,
            url: said["url"].as_str().expect("a url").to_owned(),
        }
    }

    /// Ends its input, which ends the server.
    fn stop(mut self) {
        drop(self.process.stdin.take());
        assert!(self.process.wait().expect("the server ends").success());
    }
}

fn load(url: &str, more: &[&str]) -> Value {
    let output = Command::new(PEER)
        .args([
            "load",
            "--url",
            url,
            "--rate",
            "400",
            "--seconds",
            "1",
            "--connections",
            "8",
        ])
        .args(more)
        .output()
        .expect("the load runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

#[test]
fn every_request_of_an_offered_load_is_answered_and_counted() {
    let bare = Bare::start();
    let report = load(&bare.url, &["--header", "x-any: thing"]);
    bare.stop();
    assert_eq!(report["answered"], 400);
    assert_eq!(report["unsent"], 0);
    assert_eq!(report["wrong"], serde_json::json!({}));
}

#[test]
fn an_answer_of_another_status_is_not_counted_as_answered() {
    let bare = Bare::start();
    let report = load(&bare.url, &["--expect", "304"]);
    bare.stop();
    assert_eq!(report["answered"], 0);
    assert_eq!(report["wrong"], serde_json::json!({ "status 200": 400 }));
}

#[test]
fn a_load_is_never_offered_to_another_machine() {
    let output = Command::new(PEER)
        .args([
            "load",
            "--url",
            "http://192.0.2.1:80/",
            "--rate",
            "1",
            "--seconds",
            "1",
        ])
        .output()
        .expect("the load refuses");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("not on loopback"));
}
