//! Medusa's JSON ⇄ our records. Pure.
//!
//! What the platform has no field for and would otherwise be lost stands in its `metadata`, under our name.

use super::amounts::{self, rate_of, shown};
use super::{copies, wire};
use lockstep_model::{
    Address, BadRecord, Charge, ChargeKind, Currency, Discount, Fulfilment, ItemId, Order,
    OrderLine, OrderState, Parcel, Payment, Person, Product, Record, Refund, RemoteId, Stage,
    Status, Variant,
};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

pub(super) type Object = Map<String, Json>;

/// Our key of a copy.
pub(super) const KEY: &str = "lockstep_key";
pub(super) const REFERENCE: &str = "lockstep_reference";
/// The parcel of the origin that a fulfilment stands for.
pub(super) const PARCEL: &str = "lockstep_parcel";
/// The platform keeps no order of a product's options.
const OPTION_ORDER: &str = "lockstep_options";
/// Options that the product no longer has with us: none can be taken away as long as there are variants.
pub(super) const UNUSED: &str = "lockstep_unused";
pub(super) const NOTE: &str = "note";
pub(super) const VAT_NUMBER: &str = "vat_number";

/// A product must have an option; ours need not. The first is what we write, the second what its own pages write.
pub(super) const NO_OPTION: (&str, &str) = ("Default", "Default");
/// What it calls the variant of a product that has one.
const NO_SUBTITLES: [&str; 2] = [NO_OPTION.1, "Default variant"];
pub(super) const NO_OPTIONS: [(&str, &str); 2] =
    [NO_OPTION, ("Default option", "Default option value")];

/// Why a change cannot be said in this platform's words.
#[derive(Debug, PartialEq)]
pub(super) struct Unsayable {
    pub field: String,
    pub why: String,
}

pub(super) fn unsayable(field: impl Into<String>, why: impl Into<String>) -> Unsayable {
    Unsayable {
        field: field.into(),
        why: why.into(),
    }
}

pub(super) fn bad(raw: &str, reason: String) -> BadRecord {
    let tag: wire::Tag = serde_json::from_str(raw).unwrap_or_default();
    BadRecord {
        id: tag.id.map(RemoteId),
        reason,
    }
}

pub(super) fn read<'a, T: serde::Deserialize<'a>>(raw: &'a str) -> Result<T, String> {
    serde_json::from_str(raw).map_err(|error| {
        format!(
            "it is not what its API promises: {}",
            lockstep_model::misread(&error)
        )
    })
}

fn metadata_text(metadata: &Option<Object>, name: &str) -> Option<String> {
    let text = metadata.as_ref()?.get(name)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

// ---------------------------------------------------------------- products

pub(super) fn product_record(raw: &str) -> Result<Record, BadRecord> {
    let product = read::<wire::Product>(raw).map_err(|reason| bad(raw, reason))?;
    if product.deleted_at.is_some() {
        return Ok(Record::Gone {
            kind: lockstep_model::Kind::Product,
            id: product.id.into(),
        });
    }
    product_of(product)
        .map(Record::Product)
        .map_err(|reason| bad(raw, reason))
}

pub(super) fn product_of(product: wire::Product) -> Result<Product, String> {
    let status = match product.status.as_str() {
        "published" => Status::Active,
        "draft" | "proposed" | "rejected" => Status::Draft,
        _ => return Err("its status is none that its API knows".into()),
    };
    let live = |at: &Option<jiff::Timestamp>| at.is_none();
    let unused = unused(&product);
    let options: Vec<_> = product
        .options
        .iter()
        .filter(|option| live(&option.deleted_at) && !unused.contains(&option.id))
        .collect();
    let is_plain = has_no_options(&options);
    let mut names: Vec<String> = options.iter().map(|option| option.title.clone()).collect();
    let wanted = product.metadata.as_ref().and_then(|m| m.get(OPTION_ORDER));
    let wanted: Vec<&str> = wanted
        .and_then(Json::as_array)
        .map(|names| names.iter().filter_map(Json::as_str).collect())
        .unwrap_or_default();
    let place = |name: &str| wanted.iter().position(|wanted| *wanted == name);
    names.sort_by_key(|name| (place(name).unwrap_or(usize::MAX), name.clone()));
    let mut variants: Vec<_> = product.variants.into_iter().collect();
    variants.retain(|variant| live(&variant.deleted_at));
    variants.sort_by(|a, b| (a.variant_rank, &a.id).cmp(&(b.variant_rank, &b.id)));
    let title = &product.title;
    let variants = variants.into_iter().map(|variant| {
        let mut variant = variant_of(variant, title, is_plain)?;
        variant.options.retain(|name, _| names.contains(name));
        Ok::<_, String>(variant)
    });
    Ok(Product {
        id: product.id.into(),
        handle: Some(product.handle.unwrap_or_default()),
        description: Some(product.description.unwrap_or_default()),
        texts: BTreeMap::new(),
        status,
        categories: None,
        shop_versions: None,
        variants: variants.collect::<Result<_, _>>()?,
        options: if is_plain { Vec::new() } else { names },
        pictures: None,
        attributes: BTreeMap::new(),
        modified_at: product.updated_at,
        title: product.title,
    })
}

/// Options that stand there without meaning: those that we said so of, as long as all variants have one value of it.
pub(super) fn unused(product: &wire::Product) -> BTreeSet<String> {
    let said = product.metadata.as_ref().and_then(|m| m.get(UNUSED));
    let said = said.and_then(Json::as_array).into_iter().flatten();
    let is_one = |id: &str| {
        let titles = product.options.iter().filter(|option| option.id == id);
        let title = titles.map(|option| option.title.as_str()).next();
        let live = product.variants.iter().filter(|v| v.deleted_at.is_none());
        let values: BTreeSet<&str> = live
            .flat_map(|variant| &variant.options)
            .filter(|value| value.option.as_ref().map(|o| o.title.as_str()) == title)
            .map(|value| value.value.as_str())
            .collect();
        values.len() <= 1
    };
    said.filter_map(Json::as_str)
        .filter(|id| is_one(id))
        .map(str::to_owned)
        .collect()
}

fn has_no_options(options: &[&wire::ProductOption]) -> bool {
    match options {
        [] => true,
        [only] => {
            let mut values = only.values.iter().filter(|v| v.deleted_at.is_none());
            match (values.next(), values.next()) {
                (Some(value), None) => {
                    NO_OPTIONS.contains(&(only.title.as_str(), value.value.as_str()))
                }
                _ => false,
            }
        }
        _ => false,
    }
}

fn variant_of(variant: wire::Variant, product: &str, is_plain: bool) -> Result<Variant, String> {
    let Some(sku) = variant.sku.filter(|sku| !sku.trim().is_empty()) else {
        let name = variant.title.unwrap_or(variant.id);
        return Err(format!(
            "the variant “{name}” of “{product}” has no SKU: give it one in the shop, it is what items are matched by"
        ));
    };
    let gtin = [variant.ean, variant.upc, variant.barcode];
    let gtin = gtin.into_iter().flatten().find(|gtin| !gtin.is_empty());
    let mut prices = BTreeMap::new();
    for price in variant.prices.iter().filter(|price| is_base(price)) {
        prices.insert(currency(&price.currency_code), price.amount);
    }
    let options = variant.options.into_iter().filter_map(|option| {
        let title = option.option?.title;
        Some((title, option.value))
    });
    Ok(Variant {
        item: ItemId::default(),
        id: variant.id.into(),
        sku: sku.into(),
        gtin: Some(gtin.unwrap_or_default()),
        prices,
        sale_prices: BTreeMap::new(),
        options: if is_plain {
            BTreeMap::new()
        } else {
            options.collect()
        },
        weight_g: variant.weight,
        backorder: Some(variant.allow_backorder),
    })
}

/// The price that everybody gets: no rule, no quantity step.
pub(super) fn is_base(price: &wire::Price) -> bool {
    price.rules.is_empty()
        && price.min_quantity.is_none_or(|min| min <= Decimal::ONE)
        && price.max_quantity.is_none()
}

pub(super) fn currency(code: &str) -> Currency {
    Currency(code.to_uppercase())
}

pub(super) fn number(field: &str, amount: Decimal) -> Result<Json, Unsayable> {
    let amount = amount.normalize();
    let too_fine = || {
        unsayable(
            field,
            format!("this shop counts in binary numbers and cannot hold {amount}"),
        )
    };
    if let Some(whole) = amount.fract().is_zero().then(|| amount.to_i64()).flatten() {
        return Ok(whole.into());
    }
    let number = serde_json::Number::from_f64(amount.to_f64().ok_or_else(too_fine)?);
    let number = number.ok_or_else(too_fine)?;
    // What arrives there must be what was meant.
    if wire::decimal(&number) != Some(amount) {
        return Err(too_fine());
    }
    Ok(Json::Number(number))
}

pub(super) fn status(status: Status) -> &'static str {
    match status {
        Status::Active => "published",
        // There is no archive; what nobody may buy is a draft.
        Status::Draft | Status::Archived => "draft",
    }
}

/// UPC has 12 digits; everything else goes to the field that holds most of them.
pub(super) fn gtin(gtin: &str) -> Object {
    let mut fields = Object::new();
    let is_upc = gtin.len() == 12 && gtin.bytes().all(|byte| byte.is_ascii_digit());
    let (name, other) = if is_upc {
        ("upc", "ean")
    } else {
        ("ean", "upc")
    };
    let value = if gtin.is_empty() {
        Json::Null
    } else {
        gtin.into()
    };
    fields.insert(other.into(), Json::Null);
    if gtin.is_empty() {
        fields.insert("barcode".into(), Json::Null);
    }
    fields.insert(name.into(), value);
    fields
}

pub(super) fn option_order(options: &[String]) -> Json {
    json!({ OPTION_ORDER: options })
}

/// The axes as the platform wants them: at least one, each with the values that variants have.
pub(super) fn axes(product: &Product) -> BTreeMap<String, BTreeSet<String>> {
    if product.options.is_empty() {
        return [(NO_OPTION.0.to_owned(), [NO_OPTION.1.to_owned()].into())].into();
    }
    let values = product.options.iter().map(|name| {
        let values = product.variants.iter().filter_map(|v| v.options.get(name));
        (name.clone(), values.cloned().collect())
    });
    values.collect()
}

pub(super) fn variant_options(product: &Product, variant: &Variant) -> Json {
    if product.options.is_empty() {
        json!({ NO_OPTION.0: NO_OPTION.1 })
    } else {
        json!(variant.options)
    }
}

pub(super) fn variant_title(variant: &Variant) -> String {
    if variant.options.is_empty() {
        NO_OPTION.1.to_owned()
    } else {
        let values: Vec<_> = variant.options.values().map(String::as_str).collect();
        values.join(" / ")
    }
}

pub(super) fn new_prices(prices: &BTreeMap<Currency, Decimal>) -> Result<Json, Unsayable> {
    let prices = prices.iter().map(|(currency, price)| {
        let amount = number("price", *price)?;
        Ok(json!({ "currency_code": currency.0.to_lowercase(), "amount": amount }))
    });
    prices.collect::<Result<Vec<_>, _>>().map(Json::Array)
}

pub(super) fn new_variant(
    variant: &Variant,
    rank: usize,
    options: &Json,
) -> Result<Json, Unsayable> {
    let mut body = Object::new();
    body.insert("title".into(), variant_title(variant).into());
    body.insert("sku".into(), variant.sku.as_str().into());
    body.insert("manage_inventory".into(), true.into());
    body.insert("variant_rank".into(), rank.into());
    body.insert("prices".into(), new_prices(&variant.prices)?);
    body.insert("options".into(), options.clone());
    if let Some(code) = variant.gtin.as_deref().filter(|code| !code.is_empty()) {
        body.extend(gtin(code));
    }
    if let Some(backorder) = variant.backorder {
        body.insert("allow_backorder".into(), backorder.into());
    }
    if let Some(weight) = variant.weight_g {
        body.insert("weight".into(), number("weight_g", weight)?);
    }
    Ok(Json::Object(body))
}

/// What a product needs beside its own fields to be sold in this shop.
#[derive(Default)]
pub(super) struct Placing {
    pub sales_channel: Option<RemoteId>,
    pub shipping_profile: Option<RemoteId>,
}

pub(super) fn create_product(product: &Product, placing: &Placing) -> Result<Json, Unsayable> {
    let mut body = Object::new();
    body.insert("title".into(), product.title.as_str().into());
    body.insert("status".into(), status(product.status).into());
    if let Some(handle) = product
        .handle
        .as_deref()
        .filter(|handle| !handle.is_empty())
    {
        body.insert("handle".into(), handle.into());
    }
    if let Some(description) = &product.description {
        body.insert("description".into(), description.as_str().into());
    }
    if let Some(channel) = &placing.sales_channel {
        body.insert("sales_channels".into(), json!([{ "id": channel }]));
    }
    if let Some(profile) = &placing.shipping_profile {
        body.insert("shipping_profile_id".into(), json!(profile));
    }
    let axes = axes(product);
    let mut options: Vec<Json> = Vec::new();
    for name in axis_order(product) {
        if let Some(values) = axes.get(name) {
            options.push(json!({ "title": name, "values": values }));
        }
    }
    body.insert("options".into(), Json::Array(options));
    if product.options.len() > 1 {
        body.insert("metadata".into(), option_order(&product.options));
    }
    let variants = product.variants.iter().enumerate();
    let variants: Result<Vec<_>, _> = variants
        .map(|(rank, variant)| new_variant(variant, rank, &variant_options(product, variant)))
        .collect();
    body.insert("variants".into(), Json::Array(variants?));
    Ok(Json::Object(body))
}

/// A handle that no other product has: of its first SKU.
pub(super) fn handle_of(product: &Product) -> Option<String> {
    let sku = &product.variants.first()?.sku.0;
    let words = sku.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    (!words.is_empty()).then(|| words.join("-").to_lowercase())
}

pub(super) fn axis_order(product: &Product) -> Vec<&str> {
    if product.options.is_empty() {
        vec![NO_OPTION.0]
    } else {
        product.options.iter().map(String::as_str).collect()
    }
}

// ---------------------------------------------------------------- orders

pub(super) fn order_row(raw: &str) -> Result<wire::Order, BadRecord> {
    read(raw).map_err(|reason| bad(raw, reason))
}

pub(super) fn order_record(raw: &str) -> Result<Record, BadRecord> {
    order_of(order_row(raw)?)
        .map(|order| Record::Order(Box::new(order)))
        .map_err(|reason| bad(raw, reason))
}

pub(super) fn order_of(order: wire::Order) -> Result<Order, String> {
    let cancelled = order.status == "canceled";
    let stage = match order.status.as_str() {
        "pending" | "completed" | "archived" | "canceled" => Stage::Placed,
        "draft" | "requires_action" => Stage::Unplaced,
        _ => return Err("its status is none that its API knows".into()),
    };
    let payment = payment(&order)?;
    let currency = currency(&order.currency_code);
    let mut tax_by_rate: BTreeMap<Decimal, Decimal> = BTreeMap::new();
    let mut add_tax = |rate: Decimal, tax: Decimal| {
        if !tax.is_zero() {
            *tax_by_rate.entry(rate).or_default() += tax;
        }
    };
    let mut lines = Vec::new();
    for item in &order.items {
        let mut line = line(item, &currency, cancelled);
        // Reservations are gone once units are packed: the parcel says where from.
        let packed_at = || order.packed_at(&item.id).map(str::to_owned);
        line.stock = item.reserved_at.clone().or_else(packed_at).map(RemoteId);
        add_tax(line.tax_rate, line.tax);
        lines.push(line);
    }
    let mut charges = Vec::new();
    for method in &order.shipping_methods {
        let gross = shown(method.total, &currency);
        let tax = shown(method.tax_total, &currency);
        let rate = rate_of(&method.tax_lines);
        add_tax(rate, tax);
        charges.push(Charge {
            kind: ChargeKind::Shipping,
            title: method.name.clone(),
            net: gross - tax,
            tax,
            gross,
            tax_rate: rate,
        });
    }
    let total = shown(amounts::ordered_total(&order), &currency);
    charges.extend(amounts::rounding(total, &lines, &charges, &currency));
    let parcels = order.fulfillments.iter().filter(|shipment| {
        shipment.canceled_at.is_none()
            && (shipment.shipped_at.is_some() || shipment.delivered_at.is_some())
    });
    let payments = || order.payment_collections.iter().flat_map(|c| &c.payments);
    let billing = order.billing_address.as_ref().map(address);
    let shipping = order.shipping_address.as_ref().map(address);
    let either = |field: fn(&Address) -> &Option<String>| {
        let both = [&billing, &shipping].into_iter().flatten();
        both.filter_map(|address| field(address).clone()).next()
    };
    Ok(Order {
        person: Person {
            email: order.email.clone(),
            name: either(|address| &address.name),
            phone: either(|address| &address.phone),
            company: either(|address| &address.company),
            vat_number: metadata_text(&order.metadata, VAT_NUMBER),
            language: order.locale.clone(),
            note: metadata_text(&order.metadata, NOTE),
            billing,
            shipping,
        },
        state: OrderState {
            number: order
                .display_id
                .map_or_else(|| order.id.clone(), |number| number.to_string()),
            key: metadata_text(&order.metadata, KEY),
            stage,
            payment,
            fulfilment: fulfilment(&lines),
            cancelled,
            placed_at: order.created_at,
            modified_at: order.updated_at,
            currency: currency.clone(),
            payment_method: payments().find_map(|p| p.provider_id.clone()).map(RemoteId),
            // It knows none.
            payment_term: None,
            shipping_method: order
                .shipping_methods
                .iter()
                .find_map(|method| method.shipping_option_id.clone())
                .map(RemoteId),
            parcels: parcels.map(parcel).collect(),
            refunds: refunds(&order, &currency),
            discounts: discounts(&order, &currency),
            lines,
            charges,
            total,
            tax_by_rate,
            id: order.id.into(),
        },
    })
}

/// Money that was given back, with goods or without.
fn refunds(order: &wire::Order, currency: &Currency) -> Vec<Refund> {
    let payments = order.payment_collections.iter().flat_map(|c| &c.payments);
    let refunds = payments.flat_map(|payment| &payment.refunds);
    refunds
        .map(|refund| Refund {
            id: refund.id.as_str().into(),
            amount: shown(refund.amount, currency),
            ..Refund::default()
        })
        .collect()
}

/// By what the buyer was shown. It is taken off the lines already.
fn discounts(order: &wire::Order, currency: &Currency) -> Vec<Discount> {
    let mut by_title: BTreeMap<&str, Decimal> = BTreeMap::new();
    for item in &order.items {
        let rate = rate_of(&item.tax_lines);
        for adjustment in &item.adjustments {
            let titles = [&adjustment.code, &adjustment.description];
            let title = titles.into_iter().flatten().find(|title| !title.is_empty());
            let amount = amounts::with_tax(adjustment.amount, adjustment.is_tax_inclusive, rate);
            *by_title
                .entry(title.map_or("Discount", String::as_str))
                .or_default() += amount;
        }
    }
    by_title
        .into_iter()
        .map(|(title, amount)| Discount {
            title: title.to_owned(),
            amount: shown(amount, currency),
        })
        .collect()
}

fn payment(order: &wire::Order) -> Result<Payment, String> {
    Ok(match order.payment_status.as_str() {
        ""
        | "not_paid"
        | "awaiting"
        | "canceled"
        | "requires_action"
        | "partially_authorized"
        | "partially_captured" => Payment::Pending,
        "authorized" => Payment::Authorized,
        "captured" => {
            let collections = order.payment_collections.iter();
            let refunded: Decimal = collections.map(|c| c.refunded_amount).sum();
            if refunded.is_zero() {
                Payment::Paid
            } else {
                Payment::PartlyRefunded
            }
        }
        "partially_refunded" => Payment::PartlyRefunded,
        "refunded" => Payment::Refunded,
        _ => return Err("its payment status is none that its API knows".into()),
    })
}

fn line(item: &wire::Item, currency: &Currency, cancelled: bool) -> OrderLine {
    let detail = item.detail.as_ref();
    let get = |field: fn(&wire::ItemDetail) -> Decimal| detail.map_or(Decimal::ZERO, field);
    let quantity = item.ordered();
    let shipped = get(|d| d.shipped_quantity.max(d.delivered_quantity));
    let received = get(|d| d.return_received_quantity);
    let dismissed = get(|d| d.return_dismissed_quantity);
    let sku = item.variant_sku.as_ref().filter(|sku| !sku.is_empty());
    let sku = sku.filter(|_| item.variant_id.is_some());
    let is_managed = item
        .variant
        .as_ref()
        .and_then(|variant| variant.manage_inventory)
        .unwrap_or(true);
    // Reserved at placement, stocked less at fulfilment: the sum of both is the same. Given back by a cancel and by
    // a return that was received; what was dismissed stays gone.
    let taken = if sku.is_none() || !is_managed || cancelled {
        Decimal::ZERO
    } else {
        (quantity - received).max(Decimal::ZERO)
    };
    let title = match item.subtitle.as_deref().filter(|s| !s.is_empty()) {
        Some(subtitle) if !NO_SUBTITLES.contains(&subtitle) => {
            format!("{}, {subtitle}", item.title)
        }
        _ => item.title.clone(),
    };
    let exact = amounts::of_item(item);
    let [gross, tax, discount] =
        [exact.gross, exact.tax, exact.discount].map(|amount| shown(amount, currency));
    let unit_price = (exact.gross + exact.discount).checked_div(quantity);
    OrderLine {
        id: item.id.as_str().into(),
        of: copies::line_of(&item.metadata),
        variant: item.variant_id.clone().map(RemoteId),
        item: None,
        sku: sku.map(|sku| sku.as_str().into()),
        title,
        quantity,
        // With tax, as `gross` is, whichever way the shop keeps its prices.
        unit_price: shown(unit_price.unwrap_or_default(), currency),
        net: gross - tax,
        tax,
        gross,
        tax_rate: rate_of(&item.tax_lines),
        discount,
        taken,
        shipped,
        cancelled: if cancelled {
            quantity - shipped
        } else {
            Decimal::ZERO
        },
        returned: received + dismissed,
        written_off: dismissed,
        // Said by reservations and parcels.
        stock: None,
    }
}

/// By what is shipped of that which has a SKU: the platform's own word calls an order shipped when all that was
/// packed has left.
fn fulfilment(lines: &[OrderLine]) -> Fulfilment {
    let mut goods = lines.iter().filter(|line| line.sku.is_some()).peekable();
    if goods.peek().is_none() {
        return Fulfilment::Open;
    }
    let (mut some, mut all) = (false, true);
    for line in goods {
        some |= line.shipped > Decimal::ZERO;
        all &= line.shipped + line.cancelled >= line.quantity;
    }
    match (some, all) {
        (true, true) => Fulfilment::Shipped,
        (true, false) => Fulfilment::Partly,
        (false, _) => Fulfilment::Open,
    }
}

fn parcel(shipment: &wire::Shipment) -> Parcel {
    let mut lines: BTreeMap<RemoteId, Decimal> = BTreeMap::new();
    for item in &shipment.items {
        if let Some(line) = &item.line_item_id {
            *lines.entry(line.as_str().into()).or_default() += item.quantity;
        }
    }
    let mut labels = shipment.labels.iter();
    let tracking = labels.find_map(|label| label.tracking_number.clone());
    Parcel {
        id: shipment.id.as_str().into(),
        of: metadata_text(&shipment.metadata, PARCEL).map(RemoteId),
        carrier: None,
        tracking: tracking.filter(|tracking| !tracking.is_empty()),
        lines,
    }
}

fn address(address: &wire::Address) -> Address {
    let names = [&address.first_name, &address.last_name];
    let names: Vec<_> = names
        .into_iter()
        .flatten()
        .map(|name| name.trim())
        .filter(|name| !name.is_empty())
        .collect();
    Address {
        name: (!names.is_empty()).then(|| names.join(" ")),
        company: address.company.clone(),
        street: address.address_1.clone(),
        street2: address.address_2.clone(),
        postcode: address.postal_code.clone(),
        city: address.city.clone(),
        region: address.province.clone(),
        country: address
            .country_code
            .as_ref()
            .map(|code| code.to_uppercase()),
        phone: address.phone.clone(),
    }
}

pub(super) fn new_address(address: &Address) -> Json {
    let mut body = Object::new();
    let (first, last) = match address.name.as_deref().map(str::trim) {
        Some(name) => match name.rsplit_once(' ') {
            Some((first, last)) => (Some(first.to_owned()), Some(last.to_owned())),
            None => (Some(name.to_owned()), None),
        },
        None => (None, None),
    };
    let fields = [
        ("first_name", first),
        ("last_name", last),
        ("company", address.company.clone()),
        ("address_1", address.street.clone()),
        ("address_2", address.street2.clone()),
        ("postal_code", address.postcode.clone()),
        ("city", address.city.clone()),
        ("province", address.region.clone()),
        (
            "country_code",
            address.country.as_ref().map(|code| code.to_lowercase()),
        ),
        ("phone", address.phone.clone()),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            body.insert(name.into(), value.into());
        }
    }
    Json::Object(body)
}

/// The lines to be shipped, as far as they are still open; nothing named means all that is.
pub(super) fn lines_to_ship(
    order: &wire::Order,
    wanted: &BTreeMap<RemoteId, Decimal>,
) -> Result<Vec<Json>, Unsayable> {
    let mut open = wanted.clone();
    let mut items = Vec::new();
    for item in &order.items {
        let Some(detail) = &item.detail else {
            continue;
        };
        let left = detail.quantity - detail.fulfilled_quantity;
        let units = match open.remove(&RemoteId::from(item.id.as_str())) {
            Some(asked) if asked > left => {
                return Err(unsayable(
                    "lines",
                    format!(
                        "{asked} units of {} were to be shipped, and {left} are open",
                        item.title
                    ),
                ));
            }
            Some(asked) => asked,
            None if wanted.is_empty() && item.variant_id.is_some() => left,
            None => continue,
        };
        if units > Decimal::ZERO {
            items.push(json!({ "id": item.id, "quantity": number("quantity", units)? }));
        }
    }
    match open.into_keys().next() {
        Some(line) => Err(unsayable("lines", format!("the order has no line {line}"))),
        None => Ok(items),
    }
}

/// Where the first of these lines is reserved.
pub(super) fn location_of(order: &wire::Order, items: &[Json]) -> Option<RemoteId> {
    let ids = items.iter().filter_map(|item| item.get("id")?.as_str());
    let reserved = ids.filter_map(|id| {
        let item = order.items.iter().find(|item| item.id == id)?;
        item.reserved_at.clone()
    });
    reserved.map(RemoteId).next()
}

pub(super) fn is_our_parcel(shipment: &wire::Shipment, parcel: &RemoteId) -> bool {
    shipment.canceled_at.is_none()
        && !parcel.0.is_empty()
        && metadata_text(&shipment.metadata, PARCEL).as_deref() == Some(parcel.as_str())
}

pub(super) fn draft_key(draft: &wire::Draft) -> Option<String> {
    metadata_text(&draft.metadata, KEY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn an_amount_crosses_as_what_was_meant() {
        assert_eq!(number("price", dec("19.99")).unwrap(), json!(19.99));
        assert_eq!(number("price", dec("20.00")).unwrap(), json!(20));
        assert!(number("price", dec("0.1234567890123456789")).is_err());
    }
}
