//! A shop's own terms and ours. Categories and shop versions are what every shop names differently inside a record.

use lockstep_model::cases::Categories;
use lockstep_model::settings::{CustomerSettings, ShopVersionId};
use lockstep_model::{Field, Path, RecordId, RemoteId, ShopId, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The category links of one chunk, and the shop versions of the settings, both ways.
pub struct Terms {
    categories: Both<RecordId>,
    /// A category of ours → the one above it.
    above: BTreeMap<RecordId, RecordId>,
    /// Categories that a shop had.
    gone: BTreeMap<ShopId, BTreeSet<RemoteId>>,
    /// A category of ours → the shops that have it or had it.
    met: BTreeMap<RecordId, BTreeSet<ShopId>>,
    versions: Both<ShopVersionId>,
}

/// Shop → its id → ours, and back.
struct Both<T> {
    ours: BTreeMap<ShopId, BTreeMap<RemoteId, T>>,
    theirs: BTreeMap<ShopId, BTreeMap<T, RemoteId>>,
}

impl<T: Ord + Copy> Both<T> {
    fn new(ours: BTreeMap<ShopId, BTreeMap<RemoteId, T>>) -> Self {
        let theirs = ours
            .iter()
            .map(|(shop, links)| {
                let links = links.iter().map(|(theirs, ours)| (*ours, theirs.clone()));
                (*shop, links.collect())
            })
            .collect();
        Self { ours, theirs }
    }

    fn ours(&self, shop: ShopId, theirs: &str) -> Option<T> {
        self.ours.get(&shop)?.get(&RemoteId::from(theirs)).copied()
    }

    fn theirs(&self, shop: ShopId, ours: T) -> Option<&RemoteId> {
        self.theirs.get(&shop)?.get(&ours)
    }
}

impl Terms {
    pub fn new(categories: Categories, settings: &CustomerSettings) -> Self {
        let mut met: BTreeMap<RecordId, BTreeSet<ShopId>> = BTreeMap::new();
        for (shop, links) in categories.links.iter().chain(&categories.gone) {
            for record in links.values() {
                met.entry(*record).or_default().insert(*shop);
            }
        }
        let gone = categories.gone.into_iter();
        Self {
            categories: Both::new(categories.links),
            above: categories.above,
            gone: gone
                .map(|(shop, links)| (shop, links.into_keys().collect()))
                .collect(),
            met,
            versions: Both::new(versions_in_use(settings)),
        }
    }

    /// A shop's ids of these categories of ours and of all above them. `categories`: a product's field.
    pub fn up_to_the_top(&self, shop: ShopId, categories: &Value) -> BTreeSet<RemoteId> {
        let mut passed = BTreeSet::new();
        let named = categories.as_list().iter();
        for record in named.filter_map(|id| id.parse().ok().map(RecordId)) {
            let mut next = Some(record);
            while let Some(record) = next.filter(|record| passed.insert(*record)) {
                next = self.above.get(&record).copied();
            }
        }
        let ids = passed.into_iter();
        ids.filter_map(|record| self.categories.theirs(shop, record).cloned())
            .collect()
    }

    /// Categories that are not linked are left out: an unknown category blocks the membership, not the product. A shop
    /// version without an identifier keeps a name that no other shop has: left out, it would read as "all versions".
    pub fn to_ours(&self, shop: ShopId, path: &Path, value: &Value) -> Value {
        // What hangs under the root of our own is at the top.
        let category = |id: &str| {
            let record = self.categories.ours(shop, id)?;
            (record != RecordId::ROOT_CATEGORY).then_some(record.0)
        };
        match path.field() {
            Some(Field::Categories) => {
                let mut ids: Vec<u64> = value
                    .as_list()
                    .iter()
                    .filter_map(|id| category(id))
                    .collect();
                ids.sort_unstable();
                Value::list(ids.into_iter().map(|id| id.to_string()))
            }
            Some(Field::ShopVersions) => {
                let ours = value
                    .as_list()
                    .iter()
                    .map(|id| match self.versions.ours(shop, id) {
                        Some(version) => version.to_string(),
                        None => format!("{shop}:{id}"),
                    });
                let mut ids: Vec<String> = ours.collect();
                ids.sort();
                Value::list(ids)
            }
            Some(Field::Parent) => match value.as_text() {
                Some(id) => Value::optional_text(category(id).map(|id| id.to_string()).as_deref()),
                None => Value::Empty,
            },
            _ => value.clone(),
        }
    }

    /// `None`: the shop has no word for it, and is left as it is.
    pub fn to_theirs(&self, shop: ShopId, path: &Path, value: &Value) -> Option<Value> {
        let category = |id: &str| {
            let record = RecordId(id.parse().ok()?);
            self.categories.theirs(shop, record).map(|id| id.0.clone())
        };
        Some(match path.field() {
            Some(Field::Categories) => {
                let mut ids: Vec<_> = value
                    .as_list()
                    .iter()
                    .filter_map(|id| category(id))
                    .collect();
                ids.sort();
                Value::list(ids)
            }
            Some(Field::ShopVersions) => {
                let theirs = value.as_list().iter().filter_map(|id| {
                    let version = ShopVersionId(id.parse().ok()?);
                    self.versions.theirs(shop, version).map(|id| id.0.clone())
                });
                let mut ids: Vec<String> = theirs.collect();
                ids.sort();
                if ids.is_empty() && !value.as_list().is_empty() {
                    return None;
                }
                Value::list(ids)
            }
            Some(Field::Parent) => match value.as_text() {
                // It stays where it is until the shop has the other.
                Some(id) => Value::text(category(id)?),
                None => Value::Empty,
            },
            _ => value.clone(),
        })
    }

    /// A category that a shop has and no other shop ever had: what is in it there is for its own people to say.
    pub fn is_own(&self, shop: ShopId, theirs: &str) -> bool {
        let id = RemoteId::from(theirs);
        if self.gone.get(&shop).is_some_and(|gone| gone.contains(&id)) {
            return false;
        }
        let ours = self.categories.ours(shop, theirs);
        ours.and_then(|ours| self.met.get(&ours))
            .is_none_or(|met| met.iter().all(|at| *at == shop))
    }

    /// The categories among these of a shop of which it is not known which of ours they are.
    pub fn unknown<'a>(
        &'a self,
        shop: ShopId,
        theirs: impl Iterator<Item = &'a str>,
    ) -> impl Iterator<Item = &'a str> {
        let gone = self.gone.get(&shop);
        theirs
            .filter(move |id| self.categories.ours(shop, id).is_none())
            .filter(move |id| !gone.is_some_and(|gone| gone.contains(&RemoteId::from(*id))))
    }

    /// Those among these of ours that a shop does not have.
    pub fn missing<'a>(
        &'a self,
        shop: ShopId,
        ours: impl Iterator<Item = &'a str>,
    ) -> impl Iterator<Item = RecordId> {
        let records = ours.filter_map(|id| id.parse().ok().map(RecordId));
        records.filter(move |record| self.categories.theirs(shop, *record).is_none())
    }

    /// The root category of our own in this shop, if it was made.
    pub fn root(&self, shop: ShopId) -> Option<&RemoteId> {
        self.categories.theirs(shop, RecordId::ROOT_CATEGORY)
    }

    /// Does the shop have this category of ours?
    pub fn knows(&self, shop: ShopId, record: &str) -> bool {
        let Ok(record) = record.parse() else {
            return false;
        };
        self.categories.theirs(shop, RecordId(record)).is_some()
    }
}

/// The shop versions that each shop has a name for and that are in use there.
fn versions_in_use(
    settings: &CustomerSettings,
) -> BTreeMap<ShopId, BTreeMap<RemoteId, ShopVersionId>> {
    let mut versions: BTreeMap<ShopId, BTreeMap<RemoteId, ShopVersionId>> = BTreeMap::new();
    for row in &settings.shop_version_service_identifiers {
        let is_in_use = settings.active_shop_versions.iter().any(|active| {
            active.shop_version_id == row.shop_version_id
                && active.service_id.is_none_or(|shop| shop == row.service_id)
        });
        if is_in_use {
            versions
                .entry(row.service_id)
                .or_default()
                .insert(row.identifier.as_str().into(), row.shop_version_id);
        }
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{A, B, ERP, rules};
    use lockstep_model::Takes;
    use lockstep_model::settings::{ActiveShopVersion, RowId, ShopVersionServiceIdentifier};

    fn terms(in_use: &[u64]) -> Terms {
        let rules = rules(Takes::Placement, Takes::Payment, Takes::Reserve);
        let mut settings = (*rules.settings).clone();
        for (row, (shop, version, name)) in (1..).zip([
            (ERP, 1, "en"),
            (ERP, 2, "fi"),
            (A, 1, "english"),
            (A, 2, "suomi"),
        ]) {
            settings
                .shop_version_service_identifiers
                .push(ShopVersionServiceIdentifier {
                    id: RowId(row),
                    shop_version_id: ShopVersionId(version),
                    service_id: shop,
                    identifier: name.into(),
                });
        }
        for version in in_use {
            settings.active_shop_versions.push(ActiveShopVersion {
                id: RowId(*version),
                shop_version_id: ShopVersionId(*version),
                service_id: None,
            });
        }
        Terms::new(Categories::default(), &settings)
    }

    fn crosses(terms: &Terms, theirs: &[&str], to: ShopId) -> Option<Vec<String>> {
        let path = Path::new(&Field::ShopVersions);
        let value = Value::list(theirs.iter().map(|id| (*id).to_owned()));
        let ours = terms.to_ours(ERP, &path, &value);
        let there = terms.to_theirs(to, &path, &ours)?;
        Some(there.as_list().to_vec())
    }

    #[test]
    fn a_shop_version_crosses_under_each_shop_s_own_name() {
        let terms = terms(&[1, 2]);
        assert_eq!(crosses(&terms, &["fi"], A), Some(vec!["suomi".into()]));
        assert_eq!(crosses(&terms, &["fi"], ERP), Some(vec!["fi".into()]));
        assert_eq!(crosses(&terms, &[], A), Some(vec![]), "empty is all");
    }

    #[test]
    fn versions_that_a_shop_has_no_name_for_never_become_all_versions() {
        let both = terms(&[1, 2]);
        assert_eq!(crosses(&both, &["fi"], B), None);
        assert_eq!(crosses(&both, &["de"], A), None);
        assert_eq!(
            crosses(&both, &["de", "en"], A),
            Some(vec!["english".into()])
        );
        assert_eq!(crosses(&terms(&[1]), &["fi"], A), None, "not in use");
    }
}
