//! What people look at: search, one record across shops, histories, runs, orders, a SKU explained. Plain data.

mod explanation;
mod history;
mod orders;
mod records;
mod runs;

use jiff::Timestamp;
use lockstep_model::cases::LineCase;
use lockstep_model::entry::{
    AsideSubject, Body, Cause, Conflict, Counts, Hold, Movement, RunResult, Subject, What,
};
use lockstep_model::settings::StockId;
use lockstep_model::{
    ConflictId, Fault, Fields, IntentId, Kind, Lane, Level, OrderKey, OrderState, Parts, Path,
    RecordId, RemoteId, Revision, RunId, ShopId, Sku, Value,
};
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::BTreeMap;

/// A row of a search.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    pub record: RecordId,
    pub kind: Kind,
    pub title: String,
    pub keys: Vec<String>,
    /// Where it is, gone ones left out.
    pub shops: Vec<ShopId>,
}

/// One record, in every shop.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecordView {
    pub record: RecordId,
    pub kind: Kind,
    pub title: String,
    pub keys: Vec<String>,
    pub ours: Fields,
    pub shops: BTreeMap<ShopId, ShopSide>,
    pub conflicts: Vec<ConflictRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShopSide {
    pub id: Option<RemoteId>,
    pub parts: Parts,
    pub held: Fields,
    pub meant: Fields,
    pub gone: bool,
    /// It has to be written there.
    pub due: bool,
    /// Writes whose outcome is not known.
    pub open: Vec<WriteRow>,
    pub aside: Option<AsideRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AsideRow {
    pub shop: ShopId,
    pub subject: AsideSubject,
    pub fault: Fault,
    /// `None`: only a person's action helps.
    pub retry_at: Option<Timestamp>,
    pub tries: u32,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConflictRow {
    pub conflict: ConflictId,
    pub subject: Subject,
    pub about: Conflict,
    pub at: Timestamp,
}

/// One entry about a subject.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistoryItem {
    pub seq: u64,
    pub at: Timestamp,
    pub run: Option<RunId>,
    /// Why that run started.
    pub causes: Vec<Cause>,
    /// Field by field, what moved from what to what.
    pub changes: Vec<Change>,
    pub body: Body,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// `None`: our own record.
    pub shop: Option<ShopId>,
    pub path: Path,
    pub from: Option<Value>,
    pub to: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunRow {
    pub run: RunId,
    pub lane: Lane,
    pub revision: Revision,
    pub causes: Vec<Cause>,
    pub started_at: Timestamp,
    /// `None`: it is running, or was interrupted.
    pub finished_at: Option<Timestamp>,
    pub result: Option<RunResult>,
    pub counts: Option<Counts>,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunView {
    pub row: RunRow,
    pub pages: Vec<RunPage>,
    /// Writes by what became of them.
    pub writes: BTreeMap<WriteState, u64>,
}

/// Orders of one shop that wait for the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeldOrders {
    pub origin: ShopId,
    /// What holds the oldest of them.
    pub hold: Hold,
    pub count: u64,
    /// The oldest of them.
    pub first: Vec<(OrderKey, Hold)>,
}

/// What a run has read of one feed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunPage {
    pub shop: ShopId,
    pub kind: Kind,
    pub pages: u64,
    pub records: u64,
    pub changed: u64,
    pub bad: u64,
}

/// One write of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WriteRow {
    pub intent: IntentId,
    pub run: RunId,
    pub shop: ShopId,
    pub subject: Subject,
    pub what: What,
    pub at: Timestamp,
    pub state: WriteState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteState {
    Open,
    Done,
    NotApplied,
    /// Nobody knows yet.
    Unknown,
    Moot,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OrderRow {
    pub order: OrderKey,
    /// Page on with this.
    pub first_seq: u64,
    /// What the buyer was told, once the origin was seen.
    pub number: Option<String>,
    pub origin: Option<OrderState>,
    pub copies: BTreeMap<ShopId, RemoteId>,
    pub held: Option<Hold>,
    pub before_opening: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OrderView {
    pub row: OrderRow,
    /// As last dealt with, by shop.
    pub states: BTreeMap<ShopId, OrderState>,
    pub open: Vec<WriteRow>,
    pub asides: Vec<AsideRow>,
    pub conflicts: Vec<ConflictRow>,
    /// Its buyer is forgotten.
    pub erased: Option<(Timestamp, Option<String>)>,
}

/// Where the units of a SKU are: what `lockstep explain` prints. What the lines come to, the rule of the ledger says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    pub sku: Sku,
    pub record: Option<RecordId>,
    /// Of the stocks that were opened.
    pub bases: BTreeMap<StockId, Decimal>,
    pub lines: Vec<LineExplained>,
    pub stocks: Vec<StockExplained>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StockExplained {
    pub stock: StockId,
    pub movements: Vec<MovementExplained>,
    /// Older movements that were left out.
    pub movements_before: Decimal,
    pub levels: Vec<LevelExplained>,
    /// Something has moved that was not looked at yet.
    pub dirty: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MovementExplained {
    pub seq: u64,
    pub at: Timestamp,
    pub delta: Decimal,
    pub cause: Movement,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LineExplained {
    pub line: LineCase,
    /// When it was placed, if its origin was seen.
    pub placed_at: Option<Timestamp>,
    /// The copies' numbers, by shop.
    pub copies: BTreeMap<ShopId, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LevelExplained {
    pub shop: ShopId,
    pub level: Level,
    pub taken: Decimal,
    /// What it was last told to show; `None`: it was never written.
    pub target: Option<Decimal>,
    /// What was meant, where the shop holds something else.
    pub meant: Option<Decimal>,
    pub read_at: Option<Timestamp>,
}
