//! Orders that are held: what they wait for, the one decision that lets all go that wait for the same, and a
//! person's word on one of them.

use super::{
    Person,
    conflicts::carry_out,
    customers::{save, stored},
    said::{self, Names},
};
use crate::{
    AppState,
    extract::{Json, Path},
    refusal::{Answer, Refusal},
};
use axum::{extract::State, http::StatusCode};
use lockstep_journal::{HeldOrders, Journal, JournalError};
use lockstep_model::{
    CustomerId, OrderKey, ShopId, ShopIdentity,
    entry::Hold,
    settings::{Mappable, NamedAt, NotMapped},
};
use lockstep_protocol::{
    Code,
    asks::Question,
    people::{
        customers::ApplyReply,
        login::Role,
        orders::{HeldGroup, HeldOrder, HeldView, MapRequest, OrderAnswerRequest, Unmapped},
    },
};
use lockstep_storage::Expect;

pub async fn list(
    State(app): State<AppState>,
    person: Person,
    Path(customer): Path<CustomerId>,
) -> Answer<Json<HeldView>> {
    person.may(Role::Viewer, customer)?;
    let names = Names::of(&app, customer).await?;
    let read = app.replicas.read(customer, groups).await?;
    Ok(Json(HeldView {
        groups: read
            .value
            .into_iter()
            .map(|group| told(&names, group))
            .collect(),
        as_of: read.as_of,
    }))
}

struct Group {
    held: HeldOrders,
    orders: Vec<(OrderKey, Hold, Option<lockstep_journal::OrderRow>)>,
}

fn groups(journal: &Journal) -> Result<Vec<Group>, JournalError> {
    let groups = journal.held_orders()?.into_iter().map(|held| {
        let orders = held.first.iter().map(|(order, hold)| {
            let view = journal.order_view(order)?;
            Ok((order.clone(), hold.clone(), view.map(|view| view.row)))
        });
        Ok(Group {
            orders: orders.collect::<Result<_, JournalError>>()?,
            held,
        })
    });
    groups.collect()
}

fn told(names: &Names, Group { held, orders }: Group) -> HeldGroup {
    let (title, detail) = said::held(names, held.origin, &held.hold, held.count);
    HeldGroup {
        title,
        detail,
        unmapped: unmapped(names, held.origin, &held.hold),
        reason: held.hold,
        origin: held.origin,
        origin_name: names.shop(held.origin),
        count: held.count,
        orders: orders
            .into_iter()
            .map(|(order, hold, row)| HeldOrder {
                number: row
                    .as_ref()
                    .and_then(|row| row.number.clone())
                    .unwrap_or_else(|| order.id.to_string()),
                placed_at: row
                    .and_then(|row| row.origin)
                    .map(|origin| origin.placed_at),
                why: said::hold_text(names, held.origin, &hold),
                key: order.to_string(),
            })
            .collect(),
    }
}

fn unmapped(names: &Names, origin: ShopId, hold: &Hold) -> Option<Unmapped> {
    let (what, id) = match hold {
        Hold::UnmappedPaymentMethod { id } => (Mappable::PaymentMethod, id.clone()),
        Hold::UnmappedShippingMethod { id } => (Mappable::ShippingMethod, id.clone()),
        Hold::UnmappedPaymentTerm { id } => (Mappable::PaymentTerm, id.clone()),
        Hold::UnmappedCountry { country } => (Mappable::Country, country.as_str().into()),
        Hold::UnknownTaxRate { rate } => (Mappable::TaxRate, rate.normalize().to_string().into()),
        Hold::Gate
        | Hold::Refunded
        | Hold::UnknownSku { .. }
        | Hold::Sums { .. }
        | Hold::InDoubt
        | Hold::BuyerErased
        | Hold::Refused { .. } => return None,
    };
    let into = names.settings.policies.orders.into?;
    Some(Unmapped {
        what,
        from: NamedAt { shop: origin, id },
        into,
        into_name: names.shop(into),
    })
}

/// Puts the missing word into the settings: a new revision, with which all orders that wait for it are due.
pub async fn map(
    State(app): State<AppState>,
    person: Person,
    Path(customer): Path<CustomerId>,
    Json(request): Json<MapRequest>,
) -> Answer<Json<ApplyReply>> {
    person.may(Role::Editor, customer)?;
    let stored = stored(&app, customer).await?;
    let mut settings = stored.settings;
    let MapRequest { what, from, into } = request;
    let Some(receiver) = settings.policies.orders.into else {
        return Err(Refusal::new(
            Code::Conflict,
            "no shop takes the orders, by the policies; nothing was saved",
        ));
    };
    if from.shop == receiver || settings.service(from.shop).is_none() {
        return Err(Refusal::bad_request(format!(
            "shop {} is none whose orders go into shop {receiver}; nothing was saved",
            from.shop
        )));
    }
    let shop = from.shop;
    let identity = app
        .replicas
        .read(customer, move |journal| journal.identity(shop))
        .await?
        .value;
    let name = name_of(what, &from, identity.as_ref());
    let into = NamedAt {
        shop: receiver,
        id: into,
    };
    let changed = settings
        .map(what, &from, &into, &name)
        .map_err(|why| not_mapped(what, &from, why))?;
    if !changed {
        return Ok(Json(ApplyReply {
            id: customer,
            revision: stored.revision,
            changed,
        }));
    }
    let reply = save(&app, &person, settings, Expect::Revision(stored.revision)).await?;
    Ok(Json(reply))
}

fn not_mapped(what: Mappable, from: &NamedAt, why: NotMapped) -> Refusal {
    match why {
        NotMapped::Already(there) => Refusal::new(
            Code::Conflict,
            format!(
                "the {} {} is called {there} there already; change it among the {}. Nothing was saved",
                what.as_str(),
                from.id,
                what.kept_among()
            ),
        ),
        NotMapped::Unreadable(word) => Refusal::bad_request(format!(
            "\"{word}\" is not a {}; nothing was saved",
            what.as_str()
        )),
    }
}

/// As its own shop calls it, for people.
fn name_of(what: Mappable, at: &NamedAt, identity: Option<&ShopIdentity>) -> String {
    let list = identity.map(|identity| what.listed(identity));
    list.unwrap_or_default()
        .iter()
        .find(|named| named.id == at.id && !named.name.is_empty())
        .map_or_else(|| at.id.to_string(), |named| named.name.clone())
}

pub async fn answer(
    State(app): State<AppState>,
    person: Person,
    Path((customer, named)): Path<(CustomerId, String)>,
    Json(request): Json<OrderAnswerRequest>,
) -> Answer<StatusCode> {
    person.may(Role::Editor, customer)?;
    stored(&app, customer).await?;
    let order = OrderKey::parse(&named)
        .filter(|key| key.customer == customer)
        .ok_or_else(|| Refusal::not_found(format!("order {named} of customer {customer}")))?;
    let question = Question::AnswerOrder {
        order,
        answer: request.answer,
        by: person.name().to_owned(),
    };
    carry_out(&app, &person, customer, question).await
}
