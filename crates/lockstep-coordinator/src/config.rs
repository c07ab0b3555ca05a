//! What a coordinator is started with. Where it comes from (a file, flags, the environment) is the
//! binary's business.

use crate::{
    Tls,
    bounds::{CHECKPOINT_AFTER_BYTES, CONNECTIONS_PER_ADDRESS, HEAD_TIME_MAX},
};
use lockstep_connector::Registry;
use lockstep_protocol::Network;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub struct CoordinatorConfig {
    /// Made if it is missing; holds the default database, the key file, replicas, checkpoints and certificates.
    pub data: PathBuf,
    /// Port 0: a free one.
    pub listen: SocketAddr,
    /// None: SQLite in the data folder.
    pub database: Option<String>,
    /// As workers and shops reach this coordinator, where a proxy stands before it.
    pub public_url: Option<String>,
    pub tls: Tls,
    /// The platforms whose hooks are understood and whose forms are shown.
    pub registry: Registry,
    /// The key that shop credentials are encrypted with, 64 hex digits or base64. None: a file in the data folder.
    pub secret_key: Option<String>,
    /// Bytes of a customer's segments, compressed, after which its checkpoint is made anew; a small segment counts as 4 KiB.
    pub checkpoint_after_bytes: u64,
    /// Whose word about whom they call for is taken.
    pub trusted_proxies: Vec<Network>,
    /// Of one address, at the same time; of proxies there is no bound. 0: none at all.
    pub connections_per_address: usize,
    /// How long a connection may take to send the head of its next request, the wait for it included.
    pub head_time_max: Duration,
}

impl CoordinatorConfig {
    /// On loopback, a free port, everything in one folder.
    pub fn local(data: impl Into<PathBuf>, registry: Registry) -> Self {
        CoordinatorConfig {
            data: data.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            database: None,
            public_url: None,
            tls: Tls::Auto,
            registry,
            secret_key: None,
            checkpoint_after_bytes: CHECKPOINT_AFTER_BYTES,
            trusted_proxies: Vec::new(),
            connections_per_address: CONNECTIONS_PER_ADDRESS,
            head_time_max: HEAD_TIME_MAX,
        }
    }
}
