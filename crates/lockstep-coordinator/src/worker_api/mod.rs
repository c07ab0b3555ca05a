//! The calls of workers, `/worker/v1`: enrolment, settings, status, leases, journal, asks.

mod ask;
mod checkpoint;
mod credentials;
mod enrol;
mod identify;
mod journal;
mod lease;
mod poll;
mod reply;
mod session;
mod status;

pub use ask::answer as answer_ask;
pub use checkpoint::give as give_checkpoint;
pub use credentials::update as credentials;
pub use enrol::{enrol, renew, token};
pub use journal::{give as give_journal, take as take_segment};
pub use lease::{lease, release};
pub use poll::poll;
pub use status::status;
