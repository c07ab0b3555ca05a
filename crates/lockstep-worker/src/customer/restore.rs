//! Opens a customer's journal for the epoch that was granted: from this disk if the chain there is the
//! coordinator's, else from the coordinator's newest checkpoint and its segments.

use super::file::{File, FileError};
use super::{Seat, checkpoint};
use crate::bounds;
use crate::clock;
use crate::coordinator::CallError;
use crate::crash::CrashPoint;
use crate::folder::FolderError;
use crate::link::Link;
use http::Method;
use lockstep_journal::{Hash, Head, Segment, SegmentError};
use lockstep_model::cases::Also;
use lockstep_model::entry::Body;
use lockstep_protocol::{bounds as wire_bounds, paths, segment::read_frames};

/// One transaction each: a restore of thousands of segments waits for the disk seldom, and who dies in the middle has
/// most of it.
const SEGMENTS_AT_ONCE: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("the journal of this customer could not be fetched: {0}")]
    Call(#[from] CallError),
    #[error("the coordinator's copy of the journal is damaged: {0}")]
    Damaged(String),
}

/// The journal, opened in the seat's epoch.
pub async fn open(link: &Link, seat: &Seat) -> Result<File, RestoreError> {
    let path = link.folder.journal(seat.customer);
    let mut file = File::open(path.clone(), seat.customer).await?;
    let head = file.with(|journal| journal.head()).await?;
    let is_of_this_epoch = (head.incarnation, head.epoch) == (seat.incarnation, seat.epoch);
    if is_of_this_epoch && !link.folder.is_restoring(seat.customer)? {
        return Ok(file);
    }
    // Until it is whole, the file is of no use: who dies in the middle goes on from there.
    link.folder.begin_restoring(seat.customer)?;
    if head.seq == 0 {
        file = anew(link, seat, file).await?;
    } else if !catch_up(link, seat, &file, Base::Own(&head)).await? {
        tracing::warn!(
            customer = %seat.customer,
            "this disk's journal is not the coordinator's: somebody else went on with the customer; it is set aside and fetched anew"
        );
        file.close().await;
        link.folder.set_journal_aside(seat.customer)?;
        clear_aside(link, seat.customer);
        file = anew(link, seat, File::open(path, seat.customer).await?).await?;
    }
    let opened = Body::Opened {
        customer: seat.customer,
        incarnation: seat.incarnation,
        epoch: seat.epoch,
        worker: link.pass().map(|pass| pass.worker_id),
    };
    file.with(move |journal| {
        // What was cut in an older epoch and never taken would not be taken now.
        journal.cut_again()?;
        journal.append(clock::now(), vec![opened], Also::default())
    })
    .await?;
    link.folder.end_restoring(seat.customer)?;
    Ok(file)
}

/// Fills a file that has nothing in it: from the newest checkpoint and the segments after it, else from all segments.
async fn anew(link: &Link, seat: &Seat, empty: File) -> Result<File, RestoreError> {
    let path = link.folder.journal(seat.customer);
    let is_closed = empty.close().await;
    if is_closed && from_checkpoint(link, seat).await? {
        return Ok(File::open(path, seat.customer).await?);
    }
    let file = File::open(path, seat.customer).await?;
    if catch_up(link, seat, &file, Base::Own(&Head::default())).await? {
        return Ok(file);
    }
    Err(RestoreError::Damaged(
        "its segments do not follow one another".into(),
    ))
}

/// The journal's place is taken by a file that the chain has confirmed, or not at all: who dies before begins again.
async fn from_checkpoint(link: &Link, seat: &Seat) -> Result<bool, RestoreError> {
    let Some(head) = checkpoint::fetch(link, seat).await else {
        return Ok(false);
    };
    let file = File::open(link.folder.restored(seat.customer), seat.customer).await?;
    let base = Base::Checkpoint(head.sequence, head.hash);
    let caught_up = catch_up(link, seat, &file, base).await;
    let is_closed = file.close().await;
    let why = match caught_up {
        Ok(true) if is_closed => {
            link.folder.place_restored(seat.customer)?;
            return Ok(true);
        }
        Ok(true) => "its file is still in use".to_owned(),
        Ok(false) => "the coordinator's segments do not go on from it".to_owned(),
        // Nobody answers, or the customer is another's: the segments cannot be had either.
        Err(RestoreError::Call(error)) => return Err(error.into()),
        Err(error) => error.to_string(),
    };
    tracing::warn!(customer = %seat.customer, why, "the checkpoint is of no use; all segments are replayed");
    checkpoint::clear(link, seat);
    Ok(false)
}

/// What the coordinator's segments are to go on from.
enum Base<'a> {
    /// A journal of this disk. It may be further than the coordinator, whose database was perhaps restored.
    Own(&'a Head),
    /// A checkpoint up to this segment. It counts for nothing unless the coordinator has that very segment.
    Checkpoint(u64, Hash),
}

/// Takes over what the coordinator has beyond this file. False: the two do not fit.
async fn catch_up(
    link: &Link,
    seat: &Seat,
    file: &File,
    base: Base<'_>,
) -> Result<bool, RestoreError> {
    let (last, must_confirm) = match base {
        Base::Own(head) => (head.segment.map_or(0, |(sequence, _)| sequence), None),
        Base::Checkpoint(sequence, hash) => (sequence, Some((sequence, hash))),
    };
    // The last one was perhaps taken and its acknowledgement lost.
    let mut after = last.saturating_sub(1);
    let mut unconfirmed = must_confirm;
    loop {
        let segments = fetch(link, seat, after).await?;
        if let Some(wanted) = unconfirmed.take() {
            let first = segments.first();
            if first.map(|first| (first.header.sequence, first.hash)) != Some(wanted) {
                return Ok(false);
            }
        }
        let Some(last) = segments.last().map(|segment| segment.header.sequence) else {
            return Ok(true);
        };
        let mut segments = segments.into_iter().peekable();
        while segments.peek().is_some() {
            let some: Vec<Segment> = segments.by_ref().take(SEGMENTS_AT_ONCE).collect();
            let taken = file.with(move |journal| take(journal, &some)).await;
            link.crash.reach(CrashPoint::DuringRestore);
            match taken {
                Ok(()) => {}
                Err(FileError::Segment(error)) => match error {
                    SegmentError::Gap { .. }
                    | SegmentError::Forked { .. }
                    | SegmentError::BrokenChain { .. }
                    | SegmentError::OldEpoch { .. }
                    | SegmentError::WrongStart { .. }
                    | SegmentError::WrongAcknowledgement { .. } => return Ok(false),
                    SegmentError::Malformed { .. }
                    | SegmentError::Compression { .. }
                    | SegmentError::WrongHash
                    | SegmentError::WrongCustomer { .. }
                    | SegmentError::Disorder { .. }
                    | SegmentError::BadEntry { .. } => {
                        return Err(RestoreError::Damaged(error.to_string()));
                    }
                    SegmentError::Journal(_) => return Err(FileError::Segment(error).into()),
                },
                Err(error) => return Err(error.into()),
            }
        }
        if last <= after {
            return Ok(true);
        }
        after = last;
    }
}

/// Those that were here already were perhaps not known to be acknowledged.
fn take(journal: &mut lockstep_journal::Journal, segments: &[Segment]) -> Result<(), SegmentError> {
    journal.accept_all(segments)?;
    match segments.last() {
        Some(last) => journal.acknowledge(last.header.sequence, last.hash),
        None => Ok(()),
    }
}

async fn fetch(link: &Link, seat: &Seat, after: u64) -> Result<Vec<Segment>, RestoreError> {
    let path = paths::fill(paths::worker::JOURNAL, &[&seat.customer]);
    // One answer ends with the segment that passes the bound.
    let max = wire_bounds::JOURNAL_BYTES_MAX + 2 * wire_bounds::SEGMENT_BYTES_MAX;
    let timeout = bounds::STREAM_TIMEOUT;
    let reply = link
        .call(Method::GET, &path, timeout, max, |request| {
            request.query(&[("after", after)])
        })
        .await?;
    let frames =
        read_frames(&reply.body).map_err(|error| RestoreError::Damaged(error.to_string()))?;
    frames
        .into_iter()
        .map(|(_, body)| {
            Segment::decode(body).map_err(|error| RestoreError::Damaged(error.to_string()))
        })
        .collect()
}

/// What was set aside is kept to be looked at, without the keys of buyers' data.
pub fn clear_aside(link: &Link, customer: lockstep_model::CustomerId) {
    if let Err(error) = link.folder.forget_keys_aside(customer) {
        tracing::warn!(%customer, %error, "a file that was set aside is not cleared of buyers' keys; it is with the next erasure");
    }
}
