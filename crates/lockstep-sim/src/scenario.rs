//! A history made of one seed: what kinds of shops there are, what buyers and people do, what goes wrong; and the
//! verdict of the checkers.

use crate::acts::{act, finish_orders};
use crate::catalogue_acts::{self, PICKED};
use crate::check::{always, at_rest, calls, waiting};
use crate::closing;
use crate::coordinator::later;
use crate::deleted_there;
use crate::dice::Dice;
use crate::faults::Faults;
use crate::mistakes::Mistake;
use crate::refusals;
use crate::shop::{LevelWrites, OrderKeys, SimShop, Traits};
use crate::sim::{SEARCH_LAG_MS, SETTLES_AFTER_MS, Sim};
use crate::stocks;
use crate::topics::{Topic, Topics};
use crate::undoing;
use crate::wiped;
use crate::world::{Terms, World};
use jiff::Timestamp;
use lockstep_engine::{Abilities, PageSize, Rules, ShopRules};
use lockstep_model::settings::{
    Assortment, Customer, CustomerHasService, CustomerSettings, Gate, Policies, Policy, RowId,
    Service, ShopRole,
};
use lockstep_model::{
    ChangeSort, CustomerId, Flow, Kind, Product, Revision, ShopId, ShopIdentity, Sku, Status,
    StepSort, StockSemantics, Takes, Variant,
};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub const ERP: ShopId = ShopId(1);
pub const WEB: [ShopId; 2] = [ShopId(2), ShopId(3)];
const TAKES: [Takes; 5] = [
    Takes::Placement,
    Takes::Payment,
    Takes::Reserve,
    Takes::Shipment,
    Takes::Never,
];
pub const PRODUCTS: i64 = 4;
pub const UNITS: i64 = 40;
const A_FLOOD: i64 = 12;
/// In which the first catalogue crosses, before anything goes wrong.
const PEACE_MS: i64 = 60_000;
/// Virtual time in which everything must have come to rest once nothing goes wrong any more.
/// A change that a shop dislikes is tried again an hour later at the latest, after what can happen here.
const REST_MS: i64 = 90 * 60_000;
/// Between two looks whether all is at rest. Not in step with the polls of the schedule.
const LOOK_MS: i64 = 7_300;

/// What a seed is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    pub seed: u64,
    pub acts: u32,
    pub mistake: Option<Mistake>,
    /// What may be in it.
    pub topics: Topics,
    /// Tells what happens, line by line.
    pub traced: bool,
}

impl Scenario {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            acts: 40,
            mistake: None,
            topics: Topics::usual(),
            traced: false,
        }
    }
}

/// How it went.
#[derive(Debug)]
pub struct Outcome {
    pub violations: Vec<String>,
    pub crashes: u64,
    pub effects: u64,
    pub pushes: u64,
    pub epochs: u64,
    pub orders: usize,
    /// What waits for a person, and should.
    pub waits: u64,
    pub trace: Vec<String>,
}

fn traits(dice: &mut Dice, newest: bool, cancels_units: bool) -> Traits {
    let takes = dice.pick(&TAKES).copied().unwrap_or_default();
    let writes = [
        LevelWrites::CompareAndSet,
        LevelWrites::Relative,
        LevelWrites::Absolute,
    ];
    let keys = [OrderKeys::Unique, OrderKeys::Searched, OrderKeys::Noted];
    Traits {
        takes,
        // Some platforms take nothing for an order that an API makes.
        copies_take: if dice.chance(20) { Takes::Never } else { takes },
        gives_back: dice.chance(70),
        level_writes: dice.pick(&writes).copied().unwrap_or(writes[0]),
        order_keys: dice.pick(&keys).copied().unwrap_or(keys[0]),
        cancels_units,
        readdresses: false,
        reencodes: false,
        keeps_links: true,
        // Where edits everywhere count, a shop that rewrites titles cannot be told from one that edits them.
        lossy: dice.chance(40) && !newest,
        search_lag_ms: dice.between(0, SEARCH_LAG_MS),
    }
}

fn abilities(traits: &Traits) -> Abilities {
    let page = PageSize {
        records: 3,
        ids: 50,
        since: true,
    };
    let sorts = [
        ChangeSort::CreateCategory,
        ChangeSort::UpdateCategory,
        ChangeSort::AddPicture,
        ChangeSort::RemovePicture,
        ChangeSort::CreateProduct,
        ChangeSort::UpdateProduct,
        ChangeSort::SetLevel,
        ChangeSort::CreateOrder,
        ChangeSort::StepOrder,
    ];
    Abilities {
        pages: [Kind::Category, Kind::Product, Kind::Level, Kind::Order]
            .map(|kind| (kind, page))
            .into(),
        batches: sorts.map(|sort| (sort, 3)).into(),
        settles_after_ms: SETTLES_AFTER_MS,
        unique_order_key: traits.order_keys == OrderKeys::Unique,
        order_steps: match (traits.cancels_units, traits.readdresses) {
            (true, true) => &[
                StepSort::Pay,
                StepSort::Ship,
                StepSort::Cancel,
                StepSort::Refund,
                StepSort::CancelUnits,
                StepSort::Readdress,
            ],
            (true, false) => &[
                StepSort::Pay,
                StepSort::Ship,
                StepSort::Cancel,
                StepSort::Refund,
                StepSort::CancelUnits,
            ],
            (false, true) => &[
                StepSort::Pay,
                StepSort::Ship,
                StepSort::Cancel,
                StepSort::Refund,
                StepSort::Readdress,
            ],
            (false, false) => &[
                StepSort::Pay,
                StepSort::Ship,
                StepSort::Cancel,
                StepSort::Refund,
            ],
        },
        order_search: traits.order_keys != OrderKeys::Noted,
        level_writes: match traits.level_writes {
            LevelWrites::CompareAndSet => lockstep_engine::LevelWrites::CompareAndSet,
            LevelWrites::Relative => lockstep_engine::LevelWrites::Relative,
            LevelWrites::Absolute => lockstep_engine::LevelWrites::Absolute,
        },
        holds: |_| true,
        removes: |_| true,
    }
}

pub fn rules(
    shops: &BTreeMap<ShopId, SimShop>,
    newest: bool,
    closes_at_once: bool,
    world: &World,
) -> Rules {
    let terms = &world.terms;
    let mut settings = CustomerSettings::new(Customer::new(CustomerId(1), "Made up"));
    if world.topics.has(Topic::Stocks) {
        stocks::of_the_erp(&mut settings);
    }
    settings.policies = Policies::owned_by(ERP);
    if newest {
        settings.policies.texts = Policy::Newest;
    }
    if closes_at_once {
        settings.policies.stock.close_after_days = 0;
    }
    settings.policies.stock.buffer = terms
        .buffers
        .iter()
        .map(|(shop, units)| (*shop, Decimal::from(*units)))
        .collect();
    settings.policies.orders.gates = terms
        .gates
        .iter()
        .map(|(shop, state)| Gate {
            shop: Some(*shop),
            payment_method: None,
            states: [(*state).to_owned()].into(),
        })
        .collect();
    // Prices leap here as nobody's would.
    settings.policies.limits.price_move_percent_max = 1_000;
    let mut shop_rules = BTreeMap::new();
    for (index, (shop, state)) in shops.iter().enumerate() {
        let role = if *shop == ERP {
            ShopRole::Erp
        } else {
            ShopRole::Shop
        };
        let mut link = CustomerHasService::new(RowId(index as u64 + 1), CustomerId(1), *shop, role);
        link.assortment = Assortment::All;
        if world.picky == Some(*shop) {
            let (name, value) = PICKED;
            link.assortment = Assortment::Picked;
            link.picks.attributes = vec![format!("{name}={value}")];
        }
        link.orders_from = terms.orders_from.get(shop).copied();
        if world.sell_both.contains(shop) {
            link.sells_from = stocks::BOTH.to_vec();
        }
        settings.customer_has_services.push(link.clone());
        let name = format!("shop {shop}");
        let service = Service::new(*shop, name.as_str(), "sim", "http://127.0.0.1:1");
        settings.services.push(service);
        let stock = StockSemantics {
            takes: state.traits.takes,
            copies_take: state.traits.copies_take,
            reserves: state.traits.takes == Takes::Reserve,
            negative: true,
        };
        shop_rules.insert(
            *shop,
            ShopRules {
                name,
                link,
                read_only: false,
                account: 0,
                abilities: abilities(&state.traits),
                identity: ShopIdentity {
                    currency: "EUR".into(),
                    stock,
                    stocks: stocks::of(state),
                    ..ShopIdentity::default()
                },
            },
        );
    }
    Rules {
        revision: Revision(1),
        settings: Arc::new(settings),
        shops: shop_rules,
    }
}

pub fn sku(number: i64) -> Sku {
    Sku(format!("KH-{number}"))
}

pub fn product(number: i64, topics: Topics) -> Product {
    let (name, value) = PICKED;
    let picked = topics
        .has(Topic::Assortments)
        .then(|| (name.into(), value.into()));
    Product {
        attributes: picked.into_iter().collect(),
        categories: topics.has(Topic::Trees).then(Vec::new),
        pictures: topics.has(Topic::Pictures).then(Vec::new),
        title: format!("Product {number}"),
        status: Status::Active,
        variants: vec![Variant {
            sku: sku(number),
            prices: [("EUR".into(), Decimal::TEN)].into(),
            ..Variant::default()
        }],
        ..Product::default()
    }
}

/// What the merchant has said of selling and of orders.
fn terms(topics: Topics, dice: &mut Dice, now: Timestamp) -> Terms {
    let mut terms = Terms::default();
    for shop in WEB {
        if topics.has(Topic::Buffers) && dice.chance(60) {
            terms.buffers.insert(shop, dice.between(1, 4));
        }
        if topics.has(Topic::Gates) && dice.chance(60) {
            let states = ["placed", "accepted", "shipped"];
            let state = dice.pick(&states).copied().unwrap_or("placed");
            terms.gates.insert(shop, state);
        }
        if topics.has(Topic::Opening) && dice.chance(60) {
            let from = later(now, PEACE_MS + dice.between(0, 20_000));
            terms.orders_from.insert(shop, from);
        }
    }
    terms
}

fn begin(scenario: Scenario, dice: &mut Dice) -> (Sim, World) {
    let now = Timestamp::from_second(1_772_000_000).unwrap_or(Timestamp::UNIX_EPOCH);
    let newest = dice.chance(30);
    // Dice of its own, so that the rest of a seed's history stays what it was. What comes back after an order was closed
    // is found where the ERP's own number moves.
    let mut more = Dice::new(!scenario.seed);
    let closes_at_once = more.chance(40);
    let calls_per_second = more.chance(30).then(|| more.between(4, 12));
    // And these are of what a history may have in it.
    let mut dice_of_topics = Dice::new(scenario.seed.rotate_left(32));
    let topics = scenario.topics.some(
        &mut dice_of_topics,
        &mut Dice::new(scenario.seed.rotate_left(16)),
    );
    let terms = terms(topics, &mut dice_of_topics, now);
    let mut world = World {
        titles_follow_edits: newest,
        topics,
        terms,
        more: dice_of_topics,
        parcels: 0,
        named: 0,
        closes_at_once: false,
        picky: None,
        received: BTreeMap::new(),
        moved_at: BTreeMap::new(),
        counted: BTreeMap::new(),
        bought: BTreeSet::new(),
        paid_back: BTreeMap::new(),
        taken_back: BTreeMap::new(),
        wiped: BTreeMap::new(),
        deleted_there: BTreeMap::new(),
        sell_both: BTreeSet::new(),
    };
    let mut shops = BTreeMap::new();
    for shop in [ERP, WEB[0], WEB[1]] {
        let cancels_units = topics.has(Topic::PartCancels) && world.more.chance(70);
        let mut traits = traits(dice, newest, cancels_units);
        traits.keeps_links = world.more.chance(70);
        traits.readdresses = topics.has(Topic::Readdressed) && world.more.chance(60);
        traits.reencodes =
            shop != ERP && topics.has(Topic::ReencodedPictures) && world.more.chance(50);
        // The owner's own numbers and texts are the truth, whatever they are.
        traits.lossy &= shop != ERP;
        shops.insert(shop, SimShop::new(shop, traits));
    }
    if let Some(erp) = shops.get_mut(&ERP) {
        // So many that a count that leaves none of them is not a handful.
        let more = if topics.has(Topic::Wiped) { A_FLOOD } else { 0 };
        for number in 1..=PRODUCTS + more {
            erp.add_product(product(number, topics), UNITS, now);
            world.received.insert(sku(number), UNITS);
        }
    }
    if topics.has(Topic::Stocks) {
        let mut dice = Dice::new(scenario.seed.rotate_left(8));
        stocks::begin(&mut shops, &mut world, &mut dice);
    }
    if topics.has(Topic::Assortments) {
        world.picky = world.more.pick(&WEB).copied();
    }
    let faults = Faults::from(dice);
    let closes_at_once = closes_at_once && shops[&ERP].traits.copies_take != Takes::Never;
    world.closes_at_once = closes_at_once;
    let rules = rules(&shops, newest, closes_at_once, &world);
    let mut sim = Sim::new(shops, rules, dice.clone(), scenario.mistake, now);
    sim.calls_per_second = calls_per_second.map(|calls| calls as f64);
    sim.trace = scenario.traced.then(Vec::new);
    for (shop, state) in sim.shops.clone() {
        sim.tell(|| format!("shop {shop}: {:?}", state.traits));
    }
    sim.tell(|| format!("newest titles: {newest}; closes at once: {closes_at_once}; calls a second: {calls_per_second:?}; {faults:?}"));
    sim.tell(|| format!("topics: {}; {:?}", world.topics, world.terms));
    catalogue_acts::begin(&mut sim, &mut world, now);
    sim.run_until(later(now, PEACE_MS));
    // Nobody undoes the first of all.
    sim.written_runs.clear();
    sim.faults = faults;
    sim.pages_are_slow = topics.has(Topic::SlowPages) && more.chance(35);
    if sim.pages_are_slow {
        sim.faults.slow_pages = 15;
    }
    (sim, world)
}

pub fn run(scenario: Scenario) -> Outcome {
    let mut dice = Dice::new(scenario.seed);
    let (mut sim, mut world) = begin(scenario, &mut dice);
    let mut found = Vec::new();
    // Of their own, so that the rest of a history does not hang on them.
    let mut unseen = Dice::new(scenario.seed.rotate_left(32));
    let (refuses, closes) = (
        world.topics.has(Topic::Refusals) && unseen.chance(70),
        world.topics.has(Topic::Closings) && unseen.chance(60),
    );
    let mut of_undo = Dice::new(scenario.seed.rotate_left(40));
    let undoes = world.topics.has(Topic::Undo) && of_undo.chance(50);
    let mut of_deletes = Dice::new(scenario.seed.rotate_left(48));
    let deletes = world.topics.has(Topic::DeletedThere) && of_deletes.chance(50);
    for _ in 0..scenario.acts {
        act(&mut sim, &mut dice, &mut world);
        if refuses {
            refusals::act(&mut sim, &mut unseen);
        }
        if closes {
            closing::act(&mut sim, &mut unseen);
        }
        if undoes {
            undoing::act(&mut sim, &mut of_undo);
        }
        if deletes {
            deleted_there::act(&mut sim, &mut world, &mut of_deletes);
        }
        sim.trouble();
        let pause = dice.between(0, 4_000);
        sim.run_until(later(sim.now, pause));
        found = always(&sim, &world);
        if !found.is_empty() {
            break;
        }
    }
    if found.is_empty() {
        found = come_to_rest(&mut sim, &mut world, &mut dice);
    }
    if world.topics.has(Topic::Refusals) && found.is_empty() && unseen.chance(4) {
        found = calls::an_hour_of_refusal(&mut sim, &mut world, &mut unseen);
        if found.is_empty() {
            found = come_to_rest(&mut sim, &mut world, &mut dice);
        }
    }
    let waits = waiting(&sim, &world).count();
    Outcome {
        violations: found,
        waits,
        crashes: sim.crashes,
        effects: sim.effects,
        pushes: sim.pushes,
        epochs: sim.coordinator.epoch,
        orders: world.bought.len(),
        trace: sim.trace.take().unwrap_or_default(),
    }
}

/// Nothing goes wrong any more: in the end every shop shows what it should, and a last look at everything writes
/// nothing.
fn come_to_rest(sim: &mut Sim, world: &mut World, dice: &mut Dice) -> Vec<String> {
    sim.make_peace();
    sim.refusals.clear();
    closing::open_all(sim);
    finish_orders(sim, dice);
    // Products are looked at by schedule each five minutes: what lost hooks did not tell of them is told now.
    for shop in [ERP, WEB[0], WEB[1]] {
        sim.wake(shop, Flow::Products);
    }
    let unsaid = wiped::is_asked_about(sim, world);
    if !unsaid.is_empty() {
        return unsaid;
    }
    let look = |sim: &Sim, world: &World| {
        let waiting = waiting(sim, world);
        let mut found = always(sim, world);
        found.extend(at_rest(sim, world, &waiting));
        found.extend(waiting.without_reason);
        found
    };
    let until = later(sim.now, REST_MS);
    // What a lost hook did not tell is found by schedule: before, nobody can know that all is at rest.
    let looked = later(sim.now, PEACE_MS);
    while sim.now < until {
        sim.run_until(later(sim.now, LOOK_MS));
        if sim.is_at_rest() {
            deleted_there::answer(sim, world);
            let overwritten = undoing::answer(sim, dice);
            if !overwritten.is_empty() {
                return overwritten;
            }
        }
        let is_at_rest = sim.now >= looked && sim.is_at_rest() && look(sim, world).is_empty();
        if !always(sim, world).is_empty() || is_at_rest {
            break;
        }
    }
    settle(sim);
    let mut found = look(sim, world);
    if !sim.is_at_rest() {
        found.push("it does not come to rest".into());
    }
    if !found.is_empty() {
        return found;
    }
    let before = sim.pushes;
    sim.tell(|| "everything is read again".into());
    sim.reconcile();
    sim.run_until(later(sim.now, PEACE_MS));
    settle(sim);
    if sim.pushes != before {
        found.push("a last look at everything wrote something".into());
    }
    found.extend(look(sim, world));
    found
}

/// A look by schedule may be under way at this very moment.
fn settle(sim: &mut Sim) {
    for _ in 0..100 {
        if sim.is_at_rest() {
            break;
        }
        sim.run_until(later(sim.now, 100));
    }
}
