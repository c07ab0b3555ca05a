//! Who may log in: operators, and a customer's own people.

use super::{Person, person::me};
use crate::{
    AppState,
    extract::{Json, Path},
    refusal::{Answer, Refusal},
};
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use data_encoding::BASE32_DNSSEC;
use jiff::Timestamp;
use lockstep_model::CustomerId;
use lockstep_protocol::{
    auth::Bearer,
    people::{
        Page,
        login::{Me, Role},
    },
};
use lockstep_storage::{self as storage, NewPerson};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub const LOGINS: &str = "/api/v1/logins";
pub const PASSWORD: &str = "/api/v1/logins/{name}/password";

const NAME_CHARS_MAX: usize = 100;
const PASSWORD_CHARS_MIN: usize = 12;

#[derive(Deserialize)]
pub struct NewLogin {
    name: String,
    role: Role,
    /// The customer whose own people it is for; none: all customers.
    #[serde(default)]
    customer_id: Option<CustomerId>,
    /// None: one is made.
    #[serde(default)]
    password: Option<Bearer>,
}

/// The password that was made; shown once.
#[derive(Serialize)]
pub struct MadeLogin {
    me: Me,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

pub async fn list(State(app): State<AppState>, person: Person) -> Answer<Json<Page<Me>>> {
    person.needs_all_customers(Role::Operator)?;
    let people = app.storage.people().await?;
    Ok(Json(Page::whole(people.iter().map(me).collect())))
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
    Ok(once(StatusCode::CREATED, MadeLogin { me, password: made }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct NewPassword {
    /// None: one is made.
    password: Option<Bearer>,
}

/// One's own, or as an operator anybody's. Ends all of that person's logins.
pub async fn set_password(
    State(app): State<AppState>,
    person: Person,
    Path(name): Path<String>,
    Json(request): Json<NewPassword>,
) -> Answer<Response> {
    if name != person.name() {
        person.needs_all_customers(Role::Operator)?;
    }
    let people = app.storage.people().await?;
    let about = people
        .iter()
        .find(|known| known.name == name)
        .ok_or_else(|| Refusal::not_found(format!("login \"{name}\"")))?;
    let (password, made) = password(request.password)?;
    app.storage.set_password(about.id, password).await?;
    tracing::info!(
        login = name,
        by = person.name(),
        "a password was set; that person's logins are ended"
    );
    let me = me(about);
    Ok(once(StatusCode::OK, MadeLogin { me, password: made }))
}

fn password(given: Option<Bearer>) -> Answer<(SecretString, Option<String>)> {
    match given {
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
