//! Money and rates as the wire has them: decimal strings, never floats.

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount in the shop's currency: at least two decimals are shown, at most six are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Money(pub Decimal);

/// A rate in per cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Percent(pub Decimal);

/// An amount beyond which a price is a mistake.
const AMOUNT_MAX: i64 = 1_000_000_000_000;

impl Money {
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// For constants of this crate, which its tests cover.
    pub(crate) fn known(text: &str) -> Self {
        Self(text.parse().unwrap_or_default())
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let amount = decimal(text)?;
        if amount.scale() > 6 {
            return Err(format!("“{text}” has more than six decimals"));
        }
        Ok(Self(amount))
    }

    /// Half away from zero, to the minor unit.
    pub fn rounded(amount: Decimal) -> Self {
        Self(amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero))
    }
}

impl Percent {
    pub(crate) fn known(text: &str) -> Self {
        Self(text.parse().unwrap_or_default())
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let rate = decimal(text)?;
        if rate < Decimal::ZERO || rate > Decimal::from(100) {
            return Err(format!("“{text}” is no rate between 0 and 100"));
        }
        Ok(Self(rate.normalize()))
    }
}

fn decimal(text: &str) -> Result<Decimal, String> {
    let plain = !text.is_empty()
        && text.len() <= 30
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| byte.is_ascii_digit() || byte == b'.' || (byte == b'-' && at == 0));
    let amount: Decimal = plain
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| format!("“{text}” is no decimal number such as \"7.20\""))?;
    if amount.abs() > Decimal::from(AMOUNT_MAX) {
        return Err(format!("“{text}” is too large"));
    }
    Ok(amount)
}

impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut amount = self.0.normalize();
        if amount.scale() < 2 {
            amount.rescale(2);
        }
        // Nobody wants to read "-0.00".
        if amount.is_zero() {
            amount.set_sign_positive(true);
        }
        write!(f, "{amount}")
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.normalize())
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shown_with_at_least_two_decimals() {
        for (given, shown) in [
            ("7.2", "7.20"),
            ("7", "7.00"),
            ("0.1234", "0.1234"),
            ("7.2000", "7.20"),
            ("-0", "0.00"),
            ("-3.5", "-3.50"),
            ("1000000", "1000000.00"),
        ] {
            assert_eq!(Money::parse(given).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_plain_decimal_is_refused() {
        for given in [
            "",
            "1e5",
            "1,20",
            "abc",
            "1.2.3",
            "--1",
            " 1",
            "0.1234567",
            "9999999999999999",
        ] {
            assert!(Money::parse(given).is_err(), "{given}");
        }
        assert!(serde_json::from_str::<Money>("7.20").is_err());
        assert!(Percent::parse("101").is_err());
        assert_eq!(Percent::parse("25.50").unwrap().to_string(), "25.5");
    }
}
