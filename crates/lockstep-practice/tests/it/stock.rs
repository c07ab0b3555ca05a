//! Writing levels.

use lockstep_practice::{Location, Takes};
use serde_json::{Value, json};

use crate::caller::{open, open_with, seed};

#[tokio::test]
async fn each_member_of_a_stock_batch_stands_alone() {
    let shop = open(Takes::Placement, 3).await;
    let answer = shop
        .post(
            "/api/v1/stock/batch",
            json!({"items": [
                {"sku": "P-00001", "on_hand": 7, "if_rev": 1, "location": "B-1"},
                {"sku": "P-00001", "on_hand": 5, "if_rev": 1},
                {"sku": "P-00002", "delta": -4},
                {"sku": "P-00002", "delta": -7},
                {"sku": "nothing", "on_hand": 1},
                {"sku": "P-00003", "on_hand": 10},
                {"sku": "P-00003", "stock": "moon", "on_hand": 10},
            ]}),
        )
        .await;
    let places = answer["items"].as_array().unwrap();
    let statuses: Vec<&Value> = places.iter().map(|place| &place["status"]).collect();
    assert_eq!(statuses, [200, 409, 200, 422, 404, 200, 404]);
    assert_eq!(places[0]["record"]["quantity"], 7);
    assert_eq!(places[0]["record"]["location"], "B-1");
    assert_eq!(places[1]["error"]["code"], "stale");
    assert_eq!(
        places[1]["record"]["rev"], 2,
        "the current level comes along"
    );
    assert_eq!(places[2]["record"]["on_hand"], 6);
    assert_eq!(places[3]["record"]["on_hand"], 6);
    assert_eq!(
        places[5]["record"]["rev"], 1,
        "the same number is no change"
    );
}

#[tokio::test]
async fn a_sale_between_read_and_write_makes_the_write_stale() {
    let shop = open(Takes::Placement, 1).await;
    let level = shop.get("/api/v1/stock/P-00001").await;
    shop.buy("P-00001", 1, true).await;
    let (status, body) = shop
        .call(
            "PUT",
            "/api/v1/stock/P-00001",
            json!({"on_hand": 12, "if_rev": level["rev"]}),
        )
        .await;
    assert_eq!((status, &body["current"]["on_hand"]), (409, &json!(9)));
    let (_, level) = shop
        .call(
            "PUT",
            "/api/v1/stock/P-00001",
            json!({"on_hand": 12, "if_rev": body["current"]["rev"]}),
        )
        .await;
    assert_eq!(level["quantity"], 12);
}

#[tokio::test]
async fn levels_are_kept_per_stock() {
    let shop = open_with(Takes::Placement, seed(2), |config| {
        config.stocks = vec![
            Location::new("front", "Front"),
            Location::new("back", "Back"),
        ];
    })
    .await;
    shop.call(
        "PUT",
        "/api/v1/stock/P-00001",
        json!({"stock": "back", "on_hand": 25}),
    )
    .await;
    let (all, _) = shop.all("/api/v1/stock").await;
    assert_eq!(all.len(), 4);
    let (back, _) = shop.all("/api/v1/stock?stock=back").await;
    let units: Vec<&Value> = back.iter().map(|level| &level["quantity"]).collect();
    assert_eq!(units, [25, 0]);
    // The front has 10: a buyer of 20 gets them from the back.
    let (status, order) = shop.buy("P-00001", 20, true).await;
    assert_eq!(status, 201);
    let order = shop
        .get(&format!("/api/v1/orders/{}", order["id"].as_str().unwrap()))
        .await;
    assert_eq!(order["stock"], "back");
    assert_eq!(
        shop.get("/api/v1/stock/P-00001?stock=back").await["quantity"],
        5
    );
}

#[tokio::test]
async fn a_stock_change_is_in_the_feed_and_a_deleted_variant_leaves_a_tombstone() {
    let shop = open(Takes::Placement, 2).await;
    let (_, as_of) = shop.all("/api/v1/stock").await;
    shop.buy("P-00002", 3, true).await;
    let product = shop.get("/api/v1/products?sku=P-00001").await["items"][0].clone();
    let path = format!(
        "/api/v1/products/{}/variants/{}",
        product["id"].as_str().unwrap(),
        product["variants"][0]["id"].as_str().unwrap()
    );
    assert_eq!(shop.call("DELETE", &path, Value::Null).await.0, 204);
    let (changed, _) = shop
        .all(&format!("/api/v1/stock?modified_since={as_of}"))
        .await;
    assert_eq!(
        (&changed[0]["sku"], &changed[0]["quantity"]),
        (&json!("P-00002"), &json!(7))
    );
    assert_eq!(
        (&changed[1]["sku"], &changed[1]["stock"]),
        (&json!("P-00001"), &json!("main"))
    );
    assert!(changed[1]["deleted_at"].is_string());
}
