//! The messages of Lockstep, version 1: worker ⇄ coordinator, and the people's API that the CLI speaks.
//!
//! Data and pure functions. Nothing here sends, stores, reads a clock or picks a random number.
//!
//! ```text
//!  worker ── POST /auth ─────────────► coordinator        who I am; 401 pending, with a code to compare
//!         ── POST /auth/token ───────►                    until a person confirmed: 401; then a token, once
//!         ── GET  /settings ─────────►                    parked up to 55 s; 304, or what changed
//!         ── POST /status ───────────►                    what I applied, what I act on, how my runs go
//!         ── POST /journal/{customer}►                    what I saw, meant and did
//! ```

pub mod asks;
pub mod auth;
mod bytes;
pub mod checkpoint;
pub mod delta;
mod etag;
pub mod headers;
pub mod lease;
mod network;
pub mod paths;
pub mod people;
mod problem;
pub mod segment;
pub mod status;
mod token;
mod user_code;
pub mod wanted;

pub use bytes::{DeviceCode, EnrolmentId, InstanceId, Nonce, PublicKey, Signature};
pub use etag::{BadEtag, Etag};
pub use network::{BadNetwork, Network};
pub use problem::{Code, Problem};
pub use token::{BadToken, Token, TokenHash, TokenKind};
pub use user_code::UserCode;

/// The protocol versions that this build speaks: from, to.
pub const VERSIONS: [u16; 2] = [1, 1];

/// Bounds of the protocol, in one place.
pub mod bounds {
    /// Longest time that `/settings` is parked, seconds; a proxy cuts what is silent for a minute.
    pub const WAIT_SECONDS_MAX: u64 = 55;
    /// Any JSON body but settings.
    pub const BODY_BYTES_MAX: usize = 1024 * 1024;
    /// The answer of `/settings`: those of all customers of a worker.
    pub const SETTINGS_BYTES_MAX: usize = 64 * 1024 * 1024;
    /// The settings of one customer, as people apply them.
    pub const APPLY_BYTES_MAX: usize = 4 * 1024 * 1024;
    /// What a person asks for or decides.
    pub const REQUEST_BYTES_MAX: usize = 256 * 1024;
    /// What is read of somebody who has shown nothing yet: a login, an enrolment.
    pub const STRANGER_BYTES_MAX: usize = 16 * 1024;
    /// One compressed segment.
    pub const SEGMENT_BYTES_MAX: usize = 8 * 1024 * 1024;
    /// One answer of `GET /journal/…`: whole segments until this is passed.
    pub const JOURNAL_BYTES_MAX: usize = 16 * 1024 * 1024;
    /// A worker's name, a build, a fact.
    pub const LABEL_CHARS_MAX: usize = 100;
    /// Rows of a plan, or of a list, in one answer.
    pub const PAGE_ROWS_MAX: usize = 500;
    /// Runs in one status report.
    pub const RUNS_REPORTED_MAX: usize = 1_000;
    /// Seconds between two `/auth/token` of a worker that waits.
    pub const AUTH_INTERVAL_SECONDS: u64 = 5;
    /// Seconds that an enrolment waits for a person.
    pub const ENROLMENT_SECONDS: u64 = 15 * 60;
    /// Seconds that a worker's token lives; it is renewed when 75 % are gone.
    pub const TOKEN_SECONDS: i64 = 30 * 24 * 60 * 60;
    /// How far the clock in a signed renewal may be from the coordinator's, seconds.
    pub const CLOCK_SKEW_SECONDS_MAX: i64 = 5 * 60;
}
