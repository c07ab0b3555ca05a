//! Pictures of a product. Their bytes are public; see the storefront.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode, Uri, header};

use super::body::{Raw, pairs};
use super::caller::Writer;
use crate::catalogue::picture_rows::{self, PictureInput, Upload};
use crate::catalogue::product::Picture;
use crate::ids::Kind;
use crate::problem::{Code, Problem};
use crate::state::ShopState;

fn product_row(id: &str) -> Result<i64, Problem> {
    Kind::Product
        .parse(id)
        .ok_or_else(|| Problem::not_found(format_args!("product {id}")))
}

pub async fn add(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Raw,
) -> Result<(StatusCode, Json<Picture>), Problem> {
    let product = product_row(&id)?;
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut upload = Upload {
        content_type: picture_rows::check_content_type(content_type)?,
        bytes: body.0,
        alt: String::new(),
        position: None,
        variant_id: None,
    };
    for (name, value) in pairs(&uri)? {
        match name.as_str() {
            "alt" => upload.alt = value,
            "variant_id" => upload.variant_id = Some(value),
            "position" => {
                let position = value.parse().map_err(|_| {
                    Problem::new(Code::BadParameter, format!("“{value}” is no position."))
                        .with("field", "position")
                })?;
                upload.position = Some(position);
            }
            other => {
                return Err(Problem::new(
                    Code::BadParameter,
                    format!("“{other}” is not a parameter here."),
                )
                .with("field", other));
            }
        }
    }
    let base = shop.base.clone();
    let re_encodes = shop.config.re_encodes_pictures;
    let (picture, new) = shop
        .database
        .write(move |w| {
            if re_encodes {
                picture_rows::re_encode(w, &mut upload)?;
            }
            picture_rows::add(w, product, &upload, &base)
        })
        .await?;
    Ok((
        if new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        },
        Json(picture),
    ))
}

pub async fn update(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    Path((id, picture)): Path<(String, String)>,
    body: Raw,
) -> Result<Json<Picture>, Problem> {
    let product = product_row(&id)?;
    let input: PictureInput = body.json()?;
    let base = shop.base.clone();
    Ok(Json(
        shop.database
            .write(move |w| picture_rows::update(w, product, &picture, input, &base))
            .await?,
    ))
}

pub async fn remove(
    _: Writer,
    State(shop): State<Arc<ShopState>>,
    Path((id, picture)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let product = product_row(&id)?;
    let base = shop.base.clone();
    shop.database
        .write(move |w| picture_rows::delete(w, product, &picture, &base))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
