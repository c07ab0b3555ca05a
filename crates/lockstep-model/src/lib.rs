//! The plain data of Lockstep and its invariants: records, ids, fields, orders, settings and journal entries.
//!
//! Nothing here reads a clock, a file or a socket.

mod fault;
mod fingerprint;
mod flow;
mod ids;
mod level;
mod misread;
mod order;
mod product;
mod record;
mod resolution;
mod shop;
mod sound;

pub mod cases;
pub mod entry;
pub mod fields;
pub mod settings;

pub use fault::{Fault, FaultKind};
pub use fields::{Field, FieldGroup, Fields, Path, Value, VariantField};
pub use fingerprint::{Fingerprint, REFUSED_MAX};
pub use flow::{Flow, Lane};
pub use ids::{
    ConflictId, Currency, CustomerId, Epoch, Incarnation, IntentId, ItemId, OrderKey, RecordId,
    RemoteId, Revision, RunId, ShopId, Sku, WorkerId,
};
pub use level::Level;
pub use misread::misread;
pub use order::{
    Address, Charge, ChargeKind, Discount, Edited, Edits, Fulfilment, LineLinks, NewOrder, Order,
    OrderLine, OrderState, OrderStep, Parcel, Payment, Person, Refund, Stage, StepSort,
};
pub use product::{
    Category, Parts, Picture, PicturePart, Product, Status, Variant, called, gtin_of, gtins_of,
    has_sku, has_variant, sku_of, variants_of,
};
pub use record::{
    BadRecord, Change, ChangeSort, Cursor, Kind, NaturalKey, Next, Outcome, Page, PictureSource,
    PullRequest, Receipt, Record, Scope,
};
pub use resolution::{OrderAnswer, Resolution};
pub use shop::{Choice, Named, ShopIdentity, StockSemantics, Takes};
pub use sound::NUMBER_MAX;
