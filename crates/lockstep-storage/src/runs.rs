//! Runs and applied settings, as workers report them. For people to look at: the journal is the truth.

use crate::{
    Kind, Storage, StorageError,
    bounds::{BATCH_ROWS, LIST_ROWS_MAX, RUNS_KEPT},
    entities::{report, run},
    numbers::{from_json, from_ms, label, optional_ms, signed, to_json, to_ms, unsigned},
};
use jiff::Timestamp;
use lockstep_model::{
    CustomerId, Epoch, Lane, Revision, RunId, WorkerId,
    entry::{Counts, RunResult},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, sea_query::OnConflict,
};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    pub customer: CustomerId,
    pub run: RunId,
    pub worker: WorkerId,
    pub lane: Lane,
    pub revision: Revision,
    pub cause: String,
    /// The protocol's word for it.
    pub phase: String,
    pub counts: Counts,
    pub expected: Option<u64>,
    pub message: String,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub result: Option<RunResult>,
    pub heard_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApplyState {
    Applied,
    Applying,
    Failed,
}

impl ApplyState {
    pub fn as_str(self) -> &'static str {
        match self {
            ApplyState::Applied => "applied",
            ApplyState::Applying => "applying",
            ApplyState::Failed => "failed",
        }
    }
}

/// What a worker said last of a customer's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerReport {
    pub customer: CustomerId,
    pub worker: WorkerId,
    pub revision: Revision,
    pub epoch: Epoch,
    pub state: ApplyState,
    pub error: Option<String>,
    pub journal_sequence: u64,
    pub reported_at: Timestamp,
}

fn lane(text: &str) -> Result<Lane, StorageError> {
    Lane::ALL
        .into_iter()
        .find(|lane| lane.as_str() == text)
        .ok_or_else(|| StorageError::new(Kind::Corrupt, format!("a run is in the lane {text:?}")))
}

impl TryFrom<run::Model> for RunRow {
    type Error = StorageError;

    fn try_from(row: run::Model) -> Result<Self, StorageError> {
        let result = row
            .result
            .as_deref()
            .map(|text| from_json("a run's result", text));
        Ok(RunRow {
            customer: CustomerId(unsigned(row.customer)),
            run: RunId(unsigned(row.run)),
            worker: WorkerId(unsigned(row.worker)),
            lane: lane(&row.lane)?,
            revision: Revision(unsigned(row.revision)),
            counts: from_json("a run's counts", &row.counts_json)?,
            expected: row.expected.map(unsigned),
            started_at: from_ms(row.started_at)?,
            finished_at: optional_ms(row.finished_at)?,
            result: result.transpose()?,
            heard_at: from_ms(row.heard_at)?,
            cause: row.cause,
            phase: row.phase,
            message: row.message,
        })
    }
}

/// PostgreSQL takes no NUL in a text.
fn text(text: &str) -> String {
    text.replace('\0', "")
}

impl Storage {
    /// As they are now; a finished run's cancel is forgotten.
    pub async fn put_runs(&self, runs: &[RunRow]) -> Result<(), StorageError> {
        let mut ended: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for run in runs.iter().filter(|run| run.finished_at.is_some()) {
            ended
                .entry(signed(run.customer.0))
                .or_default()
                .push(signed(run.run.0));
        }
        for runs in runs.chunks(BATCH_ROWS) {
            let rows = runs.iter().map(row).collect::<Result<Vec<_>, _>>()?;
            run::Entity::insert_many(rows)
                .on_conflict(
                    OnConflict::columns([run::Column::Customer, run::Column::Run])
                        .update_columns([
                            run::Column::Worker,
                            run::Column::Phase,
                            run::Column::CountsJson,
                            run::Column::Expected,
                            run::Column::Message,
                            run::Column::FinishedAt,
                            run::Column::Result,
                            run::Column::HeardAt,
                        ])
                        .to_owned(),
                )
                .exec_without_returning(&self.db)
                .await?;
        }
        for (customer, ended) in ended {
            self.clear_cancels(customer, &ended).await?;
        }
        Ok(())
    }

    /// The newest first; of one customer or of all; before this run of that customer.
    pub async fn runs(
        &self,
        customer: Option<CustomerId>,
        before: Option<RunId>,
        limit: u64,
    ) -> Result<Vec<RunRow>, StorageError> {
        let mut query = run::Entity::find().limit(limit.clamp(1, LIST_ROWS_MAX));
        query = match customer {
            Some(customer) => query
                .filter(run::Column::Customer.eq(signed(customer.0)))
                .order_by_desc(run::Column::Run),
            None => query
                .order_by_desc(run::Column::StartedAt)
                .order_by_desc(run::Column::Run),
        };
        if let Some(before) = before {
            query = query.filter(run::Column::Run.lt(signed(before.0)));
        }
        query
            .all(&self.db)
            .await?
            .into_iter()
            .map(RunRow::try_from)
            .collect()
    }

    pub async fn run(
        &self,
        customer: CustomerId,
        run: RunId,
    ) -> Result<Option<RunRow>, StorageError> {
        let key = (signed(customer.0), signed(run.0));
        let row = run::Entity::find_by_id(key).one(&self.db).await?;
        row.map(RunRow::try_from).transpose()
    }

    pub async fn live_run_count(&self) -> Result<u64, StorageError> {
        Ok(run::Entity::find()
            .filter(run::Column::FinishedAt.is_null())
            .count(&self.db)
            .await?)
    }

    /// Keeps the newest ones.
    pub async fn prune_runs(&self, customer: CustomerId) -> Result<(), StorageError> {
        let oldest_kept = run::Entity::find()
            .filter(run::Column::Customer.eq(signed(customer.0)))
            .order_by_desc(run::Column::Run)
            .offset(RUNS_KEPT)
            .limit(1)
            .one(&self.db)
            .await?;
        if let Some(oldest) = oldest_kept {
            run::Entity::delete_many()
                .filter(run::Column::Customer.eq(signed(customer.0)))
                .filter(run::Column::Run.lte(oldest.run))
                .exec(&self.db)
                .await?;
        }
        Ok(())
    }

    pub async fn put_reports(&self, reports: &[CustomerReport]) -> Result<(), StorageError> {
        for reports in reports.chunks(BATCH_ROWS) {
            let rows = reports.iter().map(|said| report::ActiveModel {
                customer: Set(signed(said.customer.0)),
                worker: Set(signed(said.worker.0)),
                revision: Set(signed(said.revision.0)),
                epoch: Set(signed(said.epoch.0)),
                state: Set(said.state.as_str().to_owned()),
                error: Set(said.error.as_deref().map(text)),
                journal_sequence: Set(signed(said.journal_sequence)),
                reported_at: Set(to_ms(said.reported_at)),
            });
            report::Entity::insert_many(rows)
                .on_conflict(
                    OnConflict::column(report::Column::Customer)
                        .update_columns([
                            report::Column::Worker,
                            report::Column::Revision,
                            report::Column::Epoch,
                            report::Column::State,
                            report::Column::Error,
                            report::Column::JournalSequence,
                            report::Column::ReportedAt,
                        ])
                        .to_owned(),
                )
                .exec_without_returning(&self.db)
                .await?;
        }
        Ok(())
    }

    pub async fn reports(
        &self,
        customers: &[CustomerId],
    ) -> Result<Vec<CustomerReport>, StorageError> {
        let mut found = Vec::new();
        for ids in customers.chunks(BATCH_ROWS) {
            let rows = report::Entity::find()
                .filter(report::Column::Customer.is_in(ids.iter().map(|id| signed(id.0))))
                .all(&self.db)
                .await?;
            for row in rows {
                found.push(CustomerReport {
                    customer: CustomerId(unsigned(row.customer)),
                    worker: WorkerId(unsigned(row.worker)),
                    revision: Revision(unsigned(row.revision)),
                    epoch: Epoch(unsigned(row.epoch)),
                    state: match row.state.as_str() {
                        "applied" => ApplyState::Applied,
                        "applying" => ApplyState::Applying,
                        _ => ApplyState::Failed,
                    },
                    error: row.error,
                    journal_sequence: unsigned(row.journal_sequence),
                    reported_at: from_ms(row.reported_at)?,
                });
            }
        }
        Ok(found)
    }
}

fn row(run: &RunRow) -> Result<run::ActiveModel, StorageError> {
    Ok(run::ActiveModel {
        customer: Set(signed(run.customer.0)),
        run: Set(signed(run.run.0)),
        worker: Set(signed(run.worker.0)),
        lane: Set(run.lane.as_str().to_owned()),
        revision: Set(signed(run.revision.0)),
        cause: Set(label(&run.cause)),
        phase: Set(label(&run.phase)),
        counts_json: Set(to_json(&run.counts)?),
        expected: Set(run.expected.map(signed)),
        message: Set(text(&run.message)),
        started_at: Set(to_ms(run.started_at)),
        finished_at: Set(run.finished_at.map(to_ms)),
        result: Set(run.result.as_ref().map(to_json).transpose()?),
        heard_at: Set(to_ms(run.heard_at)),
    })
}
