//! The worker's conversation with its coordinators: enrol, poll, act, report; and what an answer or its
//! absence means for everything else.

use crate::asks::Asks;
use crate::backoff::Backoff;
use crate::bounds;
use crate::config::WorkerConfig;
use crate::coordinator::{CallError, Standing, Verdict, verdict};
use crate::enrol::{self, EnrolError};
use crate::fleet::Fleet;
use crate::folder::FolderError;
use crate::link::Link;
use crate::state::WorkerState;
use http::{Method, StatusCode, header};
use jiff::Timestamp;
use lockstep_model::Incarnation;
use lockstep_protocol::asks::Question;
use lockstep_protocol::delta::SettingsReply;
use lockstep_protocol::headers::{PREFER, prefer_wait};
use lockstep_protocol::lease::HeldLease;
use lockstep_protocol::wanted::WorkerWanted;
use lockstep_protocol::{Code, bounds as wire_bounds, paths};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub struct Session {
    pub link: Arc<Link>,
    pub config: WorkerConfig,
    pub fleet: Fleet,
    pub asks: Asks,
    /// The next poll asks for everything: what was told does not fit what is held.
    all: bool,
    /// The last poll was answered: the next may be parked.
    answered: bool,
    /// The customers work, with new settings or those of the last time.
    begun: bool,
    /// Of the database that wakes and questions were counted in.
    incarnation: Option<Incarnation>,
}

/// What a poll came to.
#[derive(Debug)]
pub enum Polled {
    Unchanged,
    Changed,
    /// Told, but it did not fit what is held, or could not be kept: everything is asked for anew.
    NotApplied,
}

impl Session {
    pub fn new(link: Arc<Link>, config: WorkerConfig, fleet: Fleet, asks: Asks) -> Self {
        Session {
            incarnation: fleet.kept.held.etag.map(|etag| etag.incarnation),
            link,
            config,
            fleet,
            asks,
            all: false,
            answered: false,
            begun: false,
        }
    }

    /// Until it is stopped. An error is this machine's own: its disk.
    pub async fn run(&mut self, stop: &CancellationToken) -> Result<(), FolderError> {
        let end = tokio::select! {
            end = self.converse() => end,
            () = stop.cancelled() => Ok(()),
        };
        self.fleet.stop().await;
        self.asks.finish(Duration::from_secs(1)).await;
        let last = self.fleet.tools.reporter.send(&self.link);
        let _unheard = tokio::time::timeout(Duration::from_secs(2), last).await;
        self.link.set_state(WorkerState::Stopped);
        end
    }

    /// What is held is of a database that is gone.
    pub fn ask_for_all(&mut self) {
        self.fleet.kept.held.etag = None;
        self.all = true;
    }

    async fn converse(&mut self) -> Result<(), FolderError> {
        let mut backoff = Backoff::default();
        let mut leaving = self.fleet.tools.members.leaving();
        loop {
            let pass = match self.link.pass() {
                Some(pass) => pass,
                None => enrol::enrol(&self.link, &self.config).await?,
            };
            if pass.is_due(Timestamp::now()) {
                match enrol::renew(&self.link, &pass).await {
                    Ok(_) => {}
                    Err(EnrolError::Folder(error)) => return Err(error),
                    // The old one holds a while longer.
                    Err(EnrolError::Call(error)) => {
                        tracing::warn!(%error, "the token was not renewed; it is tried again");
                    }
                }
            }
            // The first answer, also after an absence, should come at once; the others when there is news.
            let wait = if self.answered {
                wire_bounds::WAIT_SECONDS_MAX
            } else {
                0
            };
            let Some(polled) = self.poll_unless_asked_to_leave(wait, &mut leaving).await else {
                continue;
            };
            if polled.is_ok() && !std::mem::replace(&mut self.answered, true) {
                // A coordinator that was away may have forgotten what it was told, and what it was about to do with it.
                self.fleet.tools.reporter.tell_all();
            }
            match polled {
                Ok(Polled::NotApplied) => tokio::time::sleep(backoff.next(None)).await,
                Ok(polled) => {
                    backoff.reset();
                    if matches!(polled, Polled::Unchanged) && !self.begun {
                        self.fleet.begin_all();
                        self.fleet.tools.reporter.applied(self.fleet.kept.held.etag);
                    }
                    self.begun = true;
                    let waited_for = leaving.borrow_and_update().clone();
                    self.fleet.release_strangers(&waited_for);
                }
                Err(error) => {
                    let pause = self.after(&error, &mut backoff).await?;
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// `None`: the coordinator waits for customers that are to be let go, and a poll that is parked must not hold that
    /// up. Nothing is lost with it: what it would have told is asked for anew.
    async fn poll_unless_asked_to_leave(
        &mut self,
        wait: u64,
        leaving: &mut watch::Receiver<Vec<HeldLease>>,
    ) -> Option<Result<Polled, CallError>> {
        let asked = tokio::select! {
            polled = self.poll(wait) => return Some(polled),
            asked = leaving.changed() => asked,
        };
        if asked.is_ok() {
            let waited_for = leaving.borrow_and_update().clone();
            self.fleet.release_strangers(&waited_for);
        }
        None
    }

    /// Asks once. Wakes, cancels and questions that came along have been handed on when it returns.
    pub async fn poll(&mut self, wait_seconds: u64) -> Result<Polled, CallError> {
        let etag = self.fleet.kept.held.etag.filter(|_| !self.all);
        let timeout = Duration::from_secs(wait_seconds) + bounds::POLL_GRACE;
        let incoming = self
            .link
            .call(
                Method::GET,
                paths::worker::SETTINGS,
                timeout,
                wire_bounds::SETTINGS_BYTES_MAX,
                |mut request| {
                    if let Some(etag) = etag {
                        request = request.header(header::IF_NONE_MATCH, etag.quoted());
                    }
                    if wait_seconds > 0 {
                        request = request.header(PREFER, prefer_wait(wait_seconds));
                    }
                    request
                },
            )
            .await?;
        if let Some(pass) = self.link.pass() {
            self.link.set_state(WorkerState::Active {
                worker: pass.worker_id,
            });
        }
        self.link.set_standing(Standing::Answers);
        if incoming.status == StatusCode::NOT_MODIFIED {
            return Ok(Polled::Unchanged);
        }
        let reply: SettingsReply = incoming.json()?;
        Ok(self.take(reply))
    }

    fn take(&mut self, mut reply: SettingsReply) -> Polled {
        let incarnation = Some(reply.incarnation);
        if std::mem::replace(&mut self.incarnation, incarnation) != incarnation {
            // Counters and numbers of questions begin again below those that we have seen.
            self.fleet.tools.reporter.forget_acted();
            self.asks.forget_seen();
        }
        let wanted = std::mem::take(&mut reply.wanted);
        let asks = std::mem::take(&mut reply.asks);
        self.fleet.drain(wanted.worker == WorkerWanted::Draining);
        let applied = self.fleet.apply(reply);
        self.all = applied.is_err();
        if let Err(error) = &applied {
            tracing::error!(%error, "the last good settings stay in force; everything is asked for anew");
        }
        for wake in wanted.wakes {
            self.fleet.wake(wake);
        }
        for cancel in wanted.cancels {
            self.fleet.cancel(cancel);
        }
        for ask in asks {
            if !self.asks.is_new(&ask) {
                continue;
            }
            if let (Some(customer), Question::Hooks { shop_id, url }) =
                (ask.customer_id, &ask.question)
            {
                self.fleet.hooks_go_to(customer, *shop_id, url.as_deref());
            }
            let about = self.fleet.about(ask.customer_id);
            self.asks.take(ask, about);
        }
        match applied {
            Ok(()) => Polled::Changed,
            Err(_told_above) => Polled::NotApplied,
        }
    }

    /// What follows from a poll that gave no settings, and how long to wait before the next.
    async fn after(
        &mut self,
        error: &CallError,
        backoff: &mut Backoff,
    ) -> Result<Duration, FolderError> {
        self.answered = false;
        let Some(problem) = error.problem() else {
            if !self.begun {
                // With the settings of the last time, pinned customers go on.
                self.fleet.begin_all();
                self.begun = true;
            }
            self.link.set_standing(Standing::NoAnswer);
            self.link.set_state(WorkerState::NoAnswer {
                reason: error.to_string(),
            });
            let pause = backoff.next(error.retry_after());
            tracing::warn!(%error, seconds = pause.as_secs_f32(), "the coordinator is asked again");
            return Ok(pause);
        };
        let verdict = verdict(problem.code);
        if verdict.stops_writes() {
            self.link.set_standing(Standing::Refuses(problem.code));
            self.link.set_state(WorkerState::Refused {
                code: problem.code,
                detail: problem.to_string(),
            });
        }
        tracing::warn!(code = ?problem.code, %problem, "the coordinator refuses this worker");
        match verdict {
            Verdict::Renew | Verdict::Reload => self.prove_anew(backoff).await,
            Verdict::Wait(pause) => Ok(error.retry_after().unwrap_or(pause)),
            Verdict::StartOver => {
                // The database is another one: all is asked for, and the journals are offered to it.
                self.ask_for_all();
                Ok(backoff.next(error.retry_after()))
            }
            Verdict::Again => Ok(backoff.next(error.retry_after())),
        }
    }

    /// Our key is what was approved. If even that is not known, we are strangers and enrol.
    async fn prove_anew(&mut self, backoff: &mut Backoff) -> Result<Duration, FolderError> {
        let Some(pass) = self.link.pass() else {
            return Ok(Duration::ZERO);
        };
        match enrol::renew(&self.link, &pass).await {
            Ok(_) => Ok(Duration::ZERO),
            Err(EnrolError::Folder(error)) => Err(error),
            Err(EnrolError::Call(error)) => {
                let code = error.problem().map(|problem| problem.code);
                match code {
                    Some(Code::BadToken | Code::BadSignature | Code::NotFound) => {
                        tracing::warn!(%error, "this worker is not known any more; it enrols anew");
                        self.link.drop_pass()?;
                        Ok(Duration::ZERO)
                    }
                    _ => Ok(backoff.next(error.retry_after())),
                }
            }
        }
    }
}
