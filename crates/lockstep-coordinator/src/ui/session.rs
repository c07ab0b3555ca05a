//! Who looks at the page: the session cookie, the login form, the token in every form, and the message that
//! survives one redirect.

use super::{
    Shared, Ui,
    api::{Caller, cookie, from_of},
    failure::{Failure, Shown},
    frame::Frame,
    urls,
};
use askama::Template;
use axum::{
    RequestExt,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, OriginalUri, Query, Request, State},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use data_encoding::BASE64URL_NOPAD;
use lockstep_protocol::{
    Code, Problem,
    auth::Bearer,
    paths::people,
    people::login::{LoginReply, LoginRequest, Me, Role},
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const SESSION: &str = "lockstep_session";
const BEFORE_LOGIN: &str = "lockstep_before_login";
const FLASH: &str = "lockstep_flash";
const THEME: &str = "lockstep_theme";
const FLASH_CHARS_MAX: usize = 600;
const YEAR_SECONDS: u64 = 365 * 24 * 60 * 60;

/// A person who is logged in, and the request that he makes.
pub struct Visitor {
    pub me: Me,
    pub caller: Caller,
    /// Goes into every form.
    pub form_token: String,
    pub theme: Theme,
    pub flash: Option<Flash>,
    /// Path and query, for "back to here".
    pub here: String,
}

impl Visitor {
    pub fn may(&self, role: Role) -> bool {
        self.me.role >= role
    }

    pub fn may_edit(&self) -> bool {
        self.may(Role::Editor)
    }

    pub fn operates(&self) -> bool {
        self.may(Role::Operator)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub fn as_str(self) -> &'static str {
        match self {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    pub fn of(headers: &HeaderMap) -> Self {
        match cookie(headers, THEME) {
            Some("light") => Theme::Light,
            Some("dark") => Theme::Dark,
            _ => Theme::System,
        }
    }
}

/// A message on the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flash {
    pub went_well: bool,
    pub text: String,
}

impl Flash {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let bytes = BASE64URL_NOPAD
            .decode(cookie(headers, FLASH)?.as_bytes())
            .ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (sign, text) = text.split_at_checked(1)?;
        Some(Flash {
            went_well: sign == "+",
            text: text.chars().take(FLASH_CHARS_MAX).collect(),
        })
    }

    fn cookie_value(&self) -> String {
        let sign = if self.went_well { '+' } else { '-' };
        let text: String = self.text.chars().take(FLASH_CHARS_MAX).collect();
        BASE64URL_NOPAD.encode(format!("{sign}{text}").as_bytes())
    }
}

/// Whoever knows the session's cookie could act anyway; another site knows neither.
fn form_token(secret: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"lockstep form 1\n");
    hash.update(secret.as_bytes());
    BASE64URL_NOPAD.encode(&hash.finalize())
}

fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, ui: &Shared) -> Result<Self, Failure> {
        // Within a nested router the path is cut; the original is kept beside it.
        let original = parts.extensions.get::<OriginalUri>();
        let here = original
            .map_or(&parts.uri, |OriginalUri(uri)| uri)
            .path_and_query()
            .map_or_else(|| urls::OVERVIEW.to_owned(), ToString::to_string);
        let Some(token) = cookie(&parts.headers, SESSION).filter(|token| !token.is_empty()) else {
            return Err(Failure::login(&here));
        };
        let caller = ui.api.by(token.to_owned(), from_of(&parts.extensions));
        let me: Me = caller
            .get(people::ME)
            .await
            .map_err(|problem| match problem.code {
                Code::LoginRequired | Code::BadToken => Failure::login(&here),
                _ => Failure::from(problem),
            })?;
        Ok(Visitor {
            me,
            form_token: form_token(token),
            theme: Theme::of(&parts.headers),
            flash: Flash::of(&parts.headers),
            caller,
            here,
        })
    }
}

/// What a form sent, by a person who is logged in and with the form's token.
pub struct Posted {
    pub visitor: Visitor,
    pub values: Values,
}

impl FromRequest<Shared> for Posted {
    type Rejection = Failure;

    async fn from_request(mut request: Request, ui: &Shared) -> Result<Self, Failure> {
        let visitor = request.extract_parts_with_state::<Visitor, _>(ui).await?;
        let body = Bytes::from_request(request, ui).await.map_err(|error| {
            Failure::new(
                Code::TooLarge,
                format!(
                    "This form cannot be read ({}). Nothing was changed.",
                    error.body_text()
                ),
            )
        })?;
        let values = values_of(&body)?;
        if !same(values.text("csrf"), &visitor.form_token) {
            return Err(Failure::new(
                Code::Forbidden,
                "This form did not come from this console, or it is of an earlier login. Nothing was changed. Open the page again and repeat it.",
            ));
        }
        ui.pulse.forget();
        Ok(Posted { visitor, values })
    }
}

/// Far more than our largest page has: the identifiers of ten thousand methods.
const VALUES_MAX: usize = 50_000;

/// Counted before anything is built of it.
fn values_of(body: &[u8]) -> Result<Values, Failure> {
    let count = body.iter().filter(|byte| **byte == b'&').count();
    if count >= VALUES_MAX {
        return Err(Failure::new(
            Code::TooLarge,
            format!("This form has more than {VALUES_MAX} fields. Nothing was changed."),
        ));
    }
    let pairs = url::form_urlencoded::parse(body);
    Ok(Values(pairs.into_owned().collect()))
}

/// The names and values of a form, in its order.
#[derive(Debug, Clone, Default)]
pub struct Values(pub Vec<(String, String)>);

impl Values {
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Trimmed; empty if it is missing.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default().trim()
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// To another page, with a message there.
pub fn go(to: &str, flash: Flash) -> Response {
    let cookie = set_cookie(FLASH, &flash.cookie_value(), Some(60), false);
    let mut response = redirect(to);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

pub fn went_well(to: &str, text: impl Into<String>) -> Response {
    go(
        to,
        Flash {
            went_well: true,
            text: text.into(),
        },
    )
}

/// Not all of it was done.
pub fn went_partly(to: &str, text: impl Into<String>) -> Response {
    go(
        to,
        Flash {
            went_well: false,
            text: text.into(),
        },
    )
}

/// The problem's words on the page that the person came from.
pub fn refused(to: &str, problem: &Problem) -> Response {
    go(
        to,
        Flash {
            went_well: false,
            text: said(problem),
        },
    )
}

/// A problem in one sentence or more.
pub fn said(problem: &Problem) -> String {
    let mut text = if problem.detail.is_empty() {
        sentence(&problem.title)
    } else {
        sentence(&problem.detail)
    };
    for each in &problem.problems {
        text.push(' ');
        text.push_str(&sentence(&each.to_string()));
    }
    text
}

/// With a capital and a full stop, as a page says it.
fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut letters = text.chars();
    let Some(first) = letters.next() else {
        return String::new();
    };
    let stop = if text.ends_with(['.', '!', '?', '…']) {
        ""
    } else {
        "."
    };
    format!("{}{}{stop}", first.to_uppercase(), letters.as_str())
}

/// 303: the browser asks for the page with GET.
pub fn redirect(to: &str) -> Response {
    let location = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static(urls::OVERVIEW));
    (
        axum::http::StatusCode::SEE_OTHER,
        [(header::LOCATION, location)],
    )
        .into_response()
}

pub fn has_flash(headers: &HeaderMap) -> bool {
    cookie(headers, FLASH).is_some()
}

/// Takes the message off, once it was shown.
pub fn without_flash() -> HeaderValue {
    set_cookie(FLASH, "", Some(0), false)
}

fn set_cookie(name: &str, value: &str, seconds: Option<u64>, secure: bool) -> HeaderValue {
    let age = seconds.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{age}{secure}");
    // Values are base64url, tokens and words: always a header's text. An empty cookie ends the session.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(
        "lockstep_session=; Path=/; Max-Age=0",
    ))
}

/// Only a path of this console: another site cannot send people on from our login. Read as a browser reads it, and given
/// back as it was understood.
fn path_here(next: &str) -> String {
    inside(next).unwrap_or_else(|| urls::OVERVIEW.to_owned())
}

fn inside(next: &str) -> Option<String> {
    // A place that nobody can have: who leaves it has been led away.
    let here = url::Url::parse("http://here.invalid/").ok()?;
    let to = here.join(next).ok()?;
    let stays = to.origin() == here.origin() && to.username().is_empty() && to.password().is_none();
    // "/.//elsewhere" is a path of two slashes once its dots are gone, and that is another host.
    let path = to.path();
    let ours = next.starts_with('/') && !path.starts_with("//") && path != urls::LOGIN;
    if !(stays && ours) {
        return None;
    }
    Some(match to.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    })
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    next: String,
    name: String,
    problem: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct LoginQuery {
    next: String,
}

fn login_page(
    ui: &Ui,
    headers: &HeaderMap,
    next: &str,
    name: &str,
    problem: Option<&Problem>,
) -> Result<Response, Failure> {
    let secret = BASE64URL_NOPAD.encode(&rand::random::<[u8; 18]>());
    let frame = Frame::outside("Log in", Theme::of(headers), form_token(&secret));
    let page = LoginPage {
        frame,
        next: path_here(next),
        name: name.to_owned(),
        problem: problem.map(said),
    };
    let mut response = Shown(page).into_response();
    if let Some(problem) = problem {
        *response.status_mut() = problem.code.status();
    }
    response.headers_mut().append(
        header::SET_COOKIE,
        set_cookie(BEFORE_LOGIN, &secret, Some(3_600), ui.secure),
    );
    Ok(response)
}

pub async fn show_login(
    State(ui): State<Shared>,
    headers: HeaderMap,
    Query(query): Query<LoginQuery>,
) -> Result<Response, Failure> {
    login_page(&ui, &headers, &query.next, "", None)
}

pub async fn log_in(State(ui): State<Shared>, request: Request) -> Result<Response, Failure> {
    let headers = request.headers().clone();
    let from = from_of(request.extensions());
    let body = Bytes::from_request(request, &ui)
        .await
        .map_err(|_| Failure::new(Code::TooLarge, "This form cannot be read."))?;
    let values = values_of(&body)?;
    let (next, name) = (values.text("next"), values.text("name"));
    let secret = cookie(&headers, BEFORE_LOGIN).unwrap_or_default();
    if secret.is_empty() || !same(values.text("csrf"), &form_token(secret)) {
        let problem = Problem::new(
            Code::Forbidden,
            "The login form was open too long, or this browser keeps no cookies. Try once more.",
        );
        return login_page(&ui, &headers, next, name, Some(&problem));
    }
    let asked = LoginRequest {
        name: name.to_owned(),
        password: Bearer::new(values.get("password").unwrap_or_default()),
        label: "console".into(),
    };
    let reply: LoginReply = match ui
        .api
        .by(String::new(), from)
        .post(people::LOGIN, &asked)
        .await
    {
        Ok(reply) => reply,
        Err(problem) => return login_page(&ui, &headers, next, name, Some(&problem)),
    };
    let mut response = redirect(&path_here(next));
    let cookies = response.headers_mut();
    cookies.append(header::SET_COOKIE, session_cookie(&ui, &reply));
    cookies.append(
        header::SET_COOKIE,
        set_cookie(BEFORE_LOGIN, "", Some(0), ui.secure),
    );
    Ok(response)
}

fn session_cookie(ui: &Ui, reply: &LoginReply) -> HeaderValue {
    let lives = reply.expires_at.map(|at| {
        let left = at.duration_since(jiff::Timestamp::now()).as_secs();
        u64::try_from(left).unwrap_or(0)
    });
    set_cookie(SESSION, reply.token.reveal(), lives, ui.secure)
}

/// Whose password was changed, here, has no login any more: this console gets a new one.
pub async fn logged_in_anew(
    ui: &Ui,
    visitor: &Visitor,
    password: String,
    to: &str,
    told: &str,
) -> Response {
    let asked = LoginRequest {
        name: visitor.me.name.clone(),
        password: Bearer::new(password),
        label: "console".into(),
    };
    let caller = visitor.caller.logged_out();
    match caller.post::<LoginReply>(people::LOGIN, &asked).await {
        Ok(reply) => {
            let mut response = went_well(to, told);
            let cookie = session_cookie(ui, &reply);
            response.headers_mut().append(header::SET_COOKIE, cookie);
            response
        }
        Err(problem) => {
            tracing::warn!(%problem, "nobody could log in by a password that was just changed");
            redirect(urls::LOGIN)
        }
    }
}

pub async fn log_out(State(ui): State<Shared>, posted: Posted) -> Response {
    let ended: Result<serde::de::IgnoredAny, Problem> =
        posted.visitor.caller.post(people::LOGOUT, &()).await;
    if let Err(problem) = ended {
        tracing::warn!(%problem, "a session could not be ended; its cookie is taken away");
    }
    let mut response = redirect(urls::LOGIN);
    response.headers_mut().append(
        header::SET_COOKIE,
        set_cookie(SESSION, "", Some(0), ui.secure),
    );
    response
}

pub async fn set_theme(State(ui): State<Shared>, posted: Posted) -> Response {
    let theme = match posted.values.text("theme") {
        "light" => Theme::Light,
        "dark" => Theme::Dark,
        _ => Theme::System,
    };
    let mut response = redirect(&path_here(posted.values.text("next")));
    response.headers_mut().append(
        header::SET_COOKIE,
        set_cookie(THEME, theme.as_str(), Some(YEAR_SECONDS), ui.secure),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_its_cookie() {
        let flash = Flash {
            went_well: false,
            text: "Kahvila Öy; \"no\"".into(),
        };
        let mut headers = HeaderMap::new();
        let line = format!("{FLASH}={}; other=1", flash.cookie_value());
        headers.insert(header::COOKIE, HeaderValue::from_str(&line).unwrap());
        assert_eq!(Flash::of(&headers), Some(flash));
    }

    #[test]
    fn a_problem_reads_as_a_sentence() {
        let problem = Problem::new(Code::WrongCode, "this is not the code. 4 tries are left");
        assert_eq!(said(&problem), "This is not the code. 4 tries are left.");
        assert_eq!(said(&Problem::new(Code::NotFound, "")), "Not found.");
    }

    #[test]
    fn s3_a_form_of_a_million_fields_is_not_read() {
        assert!(values_of("a&".repeat(VALUES_MAX).as_bytes()).is_err());
        let values = values_of(b"csrf=x&name=Kahvila+%C3%96y&name=2&empty=").unwrap();
        assert_eq!(values.text("name"), "Kahvila \u{d6}y");
        assert_eq!(values.all("name").count(), 2);
        assert!(values.has("empty") && !values.has("other"));
    }

    #[test]
    fn s5_after_the_login_people_stay_on_this_console() {
        assert_eq!(path_here("/customers/7?page=2"), "/customers/7?page=2");
        for elsewhere in [
            "//evil.example",
            "https://evil.example",
            "/\\evil",
            "",
            "/login?next=/",
            "/\t/evil.example",
            "\t//evil.example",
            "/\n/evil.example",
            "/\r\n/evil.example",
            "/.//evil.example",
            "/a/..//evil.example",
            "/%2e//evil.example",
            "///evil.example",
            "/\t\\evil.example",
            " //evil.example",
            "javascript:alert(1)",
            "customers",
        ] {
            assert_eq!(path_here(elsewhere), "/", "{elsewhere}");
        }
    }
}
