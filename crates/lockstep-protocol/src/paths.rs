//! Where each call lives. The constants are routes as axum writes them; [`fill`] makes a path of one.

use std::fmt::Display;

/// Calls of workers.
pub mod worker {
    pub const AUTH: &str = "/worker/v1/auth";
    pub const AUTH_TOKEN: &str = "/worker/v1/auth/token";
    pub const AUTH_RENEW: &str = "/worker/v1/auth/renew";
    pub const SETTINGS: &str = "/worker/v1/settings";
    pub const STATUS: &str = "/worker/v1/status";
    pub const LEASE: &str = "/worker/v1/lease";
    pub const LEASE_RELEASE: &str = "/worker/v1/lease/release";
    pub const JOURNAL: &str = "/worker/v1/journal/{customer}";
    /// The newest checkpoint of it.
    pub const CHECKPOINT: &str = "/worker/v1/journal/{customer}/checkpoint";
    pub const ASK: &str = "/worker/v1/asks/{ask}";
    pub const CREDENTIALS: &str = "/worker/v1/credentials/{customer}/{shop}";
}

/// Calls of people: the CLI, scripts, the console's own pages.
pub mod people {
    pub const LOGIN: &str = "/api/v1/login";
    pub const LOGOUT: &str = "/api/v1/logout";
    pub const ME: &str = "/api/v1/me";
    pub const OVERVIEW: &str = "/api/v1/overview";
    pub const EVENTS: &str = "/api/v1/events";
    /// Records and orders of all customers, by their keys and the words of their titles.
    pub const SEARCH: &str = "/api/v1/search";

    pub const WORKERS: &str = "/api/v1/workers";
    pub const WORKER: &str = "/api/v1/workers/{worker}";
    pub const WORKER_STATE: &str = "/api/v1/workers/{worker}/state";
    pub const ENROLMENT_CONFIRM: &str = "/api/v1/enrolments/{enrolment}/confirm";
    pub const ENROLMENT_REJECT: &str = "/api/v1/enrolments/{enrolment}/reject";
    pub const JOIN_TOKENS: &str = "/api/v1/join-tokens";

    /// Who may log in.
    pub const LOGINS: &str = "/api/v1/logins";
    pub const LOGIN_OF: &str = "/api/v1/logins/{name}";
    pub const LOGIN_PASSWORD: &str = "/api/v1/logins/{name}/password";
    pub const LOGIN_STATE: &str = "/api/v1/logins/{name}/state";
    /// What is open by a login: consoles and tokens.
    pub const TOKENS: &str = "/api/v1/tokens";
    pub const TOKEN: &str = "/api/v1/tokens/{token}";

    pub const CUSTOMERS: &str = "/api/v1/customers";
    pub const CUSTOMER: &str = "/api/v1/customers/{customer}";
    pub const CUSTOMER_EXPORT: &str = "/api/v1/customers/{customer}/export";
    /// What is not in step, and what a person has to see to.
    pub const CUSTOMER_STANDING: &str = "/api/v1/customers/{customer}/standing";
    pub const CUSTOMER_OWNER: &str = "/api/v1/customers/{customer}/owner";

    /// Test of a connection, saved or not.
    pub const SHOP_CHECK: &str = "/api/v1/shops/check";
    pub const SHOP_LISTS: &str = "/api/v1/customers/{customer}/shops/{shop}/lists";

    /// What the shop's platform has registered of our webhooks; posted to, it is asked to register them again.
    pub const SHOP_HOOKS: &str = "/api/v1/customers/{customer}/shops/{shop}/hooks";

    /// Of all customers; [`RUNS`] is of one. Both take the same query.
    pub const RUNS_OF_ALL: &str = "/api/v1/runs";
    pub const SYNC: &str = "/api/v1/customers/{customer}/sync";
    pub const PLAN: &str = "/api/v1/customers/{customer}/plan";
    /// What would follow from settings that are not saved.
    pub const PREVIEW: &str = "/api/v1/customers/{customer}/preview";
    pub const PLAN_APPLY: &str = "/api/v1/customers/{customer}/plan/apply";
    pub const RUNS: &str = "/api/v1/customers/{customer}/runs";
    pub const RUN: &str = "/api/v1/customers/{customer}/runs/{run}";
    pub const RUN_CANCEL: &str = "/api/v1/customers/{customer}/runs/{run}/cancel";
    /// Posted to, the run is undone; its preview writes nothing.
    pub const RUN_UNDO: &str = "/api/v1/customers/{customer}/runs/{run}/undo";
    pub const RUN_UNDO_PREVIEW: &str = "/api/v1/customers/{customer}/runs/{run}/undo/preview";
    pub const RECORDS: &str = "/api/v1/customers/{customer}/records";
    pub const RECORD: &str = "/api/v1/customers/{customer}/records/{record}";
    /// Of a record, a SKU or an order.
    pub const HISTORY: &str = "/api/v1/customers/{customer}/history/{named}";
    pub const EXPLAIN: &str = "/api/v1/customers/{customer}/explain/{sku}";
    /// What stands aside.
    pub const ASIDES: &str = "/api/v1/customers/{customer}/asides";
    /// Orders that wait for a person, by what they wait for.
    pub const ORDERS_HELD: &str = "/api/v1/customers/{customer}/orders/held";
    /// The one decision that lets all orders go that wait for the same method.
    pub const ORDERS_MAP: &str = "/api/v1/customers/{customer}/orders/map";
    pub const ORDER_ANSWER: &str = "/api/v1/customers/{customer}/orders/{order}/answer";
    /// Posted to, since an address must not stand in a URL.
    pub const BUYERS_EXPORT: &str = "/api/v1/customers/{customer}/buyers/export";
    pub const BUYERS_ERASE: &str = "/api/v1/customers/{customer}/buyers/erase";
    /// Doubtful matches, as a table.
    pub const MATCHES: &str = "/api/v1/customers/{customer}/matches";
    pub const CONFLICTS: &str = "/api/v1/customers/{customer}/conflicts";
    pub const CONFLICT_DECIDE: &str = "/api/v1/customers/{customer}/conflicts/{conflict}/decide";
}

/// Calls of shops: `{key}` names the customer's shop and cannot be guessed.
pub mod hooks {
    pub const HOOK: &str = "/hooks/v1/{customer}/{shop}/{key}";
}

/// Puts the parts into the route's `{…}`, percent-encoded. Parts that are missing stay as they are
/// written, which no route answers.
pub fn fill(route: &str, parts: &[&dyn Display]) -> String {
    let mut parts = parts.iter();
    let mut path = String::with_capacity(route.len() + 16);
    for (at, piece) in route.split('/').enumerate() {
        if at > 0 {
            path.push('/');
        }
        match piece.strip_prefix('{').and_then(|_| parts.next()) {
            Some(part) => encode(&mut path, &part.to_string()),
            None => path.push_str(piece),
        }
    }
    path
}

fn encode(path: &mut String, part: &str) {
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_put_in_and_encoded() {
        assert_eq!(
            fill(people::EXPLAIN, &[&7, &"A/B 1"]),
            "/api/v1/customers/7/explain/A%2FB%201"
        );
        assert_eq!(fill(worker::JOURNAL, &[&7]), "/worker/v1/journal/7");
    }
}
