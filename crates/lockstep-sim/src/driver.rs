//! Performs the engine's effects against made-up shops on virtual time: replies take a while, get lost, are applied
//! late; the process dies between any two effects and comes back from its disk, or from what was shipped.

use crate::dice::Dice;
use crate::shop::SimShop;
use jiff::{SignedDuration, Timestamp};
use lockstep_engine::{Customer, Effect, Event, Opened, Rules};
use lockstep_journal::{ConflictRow, Journal, PlanRow, Segment};
use lockstep_model::cases::Consumed;
use lockstep_model::entry::{Body, Cause, StockMapping};
use lockstep_model::{
    Change, CustomerId, Epoch, Fault, FaultKind, Flow, Incarnation, Kind, Outcome, RemoteId, ShopId,
};
use std::collections::{BTreeMap, VecDeque};

const SEGMENT_BYTES: usize = 1 << 20;
/// A late write is applied within this; with the longest search lag it is less than the engine waits before it
/// believes an absence.
const LATE_MS: i64 = 2_000;
pub const SETTLES_AFTER_MS: i64 = 5_000;

/// How often what goes wrong, in percent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    pub lost_reply: u64,
    pub never_arrives: u64,
    pub applied_late: u64,
    pub unavailable: u64,
    pub duplicated_wake: u64,
    /// Per effect, in hundredths of a percent.
    pub crash: u64,
    /// Of the crashes, those that lose the disk too.
    pub disk_lost: u64,
}

enum Due {
    Event(Box<Event>),
    /// A write that arrives after its sender gave it up.
    Late {
        shop: ShopId,
        change: Box<Change>,
    },
}

pub struct Driver {
    pub now: Timestamp,
    pub shops: BTreeMap<ShopId, SimShop>,
    pub dice: Dice,
    pub faults: Faults,
    pub rules: Rules,
    pub crashes: u64,
    customer: Option<Customer>,
    journal: Journal,
    /// What a coordinator has acknowledged.
    shipped: Vec<Segment>,
    epoch: u64,
    due: BTreeMap<(Timestamp, u64), Due>,
    counter: u64,
    back_at: Option<Timestamp>,
    disk_is_lost: bool,
    pub effects: u64,
    pub trace: VecDeque<String>,
}

const TRACE_LINES: usize = 400;

fn ms(now: Timestamp, ms: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_millis(ms))
        .unwrap_or(now)
}

impl Driver {
    pub fn new(
        shops: BTreeMap<ShopId, SimShop>,
        rules: Rules,
        dice: Dice,
        faults: Faults,
        now: Timestamp,
    ) -> Self {
        let mut driver = Self {
            now,
            shops,
            dice,
            faults,
            rules,
            crashes: 0,
            customer: None,
            journal: fresh(CustomerId(1)),
            shipped: Vec::new(),
            epoch: 0,
            due: BTreeMap::new(),
            counter: 0,
            back_at: None,
            disk_is_lost: true,
            effects: 0,
            trace: VecDeque::new(),
        };
        driver.open();
        driver
    }

    fn note(&mut self, line: String) {
        if self.trace.len() == TRACE_LINES {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{} {line}", self.now));
    }

    fn open(&mut self) {
        if self.disk_is_lost {
            self.journal = fresh(CustomerId(1));
            for segment in &self.shipped {
                self.journal
                    .accept(segment)
                    .expect("a shipped segment is accepted");
            }
            self.epoch += 1;
            self.append(
                vec![Body::Opened {
                    customer: CustomerId(1),
                    incarnation: Incarnation(1),
                    epoch: Epoch(self.epoch),
                    worker: None,
                }],
                Default::default(),
            );
            let mapping = StockMapping {
                default: Some(self.rules.default_stock()),
                ..StockMapping::default()
            };
            self.journal
                .map_stocks(self.now, mapping)
                .expect("stocks are mapped");
            self.disk_is_lost = false;
        }
        let counters = self.journal.counters().expect("counters");
        let mut cursors = BTreeMap::new();
        for shop in self.shops.keys() {
            for kind in [Kind::Product, Kind::Level, Kind::Order] {
                if let Some(cursor) = self.journal.cursor(*shop, kind).expect("cursor") {
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
            open: self
                .journal
                .open_intents(None, 10_000)
                .expect("open intents"),
        };
        let mut customer = Customer::new(opened, self.rules.clone());
        let effects = customer.on(Event::WritesUntil(None), self.now);
        self.customer = Some(customer);
        self.note(format!("opened, epoch {}", self.epoch));
        self.perform(effects);
    }

    fn append(&mut self, bodies: Vec<Body>, also: lockstep_journal::Also) {
        self.journal
            .append(self.now, bodies, also)
            .expect("an append succeeds");
    }

    fn at(&mut self, at: Timestamp, due: Due) {
        self.counter += 1;
        self.due.insert((at, self.counter), due);
    }

    fn later(&mut self, event: Event) {
        let delay = self.dice.between(1, 60);
        self.at(ms(self.now, delay), Due::Event(Box::new(event)));
    }

    fn feed(&mut self, event: Event) {
        let now = self.now;
        if let Some(customer) = &mut self.customer {
            let effects = customer.on(event, now);
            self.perform(effects);
        }
    }

    /// A webhook.
    pub fn wake(&mut self, shop: ShopId, flow: Flow) {
        let times = if self.dice.chance(self.faults.duplicated_wake) {
            2
        } else {
            1
        };
        for _ in 0..times {
            self.later(Event::Woken {
                flows: vec![(shop, flow)],
                causes: vec![Cause::Wake { shop, flow }],
                everything: false,
            });
        }
    }

    pub fn reconcile(&mut self) {
        let flows = self
            .shops
            .keys()
            .flat_map(|shop| [(*shop, Flow::Products), (*shop, Flow::Orders)])
            .collect();
        self.later(Event::Woken {
            flows,
            causes: vec![Cause::Schedule],
            everything: true,
        });
    }

    /// What waits for a person.
    pub fn conflicts(&self) -> Vec<ConflictRow> {
        self.journal.conflicts(None, 1_000).expect("conflicts")
    }

    pub fn is_at_rest(&self) -> bool {
        let late = self.due.values().any(|due| matches!(due, Due::Late { .. }));
        !late && self.customer.as_ref().is_some_and(Customer::is_at_rest)
    }

    /// Lets virtual time go on until then.
    pub fn run_until(&mut self, until: Timestamp) {
        loop {
            if let Some(back_at) = self.back_at
                && back_at <= until
                && self.due.keys().next().is_none_or(|(at, _)| *at >= back_at)
            {
                self.now = self.now.max(back_at);
                self.back_at = None;
                self.open();
                continue;
            }
            let Some((at, number)) = self.due.keys().next().copied() else {
                break;
            };
            if at > until {
                break;
            }
            let Some(due) = self.due.remove(&(at, number)) else {
                break;
            };
            self.now = self.now.max(at);
            match due {
                Due::Event(event) => self.feed(*event),
                Due::Late { shop, change } => {
                    let now = self.now;
                    if let Some(shop) = self.shops.get_mut(&shop) {
                        shop.apply(&change, now);
                    }
                    self.note(format!("late at shop {shop}: {:?}", change.sort()));
                }
            }
        }
        self.now = self.now.max(until);
    }

    fn crash(&mut self) {
        self.crashes += 1;
        self.customer = None;
        // Replies to a dead process go nowhere; what is on the wire still arrives.
        self.due.retain(|_, due| matches!(due, Due::Late { .. }));
        self.disk_is_lost = self.dice.chance(self.faults.disk_lost);
        let delay = self.dice.between(100, 8_000);
        self.back_at = Some(ms(self.now, delay));
        self.note(format!("crash, disk lost: {}", self.disk_is_lost));
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        let mut effects: VecDeque<Effect> = effects.into();
        while let Some(effect) = effects.pop_front() {
            self.effects += 1;
            if self.dice.below(10_000) < self.faults.crash {
                self.crash();
                return;
            }
            if let Some(event) = self.perform_one(effect) {
                let now = self.now;
                if let Some(customer) = &mut self.customer {
                    effects.extend(customer.on(event, now));
                }
            }
        }
    }

    /// What the file answers comes back at once; what shops answer comes later.
    fn perform_one(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Append { bodies, also } => {
                self.append(bodies, journal_also(also));
                None
            }
            Effect::Intend { lane, bodies, also } => {
                self.append(bodies, journal_also(also));
                self.ship();
                Some(Event::Durable { lane })
            }
            Effect::Stage {
                lane,
                shop,
                records,
                ..
            } => {
                let summary = self.journal.stage(shop, records).expect("a page is staged");
                Some(Event::Staged {
                    lane,
                    changed: summary.changed,
                })
            }
            Effect::LoadCatalogue {
                kind, after, limit, ..
            } => Some(Event::CatalogueLoaded(
                self.journal
                    .load_catalogue(kind, after.as_deref(), limit, self.now)
                    .expect("a chunk is loaded"),
            )),
            Effect::LoadOrders {
                after,
                limit,
                receivers,
            } => Some(Event::OrdersLoaded(
                self.journal
                    .load_orders(after.as_ref(), limit, self.now, &receivers)
                    .expect("orders are loaded"),
            )),
            Effect::LoadStock { after, limit } => Some(Event::StockLoaded(
                self.journal
                    .load_stock(after.as_ref(), limit)
                    .expect("levels are loaded"),
            )),
            Effect::ReadAgainList {
                lane,
                shop,
                kind,
                limit,
            } => {
                let ids = match kind {
                    Kind::Level => {
                        let skus = self.journal.skus_to_read(shop, None, limit);
                        let skus = skus.expect("levels to read");
                        skus.into_iter().map(|sku| RemoteId(sku.0)).collect()
                    }
                    Kind::Order => {
                        let orders = self.journal.orders_to_read(shop, None, limit);
                        let orders = orders.expect("orders to read");
                        orders.into_iter().filter_map(|order| order.id).collect()
                    }
                    Kind::Product | Kind::Category => self
                        .journal
                        .records_to_read(shop, kind, None, limit)
                        .expect("records to read"),
                };
                Some(Event::ReadAgain {
                    lane,
                    shop,
                    kind,
                    ids,
                })
            }
            Effect::SavePlan { run, rows } => {
                let rows: Vec<PlanRow> = rows
                    .into_iter()
                    .map(|(ord, decision)| PlanRow {
                        ord,
                        body: serde_json::to_string(&decision).expect("a plan's row"),
                    })
                    .collect();
                self.journal.save_plan(run, &rows).expect("a plan is saved");
                None
            }
            Effect::LoadPlan { run, after, limit } => {
                let rows = self
                    .journal
                    .load_plan(run, after, limit)
                    .expect("a plan is loaded");
                let rows = rows
                    .into_iter()
                    .map(|row| {
                        let decision = serde_json::from_str(&row.body);
                        (row.ord, decision.expect("a plan's row is whole"))
                    })
                    .collect();
                Some(Event::PlanLoaded { rows })
            }
            Effect::DropPlan { run } => {
                self.journal.clear_plan(run).expect("a plan is dropped");
                None
            }
            Effect::Pull {
                call,
                shop,
                request,
            } => {
                let result = if self.dice.chance(self.faults.unavailable) {
                    Err(Fault::new(FaultKind::Unavailable, "nobody answers"))
                } else {
                    Ok(self.shops[&shop].pull(&request))
                };
                self.later(Event::Pulled { call, result });
                None
            }
            Effect::Find { call, shop, key } => {
                let result = if self.dice.chance(self.faults.unavailable) {
                    Err(Fault::new(FaultKind::Unavailable, "nobody answers"))
                } else {
                    Ok(self.shops[&shop].find(&key, self.now))
                };
                self.later(Event::Found { call, result });
                None
            }
            Effect::Push {
                call,
                shop,
                changes,
            } => {
                let outcomes = changes
                    .into_iter()
                    .map(|change| self.push(shop, change))
                    .collect();
                self.later(Event::Pushed {
                    call,
                    result: Ok(outcomes),
                });
                None
            }
            Effect::WaitUntil(at) => {
                self.at(at.max(ms(self.now, 1)), Due::Event(Box::new(Event::Tick)));
                None
            }
            Effect::Finished {
                run,
                lane,
                result,
                message,
                ..
            } => {
                self.ship();
                self.note(format!("run {run} {lane} {result:?} {message}"));
                None
            }
            Effect::Planned { .. } | Effect::Applying { .. } => None,
        }
    }

    fn push(&mut self, shop: ShopId, change: Change) -> Outcome {
        let lost = || Outcome::Failed(Fault::new(FaultKind::UnknownOutcome, "the answer was lost"));
        self.note(format!("push to {shop}: {:?}", change.sort()));
        let now = self.now;
        if self.dice.chance(self.faults.applied_late) {
            let delay = self.dice.between(1, LATE_MS);
            let change = Box::new(change);
            self.at(ms(now, delay), Due::Late { shop, change });
            return lost();
        }
        if self.dice.chance(self.faults.never_arrives) {
            return lost();
        }
        let lose = self.dice.chance(self.faults.lost_reply);
        let Some(shop) = self.shops.get_mut(&shop) else {
            return lost();
        };
        let outcome = shop.apply(&change, now);
        if lose { lost() } else { outcome }
    }

    fn ship(&mut self) {
        while let Some(segment) = self.journal.cut_segment(SEGMENT_BYTES).expect("a segment") {
            self.journal
                .acknowledge(segment.header.sequence, segment.hash)
                .expect("it is acknowledged");
            self.shipped.push(segment);
        }
    }
}

fn fresh(customer: CustomerId) -> Journal {
    Journal::in_memory(customer).expect("a journal in memory")
}

fn journal_also(also: lockstep_engine::Also) -> lockstep_journal::Also {
    let levels = also
        .levels
        .into_iter()
        .map(|(shop, _, sku, reading)| Consumed {
            shop,
            kind: Kind::Level,
            id: RemoteId(sku.0),
            reading,
        });
    lockstep_journal::Also {
        consumed: also.consumed.into_iter().chain(levels).collect(),
        plan_done: also
            .plan_done
            .into_iter()
            .flat_map(|(run, rows)| rows.into_iter().map(move |row| (run, row)))
            .collect(),
        orders_done: also.orders_done,
        skus_done: also.skus_done,
    }
}
