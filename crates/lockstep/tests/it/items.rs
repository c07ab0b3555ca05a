//! What is sold is itself whatever it is called (A1), between real shops.

use crate::world::{Scene, ShopClient, ShopPlan, eventually, seconds};
use serde_json::{Value, json};

async fn product(shop: &ShopClient, sku: &str) -> Value {
    let found = shop.product_with(sku).await;
    found.unwrap_or_else(|| panic!("{} has {sku}", shop.name))
}

fn variant<'p>(product: &'p Value, sku: &str) -> &'p Value {
    let mut variants = product["variants"].as_array().into_iter().flatten();
    let variant = variants.find(|variant| variant["sku"] == sku);
    variant.unwrap_or_else(|| panic!("{sku} in {product}"))
}

async fn call_otherwise(shop: &ShopClient, from: &str, to: &str) {
    let product = product(shop, from).await;
    let path = format!(
        "/api/v1/products/{}",
        product["id"].as_str().expect("an id")
    );
    let variants = json!([{ "id": variant(&product, from)["id"], "sku": to }]);
    shop.patch(&path, json!({ "variants": variants })).await;
}

/// The product and the variant that bear a SKU.
async fn ids(shop: &ShopClient, sku: &str) -> (Value, Value) {
    let product = product(shop, sku).await;
    let variant = variant(&product, sku)["id"].clone();
    (product["id"].clone(), variant)
}

async fn until_called(scene: &Scene, shop: &ShopClient, sku: &str, is: &(Value, Value)) {
    let what = format!("{} calls it {sku}", shop.name);
    eventually(&what, seconds(60), async || {
        let Some(product) = shop.product_with(sku).await else {
            return Err("nothing is called so".into());
        };
        let now = (product["id"].clone(), variant(&product, sku)["id"].clone());
        if now == *is {
            Ok(())
        } else {
            let path = format!("/api/v1/customers/{}/asides", scene.customer);
            let told = scene.coordinator.people.get(&path).await;
            Err(format!("{now:?}, not {is:?}; {told}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_a_sku_that_is_renamed_keeps_its_variant_its_stock_and_its_open_orders() {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let old = scene.erp.levels().await.into_keys().next().expect("a SKU");
    let new = format!("{old}-NEW");
    let before = [ids(&scene.web1, &old).await, ids(&scene.web2, &old).await];
    let order = scene.web1.buy(&old, 2, true).await;
    let (copy, _) = eventually("the order crosses", seconds(60), async || {
        let copy = scene.erp.copy_of(&order).await;
        copy.ok_or_else(|| "there is no copy".to_owned())
    })
    .await;
    scene.until_in_step().await;
    let left = scene.erp.available(&old).await;
    call_otherwise(&scene.erp, &old, &new).await;
    for (shop, is) in scene.web_shops().iter().zip(&before) {
        until_called(&scene, shop, &new, is).await;
        assert!(shop.product_with(&old).await.is_none(), "{}", shop.name);
    }
    // Nothing of its stock is lost, and what is sold under the new name is the same stock.
    let sold = scene.web2.buy(&new, 1, true).await;
    eventually(
        "both orders are in the ERP, and all show what is left",
        seconds(60),
        async || {
            if scene.erp.copy_of(&sold).await.is_none() {
                return Err(format!("{} has no copy", sold.number));
            }
            for shop in scene.shops() {
                let shows = shop.available(&new).await;
                if shows != left - 1 {
                    return Err(format!("{} shows {shows}, not {}", shop.name, left - 1));
                }
            }
            Ok(())
        },
    )
    .await;
    let path = format!(
        "/api/v1/orders/{}/ship",
        copy["id"].as_str().expect("an id")
    );
    scene.erp.post(&path, json!({ "tracking": "JJFI1" })).await;
    eventually(
        "what was bought under the old name is shipped",
        seconds(60),
        async || {
            let path = format!("/api/v1/orders/{}", order.id);
            match scene.web1.get(&path).await {
                shipped if shipped["fulfilment"] == "shipped" => Ok(()),
                open => Err(open["fulfilment"].to_string()),
            }
        },
    )
    .await;
    scene.nobody_is_asked().await;
    let people = &scene.coordinator.people;
    let page = people
        .page(&format!("/customers/{}/records?q={new}", scene.id()))
        .await;
    assert!(page.contains(&new), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_two_products_that_swap_their_skus_are_what_they_were_in_all_shops() {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let products = scene.erp.products().await;
    let first = |product: &Value| product["variants"][0]["sku"].as_str().map(str::to_owned);
    let skus: Vec<String> = products.iter().take(2).filter_map(first).collect();
    let [one, other] = skus.as_slice() else {
        panic!("two products: {skus:?}");
    };
    let mut before = Vec::new();
    for shop in scene.web_shops() {
        before.push((ids(&shop, one).await, ids(&shop, other).await));
    }
    call_otherwise(&scene.erp, one, "ON-ITS-WAY").await;
    call_otherwise(&scene.erp, other, one).await;
    call_otherwise(&scene.erp, "ON-ITS-WAY", other).await;
    for (shop, (was_one, was_other)) in scene.web_shops().iter().zip(&before) {
        until_called(&scene, shop, one, was_other).await;
        until_called(&scene, shop, other, was_one).await;
    }
    scene.until_in_step().await;
    scene.nobody_is_asked().await;
}
