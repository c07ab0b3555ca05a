//! Webhooks, against a real receiver.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use axum::extract::State;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, StatusCode};
use lockstep_practice::Takes;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::mpsc;

use crate::caller::{Open, open, open_with, seed};

const SECRET: &str = "a-secret-of-a-hook";

struct Receiver {
    url: String,
    got: mpsc::UnboundedReceiver<(HeaderMap, Bytes)>,
    status: Arc<AtomicU16>,
}

type Told = (mpsc::UnboundedSender<(HeaderMap, Bytes)>, Arc<AtomicU16>);

async fn hear(State((sender, status)): State<Told>, headers: HeaderMap, body: Bytes) -> StatusCode {
    sender.send((headers, body)).unwrap();
    StatusCode::from_u16(status.load(Ordering::SeqCst)).unwrap()
}

async fn receiver() -> Receiver {
    let (sender, got) = mpsc::unbounded_channel();
    let status = Arc::new(AtomicU16::new(200));
    let router = axum::Router::new()
        .route("/hook", axum::routing::post(hear))
        .with_state((sender, status.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Receiver { url, got, status }
}

impl Receiver {
    async fn next(&mut self) -> (HeaderMap, Bytes) {
        tokio::time::timeout(std::time::Duration::from_secs(20), self.got.recv())
            .await
            .expect("a delivery")
            .unwrap()
    }

    /// Topic and id of the next delivery, its signature checked on the raw bytes.
    async fn heard(&mut self) -> String {
        let (headers, body) = self.next().await;
        let digest = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())
            .unwrap()
            .chain_update(&body)
            .finalize()
            .into_bytes();
        assert_eq!(
            headers["x-practice-signature"],
            format!("sha256={}", data_encoding::HEXLOWER.encode(&digest))
        );
        let told: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(headers["x-practice-topic"], told["topic"].as_str().unwrap());
        assert_eq!(
            headers["x-practice-delivery"],
            told["delivery"].as_str().unwrap()
        );
        format!(
            "{} {}",
            told["topic"].as_str().unwrap(),
            told["id"].as_str().unwrap()
        )
    }
}

async fn subscribe(shop: &Open, receiver: &Receiver, topics: Value) -> String {
    let hook = shop
        .post(
            "/api/v1/hooks",
            json!({"url": receiver.url, "topics": topics, "secret": SECRET}),
        )
        .await;
    assert!(hook.get("secret").is_none());
    hook["id"].as_str().unwrap().to_string()
}

#[tokio::test]
async fn a_change_is_told_at_once_and_signed() {
    let shop = open(Takes::Placement, 1).await;
    let mut receiver = receiver().await;
    let id = subscribe(
        &shop,
        &receiver,
        json!(["product.*", "stock.changed", "order.created"]),
    )
    .await;
    let (_, order) = shop.buy("P-00001", 1, true).await;
    let mut heard = vec![receiver.heard().await, receiver.heard().await];
    heard.sort();
    assert_eq!(
        heard,
        [
            format!("order.created {}", order["id"].as_str().unwrap()),
            "stock.changed P-00001".to_string()
        ]
    );
    let product = shop.post("/api/v1/products", json!({"title": "New"})).await["id"].clone();
    let product = product.as_str().unwrap();
    assert_eq!(receiver.heard().await, format!("product.created {product}"));
    shop.patch(
        &format!("/api/v1/products/{product}"),
        json!({"title": "New"}),
    )
    .await;
    shop.patch(
        &format!("/api/v1/products/{product}"),
        json!({"title": "Newer"}),
    )
    .await;
    assert_eq!(
        receiver.heard().await,
        format!("product.updated {product}"),
        "and nothing for the write that changed nothing"
    );
    shop.post(&format!("/api/v1/hooks/{id}/ping"), Value::Null)
        .await;
    assert_eq!(receiver.heard().await, format!("ping {id}"));
}

#[tokio::test]
async fn blocked_hooks_wait_and_a_waiting_record_is_told_once() {
    let shop = open(Takes::Placement, 1).await;
    let mut receiver = receiver().await;
    let id = subscribe(&shop, &receiver, json!(["stock.changed"])).await;
    shop.set_faults(json!([{"kind": "BlockHooks"}])).await;
    for _ in 0..3 {
        shop.buy("P-00001", 1, true).await;
    }
    assert_eq!(shop.get(&format!("/api/v1/hooks/{id}")).await["waiting"], 1);
    assert!(receiver.got.try_recv().is_err());
    shop.call("DELETE", "/api/v1/faults", Value::Null).await;
    assert_eq!(receiver.heard().await, "stock.changed P-00001");
    shop.set_faults(json!([{"kind": "DuplicateHooks"}])).await;
    shop.buy("P-00001", 1, true).await;
    let (one, other) = (receiver.next().await, receiver.next().await);
    assert_eq!(one.1, other.1);
}

#[tokio::test]
async fn a_failed_delivery_is_tried_again_under_the_same_name() {
    let shop = open(Takes::Placement, 1).await;
    let mut receiver = receiver().await;
    subscribe(&shop, &receiver, json!(["*"])).await;
    receiver.status.store(503, Ordering::SeqCst);
    shop.call("PUT", "/api/v1/stock/P-00001", json!({"on_hand": 3}))
        .await;
    let first = receiver.next().await;
    receiver.status.store(200, Ordering::SeqCst);
    let second = receiver.next().await;
    assert_eq!(
        first.0["x-practice-delivery"],
        second.0["x-practice-delivery"]
    );
    assert_eq!(first.1, second.1);
}

#[tokio::test]
async fn a_hook_that_fails_too_often_is_disabled_and_can_be_enabled_again() {
    let shop = open_with(Takes::Placement, seed(3), |config| {
        config.hook_failures_max = 3
    })
    .await;
    let mut receiver = receiver().await;
    let id = subscribe(&shop, &receiver, json!(["stock.changed"])).await;
    // A redirect is not followed: it is a failure like any other.
    receiver.status.store(302, Ordering::SeqCst);
    for sku in ["P-00001", "P-00002", "P-00003"] {
        shop.call(
            "PUT",
            &format!("/api/v1/stock/{sku}"),
            json!({"on_hand": 3}),
        )
        .await;
    }
    let path = format!("/api/v1/hooks/{id}");
    let disabled = async {
        while shop.get(&path).await["enabled"] == true {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), disabled)
        .await
        .expect("the hook is disabled");
    let hook = shop.get(&path).await;
    assert!(hook["disabled_because"].as_str().unwrap().contains("302"));
    assert_eq!(
        (&hook["enabled"], &hook["waiting"]),
        (&json!(false), &json!(0))
    );
    receiver.status.store(200, Ordering::SeqCst);
    let (_, hook) = shop.call("PUT", &path, json!({"enabled": true})).await;
    assert_eq!(
        (&hook["enabled"], &hook["failures"]),
        (&json!(true), &json!(0))
    );
    while receiver.got.try_recv().is_ok() {}
    shop.call("PUT", "/api/v1/stock/P-00001", json!({"on_hand": 4}))
        .await;
    assert_eq!(receiver.heard().await, "stock.changed P-00001");
}

#[tokio::test]
async fn a_hook_is_checked_listed_and_removed() {
    let shop = open(Takes::Placement, 0).await;
    for (body, field) in [
        (
            json!({"url": "ftp://x/", "topics": ["*"], "secret": SECRET}),
            "url",
        ),
        (
            json!({"url": "http://user:pass@x/", "topics": ["*"], "secret": SECRET}),
            "url",
        ),
        (
            json!({"url": "http://x/", "topics": ["weather"], "secret": SECRET}),
            "topics",
        ),
        (
            json!({"url": "http://x/", "topics": ["*"], "secret": "short"}),
            "secret",
        ),
    ] {
        let (status, problem) = shop.call("POST", "/api/v1/hooks", body).await;
        assert_eq!((status, &problem["field"]), (422, &json!(field)));
    }
    let hook = shop
        .post(
            "/api/v1/hooks",
            json!({"url": "http://127.0.0.1:9/", "topics": ["order.*"], "secret": SECRET}),
        )
        .await;
    let again = json!({"url": "http://127.0.0.1:9/", "topics": ["order.*"], "secret": SECRET});
    let (status, problem) = shop.call("POST", "/api/v1/hooks", again).await;
    assert_eq!((status, &problem["existing"]), (409, &hook["id"]));
    assert_eq!(
        shop.get("/api/v1/hooks").await["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let path = format!("/api/v1/hooks/{}", hook["id"].as_str().unwrap());
    assert_eq!(shop.call("DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(shop.call("GET", &path, Value::Null).await.0, 404);
}
