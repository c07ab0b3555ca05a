//! The client of the people's API.

use super::credentials;
use crate::exit::{Exit, Trouble};
use lockstep_model::{CustomerId, ShopId};
use lockstep_protocol::Problem;
use lockstep_protocol::paths::{fill, people as paths};
use lockstep_protocol::people::{
    Page,
    customers::{CustomerRow, CustomerView},
};
use lockstep_worker::Trust;
use reqwest::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

/// Longer than the coordinator waits for a worker's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// People know shops by their names.
pub struct ShopNames(BTreeMap<ShopId, String>);

impl ShopNames {
    pub fn of(&self, shop: ShopId) -> String {
        let known = self.0.get(&shop).cloned();
        known.unwrap_or_else(|| format!("shop {shop}"))
    }
}

pub struct Api {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Api {
    /// As `LOCKSTEP_URL` and `LOCKSTEP_TOKEN` say, else as `lockstep login` kept it.
    pub fn open() -> anyhow::Result<Self> {
        let login = credentials::current()?;
        let trust = login.trust()?;
        Self::new(login.url, login.token, &trust)
    }

    pub fn new(
        url: impl Into<String>,
        token: impl Into<String>,
        trust: &Trust,
    ) -> anyhow::Result<Self> {
        let url = address(&url.into())?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(trust.client_config()?)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")));
        // A proxy of the environment would be shown what plain http carries.
        let client = match url.starts_with("http:") {
            true => client.no_proxy(),
            false => client,
        };
        let client = client.build()?;
        Ok(Self {
            client,
            url,
            token: token.into(),
        })
    }

    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> anyhow::Result<T> {
        self.call(Method::GET, path, query, None::<&()>).await
    }

    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        self.call(Method::POST, path, &[], Some(body)).await
    }

    pub async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        self.call(Method::PUT, path, &[], Some(body)).await
    }

    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.call(Method::DELETE, path, &[], None::<&()>).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&impl Serialize>,
    ) -> anyhow::Result<T> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.url))
            .query(query);
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let reply = request.send().await.map_err(|error| {
            if is_of_the_certificate(&error) {
                return Trouble::new(
                    Exit::NeedsPerson,
                    format!(
                        "{} does not show the certificate that is trusted; nothing was sent. If its certificate was \
                         renewed, compare the new fingerprint and sign in again with `lockstep login`; else somebody \
                         stands between",
                        self.url
                    ),
                );
            }
            // The URL may hold a query; what is wrong is said without it.
            Trouble::new(
                Exit::OutOfReach,
                format!(
                    "the coordinator at {} could not be reached: {}",
                    self.url,
                    error.without_url()
                ),
            )
        })?;
        let status = reply.status();
        let bytes = reply.bytes().await.map_err(|error| {
            Trouble::new(
                Exit::OutOfReach,
                format!(
                    "the coordinator's answer broke off: {}",
                    error.without_url()
                ),
            )
        })?;
        if status.is_success() {
            let bytes: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
            return serde_json::from_slice(bytes).map_err(|error| {
                Trouble::new(
                    Exit::Failed,
                    format!(
                        "{} did not answer as a Lockstep coordinator: {}",
                        self.url,
                        lockstep_model::misread(&error)
                    ),
                )
                .into()
            });
        }
        Err(refusal(status, &bytes, &self.url).into())
    }

    /// By id, or by name where one customer bears it.
    pub async fn customer(&self, named: &str) -> anyhow::Result<CustomerId> {
        if let Ok(id) = named.parse() {
            return Ok(id);
        }
        let page: Page<CustomerRow> = self.get(paths::CUSTOMERS, &[("query", named)]).await?;
        let mut found = page
            .items
            .iter()
            .filter(|row| row.name.eq_ignore_ascii_case(named));
        match (found.next(), found.next()) {
            (Some(row), None) => Ok(row.id),
            (None, _) => Err(Trouble::wrong_use(format!(
                "there is no customer \"{named}\"; `lockstep customers list` shows them"
            ))
            .into()),
            (Some(_), Some(_)) => Err(Trouble::wrong_use(format!(
                "several customers are called \"{named}\": use the id"
            ))
            .into()),
        }
    }

    /// What the customer's shops are called.
    pub async fn shop_names(&self, customer: CustomerId) -> anyhow::Result<ShopNames> {
        let path = Self::of_customer(paths::CUSTOMER, customer);
        let view: CustomerView = self.get(&path, &[]).await?;
        let services = view.settings.services.into_iter();
        Ok(ShopNames(
            services.map(|shop| (shop.id, shop.name)).collect(),
        ))
    }

    pub fn of_customer(route: &str, customer: CustomerId) -> String {
        fill(route, &[&customer])
    }
}

/// Passwords and tokens travel to it: plain http is for this machine alone, as for a worker.
pub fn address(text: &str) -> anyhow::Result<String> {
    let wrong = |why: &str| Trouble::wrong_use(format!("\"{text}\" is not called: {why}"));
    let url: reqwest::Url = text
        .trim()
        .parse()
        .map_err(|_| wrong("it is not an address, as in https://lockstep.example.com"))?;
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        "https" | "http" if !url.username().is_empty() || url.password().is_some() => {
            Err(wrong("an address carries no password").into())
        }
        "https" => Ok(url.as_str().trim_end_matches('/').to_owned()),
        "http" if lockstep_worker::names_loopback(host) => {
            Ok(url.as_str().trim_end_matches('/').to_owned())
        }
        "http" => Err(wrong(
            "plain http would show your password and your token to everybody on the way; use https. Nothing was sent",
        )
        .into()),
        _ => Err(wrong("it begins with https://").into()),
    }
}

/// Was it hung up on because of whom it said to be?
fn is_of_the_certificate(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return true;
        }
        // An IO error does not name what it wraps as its source.
        let wrapped = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}

fn refusal(status: StatusCode, bytes: &[u8], url: &str) -> Trouble {
    let exit = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::Failed,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Exit::OutOfReach
        }
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => {
            Exit::WrongUse
        }
        _ => Exit::Failed,
    };
    match serde_json::from_slice::<Problem>(bytes) {
        Ok(problem) => Trouble::new(exit, problem.to_string()),
        Err(_) if status == StatusCode::UNAUTHORIZED => Trouble::new(
            exit,
            format!("{url} does not know this token: sign in with `lockstep login`"),
        ),
        Err(_) => Trouble::new(
            exit,
            format!("{url} answered {status} and not as a Lockstep coordinator does"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_passwords_and_tokens_do_not_travel_in_clear() {
        for url in [
            "http://lockstep.example.com",
            "http://10.0.0.5:7480",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "http://127.0.0.1@evil.example",
            "ftp://127.0.0.1",
            "lockstep.example.com",
        ] {
            assert!(address(url).is_err(), "{url}");
            let made = Api::new(url, "token", &Trust::Web);
            assert!(made.is_err(), "{url}");
        }
        for url in [
            "http://127.0.0.1:7480",
            "http://localhost:7480/",
            "http://[::1]:7480",
            "https://lockstep.example.com",
        ] {
            assert_eq!(address(url).unwrap(), url.trim_end_matches('/'));
        }
    }
}
