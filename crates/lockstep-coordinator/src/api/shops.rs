//! Testing a connection, and the lists of a shop: asked of a worker, since only workers talk to shops.

use super::{
    Person,
    customers::{TYPE_ANEW, missing_keys, stored},
};
use crate::{
    AppState,
    asks::{Asked, ask, unexpected},
    bounds::ASK_WAIT,
    extract::{Json, Path},
    hooks,
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
        shops::{CheckReply, CheckRequest, HookRow, HooksView, ListsReply},
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
            service = with_stored_secrets(&stored.settings, service)?;
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
    let missing = missing_keys(&app, &service);
    if !missing.is_empty() {
        let labels: Vec<&str> = missing.iter().map(|(_, label)| *label).collect();
        return Err(Refusal::new(
            Code::BadRequest,
            format!("to test it, {} is missing", labels.join(" and ")),
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

pub async fn hooks(
    State(app): State<AppState>,
    person: Person,
    Path((customer, shop)): Path<(CustomerId, ShopId)>,
) -> Answer<Json<HooksView>> {
    person.may(Role::Viewer, customer)?;
    let service = service(&app, customer, shop).await?;
    Ok(Json(heard(&app, customer, &service)))
}

/// Asks the platform again, and answers what it said.
pub async fn register_hooks(
    State(app): State<AppState>,
    person: Person,
    Path((customer, shop)): Path<(CustomerId, ShopId)>,
) -> Answer<Json<HooksView>> {
    person.may(Role::Editor, customer)?;
    let service = service(&app, customer, shop).await?;
    if hooks::register_one(&app, customer, &service)
        .await
        .is_none()
    {
        return Err(Refusal::new(
            Code::Conflict,
            format!(
                "{} cannot call us: its platform has no webhooks, or there is no secret to sign them with",
                service.name
            ),
        ));
    }
    Ok(Json(heard(&app, customer, &service)))
}

async fn service(app: &AppState, customer: CustomerId, shop: ShopId) -> Answer<Service> {
    let stored = stored(app, customer).await?;
    let service = stored.settings.service(shop).cloned();
    service.ok_or_else(|| Refusal::not_found(format!("shop {shop} of customer {customer}")))
}

fn heard(app: &AppState, customer: CustomerId, service: &Service) -> HooksView {
    let heard = app.registrations.heard(customer, service.id);
    let (registered_at, hooks) = match heard.registered {
        Some((at, hooks)) => (Some(at), hooks),
        None => (None, Vec::new()),
    };
    let rows = hooks.into_iter().map(|hook| HookRow {
        url: without_its_secret(&hook.url),
        flow: hook.flow,
        topic: hook.topic,
        active: hook.active,
    });
    HooksView {
        possible: hooks::possible(app, customer, service),
        hooks: rows.collect(),
        registered_at,
        mended: heard.mended,
        problem: heard.problem,
        delivered_at: heard.delivered_at,
        since: app.figures.since(),
    }
}

/// The last part of the path is what makes an address ours alone; a query may hold as much.
fn without_its_secret(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    match path.rsplit_once('/') {
        Some((before, _)) if before.contains("://") && !before.ends_with("/") => {
            format!("{before}/…")
        }
        _ => "…".into(),
    }
}

/// A secret that the form leaves empty is the stored one, by the same rule as where it is saved.
fn with_stored_secrets(settings: &CustomerSettings, mut service: Service) -> Answer<Service> {
    let Some(before) = settings.service(service.id) else {
        return Ok(service);
    };
    if before.platform == service.platform {
        // What the form does not speak of is left empty too.
        for name in before.credentials.keys() {
            service.credentials.entry(name.clone()).or_default();
        }
    }
    if service.keep_secrets_of(before).is_empty() {
        return Ok(service);
    }
    Err(Refusal::new(
        Code::BadRequest,
        format!("{TYPE_ANEW}; nothing was sent there"),
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_makes_it_ours_alone() {
        let shown = |url| without_its_secret(url);
        assert_eq!(
            shown("https://a.example/hooks/v1/7/2/abc"),
            "https://a.example/hooks/v1/7/2/…"
        );
        assert_eq!(
            shown("https://a.example/hooks?key=abc"),
            "https://a.example/…"
        );
        assert_eq!(shown("https://a.example"), "…");
        assert_eq!(shown("abc"), "…");
    }
}
