//! The total that the buyer paid is the truth. What the parts lack of it, up to a minor unit a line, is rounding.

use lockstep_model::OrderState;
use rust_decimal::Decimal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sums {
    Exact,
    /// To be added as a rounding line.
    Rounding(Decimal),
    /// More than rounding explains.
    Off {
        parts: Decimal,
    },
}

pub fn check_sums(order: &OrderState) -> Sums {
    let lines: Decimal = order.lines.iter().map(|line| line.gross).sum();
    let charges: Decimal = order.charges.iter().map(|charge| charge.gross).sum();
    let parts = lines + charges;
    let difference = order.total - parts;
    let count = Decimal::from(order.lines.len() + order.charges.len());
    if difference == Decimal::ZERO {
        Sums::Exact
    } else if difference.abs() <= order.currency.minor_unit() * count {
        Sums::Rounding(difference)
    } else {
        Sums::Off { parts }
    }
}
