//! Every route of the coordinator on one screen, by who calls it.

use crate::{AppState, access_log, api, connections, hooks, ui, worker_api};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn,
    routing::{delete, get, post, put},
};
use lockstep_protocol::{
    bounds::{
        APPLY_BYTES_MAX, BODY_BYTES_MAX, REQUEST_BYTES_MAX, SEGMENT_BYTES_MAX, STRANGER_BYTES_MAX,
    },
    paths,
};
use tower_http::compression::CompressionLayer;

pub fn router(app: AppState) -> Router {
    let people = people(&app);
    let console = ui::router(ui::Console {
        api: people.clone(),
        platforms: app.registry.clone(),
        secure: app.secure,
    });
    Router::new()
        .merge(people)
        .merge(console)
        .layer(CompressionLayer::new())
        .merge(workers().with_state(app.clone()))
        .merge(shops().with_state(app.clone()))
        .layer(from_fn(access_log::log))
        .layer(from_fn(connections::timed))
        // Outside of every layer: the one call that a coordinator answers all day.
        .merge(polls().with_state(app))
}

fn polls() -> Router<AppState> {
    Router::new().route(paths::worker::SETTINGS, get(worker_api::poll))
}

fn workers() -> Router<AppState> {
    use paths::worker::*;
    let segments = Router::new()
        .route(
            JOURNAL,
            post(worker_api::take_segment).get(worker_api::give_journal),
        )
        .route(CHECKPOINT, get(worker_api::give_checkpoint))
        .layer(DefaultBodyLimit::max(SEGMENT_BYTES_MAX));
    let strangers = Router::new()
        .route(AUTH, post(worker_api::enrol))
        .route(AUTH_TOKEN, post(worker_api::token))
        .route(AUTH_RENEW, post(worker_api::renew))
        .layer(DefaultBodyLimit::max(STRANGER_BYTES_MAX));
    Router::new()
        .route(STATUS, post(worker_api::status))
        .route(LEASE, post(worker_api::lease))
        .route(LEASE_RELEASE, post(worker_api::release))
        .route(ASK, post(worker_api::answer_ask))
        .route(CREDENTIALS, post(worker_api::credentials))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .merge(segments)
        .merge(strangers)
}

fn shops() -> Router<AppState> {
    Router::new()
        .route(paths::hooks::HOOK, post(hooks::take))
        .layer(DefaultBodyLimit::max(crate::bounds::HOOK_BYTES_MAX))
}

/// The people's API. The console calls it too, in this process, with its visitor's token.
fn people(app: &AppState) -> Router {
    use paths::people::*;
    let applied = Router::new()
        .route(
            CUSTOMERS,
            get(api::customers::list).post(api::customers::create),
        )
        .route(
            CUSTOMER,
            get(api::customers::show)
                .put(api::customers::apply)
                .delete(api::customers::delete),
        )
        .route(PREVIEW, post(api::customers::preview))
        .layer(DefaultBodyLimit::max(APPLY_BYTES_MAX));
    let tables = Router::new()
        .route(MATCHES, get(api::matches::list).post(api::matches::answer))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    let strangers = Router::new()
        .route(LOGIN, post(api::login::log_in))
        .layer(DefaultBodyLimit::max(STRANGER_BYTES_MAX));
    Router::new()
        .route(LOGOUT, post(api::login::log_out))
        .route(ME, get(api::login::me))
        .route(OVERVIEW, get(api::overview::show))
        .route(EVENTS, get(api::events::listen))
        .route(SEARCH, get(api::search::show))
        .route(LOGINS, get(api::logins::list).post(api::logins::add))
        .route(LOGIN_OF, delete(api::logins::delete))
        .route(LOGIN_PASSWORD, post(api::logins::set_password))
        .route(LOGIN_STATE, put(api::logins::set_state))
        .route(TOKENS, get(api::tokens::list).post(api::tokens::make))
        .route(TOKEN, delete(api::tokens::revoke))
        .route(WORKERS, get(api::workers::list))
        .route(WORKER, get(api::workers::show))
        .route(
            WORKER_STATE,
            put(api::workers::set_state).post(api::workers::set_state),
        )
        .route(ENROLMENT_CONFIRM, post(api::workers::confirm))
        .route(ENROLMENT_REJECT, post(api::workers::reject))
        .route(JOIN_TOKENS, post(api::workers::make_join_token))
        .route(CUSTOMER_STANDING, get(api::standing::show))
        .route(CUSTOMER_EXPORT, get(api::customers::export))
        .route(
            CUSTOMER_OWNER,
            put(api::customers::give).post(api::customers::give),
        )
        .route(SHOP_CHECK, post(api::shops::check))
        .route(SHOP_LISTS, get(api::shops::lists))
        .route(RUNS_OF_ALL, get(api::runs::list_all))
        .route(
            SHOP_HOOKS,
            get(api::shops::hooks).post(api::shops::register_hooks),
        )
        .route(SYNC, post(api::runs::sync))
        .route(PLAN, post(api::runs::plan))
        .route(PLAN_APPLY, post(api::runs::apply_plan))
        .route(RUNS, get(api::runs::list))
        .route(RUN, get(api::runs::show))
        .route(RUN_CANCEL, post(api::runs::cancel))
        .route(RUN_UNDO, post(api::undo::undo))
        .route(RUN_UNDO_PREVIEW, post(api::undo::preview))
        .route(RECORDS, get(api::records::list))
        .route(RECORD, get(api::records::show))
        .route(EXPLAIN, get(api::records::explain))
        .route(HISTORY, get(api::history::show))
        .route(api::orders::ORDERS, get(api::orders::list))
        .route(api::orders::ORDER, get(api::orders::show))
        .route(ASIDES, get(api::asides::list))
        .route(CONFLICTS, get(api::conflicts::list))
        .route(CONFLICT_DECIDE, post(api::conflicts::decide))
        .route(BUYERS_EXPORT, post(api::buyers::export))
        .route(BUYERS_ERASE, post(api::buyers::erase))
        .route(ORDERS_HELD, get(api::held::list))
        .route(ORDERS_MAP, post(api::held::map))
        .route(ORDER_ANSWER, post(api::held::answer))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .merge(tables)
        .merge(applied)
        .merge(strangers)
        .with_state(app.clone())
}
