//! Workers, and the customers that have to be looked at, as they were seen at one moment.

use crate::{bounds::SESSION_TTL, view::Standing};
use lockstep_model::{CustomerId, Epoch, WorkerId};
use lockstep_protocol::status::ApplyState;
use lockstep_storage::ownership::Ownership;
use std::collections::{BTreeMap, BTreeSet};

/// A worker, by its own calls: a poll of it that waits proves nothing, since a machine that is gone hangs up late.
#[derive(Debug, Clone)]
pub struct WorkerSeen {
    pub name: String,
    pub standing: Standing,
    pub platforms: BTreeSet<String>,
    /// Since its last call to any coordinator; `None`: there was none yet.
    pub heard_ms_ago: Option<u64>,
    /// It is started for one round now and then, as by cron.
    pub comes_by: bool,
    /// How long we have listened in vain: as above, but not longer than since this coordinator began.
    pub silent_ms: u64,
    /// Since its last lease was renewed, likewise.
    pub unrenewed_ms: u64,
    /// Customers that are its own or on their way to it.
    pub load: usize,
}

/// What the settings and the last reports say of a customer.
#[derive(Debug, Clone)]
pub struct CustomerSeen {
    pub id: CustomerId,
    pub ownership: Ownership,
    /// Its settings let runs start.
    pub wanted: bool,
    /// The one worker that its settings name.
    pub pin: Option<WorkerId>,
    pub movable: bool,
    /// Of its shops.
    pub platforms: BTreeSet<String>,
    /// What its owner said last, in the epoch of now.
    pub said: Option<Said>,
    /// Why its journal is not taken, while that is so.
    pub not_kept: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub worker: WorkerId,
    pub epoch: Epoch,
    pub state: ApplyState,
    pub error: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Fleet {
    pub workers: BTreeMap<WorkerId, WorkerSeen>,
    /// Those that something may be the matter with; the others are served.
    pub customers: Vec<CustomerSeen>,
    /// Enrolments that wait for a person.
    pub pending: usize,
    /// Why the coordinator cannot write, while that is so.
    pub not_kept: Option<String>,
}

/// Who comes by now and then is away in between. Longer than this is too long for it too.
const COMES_BY_WITHIN_MS: u64 = 60 * 60 * 1_000;

impl WorkerSeen {
    /// So long it may be silent and counts as there.
    fn patience_ms(&self) -> u64 {
        if self.comes_by {
            return COMES_BY_WITHIN_MS;
        }
        u64::try_from(SESSION_TTL.as_millis()).unwrap_or(u64::MAX)
    }

    pub fn is_here(&self) -> bool {
        self.heard_ms_ago.is_some_and(|ms| ms < self.patience_ms())
    }

    pub fn is_silent(&self) -> bool {
        self.silent_ms >= self.patience_ms()
    }

    pub fn lost_its_lease(&self) -> bool {
        self.unrenewed_ms >= self.patience_ms()
    }
}

impl Fleet {
    pub fn standing(&self, worker: WorkerId) -> Standing {
        self.workers
            .get(&worker)
            .map_or(Standing::Gone, |seen| seen.standing)
    }

    pub fn name(&self, worker: WorkerId) -> String {
        self.workers
            .get(&worker)
            .map_or_else(|| format!("worker {worker}"), |seen| seen.name.clone())
    }
}
