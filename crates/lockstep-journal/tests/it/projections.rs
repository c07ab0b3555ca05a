//! What follows from entries follows from entries alone: any prefix, replayed, is the file as it was.

use crate::support::*;
use lockstep_journal::{Journal, Segment};
use lockstep_model::cases::Also;
use lockstep_model::entry::{
    Again, AsideSubject, Body, Delta, Hold, Movement, Settlement, StockMapping, Subject, What,
};
use lockstep_model::settings::StockId;
use lockstep_model::{
    Fault, FaultKind, Field, Kind, OrderKey, Path, Payment, RecordId, ShopId, Value,
};
use proptest::prelude::*;

pub const SKUS: [&str; 4] = ["A", "B", "C/1", "Ä"];

fn shop() -> impl Strategy<Value = ShopId> {
    (1_u64..4).prop_map(ShopId)
}

fn sku() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&SKUS[..])
}

fn stock() -> impl Strategy<Value = StockId> {
    (1_u64..3).prop_map(StockId)
}

fn order_key() -> impl Strategy<Value = OrderKey> {
    (shop(), 0_u8..3).prop_map(|(shop, n)| key(shop, &format!("o{n}")))
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        4 => (1_u64..5).prop_map(|record| Subject::Record(RecordId(record))),
        2 => (stock(), sku()).prop_map(|(stock, sku)| Subject::Level { stock, item: sku.into() }),
        2 => order_key().prop_map(Subject::Order),
    ]
}

fn merged_body() -> impl Strategy<Value = Body> {
    let shops = || prop::collection::vec(shop(), 0..3);
    (
        1_u64..5,
        prop::collection::vec(sku(), 0..3),
        0_i64..3,
        shops(),
        shops(),
        any::<bool>(),
        0..9,
    )
        .prop_map(|(record, skus, cents, at, due, gone, unset)| {
            let product = product(&format!("p{record}"), &skus, &format!("T{cents}"), cents);
            let mut body = merged(record, &product, &at, &due);
            if let Body::Merged(merged) = &mut body {
                for seen in merged.seen.values_mut() {
                    seen.gone = gone;
                    if unset == 0 {
                        seen.held = Delta {
                            set: Default::default(),
                            unset: vec![title_path()],
                        };
                        seen.parts = None;
                    }
                }
            }
            body
        })
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        (0..3).prop_map(|n| set_title(&format!("W{n}"))),
        Just(What::AddPicture {
            digest: "aa".into(),
            alt: String::new(),
            beside: Vec::new(),
        }),
        Just(What::RemovePicture {
            digest: "aa".into()
        }),
        (-3_i64..9).prop_map(|target| What::Level {
            on_hand: units(target),
            target: units(target),
            was_available: units(1),
            was_taken: units(0),
            answered: false,
        }),
        Just(What::CreateOrder),
    ]
}

fn settlement() -> impl Strategy<Value = Settlement> {
    prop_oneof![
        4 => (1_u64..5, any::<bool>(), sku(), 0_i64..5, 0_i64..3).prop_map(|(record, whole, sku, n, taken)| {
            Settlement::Done {
                id: format!("p{record}").into(),
                parts: None,
                held: whole.then(|| [(title_path(), Value::text("held")),
                    (Path::new(&Field::Pictures), Value::list(["aa".to_owned()]))].into()),
                level: whole.then(|| (level(sku, n), units(taken))),
                partly: false,
            }
        }),
        1 => Just(Settlement::NotApplied { fault: None }),
        1 => (0_i64..9).prop_map(|seconds| Settlement::Unknown { look_at: at(seconds) }),
        1 => Just(Settlement::Moot),
    ]
}

fn order_body() -> impl Strategy<Value = Body> {
    let lines = prop::collection::vec((sku(), 1_i64..4, 0_i64..4, 0_i64..4, any::<bool>()), 0..3);
    (
        shop(),
        order_key(),
        lines,
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(shop, order, lines, cancelled, paid, before_opening)| {
            let lines = lines
                .into_iter()
                .map(|(sku, quantity, taken, shipped, outlet)| {
                    let mut line = line(sku, quantity, taken.min(quantity));
                    line.shipped = units(shipped);
                    line.stock = outlet.then(|| "outlet".into());
                    line
                })
                .collect();
            let mut state = state(order.id.as_str(), lines);
            state.cancelled = cancelled;
            state.payment = if paid {
                Payment::Paid
            } else {
                Payment::Pending
            };
            let mut body = order_seen(shop, &order, state);
            if let Body::OrderSeen {
                before_opening: before,
                ..
            } = &mut body
            {
                *before = before_opening;
            }
            body
        })
}

fn mapping() -> impl Strategy<Value = StockMapping> {
    (any::<bool>(), 0_u8..3).prop_map(|(default, mapped)| StockMapping {
        default: default.then_some(MAIN),
        shops: match mapped {
            0 => Default::default(),
            1 => [(
                ShopId(2),
                [("main".into(), MAIN), ("outlet".into(), StockId(2))].into(),
            )]
            .into(),
            _ => [(ShopId(2), [("main".into(), StockId(2))].into())].into(),
        },
        homes: [(ShopId(2), StockId(u64::from(mapped)))].into(),
    })
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        6 => merged_body(),
        5 => (1_u64..30, shop(), subject(), what())
            .prop_map(|(intent, shop, subject, what)| intended(intent, shop, subject, what)),
        5 => (1_u64..30, settlement()).prop_map(|(intent, how)| settled(intent, how)),
        5 => order_body(),
        3 => (shop(), sku(), 0_i64..9, 0_i64..3).prop_map(|(shop, sku, n, taken)| level_seen(shop, &level(sku, n), taken)),
        2 => (sku(), stock(), -3_i64..9, order_key(), 0_u8..3).prop_map(|(sku, stock, delta, order, cause)| {
            Body::BaseMoved {
                item: sku.into(),
                stock,
                delta: units(delta),
                cause: match cause {
                    0 => Movement::Opening { shop: order.shop },
                    1 => Movement::Unexplained {
                        shop: order.shop,
                        emptied: true,
                    },
                    _ => Movement::Closing { order },
                },
            }
        }),
        1 => (shop(), subject(), prop::option::of(0_i64..9)).prop_map(|(shop, subject, retry)| Body::Aside {
            shop,
            subject: AsideSubject::Subject(subject),
            fault: Fault::new(FaultKind::Timeout, "late"),
            retry_at: retry.map(at),
            tries: 1,
            refused: Vec::new(),
        }),
        1 => (shop(), 1_u64..5).prop_map(|(shop, record)| Body::Aside {
            shop,
            subject: AsideSubject::Remote { kind: Kind::Product, id: Some(format!("p{record}").into()) },
            fault: Fault::new(FaultKind::Protocol, "half"),
            retry_at: None,
            tries: 0,
            refused: Vec::new(),
        }),
        1 => (order_key(), any::<bool>()).prop_map(|(order, held)| match held {
            true => Body::OrderHeld { order, reason: Hold::Gate },
            false => Body::OrderReleased { order },
        }),
        1 => mapping().prop_map(Body::StocksMapped),
        1 => (1_u64..4, subject()).prop_map(|(conflict, subject)| Body::ConflictOpened {
            conflict: lockstep_model::ConflictId(conflict),
            subject,
            about: lockstep_model::entry::Conflict::Limit {
                name: "n".into(), found: "1".into(), limit: "0".into(),
            },
        }),
        1 => (1_u64..4).prop_map(|conflict| Body::ConflictClosed {
            conflict: lockstep_model::ConflictId(conflict),
            decision: "so be it".into(),
            by: Some("operator".into()),
            ours: Delta {
                set: [(Path::new(&Field::Title), Value::text("As decided"))].into(),
                unset: vec![],
            },
        }),
        1 => prop_oneof![
            Just(Again::Levels),
            Just(Again::Orders),
            (1_u64..5).prop_map(|record| Again::Record(RecordId(record))),
            shop().prop_map(|shop| Again::Records { kind: Kind::Product, shops: vec![shop] }),
        ].prop_map(|what| Body::DueAgain { what }),
        1 => order_key().prop_map(|order| Body::BuyersErased { orders: vec![order], by: None }),
    ]
}

/// A step of a life: an append, after which everything may be looked at to the end.
pub fn step() -> impl Strategy<Value = (Vec<Body>, bool)> {
    (prop::collection::vec(body(), 1..6), any::<bool>())
}

pub fn live(journal: &mut Journal, bodies: Vec<Body>, settles: bool) {
    let mut also = Also::default();
    if settles {
        let stock = journal.load_stock(None, 100, false).unwrap();
        also.items_done = stock.cases.into_iter().map(|c| (c.item, c.stock)).collect();
        let orders = journal.load_orders(None, 100, at(5), &[ERP]).unwrap();
        also.orders_done = orders.cases.into_iter().map(|c| c.order).collect();
    }
    journal.append(at(3), bodies, also).unwrap();
    // Reading changes nothing that follows from entries.
    journal
        .load_catalogue(Kind::Product, None, 100, at(5))
        .unwrap();
}

/// Σ taken, kept by differences, is the sum over the lines that are open.
fn assert_sums(file: &rusqlite::Connection) {
    let mut query = file
        .prepare(
            "SELECT t.item, t.taken, (SELECT ifnull(sum(CAST(l.taken AS INTEGER)), 0) FROM order_line l
                WHERE l.item = t.item AND l.stock = t.stock AND l.shop = t.shop AND l.closed = 0) FROM taken t",
        )
        .unwrap();
    let mut rows = query.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (sku, kept, summed): (String, String, i64) = (
            row.get(0).unwrap(),
            row.get(1).unwrap(),
            row.get(2).unwrap(),
        );
        assert_eq!(kept, summed.to_string(), "Σ taken of {sku}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_prefix_replayed_is_the_file_as_it_was(steps in prop::collection::vec(step(), 1..12)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("replica");
        let mut journal = journal();
        let mut replica = Journal::open(&path, CUSTOMER).unwrap();
        live(&mut journal, vec![opened(1)], false);
        for (bodies, settles) in steps {
            live(&mut journal, bodies, settles);
            while let Some(segment) = journal.cut_segment(2_000).unwrap() {
                let segment = Segment::decode(&segment.encode()).unwrap();
                replica.accept(&segment).unwrap();
                journal.acknowledge(segment.header.sequence, segment.hash).unwrap();
            }
            prop_assert_eq!(journal.head().unwrap(), replica.head().unwrap());
            prop_assert_eq!(journal.fingerprints().unwrap(), replica.fingerprints().unwrap());
            prop_assert_eq!(journal.counters().unwrap(), replica.counters().unwrap());
        }
        // The replica, opened again, is what it was, and shows the same to the engine.
        let before = replica.fingerprints().unwrap();
        drop(replica);
        let replica = Journal::open(&path, CUSTOMER).unwrap();
        prop_assert_eq!(replica.fingerprints().unwrap(), before);
        prop_assert_eq!(
            replica.load_stock(None, 100, false).unwrap(),
            journal.load_stock(None, 100, false).unwrap()
        );
        prop_assert_eq!(
            replica.load_catalogue(Kind::Product, None, 100, at(5)).unwrap(),
            journal.load_catalogue(Kind::Product, None, 100, at(5)).unwrap()
        );
        // But for the buyers: the keys to them are in the one file alone.
        let orders = |journal: &Journal| {
            let mut chunk = journal.load_orders(None, 100, at(5), &[ERP]).unwrap();
            chunk.cases.iter_mut().for_each(|case| case.person = None);
            chunk
        };
        prop_assert_eq!(orders(&replica), orders(&journal));
        drop(replica);
        assert_sums(&rusqlite::Connection::open(&path).unwrap());
        for record in 1..5 {
            journal.record_view(RecordId(record)).unwrap();
            journal.history(&Subject::Record(RecordId(record)), None, 10).unwrap();
        }
        for sku in SKUS {
            journal.ledger(&sku.into()).unwrap();
        }
        journal.orders(None, 10).unwrap();
        journal.runs(None, 10).unwrap();
        journal.asides(10).unwrap();
        journal.conflicts(None, 10).unwrap();
    }
}
