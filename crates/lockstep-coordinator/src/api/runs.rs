//! Runs: start, watch, cancel; and plans, which are what a run would write.

use super::{Person, cursor, customers::stored, foreign_cursor, limit, page, said};
use crate::{
    AppState,
    asks::{Asked, ask, not_done},
    bounds::{ASK_WAIT, PLAN_ROWS_MAX, PLAN_WAIT},
    events::Topic,
    extract::{Json, Path, Query},
    progress::Reported,
    refusal::{Answer, Refusal},
};
use axum::{extract::State, http::StatusCode};
use jiff::Timestamp;
use lockstep_model::{
    CustomerId, Flow, IntentId, Lane, Revision, RunId, ShopId, WorkerId, entry::Counts,
    settings::CustomerSettings,
};
use lockstep_protocol::{
    Code,
    asks::{Answer as Answered, Question},
    people::{
        ListQuery, Page,
        login::Role,
        plan::{ApplyPlanReply, ApplyPlanRequest, Plan, PlanRequest},
        runs::{RunDetail, RunState, RunStep, RunView, RunsQuery, SyncReply, SyncRequest},
    },
    status::Phase,
};
use lockstep_storage::{self as storage, RunFilter, RunPlace, RunRow};
use std::collections::{BTreeMap, BTreeSet};

/// As it is stored.
pub fn phase_word(phase: Phase) -> &'static str {
    phase.as_str()
}

fn phase_of(word: &str) -> Phase {
    let all = [
        Phase::Pull,
        Phase::Merge,
        Phase::Plan,
        Phase::WriteAhead,
        Phase::Push,
        Phase::Commit,
        Phase::Wait,
        Phase::Finished,
    ];
    // A newer build's phase is shown as waiting.
    all.into_iter()
        .find(|phase| phase.as_str() == word)
        .unwrap_or(Phase::Wait)
}

fn stored_run(app: &AppState, row: RunRow) -> RunView {
    RunView {
        customer_name: app.view.customer_name(row.customer),
        customer_id: row.customer,
        run: row.run,
        lane: row.lane,
        worker_id: row.worker,
        revision: row.revision,
        cause: row.cause,
        phase: phase_of(&row.phase),
        counts: row.counts,
        expected: row.expected,
        message: row.message,
        started_at: row.started_at,
        finished_at: row.finished_at,
        result: row.result,
        why: row.why,
        heard_at: row.heard_at,
    }
}

fn reported_run(app: &AppState, reported: Reported) -> RunView {
    let progress = reported.progress;
    RunView {
        customer_name: app.view.customer_name(progress.customer_id),
        customer_id: progress.customer_id,
        run: progress.run,
        lane: progress.lane,
        worker_id: reported.worker,
        revision: progress.revision,
        cause: progress.cause,
        phase: progress.phase,
        counts: progress.counts,
        expected: progress.expected,
        message: progress.message,
        started_at: progress.started_at,
        finished_at: progress.finished_at,
        result: progress.result,
        why: progress.why,
        heard_at: reported.heard_at,
    }
}

/// What was reported last counts for runs that this coordinator heard of.
fn newest(app: &AppState, row: RunRow) -> RunView {
    match app.progress.get(row.customer, row.run) {
        Some(reported) if row.finished_at.is_none() => reported_run(app, reported),
        Some(_) | None => stored_run(app, row),
    }
}

/// Of one customer.
pub async fn list(
    State(app): State<AppState>,
    person: Person,
    Path(customer): Path<CustomerId>,
    Query(query): Query<RunsQuery>,
) -> Answer<Json<Page<RunView>>> {
    person.may(Role::Viewer, customer)?;
    let query = RunsQuery {
        customer: Some(customer),
        ..query
    };
    listed(&app, query).await
}

/// Of all customers that the person sees.
pub async fn list_all(
    State(app): State<AppState>,
    person: Person,
    Query(query): Query<RunsQuery>,
) -> Answer<Json<Page<RunView>>> {
    let customer = query.customer.or(person.me.customer_id);
    match customer {
        Some(customer) => person.may(Role::Viewer, customer)?,
        None => person.needs(Role::Viewer)?,
    }
    listed(&app, RunsQuery { customer, ..query }).await
}

async fn listed(app: &AppState, query: RunsQuery) -> Answer<Json<Page<RunView>>> {
    let limit = limit(query.limit);
    let filter = RunFilter {
        customer: query.customer,
        lane: query.lane,
        state: query.state.map(|state| match state {
            RunState::Live => storage::RunState::Live,
            RunState::Trouble => storage::RunState::Trouble,
            RunState::Wrote => storage::RunState::Wrote,
            RunState::News => storage::RunState::News,
        }),
        from: query.from,
        until: query.until,
        before: match query.cursor.as_deref() {
            None | Some("") => None,
            Some(text) => Some(place(text).ok_or_else(foreign_cursor)?),
        },
        limit: limit as u64 + 1,
    };
    let rows = app.storage.runs(&filter).await?;
    let runs = rows.into_iter().map(|row| newest(app, row)).collect();
    Ok(Json(page(runs, limit, |run: &RunView| {
        let at = run.started_at.as_millisecond();
        format!("{at}.{}.{}", run.customer_id, run.run)
    })))
}

/// A list's place as its cursor holds it.
fn place(cursor: &str) -> Option<RunPlace> {
    let mut parts = cursor.split('.');
    let place = RunPlace {
        started_at: Timestamp::from_millisecond(parts.next()?.parse().ok()?).ok()?,
        customer: parts.next()?.parse().ok()?,
        run: parts.next()?.parse().ok()?,
    };
    parts.next().is_none().then_some(place)
}

pub async fn show(
    State(app): State<AppState>,
    person: Person,
    Path((customer, run)): Path<(CustomerId, RunId)>,
    Query(query): Query<ListQuery>,
) -> Answer<Json<RunDetail>> {
    person.may(Role::Viewer, customer)?;
    let row = app
        .storage
        .run(customer, run)
        .await?
        .ok_or_else(|| Refusal::not_found(format!("run {run} of customer {customer}")))?;
    let limit = limit(query.limit);
    let after: Option<IntentId> = cursor(&query)?;
    let read = app
        .replicas
        .read(customer, move |journal| {
            let Some(view) = journal.run(run)? else {
                return Ok(None);
            };
            let writes = journal.run_writes(run, after, limit + 1)?;
            let mut keys = BTreeMap::new();
            for write in &writes {
                if let lockstep_model::entry::Subject::Record(record) = write.subject
                    && let Some(record) = journal.record_view(record)?
                {
                    keys.insert(record.record, said::record_name(&record));
                }
            }
            Ok(Some((view, writes, keys)))
        })
        .await?;
    let names = said::Names::of(&app, customer).await?;
    let mut steps = Vec::new();
    let mut next = None;
    if let Some((view, mut writes, keys)) = read.value {
        if after.is_none() {
            steps.extend(said::run_begin(&names, &view));
        }
        let more = writes.len() > limit;
        writes.truncate(limit);
        next = writes
            .last()
            .filter(|_| more)
            .map(|write| write.intent.to_string());
        steps.extend(
            writes
                .iter()
                .map(|write| said::write_step(&names, write, &keys)),
        );
        if !more {
            steps.extend(said::run_end(&view));
        }
    }
    Ok(Json(RunDetail {
        run: newest(&app, row),
        steps: steps.into_iter().collect::<Vec<RunStep>>(),
        next,
    }))
}

pub async fn cancel(
    State(app): State<AppState>,
    person: Person,
    Path((customer, run)): Path<(CustomerId, RunId)>,
) -> Answer<StatusCode> {
    person.may(Role::Editor, customer)?;
    let row = app
        .storage
        .run(customer, run)
        .await?
        .ok_or_else(|| Refusal::not_found(format!("run {run} of customer {customer}")))?;
    if newest(&app, row).finished_at.is_some() {
        return Err(Refusal::new(
            Code::Conflict,
            format!("run {run} has ended already"),
        ));
    }
    app.storage
        .cancel_run(customer, run, person.name(), Timestamp::now())
        .await?;
    app.tail.notify();
    app.events.tell(Topic::Runs, Some(customer));
    Ok(StatusCode::NO_CONTENT)
}

/// Which of the customer's shops, and which flows.
fn places(
    settings: &CustomerSettings,
    shops: &[ShopId],
    flows: &[Flow],
) -> Answer<Vec<(CustomerId, ShopId, Flow)>> {
    let known: BTreeSet<ShopId> = settings.shops().map(|(service, _)| service.id).collect();
    if let Some(unknown) = shops.iter().find(|shop| !known.contains(shop)) {
        return Err(Refusal::not_found(format!(
            "active shop {unknown} of {}",
            settings.customer.name
        )));
    }
    let mut places = Vec::new();
    for shop in known
        .into_iter()
        .filter(|shop| shops.is_empty() || shops.contains(shop))
    {
        for flow in Flow::ALL {
            let asked = flows.is_empty() || flows.contains(&flow);
            if asked && settings.customer.flow_is_on(flow) {
                places.push((settings.id(), shop, flow));
            }
        }
    }
    if places.is_empty() {
        return Err(Refusal::new(
            Code::Conflict,
            format!(
                "{} has no active shop, or these flows are switched off",
                settings.customer.name
            ),
        ));
    }
    Ok(places)
}

fn may_run(settings: &CustomerSettings) -> Answer<()> {
    let about = &settings.customer;
    if about.may_run() {
        return Ok(());
    }
    let why = if about.locked {
        "it is locked"
    } else {
        "its syncing is switched off"
    };
    Err(Refusal::new(
        Code::Conflict,
        format!("no run of {} may start: {why}", about.name),
    ))
}

/// A run that a worker says it has begun, and whose report is still on its way: from now on its page is there.
pub(super) async fn note_begun(
    app: &AppState,
    customer: CustomerId,
    run: RunId,
    revision: Revision,
    cause: String,
) -> Answer<()> {
    let worker = app
        .view
        .customer(customer)
        .and_then(|known| known.ownership.worker);
    let now = Timestamp::now();
    let row = RunRow {
        customer,
        run,
        worker: worker.unwrap_or(WorkerId(0)),
        lane: Lane::Catalogue,
        revision,
        cause,
        phase: phase_word(Phase::Pull).to_owned(),
        counts: Counts::default(),
        expected: None,
        message: String::new(),
        started_at: now,
        finished_at: None,
        result: None,
        why: None,
        heard_at: now,
    };
    app.storage.note_run(&row).await?;
    app.events.tell(Topic::Runs, Some(customer));
    Ok(())
}

pub async fn sync(
    State(app): State<AppState>,
    person: Person,
    Path(customer): Path<CustomerId>,
    Json(request): Json<SyncRequest>,
) -> Answer<Json<SyncReply>> {
    person.may(Role::Editor, customer)?;
    let stored = stored(&app, customer).await?;
    may_run(&stored.settings)?;
    let places = places(&stored.settings, &request.shops, &request.flows)?;
    let runs_after = app.storage.newest_run(customer).await?;
    let wakes = app
        .wakes
        .raise(places, lockstep_storage::WakeBy::Person)
        .await?;
    Ok(Json(SyncReply { wakes, runs_after }))
}

pub async fn plan(
    State(app): State<AppState>,
    person: Person,
    Path(customer): Path<CustomerId>,
    Json(request): Json<PlanRequest>,
) -> Answer<Json<Plan>> {
    person.may(Role::Viewer, customer)?;
    may_run(&stored(&app, customer).await?.settings)?;
    let asked = Asked {
        customer: Some(customer),
        platform: None,
        question: Question::Plan {
            flows: request.flows,
            shops: request.shops,
            rows_max: PLAN_ROWS_MAX,
            by: person.name().to_owned(),
        },
        by: person.name(),
        wait: PLAN_WAIT,
    };
    match ask(&app, asked).await? {
        Answered::Planned { plan } => Ok(Json(*plan)),
        other => Err(not_done(other)),
    }
}

pub async fn apply_plan(
    State(app): State<AppState>,
    person: Person,
    Path(customer): Path<CustomerId>,
    Json(request): Json<ApplyPlanRequest>,
) -> Answer<Json<ApplyPlanReply>> {
    person.may(Role::Editor, customer)?;
    let stored = stored(&app, customer).await?;
    may_run(&stored.settings)?;
    let cause = format!("{}, who applies plan {}", person.name(), request.plan);
    let asked = Asked {
        customer: Some(customer),
        platform: None,
        question: Question::Apply {
            plan: request.plan,
            by: person.name().to_owned(),
        },
        by: person.name(),
        wait: ASK_WAIT,
    };
    match ask(&app, asked).await? {
        Answered::Applied { run } => {
            note_begun(&app, customer, run, stored.revision, cause).await?;
            Ok(Json(ApplyPlanReply { run }))
        }
        other => Err(not_done(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_that_was_not_given_here_names_no_place() {
        let at = place("1780315200000.7.8813").unwrap();
        assert_eq!((at.customer, at.run), (CustomerId(7), RunId(8_813)));
        for text in ["7", "1.2", "1.2.3.4", "a.b.c", "99999999999999999.1.1"] {
            assert!(place(text).is_none(), "{text}");
        }
    }
}
