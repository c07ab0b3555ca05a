//! Testing a connection, and the lists of a shop.

use jiff::Timestamp;
use lockstep_model::{
    CustomerId, Fault, Flow, ShopIdentity,
    settings::{OnWire, Service},
};
use serde::{Deserialize, Serialize};

/// A shop as the form has it; for a saved one, secrets that are `null` are those that are stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckRequest {
    #[serde(default)]
    pub customer_id: Option<CustomerId>,
    pub service: OnWire<Service>,
}

/// A shop that refuses is an answer, not an error of the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum CheckReply {
    Works { identity: Box<ShopIdentity> },
    Fails { fault: Fault },
}

/// Read live, for the forms in which identifiers are picked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListsReply {
    pub identity: ShopIdentity,
}

/// A shop's webhooks, as this coordinator has heard of them since it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HooksView {
    /// What calls it: `false`: its platform cannot, or there is no secret yet to sign with.
    pub possible: bool,
    /// As they were read from the shop.
    pub hooks: Vec<HookRow>,
    /// When they were.
    pub registered_at: Option<Timestamp>,
    /// The last time that some had been deleted or switched off in the shop, and were registered again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mended: Option<Mended>,
    /// Why the last try failed.
    pub problem: Option<String>,
    /// The last call that was signed as it should be.
    pub delivered_at: Option<Timestamp>,
    pub since: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mended {
    pub at: Timestamp,
    pub topics: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRow {
    pub flow: Flow,
    /// The platform's word for it.
    pub topic: String,
    /// Without its last part, which is secret.
    pub url: String,
    pub active: bool,
}
