//! A customer that leaves this worker is released, whatever became of the worker meanwhile: nobody else gets it before.

use crate::shop::CUSTOMER;
use crate::sync::{stage, units};
use lockstep_model::Epoch;
use lockstep_protocol::lease::HeldLease;
use lockstep_worker::start;

#[tokio::test]
async fn r2_a_release_is_said_again_until_it_is_taken() {
    let stage = stage(true).await;
    let worker = start(stage.config_at(stage.place.path())).await.unwrap();
    stage
        .until("the first sync", |stage| stage.units("KH-5") == units(10))
        .await;
    stage.coordinator.with(|mind| mind.refuses_releases = 3);
    stage.coordinator.remove(CUSTOMER);
    stage
        .coordinator
        .until("it is released at the fourth time", |mind| {
            mind.released == [CUSTOMER]
        })
        .await;
    worker.shutdown().await.unwrap();
}

#[tokio::test]
async fn r2_a_customer_that_left_while_its_worker_was_away_is_released_at_its_next_start() {
    let stage = stage(true).await;
    let worker = start(stage.config_at(stage.place.path())).await.unwrap();
    stage
        .until("the first sync", |stage| stage.units("KH-5") == units(10))
        .await;
    worker.shutdown().await.unwrap();
    stage.coordinator.remove(CUSTOMER);
    let worker = start(stage.config_at(stage.place.path())).await.unwrap();
    stage
        .coordinator
        .until("it is released", |mind| mind.released == [CUSTOMER])
        .await;
    worker.shutdown().await.unwrap();
}

#[tokio::test]
async fn r2_what_the_worker_knows_nothing_of_and_is_said_to_own_is_released() {
    let stage = stage(true).await;
    let worker = start(stage.config_at(stage.place.path())).await.unwrap();
    stage
        .until("the first sync", |stage| stage.units("KH-5") == units(10))
        .await;
    // It let go of it and died before it could say so, or lost its disk.
    let stranger = HeldLease {
        customer_id: lockstep_model::CustomerId(77),
        epoch: Epoch(4),
    };
    stage.coordinator.with(|mind| mind.leaving = vec![stranger]);
    stage
        .coordinator
        .until("it is released", |mind| mind.leaving.is_empty())
        .await;
    stage
        .coordinator
        .with(|mind| assert_eq!(mind.released, [stranger.customer_id]));
    // The one that it works for goes on.
    stage.mall.with(crate::shop::WEB, |shop| shop.buy("KH-5"));
    stage
        .coordinator
        .wake(CUSTOMER, crate::shop::WEB, lockstep_model::Flow::Orders);
    stage
        .until("it still syncs", |stage| stage.units("KH-5") == units(9))
        .await;
    worker.shutdown().await.unwrap();
}
