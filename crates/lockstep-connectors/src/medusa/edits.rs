//! What a product's changes come to at the shop. Pure.
//!
//! What only says other values of variants that stay goes into the batch of many products, and lists all variants of
//! each: those that are not listed there would be removed. What makes, removes or moves variants takes calls for the
//! product alone, in an order that the shop accepts at each step:
//!
//! 1. Options. One that is called otherwise is renamed; one that is there no more stays with one value for all, since none
//!    can be taken away from a product that has variants, and is marked as unused.
//! 2. Variants that go: no two may have the same values, not even within one call.
//! 3. Variants that stand where another shall: to a value between, for the same reason.
//! 4. Variants that stay; within one call none takes a value that another leaves. One whose SKU is new and whose values are those of one that goes is that one, renamed.
//! 5. Variants that come.
//! 6. Values that nothing uses any more go.

use super::map::{
    NO_OPTION, NO_OPTIONS, Object, UNUSED, Unsayable, currency, gtin, is_base, new_variant, number,
    option_order, status, unsayable, unused, variant_title,
};
use super::sales::Sale;
use super::wire;
use lockstep_model::{
    Currency, Field, Fields, ItemId, Parts, Path, Product, RemoteId, Sku, Value, Variant,
    VariantField,
};
use rust_decimal::Decimal;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// The whole set of a variant's prices with these changes in it: prices that are not listed would be deleted, so
/// other currencies, rules and quantity steps are listed as they are, each by its id.
pub(super) fn prices(
    there: &[wire::Price],
    changes: &BTreeMap<Currency, Option<Decimal>>,
) -> Result<Json, Unsayable> {
    let mut open = changes.clone();
    let mut set = Vec::new();
    for price in there {
        let mut amount = price.amount;
        if is_base(price) {
            match open.remove(&currency(&price.currency_code)) {
                Some(Some(changed)) => amount = changed,
                Some(None) => continue,
                None => {}
            }
        }
        let mut body = Object::new();
        body.insert("id".into(), price.id.as_str().into());
        body.insert("currency_code".into(), price.currency_code.as_str().into());
        body.insert("amount".into(), number("price", amount)?);
        let steps = [
            ("min_quantity", price.min_quantity),
            ("max_quantity", price.max_quantity),
        ];
        for (name, step) in steps {
            if let Some(step) = step {
                body.insert(name.into(), number(name, step)?);
            }
        }
        if !price.rules.is_empty() {
            body.insert("rules".into(), json!(price.rules));
        }
        set.push(Json::Object(body));
    }
    for (currency, price) in open {
        if let Some(price) = price {
            let amount = number("price", price)?;
            let code = currency.0.to_lowercase();
            set.push(json!({ "currency_code": code, "amount": amount }));
        }
    }
    Ok(Json::Array(set))
}

/// What a product's changes come to, before it is known what the shop holds now.
#[derive(Default)]
pub(super) struct ProductSet {
    /// Fields of the product itself.
    pub body: Object,
    /// Fields of variants that are there.
    pub variants: BTreeMap<ItemId, Object>,
    pub prices: BTreeMap<ItemId, BTreeMap<Currency, Option<Decimal>>>,
    /// Of variants that are there: they stand in a price list.
    pub sale_prices: BTreeMap<ItemId, BTreeMap<Currency, Option<Decimal>>>,
    pub new: BTreeSet<ItemId>,
    pub remove: Vec<RemoteId>,
    /// Axes were added, removed or renamed: every variant's options are said anew.
    pub axes: bool,
    /// Variants whose values on the axes changed.
    pub moved: BTreeSet<ItemId>,
}

impl ProductSet {
    /// Variants come and go, or stand elsewhere on the axes: calls for the product alone, one after the other.
    pub fn is_structural(&self) -> bool {
        !self.new.is_empty() || !self.remove.is_empty() || self.axes || !self.moved.is_empty()
    }

    /// Variants that may be sold before they are there from now on.
    pub fn needing_levels(&self, product: &Product) -> Vec<Sku> {
        let variants = product.variants.iter();
        let may = variants.filter(|variant| {
            let says = self.variants.get(&variant.item());
            let says = says.is_some_and(|body| body.get("allow_backorder") == Some(&true.into()));
            let is_new = self.new.contains(&variant.item());
            says || (is_new && variant.backorder == Some(true))
        });
        may.map(|variant| variant.sku.clone()).collect()
    }

    /// The sale prices that change, of variants as the shop has them now.
    pub fn sales(&self, at: usize, product: &Product, there: &Product) -> Vec<Sale> {
        let changed = self
            .sale_prices
            .iter()
            .map(|(item, prices)| (item.clone(), prices.clone()));
        let new = product
            .variants
            .iter()
            .filter(|variant| self.new.contains(&variant.item()));
        let new = new.map(|variant| {
            let prices = variant.sale_prices.iter();
            let prices = prices.map(|(currency, amount)| (currency.clone(), Some(*amount)));
            (variant.item(), prices.collect())
        });
        let sales = changed
            .chain(new)
            .flat_map(|(item, prices): (_, BTreeMap<_, _>)| {
                let mut ours = product.variants.iter();
                let ours = ours.find(|variant| variant.item() == item);
                let mut there = there.variants.iter();
                let variant = there.find(|there| ours.is_some_and(|ours| is_same(ours, there)));
                let prices = prices.into_iter().filter_map(move |(currency, amount)| {
                    Some(Sale {
                        at,
                        variant: variant?.id.clone(),
                        currency,
                        amount,
                    })
                });
                prices.collect::<Vec<_>>()
            });
        sales.collect()
    }

    pub fn is_about_variants(&self) -> bool {
        self.is_structural() || !self.variants.is_empty() || !self.prices.is_empty()
    }
}

/// Says only what `set` says.
pub(super) fn product_set(
    set: &Fields,
    product: &Product,
    parts: &Parts,
) -> Result<ProductSet, Unsayable> {
    let mut out = ProductSet::default();
    for (path, value) in set {
        let text = value.as_text().unwrap_or_default();
        match path.field() {
            Some(Field::Title) => drop(out.body.insert("title".into(), text.into())),
            Some(Field::Description) => drop(out.body.insert("description".into(), text.into())),
            Some(Field::Handle) => drop(out.body.insert("handle".into(), text.into())),
            Some(Field::Status) => {
                let word = status(product.status);
                out.body.insert("status".into(), word.into());
            }
            Some(Field::Options) => {
                out.axes = true;
                let order = option_order(&product.options);
                out.body.insert("metadata".into(), order);
            }
            Some(Field::Variant { item, field }) => {
                set_variant(&mut out, item, &field, value, parts)?;
            }
            _ => return Err(unsayable(path.as_str(), "this shop holds no such field")),
        }
    }
    // Of a variant that goes nothing else is said.
    for item in parts.variants.keys() {
        if set.get(&Path::present(item)) == Some(&Value::Empty) {
            out.variants.remove(item);
            out.prices.remove(item);
            out.sale_prices.remove(item);
            out.moved.remove(item);
        }
    }
    Ok(out)
}

fn set_variant(
    out: &mut ProductSet,
    item: ItemId,
    field: &VariantField<'_>,
    value: &Value,
    parts: &Parts,
) -> Result<(), Unsayable> {
    let is_there = parts.variants.get(&item);
    if *field == VariantField::Present && value.as_flag() != Some(true) {
        out.remove.extend(is_there.cloned());
        return Ok(());
    }
    if is_there.is_none() {
        out.new.insert(item);
        return Ok(());
    }
    match field {
        VariantField::Present => {}
        VariantField::Sku => {
            let body = out.variants.entry(item).or_default();
            body.insert("sku".into(), value.as_text().map_or(Json::Null, Json::from));
        }
        VariantField::Gtin => {
            let fields = gtin(value.as_text().unwrap_or_default());
            out.variants.entry(item).or_default().extend(fields);
        }
        VariantField::WeightG => {
            let weight = value.as_number();
            let weight = weight.map_or(Ok(Json::Null), |weight| number("weight_g", weight))?;
            let body = out.variants.entry(item).or_default();
            body.insert("weight".into(), weight);
        }
        VariantField::Backorder => {
            let body = out.variants.entry(item).or_default();
            let may = value.as_flag() == Some(true);
            body.insert("allow_backorder".into(), may.into());
        }
        VariantField::Price(currency) => {
            let prices = out.prices.entry(item).or_default();
            prices.insert(currency.clone(), value.as_number());
        }
        VariantField::Option(_) => drop(out.moved.insert(item)),
        VariantField::SalePrice(currency) => {
            let prices = out.sale_prices.entry(item).or_default();
            prices.insert(currency.clone(), value.as_number());
        }
    }
    Ok(())
}

/// A call that one product needs.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Call {
    RenameOption {
        id: String,
        title: String,
    },
    /// `…/options/batch`
    Options(Json),
    /// `…/variants/batch`
    Variants(Json),
    /// The product itself.
    Product(Json),
}

/// Of a product whose variants stay where they are: all of them, each with what changes of it. `None`: nothing does.
pub(super) fn listed_variants(
    set: &ProductSet,
    product: &Product,
    there: &wire::Product,
) -> Result<Option<Json>, Unsayable> {
    let mut bodies = changes(set, product, there)?;
    if bodies.is_empty() {
        return Ok(None);
    }
    let listed = live(there).map(|variant| {
        let mut body = bodies.remove(&variant.id).unwrap_or_default();
        body.insert("id".into(), variant.id.as_str().into());
        Json::Object(body)
    });
    Ok(Some(listed.collect()))
}

fn live(product: &wire::Product) -> impl Iterator<Item = &wire::Variant> {
    let variants = product.variants.iter();
    variants.filter(|variant| variant.deleted_at.is_none())
}

/// One that has no id yet may be there all the same, by its SKU: an earlier try made it, and nobody heard of it.
fn find<'p>(there: &'p wire::Product, variant: &Variant) -> Option<&'p wire::Variant> {
    live(there).find(|there| match variant.id.as_str() {
        "" => there.sku.as_deref() == Some(variant.sku.as_str()),
        id => there.id == id,
    })
}

/// Of a product of ours and of the shop's.
pub(super) fn is_same(ours: &Variant, there: &Variant) -> bool {
    match ours.id.as_str() {
        "" => ours.sku == there.sku,
        _ => ours.id == there.id,
    }
}

/// Variant → what is said of it, but for its values on the axes.
fn changes(
    set: &ProductSet,
    product: &Product,
    there: &wire::Product,
) -> Result<BTreeMap<String, Object>, Unsayable> {
    let mut bodies: BTreeMap<String, Object> = BTreeMap::new();
    let find = |item: &ItemId| {
        let mut variants = product.variants.iter();
        let variant = variants.find(|variant| variant.item() == *item);
        let found = variant.and_then(|variant| find(there, variant));
        found.ok_or_else(|| gone_variant(variant.map_or(item.as_str(), |v| v.sku.as_str())))
    };
    for (item, fields) in &set.variants {
        let variant = find(item)?;
        let body = bodies.entry(variant.id.clone()).or_default();
        body.extend(fields.clone());
    }
    for (item, changed) in &set.prices {
        let variant = find(item)?;
        let body = bodies.entry(variant.id.clone()).or_default();
        body.insert("prices".into(), prices(&variant.prices, changed)?);
    }
    Ok(bodies)
}

fn gone_variant(sku: &str) -> Unsayable {
    unsayable("variants", format!("the variant {sku} is no longer there"))
}

/// Option → value, by the options' ids; one that is still to be made bears its name.
type Values = BTreeMap<String, String>;

/// An option as it shall be.
struct Axis {
    /// Its name, if it is still to be made.
    id: String,
    title: String,
    /// `None`: of the product's own axes; else the one value that all variants have of it.
    all_have: Option<String>,
}

/// Which option of the shop each axis is.
struct Axes {
    all: Vec<Axis>,
    /// Options by their id, and their new name.
    renamed: Vec<(String, String)>,
    /// Of those with one value for all, the ones that we have to remember.
    unused: BTreeSet<String>,
}

fn axes_of(set: &ProductSet, product: &Product, there: &wire::Product) -> Axes {
    let mut open: Vec<&wire::ProductOption> = there
        .options
        .iter()
        .filter(|option| option.deleted_at.is_none())
        .collect();
    let mut found: BTreeMap<&str, &wire::ProductOption> = BTreeMap::new();
    for name in &product.options {
        if let Some(at) = open.iter().position(|option| option.title == *name) {
            found.insert(name, open.remove(at));
        }
    }
    let mut renamed = Vec::new();
    for name in &product.options {
        if found.contains_key(name.as_str()) || !set.axes {
            continue;
        }
        let wanted: BTreeSet<&str> = product
            .variants
            .iter()
            .filter_map(|variant| variant.options.get(name).map(String::as_str))
            .collect();
        // One that others share is not ours to rename. The one with the most values of it was it.
        let shared_values = |option: &wire::ProductOption| {
            let values = live(there).filter_map(|variant| value_of(variant, option));
            let values: BTreeSet<&str> = values.collect();
            values.intersection(&wanted).count()
        };
        let candidates = open.iter().enumerate();
        let candidates = candidates.filter(|(_, option)| option.is_exclusive);
        let best =
            candidates.max_by_key(|(at, option)| (shared_values(option), std::cmp::Reverse(*at)));
        if let Some(at) = best.map(|(at, _)| at) {
            let option = open.remove(at);
            renamed.push((option.id.clone(), name.clone()));
            found.insert(name, option);
        }
    }
    let mut all: Vec<Axis> = product
        .options
        .iter()
        .map(|name| Axis {
            id: found
                .get(name.as_str())
                .map_or_else(|| name.clone(), |option| option.id.clone()),
            title: name.clone(),
            all_have: None,
        })
        .collect();
    let known = unused(there);
    let mut unused = BTreeSet::new();
    for option in open {
        let mut values: BTreeSet<&str> = live(there)
            .filter_map(|variant| value_of(variant, option))
            .collect();
        let only = values.pop_first().filter(|_| values.is_empty());
        let is_native =
            only.is_some_and(|value| NO_OPTIONS.contains(&(option.title.as_str(), value)));
        let value = match only {
            Some(value) if is_native || known.contains(&option.id) => value,
            _ => NO_OPTION.1,
        };
        if !(is_native && product.options.is_empty()) {
            unused.insert(option.id.clone());
        }
        all.push(Axis {
            id: option.id.clone(),
            title: option.title.clone(),
            all_have: Some(value.to_owned()),
        });
    }
    Axes {
        all,
        renamed,
        unused,
    }
}

fn value_of<'v>(variant: &'v wire::Variant, option: &wire::ProductOption) -> Option<&'v str> {
    let mut values = variant.options.iter();
    let value = values.find(|value| {
        let title = value.option.as_ref().map(|option| option.title.as_str());
        title == Some(option.title.as_str())
    });
    value.map(|value| value.value.as_str())
}

impl Axes {
    fn wanted(&self, variant: &Variant) -> Values {
        let values = self.all.iter().filter_map(|axis| {
            let value = match &axis.all_have {
                Some(value) => Some(value),
                None => variant.options.get(&axis.title),
            };
            Some((axis.id.clone(), value?.clone()))
        });
        values.collect()
    }

    fn held(&self, variant: &wire::Variant, there: &wire::Product) -> Values {
        let options = there.options.iter().filter(|o| o.deleted_at.is_none());
        let values = options.filter_map(|option| {
            let value = value_of(variant, option)?;
            Some((option.id.clone(), value.to_owned()))
        });
        values.collect()
    }

    /// As a variant's body says them: by the options' names.
    fn said(&self, values: &Values) -> Json {
        let said = values.iter().filter_map(|(id, value)| {
            let axis = self.all.iter().find(|axis| axis.id == *id)?;
            Some((axis.title.clone(), Json::from(value.as_str())))
        });
        Json::Object(said.collect())
    }
}

/// The calls that take a product's variants to where they shall be.
pub(super) fn own_calls(
    set: &ProductSet,
    product: &Product,
    there: &wire::Product,
) -> Result<Vec<Call>, Unsayable> {
    let axes = axes_of(set, product, there);
    let mut bodies = changes(set, product, there)?;
    // Of one that goes nothing is said any more.
    bodies.retain(|id, _| !set.remove.iter().any(|gone| gone.as_str() == id));

    // Who is who.
    let mut goes: Vec<&str> = set.remove.iter().map(RemoteId::as_str).collect();
    let mut comes: Vec<(usize, &Variant)> = Vec::new();
    let mut stays: Vec<(&wire::Variant, &Variant)> = Vec::new();
    for (rank, variant) in product.variants.iter().enumerate() {
        let same = find(there, variant).filter(|v| !goes.contains(&v.id.as_str()));
        let is_new = set.new.contains(&variant.item());
        let wanted = axes.wanted(variant);
        let before = match same {
            Some(same) if !is_new => {
                stays.push((same, variant));
                continue;
            }
            // An earlier try made it, and nobody heard of it.
            Some(same) => Some(same),
            None if !is_new => continue,
            None => {
                live(there).find(|v| goes.contains(&v.id.as_str()) && axes.held(v, there) == wanted)
            }
        };
        let Some(before) = before else {
            comes.push((rank, variant));
            continue;
        };
        goes.retain(|id| *id != before.id);
        let whole = new_variant(variant, rank, &axes.said(&wanted))?;
        let mut body = whole.as_object().cloned().unwrap_or_default();
        body.remove("manage_inventory");
        body.remove("options");
        let amounts = variant.prices.iter();
        let amounts = amounts.map(|(code, amount)| (code.clone(), Some(*amount)));
        body.insert("prices".into(), prices(&before.prices, &amounts.collect())?);
        bodies.insert(before.id.clone(), body);
        stays.push((before, variant));
    }

    let mut calls: Vec<Call> = axes
        .renamed
        .iter()
        .map(|(id, title)| Call::RenameOption {
            id: id.clone(),
            title: title.clone(),
        })
        .collect();

    // Who stands where another shall.
    let moves: Vec<(&wire::Variant, &Variant, Values, Values)> = stays
        .iter()
        .map(|(before, variant)| {
            let (held, wanted) = (axes.held(before, there), axes.wanted(variant));
            (*before, *variant, held, wanted)
        })
        .filter(|(.., held, wanted)| held != wanted)
        .collect();
    let is_in_the_way = |held: &Values| {
        moves
            .iter()
            .any(|(.., other, wanted)| other != held && wanted == held)
    };
    let between = moves.iter().filter(|(.., held, _)| is_in_the_way(held));
    let between: Vec<_> = between.enumerate().collect();
    let way = axes.all.iter().find(|axis| {
        let mut options = there.options.iter();
        options.any(|option| option.id == axis.id)
    });
    let place = |nth: usize| format!("lockstep {}", nth + 1);

    calls.extend(options_call(
        &axes,
        product,
        there,
        between.len(),
        way,
        place,
    ));
    if axes.unused != unused(there) {
        let ids: Vec<&String> = axes.unused.iter().collect();
        calls.push(Call::Product(json!({ "metadata": { UNUSED: ids } })));
    }
    if !goes.is_empty() {
        calls.push(Call::Variants(json!({ "delete": goes })));
    }
    let mut stands: BTreeMap<&str, Values> = BTreeMap::new();
    for (before, _, held, wanted) in &moves {
        // An option that is new has no value yet.
        let mut values = wanted.clone();
        values.extend(held.clone());
        stands.insert(&before.id, values);
    }
    if let Some(way) = way {
        let mut update = Vec::new();
        for (nth, (before, ..)) in &between {
            let values = stands.entry(&before.id).or_default();
            values.insert(way.id.clone(), place(*nth));
            update.push(json!({ "id": before.id, "options": axes.said(values) }));
        }
        if !update.is_empty() {
            calls.push(Call::Variants(json!({ "update": update })));
        }
    }
    let mut groups: Vec<Vec<(&str, &Values)>> = Vec::new();
    for (before, variant, _, wanted) in &moves {
        let body = bodies.entry(before.id.clone()).or_default();
        body.insert("options".into(), axes.said(wanted));
        body.insert("title".into(), variant_title(variant).into());
        let own = (before.id.as_str(), wanted);
        let last = groups.last_mut().filter(|group| {
            let mut others = group.iter();
            others.all(|other| go_together(&own, other, &stands))
        });
        match last {
            Some(group) => group.push(own),
            None => groups.push(vec![own]),
        }
    }
    let mut grouped: Vec<Vec<Json>> = groups
        .into_iter()
        .map(|group| {
            let bodies = group
                .into_iter()
                .filter_map(|(id, _)| said_of(id, bodies.remove(id)?));
            bodies.collect()
        })
        .collect();
    let rest = std::mem::take(&mut bodies).into_iter();
    let rest: Vec<Json> = rest.filter_map(|(id, body)| said_of(&id, body)).collect();
    match grouped.first_mut() {
        Some(first) => first.extend(rest),
        None => grouped.push(rest),
    }
    for update in grouped {
        if !update.is_empty() {
            calls.push(Call::Variants(json!({ "update": update })));
        }
    }
    if !comes.is_empty() {
        let create = comes
            .iter()
            .map(|(rank, variant)| new_variant(variant, *rank, &axes.said(&axes.wanted(variant))));
        let create = create.collect::<Result<Vec<Json>, _>>()?;
        calls.push(Call::Variants(json!({ "create": create })));
    }
    Ok(calls)
}

fn said_of(id: &str, mut body: Object) -> Option<Json> {
    if body.is_empty() {
        return None;
    }
    body.insert("id".into(), id.into());
    Some(Json::Object(body))
}

/// May these two move within one call? Not if one takes a value that the other leaves: the shop then leaves them with
/// wrong ones, and says nothing (seen in 2.21.2).
fn go_together(
    one: &(&str, &Values),
    other: &(&str, &Values),
    stands: &BTreeMap<&str, Values>,
) -> bool {
    let takes_what_it_leaves = |takes: &(&str, &Values), leaves: &(&str, &Values)| {
        let held = stands.get(leaves.0).into_iter().flatten();
        let mut left = held.filter(|(option, value)| leaves.1.get(*option) != Some(*value));
        left.any(|(option, value)| takes.1.get(option) == Some(value))
    };
    !takes_what_it_leaves(one, other) && !takes_what_it_leaves(other, one)
}

/// Options that are missing, and values that options are missing.
fn options_call(
    axes: &Axes,
    product: &Product,
    there: &wire::Product,
    between: usize,
    way: Option<&Axis>,
    place: impl Fn(usize) -> String,
) -> Option<Call> {
    let (mut add, mut update) = (Vec::new(), Vec::new());
    for axis in &axes.all {
        let mut values: BTreeSet<String> = match &axis.all_have {
            Some(value) => [value.clone()].into(),
            None => {
                let variants = product.variants.iter();
                variants
                    .filter_map(|variant| variant.options.get(&axis.title).cloned())
                    .collect()
            }
        };
        if way.is_some_and(|way| way.id == axis.id) {
            values.extend((0..between).map(&place));
        }
        match there.options.iter().find(|option| option.id == axis.id) {
            None => add.push(json!({ "title": axis.title, "values": values })),
            Some(option) => {
                let known = option.values.iter().filter(|v| v.deleted_at.is_none());
                let missing = values
                    .iter()
                    .filter(|value| !known.clone().any(|known| known.value == **value));
                let missing: Vec<_> = missing.map(|value| json!({ "value": value })).collect();
                if !missing.is_empty() {
                    update.push(json!({ "product_option_id": option.id, "add": missing }));
                }
            }
        }
    }
    let is_needed = !add.is_empty() || !update.is_empty();
    is_needed.then(|| Call::Options(json!({ "add": add, "update": update })))
}

/// Takes away what no variant has. Not from options that other products share.
pub(super) fn tidied(there: &wire::Product) -> Option<Call> {
    let options = there.options.iter();
    let options = options.filter(|option| option.deleted_at.is_none() && option.is_exclusive);
    let update: Vec<Json> = options
        .filter_map(|option| {
            let used: BTreeSet<&str> = live(there)
                .filter_map(|variant| value_of(variant, option))
                .collect();
            let values = option.values.iter().filter(|v| v.deleted_at.is_none());
            let idle = values.filter(|value| !used.contains(value.value.as_str()));
            let idle: Vec<&str> = idle.map(|value| value.id.as_str()).collect();
            // One without values is none.
            let some = !idle.is_empty() && !used.is_empty();
            some.then(|| json!({ "product_option_id": option.id, "remove": idle }))
        })
        .collect();
    (!update.is_empty()).then(|| Call::Options(json!({ "update": update })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn a_price_change_keeps_other_currencies_rules_and_steps() {
        let there: Vec<wire::Price> = serde_json::from_str(
            r#"[{"id":"p1","currency_code":"eur","amount":19.99,"rules":{}},
                {"id":"p2","currency_code":"usd","amount":22.5,"rules":{}},
                {"id":"p3","currency_code":"eur","amount":9,"rules":{"region_id":"reg_1"}},
                {"id":"p4","currency_code":"eur","amount":8,"min_quantity":10,"rules":{}}]"#,
        )
        .unwrap();
        let changes = [(Currency::from("EUR"), Some(dec("21.49")))].into();
        let set = prices(&there, &changes).unwrap();
        assert_eq!(
            set,
            json!([
                {"id":"p1","currency_code":"eur","amount":21.49},
                {"id":"p2","currency_code":"usd","amount":22.5},
                {"id":"p3","currency_code":"eur","amount":9,"rules":{"region_id":"reg_1"}},
                {"id":"p4","currency_code":"eur","amount":8,"min_quantity":10},
            ])
        );
    }
}
