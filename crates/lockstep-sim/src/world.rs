//! What people know and no shop tells: which units came in and went out, who edited what where.

use crate::scenario::ERP;
use crate::shop::{Placed, SimShop};
use jiff::Timestamp;
use lockstep_model::{CustomerId, OrderKey, RemoteId, ShopId, Sku, Takes};
use std::collections::{BTreeMap, BTreeSet};

/// The god's-eye record beside the shops.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// Opening, receipts and counts, less what broke.
    pub received: BTreeMap<Sku, i64>,
    /// When people moved a level of the ERP by hand.
    pub moved_at: BTreeMap<Sku, Vec<(Timestamp, i64)>>,
    /// Orders that buyers placed, in the shop they bought in.
    pub bought: BTreeSet<(ShopId, RemoteId)>,
    /// Where titles may be edited and count: a product has one such shop.
    pub titles_follow_edits: bool,
}

/// One order with its copies.
pub struct Life<'a> {
    pub shop: ShopId,
    pub id: &'a RemoteId,
    pub origin: &'a Placed,
    pub copies: Vec<&'a Placed>,
}

pub fn key_of(shop: ShopId, id: &RemoteId) -> String {
    OrderKey {
        customer: CustomerId(1),
        shop,
        id: id.clone(),
    }
    .to_string()
}

/// All orders that buyers placed, whichever shop they bought in.
pub fn lives(shops: &BTreeMap<ShopId, SimShop>) -> Vec<Life<'_>> {
    let mut copies: BTreeMap<&str, Vec<&Placed>> = BTreeMap::new();
    for order in shops.values().flat_map(|shop| shop.orders.values()) {
        if let Some(key) = &order.key {
            copies.entry(key).or_default().push(order);
        }
    }
    let mut lives = Vec::new();
    for (shop, state) in shops {
        for (id, origin) in state.orders.iter().filter(|(_, order)| order.key.is_none()) {
            let copies = copies.get(key_of(*shop, id).as_str()).cloned();
            lives.push(Life {
                shop: *shop,
                id,
                origin,
                copies: copies.unwrap_or_default(),
            });
        }
    }
    lives
}

impl Life<'_> {
    /// One side shipped it, the other cancelled it: for a person.
    pub fn is_contradictory(&self) -> bool {
        self.copies.iter().any(|copy| {
            (copy.shipped && self.origin.cancelled) || (copy.cancelled && self.origin.shipped)
        })
    }

    /// Units that are no longer for sale because of it: held for the buyer, with the buyer, or written off by the
    /// shop that owns the stock.
    pub fn gone(&self, erp: &SimShop) -> i64 {
        // Where an order is made that is bought, or where one is that lowers the level late, it stands from payment.
        let stands = self.origin.paid || !self.copies.is_empty();
        let by_origin = match self.origin.takes {
            Takes::Placement | Takes::Reserve => self.origin.taken,
            Takes::Payment | Takes::Shipment | Takes::Never if stands => {
                self.origin.taken.max(self.origin.wanted())
            }
            Takes::Payment | Takes::Shipment | Takes::Never => self.origin.taken,
        };
        if self.shop == ERP {
            return by_origin;
        }
        // A cancelled order was never more than a promise, whatever its shop does with its own number.
        let by_origin = if self.origin.cancelled { 0 } else { by_origin };
        let erp_counts = erp.traits.copies_take != Takes::Never;
        match self.copies.first() {
            Some(copy) if erp_counts && copy.is_done() => copy.taken,
            Some(copy) => by_origin.max(copy.taken),
            None => by_origin,
        }
    }

    /// Whether the ERP has it, or is about to.
    pub fn comes_to_erp(&self) -> bool {
        !self.copies.is_empty() || !self.origin.cancelled
    }
}
