//! The worker: asks its coordinator what to do, does it against the shops, and hands back a journal of all that
//! it saw and did. It needs no database server and no open port.
//!
//! ```text
//!  session ── enrol · poll /settings · asks · wakes ──► fleet ──► one task for each customer
//!  lease   ── renews the right to movable customers              │  engine (pure) ⇄ driver
//!  report  ── what was applied, how runs go                      │  journal on its own thread, shipped in segments
//!                                                                └─ connectors ── the one HTTP port ── shops
//! ```
//!
//! Invariants: no call that changes a shop leaves before its journal entries are on the disk and, for a movable
//! customer, with the coordinator; no write starts after the lease; an answer that refuses us stops writes at once,
//! no answer does not stop a pinned customer; secrets are never logged; every queue is bounded. There are no statics:
//! a coordinator and any number of workers may share a process.

mod asks;
mod backoff;
mod bounds;
mod clock;
mod config;
mod coordinator;
mod crash;
mod customer;
mod enrol;
mod fleet;
mod folder;
mod identity;
mod lease;
mod link;
mod look;
mod members;
mod once;
mod report;
mod running;
mod session;
mod settings_file;
mod shop_http;
mod shops;
mod state;
mod trust;

pub use config::WorkerConfig;
pub use crash::{CrashPoint, VARIABLE as CRASH_VARIABLE};
pub use look::{LookError, Shown, look};
pub use once::{CustomerOutcome, Exit, SyncOutcome, sync_once};
pub use running::{RunningWorker, start};
pub use shop_http::{
    BadReach, CALLS_PER_SECOND, Calling, Reach, ShopHttp, Timeouts, names_loopback,
};
pub use state::WorkerState;
pub use trust::{BadTrust, Trust};
