//! Ctrl-C, SIGTERM and SIGHUP as a flag that every wait looks at, so that what was started is stopped
//! in order. A second signal ends xtask at once; the guard then cleans up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Shared by all that waits. Passed down, never global.
#[derive(Clone, Default)]
pub struct Interrupt {
    flag: Arc<AtomicBool>,
}

impl Interrupt {
    pub fn listen() -> Result<Self> {
        let interrupt = Self::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // Order matters: the shutdown is armed by the flag that the first signal sets.
            signal_hook::flag::register_conditional_shutdown(signal, 1, interrupt.flag.clone())
                .and_then(|_| signal_hook::flag::register(signal, interrupt.flag.clone()))
                .context("signals cannot be listened to")?;
        }
        Ok(interrupt)
    }

    /// Ends all waits, as a signal would: used when the rest has become pointless (the build failed).
    pub fn raise(&self) {
        self.flag.store(true, Ordering::SeqCst);
    }

    pub fn is_raised(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }

    pub fn check(&self) -> Result<()> {
        if self.is_raised() {
            bail!("interrupted");
        }
        Ok(())
    }
}
