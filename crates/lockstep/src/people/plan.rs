//! `lockstep plan` and `lockstep apply`

use super::api::{Api, ShopNames};
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
        show(&plan, &api.shop_names(customer).await?);
    }
    let waits = plan.totals.waits() > 0 || !plan.stopped_by.is_empty();
    Ok(match (waits, plan.unread.is_empty()) {
        (_, false) => Exit::OutOfReach,
        (true, true) => Exit::NeedsPerson,
        (false, true) => Exit::Done,
    })
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

fn show(plan: &Plan, names: &ShopNames) {
    for why in &plan.unread {
        print::line(&format!("Not read: {why}"));
    }
    if plan.totals.is_in_step() && plan.unread.is_empty() {
        print::line("Nothing to do: all shops are in step.");
        return;
    }
    let counts = &plan.counts;
    if counts.writes() > 0 {
        print::line(&format!(
            "+ {} create   ~ {} update   - {} archive   - {} variants   {} stock   {} orders",
            counts.create,
            counts.update,
            counts.archive,
            counts.remove,
            counts.stock,
            counts.orders
        ));
    } else {
        print::line("A run would write nothing now.");
    }
    if !plan.totals.is_in_step() {
        print::line(&format!("Not in step: {}.", plan.totals.sentence()));
    }
    for row in &plan.rows {
        print::line(&format!(
            "  {} {} {}  at {}",
            row.sign.mark(),
            row.key,
            row.title,
            names.of(row.shop)
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
    for shop in &plan.closed {
        print::line(&shop.sentence());
    }
    match plan.written() {
        0 => {}
        all if all == counts.writes() => {
            print::line(&format!("Write it as shown: lockstep apply {}", plan.id));
        }
        some => print::line(&format!(
            "Write {some} of {}: lockstep apply {}",
            counts.writes(),
            plan.id
        )),
    }
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
