//! No question that is asked again and again walks through a table that grows with the shop.

use crate::support::*;
use lockstep_journal::Journal;
use lockstep_model::{Kind, Lane};

/// 30,000 SKUs that are in step in two shops, and one that is not.
const IN_STEP: &str = "
    WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 30000)
    INSERT INTO record(record, kind, place, keys, ours)
    SELECT n, 1, printf('S%06d', n), json_array(printf('S%06d', n)), '{}' FROM n;
    INSERT INTO record_text(record, kind, title, needle) SELECT record, 1, place, lower(place) FROM record;
    INSERT INTO record_key(kind, key, record) SELECT 1, place, record FROM record;
    INSERT INTO link(shop, kind, id, record, gone, seq, parts, meant, held)
    SELECT s.value, 1, 'p' || record, record, 0, record, json_object('variants', json_object(place, 'v' || record)), '{}', '{}'
    FROM record, json_each('[1, 2]') s;
    INSERT INTO level(item, stock, shop, level, taken)
    SELECT place, 1, s.value, json_object('sku', place, 'stock', 'main', 'on_hand', '1', 'reserved', '0'), '0'
    FROM record, json_each('[1, 2]') s;
    INSERT INTO segment SELECT record, 1, 1, record, record, zeroblob(32), zeroblob(32), 0, 1 FROM record;
    INSERT INTO item_dirty VALUES ('S020000', 1);
    INSERT INTO taken VALUES ('S020000', 1, 2, '1');
    INSERT INTO intent VALUES (1, 1, 2, 'r:15000', NULL, '{\"what\":\"set\",\"set\":{}}', 0, NULL);";

/// Milliseconds that this thread has worked.
fn cpu_ms() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}

#[test]
fn what_is_asked_in_every_run_does_not_grow_with_the_catalogue() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    drop(Journal::open(&path, CUSTOMER).unwrap());
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch(&format!(
        "PRAGMA synchronous = OFF; BEGIN; {IN_STEP} COMMIT;"
    ))
    .unwrap();
    drop(file);
    let mut journal = Journal::open(&path, CUSTOMER).unwrap();
    let lines = (1..=100)
        .map(|n| line(&format!("S{:06}", n * 300), 1, 0))
        .collect();
    journal.stage(WEB, vec![order(state("o1", lines))]).unwrap();
    // Once to read pages and prepare statements, then counted: in work done, since the machine may have other work.
    for counted in [false, true] {
        let started = cpu_ms();
        assert_eq!(
            journal.items_to_read(WEB, None, 10).unwrap(),
            ["S020000".into()]
        );
        let ids = journal
            .records_to_read(WEB, Kind::Product, None, 10)
            .unwrap();
        assert_eq!(ids, ["p15000".into()]);
        assert!(journal.orders_to_read(WEB, None, 10).unwrap().is_empty());
        assert_eq!(journal.load_stock(None, 500, false).unwrap().cases.len(), 1);
        let orders = journal.load_orders(None, 500, at(0), &[ERP]).unwrap();
        assert_eq!(orders.cases[0].items[&ERP].len(), 100);
        assert!(journal.cut_segment(1 << 20).unwrap().is_none());
        assert_eq!(journal.head().unwrap().acknowledged_seq, 30_000);
        let spent = cpu_ms() - started;
        // A walk through 30,000 rows for each of the hundred lines takes seconds.
        assert!(!counted || spent < 500, "{spent} ms");
    }
    journal.forget_staged(Lane::Trade).unwrap();
}
