//! A worker that runs: in its own process, or in one with a coordinator.

use crate::asks::Asks;
use crate::config::WorkerConfig;
use crate::coordinator::Coordinator;
use crate::crash::CrashPoints;
use crate::customer::{HookUrls, Tools};
use crate::fleet::Fleet;
use crate::folder::Folder;
use crate::identity::Key;
use crate::lease;
use crate::link::Link;
use crate::members::Members;
use crate::report::Reporter;
use crate::session::Session;
use crate::settings_file::Kept;
use crate::shop_http::Calling;
use crate::state::WorkerState;
use anyhow::Context;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Stops when it is told to; dropping it stops it too, without waiting.
pub struct RunningWorker {
    state: watch::Receiver<WorkerState>,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl RunningWorker {
    /// Where it stands; changes as it goes.
    pub fn state(&self) -> watch::Receiver<WorkerState> {
        self.state.clone()
    }

    /// Writes that are on their way may end; the rest goes on at the next start.
    pub async fn shutdown(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        (&mut self.task)
            .await
            .context("the worker's task broke off")?
    }

    /// Waits until it ends by itself, which it does only when its disk fails.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        (&mut self.task)
            .await
            .context("the worker's task broke off")?
    }
}

impl Drop for RunningWorker {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Everything that one worker is made of.
pub(crate) struct Parts {
    pub link: Arc<Link>,
    pub tools: Arc<Tools>,
    pub session: Session,
}

pub(crate) async fn assemble(config: WorkerConfig, once: bool) -> anyhow::Result<Parts> {
    let crash = CrashPoints::from_environment()?;
    let coordinator = Coordinator::new(config.coordinators.clone(), &config.trust)?;
    let data = config.data.clone();
    let (folder, key, kept) = tokio::task::spawn_blocking(move || {
        let folder = Folder::open(&data)?;
        let key = Key::load_or_make(&folder)?;
        let kept = Kept::load(&folder)?;
        Ok::<_, crate::folder::FolderError>((folder, key, kept))
    })
    .await
    .context("the data folder was not opened")??;
    let link = Arc::new(Link::new(
        coordinator,
        folder,
        key,
        crash,
        config.display_name(),
    )?);
    let calling = Calling::within(config.timeouts).reaching(config.reach.clone());
    let tools = Arc::new(Tools {
        link: link.clone(),
        registry: config.registry.clone(),
        reporter: Arc::new(Reporter::default()),
        members: Arc::new(Members::default()),
        calling: calling.clone(),
        once,
        hook_urls: HookUrls::default(),
        hooks_looked_at: config.hooks_looked_at,
    });
    for place in &kept.hooks {
        let (customer, shop) = (place.customer, place.shop);
        tools.hook_urls.set(customer, shop, Some(&place.url));
    }
    let asks = Asks::new(link.clone(), config.registry.clone(), calling);
    let fleet = Fleet::new(tools.clone(), kept);
    let session = Session::new(link.clone(), config, fleet, asks);
    Ok(Parts {
        link,
        tools,
        session,
    })
}

/// Starts a worker. It returns as soon as the data folder is ours; see `state` for the rest.
pub async fn start(config: WorkerConfig) -> anyhow::Result<RunningWorker> {
    let parts = assemble(config, false).await?;
    let stop = CancellationToken::new();
    let (state, token) = (parts.link.state(), stop.clone());
    let task = tokio::spawn(run(parts, token));
    Ok(RunningWorker { state, stop, task })
}

async fn run(parts: Parts, stop: CancellationToken) -> anyhow::Result<()> {
    let Parts {
        link,
        tools,
        mut session,
    } = parts;
    tokio::select! {
        end = session.run(&stop) => end.context("the worker's data folder failed"),
        () = lease::renew_always(&link, &tools.members, false) => Ok(()),
        () = tools.reporter.send_always(&link) => Ok(()),
    }
}
