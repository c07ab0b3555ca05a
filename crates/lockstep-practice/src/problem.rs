//! Every refusal of the shop: a code that programs rely on, and a sentence for people.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

/// The stable codes; the README lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    BadParameter,
    BadJson,
    Unauthorized,
    ReadOnlyToken,
    NotFound,
    MethodNotAllowed,
    DuplicateSku,
    DuplicateHandle,
    DuplicateOrder,
    DuplicateHook,
    Stale,
    SoldOut,
    WrongState,
    InUse,
    TooLarge,
    UnsupportedMediaType,
    Invalid,
    UnknownField,
    UnknownSku,
    UnknownReference,
    SumMismatch,
    NegativeStock,
    RateLimited,
    Broken,
    Injected,
    Stopping,
}

impl Code {
    pub fn text(self) -> &'static str {
        match self {
            Self::BadParameter => "bad_parameter",
            Self::BadJson => "bad_json",
            Self::Unauthorized => "unauthorized",
            Self::ReadOnlyToken => "read_only_token",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::DuplicateSku => "duplicate_sku",
            Self::DuplicateHandle => "duplicate_handle",
            Self::DuplicateOrder => "duplicate_order",
            Self::DuplicateHook => "duplicate_hook",
            Self::Stale => "stale",
            Self::SoldOut => "sold_out",
            Self::WrongState => "wrong_state",
            Self::InUse => "in_use",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Invalid => "invalid",
            Self::UnknownField => "unknown_field",
            Self::UnknownSku => "unknown_sku",
            Self::UnknownReference => "unknown_reference",
            Self::SumMismatch => "sum_mismatch",
            Self::NegativeStock => "negative_stock",
            Self::RateLimited => "rate_limited",
            Self::Broken => "broken",
            Self::Injected => "injected",
            Self::Stopping => "stopping",
        }
    }

    pub fn status(self) -> StatusCode {
        match self {
            Self::BadParameter | Self::BadJson => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::ReadOnlyToken => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::DuplicateSku
            | Self::DuplicateHandle
            | Self::DuplicateOrder
            | Self::DuplicateHook
            | Self::Stale
            | Self::SoldOut
            | Self::WrongState
            | Self::InUse => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid
            | Self::UnknownField
            | Self::UnknownSku
            | Self::UnknownReference
            | Self::SumMismatch
            | Self::NegativeStock => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Injected | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// A refusal.
#[derive(Debug)]
pub struct Problem {
    pub code: Code,
    pub detail: String,
    more: Map<String, Value>,
    status: Option<StatusCode>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            more: Map::new(),
            status: None,
            source: None,
        }
    }

    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.into(), value.into());
        self
    }

    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    pub fn invalid(field: &str, detail: impl Into<String>) -> Self {
        Self::new(Code::Invalid, detail).with("field", field)
    }

    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("There is no {what} in this shop."))
    }

    pub fn broken(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        let mut problem = Self::new(
            Code::Broken,
            "The shop could not read or write its data. Nothing was changed; the shop's log says why.",
        );
        problem.source = Some(Box::new(source));
        problem
    }

    pub fn status(&self) -> StatusCode {
        self.status.unwrap_or_else(|| self.code.status())
    }

    /// The member `name`, such as the current record beside `stale`.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.more.get(name)
    }

    pub fn to_json(&self) -> Value {
        let status = self.status();
        let mut body = Map::new();
        body.insert("type".into(), json!("about:blank"));
        body.insert(
            "title".into(),
            json!(status.canonical_reason().unwrap_or("Refused")),
        );
        body.insert("status".into(), json!(status.as_u16()));
        body.insert("code".into(), json!(self.code.text()));
        body.insert("detail".into(), json!(self.detail));
        body.extend(
            self.more
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        Value::Object(body)
    }
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Self::broken(error)
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::broken(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if let Some(source) = &self.source {
            tracing::error!(code = self.code.text(), error = %source, "the practice shop failed");
        }
        let mut response = (self.status(), self.to_json().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.code == Code::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
