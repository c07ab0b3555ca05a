//! Stock levels: the units of a SKU in one of a shop's stocks.

use crate::{ItemId, RemoteId, Sku};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What a shop shows of one SKU in one of its stocks, read together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// Our own name of what it is of, where that is not its SKU; empty in what a connector has read.
    #[serde(default, skip_serializing_if = "ItemId::is_empty")]
    pub item: ItemId,
    pub sku: Sku,
    /// The shop's own id of the stock.
    pub stock: RemoteId,
    /// The shop's own id of the variant, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<RemoteId>,
    /// What has to be named to write it, where that is not the SKU (an inventory item).
    pub inventory: Option<RemoteId>,
    /// Units that the shop counts as there.
    pub on_hand: Decimal,
    /// Units that it holds back from sale, for its own orders or by hand; 0 where the platform has no reservations.
    pub reserved: Decimal,
    /// Units of `reserved` that none of its orders holds: somebody set them aside there, by hand.
    #[serde(default, skip_serializing_if = "Decimal::is_zero")]
    pub set_aside: Decimal,
    /// Stands for this state in a compare-and-set; `None` where the platform has none.
    pub version: Option<String>,
    /// The shelf, as text.
    pub location: Option<String>,
    pub modified_at: Option<Timestamp>,
}

impl Level {
    /// What it is of, or its SKU ([`ItemId::or_named_after`]).
    pub fn item(&self) -> ItemId {
        self.item.or_named_after(&self.sku)
    }

    /// What the shop can still sell: on hand less its own reservations (STOCK rule: `available`).
    pub fn available(&self) -> Decimal {
        self.on_hand - self.reserved
    }

    /// Is this what a shop makes of a write that it cannot hold: less than nothing was to be sold, where there was not less
    /// before, and there is nothing?
    pub fn stops_at_nothing(&self, was_available: Decimal, target: Decimal) -> bool {
        target < Decimal::ZERO && was_available >= Decimal::ZERO && self.available().is_zero()
    }

    /// What it could sell if nothing were set aside by hand.
    pub fn unspoken_for(&self) -> Decimal {
        self.available() + self.set_aside
    }
}
