//! Questions for people, and their answers.

use super::{Person, cursor, customers::stored, limit, page, said};
use crate::{
    AppState,
    asks::{Asked, ask, not_done},
    bounds::ASK_WAIT,
    events::Topic,
    extract::{Json, Path, Query},
    refusal::Answer,
};
use axum::{extract::State, http::StatusCode};
use lockstep_journal::ConflictRow;
use lockstep_model::{
    ConflictId, CustomerId, Fields, called,
    entry::{Conflict, Subject},
};
use lockstep_protocol::{
    asks::{Answer as Answered, Question},
    people::{
        ListQuery, Page,
        login::Role,
        records::{ConflictView, DecideRequest, RecordRow},
    },
};

pub async fn list(
    State(app): State<AppState>,
    person: Person,
    Path(customer): Path<CustomerId>,
    Query(query): Query<ListQuery>,
) -> Answer<Json<Page<ConflictView>>> {
    person.may(Role::Viewer, customer)?;
    let names = said::Names::of(&app, customer).await?;
    let limit = limit(query.limit);
    let after: Option<ConflictId> = cursor(&query)?;
    let read = app
        .replicas
        .read(customer, move |journal| {
            let open = journal.conflicts(after, limit + 1)?;
            let others = super::matches::candidates(journal, &open)?;
            let mut rows = Vec::new();
            for mut row in open {
                let record = match &row.subject {
                    Subject::Record(record) => journal.record_view(*record)?,
                    Subject::Level { item, .. } => match journal.record_of(item)? {
                        Some(record) => journal.record_view(record)?,
                        None => None,
                    },
                    Subject::Order(_) | Subject::Shop(_) | Subject::Levels | Subject::Catalogue => {
                        None
                    }
                };
                if let Some(record) = &record {
                    call_by_sku(&mut row.about, &record.ours);
                }
                rows.push((row, record.map(|record| said::record_row(&record))));
            }
            Ok((rows, others))
        })
        .await?;
    let (rows, others) = read.value;
    let found = page(
        rows,
        limit,
        |(row, _): &(ConflictRow, Option<RecordRow>)| row.conflict.to_string(),
    );
    Ok(Json(Page {
        items: found
            .items
            .into_iter()
            .map(|(row, record)| said::conflict(&names, customer, &row, record, &others))
            .collect(),
        next: found.next,
    }))
}

pub async fn decide(
    State(app): State<AppState>,
    person: Person,
    Path((customer, conflict)): Path<(CustomerId, ConflictId)>,
    Json(request): Json<DecideRequest>,
) -> Answer<StatusCode> {
    person.may(Role::Editor, customer)?;
    stored(&app, customer).await?;
    let question = Question::Decide {
        conflict,
        decision: request.decision,
        by: person.name().to_owned(),
    };
    carry_out(&app, &person, customer, question).await
}

/// A person's word, carried out by the worker that holds the customer. Refused if it does not fit what it is about, or
/// came after another. That the person may say it is for the caller to see to.
pub(super) async fn carry_out(
    app: &AppState,
    person: &Person,
    customer: CustomerId,
    question: Question,
) -> Answer<StatusCode> {
    let asked = Asked {
        customer: Some(customer),
        platform: None,
        question,
        by: person.name(),
        wait: ASK_WAIT,
    };
    match ask(app, asked).await? {
        Answered::Decided => {
            app.events.tell(Topic::Records, Some(customer));
            Ok(StatusCode::NO_CONTENT)
        }
        other => Err(not_done(other)),
    }
}

/// People know a variant by its SKU.
fn call_by_sku(about: &mut Conflict, ours: &Fields) {
    if let Conflict::ChangedInSeveral { path, .. }
    | Conflict::PriceHeld { path, .. }
    | Conflict::Undone { path, .. } = about
    {
        *path = called(path, ours);
    }
}
