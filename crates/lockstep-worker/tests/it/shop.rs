//! A platform in memory: shops that hold products, levels and orders, and lose answers on request.

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_connector::{
    Account, BodyStream, Connector, Hint, Hook, HookDelivery, HookScheme, HookState, Http,
    Manifest, OrderCreation, Paging, Pictures, Platform, StockWrite, WriteBatch,
};
use lockstep_model::settings::{
    Assortment, Customer, CustomerHasService, CustomerSettings, Policies, RowId, Secret, Service,
    ShopRole, StockMode, StockPolicy,
};
use lockstep_model::{
    Change, ChangeSort, Currency, Cursor, CustomerId, Fault, FaultKind, Kind, Level, Named,
    NaturalKey, Next, Order, OrderLine, OrderState, OrderStep, Outcome, Page, Payment, Person,
    PictureSource, Product, PullRequest, Receipt, Record, RemoteId, Scope, ShopId, ShopIdentity,
    Sku, Stage, StepSort, StockSemantics, Takes, Variant,
};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

pub const PLATFORM: &str = "fake";

static MANIFEST: Manifest = Manifest {
    platform: PLATFORM,
    name: "Fake",
    credentials: &[],
    paging: &[
        Paging {
            kind: Kind::Product,
            page_max: 2,
            since: true,
            ids_max: 10,
        },
        Paging {
            kind: Kind::Level,
            page_max: 2,
            since: true,
            ids_max: 10,
        },
        Paging {
            kind: Kind::Order,
            page_max: 2,
            since: true,
            ids_max: 10,
        },
    ],
    batches: &[
        WriteBatch {
            sort: ChangeSort::CreateProduct,
            max: 10,
        },
        WriteBatch {
            sort: ChangeSort::UpdateProduct,
            max: 10,
        },
        WriteBatch {
            sort: ChangeSort::SetLevel,
            max: 10,
        },
        WriteBatch {
            sort: ChangeSort::CreateOrder,
            max: 1,
        },
        WriteBatch {
            sort: ChangeSort::StepOrder,
            max: 1,
        },
    ],
    stock_write: StockWrite::Absolute,
    orders: OrderCreation::UniqueKey,
    order_steps: &[StepSort::Pay, StepSort::Ship, StepSort::Cancel],
    settles_after: Duration::from_millis(50),
    hooks: HookScheme::Topics(&["order.changed", "product.changed"]),
    holds: Manifest::holds_basics,
    removes: Manifest::removes_all,
};

#[derive(Default)]
pub struct Shop {
    pub products: BTreeMap<RemoteId, (u64, Product)>,
    pub levels: BTreeMap<Sku, (u64, Level)>,
    pub orders: BTreeMap<RemoteId, (u64, Order)>,
    pub hooks: Vec<Hook>,
    /// Topics of them that were switched off there.
    pub sleeping_hooks: BTreeSet<String>,
    clock: u64,
    pub pushes: usize,
    pub pulls: usize,
    /// The next so many writes are done and their answers lost.
    pub lost_replies: usize,
    /// Every call fails with this.
    pub down: Option<FaultKind>,
    /// Products are read once somebody lets them: a permit for each page.
    pub gate: Option<Arc<Semaphore>>,
}

impl Shop {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub fn add(&mut self, sku: &str, price: i64, units: i64) {
        let id = RemoteId(format!("p{}", self.products.len() + 1));
        let product = Product {
            id: id.clone(),
            title: format!("Thing {sku}"),
            variants: vec![Variant {
                id: RemoteId(format!("v-{sku}")),
                sku: sku.into(),
                prices: [(Currency::from("EUR"), Decimal::from(price))].into(),
                ..Variant::default()
            }],
            ..Product::default()
        };
        let now = self.tick();
        self.products.insert(id, (now, product));
        self.set_level(&sku.into(), Decimal::from(units));
    }

    fn set_level(&mut self, sku: &Sku, on_hand: Decimal) {
        let now = self.tick();
        let level = Level {
            sku: sku.clone(),
            stock: "main".into(),
            item: "".into(),
            variant: None,
            inventory: None,
            on_hand,
            reserved: Decimal::ZERO,
            set_aside: Decimal::ZERO,
            version: None,
            location: None,
            modified_at: None,
        };
        self.levels.insert(sku.clone(), (now, level));
    }

    pub fn units(&self, sku: &str) -> Option<Decimal> {
        self.levels
            .get(&Sku::from(sku))
            .map(|(_, level)| level.available())
    }

    /// A buyer pays for one unit.
    pub fn buy(&mut self, sku: &str) {
        let number = format!("{}", 1000 + self.orders.len());
        let line = OrderLine {
            variant: None,
            item: None,
            id: "l1".into(),
            of: None,
            sku: Some(sku.into()),
            title: "Thing".into(),
            quantity: Decimal::ONE,
            unit_price: Decimal::TEN,
            net: Decimal::TEN,
            tax: Decimal::ZERO,
            gross: Decimal::TEN,
            tax_rate: Decimal::ZERO,
            discount: Decimal::ZERO,
            taken: Decimal::ONE,
            shipped: Decimal::ZERO,
            cancelled: Decimal::ZERO,
            returned: Decimal::ZERO,
            written_off: Decimal::ZERO,
            stock: None,
        };
        let state = OrderState {
            id: format!("o{number}").as_str().into(),
            number,
            key: None,
            stage: Stage::Placed,
            payment: Payment::Paid,
            fulfilment: Default::default(),
            cancelled: false,
            placed_at: Timestamp::now(),
            modified_at: None,
            currency: "EUR".into(),
            lines: vec![line],
            charges: vec![],
            total: Decimal::TEN,
            tax_by_rate: [(Decimal::ZERO, Decimal::ZERO)].into(),
            payment_method: None,
            shipping_method: None,
            payment_term: None,
            parcels: vec![],
            refunds: vec![],
            discounts: vec![],
        };
        let person = Person {
            email: Some("buyer@example.com".into()),
            name: Some("Bea Buyer".into()),
            ..Person::default()
        };
        self.place(Order { state, person });
    }

    fn place(&mut self, order: Order) {
        for line in &order.state.lines {
            if let Some(sku) = &line.sku {
                let units = self.units(sku.as_str()).unwrap_or_default();
                self.set_level(sku, units - line.quantity);
            }
        }
        let now = self.tick();
        self.orders.insert(order.state.id.clone(), (now, order));
    }

    fn do_it(&mut self, change: &Change) -> Outcome {
        let (id, record) = match change {
            Change::CreateProduct { product } => {
                let id = RemoteId(format!("p{}", self.products.len() + 1));
                let mut product = product.as_ref().clone();
                product.id = id.clone();
                for variant in &mut product.variants {
                    variant.id = RemoteId(format!("v-{}", variant.sku));
                    if !self.levels.contains_key(&variant.sku) {
                        let sku = variant.sku.clone();
                        self.set_level(&sku, Decimal::ZERO);
                    }
                }
                let now = self.tick();
                self.products.insert(id.clone(), (now, product.clone()));
                (id, Record::Product(product))
            }
            Change::UpdateProduct { id, product, .. } => {
                let now = self.tick();
                let product = Product {
                    id: id.clone(),
                    ..product.as_ref().clone()
                };
                self.products.insert(id.clone(), (now, product.clone()));
                (id.clone(), Record::Product(product))
            }
            Change::SetLevel { was, on_hand, .. } => {
                self.set_level(&was.sku, *on_hand);
                let (_, level) = self.levels[&was.sku].clone();
                (RemoteId(was.sku.0.clone()), Record::Level(level))
            }
            Change::CreateOrder { order } => {
                let key = order.key.to_string();
                let known = self
                    .orders
                    .values()
                    .find(|(_, known)| known.state.key.as_ref() == Some(&key));
                if let Some((_, known)) = known {
                    let existing = Some(known.state.id.clone());
                    return Outcome::Failed(Fault::new(
                        FaultKind::Duplicate { existing },
                        "there already",
                    ));
                }
                let mut copy = order.order.clone();
                copy.state.id = RemoteId(format!("c{}", self.orders.len() + 1));
                copy.state.key = Some(key);
                for line in &mut copy.state.lines {
                    line.taken = line.quantity;
                }
                self.place(copy.clone());
                (copy.state.id.clone(), Record::Order(Box::new(copy)))
            }
            Change::StepOrder { id, step, .. } => {
                let now = self.tick();
                let Some((at, order)) = self.orders.get_mut(id) else {
                    return Outcome::Failed(Fault::new(FaultKind::NotFound, "no such order"));
                };
                *at = now;
                match step {
                    OrderStep::Pay => order.state.payment = Payment::Paid,
                    OrderStep::Cancel => order.state.cancelled = true,
                    OrderStep::Edit { .. }
                    | OrderStep::CancelUnits { .. }
                    | OrderStep::Readdress => unreachable!("this shop takes no edits"),
                    OrderStep::Ship { .. } | OrderStep::Refund { .. } => {}
                }
                (id.clone(), Record::Order(Box::new(order.clone())))
            }
            Change::CreateCategory { .. }
            | Change::UpdateCategory { .. }
            | Change::AddPicture { .. }
            | Change::RemovePicture { .. } => {
                return Outcome::Failed(Fault::new(
                    FaultKind::Invalid { field: None },
                    "not in this shop",
                ));
            }
        };
        let record = Some(record);
        Outcome::Done(Receipt { id, record })
    }

    fn all(&self, kind: Kind) -> Vec<(u64, RemoteId, Record)> {
        let mut all: Vec<_> = match kind {
            Kind::Product => self
                .products
                .iter()
                .map(|(id, (at, product))| (*at, id.clone(), Record::Product(product.clone())))
                .collect(),
            Kind::Level => self
                .levels
                .iter()
                .map(|(sku, (at, level))| {
                    (*at, RemoteId(sku.0.clone()), Record::Level(level.clone()))
                })
                .collect(),
            Kind::Order => self
                .orders
                .iter()
                .map(|(id, (at, order))| (*at, id.clone(), Record::Order(Box::new(order.clone()))))
                .collect(),
            Kind::Category => Vec::new(),
        };
        all.sort_by_key(|(at, _, _)| *at);
        all
    }
}

/// The shops of a test, by id.
#[derive(Clone, Default)]
pub struct Mall {
    pub shops: Arc<Mutex<BTreeMap<ShopId, Shop>>>,
}

impl Mall {
    pub fn with<T>(&self, shop: ShopId, look: impl FnOnce(&mut Shop) -> T) -> T {
        look(self.shops.lock().unwrap().entry(shop).or_default())
    }
}

impl Platform for Mall {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn connect(&self, account: Account, _: Arc<dyn Http>) -> Box<dyn Connector> {
        Box::new(Till {
            mall: self.clone(),
            shop: account.shop,
        })
    }

    fn hint(&self, _: HookDelivery<'_>) -> Hint {
        Hint::Refused
    }
}

struct Till {
    mall: Mall,
    shop: ShopId,
}

impl Till {
    fn enter<T>(&self, act: impl FnOnce(&mut Shop) -> T) -> Result<T, Fault> {
        self.mall.with(self.shop, |shop| match &shop.down {
            Some(kind) => Err(Fault::new(kind.clone(), "the shop is down").at(self.shop)),
            None => Ok(act(shop)),
        })
    }
}

#[async_trait]
impl Connector for Till {
    async fn check(&self) -> Result<ShopIdentity, Fault> {
        self.enter(|_| ShopIdentity {
            name: format!("Shop {}", self.shop),
            currency: "EUR".into(),
            stocks: vec![Named {
                id: "main".into(),
                name: "Main".into(),
            }],
            tax_rates: vec![Decimal::ZERO],
            stock: StockSemantics {
                takes: Takes::Placement,
                copies_take: Takes::Placement,
                reserves: false,
                negative: true,
            },
            ..ShopIdentity::default()
        })
    }

    async fn pull(&self, request: &PullRequest) -> Result<Page, Fault> {
        let gate = self.mall.with(self.shop, |shop| shop.gate.clone());
        if let Some(gate) = gate.filter(|_| request.kind == Kind::Product) {
            gate.acquire().await.unwrap().forget();
        }
        self.enter(|shop| {
            shop.pulls += 1;
            let all = shop.all(request.kind);
            let after = match &request.scope {
                Scope::Ids(ids) => {
                    let wanted = all.into_iter().filter(|(_, id, _)| ids.contains(id));
                    return Page {
                        records: wanted.map(|(_, _, record)| Ok(record)).collect(),
                        next: Next::End(None),
                    };
                }
                Scope::Since(cursor) | Scope::Everything(Some(cursor)) => cursor.0.parse().unwrap(),
                Scope::Everything(None) => 0,
            };
            let mut rest = all.into_iter().filter(|(at, _, _)| *at > after);
            let page: Vec<_> = rest.by_ref().take(request.limit as usize).collect();
            let reached = page.last().map_or(after, |(at, _, _)| *at);
            let cursor = Cursor(reached.to_string());
            let next = if rest.next().is_some() {
                Next::More(cursor)
            } else {
                Next::End(Some(cursor))
            };
            Page {
                records: page.into_iter().map(|(_, _, record)| Ok(record)).collect(),
                next,
            }
        })
    }

    async fn push(&self, changes: &[Change], _: &dyn Pictures) -> Result<Vec<Outcome>, Fault> {
        self.enter(|shop| {
            let outcomes = changes.iter().map(|change| {
                shop.pushes += 1;
                let outcome = shop.do_it(change);
                if shop.lost_replies == 0 {
                    return outcome;
                }
                shop.lost_replies -= 1;
                Outcome::Failed(Fault::new(FaultKind::UnknownOutcome, "the answer was lost"))
            });
            outcomes.collect()
        })
    }

    async fn find(&self, key: &NaturalKey) -> Result<Vec<Record>, Fault> {
        self.enter(|shop| match key {
            NaturalKey::Sku(sku) => shop
                .products
                .values()
                .filter(|(_, product)| product.variants.iter().any(|v| v.sku == *sku))
                .map(|(_, product)| Record::Product(product.clone()))
                .collect(),
            NaturalKey::Order { key, .. } => shop
                .orders
                .values()
                .filter(|(_, order)| order.state.key == Some(key.to_string()))
                .map(|(_, order)| Record::Order(Box::new(order.clone())))
                .collect(),
            NaturalKey::Gtin(_) | NaturalKey::Category { .. } => Vec::new(),
        })
    }

    async fn picture(&self, _: &PictureSource) -> Result<BodyStream, Fault> {
        Err(Fault::new(FaultKind::NotFound, "no pictures here"))
    }

    async fn look_at_hooks(&self, wanted: &[Hook]) -> Result<Vec<HookState>, Fault> {
        self.enter(|shop| {
            let there = shop.hooks.iter().filter(|hook| wanted.contains(hook));
            there
                .map(|hook| HookState {
                    topic: hook.topic.clone(),
                    url: hook.url.clone(),
                    active: !shop.sleeping_hooks.contains(&hook.topic),
                })
                .collect()
        })
    }

    async fn hooks(&self, wanted: &[Hook]) -> Result<Vec<HookState>, Fault> {
        self.enter(|shop| {
            shop.hooks = wanted.to_vec();
            shop.sleeping_hooks.clear();
            wanted
                .iter()
                .map(|hook| HookState {
                    topic: hook.topic.clone(),
                    url: hook.url.clone(),
                    active: true,
                })
                .collect()
        })
    }
}

pub const CUSTOMER: CustomerId = CustomerId(1);
pub const ERP: ShopId = ShopId(1);
pub const WEB: ShopId = ShopId(2);

/// An ERP that owns everything and a web shop that is given it.
pub fn settings(movable: bool) -> CustomerSettings {
    let mut settings = CustomerSettings::new(Customer {
        movable,
        stock_id: None,
        ..Customer::new(CUSTOMER, "Kahvila Oy")
    });
    for (id, name, role) in [
        (ERP, "ERP", ShopRole::Erp),
        (WEB, "Web shop", ShopRole::Shop),
    ] {
        let mut service = Service::new(id, name, PLATFORM, "http://127.0.0.1:9");
        service.hook_secret = Some(Secret::new("hush"));
        settings.services.push(service);
        let mut link = CustomerHasService::new(RowId(id.0), CUSTOMER, id, role);
        link.assortment = Assortment::All;
        link.orders_from = Some(Timestamp::UNIX_EPOCH);
        settings.customer_has_services.push(link);
    }
    settings.policies = Policies::owned_by(ERP);
    settings.policies.stock = StockPolicy {
        mode: StockMode::Owned { owner: ERP },
        ..StockPolicy::default()
    };
    settings.policies.orders.into = Some(ERP);
    settings
}
