//! Questions to workers: put into the database, handed out with the settings, answered once.
//!
//! ```text
//!  person ──► ask: row, stamp ──► tail ──► the poll of a worker that may answer
//!  person ◄── answer ◄── tail of whichever coordinator asked ◄── row ◄── POST /asks/{id}
//! ```

use crate::{
    AppState,
    bounds::{ASKS_EACH_MAX, PLANS_EACH_MAX},
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
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::oneshot, time::timeout};

/// When it makes sense to ask again for what waits for a run.
const RUN_RETRY_SECONDS: u64 = 5;

/// Who waits for which answer, in this coordinator.
#[derive(Default)]
pub struct Waiting {
    by_ask: Mutex<HashMap<u64, oneshot::Sender<String>>>,
    /// How many of each person's wait, those apart that take long.
    by_person: Mutex<HashMap<Asking, usize>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Asking {
    by: String,
    takes_long: bool,
}

/// One person's question, as long as it waits.
struct Turn<'a> {
    waiting: &'a Waiting,
    asking: Asking,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut by_person = self.waiting.by_person();
        if let Some(count) = by_person.get_mut(&self.asking) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                by_person.remove(&self.asking);
            }
        }
    }
}

impl Waiting {
    fn by_person(&self) -> MutexGuard<'_, HashMap<Asking, usize>> {
        self.by_person
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker answers few at a time: whoever asks again and again waits for himself, and not others for him.
    fn turn(&self, by: &str, question: &Question) -> Answer<Turn<'_>> {
        let takes_long = matches!(question, Question::Plan { .. } | Question::Preview { .. });
        let max = if takes_long {
            PLANS_EACH_MAX
        } else {
            ASKS_EACH_MAX
        };
        let asking = Asking {
            by: by.to_owned(),
            takes_long,
        };
        let mut by_person = self.by_person();
        let count = by_person.entry(asking.clone()).or_default();
        if *count >= max {
            return Err(Refusal::new(
                Code::TooManyRequests,
                format!("{max} questions of yours wait for a worker's answer already; wait for one of them"),
            )
            .retry_after(RUN_RETRY_SECONDS));
        }
        *count += 1;
        Ok(Turn {
            waiting: self,
            asking,
        })
    }

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

/// A person's.
pub async fn ask(app: &AppState, asked: Asked<'_>) -> Answer<Answered> {
    let _turn = app.asks.turn(asked.by, &asked.question)?;
    ask_for_us(app, asked).await
}

/// The coordinator's own, whoever it is for.
pub async fn ask_for_us(app: &AppState, asked: Asked<'_>) -> Answer<Answered> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_again_and_again_waits_for_himself_alone() {
        let waiting = Waiting::default();
        let plan = || Question::Plan {
            flows: vec![],
            shops: vec![],
            rows_max: 1,
            by: "Maija".into(),
        };
        let hooks = Question::Hooks {
            shop_id: lockstep_model::ShopId(1),
            url: None,
        };
        let mut turns: Vec<Turn<'_>> = Vec::new();
        for _ in 0..PLANS_EACH_MAX {
            turns.push(waiting.turn("Maija", &plan()).ok().unwrap());
        }
        assert!(waiting.turn("Maija", &plan()).is_err());
        // Neither what is answered at once nor anybody else waits for it.
        assert!(waiting.turn("Maija", &hooks).is_ok());
        assert!(waiting.turn("Aino", &plan()).is_ok());
        turns.pop();
        assert!(waiting.turn("Maija", &plan()).is_ok());
        drop(turns);
        assert!(waiting.by_person().is_empty());
    }
}
