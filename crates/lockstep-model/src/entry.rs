//! Journal entries: all that a customer's sync saw, meant and did, in order.
//!
//! The journal is the truth; links, shadows, the ledger and the history are projections of it. An entry is written
//! in JSON and read for years: add variants and optional fields, never change what one means.

use crate::fields::{Field, Fields, Path, Value};
use crate::settings::StockId;
use crate::{
    ConflictId, Currency, Cursor, CustomerId, Epoch, Fault, Fingerprint, Flow, Incarnation,
    IntentId, ItemId, Kind, Lane, Level, LineLinks, OrderAnswer, OrderKey, OrderState, OrderStep,
    Parts, Person, RecordId, RemoteId, Revision, RunId, ShopId, ShopIdentity, Sku, WorkerId,
};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// 1, 2, 3 … without gaps, for the customer's whole life.
    pub seq: u64,
    pub at: Timestamp,
    #[serde(flatten)]
    pub body: Body,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Body {
    /// A worker took the customer over.
    Opened {
        customer: CustomerId,
        incarnation: Incarnation,
        epoch: Epoch,
        worker: Option<WorkerId>,
    },
    /// What a shop says of itself, when it is first seen and when it changes.
    ShopSeen {
        shop: ShopId,
        identity: Box<ShopIdentity>,
    },
    RunStarted {
        run: RunId,
        lane: Lane,
        revision: Revision,
        causes: Vec<Cause>,
    },
    /// A page was read. Unchanged records leave no entry of their own.
    Pulled {
        run: RunId,
        shop: ShopId,
        kind: Kind,
        records: u32,
        changed: u32,
        bad: u32,
    },
    RunFinished {
        run: RunId,
        result: RunResult,
        counts: Counts,
        /// For people; empty when there is nothing to say.
        message: String,
        /// Feeds that were read to their end and dealt with. Noted only where a policy asks when a field was changed:
        /// what a later reading shows changed was changed after this run began.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        through: Vec<(ShopId, Kind)>,
    },
    /// Everything that the feed told before this cursor has been dealt with.
    CursorMoved {
        shop: ShopId,
        kind: Kind,
        cursor: Cursor,
    },
    Merged(Merged),
    /// The next call will change a shop like this. Durable before the call leaves.
    Intended {
        intent: IntentId,
        run: RunId,
        shop: ShopId,
        subject: Subject,
        what: What,
    },
    /// What became of an intent.
    Settled {
        intent: IntentId,
        how: Box<Settlement>,
    },
    /// An order as a shop shows it, or an order that has changed there.
    OrderSeen {
        run: RunId,
        shop: ShopId,
        /// Which order it is: its own key in its origin, the origin's in a copy.
        order: OrderKey,
        state: Box<OrderState>,
        person: Personal,
        /// The order is older than `ordersFrom`: read for `taken` alone, it never crosses and is not counted
        /// outside the stock's owner.
        before_opening: bool,
        /// The buyer's addresses or note are others than those that were known, and the copy has those.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        readdressed: bool,
    },
    /// Which lines of a copy were made of which of its origin. Whole.
    LinesLinked {
        order: OrderKey,
        /// The shop that the copy is in.
        copy: ShopId,
        links: LineLinks,
    },
    LevelSeen {
        run: RunId,
        shop: ShopId,
        stock: StockId,
        level: Level,
        /// Σ taken over this shop's order lines of the item, read together with the level.
        taken: Decimal,
    },
    /// The ledger's base moved: something that no order explains.
    BaseMoved {
        item: ItemId,
        stock: StockId,
        delta: Decimal,
        cause: Movement,
    },
    /// A shop other than the stock's owner changed a level by itself; it will be written over.
    LevelOverruled {
        shop: ShopId,
        stock: StockId,
        item: ItemId,
        delta: Decimal,
    },
    /// An order may not cross yet.
    OrderHeld {
        order: OrderKey,
        reason: Hold,
    },
    OrderReleased {
        order: OrderKey,
    },
    /// A record cannot be dealt with now; the others go on.
    Aside {
        shop: ShopId,
        subject: AsideSubject,
        fault: Fault,
        /// `None`: only a person's action helps.
        retry_at: Option<Timestamp>,
        tries: u32,
        /// Names of the change that failed: what differs from it is made at once. None: whatever it is, it waits.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        refused: Vec<Fingerprint>,
    },
    ConflictOpened {
        conflict: ConflictId,
        subject: Subject,
        about: Conflict,
    },
    ConflictClosed {
        conflict: ConflictId,
        /// For people: what was decided, or why there is nothing left to decide.
        decision: String,
        /// The person whose word it is. `None`: it closed by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// What our own record became by it, where it is about a record.
        #[serde(default, skip_serializing_if = "Delta::is_empty")]
        ours: Delta,
    },
    /// Which of the shops' stocks is which of ours, from the settings; written when it changes. Stands in the
    /// journal because the ledger follows from it.
    StocksMapped(StockMapping),
    /// Looked at to the end: not due any more until something moves. Written by the journal itself.
    Done {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        orders: Vec<OrderKey>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        items: Vec<(ItemId, StockId)>,
        /// Records that could not be read once and now could.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        read: Vec<ReadAgain>,
        /// Records that lack nothing but pictures in these shops.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        only_pictures: Vec<(RecordId, ShopId)>,
    },
    /// Everything of a sort is due again: a shop was added, a policy changed, a person asked.
    DueAgain {
        what: Again,
    },
    /// A shop had no products of its own when it was first read: what is there later came from us, or came later.
    ShopMet {
        shop: ShopId,
    },
    /// A record of a shop that must not be guessed: which of ours it is, is open. None of these is made there meanwhile.
    MatchDoubted {
        shop: ShopId,
        kind: Kind,
        id: RemoteId,
        candidates: Vec<RecordId>,
        /// It shares a SKU with them: a second one would bear it too. Else all that they share is a GTIN.
        by_sku: bool,
    },
    /// What became of such a doubt. The shop's record is read again.
    MatchAnswered {
        shop: ShopId,
        kind: Kind,
        id: RemoteId,
        answer: MatchAnswer,
        /// A person's name. `None`: the shops themselves left no doubt any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A person wants a record made again in a shop that deleted it: what it was there counts no more.
    LinkForgotten {
        shop: ShopId,
        kind: Kind,
        id: RemoteId,
        record: RecordId,
        by: String,
    },
    /// A person's word on an order that was held. It is due again; what else follows stands in entries beside.
    OrderAnswered {
        order: OrderKey,
        /// The shop that it was to be copied into.
        into: ShopId,
        answer: OrderAnswer,
        by: String,
    },
    /// The buyers of these orders are forgotten: the keys of their data are gone, and what a shop says of them later is
    /// not kept. Nothing personal stands here.
    BuyersErased {
        orders: Vec<OrderKey>,
        /// The person whose word it is. `None`: they were kept as long as the settings say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadAgain {
    pub shop: ShopId,
    pub kind: Kind,
    pub id: RemoteId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "match", rename_all = "snake_case")]
pub enum MatchAnswer {
    /// It is this one of ours.
    Is { record: RecordId },
    /// It is none of ours. One that shares a SKU is left alone; one that shares a GTIN is a record of its own.
    NoneOfOurs,
    /// There is nothing to doubt any more.
    Over,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// Every record of the kind, at these shops.
    Records {
        kind: Kind,
        shops: Vec<ShopId>,
    },
    /// One record at every shop that has it. What stands aside there is looked at too: only the same change waits.
    Record(RecordId),
    Levels,
    /// Orders that are held, or not final yet.
    Orders,
}

/// Which of the shops' stocks is which of ours.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StockMapping {
    /// For shops without a word of their own, and for order lines that name no stock.
    #[serde(default)]
    pub default: Option<StockId>,
    #[serde(default, deserialize_with = "by_id")]
    pub shops: BTreeMap<ShopId, BTreeMap<RemoteId, StockId>>,
    /// For the order lines of these shops that name no stock.
    #[serde(default, deserialize_with = "by_id")]
    pub homes: BTreeMap<ShopId, StockId>,
}

impl StockMapping {
    /// `None`: a stock that is not kept in step.
    pub fn stock(&self, shop: ShopId, remote: Option<&RemoteId>) -> Option<StockId> {
        match (self.shops.get(&shop).filter(|map| !map.is_empty()), remote) {
            (Some(map), Some(remote)) => map.get(remote).copied(),
            (None, _) | (_, None) => self.homes.get(&shop).copied().or(self.default),
        }
    }
}

/// A map whose keys are numbers: text in JSON, and serde reads the variants of a tagged enum through a buffer that
/// does not turn text back into numbers.
fn by_id<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: serde::Deserializer<'de>,
    K: std::str::FromStr<Err: std::fmt::Display> + Ord,
    V: Deserialize<'de>,
{
    BTreeMap::<String, V>::deserialize(deserializer)?
        .into_iter()
        .map(|(key, value)| {
            let key = key.parse().map_err(serde::de::Error::custom)?;
            Ok((key, value))
        })
        .collect()
}

/// Why a run started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    Schedule,
    /// A shop's webhook, or "sync now": the coordinator's wake counter grew.
    Wake {
        shop: ShopId,
        flow: Flow,
    },
    Settings,
    /// Something was left open by an earlier run.
    Retry,
    Person {
        name: String,
    },
    /// A person wants undone what this run wrote.
    Undo {
        run: RunId,
        by: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunResult {
    Done,
    /// Done, but some records could not be dealt with: they stand aside with their reasons.
    Partly,
    /// A limit or a policy stopped it: a person must look.
    NeedsPerson,
    Failed,
    Cancelled,
}

/// Why a run did not simply end well: a cause is told once, by what it is of, however many runs meet it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunWhy {
    /// A limit stops it until a person has looked at the plan.
    Limit,
    /// A shop does not answer, or refuses us as a whole.
    Shop,
    /// What a person approved has moved, or may not be written.
    Moved,
    /// Records stand aside with their reasons.
    Aside,
    /// Questions wait for a person.
    Question,
    /// It stopped for a run that knows more, which begins at once.
    GaveWay,
    /// A person stopped it, or syncing was switched off, or the right to write ran out.
    Stopped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    pub pulled: u64,
    pub changed: u64,
    pub bad: u64,
    pub written: u64,
    pub failed: u64,
    /// Writes whose outcome is not known yet.
    pub open: u64,
    pub conflicts: u64,
    /// Calls made, reads and writes.
    pub calls: u64,
}

/// A catalogue record after a three-way merge: what moved in our own record and what each shop was seen to hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Merged {
    pub run: RunId,
    pub record: RecordId,
    pub kind: Kind,
    pub title: String,
    /// Natural keys (SKUs of a product; the path of a category), whole, as they are now.
    pub keys: Vec<String>,
    /// Changes of our own record, in our terms.
    pub ours: Delta,
    #[serde(deserialize_with = "by_id")]
    pub seen: BTreeMap<ShopId, Seen>,
    /// What a shop said that its owner's word overruled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overruled: Vec<Overruled>,
    /// Shops that have to be written for this record to be in step.
    pub due: Vec<ShopId>,
    /// Whole, as they are now.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub awaits: BTreeSet<Awaited>,
}

/// A category that a record is in and that has no link yet: once it has, the record is due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// A category of this shop, of which it is not known which of ours it is.
    Theirs { shop: ShopId, id: RemoteId },
    /// One of ours that this shop does not have.
    Ours { shop: ShopId, record: RecordId },
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Delta {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: Fields,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<Path>,
}

impl Delta {
    pub fn between(old: &Fields, new: &Fields) -> Self {
        let set = new
            .iter()
            .filter(|(path, value)| old.get(path) != Some(value));
        let unset = old.keys().filter(|path| !new.contains_key(path));
        Delta {
            set: set
                .map(|(path, value)| (path.clone(), value.clone()))
                .collect(),
            unset: unset.cloned().collect(),
        }
    }

    pub fn apply(&self, fields: &mut Fields) {
        for path in &self.unset {
            fields.remove(path);
        }
        for (path, value) in &self.set {
            fields.insert(path.clone(), value.clone());
        }
    }

    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.unset.is_empty()
    }
}

/// What one shop was seen to hold of a record, in its own terms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub id: RemoteId,
    /// Whole; `None`: as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Parts>,
    pub held: Delta,
    /// It was not linked to the record until now: nothing that was known of it before counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anew: bool,
    /// The shop no longer has it. The link stays, so that it is not made again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overruled {
    pub shop: ShopId,
    pub path: Path,
    pub theirs: Value,
    pub ours: Value,
}

/// What an intent, a conflict or a question is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    Record(RecordId),
    Level {
        stock: StockId,
        item: ItemId,
    },
    Order(OrderKey),
    Shop(ShopId),
    /// All levels of the customer.
    Levels,
    /// All records of the customer.
    Catalogue,
}

/// What an intent changes: enough to tell, from a later reading alone, whether it was applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// Make the record. `set` is the whole, in the shop's terms.
    Create {
        set: Fields,
    },
    /// Set these fields, in the shop's terms.
    Set {
        set: Fields,
    },
    AddPicture {
        digest: String,
        #[serde(default)]
        alt: String,
        /// What the shop had when it was meant, by the names that we know it by.
        #[serde(default)]
        beside: Vec<String>,
    },
    RemovePicture {
        digest: String,
    },
    /// Set on hand so that `available` becomes the target.
    Level {
        on_hand: Decimal,
        target: Decimal,
        was_available: Decimal,
        was_taken: Decimal,
        /// The shop has said since that it did it; see [`Settlement::Answered`].
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        answered: bool,
    },
    CreateOrder,
    StepOrder {
        step: OrderStep,
    },
}

impl What {
    /// The fields of a record that it sets.
    pub fn fields(&self) -> Option<&Fields> {
        match self {
            What::Create { set } | What::Set { set } => Some(set),
            What::AddPicture { .. }
            | What::RemovePicture { .. }
            | What::Level { .. }
            | What::CreateOrder
            | What::StepOrder { .. } => None,
        }
    }

    /// What a shop holds after it, by what it was known to hold and what it answered. The answer to a picture's write is
    /// heard of pictures alone: what else is new in it somebody edited meanwhile, and the next reading sees it as that.
    pub fn held_after(&self, before: &Fields, answered: &Fields) -> Fields {
        if !matches!(self, What::AddPicture { .. } | What::RemovePicture { .. }) {
            return answered.clone();
        }
        let pictures = Path::new(&Field::Pictures);
        let mut held = before.clone();
        held.remove(&pictures);
        held.extend(
            answered
                .get_key_value(&pictures)
                .map(|(path, value)| (path.clone(), value.clone())),
        );
        held
    }
}

#[expect(
    clippy::large_enum_variant,
    reason = "an entry holds it boxed, and most are the large one"
)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Settlement {
    /// Applied; with what the shop says it holds now, where it said so.
    Done {
        id: RemoteId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parts: Option<Parts>,
        /// Whole, in the shop's terms. `None` for a record: what was meant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held: Option<Fields>,
        /// The level, and Σ taken as known when it was answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        level: Option<(Level, Decimal)>,
        /// Some of it failed: what is not held is still to be written.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        partly: bool,
    },
    /// Known not to have been applied.
    NotApplied {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<Fault>,
    },
    /// Nobody knows yet. The intent stays open and its subject gets no other write before it is looked at, which
    /// proves nothing before `look_at`.
    Unknown { look_at: Timestamp },
    /// The shop says that it did it, and it may have written over units that moved meanwhile: a reading of the level
    /// with the orders around it tells. The intent stays open until then.
    Answered { look_at: Timestamp },
    /// A later reading made the question moot (a stock level that another shop owns is read and computed again).
    Moot,
}

impl Settlement {
    pub fn closes(&self) -> bool {
        !matches!(
            self,
            Settlement::Unknown { .. } | Settlement::Answered { .. }
        )
    }
}

/// Personal data of an order on its way into the journal, which seals it before it is written.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Personal {
    #[default]
    None,
    Clear(Box<Person>),
    /// Nonce and ciphertext under the order's own key, base64.
    Sealed(String),
}

impl Serialize for Personal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Personal::None => serializer.serialize_none(),
            Personal::Sealed(text) => serializer.serialize_str(text),
            Personal::Clear(_) => Err(serde::ser::Error::custom(
                "personal data must be sealed before it is written",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Personal {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::<String>::deserialize(deserializer)? {
            None => Personal::None,
            Some(text) => Personal::Sealed(text),
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "movement", rename_all = "snake_case")]
pub enum Movement {
    /// The first reading of the stock's owner.
    Opening { shop: ShopId },
    /// Another shop owns the stock now: what it shows beyond what it was told.
    Switched { shop: ShopId },
    /// A receipt, a count, a hand edit, a till: the owner's level moved and no order says why.
    Unexplained {
        shop: ShopId,
        /// It left nothing of what the orders had left.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        emptied: bool,
    },
    /// The lines of an order are final everywhere: they leave the sum and the base alike.
    Closing { order: OrderKey },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hold", rename_all = "snake_case")]
pub enum Hold {
    /// The gate's states are not reached (it is not paid, say). Opens by itself.
    Gate,
    /// The receiving shop has no item with this SKU.
    UnknownSku {
        sku: String,
    },
    UnmappedPaymentMethod {
        id: RemoteId,
    },
    UnmappedShippingMethod {
        id: RemoteId,
    },
    UnmappedPaymentTerm {
        id: RemoteId,
    },
    /// The receiver sends to some countries alone, and this one is none of them. Of the buyer nothing else is said.
    UnmappedCountry {
        country: String,
    },
    /// The parts do not add up to the total within a minor unit a line.
    Sums {
        total: Decimal,
        parts: Decimal,
    },
    UnknownTaxRate {
        rate: Decimal,
    },
    /// It may or may not have been made, and the receiver cannot be asked by our key: a person looks.
    InDoubt,
    /// All its money was given back and nothing has left: there is nothing to ship.
    Refunded,
    /// Its buyer was erased before it could cross: whoever wants it in the receiver enters it there.
    BuyerErased,
    /// The receiver refused it.
    Refused {
        message: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AsideSubject {
    Subject(Subject),
    /// A record that could not even be read.
    Remote {
        kind: Kind,
        id: Option<RemoteId>,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum Conflict {
    /// One record of a shop could be several of ours, or bears the GTIN of one under another SKU.
    DoubtfulMatch {
        shop: ShopId,
        id: RemoteId,
        candidates: Vec<RecordId>,
        /// What the shop calls it, and its SKUs there.
        #[serde(default)]
        title: String,
        #[serde(default)]
        skus: Vec<String>,
        /// All that it shares with the candidates; `None`: it shares SKUs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gtin: Option<String>,
    },
    /// A shop that is connected has products of its own. Nothing is written to it before a person has accepted what
    /// would be.
    Meeting {
        shop: ShopId,
        /// That it showed when it was first read.
        products: u64,
    },
    /// A shop has several of what only one is kept in step of (sales channels, stock locations), and its settings do not
    /// say which. Nothing is written to it before they do.
    Unchosen {
        shop: ShopId,
        /// What is to be chosen, for people.
        what: Vec<String>,
    },
    /// Two records of one shop bear the same key.
    SameKeyTwice {
        shop: ShopId,
        key: String,
        ids: Vec<RemoteId>,
    },
    /// Several shops changed one field and the policy asks.
    ChangedInSeveral {
        path: Path,
        #[serde(deserialize_with = "by_id")]
        values: BTreeMap<ShopId, Value>,
    },
    /// A stock write was lost and the level is neither what it was nor what was meant.
    LevelInDoubt {
        shop: ShopId,
        was: Decimal,
        target: Decimal,
        found: Decimal,
    },
    /// The copy is otherwise than its origin, and it is not for us to say which is right: it was shipped already, it was
    /// edited where it was copied to, or its platform cannot be told.
    OrderDiffers {
        origin: ShopId,
        copy: ShopId,
        differs: Differing,
    },
    /// One side shipped the order, the other cancelled it.
    ShippedAndCancelled { shipped: ShopId, cancelled: ShopId },
    /// A run would tell shops that so many of their items are sold out: an empty source looks like that. What sells out is
    /// not written before a person has accepted; the rest goes on.
    ManySoldOut {
        levels: u64,
        /// Of so many.
        of: u64,
        /// In percent.
        limit: u32,
    },
    /// Another shop owns the stock now, and shows other numbers than the others were told. Its own are not counted before a
    /// person has accepted.
    StockSwitched { owner: ShopId, levels: u64 },
    /// A price that a person should see before it is written: it waits in these shops, everything else goes on.
    PriceHeld {
        /// The field of our own record, and what it says.
        path: Path,
        value: Value,
        #[serde(deserialize_with = "by_id")]
        shops: BTreeMap<ShopId, HeldPrice>,
    },
    /// The record is not made in these shops, or without some of its variants.
    NotMade {
        #[serde(deserialize_with = "by_id")]
        shops: BTreeMap<ShopId, MissingThere>,
    },
    /// A shop deleted its record of one that its owner still has. It is not made again before a person has said so.
    GoneThere { shop: ShopId, id: RemoteId },
    /// A plan would archive so many records: a source that lost them looks like that. They are not archived before a person
    /// has accepted; the rest goes on.
    ManyArchived { records: u64, of: u64, limit: u32 },
    /// As for records, for variants of products that stay.
    ManyRemoved { variants: u64, of: u64, limit: u32 },
    /// A plan would go beyond a limit.
    Limit {
        name: String,
        found: String,
        limit: String,
    },
    /// What a run wrote to one field of a shop was undone, and nothing is written there before a person says what
    /// counts. Replaces the question of the same number, if there is one.
    Undone {
        path: Path,
        shop: ShopId,
        /// The run that wrote it.
        run: RunId,
        /// What the shop showed after that write; in its terms. As long as it shows this, `held` is to be put back.
        wrote: Value,
        /// What it held before, in its terms.
        held: Value,
        /// What our own record says, in our terms.
        ours: Value,
        /// Whose word it is that `held` shall stand in the source as well, where it does not yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        restoring: Option<String>,
    },
}

/// In what a copy differs from its origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "in", rename_all = "snake_case")]
pub enum Differing {
    Units {
        lines: Vec<LineDiffers>,
    },
    /// The sum of what was given back of the money.
    Refunded {
        origin: Decimal,
        copy: Decimal,
    },
    /// What the buyer has to pay.
    Total {
        origin: Decimal,
        copy: Decimal,
    },
    /// The addresses or the note. Nothing of them is said here.
    Address,
}

/// Units that the buyer keeps of a line: ordered, less cancelled and returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineDiffers {
    /// The origin's line, or the copy's where the origin has none.
    pub line: RemoteId,
    /// Its SKU, or its title.
    pub name: String,
    pub origin: Decimal,
    pub copy: Decimal,
}

/// What a shop would be given in place of what, in its own terms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldPrice {
    /// What buyers pay there, or last paid; empty where it was never sold.
    pub from: Value,
    pub to: Value,
    pub why: PriceDoubt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceDoubt {
    /// Further than so many percent.
    MovesTooFar {
        limit: u32,
    },
    /// It is 0, or less.
    Nothing,
    SaleAbovePrice,
}

/// What a record lacks to be sold in a shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingThere {
    /// It has none.
    Variants,
    /// These variants have no price in the shop's currency, and no rule makes one.
    Price { currency: Currency, skus: Vec<Sku> },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_with_maps_by_shop_survives_its_json() {
        let seen = Seen {
            id: "p1".into(),
            parts: Some(Parts::default()),
            held: Delta::default(),
            anew: false,
            gone: false,
        };
        let bodies = [
            Body::Merged(Merged {
                run: RunId(1),
                record: RecordId(2),
                kind: Kind::Product,
                title: "Coffee".into(),
                keys: vec!["KH-100".into()],
                ours: Delta::default(),
                seen: [(ShopId(3), seen)].into(),
                overruled: vec![],
                due: vec![ShopId(4)],
                awaits: [
                    Awaited::Ours {
                        shop: ShopId(4),
                        record: RecordId(9),
                    },
                    Awaited::Theirs {
                        shop: ShopId(3),
                        id: "c1".into(),
                    },
                ]
                .into(),
            }),
            Body::ConflictOpened {
                conflict: ConflictId(1),
                subject: Subject::Record(RecordId(2)),
                about: Conflict::ChangedInSeveral {
                    path: Path::from_stored("title".into()),
                    values: [(ShopId(3), Value::text("Tea"))].into(),
                },
            },
            Body::StocksMapped(StockMapping {
                default: Some(StockId(1)),
                shops: [(ShopId(3), [("w".into(), StockId(2))].into())].into(),
                homes: [(ShopId(4), StockId(2))].into(),
            }),
            Body::Done {
                orders: vec![],
                items: vec![("KH-100".into(), StockId(1))],
                read: vec![],
                only_pictures: vec![(RecordId(2), ShopId(3))],
            },
            Body::DueAgain {
                what: Again::Levels,
            },
        ];
        for (seq, body) in (1..).zip(bodies) {
            let at = Timestamp::UNIX_EPOCH;
            let entry = Entry { seq, at, body };
            let json = serde_json::to_string(&entry).unwrap();
            assert_eq!(
                serde_json::from_str::<Entry>(&json).unwrap(),
                entry,
                "{json}"
            );
        }
    }

    #[test]
    fn a_stock_that_a_shop_does_not_map_is_not_kept_in_step() {
        let mapping = StockMapping {
            default: Some(StockId(1)),
            shops: [(ShopId(3), [("w".into(), StockId(2))].into())].into(),
            homes: [(ShopId(4), StockId(2))].into(),
        };
        let (mapped, other) = ("w".into(), "x".into());
        assert_eq!(mapping.stock(ShopId(3), Some(&mapped)), Some(StockId(2)));
        assert_eq!(mapping.stock(ShopId(3), Some(&other)), None);
        assert_eq!(mapping.stock(ShopId(3), None), Some(StockId(1)));
        assert_eq!(mapping.stock(ShopId(4), None), Some(StockId(2)));
        assert_eq!(mapping.stock(ShopId(4), Some(&other)), Some(StockId(2)));
        assert_eq!(mapping.stock(ShopId(5), Some(&other)), Some(StockId(1)));
    }
}
