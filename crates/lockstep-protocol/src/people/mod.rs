//! The people's API, `/api/v1`: what the CLI and scripts speak. JSON, bearer token, errors as
//! problem+json; lists are pages with a cursor.

pub mod customers;
pub mod login;
pub mod plan;
pub mod records;
pub mod runs;
pub mod shops;
pub mod workers;

use serde::{Deserialize, Serialize};

/// A page of a list. `next` is given back as `?cursor=`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A list that fits on one page.
    pub fn whole(items: Vec<T>) -> Self {
        Page { items, next: None }
    }
}

/// The query of every list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Free text: a name, a SKU, an order's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

/// The start page: what needs a person, then how it goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    pub needs_person: Vec<Need>,
    pub customers: u64,
    pub records: u64,
    pub workers_active: u64,
    pub workers_pending: u64,
    pub runs_live: u64,
}

/// One thing that waits for a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Need {
    pub kind: NeedKind,
    pub title: String,
    pub detail: String,
    /// The console's page about it.
    pub href: String,
    pub since: Option<jiff::Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeedKind {
    WorkerPending,
    Conflict,
    ShopFailed,
    SettingsFailed,
    OrderHeld,
    Alert,
}
