//! What the engine is shown of a customer's file, piece by piece: everything needed to decide on one record, one
//! order or one level, and nothing else.

use crate::entry::{Awaited, Conflict, Hold, MatchAnswer, Subject, What};
use crate::fields::{Fields, Path, Value};
use crate::settings::StockId;
use crate::{
    ConflictId, Edits, Fingerprint, IntentId, ItemId, Kind, Level, LineLinks, OrderKey, OrderState,
    Parts, Person, RecordId, RemoteId, RunId, ShopId, Sku, Status,
};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The root category of our own, and the shops that shall have it (`createRootCategory`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootCategory {
    pub name: String,
    pub shops: BTreeSet<ShopId>,
}

impl RootCategory {
    /// Its natural key. No path of a category is like it: names are not empty.
    pub const KEY: &str = "\u{1f}";
}

/// Which of what is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    All,
    /// All but records that lack nothing but pictures, which may be many and take long.
    Fields,
    /// Those alone.
    Pictures,
}

/// Dirty catalogue records of one kind, in key order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CatalogueChunk {
    pub clusters: Vec<Cluster>,
    pub categories: Categories,
    /// All records of the kind that we know: what a limit in percent is taken of.
    pub total: u64,
    /// Of products: the sellable items in them, by SKU.
    pub items: u64,
    /// When the last run began that read all of a shop's feed: what is new since was changed after it.
    pub looked: BTreeMap<ShopId, Timestamp>,
    /// Continue after this key; `None`: that was the last.
    pub next: Option<String>,
}

/// The categories that the clusters of a chunk mention, and those above them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Categories {
    /// Shop → its id → ours.
    pub links: BTreeMap<ShopId, BTreeMap<RemoteId, RecordId>>,
    /// Ours → the one above it. Those at the top are not in it.
    pub above: BTreeMap<RecordId, RecordId>,
    /// Links of categories that the shop no longer has.
    pub gone: BTreeMap<ShopId, BTreeMap<RemoteId, RecordId>>,
}

/// Records of ours and staged rows of shops that share a link or a key. Usually one of ours and one row a shop.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cluster {
    /// The smallest key: where the cluster stands in the order.
    pub key: String,
    pub known: Vec<Known>,
    pub staged: Vec<Staged>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    pub record: RecordId,
    pub kind: Kind,
    pub keys: Vec<String>,
    /// Our own record, in our terms (categories are our record ids).
    pub ours: Fields,
    /// When any of it last changed.
    pub changed_at: Timestamp,
    pub shops: BTreeMap<ShopId, AtShop>,
    pub conflicts: Vec<OpenConflict>,
    /// What a person last accepted of a price that was held: our own field, and its value.
    pub accepted: BTreeMap<Path, Value>,
    /// Records that shops deleted, and of which a person has said that it stays so.
    pub left: BTreeSet<(ShopId, RemoteId)>,
    /// Shops' records that may be this one, or that bear its SKU: it is not made beside them.
    pub withheld: BTreeSet<(ShopId, RemoteId)>,
    /// Those of them that bear its SKU and of which nobody has said what they are.
    pub in_doubt: BTreeSet<(ShopId, RemoteId)>,
    /// Categories that it is in and that had no link when it was last decided on.
    pub awaits: BTreeSet<Awaited>,
}

/// What a person was asked and has not answered.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenConflict {
    pub conflict: ConflictId,
    pub about: Conflict,
    /// When it was asked.
    pub at: Timestamp,
}

/// One open conflict with what has to be known to carry a person's word out.
#[derive(Debug, Clone, PartialEq)]
pub struct ConflictCase {
    pub conflict: ConflictId,
    pub about: Conflict,
    pub subject: ConflictSubject,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ConflictSubject {
    Record(Box<Known>),
    Level(Box<StockCase>),
    Order(OrderKey),
    Shop(ShopId),
    Levels,
    Catalogue,
}

impl ConflictSubject {
    /// What it is, without all that is known of it.
    pub fn subject(&self) -> Subject {
        match self {
            ConflictSubject::Record(known) => Subject::Record(known.record),
            ConflictSubject::Level(level) => Subject::Level {
                stock: level.stock,
                item: level.item.clone(),
            },
            ConflictSubject::Order(order) => Subject::Order(order.clone()),
            ConflictSubject::Shop(shop) => Subject::Shop(*shop),
            ConflictSubject::Levels => Subject::Levels,
            ConflictSubject::Catalogue => Subject::Catalogue,
        }
    }
}

/// Shops that were read once before anything was written to them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meetings {
    /// A person has not accepted yet: nothing is written to these.
    pub waiting: BTreeSet<ShopId>,
    /// A person has, or they had no products of their own.
    pub accepted: BTreeSet<ShopId>,
    /// A person has to choose something in their settings first; by which question.
    pub unchosen: BTreeMap<ShopId, ConflictId>,
}

/// What we know a shop holds of a record: its shadow.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AtShop {
    /// `None`: not there (yet), only intents.
    pub id: Option<RemoteId>,
    pub parts: Parts,
    /// As last seen or answered, in the shop's terms.
    pub held: Fields,
    /// What we last wrote where the shop then held something else (it rounds, trims, cleans up).
    pub meant: Fields,
    pub gone: bool,
    pub open: Vec<OpenIntent>,
    /// Not before this time is it written again (it failed); `Some(Timestamp::MAX)`: a person must act.
    pub aside_until: Option<Timestamp>,
    /// The changes that it stands aside with: any other is made at once. Empty: no change at all is.
    pub refused: BTreeSet<Fingerprint>,
    pub tries: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct OpenIntent {
    pub intent: IntentId,
    pub run: RunId,
    pub shop: ShopId,
    pub subject: Subject,
    pub what: What,
    /// When it became durable.
    pub at: Timestamp,
    /// A look proves nothing before this; `None`: nobody knows whether it was ever sent.
    pub look_at: Option<Timestamp>,
}

/// A record as a shop showed it in a page, not yet dealt with.
#[derive(Debug, Clone, PartialEq)]
pub struct Staged {
    pub shop: ShopId,
    pub kind: Kind,
    pub id: RemoteId,
    /// The record that it is linked to.
    pub linked: Option<RecordId>,
    /// Natural keys that the shop's record bears.
    pub keys: Vec<String>,
    pub body: StagedBody,
    /// Which of ours it is was in doubt when it was last dealt with.
    pub doubt: Option<Doubt>,
    /// Names this reading: a later one of the same record has a greater number.
    pub reading: u64,
    /// When the request that read it left, at the latest. Of a write that was under way then it proves nothing.
    pub left_at: Timestamp,
}

/// A doubtful match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    pub candidates: BTreeSet<RecordId>,
    pub by_sku: bool,
    /// A person's word, if there is one.
    pub answer: Option<MatchAnswer>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StagedBody {
    Fields { fields: Fields, parts: Parts },
    Gone,
}

/// A staged row that has been dealt with, in the reading that was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumed {
    pub shop: ShopId,
    pub kind: Kind,
    pub id: RemoteId,
    pub reading: u64,
}

/// What else becomes true in the transaction of an append.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Also {
    /// Staged rows that were dealt with, unless a newer reading has replaced them.
    pub consumed: Vec<Consumed>,
    /// Rows of a plan that this append carries out.
    pub plan_done: Vec<(RunId, u64)>,
    /// Orders and items that were looked at to the end.
    pub orders_done: Vec<OrderKey>,
    pub items_done: Vec<(ItemId, StockId)>,
    /// Records that lack nothing but pictures in these shops: they wait behind everything else.
    pub only_pictures: Vec<(RecordId, ShopId)>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct OrderChunk {
    pub cases: Vec<OrderCase>,
    pub next: Option<OrderKey>,
}

/// One order: its origin, its copy, and what was read of either and not yet dealt with.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderCase {
    pub order: OrderKey,
    /// As last dealt with, by shop (the origin is `order.shop`).
    pub known: BTreeMap<ShopId, OrderState>,
    pub staged: BTreeMap<ShopId, StagedOrder>,
    /// The origin's buyer, as kept with it; `None`: not kept, or erased.
    pub person: Option<Person>,
    /// Copies that are known to exist, also before they were first seen.
    pub copies: BTreeMap<ShopId, RemoteId>,
    /// The lines of copies, by the shop that the copy is in.
    pub links: BTreeMap<ShopId, LineLinks>,
    pub before_opening: bool,
    pub held: Option<Hold>,
    pub open: Vec<OpenIntent>,
    /// Not before this time is a shop written again for this order.
    pub aside_until: BTreeMap<ShopId, Timestamp>,
    /// The changes that it stands aside with in a shop: any other is made at once. None named: no change at all is.
    pub refused: BTreeMap<ShopId, BTreeSet<Fingerprint>>,
    pub tries: BTreeMap<ShopId, u32>,
    pub conflicts: Vec<OpenConflict>,
    /// What people have answered with "leave it as it is".
    pub settled: Vec<Conflict>,
    pub edits: Edits,
    /// Its buyer is forgotten, and stays so.
    pub buyer_erased: bool,
    /// Which of the order's items the receiving shops are known to have, and how many of each can be sold there.
    pub items: BTreeMap<ShopId, BTreeMap<ItemId, ItemThere>>,
}

/// An item as a shop has it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ItemThere {
    /// What it is called there.
    pub sku: Sku,
    /// The shop's own id of it, if it is known.
    pub variant: Option<RemoteId>,
    /// What can be sold of it, by stock of ours.
    pub sellable: BTreeMap<StockId, Decimal>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct StagedOrder {
    pub state: OrderState,
    /// `None` when it was erased or not kept: the order is read again before a copy is made.
    pub person: Option<Person>,
    pub reading: u64,
    /// When the request that read it left, at the latest.
    pub left_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct StockChunk {
    pub cases: Vec<StockCase>,
    /// Levels of ours that there is anything to decide on, and all of them. Of the first chunk, and where they are many:
    /// else 0.
    pub due: u64,
    pub total: u64,
    pub next: Option<(ItemId, StockId)>,
}

/// One item in one stock: all shops' levels there, and the order lines that count in any stock.
#[derive(Debug, Clone, PartialEq)]
pub struct StockCase {
    pub item: ItemId,
    /// What people call it.
    pub sku: Sku,
    pub stock: StockId,
    /// Of the product that the item belongs to, in our own record.
    pub status: Option<Status>,
    /// `None`: not opened yet.
    pub base: Option<Decimal>,
    /// The shop that it was opened by, or that owned the stock later.
    pub counted_by: Option<ShopId>,
    /// The item's other stocks that were opened.
    pub other_bases: BTreeMap<StockId, Decimal>,
    /// Those of all its stocks in which a count has left nothing of what the orders had left.
    pub emptied: BTreeSet<StockId>,
    pub levels: BTreeMap<ShopId, LevelAt>,
    pub lines: Vec<LineCase>,
    pub conflicts: Vec<OpenConflict>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct LevelAt {
    /// The shadow: the level as last dealt with, and Σ taken at that time.
    pub held: Option<(Level, Decimal)>,
    /// The target that was last written and clamped or changed by the shop.
    pub meant: Option<Decimal>,
    /// Read in this run.
    pub staged: Option<(Level, u64)>,
    /// When the request that read it left, at the latest. `None`: nobody knows, and it proves nothing of an open write.
    pub left_at: Option<Timestamp>,
    /// Σ taken over this shop's lines of the item, as known now.
    pub taken: Decimal,
    /// The shop no longer has the item: its product or its variant was removed there. The level is as last seen.
    pub gone: bool,
    pub open: Vec<OpenIntent>,
    pub aside_until: Option<Timestamp>,
    /// As in [`AtShop::refused`].
    pub refused: BTreeSet<Fingerprint>,
    pub tries: u32,
}

/// What one line of an order has of one item; several, as long as it is not known which of them stand for which elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LineCase {
    pub order: OrderKey,
    pub number: String,
    /// Read for `taken` alone.
    pub before_opening: bool,
    /// The order stands outside: its gate is open or it crossed, so it counts from acceptance.
    pub accepted: bool,
    /// By the stock that the shop has it in.
    pub sides: BTreeMap<ShopId, BTreeMap<StockId, LineSide>>,
    /// A copy of it is being made in these shops (an intent is open).
    pub on_its_way: Vec<ShopId>,
}

/// One shop's side of an order line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LineSide {
    /// What the buyer still gets or got, and what nobody can sell again: ordered less cancelled and returned, but for what was
    /// not put back of these.
    pub wanted: Decimal,
    pub taken: Decimal,
    /// Shipped, cancelled or returned in full: it will take nothing more.
    pub done: bool,
}

/// Items with orders that are over.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ClosingChunk {
    pub cases: Vec<ClosingCase>,
    /// Continue after this order; `None`: that was the last.
    pub next: Option<OrderKey>,
}

/// One item in all its stocks: every order line that counts, and the orders among them that are over.
#[derive(Debug, Clone, PartialEq)]
pub struct ClosingCase {
    pub item: ItemId,
    pub bases: BTreeMap<StockId, Decimal>,
    pub lines: Vec<LineCase>,
    /// Nothing of them has moved for the time that the settings say, nothing is to be carried, nobody is asked.
    pub over: BTreeSet<OrderKey>,
}

/// What one run wrote, record by record: what an undo of it goes by.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UndoChunk {
    pub cases: Vec<UndoCase>,
    /// Continue after this write; `None`: that was the last.
    pub next: Option<IntentId>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct UndoCase {
    pub subject: Subject,
    /// What people call it.
    pub label: String,
    pub shops: BTreeMap<ShopId, WrittenThere>,
}

/// What the run wrote of a record in one shop.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WrittenThere {
    /// The record there, as it is known now; `None`: it is not there.
    pub id: Option<RemoteId>,
    /// Of a record that is known.
    pub kind: Option<Kind>,
    pub fields: BTreeMap<Path, WrittenField>,
    /// The run made the record there.
    pub made: bool,
    /// The run added or removed pictures.
    pub pictures: bool,
    /// What became of one of the writes is not known.
    pub open: bool,
}

/// One field, in the shop's terms; a field that was not there is empty.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenField {
    /// What the shop held before.
    pub was: Value,
    /// What it showed after.
    pub wrote: Value,
    /// A later run wrote it too.
    pub since: Option<RunId>,
}
