//! A segment: a numbered piece of a journal, chained to the one before it by hash, as it travels and is archived.
//!
//! ```text
//! magic "LKSG" · version · customer · incarnation · epoch · sequence · first_seq · last_seq · at µs    (8 bytes each)
//! · previous hash (32) · hash (32) · bytes of the lines (4) · bytes of the body (4) · body: zstd of JSON lines
//! ```
//! All numbers are little-endian. The hash is SHA-256 over the header before it and the lines as they are, not as they
//! are compressed.

use crate::SegmentError;
use crate::bounds::{SEGMENT_BYTES_MAX, SEGMENT_ENCODED_BYTES_MAX};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use lockstep_model::entry::Entry;
use lockstep_model::{CustomerId, Epoch, Incarnation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::io;
use std::sync::Mutex;
use zstd::bulk::{Compressor, Decompressor};

const MAGIC: &[u8; 4] = b"LKSG";
const VERSION: u8 = 1;
const HASH_BYTES: usize = 32;
/// Of the header up to and without the previous hash.
const NUMBERS: usize = 7;
const HEADER_BYTES: usize = MAGIC.len() + 1 + NUMBERS * 8 + 2 * HASH_BYTES + 2 * 4;
pub(crate) const COMPRESSION_LEVEL: i32 = 3;

/// To make one costs more than a small segment does, so one is kept; whoever finds it in use makes his own.
static COMPRESSOR: Mutex<Option<Compressor<'static>>> = Mutex::new(None);
static DECOMPRESSOR: Mutex<Option<Decompressor<'static>>> = Mutex::new(None);

/// SHA-256, of a segment first of all. All zeros stands before the first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Hash(pub [u8; HASH_BYTES]);

impl Hash {
    pub const ZERO: Hash = Hash([0; HASH_BYTES]);

    pub fn parse(hex: &str) -> Option<Self> {
        let bytes = HEXLOWER.decode(hex.as_bytes()).ok()?;
        bytes.try_into().ok().map(Hash)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("not 64 digits of lower-case hex"))
    }
}

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentHeader {
    pub customer: CustomerId,
    pub incarnation: Incarnation,
    /// Of the worker that cut it.
    pub epoch: Epoch,
    /// 1, 2, 3 … without gaps.
    pub sequence: u64,
    pub first_seq: u64,
    pub last_seq: u64,
    /// When its last entry was written.
    pub at: Timestamp,
    pub previous: Hash,
}

/// A header, its hash, and the entries, compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub header: SegmentHeader,
    pub hash: Hash,
    /// Uncompressed.
    pub lines_bytes: u32,
    /// zstd of JSON lines, one an entry.
    pub body: Bytes,
}

impl SegmentHeader {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        for number in [
            self.customer.0,
            self.incarnation.0,
            self.epoch.0,
            self.sequence,
            self.first_seq,
            self.last_seq,
            self.at.as_microsecond().cast_unsigned(),
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.previous.0);
        bytes
    }

    pub(crate) fn hash(&self, lines: &[u8]) -> Hash {
        let mut hasher = self.hasher();
        hasher.update(lines);
        Hash(hasher.finalize().into())
    }

    /// The lines are still to come.
    pub(crate) fn hasher(&self) -> Sha256 {
        let mut hasher = Sha256::new();
        hasher.update(self.bytes());
        hasher
    }
}

impl Segment {
    /// `lines`: JSON, one entry a line, each ended by a line feed.
    pub(crate) fn pack(header: SegmentHeader, lines: &[u8]) -> Result<Self, SegmentError> {
        let lines_bytes = u32::try_from(lines.len())
            .ok()
            .filter(|_| lines.len() <= SEGMENT_BYTES_MAX)
            .ok_or(SegmentError::Malformed {
                reason: "its entries are larger than a segment may be",
            })?;
        let body = with_kept(
            &COMPRESSOR,
            || Compressor::new(COMPRESSION_LEVEL),
            |compressor| compressor.compress(lines),
        )
        .map_err(|source| SegmentError::Compression { source })?;
        Ok(Segment {
            hash: header.hash(lines),
            header,
            lines_bytes,
            body: body.into(),
        })
    }

    /// The entries as JSON lines, proven to be those that the hash stands for.
    pub fn lines(&self) -> Result<Vec<u8>, SegmentError> {
        let announced = self.lines_bytes as usize;
        if announced > SEGMENT_BYTES_MAX || self.body.len() > SEGMENT_ENCODED_BYTES_MAX {
            return Err(SegmentError::Malformed {
                reason: "it is larger than a segment may be",
            });
        }
        // One byte more than announced would be seen; no bomb gets further.
        let lines = with_kept(&DECOMPRESSOR, Decompressor::new, |decompressor| {
            decompressor.decompress(&self.body, announced + 1)
        })
        .map_err(|source| SegmentError::Compression { source })?;
        if lines.len() != announced || self.header.hash(&lines) != self.hash {
            return Err(SegmentError::WrongHash);
        }
        Ok(lines)
    }

    /// The entries, proven, in order, and as many as the header says.
    pub fn entries(&self) -> Result<Vec<Entry>, SegmentError> {
        let lines = self.lines()?;
        let mut entries = Vec::new();
        self.each_entry(&lines, |entry, _| {
            entries.push(entry);
            Ok(())
        })?;
        Ok(entries)
    }

    /// As `entries`, one by one, each with its line as it stands. `lines`: this segment's, proven.
    pub(crate) fn each_entry(
        &self,
        lines: &[u8],
        mut see: impl FnMut(Entry, &str) -> Result<(), SegmentError>,
    ) -> Result<(), SegmentError> {
        let sequence = self.header.sequence;
        let first_seq = self.header.first_seq;
        let mut seq = first_seq;
        for line in lines.split(|byte| *byte == b'\n').filter(|l| !l.is_empty()) {
            let bad = |source| SegmentError::BadEntry { seq, source };
            let entry: Entry = serde_json::from_slice(line).map_err(bad)?;
            if entry.seq != seq {
                return Err(SegmentError::Disorder { sequence, seq });
            }
            let line =
                std::str::from_utf8(line).map_err(|error| bad(serde::de::Error::custom(error)))?;
            see(entry, line)?;
            seq = seq.wrapping_add(1);
        }
        if seq == first_seq || seq != self.header.last_seq.wrapping_add(1) {
            return Err(SegmentError::Disorder { sequence, seq });
        }
        Ok(())
    }

    /// Self-describing bytes, for the wire and the archive.
    pub fn encode(&self) -> Bytes {
        let mut bytes = self.header.bytes();
        bytes.extend_from_slice(&self.hash.0);
        bytes.extend_from_slice(&self.lines_bytes.to_le_bytes());
        let body_bytes = u32::try_from(self.body.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&body_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.body);
        bytes.into()
    }

    /// Reads what `encode` wrote, from anybody: bounded, and its hash proven.
    pub fn decode(bytes: &[u8]) -> Result<Self, SegmentError> {
        let malformed = |reason| SegmentError::Malformed { reason };
        if bytes.len() > SEGMENT_ENCODED_BYTES_MAX + HEADER_BYTES {
            return Err(malformed("it is larger than a segment may be"));
        }
        let mut rest = Rest(bytes);
        if rest.take()? != *MAGIC {
            return Err(malformed("it does not begin as one"));
        }
        if rest.take()? != [VERSION] {
            return Err(malformed("it is of another version"));
        }
        let mut number = || rest.take().map(u64::from_le_bytes);
        let (customer, incarnation, epoch) = (number()?, number()?, number()?);
        let (sequence, first_seq, last_seq) = (number()?, number()?, number()?);
        let at = Timestamp::from_microsecond(number()?.cast_signed())
            .map_err(|_| malformed("its time is none"))?;
        let previous = Hash(rest.take()?);
        let hash = Hash(rest.take()?);
        let lines_bytes = u32::from_le_bytes(rest.take()?);
        let body_bytes = u32::from_le_bytes(rest.take()?);
        if rest.0.len() != body_bytes as usize {
            return Err(malformed("it is cut off, or something follows it"));
        }
        let segment = Segment {
            header: SegmentHeader {
                customer: CustomerId(customer),
                incarnation: Incarnation(incarnation),
                epoch: Epoch(epoch),
                sequence,
                first_seq,
                last_seq,
                at,
                previous,
            },
            hash,
            lines_bytes,
            body: Bytes::copy_from_slice(rest.0),
        };
        segment.lines()?;
        Ok(segment)
    }
}

fn with_kept<T, R>(
    kept: &Mutex<Option<T>>,
    make: impl FnOnce() -> io::Result<T>,
    work: impl FnOnce(&mut T) -> io::Result<R>,
) -> io::Result<R> {
    let free = kept.lock().ok().and_then(|mut kept| kept.take());
    let mut tool = free.map_or_else(make, Ok)?;
    let done = work(&mut tool);
    if let Ok(mut kept) = kept.lock() {
        *kept = Some(tool);
    }
    done
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], SegmentError> {
        let Some((head, rest)) = self.0.split_first_chunk::<N>() else {
            return Err(SegmentError::Malformed {
                reason: "it is cut off",
            });
        };
        self.0 = rest;
        Ok(*head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment() -> Segment {
        let header = SegmentHeader {
            customer: CustomerId(1),
            incarnation: Incarnation(1),
            epoch: Epoch(2),
            sequence: 3,
            first_seq: 1,
            last_seq: 1,
            at: Timestamp::UNIX_EPOCH,
            previous: Hash::ZERO,
        };
        let line = br#"{"seq":1,"at":"1970-01-01T00:00:00Z","entry":"order_released","order":"lockstep:1:2:3"}"#;
        Segment::pack(header, &[line.as_slice(), b"\n"].concat()).unwrap()
    }

    #[test]
    fn a_segment_survives_its_bytes() {
        let segment = segment();
        let back = Segment::decode(&segment.encode()).unwrap();
        assert_eq!(back, segment);
        assert_eq!(back.entries().unwrap().len(), 1);
        assert_eq!(Hash::parse(&back.hash.to_string()), Some(back.hash));
    }

    #[test]
    fn a_segment_that_claims_to_be_small_and_is_large_is_refused() {
        let mut segment = segment();
        segment.body = zstd::bulk::compress(&vec![b' '; 1 << 20], 3)
            .unwrap()
            .into();
        assert!(matches!(
            segment.lines(),
            Err(SegmentError::Compression { .. })
        ));
        segment.lines_bytes = u32::MAX;
        assert!(matches!(
            segment.lines(),
            Err(SegmentError::Malformed { .. })
        ));
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(Segment::decode(&bytes).is_err());
        }

        #[test]
        fn a_changed_byte_is_noticed(at in 0_usize..10_000, with in 1_u8..) {
            let mut bytes = segment().encode().to_vec();
            let at = at % bytes.len();
            bytes[at] ^= with;
            // zstd's own frame has bits that change nothing in what is read; whatever passes reads the same.
            if let Ok(read) = Segment::decode(&bytes) {
                prop_assert_eq!(read.lines().unwrap(), segment().lines().unwrap());
                prop_assert_eq!(read.header, segment().header);
            }
        }

        #[test]
        fn a_piece_of_a_segment_is_refused(cut in 0_usize..10_000) {
            let bytes = segment().encode();
            let cut = cut % bytes.len();
            prop_assert!(Segment::decode(&bytes[..cut]).is_err());
        }
    }
}
