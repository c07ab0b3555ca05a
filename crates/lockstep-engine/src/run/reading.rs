//! Reading: feeds page by page, records by name, and looks for what became of a write.

use super::Run;
use crate::customer::{CallId, Effect, Shared};
use crate::retry::{needs_person, patience, probe, sentence};
use jiff::{SignedDuration, Timestamp};
use lockstep_model::cases::Also;
use lockstep_model::entry::{AsideSubject, Body, Settlement};
use lockstep_model::{
    BadRecord, Cursor, Fault, FaultKind, Fingerprint, IntentId, Kind, NaturalKey, Next, Page,
    PullRequest, Record, RemoteId, Scope, ShopId,
};
use std::collections::{BTreeMap, BTreeSet};

const MORE_TO_READ_AFTER: SignedDuration = SignedDuration::from_secs(5);
const LOOK_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// Reads that are under way, and how far each feed got.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    calls: BTreeMap<CallId, Read>,
    ended: BTreeMap<(ShopId, Kind), Option<Cursor>>,
    /// How far each list that is read has come.
    extents: BTreeMap<(ShopId, Kind), Extent>,
    /// Lists of what to read by name that are on their way.
    lists: usize,
    /// Products that each shop showed.
    pub products: BTreeMap<ShopId, u64>,
    /// Shops of which the last round found something changed.
    pub moved: BTreeSet<ShopId>,
}

#[derive(Debug)]
enum Read {
    Feed {
        shop: ShopId,
        request: PullRequest,
        left_at: Timestamp,
    },
    ByName {
        shop: ShopId,
        kind: Kind,
        left_at: Timestamp,
    },
    Look {
        shop: ShopId,
        intent: IntentId,
        left_at: Timestamp,
    },
}

/// A shop's list that did not end.
#[derive(Debug, Clone)]
pub(crate) struct Endless {
    tries: u32,
    /// It is not read again before.
    pub until: Timestamp,
    pub said: String,
}

/// Of one reading of one list.
#[derive(Debug, Default)]
struct Extent {
    pages: u32,
    empty_pages: u32,
    bytes: u64,
    /// Places in the list that were asked for.
    places: BTreeSet<Fingerprint>,
}

/// A list of a million records comes in some ten thousand pages; one that is longer than this has no end.
const PAGES_MAX: u32 = 100_000;
/// In a row. A list that tells nothing of what did not change has many.
const EMPTY_PAGES_MAX: u32 = 20_000;
/// As JSON: a million large records.
const BYTES_MAX: u64 = 4 << 30;

impl Extent {
    /// Another page was read, and there is said to be more. Why there is no end to it, if so.
    fn goes_on(&mut self, next: &Cursor) -> Option<&'static str> {
        if !self.places.insert(Fingerprint::of(&[&next.0])) {
            return Some("its list leads back to a place where it was before");
        }
        if self.pages > PAGES_MAX || self.bytes > BYTES_MAX {
            return Some("its list is longer than any shop's");
        }
        if self.empty_pages > EMPTY_PAGES_MAX {
            return Some("its list goes on with pages that hold nothing");
        }
        None
    }

    fn note(&mut self, page: &Page) {
        let mut size = Size(0);
        for record in page.records.iter().flatten() {
            // What cannot be written down has no size, and is refused where it is staged.
            let _unwritten = serde_json::to_writer(&mut size, record);
        }
        self.pages += 1;
        self.bytes += size.0;
        self.empty_pages = if page.records.is_empty() {
            self.empty_pages + 1
        } else {
            0
        };
    }
}

struct Size(u64);

impl std::io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
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
        let endless = shared.endless.get(&(shop, kind)).cloned();
        if let Some(endless) = endless.filter(|endless| endless.until > now) {
            shared.look_again(self.lane, endless.until);
            self.failed.entry(shop).or_insert(endless.said);
            return;
        }
        self.reads.extents.remove(&(shop, kind));
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
            now,
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
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let call = shared.counters.call();
        self.counts.calls += 1;
        let read = match &request.scope {
            Scope::Ids(_) => Read::ByName {
                shop,
                kind: request.kind,
                left_at: now,
            },
            Scope::Since(_) | Scope::Everything(_) => Read::Feed {
                shop,
                request: request.clone(),
                left_at: now,
            },
        };
        if let Scope::Since(place) | Scope::Everything(Some(place)) = &request.scope {
            let extent = self.reads.extents.entry((shop, request.kind)).or_default();
            extent.places.insert(Fingerprint::of(&[&place.0]));
        }
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
            self.pull(shop, request, shared, now, out);
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
        self.read_by_name(shop, kind, ids, shared, now, out);
        self.advance(shared, now, out);
    }

    pub(super) fn look_for(
        &mut self,
        shop: ShopId,
        intent: IntentId,
        key: NaturalKey,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let call = shared.counters.call();
        self.counts.calls += 1;
        let left_at = now;
        let look = Read::Look {
            shop,
            intent,
            left_at,
        };
        self.reads.calls.insert(call, look);
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
        let (shop, kind, left_at) = match &read {
            Read::Feed {
                shop,
                request,
                left_at,
            } => (*shop, request.kind, *left_at),
            Read::ByName {
                shop,
                kind,
                left_at,
            } => (*shop, *kind, *left_at),
            // A look is answered by `Found`.
            Read::Look { .. } => return,
        };
        match result {
            Ok(page) => {
                shared.down.remove(&shop);
                shared.shut.remove(&shop);
                shared.tries.remove(&shop);
                if let Read::Feed { .. } = read {
                    let extent = self.reads.extents.entry((shop, kind)).or_default();
                    extent.note(&page);
                }
                let next = page.next.clone();
                self.take_page(shop, kind, page.records, left_at, out);
                if let Read::Feed { request, .. } = read {
                    self.follow(shop, request, next, shared, now, out);
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
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        match next {
            Next::End(cursor) => {
                shared.endless.remove(&(shop, request.kind));
                self.reads.extents.remove(&(shop, request.kind));
                let kept = cursor.or_else(|| self.reads.place(shop, request.kind));
                self.reads.ended.insert((shop, request.kind), kept);
            }
            Next::More(_) if self.cancelled.is_some() => {}
            Next::More(cursor) => {
                let extent = self.reads.extents.entry((shop, request.kind)).or_default();
                if let Some(why) = extent.goes_on(&cursor) {
                    self.does_not_end(shop, request.kind, why, shared, now);
                    return;
                }
                let scope = match request.scope {
                    Scope::Since(_) => Scope::Since(cursor),
                    Scope::Everything(_) => Scope::Everything(Some(cursor)),
                    Scope::Ids(ids) => Scope::Ids(ids),
                };
                self.pull(shop, PullRequest { scope, ..request }, shared, now, out);
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

    /// The reading ends as a fault, which a person is told. Each time it is longer until it is tried again.
    fn does_not_end(
        &mut self,
        shop: ShopId,
        kind: Kind,
        why: &str,
        shared: &mut Shared,
        now: Timestamp,
    ) {
        let Extent { pages, bytes, .. } =
            self.reads.extents.remove(&(shop, kind)).unwrap_or_default();
        let tries = shared
            .endless
            .get(&(shop, kind))
            .map_or(0, |last| last.tries);
        let until = patience(tries, now);
        let flow = kind.flow();
        let said = format!(
            "{}: reading its {flow} does not end: {why}. After {pages} pages and {bytes} bytes it was given up. What was \
             read is kept, nothing is written to this shop by it, and it is tried again later; check the shop's address and \
             version, and whatever stands between it and us.",
            self.name(shop)
        );
        let endless = Endless {
            tries: tries.saturating_add(1),
            until,
            said: said.clone(),
        };
        shared.endless.insert((shop, kind), endless);
        shared.look_again(self.lane, until);
        self.failed.entry(shop).or_insert(said);
    }

    fn take_page(
        &mut self,
        shop: ShopId,
        kind: Kind,
        records: Vec<Result<Record, BadRecord>>,
        left_at: Timestamp,
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
                            fresh.insert(level.item());
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
                left_at,
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
        let said = self.said(shop, fault);
        let tries = shared.tries.entry(shop).or_default();
        if needs_person(&fault.kind) {
            shared.shut.insert(shop, said.clone());
        }
        // Whether somebody has done something the next reading tells.
        let at = probe(&fault.kind, *tries, now);
        *tries = tries.saturating_add(1);
        shared.down.insert(shop, at);
        shared.why_down.insert(shop, said.clone());
        shared.look_again(self.lane, at);
        self.failed.entry(shop).or_insert(said);
    }

    /// For people: which shop it was, what it means and what the shop said.
    pub(super) fn said(&self, shop: ShopId, fault: &Fault) -> String {
        let name = self.name(shop);
        format!("{name}: {} ({})", sentence(&fault.kind), fault.message)
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
        let Some(Read::Look {
            shop,
            intent,
            left_at,
        }) = self.reads.calls.remove(&call)
        else {
            return;
        };
        match result {
            Ok(records) if records.is_empty() => {
                let bodies = match self.is_not_ours(intent, shared, now) {
                    Some(bodies) => bodies,
                    // It is due again.
                    None => {
                        shared.open.remove(&intent);
                        vec![Body::Settled {
                            intent,
                            how: Box::new(Settlement::NotApplied { fault: None }),
                        }]
                    }
                };
                self.append(bodies, Also::default(), out);
            }
            Ok(records) => {
                Run::is_found(intent, shared);
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
                    left_at,
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
        Record::Level(level) => RemoteId(level.item().0),
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
        refused: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(records: Vec<Record>) -> Page {
        Page {
            records: records.into_iter().map(Ok).collect(),
            next: Next::End(None),
        }
    }

    fn gone() -> Record {
        Record::Gone {
            kind: Kind::Product,
            id: "p1".into(),
        }
    }

    fn place(number: u32) -> Cursor {
        Cursor(number.to_string())
    }

    #[test]
    fn r4_a_list_of_more_pages_than_any_shop_has_is_without_end() {
        let mut extent = Extent::default();
        for number in 1..=PAGES_MAX {
            extent.note(&page(vec![gone()]));
            assert_eq!(extent.goes_on(&place(number)), None);
        }
        extent.note(&page(vec![gone()]));
        let ends = extent.goes_on(&place(0));
        assert!(ends.is_some_and(|why| why.contains("longer than any shop's")));
    }

    #[test]
    fn r4_a_list_of_more_bytes_than_any_shop_has_is_without_end() {
        let mut extent = Extent::default();
        extent.note(&page(vec![gone()]));
        let of_a_page = extent.bytes;
        assert!(of_a_page > 10, "what is read is counted");
        extent.bytes = BYTES_MAX - of_a_page;
        extent.note(&page(vec![gone()]));
        assert_eq!(extent.goes_on(&place(1)), None);
        extent.note(&page(vec![gone()]));
        let ends = extent.goes_on(&place(2));
        assert!(ends.is_some_and(|why| why.contains("longer than any shop's")));
    }

    #[test]
    fn r4_a_list_that_goes_on_with_nothing_is_without_end_and_one_with_gaps_is_not() {
        let mut extent = Extent::default();
        for number in 1..=EMPTY_PAGES_MAX {
            extent.note(&page(vec![]));
            assert_eq!(extent.goes_on(&place(number)), None);
        }
        let mut with_gaps = Extent {
            empty_pages: extent.empty_pages,
            ..Extent::default()
        };
        with_gaps.note(&page(vec![gone()]));
        with_gaps.note(&page(vec![]));
        assert_eq!(with_gaps.goes_on(&place(1)), None);
        extent.note(&page(vec![]));
        assert!(extent.goes_on(&place(0)).is_some());
    }
}
