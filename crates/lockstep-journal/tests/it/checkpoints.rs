//! Checkpoints: a file made of one and of the segments after it is the file that was lost, and a wrong one is none.

use crate::projections::{SKUS, live, step};
use crate::support::*;
use lockstep_journal::{
    Checkpoint, CheckpointError, Hash, Journal, Making, Segment, SegmentError, Unpacking,
};
use lockstep_model::entry::Subject;
use lockstep_model::{CustomerId, Kind, RecordId};
use proptest::prelude::*;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A worker's journal, and what its coordinator has of it.
struct World {
    folder: TempDir,
    journal: Journal,
    segments: Vec<Segment>,
}

impl World {
    fn new() -> Self {
        World {
            folder: tempfile::tempdir().unwrap(),
            journal: journal(),
            segments: Vec::new(),
        }
    }

    /// Three segments of a few entries.
    fn of_three_segments() -> Self {
        let mut world = World::new();
        for round in 1..=3 {
            let coffee = product("p1", &["A"], &format!("Coffee {round}"), 720);
            append(
                &mut world.journal,
                vec![opened(round), merged(round, &coffee, &[ERP], &[WEB])],
            );
            world.ship();
        }
        world
    }

    fn ship(&mut self) {
        while let Some(segment) = self.journal.cut_segment(2_000).unwrap() {
            let sequence = segment.header.sequence;
            self.journal.acknowledge(sequence, segment.hash).unwrap();
            self.segments.push(segment);
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn replica(&self) -> PathBuf {
        self.path("replica")
    }

    /// The replica takes what it has not yet, up to this many segments.
    fn follow(&self, upto: usize) {
        let mut replica = Journal::open(&self.replica(), CUSTOMER).unwrap();
        replica.accept_all(&self.segments[..upto]).unwrap();
    }

    fn make(&self) -> (Checkpoint, Vec<u8>) {
        let to = self.path("checkpoint");
        let making = Making::of(&self.replica(), CUSTOMER).unwrap();
        let checkpoint = making.write(&to).unwrap().unwrap();
        let bytes = std::fs::read(&to).unwrap();
        assert_eq!(checkpoint.bytes, bytes.len() as u64);
        std::fs::remove_file(&to).unwrap();
        (checkpoint, bytes)
    }

    fn unpack(&self, checkpoint: &Checkpoint, bytes: &[u8]) -> Result<PathBuf, CheckpointError> {
        let to = self.path("restored");
        let _none = std::fs::remove_file(&to);
        unpack(&to, checkpoint, bytes)?;
        Ok(to)
    }
}

fn unpack(to: &Path, checkpoint: &Checkpoint, bytes: &[u8]) -> Result<(), CheckpointError> {
    let mut unpacking = Unpacking::begin(to, *checkpoint)?;
    // In pieces that end nowhere in particular.
    for piece in bytes.chunks(61) {
        unpacking.take(piece)?;
    }
    unpacking.finish()
}

/// As its maker would have announced these bytes.
fn announced_anew(checkpoint: &Checkpoint, bytes: &[u8]) -> Checkpoint {
    use sha2::Digest;
    Checkpoint {
        bytes: bytes.len() as u64,
        sha256: Hash(sha2::Sha256::digest(bytes).into()),
        ..*checkpoint
    }
}

/// To the engine and to people, the two are one.
fn assert_the_same(one: &Journal, other: &Journal) {
    assert_eq!(one.head().unwrap(), other.head().unwrap());
    assert_eq!(one.counters().unwrap(), other.counters().unwrap());
    assert_eq!(one.fingerprints().unwrap(), other.fingerprints().unwrap());
    assert_eq!(
        one.load_stock(None, 100, false).unwrap(),
        other.load_stock(None, 100, false).unwrap()
    );
    assert_eq!(
        one.load_catalogue(Kind::Product, None, 100, at(5)).unwrap(),
        other
            .load_catalogue(Kind::Product, None, 100, at(5))
            .unwrap()
    );
    assert_eq!(
        one.load_orders(None, 100, at(5), &[ERP]).unwrap(),
        other.load_orders(None, 100, at(5), &[ERP]).unwrap()
    );
    for record in (1..5).map(RecordId) {
        assert_eq!(
            one.record_view(record).unwrap(),
            other.record_view(record).unwrap()
        );
        let subject = Subject::Record(record);
        assert_eq!(
            one.history(&subject, None, 10).unwrap(),
            other.history(&subject, None, 10).unwrap()
        );
    }
    for sku in SKUS {
        let sku = sku.into();
        assert_eq!(one.ledger(&sku).unwrap(), other.ledger(&sku).unwrap());
    }
    assert_eq!(
        one.orders(None, 10).unwrap(),
        other.orders(None, 10).unwrap()
    );
    assert_eq!(one.runs(None, 10).unwrap(), other.runs(None, 10).unwrap());
    assert_eq!(one.asides(10).unwrap(), other.asides(10).unwrap());
    assert_eq!(
        one.conflicts(None, 10).unwrap(),
        other.conflicts(None, 10).unwrap()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_checkpoint_and_the_segments_after_it_are_the_whole_replayed(
        steps in prop::collection::vec(step(), 1..12),
        at_segment: prop::sample::Index,
    ) {
        let mut world = World::new();
        live(&mut world.journal, vec![opened(1)], false);
        for (bodies, settles) in steps {
            live(&mut world.journal, bodies, settles);
            world.ship();
        }
        let upto = at_segment.index(world.segments.len()) + 1;
        world.follow(upto);
        let (checkpoint, bytes) = world.make();
        let last = &world.segments[upto - 1];
        prop_assert_eq!((checkpoint.head.sequence, checkpoint.head.hash), (last.header.sequence, last.hash));

        let restored = world.unpack(&checkpoint, &bytes).unwrap();
        let mut restored = Journal::open(&restored, CUSTOMER).unwrap();
        // The last one is offered again: it proves that the checkpoint stands in the chain.
        restored.accept_all(&world.segments[upto - 1..]).unwrap();
        let mut whole = Journal::open(&world.path("whole"), CUSTOMER).unwrap();
        whole.accept_all(&world.segments).unwrap();
        assert_the_same(&restored, &whole);

        // And both go on alike: an owner opens them, appends, cuts and ships.
        for journal in [&mut restored, &mut whole] {
            journal.cut_again().unwrap();
            append(journal, vec![opened(9), merged(4, &product("p4", &["A"], "Tea", 3), &[WEB], &[ERP])]);
        }
        let next = restored.cut_segment(1 << 20).unwrap().unwrap();
        let same = whole.cut_segment(1 << 20).unwrap().unwrap();
        prop_assert_eq!(&same, &next);
        prop_assert_eq!(next.header.sequence, world.segments.len() as u64 + 1);
        for journal in [&mut restored, &mut whole] {
            journal.acknowledge(next.header.sequence, next.hash).unwrap();
        }
        assert_the_same(&restored, &whole);
        for sequence in 1..=next.header.sequence {
            prop_assert_eq!(restored.segment(sequence).unwrap(), whole.segment(sequence).unwrap());
        }
    }
}

#[test]
fn a_replica_without_a_segment_makes_no_checkpoint() {
    let world = World::new();
    world.follow(0);
    let making = Making::of(&world.replica(), CUSTOMER).unwrap();
    assert_eq!(making.write(&world.path("checkpoint")).unwrap(), None);
    let left = std::fs::read_dir(world.folder.path()).unwrap();
    let names: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 1, "the replica alone: {names:?}");
}

#[test]
fn a_checkpoint_is_made_while_the_replica_is_read_and_written() {
    let world = World::of_three_segments();
    world.follow(1);
    let mut writer = Journal::open(&world.replica(), CUSTOMER).unwrap();
    let reader = Journal::open(&world.replica(), CUSTOMER).unwrap();
    let making = Making::of(&world.replica(), CUSTOMER).unwrap();
    writer.accept(&world.segments[1]).unwrap();
    let checkpoint = making.write(&world.path("one")).unwrap().unwrap();
    assert_eq!(checkpoint.head.sequence, 2);
    writer.accept(&world.segments[2]).unwrap();
    assert_eq!(reader.head().unwrap(), writer.head().unwrap());
}

#[test]
fn one_that_is_stopped_leaves_nothing_that_could_be_taken_for_a_checkpoint() {
    let world = World::of_three_segments();
    world.follow(3);
    let making = Making::of(&world.replica(), CUSTOMER).unwrap();
    making.stopper().stop();
    let error = making.write(&world.path("checkpoint")).unwrap_err();
    assert!(matches!(error, CheckpointError::Stopped), "{error}");
    assert!(!world.path("checkpoint.copy").exists());
}

#[test]
fn a_damaged_checkpoint_is_refused_wherever_the_damage_is() {
    let world = World::of_three_segments();
    world.follow(3);
    let (checkpoint, bytes) = world.make();
    world.unpack(&checkpoint, &bytes).unwrap();
    for at in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        assert!(world.unpack(&checkpoint, &damaged).is_err(), "byte {at}");
    }
    for length in [0, 10, 100, bytes.len() / 2, bytes.len() - 1] {
        let cut = &bytes[..length];
        assert!(world.unpack(&checkpoint, cut).is_err(), "{length} bytes");
    }
    // Even if it was cut off before its length and its hash were told. (The last bytes say no more than that it ends.)
    for length in [0, 10, 100, bytes.len() / 2, bytes.len() - 20] {
        let cut = &bytes[..length];
        let announced = announced_anew(&checkpoint, cut);
        assert!(world.unpack(&announced, cut).is_err(), "{length} bytes");
    }
    let longer = [bytes.as_slice(), b"and more"].concat();
    let error = world.unpack(&checkpoint, &longer).unwrap_err();
    assert!(
        matches!(error, CheckpointError::NotAsAnnounced { what: "length" }),
        "{error}"
    );
}

#[test]
fn a_checkpoint_of_another_customer_or_of_another_segment_is_refused() {
    let world = World::of_three_segments();
    world.follow(2);
    let (checkpoint, bytes) = world.make();
    let mut others = [checkpoint; 5];
    others[0].head.customer = CustomerId(8);
    others[1].head.sequence += 1;
    others[2].head.hash = world.segments[2].hash;
    others[3].head.epoch.0 += 1;
    others[4].head.incarnation.0 += 1;
    for other in others {
        let error = world.unpack(&other, &bytes).unwrap_err();
        assert!(
            matches!(error, CheckpointError::NotAsAnnounced { what: "segment" }),
            "{error}"
        );
    }
    // Also if its own header is made to say so: the file inside is another's.
    let mut forged = bytes.clone();
    forged[13] = 8;
    let mut announced = announced_anew(&checkpoint, &forged);
    announced.head.customer = CustomerId(8);
    let error = world.unpack(&announced, &forged).unwrap_err();
    assert!(
        matches!(error, CheckpointError::WrongCustomer { .. }),
        "{error}"
    );
}

/// A checkpoint of a replica that something was done to.
fn of_a_changed_replica(change: &str) -> CheckpointError {
    let world = World::of_three_segments();
    world.follow(3);
    let file = Connection::open(world.replica()).unwrap();
    file.execute_batch(change).unwrap();
    drop(file);
    let making = Making::of(&world.replica(), CUSTOMER).unwrap();
    let error = making.write(&world.path("checkpoint")).unwrap_err();
    assert!(!world.path("checkpoint").exists(), "{error}");
    error
}

#[test]
fn entries_that_the_chain_does_not_know_make_no_checkpoint() {
    for change in [
        "UPDATE entry SET line = replace(line, 'Coffee 1', 'Coffee 9')",
        "DELETE FROM entry WHERE seq = 2",
        "DELETE FROM segment WHERE sequence = 2",
        "UPDATE segment SET acknowledged = 0 WHERE sequence = 3",
        "UPDATE segment SET epoch = 9 WHERE sequence = 2",
    ] {
        let error = of_a_changed_replica(change);
        assert!(
            matches!(error, CheckpointError::Chain(_)),
            "{change}: {error}"
        );
    }
    for change in [
        "INSERT INTO entry SELECT max(seq) + 1, line FROM entry",
        "CREATE TABLE other(a)",
        "ALTER TABLE level DROP COLUMN gone",
        "CREATE TRIGGER t AFTER INSERT ON entry BEGIN DELETE FROM head; END",
    ] {
        let error = of_a_changed_replica(change);
        assert!(
            matches!(error, CheckpointError::Malformed { .. }),
            "{change}: {error}"
        );
    }
    let error = of_a_changed_replica("UPDATE meta SET value = 2 WHERE name = 'format'");
    assert!(
        matches!(error, CheckpointError::OtherFormat { found: 2, .. }),
        "{error}"
    );
}

#[test]
fn a_file_with_keys_of_buyers_is_never_a_checkpoint() {
    let error = of_a_changed_replica(
        "INSERT INTO person_key(order_key, key) VALUES ('lockstep:7:2:o1', x'00')",
    );
    assert!(
        matches!(
            error,
            CheckpointError::NotShared {
                table: "person_key"
            }
        ),
        "{error}"
    );
}

#[test]
fn a_segment_that_does_not_follow_a_checkpoint_is_refused() {
    let world = World::of_three_segments();
    world.follow(2);
    let (checkpoint, bytes) = world.make();
    let restored = world.unpack(&checkpoint, &bytes).unwrap();
    let mut restored = Journal::open(&restored, CUSTOMER).unwrap();
    let mut other = World::of_three_segments();
    let tea = product("p9", &["T"], "Tea", 1);
    append(&mut other.journal, vec![merged(9, &tea, &[ERP], &[])]);
    other.ship();
    // The same history to the third segment, so to speak of another world after it.
    let mut fork = journal();
    fork.accept(&world.segments[0]).unwrap();
    append(&mut fork, vec![opened(2), merged(9, &tea, &[ERP], &[])]);
    let second = fork.cut_segment(1 << 20).unwrap().unwrap();
    fork.acknowledge(2, second.hash).unwrap();
    append(&mut fork, vec![opened(3)]);
    let third = fork.cut_segment(1 << 20).unwrap().unwrap();
    let error = restored.accept(&second).unwrap_err();
    assert!(
        matches!(error, SegmentError::Forked { sequence: 2 }),
        "{error}"
    );
    let error = restored.accept(&third).unwrap_err();
    assert!(
        matches!(error, SegmentError::BrokenChain { sequence: 3 }),
        "{error}"
    );
    restored.accept(&world.segments[2]).unwrap();
}

#[test]
fn a_checkpoint_from_before_an_erasure_brings_nobody_back() {
    let mut world = World::new();
    let order_key = key(WEB, "o1");
    append(
        &mut world.journal,
        vec![opened(1), order_seen(WEB, &order_key, state("o1", vec![]))],
    );
    world.ship();
    world.follow(1);
    let (checkpoint, bytes) = world.make();
    world
        .journal
        .erase_buyers(at(1), std::slice::from_ref(&order_key), Some("operator"))
        .unwrap();
    world.ship();

    let path = world.unpack(&checkpoint, &bytes).unwrap();
    let mut restored = Journal::open(&path, CUSTOMER).unwrap();
    // Not even before the erasure is taken in: the key was never there.
    assert_eq!(restored.person(&order_key).unwrap(), None);
    restored.accept_all(&world.segments[1..]).unwrap();
    assert_eq!(restored.person(&order_key).unwrap(), None);
    let view = restored.order_view(&order_key).unwrap().unwrap();
    assert_eq!(view.erased, Some((at(1), Some("operator".into()))));
    assert_eq!(restored.buyers_unreadable().unwrap(), 0);
    drop(restored);
    let sealed: i64 = Connection::open(&path)
        .unwrap()
        .query_row(
            "SELECT count(*) FROM known_order WHERE sealed IS NOT NULL",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(sealed, 0);
}

#[cfg(unix)]
#[test]
fn a_checkpoint_and_what_is_made_of_it_are_for_their_owners_eyes_alone() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::of_three_segments();
    world.follow(3);
    let to = world.path("one");
    let making = Making::of(&world.replica(), CUSTOMER).unwrap();
    let checkpoint = making.write(&to).unwrap().unwrap();
    let bytes = std::fs::read(&to).unwrap();
    let restored = world.unpack(&checkpoint, &bytes).unwrap();
    for path in [to, restored] {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}
