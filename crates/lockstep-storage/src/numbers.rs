//! Between our types and what all three databases hold alike: signed 64-bit numbers, hex texts, JSON.

use crate::StorageError;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use lockstep_model::misread;
use serde::{Serialize, de::DeserializeOwned};

/// SHA-256 of something that is not stored itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    pub(crate) fn to_hex(self) -> String {
        HEXLOWER.encode(&self.0)
    }

    pub(crate) fn from_hex(text: &str) -> Result<Self, StorageError> {
        let bytes = HEXLOWER
            .decode(text.as_bytes())
            .map_err(|error| StorageError::corrupt("a hash", error))?;
        bytes.try_into().map(Hash).map_err(|_| {
            StorageError::new(
                crate::Kind::Corrupt,
                "a hash in the database has not 32 bytes",
            )
        })
    }
}

/// A number beyond what the databases hold names no row there: it becomes the greatest, which none has.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(crate) fn to_ms(at: Timestamp) -> i64 {
    at.as_millisecond()
}

pub(crate) fn from_ms(ms: i64) -> Result<Timestamp, StorageError> {
    Timestamp::from_millisecond(ms).map_err(|error| StorageError::corrupt("a time", error))
}

pub(crate) fn optional_ms(ms: Option<i64>) -> Result<Option<Timestamp>, StorageError> {
    ms.map(from_ms).transpose()
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, StorageError> {
    serde_json::to_string(value).map_err(|error| {
        StorageError::because(
            crate::Kind::Conflict,
            "this cannot be written as JSON",
            error,
        )
    })
}

pub(crate) fn from_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, StorageError> {
    serde_json::from_str(text)
        .map_err(|error| StorageError::corrupt(what, Misread(misread(&error))))
}

/// A row may hold a key or a buyer: what its parser quotes is not said.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misread(pub String);

/// A text for a column of limited length. PostgreSQL takes no NUL; long texts are cut at a character.
pub(crate) fn label(text: &str) -> String {
    text.chars()
        .filter(|c| *c != '\0')
        .take(crate::bounds::TEXT_CHARS_MAX)
        .collect()
}

/// What two texts share when they are searched: case does not count.
pub(crate) fn folded(text: &str) -> String {
    label(&text.to_lowercase())
}

/// For LIKE: the wildcards of the text are taken as they are.
pub(crate) fn literal_like(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            literal.push('!');
        }
        literal.push(c);
    }
    literal
}
