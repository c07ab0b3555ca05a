//! Named crash points: the worker dies at each in turn, twice running, while orders come in: a pinned customer's with
//! its disk, a movable one's without it. At the end each order is in the ERP once, and no unit is lost or made.

use crate::world::{Books, Process, Scene, ShopPlan, Worker, eventually, holds_for, seconds};
use serde_json::json;

/// One web shop has taken stock at payment, the other has reserved: two orders each time.
async fn two_orders(scene: &Scene) {
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    scene.web1.buy(&sku, 1, true).await;
    scene.web2.buy(&sku, 1, true).await;
}

/// Settings are saved anew when they have changed.
async fn edit_the_settings(scene: &Scene, nth: u32) {
    let people = &scene.coordinator.people;
    let mut settings = people.export(scene.customer).await;
    settings["customer"]["email"] = json!(format!("office-{nth}@kahvila.example"));
    people.save(scene.customer, &settings).await;
}

async fn until_it_has_died(worker: &mut Worker, point: &str) {
    let status = worker.process.until_it_ends(seconds(45)).await;
    assert!(
        Process::aborted(status),
        "the worker ended with {status} and not at {point}\n{}",
        worker.process.log()
    );
}

async fn six_orders_have_crossed_once(scene: &Scene, books: &Books) {
    let (shops, web) = (scene.shops(), scene.web_shops());
    let (_, took) = eventually(
        "six orders are in the ERP, each once",
        seconds(60),
        async || {
            books.orders_crossed_once(&scene.erp, &web, 6).await?;
            books.check(&shops).await
        },
    )
    .await;
    println!("in step {} ms after the last start", took.as_millis());
    holds_for("units are conserved", seconds(2), async || {
        books.check(&shops).await
    })
    .await;
    books
        .orders_crossed_once(&scene.erp, &web, 6)
        .await
        .expect("still exactly once");
}

async fn pinned(point: &str) {
    let plan = ShopPlan {
        products: 2,
        movable: false,
        ..ShopPlan::default()
    };
    let mut scene = Scene::set_in_step(plan).await;
    let books = scene.books().await;
    for nth in 0..2 {
        scene.worker.process.kill();
        two_orders(&scene).await;
        edit_the_settings(&scene, nth).await;
        scene.worker.start_again(Some(point));
        until_it_has_died(&mut scene.worker, point).await;
    }
    two_orders(&scene).await;
    scene.worker.start_again(None);
    six_orders_have_crossed_once(&scene, &books).await;
}

/// A person gives the customer of a machine that is gone to the next one.
async fn give(scene: &Scene, to: &str, gone: &str) {
    let people = &scene.coordinator.people;
    eventually("the new worker is known", seconds(20), async || {
        people
            .worker_named(to)
            .await
            .map(|_| ())
            .ok_or("not yet".into())
    })
    .await;
    people
        .does(&[
            "customers",
            "give",
            &scene.id(),
            "--to",
            to,
            "--the-machine-is-gone",
            gone,
        ])
        .await;
}

async fn movable(point: &str) {
    let plan = ShopPlan {
        products: 2,
        movable: true,
        ..ShopPlan::default()
    };
    let mut scene = Scene::set_in_step(plan).await;
    let books = scene.books().await;
    // The first death happens to the worker that has the customer already.
    scene.worker.process.kill();
    two_orders(&scene).await;
    edit_the_settings(&scene, 0).await;
    scene.worker.start_again(Some(point));
    until_it_has_died(&mut scene.worker, point).await;
    scene.worker.lose_its_disk();
    two_orders(&scene).await;
    let mut second = scene.hire("worker-2", Some(point));
    give(&scene, "worker-2", "worker-1").await;
    until_it_has_died(&mut second, point).await;
    second.lose_its_disk();
    two_orders(&scene).await;
    let _third = scene.hire("worker-3", None);
    give(&scene, "worker-3", "worker-2").await;
    six_orders_have_crossed_once(&scene, &books).await;
}

macro_rules! dies {
    ($how:ident at $($point:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $point() {
                super::$how(stringify!($point)).await;
            }
        )+
    };
}

/// Its disk is enough: no acknowledgement is waited for, so there is no point after it.
mod pinned_with_its_disk {
    dies! { pinned at
        after_pull after_stage before_intent after_intent after_send before_outcome before_commit
        before_shipping_segment after_shipping_segment settings_save
    }
}

mod movable_without_its_disk {
    dies! { movable at
        after_pull after_stage before_intent after_intent after_acknowledgement after_send before_outcome
        before_commit before_shipping_segment after_shipping_segment settings_save
    }
}

/// Its journal is lost and fetched anew, and it dies in the middle of that: what was fetched stays, and it goes on
/// from there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_dies_while_its_journal_is_fetched_goes_on_from_there() {
    let mut scene = Scene::set_in_step(ShopPlan {
        products: 2,
        ..ShopPlan::default()
    })
    .await;
    let books = scene.books().await;
    for _ in 0..2 {
        two_orders(&scene).await;
    }
    scene.until_at_rest().await;
    scene.worker.lose_its_journals();
    two_orders(&scene).await;
    scene.worker.start_again(Some("during_restore"));
    until_it_has_died(&mut scene.worker, "during_restore").await;
    scene.worker.start_again(None);
    six_orders_have_crossed_once(&scene, &books).await;
    let kept = std::fs::read_dir(scene.worker.data.join("customers")).expect("the journals");
    let names = kept.map(|entry| entry.expect("a file").file_name());
    let names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    let is_left = |name: &&String| name.contains(".old") || name.contains(".restoring");
    assert_eq!(names.iter().find(is_left), None, "{names:?}");
    assert!(!scene.worker.process.log().contains("another journal"));
}
