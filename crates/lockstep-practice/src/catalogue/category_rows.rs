//! Categories in the database.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, params};
use serde_json::json;

use super::category::{Category, CategoryInput};
use super::product::unknown_reference;
use super::product_rows::{bury, touch};
use crate::clock;
use crate::config::ShopConfig;
use crate::database::Writing;
use crate::ids::Kind;
use crate::page::as_json_list;
use crate::problem::{Code, Problem};

/// Deeper trees are a mistake.
const DEPTH_MAX: usize = 32;

pub fn load(db: &Connection, rows: &[i64]) -> Result<Vec<Category>, Problem> {
    let mut statement = db.prepare_cached(
        "SELECT id, name, names, parent_id, position, rev, changed, created FROM category WHERE id IN (SELECT value FROM json_each(?1))",
    )?;
    let mut found: HashMap<i64, Category> = HashMap::with_capacity(rows.len());
    let mut categories = statement.query([as_json_list(rows)])?;
    while let Some(row) = categories.next()? {
        let id: i64 = row.get(0)?;
        found.insert(
            id,
            Category {
                id: Kind::Category.show(id),
                name: row.get(1)?,
                names: serde_json::from_str(row.get_ref(2)?.as_str().map_err(Problem::broken)?)?,
                parent_id: row
                    .get::<_, Option<i64>>(3)?
                    .map(|row| Kind::Category.show(row)),
                position: row.get(4)?,
                rev: row.get(5)?,
                modified_at: clock::show(row.get(6)?),
                created_at: clock::show(row.get(7)?),
            },
        );
    }
    Ok(rows.iter().filter_map(|row| found.remove(row)).collect())
}

pub fn load_one(db: &Connection, id: &str) -> Result<Category, Problem> {
    load(db, &[row_of(id)?])?.pop().ok_or_else(|| missing(id))
}

fn missing(id: &str) -> Problem {
    Problem::not_found(format_args!("category {id}"))
}

fn row_of(id: &str) -> Result<i64, Problem> {
    Kind::Category.parse(id).ok_or_else(|| missing(id))
}

pub fn create(
    w: &mut Writing<'_>,
    input: CategoryInput,
    config: &ShopConfig,
) -> Result<Category, Problem> {
    if input.name.is_none() {
        return Err(Problem::invalid("name", "A category needs a name."));
    }
    if input.if_rev.is_some() {
        return Err(Problem::invalid(
            "if_rev",
            "A new category has no revision yet.",
        ));
    }
    let mut category = Category {
        id: String::new(),
        name: String::new(),
        names: BTreeMap::new(),
        parent_id: None,
        position: 0,
        rev: 1,
        created_at: String::new(),
        modified_at: String::new(),
    };
    category.take(input, config)?;
    let parent = parent_row(w, &category, None)?;
    let stamp = w.stamp();
    w.prepare_cached(
        "INSERT INTO category (name, names, parent_id, position, rev, changed, created) VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5)",
    )?
    .execute(params![category.name, json!(category.names).to_string(), parent, category.position, stamp])?;
    let id = Kind::Category.show(w.last_insert_rowid());
    w.tell("category.created", id.clone(), stamp);
    load_one(w, &id)
}

pub fn update(
    w: &mut Writing<'_>,
    id: &str,
    input: CategoryInput,
    config: &ShopConfig,
) -> Result<Category, Problem> {
    let before = load_one(w, id)?;
    before.check_rev(input.if_rev)?;
    let row = row_of(id)?;
    let mut after = before.clone();
    after.take(input, config)?;
    if after == before {
        return Ok(before);
    }
    let parent = parent_row(w, &after, Some(row))?;
    let stamp = w.stamp();
    w.prepare_cached(
        "UPDATE category SET name = ?2, names = ?3, parent_id = ?4, position = ?5, rev = rev + 1, changed = ?6 WHERE id = ?1",
    )?
    .execute(params![row, after.name, json!(after.names).to_string(), parent, after.position, stamp])?;
    w.tell("category.updated", id.to_string(), stamp);
    load_one(w, id)
}

pub fn delete(w: &mut Writing<'_>, id: &str, if_rev: Option<i64>) -> Result<(), Problem> {
    load_one(w, id)?.check_rev(if_rev)?;
    let row = row_of(id)?;
    let has_children: bool = w
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM category WHERE parent_id = ?1)")?
        .query_row([row], |row| row.get(0))?;
    if has_children {
        return Err(Problem::new(
            Code::InUse,
            format!("The category {id} has categories below it."),
        ));
    }
    let members: Vec<i64> = w
        .prepare_cached("SELECT product_id FROM product_category WHERE category_id = ?1")?
        .query_map([row], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    w.prepare_cached("DELETE FROM product_category WHERE category_id = ?1")?
        .execute([row])?;
    for member in members {
        touch(w, member)?;
    }
    w.prepare_cached("DELETE FROM category WHERE id = ?1")?
        .execute([row])?;
    let stamp = w.stamp();
    bury(w, stamp, "category", id, None)?;
    w.tell("category.deleted", id.to_string(), stamp);
    Ok(())
}

/// The parent must be there, and must not stand below its child.
fn parent_row(
    db: &Connection,
    category: &Category,
    own: Option<i64>,
) -> Result<Option<i64>, Problem> {
    let Some(id) = &category.parent_id else {
        return Ok(None);
    };
    let parent = Kind::Category
        .parse(id)
        .ok_or_else(|| unknown_reference("parent_id", id))?;
    let mut at = Some(parent);
    let mut depth = 0;
    while let Some(row) = at {
        if Some(row) == own {
            return Err(Problem::invalid(
                "parent_id",
                format!("The category {id} stands below {}.", category.id),
            ));
        }
        depth += 1;
        if depth > DEPTH_MAX {
            return Err(Problem::invalid(
                "parent_id",
                format!("The tree would be deeper than {DEPTH_MAX}."),
            ));
        }
        at = db
            .prepare_cached("SELECT parent_id FROM category WHERE id = ?1")?
            .query_row([row], |row| row.get(0))
            .map_err(|error| match error {
                rusqlite::Error::QueryReturnedNoRows => unknown_reference("parent_id", id),
                other => other.into(),
            })?;
    }
    Ok(Some(parent))
}
