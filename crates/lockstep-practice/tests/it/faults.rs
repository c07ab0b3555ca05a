//! Faults at run time, as a client meets them.

use std::time::Duration;

use lockstep_practice::Takes;
use serde_json::{Value, json};

use crate::caller::open;

fn copy(key: &str) -> Value {
    json!({"external_key": key, "lines": [{"sku": "P-00001", "quantity": 1}]})
}

#[tokio::test]
async fn a_write_that_is_done_but_not_answered_is_found_by_its_key() {
    let shop = open(Takes::Placement, 1).await;
    shop.set_faults(json!([{"kind": "FailAfterWrite", "method": "POST", "path_prefix": "/api/v1/orders", "times": 1}])).await;
    let lost = shop.try_call("POST", "/api/v1/orders", copy("k")).await;
    assert!(lost.is_err(), "{lost:?}");
    assert_eq!(
        shop.get("/api/v1/orders?external_key=k").await["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        shop.refused("POST", "/api/v1/orders", copy("k")).await,
        (409, "duplicate_order".into())
    );
    assert_eq!(shop.get("/api/v1/faults").await["faults"][0]["hits"], 1);
    shop.set_faults(json!([{"kind": "FailAfterWrite", "status": 502}]))
        .await;
    assert_eq!(
        shop.refused("POST", "/api/v1/orders", copy("k2")).await,
        (502, "injected".into())
    );
    assert_eq!(shop.all("/api/v1/orders").await.0.len(), 2);
}

#[tokio::test]
async fn a_dropped_request_is_not_done() {
    let shop = open(Takes::Placement, 1).await;
    shop.set_faults(json!([{"kind": "Drop", "times": 1}])).await;
    assert!(
        shop.try_call("POST", "/api/v1/orders", copy("k"))
            .await
            .is_err()
    );
    assert!(shop.all("/api/v1/orders").await.0.is_empty());
}

#[tokio::test]
async fn a_write_applied_late_is_first_missing_and_then_there() {
    let shop = open(Takes::Placement, 1).await;
    shop.set_faults(json!([{"kind": "ApplyLate", "ms": 400, "times": 1}]))
        .await;
    assert!(
        shop.try_call("POST", "/api/v1/orders", copy("k"))
            .await
            .is_err()
    );
    assert!(
        shop.get("/api/v1/orders?external_key=k").await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let there = async {
        while shop.get("/api/v1/orders?external_key=k").await["items"]
            .as_array()
            .unwrap()
            .is_empty()
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), there)
        .await
        .expect("the late write");
    assert_eq!(shop.level("P-00001").await, "9/0/9");
}

#[tokio::test]
async fn a_hidden_order_is_missing_from_searches_but_never_lost_to_the_feed() {
    let shop = open(Takes::Placement, 1).await;
    let (_, as_of) = shop.all("/api/v1/orders").await;
    shop.set_faults(json!([{"kind": "HideFromSearch", "ms": 700, "times": 1}]))
        .await;
    let order = shop.post("/api/v1/orders", copy("k")).await;
    assert_eq!(
        shop.get(&format!("/api/v1/orders/{}", order["id"].as_str().unwrap()))
            .await["id"],
        order["id"]
    );
    assert!(
        shop.get("/api/v1/orders?external_key=k").await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        shop.refused("POST", "/api/v1/orders", copy("k")).await,
        (409, "duplicate_order".into())
    );
    // Later writes do not move as_of past what is hidden.
    shop.post("/api/v1/orders", copy("seen")).await;
    let (seen, mut as_of) = shop
        .all(&format!("/api/v1/orders?modified_since={as_of}"))
        .await;
    assert_eq!(seen.len(), 1);
    let found = async {
        loop {
            let (seen, next) = shop
                .all(&format!("/api/v1/orders?modified_since={as_of}"))
                .await;
            if seen.iter().any(|item| item["external_key"] == "k") {
                return;
            }
            as_of = next;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found)
        .await
        .expect("the hidden order");
}

#[tokio::test]
async fn a_rate_is_announced_and_enforced() {
    let shop = open(Takes::Placement, 1).await;
    shop.set_faults(json!([{"kind": "RateLimit", "per_second": 0.5, "burst": 2}]))
        .await;
    let call = || shop.request("GET", "/api/v1/shop").send();
    let first = call().await.unwrap();
    assert_eq!(
        (
            first.status().as_u16(),
            &first.headers()["ratelimit-remaining"]
        ),
        (200, &"1".parse().unwrap())
    );
    assert_eq!(call().await.unwrap().status(), 200);
    let third = call().await.unwrap();
    assert_eq!(
        (third.status().as_u16(), &third.headers()["retry-after"]),
        (429, &"2".parse().unwrap())
    );
    shop.set_faults(json!([{"kind": "Reject", "status": 429, "retry_after_s": 7}]))
        .await;
    assert_eq!(call().await.unwrap().headers()["retry-after"], "7");
    assert_eq!(shop.get("/api/v1/requests").await["by_status"]["429"], 2);
}

#[tokio::test]
async fn answers_come_broken_in_every_way() {
    let shop = open(Takes::Placement, 3).await;
    let call = || shop.request("GET", "/api/v1/products").send();
    shop.set_faults(json!([{"kind": "Html"}])).await;
    let html = call().await.unwrap();
    assert!(
        html.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    shop.set_faults(json!([{"kind": "HalfJson"}])).await;
    let half = call().await.unwrap();
    assert_eq!(half.headers()["content-type"], "application/json");
    assert!(serde_json::from_slice::<Value>(&half.bytes().await.unwrap()).is_err());
    shop.set_faults(json!([{"kind": "WrongContentType"}])).await;
    assert_eq!(
        call().await.unwrap().headers()["content-type"],
        "text/plain"
    );
    shop.set_faults(json!([{"kind": "Redirect", "to": "http://127.0.0.1:9/"}]))
        .await;
    assert_eq!(
        call().await.unwrap().headers()["location"],
        "http://127.0.0.1:9/"
    );
    shop.set_faults(json!([{"kind": "Huge", "bytes": 3_000_000}]))
        .await;
    assert_eq!(
        call().await.unwrap().bytes().await.unwrap().len(),
        3_000_000
    );
    shop.set_faults(json!([{"kind": "RespondSlowly", "ms": 60}]))
        .await;
    assert_eq!(
        call().await.unwrap().json::<Value>().await.unwrap()["items"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    shop.set_faults(json!([{"kind": "HoldResponse", "ms": 600_000}]))
        .await;
    let held = shop
        .request("GET", "/api/v1/products")
        .timeout(Duration::from_millis(100))
        .send()
        .await;
    assert!(held.unwrap_err().is_timeout());
    let (status, problem) = shop
        .call(
            "PUT",
            "/api/v1/faults",
            json!({"faults": [{"kind": "Meteor"}]}),
        )
        .await;
    assert_eq!((status, &problem["field"]), (422, &json!("kind")));
    // A shop with a held request closes all the same.
    let held = shop.request("GET", "/api/v1/products").send();
    let (_, closed) = tokio::join!(held, async {
        tokio::task::yield_now().await;
        tokio::time::timeout(Duration::from_secs(20), shop.shop.shutdown()).await
    });
    closed.expect("the shop closes");
}

#[tokio::test]
async fn a_bad_record_stands_among_good_ones() {
    let shop = open(Takes::Placement, 3).await;
    let id = shop.all("/api/v1/products").await.0[1]["id"].clone();
    shop.set_faults(
        json!([{"kind": "BadRecord", "id": id}, {"kind": "BadRecord", "id": "P-00003"}]),
    )
    .await;
    let (items, _) = shop.all("/api/v1/products").await;
    assert_eq!(
        (items.len(), &items[1]["variants"], &items[1]["id"]),
        (3, &json!(7), &id)
    );
    assert!(items[0]["variants"].is_array() && items[2]["variants"].is_array());
    let (levels, _) = shop.all("/api/v1/stock").await;
    assert_eq!(levels[2]["quantity"], "many");
}
