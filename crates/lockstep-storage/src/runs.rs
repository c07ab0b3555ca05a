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
    entry::{Counts, RunResult, RunWhy},
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
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
    pub why: Option<RunWhy>,
    pub heard_at: Timestamp,
}

/// Which runs; everything empty: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    pub customer: Option<CustomerId>,
    pub lane: Option<Lane>,
    pub state: Option<RunState>,
    /// Begun then or later.
    pub from: Option<Timestamp>,
    /// Begun before.
    pub until: Option<Timestamp>,
    /// Only what comes after this one in the list: the last of the page before.
    pub before: Option<RunPlace>,
    pub limit: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Not ended.
    Live,
    /// Ended otherwise than well.
    Trouble,
    Wrote,
    /// More than a look that found nothing.
    News,
}

/// Where a run stands in the list of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunPlace {
    pub started_at: Timestamp,
    pub customer: CustomerId,
    pub run: RunId,
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
            why: row
                .why
                .as_deref()
                .map(|text| from_json("why a run ended", text))
                .transpose()?,
            heard_at: from_ms(row.heard_at)?,
            cause: row.cause,
            phase: row.phase,
            message: row.message,
        })
    }
}

const CUT_SHORT: &str =
    "Its worker stopped before it had ended. A later run went on from what the journal holds.";

/// PostgreSQL takes no NUL in a text.
fn text(text: &str) -> String {
    text.replace('\0', "")
}

impl Storage {
    /// As they are now; a finished run's cancel is forgotten. A lane has one run at a time: those before it that
    /// never ended (their worker was killed) are over.
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
                            run::Column::Trouble,
                            run::Column::Wrote,
                            run::Column::News,
                            run::Column::Why,
                        ])
                        .to_owned(),
                )
                .exec_without_returning(&self.db)
                .await?;
            self.end_runs_before(runs).await?;
        }
        for (customer, ended) in ended {
            self.clear_cancels(customer, &ended).await?;
        }
        Ok(())
    }

    /// Of a run that somebody was told of: it is listed from then on, before its worker has said a word of it.
    pub async fn note_run(&self, run: &RunRow) -> Result<(), StorageError> {
        run::Entity::insert(row(run)?)
            .on_conflict(
                OnConflict::columns([run::Column::Customer, run::Column::Run])
                    .do_nothing_on([run::Column::Customer, run::Column::Run])
                    .to_owned(),
            )
            .try_insert()
            .exec_without_returning(&self.db)
            .await?;
        Ok(())
    }

    async fn end_runs_before(&self, runs: &[RunRow]) -> Result<(), StorageError> {
        let before = runs.iter().fold(Condition::any(), |any, run| {
            any.add(
                Condition::all()
                    .add(run::Column::Customer.eq(signed(run.customer.0)))
                    .add(run::Column::Lane.eq(run.lane.as_str()))
                    .add(run::Column::Run.lt(signed(run.run.0))),
            )
        });
        run::Entity::update_many()
            .col_expr(run::Column::Phase, Expr::value("finished"))
            .col_expr(run::Column::Message, Expr::value(CUT_SHORT))
            .col_expr(run::Column::FinishedAt, Expr::col(run::Column::HeardAt))
            .filter(run::Column::FinishedAt.is_null())
            .filter(before)
            .exec(&self.db)
            .await?;
        Ok(())
    }

    /// The newest first.
    pub async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>, StorageError> {
        let mut query = run::Entity::find()
            .order_by_desc(run::Column::StartedAt)
            .order_by_desc(run::Column::Customer)
            .order_by_desc(run::Column::Run)
            .limit(filter.limit.clamp(1, LIST_ROWS_MAX));
        if let Some(customer) = filter.customer {
            query = query.filter(run::Column::Customer.eq(signed(customer.0)));
        }
        if let Some(lane) = filter.lane {
            query = query.filter(run::Column::Lane.eq(lane.as_str()));
        }
        query = match filter.state {
            None => query,
            Some(RunState::Live) => query.filter(run::Column::FinishedAt.is_null()),
            Some(RunState::Trouble) => query.filter(run::Column::Trouble.eq(true)),
            Some(RunState::Wrote) => query.filter(run::Column::Wrote.eq(true)),
            Some(RunState::News) => query.filter(run::Column::News.eq(true)),
        };
        if let Some(from) = filter.from {
            query = query.filter(run::Column::StartedAt.gte(to_ms(from)));
        }
        if let Some(until) = filter.until {
            query = query.filter(run::Column::StartedAt.lt(to_ms(until)));
        }
        if let Some(place) = filter.before {
            let (at, customer) = (to_ms(place.started_at), signed(place.customer.0));
            let earlier_run = Condition::all()
                .add(run::Column::Customer.eq(customer))
                .add(run::Column::Run.lt(signed(place.run.0)));
            let same_moment = Condition::all().add(run::Column::StartedAt.eq(at)).add(
                Condition::any()
                    .add(run::Column::Customer.lt(customer))
                    .add(earlier_run),
            );
            query = query
                // The index is entered by this one.
                .filter(run::Column::StartedAt.lte(at))
                .filter(
                    Condition::any()
                        .add(run::Column::StartedAt.lt(at))
                        .add(same_moment),
                );
        }
        query
            .all(&self.db)
            .await?
            .into_iter()
            .map(RunRow::try_from)
            .collect()
    }

    /// The greatest id that is known of this customer.
    pub async fn newest_run(&self, customer: CustomerId) -> Result<Option<RunId>, StorageError> {
        let newest = run::Entity::find()
            .filter(run::Column::Customer.eq(signed(customer.0)))
            .order_by_desc(run::Column::Run)
            .limit(1)
            .one(&self.db)
            .await?;
        Ok(newest.map(|row| RunId(unsigned(row.run))))
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
    let counts = &run.counts;
    let moved = counts.changed + counts.bad + counts.written + counts.failed + counts.conflicts;
    let trouble = matches!(
        run.result,
        Some(RunResult::Partly | RunResult::NeedsPerson | RunResult::Failed)
    );
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
        trouble: Set(trouble),
        wrote: Set(counts.written > 0),
        news: Set(moved > 0 || run.result != Some(RunResult::Done)),
        why: Set(run.why.as_ref().map(to_json).transpose()?),
    })
}
