//! A place in one of Medusa's lists, and in the feed after it. Pure.
//!
//! Lists are paged by offset, in the order of ids (which grow with time). Deletes shift the rest to the front, so
//! each page begins with the last row of the one before; if that row is gone, the page is read again further back.
//!
//! ```text
//! the read's start (the shop's clock) ──┐
//!                                       │◄─ overlap ─►
//!   …changes…   row committed late ───► │ × │
//! next read:                   begins here ─┘
//! ```
//! A change gets its time before it is committed, and several machines may answer for one shop: the next read
//! begins a little before the start of this one. What was already told, unchanged, is not told again.

use jiff::{SignedDuration, Timestamp};
use lockstep_model::Cursor;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

pub(super) const OVERLAP: SignedDuration = SignedDuration::from_secs(30);
/// Rows of the overlap that are remembered; more than these are told twice.
const TOLD_MAX: usize = 100;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub(super) struct Place {
    /// Read what changed since; missing: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When this read began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: u32,
    /// A feed that several lists tell is read from one after the other.
    #[serde(default, skip_serializing_if = "Part::is_first")]
    pub part: Part,
    /// The last row of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// Row → fingerprint, as told by the read before.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<String, String>,
    /// The same, of this read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub telling: BTreeMap<String, String>,
}

/// Which list of a feed is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub(super) enum Part {
    /// The records that changed themselves.
    #[default]
    Own,
    /// Products of which a variant changed.
    Variants,
    /// Products of which an option was renamed.
    Options,
    /// Products whose sale prices may have moved.
    Sales,
    /// Orders whose payment moved.
    Payments,
}

impl Part {
    fn is_first(&self) -> bool {
        *self == Part::Own
    }
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Place {
    pub fn parse(cursor: &Cursor) -> Option<Self> {
        serde_json::from_str(&cursor.0).ok()
    }

    pub fn cursor(&self) -> Cursor {
        // A map of strings and numbers always has a JSON form.
        Cursor(serde_json::to_string(self).unwrap_or_default())
    }

    /// Whether this row, as it is now, was told already. What another list of this read told is not told again: if it
    /// changed between the two, the next read tells it.
    /// `beside`: what belongs to the record and stands elsewhere there.
    pub fn is_told(&mut self, id: &str, raw: &str, beside: &str) -> bool {
        if self.telling.contains_key(id) {
            return true;
        }
        let print = fingerprint(raw, beside);
        let told = self.told.get(id) == Some(&print);
        if self.telling.len() < TOLD_MAX {
            self.telling.insert(id.to_owned(), print);
        }
        told
    }

    /// The beginning of the next list of the same read.
    pub fn turn_to(&mut self, part: Part) {
        self.part = part;
        (self.offset, self.last) = (0, None);
    }

    /// Where the feed goes on after this read.
    pub fn after(self) -> Self {
        // Nothing at all since then: the place stays, so that an idle look leaves no trace.
        if self.since.is_some() && self.telling.is_empty() {
            return Self {
                since: self.since,
                ..Self::default()
            };
        }
        let started = self.started.unwrap_or(Timestamp::UNIX_EPOCH);
        Self {
            since: Some(
                started
                    .checked_sub(OVERLAP)
                    .unwrap_or(Timestamp::UNIX_EPOCH),
            ),
            told: self.telling,
            ..Self::default()
        }
    }
}

/// The same for rows that differ by the order of their lists alone: the shop gives them in none.
fn fingerprint(raw: &str, beside: &str) -> String {
    let sorted = serde_json::from_str::<Value>(raw).map(|value| sorted(value).to_string());
    let text = sorted.unwrap_or_else(|_| raw.to_owned());
    let hash = Sha256::new()
        .chain_update(text)
        .chain_update(beside)
        .finalize();
    data_encoding::BASE64URL_NOPAD.encode(&hash[..9])
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Array(members) => {
            let mut members: Vec<Value> = members.into_iter().map(sorted).collect();
            members.sort_by_cached_key(Value::to_string);
            Value::Array(members)
        }
        Value::Object(fields) => {
            let fields = fields.into_iter();
            Value::Object(fields.map(|(name, value)| (name, sorted(value))).collect())
        }
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_cursor() {
        let mut place = Place {
            since: Some("2026-03-01T10:00:00Z".parse().unwrap()),
            offset: 100,
            last: Some("prod_1".into()),
            ..Place::default()
        };
        assert!(!place.is_told("prod_1", "{}", ""));
        assert_eq!(Place::parse(&place.cursor()), Some(place));
        assert_eq!(Place::parse(&Cursor("page 7".into())), None);
    }

    #[test]
    fn the_next_read_begins_before_the_start_of_this_one() {
        let place = Place {
            started: Some("2026-03-01T10:01:00Z".parse().unwrap()),
            ..Place::default()
        };
        let next = place.after();
        assert_eq!(next.since, Some("2026-03-01T10:00:30Z".parse().unwrap()));
    }

    #[test]
    fn a_look_that_saw_nothing_leaves_the_place_as_it_was() {
        let since = Some("2026-03-01T10:00:00Z".parse().unwrap());
        let place = Place {
            since,
            started: Some("2026-03-01T11:00:00Z".parse().unwrap()),
            ..Place::default()
        };
        let next = place.after();
        assert_eq!(next.since, since);
        assert_eq!(next.clone().after(), next);
    }

    #[test]
    fn a_row_is_told_again_only_if_it_changed() {
        let mut first = Place::default();
        assert!(!first.is_told("a", r#"{"prices":[1,2]}"#, ""));
        let after = first.after();
        assert!(after.clone().is_told("a", r#"{"prices":[2,1]}"#, ""));
        let mut next = after;
        assert!(!next.is_told("a", r#"{"prices":[1,3]}"#, ""));
        // Another list of the same read.
        assert!(next.is_told("a", r#"{"prices":[1,4]}"#, ""));
    }
}
