//! One customer's sync: what wakes it, when it looks by itself, and its runs, one in each lane at the most.
//!
//! `on` is the whole interface: an event and the time go in, effects come out. The driver performs effects in the
//! order given; those with an answer bring it back as an event.

use crate::catalogue::Decision;
use crate::looks::Looks;
use crate::rules::Rules;
use crate::run::approved::{Approved, ShownPlans};
use crate::run::levels::OfLevels;
use crate::run::limits::OfCatalogue;
use crate::run::reading::Endless;
use crate::run::refusals::Refusals;
use crate::run::undo::UndoShown;
use crate::run::writing::Twin;
use crate::run::{Run, RunCause};
use crate::write::PlanLine;
use jiff::{SignedDuration, Timestamp};
use lockstep_model::cases::{
    Also, CatalogueChunk, ClosingChunk, Meetings, OpenConflict, OpenIntent, OrderChunk,
    RootCategory, Share, StockChunk, UndoChunk,
};
use lockstep_model::entry::{Body, Cause, Counts, RunResult, RunWhy, Subject};
use lockstep_model::settings::StockId;
use lockstep_model::{
    Change, ConflictId, Cursor, Fault, Flow, IntentId, ItemId, Kind, Lane, NaturalKey, OrderKey,
    Outcome, Page, PullRequest, Record, RecordId, RemoteId, RunId, ShopId, ShopIdentity,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names a call to a shop, from its effect to its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// What the journal knew when the customer was opened.
#[derive(Debug, Clone, Default)]
pub struct Opened {
    /// The next free ids.
    pub next_run: u64,
    pub next_record: u64,
    pub next_intent: u64,
    pub next_conflict: u64,
    pub cursors: BTreeMap<(ShopId, Kind), Cursor>,
    pub open: Vec<OpenIntent>,
    pub meetings: Meetings,
    pub asked_of_levels: Vec<OpenConflict>,
    /// When counts left nothing of levels, the first first.
    pub emptied_levels: Vec<Timestamp>,
    pub asked_of_catalogue: Vec<OpenConflict>,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// New settings. Runs that go on keep the revision that they began with.
    Settings(Box<Rules>),
    /// Look at these now.
    Woken {
        flows: Vec<(ShopId, Flow)>,
        causes: Vec<Cause>,
        /// Read everything, not only what changed.
        everything: bool,
    },
    /// Find out what would be written, and write nothing.
    PlanAsked {
        flows: Vec<Flow>,
    },
    /// Write what this plan showed, where it still holds.
    ApplyAsked {
        plan: RunId,
        by: String,
    },
    /// Undo what this run wrote, or (`dry`) find out what that would do. One at a time.
    UndoAsked {
        run: RunId,
        by: String,
        dry: bool,
    },
    /// A person has answered a question: what follows from it is in the journal.
    Resolved {
        subject: Subject,
        conflict: Option<ConflictId>,
        /// The shop whose level was in doubt: it is read by name before it is computed with.
        read: Option<ShopId>,
        by: String,
    },
    /// Nobody waits for it any more: it is not done.
    Withdrawn {
        wish: Wish,
    },
    /// Time has passed.
    Tick,
    /// No write may start at or after this time. `None`: no limit (a pinned customer).
    WritesUntil(Option<Timestamp>),
    Cancelled {
        run: RunId,
    },
    ShopChecked {
        shop: ShopId,
        identity: Box<ShopIdentity>,
    },

    Pulled {
        call: CallId,
        result: Result<Page, Fault>,
    },
    /// The answer to `Stage`.
    Staged {
        lane: Lane,
        shop: ShopId,
        changed: u32,
    },
    CatalogueLoaded(CatalogueChunk),
    /// The answer to `LoadUndo`.
    UndoLoaded(UndoChunk),
    OrdersLoaded(OrderChunk),
    StockLoaded(StockChunk),
    /// The answer to `LoadClosing`.
    ClosingLoaded(ClosingChunk),
    /// The answer to `ReadAgainList`.
    ReadAgain {
        lane: Lane,
        shop: ShopId,
        kind: Kind,
        ids: Vec<RemoteId>,
    },
    PlanLoaded {
        rows: Vec<(u64, Decision)>,
    },
    /// The entries of this lane's last `Intend` are durable where the customer needs them to be.
    Durable {
        lane: Lane,
    },
    /// They could not be made so: nothing was sent and nothing may be.
    NotDurable {
        lane: Lane,
        reason: String,
    },
    Pushed {
        call: CallId,
        result: Result<Vec<Outcome>, Fault>,
    },
    Found {
        call: CallId,
        result: Result<Vec<Record>, Fault>,
    },
}

impl Event {
    /// What a shop shows in it. Our own names are put in before the engine is told of it.
    pub fn records(&mut self) -> Vec<&mut Record> {
        match self {
            Event::Pulled {
                result: Ok(page), ..
            } => page
                .records
                .iter_mut()
                .filter_map(|record| record.as_mut().ok())
                .collect(),
            Event::Found {
                result: Ok(records),
                ..
            } => records.iter_mut().collect(),
            Event::Pushed {
                result: Ok(outcomes),
                ..
            } => outcomes
                .iter_mut()
                .filter_map(|outcome| match outcome {
                    Outcome::Done(receipt) | Outcome::Partly { receipt, .. } => {
                        receipt.record.as_mut()
                    }
                    Outcome::Accepted { .. } | Outcome::Failed(_) => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// What a person asked for and a run of the lane holds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    Plan,
    Apply,
    Undo,
}

/// What shall be done.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Answered by `Pulled`.
    Pull {
        call: CallId,
        shop: ShopId,
        request: PullRequest,
    },
    /// Put a page's records into the customer's file. Answered by `Staged`.
    Stage {
        lane: Lane,
        run: RunId,
        shop: ShopId,
        records: Vec<Record>,
        /// When the request for it left, at the latest: of what was written since it proves nothing.
        left_at: Timestamp,
    },
    /// Answered by `CatalogueLoaded`.
    LoadCatalogue {
        kind: Kind,
        share: Share,
        after: Option<String>,
        limit: usize,
        /// Of categories: the root of our own that shops shall have. It comes first, alone.
        root: Option<RootCategory>,
    },
    /// These records, due or not. Answered by `CatalogueLoaded`.
    LoadRecords {
        records: Vec<RecordId>,
        root: Option<RootCategory>,
    },
    /// What a run wrote, after this write. Answered by `UndoLoaded`.
    LoadUndo {
        run: RunId,
        after: Option<IntentId>,
        limit: usize,
    },
    /// Answered by `OrdersLoaded`.
    LoadOrders {
        after: Option<OrderKey>,
        limit: usize,
        receivers: Vec<ShopId>,
    },
    /// Answered by `StockLoaded`.
    LoadStock {
        after: Option<(ItemId, StockId)>,
        limit: usize,
        /// Count all levels, however few are due.
        count: bool,
    },
    /// Orders after this one that are final everywhere and have not moved since `before`. Answered by `ClosingLoaded`.
    LoadClosing {
        after: Option<OrderKey>,
        before: Timestamp,
        limit: usize,
    },
    /// Which levels (SKUs), orders or products (their ids) of this shop have to be read by name, since a write of
    /// theirs is open or orders touched them? Answered by `ReadAgain`.
    ReadAgainList {
        lane: Lane,
        shop: ShopId,
        kind: Kind,
        limit: usize,
    },
    /// Rows of this run's plan, by number.
    SavePlan {
        run: RunId,
        rows: Vec<(u64, Decision)>,
    },
    /// Rows after this number. Answered by `PlanLoaded`.
    LoadPlan {
        run: RunId,
        after: Option<u64>,
        limit: usize,
    },
    DropPlan {
        run: RunId,
    },
    /// Append and fsync; no answer.
    Append {
        bodies: Vec<Body>,
        also: Also,
    },
    /// Append, fsync and, for a movable customer, wait for the coordinator. Answered by `Durable` or `NotDurable`.
    Intend {
        lane: Lane,
        bodies: Vec<Body>,
        also: Also,
    },
    /// Only ever after `Durable` for its intents. Answered by `Pushed`.
    Push {
        call: CallId,
        shop: ShopId,
        changes: Vec<Change>,
    },
    /// Answered by `Found`.
    Find {
        call: CallId,
        shop: ShopId,
        key: NaturalKey,
    },
    /// Send `Tick` at this time.
    WaitUntil(Timestamp),
    /// A run is over; its entries are appended. Ship the journal.
    Finished {
        run: RunId,
        lane: Lane,
        result: RunResult,
        counts: Counts,
        message: String,
        /// Why it did not simply end well.
        why: Option<RunWhy>,
    },
    /// The answer to `PlanAsked`, once for each of its lanes: the first lines and the counts of all.
    Planned {
        run: RunId,
        lane: Lane,
        lines: Vec<PlanLine>,
        total: u64,
        conflicts: u64,
        /// Of the catalogue: how many records are written at each shop.
        by_shop: BTreeMap<ShopId, u64>,
        /// Of products: how many are made at each shop.
        made: BTreeMap<ShopId, u64>,
        /// Wanted and not written by this plan, since something else comes first.
        blocked: u64,
        /// Shops that could not be read, with their reasons.
        unread: Vec<String>,
        /// A limit would stop an automatic run here.
        stopped_by: Option<String>,
    },
    /// The answer to `ApplyAsked`: the run that applies it. `None`: the plan is not known (any more), or no run may
    /// start.
    Applying {
        run: Option<RunId>,
    },
    /// The answer to `UndoAsked`: the run that undoes. `None`: no run may start.
    Undoing {
        run: Option<RunId>,
    },
    /// The answer to a dry one.
    UndoShown {
        run: RunId,
        undo: UndoShown,
    },
}

/// Where a run is, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    pub run: RunId,
    pub lane: Lane,
    pub started_at: Timestamp,
    pub step: Step,
    pub causes: Vec<Cause>,
    pub counts: Counts,
    /// Writes that the plan wants, where it is known.
    pub expected: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Pull,
    Plan,
    WriteAhead,
    Push,
    Finished,
}

/// Ids that both lanes draw from.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub record: u64,
    pub intent: u64,
    pub conflict: u64,
    pub call: u64,
}

impl Counters {
    pub fn intent(&mut self) -> IntentId {
        let id = IntentId(self.intent);
        self.intent += 1;
        id
    }

    pub fn conflict(&mut self) -> ConflictId {
        let id = ConflictId(self.conflict);
        self.conflict += 1;
        id
    }

    pub fn call(&mut self) -> CallId {
        self.call += 1;
        CallId(self.call)
    }
}

/// What runs share.
pub(crate) struct Shared {
    pub counters: Counters,
    pub cursors: BTreeMap<(ShopId, Kind), Cursor>,
    /// Intents whose outcome is not known.
    pub open: BTreeMap<IntentId, OpenIntent>,
    /// Those of them that another process left, until their time to settle is known to be counted by our clock.
    pub left_open: BTreeSet<IntentId>,
    /// Shops that cannot be reached, or ask for peace, until then.
    pub down: BTreeMap<ShopId, Timestamp>,
    /// What each of them said last.
    pub why_down: BTreeMap<ShopId, String>,
    /// Shops that let us in no more until a person has done something, with the sentence that says so.
    pub shut: BTreeMap<ShopId, String>,
    /// Writes that shops refuse as a whole.
    pub refusals: Refusals,
    /// Creates that were refused since the shop has something of that key, and are being looked for.
    pub twins: BTreeMap<IntentId, Twin>,
    /// Lists of shops that did not end, by what they list.
    pub endless: BTreeMap<(ShopId, Kind), Endless>,
    /// What a run was woken for and could not read, since the shop failed: the lane's next run reads it.
    pub missed: BTreeMap<Lane, RunCause>,
    /// Levels that moved while we wrote them: they are read by name before they are written again.
    pub stale: BTreeSet<(ShopId, ItemId)>,
    pub tries: BTreeMap<ShopId, u32>,
    pub writes_until: Option<Timestamp>,
    pub meetings: Meetings,
    /// A shop is written to from now on: whatever goes on without it begins anew.
    pub let_in: bool,
    pub of_levels: OfLevels,
    pub of_catalogue: OfCatalogue,
    /// When it was last gone through all orders for those that are over.
    pub closed: Option<Timestamp>,
    pub look_at: BTreeMap<Lane, Looks>,
}

impl Shared {
    pub fn look_again(&mut self, lane: Lane, at: Timestamp) {
        self.look_at.entry(lane).or_default().add(at);
    }

    fn is_to_look(&mut self, lane: Lane, now: Timestamp) -> bool {
        let looks = self.look_at.get_mut(&lane);
        looks.is_some_and(|looks| looks.take_due(now))
    }
}

/// An undo that waits for its lane.
struct UndoAsked {
    run: RunId,
    by: String,
    dry: bool,
}

pub struct Customer {
    rules: Arc<Rules>,
    /// The shops' flows that the rules switch on.
    pairs: Vec<(ShopId, Flow)>,
    shared: Shared,
    next_run: u64,
    runs: BTreeMap<Lane, Run>,
    /// What woke a lane and has not been run yet.
    waiting: BTreeMap<Lane, RunCause>,
    /// Lanes that a plan is still to be made of.
    plan_asked: BTreeSet<Lane>,
    plans: ShownPlans,
    approved: Option<Approved>,
    undo_asked: Option<UndoAsked>,
    /// It answers plans by what is known: no shop is read, and nothing else wakes it.
    rehearses: bool,
    polled: BTreeMap<(ShopId, Flow), Timestamp>,
    reconciled: BTreeMap<(ShopId, Flow), Timestamp>,
}

impl Customer {
    pub fn new(opened: Opened, rules: impl Into<Arc<Rules>>) -> Self {
        let open = opened.open.into_iter().map(|open| (open.intent, open));
        let open: BTreeMap<_, _> = open.collect();
        let rules = rules.into();
        Self {
            pairs: pairs_of(&rules),
            rules,
            shared: Shared {
                counters: Counters {
                    record: opened.next_record,
                    intent: opened.next_intent,
                    conflict: opened.next_conflict,
                    call: 0,
                },
                cursors: opened.cursors,
                left_open: open.keys().copied().collect(),
                open,
                down: BTreeMap::new(),
                why_down: BTreeMap::new(),
                shut: BTreeMap::new(),
                refusals: Refusals::default(),
                twins: BTreeMap::new(),
                endless: BTreeMap::new(),
                missed: BTreeMap::new(),
                stale: BTreeSet::new(),
                tries: BTreeMap::new(),
                writes_until: Some(Timestamp::MIN),
                meetings: opened.meetings,
                let_in: false,
                of_levels: OfLevels::new(opened.asked_of_levels, opened.emptied_levels),
                of_catalogue: OfCatalogue::new(opened.asked_of_catalogue),
                closed: None,
                look_at: BTreeMap::new(),
            },
            next_run: opened.next_run,
            runs: BTreeMap::new(),
            waiting: BTreeMap::new(),
            plan_asked: BTreeSet::new(),
            plans: ShownPlans::default(),
            approved: None,
            undo_asked: None,
            rehearses: false,
            polled: BTreeMap::new(),
            reconciled: BTreeMap::new(),
        }
    }

    /// One that plans by what is known already, and does nothing else: what would follow from rules that are not in force.
    /// Its plans write down what they decide on orders and levels: it is given a copy of the customer's file.
    pub fn rehearsal(opened: Opened, rules: impl Into<Arc<Rules>>) -> Self {
        Self {
            rehearses: true,
            ..Self::new(opened, rules)
        }
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    #[cfg(test)]
    pub(crate) fn into_shared(self) -> Shared {
        self.shared
    }

    /// Nothing runs and nothing waits to run now.
    pub fn is_at_rest(&self) -> bool {
        let asked =
            !self.plan_asked.is_empty() || self.approved.is_some() || self.undo_asked.is_some();
        self.runs.is_empty() && self.waiting.is_empty() && !asked
    }

    /// The run that what was asked for waits for, if it waits.
    pub fn behind(&self, wish: Wish) -> Option<Progress> {
        let lane = match wish {
            Wish::Plan => {
                let mut lanes = self.plan_asked.iter();
                lanes.find(|lane| self.runs.contains_key(lane)).copied()?
            }
            Wish::Apply => self.approved.as_ref().map(|_| Lane::Catalogue)?,
            Wish::Undo => self.undo_asked.as_ref().map(|_| Lane::Catalogue)?,
        };
        self.runs.get(&lane).map(Run::progress)
    }

    pub fn progress(&self) -> Vec<Progress> {
        self.runs.values().map(Run::progress).collect()
    }

    pub fn on(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        let mut out = Vec::new();
        match event {
            Event::Settings(rules) => {
                self.pairs = pairs_of(&rules);
                for (shop, flow) in self.pairs.clone() {
                    if !self.polled.contains_key(&(shop, flow)) {
                        self.wake(shop, flow, Cause::Settings);
                    }
                }
                // What may not be done any more ends at the next effect: a run goes by what it began with, and not beyond.
                for run in self.runs.values_mut() {
                    if let Some(why) = run.is_closed_by(&rules) {
                        run.cancel(&why);
                        self.shared.look_again(run.lane(), now);
                    }
                }
                // Another address, another key: whoever was left alone is asked at once.
                self.shared.down.clear();
                self.shared.shut.clear();
                self.shared.tries.clear();
                self.shared.refusals.clear();
                self.shared.endless.clear();
                self.rules = (*rules).into();
            }
            Event::Woken {
                flows,
                causes,
                everything,
            } => {
                for (shop, flow) in flows {
                    // The shop calls, or a person who has mended it asks: it is tried at once.
                    if self.shared.shut.remove(&shop).is_some() {
                        self.shared.down.remove(&shop);
                    }
                    if let Some(at) = self.shared.refusals.woken(shop, now) {
                        for lane in Lane::ALL {
                            self.shared.look_again(lane, at);
                        }
                    }
                    let waiting = self.waiting.entry(flow.lane()).or_default();
                    waiting.add(shop, flow, everything);
                    for cause in &causes {
                        waiting.because(cause.clone());
                    }
                }
            }
            Event::PlanAsked { flows } => self.plan_asked = lanes_of_plan(&flows),
            Event::ApplyAsked { plan, by } => match self.plans.get(plan) {
                // One at a time: whoever comes second sees a new plan anyway.
                Some(rows) if self.approved.is_none() => {
                    // Orders and levels need nobody's word; who applies them wants them now.
                    for (shop, flow) in self.pairs.clone() {
                        if flow.lane() == Lane::Trade {
                            self.wake(shop, flow, Cause::Person { name: by.clone() });
                        }
                    }
                    self.approved = Some(Approved::new(plan, by, rows));
                }
                Some(_) | None => out.push(Effect::Applying { run: None }),
            },
            Event::UndoAsked { run, by, dry } => match self.undo_asked {
                None => self.undo_asked = Some(UndoAsked { run, by, dry }),
                Some(_) => out.push(Effect::Undoing { run: None }),
            },
            Event::Resolved {
                subject,
                conflict,
                read,
                by,
            } => {
                let lanes: &[Lane] = match &subject {
                    Subject::Record(_) => &[Lane::Catalogue],
                    Subject::Level { .. } | Subject::Order(_) => &[Lane::Trade],
                    Subject::Levels => {
                        self.shared.of_levels.accept(conflict, now);
                        &[Lane::Trade]
                    }
                    Subject::Catalogue => {
                        self.shared.of_catalogue.accept(conflict, now);
                        &[Lane::Catalogue]
                    }
                    Subject::Shop(shop) => {
                        self.shared.meetings.waiting.remove(shop);
                        self.shared.meetings.accepted.insert(*shop);
                        self.shared.let_in = true;
                        &Lane::ALL
                    }
                };
                if let (Subject::Level { item, .. }, Some(shop)) = (subject, read) {
                    self.shared.stale.insert((shop, item));
                }
                for lane in lanes {
                    let waiting = self.waiting.entry(*lane).or_default();
                    waiting.because(Cause::Person { name: by.clone() });
                }
            }
            Event::Withdrawn { wish } => match wish {
                Wish::Plan => self.plan_asked.clear(),
                Wish::Apply => self.approved = None,
                Wish::Undo => self.undo_asked = None,
            },
            Event::Tick => {}
            Event::WritesUntil(until) => self.shared.writes_until = until,
            Event::Cancelled { run } => {
                for each in self.runs.values_mut().filter(|each| each.id() == run) {
                    each.cancel("a person cancelled it");
                }
            }
            Event::ShopChecked { shop, identity } => {
                let known = self.rules.shops.get(&shop);
                if known.is_some_and(|rules| rules.identity != *identity)
                    && let Some(rules) = Arc::make_mut(&mut self.rules).shops.get_mut(&shop)
                {
                    out.push(Effect::Append {
                        bodies: vec![Body::ShopSeen {
                            shop,
                            identity: identity.clone(),
                        }],
                        also: Also::default(),
                    });
                    rules.identity = *identity;
                }
            }
            Event::Staged {
                lane,
                shop,
                changed,
            } => {
                self.drive(lane, &mut out, |run, shared, out| {
                    run.staged(shop, changed, shared, now, out);
                });
            }
            Event::CatalogueLoaded(chunk) => {
                self.drive(Lane::Catalogue, &mut out, |run, shared, out| {
                    run.catalogue_loaded(chunk, shared, now, out);
                });
            }
            Event::UndoLoaded(chunk) => {
                self.drive(Lane::Catalogue, &mut out, |run, shared, out| {
                    run.undo_loaded(chunk, shared, now, out);
                });
            }
            Event::OrdersLoaded(chunk) => {
                self.drive(Lane::Trade, &mut out, |run, shared, out| {
                    run.orders_loaded(chunk, shared, now, out);
                });
            }
            Event::StockLoaded(chunk) => {
                self.drive(Lane::Trade, &mut out, |run, shared, out| {
                    run.stock_loaded(chunk, shared, now, out);
                });
            }
            Event::ClosingLoaded(chunk) => {
                self.drive(Lane::Trade, &mut out, |run, shared, out| {
                    run.closing_loaded(chunk, shared, now, out);
                });
            }
            Event::ReadAgain {
                lane,
                shop,
                kind,
                ids,
            } => self.drive(lane, &mut out, |run, shared, out| {
                run.read_again(shop, kind, &ids, shared, now, out);
            }),
            Event::PlanLoaded { rows } => {
                self.drive(Lane::Catalogue, &mut out, |run, shared, out| {
                    run.plan_loaded(rows, shared, now, out);
                });
            }
            Event::Durable { lane } => self.drive(lane, &mut out, |run, shared, out| {
                run.durable(shared, now, out);
            }),
            Event::NotDurable { lane, reason } => self.drive(lane, &mut out, |run, shared, out| {
                run.not_durable(&reason, shared, now, out);
            }),
            Event::Pulled { call, result } => {
                if let Some(lane) = self.lane_of(call) {
                    self.drive(lane, &mut out, |run, shared, out| {
                        run.pulled(call, result, shared, now, out);
                    });
                }
            }
            Event::Pushed { call, result } => {
                if let Some(lane) = self.lane_of(call) {
                    self.drive(lane, &mut out, |run, shared, out| {
                        run.pushed(call, result, shared, now, out);
                    });
                }
            }
            Event::Found { call, result } => {
                if let Some(lane) = self.lane_of(call) {
                    self.drive(lane, &mut out, |run, shared, out| {
                        run.found(call, result, shared, now, out);
                    });
                }
            }
        }
        if std::mem::take(&mut self.shared.let_in) {
            if let Some(run) = self.runs.get_mut(&Lane::Trade) {
                run.give_way(
                    "a shop is written to from now on, and this run went without it: the next one begins at once",
                );
            }
            self.shared.look_again(Lane::Trade, now);
        }
        self.start_what_waits(now, &mut out);
        if let Some(at) = self.next_look(now) {
            out.push(Effect::WaitUntil(at));
        }
        out
    }

    fn drive(
        &mut self,
        lane: Lane,
        out: &mut Vec<Effect>,
        step: impl FnOnce(&mut Run, &mut Shared, &mut Vec<Effect>),
    ) {
        if let Some(run) = self.runs.get_mut(&lane) {
            step(run, &mut self.shared, out);
            if run.is_finished() {
                let made = run.take_made();
                if let Some(rows) = run.take_shown() {
                    self.plans.remember(run.id(), rows);
                }
                self.runs.remove(&lane);
                for (shop, flow) in self.pairs.clone() {
                    if flow == Flow::Stock && made.contains(&shop) {
                        self.wake(shop, flow, Cause::Retry);
                    }
                }
            }
        }
    }

    fn lane_of(&self, call: CallId) -> Option<Lane> {
        let mut runs = self.runs.iter();
        runs.find(|(_, run)| run.waits_for(call))
            .map(|(lane, _)| *lane)
    }

    fn wake(&mut self, shop: ShopId, flow: Flow, cause: Cause) {
        let waiting = self.waiting.entry(flow.lane()).or_default();
        waiting.add(shop, flow, false);
        waiting.because(cause);
    }

    fn start_what_waits(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        if !self.rules.may_run() {
            self.waiting.clear();
            for lane in std::mem::take(&mut self.plan_asked) {
                let run = RunId(self.next_run);
                out.push(Effect::Planned {
                    run,
                    lane,
                    lines: Vec::new(),
                    total: 0,
                    conflicts: 0,
                    by_shop: BTreeMap::new(),
                    made: BTreeMap::new(),
                    blocked: 0,
                    unread: Vec::new(),
                    stopped_by: Some(
                        "Syncing is switched off for this customer: no run starts.".into(),
                    ),
                });
            }
            if self.approved.take().is_some() {
                out.push(Effect::Applying { run: None });
            }
            if self.undo_asked.take().is_some() {
                out.push(Effect::Undoing { run: None });
            }
            return;
        }
        if self.rehearses {
            self.waiting.clear();
            self.shared.look_at.clear();
        } else {
            self.wake_by_schedule(now);
        }
        for lane in Lane::ALL {
            if let Some(run) = self.runs.get_mut(&lane) {
                let is_asked = self.approved.is_some() || self.undo_asked.is_some();
                if self.waiting.contains_key(&lane)
                    || self.plan_asked.contains(&lane)
                    || (lane == Lane::Catalogue && is_asked)
                {
                    run.make_way();
                }
                continue;
            }
            if self.shared.is_to_look(lane, now) {
                let waiting = self.waiting.entry(lane).or_default();
                waiting.because(Cause::Retry);
                if let Some(missed) = self.shared.missed.remove(&lane) {
                    waiting.join(&missed);
                }
            }
            if lane == Lane::Catalogue
                && let Some(asked) = self.undo_asked.take()
            {
                self.start_undo(asked, now, out);
                continue;
            }
            let dry = self.plan_asked.remove(&lane);
            let approved = match lane {
                Lane::Catalogue if !dry => self.approved.take(),
                Lane::Catalogue | Lane::Trade => None,
            };
            let cause = if dry || approved.is_some() {
                let mut cause = RunCause::default();
                let pairs = self.pairs.iter().filter(|_| !self.rehearses);
                for (shop, flow) in pairs.filter(|(_, flow)| flow.lane() == lane) {
                    cause.add(*shop, *flow, false);
                }
                if let Some(approved) = &approved {
                    cause.because(Cause::Person {
                        name: format!("{}, who applies plan {}", approved.by, approved.plan),
                    });
                }
                cause
            } else {
                match self.waiting.remove(&lane) {
                    Some(mut cause) => {
                        cause.keep(&self.pairs);
                        cause
                    }
                    None => continue,
                }
            };
            for (shop, flow) in cause.flows() {
                self.polled.insert((shop, flow), now);
                if cause.reads_everything(shop, flow)
                    || !self
                        .shared
                        .cursors
                        .keys()
                        .any(|(s, kind)| *s == shop && kind.flow() == flow)
                {
                    self.reconciled.insert((shop, flow), now);
                }
            }
            let id = RunId(self.next_run);
            self.next_run += 1;
            let (rules, unmet) = crate::run::meeting::rules_of(&self.rules, &self.shared, dry);
            let mut run = Run::new(id, lane, cause, dry, rules, now);
            run.meets(unmet);
            if let Some(approved) = approved {
                run.hold_to(approved);
                out.push(Effect::Applying { run: Some(id) });
            }
            run.ask_for_choices(&mut self.shared, out);
            run.start(&mut self.shared, now, out);
            if !run.is_finished() {
                self.runs.insert(lane, run);
            } else if let Some(rows) = run.take_shown() {
                self.plans.remember(id, rows);
            }
        }
    }

    fn start_undo(&mut self, asked: UndoAsked, now: Timestamp, out: &mut Vec<Effect>) {
        let UndoAsked { run, by, dry } = asked;
        let id = RunId(self.next_run);
        self.next_run += 1;
        let mut cause = RunCause::default();
        cause.because(Cause::Undo { run, by });
        let rules = self.rules.clone();
        let mut undoing = Run::new(id, Lane::Catalogue, cause, dry, rules, now);
        undoing.undo(run);
        if !dry {
            out.push(Effect::Undoing { run: Some(id) });
        }
        undoing.start(&mut self.shared, now, out);
        self.runs.insert(Lane::Catalogue, undoing);
    }

    fn wake_by_schedule(&mut self, now: Timestamp) {
        for (shop, flow) in self.pairs.iter().copied() {
            if self
                .shared
                .down
                .get(&shop)
                .is_some_and(|until| *until > now)
            {
                continue;
            }
            let schedule = self.rules.settings.schedules.of(flow);
            let due = |last: Option<&Timestamp>, seconds: u32| match last {
                None => true,
                Some(last) => seconds > 0 && after(*last, seconds) <= now,
            };
            let everything = self.polled.contains_key(&(shop, flow))
                && due(
                    self.reconciled
                        .get(&(shop, flow))
                        .or(self.polled.get(&(shop, flow))),
                    schedule.reconcile_seconds,
                );
            if everything || due(self.polled.get(&(shop, flow)), schedule.poll_seconds) {
                let waiting = self.waiting.entry(flow.lane()).or_default();
                waiting.add(shop, flow, everything);
                waiting.because(Cause::Schedule);
            }
        }
    }

    fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.rules.may_run() {
            return None;
        }
        let polls = self.pairs.iter().copied().filter_map(|pair| {
            let schedule = self.rules.settings.schedules.of(pair.1);
            let polled = self.polled.get(&pair)?;
            // Where there are polls, one of them reads everything once that is due.
            let (last, seconds) = match schedule.poll_seconds {
                0 => {
                    let reconciled = self.reconciled.get(&pair).unwrap_or(polled);
                    (reconciled, schedule.reconcile_seconds)
                }
                seconds => (polled, seconds),
            };
            let at = (seconds > 0).then(|| after(*last, seconds))?;
            Some(match self.shared.down.get(&pair.0) {
                Some(until) => at.max(*until),
                None => at,
            })
        });
        let looks = self.shared.look_at.values().flat_map(Looks::iter);
        polls.chain(looks).filter(|at| *at > now).min()
    }
}

/// The lanes that a plan of these flows is of. Empty: of all flows.
pub fn lanes_of_plan(flows: &[Flow]) -> BTreeSet<Lane> {
    if flows.is_empty() {
        return Lane::ALL.into();
    }
    flows.iter().map(|flow| flow.lane()).collect()
}

/// The shops' flows that these rules switch on.
fn pairs_of(rules: &Rules) -> Vec<(ShopId, Flow)> {
    let flows = [Flow::Categories, Flow::Products, Flow::Stock, Flow::Orders];
    rules
        .shops
        .iter()
        .flat_map(|(shop, shop_rules)| flows.map(|flow| (*shop, flow, shop_rules)))
        .filter(|(_, flow, shop_rules)| {
            // The ledger follows from orders, so they are read for it also when they do not cross.
            let wanted = *flow == Flow::Orders || rules.flow_is_on(*flow);
            let kinds = shop_rules.abilities.pages.keys();
            wanted && kinds.into_iter().any(|kind| kind.flow() == *flow)
        })
        .map(|(shop, flow, _)| (shop, flow))
        .collect()
}

fn after(time: Timestamp, seconds: u32) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(i64::from(seconds)))
        .unwrap_or(Timestamp::MAX)
}
