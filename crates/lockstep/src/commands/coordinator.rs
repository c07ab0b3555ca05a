//! `lockstep coordinator`

use crate::arguments::Coordinator;
use crate::config::{Config, data_folder};
use crate::exit::{Exit, Trouble};
use crate::print;
use lockstep_coordinator::{CoordinatorConfig, HEAD_TIME_MAX, Tls};
use lockstep_protocol::Network;
use serde_json::json;
use std::net::SocketAddr;

fn proxies(named: &[String]) -> Result<Vec<Network>, Trouble> {
    let networks = named.iter().map(|text| text.parse());
    networks
        .collect::<Result<_, _>>()
        .map_err(|bad| Trouble::wrong_use(format!("coordinator.trusted_proxies: {bad}")))
}

pub async fn run(arguments: Coordinator, config: &Config, as_json: bool) -> anyhow::Result<Exit> {
    let file = &config.coordinator;
    let listen: SocketAddr = match arguments.listen {
        Some(listen) => listen,
        None => file.listen.parse().map_err(|_| {
            Trouble::wrong_use(format!(
                "coordinator.listen is \"{}\"; it is an address and a port, such as 127.0.0.1:7480",
                file.listen
            ))
        })?,
    };
    let set = |text: &String| (!text.is_empty()).then(|| text.clone());
    let tls = match (
        file.tls_certificate.as_os_str().is_empty(),
        file.tls_key.as_os_str().is_empty(),
    ) {
        (true, true) => Tls::Auto,
        (false, false) => Tls::Given {
            certificate: file.tls_certificate.clone(),
            key: file.tls_key.clone(),
        },
        _ => {
            return Err(Trouble::wrong_use(
                "coordinator.tls_certificate and coordinator.tls_key belong together: give both or none",
            )
            .into());
        }
    };
    let data = match arguments.data {
        Some(data) => data,
        None => data_folder(&file.data, "coordinator")?,
    };
    let running = lockstep_coordinator::start(CoordinatorConfig {
        data: data.clone(),
        listen,
        database: arguments.database.or_else(|| set(&file.database)),
        public_url: arguments.public_url.or_else(|| set(&file.public_url)),
        tls,
        registry: lockstep_connectors::registry(),
        secret_key: std::env::var("LOCKSTEP_KEY")
            .ok()
            .filter(|key| !key.is_empty()),
        checkpoint_after_bytes: u64::from(file.checkpoint_after_kib) * 1024,
        head_time_max: HEAD_TIME_MAX,
        trusted_proxies: proxies(&file.trusted_proxies)?,
        connections_per_address: usize::try_from(file.connections_per_address)
            .unwrap_or(usize::MAX),
    })
    .await?;
    let first = running.first_login();
    if as_json {
        print::json(&json!({
            "url": running.url(),
            "console_url": running.url(),
            "data": data,
            "user": first.map(|login| &login.user),
            "password": first.map(|login| &login.password),
            "api_token": first.map(|login| &login.api_token),
            "fingerprint": running.fingerprint(),
        }))?;
    } else {
        print::line(&format!("Lockstep listens at {}", running.url()));
        if let Some(fingerprint) = running.fingerprint() {
            print::line(&format!("  certificate of its own, SHA-256 {fingerprint}"));
        }
        if let Some(login) = first {
            print::line("  first start: this login is shown once and kept nowhere in clear");
            print::line(&format!("  user       {}", login.user));
            print::line(&format!("  password   {}", login.password));
            print::line(&format!("  API token  {}", login.api_token));
        }
        print::line(&format!("  data       {}", data.display()));
        print::line(&format!(
            "  a worker:  lockstep worker --coordinator {}",
            running.url()
        ));
    }
    super::until_stopped().await;
    running.shutdown().await;
    Ok(Exit::Done)
}
