//! Orders, newest first, and one in all shops. Nothing personal: see [`Journal::person`].

use super::records::{asides_about, conflicts_about, open_writes};
use super::{OrderRow, OrderView};
use crate::bounds::VIEW_ROWS_MAX;
use crate::columns::{id, int, order_key_of, order_subject, parse};
use crate::load::{copies, known_states};
use crate::{Journal, JournalError};
use lockstep_model::OrderKey;
use rusqlite::{OptionalExtension, params};

type Purchase = (String, i64, bool, Option<String>);

impl Journal {
    /// Orders that we met before this entry, newest first.
    pub fn orders(
        &self,
        before_first_seq: Option<u64>,
        limit: usize,
    ) -> Result<Vec<OrderRow>, JournalError> {
        let purchases: Vec<Purchase> = self
            .connection
            .prepare_cached(
                "SELECT order_key, first_seq, before_opening, held FROM purchase
                 WHERE first_seq < ?1 ORDER BY first_seq DESC LIMIT ?2",
            )?
            .query_map(
                params![
                    before_first_seq.map_or(i64::MAX, int),
                    i64::try_from(limit.min(VIEW_ROWS_MAX)).unwrap_or(i64::MAX)
                ],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )?
            .collect::<Result<_, _>>()?;
        purchases
            .into_iter()
            .map(|purchase| self.order_row(purchase))
            .collect()
    }

    fn order_row(
        &self,
        (order_key, first_seq, before_opening, held): Purchase,
    ) -> Result<OrderRow, JournalError> {
        let order = order_key_of(&order_key)?;
        let origin = known_states(&self.connection, &order_key)?.remove(&order.shop);
        Ok(OrderRow {
            first_seq: id(first_seq),
            number: origin.as_ref().map(|origin| origin.number.clone()),
            origin,
            copies: copies(&self.connection, &order_key)?,
            held: held
                .map(|held| parse("what holds an order", &held))
                .transpose()?,
            before_opening,
            order,
        })
    }

    pub fn order_view(&self, order: &OrderKey) -> Result<Option<OrderView>, JournalError> {
        let order_key = order.to_string();
        let purchase: Option<Purchase> = self
            .connection
            .prepare_cached(
                "SELECT order_key, first_seq, before_opening, held FROM purchase WHERE order_key = ?1",
            )?
            .query_row([&order_key], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        let Some(purchase) = purchase else {
            return Ok(None);
        };
        let subject = order_subject(&order_key);
        Ok(Some(OrderView {
            row: self.order_row(purchase)?,
            states: known_states(&self.connection, &order_key)?,
            open: open_writes(&self.connection, &subject)?,
            asides: asides_about(&self.connection, &subject)?,
            conflicts: conflicts_about(&self.connection, &subject)?,
        }))
    }
}
