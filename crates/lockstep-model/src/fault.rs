//! What can go wrong with a shop, as plain data.

use crate::{RemoteId, ShopId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A failed call, or a failed member of a batch. `message` is for people and holds no secret and no personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    pub kind: FaultKind,
    pub shop: Option<ShopId>,
    /// What the record is called (a SKU, an order number), if one is to blame.
    pub record: Option<String>,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum FaultKind {
    /// The credentials are not accepted.
    Auth,
    /// The credentials lack a right.
    Forbidden,
    NotFound,
    /// The record has moved since it was read.
    Conflict,
    /// The shop refuses the content.
    Invalid {
        field: Option<String>,
    },
    /// A record with this key exists.
    Duplicate {
        existing: Option<RemoteId>,
    },
    RateLimited {
        retry_at: Option<Timestamp>,
    },
    /// No connection, or a 5xx to a call that changes nothing.
    Unavailable,
    /// No answer in time to a call that changes nothing.
    Timeout,
    /// The call may or may not have changed the shop: look, never repeat.
    UnknownOutcome,
    /// The answer is not what the platform's protocol says.
    Protocol,
}

impl Fault {
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Fault {
            kind,
            shop: None,
            record: None,
            message: message.into(),
        }
    }

    /// What was to be written is refused for what it says: somebody has to put something right, however often it is tried.
    pub fn is_about_content(&self) -> bool {
        match self.kind {
            FaultKind::Invalid { .. } | FaultKind::Duplicate { .. } => true,
            FaultKind::Auth
            | FaultKind::Forbidden
            | FaultKind::NotFound
            | FaultKind::Conflict
            | FaultKind::RateLimited { .. }
            | FaultKind::Unavailable
            | FaultKind::Timeout
            | FaultKind::UnknownOutcome
            | FaultKind::Protocol => false,
        }
    }

    pub fn about(mut self, record: impl Into<String>) -> Self {
        self.record = Some(record.into());
        self
    }

    pub fn at(mut self, shop: ShopId) -> Self {
        self.shop = Some(shop);
        self
    }
}
