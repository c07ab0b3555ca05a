//! The coordinator's database: workers, customers and their settings, ownership, wakes, asks, journal
//! segments, runs. One code path (SeaORM) for SQLite, PostgreSQL and MySQL/MariaDB, and the only crate
//! besides the journal's that contains SQL.
//!
//! **Change notice.** Each transaction that changes what workers are told (settings, tokens, ownership,
//! wakes, asks) increments the one row `change.counter` *first* and stamps its rows with it. The row's
//! lock makes number order commit order, so whoever has seen `n` has seen everything up to `n`, and
//! [`Storage::changes_since`] misses nothing.
//!
//! **What is sealed.** Shop credentials, hook secrets, asks and their answers, with a key that does not
//! lie in the database ([`seal`]).
//!
//! Not here: HTTP, the form of tokens and codes (given in as hashes and texts), when a lease ends.

mod alerts;
mod asks;
mod blobs;
mod change;
mod customers;
mod enrolments;
mod entities;
mod erasures;
mod error;
mod migrations;
mod numbers;
mod open;
mod owners;
pub mod ownership;
mod people;
mod private;
mod runs;
pub mod seal;
mod search;
mod segments;
mod tokens;
mod wakes;
mod workers;

pub use alerts::{Alert, NewAlert};
pub use asks::{AskRow, AskState, NewAsk};
pub use change::{
    Changes, CustomerChange, Departure, OwnershipChange, TokenChange, WakeRow, WorkerChange,
};
pub use customers::{
    CredentialsOutcome, CustomerFilter, CustomerRow, Expect, SaveOutcome, StoredCustomer,
};
pub use enrolments::{
    ConfirmOutcome, EnrolOutcome, Enrolment, EnrolmentState, NewEnrolment, PollOutcome,
};
pub use erasures::Erasure;
pub use error::{Kind, StorageError};
pub use numbers::Hash;
pub use open::{Options, Storage};
pub use owners::{MoveOutcome, Owned};
pub use people::{NewPerson, NewSession, OpenSession, Person, Role, SessionKind};
pub use private::{private_data_folder, private_folder};
pub use runs::{ApplyState, CustomerReport, RunFilter, RunPlace, RunRow, RunState};
pub use search::{ORDER, SearchHit, SearchRow};
pub use segments::{NewSegment, Segment, SegmentHead, SegmentOutcome};
pub use tokens::{JoinToken, NewToken, TokenOwner};
pub use wakes::By as WakeBy;
pub use workers::{Worker, WorkerState};

/// Bounds of the database, in one place.
pub mod bounds {
    /// Enrolments that wait at the same time.
    pub const PENDING_MAX: u64 = 1_024;
    /// How long a key that a person has rejected stays refused, days; and how many of them are remembered.
    pub const REJECTED_DAYS: i64 = 90;
    pub const REJECTED_MAX: u64 = 4_096;
    /// Wrong codes before an enrolment is rejected by itself.
    pub const WRONG_CODES_MAX: i64 = 5;
    /// A larger segment is put into the blobs under its own hash first, and only then named.
    pub const SEGMENT_ROW_BYTES_MAX: usize = 256 * 1024;
    /// Rows of one kind in one look at the change tail; the next look gets the rest.
    pub const TAIL_ROWS_MAX: u64 = 10_000;
    /// Of a text that is searched or listed; longer ones are cut.
    pub const TEXT_CHARS_MAX: usize = 255;
    /// Rows in any list.
    pub const LIST_ROWS_MAX: u64 = 500;
    /// Runs that are kept of one customer.
    pub const RUNS_KEPT: u64 = 1_000;
    /// Rows in one INSERT.
    pub const BATCH_ROWS: usize = 200;
}
