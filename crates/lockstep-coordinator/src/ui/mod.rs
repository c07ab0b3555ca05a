//! The console: pages for people, drawn on the server. With the script they are live and have keys; without
//! it they work the same.
//!
//! The console is a client of the people's API in the same process ([`api`]): who may do what, and what may
//! be saved, is decided there. It holds no state but counts that are a second old and lists read live from
//! shops a minute ago.

mod access;
mod api;
mod asides;
mod assets;
mod conflicts;
mod customer_form;
mod customers;
mod erase;
mod failure;
mod form;
mod frame;
mod held;
mod identifiers;
mod kept;
mod live;
mod orders;
mod overview;
mod plan;
mod policies;
mod preview;
mod records;
mod runs;
mod search;
mod session;
mod shops;
mod transforms;
mod undo;
pub mod urls;
mod widgets;
mod workers;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

use api::Api;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, header},
    middleware,
    response::Response,
    routing::{get, post},
};
use frame::Pulse;
use lockstep_connector::{Manifest, Registry};
use lockstep_protocol::bounds::STRANGER_BYTES_MAX;
use std::sync::Arc;

pub use orders::{OrderLineRow, OrderPage, OrderRow, OrderSide};

/// What the console needs of the coordinator around it.
pub struct Console {
    /// The people's API.
    pub api: Router,
    /// For the shops' forms.
    pub platforms: Registry,
    /// Served over TLS: cookies say so.
    pub secure: bool,
}

/// Behind every page.
pub struct Ui {
    api: Api,
    platforms: Vec<&'static Manifest>,
    secure: bool,
    pulse: Pulse,
    lists: identifiers::Lists,
    kept: kept::Kept,
}

type Shared = Arc<Ui>;

/// Everything that is not the API: pages, assets, the live stream, and the answer to unknown addresses.
pub fn router(console: Console) -> Router {
    let ui: Shared = Arc::new(Ui {
        api: Api::new(console.api),
        platforms: console
            .platforms
            .iter()
            .map(|each| each.manifest())
            .collect(),
        secure: console.secure,
        pulse: Pulse::default(),
        lists: identifiers::Lists::default(),
        kept: kept::Kept::default(),
    });
    let customer = Router::new()
        .route("/", get(customers::show))
        .route(
            "/settings",
            get(customer_form::show).post(customer_form::save),
        )
        .route("/owner", post(customers::give))
        .route("/sync", post(runs::sync))
        .route("/shops", get(shops::list))
        .route("/shops/new", get(shops::show_new).post(shops::save_new))
        .route("/shops/{shop}", get(shops::show).post(shops::save))
        .route("/shops/{shop}/hooks", post(shops::register_hooks))
        .route(
            "/identifiers/{section}",
            get(identifiers::show).post(identifiers::save),
        )
        .route("/policies", get(policies::show).post(policies::save))
        .route(
            "/schedules",
            get(policies::show_schedules).post(policies::save_schedules),
        )
        .route("/plan", get(plan::show).post(plan::make))
        .route("/plan/apply", post(plan::apply))
        .route("/runs", get(runs::of_customer))
        .route("/runs/{run}", get(runs::show))
        .route("/runs/{run}/cancel", post(runs::cancel))
        .route("/runs/{run}/undo", post(undo::undo))
        .route("/runs/{run}/undo/preview", post(undo::preview))
        .route("/records", get(records::list))
        .route("/records/{record}", get(records::show))
        .route("/stock/{sku}", get(records::explain))
        .route("/orders", get(orders::list))
        .route("/orders/{order}", get(orders::show))
        .route("/orders/map", post(held::map_word))
        .route("/orders/{order}/answer", post(held::answer))
        .route("/orders/{order}/erase", post(erase::erase))
        .route("/asides", get(asides::list))
        .route("/conflicts", get(conflicts::of_customer))
        .route("/conflicts/{conflict}/decide", post(conflicts::decide))
        .route("/matches.csv", get(conflicts::matches))
        .route("/matches", post(conflicts::answer_matches));
    Router::new()
        .route(urls::OVERVIEW, get(overview::show))
        .route(
            urls::LOGIN,
            get(session::show_login)
                .post(session::log_in)
                .layer(DefaultBodyLimit::max(STRANGER_BYTES_MAX)),
        )
        .route(urls::LOGOUT, post(session::log_out))
        .route(urls::THEME, post(session::set_theme))
        .route(urls::ACCESS, get(access::show))
        .route(urls::PASSWORD, post(access::set_password))
        .route("/access/logins/{name}/state", post(access::set_state))
        .route("/access/logins/{name}/delete", post(access::delete))
        .route("/access/open/{token}/end", post(access::end))
        .route(urls::SEARCH, get(search::show))
        .route(urls::EVENTS, get(live::events))
        .route(urls::WORKERS, get(workers::list))
        .route(urls::JOIN, post(workers::invite))
        .route("/workers/{worker}", get(workers::show))
        .route("/workers/{worker}/state", post(workers::set_state))
        .route("/workers/pending/{enrolment}", get(workers::show_pending))
        .route(
            "/workers/pending/{enrolment}/confirm",
            post(workers::confirm),
        )
        .route("/workers/pending/{enrolment}/reject", post(workers::reject))
        .route(urls::RUNS, get(runs::of_all))
        .route(urls::CONFLICTS, get(conflicts::of_all))
        .route(urls::CUSTOMERS, get(customers::list))
        .route(
            urls::CUSTOMER_NEW,
            get(customer_form::show_new).post(customer_form::save_new),
        )
        .nest("/customers/{customer}", customer)
        .route("/assets/{hash}/{name}", get(assets::serve))
        .fallback(nothing)
        .layer(middleware::from_fn_with_state(ui.clone(), failure::dress))
        .layer(middleware::map_response(harden))
        .with_state(ui)
}

async fn nothing() -> failure::Failure {
    failure::Failure::new(
        lockstep_protocol::Code::NotFound,
        "There is nothing at this address.",
    )
}

/// No script and no style but our own files, nowhere to send a form but here, and nobody frames us.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
