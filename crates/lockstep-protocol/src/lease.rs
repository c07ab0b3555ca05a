//! `/lease` and `/lease/release`: a worker's time-limited right to its customers.

use jiff::Timestamp;
use lockstep_model::{CustomerId, Epoch};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HeldLease {
    pub customer_id: CustomerId,
    pub epoch: Epoch,
}

/// Sent by a worker without movable customers too: it is its sign of life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRequest {
    pub have: Vec<HeldLease>,
    /// It does one round and comes again: that it is not there meanwhile is no fault.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub comes_by: bool,
}

/// With the header `Lease-Until-Ms`, sent after the renewal is committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseReply {
    pub server_time: Timestamp,
    /// Those of `have` that are another's now.
    #[serde(default)]
    pub lost: Vec<HeldLease>,
    /// What the worker owns and was told to let go of, by what the coordinator knows: said again until each is released.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaving: Vec<HeldLease>,
}

/// The worker stopped: nothing of it is in flight any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRequest {
    pub released: Vec<HeldLease>,
}
