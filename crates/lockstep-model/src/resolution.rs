//! A person's word on a conflict, or on an order that does not cross.

use crate::{RecordId, RemoteId, ShopId, Value};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Resolution {
    /// A field that several shops changed: this shop's value.
    UseShop { shop_id: ShopId },
    /// A field that several shops changed: a value of one's own.
    UseValue { value: Value },
    /// A doubtful match: the shop's record is this one of ours.
    IsRecord { record_id: RecordId },
    /// A doubtful match: the shop's record is none of ours.
    NoneOfOurs,
    /// A shop that was met: what would be written to it is written.
    Accept,
    /// A level in doubt: our write was applied, and what differs from it moved by itself.
    WasWritten,
    /// A level in doubt: our write was not applied, and what differs from before moved by itself.
    WasNotWritten,
    /// Shipped here and cancelled there: it was settled by hand, and neither side is told of the other any more. A record that
    /// a shop deleted: it stays so.
    LeaveAsIs,
    /// A field that was undone: what the shop is held at counts, and goes to where our own record has it from.
    RestoreInSource,
    /// A field that was undone: it is synced again, as the policy says.
    Release,
    /// A record that a shop deleted: it is made there again.
    MakeAgain,
}

/// On an order that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum OrderAnswer {
    /// It may or may not have been made, and it was: its id in the receiving shop.
    ItIsThere { id: RemoteId },
    /// It may or may not have been made, and it was not: make it.
    ItIsNotThere,
    /// What held it was mended.
    TryAgain,
}
