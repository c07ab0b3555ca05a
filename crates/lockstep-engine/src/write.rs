//! A write that a decision asks for: the change, and what the journal has to know of it before it leaves.

use lockstep_model::entry::{Subject, What};
use lockstep_model::{Change, Fingerprint, Person, ShopId};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Write {
    pub shop: ShopId,
    pub subject: Subject,
    pub change: Change,
    pub what: What,
    /// What people call the record: a SKU, a title, an order number.
    pub label: String,
    /// How often the same has failed before.
    pub tries: u32,
    /// Once it is done its record is looked at again: a person's question hangs on it.
    #[serde(default)]
    pub again: bool,
    /// Of a change that was refused as a whole, whose pause goes on if this is refused too.
    #[serde(default)]
    pub is_part: bool,
}

/// Of a buyer so much goes into the fingerprint of an order: enough to notice that something was corrected, and too little
/// to tell anybody.
const BITS_OF_A_BUYER: u64 = 0xffff;

impl Write {
    /// What is remembered of it if it is refused: see [`is_refused`].
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        match (&self.what, &self.change) {
            (
                What::Level {
                    on_hand, target, ..
                },
                _,
            ) => vec![of_level(*on_hand, *target)],
            (What::CreateOrder, Change::CreateOrder { order }) => {
                let mut order = order.clone();
                let buyer = std::mem::take(&mut order.order.person);
                let without = of_json("order", &order);
                vec![with_buyer(without, &buyer), without]
            }
            (
                what,
                Change::StepOrder {
                    person: Some(buyer),
                    ..
                },
            ) => {
                let without = of_what(what);
                vec![with_buyer(without, buyer), without]
            }
            (what, _) => vec![of_what(what)],
        }
    }

    /// The one that names it.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprints().first().copied()
    }
}

fn with_buyer(without: Fingerprint, buyer: &Person) -> Fingerprint {
    let bits = of_json("buyer", buyer).0 & BITS_OF_A_BUYER;
    Fingerprint::of(&[&without.0.to_string(), &bits.to_string()])
}

/// Does what is refused hold up this change? Another one is made at once. Where nothing is named, all is held up.
pub fn is_refused(refused: &BTreeSet<Fingerprint>, change: Option<Fingerprint>) -> bool {
    refused.is_empty() || change.is_none_or(|change| refused.contains(&change))
}

/// The same units are the same change, whatever the shop shows meanwhile.
pub fn of_level(on_hand: Decimal, target: Decimal) -> Fingerprint {
    let text = |units: Decimal| units.normalize().to_string();
    Fingerprint::of(&["level", &text(on_hand), &text(target)])
}

pub fn of_what(what: &What) -> Fingerprint {
    of_json("what", what)
}

/// Of plain data, whose maps are sorted. What could not be written down would only ever be taken for the same.
fn of_json(sort: &str, data: &impl Serialize) -> Fingerprint {
    let json = serde_json::to_string(data).unwrap_or_default();
    Fingerprint::of(&[sort, &json])
}

/// One line of a plan, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanLine {
    pub shop: ShopId,
    pub sign: Sign,
    pub label: String,
    /// `price EUR`, `stock`, …; empty for a whole record.
    pub field: String,
    pub from: String,
    pub to: String,
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    Create,
    Update,
    Archive,
    /// A variant goes from a product that stays.
    Remove,
    /// What an undo puts back, by a person's word.
    PutBack,
}
