//! The version of a worker's settings: `"<incarnation>.<revision>.<digest16>"`, compared for equality.

use lockstep_model::{Incarnation, settings::SettingsDigest};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::{fmt, str::FromStr};

/// What a worker has, or what there is for it. Covers the settings (by the digest of customer ids and
/// revisions) and what is wanted (by the revision: the change stamp of the newest thing told).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Etag {
    pub incarnation: Incarnation,
    /// The change counter's value at the newest change that concerns this worker.
    pub revision: u64,
    pub digest: SettingsDigest,
}

impl Etag {
    /// As the headers `ETag` and `If-None-Match` carry it: in quotes.
    pub fn quoted(&self) -> String {
        format!("\"{self}\"")
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.incarnation, self.revision, self.digest)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a version of settings: <incarnation>.<revision>.<16 hex digits>")]
pub struct BadEtag;

impl FromStr for Etag {
    type Err = BadEtag;

    /// With or without quotes; a weak mark, which a proxy may add, is ignored.
    fn from_str(text: &str) -> Result<Self, BadEtag> {
        let text = text.trim();
        let text = text.strip_prefix("W/").unwrap_or(text);
        let text = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap_or(text);
        let mut parts = text.splitn(3, '.');
        let mut next = || parts.next().ok_or(BadEtag);
        let incarnation = number(next()?)?;
        let revision = number(next()?)?;
        let digest = next()?.parse().map_err(|_| BadEtag)?;
        Ok(Etag {
            incarnation: Incarnation(incarnation),
            revision,
            digest,
        })
    }
}

/// Only what `Display` prints: no sign, no leading zero.
fn number(text: &str) -> Result<u64, BadEtag> {
    let number: u64 = text.parse().map_err(|_| BadEtag)?;
    if number.to_string() == text {
        Ok(number)
    } else {
        Err(BadEtag)
    }
}

impl Serialize for Etag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Etag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_etag_reads_what_it_prints(incarnation: u64, revision: u64, digest: [u8; 8], weak: bool) {
            let etag = Etag {
                incarnation: Incarnation(incarnation),
                revision,
                digest: SettingsDigest(digest),
            };
            prop_assert_eq!(etag.to_string().parse(), Ok(etag));
            let header = format!("{}{}", if weak { "W/" } else { "" }, etag.quoted());
            prop_assert_eq!(header.parse(), Ok(etag));
        }

        #[test]
        fn reading_an_etag_never_panics_and_what_is_read_prints_the_same(text in "[ \\PC]{0,60}") {
            if let Ok(etag) = text.parse::<Etag>() {
                prop_assert_eq!(etag.to_string().parse(), Ok(etag));
            }
        }
    }
}
