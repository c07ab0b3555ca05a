//! Orders that are held, by what they wait for, each sort with the form that lets it go.

use super::{
    Ui,
    failure::Failure,
    frame::Frame,
    identifiers,
    session::{Posted, Visitor, refused, went_well},
    urls,
    widgets::When,
};
use axum::{extract::Path, response::Response};
use lockstep_model::{
    CustomerId, OrderAnswer, ShopId,
    entry::Hold,
    settings::{CustomerSettings, Mappable, NamedAt},
};
use lockstep_protocol::{
    Code, Problem,
    paths::people,
    people::{
        customers::ApplyReply,
        orders::{HeldGroup, HeldView, MapRequest, OrderAnswerRequest, Unmapped},
    },
};
use serde::de::IgnoredAny;

/// What can be said of an order that is held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Answers {
    pub again: bool,
    pub in_doubt: bool,
}

impl Answers {
    pub fn to(hold: &Hold) -> Self {
        let (again, in_doubt) = match hold {
            Hold::InDoubt => (false, true),
            Hold::Gate
            | Hold::Refunded
            | Hold::BuyerErased
            | Hold::UnmappedPaymentMethod { .. }
            | Hold::UnmappedShippingMethod { .. }
            | Hold::UnmappedPaymentTerm { .. } => (false, false),
            Hold::UnknownSku { .. }
            | Hold::Sums { .. }
            | Hold::UnknownTaxRate { .. }
            | Hold::UnmappedCountry { .. }
            | Hold::Refused { .. } => (true, false),
        };
        Answers { again, in_doubt }
    }
}

pub struct Group {
    pub title: String,
    pub detail: String,
    pub orders: Vec<Row>,
    /// Orders that are not named one by one.
    pub more: u64,
    pub answers: Answers,
    pub map: Option<Map>,
}

pub struct Row {
    pub number: String,
    pub href: String,
    pub answer: String,
    pub why: String,
    pub placed: Option<When>,
}

/// The form in which the receiver's word is picked.
pub struct Map {
    pub what: &'static str,
    pub from_shop: ShopId,
    pub from_id: String,
    pub into: String,
    pub count: u64,
    pub list: identifiers::List,
}

pub fn answer_action(customer: CustomerId, key: &str) -> String {
    format!("{}/answer", urls::order(customer, &key))
}

/// Everything that is held, with the receiver's lists where they are needed.
pub async fn groups(
    ui: &Ui,
    visitor: &Visitor,
    frame: &Frame,
    settings: &CustomerSettings,
) -> Result<Vec<Group>, Problem> {
    let customer = settings.id();
    let path = urls::path(people::ORDERS_HELD, &[&customer]);
    let held: HeldView = visitor.caller.get(&path).await?;
    let mut groups = Vec::new();
    for group in held.groups {
        let map = match &group.unmapped {
            Some(unmapped) => Some(map(ui, visitor, settings, unmapped, group.count).await),
            None => None,
        };
        groups.push(shown(customer, group, map, frame));
    }
    Ok(groups)
}

async fn map(
    ui: &Ui,
    visitor: &Visitor,
    settings: &CustomerSettings,
    unmapped: &Unmapped,
    count: u64,
) -> Map {
    let Unmapped {
        what,
        from,
        into,
        into_name,
    } = unmapped;
    Map {
        what: what.word(),
        from_shop: from.shop,
        from_id: from.id.to_string(),
        into: into_name.clone(),
        count,
        list: identifiers::words_of(ui, &visitor.caller, settings.id(), *into, *what).await,
    }
}

fn shown(customer: CustomerId, group: HeldGroup, map: Option<Map>, frame: &Frame) -> Group {
    let named = group.orders.len() as u64;
    Group {
        title: group.title,
        detail: group.detail,
        answers: Answers::to(&group.reason),
        more: group.count.saturating_sub(named),
        orders: group
            .orders
            .into_iter()
            .map(|order| Row {
                href: urls::order(customer, &order.key),
                answer: answer_action(customer, &order.key),
                number: order.number,
                why: order.why,
                placed: order.placed_at.map(|at| When::new(at, frame.now)),
            })
            .collect(),
        map,
    }
}

pub async fn map_word(
    Path(customer): Path<CustomerId>,
    posted: Posted,
) -> Result<Response, Failure> {
    let values = &posted.values;
    let unreadable = || {
        Failure::new(
            Code::BadRequest,
            "This form cannot be read. Nothing was changed.",
        )
    };
    let what = Mappable::parse(values.text("method")).ok_or_else(unreadable)?;
    let shop = values.text("from_shop").parse().map_err(|_| unreadable())?;
    let request = MapRequest {
        what,
        from: NamedAt {
            shop,
            id: values.text("from_id").into(),
        },
        into: values.text("into").trim().into(),
    };
    let back = urls::of_customer(customer, "orders");
    let path = urls::path(people::ORDERS_MAP, &[&customer]);
    let saved: Result<ApplyReply, Problem> = posted.visitor.caller.post(&path, &request).await;
    Ok(match saved {
        Ok(_) => went_well(
            &back,
            format!(
                "Saved among the {}. All orders that waited for it cross now.",
                what.kept_among()
            ),
        ),
        Err(problem) => refused(&back, &problem),
    })
}

pub async fn answer(
    Path((customer, order)): Path<(CustomerId, String)>,
    posted: Posted,
) -> Result<Response, Failure> {
    let values = &posted.values;
    let (answer, done) = match values.text("answer") {
        "there" => (
            OrderAnswer::ItIsThere {
                id: values.text("named").trim().into(),
            },
            "Linked. It goes on from there.",
        ),
        "not_there" => (OrderAnswer::ItIsNotThere, "Noted. It is made now."),
        "again" => (OrderAnswer::TryAgain, "It is tried again now."),
        _ => {
            return Err(Failure::new(
                Code::BadRequest,
                "This answer cannot be read. Nothing was changed.",
            ));
        }
    };
    let path = urls::path(people::ORDER_ANSWER, &[&customer, &order]);
    let asked = OrderAnswerRequest { answer };
    let answered: Result<IgnoredAny, Problem> = posted.visitor.caller.post(&path, &asked).await;
    let back = urls::order(customer, &order);
    Ok(match answered {
        Ok(_) => went_well(&back, done),
        Err(problem) => refused(&back, &problem),
    })
}
