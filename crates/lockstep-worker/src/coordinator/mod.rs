//! The calls to the coordinator, and what its answers mean for the worker.

mod answer;
mod client;

pub use answer::{Standing, Verdict, verdict};
pub use client::{CallError, Coordinator, Incoming, Pieces};
