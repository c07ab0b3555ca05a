//! Logs go to standard error, so that standard output is the command's answer.

use crate::config::Log;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// `LOCKSTEP_LOG` wins over the file's level.
pub fn start(log: &Log, quiet: bool) {
    let level = if quiet { "warn" } else { log.level.as_str() };
    let filter = EnvFilter::try_from_env("LOCKSTEP_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match log.format.as_str() {
        "json" => builder.json().try_init(),
        _ => builder.try_init(),
    };
    if let Err(error) = started {
        eprintln!("logging could not be started: {error}");
    }
}
