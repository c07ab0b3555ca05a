//! What is told of a checkpoint before its bytes, as headers of the answer. What is inside is the journal's own business.

use crate::headers::{
    CHECKPOINT_BYTES, CHECKPOINT_SHA256, SEGMENT_EPOCH, SEGMENT_HASH, SEGMENT_INCARNATION,
    SEGMENT_SEQUENCE,
};
use crate::segment::{BadSegment, Head, SegmentHash, read};
use http::{HeaderMap, HeaderName, HeaderValue};
use lockstep_model::{Epoch, Incarnation};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointHeader {
    /// The segment that it ends with.
    pub head: Head,
    pub bytes: u64,
    /// Of those bytes.
    pub sha256: SegmentHash,
}

impl CheckpointHeader {
    pub fn to_headers(&self) -> [(HeaderName, HeaderValue); 6] {
        let hash = |hash: SegmentHash| {
            HeaderValue::from_str(&hash.to_string()).unwrap_or(HeaderValue::from_static(""))
        };
        [
            (
                SEGMENT_INCARNATION,
                HeaderValue::from(self.head.incarnation.0),
            ),
            (SEGMENT_EPOCH, HeaderValue::from(self.head.epoch.0)),
            (SEGMENT_SEQUENCE, HeaderValue::from(self.head.sequence)),
            (SEGMENT_HASH, hash(self.head.hash)),
            (CHECKPOINT_BYTES, HeaderValue::from(self.bytes)),
            (CHECKPOINT_SHA256, hash(self.sha256)),
        ]
    }

    pub fn from_headers(headers: &HeaderMap) -> Result<Self, BadSegment> {
        Ok(CheckpointHeader {
            head: Head {
                incarnation: Incarnation(read(headers, &SEGMENT_INCARNATION, "incarnation")?),
                epoch: Epoch(read(headers, &SEGMENT_EPOCH, "epoch")?),
                sequence: read(headers, &SEGMENT_SEQUENCE, "sequence")?,
                hash: read(headers, &SEGMENT_HASH, "hash")?,
            },
            bytes: read(headers, &CHECKPOINT_BYTES, "length")?,
            sha256: read(headers, &CHECKPOINT_SHA256, "SHA-256")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_what_it_writes() {
        let header = CheckpointHeader {
            head: Head {
                incarnation: Incarnation(1),
                epoch: Epoch(2),
                sequence: 3,
                hash: SegmentHash([4; 32]),
            },
            bytes: u64::MAX,
            sha256: SegmentHash([5; 32]),
        };
        let mut headers: HeaderMap = header.to_headers().into_iter().collect();
        assert_eq!(CheckpointHeader::from_headers(&headers), Ok(header));
        headers.remove(CHECKPOINT_SHA256);
        assert!(CheckpointHeader::from_headers(&headers).is_err());
    }
}
