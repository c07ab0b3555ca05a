//! What is pulled from a shop, what is pushed to it, and what it answers.

use crate::fields::Fields;
use crate::{
    Category, Fault, Flow, Level, NewOrder, Order, OrderKey, OrderStep, Parts, Person, Product,
    RemoteId, ShopId, Sku,
};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    Category(Category),
    Product(Product),
    Level(Level),
    Order(Box<Order>),
    /// The shop says that it deleted this one.
    Gone {
        kind: Kind,
        id: RemoteId,
    },
}

/// What a connector can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Category,
    Product,
    Level,
    Order,
}

impl Kind {
    pub fn flow(self) -> Flow {
        match self {
            Kind::Category => Flow::Categories,
            Kind::Product => Flow::Products,
            Kind::Level => Flow::Stock,
            Kind::Order => Flow::Orders,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Category => "category",
            Kind::Product => "product",
            Kind::Level => "level",
            Kind::Order => "order",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Kind::Category, Kind::Product, Kind::Level, Kind::Order]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

impl Record {
    pub fn kind(&self) -> Kind {
        match self {
            Record::Category(_) => Kind::Category,
            Record::Product(_) => Kind::Product,
            Record::Level(_) => Kind::Level,
            Record::Order(_) => Kind::Order,
            Record::Gone { kind, .. } => *kind,
        }
    }
}

/// A record of a page that could not be understood; the rest of the page could.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRecord {
    pub id: Option<RemoteId>,
    /// What is wrong, for people.
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    pub kind: Kind,
    pub scope: Scope,
    /// Records a page at the most.
    pub limit: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// What changed since this cursor, tombstones included where the platform has them.
    Since(Cursor),
    /// Everything, page by page.
    Everything(Option<Cursor>),
    /// These records: ids of products, categories and orders; SKUs of levels. At most `limit`.
    Ids(Vec<RemoteId>),
}

/// A connector's own place in a feed. Opaque to everybody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    pub records: Vec<Result<Record, BadRecord>>,
    pub next: Next,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// There is another page at this cursor (same kind of scope).
    More(Cursor),
    /// The platform is preparing the answer.
    Later { at: Timestamp, cursor: Cursor },
    /// That was all; the next `Since` begins here. `None` for a pull of `Ids`.
    End(Option<Cursor>),
}

/// One change of a shop. All values are in that shop's terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum Change {
    CreateCategory {
        category: Category,
    },
    UpdateCategory {
        id: RemoteId,
        /// Only what has to change.
        set: Fields,
        /// The whole, as it shall be.
        category: Category,
    },
    CreateProduct {
        product: Box<Product>,
    },
    UpdateProduct {
        id: RemoteId,
        /// Only what has to change.
        set: Fields,
        /// The whole, as it shall be, with the ids of the parts that exist.
        product: Box<Product>,
        parts: Parts,
    },
    AddPicture {
        product: RemoteId,
        digest: String,
        alt: String,
        position: u32,
        source: PictureSource,
    },
    RemovePicture {
        product: RemoteId,
        picture: RemoteId,
    },
    SetLevel {
        /// The level as it was read: what it is compared with, where the platform can.
        was: Box<Level>,
        /// On hand to be, own reservations included.
        on_hand: Decimal,
        location: Option<String>,
    },
    CreateOrder {
        order: Box<NewOrder>,
    },
    StepOrder {
        id: RemoteId,
        #[serde(flatten)]
        step: OrderStep,
        /// For a step that wants it: see [`OrderStep::Readdress`].
        person: Option<Box<Person>>,
    },
}

/// Where the bytes of a picture can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureSource {
    pub shop: ShopId,
    pub id: RemoteId,
    pub url: String,
}

impl Change {
    pub fn kind(&self) -> Kind {
        match self {
            Change::CreateCategory { .. } | Change::UpdateCategory { .. } => Kind::Category,
            Change::CreateProduct { .. }
            | Change::UpdateProduct { .. }
            | Change::AddPicture { .. }
            | Change::RemovePicture { .. } => Kind::Product,
            Change::SetLevel { .. } => Kind::Level,
            Change::CreateOrder { .. } | Change::StepOrder { .. } => Kind::Order,
        }
    }

    /// Changes that go into one call together: same sort, and the platform takes them as a batch.
    pub fn sort(&self) -> ChangeSort {
        match self {
            Change::CreateCategory { .. } => ChangeSort::CreateCategory,
            Change::UpdateCategory { .. } => ChangeSort::UpdateCategory,
            Change::CreateProduct { .. } => ChangeSort::CreateProduct,
            Change::UpdateProduct { .. } => ChangeSort::UpdateProduct,
            Change::AddPicture { .. } => ChangeSort::AddPicture,
            Change::RemovePicture { .. } => ChangeSort::RemovePicture,
            Change::SetLevel { .. } => ChangeSort::SetLevel,
            Change::CreateOrder { .. } => ChangeSort::CreateOrder,
            Change::StepOrder { .. } => ChangeSort::StepOrder,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeSort {
    CreateCategory,
    UpdateCategory,
    CreateProduct,
    UpdateProduct,
    AddPicture,
    RemovePicture,
    SetLevel,
    CreateOrder,
    StepOrder,
}

/// What became of one change of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done; the record as the shop holds it now, read from its answer.
    Done(Receipt),
    /// Some of it was done.
    Partly {
        receipt: Receipt,
        missing: Vec<String>,
    },
    /// The platform will do it later; look then.
    Accepted {
        look_at: Timestamp,
    },
    Failed(Fault),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub id: RemoteId,
    pub record: Option<Record>,
}

/// By what a record can be looked for in a shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NaturalKey {
    Sku(Sku),
    Gtin(String),
    /// By its name under its parent (the shop's own id; `None`: at the top).
    Category {
        parent: Option<RemoteId>,
        name: String,
    },
    Order {
        key: OrderKey,
        not_before: Timestamp,
    },
}
