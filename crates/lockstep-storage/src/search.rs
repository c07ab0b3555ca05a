//! The search box: one row per record, kind and key. No buyers: personal data is not searched here.

use crate::{
    Storage, StorageError,
    bounds::{BATCH_ROWS, LIST_ROWS_MAX},
    entities::search_row,
    numbers::{folded, label, literal_like, signed, unsigned},
};
use lockstep_model::CustomerId;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, LikeExpr, OnConflict},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchRow {
    pub kind: String,
    pub record: u64,
    /// A SKU, a category's path, an order's number.
    pub key: String,
    pub title: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchHit {
    pub customer: CustomerId,
    pub row: SearchRow,
}

impl Storage {
    pub async fn put_search_rows(
        &self,
        customer: CustomerId,
        rows: &[SearchRow],
    ) -> Result<(), StorageError> {
        // Two keys that share their first 255 characters are one row: the last counts.
        let mut distinct = std::collections::BTreeMap::new();
        for row in rows {
            distinct.insert((label(&row.kind), row.record, label(&row.key)), row);
        }
        let rows: Vec<_> = distinct
            .into_iter()
            .map(|((kind, record, key), row)| search_row::ActiveModel {
                customer: Set(signed(customer.0)),
                kind: Set(kind),
                record: Set(signed(record)),
                key_folded: Set(folded(&key)),
                key: Set(key),
                title: Set(label(&row.title)),
                title_folded: Set(folded(&row.title)),
            })
            .collect();
        for rows in rows.chunks(BATCH_ROWS) {
            search_row::Entity::insert_many(rows.iter().cloned())
                .on_conflict(
                    OnConflict::columns([
                        search_row::Column::Customer,
                        search_row::Column::Kind,
                        search_row::Column::Record,
                        search_row::Column::Key,
                    ])
                    .update_columns([search_row::Column::Title, search_row::Column::TitleFolded])
                    .to_owned(),
                )
                .exec_without_returning(&self.db)
                .await?;
        }
        Ok(())
    }

    /// All keys of these records.
    pub async fn remove_search_rows(
        &self,
        customer: CustomerId,
        kind: &str,
        records: &[u64],
    ) -> Result<(), StorageError> {
        for records in records.chunks(BATCH_ROWS) {
            search_row::Entity::delete_many()
                .filter(search_row::Column::Customer.eq(signed(customer.0)))
                .filter(search_row::Column::Kind.eq(kind))
                .filter(search_row::Column::Record.is_in(records.iter().map(|id| signed(*id))))
                .exec(&self.db)
                .await?;
        }
        Ok(())
    }

    /// Keys that begin so, and titles that contain it; keys first.
    pub async fn search(
        &self,
        customer: Option<CustomerId>,
        text: &str,
        limit: u64,
    ) -> Result<Vec<SearchHit>, StorageError> {
        let text = folded(text.trim());
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let limit = limit.clamp(1, LIST_ROWS_MAX);
        let like = |pattern: String| LikeExpr::new(pattern).escape('!');
        let literal = literal_like(&text);
        let by_key = Expr::col(search_row::Column::KeyFolded).like(like(format!("{literal}%")));
        let by_title =
            Expr::col(search_row::Column::TitleFolded).like(like(format!("%{literal}%")));
        let mut hits = Vec::new();
        for condition in [
            Condition::all().add(by_key.clone()),
            Condition::all()
                .add(by_title)
                .add(Condition::any().add(by_key).not()),
        ] {
            let left = limit.saturating_sub(hits.len() as u64);
            if left == 0 {
                break;
            }
            let mut query = search_row::Entity::find()
                .filter(condition)
                .order_by_asc(search_row::Column::Customer)
                .order_by_asc(search_row::Column::KeyFolded)
                .limit(left);
            if let Some(customer) = customer {
                query = query.filter(search_row::Column::Customer.eq(signed(customer.0)));
            }
            hits.extend(query.all(&self.db).await?.into_iter().map(|row| SearchHit {
                customer: CustomerId(unsigned(row.customer)),
                row: SearchRow {
                    kind: row.kind,
                    record: unsigned(row.record),
                    key: row.key,
                    title: row.title,
                },
            }));
        }
        Ok(hits)
    }
}
