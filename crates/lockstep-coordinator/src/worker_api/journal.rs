//! `POST` and `GET /journal/{customer}`: a customer's segments, taken in and given to whoever takes over.
//!
//! The body of a segment, on the wire and in the archive, is what [`lockstep_journal::Segment::encode`]
//! makes: it says of itself all that the headers say, and both must agree.

use super::identify::Caller;
use crate::extract::{Json, Path, Query};
use crate::{
    AppState,
    fleet::rejoining,
    refusal::{Answer, Chain, Refusal},
};
use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use lockstep_journal::Segment;
use lockstep_model::{CustomerId, Epoch, WorkerId};
use lockstep_protocol::{
    Code,
    bounds::JOURNAL_BYTES_MAX,
    headers::SEGMENTS,
    segment::{
        Head, SegmentHash, SegmentHeader, SegmentOutcome as Outcome, SegmentReply, write_frame,
    },
};
use lockstep_storage::{Hash, NewSegment, SegmentHead, SegmentOutcome};
use serde::Deserialize;

/// A larger segment is proven on a thread of its own.
const INLINE_BYTES_MAX: usize = 64 * 1024;

pub async fn take(
    State(app): State<AppState>,
    Caller(slot): Caller,
    Path(customer): Path<CustomerId>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Json<SegmentReply>> {
    let said = SegmentHeader::from_headers(customer, &headers)
        .map_err(|error| Refusal::bad_request(format!("{error}; nothing was taken")))?;
    prove(&said, body.clone()).await?;
    let new = NewSegment {
        customer,
        worker: slot.id,
        incarnation: said.incarnation,
        epoch: said.epoch,
        sequence: said.sequence,
        previous: Hash(said.previous.0),
        hash: Hash(said.hash.0),
        body: &body,
    };
    let put = app.storage.put_segment(&new, Timestamp::now()).await;
    app.keeping.journal(
        customer,
        match &put {
            Ok(_) => Ok(()),
            Err(error) => Err(Chain(error).to_string()),
        },
    );
    let outcome = match put? {
        SegmentOutcome::Accepted => {
            rejoining::taken(&app, customer, slot.id, said.incarnation).await;
            Outcome::Accepted
        }
        SegmentOutcome::Same => Outcome::Same,
        SegmentOutcome::Conflict(head) => {
            if said.incarnation < app.view.incarnation() || head.is_some() {
                let stands = head
                    .as_ref()
                    .map_or(said.incarnation, |head| head.incarnation);
                rejoining::forked(&app, customer, slot.id, stands).await;
            }
            return Err(Refusal::new(
                Code::SegmentConflict,
                format!(
                    "another segment stands at number {} of customer {customer}",
                    said.sequence
                ),
            )
            .with(|problem| problem.head = head.map(told)));
        }
        SegmentOutcome::Gap(head) => {
            return Err(Refusal::new(
                Code::SegmentGap,
                format!(
                    "segment {} of customer {customer} does not follow the last one here",
                    said.sequence
                ),
            )
            .with(|problem| problem.head = head.map(told)));
        }
        SegmentOutcome::OldEpoch { incarnation, epoch }
            if (said.incarnation, said.epoch) > (incarnation, epoch) && epoch > Epoch(0) =>
        {
            let what = "a customer in an epoch that this database never granted";
            return Err(super::reply::roll_back(&app, &slot, said.incarnation, what).await?);
        }
        SegmentOutcome::OldEpoch { incarnation, epoch } => {
            let head = app.storage.segment_head(customer).await?;
            return Err(Refusal::new(
                Code::OldEpoch,
                format!(
                    "customer {customer} is not this worker's in epoch {} of incarnation {}: it is in epoch {epoch} of \
                     incarnation {incarnation}; nothing was taken",
                    said.epoch, said.incarnation
                ),
            )
            .with(|problem| problem.head = head.map(told)));
        }
    };
    app.replicas.poke(customer);
    Ok(Json(SegmentReply {
        sequence: said.sequence,
        outcome,
    }))
}

/// Is this body the one that the headers, and its own hash, stand for?
async fn prove(said: &SegmentHeader, body: Bytes) -> Answer<()> {
    let decoded = if body.len() <= INLINE_BYTES_MAX {
        Segment::decode(&body)
    } else {
        tokio::task::spawn_blocking(move || Segment::decode(&body))
            .await
            .map_err(|error| Refusal::internal("proving a segment", error))?
    };
    let segment = decoded.map_err(|error| {
        Refusal::bad_request(format!(
            "the segment cannot be read ({error}); nothing was taken"
        ))
    })?;
    let inside = SegmentHeader {
        customer: segment.header.customer,
        incarnation: segment.header.incarnation,
        epoch: segment.header.epoch,
        sequence: segment.header.sequence,
        previous: SegmentHash(segment.header.previous.0),
        hash: SegmentHash(segment.hash.0),
    };
    if inside == *said {
        return Ok(());
    }
    Err(Refusal::bad_request(
        "the segment's headers and its body do not say the same; nothing was taken",
    ))
}

fn told(head: SegmentHead) -> Head {
    Head {
        incarnation: head.incarnation,
        epoch: head.epoch,
        sequence: head.sequence,
        hash: SegmentHash(head.hash.0),
    }
}

#[derive(Deserialize)]
pub struct After {
    /// The last sequence that the worker has.
    #[serde(default)]
    after: u64,
}

/// Whole segments in order, until one answer is large enough; an empty answer is the end.
pub async fn give(
    State(app): State<AppState>,
    Caller(slot): Caller,
    Path(customer): Path<CustomerId>,
    Query(After { after }): Query<After>,
) -> Answer<Response> {
    owned_by(&app, customer, slot.id).await?;
    let segments = app
        .storage
        .segments_after(customer, after, JOURNAL_BYTES_MAX)
        .await?;
    let mut frames = Vec::new();
    for segment in &segments {
        let header = SegmentHeader {
            customer,
            incarnation: segment.incarnation,
            epoch: segment.epoch,
            sequence: segment.sequence,
            previous: SegmentHash(segment.previous.0),
            hash: SegmentHash(segment.hash.0),
        };
        write_frame(&mut frames, &header, &segment.body)
            .map_err(|error| Refusal::internal("writing the journal", error))?;
    }
    Ok(([(header::CONTENT_TYPE, SEGMENTS)], frames).into_response())
}

/// A journal is its owner's to read.
pub(super) async fn owned_by(app: &AppState, customer: CustomerId, worker: WorkerId) -> Answer<()> {
    let owner = app.storage.owner(customer).await?;
    if owner.and_then(|owned| owned.ownership.worker) == Some(worker) {
        return Ok(());
    }
    Err(Refusal::new(
        Code::OldEpoch,
        format!("customer {customer} is not this worker's"),
    ))
}
