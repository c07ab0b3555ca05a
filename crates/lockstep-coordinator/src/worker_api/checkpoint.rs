//! `GET /journal/{customer}/checkpoint`: the newest checkpoint that stands in the chain, for whoever takes over. 404: there
//! is none here; the segments are all there is, and all that is needed.

use super::identify::Caller;
use super::journal::owned_by;
use crate::{
    AppState,
    archive::stands_in_the_chain,
    extract::Path,
    refusal::{Answer, Refusal},
};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use futures::{Stream, stream};
use lockstep_journal::Checkpoint;
use lockstep_model::CustomerId;
use lockstep_protocol::{
    checkpoint::CheckpointHeader,
    headers::CHECKPOINT,
    segment::{Head, SegmentHash},
};
use std::io;
use tokio::{fs::File, io::AsyncReadExt};

/// Held in memory of one that is given.
const PIECE_BYTES: usize = 64 * 1024;

pub async fn give(
    State(app): State<AppState>,
    Caller(slot): Caller,
    Path(customer): Path<CustomerId>,
) -> Answer<Response> {
    owned_by(&app, customer, slot.id).await?;
    for stored in app.checkpoints.of(customer) {
        if !stands_in_the_chain(&app, &stored).await? {
            continue;
        }
        // It is read twice: what is known to be damaged is not sent through the net to be refused.
        let looked_at = stored.clone();
        let sound = tokio::task::spawn_blocking(move || looked_at.is_sound())
            .await
            .map_err(|error| Refusal::internal("proving a checkpoint", error))?;
        let file = match sound {
            Ok(true) => File::open(&stored.path).await,
            Ok(false) => {
                app.checkpoints.throw_away(&stored);
                continue;
            }
            Err(error) => Err(error),
        };
        match file {
            Ok(file) => return Ok(answer(stored.checkpoint, file)),
            Err(error) => {
                tracing::warn!(file = %stored.path.display(), %error, "a checkpoint cannot be read");
            }
        }
    }
    Err(Refusal::not_found(format!(
        "checkpoint of customer {customer} here"
    )))
}

fn answer(checkpoint: Checkpoint, file: File) -> Response {
    let told = CheckpointHeader {
        head: Head {
            incarnation: checkpoint.head.incarnation,
            epoch: checkpoint.head.epoch,
            sequence: checkpoint.head.sequence,
            hash: SegmentHash(checkpoint.head.hash.0),
        },
        bytes: checkpoint.bytes,
        sha256: SegmentHash(checkpoint.sha256.0),
    };
    let body = Body::from_stream(pieces(file));
    let mut response = ([(header::CONTENT_TYPE, CHECKPOINT)], body).into_response();
    response.headers_mut().extend(told.to_headers());
    response
}

fn pieces(file: File) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; PIECE_BYTES];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        Ok((read > 0).then(|| (Bytes::from(piece), file)))
    })
}
