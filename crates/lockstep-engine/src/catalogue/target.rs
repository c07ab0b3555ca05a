//! One shop, as something to be written to: what it should hold of a record, and the smallest writes that get it there.

use super::decide::Extent;
use super::holds::{Answers, Holding, Prices};
use super::merge::Side;
use super::undone::{PutBack, Undone};
use super::{Terms, items, parts, prices};
use crate::rules::{Rules, ShopRules};
use crate::write::{PlanLine, Sign, Write, is_refused};
use jiff::Timestamp;
use lockstep_model::cases::StagedBody;
use lockstep_model::entry::{AsideSubject, Body, HeldPrice, MissingThere, Subject, What};
use lockstep_model::settings::PriceRule;
use lockstep_model::{
    Category, Change, ChangeSort, Fault, FaultKind, Field, FieldGroup, Fields, Flow, ItemId, Kind,
    Parts, Path, PictureSource, Product, RecordId, RemoteId, ShopId, Sku, Status, Value,
    VariantField, called, has_variant, sku_of, variants_of,
};
use std::collections::{BTreeMap, BTreeSet};

/// One shop, as something to be written to.
pub(super) struct Target<'a> {
    pub shop: ShopId,
    pub staged_id: Option<&'a RemoteId>,
    pub rules: &'a ShopRules,
    pub side: Option<&'a Side<'a>>,
    pub kind: Kind,
    pub record: RecordId,
    /// What people call it.
    pub label: &'a str,
    /// What a person is asked about is not written over until it is decided.
    pub asked: &'a BTreeSet<Path>,
    pub undone: &'a Undone,
    pub extent: Extent,
    /// What our record said before this reading.
    pub before: &'a Fields,
    pub answers: &'a Answers<'a>,
    pub holding: Holding,
    pub withholds: Withholds,
    /// A record of this shop may be this one: it is not made beside it.
    pub withheld: bool,
    pub now: Timestamp,
}

/// What a shop is to be written, and what of it waits.
#[derive(Default)]
pub(super) struct Planned {
    pub writes: Vec<(Write, Vec<PlanLine>)>,
    /// Prices that a person should see, by our own field. Whether they are among what is written says [`Holding`].
    pub held: Vec<(Path, HeldPrice)>,
    pub missing: Option<MissingThere>,
    /// The shop deleted it, and its owner still has it.
    pub gone: Option<RemoteId>,
    /// Something waits for a person's word on all records: it stays due.
    pub waits: bool,
}

/// What too many records at once would be done to waits for a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Withholds {
    pub archives: bool,
    pub removals: bool,
}

impl Target<'_> {
    pub fn may_write(&self) -> bool {
        !self.rules.read_only
    }

    /// What failed a moment ago is not repeated yet. Whatever differs from it is made at once.
    pub fn stands_aside(&self, write: &Write) -> bool {
        self.side.is_some_and(|side| {
            let until = side.shadow.aside_until;
            until.is_some_and(|until| until > self.now)
                && is_refused(&side.shadow.refused, write.fingerprint())
        })
    }

    /// How often this change has failed before.
    pub fn tries_of(&self, write: &Write) -> u32 {
        self.side.map_or(0, |side| {
            let is_known = is_refused(&side.shadow.refused, write.fingerprint());
            match (is_known, write.is_part) {
                (true, _) => side.shadow.tries,
                (false, true) => side.shadow.tries.saturating_sub(1),
                (false, false) => 0,
            }
        })
    }

    pub fn plan(&self, ours: &Fields, rules: &Rules, terms: &Terms, sides: &[Side<'_>]) -> Planned {
        let mut planned = Planned::default();
        let flow = self.kind.flow();
        if !rules.flow_is_on(flow) {
            return planned;
        }
        let there = self.side.is_some_and(|side| match side.staged {
            Some(StagedBody::Fields { .. }) => true,
            Some(StagedBody::Gone) => false,
            None => side.shadow.id.is_some() && !side.shadow.gone,
        });
        let once_there = self.side.is_some_and(|side| side.shadow.id.is_some());
        let is_root = self.record == RecordId::ROOT_CATEGORY;
        if is_root && (!rules.gets_a_root(self.shop) || self.extent == Extent::PutBack) {
            return planned;
        }
        let mut wanted = if is_root {
            ours.clone()
        } else {
            self.wanted(ours, there, rules, terms)
        };
        if there {
            // Named by this reading, or by the link.
            let Some(id) = self
                .staged_id
                .or_else(|| self.side.and_then(|side| side.shadow.id.as_ref()))
            else {
                return planned;
            };
            self.hold(&mut wanted, ours, rules, &mut planned);
            self.updates(id, wanted, rules, sides, &mut planned);
            return planned;
        }
        if self.extent == Extent::PutBack {
            return planned;
        }
        if is_root {
            // Also where a person removed it: without it the tree would have no place.
            planned.writes.extend(self.create(wanted, false));
            return planned;
        }
        let owner_has_it = rules.catalogue_owner().is_some_and(|owner| {
            owner != self.shop
                && sides.iter().any(|side| {
                    side.shop == owner
                        && match side.staged {
                            Some(StagedBody::Fields { .. }) => true,
                            Some(StagedBody::Gone) => false,
                            None => side.shadow.id.is_some() && !side.shadow.gone,
                        }
                })
        });
        // What a person removed from this shop is not made again.
        let is_given = || rules.gives(self.shop, self.kind, ours, terms);
        if once_there && !self.withheld && owner_has_it && is_given() {
            let is_made = self.kind == Kind::Product && !self.rules.read_only;
            let id = self.side.and_then(|side| side.shadow.id.clone());
            planned.gone = id.filter(|_| is_made);
        }
        if once_there || self.withheld || !owner_has_it || !is_given() {
            return planned;
        }
        let archived = wanted
            .get(&Path::new(&Field::Status))
            .and_then(Value::as_text)
            == Some(Status::Archived.as_str());
        if archived {
            return planned;
        }
        if self.kind == Kind::Product {
            let batches = &self.rules.abilities.batches;
            if !batches.contains_key(&ChangeSort::CreateProduct) {
                return planned;
            }
            if variants_of(&wanted).next().is_none() {
                // A shop that is not written to yet is not asked about: that it lacks the record stays due.
                planned.missing = (!self.rules.read_only).then_some(MissingThere::Variants);
                planned.waits = self.rules.read_only;
                return planned;
            }
        }
        self.hold(&mut wanted, ours, rules, &mut planned);
        let again = !planned.held.is_empty();
        planned.writes.extend(self.create(wanted, again));
        planned
    }

    /// Takes out what waits: prices that a person should see, and variants that would be sold there without a price.
    fn hold(&self, wanted: &mut Fields, ours: &Fields, rules: &Rules, planned: &mut Planned) {
        let is_guarded = self.kind == Kind::Product
            && self.extent == Extent::All
            && !self.rules.read_only
            && rules.owner(FieldGroup::Prices) != Some(self.shop);
        if !is_guarded {
            return;
        }
        let is_new = |item: &ItemId| {
            let side = self.side.filter(|side| side.is_there());
            !side.is_some_and(|side| has_variant(side.holds(), item))
        };
        let prices = Prices {
            shop: self.shop,
            rules: self.rules,
            side: self.side,
            wanted,
            before: self.before,
            ours,
            limit: rules.settings.policies.limits.price_move_percent_max,
            answers: self.answers,
        };
        let mut left_out = BTreeSet::new();
        if self.is_sold_by_price(wanted) {
            let (unknown, asked): (Vec<ItemId>, Vec<ItemId>) = prices
                .missing(variants_of(wanted).filter(is_new))
                .into_iter()
                .partition(|item| !prices.is_known(item));
            left_out.extend(unknown.iter().cloned().chain(asked));
            if !unknown.is_empty() {
                planned.missing = Some(MissingThere::Price {
                    currency: self.rules.currency().clone(),
                    skus: unknown
                        .iter()
                        .filter_map(|item| Some(Sku::from(sku_of(wanted, item)?)))
                        .collect(),
                });
            }
        }
        let in_doubt = prices.in_doubt();
        for (ours, theirs, held) in in_doubt {
            if self.holding == Holding::Asks {
                wanted.remove(&theirs);
                if let Some(Field::Variant { item, .. }) = theirs.field()
                    && is_new(&item)
                {
                    left_out.insert(item);
                }
            }
            planned.held.push((ours, held));
        }
        if !left_out.is_empty() {
            wanted.retain(|path, _| match path.field() {
                Some(Field::Variant { item, .. }) => !left_out.contains(&item),
                _ => true,
            });
        }
    }

    /// Would a variant be sold there for whatever a missing price means? A draft is not sold.
    fn is_sold_by_price(&self, wanted: &Fields) -> bool {
        let currency = self.rules.currency();
        let status = Path::new(&Field::Status);
        let held = self.side.and_then(|side| side.holds().get(&status));
        let status = wanted.get(&status).or(held).and_then(Value::as_text);
        let price = Field::Variant {
            item: ItemId(String::new()),
            field: VariantField::Price(currency.clone()),
        };
        !currency.as_str().is_empty()
            && (self.rules.abilities.holds)(&price)
            && status.is_none_or(|status| status == Status::Active.as_str())
    }

    /// A category of the top, where the root of our own is still to be made.
    pub fn waits_for_root(&self, ours: &Fields, rules: &Rules, terms: &Terms) -> bool {
        self.record != RecordId::ROOT_CATEGORY
            && rules.gets_a_root(self.shop)
            && terms.root(self.shop).is_none()
            && ours
                .get(&Path::new(&Field::Parent))
                .is_none_or(|parent| *parent == Value::Empty)
    }

    /// What the shop should hold, in its own terms: the fields that it can hold and that others own.
    fn wanted(&self, ours: &Fields, there: bool, rules: &Rules, terms: &Terms) -> Fields {
        let variants = variants_of(ours).count();
        let customer = &rules.settings.customer;
        // The switch says it of all; without it each variant is as its owner says.
        let backorder = if variants > 1 {
            customer.variation_back_order_enabled
        } else {
            customer.product_back_order_enabled
        };
        let mut wanted = self.put_back();
        if self.extent == Extent::PutBack {
            return wanted;
        }
        let transform = &self.rules.link.transform;
        let rule = transform.price_in(self.rules.currency());
        for (path, value) in ours {
            let (Some(field), Some(group)) = (path.field(), path.group()) else {
                continue;
            };
            if !(self.rules.abilities.holds)(&field)
                || !rules.group_is_on(group)
                || rules.owner(group) == Some(self.shop)
                || self.asked.contains(path)
                || (there && self.keeps_its_own(&field, group, rules))
                || self.undone.holds(self.shop, path)
                || wanted.contains_key(path)
                || (there
                    && (items::is_nameless(&field, value)
                        || items::is_own_sku(&field, self.parts())))
            {
                continue;
            }
            let value = match &field {
                Field::Variant {
                    item,
                    field:
                        part @ (VariantField::Price(currency) | VariantField::SalePrice(currency)),
                } => match rule {
                    None if currency == self.rules.currency() => value.clone(),
                    Some(rule) if rule.from == *currency => {
                        let Some(value) = by_rule(rule, value) else {
                            continue;
                        };
                        let field = match part {
                            VariantField::SalePrice(_) => VariantField::SalePrice(rule.to.clone()),
                            _ => VariantField::Price(rule.to.clone()),
                        };
                        let item = item.clone();
                        let path = Path::new(&Field::Variant { item, field });
                        if !self.undone.holds(self.shop, &path) && !wanted.contains_key(&path) {
                            wanted.insert(path, value);
                        }
                        continue;
                    }
                    _ => continue,
                },
                Field::Title | Field::Description => {
                    let in_its_language = transform.language.as_deref().and_then(|language| {
                        let text = Path::new(&Field::Text {
                            language: language.into(),
                            name: path.to_string().into(),
                        });
                        ours.get(&text).filter(|text| **text != Value::Empty)
                    });
                    in_its_language.unwrap_or(value).clone()
                }
                Field::Variant {
                    field: VariantField::Backorder,
                    ..
                } => Value::Flag(backorder || value.as_flag() == Some(true)),
                Field::Parent if *value == Value::Empty && rules.gets_a_root(self.shop) => {
                    match terms.root(self.shop) {
                        Some(root) => Value::text(root.as_str()),
                        // It stays where it is until the root was made.
                        None => continue,
                    }
                }
                Field::Parent if *value == Value::Empty => {
                    Value::optional_text(customer.root_category_id.as_deref())
                }
                Field::Categories => match terms.to_theirs(self.shop, path, value) {
                    Some(value) => self.with_its_own(path, &value, terms),
                    None => continue,
                },
                _ => match terms.to_theirs(self.shop, path, value) {
                    Some(value) => value,
                    None => continue,
                },
            };
            wanted.insert(path.clone(), value);
        }
        wanted
    }

    /// Categories of the shop's own, which nothing of ours stands for, are not taken away with ours.
    fn with_its_own(&self, path: &Path, ours: &Value, terms: &Terms) -> Value {
        let held = self.side.and_then(|side| side.holds().get(path));
        let held = held.map(Value::as_list).unwrap_or_default().iter();
        let own = held.filter(|id| terms.is_own(self.shop, id));
        let all: BTreeSet<&String> = ours.as_list().iter().chain(own).collect();
        Value::list(all.into_iter().cloned())
    }

    /// A variant that is made there gets all of its fields, unless which variants there are is the shop's own, too.
    fn keeps_its_own(&self, field: &Field<'_>, group: FieldGroup, rules: &Rules) -> bool {
        let is_new = match field {
            Field::Variant { item, .. } => !self
                .side
                .is_some_and(|side| has_variant(side.holds(), item)),
            _ => false,
        };
        let group = if is_new { FieldGroup::Variants } else { group };
        rules.keeps(self.shop, group)
    }

    /// The ids inside the record there.
    fn parts(&self) -> &Parts {
        static NONE: Parts = Parts {
            variants: BTreeMap::new(),
            pictures: BTreeMap::new(),
            own_skus: BTreeSet::new(),
        };
        match self.side {
            Some(side) => match side.staged {
                Some(StagedBody::Fields { parts, .. }) => parts,
                Some(StagedBody::Gone) | None => &side.shadow.parts,
            },
            None => &NONE,
        }
    }

    /// What a person wants here, whatever the policy says.
    fn put_back(&self) -> Fields {
        let wanted = self.undone.at(self.shop).into_iter().flatten();
        let wanted = wanted.filter(|(path, _)| {
            path.field()
                .is_some_and(|field| (self.rules.abilities.holds)(&field))
        });
        wanted
            .map(|(path, PutBack { value, .. })| (path.clone(), value.clone()))
            .collect()
    }

    fn put_back_why(&self, path: &Path) -> Option<&str> {
        let put_back = self.undone.at(self.shop)?.get(path)?;
        Some(&put_back.why)
    }

    /// `again`: a person's question hangs on what it is made with.
    fn create(&self, wanted: Fields, again: bool) -> Option<(Write, Vec<PlanLine>)> {
        let mut set = wanted;
        // Pictures are added to what exists.
        set.remove(&Path::new(&Field::Pictures));
        set.retain(|path, value| !takes_away(path, value));
        let refused = self.side.map(|side| &side.shadow.refused);
        let part = refused.and_then(|refused| parts::makeable(&set, refused));
        let is_part = part.is_some();
        let set = part.unwrap_or(set);
        let change = match self.kind {
            Kind::Category => Change::CreateCategory {
                category: Category::from_fields(RemoteId::default(), &set),
            },
            Kind::Product => {
                let product = Product::from_fields(RemoteId::default(), &set, &Default::default());
                if product.variants.is_empty() {
                    return None;
                }
                Change::CreateProduct {
                    product: Box::new(product),
                }
            }
            Kind::Level | Kind::Order => return None,
        };
        if !self.rules.can(&change) {
            return None;
        }
        let label = self.label.to_owned();
        let line = PlanLine {
            shop: self.shop,
            sign: Sign::Create,
            label: label.clone(),
            field: String::new(),
            from: String::new(),
            to: String::new(),
            why: "its owner has it and this shop does not".into(),
        };
        let write = Write {
            shop: self.shop,
            subject: Subject::Record(self.record),
            change,
            what: What::Create { set },
            label,
            tries: 0,
            again: again || is_part,
            is_part,
        };
        Some((write, vec![line]))
    }

    fn updates(
        &self,
        id: &RemoteId,
        wanted: Fields,
        rules: &Rules,
        sides: &[Side<'_>],
        planned: &mut Planned,
    ) {
        let Some(side) = self.side else {
            return;
        };
        let holds = side.holds();
        let shadow = side.shadow;
        let parts = self.parts();
        let mut set: Fields = wanted
            .into_iter()
            .filter(|(path, want)| !self.cannot_take_away(path, want))
            .filter(|(path, want)| {
                // What we last meant stands, as long as the shop has not moved since.
                let untouched = holds.get(path) == shadow.held.get(path);
                let meant = shadow.meant.get(path).filter(|_| untouched);
                match meant.or_else(|| holds.get(path)) {
                    Some(value) => value != want,
                    None => *want != Value::Empty,
                }
            })
            .collect();
        let all = set.len();
        set.retain(|path, want| !self.is_withheld(path, want));
        planned.waits = set.len() < all;
        let pictures = Path::new(&Field::Pictures);
        let writes = &mut planned.writes;
        let (picture_sets, set): (Fields, Fields) =
            set.into_iter().partition(|(path, _)| *path == pictures);
        let part = parts::part_of(&set, &shadow.refused);
        let is_part = part.is_some();
        let set = part.unwrap_or(set);
        if !set.is_empty() {
            let mut whole = holds.clone();
            whole.extend(set.clone());
            let change = match self.kind {
                Kind::Category => Change::UpdateCategory {
                    id: id.clone(),
                    set: set.clone(),
                    category: Category::from_fields(id.clone(), &whole),
                },
                _ => Change::UpdateProduct {
                    id: id.clone(),
                    set: set.clone(),
                    product: Box::new(Product::from_fields(id.clone(), &whole, parts)),
                    parts: parts.clone(),
                },
            };
            if self.rules.can(&change) {
                let label = self.label.to_owned();
                let lines = set
                    .iter()
                    .map(|(path, to)| {
                        let shown = called(path, &whole);
                        self.line(&label, path, &shown, holds.get(path), to, rules)
                    })
                    .collect();
                let write = Write {
                    shop: self.shop,
                    subject: Subject::Record(self.record),
                    change,
                    again: set.keys().any(|path| self.put_back_why(path).is_some())
                        || !planned.held.is_empty()
                        || is_part,
                    is_part,
                    what: What::Set { set },
                    label,
                    tries: 0,
                };
                writes.push((write, lines));
            }
        }
        // A picture is its own write; one at a time, since an open write blocks the next of its record. It does not wait for
        // a change that was refused.
        if writes.iter().all(|(write, _)| self.stands_aside(write))
            && let Some(want) = picture_sets.get(&pictures)
            && rules.flow_is_on(Flow::Pictures)
        {
            let have = holds.get(&pictures).unwrap_or(&Value::Empty);
            writes.extend(self.picture_write(id, have, want, parts, rules, sides));
        }
    }

    /// Does it wait for a person's word on all records?
    fn is_withheld(&self, path: &Path, want: &Value) -> bool {
        self.put_back_why(path).is_none()
            && match sign(path, want) {
                Sign::Archive => self.withholds.archives,
                Sign::Remove => self.withholds.removals,
                Sign::Create | Sign::Update | Sign::PutBack => false,
            }
    }

    fn picture_write(
        &self,
        id: &RemoteId,
        have: &Value,
        want: &Value,
        parts: &lockstep_model::Parts,
        rules: &Rules,
        sides: &[Side<'_>],
    ) -> Option<(Write, Vec<PlanLine>)> {
        let owner = rules.owner(FieldGroup::Pictures)?;
        let label = self.label.to_owned();
        let missing = want
            .as_list()
            .iter()
            .enumerate()
            .find(|(_, digest)| !have.as_list().contains(digest));
        let (change, what, to) = if let Some((position, digest)) = missing {
            let from = sides.iter().find(|side| side.shop == owner)?;
            let parts = match from.staged {
                Some(StagedBody::Fields { parts, .. }) => parts,
                _ => &from.shadow.parts,
            };
            let part = parts.pictures.get(digest)?;
            let change = Change::AddPicture {
                product: id.clone(),
                digest: digest.clone(),
                alt: part.alt.clone(),
                position: position.try_into().unwrap_or(u32::MAX),
                source: PictureSource {
                    shop: owner,
                    id: part.id.clone(),
                    url: part.url.clone(),
                },
            };
            let what = What::AddPicture {
                digest: digest.clone(),
                alt: part.alt.clone(),
                beside: have.as_list().to_vec(),
            };
            (change, what, "added")
        } else if let Some(extra) = have
            .as_list()
            .iter()
            .find(|digest| !want.as_list().contains(digest))
        {
            let part = parts.pictures.get(extra)?;
            let change = Change::RemovePicture {
                product: id.clone(),
                picture: part.id.clone(),
            };
            let what = What::RemovePicture {
                digest: extra.clone(),
            };
            (change, what, "removed")
        } else {
            let (change, what) = self.order_pictures(id, have, want, parts)?;
            (change, what, "put in their order")
        };
        if !self.rules.can(&change) {
            return None;
        }
        let line = PlanLine {
            shop: self.shop,
            sign: Sign::Update,
            label: label.clone(),
            field: "picture".into(),
            from: String::new(),
            to: to.into(),
            why: self.why(FieldGroup::Pictures, rules),
        };
        let write = Write {
            shop: self.shop,
            subject: Subject::Record(self.record),
            change,
            what,
            label,
            tries: 0,
            again: false,
            is_part: false,
        };
        Some((write, vec![line]))
    }

    /// All of them are there, and stand otherwise.
    fn order_pictures(
        &self,
        id: &RemoteId,
        have: &Value,
        want: &Value,
        parts: &Parts,
    ) -> Option<(Change, What)> {
        let sorted = |list: &Value| {
            let mut names = list.as_list().to_vec();
            names.sort();
            names
        };
        let holds = self.side?.holds();
        if sorted(have) != sorted(want) {
            return None;
        }
        let set = Fields::from([(Path::new(&Field::Pictures), want.clone())]);
        let mut whole = holds.clone();
        whole.extend(set.clone());
        let change = Change::UpdateProduct {
            id: id.clone(),
            set: set.clone(),
            product: Box::new(Product::from_fields(id.clone(), &whole, parts)),
            parts: parts.clone(),
        };
        Some((change, What::Set { set }))
    }

    fn cannot_take_away(&self, path: &Path, want: &Value) -> bool {
        takes_away(path, want)
            && path
                .field()
                .is_some_and(|field| !(self.rules.abilities.removes)(&field))
    }

    /// What its owner took away and this shop has and cannot be rid of. It stays; people are told.
    pub fn left_over(&self, ours: &Fields, rules: &Rules, terms: &Terms) -> Option<Body> {
        let side = self.side.filter(|side| side.is_there())?;
        let id = self.staged_id.or(side.shadow.id.as_ref())?;
        let left: Vec<String> = self
            .wanted(ours, true, rules, terms)
            .iter()
            .filter(|(path, want)| {
                let held = side.holds().get(path);
                self.cannot_take_away(path, want) && held.is_some_and(|held| *held != Value::Empty)
            })
            .map(|(path, _)| path.to_string())
            .collect();
        if left.is_empty() {
            return None;
        }
        let label = self.label;
        let message = format!(
            "was taken away where it comes from, and this platform cannot be without it: {}. It stays as it is until \
             somebody removes it in the shop",
            left.join(", ")
        );
        Some(Body::Aside {
            shop: self.shop,
            subject: AsideSubject::Remote {
                kind: self.kind,
                id: Some(id.clone()),
            },
            fault: Fault::new(FaultKind::Invalid { field: None }, message)
                .about(label)
                .at(self.shop),
            retry_at: None,
            tries: 0,
            refused: Vec::new(),
        })
    }

    fn line(
        &self,
        label: &str,
        path: &Path,
        shown: &Path,
        from: Option<&Value>,
        to: &Value,
        rules: &Rules,
    ) -> PlanLine {
        PlanLine {
            shop: self.shop,
            sign: match self.put_back_why(path) {
                Some(_) => Sign::PutBack,
                None => sign(path, to),
            },
            label: label.to_owned(),
            field: shown.to_string(),
            from: from.unwrap_or(&Value::Empty).to_string(),
            to: to.to_string(),
            why: match (self.put_back_why(path), path.group()) {
                (Some(why), _) => why.to_owned(),
                (None, Some(group)) => self.why(group, rules),
                (None, None) => String::new(),
            },
        }
    }

    fn why(&self, group: FieldGroup, rules: &Rules) -> String {
        let transform = &self.rules.link.transform;
        let rule = match group {
            FieldGroup::Prices => transform.price_in(self.rules.currency()),
            _ => None,
        };
        let owner = rules.owner(group).and_then(|owner| rules.shops.get(&owner));
        match (owner, rule) {
            (Some(owner), Some(rule)) => {
                format!("owner: {}, {}", owner.name, prices::in_words(rule))
            }
            (Some(owner), None) => format!("owner: {}", owner.name),
            (None, _) => "changed elsewhere".into(),
        }
    }
}

/// What a field becoming this does to the record.
fn sign(path: &Path, to: &Value) -> Sign {
    match path.field() {
        Some(Field::Status) if to.as_text() == Some(Status::Archived.as_str()) => Sign::Archive,
        Some(Field::Variant {
            field: VariantField::Present,
            ..
        }) if *to != Value::Flag(true) => Sign::Remove,
        _ => Sign::Update,
    }
}

/// What it does not have is taken away here too.
fn by_rule(rule: &PriceRule, value: &Value) -> Option<Value> {
    match value {
        Value::Empty => Some(Value::Empty),
        value => prices::given(rule, value.as_number()?).map(Value::number),
    }
}

/// Its owner had this field and has it no more.
fn takes_away(path: &Path, want: &Value) -> bool {
    *want == Value::Empty && path.field().is_some_and(|field| field.is_one_of_many())
}
