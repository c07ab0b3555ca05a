//! A coordinator of a few hundred lines: enough of the protocol to enrol a worker, give it customers, take
//! its journal, and misbehave on request.

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use ed25519_dalek::{Verifier, VerifyingKey};
use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use lockstep_journal::{Journal, Making, Segment};
use lockstep_model::settings::{CustomerSettings, OnWire};
use lockstep_model::{CustomerId, Epoch, Flow, Incarnation, Revision, ShopId, WorkerId};
use lockstep_protocol::asks::{Answer, Ask, AskId, Question};
use lockstep_protocol::auth::{
    AuthRequest, Bearer, Pending, RenewRequest, TokenReply, TokenRequest, renew_challenge,
    return_challenge, token_challenge,
};
use lockstep_protocol::checkpoint::CheckpointHeader;
use lockstep_protocol::delta::{CurrentSet, Member, SettingsReply, Upsert};
use lockstep_protocol::headers::{LEASE_UNTIL_MS, PREFER, wait_seconds};
use lockstep_protocol::lease::{HeldLease, LeaseReply, LeaseRequest, ReleaseRequest};
use lockstep_protocol::segment::{
    SegmentHash, SegmentHeader, SegmentOutcome, SegmentReply, write_frame,
};
use lockstep_protocol::status::{StatusReply, StatusReport};
use lockstep_protocol::wanted::{Wake, Wanted};
use lockstep_protocol::{
    Code, DeviceCode, EnrolmentId, Etag, Nonce, Problem, PublicKey, UserCode, paths,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub struct Mind {
    pub enrolments: BTreeMap<String, Enrolment>,
    /// A join token was shown, or the test says yes to everybody.
    pub confirms_by_itself: bool,
    pub tokens: BTreeSet<String>,
    pub renewals: usize,
    pub polls: usize,
    pub minted: usize,
    pub known_keys: Vec<PublicKey>,
    settings: BTreeMap<CustomerId, CustomerSettings>,
    set: CurrentSet,
    stamp: u64,
    wakes: BTreeMap<(CustomerId, ShopId, Flow), u64>,
    asks: Vec<Ask>,
    pub answers: BTreeMap<AskId, Answer>,
    pub journals: BTreeMap<CustomerId, Vec<(SegmentHeader, Bytes)>>,
    /// Segments that were given, each time that one was.
    pub given: Vec<u64>,
    pub checkpoint: Option<Made>,
    pub checkpoints_asked: usize,
    /// So many answers with a checkpoint break off in the middle.
    pub breaks_off: usize,
    epochs: BTreeMap<CustomerId, Epoch>,
    pub released: Vec<CustomerId>,
    /// What the worker is said to own and to have to let go of.
    pub leaving: Vec<HeldLease>,
    /// So many releases are answered 503.
    pub refuses_releases: usize,
    pub reports: Vec<StatusReport>,
    /// Every call is answered by this.
    pub refuses: Option<(Code, Option<u64>)>,
    pub refuses_polls: Option<Code>,
    /// Who proves a key is answered by this.
    pub refuses_tokens: Option<Code>,
    /// Segments are not taken (503).
    pub takes_no_segments: bool,
    pub lease_ms: i64,
}

/// A checkpoint, and what is told of it.
#[derive(Clone)]
pub struct Made {
    pub told: CheckpointHeader,
    pub bytes: Vec<u8>,
}

impl Made {
    /// Of the first so many of these segments, as a coordinator's replica takes them in.
    pub fn of(journal: &[(SegmentHeader, Bytes)], upto: usize, customer: CustomerId) -> Made {
        let place = tempfile::tempdir().unwrap();
        let (replica, to) = (place.path().join("replica"), place.path().join("made"));
        let mut file = Journal::open(&replica, customer).unwrap();
        for (_, body) in &journal[..upto] {
            file.accept(&Segment::decode(body).unwrap()).unwrap();
        }
        drop(file);
        let making = Making::of(&replica, customer).unwrap();
        let made = making.write(&to).unwrap().unwrap();
        let told = CheckpointHeader {
            head: journal[upto - 1].0.head(),
            bytes: made.bytes,
            sha256: SegmentHash(made.sha256.0),
        };
        let bytes = std::fs::read(&to).unwrap();
        Made { told, bytes }
    }
}

pub struct Enrolment {
    pub request: AuthRequest,
    nonce: Nonce,
    device_code: DeviceCode,
    pub code: UserCode,
    pub asked: usize,
    pub verdict: Option<Code>,
    pub confirmed: bool,
}

type Shared = Arc<App>;

pub struct App {
    mind: Mutex<Mind>,
    moved: watch::Sender<u64>,
}

pub struct FakeCoordinator {
    pub app: Shared,
    pub url: reqwest::Url,
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for FakeCoordinator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeCoordinator {
    pub async fn start() -> Self {
        let mind = Mind {
            enrolments: BTreeMap::new(),
            confirms_by_itself: false,
            tokens: BTreeSet::new(),
            renewals: 0,
            polls: 0,
            minted: 0,
            known_keys: Vec::new(),
            settings: BTreeMap::new(),
            set: CurrentSet::new(Incarnation(1), 0),
            stamp: 0,
            wakes: BTreeMap::new(),
            asks: Vec::new(),
            answers: BTreeMap::new(),
            journals: BTreeMap::new(),
            given: Vec::new(),
            checkpoint: None,
            checkpoints_asked: 0,
            breaks_off: 0,
            epochs: BTreeMap::new(),
            released: Vec::new(),
            leaving: Vec::new(),
            refuses_releases: 0,
            reports: Vec::new(),
            refuses: None,
            refuses_polls: None,
            refuses_tokens: None,
            takes_no_segments: false,
            lease_ms: 15_000,
        };
        let app = Arc::new(App {
            mind: Mutex::new(mind),
            moved: watch::Sender::new(0),
        });
        let (port, task) = serve(app.clone(), 0).await;
        FakeCoordinator {
            app,
            url: format!("http://127.0.0.1:{port}").parse().unwrap(),
            port,
            task,
        }
    }

    /// Nobody listens any more, and what is still connected hears nothing good.
    pub async fn go_away(&mut self) {
        self.with(|mind| mind.refuses = Some((Code::Unavailable, None)));
        self.task.abort();
        let _aborted = (&mut self.task).await;
    }

    pub async fn come_back(&mut self) {
        self.with(|mind| mind.refuses = None);
        let (_, task) = serve(self.app.clone(), self.port).await;
        self.task = task;
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut Mind) -> T) -> T {
        let result = look(&mut self.app.mind.lock().unwrap());
        self.app.moved.send_modify(|moved| *moved += 1);
        result
    }

    /// Waits until this is so; the coordinator's calls are what moves it.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Mind) -> bool) {
        let mut moved = self.app.moved.subscribe();
        let wait = async {
            while !is_so(&self.app.mind.lock().unwrap()) {
                moved.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(Duration::from_secs(30), wait)
            .await
            .is_err()
        {
            let mind = self.app.mind.lock().unwrap();
            panic!(
                "waited in vain: {what}; last report {:#?}",
                mind.reports.last()
            );
        }
    }

    pub fn set(&self, settings: CustomerSettings) {
        self.with(|mind| {
            mind.stamp += 1;
            let id = settings.id();
            let revision = mind
                .set
                .members()
                .get(&id)
                .map_or(1, |member| member.revision.0 + 1);
            let epoch = *mind.epochs.entry(id).or_insert(Epoch(1));
            let member = Member {
                revision: Revision(revision),
                epoch,
                stamp: mind.stamp,
            };
            mind.set.upsert(id, member);
            mind.settings.insert(id, settings);
        });
    }

    /// Another owner: the epoch grows, segments of the old one are refused.
    pub fn next_epoch(&self, customer: CustomerId) {
        self.with(|mind| {
            mind.stamp += 1;
            let epoch = Epoch(mind.epochs[&customer].0 + 1);
            mind.epochs.insert(customer, epoch);
            let member = mind.set.members()[&customer];
            let stamp = mind.stamp;
            mind.set.upsert(
                customer,
                Member {
                    epoch,
                    stamp,
                    ..member
                },
            );
        });
    }

    /// Fences without a word to the worker.
    pub fn next_epoch_in_secret(&self, customer: CustomerId) {
        self.with(|mind| {
            let epoch = Epoch(mind.epochs[&customer].0 + 1);
            mind.epochs.insert(customer, epoch);
        });
    }

    pub fn remove(&self, customer: CustomerId) {
        self.with(|mind| {
            mind.stamp += 1;
            let stamp = mind.stamp;
            mind.set.depart(customer, stamp);
        });
    }

    pub fn wake(&self, customer: CustomerId, shop: ShopId, flow: Flow) {
        self.with(|mind| {
            mind.stamp += 1;
            let stamp = mind.stamp;
            mind.set.touch(stamp);
            mind.wakes.insert((customer, shop, flow), stamp);
        });
    }

    pub fn ask(&self, customer: Option<CustomerId>, question: Question) -> AskId {
        self.with(|mind| {
            mind.stamp += 1;
            let stamp = mind.stamp;
            mind.set.touch(stamp);
            let id = AskId(stamp);
            mind.asks.push(Ask {
                id,
                customer_id: customer,
                deadline: Timestamp::now() + SignedDuration::from_secs(30),
                question,
            });
            id
        })
    }

    pub async fn answer(&self, id: AskId) -> Answer {
        self.until("an answer", |mind| mind.answers.contains_key(&id))
            .await;
        self.with(|mind| mind.answers[&id].clone())
    }
}

async fn serve(app: Shared, port: u16) -> (u16, JoinHandle<()>) {
    let listener = loop {
        match tokio::net::TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => break listener,
            // The old one's socket is on its way out.
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let port = listener.local_addr().unwrap().port();
    let router = Router::new()
        .route(paths::worker::AUTH, post(auth))
        .route(paths::worker::AUTH_TOKEN, post(auth_token))
        .route(paths::worker::AUTH_RENEW, post(auth_renew))
        .route(paths::worker::SETTINGS, get(settings))
        .route(paths::worker::STATUS, post(status))
        .route(paths::worker::LEASE, post(lease))
        .route(paths::worker::LEASE_RELEASE, post(release))
        .route(paths::worker::JOURNAL, post(take_segment).get(give_journal))
        .route(paths::worker::CHECKPOINT, get(give_checkpoint))
        .route(paths::worker::ASK, post(answer))
        .with_state(app);
    let task = tokio::spawn(async move {
        axum::serve(listener, router).await.unwrap();
    });
    (port, task)
}

fn refuse(problem: Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap();
    let mut response = (status, Json(&problem)).into_response();
    if let Some(seconds) = problem.retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn no(code: Code) -> Response {
    refuse(Problem::new(code, "as the test wants it"))
}

impl App {
    fn notify(&self) {
        self.moved.send_modify(|moved| *moved += 1);
    }

    #[allow(clippy::result_large_err, reason = "a test's own")]
    fn known(&self, headers: &HeaderMap) -> Result<(), Response> {
        let mind = self.mind.lock().unwrap();
        if let Some((code, retry_after)) = &mind.refuses {
            let mut problem = Problem::new(*code, "as the test wants it");
            problem.retry_after = *retry_after;
            return Err(refuse(problem));
        }
        assert!(headers.contains_key("worker-instance"));
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        if token.is_some_and(|token| mind.tokens.contains(token)) {
            Ok(())
        } else {
            Err(no(Code::BadToken))
        }
    }
}

fn mint(mind: &mut Mind) -> TokenReply {
    mind.minted += 1;
    let token = format!("lsw_1_token{}", mind.minted);
    mind.tokens = BTreeSet::from([token.clone()]);
    TokenReply {
        worker_id: WorkerId(1),
        token: Bearer::new(token),
        expires_at: Timestamp::now() + SignedDuration::from_hours(720),
        incarnation: Incarnation(1),
        server_time: Timestamp::now(),
    }
}

async fn auth(State(app): State<Shared>, Json(request): Json<AuthRequest>) -> Response {
    let mut mind = app.mind.lock().unwrap();
    let number = mind.enrolments.len() + 1;
    let enrolment = EnrolmentId(format!("e{number}"));
    let nonce = Nonce([7; 16]);
    let code = UserCode::new(&request.public_key, &enrolment, &nonce);
    let device_code = DeviceCode::from_random([number as u8; 32]);
    let known = mind.known_keys.contains(&request.public_key);
    let pending = Pending {
        enrolment: enrolment.clone(),
        device_code: device_code.clone(),
        user_code: code.clone(),
        nonce,
        interval: 1,
        expires_in: 900,
        known,
    };
    let confirmed = known || mind.confirms_by_itself;
    mind.enrolments.insert(
        enrolment.0,
        Enrolment {
            request,
            nonce,
            device_code,
            code,
            asked: 0,
            verdict: None,
            confirmed,
        },
    );
    drop(mind);
    app.notify();
    let mut problem = Problem::new(Code::AuthorizationPending, "");
    problem.pending = Some(pending);
    refuse(problem)
}

async fn auth_token(State(app): State<Shared>, Json(request): Json<TokenRequest>) -> Response {
    let mut mind = app.mind.lock().unwrap();
    app.notify();
    let refuses = mind.refuses_tokens;
    let Some(enrolment) = mind.enrolments.get_mut(&request.enrolment.0) else {
        return no(Code::Expired);
    };
    enrolment.asked += 1;
    let (id, code) = (&request.enrolment, &enrolment.device_code);
    let (ours, theirs) = (&enrolment.nonce, &request.nonce);
    let challenge = match &request.instance {
        None => token_challenge(id, ours, theirs, code),
        Some(instance) => return_challenge(id, ours, theirs, code, instance),
    };
    let key = VerifyingKey::from_bytes(&enrolment.request.public_key.0).unwrap();
    let signature = ed25519_dalek::Signature::from_bytes(&request.signature.0);
    key.verify(&challenge, &signature).unwrap();
    if let Some(code) = refuses.or(enrolment.verdict) {
        return no(code);
    }
    if !enrolment.confirmed {
        return no(Code::AuthorizationPending);
    }
    let public = enrolment.request.public_key;
    mind.known_keys.push(public);
    Json(mint(&mut mind)).into_response()
}

async fn auth_renew(State(app): State<Shared>, Json(request): Json<RenewRequest>) -> Response {
    let mut mind = app.mind.lock().unwrap();
    app.notify();
    let challenge = renew_challenge(
        request.worker_id,
        &request.instance,
        &request.nonce,
        request.signed_at,
    );
    let signature = ed25519_dalek::Signature::from_bytes(&request.signature.0);
    let known = mind.known_keys.iter().any(|key| {
        let key = VerifyingKey::from_bytes(&key.0).unwrap();
        key.verify(&challenge, &signature).is_ok()
    });
    if !known {
        return no(Code::BadSignature);
    }
    mind.renewals += 1;
    Json(mint(&mut mind)).into_response()
}

async fn settings(State(app): State<Shared>, headers: HeaderMap) -> Response {
    if let Err(refused) = app.known(&headers) {
        return refused;
    }
    let theirs: Option<Etag> = headers
        .get(header::IF_NONE_MATCH)
        .map(|value| value.to_str().unwrap().parse().unwrap());
    let wait = wait_seconds(headers.get(PREFER).and_then(|value| value.to_str().ok()));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(wait);
    let mut moved = app.moved.subscribe();
    app.mind.lock().unwrap().polls += 1;
    app.notify();
    loop {
        moved.borrow_and_update();
        {
            let mind = app.mind.lock().unwrap();
            if let Some(code) = mind.refuses_polls {
                return no(code);
            }
            if theirs != Some(mind.set.etag()) {
                return Json(reply(&mind, theirs.as_ref())).into_response();
            }
        }
        if tokio::time::timeout_at(deadline, moved.changed())
            .await
            .is_err()
        {
            return StatusCode::NOT_MODIFIED.into_response();
        }
        if let Err(refused) = app.known(&headers) {
            return refused;
        }
    }
}

fn reply(mind: &Mind, theirs: Option<&Etag>) -> SettingsReply {
    let delta = mind.set.delta(theirs);
    let wakes = mind.wakes.iter();
    SettingsReply {
        etag: delta.etag,
        revision: delta.etag.revision,
        incarnation: Incarnation(1),
        base: delta.base,
        upserts: delta
            .upserts
            .iter()
            .map(|id| {
                let member = mind.set.members()[id];
                Upsert {
                    customer_id: *id,
                    revision: member.revision,
                    epoch: member.epoch,
                    settings: OnWire(mind.settings[id].clone()),
                }
            })
            .collect(),
        removed: delta.removed,
        wanted: Wanted {
            wakes: wakes
                .map(|((customer_id, shop_id, flow), counter)| Wake {
                    asked: 0,
                    customer_id: *customer_id,
                    shop_id: *shop_id,
                    flow: *flow,
                    counter: *counter,
                })
                .collect(),
            ..Wanted::default()
        },
        // Twice and more, as long as it is not answered.
        asks: mind
            .asks
            .iter()
            .filter(|ask| !mind.answers.contains_key(&ask.id))
            .cloned()
            .collect(),
    }
}

async fn status(
    State(app): State<Shared>,
    headers: HeaderMap,
    Json(report): Json<StatusReport>,
) -> Response {
    if let Err(refused) = app.known(&headers) {
        return refused;
    }
    app.mind.lock().unwrap().reports.push(report);
    app.notify();
    Json(StatusReply {
        full: false,
        server_time: Timestamp::now(),
    })
    .into_response()
}

async fn lease(
    State(app): State<Shared>,
    headers: HeaderMap,
    Json(request): Json<LeaseRequest>,
) -> Response {
    if let Err(refused) = app.known(&headers) {
        return refused;
    }
    let mind = app.mind.lock().unwrap();
    let is_lost = |customer: &CustomerId, epoch: Epoch| {
        mind.epochs.get(customer) != Some(&epoch) || !mind.set.members().contains_key(customer)
    };
    let now = Timestamp::now();
    let reply = LeaseReply {
        server_time: now,
        lost: request
            .have
            .into_iter()
            .filter(|lease| is_lost(&lease.customer_id, lease.epoch))
            .collect(),
        leaving: mind.leaving.clone(),
    };
    let until = (now.as_millisecond() + mind.lease_ms).to_string();
    ([(LEASE_UNTIL_MS, until)], Json(reply)).into_response()
}

async fn release(
    State(app): State<Shared>,
    headers: HeaderMap,
    Json(request): Json<ReleaseRequest>,
) -> Response {
    if let Err(refused) = app.known(&headers) {
        return refused;
    }
    {
        let mut mind = app.mind.lock().unwrap();
        if let Some(left) = mind.refuses_releases.checked_sub(1) {
            mind.refuses_releases = left;
            drop(mind);
            app.notify();
            return no(Code::Unavailable);
        }
        let is_released = |held: &HeldLease| request.released.contains(held);
        mind.leaving.retain(|held| !is_released(held));
        let released = request.released.iter().map(|lease| lease.customer_id);
        mind.released.extend(released);
    }
    app.notify();
    Json(serde_json::json!({})).into_response()
}

async fn take_segment(
    State(app): State<Shared>,
    Path(customer): Path<u64>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(refused) = app.known(&headers) {
        return refused;
    }
    let customer = CustomerId(customer);
    let header = SegmentHeader::from_headers(customer, &headers).unwrap();
    let mut mind = app.mind.lock().unwrap();
    app.notify();
    if mind.takes_no_segments {
        return no(Code::Unavailable);
    }
    if mind.epochs.get(&customer) != Some(&header.epoch) {
        return no(Code::OldEpoch);
    }
    let journal = mind.journals.entry(customer).or_default();
    let head = journal.last().map(|(header, _)| header.head());
    let sequence = header.sequence;
    let known = journal.iter().find(|(known, _)| known.sequence == sequence);
    let outcome = match known {
        Some((known, _)) if known.hash == header.hash => SegmentOutcome::Same,
        Some(_) => return no(Code::SegmentConflict),
        None if sequence == head.map_or(1, |head| head.sequence + 1) => {
            assert_eq!(
                header.previous,
                head.map_or_else(Default::default, |head| head.hash)
            );
            Segment::decode(&body).unwrap();
            journal.push((header, body));
            SegmentOutcome::Accepted
        }
        None => {
            let mut problem = Problem::new(Code::SegmentGap, "");
            problem.head = head;
            return refuse(problem);
        }
    };
    Json(SegmentReply { sequence, outcome }).into_response()
}

#[derive(serde::Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn give_journal(
    State(app): State<Shared>,
    Path(customer): Path<u64>,
    Query(After { after }): Query<After>,
    headers: HeaderMap,
) -> Response {
    if let Err(refused) = app.known(&headers) {
        return refused;
    }
    let mut mind = app.mind.lock().unwrap();
    let mut frames = Vec::new();
    let mut given = Vec::new();
    let segments = mind
        .journals
        .get(&CustomerId(customer))
        .into_iter()
        .flatten();
    // A few at a time, so that the worker has to ask again.
    for (header, body) in segments
        .filter(|(header, _)| header.sequence > after)
        .take(2)
    {
        write_frame(&mut frames, header, body).unwrap();
        given.push(header.sequence);
    }
    mind.given.extend(given);
    frames.into_response()
}

async fn give_checkpoint(State(app): State<Shared>, headers: HeaderMap) -> Response {
    if let Err(refused) = app.known(&headers) {
        return refused;
    }
    let mut mind = app.mind.lock().unwrap();
    mind.checkpoints_asked += 1;
    let Some(Made { told, bytes }) = mind.checkpoint.clone() else {
        return no(Code::NotFound);
    };
    let breaks_off = mind.breaks_off > 0;
    mind.breaks_off = mind.breaks_off.saturating_sub(1);
    let half = Bytes::copy_from_slice(&bytes[..bytes.len() / 2]);
    let body = if breaks_off {
        let broken = async {
            // What came before it is sent.
            tokio::task::yield_now().await;
            Err(std::io::Error::other("the coordinator is gone"))
        };
        Body::from_stream(stream::iter([Ok(half)]).chain(stream::once(broken)))
    } else {
        Body::from(bytes)
    };
    let mut response = body.into_response();
    response.headers_mut().extend(told.to_headers());
    response
}

async fn answer(
    State(app): State<Shared>,
    Path(ask): Path<u64>,
    headers: HeaderMap,
    Json(answer): Json<Answer>,
) -> Response {
    if let Err(refused) = app.known(&headers) {
        return refused;
    }
    app.mind.lock().unwrap().answers.insert(AskId(ask), answer);
    app.notify();
    Json(serde_json::json!({})).into_response()
}
