//! Orders whose units change after they were copied.

use crate::world::{Bought, Scene, ShopClient, ShopPlan, eventually, seconds};
use serde_json::{Value, json};

async fn set_units(shop: &ShopClient, order: &str, sku: &str, units: i64) {
    let lines = json!({ "lines": [{ "sku": sku, "quantity": units }] });
    shop.patch(&format!("/api/v1/orders/{order}"), lines).await;
}

async fn the_copy(scene: &Scene, order: &Bought, units: i64) -> Value {
    let what = format!("the copy of {} has {units} units", order.number);
    let (copy, _) = eventually(&what, seconds(30), async || {
        match scene.erp.copy_of(order).await {
            Some(copy) if copy["lines"][0]["quantity"] == units => Ok(copy),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    copy
}

async fn conflicts(scene: &Scene) -> Value {
    let people = &scene.coordinator.people;
    let list = people.types(&["--json", "conflicts", &scene.id()]).await;
    list.json()
}

async fn asked(scene: &Scene, number: usize) -> Value {
    let (list, _) =
        eventually(
            "the inbox is as it should be",
            seconds(30),
            async || match conflicts(scene).await {
                list if list.as_array().map(Vec::len) == Some(number) => Ok(list),
                list => Err(list.to_string()),
            },
        )
        .await;
    list
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_reaches_the_copy_until_it_is_shipped_and_then_asks() {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let books = scene.books().await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    let order = scene.web1.buy(&sku, 1, true).await;
    the_copy(&scene, &order, 1).await;
    set_units(&scene.web1, &order.id, &sku, 3).await;
    the_copy(&scene, &order, 3).await;
    let shops = scene.shops();
    eventually("all shops show what is left", seconds(30), async || {
        books.check(&shops).await
    })
    .await;
    set_units(&scene.web1, &order.id, &sku, 2).await;
    let copy = the_copy(&scene, &order, 2).await;
    eventually("what was given back is for sale", seconds(30), async || {
        books.check(&shops).await
    })
    .await;
    assert_eq!(conflicts(&scene).await, json!([]));
    // Somebody changes the copy: nobody is written over, a person is asked, and it closes once it is put right.
    let copy = copy["id"].as_str().expect("an id");
    set_units(&scene.erp, copy, &sku, 1).await;
    let list = asked(&scene, 1).await;
    let detail = list[0]["detail"].as_str().expect("a detail");
    assert!(
        detail.contains(&sku) && detail.contains("2 in Web shop 1"),
        "{detail}"
    );
    set_units(&scene.erp, copy, &sku, 2).await;
    asked(&scene, 0).await;
    assert_eq!(
        scene
            .web1
            .get(&format!("/api/v1/orders/{}", order.id))
            .await["lines"][0]["quantity"],
        2
    );
}
