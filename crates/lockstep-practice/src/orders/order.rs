//! An order as the wire has it. The same form is kept in the database.

use serde::{Deserialize, Serialize};

use super::lifecycle::Units;
use crate::money::{Money, Percent};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payment {
    Pending,
    Paid,
    PartlyRefunded,
    Refunded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fulfilment {
    Open,
    Partly,
    Shipped,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub id: String,
    pub number: String,
    pub external_key: Option<String>,
    pub reference: Option<String>,
    pub branch: Option<String>,
    pub shop_version: Option<String>,
    pub stock: String,
    pub payment_term: Option<String>,
    pub due_at: Option<String>,
    pub placed_at: String,
    pub modified_at: String,
    pub rev: i64,
    pub currency: String,
    pub prices_include_tax: bool,
    pub payment: Payment,
    pub fulfilment: Fulfilment,
    pub cancelled: bool,
    pub lines: Vec<Line>,
    pub charges: Vec<Charge>,
    pub discounts: Vec<Discount>,
    pub total: Money,
    pub tax_by_rate: Vec<TaxSum>,
    pub refunded: Money,
    pub buyer: Buyer,
    pub billing: Option<Address>,
    pub shipping: Option<Address>,
    pub payment_method: Option<String>,
    pub shipping_method: Option<String>,
    pub note: Option<String>,
    pub parcels: Vec<Parcel>,
    pub refunds: Vec<Refund>,
    pub returns: Vec<Return>,
    /// Cancelled parts that were given a key.
    pub cancellations: Vec<Cancellation>,
    pub confirmation_mail: Mail,
    /// Filled in when it is answered: the address of the shop may change.
    #[serde(default)]
    pub page_url: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub id: String,
    /// The caller's own name for it.
    #[serde(default)]
    pub key: Option<String>,
    /// What it was sold from, whatever that is called since.
    #[serde(default)]
    pub variant_id: Option<String>,
    pub sku: Option<String>,
    pub title: String,
    pub quantity: i64,
    pub unit_price: Money,
    pub net: Money,
    pub tax: Money,
    pub gross: Money,
    pub tax_rate: Percent,
    pub discount: Money,
    pub taken: i64,
    /// The part of `taken` that is a reservation.
    pub reserved: i64,
    pub shipped: i64,
    pub cancelled: i64,
    pub returned: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    pub kind: ChargeKind,
    pub title: String,
    #[serde(default)]
    pub method: Option<String>,
    pub net: Money,
    pub tax: Money,
    pub gross: Money,
    pub tax_rate: Percent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeKind {
    Shipping,
    Payment,
    Fee,
    Discount,
    Rounding,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discount {
    pub title: String,
    pub amount: Money,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaxSum {
    pub rate: Percent,
    pub net: Money,
    pub tax: Money,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Buyer {
    pub name: String,
    pub email: String,
    pub phone: Option<String>,
    pub company: Option<String>,
    pub vat_number: Option<String>,
    pub language: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Address {
    pub name: String,
    pub company: Option<String>,
    pub street: String,
    pub street2: Option<String>,
    pub postal_code: String,
    pub city: String,
    pub region: Option<String>,
    pub country: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    pub id: String,
    pub key: Option<String>,
    pub tracking: Option<String>,
    pub carrier: Option<String>,
    pub lines: Vec<Part>,
    pub shipped_at: String,
    pub mail_sent: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refund {
    pub id: String,
    pub key: Option<String>,
    pub amount: Money,
    /// The part of the amount that is of shipping and fees.
    #[serde(default)]
    pub charges: Money,
    pub lines: Vec<Part>,
    pub restock: bool,
    pub reason: Option<String>,
    pub at: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Return {
    pub id: String,
    pub key: Option<String>,
    pub lines: Vec<Part>,
    pub restock: bool,
    pub at: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cancellation {
    pub id: String,
    pub key: Option<String>,
    pub lines: Vec<Part>,
    pub restock: bool,
    pub at: String,
}

/// Some units of one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub id: String,
    pub quantity: i64,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Mail {
    pub sent: bool,
    pub at: Option<String>,
}

impl Line {
    pub fn units(&self) -> Units {
        Units {
            quantity: self.quantity,
            shipped: self.shipped,
            cancelled: self.cancelled,
            returned: self.returned,
            out: self.taken - self.reserved,
            reserved: self.reserved,
        }
    }

    pub fn set_units(&mut self, units: Units) {
        self.quantity = units.quantity;
        self.shipped = units.shipped;
        self.cancelled = units.cancelled;
        self.returned = units.returned;
        self.taken = units.taken();
        self.reserved = units.reserved;
    }
}

impl Order {
    /// Paid at some time: refunding does not make it unpaid.
    pub fn was_paid(&self) -> bool {
        self.payment != Payment::Pending
    }

    /// Sets what follows from the lines and the refunds.
    pub fn settle(&mut self) {
        // A rounding or discount line is never shipped: it counts only where nothing else does.
        let goods = self.lines.iter().any(|line| line.sku.is_some());
        let counted = || {
            self.lines
                .iter()
                .filter(|line| !goods || line.sku.is_some())
        };
        let sum = |of: fn(&Line) -> i64| counted().map(of).sum::<i64>();
        let (ordered, shipped, cancelled) = (
            sum(|line| line.quantity),
            sum(|line| line.shipped),
            sum(|line| line.cancelled),
        );
        self.cancelled = ordered > 0 && cancelled == ordered;
        self.fulfilment = if shipped == 0 {
            Fulfilment::Open
        } else if shipped + cancelled == ordered {
            Fulfilment::Shipped
        } else {
            Fulfilment::Partly
        };
        if self.was_paid() {
            self.payment = if self.refunded.0.is_zero() {
                Payment::Paid
            } else if self.refunded >= self.total {
                Payment::Refunded
            } else {
                Payment::PartlyRefunded
            };
        }
    }
}
