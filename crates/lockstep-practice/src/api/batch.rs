//! Batches: many members in one transaction, each of which fails alone.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::body::Raw;
use crate::bounds;
use crate::problem::{Code, Problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    items: Vec<Value>,
}

/// The members of a batch, as they came.
pub fn members(body: &Raw) -> Result<Vec<Value>, Problem> {
    let Batch { items } = body.json()?;
    if items.len() > bounds::BATCH_MAX {
        return Err(Problem::new(
            Code::TooLarge,
            format!(
                "A batch has at most {} members, this one has {}.",
                bounds::BATCH_MAX,
                items.len()
            ),
        ));
    }
    Ok(items)
}

/// A member of a batch that says what to do, with its `op` and `id` taken out.
pub struct Member {
    pub op: String,
    pub id: Option<String>,
    pub fields: Value,
}

impl Member {
    pub fn parse(member: Value) -> Result<Self, Problem> {
        let Value::Object(mut fields) = member else {
            return Err(Problem::invalid(
                "items",
                "A member of a batch is an object.",
            ));
        };
        let mut text = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) => Ok(Some(text)),
            None => Ok(None),
            Some(_) => Err(Problem::invalid(name, format!("“{name}” is a text."))),
        };
        let op = text("op")?
            .ok_or_else(|| Problem::invalid("op", "A member of a batch says its op."))?;
        let id = text("id")?;
        Ok(Self {
            op,
            id,
            fields: Value::Object(fields),
        })
    }

    pub fn needed_id(&self) -> Result<&str, Problem> {
        self.id
            .as_deref()
            .ok_or_else(|| Problem::invalid("id", format!("The op “{}” needs an id.", self.op)))
    }

    pub fn unknown(&self) -> Problem {
        Problem::invalid("op", format!("“{}” is no op of this batch.", self.op))
    }
}

/// What became of one member: a status, its id, its record.
pub type Became = Result<(StatusCode, Option<String>, Option<Value>), Problem>;

/// One place of the answer. A refusal that carries the current record shows it where the record would be.
pub fn place(became: Became, named: Option<String>) -> Value {
    let mut place = Map::new();
    let (status, id, record, error) = match became {
        Ok((status, id, record)) => (status, id.or(named), record, None),
        Err(problem) => {
            if problem.code == Code::Broken {
                tracing::error!(error = ?problem, "a member of a batch failed in the shop");
            }
            (
                problem.status(),
                named,
                problem.member("current").cloned(),
                Some(problem.to_json()),
            )
        }
    };
    place.insert("status".into(), json!(status.as_u16()));
    for (name, value) in [
        ("id", id.map(Value::String)),
        ("record", record),
        ("error", error),
    ] {
        if let Some(value) = value {
            place.insert(name.into(), value);
        }
    }
    Value::Object(place)
}
