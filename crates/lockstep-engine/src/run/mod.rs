//! One run of one lane: read, see, plan, write ahead, push, commit, finish.
//!
//! ```text
//! trade:      look → orders ⇄ levels (until a reading of both is undisturbed) → ledger → orders' writes → finish
//! catalogue:  look → categories, products of all shops → for each kind: plan whole, check limits, apply → finish
//! ```
//!
//! A run begins with one revision of the settings and keeps it.

pub(crate) mod approved;

mod catalogue;
mod cause;
mod closing_down;
#[cfg(test)]
mod faults_tests;
pub(crate) mod levels;
pub(crate) mod limits;
pub(crate) mod meeting;
mod names;
mod outcome;
pub(crate) mod reading;
pub(crate) mod refusals;
mod trade;
pub(crate) mod undo;
#[cfg(test)]
mod undo_tests;
pub(crate) mod writing;

pub(crate) use cause::RunCause;
pub(crate) use outcome::hangs_under_it_now;

use crate::customer::{CallId, Effect, Progress, Shared, Step};
use crate::rules::Rules;
use crate::write::PlanLine;
use approved::Approved;
use jiff::Timestamp;
use levels::LevelsOfRun;
use limits::LimitsOfRun;
use lockstep_model::cases::{Also, CatalogueChunk, ClosingChunk, OrderChunk, StockChunk};
use lockstep_model::entry::{Body, Counts, RunResult, RunWhy, Subject};
use lockstep_model::settings::StockId;
use lockstep_model::{IntentId, ItemId, Kind, Lane, OrderKey, RunId, ShopId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use undo::Undo;

/// Records that are loaded and decided on at once.
pub(crate) const CHUNK: usize = 500;
/// Lines of a plan that are kept to be shown; its counts are of all.
const PLAN_LINES_MAX: usize = 1_000;

pub(crate) struct Run {
    id: RunId,
    lane: Lane,
    dry: bool,
    rules: Arc<Rules>,
    cause: RunCause,
    started_at: Timestamp,
    counts: Counts,
    phase: Phase,
    reads: reading::Reads,
    /// Pages on their way into the file.
    staging: usize,
    writing: Option<writing::Writing>,
    /// Shops that failed in this run, with the sentence for people.
    failed: BTreeMap<ShopId, String>,
    /// Shops that are still to be met.
    unmet: BTreeSet<ShopId>,
    /// It went through all orders for those that are over.
    closed: bool,
    levels: LevelsOfRun,
    limits: LimitsOfRun,
    names: names::Moves,
    /// As they were before what is being planned.
    counts_before: Counts,
    /// Shops in which it made items.
    made: BTreeSet<ShopId>,
    needs_person: Option<String>,
    cancelled: Option<String>,
    /// It was, for a run that knows more and begins at once.
    gave_way: bool,
    lines: Vec<PlanLine>,
    lines_total: u64,
    /// A dry run's rows, as fingerprints.
    shown: BTreeSet<(ShopId, u64)>,
    /// Products that a dry run would make.
    shown_made: BTreeMap<ShopId, u64>,
    /// Of what a plan wants, what it cannot write yet.
    blocked: u64,
    /// Only what this plan showed is written, limits or not.
    approved: Option<Approved>,
    /// It undoes another run, and does nothing else.
    undo: Option<Undo>,
    expected: Option<u64>,
    /// Where the next chunk of this phase begins.
    orders_after: Option<OrderKey>,
    stock_after: Option<(ItemId, StockId)>,
    /// Where planning goes on once what was planned so far is applied.
    plan_after: Option<String>,
    /// A chunk is being loaded.
    loading: bool,
    /// Writes of this pass: another pass may find what they made possible.
    pass_writes: u64,
    /// Intents that were looked up in this run already.
    looked: BTreeSet<IntentId>,
    /// Shops whose levels were read in this run; which, only where a write has to follow on such a reading.
    fresh: BTreeMap<ShopId, BTreeSet<ItemId>>,
    /// Levels wait to be read before they can be written.
    read_first: bool,
    /// Somebody waits for this lane: what need not be done now is left to the next run.
    makes_way: bool,
    /// Everything else is written: pictures follow, some at a time.
    at_pictures: bool,
    /// Something that is due was left to the next run.
    has_left_some: bool,
    finished: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Phase {
    /// Looking up what became of open writes.
    Look,
    ReadOrders {
        round: u8,
    },
    SeeOrders {
        round: u8,
    },
    ReadLevels {
        round: u8,
    },
    /// Levels by name: those that changed orders touched.
    ReadTouched {
        round: u8,
    },
    /// Orders that are over leave the sums.
    Close {
        after: Option<OrderKey>,
    },
    /// How many items would be told to be sold out is counted before anything is written.
    Weigh,
    Stock,
    Orders {
        pass: u8,
    },
    ReadCatalogue,
    /// What the undone run wrote is loaded, read, looked at and put back, piece by piece.
    UndoLoad,
    UndoRead,
    UndoJudge,
    UndoNext {
        after: Option<IntentId>,
    },
    Plan {
        kind: Kind,
        pass: u8,
        rows: u64,
        writes: u64,
    },
    Apply {
        kind: Kind,
        pass: u8,
        after: Option<u64>,
    },
    Over,
}

/// Writes of orders and levels whose outcome is looked up before anything follows.
fn trade_open(shared: &Shared) -> u64 {
    let open = shared.open.values();
    let of_trade = open.filter(|open| !matches!(open.subject, Subject::Record(_)));
    of_trade.count() as u64
}

impl Run {
    pub fn new(
        id: RunId,
        lane: Lane,
        cause: RunCause,
        dry: bool,
        rules: Arc<Rules>,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            lane,
            dry,
            rules,
            cause,
            started_at: now,
            counts: Counts::default(),
            phase: Phase::Look,
            reads: reading::Reads::default(),
            staging: 0,
            writing: None,
            failed: BTreeMap::new(),
            unmet: BTreeSet::new(),
            closed: false,
            levels: LevelsOfRun::default(),
            limits: LimitsOfRun::default(),
            names: names::Moves::default(),
            counts_before: Counts::default(),
            made: BTreeSet::new(),
            needs_person: None,
            cancelled: None,
            gave_way: false,
            lines: Vec::new(),
            lines_total: 0,
            shown: BTreeSet::new(),
            shown_made: BTreeMap::new(),
            blocked: 0,
            approved: None,
            undo: None,
            expected: None,
            orders_after: None,
            stock_after: None,
            plan_after: None,
            loading: false,
            pass_writes: 0,
            looked: BTreeSet::new(),
            fresh: BTreeMap::new(),
            read_first: false,
            makes_way: false,
            at_pictures: false,
            has_left_some: false,
            finished: false,
        }
    }

    pub fn id(&self) -> RunId {
        self.id
    }

    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// A person wants this plan applied as it was shown.
    pub fn hold_to(&mut self, approved: Approved) {
        self.approved = Some(approved);
    }

    /// The rows of a dry run, once it is over.
    pub fn take_shown(&mut self) -> Option<BTreeSet<(ShopId, u64)>> {
        (self.dry && self.cancelled.is_none() && self.undo.is_none())
            .then(|| std::mem::take(&mut self.shown))
    }

    /// Shops in which it made an item, or put one on sale: that has a level now, which the ledger has to fill.
    pub fn take_made(&mut self) -> BTreeSet<ShopId> {
        std::mem::take(&mut self.made)
    }

    pub fn waits_for(&self, call: CallId) -> bool {
        self.reads.waits_for(call) || self.writing.as_ref().is_some_and(|w| w.waits_for(call))
    }

    /// Stops it for a run that knows more.
    pub fn give_way(&mut self, why: &str) {
        self.gave_way |= self.cancelled.is_none();
        self.cancel(why);
    }

    /// Somebody waits for this lane.
    pub fn make_way(&mut self) {
        self.makes_way = true;
    }

    pub fn cancel(&mut self, why: &str) {
        self.cancelled.get_or_insert_with(|| why.to_owned());
    }

    pub fn progress(&self) -> Progress {
        Progress {
            run: self.id,
            lane: self.lane,
            started_at: self.started_at,
            step: match (&self.phase, &self.writing) {
                (_, Some(writing)) if writing.is_sending() => Step::Push,
                (_, Some(_)) => Step::WriteAhead,
                (
                    Phase::Plan { .. }
                    | Phase::Close { .. }
                    | Phase::Weigh
                    | Phase::Stock
                    | Phase::Orders { .. },
                    None,
                ) => Step::Plan,
                (Phase::Apply { .. }, None) => Step::Push,
                (Phase::Over, None) => Step::Finished,
                (
                    Phase::Look
                    | Phase::ReadOrders { .. }
                    | Phase::SeeOrders { .. }
                    | Phase::ReadLevels { .. }
                    | Phase::ReadTouched { .. }
                    | Phase::ReadCatalogue
                    | Phase::UndoLoad
                    | Phase::UndoRead,
                    None,
                ) => Step::Pull,
                (Phase::UndoJudge, None) => Step::Plan,
                (Phase::UndoNext { .. }, None) => Step::Push,
            },
            causes: self.cause.causes().to_vec(),
            counts: self.counts,
            expected: self.expected,
        }
    }

    pub fn start(&mut self, shared: &mut Shared, now: Timestamp, out: &mut Vec<Effect>) {
        self.append(
            vec![Body::RunStarted {
                run: self.id,
                lane: self.lane,
                revision: self.rules.revision,
                causes: self.cause.causes().to_vec(),
            }],
            Also::default(),
            out,
        );
        self.look(shared, now, out);
        self.advance(shared, now, out);
    }

    fn append(&self, bodies: Vec<Body>, also: Also, out: &mut Vec<Effect>) {
        if !bodies.is_empty() || also != Also::default() {
            out.push(Effect::Append { bodies, also });
        }
    }

    /// Goes on to the next phase whenever nothing of this one is outstanding.
    fn advance(&mut self, shared: &mut Shared, now: Timestamp, out: &mut Vec<Effect>) {
        while !self.finished
            && self.writing.is_none()
            && self.staging == 0
            && !self.reads.is_waiting()
            && !self.loading
        {
            if self.cancelled.is_some() {
                self.finish(shared, now, out);
                return;
            }
            let waits = match self.lane {
                Lane::Trade => self.advance_trade(shared, now, out),
                Lane::Catalogue => self.advance_catalogue(shared, now, out),
            };
            if waits {
                return;
            }
        }
    }

    pub fn staged(
        &mut self,
        shop: ShopId,
        changed: u32,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        self.staging = self.staging.saturating_sub(1);
        self.counts.changed += u64::from(changed);
        if changed > 0 {
            self.reads.moved.insert(shop);
        }
        self.advance(shared, now, out);
    }

    fn show(&mut self, lines: impl IntoIterator<Item = PlanLine>) {
        for line in lines {
            self.lines_total += 1;
            if self.lines.len() < PLAN_LINES_MAX {
                self.lines.push(line);
            }
        }
    }

    fn finish(&mut self, shared: &mut Shared, now: Timestamp, out: &mut Vec<Effect>) {
        self.phase = Phase::Over;
        self.finished = true;
        let mut bodies = Vec::new();
        if !self.dry {
            let unread = self
                .cause
                .at(|shop| self.cancelled.is_some() || self.failed.contains_key(&shop));
            shared.missed.entry(self.lane).or_default().join(&unread);
        }
        let through = self.cancelled.is_none() && self.needs_person.is_none() && !self.dry;
        if !self.dry {
            let looked_at_all = through && self.undo.is_none() && self.approved.is_none();
            self.leave_refusals(looked_at_all && !self.has_left_some, shared, now);
        }
        if through {
            for ((shop, kind), cursor) in self.reads.finished(&self.failed) {
                if shared.cursors.get(&(shop, kind)) != Some(&cursor) {
                    shared.cursors.insert((shop, kind), cursor.clone());
                    bodies.push(Body::CursorMoved { shop, kind, cursor });
                }
            }
        }
        let feeds = if through && self.rules.settings.policies.goes_by_time() {
            self.reads.read_to_their_end(&self.failed)
        } else {
            Vec::new()
        };
        let (result, why, message) = self.end(shared);
        bodies.push(Body::RunFinished {
            run: self.id,
            result,
            counts: self.counts,
            message: message.clone(),
            through: feeds,
        });
        self.append(bodies, Also::default(), out);
        out.push(Effect::DropPlan { run: self.id });
        if let Some(undo) = self.undo.as_mut().filter(|_| self.dry) {
            out.push(Effect::UndoShown {
                run: self.id,
                undo: undo.take_shown(),
            });
        } else if self.dry {
            out.push(Effect::Planned {
                run: self.id,
                lane: self.lane,
                lines: std::mem::take(&mut self.lines),
                total: self.lines_total,
                // Of trade they are written down, and counted where they stand.
                conflicts: match self.lane {
                    Lane::Catalogue => self.counts.conflicts,
                    Lane::Trade => 0,
                },
                by_shop: self
                    .shown
                    .iter()
                    .fold(BTreeMap::new(), |mut sums, (shop, _)| {
                        *sums.entry(*shop).or_default() += 1;
                        sums
                    }),
                made: std::mem::take(&mut self.shown_made),
                blocked: self.blocked + trade_open(shared),
                unread: self.failed.values().cloned().collect(),
                stopped_by: self.needs_person.take().or_else(|| self.held_in_words()),
            });
        }
        out.push(Effect::Finished {
            run: self.id,
            lane: self.lane,
            result,
            counts: self.counts,
            message,
            why,
        });
    }

    /// How it ended, why not simply well, and the sentence that says so.
    fn end(&self, shared: &Shared) -> (RunResult, Option<RunWhy>, String) {
        if let Some(why) = &self.cancelled {
            let reason = match self.gave_way {
                true => RunWhy::GaveWay,
                false => RunWhy::Stopped,
            };
            (RunResult::Cancelled, Some(reason), why.clone())
        } else if self.undo.is_some() && self.dry {
            let sentence = "What an undo would do was only shown: nothing was written.";
            (RunResult::Done, None, sentence.into())
        } else if let Some(undo) = &self.undo {
            let (result, sentence) = undo.result(|shop| self.name(shop), self.counts.failed);
            let why = match result {
                RunResult::NeedsPerson => Some(RunWhy::Question),
                RunResult::Partly => Some(RunWhy::Moved),
                RunResult::Done | RunResult::Failed | RunResult::Cancelled => None,
            };
            (result, why, sentence)
        } else if let Some(why) = &self.needs_person {
            (RunResult::NeedsPerson, Some(RunWhy::Limit), why.clone())
        } else if let Some(sentences) = self.what_only_people_can_mend(shared) {
            let message = self.with_what_was_left(sentences, shared);
            (RunResult::NeedsPerson, Some(RunWhy::Shop), message)
        } else if let Some(sentences) = self.what_shops_said(shared) {
            let nothing = self.failed.len() >= self.cause.shops().len().max(1);
            let result = if nothing && self.counts.written == 0 {
                RunResult::Failed
            } else {
                RunResult::Partly
            };
            let message = self.with_what_was_left(sentences, shared);
            (result, Some(RunWhy::Shop), message)
        } else if let Some(left) = self.what_was_left(shared) {
            (RunResult::Partly, Some(RunWhy::Moved), left)
        } else if self.counts.failed + self.counts.bad > 0 {
            (
                RunResult::Partly,
                Some(RunWhy::Aside),
                "Some records stand aside with their reasons; the others are in step.".into(),
            )
        } else if self.counts.conflicts > 0 {
            let sentence = match self.held_in_words() {
                Some(held) => format!("It waits for a person: {held}. The rest is in step."),
                None => "Conflicts wait for a person; the rest is in step.".into(),
            };
            (RunResult::NeedsPerson, Some(RunWhy::Question), sentence)
        } else {
            (RunResult::Done, None, String::new())
        }
    }

    fn with_what_was_left(&self, mut message: String, shared: &Shared) -> String {
        if let Some(left) = self.what_was_left(shared) {
            message.push_str(" · ");
            message.push_str(&left);
        }
        message
    }

    /// Of a plan that a person applied: what was not written, and why.
    fn what_was_left(&self, shared: &Shared) -> Option<String> {
        let approved = self.approved.as_ref()?;
        let closed = self.rules.shops.iter().filter(|(_, rules)| rules.read_only);
        let closed = closed.map(|(shop, rules)| {
            let why = match shared.meetings.waiting.contains(shop) {
                true => "a person has not accepted yet that it is written to",
                false => "it is read-only",
            };
            (*shop, rules.name.as_str(), why)
        });
        approved.sentence(closed)
    }

    /// What each shop said that was left out, or that refuses our writes.
    fn sentences(&self, shared: &Shared) -> BTreeMap<ShopId, String> {
        let mut sentences = self.failed.clone();
        if !self.dry {
            for (shop, (said, _)) in shared.refusals.sentences() {
                sentences.entry(shop).or_insert(said);
            }
        }
        sentences
    }

    fn what_shops_said(&self, shared: &Shared) -> Option<String> {
        let sentences: Vec<String> = self.sentences(shared).into_values().collect();
        (!sentences.is_empty()).then(|| sentences.join(" · "))
    }

    fn what_only_people_can_mend(&self, shared: &Shared) -> Option<String> {
        let mut sentences = shared.shut.clone();
        for ((shop, kind), endless) in &shared.endless {
            if kind.flow().lane() == self.lane {
                sentences.insert(*shop, endless.said.clone());
            }
        }
        for (shop, (said, needs_person)) in shared.refusals.sentences() {
            if needs_person {
                sentences.insert(shop, said);
            }
        }
        if sentences.is_empty() {
            return None;
        }
        for (shop, said) in self.sentences(shared) {
            sentences.entry(shop).or_insert(said);
        }
        let sentences: Vec<String> = sentences.into_values().collect();
        Some(sentences.join(" · "))
    }

    fn count_conflicts(&mut self, bodies: &[Body]) {
        let opened = bodies
            .iter()
            .filter(|body| matches!(body, Body::ConflictOpened { .. }))
            .count();
        self.counts.conflicts += opened as u64;
        let asides = bodies
            .iter()
            .filter(|body| matches!(body, Body::Aside { .. }))
            .count();
        self.counts.bad += asides as u64;
    }

    pub fn catalogue_loaded(
        &mut self,
        chunk: CatalogueChunk,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        self.loading = false;
        if self.undo.is_some() {
            self.undo_chunk(chunk, shared, now, out);
        } else {
            self.plan_chunk(chunk, shared, now, out);
        }
        self.advance(shared, now, out);
    }

    pub fn orders_loaded(
        &mut self,
        chunk: OrderChunk,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        self.loading = false;
        self.order_chunk(chunk, shared, now, out);
        self.advance(shared, now, out);
    }

    pub fn stock_loaded(
        &mut self,
        chunk: StockChunk,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        self.loading = false;
        self.stock_chunk(chunk, shared, now, out);
        self.advance(shared, now, out);
    }

    pub fn closing_loaded(
        &mut self,
        chunk: ClosingChunk,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        self.loading = false;
        self.closing_chunk(chunk, shared, now, out);
        self.advance(shared, now, out);
    }
}
