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
const ITEMS: &str = include_str!("fixtures/items.json");
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

#[test]
fn one_request_of_the_feed_tells_edits_price_changes_and_deletes() {
    let since = "2026-11-22T19%3A39%3A00Z";
    let script = Script::new([get(
        &format!(
            "/admin/products?with_deleted=true&$or[0][updated_at][$gte]={since}\
             &$or[1][variants][updated_at][$gte]={since}&order=id&limit=100&offset=0&fields=…"
        ),
        PRODUCTS_SINCE,
    )]);
    let shop = shop(&script);
    let cursor = Cursor(r#"{"since":"2026-11-22T19:39:00Z"}"#.into());
    let page = pull(shop.as_ref(), Kind::Product, Scope::Since(cursor), 100);
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
    let Next::End(Some(next)) = page.next else {
        panic!("{:?}", page.next);
    };
    assert!(next.0.contains("2026-11-22T19:44:30Z"), "{next:?}");
}

#[test]
fn a_product_without_a_sku_is_a_bad_record_that_names_it() {
    let mut list: Value = serde_json::from_str(PRODUCTS_SINCE).unwrap();
    list["products"][0]["variants"][1]["sku"] = Value::Null;
    let script = Script::new([get("/admin/products?order=id&…", list.to_string())]);
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

#[test]
fn a_level_is_what_is_stocked_and_reserved_and_an_item_without_one_has_nothing() {
    let script = Script::new([get("/admin/inventory-items?order=id&limit=100&…", ITEMS)]);
    let shop = shop(&script);
    let page = pull(shop.as_ref(), Kind::Level, Scope::Everything(None), 100);
    let levels: Vec<&Level> = page
        .records
        .iter()
        .filter_map(|record| match record {
            Ok(Record::Level(level)) => Some(level),
            _ => None,
        })
        .collect();
    let numbers: Vec<_> = levels
        .iter()
        .map(|level| {
            (
                level.sku.as_str(),
                level.on_hand,
                level.available(),
                level.version.is_some(),
            )
        })
        .collect();
    assert_eq!(
        numbers,
        [
            ("T2-M-B", dec("20"), dec("20"), true),
            ("T2-S-R", dec("19"), dec("17"), true),
            ("B1795376587.76270990", dec("0"), dec("0"), false),
        ]
    );
    assert!(levels.iter().all(|level| level.stock.0 == LOCATION));
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
        item: Some("iitem_1".into()),
        on_hand: Decimal::ZERO,
        reserved: Decimal::ZERO,
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
        // Ten euro for three: one of them costs a cent more.
        "items": [
            { "title": "Scarf", "quantity": 2, "unit_price": 3.33, "variant_id": "variant_1" },
            { "title": "Scarf", "quantity": 1, "unit_price": 3.34, "variant_id": "variant_1" },
        ],
        "metadata": { "lockstep_key": "lockstep:7:2:o1", "lockstep_reference": "WEB-1" },
    });
    let mut steps = before_a_copy(json!([]));
    steps.push(post(
        "/admin/draft-orders?fields=id,total",
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

#[test]
fn a_copy_that_would_cost_something_else_is_refused_and_leaves_nothing_behind() {
    let mut steps = before_a_copy(json!([]));
    steps.push(Step {
        method: Method::POST,
        path: "/admin/draft-orders?fields=id,total".into(),
        body: None,
        answer: Answer::json(200, r#"{"draft_order":{"id":"order_1","total":12.55}}"#),
    });
    steps.push(Step {
        method: Method::DELETE,
        path: "/admin/draft-orders/order_1".into(),
        body: None,
        answer: Answer::json(200, r#"{"id":"order_1","deleted":true}"#),
    });
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
            json!({ "create": [], "update": [], "delete": ["variant_M"] }),
            answer,
        ),
    ]
}

#[test]
fn a_variant_that_goes_is_deleted_by_its_id_and_what_is_left_is_read() {
    let left = json!({ "products": [shirt(&["S"])], "count": 1, "offset": 0, "limit": 1 });
    let mut steps = Vec::from(removal(Answer::json(200, "{}")));
    steps.push(get(
        "/admin/products?limit=1&id[]=prod_1…",
        left.to_string(),
    ));
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
