//! The clock that the engine is told: the wall's, without its steps.
//!
//! An absence is believed once `settles_after` has passed on this clock. On a clock that is put right by an hour it has
//! passed at once, and what was merely late is made a second time.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How much faster or slower than time it goes while it is not the wall's: one part in so many.
const GAIN: u32 = 100;

/// Begins as the wall's clock and never steps: where the two differ, it goes a hundredth faster or slower until they
/// agree. `settles_after` has to leave that much room.
#[derive(Debug, Clone, Copy)]
pub struct SteadyClock {
    shows: Timestamp,
    running: Duration,
}

impl SteadyClock {
    /// `running`: since any fixed moment, on a clock that nobody sets and that counts suspend.
    pub fn new(wall: Timestamp, running: Duration) -> Self {
        Self {
            shows: wall,
            running,
        }
    }

    /// Never less than it was before.
    pub fn read(&mut self, wall: Timestamp, running: Duration) -> Timestamp {
        let passed = running.saturating_sub(self.running);
        let (Ok(passed), Ok(gain)) = (
            SignedDuration::try_from(passed),
            SignedDuration::try_from(passed / GAIN),
        ) else {
            return self.shows;
        };
        let Ok(shows) = self.shows.checked_add(passed) else {
            return self.shows;
        };
        let behind = wall.duration_since(shows).clamp(-gain, gain);
        self.shows = shows.checked_add(behind).unwrap_or(shows);
        self.running = self.running.max(running);
        self.shows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn shown(clock: &mut SteadyClock, wall: i64, running: u64) -> i64 {
        let at = clock.read(second(wall), Duration::from_secs(running));
        at.as_millisecond()
    }

    #[test]
    fn a_wall_clock_that_is_put_right_by_an_hour_does_not_make_an_hour_pass() {
        let mut clock = SteadyClock::new(second(0), Duration::ZERO);
        assert_eq!(shown(&mut clock, 100, 100), 100_000);
        assert_eq!(shown(&mut clock, 3_710, 110), 110_100);
    }

    #[test]
    fn a_wall_clock_that_is_set_back_makes_nothing_wait_for_it() {
        let mut clock = SteadyClock::new(second(10_000), Duration::ZERO);
        assert_eq!(shown(&mut clock, 100, 100), 10_099_000);
        assert_eq!(shown(&mut clock, 100, 100), 10_099_000);
    }

    #[test]
    fn in_the_end_it_is_the_wall_s_again() {
        let mut clock = SteadyClock::new(second(0), Duration::ZERO);
        let _ = shown(&mut clock, 60, 0);
        assert!(shown(&mut clock, 3_060, 3_000) < 3_060_000);
        assert_eq!(shown(&mut clock, 6_060, 6_000), 6_060_000);
        assert_eq!(shown(&mut clock, 6_061, 6_001), 6_061_000);
    }
}
