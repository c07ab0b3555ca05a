//! The sync itself, pure: state machines and functions from what is known to what shall be done.
//!
//! No async, no IO, no clock, no randomness: the worker drives it against the world and the simulator against a
//! made-up one. It keeps nothing that the journal cannot rebuild.

pub mod budget;
pub mod catalogue;
pub mod clock;
pub mod orders;
pub mod retry;
pub mod stock;

#[cfg(test)]
mod fixture;

mod customer;
mod looks;
mod resolve;
mod rules;
mod run;
mod write;

pub use customer::{CallId, Customer, Effect, Event, Opened, Progress, Step, Wish, lanes_of_plan};
pub use resolve::resolve;
pub use rules::{Abilities, LevelWrites, PageSize, Rules, ShopRules};
pub use run::undo::{UndoLine, UndoShown, Verdict};
pub use write::{PlanLine, Sign, Write};
