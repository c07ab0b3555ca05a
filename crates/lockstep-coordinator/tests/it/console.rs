//! The console over a coordinator and a worker that answers: what is posted leads somewhere.

use crate::{
    worker::TestWorker,
    world::{World, kahvila},
};
use jiff::Timestamp;
use lockstep_model::{
    CustomerId, FaultKind, Lane, Revision, RunId, ShopId,
    entry::{Counts, RunResult},
    settings::{CustomerHasService, OnWire, RowId, Secret, Service, ShopRole},
};
use lockstep_protocol::{
    Code,
    asks::{Answer, Question},
    paths::{fill, people, worker as paths},
    people::{
        NeedKind, Overview,
        customers::CustomerView,
        plan::{Plan, PlanCounts, PlanRow, Preview, Sign},
        standing::{Mood, Standing, Totals},
        undo::{UndoPreview, UndoRow},
    },
    status::{Phase, RunProgress, ShopFailing, ShopReport},
};
use reqwest::StatusCode;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

const CUSTOMER: CustomerId = CustomerId(1);

fn ended(run: u64) -> RunProgress {
    RunProgress {
        customer_id: CUSTOMER,
        run: RunId(run),
        lane: Lane::Catalogue,
        revision: Revision(1),
        cause: "schedule".into(),
        phase: Phase::Finished,
        counts: Counts {
            written: 3,
            ..Counts::default()
        },
        expected: None,
        message: String::new(),
        started_at: Timestamp::now(),
        finished_at: Some(Timestamp::now()),
        result: Some(RunResult::Done),
        why: None,
    }
}

fn plan() -> Plan {
    Plan {
        id: "1-40".into(),
        customer_id: CUSTOMER,
        revision: Revision(1),
        made_at: Timestamp::now(),
        counts: PlanCounts {
            update: 1,
            ..PlanCounts::default()
        },
        rows: vec![PlanRow {
            sign: Sign::Update,
            shop: ShopId(1),
            kind: "record".into(),
            key: "KH-1".into(),
            title: "Coffee".into(),
            fields: vec![],
        }],
        cut: false,
        stopped_by: vec![],
        totals: Totals {
            writes: 1,
            ..Totals::default()
        },
        closed: vec![],
        unread: vec![],
    }
}

fn preview() -> Preview {
    let without = Plan {
        counts: PlanCounts::default(),
        rows: vec![],
        totals: Totals::default(),
        ..plan()
    };
    Preview::of(without, plan(), vec![])
}

fn undo(run: RunId) -> UndoPreview {
    UndoPreview {
        customer_id: CUSTOMER,
        run,
        made_at: Timestamp::now(),
        put_back: 1,
        as_before: 0,
        left: 0,
        rows: vec![UndoRow {
            shop: ShopId(1),
            key: "KH-1".into(),
            field: Some("title".into()),
            now: Some("Tea".into()),
            back: Some("Coffee".into()),
            put_back: true,
            why: String::new(),
        }],
        cut: false,
    }
}

/// Answers as a worker does that has begun what it was asked for, and whose report is still on its way.
async fn answer_always(mut worker: TestWorker) {
    loop {
        let Ok(polled) = worker.poll(20).await else {
            return;
        };
        let crate::worker::Polled::Changed(news) = polled else {
            continue;
        };
        for ask in news.asks {
            let answer = match ask.question {
                Question::Plan { .. } => Answer::Planned {
                    plan: Box::new(plan()),
                },
                Question::Preview { .. } => Answer::Previewed {
                    preview: Box::new(preview()),
                },
                Question::Apply { .. } => Answer::Applied { run: RunId(41) },
                Question::Undo { run, dry: true, .. } => Answer::UndoShown {
                    undo: Box::new(undo(run)),
                },
                Question::Undo { .. } => Answer::Undoing { run: RunId(42) },
                Question::Hooks { .. } => Answer::Hooks { hooks: vec![] },
                Question::Check { .. } => Answer::Checked {
                    identity: Box::default(),
                },
                Question::Lists { .. } => Answer::Lists {
                    identity: Box::default(),
                },
                _ => Answer::Decided,
            };
            let path = fill(paths::ASK, &[&ask.id]);
            let _: Result<Value, _> = worker.post(&path, &answer).await;
        }
    }
}

/// A form as a browser would send it, once for each of its buttons.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    action: String,
    fields: Vec<(String, String)>,
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let value = rest.split('"').next()?;
    let value = value.replace("&#38;", "&").replace("&amp;", "&");
    Some(value.replace("&#34;", "\"").replace("&quot;", "\""))
}

fn forms(page: &str) -> Vec<Form> {
    let mut found = Vec::new();
    for form in page.split("<form ").skip(1) {
        let form = form.split("</form>").next().unwrap();
        let (head, body) = form.split_once('>').unwrap();
        let head = format!(" {head}");
        if attribute(&head, "method").as_deref() != Some("post") {
            continue;
        }
        let mut fields = Vec::new();
        let mut buttons = Vec::new();
        for tag in body.split('<') {
            let tag = format!(" {}", tag.split('>').next().unwrap());
            let named = attribute(&tag, "name");
            let value = attribute(&tag, "value");
            let is_left = tag.contains("type=\"checkbox\"") && !tag.contains(" checked");
            match (named, tag.trim_start().split(' ').next()) {
                (Some(name), Some("input")) if !is_left => {
                    fields.push((name, value.unwrap_or_default()));
                }
                (Some(name), Some("button")) => buttons.push((name, value.unwrap_or_default())),
                _ => {}
            }
        }
        for select in body.split("<select ").skip(1) {
            let head = format!(" {select}");
            let options = select.split("</select>").next().unwrap();
            let chosen = options.split("<option ").skip(1);
            let chosen = chosen
                .clone()
                .find(|one| one.contains(" selected"))
                .or(chosen.clone().next());
            if let (Some(name), Some(option)) = (attribute(&head, "name"), chosen) {
                let value = attribute(&format!(" {option}"), "value");
                fields.push((name, value.unwrap_or_default()));
            }
        }
        let action = attribute(&head, "action").unwrap();
        let bare =
            body.contains("<button>") || body.contains("<button class=") || buttons.is_empty();
        if bare {
            found.push(Form {
                action: action.clone(),
                fields: fields.clone(),
            });
        }
        for button in buttons {
            let mut fields = fields.clone();
            fields.push(button);
            found.push(Form {
                action: action.clone(),
                fields,
            });
        }
    }
    found
}

struct Browser {
    client: reqwest::Client,
    world: World,
}

impl Browser {
    fn new(world: World) -> Self {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Browser { client, world }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> (StatusCode, Option<String>, String) {
        let cookie = format!("lockstep_session={}", self.world.login.api_token);
        let response = request.header("cookie", cookie).send().await.unwrap();
        let status = response.status();
        let location = response.headers().get("location");
        let location = location.map(|to| to.to_str().unwrap().to_owned());
        (status, location, response.text().await.unwrap())
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let (status, _, page) = self.send(self.client.get(self.world.url(path))).await;
        (status, page)
    }

    /// Where it leads in the end.
    async fn post(&self, form: &Form) -> (String, StatusCode, String) {
        let pairs = form.fields.iter().map(|(name, value)| {
            let encode = |text: &str| fill("{x}", &[&text]);
            format!("{}={}", encode(name), encode(value))
        });
        let request = self
            .client
            .post(self.world.url(&form.action))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(pairs.collect::<Vec<_>>().join("&"));
        let (status, location, page) = self.send(request).await;
        match location {
            Some(to) => {
                let (status, page) = self.get(&to).await;
                (to, status, page)
            }
            None => (form.action.clone(), status, page),
        }
    }
}

async fn at_work() -> (Browser, tokio::task::JoinHandle<()>) {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    world.apply(&kahvila(1)).await;
    worker.news().await;
    worker.report_runs(vec![ended(39)]).await;
    let answering = tokio::spawn(answer_always(worker));
    (Browser::new(world), answering)
}

#[tokio::test]
async fn c5_every_form_of_every_page_leads_to_a_page_that_is_there() {
    let (browser, answering) = at_work().await;
    let pages = [
        "/",
        "/runs",
        "/conflicts",
        "/customers",
        "/customers/new",
        "/customers/1",
        "/customers/1/plan",
        "/customers/1/runs",
        "/customers/1/runs/39",
        "/customers/1/settings",
        "/customers/1/shops",
        "/customers/1/shops/1",
        "/customers/1/shops/new?platform=practice",
        "/customers/1/identifiers/stocks",
        "/customers/1/policies",
        "/customers/1/schedules",
        "/customers/1/orders",
        "/customers/1/conflicts",
        "/workers",
        "/workers/1",
    ];
    let mut todo = VecDeque::new();
    for page in pages {
        let (status, html) = browser.get(page).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        todo.extend(forms(&html));
    }
    // What each form was answered with: its own buttons are pressed as well.
    let mut tried: BTreeMap<(String, Option<(String, String)>), String> = BTreeMap::new();
    while let Some(form) = todo.pop_front() {
        // The last one ends the session, and a worker that is sent away answers no more.
        let ends = form.action == "/logout" || form.action.ends_with("/state");
        let which = (form.action.clone(), form.fields.last().cloned());
        if ends || tried.contains_key(&which) {
            continue;
        }
        let (to, status, page) = browser.post(&form).await;
        assert_ne!(
            status,
            StatusCode::NOT_FOUND,
            "{} leads to {to}, where nothing is: {form:?}",
            form.action
        );
        assert!(
            !status.is_server_error() || status == 503 || status == 502,
            "{status} {form:?}"
        );
        tried.insert(which, to);
        todo.extend(forms(&page));
    }
    let led: Vec<&String> = tried.values().collect();
    for there in ["/customers/1/runs/41", "/customers/1/runs/42"] {
        assert!(led.iter().any(|to| *to == there), "{there}: {led:?}");
    }
    answering.abort();
}

#[tokio::test]
async fn e5_a_worker_says_what_would_follow_and_only_what_was_seen_is_saved() {
    let (browser, answering) = at_work().await;
    let mut two = kahvila(1);
    let web = Service::new(ShopId(2), "Web shop", "practice", "http://127.0.0.1:9")
        .with_credential("token", Secret::new("another"));
    two.services.push(web);
    two.customer_has_services.push(CustomerHasService::new(
        RowId(2),
        CUSTOMER,
        ShopId(2),
        ShopRole::Shop,
    ));
    browser.world.apply(&two).await;
    let revision = async || {
        let path = fill(people::CUSTOMER, &[&CUSTOMER]);
        let view: CustomerView = browser.world.get(&path).await.unwrap();
        (view.row.revision, view.settings.customer.sync_pictures)
    };
    let before = revision().await;
    let path = "/customers/1/settings";
    let (_, page) = browser.get(path).await;
    let mut form = forms(&page)
        .into_iter()
        .find(|form| form.action == path)
        .unwrap();
    let mut pictures = form.fields.iter();
    let were_on = pictures.any(|(name, _)| name == "customer.syncPictures");
    match were_on {
        true => form
            .fields
            .retain(|(name, _)| name != "customer.syncPictures"),
        false => form
            .fields
            .push(("customer.syncPictures".into(), "on".into())),
    }
    let (_, status, page) = browser.post(&form).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        page.contains("What would follow") && page.contains("KH-1"),
        "{page}"
    );
    assert_eq!(revision().await, before, "nothing is saved");
    let button = |name: &str| {
        let mut forms = forms(&page).into_iter();
        let found = forms.find(|form| form.fields.last().is_some_and(|(last, _)| last == name));
        found.unwrap_or_else(|| panic!("{name}: {page}"))
    };
    let (_, _, back) = browser.post(&button("back")).await;
    assert!(!back.contains("What would follow"), "{back}");
    assert_eq!(revision().await, before);
    let (to, status, _) = browser.post(&button("shown")).await;
    assert_eq!((to.as_str(), status), (path, StatusCode::OK));
    assert_eq!(revision().await.1, !were_on);
    answering.abort();
}

#[tokio::test]
async fn d5_a_shop_without_the_key_that_its_platform_needs_is_refused_at_that_key() {
    let world = World::new().await;
    let mut keyless = kahvila(1);
    keyless.services[0].credentials.clear();
    for path in [people::CUSTOMER, people::PREVIEW] {
        let path = fill(path, &[&CUSTOMER]);
        let sent = OnWire(keyless.clone());
        let refused = match path.ends_with("preview") {
            true => {
                world.apply(&kahvila(1)).await;
                let mut moved = sent;
                moved.0.services[0].url = "http://127.0.0.1:10".into();
                world.post::<Value>(&path, &moved).await
            }
            false => world.put::<Value>(&path, &sent, None).await,
        };
        let problem = refused.unwrap_err();
        assert_eq!(problem.code, Code::InvalidSettings, "{path}: {problem:?}");
        let places: Vec<&str> = problem
            .problems
            .iter()
            .map(|each| each.path.as_str())
            .collect();
        assert_eq!(places, ["services[0].credentials.token"], "{path}");
    }
    // A shop that is switched off needs none yet.
    keyless.customer.id = CustomerId(2);
    keyless.customer_has_services[0].customer_id = CustomerId(2);
    keyless.services[0].active = false;
    world.apply(&keyless).await;
}

#[tokio::test]
async fn g5_a_shop_s_trouble_is_one_incident_that_recovery_closes() {
    let world = World::new().await;
    let mut worker = TestWorker::confirmed(&world, "one").await;
    world.apply(&kahvila(1)).await;
    worker.news().await;
    let failing = |times| ShopReport {
        shop: ShopId(1),
        answered_at: Some(Timestamp::now()),
        failing: Some(ShopFailing {
            kind: FaultKind::Auth,
            message: "ERP answers 401".into(),
            since: Timestamp::now(),
            times,
            writes_only: false,
        }),
    };
    let by_shop = |overview: Overview| -> Vec<(String, String, u64)> {
        let needs = overview.needs_person.into_iter();
        let needs = needs.filter(|need| need.kind != NeedKind::WorkerPending);
        needs
            .map(|need| (need.title, need.action, need.times))
            .collect()
    };
    let mut failed = ended(50);
    failed.result = Some(RunResult::NeedsPerson);
    failed.why = Some(lockstep_model::entry::RunWhy::Shop);
    failed.message = "ERP: The shop refuses our key.".into();
    let mut other = failed.clone();
    (other.run, other.lane) = (RunId(51), Lane::Trade);
    for times in 1..=3 {
        worker.shops = vec![failing(times)];
        worker
            .report_runs(vec![failed.clone(), other.clone()])
            .await;
    }
    let told = by_shop(world.get(people::OVERVIEW).await.unwrap());
    let once = (
        "ERP of Kahvila 1 refuses our key".to_owned(),
        "Replace the key".to_owned(),
        3,
    );
    assert_eq!(
        told,
        [once],
        "two lanes' runs and three reports are one cause"
    );
    let path = fill(people::CUSTOMER_STANDING, &[&1]);
    let standing: Standing = world.get(&path).await.unwrap();
    assert_eq!(standing.health.mood, Mood::Failed, "{:?}", standing.health);
    worker.shops = vec![ShopReport {
        shop: ShopId(1),
        answered_at: Some(Timestamp::now()),
        failing: None,
    }];
    worker.report().await;
    assert_eq!(by_shop(world.get(people::OVERVIEW).await.unwrap()), []);
    let standing: Standing = world.get(&path).await.unwrap();
    assert_ne!(standing.health.mood, Mood::Failed, "{:?}", standing.health);
}
