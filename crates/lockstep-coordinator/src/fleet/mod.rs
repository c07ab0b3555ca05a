//! Nobody is stranded: who gets a customer that nobody has, and what is told of a customer that nobody serves.
//!
//! ```text
//!   view, reports, settings ──► Fleet ──┬─► moves      ──► ownership            what can be put right without a person
//!                                       └─► ailing ──► Watchdog ──► overview    what cannot, with the act that cures it
//! ```
//! `seen`, `moves`, `ailing` and `watchdog` are pure: they are given what was seen and the time. `scan` looks and acts.

mod ailing;
mod facts;
mod keeping;
mod moves;
pub mod rejoining;
mod scan;
mod seen;
mod watchdog;

pub use facts::Facts;
pub use keeping::Keeping;
pub use rejoining::Rejoining;
pub use scan::{follow, incidents, settle, settle_customer};
pub use watchdog::Watchdog;
