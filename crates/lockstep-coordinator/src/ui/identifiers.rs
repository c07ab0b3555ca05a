//! What bears another id in each shop: a table with a row for each of ours and a column for each shop, whose
//! identifiers are picked from the lists that the shop itself gives. A shop that cannot be read now gets
//! text fields and a note.

use super::{
    Shared, Ui,
    api::Caller,
    customer_form::{Edit, Saved, shown},
    failure::Failure,
    form::{Choice, Field, Input},
    frame::{Frame, Tab},
    session::{Posted, Values, Visitor, said},
    urls,
};
use askama::Template;
use axum::{
    extract::{self, Path, Query},
    response::Response,
};
use lockstep_model::{
    CustomerId, Named, ShopId, ShopIdentity,
    settings::{CustomerSettings, Mappable, Problem as Wrong},
};
use lockstep_protocol::{Code, Problem, paths::people, people::shops::ListsReply};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// One of the identifier sections.
struct Section {
    slug: &'static str,
    label: &'static str,
    one: &'static str,
    about: &'static str,
    /// In the settings.
    rows: &'static str,
    identifiers: &'static str,
    of: &'static str,
    extras: &'static [Extra],
    list: fn(&ShopIdentity) -> &[Named],
}

#[derive(Clone, Copy)]
enum Extra {
    Text(&'static str, &'static str),
    Number(&'static str, &'static str),
    Flag(&'static str, &'static str),
    Stock(&'static str, &'static str),
    /// Where a shop version is in use.
    InUse,
}

const SECTIONS: [Section; 7] = [
    Section {
        slug: "stocks",
        label: "Stocks",
        one: "stock",
        about: "A warehouse. A shop's level is read from and written to the stock that is named here; a stock that no row names is not kept in step.",
        rows: "stocks",
        identifiers: "stockServiceIdentifiers",
        of: "stockId",
        extras: &[],
        list: |shop| &shop.stocks,
    },
    Section {
        slug: "branches",
        label: "Branches",
        one: "branch",
        about: "A place of business. Orders are booked to the branch that the receiving shop knows by this identifier.",
        rows: "branches",
        identifiers: "branchServiceIdentifiers",
        of: "branchId",
        extras: &[],
        list: |shop| &shop.branches,
    },
    Section {
        slug: "shop-versions",
        label: "Shop versions",
        one: "shop version",
        about: "A language, a currency and a visibility that a shop sells under.",
        rows: "shopVersions",
        identifiers: "shopVersionServiceIdentifiers",
        of: "shopVersionId",
        extras: &[
            Extra::Text("language", "Language"),
            Extra::Text("currency", "Currency"),
            Extra::Flag("hidden", "Hidden"),
            Extra::InUse,
        ],
        list: |shop| &shop.shop_versions,
    },
    Section {
        slug: "shipping-methods",
        label: "Shipping methods",
        one: "shipping method",
        about: "An order that crosses bears the receiving shop's identifier of its method; one that is not named here is held. The product carries the cost where the receiver has no shipping line.",
        rows: "shippingMethods",
        identifiers: "shippingMethodServiceIdentifiers",
        of: "shippingMethodId",
        extras: &[Extra::Text("productId", "Cost as product (SKU)")],
        list: |shop| &shop.shipping_methods,
    },
    Section {
        slug: "payment-terms",
        label: "Payment terms",
        one: "payment term",
        about: "Until when an invoice order has to be paid. One that names its term is held until the receiving shop's identifier of it stands here; one that names none gets the first.",
        rows: "paymentTerms",
        identifiers: "paymentTermServiceIdentifiers",
        of: "paymentTermId",
        extras: &[Extra::Number("dueDays", "Days until due")],
        list: |shop| &shop.payment_terms,
    },
    Section {
        slug: "payment-methods",
        label: "Payment methods",
        one: "payment method",
        about: "An order that crosses bears the receiving shop's identifier of the way it was paid; one that is not named here is held. The product carries its cost where the receiver has no fee line.",
        rows: "paymentMethods",
        identifiers: "paymentMethodServiceIdentifiers",
        of: "paymentMethodId",
        extras: &[Extra::Text("productId", "Cost as product (SKU)")],
        list: |shop| &shop.payment_methods,
    },
    Section {
        slug: "shelves",
        label: "Shelves",
        one: "shelf",
        about: "A place within a stock, printed on picking lists: the location text of a level.",
        rows: "shelves",
        identifiers: "shelfServiceIdentifiers",
        of: "shelfId",
        extras: &[Extra::Stock("stockId", "Stock")],
        list: |shop| &shop.shelves,
    },
];

/// Empty rows at the end of the table.
const NEW_ROWS: usize = 2;

/// What shops said of themselves a moment ago.
#[derive(Default)]
pub struct Lists {
    read: Mutex<HashMap<(CustomerId, ShopId), (Instant, Asked)>>,
}

pub(super) type Asked = Result<Arc<ShopIdentity>, String>;

const LIST_AGE_MAX: Duration = Duration::from_secs(60);
const FAILURE_AGE_MAX: Duration = Duration::from_secs(5);
const LISTS_MAX: usize = 256;
/// A person waits no longer than this for the form.
const LIST_WAIT: Duration = Duration::from_secs(4);

impl Lists {
    fn known(&self, key: (CustomerId, ShopId)) -> Option<Asked> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, list) = read.get(&key)?;
        let age_max = if list.is_ok() {
            LIST_AGE_MAX
        } else {
            FAILURE_AGE_MAX
        };
        (at.elapsed() < age_max).then(|| list.clone())
    }

    fn keep(&self, key: (CustomerId, ShopId), list: &Asked) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.len() >= LISTS_MAX {
            read.retain(|_, (at, _)| at.elapsed() < LIST_AGE_MAX);
        }
        if read.len() < LISTS_MAX {
            read.insert(key, (Instant::now(), list.clone()));
        }
    }

    pub(super) async fn of(
        &self,
        caller: &Caller,
        customer: CustomerId,
        shop: ShopId,
        anew: bool,
    ) -> Asked {
        let key = (customer, shop);
        if let Some(list) = self.known(key).filter(|_| !anew) {
            return list;
        }
        let path = urls::path(people::SHOP_LISTS, &[&customer, &shop]);
        let asked = tokio::time::timeout(LIST_WAIT, caller.get::<ListsReply>(&path));
        let list = match asked.await {
            Ok(Ok(reply)) => Ok(Arc::new(reply.identity)),
            Ok(Err(problem)) => Err(said(&problem)),
            Err(_) => Err("It did not answer in time.".to_owned()),
        };
        self.keep(key, &list);
        list
    }
}

#[derive(Template)]
#[template(path = "identifiers.html")]
struct Page {
    frame: Frame,
    sections: Vec<Tab>,
    headline: &'static str,
    one: &'static str,
    about: &'static str,
    grid: Grid,
    action: String,
    again: String,
    revision: u64,
    may_edit: bool,
    shops_href: String,
}

pub struct Grid {
    extras: Vec<&'static str>,
    shops: Vec<Column>,
    rows: Vec<Row>,
    problems: Vec<String>,
}

struct Column {
    shop: ShopId,
    name: String,
    /// Why its identifiers have to be typed.
    note: Option<String>,
    choices: Vec<Choice>,
}

struct Row {
    id: u64,
    is_new: bool,
    path: String,
    name: Field,
    extras: Vec<Field>,
    cells: Vec<Field>,
    problem: Option<String>,
}

/// Where in the JSON a row's parts were put, to bring problems back to their cells.
struct Placed {
    path: String,
    row: usize,
    cell: Option<usize>,
}

fn section(slug: &str) -> Result<&'static Section, Failure> {
    SECTIONS
        .iter()
        .find(|section| section.slug == slug)
        .ok_or_else(|| Failure::not_found("such list of identifiers"))
}

async fn columns(
    ui: &Ui,
    caller: &Caller,
    settings: &CustomerSettings,
    section: &Section,
    anew: bool,
) -> Vec<Column> {
    let asked = settings.shops().map(|(shop, _)| async move {
        let List { choices, note } =
            list_of(ui, caller, settings.id(), shop.id, section, anew).await;
        Column {
            shop: shop.id,
            name: shop.name.clone(),
            note,
            choices,
        }
    });
    futures::future::join_all(asked).await
}

/// What a shop lists now, to pick from.
pub struct List {
    pub choices: Vec<Choice>,
    /// Why there is nothing to pick from.
    pub note: Option<String>,
}

async fn list_of(
    ui: &Ui,
    caller: &Caller,
    customer: CustomerId,
    shop: ShopId,
    section: &Section,
    anew: bool,
) -> List {
    let asked = ui.lists.of(caller, customer, shop, anew).await;
    listed(asked.map(|identity| (section.list)(&identity).to_vec()))
}

fn listed(asked: Result<Vec<Named>, String>) -> List {
    match asked {
        Ok(named) => {
            let choices = named.iter().map(|each| {
                let label = if each.name.is_empty() || each.name == each.id.as_str() {
                    each.id.to_string()
                } else {
                    format!("{} ({})", each.name, each.id)
                };
                Choice::new(&each.id, label)
            });
            let choices: Vec<Choice> = choices.collect();
            let none = choices.is_empty();
            List {
                choices,
                note: none.then(|| "has no list of these.".to_owned()),
            }
        }
        Err(why) => List {
            choices: Vec::new(),
            note: Some(format!("cannot be read now: {why} Type its identifiers.")),
        },
    }
}

/// What a shop calls its methods, rates …
pub async fn words_of(
    ui: &Ui,
    caller: &Caller,
    customer: CustomerId,
    shop: ShopId,
    what: Mappable,
) -> List {
    let asked = ui.lists.of(caller, customer, shop, false).await;
    listed(asked.map(|identity| what.listed(&identity)))
}

/// The cell of one of our rows in one shop.
fn cell(path: &str, column: &Column, value: &str) -> Field {
    let name = format!("{path}.shop[{}]", column.shop);
    if column.choices.is_empty() {
        return Field::line(name, &column.name, "").at(value);
    }
    let mut choices = vec![Choice::new("", "—")];
    choices.extend(column.choices.iter().cloned());
    if !value.is_empty() && !choices.iter().any(|choice| choice.value == value) {
        choices.push(Choice::new(value, format!("{value} (not there any more)")));
    }
    Field::choice(name, &column.name, "", choices).at(value)
}

fn text_of(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(true)) => "on".into(),
        None | Some(Value::Null | Value::Bool(false)) => String::new(),
        Some(other) => other.to_string(),
    }
}

fn rows_of<'a>(json: &'a Value, key: &str) -> &'a [Value] {
    json.get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn number(row: &Value, key: &str) -> Option<u64> {
    row.get(key).and_then(Value::as_u64)
}

impl Section {
    fn extra_field(
        &self,
        extra: Extra,
        path: &str,
        settings: &CustomerSettings,
        columns: &[Column],
    ) -> Field {
        match extra {
            Extra::Text(key, label) => Field::line(format!("{path}.{key}"), label, ""),
            Extra::Number(key, label) => Field::number(format!("{path}.{key}"), label, ""),
            Extra::Flag(key, label) => Field::flag(format!("{path}.{key}"), label, ""),
            Extra::Stock(key, label) => {
                let mut choices = vec![Choice::new("", "—")];
                let stocks = settings.stocks.iter();
                choices.extend(stocks.map(|stock| Choice::new(stock.id, &stock.name)));
                Field::choice(format!("{path}.{key}"), label, "", choices)
            }
            Extra::InUse => {
                let mut choices = vec![Choice::new("all", "every shop")];
                let shops = columns.iter();
                choices.extend(shops.map(|column| Choice::new(column.shop, &column.name)));
                Field::several(format!("{path}.inUse"), "In use", "", choices)
            }
        }
    }

    fn extra_value(&self, extra: Extra, row: &Value, json: &Value) -> String {
        match extra {
            Extra::Text(key, _)
            | Extra::Number(key, _)
            | Extra::Flag(key, _)
            | Extra::Stock(key, _) => text_of(row.get(key)),
            Extra::InUse => {
                let id = number(row, "id");
                let used = rows_of(json, "activeShopVersions")
                    .iter()
                    .filter(|active| number(active, "shopVersionId") == id);
                let shops = used.map(|active| match number(active, "serviceId") {
                    Some(shop) => shop.to_string(),
                    None => "all".into(),
                });
                shops.collect::<Vec<_>>().join("\n")
            }
        }
    }

    fn labels(&self) -> Vec<&'static str> {
        let extras = self.extras.iter();
        extras
            .map(|extra| match extra {
                Extra::Text(_, label)
                | Extra::Number(_, label)
                | Extra::Flag(_, label)
                | Extra::Stock(_, label) => label,
                Extra::InUse => "In use",
            })
            .collect()
    }

    /// The table as the settings have it.
    fn grid(&self, edit: &Edit, columns: Vec<Column>) -> Grid {
        let json = &edit.json;
        let mut rows = Vec::new();
        for (at, row) in rows_of(json, self.rows).iter().enumerate() {
            let id = number(row, "id").unwrap_or(0);
            let value = |column: &Column| {
                rows_of(json, self.identifiers)
                    .iter()
                    .find(|each| {
                        number(each, self.of) == Some(id)
                            && number(each, "serviceId") == Some(column.shop.0)
                    })
                    .map_or_else(String::new, |each| text_of(each.get("identifier")))
            };
            let path = format!("row[{at}]");
            rows.push(Row {
                id,
                is_new: false,
                name: Field::line(format!("{path}.name"), "Name", "").at(text_of(row.get("name"))),
                extras: self
                    .extras
                    .iter()
                    .map(|extra| {
                        self.extra_field(*extra, &path, edit.settings(), &columns)
                            .at(self.extra_value(*extra, row, json))
                    })
                    .collect(),
                cells: columns
                    .iter()
                    .map(|column| cell(&path, column, &value(column)))
                    .collect(),
                path,
                problem: None,
            });
        }
        for _ in 0..NEW_ROWS {
            let path = format!("row[{}]", rows.len());
            let row = self.row(path, edit.settings(), &columns, 0, &Values::default());
            rows.push(row);
        }
        let mut grid = Grid {
            extras: self.labels(),
            shops: columns,
            rows,
            problems: Vec::new(),
        };
        if !edit.may_edit() {
            grid.lock();
        }
        grid
    }

    /// A row as it was typed.
    fn row(
        &self,
        path: String,
        settings: &CustomerSettings,
        columns: &[Column],
        id: u64,
        typed: &Values,
    ) -> Row {
        let of = |name: &str| typed.text(name).to_owned();
        let extras = self.extras.iter().map(|extra| {
            let field = self.extra_field(*extra, &path, settings, columns);
            let value = match extra {
                Extra::InUse => typed.all(&field.name).collect::<Vec<_>>().join("\n"),
                _ => of(&field.name),
            };
            field.at(value)
        });
        let name = format!("{path}.name");
        let typed_name = of(&name);
        Row {
            id,
            is_new: id == 0,
            name: Field::line(name, "Name", "").at(typed_name),
            extras: extras.collect(),
            cells: columns
                .iter()
                .map(|column| cell(&path, column, &of(&format!("{path}.shop[{}]", column.shop))))
                .collect(),
            problem: None,
            path,
        }
    }

    /// Puts the typed table in the place of the stored one.
    fn put(&self, edit: &mut Edit, columns: Vec<Column>, typed: &Values) -> (Grid, Vec<Placed>) {
        let settings = edit.settings().clone();
        let highest = |rows: &[Value]| rows.iter().filter_map(|row| number(row, "id")).max();
        let mut next_id = highest(rows_of(&edit.json, self.rows)).unwrap_or(0) + 1;
        let stored = rows_of(&edit.json, self.identifiers).to_vec();
        let mut next_row = highest(&stored).unwrap_or(0) + 1;
        let active = rows_of(&edit.json, "activeShopVersions").to_vec();
        let mut next_active = highest(&active).unwrap_or(0) + 1;
        // What belongs to shops that have no column (switched off ones) stays as it was.
        let shown: Vec<u64> = columns.iter().map(|column| column.shop.0).collect();
        let hidden =
            |row: &Value| number(row, "serviceId").is_some_and(|shop| !shown.contains(&shop));
        let mut kept_ids = Vec::new();
        let (mut rows, mut identifiers, mut uses) = (Vec::new(), Vec::new(), Vec::new());
        let (mut grid_rows, mut placed) = (Vec::new(), Vec::new());
        let count = typed
            .text("rows")
            .parse::<usize>()
            .unwrap_or(0)
            .min(ROWS_MAX);
        for at in 0..count {
            let path = format!("row[{at}]");
            let known: u64 = typed.text(&format!("{path}.id")).parse().unwrap_or(0);
            let mut row = self.row(path.clone(), &settings, &columns, known, typed);
            if typed.has(&format!("{path}.remove")) {
                continue;
            }
            if known == 0 && row.is_blank() {
                continue;
            }
            if row.name.value.is_empty() {
                row.name.problem = Some(format!("a {} needs a name", self.one));
            }
            let id = if known == 0 { next_id } else { known };
            next_id = next_id.max(id + 1);
            kept_ids.push(id);
            let shown_at = grid_rows.len();
            placed.push(Placed {
                path: format!("{}[{}]", self.rows, rows.len()),
                row: shown_at,
                cell: None,
            });
            rows.push(self.row_json(id, &mut row));
            for (nth, (column, cell)) in columns.iter().zip(&row.cells).enumerate() {
                if cell.value.is_empty() {
                    continue;
                }
                let before = stored.iter().find(|each| {
                    number(each, self.of) == Some(id)
                        && number(each, "serviceId") == Some(column.shop.0)
                });
                let row_id = before
                    .and_then(|each| number(each, "id"))
                    .unwrap_or_else(|| {
                        next_row += 1;
                        next_row - 1
                    });
                placed.push(Placed {
                    path: format!("{}[{}]", self.identifiers, identifiers.len()),
                    row: shown_at,
                    cell: Some(nth),
                });
                identifiers.push(json!({
                    "id": row_id,
                    (self.of): id,
                    "serviceId": column.shop,
                    "identifier": cell.value,
                }));
            }
            for used in typed.all(&format!("{path}.inUse")) {
                let shop = used.parse::<u64>().ok();
                let before = active.iter().find(|each| {
                    number(each, "shopVersionId") == Some(id) && number(each, "serviceId") == shop
                });
                let row_id = before
                    .and_then(|each| number(each, "id"))
                    .unwrap_or_else(|| {
                        next_active += 1;
                        next_active - 1
                    });
                uses.push(json!({"id": row_id, "shopVersionId": id, "serviceId": shop}));
            }
            grid_rows.push(row);
        }
        let still = |row: &&Value, of: &str| {
            hidden(row) && number(row, of).is_some_and(|id| kept_ids.contains(&id))
        };
        identifiers.extend(stored.iter().filter(|row| still(row, self.of)).cloned());
        edit.json[self.rows] = Value::Array(rows);
        edit.json[self.identifiers] = Value::Array(identifiers);
        if self
            .extras
            .iter()
            .any(|extra| matches!(extra, Extra::InUse))
        {
            uses.extend(
                active
                    .iter()
                    .filter(|row| still(row, "shopVersionId"))
                    .cloned(),
            );
            edit.json["activeShopVersions"] = Value::Array(uses);
        }
        for _ in 0..NEW_ROWS {
            let path = format!("row[{}]", count + grid_rows.len());
            grid_rows.push(self.row(path, &settings, &columns, 0, &Values::default()));
        }
        let grid = Grid {
            extras: self.labels(),
            shops: columns,
            rows: grid_rows,
            problems: Vec::new(),
        };
        (grid, placed)
    }

    fn row_json(&self, id: u64, row: &mut Row) -> Value {
        let mut object = Map::new();
        object.insert("id".into(), json!(id));
        object.insert("name".into(), json!(row.name.value));
        for (extra, field) in self.extras.iter().zip(&mut row.extras) {
            let (key, value) = match extra {
                Extra::InUse => continue,
                Extra::Text(key, _) if field.value.is_empty() => (*key, Value::Null),
                Extra::Text(key, _) => (*key, json!(field.value)),
                Extra::Flag(key, _) => (*key, json!(field.is_on())),
                Extra::Number(key, _) | Extra::Stock(key, _) => {
                    let number = field.value.parse::<u64>().ok();
                    if number.is_none() && !field.value.is_empty() {
                        field.problem = Some(format!("\"{}\" is not a whole number", field.value));
                    }
                    match (extra, number) {
                        (Extra::Number(..), number) => (*key, json!(number.unwrap_or(0))),
                        (_, number) => (*key, json!(number)),
                    }
                }
            };
            object.insert(key.into(), value);
        }
        Value::Object(object)
    }
}

/// The settings' own bound on rows.
const ROWS_MAX: usize = 10_000;

impl Row {
    fn is_blank(&self) -> bool {
        let fields = self.extras.iter().chain(&self.cells);
        self.name.value.is_empty() && fields.into_iter().all(|field| field.value.is_empty())
    }

    fn fields(&self) -> impl Iterator<Item = &Field> {
        [&self.name]
            .into_iter()
            .chain(&self.extras)
            .chain(&self.cells)
    }
}

impl Grid {
    fn lock(&mut self) {
        for row in &mut self.rows {
            row.name.lock();
            row.extras
                .iter_mut()
                .chain(&mut row.cells)
                .for_each(Field::lock);
        }
    }

    fn is_good(&self) -> bool {
        self.problems.is_empty()
            && self.rows.iter().all(|row| {
                row.problem.is_none() && row.fields().all(|field| field.problem.is_none())
            })
    }

    fn wrong(&self) -> usize {
        let rows = self.rows.iter();
        let in_rows: usize = rows
            .map(|row| {
                let fields = row.fields().filter(|field| field.problem.is_some());
                fields.count() + usize::from(row.problem.is_some())
            })
            .sum();
        self.problems.len() + in_rows
    }

    /// Brings each problem to the cell that it is about.
    fn mark(&mut self, problems: &[Wrong], placed: &[Placed]) {
        let by_path: BTreeMap<&str, &Placed> = placed
            .iter()
            .map(|each| (each.path.as_str(), each))
            .collect();
        for problem in problems {
            let (place, rest) = match problem.path.split_once(']') {
                Some((before, rest)) => (format!("{before}]"), rest.trim_start_matches('.')),
                None => (problem.path.clone(), ""),
            };
            let Some(placed) = by_path.get(place.as_str()) else {
                self.problems.push(problem.to_string());
                continue;
            };
            let Some(row) = self.rows.get_mut(placed.row) else {
                self.problems.push(problem.to_string());
                continue;
            };
            let message = Some(problem.message.clone());
            let suffix = format!(".{rest}");
            match placed.cell {
                Some(cell) if cell < row.cells.len() => row.cells[cell].problem = message,
                _ if rest == "name" => row.name.problem = message,
                _ => match row
                    .extras
                    .iter_mut()
                    .find(|extra| extra.name.ends_with(&suffix))
                {
                    Some(extra) => extra.problem = message,
                    None => row.problem = message,
                },
            }
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct IdentifiersQuery {
    again: Option<String>,
}

pub async fn show(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path((customer, slug)): Path<(CustomerId, String)>,
    Query(query): Query<IdentifiersQuery>,
) -> Result<Response, Failure> {
    let section = section(&slug)?;
    let edit = Edit::load(visitor, customer).await?;
    let anew = query.again.is_some();
    let columns = columns(&ui, &edit.visitor.caller, edit.settings(), section, anew).await;
    let grid = section.grid(&edit, columns);
    Ok(page(&ui, &edit, section, grid).await)
}

async fn page(ui: &Ui, edit: &Edit, section: &'static Section, grid: Grid) -> Response {
    let customer = edit.id();
    let frame = edit.frame(ui, section.label, "identifiers").await;
    let action = urls::identifiers(customer, section.slug);
    let wrong = !grid.is_good();
    let sections = SECTIONS.iter().map(|each| Tab {
        label: each.label,
        href: urls::identifiers(customer, each.slug),
        current: each.slug == section.slug,
    });
    let page = Page {
        sections: sections.collect(),
        headline: section.label,
        one: section.one,
        about: section.about,
        grid,
        again: urls::with_query(&action, &[("again", "1")]),
        action,
        revision: edit.revision(),
        may_edit: edit.may_edit(),
        shops_href: urls::of_customer(customer, "shops"),
        frame,
    };
    shown(page, wrong)
}

pub async fn save(
    extract::State(ui): extract::State<Shared>,
    Path((customer, slug)): Path<(CustomerId, String)>,
    posted: Posted,
) -> Result<Response, Failure> {
    let section = section(&slug)?;
    let (mut edit, typed) = Edit::posted(posted, customer).await?;
    let columns = columns(&ui, &edit.visitor.caller, edit.settings(), section, false).await;
    let (mut grid, placed) = section.put(&mut edit, columns, &typed);
    if grid.is_good() {
        match edit.apply().await {
            Ok(reply) => {
                return Ok(edit.saved(
                    &Saved::just(reply),
                    &urls::identifiers(customer, section.slug),
                ));
            }
            Err(problem) => mark(&mut edit, &mut grid, &problem, &placed),
        }
    }
    Ok(page(&ui, &edit, section, grid).await)
}

fn mark(edit: &mut Edit, grid: &mut Grid, problem: &Problem, placed: &[Placed]) {
    if problem.code == Code::InvalidSettings && !problem.problems.is_empty() {
        grid.mark(&problem.problems, placed);
        return;
    }
    let mut form = super::form::Form::default();
    edit.mark(&mut form, problem);
    grid.problems.append(&mut form.problems);
}
