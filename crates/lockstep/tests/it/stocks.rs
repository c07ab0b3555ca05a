//! Several stocks, another owner of the stock, and a source that shows nothing any more.

use crate::world::{Scene, ShopClient, ShopPlan, eventually, seconds};
use serde_json::{Value, json};

async fn units_in(shop: &ShopClient, sku: &str, stock: &str) -> i64 {
    let path = format!("/api/v1/stock?sku={sku}&stock={stock}");
    let levels = shop.get(&path).await;
    levels["items"][0]["quantity"]
        .as_i64()
        .expect("a number of units")
}

async fn count(erp: &ShopClient, sku: &str, stock: &str, units: i64) {
    let level = json!({ "stock": stock, "on_hand": units });
    erp.put(&format!("/api/v1/stock/{sku}"), level).await;
}

/// ERP main, ERP outlet, web shop 1 and web shop 2.
async fn until_stocks_show(scene: &Scene, sku: &str, wanted: [i64; 4]) {
    let what = format!("{sku} is shown as {wanted:?}");
    eventually(&what, seconds(30), async || {
        let shown = [
            units_in(&scene.erp, sku, "main").await,
            units_in(&scene.erp, sku, "outlet").await,
            scene.web1.available(sku).await,
            scene.web2.available(sku).await,
        ];
        if shown == wanted {
            Ok(())
        } else {
            Err(format!("{shown:?}"))
        }
    })
    .await;
}

fn two_stocks(settings: &mut Value) {
    let rows = |settings: &mut Value, section: &str| -> Vec<Value> {
        settings[section].as_array().expect("rows").clone()
    };
    let mut stocks = rows(settings, "stocks");
    stocks.push(json!({ "id": 2, "name": "Outlet" }));
    settings["stocks"] = stocks.into();
    let mut names = rows(settings, "stockServiceIdentifiers");
    for row in names.iter_mut().filter(|row| row["serviceId"] == 3) {
        row["stockId"] = json!(2);
    }
    let erp_s = json!({ "id": 900, "stockId": 2, "serviceId": 1, "identifier": "outlet" });
    names.push(erp_s);
    settings["stockServiceIdentifiers"] = names.into();
    let mut links = rows(settings, "customerHasServices");
    for link in links.iter_mut().filter(|link| link["serviceId"] == 2) {
        link["sellsFrom"] = json!([1, 2]);
    }
    settings["customerHasServices"] = links.into();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_is_told_the_sum_of_the_stocks_it_sells_from_and_its_orders_go_where_the_goods_are()
{
    let scene = Scene::set_in_step(ShopPlan {
        products: 2,
        outlet: true,
        ..ShopPlan::default()
    })
    .await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    scene.edit(two_stocks).await;
    count(&scene.erp, &sku, "outlet", 5).await;
    until_stocks_show(&scene, &sku, [10, 5, 15, 5]).await;
    scene.web2.buy(&sku, 2, true).await;
    until_stocks_show(&scene, &sku, [10, 3, 13, 3]).await;
    // A move between the two is nothing to the sum.
    count(&scene.erp, &sku, "main", 1).await;
    count(&scene.erp, &sku, "outlet", 12).await;
    until_stocks_show(&scene, &sku, [1, 12, 13, 12]).await;
    let order = scene.web1.check_out(json!({
        "lines": [{ "sku": sku, "quantity": 4 }],
        "buyer": { "name": "Aino Virta", "email": "aino@example.com" },
        "pay": true,
    }));
    let order = order.await;
    until_stocks_show(&scene, &sku, [1, 8, 9, 8]).await;
    let copy = scene.erp.copy_of(&order).await.expect("its copy");
    assert_eq!(copy["stock"], "outlet", "the main one has no four: {copy}");
    let told = scene
        .coordinator
        .people
        .types(&["explain", &scene.id(), &sku])
        .await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(
        told.out.contains("Web shop 1 (Main warehouse + Outlet)"),
        "{told:?}"
    );
}

/// A question to a person, once there is one; answered with this choice once `meanwhile` has been looked at.
async fn asked_then_accepted(scene: &Scene, about: &str, meanwhile: impl AsyncFnOnce()) {
    let question = scene.the_question().await;
    let title = question["title"].as_str().unwrap_or_default();
    assert!(title.contains(about), "{question}");
    meanwhile().await;
    let number = question["conflict"].to_string();
    scene
        .coordinator
        .people
        .does(&["decide", &scene.id(), &number, "--choice", "1"])
        .await;
}

async fn while_nothing_syncs(
    scene: &Scene,
    act: impl AsyncFnOnce(),
    then: impl FnOnce(&mut Value),
) {
    scene
        .edit(|settings| settings["customer"]["enableSyncing"] = json!(false))
        .await;
    act().await;
    scene
        .edit(|settings| {
            settings["customer"]["enableSyncing"] = json!(true);
            then(settings);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_shows_nothing_any_more_sells_nothing_out_before_a_person_has_said_so() {
    let scene = Scene::set_in_step(ShopPlan {
        products: 12,
        ..ShopPlan::default()
    })
    .await;
    let skus: Vec<String> = scene.erp.levels().await.into_keys().collect();
    let emptied = async || {
        for sku in &skus[1..] {
            count(&scene.erp, sku, "main", 0).await;
        }
        count(&scene.erp, &skus[0], "main", 25).await;
    };
    while_nothing_syncs(&scene, emptied, |_| {}).await;
    let meanwhile = async || {
        // What does not sell out goes on.
        until_all_show(&scene, &skus[0], [25; 3]).await;
        for sku in &skus[1..] {
            assert_eq!(scene.web1.available(sku).await, 10, "{sku}");
        }
    };
    asked_then_accepted(&scene, "sold out", meanwhile).await;
    for sku in &skus[1..] {
        until_all_show(&scene, sku, [0; 3]).await;
    }
    scene.nobody_is_asked().await;
}

/// The ERP, web shop 1 and web shop 2.
async fn until_all_show(scene: &Scene, sku: &str, wanted: [i64; 3]) {
    for (shop, units) in scene.shops().into_iter().zip(wanted) {
        let what = format!("{} shows {units} of {sku}", shop.name);
        eventually(&what, seconds(30), async || {
            match shop.available(sku).await {
                there if there == units => Ok(()),
                there => Err(there.to_string()),
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_owner_s_numbers_count_once_a_person_has_accepted_and_orders_go_on_meanwhile() {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    let counted = async || count(&scene.web1, &sku, "main", 33).await;
    while_nothing_syncs(&scene, counted, |settings| {
        settings["policies"]["stock"]["mode"] = json!({ "owned": { "owner": 2 } });
    })
    .await;
    let meanwhile = async || {
        scene.web2.buy(&sku, 2, true).await;
        until_all_show(&scene, &sku, [8, 33, 8]).await;
    };
    asked_then_accepted(&scene, "Web shop 1", meanwhile).await;
    // The two that were sold meanwhile were not known to it.
    until_all_show(&scene, &sku, [33, 33, 33]).await;
    let told = scene
        .coordinator
        .people
        .types(&["explain", &scene.id(), &sku])
        .await;
    assert!(
        told.out
            .contains("Web shop 1 counts the stock from here on"),
        "{told:?}"
    );
}
