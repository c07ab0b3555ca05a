//! Products in the database: reading many at once, and writing one as it was changed.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::picture_rows;
use super::product::{Product, ProductInput, Status, Variant, unknown_reference};
use super::text::handle_of;
use crate::clock;
use crate::config::ShopConfig;
use crate::database::Writing;
use crate::ids::Kind;
use crate::money::Money;
use crate::page::as_json_list;
use crate::problem::{Code, Problem};
use crate::stock::level_rows;

/// The products of these rows, in this order; what is not there is left out.
pub fn load(
    db: &Connection,
    rows: &[i64],
    config: &ShopConfig,
    base: &str,
) -> Result<Vec<Product>, Problem> {
    let list = as_json_list(rows);
    let mut found: HashMap<i64, Product> = HashMap::with_capacity(rows.len());
    let mut statement = db.prepare_cached(
        "SELECT id, handle, title, description, texts, status, shop_versions, tax_rate, options, attributes, rev, changed, created \
         FROM product WHERE id IN (SELECT value FROM json_each(?1))",
    )?;
    let mut products = statement.query([&list])?;
    while let Some(row) = products.next()? {
        found.insert(row.get(0)?, product(row)?);
    }
    let mut statement = db.prepare_cached(
        "SELECT product_id, category_id FROM product_category \
         WHERE product_id IN (SELECT value FROM json_each(?1)) ORDER BY product_id, position",
    )?;
    let mut memberships = statement.query([&list])?;
    while let Some(row) = memberships.next()? {
        if let Some(product) = found.get_mut(&row.get(0)?) {
            product.category_ids.push(Kind::Category.show(row.get(1)?));
        }
    }
    let mut statement = db.prepare_cached(
        "SELECT product_id, id, sku, gtin, price, sale_price, sale_from, sale_until, cost, options, weight_g, backorder, position, status \
         FROM variant WHERE product_id IN (SELECT value FROM json_each(?1)) ORDER BY product_id, position, id",
    )?;
    let mut variants = statement.query([&list])?;
    while let Some(row) = variants.next()? {
        if let Some(product) = found.get_mut(&row.get(0)?) {
            product.variants.push(variant(row, &config.currency)?);
        }
    }
    picture_rows::load_into(db, &list, base, |row, picture| {
        if let Some(product) = found.get_mut(&row) {
            product.pictures.push(picture);
        }
    })?;
    Ok(rows.iter().filter_map(|row| found.remove(row)).collect())
}

pub fn load_one(
    db: &Connection,
    id: &str,
    config: &ShopConfig,
    base: &str,
) -> Result<Product, Problem> {
    let missing = || Problem::not_found(format_args!("product {id}"));
    let row = Kind::Product.parse(id).ok_or_else(missing)?;
    load(db, &[row], config, base)?.pop().ok_or_else(missing)
}

fn product(row: &Row<'_>) -> Result<Product, Problem> {
    Ok(Product {
        id: Kind::Product.show(row.get(0)?),
        handle: row.get(1)?,
        title: row.get(2)?,
        description: row.get(3)?,
        texts: serde_json::from_str(row.get_ref(4)?.as_str().map_err(Problem::broken)?)?,
        status: Status::parse(row.get_ref(5)?.as_str().map_err(Problem::broken)?),
        category_ids: Vec::new(),
        shop_versions: serde_json::from_str(row.get_ref(6)?.as_str().map_err(Problem::broken)?)?,
        tax_rate: row.get(7)?,
        options: serde_json::from_str(row.get_ref(8)?.as_str().map_err(Problem::broken)?)?,
        variants: Vec::new(),
        pictures: Vec::new(),
        attributes: serde_json::from_str(row.get_ref(9)?.as_str().map_err(Problem::broken)?)?,
        rev: row.get(10)?,
        modified_at: clock::show(row.get(11)?),
        created_at: clock::show(row.get(12)?),
    })
}

fn variant(row: &Row<'_>, currency: &str) -> Result<Variant, Problem> {
    let money = |at: usize| -> Result<Option<Money>, Problem> {
        let text: Option<String> = row.get(at)?;
        text.map(|text| Money::parse(&text).map_err(|detail| Problem::new(Code::Broken, detail)))
            .transpose()
    };
    let time = |at: usize| -> Result<Option<String>, Problem> {
        Ok(row.get::<_, Option<i64>>(at)?.map(clock::show))
    };
    Ok(Variant {
        id: Kind::Variant.show(row.get(1)?),
        sku: row.get(2)?,
        gtin: row.get(3)?,
        price: money(4)?.unwrap_or_default(),
        sale_price: money(5)?,
        sale_from: time(6)?,
        sale_until: time(7)?,
        cost: money(8)?,
        currency: currency.to_string(),
        options: serde_json::from_str(row.get_ref(9)?.as_str().map_err(Problem::broken)?)?,
        weight_g: row.get(10)?,
        backorder: row.get(11)?,
        position: row.get(12)?,
        status: Status::parse(row.get_ref(13)?.as_str().map_err(Problem::broken)?),
    })
}

pub fn create(
    w: &mut Writing<'_>,
    input: ProductInput,
    config: &ShopConfig,
    base: &str,
) -> Result<Product, Problem> {
    if input.title.is_none() {
        return Err(Problem::invalid("title", "A product needs a title."));
    }
    if input.if_rev.is_some() {
        return Err(Problem::invalid(
            "if_rev",
            "A new product has no revision yet.",
        ));
    }
    let mut product = Product::blank(config);
    product.take(input, config)?;
    if product.handle.is_empty() {
        product.handle = free_handle(w, &handle_of(&product.title))?;
    }
    let stamp = w.stamp();
    product.rev = 1;
    refuse_taken_handle(w, &product, None)?;
    w.prepare_cached(
        "INSERT INTO product (handle, title, description, texts, status, shop_versions, tax_rate, options, attributes, rev, changed, created) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1, ?10, ?10)",
    )?
    .execute(params![
        product.handle,
        product.title,
        product.description,
        json!(product.texts).to_string(),
        product.status.word(),
        json!(product.shop_versions).to_string(),
        product.tax_rate,
        json!(product.options).to_string(),
        json!(product.attributes).to_string(),
        stamp
    ])?;
    let row = w.last_insert_rowid();
    product.id = Kind::Product.show(row);
    product.created_at = clock::show(stamp);
    product.modified_at = clock::show(stamp);
    save_categories(w, row, &product)?;
    for at in 0..product.variants.len() {
        insert_variant(w, row, &mut product.variants[at], config)?;
    }
    w.tell("product.created", product.id.clone(), stamp);
    load_one(w, &product.id, config, base)
}

pub fn update(
    w: &mut Writing<'_>,
    id: &str,
    input: ProductInput,
    config: &ShopConfig,
    base: &str,
) -> Result<Product, Problem> {
    let before = load_one(w, id, config, base)?;
    let row = before
        .id_row()
        .ok_or_else(|| Problem::not_found(format_args!("product {id}")))?;
    before.check_rev(input.if_rev)?;
    let mut after = before.clone();
    after.take(input, config)?;
    if after == before {
        return Ok(before);
    }
    refuse_taken_handle(w, &after, Some(row))?;
    w.prepare_cached(
        "UPDATE product SET handle = ?2, title = ?3, description = ?4, texts = ?5, status = ?6, shop_versions = ?7, tax_rate = ?8, \
         options = ?9, attributes = ?10 WHERE id = ?1",
    )?
    .execute(params![
        row,
        after.handle,
        after.title,
        after.description,
        json!(after.texts).to_string(),
        after.status.word(),
        json!(after.shop_versions).to_string(),
        after.tax_rate,
        json!(after.options).to_string(),
        json!(after.attributes).to_string()
    ])?;
    if after.category_ids != before.category_ids {
        save_categories(w, row, &after)?;
    }
    save_variants(w, row, &before, &mut after, config)?;
    touch(w, row)?;
    load_one(w, id, config, base)
}

/// SKUs may be exchanged between the variants of one product, so all that change are set aside first.
fn save_variants(
    w: &mut Writing<'_>,
    row: i64,
    before: &Product,
    after: &mut Product,
    config: &ShopConfig,
) -> Result<(), Problem> {
    let old: BTreeMap<&str, &Variant> =
        before.variants.iter().map(|v| (v.id.as_str(), v)).collect();
    for variant in &after.variants {
        if old
            .get(variant.id.as_str())
            .is_some_and(|old| old.sku != variant.sku)
        {
            let variant_row = variant_row(variant)?;
            w.prepare_cached("UPDATE variant SET sku = ?2 WHERE id = ?1")?
                .execute(params![variant_row, format!("\u{1}aside-{variant_row}")])?;
        }
    }
    for at in 0..after.variants.len() {
        let variant = &mut after.variants[at];
        match old.get(variant.id.as_str()) {
            None => insert_variant(w, row, variant, config)?,
            Some(old) if *old != variant => {
                refuse_taken_sku(w, &variant.sku).or_else(|problem| {
                    if old.sku == variant.sku {
                        Ok(())
                    } else {
                        Err(problem)
                    }
                })?;
                update_variant(w, variant)?;
                if old.sku != variant.sku {
                    level_rows::renamed(w, variant_row(variant)?, &old.sku, &variant.sku)?;
                }
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn variant_row(variant: &Variant) -> Result<i64, Problem> {
    Kind::Variant
        .parse(&variant.id)
        .ok_or_else(|| Problem::not_found(format_args!("variant {}", variant.id)))
}

fn insert_variant(
    w: &mut Writing<'_>,
    product: i64,
    variant: &mut Variant,
    config: &ShopConfig,
) -> Result<(), Problem> {
    refuse_taken_sku(w, &variant.sku)?;
    w.prepare_cached(
        "INSERT INTO variant (product_id, sku, gtin, price, sale_price, sale_from, sale_until, cost, options, weight_g, backorder, position, status) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        product,
        variant.sku,
        variant.gtin,
        variant.price.to_string(),
        variant.sale_price.map(|price| price.to_string()),
        variant.sale_from.as_deref().and_then(clock::parse),
        variant.sale_until.as_deref().and_then(clock::parse),
        variant.cost.map(|cost| cost.to_string()),
        json!(variant.options).to_string(),
        variant.weight_g,
        variant.backorder,
        variant.position,
        variant.status.word()
    ])?;
    let row = w.last_insert_rowid();
    variant.id = Kind::Variant.show(row);
    level_rows::open(w, row, &variant.sku, config)
}

fn update_variant(w: &mut Writing<'_>, variant: &Variant) -> Result<(), Problem> {
    w.prepare_cached(
        "UPDATE variant SET sku = ?2, gtin = ?3, price = ?4, sale_price = ?5, sale_from = ?6, sale_until = ?7, cost = ?8, options = ?9, \
         weight_g = ?10, backorder = ?11, position = ?12, status = ?13 WHERE id = ?1",
    )?
    .execute(params![
        variant_row(variant)?,
        variant.sku,
        variant.gtin,
        variant.price.to_string(),
        variant.sale_price.map(|price| price.to_string()),
        variant.sale_from.as_deref().and_then(clock::parse),
        variant.sale_until.as_deref().and_then(clock::parse),
        variant.cost.map(|cost| cost.to_string()),
        json!(variant.options).to_string(),
        variant.weight_g,
        variant.backorder,
        variant.position,
        variant.status.word()
    ])?;
    Ok(())
}

fn save_categories(w: &mut Writing<'_>, row: i64, product: &Product) -> Result<(), Problem> {
    w.prepare_cached("DELETE FROM product_category WHERE product_id = ?1")?
        .execute([row])?;
    for (position, id) in product.category_ids.iter().enumerate() {
        let category = Kind::Category
            .parse(id)
            .ok_or_else(|| unknown_reference("category_ids", id))?;
        let known: bool = w
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM category WHERE id = ?1)")?
            .query_row([category], |row| row.get(0))?;
        if !known {
            return Err(unknown_reference("category_ids", id));
        }
        w.prepare_cached(
            "INSERT INTO product_category (product_id, category_id, position) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![row, category, position as i64])?;
    }
    Ok(())
}

/// One revision on, with a stamp and word to the hooks.
pub fn touch(w: &mut Writing<'_>, row: i64) -> Result<(), Problem> {
    let stamp = w.stamp();
    w.prepare_cached("UPDATE product SET rev = rev + 1, changed = ?2 WHERE id = ?1")?
        .execute([row, stamp])?;
    w.tell("product.updated", Kind::Product.show(row), stamp);
    Ok(())
}

pub fn delete(
    w: &mut Writing<'_>,
    id: &str,
    if_rev: Option<i64>,
    config: &ShopConfig,
    base: &str,
) -> Result<(), Problem> {
    let product = load_one(w, id, config, base)?;
    product.check_rev(if_rev)?;
    let row = product
        .id_row()
        .ok_or_else(|| Problem::not_found(format_args!("product {id}")))?;
    for variant in &product.variants {
        level_rows::close(w, variant_row(variant)?, &variant.sku)?;
    }
    w.prepare_cached("DELETE FROM product WHERE id = ?1")?
        .execute([row])?;
    picture_rows::drop_unused(
        w,
        product
            .pictures
            .iter()
            .map(|picture| picture.sha256.as_str()),
    )?;
    let stamp = w.stamp();
    bury(w, stamp, "product", id, None)?;
    w.tell("product.deleted", id.to_string(), stamp);
    Ok(())
}

pub fn delete_variant(
    w: &mut Writing<'_>,
    id: &str,
    variant_id: &str,
    config: &ShopConfig,
    base: &str,
) -> Result<(), Problem> {
    let product = load_one(w, id, config, base)?;
    let variant = product
        .variants
        .iter()
        .find(|variant| variant.id == variant_id)
        .ok_or_else(|| Problem::not_found(format_args!("variant {variant_id} of product {id}")))?;
    let (row, variant_row) = (
        product
            .id_row()
            .ok_or_else(|| Problem::not_found(format_args!("product {id}")))?,
        variant_row(variant)?,
    );
    level_rows::close(w, variant_row, &variant.sku)?;
    w.prepare_cached("UPDATE picture SET variant_id = NULL WHERE variant_id = ?1")?
        .execute([variant_row])?;
    w.prepare_cached("DELETE FROM variant WHERE id = ?1")?
        .execute([variant_row])?;
    touch(w, row)
}

/// What the change feed tells of a record that is gone.
pub fn bury(
    w: &Writing<'_>,
    stamp: i64,
    kind: &str,
    record: &str,
    stock: Option<&str>,
) -> Result<(), Problem> {
    w.prepare_cached(
        "INSERT INTO tombstone (changed, kind, record, stock_id) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![stamp, kind, record, stock])?;
    Ok(())
}

fn refuse_taken_sku(db: &Connection, sku: &str) -> Result<(), Problem> {
    let holder: Option<i64> = db
        .prepare_cached("SELECT product_id FROM variant WHERE sku = ?1")?
        .query_row([sku], |row| row.get(0))
        .optional()?;
    match holder {
        None => Ok(()),
        Some(row) => {
            let existing = Kind::Product.show(row);
            Err(Problem::new(
                Code::DuplicateSku,
                format!("The SKU “{sku}” belongs to product {existing}."),
            )
            .with("field", "sku")
            .with("sku", sku)
            .with("existing", existing))
        }
    }
}

fn refuse_taken_handle(
    db: &Connection,
    product: &Product,
    own: Option<i64>,
) -> Result<(), Problem> {
    let holder: Option<i64> = db
        .prepare_cached("SELECT id FROM product WHERE handle = ?1")?
        .query_row([&product.handle], |row| row.get(0))
        .optional()?;
    match holder {
        Some(row) if Some(row) != own => {
            let existing = Kind::Product.show(row);
            Err(Problem::new(
                Code::DuplicateHandle,
                format!(
                    "The handle “{}” belongs to product {existing}.",
                    product.handle
                ),
            )
            .with("field", "handle")
            .with("existing", existing))
        }
        Some(_) | None => Ok(()),
    }
}

fn free_handle(db: &Connection, wanted: &str) -> Result<String, Problem> {
    let taken = |handle: &str| -> Result<bool, Problem> {
        Ok(db
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM product WHERE handle = ?1)")?
            .query_row([handle], |row| row.get(0))?)
    };
    if !taken(wanted)? {
        return Ok(wanted.to_string());
    }
    for number in 2..50 {
        let handle = format!("{wanted}-{number}");
        if !taken(&handle)? {
            return Ok(handle);
        }
    }
    // So many of one title: no use in counting on.
    Ok(format!("{wanted}-{:08x}", rand::random::<u32>()))
}
