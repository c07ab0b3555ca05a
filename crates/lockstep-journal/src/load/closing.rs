//! Orders whose lines can leave the sums: final everywhere and not moved for long, with nothing left to do or to ask.

use super::{bases, bounded, is_final_since, lines};
use crate::columns::{order_key_of, order_subject};
use crate::{Journal, JournalError};
use jiff::Timestamp;
use lockstep_model::cases::{ClosingCase, ClosingChunk};
use lockstep_model::{OrderKey, Sku};
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
        let mut over: BTreeMap<Sku, BTreeSet<OrderKey>> = BTreeMap::new();
        for key in &keys {
            if !is_over(&self.connection, key, before)? {
                continue;
            }
            for sku in quiet_skus(&self.connection, key)? {
                over.entry(sku).or_default().insert(order_key_of(key)?);
            }
        }
        let mut chunk = ClosingChunk::default();
        for (sku, over) in over {
            chunk.cases.push(ClosingCase {
                bases: bases(&self.connection, &sku)?,
                lines: lines(&self.connection, &sku)?,
                over,
                sku,
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

/// Of the order's SKUs those of which no write to a level is open: what became of one is told by the units that orders
/// have taken.
fn quiet_skus(connection: &Connection, order_key: &str) -> Result<Vec<Sku>, JournalError> {
    let skus = connection
        .prepare_cached(
            "SELECT DISTINCT o.sku FROM order_line o WHERE o.order_key = ?1 AND o.closed = 0
             AND NOT EXISTS (SELECT 1 FROM level l CROSS JOIN intent i ON i.subject = 'l:' || l.stock || ':' || l.sku
                             WHERE l.sku = o.sku)",
        )?
        .query_map([order_key], |row| Ok(Sku(row.get(0)?)))?
        .collect::<Result<_, _>>()?;
    Ok(skus)
}
