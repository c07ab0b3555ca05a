//! A command whose output the person watches: cargo and its runners.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::{Guard, Interrupt, LOOK_EVERY, STOP_WAIT_MAX, signal_group};

/// Runs `command` with xtask's own outputs and nothing to read. It gets a process group of its own and
/// is told of an interrupt by xtask, so that a terminal's Ctrl-C reaches it once and in one way.
pub fn run_in_foreground(
    command: &mut Command,
    wait_max: Duration,
    interrupt: &Interrupt,
    guard: &Arc<Guard>,
) -> Result<ExitStatus> {
    interrupt.check()?;
    let shown = shown(command);
    let mut child = command
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .with_context(|| format!("`{shown}` could not be started"))?;
    guard.add_group(child.id());
    let deadline = Instant::now() + wait_max;
    let ended = loop {
        if let Some(status) = child
            .try_wait()
            .with_context(|| format!("`{shown}` cannot be watched"))?
        {
            break Ok(status);
        }
        if interrupt.is_raised() || Instant::now() >= deadline {
            signal_group(child.id(), Signal::TERM);
            let mercy = Instant::now() + STOP_WAIT_MAX;
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < mercy {
                std::thread::sleep(LOOK_EVERY);
            }
            signal_group(child.id(), Signal::KILL);
            child
                .wait()
                .with_context(|| format!("`{shown}` could not be waited for"))?;
            break Err(interrupt.is_raised());
        }
        std::thread::sleep(LOOK_EVERY);
    };
    guard.forget_group(child.id());
    match ended {
        Ok(status) => Ok(status),
        Err(true) => bail!("interrupted during `{shown}`"),
        Err(false) => bail!("`{shown}` did not end within {} s", wait_max.as_secs()),
    }
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
