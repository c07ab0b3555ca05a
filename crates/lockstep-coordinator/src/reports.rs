//! What workers said last of their customers, so that only news is written and told.

use lockstep_model::{CustomerId, Epoch, Flow, Lane, Revision, ShopId, WorkerId};
use lockstep_protocol::{
    status::{ApplyState, ShopReport},
    wanted::Wake,
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub worker: WorkerId,
    pub revision: Revision,
    pub epoch: Epoch,
    pub state: ApplyState,
    pub error: Option<String>,
    /// Nobody works for it; else only its newest settings are not in force.
    pub stopped: bool,
}

#[derive(Default)]
pub struct Reports {
    known: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    customers: HashMap<CustomerId, Known>,
    /// How calls to their shops went last, by the worker that has them.
    shops: HashMap<CustomerId, Vec<ShopReport>>,
    acted: HashMap<(CustomerId, ShopId, Flow), u64>,
    /// Lanes whose last run went well, as far as this coordinator knows.
    well: HashSet<(CustomerId, Lane)>,
}

impl Reports {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn known(&self, customer: CustomerId) -> Option<Known> {
        self.inner().customers.get(&customer).cloned()
    }

    /// What was known before.
    pub fn put(&self, customer: CustomerId, known: Known) -> Option<Known> {
        self.inner().customers.insert(customer, known)
    }

    /// What was known before of its shops, if it differs.
    pub fn put_shops(
        &self,
        customer: CustomerId,
        shops: Vec<ShopReport>,
    ) -> Option<Vec<ShopReport>> {
        let mut inner = self.inner();
        let before = inner.shops.entry(customer).or_default();
        (*before != shops).then(|| std::mem::replace(before, shops))
    }

    pub fn shops(&self, customer: CustomerId) -> Vec<ShopReport> {
        self.inner()
            .shops
            .get(&customer)
            .cloned()
            .unwrap_or_default()
    }

    /// Why its newest settings are not in force, if they are not.
    pub fn settings_error(&self, customer: CustomerId) -> Option<String> {
        let inner = self.inner();
        let known = inner.customers.get(&customer)?;
        (known.state == ApplyState::Failed).then(|| known.error.clone().unwrap_or_default())
    }

    /// Is this counter greater than the last?
    pub fn acted(&self, wake: &Wake) -> bool {
        let key = (wake.customer_id, wake.shop_id, wake.flow);
        let mut inner = self.inner();
        let last = inner.acted.entry(key).or_insert(0);
        let news = wake.counter > *last;
        *last = wake.counter.max(*last);
        news
    }

    /// The first time since one stood open, or since the start.
    pub fn run_went_well(&self, customer: CustomerId, lane: Lane) -> bool {
        self.inner().well.insert((customer, lane))
    }

    pub fn run_went_badly(&self, customer: CustomerId, lane: Lane) {
        self.inner().well.remove(&(customer, lane));
    }
}
