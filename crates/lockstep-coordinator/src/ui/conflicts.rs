//! What waits for a person's word: conflicts and held orders.

use super::{
    Shared,
    customers::named,
    failure::{Failure, Shown},
    frame::Frame,
    overview::NeedRow,
    session::{Posted, Visitor, refused, went_partly, went_well},
    urls,
    widgets::{Id, When},
};
use askama::Template;
use axum::{
    extract::{self, Path},
    http::header,
    response::{IntoResponse, Response},
};
use lockstep_model::{ConflictId, CustomerId, Resolution, fields::Value};
use lockstep_protocol::{
    Code, Problem,
    paths::people,
    people::{
        NeedKind, Overview, Page,
        matches::{MatchesReply, MatchesRequest, MatchesView},
        records::{ConflictView, DecideRequest},
    },
};
use serde::de::IgnoredAny;

pub struct ConflictRow {
    pub id: Id,
    pub anchor: String,
    pub title: String,
    pub detail: String,
    pub opened: When,
    pub record: Option<(String, String)>,
    /// Where to see first what would be written.
    pub plan: Option<String>,
    pub action: String,
    pub choices: Vec<Offer>,
}

pub struct Offer {
    pub label: String,
    /// The decision as JSON: what the button sends back.
    pub decision: String,
    /// A value is asked for.
    pub typed: bool,
}

impl ConflictRow {
    pub fn new(conflict: &ConflictView, frame: &Frame) -> Self {
        let customer = conflict.customer_id;
        let choices = conflict.choices.iter().filter_map(|choice| {
            // A decision is plain data and always serialises.
            let decision = serde_json::to_string(&choice.decision).ok()?;
            Some(Offer {
                label: choice.label.clone(),
                typed: matches!(
                    choice.decision,
                    Resolution::UseValue {
                        value: Value::Empty
                    }
                ),
                decision,
            })
        });
        ConflictRow {
            id: Id::new(conflict.conflict),
            anchor: format!("conflict-{}", conflict.conflict),
            title: conflict.title.clone(),
            detail: conflict.detail.clone(),
            opened: When::new(conflict.opened_at, frame.now),
            plan: conflict
                .choices
                .iter()
                .any(|choice| choice.decision == Resolution::Accept)
                .then(|| urls::of_customer(customer, "plan")),
            record: conflict.record.as_ref().map(|row| {
                let name = if row.title.is_empty() {
                    &row.key
                } else {
                    &row.title
                };
                (name.clone(), urls::record(customer, row.record))
            }),
            action: urls::of_customer(customer, &format!("conflicts/{}/decide", conflict.conflict)),
            choices: choices.collect(),
        }
    }
}

#[derive(Template)]
#[template(path = "conflicts.html")]
struct OneCustomer {
    frame: Frame,
    conflicts: Vec<ConflictRow>,
    held: Vec<NeedRow>,
    next: Option<String>,
    /// Some of them ask which of ours a record is: those are answered in a table, too.
    matches: Option<MatchesHrefs>,
    may_edit: bool,
    policies_href: String,
}

struct MatchesHrefs {
    table: String,
    answer: String,
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
pub struct ConflictsQuery {
    cursor: String,
}

pub async fn of_customer(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path(customer): Path<CustomerId>,
    extract::Query(query): extract::Query<ConflictsQuery>,
) -> Result<Response, Failure> {
    let name = named(&visitor.caller, customer).await?;
    let path = urls::with_query(
        &urls::path(people::CONFLICTS, &[&customer]),
        &[("cursor", &query.cursor)],
    );
    let found: Page<ConflictView> = visitor.caller.get(&path).await?;
    let frame = Frame::of(&ui, &visitor, &format!("Conflicts of {name}"), "customers")
        .await
        .within(customer, &name, "conflicts");
    let base = urls::of_customer(customer, "conflicts");
    let held = super::customers::needs_of(&visitor.caller, &frame, customer).await;
    let page = OneCustomer {
        conflicts: found
            .items
            .iter()
            .map(|conflict| ConflictRow::new(conflict, &frame))
            .collect(),
        // The questions stand above, each with its answers.
        held: held
            .into_iter()
            .filter(|need| need.state.word != "conflict")
            .collect(),
        next: found
            .next
            .as_deref()
            .map(|cursor| urls::with_query(&base, &[("cursor", cursor)])),
        matches: found
            .items
            .iter()
            .flat_map(|conflict| &conflict.choices)
            .any(|choice| choice.decision == Resolution::NoneOfOurs)
            .then(|| MatchesHrefs {
                table: urls::of_customer(customer, "matches.csv"),
                answer: urls::of_customer(customer, "matches"),
            }),
        may_edit: visitor.may_edit(),
        policies_href: urls::of_customer(customer, "policies"),
        frame,
    };
    Ok(Shown(page).into_response())
}

#[derive(Template)]
#[template(path = "conflicts_all.html")]
struct AllCustomers {
    frame: Frame,
    may_edit: bool,
    needs: Vec<NeedRow>,
}

pub async fn of_all(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
) -> Result<Response, Failure> {
    let overview: Overview = visitor.caller.get(people::OVERVIEW).await?;
    let frame = Frame::of(&ui, &visitor, "Conflicts and held orders", "conflicts").await;
    let needs = overview.needs_person.into_iter();
    let needs = needs.filter(|need| match need.kind {
        NeedKind::Conflict | NeedKind::OrderHeld | NeedKind::Aside | NeedKind::Limit => true,
        NeedKind::WorkerPending
        | NeedKind::ShopFailed
        | NeedKind::SettingsFailed
        | NeedKind::NotServed
        | NeedKind::Alert => false,
    });
    let page = AllCustomers {
        may_edit: visitor.may_edit(),
        needs: needs.map(|need| NeedRow::new(need, &frame)).collect(),
        frame,
    };
    Ok(Shown(page).into_response())
}

/// The table, as a file for a spreadsheet.
pub async fn matches(
    visitor: Visitor,
    Path(customer): Path<CustomerId>,
) -> Result<Response, Failure> {
    let path = urls::path(people::MATCHES, &[&customer]);
    let view: MatchesView = visitor.caller.get(&path).await?;
    let named = format!("attachment; filename=\"matches-{customer}.csv\"");
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, named),
    ];
    Ok((headers, view.csv).into_response())
}

pub async fn answer_matches(
    Path(customer): Path<CustomerId>,
    posted: Posted,
) -> Result<Response, Failure> {
    let path = urls::path(people::MATCHES, &[&customer]);
    let asked = MatchesRequest {
        csv: posted.values.text("table").to_owned(),
    };
    let answered: Result<MatchesReply, Problem> = posted.visitor.caller.post(&path, &asked).await;
    let back = urls::of_customer(customer, "conflicts");
    Ok(match answered {
        Ok(reply) if reply.refused.is_empty() => went_well(&back, in_words(&reply)),
        Ok(reply) => went_partly(&back, in_words(&reply)),
        Err(problem) => refused(&back, &problem),
    })
}

/// Refused lines that are named on the page.
const REFUSED_SHOWN: usize = 5;

fn in_words(reply: &MatchesReply) -> String {
    let mut text = format!("{} answered, {} left open.", reply.answered, reply.left);
    if !reply.refused.is_empty() {
        let lines = reply.refused.iter().take(REFUSED_SHOWN);
        let lines: Vec<String> = lines
            .map(|row| format!("line {}: {}", row.line, row.why))
            .collect();
        text.push_str(&format!(
            " {} refused: {}",
            reply.refused.len(),
            lines.join("; ")
        ));
    }
    text
}

pub async fn decide(
    Path((customer, conflict)): Path<(CustomerId, ConflictId)>,
    posted: Posted,
) -> Result<Response, Failure> {
    let mut decision: Resolution =
        serde_json::from_str(posted.values.text("decision")).map_err(|_| {
            Failure::new(
                Code::BadRequest,
                "This decision cannot be read. Nothing was changed.",
            )
        })?;
    if let (Resolution::UseValue { value }, Some(typed)) =
        (&mut decision, posted.values.get("value"))
    {
        *value = Value::text(typed.trim());
    }
    let path = urls::path(people::CONFLICT_DECIDE, &[&customer, &conflict]);
    let asked = DecideRequest { decision };
    let answered: Result<IgnoredAny, Problem> = posted.visitor.caller.post(&path, &asked).await;
    let back = urls::of_customer(customer, "conflicts");
    Ok(match answered {
        Ok(_) => went_well(&back, "Decided. The next run writes it to the shops."),
        Err(problem) => refused(&back, &problem),
    })
}
