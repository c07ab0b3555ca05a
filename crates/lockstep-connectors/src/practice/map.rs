//! The practice shop's JSON ⇄ our records. Pure.

use super::wire;
use lockstep_model::{
    Address, BadRecord, Category, Charge, ChargeKind, Discount, Edited, Field, Fields, Fulfilment,
    ItemId, Kind, Level, NewOrder, Order, OrderLine, OrderState, OrderStep, Parcel, Parts, Payment,
    Person, Picture, Product, Record, Refund, RemoteId, ShopIdentity, Sku, Stage, Status,
    StockSemantics, Takes, Value, Variant, VariantField,
};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

type Object = Map<String, Json>;

/// Why a change cannot be said in this platform's words.
#[derive(Debug, PartialEq)]
pub(super) struct Unsayable {
    pub field: String,
    pub why: String,
}

fn unsayable(field: impl Into<String>, why: impl Into<String>) -> Unsayable {
    Unsayable {
        field: field.into(),
        why: why.into(),
    }
}

// ---------------------------------------------------------------- reading

/// One member of a list: a record, a tombstone, or why it is neither.
pub(super) fn item(kind: Kind, raw: &str) -> Result<Record, BadRecord> {
    let tag: wire::Tag = serde_json::from_str(raw).unwrap_or_default();
    let id = match kind {
        Kind::Level => tag.sku.or(tag.id),
        Kind::Category | Kind::Product | Kind::Order => tag.id,
    };
    if let (Some(id), Some(_)) = (&id, tag.deleted_at) {
        let id = id.as_str().into();
        return Ok(Record::Gone { kind, id });
    }
    record(kind, raw).map_err(|reason| BadRecord {
        id: id.map(RemoteId),
        reason,
    })
}

/// A record of this kind, or a sentence about what is wrong with it.
pub(super) fn record(kind: Kind, raw: &str) -> Result<Record, String> {
    fn read<'a, T: serde::Deserialize<'a>>(raw: &'a str) -> Result<T, String> {
        serde_json::from_str(raw).map_err(|error| {
            format!(
                "it is not what its API promises: {}",
                lockstep_model::misread(&error)
            )
        })
    }
    Ok(match kind {
        Kind::Category => Record::Category(category(read(raw)?)),
        Kind::Product => Record::Product(product(read(raw)?)?),
        Kind::Level => Record::Level(level(read(raw)?)),
        Kind::Order => Record::Order(Box::new(order(read(raw)?)?)),
    })
}

fn category(category: wire::Category) -> Category {
    Category {
        id: category.id.into(),
        name: category.name,
        parent: category.parent_id.map(RemoteId),
        position: category.position,
        modified_at: category.modified_at,
    }
}

fn product(product: wire::Product) -> Result<Product, String> {
    let status = Status::parse(&product.status)
        .ok_or_else(|| "its status is none that its API knows".to_owned())?;
    let mut pictures = product.pictures;
    pictures.sort_by_key(|picture| picture.position);
    let texts = product.texts.into_iter().map(|(language, texts)| {
        let texts = texts
            .into_iter()
            .map(|(name, text)| (name, text.unwrap_or_default()));
        (language, texts.collect())
    });
    Ok(Product {
        id: product.id.into(),
        handle: Some(product.handle.unwrap_or_default()),
        title: product.title,
        // Known and empty, not unknown.
        description: Some(product.description.unwrap_or_default()),
        texts: texts.collect(),
        status,
        categories: Some(product.category_ids.into_iter().map(RemoteId).collect()),
        shop_versions: Some(product.shop_versions.into_iter().map(RemoteId).collect()),
        options: product.options,
        variants: product
            .variants
            .into_iter()
            .map(variant)
            .collect::<Result<_, _>>()?,
        pictures: Some(pictures.into_iter().map(picture).collect()),
        attributes: product
            .attributes
            .into_iter()
            .map(|(name, value)| (name, attribute(value)))
            .collect(),
        modified_at: product.modified_at,
    })
}

fn attribute(value: Json) -> String {
    match value {
        Json::String(text) => text,
        other => other.to_string(),
    }
}

fn variant(variant: wire::Variant) -> Result<Variant, String> {
    if variant.sku.trim().is_empty() {
        return Err(format!(
            "its variant {} has no SKU: give it one in the shop, it is what items are matched by",
            variant.id
        ));
    }
    let currency = || variant.currency.as_str().into();
    Ok(Variant {
        item: ItemId::default(),
        id: variant.id.into(),
        sku: variant.sku.into(),
        gtin: Some(variant.gtin.unwrap_or_default()),
        prices: [(currency(), variant.price)].into(),
        sale_prices: variant
            .sale_price
            .map(|price| (currency(), price))
            .into_iter()
            .collect(),
        options: variant.options,
        weight_g: variant.weight_g.map(Decimal::from),
        backorder: Some(variant.backorder),
    })
}

fn picture(picture: wire::Picture) -> Picture {
    Picture {
        id: picture.id.into(),
        digest: picture.sha256,
        alt: picture.alt,
        url: picture.url,
    }
}

fn level(level: wire::Level) -> Level {
    Level {
        item: ItemId::default(),
        sku: level.sku.into(),
        stock: level.stock.into(),
        variant: level.variant_id.map(RemoteId),
        inventory: None,
        on_hand: level.on_hand.into(),
        reserved: level.reserved.into(),
        set_aside: Decimal::ZERO,
        version: Some(level.rev.to_string()),
        location: level.location,
        modified_at: level.modified_at,
    }
}

/// Methods by which a shop lets a buyer go without money: the order is accepted when it is placed.
const ON_ACCOUNT: [&str; 2] = ["invoice", "cod"];

fn order(order: wire::Order) -> Result<Order, String> {
    let on_account = order.payment_term.is_some()
        || order
            .payment_method
            .as_deref()
            .is_some_and(|method| ON_ACCOUNT.contains(&method));
    let payment = match order.payment.as_str() {
        "pending" if on_account => Payment::Accepted,
        "pending" => Payment::Pending,
        "paid" => Payment::Paid,
        "partly_refunded" => Payment::PartlyRefunded,
        "refunded" => Payment::Refunded,
        _ => return Err("its payment is none that its API knows".into()),
    };
    let fulfilment = match order.fulfilment.as_str() {
        "open" => Fulfilment::Open,
        "partly" => Fulfilment::Partly,
        "shipped" => Fulfilment::Shipped,
        _ => return Err("its fulfilment is none that its API knows".into()),
    };
    let stock = order.stock.map(RemoteId);
    let mut lost: BTreeMap<&str, i64> = BTreeMap::new();
    let backs = order
        .refunds
        .iter()
        .chain(&order.returns)
        .chain(&order.cancellations);
    for part in backs
        .filter(|back| !back.restock)
        .flat_map(|back| &back.lines)
    {
        *lost.entry(&part.id).or_default() += part.quantity;
    }
    let lines = order.lines.iter().map(|line| {
        let lost = lost.get(line.id.as_str()).copied().unwrap_or_default();
        line_of(line, lost, &stock)
    });
    let buyer = order.buyer;
    Ok(Order {
        state: OrderState {
            id: order.id.into(),
            number: order.number,
            key: order.external_key,
            stage: Stage::Placed,
            payment,
            fulfilment,
            cancelled: order.cancelled,
            placed_at: order.placed_at,
            modified_at: order.modified_at,
            currency: order.currency.into(),
            lines: lines.collect(),
            charges: order
                .charges
                .into_iter()
                .map(charge)
                .collect::<Result<_, _>>()?,
            total: order.total,
            tax_by_rate: order
                .tax_by_rate
                .into_iter()
                .map(|sum| (sum.rate.normalize(), sum.tax))
                .collect(),
            payment_method: order.payment_method.map(RemoteId),
            shipping_method: order.shipping_method.map(RemoteId),
            payment_term: order.payment_term.map(RemoteId),
            parcels: order.parcels.into_iter().map(parcel).collect(),
            refunds: order.refunds.into_iter().map(refund).collect(),
            discounts: order
                .discounts
                .into_iter()
                .map(|discount| Discount {
                    title: discount.title,
                    amount: discount.amount,
                })
                .collect(),
        },
        person: Person {
            note: order.note,
            billing: order.billing.map(address),
            shipping: order.shipping.map(address),
            ..buyer.map(person).unwrap_or_default()
        },
    })
}

/// Before what names a step of ours: a key of somebody else's names nothing here.
const OURS: &str = "lockstep:";

fn our_key(id: &RemoteId) -> Json {
    format!("{OURS}{id}").into()
}

/// What the other side calls that which this was made of.
fn made_of(key: Option<&str>) -> Option<RemoteId> {
    key?.strip_prefix(OURS).map(RemoteId::from)
}

/// `lost`: units that were not put back.
fn line_of(line: &wire::Line, lost: i64, stock: &Option<RemoteId>) -> OrderLine {
    OrderLine {
        id: line.id.as_str().into(),
        of: made_of(line.key.as_deref()),
        stock: stock.clone().filter(|_| line.sku.is_some()),
        variant: line.variant_id.clone().map(RemoteId),
        item: None,
        sku: line.sku.clone().map(Sku),
        title: line.title.clone(),
        quantity: line.quantity.into(),
        unit_price: line.unit_price,
        net: line.net,
        tax: line.tax,
        gross: line.gross,
        tax_rate: line.tax_rate,
        discount: line.discount,
        taken: line.taken.into(),
        shipped: line.shipped.into(),
        cancelled: line.cancelled.into(),
        returned: line.returned.into(),
        written_off: lost.into(),
    }
}

fn charge(charge: wire::Charge) -> Result<Charge, String> {
    let kind = match charge.kind.as_str() {
        "shipping" => ChargeKind::Shipping,
        "payment" | "fee" => ChargeKind::Fee,
        "discount" => ChargeKind::Discount,
        "rounding" => ChargeKind::Rounding,
        _ => return Err("its charge is none that its API knows".into()),
    };
    Ok(Charge {
        kind,
        title: charge.title,
        net: charge.net,
        tax: charge.tax,
        gross: charge.gross,
        tax_rate: charge.tax_rate,
    })
}

fn parts(parts: Vec<wire::ParcelLine>) -> BTreeMap<RemoteId, Decimal> {
    let mut lines: BTreeMap<RemoteId, Decimal> = BTreeMap::new();
    for line in parts {
        *lines.entry(line.id.into()).or_default() += Decimal::from(line.quantity);
    }
    lines
}

fn refund(refund: wire::Back) -> Refund {
    Refund {
        id: refund.id.into(),
        of: made_of(refund.key.as_deref()),
        amount: refund.amount,
        charges: refund.charges,
        lines: parts(refund.lines),
    }
}

fn parcel(parcel: wire::Parcel) -> Parcel {
    let lines = parts(parcel.lines);
    Parcel {
        id: parcel.id.into(),
        of: made_of(parcel.key.as_deref()),
        carrier: parcel.carrier,
        tracking: parcel.tracking,
        lines,
    }
}

fn person(buyer: wire::Buyer) -> Person {
    Person {
        email: buyer.email,
        name: buyer.name,
        phone: buyer.phone,
        company: buyer.company,
        vat_number: buyer.vat_number,
        language: buyer.language,
        ..Person::default()
    }
}

fn address(address: wire::Address) -> Address {
    Address {
        name: address.name,
        company: address.company,
        street: address.street,
        street2: address.street2,
        postcode: address.postal_code,
        city: address.city,
        region: address.region,
        country: address.country.map(|country| country.to_uppercase()),
        phone: None,
    }
}

pub(super) fn identity(shop: wire::Shop) -> Result<ShopIdentity, String> {
    let takes = match shop.semantics.takes.as_str() {
        "placement" => Takes::Placement,
        "payment" => Takes::Payment,
        "reserve" => Takes::Reserve,
        "shipment" => Takes::Shipment,
        "never" => Takes::Never,
        _ => return Err("takes stock at a moment that is none its API knows".into()),
    };
    let named = |rows: Vec<wire::Named>| {
        let rows = rows.into_iter().map(|row| lockstep_model::Named {
            id: row.id.into(),
            name: row.name,
        });
        rows.collect::<Vec<_>>()
    };
    Ok(ShopIdentity {
        choices: Vec::new(),
        name: shop.name,
        platform_version: shop.version,
        currency: shop.currency.into(),
        time_zone: shop.time_zone,
        languages: shop.languages,
        prices_include_tax: shop.prices_include_tax,
        stocks: named(shop.stocks),
        shop_versions: named(shop.shop_versions),
        shipping_methods: named(shop.shipping_methods),
        payment_methods: named(shop.payment_methods),
        payment_terms: named(shop.payment_terms),
        branches: named(shop.branches),
        shelves: named(shop.shelves),
        tax_rates: shop.tax_rates.into_iter().map(|rate| rate.rate).collect(),
        countries: shop
            .countries
            .iter()
            .map(|country| country.to_uppercase())
            .collect(),
        stock: StockSemantics {
            takes,
            copies_take: if shop.semantics.copies_take {
                takes
            } else {
                Takes::Never
            },
            reserves: takes == Takes::Reserve,
            negative: false,
        },
    })
}

// ---------------------------------------------------------------- writing

/// At least two decimals, as the shop writes them itself.
fn money(amount: Decimal) -> Json {
    let mut amount = amount.normalize();
    if amount.scale() < 2 {
        amount.rescale(2);
    }
    Json::String(amount.to_string())
}

fn units(field: &str, quantity: Decimal) -> Result<i64, Unsayable> {
    let whole = quantity.fract().is_zero().then(|| quantity.to_i64());
    whole.flatten().ok_or_else(|| {
        unsayable(
            field,
            format!("this shop counts in whole units and cannot hold {quantity}"),
        )
    })
}

/// The one price that a variant has here.
fn only_price<'a>(
    field: &str,
    prices: impl IntoIterator<Item = (&'a lockstep_model::Currency, &'a Decimal)>,
) -> Result<Option<(String, Decimal)>, Unsayable> {
    let mut prices = prices.into_iter();
    let first = prices.next();
    match prices.next() {
        Some(_) => Err(unsayable(field, "this shop has one price in one currency")),
        None => Ok(first.map(|(currency, price)| (currency.0.clone(), *price))),
    }
}

pub(super) fn create_product(product: &Product) -> Result<Json, Unsayable> {
    let mut body = Object::new();
    body.insert("op".into(), "create".into());
    body.insert("title".into(), product.title.as_str().into());
    body.insert("status".into(), product.status.as_str().into());
    if let Some(handle) = product.handle.as_ref().filter(|handle| !handle.is_empty()) {
        body.insert("handle".into(), handle.as_str().into());
    }
    if let Some(description) = &product.description {
        body.insert("description".into(), description.as_str().into());
    }
    if !product.texts.is_empty() {
        body.insert("texts".into(), json!(product.texts));
    }
    if let Some(categories) = &product.categories {
        body.insert("category_ids".into(), json!(categories));
    }
    if let Some(versions) = &product.shop_versions {
        body.insert("shop_versions".into(), json!(versions));
    }
    if !product.options.is_empty() {
        body.insert("options".into(), json!(product.options));
    }
    if !product.attributes.is_empty() {
        body.insert("attributes".into(), json!(product.attributes));
    }
    let variants: Result<Vec<_>, _> = product.variants.iter().map(new_variant).collect();
    body.insert("variants".into(), Json::Array(variants?));
    Ok(Json::Object(body))
}

fn new_variant(variant: &Variant) -> Result<Json, Unsayable> {
    let mut body = Object::new();
    body.insert("sku".into(), variant.sku.as_str().into());
    if let Some((currency, price)) = only_price("price", &variant.prices)? {
        body.insert("price".into(), money(price));
        body.insert("currency".into(), currency.into());
    }
    if let Some((_, price)) = only_price("sale_price", &variant.sale_prices)? {
        body.insert("sale_price".into(), money(price));
    }
    if let Some(gtin) = variant.gtin.as_ref().filter(|gtin| !gtin.is_empty()) {
        body.insert("gtin".into(), gtin.as_str().into());
    }
    if !variant.options.is_empty() {
        body.insert("options".into(), json!(variant.options));
    }
    if let Some(weight) = variant.weight_g {
        body.insert("weight_g".into(), units("weight_g", weight)?.into());
    }
    if let Some(backorder) = variant.backorder {
        body.insert("backorder".into(), backorder.into());
    }
    Ok(Json::Object(body))
}

/// What has to be sent for a product to become what it shall be.
pub(super) struct ProductUpdate {
    /// The member of the batch; `None` if nothing is left to say there.
    pub member: Option<Json>,
    /// Variants that go, by their id here.
    pub remove_variants: Vec<(ItemId, RemoteId)>,
    /// Pictures in the order that they shall have.
    pub order_pictures: Vec<RemoteId>,
}

/// Says only what `set` says.
pub(super) fn update_product(
    id: &RemoteId,
    set: &Fields,
    product: &Product,
    parts: &Parts,
) -> Result<ProductUpdate, Unsayable> {
    let mut body = Object::new();
    let mut texts: BTreeMap<String, Object> = BTreeMap::new();
    let mut attributes = Object::new();
    let mut variants: BTreeMap<ItemId, Object> = BTreeMap::new();
    let mut new_variants: BTreeSet<ItemId> = BTreeSet::new();
    let mut remove_variants = Vec::new();
    let mut order_pictures = Vec::new();
    for (path, value) in set {
        let text = value.as_text().unwrap_or_default();
        let Some(field) = path.field() else {
            return Err(unsayable(path.as_str(), "this field is of a newer version"));
        };
        match field {
            Field::Title => drop(body.insert("title".into(), text.into())),
            Field::Handle => drop(body.insert("handle".into(), text.into())),
            Field::Status => drop(body.insert("status".into(), text.into())),
            Field::Description => drop(body.insert("description".into(), text.into())),
            Field::ShopVersions => {
                drop(body.insert("shop_versions".into(), json!(value.as_list())));
            }
            Field::Categories => drop(body.insert("category_ids".into(), json!(value.as_list()))),
            Field::Options => drop(body.insert("options".into(), json!(value.as_list()))),
            Field::Text { language, name } => {
                let texts = texts.entry(language.into_owned()).or_default();
                texts.insert(name.into_owned(), text.into());
            }
            Field::Attribute(name) => {
                let value = match value {
                    Value::Empty => Json::Null,
                    value => value.as_text().unwrap_or_default().into(),
                };
                attributes.insert(name.into_owned(), value);
            }
            Field::Pictures => {
                let known = |digest: &String| parts.pictures.get(digest).map(|p| p.id.clone());
                order_pictures = value.as_list().iter().filter_map(known).collect();
            }
            Field::Parent | Field::Position => {
                return Err(unsayable(path.as_str(), "a product has no such field"));
            }
            Field::Variant { item, field } => match (parts.variants.get(&item), field) {
                (Some(id), VariantField::Present) if value.as_flag() != Some(true) => {
                    remove_variants.push((item, id.clone()));
                }
                // It is gone already.
                (None, VariantField::Present) if value.as_flag() != Some(true) => {}
                (None, _) => drop(new_variants.insert(item)),
                (Some(_), field) => {
                    let variant = product.variants.iter().find(|v| v.item() == item);
                    let object = variants.entry(item).or_default();
                    set_variant_field(object, &field, value, variant)?;
                }
            },
        }
    }
    let mut members = Vec::new();
    for (item, id) in &remove_variants {
        variants.remove(item);
        // It goes by a call of its own, after this one: till then it must not stand in the way of an axis that goes.
        if body.contains_key("options") {
            let mut object = Object::new();
            object.insert("id".into(), json!(id));
            object.insert("options".into(), json!({}));
            members.push(Json::Object(object));
        }
    }
    for (item, mut object) in variants {
        if object.is_empty() {
            continue;
        }
        if let Some(id) = parts.variants.get(&item) {
            object.insert("id".into(), json!(id));
        }
        members.push(Json::Object(object));
    }
    for item in &new_variants {
        // Fields of a variant that is not to be there say nothing.
        if let Some(variant) = product.variants.iter().find(|v| v.item() == *item) {
            members.push(new_variant(variant)?);
        }
    }
    if !members.is_empty() {
        body.insert("variants".into(), Json::Array(members));
    }
    if !texts.is_empty() {
        body.insert("texts".into(), json!(texts));
    }
    if !attributes.is_empty() {
        body.insert("attributes".into(), Json::Object(attributes));
    }
    let member = (!body.is_empty()).then(|| {
        body.insert("op".into(), "update".into());
        body.insert("id".into(), json!(id));
        Json::Object(body)
    });
    Ok(ProductUpdate {
        member,
        remove_variants,
        order_pictures,
    })
}

fn set_variant_field(
    object: &mut Object,
    field: &VariantField<'_>,
    value: &Value,
    variant: Option<&Variant>,
) -> Result<(), Unsayable> {
    let price = |name: &str| match value.as_number() {
        Some(price) => Ok(money(price)),
        None if name == "sale_price" => Ok(Json::Null),
        None => Err(unsayable(name, "a variant cannot be without a price here")),
    };
    match field {
        VariantField::Present => {}
        VariantField::Sku => {
            let sku = value.as_text().unwrap_or_default();
            object.insert("sku".into(), sku.into());
        }
        VariantField::Gtin => {
            let gtin = value.as_text().map_or(Json::Null, Json::from);
            object.insert("gtin".into(), gtin);
        }
        VariantField::WeightG => {
            let weight = match value.as_number() {
                Some(weight) => units("weight_g", weight)?.into(),
                None => Json::Null,
            };
            object.insert("weight_g".into(), weight);
        }
        VariantField::Backorder => {
            object.insert("backorder".into(), (value.as_flag() == Some(true)).into());
        }
        VariantField::Price(currency) => {
            object.insert("price".into(), price("price")?);
            object.insert("currency".into(), json!(currency));
        }
        VariantField::SalePrice(currency) => {
            object.insert("sale_price".into(), price("sale_price")?);
            object.insert("currency".into(), json!(currency));
        }
        VariantField::Option(_) => {
            // The shop replaces a variant's options as a whole.
            let options = variant.map(|variant| &variant.options);
            object.insert("options".into(), json!(options));
        }
    }
    Ok(())
}

pub(super) fn create_category(category: &Category) -> Json {
    let mut body = Object::new();
    body.insert("op".into(), "create".into());
    body.insert("name".into(), category.name.as_str().into());
    body.insert("parent_id".into(), json!(category.parent));
    if let Some(position) = category.position {
        body.insert("position".into(), position.into());
    }
    Json::Object(body)
}

pub(super) fn update_category(id: &RemoteId, set: &Fields) -> Result<Json, Unsayable> {
    let mut body = Object::new();
    for (path, value) in set {
        match path.field() {
            Some(Field::Title) => {
                body.insert("name".into(), value.as_text().unwrap_or_default().into());
            }
            Some(Field::Parent) => {
                let parent = value.as_text().map_or(Json::Null, Json::from);
                body.insert("parent_id".into(), parent);
            }
            Some(Field::Position) => {
                let position = value.as_number().unwrap_or_default();
                body.insert("position".into(), units("position", position)?.into());
            }
            _ => return Err(unsayable(path.as_str(), "a category has no such field")),
        }
    }
    body.insert("op".into(), "update".into());
    body.insert("id".into(), json!(id));
    Ok(Json::Object(body))
}

/// `was` as it was read: a sale in between makes its version stale, and the write is refused.
pub(super) fn set_level(
    was: &Level,
    on_hand: Decimal,
    location: Option<&str>,
) -> Result<Json, Unsayable> {
    let mut body = Object::new();
    body.insert("sku".into(), was.sku.as_str().into());
    body.insert("stock".into(), was.stock.as_str().into());
    body.insert("on_hand".into(), units("on_hand", on_hand)?.into());
    if let Some(rev) = &was.version {
        let rev: i64 = rev
            .parse()
            .map_err(|_| unsayable("version", "the level's version is not one of this shop's"))?;
        body.insert("if_rev".into(), rev.into());
    }
    if let Some(location) = location {
        body.insert("location".into(), location.into());
    }
    Ok(Json::Object(body))
}

pub(super) fn create_order(new: &NewOrder) -> Result<Json, Unsayable> {
    let (state, person) = (&new.order.state, &new.order.person);
    let mut body = Object::new();
    body.insert("op".into(), "create".into());
    body.insert("external_key".into(), new.key.to_string().into());
    body.insert("reference".into(), new.reference.as_str().into());
    body.insert("placed_at".into(), json!(state.placed_at));
    body.insert("currency".into(), json!(state.currency));
    body.insert("total".into(), money(state.total));
    let payment = match state.payment {
        Payment::Pending | Payment::Accepted | Payment::Authorized => "pending",
        Payment::Paid | Payment::PartlyRefunded | Payment::Refunded => "paid",
    };
    body.insert("payment".into(), payment.into());
    body.insert("send_confirmation".into(), new.send_confirmation.into());
    let references = [
        ("branch", &new.branch),
        ("stock", &new.stock),
        ("payment_term", &new.payment_term),
        ("payment_method", &state.payment_method),
        ("shipping_method", &state.shipping_method),
    ];
    for (name, id) in references {
        if let Some(id) = id {
            body.insert(name.into(), json!(id));
        }
    }
    let lines: Result<Vec<_>, _> = state.lines.iter().map(new_line).collect();
    body.insert("lines".into(), Json::Array(lines?));
    let charges = state.charges.iter().map(new_charge);
    body.insert("charges".into(), charges.collect());
    if !state.discounts.is_empty() {
        let discounts = state.discounts.iter();
        let discounts = discounts
            .map(|discount| json!({ "title": discount.title, "amount": money(discount.amount) }));
        body.insert("discounts".into(), discounts.collect());
    }
    let buyer = json!({
        "name": person.name, "email": person.email, "phone": person.phone,
        "company": person.company, "vat_number": person.vat_number, "language": person.language,
    });
    body.insert("buyer".into(), without_nulls(buyer));
    for (name, address) in [("billing", &person.billing), ("shipping", &person.shipping)] {
        if let Some(address) = address {
            body.insert(name.into(), new_address(address));
        }
    }
    if let Some(note) = &person.note {
        body.insert("note".into(), note.as_str().into());
    }
    Ok(Json::Object(body))
}

fn new_line(line: &OrderLine) -> Result<Json, Unsayable> {
    Ok(json!({
        "key": our_key(&line.id),
        "sku": line.sku,
        "title": line.title,
        "quantity": units("quantity", line.quantity)?,
        "unit_price": money(line.unit_price),
        "tax_rate": line.tax_rate.normalize().to_string(),
        "discount": money(line.discount),
        "net": money(line.net),
        "tax": money(line.tax),
        "gross": money(line.gross),
    }))
}

fn new_charge(charge: &Charge) -> Json {
    let kind = match charge.kind {
        ChargeKind::Shipping => "shipping",
        ChargeKind::Fee => "fee",
        ChargeKind::Discount => "discount",
        ChargeKind::Rounding => "rounding",
    };
    json!({
        "kind": kind,
        "title": charge.title,
        "net": money(charge.net),
        "tax": money(charge.tax),
        "gross": money(charge.gross),
        "tax_rate": charge.tax_rate.normalize().to_string(),
    })
}

fn new_address(address: &Address) -> Json {
    without_nulls(json!({
        "name": address.name, "company": address.company,
        "street": address.street, "street2": address.street2,
        "postal_code": address.postcode, "city": address.city,
        "region": address.region, "country": address.country,
    }))
}

fn without_nulls(mut value: Json) -> Json {
    if let Json::Object(object) = &mut value {
        object.retain(|_, value| !value.is_null());
    }
    value
}

/// A step as a member of a batch. Each may be sent again: the whole-order forms by state, the parts by their key.
pub(super) fn step_order(
    id: &RemoteId,
    step: &OrderStep,
    person: Option<&Person>,
) -> Result<Json, Unsayable> {
    let lines = |lines: &BTreeMap<RemoteId, Decimal>| -> Result<Json, Unsayable> {
        let lines = lines.iter().map(|(line, quantity)| {
            let quantity = units("quantity", *quantity)?;
            Ok(json!({"id": line, "quantity": quantity}))
        });
        lines.collect::<Result<Vec<_>, _>>().map(Json::Array)
    };
    let mut body = Object::new();
    body.insert("id".into(), json!(id));
    match step {
        OrderStep::Pay => drop(body.insert("op".into(), "pay".into())),
        OrderStep::Cancel => drop(body.insert("op".into(), "cancel".into())),
        OrderStep::Ship {
            parcel,
            carrier,
            tracking,
            lines: shipped,
        } => {
            body.insert("op".into(), "ship".into());
            body.insert("key".into(), our_key(parcel));
            body.insert("send_mail".into(), false.into());
            body.insert("lines".into(), lines(shipped)?);
            for (name, text) in [("carrier", carrier), ("tracking", tracking)] {
                if let Some(text) = text {
                    body.insert(name.into(), text.as_str().into());
                }
            }
        }
        OrderStep::CancelUnits {
            key,
            lines: cancelled,
            restock,
        } => {
            body.insert("op".into(), "cancel".into());
            body.insert("key".into(), our_key(key));
            body.insert("restock".into(), (*restock).into());
            body.insert("lines".into(), lines(cancelled)?);
        }
        OrderStep::Refund {
            key,
            amount,
            charges,
            lines: returned,
            restock,
        } => {
            // A refund wants an order that was paid; units come back without money too.
            let op = if amount.is_zero() { "return" } else { "refund" };
            body.insert("op".into(), op.into());
            body.insert("key".into(), our_key(key));
            body.insert("restock".into(), (*restock).into());
            if !amount.is_zero() {
                body.insert("amount".into(), money(*amount));
                if !charges.is_zero() {
                    body.insert("charges".into(), money(*charges));
                }
            }
            if !returned.is_empty() {
                body.insert("lines".into(), lines(returned)?);
            }
        }
        OrderStep::Edit { lines: edited } => {
            body.insert("op".into(), "update".into());
            let lines: Result<Vec<_>, Unsayable> = edited.iter().map(edited_line).collect();
            body.insert("lines".into(), Json::Array(lines?));
        }
        OrderStep::Readdress => {
            let person = person.ok_or_else(|| unsayable("shipping", "no address came with it"))?;
            body.insert("op".into(), "update".into());
            let addresses = [("billing", &person.billing), ("shipping", &person.shipping)];
            for (name, address) in addresses {
                let address = address.as_ref().map_or(Json::Null, new_address);
                body.insert(name.into(), address);
            }
            body.insert("note".into(), json!(person.note));
        }
    }
    Ok(Json::Object(body))
}

/// The whole line as it shall be. A new one bears our key: said again, it is the same one.
fn edited_line(line: &Edited) -> Result<Json, Unsayable> {
    let mut body = Object::new();
    match &line.line {
        Some(id) => drop(body.insert("id".into(), json!(id))),
        None => {
            body.insert("key".into(), our_key(&line.of));
            if let Some(sku) = &line.sku {
                body.insert("sku".into(), sku.as_str().into());
            }
            body.insert("title".into(), line.title.as_str().into());
        }
    }
    body.insert("quantity".into(), units("quantity", line.quantity)?.into());
    if line.quantity > Decimal::ZERO {
        let rate = line.tax_rate.normalize().to_string();
        body.insert("tax_rate".into(), rate.into());
        let amounts = [
            ("unit_price", line.unit_price),
            ("net", line.net),
            ("tax", line.tax),
            ("gross", line.gross),
            ("discount", line.discount),
        ];
        for (name, amount) in amounts {
            body.insert(name.into(), money(amount));
        }
    }
    Ok(Json::Object(body))
}
