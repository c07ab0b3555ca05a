//! Where each page of the console lives. The only place that spells a path; templates and other modules ask
//! here, so that no link dangles.

use lockstep_model::{CustomerId, RecordId, RunId, ShopId, WorkerId};
use lockstep_protocol::{EnrolmentId, paths::fill};
use std::fmt::Display;

pub const LOGIN: &str = "/login";
pub const LOGOUT: &str = "/logout";
pub const THEME: &str = "/theme";
pub const ACCESS: &str = "/access";
pub const PASSWORD: &str = "/access/password";
pub const EVENTS: &str = "/events";
pub const OVERVIEW: &str = "/";
pub const SEARCH: &str = "/search";
pub const RUNS: &str = "/runs";
pub const CONFLICTS: &str = "/conflicts";
pub const WORKERS: &str = "/workers";
pub const JOIN: &str = "/workers/join";
pub const CUSTOMERS: &str = "/customers";
pub const CUSTOMER_NEW: &str = "/customers/new";

/// Its `state` and its `delete` are below it.
pub fn login_of(name: &str) -> String {
    fill("/access/logins/{name}", &[&name])
}

pub fn token_end(token: u64) -> String {
    format!("/access/open/{token}/end")
}

pub fn worker(worker: WorkerId) -> String {
    format!("/workers/{worker}")
}

pub fn pending(enrolment: &EnrolmentId) -> String {
    fill("/workers/pending/{enrolment}", &[&enrolment.0])
}

pub fn customer(customer: CustomerId) -> String {
    format!("/customers/{customer}")
}

/// A page under the customer: `settings`, `shops`, `policies`, `schedules`, `plan`, `runs`, `records`,
/// `orders`, `conflicts`.
pub fn of_customer(customer: CustomerId, page: &str) -> String {
    format!("/customers/{customer}/{page}")
}

pub fn shop(customer: CustomerId, shop: ShopId) -> String {
    format!("/customers/{customer}/shops/{shop}")
}

pub fn shop_hooks(customer: CustomerId, shop: ShopId) -> String {
    format!("/customers/{customer}/shops/{shop}/hooks")
}

pub fn identifiers(customer: CustomerId, section: &str) -> String {
    format!("/customers/{customer}/identifiers/{section}")
}

pub fn run(customer: CustomerId, run: RunId) -> String {
    format!("/customers/{customer}/runs/{run}")
}

/// Posted to, the run is undone.
pub fn undo(customer: CustomerId, run: RunId) -> String {
    format!("/customers/{customer}/runs/{run}/undo")
}

/// Posted to, it is shown what that would do.
pub fn undo_preview(customer: CustomerId, run: RunId) -> String {
    format!("/customers/{customer}/runs/{run}/undo/preview")
}

pub fn record(customer: CustomerId, record: RecordId) -> String {
    format!("/customers/{customer}/records/{record}")
}

/// "Why 9?"
pub fn stock(customer: CustomerId, sku: &str) -> String {
    fill("/customers/{customer}/stock/{sku}", &[&customer, &sku])
}

pub fn order(customer: CustomerId, order: &dyn Display) -> String {
    fill("/customers/{customer}/orders/{order}", &[&customer, order])
}

/// A call of the people's API: its route with the parts in place. As [`fill`], for use before an `await`.
pub fn path(route: &str, parts: &[&(dyn Display + Sync)]) -> String {
    let parts: Vec<&dyn Display> = parts.iter().map(|part| *part as &dyn Display).collect();
    fill(route, &parts)
}

/// A query's value, percent-encoded.
pub fn encoded(text: &str) -> String {
    fill("{text}", &[&text])
}

/// `path?name=value&…`, the empty values left out.
pub fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    let query: Vec<String> = pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", query.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_merchant_named_cannot_break_out_of_a_link() {
        assert_eq!(
            stock(CustomerId(7), "A/B ?1"),
            "/customers/7/stock/A%2FB%20%3F1"
        );
        assert_eq!(
            with_query("/search", &[("query", "a&b=c"), ("cursor", "")]),
            "/search?query=a%26b%3Dc"
        );
    }
}
