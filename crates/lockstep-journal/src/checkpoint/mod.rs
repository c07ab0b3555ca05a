//! A checkpoint: a copy of a replica as of an acknowledged segment, for a worker that takes over. It replaces no
//! segment: what it says is believed as far as the chain of segments says the same.
//!
//! ```text
//!  replica ──► make: a consistent copy ──► proof ──► zstd ──► coordinator's disk
//!                                                                   │ bytes, in pieces
//!  a worker's file ◄── proof ◄── unpack: bounded, never whole in memory ◄┘
//!
//! magic "LKCP" · version · format of the tables · customer · incarnation · epoch · sequence · bytes of the file
//! (8 bytes each) · hash of the segment (32) · body: zstd of an SQLite file
//! ```
//! All numbers are little-endian. A replica has all that a worker's file has but for what is that file's own (staged
//! pages, plans, the keys of personal data), and of that a new file has nothing either: unpacked, it *is* a new
//! worker's file.

mod make;
mod proof;
mod unpack;

pub use make::{Making, Stopper};
pub use unpack::Unpacking;

use crate::CheckpointError;
use crate::segment::Hash;
use lockstep_model::{CustomerId, Epoch, Incarnation};
use std::io::Read;
use std::path::Path;

const MAGIC: &[u8; 4] = b"LKCP";
const VERSION: u8 = 1;
const NUMBERS: usize = 6;
const HASH_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + 1 + NUMBERS * 8 + HASH_BYTES;
/// Of what is read and written at once.
const PIECE_BYTES: usize = 256 << 10;

/// The segment that a checkpoint ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointHead {
    pub customer: CustomerId,
    /// As the segment says it.
    pub incarnation: Incarnation,
    pub epoch: Epoch,
    pub sequence: u64,
    pub hash: Hash,
}

/// What is told of a checkpoint before its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    pub head: CheckpointHead,
    /// As it lies on the coordinator's disk and travels.
    pub bytes: u64,
    /// Of those bytes.
    pub sha256: Hash,
}

/// What a checkpoint says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    head: CheckpointHead,
    /// Of the tables. One of another format than ours is left alone.
    format: u64,
    /// Unpacked.
    file_bytes: u64,
}

impl CheckpointHead {
    /// Of a checkpoint on the disk; the rest of it is not looked at.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let mut bytes = [0; HEADER_BYTES];
        std::fs::File::open(path)
            .and_then(|mut file| file.read_exact(&mut bytes))
            .map_err(CheckpointError::io(path))?;
        Ok(Header::decode(&bytes)?.head)
    }
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        for number in [
            self.format,
            self.head.customer.0,
            self.head.incarnation.0,
            self.head.epoch.0,
            self.head.sequence,
            self.file_bytes,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.head.hash.0);
        bytes
    }

    fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, CheckpointError> {
        let malformed = |reason| CheckpointError::Malformed { reason };
        let cut = || malformed("it is cut off");
        let (magic, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
        if magic != MAGIC {
            return Err(malformed("it does not begin as one"));
        }
        let (version, rest) = rest.split_first().ok_or_else(cut)?;
        if *version != VERSION {
            return Err(malformed("it is of another version"));
        }
        let mut numbers = [0; NUMBERS];
        let mut rest = rest;
        for number in &mut numbers {
            let (bytes, after) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
            *number = u64::from_le_bytes(*bytes);
            rest = after;
        }
        let hash = rest.try_into().map(Hash).map_err(|_| cut())?;
        let [format, customer, incarnation, epoch, sequence, file_bytes] = numbers;
        Ok(Header {
            head: CheckpointHead {
                customer: CustomerId(customer),
                incarnation: Incarnation(incarnation),
                epoch: Epoch(epoch),
                sequence,
                hash,
            },
            format,
            file_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_header_reads_what_it_writes(numbers: [u64; 6], hash: [u8; 32]) {
            let [format, customer, incarnation, epoch, sequence, file_bytes] = numbers;
            let header = Header {
                head: CheckpointHead {
                    customer: CustomerId(customer),
                    incarnation: Incarnation(incarnation),
                    epoch: Epoch(epoch),
                    sequence,
                    hash: Hash(hash),
                },
                format,
                file_bytes,
            };
            let bytes = header.encode();
            prop_assert_eq!(Header::decode(bytes.as_slice().try_into().unwrap()).unwrap(), header);
        }
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        assert!(Header::decode(&[0; HEADER_BYTES]).is_err());
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4] = VERSION + 1;
        assert!(Header::decode(&bytes).is_err());
    }
}
