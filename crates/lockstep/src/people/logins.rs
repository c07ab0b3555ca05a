//! `lockstep logins …`, `lockstep tokens …`

use super::api::Api;
use crate::arguments::{Logins, Tokens};
use crate::exit::{Exit, Trouble};
use crate::print;
use anyhow::Context;
use lockstep_protocol::auth::Bearer;
use lockstep_protocol::paths::{fill, people as paths};
use lockstep_protocol::people::Page;
use lockstep_protocol::people::login::{
    LoginRow, LoginState, MadeLogin, MadeToken, Me, NewLogin, NewPassword, NewToken, TokenRow,
};
use serde_json::{Value, json};
use std::io::Read;

const PASSWORDS_BYTES_MAX: u64 = 8192;

pub async fn logins(command: Logins, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    match command {
        Logins::List => {
            let page: Page<LoginRow> = api.get(paths::LOGINS, &[]).await?;
            if as_json {
                print::json(&page.items)?;
            } else {
                let rows = page.items.into_iter().map(|row| {
                    let customer = row.me.customer_id;
                    vec![
                        row.me.name,
                        row.me.role.to_string(),
                        customer.map_or_else(|| "all".into(), |id| id.to_string()),
                        if row.disabled { "off" } else { "on" }.into(),
                    ]
                });
                print::table(&["NAME", "ROLE", "CUSTOMER", "STATE"], rows.collect());
            }
        }
        Logins::Add {
            name,
            role,
            customer,
        } => {
            let customer_id = match customer {
                Some(named) => Some(api.customer(&named).await?),
                None => None,
            };
            let new = NewLogin {
                name,
                role,
                customer_id,
                password: None,
            };
            let made: MadeLogin = api.post(paths::LOGINS, &new).await?;
            show_made(&made, as_json)?;
        }
        Logins::Disable { name } => switch(&api, &name, true, as_json).await?,
        Logins::Enable { name } => switch(&api, &name, false, as_json).await?,
        Logins::Delete { name } => {
            let _: Value = api.delete(&fill(paths::LOGIN_OF, &[&name])).await?;
            if as_json {
                print::json(&json!({ "deleted": name }))?;
            } else {
                print::line(&format!("{name} is deleted; what it had opened is closed."));
            }
        }
        Logins::Password { name, stdin } => {
            let me: Me = api.get(paths::ME, &[]).await?;
            let request = match (me.name == name, stdin) {
                (true, true) => typed_before()?,
                (true, false) => asked(&name)?,
                (false, _) => NewPassword::default(),
            };
            let path = fill(paths::LOGIN_PASSWORD, &[&name]);
            let made: MadeLogin = api.post(&path, &request).await?;
            show_made(&made, as_json)?;
        }
    }
    Ok(Exit::Done)
}

fn show_made(made: &MadeLogin, as_json: bool) -> anyhow::Result<()> {
    let password = made.password.as_ref().map(Bearer::reveal);
    if as_json {
        return print::json(&json!({
            "name": made.me.name,
            "role": made.me.role,
            "customer_id": made.me.customer_id,
            "password": password,
        }));
    }
    match password {
        Some(password) => print::line(&format!(
            "{} ({}) logs in with this password, which is shown once: {password}",
            made.me.name, made.me.role
        )),
        None => print::line(&format!(
            "{} has a new password. Everything that was open by the old one is closed.",
            made.me.name
        )),
    }
    Ok(())
}

async fn switch(api: &Api, name: &str, disabled: bool, as_json: bool) -> anyhow::Result<()> {
    let path = fill(paths::LOGIN_STATE, &[&name]);
    let row: LoginRow = api.put(&path, &LoginState { disabled }).await?;
    if as_json {
        return print::json(&row);
    }
    print::line(&match disabled {
        true => format!("{name} is off: nobody logs in by it, and what it had opened is closed."),
        false => format!("{name} is on again."),
    });
    Ok(())
}

fn typed_before() -> anyhow::Result<NewPassword> {
    let mut text = String::new();
    std::io::stdin()
        .take(PASSWORDS_BYTES_MAX)
        .read_to_string(&mut text)
        .context("the passwords could not be read from standard input")?;
    let mut lines = text.lines();
    match (lines.next(), lines.next()) {
        (Some(old), Some(new)) => Ok(NewPassword {
            password: Some(Bearer::new(new)),
            old_password: Some(Bearer::new(old)),
        }),
        _ => {
            Err(Trouble::wrong_use("two lines are wanted: the old password and the new one").into())
        }
    }
}

fn asked(name: &str) -> anyhow::Result<NewPassword> {
    let ask = |what: &str| {
        rpassword::prompt_password(format!("{what} password of {name}: "))
            .context("the password could not be asked for; use --stdin")
    };
    let (old, new) = (ask("Old")?, ask("New")?);
    if ask("Again the new")? != new {
        return Err(Trouble::wrong_use("the two are not the same; nothing was changed").into());
    }
    Ok(NewPassword {
        password: Some(Bearer::new(new)),
        old_password: Some(Bearer::new(old)),
    })
}

pub async fn tokens(command: Tokens, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    match command {
        Tokens::List { all } => {
            let all = if all { "true" } else { "false" };
            let page: Page<TokenRow> = api.get(paths::TOKENS, &[("all", all)]).await?;
            if as_json {
                print::json(&page.items)?;
            } else {
                let rows = page.items.into_iter().map(|row| {
                    let ends = row.expires_at;
                    vec![
                        row.id.to_string(),
                        row.name,
                        if row.browser { "console" } else { "token" }.into(),
                        row.label,
                        format!("{:.0}", row.created_at),
                        ends.map_or_else(|| "never".into(), |at| format!("{at:.0}")),
                    ]
                });
                let heads = ["ID", "NAME", "KIND", "LABEL", "MADE", "ENDS"];
                print::table(&heads, rows.collect());
            }
        }
        Tokens::Make { label, days } => {
            let made: MadeToken = api.post(paths::TOKENS, &NewToken { label, days }).await?;
            if as_json {
                print::json(&json!({
                    "token": made.token.reveal(),
                    "expires_at": made.expires_at,
                }))?;
            } else {
                print::line(&format!("Shown once: {}", made.token.reveal()));
            }
        }
        Tokens::End { id } => {
            let _: Value = api.delete(&fill(paths::TOKEN, &[&id])).await?;
            if as_json {
                print::json(&json!({ "ended": id }))?;
            } else {
                print::line(&format!("Token {id} is void."));
            }
        }
    }
    Ok(Exit::Done)
}
