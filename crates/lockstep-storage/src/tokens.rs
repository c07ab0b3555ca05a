//! Tokens of workers and join tokens: hashes, never the tokens.

use crate::{
    Hash, Kind, Storage, StorageError,
    entities::{join_token, token, worker},
    numbers::{from_ms, label, signed, to_ms, unsigned},
    workers::WorkerState,
};
use jiff::Timestamp;
use lockstep_model::WorkerId;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect,
};

/// One slot is in use; a second one comes with the promotion of a new token on first use.
const SLOT: i64 = 0;

#[derive(Debug, Clone, Copy)]
pub struct NewToken {
    pub worker: WorkerId,
    pub hash: Hash,
    pub expires_at: Timestamp,
}

/// Whose token this hash is of. Not whether it is still good: the caller compares `expires_at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenOwner {
    pub hash: Hash,
    pub worker: WorkerId,
    pub expires_at: Timestamp,
    pub used: bool,
}

#[derive(Debug, Clone)]
pub struct JoinToken {
    pub id: u64,
    pub label: String,
    pub made_by: String,
    pub uses_left: u32,
    pub expires_at: Timestamp,
}

impl Storage {
    /// A new token in place of the one before, which is void from this commit on.
    pub async fn put_token(&self, new: NewToken, now: Timestamp) -> Result<u64, StorageError> {
        let change = self.begin_change().await?;
        let worker = worker::Entity::find_by_id(signed(new.worker.0))
            .one(&change.tx)
            .await?
            .ok_or_else(|| StorageError::not_found(format!("worker {}", new.worker)))?;
        if !WorkerState::parse(&worker.state)?.may_call() {
            return Err(StorageError::new(
                Kind::Conflict,
                format!(
                    "worker {} is {} and gets no token",
                    worker.name, worker.state
                ),
            ));
        }
        let row = token::ActiveModel {
            worker: Set(worker.id),
            slot: Set(SLOT),
            hash: Set(new.hash.to_hex()),
            expires_at: Set(to_ms(new.expires_at)),
            minted_at: Set(to_ms(now)),
            used_at: Set(None),
            revoked: Set(false),
            stamp: Set(change.stamp),
        };
        match token::Entity::find_by_id((worker.id, SLOT))
            .one(&change.tx)
            .await?
        {
            Some(_) => {
                row.update(&change.tx).await?;
            }
            None => {
                token::Entity::insert(row)
                    .exec_without_returning(&change.tx)
                    .await?;
            }
        }
        change.commit().await
    }

    /// `None`: nobody's, or revoked, or its worker may not call.
    pub async fn token_owner(&self, hash: Hash) -> Result<Option<TokenOwner>, StorageError> {
        let row = token::Entity::find()
            .filter(token::Column::Hash.eq(hash.to_hex()))
            .filter(token::Column::Revoked.eq(false))
            .one(&self.db)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let worker = worker::Entity::find_by_id(row.worker).one(&self.db).await?;
        match worker {
            Some(worker) if WorkerState::parse(&worker.state)?.may_call() => Ok(Some(TokenOwner {
                hash,
                worker: WorkerId(unsigned(row.worker)),
                expires_at: from_ms(row.expires_at)?,
                used: row.used_at.is_some(),
            })),
            _ => Ok(None),
        }
    }

    /// The first use ends the enrolment that brought it.
    pub async fn mark_token_used(&self, hash: Hash, now: Timestamp) -> Result<(), StorageError> {
        let change = self.begin_change().await?;
        let row = token::Entity::find()
            .filter(token::Column::Hash.eq(hash.to_hex()))
            .filter(token::Column::UsedAt.is_null())
            .one(&change.tx)
            .await?;
        let Some(row) = row else {
            return change.forget().await;
        };
        let mut row = row.into_active_model();
        row.used_at = Set(Some(to_ms(now)));
        row.stamp = Set(change.stamp);
        row.update(&change.tx).await?;
        change.commit().await?;
        Ok(())
    }

    pub async fn revoke_worker_tokens(&self, id: WorkerId) -> Result<u64, StorageError> {
        let change = self.begin_change().await?;
        crate::workers::revoke_tokens(&change, signed(id.0)).await?;
        change.commit().await
    }

    /// When the worker's token ends; `None`: it has none.
    pub async fn token_expiry(&self, id: WorkerId) -> Result<Option<Timestamp>, StorageError> {
        let row = token::Entity::find_by_id((signed(id.0), SLOT))
            .one(&self.db)
            .await?
            .filter(|row| !row.revoked);
        row.map(|row| from_ms(row.expires_at)).transpose()
    }

    /// Reserves the id that the join token bears; [`Storage::put_join_token`] gives it its hash.
    pub async fn next_join_token_id(&self) -> Result<u64, StorageError> {
        let last = join_token::Entity::find()
            .order_by_desc(join_token::Column::Id)
            .limit(1)
            .one(&self.db)
            .await?;
        Ok(last.map_or(1, |row| unsigned(row.id) + 1))
    }

    /// A conflict if somebody took the id meanwhile.
    pub async fn put_join_token(
        &self,
        join: &JoinToken,
        hash: Hash,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        join_token::Entity::delete_many()
            .filter(join_token::Column::ExpiresAt.lte(to_ms(now)))
            .filter(join_token::Column::Id.ne(signed(join.id)))
            .exec(&self.db)
            .await?;
        let row = join_token::ActiveModel {
            id: Set(signed(join.id)),
            hash: Set(hash.to_hex()),
            label: Set(label(&join.label)),
            made_by: Set(label(&join.made_by)),
            uses_left: Set(i64::from(join.uses_left)),
            created_at: Set(to_ms(now)),
            expires_at: Set(to_ms(join.expires_at)),
        };
        join_token::Entity::insert(row)
            .exec_without_returning(&self.db)
            .await?;
        Ok(())
    }

    pub async fn join_tokens(&self, now: Timestamp) -> Result<Vec<JoinToken>, StorageError> {
        let rows = join_token::Entity::find()
            .filter(join_token::Column::ExpiresAt.gt(to_ms(now)))
            .order_by_asc(join_token::Column::Id)
            .all(&self.db)
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(JoinToken {
                    id: unsigned(row.id),
                    label: row.label,
                    made_by: row.made_by,
                    uses_left: u32::try_from(row.uses_left).unwrap_or(0),
                    expires_at: from_ms(row.expires_at)?,
                })
            })
            .collect()
    }
}
