//! What all tasks of one worker share of the coordinator: who we are, and whether we may write.

use crate::bounds;
use crate::clock::BootTime;
use crate::coordinator::{CallError, Coordinator, Incoming, Pieces, Standing};
use crate::crash::CrashPoints;
use crate::folder::{Folder, FolderError};
use crate::identity::{Key, Pass};
use crate::state::WorkerState;
use http::{Method, header};
use jiff::Timestamp;
use lockstep_protocol::headers::WORKER_INSTANCE;
use reqwest::RequestBuilder;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

pub struct Link {
    pub coordinator: Coordinator,
    pub folder: Folder,
    pub key: Key,
    pub crash: CrashPoints,
    pub name: String,
    pass: Mutex<Option<Pass>>,
    standing: watch::Sender<Stance>,
    lease: watch::Sender<Option<BootTime>>,
    state: watch::Sender<WorkerState>,
}

/// A standing, and since when it holds.
#[derive(Debug, Clone, PartialEq)]
struct Stance {
    standing: Standing,
    since: BootTime,
}

/// Whether a customer may be written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    Always,
    Until(BootTime),
    Never,
}

impl Right {
    pub fn allows_a_write(self) -> bool {
        match self {
            Right::Always => true,
            Right::Until(deadline) => deadline.left() >= bounds::LEASE_FOR_A_WRITE,
            Right::Never => false,
        }
    }

    /// As the engine wants it: no write may start at or after this time.
    pub fn writes_until(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Right::Always => None,
            Right::Never => Some(Timestamp::MIN),
            Right::Until(deadline) => {
                let left = deadline.left().saturating_sub(bounds::LEASE_FOR_A_WRITE);
                let left = jiff::SignedDuration::try_from(left).unwrap_or_default();
                Some(now.checked_add(left).unwrap_or(now))
            }
        }
    }
}

impl Link {
    pub fn new(
        coordinator: Coordinator,
        folder: Folder,
        key: Key,
        crash: CrashPoints,
        name: String,
    ) -> Result<Self, FolderError> {
        let pass = Pass::load(&folder)?;
        // Nobody has been asked yet: as if nobody answered, so that a pinned customer may begin.
        let stance = Stance {
            standing: Standing::NoAnswer,
            since: BootTime::now(),
        };
        Ok(Link {
            coordinator,
            folder,
            key,
            crash,
            name,
            pass: Mutex::new(pass),
            standing: watch::Sender::new(stance),
            lease: watch::Sender::new(None),
            state: watch::Sender::new(WorkerState::Starting),
        })
    }

    pub fn pass(&self) -> Option<Pass> {
        self.lock().clone()
    }

    /// Saved before it is used.
    pub fn take_pass(&self, pass: Pass) -> Result<(), FolderError> {
        pass.save(&self.folder)?;
        *self.lock() = Some(pass);
        Ok(())
    }

    pub fn drop_pass(&self) -> Result<(), FolderError> {
        Pass::forget(&self.folder)?;
        *self.lock() = None;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Pass>> {
        self.pass.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn state(&self) -> watch::Receiver<WorkerState> {
        self.state.subscribe()
    }

    pub fn set_state(&self, state: WorkerState) {
        self.state.send_if_modified(|old| {
            let differs = *old != state;
            *old = state;
            differs
        });
    }

    pub fn set_standing(&self, standing: Standing) {
        self.standing.send_if_modified(|old| {
            if old.standing == standing {
                return false;
            }
            if standing == Standing::NoAnswer {
                tracing::warn!("no coordinator answers; pinned customers go on, movable ones until their lease ends");
            }
            *old = Stance {
                standing,
                since: BootTime::now(),
            };
            true
        });
    }

    pub fn has_an_answer(&self) -> bool {
        self.standing.borrow().standing == Standing::Answers
    }

    pub fn set_lease(&self, deadline: Option<BootTime>) {
        self.lease.send_replace(deadline);
    }

    pub fn right(&self, movable: bool) -> Right {
        let stance = self.standing.borrow().clone();
        match (stance.standing, movable) {
            (Standing::Refuses(_), _) => Right::Never,
            (Standing::Answers, false) => Right::Always,
            (Standing::NoAnswer, false) => Right::Until(stance.since.plus(bounds::OFFLINE_MAX)),
            (Standing::Answers | Standing::NoAnswer, true) => match *self.lease.borrow() {
                Some(deadline) => Right::Until(deadline),
                None => Right::Never,
            },
        }
    }

    /// Tells when `right` may have changed.
    pub fn rights(&self) -> RightsWatch {
        RightsWatch {
            standing: self.standing.subscribe(),
            lease: self.lease.subscribe(),
        }
    }

    /// As this worker, with its token.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        timeout: Duration,
        bytes_max: usize,
        prepare: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Incoming, CallError> {
        let token = self.bearer()?;
        self.coordinator
            .call(method, path, timeout, bytes_max, |request| {
                prepare(
                    request
                        .header(header::AUTHORIZATION, token.clone())
                        .header(WORKER_INSTANCE, self.folder.instance().to_string()),
                )
            })
            .await
    }

    /// As this worker, an answer that is read piece by piece.
    pub async fn open(&self, path: &str, timeout: Duration) -> Result<Pieces, CallError> {
        let token = self.bearer()?;
        self.coordinator
            .open(path, timeout, |request| {
                request
                    .header(header::AUTHORIZATION, token.clone())
                    .header(WORKER_INSTANCE, self.folder.instance().to_string())
            })
            .await
    }

    fn bearer(&self) -> Result<http::HeaderValue, CallError> {
        let pass = self.pass().ok_or_else(|| CallError::NoAnswer {
            reason: "this worker has no token yet".into(),
            retry_after: None,
        })?;
        let mut token = http::HeaderValue::try_from(format!("Bearer {}", pass.token.reveal()))
            .map_err(|_| CallError::Unreadable("the token cannot be sent".into()))?;
        token.set_sensitive(true);
        Ok(token)
    }

    pub async fn post_json<T: Serialize + Sync>(
        &self,
        path: &str,
        value: &T,
    ) -> Result<Incoming, CallError> {
        let max = lockstep_protocol::bounds::BODY_BYTES_MAX;
        self.call(
            Method::POST,
            path,
            bounds::COORDINATOR_TIMEOUT,
            max,
            |request| request.json(value),
        )
        .await
    }
}

pub struct RightsWatch {
    standing: watch::Receiver<Stance>,
    lease: watch::Receiver<Option<BootTime>>,
}

impl RightsWatch {
    /// Waits for ever once the worker is gone.
    pub async fn changed(&mut self) {
        let changed = tokio::select! {
            changed = self.standing.changed() => changed,
            changed = self.lease.changed() => changed,
        };
        if changed.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
