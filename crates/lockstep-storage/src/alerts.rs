//! Alerts: what a person should see and has not put right yet. One row per cause, however often it comes.

use crate::{
    Storage, StorageError,
    bounds::LIST_ROWS_MAX,
    entities::alert,
    numbers::{from_ms, label, signed, to_ms, unsigned},
};
use jiff::Timestamp;
use lockstep_model::{CustomerId, ShopId, WorkerId};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, sea_query::Expr,
};

#[derive(Debug, Clone)]
pub struct NewAlert {
    /// The cause: `shop/7/3/auth`. An alert of this key that is open is raised again, not twice.
    pub dedupe: String,
    pub customer: Option<CustomerId>,
    pub worker: Option<WorkerId>,
    pub kind: String,
    pub title: String,
    pub detail: String,
    /// The console's page about it.
    pub href: String,
    /// What to do there; empty: to look at it.
    pub action: String,
    /// That it is about, where asking it again may be all that it takes.
    pub shop: Option<ShopId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    pub id: u64,
    pub dedupe: String,
    pub customer: Option<CustomerId>,
    pub worker: Option<WorkerId>,
    pub kind: String,
    pub title: String,
    pub detail: String,
    pub href: String,
    pub action: String,
    pub shop: Option<ShopId>,
    pub raised_at: Timestamp,
    pub seen_at: Timestamp,
    pub times: u64,
}

impl Storage {
    pub async fn raise_alert(&self, new: &NewAlert, now: Timestamp) -> Result<(), StorageError> {
        let change = self.begin_change().await?;
        let row = alert::Entity::find()
            .filter(alert::Column::Dedupe.eq(label(&new.dedupe)))
            .one(&change.tx)
            .await?;
        match row {
            Some(row) => {
                let again = row.cleared_at.is_some();
                let times = if again { 1 } else { row.times + 1 };
                let mut row = row.into_active_model();
                row.kind = Set(label(&new.kind));
                row.title = Set(label(&new.title));
                row.detail = Set(new.detail.replace('\0', ""));
                row.href = Set(label(&new.href));
                row.action = Set(Some(label(&new.action)));
                row.shop = Set(new.shop.map(|id| signed(id.0)));
                row.seen_at = Set(to_ms(now));
                row.times = Set(times);
                row.cleared_at = Set(None);
                if again {
                    row.raised_at = Set(to_ms(now));
                }
                row.update(&change.tx).await?;
            }
            None => {
                let row = alert::ActiveModel {
                    id: Set(change.stamp),
                    dedupe: Set(label(&new.dedupe)),
                    customer: Set(new.customer.map(|id| signed(id.0))),
                    worker: Set(new.worker.map(|id| signed(id.0))),
                    kind: Set(label(&new.kind)),
                    title: Set(label(&new.title)),
                    detail: Set(new.detail.replace('\0', "")),
                    href: Set(label(&new.href)),
                    raised_at: Set(to_ms(now)),
                    seen_at: Set(to_ms(now)),
                    times: Set(1),
                    cleared_at: Set(None),
                    action: Set(Some(label(&new.action))),
                    shop: Set(new.shop.map(|id| signed(id.0))),
                };
                alert::Entity::insert(row)
                    .exec_without_returning(&change.tx)
                    .await?;
            }
        }
        change.commit().await?;
        Ok(())
    }

    /// It is right again. `false`: it was not open.
    pub async fn clear_alert(&self, dedupe: &str, now: Timestamp) -> Result<bool, StorageError> {
        let done = alert::Entity::update_many()
            .col_expr(alert::Column::ClearedAt, Expr::value(to_ms(now)))
            .filter(alert::Column::Dedupe.eq(label(dedupe)))
            .filter(alert::Column::ClearedAt.is_null())
            .exec(&self.db)
            .await?;
        Ok(done.rows_affected > 0)
    }

    /// The open ones, the newest first.
    pub async fn alerts(&self) -> Result<Vec<Alert>, StorageError> {
        let rows = alert::Entity::find()
            .filter(alert::Column::ClearedAt.is_null())
            .order_by_desc(alert::Column::SeenAt)
            .limit(LIST_ROWS_MAX)
            .all(&self.db)
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Alert {
                    id: unsigned(row.id),
                    customer: row.customer.map(|id| CustomerId(unsigned(id))),
                    worker: row.worker.map(|id| WorkerId(unsigned(id))),
                    raised_at: from_ms(row.raised_at)?,
                    seen_at: from_ms(row.seen_at)?,
                    times: unsigned(row.times),
                    action: row.action.unwrap_or_default(),
                    shop: row.shop.map(|id| ShopId(unsigned(id))),
                    dedupe: row.dedupe,
                    kind: row.kind,
                    title: row.title,
                    detail: row.detail,
                    href: row.href,
                })
            })
            .collect()
    }
}
