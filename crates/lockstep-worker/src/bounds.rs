//! Every bound of the worker, in one place.

use std::time::Duration;

// --- calls to shops ---

pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two pieces of a reply.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// One call from its first byte to the last of its reply.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(90);
/// A picture may be large and its shop slow.
pub const STREAM_TIMEOUT: Duration = Duration::from_secs(300);
/// Connections that were idle longer are not used again: a shop that closes one while a write is on
/// its way leaves us not knowing.
pub const IDLE_CONNECTION: Duration = Duration::from_secs(8);
pub const CALLS_PER_SHOP_MAX: usize = 8;
/// Until a shop tells its own rate.
pub const CALLS_PER_SECOND_DEFAULT: f64 = 50.0;
pub const CALLS_PER_SECOND_MIN: f64 = 0.2;
pub const CALLS_PER_SECOND_MAX: f64 = 500.0;
/// A pause that a shop asked for is waited out up to this; a longer one is the engine's to plan by.
pub const PAUSE_WAITED: Duration = Duration::from_secs(1);

// --- calls to the coordinator ---

pub const COORDINATOR_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection to a coordinator that is not used for so long is closed by us; it would close it after 30 s.
pub const COORDINATOR_IDLE: Duration = Duration::from_secs(20);
/// Beyond the time that a poll is parked.
pub const POLL_GRACE: Duration = Duration::from_secs(15);
pub const COORDINATORS_MAX: usize = 8;
pub const BACKOFF_MIN: Duration = Duration::from_millis(250);
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// After an answer that only a person can change: rejected, suspended, another version.
pub const REFUSED_PAUSE: Duration = Duration::from_secs(30);
/// While another process works under our name.
pub const DUPLICATE_PAUSE: Duration = Duration::from_secs(5);
/// A Retry-After beyond this is asked again after it.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
pub const STATUS_INTERVAL: Duration = Duration::from_millis(250);
pub const ASKS_AT_ONCE: usize = 8;
/// Asks that are remembered as dealt with: they may be handed out twice.
pub const ASKS_REMEMBERED: usize = 1_024;
/// An answer that the coordinator does not take is offered this often.
pub const ANSWER_TRIES: usize = 3;

// --- leases ---

pub const LEASE_INTERVAL: Duration = Duration::from_secs(5);
/// Our own deadline is this much before the coordinator's.
pub const LEASE_MARGIN: Duration = Duration::from_secs(2);
/// No write starts with less left.
pub const LEASE_FOR_A_WRITE: Duration = Duration::from_secs(5);
pub const LEASE_MAX: Duration = Duration::from_secs(120);
/// A pinned customer without any coordinator writes this long.
pub const OFFLINE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

// --- customers ---

/// Between two looks at a shop's registrations: one read.
pub const HOOKS_LOOKED_AT: Duration = Duration::from_secs(60);
/// Messages to one customer's task.
pub const MAILBOX: usize = 64;
/// Requests that wait for one customer's journal.
pub const JOURNAL_QUEUE: usize = 64;
/// Before compression.
pub const SEGMENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A checkpoint from its first byte to its last; it may be large and the way slow.
pub const CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(3600);
/// One that breaks off is begun anew so often before the segments are replayed instead.
pub const CHECKPOINT_TRIES: usize = 3;
/// Pieces of one that wait for the disk.
pub const CHECKPOINT_QUEUE: usize = 16;
/// A customer's task that does not stop by itself is ended.
pub const STOP_PATIENCE: Duration = Duration::from_secs(20);
/// Between two tries to work for a customer that was refused to us, as long as it is in our settings.
pub const FENCED_PAUSE: Duration = Duration::from_secs(30);
/// Ended runs that are kept for the next full report.
pub const RUNS_REMEMBERED: usize = 200;
/// One ask that a customer answers itself (a plan).
pub const ASK_PATIENCE: Duration = Duration::from_secs(600);
