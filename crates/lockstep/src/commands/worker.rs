//! `lockstep worker` and `lockstep worker sync`

use crate::arguments::{Worker, WorkerCommand, WorkerConnection};
use crate::config::{Config, data_folder};
use crate::exit::{Exit, Trouble};
use crate::print;
use lockstep_worker::{SyncOutcome, Trust, WorkerConfig, WorkerState};
use serde_json::json;

pub async fn run(arguments: Worker, config: &Config, as_json: bool) -> anyhow::Result<Exit> {
    match arguments.command {
        None => serve(configured(arguments.connection, config)?, as_json).await,
        Some(WorkerCommand::Sync(connection)) => {
            sync_once(configured(connection, config)?, as_json).await
        }
    }
}

fn configured(connection: WorkerConnection, config: &Config) -> anyhow::Result<WorkerConfig> {
    let mut urls = Vec::new();
    for text in &connection.coordinator {
        let url: reqwest::Url = text.parse().map_err(|error| {
            Trouble::wrong_use(format!("\"{text}\" is not an address of a coordinator: {error}"))
        })?;
        urls.push(url);
    }
    let Some(first) = urls.first() else {
        return Err(Trouble::wrong_use("name a coordinator with --coordinator URL").into());
    };
    let data = match connection.data {
        Some(data) => data,
        None => data_folder(&config.worker.data, "worker")?,
    };
    let mut worker = WorkerConfig::new(first.clone(), data, lockstep_connectors::registry());
    worker.coordinators = urls;
    worker.name = connection.name.unwrap_or_else(|| config.worker.name.clone());
    worker.join_token = connection.join.map(Into::into);
    if let Some(fingerprint) = connection.fingerprint {
        worker.trust = Trust::fingerprint(&fingerprint).map_err(|error| {
            Trouble::wrong_use(format!("--fingerprint: {error}"))
        })?;
    }
    Ok(worker)
}

async fn serve(config: WorkerConfig, as_json: bool) -> anyhow::Result<Exit> {
    let worker = lockstep_worker::start(config).await?;
    let mut states = worker.state();
    let watching = async {
        loop {
            let state = states.borrow_and_update().clone();
            announce(&state, as_json)?;
            if states.changed().await.is_err() {
                return Ok::<_, anyhow::Error>(state);
            }
        }
    };
    let over = tokio::select! {
        over = watching => Some(over?),
        () = super::until_stopped() => None,
    };
    worker.shutdown().await;
    match over {
        None => Ok(Exit::Done),
        Some(state) => Err(Trouble::new(Exit::Failed, state.to_string()).into()),
    }
}

fn announce(state: &WorkerState, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        print::json(&json!({ "state": state.name(), "code": state.code(), "message": state.to_string() }))
    } else {
        print::line(&state.to_string());
        Ok(())
    }
}

async fn sync_once(config: WorkerConfig, as_json: bool) -> anyhow::Result<Exit> {
    let outcome: SyncOutcome = lockstep_worker::sync_once(config).await?;
    if as_json {
        print::json(&outcome)?;
    } else {
        print::line(&outcome.to_string());
    }
    Ok(match outcome.result() {
        lockstep_worker::RoundResult::Done => Exit::Done,
        lockstep_worker::RoundResult::Failed => Exit::Failed,
        lockstep_worker::RoundResult::NeedsPerson => Exit::NeedsPerson,
        lockstep_worker::RoundResult::OutOfReach => Exit::OutOfReach,
    })
}
