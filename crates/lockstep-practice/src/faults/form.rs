//! A fault as the wire has it: flat, with every unknown or missing field named.

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, Kind};
use crate::bounds;
use crate::problem::Problem;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultForm {
    kind: String,
    method: Option<String>,
    path_prefix: Option<String>,
    times: Option<u64>,
    after: Option<u64>,
    every: Option<u64>,
    status: Option<u16>,
    retry_after_s: Option<u64>,
    ms: Option<u64>,
    per_second: Option<f64>,
    burst: Option<f64>,
    bytes: Option<u64>,
    to: Option<String>,
    id: Option<String>,
    drop: Option<bool>,
    /// Shown by the shop; ignored when it is sent back.
    hits: Option<u64>,
}

/// The body of `PUT /faults`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultsForm {
    pub faults: Vec<FaultForm>,
}

impl FaultForm {
    pub fn check(self) -> Result<Fault, Problem> {
        let kind = self.kind()?;
        let method = match &self.method {
            Some(word) => Some(
                Method::from_bytes(word.to_ascii_uppercase().as_bytes())
                    .map_err(|_| Problem::invalid("method", format!("“{word}” is no method.")))?,
            ),
            None => None,
        };
        let _ = self.hits;
        Ok(Fault {
            kind,
            method,
            path_prefix: self.path_prefix,
            times: self.times,
            after: self.after.unwrap_or(0),
            every: self.every.unwrap_or(1).max(1),
            passed: 0,
            hits: 0,
            bucket: None,
        })
    }

    fn kind(&self) -> Result<Kind, Problem> {
        Ok(match self.kind.as_str() {
            "Reject" => Kind::Reject {
                status: self.some_status()?.ok_or_else(|| self.needs("status"))?,
                retry_after_s: self.retry_after_s,
            },
            "Drop" => Kind::Drop,
            "FailAfterWrite" => Kind::FailAfterWrite {
                status: self.some_status()?,
            },
            "ApplyLate" => Kind::ApplyLate {
                ms: self.some_ms()?,
                status: self.some_status()?,
            },
            "HoldResponse" => Kind::HoldResponse {
                ms: self.some_ms()?,
            },
            "RespondSlowly" => Kind::RespondSlowly {
                ms: self.some_ms()?,
            },
            "Latency" => Kind::Latency {
                ms: self.some_ms()?,
            },
            "RateLimit" => {
                let positive = |field: &str, value: f64| {
                    if value.is_finite() && (0.01..=1_000_000.0).contains(&value) {
                        Ok(value)
                    } else {
                        Err(Problem::invalid(
                            field,
                            format!("“{field}” is between 0.01 and 1,000,000."),
                        ))
                    }
                };
                let per_second = positive(
                    "per_second",
                    self.per_second.ok_or_else(|| self.needs("per_second"))?,
                )?;
                let burst = positive("burst", self.burst.unwrap_or(per_second))?.max(1.0);
                Kind::RateLimit { per_second, burst }
            }
            "HideFromSearch" => Kind::HideFromSearch {
                ms: self.some_ms()?,
            },
            "Html" => Kind::Html {
                status: self.some_status()?.unwrap_or(200),
            },
            "HalfJson" => Kind::HalfJson,
            "WrongContentType" => Kind::WrongContentType,
            "Huge" => {
                let bytes = self.bytes.unwrap_or(bounds::HUGE_BYTES_DEFAULT);
                if bytes > bounds::HUGE_BYTES_MAX {
                    return Err(Problem::invalid("bytes", "At most 1 GiB."));
                }
                Kind::Huge { bytes }
            }
            "Redirect" => Kind::Redirect {
                to: self
                    .to
                    .clone()
                    .filter(|to| http::HeaderValue::from_str(to).is_ok())
                    .ok_or_else(|| self.needs("to"))?,
            },
            "BadRecord" => Kind::BadRecord {
                id: self.id.clone().ok_or_else(|| self.needs("id"))?,
            },
            "BlockHooks" => Kind::BlockHooks {
                drop: self.drop.unwrap_or(false),
            },
            "DuplicateHooks" => Kind::DuplicateHooks,
            other => {
                return Err(Problem::invalid(
                    "kind",
                    format!("“{other}” is no fault of this shop."),
                )
                .with(
                    "known",
                    json!([
                        "Reject",
                        "Drop",
                        "FailAfterWrite",
                        "ApplyLate",
                        "HoldResponse",
                        "RespondSlowly",
                        "Latency",
                        "RateLimit",
                        "HideFromSearch",
                        "Html",
                        "HalfJson",
                        "WrongContentType",
                        "Huge",
                        "Redirect",
                        "BadRecord",
                        "BlockHooks",
                        "DuplicateHooks"
                    ]),
                ));
            }
        })
    }

    fn needs(&self, field: &str) -> Problem {
        Problem::invalid(field, format!("The fault {} needs “{field}”.", self.kind))
    }

    fn some_ms(&self) -> Result<u64, Problem> {
        match self.ms {
            Some(ms) if ms <= bounds::FAULT_MS_MAX => Ok(ms),
            Some(_) => Err(Problem::invalid(
                "ms",
                format!("“ms” is at most {}.", bounds::FAULT_MS_MAX),
            )),
            None => Err(self.needs("ms")),
        }
    }

    fn some_status(&self) -> Result<Option<u16>, Problem> {
        match self.status {
            Some(status)
                if !(200..600).contains(&status) || StatusCode::from_u16(status).is_err() =>
            {
                Err(Problem::invalid("status", "“status” is 200 to 599."))
            }
            status => Ok(status),
        }
    }
}

pub fn show(fault: &Fault) -> Value {
    let mut shown = match &fault.kind {
        Kind::Reject {
            status,
            retry_after_s,
        } => json!({"kind": "Reject", "status": status, "retry_after_s": retry_after_s}),
        Kind::Drop => json!({"kind": "Drop"}),
        Kind::FailAfterWrite { status } => json!({"kind": "FailAfterWrite", "status": status}),
        Kind::ApplyLate { ms, status } => json!({"kind": "ApplyLate", "ms": ms, "status": status}),
        Kind::HoldResponse { ms } => json!({"kind": "HoldResponse", "ms": ms}),
        Kind::RespondSlowly { ms } => json!({"kind": "RespondSlowly", "ms": ms}),
        Kind::Latency { ms } => json!({"kind": "Latency", "ms": ms}),
        Kind::RateLimit { per_second, burst } => {
            json!({"kind": "RateLimit", "per_second": per_second, "burst": burst})
        }
        Kind::HideFromSearch { ms } => json!({"kind": "HideFromSearch", "ms": ms}),
        Kind::Html { status } => json!({"kind": "Html", "status": status}),
        Kind::HalfJson => json!({"kind": "HalfJson"}),
        Kind::WrongContentType => json!({"kind": "WrongContentType"}),
        Kind::Huge { bytes } => json!({"kind": "Huge", "bytes": bytes}),
        Kind::Redirect { to } => json!({"kind": "Redirect", "to": to}),
        Kind::BadRecord { id } => json!({"kind": "BadRecord", "id": id}),
        Kind::BlockHooks { drop } => json!({"kind": "BlockHooks", "drop": drop}),
        Kind::DuplicateHooks => json!({"kind": "DuplicateHooks"}),
    };
    if let Value::Object(members) = &mut shown {
        members.retain(|_, value| !value.is_null());
        if let Some(method) = &fault.method {
            members.insert("method".into(), json!(method.as_str()));
        }
        if let Some(prefix) = &fault.path_prefix {
            members.insert("path_prefix".into(), json!(prefix));
        }
        if let Some(times) = fault.times {
            members.insert("times".into(), json!(times));
        }
        if fault.after > 0 {
            members.insert("after".into(), json!(fault.after));
        }
        if fault.every > 1 {
            members.insert("every".into(), json!(fault.every));
        }
        members.insert("hits".into(), json!(fault.hits));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(body: Value) -> Value {
        let form: FaultForm = serde_json::from_value(body).unwrap();
        form.check().unwrap_err().member("field").cloned().unwrap()
    }

    #[test]
    fn a_fault_that_lacks_something_says_what() {
        for (body, missing) in [
            (json!({"kind": "Explode"}), "kind"),
            (json!({"kind": "Reject"}), "status"),
            (json!({"kind": "Reject", "status": 42}), "status"),
            (json!({"kind": "ApplyLate"}), "ms"),
            (json!({"kind": "HoldResponse", "ms": 9_000_000}), "ms"),
            (json!({"kind": "RateLimit", "per_second": 0}), "per_second"),
            (json!({"kind": "BadRecord"}), "id"),
            (json!({"kind": "Redirect", "to": "http://a\nb"}), "to"),
            (json!({"kind": "Drop", "method": "GE T"}), "method"),
        ] {
            assert_eq!(field(body), json!(missing));
        }
    }

    #[test]
    fn what_is_shown_can_be_set_again() {
        let body = json!({"kind": "ApplyLate", "ms": 300, "times": 2, "method": "POST", "path_prefix": "/api/v1/orders", "after": 1, "every": 50});
        let form: FaultForm = serde_json::from_value(body).unwrap();
        let shown = show(&form.check().unwrap());
        let again: FaultForm = serde_json::from_value(shown.clone()).unwrap();
        assert_eq!(show(&again.check().unwrap()), shown);
    }
}
