//! A copy of a customer's file that is used for a while and thrown away, taken beside whoever works on the file.

use crate::schema;
use crate::{Journal, JournalError};
use lockstep_model::CustomerId;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};

/// Removed with the value. Keys of personal data lie in it as in its original: it is its owner's alone.
#[derive(Debug)]
pub struct Copy {
    path: PathBuf,
}

/// The file, and what SQLite keeps beside it.
const SUFFIXES: [&str; 3] = ["-wal", "-shm", ""];

impl Journal {
    /// The file as it stands, with what was read and not decided on yet. Nobody who works on it waits.
    pub fn copy(from: &Path, to: &Path, customer: CustomerId) -> Result<Copy, JournalError> {
        let opened = |source| JournalError::Open {
            path: from.to_owned(),
            source,
        };
        let made = |source| JournalError::Make {
            path: to.to_owned(),
            source,
        };
        let copy = Copy {
            path: to.to_owned(),
        };
        copy.remove();
        schema::create_private(to).map_err(made)?;
        let name = to.to_str().ok_or_else(|| {
            made(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                "its place has a name that is no text",
            ))
        })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let original = Connection::open_with_flags(from, flags).map_err(opened)?;
        schema::wait_for_others(&original)?;
        original.execute("VACUUM INTO ?1", [name])?;
        drop(original);
        // It is one of this customer, of a format that this build knows.
        Journal::open(to, customer)?;
        Ok(copy)
    }
}

impl Copy {
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn remove(&self) {
        for suffix in SUFFIXES {
            let mut path = self.path.as_os_str().to_owned();
            path.push(suffix);
            // What is left is overwritten by the next, or swept away at the next start.
            let _gone = std::fs::remove_file(&path);
        }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        self.remove();
    }
}
