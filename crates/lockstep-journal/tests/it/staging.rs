//! What a page leaves behind: what differs from what we know, and nothing else.

use crate::support::*;
use lockstep_model::entry::{
    AsideSubject, Body, Delta, Merged, Settlement, StockMapping, Subject, What,
};
use lockstep_model::{Fault, FaultKind, Field, Kind, Lane, Path, Record, RecordId, Sku, Value};

fn changed(journal: &mut lockstep_journal::Journal, product: &lockstep_model::Product) -> u32 {
    journal
        .stage(WEB, vec![Record::Product(product.clone())])
        .unwrap()
        .changed
}

#[test]
fn a_record_that_is_as_we_know_it_leaves_no_trace() {
    let mut journal = journal();
    let coffee = product("p1", &["A", "B"], "Coffee", 720);
    assert_eq!(changed(&mut journal, &coffee), 1);
    append(&mut journal, vec![merged(1, &coffee, &[WEB], &[])]);
    assert_eq!(changed(&mut journal, &coffee), 0);
    let chunk = journal
        .load_catalogue(Kind::Product, None, 10, at(0))
        .unwrap();
    assert!(chunk.clusters.is_empty(), "the older reading went too");
    assert_eq!(chunk.total, 1);

    let dearer = product("p1", &["A", "B"], "Coffee", 790);
    assert_eq!(changed(&mut journal, &dearer), 1);
    assert_eq!(changed(&mut journal, &dearer), 1);
    let chunk = journal
        .load_catalogue(Kind::Product, None, 10, at(0))
        .unwrap();
    assert_eq!(chunk.clusters.len(), 1, "read twice, there once");
    let cluster = &chunk.clusters[0];
    assert_eq!(cluster.key, "A");
    assert_eq!(cluster.staged[0].linked, Some(RecordId(1)));
    assert_eq!(cluster.known[0].record, RecordId(1));
}

#[test]
fn a_shop_that_rewrites_what_it_is_given_is_compared_with_what_it_holds() {
    let mut journal = journal();
    let coffee = product("p1", &["A"], "Coffee", 720);
    append(&mut journal, vec![merged(1, &coffee, &[WEB], &[WEB])]);
    let record = Subject::Record(RecordId(1));
    let mut held = coffee.fields();
    held.insert(title_path(), Value::text("COFFEE"));
    append(
        &mut journal,
        vec![
            intended(1, WEB, record, set_title("Coffee, dark")),
            settled(1, done("p1", Some(held.clone()))),
        ],
    );
    let shouted = product("p1", &["A"], "COFFEE", 720);
    assert_eq!(changed(&mut journal, &shouted), 0);
    let view = journal.record_view(RecordId(1)).unwrap().unwrap();
    let side = &view.shops[&WEB];
    assert_eq!(side.held[&title_path()], Value::text("COFFEE"));
    assert_eq!(side.meant[&title_path()], Value::text("Coffee, dark"));
    assert!(!side.due);

    // The shop's own people change it: what we meant is past.
    let edit = Merged {
        run: RUN,
        record: RecordId(1),
        kind: Kind::Product,
        title: "Coffee".into(),
        keys: vec!["A".into()],
        ours: Delta::default(),
        seen: [(
            WEB,
            lockstep_model::entry::Seen {
                id: "p1".into(),
                parts: None,
                held: Delta {
                    set: [(title_path(), Value::text("Java"))].into(),
                    unset: vec![],
                },
                anew: false,
                gone: false,
            },
        )]
        .into(),
        overruled: vec![],
        due: vec![],
        awaits: Default::default(),
    };
    append(&mut journal, vec![Body::Merged(edit)]);
    let view = journal.record_view(RecordId(1)).unwrap().unwrap();
    assert!(view.shops[&WEB].meant.is_empty());
}

#[test]
fn what_was_meant_stands_only_while_the_shop_has_not_moved() {
    let mut journal = journal();
    let coffee = product("p1", &["A"], "Coffee", 720);
    append(&mut journal, vec![merged(1, &coffee, &[WEB], &[WEB])]);
    let record = Subject::Record(RecordId(1));
    let price = price_path("A");
    let rounds = |title: &str| {
        let mut held = coffee.fields();
        held.insert(title_path(), Value::text(title));
        Some(held)
    };
    let set_price = What::Set {
        set: [(price.clone(), Value::number(units(9)))].into(),
    };
    append(
        &mut journal,
        vec![
            // The shop cuts the title; the price of the second write it takes.
            intended(1, WEB, record.clone(), set_title("Coffee, long")),
            settled(1, done("p1", rounds("Coffee, l"))),
            intended(2, WEB, record, set_price),
            settled(2, done("p1", rounds("Coffee, l"))),
        ],
    );
    let view = journal.record_view(RecordId(1)).unwrap().unwrap();
    let meant = &view.shops[&WEB].meant;
    assert_eq!(meant[&title_path()], Value::text("Coffee, long"));
    assert_eq!(meant[&price], Value::number(units(9)));
}

#[test]
fn a_record_whose_write_is_open_is_always_staged() {
    let mut journal = journal();
    let coffee = product("p1", &["A"], "Coffee", 720);
    append(&mut journal, vec![merged(1, &coffee, &[WEB], &[WEB])]);
    let record = Subject::Record(RecordId(1));
    append(
        &mut journal,
        vec![intended(1, WEB, record, set_title("Tea"))],
    );
    assert_eq!(changed(&mut journal, &coffee), 1);
    append(
        &mut journal,
        vec![settled(1, Settlement::NotApplied { fault: None })],
    );
    assert_eq!(changed(&mut journal, &coffee), 0);
}

#[test]
fn a_deleted_record_is_staged_once_and_a_stranger_never() {
    let mut journal = journal();
    let coffee = product("p1", &["A"], "Coffee", 720);
    append(&mut journal, vec![merged(1, &coffee, &[WEB], &[])]);
    let gone = |id: &str| Record::Gone {
        kind: Kind::Product,
        id: id.into(),
    };
    let summary = journal.stage(WEB, vec![gone("p1"), gone("p2")]).unwrap();
    assert_eq!((summary.records, summary.changed), (2, 1));
    let mut body = merged(1, &coffee, &[WEB], &[]);
    if let Body::Merged(merged) = &mut body {
        merged.seen.get_mut(&WEB).unwrap().gone = true;
    }
    append(&mut journal, vec![body]);
    assert_eq!(journal.stage(WEB, vec![gone("p1")]).unwrap().changed, 0);
    assert_eq!(changed(&mut journal, &coffee), 1, "it is back");
}

#[test]
fn a_record_that_could_not_be_read_is_staged_when_it_can() {
    let mut journal = journal();
    let coffee = product("p1", &["A"], "Coffee", 720);
    append(&mut journal, vec![merged(1, &coffee, &[WEB], &[])]);
    let aside = Body::Aside {
        shop: WEB,
        subject: AsideSubject::Remote {
            kind: Kind::Product,
            id: Some("p1".into()),
        },
        fault: Fault::new(FaultKind::Protocol, "half a record"),
        retry_at: None,
        tries: 0,
        refused: Vec::new(),
    };
    append(&mut journal, vec![aside]);
    assert_eq!(changed(&mut journal, &coffee), 1);
    assert_eq!(journal.needs_person().unwrap(), (1, 0));
    let chunk = journal
        .load_catalogue(Kind::Product, None, 10, at(0))
        .unwrap();
    let also = lockstep_model::cases::Also {
        consumed: vec![consume(&chunk.clusters[0].staged[0])],
        ..Default::default()
    };
    journal.append(at(1), vec![], also).unwrap();
    assert_eq!(journal.needs_person().unwrap(), (0, 0));
    assert_eq!(changed(&mut journal, &coffee), 0);
}

#[test]
fn a_level_is_news_if_its_numbers_or_its_version_moved() {
    let mut journal = journal();
    map_stocks(&mut journal);
    let ten = level("A", 10);
    append(&mut journal, vec![level_seen(WEB, &ten, 0)]);
    let mut stage = |level: &lockstep_model::Level| {
        journal
            .stage(WEB, vec![Record::Level(level.clone())])
            .unwrap()
            .changed
    };
    assert_eq!(stage(&ten), 0);
    let mut moved_shelf = ten.clone();
    moved_shelf.location = Some("B-12".into());
    moved_shelf.modified_at = Some(at(9));
    assert_eq!(stage(&moved_shelf), 0);
    let mut new_version = ten.clone();
    new_version.version = Some("2".into());
    assert_eq!(stage(&new_version), 1);
    assert_eq!(stage(&level("A", 9)), 1);
}

#[test]
fn an_unmapped_stock_is_left_out() {
    let mut journal = journal();
    let mapping = StockMapping {
        default: Some(MAIN),
        shops: [(WEB, [("main".into(), MAIN)].into())].into(),
        ..StockMapping::default()
    };
    journal.map_stocks(at(0), mapping.clone()).unwrap().unwrap();
    assert_eq!(journal.map_stocks(at(0), mapping).unwrap(), None);
    let mut elsewhere = level("A", 5);
    elsewhere.stock = "outlet".into();
    let page = vec![Record::Level(elsewhere), Record::Level(level("B", 5))];
    assert_eq!(journal.stage(WEB, page).unwrap().changed, 1);
    let chunk = journal.load_stock(None, 10, false).unwrap();
    assert_eq!(chunk.cases.len(), 1);
    assert_eq!(chunk.cases[0].sku, Sku::from("B"));
}

#[test]
fn forgetting_one_lane_keeps_the_other() {
    let mut journal = journal();
    map_stocks(&mut journal);
    let coffee = product("p1", &["A"], "Coffee", 720);
    let page = vec![Record::Product(coffee), Record::Level(level("A", 1))];
    journal.stage(WEB, page).unwrap();
    journal.forget_staged(Lane::Catalogue).unwrap();
    let chunk = journal
        .load_catalogue(Kind::Product, None, 10, at(0))
        .unwrap();
    assert!(chunk.clusters.is_empty());
    assert_eq!(journal.load_stock(None, 10, false).unwrap().cases.len(), 1);
    journal.forget_staged(Lane::Trade).unwrap();
    assert!(
        journal
            .load_stock(None, 10, false)
            .unwrap()
            .cases
            .is_empty()
    );
}

#[test]
fn a_newer_reading_is_not_consumed_with_the_older() {
    let mut journal = journal();
    let coffee = product("p1", &["A"], "Coffee", 720);
    changed(&mut journal, &coffee);
    let chunk = journal
        .load_catalogue(Kind::Product, None, 10, at(0))
        .unwrap();
    let consumed = consume(&chunk.clusters[0].staged[0]);
    changed(&mut journal, &product("p1", &["A"], "Coffee", 790));
    let also = lockstep_model::cases::Also {
        consumed: vec![consumed],
        ..Default::default()
    };
    journal
        .append(at(0), vec![merged(1, &coffee, &[WEB], &[])], also)
        .unwrap();
    let chunk = journal
        .load_catalogue(Kind::Product, None, 10, at(0))
        .unwrap();
    let staged = &chunk.clusters[0].staged[0];
    let lockstep_model::cases::StagedBody::Fields { fields, .. } = &staged.body else {
        panic!("{staged:?}");
    };
    let price = fields[&price_path("A")].as_number().unwrap();
    assert_eq!(price, rust_decimal::Decimal::new(790, 2));
}

#[test]
fn what_a_shop_says_beside_a_picture_it_was_given_is_seen_by_the_next_reading() {
    let mut journal = journal();
    let pictures = Path::new(&Field::Pictures);
    let coffee = product("p1", &["A"], "Coffee", 720);
    append(&mut journal, vec![merged(1, &coffee, &[WEB], &[WEB])]);
    let mut answered = coffee.fields();
    answered.insert(title_path(), Value::text("Coffee!"));
    answered.insert(pictures.clone(), Value::list(["aa".to_owned()]));
    let what = What::AddPicture {
        digest: "aa".to_owned(),
        alt: String::new(),
        beside: Vec::new(),
    };
    let record = Subject::Record(RecordId(1));
    append(
        &mut journal,
        vec![
            intended(1, WEB, record, what),
            settled(1, done("p1", Some(answered))),
        ],
    );
    let view = journal.record_view(RecordId(1)).unwrap().unwrap();
    let held = &view.shops[&WEB].held;
    assert_eq!(held[&title_path()], Value::text("Coffee"));
    assert_eq!(held[&pictures], Value::list(["aa".to_owned()]));
}

#[test]
fn a_removed_picture_leaves_the_record_due_until_the_last_that_is_to_go_is_gone() {
    let mut journal = journal();
    let pictures = Path::new(&Field::Pictures);
    let mut coffee = product("p1", &["A"], "Coffee", 720);
    coffee.pictures = Some(vec![]);
    let mut body = merged(1, &coffee, &[WEB], &[WEB]);
    if let Body::Merged(merged) = &mut body {
        let two = Value::list(["aa", "bb"].map(str::to_owned));
        let at_web = merged.seen.get_mut(&WEB).unwrap();
        at_web.held.set.insert(pictures, two);
    }
    append(&mut journal, vec![body]);
    for (intent, digest) in [(1, "aa"), (2, "bb")] {
        let what = What::RemovePicture {
            digest: digest.to_owned(),
        };
        let record = Subject::Record(RecordId(1));
        append(
            &mut journal,
            vec![
                intended(intent, WEB, record, what),
                settled(intent, done("p1", None)),
            ],
        );
        let is_due = journal.record_view(RecordId(1)).unwrap().unwrap().shops[&WEB].due;
        assert_eq!(is_due, intent == 1);
    }
}

#[test]
fn a_written_picture_leaves_the_record_due_until_all_are_there() {
    let mut journal = journal();
    let pictures = Path::new(&Field::Pictures);
    let mut coffee = product("p1", &["A"], "Coffee", 720);
    coffee.pictures = Some(vec![]);
    let mut body = merged(1, &coffee, &[WEB], &[WEB]);
    let two = ["aa", "bb"].map(str::to_owned);
    if let Body::Merged(merged) = &mut body {
        merged
            .ours
            .set
            .insert(pictures.clone(), Value::list(two.clone()));
    }
    append(&mut journal, vec![body]);
    let record = Subject::Record(RecordId(1));
    for (intent, digest) in (1..).zip(two) {
        let due = |journal: &lockstep_journal::Journal| {
            journal.record_view(RecordId(1)).unwrap().unwrap().shops[&WEB].due
        };
        assert!(due(&journal), "before picture {intent}");
        let what = What::AddPicture {
            digest,
            alt: String::new(),
            beside: Vec::new(),
        };
        append(
            &mut journal,
            vec![
                intended(intent, WEB, record.clone(), what),
                settled(intent, done("p1", None)),
            ],
        );
        assert_eq!(due(&journal), intent == 1);
    }
}

#[test]
fn a_picture_that_is_given_leaves_due_what_else_of_the_record_stands_aside() {
    let mut journal = journal();
    let mut coffee = product("p1", &["A"], "Coffee", 720);
    coffee.pictures = Some(vec![]);
    let mut body = merged(1, &coffee, &[WEB], &[WEB]);
    if let Body::Merged(merged) = &mut body {
        let one = Value::list(["aa".to_owned()]);
        merged.ours.set.insert(Path::new(&Field::Pictures), one);
    }
    let record = Subject::Record(RecordId(1));
    let aside = aside(
        record.clone(),
        Fault::new(FaultKind::Unavailable, "nobody answers"),
        1,
    );
    let what = What::AddPicture {
        digest: "aa".to_owned(),
        alt: String::new(),
        beside: Vec::new(),
    };
    append(
        &mut journal,
        vec![
            body,
            intended(1, WEB, record.clone(), set_title("Coffee!")),
            settled(1, Settlement::NotApplied { fault: None }),
            aside,
            intended(2, WEB, record, what),
            settled(2, done("p1", None)),
        ],
    );
    let at_web = &journal.record_view(RecordId(1)).unwrap().unwrap().shops[&WEB];
    assert!(at_web.due && at_web.aside.is_some(), "{at_web:?}");
}
