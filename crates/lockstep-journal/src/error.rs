//! What can go wrong with a customer's file, and with a segment or a checkpoint of one.

use lockstep_model::{CustomerId, Epoch, Incarnation};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the journal {} cannot be made: {source}. Check the folder's rights and the disk", path.display())]
    Make {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "the journal {} cannot be opened: {source}. Nothing in it was changed. Check the folder's rights and the disk",
        path.display()
    )]
    Open {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error(
        "the journal's file cannot be read or written: {source}. What was committed before is kept; check the disk's \
         space and health, then start the run again"
    )]
    Sqlite {
        #[from]
        source: rusqlite::Error,
    },
    #[error(
        "{} is the journal of customer {found}, not of customer {wanted}. Nothing was changed. Has the file been \
         renamed or copied?",
        path.display()
    )]
    WrongCustomer {
        path: PathBuf,
        wanted: CustomerId,
        found: CustomerId,
    },
    #[error(
        "{} has the format {found} of a newer Lockstep; this one knows {known}. Nothing was changed. Update this \
         installation",
        path.display()
    )]
    NewerFormat {
        path: PathBuf,
        found: i64,
        known: i64,
    },
    #[error("{} is an SQLite file, but not a journal. Nothing was changed", path.display())]
    NotAJournal { path: PathBuf },
    #[error(
        "entry {seq} of the journal cannot be understood: {source}. Everything is kept; restore the file from its \
         segments, or update this installation if a newer one wrote it"
    )]
    CorruptEntry {
        seq: u64,
        #[source]
        source: serde_json::Error,
    },
    #[error(
        "the journal's own record of {what} cannot be understood. Everything is kept; restore the file from its \
         segments"
    )]
    Corrupt { what: &'static str },
    #[error("{what} cannot be written as JSON: {source}. Nothing of this step was kept")]
    Encode {
        what: &'static str,
        #[source]
        source: serde_json::Error,
    },
    #[error("{what}: {found} of at most {max}. Nothing of this step was kept")]
    TooLarge {
        what: &'static str,
        found: usize,
        max: usize,
    },
    #[error(
        "incarnation {incarnation}, epoch {epoch} is not newer than the journal's {held_incarnation}, {held_epoch}: \
         another worker owns this customer. Nothing was written"
    )]
    OldEpoch {
        incarnation: Incarnation,
        epoch: Epoch,
        held_incarnation: Incarnation,
        held_epoch: Epoch,
    },
    #[error("an order's personal data cannot be sealed. Nothing of this step was kept")]
    Seal,
    #[error(
        "another process reads the customer's file, so that its log cannot be emptied of what was erased; it is tried again"
    )]
    LogInUse,
    #[error(
        "an entry about customer {found} was offered to the journal of customer {wanted}. Nothing of this step was kept"
    )]
    ForeignEntry {
        wanted: CustomerId,
        found: CustomerId,
    },
}

impl JournalError {
    pub(crate) fn encode(what: &'static str) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| JournalError::Encode { what, source }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    #[error("this is not a journal segment: {reason}")]
    Malformed { reason: &'static str },
    #[error("the segment cannot be decompressed: {source}")]
    Compression {
        #[source]
        source: std::io::Error,
    },
    #[error(
        "the segment's content is not what its hash says: it was damaged or changed on its way"
    )]
    WrongHash,
    #[error("the segment belongs to customer {found}, not to customer {wanted}")]
    WrongCustomer {
        wanted: CustomerId,
        found: CustomerId,
    },
    #[error("the segment has the number {found}; the next is {wanted}")]
    Gap { wanted: u64, found: u64 },
    #[error("another segment is known under the number {sequence}")]
    Forked { sequence: u64 },
    #[error("segment {sequence} does not follow the segment before it")]
    BrokenChain { sequence: u64 },
    #[error("segment {sequence} is of an older epoch than the one before it")]
    OldEpoch { sequence: u64 },
    #[error("segment {sequence} begins with entry {found}; the journal continues with {wanted}")]
    WrongStart {
        sequence: u64,
        wanted: u64,
        found: u64,
    },
    #[error("segment {sequence} holds entries out of order at {seq}")]
    Disorder { sequence: u64, seq: u64 },
    #[error("entry {seq} of the segment cannot be understood: {source}")]
    BadEntry {
        seq: u64,
        #[source]
        source: serde_json::Error,
    },
    #[error("segment {sequence} was acknowledged under a hash that is not ours")]
    WrongAcknowledgement { sequence: u64 },
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl From<rusqlite::Error> for SegmentError {
    fn from(source: rusqlite::Error) -> Self {
        SegmentError::Journal(source.into())
    }
}

/// Why a checkpoint was not made or not taken. Whoever wanted it replays the segments: nothing is lost but time.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("this is no checkpoint: {reason}")]
    Malformed { reason: &'static str },
    #[error("its {what} is not the one that was announced: it was damaged or changed")]
    NotAsAnnounced { what: &'static str },
    #[error("its tables have the format {found}; this Lockstep's have {known}")]
    OtherFormat { found: u64, known: u64 },
    #[error("it belongs to customer {found}, not to customer {wanted}")]
    WrongCustomer {
        wanted: CustomerId,
        found: CustomerId,
    },
    #[error("SQLite finds its file damaged: {found}")]
    Unsound { found: String },
    #[error("it has rows in \"{table}\", which belong to one file and are in no segment")]
    NotShared { table: &'static str },
    #[error("its entries are not those of its segments: {0}")]
    Chain(#[from] SegmentError),
    #[error("{what}: {found} of at most {max}")]
    TooLarge {
        what: &'static str,
        found: u64,
        max: u64,
    },
    #[error("it was stopped before it was made")]
    Stopped,
    #[error("{} cannot be read or written: {source}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl CheckpointError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| CheckpointError::Io { path, source }
    }

    pub(crate) fn bound(what: &'static str, found: u64, max: u64) -> Result<(), Self> {
        if found <= max {
            return Ok(());
        }
        Err(CheckpointError::TooLarge { what, found, max })
    }
}

impl From<rusqlite::Error> for CheckpointError {
    fn from(source: rusqlite::Error) -> Self {
        CheckpointError::Journal(source.into())
    }
}
