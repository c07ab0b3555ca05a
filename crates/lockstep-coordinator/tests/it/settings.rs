//! `/settings` beyond the story: waiting, versions, what a delta leaves out.

use crate::{
    worker::{Polled, TestWorker},
    world::{World, kahvila},
};
use lockstep_model::{CustomerId, Incarnation};
use lockstep_protocol::{Code, Etag};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_parked_poll_is_answered_as_soon_as_something_changes() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    worker.news_or_nothing().await;
    let begun = Instant::now();
    let (reply, _) = tokio::join!(worker.news(), async { world.apply(&kahvila(1)).await });
    assert_eq!(reply.upserts[0].customer_id, CustomerId(1));
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_parked_poll_is_answered_304_when_its_time_is_over() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    worker.news_or_nothing().await;
    // What it is given of its own accord may come first.
    let waited = loop {
        let begun = Instant::now();
        if let Polled::Unchanged = worker.poll(1).await.unwrap() {
            break begun.elapsed();
        }
    };
    assert!(waited >= Duration::from_millis(900), "{waited:?}");
}

#[tokio::test]
async fn saving_the_same_settings_again_tells_nobody() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    let first = world.apply(&kahvila(1)).await;
    worker.news().await;
    let again = world.apply(&kahvila(1)).await;
    assert_eq!((again.changed, again.revision), (false, first.revision));
    assert!(matches!(worker.poll(0).await.unwrap(), Polled::Unchanged));
}

#[tokio::test]
async fn a_worker_that_lost_its_settings_gets_all_of_them() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    for id in 1..=3 {
        world.apply(&kahvila(id)).await;
    }
    worker.news().await;
    let version = worker.held.etag;
    worker.held = Default::default();
    let reply = worker.news().await;
    assert_eq!((reply.base, reply.upserts.len()), (None, 3));
    assert_eq!(worker.held.etag, version);
}

#[tokio::test]
async fn a_version_of_the_future_proves_a_restored_backup() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    world.apply(&kahvila(1)).await;
    worker.news().await;
    let seen = worker.held.etag.unwrap();
    worker.held.etag = Some(Etag {
        revision: seen.revision + 1_000,
        ..seen
    });
    let problem = worker.poll(0).await.unwrap_err();
    assert_eq!(
        (problem.status, problem.code),
        (410, Code::IncarnationChanged)
    );
    assert_eq!(problem.incarnation, Some(Incarnation(2)));
    // What is of the old incarnation is told the same, and everything is to be had anew.
    worker.held.etag = Some(seen);
    assert_eq!(worker.poll(0).await.unwrap_err().status, 410);
    worker.held = Default::default();
    let reply = worker.news().await;
    assert_eq!(reply.incarnation, Incarnation(2));
    assert_eq!(reply.upserts.len(), 1);
    assert!(matches!(worker.poll(0).await.unwrap(), Polled::Unchanged));
}

#[tokio::test]
async fn a_deleted_customer_is_removed_from_its_worker() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    world.apply(&kahvila(1)).await;
    worker.news().await;
    let deleted = world
        .client
        .delete(world.url("/api/v1/customers/1"))
        .bearer_auth(&world.login.api_token)
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.status(), 204);
    let reply = worker.news().await;
    assert_eq!(reply.removed, [CustomerId(1)]);
    assert!(worker.held.customers.is_empty());
}
