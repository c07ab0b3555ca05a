//! Buyers' data: shown to whoever may work on the customer, and forgotten. It lies with the worker alone; neither a
//! question about it nor an answer is kept here.

use super::{Person, customers::stored};
use crate::{
    AppState,
    asks::{Asked, ask, not_done},
    bounds::ASK_WAIT,
    erasures::{self, Outcome},
    events::Topic,
    extract::{Json, Path},
    refusal::{Answer, Refusal},
};
use axum::extract::State;
use jiff::Timestamp;
use lockstep_model::CustomerId;
use lockstep_protocol::{
    Code,
    asks::{Answer as Answered, Question},
    people::{
        buyers::{BuyerSought, BuyersRequest, BuyersView, ErasureView},
        login::Role,
    },
};
use lockstep_storage::Erasure;

const EMAIL_CHARS_MAX: usize = 320;

fn checked(customer: CustomerId, of: BuyerSought) -> Answer<BuyerSought> {
    match of {
        BuyerSought::Email(email) => {
            let email = email.trim();
            if email.contains('@') && email.chars().count() <= EMAIL_CHARS_MAX {
                Ok(BuyerSought::Email(email.to_owned()))
            } else {
                Err(Refusal::bad_request("that is no e-mail address"))
            }
        }
        BuyerSought::Order(order) if order.customer == customer => Ok(BuyerSought::Order(order)),
        BuyerSought::Order(order) => Err(Refusal::not_found(format!(
            "order {order} of customer {customer}"
        ))),
    }
}

pub async fn export(
    State(app): State<AppState>,
    person: Person,
    Path(customer): Path<CustomerId>,
    Json(request): Json<BuyersRequest>,
) -> Answer<Json<BuyersView>> {
    person.may(Role::Editor, customer)?;
    stored(&app, customer).await?;
    let asked = Asked {
        customer: Some(customer),
        platform: None,
        question: Question::Buyers {
            of: checked(customer, request.of)?,
        },
        by: person.name(),
        wait: ASK_WAIT,
    };
    match ask(&app, asked).await? {
        Answered::Buyers { buyers } => {
            tracing::info!(%customer, orders = buyers.orders.len(), by = person.name(), "a buyer's data was exported");
            Ok(Json(*buyers))
        }
        other => Err(not_done(other)),
    }
}

/// Done at once where the worker is there; else it waits for it.
pub async fn erase(
    State(app): State<AppState>,
    person: Person,
    Path(customer): Path<CustomerId>,
    Json(request): Json<BuyersRequest>,
) -> Answer<Json<ErasureView>> {
    person.may(Role::Editor, customer)?;
    stored(&app, customer).await?;
    let of = checked(customer, request.of)?;
    let of = serde_json::to_string(&of)
        .map_err(|error| Refusal::internal("writing whose data it is", error))?;
    let erasure = app
        .storage
        .ask_for_erasure(customer, &of, person.name(), Timestamp::now())
        .await?;
    let id = erasure.id;
    tracing::info!(%customer, erasure = id, by = person.name(), "a buyer is to be forgotten");
    if let Outcome::Impossible(why) = erasures::carry_out(&app, erasure.clone()).await? {
        return Err(Refusal::new(Code::Conflict, why));
    }
    let erasure = app.storage.erasure(id).await?.unwrap_or(erasure);
    app.events.tell(Topic::Records, Some(customer));
    Ok(Json(view(erasure)))
}

fn view(erasure: Erasure) -> ErasureView {
    ErasureView {
        id: erasure.id,
        by: erasure.by,
        asked_at: erasure.asked_at,
        done_at: erasure.done_at,
        orders: erasure.orders,
        unreadable: erasure.unreadable,
    }
}
