//! Stamps: microseconds since 1970 that never repeat within a shop. They are both the time and the order of changes.

use jiff::Timestamp;

/// A moment of this shop.
pub type Stamp = i64;

pub fn now() -> Stamp {
    Timestamp::now().as_microsecond()
}

/// The stamp after `last`: the time, or one microsecond on where the clock stands still or was set back.
pub fn after(last: Stamp, now: Stamp) -> Stamp {
    now.max(last + 1)
}

/// RFC 3339, UTC, always six decimals, so that texts compare as times do.
pub fn show(stamp: Stamp) -> String {
    match Timestamp::from_microsecond(stamp) {
        Ok(time) => format!("{time:.6}"),
        Err(_) => format!("{:.6}", Timestamp::UNIX_EPOCH),
    }
}

/// Any RFC 3339 time with an offset; finer parts than a microsecond are cut off, which is safe for "at or after".
pub fn parse(text: &str) -> Option<Stamp> {
    let time: Timestamp = text.parse().ok()?;
    Some(time.as_nanosecond().div_euclid(1_000) as Stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_grow_when_the_clock_stands_or_goes_back() {
        assert_eq!(after(10, 50), 50);
        assert_eq!(after(50, 50), 51);
        assert_eq!(after(50, 10), 51);
    }

    #[test]
    fn a_shown_stamp_is_read_back_in_any_offset() {
        let stamp = 1_772_355_731_000_120;
        assert_eq!(parse(&show(stamp)), Some(stamp));
        assert!(show(stamp).ends_with(".000120Z"), "{}", show(stamp));
        assert_eq!(
            parse("2026-03-01T11:02:11.5+02:00"),
            parse("2026-03-01T09:02:11.5Z")
        );
        assert_eq!(parse("yesterday"), None);
        assert_eq!(parse("2026-03-01"), None);
    }
}
