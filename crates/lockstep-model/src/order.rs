//! Orders, as a connector reads them and as a copy is made of them.
//!
//! Personal data stands apart ([`Person`]), so that whatever is kept can be kept without it or seal it.

use crate::{Currency, ItemId, OrderKey, RemoteId, Sku};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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
    /// Money that was given back, in the order of time.
    #[serde(default)]
    pub refunds: Vec<Refund>,
    /// What was taken off, for people: the amounts are in lines and charges already.
    #[serde(default)]
    pub discounts: Vec<Discount>,
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
    /// In a copy: the line of its origin that it was made of, where the platform keeps that.
    #[serde(default)]
    pub of: Option<RemoteId>,
    /// The shop's own id of the variant, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<RemoteId>,
    /// Our own name of what was bought, where that is not its SKU; `None` in what a connector has read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemId>,
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
    /// Of what was cancelled or returned, the units that were not put back.
    #[serde(default)]
    pub written_off: Decimal,
    /// The stock it is taken from, where the shop says so.
    pub stock: Option<RemoteId>,
}

impl OrderState {
    /// What the buyer gets or got of each item: ordered, less what was cancelled.
    pub fn wanted(&self) -> BTreeMap<ItemId, Decimal> {
        let mut wanted: BTreeMap<ItemId, Decimal> = BTreeMap::new();
        for line in &self.lines {
            if let Some(item) = line.item() {
                *wanted.entry(item).or_default() += line.wanted();
            }
        }
        wanted
    }

    /// What was given back of the money.
    pub fn refunded(&self) -> Decimal {
        self.refunds.iter().map(|refund| refund.amount).sum()
    }

    pub fn line(&self, id: &RemoteId) -> Option<&OrderLine> {
        self.lines.iter().find(|line| line.id == *id)
    }
}

impl OrderLine {
    /// What was bought. As long as nobody has said what it is, it goes by its SKU.
    pub fn item(&self) -> Option<ItemId> {
        let by_sku = || self.sku.as_ref().map(ItemId::from);
        self.item.clone().or_else(by_sku)
    }

    /// What the buyer gets or got of it: ordered, less what was cancelled.
    pub fn wanted(&self) -> Decimal {
        self.quantity - self.cancelled
    }

    /// Neither shipped nor cancelled yet. What came back was shipped.
    pub fn open(&self) -> Decimal {
        self.quantity - self.cancelled - self.shipped.max(self.returned)
    }

    /// Nothing more will be shipped or given back for this line by an ordinary course of events.
    pub fn is_final(&self) -> bool {
        self.open() <= Decimal::ZERO
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        self.sku.as_ref().map_or(&self.title, |sku| sku.as_str())
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
    /// The parcel of the order's other side that it was made of, where the platform keeps that.
    #[serde(default)]
    pub of: Option<RemoteId>,
    pub carrier: Option<String>,
    pub tracking: Option<String>,
    /// Order line → units.
    pub lines: BTreeMap<RemoteId, Decimal>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Refund {
    pub id: RemoteId,
    /// The refund of the order's other side that it was made of, where the platform keeps that.
    #[serde(default)]
    pub of: Option<RemoteId>,
    pub amount: Decimal,
    /// The part of the amount that is of shipping and fees, where the shop says so.
    #[serde(default)]
    pub charges: Decimal,
    /// Order line → units that the money is of, where the shop says so.
    #[serde(default)]
    pub lines: BTreeMap<RemoteId, Decimal>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discount {
    /// What the buyer was shown: a campaign's name, a coupon's code.
    pub title: String,
    /// What was taken off.
    pub amount: Decimal,
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

/// A state carried from one side of an order to the other. Lines are those of the order that the step is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum OrderStep {
    Pay,
    Ship {
        /// The other side's; names this step.
        parcel: RemoteId,
        carrier: Option<String>,
        tracking: Option<String>,
        lines: BTreeMap<RemoteId, Decimal>,
    },
    /// All that is not shipped.
    Cancel,
    /// Some units will not be delivered. Moves no money.
    CancelUnits {
        /// Names this step: the same one again does nothing.
        key: RemoteId,
        lines: BTreeMap<RemoteId, Decimal>,
        restock: bool,
    },
    /// Units came back, money was given back, or both.
    Refund {
        /// Names this step: the same one again does nothing.
        key: RemoteId,
        /// What the buyer gets back, whatever the lines cost. 0: only units came back.
        amount: Decimal,
        /// The part of the amount that is of shipping and fees, where the other side says so.
        charges: Decimal,
        /// Shipped units that came back.
        lines: BTreeMap<RemoteId, Decimal>,
        restock: bool,
    },
    /// The lines shall be as these say. Whole numbers for each, so that it may be done twice.
    Edit {
        lines: Vec<Edited>,
    },
    /// The addresses and the note shall be those that go beside the step: what is personal does not stand in it.
    Readdress,
}

/// A line as an edit wants it; amounts as the origin states them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edited {
    /// The line to be changed; `None`: it is new.
    pub line: Option<RemoteId>,
    /// The origin's line.
    pub of: RemoteId,
    pub sku: Option<Sku>,
    pub title: String,
    /// Units ordered, those that were cancelled since with them. 0: none of it any more.
    pub quantity: Decimal,
    pub unit_price: Decimal,
    pub net: Decimal,
    pub tax: Decimal,
    pub gross: Decimal,
    /// Percent.
    pub tax_rate: Decimal,
    pub discount: Decimal,
}

/// A sort of step, as far as platforms can do some and not others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepSort {
    Pay,
    Ship,
    Cancel,
    CancelUnits,
    Refund,
    Edit,
    Readdress,
}

impl StepSort {
    pub const ALL: &[Self] = &[
        Self::Pay,
        Self::Ship,
        Self::Cancel,
        Self::CancelUnits,
        Self::Refund,
        Self::Edit,
        Self::Readdress,
    ];
}

impl Edited {
    /// What people call it.
    pub fn name(&self) -> &str {
        self.sku.as_ref().map_or(&self.title, |sku| sku.as_str())
    }
}

impl OrderStep {
    pub fn sort(&self) -> StepSort {
        match self {
            OrderStep::Pay => StepSort::Pay,
            OrderStep::Ship { .. } => StepSort::Ship,
            OrderStep::Cancel => StepSort::Cancel,
            OrderStep::CancelUnits { .. } => StepSort::CancelUnits,
            OrderStep::Refund { .. } => StepSort::Refund,
            OrderStep::Edit { .. } => StepSort::Edit,
            OrderStep::Readdress => StepSort::Readdress,
        }
    }
}

/// Which lines of a copy were made of which lines of its origin: made with the copy, and kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LineLinks {
    /// The copy's line → the origin's. Some platforms make several lines of one.
    pub lines: BTreeMap<RemoteId, RemoteId>,
    /// The origin's line → units of it that were cancelled before the copy was made, and are not in it.
    #[serde(default)]
    pub left_out: BTreeMap<RemoteId, Decimal>,
}

/// What was changed after the copy was made and has not been carried yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Edits {
    /// Lines of the origin whose units or price were changed while the copy was as the origin was.
    #[serde(default)]
    pub lines: BTreeSet<RemoteId>,
    /// The total of one side moved.
    #[serde(default)]
    pub total: bool,
    /// The origin's addresses or note.
    #[serde(default)]
    pub address: bool,
}
