//! Workers and enrolments, as people see them.

use crate::{
    EnrolmentId, UserCode,
    auth::{Bearer, Facts},
    status::ApplyState,
};
use jiff::Timestamp;
use lockstep_model::{CustomerId, Epoch, Revision, WorkerId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerList {
    pub workers: Vec<WorkerView>,
    pub pending: Vec<PendingView>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    Active,
    Draining,
    Suspended,
    /// Its token is revoked and its customers were given away.
    Gone,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerView {
    pub id: WorkerId,
    pub name: String,
    pub state: WorkerState,
    /// Heard of within the last poll.
    pub online: bool,
    pub fingerprint: String,
    pub build: String,
    pub platforms: Vec<String>,
    pub facts: Facts,
    pub last_seen_at: Option<Timestamp>,
    pub token_expires_at: Option<Timestamp>,
    pub customers: Vec<WorkerCustomer>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerCustomer {
    pub id: CustomerId,
    pub name: String,
    pub epoch: Epoch,
    pub revision: Revision,
    /// What the worker reported last; none: nothing yet.
    pub applied: Option<Applied>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    pub revision: Revision,
    pub state: ApplyState,
    #[serde(default)]
    pub error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingView {
    pub enrolment: EnrolmentId,
    pub name: String,
    pub code: UserCode,
    pub fingerprint: String,
    /// Where it asked from.
    pub address: String,
    pub build: String,
    pub platforms: Vec<String>,
    pub facts: Facts,
    pub asked_at: Timestamp,
    pub expires_at: Timestamp,
}

/// The code as the worker shows it: whoever confirms has looked at both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmRequest {
    pub code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmReply {
    pub worker_id: WorkerId,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStateRequest {
    pub state: WorkerState,
    /// For `gone`: the worker's name, typed.
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinTokenRequest {
    pub label: String,
    pub uses_max: u32,
    pub lives_seconds: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JoinTokenReply {
    pub token: Bearer,
    pub expires_at: Timestamp,
    /// What to type on the worker's machine.
    pub join_line: String,
}
