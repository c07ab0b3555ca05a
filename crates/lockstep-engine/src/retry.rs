//! The one retry table: what is done about each kind of fault, and the sentence that the operator reads.

use jiff::{Timestamp, ToSpan};
use lockstep_model::FaultKind;

/// What to do about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// By itself, not before this time.
    Again(Timestamp),
    /// First find out whether it was applied.
    Look,
    /// Read the record again and plan anew, at once.
    Replan,
    /// A person has to change something.
    Person,
}

const FIRST_DELAY_MS: i64 = 2_000;
const LAST_DELAY_MS: i64 = 15 * 60_000;

/// 2 s, 4 s, 8 s … 15 min. Whoever performs it adds the jitter: nothing here is random.
fn backoff(tries: u32, now: Timestamp) -> Timestamp {
    let delay_ms = FIRST_DELAY_MS
        .saturating_mul(1_i64 << tries.min(20))
        .min(LAST_DELAY_MS);
    now.checked_add(delay_ms.milliseconds())
        .unwrap_or(Timestamp::MAX)
}

/// `tries`: how often the same thing has failed before.
pub fn remedy(kind: &FaultKind, tries: u32, now: Timestamp) -> Remedy {
    match kind {
        FaultKind::Auth | FaultKind::Forbidden => Remedy::Person,
        FaultKind::Invalid { .. } => Remedy::Person,
        FaultKind::NotFound | FaultKind::Conflict | FaultKind::Duplicate { .. } => {
            if tries < 3 {
                Remedy::Replan
            } else {
                Remedy::Again(backoff(tries, now))
            }
        }
        FaultKind::RateLimited { retry_at } => {
            Remedy::Again(retry_at.unwrap_or_else(|| backoff(tries, now)))
        }
        FaultKind::Unavailable | FaultKind::Timeout | FaultKind::Protocol => {
            Remedy::Again(backoff(tries, now))
        }
        FaultKind::UnknownOutcome => Remedy::Look,
    }
}

/// For the operator: what it means and what helps.
pub fn sentence(kind: &FaultKind) -> &'static str {
    match kind {
        FaultKind::Auth => "The shop refuses our key. Nothing is lost; give it a new key to go on.",
        FaultKind::Forbidden => {
            "The key lacks a right. Nothing is lost; widen the key's rights in the shop to go on."
        }
        FaultKind::NotFound => {
            "The shop no longer has the record. It is read again and planned anew."
        }
        FaultKind::Conflict => {
            "The record moved while we wrote. It is read again and planned anew."
        }
        FaultKind::Invalid { .. } => {
            "The shop refuses the content of this record. The others go on; correct it at its source."
        }
        FaultKind::Duplicate { .. } => {
            "The shop has a record with this key already. It is looked up and linked."
        }
        FaultKind::RateLimited { .. } => "The shop asks us to slow down. It goes on by itself.",
        FaultKind::Unavailable => {
            "The shop cannot be reached. It goes on by itself when it is back."
        }
        FaultKind::Timeout => "The shop did not answer in time. It is asked again.",
        FaultKind::UnknownOutcome => {
            "The shop's answer was lost. We look whether it was done before anything is repeated."
        }
        FaultKind::Protocol => {
            "The shop's answer makes no sense. It is asked again; if it lasts, check its address and version."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_outcome_is_looked_at_and_never_repeated() {
        for tries in 0..50 {
            assert_eq!(
                remedy(&FaultKind::UnknownOutcome, tries, Timestamp::UNIX_EPOCH),
                Remedy::Look
            );
        }
    }

    #[test]
    fn delays_grow_and_end() {
        let at = |tries| match remedy(&FaultKind::Timeout, tries, Timestamp::UNIX_EPOCH) {
            Remedy::Again(at) => at.as_millisecond(),
            other => panic!("{other:?}"),
        };
        assert_eq!((at(0), at(1), at(60)), (2_000, 4_000, 900_000));
    }
}
