//! The port to a shop, fault by fault: what a lost, broken or foreign answer becomes.

use crate::scripted_server::{Script, ScriptedServer};
use futures::StreamExt;
use lockstep_connector::{Body, Budget, Cost, Http, Request, json};
use lockstep_model::settings::{ALLOW_INSECURE, AUTHORITY, CERTIFICATE, Service};
use lockstep_model::{Fault, FaultKind, ShopId};
use lockstep_worker::{Calling, Reach, ShopHttp, Timeouts};
use sha2::Digest;
use std::time::Duration;

fn timeouts() -> Timeouts {
    Timeouts {
        connect: Duration::from_secs(5),
        read: Duration::from_millis(300),
        call: Duration::from_millis(300),
        stream: Duration::from_secs(5),
    }
}

fn patient() -> Timeouts {
    Timeouts {
        read: Duration::from_secs(20),
        call: Duration::from_secs(20),
        ..timeouts()
    }
}

fn service(url: &str) -> Service {
    Service::new(ShopId(7), "Web shop", "fake", url)
}

fn port(url: &str) -> ShopHttp {
    ShopHttp::new(&service(url), &calling(patient())).unwrap()
}

/// The servers of these tests stand on this machine.
fn calling(timeouts: Timeouts) -> Calling {
    Calling::within(timeouts).reaching(Reach::loopback())
}

fn request(url: &str) -> Request {
    http::Request::builder()
        .uri(url)
        .header("authorization", "Bearer s3cret")
        .body(Body::Empty)
        .unwrap()
}

async fn fault(script: Script, cost: Cost) -> Fault {
    let server = ScriptedServer::start(script).await;
    let fault = port(&server.url())
        .send(request(&server.url()), cost)
        .await
        .unwrap_err();
    assert_eq!(fault.shop, Some(ShopId(7)));
    assert!(fault.message.contains("Web shop"), "{fault}");
    assert!(!fault.message.contains("s3cret"), "{fault}");
    fault
}

#[tokio::test]
async fn a_refused_connection_sent_nothing_whatever_was_to_be_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for cost in [Cost::read(), Cost::repeatable(), Cost::once()] {
        let fault = port(&url).send(request(&url), cost).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
        assert!(fault.message.contains("refused"), "{fault}");
    }
}

#[tokio::test]
async fn a_reply_that_is_lost_leaves_a_write_unknown() {
    assert_eq!(
        fault(Script::HangUp, Cost::read()).await.kind,
        FaultKind::Unavailable
    );
    for cost in [Cost::repeatable(), Cost::once()] {
        assert_eq!(
            fault(Script::HangUp, cost).await.kind,
            FaultKind::UnknownOutcome
        );
    }
}

#[tokio::test]
async fn a_lost_reply_is_not_asked_for_again() {
    let server = ScriptedServer::start(Script::HangUp).await;
    let port = port(&server.url());
    for cost in [Cost::read(), Cost::once()] {
        port.send(request(&server.url()), cost).await.unwrap_err();
    }
    assert_eq!(server.heard(), 2);
}

#[tokio::test]
async fn half_a_reply_is_a_lost_one() {
    let half =
        || Script::Say(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"items\": [".to_vec());
    assert_eq!(
        fault(half(), Cost::read()).await.kind,
        FaultKind::Unavailable
    );
    assert_eq!(
        fault(half(), Cost::once()).await.kind,
        FaultKind::UnknownOutcome
    );
}

#[tokio::test]
async fn silence_is_a_time_out_and_leaves_a_write_unknown() {
    let server = ScriptedServer::start(Script::Silence).await;
    let port = ShopHttp::new(&service(&server.url()), &calling(timeouts())).unwrap();
    for (cost, kind) in [
        (Cost::read(), FaultKind::Timeout),
        (Cost::once(), FaultKind::UnknownOutcome),
    ] {
        let fault = port.send(request(&server.url()), cost).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{fault}");
    }
}

#[tokio::test]
async fn a_web_page_is_told_from_data() {
    let page = Script::reply("200 OK", "content-type: text/html\r\n", "<h1>Login</h1>");
    let server = ScriptedServer::start(page).await;
    let reply = port(&server.url())
        .send(request(&server.url()), Cost::read())
        .await
        .unwrap();
    let fault = json::<serde_json::Value>(&reply).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Protocol);
    assert!(fault.message.contains("web page"), "{fault}");
}

#[tokio::test]
async fn a_hundred_megabytes_are_not_read() {
    let announced = b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\nxxxx".to_vec();
    let told = fault(Script::Say(announced), Cost::read()).await;
    assert_eq!(told.kind, FaultKind::Protocol, "{told}");
    let cost = Cost {
        reply_bytes_max: 1024 * 1024,
        ..Cost::once()
    };
    let endless = fault(Script::Endless, cost).await;
    assert_eq!(endless.kind, FaultKind::Protocol, "{endless}");
    assert!(endless.message.contains("1 MiB"), "{endless}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = ScriptedServer::start(Script::reply("200 OK", "", "{}")).await;
    let to = format!("location: http://localhost:{}/\r\n", elsewhere.port);
    let server = ScriptedServer::start(Script::reply("302 Found", &to, "")).await;
    let reply = port(&server.url())
        .send(request(&server.url()), Cost::read())
        .await
        .unwrap();
    assert_eq!(reply.status(), 302);
    assert_eq!(elsewhere.heard(), 0);
}

#[tokio::test]
async fn credentials_do_not_go_to_another_host() {
    let elsewhere = ScriptedServer::start(Script::reply("200 OK", "", "picture")).await;
    let server = ScriptedServer::start(Script::reply("200 OK", "", "{}")).await;
    let port = port(&server.url());
    let fault = port
        .send(request(&elsewhere.url()), Cost::read())
        .await
        .unwrap_err();
    assert!(matches!(fault.kind, FaultKind::Invalid { .. }), "{fault}");
    let fault = port
        .open(request(&elsewhere.url()), Cost::read())
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(fault.kind, FaultKind::Invalid { .. }), "{fault}");
    assert_eq!(elsewhere.heard(), 0);
}

/// Why a shop at this address, with these options, is not called by a worker with this reach.
fn not_called(url: &str, options: &[&str], reach: Reach) -> Option<Fault> {
    let mut service = service(url);
    let on = |name: &&str| ((*name).to_owned(), serde_json::Value::Bool(true));
    service.options.extend(options.iter().map(on));
    ShopHttp::new(&service, &Calling::within(patient()).reaching(reach)).err()
}

#[test]
fn s2_a_merchants_settings_alone_open_no_address_of_our_network() {
    for url in [
        "https://10.1.2.3",
        "https://[fd00::1]",
        "https://169.254.169.254",
        "http://169.254.169.254",
        "https://127.0.0.1:8443",
        "http://127.0.0.1:7480",
        "http://[::1]:7480",
        "http://[::ffff:127.0.0.1]:7480",
        "http://2130706433",
        "http://0x7f.1",
        "http://shop.example",
    ] {
        let options = ["allowPrivate", ALLOW_INSECURE];
        let fault = not_called(url, &options, Reach::default());
        let fault = fault.unwrap_or_else(|| panic!("{url} would be called"));
        assert!(matches!(fault.kind, FaultKind::Invalid { .. }), "{fault}");
        assert!(fault.message.contains("operator"), "{fault}");
    }
    assert!(not_called("https://shop.example", &[], Reach::default()).is_none());
}

#[test]
fn s2_the_workers_operator_opens_addresses_and_plain_http() {
    let erp = || Reach::to(["10.1.0.0/16"]).unwrap();
    assert!(not_called("https://10.1.2.3", &[], erp()).is_none());
    assert!(not_called("https://10.2.2.3", &[], erp()).is_some());
    let plain = || erp().with_plain_http(true);
    assert!(not_called("http://10.1.2.3", &[ALLOW_INSECURE], plain()).is_none());
    assert!(
        not_called("http://10.1.2.3", &[], plain()).is_some(),
        "both say so"
    );
    assert!(not_called("http://10.1.2.3", &[ALLOW_INSECURE], erp()).is_some());
    assert!(not_called("http://127.0.0.1:1", &[], Reach::loopback()).is_none());
}

#[tokio::test]
async fn s2_a_name_is_judged_when_it_is_looked_up() {
    let server = ScriptedServer::start(Script::reply("200 OK", "", "{}")).await;
    let url = format!("http://localhost:{}", server.port);
    let port = ShopHttp::new(&service(&url), &Calling::within(patient())).unwrap();
    let fault = port.send(request(&url), Cost::once()).await.unwrap_err();
    assert!(matches!(fault.kind, FaultKind::Invalid { .. }), "{fault}");
    assert!(!fault.message.contains("127.0.0.1"), "{fault}");
    assert_eq!(server.heard(), 0);
}

#[tokio::test]
async fn plain_http_off_this_machine_is_refused_before_anything_is_sent() {
    let fault = ShopHttp::new(&service("http://shop.example"), &Calling::within(patient()))
        .map(|_| ())
        .unwrap_err();
    assert!(fault.message.contains("https"), "{fault}");
}

#[tokio::test]
async fn a_pause_that_the_shop_asked_for_holds_the_next_call_back() {
    let busy = Script::reply("429 Too Many Requests", "retry-after: 60\r\n", "{}");
    let server = ScriptedServer::start(busy).await;
    let port = port(&server.url());
    let reply = port
        .send(request(&server.url()), Cost::read())
        .await
        .unwrap();
    assert_eq!(reply.status(), 429);
    port.learn(Budget {
        retry_after_ms: Some(60_000),
        ..Budget::default()
    });
    let fault = port
        .send(request(&server.url()), Cost::once())
        .await
        .unwrap_err();
    assert!(
        matches!(fault.kind, FaultKind::RateLimited { retry_at: Some(_) }),
        "{fault}"
    );
    assert_eq!(server.heard(), 1);
}

#[tokio::test]
async fn a_picture_is_streamed_and_bounded() {
    let server = ScriptedServer::start(Script::reply("200 OK", "", "picture")).await;
    let port = port(&server.url());
    let open = |bytes_max| {
        let cost = Cost {
            reply_bytes_max: bytes_max,
            ..Cost::read()
        };
        port.open(request(&server.url()), cost)
    };
    let pieces: Vec<_> = open(7).await.unwrap().collect().await;
    let bytes: Vec<u8> = pieces
        .into_iter()
        .flat_map(|piece| piece.unwrap())
        .collect();
    assert_eq!(bytes, b"picture");
    let pieces: Vec<_> = open(6).await.unwrap().collect().await;
    let fault = pieces.into_iter().find_map(Result::err).unwrap();
    assert_eq!(fault.kind, FaultKind::Protocol);
    let missing = ScriptedServer::start(Script::reply("404 Not Found", "", "")).await;
    let fault = self::port(&missing.url())
        .open(request(&missing.url()), Cost::read())
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound);
}

struct Certificates {
    authority_pem: String,
    server: rustls::ServerConfig,
    fingerprint: String,
}

fn certificates(expired: bool) -> Certificates {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let server_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
    if expired {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    }
    let certificate = params.signed_by(&server_key, &issuer).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(server_key.serialize_der()).into(),
        )
        .unwrap();
    Certificates {
        authority_pem: authority.pem(),
        server,
        fingerprint: data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(certificate.der())),
    }
}

async fn over_tls(
    expired: bool,
    option: impl Fn(&Certificates) -> Option<(&'static str, String)>,
) -> Result<u16, Fault> {
    let certificates = certificates(expired);
    let option = option(&certificates).map(|(name, value)| (name.to_owned(), value));
    let server =
        ScriptedServer::start_tls(Script::reply("200 OK", "", "{}"), certificates.server).await;
    let url = format!("https://127.0.0.1:{}", server.port);
    let mut service = service(&url);
    service
        .options
        .extend(option.map(|(name, value)| (name, serde_json::Value::String(value))));
    let port = ShopHttp::new(&service, &calling(patient()))?;
    let reply = port.send(request(&url), Cost::once()).await?;
    Ok(reply.status().as_u16())
}

#[tokio::test]
async fn a_certificate_is_believed_by_its_authority_or_its_fingerprint_only() {
    let by_authority = |c: &Certificates| Some((AUTHORITY, c.authority_pem.clone()));
    assert_eq!(over_tls(false, by_authority).await, Ok(200));
    let by_fingerprint = |c: &Certificates| Some((CERTIFICATE, c.fingerprint.clone()));
    assert_eq!(over_tls(false, by_fingerprint).await, Ok(200));
    let fault = over_tls(false, |_| None).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.message.contains("vouches"), "{fault}");
    let wrong = |_: &Certificates| Some((CERTIFICATE, "ab".repeat(32)));
    let fault = over_tls(false, wrong).await.unwrap_err();
    assert!(fault.message.contains("pinned"), "{fault}");
}

#[tokio::test]
async fn an_expired_certificate_is_named_and_nothing_was_sent() {
    let by_authority = |c: &Certificates| Some((AUTHORITY, c.authority_pem.clone()));
    let fault = over_tls(true, by_authority).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.message.contains("expired"), "{fault}");
}
