//! A made-up shop: products, levels and orders, a change feed, and the moment at which its orders take stock.

use jiff::Timestamp;
use lockstep_model::{
    Change, Cursor, Fault, FaultKind, Fulfilment, Kind, Level, NaturalKey, Next, Order, OrderLine,
    OrderState, OrderStep, Outcome, Page, Payment, Person, Product, PullRequest, Receipt, Record,
    RemoteId, Scope, ShopId, Sku, Stage, Takes,
};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

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
pub struct Placed {
    pub sku: Sku,
    pub quantity: i64,
    pub key: Option<String>,
    pub paid: bool,
    pub shipped: bool,
    pub cancelled: bool,
    pub taken: i64,
    pub placed_at: Timestamp,
    /// Hidden from look-ups by key until then.
    hidden_until: Timestamp,
}

#[derive(Debug, Clone)]
pub struct SimShop {
    pub id: ShopId,
    pub takes: Takes,
    /// Refuses a second order with the same key.
    pub unique_key: bool,
    /// Levels can be written only from the revision that was read.
    pub compare_and_set: bool,
    /// A search for an order lags this much behind.
    pub search_lag_ms: i64,
    pub products: BTreeMap<RemoteId, Product>,
    pub levels: BTreeMap<Sku, Stocked>,
    pub orders: BTreeMap<RemoteId, Placed>,
    changed: BTreeMap<(Kind, RemoteId), u64>,
    clock: u64,
    next_id: u64,
    pub level_writes: u64,
}

impl SimShop {
    pub fn new(id: ShopId, takes: Takes) -> Self {
        Self {
            id,
            takes,
            unique_key: true,
            compare_and_set: true,
            search_lag_ms: 0,
            products: BTreeMap::new(),
            levels: BTreeMap::new(),
            orders: BTreeMap::new(),
            changed: BTreeMap::new(),
            clock: 0,
            next_id: id.0 * 1_000,
            level_writes: 0,
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
        if let Some(level) = self.levels.get_mut(sku) {
            level.rev += 1;
        }
        self.touch(Kind::Level, RemoteId(sku.0.clone()));
    }

    pub fn add_product(&mut self, mut product: Product, units: i64) -> RemoteId {
        let id = self.fresh("p");
        product.id = id.clone();
        for variant in &mut product.variants {
            variant.id = RemoteId(format!("v-{}-{}", self.id, variant.sku));
            self.levels.insert(
                variant.sku.clone(),
                Stocked {
                    on_hand: units,
                    ..Stocked::default()
                },
            );
        }
        let skus: Vec<Sku> = product.variants.iter().map(|v| v.sku.clone()).collect();
        self.products.insert(id.clone(), product);
        self.touch(Kind::Product, id.clone());
        for sku in skus {
            self.touch_level(&sku);
        }
        id
    }

    pub fn edit_product(&mut self, id: &RemoteId, edit: impl FnOnce(&mut Product)) {
        if let Some(product) = self.products.get_mut(id) {
            edit(product);
            self.touch(Kind::Product, id.clone());
        }
    }

    pub fn receive(&mut self, sku: &Sku, units: i64) {
        if let Some(level) = self.levels.get_mut(sku) {
            level.on_hand += units;
            self.touch_level(sku);
        }
    }

    fn take(&mut self, id: &RemoteId, at: Takes) {
        let takes = self.takes;
        let Some(order) = self.orders.get_mut(id) else {
            return;
        };
        if takes != at || order.taken > 0 || order.cancelled {
            return;
        }
        order.taken = order.quantity;
        let (sku, quantity) = (order.sku.clone(), order.quantity);
        if let Some(level) = self.levels.get_mut(&sku) {
            match takes {
                Takes::Reserve => level.reserved += quantity,
                _ => level.on_hand -= quantity,
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

    fn place(
        &mut self,
        sku: &Sku,
        quantity: i64,
        paid: bool,
        key: Option<String>,
        now: Timestamp,
    ) -> RemoteId {
        let id = self.fresh("o");
        let lag = jiff::SignedDuration::from_millis(self.search_lag_ms);
        self.orders.insert(
            id.clone(),
            Placed {
                sku: sku.clone(),
                quantity,
                key,
                paid: false,
                shipped: false,
                cancelled: false,
                taken: 0,
                placed_at: now,
                hidden_until: now.checked_add(lag).unwrap_or(now),
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
        self.take(id, Takes::Shipment);
        let takes = self.takes;
        let Some(order) = self.orders.get_mut(id) else {
            return;
        };
        if order.shipped || order.cancelled {
            return;
        }
        order.shipped = true;
        let (sku, quantity) = (order.sku.clone(), order.quantity);
        if takes == Takes::Reserve {
            if let Some(level) = self.levels.get_mut(&sku) {
                level.reserved -= quantity;
                level.on_hand -= quantity;
            }
            self.touch_level(&sku);
        }
        self.touch(Kind::Order, id.clone());
    }

    pub fn cancel(&mut self, id: &RemoteId) {
        let takes = self.takes;
        let Some(order) = self.orders.get_mut(id) else {
            return;
        };
        if order.shipped || order.cancelled {
            return;
        }
        order.cancelled = true;
        let (sku, taken) = (order.sku.clone(), std::mem::take(&mut order.taken));
        if taken > 0 {
            if let Some(level) = self.levels.get_mut(&sku) {
                match takes {
                    Takes::Reserve => level.reserved -= taken,
                    _ => level.on_hand += taken,
                }
            }
            self.touch_level(&sku);
        }
        self.touch(Kind::Order, id.clone());
    }

    fn level(&self, sku: &Sku) -> Option<Level> {
        let level = self.levels.get(sku)?;
        Some(Level {
            sku: sku.clone(),
            stock: "main".into(),
            item: None,
            on_hand: level.on_hand.into(),
            reserved: level.reserved.into(),
            version: Some(level.rev.to_string()),
            location: None,
            modified_at: None,
        })
    }

    fn order(&self, id: &RemoteId) -> Option<Order> {
        let order = self.orders.get(id)?;
        let gross = Decimal::from(order.quantity * 10);
        let line = OrderLine {
            id: "l1".into(),
            sku: Some(order.sku.clone()),
            title: order.sku.to_string(),
            quantity: order.quantity.into(),
            unit_price: Decimal::TEN,
            net: gross,
            tax: Decimal::ZERO,
            gross,
            tax_rate: Decimal::ZERO,
            discount: Decimal::ZERO,
            taken: order.taken.into(),
            shipped: if order.shipped { order.quantity } else { 0 }.into(),
            cancelled: if order.cancelled { order.quantity } else { 0 }.into(),
            returned: Decimal::ZERO,
            stock: None,
        };
        Some(Order {
            state: OrderState {
                id: id.clone(),
                number: id.0.clone(),
                key: order.key.clone(),
                stage: Stage::Placed,
                payment: if order.paid {
                    Payment::Paid
                } else {
                    Payment::Pending
                },
                fulfilment: if order.shipped {
                    Fulfilment::Shipped
                } else {
                    Fulfilment::Open
                },
                cancelled: order.cancelled,
                placed_at: order.placed_at,
                modified_at: None,
                currency: "EUR".into(),
                lines: vec![line],
                charges: vec![],
                total: gross,
                tax_by_rate: BTreeMap::new(),
                payment_method: None,
                shipping_method: None,
                parcels: vec![],
            },
            person: Person {
                email: Some(format!("{id}@buyer.example")),
                ..Person::default()
            },
        })
    }

    fn record(&self, kind: Kind, id: &RemoteId) -> Option<Record> {
        match kind {
            Kind::Product => Some(match self.products.get(id) {
                Some(product) => Record::Product(product.clone()),
                None => Record::Gone {
                    kind,
                    id: id.clone(),
                },
            }),
            Kind::Level => self.level(&Sku(id.0.clone())).map(Record::Level),
            Kind::Order => self.order(id).map(|order| Record::Order(Box::new(order))),
            Kind::Category => None,
        }
    }

    pub fn pull(&self, request: &PullRequest) -> Page {
        let limit = request.limit as usize;
        let all = |after: u64| {
            let mut ids: Vec<(u64, &RemoteId)> = self
                .changed
                .iter()
                .filter(|((kind, _), seq)| *kind == request.kind && **seq > after)
                .map(|((_, id), seq)| (*seq, id))
                .collect();
            ids.sort_unstable();
            ids
        };
        let page = |ids: Vec<(u64, &RemoteId)>, end: String| {
            let more = ids.len() > limit;
            let shown = &ids[..ids.len().min(limit)];
            let next = match shown.last() {
                Some((seq, _)) if more => Next::More(Cursor(seq.to_string())),
                _ => Next::End(Some(Cursor(end))),
            };
            let records = shown
                .iter()
                .filter_map(|(_, id)| self.record(request.kind, id));
            Page {
                records: records.map(Ok).collect(),
                next,
            }
        };
        let parse = |cursor: &Cursor| cursor.0.parse().unwrap_or_default();
        match &request.scope {
            Scope::Since(cursor) => page(all(parse(cursor)), self.clock.to_string()),
            // Read in the order of changes: what changes meanwhile comes again at the end.
            Scope::Everything(cursor) => page(
                all(cursor.as_ref().map(parse).unwrap_or_default()),
                self.clock.to_string(),
            ),
            Scope::Ids(ids) => Page {
                records: ids
                    .iter()
                    .filter_map(|id| self.record(request.kind, id))
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
                .values()
                .filter(|product| product.variants.iter().any(|v| v.sku == *sku))
                .map(|product| Record::Product(product.clone()))
                .collect(),
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
            NaturalKey::Gtin(_) | NaturalKey::Category { .. } => vec![],
        }
    }

    pub fn apply(&mut self, change: &Change, now: Timestamp) -> Outcome {
        let done = |shop: &Self, kind: Kind, id: RemoteId| {
            Outcome::Done(Receipt {
                record: shop.record(kind, &id),
                id,
            })
        };
        let refused = |kind: FaultKind, what: &str| Outcome::Failed(Fault::new(kind, what));
        match change {
            Change::CreateProduct { product } => {
                let twin = self.products.values().find(|known| {
                    known
                        .variants
                        .iter()
                        .any(|v| product.variants.iter().any(|new| new.sku == v.sku))
                });
                if let Some(twin) = twin {
                    return refused(
                        FaultKind::Duplicate {
                            existing: Some(twin.id.clone()),
                        },
                        "this SKU exists",
                    );
                }
                let id = self.add_product((**product).clone(), 0);
                done(self, Kind::Product, id)
            }
            Change::UpdateProduct { id, product, .. } => {
                let Some(known) = self.products.get(id) else {
                    return refused(FaultKind::NotFound, "no such product");
                };
                let mut whole = (**product).clone();
                whole.id = id.clone();
                for variant in &mut whole.variants {
                    let twin = known.variants.iter().find(|v| v.sku == variant.sku);
                    variant.id = twin
                        .map(|v| v.id.clone())
                        .unwrap_or_else(|| RemoteId(format!("v-{}-{}", self.id, variant.sku)));
                }
                self.edit_product(id, |product| *product = whole);
                done(self, Kind::Product, id.clone())
            }
            Change::SetLevel { was, on_hand, .. } => {
                let stale = self
                    .level(&was.sku)
                    .is_some_and(|level| level.version != was.version);
                if self.compare_and_set && stale {
                    return refused(FaultKind::Conflict, "the level has moved");
                }
                let Some(level) = self.levels.get_mut(&was.sku) else {
                    return refused(FaultKind::NotFound, "no such level");
                };
                level.on_hand = (*on_hand).try_into().unwrap_or_default();
                self.level_writes += 1;
                self.touch_level(&was.sku);
                done(self, Kind::Level, RemoteId(was.sku.0.clone()))
            }
            Change::CreateOrder { order } => {
                let key = order.key.to_string();
                let twin = self
                    .orders
                    .iter()
                    .find(|(_, known)| known.key.as_ref() == Some(&key))
                    .map(|(id, _)| id.clone());
                if let Some(existing) = twin
                    && self.unique_key
                {
                    return refused(
                        FaultKind::Duplicate {
                            existing: Some(existing),
                        },
                        "this key exists",
                    );
                }
                let state = &order.order.state;
                let Some(line) = state.lines.first() else {
                    return refused(FaultKind::Invalid { field: None }, "no lines");
                };
                let Some(sku) = line.sku.clone() else {
                    return refused(FaultKind::Invalid { field: None }, "no SKU");
                };
                let quantity = line.quantity.try_into().unwrap_or_default();
                let paid = state.payment >= Payment::Paid;
                let id = self.place(&sku, quantity, paid, Some(key), now);
                done(self, Kind::Order, id)
            }
            Change::StepOrder { id, step } => {
                if !self.orders.contains_key(id) {
                    return refused(FaultKind::NotFound, "no such order");
                }
                match step {
                    OrderStep::Pay => self.pay(id),
                    OrderStep::Ship { .. } => self.ship(id),
                    OrderStep::Cancel | OrderStep::Refund { .. } => self.cancel(id),
                }
                done(self, Kind::Order, id.clone())
            }
            Change::CreateCategory { .. }
            | Change::UpdateCategory { .. }
            | Change::AddPicture { .. }
            | Change::RemovePicture { .. } => {
                refused(FaultKind::Invalid { field: None }, "not made up here")
            }
        }
    }
}
