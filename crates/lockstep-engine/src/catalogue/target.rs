//! One shop, as something to be written to: what it should hold of a record, and the smallest writes that get it there.

use super::decide::Extent;
use super::merge::Side;
use super::undone::{PutBack, Undone};
use super::{Terms, prices};
use crate::rules::{Rules, ShopRules};
use crate::write::{PlanLine, Sign, Write};
use jiff::Timestamp;
use lockstep_model::cases::StagedBody;
use lockstep_model::entry::{AsideSubject, Body, Subject, What};
use lockstep_model::settings::PriceRule;
use lockstep_model::{
    Category, Change, Fault, FaultKind, Field, FieldGroup, Fields, Flow, Kind, Path, PictureSource,
    Product, RecordId, RemoteId, ShopId, Sku, Status, Value, VariantField, has_variant,
    variants_of,
};
use std::collections::BTreeSet;

/// One shop, as something to be written to.
pub(super) struct Target<'a> {
    pub shop: ShopId,
    pub staged_id: Option<&'a RemoteId>,
    pub rules: &'a ShopRules,
    pub side: Option<&'a Side<'a>>,
    pub kind: Kind,
    pub record: RecordId,
    /// What a person is asked about is not written over until it is decided.
    pub asked: &'a BTreeSet<Path>,
    pub undone: &'a Undone,
    pub extent: Extent,
    /// A record of this shop may be this one: it is not made beside it.
    pub withheld: bool,
}

impl Target<'_> {
    /// Now? A record whose last write is in doubt, or that failed a moment ago, gets no other.
    pub fn may_write(&self, now: Timestamp) -> bool {
        let Some(side) = self.side else {
            return !self.rules.read_only;
        };
        !self.rules.read_only && side.shadow.aside_until.is_none_or(|until| until <= now)
    }

    pub fn writes(
        &self,
        ours: &Fields,
        rules: &Rules,
        terms: &Terms,
        sides: &[Side<'_>],
    ) -> Vec<(Write, Vec<PlanLine>)> {
        let flow = self.kind.flow();
        if !rules.flow_is_on(flow) {
            return Vec::new();
        }
        let there = self.side.is_some_and(|side| match side.staged {
            Some(StagedBody::Fields { .. }) => true,
            Some(StagedBody::Gone) => false,
            None => side.shadow.id.is_some() && !side.shadow.gone,
        });
        let once_there = self.side.is_some_and(|side| side.shadow.id.is_some());
        let is_root = self.record == RecordId::ROOT_CATEGORY;
        if is_root && (!rules.gets_a_root(self.shop) || self.extent == Extent::PutBack) {
            return Vec::new();
        }
        let wanted = if is_root {
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
                return Vec::new();
            };
            return self.updates(id, wanted, rules, ours, sides);
        }
        if self.extent == Extent::PutBack {
            return Vec::new();
        }
        if is_root {
            // Also where a person removed it: without it the tree would have no place.
            return self.create(wanted).into_iter().collect();
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
        if once_there || self.withheld || !owner_has_it || !is_given() {
            return Vec::new();
        }
        let archived = wanted
            .get(&Path::new(&Field::Status))
            .and_then(Value::as_text)
            == Some(Status::Archived.as_str());
        if archived {
            return Vec::new();
        }
        self.create(wanted).into_iter().collect()
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

    fn tries(&self) -> u32 {
        self.side.map_or(0, |side| side.shadow.tries)
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
            {
                continue;
            }
            let value = match &field {
                Field::Variant {
                    sku,
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
                        let sku = sku.clone();
                        let path = Path::new(&Field::Variant { sku, field });
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
                _ => match terms.to_theirs(self.shop, path, value) {
                    Some(value) => value,
                    None => continue,
                },
            };
            wanted.insert(path.clone(), value);
        }
        wanted
    }

    /// A variant that is made there gets all of its fields, unless which variants there are is the shop's own, too.
    fn keeps_its_own(&self, field: &Field<'_>, group: FieldGroup, rules: &Rules) -> bool {
        let is_new = match field {
            Field::Variant { sku, .. } => {
                !self.side.is_some_and(|side| has_variant(side.holds(), sku))
            }
            _ => false,
        };
        let group = if is_new { FieldGroup::Variants } else { group };
        rules.keeps(self.shop, group)
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

    fn create(&self, wanted: Fields) -> Option<(Write, Vec<PlanLine>)> {
        let mut set = wanted;
        // Pictures are added to what exists.
        set.remove(&Path::new(&Field::Pictures));
        set.retain(|path, value| !takes_away(path, value));
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
        let label = label(&set);
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
            tries: self.tries(),
            again: false,
        };
        Some((write, vec![line]))
    }

    fn updates(
        &self,
        id: &RemoteId,
        wanted: Fields,
        rules: &Rules,
        ours: &Fields,
        sides: &[Side<'_>],
    ) -> Vec<(Write, Vec<PlanLine>)> {
        let Some(side) = self.side else {
            return Vec::new();
        };
        let holds = side.holds();
        let shadow = side.shadow;
        let parts = match side.staged {
            Some(StagedBody::Fields { parts, .. }) => parts,
            _ => &shadow.parts,
        };
        let set: Fields = wanted
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
        let mut writes = Vec::new();
        let pictures = Path::new(&Field::Pictures);
        let (picture_sets, set): (Fields, Fields) =
            set.into_iter().partition(|(path, _)| *path == pictures);
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
                let label = label(&whole);
                let lines = set
                    .iter()
                    .map(|(path, to)| self.line(&label, path, holds.get(path), to, rules))
                    .collect();
                let write = Write {
                    shop: self.shop,
                    subject: Subject::Record(self.record),
                    change,
                    again: set.keys().any(|path| self.put_back_why(path).is_some()),
                    what: What::Set { set },
                    label,
                    tries: self.tries(),
                };
                writes.push((write, lines));
            }
        }
        // A picture is its own write; one at a time, since an open write blocks the next of its record.
        if writes.is_empty()
            && let Some(want) = picture_sets.get(&pictures)
            && rules.flow_is_on(Flow::Pictures)
        {
            let have = holds.get(&pictures).unwrap_or(&Value::Empty);
            writes.extend(self.picture_write(id, have, want, parts, rules, ours, sides));
        }
        writes
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one caller; they are the merge's whole context"
    )]
    fn picture_write(
        &self,
        id: &RemoteId,
        have: &Value,
        want: &Value,
        parts: &lockstep_model::Parts,
        rules: &Rules,
        ours: &Fields,
        sides: &[Side<'_>],
    ) -> Option<(Write, Vec<PlanLine>)> {
        let owner = rules.owner(FieldGroup::Pictures)?;
        let label = label(ours);
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
            };
            (change, what, "added")
        } else {
            let extra = have
                .as_list()
                .iter()
                .find(|digest| !want.as_list().contains(digest))?;
            let part = parts.pictures.get(extra)?;
            let change = Change::RemovePicture {
                product: id.clone(),
                picture: part.id.clone(),
            };
            let what = What::RemovePicture {
                digest: extra.clone(),
            };
            (change, what, "removed")
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
            tries: self.tries(),
            again: false,
        };
        Some((write, vec![line]))
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
        let label = label(ours);
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
        })
    }

    fn line(
        &self,
        label: &str,
        path: &Path,
        from: Option<&Value>,
        to: &Value,
        rules: &Rules,
    ) -> PlanLine {
        let archives =
            path.field() == Some(Field::Status) && to.as_text() == Some(Status::Archived.as_str());
        let removes = to != &Value::Flag(true)
            && matches!(
                path.field(),
                Some(Field::Variant {
                    field: VariantField::Present,
                    ..
                })
            );
        PlanLine {
            shop: self.shop,
            sign: match (self.put_back_why(path), archives, removes) {
                (Some(_), _, _) => Sign::PutBack,
                (None, true, _) => Sign::Archive,
                (None, false, true) => Sign::Remove,
                (None, false, false) => Sign::Update,
            },
            label: label.to_owned(),
            field: path.to_string(),
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

/// What people call it: its first SKU and its title.
fn label(fields: &Fields) -> String {
    let title = fields
        .get(&Path::new(&Field::Title))
        .and_then(Value::as_text)
        .unwrap_or_default();
    let sku: Option<Sku> = variants_of(fields).next();
    match sku {
        Some(sku) if title.is_empty() => sku.0,
        Some(sku) => format!("{sku} {title}"),
        None => title.to_owned(),
    }
}
