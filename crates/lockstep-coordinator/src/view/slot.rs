//! One worker, as polls see it.

use crate::bounds::{PARKED_POLLS_PER_WORKER_MAX, SESSION_TTL};
use http::HeaderValue;
use lockstep_model::{Incarnation, WorkerId};
use lockstep_protocol::{Etag, InstanceId, delta::CurrentSet};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::SystemTime,
};
use tokio::sync::watch;

pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// The version of a worker's settings, ready to be compared with a header and to be sent as one.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    pub etag: Etag,
    pub header: HeaderValue,
}

impl Version {
    fn of(etag: Etag) -> Self {
        let header = HeaderValue::from_str(&etag.quoted()).unwrap_or(HeaderValue::from_static(""));
        Version { etag, header }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Active,
    Draining,
    Suspended,
    Gone,
}

/// May this process be the worker?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is the one that was there.
    Known,
    /// None was there, or an earlier start of the same folder, or one that has not been heard of for long.
    New,
    /// Another one lives.
    Duplicate,
}

/// What the database says of the worker.
#[derive(Debug, Clone)]
struct Described {
    standing: Standing,
    name: String,
    platforms: Vec<String>,
}

pub struct Slot {
    pub id: WorkerId,
    version: watch::Sender<Version>,
    set: Mutex<CurrentSet>,
    described: RwLock<Described>,
    instance: RwLock<Option<(HeaderValue, InstanceId)>>,
    seen_ms: AtomicU64,
    renewed_ms: AtomicU64,
    comes_by: AtomicBool,
    parked: AtomicUsize,
    /// The last report's number; 0: none yet.
    report: AtomicU64,
}

/// A poll that waits; it counts as a sign of life for as long as it does.
pub struct Parked(Arc<Slot>);

impl Slot {
    pub fn new(id: WorkerId, standing: Standing, set: CurrentSet) -> Self {
        Slot {
            id,
            version: watch::Sender::new(Version::of(set.etag())),
            set: Mutex::new(set),
            described: RwLock::new(Described {
                standing,
                name: String::new(),
                platforms: Vec::new(),
            }),
            instance: RwLock::new(None),
            seen_ms: AtomicU64::new(0),
            renewed_ms: AtomicU64::new(0),
            comes_by: AtomicBool::new(false),
            parked: AtomicUsize::new(0),
            report: AtomicU64::new(0),
        }
    }

    fn described(&self) -> RwLockReadGuard<'_, Described> {
        self.described
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub fn standing(&self) -> Standing {
        self.described().standing
    }

    pub fn name(&self) -> String {
        self.described().name.clone()
    }

    /// Has it this platform's connector?
    pub fn speaks(&self, platform: &str) -> bool {
        self.described()
            .platforms
            .iter()
            .any(|known| known == platform)
    }

    pub fn describe(&self, standing: Standing, name: &str, platforms: &[String]) {
        let described = Described {
            standing,
            name: name.to_owned(),
            platforms: platforms.to_vec(),
        };
        *self
            .described
            .write()
            .unwrap_or_else(PoisonError::into_inner) = described;
    }

    /// Lets the polls that wait look again at whether they may.
    pub fn poke(&self) {
        self.version.send_modify(|_| {});
    }

    /// Changes the set and wakes the polls that wait, if its version moved.
    pub fn change(&self, change: impl FnOnce(&mut CurrentSet)) {
        let etag = {
            let mut set = self.set();
            change(&mut set);
            set.etag()
        };
        self.version.send_if_modified(|version| {
            let moved = version.etag != etag;
            if moved {
                *version = Version::of(etag);
            }
            moved
        });
    }

    /// The same customers, in a new incarnation of the database.
    pub fn renew(&self, incarnation: Incarnation, seen: u64) {
        self.change(|set| {
            let mut renewed = CurrentSet::new(incarnation, seen);
            for (id, member) in set.members() {
                renewed.upsert(*id, *member);
            }
            *set = renewed;
        });
    }

    pub fn set(&self) -> MutexGuard<'_, CurrentSet> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn watch(&self) -> watch::Receiver<Version> {
        self.version.subscribe()
    }

    /// The header to answer 304 with, if this is the version that the worker has.
    pub fn unchanged(&self, if_none_match: &[u8]) -> Option<HeaderValue> {
        let version = self.version.borrow();
        (version.header.as_bytes() == if_none_match).then(|| version.header.clone())
    }

    /// Is this the process that was there? The one comparison of each poll.
    pub fn is_instance(&self, header: &HeaderValue) -> bool {
        let instance = self.instance.read().unwrap_or_else(PoisonError::into_inner);
        instance.as_ref().is_some_and(|(known, _)| known == header)
    }

    pub fn instance(&self) -> Option<InstanceId> {
        let instance = self.instance.read().unwrap_or_else(PoisonError::into_inner);
        instance.as_ref().map(|(_, id)| id.clone())
    }

    /// What a process that shows this instance may be.
    pub fn claim(&self, instance: &InstanceId) -> Claim {
        match self.instance() {
            Some(known) if known == *instance => Claim::Known,
            Some(known) if !instance.succeeds(&known) && self.is_live() => Claim::Duplicate,
            _ => Claim::New,
        }
    }

    /// From now on this is the process, unless another lives.
    pub fn begin(&self, instance: InstanceId) -> bool {
        let Ok(header) = HeaderValue::from_str(&instance.to_string()) else {
            return false;
        };
        let mut known = self
            .instance
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = known.as_ref()
            && *known != instance
            && !instance.succeeds(known)
            && self.is_live()
        {
            return false;
        }
        *known = Some((header, instance));
        drop(known);
        self.touch();
        // Polls of an earlier process that still wait are told.
        self.poke();
        true
    }

    /// Takes note of a report's number. True: one is missing, and the next has to be full.
    pub fn reported(&self, seq: u64, full: bool) -> bool {
        let last = self.report.swap(seq, Ordering::AcqRel);
        !full && seq != last.wrapping_add(1)
    }

    pub fn touch(&self) {
        self.seen_ms.store(now_ms(), Ordering::Relaxed);
    }

    /// Its last call, whatever waits; 0: none yet.
    pub fn called_ms(&self) -> u64 {
        self.seen_ms.load(Ordering::Relaxed)
    }

    /// Its lease was renewed, durably. `comes_by`: it does one round now and then.
    pub fn renewed(&self, comes_by: bool) {
        self.renewed_ms.store(now_ms(), Ordering::Relaxed);
        self.comes_by.store(comes_by, Ordering::Relaxed);
    }

    pub fn comes_by(&self) -> bool {
        self.comes_by.load(Ordering::Relaxed)
    }

    pub fn renewed_ms(&self) -> u64 {
        self.renewed_ms.load(Ordering::Relaxed)
    }

    pub fn platforms(&self) -> Vec<String> {
        self.described().platforms.clone()
    }

    pub fn seen_ms(&self) -> u64 {
        if self.parked.load(Ordering::Relaxed) > 0 {
            return now_ms();
        }
        self.seen_ms.load(Ordering::Relaxed)
    }

    /// Heard of within the TTL, or a poll of it waits.
    pub fn is_live(&self) -> bool {
        u128::from(now_ms().saturating_sub(self.seen_ms())) <= SESSION_TTL.as_millis()
    }

    /// None: too many of this worker wait already.
    pub fn park(self: &Arc<Self>) -> Option<Parked> {
        let before = self.parked.fetch_add(1, Ordering::Relaxed);
        let parked = Parked(self.clone());
        (before < PARKED_POLLS_PER_WORKER_MAX).then_some(parked)
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        self.0.touch();
        self.0.parked.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::{CustomerId, Epoch, Incarnation, Revision};
    use lockstep_protocol::delta::Member;

    fn slot() -> Arc<Slot> {
        let set = CurrentSet::new(Incarnation(1), 0);
        Arc::new(Slot::new(WorkerId(1), Standing::Active, set))
    }

    fn instance(text: &str) -> InstanceId {
        InstanceId::parse(text).unwrap()
    }

    #[test]
    fn a_change_of_the_set_wakes_and_one_of_nothing_does_not() {
        let slot = slot();
        let mut watch = slot.watch();
        slot.change(|_| {});
        assert!(!watch.has_changed().unwrap());
        let member = Member {
            revision: Revision(1),
            epoch: Epoch(1),
            stamp: 4,
        };
        slot.change(|set| set.upsert(CustomerId(1), member));
        assert!(watch.has_changed().unwrap());
        let header = watch.borrow_and_update().header.clone();
        assert!(slot.unchanged(header.as_bytes()).is_some());
        assert!(slot.unchanged(b"\"1.0.0000000000000000\"").is_none());
    }

    #[test]
    fn a_later_start_replaces_and_another_machine_waits_for_the_first_to_lapse() {
        let slot = slot();
        assert_eq!(slot.claim(&instance("b.f.1")), Claim::New);
        assert!(slot.begin(instance("b.f.1")));
        assert_eq!(slot.claim(&instance("b.f.1")), Claim::Known);
        assert_eq!(slot.claim(&instance("b.f.2")), Claim::New);
        assert_eq!(slot.claim(&instance("other.f.2")), Claim::Duplicate);
        assert!(!slot.begin(instance("other.f.2")));
        slot.seen_ms.store(0, Ordering::Relaxed);
        assert_eq!(slot.claim(&instance("other.f.2")), Claim::New);
        let _parked = slot.park();
        assert_eq!(slot.claim(&instance("other.f.2")), Claim::Duplicate);
    }
}
