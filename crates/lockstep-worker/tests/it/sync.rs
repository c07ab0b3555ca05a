//! Whole rounds: two shops in memory, a coordinator that may be away, a worker that may lose its disk.

use crate::coordinator::{FakeCoordinator, Mind};
use crate::shop::{CUSTOMER, ERP, Mall, WEB, settings};
use lockstep_connector::Registry;
use lockstep_model::entry::RunResult;
use lockstep_model::settings::{Assortment, CustomerSettings, PriceRule, Tax};
use lockstep_model::{FaultKind, Flow, RunId};
use lockstep_protocol::Code;
use lockstep_protocol::asks::{Answer, Question, ShopAsked};
use lockstep_protocol::people::plan::{Plan, Preview};
use lockstep_protocol::status::ApplyState;
use lockstep_worker::{Exit, Reach, SyncOutcome, WorkerConfig, start, sync_once};
use rust_decimal::Decimal;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Semaphore;

pub struct Stage {
    pub coordinator: FakeCoordinator,
    pub mall: Mall,
    pub place: tempfile::TempDir,
}

pub async fn stage(movable: bool) -> Stage {
    let coordinator = FakeCoordinator::start().await;
    coordinator.with(|mind| mind.confirms_by_itself = true);
    coordinator.set(settings(movable));
    let mall = Mall::default();
    mall.with(ERP, |shop| {
        for n in 1..=5 {
            shop.add(&format!("KH-{n}"), 10 + n, 10);
        }
    });
    Stage {
        coordinator,
        mall,
        place: tempfile::tempdir().unwrap(),
    }
}

impl Stage {
    fn config(&self) -> WorkerConfig {
        self.config_at(self.place.path())
    }

    pub fn config_at(&self, data: &Path) -> WorkerConfig {
        let registry = Registry::new(vec![Arc::new(self.mall.clone())]);
        WorkerConfig {
            reach: Reach::loopback(),
            ..WorkerConfig::new(self.coordinator.url.clone(), data, registry)
        }
    }

    pub async fn round(&self) -> SyncOutcome {
        sync_once(self.config()).await
    }

    /// Rounds until one has nothing to write.
    pub async fn settle(&self) {
        for _ in 0..10 {
            let before = self.pushes();
            let outcome = self.round().await;
            assert!(
                matches!(outcome.exit, Exit::Done | Exit::Failed),
                "{outcome:?}"
            );
            if outcome.exit == Exit::Done && self.pushes() == before {
                return;
            }
        }
        panic!("ten rounds and still something to write");
    }

    pub fn pushes(&self) -> usize {
        [ERP, WEB]
            .map(|shop| self.mall.with(shop, |shop| shop.pushes))
            .iter()
            .sum()
    }

    pub fn units(&self, sku: &str) -> [Option<Decimal>; 2] {
        [ERP, WEB].map(|shop| self.mall.with(shop, |shop| shop.units(sku)))
    }

    /// Waits for the shops, which tell nobody: looks again whenever the coordinator hears something.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Stage) -> bool) {
        self.coordinator.until(what, |_| is_so(self)).await;
    }
}

pub fn units(n: i64) -> [Option<Decimal>; 2] {
    [Some(Decimal::from(n)); 2]
}

#[tokio::test]
async fn products_and_stock_cross_and_a_second_round_writes_nothing() {
    for movable in [false, true] {
        let stage = stage(movable).await;
        stage.settle().await;
        stage
            .mall
            .with(WEB, |shop| assert_eq!(shop.products.len(), 5));
        for n in 1..=5 {
            assert_eq!(
                stage.units(&format!("KH-{n}")),
                units(10),
                "movable: {movable}"
            );
        }
        let before = stage.pushes();
        let outcome = stage.round().await;
        assert_eq!(outcome.exit, Exit::Done, "{outcome:?}");
        assert!(outcome.customers[0].shipped);
        assert_eq!(stage.pushes(), before);
    }
}

#[tokio::test]
async fn an_order_lowers_the_stock_everywhere_and_crosses_once() {
    let stage = stage(true).await;
    stage.settle().await;
    stage.mall.with(WEB, |shop| shop.buy("KH-1"));
    stage.mall.with(ERP, |shop| shop.lost_replies = 1);
    stage.settle().await;
    assert_eq!(stage.units("KH-1"), units(9));
    stage
        .mall
        .with(ERP, |shop| assert_eq!(shop.orders.len(), 1));
}

#[tokio::test]
async fn a_live_worker_follows_a_wake_at_once() {
    let stage = stage(true).await;
    let worker = start(stage.config()).await.unwrap();
    stage
        .until("the first sync", |stage| stage.units("KH-5") == units(10))
        .await;
    stage.mall.with(WEB, |shop| shop.buy("KH-2"));
    let bought = std::time::Instant::now();
    stage.coordinator.wake(CUSTOMER, WEB, Flow::Orders);
    stage
        .until("the order is in the ERP", |stage| {
            stage.mall.with(ERP, |shop| shop.orders.len() == 1) && stage.units("KH-2") == units(9)
        })
        .await;
    assert!(bought.elapsed().as_secs() < 5, "{:?}", bought.elapsed());
    stage
        .coordinator
        .until("the run was told of", |mind| {
            let mut runs = mind.reports.iter().flat_map(|report| &report.runs);
            runs.any(|run| run.result == Some(RunResult::Done) && run.cause.contains("woken"))
        })
        .await;
    stage
        .coordinator
        .until("the wake was reported as acted on", |mind| {
            mind.reports
                .iter()
                .any(|report| !report.acted.wakes.is_empty())
        })
        .await;
    worker.shutdown().await.unwrap();
    // A restart keeps the customer.
    stage
        .coordinator
        .with(|mind| assert!(mind.released.is_empty()));
}

#[tokio::test]
async fn a_movable_customer_writes_nothing_that_the_coordinator_has_not_acknowledged() {
    let stage = stage(true).await;
    stage.coordinator.with(|mind| {
        mind.takes_no_segments = true;
        mind.lease_ms = 9_000;
    });
    let worker = start(stage.config()).await.unwrap();
    stage
        .coordinator
        .until("it waits for the acknowledgement", |mind| {
            let mut runs = mind.reports.iter().flat_map(|report| &report.runs);
            runs.any(|run| run.phase == lockstep_protocol::status::Phase::WriteAhead)
        })
        .await;
    assert_eq!(stage.pushes(), 0);
    stage
        .coordinator
        .with(|mind| mind.takes_no_segments = false);
    stage
        .until("it goes on", |stage| stage.units("KH-5") == units(10))
        .await;
    worker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_pinned_customer_goes_on_while_the_coordinator_is_away_and_ships_later() {
    let mut stage = stage(false).await;
    stage.settle().await;
    stage.coordinator.go_away().await;
    stage.mall.with(WEB, |shop| shop.buy("KH-3"));
    let outcome = stage.round().await;
    assert_eq!(outcome.exit, Exit::CouldNotReach, "{outcome:?}");
    assert_eq!(stage.units("KH-3"), units(9));
    stage
        .mall
        .with(ERP, |shop| assert_eq!(shop.orders.len(), 1));
    let shipped = stage
        .coordinator
        .with(|mind| mind.journals[&CUSTOMER].len());
    stage.coordinator.come_back().await;
    let outcome = stage.round().await;
    assert!(outcome.customers[0].shipped, "{outcome:?}");
    stage
        .coordinator
        .with(|mind| assert!(mind.journals[&CUSTOMER].len() > shipped));
}

#[tokio::test]
async fn a_movable_customer_writes_nothing_while_the_coordinator_is_away() {
    let mut stage = stage(true).await;
    stage.settle().await;
    stage.coordinator.go_away().await;
    stage.mall.with(WEB, |shop| shop.buy("KH-3"));
    let before = stage.pushes();
    stage.round().await;
    assert_eq!(stage.pushes(), before);
    stage.coordinator.come_back().await;
    stage.settle().await;
    assert_eq!(stage.units("KH-3"), units(9));
}

#[tokio::test]
async fn a_fresh_worker_takes_over_from_the_coordinators_journal() {
    let stage = stage(true).await;
    stage.settle().await;
    stage.mall.with(WEB, |shop| shop.buy("KH-4"));
    stage.settle().await;
    let writes = stage.pushes();
    stage.coordinator.next_epoch(CUSTOMER);
    let other = tempfile::tempdir().unwrap();
    let outcome = sync_once(stage.config_at(other.path())).await;
    assert_eq!(outcome.exit, Exit::Done, "{outcome:?}");
    assert_eq!(
        stage.pushes(),
        writes,
        "the new worker knows what the old one knew"
    );
    assert_eq!(stage.units("KH-4"), units(9));

    // The old one comes back with its disk: it is behind, and its own chain still fits.
    stage.coordinator.next_epoch(CUSTOMER);
    let outcome = stage.round().await;
    assert_eq!(outcome.exit, Exit::Done, "{outcome:?}");
    assert_eq!(stage.pushes(), writes);
}

#[tokio::test]
async fn a_disk_whose_chain_forked_is_set_aside_and_the_coordinators_is_taken() {
    let mut stage = stage(false).await;
    stage.settle().await;
    // Something that the coordinator never hears of …
    stage.coordinator.go_away().await;
    stage.mall.with(ERP, |shop| shop.add("KH-6", 3, 3));
    stage.round().await;
    stage.coordinator.come_back().await;
    // … while another worker goes on.
    stage.coordinator.next_epoch(CUSTOMER);
    let other = tempfile::tempdir().unwrap();
    sync_once(stage.config_at(other.path())).await;
    stage.coordinator.next_epoch(CUSTOMER);
    stage.settle().await;
    let kept = std::fs::read_dir(stage.place.path().join("customers")).unwrap();
    let old = kept.filter(|file| {
        let name = file.as_ref().unwrap().file_name();
        name.to_string_lossy().ends_with(".old")
    });
    assert_eq!(old.count(), 1);
    assert_eq!(stage.units("KH-6"), units(3));
}

#[tokio::test]
async fn an_old_epoch_stops_the_customer_at_once() {
    let stage = stage(true).await;
    let worker = start(stage.config()).await.unwrap();
    stage
        .until("the first sync", |stage| stage.units("KH-5") == units(10))
        .await;
    stage.coordinator.next_epoch_in_secret(CUSTOMER);
    let writes = stage.pushes();
    stage.mall.with(WEB, |shop| shop.buy("KH-1"));
    stage.coordinator.wake(CUSTOMER, WEB, Flow::Orders);
    stage
        .coordinator
        .until("it says that it stopped", |mind| {
            let mut customers = mind.reports.iter().flat_map(|report| &report.customers);
            customers.any(|customer| customer.state == ApplyState::Failed)
        })
        .await;
    assert_eq!(stage.pushes(), writes);
    worker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_shop_that_is_down_is_named_at_the_run_and_the_rest_goes_on() {
    let stage = stage(false).await;
    stage
        .mall
        .with(WEB, |shop| shop.down = Some(FaultKind::Auth));
    let outcome = stage.round().await;
    assert_eq!(outcome.exit, Exit::NeedsPerson, "{outcome:?}");
    assert!(
        outcome.message.contains("the shop is down"),
        "{}",
        outcome.message
    );
    stage.mall.with(WEB, |shop| shop.down = None);
    stage.settle().await;
    assert_eq!(stage.units("KH-1"), units(10));
}

#[tokio::test]
async fn bad_settings_are_refused_by_name_and_the_good_ones_stay() {
    let stage = stage(false).await;
    let worker = start(stage.config()).await.unwrap();
    stage
        .until("the first sync", |stage| stage.units("KH-5") == units(10))
        .await;
    let mut bad = settings(false);
    bad.services[0].platform = "nobody-knows".into();
    stage.coordinator.set(bad);
    stage
        .coordinator
        .until("it says what is wrong", |mind| {
            let mut customers = mind.reports.iter().flat_map(|report| &report.customers);
            customers.any(|customer| {
                customer.state == ApplyState::Failed
                    && customer
                        .error
                        .as_ref()
                        .is_some_and(|error| error.contains("nobody-knows"))
            })
        })
        .await;
    stage.mall.with(WEB, |shop| shop.buy("KH-5"));
    stage.coordinator.wake(CUSTOMER, WEB, Flow::Orders);
    stage
        .until("it still syncs", |stage| stage.units("KH-5") == units(9))
        .await;
    stage.coordinator.remove(CUSTOMER);
    stage
        .coordinator
        .until("it let the customer go", |mind| {
            mind.released.contains(&CUSTOMER)
        })
        .await;
    worker.shutdown().await.unwrap();
}

#[tokio::test]
async fn c5_a_plan_that_is_asked_for_during_a_run_is_answered_at_once() {
    let stage = stage(false).await;
    let worker = start(stage.config()).await.unwrap();
    stage
        .until("the first sync", |stage| stage.units("KH-5") == units(10))
        .await;
    let gate = Arc::new(Semaphore::new(0));
    stage.mall.with(ERP, |shop| shop.gate = Some(gate.clone()));
    stage.coordinator.wake(CUSTOMER, ERP, Flow::Products);
    let goes_on = |mind: &Mind| {
        let mut runs = mind.reports.iter().flat_map(|report| &report.runs);
        runs.any(|run| run.cause.contains("woken for") && run.finished_at.is_none())
    };
    stage.coordinator.until("a run goes on", goes_on).await;
    let ask = stage.coordinator.ask(Some(CUSTOMER), everything());
    let Answer::RunGoesOn { run, detail } = stage.coordinator.answer(ask).await else {
        panic!("it was made behind a run that goes on")
    };
    assert!(
        detail.contains(&format!("run {run} (catalogue) goes on")),
        "{detail}"
    );
    // An undo neither, nor what a plan showed; and nothing of it is done behind people's backs.
    let undo = Question::Undo {
        run: RunId(1),
        dry: false,
        by: "Maija".into(),
    };
    let ask = stage.coordinator.ask(Some(CUSTOMER), undo);
    let answer = stage.coordinator.answer(ask).await;
    assert!(
        matches!(&answer, Answer::RunGoesOn { run: behind, .. } if *behind == run),
        "{answer:?}"
    );
    stage.mall.with(ERP, |shop| shop.gate = None);
    gate.add_permits(100);
    // Once it has ended a plan is made; and no other was, nor an undo.
    let plan = loop {
        if let Some(plan) = plan(&stage).await {
            break plan;
        }
    };
    assert!(plan.totals.is_in_step(), "{:?}", plan.totals);
    let undone = |mind: &Mind| {
        let mut runs = mind.reports.iter().flat_map(|report| &report.runs);
        runs.any(|run| run.cause.contains("undoes"))
    };
    assert!(!stage.coordinator.with(|mind| undone(mind)));
    worker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a5_a_plan_counts_the_orders_that_it_would_make() {
    let stage = stage(false).await;
    let worker = start(stage.config()).await.unwrap();
    stage
        .until("the first sync", |stage| stage.units("KH-5") == units(10))
        .await;
    // A run that was still due may be faster than the plan; after it there is none.
    let mut bought = 0;
    let plan = loop {
        let at_rest = loop {
            if let Some(plan) = plan(&stage).await
                && plan.totals.is_in_step()
            {
                break plan;
            }
        };
        assert_eq!(at_rest.counts.orders, 0, "{at_rest:?}");
        stage.mall.with(WEB, |shop| shop.buy("KH-5"));
        bought += 1;
        let pushes = stage.pushes();
        let plan = plan(&stage).await;
        match plan {
            Some(plan) if plan.counts.orders == 1 && stage.pushes() == pushes => break plan,
            _ => assert!(bought < 5, "no order is counted, or it is made: {plan:?}"),
        }
    };
    assert!(!plan.totals.is_in_step(), "{:?}", plan.totals);
    // Whoever applies it wants the order made now.
    let apply = Question::Apply {
        plan: plan.id,
        by: "Maija".into(),
    };
    let ask = stage.coordinator.ask(Some(CUSTOMER), apply);
    let answer = stage.coordinator.answer(ask).await;
    assert!(matches!(answer, Answer::Applied { .. }), "{answer:?}");
    let made = |stage: &Stage| stage.mall.with(ERP, |shop| shop.orders.len() == bought);
    stage.until("the order is made", made).await;
    worker.shutdown().await.unwrap();
}

/// A plan of everything.
fn everything() -> Question {
    Question::Plan {
        flows: vec![],
        shops: vec![],
        rows_max: 100,
        by: "Maija".into(),
    }
}

/// None while a run goes on.
async fn plan(stage: &Stage) -> Option<Plan> {
    let ask = stage.coordinator.ask(Some(CUSTOMER), everything());
    match stage.coordinator.answer(ask).await {
        Answer::Planned { plan } => Some(*plan),
        Answer::RunGoesOn { .. } => None,
        other => panic!("{other:?}"),
    }
}

async fn preview(stage: &Stage, proposed: &CustomerSettings) -> Preview {
    let preview = Question::Preview {
        settings: Box::new(proposed.clone()),
        rows_max: 100,
        by: "Maija".into(),
    };
    let ask = stage.coordinator.ask(Some(CUSTOMER), preview);
    match stage.coordinator.answer(ask).await {
        Answer::Previewed { preview } => *preview,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn e5_what_would_follow_from_settings_is_shown_before_they_are_saved() {
    let stage = stage(false).await;
    let worker = start(stage.config()).await.unwrap();
    let in_step = |stage: &Stage| stage.units("KH-5") == units(10);
    stage.until("the first sync", in_step).await;
    let pushes = stage.pushes();
    let as_it_is = preview(&stage, &settings(false)).await;
    assert!(as_it_is.is_nothing(), "{as_it_is:?}");
    let mut dearer = settings(false);
    for link in &mut dearer.customer_has_services {
        if link.service_id == WEB {
            link.transform.prices = vec![PriceRule {
                from: "EUR".into(),
                to: "EUR".into(),
                factor: Decimal::from(2),
                tax: Tax::default(),
                round: None,
            }];
        }
    }
    let shown = preview(&stage, &dearer).await;
    assert_eq!(shown.counts.update, 5, "every price there: {shown:?}");
    assert_eq!(
        (shown.before.writes, shown.after.writes),
        (0, 5),
        "{shown:?}"
    );
    assert!(shown.rows.iter().all(|row| row.shop == WEB), "{shown:?}");
    // A new product of a shop that picks its assortment is not made, and said to be left out.
    stage.mall.with(ERP, |shop| shop.add("KH-7", 5, 5));
    let mut narrow = settings(false);
    for link in &mut narrow.customer_has_services {
        link.assortment = Assortment::Linked;
    }
    stage.coordinator.set(narrow);
    stage.coordinator.wake(CUSTOMER, ERP, Flow::Products);
    let shown = loop {
        let shown = preview(&stage, &settings(false)).await;
        if shown.before.outside == 1 && shown.counts.writes() > 0 {
            break shown;
        }
    };
    assert_eq!(
        (shown.counts.create, shown.after.outside),
        (1, 0),
        "{shown:?}"
    );
    let mut off = settings(false);
    off.customer.enable_syncing = false;
    let shown = preview(&stage, &off).await;
    assert!(!shown.stopped_by.is_empty(), "{shown:?}");
    assert_eq!(stage.pushes(), pushes, "nothing is written");
    let folder = stage.place.path().join("customers");
    let left = std::fs::read_dir(folder).unwrap();
    let left = left.map(|file| file.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = left.filter(|name| name.contains("rehearsal")).collect();
    assert!(left.is_empty(), "{left:?}");
    worker.shutdown().await.unwrap();
}

#[tokio::test]
async fn b5_how_a_shop_is_is_told_from_its_last_call() {
    let stage = stage(false).await;
    let worker = start(stage.config()).await.unwrap();
    let is = |mind: &Mind, fails: bool| {
        let mut customers = mind.reports.iter().flat_map(|report| &report.customers);
        let newest = customers.rfind(|customer| customer.id == CUSTOMER);
        let shops = newest.map(|customer| customer.shops.as_slice());
        let web = shops.unwrap_or_default().iter();
        let mut web = web.filter(|shop| shop.shop == WEB);
        web.any(|shop| shop.failing.is_some() == fails && shop.answered_at.is_some())
    };
    stage
        .coordinator
        .until("it answers", |mind| is(mind, false))
        .await;
    stage
        .mall
        .with(WEB, |shop| shop.down = Some(FaultKind::Auth));
    stage.coordinator.wake(CUSTOMER, WEB, Flow::Orders);
    stage
        .coordinator
        .until("it refuses our key", |mind| is(mind, true))
        .await;
    stage.mall.with(WEB, |shop| shop.down = None);
    stage.coordinator.wake(CUSTOMER, WEB, Flow::Orders);
    stage
        .coordinator
        .until("it answers again", |mind| is(mind, false))
        .await;
    worker.shutdown().await.unwrap();
}

#[tokio::test]
async fn asks_are_answered_once_each() {
    let stage = stage(false).await;
    let worker = start(stage.config()).await.unwrap();
    stage
        .until("the first sync", |stage| stage.units("KH-5") == units(10))
        .await;
    let check = Question::Check {
        shop: ShopAsked::Saved(WEB),
    };
    let ask = stage.coordinator.ask(Some(CUSTOMER), check);
    let answer = stage.coordinator.answer(ask).await;
    assert!(matches!(answer, Answer::Checked { identity } if identity.name == "Shop 2"));

    let hooks = Question::Hooks {
        shop_id: WEB,
        url: Some("http://127.0.0.1:1/hooks/v1/1/2/k".into()),
    };
    let ask = stage.coordinator.ask(Some(CUSTOMER), hooks);
    let answer = stage.coordinator.answer(ask).await;
    assert!(matches!(answer, Answer::Hooks { hooks } if hooks.len() == 2));
    stage
        .mall
        .with(WEB, |shop| assert_eq!(shop.hooks[0].secret, "hush"));

    stage.mall.with(ERP, |shop| shop.add("KH-7", 5, 5));
    let plan = Question::Plan {
        flows: vec![],
        shops: vec![],
        rows_max: 100,
        by: "Maija".into(),
    };
    let pushes = stage.pushes();
    let ask = stage.coordinator.ask(Some(CUSTOMER), plan);
    let answer = stage.coordinator.answer(ask).await;
    let Answer::Planned { plan } = answer else {
        panic!("{answer:?}")
    };
    assert!(
        plan.rows.iter().any(|row| row.key.contains("KH-7")),
        "{plan:?}"
    );
    assert_eq!(stage.pushes(), pushes);

    let apply = |plan: String| Question::Apply {
        plan,
        by: "Maija".into(),
    };
    let unknown = format!("{CUSTOMER}-999999");
    let ask = stage.coordinator.ask(Some(CUSTOMER), apply(unknown));
    let answer = stage.coordinator.answer(ask).await;
    assert!(
        matches!(&answer, Answer::Failed { fault } if fault.message.contains("make a new plan")),
        "{answer:?}"
    );
    let ask = stage.coordinator.ask(Some(CUSTOMER), apply(plan.id));
    let answer = stage.coordinator.answer(ask).await;
    assert!(matches!(answer, Answer::Applied { .. }), "{answer:?}");
    worker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_refusal_stops_the_writes_of_a_pinned_customer_too() {
    let stage = stage(false).await;
    let worker = start(stage.config()).await.unwrap();
    stage
        .until("the first sync", |stage| stage.units("KH-5") == units(10))
        .await;
    let writes = stage.pushes();
    stage
        .coordinator
        .with(|mind| mind.refuses_polls = Some(Code::Suspended));
    let mut state = worker.state();
    let refused =
        state.wait_for(|state| matches!(state, lockstep_worker::WorkerState::Refused { .. }));
    tokio::time::timeout(std::time::Duration::from_secs(30), refused)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stage.pushes(), writes);
    worker.shutdown().await.unwrap();
}
