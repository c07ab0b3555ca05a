//! What a coordinator is started with. Where it comes from (a file, flags, the environment) is the
//! binary's business.

use crate::{Tls, bounds::CHECKPOINT_AFTER_BYTES};
use lockstep_connector::Registry;
use std::{net::SocketAddr, path::PathBuf};

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
        }
    }
}
