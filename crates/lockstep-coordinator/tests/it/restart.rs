//! A coordinator that is stopped and started again on its folder.

use crate::{
    worker::{Polled, TestWorker, acknowledge, opened, segment},
    world::{World, coordinator_in, kahvila},
};
use lockstep_journal::Journal;
use lockstep_model::{CustomerId, Incarnation, Lane, Revision, RunId, entry::Body};
use lockstep_protocol::{
    Code,
    paths::{fill, people},
    people::Overview,
    people::runs::{SyncReply, SyncRequest},
};
use lockstep_storage::{Options, Storage, WorkerState};
use std::path::Path;
use std::time::Duration;

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

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => std::fs::copy(entry.path(), target).map(drop).unwrap(),
        }
    }
}

#[tokio::test]
async fn r1_a_worker_brings_back_what_a_restored_backup_has_lost() {
    let mut world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    world.apply(&kahvila(1)).await;
    worker.news().await;
    let (customer, epoch) = (CustomerId(1), worker.epoch(CustomerId(1)));
    let mut journal = Journal::in_memory(customer).unwrap();
    let first = segment(&mut journal, vec![opened(customer, worker.id, epoch)]);
    worker.send(&first).await.unwrap();
    acknowledge(&mut journal, &first);
    world.coordinator.shutdown().await;
    let backup = tempfile::tempdir().unwrap();
    copy(world.folder.path(), backup.path());

    world.coordinator = coordinator_in(world.folder.path()).await;
    worker.base = world.coordinator.url().to_owned();
    let run = |run: u64| Body::RunStarted {
        run: RunId(run),
        lane: Lane::Trade,
        revision: Revision(1),
        causes: vec![],
    };
    let lost = segment(&mut journal, vec![run(1)]);
    worker.send(&lost).await.unwrap();
    acknowledge(&mut journal, &lost);
    world.apply(&kahvila(2)).await;
    worker.news().await;
    world.coordinator.shutdown().await;

    world.coordinator = coordinator_in(backup.path()).await;
    worker.base = world.coordinator.url().to_owned();
    let problem = worker.poll(0).await.unwrap_err();
    assert_eq!(problem.code, Code::IncarnationChanged, "{problem}");
    worker.held = Default::default();
    let reply = worker.news().await;
    assert_eq!(reply.incarnation, Incarnation(2));
    assert!(!worker.held.customers.contains_key(&CustomerId(2)));
    // The next segment does not follow what was restored; from there on it is offered again, and taken.
    let body = Body::Opened {
        customer,
        incarnation: Incarnation(2),
        epoch,
        worker: Some(worker.id),
    };
    let next = segment(&mut journal, vec![body]);
    let gap = worker.send(&next).await.unwrap_err();
    assert_eq!(gap.code, Code::SegmentGap);
    assert_eq!(gap.head.unwrap().sequence, 1);
    worker.send(&lost).await.unwrap();
    worker.send(&next).await.unwrap();
    let needs: Overview = world.get(people::OVERVIEW).await.unwrap();
    let said = |words: &str| {
        let all = needs.needs_person.iter();
        all.map(|need| format!("{} {}", need.title, need.detail))
            .any(|told| told.contains(words))
    };
    assert!(said("restored from an older backup"), "{needs:?}");
    assert!(said("Kahvila 1"), "{needs:?}");
}

#[tokio::test]
async fn r1_an_epoch_that_the_database_never_granted_proves_a_restore_too() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    world.apply(&kahvila(1)).await;
    worker.news().await;
    let (customer, epoch) = (CustomerId(1), worker.epoch(CustomerId(1)));
    let mut journal = Journal::in_memory(customer).unwrap();
    let first = segment(&mut journal, vec![opened(customer, worker.id, epoch)]);
    worker.send(&first).await.unwrap();
    acknowledge(&mut journal, &first);
    let later = lockstep_model::Epoch(epoch.0 + 3);
    let of_then = segment(&mut journal, vec![opened(customer, worker.id, later)]);
    let problem = worker.send(&of_then).await.unwrap_err();
    assert_eq!(problem.code, Code::IncarnationChanged, "{problem}");
    worker.held = Default::default();
    assert_eq!(worker.news().await.incarnation, Incarnation(2));
    worker.send(&of_then).await.unwrap();
}

#[tokio::test]
async fn stopping_ends_the_polls_that_wait() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    worker.news_or_nothing().await;
    let url = world.coordinator.url().to_owned();
    let waiting = tokio::spawn(async move { worker.polls_until_refused(50).await });
    // Until the poll is parked, the worker is not known to be there.
    loop {
        let list: lockstep_protocol::people::workers::WorkerList =
            world.get(people::WORKERS).await.unwrap();
        if list.workers.iter().any(|worker| worker.online) {
            break;
        }
    }
    world.coordinator.shutdown().await;
    let ended = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    let ended = ended.unwrap_or_else(|_| panic!("a poll waits on at {url}"));
    ended.expect("it was refused by the coordinator");
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
