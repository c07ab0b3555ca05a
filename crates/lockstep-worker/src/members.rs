//! The customers that this worker holds now, as far as leases and fences go.

use lockstep_model::{CustomerId, Epoch};
use lockstep_protocol::lease::HeldLease;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

pub struct Members {
    held: Mutex<BTreeMap<CustomerId, Member>>,
    notify: Notify,
    leaving: watch::Sender<Vec<HeldLease>>,
}

struct Member {
    epoch: Epoch,
    movable: bool,
    fence: CancellationToken,
}

impl Default for Members {
    fn default() -> Self {
        Members {
            held: Mutex::default(),
            notify: Notify::default(),
            leaving: watch::Sender::new(Vec::new()),
        }
    }
}

impl Members {
    /// The token is cancelled when somebody else turns out to own the customer.
    pub fn join(&self, customer: CustomerId, epoch: Epoch, movable: bool) -> CancellationToken {
        let fence = CancellationToken::new();
        let member = Member {
            epoch,
            movable,
            fence: fence.clone(),
        };
        self.lock().insert(customer, member);
        self.notify.notify_one();
        fence
    }

    /// Only in the epoch that it joined with: a newer seat stays.
    pub fn leave(&self, customer: CustomerId, epoch: Epoch) {
        let mut held = self.lock();
        if held
            .get(&customer)
            .is_some_and(|member| member.epoch == epoch)
        {
            held.remove(&customer);
        }
    }

    pub fn fence(&self, customer: CustomerId, epoch: Epoch) {
        let mut held = self.lock();
        if let Some(member) = held.get(&customer)
            && member.epoch <= epoch
        {
            member.fence.cancel();
            held.remove(&customer);
        }
    }

    pub fn movable(&self) -> Vec<HeldLease> {
        let held = self.lock();
        held.iter()
            .filter(|(_, member)| member.movable)
            .map(|(customer, member)| HeldLease {
                customer_id: *customer,
                epoch: member.epoch,
            })
            .collect()
    }

    /// What the coordinator waits for us to let go of, said with each renewal.
    pub fn asked_to_leave(&self, leaving: Vec<HeldLease>) {
        self.leaving.send_if_modified(|known| {
            let is_news = *known != leaving;
            *known = leaving;
            is_news
        });
    }

    pub fn leaving(&self) -> watch::Receiver<Vec<HeldLease>> {
        self.leaving.subscribe()
    }

    pub async fn changed(&self) {
        self.notify.notified().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<CustomerId, Member>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_of_an_older_epoch_leaves_the_newer_seat() {
        let members = Members::default();
        let fence = members.join(CustomerId(1), Epoch(5), true);
        members.fence(CustomerId(1), Epoch(4));
        assert!(!fence.is_cancelled());
        assert_eq!(members.movable().len(), 1);
        members.fence(CustomerId(1), Epoch(5));
        assert!(fence.is_cancelled());
        assert!(members.movable().is_empty());
    }

    #[test]
    fn pinned_customers_need_no_lease() {
        let members = Members::default();
        members.join(CustomerId(1), Epoch(1), false);
        assert!(members.movable().is_empty());
        members.leave(CustomerId(1), Epoch(2));
        members.leave(CustomerId(1), Epoch(1));
    }
}
