//! Whom a shop's secrets are sent to. They were typed for one address on one platform, trusted in one way; whoever
//! changes any of these types them anew, else an editor of the settings could have them sent to a server of his own.

use super::{ALLOW_INSECURE, CustomerSettings, Secret, Service};
use std::collections::BTreeMap;

/// The option that once permitted a shop on a private address; the worker's operator does that now. A change of it is
/// still a change of whom a worker might call.
const ALLOW_PRIVATE: &str = "allowPrivate";
/// The option that pins a shop's certificate by its SHA-256.
pub const CERTIFICATE: &str = "certificateSha256";
/// The option that adds an authority to those of the web; PEM.
pub const AUTHORITY: &str = "certificateAuthority";

impl Service {
    /// Would its secrets go to the same server, over a connection that is trusted for the same reason?
    pub fn is_sent_where(&self, other: &Service) -> bool {
        let bare = |service: &Service| service.url.trim().trim_end_matches('/').to_owned();
        let flags = [ALLOW_INSECURE, ALLOW_PRIVATE];
        let texts = [CERTIFICATE, AUTHORITY];
        let text = |service: &Service, name: &str| {
            let text = service.option_text(name).unwrap_or_default();
            text.trim().to_owned()
        };
        self.platform == other.platform
            && bare(self) == bare(other)
            && flags
                .iter()
                .all(|name| self.option_is_on(name) == other.option_is_on(name))
            && texts
                .iter()
                .all(|name| text(self, name) == text(other, name))
    }

    /// Fills what was left empty with what is stored, if it goes where the stored ones went; what was left out
    /// otherwise stays empty. The names of credentials that are empty because of that.
    pub fn keep_secrets_of(&mut self, stored: &Service) -> Vec<String> {
        let goes_there = self.is_sent_where(stored);
        if goes_there && self.hook_secret.is_none() {
            self.hook_secret.clone_from(&stored.hook_secret);
        }
        let mut dropped = Vec::new();
        for (name, secret) in &mut self.credentials {
            let kept: Option<&Secret> = stored.credential(name);
            match kept {
                Some(kept) if secret.is_none() && goes_there => *secret = Some(kept.clone()),
                Some(_) if secret.is_none() => dropped.push(name.clone()),
                Some(_) | None => {}
            }
        }
        dropped
    }
}

impl CustomerSettings {
    /// Carries over each secret that this edit left empty, where it goes where it went before. True to the export: what
    /// was exported as `null` and comes back as `null` stays what it was. The credentials that were dropped, by the
    /// place of their shop in `services`: somebody has to type them anew.
    pub fn keep_secrets_of(&mut self, stored: &CustomerSettings) -> BTreeMap<usize, Vec<String>> {
        let mut dropped = BTreeMap::new();
        for (at, service) in self.services.iter_mut().enumerate() {
            let Some(before) = stored.service(service.id) else {
                service.generation = 1;
                continue;
            };
            let names = service.keep_secrets_of(before);
            if !names.is_empty() {
                dropped.insert(at, names);
            }
            let changed = service.credentials != before.credentials;
            service.generation = before.generation + u64::from(changed);
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::super::Customer;
    use super::*;
    use crate::ids::{CustomerId, ShopId};
    use serde_json::json;

    fn stored() -> Service {
        let mut service = Service::new(ShopId(1), "ERP", "practice", "https://erp.example")
            .with_credential("token", Secret::new("s3cret"));
        service.hook_secret = Some(Secret::new("hooked"));
        service
    }

    /// As an export comes back: nothing typed.
    fn edit(change: impl FnOnce(&mut Service)) -> Service {
        let mut service = stored();
        service.credentials.insert("token".into(), None);
        service.hook_secret = None;
        change(&mut service);
        service
    }

    #[test]
    fn s1_a_secret_stays_only_where_it_was_meant_for() {
        type Change = fn(&mut Service);
        let elsewhere: [(&str, Change); 8] = [
            ("address", |s| s.url = "https://evil.example".into()),
            ("path", |s| s.url = "https://erp.example/evil".into()),
            ("scheme", |s| s.url = "http://erp.example".into()),
            ("platform", |s| s.platform = "medusa".into()),
            ("plain http", |s| {
                s.options.insert("allowInsecure".into(), json!(true));
            }),
            ("private", |s| {
                s.options.insert("allowPrivate".into(), json!("yes"));
            }),
            ("certificate", |s| {
                s.options.insert("certificateSha256".into(), json!("AB:CD"));
            }),
            ("authority", |s| {
                s.options
                    .insert("certificateAuthority".into(), json!("PEM"));
            }),
        ];
        for (what, change) in elsewhere {
            let mut edited = edit(change);
            assert_eq!(edited.keep_secrets_of(&stored()), ["token"], "{what}");
            assert_eq!(edited.credential("token"), None, "{what}");
            assert_eq!(edited.hook_secret, None, "{what}");
        }
        let same: [(&str, Change); 4] = [
            ("nothing", |_| {}),
            ("a slash", |s| s.url = "https://erp.example/".into()),
            ("its name", |s| s.name = "Books".into()),
            ("an option that is off", |s| {
                s.options.insert("allowInsecure".into(), json!(false));
            }),
        ];
        for (what, change) in same {
            let mut edited = edit(change);
            assert!(edited.keep_secrets_of(&stored()).is_empty(), "{what}");
            assert_eq!(edited.credentials, stored().credentials, "{what}");
            assert_eq!(edited.hook_secret, stored().hook_secret, "{what}");
        }
    }

    #[test]
    fn s1_what_is_typed_anew_goes_where_it_was_typed_for() {
        let mut edited = edit(|service| {
            service.url = "https://new.example".into();
            service
                .credentials
                .insert("token".into(), Some(Secret::new("new")));
        });
        assert!(edited.keep_secrets_of(&stored()).is_empty());
        assert_eq!(edited.credential("token"), Some(&Secret::new("new")));
    }

    #[test]
    fn s1_a_secret_of_one_shop_is_not_anothers() {
        let mut before = CustomerSettings::new(Customer::new(CustomerId(1), "Kahvila Oy"));
        before.services.push(stored());
        let mut after = before.clone();
        after.services[0] = edit(|service| service.id = ShopId(2));
        assert!(after.keep_secrets_of(&before).is_empty());
        assert_eq!(after.services[0].credential("token"), None);
        after.services[0] = edit(|service| service.url = "https://evil.example".into());
        let dropped = after.keep_secrets_of(&before);
        assert_eq!(dropped, BTreeMap::from([(0, vec!["token".to_owned()])]));
    }
}
