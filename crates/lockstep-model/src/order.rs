//! Orders, as a connector reads them and as a copy is made of them.
//!
//! Personal data stands apart ([`Person`]), so that whatever is kept can be kept without it or seal it.

use crate::{Currency, OrderKey, RemoteId, Sku};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub state: OrderState,
    pub person: Person,
}

/// An order without anything personal. Amounts are in major units of `currency`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderState {
    /// The platform's immutable id.
    pub id: RemoteId,
    /// What the buyer was told. Repeats between shops; never matched on.
    pub number: String,
    /// The external key it carries. One of ours makes it a copy.
    pub key: Option<String>,
    pub stage: Stage,
    pub payment: Payment,
    pub fulfilment: Fulfilment,
    pub cancelled: bool,
    pub placed_at: Timestamp,
    pub modified_at: Option<Timestamp>,
    pub currency: Currency,
    pub lines: Vec<OrderLine>,
    /// Shipping and fees.
    pub charges: Vec<Charge>,
    /// What the buyer paid or has to pay.
    pub total: Decimal,
    /// Rate in percent → tax, as the origin states it.
    pub tax_by_rate: BTreeMap<Decimal, Decimal>,
    /// The shop's own ids.
    pub payment_method: Option<RemoteId>,
    pub shipping_method: Option<RemoteId>,
    /// Until when it has to be paid, where the shop says so.
    #[serde(default)]
    pub payment_term: Option<RemoteId>,
    pub parcels: Vec<Parcel>,
}

/// Only a placed order can cross.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Cart, draft, test order or payment review.
    Unplaced,
    #[default]
    Placed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payment {
    #[default]
    Pending,
    /// On account or on delivery: the shop accepted the order without money.
    Accepted,
    /// The money is promised and not taken yet: it is captured later.
    Authorized,
    Paid,
    PartlyRefunded,
    Refunded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fulfilment {
    #[default]
    Open,
    Partly,
    Shipped,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    pub id: RemoteId,
    /// `None`: free text, without an item behind it.
    pub sku: Option<Sku>,
    pub title: String,
    pub quantity: Decimal,
    pub unit_price: Decimal,
    pub net: Decimal,
    pub tax: Decimal,
    pub gross: Decimal,
    /// Percent.
    pub tax_rate: Decimal,
    /// Taken off already in `gross`.
    pub discount: Decimal,
    /// Units by which this line lowers the shop's `available` now.
    pub taken: Decimal,
    pub shipped: Decimal,
    pub cancelled: Decimal,
    pub returned: Decimal,
    /// The stock it is taken from, where the shop says so.
    pub stock: Option<RemoteId>,
}

impl OrderState {
    /// What the buyer gets or got of each item: ordered, less what was cancelled.
    pub fn wanted(&self) -> BTreeMap<Sku, Decimal> {
        let mut wanted: BTreeMap<Sku, Decimal> = BTreeMap::new();
        for line in &self.lines {
            if let Some(sku) = &line.sku {
                *wanted.entry(sku.clone()).or_default() += line.quantity - line.cancelled;
            }
        }
        wanted
    }
}

impl OrderLine {
    /// Nothing more will be shipped or given back for this line by an ordinary course of events.
    pub fn is_final(&self) -> bool {
        self.shipped + self.cancelled + self.returned >= self.quantity
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    pub kind: ChargeKind,
    pub title: String,
    pub net: Decimal,
    pub tax: Decimal,
    pub gross: Decimal,
    /// Percent.
    pub tax_rate: Decimal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeKind {
    Shipping,
    Fee,
    /// Negative: taken off the whole order.
    Discount,
    /// The difference of up to a minor unit a line between what lines add up to and what was paid.
    Rounding,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Parcel {
    pub id: RemoteId,
    pub carrier: Option<String>,
    pub tracking: Option<String>,
    /// Order line → units.
    pub lines: BTreeMap<RemoteId, Decimal>,
}

/// Who bought. Sealed wherever it is kept, never in a log, an error or a page that may not show it.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Person {
    pub email: Option<String>,
    pub name: Option<String>,
    pub phone: Option<String>,
    pub company: Option<String>,
    pub vat_number: Option<String>,
    pub language: Option<String>,
    pub billing: Option<Address>,
    pub shipping: Option<Address>,
    pub note: Option<String>,
}

impl Person {
    /// Where the goods go: of the delivery address, else of the other.
    pub fn country(&self) -> Option<&str> {
        let address = self.shipping.as_ref().or(self.billing.as_ref())?;
        address
            .country
            .as_deref()
            .filter(|country| !country.is_empty())
    }
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Person(…)")
    }
}

#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Address {
    pub name: Option<String>,
    pub company: Option<String>,
    pub street: Option<String>,
    pub street2: Option<String>,
    pub postcode: Option<String>,
    pub city: Option<String>,
    pub region: Option<String>,
    /// ISO 3166 alpha-2, upper case.
    pub country: Option<String>,
    pub phone: Option<String>,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(…)")
    }
}

/// An order to be made in a receiving shop: a copy, in the receiver's terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrder {
    pub key: OrderKey,
    /// The buyer's number with the origin's prefix, for the reference field.
    pub reference: String,
    /// The origin's order, its methods, term and rates already in the receiver's words.
    pub order: Order,
    pub branch: Option<RemoteId>,
    pub stock: Option<RemoteId>,
    pub payment_term: Option<RemoteId>,
    /// Days until an invoice order is due.
    pub due_days: Option<u32>,
    /// Whether the receiver may send its own confirmation to the buyer.
    pub send_confirmation: bool,
}

/// A state carried from one side of an order to the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum OrderStep {
    Pay,
    /// Lines named by SKU: line ids differ between shops.
    Ship {
        parcel: RemoteId,
        carrier: Option<String>,
        tracking: Option<String>,
        lines: BTreeMap<Sku, Decimal>,
    },
    Cancel,
    Refund {
        lines: BTreeMap<Sku, Decimal>,
        restock: bool,
    },
    /// The buyer gets these units of these items; 0: none of it any more. Whole numbers for each, so that it may be
    /// done twice.
    Edit {
        lines: BTreeMap<Sku, Edited>,
    },
}

/// A line as an edit wants it; amounts as the origin states them, for a line that is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edited {
    pub quantity: Decimal,
    pub title: String,
    pub unit_price: Decimal,
    /// Percent.
    pub tax_rate: Decimal,
}
