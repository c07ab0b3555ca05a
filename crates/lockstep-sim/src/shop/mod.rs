//! A made-up shop: products, levels and orders, a change feed, and the traits in which platforms differ.

mod feed;
mod goods;
pub use goods::as_kept_by_a_lossy_shop;
mod trade;
mod writes;

pub use trade::{Basket, Line, Placed, tax_within};

use jiff::Timestamp;
use lockstep_model::{Category, Kind, Product, RemoteId, ShopId, Sku, Takes};
use std::collections::BTreeMap;

/// What kind of platform it is.
#[derive(Debug, Clone)]
pub struct Traits {
    /// When its own orders lower what it can sell.
    pub takes: Takes,
    /// When the copies that are made in it do.
    pub copies_take: Takes,
    /// A cancelled or returned order gives its units back.
    pub gives_back: bool,
    pub level_writes: LevelWrites,
    pub order_keys: OrderKeys,
    /// Units of an order can be cancelled from outside.
    pub cancels_units: bool,
    /// Where an order's goods go to can be corrected from outside.
    pub readdresses: bool,
    /// Keeps what a copy's lines, parcels and refunds were made of, and does no step twice.
    pub keeps_links: bool,
    /// Rounds prices to one decimal, cleans and cuts titles.
    pub lossy: bool,
    /// Keeps other bytes of a picture than it was given.
    pub reencodes: bool,
    /// A search lags this much behind.
    pub search_lag_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LevelWrites {
    CompareAndSet,
    /// What is written is the difference to what was read.
    Relative,
    Absolute,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderKeys {
    /// A second order with the same key is refused.
    Unique,
    /// It can be found by its key, after the search's lag.
    Searched,
    /// The key is only a note on the order.
    Noted,
}

/// The stocks of a shop by its own names.
pub const MAIN: &str = "main";
pub const OUTLET: &str = "outlet";

#[derive(Debug, Clone, Default)]
pub struct Stocked {
    pub on_hand: i64,
    pub reserved: i64,
    rev: u64,
}

impl Stocked {
    pub fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }
}

#[derive(Debug, Clone)]
pub struct SimShop {
    pub id: ShopId,
    pub traits: Traits,
    pub products: BTreeMap<RemoteId, Product>,
    pub levels: BTreeMap<Sku, Stocked>,
    /// Of its second stock, where it has one: nobody buys from it.
    pub outlet: BTreeMap<Sku, Stocked>,
    pub orders: BTreeMap<RemoteId, Placed>,
    pub categories: BTreeMap<RemoteId, Category>,
    /// A product is found by a search only from then on.
    product_hidden_until: BTreeMap<RemoteId, Timestamp>,
    changed: BTreeMap<(Kind, RemoteId), u64>,
    clock: u64,
    next_id: u64,
}

impl SimShop {
    pub fn new(id: ShopId, traits: Traits) -> Self {
        Self {
            id,
            traits,
            products: BTreeMap::new(),
            levels: BTreeMap::new(),
            outlet: BTreeMap::new(),
            orders: BTreeMap::new(),
            categories: BTreeMap::new(),
            product_hidden_until: BTreeMap::new(),
            changed: BTreeMap::new(),
            clock: 0,
            next_id: id.0 * 1_000,
        }
    }

    fn fresh(&mut self, prefix: &str) -> RemoteId {
        self.next_id += 1;
        RemoteId(format!("{prefix}{}", self.next_id))
    }

    fn touch(&mut self, kind: Kind, id: RemoteId) {
        self.clock += 1;
        self.changed.insert((kind, id), self.clock);
    }

    fn touch_level(&mut self, sku: &Sku) {
        for levels in [&mut self.levels, &mut self.outlet] {
            if let Some(level) = levels.get_mut(sku) {
                level.rev += 1;
            }
        }
        self.touch(Kind::Level, RemoteId(sku.0.clone()));
    }

    /// Something made now is found from then on.
    fn found_from(&self, now: Timestamp) -> Timestamp {
        let lag = jiff::SignedDuration::from_millis(self.traits.search_lag_ms);
        now.checked_add(lag).unwrap_or(now)
    }
}
