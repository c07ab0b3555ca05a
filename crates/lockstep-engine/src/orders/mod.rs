//! Orders: one origin, one copy under our key, a gate, exact sums, and states carried both ways.

mod answer;
mod copy;
mod decide;
mod edits;
mod lines;
mod spread;
mod steps;
mod sums;
mod words;

pub use answer::answer;
pub use copy::compose;
pub use decide::{Look, OrderDecision, decide, see};
pub use spread::spread_over_rates;
pub use sums::{Sums, check_sums};

#[cfg(test)]
mod crossing_tests;
#[cfg(test)]
mod steps_tests;
#[cfg(test)]
mod tests;
