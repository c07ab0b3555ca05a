//! What is kept of buyers: shown to whoever may see it, and forgotten.

use jiff::Timestamp;
use lockstep_model::{Currency, OrderKey, OrderLine, Person, RemoteId, ShopId};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whose data.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuyerSought {
    /// Of every order that was placed with this address.
    Email(String),
    /// Of this one.
    Order(OrderKey),
}

impl fmt::Debug for BuyerSought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuyerSought::Email(_) => f.write_str("Email(…)"),
            BuyerSought::Order(order) => write!(f, "Order({order})"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuyersRequest {
    pub of: BuyerSought,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuyersView {
    pub orders: Vec<BuyerView>,
    /// Orders whose buyers are sealed under keys that lay on another disk: nobody can read them any more.
    pub unreadable: u64,
    /// There are more.
    #[serde(default)]
    pub cut: bool,
}

/// One order of a buyer, with all that is kept of who that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuyerView {
    /// Our key.
    pub order: OrderKey,
    pub number: String,
    pub placed_at: Option<Timestamp>,
    pub currency: Currency,
    pub total: Decimal,
    pub lines: Vec<OrderLine>,
    pub copies: Vec<CopyAt>,
    pub buyer: Person,
}

/// Where a copy was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyAt {
    pub shop: ShopId,
    pub id: RemoteId,
}

/// A request to forget a buyer. It is kept until it was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureView {
    pub id: u64,
    pub by: String,
    pub asked_at: Timestamp,
    /// `None`: the customer's worker is away; it is carried out as soon as it is back.
    pub done_at: Option<Timestamp>,
    /// Orders whose buyer is forgotten by it.
    pub orders: u64,
    /// Of which nobody can tell whose they are: their keys lay on another disk, and are of no use here.
    pub unreadable: u64,
}
