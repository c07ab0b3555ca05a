//! Orders: placed, paid, shipped, cancelled, returned; and when each of it moves the level.

use super::SimShop;
use jiff::Timestamp;
use lockstep_model::{Kind, RemoteId, Sku, Takes};

#[derive(Debug, Clone)]
pub struct Placed {
    pub sku: Sku,
    pub quantity: i64,
    /// Of a copy: whose it is.
    pub key: Option<String>,
    pub paid: bool,
    pub shipped: bool,
    pub cancelled: bool,
    pub returned: i64,
    /// Units by which it lowers what can be sold, now.
    pub taken: i64,
    /// When it takes.
    pub takes: Takes,
    pub placed_at: Timestamp,
    /// Hidden from look-ups by key until then.
    pub(super) hidden_until: Timestamp,
}

impl Placed {
    /// What the buyer still gets or got.
    pub fn wanted(&self) -> i64 {
        if self.cancelled {
            0
        } else {
            self.quantity - self.returned
        }
    }

    /// Nothing more will be taken for it.
    pub fn is_done(&self) -> bool {
        self.cancelled || self.shipped
    }
}

impl SimShop {
    fn take(&mut self, id: &RemoteId, at: Takes) {
        let Some(order) = self.orders.get_mut(id) else {
            return;
        };
        if order.takes != at || order.taken > 0 || order.cancelled {
            return;
        }
        order.taken = order.quantity;
        let (sku, quantity) = (order.sku.clone(), order.quantity);
        if let Some(level) = self.levels.get_mut(&sku) {
            match at {
                Takes::Reserve => level.reserved += quantity,
                Takes::Placement | Takes::Payment | Takes::Shipment | Takes::Never => {
                    level.on_hand -= quantity;
                }
            }
        }
        self.touch_level(&sku);
    }

    /// `None`: sold out, or nothing of the kind.
    pub fn buy(
        &mut self,
        sku: &Sku,
        quantity: i64,
        paid: bool,
        now: Timestamp,
    ) -> Option<RemoteId> {
        if self.levels.get(sku)?.available() < quantity {
            return None;
        }
        Some(self.place(sku, quantity, paid, None, now))
    }

    pub(super) fn place(
        &mut self,
        sku: &Sku,
        quantity: i64,
        paid: bool,
        key: Option<String>,
        now: Timestamp,
    ) -> RemoteId {
        let id = self.fresh("o");
        let takes = match key {
            Some(_) => self.traits.copies_take,
            None => self.traits.takes,
        };
        self.orders.insert(
            id.clone(),
            Placed {
                sku: sku.clone(),
                quantity,
                key,
                paid: false,
                shipped: false,
                cancelled: false,
                returned: 0,
                taken: 0,
                takes,
                placed_at: now,
                hidden_until: self.found_from(now),
            },
        );
        self.take(&id, Takes::Placement);
        self.take(&id, Takes::Reserve);
        self.touch(Kind::Order, id.clone());
        if paid {
            self.pay(&id);
        }
        id
    }

    pub fn pay(&mut self, id: &RemoteId) {
        let Some(order) = self.orders.get_mut(id) else {
            return;
        };
        if order.paid || order.cancelled {
            return;
        }
        order.paid = true;
        self.take(id, Takes::Payment);
        self.touch(Kind::Order, id.clone());
    }

    pub fn ship(&mut self, id: &RemoteId) {
        let Some(order) = self.orders.get(id) else {
            return;
        };
        if order.shipped || order.cancelled {
            return;
        }
        self.take(id, Takes::Shipment);
        let Some(order) = self.orders.get_mut(id) else {
            return;
        };
        order.shipped = true;
        let (sku, taken) = (order.sku.clone(), order.taken);
        if order.takes == Takes::Reserve {
            if let Some(level) = self.levels.get_mut(&sku) {
                level.reserved -= taken;
                level.on_hand -= taken;
            }
            self.touch_level(&sku);
        }
        self.touch(Kind::Order, id.clone());
    }

    pub fn cancel(&mut self, id: &RemoteId) {
        let gives_back = self.traits.gives_back;
        let Some(order) = self.orders.get_mut(id) else {
            return;
        };
        if order.shipped || order.cancelled {
            return;
        }
        order.cancelled = true;
        if gives_back {
            let (sku, taken) = (order.sku.clone(), std::mem::take(&mut order.taken));
            let takes = order.takes;
            if taken > 0 {
                if let Some(level) = self.levels.get_mut(&sku) {
                    match takes {
                        Takes::Reserve => level.reserved -= taken,
                        _ => level.on_hand += taken,
                    }
                }
                self.touch_level(&sku);
            }
        }
        self.touch(Kind::Order, id.clone());
    }

    /// Units come back. `put_back`: they can be sold again, if the shop does such a thing.
    pub fn take_back(&mut self, id: &RemoteId, units: i64, put_back: bool) {
        let gives_back = self.traits.gives_back && put_back;
        let Some(order) = self.orders.get_mut(id) else {
            return;
        };
        let units = units.min(order.quantity - order.returned);
        if !order.shipped || order.cancelled || units <= 0 {
            return;
        }
        order.returned += units;
        let back = units.min(order.taken);
        if gives_back && back > 0 {
            order.taken -= back;
            let sku = order.sku.clone();
            if let Some(level) = self.levels.get_mut(&sku) {
                level.on_hand += back;
            }
            self.touch_level(&sku);
        }
        self.touch(Kind::Order, id.clone());
    }
}
