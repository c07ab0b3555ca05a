//! Who owns a customer: moved by hand after a disk is lost, an old owner that comes back, a pinned customer whose
//! coordinator is away.

use crate::world::{Scene, ShopPlan, eventually, holds_for, seconds};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

/// A minute, as the story has it, where one has the time.
fn a_while() -> Duration {
    match std::env::var("LOCKSTEP_TEST_LONG") {
        Ok(long) if !long.is_empty() => seconds(60),
        _ => seconds(15),
    }
}

fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

async fn owner(scene: &Scene) -> Value {
    let view = scene.coordinator.people.get(&format!("/api/v1/customers/{}", scene.customer)).await;
    view["row"]["owner"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moved_by_hand_after_the_first_workers_disk_is_lost() {
    let mut scene = Scene::set_in_step(ShopPlan::default()).await;
    let (shops, web, books) = (scene.shops(), scene.web_shops(), scene.books().await);
    let people = scene.coordinator.people.clone();
    let before = owner(&scene).await;
    assert_eq!(before["worker_name"], "worker-1");
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");

    // Two copies are made and their answers are lost; the worker that knows of them dies, and its disk with it.
    scene
        .erp
        .set_faults(json!([{ "kind": "FailAfterWrite", "method": "POST", "path_prefix": "/api/v1/orders", "times": 1 }]))
        .await;
    scene.web1.buy(&sku, 1, true).await;
    eventually("a reply was lost after the write", seconds(10), async || {
        match scene.erp.orders().await.len() {
            1 => Ok(()),
            other => Err(format!("{other} orders")),
        }
    })
    .await;
    scene.worker.lose_its_disk();
    scene.web2.buy(&sku, 2, true).await;

    let wrong = people
        .types(&["customers", "give", &scene.id(), "--to", "worker-2", "--the-machine-is-gone", "worker-1"])
        .await;
    assert_eq!(wrong.code, 2, "a worker that nobody knows: {wrong:?}");
    let _second = scene.hire("worker-2", None);
    eventually("the second worker is known", seconds(20), async || {
        people.worker_named("worker-2").await.map(|_| ()).ok_or("not yet".into())
    })
    .await;
    let wrong = people
        .types(&["customers", "give", &scene.id(), "--to", "worker-2", "--the-machine-is-gone", "worker-9"])
        .await;
    assert_eq!(wrong.code, 1, "another name than the owner's: {wrong:?}");
    assert!(wrong.err.contains("nothing was moved"), "{wrong:?}");
    people
        .does(&["customers", "give", &scene.id(), "--to", "worker-2", "--the-machine-is-gone", "worker-1"])
        .await;
    let after = owner(&scene).await;
    assert_eq!(after["worker_name"], "worker-2");
    assert!(after["epoch"].as_u64() > before["epoch"].as_u64(), "{before} → {after}");

    eventually("both orders are in the ERP once", seconds(60), async || {
        books.orders_crossed_once(&scene.erp, &web, 2).await?;
        books.check(&shops).await
    })
    .await;
    holds_for("units are conserved", seconds(5), async || books.check(&shops).await).await;
    books.orders_crossed_once(&scene.erp, &web, 2).await.expect("exactly once");

    // The new worker knows from the journal what the old one did: a sync now writes nothing.
    scene.sync().await;
    for shop in &shops {
        shop.forget_requests().await;
    }
    scene.sync().await;
    for shop in &shops {
        assert_eq!(shop.writes().await, Default::default(), "{}", shop.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_epoch_is_refused_with_412() {
    let mut scene = Scene::set_in_step(ShopPlan::default()).await;
    let (shops, web, books) = (scene.shops(), scene.web_shops(), scene.books().await);
    let people = scene.coordinator.people.clone();
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");
    let second = scene.hire("worker-2", None);
    eventually("the second worker is known", seconds(20), async || {
        people.worker_named("worker-2").await.map(|_| ()).ok_or("not yet".into())
    })
    .await;

    // The first worker hangs in the middle of its work: an order lies in the shop, unread.
    signal(scene.worker.process.id(), "STOP");
    scene.web1.buy(&sku, 1, true).await;
    people.does(&["customers", "give", &scene.id(), "--to", "worker-2"]).await;
    eventually("it was silent for too long and lost the customer", seconds(40), async || {
        let owner = owner(&scene).await;
        if owner["worker_name"] == "worker-2" { Ok(()) } else { Err(owner.to_string()) }
    })
    .await;
    eventually("the second one carries the order", seconds(30), async || {
        books.orders_crossed_once(&scene.erp, &web, 1).await
    })
    .await;

    // Now the first wakes up, with an old epoch and orders to be read.
    scene.web2.buy(&sku, 1, true).await;
    signal(scene.worker.process.id(), "CONT");
    people.types(&["sync", &scene.id(), "--no-wait"]).await;
    eventually("the old owner learns that it is one", seconds(30), async || {
        let log = scene.worker.process.log();
        if log.contains("gave this customer to another worker") {
            Ok(())
        } else {
            Err(log.lines().last().unwrap_or_default().to_owned())
        }
    })
    .await;
    eventually("both orders are in the ERP once", seconds(30), async || {
        books.orders_crossed_once(&scene.erp, &web, 2).await?;
        books.check(&shops).await
    })
    .await;
    holds_for("units are conserved", seconds(5), async || books.check(&shops).await).await;
    books.orders_crossed_once(&scene.erp, &web, 2).await.expect("exactly once");

    // On the wire: a segment of the old epoch, by a worker whose token holds.
    drop(second);
    let status = refused_segment(&mut scene).await;
    assert_eq!(status, 412);
}

/// A segment of epoch 1 in the name of a live worker's process, whose token and instance are listened for.
async fn refused_segment(scene: &mut Scene) -> u16 {
    let wire = crate::world::Wiretap::before(&scene.coordinator.url).await;
    let folder = scene.folder.path();
    let third = crate::world::Worker::start(folder, "worker-3", &wire.url, Some(&scene.join));
    let (heard, _) = eventually("the third worker polls", seconds(20), async || {
        let polls = wire.heard("GET", "/worker/v1/settings");
        polls.into_iter().find(|poll| poll.status == 200).ok_or("not yet".to_owned())
    })
    .await;
    let reply = crate::world::http()
        .post(format!("{}/worker/v1/journal/{}", scene.coordinator.url, scene.customer))
        .header("authorization", &heard.asked["authorization"])
        .header("worker-instance", &heard.asked["worker-instance"])
        .header("content-type", "application/octet-stream")
        .header("lockstep-incarnation", heard.json()["incarnation"].to_string())
        .header("lockstep-epoch", "1")
        .header("lockstep-sequence", "1")
        .header("lockstep-previous", "0".repeat(64))
        .header("lockstep-hash", "0".repeat(64))
        .body(vec![0_u8; 8])
        .send()
        .await
        .expect("an answer");
    let status = reply.status().as_u16();
    println!("a segment of an old epoch: {status} {}", reply.text().await.unwrap_or_default());
    drop(third);
    status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pinned_with_its_coordinator_gone_for_a_minute_while_orders_arrive() {
    let plan = ShopPlan { movable: false, ..ShopPlan::default() };
    let mut scene = Scene::set_in_step(plan).await;
    let (shops, web, books) = (scene.shops(), scene.web_shops(), scene.books().await);
    let people = scene.coordinator.people.clone();
    // Nobody carries hooks while the coordinator is away: it has to look by itself.
    let mut settings = people.export(scene.customer).await;
    for flow in ["stock", "orders"] {
        settings["schedules"][flow]["pollSeconds"] = json!(1);
    }
    let revision = people.save(scene.customer, &settings).await;
    eventually("the worker has the new schedule", seconds(20), async || {
        let view = people.get(&format!("/api/v1/customers/{}", scene.customer)).await;
        let applied = view["row"]["applied"]["revision"].as_u64();
        if applied == Some(revision) { Ok(()) } else { Err(view["row"].to_string()) }
    })
    .await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");

    scene.coordinator.process.kill();
    let gone = tokio::time::Instant::now();
    let mut placed = 0;
    while gone.elapsed() < a_while() {
        let shop = &web[placed % 2];
        shop.buy(&sku, 1, true).await;
        placed += 1;
        let (_, took) = eventually("the order crosses without a coordinator", seconds(20), async || {
            books.orders_crossed_once(&scene.erp, &web, placed).await?;
            books.check(&shops).await
        })
        .await;
        println!("order {placed}: {} ms", took.as_millis());
        if placed == 6 {
            break;
        }
    }
    holds_for("it stays in step", a_while().saturating_sub(gone.elapsed()), async || {
        books.check(&shops).await
    })
    .await;

    // Back: the journal is handed in, and nothing is done a second time.
    scene.coordinator.start_again().await;
    eventually("the coordinator knows the orders from the journal", seconds(60), async || {
        let path = format!("/api/v1/customers/{}/explain/{sku}", scene.customer);
        let answer = people.call(reqwest::Method::GET, &path, None).await;
        let moved = answer.body["stocks"][0]["pool"].as_str().map(str::to_owned);
        let left = books.seeded(&sku) - placed as i64;
        let known = moved.as_deref().and_then(|pool| pool.parse::<f64>().ok());
        if known == Some(left as f64) { Ok(()) } else { Err(answer.body.to_string()) }
    })
    .await;
    scene.web1.buy(&sku, 1, true).await;
    eventually("and it goes on", seconds(20), async || {
        books.orders_crossed_once(&scene.erp, &web, placed + 1).await?;
        books.check(&shops).await
    })
    .await;
}
