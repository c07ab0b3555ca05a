//! What a shop is given in place of what the owner holds: other prices, texts in its own language, or nothing.

use super::validate::{bad_currency, group_name, is_currency};
use super::{Policies, Policy, Problem};
use crate::fields::{Field, FieldGroup, Path, VariantField};
use crate::ids::{Currency, ShopId};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How a shop's share of the catalogue differs from its owner's. It goes one way, from the owner to this shop: what is
/// rounded cannot be turned back, so a group that is transformed has an owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Transform {
    /// At most one for each currency that the shop's prices are in.
    pub prices: Vec<PriceRule>,
    /// The language of the texts that it shows first, where that is not the owner's first: `fi`, `en-GB`. A text that
    /// is not there in it is given as the owner has it.
    pub language: Option<String>,
    /// Groups of fields that the shop's own people keep: it is given them when a record or a variant is made there, and
    /// neither written nor listened to afterwards.
    pub keeps: BTreeSet<FieldGroup>,
}

impl Transform {
    /// The rule for prices in the currency that a shop sells in.
    pub fn price_in(&self, currency: &Currency) -> Option<&PriceRule> {
        self.prices.iter().find(|rule| rule.to == *currency)
    }

    /// Is this field of the shop made of another value of the owner's, so that it is not the owner's word?
    pub fn makes(&self, path: &Path) -> bool {
        match path.field() {
            Some(Field::Title | Field::Description) => self.language.is_some(),
            Some(Field::Variant {
                field: VariantField::Price(currency) | VariantField::SalePrice(currency),
                ..
            }) => self.price_in(&currency).is_some(),
            _ => false,
        }
    }

    pub(super) fn check(
        &self,
        found: &mut Vec<Problem>,
        path: &str,
        shop: ShopId,
        policies: &Policies,
    ) {
        for (at, rule) in self.prices.iter().enumerate() {
            rule.check(found, &format!("{path}.prices[{at}]"));
            if self.prices[..at].iter().any(|other| other.to == rule.to) {
                let sentence = format!("there is a rule for prices in {} already", rule.to);
                found.push(Problem::new(format!("{path}.prices[{at}].to"), sentence));
            }
        }
        // What is made of an owner's value goes one way.
        for (is_used, part, group) in [
            (!self.prices.is_empty(), "prices", FieldGroup::Prices),
            (self.language.is_some(), "language", FieldGroup::Texts),
        ] {
            let name = group_name(group);
            let sentence = match policies.of(group) {
                _ if !is_used => continue,
                Policy::Owner(owner) if owner != shop => continue,
                Policy::Owner(_) => {
                    format!("shop {shop} owns the {name}; this says what the other shops are given")
                }
                Policy::Newest | Policy::FirstNotEmpty | Policy::Ask => format!(
                    "the {name} need an owner (policies.{name}) before others are made of them"
                ),
            };
            found.push(Problem::new(format!("{path}.{part}"), sentence));
        }
        for group in &self.keeps {
            if policies.of(*group) == Policy::Owner(shop) {
                let name = group_name(*group);
                let sentence = format!("shop {shop} owns the {name}: the others follow it");
                found.push(Problem::new(format!("{path}.keeps"), sentence));
            }
        }
        if let Some(language) = &self.language
            && !is_language(language)
        {
            let sentence = format!("\"{language}\" is not a language, as in \"fi\" or \"en-GB\"");
            found.push(Problem::new(format!("{path}.language"), sentence));
        }
    }
}

fn is_language(text: &str) -> bool {
    let mut parts = text.split(['-', '_']);
    let is_word = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    parts
        .next()
        .is_some_and(|first| (2..=3).contains(&first.len()) && is_word(first))
        && parts.all(|part| (2..=8).contains(&part.len()) && is_word(part))
}

/// Beyond these a rule is a slip.
const FACTOR_MAX: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

impl PriceRule {
    fn check(&self, found: &mut Vec<Problem>, path: &str) {
        let mut problem = |part: &str, sentence: String| {
            found.push(Problem::new(format!("{path}.{part}"), sentence));
        };
        for (part, currency) in [("from", &self.from), ("to", &self.to)] {
            if !is_currency(currency.as_str()) {
                problem(part, bad_currency(currency.as_str()));
            }
        }
        if self.factor <= Decimal::ZERO || self.factor > FACTOR_MAX {
            problem(
                "factor",
                format!(
                    "{} is not a factor; more than 0, at most {FACTOR_MAX}",
                    self.factor
                ),
            );
        }
        if let Tax::Added(percent) | Tax::TakenOut(percent) = self.tax
            && !(Decimal::ZERO..=Decimal::ONE_HUNDRED).contains(&percent)
        {
            problem("tax", format!("{percent} % is not a rate; 0 to 100"));
        }
        if let Some(round) = &self.round {
            if round.step <= Decimal::ZERO || round.step > FACTOR_MAX {
                let sentence = format!("{} is not a step; more than 0", round.step);
                problem("round.step", sentence);
            } else if round.less < Decimal::ZERO || round.less >= round.step {
                let sentence = format!("{} is not less than the step {}", round.less, round.step);
                problem("round.less", sentence);
            }
        }
    }
}

/// A price from the owner's: × `factor`, then tax in or out, then rounded. Sale prices go the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PriceRule {
    /// ISO 4217, of the owner's price.
    pub from: Currency,
    /// ISO 4217, of the price that the shop is given.
    pub to: Currency,
    #[serde(default = "one")]
    pub factor: Decimal,
    #[serde(default)]
    pub tax: Tax,
    #[serde(default)]
    pub round: Option<Rounding>,
}

fn one() -> Decimal {
    Decimal::ONE
}

/// On the wire: `"asItIs"`, `{"added": "25.5"}`, `{"takenOut": "25.5"}`; in percent of the net price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Tax {
    #[default]
    AsItIs,
    /// The owner's prices are net, the shop's gross.
    Added(Decimal),
    /// The owner's prices are gross, the shop's net.
    TakenOut(Decimal),
}

/// To a multiple of `step`, and then less by `less`: 1 and 0.01 make 12.99 of 12.80.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rounding {
    pub step: Decimal,
    #[serde(default)]
    pub way: Way,
    #[serde(default)]
    pub less: Decimal,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Way {
    /// Half goes up.
    #[default]
    Nearest,
    Up,
    Down,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transform_that_cannot_be_carried_out_is_named_where_it_stands() {
        let (erp, shop) = (ShopId(1), ShopId(2));
        let rule = PriceRule {
            from: "EUR".into(),
            to: "kr".into(),
            factor: Decimal::ZERO,
            tax: Tax::Added(Decimal::from(255)),
            round: Some(Rounding {
                step: Decimal::ONE,
                way: Way::Nearest,
                less: Decimal::ONE,
            }),
        };
        let transform = Transform {
            prices: vec![rule.clone(), rule],
            language: Some("finnish language".into()),
            keeps: [FieldGroup::Texts].into(),
        };
        let places = |shop, policies: &Policies| {
            let mut found = Vec::new();
            transform.check(&mut found, "t", shop, policies);
            let places = found.into_iter().map(|problem| problem.path);
            places.collect::<Vec<_>>()
        };
        let owned = places(shop, &Policies::owned_by(erp));
        let of_a_rule = ["to", "factor", "tax", "round.less"];
        let mut want: Vec<String> = of_a_rule.map(|part| format!("t.prices[0].{part}")).into();
        want.extend(of_a_rule.map(|part| format!("t.prices[1].{part}")));
        want.extend(["t.prices[1].to", "t.language"].map(str::to_owned));
        assert_eq!(owned, want);
        let of_the_owner = places(erp, &Policies::owned_by(erp));
        let more = ["t.prices", "t.language", "t.keeps"];
        assert!(
            more.iter()
                .all(|path| of_the_owner.iter().any(|found| found == path))
        );
        let nobody_s = places(shop, &Policies::default());
        assert!(nobody_s.iter().any(|path| path == "t.prices"));
    }

    #[test]
    fn a_rule_reads_as_people_write_it() {
        let transform: Transform = serde_json::from_str(
            r#"{"prices": [{"from": "EUR", "to": "SEK", "factor": "11.5", "tax": {"added": "25"},
                "round": {"step": "1", "way": "up", "less": "0.1"}}], "language": "sv", "keeps": ["status"]}"#,
        )
        .unwrap();
        let [rule] = transform.prices.as_slice() else {
            panic!("{transform:?}");
        };
        assert_eq!(rule.tax, Tax::Added(Decimal::from(25)));
        assert_eq!(rule.round.as_ref().map(|round| round.way), Some(Way::Up));
        assert!(transform.keeps.contains(&FieldGroup::Status));
        let again = serde_json::to_value(&transform).unwrap();
        let again: Transform = serde_json::from_value(again).unwrap();
        assert_eq!(again, transform);
    }
}
