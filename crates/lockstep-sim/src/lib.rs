//! The deterministic simulation: the engine and the journal as they are, driven on virtual time from one seed
//! against made-up shops, a coordinator, two machines, buyers and people who edit.
//!
//! ```text
//! acts (buyers, people) ─► shops ◄─ door (push held against journal) ◄─ sim ─► engine, journal     one of two machines
//!                            ▲                                          │
//!                       check (reads shops)                        coordinator (epochs, leases, segments)
//! ```
//! The checkers read the shops and call no engine code. [`Mistake`] switches on, at the seams that the simulation
//! owns, the bugs that they have to catch. For development; the product does not depend on it.

mod acts;
mod baskets;
#[cfg(test)]
mod cases;
mod catalogue_acts;
mod check;
mod closing;
mod coordinator;
mod deleted_there;
mod dice;
mod door;
mod faults;
mod mistakes;
mod pace;
mod refusals;
mod scenario;
mod shop;
mod sim;
mod stocks;
mod topics;
mod undoing;
mod wiped;
mod worker;
mod world;

pub use mistakes::Mistake;
pub use scenario::{Outcome, Scenario, run};
pub use topics::{Topic, Topics};
