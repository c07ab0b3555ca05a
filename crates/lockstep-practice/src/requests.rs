//! Counts what was asked of the shop, by path template and by status, and keeps the last thousand requests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use serde::Serialize;

use crate::bounds;
use crate::clock;
use crate::faults::layer::is_bookkeeping;
use crate::state::ShopState;

#[derive(Debug, Default)]
pub struct Requests {
    counted: Mutex<Counted>,
}

#[derive(Debug)]
struct Counted {
    since: clock::Stamp,
    total: u64,
    counts: BTreeMap<String, u64>,
    by_status: BTreeMap<u16, u64>,
    recent: VecDeque<Recent>,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            since: clock::now(),
            total: 0,
            counts: BTreeMap::new(),
            by_status: BTreeMap::new(),
            recent: VecDeque::new(),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
struct Recent {
    at: String,
    method: String,
    path: String,
    status: u16,
}

/// The counters as they are answered.
#[derive(Serialize)]
pub struct Shown {
    since: String,
    total: u64,
    counts: BTreeMap<String, u64>,
    by_status: BTreeMap<u16, u64>,
    recent: Vec<Recent>,
}

impl Requests {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn show(&self) -> Shown {
        let counted = self.lock();
        Shown {
            since: clock::show(counted.since),
            total: counted.total,
            counts: counted.counts.clone(),
            by_status: counted.by_status.clone(),
            recent: counted.recent.iter().cloned().collect(),
        }
    }

    pub fn reset(&self) {
        *self.lock() = Counted::default();
    }
}

pub async fn layer(State(shop): State<Arc<ShopState>>, request: Request, next: Next) -> Response {
    if is_bookkeeping(request.uri().path()) {
        return next.run(request).await;
    }
    let method = request.method().to_string();
    let template = request.extensions().get::<MatchedPath>().map_or_else(
        || "(no such path)".to_string(),
        |path| path.as_str().to_string(),
    );
    // Only the admin API's addresses are kept: the others may hold the key of a buyer's page.
    let path = request
        .uri()
        .path_and_query()
        .filter(|path| path.path().starts_with("/api/v1"))
        .map(|path| path.as_str().chars().take(500).collect::<String>());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let mut counted = shop.requests.lock();
    counted.total += 1;
    *counted
        .counts
        .entry(format!("{method} {template}"))
        .or_default() += 1;
    *counted.by_status.entry(status).or_default() += 1;
    if let Some(path) = path {
        if counted.recent.len() >= bounds::RECENT_REQUESTS {
            counted.recent.pop_front();
        }
        counted.recent.push_back(Recent {
            at: clock::show(clock::now()),
            method,
            path,
            status,
        });
    }
    drop(counted);
    response
}
