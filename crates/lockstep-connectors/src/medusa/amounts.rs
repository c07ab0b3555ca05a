//! Amounts of orders: what the platform counts in, and what it shows. Pure.
//!
//! With taxes of its own reckoning its amounts have many digits (19.90 at 25.5 % holds 4.0438247011952195 of tax), and
//! its pages show them rounded. We take what is shown. A line's net is its gross less its tax, so that a line adds
//! up; what the lines together lack of the shown total is told as rounding.
//!
//! ```text
//! total              as it stands: less returned units, less credit lines (a refund of money is one)
//! + credit lines     what was given back is told as refunded, not as a smaller order
//! + returned units   a line's total is that of the units that were not returned
//! = as ordered
//! ```
//! `summary.original_order_total` is no help: it stays as it was when the order is edited.

use super::wire;
use lockstep_model::{Charge, ChargeKind, Currency, OrderLine};
use rust_decimal::{Decimal, RoundingStrategy};

/// As its pages show it.
pub(super) fn shown(amount: Decimal, currency: &Currency) -> Decimal {
    let digits = currency.minor_unit().scale();
    amount.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero)
}

/// Of the units as ordered, with every digit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Exact {
    pub gross: Decimal,
    pub tax: Decimal,
    pub discount: Decimal,
}

/// Of a line. The platform states those of the units that did not come back, in proportion.
pub(super) fn of_item(item: &wire::Item) -> Exact {
    let quantity = item.ordered();
    let stays = quantity - item.came_back();
    let stated = Exact {
        gross: item.total,
        tax: item.tax_total,
        discount: item.discount_total,
    };
    if stays == quantity || quantity.is_zero() {
        stated
    } else if stays > Decimal::ZERO {
        let whole = |part: Decimal| {
            let whole = part.checked_mul(quantity);
            whole
                .and_then(|whole| whole.checked_div(stays))
                .unwrap_or(part)
        };
        Exact {
            gross: whole(stated.gross),
            tax: whole(stated.tax),
            discount: whole(stated.discount),
        }
    } else {
        // All of it came back, and it says 0: as it was reckoned before.
        reckoned(item, quantity).unwrap_or(stated)
    }
}

fn reckoned(item: &wire::Item, quantity: Decimal) -> Option<Exact> {
    let rate = rate_of(&item.tax_lines);
    let factor = Decimal::ONE.checked_add(rate.checked_div(Decimal::ONE_HUNDRED)?)?;
    let net_of = |amount: Decimal, is_gross: bool| {
        if is_gross {
            amount.checked_div(factor)
        } else {
            Some(amount)
        }
    };
    let full = item.unit_price.checked_mul(quantity)?;
    let full_net = net_of(full, item.is_tax_inclusive)?;
    let mut net = full_net;
    for adjustment in &item.adjustments {
        net = net.checked_sub(net_of(adjustment.amount, adjustment.is_tax_inclusive)?)?;
    }
    let gross = net.checked_mul(factor)?;
    Some(Exact {
        gross,
        tax: gross.checked_sub(net)?,
        discount: full_net.checked_mul(factor)?.checked_sub(gross)?,
    })
}

pub(super) fn with_tax(amount: Decimal, has_it: bool, rate: Decimal) -> Decimal {
    if has_it {
        return amount;
    }
    let tax = amount * rate / Decimal::ONE_HUNDRED;
    amount + tax
}

pub(super) fn rate_of(lines: &[wire::TaxLine]) -> Decimal {
    let rate: Decimal = lines.iter().map(|line| line.rate).sum();
    rate.normalize()
}

/// What the buyer was to pay before anything was given back.
pub(super) fn ordered_total(order: &wire::Order) -> Decimal {
    let returned: Decimal = order
        .items
        .iter()
        .map(|item| of_item(item).gross - item.total)
        .sum();
    order.total + order.credit_line_total + returned
}

/// What the parts, each rounded as it is shown, lack of the shown total. More than rounding explains stays a difference:
/// the order is then held, and says so.
pub(super) fn rounding(
    total: Decimal,
    lines: &[OrderLine],
    charges: &[Charge],
    currency: &Currency,
) -> Option<Charge> {
    let lines_gross: Decimal = lines.iter().map(|line| line.gross).sum();
    let charges_gross: Decimal = charges.iter().map(|charge| charge.gross).sum();
    let lacks = total - lines_gross - charges_gross;
    let parts = Decimal::from(lines.len() + charges.len());
    let is_rounding = !lacks.is_zero() && lacks.abs() <= currency.minor_unit() * parts;
    is_rounding.then(|| Charge {
        kind: ChargeKind::Rounding,
        title: "Rounding".into(),
        net: lacks,
        tax: Decimal::ZERO,
        gross: lacks,
        tax_rate: Decimal::ZERO,
    })
}
