//! Personal data under a key of its order's own.
//!
//! The keys lie in this file alone, never in an entry or a segment: erasing one makes what it sealed unreadable here,
//! in every segment, checkpoint and backup of them. Who is erased: [`buyers`](crate::buyers).

use crate::{Journal, JournalError};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use data_encoding::BASE64;
use lockstep_model::{OrderKey, Person};
use rand::Rng;
use rusqlite::{Connection, OptionalExtension};

const NONCE_BYTES: usize = 24;
const KEY_BYTES: usize = 32;

/// Seals under the order's key, which is made at the first need.
pub(crate) fn seal(
    connection: &Connection,
    order: &OrderKey,
    person: &Person,
) -> Result<String, JournalError> {
    let order_key = order.to_string();
    let key = match key(connection, &order_key)? {
        Some(key) => key,
        None => {
            let mut key = [0; KEY_BYTES];
            rand::rng().fill_bytes(&mut key);
            connection
                .prepare_cached("INSERT INTO person_key(order_key, key) VALUES (?1, ?2)")?
                .execute((&order_key, key.as_slice()))?;
            key
        }
    };
    let clear = serde_json::to_vec(person).map_err(JournalError::encode("personal data"))?;
    let mut nonce = [0; NONCE_BYTES];
    rand::rng().fill_bytes(&mut nonce);
    let payload = Payload {
        msg: &clear,
        aad: order_key.as_bytes(),
    };
    let sealed = XChaCha20Poly1305::new(&Key::from(key))
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| JournalError::Seal)?;
    let mut bytes = nonce.to_vec();
    bytes.extend(sealed);
    Ok(BASE64.encode(&bytes))
}

/// `None`: its key was erased, or was never on this disk.
pub(crate) fn unseal(
    connection: &Connection,
    order_key: &str,
    sealed: &str,
) -> Result<Option<Person>, JournalError> {
    let Some(key) = key(connection, order_key)? else {
        return Ok(None);
    };
    let Ok(bytes) = BASE64.decode(sealed.as_bytes()) else {
        return Ok(None);
    };
    let Some((nonce, sealed)) = bytes.split_first_chunk::<NONCE_BYTES>() else {
        return Ok(None);
    };
    let payload = Payload {
        msg: sealed,
        aad: order_key.as_bytes(),
    };
    // Sealed under a key of another disk: as unreadable as it should be.
    let Ok(clear) = XChaCha20Poly1305::new(&Key::from(key)).decrypt(&XNonce::from(*nonce), payload)
    else {
        return Ok(None);
    };
    Ok(serde_json::from_slice(&clear).ok())
}

/// These orders' keys are gone, and what was sealed of them on its way in.
pub(crate) fn forget(connection: &Connection, orders: &[OrderKey]) -> Result<(), JournalError> {
    for order in orders {
        let order_key = order.to_string();
        connection
            .prepare_cached("DELETE FROM person_key WHERE order_key = ?1")?
            .execute([&order_key])?;
        connection
            .prepare_cached("UPDATE staged_order SET sealed = NULL WHERE order_key = ?1")?
            .execute([&order_key])?;
    }
    Ok(())
}

/// How many there are.
pub(crate) fn keys(connection: &Connection) -> Result<i64, JournalError> {
    Ok(connection
        .prepare_cached("SELECT count(*) FROM person_key")?
        .query_row([], |row| row.get(0))?)
}

/// A key that was deleted also lies in older pages of the write-ahead log.
pub(crate) fn empty_log(connection: &Connection) -> Result<(), JournalError> {
    let busy: i64 =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy == 0 {
        Ok(())
    } else {
        Err(JournalError::LogInUse)
    }
}

fn key(connection: &Connection, order_key: &str) -> Result<Option<[u8; KEY_BYTES]>, JournalError> {
    let key: Option<Vec<u8>> = connection
        .prepare_cached("SELECT key FROM person_key WHERE order_key = ?1")?
        .query_row([order_key], |row| row.get(0))
        .optional()?;
    key.map(|key| {
        key.try_into().map_err(|_| JournalError::Corrupt {
            what: "a key of personal data",
        })
    })
    .transpose()
}

impl Journal {
    /// Who bought, as last sealed. `None`: never kept, erased, or sealed on another disk.
    pub fn person(&self, order: &OrderKey) -> Result<Option<Person>, JournalError> {
        let order_key = order.to_string();
        let mut query = self.connection.prepare_cached(
            "SELECT sealed FROM staged_order WHERE order_key = ?1 AND shop = ?2 AND sealed IS NOT NULL
             UNION ALL
             SELECT sealed FROM known_order WHERE order_key = ?1 AND shop = ?2 AND sealed IS NOT NULL",
        )?;
        let shop = order.shop.0.cast_signed();
        let mut rows = query.query((&order_key, shop))?;
        while let Some(row) = rows.next()? {
            let sealed: String = row.get(0)?;
            if let Some(person) = unseal(&self.connection, &order_key, &sealed)? {
                return Ok(Some(person));
            }
        }
        Ok(None)
    }
}
