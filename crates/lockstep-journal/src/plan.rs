//! The rows of a plan, on disk. The journal keeps them for the engine and does not look into them.

use crate::columns::{id, int};
use crate::{Journal, JournalError};
use lockstep_model::RunId;
use rusqlite::{TransactionBehavior, params};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRow {
    /// Its place among the rows of its run.
    pub ord: u64,
    /// The engine's own JSON.
    pub body: String,
}

impl Journal {
    /// Adds rows to a run's plan; a row of the same place is replaced.
    pub fn save_plan(&mut self, run: RunId, rows: &[PlanRow]) -> Result<(), JournalError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT OR REPLACE INTO plan(run, ord, body) VALUES (?1, ?2, ?3)",
            )?;
            for row in rows {
                insert.execute(params![int(run.0), int(row.ord), row.body])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Rows after this place, in order.
    pub fn load_plan(
        &self,
        run: RunId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<PlanRow>, JournalError> {
        let rows = self
            .connection
            .prepare_cached(
                "SELECT ord, body FROM plan WHERE run = ?1 AND ord > ?2 ORDER BY ord LIMIT ?3",
            )?
            .query_map(
                params![
                    int(run.0),
                    after.map_or(-1, int),
                    i64::try_from(limit).unwrap_or(i64::MAX)
                ],
                |row| {
                    Ok(PlanRow {
                        ord: id(row.get(0)?),
                        body: row.get(1)?,
                    })
                },
            )?
            .collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// Runs that have rows left, newest first: plans that wait, or that a crash interrupted.
    pub fn planned_runs(&self) -> Result<Vec<RunId>, JournalError> {
        let runs = self
            .connection
            .prepare_cached("SELECT DISTINCT run FROM plan ORDER BY run DESC LIMIT 100")?
            .query_map([], |row| Ok(RunId(id(row.get(0)?))))?
            .collect::<Result<_, _>>()?;
        Ok(runs)
    }

    pub fn clear_plan(&mut self, run: RunId) -> Result<(), JournalError> {
        self.connection
            .prepare_cached("DELETE FROM plan WHERE run = ?1")?
            .execute([int(run.0)])?;
        Ok(())
    }
}
