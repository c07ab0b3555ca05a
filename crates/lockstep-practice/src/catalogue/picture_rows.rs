//! Pictures: content once by its SHA-256, and where each stands at its product.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::product::{Picture, said, unknown_reference};
use super::product_rows::touch;
use super::text::check_label;
use crate::bounds;
use crate::database::Writing;
use crate::ids::Kind;
use crate::problem::{Code, Problem};

/// What may be stored.
const CONTENT_TYPES: [&str; 6] = [
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/gif",
    "image/avif",
    "image/svg+xml",
];

/// A picture as it is uploaded.
pub struct Upload {
    pub content_type: String,
    pub bytes: bytes::Bytes,
    pub alt: String,
    pub position: Option<i64>,
    pub variant_id: Option<String>,
}

/// What a caller says of a picture that is there.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PictureInput {
    pub alt: Option<String>,
    pub position: Option<i64>,
    #[serde(deserialize_with = "said")]
    pub variant_id: Option<Option<String>>,
}

pub fn load_into(
    db: &Connection,
    products: &str,
    base: &str,
    mut each: impl FnMut(i64, Picture),
) -> Result<(), Problem> {
    let mut statement = db.prepare_cached(
        "SELECT p.product_id, p.id, p.sha256, p.alt, p.position, p.variant_id, b.content_type FROM picture p JOIN blob b USING (sha256) \
         WHERE p.product_id IN (SELECT value FROM json_each(?1)) ORDER BY p.product_id, p.position, p.id",
    )?;
    let mut rows = statement.query([products])?;
    while let Some(row) = rows.next()? {
        let sha256: String = row.get(2)?;
        each(
            row.get(0)?,
            Picture {
                id: Kind::Picture.show(row.get(1)?),
                url: format!("{base}/pictures/{sha256}"),
                alt: row.get(3)?,
                sha256,
                content_type: row.get(6)?,
                position: row.get(4)?,
                variant_id: row
                    .get::<_, Option<i64>>(5)?
                    .map(|row| Kind::Variant.show(row)),
            },
        );
    }
    Ok(())
}

pub fn check_content_type(content_type: &str) -> Result<String, Problem> {
    let plain = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if CONTENT_TYPES.contains(&plain.as_str()) {
        Ok(plain)
    } else {
        Err(Problem::new(
            Code::UnsupportedMediaType,
            format!(
                "“{plain}” is no picture that this shop keeps; it keeps {}.",
                CONTENT_TYPES.join(", ")
            ),
        ))
    }
}

/// Stores the content if it is new, and gives its name.
pub fn keep(w: &Writing<'_>, content_type: &str, bytes: &[u8]) -> Result<String, Problem> {
    let sha256 = data_encoding::HEXLOWER.encode(&Sha256::digest(bytes));
    w.prepare_cached(
        "INSERT INTO blob (sha256, content_type, bytes) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?
    .execute(params![sha256, content_type, bytes])?;
    Ok(sha256)
}

/// Other bytes that look the same: whoever knows a picture by its bytes does not know it again.
pub fn re_encode(w: &Writing<'_>, upload: &mut Upload) -> Result<(), Problem> {
    let nth: i64 = w
        .prepare_cached("SELECT ifnull(max(id), 0) + 1 FROM picture")?
        .query_row([], |row| row.get(0))?;
    // What follows the end of a picture nobody shows.
    let mut bytes = upload.bytes.to_vec();
    bytes.extend_from_slice(format!("<!-- kept as {nth} -->").as_bytes());
    upload.bytes = bytes.into();
    Ok(())
}

/// Adds a picture to a product. The same content again is the picture that is there; the flag says whether it is new.
pub fn add(
    w: &mut Writing<'_>,
    product: i64,
    upload: &Upload,
    base: &str,
) -> Result<(Picture, bool), Problem> {
    check_label("alt", &upload.alt)?;
    if upload.bytes.is_empty() {
        return Err(Problem::invalid("body", "The picture has no bytes."));
    }
    let known: bool = w
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM product WHERE id = ?1)")?
        .query_row([product], |row| row.get(0))?;
    if !known {
        return Err(Problem::not_found(format_args!(
            "product {}",
            Kind::Product.show(product)
        )));
    }
    let variant = variant_of(w, product, upload.variant_id.as_deref())?;
    let sha256 = keep(w, &upload.content_type, &upload.bytes)?;
    let same: Option<i64> = w
        .prepare_cached(
            "SELECT id FROM picture WHERE product_id = ?1 AND sha256 = ?2 AND variant_id IS ?3",
        )?
        .query_row(params![product, sha256, variant], |row| row.get(0))
        .optional()?;
    if let Some(row) = same {
        return Ok((one(w, product, row, base)?, false));
    }
    let order = in_order(w, product)?;
    if order.len() >= bounds::PICTURES_MAX {
        return Err(Problem::invalid(
            "position",
            format!("A product has at most {} pictures.", bounds::PICTURES_MAX),
        ));
    }
    w.prepare_cached("INSERT INTO picture (product_id, sha256, alt, position, variant_id) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![product, sha256, upload.alt, order.len() as i64, variant])?;
    let row = w.last_insert_rowid();
    if let Some(position) = upload.position {
        put_at(w, product, row, position)?;
    }
    touch(w, product)?;
    Ok((one(w, product, row, base)?, true))
}

pub fn update(
    w: &mut Writing<'_>,
    product: i64,
    id: &str,
    input: PictureInput,
    base: &str,
) -> Result<Picture, Problem> {
    let row = row_of(id)?;
    let before = one(w, product, row, base)?;
    if let Some(alt) = &input.alt {
        check_label("alt", alt)?;
        w.prepare_cached("UPDATE picture SET alt = ?2 WHERE id = ?1")?
            .execute(params![row, alt])?;
    }
    if let Some(variant) = &input.variant_id {
        let variant = variant_of(w, product, variant.as_deref())?;
        w.prepare_cached("UPDATE picture SET variant_id = ?2 WHERE id = ?1")?
            .execute(params![row, variant])?;
    }
    if let Some(position) = input.position {
        put_at(w, product, row, position)?;
    }
    let after = one(w, product, row, base)?;
    if after != before {
        touch(w, product)?;
    }
    Ok(after)
}

pub fn delete(w: &mut Writing<'_>, product: i64, id: &str, base: &str) -> Result<(), Problem> {
    let row = row_of(id)?;
    let picture = one(w, product, row, base)?;
    w.prepare_cached("DELETE FROM picture WHERE id = ?1")?
        .execute([row])?;
    set_order(w, &in_order(w, product)?)?;
    drop_unused(w, [picture.sha256.as_str()])?;
    touch(w, product)
}

/// Content that no product shows any more goes.
pub fn drop_unused<'s>(
    w: &Writing<'_>,
    contents: impl IntoIterator<Item = &'s str>,
) -> Result<(), Problem> {
    for sha256 in contents {
        w.prepare_cached("DELETE FROM blob WHERE sha256 = ?1 AND NOT EXISTS (SELECT 1 FROM picture WHERE sha256 = ?1)")?
            .execute([sha256])?;
    }
    Ok(())
}

/// The bytes and their type.
pub fn content(db: &Connection, sha256: &str) -> Result<(String, Vec<u8>), Problem> {
    db.prepare_cached("SELECT content_type, bytes FROM blob WHERE sha256 = ?1")?
        .query_row([sha256], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .ok_or_else(|| Problem::not_found("such picture"))
}

fn row_of(id: &str) -> Result<i64, Problem> {
    Kind::Picture
        .parse(id)
        .ok_or_else(|| Problem::not_found(format_args!("picture {id}")))
}

fn variant_of(db: &Connection, product: i64, id: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(id) = id else { return Ok(None) };
    let row = Kind::Variant
        .parse(id)
        .ok_or_else(|| unknown_reference("variant_id", id))?;
    let known: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM variant WHERE id = ?1 AND product_id = ?2)")?
        .query_row([row, product], |row| row.get(0))?;
    if known {
        Ok(Some(row))
    } else {
        Err(unknown_reference("variant_id", id))
    }
}

fn one(db: &Connection, product: i64, row: i64, base: &str) -> Result<Picture, Problem> {
    let id = Kind::Picture.show(row);
    let mut found = None;
    load_into(db, &format!("[{product}]"), base, |_, picture| {
        if picture.id == id {
            found = Some(picture);
        }
    })?;
    found.ok_or_else(|| {
        Problem::not_found(format_args!(
            "picture {id} at product {}",
            Kind::Product.show(product)
        ))
    })
}

fn in_order(db: &Connection, product: i64) -> Result<Vec<i64>, Problem> {
    let mut statement =
        db.prepare_cached("SELECT id FROM picture WHERE product_id = ?1 ORDER BY position, id")?;
    let rows = statement
        .query_map([product], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

fn put_at(w: &Writing<'_>, product: i64, row: i64, position: i64) -> Result<(), Problem> {
    let mut order = in_order(w, product)?;
    order.retain(|other| *other != row);
    let at = usize::try_from(position)
        .map_err(|_| Problem::invalid("position", "A position is 0 or more."))?
        .min(order.len());
    order.insert(at, row);
    set_order(w, &order)
}

fn set_order(w: &Writing<'_>, order: &[i64]) -> Result<(), Problem> {
    for (position, row) in order.iter().enumerate() {
        w.prepare_cached("UPDATE picture SET position = ?2 WHERE id = ?1")?
            .execute([*row, position as i64])?;
    }
    Ok(())
}
