//! One checkpoint on this coordinator's disk. Its name says what was written, so that it is whole and announced as it
//! was made, or not there: `7-1200-<SHA-256>.checkpoint`.

use lockstep_journal::{Checkpoint, CheckpointError, CheckpointHead, Hash};
use lockstep_model::CustomerId;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

const SUFFIX: &str = ".checkpoint";
const PIECE_BYTES: usize = 256 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub checkpoint: Checkpoint,
    pub path: PathBuf,
}

impl Stored {
    pub fn named(folder: &Path, checkpoint: Checkpoint) -> Self {
        let CheckpointHead {
            customer, sequence, ..
        } = checkpoint.head;
        let name = format!("{customer}-{sequence}-{}{SUFFIX}", checkpoint.sha256);
        Stored {
            checkpoint,
            path: folder.join(name),
        }
    }

    /// `None`: the file is something else, such as a piece of one.
    pub fn found(path: &Path) -> Result<Option<Self>, CheckpointError> {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some((customer, sequence, sha256)) = name.and_then(parts) else {
            return Ok(None);
        };
        let head = CheckpointHead::read(path)?;
        if (head.customer, head.sequence) != (customer, sequence) {
            return Ok(None);
        }
        let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        Ok(Some(Stored {
            checkpoint: Checkpoint {
                head,
                bytes,
                sha256,
            },
            path: path.to_owned(),
        }))
    }
}

impl Stored {
    /// Reads all of it: has the disk kept what was written?
    pub fn is_sound(&self) -> io::Result<bool> {
        let mut file = File::open(&self.path)?;
        let mut hasher = Sha256::new();
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = file.read(&mut piece)?;
            if read == 0 {
                return Ok(<[u8; 32]>::from(hasher.finalize()) == self.checkpoint.sha256.0);
            }
            hasher.update(piece.get(..read).unwrap_or_default());
        }
    }
}

fn parts(name: &str) -> Option<(CustomerId, u64, Hash)> {
    let mut parts = name.strip_suffix(SUFFIX)?.splitn(3, '-');
    let customer = parts.next()?.parse().ok()?;
    let sequence = parts.next()?.parse().ok()?;
    Some((customer, sequence, Hash::parse(parts.next()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_it_is_up_to_where_and_what_was_written() {
        let hash = Hash([7; 32]);
        let name = format!("7-1200-{hash}.checkpoint");
        assert_eq!(parts(&name), Some((CustomerId(7), 1200, hash)));
        for other in [
            "7.new",
            "7.new.copy",
            "7-1200-ff.checkpoint",
            "7--.checkpoint",
            "",
        ] {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}
