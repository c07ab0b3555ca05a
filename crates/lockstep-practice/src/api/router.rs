//! Every address of the shop, grouped by who calls it.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};

use super::{categories, hooks, identity, knobs, orders, pictures, products, stock};
use crate::problem::{Code, Problem};
use crate::state::ShopState;
use crate::{bounds, faults, requests, storefront};

pub fn router(shop: Arc<ShopState>) -> Router {
    let admin = Router::new()
        .route("/api/v1/shop", get(identity::show))
        .route(
            "/api/v1/products",
            get(products::list).post(products::create),
        )
        .route("/api/v1/products/batch", post(products::batch))
        .route(
            "/api/v1/products/{id}",
            get(products::show)
                .patch(products::update)
                .delete(products::remove),
        )
        .route(
            "/api/v1/products/{id}/variants/{variant}",
            delete(products::remove_variant),
        )
        .route(
            "/api/v1/products/{id}/pictures",
            post(pictures::add).layer(DefaultBodyLimit::max(bounds::PICTURE_BYTES_MAX)),
        )
        .route(
            "/api/v1/products/{id}/pictures/{picture}",
            patch(pictures::update).delete(pictures::remove),
        )
        .route(
            "/api/v1/categories",
            get(categories::list).post(categories::create),
        )
        .route("/api/v1/categories/batch", post(categories::batch))
        .route(
            "/api/v1/categories/{id}",
            get(categories::show)
                .patch(categories::update)
                .delete(categories::remove),
        )
        .route("/api/v1/stock", get(stock::list))
        .route("/api/v1/stock/batch", post(stock::batch))
        .route("/api/v1/stock/{sku}", get(stock::show).put(stock::write))
        .route("/api/v1/orders", get(orders::list).post(orders::create))
        .route("/api/v1/orders/batch", post(orders::batch))
        .route("/api/v1/orders/{id}", get(orders::show).patch(orders::edit))
        .route("/api/v1/orders/{id}/pay", post(orders::pay))
        .route("/api/v1/orders/{id}/ship", post(orders::ship))
        .route("/api/v1/orders/{id}/cancel", post(orders::cancel))
        .route("/api/v1/orders/{id}/refund", post(orders::refund))
        .route("/api/v1/orders/{id}/return", post(orders::take_back));
    let hearers = Router::new()
        .route("/api/v1/hooks", get(hooks::list).post(hooks::create))
        .route(
            "/api/v1/hooks/{id}",
            get(hooks::show).put(hooks::update).delete(hooks::remove),
        )
        .route("/api/v1/hooks/{id}/ping", post(hooks::ping));
    let testers = Router::new()
        .route(
            "/api/v1/faults",
            put(knobs::set).get(knobs::show).delete(knobs::clear),
        )
        .route("/api/v1/requests", get(knobs::requests))
        .route("/api/v1/requests/reset", post(knobs::reset_requests));
    let public = Router::new()
        .route("/", get(storefront::browse::show))
        .route("/products/{handle}", get(storefront::product::show))
        .route("/checkout", post(storefront::checkout::check_out))
        .route("/orders/{number}", get(storefront::order::show))
        .route("/orders/{number}/pay", post(storefront::order::pay))
        .route("/pictures/{sha256}", get(storefront::picture::show))
        .route("/assets/shop.css", get(storefront::style))
        .route("/assets/shop.svg", get(storefront::icon));
    admin
        .merge(hearers)
        .merge(testers)
        .merge(public)
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_so)
        .layer(DefaultBodyLimit::max(bounds::BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn_with_state(
            shop.clone(),
            faults::layer::layer,
        ))
        .layer(axum::middleware::from_fn_with_state(
            shop.clone(),
            requests::layer,
        ))
        .with_state(shop)
}

async fn nothing_here(uri: http::Uri) -> Response {
    if uri.path().starts_with("/api/") {
        Problem::new(Code::NotFound, "There is nothing at this address.").into_response()
    } else {
        storefront::refusal(Problem::new(
            Code::NotFound,
            "There is nothing at this address.",
        ))
    }
}

async fn not_so() -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        "This address does not know this method.",
    )
}
