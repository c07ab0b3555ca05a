//! The configuration file: the embedded default, and over it what the person's own file says. Strict.

use crate::exit::Trouble;
use anyhow::Context;
use etcetera::app_strategy::{AppStrategy, AppStrategyArgs, choose_app_strategy};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The commented default is the documentation, and the list of keys that exist.
const DEFAULT: &str = include_str!("config.default.toml");

#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    pub coordinator: Coordinator,
    pub worker: Worker,
    pub log: Log,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Coordinator {
    pub data: PathBuf,
    pub listen: String,
    pub database: String,
    pub public_url: String,
    pub tls_certificate: PathBuf,
    pub tls_key: PathBuf,
    pub checkpoint_after_kib: u32,
    pub trusted_proxies: Vec<String>,
    pub connections_per_address: u32,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Worker {
    pub data: PathBuf,
    pub name: String,
    pub allow_addresses: Vec<String>,
    pub allow_plain_http: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Log {
    pub level: String,
    pub format: String,
}

impl Config {
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let text = match file {
            None => None,
            Some(file) => Some(std::fs::read_to_string(file).with_context(|| {
                format!(
                    "the configuration file {} could not be read",
                    file.display()
                )
            })?),
        };
        Self::parse(text.as_deref()).with_context(|| {
            file.map_or_else(
                || "the embedded configuration".to_owned(),
                |file| format!("the configuration file {}", file.display()),
            )
        })
    }

    fn parse(text: Option<&str>) -> anyhow::Result<Self> {
        let mut whole: Table = DEFAULT.parse()?;
        if let Some(text) = text {
            let theirs: Table = text
                .parse()
                .map_err(|error| Trouble::wrong_use(format!("it is not valid TOML: {error}")))?;
            overlay(&mut whole, theirs, "")?;
        }
        Value::Table(whole)
            .try_into()
            .map_err(|error| Trouble::wrong_use(format!("{error}")).into())
    }
}

fn overlay(whole: &mut Table, theirs: Table, place: &str) -> Result<(), Trouble> {
    for (key, value) in theirs {
        let path = if place.is_empty() {
            key.clone()
        } else {
            format!("{place}.{key}")
        };
        let Some(known) = whole.get_mut(&key) else {
            let nearest = whole
                .keys()
                .max_by(|a, b| strsim::jaro(a, &key).total_cmp(&strsim::jaro(b, &key)));
            let hint = nearest
                .map(|nearest| format!("; did you mean \"{nearest}\"?"))
                .unwrap_or_default();
            return Err(Trouble::wrong_use(format!(
                "there is no key \"{path}\"{hint}"
            )));
        };
        match (known, value) {
            (Value::Table(known), Value::Table(value)) => overlay(known, value, &path)?,
            (known, value) if known.same_type(&value) => *known = value,
            (known, value) => {
                return Err(Trouble::wrong_use(format!(
                    "\"{path}\" is a {} and should be a {}",
                    value.type_str(),
                    known.type_str()
                )));
            }
        }
    }
    Ok(())
}

/// The system's places for this program's data and settings.
pub fn places() -> anyhow::Result<impl AppStrategy> {
    let arguments = AppStrategyArgs {
        top_level_domain: String::new(),
        author: String::new(),
        app_name: "lockstep".into(),
    };
    choose_app_strategy(arguments).map_err(|_| {
        Trouble::wrong_use(
            "there is no home folder: name one with --data DIR, and LOCKSTEP_URL and LOCKSTEP_TOKEN instead of a \
             login",
        )
        .into()
    })
}

/// The system's place for a role's data, unless one was named.
pub fn data_folder(named: &Path, role: &str) -> anyhow::Result<PathBuf> {
    if !named.as_os_str().is_empty() {
        return Ok(named.to_owned());
    }
    Ok(places()?.in_data_dir(role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_default_is_whole() {
        let config = Config::parse(None).unwrap();
        assert_eq!(config.coordinator.listen, "127.0.0.1:7480");
        assert_eq!(config.log.level, "info");
    }

    #[test]
    fn what_a_file_says_wins_and_the_rest_stays() {
        let config = Config::parse(Some("[log]\nlevel = \"debug\"")).unwrap();
        assert_eq!(
            (config.log.level.as_str(), config.log.format.as_str()),
            ("debug", "text")
        );
    }

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        let error = Config::parse(Some("[coordinator]\nlisten_on = \"x\"")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no key \"coordinator.listen_on\"; did you mean \"listen\"?"
        );
    }

    #[test]
    fn a_value_of_another_type_is_named() {
        let error = Config::parse(Some("[log]\nlevel = 3")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"log.level\" is a integer and should be a string"
        );
    }
}
