//! Runs: start, watch, cancel.

use crate::status::Phase;
use jiff::Timestamp;
use lockstep_model::{
    CustomerId, Flow, Lane, Revision, RunId, ShopId, WorkerId,
    entry::{Counts, RunResult, RunWhy},
};
use serde::{Deserialize, Serialize};

/// "Sync now". Empty lists: all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SyncRequest {
    pub flows: Vec<Flow>,
    pub shops: Vec<ShopId>,
}

/// The wakes are raised. `runs_after` is the greatest run id known now: a run with a greater one is of
/// this wake or a later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncReply {
    pub wakes: Vec<crate::wanted::Wake>,
    pub runs_after: Option<RunId>,
}

/// Which runs, the newest first. What is absent does not narrow the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunsQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<Lane>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<RunState>,
    /// Begun then or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Begun before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Not ended.
    Live,
    /// Ended otherwise than well.
    Trouble,
    /// Wrote to a shop.
    Wrote,
    /// More than a look that found nothing.
    News,
}

impl RunState {
    pub const ALL: [RunState; 4] = [
        RunState::Live,
        RunState::Trouble,
        RunState::Wrote,
        RunState::News,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            RunState::Live => "live",
            RunState::Trouble => "trouble",
            RunState::Wrote => "wrote",
            RunState::News => "news",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    pub customer_id: CustomerId,
    pub customer_name: String,
    pub run: RunId,
    pub lane: Lane,
    pub worker_id: WorkerId,
    pub revision: Revision,
    pub cause: String,
    pub phase: Phase,
    pub counts: Counts,
    #[serde(default)]
    pub expected: Option<u64>,
    pub message: String,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub result: Option<RunResult>,
    #[serde(default)]
    pub why: Option<RunWhy>,
    /// When the coordinator last heard of it.
    pub heard_at: Timestamp,
}

impl RunView {
    pub fn is_live(&self) -> bool {
        self.finished_at.is_none()
    }

    /// It stopped for a run that knows more, which begins at once.
    pub fn gave_way(&self) -> bool {
        self.why == Some(RunWhy::GaveWay)
    }
}

/// One step of a run, in order, with its cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStep {
    pub at: Timestamp,
    /// The journal entry's sequence.
    pub seq: u64,
    pub shop: Option<ShopId>,
    pub title: String,
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunDetail {
    pub run: RunView,
    pub steps: Vec<RunStep>,
    #[serde(default)]
    pub next: Option<String>,
}
