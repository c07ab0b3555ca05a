//! What waits, as every command that ends with it says it.

use super::api::Api;
use crate::exit::Exit;
use crate::print;
use lockstep_model::{CustomerId, RunId};
use lockstep_protocol::paths::people as paths;
use lockstep_protocol::people::standing::Standing;
use lockstep_protocol::people::{Need, NeedKind};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The coordinator takes in the journal of a run within moments.
const KNOWN_WITHIN: Duration = Duration::from_secs(10);

pub async fn standing(api: &Api, customer: CustomerId) -> anyhow::Result<Standing> {
    api.get(&Api::of_customer(paths::CUSTOMER_STANDING, customer), &[])
        .await
}

/// How it stands once this run is counted in.
pub async fn standing_after(
    api: &Api,
    customer: CustomerId,
    run: RunId,
) -> anyhow::Result<Standing> {
    let begun = Instant::now();
    loop {
        let standing = standing(api, customer).await?;
        let is_counted = standing.after_run.is_some_and(|after| after >= run);
        if is_counted || begun.elapsed() > KNOWN_WITHIN {
            return Ok(standing);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// 3 when anything waits.
pub fn exit(standing: &Standing) -> Exit {
    if standing.totals.waits() > 0 || !standing.needs.is_empty() {
        Exit::NeedsPerson
    } else {
        Exit::Done
    }
}

/// What waits, and the commands that show it.
pub fn show(standing: &Standing) {
    let totals = &standing.totals;
    if totals.waits() > 0 {
        print::line(&format!("Waits: {}.", totals.sentence()));
    }
    for need in &standing.needs {
        print::line(&format!("  {}. {}", need.title, need.detail));
        if let Some(command) = command(need, standing.customer_id) {
            print::line(&format!("      {command}"));
        }
    }
}

fn command(need: &Need, customer: CustomerId) -> Option<String> {
    match need.kind {
        NeedKind::Conflict => Some(format!("lockstep conflicts {customer}")),
        NeedKind::OrderHeld => Some(format!("lockstep orders {customer} --held")),
        NeedKind::Aside => Some(format!("lockstep asides {customer}")),
        NeedKind::Limit => Some(format!("lockstep plan {customer}")),
        NeedKind::ShopFailed => Some(format!("lockstep sync {customer}   once it is mended")),
        NeedKind::WorkerPending
        | NeedKind::NotServed
        | NeedKind::SettingsFailed
        | NeedKind::Alert => None,
    }
}
