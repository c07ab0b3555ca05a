//! Reading: feeds page by page, records by name, and looks for what became of a write.

use super::Run;
use crate::customer::{CallId, Effect, Shared};
use crate::retry::{Remedy, remedy, sentence};
use jiff::{SignedDuration, Timestamp};
use lockstep_model::cases::Also;
use lockstep_model::entry::{AsideSubject, Body, Settlement, Subject};
use lockstep_model::{
    BadRecord, Cursor, Fault, FaultKind, IntentId, Kind, NaturalKey, Next, Page, PullRequest,
    Record, RemoteId, Scope, ShopId,
};
use std::collections::{BTreeMap, BTreeSet};

const MORE_TO_READ_AFTER: SignedDuration = SignedDuration::from_secs(5);
const LOOK_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// Reads that are under way, and how far each feed got.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    calls: BTreeMap<CallId, Read>,
    ended: BTreeMap<(ShopId, Kind), Option<Cursor>>,
    /// Lists of what to read by name that are on their way.
    lists: usize,
    /// Products that each shop showed.
    pub products: BTreeMap<ShopId, u64>,
    /// Shops of which the last round found something changed.
    pub moved: BTreeSet<ShopId>,
}

#[derive(Debug)]
enum Read {
    Feed { shop: ShopId, request: PullRequest },
    ByName { shop: ShopId, kind: Kind },
    Look { shop: ShopId, intent: IntentId },
}

impl Reads {
    pub fn waits_for(&self, call: CallId) -> bool {
        self.calls.contains_key(&call)
    }

    pub fn is_waiting(&self) -> bool {
        !self.calls.is_empty() || self.lists > 0
    }

    /// Where each feed that was read to its end got to; not of a shop that failed.
    pub fn finished(&self, failed: &BTreeMap<ShopId, String>) -> Vec<((ShopId, Kind), Cursor)> {
        let ended = self.ended.iter();
        ended
            .filter(|((shop, _), _)| !failed.contains_key(shop))
            .filter_map(|(place, cursor)| Some((*place, cursor.clone()?)))
            .collect()
    }

    /// Feeds of records whose fields are merged; not of a shop that failed.
    pub fn read_to_their_end(&self, failed: &BTreeMap<ShopId, String>) -> Vec<(ShopId, Kind)> {
        let ended = self.ended.keys();
        ended
            .filter(|(shop, _)| !failed.contains_key(shop))
            .filter(|(_, kind)| matches!(kind, Kind::Category | Kind::Product))
            .copied()
            .collect()
    }

    pub fn has_ended(&self, shop: ShopId, kind: Kind) -> bool {
        self.ended.contains_key(&(shop, kind))
    }

    fn place(&self, shop: ShopId, kind: Kind) -> Option<Cursor> {
        self.ended.get(&(shop, kind)).cloned().flatten()
    }
}

impl Run {
    /// Reads a feed: what changed since this run (or an earlier one) last read it, or everything.
    pub(super) fn read_feed(
        &mut self,
        shop: ShopId,
        kind: Kind,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(page) = self
            .rules
            .shops
            .get(&shop)
            .and_then(|rules| rules.abilities.pages.get(&kind).copied())
        else {
            return;
        };
        if self.is_left_alone(shop, shared, now) {
            return;
        }
        let everything = self.cause.reads_everything(shop, kind.flow());
        let again = self.reads.ended.contains_key(&(shop, kind));
        let cursor = if again {
            self.reads.place(shop, kind)
        } else if everything {
            None
        } else {
            shared.cursors.get(&(shop, kind)).cloned()
        };
        let scope = match cursor {
            Some(cursor) if page.since => Scope::Since(cursor),
            _ => Scope::Everything(None),
        };
        self.pull(
            shop,
            PullRequest {
                kind,
                scope,
                limit: page.records,
            },
            shared,
            out,
        );
    }

    /// The shop failed, or has asked for peace: it is not read in this run.
    pub(super) fn is_left_alone(
        &mut self,
        shop: ShopId,
        shared: &mut Shared,
        now: Timestamp,
    ) -> bool {
        if self.failed.contains_key(&shop) {
            return true;
        }
        let until = shared.down.get(&shop).copied();
        let Some(until) = until.filter(|until| *until > now) else {
            return false;
        };
        shared.look_again(self.lane, until);
        // Each run says what the cause is, not only the one that met it.
        let why = shared.why_down.get(&shop).cloned();
        let name = self.name(shop);
        self.failed.entry(shop).or_insert_with(|| {
            why.unwrap_or_else(|| format!("{name}: it asks for peace; it is asked again soon."))
        });
        true
    }

    fn pull(
        &mut self,
        shop: ShopId,
        request: PullRequest,
        shared: &mut Shared,
        out: &mut Vec<Effect>,
    ) {
        let call = shared.counters.call();
        self.counts.calls += 1;
        let read = match request.scope {
            Scope::Ids(_) => Read::ByName {
                shop,
                kind: request.kind,
            },
            Scope::Since(_) | Scope::Everything(_) => Read::Feed {
                shop,
                request: request.clone(),
            },
        };
        self.reads.calls.insert(call, read);
        out.push(Effect::Pull {
            call,
            shop,
            request,
        });
    }

    pub(super) fn read_by_name(
        &mut self,
        shop: ShopId,
        kind: Kind,
        ids: &[RemoteId],
        shared: &mut Shared,
        out: &mut Vec<Effect>,
    ) {
        let Some(page) = self
            .rules
            .shops
            .get(&shop)
            .and_then(|rules| rules.abilities.pages.get(&kind).copied())
        else {
            return;
        };
        if self.failed.contains_key(&shop) {
            return;
        }
        let size = page.ids.max(1);
        for ids in ids.chunks(size as usize) {
            let request = PullRequest {
                kind,
                scope: Scope::Ids(ids.to_vec()),
                limit: size,
            };
            self.pull(shop, request, shared, out);
        }
    }

    pub(super) fn list_again(&mut self, shop: ShopId, kind: Kind, out: &mut Vec<Effect>) {
        self.reads.lists += 1;
        out.push(Effect::ReadAgainList {
            lane: self.lane,
            shop,
            kind,
            limit: super::CHUNK,
        });
    }

    pub fn read_again(
        &mut self,
        shop: ShopId,
        kind: Kind,
        ids: &[RemoteId],
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        self.reads.lists = self.reads.lists.saturating_sub(1);
        if kind == Kind::Product && ids.len() >= super::CHUNK {
            // There are more.
            let at = now.checked_add(MORE_TO_READ_AFTER).unwrap_or(now);
            shared.look_again(self.lane, at);
        }
        self.read_by_name(shop, kind, ids, shared, out);
        self.advance(shared, now, out);
    }

    pub(super) fn look_for(
        &mut self,
        shop: ShopId,
        intent: IntentId,
        key: NaturalKey,
        shared: &mut Shared,
        out: &mut Vec<Effect>,
    ) {
        let call = shared.counters.call();
        self.counts.calls += 1;
        self.reads.calls.insert(call, Read::Look { shop, intent });
        out.push(Effect::Find { call, shop, key });
    }

    pub fn pulled(
        &mut self,
        call: CallId,
        result: Result<Page, Fault>,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(read) = self.reads.calls.remove(&call) else {
            return;
        };
        let (shop, kind) = match &read {
            Read::Feed { shop, request } => (*shop, request.kind),
            Read::ByName { shop, kind } => (*shop, *kind),
            // A look is answered by `Found`.
            Read::Look { .. } => return,
        };
        match result {
            Ok(page) => {
                shared.down.remove(&shop);
                shared.shut.remove(&shop);
                shared.tries.remove(&shop);
                let next = page.next.clone();
                self.take_page(shop, kind, page.records, out);
                if let Read::Feed { request, .. } = read {
                    self.follow(shop, request, next, shared, out);
                }
            }
            Err(fault) => self.shop_failed(shop, &fault, shared, now),
        }
        self.advance(shared, now, out);
    }

    fn follow(
        &mut self,
        shop: ShopId,
        request: PullRequest,
        next: Next,
        shared: &mut Shared,
        out: &mut Vec<Effect>,
    ) {
        match next {
            Next::End(cursor) => {
                let kept = cursor.or_else(|| self.reads.place(shop, request.kind));
                self.reads.ended.insert((shop, request.kind), kept);
            }
            Next::More(_) if self.cancelled.is_some() => {}
            Next::More(cursor) => {
                let scope = match request.scope {
                    Scope::Since(_) => Scope::Since(cursor),
                    Scope::Everything(_) => Scope::Everything(Some(cursor)),
                    Scope::Ids(ids) => Scope::Ids(ids),
                };
                self.pull(shop, PullRequest { scope, ..request }, shared, out);
            }
            Next::Later { at, .. } => {
                shared.look_again(self.lane, at);
                let name = self.name(shop);
                self.failed.entry(shop).or_insert_with(|| {
                    format!("{name}: it prepares its answer; it is asked again when that is ready.")
                });
            }
        }
    }

    fn take_page(
        &mut self,
        shop: ShopId,
        kind: Kind,
        records: Vec<Result<Record, BadRecord>>,
        out: &mut Vec<Effect>,
    ) {
        let total = records.len();
        let mut good = Vec::with_capacity(total);
        let mut bodies = Vec::new();
        let needs_fresh = self.level_terms(shop).needs_a_fresh_reading();
        for record in records {
            match record.and_then(sound) {
                Ok(record) => {
                    if let Record::Level(level) = &record {
                        let fresh = self.fresh.entry(shop).or_default();
                        if needs_fresh {
                            fresh.insert(level.sku.clone());
                        }
                    }
                    good.push(record);
                }
                Err(bad) => bodies.push(bad_record(shop, kind, bad)),
            }
        }
        if kind == Kind::Product {
            *self.reads.products.entry(shop).or_default() += total as u64;
        }
        self.counts.pulled += total as u64;
        self.counts.bad += bodies.len() as u64;
        if total > 0 {
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            bodies.push(Body::Pulled {
                run: self.id,
                shop,
                kind,
                records: count(total),
                changed: 0,
                bad: count(total - good.len()),
            });
        }
        self.append(bodies, Also::default(), out);
        if !good.is_empty() {
            self.staging += 1;
            out.push(Effect::Stage {
                lane: self.lane,
                run: self.id,
                shop,
                records: good,
            });
        }
    }

    /// A shop that fails is left out of this run; the others go on.
    pub(super) fn shop_failed(
        &mut self,
        shop: ShopId,
        fault: &Fault,
        shared: &mut Shared,
        now: Timestamp,
    ) {
        let name = self.name(shop);
        let said = format!("{name}: {} ({})", sentence(&fault.kind), fault.message);
        let tries = shared.tries.entry(shop).or_default();
        let remedy_of_it = remedy(&fault.kind, *tries, now);
        if remedy_of_it == Remedy::Person {
            shared.shut.insert(shop, said.clone());
        }
        let at = match remedy_of_it {
            Remedy::Again(at) => at,
            // A new key comes with new settings, which wake the shop; until then it is asked seldom.
            Remedy::Person | Remedy::Look | Remedy::Replan => {
                match remedy(&FaultKind::Unavailable, (*tries).max(6), now) {
                    Remedy::Again(at) => at,
                    Remedy::Look | Remedy::Replan | Remedy::Person => now,
                }
            }
        };
        *tries = tries.saturating_add(1);
        shared.down.insert(shop, at);
        shared.why_down.insert(shop, said.clone());
        shared.look_again(self.lane, at);
        self.failed.entry(shop).or_insert(said);
    }

    pub(super) fn name(&self, shop: ShopId) -> String {
        self.rules
            .shops
            .get(&shop)
            .map_or_else(|| format!("shop {shop}"), |rules| rules.name.clone())
    }

    pub fn found(
        &mut self,
        call: CallId,
        result: Result<Vec<Record>, Fault>,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(Read::Look { shop, intent }) = self.reads.calls.remove(&call) else {
            return;
        };
        match result {
            Ok(records) if records.is_empty() => {
                let closed = shared.open.remove(&intent);
                let mut bodies = vec![Body::Settled {
                    intent,
                    how: Box::new(Settlement::NotApplied { fault: None }),
                }];
                if let Some(open) = closed
                    && let Subject::Record(record) = open.subject
                {
                    bodies.push(Body::DueAgain {
                        what: lockstep_model::entry::Again::Record(record),
                    });
                }
                self.append(bodies, Also::default(), out);
            }
            Ok(records) => {
                self.counts.pulled += records.len() as u64;
                let mut good = Vec::with_capacity(records.len());
                let mut bodies = Vec::new();
                for record in records {
                    let kind = record.kind();
                    match sound(record) {
                        Ok(record) => good.push(record),
                        Err(bad) => bodies.push(bad_record(shop, kind, bad)),
                    }
                }
                self.counts.bad += bodies.len() as u64;
                self.append(bodies, Also::default(), out);
                if good.is_empty() {
                    // Something is there and tells nothing: it is looked for again once somebody may have mended it.
                    let at = now.checked_add(LOOK_AGAIN_AFTER).unwrap_or(now);
                    shared.look_again(self.lane, at);
                    self.advance(shared, now, out);
                    return;
                }
                self.staging += 1;
                out.push(Effect::Stage {
                    lane: self.lane,
                    run: self.id,
                    shop,
                    records: good,
                });
            }
            Err(fault) => self.shop_failed(shop, &fault, shared, now),
        }
        self.advance(shared, now, out);
    }
}

/// What nothing can be decided by stands aside as what cannot be read does.
fn sound(record: Record) -> Result<Record, BadRecord> {
    match record.unsound() {
        Some(reason) => Err(BadRecord {
            id: id_of(&record),
            reason,
        }),
        None => Ok(record),
    }
}

/// As it is named when it is read alone.
fn id_of(record: &Record) -> Option<RemoteId> {
    Some(match record {
        Record::Category(category) => category.id.clone(),
        Record::Product(product) => product.id.clone(),
        Record::Level(level) => RemoteId(level.sku.0.clone()),
        Record::Order(order) => order.state.id.clone(),
        Record::Gone { id, .. } => id.clone(),
    })
}

fn bad_record(shop: ShopId, kind: Kind, bad: BadRecord) -> Body {
    let mut fault = Fault::new(FaultKind::Invalid { field: None }, bad.reason).at(shop);
    if let Some(id) = &bad.id {
        fault = fault.about(id.as_str());
    }
    Body::Aside {
        shop,
        subject: AsideSubject::Remote { kind, id: bad.id },
        fault,
        retry_at: None,
        tries: 0,
    }
}
