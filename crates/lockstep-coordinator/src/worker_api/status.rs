//! `POST /status`: what a worker applied, what it acted on and how its runs go.

use super::identify::{Caller, instance};
use crate::extract::Json;
use crate::{
    AppState,
    alarms::{self, Alarm},
    api::standing::{failing_cure, failing_word, is_for_people, shop_page},
    events::Topic,
    hooks,
    refusal::{Answer, Refusal},
    reports::Known,
    view::Slot,
};
use axum::{extract::State, http::HeaderMap};
use jiff::Timestamp;
use lockstep_model::{
    CustomerId, ShopId,
    entry::{RunResult, RunWhy},
};
use lockstep_protocol::{
    bounds::RUNS_REPORTED_MAX,
    status::{ApplyState, CustomerReport, RunProgress, ShopReport, StatusReply, StatusReport},
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
        shops(app, report.id, report.shops.clone()).await;
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
                    href: format!("/customers/{}/settings", report.id),
                    action: "Open the settings".into(),
                    shop: None,
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

/// What a shop does to all calls is one trouble, however many runs meet it: it is told once, with what cures it, and is
/// over when the shop answers again.
async fn shops(app: &AppState, customer: CustomerId, reports: Vec<ShopReport>) {
    // A worker that has just begun has called none of them yet: they are as they were.
    if reports.is_empty() {
        return;
    }
    let Some(before) = app.reports.put_shops(customer, reports.clone()) else {
        return;
    };
    app.events.tell(Topic::Customers, Some(customer));
    let is_told = |report: &&ShopReport| report.failing.as_ref().is_some_and(is_for_people);
    for report in &reports {
        let key = format!("{customer}/{}", report.shop);
        match report
            .failing
            .as_ref()
            .filter(|failing| is_for_people(failing))
        {
            Some(failing) => {
                let alarm = Alarm {
                    kind: "shop",
                    key,
                    customer: Some(customer),
                    worker: None,
                    title: format!(
                        "{} {}",
                        shop_name(app, customer, report.shop).await,
                        failing_word(failing)
                    ),
                    detail: format!(
                        "{}. Nothing is lost: what waits for it goes on once it answers.",
                        failing.message.trim_end_matches('.')
                    ),
                    href: shop_page(customer, report.shop),
                    action: failing_cure(failing).into(),
                    shop: Some(report.shop),
                };
                alarms::raise(app, alarm).await;
            }
            None => {
                // After a restart nobody knows what was open.
                let was = before.iter().find(|was| was.shop == report.shop);
                if was.is_none_or(|was| is_told(&was)) {
                    alarms::clear(app, "shop", &key, Some(customer)).await;
                }
            }
        }
    }
    // Not connected any more: what it did is nobody's trouble.
    for gone in &before {
        if !reports.iter().any(|report| report.shop == gone.shop) {
            let key = format!("{customer}/{}", gone.shop);
            alarms::clear(app, "shop", &key, Some(customer)).await;
        }
    }
}

async fn shop_name(app: &AppState, customer: CustomerId, shop: ShopId) -> String {
    let merchant = app.view.customer_name(customer);
    match app.storage.customer(customer).await {
        Ok(Some(stored)) => match stored.settings.service(shop) {
            Some(service) => format!("{} of {merchant}", service.name),
            None => format!("shop {shop} of {merchant}"),
        },
        Ok(None) | Err(_) => format!("shop {shop} of {merchant}"),
    }
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
    // What follows from a run's end stands before the run is seen to have ended.
    for run in kept.iter().filter(|run| run.finished_at.is_some()) {
        ended(app, run).await;
    }
    let rows: Vec<RunRow> = kept.iter().map(|run| row(slot, run, now)).collect();
    app.storage.put_runs(&rows).await?;
    let changed = app.progress.report(slot.id, full, runs, now);
    for customer in changed {
        app.events.tell(Topic::Runs, Some(customer));
    }
    for run in kept.iter().filter(|run| run.finished_at.is_some()) {
        app.view.forget_cancel(run.customer_id, run.run);
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
        why: run.why,
        heard_at: now,
    }
}

/// A run tells of itself only what nothing else tells of: shops that fail, questions, held orders and what stands aside
/// are each told as what they are.
async fn ended(app: &AppState, run: &RunProgress) {
    let key = format!("{}/{}", run.customer_id, run.lane);
    let name = app.view.customer_name(run.customer_id);
    let alarm = |kind, title, page: String, action: &str| Alarm {
        kind,
        key: key.clone(),
        customer: Some(run.customer_id),
        worker: None,
        title,
        detail: run.message.clone(),
        href: format!("/customers/{}/{page}", run.customer_id),
        action: action.into(),
        shop: None,
    };
    let open = match (run.result, run.why) {
        // It goes on in the next run, or was a person's will.
        (Some(RunResult::Cancelled) | None, _) => return,
        (_, Some(RunWhy::Limit)) => Some(alarm(
            "limit",
            format!("A limit stops the {} of {name}", run.lane),
            "plan".into(),
            "See the plan",
        )),
        (_, Some(_)) => None,
        (Some(RunResult::Failed | RunResult::NeedsPerson), None) => Some(alarm(
            "run",
            format!("A run of {name} ({}) waits for a person", run.lane),
            format!("runs/{}", run.run),
            "See the run",
        )),
        (Some(RunResult::Done | RunResult::Partly), None) => None,
    };
    match open {
        Some(alarm) => {
            let other = if alarm.kind == "limit" {
                "run"
            } else {
                "limit"
            };
            alarms::clear(app, other, &key, Some(run.customer_id)).await;
            alarms::raise(app, alarm).await;
            app.reports.run_went_badly(run.customer_id, run.lane);
        }
        None => {
            if app.reports.run_went_well(run.customer_id, run.lane) {
                for kind in ["run", "limit"] {
                    alarms::clear(app, kind, &key, Some(run.customer_id)).await;
                }
            }
        }
    }
}
