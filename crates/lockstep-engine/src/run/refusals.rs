//! Writes that a shop refuses as a whole: its key, a right, an outage. No record stands aside for it. They stay due, a probe is
//! made after a pause that grows, and all go on once one write gets through.
//!
//! Some shops refuse one record with the words for all (a 403, a 500). It is told from them by what else gets through: the
//! next probe is another record; where that passes and the first fails once more, it is the record's, and that stands aside.

use super::Run;
use crate::customer::Shared;
use crate::retry::{needs_person, probe, probe_when_asked};
use crate::write::Write;
use jiff::Timestamp;
use lockstep_model::entry::Subject;
use lockstep_model::{ChangeSort, Fault, FaultKind, Lane, ShopId};
use std::collections::{BTreeMap, BTreeSet};

/// Records that may be the ones to blame; of more than this the first are forgotten, and blamed a pause later.
const SUSPECTS_MAX: usize = 1_000;

/// The writes of one sort to a shop; `None`: all of them.
type Place = (ShopId, Option<ChangeSort>);

#[derive(Debug)]
struct Refusal {
    kind: FaultKind,
    /// Nothing is sent before.
    until: Timestamp,
    refused_at: Timestamp,
    tries: u32,
    /// For people.
    said: String,
    /// Records that were refused with it.
    refused: BTreeSet<Subject>,
    /// The lane whose one write tries whether it stands.
    probed_by: Option<Lane>,
    /// Lanes with writes that wait for it, as of their last run and as of the one that goes on.
    wanted_by: BTreeSet<Lane>,
    wanted_now: BTreeSet<Lane>,
}

/// A record that was refused as if it were the shop.
#[derive(Debug)]
struct Suspect {
    sort: ChangeSort,
    others_pass: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Refusals {
    refusals: BTreeMap<Place, Refusal>,
    suspects: BTreeMap<(ShopId, Subject), Suspect>,
}

fn is_of_all(kind: &FaultKind) -> bool {
    matches!(kind, FaultKind::Auth | FaultKind::RateLimited { .. })
}

impl Refusals {
    fn of(&self, shop: ShopId, sort: ChangeSort) -> impl Iterator<Item = (Place, &Refusal)> {
        let places = [(shop, None), (shop, Some(sort))];
        places
            .into_iter()
            .filter_map(|place| Some((place, self.refusals.get(&place)?)))
    }

    pub fn is_held(&self, shop: ShopId, sort: ChangeSort, now: Timestamp) -> bool {
        self.of(shop, sort).any(|(_, refusal)| refusal.until > now)
    }

    /// It is held: there is a write that waits for it.
    pub fn waits_at(&mut self, shop: ShopId, sort: ChangeSort, lane: Lane, now: Timestamp) -> bool {
        let is_held = self.is_held(shop, sort, now);
        if is_held {
            self.is_wanted(shop, sort, lane);
        }
        is_held
    }

    fn is_wanted(&mut self, shop: ShopId, sort: ChangeSort, lane: Lane) {
        for place in [(shop, None), (shop, Some(sort))] {
            if let Some(refusal) = self.refusals.get_mut(&place) {
                refusal.wanted_by.insert(lane);
                refusal.wanted_now.insert(lane);
            }
        }
    }

    /// Held, or one write at a time tries whether it is.
    pub fn is_doubtful(&self, shop: ShopId, sort: ChangeSort) -> bool {
        self.of(shop, sort).next().is_some()
    }

    pub fn is_suspect(&self, shop: ShopId, subject: &Subject) -> bool {
        self.suspects.contains_key(&(shop, subject.clone()))
    }

    /// Others of its sort got through since it was refused.
    pub fn is_to_blame(&self, shop: ShopId, subject: &Subject, kind: &FaultKind) -> bool {
        let suspect = self.suspects.get(&(shop, subject.clone()));
        !is_of_all(kind) && suspect.is_some_and(|suspect| suspect.others_pass)
    }

    /// Which of these may be sent: all, or none, or one that tries. Those that may be to blame come last.
    fn admit(
        &mut self,
        writes: Vec<Write>,
        lane: Lane,
        now: Timestamp,
    ) -> (Vec<Write>, Vec<Write>) {
        // Each refusal, the widest that there is, is tried by one write: by one that no narrower one holds up, and that was not
        // refused itself, if there is such a one.
        let mut probes: BTreeMap<Place, (bool, bool, usize)> = BTreeMap::new();
        for (index, write) in writes.iter().enumerate() {
            let places = || self.of(write.shop, write.change.sort());
            let is_its_turn = places().all(|(_, at)| at.until <= now && at.probed_by.is_none());
            let is_refused = places().any(|(_, at)| at.refused.contains(&write.subject));
            if let Some((widest, _)) = places().next() {
                let rank = (!is_its_turn, is_refused, index);
                let best = probes.entry(widest).or_insert(rank);
                *best = rank.min(*best);
            }
        }
        let mut admitted = Vec::new();
        let mut left = Vec::new();
        for (index, write) in writes.into_iter().enumerate() {
            let widest = self.of(write.shop, write.change.sort()).next();
            let may_go = widest.is_none_or(|(place, _)| {
                matches!(probes.get(&place), Some((false, _, probe)) if *probe == index)
            });
            if may_go {
                admitted.push(write);
            } else {
                left.push(write);
            }
        }
        for write in &left {
            self.is_wanted(write.shop, write.change.sort(), lane);
        }
        for write in &admitted {
            self.is_wanted(write.shop, write.change.sort(), lane);
            for place in [(write.shop, None), (write.shop, Some(write.change.sort()))] {
                if let Some(refusal) = self.refusals.get_mut(&place) {
                    refusal.probed_by = Some(lane);
                }
            }
        }
        admitted.sort_by_key(|write| self.is_suspect(write.shop, &write.subject));
        (admitted, left)
    }

    /// Nothing of the sort is sent before the time that it answers.
    pub fn refused(
        &mut self,
        write: &Write,
        fault: &Fault,
        said: String,
        now: Timestamp,
    ) -> Timestamp {
        let (shop, sort) = (write.shop, write.change.sort());
        let of_all = is_of_all(&fault.kind);
        if !of_all {
            let suspect = self.suspects.entry((shop, write.subject.clone()));
            suspect.or_insert(Suspect {
                sort,
                others_pass: false,
            });
            if self.suspects.len() > SUSPECTS_MAX {
                self.suspects.pop_first();
            }
        }
        let place = (shop, (!of_all).then_some(sort));
        let refusal = self.refusals.entry(place).or_insert_with(|| Refusal {
            kind: fault.kind.clone(),
            until: Timestamp::MIN,
            refused_at: now,
            tries: 0,
            said: String::new(),
            refused: BTreeSet::new(),
            probed_by: None,
            wanted_by: BTreeSet::new(),
            wanted_now: BTreeSet::new(),
        });
        let lane = write.change.kind().flow().lane();
        refusal.wanted_by.insert(lane);
        refusal.wanted_now.insert(lane);
        // The rest of a batch says no more than its first.
        if refusal.until <= now {
            refusal.until = probe(&fault.kind, refusal.tries, now);
            refusal.tries = refusal.tries.saturating_add(1);
        }
        refusal.kind = fault.kind.clone();
        refusal.refused_at = now;
        refusal.said = said;
        refusal.probed_by = None;
        if refusal.refused.len() < SUSPECTS_MAX {
            refusal.refused.insert(write.subject.clone());
        }
        refusal.until
    }

    /// The shop took it, or said of it alone what is wrong. True: something that waited may go.
    pub fn passed(&mut self, write: &Write, now: Timestamp) -> bool {
        if self.refusals.is_empty() && self.suspects.is_empty() {
            return false;
        }
        let (shop, sort) = (write.shop, write.change.sort());
        self.suspects.remove(&(shop, write.subject.clone()));
        for ((at, _), suspect) in &mut self.suspects {
            suspect.others_pass |= *at == shop && suspect.sort == sort;
        }
        let mut may_go = false;
        for place in [(shop, None), (shop, Some(sort))] {
            may_go |= self.refusals.remove(&place).is_some();
        }
        if may_go {
            // Whoever was out of reach is back.
            for ((at, _), refusal) in &mut self.refusals {
                if *at == shop && !needs_person(&refusal.kind) {
                    refusal.until = refusal.until.min(now);
                }
            }
        }
        may_go
    }

    /// What became of it is not known: it says nothing of the others.
    fn said_nothing(&mut self, write: &Write, now: Timestamp) {
        for place in [(write.shop, None), (write.shop, Some(write.change.sort()))] {
            if let Some(refusal) = self.refusals.get_mut(&place) {
                refusal.probed_by = None;
                refusal.until = probe(&refusal.kind, refusal.tries, now).max(now);
                refusal.tries = refusal.tries.saturating_add(1);
            }
        }
    }

    /// The shop calls, or a person who has mended it asks: it is tried within seconds, and not with each call of a storm.
    pub fn woken(&mut self, shop: ShopId, now: Timestamp) -> Option<Timestamp> {
        let mut soonest = None;
        for ((at, _), refusal) in &mut self.refusals {
            if *at == shop {
                let rested = probe_when_asked(refusal.tries, refusal.refused_at);
                refusal.until = refusal.until.min(rested.max(now));
                let until = refusal.until;
                soonest = Some(soonest.map_or(until, |soonest: Timestamp| soonest.min(until)));
            }
        }
        soonest
    }

    /// Another key, another address: all is tried.
    pub fn clear(&mut self) {
        self.refusals.clear();
        self.suspects.clear();
    }

    /// `looked_at_all`: what is due was gone through to its end. A refusal that nothing waits for any more is over.
    fn run_is_over(&mut self, lane: Lane, looked_at_all: bool) {
        for refusal in self.refusals.values_mut() {
            if refusal.probed_by == Some(lane) {
                // A probe that was never made, or never answered.
                refusal.probed_by = None;
            }
            let is_wanted = refusal.wanted_now.remove(&lane);
            if looked_at_all && !is_wanted {
                refusal.wanted_by.remove(&lane);
            }
        }
        self.refusals
            .retain(|_, refusal| !refusal.wanted_by.is_empty());
    }

    /// When the next probe is due in this lane.
    fn next_probe(&self, lane: Lane) -> Option<Timestamp> {
        let mine = self.refusals.values();
        mine.filter(|refusal| refusal.wanted_by.contains(&lane))
            .map(|refusal| refusal.until)
            .min()
    }

    /// For people: what each shop said; and whether somebody has to do something about it.
    pub fn sentences(&self) -> BTreeMap<ShopId, (String, bool)> {
        let mut sentences: BTreeMap<ShopId, (String, bool)> = BTreeMap::new();
        for ((shop, _), refusal) in &self.refusals {
            let needs = needs_person(&refusal.kind);
            let known = sentences
                .entry(*shop)
                .or_insert_with(|| (refusal.said.clone(), needs));
            if needs && !known.1 {
                *known = (refusal.said.clone(), true);
            }
        }
        sentences
    }
}

impl Run {
    /// Writes that may be sent now, and those that wait for their shop: these stay due.
    pub(super) fn admit(
        &self,
        writes: Vec<Write>,
        shared: &mut Shared,
        now: Timestamp,
    ) -> (Vec<Write>, Vec<Write>) {
        let (open, mut left): (Vec<Write>, Vec<Write>) = writes
            .into_iter()
            .partition(|write| !self.is_failed(write.shop));
        let (admitted, held) = shared.refusals.admit(open, self.lane, now);
        left.extend(held);
        (admitted, left)
    }

    fn is_failed(&self, shop: ShopId) -> bool {
        self.failed.contains_key(&shop)
    }

    /// Not in this run: the shop failed in it, or refuses what is of this sort.
    pub(super) fn waits_for_shop(
        &self,
        write: &Write,
        shared: &mut Shared,
        now: Timestamp,
    ) -> bool {
        let (shop, sort) = (write.shop, write.change.sort());
        self.is_failed(shop) || shared.refusals.waits_at(shop, sort, self.lane, now)
    }

    pub(super) fn shop_refused(
        &mut self,
        write: &Write,
        fault: &Fault,
        shared: &mut Shared,
        now: Timestamp,
    ) {
        let said = self.said(write.shop, fault);
        let until = shared.refusals.refused(write, fault, said, now);
        for lane in Lane::ALL {
            let is_mine = write.change.kind().flow().lane() == lane;
            if is_mine || is_of_all(&fault.kind) {
                shared.look_again(lane, until);
            }
        }
    }

    pub(super) fn shop_took(&mut self, write: &Write, shared: &mut Shared, now: Timestamp) {
        if shared.refusals.passed(write, now) {
            for lane in Lane::ALL {
                shared.look_again(lane, now);
            }
        }
    }

    pub(super) fn shop_said_nothing(&mut self, write: &Write, shared: &mut Shared, now: Timestamp) {
        shared.refusals.said_nothing(write, now);
    }

    /// `looked_at_all`: what is due was gone through to its end.
    pub(super) fn leave_refusals(&self, looked_at_all: bool, shared: &mut Shared, now: Timestamp) {
        shared.refusals.run_is_over(self.lane, looked_at_all);
        if let Some(at) = shared.refusals.next_probe(self.lane) {
            shared.look_again(self.lane, at.max(super::writing::soon(now)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::entry::What;
    use lockstep_model::{Change, CustomerId, OrderKey, OrderStep};

    const SHOP: ShopId = ShopId(1);

    fn pay(order: &str) -> Write {
        let key = OrderKey {
            customer: CustomerId(1),
            shop: ShopId(2),
            id: order.into(),
        };
        Write {
            shop: SHOP,
            subject: Subject::Order(key),
            what: What::StepOrder {
                step: OrderStep::Pay,
            },
            change: Change::StepOrder {
                id: order.into(),
                step: OrderStep::Pay,
                person: None,
            },
            label: order.into(),
            tries: 0,
            again: false,
            is_part: false,
        }
    }

    #[test]
    fn two_refusals_of_one_shop_are_tried_by_one_write() {
        let mut refusals = Refusals::default();
        let now = Timestamp::UNIX_EPOCH;
        let said = String::new;
        let of_all = Fault::new(FaultKind::RateLimited { retry_at: None }, "slow down");
        refusals.refused(&pay("o9"), &of_all, said(), now);
        let of_steps = Fault::new(FaultKind::Unavailable, "nobody answers");
        refusals.refused(&pay("o1"), &of_steps, said(), now);
        let later = Timestamp::MAX;
        // The first was refused as a step, and not when all were.
        let writes = vec![pay("o1"), pay("o2"), pay("o3")];
        let (admitted, left) = refusals.admit(writes, Lane::Trade, later);
        let admitted: Vec<&str> = admitted.iter().map(|write| write.label.as_str()).collect();
        assert_eq!((admitted, left.len()), (vec!["o2"], 2));
        assert!(refusals.passed(&pay("o2"), later));
        let writes = vec![pay("o1"), pay("o3")];
        assert_eq!(refusals.admit(writes, Lane::Trade, later).0.len(), 2);
    }
}
