//! What an attack of the product found: secrets sent elsewhere, memory, doors that stay open or shut.

use crate::{
    platform::registry,
    world::{World, answer, client, kahvila},
};
use lockstep_coordinator::{CoordinatorConfig, start};
use lockstep_model::settings::OnWire;
use lockstep_protocol::{
    Code,
    paths::{fill, people},
    people::{
        Page,
        customers::{ApplyReply, CustomerRow},
        login::{LoginReply, LoginRow, MadeLogin, MadeToken, Me, TokenRow},
    },
};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The settings as an export has them: every secret null.
async fn export(world: &World) -> Value {
    let path = fill(people::CUSTOMER_EXPORT, &[&1]);
    world.get(&path).await.unwrap()
}

#[tokio::test]
async fn s1_a_stored_secret_is_not_sent_to_another_address_by_saving_or_testing() {
    let world = World::new().await;
    let first = world.apply(&kahvila(1)).await;
    let path = fill(people::CUSTOMER, &[&1]);
    let changes = [
        ("/services/0/url", json!("https://evil.example")),
        ("/services/0/platform", json!("elsewhere")),
        ("/services/0/options", json!({"allowInsecure": true})),
        ("/services/0/options", json!({"certificateSha256": "ab"})),
        (
            "/services/0/options",
            json!({"certificateAuthority": "pem"}),
        ),
    ];
    for (place, value) in changes {
        let mut edited = export(&world).await;
        *edited.pointer_mut(place).unwrap() = value.clone();
        let problem = world
            .put::<ApplyReply>(&path, &edited, None)
            .await
            .unwrap_err();
        assert_eq!(problem.code, Code::InvalidSettings, "{place} {value}");
        if place != "/services/0/platform" {
            let [only] = problem.problems.as_slice() else {
                panic!("{problem}")
            };
            assert_eq!(only.path, "services[0].credentials.token");
            let check = json!({"customer_id": 1, "service": edited["services"][0]});
            let problem = world
                .post::<Value>(people::SHOP_CHECK, &check)
                .await
                .unwrap_err();
            assert_eq!(problem.code, Code::BadRequest, "{problem}");
            assert!(problem.detail.contains("anew"), "{problem}");
        }
    }
    // What goes where it went is the stored one, and what is typed anew is what was typed.
    let same: ApplyReply = world.put(&path, &export(&world).await, None).await.unwrap();
    assert_eq!((same.changed, same.revision), (false, first.revision));
    let mut moved = export(&world).await;
    moved["services"][0]["url"] = json!("https://new.example");
    moved["services"][0]["credentials"] = json!({"token": "of-the-new"});
    let saved: ApplyReply = world.put(&path, &moved, None).await.unwrap();
    assert!(saved.changed);
    let mut worker = crate::worker::TestWorker::confirmed(&world, "one").await;
    let upsert = worker.news().await.upserts.remove(0);
    let service = &upsert.settings.0.services[0];
    let token = service.credential("token").unwrap();
    assert_eq!(token.reveal(), "of-the-new");
    // It was signed with by the shop at the old address.
    assert_ne!(
        service.hook_secret.as_ref().unwrap().reveal(),
        "hook-secret"
    );
}

#[tokio::test]
async fn s3_settings_have_bounds_that_are_said() {
    let world = World::new().await;
    world.apply(&kahvila(1)).await;
    let path = fill(people::CUSTOMER, &[&1]);
    let mut many = kahvila(1);
    for id in 2..=10_000 {
        let mut service = many.services[0].clone();
        service.id = lockstep_model::ShopId(id);
        many.services.push(service);
    }
    let problem = world
        .put::<ApplyReply>(&path, &OnWire(many), None)
        .await
        .unwrap_err();
    assert_eq!(problem.code, Code::InvalidSettings);
    assert!(problem.problems.len() <= 101, "{}", problem.problems.len());
    let put = |body: String| {
        world
            .client
            .put(world.url(&path))
            .bearer_auth(&world.login.api_token)
            .body(body)
    };
    let small = format!("{{\"stocks\":[{}0]}}", "{\"a\":1},".repeat(400_000));
    let problem = answer::<Value>(put(small)).await.unwrap_err();
    assert_eq!(problem.code, Code::InvalidSettings);
    assert!(problem.problems[0].message.contains("values"), "{problem}");
    let large = format!("{{\"x\":\"{}\"}}", "y".repeat(5 * 1024 * 1024));
    let problem = answer::<Value>(put(large)).await.unwrap_err();
    assert_eq!(problem.code, Code::TooLarge);
    let found: Page<CustomerRow> = world.get(people::CUSTOMERS).await.unwrap();
    assert_eq!(found.items[0].shops, 1);
}

#[tokio::test]
async fn s3_a_stranger_is_not_listened_to_for_long() {
    let world = World::new().await;
    world.apply(&kahvila(1)).await;
    let long = "x".repeat(64 * 1024);
    let strangers = [
        (people::LOGIN, json!({"name": long, "password": "x"})),
        ("/worker/v1/auth", json!({"name": long})),
        ("/worker/v1/auth/token", json!({"enrolment": long})),
        ("/worker/v1/auth/renew", json!({"worker_id": long})),
    ];
    for (path, body) in strangers {
        let call = world.client.post(world.url(path)).json(&body);
        let problem = answer::<Value>(call).await.unwrap_err();
        assert_eq!(problem.code, Code::TooLarge, "{path}");
    }
    // A hook with a key that is none is answered before its body is read.
    let mut stream = TcpStream::connect(world.coordinator.addr()).await.unwrap();
    let head = "POST /hooks/v1/1/1/wrong HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut reply = [0; 12];
    stream.read_exact(&mut reply).await.unwrap();
    assert_eq!(&reply, b"HTTP/1.1 404");
}

#[tokio::test]
async fn s2_a_body_that_cannot_be_read_is_not_repeated() {
    let world = World::new().await;
    let body = json!({"name": "operator", "password": {"s3cret": "s3cret"}});
    let call = world.client.post(world.url(people::LOGIN)).json(&body);
    let problem = answer::<Value>(call).await.unwrap_err();
    assert_eq!(problem.code, Code::BadRequest);
    assert!(!problem.detail.contains("s3cret"), "{problem}");
    let body = json!({"name": "operator", "password": 46107346});
    let call = world.client.post(world.url(people::LOGIN)).json(&body);
    let problem = answer::<Value>(call).await.unwrap_err();
    assert!(!problem.detail.contains("46107346"), "{problem}");
}

async fn log_in(world: &World, name: &str, password: &str) -> Result<String, Code> {
    let request = json!({"name": name, "password": password});
    let call = world.client.post(world.url(people::LOGIN)).json(&request);
    let reply: Result<LoginReply, _> = answer(call).await;
    reply
        .map(|reply| reply.token.reveal().to_owned())
        .map_err(|problem| problem.code)
}

#[tokio::test]
async fn s7_who_guesses_at_one_name_waits_and_another_name_does_not() {
    let world = World::new().await;
    let made: MadeLogin = world
        .post(people::LOGINS, &json!({"name": "maija", "role": "viewer"}))
        .await
        .unwrap();
    let password = made.password.unwrap();
    for _ in 0..5 {
        let refused = log_in(&world, "operator", "wrong").await;
        assert_eq!(refused, Err(Code::LoginRequired));
    }
    let own = world.login.password.clone();
    assert_eq!(
        log_in(&world, "operator", &own).await,
        Err(Code::TooManyRequests)
    );
    log_in(&world, "maija", password.reveal()).await.unwrap();
}

#[tokio::test]
async fn s10_a_login_is_switched_off_and_deleted() {
    let world = World::new().await;
    let new = json!({"name": "pekka", "role": "operator", "password": "a long password"});
    let _: MadeLogin = world.post(people::LOGINS, &new).await.unwrap();
    let token = log_in(&world, "pekka", "a long password").await.unwrap();
    let me = || {
        let call = world.client.get(world.url(people::ME)).bearer_auth(&token);
        answer::<Me>(call)
    };
    me().await.unwrap();
    let state = fill(people::LOGIN_STATE, &[&"pekka"]);
    let row: LoginRow = world
        .put(&state, &json!({"disabled": true}), None)
        .await
        .unwrap();
    assert!(row.disabled);
    assert_eq!(me().await.unwrap_err().code, Code::BadToken);
    assert_eq!(
        log_in(&world, "pekka", "a long password").await,
        Err(Code::LoginRequired)
    );
    let rows: Page<LoginRow> = world.get(people::LOGINS).await.unwrap();
    let states: Vec<_> = rows.items.iter().map(|row| row.disabled).collect();
    assert_eq!(states, [false, true]);
    let _: LoginRow = world
        .put(&state, &json!({"disabled": false}), None)
        .await
        .unwrap();
    let token = log_in(&world, "pekka", "a long password").await.unwrap();
    let delete = |name: &str, token: &str| {
        let path = fill(people::LOGIN_OF, &[&name]);
        let call = world.client.delete(world.url(&path)).bearer_auth(token);
        answer::<Value>(call)
    };
    let own = &world.login.api_token;
    let problem = delete("operator", own).await.unwrap_err();
    assert_eq!(problem.code, Code::Conflict, "his own");
    delete("pekka", own).await.unwrap();
    let call = world.client.get(world.url(people::ME)).bearer_auth(&token);
    assert!(answer::<Me>(call).await.is_err());
    assert_eq!(
        log_in(&world, "pekka", "a long password").await,
        Err(Code::LoginRequired)
    );
}

#[tokio::test]
async fn s10_every_token_ends_and_can_be_ended() {
    let world = World::new().await;
    let open: Page<TokenRow> = world.get(people::TOKENS).await.unwrap();
    let [first] = open.items.as_slice() else {
        panic!("{open:?}")
    };
    assert!(
        first.expires_at.is_some(),
        "also the one of the first start"
    );
    let made: MadeToken = world
        .post(people::TOKENS, &json!({"label": "backup", "days": 7}))
        .await
        .unwrap();
    for days in [0, 366] {
        let asked = json!({"label": "for ever", "days": days});
        let refused = world.post::<MadeToken>(people::TOKENS, &asked).await;
        assert_eq!(refused.unwrap_err().code, Code::BadRequest);
    }
    let me = || {
        let token = made.token.reveal();
        let call = world.client.get(world.url(people::ME)).bearer_auth(token);
        answer::<Me>(call)
    };
    me().await.unwrap();
    let open: Page<TokenRow> = world.get("/api/v1/tokens?all=true").await.unwrap();
    let row = open.items.iter().find(|row| row.label == "backup").unwrap();
    let path = fill(people::TOKEN, &[&row.id]);
    // Another's is as if it were not there.
    let viewer = json!({"name": "viewer", "role": "viewer", "password": "a long password"});
    let _: MadeLogin = world.post(people::LOGINS, &viewer).await.unwrap();
    let token = log_in(&world, "viewer", "a long password").await.unwrap();
    let end = |token: &str| {
        let call = world.client.delete(world.url(&path)).bearer_auth(token);
        answer::<Value>(call)
    };
    assert_eq!(end(&token).await.unwrap_err().code, Code::NotFound);
    let all = world.client.get(world.url("/api/v1/tokens?all=true"));
    let refused = answer::<Value>(all.bearer_auth(&token)).await;
    assert_eq!(refused.unwrap_err().code, Code::Forbidden);
    end(&world.login.api_token).await.unwrap();
    assert_eq!(me().await.unwrap_err().code, Code::BadToken);
}

#[tokio::test]
async fn s10_a_password_is_changed_by_who_knows_the_old_one() {
    let world = World::new().await;
    let path = fill(people::LOGIN_PASSWORD, &[&"operator"]);
    for old in [Value::Null, json!("wrong wrong wrong")] {
        let asked = json!({"password": "a new password", "old_password": old});
        let problem = world.post::<Value>(&path, &asked).await.unwrap_err();
        assert_eq!(problem.code, Code::Forbidden, "{problem}");
    }
    let old = world.login.password.clone();
    log_in(&world, "operator", &old).await.unwrap();
    let asked = json!({"password": "a new password", "old_password": old});
    let _: MadeLogin = world.post(&path, &asked).await.unwrap();
    log_in(&world, "operator", "a new password").await.unwrap();
    assert_eq!(
        log_in(&world, "operator", &old).await,
        Err(Code::LoginRequired)
    );
}

#[tokio::test]
async fn s11_a_connection_that_says_nothing_or_half_a_head_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = CoordinatorConfig::local(folder.path(), registry());
    config.head_time_max = Duration::from_millis(300);
    let coordinator = start(config).await.unwrap();
    let mut waiting = Vec::new();
    for said in [
        "",
        "P",
        "PRI * HTTP/2.0\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\n",
    ] {
        let mut stream = TcpStream::connect(coordinator.addr()).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        waiting.push((said, stream));
    }
    // One that was served, and is kept open without another request.
    let mut served = TcpStream::connect(coordinator.addr()).await.unwrap();
    let whole = "GET /login HTTP/1.1\r\nhost: x\r\n\r\n";
    served.write_all(whole.as_bytes()).await.unwrap();
    waiting.push((whole, served));
    for (said, mut stream) in waiting {
        let mut reply = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut reply));
        assert!(ended.await.is_ok(), "after {said:?}");
    }
    let url = format!("{}/login", coordinator.url());
    let response = client().get(url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn s11_many_idle_connections_of_one_address_leave_room_for_others() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = CoordinatorConfig::local(folder.path(), registry());
    config.head_time_max = Duration::from_secs(2);
    config.connections_per_address = 8;
    config.listen = "127.0.0.1:0".parse().unwrap();
    let coordinator = start(config).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(TcpStream::connect(coordinator.addr()).await.unwrap());
    }
    // Another address of this machine is served at once, and this one as soon as the idle ones are closed.
    let _tls_is_set_up = client();
    for from in [[127, 0, 0, 2], [127, 0, 0, 1]] {
        let client = Client::builder()
            .local_address(std::net::IpAddr::from(from))
            .build()
            .unwrap();
        let url = format!("{}/login", coordinator.url());
        let response = client.get(url).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}
