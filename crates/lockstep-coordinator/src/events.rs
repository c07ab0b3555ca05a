//! What pages that are open want to know of at once: "look again at this", never the news itself.
//!
//! A listener that is too far behind is told so and looks again at everything.

use crate::{
    admission::{Place, Places},
    bounds::{EVENTS_LAG_MAX, LISTENERS_MAX},
    refusal::{Answer, Refusal},
};
use lockstep_model::CustomerId;
use lockstep_protocol::Code;
use serde::Serialize;
use tokio::sync::broadcast;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    Runs,
    Workers,
    Customers,
    Records,
}

impl Topic {
    pub const ALL: [Topic; 4] = [
        Topic::Runs,
        Topic::Workers,
        Topic::Customers,
        Topic::Records,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Topic::Runs => "runs",
            Topic::Workers => "workers",
            Topic::Customers => "customers",
            Topic::Records => "records",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Topic::ALL.into_iter().find(|topic| topic.as_str() == text)
    }
}

/// Something of this topic moved, for this customer or for none in particular.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Event {
    pub topic: Topic,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
}

pub struct Events {
    sender: broadcast::Sender<Event>,
    places: Places,
}

/// One open page.
pub struct Listener {
    receiver: broadcast::Receiver<Event>,
    _place: Place,
}

/// What a listener hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    Event(Event),
    /// Some were missed: look at everything again.
    Missed,
}

impl Default for Events {
    fn default() -> Self {
        Events {
            sender: broadcast::channel(EVENTS_LAG_MAX).0,
            places: Places::new(LISTENERS_MAX),
        }
    }
}

impl Events {
    pub fn tell(&self, topic: Topic, customer_id: Option<CustomerId>) {
        // No listener is no failure.
        let _listeners = self.sender.send(Event { topic, customer_id });
    }

    pub fn listen(&self) -> Answer<Listener> {
        let place = self.places.take().ok_or_else(|| {
            Refusal::new(Code::Unavailable, "too many pages listen already").retry_after(10)
        })?;
        Ok(Listener {
            receiver: self.sender.subscribe(),
            _place: place,
        })
    }
}

impl Listener {
    /// None: the coordinator stops.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.receiver.recv().await {
            Ok(event) => Some(Heard::Event(event)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Heard::Missed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_listener_is_told_that_it_missed_something() {
        let events = Events::default();
        let mut listener = events.listen().unwrap();
        for _ in 0..EVENTS_LAG_MAX + 10 {
            events.tell(Topic::Runs, None);
        }
        assert_eq!(listener.next().await, Some(Heard::Missed));
        let next = Event {
            topic: Topic::Runs,
            customer_id: None,
        };
        assert_eq!(listener.next().await, Some(Heard::Event(next)));
    }
}
