//! Questions to workers, since only they talk to shops.

use crate::{
    worker::TestWorker,
    world::{World, kahvila},
};
use lockstep_model::{
    Fault, FaultKind, ShopIdentity,
    settings::{OnWire, Service},
};
use lockstep_protocol::{
    Code,
    asks::{Answer, Ask, Question, ShopAsked},
    paths::{fill, people, worker as paths},
    people::{
        plan::{ApplyPlanReply, ApplyPlanRequest},
        shops::{CheckReply, CheckRequest, ListsReply},
    },
};
use serde_json::Value;

async fn next_ask(worker: &mut TestWorker) -> Ask {
    loop {
        if let Some(ask) = worker.news().await.asks.pop() {
            return ask;
        }
    }
}

async fn reply(worker: &TestWorker, ask: &Ask, answer: &Answer) {
    let path = fill(paths::ASK, &[&ask.id]);
    let _: Value = worker.post(&path, answer).await.unwrap();
}

fn unsaved() -> CheckRequest {
    let service = kahvila(1).services.remove(0);
    CheckRequest {
        customer_id: None,
        service: OnWire(service),
    }
}

#[tokio::test]
async fn a_shop_that_is_not_saved_yet_is_checked_by_any_worker_with_the_platform() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    worker.news_or_nothing().await;
    let identity = ShopIdentity {
        name: "The ERP".into(),
        ..ShopIdentity::default()
    };
    let request = unsaved();
    let asked = world.post::<CheckReply>(people::SHOP_CHECK, &request);
    let answered = async {
        let ask = next_ask(&mut worker).await;
        let Question::Check {
            shop: ShopAsked::Given(service),
        } = &ask.question
        else {
            panic!("{ask:?}")
        };
        assert_eq!(
            service.0.credential("token").unwrap().reveal(),
            "s3cret-of-the-shop"
        );
        let identity = Box::new(identity.clone());
        reply(&worker, &ask, &Answer::Checked { identity }).await;
        // A second answer changes nothing and is no error.
        let fault = Fault::new(FaultKind::Auth, "late");
        reply(&worker, &ask, &Answer::Failed { fault }).await;
    };
    let (shown, ()) = tokio::join!(asked, answered);
    let CheckReply::Works { identity: shown } = shown.unwrap() else {
        panic!()
    };
    assert_eq!(*shown, identity);
}

#[tokio::test]
async fn a_shop_that_refuses_is_an_answer() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    worker.news_or_nothing().await;
    let request = unsaved();
    let asked = world.post::<CheckReply>(people::SHOP_CHECK, &request);
    let answered = async {
        let ask = next_ask(&mut worker).await;
        let fault = Fault::new(FaultKind::Auth, "the shop does not know this key");
        reply(&worker, &ask, &Answer::Failed { fault }).await;
    };
    let (shown, ()) = tokio::join!(asked, answered);
    let CheckReply::Fails { fault } = shown.unwrap() else {
        panic!()
    };
    assert_eq!(fault.kind, FaultKind::Auth);
}

#[tokio::test]
async fn without_a_worker_the_person_is_told_at_once() {
    let world = World::new().await;
    let problem = world
        .post::<CheckReply>(people::SHOP_CHECK, &unsaved())
        .await
        .unwrap_err();
    assert_eq!((problem.status, problem.code), (503, Code::NoWorker));
    world.apply(&kahvila(1)).await;
    let path = fill(people::SHOP_LISTS, &[&1, &1]);
    let problem = world.get::<ListsReply>(&path).await.unwrap_err();
    assert_eq!(problem.code, Code::NoWorker);
}

#[tokio::test]
async fn a_saved_shops_secret_is_used_unless_its_address_was_changed() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    world.apply(&kahvila(1)).await;
    worker.news().await;
    let mut service: Service = kahvila(1).services.remove(0);
    service.credentials.insert("token".into(), None);
    let mut request = CheckRequest {
        customer_id: Some(lockstep_model::CustomerId(1)),
        service: OnWire(service),
    };
    let asked = world.post::<CheckReply>(people::SHOP_CHECK, &request);
    let answered = async {
        let ask = next_ask(&mut worker).await;
        let Question::Check {
            shop: ShopAsked::Given(service),
        } = &ask.question
        else {
            panic!("{ask:?}")
        };
        assert_eq!(
            service.0.credential("token").unwrap().reveal(),
            "s3cret-of-the-shop"
        );
        let fault = Fault::new(FaultKind::Unavailable, "it is not there");
        reply(&worker, &ask, &Answer::Failed { fault }).await;
    };
    let (shown, ()) = tokio::join!(asked, answered);
    shown.unwrap();
    request.service.0.url = "http://127.0.0.1:10".into();
    let problem = world
        .post::<CheckReply>(people::SHOP_CHECK, &request)
        .await
        .unwrap_err();
    assert_eq!(problem.code, Code::BadRequest);
}

#[tokio::test]
async fn a_plan_that_cannot_be_applied_says_how_the_shop_failed() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    world.apply(&kahvila(1)).await;
    worker.news().await;
    let request = ApplyPlanRequest { plan: "p1".into() };
    let path = fill(people::PLAN_APPLY, &[&1]);
    let asked = world.post::<ApplyPlanReply>(&path, &request);
    let answered = async {
        let ask = next_ask(&mut worker).await;
        let fault = Fault::new(FaultKind::Conflict, "the plan is too old");
        reply(&worker, &ask, &Answer::Failed { fault }).await;
    };
    let (shown, ()) = tokio::join!(asked, answered);
    let problem = shown.unwrap_err();
    assert_eq!((problem.status, problem.code), (502, Code::ShopFailed));
    assert_eq!(problem.fault.unwrap().message, "the plan is too old");
}
