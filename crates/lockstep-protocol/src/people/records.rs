//! One record across all shops, its history, its stock explained, and conflicts.

use jiff::Timestamp;
use lockstep_model::{
    ConflictId, CustomerId, RecordId, Resolution, RunId, ShopId, settings::StockId,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordRow {
    pub record: RecordId,
    pub kind: String,
    /// A SKU, a category's path, an order's number.
    pub key: String,
    pub title: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordView {
    pub customer_id: CustomerId,
    pub row: RecordRow,
    pub shops: Vec<ShopColumn>,
    pub fields: Vec<FieldRow>,
    pub history: Vec<HistoryRow>,
    pub conflicts: Vec<ConflictView>,
    /// How far the replica that answered is behind the journal's head.
    pub as_of: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShopColumn {
    pub shop: ShopId,
    pub name: String,
    /// Its id there; none: not there.
    pub id: Option<String>,
}

/// One field, in each shop, and who decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldRow {
    pub path: String,
    pub values: BTreeMap<ShopId, String>,
    pub ours: Option<String>,
    pub decides: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryRow {
    pub at: Timestamp,
    pub seq: u64,
    pub run: Option<RunId>,
    /// "price 6.90 → 7.20"
    pub what: String,
    /// "changed in ERP", "pushed to Woo by run 8812"
    pub why: String,
    /// Whose doing: a shop's, a person's, or Lockstep's own.
    #[serde(default)]
    pub who: String,
    /// What moved, from what to what; none: the entry is no change of one value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<HistoryMove>,
    /// Why its run started.
    #[serde(default)]
    pub cause: String,
    /// How often the same happened in a row; this is the newest of them.
    #[serde(default = "once")]
    pub times: u64,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_at: Option<Timestamp>,
}

fn once() -> u64 {
    1
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryMove {
    pub field: String,
    /// As people call the field.
    pub name: String,
    /// Where; none: in our own record.
    pub shop: Option<ShopId>,
    pub shop_name: String,
    /// As text; none: nothing there, or not known any more.
    pub from: Option<String>,
    pub to: Option<String>,
}

/// Who changed what of a record, a SKU or an order: one page, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryPage {
    pub customer_id: CustomerId,
    /// What it is the history of, for people.
    pub about: String,
    pub rows: Vec<HistoryRow>,
    pub next: Option<String>,
    /// How far the replica that answered is behind the journal's head.
    pub as_of: Option<Timestamp>,
}

/// Why is this the number?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockExplained {
    pub customer_id: CustomerId,
    pub sku: String,
    pub stocks: Vec<StockLedger>,
    pub as_of: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockLedger {
    pub stock: StockId,
    pub stock_name: String,
    pub base: Decimal,
    pub committed: Decimal,
    pub pool: Decimal,
    pub levels: Vec<LevelRow>,
    /// In order: opening 10 · receipt +5 · o1 −1.
    pub movements: Vec<MovementRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LevelRow {
    pub shop: ShopId,
    pub name: String,
    pub on_hand: Decimal,
    pub reserved: Decimal,
    pub available: Decimal,
    pub taken: Decimal,
    /// What it is to show comes out of these stocks, if they are several.
    #[serde(default)]
    pub sells_from: Vec<String>,
    pub pending: Decimal,
    pub target: Decimal,
    /// It was told the target and cannot hold it.
    #[serde(default)]
    pub clamped: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MovementRow {
    pub at: Timestamp,
    pub units: Decimal,
    pub what: String,
    /// The order that it is about, and its copies.
    #[serde(default)]
    pub order: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConflictView {
    pub conflict: ConflictId,
    pub customer_id: CustomerId,
    pub opened_at: Timestamp,
    pub record: Option<RecordRow>,
    /// "price of KH-100 changed in two shops"
    pub title: String,
    pub detail: String,
    pub choices: Vec<Choice>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    pub label: String,
    pub decision: Resolution,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecideRequest {
    pub decision: Resolution,
}
