//! The `customer` section as a form, and what all settings forms share: load, put, save, show again.

use super::{
    Shared, Ui,
    api::Caller,
    customers::view,
    failure::{Failure, Shown},
    form::{Choice, Field, Form},
    frame::Frame,
    preview,
    session::{Posted, Values, Visitor, said, went_well},
    urls,
    widgets::{State, When},
    workers::applied_state,
};
use askama::Template;
use axum::{
    extract::{self, Path},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use http::Method;
use lockstep_model::{
    CustomerId,
    settings::{Customer, CustomerSettings},
};
use lockstep_protocol::{
    Code, Problem,
    paths::people,
    people::{
        customers::{ApplyReply, CustomerView},
        plan::Preview,
        workers::WorkerList,
    },
};
use serde_json::Value;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Every page of a customer's settings.
#[derive(Template)]
#[template(path = "form.html")]
pub struct FormPage {
    pub frame: Frame,
    pub headline: String,
    pub about: &'static str,
    pub form: Form,
    pub action: String,
    pub revision: u64,
    pub applied: Option<State>,
    pub updated: Option<When>,
    pub button: &'static str,
    /// What would follow, which has to be seen before it is saved.
    pub previewed: Option<preview::Shown>,
    pub may_edit: bool,
    pub locked: bool,
}

/// A customer, loaded to be edited.
pub struct Edit {
    pub visitor: Visitor,
    pub view: CustomerView,
    /// The settings as JSON, without secrets: what is not touched comes back as it was.
    pub json: Value,
    /// As they are stored.
    stored: Value,
    /// The revision that the form was made from.
    revision: u64,
    /// The settings that the person has seen the consequences of.
    seen: String,
}

/// What became of settings that were sent.
pub enum Sent {
    Saved(Saved),
    /// Not saved: what would follow is to be seen first.
    ToBeSeen(preview::Shown),
    /// Not saved: the person goes back to what was typed.
    Back,
}

/// They are saved; and what of it is worth a sentence.
pub struct Saved {
    reply: ApplyReply,
    remark: &'static str,
}

impl Saved {
    pub fn just(reply: ApplyReply) -> Self {
        Saved { reply, remark: "" }
    }
}

impl Edit {
    pub async fn load(visitor: Visitor, customer: CustomerId) -> Result<Self, Failure> {
        let view = view(&visitor.caller, customer).await?;
        let json = json_of(&view.settings)?;
        Ok(Edit {
            revision: view.row.revision.0,
            visitor,
            view,
            stored: json.clone(),
            json,
            seen: String::new(),
        })
    }

    pub async fn posted(posted: Posted, customer: CustomerId) -> Result<(Self, Values), Failure> {
        let Posted { visitor, values } = posted;
        let mut edit = Self::load(visitor, customer).await?;
        if let Ok(revision) = values.text("revision").parse() {
            edit.revision = revision;
        }
        values.text("shown").clone_into(&mut edit.seen);
        Ok((edit, values))
    }

    pub fn settings(&self) -> &CustomerSettings {
        &self.view.settings
    }

    pub fn id(&self) -> CustomerId {
        self.view.row.id
    }

    pub fn may_edit(&self) -> bool {
        self.visitor.operates() || (self.visitor.may_edit() && !self.view.row.locked)
    }

    /// Shows the settings as they are.
    pub fn shown(&self, mut form: Form) -> Form {
        form.read(&self.json);
        if !self.may_edit() {
            form.lock();
        }
        form
    }

    /// Saves what is put together, unless something would follow from it in the shops that was not seen yet.
    pub async fn send(&self, typed: &Values) -> Result<Sent, Problem> {
        if typed.has("back") {
            return Ok(Sent::Back);
        }
        let of = fingerprint(&self.json);
        let mut remark = "";
        if self.seen != of && self.may_move_shops() {
            let path = urls::path(people::PREVIEW, &[&self.id()]);
            let shown: Result<Preview, Problem> = self.visitor.caller.post(&path, &self.json).await;
            match shown {
                Ok(preview) if preview.is_nothing() && preview.untold.is_empty() => {
                    remark = " Nothing in any shop follows from it.";
                }
                Ok(preview) => {
                    let shown = preview::Shown::new(of, preview, &self.view);
                    return Ok(Sent::ToBeSeen(shown));
                }
                // Nobody is there who would write anything.
                Err(problem) if problem.code == Code::NoWorker => {
                    remark = " No worker is connected that could say what follows: make a plan once one is.";
                }
                Err(problem) if is_of_the_worker(problem.code) => {
                    return Ok(Sent::ToBeSeen(preview::Shown::unable(of, &problem)));
                }
                // What refuses a save, refused before.
                Err(problem) => return Err(problem),
            }
        }
        let reply = self.apply().await?;
        Ok(Sent::Saved(Saved { reply, remark }))
    }

    /// Something could follow in the shops: they are two or more, and what is other than it was is not the schedules alone.
    fn may_move_shops(&self) -> bool {
        if self.settings().shops().count() < 2 {
            return false;
        }
        let decisive = |json: &Value| {
            let mut json = json.clone();
            if let Some(sections) = json.as_object_mut() {
                sections.remove("schedules");
            }
            json
        };
        decisive(&self.stored) != decisive(&self.json)
    }

    pub async fn apply(&self) -> Result<ApplyReply, Problem> {
        let path = urls::path(people::CUSTOMER, &[&self.id()]);
        self.visitor
            .caller
            .send(Method::PUT, &path, &self.json, Some(self.revision))
            .await
    }

    pub fn mark(&mut self, form: &mut Form, problem: &Problem) {
        match problem.code {
            Code::InvalidSettings if !problem.problems.is_empty() => form.mark(&problem.problems),
            Code::OldRevision => {
                form.problems.push(format!(
                    "Somebody saved revision {} after you opened this page. What you typed still stands here, on top of theirs: look through it, then save again.",
                    self.view.row.revision
                ));
                self.revision = self.view.row.revision.0;
            }
            _ => form.problems.push(said(problem)),
        }
    }

    pub fn saved(&self, Saved { reply, remark }: &Saved, to: &str) -> Response {
        let told = if reply.changed {
            format!(
                "Saved as revision {}. The worker has it within seconds.{remark}",
                reply.revision
            )
        } else {
            format!(
                "Nothing differs from revision {}; it stays.",
                reply.revision
            )
        };
        went_well(to, told)
    }

    pub async fn frame(&self, ui: &Ui, title: &str, page: &'static str) -> Frame {
        let name = &self.view.row.name;
        Frame::of(
            ui,
            &self.visitor,
            &format!("{title} of {name}"),
            "customers",
        )
        .await
        .within(self.id(), name, page)
    }

    pub async fn page(
        &self,
        ui: &Ui,
        headline: &str,
        about: &'static str,
        page: &'static str,
        form: Form,
        previewed: Option<preview::Shown>,
    ) -> Response {
        let frame = self.frame(ui, headline, page).await;
        let wrong = !form.is_good();
        let row = &self.view.row;
        let page = FormPage {
            headline: headline.into(),
            about,
            form,
            action: urls::of_customer(self.id(), page),
            revision: self.revision,
            applied: Some(applied_state(row.revision, row.applied.as_ref())),
            updated: Some(When::new(self.view.updated_at, frame.now)),
            button: "Save",
            previewed,
            may_edit: self.may_edit(),
            locked: row.locked,
            frame,
        };
        shown(page, wrong)
    }

    pub fn revision(&self) -> u64 {
        self.revision
    }
}

/// 422 if something has to be looked at again.
pub fn shown(page: impl Template, wrong: bool) -> Response {
    let mut response = Shown(page).into_response();
    if wrong {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    response
}

pub fn json_of(settings: &CustomerSettings) -> Result<Value, Failure> {
    serde_json::to_value(settings).map_err(|error| {
        tracing::error!(%error, "settings cannot be written as JSON");
        Failure::new(Code::Internal, "These settings cannot be shown.")
    })
}

async fn worker_choices(caller: &Caller) -> Vec<Choice> {
    let mut choices = vec![Choice::new("", "any worker")];
    match caller.get::<WorkerList>(people::WORKERS).await {
        Ok(list) => choices.extend(
            list.workers
                .iter()
                .map(|each| Choice::new(each.id, &each.name)),
        ),
        Err(problem) => tracing::debug!(%problem, "no workers to choose from"),
    }
    choices
}

fn form(settings: &CustomerSettings, workers: Vec<Choice>) -> Form {
    let pick = |none: &str, rows: Vec<(String, String)>| {
        let mut choices = vec![Choice::new("", none)];
        choices.extend(rows.into_iter().map(|(id, name)| Choice::new(id, name)));
        choices
    };
    let branches = settings.branches.iter();
    let branches = pick(
        "none",
        branches
            .map(|row| (row.id.to_string(), row.name.clone()))
            .collect(),
    );
    let stocks = settings.stocks.iter();
    let stocks = pick(
        "none",
        stocks
            .map(|row| (row.id.to_string(), row.name.clone()))
            .collect(),
    );
    let mut form = Form::default();
    form.group("Who", "", vec![
        Field::line("customer.name", "Name", "As everybody here calls the customer."),
        Field::email("customer.email", "E-mail", "Where messages about this customer go."),
        Field::line("customer.username", "Login", "The login of the customer's own people; empty: none."),
    ])
    .group("What is synced", "A switch that is turned off ends a run of that flow at its next step; what was sent is still awaited and written down.", vec![
        Field::flag("customer.enableSyncing", "Syncing", "Off: no run starts for this customer."),
        Field::flag("customer.syncProducts", "Products", "Products, variants, prices and texts."),
        Field::flag("customer.syncCategories", "Categories", "The category tree, and which product is in which category."),
        Field::flag("customer.syncPictures", "Pictures", "Product pictures, compared by what is in them."),
        Field::flag("customer.syncOrders", "Orders", "Orders cross to the receiving shop and their states come back. Off: they wait. They are still read, without the buyers, because stock cannot be right without them, and the receiving shop's own stock is not lowered for one before it crosses."),
        Field::flag("customer.locked", "Locked", "No run starts, and only an operator may edit."),
    ])
    .group("Where it belongs", "", vec![
        Field::id("customer.stockId", "Stock", "Levels are read from and written to this stock where a shop's identifiers say nothing else.", stocks),
        Field::id("customer.branchId", "Branch", "Orders are booked to this branch where an identifier says nothing else.", branches),
        Field::flag("customer.createRootCategory", "Own root category", "The synced category tree hangs under a root category that bears the customer's name and is made if it is missing."),
        Field::maybe("customer.rootCategoryId", "Root category", "… or under this one: our key of the category, or its id in the shop that is written to. Not both."),
    ])
    .group("Selling", "", vec![
        Field::flag("customer.productBackOrderEnabled", "Products below zero", "Products may be sold when none are left."),
        Field::flag("customer.variationBackOrderEnabled", "Variants below zero", "Variants may be sold when none are left."),
        Field::flag("customer.ignoreProductStatusForStockUpdate", "Stock of drafts too", "Levels are written for drafts and disabled products as well."),
    ])
    .group("Orders that cross", "", vec![
        Field::maybe("customer.discountProductId", "Discount product", "SKU of the product that carries an order's discount where the receiving shop has no discounts."),
        Field::maybe("customer.roundingProductId", "Rounding product", "SKU of the product that carries a rounding difference of up to one cent a line. Without it such an order is held."),
        Field::flag("customer.sendMcfConfirmationEmail", "Let the receiver mail the buyer", "The shop that an order is made in sends its own confirmation. Leave it off for a first import: it would mail every buyer."),
    ])
    .group("Which worker", "", vec![
        Field::id("customer.workerId", "Pinned to", "Only this worker syncs the customer.", workers),
        Field::flag("customer.movable", "Movable", "On: what a run is about to write is acknowledged here before it leaves, so another worker can take over without the first one's disk. Off: the worker's own disk is enough, and it goes on while this coordinator is away."),
    ]);
    form
}

const ABOUT: &str = "Each field says what it changes in a run. A run that goes on keeps the revision it began with, but for switches that are turned off.";

pub async fn show(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path(customer): Path<CustomerId>,
) -> Result<Response, Failure> {
    let edit = Edit::load(visitor, customer).await?;
    let workers = worker_choices(&edit.visitor.caller).await;
    let form = edit.shown(form(edit.settings(), workers));
    Ok(edit
        .page(&ui, "Settings", ABOUT, "settings", form, None)
        .await)
}

pub async fn save(
    extract::State(ui): extract::State<Shared>,
    Path(customer): Path<CustomerId>,
    posted: Posted,
) -> Result<Response, Failure> {
    let (mut edit, typed) = Edit::posted(posted, customer).await?;
    let workers = worker_choices(&edit.visitor.caller).await;
    let mut form = form(edit.settings(), workers);
    form.put(&typed, &mut edit.json);
    saved_or_shown(&ui, edit, form, &typed, "Settings", ABOUT, "settings").await
}

/// A form whose values are in the settings: saved, or shown again with what has to be seen or mended before.
pub async fn saved_or_shown(
    ui: &Shared,
    mut edit: Edit,
    mut form: Form,
    typed: &Values,
    headline: &str,
    about: &'static str,
    page: &'static str,
) -> Result<Response, Failure> {
    let mut previewed = None;
    if form.is_good() {
        match edit.send(typed).await {
            Ok(Sent::Saved(saved)) => {
                return Ok(edit.saved(&saved, &urls::of_customer(edit.id(), page)));
            }
            Ok(Sent::ToBeSeen(shown)) => previewed = Some(shown),
            Ok(Sent::Back) => {}
            Err(problem) => edit.mark(&mut form, &problem),
        }
    }
    Ok(edit.page(ui, headline, about, page, form, previewed).await)
}

/// Nothing is wrong with the settings: the worker could not say what follows.
fn is_of_the_worker(code: Code) -> bool {
    matches!(
        code,
        Code::AskExpired | Code::ShopFailed | Code::Conflict | Code::Unavailable | Code::Internal
    )
}

/// Stands for settings as they would be sent.
fn fingerprint(json: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    json.to_string().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

const ABOUT_NEW: &str = "A customer is a merchant whose shops are kept in step. The shops come next; nothing runs before two are connected and a worker has it.";

fn new_form() -> Form {
    let mut form = Form::default();
    form.group("", "", vec![
        Field::line("customer.name", "Name", "As everybody here calls the customer."),
        Field::email("customer.email", "E-mail", "Where messages about this customer go."),
        Field::flag("customer.movable", "Movable", "On: another worker can take over without the first one's disk. It costs one acknowledgement before each batch of writes."),
    ]);
    form
}

async fn new_page(ui: &Ui, visitor: &Visitor, form: Form) -> Response {
    let mut frame = Frame::of(ui, visitor, "New customer", "customers").await;
    frame.crumb("Customers", urls::CUSTOMERS.into());
    let wrong = !form.is_good();
    let page = FormPage {
        headline: "New customer".into(),
        about: ABOUT_NEW,
        form,
        action: urls::CUSTOMER_NEW.into(),
        revision: 0,
        applied: None,
        updated: None,
        button: "Create",
        previewed: None,
        may_edit: visitor.may_edit(),
        locked: false,
        frame,
    };
    shown(page, wrong)
}

fn blank() -> CustomerSettings {
    CustomerSettings::new(Customer::new(CustomerId(0), ""))
}

pub async fn show_new(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
) -> Result<Response, Failure> {
    let mut form = new_form();
    form.read(&json_of(&blank())?);
    Ok(new_page(&ui, &visitor, form).await)
}

pub async fn save_new(
    extract::State(ui): extract::State<Shared>,
    posted: Posted,
) -> Result<Response, Failure> {
    let mut json = json_of(&blank())?;
    let mut form = new_form();
    form.put(&posted.values, &mut json);
    if form.is_good() {
        let caller = &posted.visitor.caller;
        match caller.post::<ApplyReply>(people::CUSTOMERS, &json).await {
            Ok(reply) => {
                return Ok(went_well(
                    &urls::customer(reply.id),
                    "The customer is there. Connect its first shop now.",
                ));
            }
            Err(problem) if problem.problems.is_empty() => form.problems.push(said(&problem)),
            Err(problem) => form.mark(&problem.problems),
        }
    }
    Ok(new_page(&ui, &posted.visitor, form).await)
}
