//! Webhooks: signed ones wake the worker at once, others do not.

use crate::{
    platform::{PING, SIGNATURE},
    worker::{Polled, TestWorker},
    world::{World, kahvila},
};
use lockstep_model::{CustomerId, Flow, ShopId};
use lockstep_protocol::{
    asks::{Answer, HookAnswer, Question},
    paths::{fill, people, worker as paths},
    people::{
        runs::{SyncReply, SyncRequest},
        shops::HooksView,
    },
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The address that the worker is asked to register, as it comes with the settings.
/// What changed before the shop knew where to call is looked at: all flows are woken, once.
async fn looked_at_once_more(worker: &mut TestWorker) {
    let mut woken = BTreeSet::new();
    while woken.len() < Flow::ALL.len() {
        let reply = worker.news().await;
        woken.extend(reply.wanted.wakes.iter().map(|wake| wake.flow));
    }
}

async fn hook_address(worker: &mut TestWorker) -> String {
    worker.report().await;
    loop {
        let reply = worker.news().await;
        for ask in reply.asks {
            if let Question::Hooks {
                url: Some(url),
                shop_id,
            } = ask.question
            {
                assert_eq!(shop_id, ShopId(1));
                let hook = HookAnswer {
                    flow: Flow::Orders,
                    topic: "orders".into(),
                    url: url.clone(),
                    active: true,
                };
                let answer = Answer::Hooks { hooks: vec![hook] };
                let _: Value = worker
                    .post(&fill(paths::ASK, &[&ask.id]), &answer)
                    .await
                    .unwrap();
                looked_at_once_more(worker).await;
                return url;
            }
        }
    }
}

async fn deliver(world: &World, url: &str, header: (&str, &str)) -> u16 {
    let delivery = world.client.post(url).header(header.0, header.1).body("{}");
    delivery.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_signed_hook_wakes_the_parked_poll_at_once() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    world.apply(&kahvila(1)).await;
    worker.news().await;
    let url = hook_address(&mut worker).await;
    assert!(url.starts_with(world.coordinator.url()), "{url}");

    let begun = Instant::now();
    let (reply, status) = tokio::join!(
        worker.news(),
        deliver(&world, &url, (SIGNATURE, "hook-secret"))
    );
    assert_eq!(status, 204);
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    let again = reply.wanted.wakes.iter().filter(|wake| wake.counter == 2);
    let woken: Vec<_> = again
        .map(|wake| (wake.customer_id, wake.shop_id, wake.flow))
        .collect();
    let shop = (CustomerId(1), ShopId(1));
    assert_eq!(
        woken,
        [Flow::Stock, Flow::Orders].map(|flow| (shop.0, shop.1, flow))
    );
    assert!(reply.upserts.is_empty());

    // People see what the platform answered and that it calls, and not the address's secret.
    let path = fill(people::SHOP_HOOKS, &[&1, &1]);
    let view: HooksView = world.get(&path).await.unwrap();
    let [hook] = view.hooks.as_slice() else {
        panic!("{view:?}")
    };
    assert_eq!((hook.topic.as_str(), hook.active), ("orders", true));
    assert!(hook.url.ends_with("/hooks/v1/1/1/…"), "{}", hook.url);
    assert!(view.possible && view.registered_at.is_some() && view.delivered_at.is_some());
    let key = url.rsplit('/').next().unwrap();
    assert!(!format!("{view:?}").contains(key));
}

#[tokio::test]
async fn unsigned_hooks_and_other_addresses_wake_nobody() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    world.apply(&kahvila(1)).await;
    worker.news().await;
    let url = hook_address(&mut worker).await;
    assert_eq!(deliver(&world, &url, (SIGNATURE, "guessed")).await, 401);
    assert_eq!(deliver(&world, &url, (PING, "1")).await, 204);
    let elsewhere = format!("{url}x");
    assert_eq!(
        deliver(&world, &elsewhere, (SIGNATURE, "hook-secret")).await,
        404
    );
    assert!(matches!(worker.poll(0).await.unwrap(), Polled::Unchanged));
}

#[tokio::test]
async fn sync_now_raises_the_same_wakes() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    world.apply(&kahvila(1)).await;
    worker.news().await;
    let request = SyncRequest {
        flows: vec![Flow::Products],
        shops: vec![],
    };
    let reply: SyncReply = world
        .post(&fill(people::SYNC, &[&1]), &request)
        .await
        .unwrap();
    assert_eq!(reply.wakes.len(), 1);
    assert_eq!(worker.news().await.wanted.wakes, reply.wakes);
    // Twice more: the counter says that something was asked for, not how often it was heard.
    for counter in [2, 3] {
        let reply: SyncReply = world
            .post(&fill(people::SYNC, &[&1]), &request)
            .await
            .unwrap();
        assert_eq!(reply.wakes[0].counter, counter);
    }
    // One poll or two, as the poll and the commits fall; in the end the greatest counter is known.
    let mut heard = 0;
    while heard < 3 {
        let wakes = worker.news().await.wanted.wakes;
        assert!(wakes.len() == 1 && wakes[0].counter > heard, "{wakes:?}");
        heard = wakes[0].counter;
    }
}

#[tokio::test]
async fn r10_replays_of_one_signed_hook_are_folded() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    world.apply(&kahvila(1)).await;
    worker.news().await;
    let url = hook_address(&mut worker).await;
    let begun = Instant::now();
    for _ in 0..10 {
        let replays = (0..20).map(|_| deliver(&world, &url, (SIGNATURE, "hook-secret")));
        let statuses = futures::future::join_all(replays).await;
        assert!(statuses.iter().all(|status| *status == 204), "{statuses:?}");
    }
    let seconds = begun.elapsed().as_secs();
    let reply = worker.news().await;
    let counter = reply.wanted.wakes.iter().map(|wake| wake.counter).max();
    // One was raised before; of the 200 one a second, and the first.
    assert!(
        counter.unwrap() <= seconds + 4,
        "{counter:?} in {seconds} s"
    );
}
