//! One round, for cron: settings, every customer until it is at rest, the journal shipped, an exit code.

use crate::config::WorkerConfig;
use crate::coordinator::CallError;
use crate::customer::RoundEnd;
use crate::enrol::{self, Asked, EnrolError};
use crate::lease;
use crate::link::Link;
use crate::running::{Parts, assemble};
use crate::session::Session;
use crate::state::WorkerState;
use jiff::Timestamp;
use lockstep_model::CustomerId;
use lockstep_model::entry::RunResult;
use lockstep_protocol::Code;
use std::time::Duration;

/// As the process says it: 0, 1, 3 and 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    Done,
    NeedsPerson,
    CouldNotReach,
    Failed,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::NeedsPerson => 3,
            Exit::CouldNotReach => 4,
        }
    }
}

/// How one round went.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncOutcome {
    pub exit: Exit,
    pub customers: Vec<CustomerOutcome>,
    /// For people; empty when there is nothing to say.
    pub message: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CustomerOutcome {
    pub customer: CustomerId,
    /// Of this round, in order.
    pub runs: Vec<(RunResult, String)>,
    /// The coordinator has the whole journal.
    pub shipped: bool,
}

impl SyncOutcome {
    fn without_work(exit: Exit, message: impl Into<String>) -> Self {
        SyncOutcome {
            exit,
            customers: Vec::new(),
            message: message.into(),
        }
    }
}

/// One round. What goes wrong is an outcome, not a panic.
pub async fn sync_once(config: WorkerConfig) -> SyncOutcome {
    let mut parts = match assemble(config, true).await {
        Ok(parts) => parts,
        Err(error) => return SyncOutcome::without_work(Exit::Failed, format!("{error:#}")),
    };
    let outcome = round(&mut parts).await;
    let patience = Duration::from_secs(5);
    parts.session.asks.finish(patience).await;
    let told = parts.tools.reporter.send(&parts.link);
    if tokio::time::timeout(patience, told).await.is_err() {
        tracing::debug!("the status of this round was not taken");
    }
    outcome
}

async fn round(parts: &mut Parts) -> SyncOutcome {
    let unreached = match meet(&parts.link, &mut parts.session).await {
        Ok(()) => None,
        Err(Meeting::Over(outcome)) => return outcome,
        Err(Meeting::NoAnswer(reason)) => Some(reason),
    };
    parts.session.fleet.begin_all();
    let rest = async {
        tokio::select! {
            ends = parts.session.fleet.rest() => ends,
            () = lease::renew_always(&parts.link, &parts.tools.members, true) => Vec::new(),
        }
    };
    let ends = rest.await;
    sum_up(ends, unreached)
}

enum Meeting {
    /// Nothing can be done in this round.
    Over(SyncOutcome),
    /// Pinned customers can be synced on their last settings.
    NoAnswer(String),
}

async fn meet(link: &Link, session: &mut Session) -> Result<(), Meeting> {
    match link.pass() {
        None => enrolled(link, session).await?,
        Some(pass) if pass.is_due(Timestamp::now()) => {
            if let Err(error) = enrol::renew(link, &pass).await {
                tracing::warn!(%error, "the token was not renewed; it is tried again in the next round");
            }
        }
        Some(_) => {}
    }
    let mut tries = 0;
    loop {
        tries += 1;
        let error = match session.poll(0).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let Some(problem) = error.problem() else {
            return Err(Meeting::NoAnswer(error.to_string()));
        };
        let is_token = matches!(problem.code, Code::BadToken | Code::Superseded);
        if is_token
            && tries == 1
            && let Some(pass) = link.pass()
        {
            match enrol::renew(link, &pass).await {
                Ok(_) => continue,
                Err(EnrolError::Call(CallError::Refused { .. })) => {
                    // A stranger now: the next try begins with a person.
                    if let Err(error) = link.drop_pass() {
                        let outcome = SyncOutcome::without_work(Exit::Failed, error.to_string());
                        return Err(Meeting::Over(outcome));
                    }
                    enrolled(link, session).await?;
                    continue;
                }
                Err(error) => return Err(Meeting::NoAnswer(error.to_string())),
            }
        }
        if problem.code == Code::IncarnationChanged && tries == 1 {
            session.ask_for_all();
            continue;
        }
        let outcome = SyncOutcome::without_work(Exit::NeedsPerson, problem.to_string());
        return Err(Meeting::Over(outcome));
    }
}

async fn enrolled(link: &Link, session: &Session) -> Result<(), Meeting> {
    let over = |exit, message: String| Err(Meeting::Over(SyncOutcome::without_work(exit, message)));
    match enrol::enrol_once(link, &session.config).await {
        Ok(Asked::Enrolled(_)) => Ok(()),
        Ok(Asked::Pending(_)) => {
            let code = match &*link.state().borrow() {
                WorkerState::Pending { code, .. } => code.to_string(),
                _ => String::new(),
            };
            let message = format!(
                "waiting for a person: compare the code {code} with the one in the console and confirm; then sync again"
            );
            over(Exit::NeedsPerson, message)
        }
        Ok(Asked::Refused(error)) => over(Exit::NeedsPerson, error.to_string()),
        Ok(Asked::Expired) => over(
            Exit::NeedsPerson,
            "nobody confirmed this worker in time; sync again for a new code".into(),
        ),
        Ok(Asked::Failed(error)) | Err(EnrolError::Call(error)) => {
            let exit = match error {
                CallError::Refused { .. } => Exit::NeedsPerson,
                CallError::NoAnswer { .. } | CallError::Unreadable(_) => Exit::CouldNotReach,
            };
            over(exit, error.to_string())
        }
        Err(EnrolError::Folder(error)) => over(Exit::Failed, error.to_string()),
    }
}

fn sum_up(ends: Vec<(CustomerId, RoundEnd)>, unreached: Option<String>) -> SyncOutcome {
    let mut exit = Exit::Done;
    let mut sentences: Vec<String> = Vec::new();
    let mut customers = Vec::new();
    if let Some(reason) = unreached {
        exit = Exit::CouldNotReach;
        sentences.push(reason);
    }
    for (customer, end) in ends {
        let (runs, shipped) = match end {
            RoundEnd::AtRest { runs, shipped } => (runs, shipped),
            RoundEnd::Fenced => {
                let why = "another worker owns this customer now".to_owned();
                (vec![(RunResult::Failed, why)], false)
            }
            RoundEnd::Stopped | RoundEnd::Reseated => {
                let why = "it was stopped before it was at rest".to_owned();
                (vec![(RunResult::Failed, why)], false)
            }
        };
        for (nth, (result, message)) in runs.iter().enumerate() {
            // A run gives way to one that knows more, as when a shop is let in: what it left the next one did.
            let is_made_good = || {
                runs[nth + 1..]
                    .iter()
                    .any(|(later, _)| *later == RunResult::Done)
            };
            exit = exit.max(match result {
                RunResult::Done => Exit::Done,
                RunResult::NeedsPerson => Exit::NeedsPerson,
                RunResult::Cancelled if is_made_good() => Exit::Done,
                RunResult::Partly | RunResult::Failed | RunResult::Cancelled => Exit::Failed,
            });
            if !message.is_empty() {
                sentences.push(format!("customer {customer}: {message}"));
            }
        }
        if !shipped {
            exit = exit.max(Exit::CouldNotReach);
        }
        customers.push(CustomerOutcome {
            customer,
            runs,
            shipped,
        });
    }
    SyncOutcome {
        exit,
        customers,
        message: sentences.join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_rest(result: RunResult, shipped: bool) -> (CustomerId, RoundEnd) {
        let runs = vec![(result, String::new())];
        (CustomerId(1), RoundEnd::AtRest { runs, shipped })
    }

    #[test]
    fn the_worst_decides_the_exit_code() {
        let code =
            |ends, unreached: Option<&str>| sum_up(ends, unreached.map(str::to_owned)).exit.code();
        assert_eq!(code(vec![at_rest(RunResult::Done, true)], None), 0);
        assert_eq!(code(vec![at_rest(RunResult::NeedsPerson, true)], None), 3);
        assert_eq!(code(vec![at_rest(RunResult::Done, false)], None), 4);
        assert_eq!(code(vec![at_rest(RunResult::Done, false)], Some("away")), 4);
        assert_eq!(code(vec![at_rest(RunResult::Partly, true)], None), 1);
        assert_eq!(
            code(
                vec![
                    at_rest(RunResult::Done, true),
                    (CustomerId(2), RoundEnd::Fenced)
                ],
                None
            ),
            1
        );
        assert_eq!(code(vec![], None), 0);
    }

    #[test]
    fn a_run_that_gave_way_to_one_that_was_done_is_no_failure() {
        let code = |results: &[RunResult]| {
            let runs = results.iter().map(|result| (*result, String::new()));
            let end = RoundEnd::AtRest {
                runs: runs.collect(),
                shipped: true,
            };
            sum_up(vec![(CustomerId(1), end)], None).exit.code()
        };
        assert_eq!(code(&[RunResult::Cancelled, RunResult::Done]), 0);
        assert_eq!(code(&[RunResult::Done, RunResult::Cancelled]), 1);
        assert_eq!(code(&[RunResult::Failed, RunResult::Done]), 1);
    }
}
