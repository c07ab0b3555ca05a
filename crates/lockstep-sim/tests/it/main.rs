//! The simulation as a test: thousands of histories without a violation, the seeds that once found a bug, and the
//! checkers' teeth.

mod kept;
mod search;
mod teeth;
