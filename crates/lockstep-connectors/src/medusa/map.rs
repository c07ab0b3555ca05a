//! Medusa's JSON ⇄ our records. Pure.
//!
//! What the platform has no field for and would otherwise be lost stands in its `metadata`, under our name.

use super::wire;
use lockstep_model::{
    Address, BadRecord, Charge, ChargeKind, Currency, Field, Fields, Fulfilment, Level, NewOrder,
    Order, OrderLine, OrderState, Parcel, Parts, Payment, Person, Product, Record, RemoteId, Sku,
    Stage, Status, Value, Variant, VariantField,
};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

type Object = Map<String, Json>;

/// Our key of a copy.
pub(super) const KEY: &str = "lockstep_key";
pub(super) const REFERENCE: &str = "lockstep_reference";
/// The parcel of the origin that a fulfilment stands for.
pub(super) const PARCEL: &str = "lockstep_parcel";
/// The platform keeps no order of a product's options.
const OPTION_ORDER: &str = "lockstep_options";
const NOTE: &str = "note";
const VAT_NUMBER: &str = "vat_number";

/// A product must have an option; ours need not. The first is what we write, the second what its own pages write.
pub(super) const NO_OPTION: (&str, &str) = ("Default", "Default");
const NO_OPTIONS: [(&str, &str); 2] = [NO_OPTION, ("Default option", "Default option value")];

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

fn read<'a, T: serde::Deserialize<'a>>(raw: &'a str) -> Result<T, String> {
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
    let options: Vec<_> = product
        .options
        .iter()
        .filter(|option| live(&option.deleted_at))
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
    let variants = variants
        .into_iter()
        .map(|variant| variant_of(variant, title, is_plain));
    Ok(Product {
        id: product.id.into(),
        handle: Some(product.handle.unwrap_or_default()),
        description: Some(product.description.unwrap_or_default()),
        texts: BTreeMap::new(),
        status,
        categories: None,
        shop_versions: None,
        options: if is_plain { Vec::new() } else { names },
        variants: variants.collect::<Result<_, _>>()?,
        pictures: None,
        attributes: BTreeMap::new(),
        modified_at: product.updated_at,
        title: product.title,
    })
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

fn variant_title(variant: &Variant) -> String {
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
    product: &Product,
    variant: &Variant,
    rank: usize,
) -> Result<Json, Unsayable> {
    let mut body = Object::new();
    body.insert("title".into(), variant_title(variant).into());
    body.insert("sku".into(), variant.sku.as_str().into());
    body.insert("manage_inventory".into(), true.into());
    body.insert("variant_rank".into(), rank.into());
    body.insert("prices".into(), new_prices(&variant.prices)?);
    body.insert("options".into(), variant_options(product, variant));
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
        .map(|(rank, variant)| new_variant(product, variant, rank))
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

fn axis_order(product: &Product) -> Vec<&str> {
    if product.options.is_empty() {
        vec![NO_OPTION.0]
    } else {
        product.options.iter().map(String::as_str).collect()
    }
}

/// The whole set of a variant's prices with these changes in it: prices that are not listed would be deleted, so
/// other currencies, rules and quantity steps are listed as they are, each by its id.
pub(super) fn prices(
    there: &[wire::Price],
    changes: &BTreeMap<Currency, Option<Decimal>>,
) -> Result<Json, Unsayable> {
    let mut open = changes.clone();
    let mut set = Vec::new();
    for price in there {
        let mut amount = price.amount;
        if is_base(price) {
            match open.remove(&currency(&price.currency_code)) {
                Some(Some(changed)) => amount = changed,
                Some(None) => continue,
                None => {}
            }
        }
        let mut body = Object::new();
        body.insert("id".into(), price.id.as_str().into());
        body.insert("currency_code".into(), price.currency_code.as_str().into());
        body.insert("amount".into(), number("price", amount)?);
        let steps = [
            ("min_quantity", price.min_quantity),
            ("max_quantity", price.max_quantity),
        ];
        for (name, step) in steps {
            if let Some(step) = step {
                body.insert(name.into(), number(name, step)?);
            }
        }
        if !price.rules.is_empty() {
            body.insert("rules".into(), json!(price.rules));
        }
        set.push(Json::Object(body));
    }
    for (currency, price) in open {
        if let Some(price) = price {
            let amount = number("price", price)?;
            let code = currency.0.to_lowercase();
            set.push(json!({ "currency_code": code, "amount": amount }));
        }
    }
    Ok(Json::Array(set))
}

/// What a product's changes come to, before it is known what the shop holds now.
#[derive(Default)]
pub(super) struct ProductSet {
    /// Fields of the product itself.
    pub body: Object,
    /// Fields of variants that are there.
    pub variants: BTreeMap<Sku, Object>,
    pub prices: BTreeMap<Sku, BTreeMap<Currency, Option<Decimal>>>,
    pub new: BTreeSet<Sku>,
    pub remove: Vec<RemoteId>,
    /// Axes were added, removed or renamed: every variant's options are said anew.
    pub axes: bool,
    /// Variants whose values on the axes changed.
    pub moved: BTreeSet<Sku>,
}

impl ProductSet {
    /// Calls for the product alone are needed, beside the batch that it shares with others.
    pub fn needs_own_calls(&self) -> bool {
        !self.variants.is_empty()
            || !self.prices.is_empty()
            || !self.new.is_empty()
            || !self.remove.is_empty()
            || self.axes
            || !self.moved.is_empty()
    }
}

/// Says only what `set` says.
pub(super) fn product_set(
    set: &Fields,
    product: &Product,
    parts: &Parts,
) -> Result<ProductSet, Unsayable> {
    let mut out = ProductSet::default();
    for (path, value) in set {
        let text = value.as_text().unwrap_or_default();
        match path.field() {
            Some(Field::Title) => drop(out.body.insert("title".into(), text.into())),
            Some(Field::Description) => drop(out.body.insert("description".into(), text.into())),
            Some(Field::Handle) => drop(out.body.insert("handle".into(), text.into())),
            Some(Field::Status) => {
                let word = status(product.status);
                out.body.insert("status".into(), word.into());
            }
            Some(Field::Options) => {
                out.axes = true;
                let order = option_order(&product.options);
                out.body.insert("metadata".into(), order);
            }
            Some(Field::Variant { sku, field }) => {
                set_variant(&mut out, sku, &field, value, parts)?;
            }
            _ => return Err(unsayable(path.as_str(), "this shop holds no such field")),
        }
    }
    Ok(out)
}

fn set_variant(
    out: &mut ProductSet,
    sku: Sku,
    field: &VariantField<'_>,
    value: &Value,
    parts: &Parts,
) -> Result<(), Unsayable> {
    let is_there = parts.variants.get(&sku);
    if *field == VariantField::Present && value.as_flag() != Some(true) {
        out.remove.extend(is_there.cloned());
        return Ok(());
    }
    if is_there.is_none() {
        out.new.insert(sku);
        return Ok(());
    }
    match field {
        VariantField::Present => {}
        VariantField::Gtin => {
            let fields = gtin(value.as_text().unwrap_or_default());
            out.variants.entry(sku).or_default().extend(fields);
        }
        VariantField::WeightG => {
            let weight = value.as_number();
            let weight = weight.map_or(Ok(Json::Null), |weight| number("weight_g", weight))?;
            let body = out.variants.entry(sku).or_default();
            body.insert("weight".into(), weight);
        }
        VariantField::Backorder => {
            let body = out.variants.entry(sku).or_default();
            let may = value.as_flag() == Some(true);
            body.insert("allow_backorder".into(), may.into());
        }
        VariantField::Price(currency) => {
            let prices = out.prices.entry(sku).or_default();
            prices.insert(currency.clone(), value.as_number());
        }
        VariantField::Option(_) => drop(out.moved.insert(sku)),
        VariantField::SalePrice(_) => {
            return Err(unsayable(
                "sale_price",
                "sale prices are price lists here, which are not written yet",
            ));
        }
    }
    Ok(())
}

/// The calls that one product needs, in this order; `None`: not needed.
#[derive(Default)]
pub(super) struct OwnCalls {
    /// Values and axes that variants are about to have.
    pub add_options: Option<Json>,
    pub variants: Option<Json>,
    pub remove_options: Option<Json>,
}

pub(super) fn own_calls(
    set: &ProductSet,
    product: &Product,
    there: &wire::Product,
) -> Result<OwnCalls, Unsayable> {
    let mut calls = OwnCalls::default();
    let says_options = set.axes || !set.moved.is_empty() || !set.new.is_empty();
    if says_options {
        let (mut add, mut update) = (Vec::new(), Vec::new());
        let axes = axes(product);
        for name in axis_order(product) {
            let Some(values) = axes.get(name) else {
                continue;
            };
            let live = there.options.iter().filter(|o| o.deleted_at.is_none());
            match live.clone().find(|option| option.title == name) {
                None => add.push(json!({ "title": name, "values": values })),
                Some(option) => {
                    let known = option.values.iter().filter(|v| v.deleted_at.is_none());
                    let missing = values
                        .iter()
                        .filter(|value| !known.clone().any(|known| known.value == **value));
                    let missing: Vec<_> = missing.map(|value| json!({ "value": value })).collect();
                    if !missing.is_empty() {
                        update.push(json!({ "product_option_id": option.id, "add": missing }));
                    }
                }
            }
        }
        if !add.is_empty() || !update.is_empty() {
            calls.add_options = Some(json!({ "add": add, "update": update }));
        }
        let gone = there
            .options
            .iter()
            .filter(|option| option.deleted_at.is_none() && !axes.contains_key(&option.title));
        let gone: Vec<_> = gone.map(|option| &option.id).collect();
        if set.axes && !gone.is_empty() {
            calls.remove_options = Some(json!({ "remove": gone }));
        }
    }
    let find = |sku: &Sku| {
        let mut variants = there.variants.iter().filter(|v| v.deleted_at.is_none());
        variants.find(|variant| variant.sku.as_deref() == Some(sku.as_str()))
    };
    let mut bodies = set.variants.clone();
    for (sku, changes) in &set.prices {
        let variant = find(sku).ok_or_else(|| gone_variant(sku))?;
        let body = bodies.entry(sku.clone()).or_default();
        body.insert("prices".into(), prices(&variant.prices, changes)?);
    }
    for variant in &product.variants {
        if set.moved.contains(&variant.sku) || (set.axes && find(&variant.sku).is_some()) {
            let body = bodies.entry(variant.sku.clone()).or_default();
            body.insert("options".into(), variant_options(product, variant));
            body.insert("title".into(), variant_title(variant).into());
        }
    }
    let mut update = Vec::new();
    for (sku, mut body) in bodies {
        let variant = find(&sku).ok_or_else(|| gone_variant(&sku))?;
        body.insert("id".into(), variant.id.as_str().into());
        update.push(Json::Object(body));
    }
    let new = product.variants.iter().enumerate();
    let new = new.filter(|(_, variant)| set.new.contains(&variant.sku));
    let create: Result<Vec<_>, _> = new
        .map(|(rank, variant)| new_variant(product, variant, rank))
        .collect();
    let create = create?;
    if !update.is_empty() || !create.is_empty() || !set.remove.is_empty() {
        calls.variants = Some(json!({
            "create": create, "update": update, "delete": set.remove,
        }));
    }
    Ok(calls)
}

fn gone_variant(sku: &Sku) -> Unsayable {
    unsayable("variants", format!("the variant {sku} is no longer there"))
}

// ---------------------------------------------------------------- stock

/// What `Level::version` says of a level that is there. Nothing to compare with: it tells "update" from "create".
pub(super) const THERE: &str = "there";

/// The levels of an item. `home`: the location that gets a level as soon as it is written to.
pub(super) fn levels(raw: &str, home: Option<&RemoteId>) -> Result<Vec<Level>, BadRecord> {
    let item = read::<wire::InventoryItem>(raw).map_err(|reason| bad(raw, reason))?;
    // Of an item without a SKU nothing can be said; the product that sells it is told as a bad record.
    let Some(sku) = item.sku.filter(|sku| !sku.trim().is_empty()) else {
        return Ok(Vec::new());
    };
    let sku = Sku(sku);
    let id = RemoteId(item.id);
    let missing = home.filter(|home| {
        let mut there = item.location_levels.iter();
        there.all(|level| level.location_id != home.0)
    });
    let missing = missing.map(|home| Level {
        sku: sku.clone(),
        stock: home.clone(),
        item: Some(id.clone()),
        on_hand: Decimal::ZERO,
        reserved: Decimal::ZERO,
        version: None,
        location: None,
        modified_at: None,
    });
    let there = item.location_levels.iter();
    let there = there.map(|level| level_of(&sku, &id, level));
    Ok(there.chain(missing).collect())
}

pub(super) fn level_of(sku: &Sku, item: &RemoteId, level: &wire::LocationLevel) -> Level {
    Level {
        sku: sku.clone(),
        stock: level.location_id.as_str().into(),
        item: Some(item.clone()),
        on_hand: level.stocked_quantity,
        reserved: level.reserved_quantity,
        version: Some(THERE.into()),
        location: None,
        modified_at: level.updated_at,
    }
}

// ---------------------------------------------------------------- orders

pub(super) fn order_record(raw: &str) -> Result<Record, BadRecord> {
    let order = read::<wire::Order>(raw).map_err(|reason| bad(raw, reason))?;
    order_of(order)
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
    let mut tax_by_rate: BTreeMap<Decimal, Decimal> = BTreeMap::new();
    let mut add_tax = |lines: &[wire::TaxLine], tax: Decimal| {
        let rate: Decimal = lines.iter().map(|line| line.rate).sum();
        if !tax.is_zero() {
            *tax_by_rate.entry(rate.normalize()).or_default() += tax;
        }
        rate
    };
    let mut lines = Vec::new();
    for item in &order.items {
        let rate = add_tax(&item.tax_lines, item.tax_total);
        lines.push(line(item, rate, cancelled));
    }
    let mut charges = Vec::new();
    for method in &order.shipping_methods {
        let rate = add_tax(&method.tax_lines, method.tax_total);
        charges.push(Charge {
            kind: ChargeKind::Shipping,
            title: method.name.clone(),
            net: method.total - method.tax_total,
            tax: method.tax_total,
            gross: method.total,
            tax_rate: rate,
        });
    }
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
            currency: currency(&order.currency_code),
            payment_method: payments().find_map(|p| p.provider_id.clone()).map(RemoteId),
            // It knows none.
            payment_term: None,
            shipping_method: order
                .shipping_methods
                .iter()
                .find_map(|method| method.shipping_option_id.clone())
                .map(RemoteId),
            parcels: parcels.map(parcel).collect(),
            refunds: vec![],
            discounts: vec![],
            lines,
            charges,
            total: order.total,
            tax_by_rate,
            id: order.id.into(),
        },
    })
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

fn line(item: &wire::Item, rate: Decimal, cancelled: bool) -> OrderLine {
    let detail = item.detail.as_ref();
    let get = |field: fn(&wire::ItemDetail) -> Decimal| detail.map_or(Decimal::ZERO, field);
    let quantity = detail.map_or(item.quantity, |detail| detail.quantity);
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
        Some(subtitle) if subtitle != NO_OPTION.1 => format!("{}, {subtitle}", item.title),
        _ => item.title.clone(),
    };
    OrderLine {
        id: item.id.as_str().into(),
        of: None,
        sku: sku.map(|sku| sku.as_str().into()),
        title,
        quantity,
        unit_price: item.unit_price,
        net: item.total - item.tax_total,
        tax: item.tax_total,
        gross: item.total,
        tax_rate: rate,
        discount: item.discount_total,
        taken,
        shipped,
        cancelled: if cancelled {
            quantity - shipped
        } else {
            Decimal::ZERO
        },
        returned: received + dismissed,
        written_off: dismissed,
        // Reservations name their location; the order does not.
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

fn new_address(address: &Address) -> Json {
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

/// How a copy is charged in its region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PricesAre {
    /// The region adds no tax, or its prices hold it already.
    Gross,
    /// The region adds its tax to what is sent.
    Net,
}

/// Where a copy is made.
pub(super) struct CopyTo<'a> {
    pub region: &'a RemoteId,
    pub sales_channel: Option<&'a RemoteId>,
    pub shipping_option: Option<&'a RemoteId>,
    pub prices_are: PricesAre,
    /// SKU → variant.
    pub variants: &'a BTreeMap<Sku, RemoteId>,
}

pub(super) fn create_draft(new: &NewOrder, to: &CopyTo<'_>) -> Result<Json, Unsayable> {
    let (state, person) = (&new.order.state, &new.order.person);
    let mut items = Vec::new();
    for line in &state.lines {
        let sum = match to.prices_are {
            PricesAre::Gross => line.gross,
            PricesAre::Net => line.net,
        };
        let variant = match &line.sku {
            Some(sku) => Some(to.variants.get(sku).ok_or_else(|| {
                unsayable(
                    "sku",
                    format!("there is no variant with the SKU {sku} in this shop"),
                )
            })?),
            None => None,
        };
        for (units, unit_price) in split(line.quantity, sum) {
            let mut item = Object::new();
            item.insert("title".into(), line.title.as_str().into());
            item.insert("quantity".into(), number("quantity", units)?);
            item.insert("unit_price".into(), number("unit_price", unit_price)?);
            if let Some(variant) = variant {
                item.insert("variant_id".into(), json!(variant));
            }
            items.push(Json::Object(item));
        }
    }
    let mut shipping = Vec::new();
    for charge in &state.charges {
        let sum = match to.prices_are {
            PricesAre::Gross => charge.gross,
            PricesAre::Net => charge.net,
        };
        if charge.kind == ChargeKind::Shipping {
            let option = state.shipping_method.as_ref().or(to.shipping_option);
            let option = option.ok_or_else(|| {
                unsayable(
                    "shipping_method",
                    "this shop has several shipping options: map the method, or name one in its settings",
                )
            })?;
            shipping.push(json!({
                "shipping_option_id": option, "name": charge.title,
                "amount": number("shipping", sum)?,
            }));
        } else {
            items.push(json!({
                "title": charge.title, "quantity": 1, "unit_price": number("charge", sum)?,
            }));
        }
    }
    let mut metadata = Object::new();
    metadata.insert(KEY.into(), new.key.to_string().into());
    metadata.insert(REFERENCE.into(), new.reference.as_str().into());
    for (name, text) in [(NOTE, &person.note), (VAT_NUMBER, &person.vat_number)] {
        if let Some(text) = text {
            metadata.insert(name.into(), text.as_str().into());
        }
    }
    let mut body = Object::new();
    body.insert("region_id".into(), json!(to.region));
    body.insert(
        "currency_code".into(),
        state.currency.0.to_lowercase().into(),
    );
    body.insert("items".into(), items.into());
    body.insert("shipping_methods".into(), shipping.into());
    body.insert("metadata".into(), metadata.into());
    body.insert(
        "no_notification_order".into(),
        (!new.send_confirmation).into(),
    );
    if let Some(channel) = to.sales_channel {
        body.insert("sales_channel_id".into(), json!(channel));
    }
    if let Some(email) = &person.email {
        body.insert("email".into(), email.as_str().into());
    }
    let billing = person.billing.as_ref().or(person.shipping.as_ref());
    let shipping = person.shipping.as_ref().or(person.billing.as_ref());
    for (name, address) in [("billing_address", billing), ("shipping_address", shipping)] {
        if let Some(address) = address {
            body.insert(name.into(), new_address(address));
        }
    }
    Ok(Json::Object(body))
}

/// Units and a unit price that give the sum to the cent: where it does not divide, some units cost a cent more.
fn split(units: Decimal, sum: Decimal) -> Vec<(Decimal, Decimal)> {
    if units.is_zero() {
        return Vec::new();
    }
    let exact = sum / units;
    if exact.normalize().scale() <= 6 || !units.fract().is_zero() {
        return vec![(units, exact.normalize())];
    }
    let cents = sum.scale().max(2);
    let step = Decimal::new(1, cents);
    let low =
        exact.round_dp_with_strategy(cents, rust_decimal::RoundingStrategy::ToNegativeInfinity);
    let dearer = (sum - low * units) / step;
    vec![(units - dearer, low), (dearer, low + step)]
        .into_iter()
        .filter(|(units, _)| !units.is_zero())
        .collect()
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
    fn units_and_prices_give_the_sum_to_the_cent() {
        for (units, sum) in [
            ("3", "10.00"),
            ("7", "0.05"),
            ("2", "49.80"),
            ("1", "-3"),
            ("6", "-10.00"),
        ] {
            let parts = split(dec(units), dec(sum));
            let total: Decimal = parts.iter().map(|(units, price)| units * price).sum();
            assert_eq!(total, dec(sum), "{units} for {sum}: {parts:?}");
            let count: Decimal = parts.iter().map(|(units, _)| units).sum();
            assert_eq!(count, dec(units));
        }
        assert!(split(Decimal::ZERO, dec("1")).is_empty());
    }

    #[test]
    fn an_amount_crosses_as_what_was_meant() {
        assert_eq!(number("price", dec("19.99")).unwrap(), json!(19.99));
        assert_eq!(number("price", dec("20.00")).unwrap(), json!(20));
        assert!(number("price", dec("0.1234567890123456789")).is_err());
    }

    #[test]
    fn a_price_change_keeps_other_currencies_rules_and_steps() {
        let there: Vec<wire::Price> = serde_json::from_str(
            r#"[{"id":"p1","currency_code":"eur","amount":19.99,"rules":{}},
                {"id":"p2","currency_code":"usd","amount":22.5,"rules":{}},
                {"id":"p3","currency_code":"eur","amount":9,"rules":{"region_id":"reg_1"}},
                {"id":"p4","currency_code":"eur","amount":8,"min_quantity":10,"rules":{}}]"#,
        )
        .unwrap();
        let changes = [(Currency::from("EUR"), Some(dec("21.49")))].into();
        let set = prices(&there, &changes).unwrap();
        assert_eq!(
            set,
            json!([
                {"id":"p1","currency_code":"eur","amount":21.49},
                {"id":"p2","currency_code":"usd","amount":22.5},
                {"id":"p3","currency_code":"eur","amount":9,"rules":{"region_id":"reg_1"}},
                {"id":"p4","currency_code":"eur","amount":8,"min_quantity":10},
            ])
        );
    }
}
