//! The one retry table: whose fault it is, what is done about it, and the sentence that the operator reads.

use jiff::{Timestamp, ToSpan};
use lockstep_model::FaultKind;

/// Whose refusal of a write is it?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The shop lets nobody in, not with this key, or not now: every write waits for it, and no record stands aside.
    Shop,
    /// The record's: the others go on.
    Record,
    /// Nobody knows whether it was refused at all.
    Nobody,
}

/// What to do about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// By itself, not before this time.
    Again(Timestamp),
    /// First find out whether it was applied.
    Look,
    /// Read the record again and plan anew, at once.
    Replan,
}

const FIRST_DELAY_MS: i64 = 2_000;
const LAST_DELAY_MS: i64 = 15 * 60_000;
/// Between two probes of a shop that refuses us.
const LAST_PROBE_MS: i64 = 5 * 60_000;
/// The same, where somebody asks for one: at the most so long after the last.
const LAST_PROBE_ASKED_MS: i64 = 30_000;
/// Of a key that is wrong the shop hears less often: some lock an account out.
const FIRST_PROBE_OF_A_KEY: u32 = 4;
/// What a shop refuses for its content is refused again, until somebody changes a rule there.
const FIRST_PATIENCE_MS: i64 = 60_000;
const LAST_PATIENCE_MS: i64 = 6 * 3_600_000;

fn after(now: Timestamp, ms: i64) -> Timestamp {
    now.checked_add(ms.milliseconds()).unwrap_or(Timestamp::MAX)
}

fn doubled(first_ms: i64, times: u32, last_ms: i64) -> i64 {
    first_ms.saturating_mul(1_i64 << times.min(20)).min(last_ms)
}

/// 2 s, 4 s, 8 s … 15 min. Whoever performs it adds the jitter: nothing here is random.
fn backoff(tries: u32, now: Timestamp) -> Timestamp {
    after(now, doubled(FIRST_DELAY_MS, tries, LAST_DELAY_MS))
}

/// 1 min, 4 min, 16 min … 6 h.
pub(crate) fn patience(tries: u32, now: Timestamp) -> Timestamp {
    let times = tries.saturating_mul(2);
    after(now, doubled(FIRST_PATIENCE_MS, times, LAST_PATIENCE_MS))
}

/// When one call tries whether a shop that refused us answers again: 2 s, 4 s … 5 min. `tries`: how many have before.
pub(crate) fn probe(kind: &FaultKind, tries: u32, now: Timestamp) -> Timestamp {
    let tries = match kind {
        FaultKind::RateLimited {
            retry_at: Some(retry_at),
        } => return *retry_at,
        kind if needs_person(kind) => tries.saturating_add(FIRST_PROBE_OF_A_KEY),
        _ => tries,
    };
    after(now, doubled(FIRST_DELAY_MS, tries, LAST_PROBE_MS))
}

/// As `probe`, where somebody says that it is worth a try: 2 s, 4 s … 30 s after the last.
pub(crate) fn probe_when_asked(tries: u32, refused_at: Timestamp) -> Timestamp {
    let times = tries.saturating_sub(1);
    after(
        refused_at,
        doubled(FIRST_DELAY_MS, times, LAST_PROBE_ASKED_MS),
    )
}

pub fn blame(kind: &FaultKind) -> Blame {
    match kind {
        FaultKind::Auth
        | FaultKind::Forbidden
        | FaultKind::RateLimited { .. }
        | FaultKind::Unavailable
        | FaultKind::Timeout
        | FaultKind::Protocol => Blame::Shop,
        FaultKind::NotFound
        | FaultKind::Conflict
        | FaultKind::Invalid { .. }
        | FaultKind::Duplicate { .. } => Blame::Record,
        FaultKind::UnknownOutcome => Blame::Nobody,
    }
}

/// The shop lets us in again only once somebody has done something; that they have, a probe finds.
pub(crate) fn needs_person(kind: &FaultKind) -> bool {
    match kind {
        FaultKind::Auth | FaultKind::Forbidden => true,
        FaultKind::RateLimited { .. }
        | FaultKind::Unavailable
        | FaultKind::Timeout
        | FaultKind::Protocol
        | FaultKind::NotFound
        | FaultKind::Conflict
        | FaultKind::Invalid { .. }
        | FaultKind::Duplicate { .. }
        | FaultKind::UnknownOutcome => false,
    }
}

/// `tries`: how often the same thing has failed before.
pub fn remedy(kind: &FaultKind, tries: u32, now: Timestamp) -> Remedy {
    match kind {
        FaultKind::Auth | FaultKind::Forbidden => Remedy::Again(probe(kind, tries, now)),
        FaultKind::Invalid { .. } => Remedy::Again(patience(tries, now)),
        FaultKind::NotFound | FaultKind::Conflict => {
            if tries < 3 {
                Remedy::Replan
            } else {
                Remedy::Again(backoff(tries, now))
            }
        }
        FaultKind::Duplicate { .. } => Remedy::Again(backoff(tries, now)),
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
        FaultKind::Auth => {
            "The shop refuses our key. Nothing is lost; give it a new key, or let it take this one again, and all goes on \
             by itself."
        }
        FaultKind::Forbidden => {
            "The key lacks a right. Nothing is lost; widen the key's rights in the shop, and all goes on by itself."
        }
        FaultKind::NotFound => {
            "The shop no longer has the record. It is read again and planned anew."
        }
        FaultKind::Conflict => {
            "The record moved while we wrote. It is read again and planned anew."
        }
        FaultKind::Invalid { .. } => {
            "The shop refuses the content of this record. The others go on; correct it at its source, and it is written at \
             once."
        }
        FaultKind::Duplicate { .. } => {
            "The shop has something with this key already. It was looked for and is none of ours; change one of the two, \
             and it is written."
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
        let ms = |kind: FaultKind, tries| match remedy(&kind, tries, Timestamp::UNIX_EPOCH) {
            Remedy::Again(at) => at.as_millisecond(),
            other => panic!("{other:?}"),
        };
        let lost = |tries| ms(FaultKind::Timeout, tries);
        assert_eq!((lost(0), lost(1), lost(60)), (2_000, 4_000, 900_000));
        let refused = |tries| ms(FaultKind::Invalid { field: None }, tries);
        assert_eq!(
            (refused(0), refused(1), refused(60)),
            (60_000, 240_000, 21_600_000)
        );
    }

    #[test]
    fn x1_a_shop_that_refuses_us_is_asked_again_by_itself() {
        let asked =
            |kind: FaultKind, tries| probe(&kind, tries, Timestamp::UNIX_EPOCH).as_millisecond();
        assert_eq!(asked(FaultKind::Unavailable, 0), 2_000);
        assert_eq!(asked(FaultKind::Forbidden, 0), 32_000);
        for kind in [
            FaultKind::Auth,
            FaultKind::Forbidden,
            FaultKind::Unavailable,
        ] {
            assert_eq!(asked(kind, 60), 300_000);
        }
    }
}
