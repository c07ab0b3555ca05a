//! Orders that wait for a person: shown by what they wait for, let go by one decision, each made once.

use crate::world::{Bought, Scene, ShopPlan, Typed, eventually, seconds};
use serde_json::{Value, json};

/// The settings do not say what the web shops call a bank transfer.
async fn without_bank_transfers() -> (Scene, String) {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    scene
        .edit(|settings| {
            let rows = settings["paymentMethodServiceIdentifiers"].as_array_mut();
            rows.expect("identifiers")
                .retain(|row| row["identifier"] != "bank" || row["serviceId"] == 1);
        })
        .await;
    (scene, sku)
}

async fn buy(scene: &Scene, sku: &str, method: &str) -> Bought {
    let basket = json!({
        "lines": [{ "sku": sku, "quantity": 1 }],
        "buyer": { "name": "Aino Virta", "email": "aino@example.com" },
        "pay": true,
        "payment_method": method,
    });
    scene.web1.check_out(basket).await
}

async fn held(scene: &Scene) -> Typed {
    scene
        .coordinator
        .people
        .types(&["--json", "orders", &scene.id(), "--held"])
        .await
}

async fn until_held(scene: &Scene, count: u64) -> Value {
    let what = format!("{count} orders are held");
    let (view, _) = eventually(&what, seconds(30), async || {
        let typed = held(scene).await;
        let view = typed.json();
        match view["groups"][0]["count"].as_u64() {
            Some(there) if there == count => Ok(view),
            _ => Err(format!("{typed:?}")),
        }
    })
    .await;
    view
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_decision_lets_all_orders_go_that_wait_for_the_same_and_each_is_made_once() {
    let (scene, sku) = without_bank_transfers().await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(buy(&scene, &sku, "bank").await);
    }
    let known = buy(&scene, &sku, "card").await;
    let view = until_held(&scene, 3).await;
    let title = view["groups"][0]["title"].as_str().expect("a title");
    assert_eq!(
        title,
        "3 orders of Web shop 1 wait for the payment method \"bank\""
    );
    assert_eq!(view["groups"][0]["unmapped"]["into_name"], "ERP", "{view}");
    // The start page says it, and the others go on.
    let people = &scene.coordinator.people;
    eventually("the start page says it", seconds(20), async || {
        let overview = people.get("/api/v1/overview").await;
        let needs = overview["needs_person"].to_string();
        match needs.contains("3 orders of Web shop 1 wait") {
            true => Ok(()),
            false => Err(needs),
        }
    })
    .await;
    eventually("the other order crosses", seconds(30), async || {
        scene.erp.copy_of(&known).await.ok_or("not yet".to_owned())
    })
    .await;
    assert_eq!(scene.erp.orders().await.len(), 1);

    let id = scene.id();
    let of = ["--payment-method", "bank", "--of", "Web shop 1"];
    let map = |to: &'static str| [&["map", &id][..], &of[..], &["--to", to][..]].concat();
    let wrong = people.types(&map("cheque")).await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(
        wrong.err.contains("invoice"),
        "it names those that are there: {wrong:?}"
    );
    people.does(&map("bank")).await;
    for order in &waiting {
        let (copy, _) = eventually("a released order crosses", seconds(30), async || {
            scene.erp.copy_of(order).await.ok_or("not yet".to_owned())
        })
        .await;
        assert_eq!(copy["payment_method"], "bank", "{copy}");
    }
    let books = scene.books().await;
    books
        .orders_crossed_once(&scene.erp, &scene.web_shops(), 4)
        .await
        .expect("exactly once");
    let (left, _) = eventually("nothing is held any more", seconds(20), async || {
        let typed = held(&scene).await;
        match typed.code {
            0 => Ok(typed.json()),
            _ => Err(format!("{typed:?}")),
        }
    })
    .await;
    assert_eq!(left["groups"], json!([]));
    // Said once is enough, and another word for it is an edit, not a hole to fill.
    people.does(&map("bank")).await;
    let other = people.types(&map("invoice")).await;
    assert_eq!(other.code, 1, "{other:?}");
    assert!(
        other.err.contains("is called bank there already"),
        "{other:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_does_not_fit_an_order_changes_nothing() {
    let (scene, sku) = without_bank_transfers().await;
    let order = buy(&scene, &sku, "bank").await;
    until_held(&scene, 1).await;
    let people = &scene.coordinator.people;
    let id = scene.id();
    for word in [&["--not-there"][..], &["--there", "4711"][..]] {
        let arguments = [&["answer", &id, &order.number][..], word].concat();
        let refused = people.types(&arguments).await;
        assert_eq!(refused.code, 1, "{refused:?}");
    }
    // To try again what nobody has mended is harmless.
    people
        .does(&["answer", &scene.id(), &order.number, "--again"])
        .await;
    scene.sync().await;
    until_held(&scene, 1).await;
    assert_eq!(scene.erp.orders().await.len(), 0);
}
