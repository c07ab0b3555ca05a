//! Changes of products, levels and orders of a Medusa shop. Steps of orders stand next door.
//!
//! Batches are all or nothing: when one is refused, its members are told one by one, so that a bad one fails alone.

use super::sales::Sale;
use super::{SHIPPING_OPTION, Shop, copies, edits, map, stock, wire};
use crate::portions::portions;
use lockstep_connector::Cost;
use lockstep_model::{
    Change, Fault, FaultKind, Kind, Level, NewOrder, Outcome, Product, Receipt, Record, RemoteId,
    Sku, Variant,
};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// So many fit into an address.
const SKUS_MAX: usize = 100;

/// Seen to pass: 200 kB on the products' batch. Others stop at express's default of 100 kB.
const BODY_BYTES_MAX: usize = 150 * 1024;

/// Outcomes of a batch, in the order of its changes.
pub(super) struct Outcomes {
    pub each: Vec<Option<Outcome>>,
    /// A byte of this batch has left: from now on no fault is the whole batch's.
    pub sent: bool,
}

impl Outcomes {
    pub fn done(&mut self, at: usize, id: RemoteId, record: Option<Record>) {
        self.sent = true;
        self.each[at] = Some(Outcome::Done(Receipt { id, record }));
    }

    pub fn fail(&mut self, at: usize, fault: Fault) {
        self.each[at] = Some(Outcome::Failed(fault));
    }

    /// A call that was to change something failed for these. The fault is the batch's only if nothing of it left.
    pub fn call_failed(&mut self, places: &[usize], fault: Fault) -> Result<(), Fault> {
        if !self.sent && fault.kind == FaultKind::Unavailable {
            return Err(fault);
        }
        self.sent = true;
        for at in places {
            self.fail(*at, fault.clone());
        }
        Ok(())
    }
}

/// Nothing of the call was applied, and telling its members apart may help.
pub(super) fn is_refusal(fault: &Fault) -> bool {
    matches!(
        fault.kind,
        FaultKind::Invalid { .. }
            | FaultKind::Duplicate { .. }
            | FaultKind::NotFound
            | FaultKind::Conflict
    )
}

fn name(change: &Change) -> String {
    match change {
        Change::CreateProduct { product } | Change::UpdateProduct { product, .. } => {
            let first = product.variants.first();
            first.map_or_else(|| product.title.clone(), |variant| variant.sku.0.clone())
        }
        Change::SetLevel { was, .. } => was.sku.0.clone(),
        Change::CreateOrder { order } => order.reference.clone(),
        Change::StepOrder { id, .. } => id.0.clone(),
        Change::CreateCategory { category } | Change::UpdateCategory { category, .. } => {
            category.name.clone()
        }
        Change::AddPicture { product, .. } | Change::RemovePicture { product, .. } => {
            product.0.clone()
        }
    }
}

impl Shop {
    pub(super) async fn write(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let mut outcomes = Outcomes {
            each: changes.iter().map(|_| None).collect(),
            sent: false,
        };
        match changes.first() {
            None => return Ok(Vec::new()),
            Some(Change::CreateProduct { .. }) => {
                self.create_products(changes, &mut outcomes).await?;
            }
            Some(Change::UpdateProduct { .. }) => {
                self.update_products(changes, &mut outcomes).await?;
            }
            Some(Change::SetLevel { .. }) => self.set_levels(changes, &mut outcomes).await?,
            Some(Change::CreateOrder { .. }) => self.create_orders(changes, &mut outcomes).await?,
            Some(Change::StepOrder { .. }) => self.step_orders(changes, &mut outcomes).await?,
            Some(
                Change::CreateCategory { .. }
                | Change::UpdateCategory { .. }
                | Change::AddPicture { .. }
                | Change::RemovePicture { .. },
            ) => {}
        }
        let not_here = || {
            let why = "takes no changes of this sort from Lockstep yet";
            Outcome::Failed(self.invalid("change", why))
        };
        let each = outcomes.each.into_iter().zip(changes);
        let each = each.map(|(outcome, change)| match outcome.unwrap_or_else(not_here) {
            Outcome::Failed(fault) => Outcome::Failed(fault.about(name(change))),
            outcome => outcome,
        });
        Ok(each.collect())
    }

    pub(super) fn unsayable(&self, what: &str, unsayable: &map::Unsayable) -> Fault {
        let why = format!("cannot be told {what}: {}", unsayable.why);
        self.invalid(&unsayable.field, &why)
    }

    // ------------------------------------------------------------ products

    async fn create_products(
        &self,
        changes: &[Change],
        outcomes: &mut Outcomes,
    ) -> Result<(), Fault> {
        let placing = map::Placing {
            sales_channel: Some(self.channel().await?),
            shipping_profile: self.profile().await?,
        };
        let mut bodies = Vec::new();
        for (at, change) in changes.iter().enumerate() {
            let Change::CreateProduct { product } = change else {
                continue;
            };
            match map::create_product(product, &placing) {
                Ok(body) => bodies.push((at, product.as_ref(), body)),
                Err(why) => outcomes.fail(at, self.unsayable(&name(change), &why)),
            }
        }
        for portion in portions(bodies, |(.., body)| body.to_string().len(), BODY_BYTES_MAX) {
            let creates: Vec<&Json> = portion.iter().map(|(.., body)| body).collect();
            let request = self.api().product_batch(&json!({ "create": creates }));
            let answer: Result<wire::ProductBatch, Fault> =
                self.exchange.call(request, Cost::once()).await;
            match answer {
                Ok(answer) => self.created(&portion, &answer, outcomes),
                Err(fault) if is_refusal(&fault) => {
                    outcomes.sent = true;
                    for (at, product, body) in &portion {
                        match self.create_product(product, body).await {
                            Ok(one) => {
                                let answer = wire::ProductBatch {
                                    created: vec![one.product],
                                };
                                self.created(&[(*at, *product, Json::Null)], &answer, outcomes);
                            }
                            Err(fault) => outcomes.call_failed(&[*at], fault)?,
                        }
                    }
                }
                Err(fault) => {
                    let places: Vec<_> = portion.iter().map(|(at, ..)| *at).collect();
                    outcomes.call_failed(&places, fault)?;
                }
            }
        }
        let made = changes.iter().enumerate().filter_map(|(at, change)| {
            let is_made = matches!(outcomes.each[at], Some(Outcome::Done(_)));
            match change {
                Change::CreateProduct { product } if is_made => {
                    Some((at, sold_before_they_are_there(product)))
                }
                _ => None,
            }
        });
        let made = made.collect();
        self.give_levels(made, outcomes).await;
        self.sell_what_was_made(changes, outcomes).await;
        Ok(())
    }

    /// What may be sold before it is there can be sold only where it has a level, if one of 0. Their levels are made as
    /// soon as they are.
    async fn give_levels(&self, made: Vec<(usize, Vec<Sku>)>, outcomes: &mut Outcomes) {
        let skus: Vec<Sku> = made.iter().flat_map(|(_, skus)| skus).cloned().collect();
        for skus in skus.chunks(SKUS_MAX) {
            let Err(fault) = self.make_missing_levels(skus).await else {
                continue;
            };
            for (at, of) in &made {
                if !of.iter().any(|sku| skus.contains(sku)) {
                    continue;
                }
                let why = format!(
                    "the stock levels that it needs to be sold before it is there: {}",
                    fault.message
                );
                outcomes.each[*at] = outcomes.each[*at].take().map(|outcome| match outcome {
                    Outcome::Done(receipt) => Outcome::Partly {
                        receipt,
                        missing: vec![why],
                    },
                    Outcome::Partly {
                        receipt,
                        mut missing,
                    } => {
                        missing.push(why);
                        Outcome::Partly { receipt, missing }
                    }
                    other => other,
                });
            }
        }
    }

    async fn make_missing_levels(&self, skus: &[Sku]) -> Result<(), Fault> {
        let request = self.api().stocked_by_sku(skus.iter().map(Sku::as_str));
        let list: wire::List = self.exchange.call(request, Cost::read()).await?;
        // In the location that was chosen; if that is said by ours alone, in each.
        let mut stocks = self.stocks().await?;
        if self.home().await?.is_some() {
            stocks.truncate(1);
        }
        let mut create = Vec::new();
        for row in &list.items {
            let Ok(levels) = stock::levels(row.get(), &stocks) else {
                continue;
            };
            for level in levels.into_iter().filter(|level| level.version.is_none()) {
                if let Some(part) = level.inventory.as_ref().and_then(stock::Part::parse) {
                    create.push(json!({
                        "inventory_item_id": part.item, "location_id": level.stock, "stocked_quantity": 0,
                    }));
                }
            }
        }
        if create.is_empty() {
            return Ok(());
        }
        let request = self.api().level_batch(&create, &[]);
        match self.exchange.tell(request, Cost::repeatable()).await {
            // Somebody made one meanwhile.
            Err(fault) if matches!(fault.kind, FaultKind::Duplicate { .. }) => Ok(()),
            other => other,
        }
    }

    /// A handle that nobody asked for is made of the title, and gives way if another product has it.
    async fn create_product(
        &self,
        product: &Product,
        body: &Json,
    ) -> Result<wire::OneProduct, Fault> {
        let request = self.api().create_product(body);
        let refused = match self.exchange.call(request, Cost::once()).await {
            Err(fault) => fault,
            done => return done,
        };
        let is_asked_for = body.get("handle").is_some();
        let is_handle = matches!(
            &refused.kind,
            FaultKind::Invalid { field: Some(field) } if field == "handle"
        );
        let (Some(handle), true, false) = (map::handle_of(product), is_handle, is_asked_for) else {
            return Err(refused);
        };
        let mut body = body.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.insert("handle".into(), handle.into());
        }
        let request = self.api().create_product(&body);
        self.exchange.call(request, Cost::once()).await
    }

    /// The answer is in no order: products are told by the SKUs that they have.
    fn created(
        &self,
        portion: &[(usize, &Product, Json)],
        answer: &wire::ProductBatch,
        outcomes: &mut Outcomes,
    ) {
        let mut by_sku: BTreeMap<Sku, Product> = BTreeMap::new();
        for raw in &answer.created {
            if let Ok(Record::Product(product)) = map::product_record(raw.get())
                && let Some(variant) = product.variants.first()
            {
                by_sku.insert(variant.sku.clone(), product);
            }
        }
        for (at, product, _) in portion {
            let mut skus = product.variants.iter().map(|variant| &variant.sku);
            let found = skus.find_map(|sku| by_sku.get(sku)).or_else(|| {
                let mut all = by_sku.values();
                all.find(|made| made.variants.iter().any(|v| v.sku == product_sku(product)))
            });
            match found {
                Some(made) => {
                    let record = Some(Record::Product(made.clone()));
                    outcomes.done(*at, made.id.clone(), record);
                }
                None => {
                    let what = "did it and did not say what it is called there";
                    let fault = self.exchange.fault(FaultKind::UnknownOutcome, what);
                    outcomes.fail(*at, fault);
                }
            }
        }
        outcomes.sent = true;
    }

    async fn update_products(
        &self,
        changes: &[Change],
        outcomes: &mut Outcomes,
    ) -> Result<(), Fault> {
        let mut sets: Vec<Update<'_>> = Vec::new();
        for (at, change) in changes.iter().enumerate() {
            let Change::UpdateProduct {
                id,
                set,
                product,
                parts,
            } = change
            else {
                continue;
            };
            match edits::product_set(set, product, parts) {
                Ok(set) => sets.push(Update {
                    at,
                    id,
                    product,
                    set,
                    missing: Vec::new(),
                    wrote: false,
                }),
                Err(why) => outcomes.fail(at, self.unsayable(&name(change), &why)),
            }
        }
        let there = self.products_there(&sets).await?;
        for update in &mut sets {
            let Some(is_now) = there.get(update.id) else {
                if update.set.is_about_variants() {
                    let what = "no longer has the product";
                    outcomes.fail(update.at, self.exchange.fault(FaultKind::NotFound, what));
                }
                continue;
            };
            if !update.set.is_structural() {
                match edits::listed_variants(&update.set, update.product, is_now) {
                    Ok(Some(variants)) => {
                        update.set.body.insert("variants".into(), variants);
                    }
                    Ok(None) => {}
                    Err(why) => {
                        let fault = self.unsayable(&update.product.title, &why);
                        outcomes.fail(update.at, fault);
                    }
                }
            }
        }
        self.update_in_batches(&mut sets, outcomes).await?;
        for update in &mut sets {
            if outcomes.each[update.at].is_none()
                && update.set.is_structural()
                && let Some(is_now) = there.get(update.id)
            {
                self.update_structure(update, is_now, outcomes).await?;
            }
        }
        let needing = sets.iter().filter_map(|update| {
            let skus = update.set.needing_levels(update.product);
            (!skus.is_empty()).then_some((update.at, skus))
        });
        let needing = needing.collect();
        self.read_back(sets, outcomes).await?;
        self.give_levels(needing, outcomes).await;
        Ok(())
    }

    /// As they are now: prices and options are written as whole sets.
    async fn products_there(
        &self,
        sets: &[Update<'_>],
    ) -> Result<BTreeMap<RemoteId, wire::Product>, Fault> {
        let ids = sets.iter().filter(|update| update.set.is_about_variants());
        let ids: Vec<RemoteId> = ids.map(|update| update.id.clone()).collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let request = self.api().products_by_ids(&ids);
        let list: wire::Products = self.exchange.call(request, Cost::read()).await?;
        let products = list.products.into_iter();
        Ok(products
            .map(|product| (RemoteId(product.id.clone()), product))
            .collect())
    }

    /// Of many products at once, with all variants of those of which some change.
    async fn update_in_batches(
        &self,
        sets: &mut [Update<'_>],
        outcomes: &mut Outcomes,
    ) -> Result<(), Fault> {
        let mut bodies = Vec::new();
        for (place, update) in sets.iter().enumerate() {
            if outcomes.each[update.at].is_none() && !update.set.body.is_empty() {
                let mut body = update.set.body.clone();
                body.insert("id".into(), json!(update.id));
                bodies.push((place, Json::Object(body)));
            }
        }
        for portion in portions(bodies, |(_, body)| body.to_string().len(), BODY_BYTES_MAX) {
            let updates: Vec<&Json> = portion.iter().map(|(_, body)| body).collect();
            let request = self.api().product_batch(&json!({ "update": updates }));
            match self.exchange.tell(request, Cost::repeatable()).await {
                Ok(()) => {
                    outcomes.sent = true;
                    for (place, _) in &portion {
                        sets[*place].wrote = true;
                    }
                }
                Err(fault) if is_refusal(&fault) => {
                    outcomes.sent = true;
                    for (place, _) in &portion {
                        let update = &mut sets[*place];
                        let body = Json::Object(update.set.body.clone());
                        let request = self.api().update_product(update.id, &body);
                        match self.exchange.tell(request, Cost::repeatable()).await {
                            Ok(()) => update.wrote = true,
                            Err(fault) => outcomes.call_failed(&[update.at], fault)?,
                        }
                    }
                }
                Err(fault) => {
                    let places: Vec<_> = portion.iter().map(|(place, _)| sets[*place].at).collect();
                    outcomes.call_failed(&places, fault)?;
                }
            }
        }
        Ok(())
    }

    async fn update_structure(
        &self,
        update: &mut Update<'_>,
        there: &wire::Product,
        outcomes: &mut Outcomes,
    ) -> Result<(), Fault> {
        let calls = match edits::own_calls(&update.set, update.product, there) {
            Ok(calls) => calls,
            Err(why) => {
                let fault = self.unsayable(&update.product.title, &why);
                return update.part_failed(fault, outcomes);
            }
        };
        for call in calls {
            if let Err(fault) = self.tell_product(update.id, call).await {
                return update.part_failed(fault, outcomes);
            }
            outcomes.sent = true;
            update.wrote = true;
        }
        if let Err(fault) = self.tidy(update.id).await {
            return update.part_failed(fault, outcomes);
        }
        Ok(())
    }

    /// Sent twice, new variants would be refused by their SKUs and the rest would be the same.
    async fn tell_product(&self, id: &RemoteId, call: edits::Call) -> Result<(), Fault> {
        let request = match call {
            edits::Call::RenameOption { id, title } => self.api().rename_option(&id, &title),
            edits::Call::Options(body) => self.api().product_options(id, &body),
            edits::Call::Variants(body) => self.api().variant_batch(id, &body),
            edits::Call::Product(body) => self.api().update_product(id, &body),
        };
        self.exchange.tell(request, Cost::repeatable()).await
    }

    async fn tidy(&self, id: &RemoteId) -> Result<(), Fault> {
        let request = self.api().products_by_ids(std::slice::from_ref(id));
        let list: wire::Products = self.exchange.call(request, Cost::read()).await?;
        match list.products.first().and_then(edits::tidied) {
            Some(call) => self.tell_product(id, call).await,
            None => Ok(()),
        }
    }

    /// What the shop made of it. If it cannot be read now, the receipt comes without the record. Sale prices are written last:
    /// by then each variant has its name there.
    async fn read_back(&self, sets: Vec<Update<'_>>, outcomes: &mut Outcomes) -> Result<(), Fault> {
        let mut open: Vec<_> = sets
            .into_iter()
            .filter(|update| outcomes.each[update.at].is_none())
            .collect();
        let ids: Vec<RemoteId> = open.iter().map(|update| update.id.clone()).collect();
        let read = self.rows_by_ids(Kind::Product, &ids).await;
        let mut products: BTreeMap<RemoteId, Product> = BTreeMap::new();
        for row in read.iter().flatten() {
            if let Ok(Record::Product(product)) = map::product_record(row.get()) {
                products.insert(product.id.clone(), product);
            }
        }
        let mut wanted: Vec<Sale> = Vec::new();
        for update in &mut open {
            match (products.get(update.id), &read) {
                (Some(there), _) => {
                    wanted.extend(update.set.sales(update.at, update.product, there));
                }
                (None, Err(fault)) if !update.set.sale_prices.is_empty() => {
                    update.part_failed(fault.clone(), outcomes)?;
                }
                (None, _) => {}
            }
        }
        let sales = self.sell(&wanted, &mut products).await;
        for mut update in open {
            if let Some(fault) = sales.failed.get(&update.at) {
                outcomes.sent = true;
                update.part_failed(fault.clone(), outcomes)?;
            }
            if outcomes.each[update.at].is_some() {
                continue;
            }
            let mut record = products.remove(update.id);
            if let (false, Some(record)) = (sales.are_known, &mut record) {
                // None of them changed, and nobody looked.
                for variant in &mut record.variants {
                    let mut believed = update.product.variants.iter();
                    let believed = believed.find(|believed| edits::is_same(believed, variant));
                    variant.sale_prices =
                        believed.map(|b| b.sale_prices.clone()).unwrap_or_default();
                }
            }
            let receipt = Receipt {
                id: update.id.clone(),
                record: record.map(Record::Product),
            };
            outcomes.each[update.at] = Some(if update.missing.is_empty() {
                Outcome::Done(receipt)
            } else {
                Outcome::Partly {
                    receipt,
                    missing: update.missing,
                }
            });
        }
        Ok(())
    }

    /// Writes these, and says of the products what they are sold at then.
    async fn sell(&self, wanted: &[Sale], products: &mut BTreeMap<RemoteId, Product>) -> Sold {
        if wanted.is_empty() {
            return Sold::default();
        }
        let (sales, failed) = self.put_on_sale(wanted).await;
        if let Some(sales) = &sales {
            products
                .values_mut()
                .for_each(|product| sales.fill(product));
        }
        Sold {
            are_known: sales.is_some(),
            failed,
        }
    }

    /// The sale prices of products that were just made.
    async fn sell_what_was_made(&self, changes: &[Change], outcomes: &mut Outcomes) {
        let mut wanted: Vec<Sale> = Vec::new();
        let mut products: BTreeMap<RemoteId, Product> = BTreeMap::new();
        for (at, change) in changes.iter().enumerate() {
            let (Change::CreateProduct { product }, Some(outcome)) = (change, &outcomes.each[at])
            else {
                continue;
            };
            let Some(Record::Product(there)) = receipt_of(outcome).and_then(|r| r.record.as_ref())
            else {
                continue;
            };
            let set = edits::ProductSet {
                new: product.variants.iter().map(Variant::item).collect(),
                ..edits::ProductSet::default()
            };
            wanted.extend(set.sales(at, product, there));
            products.insert(there.id.clone(), there.clone());
        }
        let sales = self.sell(&wanted, &mut products).await;
        for (at, outcome) in outcomes.each.iter_mut().enumerate() {
            let (mut receipt, mut missing) = match outcome.take() {
                Some(Outcome::Done(receipt)) => (receipt, Vec::new()),
                Some(Outcome::Partly { receipt, missing }) => (receipt, missing),
                other => {
                    *outcome = other;
                    continue;
                }
            };
            if let Some(product) = products.remove(&receipt.id) {
                receipt.record = Some(Record::Product(product));
            }
            missing.extend(sales.failed.get(&at).map(|fault| fault.message.clone()));
            *outcome = Some(match missing.is_empty() {
                true => Outcome::Done(receipt),
                false => Outcome::Partly { receipt, missing },
            });
        }
    }

    // ------------------------------------------------------------ stock

    async fn set_levels(&self, changes: &[Change], outcomes: &mut Outcomes) -> Result<(), Fault> {
        let mut writes = Vec::new();
        for (at, change) in changes.iter().enumerate() {
            let Change::SetLevel { was, on_hand, .. } = change else {
                continue;
            };
            let Some(part) = was.inventory.as_ref().and_then(stock::Part::parse) else {
                let why = "puts it together of other items, and its number follows from theirs: give it an item of its own there, or let this shop keep its stock";
                outcomes.fail(at, self.invalid("item", why));
                continue;
            };
            match map::number("on_hand", *on_hand * part.units_each) {
                Ok(on_hand) => writes.push(LevelWrite {
                    at,
                    was,
                    is_new: was.version.is_none(),
                    body: json!({
                        "inventory_item_id": part.item, "location_id": was.stock, "stocked_quantity": on_hand,
                    }),
                    part,
                }),
                Err(why) => outcomes.fail(at, self.unsayable(was.sku.as_str(), &why)),
            }
        }
        if writes.is_empty() {
            return Ok(());
        }
        match self.send_levels(&writes).await {
            Ok(answer) => self.levels_set(&writes, &answer, outcomes),
            Err(fault) if is_refusal(&fault) => {
                outcomes.sent = true;
                for write in writes {
                    self.set_level_alone(write, outcomes).await?;
                }
            }
            Err(fault) => {
                let places: Vec<_> = writes.iter().map(|write| write.at).collect();
                outcomes.call_failed(&places, fault)?;
            }
        }
        Ok(())
    }

    async fn send_levels(&self, writes: &[LevelWrite<'_>]) -> Result<wire::LevelBatch, Fault> {
        let bodies = |is_new: bool| -> Vec<Json> {
            let writes = writes.iter().filter(|write| write.is_new == is_new);
            writes.map(|write| write.body.clone()).collect()
        };
        let request = self.api().level_batch(&bodies(true), &bodies(false));
        self.exchange.call(request, Cost::repeatable()).await
    }

    /// Whether a level is there may have changed since it was read: then the other way is the right one.
    async fn set_level_alone(
        &self,
        mut write: LevelWrite<'_>,
        outcomes: &mut Outcomes,
    ) -> Result<(), Fault> {
        let mut answer = self.send_levels(std::slice::from_ref(&write)).await;
        let other_way = match &answer {
            Err(fault) if write.is_new => matches!(fault.kind, FaultKind::Duplicate { .. }),
            Err(fault) => fault.kind == FaultKind::NotFound,
            Ok(_) => false,
        };
        if other_way {
            write.is_new = !write.is_new;
            answer = self.send_levels(std::slice::from_ref(&write)).await;
        }
        match answer {
            Ok(answer) => {
                self.levels_set(std::slice::from_ref(&write), &answer, outcomes);
                Ok(())
            }
            Err(fault) => outcomes.call_failed(&[write.at], fault),
        }
    }

    fn levels_set(
        &self,
        writes: &[LevelWrite<'_>],
        answer: &wire::LevelBatch,
        outcomes: &mut Outcomes,
    ) {
        outcomes.sent = true;
        for write in writes {
            let mut rows = answer.created.iter().chain(&answer.updated);
            let row = rows.find(|row| {
                row.inventory_item_id == write.part.item && row.location_id == write.was.stock.0
            });
            let record = row.map(|row| {
                Record::Level(Level {
                    set_aside: write.was.set_aside,
                    ..stock::level_of(&stock::Of::from(write.was), &write.part, row)
                })
            });
            let id = RemoteId(write.was.sku.0.clone());
            outcomes.done(write.at, id, record);
        }
    }

    // ------------------------------------------------------------ orders

    /// A draft first, then it becomes an order: only the second counts, and it happens once, for a draft can become
    /// an order only once. A draft that an earlier try left behind is taken up again.
    async fn create_orders(
        &self,
        changes: &[Change],
        outcomes: &mut Outcomes,
    ) -> Result<(), Fault> {
        let orders: Vec<(usize, &NewOrder)> = changes
            .iter()
            .enumerate()
            .filter_map(|(at, change)| match change {
                Change::CreateOrder { order } => Some((at, order.as_ref())),
                _ => None,
            })
            .collect();
        let Some(earliest) = orders.iter().map(|(_, o)| o.order.state.placed_at).min() else {
            return Ok(());
        };
        let mut drafts = self.drafts(earliest).await?;
        let variants = self.variants(&orders).await?;
        let channel = self.channel().await?;
        let shipping = self.chosen(SHIPPING_OPTION, "shipping-options").await?;
        let mut made: Vec<(usize, RemoteId)> = Vec::new();
        for (at, new) in &orders {
            let country = new.order.person.country();
            let region = self.region_for(&new.order.state.currency, country).await;
            let region = match region {
                Ok(region) => region,
                Err(fault) if matches!(fault.kind, FaultKind::Invalid { .. }) => {
                    outcomes.fail(*at, fault);
                    continue;
                }
                Err(fault) => {
                    outcomes.call_failed(&[*at], fault)?;
                    continue;
                }
            };
            let to = copies::CopyTo {
                region: &region.id,
                sales_channel: Some(&channel),
                shipping_option: shipping.as_ref(),
                adds_tax: region.adds_tax,
                includes_tax: region.includes_tax,
                variants: &variants,
            };
            let draft = drafts.remove(&new.key.to_string());
            match self.create_order(new, &to, draft, outcomes).await {
                Ok(id) => {
                    outcomes.sent = true;
                    made.push((*at, id));
                }
                Err(fault) => outcomes.call_failed(&[*at], fault)?,
            }
        }
        let ids: Vec<RemoteId> = made.iter().map(|(_, id)| id.clone()).collect();
        let mut records = self.orders_there(&ids).await.unwrap_or_default();
        for (at, id) in made {
            let record = records
                .remove(&id)
                .and_then(|order| map::order_of(order).ok());
            let record = record.map(|order| Record::Order(Box::new(order)));
            outcomes.done(at, id, record);
        }
        Ok(())
    }

    async fn variants(
        &self,
        orders: &[(usize, &NewOrder)],
    ) -> Result<BTreeMap<Sku, RemoteId>, Fault> {
        let lines = orders.iter().flat_map(|(_, new)| &new.order.state.lines);
        let mut skus: Vec<&str> = lines
            .filter_map(|l| l.sku.as_ref().map(Sku::as_str))
            .collect();
        skus.sort_unstable();
        skus.dedup();
        let mut variants = BTreeMap::new();
        for some in skus.chunks(SKUS_MAX) {
            let request = self.api().variants_by_sku(some.iter().copied());
            let list: wire::Variants = self.exchange.call(request, Cost::read()).await?;
            for variant in list.variants {
                if let Some(sku) = variant.sku {
                    variants.insert(Sku(sku), RemoteId(variant.id));
                }
            }
        }
        Ok(variants)
    }

    async fn create_order(
        &self,
        new: &NewOrder,
        to: &copies::CopyTo<'_>,
        left: Option<wire::Draft>,
        outcomes: &mut Outcomes,
    ) -> Result<RemoteId, Fault> {
        let compose = |taken: &copies::TakenByPart| {
            copies::create_draft(new, to, taken).map_err(|why| self.unsayable(&new.reference, &why))
        };
        let body = compose(&copies::TakenByPart::new())?;
        let mut draft = match left {
            Some(draft) if copies::is_exact(new, &draft) => draft,
            // It was made of what the order was then.
            Some(draft) => {
                self.remove_draft(&draft).await?;
                self.create_draft(&body).await?
            }
            None => self.create_draft(&body).await?,
        };
        outcomes.sent = true;
        if !copies::is_exact(new, &draft) {
            // Its taxes are not those that were expected: once more, by what it said of them.
            let body = compose(&copies::taken(&draft))?;
            self.remove_draft(&draft).await?;
            draft = self.create_draft(&body).await?;
        }
        if !copies::is_exact(new, &draft) {
            let why = format!(
                "would make the order {} and not {}: look at the taxes of its region",
                draft.total.unwrap_or_default(),
                new.order.state.total
            );
            // Left behind it would look like an order that somebody forgot. If it stays after all, it is only a draft.
            let why = match self.remove_draft(&draft).await {
                Ok(()) => why,
                Err(_) => format!("{why}; a draft of it is left there"),
            };
            return Err(self.invalid("total", &why));
        }
        let id = RemoteId(draft.id);
        let request = self.api().convert_draft(&id.0);
        match self.exchange.tell(request, Cost::repeatable()).await {
            Ok(()) => Ok(id),
            // It may be one already: an earlier call was applied late.
            Err(fault) if matches!(fault.kind, FaultKind::Invalid { .. }) => {
                match self.orders_there(std::slice::from_ref(&id)).await {
                    Ok(there) if there.get(&id).is_some_and(|order| order.status != "draft") => {
                        Ok(id)
                    }
                    Ok(_) | Err(_) => Err(fault),
                }
            }
            Err(fault) => Err(fault),
        }
    }

    async fn create_draft(&self, body: &Json) -> Result<wire::Draft, Fault> {
        let request = self.api().create_draft(body);
        let one: wire::OneDraft = self.exchange.call(request, Cost::once()).await?;
        Ok(one.draft_order)
    }

    async fn remove_draft(&self, draft: &wire::Draft) -> Result<(), Fault> {
        let request = self.api().remove_draft(&draft.id);
        self.exchange.tell(request, Cost::repeatable()).await
    }

    pub(super) async fn orders_there(
        &self,
        ids: &[RemoteId],
    ) -> Result<BTreeMap<RemoteId, wire::Order>, Fault> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let request = self.api().orders_by_ids(ids);
        let list: wire::List = self.exchange.call(request, Cost::read()).await?;
        let orders = list.items.iter();
        // One that cannot be read is as if it were not there: nothing is done to it.
        let orders = orders.filter_map(|raw| serde_json::from_str::<wire::Order>(raw.get()).ok());
        let mut orders: Vec<wire::Order> = orders.collect();
        let mut all: Vec<&mut wire::Order> = orders.iter_mut().collect();
        self.locate(&mut all).await?;
        let orders = orders.into_iter();
        Ok(orders
            .map(|order| (RemoteId(order.id.clone()), order))
            .collect())
    }
}

/// Variants that may be sold before they are there.
fn sold_before_they_are_there(product: &Product) -> Vec<Sku> {
    let variants = product.variants.iter();
    let variants = variants.filter(|variant| variant.backorder == Some(true));
    variants.map(|variant| variant.sku.clone()).collect()
}

fn product_sku(product: &Product) -> Sku {
    let first = product.variants.first();
    first.map(|variant| variant.sku.clone()).unwrap_or_default()
}

/// A product on its way.
/// What became of sale prices.
#[derive(Default)]
struct Sold {
    /// What the products are sold at was read.
    are_known: bool,
    /// Change → why its were not written.
    failed: BTreeMap<usize, Fault>,
}

fn receipt_of(outcome: &Outcome) -> Option<&Receipt> {
    match outcome {
        Outcome::Done(receipt) | Outcome::Partly { receipt, .. } => Some(receipt),
        Outcome::Accepted { .. } | Outcome::Failed(_) => None,
    }
}

struct Update<'a> {
    at: usize,
    id: &'a RemoteId,
    product: &'a Product,
    set: edits::ProductSet,
    /// What was not done after something else was.
    missing: Vec<String>,
    wrote: bool,
}

impl Update<'_> {
    fn part_failed(&mut self, fault: Fault, outcomes: &mut Outcomes) -> Result<(), Fault> {
        // Not knowing outweighs what is known: it is looked at as a whole.
        if self.wrote && fault.kind != FaultKind::UnknownOutcome {
            self.missing.push(fault.message);
            return Ok(());
        }
        outcomes.call_failed(&[self.at], fault)
    }
}

struct LevelWrite<'a> {
    at: usize,
    was: &'a Level,
    part: stock::Part,
    is_new: bool,
    body: Json,
}
