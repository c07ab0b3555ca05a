//! Personal data: never in the clear, gone with its key.

use crate::support::*;
use lockstep_journal::Journal;
use lockstep_model::entry::Personal;

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn the_clear_text_occurs_neither_in_the_file_nor_in_a_segment() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("j"), CUSTOMER).unwrap();
    map_stocks(&mut journal);
    let order_key = key(WEB, "o1");
    journal
        .stage(WEB, vec![order(state("o1", vec![line("A", 1, 1)]))])
        .unwrap();
    let chunk = journal.load_orders(None, 10, at(0), &[ERP]).unwrap();
    let staged = &chunk.cases[0].staged[&WEB];
    assert_eq!(staged.person, Some(person()));
    append(
        &mut journal,
        vec![order_seen(WEB, &order_key, staged.state.clone())],
    );
    assert_eq!(journal.person(&order_key).unwrap(), Some(person()));
    let segment = journal.cut_segment(1 << 20).unwrap().unwrap();
    let lines = segment.lines().unwrap();
    assert!(contains(&lines, "order_seen"));
    for secret in ["aino", "virtanen", "Aino", "Virtanen"] {
        assert!(!contains(&lines, secret), "{secret} in a segment");
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            assert!(!contains(&bytes, secret), "{secret} in {}", path.display());
        }
    }
}

#[test]
fn what_is_erased_can_be_read_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("j"), CUSTOMER).unwrap();
    let order_key = key(WEB, "o1");
    append(
        &mut journal,
        vec![order_seen(WEB, &order_key, state("o1", vec![]))],
    );
    let key_bytes: Vec<u8> = rusqlite::Connection::open(folder.path().join("j"))
        .unwrap()
        .query_row("SELECT key FROM person_key", [], |row| row.get(0))
        .unwrap();
    assert!(journal.erase_person(&order_key).unwrap());
    assert_eq!(journal.person(&order_key).unwrap(), None);
    assert!(!journal.erase_person(&order_key).unwrap());
    for name in ["j", "j-wal"] {
        let bytes = std::fs::read(folder.path().join(name)).unwrap_or_default();
        let is_there = bytes
            .windows(key_bytes.len())
            .any(|window| window == key_bytes);
        assert!(!is_there, "the key is still in {name}");
    }
    // The order itself remains.
    assert!(journal.order_view(&order_key).unwrap().is_some());
}

#[test]
fn another_disk_cannot_read_what_was_sealed_here() {
    let mut journal = journal();
    let order_key = key(WEB, "o1");
    append(
        &mut journal,
        vec![order_seen(WEB, &order_key, state("o1", vec![]))],
    );
    let mut replica = self::journal_of_its_own();
    let segment = journal.cut_segment(1 << 20).unwrap().unwrap();
    replica.accept(&segment).unwrap();
    assert_eq!(replica.person(&order_key).unwrap(), None);
    let case = replica.load_orders(None, 10, at(0), &[]).unwrap();
    assert_eq!(case.cases[0].known[&WEB], state("o1", vec![]));
}

fn journal_of_its_own() -> Journal {
    journal()
}

#[test]
fn an_order_read_without_its_buyer_keeps_what_was_sealed() {
    let mut journal = journal();
    let order_key = key(WEB, "o1");
    append(
        &mut journal,
        vec![order_seen(WEB, &order_key, state("o1", vec![]))],
    );
    let mut changed = state("o1", vec![]);
    changed.cancelled = true;
    let mut body = order_seen(WEB, &order_key, changed);
    if let lockstep_model::entry::Body::OrderSeen { person, .. } = &mut body {
        *person = Personal::None;
    }
    append(&mut journal, vec![body]);
    assert_eq!(journal.person(&order_key).unwrap(), Some(person()));
}
