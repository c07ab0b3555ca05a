//! Undoing a run: first what it would do, line by line; then the run that does it.

use jiff::Timestamp;
use lockstep_model::{CustomerId, RunId, ShopId};
use serde::{Deserialize, Serialize};

/// What an undo would do. Nothing was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UndoPreview {
    pub customer_id: CustomerId,
    /// The run that would be undone.
    pub run: RunId,
    pub made_at: Timestamp,
    /// Fields that would get back what the shop held before. This and the next two are of all rows.
    pub put_back: u64,
    /// Fields that stand as before already.
    pub as_before: u64,
    /// What would be left as it is, each with its reason.
    pub left: u64,
    pub rows: Vec<UndoRow>,
    /// There are more rows than these.
    pub cut: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UndoRow {
    pub shop: ShopId,
    /// A SKU and title, a category's title, an order.
    pub key: String,
    /// None: it is about the whole.
    pub field: Option<String>,
    /// What the shop shows now, as text; none: nothing there.
    pub now: Option<String>,
    /// What it held before.
    pub back: Option<String>,
    pub put_back: bool,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoReply {
    /// The run that undoes.
    pub run: RunId,
}
