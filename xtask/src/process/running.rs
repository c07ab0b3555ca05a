//! A process that runs in the background with its output in a file.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::{Guard, Interrupt, LOOK_EVERY, STOP_WAIT_MAX, signal_group};

/// How much of a log is repeated in an error; the file has the rest.
const LOG_TAIL_LINES: usize = 15;

pub struct Running {
    name: String,
    child: Child,
    log: PathBuf,
    guard: Arc<Guard>,
    stop_signal: Signal,
    ended: Option<ExitStatus>,
}

impl Running {
    /// Starts `command` in a process group of its own, with nothing to read and both outputs in `log`.
    pub fn start(
        name: &str,
        command: &mut Command,
        log: &Path,
        guard: &Arc<Guard>,
    ) -> Result<Self> {
        let out = create(log)?;
        let err = out.try_clone().context("a log file cannot be shared")?;
        Self::spawn(name, command.stdout(out).stderr(err), log, guard)
    }

    fn spawn(name: &str, command: &mut Command, log: &Path, guard: &Arc<Guard>) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| {
                format!(
                    "{name} could not be started ({})",
                    command.get_program().display()
                )
            })?;
        guard.add_group(child.id());
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
            guard: guard.clone(),
            stop_signal: Signal::TERM,
            ended: None,
        })
    }

    /// The signal that asks this program to end, where it is not SIGTERM.
    pub fn stopped_by(mut self, signal: Signal) -> Self {
        self.stop_signal = signal;
        self
    }

    pub fn has_ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self
                .child
                .try_wait()
                .with_context(|| format!("{} cannot be watched", self.name))?;
        }
        Ok(self.ended)
    }

    /// Waits until `is_ready` says so; fails when the process ends before, or when `wait_max` is over.
    pub fn wait_until(
        &mut self,
        wait_max: Duration,
        interrupt: &Interrupt,
        mut is_ready: impl FnMut() -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + wait_max;
        loop {
            interrupt.check()?;
            if let Some(status) = self.has_ended()? {
                bail!(
                    "{} ended before it was ready ({status})\n{}",
                    self.name,
                    self.log_tail()
                );
            }
            if is_ready() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!(
                    "{} was not ready within {} s\n{}",
                    self.name,
                    wait_max.as_secs(),
                    self.log_tail()
                );
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn wait_to_end(&mut self, wait_max: Duration, interrupt: &Interrupt) -> Result<ExitStatus> {
        let deadline = Instant::now() + wait_max;
        loop {
            interrupt.check()?;
            if let Some(status) = self.has_ended()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!(
                    "{} did not end within {} s\n{}",
                    self.name,
                    wait_max.as_secs(),
                    self.log_tail()
                );
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn into_text(mut self, bounds: Bounds<'_>) -> Result<String> {
        let status = self.wait_to_end(bounds.wait_max, bounds.interrupt)?;
        if !status.success() {
            bail!("{} failed ({status})\n{}", self.name, self.log_tail());
        }
        let bytes = std::fs::read(&self.log)
            .with_context(|| format!("{} cannot be read", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn log_tail(&self) -> String {
        let text = match std::fs::read(&self.log) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => {
                return format!("(its log {} cannot be read: {error})", self.log.display());
            }
        };
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(LOG_TAIL_LINES);
        format!(
            "its log, {}, ends with\n  {}",
            self.log.display(),
            lines[from..].join("\n  ")
        )
    }

    /// Asks the process to end, waits a bounded time, and then ends its whole group.
    pub fn stop(&mut self) {
        if let Ok(None) = self.has_ended() {
            if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
                && let Err(error) = kill_process(pid, self.stop_signal)
            {
                eprintln!("xtask: {} could not be asked to end: {error}", self.name);
            }
            let deadline = Instant::now() + STOP_WAIT_MAX;
            while let Ok(None) = self.has_ended()
                && Instant::now() < deadline
            {
                std::thread::sleep(LOOK_EVERY);
            }
        }
        signal_group(self.child.id(), Signal::KILL);
        if self.ended.is_none() {
            match self.child.wait() {
                Ok(status) => self.ended = Some(status),
                Err(error) => eprintln!("xtask: {} could not be waited for: {error}", self.name),
            }
        }
        self.guard.forget_group(self.child.id());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a command to its end is run with.
#[derive(Clone, Copy)]
pub struct Bounds<'a> {
    pub wait_max: Duration,
    pub interrupt: &'a Interrupt,
    pub guard: &'a Arc<Guard>,
}

/// Runs a command to its end and returns what it wrote to either output; anything but success is an error
/// with the log's end.
pub fn run_to_end(
    name: &str,
    command: &mut Command,
    log: &Path,
    bounds: Bounds<'_>,
) -> Result<String> {
    Running::start(name, command, log, bounds.guard)?.into_text(bounds)
}

/// As [`run_to_end`], but what the command says on standard error goes to the person and is not returned.
pub fn run_for_output(
    name: &str,
    command: &mut Command,
    log: &Path,
    bounds: Bounds<'_>,
) -> Result<String> {
    let command = command.stdout(create(log)?).stderr(Stdio::inherit());
    Running::spawn(name, command, log, bounds.guard)?.into_text(bounds)
}

fn create(log: &Path) -> Result<File> {
    File::create(log).with_context(|| format!("{} cannot be written", log.display()))
}
