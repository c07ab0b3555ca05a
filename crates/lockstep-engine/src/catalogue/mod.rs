//! Products and categories: match, three-way merge, plan. Pure functions from a [`Cluster`] to a [`Decision`].

mod became;
mod decide;
mod holds;
mod items;
mod matching;
mod merge;
pub(crate) mod parts;
pub(crate) mod pictures;
mod prices;
mod target;
mod terms;
mod undone;

pub(crate) use became::{is_after, settled_by, settles_at};
pub(crate) use decide::put_back;
pub use decide::{Deciding, Decision, Ids, decide};
pub use holds::Holding;
pub use target::Withholds;
pub use terms::Terms;

#[cfg(test)]
mod holds_tests;
#[cfg(test)]
mod items_tests;
#[cfg(test)]
mod matching_tests;
#[cfg(test)]
mod membership_tests;
#[cfg(test)]
mod removal_tests;
#[cfg(test)]
mod root_tests;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod undone_tests;
