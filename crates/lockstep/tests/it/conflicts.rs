//! A field that two shops changed, where the policy asks: shown, decided once, and written everywhere.

use crate::world::{Scene, ShopClient, ShopPlan, eventually, seconds};
use serde_json::{Value, json};

async fn title(shop: &ShopClient, sku: &str) -> Value {
    shop.product_with(sku).await.expect("the product")["title"].clone()
}

/// Two people name one product while nobody looks.
async fn two_names(scene: &Scene, sku: &str, policy: &str) {
    scene
        .edit(|settings| settings["customer"]["enableSyncing"] = json!(false))
        .await;
    scene.web1.rename(sku, "Kahvi").await;
    scene.web2.rename(sku, "Kaffe").await;
    scene
        .edit(|settings| {
            settings["customer"]["enableSyncing"] = json!(true);
            settings["policies"]["texts"] = json!(policy);
        })
        .await;
}

async fn all_say(scene: &Scene, sku: &str, name: &str) {
    for shop in scene.shops() {
        let what = format!("{} calls it {name}", shop.name);
        eventually(&what, seconds(30), async || match title(&shop, sku).await {
            there if there == name => Ok(()),
            there => Err(there.to_string()),
        })
        .await;
    }
    scene.nobody_is_asked().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_names_for_one_product_wait_for_a_person_and_one_answer_settles_them() {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    let before = title(&scene.erp, &sku).await;
    two_names(&scene, &sku, "ask").await;
    let question = scene.the_question().await;
    assert!(question["detail"].as_str().is_some_and(|detail| {
        ["Web shop 1", "Kahvi", "Web shop 2", "Kaffe"]
            .iter()
            .all(|word| detail.contains(word))
    }));
    // Nobody is written over before it is decided.
    scene.sync().await;
    assert_eq!(title(&scene.erp, &sku).await, before);
    assert_eq!(title(&scene.web1, &sku).await, "Kahvi");
    assert_eq!(title(&scene.web2, &sku).await, "Kaffe");
    let number = question["conflict"].to_string();
    let choices = question["choices"].as_array().expect("choices");
    let of_web2 = choices.iter().position(|choice| {
        choice["label"]
            .as_str()
            .is_some_and(|label| label.contains("Kaffe"))
    });
    let of_web2 = (of_web2.expect("web shop 2's value") + 1).to_string();
    let people = &scene.coordinator.people;
    people
        .does(&["decide", &scene.id(), &number, "--choice", &of_web2])
        .await;
    all_say(&scene, &sku, "Kaffe").await;
    // Once is enough: a second answer is refused and changes nothing.
    let again = people
        .types(&["decide", &scene.id(), &number, "--value", "Something else"])
        .await;
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.err.contains("not open any more"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_closes_by_itself_once_the_shops_agree() {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    two_names(&scene, &sku, "ask").await;
    scene.the_question().await;
    scene.web1.rename(&sku, "Kaffe").await;
    all_say(&scene, &sku, "Kaffe").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_newest_counts_changes_seen_together_are_asked_about_and_a_later_one_answers() {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    two_names(&scene, &sku, "newest").await;
    scene.the_question().await;
    // Both shops are looked at once more, so that what changes now is known to be later.
    scene.sync().await;
    scene.web1.rename(&sku, "Espresso").await;
    all_say(&scene, &sku, "Espresso").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_newest_counts_the_rank_of_the_shops_decides_what_no_reading_can() {
    let scene = Scene::set_in_step(ShopPlan::default()).await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    scene
        .edit(|settings| settings["policies"]["rank"] = json!([3, 2]))
        .await;
    two_names(&scene, &sku, "newest").await;
    all_say(&scene, &sku, "Kaffe").await;
}
