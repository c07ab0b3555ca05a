//! What callers say of orders.

use serde::Deserialize;

use super::order::{Address, Buyer, Charge, Discount};
use crate::catalogue::product::said;
use crate::money::{Money, Percent};

/// An order made by the API.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OrderInput {
    pub external_key: Option<String>,
    pub reference: Option<String>,
    pub branch: Option<String>,
    pub shop_version: Option<String>,
    pub stock: Option<String>,
    pub payment_term: Option<String>,
    pub placed_at: Option<String>,
    pub currency: Option<String>,
    pub payment: Option<PaymentGiven>,
    pub fulfilment: Option<FulfilmentGiven>,
    pub tracking: Option<String>,
    pub carrier: Option<String>,
    pub lines: Vec<LineInput>,
    pub charges: Vec<Charge>,
    pub discounts: Vec<Discount>,
    pub total: Option<Money>,
    pub buyer: Buyer,
    pub billing: Option<Address>,
    pub shipping: Option<Address>,
    pub payment_method: Option<String>,
    pub shipping_method: Option<String>,
    pub note: Option<String>,
    pub send_confirmation: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentGiven {
    Pending,
    Paid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FulfilmentGiven {
    Open,
    Shipped,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LineInput {
    /// An existing line, in an edit.
    pub id: Option<String>,
    /// The caller's own name for the line; names an existing one in an edit.
    pub key: Option<String>,
    pub sku: Option<String>,
    pub title: Option<String>,
    pub quantity: i64,
    pub unit_price: Option<Money>,
    pub tax_rate: Option<Percent>,
    pub discount: Option<Money>,
    pub net: Option<Money>,
    pub tax: Option<Money>,
    pub gross: Option<Money>,
}

impl LineInput {
    pub fn says_amounts(&self) -> bool {
        let amounts = [
            self.unit_price,
            self.discount,
            self.net,
            self.tax,
            self.gross,
        ];
        self.tax_rate.is_some() || amounts.iter().any(Option::is_some)
    }
}

/// An edit before shipping.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EditInput {
    pub if_rev: Option<i64>,
    #[serde(deserialize_with = "said")]
    pub note: Option<Option<String>>,
    #[serde(deserialize_with = "said")]
    pub reference: Option<Option<String>>,
    #[serde(deserialize_with = "said")]
    pub shipping: Option<Option<Address>>,
    #[serde(deserialize_with = "said")]
    pub billing: Option<Option<Address>>,
    #[serde(deserialize_with = "said")]
    pub branch: Option<Option<String>>,
    pub lines: Option<Vec<LineInput>>,
}

/// Some units of a line that is named by its id or its SKU.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PartInput {
    pub id: Option<String>,
    pub sku: Option<String>,
    pub quantity: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayInput {}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShipInput {
    pub lines: Option<Vec<PartInput>>,
    pub tracking: Option<String>,
    pub carrier: Option<String>,
    pub key: Option<String>,
    pub send_mail: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CancelInput {
    pub lines: Option<Vec<PartInput>>,
    pub restock: Option<bool>,
    pub key: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RefundInput {
    pub lines: Option<Vec<PartInput>>,
    pub amount: Option<Money>,
    /// So much of the money is of shipping and fees.
    pub charges: Option<Money>,
    pub restock: Option<bool>,
    pub reason: Option<String>,
    pub key: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReturnInput {
    pub lines: Option<Vec<PartInput>>,
    pub restock: Option<bool>,
    pub key: Option<String>,
}

/// What the storefront's form calls.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckoutInput {
    pub lines: Vec<CheckoutLine>,
    pub buyer: Buyer,
    pub pay: bool,
    pub shipping_method: Option<String>,
    pub payment_method: Option<String>,
    pub shipping: Option<Address>,
    pub billing: Option<Address>,
    pub note: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckoutLine {
    pub sku: String,
    pub quantity: i64,
}
