//! The journal: opened, asked where it stands, appended to.

use crate::bounds::{APPEND_ENTRIES_MAX, ENTRY_BYTES_MAX};
use crate::columns::{id, int, json, kind_code, remote_text};
use crate::segment::Hash;
use crate::{JournalError, chain, projection, schema, seal};
use jiff::Timestamp;
use lockstep_model::cases::{Also, Consumed};
use lockstep_model::entry::{AsideSubject, Body, Entry, Personal, ReadAgain, StockMapping};
use lockstep_model::settings::StockId;
use lockstep_model::{
    Cursor, CustomerId, Epoch, Incarnation, ItemId, Kind, OrderKey, ShopId, ShopIdentity,
};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::cell::Cell;
use std::path::Path;

/// One customer's file, open.
pub struct Journal {
    pub(crate) connection: Connection,
    pub(crate) customer: CustomerId,
    /// Pages of categories were staged since their paths were worked out.
    pub(crate) paths_are_stale: Cell<bool>,
    pub(crate) counted: Cell<Option<Counted>>,
}

/// How many records of a kind there are, and keys of theirs, as of an entry.
#[derive(Clone, Copy)]
pub(crate) struct Counted {
    pub kind: i64,
    pub seq: u64,
    pub records: u64,
    pub keys: u64,
}

/// Where a journal stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    pub incarnation: Incarnation,
    /// 0: nobody has opened it yet.
    pub epoch: Epoch,
    /// The newest entry; 0: there is none.
    pub seq: u64,
    /// The newest segment that was cut or accepted.
    pub segment: Option<(u64, Hash)>,
    /// The newest entry that a coordinator has.
    pub acknowledged_seq: u64,
}

/// The next free ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    pub run: u64,
    pub record: u64,
    pub intent: u64,
    pub conflict: u64,
}

/// Everything up to this entry is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mark {
    pub seq: u64,
}

impl Journal {
    /// Opens the file, or makes it.
    pub fn open(path: &Path, customer: CustomerId) -> Result<Self, JournalError> {
        Ok(Self::over(schema::open_file(path, customer)?, customer))
    }

    /// For simulations: gone with the value.
    pub fn in_memory(customer: CustomerId) -> Result<Self, JournalError> {
        Ok(Self::over(schema::open_in_memory(customer)?, customer))
    }

    /// For simulations: as new, without making its tables and preparing its statements again.
    pub fn wiped(mut self) -> Result<Self, JournalError> {
        schema::wipe(&mut self.connection)?;
        Ok(Self::over(self.connection, self.customer))
    }

    pub(crate) fn over(connection: Connection, customer: CustomerId) -> Self {
        Self {
            connection,
            customer,
            paths_are_stale: Cell::new(true),
            counted: Cell::new(None),
        }
    }

    pub fn customer(&self) -> CustomerId {
        self.customer
    }

    pub fn head(&self) -> Result<Head, JournalError> {
        let (incarnation, epoch) = projection::held_epoch(&self.connection)?;
        let segment = chain::last_cut(&self.connection)?;
        let acknowledged: Option<i64> = self
            .connection
            .prepare_cached("SELECT last_seq FROM segment WHERE acknowledged = 1 ORDER BY sequence DESC LIMIT 1")?
            .query_row([], |row| row.get(0))
            .optional()?;
        Ok(Head {
            incarnation,
            epoch,
            seq: last_seq(&self.connection)?,
            segment: segment.map(|cut| (cut.sequence, cut.hash)),
            acknowledged_seq: acknowledged.map_or(0, id),
        })
    }

    pub fn counters(&self) -> Result<Counters, JournalError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT value FROM counter WHERE name = ?1")?;
        let mut next = |name: &str| -> Result<u64, JournalError> {
            let highest: Option<i64> = query.query_row([name], |row| row.get(0)).optional()?;
            Ok(highest.map_or(1, |highest| id(highest) + 1))
        };
        Ok(Counters {
            run: next("run")?,
            record: next("record")?,
            intent: next("intent")?,
            conflict: next("conflict")?,
        })
    }

    /// Makes the entries, all that follows from them and `also` durable, or nothing of it.
    ///
    /// Personal data in the clear is sealed here, before it is written anywhere.
    pub fn append(
        &mut self,
        at: Timestamp,
        bodies: Vec<Body>,
        also: Also,
    ) -> Result<Mark, JournalError> {
        if bodies.len() > APPEND_ENTRIES_MAX {
            return Err(JournalError::TooLarge {
                what: "entries of one append",
                found: bodies.len(),
                max: APPEND_ENTRIES_MAX,
            });
        }
        let customer = self.customer;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut seq = last_seq(&transaction)?;
        let mut aside_now: Vec<(ShopId, String)> = Vec::new();
        for mut body in bodies {
            check(&transaction, customer, &body)?;
            if let Body::OrderSeen { order, person, .. } = &mut body
                && let Personal::Clear(clear) = person
            {
                // Who is forgotten stays forgotten, whatever the shop still shows.
                *person = if projection::is_erased(&transaction, order)? {
                    Personal::None
                } else {
                    Personal::Sealed(seal::seal(&transaction, order, clear)?)
                };
            }
            if let Body::Aside {
                shop,
                subject: AsideSubject::Remote { kind, id: Some(id) },
                ..
            } = &body
            {
                aside_now.push((*shop, remote_text(*kind, id.as_str())));
            }
            seq += 1;
            write(&transaction, Entry { seq, at, body })?;
        }
        let read = consume(&transaction, &also.consumed, &aside_now)?;
        for (run, ord) in &also.plan_done {
            transaction
                .prepare_cached("DELETE FROM plan WHERE run = ?1 AND ord = ?2")?
                .execute(params![int(run.0), int(*ord)])?;
        }
        let done = Body::Done {
            orders: still_dirty_orders(&transaction, also.orders_done)?,
            items: still_dirty_items(&transaction, also.items_done)?,
            read,
            only_pictures: also.only_pictures,
        };
        if !is_empty(&done) {
            seq += 1;
            write(
                &transaction,
                Entry {
                    seq,
                    at,
                    body: done,
                },
            )?;
        }
        transaction.commit()?;
        Ok(Mark { seq })
    }

    /// Tells the journal which of the shops' stocks is which of ours: an entry, if it differs from what was told.
    pub fn map_stocks(
        &mut self,
        at: Timestamp,
        mapping: StockMapping,
    ) -> Result<Option<Mark>, JournalError> {
        if self.stock_mapping()?.as_ref() == Some(&mapping) {
            return Ok(None);
        }
        self.append(at, vec![Body::StocksMapped(mapping)], Also::default())
            .map(Some)
    }

    pub fn stock_mapping(&self) -> Result<Option<StockMapping>, JournalError> {
        projection::stock_mapping(&self.connection)
    }

    /// Where the next incremental pull of this feed begins.
    pub fn cursor(&self, shop: ShopId, kind: Kind) -> Result<Option<Cursor>, JournalError> {
        let cursor: Option<String> = self
            .connection
            .prepare_cached("SELECT cursor FROM cursor WHERE shop = ?1 AND kind = ?2")?
            .query_row(params![int(shop.0), kind_code(kind)], |row| row.get(0))
            .optional()?;
        Ok(cursor.map(Cursor))
    }

    /// What the shop last said of itself.
    pub fn identity(&self, shop: ShopId) -> Result<Option<ShopIdentity>, JournalError> {
        projection::identity(&self.connection, shop)
    }
}

pub(crate) fn last_seq(connection: &Connection) -> Result<u64, JournalError> {
    let seq: Option<i64> = connection
        .prepare_cached("SELECT max(seq) FROM entry")?
        .query_row([], |row| row.get(0))?;
    Ok(seq.map_or(0, id))
}

/// Writes one entry and what follows from it.
pub(crate) fn write(connection: &Connection, entry: Entry) -> Result<(), JournalError> {
    write_line(connection, &entry, &json("an entry", &entry)?)
}

/// As `write`, of an entry whose line is known. It is kept as it stands: hashes cover it.
pub(crate) fn write_line(
    connection: &Connection,
    entry: &Entry,
    line: &str,
) -> Result<(), JournalError> {
    if line.len() > ENTRY_BYTES_MAX {
        return Err(JournalError::TooLarge {
            what: "bytes of one entry",
            found: line.len(),
            max: ENTRY_BYTES_MAX,
        });
    }
    connection
        .prepare_cached("INSERT INTO entry(seq, line) VALUES (?1, ?2)")?
        .execute(params![int(entry.seq), line])?;
    projection::apply(connection, entry)?;
    if let Body::BuyersErased { orders, .. } = &entry.body {
        seal::forget(connection, orders)?;
    }
    Ok(())
}

/// What may not become an entry of this journal, wherever it comes from.
pub(crate) fn check(
    connection: &Connection,
    customer: CustomerId,
    body: &Body,
) -> Result<(), JournalError> {
    let about = match body {
        Body::Opened { customer, .. } => *customer,
        Body::OrderSeen { order, .. } => order.customer,
        _ => customer,
    };
    if about != customer {
        return Err(JournalError::ForeignEntry {
            wanted: customer,
            found: about,
        });
    }
    if let Body::Opened {
        incarnation, epoch, ..
    } = body
    {
        let (held_incarnation, held_epoch) = projection::held_epoch(connection)?;
        if (*incarnation, *epoch) < (held_incarnation, held_epoch) {
            return Err(JournalError::OldEpoch {
                incarnation: *incarnation,
                epoch: *epoch,
                held_incarnation,
                held_epoch,
            });
        }
    }
    Ok(())
}

/// Removes staged rows in the reading that was dealt with. Answers which of them stood aside as unreadable.
fn consume(
    connection: &Connection,
    consumed: &[Consumed],
    aside_now: &[(ShopId, String)],
) -> Result<Vec<ReadAgain>, JournalError> {
    let mut read = Vec::new();
    let any_aside: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM aside WHERE subject >= 'x:' AND subject < 'x;')",
        )?
        .query_row([], |row| row.get(0))?;
    for row in consumed {
        let reading = int(row.reading);
        let shop = int(row.shop.0);
        match row.kind {
            Kind::Category | Kind::Product => {
                let removed = connection
                    .prepare_cached("DELETE FROM staged WHERE reading = ?1 AND shop = ?2")?
                    .execute(params![reading, shop])?;
                if removed > 0 {
                    crate::staging::forget_keys(connection, reading)?;
                }
            }
            Kind::Order => {
                connection
                    .prepare_cached("DELETE FROM staged_order WHERE reading = ?1 AND shop = ?2")?
                    .execute(params![reading, shop])?;
            }
            Kind::Level => {
                connection
                    .prepare_cached("DELETE FROM staged_level WHERE reading = ?1 AND shop = ?2")?
                    .execute(params![reading, shop])?;
            }
        }
        if any_aside {
            let subject = remote_text(row.kind, row.id.as_str());
            let was_aside: bool = connection
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM aside WHERE subject = ?1 AND shop = ?2)",
                )?
                .query_row(params![subject, shop], |row| row.get(0))?;
            if was_aside && !aside_now.contains(&(row.shop, subject)) {
                read.push(ReadAgain {
                    shop: row.shop,
                    kind: row.kind,
                    id: row.id.clone(),
                });
            }
        }
    }
    Ok(read)
}

fn still_dirty_orders(
    connection: &Connection,
    orders: Vec<OrderKey>,
) -> Result<Vec<OrderKey>, JournalError> {
    let mut query = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM order_dirty WHERE order_key = ?1)")?;
    let mut dirty = Vec::new();
    for order in orders {
        if query.query_row([order.to_string()], |row| row.get(0))? {
            dirty.push(order);
        }
    }
    dirty.dedup();
    Ok(dirty)
}

fn still_dirty_items(
    connection: &Connection,
    items: Vec<(ItemId, StockId)>,
) -> Result<Vec<(ItemId, StockId)>, JournalError> {
    let mut query = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM item_dirty WHERE item = ?1 AND stock = ?2)",
    )?;
    let mut dirty = Vec::new();
    for (item, stock) in items {
        if query.query_row(params![item.0, int(stock.0)], |row| row.get(0))? {
            dirty.push((item, stock));
        }
    }
    dirty.dedup();
    Ok(dirty)
}

fn is_empty(body: &Body) -> bool {
    matches!(body, Body::Done { orders, items, read, only_pictures }
        if orders.is_empty() && items.is_empty() && read.is_empty() && only_pictures.is_empty())
}
