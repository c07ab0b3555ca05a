//! What has to be read again by name, and what waits for a person or for a look.

use crate::bounds::VIEW_ROWS_MAX;
use crate::columns::{
    aside_of, id, int, kind_code, order_key_of, order_key_of_subject, order_subject, parse,
    subject_of, subject_text, time,
};
use crate::load::{INTENT_COLUMNS, conflicts_of, read_intent};
use crate::view::{AsideRow, ConflictRow};
use crate::{Journal, JournalError, Mark};
use jiff::Timestamp;
use lockstep_model::cases::{Also, Meetings, OpenConflict, OpenIntent};
use lockstep_model::entry::{Again, Body, Subject};
use lockstep_model::{ConflictId, ItemId, Kind, OrderKey, RemoteId, RunId, ShopId};
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeSet;

/// An order of which a write is open at a shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderToRead {
    pub order: OrderKey,
    /// What the shop calls it; `None`: it is being made there and can only be looked for by its key.
    pub id: Option<RemoteId>,
}

/// What is not in step, by why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Records at shops that a run would write or could not, and writes of orders and levels whose outcome is open.
    /// What stands aside is not among them.
    pub not_written: u64,
    pub asides: u64,
    /// That nobody has answered.
    pub questions: u64,
    /// Orders that wait for a person.
    pub held: u64,
    /// Products that a shop neither has nor is to get, by its assortment.
    pub outside: u64,
    /// The newest run that has ended.
    pub after_run: Option<RunId>,
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit.min(VIEW_ROWS_MAX)).unwrap_or(i64::MAX)
}

impl Journal {
    /// Items whose level at this shop has to be read by name: an order took or gave back since it was read, it is called
    /// otherwise since, or a write of it is open, and no page has shown it since.
    pub fn items_to_read(
        &self,
        shop: ShopId,
        after: Option<&ItemId>,
        limit: usize,
    ) -> Result<Vec<ItemId>, JournalError> {
        let after = after.map_or("", ItemId::as_str);
        // Three lists, put together here: SQLite would build a table for it.
        let mut items: BTreeSet<String> = BTreeSet::new();
        for list in [
            "SELECT DISTINCT d.item FROM item_dirty d
             CROSS JOIN level l ON l.item = d.item AND l.stock = d.stock AND l.shop = ?1
             LEFT JOIN taken t ON t.item = d.item AND t.stock = d.stock AND t.shop = ?1
             WHERE d.item > ?2 AND ifnull(t.taken, '0') <> l.taken AND l.gone = 0
             AND NOT EXISTS (SELECT 1 FROM staged_level s WHERE s.item = d.item AND s.shop = ?1)
             ORDER BY d.item LIMIT ?3",
            "SELECT item FROM level l WHERE l.shop = ?1 AND l.stale = 1 AND l.item > ?2 AND l.gone = 0
             AND NOT EXISTS (SELECT 1 FROM staged_level s WHERE s.item = l.item AND s.shop = ?1)
             ORDER BY l.item LIMIT ?3",
            "SELECT i.item FROM intent i
             WHERE i.shop = ?1 AND i.item > ?2
             AND NOT EXISTS (SELECT 1 FROM staged_level s WHERE s.item = i.item AND s.shop = ?1)
             GROUP BY i.item ORDER BY i.item LIMIT ?3",
        ] {
            let mut query = self.connection.prepare_cached(list)?;
            let mut found = query.query(params![int(shop.0), after, rows(limit)])?;
            while let Some(row) = found.next()? {
                items.insert(row.get(0)?);
            }
        }
        let bound = limit.min(VIEW_ROWS_MAX);
        Ok(items.into_iter().take(bound).map(ItemId).collect())
    }

    /// Orders of which a write is open at this shop, in the order of keys.
    pub fn orders_to_read(
        &self,
        shop: ShopId,
        after: Option<&OrderKey>,
        limit: usize,
    ) -> Result<Vec<OrderToRead>, JournalError> {
        let after = order_subject(&after.map(ToString::to_string).unwrap_or_default());
        let mut id_of = self.connection.prepare_cached(
            "SELECT id FROM known_order WHERE order_key = ?1 AND shop = ?2
             UNION ALL SELECT id FROM order_copy WHERE order_key = ?1 AND shop = ?2 LIMIT 1",
        )?;
        let mut query = self.connection.prepare_cached(
            "SELECT DISTINCT subject FROM intent WHERE shop = ?1 AND subject > ?2 AND subject < 'o;'
             ORDER BY subject LIMIT ?3",
        )?;
        let mut found = query.query(params![int(shop.0), after, rows(limit)])?;
        let mut orders = Vec::new();
        while let Some(row) = found.next()? {
            let subject: String = row.get(0)?;
            let order_key = order_key_of_subject(&subject)?;
            let id: Option<String> = id_of
                .query_row(params![order_key, int(shop.0)], |row| row.get(0))
                .optional()?;
            orders.push(OrderToRead {
                order: order_key_of(order_key)?,
                id: id.map(RemoteId),
            });
        }
        Ok(orders)
    }

    /// Catalogue records of which a write is open at this shop and that it has an id for, in the order of ids. And those
    /// beside which another bears their SKU, since they may have been deleted and made again; once they are gone, the
    /// other.
    pub fn records_to_read(
        &self,
        shop: ShopId,
        kind: Kind,
        after: Option<&RemoteId>,
        limit: usize,
    ) -> Result<Vec<RemoteId>, JournalError> {
        let ids = self
            .connection
            .prepare_cached(
                "SELECT l.id FROM intent i
                 CROSS JOIN link l ON l.record = CAST(substr(i.subject, 3) AS INTEGER)
                 WHERE i.shop = ?1 AND i.subject > 'r:' AND i.subject < 'r;'
                 AND l.shop = ?1 AND l.kind = ?2 AND l.id > ?3 AND l.gone = 0
                 UNION
                 SELECT d.id FROM doubt d
                 WHERE d.shop = ?1 AND d.kind = ?2 AND d.id > ?3 AND (d.answer > 0 OR d.answer = 0 AND d.by_sku = 0)
                 AND NOT EXISTS (SELECT 1 FROM link l WHERE l.shop = d.shop AND l.kind = d.kind AND l.id = d.id)
                 UNION
                 SELECT d.id FROM doubt d
                 WHERE d.shop = ?1 AND d.kind = ?2 AND d.id > ?3 AND d.answer IS NULL AND d.by_sku = 1
                 AND EXISTS (SELECT 1 FROM link l WHERE l.record = d.record AND l.shop = d.shop)
                 AND NOT EXISTS (SELECT 1 FROM link l WHERE l.record = d.record AND l.shop = d.shop AND l.gone = 0)
                 UNION
                 SELECT l.id FROM doubt d CROSS JOIN link l ON l.record = d.record AND l.shop = d.shop AND l.kind = d.kind
                 WHERE d.shop = ?1 AND d.kind = ?2 AND d.answer IS NULL AND d.by_sku = 1 AND l.id > ?3 AND l.gone = 0
                 ORDER BY 1 LIMIT ?4",
            )?
            .query_map(
                params![
                    int(shop.0),
                    kind_code(kind),
                    after.map_or("", RemoteId::as_str),
                    rows(limit)
                ],
                |row| Ok(RemoteId(row.get(0)?)),
            )?
            .collect::<Result<_, _>>()?;
        Ok(ids)
    }

    /// Everything of a sort is due again. An entry, so that a restored file knows it too.
    pub fn mark_due(&mut self, at: Timestamp, what: Again) -> Result<Mark, JournalError> {
        self.append(at, vec![Body::DueAgain { what }], Also::default())
    }

    /// Writes whose outcome is not known, oldest first.
    pub fn open_intents(
        &self,
        after: Option<lockstep_model::IntentId>,
        limit: usize,
    ) -> Result<Vec<OpenIntent>, JournalError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {INTENT_COLUMNS} FROM intent WHERE intent > ?1 ORDER BY intent LIMIT ?2"
        ))?;
        let mut found = query.query(params![
            after.map_or(i64::MIN, |after| int(after.0)),
            rows(limit)
        ])?;
        let mut intents = Vec::new();
        while let Some(row) = found.next()? {
            intents.push(read_intent(row)?);
        }
        Ok(intents)
    }

    /// Records that cannot be dealt with now, newest first.
    pub fn asides(&self, limit: usize) -> Result<Vec<AsideRow>, JournalError> {
        let mut query = self.connection.prepare_cached(
            "SELECT shop, subject, fault, retry_at, tries, at FROM aside ORDER BY at DESC, subject, shop LIMIT ?1",
        )?;
        let mut found = query.query([rows(limit)])?;
        let mut asides = Vec::new();
        while let Some(row) = found.next()? {
            let retry_at: i64 = row.get(3)?;
            asides.push(AsideRow {
                shop: ShopId(id(row.get(0)?)),
                subject: aside_of(&row.get::<_, String>(1)?)?,
                fault: parse("why a record stands aside", &row.get::<_, String>(2)?)?,
                retry_at: (retry_at != i64::MAX).then(|| time(retry_at)).transpose()?,
                tries: row.get(4)?,
                at: time(row.get(5)?)?,
            });
        }
        Ok(asides)
    }

    /// How many records stand aside, and how many questions are open.
    pub fn needs_person(&self) -> Result<(u64, u64), JournalError> {
        let (asides, conflicts): (i64, i64) = self.connection.query_row(
            "SELECT (SELECT count(*) FROM aside), (SELECT count(*) FROM conflict WHERE closed_at IS NULL)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok((id(asides), id(conflicts)))
    }

    /// Records that a shop does not hold as it should yet: they wait to be written, for a decision, or stand aside.
    pub fn records_apart(&self) -> Result<u64, JournalError> {
        let apart: i64 = self.connection.query_row(
            "SELECT count(*) FROM (
                SELECT record FROM due
                UNION SELECT CAST(substr(subject, 3) AS INTEGER) FROM conflict
                    WHERE closed_at IS NULL AND subject LIKE 'r:%'
                UNION SELECT CAST(substr(subject, 3) AS INTEGER) FROM aside WHERE subject LIKE 'r:%')",
            [],
            |row| row.get(0),
        )?;
        Ok(id(apart))
    }

    /// All that keeps these shops from being in step, by why. `narrow` are those of them whose assortment leaves
    /// products out.
    pub fn standing(&self, shops: &[ShopId], narrow: &[ShopId]) -> Result<Standing, JournalError> {
        let mut query = self.connection.prepare_cached(
            "SELECT shop, sum(due), sum(aside), sum(both), sum(open) FROM (
                SELECT shop, count(*) AS due, 0 AS aside, 0 AS both, 0 AS open FROM due GROUP BY shop
                UNION ALL SELECT shop, 0, count(*), 0, 0 FROM aside GROUP BY shop
                UNION ALL SELECT a.shop, 0, 0, count(*), 0 FROM aside a JOIN due d
                    ON d.record = CAST(substr(a.subject, 3) AS INTEGER) AND d.shop = a.shop
                    WHERE a.subject > 'r:' AND a.subject < 'r;' GROUP BY a.shop
                UNION ALL SELECT shop, 0, 0, 0, count(*) FROM intent
                    WHERE NOT (subject > 'r:' AND subject < 'r;') GROUP BY shop)
             GROUP BY shop",
        )?;
        let mut standing = Standing::default();
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            // A shop that is not connected any more keeps nobody waiting.
            if !shops.contains(&ShopId(id(row.get(0)?))) {
                continue;
            }
            let due = id(row.get(1)?).saturating_sub(id(row.get(3)?));
            standing.not_written += due + id(row.get(4)?);
            standing.asides += id(row.get(2)?);
        }
        for shop in narrow {
            standing.outside += self.products_outside(*shop)?;
        }
        let (questions, after_run): (i64, Option<i64>) = self.connection.query_row(
            "SELECT (SELECT count(*) FROM conflict WHERE closed_at IS NULL),
                (SELECT max(run) FROM run WHERE finished_at IS NOT NULL)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        standing.questions = id(questions);
        standing.after_run = after_run.map(|run| RunId(id(run)));
        standing.not_written += self.orders_to_write()?;
        let held = self.held_orders()?;
        standing.held = held.iter().map(|group| group.count).sum();
        Ok(standing)
    }

    /// Orders that are still to be made or to be brought on at the other side: no answer is awaited, and nobody is asked.
    fn orders_to_write(&self) -> Result<u64, JournalError> {
        let orders: i64 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM order_dirty d JOIN purchase p ON p.order_key = d.order_key
                 WHERE p.held IS NULL
                 AND NOT EXISTS (SELECT 1 FROM intent WHERE subject = 'o:' || d.order_key)
                 AND NOT EXISTS (SELECT 1 FROM aside WHERE subject = 'o:' || d.order_key)",
            )?
            .query_row([], |row| row.get(0))?;
        Ok(id(orders))
    }

    /// Products that this shop does not have.
    pub fn products_lacking(&self, shop: ShopId) -> Result<u64, JournalError> {
        let (all, there): (i64, i64) = self
            .connection
            .prepare_cached(
                "SELECT (SELECT count(*) FROM record_text WHERE kind = ?2),
                    (SELECT count(DISTINCT record) FROM link WHERE shop = ?1 AND kind = ?2 AND gone = 0)",
            )?
            .query_row(params![int(shop.0), kind_code(Kind::Product)], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        Ok(id(all).saturating_sub(id(there)))
    }

    /// Products that this shop neither has nor is to get.
    fn products_outside(&self, shop: ShopId) -> Result<u64, JournalError> {
        let products = kind_code(Kind::Product);
        let (all, there, coming): (i64, i64, i64) = self
            .connection
            .prepare_cached(
                "SELECT (SELECT count(*) FROM record_text WHERE kind = ?2),
                    (SELECT count(DISTINCT record) FROM link WHERE shop = ?1 AND kind = ?2 AND gone = 0),
                    (SELECT count(*) FROM due d WHERE d.shop = ?1 AND d.kind = ?2 AND NOT EXISTS
                        (SELECT 1 FROM link l WHERE l.record = d.record AND l.shop = ?1 AND l.gone = 0))",
            )?
            .query_row(params![int(shop.0), products], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        Ok(id(all).saturating_sub(id(there)).saturating_sub(id(coming)))
    }

    /// When the next record that stands aside can be tried, or an open write be looked at.
    pub fn next_retry(&self) -> Result<Option<Timestamp>, JournalError> {
        let next: Option<i64> = self.connection.query_row(
            "SELECT min(at) FROM (
                SELECT min(retry_at) AS at FROM aside WHERE retry_at < ?1
                UNION ALL SELECT min(look_at) FROM intent)",
            [i64::MAX],
            |row| row.get(0),
        )?;
        next.map(time).transpose()
    }

    /// Questions that nobody has answered, oldest first.
    pub fn conflicts(
        &self,
        after: Option<ConflictId>,
        limit: usize,
    ) -> Result<Vec<ConflictRow>, JournalError> {
        self.open_conflicts(
            "SELECT conflict, subject, about, at FROM conflict
             WHERE closed_at IS NULL AND conflict > ?1 ORDER BY conflict LIMIT ?2",
            after,
            limit,
        )
    }

    /// Shops that were met, and those about which a person is asked.
    pub fn meetings(&self) -> Result<Meetings, JournalError> {
        let mut query = self.connection.prepare_cached(
            "SELECT subject, closed_at IS NULL FROM conflict WHERE subject > 's:' AND subject < 's;'
             AND json_extract(about, '$.about') = 'meeting' ORDER BY conflict",
        )?;
        let mut found = query.query([])?;
        let mut meetings = Meetings::default();
        while let Some(row) = found.next()? {
            if let Subject::Shop(shop) = subject_of(&row.get::<_, String>(0)?)? {
                if row.get(1)? {
                    meetings.waiting.insert(shop);
                } else {
                    meetings.accepted.insert(shop);
                }
            }
        }
        let mut query = self.connection.prepare_cached(
            "SELECT subject, conflict FROM conflict WHERE subject > 's:' AND subject < 's;'
             AND json_extract(about, '$.about') = 'unchosen' AND closed_at IS NULL",
        )?;
        let mut found = query.query([])?;
        while let Some(row) = found.next()? {
            if let Subject::Shop(shop) = subject_of(&row.get::<_, String>(0)?)? {
                let conflict = lockstep_model::ConflictId(id(row.get(1)?));
                meetings.unchosen.insert(shop, conflict);
            }
        }
        let mut query = self.connection.prepare_cached("SELECT shop FROM met")?;
        let mut found = query.query([])?;
        while let Some(row) = found.next()? {
            meetings.accepted.insert(ShopId(id(row.get(0)?)));
        }
        Ok(meetings)
    }

    /// What is asked about all levels.
    pub fn asked_of_levels(&self) -> Result<Vec<OpenConflict>, JournalError> {
        conflicts_of(&self.connection, &subject_text(&Subject::Levels))
    }

    /// When counts left nothing of what is sold out by a count now, the first first.
    pub fn emptied_levels(&self) -> Result<Vec<Timestamp>, JournalError> {
        let mut query = self.connection.prepare_cached(
            "SELECT (SELECT max(m.at) FROM movement m WHERE m.item = b.item AND m.stock = b.stock) AS at
             FROM base b WHERE b.emptied = 1 AND at IS NOT NULL ORDER BY at",
        )?;
        let mut rows = query.query([])?;
        let mut emptied = Vec::new();
        while let Some(row) = rows.next()? {
            emptied.push(time(row.get(0)?)?);
        }
        Ok(emptied)
    }

    /// What is asked about all records.
    pub fn asked_of_catalogue(&self) -> Result<Vec<OpenConflict>, JournalError> {
        conflicts_of(&self.connection, &subject_text(&Subject::Catalogue))
    }

    /// Those of them that ask which of ours a record of a shop is.
    pub fn doubtful_matches(
        &self,
        after: Option<ConflictId>,
        limit: usize,
    ) -> Result<Vec<ConflictRow>, JournalError> {
        self.open_conflicts(
            "SELECT conflict, subject, about, at FROM conflict
             WHERE closed_at IS NULL AND conflict > ?1 AND json_extract(about, '$.about') = 'doubtful_match'
             ORDER BY conflict LIMIT ?2",
            after,
            limit,
        )
    }

    fn open_conflicts(
        &self,
        sql: &str,
        after: Option<ConflictId>,
        limit: usize,
    ) -> Result<Vec<ConflictRow>, JournalError> {
        let mut query = self.connection.prepare_cached(sql)?;
        let mut found = query.query(params![
            after.map_or(i64::MIN, |after| int(after.0)),
            rows(limit)
        ])?;
        let mut conflicts = Vec::new();
        while let Some(row) = found.next()? {
            conflicts.push(ConflictRow {
                conflict: ConflictId(id(row.get(0)?)),
                subject: subject_of(&row.get::<_, String>(1)?)?,
                about: parse("a conflict", &row.get::<_, String>(2)?)?,
                at: time(row.get(3)?)?,
            });
        }
        Ok(conflicts)
    }
}
