//! The people's API, `/api/v1`: what the CLI, scripts and the console speak. Who may do what is decided
//! here and nowhere else.

pub mod asides;
pub mod buyers;
pub mod conflicts;
pub mod customers;
pub mod events;
mod folding;
pub mod held;
pub mod history;
pub mod login;
pub mod logins;
pub mod matches;
pub mod orders;
pub mod overview;
mod person;
pub mod records;
pub mod runs;
mod said;
pub mod search;
pub mod shops;
pub mod standing;
pub mod tokens;
pub mod undo;
pub mod workers;

pub use person::Person;
pub use runs::phase_word;

use crate::{
    bounds::PAGE_ROWS,
    refusal::{Answer, Refusal},
};
use lockstep_protocol::{bounds::PAGE_ROWS_MAX, people::ListQuery};

fn limit(asked: Option<u32>) -> usize {
    asked
        .map_or(PAGE_ROWS, |limit| limit as usize)
        .clamp(1, PAGE_ROWS_MAX)
}

/// A cursor that is a number; what we did not give is refused.
fn cursor<T: std::str::FromStr>(query: &ListQuery) -> Answer<Option<T>> {
    match query.cursor.as_deref().filter(|cursor| !cursor.is_empty()) {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| foreign_cursor()),
    }
}

fn foreign_cursor() -> Refusal {
    Refusal::bad_request("this cursor was not given here; begin at the first page")
}

/// One row more than asked for says that there is a next page; its cursor is of the last row shown.
fn page<T>(
    mut items: Vec<T>,
    limit: usize,
    cursor: impl Fn(&T) -> String,
) -> lockstep_protocol::people::Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(cursor);
    lockstep_protocol::people::Page { items, next }
}
