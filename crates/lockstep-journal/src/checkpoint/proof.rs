//! What a checkpoint's file must be before anybody works with it: sound for SQLite, of tables that we know, without
//! anything that is one file's own, and its entries those that the chain of its segments stands for, to the last one.
//!
//! What follows from the entries is not worked out again, which is the point of a checkpoint; it is as its maker left it,
//! by the SHA-256 of the whole.

use super::CheckpointHead;
use crate::chain::{self, last_cut};
use crate::columns::id;
use crate::journal::last_seq;
use crate::{CheckpointError, schema};
use lockstep_model::CustomerId;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// `None`: it holds nothing.
pub(super) fn prove(
    path: &Path,
    customer: CustomerId,
) -> Result<Option<CheckpointHead>, CheckpointError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // Whatever it defines is not run.
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    let sound: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Err(CheckpointError::Unsound { found: sound });
    }
    known_tables(&connection)?;
    whose(&connection, customer)?;
    for table in schema::OWN_TABLES {
        let any: bool = connection.query_row(
            &format!("SELECT EXISTS (SELECT 1 FROM {table})"),
            [],
            |row| row.get(0),
        )?;
        if any {
            return Err(CheckpointError::NotShared { table });
        }
    }
    chain::prove(&connection, customer)?;
    let last = last_cut(&connection)?;
    let end = last.as_ref().map_or(0, |cut| cut.last_seq);
    if last_seq(&connection)? != end {
        return Err(CheckpointError::Malformed {
            reason: "it has entries that no segment has",
        });
    }
    Ok(last.map(|cut| CheckpointHead {
        customer,
        incarnation: cut.incarnation,
        epoch: cut.epoch,
        sequence: cut.sequence,
        hash: cut.hash,
    }))
}

fn known_tables(connection: &Connection) -> Result<(), CheckpointError> {
    let others: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type NOT IN ('table', 'index')",
        [],
        |row| row.get(0),
    )?;
    if others == 0 && schema::has_our_tables(connection)? {
        Ok(())
    } else {
        Err(CheckpointError::Malformed {
            reason: "its tables are not those of a journal",
        })
    }
}

fn whose(connection: &Connection, customer: CustomerId) -> Result<(), CheckpointError> {
    let meta = |name: &str| -> rusqlite::Result<i64> {
        connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| {
            row.get(0)
        })
    };
    let (found, known) = (id(meta("format")?), id(schema::FORMAT));
    if found != known {
        return Err(CheckpointError::OtherFormat { found, known });
    }
    let owner = CustomerId(id(meta("customer")?));
    if owner == customer {
        Ok(())
    } else {
        Err(CheckpointError::WrongCustomer {
            wanted: customer,
            found: owner,
        })
    }
}
