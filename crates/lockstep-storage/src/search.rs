//! The search box: one row per record, kind and key. No buyers: personal data is not searched here.

use crate::{
    Storage, StorageError,
    bounds::{BATCH_ROWS, LIST_ROWS_MAX},
    entities::{search_row, search_word},
    numbers::{folded, label, literal_like, signed, unsigned},
};
use lockstep_model::CustomerId;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, TransactionTrait,
    sea_query::{Expr, ExprTrait, LikeExpr},
};
use std::collections::{BTreeMap, BTreeSet};

/// The kind of orders. Their title is our key of them: nobody looks for its words.
pub const ORDER: &str = "order";

/// Words of one title that are indexed.
const WORDS_MAX: usize = 24;
/// Records that have a word, among which those are looked for that have the others too.
const CANDIDATES_MAX: u64 = 2_000;

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

/// The words of a title that it can be found by.
fn words(title: &str) -> BTreeSet<String> {
    folded(title)
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(WORDS_MAX)
        .map(ToOwned::to_owned)
        .collect()
}

/// Texts that begin so. Where texts are ordered by their characters, an index answers it as a range; PostgreSQL orders
/// them by its locale, and is asked in its own way.
fn beginning(db: &impl ConnectionTrait, column: impl ColumnTrait, text: &str) -> Condition {
    match db.get_database_backend() {
        DbBackend::Postgres => {
            let pattern = format!("{}%", literal_like(text));
            Condition::all().add(Expr::col(column).like(LikeExpr::new(pattern).escape('!')))
        }
        _ => Condition::all()
            .add(column.gte(text))
            .add(column.lt(format!("{text}{}", char::MAX))),
    }
}

impl Storage {
    /// Rows of the same records that are not among these are forgotten: a record's keys and title are given whole.
    pub async fn put_search_rows(
        &self,
        customer: CustomerId,
        rows: &[SearchRow],
    ) -> Result<(), StorageError> {
        // Two keys that share their first 255 characters are one row: the last counts.
        let mut distinct = BTreeMap::new();
        let mut titles = BTreeMap::new();
        for row in rows {
            let kind = label(&row.kind);
            titles.insert((kind.clone(), row.record), row.title.as_str());
            distinct.insert((kind, row.record, label(&row.key)), row);
        }
        let mut records: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (kind, record) in titles.keys() {
            records.entry(kind).or_default().push(*record);
        }
        let words: Vec<_> = titles
            .iter()
            .filter(|((kind, _), _)| kind != ORDER)
            .flat_map(|((kind, record), title)| {
                words(title)
                    .into_iter()
                    .map(|word| search_word::ActiveModel {
                        customer: Set(signed(customer.0)),
                        kind: Set(kind.clone()),
                        record: Set(signed(*record)),
                        word: Set(word),
                    })
            })
            .collect();
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
        let tx = self.db.begin().await?;
        for (kind, records) in records {
            remove(&tx, customer, kind, &records).await?;
        }
        for rows in rows.chunks(BATCH_ROWS) {
            search_row::Entity::insert_many(rows.iter().cloned())
                .exec_without_returning(&tx)
                .await?;
        }
        for words in words.chunks(BATCH_ROWS) {
            search_word::Entity::insert_many(words.iter().cloned())
                .exec_without_returning(&tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// All keys of these records.
    pub async fn remove_search_rows(
        &self,
        customer: CustomerId,
        kind: &str,
        records: &[u64],
    ) -> Result<(), StorageError> {
        remove(&self.db, customer, kind, records).await
    }

    /// Keys that begin so, and titles that have words which begin so; keys first. Of one customer, or of all.
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
        let mut query = search_row::Entity::find()
            .filter(beginning(&self.db, search_row::Column::KeyFolded, &text))
            .order_by_asc(search_row::Column::KeyFolded)
            .order_by_asc(search_row::Column::Customer)
            .limit(limit);
        if let Some(customer) = customer {
            query = query.filter(search_row::Column::Customer.eq(signed(customer.0)));
        }
        let by_key = query.all(&self.db).await?;
        let found: BTreeSet<Place> = by_key.iter().map(place).collect();
        let mut hits: Vec<SearchHit> = by_key.into_iter().map(SearchHit::from).collect();
        let left = limit.saturating_sub(hits.len() as u64);
        if left > 0 {
            let by_words = self.by_words(customer, &text, &found, left).await?;
            hits.extend(by_words);
        }
        Ok(hits)
    }

    /// Records whose titles have all of these words; one row of each.
    async fn by_words(
        &self,
        customer: Option<CustomerId>,
        text: &str,
        found: &BTreeSet<Place>,
        limit: u64,
    ) -> Result<Vec<SearchHit>, StorageError> {
        let words = words(text);
        // The longest tells most apart.
        let Some(first) = words.iter().max_by_key(|word| word.chars().count()) else {
            return Ok(Vec::new());
        };
        let mut query = search_word::Entity::find()
            .filter(beginning(&self.db, search_word::Column::Word, first))
            .order_by_asc(search_word::Column::Word)
            .order_by_asc(search_word::Column::Customer)
            .limit(CANDIDATES_MAX);
        if let Some(customer) = customer {
            query = query.filter(search_word::Column::Customer.eq(signed(customer.0)));
        }
        let candidates = query.all(&self.db).await?;
        let candidates: BTreeSet<Place> = candidates
            .into_iter()
            .map(|row| (row.customer, row.kind, row.record))
            .filter(|place| !found.contains(place))
            .collect();
        let candidates: Vec<Place> = candidates.into_iter().collect();
        let mut seen = BTreeSet::new();
        let mut hits = Vec::new();
        for places in candidates.chunks(BATCH_ROWS) {
            let these = places.iter().fold(Condition::any(), |any, place| {
                any.add(
                    Condition::all()
                        .add(search_row::Column::Customer.eq(place.0))
                        .add(search_row::Column::Kind.eq(place.1.as_str()))
                        .add(search_row::Column::Record.eq(place.2)),
                )
            });
            let rows = search_row::Entity::find()
                .filter(these)
                .order_by_asc(search_row::Column::Customer)
                .order_by_asc(search_row::Column::Kind)
                .order_by_asc(search_row::Column::Record)
                .order_by_asc(search_row::Column::Key)
                .all(&self.db)
                .await?;
            for row in rows {
                let there = self::words(&row.title);
                let has = |wanted: &String| there.iter().any(|word| word.starts_with(wanted));
                if words.iter().all(has) && seen.insert(place(&row)) {
                    hits.push(SearchHit::from(row));
                }
                if hits.len() as u64 == limit {
                    return Ok(hits);
                }
            }
        }
        Ok(hits)
    }
}

type Place = (i64, String, i64);

fn place(row: &search_row::Model) -> Place {
    (row.customer, row.kind.clone(), row.record)
}

impl From<search_row::Model> for SearchHit {
    fn from(row: search_row::Model) -> Self {
        SearchHit {
            customer: CustomerId(unsigned(row.customer)),
            row: SearchRow {
                kind: row.kind,
                record: unsigned(row.record),
                key: row.key,
                title: row.title,
            },
        }
    }
}

async fn remove(
    db: &impl ConnectionTrait,
    customer: CustomerId,
    kind: &str,
    records: &[u64],
) -> Result<(), StorageError> {
    for records in records.chunks(BATCH_ROWS) {
        let ids = || records.iter().map(|id| signed(*id));
        search_row::Entity::delete_many()
            .filter(search_row::Column::Customer.eq(signed(customer.0)))
            .filter(search_row::Column::Kind.eq(kind))
            .filter(search_row::Column::Record.is_in(ids()))
            .exec(db)
            .await?;
        search_word::Entity::delete_many()
            .filter(search_word::Column::Customer.eq(signed(customer.0)))
            .filter(search_word::Column::Kind.eq(kind))
            .filter(search_word::Column::Record.is_in(ids()))
            .exec(db)
            .await?;
    }
    Ok(())
}
