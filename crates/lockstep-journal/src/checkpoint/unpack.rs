//! Makes a worker's file of a checkpoint, piece by piece as its bytes arrive. What is half there is of no use: the file
//! is a journal once `finish` has said so.

use super::{Checkpoint, HEADER_BYTES, Header, proof};
use crate::bounds::{CHECKPOINT_BYTES_MAX, CHECKPOINT_FILE_BYTES_MAX};
use crate::segment::Hash;
use crate::{CheckpointError, schema};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use zstd::stream::write::Decoder;

/// Of zstd's window: what its compressor uses at our level fits, and it is held in memory.
const WINDOW_LOG_MAX: u32 = 23;

pub struct Unpacking {
    announced: Checkpoint,
    path: PathBuf,
    hasher: Sha256,
    received: u64,
    stage: Stage,
}

enum Stage {
    /// What came of its header.
    Header(Vec<u8>),
    Body(Decoder<'static, Bounded>),
}

impl Unpacking {
    /// To a file that is not there yet, for its owner's eyes alone.
    pub fn begin(to: &Path, announced: Checkpoint) -> Result<Self, CheckpointError> {
        CheckpointError::bound("bytes", announced.bytes, CHECKPOINT_BYTES_MAX)?;
        Ok(Unpacking {
            announced,
            path: to.to_owned(),
            hasher: Sha256::new(),
            received: 0,
            stage: Stage::Header(Vec::with_capacity(HEADER_BYTES)),
        })
    }

    /// The next bytes of it.
    pub fn take(&mut self, mut piece: &[u8]) -> Result<(), CheckpointError> {
        self.received += piece.len() as u64;
        if self.received > self.announced.bytes {
            return Err(CheckpointError::NotAsAnnounced { what: "length" });
        }
        self.hasher.update(piece);
        if let Stage::Header(bytes) = &mut self.stage {
            let missing = HEADER_BYTES - bytes.len();
            let (head, rest) = piece.split_at(missing.min(piece.len()));
            bytes.extend_from_slice(head);
            piece = rest;
            let Ok(whole) = bytes.as_slice().try_into() else {
                return Ok(());
            };
            let header = Header::decode(whole)?;
            self.stage = Stage::Body(self.open(&header)?);
        }
        match &mut self.stage {
            Stage::Body(decoder) => decoder
                .write_all(piece)
                .map_err(CheckpointError::io(&self.path)),
            Stage::Header(_) => Ok(()),
        }
    }

    fn open(&self, header: &Header) -> Result<Decoder<'static, Bounded>, CheckpointError> {
        if header.head != self.announced.head {
            return Err(CheckpointError::NotAsAnnounced { what: "segment" });
        }
        let known = schema::FORMAT.unsigned_abs();
        if header.format != known {
            return Err(CheckpointError::OtherFormat {
                found: header.format,
                known,
            });
        }
        CheckpointError::bound(
            "bytes of its file",
            header.file_bytes,
            CHECKPOINT_FILE_BYTES_MAX,
        )?;
        let made = schema::create_private(&self.path).and_then(|file| {
            let mut decoder = Decoder::new(Bounded {
                to: file,
                left: header.file_bytes,
            })?;
            decoder.window_log_max(WINDOW_LOG_MAX)?;
            Ok(decoder)
        });
        made.map_err(CheckpointError::io(&self.path))
    }

    /// All of it was there. The file is a journal that ends with the announced segment, and nothing else is known of
    /// that segment than that its journal hashes to it: whether it stands in the chain, the chain says.
    pub fn finish(self) -> Result<(), CheckpointError> {
        if self.received != self.announced.bytes {
            return Err(CheckpointError::NotAsAnnounced { what: "length" });
        }
        if Hash(self.hasher.finalize().into()) != self.announced.sha256 {
            return Err(CheckpointError::NotAsAnnounced { what: "SHA-256" });
        }
        let Stage::Body(mut decoder) = self.stage else {
            return Err(CheckpointError::Malformed {
                reason: "it is cut off",
            });
        };
        decoder.flush().map_err(CheckpointError::io(&self.path))?;
        let bounded = decoder.into_inner();
        if bounded.left != 0 {
            return Err(CheckpointError::Malformed {
                reason: "its file is not as long as it says",
            });
        }
        bounded
            .to
            .sync_all()
            .map_err(CheckpointError::io(&self.path))?;
        drop(bounded);
        let head = &self.announced.head;
        if proof::prove(&self.path, head.customer)?.as_ref() == Some(head) {
            Ok(())
        } else {
            Err(CheckpointError::NotAsAnnounced { what: "segment" })
        }
    }
}

/// No bomb gets further than what it said of itself.
struct Bounded {
    to: File,
    left: u64,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "its file is longer than it says",
            ));
        };
        self.to.write_all(bytes)?;
        self.left = left;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
