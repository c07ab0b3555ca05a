//! Ships the journal to the coordinator: segment after segment, each until it is acknowledged. For a movable
//! customer the acknowledgement is what a write waits for.

use super::file::{File, FileError};
use crate::backoff::Backoff;
use crate::bounds;
use crate::coordinator::{CallError, verdict};
use crate::crash::CrashPoint;
use crate::link::Link;
use http::Method;
use lockstep_journal::Segment;
use lockstep_model::CustomerId;
use lockstep_protocol::segment::{SegmentHash, SegmentHeader, SegmentReply};
use lockstep_protocol::{Code, paths};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How far the coordinator has the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shipped {
    pub acknowledged_seq: u64,
    /// The last segment.
    pub sequence: u64,
}

/// Why shipping ended for good.
#[derive(Debug, thiserror::Error)]
pub enum ShippingEnd {
    /// 412: the epoch is over. Nothing may be written for this customer any more.
    #[error("another worker owns this customer now")]
    OldEpoch,
    /// The coordinator has another chain than this file.
    #[error("the coordinator's journal of this customer is not the one of this disk: {0}")]
    Forked(String),
    #[error(transparent)]
    File(#[from] FileError),
}

pub struct Shipper {
    pub link: Arc<Link>,
    pub customer: CustomerId,
    pub file: File,
    pub wanted: Arc<Notify>,
    pub shipped: watch::Sender<Shipped>,
}

impl Shipper {
    /// Ends with the reason why it cannot go on.
    pub async fn ship_always(&self) -> ShippingEnd {
        let mut backoff = Backoff::default();
        loop {
            match self.ship_all(&mut backoff).await {
                Ok(()) => {}
                Err(end) => return end,
            }
            self.wanted.notified().await;
        }
    }

    async fn ship_all(&self, backoff: &mut Backoff) -> Result<(), ShippingEnd> {
        // A coordinator that was restored may have to be given older ones again.
        let mut from: Option<u64> = None;
        loop {
            let segment = match from {
                Some(sequence) => {
                    self.file
                        .with(move |journal| journal.segment(sequence))
                        .await?
                }
                None => None,
            };
            let segment = match segment {
                Some(segment) => segment,
                None => {
                    from = None;
                    let cut = |journal: &mut lockstep_journal::Journal| {
                        journal.cut_segment(bounds::SEGMENT_BYTES_MAX)
                    };
                    match self.file.with(cut).await? {
                        Some(segment) => segment,
                        None => return self.tell_all_is_there().await,
                    }
                }
            };
            self.link.crash.reach(CrashPoint::BeforeShippingSegment);
            match self.post(&segment).await {
                Ok(_) => {
                    self.link.crash.reach(CrashPoint::AfterShippingSegment);
                    backoff.reset();
                    let (sequence, hash) = (segment.header.sequence, segment.hash);
                    self.file
                        .with(move |journal| journal.acknowledge(sequence, hash))
                        .await?;
                    from = from.map(|from| from + 1);
                    self.tell(Shipped {
                        acknowledged_seq: segment.header.last_seq,
                        sequence,
                    });
                }
                Err(error) => match after(&error, segment.header.sequence)? {
                    Some(sequence) if from != Some(sequence) => from = Some(sequence),
                    _ => {
                        let pause = backoff.next(error.retry_after());
                        tracing::debug!(customer = %self.customer, %error, "a journal segment was not taken; it is offered again");
                        tokio::time::sleep(pause).await;
                    }
                },
            }
        }
    }

    fn tell(&self, shipped: Shipped) {
        self.shipped.send_if_modified(|old| {
            let is_newer = shipped.acknowledged_seq > old.acknowledged_seq;
            if is_newer {
                *old = shipped;
            }
            is_newer
        });
    }

    /// From the file: who shipped the last segment may have been stopped before he could tell.
    async fn tell_all_is_there(&self) -> Result<(), ShippingEnd> {
        let head = self.file.with(|journal| journal.head()).await?;
        self.tell(Shipped {
            acknowledged_seq: head.acknowledged_seq,
            sequence: head.segment.map_or(0, |(sequence, _)| sequence),
        });
        Ok(())
    }

    async fn post(&self, segment: &Segment) -> Result<SegmentReply, CallError> {
        let path = paths::fill(paths::worker::JOURNAL, &[&self.customer]);
        let headers = wire_header(segment).to_headers();
        let body = segment.encode();
        let max = lockstep_protocol::bounds::BODY_BYTES_MAX;
        let timeout = bounds::COORDINATOR_TIMEOUT;
        self.link
            .call(Method::POST, &path, timeout, max, |mut request| {
                for (name, value) in headers.clone() {
                    request = request.header(name, value);
                }
                request
                    .header(http::header::CONTENT_TYPE, "application/octet-stream")
                    .body(body.clone())
            })
            .await?
            .json()
    }
}

/// What a refusal of this segment means. `Some`: go on with that one.
fn after(error: &CallError, sequence: u64) -> Result<Option<u64>, ShippingEnd> {
    let Some(problem) = error.problem() else {
        return Ok(None);
    };
    match problem.code {
        Code::OldEpoch => Err(ShippingEnd::OldEpoch),
        Code::SegmentConflict => Err(ShippingEnd::Forked(problem.to_string())),
        Code::SegmentGap => match problem.head {
            // It lacks some that it once had.
            Some(head) if head.sequence + 1 < sequence => Ok(Some(head.sequence + 1)),
            None if sequence > 1 => Ok(Some(1)),
            Some(_) | None => Err(ShippingEnd::Forked(problem.to_string())),
        },
        code => {
            if verdict(code).stops_writes() {
                tracing::debug!(?code, "the coordinator refuses segments");
            }
            Ok(None)
        }
    }
}

fn wire_header(segment: &Segment) -> SegmentHeader {
    SegmentHeader {
        customer: segment.header.customer,
        incarnation: segment.header.incarnation,
        epoch: segment.header.epoch,
        sequence: segment.header.sequence,
        previous: SegmentHash(segment.header.previous.0),
        hash: SegmentHash(segment.hash.0),
    }
}

/// Until everything is with the coordinator, or this long. True: it is.
pub async fn wait_until_shipped(
    shipped: &mut watch::Receiver<Shipped>,
    seq: u64,
    patience: Duration,
) -> bool {
    let all = shipped.wait_for(|shipped| shipped.acknowledged_seq >= seq);
    matches!(tokio::time::timeout(patience, all).await, Ok(Ok(_)))
}
