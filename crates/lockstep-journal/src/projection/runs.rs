//! Runs: when, why, what they read and how they ended.

use crate::JournalError;
use crate::columns::{int, json, kind_code, micros};
use jiff::Timestamp;
use lockstep_model::entry::{Cause, Counts, RunResult};
use lockstep_model::{Kind, Lane, Revision, RunId, ShopId};
use rusqlite::{Connection, params};

pub(super) fn started(
    connection: &Connection,
    seq: u64,
    at: Timestamp,
    run: RunId,
    lane: Lane,
    revision: Revision,
    causes: &[Cause],
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO run(run, lane, revision, causes, started_at, started_seq)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            int(run.0),
            lane.as_str(),
            int(revision.0),
            json("why a run started", &causes)?,
            micros(at),
            int(seq)
        ])?;
    Ok(())
}

pub(super) fn pulled(
    connection: &Connection,
    run: RunId,
    shop: ShopId,
    kind: Kind,
    [records, changed, bad]: [u32; 3],
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "INSERT INTO run_page(run, shop, kind, pages, records, changed, bad) VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6)
             ON CONFLICT (run, shop, kind) DO UPDATE SET
                pages = pages + 1, records = records + excluded.records,
                changed = changed + excluded.changed, bad = bad + excluded.bad",
        )?
        .execute(params![
            int(run.0),
            int(shop.0),
            kind_code(kind),
            records,
            changed,
            bad
        ])?;
    Ok(())
}

pub(super) fn finished(
    connection: &Connection,
    at: Timestamp,
    run: RunId,
    result: RunResult,
    counts: &Counts,
    message: &str,
) -> Result<(), JournalError> {
    connection
        .prepare_cached(
            "UPDATE run SET finished_at = ?2, result = ?3, counts = ?4, message = ?5 WHERE run = ?1",
        )?
        .execute(params![
            int(run.0),
            micros(at),
            json("how a run ended", &result)?,
            json("a run's counts", counts)?,
            message
        ])?;
    Ok(())
}

/// Feeds that a run read to their end and dealt with.
pub(super) fn looked(
    connection: &Connection,
    run: RunId,
    feeds: &[(ShopId, Kind)],
) -> Result<(), JournalError> {
    for (shop, kind) in feeds {
        connection
            .prepare_cached(
                "INSERT INTO looked(shop, kind, at) SELECT ?2, ?3, started_at FROM run WHERE run = ?1
                 ON CONFLICT (shop, kind) DO UPDATE SET at = excluded.at",
            )?
            .execute(params![int(run.0), int(shop.0), kind_code(*kind)])?;
    }
    Ok(())
}
