//! `lockstep plan` and `lockstep apply`

use super::api::{Api, ShopNames};
use super::runs::until_ended;
use crate::arguments::{self, OfFlows};
use crate::exit::{Exit, Trouble};
use crate::print;
use lockstep_model::{CustomerId, Flow};
use lockstep_protocol::paths::people as paths;
use lockstep_protocol::people::plan::{
    ApplyPlanReply, ApplyPlanRequest, Plan, PlanRequest, PlanRow, Preview,
};
use serde_json::Value;

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
    show_rows(&plan.rows, names);
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

/// What would follow from settings that are not saved.
pub async fn preview(
    api: &Api,
    customer: CustomerId,
    settings: &Value,
    as_json: bool,
) -> anyhow::Result<Exit> {
    let path = Api::of_customer(paths::PREVIEW, customer);
    let preview: Preview = api.post(&path, settings).await?;
    if as_json {
        print::json(&preview)?;
        return Ok(Exit::Done);
    }
    if preview.is_nothing() {
        print::line("Nothing in any shop would follow.");
    } else {
        let counts = &preview.counts;
        print::line(&format!(
            "+ {} create   ~ {} update   - {} archive   - {} variants   {} stock   {} orders   {} not written any more",
            counts.create,
            counts.update,
            counts.archive,
            counts.remove,
            counts.stock,
            counts.orders,
            preview.dropped
        ));
        print::line(&format!("Not in step now: {}.", preview.before.sentence()));
        print::line(&format!("By these settings: {}.", preview.after.sentence()));
    }
    show_rows(&preview.rows, &api.shop_names(customer).await?);
    if preview.cut {
        print::line("  … and more");
    }
    for why in preview.stopped_by.iter().chain(&preview.untold) {
        print::line(why);
    }
    for shop in &preview.closed {
        print::line(&shop.sentence());
    }
    print::line("Nothing was saved.");
    Ok(Exit::Done)
}

fn show_rows(rows: &[PlanRow], names: &ShopNames) {
    for row in rows {
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
