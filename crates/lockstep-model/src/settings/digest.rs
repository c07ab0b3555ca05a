//! The digest of a set of settings: over sorted (customer id, revision), so that no change of how JSON
//! is rendered changes it and it can be computed without loading a single document.

use crate::ids::{CustomerId, Revision};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// The first 8 bytes of a SHA-256, 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SettingsDigest(pub [u8; 8]);

/// Of the whole set, in any order; of two rows of one customer the last counts.
pub fn digest(set: impl IntoIterator<Item = (CustomerId, Revision)>) -> SettingsDigest {
    let sorted: std::collections::BTreeMap<_, _> = set.into_iter().collect();
    let mut hash = Sha256::new();
    hash.update(b"lockstep settings 1\n");
    for (customer, revision) in sorted {
        hash.update(customer.0.to_be_bytes());
        hash.update(revision.0.to_be_bytes());
    }
    let mut short = [0; 8];
    for (to, from) in short.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    SettingsDigest(short)
}

impl fmt::Display for SettingsDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for SettingsDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SettingsDigest({self})")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 16 lower-case hex digits")]
pub struct BadDigest;

impl FromStr for SettingsDigest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| BadDigest)?;
        bytes.try_into().map(SettingsDigest).map_err(|_| BadDigest)
    }
}

impl Serialize for SettingsDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SettingsDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_set_does_not_matter_and_a_revision_does() {
        let one = (CustomerId(1), Revision(7));
        let two = (CustomerId(2), Revision(3));
        assert_eq!(digest([one, two]), digest([two, one]));
        assert_ne!(
            digest([one, two]),
            digest([one, (CustomerId(2), Revision(4))])
        );
        assert_ne!(digest([one, two]), digest([one]));
    }

    #[test]
    fn a_digest_reads_what_it_prints() {
        let digest = digest([(CustomerId(1), Revision(7))]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!("".parse::<SettingsDigest>().is_err());
        assert!("zz".parse::<SettingsDigest>().is_err());
    }
}
