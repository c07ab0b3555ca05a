//! How the coordinator may be reached.

use crate::platform::registry;
use lockstep_coordinator::{CoordinatorConfig, Tls, start};

#[tokio::test]
async fn plain_http_off_loopback_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = CoordinatorConfig::local(folder.path(), registry());
    config.listen = "0.0.0.0:0".parse().unwrap();
    config.tls = Tls::Plain;
    let error = start(config).await.err().unwrap().to_string();
    assert!(error.contains("plain HTTP"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_its_own_is_served_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = CoordinatorConfig::local(folder.path(), registry());
    config.tls = Tls::SelfSigned;
    let coordinator = start(config).await.unwrap();
    assert!(coordinator.url().starts_with("https://"));
    assert!(coordinator.fingerprint().unwrap().starts_with("SHA256:"));
    let stranger = crate::world::client();
    let asked = stranger.get(format!("{}/api/v1/me", coordinator.url()));
    assert!(asked.send().await.is_err());
    let pem = std::fs::read(folder.path().join("tls/certificate.pem")).unwrap();
    let certificate = reqwest::Certificate::from_pem(&pem).unwrap();
    let friend = reqwest::Client::builder()
        .tls_certs_only([certificate])
        .build()
        .unwrap();
    let asked = friend.get(format!("{}/api/v1/me", coordinator.url()));
    assert_eq!(asked.send().await.unwrap().status(), 401);
    coordinator.shutdown().await;
}
