//! The people's API: who may, what is refused, what is never shown.

use crate::world::{World, answer, kahvila};
use jiff::{SignedDuration, Timestamp};
use lockstep_model::settings::OnWire;
use lockstep_protocol::{
    Code,
    auth::Bearer,
    paths::{fill, people},
    people::{
        NeedKind, Overview, Page,
        customers::{ApplyReply, CustomerRow, CustomerView},
        login::{LoginReply, LoginRequest, Me, Role},
    },
};
use serde_json::{Value, json};

#[tokio::test]
async fn a_login_is_needed_and_ends() {
    let world = World::new().await;
    let me = || world.client.get(world.url(people::ME));
    let problem = answer::<Me>(me()).await.unwrap_err();
    assert_eq!((problem.status, problem.code), (401, Code::LoginRequired));
    let mut request = LoginRequest {
        name: world.login.user.clone(),
        password: Bearer::new("guessed"),
        label: "laptop".into(),
    };
    let log_in = |request: &LoginRequest| world.client.post(world.url(people::LOGIN)).json(request);
    let problem = answer::<LoginReply>(log_in(&request)).await.unwrap_err();
    assert_eq!(problem.code, Code::LoginRequired);
    request.password = Bearer::new(world.login.password.clone());
    let reply: LoginReply = answer(log_in(&request)).await.unwrap();
    assert_eq!(
        (reply.me.role, reply.me.customer_id),
        (Role::Operator, None)
    );
    let token = reply.token.reveal();
    let me_again: Me = answer(me().bearer_auth(token)).await.unwrap();
    assert_eq!(me_again, reply.me);
    let out = world
        .client
        .post(world.url(people::LOGOUT))
        .bearer_auth(token);
    answer::<Value>(out).await.unwrap();
    assert_eq!(
        answer::<Me>(me().bearer_auth(token))
            .await
            .unwrap_err()
            .code,
        Code::BadToken
    );
}

#[tokio::test]
async fn many_attempts_from_one_address_are_slowed_down() {
    let world = World::new().await;
    let mut last = None;
    for _ in 0..40 {
        let request = json!({"name": "operator", "password": ""});
        // Too many are refused before the password is looked at, so this is soon over.
        let response = world.client.post(world.url(people::LOGIN)).json(&request);
        let problem = answer::<LoginReply>(response).await.unwrap_err();
        last = Some(problem.code);
        if last == Some(Code::TooManyRequests) {
            break;
        }
    }
    assert_eq!(last, Some(Code::TooManyRequests));
}

#[tokio::test]
async fn settings_that_are_not_sound_are_refused_with_their_places() {
    let world = World::new().await;
    let mut wrong = kahvila(1);
    wrong.services[0].platform = "prestashop9".into();
    let path = fill(people::CUSTOMER, &[&1]);
    let problem = world
        .put::<ApplyReply>(&path, &OnWire(wrong.clone()), None)
        .await
        .unwrap_err();
    assert_eq!((problem.status, problem.code), (422, Code::InvalidSettings));
    assert_eq!(problem.problems[0].path, "services[0].platform");
    wrong.services[0].platform = "practice".into();
    wrong.customer.stock_id = Some(lockstep_model::settings::StockId(9));
    let problem = world
        .put::<ApplyReply>(&path, &OnWire(wrong), None)
        .await
        .unwrap_err();
    assert_eq!(problem.problems[0].path, "customer.stockId");
    let misspelt = json!({"customer": {"id": 1, "name": "K", "enableSynching": true}});
    let problem = world
        .put::<ApplyReply>(&path, &misspelt, None)
        .await
        .unwrap_err();
    assert!(
        problem.problems[0].message.contains("enableSyncing"),
        "{problem}"
    );
    let found: Page<CustomerRow> = world.get(people::CUSTOMERS).await.unwrap();
    assert!(found.items.is_empty());
}

#[tokio::test]
async fn an_edit_of_what_somebody_else_edited_is_refused() {
    let world = World::new().await;
    let first = world.apply(&kahvila(1)).await;
    let mut settings = kahvila(1);
    settings.customer.name = "Second".into();
    world.apply(&settings).await;
    settings.customer.name = "Third".into();
    let path = fill(people::CUSTOMER, &[&1]);
    let problem = world
        .put::<ApplyReply>(&path, &OnWire(settings.clone()), Some(first.revision.0))
        .await
        .unwrap_err();
    assert_eq!((problem.status, problem.code), (412, Code::OldRevision));
    let saved: ApplyReply = world
        .put(&path, &OnWire(settings), Some(first.revision.0 + 1))
        .await
        .unwrap();
    assert!(saved.changed);
}

#[tokio::test]
async fn a_new_customer_gets_an_id_and_its_shop_a_hook_secret() {
    let world = World::new().await;
    let mut settings = kahvila(0);
    settings.services[0].hook_secret = None;
    let reply: ApplyReply = world
        .post(people::CUSTOMERS, &OnWire(settings))
        .await
        .unwrap();
    assert_eq!((reply.id.0, reply.changed), (1, true));
    let mut worker = crate::worker::TestWorker::confirmed(&world, "one").await;
    let upsert = worker.news().await.upserts.remove(0);
    assert!(upsert.settings.0.services[0].hook_secret.is_some());
}

#[tokio::test]
async fn secrets_are_on_no_page_and_survive_their_export() {
    let world = World::new().await;
    let first = world.apply(&kahvila(1)).await;
    for path in [people::CUSTOMER, people::CUSTOMER_EXPORT] {
        let shown: Value = world.get(&fill(path, &[&1])).await.unwrap();
        let text = shown.to_string();
        assert!(
            !text.contains("s3cret") && !text.contains("hook-secret"),
            "{text}"
        );
    }
    let export: Value = world
        .get(&fill(people::CUSTOMER_EXPORT, &[&1]))
        .await
        .unwrap();
    let again: ApplyReply = world
        .put(&fill(people::CUSTOMER, &[&1]), &export, None)
        .await
        .unwrap();
    assert_eq!((again.changed, again.revision), (false, first.revision));
    let view: CustomerView = world.get(&fill(people::CUSTOMER, &[&1])).await.unwrap();
    assert_eq!(view.row.shops, 1);
}

#[tokio::test]
async fn the_overview_begins_with_what_needs_a_person() {
    let world = World::new().await;
    let waiting = crate::worker::TestWorker::unknown(&world, "tampere-2");
    let pending = waiting.auth(None).await;
    let overview: Overview = world.get(people::OVERVIEW).await.unwrap();
    let [need] = overview.needs_person.as_slice() else {
        panic!("{overview:?}")
    };
    assert_eq!(need.kind, NeedKind::WorkerPending);
    assert!(need.title.contains("tampere-2"));
    assert!(need.detail.contains(pending.user_code.as_str()));
    assert_eq!(overview.workers_pending, 1);
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let world = World::new().await;
    for path in [
        "/api/v1/customers/7",
        "/api/v1/customers/7/runs/1",
        "/api/v1/customers/7/records/x",
    ] {
        let problem = world.get::<Value>(path).await.unwrap_err();
        assert_eq!(problem.code, Code::NotFound, "{path}");
    }
    let problem = world
        .get::<Value>("/api/v1/customers/seven")
        .await
        .unwrap_err();
    assert_eq!(problem.code, Code::BadRequest);
}

#[tokio::test]
async fn a_merchant_has_one_customer_and_no_switch_of_the_operators() {
    let world = World::new().await;
    world.apply(&kahvila(1)).await;
    world.apply(&kahvila(2)).await;
    let new =
        json!({"name": "maija", "role": "editor", "customer_id": 1, "password": "a long password"});
    let _: Value = world.post("/api/v1/logins", &new).await.unwrap();
    let request = json!({"name": "Maija", "password": "a long password"});
    let log_in = world.client.post(world.url(people::LOGIN)).json(&request);
    let reply: LoginReply = answer(log_in).await.unwrap();
    let token = reply.token.reveal();
    let get = |path: &str| world.client.get(world.url(path)).bearer_auth(token);

    let found: Page<CustomerRow> = answer(get(people::CUSTOMERS)).await.unwrap();
    let ids: Vec<u64> = found.items.iter().map(|row| row.id.0).collect();
    assert_eq!(ids, [1]);
    let problem = answer::<Value>(get("/api/v1/customers/2"))
        .await
        .unwrap_err();
    assert_eq!(problem.code, Code::NotFound);
    let problem = answer::<Value>(get("/api/v1/logins")).await.unwrap_err();
    assert_eq!(problem.code, Code::Forbidden);

    let mut settings = kahvila(1);
    let put = |settings: &lockstep_model::settings::CustomerSettings| {
        world
            .client
            .put(world.url("/api/v1/customers/1"))
            .bearer_auth(token)
            .json(&OnWire(settings.clone()))
    };
    settings.customer.name = "Maijan kahvila".into();
    answer::<ApplyReply>(put(&settings)).await.unwrap();
    settings.customer.movable = false;
    let problem = answer::<ApplyReply>(put(&settings)).await.unwrap_err();
    assert_eq!(problem.code, Code::Forbidden);
    settings.customer.movable = true;
    settings.customer.locked = true;
    world.apply(&settings).await;
    settings.customer.name = "Again".into();
    let problem = answer::<ApplyReply>(put(&settings)).await.unwrap_err();
    assert_eq!((problem.status, problem.code), (423, Code::Locked));
}

#[tokio::test]
async fn o9_orders_do_not_begin_in_the_future_since_what_is_sold_until_then_is_counted_nowhere() {
    let world = World::new().await;
    let first = world.apply(&kahvila(1)).await;
    let path = fill(people::CUSTOMER, &[&1]);
    let mut edited = kahvila(1);
    let ahead = Timestamp::now() + SignedDuration::from_hours(1);
    edited.customer_has_services[0].orders_from = Some(ahead);
    let problem = world
        .put::<ApplyReply>(&path, &OnWire(edited.clone()), None)
        .await
        .unwrap_err();
    let [only] = problem.problems.as_slice() else {
        panic!("{problem}")
    };
    assert_eq!(only.path, "customerHasServices[0].ordersFrom");
    let over = Timestamp::now() - SignedDuration::from_hours(1);
    edited.customer_has_services[0].orders_from = Some(over);
    let saved: ApplyReply = world.put(&path, &OnWire(edited), None).await.unwrap();
    assert!(saved.revision > first.revision);
}
