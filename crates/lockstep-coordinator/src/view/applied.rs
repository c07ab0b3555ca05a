//! Taking changes of the database into the view, and telling polls and pages.

use super::{CustomerSeen, Slot, Standing, TokenSeen, View};
use crate::{
    bounds::DEPARTURES_MAX,
    events::{Events, Topic},
};
use jiff::Timestamp;
use lockstep_model::{CustomerId, RunId, WorkerId};
use lockstep_protocol::{
    TokenHash,
    delta::{CurrentSet, Member},
};
use lockstep_storage::{AskRow, AskState, Changes, WorkerState};
use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, atomic::Ordering},
};

impl From<WorkerState> for Standing {
    fn from(state: WorkerState) -> Self {
        match state {
            WorkerState::Active => Standing::Active,
            WorkerState::Draining => Standing::Draining,
            WorkerState::Suspended => Standing::Suspended,
            WorkerState::Gone => Standing::Gone,
        }
    }
}

impl View {
    /// Everything up to `changes.upto` is known afterwards. Only the tail calls this, one look at a time.
    /// Returns the asks that were answered.
    pub(super) fn apply(
        &self,
        changes: Changes,
        departed_since: u64,
        events: &Events,
    ) -> Vec<AskRow> {
        let quiet = changes.is_empty();
        if let Some(newest) = changes
            .ownerships
            .iter()
            .map(|change| change.incarnation)
            .max()
        {
            self.renew(newest);
        }
        // Workers first: the rest finds them there.
        for change in &changes.workers {
            let slot = self.slot_of(change.id, departed_since);
            slot.describe(change.state.into(), &change.name, &change.platforms);
            slot.change(|set| set.touch(change.stamp));
            slot.poke();
        }
        self.apply_tokens(&changes, departed_since);
        let moved = self.apply_customers(&changes);
        for departure in &changes.departures {
            if let Some(slot) = self.worker(departure.worker) {
                slot.change(|set| {
                    set.depart(departure.customer, departure.stamp);
                    bound_departures(set);
                });
            }
        }
        let answered = self.apply_wishes(&changes);

        for customer in &moved {
            events.tell(Topic::Customers, Some(*customer));
        }
        if quiet || !changes.workers.is_empty() || !changes.ownerships.is_empty() {
            // A change without rows is an enrolment's.
            events.tell(Topic::Workers, None);
        }
        self.seen.fetch_max(changes.upto, Ordering::AcqRel);
        answered
    }

    fn slot_of(&self, id: WorkerId, departed_since: u64) -> Arc<Slot> {
        let mut workers = self.workers.write().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let set = CurrentSet::new(self.incarnation(), departed_since);
            Arc::new(Slot::new(id, Standing::Active, set))
        };
        workers.entry(id).or_insert_with(new).clone()
    }

    fn apply_tokens(&self, changes: &Changes, departed_since: u64) {
        for change in &changes.tokens {
            let slot = self.slot_of(change.owner.worker, departed_since);
            {
                let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
                // One slot: whatever token the worker had before is void.
                tokens.retain(|_, seen| seen.slot.id != slot.id);
                if !change.revoked {
                    let seen = TokenSeen {
                        slot: slot.clone(),
                        expires_ms: u64::try_from(change.owner.expires_at.as_millisecond())
                            .unwrap_or(0),
                        used: change.owner.used,
                    };
                    tokens.insert(TokenHash(change.owner.hash.0), seen);
                }
            }
            slot.poke();
        }
    }

    fn apply_customers(&self, changes: &Changes) -> BTreeSet<CustomerId> {
        let mut customers = self
            .customers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let mut moved = BTreeSet::new();
        for change in &changes.customers {
            let known = customers.entry(change.id).or_default();
            if change.stamp >= known.customer_stamp {
                known.name.clone_from(&change.name);
                known.revision = change.revision;
                known.deleted = change.deleted;
                known.customer_stamp = change.stamp;
            }
            moved.insert(change.id);
        }
        for change in &changes.ownerships {
            let known = customers.entry(change.customer).or_default();
            if change.stamp >= known.ownership_stamp {
                known.ownership = change.ownership;
                known.ownership_stamp = change.stamp;
            }
            moved.insert(change.customer);
        }
        for id in &moved {
            if let Some(known) = customers.get_mut(id) {
                self.place(*id, known);
            }
        }
        moved
    }

    /// Puts a customer into the set of the worker that it is told to, and takes it out of another's.
    fn place(&self, id: CustomerId, known: &mut CustomerSeen) {
        let stamp = known.customer_stamp.max(known.ownership_stamp);
        let to = known.ownership.told_to().filter(|_| !known.deleted);
        if let Some(before) = known.told_to
            && Some(before) != to
            && let Some(slot) = self.worker(before)
        {
            slot.change(|set| {
                set.depart(id, stamp);
                bound_departures(set);
            });
        }
        known.told_to = to;
        if let Some(slot) = to.and_then(|worker| self.worker(worker)) {
            let member = Member {
                revision: known.revision,
                epoch: known.ownership.epoch,
                stamp,
            };
            slot.change(|set| set.upsert(id, member));
        }
    }

    fn apply_wishes(&self, changes: &Changes) -> Vec<AskRow> {
        let mut concerned: Vec<(WorkerId, u64)> = Vec::new();
        let mut answered = Vec::new();
        {
            let customers = self.customers();
            let told_to =
                |customer: &CustomerId| customers.get(customer).and_then(|known| known.told_to);
            let mut wishes = self.wishes.write().unwrap_or_else(PoisonError::into_inner);
            for wake in &changes.wakes {
                let key = (wake.customer, wake.shop, wake.flow);
                wishes
                    .wakes
                    .insert(key, (wake.counter, wake.asked, wake.stamp));
                concerned.extend(told_to(&wake.customer).map(|worker| (worker, wake.stamp)));
            }
            for (customer, run, stamp) in &changes.cancels {
                wishes.cancels.insert((*customer, *run), *stamp);
                concerned.extend(told_to(customer).map(|worker| (worker, *stamp)));
            }
            for ask in &changes.asks {
                match ask.state {
                    AskState::Open => {
                        wishes.asks.insert(ask.id, ask.clone());
                    }
                    AskState::Answered => {
                        wishes.asks.remove(&ask.id);
                        answered.push(ask.clone());
                    }
                }
            }
        }
        for ask in changes
            .asks
            .iter()
            .filter(|ask| ask.state == AskState::Open)
        {
            let able = self
                .workers()
                .into_iter()
                .filter(|slot| self.may_answer(slot, ask.customer, ask.platform.as_deref()));
            concerned.extend(able.map(|slot| (slot.id, ask.stamp)));
        }
        for (worker, stamp) in concerned {
            if let Some(slot) = self.worker(worker) {
                slot.change(|set| set.touch(stamp));
            }
        }
        answered
    }

    /// A customer's own worker; before it has one, any active worker with the platform.
    pub fn may_answer(
        &self,
        slot: &Slot,
        customer: Option<CustomerId>,
        platform: Option<&str>,
    ) -> bool {
        let owner = customer.and_then(|customer| {
            self.customers()
                .get(&customer)
                .and_then(|known| known.told_to)
        });
        match owner {
            Some(owner) => owner == slot.id,
            None => {
                slot.standing() == Standing::Active
                    && platform.is_some_and(|platform| slot.speaks(platform))
            }
        }
    }

    /// The run has ended: its cancel need not be told any more.
    pub fn forget_cancel(&self, customer: CustomerId, run: RunId) {
        let mut wishes = self.wishes.write().unwrap_or_else(PoisonError::into_inner);
        wishes.cancels.remove(&(customer, run));
    }

    /// Questions whose answers nobody waits for any more.
    pub fn forget_asks(&self, now: Timestamp) {
        let mut wishes = self.wishes.write().unwrap_or_else(PoisonError::into_inner);
        wishes.asks.retain(|_, ask| ask.deadline > now);
    }
}

fn bound_departures(set: &mut CurrentSet) {
    if set.departures() > DEPARTURES_MAX {
        // All of them: the stamps are not told apart here, and a full answer is always right.
        let newest = set.etag().revision;
        set.forget_departures_until(newest);
    }
}
