//! Who has a customer: the only worker, a pin, a move by hand.

use crate::{
    worker::{TestWorker, opened, segment},
    world::{World, kahvila},
};
use lockstep_journal::Journal;
use lockstep_model::{CustomerId, Epoch};
use lockstep_protocol::{
    Code,
    headers::{LEASE_UNTIL_MS, WORKER_INSTANCE},
    lease::{HeldLease, LeaseReply, LeaseRequest},
    paths::{fill, people, worker as paths},
    people::customers::{CustomerView, Owner, OwnerRequest},
    people::workers::{WorkerState, WorkerStateRequest, WorkerView},
};

const CUSTOMER: CustomerId = CustomerId(1);

async fn give(world: &World, to: &TestWorker, gone: Option<&str>) -> Result<Option<Owner>, Code> {
    let request = OwnerRequest {
        worker_id: to.id,
        the_machine_is_gone: gone.map(ToOwned::to_owned),
    };
    let path = fill(people::CUSTOMER_OWNER, &[&CUSTOMER]);
    world
        .put(&path, &request, None)
        .await
        .map_err(|problem| problem.code)
}

#[tokio::test]
async fn the_only_worker_gets_what_is_saved_before_and_after_it_is_confirmed() {
    let world = World::new().await;
    world.apply(&kahvila(1)).await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    world.apply(&kahvila(2)).await;
    assert_eq!(worker.news().await.upserts.len(), 2);
}

async fn owner_of(world: &World, customer: u64) -> Option<lockstep_model::WorkerId> {
    let path = fill(people::CUSTOMER, &[&customer]);
    let view: CustomerView = world.get(&path).await.unwrap();
    view.row.owner.map(|owner| owner.worker_id)
}

#[tokio::test]
async fn r3_a_customer_that_nobody_has_goes_to_the_worker_with_the_fewest() {
    let world = World::new().await;
    let mut one = TestWorker::confirmed(&world, "one").await;
    let mut two = TestWorker::confirmed(&world, "two").await;
    one.news_or_nothing().await;
    two.news_or_nothing().await;
    for id in 1..=4 {
        world.apply(&kahvila(id)).await;
    }
    one.news().await;
    two.news().await;
    assert_eq!((one.held.customers.len(), two.held.customers.len()), (2, 2));
    // A third that comes later gets what comes later.
    let mut three = TestWorker::confirmed(&world, "three").await;
    three.news_or_nothing().await;
    world.apply(&kahvila(5)).await;
    assert_eq!(owner_of(&world, 5).await, Some(three.id));
}

async fn set_state(world: &World, worker: &TestWorker, state: WorkerState) {
    let request = WorkerStateRequest {
        state,
        name: Some(worker.name.clone()),
    };
    let path = fill(people::WORKER_STATE, &[&worker.id]);
    let _: WorkerView = world.post(&path, &request).await.unwrap();
}

#[tokio::test]
async fn r3_who_is_removed_leaves_its_customers_to_the_others_and_who_is_suspended_gets_none() {
    let world = World::new().await;
    let mut one = TestWorker::confirmed(&world, "one").await;
    let mut two = TestWorker::confirmed(&world, "two").await;
    one.news_or_nothing().await;
    two.news_or_nothing().await;
    for id in 1..=4 {
        world.apply(&kahvila(id)).await;
    }
    let mut owned = 0;
    for id in 1..=4 {
        owned += usize::from(owner_of(&world, id).await == Some(one.id));
    }
    assert!(owned > 0, "who is removed has customers");
    let removed = WorkerState::Gone;
    set_state(&world, &one, removed).await;
    for id in 1..=4 {
        assert_eq!(owner_of(&world, id).await, Some(two.id), "customer {id}");
    }
    set_state(&world, &two, WorkerState::Suspended).await;
    world.apply(&kahvila(5)).await;
    assert_eq!(owner_of(&world, 5).await, None);
    set_state(&world, &two, WorkerState::Active).await;
    assert_eq!(owner_of(&world, 5).await, Some(two.id));
}

#[tokio::test]
async fn r2_who_is_told_to_let_go_is_told_again_until_it_has() {
    let world = World::new().await;
    let mut one = TestWorker::confirmed(&world, "one").await;
    let mut two = TestWorker::confirmed(&world, "two").await;
    one.news_or_nothing().await;
    world.apply(&kahvila(1)).await;
    one.news().await;
    two.news_or_nothing().await;
    let epoch = one.epoch(CUSTOMER);
    assert!(one.lease().await.leaving.is_empty());
    give(&world, &two, None).await.unwrap();
    // It has applied that, died before it released, and knows of nothing any more.
    one.news().await;
    let held = HeldLease {
        customer_id: CUSTOMER,
        epoch,
    };
    for _ in 0..2 {
        assert_eq!(one.lease().await.leaving, [held]);
    }
    one.release(CUSTOMER, epoch).await;
    assert!(one.lease().await.leaving.is_empty());
    assert_eq!(two.news().await.upserts.len(), 1);
}

#[tokio::test]
async fn r2_what_was_given_away_and_back_stays_with_its_worker() {
    let world = World::new().await;
    let mut one = TestWorker::confirmed(&world, "one").await;
    let mut two = TestWorker::confirmed(&world, "two").await;
    one.news_or_nothing().await;
    world.apply(&kahvila(1)).await;
    one.news().await;
    two.news_or_nothing().await;
    let epoch = one.epoch(CUSTOMER);
    give(&world, &two, None).await.unwrap();
    assert_eq!(one.news().await.removed, [CUSTOMER]);
    give(&world, &one, None).await.unwrap();
    // Its release of the first time comes now.
    one.release(CUSTOMER, epoch).await;
    assert_eq!(owner_of(&world, 1).await, Some(one.id));
    while one.held.customers.is_empty() || one.epoch(CUSTOMER) == epoch {
        one.news().await;
    }
}

#[tokio::test]
async fn a_move_tells_the_old_owner_first_and_the_new_one_after_the_release() {
    let world = World::new().await;
    let mut one = TestWorker::confirmed(&world, "one").await;
    world.apply(&kahvila(1)).await;
    one.news().await;
    let mut two = TestWorker::confirmed(&world, "two").await;
    two.news_or_nothing().await;
    let epoch = one.epoch(CUSTOMER);
    let mut journal = Journal::in_memory(CUSTOMER).unwrap();
    let first = segment(&mut journal, vec![opened(CUSTOMER, one.id, epoch)]);
    one.send(&first).await.unwrap();

    give(&world, &two, None).await.unwrap();
    assert_eq!(one.news().await.removed, [CUSTOMER]);
    assert!(one.held.customers.is_empty());
    assert!(matches!(
        two.poll(0).await.unwrap(),
        crate::worker::Polled::Unchanged
    ));

    assert!(one.release(CUSTOMER, epoch).await.lost.is_empty());
    let reply = two.news().await;
    assert_eq!(reply.upserts[0].customer_id, CUSTOMER);
    assert!(reply.upserts[0].epoch > epoch);

    // What the old owner still has to say comes too late; the new one reads what was acknowledged.
    let late = segment_after(&mut journal, &first);
    let problem = one.send(&late).await.unwrap_err();
    assert_eq!((problem.status, problem.code), (412, Code::OldEpoch));
    assert!(!two.journal(CUSTOMER, 0).await.unwrap().is_empty());
    assert_eq!(one.release(CUSTOMER, epoch).await.lost.len(), 1);
}

fn segment_after(
    journal: &mut Journal,
    first: &lockstep_journal::Segment,
) -> lockstep_journal::Segment {
    crate::worker::acknowledge(journal, first);
    let body = lockstep_model::entry::Body::RunStarted {
        run: lockstep_model::RunId(1),
        lane: lockstep_model::Lane::Trade,
        revision: lockstep_model::Revision(1),
        causes: vec![],
    };
    segment(journal, vec![body])
}

#[tokio::test]
async fn a_machine_that_is_gone_loses_its_customer_and_its_token_at_once() {
    let world = World::new().await;
    let mut one = TestWorker::confirmed(&world, "one").await;
    world.apply(&kahvila(1)).await;
    one.news().await;
    let mut two = TestWorker::confirmed(&world, "two").await;
    two.news_or_nothing().await;
    assert_eq!(give(&world, &two, Some("no")).await, Err(Code::Conflict));
    let owner = give(&world, &two, Some("one")).await.unwrap().unwrap();
    assert_eq!(owner.worker_id, two.id);
    assert_eq!(two.news().await.upserts.len(), 1);
    assert!(two.epoch(CUSTOMER) > one.epoch(CUSTOMER));
    assert_eq!(one.poll(0).await.unwrap_err().status, 401);
}

#[tokio::test]
async fn a_pin_in_the_settings_is_kept() {
    let world = World::new().await;
    let one = TestWorker::confirmed(&world, "one").await;
    let mut two = TestWorker::confirmed(&world, "two").await;
    let mut settings = kahvila(1);
    settings.customer.worker_id = Some(two.id);
    world.apply(&settings).await;
    assert_eq!(two.news().await.upserts.len(), 1);
    assert_eq!(give(&world, &one, None).await, Err(Code::Conflict));
}

#[tokio::test]
async fn a_lease_is_renewed_with_its_deadline_and_names_what_was_lost() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    world.apply(&kahvila(1)).await;
    worker.news().await;
    let held = |customer_id, epoch| HeldLease { customer_id, epoch };
    let request = LeaseRequest {
        have: vec![
            held(CUSTOMER, worker.epoch(CUSTOMER)),
            held(CUSTOMER, Epoch(99)),
            held(CustomerId(5), Epoch(1)),
        ],
        comes_by: false,
    };
    let response = world
        .client
        .post(world.url(paths::LEASE))
        .bearer_auth(&worker.token)
        .header(WORKER_INSTANCE, worker.instance.to_string())
        .json(&request)
        .send()
        .await
        .unwrap();
    let until: i64 = response.headers()[LEASE_UNTIL_MS]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    let reply: LeaseReply = response.json().await.unwrap();
    let left = until - reply.server_time.as_millisecond();
    assert_eq!(left, 15_000);
    assert_eq!(reply.lost, request.have[1..]);
}
