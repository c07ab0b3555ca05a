//! Questions to workers: put into the database, handed out with the settings, answered once.
//!
//! ```text
//!  person ──► ask: row, stamp ──► tail ──► the poll of a worker that may answer
//!  person ◄── answer ◄── tail of whichever coordinator asked ◄── row ◄── POST /asks/{id}
//! ```

use crate::{
    AppState,
    refusal::{Answer, Refusal},
};
use jiff::{SignedDuration, Timestamp};
use lockstep_model::{CustomerId, FaultKind, misread};
use lockstep_protocol::{
    Code,
    asks::{Answer as Answered, Question},
};
use lockstep_storage::{AskRow, NewAsk};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::oneshot, time::timeout};

/// When it makes sense to ask again for what waits for a run.
const RUN_RETRY_SECONDS: u64 = 5;

/// Who waits for which answer, in this coordinator.
#[derive(Default)]
pub struct Waiting {
    by_ask: Mutex<HashMap<u64, oneshot::Sender<String>>>,
}

impl Waiting {
    fn wait_for(&self, ask: u64) -> oneshot::Receiver<String> {
        let (sender, receiver) = oneshot::channel();
        let mut by_ask = self.by_ask.lock().unwrap_or_else(PoisonError::into_inner);
        by_ask.retain(|_, sender| !sender.is_closed());
        by_ask.insert(ask, sender);
        receiver
    }

    /// The change tail has seen these answers.
    pub fn answered(&self, rows: Vec<AskRow>) {
        if rows.is_empty() {
            return;
        }
        let mut by_ask = self.by_ask.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            if let (Some(sender), Some(answer)) = (by_ask.remove(&row.id), row.answer) {
                // Whoever asked may have gone.
                let _gone = sender.send(answer);
            }
        }
    }
}

/// What is asked, and in whose name.
pub struct Asked<'a> {
    pub customer: Option<CustomerId>,
    /// Which connector the answer needs, where any worker may give it.
    pub platform: Option<&'a str>,
    pub question: Question,
    pub by: &'a str,
    pub wait: Duration,
}

pub async fn ask(app: &AppState, asked: Asked<'_>) -> Answer<Answered> {
    let now = Timestamp::now();
    let question = serde_json::to_string(&asked.question)
        .map_err(|error| Refusal::internal("writing the question", error))?;
    let wait = SignedDuration::try_from(asked.wait).unwrap_or(SignedDuration::from_secs(60));
    let new = NewAsk {
        customer: asked.customer,
        platform: asked.platform.map(ToOwned::to_owned),
        kind: asked.question.kind().to_owned(),
        question,
        by: asked.by.to_owned(),
        deadline: now.saturating_add(wait).unwrap_or(now),
    };
    if !somebody_may_answer(app, &new) {
        return Err(nobody(app, &new));
    }
    let id = app.storage.ask(&new, now).await?;
    let answer = answer_to(app, id, asked.wait).await;
    if asked.question.is_personal() {
        app.storage.forget_ask(id).await?;
    }
    serde_json::from_str(&answer?)
        .map_err(|error| Refusal::internal("reading the worker's answer", misread(&error)))
}

async fn answer_to(app: &AppState, id: u64, wait: Duration) -> Answer<String> {
    let answer = app.asks.wait_for(id);
    app.tail.notify();
    Ok(match timeout(wait, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(_) => match app.storage.asked(id).await?.and_then(|row| row.answer) {
            // Answered between the deadline and now.
            Some(answer) => answer,
            None => {
                return Err(Refusal::new(
                    Code::AskExpired,
                    format!(
                        "no worker answered within {} s; is the worker running, and does the shop answer?",
                        wait.as_secs()
                    ),
                ));
            }
        },
    })
}

fn somebody_may_answer(app: &AppState, new: &NewAsk) -> bool {
    app.view.workers().iter().any(|slot| {
        slot.is_live()
            && app
                .view
                .may_answer(slot, new.customer, new.platform.as_deref())
    })
}

fn nobody(app: &AppState, new: &NewAsk) -> Refusal {
    let owner = new
        .customer
        .and_then(|customer| app.view.customer(customer)?.told_to);
    let detail = match owner.and_then(|owner| app.view.worker(owner)) {
        Some(owner) => format!(
            "only a worker can ask the shop, and this customer's worker, {}, is not connected; start it, or give the \
             customer to another",
            owner.name()
        ),
        None => match &new.platform {
            Some(platform) => format!(
                "only a worker can ask the shop, and no active worker with the connector {platform} is connected"
            ),
            None => "only a worker can do this, and no worker has this customer".to_owned(),
        },
    };
    Refusal::new(Code::NoWorker, detail).retry_after(10)
}

/// Of a question that no shop is asked about: the worker says that the state does not allow it.
pub fn not_done(answer: Answered) -> Refusal {
    match answer {
        Answered::Failed { fault } if matches!(fault.kind, FaultKind::Invalid { .. }) => {
            Refusal::new(Code::Conflict, fault.message)
        }
        Answered::RunGoesOn { run, detail } => Refusal::new(Code::RunGoesOn, detail)
            .with(|problem| problem.run = Some(run))
            .retry_after(RUN_RETRY_SECONDS),
        other => unexpected(other),
    }
}

/// An answer of a sort that this question does not have.
pub fn unexpected(answer: Answered) -> Refusal {
    match answer {
        Answered::Failed { fault } => Refusal::new(Code::ShopFailed, fault.message.clone())
            .with(|problem| problem.fault = Some(fault)),
        other => {
            tracing::error!(answer = ?std::mem::discriminant(&other), "a worker answered another question than was asked");
            Refusal::new(
                Code::Internal,
                "the worker's answer does not fit the question; nothing was changed",
            )
        }
    }
}
