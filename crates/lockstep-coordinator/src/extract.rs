//! Body, path and query as axum reads them, with refusals as problem+json like all others.

use crate::refusal::Refusal;
use axum::{
    extract::{
        FromRequest, FromRequestParts,
        rejection::{
            BytesRejection, JsonRejection, PathRejection, QueryRejection, StringRejection,
        },
    },
    http::StatusCode,
    response::{IntoResponse, Response},
};
use lockstep_model::misread;
use lockstep_protocol::Code;
use serde::Serialize;

#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Refusal))]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Refusal))]
pub struct Path<T>(pub T);

#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Refusal))]
pub struct Query<T>(pub T);

fn refused(status: StatusCode, text: String) -> Refusal {
    let code = match status {
        StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
        StatusCode::NOT_FOUND => Code::NotFound,
        _ if status.is_server_error() => Code::Internal,
        _ => Code::BadRequest,
    };
    Refusal::new(code, text)
}

macro_rules! refusals {
    ($($rejection:ident),+) => {$(
        impl From<$rejection> for Refusal {
            fn from(rejection: $rejection) -> Self {
                refused(rejection.status(), rejection.body_text())
            }
        }
    )+};
}

/// Without the values that the parser quotes: a key may stand in the wrong place.
impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&rejection);
        let mut parsed = None;
        while let (Some(error), None) = (cause, parsed) {
            parsed = error.downcast_ref::<serde_json::Error>();
            cause = error.source();
        }
        match (&rejection, parsed) {
            (JsonRejection::JsonDataError(_) | JsonRejection::JsonSyntaxError(_), parsed) => {
                let why = parsed.map_or_else(|| "it has another form".to_owned(), misread);
                refused(
                    rejection.status(),
                    format!("the body cannot be read: {why}"),
                )
            }
            _ => refused(rejection.status(), rejection.body_text()),
        }
    }
}

refusals!(
    PathRejection,
    QueryRejection,
    BytesRejection,
    StringRejection
);
