//! What must not be said: a shop's answer goes into faults and logs, and may quote a key or a buyer.

use lockstep_connector::Account;
use lockstep_model::{Address, Change, Fault, Outcome, Person};

/// A sentence of a shop is cut after this.
const SAID_CHARS_MAX: usize = 300;
/// Shorter words (country codes, initials) say nothing about anybody and would eat ordinary text.
const WORD_CHARS_MIN: usize = 3;

/// Words that are taken out of whatever a shop says.
#[derive(Clone, Default)]
pub(crate) struct Redaction {
    words: Vec<String>,
}

impl Redaction {
    pub fn of_account(account: &Account) -> Self {
        let mut redaction = Self::default();
        for secret in account.credentials.values() {
            redaction.hide(secret);
        }
        redaction
    }

    pub fn of_person(person: &Person) -> Self {
        let mut redaction = Self::default();
        let own = [
            &person.email,
            &person.name,
            &person.phone,
            &person.company,
            &person.vat_number,
            &person.note,
        ];
        for word in own.into_iter().flatten() {
            redaction.hide(word);
        }
        for address in [&person.billing, &person.shipping].into_iter().flatten() {
            redaction.hide_address(address);
        }
        redaction
    }

    /// Of everybody whose orders are among these changes.
    pub fn of_buyers(changes: &[Change]) -> Self {
        let mut redaction = Self::default();
        for change in changes {
            if let Change::CreateOrder { order } = change {
                let person = Self::of_person(&order.order.person);
                redaction.words.extend(person.words);
            }
        }
        redaction
    }

    fn hide_address(&mut self, address: &Address) {
        let words = [
            &address.name,
            &address.company,
            &address.street,
            &address.street2,
            &address.postcode,
            &address.city,
            &address.phone,
        ];
        for word in words.into_iter().flatten() {
            self.hide(word);
        }
    }

    fn hide(&mut self, word: &str) {
        let word = word.trim();
        if word.chars().count() < WORD_CHARS_MIN {
            return;
        }
        self.words.push(word.to_owned());
        // Platforms split a name into its parts and quote one of them.
        for part in word.split_whitespace() {
            if part.chars().count() >= WORD_CHARS_MIN && part != word {
                self.words.push(part.to_owned());
            }
        }
    }

    /// One line, of bounded length, without the hidden words and without anything that looks like an e-mail address.
    pub fn clean(&self, text: &str) -> String {
        let mut text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(SAID_CHARS_MAX * 4)
            .collect();
        for word in &self.words {
            text = replace_without_case(&text, word);
        }
        let mut clean = String::new();
        for word in text.split_whitespace() {
            if !clean.is_empty() {
                clean.push(' ');
            }
            clean.push_str(if word.contains('@') { "…" } else { word });
        }
        if clean.chars().count() > SAID_CHARS_MAX {
            clean = clean.chars().take(SAID_CHARS_MAX).collect();
            clean.push('…');
        }
        clean
    }

    pub fn clean_outcomes(&self, outcomes: Vec<Outcome>) -> Vec<Outcome> {
        let outcomes = outcomes.into_iter().map(|outcome| match outcome {
            Outcome::Failed(fault) => Outcome::Failed(self.clean_fault(fault)),
            Outcome::Partly { receipt, missing } => {
                let hide = |text: String| {
                    let words = self.words.iter();
                    words.fold(text, |text, word| replace_without_case(&text, word))
                };
                Outcome::Partly {
                    receipt,
                    missing: missing.into_iter().map(hide).collect(),
                }
            }
            outcome @ (Outcome::Done(_) | Outcome::Accepted { .. }) => outcome,
        });
        outcomes.collect()
    }

    pub fn clean_fault(&self, mut fault: Fault) -> Fault {
        for word in &self.words {
            fault.message = replace_without_case(&fault.message, word);
        }
        fault
    }
}

fn replace_without_case(text: &str, word: &str) -> String {
    let (haystack, needle) = (text.to_lowercase(), word.to_lowercase());
    // Lower-casing may change lengths (İ); then the positions do not carry over and the text is not worth keeping.
    if haystack.len() != text.len() {
        return if haystack.contains(&needle) {
            "…".to_owned()
        } else {
            text.to_owned()
        };
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    while let Some(at) = haystack[from..].find(&needle) {
        let (start, end) = (from + at, from + at + needle.len());
        if !text.is_char_boundary(start) || !text.is_char_boundary(end) {
            return "…".to_owned();
        }
        out.push_str(&text[from..start]);
        out.push('…');
        from = end;
    }
    out.push_str(&text[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shop_that_quotes_a_buyer_is_not_quoted() {
        let person = Person {
            name: Some("Aino Virta".into()),
            email: Some("aino@example.com".into()),
            ..Person::default()
        };
        let said = "Customer VIRTA with email aino@example.com, and other@example.org, exists";
        let clean = Redaction::of_person(&person).clean(said);
        assert_eq!(clean, "Customer … with email …, and … exists");
    }

    #[test]
    fn what_a_shop_says_has_a_bound() {
        let clean = Redaction::default().clean(&"word ".repeat(10_000));
        assert!(clean.chars().count() <= SAID_CHARS_MAX + 1);
    }
}
