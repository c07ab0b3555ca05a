//! A journal segment on the wire: its header as HTTP headers, its body compressed; and many of them, one
//! after another, for a worker that takes over. What is inside is the journal's own business.

use crate::headers::{
    SEGMENT_EPOCH, SEGMENT_HASH, SEGMENT_INCARNATION, SEGMENT_PREVIOUS, SEGMENT_SEQUENCE,
};
use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderName, HeaderValue};
use lockstep_model::{CustomerId, Epoch, Incarnation};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::{fmt, str::FromStr};

/// SHA-256, as the journal makes it. All zero: before the first segment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SegmentHash(pub [u8; 32]);

impl SegmentHash {
    pub const ZERO: SegmentHash = SegmentHash([0; 32]);
}

impl fmt::Display for SegmentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for SegmentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentHash({self})")
    }
}

impl FromStr for SegmentHash {
    type Err = BadSegment;

    fn from_str(text: &str) -> Result<Self, BadSegment> {
        let bytes = HEXLOWER
            .decode(text.as_bytes())
            .map_err(|_| BadSegment::Header("hash"))?;
        bytes
            .try_into()
            .map(SegmentHash)
            .map_err(|_| BadSegment::Header("hash"))
    }
}

impl Serialize for SegmentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SegmentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSegment {
    #[error("the segment's {0} is missing or cannot be read")]
    Header(&'static str),
    #[error("the segments end in the middle of one")]
    Cut,
    #[error("a segment is larger than it may be")]
    TooLarge,
}

/// Where a segment stands in its customer's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SegmentHeader {
    pub customer: CustomerId,
    pub incarnation: Incarnation,
    pub epoch: Epoch,
    /// 1, 2, 3 … over all epochs.
    pub sequence: u64,
    pub previous: SegmentHash,
    pub hash: SegmentHash,
}

/// The last segment of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Head {
    pub incarnation: Incarnation,
    pub epoch: Epoch,
    pub sequence: u64,
    pub hash: SegmentHash,
}

impl SegmentHeader {
    pub fn head(&self) -> Head {
        Head {
            incarnation: self.incarnation,
            epoch: self.epoch,
            sequence: self.sequence,
            hash: self.hash,
        }
    }

    /// As `POST /journal/{customer}` carries it; the customer is in the path.
    pub fn to_headers(&self) -> [(HeaderName, HeaderValue); 5] {
        let hash = |hash: SegmentHash| {
            HeaderValue::from_str(&hash.to_string()).unwrap_or(HeaderValue::from_static(""))
        };
        [
            (SEGMENT_INCARNATION, HeaderValue::from(self.incarnation.0)),
            (SEGMENT_EPOCH, HeaderValue::from(self.epoch.0)),
            (SEGMENT_SEQUENCE, HeaderValue::from(self.sequence)),
            (SEGMENT_PREVIOUS, hash(self.previous)),
            (SEGMENT_HASH, hash(self.hash)),
        ]
    }

    pub fn from_headers(customer: CustomerId, headers: &HeaderMap) -> Result<Self, BadSegment> {
        Ok(SegmentHeader {
            customer,
            incarnation: Incarnation(read(headers, &SEGMENT_INCARNATION, "incarnation")?),
            epoch: Epoch(read(headers, &SEGMENT_EPOCH, "epoch")?),
            sequence: read(headers, &SEGMENT_SEQUENCE, "sequence")?,
            previous: read(headers, &SEGMENT_PREVIOUS, "previous hash")?,
            hash: read(headers, &SEGMENT_HASH, "hash")?,
        })
    }
}

pub(crate) fn read<T: FromStr>(
    headers: &HeaderMap,
    name: &HeaderName,
    what: &'static str,
) -> Result<T, BadSegment> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .ok_or(BadSegment::Header(what))
}

/// The answer to a segment that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentReply {
    pub sequence: u64,
    pub outcome: SegmentOutcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentOutcome {
    Accepted,
    /// The same hash stood there already: an answer was lost.
    Same,
}

/// One segment of `GET /journal/…`: length and header as JSON, length and body.
pub fn write_frame(
    to: &mut Vec<u8>,
    header: &SegmentHeader,
    body: &[u8],
) -> Result<(), BadSegment> {
    let header = serde_json::to_vec(header).map_err(|_| BadSegment::Header("header"))?;
    for part in [header.as_slice(), body] {
        let length = u32::try_from(part.len()).map_err(|_| BadSegment::TooLarge)?;
        to.extend_from_slice(&length.to_be_bytes());
        to.extend_from_slice(part);
    }
    Ok(())
}

/// All segments of one answer. The bodies are borrowed from it.
pub fn read_frames(mut from: &[u8]) -> Result<Vec<(SegmentHeader, &[u8])>, BadSegment> {
    let mut frames = Vec::new();
    while !from.is_empty() {
        let header =
            serde_json::from_slice(part(&mut from)?).map_err(|_| BadSegment::Header("header"))?;
        frames.push((header, part(&mut from)?));
    }
    Ok(frames)
}

fn part<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], BadSegment> {
    let (length, rest) = from.split_first_chunk::<4>().ok_or(BadSegment::Cut)?;
    let length = u32::from_be_bytes(*length) as usize;
    if length > crate::bounds::SEGMENT_BYTES_MAX {
        return Err(BadSegment::TooLarge);
    }
    let (part, rest) = rest.split_at_checked(length).ok_or(BadSegment::Cut)?;
    *from = rest;
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> impl Strategy<Value = SegmentHeader> {
        (
            any::<u64>(),
            any::<u64>(),
            any::<u64>(),
            any::<u64>(),
            any::<[u8; 32]>(),
            any::<[u8; 32]>(),
        )
            .prop_map(|(customer, incarnation, epoch, sequence, previous, hash)| {
                SegmentHeader {
                    customer: CustomerId(customer),
                    incarnation: Incarnation(incarnation),
                    epoch: Epoch(epoch),
                    sequence,
                    previous: SegmentHash(previous),
                    hash: SegmentHash(hash),
                }
            })
    }

    proptest! {
        #[test]
        fn a_header_reads_what_it_writes(header in header()) {
            let headers: HeaderMap = header.to_headers().into_iter().collect();
            prop_assert_eq!(SegmentHeader::from_headers(header.customer, &headers), Ok(header));
        }

        #[test]
        fn frames_are_read_as_written_and_a_cut_is_noticed(
            segments in prop::collection::vec((header(), prop::collection::vec(any::<u8>(), 0..40)), 1..4),
            cut: prop::sample::Index,
        ) {
            let mut bytes = Vec::new();
            for (header, body) in &segments {
                write_frame(&mut bytes, header, body).unwrap();
            }
            let read: Vec<_> = read_frames(&bytes).unwrap().into_iter().map(|(h, b)| (h, b.to_vec())).collect();
            prop_assert_eq!(&read, &segments);
            let cut = cut.index(bytes.len());
            if let Ok(fewer) = read_frames(&bytes[..cut]) {
                prop_assert!(fewer.len() < segments.len());
            }
        }

        #[test]
        fn reading_frames_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _unpanicked = read_frames(&bytes);
        }
    }
}
