//! Lists, the change feed, identity and authentication.

use std::collections::BTreeSet;

use lockstep_practice::{Seed, Shop, Takes};
use serde_json::{Value, json};

use crate::caller::{READ_TOKEN, TOKEN, config, open, seed};

fn ids(items: &[Value]) -> Vec<String> {
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_string())
        .collect()
}

#[tokio::test]
async fn only_a_known_token_reads_and_only_a_full_one_writes() {
    let shop = open(Takes::Placement, 1).await;
    let with = |method: &str, path: &str, token: &str| {
        shop.client
            .request(method.parse().unwrap(), shop.url(path))
            .bearer_auth(token)
            .json(&json!({}))
            .send()
    };
    let plain = shop
        .client
        .get(shop.url("/api/v1/products"))
        .send()
        .await
        .unwrap();
    assert_eq!(plain.status(), 401);
    assert_eq!(plain.headers()["content-type"], "application/problem+json");
    assert_eq!(
        with("GET", "/api/v1/shop", "wrong").await.unwrap().status(),
        401
    );
    assert_eq!(
        with("GET", "/api/v1/shop", READ_TOKEN)
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(
        with("POST", "/api/v1/products", READ_TOKEN)
            .await
            .unwrap()
            .status(),
        403
    );
    assert_eq!(
        with("PUT", "/api/v1/faults", READ_TOKEN)
            .await
            .unwrap()
            .status(),
        403
    );
    assert_eq!(
        shop.refused("GET", "/api/v1/nothing", Value::Null).await,
        (404, "not_found".into())
    );
    assert_eq!(
        shop.refused("DELETE", "/api/v1/products", Value::Null)
            .await,
        (405, "method_not_allowed".into())
    );
}

#[tokio::test]
async fn the_shop_says_who_it_is_and_how_it_behaves() {
    let shop = open(Takes::Reserve, 0).await;
    let told = shop.get("/api/v1/shop").await;
    assert_eq!(told["name"], "Web shop 1");
    assert_eq!(told["currency"], "EUR");
    assert_eq!(
        told["stocks"],
        json!([{"id": "main", "name": "Main warehouse"}])
    );
    assert_eq!(told["semantics"]["takes"], "reserve");
    assert_eq!(told["semantics"]["unique_order_key"], true);
    assert_eq!(told["limits"]["page_max"], 250);
    assert_eq!(told["id"], shop.shop.id());
    for feed in ["products", "categories", "stock", "orders"] {
        let page = shop.get(&format!("/api/v1/{feed}")).await;
        assert_eq!(
            (&page["items"], &page["next_cursor"]),
            (&json!([]), &Value::Null)
        );
    }
}

#[tokio::test]
async fn a_full_read_sees_every_record_once_though_others_write() {
    let shop = open(Takes::Placement, 751).await;
    let before: BTreeSet<String> = ids(&shop.all("/api/v1/products?limit=250").await.0)
        .into_iter()
        .collect();
    assert_eq!(before.len(), 751);
    let first = shop.get("/api/v1/products?limit=250").await;
    let mut seen = ids(first["items"].as_array().unwrap());
    let all: Vec<&String> = before.iter().collect();
    let (edited, gone_early, gone_late) = (all[740].clone(), seen[3].clone(), all[600].clone());
    shop.patch(
        &format!("/api/v1/products/{edited}"),
        json!({"title": "Edited while reading"}),
    )
    .await;
    for id in [&gone_early, &gone_late] {
        assert_eq!(
            shop.call("DELETE", &format!("/api/v1/products/{id}"), Value::Null)
                .await
                .0,
            204
        );
    }
    let new = shop
        .post("/api/v1/products", json!({"title": "New while reading"}))
        .await;
    let mut cursor = first["next_cursor"].as_str().map(str::to_string);
    while let Some(at) = cursor {
        let page = shop
            .get(&format!("/api/v1/products?limit=250&cursor={at}"))
            .await;
        assert_eq!(page["as_of"], first["as_of"]);
        seen.extend(ids(page["items"].as_array().unwrap()));
        cursor = page["next_cursor"].as_str().map(str::to_string);
    }
    let unique: BTreeSet<String> = seen.iter().cloned().collect();
    assert_eq!(unique.len(), seen.len(), "nothing came twice");
    let mut expected = before.clone();
    expected.remove(&gone_late);
    assert_eq!(unique, expected);
    // What changed meanwhile is exactly what the feed tells from as_of on.
    let (changes, as_of) = shop
        .all(&format!(
            "/api/v1/products?modified_since={}",
            first["as_of"].as_str().unwrap()
        ))
        .await;
    assert_eq!(
        ids(&changes),
        [
            edited,
            gone_early,
            gone_late,
            new["id"].as_str().unwrap().to_string()
        ]
    );
    assert!(changes[1]["deleted_at"].is_string() && changes[2]["deleted_at"].is_string());
    let (rest, same) = shop
        .all(&format!("/api/v1/products?modified_since={as_of}"))
        .await;
    assert!(rest.is_empty());
    assert_eq!(same, as_of, "as_of stands still while nothing changes");
}

#[tokio::test]
async fn edits_within_one_second_are_all_seen_in_their_order() {
    let shop = open(Takes::Placement, 30).await;
    let (items, as_of) = shop.all("/api/v1/products").await;
    let mut order = ids(&items);
    order.reverse();
    let edits: Vec<Value> = order
        .iter()
        .map(|id| json!({"op": "update", "id": id, "title": format!("Now {id}")}))
        .collect();
    shop.post("/api/v1/products/batch", json!({ "items": edits }))
        .await;
    let (changed, _) = shop
        .all(&format!("/api/v1/products?limit=7&modified_since={as_of}"))
        .await;
    assert_eq!(ids(&changed), order);
    let times: BTreeSet<&str> = changed
        .iter()
        .map(|item| item["modified_at"].as_str().unwrap())
        .collect();
    assert_eq!(times.len(), 30);
    // Inclusive: the time of an edit shows that edit.
    let last = changed.last().unwrap();
    let (again, _) = shop
        .all(&format!(
            "/api/v1/products?modified_since={}",
            last["modified_at"].as_str().unwrap()
        ))
        .await;
    assert_eq!(ids(&again), [last["id"].as_str().unwrap()]);
}

#[tokio::test]
async fn endless_edits_do_not_make_a_read_endless() {
    let shop = open(Takes::Placement, 10).await;
    let id = ids(&shop.all("/api/v1/products").await.0)[0].clone();
    let mut path = "/api/v1/products?limit=1&modified_since=2000-01-01T00:00:00Z".to_string();
    let mut pages = 0;
    loop {
        let page = shop.get(&path).await;
        pages += 1;
        assert!(pages < 50, "the read does not end");
        shop.patch(
            &format!("/api/v1/products/{id}"),
            json!({"title": format!("Edit {pages}")}),
        )
        .await;
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/products?limit=1&cursor={cursor}"),
            None => break,
        }
    }
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let shop = open(Takes::Placement, 1).await;
    for path in [
        "limit=0",
        "limit=x",
        "cursor=abc",
        "modified_since=today",
        "colour=red",
    ] {
        let (status, body) = shop
            .call("GET", &format!("/api/v1/products?{path}"), Value::Null)
            .await;
        assert_eq!(
            (status, &body["code"]),
            (400, &json!("bad_parameter")),
            "{path}"
        );
        assert_eq!(body["field"], path.split('=').next().unwrap());
    }
}

#[tokio::test]
async fn records_are_looked_up_by_their_keys() {
    let shop = open(Takes::Placement, 5).await;
    let (items, _) = shop.all("/api/v1/products").await;
    let sku = items[2]["variants"][0]["sku"].as_str().unwrap();
    let handle = items[2]["handle"].as_str().unwrap();
    for path in [
        format!(
            "/api/v1/products?ids={},p99999999",
            items[2]["id"].as_str().unwrap()
        ),
        format!("/api/v1/products?sku={sku}"),
        format!("/api/v1/products?handle={handle}"),
    ] {
        let page = shop.get(&path).await;
        assert_eq!(
            ids(page["items"].as_array().unwrap()),
            [items[2]["id"].as_str().unwrap()],
            "{path}"
        );
    }
    let page = shop.get(&format!("/api/v1/stock?sku={sku}&sku=none")).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["items"][0]["quantity"], 10);
}

#[tokio::test]
async fn a_restart_keeps_data_id_and_cursors() {
    let shop = open(Takes::Payment, 40).await;
    let first = shop.get("/api/v1/products?limit=25").await;
    let (id, cursor) = (
        shop.shop.id().to_string(),
        first["next_cursor"].as_str().unwrap().to_string(),
    );
    shop.buy("P-00001", 1, true).await;
    shop.shop.shutdown().await;
    let again = Shop::start(config(
        &shop.folder,
        Takes::Payment,
        Seed {
            products: 999,
            ..seed(0)
        },
    ))
    .await
    .unwrap();
    assert_eq!(again.id(), id);
    let page: Value = shop
        .client
        .get(format!(
            "{}/api/v1/products?limit=250&cursor={cursor}",
            again.url()
        ))
        .bearer_auth(TOKEN)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 15);
    assert_eq!(page["as_of"], first["as_of"]);
    again.shutdown().await;
    let Err(refused) = Shop::start(config(&shop.folder, Takes::Reserve, seed(0))).await else {
        panic!("the folder of another shop was taken");
    };
    assert!(format!("{refused:#}").contains("payment"), "{refused:#}");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_catalogue() {
    let without_ids = |items: Vec<Value>| -> Vec<String> {
        items
            .into_iter()
            .map(|item| {
                let variant = &item["variants"][0];
                format!(
                    "{} {} {} {} {}",
                    item["title"],
                    item["handle"],
                    variant["sku"],
                    variant["price"],
                    variant["gtin"]
                )
            })
            .collect()
    };
    let (one, other) = (
        open(Takes::Placement, 60).await,
        open(Takes::Never, 60).await,
    );
    assert_eq!(
        without_ids(one.all("/api/v1/products").await.0),
        without_ids(other.all("/api/v1/products").await.0)
    );
    let categories = one.all("/api/v1/categories").await.0;
    assert!(
        categories
            .iter()
            .filter(|category| category["parent_id"].is_string())
            .count()
            >= 10
    );
}

#[tokio::test]
async fn requests_are_counted_by_their_template() {
    let shop = open(Takes::Placement, 2).await;
    shop.post("/api/v1/requests/reset", Value::Null).await;
    for id in ["p1", "p2"] {
        shop.call("GET", &format!("/api/v1/products/{id}"), Value::Null)
            .await;
    }
    shop.get("/api/v1/stock?limit=1").await;
    let counted = shop.get("/api/v1/requests").await;
    assert_eq!(counted["total"], 3);
    assert_eq!(
        counted["counts"],
        json!({"GET /api/v1/products/{id}": 2, "GET /api/v1/stock": 1})
    );
    assert_eq!(counted["recent"][2]["path"], "/api/v1/stock?limit=1");
}
