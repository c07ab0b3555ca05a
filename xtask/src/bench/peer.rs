//! The two kinds of process that a benchmark puts beside ours: a server that says where it listens, and the load.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::Value;

use super::Bench;

/// A practice shop makes its catalogue before it is open: 100,000 products take a while.
const READY_MAX: Duration = Duration::from_secs(600);
const STOP_MAX: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A server process of either side. Its first line of output is a JSON object that says, among others, its `url`.
pub struct Server<'a> {
    child: Child,
    bench: &'a Bench,
    name: &'static str,
    pub said: Value,
}

impl<'a> Server<'a> {
    /// `name` is also its log's.
    pub fn start(bench: &'a Bench, name: &'static str, command: &mut Command) -> Result<Self> {
        let log = std::fs::File::create(bench.logs.join(format!("{name}.log")))
            .context("no log can be written")?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("{name} could not be started"))?;
        bench.guard.add_group(child.id());
        let output = child.stdout.take();
        let mut server = Self {
            child,
            bench,
            name,
            said: Value::Null,
        };

        let (sender, receiver) = mpsc::channel();
        // Reads on to the end, so that the server never blocks on a full pipe.
        std::thread::spawn(move || {
            for line in output
                .into_iter()
                .flat_map(|output| BufReader::new(output).lines())
            {
                let Ok(line) = line else { break };
                // Only the first line is waited for; the receiver is gone for the others.
                let _ = sender.send(line);
            }
        });
        let line = receiver.recv_timeout(READY_MAX).with_context(|| {
            let log = bench.logs.join(format!("{name}.log"));
            format!(
                "{name} did not say where it listens within {} s (see {})",
                READY_MAX.as_secs(),
                log.display()
            )
        })?;
        server.said =
            serde_json::from_str(&line).with_context(|| format!("{name} said: {line}"))?;
        Ok(server)
    }

    /// Our coordinator on a fresh SQLite database in `folder`.
    pub fn coordinator(bench: &'a Bench, folder: &Path) -> Result<Self> {
        let mut command = bench.lockstep();
        command
            .args(["coordinator", "--listen", "127.0.0.1:0", "--json", "--data"])
            .arg(folder);
        Self::start(bench, "coordinator", &mut command)
    }

    pub fn bare_ok(bench: &'a Bench) -> Result<Self> {
        Self::start(bench, "bare-ok", Command::new(&bench.peer).arg("bare-ok"))
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn url(&self) -> Result<&str> {
        self.said["url"]
            .as_str()
            .with_context(|| format!("{} did not say its url", self.name))
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
            && matches!(self.child.try_wait(), Ok(None))
            && let Err(error) = kill_process(pid, Signal::TERM)
        {
            eprintln!("xtask: {} could not be asked to end: {error}", self.name);
        }
        let deadline = std::time::Instant::now() + STOP_MAX;
        while matches!(self.child.try_wait(), Ok(None)) {
            if std::time::Instant::now() >= deadline {
                eprintln!("xtask: {} did not end in time and is killed", self.name);
                if let Err(error) = self.child.kill() {
                    eprintln!("xtask: {} could not be killed: {error}", self.name);
                }
                break;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        if let Err(error) = self.child.wait() {
            eprintln!("xtask: {} could not be waited for: {error}", self.name);
        }
        self.bench.guard.forget_group(self.child.id());
    }
}

/// One load and how it is answered.
pub struct Load<'a> {
    pub url: &'a str,
    pub headers: &'a [(String, String)],
    pub expect: u16,
    pub rate: u32,
    pub seconds: u32,
    pub connections: u32,
}

/// What `bench-peer load` prints.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    pub answered: u64,
    pub unsent: u64,
    pub wrong: std::collections::BTreeMap<String, u64>,
    pub wall_seconds: f64,
    pub p50_us: u32,
    pub p99_us: u32,
    pub max_us: u32,
}

impl Load<'_> {
    /// Offers the load and fails unless every request was sent and answered as expected.
    pub fn offer(&self, bench: &Bench) -> Result<Report> {
        let (rate, seconds) = (self.rate.to_string(), self.seconds.to_string());
        let (connections, expect) = (self.connections.to_string(), self.expect.to_string());
        let headers: String = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect();
        let output = run_peer(
            bench,
            &[
                "load",
                "--headers-from-input",
                "--url",
                self.url,
                "--rate",
                &rate,
                "--seconds",
                &seconds,
                "--connections",
                &connections,
                "--expect",
                &expect,
            ],
            headers.as_bytes(),
        )?;
        let report: Report =
            serde_json::from_slice(&output).context("the load's report cannot be read")?;
        if report.unsent > 0 || !report.wrong.is_empty() {
            bail!(
                "the load on {} was not answered as it should: {} answered, {} unsent, wrong: {:?}. \
                 Figures of a load that was not carried mean nothing.",
                self.url,
                report.answered,
                report.unsent,
                report.wrong
            );
        }
        Ok(report)
    }
}

/// Has `bench-peer` do one thing with the servers that `input` names, and returns what it printed. Bounded by
/// the peer, which waits a bounded time for each answer.
pub fn ask_peer(bench: &Bench, part: &str, input: &Value) -> Result<Value> {
    let output = run_peer(bench, &[part], input.to_string().as_bytes())?;
    serde_json::from_slice(&output)
        .with_context(|| format!("what bench-peer {part} printed cannot be read"))
}

/// Has `bench-peer` do one thing that needs no server, and returns what it printed.
pub fn run_peer_for<T: for<'de> Deserialize<'de>>(bench: &Bench, arguments: &[&str]) -> Result<T> {
    let output = run_peer(bench, arguments, &[])?;
    serde_json::from_slice(&output)
        .with_context(|| format!("what bench-peer {} printed cannot be read", arguments[0]))
}

/// Tokens go by the input: arguments can be seen by everybody.
fn run_peer(bench: &Bench, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    bench.interrupt.check()?;
    let mut child = Command::new(&bench.peer)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .context("bench-peer could not be started")?;
    let id = child.id();
    bench.guard.add_group(id);
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(input)
            .context("bench-peer does not listen")?;
    }
    let output = child
        .wait_with_output()
        .context("bench-peer cannot be waited for")?;
    bench.guard.forget_group(id);
    if !output.status.success() {
        bail!(
            "`bench-peer {}` failed ({})",
            arguments.join(" "),
            output.status
        );
    }
    Ok(output.stdout)
}
