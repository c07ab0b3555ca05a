//! One open conflict, with what it is about.

use super::{catalogue, stock};
use crate::columns::{int, parse, subject_of};
use crate::{Journal, JournalError};
use lockstep_model::ConflictId;
use lockstep_model::cases::{ConflictCase, ConflictSubject};
use lockstep_model::entry::Subject;
use rusqlite::OptionalExtension;

impl Journal {
    /// `None`: there is no such conflict, or it is closed.
    pub fn conflict_case(
        &self,
        conflict: ConflictId,
    ) -> Result<Option<ConflictCase>, JournalError> {
        let row: Option<(String, String)> = self
            .connection
            .prepare_cached(
                "SELECT subject, about FROM conflict WHERE conflict = ?1 AND closed_at IS NULL",
            )?
            .query_row([int(conflict.0)], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((subject, about)) = row else {
            return Ok(None);
        };
        let subject = match subject_of(&subject)? {
            Subject::Record(record) => catalogue::known(&self.connection, int(record.0))?
                .map(|known| ConflictSubject::Record(Box::new(known))),
            Subject::Level { stock, item } => {
                let case = stock::stock_case(&self.connection, &item, stock)?;
                Some(ConflictSubject::Level(Box::new(case)))
            }
            Subject::Order(order) => Some(ConflictSubject::Order(order)),
            Subject::Shop(shop) => Some(ConflictSubject::Shop(shop)),
            Subject::Levels => Some(ConflictSubject::Levels),
            Subject::Catalogue => Some(ConflictSubject::Catalogue),
        };
        let Some(subject) = subject else {
            return Ok(None);
        };
        Ok(Some(ConflictCase {
            conflict,
            about: parse("a conflict", &about)?,
            subject,
        }))
    }
}
