//! The coordinator's own bounds, in one place. Those of the messages stand in `lockstep_protocol::bounds`.

use std::time::Duration;

/// Polls of `/settings` that wait at the same time; 17 to 28 KB each.
pub const PARKED_POLLS_MAX: usize = 20_000;
/// Polls of one worker that wait at the same time: one, and one that its proxy has not closed yet.
pub const PARKED_POLLS_PER_WORKER_MAX: usize = 4;
/// Calls with an unknown token for which the database is asked at the same time.
pub const STRANGERS_MAX: usize = 8;
/// A view of the database that is older renews nothing and answers no 200.
pub const VIEW_AGE_MAX: Duration = Duration::from_secs(2);
/// How often `change.counter` is read when nobody says that it moved.
pub const CHANGE_TAIL_EVERY: Duration = Duration::from_millis(300);
/// Departures that one worker's set remembers; who is further behind gets everything.
pub const DEPARTURES_MAX: usize = 1_000;

/// How long a worker counts as there after its last sign of life.
pub const SESSION_TTL: Duration = Duration::from_secs(15);
/// Beyond the TTL, before somebody else may own a customer.
pub const REGRANT_AFTER: Duration = Duration::from_secs(5);

/// Attempts at `/auth` and at `/login` from one address: at once, and then one a second.
pub const AUTH_BURST: u32 = 20;
/// Addresses that are remembered for that.
pub const ADDRESSES_MAX: usize = 10_000;
/// Wrong passwords for one name from one address before the next try has to wait: a second, then twice as long each time.
pub const GUESSES_FREE: u32 = 5;
pub const GUESS_WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// Without a try for so long, it begins anew.
pub const GUESS_FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);

/// Where the configuration says nothing: how long a connection may take to send its next request's head.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a request's body may take: the largest segment over a line of 0.6 Mbit/s.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(120);
/// A connection on which no byte has moved for so long is closed; longer than anything that is parked.
pub const SILENCE_MAX: Duration = Duration::from_secs(150);
/// Bytes of a request's head, and headers in it.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
pub const HEADERS_MAX: usize = 100;
/// Open files that are left for everything but connections: databases, replicas, checkpoints.
pub const FILES_KEPT: usize = 384;
/// Connections, where the system sets no limit to open files.
pub const CONNECTIONS_MAX: usize = 100_000;
/// Connections of one address at the same time, where the configuration says nothing.
pub const CONNECTIONS_PER_ADDRESS: usize = 2_000;
/// Connections that wait for a place, and how long.
pub const CONNECTIONS_WAITING_MAX: usize = 128;
pub const PLACE_WAIT: Duration = Duration::from_secs(30);

/// A shop's webhook.
pub const HOOK_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Headers of a webhook that are shown to the platform's check.
pub const HOOK_HEADERS_MAX: usize = 100;
/// Wakes that wait for one common commit.
pub const WAKES_QUEUED_MAX: usize = 10_000;
/// How long the first of them waits for others.
pub const WAKE_COMMIT_AFTER: Duration = Duration::from_millis(20);
/// How long a hook waits for its commit before it is answered 503.
pub const HOOK_WAIT: Duration = Duration::from_secs(5);

/// A delivery that says what another said wakes so long after it.
pub const REPLAY_PACE: Duration = Duration::from_secs(1);
/// Deliveries that are remembered for that.
pub const REPLAYS_KNOWN_MAX: usize = 10_000;

/// Doubtful matches in one table, and answers of one.
pub const MATCHES_MAX: usize = 10_000;
/// Of them that are carried out in one ask.
pub const MATCHES_AT_ONCE: usize = 100;
/// How long a person waits for a worker's answer.
pub const ASK_WAIT: Duration = Duration::from_secs(30);
/// Questions of one person that wait for an answer at the same time: a page may ask each of a customer's shops for its lists.
pub const ASKS_EACH_MAX: usize = 50;
/// Of them plans and previews, which take long.
pub const PLANS_EACH_MAX: usize = 3;
/// A plan reads every shop.
pub const PLAN_WAIT: Duration = Duration::from_secs(80);
/// Rows of a plan that are shown.
pub const PLAN_ROWS_MAX: u32 = 500;

/// Ended runs that are remembered beside the journal, for a page that asks before the replica knows them.
pub const ENDED_RUNS_MAX: usize = 1_000;
/// Events that a slow listener may be behind; then it is told to look again.
pub const EVENTS_LAG_MAX: usize = 1_024;
/// Listeners to events at the same time.
pub const LISTENERS_MAX: usize = 1_000;

/// How long a login's cookie is good.
pub const COOKIE_LIFE: Duration = Duration::from_secs(12 * 60 * 60);
/// How long a token made by `lockstep login` is good.
pub const PERSON_TOKEN_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Segments applied to a replica before others get their turn.
pub const REPLICA_BATCH: u32 = 64;
/// Bytes of segments, compressed, after which a customer's checkpoint is made anew, where the configuration says nothing.
pub const CHECKPOINT_AFTER_BYTES: u64 = 8 * 1024 * 1024;
/// A segment counts as so many bytes at least: to take in one costs a transaction.
pub const CHECKPOINT_SEGMENT_WEIGHT: u64 = 4 * 1024;
/// … and one checkpoint is so many times as large as what came since the one before, at most: who has a large journal
/// has it copied less often.
pub const CHECKPOINT_GROWTH: u64 = 8;
/// Of each customer. The one before the newest is for a chain that was restored from a backup.
pub const CHECKPOINTS_KEPT: usize = 2;
/// Segments that are weighed at a start, at most.
pub const CHECKPOINT_SEGMENTS_WEIGHED: u64 = 100_000;
/// Replicas that are held open.
pub const REPLICAS_OPEN_MAX: usize = 64;
/// Rows of a list, if the question does not say.
pub const PAGE_ROWS: usize = 50;

/// How long calls may go on after the order to stop.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
