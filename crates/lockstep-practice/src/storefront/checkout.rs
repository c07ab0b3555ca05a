//! `POST /checkout`: as JSON for programs, as a form for people.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Form, FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use super::refusal;
use crate::api::body::Raw;
use crate::orders::checkout;
use crate::orders::input::{CheckoutInput, CheckoutLine};
use crate::orders::order::{Buyer, Order};
use crate::problem::{Code, Problem};
use crate::state::ShopState;

#[derive(Debug, Deserialize)]
struct BuyForm {
    sku: String,
    quantity: i64,
    name: String,
    email: String,
    #[serde(default)]
    pay: String,
}

pub async fn check_out(State(shop): State<Arc<ShopState>>, request: Request) -> Response {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if content_type.starts_with("application/x-www-form-urlencoded") {
        match by_form(&shop, request).await {
            Ok(order) => to_page(&order),
            Err(problem) => refusal(problem),
        }
    } else if content_type.starts_with("application/json") {
        match by_json(&shop, request).await {
            Ok(order) => (
                StatusCode::CREATED,
                Json(json!({
                    "number": order.number, "id": order.id, "total": order.total, "currency": order.currency,
                    "payment": order.payment, "url": order.page_url,
                })),
            )
                .into_response(),
            Err(problem) => problem.into_response(),
        }
    } else {
        Problem::new(
            Code::UnsupportedMediaType,
            "Send JSON, or the form of a product's page.",
        )
        .into_response()
    }
}

async fn by_json(shop: &Arc<ShopState>, request: Request) -> Result<Order, Problem> {
    let input: CheckoutInput = Raw::from_request(request, shop).await?.json()?;
    buy(shop, input).await
}

async fn by_form(shop: &Arc<ShopState>, request: Request) -> Result<Order, Problem> {
    let Form(form) = Form::<BuyForm>::from_request(request, shop)
        .await
        .map_err(|_| {
            Problem::invalid(
                "body",
                "Choose what to buy, how many, and say your name and e-mail address.",
            )
        })?;
    let buyer = Buyer {
        name: form.name,
        email: form.email,
        ..Buyer::default()
    };
    let lines = vec![CheckoutLine {
        sku: form.sku,
        quantity: form.quantity,
    }];
    buy(
        shop,
        CheckoutInput {
            lines,
            buyer,
            pay: form.pay != "later",
            ..CheckoutInput::default()
        },
    )
    .await
}

async fn buy(shop: &Arc<ShopState>, input: CheckoutInput) -> Result<Order, Problem> {
    let (grounds, hidden_until) = (shop.grounds(), shop.hidden_until());
    shop.database
        .write(move |w| checkout::check_out(w, input, grounds.ground(hidden_until)))
        .await
}

/// To the order's page, on whatever host the buyer reads the shop.
pub fn to_page(order: &Order) -> Response {
    let key = order
        .page_url
        .split_once("?key=")
        .map(|(_, key)| key)
        .unwrap_or_default();
    match HeaderValue::from_str(&format!("/orders/{}?key={key}", order.number)) {
        Ok(to) => (
            StatusCode::SEE_OTHER,
            [
                (header::LOCATION, to),
                (
                    header::REFERRER_POLICY,
                    HeaderValue::from_static("no-referrer"),
                ),
            ],
        )
            .into_response(),
        Err(_) => refusal(Problem::new(
            Code::Broken,
            "The order was placed, but its page has no address.",
        )),
    }
}
