//! Scripted conversations with Medusa. The replies in `fixtures/` are those of a real 2.21.2, without the members
//! that nobody reads.

use super::Medusa;
use http::Method;
use lockstep_connector::kit::ports::{Answer, Script, Step};
use lockstep_connector::{Account, Connector, NoPictures, Platform};
use lockstep_model::{
    Change, Cursor, CustomerId, FaultKind, Fields, Fulfilment, Kind, Level, NewOrder, Next, Order,
    OrderKey, OrderLine, OrderState, Outcome, Page, Path, Payment, Person, Product, PullRequest,
    Record, RemoteId, Scope, ShopId, Status, Value as Held,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const PRODUCTS_SINCE: &str = include_str!("fixtures/products-since.json");
const ORDERS: &str = include_str!("fixtures/orders.json");

const LOCATION: &str = "sloc_01M82BC1H5A5HPM0YZZ5WMCYD4";

fn account() -> Account {
    let options = [
        ("stock_location", LOCATION),
        ("sales_channel", "sc_1"),
        ("shipping_profile", "sp_1"),
        ("shipping_option", "so_1"),
    ];
    Account {
        shop: ShopId(4),
        name: "Medusa".into(),
        url: "http://127.0.0.1:9000".into(),
        credentials: [("api_key".to_owned(), "sk_secret".to_owned())].into(),
        options: options
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    }
}

fn shop(script: &Arc<Script>) -> Box<dyn Connector> {
    Medusa.connect(account(), script.clone())
}

fn get(path: &str, body: impl Into<String>) -> Step {
    let date = "Sun, 22 Nov 2026 19:45:00 GMT";
    Step {
        method: Method::GET,
        path: path.into(),
        body: None,
        answer: Answer::json(200, body).with_header("date", date),
    }
}

/// No sales go on.
fn price_lists() -> Step {
    get(
        "/admin/price-lists?…",
        json!({ "price_lists": [] }).to_string(),
    )
}

fn post(path: &str, body: Value, answer: Answer) -> Step {
    Step {
        method: Method::POST,
        path: path.into(),
        body: Some(body),
        answer,
    }
}

fn played(script: &Script) {
    let surprises = script.surprises();
    assert!(surprises.is_empty(), "{surprises:#?}");
}

/// Scripts answer at once: nothing here ever waits.
fn now<F: Future>(future: F) -> F::Output {
    futures::executor::block_on(future)
}

fn pull(shop: &dyn Connector, kind: Kind, scope: Scope, limit: u32) -> Page {
    now(shop.pull(&PullRequest { kind, scope, limit })).unwrap()
}

fn push(shop: &dyn Connector, change: Change) -> Outcome {
    let outcomes = now(shop.push(&[change], &NoPictures)).unwrap();
    outcomes.into_iter().next().unwrap()
}

fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// One list after the other: in an `$or` the shop would pass over the first.
#[test]
fn m2_the_feed_tells_edits_deletes_variants_and_renamed_options() {
    let since = "2026-11-22T19%3A39%3A00Z";
    let page_of = "&order=id&limit=100&offset=0";
    let list = |what: &str| {
        format!("/admin/products?with_deleted=true&{what}[$gte]={since}{page_of}&fields=…")
    };
    let options = json!({ "product_options": [
        { "id": "opt_1", "products": [{ "id": "prod_9" }] }, { "id": "opt_2", "products": null },
    ]});
    let script = Script::new([
        get(&list("updated_at"), PRODUCTS_SINCE),
        price_lists(),
        // A variant of the same changed too: it is not told twice.
        get(&list("variants[updated_at]"), PRODUCTS_SINCE),
        price_lists(),
        get(
            &format!(
                "/admin/product-options?updated_at[$gte]={since}{page_of}&fields=id,products.id"
            ),
            options.to_string(),
        ),
        get(
            "/admin/products?limit=1&id[]=prod_9&fields=…",
            product_list(&["prod_9"]),
        ),
        price_lists(),
        price_lists(),
    ]);
    let shop = shop(&script);
    let since = |next: Next| match next {
        Next::More(cursor) => Scope::Since(cursor),
        other => panic!("{other:?}"),
    };
    let cursor = Cursor(r#"{"since":"2026-11-22T19:39:00Z"}"#.into());
    let page = pull(shop.as_ref(), Kind::Product, Scope::Since(cursor), 100);
    let variants = pull(shop.as_ref(), Kind::Product, since(page.next.clone()), 100);
    assert!(variants.records.is_empty());
    let options = pull(shop.as_ref(), Kind::Product, since(variants.next), 100);
    assert_eq!(titles(&options), ["prod_9"]);
    let last = pull(shop.as_ref(), Kind::Product, since(options.next), 100);
    assert!(last.records.is_empty());
    played(&script);
    let Ok(Record::Product(product)) = &page.records[0] else {
        panic!("{:?}", page.records[0]);
    };
    assert_eq!(product.title, "Two axes");
    assert_eq!(product.status, Status::Active);
    assert_eq!(product.options.len(), 3);
    // The deleted variant is not told, and of the prices only those that everybody gets.
    let skus: Vec<_> = product.variants.iter().map(|v| v.sku.as_str()).collect();
    assert_eq!(skus, ["T2-S-R", "T2-M-B"]);
    let prices = BTreeMap::from([("EUR".into(), dec("10.5")), ("USD".into(), dec("11"))]);
    assert_eq!(product.variants[1].prices, prices);
    assert_eq!(product.variants[1].options["Colour"], "Blue");
    assert!(matches!(
        &page.records[1],
        Ok(Record::Gone {
            kind: Kind::Product,
            ..
        })
    ));
    // The next look begins half a minute before this one began.
    let Next::End(Some(next)) = last.next else {
        panic!("{:?}", last.next);
    };
    assert!(next.0.contains("2026-11-22T19:44:30Z"), "{next:?}");
}

#[test]
fn a_product_without_a_sku_is_a_bad_record_that_names_it() {
    let mut list: Value = serde_json::from_str(PRODUCTS_SINCE).unwrap();
    list["products"][0]["variants"][1]["sku"] = Value::Null;
    let script = Script::new([
        get("/admin/products?order=id&…", list.to_string()),
        price_lists(),
    ]);
    let shop = shop(&script);
    let page = pull(shop.as_ref(), Kind::Product, Scope::Everything(None), 100);
    let bad = page.records[0].as_ref().unwrap_err();
    assert!(bad.id.is_some());
    assert!(
        bad.reason.contains("Two axes") && bad.reason.contains("SKU"),
        "{}",
        bad.reason
    );
    assert!(page.records[1].is_ok());
}

fn stocked(sku: &str, item: &str, levels: &[(&str, u32, u32)]) -> Value {
    let levels: Vec<Value> = levels
        .iter()
        .map(|(location, there, reserved)| {
            json!({ "location_id": location, "stocked_quantity": there, "reserved_quantity": reserved })
        })
        .collect();
    json!({
        "id": format!("variant_{sku}"), "sku": sku, "manage_inventory": true,
        "inventory_items": [{
            "required_quantity": 1,
            "inventory": { "id": item, "variants": [{ "id": "v" }], "location_levels": levels },
        }],
    })
}

fn locations() -> Step {
    let rows = json!({ "stock_locations": [
        { "id": "sloc_2", "name": "Outlet" }, { "id": LOCATION, "name": "Main" },
    ]});
    get(
        "/admin/stock-locations?limit=100&fields=id,name",
        rows.to_string(),
    )
}

#[test]
fn m7_a_level_is_told_of_each_location_whether_it_is_there_or_not() {
    let rows = json!({ "variants": [
        stocked("A", "iitem_a", &[(LOCATION, 19, 2)]),
        { "id": "v", "sku": "uncounted", "manage_inventory": false, "inventory_items": [] },
        { "id": "v", "sku": null, "manage_inventory": true, "inventory_items": [] },
    ]});
    let script = Script::new([
        locations(),
        get(
            "/admin/product-variants?order=id&limit=100&offset=0&fields=…",
            rows.to_string(),
        ),
    ]);
    let shop = shop(&script);
    let page = pull(shop.as_ref(), Kind::Level, Scope::Everything(None), 100);
    played(&script);
    let levels = page.records.iter().map(|record| match record {
        Ok(Record::Level(level)) => (
            level.sku.as_str(),
            level.stock.as_str(),
            level.on_hand,
            level.available(),
            level.version.is_some(),
        ),
        other => panic!("{other:?}"),
    });
    let levels: Vec<_> = levels.collect();
    assert_eq!(
        levels,
        [
            ("A", LOCATION, dec("19"), dec("17"), true),
            ("A", "sloc_2", dec("0"), dec("0"), false),
        ]
    );
}

/// Reserved where the goods are; packed, the parcel says it.
#[test]
fn m8_a_line_is_booked_where_its_units_are_reserved() {
    let item = |id: &str, packed: u32| {
        json!({
            "id": id, "title": id, "variant_id": id, "variant_sku": id, "quantity": 2, "unit_price": 1, "total": 2,
            "detail": { "quantity": 2, "fulfilled_quantity": packed },
        })
    };
    let row = json!({
        "id": "order_1", "status": "pending", "currency_code": "eur", "created_at": "2026-11-22T19:00:01Z",
        "total": 6, "items": [item("open", 0), item("packed", 2), item("nowhere", 0)],
        "fulfillments": [{ "id": "ful_1", "location_id": LOCATION, "items": [{ "line_item_id": "packed", "quantity": 2 }] }],
    });
    let reservations = json!({ "reservations": [
        { "line_item_id": "open", "location_id": "sloc_2", "quantity": 2 },
    ]});
    let script = Script::new([
        get(
            "/admin/orders?limit=1&id[]=order_1&fields=…",
            json!({ "orders": [row] }).to_string(),
        ),
        locations(),
        get(
            "/admin/reservations?limit=5000&line_item_id[]=open&line_item_id[]=nowhere&fields=…",
            reservations.to_string(),
        ),
    ]);
    let shop = shop(&script);
    let ids = Scope::Ids(vec!["order_1".into()]);
    let page = pull(shop.as_ref(), Kind::Order, ids, 50);
    played(&script);
    let Ok(Record::Order(order)) = &page.records[0] else {
        panic!("{:?}", page.records[0]);
    };
    let stocks = order.state.lines.iter().map(|line| line.stock.clone());
    assert_eq!(
        stocks.collect::<Vec<_>>(),
        [Some("sloc_2".into()), Some(LOCATION.into()), None]
    );
}

#[test]
fn an_order_is_read_in_full() {
    let script = Script::new([get("/admin/orders?order=id&limit=50&…", ORDERS)]);
    let shop = shop(&script);
    let page = pull(shop.as_ref(), Kind::Order, Scope::Everything(None), 50);
    let Ok(Record::Order(order)) = &page.records[0] else {
        panic!("{:?}", page.records[0]);
    };
    let state = &order.state;
    assert_eq!(state.number, "27");
    assert_eq!(state.payment, Payment::Paid);
    assert_eq!(state.fulfilment, Fulfilment::Shipped);
    assert_eq!(state.total, dec("23"));
    let line = &state.lines[0];
    assert_eq!(
        (line.quantity, line.taken, line.shipped),
        (dec("2"), dec("2"), dec("2"))
    );
    assert_eq!(line.gross + state.charges[0].gross, state.total);
    assert_eq!(order.person.name.as_deref(), Some("Bo Yer"));
    let shipping = order.person.shipping.as_ref().unwrap();
    assert_eq!(shipping.country.as_deref(), Some("FR"));
    assert_eq!(state.parcels.len(), 1);
}

fn product_row(id: &str) -> Value {
    json!({
        "id": id, "title": id, "status": "published", "options": [],
        "variants": [{ "id": format!("variant_{id}"), "sku": id, "prices": [] }],
    })
}

fn product_list(ids: &[&str]) -> String {
    let rows: Vec<Value> = ids.iter().map(|id| product_row(id)).collect();
    json!({ "products": rows, "count": 9, "offset": 0, "limit": 3 }).to_string()
}

fn titles(page: &Page) -> Vec<&str> {
    let products = page
        .records
        .iter()
        .flatten()
        .filter_map(|record| match record {
            Record::Product(Product { title, .. }) => Some(title.as_str()),
            _ => None,
        });
    products.collect()
}

#[test]
fn a_page_that_slid_to_the_front_is_read_again_further_back() {
    let path = |limit: u32, offset: u32| {
        format!("/admin/products?order=id&limit={limit}&offset={offset}&…")
    };
    let script = Script::new([
        get(&path(3, 0), product_list(&["a", "b", "c"])),
        // Once for the whole scan.
        price_lists(),
        // a and b were deleted: the row that would prove it is gone, so one page further back …
        get(&path(4, 2), product_list(&["e", "f", "g"])),
        get(&path(4, 0), product_list(&["c", "d", "e", "f"])),
    ]);
    let shop = shop(&script);
    let page = pull(shop.as_ref(), Kind::Product, Scope::Everything(None), 3);
    assert_eq!(titles(&page), ["a", "b", "c"]);
    let Next::More(cursor) = page.next else {
        panic!("{:?}", page.next);
    };
    let page = pull(
        shop.as_ref(),
        Kind::Product,
        Scope::Everything(Some(cursor)),
        3,
    );
    assert_eq!(titles(&page), ["d", "e", "f"]);
    played(&script);
}

fn level(version: Option<&str>) -> Level {
    Level {
        sku: "S".into(),
        stock: LOCATION.into(),
        item: "".into(),
        variant: None,
        inventory: Some("iitem_1".into()),
        on_hand: Decimal::ZERO,
        reserved: Decimal::ZERO,
        set_aside: Decimal::ZERO,
        version: version.map(str::to_owned),
        location: None,
        modified_at: None,
    }
}

#[test]
fn a_level_that_appeared_meanwhile_is_updated_instead_of_created() {
    let path = "/admin/inventory-items/location-levels/batch";
    let row =
        json!({ "inventory_item_id": "iitem_1", "location_id": LOCATION, "stocked_quantity": 12 });
    let refused = || {
        Answer::json(
            400,
            r#"{"type":"invalid_data","message":"Inventory level with inventory_item_id: iitem_1, location_id: sloc_1, already exists."}"#,
        )
    };
    let done = json!({
        "created": [],
        "updated": [{
            "id": "ilev_1", "location_id": LOCATION, "inventory_item_id": "iitem_1",
            "stocked_quantity": 12, "reserved_quantity": 2,
        }],
    });
    let script = Script::new([
        post(path, json!({ "create": [row], "update": [] }), refused()),
        post(path, json!({ "create": [row], "update": [] }), refused()),
        post(
            path,
            json!({ "create": [], "update": [row] }),
            Answer::json(200, done.to_string()),
        ),
    ]);
    let shop = shop(&script);
    let outcome = push(
        shop.as_ref(),
        Change::SetLevel {
            was: Box::new(level(None)),
            on_hand: dec("12"),
            location: None,
        },
    );
    played(&script);
    let Outcome::Done(receipt) = outcome else {
        panic!("{outcome:?}");
    };
    let Some(Record::Level(level)) = receipt.record else {
        panic!("no level in the receipt");
    };
    assert_eq!((level.on_hand, level.available()), (dec("12"), dec("10")));
}

fn new_order() -> NewOrder {
    let line = OrderLine {
        variant: None,
        item: None,
        id: "1".into(),
        of: None,
        sku: Some("S".into()),
        title: "Scarf".into(),
        quantity: dec("3"),
        unit_price: dec("3.33"),
        net: dec("7.97"),
        tax: dec("2.03"),
        gross: dec("10.00"),
        tax_rate: dec("25.5"),
        discount: Decimal::ZERO,
        taken: Decimal::ZERO,
        shipped: Decimal::ZERO,
        cancelled: Decimal::ZERO,
        returned: Decimal::ZERO,
        written_off: Decimal::ZERO,
        stock: None,
    };
    NewOrder {
        key: OrderKey {
            customer: CustomerId(7),
            shop: ShopId(2),
            id: "o1".into(),
        },
        reference: "WEB-1".into(),
        order: Order {
            state: OrderState {
                id: "o1".into(),
                number: "1".into(),
                key: None,
                stage: Default::default(),
                payment: Payment::Paid,
                fulfilment: Default::default(),
                cancelled: false,
                placed_at: "2026-11-22T19:00:00Z".parse().unwrap(),
                modified_at: None,
                currency: "EUR".into(),
                lines: vec![line],
                charges: Vec::new(),
                total: dec("10.00"),
                tax_by_rate: BTreeMap::new(),
                payment_method: None,
                shipping_method: None,
                payment_term: None,
                parcels: Vec::new(),
                refunds: Vec::new(),
                discounts: Vec::new(),
            },
            person: Person::default(),
        },
        branch: None,
        stock: None,
        payment_term: None,
        due_days: None,
        send_confirmation: false,
    }
}

fn create() -> Change {
    Change::CreateOrder {
        order: Box::new(new_order()),
    }
}

/// What is read before a copy is made.
fn before_a_copy(drafts: Value) -> Vec<Step> {
    vec![
        get(
            "/admin/draft-orders?created_at[$gte]=2026-11-22T18%3A49%3A30Z&order=id&limit=100&offset=0&fields=id,metadata,total",
            json!({ "draft_orders": drafts }).to_string(),
        ),
        get(
            "/admin/product-variants?limit=1&sku[]=S&fields=id,sku",
            r#"{"variants":[{"id":"variant_1","sku":"S"}]}"#,
        ),
        get(
            "/admin/regions?…",
            r#"{"regions":[{"id":"reg_1","name":"Europe","currency_code":"eur","automatic_taxes":false}]}"#,
        ),
        get(
            "/admin/price-preferences?limit=100",
            r#"{"price_preferences":[]}"#,
        ),
    ]
}

fn converted() -> Vec<Step> {
    let order = json!({
        "id": "order_1", "display_id": 5, "status": "pending", "payment_status": "not_paid",
        "currency_code": "eur", "total": 10, "created_at": "2026-11-22T19:00:01Z",
        "metadata": { "lockstep_key": "lockstep:7:2:o1" },
    });
    vec![
        post(
            "/admin/draft-orders/order_1/convert-to-order?fields=id",
            json!({}),
            Answer::json(200, r#"{"order":{"id":"order_1"}}"#),
        ),
        get(
            "/admin/orders?limit=1&id[]=order_1&fields=…",
            json!({ "orders": [order] }).to_string(),
        ),
    ]
}

fn made(outcome: &Outcome) -> &RemoteId {
    match outcome {
        Outcome::Done(receipt) => &receipt.id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_copy_is_a_draft_with_our_key_and_then_an_order() {
    let draft = json!({
        "region_id": "reg_1", "currency_code": "eur", "sales_channel_id": "sc_1",
        "no_notification_order": true, "shipping_methods": [],
        // Ten euro for three.
        "items": [{
            "title": "Scarf", "quantity": 3, "unit_price": 3.33333333333333, "variant_id": "variant_1",
            "metadata": { "lockstep_line": "1" },
        }],
        "metadata": { "lockstep_key": "lockstep:7:2:o1", "lockstep_reference": "WEB-1" },
    });
    let mut steps = before_a_copy(json!([]));
    steps.push(post(
        "/admin/draft-orders?fields=id,total…",
        draft,
        Answer::json(200, r#"{"draft_order":{"id":"order_1","total":10}}"#),
    ));
    steps.extend(converted());
    let script = Script::new(steps);
    let outcome = push(shop(&script).as_ref(), create());
    played(&script);
    assert_eq!(made(&outcome).0, "order_1");
}

#[test]
fn a_draft_that_was_left_behind_becomes_the_order() {
    let left = json!([
        { "id": "order_0", "metadata": { "lockstep_key": "lockstep:7:2:o9" }, "total": 10 },
        { "id": "order_1", "metadata": { "lockstep_key": "lockstep:7:2:o1" }, "total": 10 },
    ]);
    let mut steps = before_a_copy(left);
    steps.extend(converted());
    let script = Script::new(steps);
    let outcome = push(shop(&script).as_ref(), create());
    played(&script);
    assert_eq!(made(&outcome).0, "order_1");
}

fn drafted(body: Option<Value>, answer: Value) -> Step {
    Step {
        method: Method::POST,
        path: "/admin/draft-orders?fields=id,total…".into(),
        body,
        answer: Answer::json(200, json!({ "draft_order": answer }).to_string()),
    }
}

fn removed(id: &str) -> Step {
    Step {
        method: Method::DELETE,
        path: format!("/admin/draft-orders/{id}"),
        body: None,
        answer: Answer::json(200, r#"{"deleted":true}"#),
    }
}

#[test]
fn a_copy_that_would_cost_something_else_is_refused_and_leaves_nothing_behind() {
    let mut steps = before_a_copy(json!([]));
    steps.extend([
        drafted(None, json!({ "id": "order_1", "total": 12.55 })),
        removed("order_1"),
        drafted(None, json!({ "id": "order_2", "total": 12.55 })),
        removed("order_2"),
    ]);
    let script = Script::new(steps);
    let outcome = push(shop(&script).as_ref(), create());
    played(&script);
    let Outcome::Failed(fault) = outcome else {
        panic!("{outcome:?}");
    };
    let field = Some("total".to_owned());
    assert_eq!(fault.kind, FaultKind::Invalid { field });
    assert!(fault.message.contains("12.55"), "{}", fault.message);
}

/// Prices with tax, shipping without; and the shop's rate for it is not the origin's.
#[test]
fn m4_each_part_is_sent_as_the_shop_takes_it_and_once_more_by_what_it_says() {
    let mut order = new_order();
    order.order.state.lines[0].quantity = dec("7");
    order.order.state.lines[0].gross = dec("171.94");
    order.order.state.charges = vec![lockstep_model::Charge {
        kind: lockstep_model::ChargeKind::Shipping,
        title: "Post".into(),
        net: dec("4.32"),
        tax: dec("0.58"),
        gross: dec("4.90"),
        tax_rate: dec("13.5"),
    }];
    order.order.state.total = dec("176.84");
    let item = json!({
        "title": "Scarf", "quantity": 7, "unit_price": 24.5628571428571, "variant_id": "variant_1",
        "metadata": { "lockstep_line": "1" },
    });
    let body = |amount: f64| {
        json!({
            "region_id": "reg_1", "currency_code": "eur", "sales_channel_id": "sc_1",
            "no_notification_order": true, "items": [item],
            "shipping_methods": [{
                "shipping_option_id": "so_1", "name": "Post", "amount": amount,
                "data": { "lockstep_line": "lockstep charge 0" },
            }],
            "metadata": { "lockstep_key": "lockstep:7:2:o1", "lockstep_reference": "WEB-1" },
        })
    };
    let told = |id: &str, total: f64| {
        json!({
            "id": id, "total": total,
            "items": [{ "metadata": { "lockstep_line": "1" }, "is_tax_inclusive": true, "tax_lines": [{ "rate": 25.5 }] }],
            "shipping_methods": [{
                "data": { "lockstep_line": "lockstep charge 0" }, "is_tax_inclusive": false, "tax_lines": [{ "rate": 25.5 }],
            }],
        })
    };
    let mut steps = before_a_copy(json!([]));
    steps[2] = get(
        "/admin/regions?…",
        r#"{"regions":[{"id":"reg_1","name":"Europe","currency_code":"eur","automatic_taxes":true}]}"#,
    );
    steps[3] = get(
        "/admin/price-preferences?limit=100",
        r#"{"price_preferences":[{"attribute":"currency_code","value":"eur","is_tax_inclusive":true}]}"#,
    );
    steps.extend([
        drafted(
            Some(body(4.31718061674009)),
            told("order_0", 177.358061674009),
        ),
        removed("order_0"),
        drafted(
            Some(body(3.90438247011952)),
            told("order_1", 176.83999999999995),
        ),
    ]);
    steps.extend(converted());
    let script = Script::new(steps);
    let change = Change::CreateOrder {
        order: Box::new(order),
    };
    let outcome = push(shop(&script).as_ref(), change);
    played(&script);
    assert_eq!(made(&outcome).0, "order_1");
}

/// As 2.21.2 answers with taxes of its own, after 10.00 were given back and one of two units of a line came back.
#[test]
fn m1_m9_an_order_is_read_as_ordered_and_as_it_is_shown() {
    let item = |id: &str, more: Value| {
        let mut item = json!({
            "id": id, "title": id, "variant_id": id, "variant_sku": id, "is_tax_inclusive": true,
            "tax_lines": [{ "rate": 25.5 }], "adjustments": [],
        });
        let fields = item.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        item
    };
    let detail = |quantity: u32, received: u32, dismissed: u32| {
        json!({
            "quantity": quantity, "fulfilled_quantity": quantity, "shipped_quantity": quantity,
            "return_received_quantity": received, "return_dismissed_quantity": dismissed,
        })
    };
    let list = json!({ "orders": [{
        "id": "order_1", "display_id": 9, "status": "pending", "payment_status": "partially_refunded",
        "currency_code": "eur", "created_at": "2026-11-22T19:00:01Z",
        "total": 62.600_000_000_000_01, "credit_line_total": 10,
        "items": [
            item("three", json!({
                "quantity": 3, "unit_price": 15.9, "total": 47.7, "tax_total": 9.692_031_872_509_96,
                "detail": detail(3, 0, 0),
            })),
            item("half-back", json!({
                "quantity": 2, "unit_price": 10, "total": 9, "tax_total": 1.828_685_258_964_143,
                "discount_total": 1, "adjustments": [{ "amount": 2, "is_tax_inclusive": true, "code": "SUMMER" }],
                "detail": detail(2, 1, 0),
            })),
            item("all-back", json!({
                "quantity": 1, "unit_price": 19.9, "total": 0, "tax_total": 0,
                "adjustments": [{ "amount": 1.99, "is_tax_inclusive": true }], "detail": detail(1, 0, 1),
            })),
            item("net", json!({
                "quantity": 1, "unit_price": 8.764_940_239_043_826, "is_tax_inclusive": false,
                "total": 11.000_000_000_000_002, "tax_total": 2.235_059_760_956_176, "detail": detail(1, 0, 0),
            })),
        ],
        "shipping_methods": [{
            "name": "Standard", "total": 4.899_999_999_999_998, "tax_total": 0.995_617_529_880_478_1,
            "tax_lines": [{ "rate": 25.5 }],
        }],
        "payment_collections": [{
            "id": "p", "captured_amount": 99.51, "refunded_amount": 10,
            "payments": [{ "id": "pay_1", "refunds": [{ "id": "ref_1", "amount": 10 }] }],
        }],
    }]});
    let script = Script::new([get("/admin/orders?order=id&limit=50&…", list.to_string())]);
    let shop = shop(&script);
    let page = pull(shop.as_ref(), Kind::Order, Scope::Everything(None), 50);
    let Ok(Record::Order(order)) = &page.records[0] else {
        panic!("{:?}", page.records[0]);
    };
    let state = &order.state;
    let lines: Vec<_> = state
        .lines
        .iter()
        .map(|line| {
            format!(
                "{} {} × {} − {} = {} of which {}",
                line.id, line.quantity, line.unit_price, line.discount, line.gross, line.tax
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            "three 3 × 15.9 − 0 = 47.7 of which 9.69",
            "half-back 2 × 10 − 2 = 18 of which 3.66",
            "all-back 1 × 19.90 − 1.99 = 17.91 of which 3.64",
            "net 1 × 11.00 − 0 = 11.00 of which 2.24",
        ]
    );
    assert_eq!(state.total, dec("99.51"));
    let charges: Vec<_> = state.charges.iter().map(|charge| charge.gross).collect();
    assert_eq!(charges, [dec("4.90")]);
    assert_eq!(state.tax_by_rate, [(dec("25.5"), dec("20.23"))].into());
    assert_eq!(state.payment, Payment::PartlyRefunded);
    assert_eq!(state.refunded(), dec("10"));
    let discounts = state.discounts.iter();
    let discounts: Vec<_> = discounts.map(|d| (d.title.as_str(), d.amount)).collect();
    assert_eq!(discounts, [("Discount", dec("1.99")), ("SUMMER", dec("2"))]);
}

/// Three of 1.005 are 3.015 there, shown as 3.02 and as 1.01 each; what is left of binary fractions is no charge.
#[test]
fn m1_what_shown_parts_lack_of_the_shown_total_is_rounding() {
    let order = |total: f64, parts: &[f64]| {
        let items: Vec<Value> = parts
            .iter()
            .enumerate()
            .map(|(nth, part)| {
                json!({ "id": nth.to_string(), "title": "x", "quantity": 1, "unit_price": part, "total": part })
            })
            .collect();
        let row = json!({
            "id": "order_1", "status": "pending", "payment_status": "captured", "currency_code": "eur",
            "created_at": "2026-11-22T19:00:01Z", "total": total, "items": items,
        });
        let Ok(Record::Order(order)) = super::map::order_record(&row.to_string()) else {
            panic!("an order");
        };
        let charges = order.state.charges.iter();
        (
            order.state.total,
            charges.map(|c| (c.kind, c.gross)).collect::<Vec<_>>(),
        )
    };
    use lockstep_model::ChargeKind::Rounding;
    assert_eq!(
        order(3.015, &[1.005, 1.005, 1.005]),
        (dec("3.02"), vec![(Rounding, dec("-0.01"))])
    );
    assert_eq!(
        order(14.900_000_000_001, &[10.0, 4.9]),
        (dec("14.90"), vec![])
    );
    // Not rounding: the difference stays, and the order is held by it.
    assert_eq!(order(20.0, &[10.0, 4.9]), (dec("20"), vec![]));
}

#[test]
fn m1_an_amount_beyond_all_measure_is_a_bad_record() {
    let row = json!({
        "id": "order_1", "status": "pending", "currency_code": "eur", "created_at": "2026-11-22T19:00:01Z",
        "total": 1e28, "items": [],
    });
    let bad = super::map::order_record(&row.to_string()).unwrap_err();
    assert_eq!(bad.id, Some("order_1".into()));
}

#[test]
fn s2_a_question_that_is_refused_does_not_repeat_what_came_back() {
    for (status, body, wanted) in [
        (401, r#"{"message":"Unauthorized"}"#, FaultKind::Auth),
        (
            404,
            r#"{"type":"not_found","message":"Product not found"}"#,
            FaultKind::NotFound,
        ),
        (
            400,
            r#"{"type":"invalid_data","message":"Invalid request: Unrecognized fields: 'updated_at'"}"#,
            FaultKind::Invalid { field: None },
        ),
    ] {
        let script = Script::new([Step {
            method: Method::GET,
            path: "/admin/products?…".into(),
            body: None,
            answer: Answer::json(status, body),
        }]);
        let request = PullRequest {
            kind: Kind::Product,
            scope: Scope::Everything(None),
            limit: 10,
        };
        let fault = now(shop(&script).pull(&request)).unwrap_err();
        assert_eq!(fault.kind, wanted);
        assert_eq!(fault.shop, Some(ShopId(4)));
        let said: Value = serde_json::from_str(body).unwrap();
        let said = said["message"].as_str().unwrap();
        assert!(!fault.message.contains(said), "{}", fault.message);
        assert!(fault.message.contains(&status.to_string()), "{fault}");
    }
}

#[test]
fn s2_an_answer_that_is_something_else_does_not_come_out_again() {
    for body in [r#"{"products": "s3cret"}"#, r#""s3cret""#, "s3cret"] {
        let mut answer = http::Response::new(bytes::Bytes::from_static(body.as_bytes()));
        let json = http::HeaderValue::from_static("application/json; s3cret");
        answer.headers_mut().insert("content-type", json);
        let read = lockstep_connector::json::<super::wire::Refused>(&answer);
        if let Err(fault) = read {
            assert!(!fault.message.contains("s3cret"), "{fault}");
        }
        let script = Script::new([Step {
            method: Method::GET,
            path: "/admin/products?…".into(),
            body: None,
            answer: Answer::json(200, body),
        }]);
        let request = PullRequest {
            kind: Kind::Product,
            scope: Scope::Everything(None),
            limit: 10,
        };
        let fault = now(shop(&script).pull(&request)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Protocol);
        assert!(!fault.message.contains("s3cret"), "{fault}");
    }
}

fn shirt(skus: &[&str]) -> Value {
    let variants = skus.iter().map(|sku| {
        json!({
            "id": format!("variant_{sku}"), "sku": sku,
            "prices": [{ "id": format!("price_{sku}"), "currency_code": "eur", "amount": 19.9 }],
            "options": [{ "value": sku, "option": { "title": "Size" } }],
        })
    });
    let values: Vec<Value> = skus.iter().map(|sku| json!({ "value": sku })).collect();
    json!({
        "id": "prod_1", "title": "Shirt", "status": "published",
        "options": [{ "id": "opt_1", "title": "Size", "values": values }],
        "variants": variants.collect::<Vec<_>>(),
    })
}

/// The shirt without its M.
fn without_m() -> Change {
    let Ok(Record::Product(product)) = super::map::product_record(&shirt(&["S", "M"]).to_string())
    else {
        panic!("a product");
    };
    let set = [(Path::present(&"M".into()), Held::Empty)].into();
    let mut whole = product.fields();
    whole.extend(Fields::clone(&set));
    let parts = product.parts();
    Change::UpdateProduct {
        id: product.id.clone(),
        product: Box::new(Product::from_fields(product.id, &whole, &parts)),
        set,
        parts,
    }
}

fn removal(answer: Answer) -> [Step; 2] {
    let list = json!({ "products": [shirt(&["S", "M"])], "count": 1, "offset": 0, "limit": 1 });
    [
        get("/admin/products?limit=1&id[]=prod_1…", list.to_string()),
        post(
            "/admin/products/prod_1/variants/batch…",
            json!({ "delete": ["variant_M"] }),
            answer,
        ),
    ]
}

#[test]
fn a_variant_that_goes_is_deleted_by_its_id_and_what_is_left_is_read() {
    let left = json!({ "products": [shirt(&["S"])], "count": 1, "offset": 0, "limit": 1 });
    let mut steps = Vec::from(removal(Answer::json(200, "{}")));
    // Once for what nothing uses any more, once for the receipt.
    for _ in 0..2 {
        steps.push(get(
            "/admin/products?limit=1&id[]=prod_1…",
            left.to_string(),
        ));
    }
    let script = Script::new(steps);
    let outcome = push(shop(&script).as_ref(), without_m());
    played(&script);
    let Outcome::Done(receipt) = &outcome else {
        panic!("{outcome:?}");
    };
    let Some(Record::Product(product)) = &receipt.record else {
        panic!("{receipt:?}");
    };
    let skus: Vec<_> = product.variants.iter().map(|v| v.sku.as_str()).collect();
    assert_eq!(skus, ["S"]);
}

#[test]
fn a_variant_of_which_units_are_reserved_may_go_later() {
    let refused =
        r#"{"type":"not_allowed","message":"Cannot remove items which have reservations"}"#;
    let script = Script::new(removal(Answer::json(400, refused)));
    let outcome = push(shop(&script).as_ref(), without_m());
    played(&script);
    assert!(
        matches!(&outcome, Outcome::Failed(fault) if fault.kind == FaultKind::Conflict),
        "{outcome:?}"
    );
}

/// Two products of one title: the shop makes one handle of it and refuses the second.
#[test]
fn a_handle_that_nobody_asked_for_gives_way() {
    let product = Product {
        title: "Scarf".into(),
        variants: vec![lockstep_model::Variant {
            sku: "P 1/ä".into(),
            ..Default::default()
        }],
        ..Product::default()
    };
    let refused = || {
        Answer::json(
            400,
            r#"{"type":"invalid_data","message":"Product with handle: scarf, already exists."}"#,
        )
    };
    let step = |path: &str, answer: Answer| Step {
        method: Method::POST,
        path: path.into(),
        body: None,
        answer,
    };
    let mut row = product_row("P 1/ä");
    row["title"] = "Scarf".into();
    let script = Script::new([
        step("/admin/products/batch?…", refused()),
        step("/admin/products?…", refused()),
        step(
            "/admin/products?…",
            Answer::json(200, json!({ "product": row }).to_string()),
        ),
    ]);
    let change = Change::CreateProduct {
        product: Box::new(product),
    };
    let outcome = push(shop(&script).as_ref(), change);
    played(&script);
    assert_eq!(made(&outcome).0, "P 1/ä");
}
