//! `lockstep login`

use super::api::Api;
use super::credentials::{self, Login};
use crate::arguments;
use crate::exit::Exit;
use crate::print;
use anyhow::Context;
use lockstep_protocol::auth::Bearer;
use lockstep_protocol::paths::people as paths;
use lockstep_protocol::people::login::{LoginReply, LoginRequest};
use serde_json::json;
use std::io::Read;

const PASSWORD_BYTES_MAX: u64 = 4096;

pub async fn login(arguments: arguments::Login, as_json: bool) -> anyhow::Result<Exit> {
    let password = if arguments.password_stdin {
        let mut text = String::new();
        std::io::stdin()
            .take(PASSWORD_BYTES_MAX)
            .read_to_string(&mut text)
            .context("the password could not be read from standard input")?;
        text.trim_end_matches(['\r', '\n']).to_owned()
    } else {
        rpassword::prompt_password(format!("Password of {}: ", arguments.user))
            .context("the password could not be asked for; use --password-stdin")?
    };
    let api = Api::new(arguments.url.as_str(), "")?;
    let reply: LoginReply = api
        .post(
            paths::LOGIN,
            &LoginRequest {
                name: arguments.user,
                password: Bearer::new(password),
                label: "lockstep login".into(),
            },
        )
        .await?;
    let file = credentials::keep(&Login {
        url: arguments.url,
        token: reply.token.reveal().to_owned(),
    })?;
    if as_json {
        print::json(&json!({ "name": reply.me.name, "role": reply.me.role.as_str() }))?;
    } else {
        print::line(&format!(
            "Signed in as {} ({}). The token lies in {}.",
            reply.me.name,
            reply.me.role,
            file.display()
        ));
    }
    Ok(Exit::Done)
}
