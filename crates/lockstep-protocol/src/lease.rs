//! `/lease` and `/lease/release`: a worker's time-limited right to its customers.

use jiff::Timestamp;
use lockstep_model::{CustomerId, Epoch};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HeldLease {
    pub customer_id: CustomerId,
    pub epoch: Epoch,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRequest {
    pub have: Vec<HeldLease>,
}

/// With the header `Lease-Until-Ms`, sent after the renewal is committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseReply {
    pub server_time: Timestamp,
    /// Those of `have` that are another's now.
    #[serde(default)]
    pub lost: Vec<HeldLease>,
}

/// The worker stopped: nothing of it is in flight any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRequest {
    pub released: Vec<HeldLease>,
}
