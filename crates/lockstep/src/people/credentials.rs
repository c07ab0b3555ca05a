//! Where and as whom: the environment, else the file that `lockstep login` wrote (mode 0600).

use crate::exit::Trouble;
use anyhow::Context;
use etcetera::app_strategy::AppStrategy;
use lockstep_worker::Trust;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::PathBuf;

#[derive(Serialize, Deserialize)]
pub struct Login {
    pub url: String,
    pub token: String,
    /// Of the one certificate that is believed to be this coordinator's; the web's authorities decide, if there is
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

impl Login {
    pub fn trust(&self) -> anyhow::Result<Trust> {
        trust_of(self.fingerprint.as_deref())
    }
}

pub fn trust_of(fingerprint: Option<&str>) -> anyhow::Result<Trust> {
    match fingerprint {
        None => Ok(Trust::Web),
        Some(text) => {
            Trust::pinned(text).map_err(|error| Trouble::wrong_use(error.to_string()).into())
        }
    }
}

fn file() -> anyhow::Result<PathBuf> {
    Ok(crate::config::places()?.in_config_dir("login.json"))
}

pub fn current() -> anyhow::Result<Login> {
    let from_environment = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    if let (Some(url), Some(token)) = (
        from_environment("LOCKSTEP_URL"),
        from_environment("LOCKSTEP_TOKEN"),
    ) {
        return Ok(Login {
            url,
            token,
            fingerprint: from_environment("LOCKSTEP_FINGERPRINT"),
        });
    }
    let file = file()?;
    match std::fs::read(&file) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
            format!("{} is damaged: sign in again with `lockstep login`", file.display())
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Trouble::wrong_use(
            "nobody is signed in: use `lockstep login --url URL --user NAME`, or set LOCKSTEP_URL and \
             LOCKSTEP_TOKEN",
        )
        .into()),
        Err(error) => Err(error).with_context(|| format!("{} could not be read", file.display())),
    }
}

pub fn keep(login: &Login) -> anyhow::Result<PathBuf> {
    let file = file()?;
    let folder = file.parent().context("the login's file has no folder")?;
    std::fs::create_dir_all(folder)?;
    // Written beside and renamed: a login is whole or not there.
    let beside = folder.join("login.json.new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut written = options.open(&beside)?;
    written.write_all(&serde_json::to_vec(login)?)?;
    written.sync_all()?;
    std::fs::rename(&beside, &file)?;
    Ok(file)
}
