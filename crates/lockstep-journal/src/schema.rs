//! Opens or makes a file: pragmas, format, and whose it is.

use crate::JournalError;
use crate::bounds::{BUSY_MS, CACHE_KIB, STATEMENTS_CACHED, WAL_BYTES_KEPT, WAL_PAGES};
use crate::columns::{id, int};
use lockstep_model::CustomerId;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use std::path::Path;
use std::time::Duration;

/// Of the tables. A newer file is refused, an older one is brought up to this.
pub(crate) const FORMAT: i64 = 9;
const SCHEMA: &str = include_str!("schema.sql");
/// What belongs to one file: never an entry, in no segment, and empty in a replica.
pub(crate) const OWN_TABLES: &[&str] = &[
    "staged",
    "staged_key",
    "staged_gtin",
    "staged_order",
    "staged_level",
    "person_key",
    "plan",
];

pub(crate) fn open_file(path: &Path, customer: CustomerId) -> Result<Connection, JournalError> {
    let failed = |source| JournalError::Open {
        path: path.to_owned(),
        source,
    };
    make_private(path).map_err(|source| JournalError::Make {
        path: path.to_owned(),
        source,
    })?;
    let mut connection = Connection::open(path).map_err(failed)?;
    prepare(&connection).map_err(failed)?;
    settle(&mut connection, customer, path)?;
    Ok(connection)
}

pub(crate) fn open_in_memory(customer: CustomerId) -> Result<Connection, JournalError> {
    let mut connection = Connection::open_in_memory()?;
    prepare(&connection)?;
    settle(&mut connection, customer, Path::new(":memory:"))?;
    Ok(connection)
}

/// Makes the file, if it is not there, for its owner's eyes alone: the keys of personal data lie in it. SQLite gives
/// the files beside it the same rights.
fn make_private(path: &Path) -> std::io::Result<()> {
    match create_private(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// A file that is not there yet, for its owner's eyes alone.
pub(crate) fn create_private(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Whoever finds the file in use waits a little.
pub(crate) fn wait_for_others(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_millis(BUSY_MS))
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    wait_for_others(connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    // The mode is answered with a row: in memory it stays "memory".
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", false)?;
    // Else SQLite, which is built to plan by statistics (that nobody gathers here), prepares a statement anew whenever
    // a range of it begins at another value. Everything that is read in pages has one.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // What is deleted is overwritten: the keys of personal data lie here.
    connection.query_row("PRAGMA secure_delete = ON", [], |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.query_row(
        &format!("PRAGMA wal_autocheckpoint = {WAL_PAGES}"),
        [],
        |_| Ok(()),
    )?;
    connection.query_row(
        &format!("PRAGMA journal_size_limit = {WAL_BYTES_KEPT}"),
        [],
        |_| Ok(()),
    )
}

fn settle(
    connection: &mut Connection,
    customer: CustomerId,
    path: &Path,
) -> Result<(), JournalError> {
    if table_count(connection)? == 0 {
        make(connection, customer)?;
    }
    let not_a_journal = || JournalError::NotAJournal {
        path: path.to_owned(),
    };
    let has_meta: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'meta')",
        [],
        |row| row.get(0),
    )?;
    if !has_meta {
        return Err(not_a_journal());
    }
    let meta = |name: &str| -> Result<i64, JournalError> {
        connection
            .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| {
                row.get(0)
            })
            .optional()?
            .ok_or_else(not_a_journal)
    };
    let found = meta("format")?;
    if found > FORMAT {
        return Err(JournalError::NewerFormat {
            path: path.to_owned(),
            found,
            known: FORMAT,
        });
    }
    let owner = CustomerId(id(meta("customer")?));
    if owner != customer {
        return Err(JournalError::WrongCustomer {
            path: path.to_owned(),
            wanted: customer,
            found: owner,
        });
    }
    if found < FORMAT {
        renew(connection)?;
    }
    Ok(())
}

/// Takes every row away, but for whose file it is.
pub(crate) fn wipe(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tables: Vec<String> = transaction
        .prepare_cached("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'meta'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for table in tables {
        transaction
            .prepare_cached(&format!("DELETE FROM {table}"))?
            .execute([])?;
    }
    transaction.commit()
}

fn table_count(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
}

/// The same tables with the same columns as a new file.
pub(crate) fn has_our_tables(connection: &Connection) -> rusqlite::Result<bool> {
    let fresh = Connection::open_in_memory()?;
    fresh.execute_batch(SCHEMA)?;
    Ok(columns(connection)? == columns(&fresh)?)
}

fn columns(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    connection
        .prepare(
            "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT GLOB 'sqlite_*' ORDER BY 1, 2",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// What later formats added to the tables, unless another opener of the same file was faster.
fn renew(connection: &mut Connection) -> Result<(), JournalError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 =
        transaction.query_row("SELECT value FROM meta WHERE name = 'format'", [], |row| {
            row.get(0)
        })?;
    if found < 2 {
        transaction.execute_batch(
            "ALTER TABLE level ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE conflict ADD COLUMN decided_by TEXT;
             DROP INDEX IF EXISTS conflict_open;
             CREATE INDEX conflict_of ON conflict(subject, closed_at);",
        )?;
    }
    if found < 3 {
        transaction.execute_batch(
            "ALTER TABLE record ADD COLUMN changed_at INTEGER NOT NULL DEFAULT 0;
             CREATE TABLE looked(shop INTEGER NOT NULL, kind INTEGER NOT NULL, at INTEGER NOT NULL,
                PRIMARY KEY (shop, kind)) WITHOUT ROWID;
             ALTER TABLE purchase ADD COLUMN edited TEXT;
             CREATE INDEX IF NOT EXISTS purchase_held ON purchase(first_seq) WHERE held IS NOT NULL;
             CREATE TABLE IF NOT EXISTS erased(
                order_key TEXT PRIMARY KEY, at INTEGER NOT NULL, erased_by TEXT) WITHOUT ROWID;
             CREATE INDEX IF NOT EXISTS order_copy_id ON order_copy(shop, id);",
        )?;
    }
    if found < 4 {
        transaction.execute_batch(
            "CREATE TABLE met(shop INTEGER PRIMARY KEY);
             CREATE TABLE record_gtin(gtin TEXT NOT NULL, record INTEGER NOT NULL, PRIMARY KEY (gtin, record))
                WITHOUT ROWID;
             CREATE INDEX record_gtin_record ON record_gtin(record);
             CREATE TABLE doubt(shop INTEGER NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL, record INTEGER NOT NULL,
                by_sku INTEGER NOT NULL, answer INTEGER, PRIMARY KEY (shop, kind, id, record)) WITHOUT ROWID;
             CREATE INDEX doubt_record ON doubt(record);
             CREATE TABLE staged_gtin(gtin TEXT NOT NULL, reading INTEGER NOT NULL, PRIMARY KEY (gtin, reading))
                WITHOUT ROWID;
             CREATE INDEX staged_gtin_reading ON staged_gtin(reading);",
        )?;
        crate::projection::note_all_gtins(&transaction)?;
    }
    if found < 5 {
        transaction.execute_batch(
            "ALTER TABLE base ADD COLUMN counted_by INTEGER;
             UPDATE base SET counted_by = (
                SELECT json_extract(m.cause, '$.shop') FROM movement m
                WHERE m.sku = base.sku AND m.stock = base.stock AND json_extract(m.cause, '$.movement') = 'opening'
                ORDER BY m.seq DESC LIMIT 1);",
        )?;
    }
    if found < 6 {
        // Units stood here by SKU: an edit that was on its way is asked about, and so is what was asked about before.
        transaction.execute_batch(
            "ALTER TABLE order_copy ADD COLUMN links TEXT;
             UPDATE purchase SET edited = NULL;
             UPDATE purchase SET held = NULL WHERE json_extract(held, '$.hold') = 'no_sku';
             DELETE FROM conflict WHERE json_extract(about, '$.about') = 'order_differs';
             INSERT OR IGNORE INTO order_dirty(order_key) SELECT order_key FROM order_copy;",
        )?;
    }
    if found < 7 {
        transaction.execute_batch(
            "ALTER TABLE base ADD COLUMN emptied INTEGER NOT NULL DEFAULT 0;
             CREATE TABLE awaited(shop INTEGER NOT NULL, category TEXT NOT NULL, record INTEGER NOT NULL,
                PRIMARY KEY (shop, category, record)) WITHOUT ROWID;
             CREATE INDEX awaited_record ON awaited(record);",
        )?;
    }
    if found < 8 {
        transaction.execute_batch(
            "ALTER TABLE aside ADD COLUMN refused TEXT NOT NULL DEFAULT '[]';
             ALTER TABLE aside ADD COLUMN moved INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE due ADD COLUMN pictures INTEGER NOT NULL DEFAULT 0;
             CREATE INDEX due_fields ON due(kind, place) WHERE pictures = 0;
             CREATE INDEX due_pictures ON due(kind, place) WHERE pictures = 1;
             ALTER TABLE staged ADD COLUMN left_at INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE staged_order ADD COLUMN left_at INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE staged_level ADD COLUMN left_at INTEGER NOT NULL DEFAULT 0;",
        )?;
    }
    if found < 9 {
        let tables = [
            "order_line",
            "level",
            "taken",
            "base",
            "movement",
            "sku_dirty",
            "staged_level",
            "intent",
        ];
        for table in tables {
            transaction.execute_batch(&format!("ALTER TABLE {table} RENAME COLUMN sku TO item"))?;
        }
        transaction.execute_batch(
            "ALTER TABLE sku_dirty RENAME TO item_dirty;
             ALTER TABLE level ADD COLUMN variant TEXT;
             CREATE INDEX level_variant ON level(shop, variant) WHERE variant IS NOT NULL;
             ALTER TABLE level ADD COLUMN stale INTEGER NOT NULL DEFAULT 0;
             CREATE INDEX level_stale ON level(shop, item) WHERE stale = 1;
             CREATE TABLE item_sku(item TEXT PRIMARY KEY, record INTEGER NOT NULL, sku TEXT) WITHOUT ROWID;
             CREATE INDEX item_sku_sku ON item_sku(sku);
             CREATE INDEX item_sku_record ON item_sku(record);
             CREATE TABLE item_at(shop INTEGER NOT NULL, item TEXT NOT NULL, record INTEGER NOT NULL, sku TEXT,
                variant TEXT NOT NULL, PRIMARY KEY (shop, item)) WITHOUT ROWID;
             CREATE INDEX item_at_sku ON item_at(shop, sku);
             CREATE INDEX item_at_variant ON item_at(shop, variant);
             CREATE INDEX item_at_record ON item_at(record, shop);
             UPDATE level SET level = json_set(json_remove(level, '$.item'), '$.inventory', json_extract(level, '$.item'));
             DELETE FROM staged_level;",
        )?;
    }
    transaction.execute("UPDATE meta SET value = ?1 WHERE name = 'format'", [FORMAT])?;
    transaction.commit()?;
    Ok(())
}

/// Makes the tables, unless another opener of the same new file was faster.
fn make(connection: &mut Connection, customer: CustomerId) -> Result<(), JournalError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if table_count(&transaction)? == 0 {
        transaction.execute_batch(SCHEMA)?;
        let mut insert = transaction.prepare("INSERT INTO meta(name, value) VALUES (?1, ?2)")?;
        insert.execute(("format", FORMAT))?;
        insert.execute(("customer", int(customer.0)))?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_table_is_the_journals_or_follows_from_it_or_is_the_files_own() {
        let file = open_in_memory(CustomerId(1)).unwrap();
        let there: BTreeSet<String> = columns(&file).unwrap().into_iter().map(|c| c.0).collect();
        let known = ["meta", "entry", "segment"];
        let known = known
            .iter()
            .chain(crate::projection::TABLES)
            .chain(OWN_TABLES);
        assert_eq!(there, known.map(|name| (*name).to_owned()).collect());
    }
}
