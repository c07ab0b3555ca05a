//! Orders whose lines can leave the sums: final everywhere and not moved for long, with nothing left to do or to ask.

use super::{bases, bounded, is_final_since, lines};
use crate::columns::{order_key_of, order_subject};
use crate::{Journal, JournalError};
use jiff::Timestamp;
use lockstep_model::cases::{ClosingCase, ClosingChunk};
use lockstep_model::{ItemId, OrderKey};
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, BTreeSet};

impl Journal {
    /// Of the next orders with lines that count those that are over, in the order of keys.
    pub fn load_closing(
        &self,
        after: Option<&OrderKey>,
        before: Timestamp,
        limit: usize,
    ) -> Result<ClosingChunk, JournalError> {
        let limit = bounded(limit);
        let keys: Vec<String> = self
            .connection
            .prepare_cached(
                "SELECT DISTINCT order_key FROM order_line WHERE order_key > ?1 AND closed = 0
                 ORDER BY order_key LIMIT ?2",
            )?
            .query_map(
                params![
                    after.map(ToString::to_string).unwrap_or_default(),
                    i64::try_from(limit).unwrap_or(i64::MAX)
                ],
                |row| row.get(0),
            )?
            .collect::<Result<_, _>>()?;
        let mut over: BTreeMap<ItemId, BTreeSet<OrderKey>> = BTreeMap::new();
        for key in &keys {
            if !is_over(&self.connection, key, before)? {
                continue;
            }
            for item in quiet_items(&self.connection, key)? {
                over.entry(item).or_default().insert(order_key_of(key)?);
            }
        }
        let mut chunk = ClosingChunk::default();
        for (item, over) in over {
            chunk.cases.push(ClosingCase {
                bases: bases(&self.connection, &item)?,
                lines: lines(&self.connection, &item)?,
                over,
                item,
            });
        }
        if let Some(last) = keys.last().filter(|_| keys.len() == limit) {
            chunk.next = Some(order_key_of(last)?);
        }
        Ok(chunk)
    }
}

fn is_over(
    connection: &Connection,
    order_key: &str,
    before: Timestamp,
) -> Result<bool, JournalError> {
    let is_busy: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM order_dirty WHERE order_key = ?1)
                 OR EXISTS (SELECT 1 FROM staged_order WHERE order_key = ?1)
                 OR EXISTS (SELECT 1 FROM intent WHERE subject = ?2)
                 OR EXISTS (SELECT 1 FROM aside WHERE subject = ?2)
                 OR EXISTS (SELECT 1 FROM conflict WHERE subject = ?2 AND closed_at IS NULL)
                 OR EXISTS (SELECT 1 FROM purchase WHERE order_key = ?1 AND held IS NOT NULL)",
        )?
        .query_row(params![order_key, order_subject(order_key)], |row| {
            row.get(0)
        })?;
    if is_busy {
        return Ok(false);
    }
    is_final_since(connection, order_key, before)
}

/// Of the order's items those of which no write to a level is open: what became of one is told by the units that orders
/// have taken.
fn quiet_items(connection: &Connection, order_key: &str) -> Result<Vec<ItemId>, JournalError> {
    let items = connection
        .prepare_cached(
            "SELECT DISTINCT o.item FROM order_line o WHERE o.order_key = ?1 AND o.closed = 0
             AND NOT EXISTS (SELECT 1 FROM level l CROSS JOIN intent i ON i.subject = 'l:' || l.stock || ':' || l.item
                             WHERE l.item = o.item)",
        )?
        .query_map([order_key], |row| Ok(ItemId(row.get(0)?)))?
        .collect::<Result<_, _>>()?;
    Ok(items)
}
