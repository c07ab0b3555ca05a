//! What the shop does when it is told to change something.

use super::{LevelWrites, OrderKeys, SimShop};
use jiff::Timestamp;
use lockstep_model::{
    Change, Fault, FaultKind, Fields, Kind, OrderStep, Outcome, Payment, Product, Receipt, RemoteId,
};
use rust_decimal::Decimal;

fn refused(kind: FaultKind, what: &str) -> Outcome {
    Outcome::Failed(Fault::new(kind, what))
}

fn whole(units: Decimal) -> i64 {
    units.try_into().unwrap_or_default()
}

impl SimShop {
    fn done(&self, kind: Kind, id: RemoteId) -> Outcome {
        Outcome::Done(Receipt {
            record: self.record(kind, &id),
            id,
        })
    }

    pub fn apply(&mut self, change: &Change, now: Timestamp) -> Outcome {
        match change {
            Change::CreateProduct { product } => {
                let id = self.add_product((**product).clone(), 0, now);
                self.done(Kind::Product, id)
            }
            Change::UpdateProduct { id, set, .. } => self.update(id, set),
            Change::SetLevel { was, on_hand, .. } => {
                let Some(level) = self.levels.get_mut(&was.sku) else {
                    return refused(FaultKind::NotFound, "no such level");
                };
                match self.traits.level_writes {
                    LevelWrites::CompareAndSet => {
                        if was.version != Some(level.rev.to_string()) {
                            return refused(FaultKind::Conflict, "the level has moved");
                        }
                        level.on_hand = whole(*on_hand);
                    }
                    LevelWrites::Relative => level.on_hand += whole(*on_hand - was.on_hand),
                    LevelWrites::Absolute => level.on_hand = whole(*on_hand),
                }
                self.touch_level(&was.sku);
                self.done(Kind::Level, RemoteId(was.sku.0.clone()))
            }
            Change::CreateOrder { order } => {
                let key = order.key.to_string();
                let twin = self
                    .orders
                    .iter()
                    .find(|(_, known)| known.key.as_ref() == Some(&key))
                    .map(|(id, _)| id.clone());
                if let Some(existing) = twin
                    && self.traits.order_keys == OrderKeys::Unique
                {
                    let kind = FaultKind::Duplicate {
                        existing: Some(existing),
                    };
                    return refused(kind, "this key exists");
                }
                let state = &order.order.state;
                let Some(line) = state.lines.first() else {
                    return refused(FaultKind::Invalid { field: None }, "no lines");
                };
                let Some(sku) = line.sku.clone() else {
                    return refused(FaultKind::Invalid { field: None }, "no SKU");
                };
                let paid = state.payment >= Payment::Paid;
                let id = self.place(&sku, whole(line.quantity), paid, Some(key), now);
                self.done(Kind::Order, id)
            }
            Change::StepOrder { id, step, .. } => {
                if !self.orders.contains_key(id) {
                    return refused(FaultKind::NotFound, "no such order");
                }
                match step {
                    OrderStep::Pay => self.pay(id),
                    OrderStep::Ship { .. } => self.ship(id),
                    OrderStep::Cancel => self.cancel(id),
                    OrderStep::Edit { .. }
                    | OrderStep::CancelUnits { .. }
                    | OrderStep::Readdress => {
                        return refused(FaultKind::Invalid { field: None }, "takes no edits");
                    }
                    OrderStep::Refund { lines, restock, .. } => {
                        let units: Decimal = lines.values().sum();
                        self.take_back(id, whole(units), *restock);
                    }
                }
                self.done(Kind::Order, id.clone())
            }
            Change::CreateCategory { .. }
            | Change::UpdateCategory { .. }
            | Change::AddPicture { .. }
            | Change::RemovePicture { .. } => {
                refused(FaultKind::Invalid { field: None }, "not made up here")
            }
        }
    }

    /// Only what is named is changed: what people edit meanwhile in other fields stays.
    fn update(&mut self, id: &RemoteId, set: &Fields) -> Outcome {
        let Some(known) = self.products.get(id) else {
            return refused(FaultKind::NotFound, "no such product");
        };
        let mut fields = known.fields();
        fields.extend(set.clone());
        let product = Product::from_fields(id.clone(), &fields, &known.parts());
        self.edit_product(id, |known| *known = product);
        self.done(Kind::Product, id.clone())
    }
}
