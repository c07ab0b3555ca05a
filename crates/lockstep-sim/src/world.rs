//! What people know and no shop tells: which units came in and went out, who edited what where.

use crate::dice::Dice;
use crate::scenario::ERP;
use crate::shop::{Line, Placed, SimShop};
use crate::topics::Topics;
use jiff::Timestamp;
use lockstep_model::{CustomerId, OrderKey, Payment, RemoteId, ShopId, Sku, Takes};
use std::collections::{BTreeMap, BTreeSet};

/// The god's-eye record beside the shops.
#[derive(Debug, Clone)]
pub struct World {
    /// What this history may have in it.
    pub topics: Topics,
    pub terms: Terms,
    /// Dice for what the topics bring.
    pub more: Dice,
    /// That were labelled.
    pub parcels: u32,
    /// Numbers that were used in names.
    pub named: u32,
    /// Orders leave the sums as soon as they are over: what comes back later is a count.
    pub closes_at_once: bool,
    /// A shop that is given what is picked, and no more.
    pub picky: Option<ShopId>,

    /// Opening, receipts and counts, less what broke.
    pub received: BTreeMap<Sku, i64>,
    /// When people moved a level of the ERP by hand.
    pub moved_at: BTreeMap<Sku, Vec<(Timestamp, i64)>>,
    /// Units that people moved in a shop without an order, up and down alike.
    pub counted: BTreeMap<(ShopId, Sku), i64>,
    /// Orders that buyers placed, in the shop they bought in.
    pub bought: BTreeSet<(ShopId, RemoteId)>,
    /// Orders of which all money was given back before they had a copy, and when.
    pub paid_back: BTreeMap<(ShopId, RemoteId), Timestamp>,
    /// Sides on which people took something back, by the order's key.
    pub taken_back: BTreeMap<String, BTreeSet<ShopId>>,
    /// Units of the ERP that a count did not find, though they are there.
    pub wiped: BTreeMap<Sku, i64>,
    /// Products that people of a selling shop deleted there, by their items, until a person wants one again; and
    /// under which epoch.
    pub deleted_there: BTreeMap<(ShopId, RemoteId), (Vec<Sku>, u64)>,
    /// Shops that sell from both stocks of the ERP.
    pub sell_both: BTreeSet<ShopId>,
    /// Where titles may be edited and count: a product has one such shop.
    pub titles_follow_edits: bool,
}

/// What the merchant has said, by shop.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    pub buffers: BTreeMap<ShopId, i64>,
    /// The state in which orders cross, where it is not "paid".
    pub gates: BTreeMap<ShopId, &'static str>,
    /// Orders placed before this do not cross.
    pub orders_from: BTreeMap<ShopId, Timestamp>,
}

impl Terms {
    pub fn is_before_opening(&self, shop: ShopId, order: &Placed) -> bool {
        let from = self.orders_from.get(&shop);
        from.is_some_and(|from| order.placed_at < *from)
    }

    /// Whether it has come so far that it crosses; nothing is said of one that was cancelled before.
    pub fn opens_for(&self, shop: ShopId, order: &Placed) -> bool {
        match self.gates.get(&shop).copied() {
            Some("placed") => true,
            Some("accepted") => order.payment >= Payment::Accepted,
            Some("shipped") => order.is_shipped(),
            _ => order.is_paid(),
        }
    }
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
            (copy.any_shipped() && self.origin.cancelled)
                || (copy.cancelled && self.origin.any_shipped())
        })
    }

    /// The line of the copy that stands for one of the origin.
    pub fn line_of<'c>(copy: &'c Placed, line: &Line) -> Option<&'c Line> {
        let mut lines = copy.lines.iter();
        lines.find(|known| known.origin.as_ref() == Some(&line.id))
    }

    /// Units of this item that are no longer for sale because of it: held for the buyer, with the buyer, or written off
    /// by the shop that owns the stock.
    pub fn gone(&self, sku: &Sku, erp: &SimShop, world: &World) -> i64 {
        if self.shop != ERP && world.terms.is_before_opening(self.shop, self.origin) {
            return 0;
        }
        let lines = self.origin.lines_of(sku);
        lines.map(|line| self.gone_of(line, erp)).sum()
    }

    fn gone_of(&self, line: &Line, erp: &SimShop) -> i64 {
        // Where an order is made that is bought, or where one is that lowers the level late, it stands from the moment
        // that it was accepted.
        let stands = self.origin.payment >= Payment::Accepted || !self.copies.is_empty();
        let by_origin = if self.origin.takes_late() && stands {
            line.taken.max(line.wanted() + line.broken)
        } else {
            line.taken
        };
        if self.shop == ERP {
            return by_origin;
        }
        // A cancelled order was never more than a promise, whatever its shop does with its own number.
        let by_origin = if self.origin.cancelled { 0 } else { by_origin };
        let erp_counts = erp.traits.copies_take != Takes::Never;
        let copied = self
            .copies
            .first()
            .and_then(|copy| Some((*copy, Self::line_of(copy, line)?)));
        match copied {
            Some((copy, line)) if erp_counts && (copy.cancelled || line.open() == 0) => line.taken,
            Some((_, line)) => by_origin.max(line.taken),
            None => by_origin,
        }
    }

    /// Units that a shop has yet to take for it.
    pub fn to_take(&self, sku: &Sku, shop: &SimShop, erp: &SimShop, world: &World) -> i64 {
        let (side, takes) = if self.shop == shop.id {
            (Some(self.origin), shop.traits.takes)
        } else if shop.id == ERP && self.comes_to_erp(world) {
            (self.copies.first().copied(), shop.traits.copies_take)
        } else {
            return 0;
        };
        if takes == Takes::Never {
            return 0;
        }
        if self.shop != ERP && world.terms.is_before_opening(self.shop, self.origin) {
            return 0;
        }
        let lines = self.origin.lines_of(sku).map(|line| {
            let there = match side {
                Some(side) if self.shop == shop.id => Some((side, line)),
                Some(side) => Self::line_of(side, line).map(|line| (side, line)),
                None => None,
            };
            match there {
                Some((side, there)) if side.cancelled || there.open() == 0 => 0,
                Some((_, there)) => (self.gone_of(line, erp) - there.taken).max(0),
                None => self.gone_of(line, erp),
            }
        });
        lines.sum()
    }

    /// Units of a line that came back and cannot be sold again, whichever side said so.
    pub fn broken(&self, line: &Line) -> i64 {
        let copies = self.copies.iter();
        let there = copies.filter_map(|copy| Self::line_of(copy, line));
        there.map(|line| line.broken).fold(line.broken, i64::max)
    }

    /// Taken back by people of both sides, of whom one may have put it on the shelf and the other not: which is right nobody
    /// can know.
    pub fn is_taken_back_twice(&self, world: &World) -> bool {
        let key = key_of(self.shop, self.id);
        world
            .taken_back
            .get(&key)
            .is_some_and(|sides| sides.len() > 1)
    }

    /// Whether the ERP has it, or is about to.
    pub fn comes_to_erp(&self, world: &World) -> bool {
        !self.copies.is_empty()
            || (!self.origin.cancelled && !world.terms.is_before_opening(self.shop, self.origin))
    }
}
