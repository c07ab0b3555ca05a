//! Undoing a run: a preview that writes nothing, and the run that does it.

use super::{Person, customers::stored, runs::note_begun};
use crate::{
    AppState,
    asks::{Asked, ask, not_done},
    bounds::{ASK_WAIT, PLAN_WAIT},
    extract::{Json, Path},
    refusal::Answer,
};
use axum::extract::State;
use lockstep_model::{CustomerId, RunId};
use lockstep_protocol::{
    asks::{Answer as Answered, Question},
    people::{
        login::Role,
        undo::{UndoPreview, UndoReply},
    },
};

pub async fn preview(
    State(app): State<AppState>,
    person: Person,
    Path((customer, run)): Path<(CustomerId, RunId)>,
) -> Answer<Json<UndoPreview>> {
    person.may(Role::Viewer, customer)?;
    match asked(&app, &person, customer, run, true).await? {
        Answered::UndoShown { undo } => Ok(Json(*undo)),
        other => Err(not_done(other)),
    }
}

pub async fn undo(
    State(app): State<AppState>,
    person: Person,
    Path((customer, run)): Path<(CustomerId, RunId)>,
) -> Answer<Json<UndoReply>> {
    person.may(Role::Editor, customer)?;
    let revision = stored(&app, customer).await?.revision;
    let cause = format!("{}, who undoes run {run}", person.name());
    match asked(&app, &person, customer, run, false).await? {
        Answered::Undoing { run } => {
            note_begun(&app, customer, run, revision, cause).await?;
            Ok(Json(UndoReply { run }))
        }
        other => Err(not_done(other)),
    }
}

async fn asked(
    app: &AppState,
    person: &Person,
    customer: CustomerId,
    run: RunId,
    dry: bool,
) -> Answer<Answered> {
    stored(app, customer).await?;
    let asked = Asked {
        customer: Some(customer),
        platform: None,
        question: Question::Undo {
            run,
            dry,
            by: person.name().to_owned(),
        },
        by: person.name(),
        // A preview reads the shops.
        wait: if dry { PLAN_WAIT } else { ASK_WAIT },
    };
    ask(app, asked).await
}
