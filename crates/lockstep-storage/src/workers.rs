//! Workers: keys that a person approved.

use crate::{
    Kind, Storage, StorageError,
    change::Change,
    entities::{token, worker},
    numbers::{from_json, from_ms, label, optional_ms, signed, to_ms, unsigned},
};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use lockstep_model::WorkerId;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, sea_query::Expr,
};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkerState {
    Active,
    /// Finishes and lets its customers go.
    Draining,
    /// Its tokens are refused until a person says otherwise.
    Suspended,
    /// Its machine is gone; its key is refused for good.
    Gone,
}

impl WorkerState {
    pub(crate) const ALL: [WorkerState; 4] = [
        WorkerState::Active,
        WorkerState::Draining,
        WorkerState::Suspended,
        WorkerState::Gone,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            WorkerState::Active => "active",
            WorkerState::Draining => "draining",
            WorkerState::Suspended => "suspended",
            WorkerState::Gone => "gone",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, StorageError> {
        WorkerState::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| {
                StorageError::new(
                    Kind::Corrupt,
                    format!("a worker is in the unknown state {text:?}"),
                )
            })
    }

    /// Whether its token is good for anything.
    pub fn may_call(self) -> bool {
        matches!(self, WorkerState::Active | WorkerState::Draining)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    pub id: WorkerId,
    pub name: String,
    pub public_key: [u8; 32],
    pub state: WorkerState,
    pub build: String,
    pub platforms: Vec<String>,
    pub facts: BTreeMap<String, String>,
    pub address: String,
    /// The process that was last heard of.
    pub instance: Option<String>,
    pub approved_by: String,
    pub created_at: Timestamp,
    pub last_seen_at: Option<Timestamp>,
    pub stamp: u64,
}

pub(crate) fn key_bytes(hex: &str) -> Result<[u8; 32], StorageError> {
    let bytes = HEXLOWER
        .decode(hex.as_bytes())
        .map_err(|error| StorageError::corrupt("a public key", error))?;
    bytes
        .try_into()
        .map_err(|_| StorageError::new(Kind::Corrupt, "a public key has not 32 bytes"))
}

impl TryFrom<worker::Model> for Worker {
    type Error = StorageError;

    fn try_from(row: worker::Model) -> Result<Self, StorageError> {
        Ok(Worker {
            id: WorkerId(unsigned(row.id)),
            public_key: key_bytes(&row.public_key)?,
            state: WorkerState::parse(&row.state)?,
            platforms: from_json("a worker's platforms", &row.platforms_json)?,
            facts: from_json("a worker's facts", &row.facts_json)?,
            created_at: from_ms(row.created_at)?,
            last_seen_at: optional_ms(row.last_seen_at)?,
            stamp: unsigned(row.stamp),
            name: row.name,
            build: row.build,
            address: row.address,
            instance: row.instance,
            approved_by: row.approved_by,
        })
    }
}

impl Storage {
    pub async fn workers(&self) -> Result<Vec<Worker>, StorageError> {
        let rows = worker::Entity::find()
            .order_by_asc(worker::Column::Id)
            .all(&self.db)
            .await?;
        rows.into_iter().map(Worker::try_from).collect()
    }

    pub async fn worker(&self, id: WorkerId) -> Result<Option<Worker>, StorageError> {
        let row = worker::Entity::find_by_id(signed(id.0))
            .one(&self.db)
            .await?;
        row.map(Worker::try_from).transpose()
    }

    /// Whose key this is, approved at some time; in whatever state it is now.
    pub async fn worker_by_key(&self, key: &[u8; 32]) -> Result<Option<Worker>, StorageError> {
        let row = worker::Entity::find()
            .filter(worker::Column::PublicKey.eq(HEXLOWER.encode(key)))
            .one(&self.db)
            .await?;
        row.map(Worker::try_from).transpose()
    }

    /// Suspended and gone revoke its tokens in the same transaction.
    pub async fn set_worker_state(
        &self,
        id: WorkerId,
        state: WorkerState,
    ) -> Result<u64, StorageError> {
        let change = self.begin_change().await?;
        let row = worker::Entity::find_by_id(signed(id.0))
            .one(&change.tx)
            .await?
            .ok_or_else(|| StorageError::not_found(format!("worker {id}")))?;
        if WorkerState::parse(&row.state)? == WorkerState::Gone && state != WorkerState::Gone {
            return Err(StorageError::new(
                Kind::Conflict,
                format!("worker {} is gone for good; enrol it anew", row.name),
            ));
        }
        let mut row = row.into_active_model();
        row.state = Set(state.as_str().to_owned());
        row.stamp = Set(change.stamp);
        row.update(&change.tx).await?;
        if !state.may_call() {
            revoke_tokens(&change, signed(id.0)).await?;
        }
        change.commit().await
    }

    pub async fn rename_worker(&self, id: WorkerId, name: &str) -> Result<u64, StorageError> {
        let change = self.begin_change().await?;
        let row = worker::Entity::find_by_id(signed(id.0))
            .one(&change.tx)
            .await?
            .ok_or_else(|| StorageError::not_found(format!("worker {id}")))?;
        let mut row = row.into_active_model();
        row.name = Set(label(name));
        row.stamp = Set(change.stamp);
        row.update(&change.tx).await?;
        change.commit().await
    }

    /// It was heard of. Others need not hear of that.
    pub async fn see_worker(
        &self,
        id: WorkerId,
        instance: &str,
        build: &str,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        worker::Entity::update_many()
            .col_expr(worker::Column::Instance, Expr::value(label(instance)))
            .col_expr(worker::Column::Build, Expr::value(label(build)))
            .col_expr(worker::Column::LastSeenAt, Expr::value(to_ms(now)))
            .filter(worker::Column::Id.eq(signed(id.0)))
            .exec(&self.db)
            .await?;
        Ok(())
    }
}

pub(crate) async fn revoke_tokens(change: &Change, worker: i64) -> Result<(), StorageError> {
    token::Entity::update_many()
        .col_expr(token::Column::Revoked, Expr::value(true))
        .col_expr(token::Column::Stamp, Expr::value(change.stamp))
        .filter(token::Column::Worker.eq(worker))
        .exec(&change.tx)
        .await?;
    Ok(())
}

/// The next free id. Only under the change counter's lock.
pub(crate) async fn next_worker_id(change: &Change) -> Result<i64, StorageError> {
    let last = worker::Entity::find()
        .order_by_desc(worker::Column::Id)
        .limit(1)
        .one(&change.tx)
        .await?;
    Ok(last.map_or(1, |row| row.id + 1))
}
