//! Buyers to be forgotten: kept until the customer's worker has done it, whose data it is sealed, and gone when it is
//! done. What it says is the protocol's business.

use crate::{
    Storage, StorageError,
    bounds::LIST_ROWS_MAX,
    entities::erasure,
    numbers::{from_ms, label, signed, to_ms, unsigned},
};
use jiff::Timestamp;
use lockstep_model::CustomerId;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect,
};

#[derive(Clone, PartialEq, Eq)]
pub struct Erasure {
    pub id: u64,
    pub customer: CustomerId,
    /// JSON. `None`: it was done.
    pub of: Option<String>,
    pub by: String,
    pub asked_at: Timestamp,
    pub done_at: Option<Timestamp>,
    pub orders: u64,
    pub unreadable: u64,
}

/// Without whose data it is.
impl std::fmt::Debug for Erasure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Erasure({}, {:?})", self.id, self.done_at)
    }
}

fn place(id: i64) -> String {
    format!("erasure/{id}/of")
}

impl Storage {
    pub async fn ask_for_erasure(
        &self,
        customer: CustomerId,
        of: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<Erasure, StorageError> {
        let change = self.begin_change().await?;
        let id = change.stamp;
        let row = erasure::ActiveModel {
            id: Set(id),
            customer: Set(signed(customer.0)),
            sealed_of: Set(Some(self.seal.seal(&place(id), of.as_bytes())?)),
            asked_by: Set(label(by)),
            asked_at: Set(to_ms(now)),
            done_at: Set(None),
            orders: Set(0),
            unreadable: Set(0),
        };
        erasure::Entity::insert(row)
            .exec_without_returning(&change.tx)
            .await?;
        let id = change.commit().await?;
        self.erasure(id).await?.ok_or_else(|| {
            StorageError::new(crate::Kind::NotFound, format!("there is no erasure {id}"))
        })
    }

    pub async fn erasure(&self, id: u64) -> Result<Option<Erasure>, StorageError> {
        let row = erasure::Entity::find_by_id(signed(id))
            .one(&self.db)
            .await?;
        row.map(|row| self.open_erasure(row)).transpose()
    }

    /// Those that wait to be done, the oldest first.
    pub async fn open_erasures(&self) -> Result<Vec<Erasure>, StorageError> {
        let rows = erasure::Entity::find()
            .filter(erasure::Column::DoneAt.is_null())
            .order_by_asc(erasure::Column::Id)
            .limit(LIST_ROWS_MAX)
            .all(&self.db)
            .await?;
        rows.into_iter().map(|row| self.open_erasure(row)).collect()
    }

    /// It was done: whose data it was is known no more. The first time counts.
    pub async fn erasure_done(
        &self,
        id: u64,
        orders: u64,
        unreadable: u64,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let row = erasure::Entity::find_by_id(signed(id))
            .filter(erasure::Column::DoneAt.is_null())
            .one(&self.db)
            .await?;
        let Some(row) = row else {
            return Ok(());
        };
        let mut row = row.into_active_model();
        row.sealed_of = Set(None);
        row.done_at = Set(Some(to_ms(now)));
        row.orders = Set(signed(orders));
        row.unreadable = Set(signed(unreadable));
        row.update(&self.db).await?;
        Ok(())
    }

    /// It cannot be done, and nothing waits for it.
    pub async fn forget_erasure(&self, id: u64) -> Result<(), StorageError> {
        erasure::Entity::delete_by_id(signed(id))
            .exec(&self.db)
            .await?;
        Ok(())
    }

    fn open_erasure(&self, row: erasure::Model) -> Result<Erasure, StorageError> {
        let of = match &row.sealed_of {
            None => None,
            Some(sealed) => {
                let clear = self.seal.open(&place(row.id), sealed)?;
                Some(
                    String::from_utf8(clear)
                        .map_err(|error| StorageError::corrupt("an erasure", error.utf8_error()))?,
                )
            }
        };
        Ok(Erasure {
            id: unsigned(row.id),
            customer: CustomerId(unsigned(row.customer)),
            of,
            asked_at: from_ms(row.asked_at)?,
            done_at: row.done_at.map(from_ms).transpose()?,
            orders: unsigned(row.orders),
            unreadable: unsigned(row.unreadable),
            by: row.asked_by,
        })
    }
}
