//! `lockstep workers …`

use super::api::Api;
use crate::arguments::Workers;
use crate::exit::{Exit, Trouble};
use crate::print;
use lockstep_protocol::paths::{fill, people as paths};
use lockstep_protocol::people::workers::{
    ConfirmReply, ConfirmRequest, PendingView, WorkerList, WorkerState, WorkerStateRequest,
    WorkerView,
};
use serde_json::{Value, json};

pub async fn workers(command: Workers, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    let list: WorkerList = api.get(paths::WORKERS, &[]).await?;
    match command {
        Workers::List => show_list(&list, as_json),
        Workers::Show { worker } => show_one(&list, &worker, as_json),
        Workers::Confirm { worker, code } => {
            let pending = pending(&list, &worker)?;
            let path = fill(paths::ENROLMENT_CONFIRM, &[&pending.enrolment]);
            let reply: ConfirmReply = api.post(&path, &ConfirmRequest { code }).await?;
            if as_json {
                print::json(&reply)?;
            } else {
                print::line(&format!(
                    "{} is confirmed: it is worker {} now and fetches its settings.",
                    reply.name, reply.worker_id
                ));
            }
            Ok(Exit::Done)
        }
        Workers::Reject { worker } => {
            let pending = pending(&list, &worker)?;
            let path = fill(paths::ENROLMENT_REJECT, &[&pending.enrolment]);
            let _: Value = api.post(&path, &json!({})).await?;
            if as_json {
                print::json(&json!({ "rejected": pending.enrolment }))?;
            } else {
                print::line(&format!("{} is rejected.", pending.name));
            }
            Ok(Exit::Done)
        }
        Workers::Drain { worker } => {
            let worker = find(&list, &worker)?;
            let path = fill(paths::WORKER_STATE, &[&worker.id]);
            let request = WorkerStateRequest {
                state: WorkerState::Draining,
                name: None,
            };
            let _: Value = api.put(&path, &request).await?;
            if as_json {
                print::json(&json!({ "draining": worker.id }))?;
            } else {
                print::line(&format!(
                    "{} finishes what runs and gives its customers away.",
                    worker.name
                ));
            }
            Ok(Exit::Done)
        }
    }
}

fn find<'a>(list: &'a WorkerList, named: &str) -> Result<&'a WorkerView, Trouble> {
    let mut found = list
        .workers
        .iter()
        .filter(|worker| worker.id.to_string() == named || worker.name == named);
    one(found.next(), found.next(), named, "worker")
}

fn pending<'a>(list: &'a WorkerList, named: &str) -> Result<&'a PendingView, Trouble> {
    let mut found = list
        .pending
        .iter()
        .filter(|pending| pending.enrolment.to_string() == named || pending.name == named);
    one(
        found.next(),
        found.next(),
        named,
        "worker that waits for approval",
    )
}

fn one<T>(first: Option<T>, second: Option<T>, named: &str, what: &str) -> Result<T, Trouble> {
    match (first, second) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(Trouble::wrong_use(format!(
            "there is no {what} \"{named}\"; `lockstep workers list` shows them"
        ))),
        (Some(_), Some(_)) => Err(Trouble::wrong_use(format!(
            "\"{named}\" names several: use the id that `lockstep workers list` shows"
        ))),
    }
}

fn show_list(list: &WorkerList, as_json: bool) -> anyhow::Result<Exit> {
    if as_json {
        print::json(list)?;
    } else if list.workers.is_empty() && list.pending.is_empty() {
        print::line("No workers yet. Start one: lockstep worker --coordinator URL");
    } else {
        for pending in &list.pending {
            print::line(&format!(
                "waits for approval: {} from {} shows {}   →  lockstep workers confirm {} --code {}",
                pending.name, pending.address, pending.code, pending.enrolment, pending.code
            ));
        }
        let rows = list.workers.iter().map(|worker| {
            vec![
                worker.id.to_string(),
                worker.name.clone(),
                state(worker).to_owned(),
                worker.customers.len().to_string(),
                worker
                    .last_seen_at
                    .map_or_else(|| "never".to_owned(), |at| at.to_string()),
                worker.build.clone(),
            ]
        });
        print::table(
            &["id", "name", "state", "customers", "last seen", "build"],
            rows.collect(),
        );
    }
    Ok(if list.pending.is_empty() {
        Exit::Done
    } else {
        Exit::NeedsPerson
    })
}

fn state(worker: &WorkerView) -> &'static str {
    match (worker.state, worker.online) {
        (WorkerState::Active, true) => "active",
        (WorkerState::Active, false) => "not heard of",
        (WorkerState::Draining, _) => "draining",
        (WorkerState::Suspended, _) => "suspended",
        (WorkerState::Gone, _) => "gone",
    }
}

fn show_one(list: &WorkerList, named: &str, as_json: bool) -> anyhow::Result<Exit> {
    if let Ok(pending) = pending(list, named) {
        if as_json {
            print::json(pending)?;
        } else {
            print::line(&format!("{} waits for approval", pending.name));
            print::line(&format!("  code         {}", pending.code));
            print::line(&format!("  address      {}", pending.address));
            print::line(&format!("  fingerprint  {}", pending.fingerprint));
            print::line(&format!("  until        {}", pending.expires_at));
        }
        return Ok(Exit::NeedsPerson);
    }
    let worker = find(list, named)?;
    if as_json {
        print::json(worker)?;
        return Ok(Exit::Done);
    }
    print::line(&format!(
        "{} ({}), {}",
        worker.name,
        worker.id,
        state(worker)
    ));
    print::line(&format!("  fingerprint  {}", worker.fingerprint));
    print::line(&format!("  platforms    {}", worker.platforms.join(", ")));
    let rows = worker.customers.iter().map(|customer| {
        vec![
            customer.id.to_string(),
            customer.name.clone(),
            customer.epoch.to_string(),
            customer.revision.to_string(),
            customer
                .applied
                .as_ref()
                .map_or_else(|| "—".to_owned(), |applied| applied.revision.to_string()),
        ]
    });
    print::table(
        &["customer", "name", "epoch", "revision", "applied"],
        rows.collect(),
    );
    Ok(Exit::Done)
}
