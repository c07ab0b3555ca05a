//! What people ask for and a run of the lane can hold up: plans, plans to be applied, undos. A short run is waited for;
//! while a longer one goes on they are told so at once, and what they asked for is not done behind their backs later.

use super::driver::Driver;
use super::file::FileError;
use super::plan::{Around, Asked, Made, plan};
use super::undo::{Undoing, objection};
use lockstep_engine::{Event, Progress, Step, Wish, lanes_of_plan};
use lockstep_model::{Lane, RunId};
use lockstep_protocol::people::plan::Plan;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a run of the lane is waited for before people are told of it.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// A run goes on that this has to wait for: it was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldUp {
    pub run: RunId,
    /// For people.
    pub detail: String,
}

pub type PlanReply = oneshot::Sender<Result<Plan, HeldUp>>;
/// `None`: the plan is not known (any more).
pub type ApplyReply = oneshot::Sender<Result<Option<RunId>, HeldUp>>;
/// The inner error is for people.
pub type UndoReply = oneshot::Sender<Result<Result<Undoing, String>, HeldUp>>;

/// Who waits for what.
#[derive(Default)]
pub struct Wishes {
    /// The first is with the engine, the others wait for it.
    plans: VecDeque<(Asked, PlanReply)>,
    /// What the first of them has of each lane.
    made: BTreeMap<Lane, Made>,
    apply: Option<ApplyReply>,
    /// The run that somebody wants undone, until the undo begins or was shown.
    undo: Option<(RunId, UndoReply)>,
    /// When to look whether a run holds it up.
    look: BTreeMap<Wish, Instant>,
}

impl Wishes {
    fn await_from_now(&mut self, wish: Wish) {
        self.look.insert(wish, Instant::now() + PATIENCE);
    }

    /// When somebody has waited long enough to be told why.
    pub fn next_look(&self) -> Option<Instant> {
        self.look.values().min().copied()
    }
}

fn held_up(progress: &Progress, wish: Wish) -> HeldUp {
    let counts = &progress.counts;
    let far = match (progress.step, progress.expected) {
        (Step::Push | Step::WriteAhead, Some(of)) => format!("{} of {of} written", counts.written),
        (Step::Push | Step::WriteAhead, None) => format!("{} written", counts.written),
        (Step::Pull | Step::Plan | Step::Finished, _) => format!("{} read", counts.pulled),
    };
    let what = match wish {
        Wish::Plan => "No plan was made: make it once that run has ended",
        Wish::Apply => "Nothing of the plan was written: apply it once that run has ended",
        Wish::Undo => "Nothing was undone: undo it once that run has ended",
    };
    HeldUp {
        run: progress.run,
        detail: format!(
            "run {} ({}) goes on, {far} so far. {what}",
            progress.run, progress.lane
        ),
    }
}

impl Driver {
    pub fn ask_for_plan(&mut self, asked: Asked, reply: PlanReply) {
        self.wishes.plans.push_back((asked, reply));
        if self.wishes.plans.len() == 1 {
            self.ask_for_the_first_plan();
        }
    }

    fn ask_for_the_first_plan(&mut self) {
        // Whoever has gone needs no plan.
        self.wishes.plans.retain(|(_, reply)| !reply.is_closed());
        let Some((asked, _)) = self.wishes.plans.front() else {
            return;
        };
        let flows = asked.flows.clone();
        self.wishes.made.clear();
        self.wishes.await_from_now(Wish::Plan);
        self.on(Event::PlanAsked { flows });
    }

    pub async fn planned(&mut self, lane: Lane, made: Made) -> Result<(), FileError> {
        let Some((asked, _)) = self.wishes.plans.front() else {
            return Ok(());
        };
        let lanes = lanes_of_plan(&asked.flows);
        self.wishes.made.insert(lane, made);
        self.wishes.made.retain(|lane, _| lanes.contains(lane));
        if self.wishes.made.len() < lanes.len() {
            return Ok(());
        }
        self.wishes.look.remove(&Wish::Plan);
        let mut made = std::mem::take(&mut self.wishes.made);
        let (catalogue, trade) = (made.remove(&Lane::Catalogue), made.remove(&Lane::Trade));
        let made = match (catalogue, trade) {
            (Some(catalogue), Some(trade)) => Some(catalogue.join(trade)),
            (catalogue, trade) => catalogue.or(trade),
        };
        if let (Some(made), Some((asked, reply))) = (made, self.wishes.plans.pop_front()) {
            let settings = self.seat.settings.clone();
            let (shops, narrow) = (
                settings
                    .shops()
                    .map(|(shop, _)| shop.id)
                    .collect::<Vec<_>>(),
                settings.shops_that_pick(),
            );
            let (standing, meetings) = self
                .file
                .with(move |journal| {
                    let standing = journal.standing(&shops, &narrow)?;
                    Ok::<_, lockstep_journal::JournalError>((standing, journal.meetings()?))
                })
                .await?;
            let around = Around {
                settings: &settings,
                revision: self.seat.revision,
                standing,
                not_accepted: meetings.waiting,
            };
            // Nobody waits any more: the ask's time is over.
            let _unheard = reply.send(Ok(plan(self.seat.customer, made, &around, &asked)));
        }
        self.ask_for_the_first_plan();
        Ok(())
    }

    pub fn apply(&mut self, plan: RunId, by: String, reply: ApplyReply) {
        if self.wishes.apply.is_some() {
            // One at a time: whoever comes second sees a new plan anyway.
            let _unheard = reply.send(Ok(None));
            return;
        }
        self.wishes.apply = Some(reply);
        self.wishes.await_from_now(Wish::Apply);
        self.on(Event::ApplyAsked { plan, by });
    }

    pub fn applying(&mut self, run: Option<RunId>) {
        self.wishes.look.remove(&Wish::Apply);
        if let Some(reply) = self.wishes.apply.take() {
            // Nobody waits any more: the ask's time is over.
            let _unheard = reply.send(Ok(run));
        }
    }

    pub async fn undo(
        &mut self,
        run: RunId,
        dry: bool,
        by: String,
        reply: UndoReply,
    ) -> Result<(), FileError> {
        let known = self.file.with(move |journal| journal.run(run)).await?;
        let waits = self.wishes.undo.as_ref();
        let waits = waits.filter(|(_, reply)| !reply.is_closed());
        let objection = objection(run, known.as_ref()).or_else(|| {
            let (other, _) = waits?;
            Some(format!(
                "an undo of run {other} is asked for already; wait until it has begun"
            ))
        });
        if let Some(why) = objection {
            // Nobody waits any more: the ask's time is over.
            let _unheard = reply.send(Ok(Err(why)));
            return Ok(());
        }
        self.wishes.undo = Some((run, reply));
        self.wishes.await_from_now(Wish::Undo);
        self.on(Event::UndoAsked { run, by, dry });
        Ok(())
    }

    /// The run that is asked to be undone, as long as somebody waits.
    pub fn undo_asked(&self) -> Option<RunId> {
        self.wishes.undo.as_ref().map(|(run, _)| *run)
    }

    pub fn undo_answered(&mut self, answer: Result<Undoing, String>) {
        self.wishes.look.remove(&Wish::Undo);
        if let Some((_, reply)) = self.wishes.undo.take() {
            // Nobody waits any more: the ask's time is over.
            let _unheard = reply.send(Ok(answer));
        }
    }

    /// Tells whoever waits behind a run that it goes on, and lets go of what was asked for.
    pub fn tell_who_waits(&mut self) {
        let now = Instant::now();
        let looks = self.wishes.look.iter();
        let due: Vec<Wish> = looks
            .filter(|(_, at)| **at <= now)
            .map(|(wish, _)| *wish)
            .collect();
        for wish in due {
            let Some(progress) = self.engine.behind(wish) else {
                match self.has_events() {
                    // The engine may not have heard of it yet.
                    true => self.wishes.await_from_now(wish),
                    false => {
                        self.wishes.look.remove(&wish);
                    }
                }
                continue;
            };
            self.wishes.look.remove(&wish);
            self.on(Event::Withdrawn { wish });
            let why = held_up(&progress, wish);
            // Nobody waits any more: the ask's time is over.
            match wish {
                Wish::Plan => {
                    self.wishes.made.clear();
                    for (_, reply) in std::mem::take(&mut self.wishes.plans) {
                        let _unheard = reply.send(Err(why.clone()));
                    }
                }
                Wish::Apply => {
                    if let Some(reply) = self.wishes.apply.take() {
                        let _unheard = reply.send(Err(why));
                    }
                }
                Wish::Undo => {
                    if let Some((_, reply)) = self.wishes.undo.take() {
                        let _unheard = reply.send(Err(why));
                    }
                }
            }
        }
    }
}
