//! Several stocks: an ERP with two, a shop that sells from both, and one that sells from the second alone.

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
async fn until_all_show(scene: &Scene, sku: &str, wanted: [i64; 4]) {
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
    until_all_show(&scene, &sku, [10, 5, 15, 5]).await;
    scene.web2.buy(&sku, 2, true).await;
    until_all_show(&scene, &sku, [10, 3, 13, 3]).await;
    // A move between the two is nothing to the sum.
    count(&scene.erp, &sku, "main", 1).await;
    count(&scene.erp, &sku, "outlet", 12).await;
    until_all_show(&scene, &sku, [1, 12, 13, 12]).await;
    let order = scene.web1.check_out(json!({
        "lines": [{ "sku": sku, "quantity": 4 }],
        "buyer": { "name": "Aino Virta", "email": "aino@example.com" },
        "pay": true,
    }));
    let order = order.await;
    until_all_show(&scene, &sku, [1, 8, 9, 8]).await;
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
