//! A shop's own terms and ours. Categories are the one thing that every shop names differently inside a record.

use lockstep_model::{Field, Path, RecordId, RemoteId, ShopId, Value};
use std::collections::BTreeMap;

/// The category links of one chunk, both ways.
pub struct Terms {
    ours: BTreeMap<ShopId, BTreeMap<RemoteId, RecordId>>,
    theirs: BTreeMap<ShopId, BTreeMap<RecordId, RemoteId>>,
}

impl Terms {
    pub fn new(links: BTreeMap<ShopId, BTreeMap<RemoteId, RecordId>>) -> Self {
        let theirs = links
            .iter()
            .map(|(shop, links)| {
                let links = links.iter().map(|(theirs, ours)| (*ours, theirs.clone()));
                (*shop, links.collect())
            })
            .collect();
        Self {
            ours: links,
            theirs,
        }
    }

    /// Categories that are not linked are left out: an unknown category blocks the membership, not the product.
    pub fn to_ours(&self, shop: ShopId, path: &Path, value: &Value) -> Value {
        let ours = |id: &str| {
            let id = self.ours.get(&shop)?.get(&RemoteId::from(id))?;
            // What hangs under the root of our own is at the top.
            (*id != RecordId::ROOT_CATEGORY).then_some(id.0)
        };
        match path.field() {
            Some(Field::Categories) => {
                let mut ids: Vec<u64> = value.as_list().iter().filter_map(|id| ours(id)).collect();
                ids.sort_unstable();
                Value::list(ids.into_iter().map(|id| id.to_string()))
            }
            Some(Field::Parent) => match value.as_text() {
                Some(id) => Value::optional_text(ours(id).map(|id| id.to_string()).as_deref()),
                None => Value::Empty,
            },
            _ => value.clone(),
        }
    }

    pub fn to_theirs(&self, shop: ShopId, path: &Path, value: &Value) -> Value {
        let theirs = |id: &str| {
            let id = RecordId(id.parse().ok()?);
            self.theirs.get(&shop)?.get(&id).map(|id| id.0.clone())
        };
        match path.field() {
            Some(Field::Categories) => {
                let mut ids: Vec<_> = value.as_list().iter().filter_map(|id| theirs(id)).collect();
                ids.sort();
                Value::list(ids)
            }
            Some(Field::Parent) => match value.as_text() {
                Some(id) => Value::optional_text(theirs(id).as_deref()),
                None => Value::Empty,
            },
            _ => value.clone(),
        }
    }

    /// The root category of our own in this shop, if it was made.
    pub fn root(&self, shop: ShopId) -> Option<&RemoteId> {
        self.theirs.get(&shop)?.get(&RecordId::ROOT_CATEGORY)
    }

    /// Does the shop have this category of ours?
    pub fn knows(&self, shop: ShopId, record: &str) -> bool {
        let Ok(record) = record.parse() else {
            return false;
        };
        self.theirs
            .get(&shop)
            .is_some_and(|links| links.contains_key(&RecordId(record)))
    }
}
