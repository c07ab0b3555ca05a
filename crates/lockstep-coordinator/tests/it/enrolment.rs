//! From an unknown key to settings that a worker holds and the coordinator knows it holds.

use crate::{
    worker::{Polled, TestWorker},
    world::{World, kahvila},
};
use ed25519_dalek::Signer;
use jiff::Timestamp;
use lockstep_model::{CustomerId, settings::SECTIONS};
use lockstep_protocol::{
    Code, Nonce, Signature,
    auth::{Bearer, RenewRequest, TokenReply, renew_challenge},
    paths::{fill, people, worker as paths},
    people::workers::{
        ConfirmReply, ConfirmRequest, JoinTokenReply, JoinTokenRequest, WorkerList, WorkerState,
        WorkerStateRequest, WorkerView,
    },
    status::ApplyState,
};
use serde_json::Value;

#[tokio::test]
async fn the_story_of_an_enrolment() {
    let world = World::new().await;
    let mut worker = TestWorker::unknown(&world, "tampere-2");

    // Unknown: 401, and pending in the console with name, code and address.
    let problem = worker.try_auth(None).await.unwrap_err();
    assert_eq!(
        (problem.status, problem.code),
        (401, Code::AuthorizationPending)
    );
    let pending = problem.pending.unwrap();
    let list: WorkerList = world.get(people::WORKERS).await.unwrap();
    let [waiting] = list.pending.as_slice() else {
        panic!("{list:?}")
    };
    assert_eq!(
        (waiting.name.as_str(), &waiting.code),
        ("tampere-2", &pending.user_code)
    );
    assert_eq!(waiting.address, "127.0.0.1");
    assert!(list.workers.is_empty());

    // Asks again: 401 still; and sooner than it may: 429.
    let problem = worker.fetch_token(&pending).await.unwrap_err();
    assert_eq!(
        (problem.status, problem.code),
        (401, Code::AuthorizationPending)
    );
    let problem = worker.fetch_token(&pending).await.unwrap_err();
    assert_eq!((problem.status, problem.code), (429, Code::SlowDown));
    assert!(problem.retry_after.is_some());

    // A wrong code is refused.
    let confirm = fill(people::ENROLMENT_CONFIRM, &[&pending.enrolment]);
    let wrong = ConfirmRequest {
        code: "BBBB-BBBB".into(),
    };
    let problem = world
        .post::<ConfirmReply>(&confirm, &wrong)
        .await
        .unwrap_err();
    assert_eq!((problem.status, problem.code), (403, Code::WrongCode));
    assert!(problem.detail.contains("4 tries"), "{problem}");

    // Confirmed, by name as the CLI does: a token, once.
    let by_name = fill(people::ENROLMENT_CONFIRM, &[&"tampere-2"]);
    let right = ConfirmRequest {
        code: pending.user_code.to_string().to_lowercase(),
    };
    let confirmed: ConfirmReply = world.post(&by_name, &right).await.unwrap();
    let reply = worker.fetch_token(&pending).await.unwrap();
    assert_eq!(reply.worker_id, confirmed.worker_id);

    // Settings: 200, then 304.
    let first = world.apply(&kahvila(7)).await;
    let reply = worker.news().await;
    assert_eq!(reply.base, None);
    assert_eq!(reply.upserts.len(), 1);
    assert!(matches!(worker.poll(0).await.unwrap(), Polled::Unchanged));

    // An edit: a new revision, and the delta carries the customer with its sections.
    let mut edited = kahvila(7);
    edited.customer.name = "Kahvila Oy".into();
    let second = world.apply(&edited).await;
    assert!(second.changed && second.revision > first.revision);
    let reply = worker.news().await;
    assert!(reply.base.is_some());
    let [upsert] = reply.upserts.as_slice() else {
        panic!("{reply:?}")
    };
    assert_eq!(upsert.revision, second.revision);
    let wire: Value = serde_json::to_value(&upsert.settings).unwrap();
    for section in SECTIONS {
        assert!(wire.get(section).is_some(), "{section}");
    }
    let service = &upsert.settings.0.services[0];
    assert_eq!(
        service.credential("token").unwrap().reveal(),
        "s3cret-of-the-shop"
    );

    // The worker's revision is the coordinator's, and the coordinator knows.
    let held = worker.held.customers[&CustomerId(7)].revision;
    assert_eq!(held, second.revision);
    worker.report().await;
    let view: WorkerView = world
        .get(&fill(people::WORKER, &[&worker.id]))
        .await
        .unwrap();
    assert!(view.online);
    let applied = view.customers[0].applied.clone().unwrap();
    assert_eq!(
        (applied.revision, applied.state),
        (second.revision, ApplyState::Applied)
    );

    // The enrolment gives no second token once the first was used.
    let problem = worker.fetch_token(&pending).await.unwrap_err();
    assert_eq!((problem.status, problem.code), (410, Code::Expired));
}

#[tokio::test]
async fn a_token_for_the_code_needs_the_key_that_asked() {
    let world = World::new().await;
    let worker = TestWorker::unknown(&world, "one");
    let pending = worker.auth(None).await;
    let path = fill(people::ENROLMENT_CONFIRM, &[&pending.enrolment]);
    let request = ConfirmRequest {
        code: pending.user_code.to_string(),
    };
    let _: ConfirmReply = world.post(&path, &request).await.unwrap();
    let mut thief = TestWorker::unknown(&world, "one");
    let problem = thief.fetch_token(&pending).await.unwrap_err();
    assert_eq!(problem.code, Code::BadSignature);
}

#[tokio::test]
async fn a_rejected_worker_is_told_and_gets_nothing() {
    let world = World::new().await;
    let mut worker = TestWorker::unknown(&world, "one");
    let pending = worker.auth(None).await;
    let path = fill(people::ENROLMENT_REJECT, &[&pending.enrolment]);
    let _: Value = world.post(&path, &()).await.unwrap();
    let problem = worker.fetch_token(&pending).await.unwrap_err();
    assert_eq!((problem.status, problem.code), (403, Code::Rejected));
}

#[tokio::test]
async fn a_join_token_confirms_as_often_as_it_says() {
    let world = World::new().await;
    let request = JoinTokenRequest {
        label: "rack 4".into(),
        uses_max: 1,
        lives_seconds: 600,
    };
    let join: JoinTokenReply = world.post(people::JOIN_TOKENS, &request).await.unwrap();
    assert!(
        join.join_line.contains(world.coordinator.url()),
        "{}",
        join.join_line
    );
    let mut first = TestWorker::unknown(&world, "first");
    let pending = first.auth(Some(join.token.clone())).await;
    first.fetch_token(&pending).await.unwrap();
    let second = TestWorker::unknown(&world, "second");
    let problem = second.try_auth(Some(join.token)).await.unwrap_err();
    assert_eq!(problem.code, Code::BadToken);
    let problem = second
        .try_auth(Some(Bearer::new("nonsense")))
        .await
        .unwrap_err();
    assert_eq!(problem.code, Code::BadToken);
}

#[tokio::test]
async fn a_worker_that_may_no_longer_is_refused_at_once_also_while_it_waits() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    worker.news_or_nothing().await;
    let waiting = tokio::spawn(async move {
        let refused = worker.polls_until_refused(30).await;
        (worker, refused)
    });
    let id = waiting_worker(&world).await;
    let path = fill(people::WORKER_STATE, &[&id]);
    let suspend = WorkerStateRequest {
        state: WorkerState::Suspended,
        name: None,
    };
    let _: WorkerView = world.put(&path, &suspend, None).await.unwrap();
    let (mut worker, refused) = waiting.await.unwrap();
    assert_eq!(refused.status, 401, "{refused}");
    let again = worker.poll(0).await.unwrap_err();
    assert_eq!(again.status, 401);
}

/// The one worker's id, once its poll is parked.
async fn waiting_worker(world: &World) -> lockstep_model::WorkerId {
    loop {
        let list: WorkerList = world.get(people::WORKERS).await.unwrap();
        if let [worker] = list.workers.as_slice()
            && worker.online
        {
            return worker.id;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn gone_wants_the_name_typed_and_is_for_good() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    let path = fill(people::WORKER_STATE, &[&worker.id]);
    let mut gone = WorkerStateRequest {
        state: WorkerState::Gone,
        name: None,
    };
    let problem = world
        .put::<WorkerView>(&path, &gone, None)
        .await
        .unwrap_err();
    assert_eq!(problem.code, Code::Conflict);
    gone.name = Some("one".into());
    let _: WorkerView = world.put(&path, &gone, None).await.unwrap();
    assert_eq!(worker.poll(0).await.unwrap_err().status, 401);
    let back = WorkerStateRequest {
        state: WorkerState::Active,
        name: None,
    };
    assert!(world.put::<WorkerView>(&path, &back, None).await.is_err());
}

#[tokio::test]
async fn a_second_machine_under_one_name_is_refused_and_a_restart_is_not() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    worker.news_or_nothing().await;
    let first = worker.instance.clone();
    worker.instance.boot = "another".into();
    let problem = worker.poll(0).await.unwrap_err();
    assert_eq!(
        (problem.status, problem.code),
        (409, Code::DuplicateInstance)
    );
    assert!(problem.retry_after.is_some());
    worker.instance = first;
    assert!(worker.poll(0).await.is_ok());
    worker.instance.start += 1;
    assert!(worker.poll(0).await.is_ok());
    worker.instance.start -= 1;
    let problem = worker.poll(0).await.unwrap_err();
    assert_eq!(problem.code, Code::DuplicateInstance);
}

#[tokio::test]
async fn a_token_is_renewed_by_the_key_and_the_old_one_is_void() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    worker.news_or_nothing().await;
    let old = worker.token.clone();
    let nonce = Nonce(rand::random());
    let signed_at = Timestamp::now();
    let challenge = renew_challenge(worker.id, &worker.instance, &nonce, signed_at);
    let mut request = RenewRequest {
        worker_id: worker.id,
        instance: worker.instance.clone(),
        nonce,
        signed_at,
        signature: Signature(worker.key.sign(&challenge).to_bytes()),
    };
    let reply: TokenReply = worker.post(paths::AUTH_RENEW, &request).await.unwrap();
    worker.token = reply.token.reveal().to_owned();
    assert!(worker.poll(0).await.is_ok());
    worker.token = old;
    assert_eq!(worker.poll(0).await.unwrap_err().code, Code::BadToken);
    request.signature.0[0] ^= 1;
    let problem = worker
        .post::<TokenReply>(paths::AUTH_RENEW, &request)
        .await
        .unwrap_err();
    assert_eq!(problem.code, Code::BadSignature);
}

#[tokio::test]
async fn a_worker_that_lost_all_but_its_key_is_told_who_it_is_without_a_person() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    world.apply(&kahvila(7)).await;
    worker.news().await;
    let (id, old) = (worker.id, worker.token.clone());
    worker.id = lockstep_model::WorkerId(0);
    worker.token.clear();
    worker.instance.start += 1;

    // As any other it asks, and nobody is bothered.
    let pending = worker.auth(None).await;
    assert!(pending.known);
    let list: WorkerList = world.get(people::WORKERS).await.unwrap();
    assert_eq!((list.workers.len(), list.pending.len()), (1, 0));
    let request = worker.token_request(&pending);
    worker.fetch_token(&pending).await.unwrap();
    assert_eq!(worker.id, id);
    worker.held = Default::default();
    assert_eq!(worker.news().await.upserts.len(), 1);

    // What was signed for this once gives no second token, and the lost one is void.
    let problem = worker.ask_token(&request).await.unwrap_err();
    assert_eq!((problem.status, problem.code), (410, Code::Expired));
    worker.token = old;
    assert_eq!(worker.poll(0).await.unwrap_err().code, Code::BadToken);
}

#[tokio::test]
async fn the_key_has_to_be_proven_and_the_machine_has_to_be_the_same() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    worker.news_or_nothing().await;

    // Who knows the public key alone gets a question that it cannot answer.
    let pending = worker.auth(None).await;
    let mut thief = TestWorker::unknown(&world, "one");
    let problem = thief.fetch_token(&pending).await.unwrap_err();
    assert_eq!((problem.status, problem.code), (401, Code::BadSignature));

    // A copy of the machine is refused while the worker lives; so is who does not say which it is.
    let mut copy = worker.token_request(&pending);
    copy.instance = None;
    let challenge = lockstep_protocol::auth::token_challenge(
        &pending.enrolment,
        &pending.nonce,
        &copy.nonce,
        &pending.device_code,
    );
    copy.signature = Signature(worker.key.sign(&challenge).to_bytes());
    let problem = worker.ask_token(&copy).await.unwrap_err();
    assert_eq!(
        (problem.status, problem.code),
        (409, Code::DuplicateInstance)
    );
    let here = worker.instance.clone();
    worker.instance.folder = "another".into();
    let problem = worker
        .ask_token(&worker.token_request(&pending))
        .await
        .unwrap_err();
    assert_eq!(problem.code, Code::DuplicateInstance);
    worker.instance = here;
    assert!(worker.poll(0).await.is_ok(), "its token holds");
}

#[tokio::test]
async fn a_known_key_is_told_if_its_worker_may_no_longer_work() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    let path = fill(people::WORKER_STATE, &[&worker.id]);
    for (state, status, code) in [
        (WorkerState::Suspended, 401, Code::Suspended),
        (WorkerState::Gone, 403, Code::Rejected),
    ] {
        let request = WorkerStateRequest {
            state,
            name: Some("one".into()),
        };
        let _: WorkerView = world.put(&path, &request, None).await.unwrap();
        let pending = worker.auth(None).await;
        let problem = worker.fetch_token(&pending).await.unwrap_err();
        assert_eq!((problem.status, problem.code), (status, code), "{problem}");
        let list: WorkerList = world.get(people::WORKERS).await.unwrap();
        assert!(list.pending.is_empty(), "no person is asked");
    }
}

#[tokio::test]
async fn a_worker_of_another_protocol_is_told_to_upgrade() {
    let world = World::new().await;
    let worker = TestWorker::unknown(&world, "one");
    let mut request = serde_json::json!({
        "name": "one", "public_key": lockstep_protocol::PublicKey(worker.key.verifying_key().to_bytes()),
        "build": "9", "protocol": [7, 9], "platforms": [],
    });
    let asked = world.client.post(world.url(paths::AUTH)).json(&request);
    let problem = crate::world::answer::<Value>(asked).await.unwrap_err();
    assert_eq!((problem.status, problem.code), (426, Code::Upgrade));
    request["public_key"] = "short".into();
    let asked = world.client.post(world.url(paths::AUTH)).json(&request);
    assert_eq!(
        crate::world::answer::<Value>(asked).await.unwrap_err().code,
        Code::BadRequest
    );
}

impl TestWorker {
    /// The first poll: whatever there is.
    pub async fn news_or_nothing(&mut self) {
        self.poll(0).await.unwrap();
    }
}
