//! Webhooks that are deleted or switched off in a shop; and hooks that tell of nothing new.

use crate::coordinator::FakeCoordinator;
use crate::shop::{CUSTOMER, ERP, WEB};
use crate::sync::{Stage, stage, units};
use lockstep_model::Flow;
use lockstep_protocol::asks::Question;
use lockstep_protocol::status::HooksSeen;
use lockstep_worker::{RunningWorker, start};
use std::time::Duration;

const URL: &str = "http://127.0.0.1:1/hooks/v1/1/2/k";

async fn registered(stage: &Stage) -> RunningWorker {
    let mut config = stage.config_at(stage.place.path());
    config.hooks_looked_at = Duration::from_millis(100);
    let worker = start(config).await.unwrap();
    stage
        .until("the first sync", |stage| stage.units("KH-5") == units(10))
        .await;
    let hooks = Question::Hooks {
        shop_id: WEB,
        url: Some(URL.into()),
    };
    let ask = stage.coordinator.ask(Some(CUSTOMER), hooks);
    stage.coordinator.answer(ask).await;
    worker
}

/// The first look of which this is so, as it was told.
async fn told(coordinator: &FakeCoordinator, what: &str, is_so: impl Fn(&HooksSeen) -> bool) {
    coordinator
        .until(what, |mind| {
            let mut seen = mind.reports.iter().flat_map(|report| &report.hooks);
            seen.any(|seen| seen.shop_id == WEB && is_so(seen))
        })
        .await;
}

#[tokio::test]
async fn x6_a_webhook_that_was_deleted_in_the_shop_is_registered_again_and_said() {
    let stage = stage(false).await;
    let worker = registered(&stage).await;
    told(&stage.coordinator, "it is read from the shop", |seen| {
        seen.hooks.len() == 2 && seen.hooks.iter().all(|hook| hook.active)
    })
    .await;
    let gone = stage.mall.with(WEB, |shop| shop.hooks.remove(0).topic);
    // Nobody is told of this one.
    stage.mall.with(WEB, |shop| shop.buy("KH-5"));
    told(&stage.coordinator, "it says so", |seen| {
        seen.mended == [gone.clone()] && seen.problem.is_none()
    })
    .await;
    stage.mall.with(WEB, |shop| assert_eq!(shop.hooks.len(), 2));
    stage
        .until("what was missed is looked at", |stage| {
            stage.units("KH-5") == units(9)
        })
        .await;
    worker.shutdown().await.unwrap();
}

#[tokio::test]
async fn x6_a_webhook_that_was_switched_off_in_the_shop_is_switched_on_again() {
    let stage = stage(false).await;
    let worker = registered(&stage).await;
    let topic = stage.mall.with(WEB, |shop| {
        let topic = shop.hooks[1].topic.clone();
        shop.sleeping_hooks.insert(topic.clone());
        topic
    });
    told(&stage.coordinator, "it says so", |seen| {
        seen.mended == [topic.clone()]
    })
    .await;
    stage
        .mall
        .with(WEB, |shop| assert!(shop.sleeping_hooks.is_empty()));
    worker.shutdown().await.unwrap();
}

#[tokio::test]
async fn r10_many_wakes_that_find_nothing_make_a_few_runs_and_a_true_one_is_followed() {
    let stage = stage(false).await;
    let worker = start(stage.config_at(stage.place.path())).await.unwrap();
    stage
        .until("the first sync", |stage| stage.units("KH-5") == units(10))
        .await;
    let runs = || {
        stage.coordinator.with(|mind| {
            let runs = mind.reports.iter().flat_map(|report| &report.runs);
            runs.map(|run| run.run).max().map_or(0, |run| run.0)
        })
    };
    let before = runs();
    // Each is handed on before the next is raised.
    for _ in 0..60 {
        let polls = stage.coordinator.with(|mind| mind.polls);
        stage.coordinator.wake(CUSTOMER, WEB, Flow::Orders);
        stage
            .coordinator
            .until("it was polled", |mind| mind.polls > polls)
            .await;
    }
    stage.mall.with(WEB, |shop| shop.buy("KH-5"));
    stage.coordinator.wake(CUSTOMER, WEB, Flow::Orders);
    stage
        .until("the order is seen", |stage| stage.units("KH-5") == units(9))
        .await;
    let made = runs() - before;
    assert!(made <= 12, "{made} runs for 60 hooks that told of nothing");
    stage
        .mall
        .with(ERP, |shop| assert_eq!(shop.orders.len(), 1));
    worker.shutdown().await.unwrap();
}
