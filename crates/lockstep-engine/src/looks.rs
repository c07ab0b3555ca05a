//! When a lane should look again: a retry, or an outcome to be looked up. Each time is kept, for the earliest says nothing of
//! what is due only later.

use jiff::Timestamp;
use std::collections::BTreeMap;

/// Looks that are closer than this are one, the last of them.
const APART_MS: i64 = 50;

#[derive(Debug, Default)]
pub(crate) struct Looks(BTreeMap<i64, Timestamp>);

impl Looks {
    pub fn add(&mut self, at: Timestamp) {
        let last = self
            .0
            .entry(at.as_millisecond().div_euclid(APART_MS))
            .or_insert(at);
        *last = (*last).max(at);
    }

    /// Is one of them due? It is over then, the later ones are not.
    pub fn take_due(&mut self, now: Timestamp) -> bool {
        let all = self.0.len();
        self.0.retain(|_, at| *at > now);
        self.0.len() < all
    }

    pub fn iter(&self) -> impl Iterator<Item = Timestamp> {
        self.0.values().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_comes_first_takes_no_later_one_with_it() {
        let at = |ms: i64| Timestamp::from_millisecond(ms).unwrap();
        let mut looks = Looks::default();
        for ms in [2_000, 2_010, 4_000] {
            looks.add(at(ms));
        }
        assert_eq!(looks.iter().collect::<Vec<_>>(), [at(2_010), at(4_000)]);
        assert!(!looks.take_due(at(2_000)), "two that are close are one");
        assert!(looks.take_due(at(2_010)));
        assert_eq!(looks.iter().collect::<Vec<_>>(), [at(4_000)]);
    }
}
