//! A SKU explained: what came, what is committed to whom, what every shop shows and was told to show.

use super::{Explanation, LevelExplained, LineExplained, MovementExplained, StockExplained};
use crate::bounds::VIEW_ROWS_MAX;
use crate::columns::{decimal, id, int, level_subject, parse, time};
use crate::load::{known_states, lines};
use crate::{Journal, JournalError, projection};
use lockstep_model::cases::LineCase;
use lockstep_model::entry::{Entry, Movement};
use lockstep_model::settings::StockId;
use lockstep_model::{Level, ShopId, Sku, Takes};
use rusqlite::{OptionalExtension, params};
use rust_decimal::Decimal;
use std::collections::BTreeSet;

impl Journal {
    /// `None`: no stock knows the SKU.
    pub fn ledger(&self, sku: &Sku) -> Result<Option<Explanation>, JournalError> {
        let stocks: BTreeSet<StockId> = self
            .connection
            .prepare_cached(
                "SELECT stock FROM base WHERE sku = ?1 UNION SELECT stock FROM level WHERE sku = ?1
                 UNION SELECT stock FROM order_line WHERE sku = ?1 AND closed = 0",
            )?
            .query_map([&sku.0], |row| Ok(StockId(id(row.get(0)?))))?
            .collect::<Result<_, _>>()?;
        if stocks.is_empty() {
            return Ok(None);
        }
        Ok(Some(Explanation {
            sku: sku.clone(),
            record: self.record_by_key(sku.as_str())?,
            stocks: stocks
                .into_iter()
                .map(|stock| self.stock_explained(sku, stock))
                .collect::<Result<_, _>>()?,
        }))
    }

    fn stock_explained(&self, sku: &Sku, stock: StockId) -> Result<StockExplained, JournalError> {
        let key = params![sku.0, int(stock.0)];
        let base: Option<String> = self
            .connection
            .prepare_cached("SELECT base FROM base WHERE sku = ?1 AND stock = ?2")?
            .query_row(key, |row| row.get(0))
            .optional()?;
        let base = base.as_deref().map(decimal).transpose()?;
        let (owner, movements) = self.movements(sku, stock)?;
        let told: Decimal = movements.iter().map(|movement| movement.delta).sum();
        let lines: Vec<LineExplained> = lines(&self.connection, sku, stock)?
            .into_iter()
            .map(|line| self.line_explained(line, owner))
            .collect::<Result<_, _>>()?;
        let committed = lines.iter().map(|line| line.committed).sum();
        let dirty = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM sku_dirty WHERE sku = ?1 AND stock = ?2)",
            )?
            .query_row(key, |row| row.get(0))?;
        Ok(StockExplained {
            stock,
            owner,
            base,
            movements_before: base.unwrap_or_default() - told,
            movements,
            lines,
            committed,
            pool: base.map(|base| base - committed),
            levels: self.levels(sku, stock)?,
            dirty,
        })
    }

    /// The newest movements in order, and whose reading opened the ledger.
    fn movements(
        &self,
        sku: &Sku,
        stock: StockId,
    ) -> Result<(Option<ShopId>, Vec<MovementExplained>), JournalError> {
        let mut query = self.connection.prepare_cached(
            "SELECT seq, at, delta, cause FROM movement WHERE sku = ?1 AND stock = ?2 ORDER BY seq DESC LIMIT ?3",
        )?;
        let limit = i64::try_from(VIEW_ROWS_MAX).unwrap_or(i64::MAX);
        let mut rows = query.query(params![sku.0, int(stock.0), limit])?;
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
        let opening: Option<String> = self
            .connection
            .prepare_cached(
                "SELECT cause FROM movement
                 WHERE sku = ?1 AND stock = ?2 AND json_extract(cause, '$.movement') = 'opening'
                 ORDER BY seq DESC LIMIT 1",
            )?
            .query_row(params![sku.0, int(stock.0)], |row| row.get(0))
            .optional()?;
        let owner = match opening {
            Some(cause) => match parse("why the base moved", &cause)? {
                Movement::Opening { shop } => Some(shop),
                Movement::Unexplained { .. } | Movement::Closing { .. } => None,
            },
            None => None,
        };
        Ok((owner, movements))
    }

    fn line_explained(
        &self,
        line: LineCase,
        owner: Option<ShopId>,
    ) -> Result<LineExplained, JournalError> {
        let committed = self.committed(&line, owner)?;
        let copies = known_states(&self.connection, &line.order.to_string())?
            .into_iter()
            .filter(|(shop, _)| *shop != line.order.shop)
            .map(|(shop, state)| (shop, state.number))
            .collect();
        Ok(LineExplained {
            copies,
            committed,
            taken: line
                .sides
                .iter()
                .map(|(shop, side)| (*shop, side.taken))
                .collect(),
            order: line.order,
            number: line.number,
            before_opening: line.before_opening,
            accepted: line.accepted,
            on_its_way: line.on_its_way,
        })
    }

    /// Rule 2 of the ledger: the largest taken of an order's sides; the owner's alone once its side is done; an
    /// accepted order counts from acceptance where the origin takes late.
    fn committed(&self, line: &LineCase, owner: Option<ShopId>) -> Result<Decimal, JournalError> {
        let owners = owner.and_then(|owner| line.sides.get(&owner).map(|side| (owner, side)));
        if line.before_opening {
            return Ok(owners.map_or(Decimal::ZERO, |(_, side)| side.taken));
        }
        if let Some((owner, side)) = owners
            && owner != line.order.shop
            && side.done
        {
            return Ok(side.taken);
        }
        let taken = line.sides.values().map(|side| side.taken).max();
        let taken = taken.unwrap_or_default();
        if let Some(origin) = line.sides.get(&line.order.shop)
            && line.accepted
            && !origin.done
        {
            let late = projection::identity(&self.connection, line.order.shop)?
                .is_some_and(|shop| matches!(shop.stock.takes, Takes::Shipment | Takes::Never));
            if late {
                return Ok(taken.max(origin.wanted));
            }
        }
        Ok(taken)
    }

    fn levels(&self, sku: &Sku, stock: StockId) -> Result<Vec<LevelExplained>, JournalError> {
        let read_at = self.last_reading(sku, stock)?;
        let mut query = self.connection.prepare_cached(
            "SELECT shop, level, taken, target, meant FROM level WHERE sku = ?1 AND stock = ?2 ORDER BY shop",
        )?;
        let mut rows = query.query(params![sku.0, int(stock.0)])?;
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
                available: level.available(),
                on_hand: level.on_hand,
                reserved: level.reserved,
                taken: projection::taken(&self.connection, shop, sku, stock)?,
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
        sku: &Sku,
        stock: StockId,
    ) -> Result<Vec<(ShopId, jiff::Timestamp)>, JournalError> {
        let mut query = self.connection.prepare_cached(
            "SELECT e.seq, e.line FROM history h JOIN entry e ON e.seq = h.seq
             WHERE h.subject = ?1 ORDER BY h.seq DESC LIMIT 100",
        )?;
        let mut rows = query.query([level_subject(stock, sku)])?;
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
