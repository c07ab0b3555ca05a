//! `lockstep conflicts` and `lockstep decide`

use super::api::Api;
use super::standing;
use crate::arguments;
use crate::exit::{Exit, Trouble};
use crate::print;
use lockstep_model::{ConflictId, CustomerId, Resolution, Value};
use lockstep_protocol::paths::{fill, people as paths};
use lockstep_protocol::people::records::{ConflictView, DecideRequest};
use lockstep_protocol::people::standing::{Standing, Totals};
use lockstep_protocol::people::{Need, NeedKind, Page};
use serde::de::IgnoredAny;

pub async fn conflicts(arguments: arguments::Conflicts, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    let customer = api.customer(&arguments.customer).await?;
    let open = all(&api, customer).await?;
    let standing = standing::standing(&api, customer).await?;
    let exit = match open.is_empty() {
        true => standing::exit(&standing),
        false => Exit::NeedsPerson,
    };
    if as_json {
        print::json(&open)?;
        return Ok(exit);
    }
    if !open.is_empty() {
        for conflict in &open {
            show(conflict);
        }
        print::line("Answer one: lockstep decide CUSTOMER CONFLICT --choice N, or --value VALUE");
    }
    // Questions are not all that a person can be waited for.
    let needs = standing.needs.iter();
    let others: Vec<Need> = needs
        .filter(|need| need.kind != NeedKind::Conflict)
        .cloned()
        .collect();
    let rest = Standing {
        totals: Totals {
            questions: 0,
            ..standing.totals
        },
        needs: others,
        ..standing
    };
    if open.is_empty() && exit == Exit::Done {
        print::line("Nothing waits for a person.");
    } else if open.is_empty() {
        print::line("No question is open.");
    }
    standing::show(&rest);
    Ok(exit)
}

async fn all(api: &Api, customer: CustomerId) -> anyhow::Result<Vec<ConflictView>> {
    let path = Api::of_customer(paths::CONFLICTS, customer);
    let mut open = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let query = cursor.iter().map(|cursor| ("cursor", cursor.as_str()));
        let query: Vec<(&str, &str)> = query.collect();
        let page: Page<ConflictView> = api.get(&path, &query).await?;
        open.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(open);
        }
    }
}

fn show(conflict: &ConflictView) {
    print::line(&format!("{}  {}", conflict.conflict, conflict.title));
    print::line(&format!("   {}", conflict.detail));
    for (number, choice) in (1..).zip(&conflict.choices) {
        print::line(&format!("   {number}: {}", choice.label));
    }
}

pub async fn decide(arguments: arguments::Decide, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    let customer = api.customer(&arguments.customer).await?;
    let conflict = ConflictId(arguments.conflict);
    let decision = match (arguments.answer.choice, arguments.answer.value) {
        (Some(number), _) => chosen(&all(&api, customer).await?, conflict, number)?,
        (None, Some(value)) => Resolution::UseValue {
            value: Value::text(value),
        },
        (None, None) => return Err(Trouble::wrong_use("no answer was given").into()),
    };
    let path = fill(paths::CONFLICT_DECIDE, &[&customer, &conflict]);
    let _nothing: IgnoredAny = api.post(&path, &DecideRequest { decision }).await?;
    if as_json {
        print::json(&serde_json::json!({ "conflict": conflict, "decided": true }))?;
    } else {
        print::line("Decided. The next run writes it to the shops.");
    }
    Ok(Exit::Done)
}

fn chosen(
    open: &[ConflictView],
    conflict: ConflictId,
    number: usize,
) -> anyhow::Result<Resolution> {
    let Some(found) = open.iter().find(|each| each.conflict == conflict) else {
        return Err(Trouble::wrong_use(format!(
            "no question {conflict} is open; lockstep conflicts shows those that are"
        ))
        .into());
    };
    let choice = number
        .checked_sub(1)
        .and_then(|index| found.choices.get(index));
    match choice.map(|choice| &choice.decision) {
        Some(Resolution::UseValue {
            value: Value::Empty,
        }) => Err(Trouble::wrong_use("that answer wants a value: --value VALUE").into()),
        Some(decision) => Ok(decision.clone()),
        None => Err(Trouble::wrong_use(format!(
            "question {conflict} has {} answers",
            found.choices.len()
        ))
        .into()),
    }
}
