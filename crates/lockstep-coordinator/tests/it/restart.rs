//! A coordinator that is stopped and started again on its folder.

use crate::{
    worker::{Polled, TestWorker},
    world::{World, coordinator_in, kahvila},
};
use lockstep_model::CustomerId;
use lockstep_protocol::{
    paths::{fill, people},
    people::runs::{SyncReply, SyncRequest},
};
use lockstep_storage::{Options, Storage, WorkerState};

#[tokio::test]
async fn a_restart_changes_nothing_for_a_worker() {
    let mut world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    world.apply(&kahvila(1)).await;
    worker.news().await;
    let _: SyncReply = world
        .post(&fill(people::SYNC, &[&1]), &SyncRequest::default())
        .await
        .unwrap();
    let wakes = worker.news().await.wanted.wakes;
    assert!(!wakes.is_empty());

    world.coordinator.shutdown().await;
    world.coordinator = coordinator_in(world.folder.path()).await;
    assert!(world.coordinator.first_login().is_none());
    worker.base = world.coordinator.url().to_owned();
    assert!(matches!(worker.poll(0).await.unwrap(), Polled::Unchanged));

    // One that lost its settings is told of the wakes too.
    worker.held = Default::default();
    let reply = worker.news().await;
    assert_eq!(reply.wanted.wakes, wakes);
    assert!(worker.held.customers.contains_key(&CustomerId(1)));
}

#[tokio::test]
async fn a_second_coordinator_on_one_sqlite_file_refuses_to_start() {
    let world = World::new().await;
    let config = lockstep_coordinator::CoordinatorConfig::local(
        world.folder.path(),
        crate::platform::registry(),
    );
    let refused = lockstep_coordinator::start(config).await;
    let error = refused.err().unwrap().to_string();
    assert!(error.contains("another coordinator"), "{error}");
}

#[tokio::test]
async fn stopping_ends_the_polls_that_wait() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    worker.news_or_nothing().await;
    let url = world.coordinator.url().to_owned();
    let waiting = tokio::spawn(async move { worker.poll(50).await });
    // Until the poll is parked, the worker is not known to be there.
    loop {
        let list: lockstep_protocol::people::workers::WorkerList =
            world.get(people::WORKERS).await.unwrap();
        if list.workers.iter().any(|worker| worker.online) {
            break;
        }
    }
    world.coordinator.shutdown().await;
    let ended = waiting.await.unwrap();
    assert!(ended.is_err(), "{ended:?} at {url}");
}

#[tokio::test]
async fn a_customer_that_the_last_coordinator_did_not_come_to_give_is_given_by_the_next() {
    let mut world = World::new().await;
    let mut one = TestWorker::confirmed(&world, "one").await;
    let two = TestWorker::confirmed(&world, "two").await;
    world.apply(&kahvila(1)).await;
    world.coordinator.shutdown().await;
    // It was there alone for a moment, and nobody looked.
    let storage = Storage::open(Options::in_folder(world.folder.path()))
        .await
        .unwrap();
    storage
        .set_worker_state(two.id, WorkerState::Gone)
        .await
        .unwrap();
    drop(storage);
    world.coordinator = coordinator_in(world.folder.path()).await;
    one.base = world.coordinator.url().to_owned();
    while one.held.customers.is_empty() {
        one.news().await;
    }
    assert!(one.held.customers.contains_key(&CustomerId(1)));
}
