//! The deterministic simulation: the engine and the journal as they are, driven on virtual time from one seed
//! against made-up shops, buyers and people who edit, with lost replies, late writes, crashes and lost disks.
//!
//! The checkers read the shops alone and call no engine code. For development; the product does not depend on it.

mod check;
mod dice;
mod driver;
mod scenario;
mod shop;

pub use scenario::{Outcome, Scenario, run};
