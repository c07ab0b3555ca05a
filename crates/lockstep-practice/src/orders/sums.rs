//! Net, tax and gross. What a caller states is kept; the rest is worked out to the minor unit.

use rust_decimal::Decimal;

use super::order::{Charge, Line, Order, TaxSum};
use crate::money::{Money, Percent};

/// Net, tax and gross of an amount in the shop's tax mode. They always add up.
pub fn split(amount: Decimal, rate: Percent, includes_tax: bool) -> (Money, Money, Money) {
    let factor = Decimal::ONE + rate.0 / Decimal::ONE_HUNDRED;
    if includes_tax {
        let gross = Money::rounded(amount);
        let net = Money::rounded(gross.0 / factor);
        (net, Money(gross.0 - net.0), gross)
    } else {
        let net = Money::rounded(amount);
        let gross = Money::rounded(net.0 * factor);
        (net, Money(gross.0 - net.0), gross)
    }
}

/// Works a line's amounts out of its unit price, quantity and discount.
pub fn work_out(line: &mut Line, includes_tax: bool) {
    let amount = line.unit_price.0 * Decimal::from(line.quantity) - line.discount.0;
    (line.net, line.tax, line.gross) = split(amount, line.tax_rate, includes_tax);
}

/// Scales stated amounts to another quantity, so that a stated price stays what it was.
pub fn rescale(line: &mut Line, from: i64, to: i64) {
    let share = |amount: Money| {
        if from == 0 {
            Money::ZERO
        } else {
            Money::rounded(amount.0 * Decimal::from(to) / Decimal::from(from))
        }
    };
    line.gross = share(line.gross);
    line.tax = share(line.tax);
    line.net = Money(line.gross.0 - line.tax.0);
    line.discount = share(line.discount);
}

/// The money of some units of a line.
pub fn part_of(line: &Line, units: i64) -> Money {
    if line.quantity == 0 {
        return Money::ZERO;
    }
    Money::rounded(line.gross.0 * Decimal::from(units) / Decimal::from(line.quantity))
}

/// `total` and `tax_by_rate`, highest rate first.
pub fn add_up(order: &mut Order) {
    let mut total = Decimal::ZERO;
    let mut by_rate: Vec<TaxSum> = Vec::new();
    let lines = order.lines.iter().map(
        |Line {
             tax_rate,
             net,
             tax,
             gross,
             ..
         }| (*tax_rate, *net, *tax, *gross),
    );
    let charges = order.charges.iter().map(
        |Charge {
             tax_rate,
             net,
             tax,
             gross,
             ..
         }| (*tax_rate, *net, *tax, *gross),
    );
    for (rate, net, tax, gross) in lines.chain(charges) {
        total += gross.0;
        match by_rate.iter_mut().find(|sum| sum.rate == rate) {
            Some(sum) => {
                sum.net.0 += net.0;
                sum.tax.0 += tax.0;
            }
            None => by_rate.push(TaxSum { rate, net, tax }),
        }
    }
    by_rate.sort_by_key(|sum| std::cmp::Reverse(sum.rate));
    order.total = Money(total);
    order.tax_by_rate = by_rate;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tax_is_split_to_the_cent() {
        for (amount, rate, includes, shown) in [
            ("49.80", "25.5", true, "39.68 10.12 49.80"),
            ("4.90", "25.5", true, "3.90 1.00 4.90"),
            ("100", "13.5", false, "100.00 13.50 113.50"),
            ("0.01", "25.5", true, "0.01 0.00 0.01"),
            ("-5", "10", true, "-4.55 -0.45 -5.00"),
        ] {
            let (net, tax, gross) = split(
                amount.parse().unwrap(),
                Percent::parse(rate).unwrap(),
                includes,
            );
            assert_eq!(format!("{net} {tax} {gross}"), shown);
        }
    }

    proptest! {
        #[test]
        fn net_and_tax_are_the_gross(cents in -1_000_000i64..1_000_000, rate in 0i64..1000, includes in any::<bool>()) {
            let (net, tax, gross) = split(Decimal::new(cents, 2), Percent(Decimal::new(rate, 1)), includes);
            prop_assert_eq!(net.0 + tax.0, gross.0);
            prop_assert!(gross.0.scale() <= 2);
        }
    }
}
