//! Buyers: found by what is sealed of them, forgotten at their word or after their time.
//!
//! Forgetting is an entry, so that it reaches every file of this journal: each drops the keys that it has when it takes
//! the entry in. Sums and lines of the orders remain.

use crate::columns::{id, order_key_of, time};
use crate::load::is_final_since;
use crate::{Journal, JournalError, projection, schema, seal};
use jiff::Timestamp;
use lockstep_model::cases::Also;
use lockstep_model::entry::Body;
use lockstep_model::{OrderKey, Person};
use rusqlite::{OptionalExtension, params};
use std::path::Path;

/// What is kept of buyers, in the order of orders, from one after another.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BuyerPage {
    pub buyers: Vec<(OrderKey, Person)>,
    /// `None`: that was all.
    pub next: Option<OrderKey>,
}

/// When, and at whose word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    pub at: Timestamp,
    /// `None`: by the settings' bound.
    pub by: Option<String>,
}

impl Journal {
    /// Those that this file has keys of.
    pub fn buyers(
        &self,
        after: Option<&OrderKey>,
        limit: usize,
    ) -> Result<BuyerPage, JournalError> {
        let (keys, next) = self.keys_after(after, limit)?;
        let mut page = BuyerPage {
            buyers: Vec::new(),
            next,
        };
        for order in keys {
            if let Some(person) = self.person(&order)? {
                page.buyers.push((order, person));
            }
        }
        Ok(page)
    }

    /// Orders after this one whose buyer's time is over: final everywhere, or never placed, and not moved since
    /// `before`. And where to go on.
    pub fn buyers_past(
        &self,
        before: Timestamp,
        after: Option<&OrderKey>,
        limit: usize,
    ) -> Result<(Vec<OrderKey>, Option<OrderKey>), JournalError> {
        let (keys, next) = self.keys_after(after, limit)?;
        let mut past = Vec::new();
        for order in keys {
            if is_final_since(&self.connection, &order.to_string(), before)? {
                past.push(order);
            }
        }
        Ok((past, next))
    }

    fn keys_after(
        &self,
        after: Option<&OrderKey>,
        limit: usize,
    ) -> Result<(Vec<OrderKey>, Option<OrderKey>), JournalError> {
        let keys: Vec<String> = self
            .connection
            .prepare_cached(
                "SELECT order_key FROM person_key WHERE order_key > ?1 ORDER BY order_key LIMIT ?2",
            )?
            .query_map(
                params![
                    after.map(ToString::to_string).unwrap_or_default(),
                    i64::try_from(limit.max(1)).unwrap_or(i64::MAX)
                ],
                |row| row.get(0),
            )?
            .collect::<Result<_, _>>()?;
        let orders: Vec<OrderKey> = keys
            .iter()
            .map(|key| order_key_of(key))
            .collect::<Result<_, _>>()?;
        let next = (orders.len() >= limit.max(1))
            .then(|| orders.last().cloned())
            .flatten();
        Ok((orders, next))
    }

    /// Orders whose buyers are sealed under keys of another disk, or of one that is gone: nobody can read them here.
    pub fn buyers_unreadable(&self) -> Result<u64, JournalError> {
        let count: i64 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM known_order k WHERE k.sealed IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM person_key p WHERE p.order_key = k.order_key)",
            )?
            .query_row([], |row| row.get(0))?;
        Ok(id(count))
    }

    /// Forgets the buyers of these orders, for good. Those that were forgotten before are left out of the entry, and
    /// whatever may be left of their keys goes all the same. Answers the newest entry that says so.
    pub fn erase_buyers(
        &mut self,
        at: Timestamp,
        orders: &[OrderKey],
        by: Option<&str>,
    ) -> Result<u64, JournalError> {
        let mut new = Vec::new();
        for order in orders {
            if !projection::is_erased(&self.connection, order)? && !new.contains(order) {
                new.push(order.clone());
            }
        }
        if !new.is_empty() {
            let body = Body::BuyersErased {
                orders: new,
                by: by.map(ToOwned::to_owned),
            };
            self.append(at, vec![body], Also::default())?;
        }
        seal::forget(&self.connection, orders)?;
        seal::empty_log(&self.connection)?;
        Ok(self.head()?.seq)
    }

    pub fn erased(&self, order: &OrderKey) -> Result<Option<Erased>, JournalError> {
        let row: Option<(i64, Option<String>)> = self
            .connection
            .prepare_cached("SELECT at, erased_by FROM erased WHERE order_key = ?1")?
            .query_row([order.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        row.map(|(at, by)| Ok(Erased { at: time(at)?, by }))
            .transpose()
    }

    /// Was this order ever met?
    pub fn knows_order(&self, order: &OrderKey) -> Result<bool, JournalError> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM purchase WHERE order_key = ?1)
                     OR EXISTS (SELECT 1 FROM staged_order WHERE order_key = ?1)",
            )?
            .query_row([order.to_string()], |row| row.get(0))?)
    }

    /// For a file whose customer another machine works for: what it sealed is not read here any more.
    pub fn forget_keys(&mut self) -> Result<bool, JournalError> {
        let had = self.connection.execute("DELETE FROM person_key", [])?;
        self.connection
            .execute("UPDATE staged_order SET sealed = NULL", [])?;
        seal::empty_log(&self.connection)?;
        Ok(had > 0)
    }
}

/// As [`Journal::forget_keys`], for a file that was set aside.
pub fn forget_keys_of(
    path: &Path,
    customer: lockstep_model::CustomerId,
) -> Result<bool, JournalError> {
    Journal::over(schema::open_file(path, customer)?, customer).forget_keys()
}
