//! One customer's replica, open. Synchronous: it is used on threads that may block.

use crate::refusal::Chain;
use lockstep_journal::{Journal, JournalError, Segment, SegmentError};
use lockstep_model::{CustomerId, entry::Entry};
use std::path::{Path, PathBuf};

pub struct Replica {
    pub journal: Journal,
    /// The last segment applied; 0: none.
    pub sequence: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    #[error("the replica of customer {customer} cannot be opened")]
    Open {
        customer: CustomerId,
        #[source]
        source: JournalError,
    },
    #[error("the replica of customer {customer} cannot take segment {sequence}")]
    Segment {
        customer: CustomerId,
        sequence: u64,
        #[source]
        source: SegmentError,
    },
    #[error("the old replica of customer {customer} cannot be removed")]
    Remove {
        customer: CustomerId,
        #[source]
        source: std::io::Error,
    },
    #[error("the replica of customer {customer} cannot be read")]
    Read {
        customer: CustomerId,
        #[source]
        source: JournalError,
    },
}

impl Replica {
    /// A file that cannot be opened is removed and begun anew: nothing is in it that is not elsewhere.
    pub fn open(folder: &Path, customer: CustomerId) -> Result<Self, ReplicaError> {
        let opened = Self::open_file(folder, customer);
        let Err(error) = opened else { return opened };
        tracing::warn!(%customer, error = %Chain(&error), "a replica is built anew");
        Self::remove(folder, customer)?;
        Self::open_file(folder, customer)
    }

    fn open_file(folder: &Path, customer: CustomerId) -> Result<Self, ReplicaError> {
        let failed = |source| ReplicaError::Open { customer, source };
        let journal = Journal::open(&file(folder, customer), customer).map_err(failed)?;
        let head = journal.head().map_err(failed)?;
        Ok(Replica {
            journal,
            sequence: head.segment.map_or(0, |(sequence, _)| sequence),
        })
    }

    pub fn remove(folder: &Path, customer: CustomerId) -> Result<(), ReplicaError> {
        let base = file(folder, customer);
        for suffix in ["", "-wal", "-shm"] {
            let mut path = base.clone().into_os_string();
            path.push(suffix);
            match std::fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(ReplicaError::Remove { customer, source }),
            }
        }
        Ok(())
    }

    /// Applies one segment; gives its entries, for the search.
    pub fn take(&mut self, segment: &Segment) -> Result<Vec<Entry>, ReplicaError> {
        let failed = |source| ReplicaError::Segment {
            customer: segment.header.customer,
            sequence: segment.header.sequence,
            source,
        };
        let entries = segment.entries().map_err(failed)?;
        self.journal.accept(segment).map_err(failed)?;
        self.sequence = segment.header.sequence;
        Ok(entries)
    }
}

pub fn file(folder: &Path, customer: CustomerId) -> PathBuf {
    folder.join(format!("{customer}.replica"))
}
