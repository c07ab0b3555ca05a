//! A person's word on an order that does not cross, turned into journal entries. The next run goes on from them.

use lockstep_model::cases::OrderCase;
use lockstep_model::entry::{Body, Hold, Settlement, What};
use lockstep_model::{OrderAnswer, ShopId};

/// The entries, or a sentence that says why this word cannot be taken (any more).
pub fn answer(
    case: &OrderCase,
    into: ShopId,
    answer: &OrderAnswer,
    by: &str,
) -> Result<Vec<Body>, String> {
    let how = match answer {
        OrderAnswer::TryAgain => {
            may_be_tried_again(case)?;
            None
        }
        OrderAnswer::ItIsThere { id } => Some(Settlement::Done {
            id: id.clone(),
            parts: None,
            held: None,
            level: None,
            partly: false,
        }),
        OrderAnswer::ItIsNotThere => Some(Settlement::NotApplied { fault: None }),
    };
    let answered = Body::OrderAnswered {
        order: case.order.clone(),
        into,
        answer: answer.clone(),
        by: by.to_owned(),
    };
    let Some(how) = how else {
        return Ok(vec![answered]);
    };
    let creates: Vec<_> = case
        .open
        .iter()
        .filter(|open| open.shop == into && open.what == What::CreateOrder)
        .collect();
    if case.held != Some(Hold::InDoubt) || creates.is_empty() || case.copies.contains_key(&into) {
        return Err(
            "it is not in doubt (any more) whether this order was made: it was answered, or found. Nothing was \
             changed"
                .into(),
        );
    }
    let mut bodies = vec![answered];
    bodies.extend(creates.into_iter().map(|open| Body::Settled {
        intent: open.intent,
        how: Box::new(how.clone()),
    }));
    bodies.push(Body::OrderReleased {
        order: case.order.clone(),
    });
    Ok(bodies)
}

fn may_be_tried_again(case: &OrderCase) -> Result<(), String> {
    match &case.held {
        Some(Hold::InDoubt) => Err(
            "it may have been made already: say whether it is there, so that it is never made twice".into(),
        ),
        Some(Hold::Gate) => Err("it waits for its payment, and crosses by itself then".into()),
        Some(Hold::Refunded) => Err(
            "all its money was given back and nothing has left, so that there is nothing to ship".into(),
        ),
        Some(Hold::BuyerErased) => Err(
            "its buyer was erased, so that it cannot be made: whoever wants it there enters it by hand".into(),
        ),
        None if case.aside_until.is_empty() => {
            Err("this order is not held (any more); nothing was changed".into())
        }
        None
        | Some(
            Hold::UnknownSku { .. }
            | Hold::UnmappedPaymentMethod { .. }
            | Hold::UnmappedShippingMethod { .. }
            | Hold::UnmappedPaymentTerm { .. }
            | Hold::UnmappedCountry { .. }
            | Hold::Sums { .. }
            | Hold::UnknownTaxRate { .. }
            | Hold::Refused { .. },
        ) => Ok(()),
    }
}
