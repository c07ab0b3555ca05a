//! Whose file it is, and of which format.

use crate::support::*;
use lockstep_journal::{Journal, JournalError};
use lockstep_model::CustomerId;
use lockstep_model::entry::{Body, Movement};

#[test]
fn a_journal_survives_being_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("7.journal");
    let mut journal = Journal::open(&path, CUSTOMER).unwrap();
    append(&mut journal, vec![opened(3)]);
    let head = journal.head().unwrap();
    drop(journal);
    let journal = Journal::open(&path, CUSTOMER).unwrap();
    assert_eq!(journal.head().unwrap(), head);
    assert_eq!(head.seq, 1);
    assert_eq!(head.epoch.0, 3);
}

#[cfg(unix)]
#[test]
fn a_journal_is_for_its_owners_eyes_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("j"), CUSTOMER).unwrap();
    append(&mut journal, vec![opened(1)]);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
    }
}

#[test]
fn a_journal_can_be_read_while_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let mut writer = Journal::open(&path, CUSTOMER).unwrap();
    let reader = Journal::open(&path, CUSTOMER).unwrap();
    append(&mut writer, vec![opened(1)]);
    assert_eq!(reader.head().unwrap(), writer.head().unwrap());
    fn is_send<T: Send>(_: &T) {}
    is_send(&writer);
}

#[test]
fn another_customers_journal_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("7.journal");
    drop(Journal::open(&path, CUSTOMER).unwrap());
    let error = Journal::open(&path, CustomerId(8)).err().unwrap();
    assert!(
        matches!(error, JournalError::WrongCustomer { found, .. } if found == CUSTOMER),
        "{error}"
    );
}

#[test]
fn a_newer_format_and_a_foreign_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("7.journal");
    drop(Journal::open(&path, CUSTOMER).unwrap());
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute("UPDATE meta SET value = 99 WHERE name = 'format'", [])
        .unwrap();
    drop(file);
    let error = Journal::open(&path, CUSTOMER).err().unwrap();
    assert!(
        matches!(error, JournalError::NewerFormat { found: 99, .. }),
        "{error}"
    );

    let other = folder.path().join("other.db");
    let file = rusqlite::Connection::open(&other).unwrap();
    file.execute("CREATE TABLE something(a)", []).unwrap();
    drop(file);
    let error = Journal::open(&other, CUSTOMER).err().unwrap();
    assert!(matches!(error, JournalError::NotAJournal { .. }), "{error}");

    let text = folder.path().join("text");
    std::fs::write(&text, "This is no database. ".repeat(100)).unwrap();
    let error = Journal::open(&text, CUSTOMER).err().unwrap();
    assert!(matches!(error, JournalError::Open { .. }), "{error}");
}

#[test]
fn a_file_of_an_older_format_is_brought_up_to_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("7.journal");
    let mut journal = Journal::open(&path, CUSTOMER).unwrap();
    map_stocks(&mut journal);
    let opening = Body::BaseMoved {
        item: "A".into(),
        stock: MAIN,
        delta: units(10),
        cause: Movement::Opening { shop: ERP },
    };
    append(
        &mut journal,
        vec![level_seen(WEB, &level("A", 10), 0), opening],
    );
    drop(journal);
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch(
        "ALTER TABLE order_line RENAME COLUMN item TO sku;
         ALTER TABLE level RENAME COLUMN item TO sku;
         ALTER TABLE taken RENAME COLUMN item TO sku;
         ALTER TABLE base RENAME COLUMN item TO sku;
         ALTER TABLE movement RENAME COLUMN item TO sku;
         ALTER TABLE item_dirty RENAME COLUMN item TO sku;
         ALTER TABLE item_dirty RENAME TO sku_dirty;
         ALTER TABLE staged_level RENAME COLUMN item TO sku;
         ALTER TABLE intent RENAME COLUMN item TO sku;
         DROP INDEX level_variant;
         DROP INDEX level_stale;
         ALTER TABLE level DROP COLUMN stale;
         ALTER TABLE level DROP COLUMN variant;
         DROP TABLE item_sku;
         DROP TABLE item_at;
         ALTER TABLE level DROP COLUMN gone;
         DROP INDEX conflict_of;
         ALTER TABLE conflict DROP COLUMN decided_by;
         CREATE INDEX conflict_open ON conflict(subject) WHERE closed_at IS NULL;
         ALTER TABLE record DROP COLUMN changed_at;
         DROP TABLE looked;
         DROP TABLE met;
         DROP TABLE record_gtin;
         DROP TABLE doubt;
         DROP TABLE staged_gtin;
         ALTER TABLE purchase DROP COLUMN edited;
         ALTER TABLE base DROP COLUMN counted_by;
         ALTER TABLE order_copy DROP COLUMN links;
         ALTER TABLE base DROP COLUMN emptied;
         DROP TABLE awaited;
         ALTER TABLE aside DROP COLUMN refused;
         ALTER TABLE aside DROP COLUMN moved;
         DROP INDEX due_fields;
         DROP INDEX due_pictures;
         ALTER TABLE due DROP COLUMN pictures;
         ALTER TABLE staged DROP COLUMN left_at;
         ALTER TABLE staged_order DROP COLUMN left_at;
         ALTER TABLE staged_level DROP COLUMN left_at;
         UPDATE meta SET value = 1 WHERE name = 'format'",
    )
    .unwrap();
    drop(file);
    for _ in 0..2 {
        let journal = Journal::open(&path, CUSTOMER).unwrap();
        let chunk = journal.load_stock(None, 10, false).unwrap();
        assert!(!chunk.cases[0].levels[&WEB].gone);
        assert_eq!(chunk.cases[0].counted_by, Some(ERP));
    }
}

#[test]
fn an_older_epoch_cannot_open_a_journal() {
    let mut journal = journal();
    append(&mut journal, vec![opened(3)]);
    let error = journal
        .append(at(1), vec![opened(2)], Default::default())
        .unwrap_err();
    assert!(matches!(error, JournalError::OldEpoch { .. }), "{error}");
    assert_eq!(journal.head().unwrap().seq, 1);
}

#[test]
fn ids_go_on_where_the_entries_ended() {
    let mut journal = journal();
    let counters = journal.counters().unwrap();
    assert_eq!((counters.record, counters.intent), (1, 1));
    append(
        &mut journal,
        vec![merged(41, &product("p", &["A"], "A", 1), &[ERP], &[])],
    );
    assert_eq!(journal.counters().unwrap().record, 42);
}
