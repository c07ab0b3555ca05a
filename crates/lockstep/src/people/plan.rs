//! `lockstep plan` and `lockstep apply`

use super::api::Api;
use super::runs::until_ended;
use crate::arguments::{self, OfFlows};
use crate::exit::{Exit, Trouble};
use crate::print;
use lockstep_model::Flow;
use lockstep_protocol::paths::people as paths;
use lockstep_protocol::people::plan::{ApplyPlanReply, ApplyPlanRequest, Plan, PlanRequest};

pub async fn plan(of: OfFlows, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    let customer = api.customer(&of.customer).await?;
    let request = PlanRequest {
        flows: flows(&of.flow)?,
        shops: Vec::new(),
    };
    let plan: Plan = api
        .post(&Api::of_customer(paths::PLAN, customer), &request)
        .await?;
    if as_json {
        print::json(&plan)?;
    } else {
        show(&plan);
    }
    let asks = plan.counts.conflicts + plan.counts.held > 0 || !plan.stopped_by.is_empty();
    Ok(if asks { Exit::NeedsPerson } else { Exit::Done })
}

pub fn flows(named: &[String]) -> Result<Vec<Flow>, Trouble> {
    let parse = |name: &String| {
        Flow::parse(name).ok_or_else(|| {
            let known: Vec<&str> = Flow::ALL.iter().map(|flow| flow.as_str()).collect();
            Trouble::wrong_use(format!(
                "\"{name}\" is no flow; there are {}",
                known.join(", ")
            ))
        })
    };
    named.iter().map(parse).collect()
}

fn show(plan: &Plan) {
    if plan.counts.is_empty() {
        print::line("Nothing to do: all shops are in step.");
        return;
    }
    let counts = &plan.counts;
    print::line(&format!(
        "+ {} create   ~ {} update   - {} archive   - {} variants   {} stock   {} orders   {} conflicts",
        counts.create,
        counts.update,
        counts.archive,
        counts.remove,
        counts.stock,
        counts.orders,
        counts.conflicts
    ));
    for row in &plan.rows {
        print::line(&format!(
            "  {} {} {}  at shop {}",
            row.sign.mark(),
            row.key,
            row.title,
            row.shop
        ));
        for field in &row.fields {
            print::line(&format!(
                "      {}  {} → {}   {}",
                field.path,
                field.from.as_deref().unwrap_or("—"),
                field.to.as_deref().unwrap_or("—"),
                field.why
            ));
        }
    }
    if plan.cut {
        print::line("  … and more");
    }
    for why in &plan.stopped_by {
        print::line(&format!("An automatic run stops here: {why}"));
    }
    print::line(&format!("Write it as shown: lockstep apply {}", plan.id));
}

pub async fn apply(arguments: arguments::Apply, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    let named = arguments.plan.split_once('-');
    let Some((customer, _)) = named else {
        return Err(Trouble::wrong_use(format!(
            "\"{}\" names no plan; lockstep plan says what its plan is called",
            arguments.plan
        ))
        .into());
    };
    let customer = api.customer(customer).await?;
    let request = ApplyPlanRequest {
        plan: arguments.plan.clone(),
    };
    let reply: ApplyPlanReply = api
        .post(&Api::of_customer(paths::PLAN_APPLY, customer), &request)
        .await?;
    until_ended(&api, customer, reply.run, as_json).await
}
