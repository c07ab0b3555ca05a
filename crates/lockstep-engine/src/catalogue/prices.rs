//! The price that a shop is given, from its owner's and the shop's rule.

use lockstep_model::settings::{PriceRule, Rounding, Tax, Way};
use rust_decimal::{Decimal, RoundingStrategy};

/// More digits than any currency's minor unit has; the shop rounds as it does.
const DIGITS_MAX: u32 = 4;

/// `None`: too large for a number.
pub(super) fn given(rule: &PriceRule, price: Decimal) -> Option<Decimal> {
    let hundred = Decimal::ONE_HUNDRED;
    let price = price.checked_mul(rule.factor)?;
    let price = match rule.tax {
        Tax::AsItIs => price,
        Tax::Added(percent) => price.checked_mul(hundred + percent)? / hundred,
        Tax::TakenOut(percent) => price.checked_mul(hundred)?.checked_div(hundred + percent)?,
    };
    let price = match &rule.round {
        Some(round) => rounded(round, price)?,
        None => price,
    };
    Some(price.round_dp_with_strategy(DIGITS_MAX, RoundingStrategy::MidpointAwayFromZero))
}

fn rounded(round: &Rounding, price: Decimal) -> Option<Decimal> {
    let steps = price.checked_div(round.step)?;
    let steps = match round.way {
        Way::Nearest => steps.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero),
        Way::Up => steps.ceil(),
        Way::Down => steps.floor(),
    };
    let whole = steps.checked_mul(round.step)?;
    let less = whole - round.less;
    // A price does not become nothing, or less, by being made to look good.
    Some(if less > Decimal::ZERO { less } else { price })
}

/// The rule in words, for a plan's reason.
pub(super) fn in_words(rule: &PriceRule) -> String {
    let mut words = Vec::new();
    if rule.factor != Decimal::ONE {
        words.push(format!("× {}", rule.factor.normalize()));
    }
    match rule.tax {
        Tax::AsItIs => {}
        Tax::Added(percent) => words.push(format!("{} % tax added", percent.normalize())),
        Tax::TakenOut(percent) => words.push(format!("{} % tax taken out", percent.normalize())),
    }
    if let Some(round) = &rule.round {
        let way = match round.way {
            Way::Nearest => "",
            Way::Up => "up ",
            Way::Down => "down ",
        };
        let mut text = format!("rounded {way}to {}", round.step.normalize());
        if round.less > Decimal::ZERO {
            text.push_str(&format!(" less {}", round.less.normalize()));
        }
        words.push(text);
    }
    if rule.from != rule.to {
        words.insert(0, format!("from {}", rule.from));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn rule(factor: &str, tax: Tax, round: Option<(&str, Way, &str)>) -> PriceRule {
        PriceRule {
            from: "EUR".into(),
            to: "SEK".into(),
            factor: dec(factor),
            tax,
            round: round.map(|(step, way, less)| Rounding {
                step: dec(step),
                way,
                less: dec(less),
            }),
        }
    }

    #[test]
    fn prices_by_rule() {
        let none = Tax::AsItIs;
        for (factor, tax, round, from, to) in [
            ("1", none, None, "7.20", "7.20"),
            ("11.5", none, Some(("1", Way::Nearest, "0")), "7.20", "83"),
            ("1", Tax::Added(dec("25.5")), None, "10", "12.55"),
            ("1", Tax::TakenOut(dec("25.5")), None, "12.55", "10"),
            ("1", Tax::TakenOut(dec("24")), None, "10", "8.0645"),
            ("1", none, Some(("0.05", Way::Nearest, "0")), "7.22", "7.20"),
            (
                "1",
                none,
                Some(("0.05", Way::Nearest, "0")),
                "7.225",
                "7.25",
            ),
            ("1", none, Some(("1", Way::Up, "0.01")), "12.80", "12.99"),
            ("1", none, Some(("1", Way::Down, "0.01")), "12.80", "11.99"),
            ("1", none, Some(("1", Way::Up, "0.01")), "0", "0"),
            ("1", none, Some(("1", Way::Nearest, "0.01")), "0.30", "0.30"),
        ] {
            let rule = rule(factor, tax, round);
            assert_eq!(given(&rule, dec(from)), Some(dec(to)), "{rule:?} of {from}");
        }
    }

    #[test]
    fn a_price_beyond_all_numbers_is_not_given() {
        let rule = rule("1000000", Tax::AsItIs, None);
        assert_eq!(given(&rule, Decimal::MAX), None);
    }

    #[test]
    fn a_rule_in_words() {
        let rule = rule("11.50", Tax::Added(dec("25")), Some(("1", Way::Up, "0.1")));
        let words = in_words(&rule);
        assert_eq!(
            words,
            "from EUR, × 11.5, 25 % tax added, rounded up to 1 less 0.1"
        );
    }
}
