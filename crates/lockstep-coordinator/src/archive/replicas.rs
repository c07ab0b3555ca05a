//! All replicas of this coordinator: which are open, which are behind, and what each needs a person for.
//!
//! ```text
//!  segment acknowledged ──► poke ──► follow: segments after the last ──► writer ──► file ◄── reader ◄── pages
//!                                                                                     ▲ checkpoints
//! ```
//! Writer and reader are two connections to one file, so that a page does not wait for a long catch-up.

use super::{
    found,
    replica::{Replica, ReplicaError},
};
use crate::{
    AppState,
    alarms::{self, Alarm},
    bounds::{REPLICA_BATCH, REPLICAS_OPEN_MAX},
    events::Topic,
    refusal::{Answer, Chain, Refusal},
};
use jiff::Timestamp;
use lockstep_journal::{Journal, JournalError, Segment};
use lockstep_model::{
    CustomerId, Revision, RunId, ShopId, entry::Hold, settings::CustomerSettings,
};
use lockstep_protocol::people::standing::Totals;
use lockstep_storage::StorageError;
use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// Bytes of segments that are held at once while catching up.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// What needs a person is counted no more often than this.
const SUMMARY_EVERY: Duration = Duration::from_secs(1);
/// Rows that are looked through for it.
const SUMMARY_ROWS: usize = 200;
/// Sorts of held orders that the overview tells one by one.
const SUMMARY_HELD: usize = 5;
/// After a failure.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What one customer's replica says at a glance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    pub records: u64,
    /// Of them, those that a shop does not hold as it should yet.
    pub apart: u64,
    /// All that is not in step, by why.
    pub totals: Totals,
    pub oldest_conflict: Option<Timestamp>,
    /// Of what stands aside, what only a person's action helps.
    pub asides: u64,
    /// The newest run that has ended and is counted in here.
    pub after_run: Option<RunId>,
    /// What most of them wait for: of which shop, for what, how many.
    pub held: Vec<(ShopId, Hold, u64)>,
}

pub struct Replicas {
    folder: PathBuf,
    state: Mutex<State>,
    moved: Notify,
}

#[derive(Default)]
struct State {
    behind: BTreeSet<CustomerId>,
    failed: HashMap<CustomerId, Instant>,
    open: HashMap<CustomerId, Open>,
    known: HashMap<CustomerId, KnownReplica>,
}

#[derive(Clone)]
struct Open {
    writer: Arc<tokio::sync::Mutex<Option<Replica>>>,
    reader: Arc<Mutex<Option<Journal>>>,
    used: Instant,
}

#[derive(Default, Clone)]
struct KnownReplica {
    /// Of the newest entry that was applied.
    at: Option<Timestamp>,
    caught_up: bool,
    summary: Summary,
    /// What it is counted by.
    shops: Option<(Revision, Shops)>,
    summary_due: bool,
    summarised: Option<Instant>,
    is_well: bool,
}

/// The shops of a customer, as far as counting goes by them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shops {
    connected: Vec<ShopId>,
    /// Those whose assortment leaves products out.
    narrow: Vec<ShopId>,
}

impl Shops {
    pub fn of(settings: &CustomerSettings) -> Self {
        Shops {
            connected: settings.shops().map(|(shop, _)| shop.id).collect(),
            narrow: settings.shops_that_pick(),
        }
    }
}

impl Summary {
    pub fn read(journal: &Journal, shops: &Shops) -> Result<Self, JournalError> {
        let standing = journal.standing(&shops.connected, &shops.narrow)?;
        let asides = journal.asides(SUMMARY_ROWS)?;
        let mut held = journal.held_orders()?;
        held.sort_by_key(|group| std::cmp::Reverse(group.count));
        held.truncate(SUMMARY_HELD);
        Ok(Summary {
            records: journal.counters()?.record.saturating_sub(1),
            apart: journal.records_apart()?,
            totals: Totals {
                writes: 0,
                blocked: standing.not_written,
                aside: standing.asides,
                questions: standing.questions,
                held: standing.held,
                outside: standing.outside,
            },
            oldest_conflict: journal.conflicts(None, 1)?.first().map(|first| first.at),
            asides: asides
                .iter()
                .filter(|aside| aside.retry_at.is_none() || aside.fault.is_about_content())
                .count() as u64,
            after_run: standing.after_run,
            held: held
                .into_iter()
                .map(|group| (group.origin, group.hold, group.count))
                .collect(),
        })
    }
}

/// What a page read, and how old it is.
pub struct Read<T> {
    pub value: T,
    /// The replica knows everything that was acknowledged before this; none: nothing was yet.
    pub as_of: Option<Timestamp>,
}

impl Replicas {
    pub fn new(data: &Path) -> Result<Self, std::io::Error> {
        let folder = data.join("replicas");
        lockstep_storage::private_folder(&folder)?;
        Ok(Replicas {
            folder,
            state: Mutex::default(),
            moved: Notify::new(),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There may be new segments of this customer.
    pub fn poke(&self, customer: CustomerId) {
        {
            let mut state = self.state();
            state.behind.insert(customer);
            state.known.entry(customer).or_default().caught_up = false;
        }
        self.moved.notify_one();
    }

    pub fn summary(&self, customer: CustomerId) -> Summary {
        let state = self.state();
        state
            .known
            .get(&customer)
            .map(|known| known.summary.clone())
            .unwrap_or_default()
    }

    fn open(&self, customer: CustomerId) -> Open {
        let mut state = self.state();
        if state.open.len() >= REPLICAS_OPEN_MAX && !state.open.contains_key(&customer) {
            let oldest = state
                .open
                .iter()
                .min_by_key(|(_, open)| open.used)
                .map(|(id, _)| *id);
            if let Some(oldest) = oldest {
                state.open.remove(&oldest);
            }
        }
        let open = state.open.entry(customer).or_insert_with(|| Open {
            writer: Arc::default(),
            reader: Arc::default(),
            used: Instant::now(),
        });
        open.used = Instant::now();
        open.clone()
    }

    fn as_of(&self, customer: CustomerId) -> Option<Timestamp> {
        let state = self.state();
        let known = state.known.get(&customer)?;
        if known.caught_up {
            Some(Timestamp::now())
        } else {
            known.at
        }
    }

    /// Reads the customer's replica, on a thread that may block.
    pub async fn read<T: Send + 'static>(
        &self,
        customer: CustomerId,
        look: impl FnOnce(&Journal) -> Result<T, JournalError> + Send + 'static,
    ) -> Answer<Read<T>> {
        let reader = self.open(customer).reader;
        let as_of = self.as_of(customer);
        let folder = self.folder.clone();
        let work = move || -> Result<T, ReplicaError> {
            let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            let journal = match reader.take() {
                Some(journal) => journal,
                None => Replica::open(&folder, customer)?.journal,
            };
            let looked = look(reader.insert(journal));
            looked.map_err(|source| ReplicaError::Read { customer, source })
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(value)) => Ok(Read { value, as_of }),
            Ok(Err(error)) => Err(Refusal::internal("reading the replica", Chain(&error))),
            Err(error) => Err(Refusal::internal("reading the replica", error)),
        }
    }

    fn next_behind(&self) -> Option<CustomerId> {
        let mut state = self.state();
        let now = Instant::now();
        let ready = state
            .behind
            .iter()
            .find(|customer| state.failed.get(customer).is_none_or(|at| *at <= now))
            .copied()?;
        state.behind.remove(&ready);
        Some(ready)
    }

    /// For the first time since it could not be read, or since the start.
    fn is_well_again(&self, customer: CustomerId) -> bool {
        let mut state = self.state();
        let known = state.known.entry(customer).or_default();
        !std::mem::replace(&mut known.is_well, true)
    }

    fn put_off(&self, customer: CustomerId) {
        let mut state = self.state();
        state.known.entry(customer).or_default().is_well = false;
        state.behind.insert(customer);
        state.failed.insert(customer, Instant::now() + AGAIN_AFTER);
    }

    fn due_summaries(&self) -> Vec<CustomerId> {
        let state = self.state();
        let due = state.known.iter().filter(|(_, known)| {
            known.summary_due
                && known
                    .summarised
                    .is_none_or(|at| at.elapsed() >= SUMMARY_EVERY)
        });
        due.map(|(customer, _)| *customer).collect()
    }

    fn applied(&self, customer: CustomerId, at: Option<Timestamp>, caught_up: bool) {
        let mut state = self.state();
        state.failed.remove(&customer);
        let behind = state.behind.contains(&customer);
        let known = state.known.entry(customer).or_default();
        known.at = at.or(known.at);
        known.caught_up = caught_up && !behind;
        known.summary_due |= at.is_some() || known.summarised.is_none();
    }
}

/// Runs until the coordinator stops.
pub async fn follow(app: AppState) {
    loop {
        while let Some(customer) = app.replicas.next_behind() {
            if app.stop.is_cancelled() {
                return;
            }
            if let Err(error) = catch_up(&app, customer).await {
                failed(&app, customer, &error).await;
                app.replicas.put_off(customer);
            }
        }
        for customer in app.replicas.due_summaries() {
            summarise(&app, customer).await;
        }
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = app.replicas.moved.notified() => {}
            () = tokio::time::sleep(SUMMARY_EVERY) => {}
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum CatchUpError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    #[error("the thread that applies segments ended")]
    Thread(#[from] tokio::task::JoinError),
}

async fn failed(app: &AppState, customer: CustomerId, error: &CatchUpError) {
    tracing::error!(%customer, error = %Chain(error), "a replica is behind; it is tried again");
    let alarm = Alarm {
        kind: "replica",
        key: customer.to_string(),
        customer: Some(customer),
        worker: None,
        title: format!("Pages about {} are out of date", app.view.customer_name(customer)),
        detail: "Its journal is kept, but cannot be read into the pages' copy. Syncing goes on; the log says why.".into(),
        href: format!("/customers/{customer}"),
        action: "Open the customer".into(),
        shop: None,
    };
    alarms::raise(app, alarm).await;
}

async fn catch_up(app: &AppState, customer: CustomerId) -> Result<(), CatchUpError> {
    let open = app.replicas.open(customer);
    let mut taken = 0;
    loop {
        let folder = app.replicas.folder.clone();
        let mut writer = open.writer.clone().lock_owned().await;
        let mut writer = tokio::task::spawn_blocking(move || -> Result<_, ReplicaError> {
            if writer.is_none() {
                *writer = Some(Replica::open(&folder, customer)?);
            }
            Ok(writer)
        })
        .await??;
        let sequence = writer.as_ref().map_or(0, |replica| replica.sequence);
        let segments = app
            .storage
            .segments_after(customer, sequence, BATCH_BYTES)
            .await?;
        if segments.is_empty() {
            app.replicas.applied(customer, None, true);
            if app.replicas.is_well_again(customer) {
                alarms::clear(app, "replica", &customer.to_string(), Some(customer)).await;
            }
            return Ok(());
        }
        taken += segments.len() as u32;
        let sizes: Vec<u64> = segments
            .iter()
            .map(|segment| segment.body.len() as u64)
            .collect();
        let applied = tokio::task::spawn_blocking(move || {
            let applied = apply(&mut writer, customer, &segments);
            if applied.is_err() {
                // What went wrong may lie in the file: the next try opens it anew.
                *writer = None;
            }
            applied
        })
        .await?;
        let entries = match applied {
            Ok(entries) => entries,
            Err(error) => {
                rebuild(app, customer, &open, &error).await?;
                return Err(error.into());
            }
        };
        app.replicas
            .applied(customer, entries.last().map(|entry| entry.at), false);
        app.checkpoints.grown(customer, sizes);
        let rows = found::rows(&entries);
        app.storage.put_search_rows(customer, &rows).await?;
        app.events.tell(Topic::Records, Some(customer));
        if taken >= REPLICA_BATCH {
            // Others get their turn.
            app.replicas.poke(customer);
            return Ok(());
        }
    }
}

fn apply(
    writer: &mut Option<Replica>,
    customer: CustomerId,
    segments: &[lockstep_storage::Segment],
) -> Result<Vec<lockstep_model::entry::Entry>, ReplicaError> {
    let mut entries = Vec::new();
    if let Some(replica) = writer {
        for stored in segments {
            let segment =
                Segment::decode(&stored.body).map_err(|source| ReplicaError::Segment {
                    customer,
                    sequence: stored.sequence,
                    source,
                })?;
            entries.extend(replica.take(&segment)?);
        }
    }
    Ok(entries)
}

/// The file is thrown away; the next try begins at the first segment.
async fn rebuild(
    app: &AppState,
    customer: CustomerId,
    open: &Open,
    why: &ReplicaError,
) -> Result<(), CatchUpError> {
    tracing::warn!(%customer, error = %Chain(why), "a replica is thrown away and built again");
    let folder = app.replicas.folder.clone();
    let reader = open.reader.clone();
    let mut writer = open.writer.clone().lock_owned().await;
    tokio::task::spawn_blocking(move || {
        let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        *reader = None;
        *writer = None;
        Replica::remove(&folder, customer)
    })
    .await??;
    Ok(())
}

/// What counting goes by: asked of the database once for each revision.
async fn shops_of(app: &AppState, customer: CustomerId) -> Answer<Shops> {
    let revision = app
        .view
        .customer(customer)
        .map_or(Revision(0), |known| known.revision);
    {
        let state = app.replicas.state();
        let known = state.known.get(&customer);
        if let Some((of, shops)) = known.and_then(|known| known.shops.as_ref())
            && *of == revision
        {
            return Ok(shops.clone());
        }
    }
    let stored = app.storage.customer(customer).await?;
    let Some(stored) = stored else {
        return Ok(Shops::default());
    };
    let shops = Shops::of(&stored.settings);
    let mut state = app.replicas.state();
    let known = state.known.entry(customer).or_default();
    known.shops = Some((stored.revision, shops.clone()));
    Ok(shops)
}

async fn summarise(app: &AppState, customer: CustomerId) {
    let read = match shops_of(app, customer).await {
        Ok(shops) => {
            let summary = move |journal: &Journal| Summary::read(journal, &shops);
            app.replicas.read(customer, summary).await
        }
        Err(refusal) => Err(refusal),
    };
    let changed = {
        let mut state = app.replicas.state();
        let known = state.known.entry(customer).or_default();
        known.summary_due = false;
        known.summarised = Some(Instant::now());
        match read {
            Ok(Read { value, .. }) if known.summary != value => {
                known.summary = value;
                true
            }
            // What could not be read was logged, and keeps its last count.
            Ok(_) | Err(_) => false,
        }
    };
    if changed {
        app.events.tell(Topic::Customers, Some(customer));
    }
}
