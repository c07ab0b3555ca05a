//! Keys that were typed and are not saved yet: a page never shows one again, so what a test or a slip in another field
//! leaves empty stands here for a while, for the same login and the same address alone.

use super::session::{Values, Visitor};
use lockstep_model::CustomerId;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const KEPT_FOR: Duration = Duration::from_secs(15 * 60);
/// Forms with typed keys at the same time; the oldest goes first.
const FORMS_MAX: usize = 500;

#[derive(Default)]
pub struct Kept {
    forms: Mutex<HashMap<Place, Typed>>,
}

/// Whose form, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// Of the login: another one has another.
    login: String,
    customer: CustomerId,
    /// The form's address.
    form: String,
}

impl Place {
    pub fn new(visitor: &Visitor, customer: CustomerId, form: &str) -> Self {
        Place {
            login: visitor.form_token.clone(),
            customer,
            form: form.to_owned(),
        }
    }
}

struct Typed {
    at: Instant,
    /// Where these keys are for: a key is not sent elsewhere because its form was edited.
    address: Vec<(String, String)>,
    keys: Vec<(String, String)>,
}

impl Kept {
    fn forms(&self) -> std::sync::MutexGuard<'_, HashMap<Place, Typed>> {
        let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        forms.retain(|_, typed| typed.at.elapsed() < KEPT_FOR);
        forms
    }

    /// Puts kept keys where the form has none, and keeps those that it has. `keys` names the fields of keys, `is_address`
    /// those that say where they go. Which of them are kept.
    pub fn take(
        &self,
        place: &Place,
        values: &mut Values,
        keys: &[String],
        is_address: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let mut address: Vec<_> = values
            .0
            .iter()
            .filter(|(name, _)| is_address(name))
            .cloned()
            .collect();
        address.sort();
        let mut forms = self.forms();
        let before = forms.remove(place);
        let before = before.filter(|before| before.address == address);
        let mut typed = Vec::new();
        for name in keys {
            let now = values.get(name).filter(|value| !value.is_empty());
            let kept = || {
                let keys = before.as_ref()?.keys.iter();
                let mut keys = keys.filter(|(known, _)| known == name);
                keys.next().map(|(_, value)| value.clone())
            };
            if let Some(value) = now.map(ToOwned::to_owned).or_else(kept) {
                typed.push((name.clone(), value));
            }
        }
        values
            .0
            .retain(|(name, _)| !typed.iter().any(|(known, _)| known == name));
        values.0.extend(typed.iter().cloned());
        let names = typed.iter().map(|(name, _)| name.clone()).collect();
        if !typed.is_empty() {
            if forms.len() >= FORMS_MAX {
                let oldest = forms.iter().min_by_key(|(_, typed)| typed.at);
                if let Some(oldest) = oldest.map(|(place, _)| place.clone()) {
                    forms.remove(&oldest);
                }
            }
            let entry = Typed {
                at: Instant::now(),
                address,
                keys: typed,
            };
            forms.insert(place.clone(), entry);
        }
        names
    }

    /// They are saved, or not wanted any more.
    pub fn forget(&self, place: &Place) {
        self.forms().remove(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(login: &str) -> Place {
        Place {
            login: login.into(),
            customer: CustomerId(7),
            form: "shops/new?platform=practice".into(),
        }
    }

    fn values(url: &str, token: &str) -> Values {
        Values(vec![
            ("services[0].url".into(), url.into()),
            ("services[0].credentials.token".into(), token.into()),
        ])
    }

    #[test]
    fn d5_a_typed_key_outlives_its_test_for_the_same_login_and_address_alone() {
        let kept = Kept::default();
        let key = "services[0].credentials.token".to_owned();
        let take = |login: &str, mut values: Values| {
            let keys = [key.clone()];
            let names = kept.take(&place(login), &mut values, &keys, |name| {
                name.ends_with(".url")
            });
            let has = values.get(&key).unwrap_or_default().to_owned();
            (names.len(), has)
        };
        let here = "https://a.example";
        assert_eq!(take("maija", values(here, "s3cret")), (1, "s3cret".into()));
        assert_eq!(take("maija", values(here, "")), (1, "s3cret".into()));
        assert_eq!(take("other", values(here, "")), (0, String::new()));
        // Another one is the one from then on.
        assert_eq!(take("maija", values(here, "new")), (1, "new".into()));
        let elsewhere = values("https://evil.example", "");
        assert_eq!(take("maija", elsewhere), (0, String::new()));
        assert_eq!(
            take("maija", values(here, "")),
            (0, String::new()),
            "dropped for good"
        );
        take("maija", values(here, "again"));
        kept.forget(&place("maija"));
        assert_eq!(take("maija", values(here, "")), (0, String::new()));
    }
}
