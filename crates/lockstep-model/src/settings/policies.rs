//! Whose word counts. Policies are what the source lacks: it has one direction, written into the code.

use crate::{fields::FieldGroup, ids::ShopId};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Whose word counts for one group of fields. On the wire: `{"owner": 3}`, `"newest"`,
/// `"firstNotEmpty"`, `"ask"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Policy {
    /// This shop's. Changes elsewhere are overwritten and shown.
    Owner(ShopId),
    /// The latest change. Where the readings cannot tell which of two is later: the one of the shop that stands first in
    /// [`Policies::rank`], else a person decides.
    Newest,
    /// The first shop that has a value, in the order of [`Policies::rank`].
    FirstNotEmpty,
    /// A person decides.
    #[default]
    Ask,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Policies {
    pub texts: Policy,
    pub prices: Policy,
    pub status: Policy,
    pub categories: Policy,
    pub pictures: Policy,
    pub variants: Policy,
    pub attributes: Policy,
    pub identifiers: Policy,
    /// Whose word comes first where a policy has to choose between shops; the others follow by their ids.
    pub rank: Vec<ShopId>,
    pub stock: StockPolicy,
    pub orders: OrderPolicy,
    pub limits: Limits,
}

impl Policies {
    /// One shop owns everything and orders come together there: the usual case, an ERP.
    pub fn owned_by(owner: ShopId) -> Self {
        let mut policies = Policies {
            stock: StockPolicy {
                mode: StockMode::Owned { owner },
                ..StockPolicy::default()
            },
            orders: OrderPolicy {
                into: Some(owner),
                ..OrderPolicy::default()
            },
            ..Policies::default()
        };
        for group in FieldGroup::ALL {
            *policies.of_mut(group) = Policy::Owner(owner);
        }
        policies
    }

    /// Where a shop stands among those that a policy chooses from; the smallest comes first.
    pub fn place_of(&self, shop: ShopId) -> (usize, ShopId) {
        let place = self.rank.iter().position(|ranked| *ranked == shop);
        (place.unwrap_or(usize::MAX), shop)
    }

    /// Does it matter when a field was changed?
    pub fn goes_by_time(&self) -> bool {
        FieldGroup::ALL
            .into_iter()
            .any(|group| self.of(group) == Policy::Newest)
    }

    pub fn of(&self, group: FieldGroup) -> Policy {
        match group {
            FieldGroup::Texts => self.texts,
            FieldGroup::Prices => self.prices,
            FieldGroup::Status => self.status,
            FieldGroup::Categories => self.categories,
            FieldGroup::Pictures => self.pictures,
            FieldGroup::Variants => self.variants,
            FieldGroup::Attributes => self.attributes,
            FieldGroup::Identifiers => self.identifiers,
        }
    }

    pub fn of_mut(&mut self, group: FieldGroup) -> &mut Policy {
        match group {
            FieldGroup::Texts => &mut self.texts,
            FieldGroup::Prices => &mut self.prices,
            FieldGroup::Status => &mut self.status,
            FieldGroup::Categories => &mut self.categories,
            FieldGroup::Pictures => &mut self.pictures,
            FieldGroup::Variants => &mut self.variants,
            FieldGroup::Attributes => &mut self.attributes,
            FieldGroup::Identifiers => &mut self.identifiers,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StockPolicy {
    pub mode: StockMode,
    /// Units that a selling shop is not told of: it is told max(0, target − buffer).
    #[serde(with = "by_shop")]
    pub buffer: BTreeMap<ShopId, Decimal>,
    /// Days after which an order that is final everywhere leaves the sums: it and the base are lowered alike.
    pub close_after_days: u32,
}

impl Default for StockPolicy {
    fn default() -> Self {
        Self {
            mode: StockMode::default(),
            buffer: BTreeMap::new(),
            close_after_days: 180,
        }
    }
}

/// On the wire: `{"owned": {"owner": 3}}` or `"pooled"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StockMode {
    /// Only the owner's unexplained changes move the base.
    Owned { owner: ShopId },
    /// Every shop's count.
    #[default]
    Pooled,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OrderPolicy {
    /// The shop that orders are copied into. Empty: orders do not cross.
    pub into: Option<ShopId>,
    /// When an order crosses, where neither its shop nor its payment method says otherwise.
    pub states: BTreeSet<String>,
    pub gates: Vec<Gate>,
    /// One buyer per shop in the receiver, in place of one per person.
    pub collective_buyer: bool,
    /// Capture the payment in the origin on shipment.
    pub capture_on_shipment: bool,
    /// Days after which the buyer of an order that is final is forgotten.
    pub buyers_kept_days: u32,
    /// Tax rates that the receiving shop lacks, and which of its own stands for each. Amounts stay as they are.
    pub tax_rates: Vec<RateInto>,
    /// Countries that the receiving shop does not know, and which of its own stands for each in a copy's addresses.
    pub countries: Vec<CountryInto>,
}

impl Default for OrderPolicy {
    fn default() -> Self {
        OrderPolicy {
            into: None,
            states: BTreeSet::from(["paid".to_owned()]),
            gates: Vec::new(),
            collective_buyer: false,
            capture_on_shipment: false,
            buyers_kept_days: 90,
            tax_rates: Vec::new(),
            countries: Vec::new(),
        }
    }
}

impl OrderPolicy {
    /// Whether an order of this shop, paid by this method (the shop's own id of it), crosses in this
    /// state. The gate that says most counts: shop and method, then shop, then method, then the default.
    pub fn crosses(&self, shop: ShopId, payment_method: Option<&str>, state: &str) -> bool {
        let states = self
            .gates
            .iter()
            .filter_map(|gate| Some((gate.precision(shop, payment_method)?, &gate.states)))
            .max_by_key(|(precision, _)| *precision)
            .map_or(&self.states, |(_, states)| states);
        states.contains(state)
    }

    /// The receiver's rate that stands for one of this shop's, where somebody has said so. What is said of the shop
    /// itself counts before what is said of all.
    pub fn rate_into(&self, shop: ShopId, rate: Decimal) -> Option<Decimal> {
        let of = |of: Option<ShopId>| {
            let mut rows = self.tax_rates.iter();
            rows.find(move |row| row.shop == of && row.rate == rate)
        };
        of(Some(shop)).or_else(|| of(None)).map(|row| row.into)
    }
}

impl OrderPolicy {
    /// As [`OrderPolicy::rate_into`], for a country that this shop's orders go to.
    pub fn country_into(&self, shop: ShopId, country: &str) -> Option<&str> {
        let of = |of: Option<ShopId>| {
            let mut rows = self.countries.iter();
            rows.find(|row| row.shop == of && row.country.eq_ignore_ascii_case(country))
        };
        let row = of(Some(shop)).or_else(|| of(None));
        row.map(|row| row.into.as_str())
    }
}

/// A country in the receiver's. ISO 3166 alpha-2, upper case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CountryInto {
    /// `None`: orders of every shop that says nothing of its own.
    #[serde(default)]
    pub shop: Option<ShopId>,
    pub country: String,
    pub into: String,
}

/// One shop's tax rate in the receiver's. Percent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateInto {
    /// `None`: every shop that says nothing of its own.
    #[serde(default)]
    pub shop: Option<ShopId>,
    pub rate: Decimal,
    pub into: Decimal,
}

/// The states in which an order crosses: `placed`, `accepted`, `paid`, `shipped`, or a state that the
/// platform's own people made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    #[serde(default)]
    pub shop: Option<ShopId>,
    #[serde(default)]
    pub payment_method: Option<String>,
    pub states: BTreeSet<String>,
}

impl Gate {
    fn precision(&self, shop: ShopId, payment_method: Option<&str>) -> Option<u8> {
        let by_shop = match self.shop {
            None => 0,
            Some(wanted) if wanted == shop => 2,
            Some(_) => return None,
        };
        let by_method = match &self.payment_method {
            None => 0,
            Some(wanted) if Some(wanted.as_str()) == payment_method => 1,
            Some(_) => return None,
        };
        Some(by_shop + by_method)
    }
}

/// What a run does not go beyond before a person has accepted it; everything else goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Of a shop's records, in one plan; and of all stock levels that a source empties within an hour.
    pub archive_percent_max: u32,
    /// Of one price, in one step.
    pub price_move_percent_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            archive_percent_max: 10,
            price_move_percent_max: 50,
        }
    }
}

/// JSON's keys are texts; shop ids are numbers. serde_json converts them by itself, but not inside what
/// serde buffers (untagged and flattened types), so it is said here once.
mod by_shop {
    use super::*;
    use serde::{Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(
        map: &BTreeMap<ShopId, Decimal>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(shop, units)| (shop.0.to_string(), units)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<ShopId, Decimal>, D::Error> {
        BTreeMap::<String, Decimal>::deserialize(deserializer)?
            .into_iter()
            .map(|(shop, units)| {
                let id = shop
                    .parse()
                    .map_err(|_| D::Error::custom(format!("\"{shop}\" is not a shop's id")))?;
                Ok((ShopId(id), units))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_that_says_most_counts() {
        let states = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let orders = OrderPolicy {
            gates: vec![
                Gate {
                    shop: None,
                    payment_method: Some("invoice".into()),
                    states: states(&["accepted"]),
                },
                Gate {
                    shop: Some(ShopId(1)),
                    payment_method: None,
                    states: states(&["shipped"]),
                },
                Gate {
                    shop: Some(ShopId(1)),
                    payment_method: Some("invoice".into()),
                    states: states(&["placed"]),
                },
            ],
            ..OrderPolicy::default()
        };
        assert!(orders.crosses(ShopId(2), Some("card"), "paid"));
        assert!(!orders.crosses(ShopId(2), Some("card"), "placed"));
        assert!(orders.crosses(ShopId(2), Some("invoice"), "accepted"));
        assert!(orders.crosses(ShopId(1), Some("card"), "shipped"));
        assert!(!orders.crosses(ShopId(1), Some("card"), "paid"));
        assert!(orders.crosses(ShopId(1), Some("invoice"), "placed"));
    }

    #[test]
    fn what_is_said_of_the_shop_counts_before_what_is_said_of_all() {
        let orders: OrderPolicy = serde_json::from_str(
            r#"{"taxRates": [{"rate": "24", "into": "25.5"}, {"shop": 3, "rate": "24.0", "into": "10"}]}"#,
        )
        .unwrap();
        let into = |shop, rate: i64| orders.rate_into(ShopId(shop), Decimal::from(rate));
        assert_eq!(into(2, 24), Some(Decimal::new(255, 1)));
        assert_eq!(into(3, 24), Some(Decimal::TEN));
        assert_eq!(into(3, 14), None);
        let before: OrderPolicy = serde_json::from_str(r#"{"into": 1}"#).unwrap();
        assert!(
            before.tax_rates.is_empty() && before.countries.is_empty(),
            "as they were stored before"
        );
    }

    #[test]
    fn policies_read_as_people_write_them() {
        let policies: Policies = serde_json::from_str(
            r#"{"texts": {"owner": 3}, "prices": "newest", "stock": {"mode": {"owned": {"owner": 3}}, "buffer": {"4": "2"}}}"#,
        )
        .unwrap();
        assert_eq!(policies.texts, Policy::Owner(ShopId(3)));
        assert_eq!(policies.prices, Policy::Newest);
        assert_eq!(policies.status, Policy::Ask);
        assert_eq!(policies.stock.mode, StockMode::Owned { owner: ShopId(3) });
        let again = serde_json::to_value(&policies).unwrap();
        assert_eq!(serde_json::from_value::<Policies>(again).unwrap(), policies);
    }
}
