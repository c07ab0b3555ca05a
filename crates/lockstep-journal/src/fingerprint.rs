//! A hash of every projection: what two files that hold the same entries have in common, and what proves a replica.

use crate::segment::Hash;
use crate::{Journal, JournalError, projection};
use rusqlite::types::ValueRef;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

impl Journal {
    /// By table. Reads the whole file.
    pub fn fingerprints(&self) -> Result<BTreeMap<&'static str, Hash>, JournalError> {
        projection::TABLES
            .iter()
            .map(|table| Ok((*table, self.fingerprint_of(table)?)))
            .collect()
    }

    fn fingerprint_of(&self, table: &str) -> Result<Hash, JournalError> {
        let columns = self
            .connection
            .prepare(&format!("SELECT * FROM {table} LIMIT 0"))?
            .column_count();
        let order: Vec<String> = (1..=columns).map(|column| column.to_string()).collect();
        let mut query = self.connection.prepare(&format!(
            "SELECT * FROM {table} ORDER BY {}",
            order.join(", ")
        ))?;
        let mut rows = query.query([])?;
        let mut hasher = Sha256::new();
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                let (tag, bytes): (u8, Vec<u8>) = match row.get_ref(column)? {
                    ValueRef::Null => (0, Vec::new()),
                    ValueRef::Integer(integer) => (1, integer.to_le_bytes().to_vec()),
                    ValueRef::Real(real) => (2, real.to_le_bytes().to_vec()),
                    ValueRef::Text(text) => (3, text.to_vec()),
                    ValueRef::Blob(blob) => (4, blob.to_vec()),
                };
                hasher.update([tag]);
                hasher.update((bytes.len() as u64).to_le_bytes());
                hasher.update(bytes);
            }
        }
        Ok(Hash(hasher.finalize().into()))
    }
}
