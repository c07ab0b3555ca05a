//! The trade lane: orders and levels of a shop are one reading, the ledger comes before the writes, and orders are
//! read before stock is written.

use super::{CHUNK, Phase, Run};
use crate::catalogue::settles_at;
use crate::customer::{Effect, Shared};
use crate::orders;
use crate::stock::{self, StockDecision};
use crate::write::Write;
use jiff::{SignedDuration, Timestamp};
use lockstep_model::cases::{
    Also, ClosingChunk, Consumed, OpenIntent, OrderChunk, StockCase, StockChunk,
};
use lockstep_model::entry::Subject;
use lockstep_model::{ChangeSort, Flow, Kind, NaturalKey, RemoteId, ShopId};
use std::collections::{BTreeMap, BTreeSet};

/// Readings of orders and levels are repeated while orders come in between; after so many, orders alone are read once more,
/// and levels that they touch are left to the next run.
const ROUNDS_MAX: u8 = 5;
/// Passes over the orders of a run: a copy that was just made may have steps to take, one after the other. Each pass has
/// to write something for the next to come.
const PASSES_MAX: u8 = 12;

impl Run {
    /// Enters the next phase. True: something is outstanding now, or the run is over.
    pub(super) fn advance_trade(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> bool {
        match self.phase.clone() {
            Phase::Look => {
                self.phase = Phase::ReadOrders { round: 0 };
                self.reads.moved.clear();
                for shop in self.trading_shops() {
                    self.read_feed(shop, Kind::Order, shared, now, out);
                    self.list_again(shop, Kind::Order, out);
                }
                false
            }
            Phase::ReadOrders { round } => {
                // Nothing new since the levels were read: the reading is undisturbed.
                if round > 0 && self.reads.moved.is_empty() {
                    self.phase = Phase::Close { after: None };
                    return false;
                }
                self.phase = Phase::SeeOrders { round };
                self.orders_after = None;
                self.load_orders(out);
                true
            }
            Phase::SeeOrders { round } if round > ROUNDS_MAX => {
                shared.look_again(self.lane, super::writing::soon(now));
                self.phase = Phase::Close { after: None };
                false
            }
            Phase::SeeOrders { round } => {
                self.reads.moved.clear();
                self.phase = Phase::ReadLevels { round };
                if round == 0 {
                    for shop in self.trading_shops() {
                        self.read_feed(shop, Kind::Level, shared, now, out);
                    }
                }
                false
            }
            Phase::ReadLevels { round } => {
                self.phase = Phase::ReadTouched { round };
                for shop in self.all_shops(Kind::Level) {
                    self.list_again(shop, Kind::Level, out);
                    let stale = shared.stale.extract_if(.., |(at, _)| *at == shop);
                    let items: Vec<RemoteId> = stale.map(|(_, item)| RemoteId(item.0)).collect();
                    self.read_by_name(shop, Kind::Level, &items, shared, now, out);
                }
                false
            }
            Phase::ReadTouched { round } => {
                let shops = self.disturbed_shops(round);
                if !shops.is_empty() && round <= ROUNDS_MAX {
                    self.reads.moved.clear();
                    self.phase = Phase::ReadOrders { round: round + 1 };
                    for shop in shops {
                        self.read_feed(shop, Kind::Order, shared, now, out);
                    }
                } else {
                    self.phase = Phase::Close { after: None };
                    return false;
                }
                false
            }
            Phase::Close { after } => {
                if !self.is_time_to_close(shared, now) {
                    self.take_acceptance(shared, now);
                    self.phase = Phase::Stock;
                    self.stock_after = None;
                    self.load_stock(out);
                    return true;
                }
                let days = self.rules.settings.policies.stock.close_after_days;
                let kept = SignedDuration::from_hours(24 * i64::from(days));
                self.loading = true;
                out.push(Effect::LoadClosing {
                    after,
                    before: now.checked_sub(kept).unwrap_or(Timestamp::MIN),
                    limit: CHUNK,
                });
                true
            }
            Phase::Weigh => {
                if self.stock_after.is_none() {
                    self.is_weighed();
                    self.phase = Phase::Stock;
                }
                self.load_stock(out);
                true
            }
            Phase::Stock => {
                if self.stock_after.is_some() {
                    self.load_stock(out);
                } else if std::mem::take(&mut self.read_first) {
                    self.phase = Phase::ReadLevels { round: 1 };
                    return false;
                } else {
                    self.ask_about_levels(shared, now, out);
                    self.phase = Phase::Orders { pass: 0 };
                    self.pass_writes = 0;
                    self.orders_after = None;
                    self.load_orders(out);
                }
                true
            }
            Phase::Orders { pass } => {
                if self.orders_after.is_some() {
                    self.load_orders(out);
                } else if self.pass_writes > 0 && pass + 1 < PASSES_MAX && !self.dry {
                    self.phase = Phase::Orders { pass: pass + 1 };
                    self.pass_writes = 0;
                    self.load_orders(out);
                } else {
                    self.finish(shared, now, out);
                }
                true
            }
            Phase::ReadCatalogue
            | Phase::UndoLoad
            | Phase::UndoRead
            | Phase::UndoJudge
            | Phase::UndoNext { .. }
            | Phase::Plan { .. }
            | Phase::Apply { .. }
            | Phase::Over => {
                self.finish(shared, now, out);
                true
            }
        }
    }

    /// Once a day, or as often as an order can be over.
    fn is_time_to_close(&self, shared: &Shared, now: Timestamp) -> bool {
        let days = self.rules.settings.policies.stock.close_after_days.min(1);
        let rest = SignedDuration::from_hours(24 * i64::from(days));
        !self.dry
            && !self.closed
            && shared
                .closed
                .is_none_or(|closed| now.duration_since(closed) >= rest)
    }

    pub(super) fn closing_chunk(
        &mut self,
        chunk: ClosingChunk,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if self.cancelled.is_some() {
            return;
        }
        if chunk.next.is_none() {
            shared.closed = Some(now);
            self.closed = true;
        }
        let cases = chunk.cases.iter();
        let bodies = cases.flat_map(|case| stock::close(case, &self.rules));
        self.append(bodies.collect(), Also::default(), out);
        self.phase = Phase::Close { after: chunk.next };
    }

    /// Shops that this run was woken for.
    fn trading_shops(&self) -> Vec<ShopId> {
        let shops = self.cause.shops().into_iter();
        shops
            .filter(|shop| self.cause.reads(*shop, Flow::Orders))
            .collect()
    }

    /// Shops whose orders have to be read once more, for a level goes with the orders around it: those whose levels
    /// have moved, or were read to be written over. Later it is all that were read: whatever came in between may
    /// belong to levels of any.
    fn disturbed_shops(&self, round: u8) -> BTreeSet<ShopId> {
        let read = self.fresh.keys().copied();
        if round > 0 {
            return self.trading_shops().into_iter().chain(read).collect();
        }
        let written_over = read.filter(|shop| self.level_terms(*shop).needs_a_fresh_reading());
        self.reads
            .moved
            .iter()
            .copied()
            .chain(written_over)
            .collect()
    }

    pub(super) fn all_shops(&self, kind: Kind) -> Vec<ShopId> {
        let shops = self.rules.shops.iter();
        shops
            .filter(|(shop, rules)| {
                rules.abilities.pages.contains_key(&kind) && !self.failed.contains_key(shop)
            })
            .map(|(shop, _)| *shop)
            .collect()
    }

    fn load_orders(&mut self, out: &mut Vec<Effect>) {
        self.loading = true;
        out.push(Effect::LoadOrders {
            after: self.orders_after.take(),
            limit: CHUNK,
            receivers: self.rules.orders_into().into_iter().collect(),
        });
    }

    fn load_stock(&mut self, out: &mut Vec<Effect>) {
        self.loading = true;
        out.push(Effect::LoadStock {
            after: self.stock_after.take(),
            limit: CHUNK,
            count: self.has_to_count(),
        });
    }

    pub(super) fn order_chunk(
        &mut self,
        chunk: OrderChunk,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        self.orders_after = chunk.next.clone();
        if self.cancelled.is_some() {
            return;
        }
        match self.phase {
            Phase::SeeOrders { round } => {
                if round > 0 {
                    self.distrust_levels_of(&chunk, shared);
                }
                let bodies = chunk
                    .cases
                    .iter()
                    .flat_map(|case| orders::see(case, &self.rules, self.id).bodies)
                    .collect();
                self.append(bodies, Also::default(), out);
                if self.orders_after.is_some() {
                    self.load_orders(out);
                }
            }
            Phase::Orders { .. } => self.decide_orders(chunk, shared, now, out),
            _ => {}
        }
    }

    /// Orders that moved while their levels were read: the levels may show any step of them, also one that no reading of
    /// the order ever showed (placed and cancelled in between).
    fn distrust_levels_of(&self, chunk: &OrderChunk, shared: &mut Shared) {
        for (shop, moved) in chunk.cases.iter().flat_map(|case| &case.staged) {
            let items = moved.state.lines.iter().filter_map(|line| line.item());
            shared.stale.extend(items.map(|item| (*shop, item)));
        }
    }

    fn decide_orders(
        &mut self,
        chunk: OrderChunk,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let mut bodies = Vec::new();
        let mut also = Also::default();
        let mut writes = Vec::new();
        let mut buyers: BTreeMap<ShopId, BTreeSet<RemoteId>> = BTreeMap::new();
        for case in &chunk.cases {
            for (shop, staged) in &case.staged {
                let open = case.open.iter().filter(|intent| intent.shop == *shop);
                let open: Vec<OpenIntent> = open.cloned().collect();
                if self.could_be_told(&open, staged.left_at, now) {
                    shared.look_again(self.lane, super::writing::soon(now));
                }
            }
            let decision = orders::decide(case, &self.rules, &mut shared.counters.conflict, now);
            bodies.extend(orders::see(case, &self.rules, self.id).bodies);
            bodies.extend(decision.bodies);
            self.show(decision.lines);
            if self.dry {
                continue;
            }
            if decision.read_again && !self.is_worth_its_buyer(&buyers, shared, now) {
                // The receiver takes no orders now: this one stays due.
                self.has_left_some = true;
                continue;
            }
            if decision.read_again {
                buyers
                    .entry(case.order.shop)
                    .or_default()
                    .insert(case.order.id.clone());
                // Without its buyer it is loaded again once it was read.
                self.pass_writes += 1;
                continue;
            }
            also.consumed.extend(decision.consumed);
            if decision.done {
                also.orders_done.push(case.order.clone());
            }
            for look in decision.look {
                if self.looked.insert(look.intent) {
                    let key = NaturalKey::Order {
                        key: look.order,
                        not_before: look.not_before,
                    };
                    self.look_for(look.shop, look.intent, key, shared, now, out);
                    self.pass_writes += 1;
                }
            }
            writes.extend(decision.writes);
        }
        // Orders whose writes wait for their shop stay due.
        let (writes, _) = self.admit(writes, shared, now);
        self.pass_writes += writes.len() as u64;
        self.count_conflicts(&bodies);
        self.write(bodies, also, writes, shared, out);
        for (shop, ids) in buyers {
            let ids: Vec<RemoteId> = ids.into_iter().collect();
            self.read_by_name(shop, Kind::Order, &ids, shared, now, out);
        }
    }

    /// Is the buyer of one more order to be read? Not for a receiver that refuses orders, and of one that may do so only one.
    fn is_worth_its_buyer(
        &self,
        buyers: &BTreeMap<ShopId, BTreeSet<RemoteId>>,
        shared: &mut Shared,
        now: Timestamp,
    ) -> bool {
        let Some(into) = self.rules.orders_into() else {
            return true;
        };
        let sort = ChangeSort::CreateOrder;
        if self.failed.contains_key(&into) || shared.refusals.waits_at(into, sort, self.lane, now) {
            return false;
        }
        buyers.is_empty() || !shared.refusals.is_doubtful(into, sort)
    }

    /// An absolute write to a shop whose own movements count loses what has moved since it was read: it is read just
    /// before, also if nothing told that it moved.
    fn is_stale(&self, write: &Write) -> bool {
        let Subject::Level { item, .. } = &write.subject else {
            return false;
        };
        let read = self.fresh.get(&write.shop);
        self.level_terms(write.shop).needs_a_fresh_reading()
            && !read.is_some_and(|items| items.contains(item))
            && !self.failed.contains_key(&write.shop)
    }

    fn fresh_enough(&mut self, writes: Vec<Write>, shared: &mut Shared) -> Vec<Write> {
        let (stale, fresh): (Vec<Write>, Vec<Write>) =
            writes.into_iter().partition(|write| self.is_stale(write));
        for write in stale {
            if let Subject::Level { item, .. } = write.subject {
                self.read_first = true;
                shared.stale.insert((write.shop, item));
            }
        }
        fresh
    }

    /// A level whose shop failed before its orders were read once more proves nothing: it may have been written over a
    /// sale that no reading has shown. Nor does one that an order touched when it was read last. They are read anew when
    /// the shop is back, and by the next run. True: there was one.
    fn leave_out_unproven_levels(&self, case: &mut StockCase, shared: &mut Shared) -> bool {
        let mut any = false;
        for (shop, at) in &mut case.levels {
            let level = (*shop, case.item.clone());
            let is_unproven = self.failed.contains_key(shop) || shared.stale.contains(&level);
            if is_unproven && at.staged.take().is_some() {
                shared.stale.insert(level);
                any = true;
            }
        }
        any
    }

    pub(super) fn stock_chunk(
        &mut self,
        chunk: StockChunk,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        self.stock_after = chunk.next.clone();
        if self.cancelled.is_some() {
            return;
        }
        if self.phase == Phase::Weigh || self.has_to_weigh(&chunk, shared) {
            self.phase = Phase::Weigh;
            self.weigh(&chunk, now);
            return;
        }
        let mut bodies = Vec::new();
        let mut also = Also::default();
        let mut writes = Vec::new();
        let mut cases = chunk.cases;
        let unproven: Vec<bool> = cases
            .iter_mut()
            .map(|case| self.leave_out_unproven_levels(case, shared))
            .collect();
        let switch = self.how_to_switch();
        let decisions = self.evaluate(&cases, &mut shared.counters.conflict, now, switch);
        if self.dry {
            self.count_shown(&decisions, chunk.total);
        }
        let mut done = Vec::new();
        for ((case, mut decision), is_unproven) in cases.iter().zip(decisions).zip(unproven) {
            let is_early = self.note_what_was_too_early(case, shared, now);
            let is_held = !self.dry && self.leave_out_what_waits(&mut decision, shared, now);
            let is_withheld = self.withhold(&mut decision);
            bodies.extend(decision.bodies);
            self.show(decision.lines);
            for (shop, reading) in decision.consumed {
                also.consumed.push(Consumed {
                    shop,
                    kind: Kind::Level,
                    id: RemoteId(case.item.0.clone()),
                    reading,
                });
            }
            let only_shown = self.dry && !decision.writes.is_empty();
            let stale = decision.writes.iter().any(|write| self.is_stale(write));
            let waits = only_shown || stale || is_unproven || is_withheld || is_held || is_early;
            if decision.done && !waits {
                done.push((case.item.clone(), case.stock));
            }
            if !self.dry {
                writes.extend(self.fresh_enough(decision.writes, shared));
            }
        }
        let (writes, left) = self.admit(writes, shared, now);
        let stays_due: BTreeSet<Subject> = left.into_iter().map(|write| write.subject).collect();
        done.retain(|(item, stock)| {
            let subject = Subject::Level {
                stock: *stock,
                item: item.clone(),
            };
            !stays_due.contains(&subject)
        });
        also.items_done.extend(done);
        self.count_conflicts(&bodies);
        self.write(bodies, also, writes, shared, out);
    }

    /// Writes that wait for their shop do not count as made. True: there was one.
    fn leave_out_what_waits(
        &self,
        decision: &mut StockDecision,
        shared: &mut Shared,
        now: Timestamp,
    ) -> bool {
        let before = decision.writes.len();
        let emptied = &mut decision.emptied;
        decision.writes.retain(|write| {
            let waits = self.waits_for_shop(write, shared, now);
            if waits {
                emptied.remove(&write.shop);
            }
            !waits
        });
        decision.writes.len() < before
    }

    /// Levels whose reading left too early to tell what became of a write, though it could be told by now: they are read once
    /// more before anything is decided on them. True: there was one.
    fn note_what_was_too_early(
        &mut self,
        case: &StockCase,
        shared: &mut Shared,
        now: Timestamp,
    ) -> bool {
        let mut any = false;
        for (shop, at) in &case.levels {
            let left_at = at.staged.as_ref().and(at.left_at);
            if left_at.is_some_and(|left_at| self.could_be_told(&at.open, left_at, now)) {
                any = true;
                if !self.dry && !self.failed.contains_key(shop) {
                    shared.stale.insert((*shop, case.item.clone()));
                    self.read_first = true;
                }
            }
        }
        any
    }

    /// One of these writes can be told of by now, and could not when this reading left.
    pub(super) fn could_be_told(
        &self,
        open: &[OpenIntent],
        left_at: Timestamp,
        now: Timestamp,
    ) -> bool {
        open.iter().any(|intent| {
            let settles_after_ms = self.settles_after_ms(intent.shop);
            let at = settles_at(intent, settles_after_ms);
            left_at < at && at <= now
        })
    }
}
