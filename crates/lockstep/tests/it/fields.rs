//! Each field of a customer and each section of identifiers: changing it changes a run, as seen in the shops.

use crate::world::{Scene, ShopClient, ShopPlan, eventually, holds_for, seconds};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const PICTURE: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 8 8\"><circle cx=\"4\" cy=\"4\" r=\"3\"/></svg>";

async fn scene() -> Scene {
    Scene::set_in_step(ShopPlan {
        products: 3,
        ..ShopPlan::default()
    })
    .await
}

async fn a_sku(scene: &Scene) -> String {
    scene.erp.levels().await.into_keys().next().expect("a SKU")
}

fn field(name: &str, value: Value) -> impl FnOnce(&mut Value) {
    let name = name.to_owned();
    move |settings: &mut Value| settings["customer"][name] = value
}

/// In one shop two of ours bear each other's identifier.
fn swapped(section: &str, shop: u64) -> impl FnOnce(&mut Value) {
    let section = section.to_owned();
    move |settings: &mut Value| {
        let rows = settings[&section].as_array_mut().expect("identifiers");
        let mut of_shop: Vec<&mut Value> = rows
            .iter_mut()
            .filter(|row| row["serviceId"] == shop)
            .collect();
        let first = of_shop[0]["identifier"].clone();
        let second = of_shop[1]["identifier"].clone();
        of_shop[0]["identifier"] = second;
        of_shop[1]["identifier"] = first;
    }
}

async fn until<T>(what: &str, look: impl AsyncFnMut() -> Result<T, String>) -> T {
    eventually(what, SOON, look).await.0
}

async fn until_available(shop: &ShopClient, sku: &str, units: i64) {
    until(
        &format!("{sku} is at {units} in {}", shop.name),
        async || match shop.available(sku).await {
            there if there == units => Ok(()),
            there => Err(there.to_string()),
        },
    )
    .await;
}

async fn count(erp: &ShopClient, sku: &str, units: i64) {
    erp.put(&format!("/api/v1/stock/{sku}"), json!({ "on_hand": units }))
        .await;
}

/// A paid order of one unit in web shop 1, and its copy in the ERP.
async fn copy_of_an_order(scene: &Scene, more: Value) -> Value {
    let sku = a_sku(scene).await;
    let mut basket = json!({
        "lines": [{ "sku": sku, "quantity": 1 }],
        "buyer": { "name": "Aino Virta", "email": "aino@example.com" },
        "pay": true,
    });
    for (key, value) in more.as_object().expect("fields of a basket") {
        basket[key] = value.clone();
    }
    let order = scene.web1.check_out(basket).await;
    until("the order is in the ERP", async || {
        scene.erp.copy_of(&order).await.ok_or("not yet".to_owned())
    })
    .await
}

async fn title_in(shop: &ShopClient, sku: &str) -> String {
    let product = shop.product_with(sku).await.expect("the product");
    product["title"].as_str().unwrap_or_default().to_owned()
}

async fn rename(erp: &ShopClient, sku: &str, title: &str) {
    let product = erp.product_with(sku).await.expect("the product");
    let id = product["id"].as_str().expect("an id");
    erp.patch(&format!("/api/v1/products/{id}"), json!({ "title": title }))
        .await;
}

async fn until_title(shop: &ShopClient, sku: &str, title: &str) {
    until(
        &format!("{sku} is called {title} in {}", shop.name),
        async || match title_in(shop, sku).await {
            there if there == title => Ok(()),
            there => Err(there),
        },
    )
    .await;
}

async fn category_named(shop: &ShopClient, name: &str) -> Option<Value> {
    shop.all("categories")
        .await
        .into_iter()
        .find(|category| category["name"] == name)
}

/// No run starts; when it may, what changed meanwhile is done.
async fn no_run_starts_while(name: &str, off: Value, on: Value) {
    let scene = scene().await;
    let sku = a_sku(&scene).await;
    scene.edit(field(name, off)).await;
    count(&scene.erp, &sku, 33).await;
    let refused = scene.coordinator.people.types(&["sync", &scene.id()]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("no run"), "{refused:?}");
    holds_for("no run starts", seconds(1), async || {
        match scene.web1.available(&sku).await {
            10 => Ok(()),
            there => Err(there.to_string()),
        }
    })
    .await;
    scene.edit(field(name, on)).await;
    until_available(&scene.web1, &sku, 33).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enable_syncing() {
    no_run_starts_while("enableSyncing", json!(false), json!(true)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locked() {
    no_run_starts_while("locked", json!(true), json!(false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sync_products() {
    let scene = scene().await;
    let sku = a_sku(&scene).await;
    let old = title_in(&scene.web1, &sku).await;
    scene.edit(field("syncProducts", json!(false))).await;
    rename(&scene.erp, &sku, "Another name").await;
    scene.sync().await;
    assert_eq!(title_in(&scene.web1, &sku).await, old);
    scene.edit(field("syncProducts", json!(true))).await;
    until_title(&scene.web1, &sku, "Another name").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sync_categories() {
    let scene = scene().await;
    scene.edit(field("syncCategories", json!(false))).await;
    scene
        .erp
        .post("/api/v1/categories", json!({ "name": "Garden" }))
        .await;
    scene.sync().await;
    assert_eq!(category_named(&scene.web1, "Garden").await, None);
    scene.edit(field("syncCategories", json!(true))).await;
    until("the category is in web shop 1", async || {
        category_named(&scene.web1, "Garden")
            .await
            .ok_or("not yet".to_owned())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sync_orders() {
    let scene = scene().await;
    let sku = a_sku(&scene).await;
    scene.edit(field("syncOrders", json!(false))).await;
    let order = scene.web2.buy(&sku, 2, true).await;
    // The ledger follows from orders, also when they do not cross.
    until_available(&scene.web1, &sku, 8).await;
    scene.sync().await;
    assert_eq!(scene.erp.copy_of(&order).await, None);
    scene.edit(field("syncOrders", json!(true))).await;
    until("the order crosses", async || {
        scene
            .erp
            .copy_of(&order)
            .await
            .map(|_| ())
            .ok_or("not yet".to_owned())
    })
    .await;
    for shop in scene.shops() {
        until_available(&shop, &sku, 8).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sync_pictures() {
    let scene = scene().await;
    let sku = a_sku(&scene).await;
    let pictures = async |shop: &ShopClient| {
        let product = shop.product_with(&sku).await.expect("the product");
        product["pictures"].as_array().map_or(0, Vec::len)
    };
    let before = pictures(&scene.web1).await;
    scene.edit(field("syncPictures", json!(false))).await;
    let product = scene.erp.product_with(&sku).await.expect("the product");
    scene
        .erp
        .add_picture(product["id"].as_str().expect("an id"), PICTURE)
        .await;
    scene.sync().await;
    assert_eq!(pictures(&scene.web1).await, before);
    scene.edit(field("syncPictures", json!(true))).await;
    until("the picture is in web shop 1", async || {
        match pictures(&scene.web1).await {
            there if there == before + 1 => Ok(()),
            there => Err(there.to_string()),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a3_a_shop_that_re_encodes_gets_each_picture_once() {
    let scene = Scene::set_in_step(ShopPlan {
        re_encodes: true,
        ..ShopPlan::default()
    })
    .await;
    let sku = a_sku(&scene).await;
    let pictures = async |shop: &ShopClient| {
        let product = shop.product_with(&sku).await.expect("the product");
        product["pictures"].as_array().cloned().unwrap_or_default()
    };
    let product = scene.erp.product_with(&sku).await.expect("the product");
    let id = product["id"].as_str().expect("an id");
    scene.erp.add_picture(id, PICTURE).await;
    let wanted = pictures(&scene.erp).await;
    until("the pictures are in web shop 2", async || {
        let there = pictures(&scene.web2).await.len();
        (there == wanted.len())
            .then_some(())
            .ok_or(there.to_string())
    })
    .await;
    let once = pictures(&scene.web2).await;
    let bytes = |pictures: &[Value]| -> Vec<Value> {
        pictures
            .iter()
            .map(|picture| picture["sha256"].clone())
            .collect()
    };
    assert_ne!(bytes(&once), bytes(&wanted), "it keeps other bytes");
    for _ in 0..10 {
        scene.sync().await;
    }
    assert_eq!(pictures(&scene.web2).await, once, "after ten runs");
    // What the owner takes away goes there too, and is known by its id.
    let last = wanted.last().expect("a picture")["id"].clone();
    let path = format!(
        "/api/v1/products/{id}/pictures/{}",
        last.as_str().expect("an id")
    );
    scene.erp.delete(&path).await;
    until("it is gone in web shop 2", async || {
        let there = pictures(&scene.web2).await.len();
        (there == wanted.len() - 1)
            .then_some(())
            .ok_or(there.to_string())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a3_pictures_that_are_put_in_another_order_follow() {
    let scene = Scene::set_in_step(ShopPlan {
        re_encodes: true,
        ..ShopPlan::default()
    })
    .await;
    let sku = a_sku(&scene).await;
    let pictures = async |shop: &ShopClient, field: &str| -> Vec<Value> {
        let product = shop.product_with(&sku).await.expect("the product");
        let pictures = product["pictures"].as_array().cloned().unwrap_or_default();
        pictures
            .iter()
            .map(|picture| picture[field].clone())
            .collect()
    };
    let product = scene.erp.product_with(&sku).await.expect("the product");
    let id = product["id"].as_str().expect("an id");
    for picture in [PICTURE, &PICTURE.replace("circle", "rect")] {
        scene.erp.add_picture(id, picture).await;
    }
    let count = pictures(&scene.erp, "id").await.len();
    until("all pictures are there", async || {
        for shop in scene.web_shops() {
            let there = pictures(&shop, "id").await.len();
            if there != count {
                return Err(format!("{there} in {}", shop.name));
            }
        }
        Ok(())
    })
    .await;
    let before = pictures(&scene.web2, "id").await;
    let last = pictures(&scene.erp, "id").await.pop().expect("a picture");
    let path = format!(
        "/api/v1/products/{id}/pictures/{}",
        last.as_str().expect("an id")
    );
    scene.erp.patch(&path, json!({ "position": 0 })).await;
    let mut wanted = before.clone();
    wanted.rotate_right(1);
    until("the last is the first", async || {
        let (erp, web1) = (
            pictures(&scene.erp, "sha256").await,
            pictures(&scene.web1, "sha256").await,
        );
        let web2 = pictures(&scene.web2, "id").await;
        if erp == web1 && web2 == wanted {
            Ok(())
        } else {
            Err(format!("{erp:?}, {web1:?}, {web2:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn branch_id() {
    let scene = scene().await;
    assert_eq!(copy_of_an_order(&scene, json!({})).await["branch"], "web");
    scene.edit(field("branchId", json!(2))).await;
    assert_eq!(
        copy_of_an_order(&scene, json!({})).await["branch"],
        "helsinki"
    );
}

async fn stocks_explained(scene: &Scene, sku: &str) -> Vec<(String, f64)> {
    let path = format!("/api/v1/customers/{}/explain/{sku}", scene.customer);
    let told = scene.coordinator.people.get(&path).await;
    let stocks = told["stocks"].as_array().cloned().unwrap_or_default();
    let read = |stock: &Value| {
        let pool = stock["pool"].as_str().and_then(|text| text.parse().ok());
        (
            stock["stock_name"].as_str().unwrap_or_default().to_owned(),
            pool.unwrap_or(f64::NAN),
        )
    };
    stocks.iter().map(read).collect()
}

async fn until_in_stock(scene: &Scene, sku: &str, name: &str, units: f64) {
    until(&format!("{units} of {sku} are in {name}"), async || {
        let stocks = stocks_explained(scene, sku).await;
        if stocks.contains(&(name.to_owned(), units)) {
            Ok(())
        } else {
            Err(format!("{stocks:?}"))
        }
    })
    .await;
}

fn second_stock(settings: &mut Value) {
    let stock = json!({ "id": 2, "name": "Second warehouse" });
    settings["stocks"]
        .as_array_mut()
        .expect("stocks")
        .push(stock);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_id() {
    let scene = scene().await;
    let sku = a_sku(&scene).await;
    until_in_stock(&scene, &sku, "Main warehouse", 10.0).await;
    // No identifier says otherwise: the shops' levels are those of the customer's stock.
    scene
        .edit(|settings| {
            second_stock(settings);
            settings["stockServiceIdentifiers"] = json!([]);
            settings["customer"]["stockId"] = json!(2);
        })
        .await;
    scene.sync().await;
    until_in_stock(&scene, &sku, "Second warehouse", 10.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_service_identifiers() {
    let scene = scene().await;
    let sku = a_sku(&scene).await;
    until_in_stock(&scene, &sku, "Main warehouse", 10.0).await;
    scene
        .edit(|settings| {
            second_stock(settings);
            for row in settings["stockServiceIdentifiers"]
                .as_array_mut()
                .expect("rows")
            {
                row["stockId"] = json!(2);
            }
        })
        .await;
    scene.sync().await;
    until_in_stock(&scene, &sku, "Second warehouse", 10.0).await;
}

/// Categories of a shop as (name, the parent's name), in order.
async fn tree(shop: &ShopClient) -> Vec<(String, Option<String>)> {
    let all = shop.all("categories").await;
    let name_of = |id: &Value| {
        let found = all.iter().find(|category| category["id"] == *id)?;
        found["name"].as_str().map(str::to_owned)
    };
    let row = |category: &Value| {
        let name = category["name"].as_str().unwrap_or_default().to_owned();
        (name, name_of(&category["parent_id"]))
    };
    let mut rows: Vec<_> = all.iter().map(row).collect();
    rows.sort();
    rows
}

/// The ERP's tree, as it stands under a root of this name.
async fn tree_under(erp: &ShopClient, root: &str) -> Vec<(String, Option<String>)> {
    let rows = tree(erp).await.into_iter();
    let mut rows: Vec<_> = rows
        .map(|(name, parent)| (name, parent.or(Some(root.to_owned()))))
        .collect();
    rows.push((root.to_owned(), None));
    rows.sort();
    rows
}

async fn until_tree(shop: &ShopClient, wanted: Vec<(String, Option<String>)>) {
    until(
        &format!("the categories of {} are in their places", shop.name),
        async || match tree(shop).await {
            there if there == wanted => Ok(()),
            there => Err(format!("{there:?} instead of {wanted:?}")),
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_root_category() {
    let scene = scene().await;
    let root = "Kahvila Oy";
    let erp = tree(&scene.erp).await;
    assert!(!erp.is_empty(), "the ERP has categories");
    // In web shop 1 it is made and the answer is lost.
    scene
        .web1
        .set_faults(json!([{
            "kind": "FailAfterWrite", "method": "POST", "path_prefix": "/api/v1/categories", "times": 1,
        }]))
        .await;
    scene.edit(field("createRootCategory", json!(true))).await;
    let under = tree_under(&scene.erp, root).await;
    for shop in scene.web_shops() {
        until_tree(&shop, under.clone()).await;
    }
    assert_eq!(tree(&scene.erp).await, erp, "the owner's tree is its own");
    // What is new hangs under it too.
    scene
        .erp
        .post("/api/v1/categories", json!({ "name": "Garden" }))
        .await;
    let under = tree_under(&scene.erp, root).await;
    for shop in scene.web_shops() {
        until_tree(&shop, under.clone()).await;
    }
    scene.until_at_rest().await;
    scene.sync().await;
    scene.edit(field("createRootCategory", json!(false))).await;
    let mut back = tree(&scene.erp).await;
    back.push((root.to_owned(), None));
    back.sort();
    for shop in scene.web_shops() {
        until_tree(&shop, back.clone()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_category_is_found_again_when_all_that_was_known_of_it_is_lost() {
    let scene = scene().await;
    scene.edit(field("createRootCategory", json!(true))).await;
    let under = tree_under(&scene.erp, "Kahvila Oy").await;
    for shop in scene.web_shops() {
        until_tree(&shop, under.clone()).await;
    }
    scene.until_at_rest().await;
    scene.edit(field("enableSyncing", json!(false))).await;
    // The same shops, and a journal that knows of nothing.
    let shops = [scene.erp.client(), scene.web1.client(), scene.web2.client()];
    let mut settings = crate::world::settings::of_practice_shops(0, "Kahvila Oy", true, &shops);
    settings["customer"]["createRootCategory"] = json!(true);
    for shop in 1..=2 {
        settings["customerHasServices"][shop]["firstMeeting"] = json!("go");
    }
    let people = &scene.coordinator.people;
    let customer = people.create(&settings).await;
    until("the new customer's first runs are over", async || {
        let runs = people.runs(customer).await;
        let is_over = |lane: &str| {
            runs.iter()
                .any(|run| run["lane"] == lane && !run["finished_at"].is_null())
        };
        if is_over("catalogue") && runs.iter().all(|run| !run["finished_at"].is_null()) {
            Ok(())
        } else {
            Err(format!("{runs:?}"))
        }
    })
    .await;
    for shop in scene.web_shops() {
        assert_eq!(tree(&shop).await, under, "{}", shop.name);
    }
    // It is linked: what is new goes under it.
    scene
        .erp
        .post("/api/v1/categories", json!({ "name": "Garden" }))
        .await;
    let under = tree_under(&scene.erp, "Kahvila Oy").await;
    for shop in scene.web_shops() {
        until_tree(&shop, under.clone()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn root_category_id() {
    let scene = scene().await;
    let root = scene
        .web1
        .post("/api/v1/categories", json!({ "name": "From the ERP" }))
        .await;
    let id = root["id"].as_str().expect("an id").to_owned();
    scene
        .edit(|settings| {
            settings["customer"]["rootCategoryId"] = json!(id);
            // In web shop 2 there is no such category.
            settings["services"][2]["active"] = json!(false);
        })
        .await;
    scene
        .erp
        .post("/api/v1/categories", json!({ "name": "Garden" }))
        .await;
    until(
        "the new category hangs under that one",
        async || match category_named(&scene.web1, "Garden").await {
            Some(made) if made["parent_id"] == id.as_str() => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .await;
}

/// Whether the variants of a product of so many may be sold below zero in web shop 1.
async fn backorder(scene: &Scene, several: bool) -> Vec<bool> {
    let products = scene.web1.products().await;
    let found = products.iter().find(|product| {
        product["variants"]
            .as_array()
            .is_some_and(|variants| (variants.len() > 1) == several)
    });
    let product = found.expect("such a product");
    let variants = product["variants"].as_array().expect("variants");
    variants
        .iter()
        .map(|variant| variant["backorder"] == true)
        .collect()
}

async fn back_order_of(name: &str, several: bool) {
    let scene = Scene::set_in_step(ShopPlan {
        products: 12,
        ..ShopPlan::default()
    })
    .await;
    let others = backorder(&scene, !several).await;
    scene.edit(field(name, json!(true))).await;
    until("they may be sold below zero", async || {
        let flags = backorder(&scene, several).await;
        if flags.iter().all(|flag| *flag) {
            Ok(())
        } else {
            Err(format!("{flags:?}"))
        }
    })
    .await;
    assert_eq!(backorder(&scene, !several).await, others);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn product_back_order_enabled() {
    back_order_of("productBackOrderEnabled", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variation_back_order_enabled() {
    back_order_of("variationBackOrderEnabled", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn discount_product_id() {
    let scene = scene().await;
    let mut skus = scene.erp.levels().await.into_keys();
    let (sold, discount) = (skus.next().expect("a SKU"), skus.next().expect("another"));
    let order = async |key: &str| {
        let made = scene
            .web1
            .post("/api/v1/orders", json!({
                "external_key": key, "payment": "paid", "payment_method": "card",
                "lines": [{ "sku": sold, "quantity": 1 }],
                "charges": [{
                    "kind": "discount", "title": "Summer", "net": "-2.00", "tax": "0.00", "gross": "-2.00",
                    "tax_rate": "0",
                }],
                "buyer": { "name": "Aino Virta", "email": "aino@example.com" },
            }))
            .await;
        let id = made["id"].as_str().expect("an id").to_owned();
        until("the discounted order is in the ERP", async || {
            let copies = scene.erp.orders().await;
            let found = copies.into_iter().find(|copy| {
                copy["external_key"]
                    .as_str()
                    .is_some_and(|key| key.ends_with(&format!(":{id}")))
            });
            found.ok_or("not yet".to_owned())
        })
        .await
    };
    let before = order("till-1").await;
    assert_eq!(before["charges"][0]["kind"], "discount", "{before}");
    scene
        .edit(field("discountProductId", json!(discount)))
        .await;
    let after = order("till-2").await;
    assert_eq!(after["charges"], json!([]), "{after}");
    assert_eq!(after["lines"][1]["sku"], discount.as_str(), "{after}");
    assert_eq!(after["lines"][1]["gross"], "-2.00", "{after}");
    assert_eq!(before["total"], after["total"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ignore_product_status_for_stock_update() {
    let scene = scene().await;
    let sku = a_sku(&scene).await;
    let product = scene.erp.product_with(&sku).await.expect("the product");
    let id = product["id"].as_str().expect("an id");
    scene
        .erp
        .patch(
            &format!("/api/v1/products/{id}"),
            json!({ "status": "draft" }),
        )
        .await;
    until("it is a draft in web shop 1", async || {
        let there = scene.web1.product_with(&sku).await.expect("the product");
        if there["status"] == "draft" {
            Ok(())
        } else {
            Err(there["status"].to_string())
        }
    })
    .await;
    scene.until_at_rest().await;
    count(&scene.erp, &sku, 33).await;
    scene.sync().await;
    assert_eq!(
        scene.web1.available(&sku).await,
        10,
        "a draft's stock is not written"
    );
    scene
        .edit(field("ignoreProductStatusForStockUpdate", json!(true)))
        .await;
    until_available(&scene.web1, &sku, 33).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn send_mcf_confirmation_email() {
    let scene = scene().await;
    let quiet = copy_of_an_order(&scene, json!({})).await;
    assert_eq!(quiet["confirmation_mail"]["sent"], false);
    scene
        .edit(field("sendMcfConfirmationEmail", json!(true)))
        .await;
    let mailed = copy_of_an_order(&scene, json!({})).await;
    assert_eq!(mailed["confirmation_mail"]["sent"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_id() {
    let scene = scene().await;
    let people = &scene.coordinator.people;
    let _second = scene.hire("worker-2", None);
    let second = until("the second worker is known", async || {
        people
            .worker_named("worker-2")
            .await
            .ok_or("not yet".to_owned())
    })
    .await;
    scene.edit(field("workerId", second["id"].clone())).await;
    until("it is pinned to the second worker", async || {
        let view = people
            .get(&format!("/api/v1/customers/{}", scene.customer))
            .await;
        let owner = &view["row"]["owner"]["worker_name"];
        if *owner == "worker-2" {
            Ok(())
        } else {
            Err(owner.to_string())
        }
    })
    .await;
    copy_of_an_order(&scene, json!({})).await;
    // It reports what it did a moment after it did it.
    until("the newest run is the second worker's", async || {
        let runs = people.runs(scene.customer).await;
        if runs[0]["worker_id"] == second["id"] {
            Ok(())
        } else {
            Err(runs[0].to_string())
        }
    })
    .await;
}

/// What names the customer changes no shop, but a run names the settings that it went by.
async fn the_next_run_goes_by(name: &str, value: Value) -> (Scene, Value) {
    let scene = scene().await;
    let revision = scene.edit(field(name, value.clone())).await;
    scene.sync().await;
    let people = &scene.coordinator.people;
    let run = until("a run of the new revision", async || {
        let runs = people.runs(scene.customer).await;
        let found = runs
            .into_iter()
            .find(|run| run["revision"].as_u64() >= Some(revision));
        found.ok_or("not yet".to_owned())
    })
    .await;
    let view = people
        .get(&format!("/api/v1/customers/{}", scene.customer))
        .await;
    assert_eq!(view["settings"]["customer"][name], value);
    (scene, run)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn name() {
    let (scene, run) = the_next_run_goes_by("name", json!("Kahvila Uusi Oy")).await;
    assert_eq!(run["customer_name"], "Kahvila Uusi Oy");
    let listed = scene.coordinator.people.does(&["customers", "list"]).await;
    assert!(listed.out.contains("Kahvila Uusi Oy"), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn email() {
    the_next_run_goes_by("email", json!("new@kahvila.example")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn username() {
    the_next_run_goes_by("username", json!("uusi")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registered_at() {
    the_next_run_goes_by("registeredAt", json!("2026-01-02T03:04:05Z")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn branch_service_identifiers() {
    let scene = scene().await;
    scene.edit(swapped("branchServiceIdentifiers", 1)).await;
    assert_eq!(
        copy_of_an_order(&scene, json!({})).await["branch"],
        "helsinki"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shipping_method_service_identifiers() {
    let scene = scene().await;
    let by_post = json!({ "shipping_method": "post" });
    assert_eq!(
        copy_of_an_order(&scene, by_post.clone()).await["shipping_method"],
        "post"
    );
    scene
        .edit(swapped("shippingMethodServiceIdentifiers", 1))
        .await;
    assert_eq!(
        copy_of_an_order(&scene, by_post).await["shipping_method"],
        "courier"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shipping_method_with_a_product_of_its_own() {
    let scene = scene().await;
    let product = scene
        .erp
        .levels()
        .await
        .into_keys()
        .nth(1)
        .expect("a second SKU");
    scene
        .edit(|settings| settings["shippingMethods"][0]["productId"] = json!(product))
        .await;
    let copy = copy_of_an_order(&scene, json!({ "shipping_method": "post" })).await;
    assert_eq!(copy["charges"], json!([]), "{copy}");
    assert_eq!(copy["lines"][1]["sku"], product.as_str(), "{copy}");
    assert_eq!(copy["lines"][1]["gross"], "4.90", "{copy}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payment_method_service_identifiers() {
    let scene = scene().await;
    let by_card = json!({ "payment_method": "card" });
    assert_eq!(
        copy_of_an_order(&scene, by_card.clone()).await["payment_method"],
        "card"
    );
    scene
        .edit(swapped("paymentMethodServiceIdentifiers", 1))
        .await;
    assert_eq!(
        copy_of_an_order(&scene, by_card).await["payment_method"],
        "invoice"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payment_term_service_identifiers() {
    let scene = scene().await;
    scene
        .edit(|settings| {
            settings["policies"]["orders"]["gates"] =
                json!([{ "paymentMethod": "invoice", "states": ["accepted"] }]);
        })
        .await;
    let on_account = json!({ "payment_method": "invoice", "pay": false });
    let soon = copy_of_an_order(&scene, on_account.clone()).await;
    assert_eq!(soon["payment_term"], "net14", "{soon}");
    scene
        .edit(swapped("paymentTermServiceIdentifiers", 1))
        .await;
    let later = copy_of_an_order(&scene, on_account).await;
    assert_eq!(later["payment_term"], "net30", "{later}");
    assert!(
        later["due_at"].as_str() > soon["due_at"].as_str(),
        "{} {}",
        soon["due_at"],
        later["due_at"]
    );
}

async fn versions_of(shop: &ShopClient, sku: &str) -> Value {
    let product = shop.product_with(sku).await.expect("the product");
    product["shop_versions"].clone()
}

async fn until_versions(shop: &ShopClient, sku: &str, versions: &[&str]) {
    let what = format!("{sku} is shown in {versions:?} of {}", shop.name);
    until(&what, async || match versions_of(shop, sku).await {
        there if there == json!(versions) => Ok(()),
        there => Err(there.to_string()),
    })
    .await;
}

async fn show_in(erp: &ShopClient, sku: &str, versions: &[&str]) {
    let product = erp.product_with(sku).await.expect("the product");
    let id = product["id"].as_str().expect("an id");
    let change = json!({ "shop_versions": versions });
    erp.patch(&format!("/api/v1/products/{id}"), change).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shop_version_service_identifiers() {
    let scene = scene().await;
    let sku = a_sku(&scene).await;
    show_in(&scene.erp, &sku, &["fi"]).await;
    until_versions(&scene.web1, &sku, &["fi"]).await;
    until_versions(&scene.web2, &sku, &["fi"]).await;
    scene
        .edit(swapped("shopVersionServiceIdentifiers", 2))
        .await;
    until_versions(&scene.web1, &sku, &["en"]).await;
    assert_eq!(versions_of(&scene.web2, &sku).await, json!(["fi"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_version_that_is_not_in_use_is_left_alone() {
    let scene = scene().await;
    let sku = a_sku(&scene).await;
    scene
        .edit(|settings| {
            settings["activeShopVersions"] = json!([{ "id": 1, "shopVersionId": 1 }]);
        })
        .await;
    show_in(&scene.erp, &sku, &["fi"]).await;
    scene.sync().await;
    assert_eq!(versions_of(&scene.web1, &sku).await, json!([]));
    scene
        .edit(|settings| {
            settings["activeShopVersions"] =
                json!([{ "id": 1, "shopVersionId": 1 }, { "id": 2, "shopVersionId": 2 }]);
        })
        .await;
    until_versions(&scene.web1, &sku, &["fi"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shelf_service_identifiers() {
    let scene = scene().await;
    let sku = a_sku(&scene).await;
    let shelf = async || scene.web1.get(&format!("/api/v1/stock/{sku}")).await["location"].clone();
    count(&scene.erp, &sku, 20).await;
    until_available(&scene.web1, &sku, 20).await;
    assert_eq!(shelf().await, "A-1");
    scene
        .edit(|settings| {
            let rows = settings["shelfServiceIdentifiers"]
                .as_array_mut()
                .expect("rows");
            let of_web_1 = rows.iter_mut().find(|row| row["serviceId"] == 2);
            of_web_1.expect("a row")["identifier"] = json!("B-1");
        })
        .await;
    count(&scene.erp, &sku, 21).await;
    until_available(&scene.web1, &sku, 21).await;
    assert_eq!(shelf().await, "B-1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_assortment_of_a_shop() {
    let scene = scene().await;
    scene
        .edit(|settings| settings["customerHasServices"][2]["assortment"] = json!("linked"))
        .await;
    scene
        .erp
        .post("/api/v1/products", json!({
            "title": "New", "status": "active", "variants": [{ "sku": "NEW-1", "price": "5.00" }],
        }))
        .await;
    until_there(&scene.web1, "NEW-1").await;
    scene.sync().await;
    assert_eq!(scene.web2.product_with("NEW-1").await, None);
}

async fn until_there(shop: &ShopClient, sku: &str) {
    until(&format!("{sku} is in {}", shop.name), async || {
        let product = shop.product_with(sku).await;
        product.map(|_| ()).ok_or("not yet".to_owned())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_picked_categories_of_a_shop_and_what_is_below_them() {
    let scene = scene().await;
    let category = async |name: &str, parent: Value| {
        let category = json!({ "name": name, "parent_id": parent });
        scene.erp.post("/api/v1/categories", category).await["id"].clone()
    };
    let drinks = category("Drinks", Value::Null).await;
    let coffee = category("Coffee drinks", drinks.clone()).await;
    let tools = category("Tools", Value::Null).await;
    scene
        .edit(|settings| {
            let shop = &mut settings["customerHasServices"][2];
            shop["assortment"] = json!("picked");
            shop["picks"] = json!({ "categories": [drinks] });
        })
        .await;
    let product = async |sku: &str, category: &Value| {
        let product = json!({
            "title": sku, "status": "active", "category_ids": [category],
            "variants": [{ "sku": sku, "price": "5.00" }],
        });
        scene.erp.post("/api/v1/products", product).await;
    };
    product("TOOL-1", &tools).await;
    product("CUP-1", &coffee).await;
    until_there(&scene.web2, "CUP-1").await;
    until_there(&scene.web1, "TOOL-1").await;
    scene.sync().await;
    assert_eq!(scene.web2.product_with("TOOL-1").await, None);

    // Not the product but its category moves below what is picked.
    let tools = tools.as_str().expect("an id");
    scene
        .erp
        .patch(
            &format!("/api/v1/categories/{tools}"),
            json!({ "parent_id": coffee }),
        )
        .await;
    until_there(&scene.web2, "TOOL-1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_that_is_read_only_or_off() {
    let scene = scene().await;
    let sku = a_sku(&scene).await;
    scene
        .edit(|settings| {
            settings["services"][1]["readOnly"] = json!(true);
            settings["services"][2]["active"] = json!(false);
        })
        .await;
    for shop in scene.web_shops() {
        shop.forget_requests().await;
    }
    count(&scene.erp, &sku, 33).await;
    rename(&scene.erp, &sku, "Another name").await;
    scene.sync().await;
    for shop in scene.web_shops() {
        assert_eq!(shop.writes().await, Default::default(), "{}", shop.name);
    }
    scene
        .edit(|settings| {
            settings["services"][1]["readOnly"] = json!(false);
            settings["services"][2]["active"] = json!(true);
        })
        .await;
    for shop in scene.web_shops() {
        until_available(&shop, &sku, 33).await;
        until_title(&shop, &sku, "Another name").await;
    }
}
