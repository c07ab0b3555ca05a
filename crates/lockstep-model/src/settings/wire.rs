//! The one form that carries secrets: settings on their way to the worker that syncs the customer.

use super::{Credentials, CustomerSettings, Secret, Service};
use serde::{Deserialize, Serialize, Serializer, ser::Error};
use serde_json::{Map, Value};

/// Settings that serialise *with* their secrets. For TLS or loopback to an approved worker, and for
/// what is sealed next; never for a page, a log or an export.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct OnWire<T = CustomerSettings>(pub T);

fn revealed(secret: Option<&Secret>) -> Value {
    secret.map_or(Value::Null, |secret| {
        Value::String(secret.reveal().to_owned())
    })
}

fn revealed_all(credentials: &Credentials) -> Value {
    let secrets = credentials
        .iter()
        .map(|(name, secret)| (name.clone(), revealed(secret.as_ref())));
    Value::Object(secrets.collect::<Map<_, _>>())
}

fn with_secrets(service: &Service) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(service)?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("credentials".into(), revealed_all(&service.credentials));
        fields.insert("hookSecret".into(), revealed(service.hook_secret.as_ref()));
    }
    Ok(value)
}

impl Serialize for OnWire<CustomerSettings> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut value = serde_json::to_value(&self.0).map_err(S::Error::custom)?;
        let services = self
            .0
            .services
            .iter()
            .map(with_secrets)
            .collect::<Result<Vec<_>, _>>();
        if let Some(sections) = value.as_object_mut() {
            sections.insert(
                "services".into(),
                Value::Array(services.map_err(S::Error::custom)?),
            );
        }
        value.serialize(serializer)
    }
}

impl Serialize for OnWire<Service> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        with_secrets(&self.0)
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }
}

impl Serialize for OnWire<Credentials> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        revealed_all(&self.0).serialize(serializer)
    }
}
