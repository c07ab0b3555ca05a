//! Checkpoints: made as a journal grows, given to its owner as far as they stand in the chain, the newest two kept.

use crate::{
    platform::registry,
    worker::{TestWorker, acknowledge, header, opened, segment},
    world::{World, kahvila},
};
use lockstep_coordinator::{CoordinatorConfig, start};
use lockstep_journal::{Checkpoint, CheckpointHead, Hash, Journal, Segment, Unpacking};
use lockstep_model::{CustomerId, Lane, Revision, RunId, entry::Body, entry::Cause};
use lockstep_protocol::{Code, Problem, checkpoint::CheckpointHeader};
use std::path::{Path, PathBuf};

const CUSTOMER: CustomerId = CustomerId(1);

/// A world whose checkpoints are made with every segment, or never.
async fn world(always: bool) -> World {
    let mut world = World::new().await;
    if always {
        world = restarted(world, 1).await;
    }
    world
}

async fn restarted(world: World, checkpoint_after_bytes: u64) -> World {
    let World {
        coordinator,
        client,
        login,
        folder,
    } = world;
    coordinator.shutdown().await;
    let mut config = CoordinatorConfig::local(folder.path(), registry());
    config.checkpoint_after_bytes = checkpoint_after_bytes;
    World {
        coordinator: start(config).await.unwrap(),
        client,
        login,
        folder,
    }
}

/// The owner of a customer with a first segment.
async fn owner(world: &World) -> (TestWorker, Journal, Vec<Segment>) {
    let mut worker = TestWorker::confirmed(world, "one").await;
    world.apply(&kahvila(1)).await;
    worker.news().await;
    let mut journal = Journal::in_memory(CUSTOMER).unwrap();
    let epoch = worker.epoch(CUSTOMER);
    let first = segment(&mut journal, vec![opened(CUSTOMER, worker.id, epoch)]);
    worker.send(&first).await.unwrap();
    acknowledge(&mut journal, &first);
    (worker, journal, vec![first])
}

async fn goes_on(worker: &TestWorker, journal: &mut Journal, run: u64) -> Segment {
    let started = Body::RunStarted {
        run: RunId(run),
        lane: Lane::Catalogue,
        revision: Revision(1),
        causes: vec![Cause::Schedule],
    };
    let next = segment(journal, vec![started]);
    worker.send(&next).await.unwrap();
    acknowledge(journal, &next);
    next
}

/// Asks until the answer is the awaited one: checkpoints follow the segments within moments.
async fn until(
    worker: &TestWorker,
    is_so: impl Fn(&Result<(CheckpointHeader, Vec<u8>), Problem>) -> bool,
) -> Result<(CheckpointHeader, Vec<u8>), Problem> {
    let begun = std::time::Instant::now();
    loop {
        let asked = worker.checkpoint(CUSTOMER).await;
        if is_so(&asked) {
            return asked;
        }
        let told = asked.map(|(told, _)| told);
        assert!(begun.elapsed().as_secs() < 20, "{told:?}");
        tokio::task::yield_now().await;
    }
}

async fn until_up_to(worker: &TestWorker, segment: &Segment) -> (CheckpointHeader, Vec<u8>) {
    let wanted = header(segment).head();
    until(worker, |asked| {
        asked.as_ref().is_ok_and(|(told, _)| told.head == wanted)
    })
    .await
    .unwrap()
}

fn files(world: &World) -> Vec<PathBuf> {
    let folder = world.folder.path().join("checkpoints");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|ending| ending == "checkpoint")
    });
    files.sort();
    files
}

fn unpack(to: &Path, told: &CheckpointHeader, bytes: &[u8]) -> Journal {
    let announced = Checkpoint {
        head: CheckpointHead {
            customer: CUSTOMER,
            incarnation: told.head.incarnation,
            epoch: told.head.epoch,
            sequence: told.head.sequence,
            hash: Hash(told.head.hash.0),
        },
        bytes: told.bytes,
        sha256: Hash(told.sha256.0),
    };
    let mut unpacking = Unpacking::begin(to, announced).unwrap();
    unpacking.take(bytes).unwrap();
    unpacking.finish().unwrap();
    Journal::open(to, CUSTOMER).unwrap()
}

#[tokio::test]
async fn a_customer_without_a_checkpoint_says_so() {
    let world = world(false).await;
    let (worker, ..) = owner(&world).await;
    let problem = worker.checkpoint(CUSTOMER).await.unwrap_err();
    assert_eq!((problem.status, problem.code), (404, Code::NotFound));
}

#[tokio::test]
async fn a_checkpoint_is_made_as_the_journal_grows_and_the_newest_two_are_kept() {
    let world = world(true).await;
    let (worker, mut journal, segments) = owner(&world).await;
    until_up_to(&worker, &segments[0]).await;
    let mut last = segments[0].clone();
    for run in 1..=3 {
        last = goes_on(&worker, &mut journal, run).await;
        until_up_to(&worker, &last).await;
    }
    let (told, bytes) = until_up_to(&worker, &last).await;
    assert_eq!(told.bytes, bytes.len() as u64);
    let restored = unpack(&world.folder.path().join("restored"), &told, &bytes);
    assert_eq!(restored.head().unwrap(), journal.head().unwrap());
    assert_eq!(
        restored.fingerprints().unwrap(),
        journal.fingerprints().unwrap()
    );
    assert_eq!(files(&world).len(), 2);
}

#[tokio::test]
async fn nobody_but_the_owner_is_given_a_checkpoint() {
    let world = world(true).await;
    let (worker, _, segments) = owner(&world).await;
    until_up_to(&worker, &segments[0]).await;
    let mut other = TestWorker::confirmed(&world, "two").await;
    other.news_or_nothing().await;
    let problem = other.checkpoint(CUSTOMER).await.unwrap_err();
    assert_eq!(problem.code, Code::OldEpoch);
}

#[tokio::test]
async fn a_checkpoint_outlives_a_restart_and_pieces_of_one_do_not() {
    let world = world(true).await;
    let (mut worker, _, segments) = owner(&world).await;
    until_up_to(&worker, &segments[0]).await;
    let piece = world.folder.path().join("checkpoints").join("1.new");
    std::fs::write(&piece, b"half").unwrap();
    let world = restarted(world, u64::MAX).await;
    worker.base = world.coordinator.url().to_owned();
    until_up_to(&worker, &segments[0]).await;
    assert!(!piece.exists());
}

#[tokio::test]
async fn what_came_while_nobody_looked_counts_at_the_next_start() {
    let world = world(false).await;
    let (mut worker, _, segments) = owner(&world).await;
    assert!(worker.checkpoint(CUSTOMER).await.is_err());
    let world = restarted(world, 1).await;
    worker.base = world.coordinator.url().to_owned();
    until_up_to(&worker, &segments[0]).await;
}

#[tokio::test]
async fn a_damaged_checkpoint_is_given_to_nobody_and_made_anew() {
    let world = world(true).await;
    let (worker, mut journal, segments) = owner(&world).await;
    until_up_to(&worker, &segments[0]).await;
    let second = goes_on(&worker, &mut journal, 1).await;
    let (sound, _) = until_up_to(&worker, &second).await;
    let damaged = files(&world);
    for file in &damaged {
        let mut bytes = std::fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(file, bytes).unwrap();
    }
    // None, until there is a good one.
    let (told, bytes) = until_up_to(&worker, &second).await;
    assert_eq!(told.bytes, bytes.len() as u64);
    let restored = unpack(&world.folder.path().join("restored"), &told, &bytes);
    assert_eq!(restored.head().unwrap(), journal.head().unwrap());
    assert_eq!(sound.head, told.head);
}

#[tokio::test]
async fn a_checkpoint_of_another_chain_is_given_to_nobody() {
    let first = world(true).await;
    let (worker, _, segments) = owner(&first).await;
    until_up_to(&worker, &segments[0]).await;
    // The same customer at another coordinator, whose disk is given the first one's checkpoint: as after a backup.
    let second = world(false).await;
    let (mut worker, _, other) = owner(&second).await;
    assert_ne!(header(&segments[0]).hash, header(&other[0]).hash);
    let folder = second.folder.path().join("checkpoints");
    for file in files(&first) {
        std::fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
    }
    let second = restarted(second, u64::MAX).await;
    worker.base = second.coordinator.url().to_owned();
    let problem = worker.checkpoint(CUSTOMER).await.unwrap_err();
    assert_eq!(problem.code, Code::NotFound);
    // And it is in nobody's way.
    let second = restarted(second, 1).await;
    worker.base = second.coordinator.url().to_owned();
    until_up_to(&worker, &other[0]).await;
    assert_eq!(files(&second).len(), 1);
}
