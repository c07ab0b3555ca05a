//! Orders through the API: the life cycle at each time of taking, keys, parts, sums.

use lockstep_practice::Takes;
use serde_json::{Value, json};

use crate::caller::{Open, open, open_with, seed};

const SKU: &str = "P-00001";

fn copy(key: &str, quantity: i64) -> Value {
    json!({
        "external_key": key, "reference": "WS2-1009",
        "lines": [{"sku": SKU, "quantity": quantity, "unit_price": "10.00", "tax_rate": "25.5"}],
        "buyer": {"name": "Aino", "email": "aino@example.com"},
    })
}

fn taken(order: &Value) -> i64 {
    order["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["taken"].as_i64().unwrap())
        .sum()
}

async fn told(shop: &Open, order: &Value) -> String {
    let states = [&order["payment"], &order["fulfilment"]].map(|state| state.as_str().unwrap());
    format!(
        "{} taken {} {} {}",
        shop.level(SKU).await,
        taken(order),
        states[0],
        states[1]
    )
}

#[tokio::test]
async fn an_order_takes_when_the_shop_says_so_by_checkout_and_by_api_alike() {
    for (takes, story) in [
        (
            Takes::Placement,
            [
                "7/0/7 taken 3",
                "7/0/7 taken 3",
                "7/0/7 taken 3",
                "8/0/8 taken 2",
                "9/0/9 taken 1",
            ],
        ),
        (
            Takes::Payment,
            [
                "10/0/10 taken 0",
                "7/0/7 taken 3",
                "7/0/7 taken 3",
                "8/0/8 taken 2",
                "9/0/9 taken 1",
            ],
        ),
        (
            Takes::Reserve,
            [
                "10/3/7 taken 3",
                "10/3/7 taken 3",
                "8/1/7 taken 3",
                "9/1/8 taken 2",
                "9/0/9 taken 1",
            ],
        ),
        (
            Takes::Shipment,
            [
                "10/0/10 taken 0",
                "10/0/10 taken 0",
                "8/0/8 taken 2",
                "9/0/9 taken 1",
                "9/0/9 taken 1",
            ],
        ),
        (
            Takes::Never,
            [
                "10/0/10 taken 0",
                "10/0/10 taken 0",
                "10/0/10 taken 0",
                "10/0/10 taken 0",
                "10/0/10 taken 0",
            ],
        ),
    ] {
        for by_api in [false, true] {
            let shop = open(takes, 1).await;
            let id = if by_api {
                shop.post("/api/v1/orders", copy("k", 3)).await["id"].clone()
            } else {
                shop.buy(SKU, 3, false).await.1["id"].clone()
            };
            let path = format!("/api/v1/orders/{}", id.as_str().unwrap());
            let mut steps = vec![told(&shop, &shop.get(&path).await).await];
            for (call, body) in [
                ("pay", Value::Null),
                (
                    "ship",
                    json!({"lines": [{"sku": SKU, "quantity": 2}], "tracking": "T1", "carrier": "Posti"}),
                ),
                ("return", json!({"lines": [{"id": "1", "quantity": 1}]})),
                ("cancel", Value::Null),
            ] {
                let order = shop.post(&format!("{path}/{call}"), body).await;
                let level = shop.get(&format!("/api/v1/stock/{SKU}")).await;
                let expected = if takes == Takes::Never {
                    10
                } else {
                    10 - taken(&order)
                };
                assert_eq!(level["quantity"], expected, "{takes} {call}");
                steps.push(told(&shop, &order).await);
            }
            let states = [
                "pending open",
                "paid open",
                "paid partly",
                "paid partly",
                "paid shipped",
            ];
            let expected: Vec<String> = story
                .iter()
                .zip(states)
                .map(|(level, states)| format!("{level} {states}"))
                .collect();
            assert_eq!(steps, expected, "{takes}, by the API: {by_api}");
        }
    }
}

#[tokio::test]
async fn whole_orders_can_be_paid_shipped_cancelled_and_refunded_again_without_effect() {
    let shop = open(Takes::Placement, 1).await;
    let order = shop.post("/api/v1/orders", copy("k", 2)).await;
    let path = format!("/api/v1/orders/{}", order["id"].as_str().unwrap());
    for call in ["pay", "ship", "refund"] {
        let once = shop.post(&format!("{path}/{call}"), json!({})).await;
        let twice = shop.post(&format!("{path}/{call}"), Value::Null).await;
        assert_eq!(once, twice, "{call}");
    }
    let refunded = shop.get(&path).await;
    assert_eq!(
        (&refunded["payment"], &refunded["refunded"]),
        (&json!("refunded"), &json!("20.00"))
    );
    assert_eq!(
        taken(&refunded),
        2,
        "a refund gives nothing back unless it says so"
    );
    assert_eq!(
        shop.refused("POST", &format!("{path}/cancel"), Value::Null)
            .await,
        (409, "wrong_state".into())
    );
    let other = shop.post("/api/v1/orders", copy("k2", 2)).await;
    let path = format!("/api/v1/orders/{}", other["id"].as_str().unwrap());
    assert_eq!(
        shop.refused("POST", &format!("{path}/refund"), Value::Null)
            .await,
        (409, "wrong_state".into())
    );
    let once = shop.post(&format!("{path}/cancel"), Value::Null).await;
    assert_eq!((&once["cancelled"], taken(&once)), (&json!(true), 0));
    assert_eq!(
        shop.post(&format!("{path}/cancel"), Value::Null).await,
        once
    );
    assert_eq!(
        shop.refused("POST", &format!("{path}/pay"), Value::Null)
            .await,
        (409, "wrong_state".into())
    );
    assert_eq!(
        shop.refused("POST", &format!("{path}/ship"), Value::Null)
            .await,
        (409, "wrong_state".into())
    );
    assert_eq!(shop.level(SKU).await, "8/0/8");
}

#[tokio::test]
async fn a_part_with_a_key_counts_once() {
    let shop = open(Takes::Reserve, 1).await;
    let order = shop.post("/api/v1/orders", copy("k", 4)).await;
    let path = format!("/api/v1/orders/{}", order["id"].as_str().unwrap());
    shop.post(&format!("{path}/pay"), Value::Null).await;
    for (call, body) in [
        (
            "ship",
            json!({"lines": [{"sku": SKU, "quantity": 2}], "key": "a", "tracking": "T1"}),
        ),
        (
            "refund",
            json!({"lines": [{"sku": SKU, "quantity": 1}], "restock": true, "key": "b"}),
        ),
        (
            "cancel",
            json!({"lines": [{"sku": SKU, "quantity": 1}], "restock": false, "key": "c"}),
        ),
    ] {
        let once = shop.post(&format!("{path}/{call}"), body.clone()).await;
        assert_eq!(
            shop.post(&format!("{path}/{call}"), body).await,
            once,
            "{call}"
        );
    }
    let order = shop.get(&path).await;
    let line = &order["lines"][0];
    let counts = ["shipped", "returned", "cancelled", "taken", "reserved"]
        .map(|name| line[name].as_i64().unwrap());
    assert_eq!(counts, [2, 1, 1, 3, 1]);
    assert_eq!(
        (&order["refunded"], &order["payment"]),
        (&json!("10.00"), &json!("partly_refunded"))
    );
    // 2 left the house, 1 came back, 1 was written off, 1 is still reserved.
    assert_eq!(shop.level(SKU).await, "8/1/7");
    let (status, body) = shop
        .call(
            "POST",
            &format!("{path}/ship"),
            json!({"lines": [{"sku": SKU, "quantity": 5}]}),
        )
        .await;
    assert_eq!((status, &body["at_most"]), (409, &json!(1)));
}

#[tokio::test]
async fn a_refund_says_how_much_of_it_is_of_charges() {
    let shop = open(Takes::Placement, 1).await;
    let mut order = copy("k", 2);
    order["charges"] = json!([{
        "kind": "shipping", "title": "Post", "net": "4.00", "tax": "0.00", "gross": "4.00", "tax_rate": "0",
    }]);
    order["total"] = json!("24.00");
    let order = shop.post("/api/v1/orders", order).await;
    let path = format!("/api/v1/orders/{}", order["id"].as_str().unwrap());
    shop.post(&format!("{path}/pay"), Value::Null).await;
    let refund = format!("{path}/refund");
    let line = json!([{ "sku": SKU, "quantity": 1 }]);
    shop.post(&refund, json!({ "amount": "1.00" })).await;
    shop.post(&refund, json!({ "lines": line, "charges": "1.50" }))
        .await;
    let too_much = json!({ "amount": "5.00", "charges": "3.00" });
    assert_eq!(shop.refused("POST", &refund, too_much).await.0, 422);
    let less_than_its_charges = json!({ "amount": "0.50", "charges": "1.00" });
    assert_eq!(
        shop.refused("POST", &refund, less_than_its_charges).await.0,
        422
    );
    let order = shop.post(&refund, Value::Null).await;
    let told: Vec<[&str; 2]> = order["refunds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|refund| ["amount", "charges"].map(|name| refund[name].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [["1.00", "0.00"], ["11.50", "1.50"], ["11.50", "2.50"]]
    );
}

#[tokio::test]
async fn two_creators_with_one_key_make_one() {
    let shop = open(Takes::Placement, 1).await;
    let answers = futures::future::join_all(
        (0..8).map(|_| shop.call("POST", "/api/v1/orders", copy("same", 1))),
    )
    .await;
    let made: Vec<&Value> = answers
        .iter()
        .filter(|(status, _)| *status == 201)
        .map(|(_, body)| body)
        .collect();
    assert_eq!(made.len(), 1);
    for (_, problem) in answers.iter().filter(|(status, _)| *status != 201) {
        assert_eq!(
            (&problem["code"], &problem["existing"]),
            (&json!("duplicate_order"), &made[0]["id"])
        );
    }
    let found = shop.get("/api/v1/orders?external_key=same").await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    assert_eq!(shop.level(SKU).await, "9/0/9");
}

#[tokio::test]
async fn a_copy_keeps_what_was_stated_and_may_be_paid_and_shipped_at_once() {
    let shop = open(Takes::Shipment, 1).await;
    let made = shop
        .post(
            "/api/v1/orders",
            json!({
                "external_key": "web1:o7", "payment": "paid", "fulfilment": "shipped", "tracking": "T9", "branch": "helsinki",
                "stock": "main", "payment_term": "net14", "placed_at": "2026-03-01T11:00:00+02:00", "total": "23.05",
                "payment_method": "invoice", "shipping_method": "post", "send_confirmation": true,
                "lines": [
                    {"sku": SKU, "title": "Scarf as sold", "quantity": 2, "unit_price": "10.00", "tax_rate": "24", "discount": "2.00",
                     "net": "14.52", "tax": "3.48", "gross": "18.00"},
                    {"sku": null, "title": "Rounding", "quantity": 1, "unit_price": "0.15", "tax_rate": "0"},
                ],
                "charges": [{"kind": "shipping", "title": "Post", "method": "post", "net": "3.95", "tax": "0.95", "gross": "4.90", "tax_rate": "24"}],
            }),
        )
        .await;
    assert_eq!(
        (&made["payment"], &made["fulfilment"], &made["total"]),
        (&json!("paid"), &json!("shipped"), &json!("23.05"))
    );
    assert_eq!(made["due_at"], "2026-03-15T09:00:00.000000Z");
    assert_eq!(made["lines"][0]["title"], "Scarf as sold");
    assert_eq!(
        made["tax_by_rate"][0],
        json!({"rate": "24", "net": "18.47", "tax": "4.43"})
    );
    assert_eq!(made["parcels"][0]["tracking"], "T9");
    assert_eq!(made["confirmation_mail"]["sent"], true);
    assert_eq!(shop.level(SKU).await, "8/0/8");
}

#[tokio::test]
async fn a_shop_that_sends_to_some_countries_refuses_an_order_to_another() {
    let shop = open_with(Takes::Placement, seed(1), |config| {
        config.countries = vec!["FI".into()];
    })
    .await;
    assert_eq!(shop.get("/api/v1/shop").await["countries"], json!(["FI"]));
    let to = |address: &str, country: &str| {
        let mut body = copy(country, 1);
        body[address] = json!({"name": "Aino", "city": "Turku", "country": country});
        body
    };
    for address in ["shipping", "billing"] {
        let (_, problem) = shop.call("POST", "/api/v1/orders", to(address, "SE")).await;
        assert_eq!(problem["code"], "unknown_reference", "{problem}");
        assert_eq!(problem["field"], format!("{address}.country"));
    }
    shop.post("/api/v1/orders", to("shipping", "FI")).await;
    // To be picked up.
    shop.post("/api/v1/orders", copy("k", 1)).await;
    assert_eq!(shop.level(SKU).await, "8/0/8");
}

#[tokio::test]
async fn an_order_that_cannot_be_right_is_refused_and_leaves_nothing() {
    let shop = open(Takes::Placement, 1).await;
    let with = |change: Value| {
        let mut body = copy("k", 1);
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        body
    };
    for (body, code, field) in [
        (
            with(json!({"lines": [{"sku": "none", "quantity": 1}]})),
            "unknown_sku",
            "sku",
        ),
        (with(json!({"total": "9.99"})), "sum_mismatch", "total"),
        (
            with(json!({"branch": "moon"})),
            "unknown_reference",
            "branch",
        ),
        (
            with(json!({"payment_term": "never"})),
            "unknown_reference",
            "payment_term",
        ),
        (with(json!({"currency": "USD"})), "invalid", "currency"),
        (
            with(json!({"external_key": null})),
            "invalid",
            "external_key",
        ),
        (with(json!({"lines": []})), "invalid", "lines"),
        (
            with(json!({"lines": [{"sku": SKU, "quantity": -1}]})),
            "invalid",
            "quantity",
        ),
        (
            with(json!({"placed_at": "yesterday"})),
            "invalid",
            "placed_at",
        ),
    ] {
        let (_, problem) = shop.call("POST", "/api/v1/orders", body).await;
        assert_eq!(
            (&problem["code"], &problem["field"]),
            (&json!(code), &json!(field))
        );
    }
    assert!(shop.all("/api/v1/orders").await.0.is_empty());
    assert_eq!(shop.level(SKU).await, "10/0/10");
}

#[tokio::test]
async fn an_import_may_sell_more_than_there_is() {
    let shop = open(Takes::Placement, 1).await;
    shop.post("/api/v1/orders", copy("k", 14)).await;
    assert_eq!(shop.level(SKU).await, "-4/0/-4");
}

#[tokio::test]
async fn lines_are_edited_until_something_leaves() {
    let shop = open(Takes::Reserve, 2).await;
    let order = shop.post("/api/v1/orders", copy("k", 2)).await;
    let path = format!("/api/v1/orders/{}", order["id"].as_str().unwrap());
    let edited = shop
        .patch(&path, json!({"note": "more", "lines": [{"sku": SKU, "quantity": 3}, {"sku": "P-00002", "quantity": 1, "unit_price": "5.00", "tax_rate": "10"}]}))
        .await;
    assert_eq!(
        (&edited["total"], &edited["rev"]),
        (&json!("35.00"), &json!(2))
    );
    assert_eq!(shop.level(SKU).await, "10/3/7");
    assert_eq!(shop.level("P-00002").await, "10/1/9");
    let edited = shop
        .patch(&path, json!({"lines": [{"id": "2", "quantity": 0}]}))
        .await;
    assert_eq!(
        (
            edited["lines"].as_array().unwrap().len(),
            shop.level("P-00002").await
        ),
        (1, "10/0/10".to_string())
    );
    shop.post(
        &format!("{path}/ship"),
        json!({"lines": [{"sku": SKU, "quantity": 1}]}),
    )
    .await;
    assert_eq!(
        shop.refused(
            "PATCH",
            &path,
            json!({"lines": [{"sku": SKU, "quantity": 9}]})
        )
        .await,
        (409, "wrong_state".into())
    );
    shop.patch(&path, json!({"note": null})).await;
}

#[tokio::test]
async fn a_line_has_a_name_of_its_caller_and_may_be_priced_anew() {
    let shop = open(Takes::Placement, 1).await;
    let line = |key: &str, quantity: i64, price: &str| json!({"key": key, "sku": SKU, "quantity": quantity, "unit_price": price, "tax_rate": "25.5"});
    let mut order = copy("k1", 1);
    order["lines"] = json!([line("a", 2, "20.00"), line("b", 3, "10.00")]);
    let made = shop.post("/api/v1/orders", order).await;
    assert_eq!(made["lines"][1]["key"], "b");
    let path = format!("/api/v1/orders/{}", made["id"].as_str().unwrap());
    // Said twice, it is there once.
    for _ in 0..2 {
        let edits = json!({"lines": [line("b", 3, "11.00"), line("c", 1, "1.00")]});
        let edited = shop.patch(&path, edits).await;
        let grosses: Vec<_> = edited["lines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| &line["gross"])
            .collect();
        assert_eq!(grosses, ["40.00", "33.00", "1.00"]);
        assert_eq!(edited["total"], "74.00");
        assert_eq!(taken(&edited), 6);
    }
    let edited = shop
        .patch(
            &path,
            json!({"lines": [{"key": "c", "quantity": 0}, {"key": "gone", "quantity": 0}]}),
        )
        .await;
    assert_eq!(edited["lines"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn every_status_change_is_in_the_feed() {
    let shop = open(Takes::Payment, 1).await;
    let (_, mut as_of) = shop.all("/api/v1/orders").await;
    let order = shop.post("/api/v1/orders", copy("k", 2)).await;
    let path = format!("/api/v1/orders/{}", order["id"].as_str().unwrap());
    for call in ["", "/pay", "/ship", "/refund"] {
        if !call.is_empty() {
            shop.post(&format!("{path}{call}"), Value::Null).await;
        }
        let (changed, next) = shop
            .all(&format!("/api/v1/orders?modified_since={as_of}"))
            .await;
        assert_eq!(changed.len(), 1, "{call}");
        assert_eq!(changed[0]["id"], order["id"]);
        as_of = next;
    }
}

#[tokio::test]
async fn a_batch_of_orders_fails_member_by_member() {
    let shop = open(Takes::Placement, 1).await;
    let first = shop.post("/api/v1/orders", copy("k", 1)).await;
    let mut good = copy("k2", 1);
    good["op"] = json!("create");
    let mut doubled = copy("k", 1);
    doubled["op"] = json!("create");
    let mut half = copy("k3", 1);
    half["op"] = json!("create");
    half["lines"]
        .as_array_mut()
        .unwrap()
        .push(json!({"sku": "none", "quantity": 1}));
    let answer = shop
        .post(
            "/api/v1/orders/batch",
            json!({"items": [good, doubled, half, {"op": "ship", "id": first["id"]}]}),
        )
        .await;
    let statuses: Vec<&Value> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|place| &place["status"])
        .collect();
    assert_eq!(statuses, [201, 409, 422, 200]);
    assert_eq!(answer["items"][1]["error"]["existing"], first["id"]);
    assert_eq!(
        shop.level(SKU).await,
        "8/0/8",
        "the half order took nothing"
    );
}
