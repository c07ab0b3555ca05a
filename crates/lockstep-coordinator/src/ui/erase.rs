//! Forgetting a buyer, from the page of one of their orders. It cannot be undone: whoever means it types the order's number.

use super::{
    failure::Failure,
    orders::{ORDER, OrderPage},
    session::{Posted, refused, went_partly, went_well},
    urls,
};
use axum::{extract::Path, response::Response};
use lockstep_model::{CustomerId, OrderKey};
use lockstep_protocol::{
    Code, Problem,
    paths::people,
    people::buyers::{BuyerSought, BuyersRequest, ErasureView},
};

pub fn action(customer: CustomerId, key: &str) -> String {
    format!("{}/erase", urls::order(customer, &key))
}

pub async fn erase(
    Path((customer, order)): Path<(CustomerId, String)>,
    posted: Posted,
) -> Result<Response, Failure> {
    let caller = &posted.visitor.caller;
    if !posted.visitor.operates() {
        let why = "An operator erases buyers. Nothing was erased.";
        return Err(Failure::new(Code::Forbidden, why));
    }
    let key = OrderKey::parse(&order).ok_or_else(|| Failure::not_found("such order"))?;
    let found: OrderPage = caller.get(&urls::path(ORDER, &[&customer, &order])).await?;
    let back = urls::order(customer, &order);
    let number = &found.row.number;
    if posted.values.text("number") != number {
        let why = format!(
            "type the order's number, {number}, to say that you mean it; nothing was erased"
        );
        return Ok(refused(&back, &Problem::new(Code::BadRequest, why)));
    }
    let of = match posted.values.text("email") {
        "" => BuyerSought::Order(key),
        email => BuyerSought::Email(email.to_owned()),
    };
    let path = urls::path(people::BUYERS_ERASE, &[&customer]);
    let erased: Result<ErasureView, Problem> = caller.post(&path, &BuyersRequest { of }).await;
    Ok(match erased {
        Ok(erasure) if erasure.done_at.is_none() => went_partly(
            &back,
            "The customer's worker is away: the request is kept, and carried out as soon as it is back.",
        ),
        Ok(erasure) if erasure.orders == 0 => went_partly(
            &back,
            "No order was placed with this address. Nothing was erased.",
        ),
        Ok(erasure) => went_well(&back, told(&erasure)),
        Err(problem) => refused(&back, &problem),
    })
}

fn told(erasure: &ErasureView) -> String {
    let orders = match erasure.orders {
        1 => "1 order".to_owned(),
        count => format!("{count} orders"),
    };
    let mut text = format!(
        "Erased: the buyer of {orders}. Sums and lines remain; what the shops themselves keep is theirs to erase."
    );
    if erasure.unreadable > 0 {
        text.push_str(&format!(
            " {} more are sealed under keys of a disk that this customer has left: nobody can read or match them.",
            erasure.unreadable
        ));
    }
    text
}
