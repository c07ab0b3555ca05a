//! The checkpoints of this coordinator: when one is made, and which are kept.
//!
//! ```text
//!  replica takes segments ──► grown ──► heavy enough ──► make, one at a time ──► folder, the newest two ──► who takes over
//! ```
//! All of them can be lost: a worker without one replays the segments. So they lie beside the replicas and not in the
//! database, and each coordinator has its own.

use super::{replica, stored::Stored};
use crate::{
    AppState,
    bounds::{
        CHECKPOINT_GROWTH, CHECKPOINT_SEGMENT_WEIGHT, CHECKPOINT_SEGMENTS_WEIGHED, CHECKPOINTS_KEPT,
    },
    refusal::Chain,
};
use lockstep_journal::{Checkpoint, CheckpointError, Making};
use lockstep_model::CustomerId;
use lockstep_storage::{Hash, SegmentHead, StorageError};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

pub struct Checkpoints {
    folder: PathBuf,
    /// What comes since the last one weighs at least so much before the next is made.
    after: u64,
    state: Mutex<BTreeMap<CustomerId, Kept>>,
    moved: Notify,
}

#[derive(Default)]
struct Kept {
    /// Of the segments that came since the newest.
    weight: u64,
    /// The newest first.
    stored: Vec<Stored>,
}

impl Checkpoints {
    /// Takes up what lies in the folder; pieces that a stop has left go.
    pub fn open(data: &Path, after: u64) -> io::Result<Self> {
        let folder = data.join("checkpoints");
        lockstep_storage::private_folder(&folder)?;
        let mut state = BTreeMap::<CustomerId, Kept>::new();
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            match Stored::found(&path) {
                Ok(Some(stored)) => {
                    let kept = state.entry(stored.checkpoint.head.customer).or_default();
                    kept.stored.push(stored);
                }
                Ok(None) => std::fs::remove_file(&path)?,
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "a checkpoint cannot be read and is thrown away");
                    std::fs::remove_file(&path)?;
                }
            }
        }
        for kept in state.values_mut() {
            kept.stored
                .sort_by_key(|stored| std::cmp::Reverse(stored.checkpoint.head.sequence));
        }
        Ok(Checkpoints {
            folder,
            after,
            state: Mutex::new(state),
            moved: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, BTreeMap<CustomerId, Kept>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest first.
    pub fn of(&self, customer: CustomerId) -> Vec<Stored> {
        let state = self.state();
        state
            .get(&customer)
            .map(|kept| kept.stored.clone())
            .unwrap_or_default()
    }

    /// The replica has taken segments of these sizes.
    pub fn grown(&self, customer: CustomerId, sizes: impl IntoIterator<Item = u64>) {
        let weight: u64 = sizes
            .into_iter()
            .map(|bytes| bytes.max(CHECKPOINT_SEGMENT_WEIGHT))
            .sum();
        let mut state = self.state();
        let kept = state.entry(customer).or_default();
        kept.weight = kept.weight.saturating_add(weight);
        if kept.is_due(self.after) {
            self.moved.notify_one();
        }
    }

    fn next_due(&self) -> Option<CustomerId> {
        let mut state = self.state();
        let due = state.iter_mut().filter(|(_, kept)| kept.is_due(self.after));
        // The one that would save most; who is passed over grows.
        let (customer, kept) = due.max_by_key(|(_, kept)| kept.weight)?;
        // If it fails it is tried again when as much has come anew.
        kept.weight = 0;
        Some(*customer)
    }

    /// A checkpoint that is not what its name says goes, and another is made as soon as may be.
    pub fn throw_away(&self, stored: &Stored) {
        tracing::error!(file = %stored.path.display(), "a checkpoint is damaged; it is thrown away and made anew");
        self.forget(stored);
        let customer = stored.checkpoint.head.customer;
        self.state().entry(customer).or_default().weight = u64::MAX;
        self.moved.notify_one();
    }

    /// Those of customers that are no more.
    pub fn sweep(&self, customers: &BTreeSet<CustomerId>) {
        self.state().retain(|customer, kept| {
            let stays = customers.contains(customer);
            if !stays {
                kept.stored.iter().for_each(|stored| remove(&stored.path));
            }
            stays
        });
    }

    /// Gives a new one its name, and lets the oldest go. False: there is one that goes further.
    fn keep(&self, new: &Path, checkpoint: Checkpoint) -> io::Result<bool> {
        let customer = checkpoint.head.customer;
        let newest = self.of(customer).into_iter().next();
        let sequence = checkpoint.head.sequence;
        if newest.is_some_and(|newest| newest.checkpoint.head.sequence >= sequence) {
            std::fs::remove_file(new)?;
            return Ok(false);
        }
        let stored = Stored::named(&self.folder, checkpoint);
        std::fs::rename(new, &stored.path)?;
        std::fs::File::open(&self.folder)?.sync_all()?;
        let mut state = self.state();
        let kept = state.entry(customer).or_default();
        kept.stored.insert(0, stored);
        for old in kept.stored.drain(CHECKPOINTS_KEPT.min(kept.stored.len())..) {
            remove(&old.path);
        }
        Ok(true)
    }

    fn forget(&self, stored: &Stored) {
        if let Some(kept) = self.state().get_mut(&stored.checkpoint.head.customer) {
            kept.stored.retain(|other| other != stored);
        }
        remove(&stored.path);
    }
}

impl Kept {
    fn is_due(&self, after: u64) -> bool {
        let newest = self.stored.first();
        let bytes = newest.map_or(0, |newest| newest.checkpoint.bytes);
        self.weight > 0 && self.weight >= after.max(bytes / CHECKPOINT_GROWTH)
    }
}

/// What cannot be removed is tried again at the next start.
fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(file = %path.display(), %error, "an old checkpoint cannot be removed");
        }
        Ok(()) | Err(_) => {}
    }
}

/// Runs until the coordinator stops.
pub async fn follow(app: AppState) {
    for (customer, _) in app.view.all_customers() {
        weigh(&app, customer).await;
    }
    loop {
        while let Some(customer) = app.checkpoints.next_due() {
            match make(&app, customer).await {
                Ok(()) => {}
                Err(MakeError::Checkpoint(CheckpointError::Stopped)) => return,
                Err(error) => {
                    tracing::error!(%customer, error = %Chain(&error), "no checkpoint was made; a take-over replays more segments");
                }
            }
            if app.stop.is_cancelled() {
                return;
            }
        }
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = app.checkpoints.moved.notified() => {}
        }
    }
}

/// What came since the newest one, as of this start.
async fn weigh(app: &AppState, customer: CustomerId) {
    let sizes = async {
        forget_strangers(app, customer).await?;
        let stored = app.checkpoints.of(customer);
        let newest = stored.first();
        let after = newest.map_or(0, |newest| newest.checkpoint.head.sequence);
        app.storage
            .segment_sizes_after(customer, after, CHECKPOINT_SEGMENTS_WEIGHED)
            .await
    };
    match sizes.await {
        Ok(sizes) => {
            let bytes = sizes.into_iter().map(|(_, bytes)| bytes);
            app.checkpoints.grown(customer, bytes);
        }
        Err(error) => {
            tracing::warn!(%customer, error = %Chain(&error), "what a checkpoint lacks could not be weighed");
        }
    }
}

async fn forget_strangers(app: &AppState, customer: CustomerId) -> Result<(), StorageError> {
    for stored in app.checkpoints.of(customer) {
        if !stands_in_the_chain(app, &stored).await? {
            app.checkpoints.forget(&stored);
        }
    }
    Ok(())
}

/// Does it end with a segment of the database's? One that was restored from a backup has another chain than this disk
/// knows.
pub async fn stands_in_the_chain(app: &AppState, stored: &Stored) -> Result<bool, StorageError> {
    let head = stored.checkpoint.head;
    let there = app.storage.segment_at(head.customer, head.sequence).await?;
    Ok(there
        == Some(SegmentHead {
            incarnation: head.incarnation,
            epoch: head.epoch,
            sequence: head.sequence,
            hash: Hash(head.hash.0),
        }))
}

#[derive(Debug, thiserror::Error)]
enum MakeError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("it cannot be given its name")]
    Name(#[from] io::Error),
    #[error("the thread that makes it ended")]
    Thread(#[from] tokio::task::JoinError),
}

async fn make(app: &AppState, customer: CustomerId) -> Result<(), MakeError> {
    forget_strangers(app, customer).await?;
    let from = replica::file(app.replicas.folder(), customer);
    let to = app.checkpoints.folder.join(format!("{customer}.new"));
    let begun = std::time::Instant::now();
    let making = tokio::task::spawn_blocking(move || {
        // Not built yet, or thrown away: it grows while it is built again.
        from.exists()
            .then(|| Making::of(&from, customer))
            .transpose()
    });
    let Some(making) = making.await?? else {
        return Ok(());
    };
    let stopper = making.stopper();
    let new = to.clone();
    let mut written = tokio::task::spawn_blocking(move || {
        remove(&new);
        let written = making.write(&new);
        if !matches!(written, Ok(Some(_))) {
            remove(&new);
        }
        written
    });
    let written = tokio::select! {
        written = &mut written => written,
        () = app.stop.cancelled() => {
            stopper.stop();
            written.await
        }
    };
    let Some(checkpoint) = written?? else {
        return Ok(());
    };
    let shared = app.clone();
    let kept =
        tokio::task::spawn_blocking(move || shared.checkpoints.keep(&to, checkpoint)).await??;
    if kept {
        tracing::info!(
            %customer,
            sequence = checkpoint.head.sequence,
            bytes = checkpoint.bytes,
            took_ms = begun.elapsed().as_millis() as u64,
            "a checkpoint was made"
        );
    }
    Ok(())
}
