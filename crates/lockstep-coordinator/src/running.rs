//! Starting a coordinator, and stopping it.

use crate::{
    CoordinatorConfig,
    admission::{Attempts, Guesses, Places},
    api,
    app::{App, AppState},
    archive::{self, Checkpoints, Replicas},
    asks::Waiting,
    bounds::{
        HEAD_BYTES_MAX, HEADERS_MAX, PARKED_POLLS_MAX, PERSON_TOKEN_LIFE, SHUTDOWN_GRACE,
        STRANGERS_MAX,
    },
    connections::{Connections, files_max},
    erasures,
    events::Events,
    figures::Figures,
    fleet::{self, Facts, Keeping, Rejoining, Watchdog},
    forwarded,
    hooks::{self, Registrations, Replays, Targets, Wakes},
    housekeeping,
    progress::Progress,
    reading::Reading,
    reports::Reports,
    router::router,
    tls::Transport,
    view::{self, Tail, View},
};
use anyhow::{Context, anyhow};
use axum::{Router, middleware::from_fn};
use axum_server::{
    Handle,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use data_encoding::BASE32_DNSSEC;
use hyper_util::rt::TokioTimer;
use jiff::Timestamp;
use lockstep_storage::{self as storage, NewPerson, Options, Role, SessionKind, Storage};
use secrecy::SecretString;
use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const CONNECTIONS_MAX: u32 = 8;
const FIRST_OPERATOR: &str = "operator";

/// A login that was made at this start. Its secrets are here and nowhere else in clear.
#[derive(Clone)]
pub struct Login {
    pub user: String,
    pub password: String,
    pub api_token: String,
}

/// A coordinator that serves. It stops when told to, or when this is dropped.
pub struct RunningCoordinator {
    addr: SocketAddr,
    url: String,
    fingerprint: Option<String>,
    first_login: Option<Login>,
    app: AppState,
    handle: Handle<SocketAddr>,
    tasks: JoinSet<()>,
    serving: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
}

/// Returns when it answers.
pub async fn start(config: CoordinatorConfig) -> anyhow::Result<RunningCoordinator> {
    let names = config
        .public_url
        .as_deref()
        .and_then(host_of)
        .into_iter()
        .collect::<Vec<_>>();
    storage::private_data_folder(&config.data)
        .with_context(|| format!("the data folder {} cannot be made", config.data.display()))?;
    let transport = Transport::open(&config.tls, config.listen, &config.data, &names)?;
    let mut options = Options::in_folder(&config.data);
    options.url = config.database.map(SecretString::from);
    options.key = config.secret_key.map(SecretString::from);
    options.connections_max = CONNECTIONS_MAX;
    let storage = Storage::open(options).await?;

    // The port last: who can connect is answered.
    let listener = TcpListener::bind(config.listen)
        .with_context(|| format!("{} cannot be listened on", config.listen))?;
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    let url = config
        .public_url
        .map(|url| url.trim_end_matches('/').to_owned())
        .unwrap_or_else(|| format!("{}://{}", transport.scheme(), reachable(addr)));
    let fingerprint = match &transport {
        Transport::Tls {
            fingerprint,
            self_signed: true,
            ..
        } => Some(fingerprint.clone()),
        Transport::Plain | Transport::Tls { .. } => None,
    };

    let incarnation = storage.incarnation().await?;
    let (wakes, raised) = Wakes::new();
    let app = AppState::new(App {
        registry: config.registry,
        view: View::new(incarnation),
        tail: Tail::default(),
        events: Events::default(),
        progress: Progress::default(),
        reports: Reports::default(),
        figures: Figures::new(jiff::Timestamp::now()),
        facts: Facts::default(),
        keeping: Keeping::default(),
        rejoining: Rejoining::default(),
        watchdog: Watchdog::default().into(),
        started_ms: view::now_ms(),
        asks: Waiting::default(),
        wakes,
        targets: Targets::default(),
        registrations: Registrations::default(),
        replays: Replays::default(),
        replicas: Replicas::new(&config.data)
            .with_context(|| format!("a folder in {} cannot be made", config.data.display()))?,
        checkpoints: Checkpoints::open(&config.data, config.checkpoint_after_bytes)
            .with_context(|| format!("a folder in {} cannot be read", config.data.display()))?,
        attempts: Attempts::default(),
        guesses: Guesses::default(),
        reading: Reading::start().context("a thread for reading settings cannot be started")?,
        parked: Places::new(PARKED_POLLS_MAX),
        strangers: Places::new(STRANGERS_MAX),
        public_url: url.clone(),
        secure: url.starts_with("https://"),
        fingerprint: fingerprint.clone(),
        stop: CancellationToken::new(),
        storage,
    });
    let first_login = first_operator(&app).await?;
    app.tail.catch_up(&app).await?;
    for (customer, _) in app.view.all_customers() {
        app.replicas.poke(customer);
    }

    let mut tasks = JoinSet::new();
    tasks.spawn(view::follow(app.clone()));
    tasks.spawn(hooks::write(app.clone(), raised));
    tasks.spawn(fleet::follow(app.clone()));
    tasks.spawn(archive::follow(app.clone()));
    tasks.spawn(archive::follow_growth(app.clone()));
    tasks.spawn(housekeeping::follow(app.clone()));
    tasks.spawn(erasures::follow(app.clone()));
    let handle = Handle::new();
    let proxies: Arc<[_]> = config.trusted_proxies.clone().into();
    let mut router = router(app.clone());
    if !proxies.is_empty() {
        router = router.layer(from_fn(move |request, next| {
            forwarded::client(proxies.clone(), request, next)
        }));
    }
    let files = files_max();
    let connections = Connections::new(
        files,
        config.connections_per_address,
        config.trusted_proxies,
    );
    tracing::info!(
        files,
        connections = connections.max(),
        per_address = config.connections_per_address,
        "open files, and connections that are served at the same time"
    );
    let serving = serve(
        listener,
        transport,
        handle.clone(),
        connections,
        config.head_time_max,
        router,
    )?;
    handle
        .listening()
        .await
        .ok_or_else(|| anyhow!("{addr} cannot be served"))?;
    tracing::info!(%addr, "the coordinator serves");
    Ok(RunningCoordinator {
        addr,
        url,
        fingerprint,
        first_login,
        app,
        handle,
        tasks,
        serving: Some(serving),
    })
}

fn serve(
    listener: TcpListener,
    transport: Transport,
    handle: Handle<SocketAddr>,
    connections: Connections,
    head_time_max: Duration,
    router: Router,
) -> anyhow::Result<tokio::task::JoinHandle<std::io::Result<()>>> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let mut server = axum_server::from_tcp(listener)?.handle(handle);
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_time_max)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    // One version of HTTP, said last (an acceptor forgets it): to tell two apart, a first byte would be waited for without
    // an end.
    Ok(match transport {
        Transport::Plain => tokio::spawn(server.acceptor(connections).http1_only().serve(service)),
        Transport::Tls { config, .. } => {
            let acceptor =
                RustlsAcceptor::new(RustlsConfig::from_config(config)).acceptor(connections);
            tokio::spawn(server.acceptor(acceptor).http1_only().serve(service))
        }
    })
}

/// At the first start there is nobody who could log in.
async fn first_operator(app: &AppState) -> anyhow::Result<Option<Login>> {
    if app.storage.person_count().await? > 0 {
        return Ok(None);
    }
    let password = BASE32_DNSSEC.encode(&rand::random::<[u8; 15]>());
    let now = Timestamp::now();
    let new = NewPerson {
        name: FIRST_OPERATOR.into(),
        password: SecretString::from(password.clone()),
        role: Role::Operator,
        customer: None,
    };
    let id = app.storage.add_person(new, now).await?;
    let people = app.storage.people().await?;
    let person = people
        .iter()
        .find(|person| person.id == id)
        .context("the first operator is gone as soon as it was made")?;
    let life = Some(PERSON_TOKEN_LIFE);
    let (token, _) = api::login::begin(app, person, SessionKind::Api, "first start", life)
        .await
        .map_err(|refusal| anyhow!("{refusal}"))?;
    Ok(Some(Login {
        user: FIRST_OPERATOR.into(),
        password,
        api_token: token.reveal(),
    }))
}

/// Where this machine itself reaches what listens on every address.
fn reachable(addr: SocketAddr) -> SocketAddr {
    if !addr.ip().is_unspecified() {
        return addr;
    }
    let loopback: std::net::IpAddr = match addr {
        SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(loopback, addr.port())
}

fn host_of(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    uri.host().map(ToOwned::to_owned)
}

impl RunningCoordinator {
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Without a trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Of the certificate that the coordinator made for itself, if it did.
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// The first operator's, at the start that made it.
    pub fn first_login(&self) -> Option<&Login> {
        self.first_login.as_ref()
    }

    /// Answers what is under way, and returns when nothing is.
    pub async fn shutdown(mut self) {
        self.app.stop.cancel();
        self.handle.graceful_shutdown(Some(SHUTDOWN_GRACE));
        if let Some(serving) = self.serving.take() {
            match serving.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the server did not end well"),
                Err(error) => tracing::warn!(%error, "the server's task did not end well"),
            }
        }
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::warn!(%error, "a task did not end well");
            }
        }
        let storage = self.app.storage.clone();
        if let Err(error) = storage.close().await {
            tracing::warn!(%error, "the database was not closed well");
        }
    }
}

impl Drop for RunningCoordinator {
    fn drop(&mut self) {
        self.app.stop.cancel();
        self.handle.shutdown();
    }
}
