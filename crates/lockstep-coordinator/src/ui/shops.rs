//! A customer's shops: list, add, edit, and "does it work?".

use super::{
    Shared, Ui,
    api::Caller,
    customer_form::{Edit, Saved, Sent, shown},
    customers::{ShopRow, needs_of, shop_rows},
    failure::{Failure, Shown},
    form::{Choice, Field, Form, place, put},
    frame::Frame,
    kept::Place,
    overview::NeedRow,
    policies, preview,
    session::{Posted, Values, Visitor, refused, said, went_well},
    transforms, urls,
    widgets::{Id, State, When},
};
use askama::Template;
use axum::{
    extract::{self, Path, Query},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use lockstep_connector::{Credential, HookScheme, Manifest};
use lockstep_model::{
    Choice as ShopChoice, CustomerId, Fault, FaultKind, ShopId, ShopIdentity, Takes,
    settings::{ALLOW_INSECURE, CustomerSettings},
};
use lockstep_protocol::{
    Code, Problem,
    paths::people,
    people::shops::{CheckReply, HooksView},
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Template)]
#[template(path = "shops.html")]
struct ListPage {
    frame: Frame,
    shops: Vec<ShopRow>,
    new_href: String,
    may_edit: bool,
}

pub async fn list(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path(customer): Path<CustomerId>,
) -> Result<Response, Failure> {
    let edit = Edit::load(visitor, customer).await?;
    let frame = edit.frame(&ui, "Shops", "shops").await;
    Ok(Shown(ListPage {
        shops: shop_rows(&edit.view, &frame),
        new_href: urls::of_customer(customer, "shops/new"),
        may_edit: edit.may_edit(),
        frame,
    })
    .into_response())
}

#[derive(Template)]
#[template(path = "shop.html")]
struct ShopPage {
    frame: Frame,
    headline: String,
    platform: &'static str,
    form: Form,
    action: String,
    revision: u64,
    checked: Option<Checked>,
    /// What would follow, which has to be seen before it is saved.
    previewed: Option<preview::Shown>,
    hooks: String,
    /// Of a shop that is saved and can call.
    calls: Option<HooksShown>,
    needs: Vec<NeedRow>,
    may_edit: bool,
    is_new: bool,
    /// A key was typed and is not saved yet.
    keeps: bool,
    shops_href: String,
    id: Option<Id>,
}

/// Which webhooks the platform says it has, and whether they come.
struct HooksShown {
    action: String,
    state: State,
    rows: Vec<HookShown>,
    registered: Option<When>,
    mended: Option<(When, String)>,
    delivered: Option<When>,
    since: When,
    problem: Option<String>,
}

struct HookShown {
    topic: String,
    flow: &'static str,
    url: String,
    state: State,
    is_on: bool,
}

impl HooksShown {
    fn new(view: HooksView, customer: CustomerId, shop: ShopId, now: Timestamp) -> Self {
        let when = |at: Option<Timestamp>| at.map(|at| When::new(at, now));
        let rows: Vec<HookShown> = view
            .hooks
            .into_iter()
            .map(|hook| HookShown {
                topic: hook.topic,
                flow: hook.flow.as_str(),
                url: hook.url,
                is_on: hook.active,
                state: if hook.active {
                    State::good("on")
                } else {
                    State::attention("off")
                },
            })
            .collect();
        HooksShown {
            action: urls::shop_hooks(customer, shop),
            state: match (&view.problem, view.registered_at) {
                (Some(_), _) => State::failed("not registered"),
                (None, Some(_)) => {
                    if rows.iter().all(|row| row.is_on) {
                        State::good("registered")
                    } else {
                        State::attention("partly switched off")
                    }
                }
                (None, None) => State::idle("not asked yet"),
            },
            rows,
            registered: when(view.registered_at),
            mended: view
                .mended
                .map(|mended| (When::new(mended.at, now), mended.topics.join(", "))),
            delivered: when(view.delivered_at),
            since: When::new(view.since, now),
            problem: view.problem,
        }
    }
}

/// What came of "Test connection", in people's words.
struct Checked {
    state: State,
    headline: String,
    advice: String,
    facts: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "platform.html")]
struct PlatformPage {
    frame: Frame,
    platforms: Vec<(String, &'static str)>,
}

fn manifest<'a>(ui: &'a Ui, platform: &str) -> Option<&'a &'static Manifest> {
    ui.platforms.iter().find(|known| known.platform == platform)
}

/// The shop's place in `services`, and that of the row that links it.
#[derive(Clone, Copy)]
struct At {
    service: usize,
    link: usize,
}

/// `lists`: what the shop says that can be picked there; empty where it was not asked or does not answer.
fn form(
    ui: &Ui,
    settings: &CustomerSettings,
    platform: &str,
    stored: &[&str],
    at: At,
    lists: &[ShopChoice],
) -> Form {
    let (service, link) = (
        format!("services[{}]", at.service),
        format!("customerHasServices[{}]", at.link),
    );
    let mut form = Form::default();
    form.group(
        "The account",
        "",
        vec![
            Field::line(
                format!("{service}.name"),
                "Name",
                "As everybody here calls this shop: \"Web shop\", \"ERP\".",
            ),
            Field::address(
                format!("{service}.url"),
                "Address",
                "Where its API answers, beginning with https://.",
            ),
        ],
    );
    let credentials = manifest(ui, platform).map_or(&[][..], |manifest| manifest.credentials);
    let mut secrets: Vec<Field> = credentials
        .iter()
        .filter(|each| each.secret)
        .map(|each| {
            Field::secret(
                format!("{service}.credentials.{}", each.name),
                each.label,
                "",
                stored.contains(&each.name),
            )
        })
        .collect();
    secrets.push(Field::flag(
        format!("{service}.options.{ALLOW_INSECURE}"),
        "Allow plain HTTP",
        "Only within a network that you trust: keys and orders travel unencrypted. The worker's operator has to allow it too.",
    ));
    form.group("How we log in", "Keys are encrypted where they are kept and never shown again. An empty field leaves the stored one, as long as the address stays what it was.", secrets);
    let picked = picked(&service, credentials, lists);
    if !picked.is_empty() {
        form.group(
            "Which of its own is kept in step",
            "Where the shop has several and none is chosen, it waits: nothing is written to it.",
            picked,
        );
    }
    let stocks = settings.stocks.iter();
    let stocks = stocks.map(|row| Choice::new(row.id, &row.name)).collect();
    let versions = settings.shop_versions.iter();
    let versions = versions.map(|row| Choice::new(row.id, &row.name)).collect();
    form.group("How it takes part", "", vec![
        Field::choice(format!("{link}.role"), "Role", "Orders come together in the ERP; usually it owns products, prices and stock. A customer has one at the most.", vec![
            Choice::new("shop", "shop"),
            Choice::new("erp", "ERP"),
        ]),
        Field::choice(format!("{link}.assortment"), "Assortment", "What of the owner's catalogue it gets. Begin with what exists there: it is linked and nothing is created.", vec![
            Choice::new("linked", "what exists there"),
            Choice::new("all", "everything; what is missing is created"),
            Choice::new("picked", "what is picked below; it is created where it is missing"),
        ]),
        Field::words(format!("{link}.picks.categories"), "Picked categories", "Of the owner, by its ids, separated by commas; what is in a category below counts too."),
        Field::several_ids(format!("{link}.picks.shopVersions"), "Picked shop versions", "", versions),
        Field::words(format!("{link}.picks.attributes"), "Picked attributes", "Of the owner, as in channel=b2c, separated by commas."),
        Field::words(format!("{link}.picks.skus"), "Picked by hand", "SKUs, separated by commas."),
        Field::choice(format!("{link}.firstMeeting"), "First meeting", "When it is first read and has products of its own.", vec![
            Choice::new("ask", "ask before anything is written to it"),
            Choice::new("go", "write to it at once"),
        ]),
        Field::several_ids(format!("{link}.sellsFrom"), "Sells from", "The stocks whose sum it is told, if it has one stock of its own; its orders go to the first that has all of an order. None ticked: the customer's stock.", stocks),
        Field::time(format!("{link}.ordersFrom"), "Orders from", "Orders placed here before this moment do not cross: 2026-05-04 09:00 (UTC). Empty: from the moment of connecting."),
        Field::maybe(format!("{link}.currency"), "Currency", "Three letters, as in EUR. Empty: the shop's own."),
        Field::maybe(format!("{link}.country"), "Country", "Two letters, as in FI: for the tax rate that turns net prices into gross ones."),
        Field::flag(format!("{service}.readOnly"), "Read-only", "The whole plan is shown and nothing is written. A good way to begin."),
        Field::flag(format!("{service}.active"), "Active", "Off: neither read nor written."),
    ]);
    transforms::add_to(
        &mut form,
        &link,
        settings.customer_has_services.get(at.link),
    );
    form.group("Webhooks", "", vec![
        Field::secret(format!("{service}.hookSecret"), "Signing secret", "What the shop signs its webhooks with. Made by us where the platform lets us register them.", stored.contains(&"hookSecret")),
    ]);
    form
}

/// What is no secret names a row of one of the shop's own lists.
fn picked(service: &str, credentials: &[Credential], lists: &[ShopChoice]) -> Vec<Field> {
    let picked = credentials.iter().filter(|each| !each.secret);
    let picked = picked.map(|each| {
        let name = format!("{service}.options.{}", each.name);
        let list = lists.iter().find(|list| list.setting == each.name);
        match list.filter(|list| !list.rows.is_empty()) {
            Some(list) => {
                let none = Choice::new("", "not chosen");
                let rows = list.rows.iter();
                let rows = rows.map(|row| Choice::new(&row.id, &row.name));
                Field::choice_or_none(
                    name,
                    each.label,
                    "",
                    [none].into_iter().chain(rows).collect(),
                )
            }
            None => Field::maybe(
                name,
                each.label,
                "Its id there. Once the shop is saved and answers, this is a list to pick from.",
            ),
        }
    });
    picked.collect()
}

fn at(settings: &CustomerSettings, shop: ShopId) -> Option<At> {
    let service = settings.services.iter().position(|each| each.id == shop)?;
    let links = &settings.customer_has_services;
    let link = links
        .iter()
        .position(|each| each.service_id == shop)
        .unwrap_or(links.len());
    Some(At { service, link })
}

/// An export says of each secret that it is there, and not which it is.
fn stored(settings: &CustomerSettings, at: At) -> Vec<&str> {
    let Some(service) = settings.services.get(at.service) else {
        return Vec::new();
    };
    let mut names: Vec<&str> = service.credentials.keys().map(String::as_str).collect();
    if service.hook_secret.is_some() {
        names.push("hookSecret");
    }
    names
}

fn ensure_link(json: &mut Value, settings: &CustomerSettings, at: At, shop: ShopId) {
    if at.link < settings.customer_has_services.len() {
        return;
    }
    let rows = settings.customer_has_services.iter();
    let id = rows.map(|row| row.id.0).max().unwrap_or(0) + 1;
    put(
        json,
        &format!("customerHasServices[{}]", at.link),
        json!({"id": id, "customerId": settings.id(), "serviceId": shop}),
    );
}

pub async fn show(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path((customer, shop)): Path<(CustomerId, ShopId)>,
) -> Result<Response, Failure> {
    let edit = Edit::load(visitor, customer).await?;
    let at = at(edit.settings(), shop)
        .ok_or_else(|| Failure::not_found("such shop of this customer"))?;
    let platform = edit.settings().services[at.service].platform.clone();
    let mut stored = stored(edit.settings(), at);
    // Secrets are not told; that it can call says that there is one.
    if hooks_of(&edit.visitor.caller, customer, shop)
        .await
        .is_some()
    {
        stored.push("hookSecret");
    }
    let lists = lists_of(&ui, &edit.visitor.caller, customer, shop, &platform).await;
    let form = edit.shown(form(&ui, edit.settings(), &platform, &stored, at, &lists));
    Ok(page(&ui, &edit, Some(shop), &platform, form, Above::Nothing).await)
}

/// What can be picked of this shop's own. A shop that does not answer has text fields instead.
async fn lists_of(
    ui: &Ui,
    caller: &Caller,
    customer: CustomerId,
    shop: ShopId,
    platform: &str,
) -> Vec<ShopChoice> {
    let credentials = manifest(ui, platform).map_or(&[][..], |manifest| manifest.credentials);
    if credentials.iter().all(|each| each.secret) {
        return Vec::new();
    }
    match ui.lists.of(caller, customer, shop, false).await {
        Ok(identity) => identity.choices.clone(),
        Err(why) => {
            tracing::debug!(%shop, %why, "what can be picked of a shop is not known now");
            Vec::new()
        }
    }
}

/// `None`: it cannot call, or that is not known.
async fn hooks_of(caller: &Caller, customer: CustomerId, shop: ShopId) -> Option<HooksView> {
    let path = urls::path(people::SHOP_HOOKS, &[&customer, &shop]);
    match caller.get::<HooksView>(&path).await {
        Ok(view) => Some(view).filter(|view| view.possible),
        Err(problem) => {
            tracing::warn!(%problem, "a shop's webhooks are not shown");
            None
        }
    }
}

pub async fn register_hooks(
    Path((customer, shop)): Path<(CustomerId, ShopId)>,
    posted: Posted,
) -> Response {
    let path = urls::path(people::SHOP_HOOKS, &[&customer, &shop]);
    let answered: Result<HooksView, Problem> = posted.visitor.caller.post(&path, &()).await;
    let back = urls::shop(customer, shop);
    match answered {
        Ok(HooksView {
            problem: Some(why), ..
        }) => refused(
            &back,
            &Problem::new(
                Code::ShopFailed,
                format!("{why}. Until it works, the schedule finds what changed."),
            ),
        ),
        Ok(_) => went_well(
            &back,
            "The shop has our address again and calls when something changes.",
        ),
        Err(problem) => refused(&back, &problem),
    }
}

fn action(customer: CustomerId, shop: Option<ShopId>, platform: &str) -> String {
    match shop {
        Some(shop) => urls::shop(customer, shop),
        None => urls::with_query(
            &urls::of_customer(customer, "shops/new"),
            &[("platform", platform)],
        ),
    }
}

/// Keys that the form leaves empty and that were typed before, for a test or beside a slip. Which those are.
fn with_kept_keys(
    ui: &Ui,
    place: &Place,
    platform: &str,
    at: At,
    typed: &mut Values,
) -> Vec<String> {
    let service = format!("services[{}]", at.service);
    let known = manifest(ui, platform).map_or(&[][..], |manifest| manifest.credentials);
    let keys: Vec<String> = known
        .iter()
        .filter(|each| each.secret)
        .map(|each| format!("{service}.credentials.{}", each.name))
        .chain([format!("{service}.hookSecret")])
        .collect();
    let options = format!("{service}.options.");
    let url = format!("{service}.url");
    // What is picked in the shop says nothing of where it is; how it is trusted does.
    let is_picked = |name: &str| known.iter().any(|each| !each.secret && each.name == name);
    ui.kept.take(place, typed, &keys, |name| {
        name == url
            || name
                .strip_prefix(&options)
                .is_some_and(|option| !is_picked(option))
    })
}

/// What stands above a shop's form.
enum Above {
    Nothing,
    Checked(Checked),
    Preview(Box<preview::Shown>),
}

async fn page(
    ui: &Ui,
    edit: &Edit,
    shop: Option<ShopId>,
    platform: &str,
    form: Form,
    above: Above,
) -> Response {
    let customer = edit.id();
    let name = shop
        .and_then(|shop| edit.settings().service(shop))
        .map_or_else(|| "New shop".to_owned(), |service| service.name.clone());
    let known = manifest(ui, platform);
    let mut frame = edit.frame(ui, &name, "shops").await;
    frame.crumb("Shops", urls::of_customer(customer, "shops"));
    let hooks = match known.map(|known| known.hooks) {
        Some(HookScheme::Topics(topics)) => format!(
            "This platform calls us when something changes ({}). We register that ourselves once the shop is saved; until then, and whenever a call is lost, the schedule finds it.",
            topics.join(", ")
        ),
        Some(HookScheme::None) => {
            "This platform does not call us: the schedule finds what changed.".into()
        }
        None => {
            "This build does not know the platform; nothing of this shop is read or written.".into()
        }
    };
    let mut needs = match shop {
        Some(_) => needs_of(&edit.visitor.caller, &frame, customer).await,
        None => Vec::new(),
    };
    needs.retain(|need| shop.is_some_and(|shop| need.href == urls::shop(customer, shop)));
    let calls = match shop {
        Some(shop) => hooks_of(&edit.visitor.caller, customer, shop).await,
        None => None,
    };
    let calls = calls
        .zip(shop)
        .map(|(view, shop)| HooksShown::new(view, customer, shop, frame.now));
    let (checked, previewed) = match above {
        Above::Nothing => (None, None),
        Above::Checked(checked) => (Some(checked), None),
        Above::Preview(shown) => (None, Some(*shown)),
    };
    let wrong = !form.is_good();
    let keeps = form.keeps();
    let action = action(customer, shop, platform);
    let page = ShopPage {
        headline: name,
        platform: known.map_or("unknown platform", |known| known.name),
        form,
        action,
        revision: edit.revision(),
        checked,
        previewed,
        hooks,
        calls,
        needs,
        may_edit: edit.may_edit(),
        is_new: shop.is_none(),
        keeps,
        shops_href: urls::of_customer(customer, "shops"),
        id: shop.map(Id::new),
        frame,
    };
    shown(page, wrong)
}

pub async fn save(
    extract::State(ui): extract::State<Shared>,
    Path((customer, shop)): Path<(CustomerId, ShopId)>,
    posted: Posted,
) -> Result<Response, Failure> {
    let (mut edit, mut typed) = Edit::posted(posted, customer).await?;
    let at = at(edit.settings(), shop)
        .ok_or_else(|| Failure::not_found("such shop of this customer"))?;
    let platform = edit.settings().services[at.service].platform.clone();
    let settings = edit.settings().clone();
    ensure_link(&mut edit.json, &settings, at, shop);
    let kept_at = Place::new(
        &edit.visitor,
        customer,
        &action(customer, Some(shop), &platform),
    );
    let kept = with_kept_keys(&ui, &kept_at, &platform, at, &mut typed);
    let lists = lists_of(&ui, &edit.visitor.caller, customer, shop, &platform).await;
    let mut form = form(
        &ui,
        &settings,
        &platform,
        &stored(&settings, at),
        at,
        &lists,
    );
    form.put(&typed, &mut edit.json);
    form.keep(&kept);
    transforms::tidy(&mut edit.json, &format!("customerHasServices[{}]", at.link));
    if !form.is_good() {
        return Ok(page(&ui, &edit, Some(shop), &platform, form, Above::Nothing).await);
    }
    if typed.has("check") {
        let checked = check(&edit, at, &settings).await;
        return Ok(page(
            &ui,
            &edit,
            Some(shop),
            &platform,
            form,
            Above::Checked(checked),
        )
        .await);
    }
    match edit.send(&typed).await {
        Ok(Sent::Saved(saved)) => {
            ui.kept.forget(&kept_at);
            Ok(edit.saved(&saved, &urls::shop(customer, shop)))
        }
        Ok(Sent::ToBeSeen(shown)) => {
            let above = Above::Preview(Box::new(shown));
            Ok(page(&ui, &edit, Some(shop), &platform, form, above).await)
        }
        Ok(Sent::Back) => Ok(page(&ui, &edit, Some(shop), &platform, form, Above::Nothing).await),
        Err(problem) => {
            edit.mark(&mut form, &problem);
            Ok(page(&ui, &edit, Some(shop), &platform, form, Above::Nothing).await)
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct NewQuery {
    platform: String,
}

fn blank(edit: &mut Edit, platform: &str) -> (ShopId, At) {
    let settings = edit.settings().clone();
    let ids = settings.services.iter().map(|service| service.id.0);
    let shop = ShopId(ids.max().unwrap_or(0) + 1);
    let at = At {
        service: settings.services.len(),
        link: settings.customer_has_services.len(),
    };
    put(
        &mut edit.json,
        &format!("services[{}]", at.service),
        json!({"id": shop, "name": "", "platform": platform, "url": "", "active": true}),
    );
    ensure_link(&mut edit.json, &settings, at, shop);
    let role = if settings.customer_has_services.is_empty() {
        "erp"
    } else {
        "shop"
    };
    let link = format!("customerHasServices[{}]", at.link);
    put(&mut edit.json, &format!("{link}.role"), json!(role));
    put(
        &mut edit.json,
        &format!("{link}.assortment"),
        json!("linked"),
    );
    (shop, at)
}

pub async fn show_new(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path(customer): Path<CustomerId>,
    Query(query): Query<NewQuery>,
) -> Result<Response, Failure> {
    let mut edit = Edit::load(visitor, customer).await?;
    let only = match ui.platforms.as_slice() {
        [only] => Some(only.platform.to_owned()),
        _ => None,
    };
    let chosen = Some(query.platform).filter(|platform| manifest(&ui, platform).is_some());
    let Some(platform) = chosen.or(only) else {
        let mut frame = edit.frame(&ui, "New shop", "shops").await;
        frame.crumb("Shops", urls::of_customer(customer, "shops"));
        let here = urls::of_customer(customer, "shops/new");
        let platforms = ui.platforms.iter().map(|known| {
            let href = urls::with_query(&here, &[("platform", known.platform)]);
            (href, known.name)
        });
        return Ok(Shown(PlatformPage {
            platforms: platforms.collect(),
            frame,
        })
        .into_response());
    };
    let (_, at) = blank(&mut edit, &platform);
    let form = edit.shown(form(&ui, edit.settings(), &platform, &[], at, &[]));
    Ok(page(&ui, &edit, None, &platform, form, Above::Nothing).await)
}

pub async fn save_new(
    extract::State(ui): extract::State<Shared>,
    Path(customer): Path<CustomerId>,
    Query(query): Query<NewQuery>,
    posted: Posted,
) -> Result<Response, Failure> {
    let (mut edit, mut typed) = Edit::posted(posted, customer).await?;
    let only = ui.platforms.first().filter(|_| ui.platforms.len() == 1);
    let platform = if query.platform.is_empty() {
        only.map_or(String::new(), |only| only.platform.to_owned())
    } else {
        query.platform
    };
    let before = edit.settings().clone();
    let (shop, at) = blank(&mut edit, &platform);
    let kept_at = Place::new(&edit.visitor, customer, &action(customer, None, &platform));
    let kept = with_kept_keys(&ui, &kept_at, &platform, at, &mut typed);
    let mut form = form(&ui, &before, &platform, &[], at, &[]);
    form.put(&typed, &mut edit.json);
    form.keep(&kept);
    transforms::tidy(&mut edit.json, &format!("customerHasServices[{}]", at.link));
    if !form.is_good() {
        return Ok(page(&ui, &edit, None, &platform, form, Above::Nothing).await);
    }
    if typed.has("check") {
        let checked = check(&edit, at, &before).await;
        return Ok(page(&ui, &edit, None, &platform, form, Above::Checked(checked)).await);
    }
    let role = place(
        &edit.json,
        &format!("customerHasServices[{}].role", at.link),
    );
    if role.is_some_and(|role| role == "erp") {
        policies::owned_by(&mut edit.json, shop.0);
    }
    match edit.apply().await {
        Ok(reply) => {
            ui.kept.forget(&kept_at);
            Ok(edit.saved(&Saved::just(reply), &urls::of_customer(customer, "shops")))
        }
        Err(problem) => {
            edit.mark(&mut form, &problem);
            Ok(page(&ui, &edit, None, &platform, form, Above::Nothing).await)
        }
    }
}

/// The shop as it was typed, tested by a worker; what was typed and not saved stays in the form.
async fn check(edit: &Edit, at: At, before: &CustomerSettings) -> Checked {
    let service = place(&edit.json, &format!("services[{}]", at.service));
    let known = at.service < before.services.len();
    let asked = json!({
        "customer_id": known.then(|| edit.id()),
        "service": service,
    });
    let answered: Result<CheckReply, Problem> =
        edit.visitor.caller.post(people::SHOP_CHECK, &asked).await;
    match answered {
        Ok(CheckReply::Works { identity }) => works(&identity),
        Ok(CheckReply::Fails { fault }) => fails(&fault),
        Err(problem) => Checked {
            state: State::attention("not tested"),
            headline: said(&problem),
            advice: "The shop was not asked. What you typed still stands below.".into(),
            facts: Vec::new(),
        },
    }
}

fn works(identity: &ShopIdentity) -> Checked {
    let count = |what: &[lockstep_model::Named]| match what {
        [] => "none".to_owned(),
        [only] => only.name.clone(),
        many => format!("{}: {}", many.len(), names(many)),
    };
    let takes = match identity.stock.takes {
        Takes::Placement => "when they are placed",
        Takes::Payment => "when they are paid",
        Takes::Reserve => "when they are placed, as a reservation",
        Takes::Shipment => "when they are shipped",
        Takes::Never => "never",
    };
    let version = identity.platform_version.clone().unwrap_or_default();
    let zone = identity.time_zone.clone().unwrap_or_default();
    let prices = if identity.prices_include_tax {
        "with tax"
    } else {
        "without tax"
    };
    let facts = [
        ("Calls itself", identity.name.clone()),
        ("Version", version),
        ("Currency", identity.currency.to_string()),
        ("Prices", prices.to_owned()),
        ("Time zone", zone),
        ("Languages", identity.languages.join(", ")),
        ("Orders lower its stock", takes.to_owned()),
        ("Stocks", count(&identity.stocks)),
        ("Payment methods", count(&identity.payment_methods)),
        ("Shipping methods", count(&identity.shipping_methods)),
    ];
    Checked {
        state: State::good("works"),
        headline: format!("{} answers and takes our key.", identity.name),
        advice: "Nothing was changed there. Save to keep what stands below.".into(),
        facts: facts
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect(),
    }
}

const NAMES_SHOWN: usize = 6;

fn names(rows: &[lockstep_model::Named]) -> String {
    let mut shown: Vec<&str> = rows
        .iter()
        .take(NAMES_SHOWN)
        .map(|row| row.name.as_str())
        .collect();
    if rows.len() > NAMES_SHOWN {
        shown.push("…");
    }
    shown.join(", ")
}

/// What went wrong and what to do about it.
fn fails(fault: &Fault) -> Checked {
    let advice = match fault.kind {
        FaultKind::Auth => {
            "The address is right and somebody answers, but the key is not taken. Make a new one in the shop's admin and type it below."
        }
        FaultKind::Forbidden => {
            "The key is taken but lacks a right. Give it the right to read and write products, stock and orders in the shop's admin."
        }
        FaultKind::NotFound => {
            "Somebody answers at this address, but not the API. Is the path complete?"
        }
        FaultKind::Unavailable => {
            "Nobody answers at this address. Is it spelled right, and can the worker's machine reach it?"
        }
        FaultKind::Timeout => {
            "It did not answer in time. Try again; if it stays so, look at the shop's own load."
        }
        FaultKind::Protocol => {
            "Something answers, but not this platform's API: often a login page, a maintenance page, or another platform."
        }
        FaultKind::RateLimited { .. } => {
            "It answers and asks us to slow down. Try again in a minute."
        }
        _ => "Nothing was changed there.",
    };
    Checked {
        state: State::failed("does not work"),
        headline: fault.message.clone(),
        advice: advice.into(),
        facts: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::form::Input;
    use super::*;

    #[test]
    fn m12_what_is_picked_of_a_shop_s_own_is_a_list_and_no_secret() {
        let credential = |name, secret| Credential {
            name,
            label: name,
            secret,
        };
        let credentials = [
            credential("api_key", true),
            credential("sales_channel", false),
            credential("region", false),
        ];
        let row = |id: &str, name: &str| lockstep_model::Named {
            id: id.into(),
            name: name.into(),
        };
        let lists = [ShopChoice {
            setting: "sales_channel".into(),
            rows: vec![row("sc_1", "Web"), row("sc_2", "Marketplace")],
            ..ShopChoice::default()
        }];
        let shown = picked("services[0]", &credentials, &lists).into_iter();
        let shown: Vec<String> = shown
            .map(|field| match field.input {
                Input::Choice(of) => {
                    let of: Vec<String> = of.into_iter().map(|choice| choice.label).collect();
                    format!("{}: {}", field.name, of.join(", "))
                }
                Input::Line => format!("{}: a line", field.name),
                _ => format!("{}: something else", field.name),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "services[0].options.sales_channel: not chosen, Web, Marketplace",
                "services[0].options.region: a line",
            ]
        );
    }
}
