//! What can go wrong with the database, as a closed set of kinds.

use lockstep_model::settings::Problem;
use sea_orm::{DbErr, SqlErr};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// It does not answer, or the disk does not: try again later.
    Unavailable,
    /// Somebody else holds it for longer than we wait: try again.
    Busy,
    NotFound,
    /// The state does not allow it, or a row of that key exists.
    Conflict,
    /// Somebody edited it since; this is its revision now.
    OldRevision(u64),
    /// The settings are not sound.
    Invalid(Vec<Problem>),
    /// Sealed with another key, or with none that we have.
    WrongKey,
    /// Another coordinator has this SQLite file.
    InUse,
    /// Something stored cannot be read back.
    Corrupt,
}

#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StorageError {
    pub kind: Kind,
    pub message: String,
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StorageError {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        StorageError {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn because(
        kind: Kind,
        message: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        StorageError {
            kind,
            message: message.into(),
            source: Some(Box::new(source)),
        }
    }

    pub(crate) fn not_found(what: impl std::fmt::Display) -> Self {
        StorageError::new(Kind::NotFound, format!("there is no {what}"))
    }

    pub(crate) fn corrupt(
        what: impl std::fmt::Display,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        StorageError::because(
            Kind::Corrupt,
            format!("{what} cannot be read from the database"),
            source,
        )
    }
}

impl From<DbErr> for StorageError {
    fn from(error: DbErr) -> Self {
        let (kind, message) = match &error {
            DbErr::RecordNotFound(_) => (Kind::NotFound, "the row is not there"),
            DbErr::ConnectionAcquire(_) => {
                (Kind::Busy, "no connection to the database was free in time")
            }
            _ if is_busy(&error) => (Kind::Busy, "the database is busy; try again"),
            _ => match error.sql_err() {
                Some(SqlErr::UniqueConstraintViolation(_)) => {
                    (Kind::Conflict, "a row with this key exists already")
                }
                _ => (
                    Kind::Unavailable,
                    "the database failed; nothing of this was saved",
                ),
            },
        };
        StorageError::because(kind, message, error)
    }
}

/// SQLite's "locked", PostgreSQL's and MariaDB's deadlocks and lock timeouts, by their stable codes.
fn is_busy(error: &DbErr) -> bool {
    let (DbErr::Exec(sea_orm::RuntimeErr::SqlxError(inner))
    | DbErr::Query(sea_orm::RuntimeErr::SqlxError(inner))) = error
    else {
        return false;
    };
    let Some(database) = inner.as_database_error() else {
        return false;
    };
    database.code().is_some_and(|code| {
        matches!(
            code.as_ref(),
            "5" | "6" | "517" | "40001" | "40P01" | "55P03" | "1205" | "1213"
        )
    })
}
