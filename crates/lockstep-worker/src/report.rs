//! What the worker tells of itself: what it applied, what it acted on, how its runs go. Only the newest
//! counts, so nothing queues up: what changed meanwhile is sent together.

use crate::backoff::Backoff;
use crate::bounds;
use crate::link::Link;
use jiff::Timestamp;
use lockstep_model::{CustomerId, Flow, RunId, ShopId};
use lockstep_protocol::Etag;
use lockstep_protocol::paths;
use lockstep_protocol::status::{
    Acted, ApplyState, CustomerReport, HooksSeen, RunProgress, StatusReply, StatusReport,
};
use lockstep_protocol::wanted::Wake;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

#[derive(Default)]
pub struct Reporter {
    news: Mutex<News>,
    notify: Notify,
}

#[derive(Default)]
struct News {
    etag: Option<Etag>,
    customers: BTreeMap<CustomerId, CustomerReport>,
    runs: BTreeMap<(CustomerId, RunId), RunProgress>,
    /// Ended runs, oldest first: the oldest are forgotten.
    ended: VecDeque<(CustomerId, RunId)>,
    /// Wakes that were taken in, and of them those that were acted on.
    heard: BTreeMap<(CustomerId, ShopId, Flow), u64>,
    acted: BTreeMap<(CustomerId, ShopId, Flow), u64>,
    hooks: BTreeMap<(CustomerId, ShopId), HooksSeen>,
    changed_customers: BTreeSet<CustomerId>,
    changed_runs: BTreeSet<(CustomerId, RunId)>,
    changed_acted: BTreeSet<(CustomerId, ShopId, Flow)>,
    changed: bool,
    seq: u64,
    full: bool,
}

impl Reporter {
    pub fn applied(&self, etag: Option<Etag>) {
        self.tell(|news| news.etag = etag);
    }

    pub fn customer(&self, report: CustomerReport) {
        self.tell(|news| {
            if news.customers.get(&report.id) != Some(&report) {
                news.changed_customers.insert(report.id);
                news.customers.insert(report.id, report);
            }
        });
    }

    /// Changes one customer's report, if there is one.
    pub fn amend(&self, id: CustomerId, change: impl FnOnce(&mut CustomerReport)) {
        let report = self.lock().customers.get(&id).cloned();
        if let Some(mut report) = report {
            change(&mut report);
            self.customer(report);
        }
    }

    pub fn failed(&self, id: CustomerId, why: &str) {
        self.amend(id, |report| {
            report.state = ApplyState::Failed;
            report.error = Some(why.to_owned());
            report.stopped = true;
        });
    }

    pub fn gone(&self, id: CustomerId) {
        self.tell(|news| {
            news.customers.remove(&id);
            news.runs.retain(|(customer, _), _| *customer != id);
            news.heard.retain(|(customer, _, _), _| *customer != id);
            news.acted.retain(|(customer, _, _), _| *customer != id);
            news.hooks.retain(|(customer, _), _| *customer != id);
            news.full = true;
        });
    }

    pub fn run(&self, progress: RunProgress) {
        self.tell(|news| {
            let key = (progress.customer_id, progress.run);
            let before = news.runs.get(&key);
            if before == Some(&progress) {
                return;
            }
            let was_live = before.is_none_or(|before| before.finished_at.is_none());
            if progress.finished_at.is_some() && was_live {
                news.ended.push_back(key);
                while news.ended.len() > bounds::RUNS_REMEMBERED {
                    if let Some(oldest) = news.ended.pop_front() {
                        news.runs.remove(&oldest);
                        news.changed_runs.remove(&oldest);
                    }
                }
            }
            news.changed_runs.insert(key);
            news.runs.insert(key, progress);
        });
    }

    pub fn acted(&self, wake: Wake) {
        self.tell(|news| {
            let key = (wake.customer_id, wake.shop_id, wake.flow);
            news.acted.insert(key, wake.counter);
            news.changed_acted.insert(key);
        });
    }

    /// Whether this wake is one that was not heard yet.
    pub fn is_news(&self, wake: &Wake) -> bool {
        let key = (wake.customer_id, wake.shop_id, wake.flow);
        self.lock()
            .heard
            .get(&key)
            .is_none_or(|heard| *heard < wake.counter)
    }

    /// True: a person has asked since the last one that was heard.
    pub fn heard(&self, wake: &Wake) -> bool {
        let key = (wake.customer_id, wake.shop_id, wake.flow);
        let before = self.lock().heard.insert(key, wake.counter);
        wake.asked > before.unwrap_or(0)
    }

    /// A shop's registrations were looked at: only the newest look counts.
    pub fn hooks(&self, seen: HooksSeen) {
        self.tell(|news| {
            let key = (seen.customer_id, seen.shop_id);
            let before = news.hooks.get_mut(&key);
            match before {
                // What was mended is told, also if the next look finds it well before it was.
                Some(before) if seen.mended.is_empty() => {
                    let mended = std::mem::take(&mut before.mended);
                    *before = HooksSeen { mended, ..seen };
                }
                Some(_) | None => {
                    news.hooks.insert(key, seen);
                }
            }
        });
    }

    /// The coordinator's database is another one: its counters may begin below those that were acted on.
    pub fn forget_acted(&self) {
        let mut news = self.lock();
        news.heard.clear();
        news.acted.clear();
        news.changed_acted.clear();
    }

    /// Everything once more, also what is no news.
    pub fn tell_all(&self) {
        self.tell(|news| news.full = true);
    }

    fn tell(&self, change: impl FnOnce(&mut News)) {
        {
            let mut news = self.lock();
            change(&mut news);
            news.changed = true;
        }
        self.notify.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends whenever there is news, until it is dropped.
    pub async fn send_always(&self, link: &Link) {
        let mut backoff = Backoff::default();
        loop {
            self.notify.notified().await;
            // More comes at once, usually.
            tokio::time::sleep(bounds::STATUS_INTERVAL).await;
            while !self.send(link).await {
                tokio::time::sleep(backoff.next(None)).await;
            }
            backoff.reset();
        }
    }

    /// True: the coordinator has what there was to tell.
    pub async fn send(&self, link: &Link) -> bool {
        loop {
            let Some(report) = self.lock().report(link) else {
                return true;
            };
            let reply = link.post_json(paths::worker::STATUS, &report).await;
            match reply.and_then(|incoming| incoming.json::<StatusReply>()) {
                Ok(reply) if reply.full && !report.full => self.lock().ask_for_all(),
                Ok(_) => return true,
                Err(error) => {
                    tracing::debug!(%error, "the status was not taken");
                    self.lock().ask_for_all();
                    return false;
                }
            }
        }
    }
}

impl News {
    fn ask_for_all(&mut self) {
        self.full = true;
        self.changed = true;
    }

    fn report(&mut self, link: &Link) -> Option<StatusReport> {
        if !self.changed {
            return None;
        }
        let full = self.full || self.seq == 0;
        self.seq += 1;
        let customers = std::mem::take(&mut self.changed_customers);
        let runs = std::mem::take(&mut self.changed_runs);
        let acted = std::mem::take(&mut self.changed_acted);
        let report = StatusReport {
            instance: link.folder.instance().clone(),
            seq: self.seq,
            full,
            applied_etag: self.etag,
            customers: pick(&self.customers, |id| full || customers.contains(id)),
            acted: Acted {
                wakes: self
                    .acted
                    .iter()
                    .filter(|(key, _)| full || acted.contains(key))
                    .map(|((customer_id, shop_id, flow), counter)| Wake {
                        customer_id: *customer_id,
                        shop_id: *shop_id,
                        flow: *flow,
                        counter: *counter,
                        asked: 0,
                    })
                    .collect(),
            },
            runs: newest(pick(&self.runs, |key| full || runs.contains(key))),
            hooks: std::mem::take(&mut self.hooks).into_values().collect(),
            sent_at: Timestamp::now(),
            build: env!("CARGO_PKG_VERSION").into(),
        };
        self.full = false;
        self.changed = false;
        Some(report)
    }
}

fn pick<K, V: Clone>(from: &BTreeMap<K, V>, wanted: impl Fn(&K) -> bool) -> Vec<V> {
    from.iter()
        .filter(|(key, _)| wanted(key))
        .map(|(_, value)| value.clone())
        .collect()
}

/// The live ones first, if there are more than a report may hold.
fn newest(mut runs: Vec<RunProgress>) -> Vec<RunProgress> {
    runs.sort_by_key(|run| (run.finished_at.is_some(), std::cmp::Reverse(run.started_at)));
    runs.truncate(lockstep_protocol::bounds::RUNS_REPORTED_MAX);
    runs
}
