//! What the shop does when it is told to change something.

use super::feed::number_of;
use super::trade::{Basket, Line};
use super::{LevelWrites, OUTLET, OrderKeys, SimShop};
use jiff::Timestamp;
use lockstep_model::{
    Change, Fault, FaultKind, Fields, Kind, OrderState, OrderStep, Outcome, Parts, Person, Product,
    Receipt, RemoteId, Sku, Variant,
};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

fn refused(kind: FaultKind, what: &str) -> Outcome {
    Outcome::Failed(Fault::new(kind, what))
}

fn whole(units: Decimal) -> i64 {
    units.try_into().unwrap_or_default()
}

/// What a copy is made of: lines and amounts as they are stated.
fn basket(state: &OrderState, person: &Person) -> Basket {
    let lines = state.lines.iter().map(|line| Line {
        origin: Some(line.id.clone()),
        net: line.net,
        tax: line.tax,
        gross: line.gross,
        ..Line::new(
            line.sku.clone(),
            whole(line.quantity),
            line.unit_price,
            line.tax_rate,
        )
    });
    Basket {
        lines: lines.collect(),
        charges: state.charges.clone(),
        payment: state.payment,
        payment_method: state.payment_method.clone(),
        address: number_of(person),
    }
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
            Change::UpdateProduct { id, set, parts, .. } => self.update(id, set, parts),
            Change::SetLevel { was, on_hand, .. } => {
                let levels = match was.stock.as_str() {
                    OUTLET => &mut self.outlet,
                    _ => &mut self.levels,
                };
                let Some(level) = levels.get_mut(&was.sku) else {
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
                let basket = basket(&order.order.state, &order.order.person);
                if basket.lines.is_empty() {
                    return refused(FaultKind::Invalid { field: None }, "no lines");
                }
                let id = self.place(basket, Some(key), now);
                self.done(Kind::Order, id)
            }
            Change::StepOrder { id, step, person } => {
                if !self.orders.contains_key(id) {
                    return refused(FaultKind::NotFound, "no such order");
                }
                if self.is_done(id, step) {
                    return self.done(Kind::Order, id.clone());
                }
                match step {
                    OrderStep::Pay => self.pay(id),
                    OrderStep::Ship {
                        parcel,
                        carrier,
                        tracking,
                        lines,
                    } => {
                        let Some(units) = self.units_of(id, lines, Line::open) else {
                            return refused(FaultKind::Invalid { field: None }, "not so many open");
                        };
                        let (carrier, tracking) = (carrier.as_deref(), tracking.as_deref());
                        self.ship_units(id, &units, carrier, tracking, Some(parcel));
                    }
                    OrderStep::Cancel => self.cancel(id),
                    OrderStep::CancelUnits { lines, restock, .. } => {
                        let can = self.traits.cancels_units;
                        let units = self.units_of(id, lines, Line::open).filter(|_| can);
                        let Some(units) = units else {
                            return refused(FaultKind::Invalid { field: None }, "not so many open");
                        };
                        for (index, units) in units {
                            self.cancel_units(id, index, units, *restock);
                        }
                    }
                    OrderStep::Refund {
                        key,
                        amount,
                        charges,
                        lines,
                        restock,
                    } => {
                        let Some(units) = self.units_of(id, lines, Line::away) else {
                            return refused(FaultKind::Invalid { field: None }, "not so many sent");
                        };
                        for (index, units) in units {
                            self.take_back(id, index, units, *restock);
                        }
                        if *amount > Decimal::ZERO {
                            self.refund(id, *amount, *charges, Some(key));
                        }
                    }
                    OrderStep::Readdress if self.traits.readdresses => match person {
                        Some(person) => self.readdress(id, number_of(person)),
                        None => return refused(FaultKind::Invalid { field: None }, "whose?"),
                    },
                    OrderStep::Edit { .. } | OrderStep::Readdress => {
                        return refused(FaultKind::Invalid { field: None }, "takes no edits");
                    }
                }
                self.done(Kind::Order, id.clone())
            }
            Change::CreateCategory { category } => {
                let id = self.add_category(category.clone());
                self.done(Kind::Category, id)
            }
            Change::UpdateCategory { id, category, .. } => {
                if !self.categories.contains_key(id) {
                    return refused(FaultKind::NotFound, "no such category");
                }
                let category = category.clone();
                self.edit_category(id, |known| *known = category);
                self.done(Kind::Category, id.clone())
            }
            Change::AddPicture {
                product,
                digest,
                alt,
                ..
            } => {
                if !self.products.contains_key(product) {
                    return refused(FaultKind::NotFound, "no such product");
                }
                self.add_picture(product, digest, alt);
                self.done(Kind::Product, product.clone())
            }
            Change::RemovePicture { product, picture } => {
                if !self.products.contains_key(product) {
                    return refused(FaultKind::NotFound, "no such product");
                }
                self.remove_picture(product, picture);
                self.done(Kind::Product, product.clone())
            }
        }
    }

    /// A step that bears the name of one that was done does nothing.
    fn is_done(&self, id: &RemoteId, step: &OrderStep) -> bool {
        let order = &self.orders[id];
        let is_there = match step {
            OrderStep::Ship { parcel, .. } => {
                let mut parcels = order.parcels.iter();
                parcels.any(|known| known.of.as_ref() == Some(parcel))
            }
            OrderStep::Refund { key, .. } => {
                let mut refunds = order.refunds.iter();
                refunds.any(|known| known.of.as_ref() == Some(key))
            }
            OrderStep::Pay
            | OrderStep::Cancel
            | OrderStep::CancelUnits { .. }
            | OrderStep::Edit { .. }
            | OrderStep::Readdress => false,
        };
        is_there && self.traits.keeps_links
    }

    /// `None`: there are not so many.
    fn units_of(
        &self,
        id: &RemoteId,
        lines: &BTreeMap<RemoteId, Decimal>,
        can_be: impl Fn(&Line) -> i64,
    ) -> Option<Vec<(usize, i64)>> {
        let known = &self.orders[id].lines;
        let units = lines.iter().map(|(line, units)| {
            let index = known.iter().position(|known| known.id == *line)?;
            let units = whole(*units);
            (can_be(&known[index]) >= units).then_some((index, units))
        });
        units.collect()
    }

    /// Only what is named is changed: what people edit meanwhile in other fields stays.
    fn update(&mut self, id: &RemoteId, set: &Fields, parts: &Parts) -> Outcome {
        let Some(known) = self.products.get(id) else {
            return refused(FaultKind::NotFound, "no such product");
        };
        // Under the names by which they are written.
        let mut named = known.clone();
        for variant in &mut named.variants {
            let mut items = parts.variants.iter();
            if let Some((item, _)) = items.find(|(_, variant_id)| **variant_id == variant.id) {
                variant.item = item.clone();
            }
        }
        for picture in named.pictures.iter_mut().flatten() {
            let mut ours = parts.pictures.iter();
            if let Some((name, _)) = ours.find(|(_, part)| part.id == picture.id) {
                picture.digest.clone_from(name);
            }
        }
        let mut fields = named.fields();
        fields.extend(set.clone());
        let mut product = Product::from_fields(id.clone(), &fields, &named.parts());
        for variant in &mut product.variants {
            variant.item = Default::default();
        }
        for picture in product.pictures.iter_mut().flatten() {
            let mut own = known.pictures.iter().flatten();
            if let Some(own) = own.find(|own| own.id == picture.id) {
                picture.digest.clone_from(&own.digest);
            }
        }
        let others = self.products.iter().filter(|(other, _)| *other != id);
        let mut taken: BTreeSet<&Sku> = others
            .flat_map(|(_, other)| &other.variants)
            .map(|variant| &variant.sku)
            .collect();
        let known_skus: BTreeSet<&Sku> = known.variants.iter().map(|v| &v.sku).collect();
        let renamed = |variant: &&Variant| !known_skus.contains(&variant.sku);
        if product
            .variants
            .iter()
            .filter(renamed)
            .any(|v| !taken.insert(&v.sku))
        {
            let kind = FaultKind::Duplicate { existing: None };
            return refused(kind, "another variant bears this SKU");
        }
        self.carry_levels(id, &product);
        self.edit_product(id, |known| *known = product);
        self.done(Kind::Product, id.clone())
    }
}
