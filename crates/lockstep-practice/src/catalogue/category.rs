//! A category as the wire has it, and what a write does to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::product::{said, unknown_reference};
use super::text::{check_label, check_name};
use crate::config::ShopConfig;
use crate::problem::{Code, Problem};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Category {
    pub id: String,
    pub name: String,
    pub names: BTreeMap<String, String>,
    pub parent_id: Option<String>,
    pub position: i64,
    pub rev: i64,
    pub created_at: String,
    pub modified_at: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CategoryInput {
    pub if_rev: Option<i64>,
    pub name: Option<String>,
    pub names: Option<BTreeMap<String, Option<String>>>,
    #[serde(deserialize_with = "said")]
    pub parent_id: Option<Option<String>>,
    pub position: Option<i64>,
}

impl Category {
    pub fn take(&mut self, input: CategoryInput, config: &ShopConfig) -> Result<(), Problem> {
        if let Some(name) = input.name {
            check_name("name", &name)?;
            self.name = name;
        }
        for (language, name) in input.names.unwrap_or_default() {
            if !config.languages.contains(&language) {
                return Err(unknown_reference("names", &language));
            }
            match name {
                Some(name) => {
                    check_label("names", &name)?;
                    self.names.insert(language, name);
                }
                None => {
                    self.names.remove(&language);
                }
            }
        }
        if let Some(parent) = input.parent_id {
            self.parent_id = parent;
        }
        if let Some(position) = input.position {
            if !(0..=1_000_000).contains(&position) {
                return Err(Problem::invalid(
                    "position",
                    "A position is 0 to 1,000,000.",
                ));
            }
            self.position = position;
        }
        Ok(())
    }

    pub fn check_rev(&self, if_rev: Option<i64>) -> Result<(), Problem> {
        match if_rev {
            Some(rev) if rev != self.rev => Err(Problem::new(
                Code::Stale,
                format!(
                    "The category {} is at revision {}, not {rev}.",
                    self.id, self.rev
                ),
            )
            .with("current", json!(self))),
            Some(_) | None => Ok(()),
        }
    }
}
