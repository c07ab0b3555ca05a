//! Every page, drawn from plausible answers: it is there, it is whole, it leads nowhere dead, and nothing
//! that a shop or a stranger wrote is taken for HTML.

use super::sample::{Sample, TOKEN, VIEWER, code, console};
use axum::{body::Body, response::Response};
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tower::ServiceExt;

const PAGES: [&str; 37] = [
    "/",
    "/access",
    "/workers",
    "/workers/1",
    "/workers/3",
    "/workers/pending/e5f0c1",
    "/customers",
    "/customers?query=lumo",
    "/customers/new",
    "/customers/7",
    "/customers/9",
    "/customers/7/settings",
    "/customers/7/shops",
    "/customers/7/shops/2",
    "/customers/7/shops/new",
    "/customers/7/shops/new?platform=practice",
    "/customers/7/identifiers/stocks",
    "/customers/7/identifiers/shop-versions",
    "/customers/7/policies",
    "/customers/7/schedules",
    "/customers/7/plan",
    "/customers/7/runs",
    "/customers/7/runs?state=trouble",
    "/customers/7/runs/8813",
    "/customers/7/runs/8811",
    "/customers/7/records",
    "/customers/7/records/100",
    "/customers/7/asides",
    "/customers/7/stock/KH-100",
    "/customers/7/orders",
    "/customers/7/orders/lockstep%3A7%3A2%3A5001",
    "/customers/7/conflicts",
    "/conflicts",
    "/runs",
    "/runs?customer=Kahvila+Oy&lane=trade&state=wrote&from=2026-05-01&until=2026-05-31",
    "/runs?customer=oy",
    "/search?query=KH",
];

struct Browser {
    sample: Sample,
    token: &'static str,
}

impl Browser {
    fn new(full: bool) -> Self {
        Browser {
            sample: console(full),
            token: TOKEN,
        }
    }

    fn viewer() -> Self {
        Browser {
            token: VIEWER,
            ..Browser::new(true)
        }
    }

    async fn send(&self, request: Request<Body>) -> Response {
        self.sample.router.clone().oneshot(request).await.unwrap()
    }

    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(path).header(
            header::COOKIE,
            format!("a=b; lockstep_session={}", self.token),
        )
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = self
            .send(self.request("GET", path).body(Body::empty()).unwrap())
            .await;
        read(response).await
    }

    /// Posts what the page's form would: with the form's token.
    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let (_, page) = self.get("/customers/new").await;
        let mut fields = fields.to_vec();
        let token = token_of(&page);
        fields.push(("csrf", &token));
        self.post_bare(path, &fields).await
    }

    async fn post_bare(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let pairs = fields.iter().map(|(name, value)| {
            format!(
                "{}={}",
                super::urls::encoded(name),
                super::urls::encoded(value)
            )
        });
        let body = pairs.collect::<Vec<_>>().join("&");
        let request = self
            .request("POST", path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .unwrap();
        self.send(request).await
    }

    fn sent(&self, call: &str) -> serde_json::Value {
        let sent = self.sample.sent.lock().unwrap();
        let found = sent.iter().rev().find(|(known, _)| known == call);
        found.map(|(_, body)| body.clone()).unwrap_or_default()
    }

    fn calls(&self, call: &str) -> usize {
        let sent = self.sample.sent.lock().unwrap();
        sent.iter().filter(|(known, _)| known == call).count()
    }
}

async fn read(response: Response) -> (StatusCode, String) {
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 4 << 20)
        .await
        .unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

fn token_of(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    page.split(&start)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

/// Names and values of the first settings form, as a browser would send them.
fn form_of(page: &str) -> Vec<(String, String)> {
    let (_, form) = page.split_once("class=\"settings").unwrap();
    let (form, _) = form.split_once("</form>").unwrap();
    let text = |text: &str| {
        text.replace("&#34;", "\"")
            .replace("&#38;", "&")
            .replace("&#60;", "<")
            .replace("&#62;", ">")
    };
    let mut fields = Vec::new();
    for tag in form.split('<').filter(|tag| tag.starts_with("input ")) {
        let tag = format!(" {tag}");
        let one = |name| attributes(&tag, name).first().map(|value| text(value));
        let Some(name) = one("name") else { continue };
        if tag.contains("type=\"checkbox\"") && !tag.contains(" checked") {
            continue;
        }
        fields.push((name, one("value").unwrap_or_default()));
    }
    for select in form.split("<select ").skip(1) {
        let tag = format!(" {select}");
        let name = attributes(&tag, "name")[0].to_owned();
        let options = select.split("</select>").next().unwrap();
        let chosen = options
            .split("<option ")
            .skip(1)
            .find(|option| option.contains(" selected"));
        let first = options.split("<option ").nth(1);
        if let Some(option) = chosen.or(first) {
            let option = format!(" {option}");
            fields.push((name, text(attributes(&option, "value")[0])));
        }
    }
    fields
}

fn change<'a>(
    fields: &'a mut Vec<(String, String)>,
    name: &str,
    value: &str,
) -> Vec<(&'a str, &'a str)> {
    fields.retain(|(known, _)| known != name);
    if !value.is_empty() {
        fields.push((name.to_owned(), value.to_owned()));
    }
    fields.retain(|(known, _)| known != "csrf");
    fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

#[tokio::test]
async fn every_page_is_drawn_and_whole() {
    let browser = Browser::new(true);
    for path in PAGES {
        let (status, page) = browser.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {page}");
        assert!(
            page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"),
            "{path}"
        );
        assert!(
            page.matches("<h1").count() == 1,
            "{path}: a page has one headline"
        );
        for inline in [" style=", "<style", "onclick=", "<script>", "javascript:"] {
            assert!(
                !page.contains(inline),
                "{path} has {inline}, which its policy forbids"
            );
        }
        let ids = attributes(&page, "id");
        let once: BTreeSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), once.len(), "{path}: an id stands once: {ids:?}");
        for part in page.split("data-live").skip(1) {
            let tag = part.split('>').next().unwrap();
            assert!(!tag.contains('<'), "{path}");
        }
        let live = page
            .split('<')
            .filter(|tag| tag.contains("data-live"))
            .collect::<Vec<_>>();
        assert!(
            live.iter().all(|tag| tag.contains(" id=\"")),
            "{path}: live parts have ids: {live:?}"
        );
        for form in page
            .split("<form ")
            .skip(1)
            .filter(|form| form.contains("method=\"post\""))
        {
            let form = form.split("</form>").next().unwrap();
            assert!(form.contains("name=\"csrf\" value=\""), "{path}: {form}");
        }
    }
}

#[tokio::test]
async fn no_link_leads_nowhere() {
    let browser = Browser::new(true);
    let mut links = BTreeSet::new();
    for path in PAGES {
        let (_, page) = browser.get(path).await;
        links.extend(attributes(&page, "href").iter().map(|href| {
            let href = href.replace("&#38;", "&").replace("&amp;", "&");
            href.split('#').next().unwrap().to_owned()
        }));
    }
    links.retain(|link| !link.is_empty());
    assert!(links.len() > 60, "{links:?}");
    for link in links {
        assert!(link.starts_with('/'), "{link} leaves the console");
        let (status, page) = browser.get(&link).await;
        let status_ok = status.is_success() || status == StatusCode::SEE_OTHER;
        // The sample has one record.
        let known = link.contains("/records/101") || link.contains("/records/102");
        assert!(status_ok || known, "{link} → {status}: {page}");
    }
}

#[tokio::test]
async fn every_anchor_is_there() {
    let browser = Browser::new(true);
    let (_, overview) = browser.get("/").await;
    for href in attributes(&overview, "href")
        .iter()
        .filter(|href| href.contains('#'))
    {
        let (path, anchor) = href.split_once('#').unwrap();
        if path.is_empty() {
            continue;
        }
        let (_, page) = browser.get(path).await;
        assert!(attributes(&page, "id").contains(&anchor), "{href}");
    }
}

#[tokio::test]
async fn empty_pages_teach_the_next_step() {
    let browser = Browser::new(false);
    for (path, words) in [
        ("/", "Nothing waits for a person"),
        ("/", "lockstep worker --coordinator"),
        ("/workers", "No worker yet"),
        ("/customers", "Make the first one"),
        ("/customers/9", "Connect a shop"),
        ("/customers/9/shops", "Connect a shop"),
        ("/customers/9/runs", "Sync now"),
        ("/customers/9/records", "Make a plan"),
        ("/customers/9/orders", "policies"),
        ("/customers/9/asides", "Nothing stands aside"),
        ("/customers/9/conflicts", "Nothing waits for a decision"),
        ("/customers/9/identifiers/stocks", "Connect one"),
    ] {
        let (status, page) = browser.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(page.contains(words), "{path} lacks \"{words}\"");
    }
}

#[tokio::test]
async fn a_shops_webhooks_are_shown_without_their_secret_and_registered_again() {
    let browser = Browser::new(true);
    let (_, page) = browser.get("/customers/7/shops/2").await;
    for part in [
        "order.placed",
        "https://sync.example/hooks/v1/7/2/…",
        ">Register again<",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(page.contains("stored; empty leaves it as it is"));
    let (_, page) = browser.get("/customers/7/shops/1").await;
    assert!(page.contains("the shop answers 403"));
    let (_, page) = browser.get("/customers/7/shops/3").await;
    assert!(!page.contains("Register again"), "it cannot call");
    let response = browser.post("/customers/7/shops/2/hooks", &[]).await;
    assert_eq!(response.headers()[header::LOCATION], "/customers/7/shops/2");
}

#[tokio::test]
async fn the_overview_says_how_much_is_in_step_how_soon_and_at_what_cost() {
    let browser = Browser::new(true);
    let (_, page) = browser.get("/").await;
    for part in [
        "99.97 %",
        "p50 0.9 s",
        "p99 4.2 s",
        "41/s",
        "220/s",
        "241 wait to be written",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let (_, empty) = Browser::new(false).get("/").await;
    assert!(
        empty.contains("–") && !empty.contains("p50"),
        "what is not known is not shown"
    );
}

#[tokio::test]
async fn the_address_holds_which_runs_are_looked_at() {
    let browser = Browser::new(true);
    let (_, page) = browser
        .get("/runs?customer=Kahvila+Oy&lane=trade&state=wrote&from=2026-05-01&until=2026-05-31")
        .await;
    for part in [
        "name=\"customer\" value=\"Kahvila Oy\"",
        "<option value=\"trade\" selected>",
        "name=\"from\" value=\"2026-05-01\"",
        "/runs?customer=Kahvila%20Oy&#38;lane=trade&#38;state=trouble&#38;from=2026-05-01&#38;until=2026-05-31\"",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let asked = browser.sent("runs");
    let asked = asked.as_str().unwrap();
    for part in [
        "customer=7&lane=trade&state=wrote",
        "from=2026-05-01T00%3A00%3A00Z",
        "until=2026-06-01T00%3A00%3A00Z",
    ] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    let (_, page) = browser.get("/runs?customer=oy").await;
    assert!(page.contains("Whose runs?") && page.contains("href=\"/runs?customer=8\""));
}

#[tokio::test]
async fn names_from_outside_are_text() {
    let browser = Browser::new(true);
    let (_, page) = browser.get("/customers").await;
    assert!(page.contains("Pyörä &#38; Puu &#60;Oy&#62;"), "{page}");
    assert!(!page.contains("<Oy>"));
}

#[tokio::test]
async fn without_a_login_one_gets_there_and_back() {
    let browser = Browser {
        token: "",
        ..Browser::new(true)
    };
    let response = browser
        .send(
            browser
                .request("GET", "/customers/7?x=1")
                .body(Body::empty())
                .unwrap(),
        )
        .await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let login = response.headers()[header::LOCATION]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(login, "/login?next=%2Fcustomers%2F7%3Fx%3D1");
    let response = browser
        .send(Request::get(&login).body(Body::empty()).unwrap())
        .await;
    let cookie = response.headers()[header::SET_COOKIE]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let (_, page) = read(response).await;
    let token = token_of(&page);
    for (password, status) in [
        ("wrong", StatusCode::UNAUTHORIZED),
        ("coffee", StatusCode::SEE_OTHER),
    ] {
        let body = format!("csrf={token}&name=maija&password={password}&next=%2Fcustomers%2F7");
        let request = Request::post("/login")
            .header(header::COOKIE, &cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .unwrap();
        let response = browser.send(request).await;
        assert_eq!(response.status(), status);
        if status == StatusCode::SEE_OTHER {
            assert_eq!(response.headers()[header::LOCATION], "/customers/7");
            let session = response.headers()[header::SET_COOKIE].to_str().unwrap();
            assert!(
                session.starts_with("lockstep_session=")
                    && session.contains("HttpOnly")
                    && session.contains("SameSite=Lax"),
                "{session}"
            );
        } else {
            let (_, page) = read(response).await;
            assert!(
                page.contains("The name or the password is wrong.")
                    && page.contains("value=\"maija\"")
            );
            assert!(!page.contains("value=\"wrong\""));
        }
    }
}

#[tokio::test]
async fn a_form_without_its_token_changes_nothing() {
    let browser = Browser::new(true);
    for fields in [&[][..], &[("csrf", "guessed")]] {
        let response = browser.post_bare("/customers/7/sync", fields).await;
        let (status, page) = read(response).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(page.contains("Nothing was changed"), "{page}");
    }
    assert!(browser.sent("sync").is_null());
    let response = browser.post("/customers/7/sync", &[]).await;
    assert_eq!(
        response.headers()[header::LOCATION],
        "/customers/7/runs?after=8813"
    );
    assert!(browser.sent("sync").is_object());
}

#[tokio::test]
async fn a_wrong_code_is_refused_and_the_right_one_lets_the_worker_in() {
    let browser = Browser::new(true);
    let path = "/workers/pending/e5f0c1/confirm";
    let (status, page) = read(browser.post(path, &[("code", "BCDF-BCDF")]).await).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(
        page.contains("not the code that the worker shows") && page.contains("value=\"BCDF-BCDF\"")
    );
    let typed = code().as_str().to_lowercase().replace('-', " ");
    let response = browser.post(path, &[("code", &typed)]).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(browser.sent("confirm")["code"], code().as_str());
}

#[tokio::test]
async fn who_may_only_look_sees_no_button_that_writes() {
    let browser = Browser::viewer();
    for path in PAGES {
        let (status, page) = browser.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        let main = page.split("<main").nth(1).unwrap();
        for act in [
            "Sync now",
            "Confirm…",
            ">Save<",
            "Reject",
            "Revoke",
            "Erase",
            "Apply as shown",
            "/decide\"",
        ] {
            assert!(!main.contains(act), "{path} offers {act}");
        }
    }
}

#[tokio::test]
async fn saving_a_form_unchanged_changes_nothing() {
    let browser = Browser::new(true);
    let mut before = serde_json::to_value(super::sample::settings()).unwrap();
    for path in [
        "/customers/7/settings",
        "/customers/7/shops/2",
        "/customers/7/policies",
        "/customers/7/schedules",
        "/customers/7/identifiers/stocks",
        "/customers/7/identifiers/shop-versions",
    ] {
        let (_, page) = browser.get(path).await;
        let mut fields = form_of(&page);
        let fields = change(&mut fields, "", "");
        let (status, page) = read(browser.post(path, &fields).await).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{path}: {page}");
        let mut after = browser.sent("apply");
        // A form says "off" where the settings said nothing.
        for settings in [&mut before, &mut after] {
            for service in settings["services"].as_array_mut().unwrap() {
                service["options"] = serde_json::json!({});
            }
        }
        assert_eq!(after, before, "{path}");
    }
}

#[tokio::test]
async fn e5_what_would_follow_is_shown_before_anything_is_saved() {
    let browser = Browser::new(true);
    for path in [
        "/customers/7/settings",
        "/customers/7/shops/2",
        "/customers/7/policies",
    ] {
        let (_, page) = browser.get(path).await;
        let mut fields = form_of(&page);
        let fields = change(&mut fields, "", "");
        assert_eq!(
            browser.post(path, &fields).await.status(),
            StatusCode::SEE_OTHER,
            "{path}: nothing would follow"
        );
    }
    let browser = Browser::new(true);
    let path = "/customers/7/settings";
    let (_, page) = browser.get(path).await;
    let mut fields = form_of(&page);
    change(&mut fields, "customer.name", "Kahvila & Leipomo");
    let without_pictures = change(&mut fields, "customer.syncPictures", "");
    let (status, page) = read(browser.post(path, &without_pictures).await).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    for words in [
        "What would follow",
        "KH-100",
        "orders held",
        "Save and go on",
        "Back",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(
        page.contains("Kahvila &#38; Leipomo"),
        "what was typed stands"
    );
    assert!(browser.sent("apply").is_null(), "nothing is saved");
    let (_, shown) = page.split_once("name=\"shown\" value=\"").unwrap();
    let (shown, _) = shown.split_once('"').unwrap();

    // Back: the form as it was typed, and nothing else.
    let mut back = form_of(&page);
    let (_, form) = read(browser.post(path, &change(&mut back, "back", "1")).await).await;
    assert!(form.contains("Kahvila &#38; Leipomo") && !form.contains("What would follow"));
    assert!(browser.sent("apply").is_null());

    // What was shown is saved; what was typed since is shown first.
    let mut other = form_of(&page);
    change(&mut other, "customer.name", "Leipomo");
    let (_, again) = read(
        browser
            .post(path, &change(&mut other, "shown", shown))
            .await,
    )
    .await;
    assert!(again.contains("What would follow"));
    assert!(browser.sent("apply").is_null());
    let mut seen = form_of(&page);
    let response = browser.post(path, &change(&mut seen, "shown", shown)).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(browser.sent("apply")["customer"]["syncPictures"], false);
}

#[tokio::test]
async fn s10_logins_and_tokens_are_looked_after_and_a_password_needs_the_old_one() {
    let browser = Browser::new(true);
    let (_, page) = browser.get("/access").await;
    for words in [
        "nightly report",
        "Maija &#60;script&#62;",
        "former",
        "Your password",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("/access/logins/maija/"), "not one's own");
    let login = "/access/logins/former";
    let post = async |path: &str, fields: &[(&str, &str)]| {
        let response = browser.post(path, fields).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{path}");
        let cookies = response.headers().get_all("set-cookie").iter();
        let cookies: Vec<String> = cookies.map(|it| it.to_str().unwrap().to_owned()).collect();
        cookies.join("; ")
    };
    post(&format!("{login}/state"), &[("disable", "1")]).await;
    assert_eq!(browser.sent("login state")["disabled"], true);
    post(&format!("{login}/state"), &[("enable", "1")]).await;
    assert_eq!(browser.sent("login state")["disabled"], false);
    let calls = || browser.calls("login delete");
    post(&format!("{login}/delete"), &[("name", "somebody else")]).await;
    assert_eq!(calls(), 0, "it is not meant");
    post(&format!("{login}/delete"), &[("name", "former")]).await;
    assert_eq!(calls(), 1);
    post("/access/open/12/end", &[]).await;
    assert_eq!(browser.calls("token end"), 1);

    let password = |old, again| {
        [
            ("old_password", old),
            ("new_password", "a password of mine"),
            ("again", again),
        ]
    };
    let path = "/access/password";
    post(path, &password("the old one", "another")).await;
    assert_eq!(browser.calls("password"), 0, "typed in two ways");
    let cookies = post(path, &password("a guess", "a password of mine")).await;
    assert!(!cookies.contains("lockstep_session"), "{cookies}");
    let cookies = post(path, &password("the old one", "a password of mine")).await;
    assert!(
        cookies.contains("lockstep_session="),
        "it goes on: {cookies}"
    );

    let viewer = Browser::viewer();
    let (status, page) = viewer.get("/access").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("Your password") && !page.contains("Disable"));
}

#[tokio::test]
async fn what_is_wrong_is_said_at_its_field_and_nothing_typed_is_lost() {
    let browser = Browser::new(true);
    let path = "/customers/7/settings";
    let (_, page) = browser.get(path).await;
    let mut fields = form_of(&page);
    change(&mut fields, "customer.email", "not an address");
    let fields = change(&mut fields, "customer.name", "Kahvila & Leipomo");
    let (status, page) = read(browser.post(path, &fields).await).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("value=\"not an address\"") && page.contains("Kahvila &#38; Leipomo"));
    let (_, at_field) = page.split_once("customer.email-problem\">").unwrap();
    assert!(at_field.contains("is not an e-mail address"));

    let path = "/customers/7/identifiers/stocks";
    let (_, page) = browser.get(path).await;
    let mut fields = form_of(&page);
    let fields = change(&mut fields, "row[1].shop[1]", "WH1");
    let (status, page) = read(browser.post(path, &fields).await).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
    assert!(page.contains("one identifier names one stock"), "{page}");
}

#[tokio::test]
async fn identifiers_are_picked_from_the_shop_and_typed_where_it_cannot_be_read() {
    let browser = Browser::new(true);
    let path = "/customers/7/identifiers/stocks";
    let (_, page) = browser.get(path).await;
    assert!(page.contains("Warehouse 1 (WH1)"));
    assert!(page.contains("cannot be read now: B2B shop did not answer within 10 s."));
    assert!(page.contains("<input name=\"row[0].shop[3]\""));
    let mut fields = form_of(&page);
    change(&mut fields, "row[2].name", "Pop-up");
    change(&mut fields, "row[2].shop[2]", "cafe");
    let fields = change(&mut fields, "row[1].remove", "on");
    let response = browser.post(path, &fields).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let sent = browser.sent("apply");
    let names: Vec<_> = sent["stocks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].clone())
        .collect();
    assert_eq!(names, ["Main warehouse", "Pop-up"]);
    assert_eq!(sent["stockServiceIdentifiers"][2]["stockId"], 3);
}

#[tokio::test]
async fn a_connection_is_tested_before_it_is_saved_and_keys_are_not_shown() {
    let browser = Browser::new(true);
    let path = "/customers/7/shops/2";
    let (_, page) = browser.get(path).await;
    assert!(!page.contains("s3cret"));
    for (url, words) in [
        ("https://good.example", "answers and takes our key"),
        (
            "https://wrong.example",
            "Make a new one in the shop&#39;s admin",
        ),
    ] {
        let mut fields = form_of(&page);
        change(&mut fields, "check", "1");
        change(&mut fields, "services[1].credentials.token", "typed-key");
        let fields = change(&mut fields, "services[1].url", url);
        let (status, page) = read(browser.post(path, &fields).await).await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains(words), "{page}");
        assert!(page.contains(&format!("value=\"{url}\"")) && !page.contains("typed-key"));
        assert_eq!(
            browser.sent("check")["service"]["credentials"]["token"],
            "typed-key"
        );
    }
    assert!(browser.sent("apply").is_null());
}

#[tokio::test]
async fn d5_a_key_that_was_tested_is_connected_without_typing_it_again() {
    let browser = Browser::new(true);
    let path = "/customers/7/shops/new?platform=practice";
    let (_, page) = browser.get(path).await;
    let key = attributes(&page, "name")
        .into_iter()
        .find(|name| name.ends_with("credentials.token"))
        .unwrap()
        .to_owned();
    let service = key.strip_suffix(".credentials.token").unwrap();
    let mut fields = form_of(&page);
    change(&mut fields, &format!("{service}.name"), "Pop-up");
    change(
        &mut fields,
        &format!("{service}.url"),
        "https://good.example",
    );
    change(&mut fields, &key, "typed-key");
    let (status, tested) = read(browser.post(path, &change(&mut fields, "check", "1")).await).await;
    assert_eq!(status, StatusCode::OK, "{tested}");
    assert!(tested.contains("typed a moment ago") && !tested.contains("typed-key"));
    let mut fields = form_of(&tested);
    let response = browser.post(path, &change(&mut fields, "", "")).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let services = browser.sent("apply")["services"].clone();
    let connected = services.as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        connected["credentials"]["token"], "typed-key",
        "{connected}"
    );
}

#[tokio::test]
async fn an_undo_is_shown_before_it_is_done() {
    let browser = Browser::new(true);
    let (_, run) = browser.get("/customers/7/runs/8807").await;
    let preview = "/customers/7/runs/8807/undo/preview";
    assert!(run.contains(preview), "the run's page leads to it");
    let (status, page) = read(browser.post(preview, &[]).await).await;
    assert_eq!(status, StatusCode::OK);
    for words in [
        "<del>7.20</del>",
        "<ins>6.90</ins>",
        "made by this run: archive it in its owner",
        "/customers/7/runs/8807/undo\"",
    ] {
        assert!(page.contains(words), "{words} is not in {page}");
    }
    assert!(browser.sent("undo").is_null(), "nothing is written");
    let response = browser.post("/customers/7/runs/8807/undo", &[]).await;
    assert_eq!(
        response.headers()[header::LOCATION],
        "/customers/7/runs/8815"
    );
}

#[tokio::test]
async fn a_plan_is_shown_before_it_is_applied() {
    let browser = Browser::new(true);
    let (status, page) = read(
        browser
            .post("/customers/7/plan", &[("flow", "products")])
            .await,
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    for words in [
        "+ 12 create",
        "~ 240 update",
        // Not all of it can be written, and that is said before it is.
        "Apply 269 of 286",
        "17 of these writes are not made at B2B shop: it is read-only",
        // What is not in step, each with its number.
        ">2 set aside<",
        ">4 questions<",
        ">1 order held<",
        ">40 not in the assortment<",
        "owner: ERP, changed 09:02",
        "21 % of the products",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert_eq!(
        browser.sent("plan")["flows"],
        serde_json::json!(["products"])
    );
    let response = browser
        .post("/customers/7/plan/apply", &[("plan", "p-8814")])
        .await;
    assert_eq!(
        response.headers()[header::LOCATION],
        "/customers/7/runs/8814"
    );
}

#[tokio::test]
async fn a_conflict_is_decided_with_what_the_button_said() {
    let browser = Browser::new(true);
    let (_, page) = browser.get("/customers/7/conflicts").await;
    let offered = attributes(&page, "value")
        .into_iter()
        .find(|value| value.contains("use_shop"))
        .unwrap();
    let decision = offered.replace("&#34;", "\"");
    browser
        .post(
            "/customers/7/conflicts/31/decide",
            &[("decision", &decision)],
        )
        .await;
    assert_eq!(browser.sent("decide")["decision"]["shop_id"], 1);
    let response = browser
        .post("/customers/7/conflicts/31/decide", &[("decision", "{}")])
        .await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn orders_that_wait_for_the_same_are_let_go_by_one_form() {
    let browser = Browser::new(true);
    let (_, page) = browser.get("/customers/7/orders").await;
    for words in [
        "12 orders of Web shop wait for the payment method",
        "and let all 12 go",
        "and 11 more",
        "It is not there: make it",
        "Try again",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let response = browser
        .post(
            "/customers/7/orders/map",
            &[
                ("method", "payment"),
                ("from_shop", "2"),
                ("from_id", "mobilepay"),
                ("into", "card"),
            ],
        )
        .await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let sent = browser.sent("map");
    assert_eq!(sent["method"], "payment");
    assert_eq!(sent["from"]["id"], "mobilepay");
    assert_eq!(sent["into"], "card");
}

#[tokio::test]
async fn an_operator_erases_a_buyer_by_typing_the_order_s_number() {
    let browser = Browser::new(true);
    let order = "/customers/7/orders/lockstep%3A7%3A2%3A5001";
    let action = format!("{order}/erase");
    let (_, page) = browser.get(order).await;
    assert!(
        page.contains("Erase the buyer") && page.contains("cannot be undone"),
        "{page}"
    );
    for (email, of) in [
        ("", json!({"order": "lockstep:7:2:5001"})),
        ("aino@example.com", json!({"email": "aino@example.com"})),
    ] {
        let fields = [("number", " 1041 "), ("email", email)];
        let response = browser.post(&action, &fields).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(browser.sent("erase")["of"], of);
    }
    // Another number, or somebody who may only look.
    let browser = Browser::new(true);
    browser.post(&action, &[("number", "1042")]).await;
    assert_eq!(browser.sent("erase"), Value::Null);
    let viewer = Browser {
        token: VIEWER,
        ..Browser::new(true)
    };
    let (_, page) = viewer.get(order).await;
    assert!(!page.contains("Erase the buyer"), "{page}");
    let response = viewer.post(&action, &[("number", "1041")]).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_person_says_whether_an_order_in_doubt_is_there() {
    let browser = Browser::new(true);
    let action = "/customers/7/orders/lockstep%3A7%3A2%3A5003/answer";
    browser
        .post(action, &[("answer", "there"), ("named", " S-76 ")])
        .await;
    let sent = browser.sent("answer");
    assert_eq!(sent["answer"]["answer"], "it_is_there");
    assert_eq!(sent["answer"]["id"], "S-76");
    let response = browser.post(action, &[("answer", "perhaps")]).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn stock_is_explained_down_to_each_order() {
    let browser = Browser::new(true);
    let (_, page) = browser.get("/customers/7/stock/KH-100").await;
    for words in [
        "Why 12 in Main warehouse?",
        "opening",
        "receipt (ERP)",
        "1041; its copy in ERP, S-76",
        "on its way to 12",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

#[tokio::test]
async fn what_is_missing_is_said_in_the_same_manner() {
    let browser = Browser::new(true);
    for (path, status, words) in [
        ("/nowhere", StatusCode::NOT_FOUND, "Nothing here"),
        (
            "/customers/99",
            StatusCode::NOT_FOUND,
            "There is no customer with this id.",
        ),
        (
            "/customers/x",
            StatusCode::BAD_REQUEST,
            "That cannot be read",
        ),
        (
            "/customers/7/identifiers/spoons",
            StatusCode::NOT_FOUND,
            "There is no such list of identifiers.",
        ),
    ] {
        let (found, page) = browser.get(path).await;
        assert_eq!(found, status, "{path}");
        assert!(
            page.contains(words) && page.contains("data-go=\"o\""),
            "{path}: {page}"
        );
    }
    let (status, body) = browser.get("/api/v1/nowhere").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.starts_with('{'), "{body}");
}

#[tokio::test]
async fn pages_are_not_kept_and_assets_are_kept_for_good() {
    let browser = Browser::new(true);
    let (_, page) = browser.get("/").await;
    let css = attributes(&page, "href")
        .into_iter()
        .find(|href| href.ends_with(".css"))
        .unwrap();
    let response = browser
        .send(browser.request("GET", css).body(Body::empty()).unwrap())
        .await;
    assert!(
        response.headers()[header::CACHE_CONTROL]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    let old = browser
        .send(
            browser
                .request("GET", "/assets/old/console.css")
                .body(Body::empty())
                .unwrap(),
        )
        .await;
    assert_eq!(old.headers()[header::CACHE_CONTROL], "no-cache");
    let response = browser
        .send(browser.request("GET", "/").body(Body::empty()).unwrap())
        .await;
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    assert!(
        response.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'")
    );
}

#[tokio::test]
async fn the_colours_are_chosen_without_a_script_too() {
    let browser = Browser::new(true);
    let response = browser
        .post("/theme", &[("theme", "dark"), ("next", "/runs")])
        .await;
    assert_eq!(response.headers()[header::LOCATION], "/runs");
    let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("lockstep_theme=dark;"), "{cookie}");
    let request = Request::get("/")
        .header(
            header::COOKIE,
            format!("lockstep_theme=dark; lockstep_session={TOKEN}"),
        )
        .body(Body::empty())
        .unwrap();
    let (_, page) = read(browser.send(request).await).await;
    assert!(page.contains("data-theme=\"dark\""));
}

#[tokio::test]
async fn a_message_is_shown_once() {
    let browser = Browser::new(true);
    let response = browser.post("/customers/7/sync", &[]).await;
    let flash = response.headers()[header::SET_COOKIE].to_str().unwrap();
    let flash = flash.split(';').next().unwrap();
    let request = Request::get("/customers/7/runs")
        .header(header::COOKIE, format!("{flash}; lockstep_session={TOKEN}"))
        .body(Body::empty())
        .unwrap();
    let response = browser.send(request).await;
    let taken_off = response.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(taken_off.contains("Max-Age=0"), "{taken_off}");
    let (_, page) = read(response).await;
    assert!(page.contains("Asked for."), "{page}");
}
