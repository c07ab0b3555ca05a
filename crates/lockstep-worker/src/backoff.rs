//! How long to wait before the coordinator is asked again: longer each time, never the same twice, so
//! that a fleet does not come back as one.

use crate::bounds;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::time::Duration;

pub struct Backoff {
    delays: ExponentialBackoff,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { delays: fresh() }
    }
}

fn fresh() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(bounds::BACKOFF_MIN)
        .with_max_delay(bounds::BACKOFF_MAX)
        .without_max_times()
        .with_jitter()
        .build()
}

impl Backoff {
    /// At least what was asked for.
    pub fn next(&mut self, asked_for: Option<Duration>) -> Duration {
        let own = self.delays.next().unwrap_or(bounds::BACKOFF_MAX);
        own.max(asked_for.unwrap_or_default())
    }

    pub fn reset(&mut self) {
        self.delays = fresh();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_are_capped_and_obey_the_coordinator() {
        let mut backoff = Backoff::default();
        let first = backoff.next(None);
        let later = (0..50).map(|_| backoff.next(None)).max().unwrap();
        assert!(first < Duration::from_secs(1));
        // The jitter comes on top of the cap.
        assert!(later <= bounds::BACKOFF_MAX * 2, "{later:?}");
        backoff.reset();
        assert!(backoff.next(Some(Duration::from_secs(7))) >= Duration::from_secs(7));
    }
}
