//! Bodies in and out: JSON that names what is wrong with it, bounded.

use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Query, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::problem::{Code, Problem};

/// The raw bytes of a body, within its bound.
pub struct Raw(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Bytes::from_request(request, state)
            .await
            .map(Self)
            .map_err(|rejection| match rejection {
                BytesRejection::FailedToBufferBody(inner)
                    if inner.status() == StatusCode::PAYLOAD_TOO_LARGE =>
                {
                    Problem::new(
                        Code::TooLarge,
                        "The body is larger than this address takes.",
                    )
                }
                _ => Problem::new(Code::BadJson, "The body could not be read."),
            })
    }
}

impl Raw {
    /// The body as a `T`; an empty body is `{}`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let text: &[u8] = if self.0.iter().all(u8::is_ascii_whitespace) {
            b"{}"
        } else {
            &self.0
        };
        let value: Value = serde_json::from_slice(text).map_err(|error| {
            Problem::new(Code::BadJson, format!("The body is no JSON: {error}."))
        })?;
        read(value)
    }
}

/// A value as a `T`, with the field named that is wrong, as far as it can be told.
pub fn read<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_json::from_value(value).map_err(|error| {
        let message = error.to_string();
        let field = |prefix: &str| {
            message
                .strip_prefix(prefix)
                .and_then(|rest| rest.split('`').next())
                .map(str::to_string)
        };
        if let Some(name) = field("unknown field `") {
            return Problem::new(Code::UnknownField, format!("“{name}” is no field here."))
                .with("field", name);
        }
        let name = field("missing field `").unwrap_or_else(|| "body".into());
        Problem::invalid(
            &name,
            format!("The body is not as it should be: {message}."),
        )
    })
}

/// The query as pairs, in order.
pub fn pairs(uri: &http::Uri) -> Result<Vec<(String, String)>, Problem> {
    Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map(|Query(pairs)| pairs)
        .map_err(|_| {
            Problem::new(Code::BadParameter, "The query could not be read.").with("field", "query")
        })
}

/// `?if_rev=`, the only parameter of a delete.
pub fn if_rev(uri: &http::Uri) -> Result<Option<i64>, Problem> {
    let mut rev = None;
    for (name, value) in pairs(uri)? {
        let bad =
            |detail: String| Problem::new(Code::BadParameter, detail).with("field", name.as_str());
        if name != "if_rev" {
            return Err(bad(format!("“{name}” is not a parameter here.")));
        }
        rev = Some(
            value
                .parse()
                .map_err(|_| bad(format!("“{value}” is no revision.")))?,
        );
    }
    Ok(rev)
}

/// An answer that was written on a thread of the database: large pages are not written on the threads of the network.
pub struct Written(pub Vec<u8>);

impl Written {
    pub fn new<T: Serialize>(answer: &T) -> Result<Self, Problem> {
        Ok(Self(serde_json::to_vec(answer)?))
    }
}

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, json)], self.0).into_response()
    }
}
