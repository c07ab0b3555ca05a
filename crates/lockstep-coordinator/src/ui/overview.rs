//! The start page: what needs a person, then how it goes.

use super::{
    Shared,
    failure::{Failure, Shown},
    frame::Frame,
    runs::{RunRow, telling},
    session::Visitor,
    widgets::{State, When, grouped},
    workers::{PendingRow, WorkerRow},
};
use askama::Template;
use axum::{extract, response::IntoResponse};
use lockstep_protocol::{
    paths::people,
    people::{Need, NeedKind, Overview, workers::WorkerList},
};

const RUNS_SHOWN: u32 = 8;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    frame: Frame,
    may_edit: bool,
    operates: bool,
    pending: Vec<PendingRow>,
    needs: Vec<NeedRow>,
    customers: String,
    records: String,
    runs_live: u64,
    workers: Vec<WorkerRow>,
    active: usize,
    draining: usize,
    runs: Vec<RunRow>,
    /// Nothing was set up yet.
    fresh: bool,
}

pub struct NeedRow {
    pub state: State,
    pub title: String,
    pub detail: String,
    pub href: String,
    pub button: &'static str,
    pub since: Option<When>,
}

impl NeedRow {
    pub fn new(need: Need, frame: &Frame) -> Self {
        let (state, button) = match need.kind {
            NeedKind::WorkerPending => (State::attention("worker"), "Confirm…"),
            NeedKind::Conflict => (State::attention("conflict"), "Decide"),
            NeedKind::ShopFailed if need.href.ends_with("/records") => {
                (State::attention("set aside"), "See why")
            }
            NeedKind::ShopFailed => (State::failed("shop"), "Open the shop"),
            NeedKind::SettingsFailed => (State::failed("settings"), "Open the settings"),
            NeedKind::OrderHeld => (State::attention("order held"), "Look at it"),
            NeedKind::Alert => (State::attention("alert"), "Look at it"),
        };
        NeedRow {
            state,
            title: need.title,
            detail: need.detail,
            href: match need.kind {
                NeedKind::OrderHeld if need.href.ends_with("/orders") => {
                    format!("{}?state=held", need.href)
                }
                NeedKind::ShopFailed => match need.href.strip_suffix("/records") {
                    Some(customer) => format!("{customer}/asides"),
                    None => need.href,
                },
                _ => need.href,
            },
            button,
            since: need.since.map(|at| When::new(at, frame.now)),
        }
    }
}

pub async fn show(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
) -> Result<impl IntoResponse, Failure> {
    let caller = &visitor.caller;
    let (frame, overview, workers, runs) = futures::join!(
        Frame::of(&ui, &visitor, "Overview", "overview"),
        caller.get::<Overview>(people::OVERVIEW),
        caller.get::<WorkerList>(people::WORKERS),
        telling(caller, None, RUNS_SHOWN),
    );
    let overview = overview?;
    // Who may not see the workers still sees the rest.
    let list = workers.unwrap_or_else(|problem| {
        tracing::debug!(%problem, "the overview shows no workers");
        WorkerList {
            workers: Vec::new(),
            pending: Vec::new(),
        }
    });
    let needs = overview
        .needs_person
        .into_iter()
        .filter(|need| need.kind != NeedKind::WorkerPending || list.pending.is_empty())
        .map(|need| NeedRow::new(need, &frame))
        .collect();
    let workers: Vec<WorkerRow> = list
        .workers
        .iter()
        .map(|worker| WorkerRow::new(worker, &frame))
        .collect();
    Ok(Shown(Page {
        may_edit: visitor.may_edit(),
        operates: visitor.operates(),
        pending: list
            .pending
            .iter()
            .map(|pending| PendingRow::new(pending, &frame))
            .collect(),
        needs,
        customers: grouped(overview.customers),
        records: grouped(overview.records),
        runs_live: overview.runs_live,
        active: workers.iter().filter(|row| row.is_active()).count(),
        draining: workers.iter().filter(|row| row.is_draining()).count(),
        workers,
        runs: runs?.iter().map(|run| RunRow::new(run, &frame)).collect(),
        fresh: overview.customers == 0,
        frame,
    }))
}
