//! Medusa's JSON (v2.21), as far as it is read. Amounts are JSON numbers in major units.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;

/// No sum or product of what is within it leaves what a decimal can hold.
const AMOUNT_MAX: i64 = 1_000_000_000_000;
/// What is left of an amount when binary fractions cancel out: it is none.
const NOTHING: f64 = 1e-9;

/// A JSON number is a JavaScript number there: its shortest text is what is meant.
pub(super) fn decimal(number: &Number) -> Option<Decimal> {
    if number.as_f64().is_some_and(|number| number.abs() < NOTHING) {
        return Some(Decimal::ZERO);
    }
    let text = number.to_string();
    let decimal: Option<Decimal> = text.parse().ok();
    let decimal = decimal.or_else(|| Decimal::from_scientific(&text).ok())?;
    (decimal.abs() <= Decimal::from(AMOUNT_MAX)).then_some(decimal)
}

fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    match Option::<Number>::deserialize(deserializer)? {
        None => Ok(Decimal::ZERO),
        Some(number) => decimal(&number).ok_or_else(|| serde::de::Error::custom(TOO_MUCH)),
    }
}

const TOO_MUCH: &str = "a number beyond a million million";

/// `null` for an empty list.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}

/// A page of a list, under whichever plural it comes; its members are read one by one.
#[derive(Deserialize)]
pub(super) struct List {
    #[serde(
        alias = "products",
        alias = "orders",
        alias = "draft_orders",
        alias = "variants",
        alias = "payments",
        alias = "product_options",
        alias = "price_lists",
        alias = "prices"
    )]
    pub items: Vec<Box<RawValue>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Tag {
    pub id: Option<String>,
}

#[derive(Deserialize, Default)]
pub(super) struct Refused {
    #[serde(default, rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub message: String,
}

#[derive(Deserialize)]
pub(super) struct Product {
    pub id: String,
    pub title: String,
    pub handle: Option<String>,
    pub status: String,
    pub description: Option<String>,
    pub updated_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    pub metadata: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "list")]
    pub options: Vec<ProductOption>,
    #[serde(default, deserialize_with = "list")]
    pub variants: Vec<Variant>,
}

/// Where a product is sold.
#[derive(Deserialize)]
pub(super) struct Sold {
    pub deleted_at: Option<Timestamp>,
    pub sales_channels: Option<Vec<Id>>,
}

#[derive(Deserialize)]
pub(super) struct ProductOption {
    pub id: String,
    pub title: String,
    /// Else other products share it. Missing before 2.17, when none did.
    #[serde(default = "yes")]
    pub is_exclusive: bool,
    pub deleted_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "list")]
    pub values: Vec<OptionValue>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
pub(super) struct OptionValue {
    #[serde(default)]
    pub id: String,
    pub value: String,
    pub deleted_at: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(super) struct Variant {
    pub id: String,
    pub title: Option<String>,
    pub sku: Option<String>,
    pub ean: Option<String>,
    pub upc: Option<String>,
    pub barcode: Option<String>,
    #[serde(default, deserialize_with = "some_amount")]
    pub weight: Option<Decimal>,
    #[serde(default)]
    pub allow_backorder: bool,
    pub variant_rank: Option<i64>,
    pub deleted_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "list")]
    pub options: Vec<VariantOption>,
    #[serde(default, deserialize_with = "list")]
    pub prices: Vec<Price>,
}

fn some_amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
    match Option::<Number>::deserialize(deserializer)? {
        None => Ok(None),
        Some(number) => decimal(&number)
            .map(Some)
            .ok_or_else(|| serde::de::Error::custom(TOO_MUCH)),
    }
}

#[derive(Deserialize)]
pub(super) struct VariantOption {
    pub value: String,
    pub option: Option<OptionTitle>,
}

#[derive(Deserialize)]
pub(super) struct OptionTitle {
    pub title: String,
}

#[derive(Deserialize, Clone)]
pub(super) struct Price {
    pub id: String,
    pub currency_code: String,
    #[serde(deserialize_with = "amount")]
    pub amount: Decimal,
    #[serde(default, deserialize_with = "some_amount")]
    pub min_quantity: Option<Decimal>,
    #[serde(default, deserialize_with = "some_amount")]
    pub max_quantity: Option<Decimal>,
    #[serde(default)]
    pub rules: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
pub(super) struct PriceList {
    pub id: String,
    #[serde(default, rename = "type")]
    pub sort: String,
    #[serde(default)]
    pub status: String,
    pub starts_at: Option<Timestamp>,
    pub ends_at: Option<Timestamp>,
    pub updated_at: Option<Timestamp>,
    pub metadata: Option<Map<String, Value>>,
    /// For whom it is.
    #[serde(default)]
    pub rules: Map<String, Value>,
}

impl PriceList {
    pub fn is_sale(&self) -> bool {
        self.sort == "sale"
    }

    /// Does everybody buy by it at this time?
    pub fn runs_for_all(&self, now: Timestamp) -> bool {
        self.is_sale()
            && self.status == "active"
            && self.rules.is_empty()
            && self.starts_at.is_none_or(|at| at <= now)
            && self.ends_at.is_none_or(|at| at >= now)
    }

    pub fn is_ours(&self, (name, value): (&str, &str)) -> bool {
        let metadata = self.metadata.as_ref();
        metadata
            .and_then(|fields| fields.get(name))
            .and_then(Value::as_str)
            == Some(value)
    }
}

#[derive(Deserialize)]
pub(super) struct OnePriceList {
    pub price_list: Id,
}

#[derive(Deserialize)]
pub(super) struct ListPrice {
    pub id: String,
    pub currency_code: String,
    #[serde(deserialize_with = "amount")]
    pub amount: Decimal,
    #[serde(default, deserialize_with = "some_amount")]
    pub min_quantity: Option<Decimal>,
    #[serde(default, deserialize_with = "some_amount")]
    pub max_quantity: Option<Decimal>,
    pub updated_at: Option<Timestamp>,
    pub price_set: Option<PriceSet>,
    #[serde(default, deserialize_with = "list")]
    pub price_rules: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct PriceSet {
    pub variant: Option<PricedVariant>,
}

#[derive(Deserialize)]
pub(super) struct PricedVariant {
    pub id: String,
    pub product_id: Option<String>,
}

impl ListPrice {
    /// `None`: of a variant that was deleted, or of no variant at all.
    pub fn variant(&self) -> Option<&PricedVariant> {
        self.price_set.as_ref()?.variant.as_ref()
    }

    /// No rule, no quantity step.
    pub fn is_for_all(&self) -> bool {
        self.price_rules.is_empty()
            && self.min_quantity.is_none_or(|min| min <= Decimal::ONE)
            && self.max_quantity.is_none()
    }
}

#[derive(Deserialize)]
pub(super) struct PricesMade {
    #[serde(default, deserialize_with = "list")]
    pub created: Vec<ListPrice>,
}

#[derive(Deserialize)]
pub(super) struct Products {
    pub products: Vec<Product>,
}

#[derive(Deserialize)]
pub(super) struct ProductBatch {
    #[serde(default)]
    pub created: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
pub(super) struct OneProduct {
    pub product: Box<RawValue>,
}

/// A variant and the items that its units are made of.
#[derive(Deserialize)]
pub(super) struct Stocked {
    pub id: String,
    pub sku: Option<String>,
    #[serde(default)]
    pub manage_inventory: bool,
    #[serde(default, deserialize_with = "list")]
    pub inventory_items: Vec<ItemLink>,
}

#[derive(Deserialize)]
pub(super) struct ItemLink {
    #[serde(deserialize_with = "amount")]
    pub required_quantity: Decimal,
    pub inventory: Option<InventoryItem>,
}

#[derive(Deserialize)]
pub(super) struct InventoryItem {
    pub id: String,
    #[serde(default, deserialize_with = "list")]
    pub location_levels: Vec<LocationLevel>,
    #[serde(default, deserialize_with = "list")]
    pub reservation_items: Vec<Reservation>,
    /// Those that are made of it.
    #[serde(default, deserialize_with = "list")]
    pub variants: Vec<Id>,
}

impl InventoryItem {
    /// Units at a location that somebody reserved there, and no order line.
    pub fn by_hand(&self, location: &str) -> Decimal {
        let by_hand = self.reservation_items.iter().filter(|row| {
            row.line_item_id.is_none() && row.location_id.as_deref() == Some(location)
        });
        by_hand.map(|row| row.quantity).sum()
    }
}

#[derive(Deserialize)]
pub(super) struct Reservations {
    pub reservations: Vec<Reservation>,
}

#[derive(Deserialize)]
pub(super) struct Reservation {
    pub line_item_id: Option<String>,
    pub location_id: Option<String>,
    #[serde(default, deserialize_with = "amount")]
    pub quantity: Decimal,
}

#[derive(Deserialize)]
pub(super) struct OptionRow {
    #[serde(default)]
    pub products: Option<Vec<Id>>,
}

#[derive(Deserialize)]
pub(super) struct LocationLevel {
    pub location_id: String,
    #[serde(default)]
    pub inventory_item_id: String,
    #[serde(deserialize_with = "amount")]
    pub stocked_quantity: Decimal,
    #[serde(default, deserialize_with = "amount")]
    pub reserved_quantity: Decimal,
    pub updated_at: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(super) struct LevelBatch {
    #[serde(default)]
    pub created: Vec<LocationLevel>,
    #[serde(default)]
    pub updated: Vec<LocationLevel>,
}

#[derive(Deserialize)]
pub(super) struct Variants {
    pub variants: Vec<VariantRow>,
}

#[derive(Deserialize)]
pub(super) struct VariantRow {
    pub id: String,
    pub sku: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Order {
    pub id: String,
    pub display_id: Option<u64>,
    pub status: String,
    #[serde(default)]
    pub payment_status: String,
    pub currency_code: String,
    /// Less what came back and what was given back.
    #[serde(deserialize_with = "amount")]
    pub total: Decimal,
    #[serde(default, deserialize_with = "amount")]
    pub credit_line_total: Decimal,
    pub email: Option<String>,
    pub locale: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Option<Timestamp>,
    pub metadata: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "list")]
    pub items: Vec<Item>,
    #[serde(default, deserialize_with = "list")]
    pub shipping_methods: Vec<ShippingMethod>,
    pub shipping_address: Option<Address>,
    pub billing_address: Option<Address>,
    #[serde(default, deserialize_with = "list")]
    pub payment_collections: Vec<PaymentCollection>,
    #[serde(default, deserialize_with = "list")]
    pub fulfillments: Vec<Shipment>,
}

#[derive(Deserialize)]
pub(super) struct Item {
    pub id: String,
    #[serde(default)]
    pub title: String,
    pub subtitle: Option<String>,
    pub variant_id: Option<String>,
    pub variant_sku: Option<String>,
    #[serde(deserialize_with = "amount")]
    pub quantity: Decimal,
    /// With or without tax, as `is_tax_inclusive` says; the totals are with it.
    #[serde(deserialize_with = "amount")]
    pub unit_price: Decimal,
    #[serde(default)]
    pub is_tax_inclusive: bool,
    #[serde(default, deserialize_with = "amount")]
    pub total: Decimal,
    #[serde(default, deserialize_with = "amount")]
    pub tax_total: Decimal,
    #[serde(default, deserialize_with = "amount")]
    pub discount_total: Decimal,
    #[serde(default, deserialize_with = "list")]
    pub tax_lines: Vec<TaxLine>,
    #[serde(default, deserialize_with = "list")]
    pub adjustments: Vec<Adjustment>,
    pub detail: Option<ItemDetail>,
    pub variant: Option<ItemVariant>,
    pub metadata: Option<Map<String, Value>>,
    /// Said by the line's reservation, which is a list of its own.
    #[serde(skip)]
    pub reserved_at: Option<String>,
}

impl Order {
    /// Lines of which units may be reserved now.
    pub fn reserved_lines(&self) -> impl Iterator<Item = &str> {
        let is_over = self.status == "canceled";
        let items = self.items.iter().filter(move |item| {
            let detail = item.detail.as_ref();
            let packed = detail.map_or(Decimal::ZERO, |detail| detail.fulfilled_quantity);
            !is_over && item.variant_id.is_some() && packed < item.ordered()
        });
        items.map(|item| item.id.as_str())
    }

    /// The location that units of this line were packed at.
    pub fn packed_at(&self, line: &str) -> Option<&str> {
        let parcels = self.fulfillments.iter().rev();
        let mut parcels = parcels.filter(|parcel| parcel.canceled_at.is_none());
        let has_it = |parcel: &&Shipment| {
            let mut items = parcel.items.iter();
            items.any(|item| item.line_item_id.as_deref() == Some(line))
        };
        parcels.find(has_it)?.location_id.as_deref()
    }
}

impl Item {
    pub fn ordered(&self) -> Decimal {
        let detail = self.detail.as_ref();
        detail.map_or(self.quantity, |detail| detail.quantity)
    }

    /// Returned, whether it is for sale again or not.
    pub fn came_back(&self) -> Decimal {
        let detail = self.detail.as_ref();
        detail.map_or(Decimal::ZERO, |detail| {
            detail.return_received_quantity + detail.return_dismissed_quantity
        })
    }
}

/// A discount on a line.
#[derive(Deserialize)]
pub(super) struct Adjustment {
    /// Of the promotion.
    pub code: Option<String>,
    pub description: Option<String>,
    #[serde(deserialize_with = "amount")]
    pub amount: Decimal,
    #[serde(default)]
    pub is_tax_inclusive: bool,
}

#[derive(Deserialize)]
pub(super) struct ItemVariant {
    pub manage_inventory: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct TaxLine {
    #[serde(deserialize_with = "amount")]
    pub rate: Decimal,
}

#[derive(Deserialize)]
pub(super) struct ItemDetail {
    #[serde(deserialize_with = "amount")]
    pub quantity: Decimal,
    #[serde(default, deserialize_with = "amount")]
    pub fulfilled_quantity: Decimal,
    #[serde(default, deserialize_with = "amount")]
    pub shipped_quantity: Decimal,
    #[serde(default, deserialize_with = "amount")]
    pub delivered_quantity: Decimal,
    #[serde(default, deserialize_with = "amount")]
    pub return_received_quantity: Decimal,
    #[serde(default, deserialize_with = "amount")]
    pub return_dismissed_quantity: Decimal,
}

#[derive(Deserialize)]
pub(super) struct ShippingMethod {
    #[serde(default)]
    pub name: String,
    pub shipping_option_id: Option<String>,
    #[serde(default, deserialize_with = "amount")]
    pub total: Decimal,
    #[serde(default, deserialize_with = "amount")]
    pub tax_total: Decimal,
    #[serde(default, deserialize_with = "list")]
    pub tax_lines: Vec<TaxLine>,
}

#[derive(Deserialize)]
pub(super) struct Address {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub company: Option<String>,
    pub address_1: Option<String>,
    pub address_2: Option<String>,
    pub postal_code: Option<String>,
    pub city: Option<String>,
    pub province: Option<String>,
    pub country_code: Option<String>,
    pub phone: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct PaymentCollection {
    pub id: String,
    #[serde(default)]
    pub status: String,
    #[serde(default, deserialize_with = "amount")]
    pub amount: Decimal,
    #[serde(default, deserialize_with = "amount")]
    pub captured_amount: Decimal,
    #[serde(default, deserialize_with = "amount")]
    pub refunded_amount: Decimal,
    #[serde(default, deserialize_with = "list")]
    pub payments: Vec<Payment>,
}

#[derive(Deserialize)]
pub(super) struct Payment {
    pub id: String,
    pub provider_id: Option<String>,
    pub captured_at: Option<Timestamp>,
    pub canceled_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "list")]
    pub refunds: Vec<Refund>,
}

#[derive(Deserialize)]
pub(super) struct Refund {
    pub id: String,
    #[serde(deserialize_with = "amount")]
    pub amount: Decimal,
}

/// What Medusa calls a fulfilment: packed first, shipped later.
#[derive(Deserialize)]
pub(super) struct Shipment {
    pub id: String,
    pub location_id: Option<String>,
    pub shipped_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    pub canceled_at: Option<Timestamp>,
    pub metadata: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "list")]
    pub items: Vec<ShipmentItem>,
    #[serde(default, deserialize_with = "list")]
    pub labels: Vec<Label>,
}

#[derive(Deserialize)]
pub(super) struct ShipmentItem {
    pub line_item_id: Option<String>,
    #[serde(deserialize_with = "amount")]
    pub quantity: Decimal,
}

#[derive(Deserialize)]
pub(super) struct Label {
    pub tracking_number: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct OrderShipments {
    pub order: Shipments,
}

#[derive(Deserialize)]
pub(super) struct Shipments {
    #[serde(default, deserialize_with = "list")]
    pub fulfillments: Vec<Id>,
}

#[derive(Deserialize)]
pub(super) struct OneDraft {
    pub draft_order: Draft,
}

#[derive(Deserialize)]
pub(super) struct Draft {
    pub id: String,
    #[serde(default, deserialize_with = "some_amount")]
    pub total: Option<Decimal>,
    pub metadata: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "list")]
    pub items: Vec<DraftItem>,
    #[serde(default, deserialize_with = "list")]
    pub shipping_methods: Vec<DraftShipping>,
}

#[derive(Deserialize)]
pub(super) struct DraftItem {
    pub metadata: Option<Map<String, Value>>,
    #[serde(default)]
    pub is_tax_inclusive: bool,
    #[serde(default, deserialize_with = "list")]
    pub tax_lines: Vec<TaxLine>,
}

#[derive(Deserialize)]
pub(super) struct DraftShipping {
    pub data: Option<Map<String, Value>>,
    #[serde(default)]
    pub is_tax_inclusive: bool,
    #[serde(default, deserialize_with = "list")]
    pub tax_lines: Vec<TaxLine>,
}

/// A payment, and the order that it is for.
#[derive(Deserialize)]
pub(super) struct PaymentRow {
    pub payment_collection: Option<PaidCollection>,
}

#[derive(Deserialize)]
pub(super) struct PaidCollection {
    pub order: Option<Id>,
}

#[derive(Deserialize)]
pub(super) struct Id {
    pub id: String,
}

#[derive(Deserialize)]
pub(super) struct OnePaymentCollection {
    pub payment_collection: Id,
}

#[derive(Deserialize)]
pub(super) struct Stores {
    pub stores: Vec<Store>,
}

#[derive(Deserialize)]
pub(super) struct Store {
    pub name: String,
    pub default_sales_channel_id: Option<String>,
    #[serde(default, deserialize_with = "list")]
    pub supported_currencies: Vec<StoreCurrency>,
    #[serde(default, deserialize_with = "list")]
    pub supported_locales: Vec<StoreLocale>,
}

#[derive(Deserialize)]
pub(super) struct StoreCurrency {
    pub currency_code: String,
    #[serde(default)]
    pub is_default: bool,
}

#[derive(Deserialize)]
pub(super) struct StoreLocale {
    pub locale_code: String,
}

/// Rows with an id and a name, under whichever plural they come.
#[derive(Deserialize)]
pub(super) struct NamedList {
    #[serde(
        alias = "stock_locations",
        alias = "sales_channels",
        alias = "shipping_profiles",
        alias = "shipping_options"
    )]
    pub rows: Vec<Named>,
}

#[derive(Deserialize)]
pub(super) struct Named {
    pub id: String,
    pub name: String,
    /// Of a shipping profile.
    #[serde(default, rename = "type")]
    pub sort: String,
}

#[derive(Deserialize)]
pub(super) struct Regions {
    pub regions: Vec<Region>,
}

#[derive(Deserialize, Clone)]
pub(super) struct Region {
    pub id: String,
    pub name: String,
    pub currency_code: String,
    #[serde(default)]
    pub automatic_taxes: bool,
    #[serde(default)]
    pub payment_providers: Option<Vec<Provider>>,
    #[serde(default)]
    pub countries: Option<Vec<Country>>,
}

impl Region {
    /// ISO 3166 alpha-2, in either case.
    pub fn has_country(&self, code: &str) -> bool {
        let mut countries = self.countries.iter().flatten();
        countries.any(|country| country.iso_2.eq_ignore_ascii_case(code))
    }
}

#[derive(Deserialize, Clone)]
pub(super) struct Country {
    pub iso_2: String,
}

#[derive(Deserialize, Clone)]
pub(super) struct Provider {
    pub id: String,
}

#[derive(Deserialize)]
pub(super) struct TaxRates {
    pub tax_rates: Vec<TaxRate>,
}

#[derive(Deserialize)]
pub(super) struct TaxRate {
    #[serde(default, deserialize_with = "some_amount")]
    pub rate: Option<Decimal>,
}

#[derive(Deserialize)]
pub(super) struct PricePreferences {
    pub price_preferences: Vec<PricePreference>,
}

#[derive(Deserialize)]
pub(super) struct PricePreference {
    pub attribute: String,
    pub value: String,
    #[serde(default)]
    pub is_tax_inclusive: bool,
}
