//! The two clocks of a worker: the wall's, which people set, and the boot's, which only runs on and
//! counts suspend. Deadlines are the latter's.

use std::time::Duration;

/// Time since the machine was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(Duration);

impl BootTime {
    pub fn now() -> Self {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let clock = rustix::time::ClockId::Boottime;
        // Counts suspend there.
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let clock = rustix::time::ClockId::Monotonic;
        let at = rustix::time::clock_gettime(clock);
        BootTime(Duration::new(
            u64::try_from(at.tv_sec).unwrap_or(0),
            u32::try_from(at.tv_nsec).unwrap_or(0),
        ))
    }

    pub fn plus(self, duration: Duration) -> Self {
        BootTime(self.0.saturating_add(duration))
    }

    /// Zero if it has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_sub(Self::now().0)
    }

    pub fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

/// How long from now until then by the wall's clock; zero if it has passed.
pub fn until(at: jiff::Timestamp) -> Duration {
    Duration::try_from(at.duration_since(jiff::Timestamp::now())).unwrap_or_default()
}
