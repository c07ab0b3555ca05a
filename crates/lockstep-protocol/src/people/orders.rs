//! Orders that are held, and the words that let them go.

use jiff::Timestamp;
use lockstep_model::{
    OrderAnswer, RemoteId, ShopId,
    entry::Hold,
    settings::{Mappable, NamedAt},
};
use serde::{Deserialize, Serialize};

/// What waits for a person, but for orders that wait for their payment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldView {
    pub groups: Vec<HeldGroup>,
    pub as_of: Option<Timestamp>,
}

/// Orders of one shop that wait for the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldGroup {
    /// For people: how many of which shop wait for what.
    pub title: String,
    /// What helps.
    pub detail: String,
    /// Of the oldest of them.
    pub reason: Hold,
    pub origin: ShopId,
    pub origin_name: String,
    pub count: u64,
    /// The oldest of them.
    pub orders: Vec<HeldOrder>,
    /// One decision lets them all go: what the receiving shop calls this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmapped: Option<Unmapped>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldOrder {
    /// Our key.
    pub key: String,
    pub number: String,
    pub placed_at: Option<Timestamp>,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmapped {
    #[serde(rename = "method")]
    pub what: Mappable,
    pub from: NamedAt,
    pub into: ShopId,
    pub into_name: String,
}

/// What a method, a tax rate … of one shop is called in the shop that orders go into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapRequest {
    #[serde(rename = "method")]
    pub what: Mappable,
    pub from: NamedAt,
    pub into: RemoteId,
}

/// A person's word on one order. Where it is there: by its id or its number there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderAnswerRequest {
    pub answer: OrderAnswer,
}
