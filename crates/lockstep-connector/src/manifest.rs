//! What a platform can do and how it has to be treated, as data.

use lockstep_model::{ChangeSort, Field, Kind, StepSort, VariantField};
use std::time::Duration;

/// One for each platform.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// As in the settings' `services.platform`.
    pub platform: &'static str,
    pub name: &'static str,
    /// The settings form's credentials.
    pub credentials: &'static [Credential],
    pub paging: &'static [Paging],
    pub batches: &'static [WriteBatch],
    pub stock_write: StockWrite,
    pub orders: OrderCreation,
    /// What can be done to an order there. What is missing is asked about instead.
    pub order_steps: &'static [StepSort],
    /// After this, counted from the last byte sent, a write that is not to be seen was not applied.
    pub settles_after: Duration,
    pub hooks: HookScheme,
    /// May this field be written to (and is it read from) this platform?
    pub holds: fn(&Field<'_>) -> bool,
    /// Can this field be taken away where it is, a variant by its [`VariantField::Present`]? What cannot is left and
    /// shown to people.
    pub removes: fn(&Field<'_>) -> bool,
}

#[derive(Debug, Clone, Copy)]
pub struct Credential {
    pub name: &'static str,
    pub label: &'static str,
    pub secret: bool,
}

/// How a kind is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    pub kind: Kind,
    /// Records a page at the most.
    pub page_max: u32,
    /// The feed tells what changed; else every look is a full scan.
    pub since: bool,
    /// Ids (SKUs for levels) a request at the most.
    pub ids_max: u32,
}

/// How many changes of a sort go into one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteBatch {
    pub sort: ChangeSort,
    pub max: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockWrite {
    CompareAndSet,
    Relative,
    Absolute,
    /// The platform's stock cannot be written.
    None,
}

/// How a platform answers "is this order there already?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderCreation {
    /// A second creator with the same key is refused: a create may be repeated.
    UniqueKey,
    /// It can be found by its key once `settles_after` has passed.
    ExactSearch,
    /// A doubtful order is held for a person.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookScheme {
    /// The shop calls us; these topics exist.
    Topics(&'static [&'static str]),
    None,
}

impl Manifest {
    pub fn paging(&self, kind: Kind) -> Option<Paging> {
        self.paging
            .iter()
            .copied()
            .find(|paging| paging.kind == kind)
    }

    /// 0: this platform cannot do it.
    pub fn batch_max(&self, sort: ChangeSort) -> u32 {
        let batch = self.batches.iter().find(|batch| batch.sort == sort);
        batch.map_or(0, |batch| batch.max)
    }

    /// Everything; for platforms where a variant may be without a price.
    pub fn removes_all(_: &Field<'_>) -> bool {
        true
    }

    /// Everything but a variant's price.
    pub fn removes_all_but_prices(field: &Field<'_>) -> bool {
        let is_price = matches!(
            field,
            Field::Variant {
                field: VariantField::Price(_),
                ..
            }
        );
        !is_price
    }

    /// All fields; for platforms that hold every one that we know.
    pub fn holds_all(_: &Field<'_>) -> bool {
        true
    }

    /// Every field but those in further languages, attributes, pictures, shop versions and categories.
    pub fn holds_basics(field: &Field<'_>) -> bool {
        match field {
            Field::Title | Field::Description | Field::Handle | Field::Status | Field::Options => {
                true
            }
            Field::Variant { field, .. } => !matches!(field, VariantField::SalePrice(_)),
            Field::Categories
            | Field::ShopVersions
            | Field::Parent
            | Field::Position
            | Field::Text { .. }
            | Field::Attribute(_)
            | Field::Pictures => false,
        }
    }
}
