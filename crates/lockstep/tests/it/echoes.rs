//! Shops call us for our own writes too. What comes of it is bounded: the echo of a whole batch is looked at a few times.

use crate::world::{Scene, ShopPlan, eventually, seconds};
use serde_json::Value;
use std::collections::BTreeMap;

async fn runs_that_found_nothing(scene: &Scene) -> Vec<Value> {
    let path = format!("/api/v1/customers/{}/runs?limit=500", scene.customer);
    let page = scene.coordinator.people.get(&path).await;
    let runs = page["items"].as_array().cloned().unwrap_or_default();
    let is_empty = |run: &Value| {
        let counts = &run["counts"];
        let is_none = |what: &str| counts[what].as_u64().unwrap_or(0) == 0;
        !run["finished_at"].is_null() && is_none("changed") && is_none("written")
    };
    runs.into_iter().filter(is_empty).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m11_the_echo_of_many_writes_makes_a_few_runs() {
    let plan = ShopPlan {
        products: 60,
        ..ShopPlan::default()
    };
    let scene = Scene::set_in_step(plan).await;
    scene.sync().await;
    let before = runs_that_found_nothing(&scene).await.len();
    let mut wanted = BTreeMap::new();
    for sku in scene.erp.levels().await.into_keys().take(60) {
        let price = scene.erp.price(&sku).await;
        let text = price.as_str().map_or(price.to_string(), str::to_owned);
        let price: f64 = text.parse().expect("a price");
        wanted.insert(sku, format!("{:.2}", price + 0.1));
    }
    let edits = wanted
        .iter()
        .map(|(sku, price)| scene.erp.set_price(sku, price));
    futures::future::join_all(edits).await;
    eventually("all prices are in both shops", seconds(90), async || {
        for shop in scene.web_shops() {
            for (sku, price) in &wanted {
                let there = shop.price(sku).await;
                if !there.to_string().contains(price) {
                    return Err(format!("{sku} in {}: {there}, not {price}", shop.name));
                }
            }
        }
        Ok(())
    })
    .await;
    // Whatever still echoes is over once a person's own look has ended.
    scene.sync().await;
    scene.until_at_rest().await;
    let made = runs_that_found_nothing(&scene).await.len() - before;
    println!("{made} runs found nothing after 60 products were written to two shops");
    assert!(made <= 12, "{made} runs that found nothing");
}
