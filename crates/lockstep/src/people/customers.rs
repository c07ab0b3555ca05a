//! `lockstep customers …`

use super::api::Api;
use super::plan;
use crate::arguments::Customers;
use crate::exit::{Exit, Trouble};
use crate::print;
use anyhow::Context;
use lockstep_protocol::paths::people as paths;
use lockstep_protocol::people::Page;
use lockstep_protocol::people::customers::{ApplyReply, CustomerRow, CustomerView, OwnerRequest};
use lockstep_protocol::people::workers::WorkerList;
use serde_json::{Value, json};

pub async fn customers(command: Customers, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    match command {
        Customers::List => {
            let mut rows: Vec<CustomerRow> = Vec::new();
            let mut cursor = String::new();
            loop {
                let page: Page<CustomerRow> =
                    api.get(paths::CUSTOMERS, &[("cursor", &cursor)]).await?;
                rows.extend(page.items);
                match page.next {
                    Some(next) => cursor = next,
                    None => break,
                }
            }
            if as_json {
                print::json(&rows)?;
            } else {
                show_rows(&rows);
            }
        }
        Customers::Show { customer } => {
            let customer = api.customer(&customer).await?;
            let view: CustomerView = api
                .get(&Api::of_customer(paths::CUSTOMER, customer), &[])
                .await?;
            if as_json {
                print::json(&view)?;
            } else {
                show(&view);
            }
        }
        Customers::Export { customer } => {
            let customer = api.customer(&customer).await?;
            let settings: Value = api
                .get(&Api::of_customer(paths::CUSTOMER_EXPORT, customer), &[])
                .await?;
            if as_json {
                print::json(&settings)?;
            } else {
                print::line(&serde_json::to_string_pretty(&settings)?);
            }
        }
        Customers::Apply { file, dry_run } => {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("{} could not be read", file.display()))?;
            let settings: Value = serde_json::from_str(&text).map_err(|error| {
                Trouble::wrong_use(format!("{} is not valid JSON: {error}", file.display()))
            })?;
            let id = settings
                .pointer("/customer/id")
                .and_then(Value::as_u64)
                .unwrap_or_default();
            if dry_run {
                if id == 0 {
                    let why = "nothing follows from a customer that is not there yet: its shops were never read";
                    return Err(Trouble::wrong_use(why).into());
                }
                let customer = lockstep_model::CustomerId(id);
                return plan::preview(&api, customer, &settings, as_json).await;
            }
            let reply: ApplyReply = if id == 0 {
                api.post(paths::CUSTOMERS, &settings).await?
            } else {
                let path = Api::of_customer(paths::CUSTOMER, lockstep_model::CustomerId(id));
                api.put(&path, &settings).await?
            };
            if as_json {
                print::json(&reply)?;
            } else if reply.changed {
                print::line(&format!(
                    "Customer {} is at revision {}.",
                    reply.id, reply.revision
                ));
            } else {
                print::line(&format!(
                    "Customer {} is as the file says already.",
                    reply.id
                ));
            }
        }
        Customers::Give {
            customer,
            to,
            the_machine_is_gone,
        } => {
            let customer = api.customer(&customer).await?;
            let workers: WorkerList = api.get(paths::WORKERS, &[]).await?;
            let worker = workers
                .workers
                .iter()
                .find(|worker| worker.id.to_string() == to || worker.name == to)
                .ok_or_else(|| Trouble::wrong_use(format!("there is no worker \"{to}\"")))?;
            let request = OwnerRequest {
                worker_id: worker.id,
                the_machine_is_gone,
            };
            let _: Value = api
                .put(&Api::of_customer(paths::CUSTOMER_OWNER, customer), &request)
                .await?;
            if as_json {
                print::json(&json!({ "customer": customer, "worker": worker.id }))?;
            } else {
                print::line(&format!("Customer {customer} is given to {}.", worker.name));
            }
        }
    }
    Ok(Exit::Done)
}

fn show_rows(rows: &[CustomerRow]) {
    if rows.is_empty() {
        print::line(
            "No customers yet. Make one in the console, or: lockstep customers apply -f FILE",
        );
        return;
    }
    let rows = rows.iter().map(|row| {
        let state = match (row.enabled, row.locked) {
            (_, true) => "locked",
            (true, false) => "on",
            (false, false) => "off",
        };
        vec![
            row.id.to_string(),
            row.name.clone(),
            state.to_owned(),
            row.shops.to_string(),
            row.owner
                .as_ref()
                .map_or_else(|| "nobody".to_owned(), |owner| owner.worker_name.clone()),
            row.revision.to_string(),
            row.applied
                .as_ref()
                .map_or_else(|| "—".to_owned(), |applied| applied.revision.to_string()),
        ]
    });
    print::table(
        &[
            "id", "name", "state", "shops", "worker", "revision", "applied",
        ],
        rows.collect(),
    );
}

fn show(view: &CustomerView) {
    let row = &view.row;
    print::line(&format!(
        "{} ({}), revision {}",
        row.name, row.id, row.revision
    ));
    match &row.owner {
        Some(owner) => print::line(&format!(
            "  worker  {}, epoch {}, {}",
            owner.worker_name,
            owner.epoch,
            if row.movable { "movable" } else { "pinned" }
        )),
        None => print::line("  worker  nobody: give it to one with `lockstep customers give`"),
    }
    if let Some(applied) = &row.applied {
        print::line(&format!("  applied revision {}", applied.revision));
        if let Some(error) = &applied.error {
            print::line(&format!("  {error}"));
        }
    }
    let shops = view.settings.services.iter().map(|service| {
        vec![
            service.id.to_string(),
            service.name.clone(),
            service.platform.clone(),
            service.url.clone(),
            match (service.active, service.read_only) {
                (false, _) => "off",
                (true, true) => "read-only",
                (true, false) => "on",
            }
            .to_owned(),
        ]
    });
    print::table(
        &["shop", "name", "platform", "address", "state"],
        shops.collect(),
    );
}
