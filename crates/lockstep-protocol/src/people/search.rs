//! What the search box finds, in all customers that a person sees.

use lockstep_model::{CustomerId, RecordId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchHitView {
    pub customer_id: CustomerId,
    pub customer_name: String,
    /// "product", "category", "order".
    pub kind: String,
    /// A SKU, a category's path, an order's number.
    pub key: String,
    pub title: String,
    pub record: Option<RecordId>,
    /// Our key of it.
    pub order: Option<String>,
}
