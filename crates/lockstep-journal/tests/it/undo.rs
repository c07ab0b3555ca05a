//! What a run wrote and what was there before: what an undo goes by.

use crate::support::*;
use lockstep_journal::Journal;
use lockstep_model::cases::{UndoCase, WrittenField};
use lockstep_model::entry::{Body, Conflict, Settlement, Subject, What};
use lockstep_model::settings::StockId;
use lockstep_model::{ConflictId, IntentId, RecordId, RunId, ShopId, Value};

const LATER: RunId = RunId(2);

fn record() -> Subject {
    Subject::Record(RecordId(1))
}

/// Coffee, as both shops hold it.
fn with_coffee() -> Journal {
    let mut journal = journal();
    let coffee = product("p1", &["KH-100"], "Coffee", 720);
    append(&mut journal, vec![merged(1, &coffee, &[ERP, WEB], &[])]);
    journal
}

fn written(journal: &mut Journal, run: RunId, intent: u64, title: &str) {
    let meant = Body::Intended {
        intent: IntentId(intent),
        run,
        shop: WEB,
        subject: record(),
        what: set_title(title),
    };
    append(journal, vec![meant, settled(intent, done("p1", None))]);
}

fn cases(journal: &Journal, run: RunId) -> Vec<UndoCase> {
    let chunk = journal.load_undo(run, None, 100).unwrap();
    assert_eq!(chunk.next, None);
    chunk.cases
}

fn title_at(case: &UndoCase, shop: ShopId) -> WrittenField {
    case.shops[&shop].fields[&title_path()].clone()
}

#[test]
fn a_field_is_known_as_it_was_before_and_after() {
    let mut journal = with_coffee();
    written(&mut journal, RUN, 1, "Java");
    let cases = cases(&journal, RUN);
    let [case] = cases.as_slice() else {
        panic!("{cases:?}");
    };
    assert_eq!(case.label, "KH-100 Coffee");
    assert_eq!(case.shops[&WEB].id, Some("p1".into()));
    let field = title_at(case, WEB);
    assert_eq!(field.was, Value::text("Coffee"));
    assert_eq!(field.wrote, Value::text("Java"));
    assert_eq!(field.since, None);
}

#[test]
fn of_two_writes_by_one_run_the_first_says_what_was_and_the_last_what_is() {
    let mut journal = with_coffee();
    written(&mut journal, RUN, 1, "Java");
    written(&mut journal, RUN, 2, "Mocha");
    // However it is paged, the record comes once.
    let first = journal.load_undo(RUN, None, 1).unwrap();
    assert_eq!(first.next, Some(IntentId(1)));
    let field = title_at(&first.cases[0], WEB);
    assert_eq!(field.was, Value::text("Coffee"));
    assert_eq!(field.wrote, Value::text("Mocha"));
    let second = journal.load_undo(RUN, first.next, 1).unwrap();
    assert_eq!(second.cases, []);
}

#[test]
fn what_a_later_run_wrote_is_known_by_its_number() {
    let mut journal = with_coffee();
    written(&mut journal, RUN, 1, "Java");
    written(&mut journal, LATER, 2, "Mocha");
    assert_eq!(title_at(&cases(&journal, RUN)[0], WEB).since, Some(LATER));
    let later = title_at(&cases(&journal, LATER)[0], WEB);
    assert_eq!((later.was, later.since), (Value::text("Java"), None));
}

#[test]
fn what_the_shop_made_of_the_write_is_what_it_wrote() {
    let mut journal = with_coffee();
    let mut held = product("p1", &["KH-100"], "Coffee", 720).fields();
    held.insert(title_path(), Value::text("Java (trimmed)"));
    append(
        &mut journal,
        vec![
            intended(1, WEB, record(), set_title("  Java (trimmed)  ")),
            settled(1, done("p1", Some(held))),
        ],
    );
    let field = title_at(&cases(&journal, RUN)[0], WEB);
    assert_eq!(field.wrote, Value::text("Java (trimmed)"));
}

#[test]
fn what_was_not_applied_or_is_not_known_is_no_write() {
    let mut journal = with_coffee();
    append(
        &mut journal,
        vec![
            intended(1, WEB, record(), set_title("Java")),
            settled(1, Settlement::NotApplied { fault: None }),
            intended(2, ERP, record(), set_title("Java")),
            settled(2, Settlement::Unknown { look_at: at(9) }),
        ],
    );
    let cases = cases(&journal, RUN);
    assert!(cases[0].shops[&WEB].fields.is_empty());
    assert!(!cases[0].shops[&WEB].open);
    assert!(cases[0].shops[&ERP].open);
}

#[test]
fn what_was_made_and_levels_and_orders_are_named() {
    let mut journal = journal();
    let coffee = product("p1", &["KH-100"], "Coffee", 720);
    let level = Subject::Level {
        stock: StockId(1),
        item: "KH-100".into(),
    };
    append(
        &mut journal,
        vec![
            merged(1, &coffee, &[ERP], &[WEB]),
            intended(
                1,
                WEB,
                record(),
                What::Create {
                    set: coffee.fields(),
                },
            ),
            settled(1, done("w1", None)),
            intended(
                2,
                WEB,
                level.clone(),
                What::Level {
                    on_hand: units(1),
                    target: units(1),
                    was_available: units(0),
                    was_taken: units(0),
                    answered: false,
                },
            ),
            intended(3, ERP, Subject::Order(key(WEB, "o1")), What::CreateOrder),
        ],
    );
    let cases = cases(&journal, RUN);
    assert!(cases[0].shops[&WEB].made);
    assert_eq!(cases[0].shops[&WEB].id, Some("w1".into()));
    assert_eq!(cases[1].subject, level);
    assert_eq!(cases[1].label, "stock of KH-100");
    assert_eq!(cases[2].label, "order o1");
}

#[test]
fn a_record_is_loaded_by_its_id_though_nothing_of_it_is_due() {
    let mut journal = with_coffee();
    let chunk = journal
        .load_records(&[RecordId(1), RecordId(9)], None, at(0))
        .unwrap();
    assert_eq!(chunk.clusters.len(), 1);
    assert_eq!(chunk.clusters[0].staged, []);
    let moved = product("p1", &["KH-100"], "Java", 720);
    let staged = lockstep_model::Record::Product(moved);
    journal.stage(WEB, vec![staged]).unwrap();
    let chunk = journal.load_records(&[RecordId(1)], None, at(0)).unwrap();
    assert_eq!(chunk.clusters[0].staged.len(), 1);
    assert_eq!(chunk.clusters[0].known[0].record, RecordId(1));
}

#[test]
fn a_question_of_the_same_number_takes_the_place_of_the_one_before() {
    let mut journal = with_coffee();
    let question = |restoring: Option<&str>| Body::ConflictOpened {
        conflict: ConflictId(4),
        subject: record(),
        about: Conflict::Undone {
            path: title_path(),
            shop: WEB,
            run: RUN,
            wrote: Value::text("Java"),
            held: Value::text("Coffee"),
            ours: Value::text("Java"),
            restoring: restoring.map(str::to_owned),
        },
    };
    append(&mut journal, vec![question(None)]);
    append(&mut journal, vec![question(Some("operator"))]);
    let open = journal.conflicts(None, 10).unwrap();
    assert_eq!(open.len(), 1);
    let case = journal.conflict_case(ConflictId(4)).unwrap().unwrap();
    assert!(matches!(
        case.about,
        Conflict::Undone { restoring: Some(by), .. } if by == "operator"
    ));
    assert_eq!(journal.counters().unwrap().conflict, 5);
}
