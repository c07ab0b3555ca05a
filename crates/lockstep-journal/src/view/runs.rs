//! Runs, newest first, and what one read and wrote.

use super::{RunPage, RunRow, RunView, WriteRow, WriteState};
use crate::bounds::VIEW_ROWS_MAX;
use crate::columns::{id, int, kind_of, parse, time};
use crate::{Journal, JournalError};
use lockstep_model::entry::{Body, Cause, Entry};
use lockstep_model::{IntentId, Lane, Revision, RunId, ShopId};
use rusqlite::{OptionalExtension, Row, params};
use std::collections::BTreeMap;

const COLUMNS: &str =
    "run, lane, revision, causes, started_at, finished_at, result, counts, message";

impl Journal {
    /// Runs before this one, newest first.
    pub fn runs(&self, before: Option<RunId>, limit: usize) -> Result<Vec<RunRow>, JournalError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM run WHERE run < ?1 ORDER BY run DESC LIMIT ?2"
        ))?;
        let mut found = query.query(params![
            before.map_or(i64::MAX, |before| int(before.0)),
            i64::try_from(limit.min(VIEW_ROWS_MAX)).unwrap_or(i64::MAX)
        ])?;
        let mut runs = Vec::new();
        while let Some(row) = found.next()? {
            runs.push(read(row)?);
        }
        Ok(runs)
    }

    pub fn run(&self, run: RunId) -> Result<Option<RunView>, JournalError> {
        let row = self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM run WHERE run = ?1"))?
            .query_row([int(run.0)], |row| Ok(read(row)))
            .optional()?
            .transpose()?;
        let Some(row) = row else {
            return Ok(None);
        };
        let mut pages = Vec::new();
        {
            let mut query = self.connection.prepare_cached(
                "SELECT shop, kind, pages, records, changed, bad FROM run_page WHERE run = ?1 ORDER BY kind, shop",
            )?;
            let mut rows = query.query([int(run.0)])?;
            while let Some(row) = rows.next()? {
                pages.push(RunPage {
                    shop: ShopId(id(row.get(0)?)),
                    kind: kind_of(row.get(1)?)?,
                    pages: id(row.get(2)?),
                    records: id(row.get(3)?),
                    changed: id(row.get(4)?),
                    bad: id(row.get(5)?),
                });
            }
        }
        let mut writes = BTreeMap::new();
        {
            let mut query = self.connection.prepare_cached(
                "SELECT state, count(*) FROM written WHERE run = ?1 GROUP BY state",
            )?;
            let mut rows = query.query([int(run.0)])?;
            while let Some(row) = rows.next()? {
                writes.insert(state(&row.get::<_, String>(0)?)?, id(row.get(1)?));
            }
        }
        Ok(Some(RunView { row, pages, writes }))
    }

    /// Why a run started; nothing of one that is not known.
    pub(super) fn causes_of(&self, run: RunId) -> Result<Vec<Cause>, JournalError> {
        let causes: Option<String> = self
            .connection
            .prepare_cached("SELECT causes FROM run WHERE run = ?1")?
            .query_row([int(run.0)], |row| row.get(0))
            .optional()?;
        let causes = causes.map(|causes| parse("why a run started", &causes));
        Ok(causes.transpose()?.unwrap_or_default())
    }

    /// What a run wrote, in order.
    pub fn run_writes(
        &self,
        run: RunId,
        after: Option<IntentId>,
        limit: usize,
    ) -> Result<Vec<WriteRow>, JournalError> {
        let mut query = self.connection.prepare_cached(
            "SELECT w.state, e.seq, e.line FROM written w JOIN entry e ON e.seq = w.seq
             WHERE w.run = ?1 AND w.intent > ?2 ORDER BY w.intent LIMIT ?3",
        )?;
        let mut rows = query.query(params![
            int(run.0),
            after.map_or(i64::MIN, |after| int(after.0)),
            i64::try_from(limit.min(VIEW_ROWS_MAX)).unwrap_or(i64::MAX)
        ])?;
        let mut writes = Vec::new();
        while let Some(row) = rows.next()? {
            let seq = id(row.get(1)?);
            let entry: Entry = serde_json::from_str(&row.get::<_, String>(2)?)
                .map_err(|source| JournalError::CorruptEntry { seq, source })?;
            if let Body::Intended {
                intent,
                run,
                shop,
                subject,
                what,
            } = entry.body
            {
                writes.push(WriteRow {
                    intent,
                    run,
                    shop,
                    subject,
                    what,
                    at: entry.at,
                    state: state(&row.get::<_, String>(0)?)?,
                });
            }
        }
        Ok(writes)
    }
}

fn state(text: &str) -> Result<WriteState, JournalError> {
    match text {
        "open" => Ok(WriteState::Open),
        "done" => Ok(WriteState::Done),
        "not_applied" => Ok(WriteState::NotApplied),
        "unknown" => Ok(WriteState::Unknown),
        "moot" => Ok(WriteState::Moot),
        _ => Err(JournalError::Corrupt {
            what: "what became of a write",
        }),
    }
}

fn read(row: &Row<'_>) -> Result<RunRow, JournalError> {
    let lane: String = row.get(1)?;
    Ok(RunRow {
        run: RunId(id(row.get(0)?)),
        lane: Lane::ALL
            .into_iter()
            .find(|known| known.as_str() == lane)
            .ok_or(JournalError::Corrupt { what: "a lane" })?,
        revision: Revision(id(row.get(2)?)),
        causes: parse("why a run started", &row.get::<_, String>(3)?)?,
        started_at: time(row.get(4)?)?,
        finished_at: row.get::<_, Option<i64>>(5)?.map(time).transpose()?,
        result: row
            .get::<_, Option<String>>(6)?
            .map(|result| parse("how a run ended", &result))
            .transpose()?,
        counts: row
            .get::<_, Option<String>>(7)?
            .map(|counts| parse("a run's counts", &counts))
            .transpose()?,
        message: row.get::<_, Option<String>>(8)?.unwrap_or_default(),
    })
}
