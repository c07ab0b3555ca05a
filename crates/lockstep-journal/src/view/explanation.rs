//! A SKU explained: what came, which orders have it, what every shop shows and was told to show.

use super::{Explanation, LevelExplained, LineExplained, MovementExplained, StockExplained};
use crate::bounds::VIEW_ROWS_MAX;
use crate::columns::{decimal, id, int, level_subject, parse, time};
use crate::load::{bases, known_states, lines};
use crate::{Journal, JournalError, items, projection};
use lockstep_model::cases::LineCase;
use lockstep_model::entry::Entry;
use lockstep_model::settings::StockId;
use lockstep_model::{ItemId, Level, RecordId, ShopId, Sku};
use rusqlite::params;
use rust_decimal::Decimal;
use std::collections::BTreeSet;

impl Journal {
    /// `None`: no stock knows the SKU.
    pub fn ledger(&self, sku: &Sku) -> Result<Option<Explanation>, JournalError> {
        let item = &items::item_called(&self.connection, sku)?;
        let stocks: BTreeSet<StockId> = self
            .connection
            .prepare_cached(
                "SELECT stock FROM base WHERE item = ?1 UNION SELECT stock FROM level WHERE item = ?1
                 UNION SELECT stock FROM order_line WHERE item = ?1 AND closed = 0",
            )?
            .query_map([&item.0], |row| Ok(StockId(id(row.get(0)?))))?
            .collect::<Result<_, _>>()?;
        if stocks.is_empty() {
            return Ok(None);
        }
        let lines = lines(&self.connection, item)?.into_iter();
        let bases = bases(&self.connection, item)?;
        Ok(Some(Explanation {
            sku: sku.clone(),
            record: items::record_of(&self.connection, item)?.map(|record| RecordId(id(record))),
            lines: lines
                .map(|line| self.line_explained(line))
                .collect::<Result<_, _>>()?,
            stocks: stocks
                .into_iter()
                .map(|stock| self.stock_explained(item, stock, bases.get(&stock)))
                .collect::<Result<_, _>>()?,
            bases,
        }))
    }

    fn stock_explained(
        &self,
        item: &ItemId,
        stock: StockId,
        base: Option<&Decimal>,
    ) -> Result<StockExplained, JournalError> {
        let movements = self.movements(item, stock)?;
        let told: Decimal = movements.iter().map(|movement| movement.delta).sum();
        let dirty = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM item_dirty WHERE item = ?1 AND stock = ?2)",
            )?
            .query_row(params![item.0, int(stock.0)], |row| row.get(0))?;
        Ok(StockExplained {
            stock,
            movements_before: base.copied().unwrap_or_default() - told,
            movements,
            levels: self.levels(item, stock)?,
            dirty,
        })
    }

    /// The newest movements in order.
    fn movements(
        &self,
        item: &ItemId,
        stock: StockId,
    ) -> Result<Vec<MovementExplained>, JournalError> {
        let mut query = self.connection.prepare_cached(
            "SELECT seq, at, delta, cause FROM movement WHERE item = ?1 AND stock = ?2 ORDER BY seq DESC LIMIT ?3",
        )?;
        let limit = i64::try_from(VIEW_ROWS_MAX).unwrap_or(i64::MAX);
        let mut rows = query.query(params![item.0, int(stock.0), limit])?;
        let mut movements = Vec::new();
        while let Some(row) = rows.next()? {
            movements.push(MovementExplained {
                seq: id(row.get(0)?),
                at: time(row.get(1)?)?,
                delta: decimal(&row.get::<_, String>(2)?)?,
                cause: parse("why the base moved", &row.get::<_, String>(3)?)?,
            });
        }
        movements.reverse();
        Ok(movements)
    }

    fn line_explained(&self, line: LineCase) -> Result<LineExplained, JournalError> {
        let mut states = known_states(&self.connection, &line.order.to_string())?;
        let origin = states.remove(&line.order.shop);
        let copies = states.into_iter();
        Ok(LineExplained {
            placed_at: origin.map(|origin| origin.placed_at),
            copies: copies.map(|(shop, state)| (shop, state.number)).collect(),
            line,
        })
    }

    fn levels(&self, item: &ItemId, stock: StockId) -> Result<Vec<LevelExplained>, JournalError> {
        let read_at = self.last_reading(item, stock)?;
        let mut query = self.connection.prepare_cached(
            "SELECT shop, level, taken, target, meant FROM level WHERE item = ?1 AND stock = ?2 ORDER BY shop",
        )?;
        let mut rows = query.query(params![item.0, int(stock.0)])?;
        let mut levels = Vec::new();
        while let Some(row) = rows.next()? {
            let shop = ShopId(id(row.get(0)?));
            let level: Level = parse("a stock level", &row.get::<_, String>(1)?)?;
            let optional = |column: usize| -> Result<Option<Decimal>, JournalError> {
                let text: Option<String> = row.get(column)?;
                text.as_deref().map(decimal).transpose()
            };
            levels.push(LevelExplained {
                shop,
                level,
                taken: projection::taken(&self.connection, shop, item, stock)?,
                target: optional(3)?,
                meant: optional(4)?,
                read_at: read_at
                    .iter()
                    .find(|(reader, _)| *reader == shop)
                    .map(|(_, at)| *at),
            });
        }
        Ok(levels)
    }

    /// When each shop's level was last seen to differ, or was written, as far as the newest entries tell.
    fn last_reading(
        &self,
        item: &ItemId,
        stock: StockId,
    ) -> Result<Vec<(ShopId, jiff::Timestamp)>, JournalError> {
        let mut query = self.connection.prepare_cached(
            "SELECT e.seq, e.line FROM history h JOIN entry e ON e.seq = h.seq
             WHERE h.subject = ?1 ORDER BY h.seq DESC LIMIT 100",
        )?;
        let mut rows = query.query([level_subject(stock, item)])?;
        let mut readings: Vec<(ShopId, jiff::Timestamp)> = Vec::new();
        while let Some(row) = rows.next()? {
            let seq = id(row.get(0)?);
            let entry: Entry = serde_json::from_str(&row.get::<_, String>(1)?)
                .map_err(|source| JournalError::CorruptEntry { seq, source })?;
            if let lockstep_model::entry::Body::LevelSeen { shop, .. } = entry.body
                && !readings.iter().any(|(reader, _)| *reader == shop)
            {
                readings.push((shop, entry.at));
            }
        }
        Ok(readings)
    }
}
