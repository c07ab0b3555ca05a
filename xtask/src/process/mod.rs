//! Child processes as xtask needs them: each in its own process group, each wait bounded and
//! interruptible, each stopped at the end, also when xtask itself is killed (see [`guard`]).

mod cargo;
mod foreground;
pub mod guard;
mod interrupt;
mod running;

use std::time::Duration;

pub use cargo::cargo;
pub use foreground::run_in_foreground;
pub use guard::Guard;
pub use interrupt::Interrupt;
pub use running::{Bounds, Running, run_for_output, run_to_end};

use rustix::process::{Pid, Signal, kill_process_group};

/// How long a process may take to stop when asked to, before it is killed.
const STOP_WAIT_MAX: Duration = Duration::from_secs(10);

/// How often a waiting loop looks again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Signals a whole group. A group that is gone already is what the caller wants, so that is no error.
fn signal_group(leader: u32, signal: Signal) {
    let Some(pid) = i32::try_from(leader).ok().and_then(Pid::from_raw) else {
        return;
    };
    match kill_process_group(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => eprintln!("xtask: process group {leader} could not be signalled: {error}"),
    }
}
