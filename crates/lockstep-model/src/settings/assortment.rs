//! What of the owner's catalogue a shop gets.

use super::{Problem, ShopVersionId};
use crate::{Field, Fields, Path, RemoteId, Sku, has_sku};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum Assortment {
    /// Everything; what is missing is created.
    All,
    /// What `picks` names is created where it is missing; what exists there is linked, named or not.
    Picked,
    /// Only what exists there already: linked, and nothing is created. The default on connecting.
    #[default]
    Linked,
}

/// Products that a shop gets: all that one of these names. What is no longer named stays where it is, and in step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Picks {
    /// Of the owner, by its ids. What is in a category below is in it.
    pub categories: Vec<RemoteId>,
    pub shop_versions: Vec<ShopVersionId>,
    /// Of the owner: `name=value`.
    pub attributes: Vec<String>,
    /// By hand.
    pub skus: Vec<Sku>,
}

impl Picks {
    pub fn is_empty(&self) -> bool {
        self.categories.is_empty()
            && self.shop_versions.is_empty()
            && self.attributes.is_empty()
            && self.skus.is_empty()
    }

    /// `ours`: a product of ours. `in_owner`: the ids of its categories and of all above them in the shop that owns
    /// the catalogue.
    pub fn names(&self, ours: &Fields, in_owner: &BTreeSet<RemoteId>) -> bool {
        let is_in_category = || {
            self.categories
                .iter()
                .any(|picked| in_owner.contains(picked))
        };
        let is_in_version = || {
            let versions = ours.get(&Path::new(&Field::ShopVersions));
            let versions = versions.map_or(Default::default(), |value| value.as_list());
            let mut picked = self.shop_versions.iter();
            picked.any(|picked| {
                versions
                    .iter()
                    .any(|version| *version == picked.to_string())
            })
        };
        let has_attribute = |picked: &String| {
            picked.split_once('=').is_some_and(|(name, value)| {
                let path = Path::new(&Field::Attribute(name.trim().into()));
                let held = ours.get(&path);
                held.is_some_and(|held| held.to_string() == value.trim())
            })
        };
        self.skus.iter().any(|sku| has_sku(ours, sku.as_str()))
            || is_in_category()
            || is_in_version()
            || self.attributes.iter().any(has_attribute)
    }

    pub(super) fn check(&self, found: &mut Vec<Problem>, path: &str, assortment: Assortment) {
        if assortment == Assortment::Picked && self.is_empty() {
            found.push(Problem::new(
                format!("{path}.assortment"),
                "nothing is picked for this shop; name categories, shop versions, attributes or SKUs under \"picks\"",
            ));
        }
        for (at, attribute) in self.attributes.iter().enumerate() {
            let is_pair = attribute
                .split_once('=')
                .is_some_and(|(name, value)| !name.trim().is_empty() && !value.trim().is_empty());
            if !is_pair {
                found.push(Problem::new(
                    format!("{path}.picks.attributes[{at}]"),
                    format!("\"{attribute}\" is not of the form name=value"),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn coffee() -> Fields {
        let attribute = Path::new(&Field::Attribute("channel".into()));
        [
            (Path::present(&"KH-1".into()), Value::Flag(true)),
            (attribute, Value::text("b2c")),
            (
                Path::new(&Field::ShopVersions),
                Value::list(["4".to_owned()]),
            ),
        ]
        .into()
    }

    fn names(picks: Picks) -> bool {
        picks.names(&coffee(), &["c7".into()].into())
    }

    #[test]
    fn a_product_is_in_if_any_pick_names_it() {
        let none = Picks {
            categories: vec!["c8".into()],
            shop_versions: vec![ShopVersionId(5)],
            attributes: vec!["channel=b2b".into()],
            skus: vec!["KH-2".into()],
        };
        assert!(!names(none.clone()));
        let by_category = Picks {
            categories: vec!["c7".into()],
            ..none.clone()
        };
        let by_version = Picks {
            shop_versions: vec![ShopVersionId(4)],
            ..none.clone()
        };
        let by_attribute = Picks {
            attributes: vec!["channel = b2c".into()],
            ..none.clone()
        };
        let by_hand = Picks {
            skus: vec!["KH-1".into()],
            ..none
        };
        for picks in [by_category, by_version, by_attribute, by_hand] {
            assert!(names(picks.clone()), "{picks:?}");
        }
    }

    #[test]
    fn a_shop_for_which_nothing_is_picked_is_a_mistake_that_is_named() {
        let mut found = Vec::new();
        Picks::default().check(&mut found, "at", Assortment::Picked);
        assert_eq!(found.len(), 1);
        let picks = Picks {
            attributes: vec!["b2c".into()],
            ..Picks::default()
        };
        picks.check(&mut found, "at", Assortment::All);
        assert_eq!(found[1].path, "at.picks.attributes[0]");
    }
}
