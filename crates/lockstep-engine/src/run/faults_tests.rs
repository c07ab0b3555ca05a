//! Runs against shops that refuse, lists that do not end, settings that close what goes on, and pictures that make way.

use crate::catalogue::Decision;
use crate::customer::{Customer, Effect, Event, Opened};
use crate::fixture::{A, B, ERP, level, nothing_to_read, rules};
use crate::rules::Rules;
use jiff::{SignedDuration, Timestamp};
use lockstep_model::cases::{
    AtShop, CatalogueChunk, ClosingChunk, Cluster, Known, LevelAt, Meetings, OrderChunk, Share,
    StockCase, StockChunk,
};
use lockstep_model::entry::{AsideSubject, Body, RunResult, Settlement};
use lockstep_model::settings::StockId;
use lockstep_model::{
    Change, Cursor, Fault, FaultKind, Fields, Fingerprint, Flow, Kind, Lane, Next, Outcome, Page,
    Parts, Path, Picture, Product, Receipt, Record, RecordId, ShopId, Takes, Variant,
};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn our_rules() -> Rules {
    rules(Takes::Placement, Takes::Payment, Takes::Reserve)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

fn customer() -> Customer {
    let accepted = Meetings {
        accepted: [A, B].into(),
        ..Meetings::default()
    };
    let opened = Opened {
        meetings: accepted,
        ..Opened::default()
    };
    let mut customer = Customer::new(opened, our_rules());
    drive(&mut customer, Event::WritesUntil(None), at(0), |_| None);
    customer
}

/// A file without anything in it, and shops without anything new.
fn nothing_new(effect: &Effect) -> Option<Event> {
    Some(match effect {
        Effect::Pull { call, .. } => Event::Pulled {
            call: *call,
            result: Ok(Page {
                records: vec![],
                next: Next::End(Some(Cursor("1".into()))),
            }),
        },
        Effect::Stage { lane, shop, .. } => Event::Staged {
            lane: *lane,
            shop: *shop,
            changed: 1,
        },
        Effect::ReadAgainList {
            lane, shop, kind, ..
        } => nothing_to_read(*lane, *shop, *kind),
        Effect::LoadCatalogue { .. } => Event::CatalogueLoaded(CatalogueChunk::default()),
        Effect::LoadOrders { .. } => Event::OrdersLoaded(OrderChunk::default()),
        Effect::LoadStock { .. } => Event::StockLoaded(StockChunk::default()),
        Effect::LoadClosing { .. } => Event::ClosingLoaded(ClosingChunk::default()),
        Effect::Intend { lane, .. } => Event::Durable { lane: *lane },
        _ => return None,
    })
}

/// Drives it until nothing is outstanding. `answer` first; what it leaves is answered with nothing new.
fn drive(
    customer: &mut Customer,
    event: Event,
    now: Timestamp,
    mut answer: impl FnMut(&Effect) -> Option<Event>,
) -> Vec<Effect> {
    let mut events = vec![event];
    let mut done = Vec::new();
    while !events.is_empty() {
        let event = events.remove(0);
        for effect in customer.on(event, now) {
            events.extend(answer(&effect).or_else(|| nothing_new(&effect)));
            done.push(effect);
        }
        assert!(done.len() < 20_000, "it does not end");
    }
    done
}

fn woken(shop: ShopId, flow: Flow) -> Event {
    Event::Woken {
        flows: vec![(shop, flow)],
        causes: vec![],
        everything: false,
    }
}

fn finished(effects: &[Effect], of: Lane) -> (RunResult, String) {
    let mut ends = effects.iter().rev().filter_map(|effect| match effect {
        Effect::Finished {
            lane,
            result,
            message,
            ..
        } if *lane == of => Some((*result, message.clone())),
        _ => None,
    });
    ends.next().expect("a run has ended")
}

fn bodies(effects: &[Effect]) -> impl Iterator<Item = &Body> {
    effects.iter().flat_map(|effect| match effect {
        Effect::Append { bodies, .. } | Effect::Intend { bodies, .. } => bodies.as_slice(),
        _ => &[],
    })
}

fn pushed(effects: &[Effect]) -> Vec<(ShopId, usize)> {
    let pushes = effects.iter().filter_map(|effect| match effect {
        Effect::Push { shop, changes, .. } => Some((*shop, changes.len())),
        _ => None,
    });
    pushes.collect()
}

/// Levels that the ERP has and that shop A shows as twenty.
fn levels(skus: &[&str]) -> StockChunk {
    let case = |sku: &&str| {
        let shows = |units: i64| LevelAt {
            held: Some((level(sku, units), Decimal::ZERO)),
            ..LevelAt::default()
        };
        StockCase {
            item: (*sku).into(),
            sku: (*sku).into(),
            stock: StockId::default(),
            status: None,
            base: Some(7.into()),
            counted_by: Some(ERP),
            emptied: Default::default(),
            other_bases: BTreeMap::new(),
            levels: [(ERP, shows(7)), (A, shows(20))].into(),
            lines: vec![],
            conflicts: vec![],
        }
    };
    StockChunk {
        cases: skus.iter().map(case).collect(),
        ..StockChunk::default()
    }
}

/// A trade run over these levels, in which A answers each write with this.
fn trade(
    customer: &mut Customer,
    now: Timestamp,
    skus: &[&str],
    outcome: impl Fn(&str) -> Outcome,
) -> Vec<Effect> {
    drive(
        customer,
        woken(A, Flow::Stock),
        now,
        |effect| match effect {
            Effect::LoadStock { .. } => Some(Event::StockLoaded(levels(skus))),
            Effect::Push { call, changes, .. } => {
                let outcomes = changes.iter().map(|change| match change {
                    Change::SetLevel { was, .. } => outcome(was.sku.as_str()),
                    other => panic!("{other:?}"),
                });
                Some(Event::Pushed {
                    call: *call,
                    result: Ok(outcomes.collect()),
                })
            }
            _ => None,
        },
    )
}

fn refused(kind: FaultKind) -> Outcome {
    Outcome::Failed(Fault::new(kind, "no"))
}

fn done() -> Outcome {
    Outcome::Done(Receipt {
        id: "1".into(),
        record: None,
    })
}

/// It shows what it was told.
fn set(sku: &str) -> Outcome {
    Outcome::Done(Receipt {
        id: sku.into(),
        record: Some(Record::Level(level(sku, 7))),
    })
}

fn asides(effects: &[Effect]) -> usize {
    bodies(effects)
        .filter(|body| matches!(body, Body::Aside { .. }))
        .count()
}

fn items_done(effects: &[Effect]) -> usize {
    let also = effects.iter().map(|effect| match effect {
        Effect::Append { also, .. } | Effect::Intend { also, .. } => also.items_done.len(),
        _ => 0,
    });
    also.sum()
}

#[test]
fn x1_a_shop_that_refuses_our_key_sets_no_record_aside() {
    for kind in [
        FaultKind::Auth,
        FaultKind::Forbidden,
        FaultKind::Unavailable,
        FaultKind::Timeout,
        FaultKind::Protocol,
    ] {
        let mut customer = customer();
        let skus = ["S1", "S2", "S3"];
        let first = trade(&mut customer, at(0), &skus, |_| refused(kind.clone()));
        assert_eq!(
            (pushed(&first), asides(&first)),
            (vec![(A, 3)], 0),
            "{kind:?}"
        );
        let (result, message) = finished(&first, Lane::Trade);
        assert_ne!(result, RunResult::Done);
        assert!(
            message.contains("Woo") && message.contains("(no)"),
            "{message}"
        );

        // While it refuses nothing is meant, and all stays due.
        let meanwhile = trade(&mut customer, at(1), &skus, set);
        assert_eq!((pushed(&meanwhile), items_done(&meanwhile)), (vec![], 0));
        let is_intent = |body: &Body| matches!(body, Body::Intended { .. });
        assert!(!bodies(&meanwhile).any(is_intent));
        assert_ne!(finished(&meanwhile, Lane::Trade).0, RunResult::Done);

        // One tries; once it gets through, the rest follows at once and by itself.
        let probe = trade(&mut customer, at(400), &skus, set);
        assert_eq!(pushed(&probe)[0], (A, 1), "{kind:?}");
        let looks = probe.iter().rev().find_map(|effect| match effect {
            Effect::WaitUntil(at) => Some(*at),
            _ => None,
        });
        assert!(looks.is_some());
        let rest = trade(&mut customer, at(401), &["S2", "S3"], set);
        assert_eq!(pushed(&rest), [(A, 2)]);
        assert_eq!(finished(&rest, Lane::Trade).0, RunResult::Done);
    }
}

#[test]
fn x1_whoever_has_mended_the_shop_and_asks_has_it_tried_within_seconds() {
    let mut customer = customer();
    let skus = ["S1", "S2", "S3"];
    trade(&mut customer, at(0), &skus, |_| refused(FaultKind::Auth));
    // Too soon for a storm of calls; a moment later it is tried, by the same word.
    let at_once = trade(&mut customer, at(1), &skus, set);
    assert_eq!(pushed(&at_once), []);
    let looks = at_once.iter().rev().find_map(|effect| match effect {
        Effect::WaitUntil(at) => Some(*at),
        _ => None,
    });
    assert_eq!(looks, Some(at(2)));
    let tried = trade(&mut customer, at(2), &skus, set);
    assert_eq!(pushed(&tried)[0], (A, 1));
}

#[test]
fn x1_a_record_that_is_refused_with_the_words_for_all_holds_up_no_other() {
    let mut customer = customer();
    let answer = |sku: &str| match sku {
        "S1" => refused(FaultKind::Forbidden),
        _ => set(sku),
    };
    let skus = ["S1", "S2", "S3"];
    let mut left: Vec<&str> = skus.into();
    let mut set_aside = 0;
    for round in 0..6 {
        let effects = trade(&mut customer, at(round * 400), &left, answer);
        set_aside += asides(&effects);
        if set_aside > 0 {
            break;
        }
        if pushed(&effects).iter().any(|(_, writes)| *writes > 0) && round > 0 {
            left = vec!["S1"];
        }
    }
    assert_eq!(
        set_aside, 1,
        "it is the record's, as the others got through"
    );
}

#[test]
fn x1_what_fails_in_a_batch_says_nothing_of_the_rest() {
    let mut customer = customer();
    let effects = trade(&mut customer, at(0), &["S1", "S2", "S3"], |sku| match sku {
        "S2" => refused(FaultKind::Invalid { field: None }),
        _ => set(sku),
    });
    let settled: Vec<bool> = bodies(&effects)
        .filter_map(|body| match body {
            Body::Settled { how, .. } => {
                Some(matches!(**how, Settlement::NotApplied { fault: Some(_) }))
            }
            _ => None,
        })
        .collect();
    assert_eq!(settled, [false, true, false]);
    assert_eq!(asides(&effects), 1);
}

#[test]
fn x4_a_create_of_something_that_is_there_and_not_ours_is_looked_for_once() {
    let coffee = Product {
        title: "Coffee".into(),
        variants: vec![Variant {
            sku: "KH-1".into(),
            prices: [("EUR".into(), Decimal::TEN)].into(),
            ..Variant::default()
        }],
        ..Product::default()
    };
    let chunk = move |aside: Option<(Timestamp, u32)>| {
        let at_erp = AtShop {
            id: Some("p1".into()),
            parts: coffee.parts(),
            held: coffee.fields(),
            ..AtShop::default()
        };
        let mut shops = BTreeMap::from([(ERP, at_erp.clone()), (B, at_erp)]);
        if let Some((until, tries)) = aside {
            let at_a = AtShop {
                aside_until: Some(until),
                tries,
                ..AtShop::default()
            };
            shops.insert(A, at_a);
        }
        let known = Known {
            shops,
            ..known(&coffee)
        };
        CatalogueChunk {
            clusters: vec![Cluster {
                key: "KH-1".into(),
                known: vec![known],
                staged: vec![],
            }],
            ..CatalogueChunk::default()
        }
    };
    let mut customer = customer();
    let mut creates = 0;
    let mut finds = 0;
    let mut aside = None;
    let mut open = false;
    let mut said = String::new();
    for second in 0..3_600 {
        let mut saved: Vec<(u64, Decision)> = Vec::new();
        let event = woken(ERP, Flow::Products);
        let effects = drive(&mut customer, event, at(second), |effect| match effect {
            Effect::LoadCatalogue {
                kind: Kind::Product,
                share: Share::Fields,
                ..
            } if !open => Some(Event::CatalogueLoaded(chunk(aside))),
            Effect::SavePlan { rows, .. } => {
                // Planned once: what was written is open, or stands aside.
                open = true;
                saved.clone_from(rows);
                None
            }
            Effect::LoadPlan { .. } => {
                let rows = std::mem::take(&mut saved);
                Some(Event::PlanLoaded { rows })
            }
            Effect::Find { call, .. } => {
                finds += 1;
                Some(Event::Found {
                    call: *call,
                    result: Ok(vec![]),
                })
            }
            Effect::Push { call, changes, .. } => {
                let outcomes = changes.iter().map(|_| {
                    creates += 1;
                    let kind = FaultKind::Duplicate { existing: None };
                    Outcome::Failed(Fault::new(kind, "the handle is taken"))
                });
                Some(Event::Pushed {
                    call: *call,
                    result: Ok(outcomes.collect()),
                })
            }
            _ => None,
        });
        for body in bodies(&effects) {
            match body {
                Body::Settled { how, .. } => open = !how.closes(),
                Body::Aside {
                    shop: A,
                    subject: AsideSubject::Subject(_),
                    fault,
                    retry_at,
                    tries,
                    ..
                } => {
                    aside = Some((retry_at.unwrap(), *tries));
                    said.clone_from(&fault.message);
                }
                _ => {}
            }
        }
    }
    assert_eq!(said, "the handle is taken");
    assert_eq!(finds, 1, "it is looked for once");
    assert!((2..30).contains(&creates), "{creates} creates an hour");
}

fn known(product: &Product) -> Known {
    Known {
        record: RecordId(7),
        kind: Kind::Product,
        keys: vec!["KH-1".into()],
        ours: product.fields(),
        changed_at: Timestamp::UNIX_EPOCH,
        shops: BTreeMap::new(),
        conflicts: vec![],
        accepted: Default::default(),
        left: Default::default(),
        withheld: Default::default(),
        in_doubt: Default::default(),
        awaits: Default::default(),
    }
}

#[test]
fn x5_what_settings_close_in_mid_run_ends_at_the_next_effect() {
    type Closing = fn(&mut Rules);
    let closings: [Closing; 5] = [
        |rules| rules.shops.get_mut(&A).unwrap().read_only = true,
        |rules| {
            rules.shops.remove(&B);
        },
        |rules| rules.shops.get_mut(&B).unwrap().account += 1,
        |rules| Arc::make_mut(&mut rules.settings).customer.locked = true,
        |rules| Arc::make_mut(&mut rules.settings).customer.sync_orders = false,
    ];
    for (number, closing) in closings.into_iter().enumerate() {
        let mut customer = customer();
        let mut rules = our_rules();
        for shop in rules.shops.values_mut() {
            for max in shop.abilities.batches.values_mut() {
                *max = 1;
            }
        }
        let settings = Event::Settings(Box::new(rules.clone()));
        drive(&mut customer, settings, at(0), |_| None);
        let mut closed = rules;
        closing(&mut closed);
        let mut first = None;
        let skus = ["S1", "S2", "S3"];
        drive(
            &mut customer,
            woken(A, Flow::Stock),
            at(0),
            |effect| match effect {
                Effect::LoadStock { .. } => Some(Event::StockLoaded(levels(&skus))),
                Effect::Push { call, .. } => {
                    first = Some(*call);
                    None
                }
                _ => None,
            },
        );
        let call = first.expect("the first of three is on its way");
        let mut rest = customer.on(Event::Settings(Box::new(closed)), at(1));
        rest.extend(customer.on(
            Event::Pushed {
                call,
                result: Ok(vec![done()]),
            },
            at(1),
        ));
        assert_eq!(pushed(&rest), [], "closing {number}");
        assert_eq!(finished(&rest, Lane::Trade).0, RunResult::Cancelled);
        let moves = |body: &Body| matches!(body, Body::CursorMoved { .. });
        assert!(
            !bodies(&rest).any(moves),
            "the cursor of a stopped run stays"
        );
        let not_sent = |body: &&Body| match body {
            Body::Settled { how, .. } => matches!(**how, Settlement::NotApplied { fault: None }),
            _ => false,
        };
        assert_eq!(bodies(&rest).filter(not_sent).count(), 2);
    }
}

/// A run over a list whose every page leads to another.
fn endless(next: impl Fn(u64) -> String) -> (usize, (RunResult, String), Customer) {
    let mut customer = customer();
    let mut pages = 0;
    let effects = drive(
        &mut customer,
        woken(A, Flow::Products),
        at(0),
        |effect| match effect {
            Effect::Pull {
                call,
                shop: A,
                request,
            } if request.kind == Kind::Product => {
                pages += 1;
                Some(Event::Pulled {
                    call: *call,
                    result: Ok(Page {
                        records: vec![],
                        next: Next::More(Cursor(next(pages))),
                    }),
                })
            }
            _ => None,
        },
    );
    let end = finished(&effects, Lane::Catalogue);
    (pages as usize, end, customer)
}

#[test]
fn r4_a_list_that_leads_back_to_where_it_was_ends_as_a_fault_that_a_person_is_told() {
    let (pages, (result, message), mut customer) = endless(|page| format!("p{}", page % 3));
    assert_eq!(pages, 4);
    assert_eq!(result, RunResult::NeedsPerson);
    assert!(
        message.contains("Woo") && message.contains("does not end"),
        "{message}"
    );
    // It is not asked again at once, and the other lane goes on with the shop.
    let again = drive(&mut customer, woken(A, Flow::Products), at(5), |_| None);
    let asked = |effect: &&Effect| matches!(effect, Effect::Pull { shop: A, request, .. } if request.kind == Kind::Product);
    assert_eq!(again.iter().filter(asked).count(), 0);
    assert_eq!(finished(&again, Lane::Catalogue).0, RunResult::NeedsPerson);
    let trade = trade(&mut customer, at(6), &["S1"], set);
    assert_eq!(pushed(&trade), [(A, 1)]);
    let later = drive(&mut customer, woken(A, Flow::Products), at(90), |_| None);
    assert_eq!(finished(&later, Lane::Catalogue).0, RunResult::Done);
}

/// Products that lack a picture in A, some of them a chunk.
fn without_picture(from: u64) -> CatalogueChunk {
    let picture = Picture {
        id: "m1".into(),
        url: "http://127.0.0.1:1/m1".into(),
        digest: "d1".into(),
        alt: String::new(),
    };
    let clusters = (from..from + 3).map(|number| {
        let shown = Product {
            title: format!("Product {number}"),
            variants: vec![Variant {
                sku: format!("KH-{number}").as_str().into(),
                ..Variant::default()
            }],
            ..Product::default()
        };
        let whole = Product {
            pictures: Some(vec![picture.clone()]),
            ..shown.clone()
        };
        let at = |product: &Product, parts: Parts| AtShop {
            id: Some(format!("p{number}").as_str().into()),
            parts,
            held: product.fields(),
            ..AtShop::default()
        };
        let shops = [
            (ERP, at(&whole, whole.parts())),
            (B, at(&whole, whole.parts())),
            (A, at(&shown, shown.parts())),
        ];
        Cluster {
            key: format!("KH-{number}"),
            known: vec![Known {
                record: RecordId(number),
                keys: vec![format!("KH-{number}")],
                shops: shops.into(),
                ..known(&whole)
            }],
            staged: vec![],
        }
    });
    CatalogueChunk {
        clusters: clusters.collect(),
        next: Some(format!("{from}")),
        ..CatalogueChunk::default()
    }
}

#[test]
fn r7_an_edit_passes_a_backlog_of_pictures() {
    let mut customer = customer();
    let mut chunks = 0;
    let mut saved: Vec<(u64, Decision)> = Vec::new();
    let mut events = vec![woken(ERP, Flow::Products)];
    let mut runs_ended = 0;
    let mut pushes_after_wake = 0;
    let mut is_woken = false;
    while !events.is_empty() {
        let event = events.remove(0);
        for effect in customer.on(event, at(0)) {
            match &effect {
                Effect::LoadCatalogue {
                    kind: Kind::Product,
                    share: Share::Pictures,
                    limit,
                    ..
                } => {
                    assert!(*limit <= 50, "a handful at a time");
                    chunks += 1;
                    assert!(chunks < 50, "the edit waits behind the pictures");
                    events.push(Event::CatalogueLoaded(without_picture(chunks * 10)));
                }
                Effect::SavePlan { rows, .. } => saved = rows.clone(),
                Effect::LoadPlan { .. } => {
                    let rows = std::mem::take(&mut saved);
                    events.push(Event::PlanLoaded { rows });
                }
                Effect::Push { call, changes, .. } => {
                    if is_woken {
                        pushes_after_wake += changes.len();
                    }
                    if chunks == 2 && !is_woken {
                        // Somebody edits a title.
                        is_woken = true;
                        events.push(woken(ERP, Flow::Products));
                    }
                    let outcomes = changes.iter().map(|_| done());
                    events.push(Event::Pushed {
                        call: *call,
                        result: Ok(outcomes.collect()),
                    });
                }
                Effect::Finished {
                    lane: Lane::Catalogue,
                    result,
                    ..
                } => {
                    assert_eq!(*result, RunResult::Done);
                    runs_ended += 1;
                    if runs_ended == 1 {
                        assert_eq!(chunks, 2, "it makes way at once");
                    }
                }
                other => events.extend(nothing_new(other)),
            }
        }
        if runs_ended > 0 {
            break;
        }
    }
    assert_eq!(runs_ended, 1);
    assert!(pushes_after_wake <= 3);
    // The next run began by itself, with a reading.
    let goes_on = customer.progress();
    assert!(goes_on.iter().any(|run| run.lane == Lane::Catalogue));
}

/// A product that the ERP has, and shop A as it takes or refuses what it is told of it.
struct Told {
    customer: Customer,
    /// As the ERP has it.
    wanted: Product,
    /// As shop A has it; `None`: not yet.
    held: Option<Product>,
    aside_until: Option<Timestamp>,
    refused: Vec<Fingerprint>,
    tries: u32,
    calls: Vec<BTreeSet<String>>,
}

fn mug(title: &str, gtin: &str, weight: u32, price: u32) -> Product {
    Product {
        title: title.into(),
        handle: Some(format!("handle-of-{title}")),
        variants: vec![Variant {
            sku: "KH-1".into(),
            gtin: Some(gtin.into()),
            weight_g: Some(weight.into()),
            prices: [("EUR".into(), price.into())].into(),
            ..Variant::default()
        }],
        ..Product::default()
    }
}

fn said(set: &Fields) -> BTreeSet<String> {
    let last = |path: &Path| {
        path.as_str()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let names = set
        .keys()
        .map(|path| match path.as_str().contains("/price/") {
            true => "price".to_owned(),
            false => last(path),
        });
    names.collect()
}

impl Told {
    fn new(held: Option<Product>, wanted: Product) -> Self {
        Self {
            customer: customer(),
            wanted,
            held,
            aside_until: None,
            refused: vec![],
            tries: 0,
            calls: vec![],
        }
    }

    fn chunk(&self) -> CatalogueChunk {
        let at = |product: &Product| AtShop {
            id: Some("p1".into()),
            parts: product.parts(),
            held: product.fields(),
            ..AtShop::default()
        };
        let at_a = AtShop {
            aside_until: self.aside_until,
            refused: self.refused.iter().copied().collect(),
            tries: self.tries,
            ..self.held.as_ref().map(at).unwrap_or_default()
        };
        let shops = [(ERP, at(&self.wanted)), (B, at(&self.wanted)), (A, at_a)];
        CatalogueChunk {
            clusters: vec![Cluster {
                key: "KH-1".into(),
                known: vec![Known {
                    shops: shops.into(),
                    ..known(&self.wanted)
                }],
                staged: vec![],
            }],
            ..CatalogueChunk::default()
        }
    }

    /// What the shop says to each call until `until`, second by second.
    fn go_on(
        &mut self,
        seconds: std::ops::Range<i64>,
        says: impl Fn(&BTreeSet<String>) -> Option<FaultKind>,
    ) {
        for second in seconds {
            let now = at(second);
            let mut saved: Vec<(u64, Decision)> = Vec::new();
            let chunk = self.chunk();
            let mut loaded = false;
            let (calls, held) = (&mut self.calls, &mut self.held);
            let effects = drive(
                &mut self.customer,
                woken(ERP, Flow::Products),
                now,
                |effect| match effect {
                    Effect::LoadCatalogue {
                        kind: Kind::Product,
                        share: Share::Fields,
                        ..
                    } if !std::mem::replace(&mut loaded, true) => {
                        Some(Event::CatalogueLoaded(chunk.clone()))
                    }
                    Effect::SavePlan { rows, .. } => {
                        saved.clone_from(rows);
                        None
                    }
                    Effect::LoadPlan { .. } => Some(Event::PlanLoaded {
                        rows: std::mem::take(&mut saved),
                    }),
                    Effect::Push { call, changes, .. } => {
                        let [change] = changes.as_slice() else {
                            panic!("{changes:?}");
                        };
                        let (set, product) = match change {
                            Change::CreateProduct { product } => (product.fields(), product),
                            Change::UpdateProduct { set, product, .. } => (set.clone(), product),
                            other => panic!("{other:?}"),
                        };
                        let names = said(&set);
                        let outcome = match says(&names) {
                            Some(kind) => refused(kind),
                            None => {
                                *held = Some(product.as_ref().clone());
                                Outcome::Done(Receipt {
                                    id: "p1".into(),
                                    record: Some(Record::Product(product.as_ref().clone())),
                                })
                            }
                        };
                        calls.push(names);
                        Some(Event::Pushed {
                            call: *call,
                            result: Ok(vec![outcome]),
                        })
                    }
                    _ => None,
                },
            );
            self.note(&effects);
        }
    }

    /// As the journal keeps it.
    fn note(&mut self, effects: &[Effect]) {
        for body in bodies(effects) {
            match body {
                Body::Settled { how, .. } if matches!(**how, Settlement::Done { .. }) => {
                    (self.aside_until, self.tries) = (None, 0);
                    self.refused.clear();
                }
                Body::Aside {
                    shop: A,
                    subject: AsideSubject::Subject(_),
                    retry_at,
                    tries,
                    refused,
                    ..
                } => {
                    (self.aside_until, self.tries) = (*retry_at, *tries);
                    if refused.is_empty() {
                        self.refused.clear();
                    }
                    self.refused.retain(|known| !refused.contains(known));
                    self.refused.extend(refused);
                }
                _ => {}
            }
        }
    }

    fn lacks(&self) -> BTreeSet<String> {
        let held = self.held.as_ref().map(Product::fields).unwrap_or_default();
        let mut lacks = self.wanted.fields();
        lacks.retain(|path, value| held.get(path) != Some(value));
        said(&lacks)
    }
}

fn invalid(field: Option<&str>) -> Option<FaultKind> {
    let field = field.map(str::to_owned);
    Some(FaultKind::Invalid { field })
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn c6_a_field_that_the_shop_names_waits_alone_and_all_its_neighbours_are_written() {
    let mut told = Told::new(Some(mug("Mug", "1", 100, 10)), mug("Cup", "2", 120, 11));
    told.go_on(0..30, |set| {
        set.contains("gtin")
            .then(|| invalid(Some("gtin")))
            .flatten()
    });
    assert_eq!(told.lacks(), names(&["gtin"]));
    assert!(told.calls.len() <= 5, "{:?}", told.calls);
    // The shop takes it after all.
    told.go_on(30..120, |_| None);
    assert_eq!(told.lacks(), names(&[]));
}

#[test]
fn c6_a_field_that_the_shop_does_not_name_is_found_by_halves() {
    for bad in ["title", "handle", "gtin", "weight_g", "price"] {
        let mut told = Told::new(Some(mug("Mug", "1", 100, 10)), mug("Cup", "2", 120, 11));
        told.go_on(0..30, |set| {
            set.contains(bad).then(|| invalid(None)).flatten()
        });
        assert_eq!(told.lacks(), names(&[bad]));
        assert!(told.calls.len() <= 9, "{bad}: {:?}", told.calls);
        told.go_on(30..400, |_| None);
        assert_eq!(told.lacks(), names(&[]), "{bad}");
    }
}

#[test]
fn c6_a_shop_that_refuses_all_of_a_record_is_not_asked_without_end() {
    let mut told = Told::new(Some(mug("Mug", "1", 100, 10)), mug("Cup", "2", 120, 11));
    told.go_on(0..3_600, |_| invalid(None));
    assert!(told.calls.len() < 60, "{} calls an hour", told.calls.len());
    let longest = told.aside_until.expect("it stands aside") - at(3_600);
    assert!(
        longest.get_seconds() > 600 || told.tries > 2,
        "{}",
        told.tries
    );
}

#[test]
fn c6_two_refused_fields_of_many_wait_and_one_that_is_taken_later_does_not_wait_for_the_other() {
    let mut told = Told::new(Some(mug("Mug", "1", 100, 10)), mug("Cup", "2", 120, 11));
    let refuses = |bad: &'static [&'static str]| {
        move |set: &BTreeSet<String>| {
            let any = bad.iter().any(|name| set.contains(*name));
            any.then(|| invalid(None)).flatten()
        }
    };
    told.go_on(0..30, refuses(&["gtin", "title"]));
    assert_eq!(told.lacks(), names(&["gtin", "title"]));
    told.go_on(30..600, refuses(&["gtin"]));
    assert_eq!(told.lacks(), names(&["gtin"]));
}

#[test]
fn c6_a_record_whose_handle_is_taken_is_made_without_it_and_the_handle_alone_waits() {
    let mut told = Told::new(None, mug("Cup", "2", 120, 11));
    told.go_on(0..30, |set| {
        set.contains("handle")
            .then(|| invalid(Some("handle")))
            .flatten()
    });
    assert_eq!(told.lacks(), names(&["handle"]));
    assert_eq!(told.calls.len(), 3, "{:?}", told.calls);
    told.go_on(30..120, |_| None);
    assert_eq!(told.lacks(), names(&[]));
}

#[test]
fn c6_a_record_that_is_refused_and_nobody_says_why_is_made_with_what_it_is_sold_by() {
    let mut told = Told::new(None, mug("Cup", "2", 120, 11));
    told.go_on(0..60, |set| {
        set.contains("gtin").then(|| invalid(None)).flatten()
    });
    assert_eq!(told.lacks(), names(&["gtin"]));
    assert!(told.calls.len() < 10, "{:?}", told.calls);
}

#[test]
fn a_flow_that_is_never_polled_is_still_read_whole_when_that_is_due() {
    let mut rules = our_rules();
    let schedules = &mut Arc::make_mut(&mut rules.settings).schedules;
    for schedule in [
        &mut schedules.categories,
        &mut schedules.products,
        &mut schedules.stock,
        &mut schedules.orders,
    ] {
        schedule.poll_seconds = 0;
        schedule.reconcile_seconds = 3_600;
    }
    let mut customer = Customer::new(Opened::default(), rules);
    let first = drive(&mut customer, Event::WritesUntil(None), at(0), nothing_new);
    let looks = first.iter().rev().find_map(|effect| match effect {
        Effect::WaitUntil(at) => Some(*at),
        _ => None,
    });
    assert_eq!(looks, Some(at(3_600)));
}
