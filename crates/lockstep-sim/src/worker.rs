//! A machine that workers run on: its disk, its clock, and the process that lives there now, if any.

use crate::coordinator::{Coordinator, Refusal};
use crate::pace::Pace;
use jiff::{SignedDuration, Timestamp};
use lockstep_engine::clock::SteadyClock;
use lockstep_engine::stock::stock_mapping;
use lockstep_engine::{CallId, Customer, Event, Opened, Rules};
use lockstep_journal::Journal;
use lockstep_model::cases::Also;
use lockstep_model::entry::{Body, RunResult};
use lockstep_model::{CustomerId, Epoch, Incarnation, Kind, Lane, Revision, RunId, ShopId};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub const CUSTOMER: CustomerId = CustomerId(1);
const SEGMENT_BYTES: usize = 1 << 20;
const RUNS_LOOKED_AT: usize = 20;
const KINDS: [Kind; 4] = [Kind::Category, Kind::Product, Kind::Level, Kind::Order];

pub struct Machine {
    /// `None`: a fresh disk.
    pub journal: Option<Journal>,
    pub process: Option<Process>,
    /// How far its clock is from the one that everybody shares.
    pub clock_ms: i64,
    /// The coordinator cannot be reached from here until then.
    pub cut_off_until: Timestamp,
    /// Nothing happens here until then: suspended, or starved.
    pub paused_until: Timestamp,
    /// Counts processes: events of an earlier one go nowhere.
    pub generation: u64,
    /// The settings that its process was last told.
    pub told: Option<Arc<Rules>>,
    /// Runs by older settings than these go on: everything is due once more when the last of them has ended.
    pub owes_due_again: Option<Revision>,
}

pub struct Process {
    pub customer: Customer,
    pub clock: SteadyClock,
    pub epoch: u64,
    /// Its own end of the lease, on the clock that everybody shares: nobody's clock is asked about that.
    pub deadline: Timestamp,
    /// Lanes whose intents wait for the coordinator.
    pub waiting: BTreeMap<Lane, u64>,
    pub queue: VecDeque<Event>,
    /// Only the last wish to be woken counts.
    pub tick: u64,
    pub pulls: BTreeMap<CallId, (ShopId, Kind)>,
    /// Which shop each call goes to.
    pub places: BTreeMap<CallId, ShopId>,
    /// Shops whose levels the run that trades has read.
    pub levels_read: BTreeSet<ShopId>,
    /// Runs that have begun, with the settings that they go by.
    pub runs: BTreeMap<RunId, Revision>,
    /// Calls that wait, where shops want to be called slowly.
    pub paces: BTreeMap<ShopId, Pace>,
}

/// How an attempt to ship the journal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shipping {
    Done,
    Unreachable,
    Refused(Refusal),
}

impl Machine {
    pub fn new(now: Timestamp) -> Self {
        Self {
            journal: None,
            process: None,
            clock_ms: 0,
            cut_off_until: now,
            paused_until: now,
            generation: 0,
            told: None,
            owes_due_again: None,
        }
    }

    /// What the clock on its wall shows.
    fn wall(&self, now: Timestamp) -> Timestamp {
        now.checked_add(SignedDuration::from_millis(self.clock_ms))
            .unwrap_or(now)
    }

    /// What the clock of its process shows.
    pub fn clock(&mut self, now: Timestamp) -> Timestamp {
        let wall = self.wall(now);
        match &mut self.process {
            Some(process) => process.clock.read(wall, since_ever(now)),
            None => wall,
        }
    }

    /// How far that is from the clock that everybody shares.
    pub fn ahead_ms(&mut self, now: Timestamp) -> i64 {
        let shows = self.clock(now);
        shows.as_millisecond() - now.as_millisecond()
    }

    /// Opens the journal for this epoch: from the disk if its chain is the coordinator's, else from the coordinator.
    pub fn open(&mut self, coordinator: &mut Coordinator, epoch: u64, now: Timestamp) {
        let disk = self.journal.take().and_then(|mut disk| {
            let fits = catch_up(&mut disk, coordinator);
            if !fits {
                throw_away(disk);
                return None;
            }
            Some(disk)
        });
        let journal = match disk {
            Some(disk) => disk,
            None => {
                let mut fresh = fresh_disk();
                if !catch_up(&mut fresh, coordinator) {
                    let what = "the acknowledged journal cannot be restored";
                    coordinator.violations.push(what.into());
                }
                fresh
            }
        };
        let at = self.clock(now);
        let journal = self.journal.insert(journal);
        journal.cut_again().expect("cuts are forgotten");
        journal
            .distrust_staged()
            .expect("what another process read is distrusted");
        let opened = Body::Opened {
            customer: CUSTOMER,
            incarnation: Incarnation(1),
            epoch: Epoch(epoch),
            worker: None,
        };
        let runs = journal.runs(None, RUNS_LOOKED_AT).expect("runs");
        let open = runs.into_iter().filter(|run| run.finished_at.is_none());
        let cut_off = open.map(|run| Body::RunFinished {
            run: run.run,
            result: RunResult::Cancelled,
            counts: run.counts.unwrap_or_default(),
            message: "The worker stopped before this run was over.".into(),
            through: Vec::new(),
        });
        let bodies = std::iter::once(opened).chain(cut_off).collect();
        journal
            .append(at, bodies, Also::default())
            .expect("a newer epoch opens the journal");
    }

    pub fn lose_disk(&mut self) {
        if let Some(disk) = self.journal.take() {
            throw_away(disk);
        }
    }

    pub fn start(&mut self, epoch: u64, deadline: Timestamp, rules: &Arc<Rules>, now: Timestamp) {
        let at = self.wall(now);
        let journal = self.journal.as_mut().expect("it was opened");
        let identities = rules.shops.iter();
        let identities = identities.map(|(shop, rules)| (*shop, rules.identity.clone()));
        let mapping = stock_mapping(&rules.settings, &identities.collect());
        journal.map_stocks(at, mapping).expect("stocks are mapped");
        let counters = journal.counters().expect("counters");
        let mut cursors = BTreeMap::new();
        for shop in rules.shops.keys() {
            for kind in KINDS {
                if let Some(cursor) = journal.cursor(*shop, kind).expect("a cursor") {
                    cursors.insert((*shop, kind), cursor);
                }
            }
        }
        let opened = Opened {
            next_run: counters.run,
            next_record: counters.record,
            next_intent: counters.intent,
            next_conflict: counters.conflict,
            cursors,
            open: journal.open_intents(None, 10_000).expect("open intents"),
            meetings: journal.meetings().expect("meetings"),
            asked_of_levels: journal.asked_of_levels().expect("what is asked"),
            emptied_levels: journal.emptied_levels().expect("what is sold out"),
            asked_of_catalogue: journal.asked_of_catalogue().expect("what is asked"),
        };
        self.generation += 1;
        self.told = Some(Arc::clone(rules));
        self.owes_due_again = None;
        self.process = Some(Process {
            customer: Customer::new(opened, Arc::clone(rules)),
            clock: SteadyClock::new(at, since_ever(now)),
            epoch,
            deadline,
            waiting: BTreeMap::new(),
            queue: VecDeque::new(),
            tick: 0,
            pulls: BTreeMap::new(),
            places: BTreeMap::new(),
            levels_read: BTreeSet::new(),
            runs: BTreeMap::new(),
            paces: BTreeMap::new(),
        });
    }

    pub fn append(&mut self, bodies: Vec<Body>, also: Also, now: Timestamp) {
        let at = self.clock(now);
        let journal = self.journal.as_mut().expect("a process has a journal");
        journal
            .append(at, bodies, also)
            .expect("an append succeeds");
    }

    /// `lost`: the coordinator takes it, and its answer does not arrive.
    pub fn ship(&mut self, coordinator: &mut Coordinator, now: Timestamp, lost: bool) -> Shipping {
        if self.cut_off_until > now {
            return Shipping::Unreachable;
        }
        let Some(journal) = self.journal.as_mut() else {
            return Shipping::Unreachable;
        };
        while let Some(segment) = journal.cut_segment(SEGMENT_BYTES).expect("a segment") {
            match coordinator.take(&segment) {
                Ok(()) if lost => return Shipping::Unreachable,
                Ok(()) => journal
                    .acknowledge(segment.header.sequence, segment.hash)
                    .expect("it is acknowledged"),
                Err(refusal) => return Shipping::Refused(refusal),
            }
        }
        Shipping::Done
    }
}

/// A clock that nobody sets.
pub fn since_ever(now: Timestamp) -> Duration {
    now.duration_since(Timestamp::UNIX_EPOCH).unsigned_abs()
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.lose_disk();
    }
}

thread_local! {
    /// Disks that were thrown away. To wipe one costs a tenth of making its tables and preparing its statements.
    static DISKS: RefCell<Vec<Journal>> = const { RefCell::new(Vec::new()) };
}

fn fresh_disk() -> Journal {
    match DISKS.with_borrow_mut(Vec::pop) {
        Some(disk) => disk.wiped().expect("a disk is wiped"),
        None => Journal::in_memory(CUSTOMER).expect("a journal in memory"),
    }
}

fn throw_away(disk: Journal) {
    DISKS.with_borrow_mut(|disks| disks.push(disk));
}

/// Takes over what the coordinator has beyond this file. False: the two do not fit.
fn catch_up(journal: &mut Journal, coordinator: &Coordinator) -> bool {
    let head = journal.head().expect("a head");
    let known = head.segment.map_or(0, |(sequence, _)| sequence);
    let from = usize::try_from(known)
        .unwrap_or(usize::MAX)
        .min(coordinator.segments.len())
        .saturating_sub(1);
    let missing = &coordinator.segments[from..];
    let Some(last) = missing.last() else {
        return true;
    };
    journal.accept_all(missing).is_ok()
        && journal.acknowledge(last.header.sequence, last.hash).is_ok()
}
