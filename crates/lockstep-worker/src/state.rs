//! Where the worker stands, for whoever started it.

use jiff::Timestamp;
use lockstep_model::WorkerId;
use lockstep_protocol::{Code, EnrolmentId, UserCode};

#[derive(Debug, Clone, PartialEq)]
pub enum WorkerState {
    Starting,
    /// A person has to confirm this code in the console.
    Pending {
        enrolment: EnrolmentId,
        code: UserCode,
        /// Of the worker's key, in full.
        fingerprint: String,
        until: Timestamp,
    },
    /// A person said no, now or to the worker that this key was. It asks again after a while.
    Rejected,
    Active {
        worker: WorkerId,
    },
    /// The coordinator answers, and will not have us.
    Refused {
        code: Code,
        detail: String,
    },
    /// Pinned customers go on.
    NoAnswer {
        reason: String,
    },
    Stopped,
}
