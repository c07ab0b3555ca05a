//! Sale prices. A variant has none of its own there: they stand in price lists.
//!
//! Told is what everybody pays by a list that runs now, the least of them, as the shop's own pages sell it. Lists for some
//! buyers alone (rules, customer groups), for a quantity, and lists that replace the price (`override`) are not carried.
//! Written is one list of our own; the shop's are left alone.
//!
//! A window opens and closes without anything moving there, and a price that was taken out of a list leaves no trace: the
//! former is told by the time of the last look, the latter found by the rolling reconcile.

use super::map::{self, Unsayable, currency};
use super::writes::is_refusal;
use super::{Shop, wire};
use jiff::Timestamp;
use lockstep_connector::Cost;
use lockstep_model::{Currency, Fault, FaultKind, Product, RemoteId};
use rust_decimal::Decimal;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError};

/// Among a list's metadata: it is the one that we write.
const OURS: (&str, &str) = ("lockstep", "sale prices");
const TITLE: &str = "Lockstep: sale prices";

const PAGE_MAX: u32 = 500;
/// Prices of running lists that are looked at; a shop with more has them told by nobody.
const PRICES_MAX: usize = 200_000;
/// A row has some hundred bytes, and a body of 100 kB is taken everywhere.
const BATCH_MAX: usize = 200;

type Key = (String, Currency);

/// A row of a list of ours.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    list: String,
    id: String,
    amount: Decimal,
}

/// What the running lists come to.
#[derive(Debug, Default, Clone)]
pub(super) struct Sales {
    /// Of the shop's own lists, the least.
    theirs: BTreeMap<Key, Decimal>,
    /// Of ours. More than one row of a variant is a create that was lost and made again.
    ours: BTreeMap<Key, Vec<Row>>,
    /// Our list, and whether it runs: somebody may have switched it off there, or given it dates. Two that began at once
    /// made two; the first is written.
    our_lists: Vec<(String, bool)>,
}

/// One variant's sale price, as it shall be.
#[derive(Debug, Clone)]
pub(super) struct Sale {
    /// Of the change that it is of.
    pub at: usize,
    pub variant: RemoteId,
    pub currency: Currency,
    pub amount: Option<Decimal>,
}

impl Sales {
    fn note(&mut self, list: &wire::PriceList, runs: bool, price: wire::ListPrice) {
        let Some(variant) = price.variant().filter(|_| price.is_for_all()) else {
            return;
        };
        let key = (variant.id.clone(), currency(&price.currency_code));
        if list.is_ours(OURS) {
            let rows = self.ours.entry(key).or_default();
            rows.push(Row {
                list: list.id.clone(),
                id: price.id,
                amount: price.amount,
            });
        } else if runs {
            let least = self.theirs.entry(key).or_insert(price.amount);
            *least = (*least).min(price.amount);
        }
    }

    fn of(&self, key: &Key) -> Option<Decimal> {
        let runs = |row: &&Row| {
            self.our_lists
                .iter()
                .any(|(list, runs)| *runs && *list == row.list)
        };
        let ours = self.ours.get(key).into_iter().flatten().filter(runs);
        let ours = ours.map(|row| row.amount);
        ours.chain(self.theirs.get(key).copied()).min()
    }

    /// Of each of the product's variants, by what it is called there.
    pub fn fill(&self, product: &mut Product) {
        for variant in &mut product.variants {
            let currencies: Vec<Currency> = variant.prices.keys().cloned().collect();
            let sales = currencies.into_iter().filter_map(|currency| {
                let key = (variant.id.0.clone(), currency);
                let amount = self.of(&key)?;
                Some((key.1, amount))
            });
            variant.sale_prices = sales.collect();
        }
    }

    /// The same in one line, to tell whether anything of it moved.
    pub fn words(product: &Product) -> String {
        let mut words = String::new();
        for variant in &product.variants {
            for (currency, amount) in &variant.sale_prices {
                // Into a String nothing fails.
                let _ = write!(words, " {} {currency} {amount}", variant.id);
            }
        }
        words
    }

    /// The rows that make it so, by list; `list`: the one that what is new goes into.
    fn rows(&self, sales: &[Sale], list: &str) -> Result<BTreeMap<String, Rows>, Unsayable> {
        let mut rows: BTreeMap<String, Rows> = BTreeMap::new();
        for sale in sales {
            let key = (sale.variant.0.clone(), sale.currency.clone());
            let there = self.ours.get(&key).map(Vec::as_slice).unwrap_or_default();
            let kept = there.first().filter(|_| sale.amount.is_some());
            let spare = there.iter().skip(usize::from(kept.is_some()));
            for row in spare {
                let of_list = rows.entry(row.list.clone()).or_default();
                of_list.delete.push(row.id.clone());
            }
            let Some(amount) = sale.amount else {
                continue;
            };
            let said = map::number("sale_price", amount)?;
            match kept {
                Some(row) if row.amount == amount => {}
                Some(row) => rows.entry(row.list.clone()).or_default().update.push(json!({
                    "id": row.id, "variant_id": sale.variant, "amount": said,
                })),
                None => rows.entry(list.to_owned()).or_default().create.push(json!({
                    "variant_id": sale.variant, "currency_code": sale.currency.0.to_lowercase(), "amount": said,
                })),
            }
        }
        Ok(rows)
    }

    /// As it is after these were written.
    fn written(&mut self, sales: &[Sale], list: &str, made: &[wire::ListPrice]) {
        for sale in sales {
            let key = (sale.variant.0.clone(), sale.currency.clone());
            let Some(amount) = sale.amount else {
                self.ours.remove(&key);
                continue;
            };
            let mut made = made.iter();
            let made = made.find(|row| {
                row.variant().is_some_and(|variant| variant.id == key.0)
                    && currency(&row.currency_code) == key.1
            });
            let rows = self.ours.entry(key).or_default();
            rows.truncate(1);
            match (rows.first_mut(), made) {
                (Some(row), _) => row.amount = amount,
                (None, made) => rows.push(Row {
                    list: list.to_owned(),
                    id: made.map(|made| made.id.clone()).unwrap_or_default(),
                    amount,
                }),
            }
        }
    }
}

#[derive(Default)]
struct Rows {
    create: Vec<Json>,
    update: Vec<Json>,
    delete: Vec<String>,
}

impl Shop {
    async fn price_lists(&self) -> Result<(Vec<wire::PriceList>, Timestamp), Fault> {
        let mut lists = Vec::new();
        let mut began = None;
        loop {
            let offset = u32::try_from(lists.len()).unwrap_or(u32::MAX);
            let request = self.api().price_lists(offset, PAGE_MAX);
            let call = self.exchange.call_dated(request, Cost::read());
            let (page, date): (wire::List, Timestamp) = call.await?;
            let began = *began.get_or_insert(date);
            let is_last = page.items.len() < PAGE_MAX as usize;
            for raw in &page.items {
                lists.push(self.row(raw, "a price list")?);
            }
            if is_last {
                return Ok((lists, began));
            }
        }
    }

    /// Of one list: all, or those that moved since.
    async fn prices_of(
        &self,
        list: &str,
        since: Option<Timestamp>,
        mut each: impl FnMut(wire::ListPrice),
    ) -> Result<(), Fault> {
        let mut offset: u32 = 0;
        loop {
            let request = self
                .api()
                .prices_of_list(list, since.is_some(), offset, PAGE_MAX);
            let page: wire::List = match self.exchange.call(request, Cost::read()).await {
                // It was deleted a moment ago; or this shop is older, and does not tell them.
                Err(fault) if fault.kind == FaultKind::NotFound => return Ok(()),
                page => page?,
            };
            let is_last = page.items.len() < PAGE_MAX as usize;
            for raw in &page.items {
                let price: wire::ListPrice = self.row(raw, "a price of a list")?;
                let is_older = price
                    .updated_at
                    .zip(since)
                    .is_some_and(|(at, since)| at < since);
                if is_older {
                    return Ok(());
                }
                each(price);
            }
            if is_last {
                return Ok(());
            }
            offset += PAGE_MAX;
            if offset as usize > PRICES_MAX {
                let what = "has a price list of more prices than Lockstep reads";
                return Err(self.exchange.fault(FaultKind::Protocol, what));
            }
        }
    }

    /// Those of the last reading will do where a scan goes on.
    pub(super) async fn known_sales(&self, anew: bool) -> Result<Arc<Sales>, Fault> {
        let lock = || self.sales.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().as_ref().filter(|_| !anew) {
            return Ok(Arc::clone(known));
        }
        let sales = Arc::new(self.sales_now().await?);
        *lock() = Some(Arc::clone(&sales));
        Ok(sales)
    }

    async fn sales_now(&self) -> Result<Sales, Fault> {
        let (lists, now) = self.price_lists().await?;
        let mut sales = Sales::default();
        for list in &lists {
            let runs = list.runs_for_all(now);
            if list.is_ours(OURS) {
                sales.our_lists.push((list.id.clone(), runs));
            } else if !runs {
                continue;
            }
            let read = self.prices_of(&list.id, None, |price| sales.note(list, runs, price));
            read.await?;
        }
        Ok(sales)
    }

    /// Products whose sale prices may have moved since: a list that was changed, begins or ends, and prices of others that did.
    pub(super) async fn products_of_sales_since(
        &self,
        since: Timestamp,
    ) -> Result<BTreeSet<RemoteId>, Fault> {
        let (lists, now) = self.price_lists().await?;
        let mut ids = BTreeSet::new();
        for list in &lists {
            let is_within = |at: Option<Timestamp>| at.is_some_and(|at| at >= since && at <= now);
            let turns =
                is_within(list.updated_at) || is_within(list.starts_at) || is_within(list.ends_at);
            if !list.is_sale() || !(turns || list.runs_for_all(now)) {
                continue;
            }
            let note = |price: wire::ListPrice| {
                let product = price
                    .variant()
                    .and_then(|variant| variant.product_id.clone());
                ids.extend(product.map(RemoteId));
            };
            let since = Some(since).filter(|_| !turns);
            self.prices_of(&list.id, since, note).await?;
        }
        Ok(ids)
    }

    /// Writes them into our list. Answers the lists as they are then, if they could be read, and which changes' failed.
    pub(super) async fn put_on_sale(
        &self,
        wanted: &[Sale],
    ) -> (Option<Sales>, BTreeMap<usize, Fault>) {
        let fails = |sales: &[Sale], fault: &Fault| -> Vec<(usize, Fault)> {
            sales.iter().map(|sale| (sale.at, fault.clone())).collect()
        };
        let mut sales = match self.sales_now().await {
            Ok(sales) => sales,
            Err(fault) => return (None, fails(wanted, &fault).into_iter().collect()),
        };
        let mut failed = BTreeMap::new();
        for batch in wanted.chunks(BATCH_MAX) {
            match self.write_sales(&mut sales, batch).await {
                Ok(()) => {}
                Err(fault) if is_refusal(&fault) => {
                    for own in batch.chunk_by(|one, next| one.at == next.at) {
                        if let Err(fault) = self.write_sales(&mut sales, own).await {
                            failed.extend(fails(own, &fault));
                        }
                    }
                }
                Err(fault) => failed.extend(fails(batch, &fault)),
            }
        }
        (Some(sales), failed)
    }

    /// All of them in one call, or none; where rows of ours stand in two lists, in two.
    async fn write_sales(&self, sales: &mut Sales, wanted: &[Sale]) -> Result<(), Fault> {
        let list = match sales.our_lists.first() {
            Some((list, false)) if wanted.iter().any(|sale| sale.amount.is_some()) => {
                let why = format!(
                    "has switched off the price list that Lockstep writes ({list}), or gave it dates or rules: make it run for everybody again, or delete it"
                );
                return Err(self.invalid("sale_price", &why));
            }
            Some((list, _)) => list.clone(),
            None if wanted.iter().all(|sale| sale.amount.is_none()) => return Ok(()),
            None => self.make_our_list(sales).await?,
        };
        let rows = sales.rows(wanted, &list);
        let rows = rows.map_err(|why| self.unsayable("a sale price", &why))?;
        let mut made = Vec::new();
        for (list, rows) in rows {
            // Sent twice, a row that is made would be there twice.
            let cost = if rows.create.is_empty() {
                Cost::repeatable()
            } else {
                Cost::once()
            };
            let body =
                json!({ "create": rows.create, "update": rows.update, "delete": rows.delete });
            let request = self.api().list_prices(&list, &body);
            let answer: wire::PricesMade = self.exchange.call(request, cost).await?;
            made.extend(answer.created);
        }
        sales.written(wanted, &list, &made);
        Ok(())
    }

    async fn make_our_list(&self, sales: &mut Sales) -> Result<String, Fault> {
        let body = json!({
            "title": TITLE, "description": "Written by Lockstep. Put sales of your own into lists of your own.",
            "type": "sale", "status": "active", "metadata": { OURS.0: OURS.1 },
        });
        let request = self.api().create_price_list(&body);
        let made: wire::OnePriceList = self.exchange.call(request, Cost::once()).await?;
        sales.our_lists.push((made.price_list.id.clone(), true));
        Ok(made.price_list.id)
    }
}
