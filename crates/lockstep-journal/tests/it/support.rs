//! Small worlds for the tests: a customer, a few shops, records made in one line.

use jiff::{SignedDuration, Timestamp};
use lockstep_journal::Journal;
use lockstep_model::cases::{Also, Consumed, Staged};
use lockstep_model::entry::{
    AsideSubject, Body, Delta, Merged, Personal, Seen, Settlement, Subject, What,
};
use lockstep_model::settings::StockId;
use lockstep_model::{
    Category, CustomerId, Epoch, Fault, Field, Fields, Fulfilment, Incarnation, IntentId, Kind,
    Level, Order, OrderKey, OrderLine, OrderState, Path, Payment, Person, Product, Record,
    RecordId, RunId, ShopId, Stage, Value, Variant, VariantField,
};
use rust_decimal::Decimal;

pub const CUSTOMER: CustomerId = CustomerId(7);
pub const ERP: ShopId = ShopId(1);
pub const WEB: ShopId = ShopId(2);
pub const MAIN: StockId = StockId(1);
pub const RUN: RunId = RunId(1);

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + seconds)
}

pub fn journal() -> Journal {
    Journal::in_memory(CUSTOMER).unwrap()
}

pub fn append(journal: &mut Journal, bodies: Vec<Body>) -> u64 {
    journal.append(at(0), bodies, Also::default()).unwrap().seq
}

pub fn opened(epoch: u64) -> Body {
    Body::Opened {
        customer: CUSTOMER,
        incarnation: Incarnation(1),
        epoch: Epoch(epoch),
        worker: None,
    }
}

pub fn units(n: i64) -> Decimal {
    Decimal::from(n)
}

pub fn price_path(sku: &str) -> Path {
    Path::new(&Field::Variant {
        item: sku.into(),
        field: VariantField::Price("EUR".into()),
    })
}

pub fn title_path() -> Path {
    Path::new(&Field::Title)
}

pub fn product(id: &str, skus: &[&str], title: &str, cents: i64) -> Product {
    Product {
        id: id.into(),
        title: title.into(),
        variants: skus
            .iter()
            .map(|sku| Variant {
                id: format!("{id}-{sku}").into(),
                sku: (*sku).into(),
                prices: [("EUR".into(), Decimal::new(cents, 2))].into(),
                ..Variant::default()
            })
            .collect(),
        ..Product::default()
    }
}

pub fn category(id: &str, name: &str, parent: Option<&str>) -> Record {
    Record::Category(Category {
        id: id.into(),
        name: name.into(),
        parent: parent.map(Into::into),
        position: None,
        modified_at: None,
    })
}

pub fn seen(product: &Product) -> Seen {
    Seen {
        id: product.id.clone(),
        parts: Some(product.parts()),
        held: Delta {
            set: product.fields(),
            unset: vec![],
        },
        anew: false,
        gone: false,
    }
}

/// A first meeting of a product in some shops.
pub fn merged(record: u64, product: &Product, at: &[ShopId], due: &[ShopId]) -> Body {
    Body::Merged(Merged {
        run: RUN,
        record: RecordId(record),
        kind: Kind::Product,
        title: product.title.clone(),
        keys: product.variants.iter().map(|v| v.sku.0.clone()).collect(),
        ours: Delta {
            set: product.fields(),
            unset: vec![],
        },
        seen: at.iter().map(|shop| (*shop, seen(product))).collect(),
        overruled: vec![],
        due: due.to_vec(),
        awaits: Default::default(),
    })
}

pub fn intended(intent: u64, shop: ShopId, subject: Subject, what: What) -> Body {
    Body::Intended {
        intent: IntentId(intent),
        run: RUN,
        shop,
        subject,
        what,
    }
}

/// It is tried again after a minute.
pub fn aside(subject: Subject, fault: Fault, tries: u32) -> Body {
    Body::Aside {
        shop: WEB,
        subject: AsideSubject::Subject(subject),
        fault,
        retry_at: Some(at(60)),
        tries,
        refused: Vec::new(),
    }
}

pub fn settled(intent: u64, how: Settlement) -> Body {
    Body::Settled {
        intent: IntentId(intent),
        how: Box::new(how),
    }
}

pub fn done(id: &str, held: Option<Fields>) -> Settlement {
    Settlement::Done {
        id: id.into(),
        parts: None,
        held,
        level: None,
        partly: false,
    }
}

pub fn set_title(title: &str) -> What {
    What::Set {
        set: [(title_path(), Value::text(title))].into(),
    }
}

pub fn consume(row: &Staged) -> Consumed {
    Consumed {
        shop: row.shop,
        kind: row.kind,
        id: row.id.clone(),
        reading: row.reading,
    }
}

pub fn level(sku: &str, on_hand: i64) -> Level {
    Level {
        sku: sku.into(),
        stock: "main".into(),
        item: "".into(),
        variant: None,
        inventory: None,
        on_hand: units(on_hand),
        reserved: Decimal::ZERO,
        set_aside: Decimal::ZERO,
        version: None,
        location: None,
        modified_at: None,
    }
}

pub fn level_seen(shop: ShopId, level: &Level, taken: i64) -> Body {
    Body::LevelSeen {
        run: RUN,
        shop,
        stock: MAIN,
        level: level.clone(),
        taken: units(taken),
    }
}

pub fn key(shop: ShopId, id: &str) -> OrderKey {
    OrderKey {
        customer: CUSTOMER,
        shop,
        id: id.into(),
    }
}

pub fn line(sku: &str, quantity: i64, taken: i64) -> OrderLine {
    OrderLine {
        variant: None,
        item: None,
        id: sku.into(),
        of: None,
        sku: Some(sku.into()),
        title: sku.into(),
        quantity: units(quantity),
        unit_price: Decimal::ONE,
        net: Decimal::ONE,
        tax: Decimal::ZERO,
        gross: Decimal::ONE,
        tax_rate: Decimal::ZERO,
        discount: Decimal::ZERO,
        taken: units(taken),
        shipped: Decimal::ZERO,
        cancelled: Decimal::ZERO,
        returned: Decimal::ZERO,
        written_off: Decimal::ZERO,
        stock: None,
    }
}

pub fn state(id: &str, lines: Vec<OrderLine>) -> OrderState {
    OrderState {
        id: id.into(),
        number: format!("#{id}"),
        key: None,
        stage: Stage::Placed,
        payment: Payment::Paid,
        fulfilment: Fulfilment::Open,
        cancelled: false,
        placed_at: at(0),
        modified_at: None,
        currency: "EUR".into(),
        lines,
        charges: vec![],
        total: Decimal::ONE,
        tax_by_rate: [(Decimal::new(255, 1), Decimal::ONE)].into(),
        payment_method: None,
        shipping_method: None,
        payment_term: None,
        parcels: vec![],
        refunds: vec![],
        discounts: vec![],
    }
}

pub fn person() -> Person {
    Person {
        email: Some("aino.virtanen@example.fi".into()),
        name: Some("Aino Virtanen".into()),
        ..Person::default()
    }
}

pub fn order(state: OrderState) -> Record {
    Record::Order(Box::new(Order {
        state,
        person: person(),
    }))
}

pub fn order_seen(shop: ShopId, order: &OrderKey, state: OrderState) -> Body {
    Body::OrderSeen {
        run: RUN,
        shop,
        order: order.clone(),
        state: Box::new(state),
        person: Personal::Clear(Box::new(person())),
        before_opening: false,
        readdressed: false,
    }
}

/// One stock that every shop uses.
pub fn map_stocks(journal: &mut Journal) {
    let mapping = lockstep_model::entry::StockMapping {
        default: Some(MAIN),
        ..Default::default()
    };
    journal.map_stocks(at(0), mapping).unwrap();
}

/// All that was to be looked at has been.
pub fn settle(journal: &mut Journal) {
    let skus = journal
        .load_stock(None, 100, false)
        .unwrap()
        .cases
        .into_iter()
        .map(|case| (case.item, case.stock))
        .collect();
    let orders = journal
        .load_orders(None, 100, at(0), &[])
        .unwrap()
        .cases
        .into_iter()
        .map(|case| case.order)
        .collect();
    let also = Also {
        items_done: skus,
        orders_done: orders,
        ..Also::default()
    };
    journal.append(at(0), vec![], also).unwrap();
}
