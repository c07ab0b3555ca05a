//! The people's API, `/api/v1`: what the CLI and scripts speak. JSON, bearer token, errors as
//! problem+json; lists are pages with a cursor.

pub mod asides;
pub mod buyers;
pub mod customers;
pub mod login;
pub mod matches;
pub mod orders;
pub mod plan;
pub mod records;
pub mod runs;
pub mod search;
pub mod shops;
pub mod standing;
pub mod undo;
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
    /// Of `records`, those that wait to be written, for a decision, or stand aside.
    #[serde(default)]
    pub records_apart: u64,
    /// Of all customers together.
    #[serde(default)]
    pub totals: standing::Totals,
    /// `None`: nothing was written lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<Lag>,
    /// `None`: not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<CallRate>,
}

/// From the beginning of the run that found a change to the shop's answer that it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// Half of the writes were as quick.
    pub p50_ms: u64,
    /// 99 of 100 were.
    pub p99_ms: u64,
    pub writes: u64,
    /// They are of these last minutes.
    pub minutes: u64,
}

/// Calls to shops.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CallRate {
    pub calls: u64,
    /// They are of these last seconds.
    pub seconds: u64,
    /// What all shops together take, by their settings, by what they told and after their complaints; `None`: a
    /// worker does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_per_second: Option<f64>,
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
    /// What to do there: "Replace the key".
    #[serde(default)]
    pub action: String,
    /// How often it was met since then; 0 or 1: no more than once.
    #[serde(default)]
    pub times: u64,
    /// Asking this shop again may be all that it takes.
    #[serde(default)]
    pub again: Option<(lockstep_model::CustomerId, lockstep_model::ShopId)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeedKind {
    WorkerPending,
    /// Nobody works for customers that are switched on.
    NotServed,
    Conflict,
    ShopFailed,
    SettingsFailed,
    OrderHeld,
    /// Records that stand aside.
    Aside,
    /// A limit stops runs until a person has looked at the plan.
    Limit,
    Alert,
}
