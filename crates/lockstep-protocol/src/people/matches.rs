//! Records of shops of which it is open which of ours they are, as one table: out to a spreadsheet, and back.

use serde::{Deserialize, Serialize};

/// CSV with a head. `question` and `answer` are what is read back; the other columns are for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchesView {
    pub csv: String,
    pub rows: u64,
    /// There are more questions than one table takes: answer these first.
    pub more: bool,
}

/// The same table, answered: the number of our record, `none`, or nothing. Separated by commas, semicolons or tabs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchesRequest {
    pub csv: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchesReply {
    pub answered: u64,
    /// Rows without an answer.
    pub left: u64,
    pub refused: Vec<RefusedRow>,
}

/// An answer that could not be taken. All others were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    /// In the table, the head being line 1.
    pub line: u64,
    pub why: String,
}
