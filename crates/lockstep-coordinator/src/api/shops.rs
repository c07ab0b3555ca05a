//! Testing a connection, and the lists of a shop: asked of a worker, since only workers talk to shops.

use super::{Person, customers::stored};
use crate::{
    AppState,
    asks::{Asked, ask, unexpected},
    bounds::ASK_WAIT,
    extract::{Json, Path},
    refusal::{Answer, Refusal},
};
use axum::extract::State;
use lockstep_model::{
    CustomerId, ShopId,
    settings::{CustomerSettings, OnWire, Service},
};
use lockstep_protocol::{
    Code,
    asks::{Answer as Answered, Question, ShopAsked},
    people::{
        login::Role,
        shops::{CheckReply, CheckRequest, ListsReply},
    },
};

pub async fn check(
    State(app): State<AppState>,
    person: Person,
    Json(request): Json<CheckRequest>,
) -> Answer<Json<CheckReply>> {
    let OnWire(mut service) = request.service;
    match request.customer_id {
        Some(customer) => {
            person.may(Role::Editor, customer)?;
            let stored = stored(&app, customer).await?;
            service = with_stored_secrets(stored.settings, service)?;
        }
        None => person.needs_all_customers(Role::Editor)?,
    }
    let platform = service.platform.clone();
    if app.registry.get(&platform).is_none() {
        return Err(Refusal::new(
            Code::BadRequest,
            format!("there is no connector \"{platform}\""),
        ));
    }
    let asked = Asked {
        customer: request.customer_id,
        platform: Some(&platform),
        question: Question::Check {
            shop: ShopAsked::Given(Box::new(OnWire(service))),
        },
        by: person.name(),
        wait: ASK_WAIT,
    };
    match ask(&app, asked).await? {
        Answered::Checked { identity } => Ok(Json(CheckReply::Works { identity })),
        Answered::Failed { fault } => Ok(Json(CheckReply::Fails { fault })),
        other => Err(unexpected(other)),
    }
}

/// A secret that the form leaves empty is the stored one; but never sent to an address of somebody's
/// choosing: whoever changes the address types the secrets anew.
fn with_stored_secrets(mut settings: CustomerSettings, service: Service) -> Answer<Service> {
    let id = service.id;
    let Some(before) = settings.service(id) else {
        return Ok(service);
    };
    let elsewhere = before.url != service.url || before.platform != service.platform;
    let wants_stored = service.credentials.values().any(Option::is_none)
        || before
            .credentials
            .keys()
            .any(|name| !service.credentials.contains_key(name));
    if elsewhere && wants_stored {
        return Err(Refusal::new(
            Code::BadRequest,
            "the address of this shop was changed: type its secrets anew to test it there",
        ));
    }
    let stored = settings.clone();
    let mut service = service;
    for (name, secret) in &before.credentials {
        service
            .credentials
            .entry(name.clone())
            .or_insert_with(|| secret.clone());
    }
    settings.services = vec![service];
    settings.keep_secrets_of(&stored);
    settings
        .services
        .pop()
        .ok_or_else(|| Refusal::not_found(format!("shop {id}")))
}

pub async fn lists(
    State(app): State<AppState>,
    person: Person,
    Path((customer, shop)): Path<(CustomerId, ShopId)>,
) -> Answer<Json<ListsReply>> {
    person.may(Role::Viewer, customer)?;
    let stored = stored(&app, customer).await?;
    let service = stored
        .settings
        .service(shop)
        .ok_or_else(|| Refusal::not_found(format!("shop {shop} of customer {customer}")))?;
    // Before the customer has a worker, whoever answers has no settings of it.
    let owned = app
        .view
        .customer(customer)
        .is_some_and(|known| known.told_to.is_some());
    let asked_shop = if owned {
        ShopAsked::Saved(shop)
    } else {
        ShopAsked::Given(Box::new(OnWire(service.clone())))
    };
    let asked = Asked {
        customer: Some(customer),
        platform: Some(&service.platform),
        question: Question::Lists { shop: asked_shop },
        by: person.name(),
        wait: ASK_WAIT,
    };
    match ask(&app, asked).await? {
        Answered::Lists { identity } => Ok(Json(ListsReply {
            identity: *identity,
        })),
        other => Err(unexpected(other)),
    }
}
