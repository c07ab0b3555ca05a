//! Who may log in, what is open by each login, and one's own password.

use super::{
    Shared,
    failure::{Failure, Shown},
    frame::Frame,
    session::{Posted, Visitor, logged_in_anew, refused, went_well},
    urls,
    widgets::{Id, State, When},
};
use askama::Template;
use axum::{
    extract::{self, Path},
    response::{IntoResponse, Response},
};
use http::Method;
use lockstep_model::CustomerId;
use lockstep_protocol::{
    Code, Problem,
    auth::Bearer,
    paths::people,
    people::{
        Page,
        login::{LoginRow, LoginState, MadeLogin, NewPassword, TokenRow},
    },
};
use serde::de::IgnoredAny;

#[derive(Template)]
#[template(path = "access.html")]
struct AccessPage {
    frame: Frame,
    operates: bool,
    name: String,
    logins: Vec<Login>,
    open: Vec<Open>,
}

struct Login {
    name: String,
    role: &'static str,
    customer: Option<(CustomerId, String)>,
    state: State,
    disabled: bool,
    is_own: bool,
    action: String,
}

/// A console or a token.
struct Open {
    id: Id,
    whose: String,
    label: String,
    what: &'static str,
    since: When,
    ends: Option<When>,
    action: String,
}

impl Login {
    fn new(row: LoginRow, own: &str) -> Self {
        Login {
            action: urls::login_of(&row.me.name),
            is_own: row.me.name == own,
            role: row.me.role.as_str(),
            customer: row.me.customer_id.map(|id| (id, urls::customer(id))),
            state: match row.disabled {
                true => State::idle("disabled"),
                false => State::good("may log in"),
            },
            disabled: row.disabled,
            name: row.me.name,
        }
    }
}

/// Operators of all customers look after all logins; everybody after his own.
fn looks_after_all(visitor: &Visitor) -> bool {
    visitor.operates() && visitor.me.customer_id.is_none()
}

pub async fn show(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
) -> Result<Response, Failure> {
    let operates = looks_after_all(&visitor);
    let caller = &visitor.caller;
    let logins: Vec<LoginRow> = match operates {
        true => caller.get::<Page<LoginRow>>(people::LOGINS).await?.items,
        false => Vec::new(),
    };
    let all = operates.to_string();
    let path = urls::with_query(people::TOKENS, &[("all", &all)]);
    let open: Page<TokenRow> = caller.get(&path).await?;
    let frame = Frame::of(&ui, &visitor, "Logins and tokens", "access").await;
    let own = visitor.me.name.clone();
    let open = open.items.into_iter().map(|row| Open {
        id: Id::new(row.id),
        what: if row.browser { "console" } else { "token" },
        since: When::new(row.created_at, frame.now),
        ends: row.expires_at.map(|at| When::new(at, frame.now)),
        action: urls::token_end(row.id),
        whose: row.name,
        label: row.label,
    });
    let page = AccessPage {
        open: open.collect(),
        logins: logins
            .into_iter()
            .map(|row| Login::new(row, &own))
            .collect(),
        operates,
        name: own,
        frame,
    };
    Ok(Shown(page).into_response())
}

/// One's own, by the old one. Everything that was open by it ends; this console goes on by the new one.
pub async fn set_password(extract::State(ui): extract::State<Shared>, posted: Posted) -> Response {
    let Posted { visitor, values } = posted;
    let typed = |name: &str| values.get(name).unwrap_or_default().to_owned();
    let new = typed("new_password");
    if new != typed("again") {
        let why = "the new password was typed in two ways; nothing was changed";
        return refused(urls::ACCESS, &Problem::new(Code::BadRequest, why));
    }
    let asked = NewPassword {
        password: Some(Bearer::new(&new)),
        old_password: Some(Bearer::new(typed("old_password"))),
    };
    let name = &visitor.me.name;
    let path = urls::path(people::LOGIN_PASSWORD, &[name]);
    match visitor.caller.post::<MadeLogin>(&path, &asked).await {
        Ok(_) => {
            let told =
                "Your password is changed. Everything else that was open by the old one is closed.";
            logged_in_anew(&ui, &visitor, new, urls::ACCESS, told).await
        }
        Err(problem) => refused(urls::ACCESS, &problem),
    }
}

pub async fn set_state(Path(name): Path<String>, posted: Posted) -> Response {
    let disabled = posted.values.has("disable");
    let path = urls::path(people::LOGIN_STATE, &[&name]);
    let caller = &posted.visitor.caller;
    let done: Result<LoginRow, Problem> = caller
        .send(Method::PUT, &path, &LoginState { disabled }, None)
        .await;
    let told = match disabled {
        true => format!("Nobody logs in as {name} any more, and what it had opened is closed."),
        false => format!("{name} may log in again."),
    };
    answered(done, told)
}

pub async fn delete(Path(name): Path<String>, posted: Posted) -> Response {
    if posted.values.text("name") != name {
        let why =
            format!("type the login's name, {name}, to say that you mean it; nothing was deleted");
        return refused(urls::ACCESS, &Problem::new(Code::BadRequest, why));
    }
    let path = urls::path(people::LOGIN_OF, &[&name]);
    let caller = &posted.visitor.caller;
    let done: Result<IgnoredAny, Problem> = caller.send(Method::DELETE, &path, &(), None).await;
    answered(
        done,
        format!("The login {name} is deleted, and what it had opened is closed."),
    )
}

pub async fn end(Path(token): Path<u64>, posted: Posted) -> Response {
    let path = urls::path(people::TOKEN, &[&token]);
    let caller = &posted.visitor.caller;
    let done: Result<IgnoredAny, Problem> = caller.send(Method::DELETE, &path, &(), None).await;
    answered(done, format!("{token} is closed: it is void from now on."))
}

fn answered<T>(done: Result<T, Problem>, told: String) -> Response {
    match done {
        Ok(_) => went_well(urls::ACCESS, told),
        Err(problem) => refused(urls::ACCESS, &problem),
    }
}
