//! The short code that worker and console show, so that a person can see that they mean the same key.

use crate::{EnrolmentId, Nonce, PublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// Without vowels, so that it makes no words, and without what looks alike (RFC 8628, 6.1).
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LETTERS: usize = 8;

/// `BCDF-GHJK`: 34 bits, made from the key's fingerprint, the enrolment's id and a nonce that the
/// *coordinator* picks, after the worker has shown its key: whoever wants another key with the same code
/// would have to guess before he knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserCode(String);

impl UserCode {
    pub fn new(key: &PublicKey, enrolment: &EnrolmentId, nonce: &Nonce) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"lockstep user code 1\n");
        hash.update(Sha256::digest(key.0));
        hash.update(nonce.0);
        hash.update(enrolment.0.as_bytes());
        let mut code = String::with_capacity(LETTERS + 1);
        // A byte modulo 20 is biased by 1 in 16; two bytes by 1 in 3,000.
        for (at, pair) in hash.finalize().chunks_exact(2).take(LETTERS).enumerate() {
            if at == LETTERS / 2 {
                code.push('-');
            }
            let number = pair
                .iter()
                .fold(0usize, |sum, byte| sum * 256 + usize::from(*byte));
            code.push(char::from(ALPHABET[number % ALPHABET.len()]));
        }
        UserCode(code)
    }

    /// As a person typed it: case, spaces and hyphens do not matter. `None` if it cannot be a code.
    pub fn typed(text: &str) -> Option<Self> {
        let letters: Vec<u8> = text
            .bytes()
            .filter(|byte| !matches!(byte, b' ' | b'-'))
            .map(|byte| byte.to_ascii_uppercase())
            .collect();
        if letters.len() != LETTERS || !letters.iter().all(|letter| ALPHABET.contains(letter)) {
            return None;
        }
        let half = |part: &[u8]| part.iter().copied().map(char::from).collect::<String>();
        let (left, right) = letters.split_at(LETTERS / 2);
        Some(UserCode(format!("{}-{}", half(left), half(right))))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(key: u8, enrolment: &str, nonce: u8) -> UserCode {
        UserCode::new(
            &PublicKey([key; 32]),
            &EnrolmentId(enrolment.into()),
            &Nonce([nonce; 16]),
        )
    }

    #[test]
    fn key_enrolment_and_nonce_all_count() {
        let first = code(1, "e1", 1);
        assert_eq!(first, code(1, "e1", 1));
        for other in [code(2, "e1", 1), code(1, "e2", 1), code(1, "e1", 2)] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = code(1, "e1", 1);
        let typed = code.as_str().to_lowercase().replace('-', " ");
        assert_eq!(UserCode::typed(&typed), Some(code));
        for text in ["", "BCDF", "BCDF-GHJA", "BCDF-GHJKL", "ÄÖÅ"] {
            assert_eq!(UserCode::typed(text), None, "{text}");
        }
    }
}
