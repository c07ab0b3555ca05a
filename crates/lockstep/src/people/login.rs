//! `lockstep login`

use super::api::{self, Api};
use super::credentials::{self, Login};
use crate::arguments;
use crate::exit::{Exit, Trouble};
use crate::print;
use anyhow::Context;
use lockstep_protocol::auth::Bearer;
use lockstep_protocol::paths::people as paths;
use lockstep_protocol::people::login::{LoginReply, LoginRequest};
use lockstep_worker::{Shown, Trust};
use serde_json::json;
use std::io::{BufRead, IsTerminal, Read, Write};

const PASSWORD_BYTES_MAX: u64 = 4096;
const ANSWER_BYTES_MAX: u64 = 64;

pub async fn login(arguments: arguments::Login, as_json: bool) -> anyhow::Result<Exit> {
    // Before anybody is asked for a password.
    let url = api::address(&arguments.url)?;
    let fingerprint = match arguments.fingerprint {
        Some(fingerprint) => Some(fingerprint),
        None => compared(&url, !arguments.password_stdin).await?,
    };
    let trust = credentials::trust_of(fingerprint.as_deref())?;
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
    let coordinator = Api::new(url.as_str(), "", &trust)?;
    let reply: LoginReply = coordinator
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
        url,
        token: reply.token.reveal().to_owned(),
        fingerprint,
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

/// The fingerprint of a certificate that only a person can vouch for, once he has; `None`: it needs nobody.
async fn compared(url: &str, may_ask: bool) -> anyhow::Result<Option<String>> {
    let shown = lockstep_worker::look(url)
        .await
        .map_err(|error| Trouble::new(Exit::OutOfReach, format!("{url}: {error}")))?;
    let Shown::Unknown(fingerprint) = shown else {
        return Ok(None);
    };
    let fingerprint = Trust::fingerprint_text(&fingerprint);
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let about = format!(
        "No public authority vouches for the certificate of {url}. Its fingerprint is\n\n  {fingerprint}\n\nThe \
         coordinator prints its own when it starts, and every join line holds it."
    );
    if !(may_ask && terminal) {
        return Err(Trouble::new(
            Exit::NeedsPerson,
            format!("{about} Compare them, and if they are the same: --fingerprint {fingerprint}"),
        )
        .into());
    }
    let (mut answers, mut says) = (std::io::stdin().lock(), std::io::stderr().lock());
    if says_yes(&about, &mut answers, &mut says)? {
        return Ok(Some(fingerprint));
    }
    Err(Trouble::new(Exit::NeedsPerson, "not trusted; nothing was sent").into())
}

/// Only "yes" is yes: who just presses Enter has compared nothing.
fn says_yes(
    about: &str,
    answers: &mut impl BufRead,
    says: &mut impl Write,
) -> std::io::Result<bool> {
    writeln!(says, "{about}")?;
    write!(
        says,
        "Are they the same, and shall it be trusted from now on? [yes/no] "
    )?;
    says.flush()?;
    let mut answer = String::new();
    answers.take(ANSWER_BYTES_MAX).read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_trusts() {
        for (answer, trusted) in [
            ("yes\n", true),
            ("Yes", true),
            ("y\n", false),
            ("\n", false),
        ] {
            let mut said = Vec::new();
            let yes = says_yes("SHA256:AB", &mut answer.as_bytes(), &mut said).unwrap();
            assert_eq!(yes, trusted, "{answer:?}");
            assert!(String::from_utf8(said).unwrap().contains("SHA256:AB"));
        }
    }
}
