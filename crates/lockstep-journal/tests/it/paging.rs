//! A hundred thousand rows: pages anywhere cost the same, and memory stays flat.

use crate::support::*;
use lockstep_journal::Journal;
use lockstep_model::Kind;

/// Peak resident memory of this process.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok())
        .unwrap_or(0)
}

const MANY: &str = "
    WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000)
    INSERT INTO staged(reading, shop, kind, id, place, keys, gone, fields, parts)
    SELECT n, 2, 1, 'p' || n, printf('S%06d', n) || char(1) || 's2/p' || n, json_array(printf('S%06d', n)), 0,
        json_object('title', 'Coffee ' || n, 'description', hex(zeroblob(200))), '{}' FROM n;
    INSERT INTO staged_key(kind, key, reading) SELECT 1, printf('S%06d', reading), reading FROM staged;
    INSERT INTO item_dirty(item, stock) SELECT printf('S%06d', reading), 1 FROM staged;";

#[test]
fn a_hundred_thousand_rows_are_paged_in_flat_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    drop(Journal::open(&path, CUSTOMER).unwrap());
    {
        let file = rusqlite::Connection::open(&path).unwrap();
        file.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -2000; BEGIN;")
            .unwrap();
        file.execute_batch(MANY).unwrap();
        file.execute_batch("COMMIT").unwrap();
    }
    let journal = Journal::open(&path, CUSTOMER).unwrap();
    let before = peak_kib();
    // Every twentieth page of the catalogue …
    for page in 0..10 {
        let after = (page > 0).then(|| format!("S{:06}\u{2}", page * 10_000));
        let chunk = journal
            .load_catalogue(Kind::Product, after.as_deref(), 500, at(0))
            .unwrap();
        assert_eq!(chunk.clusters.len(), 500);
        assert_eq!(chunk.clusters[0].key, format!("S{:06}", page * 10_000 + 1));
        assert!(chunk.next.is_some());
    }
    // … and of the stock.
    for page in 0..10 {
        let after = (format!("S{:06}", page * 10_000).into(), MAIN);
        let chunk = journal.load_stock(Some(&after), 500, false).unwrap();
        assert_eq!(chunk.cases.len(), 500);
        assert_eq!(chunk.cases[0].sku.0, format!("S{:06}", page * 10_000 + 1));
    }
    let grown = peak_kib().saturating_sub(before);
    assert!(grown < 32 * 1024, "memory grew by {grown} KiB");
}
