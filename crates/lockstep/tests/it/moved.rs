//! Who owns a customer: moved by hand after a disk is lost, an old owner that comes back, a pinned customer whose
//! coordinator is away.

use crate::world::{Scene, ShopPlan, Wiretap, eventually, holds_for, seconds};
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
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &process.to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
}

async fn owner(scene: &Scene) -> Value {
    let view = scene
        .coordinator
        .people
        .get(&format!("/api/v1/customers/{}", scene.customer))
        .await;
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
    eventually(
        "a reply was lost after the write",
        seconds(10),
        async || match scene.erp.orders().await.len() {
            1 => Ok(()),
            other => Err(format!("{other} orders")),
        },
    )
    .await;
    scene.worker.lose_its_disk();
    scene.web2.buy(&sku, 2, true).await;

    let wrong = people
        .types(&[
            "customers",
            "give",
            &scene.id(),
            "--to",
            "worker-2",
            "--the-machine-is-gone",
            "worker-1",
        ])
        .await;
    assert_eq!(wrong.code, 2, "a worker that nobody knows: {wrong:?}");
    let _second = scene.hire("worker-2", None);
    eventually("the second worker is known", seconds(20), async || {
        people
            .worker_named("worker-2")
            .await
            .map(|_| ())
            .ok_or("not yet".into())
    })
    .await;
    let wrong = people
        .types(&[
            "customers",
            "give",
            &scene.id(),
            "--to",
            "worker-2",
            "--the-machine-is-gone",
            "worker-9",
        ])
        .await;
    assert_eq!(wrong.code, 1, "another name than the owner's: {wrong:?}");
    assert!(wrong.err.contains("nothing was moved"), "{wrong:?}");
    people
        .does(&[
            "customers",
            "give",
            &scene.id(),
            "--to",
            "worker-2",
            "--the-machine-is-gone",
            "worker-1",
        ])
        .await;
    let after = owner(&scene).await;
    assert_eq!(after["worker_name"], "worker-2");
    assert!(
        after["epoch"].as_u64() > before["epoch"].as_u64(),
        "{before} → {after}"
    );

    eventually("both orders are in the ERP once", seconds(60), async || {
        books.orders_crossed_once(&scene.erp, &web, 2).await?;
        books.check(&shops).await
    })
    .await;
    holds_for("units are conserved", seconds(5), async || {
        books.check(&shops).await
    })
    .await;
    books
        .orders_crossed_once(&scene.erp, &web, 2)
        .await
        .expect("exactly once");

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
    look_every_second(&scene).await;
    let wire = Wiretap::before(&scene.coordinator.url).await;
    scene.worker.start_again_through(&wire.url);
    eventually(
        "the first worker polls through the wire",
        seconds(20),
        async || {
            let polls = wire.heard("GET", "/worker/v1/settings").len();
            if polls > 0 {
                Ok(())
            } else {
                Err("not yet".into())
            }
        },
    )
    .await;
    let _second = scene.hire("worker-2", None);
    eventually("the second worker is known", seconds(20), async || {
        people
            .worker_named("worker-2")
            .await
            .map(|_| ())
            .ok_or("not yet".into())
    })
    .await;

    // The first worker hangs, and what tells it that it is no owner any more does not reach it.
    signal(scene.worker.process.id(), "STOP");
    wire.cut(&[
        "/worker/v1/settings",
        "/worker/v1/lease",
        "/worker/v1/status",
    ]);
    scene.web1.buy(&sku, 1, true).await;
    people
        .does(&["customers", "give", &scene.id(), "--to", "worker-2"])
        .await;
    eventually(
        "it was silent for too long and lost the customer",
        seconds(40),
        async || {
            let owner = owner(&scene).await;
            if owner["worker_name"] == "worker-2" {
                Ok(())
            } else {
                Err(owner.to_string())
            }
        },
    )
    .await;
    eventually(
        "the second one carries the order",
        seconds(30),
        async || books.orders_crossed_once(&scene.erp, &web, 1).await,
    )
    .await;

    // Now it wakes up, and looks at the shops as it did: what it writes down is of an epoch that is over.
    scene.web2.buy(&sku, 1, true).await;
    signal(scene.worker.process.id(), "CONT");
    let path = format!("/worker/v1/journal/{}", scene.customer);
    eventually("its next segment is refused", seconds(30), async || {
        let shipped = wire.heard("POST", &path);
        match shipped.last() {
            Some(last) if last.status == 412 => {
                assert_eq!(last.json()["code"], "old_epoch", "{last:?}");
                Ok(())
            }
            last => Err(format!("{:?}", last.map(|last| last.status))),
        }
    })
    .await;
    eventually("and it stops", seconds(20), async || {
        let log = scene.worker.process.log();
        let stopped = log.contains("another worker owns this customer now");
        if stopped {
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
    holds_for("units are conserved", seconds(5), async || {
        books.check(&shops).await
    })
    .await;
    books
        .orders_crossed_once(&scene.erp, &web, 2)
        .await
        .expect("exactly once");
}

/// It finds changes by itself, and does not wait to be called.
async fn look_every_second(scene: &Scene) {
    scene
        .edit(|settings| {
            for flow in ["stock", "orders"] {
                settings["schedules"][flow]["pollSeconds"] = json!(1);
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pinned_with_its_coordinator_gone_for_a_minute_while_orders_arrive() {
    let plan = ShopPlan {
        movable: false,
        ..ShopPlan::default()
    };
    let mut scene = Scene::set_in_step(plan).await;
    let (shops, web, books) = (scene.shops(), scene.web_shops(), scene.books().await);
    let people = scene.coordinator.people.clone();
    // Nobody carries hooks while the coordinator is away.
    look_every_second(&scene).await;
    let sku = scene.erp.levels().await.into_keys().next().expect("a SKU");

    scene.coordinator.process.kill();
    let gone = tokio::time::Instant::now();
    let mut placed = 0;
    while gone.elapsed() < a_while() {
        let shop = &web[placed % 2];
        shop.buy(&sku, 1, true).await;
        placed += 1;
        let (_, took) = eventually(
            "the order crosses without a coordinator",
            seconds(20),
            async || {
                books.orders_crossed_once(&scene.erp, &web, placed).await?;
                books.check(&shops).await
            },
        )
        .await;
        println!("order {placed}: {} ms", took.as_millis());
        if placed == 6 {
            break;
        }
    }
    holds_for(
        "it stays in step",
        a_while().saturating_sub(gone.elapsed()),
        async || books.check(&shops).await,
    )
    .await;

    // Back: the journal is handed in, and nothing is done a second time.
    scene.coordinator.start_again().await;
    eventually(
        "the coordinator knows the orders from the journal",
        seconds(60),
        async || {
            let path = format!("/api/v1/customers/{}/explain/{sku}", scene.customer);
            let answer = people.call(reqwest::Method::GET, &path, None).await;
            let moved = answer.body["stocks"][0]["pool"].as_str().map(str::to_owned);
            let left = books.seeded(&sku) - placed as i64;
            let known = moved.as_deref().and_then(|pool| pool.parse::<f64>().ok());
            if known == Some(left as f64) {
                Ok(())
            } else {
                Err(answer.body.to_string())
            }
        },
    )
    .await;
    scene.web1.buy(&sku, 1, true).await;
    eventually("and it goes on", seconds(20), async || {
        books
            .orders_crossed_once(&scene.erp, &web, placed + 1)
            .await?;
        books.check(&shops).await
    })
    .await;
}
