//! Who calls: a bearer token that may read and write, or only read.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header;
use http::request::Parts;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::problem::{Code, Problem};
use crate::state::ShopState;

/// May read.
pub struct Reader;

/// May read and write.
pub struct Writer;

#[derive(PartialEq)]
enum Role {
    Reads,
    Writes,
}

fn role(parts: &Parts, shop: &ShopState) -> Result<Role, Problem> {
    let given = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let Some(given) = given else {
        return Err(Problem::new(
            Code::Unauthorized,
            "Say who you are: “Authorization: Bearer TOKEN”.",
        ));
    };
    let is =
        |token: &SecretString| bool::from(token.expose_secret().as_bytes().ct_eq(given.as_bytes()));
    if is(&shop.token) {
        Ok(Role::Writes)
    } else if shop.config.read_token.as_ref().is_some_and(is) {
        Ok(Role::Reads)
    } else {
        Err(Problem::new(
            Code::Unauthorized,
            "This token is not known to this shop.",
        ))
    }
}

impl FromRequestParts<Arc<ShopState>> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shop: &Arc<ShopState>) -> Result<Self, Problem> {
        role(parts, shop).map(|_| Self)
    }
}

impl FromRequestParts<Arc<ShopState>> for Writer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shop: &Arc<ShopState>) -> Result<Self, Problem> {
        match role(parts, shop)? {
            Role::Writes => Ok(Self),
            Role::Reads => Err(Problem::new(
                Code::ReadOnlyToken,
                "This token may only read.",
            )),
        }
    }
}
