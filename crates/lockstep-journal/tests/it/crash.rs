//! What a crash in the middle leaves.

use crate::support::*;
use lockstep_journal::{Journal, PlanRow};
use lockstep_model::cases::{Also, Consumed};
use lockstep_model::entry::Body;
use lockstep_model::{Kind, Record};

/// The bytes on disk at one moment, opened elsewhere: what a machine finds that lost its power then.
fn as_after_a_crash(folder: &std::path::Path, name: &str) -> Journal {
    let copy = folder.join(format!("{name}-copy"));
    std::fs::create_dir_all(&copy).unwrap();
    for suffix in ["", "-wal"] {
        let from = folder.join(format!("{name}{suffix}"));
        if from.exists() {
            std::fs::copy(from, copy.join(format!("{name}{suffix}"))).unwrap();
        }
    }
    Journal::open(&copy.join(name), CUSTOMER).unwrap()
}

#[test]
fn what_was_appended_is_there_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("j"), CUSTOMER).unwrap();
    let coffee = product("p1", &["A"], "Coffee", 720);
    append(
        &mut journal,
        vec![opened(1), merged(1, &coffee, &[ERP], &[WEB])],
    );
    journal
        .save_plan(
            RUN,
            &[PlanRow {
                ord: 1,
                body: "{}".into(),
            }],
        )
        .unwrap();
    let after = as_after_a_crash(folder.path(), "j");
    assert_eq!(after.head().unwrap(), journal.head().unwrap());
    assert_eq!(
        after.fingerprints().unwrap(),
        journal.fingerprints().unwrap()
    );
    assert_eq!(after.load_plan(RUN, None, 10).unwrap().len(), 1);
}

#[test]
fn half_an_append_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("j"), CUSTOMER).unwrap();
    let coffee = product("p1", &["A"], "Coffee", 720);
    append(&mut journal, vec![opened(2)]);
    journal
        .stage(ERP, vec![Record::Product(coffee.clone())])
        .unwrap();
    let before = journal.fingerprints().unwrap();
    // The second entry is refused when the first is written already.
    let consumed = vec![Consumed {
        shop: ERP,
        kind: Kind::Product,
        id: "p1".into(),
        reading: 1,
    }];
    let also = Also {
        consumed,
        ..Also::default()
    };
    let bodies: Vec<Body> = vec![merged(1, &coffee, &[ERP], &[]), opened(1)];
    journal.append(at(0), bodies, also).unwrap_err();
    assert_eq!(journal.fingerprints().unwrap(), before);
    let after = as_after_a_crash(folder.path(), "j");
    assert_eq!(after.head().unwrap().seq, 1);
    let chunk = after
        .load_catalogue(Kind::Product, None, 10, at(0))
        .unwrap();
    assert_eq!(chunk.clusters.len(), 1, "the staged row waits");
}

#[test]
fn a_transaction_that_another_process_never_committed_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let mut journal = Journal::open(&path, CUSTOMER).unwrap();
    append(&mut journal, vec![opened(1)]);
    drop(journal);
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch("BEGIN IMMEDIATE; DELETE FROM entry; DELETE FROM head;")
        .unwrap();
    drop(file);
    let journal = Journal::open(&path, CUSTOMER).unwrap();
    assert_eq!(journal.head().unwrap().seq, 1);
    assert_eq!(journal.head().unwrap().epoch.0, 1);
}
