//! Workers: who is there, who asks to be let in, and what each has.

use super::{
    Shared,
    failure::{Failure, Shown},
    frame::Frame,
    session::{Posted, Visitor, refused, said, went_well},
    urls,
    widgets::{Id, State, When},
};
use askama::Template;
use axum::{
    extract::{self, Path},
    response::{IntoResponse, Response},
};
use lockstep_model::WorkerId;
use lockstep_protocol::{
    EnrolmentId, Problem, UserCode,
    paths::people,
    people::workers::{
        Applied, ConfirmReply, ConfirmRequest, JoinTokenReply, JoinTokenRequest, PendingView,
        WorkerList, WorkerState, WorkerStateRequest, WorkerView,
    },
    status::ApplyState,
};
use serde::de::IgnoredAny;

pub struct WorkerRow {
    pub href: String,
    pub name: String,
    pub state: State,
    pub customers: usize,
    pub seen: Option<When>,
    pub build: String,
    pub machine: String,
    view: WorkerState,
}

impl WorkerRow {
    pub fn new(worker: &WorkerView, frame: &Frame) -> Self {
        WorkerRow {
            href: urls::worker(worker.id),
            name: worker.name.clone(),
            state: state_of(worker),
            customers: worker.customers.len(),
            seen: worker.last_seen_at.map(|at| When::new(at, frame.now)),
            build: worker.build.clone(),
            machine: machine(&worker.facts),
            view: worker.state,
        }
    }

    pub fn is_active(&self) -> bool {
        self.view == WorkerState::Active
    }

    pub fn is_draining(&self) -> bool {
        self.view == WorkerState::Draining
    }
}

fn state_of(worker: &WorkerView) -> State {
    match (worker.state, worker.online) {
        (WorkerState::Active, true) => State::good("active"),
        (WorkerState::Active, false) => State::failed("away"),
        (WorkerState::Draining, _) => State::attention("draining"),
        (WorkerState::Suspended, _) => State::attention("suspended"),
        (WorkerState::Gone, _) => State::idle("revoked"),
    }
}

fn machine(facts: &lockstep_protocol::auth::Facts) -> String {
    let parts = [&facts.host, &facts.os, &facts.arch];
    let said: Vec<&str> = parts
        .into_iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    said.join(" · ")
}

pub struct PendingRow {
    pub href: String,
    pub name: String,
    pub code: String,
    pub address: String,
    pub asked: When,
    pub expires: When,
    pub build: String,
    pub machine: String,
    pub platforms: String,
    pub fingerprint: Id,
}

impl PendingRow {
    pub fn new(pending: &PendingView, frame: &Frame) -> Self {
        PendingRow {
            href: urls::pending(&pending.enrolment),
            name: pending.name.clone(),
            code: pending.code.to_string(),
            address: pending.address.clone(),
            asked: When::new(pending.asked_at, frame.now),
            expires: When::new(pending.expires_at, frame.now),
            build: pending.build.clone(),
            machine: machine(&pending.facts),
            platforms: pending.platforms.join(", "),
            fingerprint: Id::new(&pending.fingerprint),
        }
    }
}

#[derive(Template)]
#[template(path = "workers.html")]
struct ListPage {
    frame: Frame,
    operates: bool,
    pending: Vec<PendingRow>,
    workers: Vec<WorkerRow>,
    /// What to type on the worker's machine; shown once.
    invited: Option<Invitation>,
}

struct Invitation {
    line: Id,
    expires: When,
}

pub async fn list(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
) -> Result<Response, Failure> {
    list_page(&ui, &visitor, None).await
}

async fn list_page(
    ui: &Shared,
    visitor: &Visitor,
    invited: Option<JoinTokenReply>,
) -> Result<Response, Failure> {
    let list: WorkerList = visitor.caller.get(people::WORKERS).await?;
    let frame = Frame::of(ui, visitor, "Workers", "workers").await;
    let page = ListPage {
        operates: visitor.operates(),
        pending: list
            .pending
            .iter()
            .map(|each| PendingRow::new(each, &frame))
            .collect(),
        workers: list
            .workers
            .iter()
            .map(|each| WorkerRow::new(each, &frame))
            .collect(),
        invited: invited.map(|reply| Invitation {
            line: Id::new(reply.join_line),
            expires: When::new(reply.expires_at, frame.now),
        }),
        frame,
    };
    Ok(Shown(page).into_response())
}

/// A token that confirms in a person's place: for machines that are set up by a script.
pub async fn invite(
    extract::State(ui): extract::State<Shared>,
    posted: Posted,
) -> Result<Response, Failure> {
    let asked = JoinTokenRequest {
        label: "console".into(),
        uses_max: 1,
        lives_seconds: 60 * 60,
    };
    match posted
        .visitor
        .caller
        .post(people::JOIN_TOKENS, &asked)
        .await
    {
        Ok(reply) => list_page(&ui, &posted.visitor, Some(reply)).await,
        Err(problem) => Ok(refused(urls::WORKERS, &problem)),
    }
}

#[derive(Template)]
#[template(path = "worker.html")]
struct WorkerPage {
    frame: Frame,
    operates: bool,
    href: String,
    id: Id,
    fingerprint: Id,
    worker: WorkerRow,
    platforms: String,
    facts: Vec<(String, String)>,
    token_expires: Option<When>,
    customers: Vec<Held>,
    problem: Option<String>,
}

/// A customer that the worker has.
struct Held {
    href: String,
    name: String,
    epoch: u64,
    revision: u64,
    applied: State,
    error: Option<String>,
}

/// Whether the worker acts on this revision.
pub fn applied_state(revision: lockstep_model::Revision, applied: Option<&Applied>) -> State {
    match applied {
        None => State::idle("not applied yet"),
        Some(applied) => match applied.state {
            ApplyState::Failed => State::failed(format!("failed at {}", applied.revision)),
            ApplyState::Applying => State::idle(format!("applying {}", applied.revision)),
            ApplyState::Applied if applied.revision < revision => {
                State::attention(format!("still at {}", applied.revision))
            }
            ApplyState::Applied => State::good(format!("applied {}", applied.revision)),
        },
    }
}

pub async fn show(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path(worker): Path<WorkerId>,
) -> Result<Response, Failure> {
    worker_page(&ui, &visitor, worker, None).await
}

async fn worker_page(
    ui: &Shared,
    visitor: &Visitor,
    worker: WorkerId,
    problem: Option<&Problem>,
) -> Result<Response, Failure> {
    let view: WorkerView = visitor
        .caller
        .get(&urls::path(people::WORKER, &[&worker]))
        .await?;
    let mut frame = Frame::of(ui, visitor, &view.name, "workers").await;
    frame.crumb("Workers", urls::WORKERS.into());
    let customers = view.customers.iter().map(|held| Held {
        href: urls::customer(held.id),
        name: held.name.clone(),
        epoch: held.epoch.0,
        revision: held.revision.0,
        applied: applied_state(held.revision, held.applied.as_ref()),
        error: held
            .applied
            .as_ref()
            .and_then(|applied| applied.error.clone()),
    });
    let page = WorkerPage {
        operates: visitor.operates(),
        href: urls::worker(worker),
        id: Id::new(worker),
        fingerprint: Id::new(&view.fingerprint),
        worker: WorkerRow::new(&view, &frame),
        platforms: view.platforms.join(", "),
        facts: view.facts.other.clone().into_iter().collect(),
        token_expires: view.token_expires_at.map(|at| When::new(at, frame.now)),
        customers: customers.collect(),
        problem: problem.map(said),
        frame,
    };
    let mut response = Shown(page).into_response();
    if let Some(problem) = problem {
        *response.status_mut() = problem.code.status();
    }
    Ok(response)
}

pub async fn set_state(
    extract::State(ui): extract::State<Shared>,
    Path(worker): Path<WorkerId>,
    posted: Posted,
) -> Result<Response, Failure> {
    let (state, told) = match posted.values.text("state") {
        "active" => (WorkerState::Active, "It is active again."),
        "draining" => (
            WorkerState::Draining,
            "It drains: it ends what runs, begins nothing and gives each customer back.",
        ),
        "suspended" => (
            WorkerState::Suspended,
            "It is suspended: its token is not taken.",
        ),
        "gone" => (WorkerState::Gone, "Its token is revoked."),
        _ => return Err(Failure::not_found("such state of a worker")),
    };
    let asked = WorkerStateRequest {
        state,
        name: posted.values.get("name").map(|name| name.trim().to_owned()),
    };
    let path = urls::path(people::WORKER_STATE, &[&worker]);
    let answered: Result<IgnoredAny, Problem> = posted.visitor.caller.post(&path, &asked).await;
    match answered {
        Ok(_) => Ok(went_well(&urls::worker(worker), told)),
        Err(problem) => worker_page(&ui, &posted.visitor, worker, Some(&problem)).await,
    }
}

#[derive(Template)]
#[template(path = "pending.html")]
struct PendingPage {
    frame: Frame,
    operates: bool,
    pending: PendingRow,
    typed: String,
    problem: Option<String>,
}

pub async fn show_pending(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path(enrolment): Path<String>,
) -> Result<Response, Failure> {
    pending_page(&ui, &visitor, &EnrolmentId(enrolment), "", None).await
}

async fn pending_page(
    ui: &Shared,
    visitor: &Visitor,
    enrolment: &EnrolmentId,
    typed: &str,
    problem: Option<&Problem>,
) -> Result<Response, Failure> {
    let list: WorkerList = visitor.caller.get(people::WORKERS).await?;
    let Some(pending) = list
        .pending
        .iter()
        .find(|each| each.enrolment == *enrolment)
    else {
        return Ok(went_well(
            urls::WORKERS,
            "This worker does not wait any more: it was confirmed or rejected, or its code ran out. A worker whose code ran out asks again by itself.",
        ));
    };
    let mut frame = Frame::of(
        ui,
        visitor,
        &format!("Let \"{}\" in?", pending.name),
        "workers",
    )
    .await;
    frame.crumb("Workers", urls::WORKERS.into());
    let page = PendingPage {
        operates: visitor.operates(),
        pending: PendingRow::new(pending, &frame),
        typed: typed.into(),
        problem: problem.map(said),
        frame,
    };
    let mut response = Shown(page).into_response();
    if let Some(problem) = problem {
        *response.status_mut() = problem.code.status();
    }
    Ok(response)
}

pub async fn confirm(
    extract::State(ui): extract::State<Shared>,
    Path(enrolment): Path<String>,
    posted: Posted,
) -> Result<Response, Failure> {
    let enrolment = EnrolmentId(enrolment);
    let typed = posted.values.text("code");
    let asked = ConfirmRequest {
        code: UserCode::typed(typed).map_or_else(|| typed.to_owned(), |code| code.to_string()),
    };
    let path = urls::path(people::ENROLMENT_CONFIRM, &[&enrolment.0]);
    let answered: Result<ConfirmReply, Problem> = posted.visitor.caller.post(&path, &asked).await;
    match answered {
        Ok(reply) => Ok(went_well(
            &urls::worker(reply.worker_id),
            format!(
                "\"{}\" is let in. It fetches its token within seconds.",
                reply.name
            ),
        )),
        Err(problem) => pending_page(&ui, &posted.visitor, &enrolment, typed, Some(&problem)).await,
    }
}

pub async fn reject(Path(enrolment): Path<String>, posted: Posted) -> Response {
    let path = urls::path(people::ENROLMENT_REJECT, &[&enrolment]);
    let answered: Result<IgnoredAny, Problem> = posted.visitor.caller.post(&path, &()).await;
    match answered {
        Ok(_) => went_well(
            urls::WORKERS,
            "It is rejected. Nothing was handed out to it, and its key stays refused.",
        ),
        Err(problem) => refused(urls::WORKERS, &problem),
    }
}
