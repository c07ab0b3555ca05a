//! Who changed what, from what to what, in which run and why: of a record with its stock, and of an order.

use crate::world::{Scene, ShopClient, ShopPlan, eventually, seconds};
use serde_json::{Value, json};

async fn set_price(erp: &ShopClient, sku: &str, price: &str) {
    let product = erp.product_with(sku).await.expect("the product");
    let id = product["id"].as_str().expect("an id");
    let variants = product["variants"].as_array().expect("variants");
    let variant = variants.iter().find(|variant| variant["sku"] == sku);
    let variant = variant.expect("the variant")["id"].as_str().expect("an id");
    let change = json!({ "variants": [{ "id": variant, "sku": sku, "price": price }] });
    erp.patch(&format!("/api/v1/products/{id}"), change).await;
}

async fn page(scene: &Scene, named: &str, more: &[&str]) -> Value {
    let id = scene.id();
    let asked = ["--json", "history", id.as_str(), named];
    let asked: Vec<&str> = asked.iter().chain(more).copied().collect();
    scene.coordinator.people.does(&asked).await.json()
}

fn rows(page: &Value) -> Vec<Value> {
    page["rows"].as_array().expect("rows").clone()
}

/// The first row that moved this field there.
fn moved<'a>(rows: &'a [Value], field: &str, shop: &Value) -> Option<&'a Value> {
    let mut rows = rows.iter();
    rows.find(|row| row["moved"]["field"] == field && row["moved"]["shop"] == *shop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_is_followed_from_its_owner_to_every_shop_page_by_page() {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    let product = scene.erp.product_with(&sku).await.expect("the product");
    let old = product["variants"][0]["price"].as_str().expect("a price");
    // Within the limit that a price may move.
    let old: f64 = old.parse().expect("a number");
    let new = format!("{}.25", (old * 1.1).floor());
    set_price(&scene.erp, &sku, &new).await;
    scene.sync().await;
    let field = format!("variant/{sku}/price/EUR");
    let (all, _) = eventually("the price has crossed", seconds(30), async || {
        let all = rows(&page(&scene, &sku, &[]).await);
        match moved(&all, &field, &json!(3)).filter(|row| row["moved"]["to"] == new) {
            Some(_) => Ok(all),
            None => Err(json!(all).to_string()),
        }
    })
    .await;
    let ours = moved(&all, &field, &Value::Null).expect("our own record");
    assert_eq!(ours["who"], "ERP", "{ours}");
    assert_eq!(ours["moved"]["to"], new);
    let written = moved(&all, &field, &json!(2)).expect("the first web shop");
    assert_eq!(written["who"], "Lockstep", "{written}");
    assert_eq!(written["moved"]["shop_name"], "Web shop 1");
    assert_eq!(written["moved"]["from"], ours["moved"]["from"]);
    assert_eq!(written["run"], ours["run"], "seen and written by one run");
    assert_ne!(written["cause"], "", "{written}");
    // Its stock stands in it too.
    assert!(moved(&all, "base", &Value::Null).is_some(), "{all:?}");
    // Page by page it is the same, newest first.
    let mut paged = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut more = vec!["--limit", "3"];
        more.extend(
            cursor
                .iter()
                .flat_map(|cursor| ["--cursor", cursor.as_str()]),
        );
        let page = page(&scene, &sku, &more).await;
        paged.extend(rows(&page));
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(paged, rows(&page(&scene, &sku, &[]).await));
    let seqs: Vec<u64> = paged.iter().filter_map(|row| row["seq"].as_u64()).collect();
    assert!(seqs.is_sorted_by(|a, b| a >= b), "{seqs:?}");
    // And a table for people.
    let id = scene.id();
    let typed = scene.coordinator.people.does(&["history", &id, &sku]).await;
    assert!(
        typed.out.contains(&new) && typed.out.contains("ERP"),
        "{typed:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_followed_by_its_number_and_what_nobody_knows_is_refused() {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    let order = scene.web1.buy(&sku, 1, true).await;
    scene.sync().await;
    let id = scene.id();
    let people = &scene.coordinator.people;
    let (told, _) = eventually("the order's history", seconds(30), async || {
        let typed = people
            .types(&["--json", "history", &id, &order.number])
            .await;
        match typed.code {
            0 => Ok(typed.json()),
            _ => Err(format!("{typed:?}")),
        }
    })
    .await;
    let about = told["about"].as_str().expect("words");
    assert!(
        about.contains(&order.number) && about.contains("Web shop 1"),
        "{told}"
    );
    assert!(
        rows(&told).iter().any(|row| row["who"] == "Web shop 1"),
        "{told}"
    );
    let refused = people.types(&["history", &id, "no-such-thing"]).await;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("no-such-thing"), "{refused:?}");
}
