//! Ownership of customers: the transition of [`crate::ownership`], in a transaction, stamped.

use crate::{
    Kind, Storage, StorageError,
    change::Change,
    entities::{departure, meta, ownership},
    numbers::{signed, to_ms, unsigned},
    open::{ONLY_ROW, meta_row},
    ownership::{Event, NotTheOwner, Ownership, next},
};
use jiff::Timestamp;
use lockstep_model::{CustomerId, Epoch, Incarnation, WorkerId};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    sea_query::{Expr, OnConflict},
};

/// Who owns a customer, and in which incarnation of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owned {
    pub customer: CustomerId,
    pub incarnation: Incarnation,
    pub ownership: Ownership,
    pub stamp: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveOutcome {
    Done(Owned),
    /// A release by somebody who is not the owner, or not in this epoch.
    NotTheOwner,
}

pub(crate) fn state(row: &ownership::Model) -> Ownership {
    Ownership {
        worker: row.worker.map(|id| WorkerId(unsigned(id))),
        epoch: Epoch(unsigned(row.epoch)),
        moving_to: row.moving_to.map(|id| WorkerId(unsigned(id))),
        revoked: row.revoked,
    }
}

fn owned(row: &ownership::Model) -> Owned {
    Owned {
        customer: CustomerId(unsigned(row.customer)),
        incarnation: Incarnation(unsigned(row.incarnation)),
        ownership: state(row),
        stamp: unsigned(row.stamp),
    }
}

impl Storage {
    pub async fn owner(&self, customer: CustomerId) -> Result<Option<Owned>, StorageError> {
        let row = ownership::Entity::find_by_id(signed(customer.0))
            .one(&self.db)
            .await?;
        Ok(row.as_ref().map(owned))
    }

    pub async fn owned_by(&self, worker: WorkerId) -> Result<Vec<Owned>, StorageError> {
        let rows = ownership::Entity::find()
            .filter(ownership::Column::Worker.eq(signed(worker.0)))
            .all(&self.db)
            .await?;
        Ok(rows.iter().map(owned).collect())
    }

    /// Assign, take, revoke, release.
    pub async fn move_customer(
        &self,
        customer: CustomerId,
        event: Event,
        now: Timestamp,
    ) -> Result<MoveOutcome, StorageError> {
        let change = self.begin_change().await?;
        match step(&change, signed(customer.0), event, now).await? {
            Ok(row) => {
                change.commit().await?;
                Ok(MoveOutcome::Done(owned(&row)))
            }
            Err(NotTheOwner) => {
                change.forget().await?;
                Ok(MoveOutcome::NotTheOwner)
            }
        }
    }

    /// Who is further behind than these departures gets everything. Keeps the table bounded.
    pub async fn forget_departures(&self, until: u64) -> Result<(), StorageError> {
        let change = self.begin_change().await?;
        departure::Entity::delete_many()
            .filter(departure::Column::Stamp.lte(signed(until)))
            .exec(&change.tx)
            .await?;
        meta::Entity::update_many()
            .col_expr(meta::Column::DepartedSince, Expr::value(signed(until)))
            .filter(meta::Column::Id.eq(ONLY_ROW))
            .filter(meta::Column::DepartedSince.lt(signed(until)))
            .exec(&change.tx)
            .await?;
        change.commit().await?;
        Ok(())
    }

    /// Departures at or before this stamp are forgotten.
    pub async fn departed_since(&self) -> Result<u64, StorageError> {
        Ok(unsigned(self.meta().await?.departed_since))
    }
}

/// The transition, its row, and the note to whoever loses the customer.
pub(crate) async fn step(
    change: &Change,
    customer: i64,
    event: Event,
    now: Timestamp,
) -> Result<Result<ownership::Model, NotTheOwner>, StorageError> {
    let row = locked(&change.tx, customer).await?;
    let before = row.as_ref().map(state).unwrap_or_default();
    let after = match next(before, event) {
        Ok(after) => after,
        Err(refused) => return Ok(Err(refused)),
    };
    let incarnation = meta_row(&change.tx).await?.incarnation;
    let since = match &row {
        Some(row) if before.worker == after.worker => row.since,
        _ => to_ms(now),
    };
    let active = ownership::ActiveModel {
        customer: Set(customer),
        worker: Set(after.worker.map(|id| signed(id.0))),
        incarnation: Set(incarnation),
        epoch: Set(signed(after.epoch.0)),
        moving_to: Set(after.moving_to.map(|id| signed(id.0))),
        revoked: Set(after.revoked),
        touched: Set(row.as_ref().map_or(0, |row| row.touched)),
        since: Set(since),
        stamp: Set(change.stamp),
    };
    match row {
        Some(_) => {
            active.clone().update(&change.tx).await?;
        }
        None => {
            ownership::Entity::insert(active)
                .exec_without_returning(&change.tx)
                .await?;
        }
    }
    if let Some(loser) = before.told_to()
        && after.told_to() != Some(loser)
    {
        let note = departure::ActiveModel {
            customer: Set(customer),
            worker: Set(signed(loser.0)),
            stamp: Set(change.stamp),
        };
        departure::Entity::insert(note)
            .on_conflict(
                OnConflict::columns([departure::Column::Customer, departure::Column::Worker])
                    .update_column(departure::Column::Stamp)
                    .to_owned(),
            )
            .exec_without_returning(&change.tx)
            .await?;
    }
    let row = ownership::Entity::find_by_id(customer)
        .one(&change.tx)
        .await?;
    row.map(Ok).ok_or_else(|| {
        StorageError::new(Kind::Corrupt, "an ownership row is gone as it was written")
    })
}

/// Takes the row's lock by a real write, on every database alike, then reads it.
pub(crate) async fn locked(
    tx: &impl ConnectionTrait,
    customer: i64,
) -> Result<Option<ownership::Model>, StorageError> {
    use sea_orm::ExprTrait;
    ownership::Entity::update_many()
        .col_expr(
            ownership::Column::Touched,
            Expr::col(ownership::Column::Touched).add(1),
        )
        .filter(ownership::Column::Customer.eq(customer))
        .exec(tx)
        .await?;
    Ok(ownership::Entity::find_by_id(customer).one(tx).await?)
}

/// After a restore: the same owners and epochs, in the new incarnation.
pub(crate) async fn renew_incarnation(change: &Change, to: i64) -> Result<(), StorageError> {
    ownership::Entity::update_many()
        .col_expr(ownership::Column::Incarnation, Expr::value(to))
        .col_expr(ownership::Column::Stamp, Expr::value(change.stamp))
        .exec(&change.tx)
        .await?;
    Ok(())
}

/// Nobody shall have it: the customer was deleted.
pub(crate) async fn end(
    change: &Change,
    customer: i64,
    now: Timestamp,
) -> Result<(), StorageError> {
    let Some(row) = locked(&change.tx, customer).await? else {
        return Ok(());
    };
    let owner = state(&row);
    if let (Some(by), epoch) = (owner.worker, owner.epoch) {
        // The loser is told by the revocation; the release ends what it may still send.
        let steps = [Event::Revoke, Event::Release { by, epoch }];
        for event in steps {
            step(change, customer, event, now)
                .await?
                .map_err(|NotTheOwner| {
                    StorageError::new(Kind::Conflict, "the customer changed its owner meanwhile")
                })?;
        }
    }
    let row = ownership::Entity::find_by_id(customer)
        .one(&change.tx)
        .await?;
    if let Some(row) = row {
        let mut row = row.into_active_model();
        row.moving_to = Set(None);
        row.update(&change.tx).await?;
    }
    Ok(())
}
