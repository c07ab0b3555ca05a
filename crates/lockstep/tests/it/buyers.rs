//! A buyer's data: shown to whoever may see it, and forgotten so that not a byte of it is left.

use crate::world::{Bought, Scene, ShopPlan, eventually, seconds};
use serde_json::json;
use std::path::Path;

const EMAIL: &str = "aino@example.com";
const NAME: &str = "Aino Virta";

async fn one_order_crossed() -> (Scene, String, Bought) {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    let order = scene.web1.buy(&sku, 1, true).await;
    until_crossed(&scene, &order).await;
    scene.until_at_rest().await;
    (scene, sku, order)
}

async fn until_crossed(scene: &Scene, order: &Bought) {
    eventually("the order crosses", seconds(30), async || {
        scene.erp.copy_of(order).await.ok_or("not yet".to_owned())
    })
    .await;
}

/// Files under the folder in which one of the texts stands.
fn holding(folder: &Path, texts: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(holding(&path, texts));
            continue;
        }
        let Ok(bytes) = std::fs::read(&path) else {
            // Gone meanwhile: a log that was emptied.
            continue;
        };
        for text in texts {
            if bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
            {
                found.push(format!("{text} in {}", path.display()));
            }
        }
    }
    found
}

fn nowhere(scene: &Scene) {
    let folder = scene.folder.path();
    let mut found = holding(&scene.worker.data, &[EMAIL, NAME]);
    found.extend(holding(&scene.coordinator.data, &[EMAIL, NAME]));
    for log in ["coordinator.log", "worker-1.log"] {
        let text = std::fs::read_to_string(folder.join(log)).unwrap_or_default();
        for word in [EMAIL, NAME] {
            if text.contains(word) {
                found.push(format!("{word} in {log}"));
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_buyer_is_shown_and_then_forgotten_and_syncing_goes_on() {
    let (scene, sku, order) = one_order_crossed().await;
    let people = &scene.coordinator.people;
    let id = scene.id();
    let shown = people
        .does(&["--json", "buyers", "export", &id, "AINO@example.com"])
        .await;
    let shown = shown.json();
    assert_eq!(shown["orders"].as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!(shown["orders"][0]["buyer"]["email"], EMAIL);
    assert_eq!(shown["orders"][0]["buyer"]["name"], NAME);
    assert_eq!(shown["orders"][0]["number"], order.number.as_str());
    let by_number = people
        .does(&["--json", "buyers", "export", &id, &order.number])
        .await;
    assert_eq!(by_number.json()["orders"][0]["buyer"]["email"], EMAIL);

    let erased = people
        .does(&["--json", "buyers", "erase", &id, EMAIL])
        .await;
    let erased = erased.json();
    assert_eq!(erased["orders"], 1, "{erased}");
    assert!(erased["done_at"].is_string(), "{erased}");
    nowhere(&scene);
    let shown = people
        .does(&["--json", "buyers", "export", &id, EMAIL])
        .await;
    assert_eq!(shown.json()["orders"], json!([]));
    // Again is harmless.
    let again = people
        .does(&["--json", "buyers", "erase", &id, &order.number])
        .await;
    assert_eq!(again.json()["orders"], 1);

    // The page says so; sums and lines are there.
    let key = format!("lockstep:{id}:2:{}", order.id);
    let path = format!("/api/v1/customers/{id}/orders/{key}");
    let (page, _) = eventually("the page says that it is erased", seconds(20), async || {
        let page = people.get(&path).await;
        match page["erased_by"].is_string() {
            true => Ok(page),
            false => Err(page.to_string()),
        }
    })
    .await;
    assert_eq!(page["lines"][0]["sku"], sku.as_str(), "{page}");
    assert_ne!(page["row"]["total"], "0", "{page}");

    // What the shop shows of the buyer later is not kept again, and the order's states still cross.
    scene.web1.ship(&order).await;
    eventually("the copy is shipped", seconds(30), async || {
        match scene.erp.copy_of(&order).await {
            Some(copy) if copy["fulfilment"] == "shipped" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let shown = people
        .does(&["--json", "buyers", "export", &id, EMAIL])
        .await;
    assert_eq!(shown.json()["orders"], json!([]));
    let next = scene.web2.buy(&sku, 1, true).await;
    until_crossed(&scene, &next).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_away_forgets_the_buyer_when_it_is_back() {
    let (mut scene, _, order) = one_order_crossed().await;
    let people = scene.coordinator.people.clone();
    let id = scene.id();
    scene.worker.process.kill();
    let (waits, _) = eventually("the request waits", seconds(120), async || {
        let typed = people
            .types(&["--json", "buyers", "erase", &id, EMAIL])
            .await;
        match typed.code {
            3 => Ok(typed.json()),
            _ => Err(format!("{typed:?}")),
        }
    })
    .await;
    assert!(waits["done_at"].is_null(), "{waits}");
    scene.worker.start_again(None);
    let path = format!("/api/v1/customers/{id}/orders/lockstep:{id}:2:{}", order.id);
    eventually("the buyer is forgotten", seconds(60), async || {
        let page = people.get(&path).await;
        match page["erased_at"].is_string() {
            true => Ok(()),
            false => Err(page.to_string()),
        }
    })
    .await;
    nowhere(&scene);
    let shown = people
        .does(&["--json", "buyers", "export", &id, EMAIL])
        .await;
    assert_eq!(shown.json()["orders"], json!([]));
}
