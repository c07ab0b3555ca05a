//! What the shop shows: records, pages of its change feed, and what a search finds.

use super::{LevelWrites, MAIN, OUTLET, OrderKeys, SimShop};
use jiff::Timestamp;
use lockstep_model::{
    Address, Cursor, Fulfilment, ItemId, Kind, Level, NaturalKey, Next, Order, OrderLine,
    OrderState, Page, Parcel, Person, PullRequest, Record, Refund, RemoteId, Scope, Sku, Stage,
};
use rust_decimal::Decimal;

/// As the shop writes it.
fn address(number: u32) -> Address {
    Address {
        street: Some(format!("Street {number}")),
        ..Address::default()
    }
}

/// The number of an address, as it was written by another shop.
pub(super) fn number_of(person: &Person) -> u32 {
    let street = person
        .shipping
        .as_ref()
        .and_then(|address| address.street.as_deref());
    let number = street.and_then(|street| street.strip_prefix("Street ")?.parse().ok());
    number.unwrap_or_default()
}

impl SimShop {
    /// The variant that bears this SKU now.
    fn variant_of(&self, sku: &Sku) -> Option<RemoteId> {
        let mut variants = self.products.values().flat_map(|product| &product.variants);
        let variant = variants.find(|variant| variant.sku == *sku)?;
        Some(variant.id.clone())
    }

    fn levels_of(&self, sku: &Sku) -> impl Iterator<Item = Level> {
        let main = self.levels.get(sku).map(|level| (MAIN, level));
        let outlet = self.outlet.get(sku).map(|level| (OUTLET, level));
        let variant = self.variant_of(sku);
        let versioned = self.traits.level_writes == LevelWrites::CompareAndSet;
        main.into_iter()
            .chain(outlet)
            .map(move |(stock, level)| Level {
                item: ItemId::default(),
                sku: sku.clone(),
                stock: stock.into(),
                variant: variant.clone(),
                inventory: None,
                on_hand: level.on_hand.into(),
                reserved: level.reserved.into(),
                set_aside: Decimal::ZERO,
                version: versioned.then(|| level.rev.to_string()),
                location: None,
                modified_at: None,
            })
    }

    fn order(&self, id: &RemoteId) -> Option<Order> {
        let order = self.orders.get(id)?;
        let lines = order.lines.iter().map(|line| OrderLine {
            id: line.id.clone(),
            of: line.origin.clone().filter(|_| self.traits.keeps_links),
            variant: line.sku.as_ref().and_then(|sku| self.variant_of(sku)),
            item: None,
            sku: line.sku.clone(),
            title: line
                .sku
                .as_ref()
                .map_or_else(|| "Tip".into(), ToString::to_string),
            quantity: line.quantity.into(),
            unit_price: line.unit_price,
            net: line.net,
            tax: line.tax,
            gross: line.gross,
            tax_rate: line.tax_rate,
            discount: Decimal::ZERO,
            taken: line.taken.into(),
            shipped: line.shipped.into(),
            cancelled: line.cancelled.into(),
            returned: line.returned.into(),
            written_off: line.broken.into(),
            stock: None,
        });
        let parcels = order.parcels.iter().map(|parcel| Parcel {
            id: parcel.id.clone(),
            of: parcel.of.clone().filter(|_| self.traits.keeps_links),
            carrier: parcel.carrier.clone(),
            tracking: parcel.tracking.clone(),
            lines: parcel
                .lines
                .iter()
                .map(|(line, units)| (line.clone(), Decimal::from(*units)))
                .collect(),
        });
        let refunds = order.refunds.iter().map(|refund| Refund {
            of: refund.of.clone().filter(|_| self.traits.keeps_links),
            ..refund.clone()
        });
        Some(Order {
            state: OrderState {
                id: id.clone(),
                number: id.0.clone(),
                key: order.key.clone(),
                stage: Stage::Placed,
                payment: order.shown_payment(),
                fulfilment: if order.is_shipped() {
                    Fulfilment::Shipped
                } else if order.any_shipped() {
                    Fulfilment::Partly
                } else {
                    Fulfilment::Open
                },
                cancelled: order.cancelled,
                placed_at: order.placed_at,
                modified_at: None,
                currency: "EUR".into(),
                lines: lines.collect(),
                charges: order.charges.clone(),
                total: order.total,
                tax_by_rate: order.tax_by_rate(),
                payment_method: order.payment_method.clone(),
                shipping_method: None,
                payment_term: None,
                parcels: parcels.collect(),
                refunds: refunds.collect(),
                discounts: vec![],
            },
            person: Person {
                email: Some(format!("{id}@buyer.example")),
                shipping: Some(address(order.address)),
                ..Person::default()
            },
        })
    }

    fn records(&self, kind: Kind, id: &RemoteId) -> Vec<Record> {
        match kind {
            Kind::Level => self
                .levels_of(&Sku(id.0.clone()))
                .map(Record::Level)
                .collect(),
            Kind::Product | Kind::Order | Kind::Category => {
                self.record(kind, id).into_iter().collect()
            }
        }
    }

    /// Of levels, that of its first stock.
    pub(super) fn record(&self, kind: Kind, id: &RemoteId) -> Option<Record> {
        match kind {
            Kind::Product => Some(match self.products.get(id) {
                Some(product) => Record::Product(product.clone()),
                None => Record::Gone {
                    kind,
                    id: id.clone(),
                },
            }),
            Kind::Level => self.levels_of(&Sku(id.0.clone())).next().map(Record::Level),
            Kind::Order => self.order(id).map(|order| Record::Order(Box::new(order))),
            Kind::Category => self.categories.get(id).cloned().map(Record::Category),
        }
    }

    pub fn pull(&self, request: &PullRequest) -> Page {
        let limit = request.limit as usize;
        let after = |after: u64| {
            let mut ids: Vec<(u64, &RemoteId)> = self
                .changed
                .iter()
                .filter(|((kind, _), seq)| *kind == request.kind && **seq > after)
                .map(|((_, id), seq)| (*seq, id))
                .collect();
            ids.sort_unstable();
            ids
        };
        let page = |ids: Vec<(u64, &RemoteId)>| {
            let more = ids.len() > limit;
            let shown = &ids[..ids.len().min(limit)];
            let next = match shown.last() {
                Some((seq, _)) if more => Next::More(Cursor(seq.to_string())),
                _ => Next::End(Some(Cursor(self.clock.to_string()))),
            };
            let records = shown
                .iter()
                .flat_map(|(_, id)| self.records(request.kind, id));
            Page {
                records: records.map(Ok).collect(),
                next,
            }
        };
        let parse = |cursor: &Cursor| cursor.0.parse().unwrap_or_default();
        match &request.scope {
            Scope::Since(cursor) => page(after(parse(cursor))),
            // Read in the order of changes: what changes meanwhile comes again at the end.
            Scope::Everything(cursor) => {
                page(after(cursor.as_ref().map(parse).unwrap_or_default()))
            }
            Scope::Ids(ids) => Page {
                records: ids
                    .iter()
                    .flat_map(|id| self.records(request.kind, id))
                    .map(Ok)
                    .collect(),
                next: Next::End(None),
            },
        }
    }

    pub fn find(&self, key: &NaturalKey, now: Timestamp) -> Vec<Record> {
        match key {
            NaturalKey::Sku(sku) => self
                .products
                .iter()
                .filter(|(id, product)| {
                    product.variants.iter().any(|v| v.sku == *sku)
                        && self.product_hidden_until.get(*id) <= Some(&now)
                })
                .map(|(_, product)| Record::Product(product.clone()))
                .collect(),
            // Its search does not know our key.
            NaturalKey::Order { .. } if self.traits.order_keys == OrderKeys::Noted => vec![],
            NaturalKey::Order { key, .. } => {
                let wanted = key.to_string();
                self.orders
                    .iter()
                    .filter(|(_, order)| {
                        order.key.as_ref() == Some(&wanted) && order.hidden_until <= now
                    })
                    .filter_map(|(id, _)| self.record(Kind::Order, id))
                    .collect()
            }
            NaturalKey::Category { parent, name } => self
                .categories
                .values()
                .filter(|known| known.parent == *parent && known.name == *name)
                .map(|known| Record::Category(known.clone()))
                .collect(),
            NaturalKey::Gtin(_) => vec![],
        }
    }
}
