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
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use lockstep_model::{CustomerId, Flow, Lane, RunId, ShopId, entry::RunResult};
use lockstep_protocol::{
    Problem,
    paths::people,
    people::{
        Page,
        customers::CustomerRow,
        runs::{RunDetail, RunState, RunView, RunsQuery, SyncReply, SyncRequest, folded},
        workers::WorkerView,
    },
    status::Phase,
};
use serde::{Deserialize, de::IgnoredAny};

/// Before those that repeat are folded.
const RUNS_A_PAGE: u32 = 100;
/// Customers of one name that are offered to choose from.
const NAMESAKES_MAX: &str = "10";

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
    /// How many came to the same and wrote nothing, and when the first of them began.
    pub again: Option<(u64, When)>,
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
            state: state_of(run, frame.now),
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
            again: None,
        }
    }

    /// A list's, where repeats are one.
    pub fn rows(runs: Vec<RunView>, frame: &Frame) -> Vec<Self> {
        let rows = folded(runs).into_iter().map(|line| RunRow {
            again: (line.times > 1).then(|| (line.times, When::new(line.first_at, frame.now))),
            ..RunRow::new(&line.newest, frame)
        });
        rows.collect()
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

/// How long the worker has not said a word of a run that has not ended, if that is too long to believe that it
/// still runs.
fn silence(run: &RunView, now: Timestamp) -> Option<u64> {
    let seconds = now.duration_since(run.heard_at).as_secs();
    u64::try_from(seconds)
        .ok()
        .filter(|seconds| run.is_live() && *seconds > SILENT_AFTER_SECONDS)
}

pub fn state_of(run: &RunView, now: Timestamp) -> State {
    if let Some(seconds) = silence(run, now) {
        return State::attention(format!("no word for {}", span(seconds)));
    }
    match (run.result, run.is_live()) {
        (Some(RunResult::Done), _) => State::good("done"),
        (Some(RunResult::Partly), _) => State::attention("done in part"),
        (Some(RunResult::NeedsPerson), _) => State::attention("needs a person"),
        (Some(RunResult::Failed), _) => State::failed("failed"),
        (Some(RunResult::Cancelled), _) if run.gave_way() => State::idle("gave way"),
        (Some(RunResult::Cancelled), _) => State::idle("cancelled"),
        (None, true) => State::idle(format!("running: {}", run.phase.as_str())),
        (None, false) => State::idle("ended"),
    }
}

/// The runs of one customer or of all that the visitor sees.
pub async fn listed(caller: &Caller, query: &RunsQuery) -> Result<Page<RunView>, Problem> {
    let text = |known: Option<String>| known.unwrap_or_default();
    let customer = text(query.customer.map(|id| id.to_string()));
    let from = text(query.from.map(|at| at.to_string()));
    let until = text(query.until.map(|at| at.to_string()));
    let limit = text(query.limit.map(|limit| limit.to_string()));
    let pairs = [
        ("customer", customer.as_str()),
        ("lane", query.lane.map_or("", Lane::as_str)),
        ("state", query.state.map_or("", RunState::as_str)),
        ("from", from.as_str()),
        ("until", until.as_str()),
        ("limit", limit.as_str()),
        ("cursor", query.cursor.as_deref().unwrap_or_default()),
    ];
    caller
        .get(&urls::with_query(people::RUNS_OF_ALL, &pairs))
        .await
}

/// The newest of those that did something, or did not end well: a run that looked and found nothing is no news.
/// If none did anything, the newest at all.
pub async fn telling(
    caller: &Caller,
    customer: Option<CustomerId>,
    at_most: u32,
) -> Result<Vec<RunView>, Problem> {
    let mut query = RunsQuery {
        customer,
        state: Some(RunState::News),
        limit: Some(at_most),
        ..RunsQuery::default()
    };
    let found = listed(caller, &query).await?;
    if !found.items.is_empty() {
        return Ok(found.items);
    }
    query.state = None;
    Ok(listed(caller, &query).await?.items)
}

/// What the address says; a value that means nothing narrows nothing.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct View {
    /// A number, or a name.
    customer: String,
    lane: String,
    state: String,
    /// Days, both included, in UTC.
    from: String,
    until: String,
    cursor: String,
    /// "Sync now" was pressed: a greater run is of it.
    after: String,
}

impl View {
    fn query(&self, customer: Option<CustomerId>) -> RunsQuery {
        let day = |text: &str| text.parse::<Date>().ok();
        let begin = |day: Date| Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp());
        RunsQuery {
            customer,
            lane: Lane::ALL
                .into_iter()
                .find(|lane| lane.as_str() == self.lane),
            state: RunState::ALL
                .into_iter()
                .find(|state| state.as_str() == self.state),
            from: day(&self.from).and_then(begin),
            until: day(&self.until)
                .and_then(|day| day.tomorrow().ok())
                .and_then(begin),
            limit: Some(RUNS_A_PAGE),
            cursor: Some(self.cursor.clone()).filter(|cursor| !cursor.is_empty()),
        }
    }

    /// This view with another state, from its first page.
    fn at(&self, base: &str, state: &str, cursor: &str) -> String {
        let pairs = [
            ("customer", self.customer.as_str()),
            ("lane", self.lane.as_str()),
            ("state", state),
            ("from", self.from.as_str()),
            ("until", self.until.as_str()),
            ("cursor", cursor),
        ];
        urls::with_query(base, &pairs)
    }

    fn is_narrow(&self) -> bool {
        [
            &self.customer,
            &self.lane,
            &self.state,
            &self.from,
            &self.until,
            &self.cursor,
        ]
        .iter()
        .any(|value| !value.is_empty())
    }
}

#[derive(Template)]
#[template(path = "runs.html")]
struct RunsPage {
    frame: Frame,
    rows: Vec<RunRow>,
    /// One customer's, else everybody's.
    customer: Option<CustomerId>,
    base: String,
    view: View,
    /// No customer is called so.
    nobody: bool,
    /// The customers that may be meant, each with its runs.
    namesakes: Vec<(String, String)>,
    next: Option<String>,
    /// Asked for and not there yet.
    awaited: bool,
    may_edit: bool,
}

impl RunsPage {
    fn states(&self) -> [(&'static str, &'static str); 5] {
        [
            ("", "all"),
            ("news", "did something"),
            ("wrote", "wrote"),
            ("trouble", "trouble"),
            ("live", "running"),
        ]
    }

    fn lanes(&self) -> [(&'static str, &'static str); 3] {
        [
            ("", "all flows"),
            ("trade", "trade: orders, stock"),
            ("catalogue", "catalogue: products, categories, pictures"),
        ]
    }

    fn filter(&self, state: &str) -> String {
        self.view.at(&self.base, state, "")
    }

    fn is_lane(&self, lane: &str) -> bool {
        self.view.lane == lane
    }

    fn is_state(&self, state: &str) -> bool {
        self.view.state == state
    }

    fn sync(&self) -> Option<String> {
        self.customer
            .map(|customer| urls::of_customer(customer, "sync"))
    }
}

/// Whom the address means: nobody in particular, one, or (then nothing is listed) any of several.
enum Meant {
    All,
    One(CustomerId),
    Any(Vec<CustomerRow>),
}

async fn meant(caller: &Caller, typed: &str) -> Result<Meant, Problem> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(Meant::All);
    }
    if let Ok(id) = typed.parse() {
        return Ok(Meant::One(id));
    }
    let pairs = [("limit", NAMESAKES_MAX), ("query", typed)];
    let found: Page<CustomerRow> = caller
        .get(&urls::with_query(people::CUSTOMERS, &pairs))
        .await?;
    let rows = found.items.as_slice();
    let exact: Vec<&CustomerRow> = rows
        .iter()
        .filter(|row| row.name.eq_ignore_ascii_case(typed))
        .collect();
    let one = match (rows, exact.as_slice()) {
        ([only], _) => Some(only.id),
        (_, [only]) => Some(only.id),
        _ => None,
    };
    Ok(match one {
        Some(id) => Meant::One(id),
        None => Meant::Any(found.items),
    })
}

pub async fn of_all(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Query(view): Query<View>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let mut nobody = false;
    let mut namesakes = Vec::new();
    let found = match meant(caller, &view.customer).await? {
        Meant::All => listed(caller, &view.query(None)).await?,
        Meant::One(customer) => listed(caller, &view.query(Some(customer))).await?,
        Meant::Any(rows) => {
            nobody = rows.is_empty();
            for row in rows {
                let id = row.id.to_string();
                let of_it = urls::with_query(urls::RUNS, &[("customer", &id)]);
                namesakes.push((row.name, of_it));
            }
            Page::whole(Vec::new())
        }
    };
    let frame = Frame::of(&ui, &visitor, "Runs", "runs").await;
    let page = RunsPage {
        rows: RunRow::rows(found.items, &frame),
        customer: None,
        base: urls::RUNS.into(),
        next: found
            .next
            .map(|cursor| view.at(urls::RUNS, &view.state, &cursor)),
        view,
        nobody,
        namesakes,
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
    Query(view): Query<View>,
) -> Result<Response, Failure> {
    let view = View {
        customer: String::new(),
        ..view
    };
    let name = named(&visitor.caller, customer).await?;
    let found = listed(&visitor.caller, &view.query(Some(customer))).await?;
    let frame = Frame::of(&ui, &visitor, &format!("Runs of {name}"), "customers")
        .await
        .within(customer, &name, "runs");
    let base = urls::of_customer(customer, "runs");
    let newest = found.items.iter().map(|run| run.run.0).max().unwrap_or(0);
    let page = RunsPage {
        rows: RunRow::rows(found.items, &frame),
        customer: Some(customer),
        next: found
            .next
            .map(|cursor| view.at(&base, &view.state, &cursor)),
        base,
        awaited: view.after.parse::<u64>().is_ok_and(|after| newest <= after),
        view,
        nobody: false,
        namesakes: Vec::new(),
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
    /// Where to see what an undo would do, if the run wrote anything that can be undone.
    undo_href: Option<String>,
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

const SILENT_AFTER_SECONDS: u64 = 60;

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
        undo_href: Some(urls::undo_preview(customer, run))
            .filter(|_| view.lane == Lane::Catalogue && !view.is_live() && view.counts.written > 0),
        silent: silence(view, frame.now).is_some(),
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
