//! An undo from the wish to its end, effect by effect.

use super::undo::Verdict;
use crate::customer::{Customer, Effect, Event, Opened};
use crate::fixture::{A, rules};
use jiff::Timestamp;
use lockstep_model::cases::{
    AtShop, CatalogueChunk, Cluster, Known, UndoCase, UndoChunk, WrittenField, WrittenThere,
};
use lockstep_model::entry::{Body, Cause, Conflict, RunResult, Subject, What};
use lockstep_model::{
    Field, Kind, Lane, Next, Outcome, Page, Path, Product, Receipt, Record, RecordId, RunId, Scope,
    Takes, Value, Variant,
};

const PRICE: &str = "variant/KH-100/price/EUR";
const UNDONE: RunId = RunId(12);

fn now() -> Timestamp {
    "2026-03-01T09:00:00Z".parse().unwrap()
}

fn price(value: &str) -> Value {
    Value::number(value.parse().unwrap())
}

/// As A shows it.
fn coffee(price: &str) -> Product {
    Product {
        id: "p2".into(),
        title: "Coffee".into(),
        variants: vec![Variant {
            id: "v2".into(),
            sku: "KH-100".into(),
            prices: [("EUR".into(), price.parse().unwrap())].into(),
            ..Variant::default()
        }],
        ..Product::default()
    }
}

/// Run 12 wrote 7.20 over 6.90 at A, and made nothing.
fn written(there: WrittenThere) -> UndoChunk {
    let case = UndoCase {
        subject: Subject::Record(RecordId(7)),
        label: "KH-100 Coffee".into(),
        shops: [(A, there)].into(),
    };
    UndoChunk {
        cases: vec![case],
        next: None,
    }
}

fn raised() -> WrittenThere {
    let field = WrittenField {
        was: price("6.90"),
        wrote: price("7.20"),
        since: None,
    };
    WrittenThere {
        id: Some("p2".into()),
        kind: Some(Kind::Product),
        fields: [(Path::from_stored(PRICE.into()), field)].into(),
        ..WrittenThere::default()
    }
}

fn known(at_a: &str) -> CatalogueChunk {
    let shown = coffee(at_a);
    let known = Known {
        changed_at: Timestamp::UNIX_EPOCH,
        record: RecordId(7),
        kind: Kind::Product,
        keys: vec!["KH-100".into()],
        ours: coffee("7.20").fields(),
        shops: [(
            A,
            AtShop {
                id: Some("p2".into()),
                parts: shown.parts(),
                held: shown.fields(),
                ..AtShop::default()
            },
        )]
        .into(),
        conflicts: vec![],
        accepted: Default::default(),
        left: Default::default(),
        withheld: Default::default(),
        in_doubt: Default::default(),
        awaits: Default::default(),
    };
    CatalogueChunk {
        clusters: vec![Cluster {
            key: "KH-100".into(),
            known: vec![known],
            staged: vec![],
        }],
        ..CatalogueChunk::default()
    }
}

/// An undo that has begun and read what it looks at.
fn read(dry: bool, there: WrittenThere, at_a: &str) -> (Customer, Vec<Effect>) {
    let opened = Opened {
        next_run: 20,
        next_record: 8,
        next_intent: 100,
        next_conflict: 5,
        ..Opened::default()
    };
    let rules = rules(Takes::Placement, Takes::Payment, Takes::Reserve);
    let mut customer = Customer::new(opened, rules);
    let by = "operator".to_owned();
    let run = UNDONE;
    let begun = customer.on(Event::UndoAsked { run, by, dry }, now());
    let started = begun.iter().find_map(|effect| match effect {
        Effect::Append { bodies, .. } => bodies.iter().find_map(|body| match body {
            Body::RunStarted { lane, causes, .. } if *lane == Lane::Catalogue => Some(causes),
            _ => None,
        }),
        _ => None,
    });
    let by = "operator".to_owned();
    assert_eq!(started, Some(&vec![Cause::Undo { run, by }]));
    assert!(
        begun
            .iter()
            .any(|effect| matches!(effect, Effect::LoadUndo { run, .. } if *run == UNDONE))
    );
    customer.on(Event::WritesUntil(None), now());
    let asked = customer.on(Event::UndoLoaded(written(there)), now());
    let mut pulls = asked.iter().filter_map(|effect| match effect {
        Effect::Pull { call, request, .. } => Some((*call, request)),
        _ => None,
    });
    let mut effects = Vec::new();
    match pulls.next() {
        // What is nowhere is not read.
        None => effects.extend(asked),
        Some((call, request)) => {
            assert_eq!(request.scope, Scope::Ids(vec!["p2".into()]));
            assert_eq!(pulls.next(), None);
            let page = Page {
                records: vec![Ok(Record::Product(coffee(at_a)))],
                next: Next::End(None),
            };
            customer.on(
                Event::Pulled {
                    call,
                    result: Ok(page),
                },
                now(),
            );
            let staged = Event::Staged {
                lane: Lane::Catalogue,
                shop: A,
                changed: 0,
            };
            effects.extend(customer.on(staged, now()));
        }
    }
    assert!(effects.iter().any(
        |effect| matches!(effect, Effect::LoadRecords { records, .. } if *records == [RecordId(7)])
    ));
    let judged = customer.on(Event::CatalogueLoaded(known(at_a)), now());
    (customer, judged)
}

fn finished(effects: &[Effect]) -> Option<(RunResult, &str)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Finished {
            lane: Lane::Catalogue,
            result,
            message,
            ..
        } => Some((*result, message.as_str())),
        _ => None,
    })
}

#[test]
fn the_question_is_durable_before_the_old_value_is_written() {
    let (mut customer, judged) = read(false, raised(), "7.20");
    let intended = judged.iter().find_map(|effect| match effect {
        Effect::Intend { bodies, .. } => Some(bodies),
        _ => None,
    });
    let intended = intended.expect("it is meant");
    let asked = intended.iter().position(|body| {
        matches!(body, Body::ConflictOpened { about: Conflict::Undone { shop, held, .. }, .. }
            if *shop == A && *held == price("6.90"))
    });
    let meant = intended.iter().position(|body| {
        matches!(body, Body::Intended { what: What::Set { set }, .. }
            if set.get(&Path::from_stored(PRICE.into())) == Some(&price("6.90")))
    });
    assert!(asked < meant && asked.is_some(), "{intended:?}");
    assert!(
        !judged
            .iter()
            .any(|effect| matches!(effect, Effect::Push { .. }))
    );
    let lane = Lane::Catalogue;
    let sent = customer.on(Event::Durable { lane }, now());
    let call = sent.iter().find_map(|effect| match effect {
        Effect::Push { call, shop, .. } if *shop == A => Some(*call),
        _ => None,
    });
    let receipt = Receipt {
        id: "p2".into(),
        record: Some(Record::Product(coffee("6.90"))),
    };
    let answer = Event::Pushed {
        call: call.expect("it is sent"),
        result: Ok(vec![Outcome::Done(receipt)]),
    };
    let ended = customer.on(answer, now());
    let (result, message) = finished(&ended).expect("it is over");
    assert_eq!(result, RunResult::NeedsPerson);
    assert!(message.contains("1 field got back"), "{message}");
}

#[test]
fn a_dry_undo_shows_the_same_and_writes_nothing() {
    let (_, judged) = read(true, raised(), "7.20");
    let shown = judged.iter().find_map(|effect| match effect {
        Effect::UndoShown { undo, .. } => Some(undo),
        _ => None,
    });
    let shown = shown.expect("it is shown");
    assert_eq!((shown.put_back, shown.left, shown.as_before), (1, 0, 0));
    assert_eq!(shown.lines[0].verdict, Verdict::PutBack);
    assert_eq!(
        (shown.lines[0].now.as_str(), shown.lines[0].back.as_str()),
        ("7.2", "6.9")
    );
    assert!(
        !judged
            .iter()
            .any(|effect| matches!(effect, Effect::Intend { .. }))
    );
}

#[test]
fn what_moved_is_named_and_left() {
    let (_, judged) = read(false, raised(), "8.00");
    let (result, message) = finished(&judged).expect("it is over");
    assert_eq!(result, RunResult::Partly);
    assert!(message.contains("moved since"), "{message}");
    assert!(
        message.contains("KH-100 Coffee") && message.contains("Woo"),
        "{message}"
    );
    assert!(
        !judged
            .iter()
            .any(|effect| matches!(effect, Effect::Intend { .. }))
    );
}

#[test]
fn what_is_as_before_already_is_said_and_nothing_is_asked() {
    let (_, judged) = read(false, raised(), "6.90");
    let (result, message) = finished(&judged).expect("it is over");
    assert_eq!(result, RunResult::Done);
    assert!(message.contains("Nothing to do"), "{message}");
}

#[test]
fn what_a_later_run_wrote_is_left_to_that_one() {
    let mut there = raised();
    for field in there.fields.values_mut() {
        field.since = Some(RunId(14));
    }
    let (_, judged) = read(false, there, "7.20");
    let (_, message) = finished(&judged).expect("it is over");
    assert!(message.contains("run 14 has written it since"), "{message}");
}

#[test]
fn a_record_that_the_run_made_is_named_once_and_stays() {
    let mut there = raised();
    there.made = true;
    let (_, judged) = read(false, there, "7.20");
    let (result, message) = finished(&judged).expect("it is over");
    assert_eq!(result, RunResult::Partly);
    assert!(message.contains("archive it in its owner"), "{message}");
    assert!(!message.contains(PRICE), "{message}");
}

#[test]
fn e5_what_a_run_made_is_archived_where_it_made_it_and_held_there() {
    let mut there = raised();
    there.made = true;
    let status = Path::new(&Field::Status);
    let made = WrittenField {
        was: Value::Empty,
        wrote: Value::text("active"),
        since: None,
    };
    there.fields.insert(status.clone(), made);
    let (_, judged) = read(false, there, "7.20");
    let asked = judged.iter().find_map(|effect| match effect {
        Effect::Intend { bodies, .. } => bodies.iter().find_map(|body| match body {
            Body::ConflictOpened { about, .. } => Some(about),
            _ => None,
        }),
        _ => None,
    });
    let Some(Conflict::Undone { path, held, .. }) = asked else {
        panic!("nothing is asked about what it made: {judged:?}")
    };
    assert_eq!((path, held), (&status, &Value::text("archived")));
    let written = judged.iter().find_map(|effect| match effect {
        Effect::Intend { bodies, .. } => bodies.iter().find_map(|body| match body {
            Body::Intended {
                what: What::Set { set },
                shop: A,
                ..
            } => Some(set),
            _ => None,
        }),
        _ => None,
    });
    let set = written.expect("it is written");
    assert_eq!(set.get(&status), Some(&Value::text("archived")));
    assert_eq!(set.len(), 1, "nothing else of it: {set:?}");
}

#[test]
fn a_shop_that_has_the_record_no_more_is_named() {
    let mut there = raised();
    there.id = None;
    let (_, judged) = read(false, there, "7.20");
    let (_, message) = finished(&judged).expect("it is over");
    assert!(message.contains("no more"), "{message}");
}
