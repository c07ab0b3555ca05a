//! Write ahead, then push: intents become durable, and only then are calls made.

use super::Run;
use super::catalogue::items_called_otherwise;
use super::outcome::{LevelTerms, settle};
use crate::catalogue::parts::told_apart;
use crate::customer::{CallId, Effect, Shared};
use crate::retry::{Blame, Remedy, blame, remedy};
use crate::rules::LevelWrites;
use crate::write::Write;
use jiff::{Timestamp, ToSpan};
use lockstep_model::cases::{Also, OpenIntent};
use lockstep_model::entry::{Again, AsideSubject, Body, Settlement, Subject, What};
use lockstep_model::{
    Fault, FaultKind, Field, IntentId, Kind, Lane, OrderStep, Outcome, Path, ShopId, Status, Value,
    variants_of,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Writes whose intents are on their way to the disk, or durable and being sent.
#[derive(Debug)]
pub(crate) struct Writing {
    queues: BTreeMap<ShopId, VecDeque<(IntentId, Write)>>,
    in_flight: BTreeMap<CallId, (ShopId, Vec<(IntentId, Write)>)>,
    durable: bool,
}

/// Something that a shop has under the key of what was to be made there.
#[derive(Debug)]
pub(crate) struct Twin {
    write: Write,
    fault: Fault,
    /// Something was found, and whether it is ours is for the run to say that found it.
    is_looked_for: bool,
}

impl Writing {
    pub fn waits_for(&self, call: CallId) -> bool {
        self.in_flight.contains_key(&call)
    }

    pub fn is_sending(&self) -> bool {
        self.durable
    }
}

impl Run {
    /// Writes these, after their entries. With nothing to write, only appends.
    pub(super) fn write(
        &mut self,
        mut bodies: Vec<Body>,
        also: Also,
        writes: Vec<Write>,
        shared: &mut Shared,
        out: &mut Vec<Effect>,
    ) {
        self.forget_settled(&bodies, shared);
        if writes.is_empty() {
            self.append(bodies, also, out);
            return;
        }
        let mut queues: BTreeMap<ShopId, VecDeque<(IntentId, Write)>> = BTreeMap::new();
        for write in writes {
            let intent = shared.counters.intent();
            bodies.push(Body::Intended {
                intent,
                run: self.id,
                shop: write.shop,
                subject: write.subject.clone(),
                what: write.what.clone(),
            });
            queues
                .entry(write.shop)
                .or_default()
                .push_back((intent, write));
        }
        self.writing = Some(Writing {
            queues,
            in_flight: BTreeMap::new(),
            durable: false,
        });
        out.push(Effect::Intend {
            lane: self.lane,
            bodies,
            also,
        });
    }

    fn forget_settled(&self, bodies: &[Body], shared: &mut Shared) {
        for body in bodies {
            if let Body::Settled { intent, how } = body
                && how.closes()
            {
                shared.open.remove(intent);
                shared.twins.remove(intent);
            }
        }
    }

    pub fn durable(&mut self, shared: &mut Shared, now: Timestamp, out: &mut Vec<Effect>) {
        if let Some(writing) = &mut self.writing {
            writing.durable = true;
            let shops: Vec<ShopId> = writing.queues.keys().copied().collect();
            for shop in shops {
                self.send_next(shop, shared, now, out);
            }
            self.end_writing(shared, now, out);
        }
    }

    /// Nothing was sent. Whether the entries stand nobody knows; a later reading tells that nothing was applied.
    pub fn not_durable(
        &mut self,
        reason: &str,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if let Some(writing) = self.writing.take() {
            let unsent = writing.queues.into_values().flatten().collect();
            self.take_back(unsent, now, out);
            self.cancel(reason);
            shared.look_again(self.lane, soon(now));
            self.advance(shared, now, out);
        }
    }

    /// Known not to have been applied, since it was never sent.
    fn take_back(
        &mut self,
        unsent: Vec<(IntentId, Write)>,
        _now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let mut bodies = Vec::new();
        for (intent, _) in unsent {
            bodies.push(Body::Settled {
                intent,
                how: Box::new(Settlement::NotApplied { fault: None }),
            });
        }
        self.append(bodies, Also::default(), out);
    }

    /// Writes of a sort that the shop has refused since they were meant. They stay due.
    fn take_back_held(
        &mut self,
        shop: ShopId,
        shared: &Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(queue) = self
            .writing
            .as_mut()
            .and_then(|writing| writing.queues.get_mut(&shop))
        else {
            return;
        };
        let is_held = |write: &Write| shared.refusals.is_held(shop, write.change.sort(), now);
        if queue.iter().any(|(_, write)| is_held(write)) {
            let (held, open): (VecDeque<_>, VecDeque<_>) = std::mem::take(queue)
                .into_iter()
                .partition(|(_, write)| is_held(write));
            *queue = open;
            self.take_back(held.into(), now, out);
        }
    }

    fn send_next(
        &mut self,
        shop: ShopId,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let late = shared.writes_until.is_some_and(|until| now >= until);
        let stopped = self.cancelled.is_some() || late || self.failed.contains_key(&shop);
        if !stopped {
            self.take_back_held(shop, shared, now, out);
        }
        let Some(writing) = &mut self.writing else {
            return;
        };
        let Some(queue) = writing.queues.get_mut(&shop) else {
            return;
        };
        if stopped {
            let unsent: Vec<_> = queue.drain(..).collect();
            if late && self.cancelled.is_none() {
                self.cancelled = Some(
                    "the right to write ran out: the coordinator was not reached in time. Nothing is lost; \
                     it goes on when the coordinator is back."
                        .into(),
                );
                shared.look_again(self.lane, soon(now));
            }
            self.take_back(unsent, now, out);
            return;
        }
        let Some((_, first)) = queue.front() else {
            return;
        };
        let sort = first.change.sort();
        let max = self
            .rules
            .shops
            .get(&shop)
            .and_then(|rules| rules.abilities.batches.get(&sort).copied())
            .unwrap_or(1)
            .max(1);
        let mut batch: Vec<(IntentId, Write)> = Vec::new();
        // One that may be to blame for what its shop refused goes alone.
        let is_suspect = |write: &Write| shared.refusals.is_suspect(shop, &write.subject);
        while batch.len() < max
            && queue
                .front()
                .is_some_and(|(_, write)| write.change.sort() == sort)
            && !batch.iter().any(|(_, write)| is_suspect(write))
            && (batch.is_empty() || queue.front().is_some_and(|(_, write)| !is_suspect(write)))
        {
            batch.extend(queue.pop_front());
        }
        let call = shared.counters.call();
        self.counts.calls += 1;
        let changes = batch
            .iter()
            .map(|(_, write)| write.change.clone())
            .collect();
        writing.in_flight.insert(call, (shop, batch));
        out.push(Effect::Push {
            call,
            shop,
            changes,
        });
    }

    pub fn pushed(
        &mut self,
        call: CallId,
        result: Result<Vec<Outcome>, Fault>,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some((shop, batch)) = self
            .writing
            .as_mut()
            .and_then(|writing| writing.in_flight.remove(&call))
        else {
            return;
        };
        match result {
            // No byte was sent.
            Err(fault) => {
                let outcomes = batch.iter().map(|_| Outcome::Failed(fault.clone()));
                self.settle_batch(shop, outcomes.collect(), batch, shared, now, out);
            }
            Ok(outcomes) => self.settle_batch(shop, outcomes, batch, shared, now, out),
        }
        self.send_next(shop, shared, now, out);
        self.end_writing(shared, now, out);
    }

    fn settle_batch(
        &mut self,
        shop: ShopId,
        outcomes: Vec<Outcome>,
        batch: Vec<(IntentId, Write)>,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let settles_after_ms = self.settles_after_ms(shop);
        let look_at = now
            .checked_add(settles_after_ms.milliseconds())
            .unwrap_or(Timestamp::MAX);
        let terms = self.level_terms(shop);
        let mut bodies = Vec::new();
        let mut outcomes = outcomes.into_iter();
        for (intent, write) in batch {
            // A connector that answers for fewer than it was given leaves the rest unknown.
            let outcome = outcomes.next().unwrap_or_else(|| {
                Outcome::Failed(Fault::new(
                    FaultKind::UnknownOutcome,
                    "the shop did not say what became of it",
                ))
            });
            match &outcome {
                Outcome::Done(_) | Outcome::Partly { .. } | Outcome::Accepted { .. } => {
                    self.shop_took(&write, shared, now);
                }
                Outcome::Failed(fault) => match blame(&fault.kind) {
                    Blame::Record => self.shop_took(&write, shared, now),
                    Blame::Nobody => self.shop_said_nothing(&write, shared, now),
                    Blame::Shop => {}
                },
            }
            match outcome {
                Outcome::Failed(fault) => {
                    self.fail(intent, &write, fault, look_at, shared, now, &mut bodies);
                }
                Outcome::Accepted { look_at } => {
                    self.leave_open(intent, &write, look_at, shared, now, &mut bodies);
                }
                Outcome::Done(receipt) => {
                    self.counts.written += 1;
                    note_names(&write, shared);
                    self.note_made(&write);
                    self.note_freed(&write, shared, now);
                    settle(
                        self.id,
                        intent,
                        &write,
                        receipt,
                        &[],
                        terms,
                        now,
                        &mut bodies,
                    );
                }
                Outcome::Partly { receipt, missing } => {
                    self.counts.written += 1;
                    note_names(&write, shared);
                    self.note_made(&write);
                    self.note_freed(&write, shared, now);
                    self.counts.failed += 1;
                    settle(
                        self.id,
                        intent,
                        &write,
                        receipt,
                        &missing,
                        terms,
                        now,
                        &mut bodies,
                    );
                    self.leave_for_later(&write, &missing, shared, now, &mut bodies);
                }
            }
        }
        // A step without an answered record is read again: its outcome stands open.
        for body in &bodies {
            if let Body::Settled { intent, how } = body
                && let Settlement::Unknown { look_at } | Settlement::Answered { look_at } =
                    how.as_ref()
                && !shared.open.contains_key(intent)
            {
                shared.look_again(self.lane, *look_at);
            }
        }
        self.append(bodies, Also::default(), out);
    }

    /// Units that an order gave free are for sale everywhere at once: what this run made of levels came before.
    fn note_freed(&self, write: &Write, shared: &mut Shared, now: Timestamp) {
        if let What::StepOrder { step } = &write.what
            && matches!(
                step,
                OrderStep::Cancel
                    | OrderStep::CancelUnits { .. }
                    | OrderStep::Refund { .. }
                    | OrderStep::Edit { .. }
            )
        {
            shared.look_again(self.lane, soon(now));
        }
    }

    fn note_made(&mut self, write: &Write) {
        let active = Value::text(Status::Active.as_str());
        if let Subject::Record(_) = write.subject
            && let Some(set) = write.what.fields()
            && (variants_of(set).next().is_some()
                || set.get(&Path::new(&Field::Status)) == Some(&active))
        {
            self.made.insert(write.shop);
        }
    }

    pub(super) fn settles_after_ms(&self, shop: ShopId) -> i64 {
        let rules = self.rules.shops.get(&shop);
        rules.map_or(0, |rules| rules.abilities.settles_after_ms)
    }

    pub(super) fn level_terms(&self, shop: ShopId) -> LevelTerms {
        let rules = self.rules.shops.get(&shop);
        LevelTerms {
            writes: rules.map_or(LevelWrites::Absolute, |rules| rules.abilities.level_writes),
            counts: self.rules.stock_owner().is_none_or(|owner| owner == shop),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one caller, and each is needed")]
    fn fail(
        &mut self,
        intent: IntentId,
        write: &Write,
        fault: Fault,
        look_at: Timestamp,
        shared: &mut Shared,
        now: Timestamp,
        bodies: &mut Vec<Body>,
    ) {
        let is_create = matches!(write.what, What::Create { .. } | What::CreateOrder);
        match &fault.kind {
            FaultKind::UnknownOutcome => {
                self.leave_open(intent, write, look_at, shared, now, bodies);
                return;
            }
            // It is there already: it is looked up once, and linked if it is ours.
            FaultKind::Duplicate { .. } if is_create && write.tries == 0 => {
                let twin = Twin {
                    write: write.clone(),
                    fault,
                    is_looked_for: false,
                };
                shared.twins.insert(intent, twin);
                self.leave_open(intent, write, now, shared, now, bodies);
                return;
            }
            _ => {}
        }
        self.counts.failed += 1;
        bodies.push(Body::Settled {
            intent,
            how: Box::new(Settlement::NotApplied {
                fault: Some(fault.clone()),
            }),
        });
        let is_of_shop = blame(&fault.kind) == Blame::Shop
            && !shared
                .refusals
                .is_to_blame(write.shop, &write.subject, &fault.kind);
        if is_of_shop {
            self.shop_refused(write, &fault, shared, now);
            if let FaultKind::RateLimited { .. } = fault.kind {
                self.shop_failed(write.shop, &fault, shared, now);
            }
            return;
        }
        let is_stale_level =
            fault.kind == FaultKind::Conflict && matches!(write.subject, Subject::Level { .. });
        let is_gone_level =
            fault.kind == FaultKind::NotFound && matches!(write.subject, Subject::Level { .. });
        if is_gone_level {
            // The item was removed there: its level is nobody's to write until it is read again.
            self.counts.failed -= 1;
        } else if is_stale_level {
            // A sale came between: it is read and computed again, which is no failure.
            self.counts.failed -= 1;
            if let Subject::Level { item, .. } = &write.subject {
                shared.stale.insert((write.shop, item.clone()));
            }
        } else {
            self.set_aside(write, fault, shared, now, bodies);
            return;
        }
        shared.look_again(self.lane, soon(now));
    }

    /// The same change is tried again later, each time later; another one at once.
    pub(super) fn set_aside(
        &self,
        write: &Write,
        fault: Fault,
        shared: &mut Shared,
        now: Timestamp,
        bodies: &mut Vec<Body>,
    ) {
        let retry_at = match remedy(&fault.kind, write.tries, now) {
            Remedy::Again(at) => at,
            Remedy::Replan | Remedy::Look => soon(now),
        };
        shared.look_again(self.lane, retry_at);
        let parts = told_apart(&write.what, &fault);
        let mut aside = |refused| {
            bodies.push(Body::Aside {
                shop: write.shop,
                subject: AsideSubject::Subject(write.subject.clone()),
                fault: Fault {
                    record: Some(write.label.clone()),
                    shop: Some(write.shop),
                    ..fault.clone()
                },
                retry_at: Some(retry_at),
                tries: write.tries.saturating_add(1),
                refused,
            });
        };
        if !parts.is_empty() && !write.is_part && write.tries > 0 {
            // After its pause the shop may take another part of it than before: what was refused is forgotten.
            aside(Vec::new());
        }
        let has_others = !parts.is_empty() || write.is_part;
        aside(write.fingerprints().into_iter().chain(parts).collect());
        if let (true, Subject::Record(record)) = (has_others, &write.subject) {
            bodies.push(Body::DueAgain {
                what: Again::Record(*record),
            });
            shared.look_again(self.lane, soon(now));
        }
    }

    /// What is missing of a write that was partly done is tried again, later each time.
    fn leave_for_later(
        &self,
        write: &Write,
        missing: &[String],
        shared: &mut Shared,
        now: Timestamp,
        bodies: &mut Vec<Body>,
    ) {
        let fault = Fault::new(FaultKind::Protocol, missing.join(" · "));
        self.set_aside(write, fault, shared, now, bodies);
    }

    fn leave_open(
        &mut self,
        intent: IntentId,
        write: &Write,
        look_at: Timestamp,
        shared: &mut Shared,
        now: Timestamp,
        bodies: &mut Vec<Body>,
    ) {
        self.counts.open += 1;
        bodies.push(Body::Settled {
            intent,
            how: Box::new(Settlement::Unknown { look_at }),
        });
        shared.open.insert(
            intent,
            OpenIntent {
                intent,
                run: self.id,
                shop: write.shop,
                subject: write.subject.clone(),
                what: write.what.clone(),
                at: now,
                look_at: Some(look_at),
            },
        );
        shared.look_again(self.lane, look_at.max(soon(now)));
    }

    fn end_writing(&mut self, shared: &mut Shared, now: Timestamp, out: &mut Vec<Effect>) {
        let over = self.writing.as_ref().is_some_and(|writing| {
            writing.durable
                && writing.in_flight.is_empty()
                && writing.queues.values().all(VecDeque::is_empty)
        });
        if over {
            self.writing = None;
            self.advance(shared, now, out);
        }
    }

    /// Looks up the open writes of this lane whose time has come.
    pub(super) fn look(&mut self, shared: &mut Shared, now: Timestamp, out: &mut Vec<Effect>) {
        if self.dry {
            return;
        }
        self.count_from_now(shared, now, out);
        self.set_foreign_twins_aside(shared, now, out);
        let mut by_name: BTreeSet<(ShopId, Kind)> = BTreeSet::new();
        let mut looks = Vec::new();
        let mut too_early = Vec::new();
        for open in shared.open.values() {
            let settles_after_ms = self.settles_after_ms(open.shop);
            if !crate::catalogue::settled_by(open, settles_after_ms, now) {
                if lane_of(&open.subject) == self.lane {
                    too_early.push(crate::catalogue::settles_at(open, settles_after_ms));
                }
                continue;
            }
            match (&open.subject, &open.what) {
                (Subject::Record(_), What::Create { set }) if self.lane == Lane::Catalogue => {
                    if let Some(key) = super::catalogue::natural_key(set) {
                        looks.push((open.shop, open.intent, key));
                    }
                }
                (Subject::Record(_), _) if self.lane == Lane::Catalogue => {
                    // Read by its id, which the shadow knows: the driver's list names it.
                    by_name.insert((open.shop, Kind::Product));
                    by_name.insert((open.shop, Kind::Category));
                }
                _ => {}
            }
        }
        // After a crash nobody else remembers when a look will prove something.
        for at in too_early {
            shared.look_again(self.lane, at.max(soon(now)));
        }
        for (shop, intent, key) in looks {
            self.look_for(shop, intent, key, shared, now, out);
        }
        for (shop, kind) in by_name {
            self.list_again(shop, kind, out);
        }
    }
}

impl Run {
    /// Nothing of ours was found under the key: it is somebody else's, and what was to be made stands aside with the shop's
    /// own words. Answers the entries.
    pub(super) fn is_not_ours(
        &mut self,
        intent: IntentId,
        shared: &mut Shared,
        now: Timestamp,
    ) -> Option<Vec<Body>> {
        let Twin { write, fault, .. } = shared.twins.remove(&intent)?;
        shared.open.remove(&intent);
        self.counts.failed += 1;
        let mut bodies = vec![Body::Settled {
            intent,
            how: Box::new(Settlement::NotApplied {
                fault: Some(fault.clone()),
            }),
        }];
        self.set_aside(&write, fault, shared, now, &mut bodies);
        Some(bodies)
    }

    pub(super) fn is_found(intent: IntentId, shared: &mut Shared) {
        if let Some(twin) = shared.twins.get_mut(&intent) {
            twin.is_looked_for = true;
        }
    }

    /// An earlier run has found something, and did not take it for ours.
    fn set_foreign_twins_aside(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let foreign: Vec<IntentId> = shared
            .twins
            .iter()
            .filter(|(_, twin)| twin.is_looked_for && lane_of(&twin.write.subject) == self.lane)
            .map(|(intent, _)| *intent)
            .collect();
        for intent in foreign {
            let bodies = self.is_not_ours(intent, shared, now).unwrap_or_default();
            self.append(bodies, Also::default(), out);
        }
    }

    /// Of a write that was meant before this worker began, nobody knows whether and when it was sent: at the latest
    /// just now, by whoever was at it. From here on its time to settle counts, once. What another process waited for
    /// goes on if that can be by our clock too (one that is ended again and again would never come to its end else);
    /// if it has passed already, whoever said so may have had another clock.
    fn count_from_now(&self, shared: &mut Shared, now: Timestamp, out: &mut Vec<Effect>) {
        let mut bodies = Vec::new();
        for open in shared.open.values_mut() {
            if lane_of(&open.subject) != self.lane {
                continue;
            }
            let is_left = shared.left_open.remove(&open.intent);
            if open.look_at.is_some() && !is_left {
                continue;
            }
            let settles_after_ms = self.settles_after_ms(open.shop);
            let look_at = now
                .checked_add(settles_after_ms.milliseconds())
                .unwrap_or(Timestamp::MAX);
            if open.look_at.is_some_and(|at| at > now && at <= look_at) {
                continue;
            }
            open.look_at = Some(look_at);
            bodies.push(Body::Settled {
                intent: open.intent,
                how: Box::new(Settlement::Unknown { look_at }),
            });
        }
        self.append(bodies, Also::default(), out);
    }
}

fn lane_of(subject: &Subject) -> Lane {
    match subject {
        Subject::Record(_) | Subject::Shop(_) | Subject::Catalogue => Lane::Catalogue,
        Subject::Level { .. } | Subject::Order(_) | Subject::Levels => Lane::Trade,
    }
}

/// A moment from now, for what need not wait.
pub(super) fn soon(now: Timestamp) -> Timestamp {
    now.checked_add(500.milliseconds())
        .unwrap_or(Timestamp::MAX)
}

/// What is called otherwise there from now on: its level may have been read before that was known.
fn note_names(write: &Write, shared: &mut Shared) {
    let fields = write.what.fields().into_iter();
    let items = fields.flat_map(items_called_otherwise);
    shared.stale.extend(items.map(|item| (write.shop, item)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer::{Customer, Event, Opened};
    use crate::fixture::{A, ERP, rules};
    use lockstep_model::cases::OpenIntent;
    use lockstep_model::entry::{Cause, What};
    use lockstep_model::{Flow, OrderKey, RunId, Takes};

    #[test]
    fn a_write_that_another_left_open_counts_from_now_whatever_its_clock_said() {
        let now: Timestamp = "2026-03-01T09:00:00Z".parse().unwrap();
        let an_hour_ago = now - 60.minutes();
        let order = OrderKey {
            customer: lockstep_model::CustomerId(1),
            shop: A,
            id: "o1".into(),
        };
        let open = OpenIntent {
            intent: IntentId(5),
            run: RunId(1),
            shop: ERP,
            subject: Subject::Order(order),
            what: What::CreateOrder,
            at: an_hour_ago,
            look_at: Some(an_hour_ago),
        };
        let opened = Opened {
            open: vec![open],
            ..Opened::default()
        };
        let mut customer = Customer::new(
            opened,
            rules(Takes::Placement, Takes::Payment, Takes::Reserve),
        );
        let woken = Event::Woken {
            flows: vec![(A, Flow::Orders)],
            causes: vec![Cause::Schedule],
            everything: false,
        };
        let effects = customer.on(woken, now);
        let settled = effects.iter().find_map(|effect| match effect {
            Effect::Append { bodies, .. } => bodies.iter().find_map(|body| match body {
                Body::Settled { how, .. } => Some((**how).clone()),
                _ => None,
            }),
            _ => None,
        });
        let look_at = now + 1.seconds();
        assert_eq!(settled, Some(Settlement::Unknown { look_at }));
        let looks = |effect: &Effect| matches!(effect, Effect::Find { .. });
        assert!(!effects.iter().any(looks), "a look proves nothing yet");
    }
}
