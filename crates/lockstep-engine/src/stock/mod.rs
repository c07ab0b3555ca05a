//! The stock ledger: base, committed, pool, pending, target.
//!
//! "Add up each shop's change" is wrong: an ERP that lowers its own stock by every imported order makes each sale
//! count twice. Here an order line counts once wherever it lives, and the base moves only by what orders do not
//! explain.

mod close;
mod evaluate;
mod ledger;
mod mapping;

pub use close::close;
pub use evaluate::{StockDecision, Switch, evaluate};
pub use ledger::{Booked, Books, Ledger};
pub use mapping::stock_mapping;

#[cfg(test)]
mod stocks_tests;
#[cfg(test)]
mod tests;
