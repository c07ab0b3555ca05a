//! The stock ledger: base, committed, pool, pending, target.
//!
//! "Add up each shop's change" is wrong: an ERP that lowers its own stock by every imported order makes each sale
//! count twice. Here an order line counts once wherever it lives, and the base moves only by what orders do not
//! explain.

mod evaluate;
mod rule;

pub use evaluate::{StockDecision, evaluate};
pub use rule::{committed, pending, pool, target};

#[cfg(test)]
mod tests;
