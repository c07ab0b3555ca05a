//! Starting and stopping a shop.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::ShopConfig;
use crate::database::Database;
use crate::faults::Faults;
use crate::hooks::deliver;
use crate::line::{Cut, Line};
use crate::requests::Requests;
use crate::state::ShopState;
use crate::stock::level_rows;
use crate::{api, bounds, seed};

/// Starts shops.
pub struct Shop;

/// A shop that is open. Dropping it closes it without waiting.
pub struct RunningShop {
    addr: SocketAddr,
    state: Arc<ShopState>,
    serving: Option<JoinHandle<()>>,
    delivering: Option<JoinHandle<()>>,
}

impl Shop {
    /// Opens the data, sows the seed into an empty one, and listens. It answers when this returns.
    pub async fn start(config: ShopConfig) -> anyhow::Result<RunningShop> {
        config.check()?;
        let listener = TcpListener::bind(config.listen).await.with_context(|| {
            format!(
                "the shop “{}” could not listen on {}",
                config.name, config.listen
            )
        })?;
        let addr = listener.local_addr()?;
        let base = config
            .public_url
            .clone()
            .unwrap_or_else(|| format!("http://{}", reachable(addr)));
        let config = Arc::new(config);
        let opened = tokio::task::spawn_blocking({
            let config = config.clone();
            move || {
                let facts = [
                    ("takes", config.takes.to_string()),
                    ("currency", config.currency.clone()),
                ];
                Database::open(&config.data, &facts, first_row(&config.name))
            }
        })
        .await??;
        let database = opened.database;
        if opened.is_new {
            if let Some(seed) = config.seed.clone() {
                let told = config.clone();
                database
                    .write(move |w| seed::sow(w, &seed, &told))
                    .await
                    .context("the shop's catalogue could not be sown")?;
            }
        } else {
            let told = config.clone();
            database
                .write(move |w| level_rows::open_missing(w, &told))
                .await?;
        }
        let token = match &config.token {
            Some(token) => token.clone(),
            None => SecretString::from(data_encoding::HEXLOWER.encode(&rand::random::<[u8; 24]>())),
        };
        anyhow::ensure!(
            !token.expose_secret().is_empty(),
            "the shop's token must not be empty"
        );
        let state = Arc::new(ShopState {
            shop_id: opened.shop_id,
            base: base.trim_end_matches('/').into(),
            token,
            database,
            faults: Faults::default(),
            requests: Requests::default(),
            stopping: CancellationToken::new(),
            config,
        });
        let client = hook_client()?;
        let delivering = tokio::spawn(deliver::run(state.clone(), client));
        let router = api::router::router(state.clone());
        let stopping = state.stopping.clone();
        let name = state.config.name.clone();
        let serving = tokio::spawn(async move {
            let served = axum::serve(
                Line(listener),
                router.into_make_service_with_connect_info::<Cut>(),
            )
            .with_graceful_shutdown(async move { stopping.cancelled().await })
            .await;
            if let Err(error) = served {
                tracing::error!(%error, shop = name, "the shop stopped serving");
            }
        });
        tracing::info!(shop = state.config.name, url = %state.base, "the practice shop is open");
        Ok(RunningShop {
            addr,
            state,
            serving: Some(serving),
            delivering: Some(delivering),
        })
    }
}

impl RunningShop {
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where others reach the shop, such as `http://127.0.0.1:4711`, without a slash at the end. The storefront's too.
    pub fn url(&self) -> &str {
        &self.state.base
    }

    /// The token that may read and write.
    pub fn token(&self) -> &str {
        self.state.token.expose_secret()
    }

    /// Made when the data folder was first used.
    pub fn id(&self) -> &str {
        &self.state.shop_id
    }

    pub fn name(&self) -> &str {
        &self.state.config.name
    }

    /// Closes the shop: requests under way are ended, held ones too.
    pub async fn shutdown(mut self) {
        self.state.stopping.cancel();
        for task in [self.serving.take(), self.delivering.take()]
            .into_iter()
            .flatten()
        {
            let stop = task.abort_handle();
            if tokio::time::timeout(bounds::SHUTDOWN_GRACE, task)
                .await
                .is_err()
            {
                stop.abort();
            }
        }
    }
}

impl Drop for RunningShop {
    fn drop(&mut self) {
        self.state.stopping.cancel();
    }
}

/// An address that others can use: "any" is no place to go to.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let mut reachable = addr;
    if addr.ip().is_unspecified() {
        reachable.set_ip(match addr {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    reachable
}

/// Where row numbers begin: unlike in each shop, so that an id taken to another shop is not found there by luck.
fn first_row(name: &str) -> i64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    1_000 + (hash % 9_000) as i64
}

/// Follows no redirect: a hook goes where it was registered to, or nowhere.
fn hook_client() -> anyhow::Result<reqwest::Client> {
    if rustls::crypto::CryptoProvider::get_default().is_none()
        && rustls::crypto::ring::default_provider()
            .install_default()
            .is_err()
    {
        tracing::debug!("a TLS provider was installed meanwhile");
    }
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(bounds::HOOK_TIMEOUT)
        .user_agent(concat!("lockstep-practice/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("the shop's client for hooks could not be made")
}
