//! Who may log in: operators, and a customer's own people.

use super::{Person, person::me};
use crate::{
    AppState,
    extract::{Json, Path},
    refusal::{Answer, Refusal},
};
use axum::{
    extract::State,
    http::{Extensions, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use data_encoding::BASE32_DNSSEC;
use jiff::Timestamp;
use lockstep_protocol::{
    Code,
    auth::Bearer,
    people::{
        Page,
        login::{LoginRow, LoginState, MadeLogin, Me, NewLogin, NewPassword, Role},
    },
};
use lockstep_storage::{self as storage, NewPerson};
use secrecy::SecretString;
use std::net::IpAddr;

const NAME_CHARS_MAX: usize = 100;
const PASSWORD_CHARS_MIN: usize = 12;
const PASSWORD_BYTES_MAX: usize = 1_000;

pub async fn list(State(app): State<AppState>, person: Person) -> Answer<Json<Page<LoginRow>>> {
    person.needs_all_customers(Role::Operator)?;
    let people = app.storage.people().await?;
    let rows = people.iter().map(|person| LoginRow {
        me: me(person),
        disabled: person.disabled,
    });
    Ok(Json(Page::whole(rows.collect())))
}

pub async fn add(
    State(app): State<AppState>,
    person: Person,
    Json(request): Json<NewLogin>,
) -> Answer<Response> {
    person.needs_all_customers(Role::Operator)?;
    let name = request.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(Refusal::bad_request(format!(
            "a login's name has 1 to {NAME_CHARS_MAX} characters"
        )));
    }
    if let Some(customer) = request.customer_id {
        super::customers::stored(&app, customer).await?;
        if request.role == Role::Operator {
            return Err(Refusal::bad_request(
                "a customer's own people are viewers or editors; operators are for all customers",
            ));
        }
    }
    let (password, made) = password(request.password)?;
    let new = NewPerson {
        name: name.clone(),
        password,
        role: match request.role {
            Role::Viewer => storage::Role::Viewer,
            Role::Editor => storage::Role::Editor,
            Role::Operator => storage::Role::Operator,
        },
        customer: request.customer_id,
    };
    app.storage.add_person(new, Timestamp::now()).await?;
    tracing::info!(login = name, by = person.name(), "a login was made");
    let me = Me {
        name,
        role: request.role,
        customer_id: request.customer_id,
    };
    let password = made.map(Bearer::new);
    Ok(once(StatusCode::CREATED, MadeLogin { me, password }))
}

/// One's own by the old one, or as an operator anybody else's. Ends all of that person's logins.
pub async fn set_password(
    State(app): State<AppState>,
    person: Person,
    Path(name): Path<String>,
    extensions: Extensions,
    Json(request): Json<NewPassword>,
) -> Answer<Response> {
    if name == person.name() {
        let from = super::login::from(&extensions);
        knows_his_password(&app, &name, from, request.old_password).await?;
    } else {
        person.needs_all_customers(Role::Operator)?;
    }
    let about = &named(&app, &name).await?;
    let (password, made) = password(request.password)?;
    app.storage.set_password(about.id, password).await?;
    tracing::info!(
        login = name,
        by = person.name(),
        "a password was set; that person's logins are ended"
    );
    let me = me(about);
    let password = made.map(Bearer::new);
    Ok(once(StatusCode::OK, MadeLogin { me, password }))
}

/// Whoever found a console open, or a token, has no password by that.
async fn knows_his_password(
    app: &AppState,
    name: &str,
    from: IpAddr,
    old: Option<Bearer>,
) -> Answer<()> {
    let wrong = |what: &str| Refusal::new(Code::Forbidden, format!("{what}; nothing was changed"));
    let old = old.ok_or_else(|| wrong("a new password is set by who knows the old one"))?;
    app.guesses.take(name, from)?;
    let old = SecretString::from(old.reveal().to_owned());
    if app.storage.check_password(name, old).await?.is_none() {
        return Err(wrong("the old password is wrong"));
    }
    app.guesses.was_right(name, from);
    Ok(())
}

async fn named(app: &AppState, name: &str) -> Answer<storage::Person> {
    let people = app.storage.people().await?;
    people
        .into_iter()
        .find(|known| known.name == name)
        .ok_or_else(|| Refusal::not_found(format!("login \"{name}\"")))
}

/// Nobody closes the door behind himself by mistake.
fn not_himself(person: &Person, name: &str) -> Answer<()> {
    if person.name() == name {
        return Err(Refusal::new(
            Code::Conflict,
            "this is your own login: let another operator do that",
        ));
    }
    Ok(())
}

/// Off: nobody logs in by it, and what it had opened is closed at once.
pub async fn set_state(
    State(app): State<AppState>,
    person: Person,
    Path(name): Path<String>,
    Json(request): Json<LoginState>,
) -> Answer<Json<LoginRow>> {
    person.needs_all_customers(Role::Operator)?;
    not_himself(&person, &name)?;
    let about = named(&app, &name).await?;
    let disabled = request.disabled;
    app.storage.set_person_disabled(about.id, disabled).await?;
    tracing::info!(
        login = name,
        by = person.name(),
        disabled,
        "a login was switched"
    );
    Ok(Json(LoginRow {
        me: me(&about),
        disabled,
    }))
}

pub async fn delete(
    State(app): State<AppState>,
    person: Person,
    Path(name): Path<String>,
) -> Answer<StatusCode> {
    person.needs_all_customers(Role::Operator)?;
    not_himself(&person, &name)?;
    let about = named(&app, &name).await?;
    app.storage.delete_person(about.id).await?;
    tracing::info!(login = name, by = person.name(), "a login was deleted");
    Ok(StatusCode::NO_CONTENT)
}

fn password(given: Option<Bearer>) -> Answer<(SecretString, Option<String>)> {
    match given {
        Some(given) if given.reveal().len() > PASSWORD_BYTES_MAX => Err(Refusal::bad_request(
            format!("a password has at most {PASSWORD_BYTES_MAX} bytes"),
        )),
        Some(given) if given.reveal().chars().count() < PASSWORD_CHARS_MIN => {
            Err(Refusal::bad_request(format!(
                "a password has at least {PASSWORD_CHARS_MIN} characters"
            )))
        }
        Some(given) => Ok((SecretString::from(given.reveal().to_owned()), None)),
        None => {
            let made = BASE32_DNSSEC.encode(&rand::random::<[u8; 15]>());
            Ok((SecretString::from(made.clone()), Some(made)))
        }
    }
}

fn once(status: StatusCode, made: MadeLogin) -> Response {
    let mut response = (status, Json(made)).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
