//! Changes to a practice shop, and the hooks that it shall call.

use super::{BATCH_MAX, BODY_BYTES_MAX, PICTURE_BYTES_MAX, Shop, map, refusal, wire};
use crate::portions::portions;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::StatusCode;
use lockstep_connector::{Body, BodyStream, Cost, Hook, HookState, Pictures};
use lockstep_model::{
    Change, Fault, FaultKind, ItemId, Kind, Outcome, PictureSource, Receipt, Record, RemoteId,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A member of a batch on its way: which change it is of, and what it says.
struct Member {
    change: usize,
    body: Value,
    bytes: usize,
    repeatable: bool,
}

/// What follows a product's member, call by call.
#[derive(Default)]
struct After {
    remove_variants: Vec<(ItemId, RemoteId)>,
    order_pictures: Vec<RemoteId>,
}

/// Outcomes of a batch, in the order of its changes.
struct Outcomes {
    each: Vec<Option<Outcome>>,
    /// A byte of this batch has left: from now on no fault is the whole batch's.
    sent: bool,
}

impl Outcomes {
    fn set(&mut self, change: usize, outcome: Outcome) {
        self.each[change] = Some(outcome);
    }

    fn fail(&mut self, change: usize, fault: Fault) {
        self.set(change, Outcome::Failed(fault));
    }
}

/// What a change is called in a fault.
fn name(change: &Change) -> String {
    match change {
        Change::CreateCategory { category } => category.name.clone(),
        Change::UpdateCategory { category, .. } => category.name.clone(),
        Change::CreateProduct { product } | Change::UpdateProduct { product, .. } => {
            let first = product.variants.first();
            first.map_or_else(|| product.title.clone(), |variant| variant.sku.0.clone())
        }
        Change::AddPicture { product, .. } | Change::RemovePicture { product, .. } => {
            product.0.clone()
        }
        Change::SetLevel { was, .. } => was.sku.0.clone(),
        Change::CreateOrder { order } => order.reference.clone(),
        Change::StepOrder { id, .. } => id.0.clone(),
    }
}

impl Shop {
    /// 403 if this token may only read. Asks for the test call of a hook that is not there: of all that needs the
    /// right to write it is what can never change anything.
    pub(super) async fn may_write(&self) -> Result<(), Fault> {
        let request = self.api().ping_hook("none");
        match self.exchange.tell(request, Cost::repeatable()).await {
            // Let in, and nothing found.
            Err(fault) if fault.kind == FaultKind::NotFound => Ok(()),
            other => other,
        }
    }

    pub(super) async fn write(
        &self,
        changes: &[Change],
        pictures: &dyn Pictures,
    ) -> Result<Vec<Outcome>, Fault> {
        let Some(first) = changes.first() else {
            return Ok(Vec::new());
        };
        let kind = first.kind();
        let mut outcomes = Outcomes {
            each: changes.iter().map(|_| None).collect(),
            sent: false,
        };
        let mut members = Vec::new();
        let mut after: BTreeMap<usize, After> = BTreeMap::new();
        for (at, change) in changes.iter().enumerate() {
            let body = match change {
                Change::CreateCategory { category } => Ok(Some(map::create_category(category))),
                Change::UpdateCategory { id, set, .. } => map::update_category(id, set).map(Some),
                Change::CreateProduct { product } => map::create_product(product).map(Some),
                Change::UpdateProduct {
                    id,
                    set,
                    product,
                    parts,
                } => map::update_product(id, set, product, parts).map(|update| {
                    after.insert(
                        at,
                        After {
                            remove_variants: update.remove_variants,
                            order_pictures: update.order_pictures,
                        },
                    );
                    update.member
                }),
                Change::SetLevel {
                    was,
                    on_hand,
                    location,
                } => map::set_level(was, *on_hand, location.as_deref()).map(Some),
                Change::CreateOrder { order } => map::create_order(order).map(Some),
                Change::StepOrder { id, step, person } => {
                    map::step_order(id, step, person.as_deref()).map(Some)
                }
                Change::AddPicture { .. } | Change::RemovePicture { .. } => Ok(None),
            };
            match body {
                Ok(Some(body)) => members.push(Member {
                    change: at,
                    bytes: body.to_string().len(),
                    body,
                    // A second create of one key is refused, an update and a step say the end and not the way;
                    // but nothing says so of a category without a unique name.
                    repeatable: !matches!(
                        change,
                        Change::CreateCategory { .. } | Change::CreateProduct { .. }
                    ),
                }),
                Ok(None) => {}
                Err(unsayable) => {
                    let fault = self.invalid(
                        &unsayable.field,
                        &format!("cannot be told {}: {}", name(change), unsayable.why),
                    );
                    outcomes.fail(at, fault.about(name(change)));
                }
            }
        }
        for portion in portions(members, |member| member.bytes, BODY_BYTES_MAX) {
            self.write_portion(kind, changes, portion, &mut outcomes)
                .await?;
        }
        if kind == Kind::Order {
            self.meet_the_existing(changes, &mut outcomes).await;
        }
        if kind == Kind::Product {
            self.write_after(changes, pictures, after, &mut outcomes)
                .await?;
        }
        let unanswered = || {
            let what = "gave no answer to a member of a batch";
            Outcome::Failed(self.exchange.fault(FaultKind::UnknownOutcome, what))
        };
        let each = outcomes
            .each
            .into_iter()
            .zip(changes)
            .map(
                |(outcome, change)| match outcome.unwrap_or_else(unanswered) {
                    Outcome::Failed(fault) => Outcome::Failed(fault.about(name(change))),
                    outcome => outcome,
                },
            );
        Ok(each.collect())
    }

    async fn write_portion(
        &self,
        kind: Kind,
        changes: &[Change],
        portion: Vec<Member>,
        outcomes: &mut Outcomes,
    ) -> Result<(), Fault> {
        debug_assert!(portion.len() <= BATCH_MAX as usize);
        let cost = if portion.iter().all(|member| member.repeatable) {
            Cost::repeatable()
        } else {
            Cost::once()
        };
        let (places, bodies): (Vec<_>, Vec<_>) = portion
            .into_iter()
            .map(|member| (member.change, member.body))
            .unzip();
        let request = self.api().batch(kind, bodies);
        let answers: wire::Answers = match self.exchange.call(request, cost).await {
            Ok(answers) => answers,
            Err(fault) => return self.none_done(places, fault, outcomes),
        };
        outcomes.sent = true;
        for (place, answer) in places.iter().zip(&answers.items) {
            outcomes.set(*place, self.outcome(kind, &changes[*place], answer));
        }
        Ok(())
    }

    /// A whole call failed. The fault is the batch's only if nothing of the batch has left yet.
    fn none_done(
        &self,
        places: Vec<usize>,
        fault: Fault,
        outcomes: &mut Outcomes,
    ) -> Result<(), Fault> {
        if !outcomes.sent && fault.kind == FaultKind::Unavailable {
            return Err(fault);
        }
        outcomes.sent = true;
        for place in places {
            outcomes.fail(place, fault.clone());
        }
        Ok(())
    }

    fn outcome(&self, kind: Kind, change: &Change, answer: &wire::Answer) -> Outcome {
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::IM_A_TEAPOT);
        if status.is_success() {
            // Done, whether or not the record in the answer can be read.
            let record = answer.record.as_ref();
            let record = record.and_then(|raw| map::record(kind, raw.get()).ok());
            let id = match (&answer.id, &record, change) {
                (_, Some(Record::Level(level)), _) => Some(RemoteId(level.sku.0.clone())),
                (_, _, Change::SetLevel { was, .. }) => Some(RemoteId(was.sku.0.clone())),
                (Some(id), _, _) => Some(RemoteId(id.clone())),
                (None, record, _) => record.as_ref().and_then(id_of),
            };
            return match id {
                Some(id) => Outcome::Done(Receipt { id, record }),
                None => {
                    let what = "did it and did not say what it is called there";
                    Outcome::Failed(self.exchange.fault(FaultKind::UnknownOutcome, what))
                }
            };
        }
        let refusal = answer.error.as_ref().map(refusal).unwrap_or_default();
        let kind = refusal.kind.unwrap_or(match answer.status {
            404 => FaultKind::NotFound,
            409 => FaultKind::Conflict,
            400 | 413 | 422 => FaultKind::Invalid { field: None },
            _ => FaultKind::UnknownOutcome,
        });
        Outcome::Failed(self.exchange.refusal(kind, status, refusal.said))
    }

    /// An order whose key is taken is the one that we wanted: the key is ours alone. It is read, so that whoever
    /// made it first, the outcome is the same.
    async fn meet_the_existing(&self, changes: &[Change], outcomes: &mut Outcomes) {
        let mut taken: BTreeMap<RemoteId, usize> = BTreeMap::new();
        for (at, outcome) in outcomes.each.iter().enumerate() {
            if let (Change::CreateOrder { .. }, Some(Outcome::Failed(fault))) =
                (&changes[at], outcome)
                && let FaultKind::Duplicate { existing: Some(id) } = &fault.kind
            {
                taken.insert(id.clone(), at);
            }
        }
        let ids: Vec<_> = taken.keys().cloned().collect();
        // If they cannot be read now, the outcome stays "there is one already", which names it too.
        let Ok(records) = self.by_ids(Kind::Order, &ids).await else {
            return;
        };
        for record in records.into_iter().flatten() {
            let Record::Order(order) = &record else {
                continue;
            };
            let Some(at) = taken.get(&order.state.id).copied() else {
                continue;
            };
            let Change::CreateOrder { order: new } = &changes[at] else {
                continue;
            };
            if order.state.key.as_deref() == Some(new.key.to_string().as_str()) {
                let id = order.state.id.clone();
                let record = Some(record);
                outcomes.set(at, Outcome::Done(Receipt { id, record }));
            }
        }
    }

    /// What has no place in a batch: variants and pictures that go, pictures that come or move. The products are
    /// read once afterwards.
    async fn write_after(
        &self,
        changes: &[Change],
        pictures: &dyn Pictures,
        after: BTreeMap<usize, After>,
        outcomes: &mut Outcomes,
    ) -> Result<(), Fault> {
        let mut done: BTreeMap<usize, (RemoteId, Vec<String>)> = BTreeMap::new();
        for (at, change) in changes.iter().enumerate() {
            let result = match change {
                Change::UpdateProduct { id, .. } => {
                    let after = after.get(&at);
                    let after = after.filter(|after| !after.is_empty());
                    match (&outcomes.each[at], after) {
                        // Its member failed: nothing more is done to it.
                        (Some(Outcome::Failed(_)), _) | (Some(_), None) => continue,
                        (_, None) => Ok((id.clone(), Vec::new())),
                        (_, Some(after)) => {
                            let missing = self.finish_product(id, after).await;
                            Ok((id.clone(), missing))
                        }
                    }
                }
                Change::AddPicture {
                    product,
                    alt,
                    position,
                    source,
                    ..
                } => self
                    .add_picture(product, alt, *position, source, pictures)
                    .await
                    .map(|()| (product.clone(), Vec::new())),
                Change::RemovePicture { product, picture } => {
                    let request = self.api().remove_picture(product, picture);
                    match self.exchange.tell(request, Cost::repeatable()).await {
                        Err(fault) if fault.kind != FaultKind::NotFound => Err(fault),
                        Ok(()) | Err(_) => Ok((product.clone(), Vec::new())),
                    }
                }
                _ => continue,
            };
            match result {
                Ok(written) => {
                    outcomes.sent = true;
                    done.insert(at, written);
                }
                Err(fault) => self.none_done(vec![at], fault, outcomes)?,
            }
        }
        let ids: BTreeSet<_> = done.values().map(|(id, _)| id.clone()).collect();
        let ids: Vec<_> = ids.into_iter().collect();
        // What was written is written; if it cannot be read now, the receipt comes without the record.
        let records = self.by_ids(Kind::Product, &ids).await.unwrap_or_default();
        let records: BTreeMap<RemoteId, Record> = records
            .into_iter()
            .flatten()
            .filter_map(|record| Some((id_of(&record)?, record)))
            .collect();
        for (at, (id, missing)) in done {
            let record = records.get(&id).cloned();
            let receipt = Receipt { id, record };
            let outcome = if missing.is_empty() {
                Outcome::Done(receipt)
            } else {
                Outcome::Partly { receipt, missing }
            };
            outcomes.set(at, outcome);
        }
        Ok(())
    }

    async fn finish_product(&self, id: &RemoteId, after: &After) -> Vec<String> {
        let mut missing = Vec::new();
        for (item, variant) in &after.remove_variants {
            let request = self.api().remove_variant(id, variant);
            match self.exchange.tell(request, Cost::repeatable()).await {
                Ok(()) => {}
                Err(fault) if fault.kind == FaultKind::NotFound => {}
                Err(fault) => missing.push(format!(
                    "the variant {item} is still there: {}",
                    fault.message
                )),
            }
        }
        for (position, picture) in after.order_pictures.iter().enumerate() {
            let request = self.api().place_picture(id, picture, position);
            if let Err(fault) = self.exchange.tell(request, Cost::repeatable()).await {
                missing.push(format!(
                    "the pictures are not in their order: {}",
                    fault.message
                ));
                break;
            }
        }
        missing
    }

    async fn add_picture(
        &self,
        product: &RemoteId,
        alt: &str,
        position: u32,
        source: &PictureSource,
        pictures: &dyn Pictures,
    ) -> Result<(), Fault> {
        let (content_type, body) = self.picture_body(pictures.open(source).await?).await?;
        let request = self
            .api()
            .add_picture(product, alt, position, content_type, body);
        // The same content on the same product is there once, however often it is sent.
        self.exchange.tell(request, Cost::repeatable()).await
    }

    /// The bytes, and what they are: the shop wants to be told, and sources do not say it reliably.
    async fn picture_body(&self, mut source: BodyStream) -> Result<(&'static str, Body), Fault> {
        let mut head: Vec<u8> = Vec::new();
        while head.len() < HEAD_BYTES {
            match source.next().await {
                Some(piece) => head.extend_from_slice(&piece?),
                None => break,
            }
            if head.len() > PICTURE_BYTES_MAX {
                break;
            }
        }
        let Some(content_type) = content_type(&head) else {
            return Err(self.invalid(
                "picture",
                "cannot hold this picture: it is none of PNG, JPEG, WebP, GIF, AVIF and SVG",
            ));
        };
        let head = stream::iter([Ok(Bytes::from(head))]);
        Ok((content_type, Body::Stream(head.chain(source).boxed())))
    }

    pub(super) async fn register(&self, wanted: &[Hook]) -> Result<Vec<HookState>, Fault> {
        let mut wish: BTreeMap<&str, (BTreeSet<&str>, &str)> = BTreeMap::new();
        for hook in wanted {
            let entry = wish
                .entry(&hook.url)
                .or_insert((BTreeSet::new(), &hook.secret));
            entry.0.insert(&hook.topic);
        }
        let there: wire::Hooks = self.exchange.call(self.api().hooks(), Cost::read()).await?;
        for row in &there.items {
            match wish.remove(row.url.as_str()) {
                // Always said again: whether the secret is still the same cannot be read.
                Some((topics, secret)) => {
                    let topics: Vec<_> = topics.into_iter().collect();
                    let request = self.api().set_hook(&row.id, &topics, secret);
                    self.exchange.tell(request, Cost::repeatable()).await?;
                }
                None if self.is_ours(row, wanted) => {
                    let request = self.api().remove_hook(&row.id);
                    self.exchange.tell(request, Cost::repeatable()).await?;
                }
                None => {}
            }
        }
        for (url, (topics, secret)) in wish {
            let topics: Vec<_> = topics.into_iter().collect();
            let request = self.api().add_hook(url, &topics, secret);
            self.exchange.tell(request, Cost::repeatable()).await?;
        }
        self.registered(wanted).await
    }

    pub(super) async fn registered(&self, wanted: &[Hook]) -> Result<Vec<HookState>, Fault> {
        let there: wire::Hooks = self.exchange.call(self.api().hooks(), Cost::read()).await?;
        let urls: BTreeSet<&str> = wanted.iter().map(|hook| hook.url.as_str()).collect();
        let ours = there
            .items
            .iter()
            .filter(|row| urls.contains(row.url.as_str()));
        let states = ours.flat_map(|row| {
            row.topics.iter().map(|topic| HookState {
                topic: topic.clone(),
                url: row.url.clone(),
                active: row.enabled,
            })
        });
        Ok(states.collect())
    }

    /// Registrations of others are left alone. Ours bear the coordinator's path with this shop's id; one that leads
    /// to another address is another coordinator's as long as it answers there.
    fn is_ours(&self, row: &wire::HookRow, wanted: &[Hook]) -> bool {
        let Some((origin, path)) = split(&row.url) else {
            return false;
        };
        // A proxy may put a path of its own before ours.
        let shop = self.exchange.account().shop.to_string();
        let our_path = path
            .split_once("hooks/v1/")
            .and_then(|(_, rest)| rest.split('/').nth(1))
            .is_some_and(|named| named == shop);
        let our_origin = || {
            let mut origins = wanted.iter().filter_map(|hook| split(&hook.url));
            origins.any(|(wanted, _)| wanted == origin)
        };
        our_path && (wanted.is_empty() || !row.enabled || our_origin())
    }
}

fn split(url: &str) -> Option<(&str, &str)> {
    let authority = url.find("://")? + 3;
    let path = url[authority..].find('/')? + authority;
    Some((&url[..path], &url[path + 1..]))
}

impl After {
    fn is_empty(&self) -> bool {
        self.remove_variants.is_empty() && self.order_pictures.is_empty()
    }
}

fn id_of(record: &Record) -> Option<RemoteId> {
    Some(match record {
        Record::Category(category) => category.id.clone(),
        Record::Product(product) => product.id.clone(),
        Record::Order(order) => order.state.id.clone(),
        Record::Level(level) => RemoteId(level.sku.0.clone()),
        Record::Gone { .. } => return None,
    })
}

/// Enough to tell every format that the shop takes.
const HEAD_BYTES: usize = 512;

fn content_type(head: &[u8]) -> Option<&'static str> {
    let text = || {
        let text = String::from_utf8_lossy(&head[..head.len().min(HEAD_BYTES)]);
        text.contains("<svg")
    };
    Some(match head {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => "image/webp",
        [
            _,
            _,
            _,
            _,
            b'f',
            b't',
            b'y',
            b'p',
            b'a',
            b'v',
            b'i',
            b'f' | b's',
            ..,
        ] => "image/avif",
        _ if text() => "image/svg+xml",
        _ => return None,
    })
}
