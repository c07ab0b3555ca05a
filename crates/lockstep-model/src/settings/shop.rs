//! `services` and `customerHasServices`: the customer's shops. A *service* in the source is one account
//! on a platform, which the rest of Lockstep calls a shop; an ERP account is one too.

use super::{Assortment, Credentials, Picks, RowId, Secret, StockId, Transform};
use crate::ids::{Currency, CustomerId, ShopId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One account on one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    pub id: ShopId,
    pub name: String,
    /// The connector's name: `practice`, `medusa`, …
    pub platform: String,
    pub url: String,
    #[serde(default)]
    pub credentials: Credentials,
    /// Counts the changes of `credentials`, by a person or by a worker that renewed them; kept by the
    /// coordinator, whatever an edit says.
    #[serde(default)]
    pub generation: u64,
    /// The platform's own settings, by the manifest's form.
    #[serde(default)]
    pub options: BTreeMap<String, Value>,
    #[serde(default = "on")]
    pub active: bool,
    /// The plan is shown and nothing is written.
    #[serde(default)]
    pub read_only: bool,
    /// What the shop signs its webhooks with.
    #[serde(default)]
    pub hook_secret: Option<Secret>,
}

fn on() -> bool {
    true
}

/// The option that permits plain HTTP to a shop that is not on this machine.
pub const ALLOW_INSECURE: &str = "allowInsecure";

impl Service {
    pub fn new(
        id: ShopId,
        name: impl Into<String>,
        platform: impl Into<String>,
        url: impl Into<String>,
    ) -> Self {
        Service {
            id,
            name: name.into(),
            platform: platform.into(),
            url: url.into(),
            credentials: Credentials::new(),
            generation: 0,
            options: BTreeMap::new(),
            active: true,
            read_only: false,
            hook_secret: None,
        }
    }

    pub fn with_credential(mut self, name: impl Into<String>, secret: Secret) -> Self {
        self.credentials.insert(name.into(), Some(secret));
        self
    }

    pub fn credential(&self, name: &str) -> Option<&Secret> {
        self.credentials.get(name)?.as_ref()
    }

    pub fn option_text(&self, name: &str) -> Option<&str> {
        self.options.get(name)?.as_str()
    }

    pub fn option_is_on(&self, name: &str) -> bool {
        match self.options.get(name) {
            Some(Value::Bool(on)) => *on,
            Some(Value::String(text)) => matches!(text.as_str(), "true" | "yes" | "on" | "1"),
            _ => false,
        }
    }
}

#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum ShopRole {
    /// Orders come together here; usually it owns prices, products and stock.
    Erp,
    #[default]
    Shop,
}

/// What happens when a shop that is connected has products of its own.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum FirstMeeting {
    /// It is read and matched, and nothing is written to it before a person has accepted.
    #[default]
    Ask,
    /// It is written to at once.
    Go,
}

/// That a shop belongs to the customer, and how it takes part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomerHasService {
    pub id: RowId,
    pub customer_id: CustomerId,
    pub service_id: ShopId,
    #[serde(default)]
    pub role: ShopRole,
    #[serde(default)]
    pub assortment: Assortment,
    #[serde(default)]
    pub picks: Picks,
    #[serde(default)]
    pub first_meeting: FirstMeeting,
    /// Orders placed here before this moment do not cross. Empty: from the moment of connecting.
    #[serde(default)]
    pub orders_from: Option<Timestamp>,
    /// ISO 4217. Empty: the shop's own.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// ISO 3166-1 alpha-2, for the rate that catalogue prices are turned net and gross by.
    #[serde(default)]
    pub country: Option<String>,
    /// The stocks that it sells from, in order. Empty: the customer's `stockId`.
    #[serde(default)]
    pub sells_from: Vec<StockId>,
    /// What it is given in place of what the owner holds.
    #[serde(default)]
    pub transform: Transform,
}

impl CustomerHasService {
    pub fn new(id: RowId, customer_id: CustomerId, service_id: ShopId, role: ShopRole) -> Self {
        CustomerHasService {
            id,
            customer_id,
            service_id,
            role,
            assortment: Assortment::default(),
            picks: Picks::default(),
            first_meeting: FirstMeeting::default(),
            orders_from: None,
            currency: None,
            country: None,
            sells_from: Vec::new(),
            transform: Transform::default(),
        }
    }
}
