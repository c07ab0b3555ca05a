//! The simulation itself: virtual time, two machines, a coordinator, shops; engine and journal as they are. Replies
//! take a while, get lost, come twice, come late; processes die between any two effects.

use crate::coordinator::{Coordinator, LEASE_MS, OWN_MARGIN_MS, later};
use crate::dice::Dice;
use crate::door::push_of;
use crate::faults::Faults;
use crate::mistakes::Mistake;
use crate::pace::{Next as Turned, Pace, shop_of};
use crate::scenario::ERP;
use crate::shop::SimShop;
use crate::worker::{Machine, Process, Shipping, since_ever};
use jiff::Timestamp;
use lockstep_engine::{CallId, Effect, Event, Rules};
use lockstep_journal::{ConflictRow, Journal, PlanRow};
use lockstep_model::cases::Also;
use lockstep_model::entry::{Body, Cause, Subject, What};
use lockstep_model::{
    Change, Fault, FaultKind, Flow, Kind, Lane, Next, OrderKey, OrderStep, Outcome, RemoteId,
    ShopId, Sku,
};
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
    /// Of the write that leaves now, if it was held up.
    read_since: Timestamp,
    machines: [Machine; 2],
    due: BTreeMap<(Timestamp, u64), Due>,
    counter: u64,
    returned: BTreeMap<OrderKey, i64>,
}

impl Sim {
    pub fn new(
        shops: BTreeMap<ShopId, SimShop>,
        mut rules: Rules,
        dice: Dice,
        mistake: Option<Mistake>,
        now: Timestamp,
    ) -> Self {
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

    /// The machine of the process that holds the newest epoch.
    fn holder(&self) -> Option<usize> {
        (0..self.machines.len()).find(|machine| {
            let process = self.machines[*machine].process.as_ref();
            process.is_some_and(|process| process.epoch == self.coordinator.epoch)
        })
    }

    fn apply_for(&mut self, machine: usize) {
        let now = self.now;
        if self.machines[machine].process.is_some() {
            return;
        }
        let cut_off = self.machines[machine].cut_off_until > now;
        if cut_off || !self.coordinator.may_grant(machine, now) {
            self.at(later(now, RENEW_MS), Due::Apply(machine));
            return;
        }
        self.grant(machine);
    }

    fn grant(&mut self, machine: usize) {
        let now = self.now;
        let epoch = self.coordinator.grant(machine, now);
        self.note(|| format!("machine {machine} holds the customer under epoch {epoch}"));
        self.machines[machine].open(&mut self.coordinator, epoch, now);
        let deadline = later(now, LEASE_MS - OWN_MARGIN_MS);
        self.machines[machine].start(epoch, deadline, &self.rules, now);
        let generation = self.machines[machine].generation;
        self.at(
            later(now, RENEW_MS),
            Due::Renew {
                machine,
                generation,
            },
        );
        self.tell_right(machine);
    }

    fn tell_right(&mut self, machine: usize) {
        let ahead_ms = self.machines[machine].ahead_ms(self.now);
        if let Some(process) = &self.machines[machine].process {
            let until = later(process.deadline, ahead_ms);
            self.feed(machine, Event::WritesUntil(Some(until)));
        }
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

    pub fn journal(&self) -> Option<&Journal> {
        self.machines[self.holder()?].journal.as_ref()
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
                    self.read_since = later(self.now, -READ_BEFORE_MS - LONGEST_PAUSE_MS);
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
                if let Some(shop) = self.shops.get_mut(&shop) {
                    shop.apply(&change, now);
                }
            }
        }
    }

    fn renew(&mut self, machine: usize, generation: u64) {
        let now = self.now;
        let cut_off = self.machines[machine].cut_off_until > now;
        let Some(epoch) = self
            .process(machine, generation)
            .map(|process| process.epoch)
        else {
            return;
        };
        let renewed = if cut_off {
            None
        } else {
            Some(self.coordinator.renew(epoch, now))
        };
        let Some(process) = self.process(machine, generation) else {
            return;
        };
        if let Some(renewed) = renewed {
            match renewed {
                Some(until) => process.deadline = later(until, -OWN_MARGIN_MS),
                None => {
                    self.stop(machine, "its lease is another's");
                    return;
                }
            }
        } else if process.deadline <= now {
            self.give_up_waiting(machine);
        }
        self.at(
            later(now, RENEW_MS),
            Due::Renew {
                machine,
                generation,
            },
        );
        self.tell_right(machine);
    }

    /// The process ends; its machine would like to work again.
    fn stop(&mut self, machine: usize, why: &str) {
        self.machines[machine].process = None;
        self.forget_replies();
        self.note(|| format!("machine {machine} stops: {why}"));
        self.at(later(self.now, RENEW_MS), Due::Apply(machine));
    }

    fn crash(&mut self, machine: usize) {
        self.crashes += 1;
        self.machines[machine].process = None;
        self.forget_replies();
        let disk_lost = self.dice.chance(self.faults.disk_lost);
        if disk_lost {
            self.machines[machine].lose_disk();
        }
        let delay = self.dice.between(100, 8_000);
        self.note(|| format!("machine {machine} crashes, disk lost: {disk_lost}"));
        self.at(later(self.now, delay), Due::Apply(machine));
    }

    /// Replies on their way to a process that is gone are heard by nobody.
    fn forget_replies(&mut self) {
        let since = later(self.now, -LONGEST_REPLY_MS);
        for write in self.erp_writes.iter_mut().filter(|write| write.at >= since) {
            write.unanswered = true;
        }
    }

    fn give_up_waiting(&mut self, machine: usize) {
        let Some(process) = &mut self.machines[machine].process else {
            return;
        };
        let lanes: Vec<Lane> = std::mem::take(&mut process.waiting).into_keys().collect();
        for lane in lanes {
            let reason = "the coordinator did not acknowledge the journal in time".into();
            self.feed(machine, Event::NotDurable { lane, reason });
        }
    }

    /// Offers the journal; what waited for it goes on once it is taken.
    fn offer(&mut self, machine: usize) {
        let lost = self.dice.chance(self.faults.acknowledgement_lost);
        let now = self.now;
        let shipped = self.machines[machine].ship(&mut self.coordinator, now, lost);
        match shipped {
            Shipping::Done => {
                let Some(process) = &mut self.machines[machine].process else {
                    return;
                };
                let lanes: Vec<Lane> = std::mem::take(&mut process.waiting).into_keys().collect();
                for lane in lanes {
                    self.feed(machine, Event::Durable { lane });
                }
            }
            Shipping::Unreachable => {
                let process = self.machines[machine].process.as_ref();
                if process.is_some_and(|process| !process.waiting.is_empty()) {
                    let generation = self.machines[machine].generation;
                    self.at(
                        later(now, OFFER_MS),
                        Due::Offer {
                            machine,
                            generation,
                        },
                    );
                }
            }
            Shipping::Refused(refusal) => {
                self.stop(machine, &format!("its journal is refused: {refusal:?}"));
            }
        }
    }

    fn reply(&mut self, machine: usize, event: Event) {
        let delay = if self.dice.chance(self.faults.slow) {
            self.dice.between(200, LONGEST_REPLY_MS)
        } else {
            self.dice.between(1, 60)
        };
        let generation = self.machines[machine].generation;
        if self.dice.chance(self.faults.duplicated)
            && let Some(twin) = twin(&event)
        {
            let delay = self.dice.between(1, 500);
            self.at(
                later(self.now, delay),
                Due::Event {
                    machine,
                    generation,
                    event: Box::new(twin),
                },
            );
        }
        self.at(
            later(self.now, delay),
            Due::Event {
                machine,
                generation,
                event: Box::new(event),
            },
        );
    }

    /// Tells the engine, and performs what it asks for: effects of one event in order, then what the file answered.
    fn feed(&mut self, machine: usize, event: Event) {
        let generation = self.machines[machine].generation;
        let Some(process) = &mut self.machines[machine].process else {
            return;
        };
        process.queue.push_back(event);
        loop {
            let at = self.machines[machine].clock(self.now);
            let Some(process) = self.process(machine, generation) else {
                return;
            };
            let Some(mut event) = process.queue.pop_front() else {
                return;
            };
            self.make_mistakes(machine, &mut event);
            let Some(process) = self.process(machine, generation) else {
                return;
            };
            for effect in process.customer.on(event, at) {
                self.effects += 1;
                if self.dice.below(10_000) < self.faults.crash {
                    self.crash(machine);
                    return;
                }
                let answer = self.perform(machine, effect);
                let Some(process) = self.process(machine, generation) else {
                    return;
                };
                process.queue.extend(answer);
            }
        }
    }

    fn make_mistakes(&mut self, machine: usize, event: &mut Event) {
        let Some(mistake) = self.mistake else {
            return;
        };
        mistake.in_event(event);
        if mistake == Mistake::CursorBeforeCommit
            && let Event::Pulled {
                call,
                result: Ok(page),
            } = event
            && let Next::End(Some(cursor)) = &page.next
            && let Some(process) = &self.machines[machine].process
            && let Some((shop, kind)) = process.pulls.get(call).copied()
        {
            let cursor = cursor.clone();
            let moved = Body::CursorMoved { shop, kind, cursor };
            self.machines[machine].append(vec![moved], Default::default(), self.now);
            self.machines[machine].ship(&mut self.coordinator, self.now, false);
        }
    }

    fn append(&mut self, machine: usize, mut bodies: Vec<Body>, also: Also) {
        if let Some(mistake) = self.mistake {
            mistake.in_entries(&mut bodies, &mut self.returned);
        }
        for body in &bodies {
            if let Body::Intended {
                shop: ERP,
                subject: Subject::Level { sku, .. },
                what:
                    What::Level {
                        target,
                        was_available,
                        ..
                    },
                ..
            } = body
            {
                self.erp_writes.push(ErpWrite {
                    sku: sku.clone(),
                    at: self.now,
                    read_since: self.now,
                    units: (*target - *was_available).try_into().unwrap_or_default(),
                    unanswered: true,
                });
            }
        }
        if self.trace.is_some() {
            for body in &bodies {
                self.note(|| format!("  entry: {}", in_short(body)));
            }
        }
        self.machines[machine].append(bodies, also, self.now);
    }

    /// What the file answers comes back at once; what shops answer comes later.
    fn perform(&mut self, machine: usize, effect: Effect) -> Option<Event> {
        let now = self.now;
        let clock = self.machines[machine].clock(now);
        let generation = self.machines[machine].generation;
        match effect {
            Effect::Append { bodies, also } => {
                self.append(machine, bodies, also);
                None
            }
            Effect::Intend { lane, bodies, also } => {
                self.append(machine, bodies, also);
                let offer_after = if self.dice.chance(70) {
                    0
                } else {
                    self.dice.between(1, 400)
                };
                self.at(
                    later(now, offer_after),
                    Due::Offer {
                        machine,
                        generation,
                    },
                );
                if self.mistake == Some(Mistake::IntentNotAcknowledged) {
                    return Some(Event::Durable { lane });
                }
                let process = self.process(machine, generation)?;
                if process.deadline <= now {
                    let reason = "there is no right to write now".into();
                    return Some(Event::NotDurable { lane, reason });
                }
                process.waiting.insert(lane, 0);
                None
            }
            Effect::Pull { .. } | Effect::Find { .. } | Effect::Push { .. } => {
                self.call(machine, effect);
                None
            }
            Effect::WaitUntil(at) => {
                let ahead_ms = self.machines[machine].ahead_ms(now);
                let mut at = later(at, -ahead_ms).max(later(now, 1));
                let process = self.process(machine, generation)?;
                if process.deadline <= now {
                    at = at.max(later(now, READ_ONLY_PAUSE_MS));
                }
                process.tick += 1;
                let tick = process.tick;
                self.at(
                    at,
                    Due::Tick {
                        machine,
                        generation,
                        tick,
                    },
                );
                None
            }
            Effect::Finished {
                run,
                lane,
                result,
                message,
                ..
            } => {
                self.note(|| format!("run {run} {lane} {result:?} {message}"));
                self.at(
                    now,
                    Due::Offer {
                        machine,
                        generation,
                    },
                );
                None
            }
            Effect::Planned { .. }
            | Effect::Applying { .. }
            | Effect::Undoing { .. }
            | Effect::UndoShown { .. } => None,
            Effect::Stage { .. }
            | Effect::LoadCatalogue { .. }
            | Effect::LoadRecords { .. }
            | Effect::LoadUndo { .. }
            | Effect::LoadOrders { .. }
            | Effect::LoadStock { .. }
            | Effect::LoadClosing { .. }
            | Effect::ReadAgainList { .. }
            | Effect::SavePlan { .. }
            | Effect::LoadPlan { .. }
            | Effect::DropPlan { .. } => {
                let journal = self.machines[machine].journal.as_mut()?;
                ask_file(journal, effect, clock)
            }
        }
    }

    /// A call leaves, or waits for its turn.
    fn call(&mut self, machine: usize, call: Effect) {
        let (Some(per_second), Some(shop)) = (self.calls_per_second, shop_of(&call)) else {
            self.leave(machine, call);
            return;
        };
        let now = since_ever(self.now);
        let Some(process) = &mut self.machines[machine].process else {
            return;
        };
        let pace = process
            .paces
            .entry(shop)
            .or_insert_with(|| Pace::new(per_second, now));
        pace.wait(call);
        self.let_calls_go(machine, shop);
    }

    fn pace(&mut self, machine: usize, shop: ShopId) -> Option<&mut Pace> {
        let process = self.machines[machine].process.as_mut()?;
        process.paces.get_mut(&shop)
    }

    fn let_calls_go(&mut self, machine: usize, shop: ShopId) {
        let now = since_ever(self.now);
        while let Some(pace) = self.pace(machine, shop) {
            match pace.next(now) {
                Turned::Call(call) => {
                    if pace.is_too_fast(now) {
                        let what = format!("shop {shop} is called faster than it wants");
                        self.unexplained.push(what);
                    }
                    self.leave(machine, call);
                }
                Turned::At(at) => {
                    let wait = at.saturating_sub(now).as_millis().max(1);
                    let generation = self.machines[machine].generation;
                    let turn = Due::Turn {
                        machine,
                        generation,
                        shop,
                    };
                    self.at(later(self.now, i64::try_from(wait).unwrap_or(1) + 1), turn);
                    return;
                }
                Turned::Nothing => return,
            }
        }
    }

    fn heard<T>(&mut self, machine: usize, shop: ShopId, result: &Result<T, Fault>) {
        let now = since_ever(self.now);
        if let Some(pace) = self.pace(machine, shop) {
            pace.heard(result.as_ref().err(), now);
        }
    }

    fn leave(&mut self, machine: usize, call: Effect) {
        let now = self.now;
        let clock = self.machines[machine].clock(now);
        let generation = self.machines[machine].generation;
        match call {
            Effect::Pull {
                call,
                shop,
                request,
            } => {
                if self.mistake.is_some() {
                    let Some(process) = self.process(machine, generation) else {
                        return;
                    };
                    process.pulls.insert(call, (shop, request.kind));
                }
                let fault = self.faults.of_a_read(&mut self.dice, clock);
                let result = match fault {
                    Some(fault) => Err(fault),
                    None => Ok(self.shops[&shop].pull(&request)),
                };
                self.heard(machine, shop, &result);
                self.reply(machine, Event::Pulled { call, result });
            }
            Effect::Find { call, shop, key } => {
                let fault = self.faults.of_a_read(&mut self.dice, clock);
                let result = match fault {
                    Some(fault) => Err(fault),
                    None => Ok(self.shops[&shop].find(&key, now)),
                };
                self.note(|| {
                    let found = result.as_ref().map(Vec::len);
                    format!("found {found:?} of {key:?} in shop {shop}")
                });
                self.heard(machine, shop, &result);
                self.reply(machine, Event::Found { call, result });
            }
            Effect::Push {
                call,
                shop,
                changes,
            } => {
                if self.dice.chance(self.faults.paused) {
                    let until = later(now, self.dice.between(1_000, LONGEST_PAUSE_MS));
                    self.machines[machine].paused_until = until;
                    self.forget_replies();
                    self.note(|| format!("machine {machine} is suspended until {until}"));
                    self.at(
                        until,
                        Due::Push {
                            machine,
                            generation,
                            call,
                            shop,
                            changes,
                        },
                    );
                } else {
                    self.push(machine, call, shop, changes);
                }
            }
            other => unreachable!("no call to a shop: {other:?}"),
        }
    }

    /// A batch leaves, if the process may still write.
    fn push(&mut self, machine: usize, call: CallId, shop: ShopId, changes: Vec<Change>) {
        let now = self.now;
        let clock = self.machines[machine].clock(now);
        let Some(process) = &self.machines[machine].process else {
            return;
        };
        let refused = if process.deadline <= now {
            Some(Fault::new(
                FaultKind::Unavailable,
                "the right to write ran out",
            ))
        } else {
            self.faults.of_a_write(&mut self.dice, clock)
        };
        if let Some(fault) = refused {
            self.note(|| format!("not sent to {shop}: {fault}"));
            let result = Err(fault);
            self.heard(machine, shop, &result);
            self.reply(machine, Event::Pushed { call, result });
            return;
        }
        let lost = |changes: &[Change]| -> Vec<Outcome> {
            let fault = || Fault::new(FaultKind::UnknownOutcome, "the answer was lost");
            changes.iter().map(|_| Outcome::Failed(fault())).collect()
        };
        let outcomes = if self.dice.chance(self.faults.applied_late) {
            let at = later(now, self.dice.between(1, LATE_MS));
            let outcomes = lost(&changes);
            for change in changes {
                self.repeat_by_mistake(shop, &change);
                self.note(|| format!("to shop {shop}, and arrives late: {change:?}"));
                if let Some(change) = self.arrives(shop, change, true) {
                    let change = Box::new(change);
                    self.at(at, Due::Late { shop, change });
                }
            }
            outcomes
        } else if self.dice.chance(self.faults.never_arrives) {
            let outcomes = lost(&changes);
            for change in changes {
                self.repeat_by_mistake(shop, &change);
                self.note(|| format!("to shop {shop}, and never arrives: {change:?}"));
                self.arrives(shop, change, true);
            }
            outcomes
        } else {
            let lose = self.dice.chance(self.faults.lost_reply);
            let unknown = lost(&changes);
            let mut outcomes = Vec::new();
            for change in changes {
                if lose {
                    self.repeat_by_mistake(shop, &change);
                }
                self.note(|| format!("to shop {shop}, reply lost {lose}: {change:?}"));
                let arrived = self.arrives(shop, change, lose);
                if let (Some(change), Some(shop)) = (arrived, self.shops.get_mut(&shop)) {
                    outcomes.push(shop.apply(&change, now));
                }
            }
            if lose { unknown } else { outcomes }
        };
        let result = Ok(outcomes);
        self.heard(machine, shop, &result);
        self.reply(machine, Event::Pushed { call, result });
    }

    /// Holds a change against the acknowledged intents; then it is the connector's.
    fn arrives(&mut self, shop: ShopId, mut change: Change, lost: bool) -> Option<Change> {
        self.pushes += 1;
        let at = self.shops.get_mut(&shop)?;
        let push = push_of(at, &change);
        match self.coordinator.intents.get_mut(&push) {
            Some(left) if *left > 0 => *left -= 1,
            _ => self
                .unexplained
                .push(format!("no acknowledged intent explains a push: {push}")),
        }
        if let Change::SetLevel { was, on_hand, .. } = &change
            && shop == ERP
        {
            // The last that was meant of this SKU is this one.
            let known = self.erp_writes.iter().rposition(|write| {
                write.sku == was.sku && write.unanswered && write.read_since == write.at
            });
            if let Some(known) = known {
                self.erp_writes.remove(known);
            }
            self.erp_writes.push(ErpWrite {
                sku: was.sku.clone(),
                at: self.now,
                read_since: self.read_since.min(later(self.now, -READ_BEFORE_MS)),
                units: (*on_hand - was.on_hand).try_into().unwrap_or_default(),
                unanswered: lost,
            });
        }
        if let Some(mistake) = self.mistake {
            mistake.in_change(&mut change);
            if mistake == Mistake::CancelGivenBackTwice
                && let Change::StepOrder {
                    id,
                    step: OrderStep::Cancel,
                } = &change
                && let Some(order) = at.orders.get(id).cloned()
                && !order.shipped
                && !order.cancelled
            {
                at.move_on_hand(&order.sku, order.quantity);
            }
        }
        Some(change)
    }

    /// What a client does that repeats whatever got no answer.
    fn repeat_by_mistake(&mut self, shop: ShopId, change: &Change) {
        if self.mistake == Some(Mistake::StockWriteRepeated)
            && let Change::SetLevel { .. } = change
        {
            let at = later(self.now, self.dice.between(500, 4_000));
            let change = Box::new(change.clone());
            self.at(at, Due::Late { shop, change });
        }
    }
}

/// What a trace tells of an entry.
fn in_short(body: &Body) -> String {
    match body {
        Body::LevelSeen {
            shop, level, taken, ..
        } => format!(
            "level {} of shop {shop}: {} less {}, taken {taken}",
            level.sku, level.on_hand, level.reserved
        ),
        Body::OrderSeen { shop, order, .. } => format!("order {order} as in shop {shop}"),
        Body::Merged(merged) => format!("record {} {:?}", merged.record, merged.keys),
        other => format!("{other:?}"),
    }
}

/// The same reply once more.
fn twin(event: &Event) -> Option<Event> {
    Some(match event {
        Event::Pulled { call, result } => Event::Pulled {
            call: *call,
            result: result.clone(),
        },
        Event::Pushed { call, result } => Event::Pushed {
            call: *call,
            result: result.clone(),
        },
        Event::Found { call, result } => Event::Found {
            call: *call,
            result: result.clone(),
        },
        _ => return None,
    })
}

fn ask_file(journal: &mut Journal, effect: Effect, clock: Timestamp) -> Option<Event> {
    Some(match effect {
        Effect::Stage {
            lane,
            shop,
            records,
            ..
        } => {
            let summary = journal.stage(shop, records).expect("a page is staged");
            Event::Staged {
                lane,
                shop,
                changed: summary.changed,
            }
        }
        // The root category of our own is asked for by settings that are not simulated.
        Effect::LoadUndo { run, after, limit } => Event::UndoLoaded(
            journal
                .load_undo(run, after, limit)
                .expect("what a run wrote is loaded"),
        ),
        Effect::LoadRecords { records, root } => Event::CatalogueLoaded(
            journal
                .load_records(&records, root.as_ref(), clock)
                .expect("what a run wrote is loaded"),
        ),
        Effect::LoadCatalogue {
            kind,
            after,
            limit,
            root: _,
        } => Event::CatalogueLoaded(
            journal
                .load_catalogue(kind, after.as_deref(), limit, clock)
                .expect("a chunk is loaded"),
        ),
        Effect::LoadOrders {
            after,
            limit,
            receivers,
        } => Event::OrdersLoaded(
            journal
                .load_orders(after.as_ref(), limit, clock, &receivers)
                .expect("orders are loaded"),
        ),
        Effect::LoadStock {
            after,
            limit,
            count,
        } => Event::StockLoaded(
            journal
                .load_stock(after.as_ref(), limit, count)
                .expect("levels are loaded"),
        ),
        Effect::LoadClosing {
            after,
            before,
            limit,
        } => Event::ClosingLoaded(
            journal
                .load_closing(after.as_ref(), before, limit)
                .expect("orders that are over are loaded"),
        ),
        Effect::ReadAgainList {
            lane,
            shop,
            kind,
            limit,
        } => {
            let ids = match kind {
                Kind::Level => {
                    let skus = journal.skus_to_read(shop, None, limit);
                    let skus = skus.expect("levels to read");
                    skus.into_iter().map(|sku| RemoteId(sku.0)).collect()
                }
                Kind::Order => {
                    let orders = journal.orders_to_read(shop, None, limit);
                    let orders = orders.expect("orders to read");
                    orders.into_iter().filter_map(|order| order.id).collect()
                }
                Kind::Product | Kind::Category => journal
                    .records_to_read(shop, kind, None, limit)
                    .expect("records to read"),
            };
            Event::ReadAgain {
                lane,
                shop,
                kind,
                ids,
            }
        }
        Effect::SavePlan { run, rows } => {
            let rows: Vec<PlanRow> = rows
                .into_iter()
                .map(|(ord, decision)| PlanRow {
                    ord,
                    body: serde_json::to_string(&decision).expect("a plan's row"),
                })
                .collect();
            journal.save_plan(run, &rows).expect("a plan is saved");
            return None;
        }
        Effect::LoadPlan { run, after, limit } => {
            let rows = journal.load_plan(run, after, limit);
            let rows = rows.expect("a plan is loaded").into_iter().map(|row| {
                let decision = serde_json::from_str(&row.body);
                (row.ord, decision.expect("a plan's row is whole"))
            });
            Event::PlanLoaded {
                rows: rows.collect(),
            }
        }
        Effect::DropPlan { run } => {
            journal.clear_plan(run).expect("a plan is dropped");
            return None;
        }
        _ => return None,
    })
}
