//! What every call of one coordinator shares. One per coordinator, none per process.

use crate::{
    admission::{Attempts, Guesses, Places},
    archive::{Checkpoints, Replicas},
    asks::Waiting,
    events::Events,
    figures::Figures,
    fleet::{Facts, Keeping, Rejoining, Watchdog},
    hooks::{Registrations, Replays, Targets, Wakes},
    progress::Progress,
    reading::Reading,
    reports::Reports,
    view::{Tail, View},
};
use lockstep_connector::Registry;
use lockstep_storage::Storage;
use std::{
    ops::Deref,
    sync::{Arc, Mutex},
};
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub struct AppState(Arc<App>);

pub struct App {
    pub storage: Storage,
    pub registry: Registry,
    pub view: View,
    pub tail: Tail,
    pub events: Events,
    pub progress: Progress,
    pub reports: Reports,
    pub figures: Figures,
    /// Who may have which customer, and who is not served.
    pub facts: Facts,
    pub keeping: Keeping,
    pub rejoining: Rejoining,
    pub watchdog: Mutex<Watchdog>,
    /// When this coordinator began to hear, milliseconds since the epoch.
    pub started_ms: u64,
    pub asks: Waiting,
    pub wakes: Wakes,
    pub targets: Targets,
    pub registrations: Registrations,
    pub replays: Replays,
    pub replicas: Replicas,
    pub checkpoints: Checkpoints,
    pub attempts: Attempts,
    pub guesses: Guesses,
    pub reading: Reading,
    pub parked: Places,
    /// Calls with a token that the view does not know.
    pub strangers: Places,
    /// Without a trailing slash.
    pub public_url: String,
    /// People reach it over TLS: cookies say so.
    pub secure: bool,
    /// Of a certificate that nobody vouches for: part of the join line.
    pub fingerprint: Option<String>,
    pub stop: CancellationToken,
}

impl AppState {
    pub fn new(app: App) -> Self {
        AppState(Arc::new(app))
    }
}

impl Deref for AppState {
    type Target = App;

    fn deref(&self) -> &App {
        &self.0
    }
}
