//! What is taken away in the ERP goes from the web shops, and their stock comes to rest without it.

use crate::world::{Scene, ShopClient, ShopPlan, eventually, seconds};
use serde_json::{Value, json};

async fn shirt(shop: &ShopClient) -> Value {
    shop.product_with("SH-S").await.unwrap_or_default()
}

fn skus(product: &Value) -> Vec<String> {
    let variants = product["variants"].as_array().into_iter().flatten();
    let mut skus: Vec<String> = variants
        .filter_map(|variant| variant["sku"].as_str().map(str::to_owned))
        .collect();
    skus.sort();
    skus
}

fn variant<'a>(product: &'a Value, sku: &str) -> &'a Value {
    let mut variants = product["variants"].as_array().into_iter().flatten();
    variants
        .find(|variant| variant["sku"] == sku)
        .unwrap_or(&Value::Null)
}

async fn until_in_web_shops(scene: &Scene, what: &str, holds: impl Fn(&Value) -> bool) {
    for shop in scene.web_shops() {
        let what = format!("{what} in {}", shop.name);
        eventually(&what, seconds(30), async || {
            let there = shirt(&shop).await;
            if holds(&there) {
                Ok(())
            } else {
                Err(there.to_string())
            }
        })
        .await;
    }
}

async fn until_everywhere(scene: &Scene, sku: &str, units: i64) {
    for shop in scene.shops() {
        let what = format!("{sku} is at {units} in {}", shop.name);
        eventually(&what, seconds(30), async || {
            let levels = shop.levels().await;
            match levels.get(sku) {
                Some(there) if *there == units => Ok(()),
                there => Err(format!("{there:?}")),
            }
        })
        .await;
    }
}

async fn count(scene: &Scene, sku: &str, units: i64) {
    let body = json!({ "on_hand": units });
    scene.erp.put(&format!("/api/v1/stock/{sku}"), body).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_erp_takes_away_goes_from_the_web_shops_and_their_stock_comes_to_rest() {
    let scene = Scene::set_in_step(ShopPlan {
        products: 3,
        ..ShopPlan::default()
    })
    .await;
    let category = scene
        .erp
        .post("/api/v1/categories", json!({ "name": "Shirts" }))
        .await;
    let size = |size: &str| {
        json!({
            "sku": format!("SH-{size}"), "price": "24.90", "sale_price": "19.90", "options": { "Size": size },
        })
    };
    let made = scene
        .erp
        .post(
            "/api/v1/products",
            json!({
                "title": "Shirt", "description": "Cotton", "status": "active", "options": ["Size"],
                "category_ids": [category["id"]], "attributes": { "fabric": "cotton" },
                "variants": [size("S"), size("M"), size("L")],
            }),
        )
        .await;
    let id = made["id"].as_str().expect("an id").to_owned();
    for (sku, units) in [("SH-S", 5), ("SH-M", 7), ("SH-L", 3)] {
        count(&scene, sku, units).await;
        until_everywhere(&scene, sku, units).await;
    }
    until_in_web_shops(&scene, "it is whole", |there| {
        there["category_ids"]
            .as_array()
            .is_some_and(|ids| ids.len() == 1)
    })
    .await;
    // Web shop 1 has one of its own, and somebody bought what will be gone.
    let at_web_1 = shirt(&scene.web1).await;
    let path = format!(
        "/api/v1/products/{}",
        at_web_1["id"].as_str().expect("an id")
    );
    scene
        .web1
        .patch(
            &path,
            json!({ "variants": [{ "sku": "SH-OWN", "price": "30.00" }] }),
        )
        .await;
    let order = scene.web1.buy("SH-M", 1, true).await;
    until_everywhere(&scene, "SH-M", 6).await;
    scene.until_at_rest().await;

    // The first removal fails in web shop 1 after the rest was written.
    scene
        .web1
        .set_faults(json!([{ "kind": "Reject", "status": 500, "method": "DELETE", "times": 1 }]))
        .await;
    let m = variant(&made, "SH-M")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    scene
        .erp
        .delete(&format!("/api/v1/products/{id}/variants/{m}"))
        .await;
    scene
        .erp
        .patch(
            &format!("/api/v1/products/{id}"),
            json!({
                "description": "", "attributes": { "fabric": null }, "category_ids": [],
                "variants": [{ "sku": "SH-S", "sale_price": null }],
            }),
        )
        .await;
    until_in_web_shops(&scene, "what was taken away is gone", |there| {
        variant(there, "SH-M").is_null()
            && there["description"] == ""
            && there["attributes"] == json!({})
            && there["category_ids"] == json!([])
            && variant(there, "SH-S")["sale_price"].is_null()
    })
    .await;
    assert_eq!(skus(&shirt(&scene.web1).await), ["SH-L", "SH-OWN", "SH-S"]);
    assert_eq!(skus(&shirt(&scene.web2).await), ["SH-L", "SH-S"]);
    assert_eq!(
        variant(&shirt(&scene.web2).await, "SH-L")["sale_price"],
        "19.90"
    );

    // The order of what is gone goes on, and the stock of the rest.
    scene.web1.ship(&order).await;
    count(&scene, "SH-S", 9).await;
    until_everywhere(&scene, "SH-S", 9).await;
    scene.sync().await;
    scene.until_at_rest().await;
    for shop in scene.web_shops() {
        shop.forget_requests().await;
    }
    scene.sync().await;
    scene.until_at_rest().await;
    for shop in scene.web_shops() {
        assert_eq!(shop.writes().await, Default::default(), "{}", shop.name);
        assert!(!shop.levels().await.contains_key("SH-M"), "{}", shop.name);
    }
    let runs = scene.coordinator.people.runs(scene.customer).await;
    for run in runs.iter().take(2) {
        assert_eq!(run["result"], "done", "{run}");
    }

    // It comes back, and is sold with what the ERP counts then.
    scene
        .erp
        .patch(
            &format!("/api/v1/products/{id}"),
            json!({ "variants": [size("M")] }),
        )
        .await;
    until_in_web_shops(&scene, "it is back", |there| {
        !variant(there, "SH-M").is_null()
    })
    .await;
    count(&scene, "SH-M", 4).await;
    until_everywhere(&scene, "SH-M", 4).await;
}
