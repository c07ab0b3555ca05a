//! Waiting: a condition is looked at again and again until it holds, or its time is over and the test fails with the
//! last reason why it did not hold.

use std::time::Duration;
use tokio::time::{Instant, sleep};

const LOOK_EVERY: Duration = Duration::from_millis(40);

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What `look` gave when it first gave something, and how long that took.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> (T, Duration) {
    let begun = Instant::now();
    loop {
        let why = match look().await {
            Ok(found) => return (found, begun.elapsed()),
            Err(why) => why,
        };
        assert!(
            begun.elapsed() < within,
            "not within {} s: {what}\n  last seen: {why}",
            within.as_secs_f32()
        );
        sleep(LOOK_EVERY).await;
    }
}

/// `look` must give no objection for as long as this.
pub async fn holds_for(
    what: &str,
    long: Duration,
    mut look: impl AsyncFnMut() -> Result<(), String>,
) {
    let begun = Instant::now();
    while begun.elapsed() < long {
        if let Err(why) = look().await {
            panic!(
                "{what} held only {} s: {why}",
                begun.elapsed().as_secs_f32()
            );
        }
        sleep(LOOK_EVERY * 5).await;
    }
}
