//! A worker's token for the polls: `bench-peer` enrols with the coordinator by the protocol.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Bench;
use super::peer::{Server, ask_peer};

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
    let said = ask_peer(bench, "enrol", &coordinator.said)?;
    serde_json::from_value(said).context("what the enrolment printed cannot be read")
}
