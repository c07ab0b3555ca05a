//! What goes beyond a limit waits, and nothing else does; a person sees the plan, and applies it as it was shown, or answers.

use crate::world::{Scene, ShopPlan, eventually, seconds};
use serde_json::{Value, json};

/// The ERP's price leaps a hundredfold, and the run that sees it leaves it.
async fn stopped_by_the_limit(scene: &Scene, sku: &str) -> Value {
    let before = scene.web1.price(sku).await;
    scene.erp.set_price(sku, "4999.00").await;
    scene.until_told(&["more than the limit"]).await;
    assert_eq!(scene.web1.price(sku).await, before, "nothing is written");
    let people = &scene.coordinator.people;
    let typed = people.types(&["--json", "plan", &scene.id()]).await;
    assert_eq!(typed.code, 3, "{typed:?}");
    let plan = typed.json();
    let stopped = plan["stopped_by"].to_string();
    assert!(stopped.contains("more than the limit"), "{plan}");
    assert_eq!(plan["counts"]["update"], 2, "both web shops: {plan}");
    plan
}

async fn scene() -> (Scene, String) {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    (scene, sku)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_beyond_a_limit_is_written_once_a_person_applies_it() {
    let (scene, sku) = scene().await;
    let plan = stopped_by_the_limit(&scene, &sku).await;
    let named = plan["id"].as_str().expect("the plan's name");
    let applied = scene
        .coordinator
        .people
        .does(&["--json", "apply", named])
        .await;
    assert_eq!(applied.json()["counts"]["written"], 2, "{applied:?}");
    for shop in scene.web_shops() {
        assert_eq!(shop.price(&sku).await, "4999.00", "{}", shop.name);
    }
    // In step by then: the next run has nothing to stop at.
    let synced = scene.coordinator.people.types(&["sync", &scene.id()]).await;
    assert_eq!(synced.code, 0, "{synced:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c7_a_held_price_holds_up_nothing_and_is_written_once_a_person_accepts() {
    let (scene, sku) = scene().await;
    let other = scene.erp.levels().await.into_keys().nth(1).expect("a SKU");
    scene.erp.set_price(&sku, "4999.00").await;
    scene.until_told(&["more than the limit"]).await;
    // Another product is withdrawn meanwhile.
    let product = scene.erp.product_with(&other).await.expect("a product");
    let id = product["id"].as_str().expect("an id");
    let withdrawn = json!({ "status": "archived" });
    scene
        .erp
        .patch(&format!("/api/v1/products/{id}"), withdrawn)
        .await;
    eventually("it is withdrawn there", seconds(30), async || {
        let there = scene.web1.product_with(&other).await.expect("a product");
        match there["status"].as_str() {
            Some("archived") => Ok(()),
            _ => Err(there["status"].to_string()),
        }
    })
    .await;
    let people = &scene.coordinator.people;
    let listed = people.types(&["--json", "conflicts", &scene.id()]).await;
    let asked = listed.json();
    let number = asked[0]["conflict"].to_string();
    assert!(
        asked[0]["detail"]
            .to_string()
            .contains("more than the limit"),
        "{asked}"
    );
    people
        .does(&["decide", &scene.id(), &number, "--choice", "1"])
        .await;
    eventually(
        "the accepted price is there",
        seconds(30),
        async || match scene.web1.price(&sku).await {
            there if there == "4999.00" => Ok(()),
            there => Err(there.to_string()),
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moved_since_the_plan_was_shown_is_named_and_left() {
    let (scene, sku) = scene().await;
    let before = scene.web1.price(&sku).await;
    let plan = stopped_by_the_limit(&scene, &sku).await;
    scene.erp.set_price(&sku, "5999.00").await;
    let named = plan["id"].as_str().expect("the plan's name");
    let people = &scene.coordinator.people;
    let applied = people.types(&["--json", "apply", named]).await;
    let run = applied.json();
    assert_eq!(run["counts"]["written"], 0, "{run}");
    let message = run["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("moved since it was shown") && message.contains(&sku),
        "{run}"
    );
    assert_eq!(scene.web1.price(&sku).await, before);
    // A plan of today is applied.
    let again = people.types(&["--json", "plan", &scene.id()]).await.json();
    let named = again["id"].as_str().expect("the plan's name");
    people.does(&["--json", "apply", named]).await;
    eventually(
        "the new price is in the web shop",
        seconds(20),
        async || match scene.web1.price(&sku).await {
            there if there == "5999.00" => Ok(()),
            there => Err(there.to_string()),
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_nobody_made_is_refused() {
    let (scene, _) = scene().await;
    let named = format!("{}-999999", scene.customer);
    let refused = scene.coordinator.people.types(&["apply", &named]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("make a new plan"), "{refused:?}");
}
