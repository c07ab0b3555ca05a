//! Makes a checkpoint of a replica. Its readers and its writer go on meanwhile: the copy is made by a connection of its
//! own, in one read transaction of the write-ahead log.

use super::{Checkpoint, HEADER_BYTES, Header, PIECE_BYTES, proof};
use crate::bounds::{BUSY_MS, CHECKPOINT_BYTES_MAX, CHECKPOINT_FILE_BYTES_MAX};
use crate::segment::{COMPRESSION_LEVEL, Hash};
use crate::{CheckpointError, schema};
use lockstep_model::CustomerId;
use rusqlite::{Connection, InterruptHandle, OpenFlags};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zstd::stream::write::Encoder;

/// A checkpoint on its way.
pub struct Making {
    replica: Connection,
    customer: CustomerId,
    stopped: Arc<AtomicBool>,
}

/// Stops one that is being made: a large copy takes its time.
pub struct Stopper {
    sqlite: InterruptHandle,
    stopped: Arc<AtomicBool>,
}

impl Stopper {
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.sqlite.interrupt();
    }
}

impl Making {
    pub fn of(replica: &Path, customer: CustomerId) -> Result<Self, CheckpointError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(replica, flags)?;
        connection.busy_timeout(Duration::from_millis(BUSY_MS))?;
        Ok(Making {
            replica: connection,
            customer,
            stopped: Arc::default(),
        })
    }

    pub fn stopper(&self) -> Stopper {
        Stopper {
            sqlite: self.replica.get_interrupt_handle(),
            stopped: self.stopped.clone(),
        }
    }

    /// Writes it, durably, to a file that is not there yet. `None`: the replica holds no segment.
    ///
    /// A replica that is not what its segments say is refused here: nobody would take the checkpoint.
    pub fn write(self, to: &Path) -> Result<Option<Checkpoint>, CheckpointError> {
        let copy = Copy::of(&self.replica, to)?;
        drop(self.replica);
        let Some(head) = proof::prove(&copy.path, self.customer)? else {
            return Ok(None);
        };
        let mut file = File::open(&copy.path).map_err(CheckpointError::io(&copy.path))?;
        let file_bytes = file
            .metadata()
            .map_err(CheckpointError::io(&copy.path))?
            .len();
        CheckpointError::bound("bytes of its file", file_bytes, CHECKPOINT_FILE_BYTES_MAX)?;
        let header = Header {
            head,
            format: schema::FORMAT.unsigned_abs(),
            file_bytes,
        };
        let written = schema::create_private(to)
            .and_then(|to| compress(&header, &mut file, to, &self.stopped));
        let (bytes, sha256) = match written {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return Err(CheckpointError::Stopped);
            }
            other => other.map_err(CheckpointError::io(to))?,
        };
        CheckpointError::bound("bytes", bytes, CHECKPOINT_BYTES_MAX)?;
        Ok(Some(Checkpoint {
            head,
            bytes,
            sha256,
        }))
    }
}

/// The consistent copy, compact. Gone with the value.
struct Copy {
    path: PathBuf,
}

impl Copy {
    fn of(replica: &Connection, beside: &Path) -> Result<Self, CheckpointError> {
        let mut path = beside.as_os_str().to_owned();
        path.push(".copy");
        let copy = Copy { path: path.into() };
        copy.remove();
        // SQLite fills an empty file that is there: this one is for its owner's eyes alone.
        schema::create_private(&copy.path).map_err(CheckpointError::io(&copy.path))?;
        let name = copy.path.to_str().ok_or(CheckpointError::Malformed {
            reason: "its place has a name that is no text",
        })?;
        replica.execute("VACUUM INTO ?1", [name]).map_err(|error| {
            match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::OperationInterrupted) => CheckpointError::Stopped,
                _ => error.into(),
            }
        })?;
        Ok(copy)
    }

    fn remove(&self) {
        // What is left is overwritten by the next, or swept away with the folder.
        let _gone = std::fs::remove_file(&self.path);
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        self.remove();
    }
}

fn compress(
    header: &Header,
    from: &mut File,
    to: File,
    stopped: &AtomicBool,
) -> io::Result<(u64, Hash)> {
    let mut hashed = Hashed {
        to,
        hasher: Sha256::new(),
        bytes: 0,
    };
    hashed.write_all(&header.encode())?;
    debug_assert_eq!(hashed.bytes, HEADER_BYTES as u64);
    let mut encoder = Encoder::new(hashed, COMPRESSION_LEVEL)?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        if stopped.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let read = from.read(&mut piece)?;
        if read == 0 {
            break;
        }
        encoder.write_all(piece.get(..read).unwrap_or_default())?;
    }
    let hashed = encoder.finish()?;
    hashed.to.sync_all()?;
    Ok((hashed.bytes, Hash(hashed.hasher.finalize().into())))
}

/// Counts and hashes what goes through.
struct Hashed {
    to: File,
    hasher: Sha256,
    bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
