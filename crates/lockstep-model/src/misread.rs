//! What a parser says of a text that it cannot read, without a value of that text: what stood there may be a key, a
//! buyer, or the answer of something that was never meant to be read. Names of fields that were wanted, kinds and
//! places are said.

use std::fmt;

/// Why this cannot be read, fit for a message.
pub fn misread(error: &serde_json::Error) -> String {
    let place = Place {
        line: error.line(),
        column: error.column(),
    };
    match error.classify() {
        serde_json::error::Category::Eof => format!("it ends half way{place}"),
        serde_json::error::Category::Syntax => format!("it is not JSON{place}"),
        serde_json::error::Category::Io => "it could not be read".into(),
        serde_json::error::Category::Data => {
            let text = error.to_string();
            // The parser's own place stands at the end, if there is one.
            let end = match place.line {
                0 => text.len(),
                _ => text.rfind(" at line ").unwrap_or(text.len()),
            };
            format!("{}{place}", wrong(&text[..end]))
        }
    }
}

/// Only words of our own are let through: what a sentence quotes of the text is left out.
fn wrong(text: &str) -> String {
    for whole in ["missing field `", "duplicate field `"] {
        if let Some(rest) = text.strip_prefix(whole)
            && let Some((field, _)) = rest.split_once('`')
        {
            return format!("{whole}{field}`");
        }
    }
    let Some((what, found)) = [
        ("a wrong kind of value", "invalid type: "),
        ("a wrong value", "invalid value: "),
        ("a wrong number of values", "invalid length "),
        ("a word that is not known", "unknown variant "),
        ("a field that is not known", "unknown field "),
    ]
    .into_iter()
    .find_map(|(what, start)| Some((what, text.strip_prefix(start)?))) else {
        return "a value is not what it should be".into();
    };
    let kind = kind(found).map_or_else(String::new, |kind| format!(" ({kind})"));
    format!("{what}{kind}{}", expected(text))
}

/// The kind of what was found, by serde's own word for it.
fn kind(found: &str) -> Option<&'static str> {
    const KINDS: [&str; 14] = [
        "boolean",
        "integer",
        "floating point",
        "character",
        "string",
        "byte array",
        "unit value",
        "null",
        "Option value",
        "newtype struct",
        "sequence",
        "map",
        "enum",
        "number",
    ];
    KINDS.into_iter().find(|kind| found.starts_with(kind))
}

/// What was wanted stands last; what was found, before it, may hold anything.
fn expected(text: &str) -> String {
    text.rfind(", expected ")
        .map_or_else(String::new, |at| text.split_at(at).1.to_owned())
}

struct Place {
    line: usize,
    column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            // A value that was a tree already has no place.
            0 => Ok(()),
            line => write!(f, ", at line {line} column {}", self.column),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Currency;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    #[expect(dead_code, reason = "only how it is not read is of interest")]
    struct Reply {
        count: u32,
        kind: Option<Kind>,
        price: Option<rust_decimal::Decimal>,
        at: Option<jiff::Timestamp>,
        currency: Option<Currency>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Kind {
        Simple,
    }

    fn said(json: &str) -> String {
        misread(&serde_json::from_str::<Reply>(json).unwrap_err())
    }

    #[test]
    fn s2_no_value_of_what_was_read_is_in_what_is_said_of_it() {
        for json in [
            r#""s3cr3t""#,
            r#"{"count": "s3cr3t"}"#,
            r#"{"count": "s3cr3t, expected s3cr3t at line 1 column 1"}"#,
            r#"{"count": "s3cr3t`s3cr3t\", expected s3cr3t\""}"#,
            r#"{"count": 1, "kind": "s3cr3t"}"#,
            r#"{"count": 1, "kind": {"s3cr3t": 1}}"#,
            r#"{"s3cr3t": 1}"#,
            r#"{"count": 1, "price": "s3cr3t"}"#,
            r#"{"count": 1, "at": "s3cr3t"}"#,
            r#"["s3cr3t"]"#,
            r#"{"s3cr3t""#,
            "s3cr3t",
        ] {
            let said = said(json);
            assert!(!said.contains("s3cr3t"), "{json}: {said}");
            assert!(!said.is_empty());
        }
        for (json, number) in [
            (r#"{"count": 46107346}"#, "46107346"),
            (r#"{"count": -46107346}"#, "46107346"),
            (r#"{"count": 46107.346}"#, "46107"),
            (r#"{"count": 1, "kind": 46107346}"#, "46107346"),
        ] {
            if let Err(error) = serde_json::from_str::<Reply>(json) {
                assert!(!misread(&error).contains(number), "{}", misread(&error));
            }
        }
    }

    #[test]
    fn fields_kinds_and_places_are_said() {
        assert_eq!(
            said(r#"{"count": "x"}"#),
            "a wrong kind of value (string), expected u32, at line 1 column 13"
        );
        assert_eq!(said("{}"), "missing field `count`, at line 1 column 2");
        assert_eq!(
            said(r#"{"count": 1, "kind": "x"}"#),
            "a word that is not known, expected `simple`, at line 1 column 24"
        );
        assert_eq!(said("{"), "it ends half way, at line 1 column 1");
        let value = serde_json::json!({"count": ", expected s3cr3t at line 1"});
        let error = serde_json::from_value::<Reply>(value);
        assert_eq!(
            misread(&error.unwrap_err()),
            "a wrong kind of value (string), expected u32"
        );
    }
}
