//! What a worker is told at its start. Everything else it learns from the coordinator.

use crate::bounds;
use crate::shop_http::{Reach, Timeouts};
use crate::trust::Trust;
use lockstep_connector::Registry;
use lockstep_protocol::auth::Bearer;
use reqwest::Url;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone)]
pub struct WorkerConfig {
    /// Any that answers will do: they share a database.
    pub coordinators: Vec<Url>,
    /// Its own; one worker at a time.
    pub data: PathBuf,
    /// What people call it. Empty: the machine's name.
    pub name: String,
    /// Confirms the enrolment in a person's place.
    pub join_token: Option<Bearer>,
    /// The platforms that it can speak.
    pub registry: Registry,
    /// Who may vouch for the coordinator.
    pub trust: Trust,
    pub timeouts: Timeouts,
    /// The addresses beyond the public internet that shops may have.
    pub reach: Reach,
    /// How often a shop is asked whether it still has our webhooks.
    pub hooks_looked_at: Duration,
}

impl WorkerConfig {
    pub fn new(coordinator: Url, data: impl Into<PathBuf>, registry: Registry) -> Self {
        WorkerConfig {
            coordinators: vec![coordinator],
            data: data.into(),
            name: String::new(),
            join_token: None,
            registry,
            trust: Trust::Web,
            timeouts: Timeouts::default(),
            reach: Reach::default(),
            hooks_looked_at: bounds::HOOKS_LOOKED_AT,
        }
    }

    pub(crate) fn display_name(&self) -> String {
        let name = if self.name.trim().is_empty() {
            host_name()
        } else {
            self.name.trim().to_owned()
        };
        cut(&name)
    }
}

impl std::fmt::Debug for WorkerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerConfig")
            .field("coordinators", &self.coordinators.len())
            .field("data", &self.data)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

pub(crate) fn host_name() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    if name.is_empty() {
        "worker".into()
    } else {
        name
    }
}

/// A label as long as the protocol lets it be.
pub(crate) fn cut(label: &str) -> String {
    label
        .chars()
        .filter(|c| !c.is_control())
        .take(lockstep_protocol::bounds::LABEL_CHARS_MAX)
        .collect()
}
