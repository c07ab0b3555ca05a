//! Calls to shops: they wait for their turn, leave, arrive or get lost, and every change passes the door.

use super::{Due, ErpWrite, LATE_MS, LONGEST_PAUSE_MS, Sim};
use crate::coordinator::later;
use crate::door::push_of;
use crate::mistakes::Mistake;
use crate::pace::{Next as Turned, Pace, shop_of};
use crate::scenario::ERP;
use crate::worker::since_ever;
use lockstep_engine::{CallId, Effect, Event};
use lockstep_model::{
    Change, Fault, FaultKind, Kind, Next, OrderStep, Outcome, Page, PullRequest, Scope, ShopId,
};

impl Sim {
    /// A call leaves, or waits for its turn.
    pub(super) fn call(&mut self, machine: usize, call: Effect) {
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

    pub(super) fn pace(&mut self, machine: usize, shop: ShopId) -> Option<&mut Pace> {
        let process = self.machines[machine].process.as_mut()?;
        process.paces.get_mut(&shop)
    }

    pub(super) fn let_calls_go(&mut self, machine: usize, shop: ShopId) {
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

    pub(super) fn heard<T>(&mut self, machine: usize, shop: ShopId, result: &Result<T, Fault>) {
        let now = since_ever(self.now);
        if let Some(pace) = self.pace(machine, shop) {
            pace.heard(result.as_ref().err(), now);
        }
    }

    pub(super) fn leave(&mut self, machine: usize, call: Effect) {
        let now = self.now;
        let clock = self.machines[machine].clock(now);
        let generation = self.machines[machine].generation;
        if let (
            Effect::Pull { call, shop, .. }
            | Effect::Find { call, shop, .. }
            | Effect::Push { call, shop, .. },
            Some(process),
        ) = (&call, self.process(machine, generation))
        {
            process.places.insert(*call, *shop);
        }
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
                let fault = fault.or_else(|| self.refused_to_show(shop));
                let request = self.asked_by_sku(machine, shop, request);
                let request = self.as_mistaken(shop, request);
                let result = match fault {
                    Some(fault) => Err(fault),
                    None if self.is_left_out(machine, shop, &request) => Ok(nothing_new(&request)),
                    None => Ok(self.shops[&shop].pull(&request)),
                };
                self.heard(machine, shop, &result);
                self.reply_to_a_read(machine, Event::Pulled { call, result });
            }
            Effect::Find { call, shop, key } => {
                let fault = self.faults.of_a_read(&mut self.dice, clock);
                let fault = fault.or_else(|| self.refused_to_show(shop));
                let result = match fault {
                    Some(fault) => Err(fault),
                    None => Ok(self.shops[&shop].find(&key, now)),
                };
                self.note(|| {
                    let found = result.as_ref().map(Vec::len);
                    format!("found {found:?} of {key:?} in shop {shop}")
                });
                self.heard(machine, shop, &result);
                self.reply_to_a_read(machine, Event::Found { call, result });
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

    /// Levels are asked for by what their items are called in the shop.
    fn asked_by_sku(&self, machine: usize, shop: ShopId, request: PullRequest) -> PullRequest {
        match (&request.scope, &self.machines[machine].journal) {
            (Scope::Ids(items), Some(journal)) if request.kind == Kind::Level => {
                let skus = journal.skus_at(shop, items);
                PullRequest {
                    scope: Scope::Ids(skus.expect("what items are called")),
                    ..request
                }
            }
            _ => request,
        }
    }

    /// Orders are read once in a run and not again after levels were: a mistake.
    fn is_left_out(&mut self, machine: usize, shop: ShopId, request: &PullRequest) -> bool {
        if self.mistake != Some(Mistake::OrdersNotReadAgain) {
            return false;
        }
        let Some(process) = &mut self.machines[machine].process else {
            return false;
        };
        match (request.kind, &request.scope) {
            (Kind::Level, _) => {
                process.levels_read.insert(shop);
                false
            }
            (Kind::Order, Scope::Since(_)) => process.levels_read.contains(&shop),
            _ => false,
        }
    }

    /// A batch leaves, if the process may still write.
    pub(super) fn push(
        &mut self,
        machine: usize,
        call: CallId,
        shop: ShopId,
        changes: Vec<Change>,
    ) {
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
        } else if let Some(closed) = self.is_closed(machine, shop, &changes) {
            Some(closed)
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
                self.note_refused(shop, &change);
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
                if let Some(fault) = self.note_refused(shop, &change) {
                    self.arrives(shop, change, true);
                    outcomes.push(Outcome::Failed(fault));
                    continue;
                }
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

    /// Why the shop does not do it, if it does not.
    fn note_refused(&mut self, shop: ShopId, change: &Change) -> Option<Fault> {
        let fault = self.refused(shop, change)?;
        let push = push_of(self.shops.get(&shop)?, change);
        self.refused_pushes.entry(push).or_default().push(self.now);
        Some(fault)
    }

    /// Holds a change against the acknowledged intents; then it is the connector's.
    pub(super) fn arrives(
        &mut self,
        shop: ShopId,
        mut change: Change,
        lost: bool,
    ) -> Option<Change> {
        self.pushes += 1;
        let read_since = later(self.now, -self.read_before_ms());
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
                read_since: self.read_since.min(read_since),
                units: (*on_hand - was.on_hand).try_into().unwrap_or_default(),
                unanswered: lost,
            });
        }
        if let Some(mistake) = self.mistake {
            mistake.in_change(&mut change);
            if mistake == Mistake::BufferOffTheOwnerToo
                && shop == ERP
                && let Change::SetLevel { on_hand, .. } = &mut change
            {
                let buffers = self.rules.settings.policies.stock.buffer.values();
                *on_hand -= buffers.max().copied().unwrap_or_default();
            }
            if mistake == Mistake::CancelGivenBackTwice
                && let Change::StepOrder {
                    id,
                    step: OrderStep::Cancel,
                    ..
                } = &change
                && let Some(order) = at.orders.get(id).cloned()
                && !order.any_shipped()
                && !order.cancelled
            {
                for line in &order.lines {
                    if let Some(sku) = &line.sku {
                        at.move_on_hand(sku, line.quantity);
                    }
                }
            }
        }
        Some(change)
    }

    /// What a client does that repeats whatever got no answer.
    pub(super) fn repeat_by_mistake(&mut self, shop: ShopId, change: &Change) {
        if self.mistake == Some(Mistake::StockWriteRepeated)
            && let Change::SetLevel { .. } = change
        {
            let at = later(self.now, self.dice.between(500, 4_000));
            let change = Box::new(change.clone());
            self.at(at, Due::Late { shop, change });
        }
    }
}

fn nothing_new(request: &PullRequest) -> Page {
    let cursor = match &request.scope {
        Scope::Since(cursor) => Some(cursor.clone()),
        Scope::Everything(_) | Scope::Ids(_) => None,
    };
    Page {
        records: Vec::new(),
        next: Next::End(cursor),
    }
}
