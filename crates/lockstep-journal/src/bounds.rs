//! Every bound of this crate, in one place.

/// One entry as JSON. An order of 10,000 lines fits.
pub const ENTRY_BYTES_MAX: usize = 8 << 20;
/// Entries of one transaction.
pub const APPEND_ENTRIES_MAX: usize = 50_000;
/// Records of one staged page.
pub const PAGE_RECORDS_MAX: usize = 10_000;
/// Records of ours and rows of shops that are decided on together.
pub const CLUSTER_MEMBERS_MAX: usize = 50;
/// Cases of one chunk, whatever the caller asks for.
pub const CHUNK_MAX: usize = 2_000;
/// Rows of one page of a view.
pub const VIEW_ROWS_MAX: usize = 1_000;
/// Entries of one record that its history looks through to tell what a value was before.
pub const HISTORY_LOOK_BACK_MAX: usize = 5_000;
/// How deep a category tree may be; deeper (or a loop) is cut here.
pub const CATEGORY_DEPTH_MAX: usize = 32;
/// Entries of one segment, as JSON lines.
pub const SEGMENT_BYTES_MAX: usize = 16 << 20;
/// A segment as it travels: header and compressed body.
pub const SEGMENT_ENCODED_BYTES_MAX: usize = 8 << 20;
/// A checkpoint as it travels.
pub const CHECKPOINT_BYTES_MAX: u64 = 8 << 30;
/// The file that is made of it: a million articles in three shops are about 5 GiB.
pub const CHECKPOINT_FILE_BYTES_MAX: u64 = 64 << 30;
/// SQLite's page cache of one file.
pub(crate) const CACHE_KIB: i64 = 4 << 10;
/// Pages in the write-ahead log before they are moved into the file (4 KiB each).
pub(crate) const WAL_PAGES: i64 = 1_000;
pub(crate) const WAL_BYTES_KEPT: i64 = 16 << 20;
pub(crate) const BUSY_MS: u64 = 5_000;
pub(crate) const STATEMENTS_CACHED: usize = 256;
/// Orders that are held for the same are counted; of so many it is said which.
pub const HELD_ORDERS_NAMED: usize = 50;
