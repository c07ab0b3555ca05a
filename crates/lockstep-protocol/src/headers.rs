//! Header names, and the two headers with a form of their own.

use http::HeaderName;

/// Names one start of a worker's process: boot, data folder, start count.
pub const WORKER_INSTANCE: HeaderName = HeaderName::from_static("worker-instance");
/// When the lease ends, UNIX milliseconds of the database. Only an answer with this header renews.
pub const LEASE_UNTIL_MS: HeaderName = HeaderName::from_static("lease-until-ms");
/// For people to read; never compared.
pub const SETTINGS_LAST_UPDATED: HeaderName = HeaderName::from_static("settings-last-updated");
pub const PREFER: HeaderName = HeaderName::from_static("prefer");

pub const SEGMENT_INCARNATION: HeaderName = HeaderName::from_static("lockstep-incarnation");
pub const SEGMENT_EPOCH: HeaderName = HeaderName::from_static("lockstep-epoch");
pub const SEGMENT_SEQUENCE: HeaderName = HeaderName::from_static("lockstep-sequence");
pub const SEGMENT_PREVIOUS: HeaderName = HeaderName::from_static("lockstep-previous");
pub const SEGMENT_HASH: HeaderName = HeaderName::from_static("lockstep-hash");

/// Of a checkpoint: how many bytes follow, and their SHA-256.
pub const CHECKPOINT_BYTES: HeaderName = HeaderName::from_static("lockstep-checkpoint-bytes");
pub const CHECKPOINT_SHA256: HeaderName = HeaderName::from_static("lockstep-checkpoint-sha256");

pub const PROBLEM_JSON: &str = "application/problem+json";
/// Whole segments, one after another: see [`crate::segment::write_frame`].
pub const SEGMENTS: &str = "application/vnd.lockstep.segments";
/// One checkpoint, as the journal makes it.
pub const CHECKPOINT: &str = "application/vnd.lockstep.checkpoint";

/// `Prefer: wait=55`
pub fn prefer_wait(seconds: u64) -> String {
    format!("wait={seconds}")
}

/// The seconds that the caller would wait; 0 if it says nothing that we understand, and never more than
/// the bound.
pub fn wait_seconds(prefer: Option<&str>) -> u64 {
    prefer
        .into_iter()
        .flat_map(|value| value.split([',', ';']))
        .find_map(|part| part.trim().strip_prefix("wait=")?.parse().ok())
        .unwrap_or(0u64)
        .min(crate::bounds::WAIT_SECONDS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_read_and_bounded() {
        assert_eq!(wait_seconds(Some(&prefer_wait(30))), 30);
        assert_eq!(wait_seconds(Some("respond-async, wait=5000")), 55);
        assert_eq!(wait_seconds(Some("wait=soon")), 0);
        assert_eq!(wait_seconds(None), 0);
    }
}
