//! Orders: the life cycle (pure), the record, its sums, making one, and what is done to one.

pub mod act;
pub mod checkout;
pub mod create;
pub mod input;
pub mod lifecycle;
pub mod order;
pub mod order_rows;
pub mod sums;
