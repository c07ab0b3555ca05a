//! A write that a decision asks for: the change, and what the journal has to know of it before it leaves.

use lockstep_model::entry::{Subject, What};
use lockstep_model::{Change, ShopId};
use serde::{Deserialize, Serialize};

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
