//! One customer on this worker: its journal, its engine, its shops, from the seat that was granted to the
//! fence that ends it.

mod answers;
mod buyers;
mod calls;
mod checked;
mod checkpoint;
mod doors;
mod driver;
mod file;
mod health;
mod hooks;
mod loads;
mod pace;
mod plan;
mod rehearsal;
mod restore;
mod shipper;
mod task;
mod undo;
mod wishes;

pub use doors::Pass;
pub use hooks::HookUrls;
pub use plan::Asked;
pub use rehearsal::{Draft, rehearse};
pub use task::{
    Ask, Handle, RoundEnd, Tools, answer_order, apply, ask_for_plan, buyers, copies_named, decide,
    erase_buyers, tend, undo, wire,
};
pub use undo::Undoing;
pub use wishes::HeldUp;

use data_encoding::HEXLOWER;
use lockstep_model::settings::CustomerSettings;
use lockstep_model::{CustomerId, Epoch, Incarnation, Revision};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A customer as it was granted and set.
#[derive(Debug, Clone, PartialEq)]
pub struct Seat {
    pub customer: CustomerId,
    pub incarnation: Incarnation,
    pub epoch: Epoch,
    pub revision: Revision,
    pub settings: Arc<CustomerSettings>,
}

impl Seat {
    pub fn movable(&self) -> bool {
        self.settings.customer.movable
    }

    /// Stands for all of the settings that decisions follow from: not the schedules, not the secrets.
    fn decisive(&self) -> Vec<u8> {
        let mut settings = CustomerSettings::clone(&self.settings);
        settings.schedules = Default::default();
        let mut hash = Sha256::new();
        // The export form is the one without secrets. It cannot fail for plain data.
        hash.update(serde_json::to_vec(&settings).unwrap_or_default());
        HEXLOWER.encode(&hash.finalize()).into_bytes()
    }
}
