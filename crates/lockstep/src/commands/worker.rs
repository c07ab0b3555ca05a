//! `lockstep worker` and `lockstep worker sync`

use crate::arguments::{Worker, WorkerCommand, WorkerConnection};
use crate::config::{Config, data_folder};
use crate::exit::{Exit, Trouble};
use crate::print;
use lockstep_protocol::auth::Bearer;
use lockstep_worker::{Reach, SyncOutcome, Trust, WorkerConfig, WorkerState};
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
            Trouble::wrong_use(format!(
                "\"{text}\" is not an address of a coordinator: {error}"
            ))
        })?;
        urls.push(url);
    }
    let Some(first) = urls.first() else {
        return Err(Trouble::wrong_use("name a coordinator with --coordinator URL").into());
    };
    let reach = reach(&connection, config)?;
    let data = match connection.data {
        Some(data) => data,
        None => data_folder(&config.worker.data, "worker")?,
    };
    let mut worker = WorkerConfig::new(first.clone(), data, lockstep_connectors::registry());
    worker.coordinators = urls;
    worker.reach = reach;
    worker.name = connection
        .name
        .unwrap_or_else(|| config.worker.name.clone());
    worker.join_token = connection.join.map(Bearer::new);
    if let Some(fingerprint) = connection.fingerprint {
        worker.trust = Trust::pinned(&fingerprint)
            .map_err(|error| Trouble::wrong_use(format!("--fingerprint: {error}")))?;
    }
    Ok(worker)
}

/// What the command line says is instead of the file's word.
fn reach(connection: &WorkerConnection, config: &Config) -> anyhow::Result<Reach> {
    let (from, addresses) = match connection.allow_address.as_slice() {
        [] => ("worker.allow_addresses", &config.worker.allow_addresses),
        _ => ("--allow-address", &connection.allow_address),
    };
    let plain = connection.allow_plain_http || config.worker.allow_plain_http;
    Reach::to(addresses.iter().map(String::as_str))
        .map(|reach| reach.with_plain_http(plain))
        .map_err(|bad| Trouble::wrong_use(format!("{from}: {bad}")).into())
}

async fn serve(config: WorkerConfig, as_json: bool) -> anyhow::Result<Exit> {
    let mut worker = lockstep_worker::start(config).await?;
    let mut states = worker.state();
    let watching = async {
        loop {
            let state = states.borrow_and_update().clone();
            announce(&state, as_json)?;
            if states.changed().await.is_err() {
                return Ok::<(), anyhow::Error>(());
            }
        }
    };
    tokio::select! {
        // The states end with the worker, which then says why.
        told = watching => {
            told?;
            worker.ended().await?;
        }
        () = super::until_stopped() => worker.shutdown().await?,
    }
    Ok(Exit::Done)
}

fn announce(state: &WorkerState, as_json: bool) -> anyhow::Result<()> {
    let (name, message) = match state {
        WorkerState::Starting => ("starting", "Starting.".to_owned()),
        WorkerState::Pending { code, until, .. } => (
            "pending",
            format!(
                "Waiting for approval. Compare this code with the one in the console: {code}   (until {until})"
            ),
        ),
        WorkerState::Rejected => (
            "rejected",
            "A person rejected this worker, and its key stays refused. If that was a mistake, start it with a new data folder.".to_owned(),
        ),
        WorkerState::Active { worker } => ("active", format!("Active as worker {worker}.")),
        WorkerState::Refused { detail, .. } => (
            "refused",
            format!("The coordinator refuses this worker: {detail}"),
        ),
        WorkerState::NoAnswer { reason } => (
            "no_answer",
            format!("No coordinator answers: {reason}. Pinned customers go on."),
        ),
        WorkerState::Stopped => ("stopped", "Stopped.".to_owned()),
    };
    if !as_json {
        print::line(&message);
        return Ok(());
    }
    let mut line = json!({ "state": name, "message": message });
    if let WorkerState::Pending {
        enrolment,
        code,
        fingerprint,
        until,
    } = state
    {
        line["enrolment"] = json!(enrolment);
        line["code"] = json!(code.to_string());
        line["fingerprint"] = json!(fingerprint);
        line["until"] = json!(until);
    }
    print::json(&line)
}

async fn sync_once(config: WorkerConfig, as_json: bool) -> anyhow::Result<Exit> {
    let outcome: SyncOutcome = lockstep_worker::sync_once(config).await;
    if as_json {
        let customers: Vec<_> = outcome
            .customers
            .iter()
            .map(|customer| {
                json!({
                    "customer": customer.customer,
                    "runs": customer.runs,
                    "shipped": customer.shipped,
                })
            })
            .collect();
        print::json(&json!({
            "exit": outcome.exit.code(),
            "message": outcome.message,
            "customers": customers,
        }))?;
    } else {
        for customer in &outcome.customers {
            for (result, message) in &customer.runs {
                print::line(&format!(
                    "customer {}: {result:?} {message}",
                    customer.customer
                ));
            }
            if !customer.shipped {
                print::line(&format!(
                    "customer {}: its journal waits on this machine for the coordinator",
                    customer.customer
                ));
            }
        }
        if !outcome.message.is_empty() {
            print::line(&outcome.message);
        }
    }
    Ok(match outcome.exit {
        lockstep_worker::Exit::Done => Exit::Done,
        lockstep_worker::Exit::NeedsPerson => Exit::NeedsPerson,
        lockstep_worker::Exit::CouldNotReach => Exit::OutOfReach,
        lockstep_worker::Exit::Failed => Exit::Failed,
    })
}
