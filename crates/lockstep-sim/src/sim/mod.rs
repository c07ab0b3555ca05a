//! The simulation itself: virtual time, two machines, a coordinator, shops; engine and journal as they are. Replies
//! take a while, get lost, come twice, come late; processes die between any two effects.

mod calls;
mod file;
mod lease;
mod mistaken;
mod process;
mod settings;
mod words;

use crate::coordinator::{Coordinator, later};
use crate::dice::Dice;
use crate::faults::Faults;
use crate::mistakes::Mistake;
use crate::refusals::Refusal;
use crate::shop::SimShop;
use crate::worker::{Machine, Process};
use jiff::Timestamp;
use lockstep_engine::{CallId, Event, Rules};
use lockstep_journal::{ConflictRow, Journal, RecordView};
use lockstep_model::entry::Cause;
use lockstep_model::{Change, Flow, OrderKey, RemoteId, RunId, ShopId, Sku};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A write that its sender gave up is applied within this. With the longest lag of a search, and the time in which
/// a worker may not know that another has taken over, it is less than the engine waits before it believes an absence.
pub const LATE_MS: i64 = 2_000;
pub const SEARCH_LAG_MS: i64 = 2_500;
pub const SETTLES_AFTER_MS: i64 = 10_000;
const LONGEST_PAUSE_MS: i64 = 30_000;
/// From the reading that a write follows from to the write: replies, acknowledgement, the batches before it.
const READ_BEFORE_MS: i64 = 12_000;
const LONGEST_REPLY_MS: i64 = 2_500;
/// Where pages are slow: three times what a write needs to settle.
const SLOWEST_PAGE_MS: i64 = 30_000;
const RENEW_MS: i64 = 4_000;
const SCAN_MS: i64 = 5_000;
const OFFER_MS: i64 = 500;
/// Between two runs of a customer that may not be written for now.
const READ_ONLY_PAUSE_MS: i64 = 10_000;

enum Due {
    Event {
        machine: usize,
        generation: u64,
        event: Box<Event>,
    },
    Tick {
        machine: usize,
        generation: u64,
        tick: u64,
    },
    /// A push that was about to leave when its machine was suspended.
    Push {
        machine: usize,
        generation: u64,
        call: CallId,
        shop: ShopId,
        changes: Vec<Change>,
    },
    /// A call to this shop may leave.
    Turn {
        machine: usize,
        generation: u64,
        shop: ShopId,
    },
    /// The journal is offered to the coordinator.
    Offer {
        machine: usize,
        generation: u64,
    },
    Renew {
        machine: usize,
        generation: u64,
    },
    /// A machine would like to work for the customer.
    Apply(usize),
    /// The coordinator looks for a lease that nobody renews.
    Scan,
    /// A write that arrives after its sender gave it up.
    Late {
        shop: ShopId,
        change: Box<Change>,
    },
}

/// A level that was written at the ERP, or was to be.
#[derive(Debug)]
pub struct ErpWrite {
    pub sku: Sku,
    pub at: Timestamp,
    /// By how much it was to move.
    pub units: i64,
    /// From here on it may have been read for this write.
    pub read_since: Timestamp,
    /// Whoever wrote it was never told what became of it.
    pub unanswered: bool,
}

pub struct Sim {
    pub now: Timestamp,
    pub shops: BTreeMap<ShopId, SimShop>,
    pub dice: Dice,
    pub faults: Faults,
    pub rules: Arc<Rules>,
    pub mistake: Option<Mistake>,
    /// So many calls a second each shop wants; `None`: as they come.
    pub calls_per_second: Option<f64>,
    pub coordinator: Coordinator,
    pub crashes: u64,
    pub effects: u64,
    /// Changes that arrived at a shop's door.
    pub pushes: u64,
    pub erp_writes: Vec<ErpWrite>,
    /// What arrived at a door and nothing durable explains.
    pub unexplained: Vec<String>,
    pub trace: Option<Vec<String>>,
    /// What shops refuse until it is lifted, and when they refused which change.
    pub refusals: Vec<Refusal>,
    pub refused_pushes: BTreeMap<String, Vec<Timestamp>>,
    /// The settings by which nothing is closed.
    pub opened: Rules,
    /// Pages take several times what a write needs to settle.
    pub pages_are_slow: bool,
    /// When a machine took over that may lack the keys of buyers: what it cannot open it cannot compare.
    pub keys_lost_at: Timestamp,
    /// Runs that wrote something of the catalogue, as they ended.
    pub written_runs: Vec<RunId>,
    mistaken: mistaken::Mistaken,
    /// Of the write that leaves now, if it was held up.
    read_since: Timestamp,
    machines: [Machine; 2],
    due: BTreeMap<(Timestamp, u64), Due>,
    counter: u64,
    returned: BTreeMap<(OrderKey, RemoteId), i64>,
}

impl Sim {
    pub fn new(
        shops: BTreeMap<ShopId, SimShop>,
        mut rules: Rules,
        dice: Dice,
        mistake: Option<Mistake>,
        now: Timestamp,
    ) -> Self {
        let opened = rules.clone();
        if let Some(mistake) = mistake {
            mistake.in_rules(&mut rules);
        }
        let mut sim = Self {
            now,
            shops,
            dice,
            faults: Faults::default(),
            rules: Arc::new(rules),
            mistake,
            calls_per_second: None,
            coordinator: Coordinator {
                epochs_unchecked: mistake == Some(Mistake::EpochUnchecked),
                ..Coordinator::default()
            },
            crashes: 0,
            effects: 0,
            pushes: 0,
            erp_writes: Vec::new(),
            unexplained: Vec::new(),
            trace: None,
            refusals: Vec::new(),
            refused_pushes: BTreeMap::new(),
            opened,
            pages_are_slow: false,
            written_runs: Vec::new(),
            keys_lost_at: Timestamp::MIN,
            mistaken: mistaken::Mistaken::default(),
            read_since: Timestamp::MAX,
            machines: [Machine::new(now), Machine::new(now)],
            due: BTreeMap::new(),
            counter: 0,
            returned: BTreeMap::new(),
        };
        sim.apply_for(0);
        sim.at(later(now, SCAN_MS), Due::Scan);
        sim
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{} {}", self.now, line()));
        }
    }

    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        self.note(line);
    }

    fn at(&mut self, at: Timestamp, due: Due) {
        self.counter += 1;
        self.due.insert((at, self.counter), due);
    }

    fn process(&mut self, machine: usize, generation: u64) -> Option<&mut Process> {
        let machine = &mut self.machines[machine];
        if machine.generation != generation {
            return None;
        }
        machine.process.as_mut()
    }

    /// A webhook.
    pub fn wake(&mut self, shop: ShopId, flow: Flow) {
        let Some(machine) = self.holder() else {
            return;
        };
        if self.machines[machine].cut_off_until > self.now {
            return;
        }
        let times = if self.dice.chance(self.faults.duplicated) {
            2
        } else {
            1
        };
        for _ in 0..times {
            let event = Event::Woken {
                flows: vec![(shop, flow)],
                causes: vec![Cause::Wake { shop, flow }],
                everything: false,
            };
            self.reply(machine, event);
        }
    }

    /// Everything is read again.
    pub fn reconcile(&mut self) {
        let Some(machine) = self.holder() else {
            return;
        };
        let shops = self.shops.keys();
        let flows = shops.flat_map(|shop| [(*shop, Flow::Products), (*shop, Flow::Orders)]);
        let event = Event::Woken {
            flows: flows.collect(),
            causes: vec![Cause::Schedule],
            everything: true,
        };
        self.reply(machine, event);
    }

    /// Something happens to a machine, by the dice: its clock is set, it is cut off, or declared gone although it is
    /// not.
    pub fn trouble(&mut self) {
        let now = self.now;
        let machine = self.dice.below(2) as usize;
        if self.dice.chance(self.faults.clock_step) {
            let to = self.dice.between(-120_000, 120_000);
            self.machines[machine].clock_ms = to;
            self.note(|| format!("the clock of machine {machine} is set to be {to} ms ahead"));
            self.tell_right(machine);
        }
        if self.dice.chance(self.faults.cut_off) {
            let for_ms = self.dice.between(1_000, 40_000);
            self.machines[machine].cut_off_until = later(now, for_ms);
            self.note(|| format!("machine {machine} is cut off for {for_ms} ms"));
        }
        if self.dice.chance(self.faults.declared_gone)
            && let Some(holder) = self.holder()
            && self.machines[1 - holder].process.is_none()
            && self.machines[1 - holder].cut_off_until <= now
        {
            self.note(|| format!("machine {holder} is declared gone, and is not"));
            self.grant(1 - holder);
        }
    }

    /// Nothing goes wrong from now on.
    pub fn make_peace(&mut self) {
        self.faults = Faults::default();
        for machine in &mut self.machines {
            machine.cut_off_until = self.now;
            machine.paused_until = self.now;
            machine.clock_ms = 0;
        }
        for machine in 0..self.machines.len() {
            self.tell_right(machine);
        }
    }

    /// Entries of the journal.
    pub fn entries(&self) -> u64 {
        self.journal()
            .map_or(0, |journal| journal.head().expect("a head").seq)
    }

    /// From a reading that a write follows from to the write.
    fn read_before_ms(&self) -> i64 {
        let slow = if self.pages_are_slow { 3 } else { 0 };
        READ_BEFORE_MS + slow * SLOWEST_PAGE_MS
    }

    pub fn journal(&self) -> Option<&Journal> {
        self.machines[self.holder()?].journal.as_ref()
    }

    /// Is this known as one of ours?
    pub fn is_linked(&self, shop: ShopId, id: &RemoteId) -> bool {
        let mut records = self.records().into_iter();
        records.any(|view| view.shops.get(&shop).and_then(|side| side.id.as_ref()) == Some(id))
    }

    /// All records of ours, as far as anybody works for the customer.
    pub fn records(&self) -> Vec<RecordView> {
        self.journal().map_or_else(Vec::new, |journal| {
            let found = journal.search("", None, None, 1_000).expect("a search");
            let views = found
                .iter()
                .map(|found| journal.record_view(found.record).expect("a record"));
            views.flatten().collect()
        })
    }

    /// What waits for a person.
    pub fn conflicts(&self) -> Vec<ConflictRow> {
        let journal = self.journal();
        journal.map_or_else(Vec::new, |journal| {
            journal.conflicts(None, 1_000).expect("conflicts")
        })
    }

    pub fn is_at_rest(&mut self) -> bool {
        let late = self.due.values().any(|due| matches!(due, Due::Late { .. }));
        let holder = self.holder().and_then(|machine| {
            // Nothing is to be looked up or tried again later.
            let clock = self.machines[machine].clock(self.now);
            let process = self.machines[machine].process.as_ref()?;
            let journal = self.machines[machine].journal.as_ref()?;
            let open = journal.open_intents(None, 1_000).expect("open intents");
            let to_look = open
                .iter()
                .any(|open| open.look_at.is_none_or(|at| at > clock));
            let asides = journal.asides(1_000).expect("what stands aside");
            let to_try = asides
                .iter()
                .any(|aside| aside.retry_at.is_some_and(|at| at > clock));
            let idle = process.customer.is_at_rest() && process.waiting.is_empty();
            Some(idle && !to_look && !to_try)
        });
        !late && holder == Some(true)
    }

    /// Lets virtual time go on until then.
    pub fn run_until(&mut self, until: Timestamp) {
        while let Some((at, number)) = self.due.keys().next().copied() {
            if at > until {
                break;
            }
            let Some(due) = self.due.remove(&(at, number)) else {
                break;
            };
            self.now = self.now.max(at);
            self.happen(due);
        }
        self.now = self.now.max(until);
    }

    fn happen(&mut self, due: Due) {
        let now = self.now;
        if let Due::Event { machine, .. }
        | Due::Tick { machine, .. }
        | Due::Push { machine, .. }
        | Due::Turn { machine, .. }
        | Due::Offer { machine, .. }
        | Due::Renew { machine, .. } = &due
        {
            let paused_until = self.machines[*machine].paused_until;
            if paused_until > now {
                self.at(paused_until, due);
                return;
            }
        }
        match due {
            Due::Event {
                machine,
                generation,
                event,
            } => {
                if self.process(machine, generation).is_some() {
                    self.feed(machine, *event);
                }
            }
            Due::Tick {
                machine,
                generation,
                tick,
            } => {
                if self
                    .process(machine, generation)
                    .is_some_and(|process| process.tick == tick)
                {
                    self.feed(machine, Event::Tick);
                }
            }
            Due::Push {
                machine,
                generation,
                call,
                shop,
                changes,
            } => {
                if self.process(machine, generation).is_some() {
                    self.read_since = later(self.now, -self.read_before_ms() - LONGEST_PAUSE_MS);
                    self.push(machine, call, shop, changes);
                    self.read_since = Timestamp::MAX;
                }
            }
            Due::Turn {
                machine,
                generation,
                shop,
            } => {
                if self.process(machine, generation).is_some() {
                    self.let_calls_go(machine, shop);
                }
            }
            Due::Offer {
                machine,
                generation,
            } => {
                if self.process(machine, generation).is_some() {
                    self.offer(machine);
                }
            }
            Due::Renew {
                machine,
                generation,
            } => self.renew(machine, generation),
            Due::Apply(machine) => self.apply_for(machine),
            Due::Scan => {
                self.at(later(now, SCAN_MS), Due::Scan);
                let other = 1 - self.coordinator.owner;
                let is_free = self.machines[other].process.is_none()
                    && self.machines[other].cut_off_until <= now
                    && self.coordinator.may_grant(other, now);
                if is_free {
                    self.grant(other);
                }
            }
            Due::Late { shop, change } => {
                self.note(|| format!("late at shop {shop}: {change:?}"));
                let is_refused = self.refused(shop, &change).is_some();
                if let (false, Some(shop)) = (is_refused, self.shops.get_mut(&shop)) {
                    shop.apply(&change, now);
                }
            }
        }
    }
}
