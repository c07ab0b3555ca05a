//! Fetches the coordinator's newest checkpoint of a customer and makes a file of it, to replay fewer segments. Whatever goes
//! wrong with one, the segments are all that is needed: then there was none.

use super::Seat;
use crate::bounds;
use crate::coordinator::{CallError, Pieces};
use crate::crash::CrashPoint;
use crate::folder::FolderError;
use crate::link::Link;
use bytes::Bytes;
use lockstep_journal::{Checkpoint, CheckpointError, CheckpointHead, Hash, Unpacking};
use lockstep_protocol::checkpoint::CheckpointHeader;
use lockstep_protocol::segment::BadSegment;
use lockstep_protocol::{Code, paths};
use std::path::PathBuf;
use tokio::sync::mpsc;

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("it broke off: {0}")]
    Broken(#[source] CallError),
    #[error(transparent)]
    Header(#[from] BadSegment),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("the thread that writes it ended: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

impl FetchError {
    fn is_none_there(&self) -> bool {
        matches!(self, FetchError::Call(CallError::Refused { problem, .. }) if problem.code == Code::NotFound)
    }
}

/// At `Folder::restored` lies a journal up to the segment that is told; whether that stands in the chain is not known yet.
pub async fn fetch(link: &Link, seat: &Seat) -> Option<CheckpointHead> {
    let mut tries = 0;
    loop {
        tries += 1;
        let error = match fetch_once(link, seat).await {
            Ok(head) => return Some(head),
            Err(error) => error,
        };
        clear(link, seat);
        if error.is_none_there() {
            tracing::info!(customer = %seat.customer, "the coordinator has no checkpoint; all segments are replayed");
            return None;
        }
        if !matches!(error, FetchError::Broken(_)) || tries >= bounds::CHECKPOINT_TRIES {
            tracing::warn!(customer = %seat.customer, %error, "the checkpoint is of no use; all segments are replayed");
            return None;
        }
        tracing::info!(customer = %seat.customer, %error, "the checkpoint is fetched again");
    }
}

/// Nothing is left of one that is not used.
pub fn clear(link: &Link, seat: &Seat) {
    if let Err(error) = link.folder.clear_restored(seat.customer) {
        tracing::warn!(customer = %seat.customer, %error, "what is left of a checkpoint cannot be removed");
    }
}

async fn fetch_once(link: &Link, seat: &Seat) -> Result<CheckpointHead, FetchError> {
    // A process that died in the middle has left a piece: nobody knows which.
    link.folder.clear_restored(seat.customer)?;
    let path = paths::fill(paths::worker::CHECKPOINT, &[&seat.customer]);
    let mut pieces = link.open(&path, bounds::CHECKPOINT_TIMEOUT).await?;
    let told = CheckpointHeader::from_headers(pieces.headers())?;
    let head = CheckpointHead {
        customer: seat.customer,
        incarnation: told.head.incarnation,
        epoch: told.head.epoch,
        sequence: told.head.sequence,
        hash: Hash(told.head.hash.0),
    };
    let announced = Checkpoint {
        head,
        bytes: told.bytes,
        sha256: Hash(told.sha256.0),
    };
    let (queue, waiting) = mpsc::channel(bounds::CHECKPOINT_QUEUE);
    let to = link.folder.restored(seat.customer);
    let writing = tokio::task::spawn_blocking(move || unpack(to, announced, waiting));
    let received = receive(link, &mut pieces, &queue).await;
    drop(queue);
    let unpacked = writing.await?;
    // What broke off is not whole either.
    received.map_err(FetchError::Broken)?;
    unpacked?;
    tracing::info!(
        customer = %seat.customer, sequence = head.sequence, bytes = told.bytes, "a checkpoint was fetched"
    );
    Ok(head)
}

async fn receive(
    link: &Link,
    pieces: &mut Pieces,
    queue: &mpsc::Sender<Bytes>,
) -> Result<(), CallError> {
    while let Some(piece) = pieces.next().await? {
        if queue.send(piece).await.is_err() {
            // Whoever writes has refused it, and says why.
            break;
        }
        link.crash.reach(CrashPoint::DuringCheckpoint);
    }
    Ok(())
}

fn unpack(
    to: PathBuf,
    announced: Checkpoint,
    mut pieces: mpsc::Receiver<Bytes>,
) -> Result<(), CheckpointError> {
    let mut unpacking = Unpacking::begin(&to, announced)?;
    while let Some(piece) = pieces.blocking_recv() {
        unpacking.take(&piece)?;
    }
    unpacking.finish()
}
