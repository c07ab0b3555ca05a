//! What a shop says of itself when its credentials are checked.

use crate::{Currency, RemoteId};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Read live; the lists fill the forms in which a person picks identifiers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ShopIdentity {
    pub name: String,
    pub platform_version: Option<String>,
    pub currency: Currency,
    /// IANA name.
    pub time_zone: Option<String>,
    pub languages: Vec<String>,
    /// Catalogue prices are shown with tax.
    pub prices_include_tax: bool,
    pub stocks: Vec<Named>,
    pub shop_versions: Vec<Named>,
    pub shipping_methods: Vec<Named>,
    pub payment_methods: Vec<Named>,
    pub payment_terms: Vec<Named>,
    pub branches: Vec<Named>,
    pub shelves: Vec<Named>,
    /// Percent.
    pub tax_rates: Vec<Decimal>,
    /// Countries that it sends to, ISO 3166 alpha-2, upper case. Empty: any.
    #[serde(default)]
    pub countries: Vec<String>,
    pub stock: StockSemantics,
    /// What has to be said of this shop and is picked from its own lists.
    #[serde(default)]
    pub choices: Vec<Choice>,
}

/// A setting of the account that names a row of one of the shop's lists: its sales channel, say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Choice {
    /// Its name in the settings' `options`.
    pub setting: String,
    /// What is chosen, for people: "sales channel".
    pub label: String,
    pub rows: Vec<Named>,
    /// Nothing may be written before one of several is chosen.
    pub is_needed: bool,
    /// The rows are stocks: to say which of ours they stand for answers it too.
    pub is_of_stocks: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Named {
    pub id: RemoteId,
    pub name: String,
}

/// When this shop's orders lower its `available`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Takes {
    #[default]
    Placement,
    Payment,
    /// At placement, as a reservation.
    Reserve,
    Shipment,
    Never,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockSemantics {
    pub takes: Takes,
    /// When an order that we make there lowers it.
    pub copies_take: Takes,
    /// Levels show a reserved count.
    pub reserves: bool,
    pub negative: bool,
}

impl Default for StockSemantics {
    fn default() -> Self {
        Self {
            takes: Takes::Placement,
            copies_take: Takes::Placement,
            reserves: false,
            negative: false,
        }
    }
}
