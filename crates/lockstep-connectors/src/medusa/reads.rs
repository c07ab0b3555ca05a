//! Pages and look-ups of a Medusa shop.

use super::place::{OVERLAP, Part, Place};
use super::sales::Sales;
use super::{LEVELS_PAGE_MAX, ORDERS_PAGE_MAX, PAGE_MAX, SALES_CHANNEL, Shop, map, stock, wire};
use jiff::{SignedDuration, Timestamp};
use lockstep_connector::{Cost, Request};
use lockstep_model::{
    BadRecord, Cursor, Fault, FaultKind, Kind, NaturalKey, Next, OrderKey, Page, PullRequest,
    Record, RemoteId, Scope,
};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

/// Our clock and the shop's may differ by this much.
const SKEW: SignedDuration = SignedDuration::from_mins(10);
/// A search through the orders of a time ends after this many pages.
const SEARCH_PAGES_MAX: u32 = 400;

type Read = Result<Record, BadRecord>;

fn id_of(raw: &RawValue) -> String {
    let tag: wire::Tag = serde_json::from_str(raw.get()).unwrap_or_default();
    tag.id.unwrap_or_default()
}

impl Shop {
    pub(super) async fn read(&self, request: &PullRequest) -> Result<Page, Fault> {
        let unknown = || {
            self.invalid(
                "cursor",
                "is asked to read on from a place that it does not know",
            )
        };
        let place = |cursor: &Cursor| Place::parse(cursor).ok_or_else(unknown);
        let place = match &request.scope {
            Scope::Ids(ids) => {
                let records = self.by_ids(request.kind, ids).await?;
                let next = Next::End(None);
                return Ok(Page { records, next });
            }
            Scope::Everything(None) => Place::default(),
            Scope::Everything(Some(cursor)) | Scope::Since(cursor) => place(cursor)?,
        };
        match request.kind {
            Kind::Product if place.part == Part::Options => {
                self.products_of_options(place, request.limit).await
            }
            Kind::Product if place.part == Part::Sales => {
                self.products_of_sales(place, request.limit).await
            }
            Kind::Product => self.products(place, request.limit).await,
            Kind::Level => self.levels(place, request.limit).await,
            Kind::Order if place.part == Part::Payments => {
                self.paid_orders(place, request.limit).await
            }
            Kind::Order => self.orders(place, request.limit).await,
            Kind::Category => Err(self.no_categories()),
        }
    }

    fn no_categories(&self) -> Fault {
        self.invalid("category", "has no categories for Lockstep yet")
    }

    /// The rows that come after the place, and the place after them (`None`: that was all).
    async fn rows(
        &self,
        place: &mut Place,
        limit: u32,
        request: impl Fn(u32, u32) -> Result<Request, Fault>,
    ) -> Result<(Vec<Box<RawValue>>, bool), Fault> {
        // The last row of the page before comes again: it proves that nothing slid past.
        let overlap = u32::from(place.last.is_some());
        let ask = limit + overlap;
        let mut from = place.offset.saturating_sub(overlap);
        loop {
            let call = self.exchange.call_dated(request(from, ask), Cost::read());
            let (list, date): (wire::List, Timestamp) = call.await?;
            place.started.get_or_insert(date);
            let mut rows = list.items;
            let is_full = rows.len() >= ask as usize;
            if let Some(last) = &place.last {
                let slid = rows.first().is_none_or(|first| id_of(first) > *last);
                if slid && from > 0 {
                    from = from.saturating_sub(limit);
                    continue;
                }
                place.offset = from + u32::try_from(rows.len()).unwrap_or(u32::MAX);
                rows.retain(|row| id_of(row) > *last);
            } else {
                place.offset = from + u32::try_from(rows.len()).unwrap_or(u32::MAX);
            }
            if let Some(row) = rows.last() {
                place.last = Some(id_of(row));
            }
            return Ok((rows, is_full));
        }
    }

    fn next(place: Place, is_full: bool) -> Next {
        if is_full {
            Next::More(place.cursor())
        } else {
            Next::End(Some(place.after().cursor()))
        }
    }

    /// Everything in one list; what changed in one list after the other.
    async fn products(&self, mut place: Place, limit: u32) -> Result<Page, Fault> {
        let limit = limit.clamp(1, PAGE_MAX);
        let channel = self.setting(SALES_CHANNEL);
        let channel = channel.as_ref();
        let (since, part) = (place.since, place.part);
        let anew = since.is_some() || place.last.is_none();
        let request = |offset, limit| match since {
            None => self.api().products(channel, offset, limit),
            Some(since) if part == Part::Variants => {
                self.api().products_of_variants_since(since, offset, limit)
            }
            Some(since) => self.api().products_since(since, offset, limit),
        };
        let (mut rows, is_full) = self.rows(&mut place, limit, request).await?;
        rows.retain(|row| is_sold_in(channel, row));
        let records = self.products_told_now(&mut place, &rows, anew).await?;
        let next = match (is_full, since, part) {
            (true, ..) | (_, None, _) => Self::next(place, is_full),
            (false, Some(_), Part::Own) => turned(place, Part::Variants),
            (false, Some(_), _) => turned(place, Part::Options),
        };
        Ok(Page { records, next })
    }

    /// Products of which an option bears another name.
    async fn products_of_options(&self, mut place: Place, limit: u32) -> Result<Page, Fault> {
        let limit = limit.clamp(1, PAGE_MAX);
        let channel = self.setting(SALES_CHANNEL);
        let since = place.since.unwrap_or(Timestamp::UNIX_EPOCH);
        let request = |offset, limit| self.api().options_since(since, offset, limit);
        let (rows, is_full) = match self.rows(&mut place, limit, request).await {
            // Options are no list of their own before 2.17; they belong to their product there.
            Err(fault) if fault.kind == FaultKind::NotFound => (Vec::new(), false),
            other => other?,
        };
        let mut ids = BTreeSet::new();
        for row in &rows {
            let option: wire::OptionRow = self.row(row, "an option")?;
            let products = option.products.into_iter().flatten();
            ids.extend(products.map(|product| RemoteId(product.id)));
        }
        let ids: Vec<_> = ids.into_iter().collect();
        let mut records = Vec::new();
        // An option may be shared by many.
        for ids in ids.chunks(PAGE_MAX as usize) {
            let mut rows = self.rows_by_ids(Kind::Product, ids).await?;
            rows.retain(|row| is_sold_in(channel.as_ref(), row));
            records.extend(self.products_told_now(&mut place, &rows, true).await?);
        }
        let next = match is_full {
            true => Self::next(place, true),
            false => turned(place, Part::Sales),
        };
        Ok(Page { records, next })
    }

    /// Products of which a sale price may be another.
    async fn products_of_sales(&self, mut place: Place, limit: u32) -> Result<Page, Fault> {
        let limit = limit.clamp(1, PAGE_MAX) as usize;
        let channel = self.setting(SALES_CHANNEL);
        let since = place.since.unwrap_or(Timestamp::UNIX_EPOCH);
        let mut ids = self.products_of_sales_since(since).await?;
        if let Some(last) = &place.last {
            ids = ids.split_off(&RemoteId(last.clone()));
            ids.remove(&RemoteId(last.clone()));
        }
        let is_full = ids.len() > limit;
        let ids: Vec<RemoteId> = ids.into_iter().take(limit).collect();
        let mut rows = self.rows_by_ids(Kind::Product, &ids).await?;
        rows.retain(|row| is_sold_in(channel.as_ref(), row));
        let records = self.products_told_now(&mut place, &rows, true).await?;
        place.last = ids.into_iter().next_back().map(|id| id.0);
        Ok(Page {
            records,
            next: Self::next(place, is_full),
        })
    }

    /// With their sale prices; in a feed, those that were not told like this before. `anew`: as the price lists are now.
    async fn products_told_now(
        &self,
        place: &mut Place,
        rows: &[Box<RawValue>],
        anew: bool,
    ) -> Result<Vec<Read>, Fault> {
        let mut told = Vec::new();
        for (row, (record, sales)) in rows.iter().zip(self.products_of(rows, anew).await?) {
            let is_feed = place.since.is_some();
            if !(is_feed && place.is_told(&id_of(row), row.get(), &sales)) {
                told.push(record);
            }
        }
        Ok(told)
    }

    /// Each with its sale prices in words.
    async fn products_of(
        &self,
        rows: &[Box<RawValue>],
        anew: bool,
    ) -> Result<Vec<(Read, String)>, Fault> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let sales = self.known_sales(anew).await?;
        let records = rows.iter().map(|row| {
            let mut record = map::product_record(row.get());
            let mut words = String::new();
            if let Ok(Record::Product(product)) = &mut record {
                sales.fill(product);
                words = Sales::words(product);
            }
            (record, words)
        });
        Ok(records.collect())
    }

    pub(super) fn row<T: serde::de::DeserializeOwned>(
        &self,
        raw: &RawValue,
        what: &str,
    ) -> Result<T, Fault> {
        serde_json::from_str(raw.get()).map_err(|error| {
            let why = lockstep_model::misread(&error);
            let what = format!("has {what} that cannot be read: {why}");
            self.exchange.fault(FaultKind::Protocol, &what)
        })
    }

    /// Always everything: nothing tells what changed.
    async fn levels(&self, place: Place, limit: u32) -> Result<Page, Fault> {
        let limit = limit.clamp(1, LEVELS_PAGE_MAX);
        let mut place = Place {
            since: None,
            ..place
        };
        let stocks = self.stocks().await?;
        let request = |offset, limit| self.api().stocked(offset, limit);
        let (rows, is_full) = self.rows(&mut place, limit, request).await?;
        let records = rows
            .iter()
            .flat_map(|raw| level_records(raw.get(), &stocks));
        let records = records.collect();
        let next = if is_full {
            Next::More(place.cursor())
        } else {
            Next::End(Some(Place::default().cursor()))
        };
        Ok(Page { records, next })
    }

    async fn orders(&self, mut place: Place, limit: u32) -> Result<Page, Fault> {
        let limit = limit.clamp(1, ORDERS_PAGE_MAX);
        let since = place.since;
        let request = |offset, limit| match since {
            None => self.api().orders(offset, limit),
            Some(since) => self.api().orders_since(since, offset, limit),
        };
        let (rows, is_full) = self.rows(&mut place, limit, request).await?;
        let records = self.orders_told_now(&mut place, &rows).await?;
        let next = match (is_full, since) {
            (false, Some(_)) => turned(place, Part::Payments),
            (is_full, _) => Self::next(place, is_full),
        };
        Ok(Page { records, next })
    }

    /// Orders whose payment moved: a capture leaves the order's own time as it was.
    async fn paid_orders(&self, mut place: Place, limit: u32) -> Result<Page, Fault> {
        let limit = limit.clamp(1, ORDERS_PAGE_MAX);
        let since = place.since.unwrap_or(Timestamp::UNIX_EPOCH);
        let request = |offset, limit| self.api().payments_since(since, offset, limit);
        let (rows, is_full) = self.rows(&mut place, limit, request).await?;
        let mut ids = BTreeSet::new();
        for row in &rows {
            let payment: wire::PaymentRow = self.row(row, "a payment")?;
            // A payment of a cart that is no order yet.
            if let Some(order) = payment.payment_collection.and_then(|c| c.order) {
                ids.insert(RemoteId(order.id));
            }
        }
        let ids: Vec<_> = ids.into_iter().collect();
        let rows = self.rows_by_ids(Kind::Order, &ids).await?;
        let records = self.orders_told_now(&mut place, &rows).await?;
        let next = Self::next(place, is_full);
        Ok(Page { records, next })
    }

    async fn orders_told_now(
        &self,
        place: &mut Place,
        rows: &[Box<RawValue>],
    ) -> Result<Vec<Read>, Fault> {
        let rows: Vec<&RawValue> = rows_told_now(place, rows).collect();
        self.orders_of(&rows).await
    }

    /// Orders with the locations that their units are reserved at: those are no part of an order there.
    async fn orders_of(&self, rows: &[&RawValue]) -> Result<Vec<Read>, Fault> {
        let read = rows.iter().map(|raw| map::order_row(raw.get()));
        let mut read: Vec<Result<wire::Order, BadRecord>> = read.collect();
        let mut orders: Vec<&mut wire::Order> = read.iter_mut().flatten().collect();
        self.locate(&mut orders).await?;
        let records = read.into_iter().zip(rows).map(|(order, raw)| {
            let bad = |reason| map::bad(raw.get(), reason);
            map::order_of(order?)
                .map(|order| Record::Order(Box::new(order)))
                .map_err(bad)
        });
        Ok(records.collect())
    }

    pub(super) async fn locate(&self, orders: &mut [&mut wire::Order]) -> Result<(), Fault> {
        let lines = orders.iter().flat_map(|order| order.reserved_lines());
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        // Where all lies in one place there is nothing to ask.
        if lines.is_empty() || self.stocks().await?.len() < 2 {
            return Ok(());
        }
        let mut found: BTreeMap<String, wire::Reservation> = BTreeMap::new();
        for lines in lines.chunks(PAGE_MAX as usize) {
            let request = self.api().reservations(lines);
            let list: wire::Reservations = self.exchange.call(request, Cost::read()).await?;
            for row in list.reservations {
                let Some(line) = row.line_item_id.clone() else {
                    continue;
                };
                // In two places: where most of it lies.
                let is_more = |before: &wire::Reservation| row.quantity > before.quantity;
                if found.get(&line).is_none_or(is_more) {
                    found.insert(line, row);
                }
            }
        }
        for item in orders.iter_mut().flat_map(|order| &mut order.items) {
            let row = found.get(&item.id);
            item.reserved_at = row.and_then(|row| row.location_id.clone());
        }
        Ok(())
    }

    pub(super) async fn rows_by_ids(
        &self,
        kind: Kind,
        ids: &[RemoteId],
    ) -> Result<Vec<Box<RawValue>>, Fault> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let request = match kind {
            Kind::Product => self.api().products_by_ids(ids),
            Kind::Order => self.api().orders_by_ids(ids),
            Kind::Level => self.api().stocked_by_sku(ids.iter().map(RemoteId::as_str)),
            Kind::Category => return Err(self.no_categories()),
        };
        let list: wire::List = self.exchange.call(request, Cost::read()).await?;
        Ok(list.items)
    }

    pub(super) async fn by_ids(&self, kind: Kind, ids: &[RemoteId]) -> Result<Vec<Read>, Fault> {
        let rows = self.rows_by_ids(kind, ids).await?;
        match kind {
            Kind::Product => {
                let records = self.products_of(&rows, true).await?;
                Ok(records.into_iter().map(|(record, _)| record).collect())
            }
            Kind::Level => {
                let stocks = self.stocks().await?;
                let records = rows
                    .iter()
                    .flat_map(|raw| level_records(raw.get(), &stocks));
                Ok(records.collect())
            }
            Kind::Order => {
                let rows: Vec<&RawValue> = rows.iter().map(AsRef::as_ref).collect();
                self.orders_of(&rows).await
            }
            Kind::Category => Err(self.no_categories()),
        }
    }

    pub(super) async fn look(&self, key: &NaturalKey) -> Result<Vec<Record>, Fault> {
        match key {
            NaturalKey::Sku(sku) => self.by_variant("sku", sku.as_str()).await,
            NaturalKey::Gtin(gtin) => {
                let mut found = Vec::new();
                for name in ["ean", "upc", "barcode"] {
                    found = self.by_variant(name, gtin).await?;
                    if !found.is_empty() {
                        break;
                    }
                }
                Ok(found)
            }
            NaturalKey::Category { .. } => Err(self.no_categories()),
            NaturalKey::Order { key, not_before } => self.order_by_key(key, *not_before).await,
        }
    }

    async fn by_variant(&self, name: &str, value: &str) -> Result<Vec<Record>, Fault> {
        let request = self.api().products_by_variant(name, value);
        let list: wire::List = self.exchange.call(request, Cost::read()).await?;
        // One that cannot be read may be the one that is looked for.
        let records = self.products_of(&list.items, true).await?;
        let records = records.into_iter().map(|(record, _)| {
            record.map_err(|bad| {
                let what = format!("has one that cannot be read: {}", bad.reason);
                self.exchange.fault(FaultKind::Protocol, &what)
            })
        });
        records.collect()
    }

    /// By the time of its last change: a draft that was made earlier becomes an order later, and that moves it.
    async fn order_by_key(
        &self,
        key: &OrderKey,
        not_before: Timestamp,
    ) -> Result<Vec<Record>, Fault> {
        let since = not_before
            .checked_sub(SKEW)
            .unwrap_or(Timestamp::UNIX_EPOCH);
        let key = key.to_string();
        let mut place = Place::default();
        let request = |offset, limit| self.api().orders_since(since, offset, limit);
        for _ in 0..SEARCH_PAGES_MAX {
            let (rows, is_full) = self.rows(&mut place, ORDERS_PAGE_MAX, request).await?;
            for row in &rows {
                match map::order_record(row.get()) {
                    Ok(Record::Order(order)) if order.state.key.as_deref() == Some(&key) => {
                        return Ok(vec![Record::Order(order)]);
                    }
                    Ok(_) => {}
                    // If it is ours and cannot be read, it is still there: not knowing is a fault.
                    Err(bad) if row.get().contains(&key) => {
                        let what = format!("has the order and it cannot be read: {}", bad.reason);
                        return Err(self.exchange.fault(FaultKind::Protocol, &what));
                    }
                    Err(_) => {}
                }
            }
            if !is_full {
                return Ok(Vec::new());
            }
        }
        let what = "has too many orders in the time in question to be searched through";
        Err(self.exchange.fault(FaultKind::Protocol, what))
    }

    /// Drafts of ours that never became orders, by their key: an earlier try was cut off between the two.
    pub(super) async fn drafts(
        &self,
        since: Timestamp,
    ) -> Result<BTreeMap<String, wire::Draft>, Fault> {
        let since = since
            .checked_sub(SKEW)
            .and_then(|since| since.checked_sub(OVERLAP))
            .unwrap_or(Timestamp::UNIX_EPOCH);
        let mut place = Place::default();
        let mut drafts = BTreeMap::new();
        let request = |offset, limit| self.api().drafts_since(since, offset, limit);
        for _ in 0..SEARCH_PAGES_MAX {
            let (rows, is_full) = self.rows(&mut place, PAGE_MAX, request).await?;
            for row in rows {
                // One that cannot be read is not one of ours: what we write can be read.
                if let Ok(draft) = serde_json::from_str::<wire::Draft>(row.get())
                    && let Some(key) = map::draft_key(&draft)
                {
                    drafts.insert(key, draft);
                }
            }
            if !is_full {
                break;
            }
        }
        Ok(drafts)
    }
}

fn level_records(raw: &str, stocks: &[lockstep_model::Named]) -> Vec<Read> {
    match stock::levels(raw, stocks) {
        Ok(levels) => levels.into_iter().map(|l| Ok(Record::Level(l))).collect(),
        Err(bad) => vec![Err(bad)],
    }
}

/// Is this product of the channel that is kept in step, or deleted? What cannot be read is told as it is.
fn is_sold_in(channel: Option<&RemoteId>, row: &RawValue) -> bool {
    let Some(channel) = channel else {
        return true;
    };
    match serde_json::from_str::<wire::Sold>(row.get()) {
        Ok(wire::Sold {
            deleted_at: None,
            sales_channels: Some(channels),
        }) => channels.iter().any(|own| own.id == channel.0),
        Ok(_) | Err(_) => true,
    }
}

fn turned(mut place: Place, part: Part) -> Next {
    place.turn_to(part);
    Next::More(place.cursor())
}

/// In a feed, the rows that were not told like this before.
fn rows_told_now<'r>(
    place: &mut Place,
    rows: &'r [Box<RawValue>],
) -> impl Iterator<Item = &'r RawValue> {
    let is_feed = place.since.is_some();
    rows.iter()
        .map(AsRef::as_ref)
        .filter(move |row: &&RawValue| !(is_feed && place.is_told(&id_of(row), row.get(), "")))
}
