//! One customer's journal: an append-only log in one SQLite file, and everything that follows from it.
//!
//! ```text
//!  entries ──► projections: links, shadows, ledger, orders, what is due, history      (rebuilt from entries alone)
//!     │
//!     └─────► segments: hash-chained pieces that a coordinator acknowledges           (accepted by another file)
//!  a file of acknowledged segments alone ──► checkpoint: a copy that another file begins with
//!  beside them, for this file alone: staged pages, plan rows, the keys of personal data
//! ```
//!
//! Invariants: an entry and its projections are one transaction; projections depend on entries alone, so that a file
//! restored from segments is the file that was lost; personal data is sealed before it is an entry, under keys that
//! are never one; nothing here holds a catalogue in memory.
//!
//! All calls are synchronous and may wait for the disk: call them where blocking is allowed.

mod buyers;
mod chain;
mod checkpoint;
mod columns;
mod copy;
mod error;
mod fingerprint;
mod items;
mod journal;
mod load;
mod plan;
mod projection;
mod reading;
mod schema;
mod seal;
mod segment;
mod staging;
mod view;

pub mod bounds;

pub use buyers::{BuyerPage, Erased, forget_keys_of};
pub use checkpoint::{Checkpoint, CheckpointHead, Making, Stopper, Unpacking};
pub use copy::Copy;
pub use error::{CheckpointError, JournalError, SegmentError};
pub use journal::{Counters, Head, Journal, Mark};
pub use plan::PlanRow;
pub use reading::{OrderToRead, Standing};
pub use segment::{Hash, Segment, SegmentHeader};
pub use staging::StageSummary;
pub use view::{
    AsideRow, Change, ConflictRow, Explanation, Found, HeldOrders, HistoryItem, LevelExplained,
    LineExplained, MovementExplained, OrderRow, OrderView, RecordView, RunPage, RunRow, RunView,
    ShopSide, StockExplained, WriteRow, WriteState,
};
