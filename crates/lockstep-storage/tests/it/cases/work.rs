//! Wakes, asks, runs, reports and search.

use crate::place::{Place, after_ms, noon};
use lockstep_model::{
    CustomerId, Epoch, Flow, Lane, Revision, RunId, ShopId, WorkerId,
    entry::{Counts, RunResult},
};
use lockstep_storage::{
    ApplyState, AskState, CustomerReport, NewAlert, NewAsk, RunFilter, RunPlace, RunRow, RunState,
    SearchRow, WakeBy,
};
use sea_orm::{ConnectionTrait, Statement};
use std::collections::{BTreeMap, BTreeSet};

const CUSTOMER: CustomerId = CustomerId(1);

pub async fn wakes_count_and_are_acted_on(place: &Place) {
    let storage = &place.storage;
    let one = (CUSTOMER, ShopId(1), Flow::Stock);
    let two = (CUSTOMER, ShopId(2), Flow::Orders);
    storage
        .raise_wakes(&BTreeMap::from([(one, WakeBy::Shop)]), noon())
        .await
        .unwrap();
    let raised = storage
        .raise_wakes(
            &BTreeMap::from([(one, WakeBy::Shop), (two, WakeBy::Person)]),
            noon(),
        )
        .await
        .unwrap();
    let counters: BTreeSet<_> = raised
        .iter()
        .map(|wake| (wake.flow, wake.counter))
        .collect();
    assert_eq!(
        counters,
        BTreeSet::from([(Flow::Stock, 2), (Flow::Orders, 1)])
    );
    storage
        .acted_on_wakes(&[(one.0, one.1, one.2, 2)])
        .await
        .unwrap();
    storage
        .acted_on_wakes(&[(one.0, one.1, one.2, 1)])
        .await
        .unwrap();
    let wakes = storage.wakes(CUSTOMER).await.unwrap();
    let stock = wakes.iter().find(|wake| wake.flow == Flow::Stock).unwrap();
    assert_eq!((stock.counter, stock.acted, stock.asked), (2, 2, 0));
    let orders = wakes.iter().find(|wake| wake.flow == Flow::Orders).unwrap();
    assert_eq!((orders.counter, orders.asked), (1, 1));
    assert!(
        storage
            .raise_wakes(&BTreeMap::new(), noon())
            .await
            .unwrap()
            .is_empty()
    );
}

pub async fn the_first_answer_counts(place: &Place) {
    let storage = &place.storage;
    let new = NewAsk {
        customer: None,
        platform: Some("practice".into()),
        kind: "check".into(),
        question: r#"{"token":"s3cret"}"#.into(),
        by: "maija".into(),
        deadline: after_ms(10_000),
    };
    let id = storage.ask(&new, noon()).await.unwrap();
    let late = storage.ask(&new, noon()).await.unwrap();
    assert_ne!(id, late);
    assert_eq!(storage.open_asks(noon()).await.unwrap().len(), 2);
    assert!(
        storage
            .answer(id, WorkerId(1), "first", noon())
            .await
            .unwrap()
    );
    assert!(
        !storage
            .answer(id, WorkerId(2), "second", noon())
            .await
            .unwrap()
    );
    assert!(
        !storage
            .answer(late, WorkerId(1), "late", after_ms(10_001))
            .await
            .unwrap()
    );
    assert!(
        storage
            .answer(999, WorkerId(1), "none", noon())
            .await
            .is_err()
    );
    let asked = storage.asked(id).await.unwrap().unwrap();
    assert_eq!(
        (asked.state, asked.answered_by),
        (AskState::Answered, Some(WorkerId(1)))
    );
    assert_eq!(asked.answer.as_deref(), Some("first"));
    assert_eq!(asked.question, new.question);
    assert!(!format!("{asked:?}").contains("s3cret"));

    let raw = place.raw().await;
    let query = Statement::from_string(
        raw.get_database_backend(),
        "SELECT sealed_question FROM ask",
    );
    for row in raw.query_all_raw(query).await.unwrap() {
        let sealed: Vec<u8> = row.try_get("", "sealed_question").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"s3cret"));
    }
    raw.close().await.unwrap();

    let far = NewAsk {
        deadline: after_ms(9_000_000),
        ..new
    };
    storage.ask(&far, after_ms(8_000_000)).await.unwrap();
    assert!(
        storage.asked(id).await.unwrap().is_none(),
        "old ones are forgotten"
    );
}

fn run(number: u64) -> RunRow {
    RunRow {
        customer: CUSTOMER,
        run: RunId(number),
        worker: WorkerId(1),
        lane: Lane::Trade,
        revision: Revision(3),
        cause: "webhook of Web".into(),
        phase: "pull".into(),
        counts: Counts {
            pulled: 10,
            ..Counts::default()
        },
        expected: Some(100),
        message: String::new(),
        started_at: after_ms(i64::try_from(number).unwrap()),
        finished_at: None,
        result: None,
        why: None,
        heard_at: noon(),
    }
}

pub async fn runs_are_shown_as_last_reported(place: &Place) {
    let storage = &place.storage;
    storage.put_runs(&[run(1), run(2)]).await.unwrap();
    storage
        .cancel_run(CUSTOMER, RunId(1), "maija", noon())
        .await
        .unwrap();
    let seen = storage.changes_since(0).await.unwrap();
    assert_eq!(seen.cancels[0].1, RunId(1));
    let ended = RunRow {
        phase: "finished".into(),
        finished_at: Some(after_ms(50)),
        result: Some(RunResult::Cancelled),
        message: "long ".repeat(40_000),
        ..run(1)
    };
    storage
        .put_runs(std::slice::from_ref(&ended))
        .await
        .unwrap();
    assert_eq!(storage.run(CUSTOMER, RunId(1)).await.unwrap(), Some(ended));
    assert!(storage.changes_since(0).await.unwrap().cancels.is_empty());
    let numbers = async |customer| {
        let filter = RunFilter {
            customer,
            limit: 10,
            ..RunFilter::default()
        };
        let runs = storage.runs(&filter).await.unwrap();
        runs.iter().map(|run| run.run.0).collect::<Vec<_>>()
    };
    assert_eq!(numbers(Some(CUSTOMER)).await, [2, 1]);
    assert_eq!(numbers(None).await, [2, 1]);
    assert_eq!(storage.newest_run(CUSTOMER).await.unwrap(), Some(RunId(2)));
    assert_eq!(storage.newest_run(CustomerId(9)).await.unwrap(), None);
    assert_eq!(storage.live_run_count().await.unwrap(), 1);
    storage.prune_runs(CUSTOMER).await.unwrap();
    assert_eq!(numbers(None).await.len(), 2);
}

pub async fn a_run_that_never_ended_is_over_when_its_lane_goes_on(place: &Place) {
    let storage = &place.storage;
    let catalogue = RunRow {
        lane: Lane::Catalogue,
        ..run(2)
    };
    storage.put_runs(&[run(1), catalogue]).await.unwrap();
    let elsewhere = RunRow {
        customer: CustomerId(2),
        ..run(5)
    };
    storage.put_runs(&[elsewhere]).await.unwrap();
    assert_eq!(storage.live_run_count().await.unwrap(), 3);
    storage.put_runs(&[run(3)]).await.unwrap();
    let over = storage.run(CUSTOMER, RunId(1)).await.unwrap().unwrap();
    assert_eq!((over.finished_at, over.result), (Some(noon()), None));
    assert_eq!(over.phase, "finished");
    assert!(over.message.contains("Its worker stopped"));
    assert_eq!(storage.live_run_count().await.unwrap(), 3);
}

/// 300 customers, each with one run at the same moment and one of its own: every one is on exactly one page.
pub async fn runs_of_all_customers_are_one_list(place: &Place) {
    let storage = &place.storage;
    let mut all = Vec::new();
    for customer in 1..=300 {
        for number in 1..=2 {
            all.push(RunRow {
                customer: CustomerId(customer),
                lane: Lane::ALL[usize::try_from(customer % 2).unwrap()],
                started_at: if number == 1 {
                    noon()
                } else {
                    after_ms(i64::try_from(customer).unwrap() * 1_000)
                },
                finished_at: Some(after_ms(400_000)),
                result: Some(if customer == 7 {
                    RunResult::Partly
                } else {
                    RunResult::Done
                }),
                counts: Counts {
                    written: u64::from(customer == 8 && number == 2),
                    ..Counts::default()
                },
                ..run(number)
            });
        }
    }
    storage.put_runs(&all).await.unwrap();
    let listed = async |filter: RunFilter| {
        let mut listed = Vec::new();
        let mut filter = RunFilter {
            limit: 70,
            ..filter
        };
        loop {
            let page = storage.runs(&filter).await.unwrap();
            let Some(last) = page.last() else {
                return listed;
            };
            filter.before = Some(RunPlace {
                started_at: last.started_at,
                customer: last.customer,
                run: last.run,
            });
            listed.extend(page.iter().map(|run| (run.customer.0, run.run.0)));
        }
    };
    let whole = listed(RunFilter::default()).await;
    assert_eq!(whole.len(), 600);
    assert_eq!(whole.iter().collect::<BTreeSet<_>>().len(), 600);
    assert_eq!((whole[0], whole[599]), ((300, 2), (1, 1)));
    let in_state = async |state| {
        listed(RunFilter {
            state: Some(state),
            ..RunFilter::default()
        })
        .await
    };
    assert_eq!(in_state(RunState::Trouble).await, [(7, 2), (7, 1)]);
    assert_eq!(in_state(RunState::Wrote).await, [(8, 2)]);
    assert_eq!(in_state(RunState::News).await, [(8, 2), (7, 2), (7, 1)]);
    assert!(in_state(RunState::Live).await.is_empty());
    let between = RunFilter {
        from: Some(after_ms(10_000)),
        until: Some(after_ms(14_000)),
        lane: Some(Lane::ALL[0]),
        ..RunFilter::default()
    };
    assert_eq!(listed(between).await, [(12, 2), (10, 2)]);
    // A run that ends otherwise than it began is found by how it ended.
    let better = RunRow {
        result: Some(RunResult::Done),
        ..all[12].clone()
    };
    storage.put_runs(&[better]).await.unwrap();
    assert_eq!(in_state(RunState::Trouble).await, [(7, 2)]);
}

pub async fn what_a_worker_applied_is_known(place: &Place) {
    let storage = &place.storage;
    let mut report = CustomerReport {
        customer: CUSTOMER,
        worker: WorkerId(1),
        revision: Revision(2),
        epoch: Epoch(1),
        state: ApplyState::Failed,
        error: Some("the ERP's key is refused".into()),
        journal_sequence: 4,
        reported_at: noon(),
    };
    storage
        .put_reports(std::slice::from_ref(&report))
        .await
        .unwrap();
    report.state = ApplyState::Applied;
    report.error = None;
    report.revision = Revision(3);
    storage
        .put_reports(std::slice::from_ref(&report))
        .await
        .unwrap();
    assert_eq!(
        storage.reports(&[CUSTOMER, CustomerId(2)]).await.unwrap(),
        [report]
    );
    storage.put_reports(&[]).await.unwrap();
    assert!(storage.reports(&[]).await.unwrap().is_empty());
}

pub async fn search_finds_keys_before_titles(place: &Place) {
    let storage = &place.storage;
    let row = |record, key: &str, title: &str| SearchRow {
        kind: "product".into(),
        record,
        key: key.into(),
        title: title.into(),
    };
    let rows = [
        row(1, "T-1", "KH roast"),
        row(2, "KH-100", "Coffee"),
        row(3, "X", "Tea"),
    ];
    storage.put_search_rows(CUSTOMER, &rows).await.unwrap();
    storage
        .put_search_rows(CUSTOMER, &[row(2, "KH-100", "Coffee 500 g")])
        .await
        .unwrap();
    storage
        .put_search_rows(CustomerId(2), &[row(1, "KH-1", "Elsewhere")])
        .await
        .unwrap();
    let titles = async |customer, text: &str| {
        let hits = storage.search(customer, text, 10).await.unwrap();
        hits.into_iter()
            .map(|hit| hit.row.title)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        titles(Some(CUSTOMER), "kh").await,
        ["Coffee 500 g", "KH roast"]
    );
    assert_eq!(
        titles(None, "KH").await,
        ["Elsewhere", "Coffee 500 g", "KH roast"]
    );
    // By the words of a title, in any order, each from its beginning.
    assert_eq!(titles(None, "500 cof").await, ["Coffee 500 g"]);
    assert_eq!(titles(None, "roast tea").await, Vec::<String>::new());
    // Renamed: by its old title it is found no more.
    storage
        .put_search_rows(CUSTOMER, &[row(3, "X", "Cocoa")])
        .await
        .unwrap();
    assert_eq!(titles(None, "tea").await, Vec::<String>::new());
    assert_eq!(titles(None, "cocoa").await, ["Cocoa"]);
    storage
        .remove_search_rows(CUSTOMER, "product", &[2])
        .await
        .unwrap();
    assert_eq!(titles(Some(CUSTOMER), "kh").await, ["KH roast"]);
    assert_eq!(storage.search(None, "kh", 1).await.unwrap().len(), 1);
    storage.put_search_rows(CUSTOMER, &[]).await.unwrap();
}

pub async fn an_alert_is_raised_once_until_it_is_cleared(place: &Place) {
    let storage = &place.storage;
    let new = NewAlert {
        dedupe: "shop/1/2/auth".into(),
        customer: Some(CUSTOMER),
        worker: None,
        kind: "auth".into(),
        title: "Web refuses our key".into(),
        detail: "401 since 09:14".into(),
        href: "/customers/1".into(),
        action: "Replace the key".into(),
        shop: None,
    };
    storage.raise_alert(&new, noon()).await.unwrap();
    storage.raise_alert(&new, after_ms(5)).await.unwrap();
    let open = storage.alerts().await.unwrap();
    assert_eq!(
        (open.len(), open[0].times, open[0].raised_at),
        (1, 2, noon())
    );
    assert!(storage.clear_alert(&new.dedupe, after_ms(9)).await.unwrap());
    assert!(!storage.clear_alert(&new.dedupe, after_ms(9)).await.unwrap());
    assert!(storage.alerts().await.unwrap().is_empty());
    storage.raise_alert(&new, after_ms(10)).await.unwrap();
    let open = storage.alerts().await.unwrap();
    assert_eq!((open[0].times, open[0].raised_at), (1, after_ms(10)));
}

pub async fn an_erasure_waits_until_it_is_done_and_then_says_of_whom_no_more(place: &Place) {
    let storage = &place.storage;
    let of = r#"{"email":"aino@example.com"}"#;
    let asked = storage
        .ask_for_erasure(CustomerId(7), of, "maija", noon())
        .await
        .unwrap();
    assert_eq!(asked.of.as_deref(), Some(of));
    assert!(!format!("{asked:?}").contains("aino"));
    assert_eq!(
        storage.open_erasures().await.unwrap(),
        std::slice::from_ref(&asked)
    );
    for orders in [3, 4] {
        storage
            .erasure_done(asked.id, orders, 1, after_ms(5))
            .await
            .unwrap();
    }
    assert!(storage.open_erasures().await.unwrap().is_empty());
    let done = storage.erasure(asked.id).await.unwrap().unwrap();
    assert_eq!((done.of, done.orders, done.unreadable), (None, 3, 1));
    assert_eq!(done.done_at, Some(after_ms(5)));
    storage.forget_erasure(asked.id).await.unwrap();
    assert_eq!(storage.erasure(asked.id).await.unwrap(), None);
}
