//! The practice shop's JSON, as its README has it. What it says beyond this is left alone.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub(super) struct List {
    /// Read one by one: a bad one must not hide the others.
    pub items: Vec<Box<RawValue>>,
    pub next_cursor: Option<String>,
    /// Missing in a look-up.
    pub as_of: Option<Timestamp>,
}

/// What can be told of a record that cannot be read.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Tag {
    pub id: Option<String>,
    pub sku: Option<String>,
    pub deleted_at: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(super) struct Shop {
    pub name: String,
    pub version: Option<String>,
    pub currency: String,
    pub time_zone: Option<String>,
    #[serde(default)]
    pub languages: Vec<String>,
    #[serde(default)]
    pub prices_include_tax: bool,
    #[serde(default)]
    pub stocks: Vec<Named>,
    #[serde(default)]
    pub shop_versions: Vec<Named>,
    #[serde(default)]
    pub shipping_methods: Vec<Named>,
    #[serde(default)]
    pub payment_methods: Vec<Named>,
    #[serde(default)]
    pub payment_terms: Vec<Named>,
    #[serde(default)]
    pub branches: Vec<Named>,
    #[serde(default)]
    pub shelves: Vec<Named>,
    #[serde(default)]
    pub tax_rates: Vec<TaxRate>,
    #[serde(default)]
    pub countries: Vec<String>,
    pub semantics: Semantics,
}

#[derive(Deserialize)]
pub(super) struct Named {
    pub id: String,
    pub name: String,
}

#[derive(Deserialize)]
pub(super) struct TaxRate {
    pub rate: Decimal,
}

#[derive(Deserialize)]
pub(super) struct Semantics {
    pub takes: String,
    #[serde(default)]
    pub copies_take: bool,
}

#[derive(Deserialize)]
pub(super) struct Product {
    pub id: String,
    pub handle: Option<String>,
    pub title: String,
    pub description: Option<String>,
    #[serde(default)]
    pub texts: BTreeMap<String, BTreeMap<String, Option<String>>>,
    pub status: String,
    #[serde(default)]
    pub category_ids: Vec<String>,
    #[serde(default)]
    pub shop_versions: Vec<String>,
    #[serde(default)]
    pub options: Vec<String>,
    pub variants: Vec<Variant>,
    #[serde(default)]
    pub pictures: Vec<Picture>,
    #[serde(default)]
    pub attributes: BTreeMap<String, serde_json::Value>,
    pub modified_at: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(super) struct Variant {
    pub id: String,
    #[serde(default)]
    pub sku: String,
    pub gtin: Option<String>,
    pub price: Decimal,
    pub sale_price: Option<Decimal>,
    pub currency: String,
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    pub weight_g: Option<i64>,
    #[serde(default)]
    pub backorder: bool,
}

#[derive(Deserialize)]
pub(super) struct Picture {
    pub id: String,
    pub url: String,
    #[serde(default)]
    pub alt: String,
    pub sha256: String,
    #[serde(default)]
    pub position: i64,
}

#[derive(Deserialize)]
pub(super) struct Category {
    pub id: String,
    pub name: String,
    pub parent_id: Option<String>,
    pub position: Option<i64>,
    pub modified_at: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(super) struct Level {
    #[serde(default)]
    pub variant_id: Option<String>,
    pub sku: String,
    pub stock: String,
    pub on_hand: i64,
    pub reserved: i64,
    pub location: Option<String>,
    pub rev: i64,
    pub modified_at: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(super) struct Order {
    pub id: String,
    pub number: String,
    pub external_key: Option<String>,
    pub stock: Option<String>,
    pub payment_term: Option<String>,
    pub placed_at: Timestamp,
    pub modified_at: Option<Timestamp>,
    pub currency: String,
    pub payment: String,
    pub fulfilment: String,
    pub cancelled: bool,
    pub lines: Vec<Line>,
    #[serde(default)]
    pub charges: Vec<Charge>,
    pub total: Decimal,
    #[serde(default)]
    pub tax_by_rate: Vec<TaxSum>,
    pub buyer: Option<Buyer>,
    pub billing: Option<Address>,
    pub shipping: Option<Address>,
    pub payment_method: Option<String>,
    pub shipping_method: Option<String>,
    pub note: Option<String>,
    #[serde(default)]
    pub parcels: Vec<Parcel>,
    #[serde(default)]
    pub refunds: Vec<Back>,
    #[serde(default)]
    pub returns: Vec<Back>,
    #[serde(default)]
    pub cancellations: Vec<Back>,
    #[serde(default)]
    pub discounts: Vec<Discount>,
}

/// Money or units that went back.
#[derive(Deserialize)]
pub(super) struct Back {
    pub id: String,
    pub key: Option<String>,
    /// Of a refund.
    #[serde(default)]
    pub amount: Decimal,
    /// Of a refund: the part of the amount that is of shipping and fees.
    #[serde(default)]
    pub charges: Decimal,
    #[serde(default)]
    pub lines: Vec<ParcelLine>,
    pub restock: bool,
}

#[derive(Deserialize)]
pub(super) struct Discount {
    #[serde(default)]
    pub title: String,
    pub amount: Decimal,
}

#[derive(Deserialize)]
pub(super) struct Line {
    pub id: String,
    pub key: Option<String>,
    #[serde(default)]
    pub variant_id: Option<String>,
    pub sku: Option<String>,
    #[serde(default)]
    pub title: String,
    pub quantity: i64,
    pub unit_price: Decimal,
    pub net: Decimal,
    pub tax: Decimal,
    pub gross: Decimal,
    pub tax_rate: Decimal,
    #[serde(default)]
    pub discount: Decimal,
    pub taken: i64,
    pub shipped: i64,
    pub cancelled: i64,
    pub returned: i64,
}

#[derive(Deserialize)]
pub(super) struct Charge {
    pub kind: String,
    #[serde(default)]
    pub title: String,
    pub net: Decimal,
    pub tax: Decimal,
    pub gross: Decimal,
    pub tax_rate: Decimal,
}

#[derive(Deserialize)]
pub(super) struct TaxSum {
    pub rate: Decimal,
    pub tax: Decimal,
}

#[derive(Deserialize)]
pub(super) struct Buyer {
    pub name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub company: Option<String>,
    pub vat_number: Option<String>,
    pub language: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Address {
    pub name: Option<String>,
    pub company: Option<String>,
    pub street: Option<String>,
    pub street2: Option<String>,
    pub postal_code: Option<String>,
    pub city: Option<String>,
    pub region: Option<String>,
    pub country: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Parcel {
    pub id: String,
    pub key: Option<String>,
    pub tracking: Option<String>,
    pub carrier: Option<String>,
    #[serde(default)]
    pub lines: Vec<ParcelLine>,
}

#[derive(Deserialize)]
pub(super) struct ParcelLine {
    pub id: String,
    pub quantity: i64,
}

/// The answer to a batch: one for each member, in order.
#[derive(Deserialize)]
pub(super) struct Answers {
    pub items: Vec<Answer>,
}

#[derive(Deserialize)]
pub(super) struct Answer {
    pub status: u16,
    pub id: Option<String>,
    pub record: Option<Box<RawValue>>,
    pub error: Option<Problem>,
}

#[derive(Deserialize, Default)]
pub(super) struct Problem {
    #[serde(default)]
    pub code: String,
    pub detail: Option<String>,
    pub field: Option<String>,
    pub existing: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Hooks {
    pub items: Vec<HookRow>,
}

#[derive(Deserialize)]
pub(super) struct HookRow {
    pub id: String,
    pub url: String,
    #[serde(default)]
    pub topics: Vec<String>,
    #[serde(default)]
    pub enabled: bool,
}

/// A delivery; its signature is over exactly these bytes.
#[derive(Deserialize)]
pub(super) struct Delivery {
    pub topic: String,
}
