//! A plan as people see it: a count, then the detail.

use jiff::Timestamp;
use lockstep_model::{CustomerId, Revision, RunId, ShopId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanRequest {
    /// Empty: all.
    pub flows: Vec<lockstep_model::Flow>,
    /// Empty: all.
    pub shops: Vec<ShopId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What `apply` names.
    pub id: String,
    pub customer_id: CustomerId,
    pub revision: Revision,
    pub made_at: Timestamp,
    /// Of all rows, not only of those here.
    pub counts: PlanCounts,
    pub rows: Vec<PlanRow>,
    /// There are more rows than were asked for.
    pub cut: bool,
    /// A limit or a policy stops it until a person says otherwise.
    #[serde(default)]
    pub stopped_by: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanCounts {
    pub create: u64,
    pub update: u64,
    pub archive: u64,
    /// Variants that go from products that stay.
    #[serde(default)]
    pub remove: u64,
    pub stock: u64,
    pub orders: u64,
    pub conflicts: u64,
    pub held: u64,
}

impl PlanCounts {
    pub fn writes(&self) -> u64 {
        self.create + self.update + self.archive + self.remove + self.stock + self.orders
    }

    pub fn is_empty(&self) -> bool {
        *self == PlanCounts::default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// `+`
    Create,
    /// `~`
    Update,
    /// `-`
    Archive,
    /// `-`: a variant of a product that stays.
    Remove,
    /// `?`: a conflict or a held order.
    Ask,
}

impl Sign {
    pub fn mark(self) -> char {
        match self {
            Sign::Create => '+',
            Sign::Update => '~',
            Sign::Archive | Sign::Remove => '-',
            Sign::Ask => '?',
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanRow {
    pub sign: Sign,
    pub shop: ShopId,
    /// "product", "level", "order" …
    pub kind: String,
    /// A SKU, a category's path, an order's number.
    pub key: String,
    pub title: String,
    pub fields: Vec<PlanField>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanField {
    pub path: String,
    /// As text; none: nothing there yet.
    pub from: Option<String>,
    pub to: Option<String>,
    /// Why: "owner: ERP, changed 09:02", "sold: 2 in Woo #1041".
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyPlanRequest {
    pub plan: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyPlanReply {
    pub run: RunId,
}
