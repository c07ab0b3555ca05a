//! Segments: cut, acknowledged, accepted elsewhere, and refused when anything is wrong with them.

use crate::support::*;
use lockstep_journal::{Hash, Journal, Segment, SegmentError};
use lockstep_model::CustomerId;

/// A journal with three segments of a few entries.
fn three_segments() -> (Journal, Vec<Segment>) {
    let mut journal = journal();
    let mut segments = Vec::new();
    for round in 1..=3 {
        let coffee = product("p1", &["A"], &format!("Coffee {round}"), 720);
        append(
            &mut journal,
            vec![opened(round), merged(round, &coffee, &[ERP], &[WEB])],
        );
        let segment = journal.cut_segment(1 << 20).unwrap().unwrap();
        journal
            .acknowledge(segment.header.sequence, segment.hash)
            .unwrap();
        segments.push(segment);
    }
    (journal, segments)
}

#[test]
fn a_segment_stays_the_same_until_it_is_acknowledged() {
    let mut journal = journal();
    assert!(journal.cut_segment(1 << 20).unwrap().is_none());
    append(&mut journal, vec![opened(1)]);
    let first = journal.cut_segment(1 << 20).unwrap().unwrap();
    append(
        &mut journal,
        vec![merged(1, &product("p", &["A"], "A", 1), &[ERP], &[])],
    );
    assert_eq!(journal.cut_segment(1 << 20).unwrap(), Some(first.clone()));
    assert_eq!(journal.head().unwrap().acknowledged_seq, 0);
    let wrong = journal.acknowledge(1, Hash([9; 32])).unwrap_err();
    assert!(
        matches!(wrong, SegmentError::WrongAcknowledgement { sequence: 1 }),
        "{wrong}"
    );
    journal.acknowledge(1, first.hash).unwrap();
    journal.acknowledge(1, first.hash).unwrap();
    assert_eq!(journal.head().unwrap().acknowledged_seq, 1);
    let second = journal.cut_segment(1 << 20).unwrap().unwrap();
    assert_eq!(second.header.sequence, 2);
    assert_eq!(second.header.previous, first.hash);
    assert_eq!((second.header.first_seq, second.header.last_seq), (2, 2));
    assert_eq!(journal.segment(1).unwrap(), Some(first));
}

#[test]
fn a_segment_is_bounded_but_never_empty() {
    let mut journal = journal();
    let coffee = product("p", &["A"], "A", 1);
    let bodies = (1..=20).map(|n| merged(n, &coffee, &[ERP], &[])).collect();
    append(&mut journal, bodies);
    let small = journal.cut_segment(1).unwrap().unwrap();
    assert_eq!((small.header.first_seq, small.header.last_seq), (1, 1));
    journal.acknowledge(1, small.hash).unwrap();
    let larger = journal.cut_segment(4_000).unwrap().unwrap();
    assert!(larger.header.last_seq > 2);
    assert!(larger.lines_bytes <= 4_000);
}

#[test]
fn a_fresh_disk_becomes_the_lost_one() {
    let (journal, segments) = three_segments();
    let mut restored = self::journal_of_its_own();
    for segment in &segments {
        let decoded = Segment::decode(&segment.encode()).unwrap();
        restored.accept(&decoded).unwrap();
        restored.accept(&decoded).unwrap();
    }
    assert_eq!(
        restored.fingerprints().unwrap(),
        journal.fingerprints().unwrap()
    );
    assert_eq!(restored.head().unwrap(), journal.head().unwrap());
    assert_eq!(restored.counters().unwrap(), journal.counters().unwrap());
    // It goes on where the other ended.
    append(&mut restored, vec![opened(9)]);
    let next = restored.cut_segment(1 << 20).unwrap().unwrap();
    assert_eq!(next.header.sequence, 4);
    assert_eq!(next.header.previous, segments[2].hash);
    assert_eq!(next.header.epoch.0, 9);
}

fn journal_of_its_own() -> Journal {
    journal()
}

#[test]
fn gaps_forks_and_strangers_are_refused() {
    let (_, segments) = three_segments();
    let mut replica = journal();
    let error = replica.accept(&segments[1]).unwrap_err();
    assert!(
        matches!(
            error,
            SegmentError::Gap {
                wanted: 1,
                found: 2
            }
        ),
        "{error}"
    );
    replica.accept(&segments[0]).unwrap();

    let mut other = journal();
    let tea = product("p9", &["T"], "Tea", 1);
    append(&mut other, vec![opened(1), merged(1, &tea, &[ERP], &[])]);
    let fork = other.cut_segment(1 << 20).unwrap().unwrap();
    let error = replica.accept(&fork).unwrap_err();
    assert!(
        matches!(error, SegmentError::Forked { sequence: 1 }),
        "{error}"
    );
    other.acknowledge(1, fork.hash).unwrap();
    append(&mut other, vec![opened(2)]);
    let fork = other.cut_segment(1 << 20).unwrap().unwrap();
    let error = replica.accept(&fork).unwrap_err();
    assert!(
        matches!(error, SegmentError::BrokenChain { sequence: 2 }),
        "{error}"
    );

    let mut stranger = Journal::in_memory(CustomerId(8)).unwrap();
    let error = stranger.accept(&segments[0]).unwrap_err();
    assert!(
        matches!(error, SegmentError::WrongCustomer { .. }),
        "{error}"
    );
    assert_eq!(replica.head().unwrap().seq, 2);
}

#[test]
fn a_segment_of_an_older_epoch_is_refused() {
    let (_, segments) = three_segments();
    let mut replica = journal();
    replica.accept(&segments[0]).unwrap();
    replica.accept(&segments[1]).unwrap();
    // The first owner, back from the dead, cuts on from where it was.
    let mut old = journal();
    old.accept(&segments[0]).unwrap();
    append(
        &mut old,
        vec![merged(5, &product("p", &["A"], "A", 1), &[ERP], &[])],
    );
    let late = old.cut_segment(1 << 20).unwrap().unwrap();
    let error = replica.accept(&late).unwrap_err();
    assert!(
        matches!(error, SegmentError::Forked { sequence: 2 }),
        "{error}"
    );
    let mut forged = late;
    forged.header.sequence = 3;
    forged.header.previous = segments[1].hash;
    let error = replica.accept(&forged).unwrap_err();
    assert!(matches!(error, SegmentError::WrongHash), "{error}");
}

#[test]
fn a_changed_entry_is_noticed_and_nothing_of_it_is_kept() {
    let (_, segments) = three_segments();
    let mut tampered = segments[0].clone();
    let lines = String::from_utf8(tampered.lines().unwrap()).unwrap();
    let lines = lines.replace("Coffee 1", "Coffee 9");
    tampered.body = zstd::bulk::compress(lines.as_bytes(), 3).unwrap().into();
    let mut replica = journal();
    let error = replica.accept(&tampered).unwrap_err();
    assert!(matches!(error, SegmentError::WrongHash), "{error}");
    assert_eq!(replica.head().unwrap().seq, 0);
    assert!(Segment::decode(&tampered.encode()).is_err());
}

#[test]
fn a_cut_that_was_refused_for_its_epoch_is_cut_again() {
    let mut journal = journal();
    append(&mut journal, vec![opened(1)]);
    let old = journal.cut_segment(1 << 20).unwrap().unwrap();
    append(&mut journal, vec![opened(2)]);
    journal.cut_again().unwrap();
    let new = journal.cut_segment(1 << 20).unwrap().unwrap();
    assert_eq!(new.header.sequence, old.header.sequence);
    assert_eq!((old.header.epoch.0, new.header.epoch.0), (1, 2));
    assert_eq!(new.header.last_seq, 2);
}

#[test]
fn a_wiped_journal_is_as_a_new_one() {
    let (used, segments) = three_segments();
    let mut wiped = used.wiped().unwrap();
    let fresh = journal();
    assert_eq!(wiped.fingerprints().unwrap(), fresh.fingerprints().unwrap());
    assert_eq!(wiped.head().unwrap(), fresh.head().unwrap());
    assert_eq!(wiped.counters().unwrap(), fresh.counters().unwrap());
    wiped.accept_all(&segments).unwrap();
    assert_eq!(wiped.head().unwrap().segment, Some((3, segments[2].hash)));
}
