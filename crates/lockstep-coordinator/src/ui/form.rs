//! Forms over settings. A field is named by its path on the wire (`customer.email`, `services[2].url`), so
//! what a person typed is put at that place, and what is wrong with that place is shown at its field. What
//! was typed is shown again as it was typed.

use super::session::Values;
use askama::{Template, filters::HtmlSafe};
use jiff::Timestamp;
use lockstep_model::settings::Problem;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

/// One field of a form.
#[derive(Debug, Clone, Template)]
#[template(path = "part/field.html")]
pub struct Field {
    pub name: String,
    pub label: String,
    /// What it does, in a sentence.
    pub help: String,
    pub input: Input,
    /// As typed. For a box: not empty if it is ticked. For several: one a line.
    pub value: String,
    pub problem: Option<String>,
    /// How it stands in JSON.
    sort: Sort,
    pub locked: bool,
}

impl HtmlSafe for Field {}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    Line,
    Email,
    Address,
    Number,
    Box,
    /// Never shown; `stored`: one is known; `kept`: one was typed a moment ago and is not saved yet.
    Secret {
        stored: bool,
        kept: bool,
    },
    Choice(Vec<Choice>),
    Several(Vec<Choice>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub value: String,
    pub label: String,
}

impl Choice {
    pub fn new(value: impl ToString, label: impl Into<String>) -> Self {
        Choice {
            value: value.to_string(),
            label: label.into(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Text,
    /// Empty is `null`.
    MaybeText,
    Number,
    /// Empty is `null`.
    MaybeNumber,
    Units,
    Flag,
    MaybeTime,
    /// Empty leaves what is stored.
    Secret,
    Texts,
    Numbers,
    /// On one line, separated by commas.
    Words,
    /// `ask`, `owner:3` …
    Policy,
    /// `pooled`, `owned:3`
    StockMode,
    /// Percent; empty is `null`.
    Rate,
    /// A rate that is added, or with a minus taken out; empty: `asItIs`.
    Tax,
}

impl Field {
    fn new(name: impl Into<String>, label: &str, help: &str, input: Input, sort: Sort) -> Self {
        Field {
            name: name.into(),
            label: label.into(),
            help: help.into(),
            input,
            value: String::new(),
            problem: None,
            sort,
            locked: false,
        }
    }

    pub fn line(name: impl Into<String>, label: &str, help: &str) -> Self {
        Self::new(name, label, help, Input::Line, Sort::Text)
    }

    pub fn maybe(name: impl Into<String>, label: &str, help: &str) -> Self {
        Self::new(name, label, help, Input::Line, Sort::MaybeText)
    }

    pub fn email(name: impl Into<String>, label: &str, help: &str) -> Self {
        Self::new(name, label, help, Input::Email, Sort::Text)
    }

    pub fn address(name: impl Into<String>, label: &str, help: &str) -> Self {
        Self::new(name, label, help, Input::Address, Sort::Text)
    }

    pub fn number(name: impl Into<String>, label: &str, help: &str) -> Self {
        Self::new(name, label, help, Input::Number, Sort::Number)
    }

    /// Decimal units; empty takes the key away.
    pub fn units(name: impl Into<String>, label: &str, help: &str) -> Self {
        Self::new(name, label, help, Input::Line, Sort::Units)
    }

    pub fn flag(name: impl Into<String>, label: &str, help: &str) -> Self {
        Self::new(name, label, help, Input::Box, Sort::Flag)
    }

    pub fn time(name: impl Into<String>, label: &str, help: &str) -> Self {
        Self::new(name, label, help, Input::Line, Sort::MaybeTime)
    }

    pub fn secret(name: impl Into<String>, label: &str, help: &str, stored: bool) -> Self {
        let kept = false;
        Self::new(
            name,
            label,
            help,
            Input::Secret { stored, kept },
            Sort::Secret,
        )
    }

    /// One of these texts.
    pub fn choice(name: impl Into<String>, label: &str, help: &str, of: Vec<Choice>) -> Self {
        Self::new(name, label, help, Input::Choice(of), Sort::Text)
    }

    /// One of these, or none of them.
    pub fn choice_or_none(
        name: impl Into<String>,
        label: &str,
        help: &str,
        of: Vec<Choice>,
    ) -> Self {
        Self::new(name, label, help, Input::Choice(of), Sort::MaybeText)
    }

    /// One of these ids, or none.
    pub fn id(name: impl Into<String>, label: &str, help: &str, of: Vec<Choice>) -> Self {
        Self::new(name, label, help, Input::Choice(of), Sort::MaybeNumber)
    }

    pub fn policy(name: impl Into<String>, label: &str, help: &str, of: Vec<Choice>) -> Self {
        Self::new(name, label, help, Input::Choice(of), Sort::Policy)
    }

    pub fn stock_mode(name: impl Into<String>, label: &str, help: &str, of: Vec<Choice>) -> Self {
        Self::new(name, label, help, Input::Choice(of), Sort::StockMode)
    }

    pub fn tax(name: impl Into<String>, label: &str, help: &str) -> Self {
        Self::new(name, label, help, Input::Line, Sort::Tax)
    }

    pub fn rate(name: impl Into<String>, label: &str, help: &str) -> Self {
        Self::new(name, label, help, Input::Line, Sort::Rate)
    }

    pub fn several_ids(name: impl Into<String>, label: &str, help: &str, of: Vec<Choice>) -> Self {
        Self::new(name, label, help, Input::Several(of), Sort::Numbers)
    }

    pub fn several(name: impl Into<String>, label: &str, help: &str, of: Vec<Choice>) -> Self {
        Self::new(name, label, help, Input::Several(of), Sort::Texts)
    }

    /// Several, separated by commas.
    pub fn words(name: impl Into<String>, label: &str, help: &str) -> Self {
        Field::new(name, label, help, Input::Line, Sort::Words)
    }

    pub fn at(mut self, value: impl Into<String>) -> Self {
        self.value = value.into();
        self
    }

    /// For people who may look and not edit.
    pub fn lock(&mut self) {
        self.locked = true;
    }

    pub fn is_on(&self) -> bool {
        !self.value.is_empty()
    }

    pub fn holds(&self, value: &str) -> bool {
        match self.input {
            Input::Several(_) => self.value.lines().any(|line| line == value),
            _ => self.value == value,
        }
    }

    /// The value from the settings as they are.
    fn read(&mut self, settings: &Value) {
        let found = place(settings, &self.name);
        self.value = match (self.sort, found) {
            (Sort::Secret, _) | (_, None | Some(Value::Null)) => match self.sort {
                Sort::Policy => "ask".into(),
                Sort::StockMode => "pooled".into(),
                _ => String::new(),
            },
            (Sort::Policy, Some(value)) => match value.get("owner") {
                Some(shop) => format!("owner:{shop}"),
                None => plain(value),
            },
            (Sort::StockMode, Some(value)) => match value.pointer("/owned/owner") {
                Some(shop) => format!("owned:{shop}"),
                None => plain(value),
            },
            (Sort::Tax, Some(value)) => match (value.get("added"), value.get("takenOut")) {
                (Some(rate), _) => plain(rate),
                (None, Some(rate)) => format!("−{}", plain(rate)),
                (None, None) => String::new(),
            },
            (Sort::Flag, Some(value)) => match value.as_bool() {
                Some(true) => "on".into(),
                _ => String::new(),
            },
            (Sort::Words, Some(Value::Array(values))) => {
                values.iter().map(plain).collect::<Vec<_>>().join(", ")
            }
            (Sort::Texts | Sort::Numbers, Some(Value::Array(values))) => {
                values.iter().map(plain).collect::<Vec<_>>().join("\n")
            }
            (_, Some(value)) => plain(value),
        };
    }

    /// The value as it was typed.
    fn take(&mut self, typed: &Values) {
        self.value = match self.input {
            Input::Several(_) => {
                let values = typed
                    .all(&self.name)
                    .map(str::trim)
                    .filter(|value| !value.is_empty());
                values.collect::<Vec<_>>().join("\n")
            }
            Input::Box => typed.get(&self.name).unwrap_or_default().to_owned(),
            Input::Secret { .. } => String::new(),
            _ => typed.text(&self.name).to_owned(),
        };
    }

    /// `Ok(None)`: nothing to be put there.
    fn meant(&self, typed: &Values) -> Result<Option<Value>, String> {
        let text = self.value.as_str();
        let whole = || {
            let number = text.parse::<u64>();
            number.map_err(|_| format!("\"{text}\" is not a whole number"))
        };
        Ok(Some(match self.sort {
            Sort::Text => json!(text),
            Sort::MaybeText => {
                if text.is_empty() {
                    Value::Null
                } else {
                    json!(text)
                }
            }
            Sort::Number => json!(whole()?),
            Sort::MaybeNumber if text.is_empty() => Value::Null,
            Sort::MaybeNumber => json!(whole()?),
            Sort::Units if text.is_empty() => return Ok(None),
            Sort::Units => {
                let point = text.replace(',', ".");
                let units: Result<Decimal, _> = point.parse();
                units.map_err(|_| format!("\"{text}\" is not a number of units"))?;
                json!(point)
            }
            Sort::Flag => json!(self.is_on()),
            Sort::MaybeTime if text.is_empty() => Value::Null,
            Sort::MaybeTime => json!(time(text)?),
            Sort::Secret => match typed.get(&self.name) {
                None | Some("") => return Ok(None),
                Some(secret) => json!(secret.trim()),
            },
            Sort::Texts => json!(text.lines().collect::<Vec<_>>()),
            Sort::Words => {
                let words = text.split(',').map(str::trim);
                json!(words.filter(|word| !word.is_empty()).collect::<Vec<_>>())
            }
            Sort::Numbers => {
                let ids = text.lines().map(|line| {
                    line.parse::<u64>()
                        .map_err(|_| format!("\"{line}\" is not an id"))
                });
                json!(ids.collect::<Result<Vec<_>, _>>()?)
            }
            Sort::Policy => match text.strip_prefix("owner:") {
                Some(shop) => json!({"owner": shop_id(shop)?}),
                None => json!(text),
            },
            Sort::StockMode => match text.strip_prefix("owned:") {
                Some(shop) => json!({"owned": {"owner": shop_id(shop)?}}),
                None => json!(text),
            },
            Sort::Rate if text.is_empty() => Value::Null,
            Sort::Rate => {
                let point = text.replace(',', ".");
                let rate: Result<Decimal, _> = point.parse();
                let rate = rate.map_err(|_| format!("\"{text}\" is not a rate in percent"))?;
                json!(rate)
            }
            Sort::Tax if text.is_empty() => json!("asItIs"),
            Sort::Tax => {
                let point = text.replace(',', ".").replace('−', "-");
                let rate: Result<Decimal, _> = point.trim().parse();
                let rate = rate.map_err(|_| format!("\"{text}\" is not a rate in percent"))?;
                if rate.is_sign_negative() {
                    json!({"takenOut": rate.abs().to_string()})
                } else {
                    json!({"added": rate.to_string()})
                }
            }
        }))
    }
}

fn shop_id(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("\"{text}\" is not a shop's id"))
}

/// "2026-05-04", "2026-05-04 09:00" (UTC) or with its zone.
fn time(text: &str) -> Result<Timestamp, String> {
    let whole = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 | 19 if !text.ends_with('Z') => format!("{}Z", text.replace(' ', "T")),
        _ => text.to_owned(),
    };
    whole
        .parse()
        .map_err(|_| format!("\"{text}\" is not a time; write it as 2026-05-04 09:00 (UTC)"))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Fields under a headline.
#[derive(Debug, Clone)]
pub struct Group {
    pub headline: &'static str,
    pub about: &'static str,
    pub fields: Vec<Field>,
}

/// A whole form, and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub struct Form {
    pub groups: Vec<Group>,
    /// Of no field on this page.
    pub problems: Vec<String>,
}

impl Form {
    pub fn group(
        &mut self,
        headline: &'static str,
        about: &'static str,
        fields: Vec<Field>,
    ) -> &mut Self {
        self.groups.push(Group {
            headline,
            about,
            fields,
        });
        self
    }

    pub fn fields_mut(&mut self) -> impl Iterator<Item = &mut Field> {
        self.groups.iter_mut().flat_map(|group| &mut group.fields)
    }

    pub fn read(&mut self, settings: &Value) {
        self.fields_mut().for_each(|field| field.read(settings));
    }

    pub fn take(&mut self, typed: &Values) {
        self.fields_mut().for_each(|field| field.take(typed));
    }

    /// Says of these secrets that they were typed and need not be typed again.
    pub fn keep(&mut self, names: &[String]) {
        let fields = self.groups.iter_mut().flat_map(|group| &mut group.fields);
        for field in fields.filter(|field| names.contains(&field.name)) {
            if let Input::Secret { kept, .. } = &mut field.input {
                *kept = true;
            }
        }
    }

    pub fn keeps(&self) -> bool {
        let mut fields = self.groups.iter().flat_map(|group| &group.fields);
        fields.any(|field| matches!(field.input, Input::Secret { kept: true, .. }))
    }

    pub fn lock(&mut self) {
        self.fields_mut().for_each(Field::lock);
    }

    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
            && self
                .groups
                .iter()
                .flat_map(|group| &group.fields)
                .all(|field| field.problem.is_none())
    }

    /// How many places have to be looked at again.
    pub fn wrong(&self) -> usize {
        let fields = self.groups.iter().flat_map(|group| &group.fields);
        self.problems.len() + fields.filter(|field| field.problem.is_some()).count()
    }

    /// Puts what was typed into the settings; what cannot be read is marked at its field.
    pub fn put(&mut self, typed: &Values, settings: &mut Value) {
        self.take(typed);
        for field in self.fields_mut().filter(|field| !field.locked) {
            match field.meant(typed) {
                Ok(Some(value)) => put(settings, &field.name, value),
                Ok(None) if field.sort == Sort::Units => take_away(settings, &field.name),
                Ok(None) => {}
                Err(problem) => field.problem = Some(problem),
            }
        }
    }

    /// Shows each problem at its field; what belongs to none stands above the form.
    pub fn mark(&mut self, problems: &[Problem]) {
        for problem in problems {
            let at = self.fields_mut().find(|field| {
                problem.path == field.name
                    || problem
                        .path
                        .strip_prefix(field.name.as_str())
                        .is_some_and(|rest| rest.starts_with(['.', '[']))
            });
            match at {
                Some(field) => {
                    let message = problem.message.clone();
                    field.problem = Some(match field.problem.take() {
                        Some(before) => format!("{before}; {message}"),
                        None => message,
                    });
                }
                None => self.problems.push(problem.to_string()),
            }
        }
    }
}

/// `customer.email`, `services[2].credentials.token`.
fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split('.').flat_map(|part| {
        let mut pieces = part.split('[');
        let key = pieces.next().filter(|key| !key.is_empty()).map(Step::Key);
        let indices =
            pieces.filter_map(|piece| piece.strip_suffix(']')?.parse().ok().map(Step::At));
        key.into_iter().chain(indices)
    })
}

enum Step<'a> {
    Key(&'a str),
    At(usize),
}

pub fn place<'a>(settings: &'a Value, path: &str) -> Option<&'a Value> {
    steps(path).try_fold(settings, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::At(at) => value.get(at),
    })
}

/// Missing objects are made; an index beyond the end appends.
pub fn put(settings: &mut Value, path: &str, meant: Value) {
    let mut value = settings;
    for step in steps(path) {
        value = match step {
            Step::Key(key) => {
                if !value.is_object() {
                    *value = Value::Object(Map::new());
                }
                &mut value[key]
            }
            Step::At(at) => {
                if !value.is_array() {
                    *value = json!([]);
                }
                let length = value.as_array().map_or(0, Vec::len);
                if at >= length
                    && let Some(rows) = value.as_array_mut()
                {
                    rows.push(Value::Null);
                }
                &mut value[at.min(length)]
            }
        };
    }
    *value = meant;
}

fn take_away(settings: &mut Value, path: &str) {
    if let Some((above, key)) = path.rsplit_once('.') {
        let mut value = settings;
        for step in steps(above) {
            let below = match step {
                Step::Key(key) => value.get_mut(key),
                Step::At(at) => value.get_mut(at),
            };
            let Some(below) = below else { return };
            value = below;
        }
        if let Some(map) = value.as_object_mut() {
            map.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(pairs: &[(&str, &str)]) -> Values {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Values(pairs.collect())
    }

    fn form() -> Form {
        let mut form = Form::default();
        form.group(
            "",
            "",
            vec![
                Field::line("customer.name", "Name", ""),
                Field::flag("customer.locked", "Locked", ""),
                Field::number("schedules.stock.pollSeconds", "Seconds", ""),
                Field::policy("policies.texts", "Texts", "", vec![]),
                Field::secret("services[0].credentials.token", "Token", "", true),
                Field::units("policies.stock.buffer.3", "Buffer", ""),
            ],
        );
        form
    }

    #[test]
    fn what_was_typed_lands_at_its_place_and_the_rest_stays() {
        let mut settings = json!({
            "customer": {"name": "Old", "locked": true, "email": "a@b.fi"},
            "services": [{"id": 3, "credentials": {"token": null}}],
            "policies": {"texts": "ask", "stock": {"buffer": {"3": "2"}}},
        });
        let mut form = form();
        form.put(
            &typed(&[
                ("customer.name", "Kahvila Oy "),
                ("schedules.stock.pollSeconds", "30"),
                ("policies.texts", "owner:3"),
                ("services[0].credentials.token", "s3cret"),
            ]),
            &mut settings,
        );
        assert!(form.is_good());
        assert_eq!(
            settings,
            json!({
                "customer": {"name": "Kahvila Oy", "locked": false, "email": "a@b.fi"},
                "services": [{"id": 3, "credentials": {"token": "s3cret"}}],
                "policies": {"texts": {"owner": 3}, "stock": {"buffer": {}}},
                "schedules": {"stock": {"pollSeconds": 30}},
            })
        );
    }

    #[test]
    fn what_cannot_be_read_is_marked_and_shown_again_but_a_secret_is_not() {
        let mut form = form();
        let mut settings = json!({});
        form.put(
            &typed(&[
                ("schedules.stock.pollSeconds", "often"),
                ("services[0].credentials.token", "s3cret"),
            ]),
            &mut settings,
        );
        assert_eq!(form.wrong(), 1);
        let html: String = form.fields_mut().map(|field| field.to_string()).collect();
        assert!(html.contains("value=\"often\""), "{html}");
        assert!(html.contains("is not a whole number"), "{html}");
        assert!(!html.contains("s3cret"), "{html}");
    }

    #[test]
    fn a_problem_is_shown_at_its_field_or_above() {
        let mut form = form();
        form.mark(&[
            Problem::new("customer.name", "a customer needs a name"),
            Problem::new("stocks[0].id", "taken"),
        ]);
        let name = form.fields_mut().next().unwrap();
        assert_eq!(name.problem.as_deref(), Some("a customer needs a name"));
        assert_eq!(form.problems, ["stocks[0].id: taken"]);
    }

    #[test]
    fn a_time_is_read_as_people_write_it() {
        for text in [
            "2026-05-04",
            "2026-05-04 00:00",
            "2026-05-04T02:00:00+02:00",
        ] {
            assert_eq!(
                time(text).unwrap().to_string(),
                "2026-05-04T00:00:00Z",
                "{text}"
            );
        }
        assert!(time("tomorrow").is_err());
    }
}
