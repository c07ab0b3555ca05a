//! What people look at.

use crate::support::*;
use lockstep_journal::WriteState;
use lockstep_model::entry::{Body, Cause, Counts, RunResult, Settlement, Subject};
use lockstep_model::{Kind, Lane, RecordId, Revision, RunId, Value};

#[test]
fn a_record_is_found_by_a_piece_of_its_title_or_its_sku() {
    let mut journal = journal();
    append(
        &mut journal,
        vec![
            merged(
                1,
                &product("p1", &["KH-100"], "Äiti's Coffee", 1),
                &[ERP],
                &[],
            ),
            merged(2, &product("p2", &["KH-200"], "Tea", 1), &[ERP, WEB], &[]),
        ],
    );
    let find = |text: &str| -> Vec<u64> {
        journal
            .search(text, Some(Kind::Product), None, 10)
            .unwrap()
            .into_iter()
            .map(|found| found.record.0)
            .collect()
    };
    assert_eq!(find("äiti"), [1]);
    assert_eq!(find("ÄITI"), [1]);
    assert_eq!(find("kh-2"), [2]);
    assert_eq!(find("KH"), [1, 2]);
    assert_eq!(find("%"), [] as [u64; 0]);
    assert_eq!(find(""), [1, 2]);
    let second = journal.search("", None, Some(RecordId(1)), 10).unwrap();
    assert_eq!(second[0].shops, [ERP, WEB]);
    assert_eq!(journal.record_by_key("KH-200").unwrap(), Some(RecordId(2)));
    assert_eq!(journal.record_by_key("KH-20").unwrap(), None);
}

#[test]
fn the_history_says_what_moved_from_what_to_what() {
    let mut journal = journal();
    let coffee = product("p1", &["A"], "Coffee", 720);
    append(&mut journal, vec![merged(1, &coffee, &[ERP], &[WEB])]);
    let record = Subject::Record(RecordId(1));
    append(
        &mut journal,
        vec![
            intended(1, ERP, record.clone(), set_title("Java")),
            settled(1, done("p1", None)),
        ],
    );
    let history = journal.history(&record, None, 10).unwrap();
    let seqs: Vec<_> = history.iter().map(|item| item.seq).collect();
    assert_eq!(seqs, [3, 2, 1]);
    assert_eq!(history[0].changes.len(), 1);
    let change = &history[0].changes[0];
    assert_eq!(change.shop, Some(ERP));
    assert_eq!(change.from, Some(Value::text("Coffee")));
    assert_eq!(change.to, Some(Value::text("Java")));
    assert_eq!(history[1].run, Some(RUN));
    assert_eq!(history[0].run, Some(RUN), "the answer to a write of it");
    let older = journal.history(&record, Some(3), 1).unwrap();
    assert_eq!(older[0].seq, 2);
}

#[test]
fn the_history_of_an_order_says_what_moved_at_each_shop() {
    let mut journal = journal();
    let seen = |state| order_seen(WEB, &key(WEB, "o1"), state);
    let mut paid = state("o1", vec![]);
    paid.payment = lockstep_model::Payment::Pending;
    append(&mut journal, vec![seen(paid.clone())]);
    paid.payment = lockstep_model::Payment::Paid;
    append(&mut journal, vec![seen(paid)]);
    let history = journal
        .history(&Subject::Order(key(WEB, "o1")), None, 10)
        .unwrap();
    assert_eq!(history[1].changes, [], "what is new has moved nothing");
    let [change] = history[0].changes.as_slice() else {
        panic!("{history:?}");
    };
    assert_eq!((change.path.as_str(), change.shop), ("payment", Some(WEB)));
    assert_eq!(change.from, Some(Value::text("pending")));
    assert_eq!(change.to, Some(Value::text("paid")));
}

#[test]
fn a_run_shows_what_it_read_and_what_became_of_its_writes() {
    let mut journal = journal();
    let coffee = product("p1", &["A"], "Coffee", 720);
    let record = Subject::Record(RecordId(1));
    let pulled = Body::Pulled {
        run: RUN,
        shop: ERP,
        kind: Kind::Product,
        records: 250,
        changed: 1,
        bad: 2,
    };
    append(
        &mut journal,
        vec![
            Body::RunStarted {
                run: RUN,
                lane: Lane::Catalogue,
                revision: Revision(4),
                causes: vec![Cause::Schedule],
            },
            pulled.clone(),
            pulled,
            merged(1, &coffee, &[WEB], &[WEB]),
            intended(1, WEB, record.clone(), set_title("X")),
            intended(2, WEB, record, set_title("Y")),
            settled(1, done("p1", None)),
            settled(2, Settlement::Unknown { look_at: at(5) }),
        ],
    );
    let view = journal.run(RUN).unwrap().unwrap();
    assert_eq!(view.row.finished_at, None);
    assert_eq!((view.pages[0].pages, view.pages[0].records), (2, 500));
    assert_eq!(view.writes[&WriteState::Done], 1);
    assert_eq!(view.writes[&WriteState::Unknown], 1);
    let writes = journal.run_writes(RUN, None, 10).unwrap();
    assert_eq!(writes.len(), 2);
    let finished = Body::RunFinished {
        run: RUN,
        result: RunResult::Partly,
        counts: Counts {
            pulled: 500,
            ..Counts::default()
        },
        message: "one write is in doubt".into(),
        through: vec![],
    };
    append(&mut journal, vec![finished]);
    let runs = journal.runs(None, 10).unwrap();
    assert_eq!(runs[0].result, Some(RunResult::Partly));
    assert_eq!(runs[0].counts.unwrap().pulled, 500);
    assert!(journal.runs(Some(RUN), 10).unwrap().is_empty());
    assert_eq!(journal.run(RunId(9)).unwrap(), None);
    assert_eq!(journal.counters().unwrap().run, 2);
}

#[test]
fn orders_are_listed_newest_first() {
    let mut journal = journal();
    for id in ["o1", "o2", "o3"] {
        append(
            &mut journal,
            vec![order_seen(WEB, &key(WEB, id), state(id, vec![]))],
        );
    }
    let first = journal.orders(None, 2).unwrap();
    let numbers: Vec<_> = first.iter().filter_map(|row| row.number.clone()).collect();
    assert_eq!(numbers, ["#o3", "#o2"]);
    let rest = journal.orders(Some(first[1].first_seq), 10).unwrap();
    assert_eq!(rest.len(), 1);
}

#[test]
fn cursors_identities_and_plans_are_kept() {
    let mut journal = journal();
    append(
        &mut journal,
        vec![Body::CursorMoved {
            shop: WEB,
            kind: Kind::Order,
            cursor: lockstep_model::Cursor("c9".into()),
        }],
    );
    assert_eq!(journal.cursor(WEB, Kind::Order).unwrap().unwrap().0, "c9");
    assert_eq!(journal.cursor(WEB, Kind::Level).unwrap(), None);
    assert_eq!(journal.identity(WEB).unwrap(), None);
    let row = |ord| lockstep_journal::PlanRow {
        ord,
        body: format!("{{\"n\":{ord}}}"),
    };
    journal.save_plan(RUN, &[row(1), row(2), row(3)]).unwrap();
    assert_eq!(journal.planned_runs().unwrap(), [RUN]);
    let also = lockstep_model::cases::Also {
        plan_done: vec![(RUN, 1)],
        ..Default::default()
    };
    journal.append(at(0), vec![], also).unwrap();
    assert_eq!(journal.load_plan(RUN, None, 10).unwrap(), [row(2), row(3)]);
    assert_eq!(journal.load_plan(RUN, Some(2), 10).unwrap(), [row(3)]);
    journal.clear_plan(RUN).unwrap();
    assert!(journal.planned_runs().unwrap().is_empty());
}
