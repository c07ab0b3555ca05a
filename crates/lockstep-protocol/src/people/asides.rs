//! What stands aside: records, levels and orders that could not be dealt with, each with its reason.

use jiff::Timestamp;
use lockstep_model::{FaultKind, RecordId, ShopId};
use serde::{Deserialize, Serialize};

/// Something that stands aside. Everything else goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AsideView {
    pub shop: ShopId,
    pub shop_name: String,
    /// "KH-100 Coffee 500 g", "order 1043", "a product that cannot be read".
    pub what: String,
    pub record: Option<RecordId>,
    pub sku: Option<String>,
    /// Our key.
    pub order: Option<String>,
    pub kind: FaultKind,
    pub why: String,
    /// What a person can do about it.
    #[serde(default)]
    pub advice: String,
    /// None: only a person's action helps.
    pub retry_at: Option<Timestamp>,
    pub tries: u32,
    pub at: Timestamp,
}
