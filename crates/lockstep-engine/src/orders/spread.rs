//! A discount on a whole order as one charge per tax rate. Receivers book tax by rate: an amount without a rate of its
//! own would be booked at none. Not a calculation of what the buyer owes: the total and the tax by rate stay as the
//! origin states them.

use lockstep_model::{Charge, ChargeKind, OrderState};
use rust_decimal::{Decimal, RoundingStrategy};
use std::collections::BTreeMap;

/// Gross to tax: that of a rate of 0.1 %.
const FACTOR_MAX: Decimal = Decimal::from_parts(1_001, 0, 0, false, 0);

/// Rate in percent → amount.
type ByRate = BTreeMap<Decimal, Decimal>;

/// The charges of an order, those without a tax rate of their own spread over the rates of the lines that they belong
/// to. Each one's gross stays exact, and net + tax = gross on every piece.
pub fn spread_over_rates(order: &OrderState) -> Vec<Charge> {
    let without_rate = |charge: &Charge| has_no_rate(charge, order);
    let spread: Decimal = gross_of(order.charges.iter().filter(|charge| without_rate(charge)));
    let lines = gross_by_rate(order);
    if lines.is_empty() || !order.charges.iter().any(without_rate) {
        return order.charges.clone();
    }
    let minor = order.currency.minor_unit();
    let left = tax_left(order, without_rate);
    let (weights, stated) = match left {
        Some(left) => shares_by_tax(order, spread, &lines, left, minor),
        None => (lines, None),
    };
    let mut charges = Vec::with_capacity(order.charges.len());
    // Pieces by rate, for the tax that the origin states.
    let mut pieces: BTreeMap<Decimal, Vec<usize>> = BTreeMap::new();
    for charge in &order.charges {
        if !without_rate(charge) {
            charges.push(charge.clone());
            continue;
        }
        for piece in pieces_of(charge, &weights, minor, stated.is_none()) {
            pieces
                .entry(piece.tax_rate)
                .or_default()
                .push(charges.len());
            charges.push(piece);
        }
    }
    for (rate, tax) in stated.into_iter().flatten() {
        let at = pieces.get(&rate).map_or(&[][..], Vec::as_slice);
        let weights: Vec<Decimal> = at.iter().map(|at| charges[*at].gross.abs()).collect();
        for (at, tax) in at.iter().zip(apportion(tax, &weights, minor)) {
            set_tax(&mut charges[*at], tax);
        }
    }
    charges
}

/// Whether its tax is of no one rate. A charge at 0 % is at that rate where the origin's taxes add up with it so.
fn has_no_rate(charge: &Charge, order: &OrderState) -> bool {
    if !charge.tax_rate.is_zero() {
        return false;
    }
    match charge.kind {
        ChargeKind::Discount => !charge.tax.is_zero() || !taxes_add_up(order),
        // Where the origin taxes shipping as the goods that are in the parcel.
        ChargeKind::Shipping | ChargeKind::Fee => !charge.tax.is_zero(),
        ChargeKind::Rounding => false,
    }
}

/// Whether the parts explain the tax by rate that the origin states. Not where it states none.
fn taxes_add_up(order: &OrderState) -> bool {
    let minor = order.currency.minor_unit();
    tax_left(order, |_| false).is_some_and(|left| {
        left.iter()
            .all(|(rate, tax)| tax.abs() <= minor * parts_at(order, *rate))
    })
}

fn parts_at(order: &OrderState, rate: Decimal) -> Decimal {
    let lines = order.lines.iter().map(|line| line.tax_rate);
    let charges = order.charges.iter().map(|charge| charge.tax_rate);
    let parts = lines.chain(charges).filter(|of| *of == rate).count();
    Decimal::from(parts.max(1))
}

/// By rate, the tax that the origin states less that of its parts, but for those charges. `None`: it states none.
fn tax_left(order: &OrderState, leave_out: impl Fn(&Charge) -> bool) -> Option<ByRate> {
    if order.tax_by_rate.is_empty() {
        return None;
    }
    let mut left = order.tax_by_rate.clone();
    for line in &order.lines {
        *left.entry(line.tax_rate).or_default() -= line.tax;
    }
    for charge in order.charges.iter().filter(|charge| !leave_out(charge)) {
        *left.entry(charge.tax_rate).or_default() -= charge.tax;
    }
    Some(left)
}

fn gross_of<'a>(charges: impl Iterator<Item = &'a Charge>) -> Decimal {
    charges.map(|charge| charge.gross).sum()
}

fn gross_by_rate(order: &OrderState) -> ByRate {
    let mut gross = ByRate::new();
    for line in order.lines.iter().filter(|line| line.gross > Decimal::ZERO) {
        *gross.entry(line.tax_rate).or_default() += line.gross;
    }
    gross
}

/// The shares of `spread` by rate, and the tax of each share where the origin's statement is explained: in proportion
/// to the lines' gross, or as the tax that is left says, where only some of the lines were lowered.
fn shares_by_tax(
    order: &OrderState,
    spread: Decimal,
    lines: &ByRate,
    left: ByRate,
    minor: Decimal,
) -> (ByRate, Option<ByRate>) {
    let weights: Vec<Decimal> = lines.values().copied().collect();
    let taxed = |rate: Decimal| left.get(&rate).copied().unwrap_or_default();
    let in_proportion = lines.keys().zip(apportion(spread, &weights, minor));
    let fits = in_proportion.clone().all(|(rate, gross)| {
        let slack = minor * (parts_at(order, *rate) + Decimal::ONE);
        (taxed(*rate) - tax_within(gross, *rate, minor)).abs() <= slack
    });
    let stated = || Some(lines.keys().map(|rate| (*rate, taxed(*rate))).collect());
    if fits {
        return (lines.clone(), stated());
    }
    let (mut shares, mut slack, mut rest) = (ByRate::new(), minor, spread);
    for rate in lines.keys().copied().filter(|rate| !rate.is_zero()) {
        // Gross to a unit of tax.
        let factor = (Decimal::ONE_HUNDRED + rate).checked_div(rate);
        // A rate of next to nothing says nothing of what was lowered.
        let Some(factor) = factor.filter(|factor| factor.abs() <= FACTOR_MAX) else {
            return (lines.clone(), None);
        };
        let Some(gross) = taxed(rate).checked_mul(factor) else {
            return (lines.clone(), None);
        };
        slack += minor * factor.abs() * parts_at(order, rate);
        rest -= gross;
        shares.insert(rate, gross);
    }
    if lines.contains_key(&Decimal::ZERO) {
        shares.insert(Decimal::ZERO, rest);
    } else if rest.abs() > slack {
        return (lines.clone(), None);
    }
    let is_a_share = |gross: &Decimal| {
        gross.is_zero()
            || gross.abs() <= slack
            || gross.is_sign_negative() == spread.is_sign_negative()
    };
    if !shares.values().all(is_a_share) || shares.values().all(Decimal::is_zero) {
        return (lines.clone(), None);
    }
    let shares = shares.into_iter().map(|(rate, gross)| (rate, gross.abs()));
    (shares.collect(), stated())
}

/// One charge by rate. `by_own_tax`: its tax as it states it, else as the rates say, to be set right by the caller.
fn pieces_of(charge: &Charge, weights: &ByRate, minor: Decimal, by_own_tax: bool) -> Vec<Charge> {
    let shares: Vec<Decimal> = weights.values().copied().collect();
    let mut pieces: Vec<Charge> = weights
        .keys()
        .zip(apportion(charge.gross, &shares, minor))
        .filter(|(_, gross)| !gross.is_zero())
        .map(|(rate, gross)| {
            let tax = tax_within(gross, *rate, minor);
            Charge {
                kind: charge.kind,
                title: charge.title.clone(),
                net: gross - tax,
                tax,
                gross,
                tax_rate: *rate,
            }
        })
        .collect();
    if by_own_tax && !charge.tax.is_zero() {
        let taxes: Vec<Decimal> = pieces.iter().map(|piece| piece.tax.abs()).collect();
        for (piece, tax) in pieces.iter_mut().zip(apportion(charge.tax, &taxes, minor)) {
            set_tax(piece, tax);
        }
    }
    if pieces.is_empty() {
        pieces.push(charge.clone());
    }
    pieces
}

fn set_tax(charge: &mut Charge, tax: Decimal) {
    charge.tax = tax;
    charge.net = charge.gross - tax;
}

/// The tax that is in a gross amount.
fn tax_within(gross: Decimal, rate: Decimal, minor: Decimal) -> Decimal {
    let part = rate.checked_div(Decimal::ONE_HUNDRED + rate);
    let tax = part
        .and_then(|part| gross.checked_mul(part))
        .unwrap_or_default();
    tax.round_dp_with_strategy(minor.scale(), RoundingStrategy::MidpointAwayFromZero)
}

/// Splits an amount in proportion to the weights, to the minor unit, by largest remainder. The sum is the amount.
fn apportion(amount: Decimal, weights: &[Decimal], minor: Decimal) -> Vec<Decimal> {
    let all: Decimal = weights.iter().sum();
    // Divided first: a product of two foreign amounts could be too large.
    let exact: Vec<Decimal> = weights
        .iter()
        .map(|weight| amount.abs() * weight.checked_div(all).unwrap_or_default())
        .collect();
    let mut parts: Vec<Decimal> = exact
        .iter()
        .map(|part| part.trunc_with_scale(minor.scale()))
        .collect();
    let mut places: Vec<usize> = (0..parts.len()).collect();
    // The largest remainder first, then the largest weight, then the first.
    places.sort_by_key(|at| std::cmp::Reverse((exact[*at] - parts[*at], weights[*at])));
    let mut left = amount.abs() - parts.iter().sum::<Decimal>();
    for at in &places {
        if left < minor {
            break;
        }
        parts[*at] += minor;
        left -= minor;
    }
    // An amount finer than the currency's unit, or no weights at all.
    if let Some(at) = places.first() {
        parts[*at] += left;
    }
    for part in &mut parts {
        part.set_sign_positive(amount.is_sign_positive() || part.is_zero());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::tests::order_of;
    use proptest::prelude::*;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn charge(kind: ChargeKind, gross: &str, tax: &str, rate: &str) -> Charge {
        Charge {
            kind,
            title: "SUMMER".into(),
            net: dec(gross) - dec(tax),
            tax: dec(tax),
            gross: dec(gross),
            tax_rate: dec(rate),
        }
    }

    fn discount(gross: &str) -> Charge {
        charge(ChargeKind::Discount, gross, "0", "0")
    }

    /// (gross, tax, rate) of each line.
    fn order(lines: &[(&str, &str, &str)], charges: Vec<Charge>) -> OrderState {
        let mut order = order_of("o1", 1);
        let line = order.lines.remove(0);
        for (gross, tax, rate) in lines {
            let mut line = line.clone();
            (line.gross, line.tax, line.tax_rate) = (dec(gross), dec(tax), dec(rate));
            line.net = line.gross - line.tax;
            order.lines.push(line);
        }
        order.charges = charges;
        order
    }

    fn shown(order: &OrderState) -> Vec<String> {
        let charges = spread_over_rates(order).into_iter();
        charges
            .map(|charge| format!("{} {} @{}", charge.gross, charge.tax, charge.tax_rate))
            .collect()
    }

    const TWO_RATES: [(&str, &str, &str); 2] =
        [("20.00", "4.06", "25.5"), ("10.00", "1.19", "13.5")];

    #[test]
    fn a_discount_on_the_order_becomes_one_charge_per_rate_of_its_lines() {
        let order = order(&TWO_RATES, vec![discount("-10.00")]);
        assert_eq!(shown(&order), ["-3.33 -0.40 @13.5", "-6.67 -1.36 @25.5"]);
    }

    #[test]
    fn its_taxes_are_those_that_the_origin_states_by_rate() {
        let mut order = order(&TWO_RATES, vec![discount("-10.00")]);
        // A cent off what the rates say.
        order.tax_by_rate = [(dec("25.5"), dec("2.71")), (dec("13.5"), dec("0.79"))].into();
        assert_eq!(shown(&order), ["-3.33 -0.40 @13.5", "-6.67 -1.35 @25.5"]);
    }

    #[test]
    fn a_discount_that_the_stated_taxes_give_to_some_lines_alone_goes_to_their_rate() {
        let mut order = order(&TWO_RATES, vec![discount("-5.00")]);
        order.tax_by_rate = [(dec("25.5"), dec("4.06")), (dec("13.5"), dec("0.60"))].into();
        assert_eq!(shown(&order), ["-5.00 -0.59 @13.5"]);
    }

    #[test]
    fn what_is_stated_at_a_rate_stays_as_it_was() {
        let at_a_rate = charge(ChargeKind::Discount, "-5.00", "-1.02", "25.5");
        let mut order = order(&TWO_RATES, vec![at_a_rate]);
        assert_eq!(spread_over_rates(&order), order.charges);
        // At 0 %, as its taxes by rate say: a gift card, say.
        order.charges = vec![discount("-5.00")];
        order.tax_by_rate = [(dec("25.5"), dec("4.06")), (dec("13.5"), dec("1.19"))].into();
        assert_eq!(spread_over_rates(&order), order.charges);
    }

    #[test]
    fn shipping_that_is_taxed_as_the_goods_keeps_the_tax_that_it_states() {
        let shipping = charge(ChargeKind::Shipping, "6.00", "1.05", "0");
        assert_eq!(
            shown(&order(&TWO_RATES, vec![shipping])),
            ["2.00 0.24 @13.5", "4.00 0.81 @25.5"]
        );
        let untaxed = charge(ChargeKind::Shipping, "6.00", "0", "0");
        assert_eq!(shown(&order(&TWO_RATES, vec![untaxed])), ["6.00 0 @0"]);
    }

    #[test]
    fn two_discounts_share_the_tax_that_is_stated() {
        let both = vec![discount("-3.00"), discount("-6.00")];
        let mut order = order(&[("90.00", "18.00", "25")], both);
        order.tax_by_rate = [(dec("25"), dec("16.20"))].into();
        assert_eq!(shown(&order), ["-3.00 -0.60 @25", "-6.00 -1.20 @25"]);
    }

    #[test]
    fn an_order_without_lines_to_lower_keeps_its_charges() {
        let order = order(&[("0", "0", "25.5")], vec![discount("-1.00")]);
        assert_eq!(spread_over_rates(&order), order.charges);
    }

    #[test]
    fn a_currency_without_decimals_is_split_in_whole_units() {
        let mut order = order(
            &[("100", "9", "10"), ("50", "4", "8")],
            vec![discount("-10")],
        );
        order.currency = "JPY".into();
        assert_eq!(shown(&order), ["-3 0 @8", "-7 -1 @10"]);
    }

    fn cents() -> impl Strategy<Value = Decimal> {
        (0_i64..1_000_000).prop_map(|cents| Decimal::new(cents, 2))
    }

    fn rates() -> impl Strategy<Value = Decimal> {
        prop::sample::select(vec!["0", "8.1", "10", "13.5", "19", "25.5"]).prop_map(dec)
    }

    proptest! {
        #[test]
        fn the_parts_of_an_amount_add_up_to_it_and_are_within_a_unit_of_their_share(
            amount in -10_000_000_i64..10_000_000,
            weights in prop::collection::vec(cents(), 1..6),
        ) {
            let (amount, minor) = (Decimal::new(amount, 2), Decimal::new(1, 2));
            let all: Decimal = weights.iter().sum();
            let parts = apportion(amount, &weights, minor);
            prop_assert_eq!(parts.iter().sum::<Decimal>(), amount);
            if !all.is_zero() {
                for (part, weight) in parts.iter().zip(&weights) {
                    prop_assert!((part - amount * weight / all).abs() <= minor);
                }
            }
        }

        #[test]
        fn every_piece_adds_up_and_the_gross_and_the_stated_taxes_are_kept(
            lines in prop::collection::vec((cents(), rates()), 1..6),
            percent in 1_u32..100,
            states_its_taxes in any::<bool>(),
        ) {
            let mut order = order(&[], vec![]);
            let line = order_of("o1", 1).lines.remove(0);
            let minor = Decimal::new(1, 2);
            for (gross, rate) in &lines {
                let mut line = line.clone();
                line.tax = tax_within(*gross, *rate, minor);
                (line.gross, line.net, line.tax_rate) = (*gross, gross - line.tax, *rate);
                order.lines.push(line);
            }
            let lowered = |amount: Decimal| (amount * Decimal::from(percent) / dec("100")).round_dp(2);
            let gross = -lowered(order.lines.iter().map(|line| line.gross).sum());
            order.charges = vec![discount(&gross.to_string())];
            if states_its_taxes {
                for (rate, gross) in gross_by_rate(&order) {
                    order.tax_by_rate.insert(rate, tax_within(gross - lowered(gross), rate, minor));
                }
            }
            let charges = spread_over_rates(&order);
            prop_assert_eq!(gross_of(charges.iter()), gross);
            for piece in &charges {
                prop_assert_eq!(piece.net + piece.tax, piece.gross);
                prop_assert!(piece.gross <= Decimal::ZERO);
            }
            // It is spread unless the taxes are so small that they add up without it.
            if charges != order.charges {
                for (rate, stated) in &order.tax_by_rate {
                    let lines = order.lines.iter().filter(|line| line.tax_rate == *rate);
                    let pieces = charges.iter().filter(|piece| piece.tax_rate == *rate);
                    if pieces.clone().next().is_some() {
                        let tax = lines.map(|line| line.tax).sum::<Decimal>()
                            + pieces.map(|piece| piece.tax).sum::<Decimal>();
                        prop_assert_eq!(tax, *stated);
                    }
                }
            }
        }
    }
}
