//! What is said to a practice shop, and how what it says is read. The live conversations are in `tests/it`.

use super::map;
use lockstep_model::{
    Currency, Field, Fields, ItemId, Kind, Level, Parts, Path, Payment, Product, Record, RemoteId,
    Value, Variant, VariantField,
};
use rust_decimal::Decimal;
use serde_json::json;

fn variant_path(sku: &str, field: VariantField<'_>) -> Path {
    let item = sku.into();
    Path::new(&Field::Variant { item, field })
}

fn product() -> Product {
    Product {
        id: "p1".into(),
        title: "Scarf".into(),
        options: vec!["Size".into()],
        variants: vec![Variant {
            id: "v1".into(),
            sku: "S-M".into(),
            prices: [("EUR".into(), Decimal::new(249, 1))].into(),
            options: [("Size".to_owned(), "M".to_owned())].into(),
            ..Variant::default()
        }],
        ..Product::default()
    }
}

fn update(set: Fields, product: &Product) -> serde_json::Value {
    let id = RemoteId::from("p1");
    let update = map::update_product(&id, &set, product, &product.parts());
    update
        .map(|update| update.member.unwrap_or_default())
        .unwrap_or_else(|why| panic!("{why:?}"))
}

#[test]
fn an_update_says_only_what_changed() {
    let set = [
        (Path::new(&Field::Title), Value::text("Shawl")),
        (
            variant_path("S-M", VariantField::Price("EUR".into())),
            Value::number(Decimal::new(7, 0)),
        ),
        (variant_path("S-M", VariantField::Gtin), Value::Empty),
    ];
    assert_eq!(
        update(set.into(), &product()),
        json!({
            "op": "update", "id": "p1", "title": "Shawl",
            "variants": [{ "id": "v1", "price": "7.00", "currency": "EUR", "gtin": null }],
        })
    );
}

#[test]
fn a_variant_that_goes_does_not_hold_an_axis_that_goes() {
    let set: Fields = [
        (Path::new(&Field::Options), Value::Empty),
        (variant_path("S-M", VariantField::Present), Value::Empty),
    ]
    .into();
    assert_eq!(
        update(set, &product()),
        json!({ "op": "update", "id": "p1", "options": [], "variants": [{ "id": "v1", "options": {} }] })
    );
}

#[test]
fn what_is_taken_away_is_said_to_be_nothing() {
    let set: Fields = [
        (Path::new(&Field::Attribute("fabric".into())), Value::Empty),
        (
            Path::new(&Field::Text {
                language: "fi".into(),
                name: "title".into(),
            }),
            Value::Empty,
        ),
        (
            variant_path("S-M", VariantField::SalePrice("EUR".into())),
            Value::Empty,
        ),
    ]
    .into();
    assert_eq!(
        update(set, &product()),
        json!({
            "op": "update", "id": "p1", "attributes": { "fabric": null }, "texts": { "fi": { "title": "" } },
            "variants": [{ "id": "v1", "sale_price": null, "currency": "EUR" }],
        })
    );
}

#[test]
fn a_new_variant_is_said_whole_and_a_gone_one_goes_by_its_id() {
    let mut product = product();
    let parts = product.parts();
    product.variants.push(Variant {
        sku: "S-L".into(),
        prices: [("EUR".into(), Decimal::new(26, 0))].into(),
        options: [("Size".to_owned(), "L".to_owned())].into(),
        ..Variant::default()
    });
    let present = |sku| variant_path(sku, VariantField::Present);
    let set: Fields = [
        (present("S-L"), Value::Flag(true)),
        (present("S-M"), Value::Empty),
        (present("S-XS"), Value::Empty),
    ]
    .into();
    let id = RemoteId::from("p1");
    let update =
        map::update_product(&id, &set, &product, &parts).unwrap_or_else(|why| panic!("{why:?}"));
    assert_eq!(
        update.member,
        Some(json!({
            "op": "update", "id": "p1",
            "variants": [{ "sku": "S-L", "price": "26.00", "currency": "EUR", "options": { "Size": "L" } }],
        }))
    );
    assert_eq!(update.remove_variants, [(ItemId::from("S-M"), "v1".into())]);
}

#[test]
fn what_the_shop_has_no_words_for_is_named() {
    let level = |on_hand| {
        let was = Level {
            sku: "S".into(),
            stock: "main".into(),
            item: "".into(),
            variant: None,
            inventory: None,
            on_hand: Decimal::ONE,
            reserved: Decimal::ZERO,
            set_aside: Decimal::ZERO,
            version: Some("3".into()),
            location: None,
            modified_at: None,
        };
        map::set_level(&was, on_hand, None)
    };
    assert_eq!(
        level(Decimal::TWO),
        Ok(json!({ "sku": "S", "stock": "main", "on_hand": 2, "if_rev": 3 }))
    );
    let refused = level(Decimal::new(15, 1)).map_err(|why| why.field);
    assert_eq!(refused, Err("on_hand".to_owned()));
    let mut two = product();
    two.variants[0]
        .prices
        .insert(Currency::from("USD"), Decimal::ONE);
    let refused = map::create_product(&two).map_err(|why| why.field);
    assert_eq!(refused, Err("price".to_owned()));
    let unknown = [(Path::new(&Field::Parent), Value::text("c1"))].into();
    let refused = map::update_product(&"p1".into(), &unknown, &two, &Parts::default());
    assert!(refused.is_err());
}

#[test]
fn a_record_that_does_not_map_says_why_and_quotes_nobody() {
    let bad = map::item(
        Kind::Order,
        r#"{"id":"o1","number":"1","buyer":"Aino Virta"}"#,
    );
    let bad = bad.unwrap_err();
    assert_eq!(bad.id, Some("o1".into()));
    assert!(!bad.reason.contains("Aino"), "{}", bad.reason);
    let no_sku = r#"{"id":"p1","title":"X","status":"active","variants":[
        {"id":"v1","sku":" ","price":"1.00","currency":"EUR"}]}"#;
    let bad = map::item(Kind::Product, no_sku).unwrap_err();
    assert!(bad.reason.contains("v1") && bad.reason.contains("SKU"));
    let gone = r#"{"id":"S","sku":"S","stock":"main","deleted_at":"2026-03-01T09:02:11Z"}"#;
    assert_eq!(
        map::item(Kind::Level, gone),
        Ok(Record::Gone {
            kind: Kind::Level,
            id: "S".into()
        })
    );
}

#[test]
fn an_unpaid_order_on_account_is_accepted_and_one_by_card_is_not() {
    for (method, term, wanted) in [
        ("card", "null", Payment::Pending),
        ("bank", "null", Payment::Pending),
        ("invoice", "null", Payment::Accepted),
        ("card", r#""net14""#, Payment::Accepted),
    ] {
        let raw = format!(
            r#"{{"id":"o1","number":"1","external_key":null,"stock":"main","payment_term":{term},
            "placed_at":"2026-03-01T09:02:11Z","currency":"EUR","payment":"pending","fulfilment":"open",
            "cancelled":false,"lines":[],"total":"0.00","payment_method":"{method}"}}"#
        );
        let Ok(Record::Order(order)) = map::item(Kind::Order, &raw) else {
            panic!("{raw}");
        };
        assert_eq!(order.state.payment, wanted, "{method} {term}");
    }
}
