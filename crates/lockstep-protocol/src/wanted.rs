//! What a worker is wanted to do: counters and states, never messages. A counter says "look"; a worker
//! acts when it is greater than the last that it acted on, and reports that number, so duplicates,
//! disorder and several coordinators are harmless.

use lockstep_model::{CustomerId, Flow, RunId, ShopId};
use serde::{Deserialize, Serialize};

/// With each 200 of `/settings`: the wakes raised since the reply's base (all, if it has none), the
/// cancels that stand, and the worker's own wanted state. The ETag covers it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wanted {
    pub worker: WorkerWanted,
    pub wakes: Vec<Wake>,
    pub cancels: Vec<Cancel>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerWanted {
    #[default]
    Active,
    /// Finish what runs, begin nothing, release each customer.
    Draining,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Wake {
    pub customer_id: CustomerId,
    pub shop_id: ShopId,
    pub flow: Flow,
    pub counter: u64,
    /// The greatest counter that a person raised: whoever asks in person is not kept waiting.
    #[serde(default)]
    pub asked: u64,
}

/// This run is to end at its next effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cancel {
    pub customer_id: CustomerId,
    pub run: RunId,
}
