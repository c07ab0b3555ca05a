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
    let erased = journal
        .erase_buyers(at(1), std::slice::from_ref(&order_key), Some("operator"))
        .unwrap();
    assert_eq!(journal.person(&order_key).unwrap(), None);
    let again = journal
        .erase_buyers(at(2), std::slice::from_ref(&order_key), Some("another"))
        .unwrap();
    assert_eq!(erased, again, "once is enough");
    for name in ["j", "j-wal"] {
        let bytes = std::fs::read(folder.path().join(name)).unwrap_or_default();
        let is_there = bytes
            .windows(key_bytes.len())
            .any(|window| window == key_bytes);
        assert!(!is_there, "the key is still in {name}");
    }
    // The order itself remains, and says what became of its buyer.
    let view = journal.order_view(&order_key).unwrap().unwrap();
    assert_eq!(view.erased, Some((at(1), Some("operator".into()))));
    // What the shop still shows of the buyer is not kept again.
    let mut moved = state("o1", vec![]);
    moved.cancelled = true;
    journal.stage(WEB, vec![order(moved.clone())]).unwrap();
    assert_eq!(journal.person(&order_key).unwrap(), None);
    append(&mut journal, vec![order_seen(WEB, &order_key, moved)]);
    assert_eq!(journal.person(&order_key).unwrap(), None);
    let case = journal.order_case(&order_key).unwrap().unwrap();
    assert!(case.buyer_erased);
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

#[test]
fn an_erasure_reaches_the_keys_of_a_file_that_was_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut here = Journal::open(&folder.path().join("here"), CUSTOMER).unwrap();
    let order_key = key(WEB, "o1");
    append(
        &mut here,
        vec![opened(1), order_seen(WEB, &order_key, state("o1", vec![]))],
    );
    let first = here.cut_segment(1 << 20).unwrap().unwrap();
    here.acknowledge(1, first.hash).unwrap();
    // Another machine went on, and was told to forget.
    let mut other = journal();
    other.accept(&first).unwrap();
    other.acknowledge(1, first.hash).unwrap();
    other
        .erase_buyers(at(1), std::slice::from_ref(&order_key), Some("operator"))
        .unwrap();
    let second = other.cut_segment(1 << 20).unwrap().unwrap();
    assert_eq!(here.person(&order_key).unwrap(), Some(person()));
    here.accept(&second).unwrap();
    assert_eq!(here.person(&order_key).unwrap(), None);
    assert!(here.buyers(None, 10).unwrap().buyers.is_empty());
}

#[test]
fn buyers_of_final_orders_are_past_after_their_time() {
    let mut journal = journal();
    let day = 24 * 60 * 60;
    let mut shipped = state("o1", vec![line("A", 1, 0)]);
    shipped.lines[0].shipped = units(1);
    let mut cancelled = state("o2", vec![line("A", 1, 0)]);
    cancelled.cancelled = true;
    let open = state("o3", vec![line("A", 1, 0)]);
    for state in [shipped, cancelled, open] {
        let order = key(WEB, state.id.as_str());
        append(&mut journal, vec![order_seen(WEB, &order, state)]);
    }
    let past = |journal: &Journal, days: i64| {
        let before = at(days * day - 90 * day);
        journal.buyers_past(before, None, 10).unwrap().0
    };
    assert!(past(&journal, 89).is_empty(), "not before its time");
    let due = past(&journal, 91);
    assert_eq!(
        due,
        [key(WEB, "o1"), key(WEB, "o2")],
        "an open order keeps its buyer"
    );
    journal.erase_buyers(at(91 * day), &due, None).unwrap();
    assert!(past(&journal, 92).is_empty());
    assert_eq!(journal.erased(&due[0]).unwrap().unwrap().by, None);
    let left = journal.buyers(None, 10).unwrap();
    assert_eq!(left.buyers, [(key(WEB, "o3"), person())]);
}

#[test]
fn a_file_that_is_not_worked_on_any_more_forgets_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let mut journal = Journal::open(&path, CUSTOMER).unwrap();
    let order_key = key(WEB, "o1");
    append(
        &mut journal,
        vec![order_seen(WEB, &order_key, state("o1", vec![]))],
    );
    drop(journal);
    assert!(lockstep_journal::forget_keys_of(&path, CUSTOMER).unwrap());
    assert!(!lockstep_journal::forget_keys_of(&path, CUSTOMER).unwrap());
    let journal = Journal::open(&path, CUSTOMER).unwrap();
    assert_eq!(journal.person(&order_key).unwrap(), None);
    assert_eq!(journal.buyers_unreadable().unwrap(), 1);
}
