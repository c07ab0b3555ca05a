//! `POST /status`: what a worker applied, what it acted on and how its runs go.

use super::identify::{Caller, instance};
use crate::extract::Json;
use crate::{
    AppState,
    alarms::{self, Alarm},
    events::Topic,
    hooks,
    refusal::{Answer, Refusal},
    reports::Known,
    view::Slot,
};
use axum::{extract::State, http::HeaderMap};
use jiff::Timestamp;
use lockstep_model::entry::RunResult;
use lockstep_protocol::{
    bounds::RUNS_REPORTED_MAX,
    status::{ApplyState, CustomerReport, RunProgress, StatusReply, StatusReport},
};
use lockstep_storage::{self as storage, RunRow};

/// Every so many runs of a customer the oldest are forgotten.
const PRUNE_EVERY: u64 = 100;

pub async fn status(
    State(app): State<AppState>,
    Caller(slot): Caller,
    headers: HeaderMap,
    Json(report): Json<StatusReport>,
) -> Answer<Json<StatusReply>> {
    if instance(&headers)? != report.instance {
        return Err(Refusal::bad_request(
            "the report is of another instance than the header Worker-Instance says",
        ));
    }
    if report.runs.len() > RUNS_REPORTED_MAX {
        return Err(Refusal::bad_request(format!(
            "more than {RUNS_REPORTED_MAX} runs in one report"
        )));
    }
    let now = Timestamp::now();
    let gap = slot.reported(report.seq, report.full);
    customers(&app, &slot, report.customers, now).await?;
    acted(&app, &slot, &report.acted.wakes).await?;
    runs(&app, &slot, report.full, report.runs, report.sent_at, now).await?;
    for seen in report.hooks {
        let owner = app.view.customer(seen.customer_id);
        if owner.is_some_and(|known| known.ownership.worker == Some(slot.id)) {
            let age = report.sent_at.duration_since(seen.looked_at);
            hooks::seen(&app, seen, age).await?;
        }
    }
    Ok(Json(StatusReply {
        full: gap,
        server_time: now,
    }))
}

async fn customers(
    app: &AppState,
    slot: &Slot,
    reports: Vec<CustomerReport>,
    now: Timestamp,
) -> Answer<()> {
    // What a former owner says of a customer is over.
    let ours: Vec<CustomerReport> = reports
        .into_iter()
        .filter(|report| app.view.owns(slot.id, report.id, report.epoch))
        .collect();
    let mut news = Vec::new();
    for report in ours {
        app.figures.allow(report.id, report.calls_per_second_max);
        let known = Known {
            worker: slot.id,
            revision: report.revision,
            epoch: report.epoch,
            state: report.state,
            error: report.error.clone(),
            stopped: report.stopped,
        };
        let before = app.reports.put(report.id, known.clone());
        if before.as_ref() != Some(&known) {
            news.push((before, report));
        }
    }
    let rows: Vec<storage::CustomerReport> = news
        .iter()
        .map(|(_, report)| storage::CustomerReport {
            customer: report.id,
            worker: slot.id,
            revision: report.revision,
            epoch: report.epoch,
            state: stored(report.state),
            error: report.error.clone(),
            journal_sequence: report.journal_sequence,
            reported_at: now,
        })
        .collect();
    app.storage.put_reports(&rows).await?;
    for (before, report) in news {
        app.events.tell(Topic::Customers, Some(report.id));
        match report.state {
            // Nobody works for it: the watchdog tells, and closes it by itself.
            ApplyState::Failed if report.stopped => {}
            ApplyState::Failed => {
                let name = app.view.customer_name(report.id);
                let alarm = Alarm {
                    kind: "settings",
                    key: report.id.to_string(),
                    customer: Some(report.id),
                    worker: Some(slot.id),
                    title: format!("The settings of {name} could not be applied"),
                    detail: format!(
                        "{} The settings before them stay in force.",
                        report.error.unwrap_or_default()
                    ),
                    href: format!("/customers/{}", report.id),
                };
                alarms::raise(app, alarm).await;
            }
            ApplyState::Applied => {
                // After a restart nobody knows what was open.
                if before.is_none_or(|before| before.state != ApplyState::Applied) {
                    alarms::clear(app, "settings", &report.id.to_string(), Some(report.id)).await;
                }
                let registering = hooks::register(app.clone(), report.id, report.revision);
                tokio::spawn(registering);
            }
            ApplyState::Applying => {}
        }
    }
    Ok(())
}

fn stored(state: ApplyState) -> storage::ApplyState {
    match state {
        ApplyState::Applied => storage::ApplyState::Applied,
        ApplyState::Applying => storage::ApplyState::Applying,
        ApplyState::Failed => storage::ApplyState::Failed,
    }
}

async fn acted(
    app: &AppState,
    slot: &Slot,
    wakes: &[lockstep_protocol::wanted::Wake],
) -> Answer<()> {
    let news: Vec<_> = wakes
        .iter()
        .filter(|wake| {
            app.view
                .customer(wake.customer_id)
                .is_some_and(|known| known.ownership.worker == Some(slot.id))
                && app.reports.acted(wake)
        })
        .map(|wake| (wake.customer_id, wake.shop_id, wake.flow, wake.counter))
        .collect();
    if !news.is_empty() {
        app.storage.acted_on_wakes(&news).await?;
    }
    Ok(())
}

async fn runs(
    app: &AppState,
    slot: &Slot,
    full: bool,
    runs: Vec<RunProgress>,
    sent_at: Timestamp,
    now: Timestamp,
) -> Answer<()> {
    let runs: Vec<RunProgress> = runs
        .into_iter()
        .filter(|run| {
            app.view
                .customer(run.customer_id)
                .is_some_and(|known| known.ownership.worker == Some(slot.id))
        })
        .collect();
    for run in &runs {
        let before = app.progress.get(run.customer_id, run.run);
        let before = before.as_ref().map(|before| &before.progress);
        app.figures.take(before, run, sent_at, now);
    }
    // The first word of a run and its last are kept; what lies between is for whoever looks now.
    let kept: Vec<RunProgress> = runs
        .iter()
        .filter(|run| match app.progress.get(run.customer_id, run.run) {
            None => true,
            Some(before) => run.finished_at.is_some() && before.progress.finished_at.is_none(),
        })
        .cloned()
        .collect();
    let rows: Vec<RunRow> = kept.iter().map(|run| row(slot, run, now)).collect();
    app.storage.put_runs(&rows).await?;
    let changed = app.progress.report(slot.id, full, runs, now);
    for customer in changed {
        app.events.tell(Topic::Runs, Some(customer));
    }
    for run in kept.iter().filter(|run| run.finished_at.is_some()) {
        app.view.forget_cancel(run.customer_id, run.run);
        ended(app, run).await;
        if run.run.0 % PRUNE_EVERY == 0 {
            app.storage.prune_runs(run.customer_id).await?;
        }
    }
    Ok(())
}

fn row(slot: &Slot, run: &RunProgress, now: Timestamp) -> RunRow {
    RunRow {
        customer: run.customer_id,
        run: run.run,
        worker: slot.id,
        lane: run.lane,
        revision: run.revision,
        cause: run.cause.clone(),
        phase: crate::api::phase_word(run.phase).to_owned(),
        counts: run.counts,
        expected: run.expected,
        message: run.message.clone(),
        started_at: run.started_at,
        finished_at: run.finished_at,
        result: run.result,
        heard_at: now,
    }
}

async fn ended(app: &AppState, run: &RunProgress) {
    let key = format!("{}/{}", run.customer_id, run.lane);
    match run.result {
        Some(RunResult::Failed | RunResult::NeedsPerson) => {
            let name = app.view.customer_name(run.customer_id);
            let alarm = Alarm {
                kind: "run",
                key,
                customer: Some(run.customer_id),
                worker: None,
                title: format!("A run of {name} ({}) waits for a person", run.lane),
                detail: run.message.clone(),
                href: format!("/customers/{}/runs/{}", run.customer_id, run.run),
            };
            alarms::raise(app, alarm).await;
        }
        Some(RunResult::Done | RunResult::Partly) => {
            if app.reports.run_went_well(run.customer_id, run.lane) {
                alarms::clear(app, "run", &key, Some(run.customer_id)).await;
            }
        }
        Some(RunResult::Cancelled) | None => {}
    }
    if matches!(run.result, Some(RunResult::Failed | RunResult::NeedsPerson)) {
        app.reports.run_went_badly(run.customer_id, run.lane);
    }
}
