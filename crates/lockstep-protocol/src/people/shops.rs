//! Testing a connection, and the lists of a shop.

use lockstep_model::{
    CustomerId, Fault, ShopIdentity,
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
