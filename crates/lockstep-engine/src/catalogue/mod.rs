//! Products and categories: match, three-way merge, plan. Pure functions from a [`Cluster`] to a [`Decision`].

mod decide;
mod merge;
mod terms;

pub use decide::{Decision, Ids, decide};
pub(crate) use decide::{settled_by, settles_at};
pub use terms::Terms;

#[cfg(test)]
mod removal_tests;
#[cfg(test)]
mod root_tests;
#[cfg(test)]
mod tests;
