//! What this process has used so far: CPU seconds, and the most memory it ever held.

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::time::Instant;

pub struct Stopwatch {
    wall: Instant,
    cpu_seconds: f64,
}

/// What a piece of work took.
#[derive(Serialize, Clone, Copy, Default)]
pub struct Took {
    pub wall_seconds: f64,
    /// User and system, of all threads.
    pub cpu_seconds: f64,
}

impl std::ops::AddAssign for Took {
    fn add_assign(&mut self, other: Self) {
        self.wall_seconds += other.wall_seconds;
        self.cpu_seconds += other.cpu_seconds;
    }
}

impl Stopwatch {
    pub fn start() -> Self {
        Self {
            wall: Instant::now(),
            cpu_seconds: cpu_seconds(),
        }
    }

    pub fn stop(&self) -> Took {
        Took {
            wall_seconds: self.wall.elapsed().as_secs_f64(),
            cpu_seconds: cpu_seconds() - self.cpu_seconds,
        }
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// `VmHWM`.
pub fn memory_peak_bytes() -> Result<u64> {
    let status =
        std::fs::read_to_string("/proc/self/status").context("/proc/self/status cannot be read")?;
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|line| line.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse::<u64>().ok())
        .context("/proc/self/status has no VmHWM")?;
    Ok(kibibytes * 1024)
}
