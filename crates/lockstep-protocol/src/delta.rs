//! `/settings`: what changed since the version that the worker has. The coordinator's half computes it,
//! the worker's half applies it and checks the digest of the whole; both are pure.

use crate::{Etag, asks::Ask, wanted::Wanted};
use lockstep_model::{
    CustomerId, Epoch, Incarnation, Revision,
    settings::{CustomerSettings, OnWire, digest},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The body of a 200.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SettingsReply<S = OnWire<CustomerSettings>> {
    pub etag: Etag,
    pub revision: u64,
    pub incarnation: Incarnation,
    /// What `upserts` and `removed` are to be applied to; none: to nothing, these are all.
    pub base: Option<Etag>,
    pub upserts: Vec<Upsert<S>>,
    pub removed: Vec<CustomerId>,
    #[serde(default)]
    pub wanted: Wanted,
    #[serde(default = "Vec::new")]
    pub asks: Vec<Ask>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Upsert<S = OnWire<CustomerSettings>> {
    pub customer_id: CustomerId,
    pub revision: Revision,
    pub epoch: Epoch,
    pub settings: S,
}

// --- the coordinator's half ---

/// One customer of a worker, as the coordinator knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    pub revision: Revision,
    pub epoch: Epoch,
    /// The change counter's value when any of it last changed.
    pub stamp: u64,
}

/// All customers of one worker, and those that left it not too long ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentSet {
    incarnation: Incarnation,
    members: BTreeMap<CustomerId, Member>,
    departed: BTreeMap<CustomerId, u64>,
    departed_since: u64,
    stamp: u64,
}

/// What to send: whose settings, and whom the worker must let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    pub etag: Etag,
    pub base: Option<Etag>,
    pub upserts: Vec<CustomerId>,
    pub removed: Vec<CustomerId>,
}

impl CurrentSet {
    /// Empty. Departures at or before `departed_since` are unknown, so an older base gets everything.
    pub fn new(incarnation: Incarnation, departed_since: u64) -> Self {
        CurrentSet {
            incarnation,
            members: BTreeMap::new(),
            departed: BTreeMap::new(),
            departed_since,
            stamp: departed_since,
        }
    }

    /// The customer is the worker's, in this state. An older stamp than the one known changes nothing.
    pub fn upsert(&mut self, customer: CustomerId, member: Member) {
        self.touch(member.stamp);
        let known = self.members.get(&customer).map(|known| known.stamp);
        let left = self.departed.get(&customer).copied();
        if known.max(left).is_some_and(|newer| newer > member.stamp) {
            return;
        }
        self.departed.remove(&customer);
        self.members.insert(customer, member);
    }

    /// The customer is the worker's no longer.
    pub fn depart(&mut self, customer: CustomerId, stamp: u64) {
        self.touch(stamp);
        if self
            .members
            .get(&customer)
            .is_some_and(|member| member.stamp > stamp)
        {
            return;
        }
        self.members.remove(&customer);
        let left = self.departed.entry(customer).or_default();
        *left = stamp.max(*left);
    }

    /// Something else that concerns the worker changed: a wake, an ask, its own state.
    pub fn touch(&mut self, stamp: u64) {
        self.stamp = self.stamp.max(stamp);
    }

    /// Keeps the number of departures bounded: who is further behind gets everything.
    pub fn forget_departures_until(&mut self, stamp: u64) {
        self.departed_since = self.departed_since.max(stamp);
        self.departed.retain(|_, left| *left > stamp);
    }

    pub fn members(&self) -> &BTreeMap<CustomerId, Member> {
        &self.members
    }

    pub fn departures(&self) -> usize {
        self.departed.len()
    }

    pub fn etag(&self) -> Etag {
        let pairs = self
            .members
            .iter()
            .map(|(customer, member)| (*customer, member.revision));
        Etag {
            incarnation: self.incarnation,
            revision: self.stamp,
            digest: digest(pairs),
        }
    }

    /// Whether this worker has seen a future that this database has not: it was restored from a backup.
    pub fn proves_a_roll_back(&self, theirs: &Etag) -> bool {
        theirs.incarnation > self.incarnation
            || (theirs.incarnation == self.incarnation && theirs.revision > self.stamp)
    }

    /// What brings a worker from `base` to now; everything if its base is not one that we can count from.
    pub fn delta(&self, base: Option<&Etag>) -> Delta {
        let base = base.filter(|base| {
            base.incarnation == self.incarnation
                && base.revision <= self.stamp
                && base.revision >= self.departed_since
        });
        let after = |stamp: u64| base.is_none_or(|base| stamp > base.revision);
        let upserts = self
            .members
            .iter()
            .filter(|(_, member)| after(member.stamp));
        let removed = self
            .departed
            .iter()
            .filter(|(_, left)| base.is_some() && after(**left));
        Delta {
            etag: self.etag(),
            base: base.copied(),
            upserts: upserts.map(|(customer, _)| *customer).collect(),
            removed: removed.map(|(customer, _)| *customer).collect(),
        }
    }
}

// --- the worker's half ---

/// The settings that a worker has, and their version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held<S = OnWire<CustomerSettings>> {
    pub etag: Option<Etag>,
    pub customers: BTreeMap<CustomerId, HeldCustomer<S>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldCustomer<S = OnWire<CustomerSettings>> {
    pub revision: Revision,
    pub epoch: Epoch,
    pub settings: S,
}

impl<S> Default for Held<S> {
    fn default() -> Self {
        Held {
            etag: None,
            customers: BTreeMap::new(),
        }
    }
}

/// Why a reply was not applied. What was held is held still; the next poll asks for everything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeltaFault {
    #[error("the reply counts from {base}, but we hold {}", held.map_or("nothing".to_owned(), |held| held.to_string()))]
    OtherBase { base: Etag, held: Option<Etag> },
    #[error("the reply is of incarnation {theirs}, older than ours, {ours}")]
    OlderIncarnation {
        theirs: Incarnation,
        ours: Incarnation,
    },
    #[error("the reply has revision {theirs} of {what}, older than ours, {ours}")]
    OlderRevision {
        what: String,
        theirs: u64,
        ours: u64,
    },
    #[error("the digest after applying is {ours}, not {theirs}")]
    DigestDiffers { theirs: String, ours: String },
}

/// What a reply changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    pub changed: Vec<CustomerId>,
    pub removed: Vec<CustomerId>,
}

impl<S: PartialEq> Held<S> {
    /// All or nothing: nothing is changed before the digest of the whole is known to agree.
    pub fn apply(&mut self, reply: SettingsReply<S>) -> Result<Applied, DeltaFault> {
        self.check(&reply)?;
        let mut applied = Applied::default();
        let mut before = match reply.base {
            Some(_) => None,
            None => Some(std::mem::take(&mut self.customers)),
        };
        for upsert in reply.upserts {
            let id = upsert.customer_id;
            let new = HeldCustomer {
                revision: upsert.revision,
                epoch: upsert.epoch,
                settings: upsert.settings,
            };
            let old = match &mut before {
                None => self.customers.remove(&id),
                Some(before) => before.remove(&id),
            };
            if old.as_ref() != Some(&new) {
                applied.changed.push(id);
            }
            self.customers.insert(id, new);
        }
        for id in reply.removed {
            if self.customers.remove(&id).is_some() {
                applied.removed.push(id);
            }
        }
        applied
            .removed
            .extend(before.into_iter().flatten().map(|(id, _)| id));
        self.etag = Some(reply.etag);
        Ok(applied)
    }

    fn check(&self, reply: &SettingsReply<S>) -> Result<(), DeltaFault> {
        if let Some(base) = reply.base
            && self.etag != Some(base)
        {
            return Err(DeltaFault::OtherBase {
                base,
                held: self.etag,
            });
        }
        if let Some(ours) = self.etag {
            let theirs = reply.etag;
            if theirs.incarnation < ours.incarnation {
                return Err(DeltaFault::OlderIncarnation {
                    theirs: theirs.incarnation,
                    ours: ours.incarnation,
                });
            }
            if theirs.incarnation == ours.incarnation {
                older("the settings", theirs.revision, ours.revision)?;
                for upsert in &reply.upserts {
                    if let Some(held) = self.customers.get(&upsert.customer_id) {
                        let what = format!("customer {}", upsert.customer_id);
                        older(&what, upsert.revision.0, held.revision.0)?;
                    }
                }
            }
        }
        let kept = self.customers.iter().filter(|_| reply.base.is_some());
        let mut pairs: BTreeMap<_, _> = kept.map(|(id, held)| (*id, held.revision)).collect();
        for upsert in &reply.upserts {
            pairs.insert(upsert.customer_id, upsert.revision);
        }
        for id in &reply.removed {
            pairs.remove(id);
        }
        let ours = digest(pairs);
        if ours == reply.etag.digest {
            Ok(())
        } else {
            Err(DeltaFault::DigestDiffers {
                theirs: reply.etag.digest.to_string(),
                ours: ours.to_string(),
            })
        }
    }
}

fn older(what: &str, theirs: u64, ours: u64) -> Result<(), DeltaFault> {
    if theirs < ours {
        return Err(DeltaFault::OlderRevision {
            what: what.to_owned(),
            theirs,
            ours,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Edit {
        Change(u64),
        Move(u64),
        Leave(u64),
        Wake,
        Forget,
        Poll,
        LoseSettings,
        Corrupt,
        Restore,
    }

    fn edit() -> impl Strategy<Value = Edit> {
        prop_oneof![
            4 => (1..6u64).prop_map(Edit::Change),
            1 => (1..6u64).prop_map(Edit::Move),
            2 => (1..6u64).prop_map(Edit::Leave),
            1 => Just(Edit::Wake),
            1 => Just(Edit::Forget),
            4 => Just(Edit::Poll),
            1 => Just(Edit::LoseSettings),
            1 => Just(Edit::Corrupt),
            1 => Just(Edit::Restore),
        ]
    }

    /// What a worker would do: send its version, apply, and after a fault ask for everything.
    fn poll(set: &CurrentSet, held: &mut Held<(u64, u64)>) {
        if held.etag == Some(set.etag()) {
            return;
        }
        let mut ask = held.etag;
        for _ in 0..2 {
            match held.apply(reply(set, ask.as_ref())) {
                Ok(_) => return,
                Err(_) => ask = None,
            }
        }
        *held = Held::default();
        held.apply(reply(set, None)).unwrap();
    }

    fn reply(set: &CurrentSet, base: Option<&Etag>) -> SettingsReply<(u64, u64)> {
        let delta = set.delta(base);
        SettingsReply {
            etag: delta.etag,
            revision: delta.etag.revision,
            incarnation: delta.etag.incarnation,
            base: delta.base,
            upserts: delta
                .upserts
                .iter()
                .map(|id| {
                    let member = set.members()[id];
                    Upsert {
                        customer_id: *id,
                        revision: member.revision,
                        epoch: member.epoch,
                        settings: (id.0, member.revision.0),
                    }
                })
                .collect(),
            removed: delta.removed,
            wanted: Wanted::default(),
            asks: Vec::new(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn after_any_edits_a_poll_gives_what_a_full_reply_gives(edits in prop::collection::vec(edit(), 0..60)) {
            let mut incarnation = 1;
            let mut set = CurrentSet::new(Incarnation(incarnation), 0);
            let mut held = Held::default();
            let mut stamp = 0;
            let mut revisions: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
            for edit in edits {
                stamp += 1;
                match edit {
                    Edit::Change(id) | Edit::Move(id) => {
                        let (revision, epoch) = revisions.entry(id).or_default();
                        match edit {
                            Edit::Move(_) => *epoch += 1,
                            _ => *revision += 1,
                        }
                        let member = Member { revision: Revision(*revision), epoch: Epoch(*epoch), stamp };
                        set.upsert(CustomerId(id), member);
                    }
                    Edit::Leave(id) => set.depart(CustomerId(id), stamp),
                    Edit::Wake => set.touch(stamp),
                    Edit::Forget => set.forget_departures_until(stamp),
                    Edit::LoseSettings => held = Held::default(),
                    Edit::Corrupt => {
                        if let Some(customer) = held.customers.values_mut().next() {
                            customer.revision.0 = customer.revision.0.saturating_sub(1);
                        }
                    }
                    Edit::Restore => {
                        incarnation += 1;
                        let members = set.members().clone();
                        set = CurrentSet::new(Incarnation(incarnation), stamp);
                        for (id, member) in members {
                            set.upsert(id, member);
                        }
                    }
                    Edit::Poll => poll(&set, &mut held),
                }
            }
            poll(&set, &mut held);
            // A corruption may hide behind an equal version (304 by the version alone): the digest is of
            // what was applied, so look at the version, and at the content when nothing was corrupted.
            prop_assert_eq!(held.etag, Some(set.etag()));
            let mut whole = Held::default();
            whole.apply(reply(&set, None)).unwrap();
            if digest(held.customers.iter().map(|(id, held)| (*id, held.revision))) == set.etag().digest {
                prop_assert_eq!(held, whole);
            }
        }

        #[test]
        fn versions_are_equal_only_if_the_digests_agree(a in prop::collection::btree_map(1..5u64, 1..4u64, 0..4), b in prop::collection::btree_map(1..5u64, 1..4u64, 0..4)) {
            let set = |pairs: &BTreeMap<u64, u64>| {
                let mut set = CurrentSet::new(Incarnation(1), 0);
                for (id, revision) in pairs {
                    set.upsert(CustomerId(*id), Member { revision: Revision(*revision), epoch: Epoch(1), stamp: 1 });
                }
                set.touch(9);
                set.etag()
            };
            prop_assert_eq!(set(&a) == set(&b), a == b);
        }
    }

    #[test]
    fn a_reply_on_another_base_changes_nothing() {
        let mut set = CurrentSet::new(Incarnation(1), 0);
        let member = Member {
            revision: Revision(1),
            epoch: Epoch(1),
            stamp: 1,
        };
        set.upsert(CustomerId(1), member);
        let base = set.etag();
        set.upsert(CustomerId(2), Member { stamp: 2, ..member });
        let mut held = Held::default();
        let fault = held.apply(reply(&set, Some(&base))).unwrap_err();
        assert_eq!(fault, DeltaFault::OtherBase { base, held: None });
        assert_eq!(held, Held::default());
    }

    #[test]
    fn an_older_revision_of_the_same_incarnation_is_refused() {
        let mut set = CurrentSet::new(Incarnation(1), 0);
        set.upsert(
            CustomerId(1),
            Member {
                revision: Revision(5),
                epoch: Epoch(1),
                stamp: 5,
            },
        );
        let mut held = Held::default();
        held.apply(reply(&set, None)).unwrap();
        let mut old = CurrentSet::new(Incarnation(1), 0);
        old.upsert(
            CustomerId(1),
            Member {
                revision: Revision(4),
                epoch: Epoch(1),
                stamp: 4,
            },
        );
        assert!(old.proves_a_roll_back(&set.etag()));
        let fault = held.apply(reply(&old, None)).unwrap_err();
        assert!(matches!(fault, DeltaFault::OlderRevision { .. }), "{fault}");
        assert_eq!(held.customers[&CustomerId(1)].revision, Revision(5));
    }
}
