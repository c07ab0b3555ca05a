//! Customers: list, show, apply, export, owner.

use super::{
    standing::{Health, Totals},
    workers::Applied,
};
use jiff::Timestamp;
use lockstep_model::{
    CustomerId, Epoch, Revision, ShopId, WorkerId,
    settings::{CustomerSettings, OnWire},
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomerRow {
    pub id: CustomerId,
    pub name: String,
    pub email: String,
    pub revision: Revision,
    pub enabled: bool,
    pub locked: bool,
    pub movable: bool,
    pub shops: u32,
    pub owner: Option<Owner>,
    pub applied: Option<Applied>,
    #[serde(default)]
    pub records: u64,
    /// Of `records`, those that wait to be written, for a decision, or stand aside.
    #[serde(default)]
    pub records_apart: u64,
    #[serde(default)]
    pub totals: Totals,
    /// By the last calls, the last runs and who works for it, never by its settings alone.
    #[serde(default)]
    pub health: Health,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Owner {
    pub worker_id: WorkerId,
    pub worker_name: String,
    pub epoch: Epoch,
}

/// Secrets are `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomerView {
    pub row: CustomerRow,
    pub settings: CustomerSettings,
    pub updated_at: Timestamp,
    /// Of each of its shops.
    #[serde(default)]
    pub shops: Vec<ShopView>,
}

/// How a shop is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShopView {
    pub shop: ShopId,
    pub health: Health,
    /// When it last answered a call as it should.
    pub answered_at: Option<Timestamp>,
}

/// `PUT /customers/{id}` and `POST /customers`. With `If-Match: "<revision>"` an edit of what somebody
/// else has edited since is refused. The body is the settings as [`lockstep_model::settings::read`]
/// takes them; a secret that is `null` stays as it is.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct ApplyRequest(pub OnWire<CustomerSettings>);

impl Serialize for ApplyRequest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyReply {
    pub id: CustomerId,
    pub revision: Revision,
    /// False: it was all as it is, and the revision is the old one.
    pub changed: bool,
}

/// Give the customer to a worker, by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRequest {
    pub worker_id: WorkerId,
    /// The name of the pinned customer's present worker, typed: its machine is gone, and with it what was
    /// not shipped.
    #[serde(default)]
    pub the_machine_is_gone: Option<String>,
}
