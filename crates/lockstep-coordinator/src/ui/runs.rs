//! Runs: what happened, in order, with its cause; live while it happens.

use super::{
    Shared,
    api::Caller,
    customers::named,
    failure::{Failure, Shown},
    frame::Frame,
    session::{Posted, Visitor, refused, went_well},
    urls,
    widgets::{Id, State, When, grouped, span},
};
use askama::Template;
use axum::{
    extract::{self, Path, Query},
    response::{IntoResponse, Response},
};
use lockstep_model::{CustomerId, Flow, RunId, ShopId, entry::RunResult};
use lockstep_protocol::{
    Problem,
    paths::people,
    people::{
        Page,
        customers::CustomerRow,
        runs::{RunDetail, RunView, SyncReply, SyncRequest},
        workers::WorkerView,
    },
    status::Phase,
};
use serde::{Deserialize, de::IgnoredAny};

/// Customers whose runs are gathered into one list.
const CUSTOMERS_GATHERED_MAX: usize = 25;
const RUNS_A_PAGE: usize = 50;

pub struct RunRow {
    pub href: String,
    pub id: RunId,
    pub customer: String,
    pub customer_href: String,
    pub lane: &'static str,
    pub state: State,
    pub cause: String,
    pub read: String,
    pub changed: String,
    pub written: String,
    pub failed: u64,
    pub open: u64,
    pub conflicts: u64,
    pub started: When,
    pub took: String,
    pub message: String,
    pub live: bool,
    pub progress: Option<Progress>,
}

/// A bar never stands without its count.
pub struct Progress {
    pub done: u64,
    pub of: u64,
    pub text: String,
}

impl RunRow {
    pub fn new(run: &RunView, frame: &Frame) -> Self {
        let counts = &run.counts;
        let until = run.finished_at.unwrap_or(frame.now);
        let took = until.duration_since(run.started_at);
        RunRow {
            href: urls::run(run.customer_id, run.run),
            id: run.run,
            customer: run.customer_name.clone(),
            customer_href: urls::customer(run.customer_id),
            lane: run.lane.as_str(),
            state: state_of(run),
            cause: run.cause.clone(),
            read: grouped(counts.pulled),
            changed: grouped(counts.changed),
            written: grouped(counts.written),
            failed: counts.failed + counts.bad,
            open: counts.open,
            conflicts: counts.conflicts,
            started: When::new(run.started_at, frame.now),
            took: length(took),
            message: run.message.clone(),
            live: run.is_live(),
            progress: progress(run),
        }
    }
}

fn length(took: jiff::SignedDuration) -> String {
    let ms = took.as_millis().max(0);
    if ms < 1_000 {
        format!("{ms} ms")
    } else if ms < 10_000 {
        format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
    } else {
        span(u64::try_from(ms / 1_000).unwrap_or(0))
    }
}

fn progress(run: &RunView) -> Option<Progress> {
    let of = run.expected.filter(|of| *of > 0 && run.is_live())?;
    let (done, what) = match run.phase {
        Phase::Pull => (run.counts.pulled, "read"),
        _ => (run.counts.written, "written"),
    };
    Some(Progress {
        done: done.min(of),
        of,
        text: format!("{} of {} {what}", grouped(done), grouped(of)),
    })
}

pub fn state_of(run: &RunView) -> State {
    match (run.result, run.is_live()) {
        (Some(RunResult::Done), _) => State::good("done"),
        (Some(RunResult::Partly), _) => State::attention("done in part"),
        (Some(RunResult::NeedsPerson), _) => State::attention("needs a person"),
        (Some(RunResult::Failed), _) => State::failed("failed"),
        (Some(RunResult::Cancelled), _) => State::idle("cancelled"),
        (None, true) => State::idle(format!("running: {}", run.phase.as_str())),
        (None, false) => State::idle("ended"),
    }
}

fn runs_path(customer: CustomerId, limit: usize, cursor: &str) -> String {
    let limit = limit.to_string();
    let pairs = [("limit", limit.as_str()), ("cursor", cursor)];
    urls::with_query(&urls::path(people::RUNS, &[&customer]), &pairs)
}

/// The newest runs of one customer or of all; of many customers, of the first ones.
pub async fn recent(
    caller: &Caller,
    customer: Option<CustomerId>,
    limit: usize,
) -> Result<Vec<RunView>, Problem> {
    let customers = match customer {
        Some(customer) => vec![customer],
        None => {
            let at_most = CUSTOMERS_GATHERED_MAX.to_string();
            let path = urls::with_query(people::CUSTOMERS, &[("limit", &at_most)]);
            let page: Page<CustomerRow> = caller.get(&path).await?;
            page.items.iter().map(|row| row.id).collect()
        }
    };
    let asked = customers.into_iter().map(|customer| async move {
        caller
            .get::<Page<RunView>>(&runs_path(customer, limit, ""))
            .await
    });
    let mut runs = Vec::new();
    for page in futures::future::join_all(asked).await {
        match page {
            Ok(page) => runs.extend(page.items),
            // One customer's replica that cannot be read does not hide the others' runs.
            Err(problem) => tracing::warn!(%problem, "the runs of one customer are not shown"),
        }
    }
    runs.sort_by_key(|run| (run.is_live(), run.started_at, run.run));
    runs.reverse();
    runs.truncate(limit);
    Ok(runs)
}

/// Of those that did something, or did not end well, the newest; a run that looked and found nothing is no
/// news. If none did anything, the newest at all.
pub fn telling(mut runs: Vec<RunView>, at_most: usize) -> Vec<RunView> {
    let tells = |run: &RunView| {
        let counts = &run.counts;
        let moved = counts.changed + counts.written + counts.failed + counts.bad + counts.conflicts;
        moved > 0 || run.is_live() || run.result != Some(RunResult::Done)
    };
    if runs.iter().any(tells) {
        runs.retain(tells);
    }
    runs.truncate(at_most);
    runs
}

/// Runs among which those that tell something are sought.
pub const LOOKED_THROUGH: usize = 100;

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct RunsQuery {
    state: String,
    cursor: String,
    /// "Sync now" was pressed: a greater run is of it.
    after: String,
}

#[derive(Template)]
#[template(path = "runs.html")]
struct RunsPage {
    frame: Frame,
    rows: Vec<RunRow>,
    /// One customer's, else everybody's.
    customer: Option<CustomerId>,
    base: String,
    state: String,
    next: Option<String>,
    /// Asked for and not there yet.
    awaited: bool,
    may_edit: bool,
}

impl RunsPage {
    fn filter(&self, state: &str) -> String {
        urls::with_query(&self.base, &[("state", state)])
    }

    fn sync(&self) -> Option<String> {
        self.customer
            .map(|customer| urls::of_customer(customer, "sync"))
    }
}

fn wanted(run: &RunView, state: &str) -> bool {
    match state {
        "live" => run.is_live(),
        "trouble" => matches!(
            run.result,
            Some(RunResult::Failed | RunResult::Partly | RunResult::NeedsPerson)
        ),
        "writes" => run.counts.written > 0,
        _ => true,
    }
}

pub async fn of_all(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Query(query): Query<RunsQuery>,
) -> Result<Response, Failure> {
    let runs = recent(&visitor.caller, None, RUNS_A_PAGE * 4).await?;
    let frame = Frame::of(&ui, &visitor, "Runs", "runs").await;
    let page = RunsPage {
        rows: runs
            .iter()
            .filter(|run| wanted(run, &query.state))
            .take(RUNS_A_PAGE)
            .map(|run| RunRow::new(run, &frame))
            .collect(),
        customer: None,
        base: urls::RUNS.into(),
        state: query.state,
        next: None,
        awaited: false,
        may_edit: visitor.may_edit(),
        frame,
    };
    Ok(Shown(page).into_response())
}

pub async fn of_customer(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path(customer): Path<CustomerId>,
    Query(query): Query<RunsQuery>,
) -> Result<Response, Failure> {
    let name = named(&visitor.caller, customer).await?;
    let page: Page<RunView> = visitor
        .caller
        .get(&runs_path(customer, RUNS_A_PAGE, &query.cursor))
        .await?;
    let frame = Frame::of(&ui, &visitor, &format!("Runs of {name}"), "customers")
        .await
        .within(customer, &name, "runs");
    let base = urls::of_customer(customer, "runs");
    let newest = page.items.iter().map(|run| run.run.0).max().unwrap_or(0);
    let next = page
        .next
        .as_deref()
        .map(|cursor| urls::with_query(&base, &[("state", &query.state), ("cursor", cursor)]));
    let page = RunsPage {
        rows: page
            .items
            .iter()
            .filter(|run| wanted(run, &query.state))
            .map(|run| RunRow::new(run, &frame))
            .collect(),
        customer: Some(customer),
        base,
        state: query.state,
        next,
        awaited: query
            .after
            .parse::<u64>()
            .is_ok_and(|after| newest <= after),
        may_edit: visitor.may_edit(),
        frame,
    };
    Ok(Shown(page).into_response())
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    frame: Frame,
    run: RunRow,
    id: Id,
    href: String,
    revision: u64,
    settings_href: String,
    worker_href: String,
    worker: String,
    bad: u64,
    not_written: u64,
    calls: String,
    phases: Vec<PhaseMark>,
    ended: Option<When>,
    heard: When,
    steps: Vec<StepRow>,
    next: Option<String>,
    may_edit: bool,
    records_href: String,
    conflicts_href: String,
    asides_href: String,
    /// The worker has been silent for too long to believe that it still runs.
    silent: bool,
}

struct PhaseMark {
    word: &'static str,
    about: &'static str,
    class: &'static str,
    said: &'static str,
}

struct StepRow {
    at: When,
    /// Some steps sum up many entries.
    seq: Option<u64>,
    shop: Option<String>,
    shop_href: String,
    title: String,
    detail: String,
}

const SILENT_AFTER_SECONDS: i64 = 60;

fn phases(run: &RunView) -> Vec<PhaseMark> {
    let order = [
        (Phase::Pull, "read what changed in each shop"),
        (Phase::Merge, "compare it with what was known"),
        (Phase::Plan, "find the smallest set of changes"),
        (
            Phase::WriteAhead,
            "put them on record before any call leaves",
        ),
        (Phase::Push, "write to the shops"),
        (Phase::Commit, "remember what the shops answered"),
    ];
    let ended = !run.is_live();
    let at = order.iter().position(|(phase, _)| *phase == run.phase);
    order
        .iter()
        .enumerate()
        .map(|(place, (phase, about))| {
            let (class, said) = match (ended, at) {
                (true, _) => ("past", "done"),
                (false, Some(at)) if place < at => ("past", "done"),
                (false, Some(at)) if place == at => ("now", "now"),
                _ => ("ahead", "to come"),
            };
            PhaseMark {
                word: phase.as_str(),
                about,
                class,
                said,
            }
        })
        .collect()
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct RunQuery {
    cursor: String,
}

pub async fn show(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path((customer, run)): Path<(CustomerId, RunId)>,
    Query(query): Query<RunQuery>,
) -> Result<Response, Failure> {
    let path = urls::with_query(
        &urls::path(people::RUN, &[&customer, &run]),
        &[("cursor", &query.cursor)],
    );
    let shops = super::customers::shop_names(&visitor.caller, customer).await?;
    let detail: RunDetail = visitor.caller.get(&path).await?;
    let view = &detail.run;
    let name = if view.customer_name.is_empty() {
        &shops.customer
    } else {
        &view.customer_name
    };
    let mut frame = Frame::of(&ui, &visitor, &format!("Run {run}"), "customers")
        .await
        .within(customer, name, "runs");
    frame.crumb("Runs", urls::of_customer(customer, "runs"));
    let href = urls::run(customer, run);
    let steps = detail.steps.iter().map(|step| StepRow {
        at: When::new(step.at, frame.now),
        seq: Some(step.seq).filter(|seq| (1..u64::MAX).contains(seq)),
        shop: step.shop.map(|shop| shops.of(shop)),
        shop_href: step
            .shop
            .map_or_else(String::new, |shop| urls::shop(customer, shop)),
        title: step.title.clone(),
        detail: step.detail.clone(),
    });
    let worker: Result<WorkerView, Problem> = visitor
        .caller
        .get(&urls::path(people::WORKER, &[&view.worker_id]))
        .await;
    // Its number says enough to who may not see the workers.
    let worker = worker.map_or_else(|_| format!("worker {}", view.worker_id), |found| found.name);
    let silence = frame.now.duration_since(view.heard_at).as_secs();
    let page = RunPage {
        run: RunRow::new(view, &frame),
        id: Id::new(run),
        revision: view.revision.0,
        settings_href: urls::of_customer(customer, "settings"),
        worker_href: urls::worker(view.worker_id),
        worker,
        bad: view.counts.bad,
        not_written: view.counts.failed,
        calls: grouped(view.counts.calls),
        phases: phases(view),
        ended: view.finished_at.map(|at| When::new(at, frame.now)),
        heard: When::new(view.heard_at, frame.now),
        steps: steps.collect(),
        next: detail
            .next
            .as_deref()
            .map(|cursor| urls::with_query(&href, &[("cursor", cursor)])),
        may_edit: visitor.may_edit(),
        records_href: urls::of_customer(customer, "records"),
        conflicts_href: urls::of_customer(customer, "conflicts"),
        asides_href: urls::of_customer(customer, "asides"),
        silent: view.is_live() && silence > SILENT_AFTER_SECONDS,
        href,
        frame,
    };
    Ok(Shown(page).into_response())
}

pub async fn cancel(Path((customer, run)): Path<(CustomerId, RunId)>, posted: Posted) -> Response {
    let path = urls::path(people::RUN_CANCEL, &[&customer, &run]);
    let answered: Result<IgnoredAny, Problem> = posted.visitor.caller.post(&path, &()).await;
    let back = urls::run(customer, run);
    match answered {
        Ok(_) => went_well(
            &back,
            "It is asked to stop. What has left is awaited and written down; nothing more is sent.",
        ),
        Err(problem) => refused(&back, &problem),
    }
}

pub async fn sync(Path(customer): Path<CustomerId>, posted: Posted) -> Response {
    let asked = SyncRequest {
        flows: posted.values.all("flow").filter_map(Flow::parse).collect(),
        shops: shops_of(&posted),
    };
    let path = urls::path(people::SYNC, &[&customer]);
    let answered: Result<SyncReply, Problem> = posted.visitor.caller.post(&path, &asked).await;
    match answered {
        Ok(reply) => {
            let after = reply.runs_after.map_or(0, |run| run.0).to_string();
            let runs = urls::of_customer(customer, "runs");
            went_well(
                &urls::with_query(&runs, &[("after", &after)]),
                "Asked for. The run stands here as soon as the worker has begun it.",
            )
        }
        Err(problem) => refused(&urls::customer(customer), &problem),
    }
}

pub fn shops_of(posted: &Posted) -> Vec<ShopId> {
    posted
        .values
        .all("shop")
        .filter_map(|shop| shop.parse().ok())
        .collect()
}
