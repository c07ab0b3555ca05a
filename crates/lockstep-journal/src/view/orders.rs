//! Orders, newest first, and one in all shops. Nothing personal: see [`Journal::person`].

use super::records::{asides_about, conflicts_about, open_writes};
use super::{HeldOrders, OrderRow, OrderView};
use crate::bounds::{HELD_ORDERS_NAMED, VIEW_ROWS_MAX};
use crate::columns::{id, int, order_key_of, order_subject, parse};
use crate::load::{copies, known_states};
use crate::{Journal, JournalError};
use lockstep_model::entry::Hold;
use lockstep_model::{OrderKey, ShopId};
use rusqlite::{OptionalExtension, params};
use std::collections::HashMap;

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
            erased: self.erased(order)?.map(|erased| (erased.at, erased.by)),
        }))
    }

    /// Orders that wait for a person, the oldest first, by what they wait for. Those that wait for their payment are
    /// not among them.
    pub fn held_orders(&self) -> Result<Vec<HeldOrders>, JournalError> {
        let mut query = self.connection.prepare_cached(
            "SELECT order_key, held FROM purchase WHERE held IS NOT NULL ORDER BY first_seq",
        )?;
        let mut rows = query.query([])?;
        let mut groups: Vec<HeldOrders> = Vec::new();
        let mut places: HashMap<(ShopId, String), usize> = HashMap::new();
        while let Some(row) = rows.next()? {
            let held: String = row.get(1)?;
            let hold: Hold = parse("what holds an order", &held)?;
            let Some(sort) = sort_of(&hold, held) else {
                continue;
            };
            let order = order_key_of(&row.get::<_, String>(0)?)?;
            let place = *places.entry((order.shop, sort)).or_insert_with(|| {
                groups.push(HeldOrders {
                    origin: order.shop,
                    hold: hold.clone(),
                    count: 0,
                    first: Vec::new(),
                });
                groups.len() - 1
            });
            if let Some(group) = groups.get_mut(place) {
                group.count += 1;
                if group.first.len() < HELD_ORDERS_NAMED {
                    group.first.push((order, hold));
                }
            }
        }
        Ok(groups)
    }
}

/// Orders of one shop are held for the same if these are equal. `None`: no person is needed.
fn sort_of(hold: &Hold, held: String) -> Option<String> {
    match hold {
        Hold::Gate | Hold::Refunded => None,
        // What differs from order to order is said of each.
        Hold::Sums { .. } => Some("sums".into()),
        Hold::Refused { .. } => Some("refused".into()),
        Hold::UnknownSku { .. }
        | Hold::UnmappedPaymentMethod { .. }
        | Hold::UnmappedShippingMethod { .. }
        | Hold::UnmappedPaymentTerm { .. }
        | Hold::UnmappedCountry { .. }
        | Hold::UnknownTaxRate { .. }
        | Hold::BuyerErased
        | Hold::InDoubt => Some(held),
    }
}
