//! Bytes under their own SHA-256: written once, named afterwards.

use crate::{Hash, Storage, StorageError, entities::blob, numbers::to_ms};
use jiff::Timestamp;
use sea_orm::{ActiveValue::Set, EntityTrait};
use sha2::{Digest, Sha256};

impl Storage {
    /// Durable when this returns. The same bytes again are the same blob.
    pub(crate) async fn put_blob(&self, body: &[u8], now: Timestamp) -> Result<Hash, StorageError> {
        let hash = Hash(Sha256::digest(body).into());
        let row = blob::ActiveModel {
            hash: Set(hash.to_hex()),
            body: Set(body.to_vec()),
            created_at: Set(to_ms(now)),
        };
        blob::Entity::insert(row)
            .on_conflict_do_nothing()
            .exec_without_returning(&self.db)
            .await?;
        Ok(hash)
    }

    pub(crate) async fn blob(&self, hash: &str) -> Result<Vec<u8>, StorageError> {
        let row = blob::Entity::find_by_id(hash.to_owned())
            .one(&self.db)
            .await?;
        row.map(|row| row.body).ok_or_else(|| {
            StorageError::new(
                crate::Kind::Corrupt,
                format!("the blob {hash} is named but not there"),
            )
        })
    }
}
