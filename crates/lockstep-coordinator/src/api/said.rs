//! What the journal says, in words for people: runs step by step, a record's history, why a number is
//! what it is, what a question is about.

use super::customers::stored;
use crate::{
    AppState,
    fields::{self, shown, value_text},
    refusal::Answer,
};
use lockstep_engine::stock::{Books, Ledger};
use lockstep_journal::{
    Change, ConflictRow, Explanation, HistoryItem, RecordView, RunView, StockExplained, WriteRow,
    WriteState,
};
use lockstep_model::{
    CustomerId, Kind, OrderAnswer, OrderStep, Path, RecordId, RemoteId, Resolution, ShopId,
    ShopIdentity, Value,
    cases::LineCase,
    entry::{
        Body, Cause, Conflict, Differing, HeldPrice, Hold, MatchAnswer, MissingThere, Movement,
        PriceDoubt, Seen, Settlement, Subject, What,
    },
    settings::{CustomerSettings, Mappable, Policy, StockId},
};
use lockstep_protocol::people::{
    records::{
        Choice, ConflictView, HistoryMove, HistoryRow, LevelRow, MovementRow, RecordRow,
        StockLedger,
    },
    runs::RunStep,
};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Separates the names of a category's path in its key.
const PATH_MARK: char = '\u{1f}';

/// What ids are called in a customer's settings.
pub struct Names {
    pub settings: CustomerSettings,
    /// What each shop said of itself: what it calls its methods and terms.
    pub identities: BTreeMap<ShopId, ShopIdentity>,
}

impl Names {
    pub async fn of(app: &AppState, customer: CustomerId) -> Answer<Self> {
        let settings = stored(app, customer).await?.settings;
        Self::with(app, settings).await
    }

    pub async fn with(app: &AppState, settings: CustomerSettings) -> Answer<Self> {
        let services = settings.services.iter();
        let shops: Vec<ShopId> = services.map(|service| service.id).collect();
        let read = app
            .replicas
            .read(settings.id(), move |journal| {
                let mut identities = BTreeMap::new();
                for shop in shops {
                    if let Some(identity) = journal.identity(shop)? {
                        identities.insert(shop, identity);
                    }
                }
                Ok(identities)
            })
            .await?;
        Ok(Names {
            settings,
            identities: read.value,
        })
    }

    /// What a shop calls one of its methods or terms: "Standard (so_01…)"; its id alone where it has no other name.
    pub fn word(&self, what: Mappable, shop: ShopId, id: &RemoteId) -> String {
        let identity = self.identities.get(&shop);
        let listed = identity.map(|identity| what.listed(identity));
        let known = listed
            .into_iter()
            .flatten()
            .find(|each| what.is_same(each.id.as_str(), id.as_str()));
        match known {
            Some(known) if !known.name.is_empty() && known.name != id.as_str() => {
                format!("{} ({id})", known.name)
            }
            Some(_) | None => id.to_string(),
        }
    }

    pub fn shop(&self, shop: ShopId) -> String {
        self.settings
            .service(shop)
            .map_or_else(|| format!("shop {shop}"), |service| service.name.clone())
    }

    pub fn stock(&self, stock: StockId) -> String {
        let found = self.settings.stocks.iter().find(|known| known.id == stock);
        found.map_or_else(|| format!("stock {stock}"), |known| known.name.clone())
    }

    /// Who decides on a field, in a word.
    pub fn decides(&self, path: &Path) -> String {
        match path.group().map(|group| self.settings.policies.of(group)) {
            Some(Policy::Owner(shop)) => self.shop(shop),
            Some(Policy::Newest) => "newest".into(),
            Some(Policy::FirstNotEmpty) => "first that has it".into(),
            Some(Policy::Ask) => "a person".into(),
            None => String::new(),
        }
    }
}

pub fn key_text(key: &str) -> String {
    key.replace(PATH_MARK, " › ")
}

/// A category's path as people type it.
pub fn key_of(text: &str) -> String {
    text.replace(" › ", &PATH_MARK.to_string())
}

pub fn units(number: Decimal) -> String {
    number.normalize().to_string()
}

pub fn record_name(record: &RecordView) -> String {
    match record.keys.first() {
        Some(key) if record.kind == Kind::Category => key_text(key),
        Some(key) => format!("{key} {}", record.title),
        None => record.title.clone(),
    }
}

pub fn record_row(record: &RecordView) -> RecordRow {
    RecordRow {
        record: record.record,
        kind: record.kind.as_str().to_owned(),
        key: record
            .keys
            .first()
            .map(|key| key_text(key))
            .unwrap_or_default(),
        title: record.title.clone(),
    }
}

/// One of ours, as people know it.
pub fn candidate(record: Option<&RecordRow>) -> String {
    match record {
        Some(record) if record.title.is_empty() => record.key.clone(),
        Some(record) => format!("{} {}", record.key, record.title),
        None => "a record that the journal does not show yet".into(),
    }
}

fn subject_name(subject: &Subject, keys: &BTreeMap<RecordId, String>) -> String {
    match subject {
        Subject::Record(record) => keys
            .get(record)
            .cloned()
            .unwrap_or_else(|| format!("record {record}")),
        Subject::Level { item, .. } => format!("stock of {item}"),
        Subject::Order(order) => format!("order {}", order.id),
        Subject::Shop(shop) => format!("shop {shop}"),
        Subject::Levels => "all stock levels".into(),
        Subject::Catalogue => "all records".into(),
    }
}

pub fn cause_text(names: &Names, cause: &Cause) -> String {
    match cause {
        Cause::Schedule => "schedule".into(),
        Cause::Wake { shop, flow } => format!(
            "{} said that {flow} changed, or a person asked",
            names.shop(*shop)
        ),
        Cause::Settings => "the settings were changed".into(),
        Cause::Retry => "something was left open".into(),
        Cause::Person { name } => name.clone(),
        Cause::Undo { run, by } => format!("{by}, who undoes run {run}"),
    }
}

/// Why it started, and what it read.
pub fn run_begin(names: &Names, run: &RunView) -> Vec<RunStep> {
    let causes: Vec<String> = run
        .row
        .causes
        .iter()
        .map(|cause| cause_text(names, cause))
        .collect();
    let mut steps = vec![RunStep {
        at: run.row.started_at,
        seq: 0,
        shop: None,
        title: "started".into(),
        detail: causes.join("; "),
    }];
    steps.extend(run.pages.iter().map(|page| RunStep {
        at: run.row.started_at,
        seq: 0,
        shop: Some(page.shop),
        title: format!("read {} of {}", plural(page.kind), names.shop(page.shop)),
        detail: format!(
            "{} in {} {}, {} changed{}",
            page.records,
            page.pages,
            if page.pages == 1 { "page" } else { "pages" },
            page.changed,
            if page.bad > 0 {
                format!(", {} could not be read and stand aside", page.bad)
            } else {
                String::new()
            }
        ),
    }));
    steps
}

fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::Category => "categories",
        Kind::Product => "products",
        Kind::Level => "stock levels",
        Kind::Order => "orders",
    }
}

pub fn run_end(run: &RunView) -> Option<RunStep> {
    let at = run.row.finished_at?;
    let words: Vec<String> = run
        .writes
        .iter()
        .map(|(state, count)| format!("{count} {}", write_state(*state)))
        .collect();
    let mut detail = run.row.message.clone();
    if !words.is_empty() {
        if !detail.is_empty() {
            detail.push_str(" · ");
        }
        detail.push_str(&words.join(", "));
    }
    Some(RunStep {
        at,
        seq: 0,
        shop: None,
        title: "ended".into(),
        detail,
    })
}

fn write_state(state: WriteState) -> &'static str {
    match state {
        WriteState::Open => "under way",
        WriteState::Done => "written",
        WriteState::NotApplied => "not applied",
        WriteState::Unknown => "to be looked at: the answer was lost",
        WriteState::Moot => "overtaken",
    }
}

pub fn write_step(names: &Names, write: &WriteRow, keys: &BTreeMap<RecordId, String>) -> RunStep {
    RunStep {
        at: write.at,
        seq: write.intent.0,
        shop: Some(write.shop),
        title: format!(
            "{} at {}: {}",
            subject_name(&write.subject, keys),
            names.shop(write.shop),
            what_title(&write.what)
        ),
        detail: write_state(write.state).to_owned(),
    }
}

fn what_title(what: &What) -> String {
    match what {
        What::Create { .. } => "create".into(),
        What::Set { set } => {
            let fields: Vec<String> = set
                .iter()
                .take(3)
                .map(|(path, value)| {
                    format!("{} → {}", fields::name(path), shown(path, Some(value)))
                })
                .collect();
            let more = set.len().saturating_sub(fields.len());
            match more {
                0 => fields.join(", "),
                _ => format!("{} and {more} more", fields.join(", ")),
            }
        }
        What::AddPicture { .. } => "add a picture".into(),
        What::RemovePicture { .. } => "remove a picture".into(),
        What::Level {
            target,
            was_available,
            ..
        } => {
            format!("available {} → {}", units(*was_available), units(*target))
        }
        What::CreateOrder => "create the order".into(),
        What::StepOrder { step } => match step {
            OrderStep::Pay => "mark as paid".into(),
            OrderStep::Ship { .. } => "ship".into(),
            OrderStep::Cancel => "cancel".into(),
            OrderStep::CancelUnits { lines, restock, .. } => {
                format!("cancel {} {}", of_units(lines), put_back(*restock))
            }
            OrderStep::Refund {
                amount,
                lines,
                restock,
                ..
            } => match (amount.is_zero(), lines.is_empty()) {
                (true, _) => format!("take back {} {}", of_units(lines), put_back(*restock)),
                (false, true) => format!("refund {amount}"),
                (false, false) => format!(
                    "refund {amount} and take back {} {}",
                    of_units(lines),
                    put_back(*restock)
                ),
            },
            OrderStep::Edit { .. } => "change its lines".into(),
            OrderStep::Readdress => "change its address".into(),
        },
    }
}

fn of_units(lines: &BTreeMap<RemoteId, Decimal>) -> String {
    let sum: Decimal = lines.values().sum();
    let unit = if sum == Decimal::ONE { "unit" } else { "units" };
    format!("{} {unit}", units(sum))
}

fn put_back(restock: bool) -> &'static str {
    if restock {
        "and put back"
    } else {
        "and not put back"
    }
}

/// One line for each field that moved; one for an entry that moved none and still says something.
pub fn history_rows(names: &Names, item: &HistoryItem) -> Vec<HistoryRow> {
    let why = why(names, item);
    let causes = item.causes.iter().map(|cause| cause_text(names, cause));
    let cause = causes.collect::<Vec<_>>().join("; ");
    let row = |what: String| HistoryRow {
        at: item.at,
        seq: item.seq,
        run: item.run,
        what,
        why: why.clone(),
        who: who(names, &item.body, None),
        moved: None,
        cause: cause.clone(),
        times: 1,
        first_at: None,
    };
    if !item.changes.is_empty() {
        return item
            .changes
            .iter()
            .map(|change| {
                let at = change
                    .shop
                    .map(|shop| format!(" at {}", names.shop(shop)))
                    .unwrap_or_default();
                let from = shown(&change.path, change.from.as_ref());
                let to = shown(&change.path, change.to.as_ref());
                HistoryRow {
                    who: who(names, &item.body, Some(change)),
                    moved: Some(HistoryMove {
                        field: change.path.as_str().to_owned(),
                        name: fields::name(&change.path),
                        shop: change.shop,
                        shop_name: change
                            .shop
                            .map_or_else(String::new, |shop| names.shop(shop)),
                        from: change.from.as_ref().map(value_text),
                        to: change.to.as_ref().map(value_text),
                    }),
                    ..row(format!("{}{at} {from} → {to}", fields::name(&change.path)))
                }
            })
            .collect();
    }
    moved(names, &item.body).map(row).into_iter().collect()
}

/// Whose doing an entry is, or one change in it.
fn who(names: &Names, body: &Body, change: Option<&Change>) -> String {
    let ourselves = || "Lockstep".to_owned();
    match (body, change) {
        (
            Body::Merged(_),
            Some(Change {
                shop: Some(shop), ..
            }),
        ) => names.shop(*shop),
        (Body::Merged(merged), change) => {
            let moved_it = |seen: &Seen| {
                change.is_none_or(|change| {
                    let held = &seen.held;
                    held.set.contains_key(&change.path) || held.unset.contains(&change.path)
                })
            };
            let shops = merged.seen.iter().filter(|(_, seen)| moved_it(seen));
            let shops: Vec<String> = shops.map(|(shop, _)| names.shop(*shop)).collect();
            if shops.is_empty() {
                return ourselves();
            }
            shops.join(", ")
        }
        (Body::OrderSeen { shop, .. } | Body::LevelSeen { shop, .. }, _)
        | (Body::LevelOverruled { shop, .. }, _)
        | (
            Body::BaseMoved {
                cause:
                    Movement::Opening { shop }
                    | Movement::Switched { shop }
                    | Movement::Unexplained { shop, .. },
                ..
            },
            _,
        ) => names.shop(*shop),
        (Body::ConflictClosed { by: Some(by), .. }, _) => by.clone(),
        _ => ourselves(),
    }
}

fn why(names: &Names, item: &HistoryItem) -> String {
    let run = item
        .run
        .map(|run| format!(" by run {run}"))
        .unwrap_or_default();
    match &item.body {
        Body::Merged(merged) => {
            let shops: Vec<String> = merged.seen.keys().map(|shop| names.shop(*shop)).collect();
            format!("seen in {}{run}", shops.join(", "))
        }
        Body::Intended { shop, .. } => format!("sent to {}{run}", names.shop(*shop)),
        Body::Settled { how, .. } => match how.as_ref() {
            Settlement::Done { .. } => "the shop confirmed it".into(),
            Settlement::NotApplied { fault: Some(fault) } => {
                format!("not applied: {}", fault.message)
            }
            Settlement::NotApplied { fault: None } => "not applied".into(),
            Settlement::Answered { .. } => {
                "done, as the shop says; its level is read with its orders once more".into()
            }
            Settlement::Unknown { .. } => "the answer was lost; the shop is looked at".into(),
            Settlement::Moot => "overtaken by a newer reading".into(),
        },
        Body::OrderSeen { shop, .. } | Body::LevelSeen { shop, .. } => {
            format!("read from {}{run}", names.shop(*shop))
        }
        Body::BaseMoved { cause, .. } => movement_text(names, cause),
        Body::Aside { fault, .. } => fault.message.clone(),
        Body::OrderHeld { order, reason, .. } => hold_text(names, order.shop, reason),
        Body::OrderAnswered { by, .. }
        | Body::LinkForgotten { by, .. }
        | Body::MatchAnswered { by: Some(by), .. } => {
            format!("decided by {by}")
        }
        Body::BuyersErased { by: Some(by), .. } => format!("erased by {by}"),
        Body::BuyersErased { by: None, .. } => "it was kept as long as the settings say".into(),
        Body::ConflictClosed { decision, by, .. } => match by {
            Some(by) => format!("{decision}, decided by {by}"),
            None => decision.clone(),
        },
        _ => run.trim().to_owned(),
    }
}

fn moved(names: &Names, body: &Body) -> Option<String> {
    Some(match body {
        Body::Intended { what, shop, .. } => format!("{}: {}", names.shop(*shop), what_title(what)),
        Body::OrderSeen { shop, state, .. } => format!(
            "{} {}: {}",
            names.shop(*shop),
            state.number,
            order_words(state.payment, state.fulfilment, state.cancelled)
        ),
        Body::LevelSeen { shop, level, .. } => {
            format!("{} shows {}", names.shop(*shop), units(level.available()))
        }
        Body::BaseMoved { delta, .. } => signed(*delta),
        Body::LevelOverruled { shop, delta, .. } => {
            format!(
                "{} moved by itself by {}; it is written over",
                names.shop(*shop),
                signed(*delta)
            )
        }
        Body::OrderHeld { .. } => "held".into(),
        Body::OrderReleased { .. } => "released".into(),
        Body::Aside { shop, .. } => format!("set aside at {}", names.shop(*shop)),
        Body::ConflictOpened { about, .. } => conflict_title(names, about, ""),
        Body::MatchAnswered {
            shop, id, answer, ..
        } => {
            let shop = names.shop(*shop);
            match answer {
                MatchAnswer::Is { record } => format!("{id} of {shop} is record {record}"),
                MatchAnswer::NoneOfOurs => format!("{id} of {shop} is none of ours"),
                MatchAnswer::Over => format!("{id} of {shop} is no longer in doubt"),
            }
        }
        Body::ConflictClosed { .. } => "decided".into(),
        Body::BuyersErased { .. } => "the buyer's data was erased".into(),
        Body::OrderAnswered { answer, into, .. } => match answer {
            OrderAnswer::ItIsThere { id } => format!("it is {id} in {}", names.shop(*into)),
            OrderAnswer::ItIsNotThere => format!("it is not in {}: it is made", names.shop(*into)),
            OrderAnswer::TryAgain => "tried again".into(),
        },
        _ => return None,
    })
}

fn order_words(
    payment: lockstep_model::Payment,
    fulfilment: lockstep_model::Fulfilment,
    cancelled: bool,
) -> String {
    use lockstep_model::{Fulfilment, Payment};
    if cancelled {
        return "cancelled".into();
    }
    let paid = match payment {
        Payment::Pending => "not paid",
        Payment::Accepted => "accepted",
        Payment::Authorized => "authorized",
        Payment::Paid => "paid",
        Payment::PartlyRefunded => "refunded in part",
        Payment::Refunded => "refunded",
    };
    match fulfilment {
        Fulfilment::Open => paid.to_owned(),
        Fulfilment::Partly => format!("{paid}, shipped in part"),
        Fulfilment::Shipped => format!("{paid}, shipped"),
    }
}

fn signed(number: Decimal) -> String {
    if number.is_sign_positive() && !number.is_zero() {
        return format!("+{}", units(number));
    }
    units(number)
}

fn movement_text(names: &Names, cause: &Movement) -> String {
    match cause {
        Movement::Opening { .. } => "opening".into(),
        Movement::Switched { shop } => {
            format!("{} counts the stock from here on", names.shop(*shop))
        }
        Movement::Unexplained { shop, .. } => format!("receipt or count in {}", names.shop(*shop)),
        Movement::Closing { order } => format!("order {} is final everywhere", order.id),
    }
}

pub fn hold_text(names: &Names, origin: ShopId, hold: &Hold) -> String {
    match hold {
        Hold::Gate => "it waits for its payment".into(),
        Hold::UnknownSku { sku } => format!("the receiving shop has no {sku}"),
        Hold::UnmappedPaymentMethod { id } => {
            let word = names.word(Mappable::PaymentMethod, origin, id);
            format!("the payment method {word} has no identifier in the settings")
        }
        Hold::UnmappedShippingMethod { id } => {
            let word = names.word(Mappable::ShippingMethod, origin, id);
            format!("the shipping method {word} has no identifier in the settings")
        }
        Hold::UnmappedPaymentTerm { id } => {
            let word = names.word(Mappable::PaymentTerm, origin, id);
            format!("the payment term {word} has no identifier in the settings")
        }
        Hold::UnmappedCountry { country } => {
            format!("it goes to {country}, which is none of the receiving shop's countries")
        }
        Hold::Sums { total, parts } => format!("its parts add up to {parts}, not to {total}"),
        Hold::UnknownTaxRate { rate } => format!("the receiving shop has no tax rate of {rate} %"),
        Hold::InDoubt => "it may have been made in the receiving shop, which cannot be asked: look whether it is there".into(),
        Hold::Refused { message } => format!("the receiving shop refused it: {message}"),
        Hold::Refunded => "all its money was given back before it crossed: there is nothing to ship".into(),
        Hold::BuyerErased => "its buyer was erased before it could cross".into(),
    }
}

/// What orders of one shop wait for, and what helps.
pub fn held(names: &Names, origin: ShopId, hold: &Hold, count: u64) -> (String, String) {
    let orders = match count {
        1 => "1 order of ".to_owned() + &names.shop(origin),
        _ => format!("{count} orders of {}", names.shop(origin)),
    };
    let waits = if count == 1 { "waits" } else { "wait" };
    let (does, was, may) = match count {
        1 => ("does", "was", "1 order"),
        _ => ("do", "were", "orders"),
    };
    let into = names
        .settings
        .policies
        .orders
        .into
        .map_or_else(|| "the receiving shop".to_owned(), |shop| names.shop(shop));
    match hold {
        Hold::Gate => (
            format!("{orders} {waits} for payment"),
            "Nothing to do.".into(),
        ),
        Hold::Refunded => (
            format!("{orders} {was} refunded in full before anything left"),
            "Nothing to do: there is nothing to ship.".into(),
        ),
        Hold::UnmappedPaymentMethod { id } => (
            format!(
                "{orders} {waits} for the payment method \"{}\"",
                names.word(Mappable::PaymentMethod, origin, id)
            ),
            format!("Say once what {into} calls it, and all that wait for the same cross."),
        ),
        Hold::UnmappedShippingMethod { id } => (
            format!(
                "{orders} {waits} for the shipping method \"{}\"",
                names.word(Mappable::ShippingMethod, origin, id)
            ),
            format!("Say once what {into} calls it, and all that wait for the same cross."),
        ),
        Hold::UnmappedPaymentTerm { id } => (
            format!(
                "{orders} {waits} for the payment term \"{}\"",
                names.word(Mappable::PaymentTerm, origin, id)
            ),
            format!("Say once what {into} calls it, and all that wait for the same cross."),
        ),
        Hold::UnmappedCountry { country } => (
            format!("{orders} {waits} for the country {country}"),
            format!(
                "{into} does not send there. Say once which of its countries stands for it in the copies' addresses, and all that wait for the same cross. Or add it there and try again."
            ),
        ),
        Hold::UnknownSku { sku } => (
            format!("{orders} {waits} for the SKU {sku}"),
            format!("{into} has no item with it. Once it has, they cross by themselves."),
        ),
        Hold::Sums { .. } => (
            format!("{orders} {does} not add up"),
            "What the lines and charges lack of the total is more than rounding. Mend the order in its shop and try again."
                .into(),
        ),
        Hold::UnknownTaxRate { rate } => (
            format!("{orders} {waits} for a tax rate of {rate} %"),
            format!(
                "{into} has none. Say once which of its rates stands for it, and all that wait for the same cross; the amounts stay as they are. Or add it there and try again."
            ),
        ),
        Hold::InDoubt => (
            format!("{may} of {} may have been made already", names.shop(origin)),
            format!("The answer was lost and {into} cannot be asked. Look there, and say whether it is there."),
        ),
        Hold::BuyerErased => (
            format!("{orders} lost {} buyer", if count == 1 { "its" } else { "their" }),
            format!("Erased before it could cross. Whoever wants it in {into} enters it there by hand."),
        ),
        Hold::Refused { .. } => (
            format!("{orders} {was} refused"),
            format!("Mend what {into} says, and try again."),
        ),
    }
}

/// The stocks of a SKU: what came, what is committed to whom, and what each shop shows and shall show, by the rule that
/// the worker goes by.
pub fn stocks(
    names: &Names,
    explained: &Explanation,
    shops: &BTreeMap<ShopId, ShopIdentity>,
) -> Vec<StockLedger> {
    let rule = Ledger::new(
        &names.settings,
        shops.iter().map(|(shop, identity)| (*shop, identity)),
    );
    let lines: Vec<LineCase> = explained
        .lines
        .iter()
        .map(|line| line.line.clone())
        .collect();
    let books = rule.books(explained.bases.clone(), &lines);
    let stocks = explained.stocks.iter();
    stocks
        .map(|stock| stock_ledger(names, explained, stock, &books))
        .collect()
}

fn stock_ledger(
    names: &Names,
    explained: &Explanation,
    stock: &StockExplained,
    books: &Books<'_>,
) -> StockLedger {
    let base = explained.bases.get(&stock.stock);
    let base = base.copied().unwrap_or_default();
    let committed = books.committed(stock.stock);
    let mut movements = Vec::new();
    if !stock.movements_before.is_zero()
        && let Some(first) = stock.movements.first()
    {
        movements.push(MovementRow {
            at: first.at,
            units: stock.movements_before,
            what: "earlier".into(),
            order: None,
        });
    }
    movements.extend(stock.movements.iter().map(|movement| MovementRow {
        at: movement.at,
        units: movement.delta,
        what: movement_text(names, &movement.cause),
        order: None,
    }));
    for booked in books.lines(stock.stock) {
        if booked.committed.is_zero() {
            continue;
        }
        let line = booked.line;
        let known = explained.lines.iter().find(|known| known.line == *line);
        let copies = known.into_iter().flat_map(|known| &known.copies);
        let copies: Vec<String> = copies
            .map(|(shop, number)| format!("{} {number}", names.shop(*shop)))
            .collect();
        let origin = format!("{} {}", names.shop(line.order.shop), line.number);
        movements.push(MovementRow {
            at: known
                .and_then(|known| known.placed_at)
                .or_else(|| movements.last().map(|last| last.at))
                .unwrap_or_default(),
            units: -booked.committed,
            what: "order".into(),
            order: Some(match copies.is_empty() {
                true => origin,
                false => format!("{origin} (its copy: {})", copies.join(", ")),
            }),
        });
    }
    movements.sort_by_key(|movement| movement.at);
    let levels = stock.levels.iter().map(|level| {
        let shown = books.shown(level.shop, &stock.stock);
        let is_open = shown.iter().any(|stock| books.is_open(*stock));
        let shows = &level.level;
        let target = if is_open {
            books.told(level.shop, stock.stock, shows)
        } else {
            shows.available()
        };
        LevelRow {
            shop: level.shop,
            name: names.shop(level.shop),
            on_hand: shows.on_hand,
            reserved: shows.reserved,
            available: shows.available(),
            taken: level.taken,
            sells_from: match shown {
                [_] => Vec::new(),
                several => several.iter().map(|stock| names.stock(*stock)).collect(),
            },
            pending: books.pending(level.shop, stock.stock),
            target,
            clamped: level.meant == Some(target),
        }
    });
    StockLedger {
        stock: stock.stock,
        stock_name: names.stock(stock.stock),
        base,
        committed,
        pool: base - committed,
        levels: levels.collect(),
        movements,
    }
}

/// `others`: the records of ours that a doubtful match could be.
pub fn conflict(
    names: &Names,
    customer: CustomerId,
    row: &ConflictRow,
    record: Option<RecordRow>,
    others: &BTreeMap<RecordId, RecordRow>,
) -> ConflictView {
    let about = match (&record, &row.subject) {
        (Some(record), _) if record.key.is_empty() => record.title.clone(),
        (Some(record), _) => record.key.clone(),
        (None, Subject::Level { item, .. }) => item.to_string(),
        (None, Subject::Order(order)) => format!("order {}", order.id),
        (None, Subject::Record(record)) => format!("record {record}"),
        (None, Subject::Shop(shop)) => names.shop(*shop),
        (None, Subject::Levels) => "all stock levels".into(),
        (None, Subject::Catalogue) => "all records".into(),
    };
    ConflictView {
        conflict: row.conflict,
        customer_id: customer,
        opened_at: row.at,
        record,
        title: conflict_title(names, &row.about, &about),
        detail: conflict_detail(names, &row.about, others),
        choices: choices(names, &row.about, others),
    }
}

fn conflict_title(names: &Names, about: &Conflict, subject: &str) -> String {
    match about {
        Conflict::DoubtfulMatch {
            shop,
            id,
            title,
            gtin,
            ..
        } => {
            let shop = names.shop(*shop);
            let named = match title.as_str() {
                "" => format!("{id} of {shop}"),
                title => format!("{title} ({id}) of {shop}"),
            };
            match gtin {
                Some(_) => format!("{named} bears the GTIN of one of ours"),
                None => format!("{named} could be several of ours"),
            }
        }
        Conflict::ManySoldOut { levels, of, .. } => {
            format!("{levels} of {of} stock levels are to be sold out at once")
        }
        Conflict::StockSwitched { owner, .. } => {
            format!(
                "{} counts the stock now, and shows other numbers",
                names.shop(*owner)
            )
        }
        Conflict::Meeting { shop, .. } => {
            format!(
                "{} waits for your word before it is written to",
                names.shop(*shop)
            )
        }
        Conflict::Unchosen { shop, what } => {
            format!("{} waits: choose its {}", names.shop(*shop), listed(what))
        }
        Conflict::SameKeyTwice { shop, key, .. } => {
            format!(
                "{} has several records with the key {}",
                names.shop(*shop),
                key_text(key)
            )
        }
        Conflict::ChangedInSeveral { path, values } => {
            let count = values.len();
            format!("{} changed in {count} shops", fields::of(path, subject))
        }
        Conflict::LevelInDoubt { shop, .. } => {
            format!(
                "the stock of {subject} at {} is in doubt",
                names.shop(*shop)
            )
        }
        Conflict::ShippedAndCancelled { shipped, cancelled } => format!(
            "{subject} was shipped in {} and cancelled in {}",
            names.shop(*shipped),
            names.shop(*cancelled)
        ),
        Conflict::OrderDiffers { copy, differs, .. } => {
            let copy = names.shop(*copy);
            match differs {
                Differing::Units { .. } => format!("{subject} has other units in {copy}"),
                Differing::Refunded { .. } => {
                    format!("of {subject} another sum was refunded in {copy}")
                }
                Differing::Total { .. } => format!("{subject} has another total in {copy}"),
                Differing::Address => {
                    format!("{subject} got another address, and {copy} has the old one")
                }
            }
        }
        Conflict::PriceHeld { path, shops, .. } => {
            let held = match shops.len() {
                1 => "one shop".to_owned(),
                count => format!("{count} shops"),
            };
            format!(
                "{} waits for your word in {held}",
                fields::of(path, subject)
            )
        }
        Conflict::NotMade { shops } => {
            let shops: Vec<String> = shops.keys().map(|shop| names.shop(*shop)).collect();
            format!("{subject} is not made in {}", shops.join(", "))
        }
        Conflict::GoneThere { shop, .. } => {
            format!("{subject} was deleted in {}", names.shop(*shop))
        }
        Conflict::ManyArchived { records, of, .. } => {
            format!("{records} of {of} records are to be archived at once")
        }
        Conflict::ManyRemoved { variants, of, .. } => {
            format!("{variants} of {of} variants are to be removed at once")
        }
        Conflict::Limit { name, .. } => format!("a plan goes beyond the limit {name}"),
        Conflict::Undone { path, shop, .. } => {
            format!(
                "{} was undone at {}",
                fields::of(path, subject),
                names.shop(*shop)
            )
        }
    }
}

fn conflict_detail(
    names: &Names,
    about: &Conflict,
    others: &BTreeMap<RecordId, RecordRow>,
) -> String {
    match about {
        Conflict::DoubtfulMatch {
            candidates,
            skus,
            gtin,
            ..
        } => {
            let ours: Vec<String> = candidates
                .iter()
                .map(|record| candidate(others.get(record)))
                .collect();
            let ours = ours.join("; ");
            let skus = skus.join(", ");
            match gtin {
                Some(gtin) => format!(
                    "Both bear {gtin}; its SKU there is {skus}, and ours is {ours}. It is not linked, and ours is not made there beside it. If they are the same, give them the same SKU in one of the shops, and the question closes by itself."
                ),
                None => format!(
                    "It bears {skus} there, and fits {ours}. It is not linked, and none of them is made there beside it; their other shops go on. Put the SKUs right in the shop, and the question closes by itself."
                ),
            }
        }
        Conflict::ManySoldOut { limit, .. } => format!(
            "Within an hour none of them is counted any more: more than {limit} %, and an empty or broken source looks like that. Those that are not written yet wait; everything else goes on, and what buyers buy is told to every shop as ever. If it is so, accept: it holds for an hour. If not, mend the source, and the question closes by itself."
        ),
        Conflict::StockSwitched { levels, .. } => format!(
            "It shows {levels} {} otherwise than the shops were told. The numbers of before still hold, and orders go on. Make a plan to see what would be written; accept, and its numbers count; or give the stock back to its owner of before, and the question closes by itself.",
            if *levels == 1 { "level" } else { "levels" }
        ),
        Conflict::Meeting { products, .. } => format!(
            "It had {products} {} of its own when it was first read. What fits one of ours by its SKU is linked; what is in doubt is asked about by itself. Nothing is written to it yet: make a plan, see what would be, and accept.",
            if *products == 1 {
                "product"
            } else {
                "products"
            }
        ),
        Conflict::Unchosen { what, .. } => format!(
            "It has more than one {}, and which is kept in step is for you to say. It is read, and nothing is written to it. Pick from the list in its settings, and the question closes by itself.",
            listed(what)
        ),
        Conflict::SameKeyTwice { ids, .. } => {
            let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
            format!(
                "They are {}. Give them different keys there, or delete one; nothing was written.",
                ids.join(", ")
            )
        }
        Conflict::ChangedInSeveral { path, values } => {
            let values: Vec<String> = values
                .iter()
                .map(|(shop, value)| format!("{}: {}", names.shop(*shop), shown(path, Some(value))))
                .collect();
            values.join(" · ")
        }
        Conflict::LevelInDoubt {
            was, target, found, ..
        } => format!(
            "It was {}, was to become {}, and is {}. An answer was lost on the way, and a sale may have come between.",
            units(*was),
            units(*target),
            units(*found)
        ),
        Conflict::ShippedAndCancelled { .. } => "Nothing was changed on either side.".into(),
        Conflict::OrderDiffers {
            origin,
            copy,
            differs,
        } => order_differs(&names.shop(*origin), &names.shop(*copy), differs),
        Conflict::PriceHeld { path, shops, .. } => {
            let shops: Vec<String> = shops
                .iter()
                .map(|(shop, held)| held_price(&names.shop(*shop), path, held))
                .collect();
            format!(
                "{}. It is held there; everything else goes on. If it is meant so, accept. If not, put it right where it comes from, and the question closes by itself.",
                shops.join(" · ")
            )
        }
        Conflict::NotMade { shops } => {
            let shops: Vec<String> = shops
                .iter()
                .map(|(shop, missing)| missing_there(&names.shop(*shop), missing))
                .collect();
            format!(
                "{}. Put it right where it comes from, or in the shop's settings, and the question closes by itself.",
                shops.join(" · ")
            )
        }
        Conflict::GoneThere { shop, .. } => format!(
            "{} is without it, and its owner still has it. It is not made again by itself: say whether it shall be, or stay as it is.",
            names.shop(*shop)
        ),
        Conflict::ManyArchived { limit, .. } => format!(
            "That is more than the limit of {limit} %, and a source that has lost them looks like that. None of them is archived; everything else goes on. If it is meant so, accept: it holds for an hour. If not, mend the source, and the question closes by itself."
        ),
        Conflict::ManyRemoved { limit, .. } => format!(
            "They go from products that stay, and that is more than the limit of {limit} %. None of them is removed; everything else goes on. If it is meant so, accept: it holds for an hour. If not, mend the source, and the question closes by itself."
        ),
        Conflict::Limit { found, limit, .. } => {
            format!("It would be {found}, and the limit is {limit}. Nothing was written.")
        }
        Conflict::Undone {
            path,
            shop,
            run,
            held,
            ours,
            restoring,
            ..
        } => {
            let source = source(names, path);
            let (shop, held) = (names.shop(*shop), shown(path, Some(held)));
            let state = format!(
                "{source} says {}; {shop} is held at {held}, as before run {run}, and nothing is written there",
                shown(path, Some(ours))
            );
            match restoring {
                Some(by) => format!("{state}. {by} wants {held} in {source}: it is being written."),
                None => format!("{state} until you decide."),
            }
        }
    }
}

fn order_differs(origin: &str, copy: &str, differs: &Differing) -> String {
    let says = match differs {
        Differing::Units { lines } => {
            let lines: Vec<String> = lines
                .iter()
                .map(|line| {
                    format!(
                        "{}: {} in {origin}, {} in {copy}",
                        line.name,
                        units(line.origin),
                        units(line.copy)
                    )
                })
                .collect();
            lines.join(" · ")
        }
        Differing::Refunded {
            origin: ours,
            copy: theirs,
        } => format!(
            "{ours} in {origin}, {theirs} in {copy}, and it is not for Lockstep to say which is meant, or one of them takes no refunds from it"
        ),
        Differing::Total {
            origin: ours,
            copy: theirs,
        } => {
            format!("{ours} in {origin}, {theirs} in {copy}")
        }
        Differing::Address => {
            return format!(
                "The address or the note was changed in {origin} when it could no longer be changed in {copy} by Lockstep. See that the goods go to the right place; all else of the order goes on."
            );
        }
    };
    format!(
        "{says}. Change the one that is wrong in its shop, and the question closes by itself; all else of the order goes on."
    )
}

fn held_price(shop: &str, path: &Path, held: &HeldPrice) -> String {
    let HeldPrice { from, to, why } = held;
    let (from, to) = (shown(path, Some(from)), shown(path, Some(to)));
    match why {
        PriceDoubt::MovesTooFar { limit } => {
            format!("{shop}: {from} would become {to}, more than the limit of {limit} %")
        }
        PriceDoubt::Nothing => format!("{shop}: it would be sold at {to}"),
        PriceDoubt::SaleAbovePrice => {
            format!("{shop}: the sale price would be {to}, above the price")
        }
    }
}

fn missing_there(shop: &str, missing: &MissingThere) -> String {
    match missing {
        MissingThere::Variants => format!("{shop}: it has no variant that could be sold"),
        MissingThere::Price { currency, skus } => {
            let skus: Vec<&str> = skus.iter().map(|sku| sku.as_str()).collect();
            format!(
                "{shop}: {} has no price in {currency}, and no rule makes one",
                skus.join(", ")
            )
        }
    }
}

/// From where our own record has a field, in a word.
fn source(names: &Names, path: &Path) -> String {
    match path.group().map(|group| names.settings.policies.of(group)) {
        Some(Policy::Owner(shop)) => names.shop(shop),
        _ => "our record".into(),
    }
}

/// The answers that a person may give: none where only the shops themselves can be put right.
fn choices(names: &Names, about: &Conflict, others: &BTreeMap<RecordId, RecordRow>) -> Vec<Choice> {
    let choice = |label: String, decision| Choice { label, decision };
    match about {
        Conflict::DoubtfulMatch {
            candidates, gtin, ..
        } => {
            let is = candidates.iter().filter(|_| gtin.is_none());
            let is = is.map(|record| {
                choice(
                    format!("it is {}", candidate(others.get(record))),
                    Resolution::IsRecord { record_id: *record },
                )
            });
            let none = match gtin {
                Some(_) => "it is another product",
                None => "it is none of these: leave it alone",
            };
            is.chain([choice(none.into(), Resolution::NoneOfOurs)])
                .collect()
        }
        Conflict::ManySoldOut { .. } => vec![choice(
            "accept: they are sold out".into(),
            Resolution::Accept,
        )],
        Conflict::StockSwitched { owner, .. } => vec![choice(
            format!(
                "accept: what {} shows counts from now on",
                names.shop(*owner)
            ),
            Resolution::Accept,
        )],
        Conflict::Meeting { shop, .. } => vec![choice(
            format!("accept: {} is written to from now on", names.shop(*shop)),
            Resolution::Accept,
        )],
        Conflict::PriceHeld { path, value, .. } => vec![choice(
            format!("accept: {} is meant", shown(path, Some(value))),
            Resolution::Accept,
        )],
        Conflict::GoneThere { shop, .. } => vec![
            choice(
                format!("make it again in {}", names.shop(*shop)),
                Resolution::MakeAgain,
            ),
            choice("leave it as it is".into(), Resolution::LeaveAsIs),
        ],
        Conflict::ManyArchived { .. } => vec![choice(
            "accept: they are archived".into(),
            Resolution::Accept,
        )],
        Conflict::ManyRemoved { .. } => vec![choice(
            "accept: they are removed".into(),
            Resolution::Accept,
        )],
        Conflict::Unchosen { .. }
        | Conflict::SameKeyTwice { .. }
        | Conflict::NotMade { .. }
        | Conflict::Limit { .. } => Vec::new(),
        Conflict::ChangedInSeveral { path, values } => values
            .iter()
            .map(|(shop, value)| {
                let label = format!("{}: {}", names.shop(*shop), shown(path, Some(value)));
                choice(label, Resolution::UseShop { shop_id: *shop })
            })
            .chain([choice(
                "another value".into(),
                Resolution::UseValue {
                    value: Value::Empty,
                },
            )])
            .collect(),
        Conflict::LevelInDoubt { target, .. } => vec![
            choice(
                format!(
                    "our {} was written; the rest came or went since",
                    units(*target)
                ),
                Resolution::WasWritten,
            ),
            choice(
                "nothing was written; all of it came or went".into(),
                Resolution::WasNotWritten,
            ),
        ],
        Conflict::Undone {
            path,
            shop,
            held,
            restoring,
            ..
        } => {
            let label = format!(
                "restore {} in {}",
                shown(path, Some(held)),
                source(names, path)
            );
            let restore = choice(label, Resolution::RestoreInSource);
            let label = format!("release: {} is synced again", names.shop(*shop));
            let release = choice(label, Resolution::Release);
            let link = names.settings.link(*shop);
            let is_made = link.is_some_and(|link| link.transform.makes(path));
            let restore = (restoring.is_none() && !is_made).then_some(restore);
            restore.into_iter().chain([release]).collect()
        }
        Conflict::ShippedAndCancelled { .. } | Conflict::OrderDiffers { .. } => vec![choice(
            "it is settled by hand; leave both as they are".into(),
            Resolution::LeaveAsIs,
        )],
    }
}

/// "a, b and c"
fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
