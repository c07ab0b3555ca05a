//! The coordinator: what people work with and workers ask. Routes, sessions, what polls are answered from,
//! the archive of journals and the pages' replicas of them. Stateless but for caches: the truth is in the
//! database (`lockstep-storage`) and in the journals.
//!
//! ```text
//!  people ──► api ─┐                       ┌── worker_api ◄── workers
//!  console ─► ui ──┴──► storage ◄── tail ──┴──► view (memory) ──► parked polls
//!  shops ───► hooks ──► wakes ──► storage        archive ──► replicas ──► pages
//! ```
//!
//! Not here: what a run does (that is the worker's), and SQL (that is the storage's and the journal's).
//! No process-wide state: two coordinators in one process do not know of each other.

mod access_log;
mod admission;
mod alarms;
mod api;
mod app;
mod archive;
mod asks;
mod bounds;
mod config;
mod connections;
mod erasures;
mod events;
mod extract;
mod fields;
mod figures;
mod fleet;
mod forwarded;
mod hooks;
mod housekeeping;
mod owners;
mod progress;
mod reading;
mod refusal;
mod reports;
mod router;
mod running;
mod tls;
mod ui;
mod view;
mod worker_api;

pub use bounds::HEAD_TIME_MAX;
pub use config::CoordinatorConfig;
pub use running::{Login, RunningCoordinator, start};
pub use tls::Tls;

use app::AppState;
