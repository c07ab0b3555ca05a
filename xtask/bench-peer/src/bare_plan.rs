//! The least that the disk asks of a plan: its staged rows read and its rows written by bare SQLite, in the same
//! batches, with the same durability, by nobody who thinks about them.

use anyhow::{Context, Result};
use rusqlite::{Connection, params};
use serde::Serialize;

use crate::merge::Options;
use crate::usage::{Stopwatch, Took};

const RECORDS_AT_ONCE: i64 = 500;
/// One from either shop.
const ROWS_A_RECORD: i64 = 2;
/// As the worker's.
const CACHE_KIB: i64 = 4 << 10;

#[derive(Serialize)]
pub struct Copied {
    records: i64,
    read_bytes: i64,
    written_bytes: i64,
    #[serde(flatten)]
    took: Took,
}

/// After `plan` on the same file.
pub fn run(options: &Options) -> Result<Copied> {
    let bare = options.file.with_extension("bare");
    let mut file = Connection::open(&bare)?;
    file.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    file.pragma_update(None, "synchronous", "FULL")?;
    file.pragma_update(None, "cache_size", -CACHE_KIB)?;
    let from = options
        .file
        .to_str()
        .context("the file's name is no text")?;
    file.execute("ATTACH ?1 AS journal", [from])?;
    file.execute_batch(
        "CREATE TABLE plan(ord INTEGER PRIMARY KEY, body TEXT NOT NULL);
         CREATE TABLE staged AS SELECT place, keys, fields, parts FROM journal.staged ORDER BY place;",
    )?;
    let (records, mean): (i64, i64) = file.query_row(
        "SELECT count(*), ifnull(CAST(avg(length(body)) AS INTEGER), 0) FROM journal.plan",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    file.execute_batch("DETACH journal")?;
    let body = "x".repeat(usize::try_from(mean)?);
    let watch = Stopwatch::start();
    let (mut ord, mut read_bytes) = (0, 0);
    let mut after = 0;
    while ord < records {
        let until = after + RECORDS_AT_ONCE * ROWS_A_RECORD;
        {
            let mut query = file.prepare_cached(
                "SELECT place, keys, fields, parts FROM staged WHERE rowid > ?1 AND rowid <= ?2",
            )?;
            let mut rows = query.query([after, until])?;
            while let Some(row) = rows.next()? {
                for column in 0..4 {
                    let text: String = row.get(column)?;
                    read_bytes += i64::try_from(text.len())?;
                }
            }
        }
        after = until;
        let transaction = file.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO plan(ord, body) VALUES (?1, ?2)")?;
            for ord in ord..(ord + RECORDS_AT_ONCE).min(records) {
                insert.execute(params![ord, body])?;
            }
        }
        transaction.commit()?;
        ord += RECORDS_AT_ONCE;
    }
    Ok(Copied {
        records,
        read_bytes,
        written_bytes: records * mean,
        took: watch.stop(),
    })
}
