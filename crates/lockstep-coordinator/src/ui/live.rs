//! The stream that tells open pages to look again. It carries no data: the page fetches itself and puts the
//! parts in place that changed, by their ids, so what is shown is always what a fresh page would show.

use super::{failure::Failure, session::Visitor};
use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use lockstep_protocol::paths::people;
use std::convert::Infallible;

/// Longer than any line of the API's events.
const LINE_BYTES_MAX: usize = 64 * 1024;

pub async fn events(visitor: Visitor) -> Result<Response, Failure> {
    let body = visitor.caller.stream(people::EVENTS).await?;
    let stream = hints(body);
    Ok((
        [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-store"),
        ],
        Body::from_stream(stream),
    )
        .into_response())
}

/// One "look" for each of the API's events, its comments (which keep the connection open) as comments.
fn hints(body: Body) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let first = futures::stream::once(async { Ok(Bytes::from_static(b"retry: 1000\n\n")) });
    let mut line = Vec::new();
    let rest = body.into_data_stream().map(move |chunk| {
        let Ok(chunk) = chunk else {
            return Ok(Bytes::new());
        };
        let mut out = Vec::new();
        for byte in chunk {
            if byte != b'\n' {
                if line.len() < LINE_BYTES_MAX {
                    line.push(byte);
                }
                continue;
            }
            if line.starts_with(b"data") {
                out.extend_from_slice(b"data: look\n\n");
            } else if line.starts_with(b":") {
                out.extend_from_slice(b":\n\n");
            }
            line.clear();
        }
        Ok(Bytes::from(out))
    });
    first.chain(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_event_becomes_a_hint_wherever_its_bytes_are_cut() {
        let parts = ["event: ru", "ns\nda", "ta: {\"topic\":1}\n\n:keep\n\n"];
        let chunks = parts.map(|part| Ok::<_, Infallible>(Bytes::from(part)));
        let body = Body::from_stream(futures::stream::iter(chunks));
        let out: Vec<u8> = hints(body)
            .map(|chunk| chunk.unwrap().to_vec())
            .concat()
            .await;
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "retry: 1000\n\ndata: look\n\n:\n\n");
    }
}
