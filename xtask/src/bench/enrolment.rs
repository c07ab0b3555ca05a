//! A worker's token for the polls: `bench-peer` enrols with the coordinator by the protocol.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::Bench;
use super::peer::Server;

/// What `bench-peer enrol` prints.
#[derive(Deserialize)]
pub struct Enrolled {
    path: String,
    token: String,
    instance: String,
    etag: String,
}

impl Enrolled {
    /// The address of the polls at a server of either side.
    pub fn url_at(&self, server: &Server<'_>) -> Result<String> {
        Ok(format!(
            "{}{}",
            server.url()?.trim_end_matches('/'),
            self.path
        ))
    }

    /// What an unchanged poll that does not wait carries.
    pub fn headers(&self) -> Vec<(String, String)> {
        [
            ("Authorization", format!("Bearer {}", self.token)),
            ("If-None-Match", self.etag.clone()),
            ("Worker-Instance", self.instance.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

/// Enrols; the operator who confirms is the one whose login the coordinator's first line names.
pub fn enrol(bench: &Bench, coordinator: &Server<'_>) -> Result<Enrolled> {
    let mut child = Command::new(&bench.peer)
        .args(["enrol", "--url", coordinator.url()?])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .context("the enrolment could not be started")?;
    let id = child.id();
    bench.guard.add_group(id);
    if let Some(mut input) = child.stdin.take() {
        input
            .write_all(coordinator.said.to_string().as_bytes())
            .context("the enrolment does not listen")?;
    }
    // Bounded by the enrolment itself, which waits a bounded time for each answer.
    let output = child
        .wait_with_output()
        .context("the enrolment cannot be waited for")?;
    bench.guard.forget_group(id);
    if !output.status.success() {
        bail!("the coordinator enrolled no worker ({})", output.status);
    }
    serde_json::from_slice(&output.stdout).context("what the enrolment printed cannot be read")
}
