//! What shops tell us: webhooks. A hook only wakes; the truth is read from the shop. It is answered 2xx
//! once its wake is durable, else 503, so that the shop sends it again.

mod deliver;
mod key;
mod registration;
mod replays;
mod wakes;

pub use deliver::{Targets, take};
pub use registration::{Registrations, possible, register, register_one, seen};
pub use replays::Replays;
pub use wakes::{Wakes, write};
