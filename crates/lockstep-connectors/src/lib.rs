//! The connectors: one folder for each platform, all of one shape.
//!
//! `mod.rs` (what is called, and in which order) · `api.rs` (builds requests, pure) · `wire.rs` (their JSON) ·
//! `map.rs` (wire ⇄ record, pure) · `tests.rs` · `fixtures/`. What they share is how one request and its answer are
//! read (`exchange`), what must not be said (`redaction`) and how large a call may be (`portions`).
//!
//! A connector translates. It does not sleep, repeat or decide; that is the engine's, by one table.

mod exchange;
mod medusa;
mod portions;
mod practice;
mod redaction;

use lockstep_connector::Registry;
use std::sync::Arc;

pub use medusa::Medusa;
pub use practice::Practice;

/// Every platform that this build knows.
pub fn registry() -> Registry {
    Registry::new(vec![Arc::new(Practice), Arc::new(Medusa)])
}
