//! `POST /status`: what a worker applied, what it acts on and how its runs go. The newest counts; after
//! a gap in `seq` the coordinator asks for a full report.

use crate::{Etag, InstanceId, asks::HookAnswer, wanted::Wake};
use jiff::Timestamp;
use lockstep_model::{
    CustomerId, Epoch, FaultKind, Lane, Revision, RunId, ShopId,
    entry::{Counts, RunResult, RunWhy},
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    pub instance: InstanceId,
    /// 1, 2, 3 … in one instance.
    pub seq: u64,
    /// All customers and live runs; else those that changed since `seq - 1`.
    pub full: bool,
    pub applied_etag: Option<Etag>,
    pub customers: Vec<CustomerReport>,
    #[serde(default)]
    pub acted: Acted,
    #[serde(default)]
    pub runs: Vec<RunProgress>,
    /// Shops whose registrations were looked at since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HooksSeen>,
    /// When the worker sent it, by its own clock.
    pub sent_at: Timestamp,
    pub build: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomerReport {
    pub id: CustomerId,
    pub revision: Revision,
    pub epoch: Epoch,
    pub state: ApplyState,
    /// For people. The last good settings stay in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Failed, and nobody works for the customer: the worker begins anew in a moment. Else only the newest settings are
    /// no good, and those before them stay in force.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// The last journal segment that this worker has; 0: none yet.
    #[serde(default)]
    pub journal_sequence: u64,
    /// What its shops together may be called a second now. Older builds do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_per_second_max: Option<f64>,
    /// How the last calls to its shops went; of a shop that was not called yet, nothing.
    #[serde(default)]
    pub shops: Vec<ShopReport>,
}

/// How calls to a shop went last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShopReport {
    pub shop: ShopId,
    /// When it last answered as it should, give or take some seconds.
    #[serde(default)]
    pub answered_at: Option<Timestamp>,
    /// It has not done so since.
    #[serde(default)]
    pub failing: Option<ShopFailing>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShopFailing {
    pub kind: FaultKind,
    /// For people: what the shop, or the way to it, said.
    pub message: String,
    pub since: Timestamp,
    /// Calls that failed since then.
    pub times: u64,
    /// It answers when it is read, and takes no change.
    #[serde(default)]
    pub writes_only: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ApplyState {
    Applied,
    Applying,
    Failed,
}

/// A shop's registrations, as they were read from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HooksSeen {
    pub customer_id: CustomerId,
    pub shop_id: ShopId,
    /// By the worker's clock.
    pub looked_at: Timestamp,
    pub hooks: Vec<HookAnswer>,
    /// Topics that had been deleted or switched off there, and were registered again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mended: Vec<String>,
    /// They could not be looked at, or not be mended; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The greatest counters that were acted on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Acted {
    pub wakes: Vec<Wake>,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Pull,
    Merge,
    Plan,
    /// Journal entries on their way to the disk and the coordinator.
    WriteAhead,
    Push,
    Commit,
    /// For a shop's rate, a look after a lost reply, or a retry.
    Wait,
    Finished,
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Pull => "pull",
            Phase::Merge => "merge",
            Phase::Plan => "plan",
            Phase::WriteAhead => "write ahead",
            Phase::Push => "push",
            Phase::Commit => "commit",
            Phase::Wait => "wait",
            Phase::Finished => "finished",
        }
    }
}

/// One run, live or ended. Counts are of the run so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunProgress {
    pub customer_id: CustomerId,
    pub run: RunId,
    pub lane: Lane,
    pub revision: Revision,
    /// In words: "webhook of Web shop 1", "schedule", "Maija".
    #[serde(default)]
    pub cause: String,
    pub phase: Phase,
    pub counts: Counts,
    /// Of `counts.pulled` or `counts.written`, if it is known how many there will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<u64>,
    #[serde(default)]
    pub message: String,
    pub started_at: Timestamp,
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
    #[serde(default)]
    pub result: Option<RunResult>,
    /// Why it did not simply end well.
    #[serde(default)]
    pub why: Option<RunWhy>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReply {
    /// The next report must be full.
    pub full: bool,
    pub server_time: Timestamp,
}
