//! Taking over with a checkpoint: as far as it stands in the coordinator's chain, and without one as ever.

use crate::coordinator::Made;
use crate::shop::{CUSTOMER, ERP, WEB};
use crate::sync::{Stage, stage, units};
use lockstep_journal::{Hash, Journal};
use lockstep_protocol::segment::SegmentHash;
use lockstep_worker::{Exit, sync_once};
use sha2::Digest;
use std::path::Path;

/// A customer with a past, whose worker is gone.
async fn orphaned() -> Stage {
    let stage = stage(true).await;
    stage.settle().await;
    stage.mall.with(WEB, |shop| shop.buy("KH-4"));
    stage.settle().await;
    stage.coordinator.next_epoch(CUSTOMER);
    stage
}

fn made(stage: &Stage, upto: usize) -> Made {
    let journal = stage
        .coordinator
        .with(|mind| mind.journals[&CUSTOMER].clone());
    Made::of(&journal, upto, CUSTOMER)
}

fn segments(stage: &Stage) -> u64 {
    stage
        .coordinator
        .with(|mind| mind.journals[&CUSTOMER].len()) as u64
}

/// Another worker takes over, knows all that the old one knew, and is told what it was given: segments, in order.
async fn takes_over(stage: &Stage) -> (Vec<u64>, tempfile::TempDir) {
    let writes = stage.pushes();
    let other = tempfile::tempdir().unwrap();
    let outcome = sync_once(stage.config_at(other.path())).await;
    assert_eq!(outcome.exit, Exit::Done, "{outcome:?}");
    assert_eq!(
        stage.pushes(),
        writes,
        "the new worker knows what the old one knew"
    );
    assert_eq!(stage.units("KH-4"), units(9));
    let given = stage
        .coordinator
        .with(|mind| std::mem::take(&mut mind.given));
    is_the_whole_replayed(stage, other.path());
    (given, other)
}

/// The file of a worker is the one that all segments make.
fn is_the_whole_replayed(stage: &Stage, data: &Path) {
    let journal = stage
        .coordinator
        .with(|mind| mind.journals[&CUSTOMER].clone());
    let mut whole = Journal::in_memory(CUSTOMER).unwrap();
    for (_, body) in &journal {
        whole
            .accept(&lockstep_journal::Segment::decode(body).unwrap())
            .unwrap();
    }
    let customers = data.join("customers");
    let file = Journal::open(&customers.join(format!("{CUSTOMER}.journal")), CUSTOMER).unwrap();
    assert_eq!(file.head().unwrap(), whole.head().unwrap());
    assert_eq!(file.fingerprints().unwrap(), whole.fingerprints().unwrap());
    drop(file);
    let left = std::fs::read_dir(customers).unwrap();
    let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = names.filter(|name| name.contains("restor")).collect();
    assert!(names.is_empty(), "{names:?}");
}

#[tokio::test]
async fn a_take_over_begins_with_the_checkpoint_and_takes_the_segments_after_it() {
    let stage = orphaned().await;
    let last = segments(&stage);
    let upto = last - 2;
    let made = made(&stage, upto as usize);
    stage.coordinator.with(|mind| mind.checkpoint = Some(made));
    let (given, _) = takes_over(&stage).await;
    // Its own last one, which proves that it stands in the chain, and what came after.
    assert_eq!(given, [upto, upto + 1, last]);
}

#[tokio::test]
async fn a_checkpoint_up_to_the_last_segment_is_enough() {
    let stage = orphaned().await;
    let last = segments(&stage);
    let made = made(&stage, last as usize);
    stage.coordinator.with(|mind| mind.checkpoint = Some(made));
    let (given, _) = takes_over(&stage).await;
    assert_eq!(given, [last]);
}

#[tokio::test]
async fn who_comes_back_with_its_disk_asks_for_no_checkpoint() {
    let stage = orphaned().await;
    let made = made(&stage, 1);
    stage.coordinator.with(|mind| {
        mind.checkpoint = Some(made);
        mind.checkpoints_asked = 0;
    });
    let outcome = stage.round().await;
    assert_eq!(outcome.exit, Exit::Done, "{outcome:?}");
    assert_eq!(stage.coordinator.with(|mind| mind.checkpoints_asked), 0);
}

#[tokio::test]
async fn a_disk_that_is_set_aside_is_replaced_from_the_checkpoint() {
    let mut stage = stage(false).await;
    stage.settle().await;
    // Something that the coordinator never hears of, while another worker goes on.
    stage.coordinator.go_away().await;
    stage.mall.with(ERP, |shop| shop.add("KH-6", 3, 3));
    stage.round().await;
    stage.coordinator.come_back().await;
    stage.coordinator.next_epoch(CUSTOMER);
    let other = tempfile::tempdir().unwrap();
    sync_once(stage.config_at(other.path())).await;
    stage.coordinator.next_epoch(CUSTOMER);
    let last = segments(&stage);
    let made = made(&stage, last as usize);
    stage.coordinator.with(|mind| {
        mind.checkpoint = Some(made);
        mind.given.clear();
        mind.checkpoints_asked = 0;
    });
    stage.settle().await;
    assert_eq!(stage.coordinator.with(|mind| mind.checkpoints_asked), 1);
    let given = stage.coordinator.with(|mind| mind.given.clone());
    let own = given.iter().filter(|sequence| **sequence < last);
    assert!(
        own.count() <= 2,
        "only those that showed the fork: {given:?}"
    );
    assert_eq!(stage.units("KH-6"), units(3));
}

#[tokio::test]
async fn a_wrong_checkpoint_leads_to_the_replay_of_all_segments() {
    let stage = orphaned().await;
    let upto = segments(&stage) as usize - 1;
    let good = made(&stage, upto);

    let mut flipped = good.clone();
    let middle = flipped.bytes.len() / 2;
    flipped.bytes[middle] ^= 1;

    let mut cut = good.clone();
    cut.bytes.truncate(middle);

    let mut longer = good.clone();
    longer.bytes.extend(b"and more");

    let mut of_another_segment = good.clone();
    of_another_segment.told.head.hash = SegmentHash([9; 32]);

    let mut of_a_newer_format = good.clone();
    of_a_newer_format.bytes[5] = 99;
    let sha256 = sha2::Sha256::digest(&of_a_newer_format.bytes);
    of_a_newer_format.told.sha256 = SegmentHash(sha256.into());

    let mut beyond_any_bound = good.clone();
    beyond_any_bound.told.bytes = u64::MAX;

    for (what, wrong) in [
        ("flipped", flipped),
        ("cut", cut),
        ("longer", longer),
        ("of another segment", of_another_segment),
        ("of a newer format", of_a_newer_format),
        ("beyond any bound", beyond_any_bound),
    ] {
        stage.coordinator.next_epoch(CUSTOMER);
        let last = segments(&stage);
        stage.coordinator.with(|mind| {
            mind.checkpoint = Some(wrong);
            mind.given.clear();
        });
        let (given, _) = takes_over(&stage).await;
        let all: Vec<u64> = (1..=last).collect();
        assert_eq!(given, all, "{what}");
    }
}

/// The coordinator's database was restored from a backup; its disk has a checkpoint of what is gone.
#[tokio::test]
async fn a_checkpoint_that_is_not_in_the_chain_counts_for_nothing() {
    let stage = orphaned().await;
    let last = segments(&stage);
    let good = made(&stage, last as usize);
    // Shorter than the checkpoint, and as long but another.
    let strange = Made::of(&another_chain(), 1, CUSTOMER);
    let shorter = stage.coordinator.with(|mind| {
        let journal = mind.journals.get_mut(&CUSTOMER).unwrap();
        journal.pop();
        journal.len() as u64
    });
    for wrong in [good, strange] {
        stage.coordinator.next_epoch(CUSTOMER);
        let all: Vec<u64> = (1..=segments(&stage)).collect();
        assert!(all.len() as u64 >= shorter);
        stage.coordinator.with(|mind| {
            mind.checkpoint = Some(wrong);
            mind.given.clear();
        });
        let other = tempfile::tempdir().unwrap();
        let outcome = sync_once(stage.config_at(other.path())).await;
        assert!(
            matches!(outcome.exit, Exit::Done | Exit::Failed),
            "{outcome:?}"
        );
        let given = stage.coordinator.with(|mind| mind.given.clone());
        let replayed = &given[given.len() - all.len()..];
        assert_eq!(replayed, all, "{given:?}");
        is_the_whole_replayed(&stage, other.path());
    }
}

/// One segment of the same customer that nobody here knows.
fn another_chain() -> Vec<(lockstep_protocol::segment::SegmentHeader, axum::body::Bytes)> {
    use lockstep_model::cases::Also;
    use lockstep_model::entry::Body;
    use lockstep_model::{Epoch, Incarnation};
    let mut journal = Journal::in_memory(CUSTOMER).unwrap();
    let opened = Body::Opened {
        customer: CUSTOMER,
        incarnation: Incarnation(1),
        epoch: Epoch(1),
        worker: None,
    };
    let at = jiff::Timestamp::UNIX_EPOCH;
    journal.append(at, vec![opened], Also::default()).unwrap();
    let segment = journal.cut_segment(1 << 20).unwrap().unwrap();
    let hash = |hash: Hash| SegmentHash(hash.0);
    let header = lockstep_protocol::segment::SegmentHeader {
        customer: CUSTOMER,
        incarnation: Incarnation(1),
        epoch: Epoch(1),
        sequence: 1,
        previous: hash(Hash::ZERO),
        hash: hash(segment.hash),
    };
    vec![(header, segment.encode())]
}

#[tokio::test]
async fn a_checkpoint_that_breaks_off_is_fetched_again_and_not_for_ever() {
    let stage = orphaned().await;
    let last = segments(&stage);
    let made = made(&stage, last as usize);
    stage.coordinator.with(|mind| {
        mind.checkpoint = Some(made);
        mind.breaks_off = 1;
    });
    let (given, _) = takes_over(&stage).await;
    assert_eq!(given, [last], "the second try brought it");
    stage.coordinator.next_epoch(CUSTOMER);
    let all: Vec<u64> = (1..=segments(&stage)).collect();
    stage.coordinator.with(|mind| mind.breaks_off = usize::MAX);
    let (given, _) = takes_over(&stage).await;
    assert_eq!(given, all);
}
