//! What polls are answered from: each worker's token and the version of its settings, in memory. The
//! database is the truth; the change tail keeps this at most [`VIEW_AGE_MAX`] behind it, and says when it
//! cannot.
//!
//! ```text
//!  commit ──► change.counter ──► tail ──► View ──► each parked poll of the workers concerned
//! ```

mod applied;
mod slot;
mod tail;

pub use slot::{Claim, Slot, Standing, now_ms};
pub use tail::{Tail, follow};

use crate::bounds::VIEW_AGE_MAX;
use lockstep_model::{CustomerId, Epoch, Flow, Incarnation, Revision, RunId, ShopId, WorkerId};
use lockstep_protocol::{
    TokenHash,
    wanted::{Cancel, Wake},
};
use lockstep_storage::{AskRow, ownership::Ownership};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
};

/// A token as a poll shows it.
#[derive(Clone)]
pub struct TokenSeen {
    pub slot: Arc<Slot>,
    pub expires_ms: u64,
    /// It was shown before; its enrolment hands out no other.
    pub used: bool,
}

/// A customer, as far as polls need to know it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomerSeen {
    pub name: String,
    pub revision: Revision,
    pub deleted: bool,
    pub ownership: Ownership,
    /// In whose settings it is.
    pub told_to: Option<WorkerId>,
    customer_stamp: u64,
    ownership_stamp: u64,
}

/// What is wanted, all customers together.
#[derive(Default)]
struct Wishes {
    /// Counter, the last that a person raised, and the stamp.
    wakes: BTreeMap<(CustomerId, ShopId, Flow), (u64, u64, u64)>,
    cancels: BTreeMap<(CustomerId, RunId), u64>,
    asks: BTreeMap<u64, AskRow>,
}

pub struct View {
    tokens: RwLock<HashMap<TokenHash, TokenSeen>>,
    workers: RwLock<HashMap<WorkerId, Arc<Slot>>>,
    customers: RwLock<BTreeMap<CustomerId, CustomerSeen>>,
    wishes: RwLock<Wishes>,
    incarnation: AtomicU64,
    /// When the counter was last read, milliseconds since the epoch.
    looked_ms: AtomicU64,
    /// The counter up to which all is known.
    seen: AtomicU64,
}

impl View {
    pub fn new(incarnation: Incarnation) -> Self {
        View {
            tokens: RwLock::default(),
            workers: RwLock::default(),
            customers: RwLock::default(),
            wishes: RwLock::default(),
            incarnation: AtomicU64::new(incarnation.0),
            looked_ms: AtomicU64::new(0),
            seen: AtomicU64::new(0),
        }
    }

    pub fn incarnation(&self) -> Incarnation {
        Incarnation(self.incarnation.load(Ordering::Acquire))
    }

    pub fn token(&self, hash: &TokenHash) -> Option<TokenSeen> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        tokens.get(hash).cloned()
    }

    pub fn worker(&self, id: WorkerId) -> Option<Arc<Slot>> {
        let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner);
        workers.get(&id).cloned()
    }

    pub fn workers(&self) -> Vec<Arc<Slot>> {
        let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = workers.values().cloned().collect();
        all.sort_by_key(|slot| slot.id);
        all
    }

    fn customers(&self) -> RwLockReadGuard<'_, BTreeMap<CustomerId, CustomerSeen>> {
        self.customers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub fn customer(&self, id: CustomerId) -> Option<CustomerSeen> {
        self.customers().get(&id).cloned()
    }

    pub fn all_customers(&self) -> Vec<(CustomerId, CustomerSeen)> {
        self.customers()
            .iter()
            .filter(|(_, customer)| !customer.deleted)
            .map(|(id, customer)| (*id, customer.clone()))
            .collect()
    }

    pub fn customer_name(&self, id: CustomerId) -> String {
        self.customers().get(&id).map_or_else(
            || format!("customer {id}"),
            |customer| customer.name.clone(),
        )
    }

    /// All customers of one worker, those on their way from it among them.
    pub fn owned_by(&self, worker: WorkerId) -> Vec<(CustomerId, CustomerSeen)> {
        self.customers()
            .iter()
            .filter(|(_, customer)| customer.ownership.worker == Some(worker) && !customer.deleted)
            .map(|(id, customer)| (*id, customer.clone()))
            .collect()
    }

    /// Customers whose owner was told to let go and has not yet.
    pub fn leaving(&self, worker: WorkerId) -> Vec<(CustomerId, Epoch)> {
        self.customers()
            .iter()
            .filter(|(_, customer)| {
                let now = customer.ownership;
                now.worker == Some(worker) && (now.moving_to.is_some() || now.revoked)
            })
            .map(|(id, customer)| (*id, customer.ownership.epoch))
            .collect()
    }

    /// Does this worker own the customer in this epoch? One on its way from it still counts.
    pub fn owns(&self, worker: WorkerId, customer: CustomerId, epoch: Epoch) -> bool {
        self.customers().get(&customer).is_some_and(|known| {
            known.ownership.worker == Some(worker) && known.ownership.epoch == epoch
        })
    }

    /// The wakes of a worker's customers that were raised after this stamp.
    pub fn wakes_of(&self, worker: WorkerId, after: Option<u64>) -> Vec<Wake> {
        let customers = self.customers();
        let wishes = self.wishes.read().unwrap_or_else(PoisonError::into_inner);
        let raised = wishes
            .wakes
            .iter()
            .filter(|((customer, ..), (_, _, stamp))| {
                after.is_none_or(|after| *stamp > after)
                    && customers.get(customer).and_then(|known| known.told_to) == Some(worker)
            });
        raised
            .map(
                |(&(customer_id, shop_id, flow), &(counter, asked, _))| Wake {
                    customer_id,
                    shop_id,
                    flow,
                    counter,
                    asked,
                },
            )
            .collect()
    }

    pub fn cancels_of(&self, worker: WorkerId) -> Vec<Cancel> {
        let customers = self.customers();
        let wishes = self.wishes.read().unwrap_or_else(PoisonError::into_inner);
        let standing = wishes.cancels.keys().filter(|(customer, _)| {
            customers.get(customer).and_then(|known| known.told_to) == Some(worker)
        });
        standing
            .map(|&(customer_id, run)| Cancel { customer_id, run })
            .collect()
    }

    /// The open questions that this worker may answer.
    pub fn asks_of(&self, slot: &Slot) -> Vec<AskRow> {
        let wishes = self.wishes.read().unwrap_or_else(PoisonError::into_inner);
        let open = wishes.asks.values();
        open.filter(|ask| self.may_answer(slot, ask.customer, ask.platform.as_deref()))
            .cloned()
            .collect()
    }

    /// The database was restored: everything that was given out is of an older incarnation.
    pub fn renew(&self, incarnation: Incarnation) {
        if self.incarnation.fetch_max(incarnation.0, Ordering::AcqRel) >= incarnation.0 {
            return;
        }
        for slot in self.workers() {
            slot.renew(incarnation, self.seen());
        }
    }

    /// Is the view young enough to answer anything but a 304?
    pub fn is_fresh(&self) -> bool {
        let age = now_ms().saturating_sub(self.looked_ms.load(Ordering::Acquire));
        u128::from(age) <= VIEW_AGE_MAX.as_millis()
    }

    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Events;
    use jiff::Timestamp;
    use lockstep_storage::{
        Changes, CustomerChange, Departure, Hash, OwnershipChange, TokenChange, TokenOwner,
        WorkerChange, WorkerState,
    };

    const CUSTOMER: CustomerId = CustomerId(1);

    fn worker(id: u64, stamp: u64) -> WorkerChange {
        WorkerChange {
            id: WorkerId(id),
            name: format!("w{id}"),
            state: WorkerState::Active,
            platforms: vec!["practice".into()],
            stamp,
        }
    }

    fn customer(revision: u64, stamp: u64) -> CustomerChange {
        CustomerChange {
            id: CUSTOMER,
            name: "Kahvila".into(),
            revision: Revision(revision),
            deleted: false,
            stamp,
        }
    }

    fn owned(by: u64, epoch: u64, moving_to: Option<u64>, stamp: u64) -> OwnershipChange {
        OwnershipChange {
            customer: CUSTOMER,
            incarnation: Incarnation(1),
            ownership: Ownership {
                worker: Some(WorkerId(by)),
                epoch: Epoch(epoch),
                moving_to: moving_to.map(WorkerId),
                revoked: false,
            },
            stamp,
        }
    }

    fn token(worker: u64, byte: u8, stamp: u64) -> TokenChange {
        TokenChange {
            owner: TokenOwner {
                hash: Hash([byte; 32]),
                worker: WorkerId(worker),
                expires_at: Timestamp::MAX,
                used: true,
            },
            revoked: false,
            stamp,
        }
    }

    fn view_after(changes: Vec<Changes>) -> View {
        let (view, events) = (View::new(Incarnation(1)), Events::default());
        for change in changes {
            view.apply(change, 0, &events);
        }
        view
    }

    fn has(view: &View, worker: u64) -> bool {
        let slot = view.worker(WorkerId(worker)).unwrap();
        let set = slot.set();
        set.members().contains_key(&CUSTOMER)
    }

    fn moved_by_hand() -> Vec<Changes> {
        let begun = Changes {
            upto: 3,
            workers: vec![worker(1, 1), worker(2, 1)],
            customers: vec![customer(1, 2)],
            ownerships: vec![owned(1, 1, None, 3)],
            ..Changes::default()
        };
        let moving = Changes {
            upto: 4,
            ownerships: vec![owned(1, 1, Some(2), 4)],
            departures: vec![Departure {
                customer: CUSTOMER,
                worker: WorkerId(1),
                stamp: 4,
            }],
            ..Changes::default()
        };
        let moved = Changes {
            upto: 5,
            ownerships: vec![owned(2, 2, None, 5)],
            ..Changes::default()
        };
        vec![begun, moving, moved]
    }

    #[test]
    fn a_customer_that_moves_is_nobodys_and_then_the_others() {
        let all = moved_by_hand();
        let begun = view_after(all[..1].to_vec());
        assert!(has(&begun, 1) && !has(&begun, 2));
        let moving = view_after(all[..2].to_vec());
        assert!(!has(&moving, 1) && !has(&moving, 2));
        assert!(
            moving.owns(WorkerId(1), CUSTOMER, Epoch(1)),
            "it may still ship and release"
        );
        let moved = view_after(all);
        assert!(!has(&moved, 1) && has(&moved, 2));
        assert!(!moved.owns(WorkerId(1), CUSTOMER, Epoch(1)));
    }

    #[test]
    fn a_coordinator_that_starts_later_knows_the_same_version() {
        let step_by_step = view_after(moved_by_hand());
        let at_once = view_after(vec![Changes {
            upto: 5,
            workers: vec![worker(1, 1), worker(2, 1)],
            customers: vec![customer(1, 2)],
            ownerships: vec![owned(2, 2, None, 5)],
            departures: vec![Departure {
                customer: CUSTOMER,
                worker: WorkerId(1),
                stamp: 4,
            }],
            ..Changes::default()
        }]);
        for id in [1, 2] {
            let etag = |view: &View| view.worker(WorkerId(id)).unwrap().set().etag();
            assert_eq!(etag(&step_by_step), etag(&at_once), "worker {id}");
        }
    }

    #[test]
    fn a_new_token_takes_the_place_of_the_old() {
        let view = view_after(vec![
            Changes {
                upto: 2,
                workers: vec![worker(1, 1)],
                tokens: vec![token(1, 7, 2)],
                ..Changes::default()
            },
            Changes {
                upto: 3,
                tokens: vec![token(1, 8, 3)],
                ..Changes::default()
            },
        ]);
        assert!(view.token(&TokenHash([7; 32])).is_none());
        assert!(view.token(&TokenHash([8; 32])).is_some());
        let revoked = TokenChange {
            revoked: true,
            ..token(1, 8, 4)
        };
        let gone = Changes {
            upto: 4,
            tokens: vec![revoked],
            ..Changes::default()
        };
        view.apply(gone, 0, &Events::default());
        assert!(view.token(&TokenHash([8; 32])).is_none());
    }

    #[test]
    fn a_view_that_never_looked_is_not_fresh() {
        let view = View::new(Incarnation(1));
        assert!(!view.is_fresh());
        view.looked_ms.store(now_ms(), Ordering::Release);
        assert!(view.is_fresh());
        view.looked_ms.store(now_ms() - 2_500, Ordering::Release);
        assert!(!view.is_fresh());
    }
}
