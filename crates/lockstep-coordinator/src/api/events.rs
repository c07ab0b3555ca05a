//! `GET /events`: server-sent events that say "look again". Never the news itself.
//!
//! ```text
//!  event: runs                     topic
//!  data: {"topic":"runs","customer_id":7}
//! ```

use super::Person;
use crate::{
    AppState,
    events::{Event, Heard, Topic},
    extract::Query,
    refusal::Answer,
};
use axum::{
    extract::State,
    response::sse::{self, KeepAlive, Sse},
};
use futures::{Stream, stream};
use serde::Deserialize;
use std::{convert::Infallible, time::Duration};

const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// `runs,workers`; empty: all.
    topics: String,
}

pub async fn listen(
    State(app): State<AppState>,
    person: Person,
    Query(wanted): Query<Wanted>,
) -> Answer<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>> {
    let topics: Vec<Topic> = wanted.topics.split(',').filter_map(Topic::parse).collect();
    let listener = app.events.listen()?;
    let stop = app.stop.clone();
    let stream = stream::unfold(
        (listener, person, topics, stop),
        |(mut listener, person, topics, stop)| async move {
            loop {
                let heard = tokio::select! {
                    heard = listener.next() => heard?,
                    () = stop.cancelled() => return None,
                };
                let shown = match heard {
                    Heard::Missed => Some(
                        sse::Event::default()
                            .event("all")
                            .data("{\"topic\":\"all\"}"),
                    ),
                    Heard::Event(event) => shown(&person, &topics, event),
                };
                if let Some(shown) = shown {
                    return Some((Ok(shown), (listener, person, topics, stop)));
                }
            }
        },
    );
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn shown(person: &Person, topics: &[Topic], event: Event) -> Option<sse::Event> {
    let wanted = topics.is_empty() || topics.contains(&event.topic);
    let allowed = event
        .customer_id
        .is_none_or(|customer| person.sees(customer));
    if !wanted || !allowed {
        return None;
    }
    // An event of two plain fields always serialises.
    let data = serde_json::to_string(&event).ok()?;
    Some(sse::Event::default().event(event.topic.as_str()).data(data))
}
