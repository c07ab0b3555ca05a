//! What a shop is given in place of what the owner holds.

use crate::world::{Scene, ShopClient, ShopPlan, eventually, seconds};
use serde_json::{Value, json};

fn cents(price: &Value) -> u64 {
    let text = price.as_str().expect("a price is text");
    let (whole, part) = text.split_once('.').expect("a price has cents");
    let digits: u64 = format!("{whole}{part}").parse().expect("digits");
    assert_eq!(part.len(), 2, "{text}");
    digits
}

fn price(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

async fn costs(shop: &ShopClient, sku: &str, wanted: u64) {
    let what = format!("{sku} costs {} in {}", price(wanted), shop.name);
    eventually(&what, seconds(30), async || {
        match cents(&shop.price(sku).await) {
            there if there == wanted => Ok(()),
            there => Err(price(there)),
        }
    })
    .await;
}

/// A fifth more, and up to the next 0.99.
fn by_the_rule(cents: u64) -> u64 {
    (cents * 12).div_ceil(1_000) * 100 - 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_is_given_prices_by_its_rule_and_another_keeps_its_own() {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    let before = cents(&scene.erp.price(&sku).await);
    scene
        .edit(|settings| {
            settings["customerHasServices"][1]["transform"] = json!({ "prices": [{
                "from": "EUR", "to": "EUR", "factor": "1.2",
                "round": { "step": "1", "way": "up", "less": "0.01" },
            }]});
            settings["customerHasServices"][2]["transform"] = json!({ "keeps": ["prices"] });
        })
        .await;
    costs(&scene.web1, &sku, by_the_rule(before)).await;
    let dearer = before + 100;
    scene.erp.set_price(&sku, &price(dearer)).await;
    costs(&scene.web1, &sku, by_the_rule(dearer)).await;
    // Its people's own price is neither written over nor heard.
    scene.web2.set_price(&sku, "77.00").await;
    scene.sync().await;
    scene.until_at_rest().await;
    costs(&scene.web2, &sku, 7_700).await;
    costs(&scene.erp, &sku, dearer).await;
    costs(&scene.web1, &sku, by_the_rule(dearer)).await;
    // What is at rest stays so: a look at everything writes nothing.
    let written = |runs: &[Value]| -> u64 {
        let counts = runs.iter().map(|run| run["counts"]["written"].as_u64());
        counts.flatten().sum()
    };
    let people = &scene.coordinator.people;
    let so_far = written(&people.runs(scene.customer).await);
    scene.sync().await;
    scene.until_at_rest().await;
    assert_eq!(written(&people.runs(scene.customer).await), so_far);
}
