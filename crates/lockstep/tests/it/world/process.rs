//! A process of the built binary: its lines, its log, its death. It dies with the test, also when that panics.

use super::wait::eventually;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Lines of a dead test's processes that are shown.
const LOG_LINES_SHOWN: usize = 60;

/// What was built: by cargo for this test, or as the environment says.
pub fn binary() -> PathBuf {
    std::env::var_os("LOCKSTEP_TEST_BINARY")
        .filter(|path| !path.is_empty())
        .map_or_else(|| env!("CARGO_BIN_EXE_lockstep").into(), PathBuf::from)
}

/// The command with an environment of its own: nothing that a developer has set gets in.
pub fn command() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LOCKSTEP_") {
            command.env_remove(name);
        }
    }
    let log = std::env::var("LOCKSTEP_TEST_LOG").unwrap_or_else(|_| "info".into());
    command.env("LOCKSTEP_LOG", log).stdin(Stdio::null());
    command
}

pub struct Process {
    pub name: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Its standard error goes to `<folder>/<name>.log`, added to what is there.
    pub fn start(name: &str, folder: &Path, mut command: Command) -> Process {
        std::fs::create_dir_all(folder).expect("a folder for the log");
        let log = folder.join(format!("{name}.log"));
        let written = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .expect("the process's log");
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(written)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let out = child.stdout.take().expect("its standard output");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let into = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                into.lock().expect("lines").push(line);
            }
        });
        Process {
            name: name.to_owned(),
            child,
            lines,
            log,
            ended: None,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("lines").clone()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The first line that is JSON and that `wanted` accepts.
    pub async fn json_line(
        &mut self,
        what: &str,
        within: Duration,
        wanted: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let name = self.name.clone();
        let what = format!("{name} says {what}");
        let (line, _) = eventually(&what, within, async || {
            for line in self.lines() {
                if let Ok(value) = serde_json::from_str::<serde_json::Value>(&line)
                    && wanted(&value)
                {
                    return Ok(value);
                }
            }
            if let Some(status) = self.ended() {
                panic!(
                    "{name} ended with {status} before it said {what}\n{}",
                    self.log()
                );
            }
            Err(format!("{:?}", self.lines()))
        })
        .await;
        line
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("the state of a process");
        }
        self.ended
    }

    pub async fn until_it_ends(&mut self, within: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        let (status, _) = eventually(&what, within, async || {
            self.ended().ok_or_else(|| "it runs".to_owned())
        })
        .await;
        status
    }

    /// `kill -9`, and gone when this returns.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            self.child.kill().expect("a process can be killed");
            self.ended = Some(self.child.wait().expect("a killed process ends"));
        }
    }

    /// It died by its own hand, as `abort` does.
    pub fn aborted(status: ExitStatus) -> bool {
        status.signal() == Some(6)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(LOG_LINES_SHOWN);
            eprintln!("--- {} ---\n{}", self.name, lines[from..].join("\n"));
        }
    }
}
