//! The two clocks of a worker: one that tells the time and never steps, and the boot's, which only runs on and counts
//! suspend. Deadlines of leases are the latter's.

use jiff::{SignedDuration, Timestamp};
use lockstep_engine::clock::SteadyClock;
use lockstep_model::{Fault, FaultKind};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// The time, as everything in a worker counts it. People may set the machine's clock meanwhile: this one follows slowly.
pub fn now() -> Timestamp {
    static CLOCK: OnceLock<Mutex<SteadyClock>> = OnceLock::new();
    let (wall, running) = (Timestamp::now(), BootTime::now().0);
    let clock = CLOCK.get_or_init(|| Mutex::new(SteadyClock::new(wall, running)));
    let mut clock = clock.lock().unwrap_or_else(PoisonError::into_inner);
    clock.read(wall, running)
}

/// Connectors reckon from the machine's clock when a shop lets us in again.
pub fn on_our_clock(mut fault: Fault) -> Fault {
    if let FaultKind::RateLimited { retry_at: Some(at) } = &mut fault.kind {
        let ahead: SignedDuration = now().duration_since(Timestamp::now());
        *at = at.checked_add(ahead).unwrap_or(*at);
    }
    fault
}

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

/// How long from now until then; zero if it has passed.
pub fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now())).unwrap_or_default()
}
