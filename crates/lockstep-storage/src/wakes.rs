//! Wakes and cancels: counters and marks that say "look", never messages.

use crate::{
    Kind, Storage, StorageError, WakeRow,
    entities::{cancel, wake},
    numbers::{label, signed, to_ms},
};
use jiff::Timestamp;
use lockstep_model::{CustomerId, Flow, RunId, ShopId};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
    sea_query::{Expr, OnConflict},
};
use std::collections::BTreeMap;

/// Who raises a wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// Its hook, and there may be many of them.
    Shop,
    /// Or we in a person's place: it is looked at at once.
    Person,
}

impl Storage {
    /// Raises each counter by one, all in one commit: a batch of webhooks is one fsync. Durable when this
    /// returns. The rows as they are now, in no order.
    pub async fn raise_wakes(
        &self,
        wakes: &BTreeMap<(CustomerId, ShopId, Flow), By>,
        now: Timestamp,
    ) -> Result<Vec<WakeRow>, StorageError> {
        if wakes.is_empty() {
            return Ok(Vec::new());
        }
        let change = self.begin_change().await?;
        let mut raised = Vec::with_capacity(wakes.len());
        for ((customer, shop, flow), by) in wakes {
            let key = (signed(customer.0), signed(shop.0), flow.as_str().to_owned());
            let row = match wake::Entity::find_by_id(key.clone())
                .one(&change.tx)
                .await?
            {
                Some(row) => {
                    let counter = row.counter + 1;
                    let mut row = row.into_active_model();
                    row.counter = Set(counter);
                    if *by == By::Person {
                        row.asked = Set(counter);
                    }
                    row.raised_at = Set(to_ms(now));
                    row.stamp = Set(change.stamp);
                    row.update(&change.tx).await?
                }
                None => {
                    let row = wake::Model {
                        customer: key.0,
                        shop: key.1,
                        flow: key.2,
                        counter: 1,
                        acted: 0,
                        asked: i64::from(*by == By::Person),
                        raised_at: to_ms(now),
                        stamp: change.stamp,
                    };
                    let new = row.clone().into_active_model().reset_all();
                    wake::Entity::insert(new)
                        .exec_without_returning(&change.tx)
                        .await?;
                    row
                }
            };
            raised.push(WakeRow::try_from(row)?);
        }
        change.commit().await?;
        Ok(raised)
    }

    pub async fn wakes(&self, customer: CustomerId) -> Result<Vec<WakeRow>, StorageError> {
        let rows = wake::Entity::find()
            .filter(wake::Column::Customer.eq(signed(customer.0)))
            .all(&self.db)
            .await?;
        rows.into_iter().map(WakeRow::try_from).collect()
    }

    /// A worker acted up to this counter. Never lowers what is known; nobody else is told.
    pub async fn acted_on_wakes(
        &self,
        acted: &[(CustomerId, ShopId, Flow, u64)],
    ) -> Result<(), StorageError> {
        for (customer, shop, flow, counter) in acted {
            wake::Entity::update_many()
                .col_expr(wake::Column::Acted, Expr::value(signed(*counter)))
                .filter(wake::Column::Customer.eq(signed(customer.0)))
                .filter(wake::Column::Shop.eq(signed(shop.0)))
                .filter(wake::Column::Flow.eq(flow.as_str()))
                .filter(wake::Column::Acted.lt(signed(*counter)))
                .exec(&self.db)
                .await?;
        }
        Ok(())
    }

    pub async fn cancel_run(
        &self,
        customer: CustomerId,
        run: RunId,
        by: &str,
        now: Timestamp,
    ) -> Result<u64, StorageError> {
        if run.0 > i64::MAX as u64 {
            return Err(StorageError::new(
                Kind::NotFound,
                format!("there is no run {run}"),
            ));
        }
        let change = self.begin_change().await?;
        let row = cancel::ActiveModel {
            customer: Set(signed(customer.0)),
            run: Set(signed(run.0)),
            asked_by: Set(label(by)),
            asked_at: Set(to_ms(now)),
            stamp: Set(change.stamp),
        };
        cancel::Entity::insert(row)
            .on_conflict(
                OnConflict::columns([cancel::Column::Customer, cancel::Column::Run])
                    .update_column(cancel::Column::Stamp)
                    .to_owned(),
            )
            .exec_without_returning(&change.tx)
            .await?;
        change.commit().await
    }

    /// The run ended: its cancel need not be told any more.
    pub(crate) async fn clear_cancels(
        &self,
        customer: i64,
        ended: &[i64],
    ) -> Result<(), StorageError> {
        if ended.is_empty() {
            return Ok(());
        }
        cancel::Entity::delete_many()
            .filter(cancel::Column::Customer.eq(customer))
            .filter(cancel::Column::Run.is_in(ended.iter().copied()))
            .exec(&self.db)
            .await?;
        Ok(())
    }
}
