//! Drives one customer's engine: performs its effects in the order given and brings back what became of them.

use super::Seat;
use super::buyers::Retention;
use super::calls::{Done, Line};
use super::checked::Checked;
use super::doors::Doors;
use super::file::{File, FileError};
use super::health::{ShopsHealth, Sort};
use super::loads::{asked_by_sku, loaded, named};
use super::pace::{Pace, Pair};
use super::plan::Made;
use super::shipper::Shipped;
use super::task::Tools;
use super::undo::{Undoing, preview};
use super::wishes::Wishes;
use crate::clock;
use crate::crash::CrashPoint;
use crate::link::Right;
use crate::shops::Shops;
use jiff::Timestamp;
use lockstep_engine::stock::stock_mapping;
use lockstep_engine::{Customer, Effect, Event, Opened, Progress, Step};
use lockstep_journal::PlanRow;
use lockstep_model::cases::Also;
use lockstep_model::entry::{Again, Body, Cause, Counts, RunResult, RunWhy};
use lockstep_model::settings::CustomerSettings;
use lockstep_model::{Change, Flow, Kind, Lane, Revision, RunId, ShopId, ShopIdentity};
use lockstep_protocol::status::{Phase, RunProgress, ShopReport};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

const FLOWS: [Flow; 4] = [Flow::Categories, Flow::Products, Flow::Stock, Flow::Orders];
const KINDS: [Kind; 4] = [Kind::Category, Kind::Product, Kind::Level, Kind::Order];
/// Open intents that are taken into memory at once.
const INTENTS_PAGE: usize = 500;
/// Runs among which interrupted ones are looked for: each lane has at most one.
const RUNS_LOOKED_AT: usize = 20;

/// Between two runs of a customer that may not be written for now.
const READ_ONLY_PAUSE_MS: i64 = 10_000;

pub struct Driver {
    pub tools: Arc<Tools>,
    pub seat: Seat,
    pub file: File,
    pub shops: Arc<Shops>,
    pub identities: BTreeMap<ShopId, ShopIdentity>,
    checked: Checked,
    /// What may be written to, by the newest settings.
    doors: Arc<Doors>,
    pub engine: Customer,
    pub calls: JoinSet<Done>,
    pub(super) queue: VecDeque<Event>,
    pub next_tick: Option<Timestamp>,
    pub shipped: watch::Receiver<Shipped>,
    pub ship: Arc<Notify>,
    /// Intents that wait for the coordinator: lane → the entry that must be acknowledged.
    waiting: BTreeMap<Lane, u64>,
    pub(super) wishes: Wishes,
    health: Arc<ShopsHealth>,
    runs: BTreeMap<RunId, Live>,
    pub pushes: usize,
    /// How the runs of this driver ended.
    pub ended: Vec<(RunResult, String)>,
    /// Shops' stocks stand for others of ours than before: all levels have to be read under their new names.
    remapped: bool,
    /// Since this revision everything is due, and no run of it has ended yet: one that began before may have taken what
    /// is due for in step, by what it knew.
    moved_at: Option<Revision>,
    pub(super) retention: Retention,
    pub(super) pace: Pace,
}

/// A run that goes on, as far as people are told.
struct Live {
    lane: Lane,
    revision: Revision,
    cause: String,
    started_at: Timestamp,
    /// Requests to shops, which may be more than the engine's calls.
    requests: u64,
}

impl Driver {
    pub async fn new(
        tools: Arc<Tools>,
        seat: Seat,
        file: File,
        shops: Shops,
        shipped: watch::Receiver<Shipped>,
        ship: Arc<Notify>,
    ) -> Result<Self, FileError> {
        let shops = Arc::new(shops);
        close_interrupted_runs(&file).await?;
        file.with(|journal| journal.distrust_staged()).await?;
        let mut identities = known_identities(&file, &shops).await?;
        let mut checked = Checked::load(&tools.link.folder, &seat);
        for shop in meet_new_shops(&file, &shops, &mut identities).await? {
            checked.note(shop, clock::now(), &tools.link.folder, &seat);
        }
        let remapped = map_stocks(&file, &seat.settings, &identities).await?;
        let opened = what_is_known(&file, &shops).await?;
        let rules = shops.rules(&seat.settings, seat.revision, &identities);
        let doors = Arc::new(Doors::default());
        doors.hold_to(&rules);
        Ok(Driver {
            engine: Customer::new(opened, rules),
            doors,
            tools,
            seat,
            file,
            shops,
            identities,
            checked,
            calls: JoinSet::new(),
            queue: VecDeque::new(),
            next_tick: None,
            shipped,
            ship,
            waiting: BTreeMap::new(),
            wishes: Wishes::default(),
            health: Arc::default(),
            runs: BTreeMap::new(),
            pushes: 0,
            ended: Vec::new(),
            remapped,
            moved_at: None,
            retention: Retention::default(),
            pace: Pace::default(),
        })
    }

    /// Asks those shops again who they are that are known already: versions and settings change.
    pub fn check_known_shops(&mut self) {
        let now = clock::now();
        for (shop, each) in self.shops.iter() {
            if !self.identities.contains_key(&shop) || !self.checked.is_due(shop, now) {
                continue;
            }
            let connector = each.connector.clone();
            let health = self.health.clone();
            self.calls.spawn(async move {
                let answer = connector.check().await;
                health.heard(shop, Sort::Read, &answer, clock::now());
                let events = match answer {
                    Ok(identity) => vec![Event::ShopChecked {
                        shop,
                        identity: Box::new(identity),
                    }],
                    // The run's own calls will say so.
                    Err(fault) => {
                        tracing::debug!(%shop, %fault, "the shop was not asked who it is");
                        Vec::new()
                    }
                };
                Done {
                    events,
                    lane: Lane::Trade,
                    requests: 0,
                    was_push: false,
                    shows: None,
                    wrote: None,
                }
            });
        }
    }

    /// The first event: from here on runs start, all that the settings switch on.
    pub async fn begin(&mut self) -> Result<(), FileError> {
        if settings_moved(&self.tools, &self.seat) {
            if self.last_run_had_these_settings().await? {
                remember_settings(&self.tools, &self.seat);
            } else {
                self.mark_everything_due().await?;
            }
        }
        self.read_all_levels();
        self.tell_rights();
        Ok(())
    }

    /// After another mapping of stocks: a feed would not tell of levels that did not move.
    fn read_all_levels(&mut self) {
        if !std::mem::take(&mut self.remapped) {
            return;
        }
        let flows = self.shops.iter().map(|(shop, _)| (shop, Flow::Stock));
        let flows = flows.collect();
        self.on(Event::Woken {
            flows,
            causes: vec![Cause::Settings],
            everything: true,
        });
    }

    /// For a disk that has no note of them: a customer that was taken over.
    async fn last_run_had_these_settings(&self) -> Result<bool, FileError> {
        let noted = self.tools.link.folder.read(&settings_name(&self.seat));
        if noted.ok().flatten().is_some() {
            return Ok(false);
        }
        let runs = self.file.with(|journal| journal.runs(None, 1)).await?;
        let revision = self.seat.revision;
        Ok(runs.first().is_some_and(|run| run.revision == revision))
    }

    fn tell_rights(&mut self) {
        let until = self.right().writes_until(clock::now());
        self.on(Event::WritesUntil(until));
    }

    /// Nothing runs, nothing waits to run, nothing is on its way.
    pub fn is_at_rest(&self) -> bool {
        self.queue.is_empty() && self.calls.is_empty() && self.engine.is_at_rest()
    }

    pub fn right(&self) -> Right {
        self.tools.link.right(self.seat.movable())
    }

    pub fn rights_changed(&mut self) {
        if !self.right().allows_a_write() {
            let lanes: Vec<Lane> = std::mem::take(&mut self.waiting).into_keys().collect();
            for lane in lanes {
                let reason = "the coordinator did not acknowledge the journal in time, so nothing was sent. Nothing is \
                              lost; it goes on when the coordinator is back.";
                self.on(Event::NotDurable {
                    lane,
                    reason: reason.into(),
                });
            }
        }
        self.tell_rights();
    }

    pub fn acknowledged(&mut self) {
        let seq = self.shipped.borrow_and_update().acknowledged_seq;
        self.tell_sequence();
        let durable: Vec<Lane> = self
            .waiting
            .iter()
            .filter(|(_, wanted)| **wanted <= seq)
            .map(|(lane, _)| *lane)
            .collect();
        for lane in durable {
            self.waiting.remove(&lane);
            self.tools
                .link
                .crash
                .reach(CrashPoint::AfterAcknowledgement);
            self.on(Event::Durable { lane });
        }
    }

    pub async fn called(&mut self, done: Done) -> Result<(), FileError> {
        if let Some(shop) = done.wrote {
            self.pace.wrote(shop, Instant::now());
        }
        if done.was_push {
            self.pushes = self.pushes.saturating_sub(1);
        }
        for run in self.runs.values_mut().filter(|run| run.lane == done.lane) {
            run.requests += done.requests;
        }
        let events = match done.shows {
            Some(shop) => named(&self.file, shop, done.events).await?,
            None => done.events,
        };
        for event in events {
            if let Event::ShopChecked { shop, identity } = &event {
                self.checked
                    .note(*shop, clock::now(), &self.tools.link.folder, &self.seat);
                self.identities.insert(*shop, identity.as_ref().clone());
                self.remapped |=
                    map_stocks(&self.file, &self.seat.settings, &self.identities).await?;
            }
            self.on(event);
        }
        self.tell_health();
        self.read_all_levels();
        Ok(())
    }

    /// How its shops answered last.
    fn tell_health(&self) {
        let shops = self.shop_reports();
        self.tools
            .reporter
            .amend(self.seat.customer, |report| report.shops = shops);
    }

    /// What is told of the customer itself starts from this: its shops are as they were heard of last.
    pub fn shop_reports(&self) -> Vec<ShopReport> {
        self.health.reports(|shop| self.shops.get(shop).is_some())
    }

    pub fn wake(&mut self, pairs: BTreeSet<Pair>) {
        for pair in &pairs {
            self.pace.handed(*pair);
        }
        let causes = pairs
            .iter()
            .map(|(shop, flow)| Cause::Wake {
                shop: *shop,
                flow: *flow,
            })
            .collect();
        self.on(Event::Woken {
            flows: pairs.into_iter().collect(),
            causes,
            everything: false,
        });
    }

    /// Settings of the same epoch. Runs that go on keep the revision that they began with.
    pub async fn set(&mut self, seat: Seat, shops: Shops) -> Result<(), FileError> {
        self.seat = seat;
        self.shops = Arc::new(shops);
        // First of all: what is on its way to a shop that is closed now ends before its next request.
        self.doors.hold_to(&self.shops.rules(
            &self.seat.settings,
            self.seat.revision,
            &self.identities,
        ));
        let is_there = |shop: &ShopId, _: &mut ShopIdentity| self.shops.get(*shop).is_some();
        self.identities.retain(is_there);
        for shop in meet_new_shops(&self.file, &self.shops, &mut self.identities).await? {
            self.checked
                .note(shop, clock::now(), &self.tools.link.folder, &self.seat);
        }
        self.remapped |= map_stocks(&self.file, &self.seat.settings, &self.identities).await?;
        let rules = self
            .shops
            .rules(&self.seat.settings, self.seat.revision, &self.identities);
        let moved = settings_moved(&self.tools, &self.seat);
        if moved {
            self.mark_everything_due().await?;
        }
        // Before whatever else happened: what the settings close ends with the next effect.
        self.queue.push_front(Event::Settings(Box::new(rules)));
        self.tell_rights();
        if moved {
            let shops = self.shops.iter();
            let flows = shops.flat_map(|(shop, _)| FLOWS.map(|flow| (shop, flow)));
            let flows = flows.collect();
            self.on(Event::Woken {
                flows,
                causes: vec![Cause::Settings],
                everything: false,
            });
        }
        self.read_all_levels();
        Ok(())
    }

    /// Another policy, shop or identifier: what was in step may not be so any more.
    async fn mark_everything_due(&mut self) -> Result<(), FileError> {
        let bodies = everything_due(&self.shops);
        self.file
            .with(move |journal| journal.append(clock::now(), bodies, Also::default()))
            .await?;
        self.moved_at = Some(self.seat.revision);
        Ok(())
    }

    /// A run has ended, which went by this revision. Everything is due once more after the last one that went by an
    /// older one than the settings in force; only then are these noted as those that everything was due for.
    async fn hold_to_settings(&mut self, ended: Option<Revision>) -> Result<(), FileError> {
        let (Some(moved_at), Some(ended)) = (self.moved_at, ended) else {
            return Ok(());
        };
        if self.runs.values().any(|live| live.revision < moved_at) {
            return Ok(());
        }
        if ended < moved_at {
            self.mark_everything_due().await?;
        }
        self.moved_at = None;
        remember_settings(&self.tools, &self.seat);
        Ok(())
    }

    /// The engine is told in order, one event at a time: see `step`.
    pub fn on(&mut self, event: Event) {
        self.queue.push_back(event);
    }

    pub fn has_events(&self) -> bool {
        !self.queue.is_empty()
    }

    /// One event and its effects. What follows is queued, so that a long plan holds nothing else up.
    pub async fn step(&mut self) -> Result<(), FileError> {
        let Some(event) = self.queue.pop_front() else {
            return Ok(());
        };
        // A later look replaces the one that was planned.
        self.next_tick = None;
        for effect in self.engine.on(event, clock::now()) {
            let answer = self.perform(effect).await?;
            self.queue.extend(answer);
        }
        self.tell_progress();
        Ok(())
    }

    async fn perform(&mut self, effect: Effect) -> Result<Option<Event>, FileError> {
        let crash = &self.tools.link.crash;
        Ok(match effect {
            Effect::Pull {
                call,
                shop,
                request,
            } => {
                let request = asked_by_sku(&self.file, shop, request).await?;
                self.calls.spawn(self.line(shop).pull(call, request));
                None
            }
            Effect::Find { call, shop, key } => {
                self.calls.spawn(self.line(shop).find(call, key));
                None
            }
            Effect::Push {
                call,
                shop,
                changes,
            } => {
                let (link, movable) = (self.tools.link.clone(), self.seat.movable());
                self.pushes += 1;
                self.pace.wrote(shop, Instant::now());
                let flow = match changes.first() {
                    Some(Change::AddPicture { .. } | Change::RemovePicture { .. }) => {
                        Flow::Pictures
                    }
                    Some(change) => change.kind().flow(),
                    None => Flow::Products,
                };
                let pass = self.doors.pass(shop, flow);
                let push = self.line(shop).push(call, changes, pass, link, movable);
                self.calls.spawn(push);
                None
            }
            Effect::Stage {
                lane,
                run: _,
                shop,
                records,
                left_at,
            } => {
                let summary = self
                    .file
                    .with(move |journal| journal.stage_page(shop, records, left_at))
                    .await?;
                crash.reach(CrashPoint::AfterStage);
                Some(Event::Staged {
                    lane,
                    shop,
                    changed: summary.changed,
                })
            }
            load @ (Effect::LoadCatalogue { .. }
            | Effect::LoadRecords { .. }
            | Effect::LoadUndo { .. }
            | Effect::LoadOrders { .. }
            | Effect::LoadStock { .. }
            | Effect::LoadClosing { .. }
            | Effect::ReadAgainList { .. }) => loaded(&self.file, load).await?,
            Effect::SavePlan { run, rows } => {
                let rows: Vec<PlanRow> = rows
                    .into_iter()
                    .map(|(ord, decision)| {
                        serde_json::to_string(&decision).map(|body| PlanRow { ord, body })
                    })
                    .collect::<Result<_, _>>()
                    .map_err(FileError::Plan)?;
                self.file
                    .with(move |journal| journal.save_plan(run, &rows))
                    .await?;
                None
            }
            Effect::LoadPlan { run, after, limit } => {
                let rows = self
                    .file
                    .with(move |journal| journal.load_plan(run, after, limit))
                    .await?;
                let rows = rows
                    .into_iter()
                    .map(|row| Ok((row.ord, serde_json::from_str(&row.body)?)))
                    .collect::<Result<_, _>>()
                    .map_err(FileError::Plan)?;
                Some(Event::PlanLoaded { rows })
            }
            Effect::DropPlan { run } => {
                self.file
                    .with(move |journal| journal.clear_plan(run))
                    .await?;
                None
            }
            Effect::Append { bodies, also } => {
                self.append(bodies, also).await?;
                None
            }
            Effect::Intend { lane, bodies, also } => {
                crash.reach(CrashPoint::BeforeIntent);
                let seq = self.append(bodies, also).await?;
                self.tools.link.crash.reach(CrashPoint::AfterIntent);
                if self.seat.movable() {
                    self.ship.notify_one();
                    if self.right().allows_a_write() {
                        self.waiting.insert(lane, seq);
                        None
                    } else {
                        Some(Event::NotDurable {
                            lane,
                            reason: "this worker has no right to write for the customer now. Nothing was sent and \
                                     nothing is lost; it goes on when the coordinator is back."
                                .into(),
                        })
                    }
                } else {
                    Some(Event::Durable { lane })
                }
            }
            Effect::WaitUntil(at) => {
                // Without the right to write a run would only read, and try again at once.
                let patient = if self.right().allows_a_write() {
                    at
                } else {
                    at.max(later(READ_ONLY_PAUSE_MS))
                };
                self.next_tick = Some(jittered(patient));
                None
            }
            Effect::Finished {
                run,
                lane,
                result,
                counts,
                message,
                why,
            } => {
                let found = result != RunResult::Done || counts.changed > 0 || counts.written > 0;
                self.pace.ended(lane, found, Instant::now());
                let revision = self.runs.get(&run).map(|live| live.revision);
                self.finished(run, result, counts, message, why);
                self.hold_to_settings(revision).await?;
                self.forget_past_buyers().await?;
                None
            }
            Effect::Planned {
                run,
                lane,
                lines,
                total,
                conflicts,
                by_shop,
                made,
                blocked,
                unread,
                stopped_by,
            } => {
                let made = Made {
                    run,
                    lines,
                    total,
                    conflicts,
                    by_shop,
                    made_at: made,
                    blocked,
                    unread,
                    stopped_by: stopped_by.into_iter().collect(),
                };
                self.planned(lane, made).await?;
                None
            }
            Effect::Undoing { run } => {
                self.undo_answered(match run {
                    Some(run) => Ok(Undoing::Begun(run)),
                    None => Err(
                        "no run may start now: syncing is switched off, or another undo comes first".into(),
                    ),
                });
                None
            }
            Effect::UndoShown { run: _, undo } => {
                let customer = self.seat.customer;
                if let Some(run) = self.undo_asked() {
                    let shown = Box::new(preview(customer, run, undo));
                    self.undo_answered(Ok(Undoing::Shown(shown)));
                }
                None
            }
            Effect::Applying { run } => {
                self.applying(run);
                None
            }
        })
    }

    fn line(&self, shop: ShopId) -> Line {
        Line {
            shop,
            shops: self.shops.clone(),
            is_known: self.identities.contains_key(&shop),
            health: self.health.clone(),
            crash: self.tools.link.crash.clone(),
        }
    }

    async fn append(&mut self, mut bodies: Vec<Body>, also: Also) -> Result<u64, FileError> {
        let now = clock::now();
        let crash = &self.tools.link.crash;
        for body in &mut bodies {
            match body {
                Body::RunStarted {
                    run,
                    lane,
                    revision,
                    causes,
                } => {
                    let live = Live {
                        lane: *lane,
                        revision: *revision,
                        cause: causes_in_words(causes, &self.shops),
                        started_at: now,
                        requests: 0,
                    };
                    self.runs.insert(*run, live);
                }
                Body::RunFinished { run, counts, .. } => {
                    count_requests(self.runs.get(run), counts);
                    crash.reach(CrashPoint::BeforeCommit);
                }
                Body::Settled { .. } => crash.reach(CrashPoint::BeforeOutcome),
                _ => {}
            }
        }
        let mark = self
            .file
            .with(move |journal| journal.append(now, bodies, also))
            .await?;
        Ok(mark.seq)
    }

    fn finished(
        &mut self,
        run: RunId,
        result: RunResult,
        mut counts: Counts,
        message: String,
        why: Option<RunWhy>,
    ) {
        let live = self.runs.remove(&run);
        count_requests(live.as_ref(), &mut counts);
        tracing::info!(
            customer = %self.seat.customer,
            %run,
            ?result,
            pulled = counts.pulled,
            changed = counts.changed,
            written = counts.written,
            calls = counts.calls,
            message,
            "a run is over"
        );
        self.ended.push((result, message.clone()));
        if self.ended.len() > RUNS_LOOKED_AT {
            self.ended.remove(0);
        }
        if let Some(live) = live {
            let mut progress = self.told(run, &live, Phase::Finished, counts);
            progress.message = message;
            progress.finished_at = Some(clock::now());
            progress.result = Some(result);
            progress.why = why;
            self.tools.reporter.run(progress);
        }
        // The console's copy should not be behind what it says of the run.
        self.ship.notify_one();
    }

    fn told(&self, run: RunId, live: &Live, phase: Phase, counts: Counts) -> RunProgress {
        RunProgress {
            customer_id: self.seat.customer,
            run,
            lane: live.lane,
            revision: live.revision,
            cause: live.cause.clone(),
            phase,
            counts,
            expected: None,
            message: String::new(),
            started_at: live.started_at,
            finished_at: None,
            result: None,
            why: None,
        }
    }

    fn tell_progress(&self) {
        for Progress {
            run,
            step,
            mut counts,
            expected,
            ..
        } in self.engine.progress()
        {
            let Some(live) = self.runs.get(&run) else {
                continue;
            };
            count_requests(Some(live), &mut counts);
            let phase = match step {
                Step::Pull => Phase::Pull,
                Step::Plan => Phase::Plan,
                Step::WriteAhead => Phase::WriteAhead,
                Step::Push => Phase::Push,
                Step::Finished => Phase::Finished,
            };
            let mut progress = self.told(run, live, phase, counts);
            progress.expected = expected;
            self.tools.reporter.run(progress);
        }
    }

    fn tell_sequence(&self) {
        let sequence = self.shipped.borrow().sequence;
        // A step that nobody would see is no news.
        let calls_per_second = self.shops.calls_per_second().round();
        self.tools.reporter.amend(self.seat.customer, |report| {
            report.journal_sequence = sequence;
            report.calls_per_second_max = Some(calls_per_second);
        });
    }
}

/// The engine counts calls of connectors; one of them may be several requests.
fn count_requests(live: Option<&Live>, counts: &mut Counts) {
    if let Some(live) = live {
        counts.calls = counts.calls.max(live.requests);
    }
}

fn later(ms: i64) -> Timestamp {
    clock::now()
        .checked_add(jiff::SignedDuration::from_millis(ms))
        .unwrap_or(Timestamp::MAX)
}

/// A fleet that waits for the same moment should not come at it as one. Short waits are kept.
fn jittered(at: Timestamp) -> Timestamp {
    let wait_ms = at
        .as_millisecond()
        .saturating_sub(clock::now().as_millisecond());
    if wait_ms < 5_000 {
        return at;
    }
    let more = rand::random_range(0..=(wait_ms / 20).min(5_000));
    at.checked_add(jiff::SignedDuration::from_millis(more))
        .unwrap_or(at)
}

fn causes_in_words(causes: &[Cause], shops: &Shops) -> String {
    let mut words: Vec<String> = causes
        .iter()
        .map(|cause| match cause {
            Cause::Schedule => "schedule".into(),
            Cause::Wake { shop, .. } => match shops.get(*shop) {
                Some(shop) => format!("woken for {}", shop.service.name),
                None => "woken".into(),
            },
            Cause::Settings => "new settings".into(),
            Cause::Retry => "something was left open".into(),
            Cause::Person { name } => name.clone(),
            Cause::Undo { run, by } => format!("{by}, who undoes run {run}"),
        })
        .collect();
    words.dedup();
    words.join(", ")
}

fn interrupted(causes: &[Cause]) -> String {
    let undoes = causes.iter().find_map(|cause| match cause {
        Cause::Undo { run, .. } => Some(run),
        _ => None,
    });
    match undoes {
        Some(run) => format!(
            "The worker stopped before this undo was over. What was asked about already is put back by the next run; \
             undo run {run} again for the rest."
        ),
        None => {
            "The worker stopped before this run was over. Nothing is lost: the next run goes on."
                .into()
        }
    }
}

/// All records, levels and orders: what was in step by other settings may not be so by these.
pub(super) fn everything_due(shops: &Shops) -> Vec<Body> {
    let shops: Vec<ShopId> = shops.iter().map(|(shop, _)| shop).collect();
    let records = |kind| Body::DueAgain {
        what: Again::Records {
            kind,
            shops: shops.clone(),
        },
    };
    vec![
        records(Kind::Category),
        records(Kind::Product),
        Body::DueAgain {
            what: Again::Levels,
        },
        Body::DueAgain {
            what: Again::Orders,
        },
    ]
}

/// Runs that a crash, a stop or a lost lease cut off: they are over, and the next one goes on.
async fn close_interrupted_runs(file: &File) -> Result<(), FileError> {
    file.with(|journal| {
        let runs = journal.runs(None, RUNS_LOOKED_AT)?;
        let open = runs.into_iter().filter(|run| run.finished_at.is_none());
        let bodies: Vec<Body> = open
            .map(|run| Body::RunFinished {
                run: run.run,
                result: RunResult::Cancelled,
                counts: run.counts.unwrap_or_default(),
                message: interrupted(&run.causes),
                through: Vec::new(),
            })
            .collect();
        if !bodies.is_empty() {
            journal.append(clock::now(), bodies, Also::default())?;
        }
        for run in journal.planned_runs()? {
            journal.clear_plan(run)?;
        }
        Ok::<_, lockstep_journal::JournalError>(())
    })
    .await
}

pub(super) async fn known_identities(
    file: &File,
    shops: &Shops,
) -> Result<BTreeMap<ShopId, ShopIdentity>, FileError> {
    let ids: Vec<ShopId> = shops.iter().map(|(shop, _)| shop).collect();
    file.with(move |journal| {
        let mut known = BTreeMap::new();
        for shop in ids {
            if let Some(identity) = journal.identity(shop)? {
                known.insert(shop, identity);
            }
        }
        Ok::<_, lockstep_journal::JournalError>(known)
    })
    .await
}

/// Asks shops that are new who they are: those that said so. One that does not answer stays unknown, and is asked at
/// its next call.
async fn meet_new_shops(
    file: &File,
    shops: &Shops,
    identities: &mut BTreeMap<ShopId, ShopIdentity>,
) -> Result<Vec<ShopId>, FileError> {
    let new = shops
        .iter()
        .filter(|(shop, _)| !identities.contains_key(shop))
        .map(|(shop, each)| {
            let connector = each.connector.clone();
            async move {
                let patience = crate::bounds::CONNECT_TIMEOUT;
                let answer = tokio::time::timeout(patience, connector.check()).await;
                match answer {
                    Ok(Ok(identity)) => Some((shop, identity)),
                    Ok(Err(fault)) => {
                        tracing::warn!(%shop, %fault, "a new shop does not say who it is");
                        None
                    }
                    Err(_late) => None,
                }
            }
        });
    let met = futures::future::join_all(new).await;
    let mut bodies = Vec::new();
    let mut said = Vec::new();
    for (shop, identity) in met.into_iter().flatten() {
        said.push(shop);
        bodies.push(Body::ShopSeen {
            shop,
            identity: Box::new(identity.clone()),
        });
        identities.insert(shop, identity);
    }
    if !bodies.is_empty() {
        file.with(move |journal| journal.append(clock::now(), bodies, Also::default()))
            .await?;
    }
    Ok(said)
}

/// True: a stock of a shop that was known stands for another of ours now, or for none.
pub(super) async fn map_stocks(
    file: &File,
    settings: &CustomerSettings,
    identities: &BTreeMap<ShopId, ShopIdentity>,
) -> Result<bool, FileError> {
    let mapping = stock_mapping(settings, identities);
    file.with(move |journal| {
        let before = journal.stock_mapping()?;
        let moved = before.is_some_and(|before| {
            before.shops.iter().any(|(shop, stocks)| {
                stocks
                    .iter()
                    .any(|(remote, ours)| mapping.stock(*shop, Some(remote)) != Some(*ours))
            })
        });
        journal.map_stocks(clock::now(), mapping)?;
        Ok::<_, lockstep_journal::JournalError>(moved)
    })
    .await
}

pub(super) async fn what_is_known(file: &File, shops: &Shops) -> Result<Opened, FileError> {
    let ids: Vec<ShopId> = shops.iter().map(|(shop, _)| shop).collect();
    file.with(move |journal| {
        let counters = journal.counters()?;
        let mut cursors = BTreeMap::new();
        for shop in ids {
            for kind in KINDS {
                if let Some(cursor) = journal.cursor(shop, kind)? {
                    cursors.insert((shop, kind), cursor);
                }
            }
        }
        let mut open = Vec::new();
        loop {
            let after = open
                .last()
                .map(|intent: &lockstep_model::cases::OpenIntent| intent.intent);
            let page = journal.open_intents(after, INTENTS_PAGE)?;
            let is_last = page.len() < INTENTS_PAGE;
            open.extend(page);
            if is_last {
                break;
            }
        }
        Ok::<_, lockstep_journal::JournalError>(Opened {
            next_run: counters.run,
            next_record: counters.record,
            next_intent: counters.intent,
            next_conflict: counters.conflict,
            cursors,
            open,
            meetings: journal.meetings()?,
            asked_of_levels: journal.asked_of_levels()?,
            emptied_levels: journal.emptied_levels()?,
            asked_of_catalogue: journal.asked_of_catalogue()?,
        })
    })
    .await
}

fn settings_name(seat: &Seat) -> String {
    format!("customers/{}.settings", seat.customer)
}

/// Whether what decisions follow from is other than when everything was last due.
fn settings_moved(tools: &Tools, seat: &Seat) -> bool {
    let kept = tools.link.folder.read(&settings_name(seat)).ok().flatten();
    kept.as_deref() != Some(seat.decisive().as_slice())
}

fn remember_settings(tools: &Tools, seat: &Seat) {
    if let Err(error) = tools
        .link
        .folder
        .write(&settings_name(seat), &seat.decisive())
    {
        tracing::warn!(%error, "it was not noted which settings are in force; all records are looked at again at the next start");
    }
}
